"""Read what 全渝通办 hands over: each item by itself, so that a broken one keeps no other from being read."""

import json
from hashlib import sha256
from typing import Any

from govpost.adapters.fields import build_order
from govpost.adapters.protocols.content import order_content
from govpost.adapters.quanyu_tongban.fields import FIELDS, MODE, SERIAL_NO
from govpost.schemas import Direction, OrderContent, Place, Refuse
from govpost.schemas.documents import JsonObject, parse_json_object
from govpost.schemas.errors import MappingError, UnreadableError

__all__ = ["is_serial_no", "read_item"]


def read_item(item: Any) -> Place | Refuse:
    """Read one item of a page as `json.loads` gives it; what is broken is refused, its member at fault named."""
    written = json.dumps(item)
    try:
        checked = parse_json_object(written.encode())
        content = order_content(checked)
    except (UnreadableError, MappingError) as error:
        return _refusal(item, {"text": written}, reason=f"item: {error}")
    try:
        return Place(_order(checked), content)
    except MappingError as error:
        return _refusal(item, content, reason=str(error), field=error.path or None)


def is_serial_no(value: Any) -> bool:
    """Tell whether an SBLSH can name an item."""
    try:
        SERIAL_NO.decode(value)
    except ValueError:
        return False
    return True


def _order(item: JsonObject) -> OrderContent:
    _check_window(item.get("YYSJQ"), item.get("YYSJZ"))
    order = build_order(FIELDS, {**item, MODE: item.get("LXDM")})
    is_wanted = order.direction is not Direction.TO_APPLICANT
    if is_wanted and order.appointment is None:
        raise MappingError("YYSJQ", "is missing: LXDM Q and W need it")
    if order.appointment is not None and not is_wanted:
        raise MappingError("YYSJQ", "does not go with LXDM S")
    return order


def _check_window(start: Any, end: Any) -> None:
    """Hold that an appointment ends after it begins while its members still have names of the wire."""
    if isinstance(start, str) and isinstance(end, str) and start and end and end <= start:
        raise MappingError("YYSJZ", "is not after YYSJQ")


def _refusal(item: Any, content: JsonObject, *, reason: str, field: str | None = None) -> Refuse:
    """Give an item back; one that cannot be named gets a name that no SBLSH can be, the same each time."""
    serial_no = item.get("SBLSH") if isinstance(item, dict) else None
    if is_serial_no(serial_no):
        return Refuse(str(serial_no), reason, content, field)
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return Refuse(f"no SBLSH {digest[:32]}", reason, content, field)
