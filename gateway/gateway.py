"""The gateway: what a backend service imports, and what the daemon runs.

Synchronous and thread-safe; the methods with an `a` in front are the same for an event loop. The library configures
nothing: no logging, no signals, no global state.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from govpost.adapters.base import Inbound, Outbound, Receives
from govpost.adapters.manifest import Manifest, Role
from govpost.adapters.registry import load_adapter
from govpost.gateway.explain import Explanation, explain
from govpost.gateway.ledger import Ledger, Pending, PortalTerms, Recorded
from govpost.gateway.ledger.ledger import Answer
from govpost.gateway.log import get_logger
from govpost.gateway.relay import Destination
from govpost.gateway.settings import BackendSection, PortalSection, Settings, load_settings
from govpost.gateway.worker import AsyncWorker, Meter, RelayReport, SyncWorker, utc_now
from govpost.schemas import (
    Cancel,
    Cancelled,
    Denied,
    Event,
    Headers,
    OrderContent,
    Place,
    Placed,
    Problem,
    Result,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import ConfigurationError, LedgerUnavailableError
from govpost.schemas.lifecycle import FUTURE_TOLERANCE

__all__ = ["Gateway", "GatewayMeter", "PortalRuntime", "SystemRuntime"]

_log = get_logger("govpost.gateway")

#: How often a portal's cancel looks whether the backend has answered.
_LOOK_EVERY_S = 0.05


class GatewayMeter(Meter, Protocol):
    """Where the gateway's figures go; `Metrics` in the daemon."""

    def accepted(self, portal: str) -> None:
        """Count a new order."""
        ...

    def repeated(self, portal: str) -> None:
        """Count an order that came again."""
        ...

    def denied(self, portal: str, problem: str) -> None:
        """Count a request that was not done."""
        ...

    def commit(self, size: int, seconds: float) -> None:
        """Count a commit of the ledger."""
        ...


@dataclass(frozen=True, slots=True)
class SystemRuntime:
    """A portal or backend of the settings, with its adapter."""

    name: str
    adapter: Any
    manifest: Manifest

    @property
    def destination(self) -> Destination | None:
        """The system as something we call; None for one that we only listen to."""
        return Destination(self.name, self.adapter, self.manifest) if isinstance(self.adapter, Outbound) else None


@dataclass(frozen=True, slots=True)
class PortalRuntime(SystemRuntime):
    """A portal, with the backend that carries its orders."""

    backend: str = ""
    #: The adapter where the portal calls us; looked up once, a protocol check is slow.
    door: Receives | None = None

    @property
    def terms(self) -> PortalTerms:
        """What this portal is told."""
        return PortalTerms(self.manifest.tells, self.manifest.needs_waybill, self.manifest.tells_own_cancel)


class Gateway:
    """Take orders from portals, relay them, and tell the portals what happened."""

    def __init__(
        self, settings: Settings, *, clock: Callable[[], datetime] = utc_now, meter: GatewayMeter | None = None
    ) -> None:
        """Build the adapters and open the ledger; raises ConfigurationError and its kin."""
        self.settings = settings
        self._clock = clock
        self._meter = meter
        self.portals: Mapping[str, PortalRuntime] = {
            name: _portal(section) for name, section in settings.portals.items()
        }
        self.backends: Mapping[str, SystemRuntime] = {
            name: _backend(section) for name, section in settings.backends.items()
        }
        self.ledger = Ledger(
            settings.ledger.url,
            settings.ledger.key_file,
            clock=clock,
            terms={name: portal.terms for name, portal in self.portals.items()},
            backend_amends=frozenset(name for name, backend in self.backends.items() if backend.manifest.amends),
            group_size=settings.ledger.group_size,
            group_wait_s=settings.ledger.group_wait_s,
            on_commit=_uncounted if meter is None else meter.commit,
        )
        self._worker: AsyncWorker | None = None
        self._relaying = threading.Lock()

    @classmethod
    def from_toml(cls, path: str | Path, *, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open the gateway that a settings file describes."""
        return cls(load_settings(Path(path)), clock=clock)

    def close(self) -> None:
        """Commit what is waiting and close the ledger."""
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Portals' doors.

    def receive(self, portal: str, request: WireRequest) -> WireReply:
        """Answer a portal's request, in its own words; durable before the answer."""
        runtime = self.portals.get(portal)
        if runtime is None or runtime.door is None:
            return _no_such_door()
        inbound = runtime.door.read(request, self._clock())
        result = self._finish(runtime, self._result(runtime, inbound))
        return runtime.door.answer(inbound, result)

    async def areceive(self, portal: str, request: WireRequest) -> WireReply:
        """Answer as `receive` does, without holding up the event loop."""
        runtime = self.portals.get(portal)
        if runtime is None or runtime.door is None:
            return _no_such_door()
        adapter = runtime.door
        if "read" in runtime.manifest.cpu_heavy:
            inbound = await asyncio.to_thread(adapter.read, request, self._clock())
        else:
            inbound = adapter.read(request, self._clock())
        result = self._finish(runtime, await self._aresult(runtime, inbound))
        if "answer" in runtime.manifest.cpu_heavy:
            return await asyncio.to_thread(adapter.answer, inbound, result)
        return adapter.answer(inbound, result)

    def _execute(self, runtime: PortalRuntime, inbound: Inbound) -> Future[Answer] | Denied:
        if isinstance(inbound.command, Denied) and inbound.nonce is None:
            # An unproven caller leaves no trace in the ledger.
            return inbound.command
        return self.ledger.execute(runtime.name, inbound.command, backend=runtime.backend, nonce=inbound.nonce)

    def _result(self, runtime: PortalRuntime, inbound: Inbound) -> Result:
        try:
            executed = self._execute(runtime, inbound)
            answer = executed if isinstance(executed, Denied) else executed.result()
            return self._await_backend(answer)
        except LedgerUnavailableError as error:
            return _try_again(error)

    async def _aresult(self, runtime: PortalRuntime, inbound: Inbound) -> Result:
        try:
            executed = self._execute(runtime, inbound)
            answer = executed if isinstance(executed, Denied) else await asyncio.wrap_future(executed)
            if not isinstance(answer, Pending):
                return answer
            self._wake((runtime.backend,))
            return await asyncio.to_thread(self._await_backend, answer)
        except LedgerUnavailableError as error:
            return _try_again(error)

    def _await_backend(self, answer: Answer) -> Result:
        """Wait for what the backend says to a command, as long as the settings allow."""
        gives_up_at = time.monotonic() + self.settings.relay.cancel_wait_s
        while isinstance(answer, Pending):
            if time.monotonic() >= gives_up_at:
                return Denied(Problem.TRY_AGAIN, "the post has not answered yet; ask again")
            self._pause.wait(_LOOK_EVERY_S)
            answer = self.ledger.command_result(answer)
        return answer

    #: Never set: a way to wait that a test can see through.
    _pause = threading.Event()

    def _finish(self, runtime: PortalRuntime, result: Result) -> Result:
        """Tell the log, the meter and the relay what came of a request."""
        self._report(runtime.name, result)
        if isinstance(result, Placed) and not result.is_repeat:
            self._wake((runtime.backend,))
        return result

    def _report(self, portal: str, result: Result) -> None:
        meter = self._meter
        match result:
            case Placed(order_id=order_id, is_repeat=True):
                _log.info("order.repeated", portal=portal, order_id=order_id)
                if meter is not None:
                    meter.repeated(portal)
            case Placed(order_id=order_id):
                _log.info("order.accepted", portal=portal, order_id=order_id)
                if meter is not None:
                    meter.accepted(portal)
            case Cancelled(order_id=order_id):
                _log.info("order.cancelled", portal=portal, order_id=order_id)
            case Denied(problem=problem, field=field):
                _log.warning("request.denied", portal=portal, problem=problem.value, field=field)
                if meter is not None:
                    meter.denied(portal, problem.value)

    # Without a wire.

    def place(self, portal: str, order: OrderContent) -> Placed | Denied:
        """Take an order in our own words; raises LedgerUnavailableError, and KeyError for an unknown portal."""
        runtime = self.portals[portal]
        content = order.model_dump(mode="json", exclude_none=True, exclude={"submitted_at"})
        result = self.ledger.execute(portal, Place(order, content), backend=runtime.backend).result()
        self._report(portal, result)  # type: ignore[arg-type]  # a placement never waits for the backend
        self._wake((runtime.backend,))
        return result  # type: ignore[return-value]  # as above

    def cancel(self, order_id: str, *, reason: str | None = None) -> Cancelled | Denied:
        """Cancel an order as its portal would; raises UnknownOrderError and LedgerUnavailableError."""
        row = self.ledger.read_order(order_id).row
        answer = self.ledger.execute(row.portal, Cancel(row.portal_ref, reason)).result()
        self._wake((row.backend,))
        result = self._await_backend(answer)
        self._report(row.portal, result)
        return result  # type: ignore[return-value]  # a cancel is answered by one of these

    def record(self, order_id: str, event: Event) -> Recorded:
        """Record what happened to an item, as its backend tells it; raises LedgerUnavailableError."""
        early = self._refuse_future(event)
        recorded = early if early is not None else self.ledger.record(order_id, event).result()
        self._note_recorded(order_id, event, recorded)
        return recorded

    async def arecord_many(self, told: Sequence[tuple[str, Event]]) -> list[Recorded]:
        """Record events in order, each alone, in one or few commits."""
        futures: list[Recorded | Future[Recorded]] = []
        for order_id, event in told:
            early = self._refuse_future(event)
            futures.append(early if early is not None else self.ledger.record(order_id, event))
        results = [future if isinstance(future, Recorded) else await asyncio.wrap_future(future) for future in futures]
        for (order_id, event), recorded in zip(told, results, strict=True):
            self._note_recorded(order_id, event, recorded)
        return results

    def _refuse_future(self, event: Event) -> Recorded | None:
        if event.occurred_at > self._clock() + FUTURE_TOLERANCE:
            return Recorded(422, detail="occurred_at: lies more than 10 minutes in the future")
        return None

    def _note_recorded(self, order_id: str, event: Event, recorded: Recorded) -> None:
        if recorded.status == 201:
            _log.info("event.recorded", order_id=order_id, status=event.status, moved=recorded.moved)
            self._wake((*self.portals, *self.backends))
        if recorded.waybill_differs:
            _log.error("waybill.differs", order_id=order_id)

    def explain(self, order_id: str) -> Explanation:
        """Tell where an order is, what is owed to whom, why it waits, and what happens next and when."""
        return explain(self.ledger, order_id, settings=self.settings.relay, now=self._clock())

    # The relay.

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Every system that we call."""
        systems: Iterable[SystemRuntime] = (*self.portals.values(), *self.backends.values())
        return tuple(destination for system in systems if (destination := system.destination) is not None)

    def relay(self, *, until_idle: bool = False) -> RelayReport:
        """Try what is due, in this thread; `until_idle` goes on until nothing is due any more."""
        with self._relaying:
            worker = SyncWorker(
                self.ledger, self.destinations, settings=self.settings.relay, clock=self._clock, meter=self._meter
            )
            try:
                return worker.run(until_idle=until_idle)
            finally:
                worker.close()

    async def arelay(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set (the daemon's relay)."""
        self._worker = AsyncWorker(
            self.ledger, self.destinations, settings=self.settings.relay, clock=self._clock, meter=self._meter
        )
        try:
            await self._worker.run(stop)
        finally:
            self._worker = None

    def _wake(self, names: Iterable[str]) -> None:
        if self._worker is not None:
            self._worker.wake(names)


def _portal(section: PortalSection) -> PortalRuntime:
    adapter_type = load_adapter(section.adapter_key)
    if section.backend is None:
        raise ConfigurationError(
            f"[portals.{section.name}] backend: is missing; name the [backends.…] that carries its orders"
        )
    adapter = adapter_type.build(section.options, section=f"portals.{section.name}")
    door = adapter if isinstance(adapter, Receives) else None
    return PortalRuntime(section.name, adapter, adapter_type.manifest, section.backend, door)


def _backend(section: BackendSection) -> SystemRuntime:
    adapter_type = load_adapter(section.adapter_key)
    if Role.CARRIES not in adapter_type.manifest.roles:
        raise ConfigurationError(f"[backends.{section.name}] adapter: {section.adapter_key} takes no orders")
    adapter = adapter_type.build(section.options, section=f"backends.{section.name}")
    return SystemRuntime(section.name, adapter, adapter_type.manifest)


def _uncounted(_size: int, _seconds: float) -> None:
    """Measure no commit: nobody gave a meter."""


def _try_again(error: LedgerUnavailableError) -> Denied:
    _log.error("ledger.unavailable", error=str(error))
    return Denied(Problem.TRY_AGAIN, "nothing was stored; send it again, signed anew")


def _no_such_door() -> WireReply:
    return WireReply(404, Headers({"content-type": "text/plain; charset=utf-8"}), b"no portal answers here\n")
