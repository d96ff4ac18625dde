"""Carry the requests of a conversation: over aiohttp in the daemon, over requests in the library.

Both drivers do the same: send what the conversation yields, hand it the reply, or throw what broke into it as a
`BreakageError`. `BREAKAGES` is the one place where a library's exception becomes an outcome.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import aiohttp
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from govpost.schemas import Conversation, Headers, Outcome, OutcomeKind, WireReply, WireRequest
from govpost.schemas.errors import BreakageError

__all__ = ["LEASE_LOST", "AsyncTransport", "SyncTransport", "Timeouts"]

T = TypeVar("T")

#: No answer of a portal or backend is larger than this.
MAX_REPLY_BYTES = 8 * 1024 * 1024

#: Code of an attempt that our own driver held back.
LEASE_LOST = "lease_lost"

_READ_BYTES = 65_536

_NOT_SENT, _UNKNOWN = OutcomeKind.NOT_SENT, OutcomeKind.UNKNOWN

#: Exception → outcome, the first that fits. Whatever happens before the connection stands cannot have reached anyone.
BREAKAGES: tuple[tuple[type[BaseException], OutcomeKind, str], ...] = (
    (aiohttp.ClientConnectorDNSError, _NOT_SENT, "dns"),
    (aiohttp.ClientConnectorSSLError, _NOT_SENT, "tls"),
    (aiohttp.ClientConnectorCertificateError, _NOT_SENT, "tls"),
    (aiohttp.ClientConnectorError, _NOT_SENT, "refused_connection"),
    (aiohttp.ConnectionTimeoutError, _NOT_SENT, "connect_timeout"),
    (aiohttp.InvalidURL, _NOT_SENT, "invalid_url"),
    (aiohttp.ServerTimeoutError, _UNKNOWN, "timeout"),
    (aiohttp.ClientError, _UNKNOWN, "connection_lost"),
    (NameResolutionError, _NOT_SENT, "dns"),
    (NewConnectionError, _NOT_SENT, "refused_connection"),
    (ConnectTimeoutError, _NOT_SENT, "connect_timeout"),
    (SSLError, _NOT_SENT, "tls"),
    (ReadTimeoutError, _UNKNOWN, "timeout"),
    (ProtocolError, _UNKNOWN, "connection_lost"),
    (HTTPError, _UNKNOWN, "connection_lost"),
    (requests.exceptions.ConnectTimeout, _NOT_SENT, "connect_timeout"),
    (requests.exceptions.SSLError, _NOT_SENT, "tls"),
    (requests.exceptions.InvalidURL, _NOT_SENT, "invalid_url"),
    (requests.exceptions.Timeout, _UNKNOWN, "timeout"),
    (requests.exceptions.RequestException, _UNKNOWN, "connection_lost"),
    (ssl.SSLError, _NOT_SENT, "tls"),
    (ConnectionRefusedError, _NOT_SENT, "refused_connection"),
    (TimeoutError, _UNKNOWN, "timeout"),
    (OSError, _UNKNOWN, "connection_lost"),
)

_CAUGHT = (aiohttp.ClientError, requests.exceptions.RequestException, HTTPError, TimeoutError, OSError)

#: Asked before each request leaves, waits for its turn, and tells whether we may still send: a worker that was taken
#: for dead must not.
MaySend = Callable[[], bool]
MaySendSoon = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a destination is waited for, seconds."""

    connect_s: float
    #: From the first byte sent to the last byte received.
    request_s: float


def breakage(error: BaseException) -> BreakageError:
    """Turn a library's exception into an outcome; requests wraps urllib3's, whose reason says more."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    found = _find(reason) or _find(error)
    kind, code = found if found is not None else (_UNKNOWN, "connection_lost")
    return BreakageError(Outcome(kind, code=code))


def _find(error: object) -> tuple[OutcomeKind, str] | None:
    return next(((kind, code) for type_, kind, code in BREAKAGES if isinstance(error, type_)), None)


def _lease_lost() -> BreakageError:
    return BreakageError(Outcome(_NOT_SENT, code=LEASE_LOST))


def _too_large() -> BreakageError:
    return BreakageError(Outcome(_UNKNOWN, code="reply_too_large"))


class AsyncTransport:
    """Drive conversations over aiohttp, all destinations through one pool."""

    def __init__(self, timeouts: Timeouts, *, connections: int) -> None:
        self._timeouts = timeouts
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=connections, ttl_dns_cache=60),
            timeout=aiohttp.ClientTimeout(total=timeouts.request_s, sock_connect=timeouts.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._session.close()

    async def drive(
        self, conversation: Conversation[T], *, may_send: MaySendSoon | None = None, is_cpu_heavy: bool = False
    ) -> T:
        """Carry a conversation to its end and return its result; with `is_cpu_heavy` it is continued off the loop."""
        run = asyncio.to_thread if is_cpu_heavy else _at_once
        step: WireRequest | _Done[T] = await run(_first, conversation)
        while isinstance(step, WireRequest):
            try:
                reply = await self._carry(step, may_send)
            except BreakageError as error:
                step = await run(_throw, conversation, error)
            else:
                step = await run(_send, conversation, reply)
        return step.value

    async def _carry(self, request: WireRequest, may_send: MaySendSoon | None) -> WireReply:
        if may_send is not None and not await may_send():
            raise _lease_lost()
        try:
            async with self._session.request(
                request.method, request.url, data=request.body, headers=dict(request.headers), allow_redirects=False
            ) as response:
                body = await response.content.read(MAX_REPLY_BYTES + 1)
                while len(body) <= MAX_REPLY_BYTES and (more := await response.content.read(MAX_REPLY_BYTES)):
                    body += more
                if len(body) > MAX_REPLY_BYTES:
                    raise _too_large()
                return WireReply(response.status, Headers(response.headers.items()), body)
        except _CAUGHT as error:
            raise breakage(error) from error


async def _at_once(step: Callable[..., T], *args: Any) -> T:
    return step(*args)


class SyncTransport:
    """Drive conversations over requests, so that `responses` works in users' tests."""

    def __init__(self, timeouts: Timeouts, *, connections: int = 10) -> None:
        self._timeouts = timeouts
        self._session = requests.Session()
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=0))

    def close(self) -> None:
        """Close the pool."""
        self._session.close()

    def drive(self, conversation: Conversation[T], *, may_send: MaySend = lambda: True) -> T:
        """Carry a conversation to its end and return its result."""
        step = _first(conversation)
        while isinstance(step, WireRequest):
            try:
                reply = self._carry(step, may_send)
            except BreakageError as error:
                step = _throw(conversation, error)
            else:
                step = _send(conversation, reply)
        return step.value

    def _carry(self, request: WireRequest, may_send: MaySend) -> WireReply:
        if not may_send():
            raise _lease_lost()
        gives_up_at = time.monotonic() + self._timeouts.request_s
        try:
            with self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                timeout=(self._timeouts.connect_s, self._timeouts.request_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read_body(response, gives_up_at)
                return WireReply(response.status_code, Headers(response.headers.items()), body)
        except _CAUGHT as error:
            raise breakage(error) from error


def _read_body(response: requests.Response, gives_up_at: float) -> bytes:
    """Read as it comes: the time-out of requests counts from byte to byte, ours to the last one."""
    body = b""
    while more := response.raw.read1(_READ_BYTES, decode_content=True):
        body += more
        if len(body) > MAX_REPLY_BYTES:
            raise _too_large()
        if time.monotonic() > gives_up_at:
            raise requests.exceptions.ReadTimeout
    return body


class _Done(Generic[T]):
    """The end of a conversation."""

    def __init__(self, value: T) -> None:
        self.value = value


def _first(conversation: Conversation[T]) -> WireRequest | _Done[T]:
    try:
        return next(conversation)
    except StopIteration as end:
        return _Done(end.value)


def _send(conversation: Conversation[T], reply: WireReply) -> WireRequest | _Done[T]:
    try:
        return conversation.send(reply)
    except StopIteration as end:
        return _Done(end.value)


def _throw(conversation: Conversation[T], error: BreakageError) -> WireRequest | _Done[T]:
    try:
        return conversation.throw(error)
    except StopIteration as end:
        return _Done(end.value)
