"""HTTP messages as plain values, and what a conversation is made of.

An adapter builds and reads these; it never carries them. A *conversation* is a generator that yields a
`WireRequest`, is sent the `WireReply` (or has a `BreakageError` thrown into it) and returns a result.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

__all__ = ["Conversation", "Headers", "Source", "WireReply", "WireRequest"]

T = TypeVar("T")


class Headers(Mapping[str, str]):
    """Look header values up without regard to case; iteration gives the names as written."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        pairs = items.items() if isinstance(items, Mapping) else items
        self._items = {name.lower(): (name, value) for name, value in pairs}

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


def _headers(items: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
    return items if isinstance(items, Headers) else Headers(items)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request. `url` is absolute on the way out, path and query as on the request line on the way in."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", _headers(self.headers))

    @property
    def path(self) -> str:
        """The path as on the request line, percent-encoding kept, without the query."""
        return urlsplit(self.url).path


@dataclass(frozen=True, slots=True)
class WireReply:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str] = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", _headers(self.headers))


@dataclass(frozen=True, slots=True)
class Source:
    """All that an adapter may know of the world: the time, and fresh tokens."""

    #: Aware UTC.
    now: Callable[[], datetime]
    #: 32 lower-case hex digits, fresh at each call; for nonces, initialisation vectors and trace ids.
    token: Callable[[], str]


Conversation: TypeAlias = Generator[WireRequest, WireReply, T]
