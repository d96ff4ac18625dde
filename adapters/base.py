"""What an adapter is: the roles it can play, and the values that pass between it and the engine.

An adapter is pure. It opens no socket and reads no clock, environment or random source; what it needs of these is
handed to it as a `Source`. It is constructed once from its own `Settings` and shared by threads.

A telling outlives the process that began it and must be repeated byte for byte, so it has two steps: `render`
makes the business body, once, for the ledger to keep; `send` wraps what was kept into a request, signed anew each
time. Portals (`informed`) and backends (`carries`) share this form: `Outbound`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from ulid import ULID

from govpost.adapters.manifest import Manifest
from govpost.schemas import (
    Command,
    Conversation,
    Denied,
    Event,
    Order,
    Outcome,
    Place,
    Presence,
    Refuse,
    Result,
    Source,
    Status,
    Telling,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas._model import Model
from govpost.schemas.documents import JsonObject
from govpost.schemas.identifiers import WaybillNo

__all__ = [
    "Adapter",
    "AdapterSettings",
    "DeliveryKind",
    "Document",
    "Explains",
    "Inbound",
    "Labels",
    "Outbound",
    "Owed",
    "OwedRefusal",
    "Page",
    "Polled",
    "Receives",
    "Reconciled",
    "Secret",
    "Standing",
    "Traced",
]

Secret = Annotated[SecretStr, Field(min_length=1)]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AdapterSettings(Model):
    """Base of every adapter's settings: an address must be https unless it is loopback or said aloud."""

    #: Plain http to another machine, against all advice.
    allow_http: bool = False

    #: Names of the fields that hold an address, or several.
    addresses: ClassVar[tuple[str, ...]] = ("base_url",)

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        for name in self.addresses:
            value = getattr(self, name)
            for address in (value,) if isinstance(value, str) else value:
                _check_address(name, address, allow_http=self.allow_http)
        return self


def _check_address(name: str, address: str, *, allow_http: bool) -> None:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{name} is not an http(s) address")
    if parts.username or parts.query or parts.fragment:
        raise ValueError(f"{name} must be without user, query and fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not allow_http:
        raise ValueError(f"{name} must be https: set allow_http = true to send orders unencrypted all the same")


class DeliveryKind(StrEnum):
    """What a delivery is: a command to a backend, an update to a portal, or its order given back to it."""

    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"
    UPDATE = "update"
    #: What a polled portal handed over cannot be taken.
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Owed:
    """One thing that is owed to a system, as its adapter sees it."""

    #: A ULID; the identity on the wire, or what it is made from. The same across retries.
    delivery_id: str
    kind: DeliveryKind
    order: Order
    created_at: datetime
    #: Set when `kind` is update.
    update: Update | None = None
    #: What this destination has taken before, of the same order, oldest first; only filled for a probe.
    settled: tuple[Update, ...] = ()
    #: What moved the order up to the update's event and was not taken back, that event last; only filled where the
    #: manifest says `needs_history`.
    history: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def identity(self) -> str:
        """The delivery id as 32 lower-case hex digits, for wires that want that form."""
        return ULID.from_str(self.delivery_id).hex


@dataclass(frozen=True, slots=True)
class OwedRefusal:
    """A polled portal is to hear that we cannot take what it handed over. No order stands behind it."""

    #: A ULID, as `Owed.delivery_id`.
    delivery_id: str
    portal_ref: str
    #: Ours; holds no personal data.
    reason: str
    created_at: datetime
    #: What was handed over, as far as it could be read.
    content: JsonObject = field(repr=False)

    @property
    def identity(self) -> str:
        """The delivery id as 32 lower-case hex digits."""
        return ULID.from_str(self.delivery_id).hex


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered business body and the call it is for. Kept sealed and sent byte-identical until it is settled."""

    #: Name of the wire's call; deliveries of the same call may share a batch.
    call: str
    body: bytes = field(repr=False)
    #: Goes on the wire beside the body where the wire wants that (`Idempotency-Key`, CloudEvents id).
    delivery_id: str = ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A request of a portal, read. Either it holds a command, or it was denied."""

    command: Command | Denied
    #: Stored together with the effect; seen before → `Problem.REPLAYED`. None where the caller is not proven.
    nonce: str | None = None
    #: For a wire on which the same request again is a retry: a digest of what the nonce goes with. Seen before with
    #: the same one, the command is carried out again, and every command answers a repeat as it did the first time.
    nonce_digest: bytes | None = None
    #: Whatever `answer` needs to know of the request (an id to echo).
    context: Any = None


class Adapter(Protocol):
    """Every adapter: constructed by the registry from its settings."""

    #: What `[portals.<key>]` or `[backends.<key>]` may hold.
    Settings: ClassVar[type[AdapterSettings]]
    manifest: Manifest

    def __init__(self, settings: Any, manifest: Manifest) -> None: ...


@runtime_checkable
class Receives(Protocol):
    """A system that calls us: a portal with commands, a backend with events (`Record`)."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Verify a request and decode it. Never raises for bad input: that is a `Denied`.

        `request.url` is the path and query as on the request line (`/portals/<section>/…`, `/backends/<section>/…`, a
        base path included): signatures cover it, and its end names the call.
        """
        ...

    def answer(self, inbound: Inbound, result: Result) -> WireReply:
        """Say the result in the portal's words."""
        ...


@runtime_checkable
class Outbound(Protocol):
    """A system that we tell things: a portal (`informed`) or a backend (`carries`)."""

    manifest: Manifest

    def render(self, owed: Owed) -> Document:
        """Make the business body; pure, done once.

        Raises UnsupportedFeatureError when a set field cannot be said to this system.
        """
        ...

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Carry documents of one call across; one outcome for each, in order.

        Several only where the manifest's `batches` names the call. Documents of one order stand in the order in which
        they must be told. A BreakageError may be let through: then it is the outcome of each.
        """
        ...

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask whether a delivery has arrived; only called when the manifest says `has_probe`."""
        ...


@runtime_checkable
class Polled(Protocol):
    """A system that we ask for orders. That one was taken is told as its update `accepted`."""

    #: How long to wait between two polls once there is nothing more.
    poll_every_s: float

    def poll(self, cursor: str, source: Source) -> Conversation["Page | Outcome"]:
        """Fetch the next page of orders after `cursor` ("" at the very beginning, or where the cursor was lost).

        An Outcome where it brought none; never `taken`. A broken order is a `Refuse` and does not spoil its page.
        """
        ...

    def refuse(self, owed: OwedRefusal) -> Document:
        """Make the business body that gives an order back; `send` carries it like any other."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """What a poll brought. The orders and the cursor are committed together."""

    commands: tuple[Place | Refuse, ...]
    cursor: str
    has_more: bool = False


@runtime_checkable
class Reconciled(Protocol):
    """A portal that says what it believes we hold (对账)."""

    def reconcile(self, day: date, source: Source) -> Conversation["tuple[Standing, ...] | Outcome"]:
        """Fetch how the orders of a day (Asia/Shanghai) stand in the portal's books; an Outcome where it won't say."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How an order stands in a portal's books."""

    portal_ref: str
    #: `unknown` where the portal's code means nothing to us.
    status: Status
    #: The portal's own code.
    raw: str


@runtime_checkable
class Traced(Protocol):
    """A backend that can be asked what happened to an item."""

    def trace(self, waybill_no: WaybillNo, source: Source) -> Conversation["tuple[Telling, ...] | Outcome"]:
        """Fetch all events of an item, as they would have been pushed; an Outcome where it says nothing."""
        ...


@runtime_checkable
class Labels(Protocol):
    """A backend that makes the label of an item itself."""

    def label(self, waybill_no: WaybillNo, source: Source) -> Conversation["bytes | Outcome"]:
        """Fetch an item's label as a PDF; an Outcome where it gives none."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A portal whose contract decides more than where an item is: whether papers are served, for one."""

    def explain(self, order: Order, history: Sequence[Event]) -> list[str]:
        """Say in lines what the portal's own rules make of an order, and which rules they are.

        `history` holds what moved the order and was not taken back, oldest first. People read the lines: no personal
        data.
        """
        ...
