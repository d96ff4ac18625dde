"""What we say to 川渝通办: answers, and notices of what happened (contract: chuanyu_tongban)."""

from ulid import ULID

from govpost.adapters.base import Owed
from govpost.adapters.chuanyu_tongban.codes import REASONS, RECEIVERS, REFUSALS, REVOKED, STATUSES, TAKEN
from govpost.adapters.protocols.shanghai import RFC3339
from govpost.adapters.sentences import describe_event, describe_update, office_name
from govpost.schemas import (
    Amended,
    Cancelled,
    Denied,
    Direction,
    Event,
    Found,
    Order,
    Placed,
    Reason,
    Result,
    Status,
    Update,
)
from govpost.schemas.documents import JsonObject
from govpost.schemas.event import Leg

__all__ = ["build_answer", "build_notice", "wire_id"]

#: Stands for the office where an event names none.
_ORGANIZATION = "中国邮政"


def wire_id(delivery_id: str) -> str:
    """Write a delivery's id as the wire wants its ids: 32 lower-case hex digits."""
    return ULID.from_str(delivery_id).hex


def build_notice(owed: Owed, update: Update) -> JsonObject:
    """Say an update; what takes an earlier one back says nothing of reason or receiver."""
    event, sentence = update.event, describe_update(update)
    notice: JsonObject = {
        "notifyId": owed.identity,
        "bizNo": owed.order.portal_ref,
        "waybillNo": update.waybill_no or "",
        **_leg(owed.order, update.leg),
    }
    if update.corrects is not None:
        return {**notice, **_facts(event, REVOKED, sentence), "revokes": wire_id(update.corrects)}
    return {**notice, **_facts(event, STATUSES.encode(update.status), sentence), **_details(event, update.status)}


def _leg(order: Order, leg: Leg) -> JsonObject:
    return {"leg": leg} if order.direction is Direction.ROUND_TRIP else {}


def _facts(event: Event, status: str, sentence: str) -> JsonObject:
    return {
        "status": status,
        "at": RFC3339.encode(event.occurred_at),
        "desc": sentence,
        "office": office_name(event) or _ORGANIZATION,
    }


def _details(event: Event, status: Status) -> JsonObject:
    if status is Status.UNDELIVERED:
        return {"reason": REASONS.encode(event.reason or Reason.OTHER)}
    if status is Status.DELIVERED and event.received_by:
        return {"receivedBy": RECEIVERS.encode(event.received_by)}
    return {}


def build_answer(result: Result) -> JsonObject:
    """Say what came of a call; a refusal names the member at fault."""
    match result:
        case Denied():
            message = f"{result.field}: {result.reason}" if result.field else result.reason
            return {"code": REFUSALS[result.problem], "message": message}
        case Found():
            return {"code": TAKEN, "message": "ok", "data": _found(result)}
        case Placed() | Amended() | Cancelled():
            data = {"bizNo": result.portal_ref, "orderId": result.order_id}
            return {"code": TAKEN, "message": "ok", "data": data}
        case _:
            raise ValueError("this portal tells no events, so none are noted")


def _found(found: Found) -> JsonObject:
    return {
        "bizNo": found.order.portal_ref,
        "orderId": found.order.order_id,
        "waybillNo": ",".join(number for _, number in sorted(found.waybill_nos.items())),
        "status": STATUSES.encode(found.status),
        "traces": [
            {
                **_leg(found.order, event.leg),
                **_facts(event, STATUSES.encode(event.status), describe_event(event)),
                **_details(event, event.status),
            }
            for event in found.traces
            if event.status and event.status in STATUSES.theirs
        ],
    }
