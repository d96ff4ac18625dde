"""Where 川渝通办 and we write the same things (contract: chuanyu_tongban)."""

from typing import Any

from govpost.adapters.chuanyu_tongban.codes import DIRECTIONS, PAYERS
from govpost.adapters.fields import BOOLEAN, Field, counted, integer, text
from govpost.adapters.protocols.shanghai import RFC3339
from govpost.schemas import Mode

__all__ = ["AMEND", "APPOINTMENT", "CANCEL", "FIELDS", "MODE", "PROVINCES", "TRACE"]

_BIZ_NO = text(64)
_REGION = text(6, least=6, pattern=r"[1-9][0-9]{5}", rule="must be a division code of six digits")
_ZIP = text(6, least=6, pattern=r"[0-9]+", rule="must be six digits")

#: Stands on no wire: the adapter puts under it whether there is an appointment, which says a second thing of an order.
MODE = "appointment (mode)"


class _ModeOfAppointment:
    """The mode that lies in having an appointment; written with the appointment, so not again."""

    def decode(self, value: Any) -> Mode:
        return Mode.DOORSTEP if value else Mode.ROUTE

    def encode(self, value: Mode) -> None:
        pass


def _party(wire: str, ours: str) -> tuple[Field, ...]:
    """List the fields of a person: `from` and `to` have the same."""
    return (
        Field(f"{wire}.name", f"{ours}.name", text(50)),
        Field(f"{wire}.phone", f"{ours}.phone"),
        Field(f"{wire}.idType", f"{ours}.id_document.type", required=False),
        Field(f"{wire}.idNo", f"{ours}.id_document.no", text(50), required=False),
        Field(f"{wire}.region", f"{ours}.address.division_code", _REGION, required=False),
        Field(f"{wire}.address", f"{ours}.address.street", text(200)),
        Field(f"{wire}.zip", f"{ours}.address.postcode", _ZIP, required=False),
    )


APPOINTMENT = (
    Field("appointment.begin", "appointment.start_at", RFC3339, required=False),
    Field("appointment.end", "appointment.end_at", RFC3339, required=False),
)

#: bizContent of order.place. acceptRegion is not here: we have no word for it, so it is kept among the extras.
FIELDS = (
    Field("bizNo", "portal_ref", _BIZ_NO),
    Field("matterCode", "matter.code"),
    Field("matterName", "matter.name"),
    Field("handleRegion", "matter.division_code", _REGION),
    Field("direction", "direction", DIRECTIONS),
    Field(MODE, "mode", _ModeOfAppointment()),
    Field("payer", "payer", PAYERS),
    Field("docs[]", "items[]", counted(1, 100)),
    Field("docs[].name", "items[].name"),
    Field("docs[].count", "items[].copies", integer(1, 999)),
    Field("docs[].original", "items[].is_original", BOOLEAN, required=False),
    *_party("from", "sender"),
    *_party("to", "recipient"),
    *APPOINTMENT,
    Field("submittedAt", "submitted_at", RFC3339, required=False),
)

#: Of order.place again, what must lie in two provinces; the second paths are the adapter's own.
PROVINCES = (Field("acceptRegion", "accepts", _REGION), Field("handleRegion", "handles", _REGION))

#: bizContent of the other methods; the second paths are members of our commands.
AMEND = (Field("bizNo", "portal_ref", _BIZ_NO), *_party("to", "recipient"))
CANCEL = (Field("bizNo", "portal_ref", _BIZ_NO), Field("reason", "reason", required=False))
TRACE = (Field("bizNo", "portal_ref", _BIZ_NO),)
