"""Work through the outbox: claim, attempt, settle; in the daemon's event loop, or in the caller's thread.

Both workers are thin. What is decided is decided in `relay`; what is stored is stored by the ledger.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from ulid import ULID

from govpost.adapters.base import Document, Outbound, Owed, OwedRefusal, Polled
from govpost.gateway.gate import AsyncGate, SyncGate
from govpost.gateway.ledger import Batch, Claims, DeadReason, Ledger, Next, Settled, Settlement
from govpost.gateway.ledger.workers import InstanceLock
from govpost.gateway.log import get_logger
from govpost.gateway.relay import ADAPTER_FAILED, Destination, Tried, apart, attempt, judge_batch
from govpost.gateway.settings import RelaySettings
from govpost.gateway.transport import AsyncTransport, SyncTransport, Timeouts
from govpost.schemas import Outcome, OutcomeKind, Source
from govpost.schemas.errors import BreakageError, LedgerUnavailableError, MappingError, UnsupportedFeatureError

__all__ = ["AsyncWorker", "Meter", "RelayReport", "SyncWorker", "system_source", "utc_now"]

_log = get_logger("govpost.relay")


def system_source(clock: Callable[[], datetime]) -> Source:
    """Make the source of time and tokens that is not a test's."""
    return Source(now=clock, token=lambda: secrets.token_hex(16))


class Meter(Protocol):
    """Where figures go; `Metrics` in the daemon."""

    def tried(self, destination: str, seconds: float) -> None:
        """Count one try to reach a destination, whatever it carried."""
        ...

    def attempt(self, destination: str, kind: str, outcome: str, *, count: int) -> None:
        """Count attempts of deliveries."""
        ...

    def retried(self, destination: str, portal: str, *, count: int) -> None:
        """Count deliveries that go out again."""
        ...

    def delivered(self, destination: str, portal: str, *, count: int) -> None:
        """Count deliveries that were taken."""
        ...

    def dead(self, destination: str, portal: str, reason: str, *, count: int) -> None:
        """Count dead letters."""
        ...


@dataclass(slots=True)
class RelayReport:
    """What a run of the relay did."""

    attempts: int = 0
    taken: int = 0
    retried: int = 0
    dead: int = 0


@dataclass
class _Desk:
    """What both workers share: an identity in the ledger, and the steps before and after the wire."""

    ledger: Ledger
    destinations: Mapping[str, Destination]
    settings: RelaySettings
    source: Source
    meter: Meter | None = None
    worker_id: str = field(default_factory=lambda: str(ULID()))
    #: Monotonic time up to which this worker counts as alive in the ledger.
    alive_until: float = 0.0
    holds_lock: bool = False

    def render(self, name: str, owed: Owed | OwedRefusal) -> Document:
        """Have the destination's adapter make the body.

        Raises MappingError for what cannot be said, and BreakageError where the adapter itself broke.
        """
        try:
            return _render(self.destinations[name].adapter, owed)
        except MappingError:
            raise
        except Exception as error:  # one order that an adapter breaks at must not stop the others
            _log_failed(name, owed.delivery_id, error)
            raise BreakageError(Outcome(OutcomeKind.NOT_SENT, code=ADAPTER_FAILED)) from error

    def is_alive(self) -> bool:
        """Tell whether our leases are still ours: asked before each request leaves."""
        return time.monotonic() < self.alive_until

    def renew(self) -> Future[tuple[bool, int]]:
        """Show in the ledger that we live, and take over from the dead."""
        return self.ledger.renew(
            self.worker_id,
            holds_lock=self.holds_lock,
            dead_after_s=self.settings.worker_dead_s,
            probe_after_s=self.settings.request_timeout_s,
        )

    def note_renewal(self, begun: float, result: tuple[bool, int]) -> bool:
        """Count the renewal from when it was asked for; False when we were taken for dead meanwhile."""
        lives, reclaimed = result
        if lives:
            self.alive_until = begun + self.settings.worker_dead_s
        if reclaimed:
            _log.warning("worker.reclaimed", deliveries=reclaimed)
        return lives

    def retire(self) -> Future[None]:
        """Leave the ledger, and give up what was not settled."""
        return self.ledger.retire(self.worker_id, probe_after_s=self.settings.request_timeout_s)

    def claim(self, name: str, most: int) -> Future[Claims]:
        """Lease what is due."""
        return self.ledger.claim(name, worker_id=self.worker_id, most=most, render=self.render)

    def settle(self, settlements: Sequence[Settlement]) -> Future[Settled]:
        """Store how the attempts of one request ended."""
        return self.ledger.settle(
            settlements,
            worker_id=self.worker_id,
            pause_base_s=self.settings.pause_base_s,
            pause_cap_s=self.settings.pause_cap_s,
            breakages_to_pause=self.settings.breakages_to_pause,
        )

    @staticmethod
    def take_apart(settlements: Sequence[Settlement], error: Exception) -> list[list[Settlement]]:
        """Say how to go on where the ledger cannot store an end for a fault of its own: one by one, then for a person.

        One that cannot even be buried stays leased until this worker leaves the ledger, and then is asked after.
        """
        first = settlements[0]
        if len(settlements) == 1:
            claim = first.claim
            facts = {"destination": claim.destination, "order_id": claim.order_id, "delivery_id": claim.delivery_id}
            _log.error("delivery.not_settled", error=type(error).__name__, exc_info=error, **facts)
        return [] if first.dead_reason is DeadReason.NOT_STORED else apart(settlements)

    def note_settled(self, first: Settlement, settled: Settled) -> None:
        """Say what a request told of the destination: a pause is a person's business."""
        facts = {"destination": first.claim.destination, "reason": first.outcome.kind.value}
        if settled.paused_until is not None:
            _log.error("destination.paused", until_at=str(settled.paused_until), **facts)
        if settled.opened:
            _log.info("destination.opened", **facts)

    def judge(self, batch: Batch, tried: Sequence[Tried], started_at: datetime) -> list[Settlement]:
        """Decide what becomes of what one request carried, and say so to the log and the meter."""
        now = self.source.now()
        manifest = self.destinations[batch[0].destination].manifest
        settlements = judge_batch(
            batch, tried, manifest=manifest, settings=self.settings, started_at=started_at, now=now
        )
        if self.meter is not None:
            self.meter.tried(batch[0].destination, (now - started_at).total_seconds())
        for alike in _alike(settlements):
            self._report(alike)
        return settlements

    def _report(self, alike: Sequence[Settlement]) -> None:
        """Say once what became of all that ended in the same way."""
        settlement, count = alike[0], len(alike)
        claim, outcome = settlement.claim, settlement.outcome
        facts = {
            "destination": claim.destination,
            **_names(alike),
            "kind": claim.kind.value,
            "attempt": claim.attempts,
            "outcome": outcome.kind.value,
            "code": outcome.code,
        }
        if self.meter is not None:
            self.meter.attempt(claim.destination, claim.kind.value, outcome.kind.value, count=count)
        portal = claim.portal
        match settlement.next:
            case Next.SETTLE:
                _log.info("delivery.taken" if outcome.kind is OutcomeKind.TAKEN else "delivery.refused", **facts)
                if self.meter is not None:
                    self.meter.delivered(claim.destination, portal, count=count)
            case Next.RETRY:
                if self.meter is not None:
                    self.meter.retried(claim.destination, portal, count=count)
                _log.warning("delivery.retry_scheduled", due_at=str(settlement.due_at), **facts)
            case Next.BURY:
                _log.error("delivery.dead", reason=str(settlement.dead_reason), **facts)
                if self.meter is not None:
                    self.meter.dead(claim.destination, portal, str(settlement.dead_reason), count=count)

    def broken_adapter(self, batch: Batch, error: Exception, *, has_left: bool) -> list[Tried]:
        """Judge an adapter that raised what it may not: a person must see the trace; what did not leave is not sent."""
        _log_failed(batch[0].destination, batch[0].delivery_id, error)
        outcome = Outcome(OutcomeKind.UNKNOWN if has_left else OutcomeKind.NOT_SENT, code=ADAPTER_FAILED)
        return [Tried(outcome, is_uncertain=has_left or claim.is_uncertain) for claim in batch]


def _render(adapter: Outbound, owed: Owed | OwedRefusal) -> Document:
    if isinstance(owed, Owed):
        return adapter.render(owed)
    if isinstance(adapter, Polled):
        return adapter.refuse(owed)
    raise UnsupportedFeatureError("kind", "this system hands over nothing that could be refused")


def _log_failed(destination: str, delivery_id: str, error: Exception) -> None:
    _log.error(
        "delivery.adapter_failed",
        destination=destination,
        delivery_id=delivery_id,
        error=type(error).__name__,
        exc_info=error,
    )


def _alike(settlements: Iterable[Settlement]) -> Iterable[list[Settlement]]:
    """Put together what differs in nothing but which delivery it is."""
    groups: dict[tuple[object, ...], list[Settlement]] = {}
    for each in settlements:
        claim, outcome = each.claim, each.outcome
        said = (outcome.kind, outcome.code, each.next, each.due_at, each.dead_reason)
        groups.setdefault((claim.kind, claim.portal, claim.attempts, *said), []).append(each)
    return groups.values()


def _names(alike: Sequence[Settlement]) -> dict[str, object]:
    claims = [each.claim for each in alike]
    if len(claims) == 1:
        return {"order_id": claims[0].order_id, "delivery_id": claims[0].delivery_id}
    return {
        "deliveries": len(claims),
        "order_ids": list(dict.fromkeys(claim.order_id for claim in claims)),
        "delivery_ids": [claim.delivery_id for claim in claims],
    }


#: What runs beside the deliveries until it is told to stop, over the same connections.
Beside = Callable[[asyncio.Event, AsyncTransport], Awaitable[None]]


class AsyncWorker:
    """The daemon's relay: one claiming loop a destination, so that a slow one takes nothing from the others."""

    def __init__(
        self,
        ledger: Ledger,
        destinations: Iterable[Destination],
        *,
        settings: RelaySettings,
        clock: Callable[[], datetime],
        meter: Meter | None = None,
        beside: Beside | None = None,
    ) -> None:
        known = {destination.name: destination for destination in destinations}
        self._desk = _Desk(ledger, known, settings, system_source(clock), meter)
        self._settings = settings
        self._beside = beside
        self._wakes: dict[str, asyncio.Event] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def wake(self, names: Iterable[str]) -> None:
        """Say, from any thread, that something may have fallen due."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if threading.get_ident() == self._thread:
            self._set(names)
        else:
            loop.call_soon_threadsafe(self._set, tuple(names))

    def _set(self, names: Iterable[str]) -> None:
        for name in names:
            if wake := self._wakes.get(name):
                wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`; then claim nothing more, finish what is under way or leave it uncertain, and return."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        lock = InstanceLock(self._desk.ledger.path.with_suffix(".lock"))
        self._desk.holds_lock = lock.acquire()
        transport = AsyncTransport(
            Timeouts(self._settings.connect_timeout_s, self._settings.request_timeout_s),
            connections=self._settings.concurrency,
        )
        try:
            await self._join(stop)
            await self._renew()
            beats = asyncio.create_task(self._beat())
            serving = [self._serve(name, transport, stop) for name in self._desk.destinations]
            await asyncio.gather(*serving, *([self._beside(stop, transport)] if self._beside else []))
            beats.cancel()
            await asyncio.gather(beats, return_exceptions=True)
            await self._leave()
        finally:
            await transport.close()
            lock.close()
            self._loop = None

    async def _join(self, stop: asyncio.Event) -> None:
        """Enter the ledger, as soon as it can be written."""
        while not stop.is_set():
            try:
                await asyncio.wrap_future(
                    self._desk.ledger.register(self._desk.worker_id, holds_lock=self._desk.holds_lock)
                )
            except LedgerUnavailableError as error:
                _log.error("ledger.unavailable", error=str(error))
                await _wait(stop, self._settings.idle_poll_s)
            else:
                return

    async def _leave(self) -> None:
        """Leave the ledger; where it cannot be written, the row dies of age like any other."""
        try:
            await asyncio.wrap_future(self._desk.retire())
        except LedgerUnavailableError as error:
            _log.error("ledger.unavailable", error=str(error))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.worker_renew_s)
            await self._renew()

    async def _renew(self) -> None:
        begun = time.monotonic()
        try:
            result = await asyncio.wrap_future(self._desk.renew())
            if not self._desk.note_renewal(begun, result):
                await self._rejoin()
            if result[1]:
                self._set(self._wakes)
        except LedgerUnavailableError as error:
            _log.error("ledger.unavailable", error=str(error))

    async def _rejoin(self) -> None:
        """We were taken for dead (the machine slept): come back under a new name, without the old leases."""
        self._desk.worker_id = str(ULID())
        await asyncio.wrap_future(self._desk.ledger.register(self._desk.worker_id, holds_lock=self._desk.holds_lock))

    async def _serve(self, name: str, transport: AsyncTransport, stop: asyncio.Event) -> None:
        wake = self._wakes.setdefault(name, asyncio.Event())
        under_way: set[asyncio.Task[None]] = set()
        stopping = asyncio.create_task(_wake_on(stop, wake))
        while not stop.is_set():
            wake.clear()
            free = self._settings.concurrency - len(under_way)
            wait_s = await self._claim(name, free, transport, under_way, wake) if free else self._settings.idle_poll_s
            if wait_s > 0:
                await _wait(wake, wait_s)
        stopping.cancel()
        if under_way:
            await asyncio.wait(under_way, timeout=self._settings.stop_within_s * _FINISHING_SHARE)
        await self._abandon(under_way)

    async def _claim(
        self,
        name: str,
        free: int,
        transport: AsyncTransport,
        under_way: set[asyncio.Task[None]],
        wake: asyncio.Event,
    ) -> float:
        """Start what is due; returns for how long there is nothing more to start, seconds."""
        try:
            claims = await asyncio.wrap_future(self._desk.claim(name, free))
        except LedgerUnavailableError as error:
            _log.error("ledger.unavailable", error=str(error))
            return self._settings.idle_poll_s
        for batch in claims.batches:
            task = asyncio.create_task(self._try(batch, transport))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            task.add_done_callback(lambda _task: wake.set())
        if len(claims.batches) == free or claims.next_due_at is None:
            return self._settings.idle_poll_s
        until_due_s = (claims.next_due_at - self._desk.source.now()).total_seconds()
        return min(self._settings.idle_poll_s, max(until_due_s, _SHORTEST_WAIT_S))

    async def _try(self, batch: Batch, transport: AsyncTransport) -> None:
        started_at = self._desk.source.now()
        destination = self._desk.destinations[batch[0].destination]
        gate = AsyncGate(self._desk.ledger, destination, clock=self._desk.source.now, is_alive=self._desk.is_alive)
        try:
            conversation = attempt(destination, batch, self._desk.source)
            tried = await transport.drive(conversation, may_send=gate, is_cpu_heavy=destination.is_cpu_heavy("send"))
        except Exception as error:  # noqa: BLE001 - the relay's outermost loop: nothing may stop the lanes
            tried = self._desk.broken_adapter(batch, error, has_left=gate.has_opened)
        await self._settle(self._desk.judge(batch, tried, started_at))

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        """Store how a request ended, as soon as the ledger can be written: until then the leases are nobody else's."""
        while True:
            try:
                settled = await asyncio.wrap_future(self._desk.settle(settlements))
                break
            except LedgerUnavailableError as error:
                _log.error("ledger.unavailable", error=str(error))
                await asyncio.sleep(self._settings.idle_poll_s)
            except Exception as error:  # noqa: BLE001 - one at fault must not keep the others unsettled
                await asyncio.gather(*map(self._settle, self._desk.take_apart(settlements, error)))
                return
        self._desk.note_settled(settlements[0], settled)
        self._set({name for each in settlements for name in (each.claim.portal, each.claim.destination)})

    @staticmethod
    async def _abandon(tasks: set[asyncio.Task[None]]) -> None:
        """Leave what did not finish in time: its lease dies with this worker, and it is asked after."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


#: Of the time for stopping, what deliveries under way may use; the rest is for the ledger.
_FINISHING_SHARE = 0.7
_SHORTEST_WAIT_S = 0.001


async def _wake_on(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


class SyncWorker:
    """The library's relay: in the caller's thread, one delivery after the other."""

    def __init__(
        self,
        ledger: Ledger,
        destinations: Iterable[Destination],
        *,
        settings: RelaySettings,
        clock: Callable[[], datetime],
        meter: Meter | None = None,
    ) -> None:
        known = {destination.name: destination for destination in destinations}
        self._desk = _Desk(ledger, known, settings, system_source(clock), meter)
        self._renew_s = settings.worker_renew_s
        self._renews_at = 0.0
        self._transport = SyncTransport(Timeouts(settings.connect_timeout_s, settings.request_timeout_s))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def run(self, *, until_idle: bool) -> RelayReport:
        """Try what is due: once round the destinations, or until nothing is due any more."""
        report = RelayReport()
        self._desk.ledger.register(self._desk.worker_id, holds_lock=False).result()
        try:
            while self._round(report) and until_idle:
                pass
        finally:
            self._desk.retire().result()
        return report

    def _round(self, report: RelayReport) -> bool:
        """Go once round the destinations; False when nothing was due anywhere."""
        has_worked = False
        for name in self._desk.destinations:
            self._beat()
            # One at a time: a lease that waits here for its turn would be a lease on nothing.
            for batch in self._desk.claim(name, 1).result().batches:
                has_worked = True
                self._try(batch, report)
        return has_worked

    def _beat(self) -> None:
        begun = time.monotonic()
        if begun < self._renews_at:
            return
        self._renews_at = begun + self._renew_s
        if not self._desk.note_renewal(begun, self._desk.renew().result()):
            self._desk.worker_id = str(ULID())
            self._desk.ledger.register(self._desk.worker_id, holds_lock=False).result()

    def _try(self, batch: Batch, report: RelayReport) -> None:
        started_at = self._desk.source.now()
        destination = self._desk.destinations[batch[0].destination]
        gate = SyncGate(self._desk.ledger, destination, clock=self._desk.source.now, is_alive=self._desk.is_alive)
        try:
            tried = self._transport.drive(attempt(destination, batch, self._desk.source), may_send=gate)
        except Exception as error:  # noqa: BLE001 - the relay's outermost loop: nothing may stop the lanes
            tried = self._desk.broken_adapter(batch, error, has_left=gate.has_opened)
        self._settle(self._desk.judge(batch, tried, started_at), report)

    def _settle(self, settlements: Sequence[Settlement], report: RelayReport) -> None:
        try:
            settled = self._desk.settle(settlements).result()
        except LedgerUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - one at fault must not keep the others unsettled
            for alone in self._desk.take_apart(settlements, error):
                self._settle(alone, report)
            return
        self._desk.note_settled(settlements[0], settled)
        for each in settlements:
            report.attempts += 1
            report.taken += each.next is Next.SETTLE
            report.retried += each.next is Next.RETRY
            report.dead += each.next is Next.BURY


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)
