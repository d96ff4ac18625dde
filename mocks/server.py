"""Serve a mock over a real socket, from a thread of its own, faults acted out."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from govpost.mocks.base import Mock
from govpost.mocks.control import PREFIX, control
from govpost.mocks.faults import Fault, FaultKind
from govpost.schemas import WireReply, WireRequest

try:
    import uvloop
except ImportError:  # it is not to be had on Windows
    _new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_event_loop = uvloop.new_event_loop

__all__ = ["MockServer"]

M = TypeVar("M", bound=Mock)
T = TypeVar("T")

_BACKLOG = 1024
_MAX_BODY = 16 << 20
#: l_onoff, l_linger: close with RST rather than FIN.
_HARD_CLOSE = struct.pack("ii", 1, 0)


class MockServer(Generic[M]):
    """A mock on a socket. Use as a context manager, or `start` and `stop`.

    The port stays ours while nobody listens on it (`refuse`), so that `accept` opens the same one again.
    """

    def __init__(self, mock: M, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.mock = mock
        self.host = host
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._guard: socket.socket | None = None
        self._web: web.Server | None = None
        self._busy: set[web.RequestHandler] = set()
        self._door: asyncio.Server | None = None
        self._reopening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> Self:
        """Listen, if it does not already; OSError where the port cannot be had."""
        if self._loop is not None:
            return self
        # Bound but never listening: keeps the port ours while the door is shut.
        self._guard = _bind(self.host, self.port)
        self.port = self._guard.getsockname()[1]
        self._loop = _new_event_loop()
        self._thread = Thread(target=_run, args=(self._loop,), name=f"mock-{self.mock.key}", daemon=True)
        self._thread.start()
        try:
            self._call(self._accept())
        except OSError:
            self.stop()
            raise
        self.mock.url = self.url
        return self

    def stop(self) -> None:
        """Cut all connections and end the thread; may be called twice."""
        if self._loop is None or self._thread is None or self._guard is None:
            return
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._guard.close()
        self._loop = self._thread = self._guard = None

    def refuse(self) -> None:
        """Stop listening and close idle connections: until `accept`, connections are refused."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._call(self._accept())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the mock's server is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _accept(self) -> None:
        self._forget_reopening()
        await self._open()

    async def _refuse(self) -> None:
        self._forget_reopening()
        await self._shut()

    async def _close(self) -> None:
        await self._refuse()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._web is not None:
            await self._web.shutdown(0)

    async def _open(self) -> None:
        if self._web is None:
            self._web = web.Server(
                self._serve, handler_cancellation=True, request_factory=_build_request, access_log=None
            )
        if self._door is None:
            sock = _bind(self.host, self.port)
            try:
                self._door = await asyncio.get_running_loop().create_server(self._web, sock=sock, backlog=_BACKLOG)
            except OSError:
                sock.close()
                raise

    async def _shut(self) -> None:
        if self._door is not None and self._web is not None:
            self._door.close()
            self._door = None
            for connection in self._busy:
                connection.close()
            # Idle ones `close` would leave open and mute. Sockets are closed in the loop's next rounds; whoever calls
            # relies on it.
            while idle := set(self._web.connections) - self._busy:
                for connection in idle:
                    connection.force_close()
                await asyncio.sleep(0)

    def _forget_reopening(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None

    async def _refuse_for(self, seconds: float, raw: web.BaseRequest) -> None:
        await self._shut()
        _cut(raw)
        await asyncio.sleep(seconds)
        await self._open()

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        self._busy.add(raw.protocol)
        try:
            return await self._answer(raw)
        finally:
            self._busy.discard(raw.protocol)

    async def _answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        request = WireRequest(raw.method, raw.raw_path, raw.headers, await raw.read())
        if request.url.startswith(PREFIX):
            # An action may call the gateway, and the gateway the mock: it must not stand on the loop.
            return _response(await asyncio.to_thread(control, self.mock, request))
        exchange = self.mock.exchange(request)
        if exchange.first is not None:
            await asyncio.to_thread(exchange.first)
        if exchange.fault is not None:
            await self._act_out(exchange.fault, raw)
        return web.Response() if exchange.reply is None else _response(exchange.reply)

    async def _act_out(self, fault: Fault, raw: web.BaseRequest) -> None:
        match fault.kind:
            case FaultKind.LATENCY:
                await asyncio.sleep(fault.seconds)
            case FaultKind.HANG | FaultKind.HANG_AFTER:
                # Until the client gives up or the server stops: both cancel this.
                await asyncio.Event().wait()
            case FaultKind.RESET:
                _cut(raw)
            case FaultKind.REFUSE:
                # This request's connection stands already, so all that can be done to it is to cut it, once the
                # door is shut. In a task of its own, because the cut cancels the one that serves this request.
                self._forget_reopening()
                self._reopening = asyncio.create_task(self._refuse_for(fault.seconds, raw))
                await asyncio.Event().wait()
            case _:
                pass


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _bind(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)  # noqa: FBT003 - positional by the standard library
    except OSError:
        sock.close()
        raise
    return sock


def _build_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY)


def _response(reply: WireReply) -> web.Response:
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


def _cut(raw: web.BaseRequest) -> None:
    """Close the connection with a reset; the answer that follows finds nobody."""
    transport = raw.transport
    if transport is None:
        return
    # uvloop's stand-in for the socket sets no options, so a twin of it does.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HARD_CLOSE)
    transport.abort()
