"""The drivers on real sockets: both carry a conversation, and call what breaks by the same names."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from govpost.gateway.transport import MAX_REPLY_BYTES, AsyncTransport, SyncTransport, Timeouts
from govpost.schemas import Conversation, OutcomeKind, WireReply, WireRequest
from govpost.schemas.errors import BreakageError

TIMEOUTS = Timeouts(connect_s=2, request_s=0.5)

Drive = Callable[..., Any]
Play = Callable[[socket.socket], None]


def drive_sync(conversation: Conversation[Any], **options: Any) -> Any:
    """Carry a conversation in this thread."""
    transport = SyncTransport(TIMEOUTS)
    try:
        return transport.drive(conversation, **options)
    finally:
        transport.close()


def drive_async(conversation: Conversation[Any], **options: Any) -> Any:
    """Carry a conversation on an event loop."""

    async def drive() -> Any:
        transport = AsyncTransport(TIMEOUTS, connections=4)
        try:
            return await transport.drive(conversation, **options)
        finally:
            await transport.close()

    return asyncio.run(drive())


@pytest.fixture(params=[drive_sync, drive_async], ids=["requests", "aiohttp"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Give each driver in turn."""
    driver: Drive = request.param
    return driver


@contextmanager
def listening(play: Play) -> Iterator[str]:
    """Listen on loopback and let `play` act on every connection once its request was read whole."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                if stop.is_set():
                    return
                _read_request(connection)
                play(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = server.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join(5)
        server.close()


def _read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"the body"):
        more = connection.recv(65_536)
        if not more:
            return
        received += more


def ask(url: str) -> Conversation[WireReply]:
    """Send one request and return its reply."""
    reply = yield WireRequest("POST", url, {"X-Sign": "s"}, b"the body")
    return reply


def ask_broken(url: str) -> Conversation[tuple[OutcomeKind, str]]:
    """Send one request that breaks, and tell what it was called."""
    try:
        yield WireRequest("POST", url, {}, b"the body")
    except BreakageError as error:
        return error.outcome.kind, error.outcome.code
    return OutcomeKind.TAKEN, "nothing broke"


# What comes back.


def test_a_reply_comes_back_whole(drive: Drive) -> None:
    """Status, headers in any case, and body."""
    body = b"HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    with listening(lambda connection: connection.sendall(body)) as url:
        reply = drive(ask(f"{url}/orders?x=%2F"))
    assert (reply.status, reply.headers["retry-after"], reply.body) == (202, "7", b"hello")


def test_the_request_leaves_byte_identical(drive: Drive) -> None:
    """Path, headers and body go out as the adapter made them, and no cookie or credential with them."""
    seen: list[bytes] = []
    answer = b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received = b""
                while not received.endswith(b"the body"):
                    received += connection.recv(65_536)
                seen.append(received)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        drive(ask(f"http://127.0.0.1:{server.getsockname()[1]}/a%2Fb?c=%E6%B8%9D"))
        thread.join(5)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a%2Fb?c=%E6%B8%9D HTTP/1.1\r\n")
    assert b"X-Sign: s" in head
    assert b"authorization" not in head.lower()
    assert body == b"the body"


def test_a_redirect_is_not_followed(drive: Drive) -> None:
    """A signed request is for one address: the redirect itself is the reply."""
    connections = count()
    answer = (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )

    def play(connection: socket.socket) -> None:
        next(connections)
        connection.sendall(answer)

    with listening(play) as url:
        assert drive(ask(url)).status == 307
    assert next(connections) == 1


def test_a_conversation_has_several_requests(drive: Drive) -> None:
    """Each request gets its reply, and the result comes back."""

    def converse(url: str) -> Conversation[list[int]]:
        first = yield WireRequest("POST", url, {}, b"the body")
        second = yield WireRequest("POST", url, {}, b"the body")
        return [first.status, second.status]

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with listening(lambda connection: connection.sendall(answer)) as url:
        assert drive(converse(url)) == [200, 200]


def test_a_conversation_may_send_nothing(drive: Drive) -> None:
    """A conversation that only returns needs no network."""

    def converse() -> Conversation[str]:
        yield from ()
        return "done"

    assert drive(converse()) == "done"


# What breaks.


def reset(connection: socket.socket) -> None:
    """Cut the connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket) -> None:
    """Say nothing until the other side gives up."""
    connection.settimeout(10)
    connection.recv(1)


def hang_half(connection: socket.socket) -> None:
    """Begin an answer and never end it."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    hang(connection)


def say(answer: bytes) -> Play:
    """Answer this and hang up."""
    return lambda connection: connection.sendall(answer)


def say_too_much(connection: socket.socket) -> None:
    """Answer more than any answer is, without a length."""
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (MAX_REPLY_BYTES + 1))
    except OSError:
        return


@pytest.mark.parametrize(
    ("play", "code"),
    [
        (reset, "connection_lost"),
        (say(b""), "connection_lost"),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "connection_lost"),
        (say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), "connection_lost"),
        (say(b"this is not HTTP\r\n\r\n"), "connection_lost"),
        (say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"), "connection_lost"),
        (hang, "timeout"),
        (hang_half, "timeout"),
        (say_too_much, "reply_too_large"),
    ],
    ids=["reset", "closed", "half", "half_chunk", "garbage", "not_gzip", "hang", "hang_half", "too_large"],
)
def test_what_breaks_after_the_request_left_is_unknown(drive: Drive, play: Play, code: str) -> None:
    """The far side may have acted, whatever became of its answer."""
    with listening(play) as url:
        assert drive(ask_broken(url)) == (OutcomeKind.UNKNOWN, code)


def test_a_slow_drip_is_cut_at_the_time_out(drive: Drive) -> None:
    """The time-out counts to the last byte: an answer that drips in for ever does not hold a delivery."""

    def drip(connection: socket.socket) -> None:
        pause = threading.Event()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(30):
            try:
                connection.sendall(b"x")
            except OSError:
                return
            pause.wait(0.1)

    with listening(drip) as url:
        assert drive(ask_broken(url)) == (OutcomeKind.UNKNOWN, "timeout")


def test_a_refused_connection_is_not_sent(drive: Drive) -> None:
    """Nobody listens: nothing can have reached anyone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert drive(ask_broken(f"http://127.0.0.1:{port}/")) == (OutcomeKind.NOT_SENT, "refused_connection")


def test_a_name_that_does_not_resolve_is_not_sent(drive: Drive) -> None:
    """No address, no request."""
    assert drive(ask_broken("http://name.invalid/")) == (OutcomeKind.NOT_SENT, "dns")


def test_a_failed_handshake_is_not_sent(drive: Drive) -> None:
    """A server that speaks no TLS has received no request."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        kind, code = drive(ask_broken(f"https://127.0.0.1:{server.getsockname()[1]}/"))
        thread.join(5)
    assert (kind, code) == (OutcomeKind.NOT_SENT, "tls")


@pytest.mark.parametrize("url", ["http://", "http://[::1/"])
def test_an_address_that_is_none_is_not_sent(drive: Drive, url: str) -> None:
    """An adapter's bad address breaks as a request that never left."""
    assert drive(ask_broken(url)) == (OutcomeKind.NOT_SENT, "invalid_url")


def test_who_lost_the_lease_sends_nothing(drive: Drive) -> None:
    """Before each request leaves it is asked whether the worker still lives."""
    connections = count()

    def play(connection: socket.socket) -> None:
        next(connections)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def has_lost_it() -> bool:
        return False

    with listening(play) as url:
        may_send = has_lost_it if drive is drive_async else lambda: False
        assert drive(ask_broken(url), may_send=may_send) == (OutcomeKind.NOT_SENT, "lease_lost")
    assert next(connections) == 0


def test_a_breakage_that_is_not_caught_is_raised(drive: Drive) -> None:
    """A conversation that does not expect breakages ends with one."""
    with pytest.raises(BreakageError) as caught:
        drive(ask("http://name.invalid/secret-path"))
    assert "secret-path" not in str(caught.value)
