"""How much of anything a caller may have: bytes, headers, time, room.

Two places share it. `Limits` is ASGI middleware and judges requests whose head has arrived. `build_protocol` makes
uvicorn's protocol keep a deadline on receiving, which uvicorn has none of, and look at heads that never end.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from govpost.gateway.ingress.answers import API_PREFIX, RETRY_SOON, refuse
from govpost.gateway.ingress.portals import BACKENDS_PREFIX, PORTALS_PREFIX, section_of
from govpost.gateway.settings import IngressSettings

__all__ = ["LimitedProtocol", "Limits", "RequestLimits", "build_protocol"]

_EVENTS_PATH = re.compile(rf"{API_PREFIX}/(?:orders/[^/]+/)?events")
#: Asked by whoever decides about restarts; a crowded house must not look like a dead one.
_NEVER_CROWDED = frozenset({"/healthz", "/readyz", "/metrics"})
#: What a header costs beside name and value (colon, space, line end).
_HEADER_EXTRA = 4
#: A chunk of one byte takes six on the wire; what is more than that is no body, however it is cut.
_WIRE_TO_BODY = 8


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of one port."""

    max_body_bytes: int
    max_event_body_bytes: int
    max_header_bytes: int
    max_requests: int
    receive_timeout_s: float
    #: Portals' sections whose contract allows other sizes.
    section_body_bytes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_settings(
        cls, settings: IngressSettings, *, section_body_bytes: Mapping[str, int] | None = None
    ) -> "RequestLimits":
        """Take the limits out of `[ingress]`."""
        return cls(
            max_body_bytes=settings.max_body_bytes,
            max_event_body_bytes=settings.max_event_body_bytes,
            max_header_bytes=settings.max_header_bytes,
            max_requests=settings.max_requests,
            receive_timeout_s=settings.receive_timeout_s,
            section_body_bytes=section_body_bytes or {},
        )

    @property
    def max_message_bytes(self) -> int:
        """The most bytes that any message may take on the wire, those that are thrown away included."""
        largest = max(self.max_body_bytes, self.max_event_body_bytes, *self.section_body_bytes.values())
        return self.max_header_bytes + _WIRE_TO_BODY * largest

    def body_bytes(self, scope: Scope) -> int:
        """Say how large the body of this request may be."""
        path: str = scope["path"]
        if path.startswith((PORTALS_PREFIX, BACKENDS_PREFIX)):
            return self.section_body_bytes.get(section_of(scope), self.max_body_bytes)
        return self.max_event_body_bytes if _EVENTS_PATH.fullmatch(path) else self.max_body_bytes


class Limits:
    """Refuse what is too large (413, 431) or too much at once (503), before an application sees it.

    A body that announces its size is refused unread, a chunked one as soon as it has grown too large: reading on raises
    HTTPException. The rest of a refused body is thrown away as it comes, within the deadline; closing at once would
    reset the connection and the answer with it.
    """

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if _head_bytes(scope) > self._limits.max_header_bytes:
            await refuse(scope, send, 431, f"the head is larger than {self._limits.max_header_bytes} bytes")
            return
        most = self._limits.body_bytes(scope)
        if _announced_bytes(headers) > most:
            closing = {"connection": "close"} if any(name == b"expect" for name, _ in headers) else None
            await refuse(scope, send, 413, _too_large(most), headers=closing)
            return
        if self._in_hand >= self._limits.max_requests and scope["path"] not in _NEVER_CROWDED:
            await refuse(scope, send, 503, "too many requests at once; try again", headers=RETRY_SOON)
            return
        self._in_hand += 1
        try:
            await self._app(scope, _counted(receive, most), send)
        except HTTPException as error:
            await refuse(scope, send, error.status_code, error.detail)
        finally:
            self._in_hand -= 1


def _head_bytes(scope: Scope) -> int:
    lines = sum(len(name) + len(value) + _HEADER_EXTRA for name, value in scope["headers"])
    return lines + len(scope["raw_path"]) + len(scope["query_string"])


def _announced_bytes(headers: list[tuple[bytes, bytes]]) -> int:
    # llhttp has let only digits through, and no second one beside it.
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


def _too_large(most: int) -> str:
    return f"the body is larger than {most} bytes"


def _counted(receive: Receive, most: int) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, _too_large(most))
        return message

    return receive_counted


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline from a message's first byte (or the connection's start) to its last.

    Before the end of the message nothing of ours has begun, so cutting it off loses nothing.
    """

    limits: RequestLimits

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_is_complete = False
        #: Bytes of the message under way, as on the wire.
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a connection that says nothing is closed as well."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, parse, and look whether the message has become too large."""
        self._arm()
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._head_is_complete and self._received > self.limits.max_header_bytes:
            self._refuse(431, f"the head is larger than {self.limits.max_header_bytes} bytes")
        elif self._received > self.limits.max_message_bytes:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Start the clock of a message that came behind another in the same packet."""
        super().on_message_begin()
        self._arm()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Ignore trailers, which uvicorn would put among the headers that a signature is read from."""
        if not self._head_is_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Remember that the head has ended."""
        self._head_is_complete = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock."""
        self._disarm()
        self._received = 0
        self._head_is_complete = False
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            # Answered before it had come whole: uvicorn's timer for idle connections went off with the last bytes.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def shutdown(self) -> None:
        """Turn away what has not come whole; finish what has."""
        if self._deadline is not None and self._received and self._may_answer():
            self._refuse(503, "shutting down; try again")
        else:
            super().shutdown()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.receive_timeout_s, self._on_deadline)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            self._arm()  # it is we who do not read
        elif self._received:
            self._refuse(408, f"the request had not come whole after {self.limits.receive_timeout_s:g} s")
        else:
            self.transport.close()

    def _may_answer(self) -> bool:
        """Say whether the next answer on this connection is to the message that is under way."""
        if self.cycle is None or self.cycle.response_complete:
            return not self._head_is_complete
        return self._head_is_complete and not self.cycle.response_started and not self.pipeline

    def _refuse(self, status: int, detail: str) -> None:
        """Answer in place of the application where an answer is due, and close."""
        self._disarm()
        if not self._may_answer():
            self.transport.close()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The application finds that the caller has gone, and its answer goes nowhere.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = f"{detail}\n".encode()
        retry = "retry-after: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


_PHRASES = {408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


def build_protocol(limits: RequestLimits) -> type[LimitedProtocol]:
    """Make the protocol that keeps these limits; uvicorn constructs it for each connection."""
    return type("BoundLimitedProtocol", (LimitedProtocol,), {"limits": limits})
