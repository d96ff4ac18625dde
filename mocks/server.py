"""Serve a mock over a real socket, from a thread of its own, faults acted out."""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aiohttp import web

from govpost.mocks.base import Mock
from govpost.mocks.control import PREFIX, control
from govpost.mocks.faults import Fault, FaultKind
from govpost.schemas import WireReply, WireRequest

try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    from asyncio import new_event_loop

__all__ = ["MockServer"]

M = TypeVar("M", bound=Mock)
T = TypeVar("T")

_BACKLOG = 1024
_MAX_BODY = 16 << 20
#: l_onoff, l_linger: close with RST rather than FIN.
_HARD_CLOSE = struct.pack("ii", 1, 0)


class MockServer(Generic[M]):
    """A mock on the loopback. Use as a context manager, or `start` and `stop`.

    The port stays ours while nobody listens on it (`refuse`), so that `accept` opens the same one again.
    """

    def __init__(self, mock: M, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.mock = mock
        self.host = host
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._guard: socket.socket | None = None
        self._door: asyncio.Server | None = None
        self._reopening: asyncio.TimerHandle | None = None

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> Self:
        """Listen; OSError where the port cannot be had."""
        # Bound but never listening: keeps the port for us while the door is shut.
        self._guard = _bind(self.host, self.port)
        self.port = self._guard.getsockname()[1]
        self._loop = new_event_loop()
        self._thread = Thread(target=self._run, args=(self._loop,), name=f"mock-{self.mock.key}", daemon=True)
        self._thread.start()
        try:
            self._call(self._open())
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
        """Stop listening and close idle connections: from now on connections are refused."""
        self._call(self._shut())

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._call(self._open())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the mock's server is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        if self._door is None:
            self._web = web.Server(
                self._serve,
                handler_cancellation=True,
                request_factory=_build_request,
                access_log=None,
                logger=_LOG,
            )
            loop = asyncio.get_running_loop()
            self._door = await loop.create_server(self._web, sock=_listen(self.host, self.port))

    async def _shut(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None
            self._web.pre_shutdown()
            # uvloop closes the socket in its next round.
            await asyncio.sleep(0)

    async def _close(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await self._shut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        request = WireRequest(raw.method, raw.path_qs if raw.raw_path is None else raw.raw_path, raw.headers, await raw.read())
        if request.url.startswith(PREFIX):
            # An action may call the gateway, and that the mock: it must not stand on the loop.
            return _response(await asyncio.to_thread(control, self.mock, request))
        exchange = self.mock.exchange(request)
        if exchange.fault is not None:
            await self._act_out(exchange.fault, raw)
        return _response(exchange.reply) if exchange.reply is not None else _NEVER_SENT()

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
                _cut(raw)
                await self._shut()
                self._reopen_in(fault.seconds)

    def _reopen_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._reopening = loop.call_later(seconds, lambda: loop.create_task(self._open()))
