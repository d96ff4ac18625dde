"""Where the kiosk and we write the same things."""

from govpost.adapters.fields import CodeTable, Field, counted, integer, text
from govpost.adapters.protocols.shanghai import DASHED
from govpost.schemas import Direction, Mode, Payer

__all__ = ["FIELDS"]

DIRECTIONS = CodeTable({"OUT": Direction.TO_APPLICANT, "BOTH": Direction.ROUND_TRIP})
MODES = CodeTable({"DOOR": Mode.DOORSTEP, "DESK": Mode.COUNTER})
PAYERS = CodeTable({"GOV": Payer.GOVERNMENT, "YOU": Payer.APPLICANT})

FIELDS = (
    Field("no", "portal_ref", text(20, least=4)),
    Field("way", "direction", DIRECTIONS),
    Field("how", "mode", MODES),
    Field("pays", "payer", PAYERS),
    Field("for", "matter.name"),
    Field("papers[]", "items[]", counted(1, 9)),
    Field("papers[].name", "items[].name"),
    Field("papers[].count", "items[].copies", integer(1, 99)),
    Field("from.name", "sender.name", text(50)),
    Field("from.phone", "sender.phone"),
    Field("from.address", "sender.address.street", text(200)),
    Field("to.name", "recipient.name", text(50)),
    Field("to.phone", "recipient.phone"),
    Field("to.address", "recipient.address.street", text(200)),
    Field("submittedAt", "submitted_at", DASHED),
    Field("remark", "remark", required=False),
)
