"""Where 全渝通办 and we write the same things (contract: quanyu_tongban, item)."""

from typing import Any

from govpost.adapters.fields import Field, counted, integer, text
from govpost.adapters.protocols.shanghai import COMPACT
from govpost.adapters.quanyu_tongban.codes import DIRECTIONS, MODES, PAYERS
from govpost.schemas import Mode

__all__ = ["FIELDS", "MODE", "SERIAL_NO"]

#: What an SBLSH must be for an answer to name the item by it; an order's may not be as long.
SERIAL_NO = text(100, pattern=r"[!-~]+", rule="must be ASCII without spaces")

#: Stands on no wire: the adapter repeats LXDM under it, which says two things of an order where a row says one.
MODE = "LXDM (mode)"


class _ModeOfDirection:
    """The mode that lies in LXDM; written with the direction, so not again."""

    def decode(self, value: Any) -> Mode:
        return MODES[DIRECTIONS.decode(value)]

    def encode(self, value: Mode) -> None:
        pass


def _party(wire: str, ours: str) -> tuple[Field, ...]:
    """List the fields of a person: JJR and SJR have the same."""
    return (
        Field(f"{wire}.XM", f"{ours}.name", text(50)),
        Field(f"{wire}.LXDH", f"{ours}.phone"),
        Field(f"{wire}.ZJLX", f"{ours}.id_document.type", required=False),
        Field(f"{wire}.ZJHM", f"{ours}.id_document.no", text(50), required=False),
        Field(f"{wire}.SZS", f"{ours}.address.province"),
        Field(f"{wire}.SZD", f"{ours}.address.city"),
        Field(f"{wire}.SZX", f"{ours}.address.county"),
        Field(f"{wire}.XXDZ", f"{ours}.address.street", text(200)),
        Field(
            f"{wire}.YB",
            f"{ours}.address.postcode",
            text(6, least=6, pattern=r"[0-9]+", rule="must be six digits"),
            required=False,
        ),
    )


#: An item of `pending`.
FIELDS = (
    Field("SBLSH", "portal_ref", SERIAL_NO),
    Field("SXBM", "matter.code"),
    Field("SXMC", "matter.name"),
    Field("XZQHDM", "matter.division_code", required=False),
    Field("BLDW", "matter.authority.name"),
    Field("LXDM", "direction", DIRECTIONS),
    Field(MODE, "mode", _ModeOfDirection()),
    Field("FFFS", "payer", PAYERS),
    Field("CLQD[]", "items[]", counted(1, 100)),
    Field("CLQD[].CLMC", "items[].name"),
    Field("CLQD[].FS", "items[].copies", integer(1, 999)),
    *_party("JJR", "sender"),
    *_party("SJR", "recipient"),
    Field("YYSJQ", "appointment.start_at", COMPACT, required=False),
    Field("YYSJZ", "appointment.end_at", COMPACT, required=False),
    Field("TJSJ", "submitted_at", COMPACT),
)
