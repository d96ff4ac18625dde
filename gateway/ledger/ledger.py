"""The ledger: one durable store that is the truth. Everything else may die at any time.

Writing methods return a future that resolves after the commit that holds the effect. Reading methods are plain.
Every state change is one named unit, one transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, delete

from govpost.gateway.ledger import books, polls, rates, workers
from govpost.gateway.ledger import destinations as health
from govpost.gateway.ledger._chance import new_id
from govpost.gateway.ledger._rows import Lane, PortalTerms, demote, promote, seal_order
from govpost.gateway.ledger.books import Entry
from govpost.gateway.ledger.claiming import Render
from govpost.gateway.ledger.claims import Carriage, Claim, Claims, Settled, Settlement
from govpost.gateway.ledger.events import Recorded, Recorder
from govpost.gateway.ledger.orders import NewOrder, Orders, Pending, person_tokens
from govpost.gateway.ledger.outbox import Outbox
from govpost.gateway.ledger.polls import Poll
from govpost.gateway.ledger.proofs import Proofs
from govpost.gateway.ledger.reads import DestinationRow, Reader
from govpost.gateway.ledger.store import Store
from govpost.gateway.ledger.tables import lanes
from govpost.gateway.ledger.writer import Writer
from govpost.schemas import (
    Amend,
    Amended,
    Batch,
    Cancel,
    Cancelled,
    Denied,
    Event,
    Found,
    Order,
    OrderContent,
    OutcomeKind,
    Place,
    Placed,
    Problem,
    Query,
    Refuse,
    Telling,
)
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import LedgerError

__all__ = ["Answer", "Ledger", "PortalCommand"]

T = TypeVar("T")

#: So many numbers one query may name.
_REFS_AT_ONCE = 500
Answer = Placed | Amended | Cancelled | Found | Denied | Pending
PortalCommand = Place | Amend | Cancel | Query

#: A poll that ended so was answered by somebody who is well.
_ANSWERS = frozenset({OutcomeKind.BUSY, OutcomeKind.REFUSED})
_LOCKOUTS = frozenset({OutcomeKind.AUTH, OutcomeKind.MISCONFIGURED})


class Ledger(Reader):
    """The orders of one gateway, what happened to them, and what is owed to whom."""

    def __init__(
        self,
        url: str,
        key_file: Path,
        *,
        clock: Callable[[], datetime],
        terms: Mapping[str, PortalTerms],
        carriage: Mapping[str, Carriage] | None = None,
        backend_amends: frozenset[str] = frozenset(),
        group_size: int = 256,
        group_wait_s: float = 0.005,
        busy_s: float = 5.0,
        on_commit: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        """Open a ledger, making it where there is none; `busy_s` is how long another process's lock is waited for.

        Raises KeyFileError, LedgerVersionError, ConfigurationError, or LedgerUnavailableError when it is locked or
        the disk is full.
        """
        self._store = Store(url, key_file, busy_s=busy_s)
        super().__init__(self._store.reading, self._store.sealer)
        self._clock = clock
        self._backend_amends = backend_amends
        in_parts = frozenset(name for name, how in (carriage or {}).items() if how.places_in_parts)
        self._recorder = Recorder(self._sealer, dict(terms), places_in_parts=in_parts)
        self._orders = Orders(self._sealer, self._recorder, dict(terms))
        self._proofs = Proofs(self._store.path.with_suffix(".proofs"), self._sealer)
        self._outbox = Outbox(self._sealer, self._recorder, self._orders, carriage=carriage or {}, proofs=self._proofs)
        self._writer = Writer(
            self._store.writing, group_size=group_size, group_wait_s=group_wait_s, on_commit=on_commit
        )

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._store.path

    def close(self) -> None:
        """Commit what is waiting and close the file."""
        self._writer.close()
        self._store.close()

    # Portals' commands.

    def execute(
        self,
        portal: str,
        command: PortalCommand | Denied,
        *,
        backend: str = "",
        nonce: str | None = None,
        nonce_digest: bytes | None = None,
    ) -> Future[Answer]:
        """Carry a portal's command out, and remember its nonce, in one transaction.

        A nonce seen before (with another digest, where it has one) answers `Problem.REPLAYED` and changes nothing.
        """
        now = self._clock()
        effect = self._effect(portal, command, backend=backend, now=now)

        def unit(connection: Connection) -> Answer:
            if nonce is not None and not self._orders.remember_nonce(
                connection, portal, nonce, digest=nonce_digest, now=now
            ):
                return _replayed()
            return effect(connection)

        return self._writer.submit(unit)

    def begin_batch(
        self, portal: str, batch: Batch, *, nonce: str | None, nonce_digest: bytes | None
    ) -> Future[Denied | None]:
        """Note a batch and its nonce, before its orders are executed one by one; denied as `execute` would be."""
        now = self._clock()

        def unit(connection: Connection) -> Denied | None:
            if nonce is not None and not self._orders.remember_nonce(
                connection, portal, nonce, digest=nonce_digest, now=now
            ):
                return _replayed()
            return self._orders.begin_batch(connection, portal, batch, now=now)

        return self._writer.submit(unit)

    def _effect(
        self, portal: str, command: PortalCommand | Denied, *, backend: str, now: datetime
    ) -> Callable[[Connection], Answer]:
        match command:
            case Place():
                new = self._new_order(portal, command.order, command.content, backend=backend, now=now)
                return lambda connection: self._orders.place(connection, new)
            case Cancel():
                return lambda connection: self._orders.cancel(connection, portal, command, now=now)
            case Amend():
                return lambda connection: self._orders.amend(
                    connection, portal, command, backend_amends=self._backend_amends, now=now
                )
            case Query():
                return lambda connection: self._orders.query(connection, portal, command)
            case Denied():
                return lambda _connection: command

    def _new_order(
        self, portal: str, content: OrderContent, fingerprint_of: JsonObject, *, backend: str, now: datetime
    ) -> NewOrder:
        """Give an order its number, seal and hash it, outside the transaction."""
        order = Order.model_construct(
            None, **{**dict(content), "order_id": new_id(now), "portal": portal, "accepted_at": now}
        )
        return NewOrder(
            order=order,
            backend=backend,
            fingerprint=self._sealer.fingerprint(fingerprint_of),
            sealed=seal_order(self._sealer, order),
            tokens=person_tokens(self._sealer, order),
            delivery_id=new_id(now),
        )

    def command_result(self, pending: Pending) -> Amended | Cancelled | Denied | Pending:
        """Tell what became of a command that waits for the backend."""
        with self._reading() as connection:
            return self._orders.command_result(connection, pending)

    # What is polled.

    def begin_poll(self, portal: str, *, lease_s: float) -> Future[Poll | None]:
        """Take the turn to poll a portal; None while it is not time, or the portal is paused."""
        now = self._clock()

        def unit(connection: Connection) -> Poll | None:
            if health.allowance(connection, portal, 1, now=now).most == 0:
                return None
            return polls.begin_poll(connection, portal, lease_s=lease_s, now=now)

        return self._writer.submit(unit)

    def take_page(
        self,
        poll: Poll,
        taken: Sequence[tuple[Place, str] | Refuse],
        *,
        cursor: str,
        again_s: float,
    ) -> Future[list[Placed | Denied] | None]:
        """Store what a poll brought together with the cursor that follows; orders come with their backends.

        None, and nothing stored, when a newer poll was begun meanwhile.
        """
        now = self._clock()
        prepared = [
            each
            if isinstance(each, Refuse)
            else self._new_order(poll.portal, each[0].order, each[0].content, backend=each[1], now=now)
            for each in taken
        ]

        def unit(connection: Connection) -> list[Placed | Denied] | None:
            if not polls.end_poll(connection, poll, cursor=cursor, again_s=again_s, now=now):
                return None
            health.answered(connection, poll.portal)
            return [
                self._orders.refuse(connection, poll.portal, each, now=now)
                if isinstance(each, Refuse)
                else self._orders.take(connection, each)
                for each in prepared
            ]

        return self._writer.submit(unit)

    def fail_poll(
        self,
        poll: Poll,
        kind: OutcomeKind,
        *,
        again_s: float,
        pause_base_s: float,
        pause_cap_s: float,
        breakages_to_pause: int,
    ) -> Future[datetime | None]:
        """End a poll that brought nothing; returns until when the portal pauses, where it does by this."""
        now = self._clock()

        def unit(connection: Connection) -> datetime | None:
            polls.end_poll(connection, poll, cursor=poll.cursor, again_s=again_s, now=now)
            if kind in _ANSWERS:
                health.answered(connection, poll.portal)
                return None
            return health.broke(
                connection,
                poll.portal,
                reason=kind,
                to_pause=1 if kind in _LOCKOUTS else breakages_to_pause,
                base_s=pause_base_s,
                cap_s=pause_cap_s,
                now=now,
            )

        return self._writer.submit(unit)

    def give_up_poll(self, poll: Poll) -> Future[bool]:
        """End a poll that was broken off, so that the next may begin at once."""
        return self._submit(polls.end_poll, poll, cursor=poll.cursor, again_s=0.0, now=self._clock())

    def take_turn(self, destination: str, *, rate_per_s: float) -> Future[datetime]:
        """Take the next turn to send a request to a destination that takes only so many a second: when that is."""
        return self._submit(rates.take_turn, destination, rate_per_s=rate_per_s, now=self._clock())

    # Events.

    def tell(self, source: str, telling: Telling) -> Future[Recorded]:
        """Record what a backend tells of an item; it is kept where no order fits it yet."""
        telling = replace(telling, event=self._proofs.keep(telling.event))
        return self._submit(self._recorder.tell, source, telling, now=self._clock())

    def record(self, order_id: str, event: Event, *, source: str | None = None) -> Future[Recorded]:
        """Record an event; `source` None stands for the order's own backend.

        Its evidence is written beside the ledger first, which takes a while: `keep_proof` does that alone.
        """
        now, event = self._clock(), self._proofs.keep(event)
        return self._writer.submit(
            lambda connection: self._recorder.record(connection, order_id, event, source=source, now=now)
        )

    # Others' books.

    def orders_of_day(self, system: str, start: datetime, end: datetime) -> tuple[Entry, ...]:
        """List the orders of a portal or a backend that were accepted in a span of time."""
        with self._reading() as connection:
            return books.of_day(connection, system, start=start, end=end)

    def silent_orders(self, backend: str, since: datetime, *, most: int) -> tuple[Entry, ...]:
        """List orders under way at a backend of which nothing was heard since then."""
        with self._reading() as connection:
            return books.silent(connection, backend, since=since, most=most)

    def find_entries(self, portal: str, portal_refs: Sequence[str]) -> tuple[Entry, ...]:
        """Find orders by their portal's numbers."""
        found: list[Entry] = []
        with self._reading() as connection:
            for start in range(0, len(portal_refs), _REFS_AT_ONCE):
                found += books.entries(connection, portal, portal_refs[start : start + _REFS_AT_ONCE])
        return tuple(found)

    def retell(self, entry: Entry, portal: str, *, is_unknown: bool) -> bool:
        """Owe a portal once more what it was told last of an order; False where there is nothing to tell."""
        return self._submit(
            books.retell, self._recorder, entry, portal, is_unknown=is_unknown, now=self._clock()
        ).result()

    def begin_reconciliation(self, system: str, day: date) -> Future[bool]:
        """Take on the nightly comparison of a day; False when it was done, or somebody is at it."""
        return self._submit(books.begin_reconciliation, system, day.isoformat(), now=self._clock())

    def end_reconciliation(self, system: str, day: date, *, differences: int, healed: int) -> Future[None]:
        """Note how a day's comparison ended."""
        return self._submit(
            books.end_reconciliation,
            system,
            day.isoformat(),
            differences=differences,
            healed=healed,
            now=self._clock(),
        )

    def give_up_reconciliation(self, system: str, day: date) -> Future[None]:
        """End a comparison that was broken off, so that the next may begin at once."""
        return self._submit(books.give_up_reconciliation, system, day.isoformat())

    def keep_proof(self, event: Event) -> Event:
        """Write an event's evidence beside the ledger; raises LedgerUnavailableError."""
        return self._proofs.keep(event)

    # Workers.

    def register(self, worker_id: str, *, holds_lock: bool) -> Future[None]:
        """Enter a worker."""
        return self._submit(workers.register, worker_id, holds_lock=holds_lock, now=self._clock())

    def renew(
        self, worker_id: str, *, holds_lock: bool, dead_after_s: float, probe_after_s: float
    ) -> Future[tuple[bool, int]]:
        """Show that a worker lives, and take over the work of dead ones.

        Returns whether it still counts as alive, and how many deliveries were reclaimed.
        """
        now = self._clock()

        def unit(connection: Connection) -> tuple[bool, int]:
            lives = workers.renew(connection, worker_id, now=now)
            dead = workers.bury_dead(connection, worker_id, holds_lock=holds_lock, dead_after_s=dead_after_s, now=now)
            reclaimed = self._outbox.reclaim(connection, dead, probe_after_s=probe_after_s, now=now) if dead else 0
            self._orders.forget_nonces(connection, now=now)
            return lives, reclaimed

        return self._writer.submit(unit)

    def retire(self, worker_id: str, *, probe_after_s: float) -> Future[None]:
        """Remove a worker that stops; what it did not settle is asked after, as with one that died."""
        now = self._clock()

        def unit(connection: Connection) -> None:
            self._outbox.reclaim(connection, frozenset({worker_id}), probe_after_s=probe_after_s, now=now)
            workers.retire(connection, worker_id)

        return self._writer.submit(unit)

    # Deliveries.

    def claim(self, destination: str, *, worker_id: str, most: int, render: Render) -> Future[Claims]:
        """Lease up to `most` due deliveries of a destination to a worker."""
        return self._submit(
            self._outbox.claim, destination, worker_id=worker_id, most=most, render=render, now=self._clock()
        )

    def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        worker_id: str,
        pause_base_s: float,
        pause_cap_s: float,
        breakages_to_pause: int,
    ) -> Future[Settled]:
        """End the attempts that one request carried, together; the first one speaks of the destination for all."""
        return self._submit(
            self._outbox.settle,
            settlements,
            worker_id=worker_id,
            pause_base_s=pause_base_s,
            pause_cap_s=pause_cap_s,
            breakages_to_pause=breakages_to_pause,
            now=self._clock(),
        )

    def release(self, claim: Claim) -> Future[None]:
        """Give a lease back of which nothing was sent."""
        return self._submit(self._outbox.release, claim, now=self._clock())

    # People.

    def replay(self, delivery_id: str) -> None:
        """Send a dead letter again; raises LedgerError when it is not one."""
        self._submit(self._outbox.replay, delivery_id, now=self._clock()).result()

    def drop(self, delivery_id: str, *, reason: str, cancel: bool = False) -> None:
        """Give a dead letter up for good; raises LedgerError when it is not one."""
        self._submit(self._outbox.drop, delivery_id, reason=reason, cancel=cancel, now=self._clock()).result()

    def pause_lane(self, order_id: str, destination: str, *, reason: str) -> None:
        """Stop a lane until `resume_lane`."""
        now = self._clock()
        lane = Lane(order_id, destination)

        def unit(connection: Connection) -> None:
            connection.execute(_forget_lane(lane))
            row = {"state": "paused", "reason": reason, "since": now, **lane._asdict()}
            connection.execute(lanes.insert(), row)
            demote(connection, lane)

        self._writer.submit(unit).result()

    def resume_lane(self, order_id: str, destination: str) -> None:
        """Let a lane move again; raises LedgerError when it was not stopped."""
        lane = Lane(order_id, destination)

        def unit(connection: Connection) -> None:
            if connection.execute(_forget_lane(lane)).rowcount == 0:
                raise LedgerError("this lane is not stopped; see: govpost lanes list")
            promote(connection, lane, now=self._clock())

        self._writer.submit(unit).result()

    def pause_destination(self, name: str, *, reason: str) -> None:
        """Stop all deliveries to a destination until `resume_destination`."""
        self._submit(health.pause, name, reason=reason, now=self._clock()).result()

    def resume_destination(self, name: str) -> None:
        """Let deliveries go out again, whoever stopped them."""
        self._submit(health.resume, name).result()

    def check_writable(self) -> None:
        """Commit an empty change; raises LedgerUnavailableError when the ledger takes no orders now."""
        self._writer.submit(_touch).result()

    def destination(self, name: str) -> DestinationRow:
        """Tell how one destination does."""
        return self.destinations((name,))[0]

    def _submit(self, unit: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        return self._writer.submit(lambda connection: unit(connection, *args, **kwargs))


def _replayed() -> Denied:
    return Denied(Problem.REPLAYED, "this nonce was used before; sign every request anew")


def _forget_lane(lane: Lane) -> Any:
    return delete(lanes).where(lanes.c.order_id == lane.order_id, lanes.c.destination == lane.destination)


def _touch(connection: Connection) -> None:
    """Write something, and something else each time, so that a full disk or a read-only file shows."""
    connection.exec_driver_sql(
        "INSERT INTO meta (name, value) VALUES ('touched', randomblob(8)) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
