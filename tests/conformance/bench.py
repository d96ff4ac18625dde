"""An adapter and its far side, face to face: no socket, no real clock, no chance."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Generic, TypeVar

from govpost.adapters.base import Document, Inbound, Owed, Page
from govpost.mocks.base import CarrierMock, Mock, PortalMock, UnfitError
from govpost.mocks.faults import FaultKind
from govpost.schemas import (
    Batch,
    Command,
    Denied,
    Outcome,
    OutcomeKind,
    Presence,
    Refuse,
    Source,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import BreakageError, GovpostError, UnreadableError
from govpost.tests.conformance.subject import Finding, Subject

__all__ = ["NOW", "Bench", "Door", "Talk", "always", "converse"]

T = TypeVar("T")

#: Where every bench's clock starts.
NOW = datetime(2023, 12, 1, 0, 30, 20, tzinfo=UTC)

#: Where the far side seems to be served. Nothing is ever sent there.
ADDRESS = "http://127.0.0.1:9"

#: What answers a request in memory; a BreakageError where no answer comes.
Door = Callable[[WireRequest], WireReply]

_LOST = {
    FaultKind.REFUSE: Outcome(OutcomeKind.NOT_SENT, code="refused_connection"),
    FaultKind.HANG: Outcome(OutcomeKind.UNKNOWN, code="timeout"),
    FaultKind.HANG_AFTER: Outcome(OutcomeKind.UNKNOWN, code="timeout"),
    FaultKind.RESET: Outcome(OutcomeKind.UNKNOWN, code="connection_lost"),
}


@dataclass(slots=True)
class Talk(Generic[T]):
    """A conversation that was held, and what came of it."""

    result: T | None = None
    #: What the adapter let through instead of a result.
    error: GovpostError | None = None
    requests: list[WireRequest] = field(default_factory=list)
    replies: list[WireReply] = field(default_factory=list)
    #: It asked on after an answer had been lost.
    went_on: bool = False

    @property
    def outcome(self) -> Outcome:
        """What became of the one document that was sent."""
        (outcome,) = self.outcomes(1)
        return outcome

    def outcomes(self, number: int) -> list[Outcome]:
        """Give an outcome for each of so many documents, as the relay sees them."""
        if isinstance(self.error, BreakageError):
            return [self.error.outcome] * number
        if isinstance(self.error, UnreadableError):
            return [Outcome(OutcomeKind.UNKNOWN, code="unreadable")] * number
        if self.error is not None:
            raise Finding(f"send raised {type(self.error).__name__}")
        outcomes = list(self.result) if isinstance(self.result, Sequence) else []
        if len(outcomes) != number:
            raise Finding(f"send gave {len(outcomes)} outcomes for {number} documents")
        return outcomes

    @property
    def presence(self) -> Presence:
        """What a probe found out."""
        return self.result if isinstance(self.result, Presence) else Presence.CANNOT_TELL


def converse(conversation: Generator[WireRequest, WireReply, T], door: Door) -> Talk[T]:
    """Carry a conversation to its end, as a driver of the gateway does."""
    talk: Talk[T] = Talk()
    answer: WireReply | BreakageError | None = None
    try:
        while True:
            request = _next(conversation, answer)
            talk.went_on |= isinstance(answer, BreakageError)
            talk.requests.append(request)
            answer = _carry(door, request)
            if isinstance(answer, WireReply):
                talk.replies.append(answer)
    except StopIteration as end:
        talk.result = end.value
    except GovpostError as error:
        talk.error = error
    return talk


def _next(
    conversation: Generator[WireRequest, WireReply, Any], answer: WireReply | BreakageError | None
) -> WireRequest:
    if answer is None:
        return next(conversation)
    if isinstance(answer, BreakageError):
        return conversation.throw(answer)
    return conversation.send(answer)


def _carry(door: Door, request: WireRequest) -> WireReply | BreakageError:
    try:
        return door(request)
    except BreakageError as error:
        return error


def always(reply: WireReply) -> Door:
    """Answer every request alike."""
    return lambda _: reply


class _Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


class Bench:
    """One adapter, built from the settings that its far side gives, and that far side."""

    def __init__(self, subject: Subject) -> None:
        if subject.mock_type is None:
            raise Finding("no mock stands for it")
        self.subject = subject
        self._clock = _Clock()
        self._tokens = count(1)
        self.mock: Mock = subject.mock_type(now=self._clock)
        self.mock.url = ADDRESS
        self.adapter = subject.build(self.mock.settings())
        self.source = Source(now=self._clock, token=lambda: f"{next(self._tokens):032x}")

    @property
    def portal(self) -> PortalMock:
        """The far side as a portal."""
        if not isinstance(self.mock, PortalMock):
            raise Finding("its mock is no PortalMock")
        return self.mock

    @property
    def backend(self) -> CarrierMock:
        """The far side as a backend."""
        if not isinstance(self.mock, CarrierMock):
            raise Finding("its mock is no CarrierMock")
        return self.mock

    @property
    def now(self) -> datetime:
        """What the clock of both sides says."""
        return self._clock.at

    def wait(self, seconds: float) -> None:
        """Set the clock forward."""
        self._clock.at += timedelta(seconds=seconds)

    def door(self, request: WireRequest) -> WireReply:
        """Hand a request to the mock, faults acted out."""
        if not request.url.startswith(ADDRESS):
            raise Finding("it calls another address than its settings say")
        exchange = self.mock.exchange(replace(request, url=request.url.removeprefix(ADDRESS) or "/"))
        if exchange.fault is not None and exchange.fault.kind in _LOST:
            raise BreakageError(_LOST[exchange.fault.kind])
        return exchange.reply or WireReply(500)

    def complaint(self) -> str:
        """Say why the far side refused the newest request that did not fit; "" where all fit."""
        if not self.mock.rejected:
            return ""
        newest = self.mock.rejected[-1]
        return f" (its mock: {newest.where} {newest.reason})"

    # --- what we tell ------------------------------------------------------------------------------------------------

    def send(self, *documents: Document, door: Door | None = None) -> Talk[Sequence[Outcome]]:
        """Send documents of one call."""
        return converse(self.adapter.send(documents, self.source), door or self.door)

    def tell(self, owed: Owed, *, door: Door | None = None) -> Talk[Sequence[Outcome]]:
        """Render what is owed and send it."""
        return self.send(self.adapter.render(owed), door=door)

    def probe(self, owed: Owed, *, door: Door | None = None) -> Talk[Presence]:
        """Ask whether it has arrived."""
        return converse(self.adapter.probe(owed, self.source), door or self.door)

    # --- what we are told --------------------------------------------------------------------------------------------

    def read(self, request: WireRequest, *, late_s: float = 0.0) -> Inbound:
        """Read a request; `late_s` is how much later than the clock it comes in."""
        inbound: Inbound = self.adapter.read(request, self.now + timedelta(seconds=late_s))
        return inbound

    def hand_over(self, document: Any) -> WireRequest:
        """Let the portal build its request."""
        request = self.portal.hand_over(document)
        if request is None:
            raise Finding("its mock hands nothing over, though the manifest says that it calls us")
        return request

    def poll(self, cursor: str = "", *, door: Door | None = None) -> Talk[Page | Outcome]:
        """Ask for a page of orders."""
        return converse(self.adapter.poll(cursor, self.source), door or self.door)

    def page(self, cursor: str = "") -> Page:
        """Ask for a page and get one."""
        talk = self.poll(cursor)
        if not isinstance(talk.result, Page):
            raise Finding(f"poll brought no page{self.complaint()}")
        return talk.result

    def can_hand_over(self, document: Any) -> bool:
        """Tell whether the portal can say such a thing at all."""
        try:
            self.portal.hand_over(document)
        except UnfitError:
            return False
        return True

    def take(self, document: Any) -> Command | Refuse | Denied | None:
        """Let the portal hand a document over; gives what the adapter makes of it, None where it can't be said."""
        if not self.can_hand_over(document):
            return None
        if not self.subject.is_polled:
            return _alone(self.read(self.hand_over(document)).command)
        commands = self.page().commands
        if len(commands) != 1:
            raise Finding(f"one order was offered, and poll brought {len(commands)}")
        return commands[0]


def _alone(command: Command | Denied) -> Command | Denied:
    """Give the one order of a batch that holds no more; anything else as it is."""
    if not isinstance(command, Batch):
        return command
    if len(command.commands) != 1:
        raise Finding(f"one order was handed over, and read as a batch of {len(command.commands)}")
    return command.commands[0]
