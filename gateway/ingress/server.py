"""Run the daemon: uvicorn's servers and the relay in one event loop, stopping cleanly."""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp

from govpost.gateway.ingress.app import create_admin_app, create_app, public_limits
from govpost.gateway.ingress.limits import RequestLimits, build_protocol
from govpost.gateway.log import get_logger
from govpost.gateway.metrics import Metrics
from govpost.schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway

__all__ = ["Bound", "serve"]

_log = get_logger()

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Idle connections are kept a little longer than the proxies in front keep theirs (nginx: 60 s): the one who closes
#: an idle connection should be the one who knows whether it is about to send.
_KEEP_ALIVE_S = 65
_BACKLOG = 2048
#: Of the time to stop, so much at most goes to requests in hand; the relay has the rest.
_SHARE_OF_REQUESTS = 0.5


@dataclass(frozen=True, slots=True)
class Bound:
    """Where we listen."""

    host: str
    port: int
    #: None where the public port serves the operator as well.
    admin_port: int | None


async def serve(
    gateway: "Gateway",
    *,
    metrics: Metrics | None = None,
    ready: Callable[[Bound], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Listen and relay until SIGTERM, SIGINT or `stop`; `ready` is told where, once requests are answered.

    `metrics` is what the gateway was given as its meter; without one, only requests and the ledger are measured.
    Stops in this order: no new connections, requests in hand finished, relay stopped; all within
    `[relay] stop_within_s`. Raises ConfigurationError when a port cannot be had, and whatever ended the relay.
    """
    stop = stop or asyncio.Event()
    relay_stop = asyncio.Event()
    metrics = metrics or Metrics()
    metrics.watch(gateway.ledger.stats)
    servers = _bind(gateway, metrics)
    bound = _bound(gateway, servers)
    serving = [asyncio.create_task(server.serve([server.listener]), name="govpost-server") for server in servers]
    relaying = asyncio.create_task(gateway.arelay(relay_stop), name="govpost-relay")
    tasks = [*serving, relaying]
    try:
        with _set_on_signals(stop):
            if await _first(asyncio.gather(*(server.is_up.wait() for server in servers)), *tasks):
                _freeze_heap()
                _log.info("gateway.started", host=bound.host, port=bound.port, admin_port=bound.admin_port)
                if ready is not None:
                    ready(bound)
                await _first(asyncio.ensure_future(stop.wait()), *tasks)
            _log.info("gateway.stopping")
            await _wind_down(gateway, servers, serving, relay_stop, relaying)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
    _log.info("gateway.stopped")


def _freeze_heap() -> None:
    """Keep what was loaded at the start out of the collector's way: a full collection of it stops us for 0.4 s."""
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """A server on a socket that is bound already, that leaves signals to `serve`."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listener = listener
        self.is_up = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that was had, also where any would do."""
        port: int = self.listener.getsockname()[1]
        return port

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when it is done."""
        await super().startup(sockets)
        self.is_up.set()


def _bind(gateway: "Gateway", metrics: Metrics) -> list[_Server]:
    """Take the ports: the public one, and the admin's where it is set."""
    settings = gateway.settings.ingress
    limits = public_limits(gateway)
    servers = [_build_server(gateway, create_app(gateway, metrics), limits, port=settings.port, key="port")]
    if settings.admin_port is not None:
        admin_app = create_admin_app(gateway, metrics)
        try:
            limits = RequestLimits.from_settings(settings)
            servers.append(_build_server(gateway, admin_app, limits, port=settings.admin_port, key="admin_port"))
        except ConfigurationError:
            servers[0].listener.close()
            raise
    return servers


def _build_server(gateway: "Gateway", app: ASGIApp, limits: RequestLimits, *, port: int, key: str) -> _Server:
    ingress = gateway.settings.ingress
    config = uvicorn.Config(
        app,
        http=build_protocol(limits),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(_SHARE_OF_REQUESTS * gateway.settings.relay.stop_within_s)),
    )
    return _Server(config, _listen(ingress.host, port, key=key))


def _listen(host: str, port: int, *, key: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"[ingress] {key}: cannot listen on {host} port {port}: {reason}") from error


def _bound(gateway: "Gateway", servers: list[_Server]) -> Bound:
    public, *admin = servers
    return Bound(gateway.settings.ingress.host, public.port, admin[0].port if admin else None)


@contextmanager
def _set_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` when the process is told to end; only a main thread can be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _first(awaited: asyncio.Future[Any], *others: asyncio.Future[Any]) -> bool:
    """Wait until any has ended; say whether it was the awaited one. That one does not outlive this."""
    try:
        await asyncio.wait({awaited, *others}, return_when=asyncio.FIRST_COMPLETED)
        return awaited.done()
    finally:
        awaited.cancel()


async def _wind_down(
    gateway: "Gateway",
    servers: list[_Server],
    serving: list[asyncio.Task[None]],
    relay_stop: asyncio.Event,
    relaying: asyncio.Task[Any],
) -> None:
    """Finish what is in hand: requests first, since some of them wait for the relay."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + gateway.settings.relay.stop_within_s
    for server in servers:
        server.should_exit = True
    await asyncio.wait(serving)
    relay_stop.set()
    await asyncio.wait({relaying}, timeout=ends_at - loop.time())
