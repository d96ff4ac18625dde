"""The gateway: what a backend service imports, and what the daemon runs.

Synchronous and thread-safe; the methods with an `a` in front are the same for an event loop. The library configures
nothing: no logging, no signals, no global state.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from govpost.adapters.base import Adapter, Inbound, Labels, Outbound, Polled, Receives
from govpost.adapters.manifest import Manifest, Role
from govpost.adapters.registry import load_adapter
from govpost.gateway.check import uncovered
from govpost.gateway.explain import Explanation, explain
from govpost.gateway.gate import SyncGate
from govpost.gateway.ledger import Carriage, Ledger, Pending, PortalTerms, Recorded
from govpost.gateway.ledger.ledger import Answer
from govpost.gateway.log import get_logger
from govpost.gateway.poller import PolledPortal, Poller
from govpost.gateway.reconcile import Nightly, Reconciliation, can_reconcile, note, reconcile
from govpost.gateway.relay import Destination
from govpost.gateway.routes import Routes
from govpost.gateway.settings import BackendSection, Settings, load_settings
from govpost.gateway.transport import AsyncTransport, SyncTransport, Timeouts
from govpost.gateway.worker import AsyncWorker, Meter, RelayReport, SyncWorker, system_source, utc_now
from govpost.schemas import (
    Batch,
    Batched,
    Cancel,
    Cancelled,
    Denied,
    Event,
    Headers,
    Noted,
    OrderContent,
    Outcome,
    Place,
    Placed,
    Problem,
    Record,
    Result,
    Telling,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import (
    BreakageError,
    ConfigurationError,
    LedgerUnavailableError,
    UnsupportedFeatureError,
)
from govpost.schemas.identifiers import WaybillNo
from govpost.schemas.lifecycle import FUTURE_TOLERANCE

__all__ = ["Gateway", "GatewayMeter", "SystemRuntime"]

_log = get_logger("govpost.gateway")

#: How often a portal's cancel looks whether the backend has answered.
_LOOK_EVERY_S = 0.05
#: Reading more than this takes long enough for others to notice: off the event loop with it.
_LONG_BODY_BYTES = 64 * 1024


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
    """A portal or backend of the settings, with its adapter in the roles that it plays."""

    name: str
    adapter: Adapter
    #: Something that we call; None for a system that we only listen to.
    destination: Destination | None
    #: The adapter where the system calls us; looked up once, a protocol check is slow.
    door: Receives | None

    @property
    def manifest(self) -> Manifest:
        """What the adapter says of itself."""
        return self.adapter.manifest

    @property
    def terms(self) -> PortalTerms:
        """What this portal is told."""
        manifest = self.manifest
        return PortalTerms(
            manifest.tells, manifest.needs_waybill, manifest.tells_own_cancel, is_polled=Role.POLLED in manifest.roles
        )

    @property
    def carriage(self) -> Carriage:
        """How deliveries travel there."""
        manifest = self.manifest
        return Carriage(
            batches=manifest.batches,
            has_probe=manifest.has_probe,
            needs_history=manifest.needs_history,
            places_in_parts=manifest.places_in_parts,
            takes_proof=manifest.takes_proof,
        )


class Gateway:
    """Take orders from portals, relay them, and tell the portals what happened."""

    def __init__(
        self, settings: Settings, *, clock: Callable[[], datetime] = utc_now, meter: GatewayMeter | None = None
    ) -> None:
        """Build the adapters and open the ledger; raises ConfigurationError and its kin."""
        self.settings = settings
        self._clock = clock
        self._meter = meter
        for problem in uncovered(settings):
            raise ConfigurationError(problem)
        self.portals: Mapping[str, SystemRuntime] = {
            name: _system(section, f"portals.{name}") for name, section in settings.portals.items()
        }
        self.backends: Mapping[str, SystemRuntime] = {
            name: _backend(section) for name, section in settings.backends.items()
        }
        #: Everybody we know; portals and backends share no name.
        self._systems: Mapping[str, SystemRuntime] = {**self.portals, **self.backends}
        self.routes = Routes(settings.routes, settings.portals)
        self.ledger = Ledger(
            settings.ledger.url,
            settings.ledger.key_file,
            clock=clock,
            terms={name: portal.terms for name, portal in self.portals.items()},
            carriage={name: system.carriage for name, system in self._systems.items()},
            backend_amends=frozenset(name for name, backend in self.backends.items() if backend.manifest.amends),
            group_size=settings.ledger.group_size,
            group_wait_s=settings.ledger.group_wait_s,
            on_commit=_uncounted if meter is None else meter.commit,
        )
        self._source = system_source(clock)
        self._poller = Poller(
            self.ledger, self._polled(), settings=settings.relay, source=self._source, on_taken=self._note_taken
        )
        self._worker: AsyncWorker | None = None
        self._relaying = threading.Lock()

    def _polled(self) -> Iterator[PolledPortal]:
        for name, portal in self.portals.items():
            if isinstance(portal.adapter, Polled) and portal.destination is not None:
                yield PolledPortal(portal.destination, portal.adapter, partial(self.routes.backend_for, name))

    def _note_taken(self, portal: str, results: Sequence[Placed | Denied]) -> None:
        """Tell the log, the meter and the relay what came of a page."""
        for result in results:
            self._report(portal, result)
        if results:
            self._wake((portal, *self.backends))

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

    # Doors.

    def receive(self, system: str, request: WireRequest) -> WireReply:
        """Answer the request of a portal or a backend, in its own words; durable before the answer."""
        runtime = self._systems.get(system)
        if runtime is None or runtime.door is None:
            return _no_such_door()
        inbound = runtime.door.read(request, self._clock())
        result = self._finish(runtime, self._result(runtime, inbound))
        return runtime.door.answer(inbound, result)

    async def areceive(self, system: str, request: WireRequest) -> WireReply:
        """Answer as `receive` does, without holding up the event loop."""
        runtime = self._systems.get(system)
        if runtime is None or runtime.door is None:
            return _no_such_door()
        adapter = runtime.door
        if "read" in runtime.manifest.cpu_heavy or len(request.body) > _LONG_BODY_BYTES:
            inbound = await asyncio.to_thread(adapter.read, request, self._clock())
        else:
            inbound = adapter.read(request, self._clock())
        result = self._finish(runtime, await self._aresult(runtime, inbound))
        if "answer" in runtime.manifest.cpu_heavy:
            return await asyncio.to_thread(adapter.answer, inbound, result)
        return adapter.answer(inbound, result)

    def _execute(self, runtime: SystemRuntime, inbound: Inbound) -> Future[Answer] | Denied:
        command = inbound.command
        if isinstance(command, Record | Batch):
            raise TypeError("events are told and batches taken apart, not executed")
        if isinstance(command, Denied) and inbound.nonce is None:
            # An unproven caller leaves no trace in the ledger.
            return command
        backend = self.routes.backend_for(runtime.name, command.order) if isinstance(command, Place) else ""
        return self.ledger.execute(
            runtime.name, command, backend=backend, nonce=inbound.nonce, nonce_digest=inbound.nonce_digest
        )

    def _result(self, runtime: SystemRuntime, inbound: Inbound) -> Result:
        try:
            if isinstance(inbound.command, Batch):
                denied = self._begin_batch(runtime, inbound, inbound.command).result()
                waiting = () if denied else self._place_all(runtime, inbound.command)
                return denied or Batched(tuple(_placed(each.result()) for each in waiting))
            if isinstance(inbound.command, Record):
                tellings = inbound.command.tellings
                told = [future.result() for future in self._tell(runtime.name, tellings)]
                return self._note_told(runtime.name, tellings, told)
            executed = self._execute(runtime, inbound)
            answer = executed if isinstance(executed, Denied) else executed.result()
            return self._await_backend(answer)
        except LedgerUnavailableError as error:
            return _try_again(error)

    async def _aresult(self, runtime: SystemRuntime, inbound: Inbound) -> Result:
        try:
            if isinstance(inbound.command, Batch):
                denied = await asyncio.wrap_future(self._begin_batch(runtime, inbound, inbound.command))
                # Sealing hundreds of orders takes a while.
                waiting = () if denied else await asyncio.to_thread(self._place_all, runtime, inbound.command)
                return denied or Batched(tuple([_placed(await asyncio.wrap_future(each)) for each in waiting]))
            if isinstance(inbound.command, Record):
                tellings = inbound.command.tellings
                told = [await asyncio.wrap_future(future) for future in self._tell(runtime.name, tellings)]
                return self._note_told(runtime.name, tellings, told)
            executed = self._execute(runtime, inbound)
            answer = executed if isinstance(executed, Denied) else await asyncio.wrap_future(executed)
            if not isinstance(answer, Pending):
                return answer
            self._wake(self.backends)
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

    def _begin_batch(self, runtime: SystemRuntime, inbound: Inbound, batch: Batch) -> Future[Denied | None]:
        return self.ledger.begin_batch(runtime.name, batch, nonce=inbound.nonce, nonce_digest=inbound.nonce_digest)

    def _place_all(self, runtime: SystemRuntime, batch: Batch) -> Sequence[Future[Answer]]:
        """Have the ledger take the orders of a batch, each alone; what was denied stays so."""
        return [
            self.ledger.execute(
                runtime.name,
                command,
                backend=self.routes.backend_for(runtime.name, command.order) if isinstance(command, Place) else "",
            )
            for command in batch.commands
        ]

    def _tell(self, backend: str, tellings: Iterable[Telling]) -> list[Future[Recorded]]:
        """Have the ledger record what a backend tells, in its order, each alone."""
        return [self.ledger.tell(backend, telling) for telling in tellings]

    def _note_told(self, backend: str, tellings: Sequence[Telling], told: Sequence[Recorded]) -> Noted:
        for telling, recorded in zip(tellings, told, strict=True):
            self._note_recorded(telling.order_id or "", telling.event, recorded)
        strays = sum(recorded.status == 202 for recorded in told)
        if strays:
            _log.warning("event.kept", backend=backend, events=strays)
        return Noted(strays)

    def _finish(self, runtime: SystemRuntime, result: Result) -> Result:
        """Tell the log, the meter and the relay what came of a request."""
        results = result.results if isinstance(result, Batched) else (result,)
        for each in results:
            self._report(runtime.name, each)
        if any(isinstance(each, Placed) and not each.is_repeat for each in results):
            self._wake((runtime.name, *self.backends))
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
        if portal not in self.portals:
            raise KeyError(portal)
        content = order.model_dump(mode="json", exclude_none=True, exclude={"submitted_at"})
        backend = self.routes.backend_for(portal, order)
        result = self.ledger.execute(portal, Place(order, content), backend=backend).result()
        placed = _placed(result)
        self._report(portal, placed)
        self._wake((portal, backend))
        return placed

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
            kept = await asyncio.to_thread(self.ledger.keep_proof, event) if event.proof else event
            futures.append(early if early is not None else self.ledger.record(order_id, kept))
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

    def fetch_label(self, backend: str, waybill_no: WaybillNo) -> bytes | Outcome:
        """Have a backend make the label of an item, as a PDF; an Outcome where it gives none.

        Raises UnsupportedFeatureError for one that makes no labels, or is not in the settings.
        """
        runtime = self.backends.get(backend)
        if runtime is None or runtime.destination is None or not isinstance(runtime.adapter, Labels):
            raise UnsupportedFeatureError("label", f"backend {backend} makes none")
        gate = SyncGate(self.ledger, runtime.destination, clock=self._clock)
        with closing(self._sync_transport()) as transport:
            try:
                return transport.drive(runtime.adapter.label(waybill_no, self._source), may_send=gate)
            except BreakageError as error:
                return error.outcome

    def explain(self, order_id: str) -> Explanation:
        """Tell where an order is, what is owed to whom, why it waits, and what happens next and when."""
        adapters = {name: portal.adapter for name, portal in self.portals.items()}
        return explain(self.ledger, order_id, adapters=adapters, settings=self.settings.relay, now=self._clock())

    # The relay.

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Every system that we call."""
        systems = self._systems.values()
        return tuple(system.destination for system in systems if system.destination is not None)

    def poll(self) -> None:
        """Ask every portal that is polled, and whose time it is, for orders, until it has no more.

        What a portal or the wire does wrong is logged and tried again; raises LedgerUnavailableError.
        """
        with closing(self._sync_transport()) as transport:
            self._poller.poll(transport)

    def reconcile(self, system: str, day: date) -> Reconciliation:
        """Compare the orders of a day with the books of a portal or a backend, and put right what is safe.

        Raises KeyError for an unknown system, TypeError for one without books, LedgerUnavailableError.
        """
        destination = self._systems[system].destination
        if destination is None or not can_reconcile(destination):
            raise TypeError(f"{system} has no books to compare with")
        gate = SyncGate(self.ledger, destination, clock=self._clock)
        with closing(self._sync_transport()) as transport:
            found = transport.drive(reconcile(self.ledger, destination, day, self._source), may_send=gate)
        note(found)
        self._wake(self._systems)
        return found

    def _sync_transport(self) -> SyncTransport:
        relay = self.settings.relay
        return SyncTransport(Timeouts(relay.connect_timeout_s, relay.request_timeout_s))

    def relay(self, *, until_idle: bool = False) -> RelayReport:
        """Poll the portals whose time it is and try what is due, in this thread.

        `until_idle` goes on until nothing is due any more.
        """
        self.poll()
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
            self.ledger,
            self.destinations,
            settings=self.settings.relay,
            clock=self._clock,
            meter=self._meter,
            beside=self._beside,
        )
        try:
            await self._worker.run(stop)
        finally:
            self._worker = None

    async def _beside(self, stop: asyncio.Event, transport: AsyncTransport) -> None:
        """Poll portals and compare books while the relay runs."""
        nightly = Nightly(
            self.ledger,
            self.destinations,
            self._source,
            at=self.settings.relay.reconcile_at,
            on_done=lambda: self._wake(self._systems),
        )
        await asyncio.gather(self._poller.run(stop, transport), nightly.run(stop, transport))

    def _wake(self, names: Iterable[str]) -> None:
        if self._worker is not None:
            self._worker.wake(names)


def _system(section: BackendSection, title: str) -> SystemRuntime:
    adapter = load_adapter(section.adapter_key).build(section.options, section=title)
    rates = [rate for rate in (section.rate_per_s, adapter.manifest.rate_per_s) if rate is not None]
    destination = (
        Destination(section.name, adapter, min(rates, default=None)) if isinstance(adapter, Outbound) else None
    )
    return SystemRuntime(section.name, adapter, destination, adapter if isinstance(adapter, Receives) else None)


def _backend(section: BackendSection) -> SystemRuntime:
    if Role.CARRIES not in load_adapter(section.adapter_key).manifest.roles:
        raise ConfigurationError(f"[backends.{section.name}] adapter: {section.adapter_key} takes no orders")
    return _system(section, f"backends.{section.name}")


def _placed(answer: Answer) -> Placed | Denied:
    if not isinstance(answer, Placed | Denied):
        raise TypeError("a placement is answered at once")
    return answer


def _uncounted(_size: int, _seconds: float) -> None:
    """Measure no commit: nobody gave a meter."""


def _try_again(error: LedgerUnavailableError) -> Denied:
    _log.error("ledger.unavailable", error=str(error))
    return Denied(Problem.TRY_AGAIN, "nothing was stored; send it again, signed anew")


def _no_such_door() -> WireReply:
    return WireReply(404, Headers({"content-type": "text/plain; charset=utf-8"}), b"no portal answers here\n")
