"""Faults on command: which request, or which thing that a mock sends, goes wrong, and how.

A `FaultPlan` is seeded: the same seed and the same sequence of requests give the same faults. What a test scripts
with `FaultPlan.next` comes first; only then are the rates rolled.

Faults of a system's own (`OWN`) are errors within a good answer, or at a moment that only that system knows. No
carrier acts them out: the mock asks `FaultPlan.draw_own` where one may happen, and does it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from threading import Lock
from typing import Any, TypeVar

from govpost.schemas import WireRequest

__all__ = ["INCOMING", "OUTGOING", "OWN", "WITHOUT_EFFECT", "Fault", "FaultKind", "FaultPlan"]

T = TypeVar("T")


class FaultKind(StrEnum):
    """What goes wrong."""

    #: Done and answered, but late.
    LATENCY = "latency"
    #: Not done, and never answered.
    HANG = "hang"
    #: Done, and never answered.
    HANG_AFTER = "hang_after"
    #: Not done; nobody listens, for a while.
    REFUSE = "refuse"
    #: Done, then the connection is cut: the reply is lost.
    RESET = "reset"
    #: Not done: HTTP 5xx.
    ERROR = "error"
    #: Done, and HTTP 5xx all the same.
    ERROR_AFTER = "error_after"
    #: Not done: come back in so many seconds (429).
    BUSY = "busy"
    #: Done, and answered with rubbish.
    GARBAGE = "garbage"
    #: Done, and answered as text/html.
    WRONG_TYPE = "wrong_type"
    #: Of what a mock sends: sent twice.
    DUPLICATE = "duplicate"
    #: Of what a mock sends: sent after its follower.
    OUT_OF_ORDER = "out_of_order"
    #: A system's own: one part of a batch is answered "try again", and not done.
    PARTIAL_BATCH = "partial_batch"
    #: A system's own: a cursor is forgotten, and reading begins anew.
    LOST_CURSOR = "lost_cursor"
    #: A system's own: a page is given again, its cursor with it.
    REPEATED_PAGE = "repeated_page"
    #: A system's own: what is offered was changed since it was offered last.
    CHANGED_ITEM = "changed_item"
    #: A system's own: what is offered is broken.
    BROKEN_ITEM = "broken_item"
    #: A system's own: a fresh nonce is taken for one that was used before.
    STALE_NONCE = "stale_nonce"
    #: A system's own: a key that it gave out is valid no more, before its time.
    EXPIRED_KEY = "expired_key"
    #: A system's own: what happened is told before the request that caused it is answered.
    EARLY_PUSH = "early_push"
    #: A system's own: done, and answered that something went wrong inside.
    UNSURE = "unsure"
    #: A system's own: what is told carries the number that something else was told under.
    REPEATED_SERIAL = "repeated_serial"
    #: A system's own: what is told does not say which order it belongs to.
    NAMELESS = "nameless"
    #: A system's own: not done, and answered with a fault of SOAP, under HTTP 200 or 500.
    SOAP_FAULT = "soap_fault"
    #: A system's own: not done, and answered with a sentence that begins with $E.
    DOLLAR_E = "dollar_e"
    #: A system's own: not done, and answered with a page for people, under HTTP 200.
    HTML_PAGE = "html_page"
    #: A system's own: done, and answered in an XML namespace that is not the wire's.
    WRONG_NAMESPACE = "wrong_namespace"
    #: A system's own: done, and answered in another encoding than the answer says.
    WRONG_ENCODING = "wrong_encoding"
    #: A system's own: done, but the document in the answer ends in its middle.
    TRUNCATED = "truncated"
    #: A system's own: done, but the document in the answer has no head.
    HEADLESS = "headless"
    #: A system's own: done, but there are not as many records as the answer says.
    WRONG_COUNT = "wrong_count"
    #: A system's own: done, but a percent-encoded value ends within a character.
    BROKEN_ESCAPE = "broken_escape"
    #: A system's own: done, but all values are percent-encoded twice.
    DOUBLE_ESCAPE = "double_escape"
    #: A system's own: an answer is not what its signature was made of.
    BAD_SIGNATURE = "bad_signature"
    #: A system's own: an answer is signed, and says that this was long ago.
    STALE_ANSWER = "stale_answer"
    #: A system's own: an answer has a DTD that declares an entity, and uses it.
    ENTITY = "entity"


#: What a mock sends can go wrong in these ways.
OUTGOING = frozenset({FaultKind.DUPLICATE, FaultKind.OUT_OF_ORDER})
#: These a mock that knows them brings about itself.
OWN = frozenset(
    {
        FaultKind.PARTIAL_BATCH,
        FaultKind.LOST_CURSOR,
        FaultKind.REPEATED_PAGE,
        FaultKind.CHANGED_ITEM,
        FaultKind.BROKEN_ITEM,
        FaultKind.STALE_NONCE,
        FaultKind.EXPIRED_KEY,
        FaultKind.EARLY_PUSH,
        FaultKind.UNSURE,
        FaultKind.REPEATED_SERIAL,
        FaultKind.NAMELESS,
        FaultKind.SOAP_FAULT,
        FaultKind.DOLLAR_E,
        FaultKind.HTML_PAGE,
        FaultKind.WRONG_NAMESPACE,
        FaultKind.WRONG_ENCODING,
        FaultKind.TRUNCATED,
        FaultKind.HEADLESS,
        FaultKind.WRONG_COUNT,
        FaultKind.BROKEN_ESCAPE,
        FaultKind.DOUBLE_ESCAPE,
        FaultKind.BAD_SIGNATURE,
        FaultKind.STALE_ANSWER,
        FaultKind.ENTITY,
    }
)
#: What a mock receives can go wrong in all other ways.
INCOMING = frozenset(FaultKind) - OUTGOING - OWN
#: The mock does not act on a request that meets one of these.
WITHOUT_EFFECT = frozenset({FaultKind.HANG, FaultKind.REFUSE, FaultKind.ERROR, FaultKind.BUSY})

_SECONDS = {FaultKind.LATENCY: 0.05, FaultKind.REFUSE: 0.2, FaultKind.BUSY: 1.0}
_STATUSES = (500, 502, 503, 504)
_GARBAGE = (
    b"",
    b'{"result_code":',
    b"\xff\xfe\x00\x80 \x01",
    b"[[[[",
    b'"200"',
    b"<html><body>Bad Gateway</body></html>",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, with all that was decided about it."""

    kind: FaultKind
    #: How late (latency), how long nobody listens (refuse), how long to wait (busy).
    seconds: float = 0.0
    #: The HTTP status of error and error_after.
    status: int = 500
    #: The body of garbage.
    body: bytes = b""


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    times: int
    when: Callable[[Any], bool] | None


@dataclass(slots=True)
class _Direction:
    """Kinds of which one at most happens at a time; each direction has its own dice, so that none disturbs another.

    What comes in is one direction, what goes out another, and so is each of a system's own kinds.
    """

    kinds: frozenset[FaultKind]
    dice: Random
    rates: dict[FaultKind, float] = field(default_factory=dict)


class FaultPlan:
    """Decide the fate of each request that a mock receives and of each thing that it sends. Thread-safe."""

    def __init__(
        self,
        seed: int = 0,
        rates: Mapping[str, float] | None = None,
        *,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        self.seed = seed
        #: How often each kind was drawn.
        self.drawn: Counter[FaultKind] = Counter()
        self._lock = Lock()
        self._script: list[_Scripted] = []
        self._in = _Direction(INCOMING, Random(f"{seed}/in"))
        self._out = _Direction(OUTGOING, Random(f"{seed}/out"))
        self._own = {kind: _Direction(frozenset({kind}), Random(f"{seed}/{kind}")) for kind in OWN}
        self._directions = (self._in, self._out, *self._own.values())
        self._seconds = {**_SECONDS, **{FaultKind(kind): value for kind, value in (seconds or {}).items()}}
        self.set_rates(rates or {})

    @property
    def rates(self) -> dict[FaultKind, float]:
        """The probability of each kind, without what is 0."""
        return {kind: rate for direction in self._directions for kind, rate in direction.rates.items()}

    def set_rates(self, rates: Mapping[str, float], *, seconds: Mapping[str, float] | None = None) -> None:
        """Replace all rates, and the seconds of the kinds that are named.

        Raises ValueError for an unknown kind, a rate outside 0..1, or rates of one direction that add up to over 1.
        """
        wanted = {FaultKind(kind): rate for kind, rate in rates.items() if rate}
        waits = {FaultKind(kind): value for kind, value in (seconds or {}).items()}
        split = [
            {kind: wanted[kind] for kind in FaultKind if kind in wanted and kind in direction.kinds}
            for direction in self._directions
        ]
        if any(rate < 0 for rate in wanted.values()) or any(sum(part.values()) > 1 for part in split):
            raise ValueError("fault rates are probabilities, and those of one direction add up to 1 at most")
        with self._lock:
            for direction, part in zip(self._directions, split, strict=True):
                direction.rates = part
            self._seconds |= waits

    def next(
        self,
        kind: str,
        times: int = 1,
        when: Callable[[Any], bool] | None = None,
        *,
        seconds: float | None = None,
        status: int = 500,
        body: bytes = b"\x00\xff garbage",
    ) -> None:
        """Let the next `times` requests, things sent or subjects of `draw_own` for which `when` holds go wrong.

        What is scripted first is used first.
        """
        chosen = FaultKind(kind)
        wait = self._seconds.get(chosen, 0.0) if seconds is None else seconds
        with self._lock:
            self._script.append(_Scripted(Fault(chosen, wait, status, body), times, when))

    def clear(self) -> None:
        """Forget script and rates, so that nothing goes wrong any more."""
        with self._lock:
            self._script.clear()
            for direction in self._directions:
                direction.rates = {}

    def draw(self, request: WireRequest) -> Fault | None:
        """Decide what goes wrong with a request that came in; None for nothing."""
        return self._draw(self._in, request)

    def draw_own(self, kind: FaultKind, subject: object = None) -> Fault | None:
        """Decide whether a fault of a system's own happens now; `subject` is what a scripted one's `when` is shown.

        To be asked only where the fault can have an effect, since a scripted one is used up by asking.
        """
        return self._draw(self._own[kind], subject)

    def arrange(self, items: Iterable[T]) -> list[T]:
        """Put what is to be sent in the order in which it is sent: some twice, some after their follower."""
        arranged: list[T] = []
        held_back: list[T] = []
        for item in items:
            fault = self._draw(self._out, item)
            if fault is not None and fault.kind is FaultKind.OUT_OF_ORDER:
                held_back.append(item)
                continue
            copies = [item] if fault is None else [item, item]
            arranged += [*copies, *held_back]
            held_back.clear()
        return arranged + held_back

    def _draw(self, direction: _Direction, subject: object) -> Fault | None:
        if not self._script and not direction.rates:
            return None
        with self._lock:
            fault = self._take_scripted(direction, subject) or self._roll(direction)
            if fault is not None:
                self.drawn[fault.kind] += 1
            return fault

    def _take_scripted(self, direction: _Direction, subject: object) -> Fault | None:
        for scripted in self._script:
            if scripted.fault.kind in direction.kinds and (scripted.when is None or scripted.when(subject)):
                scripted.times -= 1
                if scripted.times <= 0:
                    self._script.remove(scripted)
                return scripted.fault
        return None

    def _roll(self, direction: _Direction) -> Fault | None:
        if not direction.rates:
            return None
        chance = direction.dice.random()
        for kind, rate in direction.rates.items():
            chance -= rate
            if chance < 0:
                status, body = direction.dice.choice(_STATUSES), direction.dice.choice(_GARBAGE)
                return Fault(kind, self._seconds.get(kind, 0.0), status, body)
        return None
