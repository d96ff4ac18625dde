"""What a portal asks of us, and what came of it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from govpost.schemas.documents import JsonObject
from govpost.schemas.event import Event, Leg, Status
from govpost.schemas.identifiers import OrderId, WaybillNo
from govpost.schemas.order import Order, OrderContent, Party

__all__ = [
    "Amend",
    "Amended",
    "Batch",
    "Batched",
    "Cancel",
    "Cancelled",
    "Command",
    "Denied",
    "Found",
    "Noted",
    "Place",
    "Placed",
    "Problem",
    "Query",
    "Record",
    "Refuse",
    "Result",
    "Telling",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Take an order."""

    order: OrderContent
    #: What counts as content (contracts/README): the opened business document, unknown members included, without
    #: empty members and volatile paths. The same portal_ref with other content is a conflict.
    content: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class Amend:
    """Send the order to somebody else, or somewhere else."""

    portal_ref: str
    recipient: Party = field(repr=False)
    #: The portal's identity of this command: a repeat is answered, not applied again.
    command_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an order back."""

    portal_ref: str
    reason: str | None = field(default=None, repr=False)
    command_id: str = "cancel"


@dataclass(frozen=True, slots=True)
class Query:
    """Ask how an order stands."""

    portal_ref: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell a polled portal that an order it holds for us cannot be taken, and keep it for a person."""

    portal_ref: str
    #: For the portal's engineers; holds no personal data.
    reason: str
    #: What was handed over, as far as it could be read; kept sealed.
    content: JsonObject = field(repr=False)
    #: The wire path of the member at fault, where there is one.
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """One event that a backend tells, and which item it is about: by our number, by the waybill's, or by both."""

    event: Event = field(repr=False)
    order_id: OrderId | None = None
    waybill_no: WaybillNo | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Record what a backend tells. What no order fits is kept until one does."""

    tellings: tuple[Telling, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Take many orders at once, each of which stands alone."""

    #: The portal's own number of the batch. The same number with another digest is a conflict.
    batch_no: str
    digest: bytes
    #: In the portal's order; what is wrong with a single one stands in its place.
    commands: "tuple[Place | Denied, ...]"


Command: TypeAlias = Place | Amend | Cancel | Query | Record | Batch


class Problem(StrEnum):
    """Why a portal's request was not done."""

    INVALID = "invalid"
    SIGNATURE = "signature"
    TIMESTAMP = "timestamp"
    REPLAYED = "replayed"
    UNKNOWN_ORDER = "unknown_order"
    CONFLICT = "conflict"
    TOO_LATE = "too_late"
    TRY_AGAIN = "try_again"


@dataclass(frozen=True, slots=True)
class Placed:
    """The order is durable; `is_repeat` where it was so before."""

    portal_ref: str
    order_id: OrderId
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Amended:
    """The amendment holds."""

    portal_ref: str
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The order is cancelled."""

    portal_ref: str
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Found:
    """How an order stands: what moved it and was not taken back, oldest first."""

    order: Order
    status: Status
    waybill_nos: dict[Leg, WaybillNo]
    traces: tuple[Event, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Noted:
    """Everything that was told is durable."""

    #: Events that no order fits yet.
    strays: int = 0


@dataclass(frozen=True, slots=True)
class Denied:
    """It was not done, and nothing changed. `reason` is for the portal's engineers and holds no personal data."""

    problem: Problem
    reason: str
    #: The wire path of the member at fault, where there is one.
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Batched:
    """What came of each order of a batch, in its order."""

    results: tuple[Placed | Denied, ...]


Result: TypeAlias = Placed | Amended | Cancelled | Found | Noted | Batched | Denied
