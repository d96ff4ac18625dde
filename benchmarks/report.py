"""What a benchmark hands back: figures with units, targets where there are any, a small table and a JSON line."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

__all__ = ["Figure", "middle", "percentile", "show"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, and what it should be."""

    #: A word for the JSON line, with its unit at the end.
    name: str
    value: float
    #: What it means, for people.
    meaning: str
    at_least: float | None = None
    at_most: float | None = None
    #: The same of something that does no more than must be, measured in the same run.
    bare: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    @property
    def ratio(self) -> float | None:
        """Ours against the bare one."""
        return None if self.bare is None else self.value / self.bare

    @property
    def target(self) -> str:
        """The target, in words."""
        least = "" if self.at_least is None else f"≥ {self.at_least:g}"
        most = "" if self.at_most is None else f"≤ {self.at_most:g}"
        return least or most


def middle(values: Sequence[float]) -> float:
    """Take the median of the rounds of one figure."""
    return float(median(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Take the value that `share` (0 to 1) of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def show(name: str, figures: Sequence[Figure]) -> None:
    """Print the table, then the JSON line."""
    has_bare = any(figure.bare is not None for figure in figures)
    table = Table(title=name, title_justify="left")
    table.add_column("figure")
    for heading in ("value", *(("bare", "ratio") if has_bare else ())):
        table.add_column(heading, justify="right")
    table.add_column("target")
    table.add_column("")
    for figure in figures:
        numbers = (figure.value, *((figure.bare, figure.ratio) if has_bare else ()))
        table.add_row(figure.meaning, *map(_text, numbers), figure.target, _MARKS[figure.is_met])
    Console(width=120).print(table)
    values = {key: round(value, 6) for figure in figures for key, value in _members(figure)}
    missed = [figure.name for figure in figures if figure.is_met is False]
    print(json.dumps({"benchmark": name, **values, "missed": missed}), flush=True)


_MARKS = {True: "met", False: "MISSED", None: ""}


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:,.4g}"


def _members(figure: Figure) -> Iterator[tuple[str, float]]:
    yield figure.name, figure.value
    if figure.bare is not None and figure.ratio is not None:
        yield from ((f"{figure.name}_bare", figure.bare), (f"{figure.name}_of_bare", figure.ratio))
