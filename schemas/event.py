"""What happened to an item, and what a portal is told of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Base64Bytes, Field, StringConstraints, model_validator

from govpost.schemas._model import Model
from govpost.schemas.identifiers import OrderId, WaybillNo
from govpost.schemas.order import PersonName, ProofKind, Text

__all__ = [
    "MAX_PROOF_BYTES",
    "Cause",
    "Event",
    "EventId",
    "KeptProof",
    "Leg",
    "MediaType",
    "Office",
    "Proof",
    "RawCode",
    "Reason",
    "ReceivedBy",
    "Signer",
    "Status",
    "Update",
]

Leg = Literal[1, 2]
EventId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
MediaType = Literal["image/png", "image/jpeg", "application/pdf"]
RawCode = Annotated[str, StringConstraints(min_length=1, max_length=100)]


#: How much one piece of evidence may be.
MAX_PROOF_BYTES = 4 * 1024 * 1024

#: How a file of each type begins.
_BEGINNINGS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "application/pdf": b"%PDF-"}


class Status(StrEnum):
    """How far an item has come, in the order in which it usually gets there."""

    ACCEPTED = "accepted"
    NUMBERED = "numbered"
    COLLECTED = "collected"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    RETURNING = "returning"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    LOST = "lost"
    #: An event that could not be read; it moves nothing.
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why an item could not be delivered."""

    BAD_ADDRESS = "bad_address"
    UNKNOWN_PERSON = "unknown_person"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    MOVED = "moved"
    DEFERRED = "deferred"
    WILL_COLLECT = "will_collect"
    OTHER = "other"


class ReceivedBy(StrEnum):
    """Who took the item."""

    SELF = "self"
    FAMILY = "family"
    AGENT = "agent"
    COLLEAGUE = "colleague"
    MAILROOM = "mailroom"
    OFFICE = "office"
    PROPERTY = "property"
    PICKUP_POINT = "pickup_point"
    UNATTENDED = "unattended"
    OTHER = "other"


class Cause(StrEnum):
    """Whose doing an event is: the post's, or the portal's own (a cancel it asked for)."""

    POST = "post"
    PORTAL = "portal"


class Office(Model):
    """The post office where it happened."""

    code: Text | None = None
    name: Text
    city: Text | None = None


class Signer(Model):
    """Who signed for the item."""

    name: PersonName = Field(repr=False)
    relation: Text | None = None
    id_type: Text | None = None
    id_no: Text | None = Field(default=None, repr=False)


class Proof(Model):
    """Evidence that came with an event: a picture or a scan."""

    kind: ProofKind
    media_type: MediaType
    data: Base64Bytes = Field(repr=False)

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        """Hold the content to its type, whatever it is called, and to its size."""
        if len(self.data) > MAX_PROOF_BYTES:
            raise ValueError(f"is larger than {MAX_PROOF_BYTES} bytes")
        if not self.data.startswith(_BEGINNINGS[self.media_type]):
            raise ValueError(f"its data is no {self.media_type}")
        return self


class KeptProof(Model):
    """Evidence that is kept beside the ledger."""

    kind: ProofKind
    media_type: MediaType
    #: Names it: a keyed hash of the content.
    digest: str
    #: Bytes.
    size: int


class Event(Model):
    """Something that happened to the item of an order, as its source tells it (contract: webhook)."""

    #: The source's own number of the event.
    event_id: EventId
    #: Missing only where the event does nothing but revoke.
    status: Status | None = None
    occurred_at: AwareDatetime
    leg: Leg = 1
    waybill_no: WaybillNo | None = None
    office: Office | None = None
    reason: Reason | None = None
    received_by: ReceivedBy | None = None
    signer: Signer | None = Field(default=None, repr=False)
    proof: tuple[Proof, ...] = Field(default=(), repr=False)
    #: What of it the ledger keeps; ours.
    kept_proof: tuple[KeptProof, ...] = Field(default=(), repr=False)
    #: The event_id, of the same source, that this one takes back.
    revokes: EventId | None = None
    #: For a source that does not name the event it takes back: the raw code of it. The newest one with that code that
    #: is not later than this event, of the same leg and not taken back yet, is meant; one not seen yet is waited for.
    revokes_code: RawCode | None = None
    #: Foreign free text. Kept, never forwarded: it holds couriers' names and phones.
    note: Annotated[str, StringConstraints(max_length=2000)] | None = Field(default=None, repr=False)
    #: The source's own code of what happened, where it has codes. Stored in the clear.
    raw_code: RawCode | None = None
    cause: Cause = Cause.POST

    @model_validator(mode="after")
    def _check_says_something(self) -> Self:
        """Refuse an event that neither has a status nor revokes one."""
        if self.status is None and self.revokes is None and self.revokes_code is None:
            raise ValueError("status is missing")
        return self


@dataclass(frozen=True, slots=True)
class Update:
    """An event on its way to a portal."""

    order_id: OrderId
    event: Event
    #: What the portal is told the item has come to; for a correction the state the order went back to.
    status: Status
    leg: Leg
    #: The first number of this leg; None only for what is told without one (`cancelled`).
    waybill_no: WaybillNo | None
    #: The delivery whose telling this one takes back; None where it corrects nothing.
    corrects: str | None = None
