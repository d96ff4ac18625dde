"""The settings: one TOML file, with ``GOVPOST_<SECTION>__<KEY>`` in the environment on top.

::

    [ledger]             where orders are kept, and the key file that seals them
    [ingress]            where we listen, and the limits on what is sent to us
    [api]                who may use /api/v1
    [relay]              how deliveries are tried, and tried again
    [portals.<name>]     adapter (default: the name), backend, and whatever the adapter wants to know
    [backends.<name>]    adapter (default: the name), and whatever the adapter wants to know
    [[routes]]           which backend takes an order, by portal, direction, project, district; the first that matches

Three rules hold for every key. A relative path is relative to the file. `<key>_file = "path"` gives `<key>` the text of
that file, so that a secret need not stand here. An unknown key is an error that names the nearest one.

Every complaint is a ConfigurationError and reads ``[section] key: what is wrong``, never with the value.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from govpost.schemas import Direction
from govpost.schemas._model import Model
from govpost.schemas.errors import ConfigurationError
from govpost.schemas.identifiers import DivisionCode

__all__ = [
    "CONFIG_VARIABLE",
    "ApiSettings",
    "BackendSection",
    "IngressSettings",
    "LedgerSettings",
    "PortalSection",
    "RelaySettings",
    "Route",
    "Settings",
    "find_settings_file",
    "load_settings",
]

#: Names the settings file where no path is given.
CONFIG_VARIABLE = "GOVPOST_CONFIG"

_DEFAULT_FILE = "govpost.toml"
_PREFIX = "GOVPOST_"
_DELIMITER = "__"
_FILE_SUFFIX = "_file"
_MIB = 1024 * 1024

#: A section's name is a path segment of URLs and a part of variable names.
_SectionName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
_Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
_Count: TypeAlias = Annotated[int, Field(ge=1)]
_Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]

#: What may follow `Bearer` (RFC 6750, b64token).
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def _check_token(token: SecretStr) -> SecretStr:
    if not _BEARER_TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("is not a bearer token; use letters, digits and - . _ ~ + / only")
    return token


_Token: TypeAlias = Annotated[SecretStr, AfterValidator(_check_token)]


class LedgerSettings(Model):
    """Where orders are kept."""

    #: An SQLAlchemy address; hidden because it may hold a password.
    url: str = Field(default="sqlite:///govpost.db", repr=False)
    key_file: Path = Path("govpost.key")
    #: A commit takes at most this many units …
    group_size: _Count = 256
    #: … and waits at most this long for them.
    group_wait_s: Annotated[float, Field(ge=0, le=1)] = 0.005

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            make_url(url)
        except (ArgumentError, ValueError):
            raise ValueError('is not a database address; write it like "sqlite:///govpost.db"') from None
        return url

    @property
    def file(self) -> Path | None:
        """The file of an SQLite ledger; None for one in memory or on a server."""
        return _sqlite_file(make_url(self.url))


class IngressSettings(Model):
    """Where we listen, and how much of anything we take."""

    host: str = "127.0.0.1"
    #: 0 takes any free port.
    port: _Port = 8080
    #: /metrics and the API's page are served here instead, where set.
    admin_port: _Port | None = None
    max_body_bytes: _Count = _MIB
    #: Events may carry pictures.
    max_event_body_bytes: _Count = 8 * _MIB
    max_header_bytes: _Count = 16 * 1024
    #: Requests in hand at once; more are told to come back.
    max_requests: _Count = 512
    #: A request must have arrived whole by then.
    receive_timeout_s: _Seconds = 10

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.port and self.port == self.admin_port:
            raise ValueError("port and admin_port are the same; give admin_port another")
        return self


class ApiSettings(Model):
    """Who may use /api/v1: whoever shows one of these bearer tokens. None: nobody."""

    tokens: tuple[_Token, ...] = ()

    @field_validator("tokens", mode="before")
    @classmethod
    def _split_lines(cls, value: Any) -> Any:
        """Take the text of a `tokens_file`: one token a line."""
        return value.split() if isinstance(value, str) else value


class RelaySettings(Model):
    """How deliveries are tried, and tried again."""

    connect_timeout_s: _Seconds = 5
    request_timeout_s: _Seconds = 15
    #: Waits between attempts: full jitter over base, base * 2, … up to the cap.
    retry_base_s: _Seconds = 1
    retry_cap_s: _Seconds = 24 * 3600
    #: After that a delivery is dead, as `exhausted`.
    give_up_after_s: _Seconds = 7 * 24 * 3600
    #: So many breakages in a row pause a destination, at first for the base, doubling up to the cap.
    breakages_to_pause: _Count = 10
    pause_base_s: _Seconds = 5
    pause_cap_s: _Seconds = 600
    #: Requests at once to one destination.
    concurrency: _Count = 32
    #: A portal's cancel waits so long for the backend's word.
    cancel_wait_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5
    #: An instance says that often that it is alive, and is dead when it has not for so long.
    worker_renew_s: _Seconds = 3
    worker_dead_s: _Seconds = 10
    #: A daemon that is told to stop has stopped by then.
    stop_within_s: _Seconds = 10
    #: With nothing due, look again that often.
    idle_poll_s: _Seconds = 1.0
    #: The time of day (Asia/Shanghai) at which yesterday is compared with the others' books; "" for never.
    reconcile_at: Annotated[str, StringConstraints(pattern=r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9])?$")] = "02:30"

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        for small, large in _ORDERED:
            if getattr(self, small) > getattr(self, large):
                raise ValueError(f"{small} is more than {large}; lower it or raise {large}")
        if 2 * self.worker_renew_s > self.worker_dead_s:
            raise ValueError("worker_dead_s must be at least twice worker_renew_s, or the living are taken for dead")
        return self


_ORDERED = (
    ("retry_base_s", "retry_cap_s"),
    ("pause_base_s", "pause_cap_s"),
    ("connect_timeout_s", "request_timeout_s"),
)


class BackendSection(Model):
    """One `[backends.<name>]`: a postal system that takes orders."""

    name: _SectionName
    #: Which adapter speaks to it.
    adapter_key: str
    #: Requests a second to it, from all daemons of this ledger together, where that is less than its adapter says.
    rate_per_s: _Seconds | None = None
    #: What that adapter's own Settings are made from; holds secrets in the clear.
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _default_adapter(cls, value: Any) -> Any:
        return {"adapter_key": value["name"], **value} if isinstance(value, dict) and "name" in value else value


class PortalSection(BackendSection):
    """One `[portals.<name>]`: a portal, known by that name in URLs and in the ledger."""

    #: The `[backends.<name>]` that carries its orders.
    backend: str | None = None


class Route(Model):
    """One of `[[routes]]`: a backend, and which orders it takes; what is not said matches everything."""

    backend: str
    portal: str | None = None
    direction: Direction | None = None
    #: The matter's code (事项编码), or the beginning of some with a star behind it.
    project: Annotated[str, StringConstraints(pattern=r"^[^*]+\*?$")] | None = None
    #: The division (GB/T 2260) where the matter is handled; one of a province or city stands for all that lies in it.
    district: DivisionCode | None = None


class _Environment(EnvSettingsSource):
    """The variables, without the one field that says where the file was found."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name == "path":
            return None, field_name, False
        return super().get_field_value(field, field_name)


class Settings(BaseSettings):
    """Everything govpost was told. Built once, at the edge, by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter=_DELIMITER,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    #: The file that this was read from.
    path: Path
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    ingress: IngressSettings = Field(default_factory=IngressSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    # Mapping, not dict: inside a dict pydantic-settings reads each variable as JSON, and an all-digits secret would
    # arrive as a number.
    portals: Mapping[_SectionName, PortalSection] = Field(default_factory=dict)
    backends: Mapping[_SectionName, BackendSection] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment above the file."""
        return _Environment(settings_cls), init_settings

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, merged: dict[str, Any]) -> dict[str, Any]:
        """Anchor paths, read `<key>_file`s and sort the keys of portals and backends, over file and environment."""
        base = Path(merged["path"]).parent
        sections = {name: merged.get(name, {}) for name in _TOP - {"routes"}}
        return merged | {name: _prepared(name, section, base=base) for name, section in sections.items()}

    @model_validator(mode="after")
    def _check_systems(self) -> Self:
        for name in sorted(self.portals.keys() & self.backends.keys()):
            raise ConfigurationError(f"[portals.{name}] and [backends.{name}] share a name; rename one of them")
        for name, portal in self.portals.items():
            if portal.backend is not None:
                _check_named(f"[portals.{name}] backend", "backends", portal.backend, self.backends)
        for number, route in enumerate(self.routes, start=1):
            _check_named(f"[[routes]] no. {number} backend", "backends", route.backend, self.backends)
            if route.portal is not None:
                _check_named(f"[[routes]] no. {number} portal", "portals", route.portal, self.portals)
        return self


def _check_named(place: str, kind: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise ConfigurationError(f"{place}: there is no [{kind}.{name}]{_nearest(name, known)}")


#: The sections that hold sections, with the keys that are ours rather than the adapter's.
_SYSTEMS: Mapping[str, Mapping[str, str]] = {
    "portals": {"adapter": "adapter_key", "rate_per_s": "rate_per_s", "backend": "backend"},
    "backends": {"adapter": "adapter_key", "rate_per_s": "rate_per_s"},
}
_TOP = frozenset(Settings.model_fields) - {"path"}


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings from `path`, $GOVPOST_CONFIG or ./govpost.toml, and the environment on top.

    Adapters are not loaded: see `govpost.gateway.check`. Raises ConfigurationError, for the first thing that is wrong.
    """
    file = find_settings_file(path)
    document = _read_toml(file)
    _refuse_unknown_sections(document)
    try:
        return Settings(**document, path=file)
    except ValidationError as error:
        raise ConfigurationError(_message(error)) from None
    except SettingsError as error:
        raise ConfigurationError(f"{error}; a variable that holds a list must be JSON, like '[\"a\"]'") from None


def find_settings_file(path: Path | None = None) -> Path:
    """Say, as an absolute path, which file the settings are read from; it need not exist."""
    return (path or Path(os.environ.get(CONFIG_VARIABLE) or _DEFAULT_FILE)).absolute()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no settings file at {path}: write one, or name it with --config or {CONFIG_VARIABLE}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {_os_reason(error)}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None


def _os_reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8"


def _refuse_unknown_sections(document: Mapping[str, Any]) -> None:
    for name in document:
        if name not in _TOP:
            raise ConfigurationError(f"[{name}]: unknown section{_nearest(name, _TOP)}")
    # Only names with the delimiter are surely meant for us: GOVPOST_PORT and its like are put into the environment by
    # Kubernetes for any service that is called govpost.
    for variable in os.environ:
        section = variable.upper().removeprefix(_PREFIX).partition(_DELIMITER)
        if variable.upper().startswith(_PREFIX) and section[1] and section[0].lower() not in _TOP:
            raise ConfigurationError(f"{variable}: unknown section{_nearest(section[0].lower(), _TOP)}")


def _prepared(name: str, section: Any, *, base: Path) -> Any:
    if not isinstance(section, Mapping):
        return section  # the fields say what is wrong with it
    if name in _SYSTEMS:
        return {key: _prepared_system(name, key, system, base=base) for key, system in section.items()}
    read = _with_files_read(section, name, declared=_known_keys(name), base=base)
    return _anchored_ledger(read, base=base) if name == "ledger" else read


def _anchored_ledger(section: Mapping[str, Any], *, base: Path) -> dict[str, Any]:
    ledger = LedgerSettings().model_dump() | dict(section)
    if isinstance(ledger["key_file"], str | Path):
        ledger["key_file"] = base / ledger["key_file"]
    if isinstance(ledger["url"], str):
        ledger["url"] = _anchored_url(ledger["url"], base=base)
    return ledger


def _anchored_url(url: str, *, base: Path) -> str:
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        return url  # LedgerSettings says what is wrong with it
    file = _sqlite_file(parts)
    return url if file is None else parts.set(database=str(base / file)).render_as_string(hide_password=False)


def _sqlite_file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
        return None
    return Path(url.database)


def _prepared_system(kind: str, name: str, section: Any, *, base: Path) -> Any:
    if not isinstance(section, Mapping):
        return section
    ours = _SYSTEMS[kind]
    # An adapter opens no files, so a `..._file` among its options can only mean the text in it.
    options = _with_files_read(section, f"{kind}.{name}", declared=ours, base=base)
    return {
        "name": name,
        **{field: options.pop(key) for key, field in ours.items() if key in options},
        "options": options,
    }


def _with_files_read(section: Mapping[str, Any], title: str, *, declared: Iterable[str], base: Path) -> dict[str, Any]:
    read = dict(section)
    for key in section:
        name = key.removesuffix(_FILE_SUFFIX)
        if key == name or key in declared:
            continue
        if name in section:
            raise ConfigurationError(f"[{title}] {key}: {name} is given as well; keep one of them")
        read[name] = _read_value(base, read.pop(key), place=f"[{title}] {key}")
    return read


def _read_value(base: Path, path: Any, *, place: str) -> str:
    if not isinstance(path, str):
        raise ConfigurationError(f"{place}: must be the path of a file")
    try:
        text = (base / path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{place}: the file cannot be read: {_os_reason(error)}") from None
    if not text:
        raise ConfigurationError(f"{place}: the file is empty")
    return text


def _message(error: ValidationError) -> str:
    """Say the first complaint as `[section] key: what is wrong`."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    depth = 2 if first["loc"][:1] and first["loc"][0] in _SYSTEMS else 1
    path = [str(part) for part in first["loc"] if part != "[key]"]
    section, key = ".".join(path[:depth]), ".".join(path[depth:]).replace("adapter_key", "adapter")
    place = f"[{section}] {key}".rstrip()
    known = _known_keys(section)
    if path[0] == "routes" and len(path) > 1:
        key, known = ".".join(path[2:]), Route.model_fields
        place = f"[[routes]] no. {int(path[1]) + 1} {key}".rstrip()
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown key{_nearest(key, known)}"
    return f"{place}: {_COMPLAINTS.get(first['type'], first['msg'].removeprefix('Value error, '))}"


_COMPLAINTS: Mapping[str, str] = {
    "missing": "is missing",
    "string_pattern_mismatch": "holds a character that may not stand there",
    "model_type": "must be a section of its own",
    "dict_type": "must be a section of its own",
    "mapping_type": "must be a section of its own",
    "tuple_type": "must be a list of sections: [[routes]]",
}


def _known_keys(section: str) -> Iterable[str]:
    field = Settings.model_fields.get(section)
    return getattr(field and field.annotation, "model_fields", ())


def _nearest(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    close = get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(known)}" if known else "; there are none"
