"""What every adapter can do, as a table: of its manifest, and of the level that the kit found it to have."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from govpost.adapters.registry import GROUP
from govpost.tests.conformance.checks import CHECKS
from govpost.tests.conformance.report import AdapterReport, State
from govpost.tests.conformance.subject import Subject

__all__ = ["Standing", "between_markers", "capabilities", "checks", "our_keys", "standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run of the kit found, in short."""

    level: str
    #: The checks that the manifest exempts it from.
    exempt: tuple[str, ...] = ()


def standing(report: AdapterReport) -> Standing:
    """Sum a report up."""
    return Standing(str(report.level or "none"), tuple(each.check for each in report.of(State.EXEMPT)))


def our_keys() -> list[str]:
    """Name the adapters that come with govpost."""
    return sorted(point.name for point in entry_points(group=GROUP) if point.value.startswith("govpost."))


def _calls_us(subject: Subject) -> str:
    return ("events" if subject.carries else "orders") if subject.receives else ""


def _we_ask(subject: Subject) -> str:
    asked = {"orders": subject.is_polled, "its books": subject.does("reconcile"), "traces": subject.does("trace")}
    return ", ".join(name for name, does in asked.items() if does)


def _we_tell(subject: Subject) -> str:
    return f"{len(subject.manifest.tells)} statuses" if subject.tells else ""


def _carries(subject: Subject) -> str:
    commands = ("place", "amend", "cancel") if subject.manifest.amends else ("place", "cancel")
    return ", ".join(commands) if subject.carries else ""


def _when_unknown(subject: Subject) -> str:
    if not (subject.tells or subject.carries):
        return ""
    if subject.manifest.has_probe:
        return "asked whether it arrived"
    return "told again" if subject.manifest.is_idempotent else "a person decides"


def _batches(subject: Subject) -> str:
    if subject.manifest.batches:
        return f"up to {max(subject.manifest.batches.values())}"
    settings = subject.adapter_type.factory.Settings.model_json_schema()["properties"]
    most = settings.get("batch_size", {}).get("maximum")
    return f"up to {most} with `batch_size`" if most else ""


_COLUMNS: Mapping[str, Callable[[Subject], str]] = {
    "system": lambda subject: f"{subject.manifest.title} ({subject.manifest.wire_version})",
    "key": lambda subject: f"`{subject.key}`",
    "it calls us with": _calls_us,
    "we ask it for": _we_ask,
    "we tell it": _we_tell,
    "it carries orders": _carries,
    "when an outcome is unknown": _when_unknown,
    "batches": _batches,
}


def capabilities(subjects: Iterable[Subject], standings: Mapping[str, Standing]) -> str:
    """Write the matrix of adapters."""
    rows = [[*(cell(subject) for cell in _COLUMNS.values()), _level(standings[subject.key])] for subject in subjects]
    return _table([*_COLUMNS, "conformance"], rows)


def _level(found: Standing) -> str:
    return f"{found.level}, {len(found.exempt)} exempt" if found.exempt else found.level


def checks() -> str:
    """Write the table of checks."""
    rows = [
        [each.level, f"`{each.name}`", each.scope.says, each.proves, _conditions(each.needs_mock, each.is_essential)]
        for each in CHECKS
    ]
    return _table(["level", "check", "concerns", "shows that", ""], rows)


def _conditions(needs_mock: bool, is_essential: bool) -> str:
    return ", ".join([*["mock"] * needs_mock, *["essential"] * is_essential])


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def between_markers(text: str, name: str, block: str) -> str:
    """Put a block between `<!-- name: begin … -->` and `<!-- name: end -->`; ValueError where they are not there."""
    before, begin, rest = text.partition(f"<!-- {name}: begin")
    comment, closing, rest = rest.partition("-->\n")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    if not (begin and closing and end):
        raise ValueError(f"the markers of {name} are missing")
    return f"{before}{begin}{comment}{closing}{block}{end}{after}"
