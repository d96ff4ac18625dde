"""What a mock is: a state machine that answers requests, and a plan of what goes wrong meanwhile.

A mock knows nothing of sockets. What carries requests to it, a server (`govpost.mocks.server`) or the `responses`
library (`govpost.mocks.behind_responses`), calls `Mock.exchange` and acts out the fault that it names.
"""

import json
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib.resources import files
from math import ceil
from threading import RLock
from types import MappingProxyType
from typing import Any, ClassVar, Self

from govpost.mocks.faults import WITHOUT_EFFECT, Fault, FaultKind, FaultPlan
from govpost.schemas import OutcomeKind, Reason, Status, WireReply, WireRequest

__all__ = [
    "CarrierMock",
    "Exchange",
    "Heard",
    "JsonObject",
    "Member",
    "Mock",
    "PortalMock",
    "Rejection",
    "Sample",
    "Story",
    "UnfitError",
    "check_members",
    "dump_json",
    "is_object",
    "json_reply",
    "load_data",
    "load_json_object",
    "one_of",
    "text",
    "utc_now",
]

JsonObject = dict[str, Any]


def utc_now() -> datetime:
    """Tell the time, aware UTC."""
    return datetime.now(UTC)


class UnfitError(Exception):
    """Say which part of a request (or of an answer) does not fit its contract, and why; never a value."""

    def __init__(self, where: str, reason: str, *, code: str = "400") -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason
        #: The system's own code for such a refusal.
        self.code = code


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that did not fit, and why."""

    request: WireRequest = field(repr=False)
    #: `header X-Sign`, `body.order_id`, `path` …
    where: str
    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a request met with. The carrier acts out the fault; there is no reply where there is none to give."""

    reply: WireReply | None
    fault: Fault | None = None
    #: To be done before the reply leaves, and where it may wait: it may call whoever asked.
    first: Callable[[], object] | None = None


class Mock(ABC):
    """Base of all mocks. Thread-safe: one request at a time changes the state."""

    #: Name in the entry-point group `govpost.mocks` and of `govpost mock <key>`.
    key: ClassVar[str]
    #: Key of the adapter that talks to it; "" where that is its own key.
    stands_for: ClassVar[str] = ""
    #: What the contract says of the system's own codes, in our words; `govpost.tests.conformance` holds adapters to it.
    #: Codes of what happens to an item, None for one that takes an earlier one back. Of a portal: what it is told; of
    #: a backend: what it tells.
    statuses: ClassVar[Mapping[str, Status | None]] = MappingProxyType({})
    #: Codes of why an item could not be delivered; none where a portal is not told.
    reasons: ClassVar[Mapping[str, Reason]] = MappingProxyType({})
    #: What `say` can answer to something that is told: code → what becomes of it.
    results: ClassVar[Mapping[str, OutcomeKind]] = MappingProxyType({})

    def __init__(
        self, *, plan: FaultPlan | None = None, now: Callable[[], datetime] = utc_now, keep: int = 10_000
    ) -> None:
        self.plan = plan or FaultPlan()
        self.now = now
        #: Where the mock is served, without a slash at the end; set by whatever serves it.
        self.url = ""
        #: The newest `keep` requests and rejections, oldest first.
        self.requests: deque[WireRequest] = deque(maxlen=keep)
        self.rejected: deque[Rejection] = deque(maxlen=keep)
        #: How many requests came in, those that met a fault before they were read included.
        self.received = 0
        self._lock = RLock()

    @classmethod
    @abstractmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the counterpart of a gateway from that gateway's settings (the parsed TOML); {} for demo keys."""

    @abstractmethod
    def settings(self) -> JsonObject:
        """Give what a gateway's section must hold to talk to this mock: keys, and the address it is served at."""

    @abstractmethod
    def _respond(self, request: WireRequest) -> WireReply:
        """Answer a request and change the state; raise UnfitError for what does not fit."""

    @abstractmethod
    def state(self) -> JsonObject:
        """Sum up what the mock knows: counts only."""

    @abstractmethod
    def report(self) -> JsonObject:
        """List what the mock knows of each order, without personal data."""

    def handle(self, request: WireRequest) -> WireReply:
        """Answer a request; nothing goes wrong on the way."""
        with self._lock:
            self._note(request)
            try:
                return self._respond(request)
            except UnfitError as error:
                self.rejected.append(Rejection(request, error.where, error.reason, error.code))
                return self._refuse(error)

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Build the answer that gives something told one of the codes in `results`; nothing is done."""
        raise NotImplementedError(f"{self.key} gives no results")

    def wrap(self, content: bytes) -> WireRequest | None:  # noqa: ARG002 - for those that call the gateway
        """Seal and sign any bytes as if they were a document that the system sends; None for one that sends nothing.

        Well-formed or not: an honest caller may have a bad day.
        """
        return None

    def exchange(self, request: WireRequest) -> Exchange:
        """Answer a request, or let it go wrong as the plan wants it."""
        fault = self.plan.draw(request)
        if fault is None:
            return Exchange(self.handle(request))
        if fault.kind in WITHOUT_EFFECT:
            with self._lock:
                self._note(request)
            return Exchange(self._reply_of(fault, None), fault)
        return Exchange(self._reply_of(fault, self.handle(request)), fault)

    def reset(self) -> None:
        """Forget everything that happened and everything that was planned."""
        with self._lock:
            self.requests.clear()
            self.rejected.clear()
            self.received = 0
            self.plan.clear()
            self.plan.drawn.clear()

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """Name what the mock can be told to do over its control door: keyword arguments in, JSON out."""
        return {}

    def _note(self, request: WireRequest) -> None:
        self.requests.append(request)
        self.received += 1

    def _refuse(self, error: UnfitError) -> WireReply:
        return json_reply(int(error.code), {"where": error.where, "reason": error.reason})

    def _say_busy(self, seconds: int) -> WireReply:
        return json_reply(429, {"reason": "busy"}, {"Retry-After": str(seconds)})

    def _reply_of(self, fault: Fault, reply: WireReply | None) -> WireReply | None:
        match fault.kind:
            case FaultKind.ERROR | FaultKind.ERROR_AFTER:
                return WireReply(fault.status, {"Content-Type": "text/html"}, b"<h1>something went wrong</h1>")
            case FaultKind.BUSY:
                return self._say_busy(ceil(fault.seconds))
            case FaultKind.GARBAGE:
                return WireReply(200, {"Content-Type": "application/json"}, fault.body)
            case FaultKind.WRONG_TYPE if reply is not None:
                return WireReply(reply.status, {"Content-Type": "text/html"}, reply.body)
            case _:
                return reply


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that a portal was told of an order, and took."""

    portal_ref: str
    #: What the wire knows this telling by; the same across retries.
    identity: str
    #: The portal's own code of the status.
    status: str
    waybill_no: str = ""
    leg: int = 1
    #: The portal's own code of why it could not be delivered.
    reason: str = ""
    #: The business body as it was told, opened.
    body: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """Something that a portal hands over at once, and the orders in it."""

    #: For `PortalMock.hand_over`.
    document: JsonObject = field(repr=False)
    #: portal_ref → how many legs that order has.
    legs: Mapping[str, int]


class PortalMock(Mock):
    """A portal: hands orders over, and is told what becomes of them."""

    #: Whether it waits to be asked for orders; it is told then of each one that it was accepted.
    is_polled: ClassVar[bool] = False
    #: What some of its sample orders have in common, in the words of `[[routes]]`: the demo sends these to another
    #: backend than the rest.
    apart: ClassVar[Mapping[str, str]] = MappingProxyType({"direction": "from_applicant"})
    #: Whether what it has to hear of a delivery depends on who signed: the demo has its orders carried by backends that
    #: say so.
    wants_signers: ClassVar[bool] = False
    #: Backend's adapter → tables of its section → what this portal's mail needs there; the demo puts them together.
    carrier_settings: ClassVar[Mapping[str, Mapping[str, JsonObject]]] = MappingProxyType({})

    def samples(self) -> Sequence[Sample]:
        """Give the contract's sample orders, those that must be refused left out; without any it is in no demo."""
        return ()

    @abstractmethod
    def hand_over(self, document: JsonObject) -> WireRequest | None:
        """Hand an order over, in the wire's own words as the contract's samples have them.

        Returns the request that the portal makes, signed and sealed anew at each call, its url path only; or None
        for a portal that waits to be polled, which offers the order from then on.
        """

    @abstractmethod
    def is_taken(self, reply: WireReply) -> bool:
        """Tell whether a gateway's answer to `hand_over`'s request means yes; UnfitError for an unfit answer."""

    @abstractmethod
    def heard(self) -> list[Heard]:
        """List everything it was told and took, in arrival order, each thing once."""

    def commands(self, document: JsonObject) -> Mapping[str, WireRequest]:  # noqa: ARG002 - for those that have some
        """Build what else the portal may ask about an order that it handed over: `amend`, `cancel`, `query`.

        By that name, each signed anew at each call; nothing for a portal that asks no more.
        """
        return {}


@dataclass(frozen=True, slots=True)
class Story:
    """What can become of an order."""

    #: Courses of the backend's, one after the other: the next begins when the portal has heard all of the last.
    courses: tuple[str, ...]
    #: Where the order stands in the end.
    ends: Status
    #: Of orders with so many legs.
    legs: int = 1


class CarrierMock(Mock):
    """A backend: takes orders, and tells what happens to them."""

    #: Title → story, for the demo; without any it is in none.
    stories: ClassVar[Mapping[str, Story]] = MappingProxyType({})
    #: Whether what it tells of a delivery names somebody who may sign for that recipient.
    names_signers: ClassVar[bool] = False
    #: Where the gateway is, without a slash at the end, and a token of its API; set by whoever runs both.
    gateway_url: str = ""
    api_token: str = ""
    #: What was pushed and the gateway has not taken yet.
    untold: Sequence[Any] = ()

    def play(self, order_id: str, course: str) -> Sequence[Any]:
        """Let the next things happen to an order that was placed, and return what there is to tell."""
        raise NotImplementedError(f"{type(self).__name__} has stories: it needs a method `play`")

    def push(self, told: Iterable[Any] = (), /) -> object:
        """Tell the gateway, as the plan arranges it; what is not taken is `untold`, and goes first the next time."""
        raise NotImplementedError(f"{type(self).__name__} has stories: it needs a method `push`")

    def happened(self, order_id: str) -> Sequence[tuple[int, Status | None]]:
        """List all that happened to an order so far: its leg and status; None takes back what that leg's last did.

        Nothing for an order that was not placed (yet).
        """
        raise NotImplementedError(f"{type(self).__name__} has stories: it needs a method `happened`")

    #: (Code of `statuses`, code of how or why) → the members of the event that the contract says the two mean.
    details: ClassVar[Mapping[tuple[str, str], Mapping[str, StrEnum]]] = MappingProxyType({})

    def tell(self, order_id: str, code: str, detail: str = "") -> WireRequest | None:  # noqa: ARG002 - for those that tell
        """Let what `code` stands for happen to an item that was placed, and build the request that tells it.

        Any code, an unheard-of one too; path only, signed anew at each call. None for a backend that tells nothing in
        words of its own, but at `/api/v1`.
        """
        return None

    def is_taken(self, reply: WireReply) -> bool:
        """Tell whether a gateway's answer to what it was told means yes."""
        return reply.status // 100 == 2

    @abstractmethod
    def placed(self) -> Mapping[str, int]:
        """Count for each of our order ids how often it would be mailed, a leg at most; over 1 is a fault of ours."""


def load_data(name: str) -> Any:
    """Read one of the JSON files with the contracts' samples."""
    return json.loads(files("govpost.mocks").joinpath("data", name).read_bytes())


def dump_json(document: Any) -> bytes:
    """Write JSON in UTF-8 as the examples do: compact, nothing escaped that need not be."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def json_reply(status: int, document: Any, headers: Mapping[str, str] | None = None) -> WireReply:
    """Build a reply that holds JSON."""
    content_type = {"Content-Type": "application/json; charset=utf-8"}
    return WireReply(status, {**content_type, **(headers or {})}, dump_json(document))


def load_json_object(body: bytes, *, where: str = "body") -> JsonObject:
    """Read a JSON object; UnfitError where it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        raise UnfitError(where, "is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise UnfitError(where, "is not a JSON object")
    return document


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object, as the contract wants it."""

    name: str
    #: What fits, in words.
    rule: str
    fits: Callable[[Any], bool]
    is_required: bool = True


def text(name: str, pattern: str, rule: str, *, is_required: bool = True) -> Member:
    """Describe a member that is a string of a form."""
    form = re.compile(pattern)
    return Member(name, rule, lambda value: isinstance(value, str) and bool(form.fullmatch(value)), is_required)


def one_of(name: str, *values: Any, is_required: bool = True) -> Member:
    """Describe a member that is one of few values, of the same type."""
    rule = f"is not one of {', '.join(map(repr, values))}"
    kinds = {type(value) for value in values}
    return Member(name, rule, lambda value: type(value) in kinds and value in values, is_required)


def is_object(name: str, *, is_required: bool = True) -> Member:
    """Describe a member that is an object with something in it."""
    return Member(name, "is no object with members", lambda value: isinstance(value, dict) and bool(value), is_required)


def check_members(document: JsonObject, members: tuple[Member, ...], *, where: str, is_open: bool = False) -> None:
    """Hold an object to its members; UnfitError names the first that is missing, unfit or (unless open) unknown."""
    for member in members:
        if member.name not in document:
            if member.is_required:
                raise UnfitError(f"{where}.{member.name}", "is missing")
        elif not member.fits(document[member.name]):
            raise UnfitError(f"{where}.{member.name}", member.rule)
    unknown = document.keys() - {member.name for member in members}
    if unknown and not is_open:
        raise UnfitError(f"{where}.{min(unknown)}", "is not in the contract")
