"""Find adapters by entry point (`govpost.adapters`), ours and third parties' alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from govpost.adapters.base import Adapter
from govpost.adapters.manifest import Manifest, load_manifest
from govpost.schemas.errors import ConfigurationError

__all__ = ["GROUP", "AdapterType", "adapter_keys", "load_adapter"]

GROUP = "govpost.adapters"


@dataclass(frozen=True, slots=True)
class AdapterType:
    """An adapter class with its manifest, ready to be built from settings."""

    manifest: Manifest
    factory: type[Adapter]

    def build(self, settings: Mapping[str, Any], *, section: str) -> Adapter:
        """Construct the adapter; raises ConfigurationError naming `section` and the key that does not fit."""
        try:
            checked = self.factory.Settings.model_validate(dict(settings))
        except ValidationError as error:
            raise ConfigurationError(_settings_message(error, section, self.factory.Settings.model_fields)) from None
        return self.factory(checked, self.manifest)


def adapter_keys() -> tuple[str, ...]:
    """Name every adapter that is installed, sorted."""
    return tuple(sorted(_entry_points()))


@cache
def load_adapter(key: str) -> AdapterType:
    """Load an adapter by its key; raises ConfigurationError with the nearest name when there is none."""
    point = _entry_points().get(key)
    if point is None:
        raise ConfigurationError(f"no adapter is called {key!r}{_nearest(key, adapter_keys())}")
    factory = point.load()
    return AdapterType(load_manifest(factory.__module__.rpartition(".")[0]), factory)


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _nearest(name: str, names: Mapping[str, Any] | tuple[str, ...]) -> str:
    found = get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else f"; there are: {', '.join(sorted(names))}"


def _settings_message(error: ValidationError, section: str, names: Mapping[str, Any]) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"[{section}] {key}: unknown key{_nearest(key, names)}"
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"[{section}] {key}: {message}" if key else f"[{section}] {message}"
