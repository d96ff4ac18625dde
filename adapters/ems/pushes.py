"""Read what EMS says happened: traces, pushed or asked for, and how pickups stand (contract: ems, Traces)."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from govpost.adapters.ems.codes import OPERATIONS, REASONS, RECEIVERS, UNKNOWN_OPERATION, Operation
from govpost.adapters.ems.orders import is_mail_number
from govpost.adapters.protocols import sm
from govpost.adapters.protocols.shanghai import DASHED
from govpost.schemas import Event, Leg, Office, Reason, ReceivedBy, Status, Telling
from govpost.schemas.documents import JsonObject, dump_json
from govpost.schemas.errors import MappingError
from govpost.schemas.identifiers import OrderId

__all__ = ["items_of", "pickup_to_telling", "read_items", "trace_to_telling"]

#: logisticsOrderNo of ours (`orders.leg_numbers`): our number, and the leg of a round trip.
_ORDER_NO = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})(?:-([12]))?")

#: What may be a mail number, whatever its check digit.
_NUMBER_LIKE = re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}|[0-9]{13}")

#: What a code may look like to be kept in the clear.
_CODE = re.compile(r"[0-9A-Za-z_-]{1,20}")

_LONGEST_TEXT, _LONGEST_NOTE = 100, 2000


def items_of(body: Any) -> list[Any]:
    """Find the items in what was pushed or answered: a list, one alone, or a list called responseItems."""
    listed = body.get("responseItems", body) if isinstance(body, dict) else body
    return listed if isinstance(listed, list) else [listed]


def read_items(items: Iterable[Any], read: Callable[[Any], Telling]) -> tuple[tuple[Telling, ...], tuple[str, ...]]:
    """Read every item that can be read, and say of each other one why not; one does not spoil the others."""
    tellings, unread = [], []
    for index, item in enumerate(items):
        try:
            tellings.append(read(item))
        except MappingError as error:
            unread.append(f"[{index}]{'.' if error.path else ' '}{error}")
    return tuple(tellings), tuple(unread)


def trace_to_telling(trace: Any, *, waybill_no: str = "") -> Telling:
    """Translate a trace; `waybill_no` is the item's where the trace does not say it.

    Raises MappingError for one that says no time, or not which item; all else that is amiss is left out.
    """
    said = _Said(trace)
    number = said["waybillNo"] or waybill_no
    order_id, leg = _order(said["orderNo"])
    code = said["opCode"]
    operation = OPERATIONS.get(code, UNKNOWN_OPERATION)
    return _telling(
        Event(
            event_id=_event_id(number or said["orderNo"], code, said["opTime"], said["opOrgCode"]),
            status=operation.status,
            occurred_at=_time(said["opTime"]),
            leg=leg,
            waybill_no=number if is_mail_number(number) else None,
            office=_office(said),
            reason=_reason(said, operation),
            received_by=_received_by(said, operation),
            revokes_code=operation.revokes,
            note=said["opDesc"][:_LONGEST_NOTE] or None,
            raw_code=code if _CODE.fullmatch(code) else None,
        ),
        order_id=order_id,
        number=number,
    )


def pickup_to_telling(pickup: Any, *, method: str, told_at: str) -> Telling:
    """Translate how a pickup stands or ended; it moves nothing, since what was collected is said by a trace.

    The members of these pushes are not public, so all that came is kept as the note. `told_at` is the push's own
    time. Raises MappingError as `trace_to_telling` does.
    """
    said = _Said(pickup)
    number, order_no = said["waybillNo"], said["orderNo"] or said["logisticsOrderNo"]
    order_id, leg = _order(order_no)
    code = said["opCode"] or said["status"]
    at = said["opTime"] or told_at
    return _telling(
        Event(
            event_id=_event_id(method, number or order_no, code, at),
            status=Status.UNKNOWN,
            occurred_at=_time(at),
            leg=leg,
            waybill_no=number if is_mail_number(number) else None,
            note=dump_json(pickup).decode()[:_LONGEST_NOTE],
            raw_code=f"{method}:{code}" if _CODE.fullmatch(code) else method,
        ),
        order_id=order_id,
        number=number,
    )


class _Said:
    """The members of an item as texts; what is missing, or is no text, is the empty one."""

    def __init__(self, item: Any) -> None:
        if not isinstance(item, dict):
            raise MappingError("", "must be an object")
        self._item: JsonObject = item

    def __getitem__(self, name: str) -> str:
        value = self._item.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return value.strip() if isinstance(value, str) else ""

    def short(self, name: str) -> str | None:
        """Read a text that is of no use when it is longer than ours may be."""
        text = self[name]
        return text if 0 < len(text) <= _LONGEST_TEXT else None


def _time(text: str) -> datetime:
    try:
        return DASHED.decode(text)
    except ValueError as error:
        raise MappingError("opTime", str(error)) from None


def _telling(event: Event, *, order_id: OrderId | None, number: str) -> Telling:
    """Say which item an event is of.

    A number with a wrong check digit is said all the same where nothing else is: no order will ever have it, but the
    event is kept, and a person finds it under what EMS called it.
    """
    if event.waybill_no or (order_id is None and _NUMBER_LIKE.fullmatch(number)):
        return Telling(event, order_id, number)
    if order_id is None:
        raise MappingError("waybillNo", "is no mail number, and orderNo is none of ours")
    return Telling(event, order_id)


def _order(order_no: str) -> tuple[OrderId | None, Leg]:
    match = _ORDER_NO.fullmatch(order_no)
    if match is None:
        return None, 1
    return match[1], 2 if match[2] == "2" else 1


def _event_id(*identity: str) -> str:
    """Digest what EMS knows an event by: short, always the same, and nothing foreign stands in the clear."""
    return sm.sm3(dump_json(identity)).hex()


def _office(said: _Said) -> Office | None:
    name = said.short("opOrgName")
    return Office(code=said.short("opOrgCode"), name=name, city=said.short("opOrgCity")) if name else None


def _reason(said: _Said, operation: Operation) -> Reason | None:
    code = said["attemptDeliveryCode"]
    return REASONS.get(code, Reason.OTHER) if code and operation.status is Status.UNDELIVERED else None


def _received_by(said: _Said, operation: Operation) -> ReceivedBy | None:
    code = said["deliverCode"]
    if operation.received_by or not code or operation.status is not Status.DELIVERED:
        return operation.received_by
    return RECEIVERS.get(code, ReceivedBy.OTHER)
