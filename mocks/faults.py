"""Faults on command: which request, or which thing that a mock sends, goes wrong, and how.

A `FaultPlan` is seeded: the same seed and the same sequence of requests give the same faults. What a test scripts
with `FaultPlan.next` comes first; only then are the rates rolled.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from threading import Lock
from typing import Any, TypeVar

from govpost.schemas import WireRequest

__all__ = ["INCOMING", "OUTGOING", "WITHOUT_EFFECT", "Fault", "FaultKind", "FaultPlan"]

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


#: What a mock sends can go wrong in these ways, what it receives in all others.
OUTGOING = frozenset({FaultKind.DUPLICATE, FaultKind.OUT_OF_ORDER})
INCOMING = frozenset(FaultKind) - OUTGOING
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
    """One of the two directions, each with dice of its own so that they do not disturb one another."""

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
        self._seconds = {**_SECONDS, **{FaultKind(kind): value for kind, value in (seconds or {}).items()}}
        self.set_rates(rates or {})

    @property
    def rates(self) -> dict[FaultKind, float]:
        """The probability of each kind, without what is 0."""
        return {**self._in.rates, **self._out.rates}

    def set_rates(self, rates: Mapping[str, float], *, seconds: Mapping[str, float] | None = None) -> None:
        """Replace all rates, and the seconds of the kinds that are named.

        Raises ValueError for an unknown kind, a rate outside 0..1, or rates of one direction that add up to over 1.
        """
        wanted = {FaultKind(kind): rate for kind, rate in rates.items() if rate}
        waits = {FaultKind(kind): value for kind, value in (seconds or {}).items()}
        split = [
            {kind: wanted[kind] for kind in FaultKind if kind in wanted and kind in kinds} for kinds in _DIRECTIONS
        ]
        if any(rate < 0 for rate in wanted.values()) or any(sum(part.values()) > 1 for part in split):
            raise ValueError("fault rates are probabilities, and those of one direction add up to 1 at most")
        with self._lock:
            self._in.rates, self._out.rates = split
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
        """Let the next `times` requests or things sent for which `when` holds go wrong; scripted first, used first."""
        chosen = FaultKind(kind)
        wait = self._seconds.get(chosen, 0.0) if seconds is None else seconds
        with self._lock:
            self._script.append(_Scripted(Fault(chosen, wait, status, body), times, when))

    def clear(self) -> None:
        """Forget script and rates, so that nothing goes wrong any more."""
        with self._lock:
            self._script.clear()
            self._in.rates, self._out.rates = {}, {}

    def draw(self, request: WireRequest) -> Fault | None:
        """Decide what goes wrong with a request that came in; None for nothing."""
        return self._draw(self._in, request)

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


_DIRECTIONS = (INCOMING, OUTGOING)
