"""Send ready-made requests over keep-alive connections, as cheaply as Python can, so that it is not what is measured.

Every connection sends its next request when the answer to the last one is complete. The bytes are built before.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from uvloop import new_event_loop

from govpost.schemas import WireRequest

__all__ = ["Load", "drive", "to_bytes"]

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Load:
    """What came of it."""

    seconds: float = 0.0
    #: Request sent to answer complete, seconds.
    latencies: list[float] = field(default_factory=list)
    #: Answers that were not what was wished for.
    unwanted: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """How many answers came in a second."""
        return len(self.latencies) / self.seconds


def to_bytes(request: WireRequest, *, host: str) -> bytes:
    """Write a request as it goes over the wire."""
    headers = {"host": host, **dict(request.headers), "content-length": str(len(request.body))}
    lines = [f"{request.method} {request.url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + _HEAD_END + request.body


def drive(url: str, requests: Sequence[bytes], *, is_wanted: Callable[[bytes], bool], connections: int = 32) -> Load:
    """Send all requests to the server at `url`; raises ConnectionError when it hangs up."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_drive(url, requests, is_wanted, connections))


async def _drive(url: str, requests: Iterable[bytes], is_wanted: Callable[[bytes], bool], connections: int) -> Load:
    loop, load, left = asyncio.get_running_loop(), Load(), iter(requests)
    at = urlsplit(url)
    opened = [
        await loop.create_connection(lambda: _Connection(left, load, is_wanted), at.hostname, at.port)
        for _ in range(connections)
    ]
    begun = time.perf_counter()
    for _, connection in opened:
        connection.begin()
    await asyncio.gather(*(connection.ended for _, connection in opened))
    load.seconds = time.perf_counter() - begun
    return load


class _Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self, left: Iterator[bytes], load: Load, is_wanted: Callable[[bytes], bool]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = left
        self._load = load
        self._is_wanted = is_wanted
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def begin(self) -> None:
        """Send the next request, or close when there is none."""
        request = next(self._left, None)
        if self._transport is None or request is None:
            self._close()
            return
        self._received = b""
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = transport  # type: ignore[assignment]  # a socket's transport writes

    def data_received(self, data: bytes) -> None:
        """Collect an answer."""
        self._received += data
        if _is_complete(self._received):
            self._load.latencies.append(time.perf_counter() - self._sent_at)
            if not self._is_wanted(self._received):
                self._load.unwanted.append(self._received)
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits."""
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server hung up"))

    def _close(self) -> None:
        self.ended.set_result(None)
        if self._transport is not None:
            self._transport.close()


def _is_complete(received: bytes) -> bool:
    head_end = received.find(_HEAD_END)
    if head_end < 0:
        return False
    head = received[:head_end].lower()
    begins = head.find(_LENGTH)
    length = int(head[begins + len(_LENGTH) :].split(b"\r\n", 1)[0]) if begins >= 0 else 0
    return len(received) >= head_end + len(_HEAD_END) + length
