"""What became of an attempt to tell another system something (design: Outcomes)."""

from dataclasses import dataclass, field
from enum import StrEnum

from govpost.schemas.event import Leg
from govpost.schemas.identifiers import WaybillNo, check_waybill_no

__all__ = ["Notice", "Outcome", "OutcomeKind", "Presence"]


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


class Notice(StrEnum):
    """What a person should know of an order and no delivery says."""

    #: A second, different waybill number came for a leg; the first stays.
    WAYBILL_DIFFERS = "waybill_differs"
    #: A leg travels in several pieces; only what happens to the first is told.
    SEVERAL_PIECES = "several_pieces"
    #: The backend has the order, but sends nobody to collect it.
    PICKUP_REFUSED = "pickup_refused"
    #: The portal handed the order over again with other content, too late to follow it.
    CONTENT_CHANGED = "content_changed"
    #: What was to be served was handed to somebody, or left somewhere, in a way that is no service.
    SERVICE_INVALID = "service_invalid"
    #: What was to be served was delivered, and what must be known of the signer was not told: no receipt went out.
    SERVICE_UNPROVEN = "service_unproven"
    #: A receipt of service went out that a person should look at.
    RECEIPT_IN_DOUBT = "receipt_in_doubt"


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
    #: Further numbers of leg 1 or 2 (several pieces), as (leg, number): known to the ledger, told to nobody.
    more_waybill_nos: tuple[tuple[Leg, WaybillNo], ...] = ()
    #: For what was taken: words of `Notice` for a person, where something beside it was not done.
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        """Hold the numbers to their check digits; raises ValueError, in the adapter that read them."""
        for number in (self.waybill_no, self.return_waybill_no, *(number for _, number in self.more_waybill_nos)):
            if number is not None:
                check_waybill_no(number)
