"""What became of an attempt to tell another system something (design: Outcomes)."""

from dataclasses import dataclass, field
from enum import StrEnum

from govpost.schemas.identifiers import WaybillNo, check_waybill_no

__all__ = ["Outcome", "OutcomeKind", "Presence"]


class OutcomeKind(StrEnum):
    """The seven ways an attempt can end; the relay has one rule for each."""

    #: Done, or it had it already.
    TAKEN = "taken"
    #: It said no, and will again.
    REFUSED = "refused"
    #: Nothing can have reached it.
    NOT_SENT = "not_sent"
    #: It may have acted.
    UNKNOWN = "unknown"
    #: It asked us to wait.
    BUSY = "busy"
    #: It does not know us.
    AUTH = "auth"
    #: The address is wrong.
    MISCONFIGURED = "misconfigured"


class Presence(StrEnum):
    """What a probe found out."""

    HAS = "has"
    HAS_NOT = "has_not"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. Built by the adapter from a reply, or by the table of breakages from an exception."""

    kind: OutcomeKind
    #: The other side's code, or the name of what broke. Never personal data: it is stored in the clear.
    code: str = ""
    #: The other side's own words; kept sealed.
    text: str = field(default="", repr=False)
    #: For `busy`: how long it asked us to wait, seconds; None where it did not say.
    wait_s: float | None = None
    #: For `refused`: whether what follows in the lane must wait for a person.
    parks_lane: bool = True
    #: For a placement that was taken.
    waybill_no: WaybillNo | None = None
    #: For a round trip: the number of leg 2.
    return_waybill_no: WaybillNo | None = None

    def __post_init__(self) -> None:
        """Hold the numbers to their check digits; raises ValueError, in the adapter that read them."""
        for number in (self.waybill_no, self.return_waybill_no):
            if number is not None:
                check_waybill_no(number)
