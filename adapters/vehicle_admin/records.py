"""Read what a vehicle office hands over: each record by itself, so that a broken one keeps no other from being read."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from govpost.adapters.fields import build_order
from govpost.adapters.protocols.content import order_content
from govpost.adapters.protocols.tmri import Record
from govpost.adapters.vehicle_admin.codes import CROSSINGS, KINDS
from govpost.adapters.vehicle_admin.fields import (
    AUTHORITY,
    DIRECTION,
    DIVISION,
    FIELDS,
    LANDLINE_FIELDS,
    MODE,
    NAME,
    SENDER,
    SERIAL_NO,
)
from govpost.adapters.vehicle_admin.settings import VehicleOffice
from govpost.schemas import Direction, Mode, OrderContent, Place, Refuse
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError

__all__ = ["note_unread", "read_record", "split_ref"]

_REF = re.compile(r"([0-9A-Za-z]+)-(.+)")


def read_record(record: Record, asked: VehicleOffice, *, offices: Mapping[str, VehicleOffice]) -> Place | Refuse:
    """Read one record of the office that was asked; what is broken is refused, its member at fault named."""
    content = order_content(record.fields)
    office = offices.get(record.fields.get("glbm", ""))
    try:
        return Place(_order(record, office or asked), content)
    except MappingError as error:
        return Refuse(_ref(content, office or asked), str(error), content, error.path or None)


def split_ref(portal_ref: str) -> tuple[str, str] | None:
    """Split a portal_ref into glbm and lsh; None where no record can be written back under it."""
    match = _REF.fullmatch(portal_ref)
    return (match[1], match[2]) if match and _is_serial_no(match[2]) else None


def note_unread(glbm: str, condition: JsonObject) -> Refuse:
    """Tell a person of a second that holds more than one answer can; nothing is to be written back."""
    reason = "one second holds more records than an answer can: what is beyond is asked for again with each round"
    return Refuse(f"{glbm} at {condition['kssj']}", reason, condition)


def _order(record: Record, office: VehicleOffice) -> OrderContent:
    if record.fault is not None:
        raise record.fault
    fields = record.fields
    if fields.get("glbm", office.glbm) not in {"", office.glbm}:
        raise MappingError("glbm", "is no office of these settings")
    phone = "sjhm" if fields.get("sjhm") or not fields.get("lxdh") else "lxdh"
    document = {
        **fields,
        DIRECTION: Direction.TO_APPLICANT,
        # From a counter, picked up on the courier's round.
        MODE: Mode.ROUTE,
        SENDER: office.sender(fields.get(phone, "")),
        NAME: _matter_name(fields),
        DIVISION: office.division_code,
        AUTHORITY: office.name,
    }
    if _is_serial_no(fields.get("lsh")):
        document["lsh"] = f"{office.glbm}-{fields['lsh']}"
    return build_order(FIELDS if phone == "sjhm" else LANDLINE_FIELDS, document)


def _matter_name(fields: JsonObject) -> str:
    """Call the matter by ywlx and kqzz, so that a note on the mail says both; an unknown ywlx is refused elsewhere."""
    try:
        return KINDS.get(fields.get("ywlx", ""), "") + CROSSINGS.decode(fields.get("kqzz") or "0")
    except ValueError as error:
        raise MappingError("kqzz", str(error)) from None


def _ref(content: JsonObject, office: VehicleOffice) -> str:
    """Name a record; one that has no lsh to be written back under gets a name that no record can have."""
    if _is_serial_no(content.get("lsh")):
        return f"{office.glbm}-{content['lsh']}"
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{office.glbm} no lsh {digest[:32]}"


def _is_serial_no(value: Any) -> bool:
    try:
        SERIAL_NO.decode(value)
    except ValueError:
        return False
    return True
