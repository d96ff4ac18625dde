"""Check settings as a whole, adapters included: what cannot work, and what is allowed but unwise."""

import os
import stat
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from govpost.adapters.manifest import Role
from govpost.adapters.registry import AdapterType, load_adapter
from govpost.gateway.routes import Routes
from govpost.gateway.settings import BackendSection, Settings
from govpost.schemas.errors import ConfigurationError

__all__ = ["check_settings", "uncovered"]

_SHORT_TOKEN = 16


def check_settings(settings: Settings) -> list[str]:
    """Build every adapter and look for what is allowed but unwise; returns these warnings.

    Opens no ledger and no socket. Raises ConfigurationError with one line for each section that cannot work.
    """
    errors: list[str] = []
    warnings = list(_general_warnings(settings))
    for kind, sections in _systems(settings):
        for section in sections.values():
            try:
                warnings += _check_section(section, f"{kind}.{section.name}", kind=kind)
            except ConfigurationError as error:
                errors.append(str(error))
    errors += uncovered(settings)
    if errors:
        raise ConfigurationError("\n".join(errors))
    return [*warnings, *Routes(settings.routes, settings.portals).warnings(), *_secrecy_warnings(settings)]


def uncovered(settings: Settings) -> Iterator[str]:
    """Name the portals some of whose orders no backend would take."""
    routes = Routes(settings.routes, settings.portals)
    for name in settings.portals:
        if not routes.is_covered(name):
            yield (
                f"[portals.{name}] backend: is missing; name the [backends.…] that carries its orders, "
                "or that carries those which no [[routes]] takes"
            )


def _systems(settings: Settings) -> Iterator[tuple[str, Mapping[str, BackendSection]]]:
    yield "portals", settings.portals
    yield "backends", settings.backends


def _load(section: BackendSection, title: str) -> AdapterType:
    try:
        return load_adapter(section.adapter_key)
    except ConfigurationError as error:
        raise ConfigurationError(f"[{title}] adapter: {error}") from None


#: What an adapter must be able to do to stand in such a section.
_ROLES: Mapping[str, frozenset[Role]] = {
    "portals": frozenset({Role.RECEIVES, Role.POLLED, Role.INFORMED}),
    "backends": frozenset({Role.CARRIES}),
}


def _check_section(section: BackendSection, title: str, *, kind: str) -> Iterator[str]:
    adapter = _load(section, title)
    roles = adapter.manifest.roles
    if not roles & _ROLES[kind]:
        raise ConfigurationError(f"[{title}] adapter: {section.adapter_key!r} cannot stand under [{kind}.…]")
    adapter.build(section.options, section=title)
    return _section_warnings(section, title)


def _section_warnings(section: BackendSection, title: str) -> Iterator[str]:
    if section.options.get("allow_http"):
        yield f"[{title}] allow_http: orders may travel unencrypted; remove it as soon as there is an https address"


def _general_warnings(settings: Settings) -> Iterator[str]:
    used = {portal.backend for portal in settings.portals.values()} | {route.backend for route in settings.routes}
    for name in sorted(settings.backends.keys() - used):
        yield f"[backends.{name}]: no portal sends orders there"
    if not settings.portals:
        yield "[portals]: there is none, so nobody can hand over an order"
    if not settings.api.tokens:
        yield "[api] tokens: there is none, so /api/v1 answers nobody and no backend can report events"
    if any(len(token.get_secret_value()) < _SHORT_TOKEN for token in settings.api.tokens):
        yield f"[api] tokens: one is shorter than {_SHORT_TOKEN} characters; make it longer"
    if not _is_loopback(settings.ingress.host):
        yield "[ingress] host: open to other machines in plain http; put a TLS proxy in front"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secrecy_warnings(settings: Settings) -> Iterator[str]:
    """Warn of secrets in a file that others may read."""
    try:
        others = settings.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except FileNotFoundError:
        return
    if others and os.name == "posix" and _holds_secrets(settings):
        yield f"{settings.path}: holds secrets and others may read it; run chmod 600"


def _holds_secrets(settings: Settings) -> bool:
    return bool(settings.api.tokens) or any(
        name in section.options
        for title, sections in _systems(settings)
        for section in sections.values()
        for name in _load(section, title).manifest.secrets
    )
