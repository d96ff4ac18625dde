"""What 川渝通办 asks of us: the four methods an envelope may hold (contract: chuanyu_tongban)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from govpost.adapters.chuanyu_tongban.fields import AMEND, APPOINTMENT, CANCEL, FIELDS, MODE, PROVINCES, TRACE
from govpost.adapters.fields import as_path, build_order, wire_to_order
from govpost.adapters.protocols.content import order_content
from govpost.schemas import Amend, Cancel, Command, Party, Place, Query
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError

__all__ = ["read_call"]


def read_call(opened: JsonObject, *, req_id: str) -> Command:
    """Read what an envelope held as a command; raises MappingError with the path of the member at fault."""
    read = _METHODS.get(str(opened.get("method")))
    if read is None:
        raise MappingError("method", "is none of the portal's")
    content = opened.get("bizContent")
    if not isinstance(content, dict):
        raise MappingError("bizContent", "must be an object")
    return read(_Call(content, req_id))


@dataclass(frozen=True, slots=True)
class _Call:
    content: JsonObject = field(repr=False)
    req_id: str


def _place(call: _Call) -> Place:
    has_appointment = "appointment" in wire_to_order(APPOINTMENT, call.content)
    order = build_order(FIELDS, {**call.content, MODE: has_appointment})
    regions = wire_to_order(PROVINCES, call.content)
    if {regions["accepts"][:2], regions["handles"][:2]} != {"50", "51"}:
        raise MappingError("acceptRegion", "and handleRegion must be 50xxxx and 51xxxx, one each")
    return Place(order, order_content(call.content))


def _amend(call: _Call) -> Amend:
    members = wire_to_order(AMEND, call.content)
    return Amend(members["portal_ref"], _recipient(members["recipient"]), command_id=call.req_id)


def _recipient(members: JsonObject) -> Party:
    try:
        return Party.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        reason = "is missing" if first["type"] == "missing" else str(first["msg"]).removeprefix("Value error, ")
        raise MappingError(_recipient_path(f"recipient.{as_path(first['loc'])}"), reason) from None


def _recipient_path(order_path: str) -> str:
    return next((each.wire_path for each in AMEND if order_path.startswith(each.order_path)), "to")


def _cancel(call: _Call) -> Cancel:
    members = wire_to_order(CANCEL, call.content)
    return Cancel(members["portal_ref"], reason=members.get("reason"))


def _trace(call: _Call) -> Query:
    return Query(wire_to_order(TRACE, call.content)["portal_ref"])


_METHODS: dict[str, Callable[[_Call], Command]] = {
    "order.place": _place,
    "order.amend": _amend,
    "order.cancel": _cancel,
    "order.trace": _trace,
}
