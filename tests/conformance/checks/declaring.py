"""What an adapter says of itself, and what loading it does."""

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from govpost.adapters.manifest import Role
from govpost.tests.conformance.checks.scopes import EVERYBODY
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.subject import Subject
from govpost.tests.conformance.watch import import_reaches

__all__ = ["imports_without_io", "manifest"]

#: Role → the methods that play it.
_METHODS = {
    Role.RECEIVES: ("read", "answer"),
    Role.POLLED: ("poll", "refuse", "render", "send"),
    Role.INFORMED: ("render", "send"),
    Role.CARRIES: ("render", "send"),
}


@check(Level.BRONZE, EVERYBODY, needs_mock=False, is_essential=True)
def manifest(subject: Subject) -> Iterator[str]:
    """The manifest is true of the adapter: its key, the roles it plays, the secrets it hides, what it tells."""
    said = subject.manifest
    if said.key != subject.key:
        yield f"key is {said.key!r}, and the entry point's is {subject.key!r}"
    if not said.roles:
        yield "roles are none"
    if Role.CARRIES in said.roles and said.roles & {Role.INFORMED, Role.POLLED}:
        yield "roles are a portal's and a backend's"
    wanted = [(role, method) for role in sorted(said.roles) for method in _METHODS[role]]
    yield from (f"{role}: {method} is missing" for role, method in wanted if not subject.does(method))
    yield from _secrets(subject)
    yield from _claims(subject)


def _secrets(subject: Subject) -> Iterator[str]:
    fields = subject.adapter_type.factory.Settings.model_fields
    hidden = {name for name, field in fields.items() if _hides(field.annotation)}
    yield from (f"secrets: {name} is no setting of type Secret" for name in set(subject.manifest.secrets) - hidden)
    yield from (f"secrets: {name} is not named" for name in hidden - set(subject.manifest.secrets))


def _hides(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())


def _claims(subject: Subject) -> Iterator[str]:
    said = subject.manifest
    if bool(said.tells) != (Role.INFORMED in said.roles):
        yield "tells goes with the role informed, and with no other"
    if said.needs_waybill - said.tells:
        yield "needs_waybill names what tells does not"
    if said.has_probe and not subject.does("probe"):
        yield "has_probe, but there is no probe"
    if said.amends and Role.CARRIES not in said.roles:
        yield "amends is a backend's"


@check(Level.BRONZE, EVERYBODY, needs_mock=False, is_essential=True)
def imports_without_io(subject: Subject) -> Iterator[str]:
    """Importing the adapter opens no socket, starts no process and writes no file."""
    factory = subject.adapter_type.factory
    yield from import_reaches(subject.package, factory.__module__, factory.__qualname__)
