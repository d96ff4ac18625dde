"""What a benchmark hands back: figures with units, targets where there are any, a small table and a JSON line."""

import json
from collections.abc import Sequence
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

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

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
    table = Table(title=name, title_justify="left")
    for heading in ("figure", "value", "target", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    marks = {True: "met", False: "MISSED", None: ""}
    for figure in figures:
        table.add_row(figure.meaning, f"{figure.value:,.4g}", figure.target, marks[figure.is_met])
    Console(width=110).print(table)
    line = {"benchmark": name, **{figure.name: round(figure.value, 6) for figure in figures}}
    missed = [figure.name for figure in figures if figure.is_met is False]
    print(json.dumps(line | {"missed": missed}), flush=True)
