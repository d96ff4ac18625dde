"""What a check is: a question to one adapter, with the level it belongs to and whom it concerns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from govpost.tests.conformance.subject import Finding, Subject

__all__ = ["Check", "Find", "Level", "Scope", "check", "findings"]

#: A check itself: gives what is wrong, piece by piece; nothing where all is well.
Find = Callable[[Subject], Iterator[str]]


class Level(StrEnum):
    """How much an adapter has shown; each level needs all checks of those before it."""

    #: It says what it is, and its tables translate.
    BRONZE = "bronze"
    #: It can be trusted with an order: nothing lost, doubled, made up or leaked.
    SILVER = "silver"
    #: It does all that its wire can: batches, corrections, round trips, and the rest.
    GOLD = "gold"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a check concerns."""

    #: In words, for the documentation.
    says: str
    holds: Callable[[Subject], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the kit."""

    name: str
    level: Level
    scope: Scope
    #: What an adapter that passes has shown.
    proves: str
    find: Find
    #: It needs the far side: without a mock it cannot be run, and its level cannot be reached.
    needs_mock: bool
    #: What must never happen: a manifest cannot be exempt from it.
    is_essential: bool


def check(
    level: Level, scope: Scope, *, needs_mock: bool = True, is_essential: bool = False
) -> Callable[[Find], Check]:
    """Make a check of a function: its name is the check's, the first paragraph of its docstring what it proves."""

    def make(find: Find) -> Check:
        proves = " ".join((find.__doc__ or "").partition("\n\n")[0].split())
        return Check(find.__name__, level, scope, proves, find, needs_mock, is_essential)

    return make


def findings(each: Check, subject: Subject) -> list[str]:
    """Run a check; raises what the adapter raises where it must not."""
    found: list[str] = []
    try:
        found += each.find(subject)
    except Finding as last:
        found.append(str(last))
    return found
