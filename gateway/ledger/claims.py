"""What passes between the outbox and whoever works through it: claims, and how an attempt ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from govpost.adapters.base import DeliveryKind, Document, Owed, OwedRefusal
from govpost.gateway.ledger._rows import Lane
from govpost.schemas import Outcome

__all__ = ["Batch", "Carriage", "Claim", "Claims", "DeadReason", "Next", "Settled", "Settlement"]


class DeadReason(StrEnum):
    """Why a delivery waits for a person."""

    #: The destination said no, and would again.
    REFUSED = "refused"
    #: Tried for as long as the settings allow.
    EXHAUSTED = "exhausted"
    #: It may have arrived, and there is no way to find out.
    UNCERTAIN = "uncertain"
    #: The destination asked us to wait for longer than a day.
    WAIT_TOO_LONG = "wait_too_long"
    #: Its sealed content does not open: it was changed, or the key file lacks its key.
    UNREADABLE = "unreadable"
    #: What became of it could not be stored: the log says why. Sent again, it is asked after first.
    NOT_STORED = "not_stored"


class Next(StrEnum):
    """What happens to a delivery after an attempt."""

    SETTLE = "settle"
    RETRY = "retry"
    BURY = "bury"


@dataclass(frozen=True, slots=True)
class Carriage:
    """How deliveries travel to a destination (its adapter's manifest)."""

    #: Call → how many deliveries one request may carry, where that is more than one.
    batches: Mapping[str, int] = field(default_factory=dict)
    #: It is asked before an uncertain delivery goes out again, which therefore travels alone.
    has_probe: bool = False
    #: Its updates are told from the order's whole history.
    needs_history: bool = False
    #: A placement reaches it in several requests: one for each leg, and one for who fetches the item.
    places_in_parts: bool = False
    #: Evidence leaves with its updates.
    takes_proof: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery leased to a worker."""

    owed: Owed | OwedRefusal
    #: What it is about: an order, or an order that was not taken.
    order_id: str
    portal: str
    kind: DeliveryKind
    destination: str
    document: Document | None
    #: The newest attempt ended unknown: ask before telling again.
    is_uncertain: bool
    lease_no: int
    attempts: int
    first_tried_at: datetime
    #: Something may have reached the destination before this claim.
    maybe_sent: bool
    #: Why there is no document: it cannot be said in the destination's words, or its adapter broke.
    unsayable: Outcome | None = None

    @property
    def delivery_id(self) -> str:
        """The delivery's number."""
        return self.owed.delivery_id

    @property
    def lane(self) -> Lane:
        """The lane it stands in."""
        return Lane(self.order_id, self.destination)


#: What one request carries: deliveries of one call, those of one lane in its order.
Batch = tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a claim brought, and when the next delivery falls due (None: nothing is waiting)."""

    batches: tuple[Batch, ...] = ()
    next_due_at: datetime | None = None

    @property
    def claims(self) -> Batch:
        """Everything that was leased."""
        return tuple(claim for batch in self.batches for claim in batch)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of an attempt, and what is to become of the delivery."""

    claim: Claim
    outcome: Outcome
    next: Next
    started_at: datetime
    due_at: datetime | None = None
    #: What is known of the delivery after this attempt: may it be there?
    is_uncertain: bool = False
    dead_reason: DeadReason | None = None
    #: What it says of the destination as a whole; of what travelled together, the first one is heard.
    is_breakage: bool = False
    is_lockout: bool = False
    #: False where nobody was asked: that the destination is well cannot be told from it.
    is_answer: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of settling what one request carried."""

    #: How many outcomes counted; of the others the lease was lost meanwhile.
    counted: int
    #: The destination pauses by this request, until then.
    paused_until: datetime | None = None
    #: The destination was broken, and answers again.
    opened: bool = False
