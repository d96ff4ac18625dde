"""Go round the offices: whose turn it is, and from when to when it is asked (contract: vehicle_admin, 02Y01).

A round asks every office for what changed up to one moment, the same for all. Where an answer is full, the window is
split. A page is one answer; the cursor between two pages holds who is left, and how far each office was read.
Times are Unix seconds here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from pydantic import Field, ValidationError

from govpost.schemas._model import Model

__all__ = ["OVERLAP_S", "Mark", "Round", "Window"]

#: How far a window reaches back behind the end of the one before: clocks differ, and commits come late.
OVERLAP_S = 600

#: After the last good answer of a round, its failed offices are asked once more and have the last word; a poll that
#: comes so much later begins the next round, whatever `every_s` is.
_LAST_WORD_S = 2


class Mark(NamedTuple):
    """How far an office was read."""

    #: Where its next window begins.
    start: int
    #: Where its next window ends, if before the round's end: 0 where it was not split.
    end: int = 0
    #: The earliest second of which not everything came, to be asked for again next round; 0 for none.
    again: int = 0


class Window(NamedTuple):
    """A half-open stretch of time."""

    start: int
    end: int

    @property
    def is_one_second(self) -> bool:
        """Whether it cannot be split."""
        return self.end - self.start <= 1

    def middle(self, times: Sequence[int]) -> int:
        """Find the median of times within, or else the middle, between the ends."""
        within = sorted(time for time in times if time in range(*self))
        middle = within[len(within) // 2] if within else sum(self) // 2
        return max(middle, self.start + 1)


class _Cursor(Model):
    """What the text of a cursor holds."""

    to: int = 0
    left: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    ended: int = 0
    at: dict[str, Mark] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Round:
    """A round under way."""

    #: Up to when it asks.
    to: int
    #: Who is still to be asked, in this order.
    left: tuple[str, ...]
    #: Who was asked in vain: asked again when nobody else is left, so that others do not wait for them.
    failed: tuple[str, ...]
    #: When nobody else was left; 0 before.
    ended: int
    marks: Mapping[str, Mark]

    @classmethod
    def resume(cls, cursor: str, offices: Sequence[str], *, now: int, since: int, every_s: float) -> Self:
        """Go on where a cursor says, or begin a round where that one is over.

        An office that the cursor does not know is read from `since` on; a cursor that cannot be read knows none.
        """
        read = _read(cursor)
        marks = {glbm: read.at.get(glbm, Mark(since)) for glbm in offices}
        left, failed = (tuple(glbm for glbm in names if glbm in marks) for names in (read.left, read.failed))
        if left or (failed and now - read.ended < max(every_s, _LAST_WORD_S)):
            return cls(read.to, left, failed, read.ended, marks)
        others = tuple(glbm for glbm in offices if glbm not in failed)
        return cls(now, others, failed, 0, {glbm: _before(mark, now) for glbm, mark in marks.items()})

    @property
    def turn(self) -> tuple[str, ...]:
        """Who is to be asked, until one answers."""
        return self.left or self.failed

    @property
    def has_more(self) -> bool:
        """Whether anybody is to be asked at once."""
        return bool(self.turn)

    @property
    def cursor(self) -> str:
        """The text to resume from."""
        kept = _Cursor(to=self.to, left=self.left, failed=self.failed, ended=self.ended, at=dict(self.marks))
        return kept.model_dump_json()

    def window(self, glbm: str) -> Window:
        """Say what an office is to be asked for."""
        mark = self.marks[glbm]
        return Window(mark.start, mark.end or self.to)

    def answered(self, glbm: str, times: Sequence[int], *, is_full: bool, now: int) -> Self:
        """Note that an office has answered for its window, with records of these times.

        `is_full` where there may be more than came. The window is then split where half of those that came lie before.
        """
        mark, window = self.marks[glbm], self.window(glbm)
        if is_full and not window.is_one_second:
            return self._marked(glbm, mark._replace(end=window.middle(times)))
        if is_full:
            mark = mark._replace(again=mark.again or window.start)
        if window.end < self.to:
            return self._marked(glbm, mark._replace(start=window.end, end=0))
        start = min(self.to - OVERLAP_S, mark.again or self.to)
        done = self._moved((glbm,), failed=(), now=now)
        return replace(done, marks={**self.marks, glbm: Mark(start)})

    def failing(self, glbms: Sequence[str], *, now: int) -> Self:
        """Note that offices were asked in vain."""
        return self._moved(glbms, failed=glbms, now=now)

    def _marked(self, glbm: str, mark: Mark) -> Self:
        return replace(self, marks={**self.marks, glbm: mark})

    def _moved(self, glbms: Sequence[str], *, failed: Sequence[str], now: int) -> Self:
        """Take offices out of the round, or put them behind those that failed before."""
        left, before = (tuple(glbm for glbm in names if glbm not in glbms) for names in (self.left, self.failed))
        return replace(self, left=left, failed=(*before, *failed), ended=0 if left else self.ended or now)


def _read(cursor: str) -> _Cursor:
    try:
        return _Cursor.model_validate_json(cursor)
    except ValidationError:
        return _Cursor()


def _before(mark: Mark, now: int) -> Mark:
    """Let a mark lie before now, whatever a clock said when it was made."""
    start = min(mark.start, now - OVERLAP_S)
    return mark._replace(start=start, end=mark.end if start < mark.end < now else 0)
