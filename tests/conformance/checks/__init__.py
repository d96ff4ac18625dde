"""All checks of the kit, as data: each with its name, its level, whom it concerns and what it proves."""

from collections.abc import Iterator

from govpost.tests.conformance.checks import (
    batching,
    carrying,
    declaring,
    polling,
    privacy,
    receiving,
    telling,
    translating,
)
from govpost.tests.conformance.checks.scopes import EVERYBODY
from govpost.tests.conformance.kit import Check, Level, check
from govpost.tests.conformance.subject import Subject

__all__ = ["CHECKS", "exemptions_have_a_reason"]


@check(Level.BRONZE, EVERYBODY, needs_mock=False, is_essential=True)
def exemptions_have_a_reason(subject: Subject) -> Iterator[str]:
    """Whatever the manifest exempts the adapter from is a check that may be exempt, and the reason is said."""
    exemptible = {each.name for each in CHECKS if not each.is_essential}
    for name, reason in subject.manifest.exemptions.items():
        if name not in exemptible:
            yield f"{name}: no check, or one that nothing is exempt from"
        if not reason.strip():
            yield f"{name}: without a reason"


_MODULES = (declaring, translating, receiving, polling, telling, batching, carrying, privacy)
_FOUND = (value for module in _MODULES for value in vars(module).values() if isinstance(value, Check))

#: Every check, by level, and within a level in the order of an order's life.
CHECKS: tuple[Check, ...] = tuple(
    sorted((exemptions_have_a_reason, *_FOUND), key=lambda each: tuple(Level).index(each.level))
)
