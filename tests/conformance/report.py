"""What came of a run, adapter by adapter: the level that was reached, and what stands in the way of the next."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from govpost.tests.conformance.checks import CHECKS
from govpost.tests.conformance.kit import Check, Level, findings
from govpost.tests.conformance.subject import Subject

__all__ = ["NO_MOCK", "AdapterReport", "State", "Verdict", "applicable", "exemption", "judge", "run", "verdict"]

#: Why a check could not be run.
NO_MOCK = "no mock stands for it"

_NOT_NEEDED = "it passes: the manifest's exemption is not needed"


class State(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    #: It failed, and the manifest says why it may.
    EXEMPT = "exempt"
    #: It could not be run, or was not chosen.
    NOT_RUN = "not run"


_MET = frozenset({State.PASSED, State.EXEMPT})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one check ended for one adapter."""

    check: str
    level: Level
    state: State
    #: What was found, or why it is exempt or was not run.
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdapterReport:
    """Everything about one adapter."""

    key: str
    title: str
    wire_version: str
    roles: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    #: The highest level of which nothing is missing; None where not even the first is reached.
    level: Level | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", _level(self.verdicts))

    def of(self, state: State) -> list[Verdict]:
        """List the verdicts of one kind."""
        return [each for each in self.verdicts if each.state is state]

    @property
    def is_sound(self) -> bool:
        """Whether no check failed."""
        return not self.of(State.FAILED)

    def lines(self) -> Iterator[str]:
        """Say it for people: a head line, then whatever did not simply pass."""
        counts = ", ".join(f"{len(self.of(state))} {state}" for state in State if self.of(state))
        yield f"{self.key} ({self.title}, {self.wire_version}): {self.level or 'no level'}; {counts}"
        for each in (*self.of(State.FAILED), *self.of(State.EXEMPT)):
            yield f"  {each.state} {each.check} ({each.level}): {_summed_up(each.details)}"
        not_run = self.of(State.NOT_RUN)
        if not_run:
            reasons = sorted({reason for each in not_run for reason in each.details})
            yield f"  not run, from {not_run[0].level} on: {'; '.join(reasons)}"

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


def _level(verdicts: Iterable[Verdict]) -> Level | None:
    missing = {each.level for each in verdicts if each.state not in _MET}
    reached = None
    for level in Level:
        if level in missing:
            break
        reached = level
    return reached


def _summed_up(details: tuple[str, ...]) -> str:
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{details[0]}{more}"


def applicable(subject: Subject) -> list[Check]:
    """List the checks that concern an adapter."""
    return [each for each in CHECKS if each.scope.holds(subject)]


def exemption(each: Check, subject: Subject) -> str | None:
    """Give the manifest's reason why a check may fail; nothing is exempt from what is essential."""
    return None if each.is_essential else subject.manifest.exemptions.get(each.name)


def verdict(each: Check, subject: Subject, found: Iterable[str]) -> Verdict:
    """Judge what a check found; an exemption that is not needed is wrong too."""
    reason, details = exemption(each, subject), tuple(found)
    if reason is None:
        return Verdict(each.name, each.level, State.FAILED if details else State.PASSED, details)
    if not details:
        return Verdict(each.name, each.level, State.FAILED, (_NOT_NEEDED,))
    return Verdict(each.name, each.level, State.EXEMPT, (reason,))


def judge(subject: Subject, found: Mapping[str, Iterable[str]]) -> AdapterReport:
    """Sum up what each check found, by its name; one that is not there was not run."""
    verdicts = [
        verdict(each, subject, found[each.name]) if each.name in found else _not_run(each, subject)
        for each in applicable(subject)
    ]
    said = subject.manifest
    roles = tuple(sorted(str(role) for role in said.roles))
    return AdapterReport(subject.key, said.title, said.wire_version, roles, tuple(verdicts))


def _not_run(each: Check, subject: Subject) -> Verdict:
    reason = NO_MOCK if each.needs_mock and subject.mock_type is None else "not chosen"
    return Verdict(each.name, each.level, State.NOT_RUN, (reason,))


def run(subject: Subject) -> AdapterReport:
    """Run every check that concerns an adapter, here and now."""
    chosen = [each for each in applicable(subject) if subject.mock_type is not None or not each.needs_mock]
    return judge(subject, {each.name: _found(each, subject) for each in chosen})


def _found(each: Check, subject: Subject) -> list[str]:
    try:
        return findings(each, subject)
    except Exception as error:  # noqa: BLE001 - an adapter that raises where it must not has failed the check
        return [f"it raises {type(error).__name__}"]
