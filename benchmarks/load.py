"""Send ready-made requests over keep-alive connections, as cheaply as Python can, so that it is not what is measured.

`drive` has every connection send its next request when the answer to the last one is complete; `pace` sends when it is
time, whatever has been answered by then. The bytes are built before.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from urllib.parse import urlsplit

from uvloop import new_event_loop

from govpost.schemas import WireRequest

__all__ = ["Load", "Stream", "drive", "pace", "to_bytes"]

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Load:
    """What came of it."""

    seconds: float = 0.0
    #: Request due to answer complete, seconds.
    latencies: list[float] = field(default_factory=list)
    #: Answers that were not what was wished for.
    unwanted: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """How many answers came in a second."""
        return len(self.latencies) / self.seconds


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests that come one by one at a rate, at random distances, as those of many strangers do."""

    requests: Sequence[bytes] = field(repr=False)
    rate_per_s: float
    is_wanted: Callable[[bytes], bool]
    seed: int = 0

    def times(self) -> Iterator[float]:
        """Give the seconds from the beginning at which each is due."""
        dice = Random(self.seed)
        return accumulate(dice.expovariate(self.rate_per_s) for _ in self.requests)


def to_bytes(request: WireRequest, *, host: str) -> bytes:
    """Write a request as it goes over the wire."""
    headers = {"host": host, **dict(request.headers), "content-length": str(len(request.body))}
    lines = [f"{request.method} {request.url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + _HEAD_END + request.body


def drive(url: str, requests: Sequence[bytes], *, is_wanted: Callable[[bytes], bool], connections: int = 32) -> Load:
    """Send all requests to the server at `url`; raises ConnectionError when it hangs up."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_drive(url, requests, is_wanted, connections))


def pace(url: str, *streams: Stream, connections: int = 64) -> list[Load]:
    """Send streams at their rates, all at once, each over connections of its own; as `drive` otherwise.

    What finds no connection free waits for one, and that counts.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_pace(url, streams, connections))


async def _drive(url: str, requests: Sequence[bytes], is_wanted: Callable[[bytes], bool], connections: int) -> Load:
    left = iter(requests)

    def go_on(connection: _Connection) -> None:
        request = next(left, None)
        if request is None:
            connection.close()
        else:
            connection.send(request, due_at=time.perf_counter())

    load = Load()
    opened = [await _open(url, load, is_wanted, go_on) for _ in range(connections)]
    begun = time.perf_counter()
    for connection in opened:
        go_on(connection)
    await asyncio.gather(*(connection.ended for connection in opened))
    load.seconds = time.perf_counter() - begun
    return load


async def _pace(url: str, streams: Sequence[Stream], connections: int) -> list[Load]:
    lines = [_Line(stream) for stream in streams]
    for line in lines:
        line.idle += [await _open(url, line.load, line.stream.is_wanted, line.free) for _ in range(connections)]
    await asyncio.gather(*(line.run() for line in lines))
    return [line.load for line in lines]


class _Line:
    """The connections of a stream, and what is due while none of them is idle."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.load = Load()
        self.idle: list[_Connection] = []
        self._due: deque[tuple[bytes, float]] = deque()

    async def run(self) -> None:
        """Send each when it is time; then wait for the last answer."""
        opened, begun = tuple(self.idle), time.perf_counter()
        for request, at in zip(self.stream.requests, self.stream.times(), strict=True):
            await asyncio.sleep(max(0.0, begun + at - time.perf_counter()))
            self._due.append((request, time.perf_counter()))
            if self.idle:
                self.free(self.idle.pop())
        while len(self.idle) < len(opened):
            for lost in (connection.ended for connection in opened if connection.ended.done()):
                lost.result()
            await asyncio.sleep(_LOOK_EVERY_S)
        self.load.seconds = time.perf_counter() - begun
        for connection in opened:
            connection.close()

    def free(self, connection: "_Connection") -> None:
        """Send what has waited longest, or be idle."""
        if self._due:
            request, due_at = self._due.popleft()
            connection.send(request, due_at=due_at)
        else:
            self.idle.append(connection)


_LOOK_EVERY_S = 0.01


async def _open(
    url: str, load: Load, is_wanted: Callable[[bytes], bool], on_free: Callable[["_Connection"], None]
) -> "_Connection":
    at = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: _Connection(load, is_wanted, on_free), at.hostname or "", at.port or 0
    )
    return connection


class _Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(
        self, load: Load, is_wanted: Callable[[bytes], bool], on_free: Callable[["_Connection"], None]
    ) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._is_wanted = is_wanted
        self._on_free = on_free
        self._received = b""
        self._due_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def send(self, request: bytes, *, due_at: float) -> None:
        """Send a request that has been due since then."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the server hung up")
        self._received = b""
        self._due_at = due_at
        self._transport.write(request)

    def close(self) -> None:
        """Hang up: nothing more is to be sent."""
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = transport  # type: ignore[assignment]  # a socket's transport writes

    def data_received(self, data: bytes) -> None:
        """Collect an answer."""
        self._received += data
        if _is_complete(self._received):
            self._load.latencies.append(time.perf_counter() - self._due_at)
            if not self._is_wanted(self._received):
                self._load.unwanted.append(self._received)
            self._on_free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits."""
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server hung up"))


def _is_complete(received: bytes) -> bool:
    head_end = received.find(_HEAD_END)
    if head_end < 0:
        return False
    head = received[:head_end].lower()
    begins = head.find(_LENGTH)
    length = int(head[begins + len(_LENGTH) :].split(b"\r\n", 1)[0]) if begins >= 0 else 0
    return len(received) >= head_end + len(_HEAD_END) + length
