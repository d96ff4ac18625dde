"""Where the courier and we write the same things."""

from govpost.adapters.fields import CodeTable, Field, text
from govpost.adapters.protocols.shanghai import DASHED
from govpost.schemas import Direction, Payer

__all__ = ["FIELDS", "UNSAID"]

DIRECTIONS = CodeTable({"1": Direction.TO_APPLICANT, "2": Direction.FROM_APPLICANT, "3": Direction.ROUND_TRIP})
PAYERS = CodeTable({"G": Payer.GOVERNMENT, "A": Payer.APPLICANT, "R": Payer.RECIPIENT})

FIELDS = (
    Field("ref", "portal_ref"),
    Field("way", "direction", DIRECTIONS),
    Field("payer", "payer", PAYERS),
    Field("sender.name", "sender.name", text(50)),
    Field("sender.phone", "sender.phone"),
    Field("sender.postcode", "sender.address.postcode", required=False),
    Field("sender.address", "sender.address.street", text(200)),
    Field("recipient.name", "recipient.name", text(50)),
    Field("recipient.phone", "recipient.phone"),
    Field("recipient.postcode", "recipient.address.postcode", required=False),
    Field("recipient.address", "recipient.address.street", text(200)),
    Field("things[]", "items[]"),
    Field("things[].name", "items[].name"),
    Field("callFrom", "appointment.start_at", DASHED, required=False),
    Field("callUntil", "appointment.end_at", DASHED, required=False),
    Field("note", "remark", required=False),
)

#: What a courier need not know.
UNSAID = (
    "matter",
    "mode",
    "submitted_at",
    "promise",
    "items[].type",
    "items[].copies",
    "items[].is_original",
    *(
        f"{party}.{member}"
        for party in ("sender", "recipient")
        for member in (
            "organization",
            "id_document",
            "address.province",
            "address.city",
            "address.county",
            "address.division_code",
        )
    ),
)
