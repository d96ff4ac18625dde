"""Ask portals for orders: what a page brings is stored together with the cursor that follows it.

Whose turn it is stands in the ledger, so that several daemons poll a portal no more often than one.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from govpost.adapters.base import Page, Polled
from govpost.gateway.gate import AsyncGate, SyncGate
from govpost.gateway.ledger import Ledger, Poll
from govpost.gateway.log import get_logger
from govpost.gateway.relay import Destination
from govpost.gateway.settings import RelaySettings
from govpost.gateway.transport import AsyncTransport, SyncTransport
from govpost.schemas import Denied, OrderContent, Outcome, OutcomeKind, Place, Placed, Refuse, Source
from govpost.schemas.errors import BreakageError, GovpostError, LedgerUnavailableError

__all__ = ["PolledPortal", "Poller"]

_log = get_logger("govpost.poller")


@dataclass(frozen=True, slots=True)
class PolledPortal:
    """A portal that is asked for orders."""

    destination: Destination
    adapter: Polled
    #: Names the backend that carries an order.
    route: Callable[[OrderContent], str]


#: Told what came of a page.
OnTaken = Callable[[str, Sequence[Placed | Denied]], None]


class Poller:
    """Poll the portals of one gateway."""

    def __init__(
        self,
        ledger: Ledger,
        portals: Iterable[PolledPortal],
        *,
        settings: RelaySettings,
        source: Source,
        on_taken: OnTaken,
    ) -> None:
        self._ledger = ledger
        self.portals = tuple(portals)
        self._settings = settings
        self._source = source
        self._on_taken = on_taken

    async def run(self, stop: asyncio.Event, transport: AsyncTransport) -> None:
        """Poll until `stop`, each portal at its own pace."""
        await asyncio.gather(*(self._serve(portal, stop, transport) for portal in self.portals))

    async def _serve(self, portal: PolledPortal, stop: asyncio.Event, transport: AsyncTransport) -> None:
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            polling = asyncio.create_task(self._apoll(portal, transport))
            await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                polling.cancel()
                await asyncio.wait({polling})
            elif not polling.result():
                await asyncio.wait({stopping}, timeout=min(self._settings.idle_poll_s, portal.adapter.poll_every_s))
        stopping.cancel()

    async def _apoll(self, portal: PolledPortal, transport: AsyncTransport) -> bool:
        """Poll once, if it is time; tells whether there is more to be had at once."""
        try:
            poll = await asyncio.wrap_future(self._begin(portal))
            if poll is None:
                return False
            gate = AsyncGate(self._ledger, portal.destination, clock=self._source.now)
            try:
                brought: Page | Outcome = await transport.drive(
                    portal.adapter.poll(poll.cursor, self._source),
                    may_send=gate,
                    is_cpu_heavy=portal.destination.is_cpu_heavy("poll"),
                )
            except asyncio.CancelledError:
                self._ledger.give_up_poll(poll)
                raise
            except Exception as error:  # noqa: BLE001 - the poller's outermost loop: one portal must not stop the others
                brought = _failed(portal, error)
            # Sealing a page of orders takes a while.
            ending = await asyncio.to_thread(self._end, portal, poll, brought)
            return self._note(portal, brought, await asyncio.wrap_future(ending))
        except LedgerUnavailableError as error:
            _log.error("ledger.unavailable", error=str(error))
            return False

    def poll(self, transport: SyncTransport) -> None:
        """Poll every portal whose time it is, until it has nothing more; raises LedgerUnavailableError."""
        for portal in self.portals:
            while self._poll(portal, transport):
                pass

    def _poll(self, portal: PolledPortal, transport: SyncTransport) -> bool:
        poll = self._begin(portal).result()
        if poll is None:
            return False
        gate = SyncGate(self._ledger, portal.destination, clock=self._source.now)
        try:
            brought: Page | Outcome = transport.drive(portal.adapter.poll(poll.cursor, self._source), may_send=gate)
        except Exception as error:  # noqa: BLE001 - as above
            brought = _failed(portal, error)
        return self._note(portal, brought, self._end(portal, poll, brought).result())

    def _begin(self, portal: PolledPortal) -> Future[Poll | None]:
        # Longer than a poll can take, so that nobody else begins one meanwhile.
        lease_s = 2 * self._settings.request_timeout_s
        return self._ledger.begin_poll(portal.destination.name, lease_s=lease_s)

    def _end(self, portal: PolledPortal, poll: Poll, brought: Page | Outcome) -> Future[Any]:
        every_s = portal.adapter.poll_every_s
        if isinstance(brought, Page):
            taken = [self._routed(portal, command) for command in brought.commands]
            return self._ledger.take_page(
                poll, taken, cursor=brought.cursor, again_s=0.0 if brought.has_more else every_s
            )
        return self._ledger.fail_poll(
            poll,
            brought.kind,
            again_s=max(every_s, brought.wait_s or 0.0),
            pause_base_s=self._settings.pause_base_s,
            pause_cap_s=self._settings.pause_cap_s,
            breakages_to_pause=self._settings.breakages_to_pause,
        )

    @staticmethod
    def _routed(portal: PolledPortal, command: Place | Refuse) -> tuple[Place, str] | Refuse:
        return command if isinstance(command, Refuse) else (command, portal.route(command.order))

    def _note(self, portal: PolledPortal, brought: Page | Outcome, stored: Any) -> bool:
        """Say what came of a poll; tells whether there is more to be had at once."""
        name = portal.destination.name
        if isinstance(brought, Outcome):
            _log.warning("poll.failed", portal=name, outcome=brought.kind.value, code=brought.code)
            if stored is not None:
                _log.error("destination.paused", destination=name, until_at=str(stored), reason=brought.kind.value)
            return False
        if stored is None:
            _log.warning("poll.overtaken", portal=name)
            return False
        self._on_taken(name, stored)
        return brought.has_more


def _failed(portal: PolledPortal, error: Exception) -> Outcome:
    if isinstance(error, BreakageError):
        return error.outcome
    if isinstance(error, GovpostError):
        return Outcome(OutcomeKind.UNKNOWN, code="unreadable")
    _log.error("poll.adapter_failed", portal=portal.destination.name, error=type(error).__name__, exc_info=True)
    return Outcome(OutcomeKind.UNKNOWN, code="adapter_failed")
