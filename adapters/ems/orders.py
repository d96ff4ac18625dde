"""What a command is to EMS: its orders, a pickup, and what comes back of waybill numbers (contract: ems)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from govpost.adapters.base import Owed
from govpost.adapters.ems.codes import CANCEL, PAYMENTS, PICKUP, PLACE, RECEIPTS
from govpost.adapters.ems.fields import FIELDS, UNSAID
from govpost.adapters.ems.places import spelled_out
from govpost.adapters.ems.wire import Answer
from govpost.adapters.fields import order_to_wire
from govpost.adapters.protocols.shanghai import DASHED
from govpost.schemas import Direction, Mode, Notice, Order, Outcome, OutcomeKind, Party
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import UnsupportedFeatureError
from govpost.schemas.event import Leg
from govpost.schemas.identifiers import WaybillNo, check_waybill_no, domestic_number_is_plausible

__all__ = ["ON_ROUND", "build_cancel", "build_place", "is_mail_number", "leg_numbers", "placed"]

#: Most characters of an address and of a note.
_ADDRESS, _NOTE = 200, 100

#: pushMethod: a courier is sent at once; or it goes with the next scheduled round, which needs the waybill number.
ON_ROUND = "2"
_PUSH_METHODS: Mapping[Mode, str] = {Mode.DOORSTEP: "1", Mode.ROUTE: ON_ROUND}

_CANCEL_REASON = "客户取消寄递"


@dataclass(frozen=True, slots=True)
class _Leg:
    """An order as one of its legs has it: sender and recipient changed places for the way back."""

    number: str
    order: Order
    is_from_applicant: bool
    #: logisticsOrderNo of the other leg.
    other: str | None = None


def leg_numbers(order: Order) -> tuple[str, ...]:
    """Name the EMS orders (logisticsOrderNo) that an order is, in the order of its legs."""
    if order.direction is not Direction.ROUND_TRIP:
        return (order.order_id,)
    return (f"{order.order_id}-1", f"{order.order_id}-2")


def _legs(order: Order) -> tuple[_Leg, ...]:
    is_from_applicant = order.direction is not Direction.TO_APPLICANT
    there, *back = leg_numbers(order)
    if not back:
        return (_Leg(there, order, is_from_applicant),)
    returned = order.model_copy(update={"sender": order.recipient, "recipient": order.sender})
    return (
        _Leg(there, order, is_from_applicant, back[0]),
        _Leg(back[0], returned, not is_from_applicant, there),
    )


def build_place(owed: Owed, *, product: str, project: str | None) -> JsonObject:
    """Make everything that placing an order asks, by apiCode: one EMS order a leg, and the pickup of the first.

    Raises UnsupportedFeatureError, with the order's path, for what EMS has no words for.
    """
    order = owed.order.model_copy(
        update={role: _party(getattr(owed.order, role), role) for role in ("sender", "recipient")}
    )
    orders = [_leg_to_wire(leg, owed, product=product, project=project) for leg in _legs(order)]
    pickup = _pickup(order)
    return {PLACE: orders, **({PICKUP: pickup} if pickup else {})}


def _party(party: Party, role: str) -> Party:
    """Spell the address out, with the organization at its end."""
    address = spelled_out(party.address, path=f"{role}.address")
    is_said = party.organization in {None, party.name}
    street = address.street if is_said else f"{address.street} {party.organization}"
    if len(street) > _ADDRESS:
        raise UnsupportedFeatureError(f"{role}.organization", f"makes the address longer than {_ADDRESS} characters")
    return party.model_copy(update={"address": address.model_copy(update={"street": street})})


def _leg_to_wire(leg: _Leg, owed: Owed, *, product: str, project: str | None) -> JsonObject:
    order = leg.order
    head = {
        "ecommerceUserId": owed.identity,
        "logisticsOrderNo": leg.number,
        "createdTime": DASHED.encode(owed.created_at),
        "contentsAttribute": "1",
        "bizProductNo": product,
        "paymentMode": PAYMENTS[order.payer, leg.is_from_applicant],
        "receiptFlag": _receipt_flag(order),
        "returnRelationNo": leg.other,
        "projectId": project,
        # What EMS wants for 公安交管 mail always; a remark of the order takes its place.
        "note": _note(order) if project else None,
    }
    said = {name: value for name, value in head.items() if value is not None}
    return said | order_to_wire(FIELDS, order, unsaid=UNSAID)


def _receipt_flag(order: Order) -> str | None:
    if not order.proof_wanted:
        return None
    flag = RECEIPTS.get(order.proof_wanted)
    if flag is None:
        raise UnsupportedFeatureError("proof_wanted", "this system makes a photo or a receipt on paper, not both")
    return flag


def _note(order: Order) -> str:
    names = "、".join(item.name for item in order.items)
    return (f"{order.matter.name} {names}" if order.matter.name else names)[:_NOTE]


def _pickup(order: Order) -> JsonObject | None:
    """Ask for a courier where the item is with people, in the appointment's window; none comes for a counter's.

    Without an appointment nobody waits at a certain hour: then it goes with the next round.
    """
    method = _PUSH_METHODS.get(order.mode)
    if method is None or order.direction is Direction.TO_APPLICANT:
        return None
    pickup = {"logisticsOrderNo": leg_numbers(order)[0], "pushMethod": method if order.appointment else ON_ROUND}
    if order.appointment:
        pickup["pickupPreBeginTime"] = DASHED.encode(order.appointment.start_at)
        pickup["pickupPreEndTime"] = DASHED.encode(order.appointment.end_at)
    return pickup


def build_cancel(numbers: Sequence[str]) -> JsonObject:
    """Make what cancelling EMS orders asks, by apiCode."""
    return {CANCEL: [{"logisticsOrderNo": number, "cancelReason": _CANCEL_REASON} for number in numbers]}


def placed(answers: Mapping[str, Answer]) -> Outcome:
    """Put the answers to an order's legs together, by logisticsOrderNo, all of them taken: numbers, and what to note.

    A number that is no mail number, or none, leaves the order taken: the right one comes with a push.
    """
    legs = [_read_numbers(answer.body, order_no) for order_no, answer in answers.items()]
    firsts = [next(iter(numbers), None) for numbers, _ in legs]
    more = tuple((leg, number) for leg, (numbers, _) in zip(_LEGS, legs, strict=False) for number in numbers[1:])
    code = next(iter(answers.values())).outcome.code
    return Outcome(
        OutcomeKind.TAKEN,
        code=", ".join(dict.fromkeys((code, *(remark for _, remark in legs if remark)))),
        waybill_no=firsts[0],
        return_waybill_no=firsts[1] if len(firsts) > 1 else None,
        more_waybill_nos=more,
        notices=(Notice.SEVERAL_PIECES,) if more else (),
    )


_LEGS: tuple[Leg, Leg] = (1, 2)


def _read_numbers(body: Any, order_no: str) -> tuple[list[WaybillNo], str]:
    """Read the numbers of one leg, the leg's own first and those of further pieces behind; and a remark on them."""
    said = _waybill_nos(body, order_no)
    good = [number for number in said if is_mail_number(number)]
    if not said:
        return [], "no waybill"
    if good != said:
        # Without its own number a leg has none: a further piece's is not the leg's.
        return good if said[0] in good else [], "waybill unreadable"
    doubtful = any(number.isdigit() and not domestic_number_is_plausible(number) for number in good)
    return good, "check digit of waybill doubtful" if doubtful else ""


def _waybill_nos(body: Any, order_no: str) -> list[str]:
    """Find the numbers that an answer gives an EMS order, separated by commas where there are several."""
    entries = body if isinstance(body, list) else [body]
    texts = (entry.get("waybillNo") for entry in entries if _is_of(entry, order_no))
    text = next((text for text in texts if isinstance(text, str)), "")
    return [number for number in map(str.strip, text.split(",")) if number]


def _is_of(entry: Any, order_no: str) -> bool:
    return isinstance(entry, dict) and entry.get("logisticsOrderNo") in (None, "", order_no)


def is_mail_number(number: str) -> bool:
    """Say whether a text is a mail number with a good check digit."""
    try:
        check_waybill_no(number)
    except ValueError:
        return False
    return True
