"""Compare our books with those of a portal or a backend (对账), and put right what can safely be put right.

A portal says what it believes we hold; a backend says what happened to an item. The comparison is a conversation like
any other: the adapter's requests go out over whichever transport drives it. It waits for the ledger in between, so on
an event loop it must be driven off the loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from govpost.adapters.base import Reconciled, Standing, Traced
from govpost.adapters.protocols.shanghai import SHANGHAI
from govpost.gateway.gate import AsyncGate
from govpost.gateway.ledger import Ledger
from govpost.gateway.ledger.books import Entry
from govpost.gateway.log import get_logger
from govpost.gateway.relay import Destination
from govpost.gateway.transport import AsyncTransport
from govpost.schemas import Conversation, Outcome, OutcomeKind, Source, Status, Telling
from govpost.schemas.errors import BreakageError, LedgerUnavailableError
from govpost.schemas.lifecycle import may_move

__all__ = ["Difference", "DifferenceKind", "Nightly", "Reconciliation", "can_reconcile", "note", "reconcile"]

_log = get_logger("govpost.reconcile")

_LOOK_EVERY_S = 60.0
#: A backend is asked each night after items that were silent for so long, so many at most.
_SILENT_FOR = timedelta(hours=24)
_MOST_SILENT = 2000


class DifferenceKind(StrEnum):
    """How two books differ."""

    #: The portal believes that we hold an order, and we do not.
    WE_LACK = "we_lack"
    #: We hold an order, and the portal does not know it.
    THEY_LACK = "they_lack"
    #: Both have the order, in other states.
    STATUS_DIFFERS = "status_differs"
    #: Something happened to an item that nobody told us.
    EVENT_MISSING = "event_missing"
    #: A backend refuses to say what happened to an item.
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row: what differs, and what became of it."""

    kind: DifferenceKind
    portal_ref: str
    order_id: str | None
    ours: str | None
    theirs: str | None
    #: It was put right, or will be by what is owed already.
    is_healed: bool
    #: What was done, or what a person is to do.
    next: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a comparison brought."""

    system: str
    day: date
    #: Orders that were looked at.
    compared: int = 0
    differences: tuple[Difference, ...] = ()
    #: Why there is nothing to compare with, where the other side did not say.
    failure: Outcome | None = None

    @property
    def unhealed(self) -> tuple[Difference, ...]:
        """What is left for a person."""
        return tuple(difference for difference in self.differences if not difference.is_healed)


def can_reconcile(destination: Destination) -> bool:
    """Say whether a system has books to compare with."""
    return isinstance(destination.adapter, Reconciled | Traced)


def reconcile(
    ledger: Ledger, destination: Destination, day: date, source: Source, *, silent_only: bool = False
) -> Conversation[Reconciliation]:
    """Compare the orders of a day (Asia/Shanghai), or with `silent_only` a backend's silent ones; heals as it goes.

    Raises LedgerUnavailableError; what the other side or the wire does is the result's `failure`.
    """
    name, adapter = destination.name, destination.adapter
    try:
        if isinstance(adapter, Reconciled):
            standings = yield from adapter.reconcile(day, source)
            if isinstance(standings, Outcome):
                return Reconciliation(name, day, failure=standings)
            return _compare(ledger, name, day, standings)
        if isinstance(adapter, Traced):
            since = source.now() - _SILENT_FOR
            found = ledger.silent_orders(name, since, most=_MOST_SILENT) if silent_only else _of_day(ledger, name, day)
            return (yield from _trace(ledger, name, adapter, found, day=day, source=source))
    except BreakageError as error:
        return Reconciliation(name, day, failure=error.outcome)
    raise TypeError(f"{name} has no books to compare with")


def _of_day(ledger: Ledger, system: str, day: date) -> tuple[Entry, ...]:
    start = datetime.combine(day, time(), SHANGHAI).astimezone(UTC)
    return ledger.orders_of_day(system, start, start + timedelta(days=1))


# --- A portal's books ------------------------------------------------------------------------------------------


def _compare(ledger: Ledger, portal: str, day: date, standings: Iterable[Standing]) -> Reconciliation:
    theirs = {standing.portal_ref: standing for standing in standings}
    ours = {entry.portal_ref: entry for entry in _of_day(ledger, portal, day)}
    known = {entry.portal_ref: entry for entry in ledger.find_entries(portal, sorted(theirs))}
    differences = [
        *_missing_here(portal, theirs, known),
        *(_missing_there(ledger, portal, entry) for ref, entry in ours.items() if _is_expected(entry, ref, theirs)),
        *_differing(ledger, portal, theirs, known),
    ]
    return Reconciliation(portal, day, len(theirs.keys() | ours.keys()), tuple(differences))


def _is_expected(entry: Entry, portal_ref: str, theirs: dict[str, Standing]) -> bool:
    return portal_ref not in theirs and entry.status is not Status.CANCELLED


def _missing_here(portal: str, theirs: dict[str, Standing], known: dict[str, Entry]) -> Iterator[Difference]:
    for portal_ref in sorted(theirs.keys() - known.keys()):
        yield Difference(
            DifferenceKind.WE_LACK,
            portal_ref,
            None,
            None,
            theirs[portal_ref].raw,
            is_healed=False,
            next=f"ask {portal} to hand it over again; nothing of it is in the ledger",
        )


def _missing_there(ledger: Ledger, portal: str, entry: Entry) -> Difference:
    return _healed(ledger, portal, entry, DifferenceKind.THEY_LACK, None, is_unknown=True)


def _differing(
    ledger: Ledger, portal: str, theirs: dict[str, Standing], known: dict[str, Entry]
) -> Iterator[Difference]:
    for portal_ref, entry in known.items():
        standing = theirs[portal_ref]
        if standing.status is entry.status:
            continue
        if standing.status is not Status.UNKNOWN and may_move(standing.status, entry.status):
            yield _healed(ledger, portal, entry, DifferenceKind.STATUS_DIFFERS, standing.raw, is_unknown=False)
        else:
            hint = f"the portal cannot come from there to ours by itself; see: govpost explain {entry.order_id}"
            yield _row(entry, DifferenceKind.STATUS_DIFFERS, standing.raw, is_healed=False, then=hint)


def _healed(
    ledger: Ledger, portal: str, entry: Entry, kind: DifferenceKind, theirs: str | None, *, is_unknown: bool
) -> Difference:
    """Tell the portal again, unless what it lacks is on its way, or waits for a person."""
    if entry.is_dead:
        hint = f"what it lacks was given up; see: govpost explain {entry.order_id}"
        return _row(entry, kind, theirs, is_healed=False, then=hint)
    if entry.is_owed:
        return _row(entry, kind, theirs, is_healed=True, then="it is owed and goes out by itself")
    is_told = ledger.retell(entry, portal, is_unknown=is_unknown)
    hint = "told again" if is_told else f"nothing to tell again; see: govpost explain {entry.order_id}"
    return _row(entry, kind, theirs, is_healed=is_told, then=hint)


def _row(entry: Entry, kind: DifferenceKind, theirs: str | None, *, is_healed: bool, then: str) -> Difference:
    return Difference(
        kind, entry.portal_ref, entry.order_id, entry.status.value, theirs, is_healed=is_healed, next=then
    )


# --- A backend's books -----------------------------------------------------------------------------------------


def _trace(
    ledger: Ledger, backend: str, adapter: Traced, found: Iterable[Entry], *, day: date, source: Source
) -> Conversation[Reconciliation]:
    differences: list[Difference] = []
    compared = 0
    for entry in found:
        compared += 1
        for waybill_no in entry.waybill_nos:
            tellings = yield from adapter.trace(waybill_no, source)
            if not isinstance(tellings, Outcome):
                differences += _recorded(ledger, backend, entry, tellings)
            elif tellings.kind is OutcomeKind.REFUSED:
                # A no to this item; any other outcome speaks of the backend itself.
                hint = f"{backend} will not say what became of {waybill_no}; ask it"
                differences.append(_row(entry, DifferenceKind.UNANSWERED, tellings.code, is_healed=False, then=hint))
            else:
                return Reconciliation(backend, day, compared, tuple(differences), failure=tellings)
    return Reconciliation(backend, day, compared, tuple(differences))


def _recorded(ledger: Ledger, backend: str, entry: Entry, tellings: Iterable[Telling]) -> Iterator[Difference]:
    for telling in tellings:
        if ledger.tell(backend, telling).result().status == 201:
            theirs = telling.event.status
            yield _row(entry, DifferenceKind.EVENT_MISSING, theirs, is_healed=True, then="recorded")


# --- Every night -----------------------------------------------------------------------------------------------


class Nightly:
    """Compare yesterday with everybody's books, once a night, whichever daemon of the ledger comes first."""

    def __init__(
        self,
        ledger: Ledger,
        destinations: Iterable[Destination],
        source: Source,
        *,
        at: str,
        on_done: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._destinations = [destination for destination in destinations if can_reconcile(destination)]
        self._source = source
        self._at = at
        self._on_done = on_done
        #: Set when it has looked at the clock, and done what was due.
        self.has_looked = asyncio.Event()

    async def run(self, stop: asyncio.Event, transport: AsyncTransport) -> None:
        """Compare every night until `stop`; what is under way then is broken off."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            looking = asyncio.create_task(self._look(transport))
            await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not looking.done():
                looking.cancel()
                await asyncio.wait({looking})
                break
            looking.result()
            self.has_looked.set()
            await asyncio.wait({stopping}, timeout=_LOOK_EVERY_S)
        stopping.cancel()

    async def _look(self, transport: AsyncTransport) -> None:
        now = self._source.now().astimezone(SHANGHAI)
        if not self._at or now.time() < time.fromisoformat(self._at):
            return
        day = now.date() - timedelta(days=1)
        try:
            for destination in self._destinations:
                if await asyncio.wrap_future(self._ledger.begin_reconciliation(destination.name, day)):
                    await self._compare(destination, day, transport)
        except LedgerUnavailableError as error:
            _log.error("ledger.unavailable", error=str(error))

    async def _compare(self, destination: Destination, day: date, transport: AsyncTransport) -> None:
        found = await self._find(destination, day, transport)
        note(found)
        self._on_done()
        if found.failure is None:
            await asyncio.wrap_future(
                self._ledger.end_reconciliation(
                    found.system,
                    day,
                    differences=len(found.differences),
                    healed=len(found.differences) - len(found.unhealed),
                )
            )

    async def _find(self, destination: Destination, day: date, transport: AsyncTransport) -> Reconciliation:
        gate = AsyncGate(self._ledger, destination, clock=self._source.now)
        conversation = reconcile(self._ledger, destination, day, self._source, silent_only=True)
        try:
            # Off the loop: between its requests it waits for the ledger.
            return await transport.drive(conversation, may_send=gate, is_cpu_heavy=True)
        except asyncio.CancelledError:
            self._ledger.give_up_reconciliation(destination.name, day)
            raise
        except LedgerUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the night's outermost loop: one system must not stop the others
            _log.error("reconcile.adapter_failed", system=destination.name, error=type(error).__name__, exc_info=True)
            return Reconciliation(destination.name, day, failure=Outcome(OutcomeKind.UNKNOWN, code="adapter_failed"))


def note(found: Reconciliation) -> None:
    """Say in the log what a comparison brought; what is left for a person is an error."""
    facts = {"system": found.system, "day": found.day.isoformat(), "compared": found.compared}
    if found.failure is not None:
        _log.warning("reconcile.failed", outcome=found.failure.kind.value, code=found.failure.code, **facts)
        return
    _log.info("reconcile.done", differences=len(found.differences), unhealed=len(found.unhealed), **facts)
    for difference in found.unhealed:
        _log.error(
            "reconcile.difference",
            kind=difference.kind.value,
            portal_ref=difference.portal_ref,
            order_id=difference.order_id,
            ours=difference.ours,
            theirs=difference.theirs,
            **facts,
        )
