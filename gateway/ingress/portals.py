"""The doors of portals and backends: bytes in, bytes out. What they mean is the adapters' business.

A raw ASGI application rather than a Starlette route: every order passes here, and a route costs as much as the rest
of the way to the ledger. It keeps what signatures cover: the path as on the request line, percent-encoding and all.
"""

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from govpost.gateway.ingress.answers import refuse
from govpost.schemas import Headers, WireReply, WireRequest

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway

__all__ = ["BACKENDS_PREFIX", "PORTALS_PREFIX", "SystemDoor", "section_of"]

PORTALS_PREFIX = "/portals/"
BACKENDS_PREFIX = "/backends/"

#: Headers that may stand several times, being lists (RFC 9110, 5.3): proxies on the way repeat them. They are joined.
_LISTS = frozenset({
    b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"baggage", b"cache-control", b"connection",
    b"forwarded", b"pragma", b"te", b"tracestate", b"via", b"warning", b"x-forwarded-for", b"x-forwarded-host",
    b"x-forwarded-proto",
})  # fmt: skip


class SystemDoor:
    """Hand requests under ``/portals/<section>/`` or ``/backends/<section>/`` to the gateway, which knows the adapter.

    A header that is no list and stands there twice is a 400: a signature checked over one value while something else
    reads the other is a way in, so nobody gets to choose.
    """

    def __init__(self, gateway: "Gateway", names: Container[str]) -> None:
        self._gateway = gateway
        #: Whose door this is.
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        name = section_of(scope)
        if name not in self._names:
            await refuse(scope, send, 404, "nobody answers here; check the path against the settings' section names")
            return
        body = await _read_body(receive)
        if body is None:
            return  # the caller has gone; nothing was begun
        try:
            headers = _read_headers(scope["headers"])
        except _RepeatedHeaderError as error:
            await refuse(scope, send, 400, f"header {error.name} stands there more than once")
            return
        request = WireRequest(scope["method"], _target(scope), headers, body)
        await _answer(send, await self._gateway.areceive(name, request))


class _RepeatedHeaderError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def section_of(scope: Scope) -> str:
    """Read the settings section out of the path of a request to such a door."""
    path: str = scope["path"]
    return path.split("/", 3)[2]


def _target(scope: Scope) -> str:
    path: str = scope["raw_path"].decode("ascii")
    query: bytes = scope["query_string"]
    return f"{path}?{query.decode('ascii')}" if query else path


def _read_headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    once = dict(raw)
    if len(once) != len(raw):
        once = _join_lists(raw)
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in once.items()])


def _join_lists(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in raw:
        if name in joined and name not in _LISTS:
            raise _RepeatedHeaderError(name.decode("latin-1"))
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


async def _read_body(receive: Receive) -> bytes | None:
    """Read a body whole; None when the caller went away before its end."""
    message: Message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message["body"]
        return body
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message["body"]
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()
    return None


async def _answer(send: Send, reply: WireReply) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in reply.headers.items()
        if name.lower() != "content-length"
    ]
    headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
