"""Read the ledger: for people, for the API, for metrics. Nothing here changes anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, or_, select
from sqlalchemy.exc import DBAPIError

from govpost.gateway.ledger._rows import open_event, open_order
from govpost.gateway.ledger.refusals import open_refused
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import (
    State,
    attempts,
    deliveries,
    destinations,
    events,
    is_in,
    is_state,
    lanes,
    lookups,
    notices,
    orders,
    refusals,
    strays,
)
from govpost.schemas import Event, Order, Status
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import LedgerUnavailableError, UnknownOrderError

__all__ = [
    "AttemptRow",
    "DeadLetter",
    "DeliveryRow",
    "DestinationRow",
    "EventRow",
    "LaneRow",
    "LedgerStats",
    "NoticeRow",
    "OrderPage",
    "OrderRecord",
    "OrderRow",
    "Reader",
    "RefusedRow",
    "StrayRow",
]


@dataclass(frozen=True, slots=True)
class OrderRow:
    """What is in the clear of an order."""

    order_id: str
    portal: str
    portal_ref: str
    backend: str
    status: Status
    legs: dict[int, Status]
    waybill_nos: dict[int, str]
    accepted_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders, newest first, and where the next page begins (None: there is none)."""

    rows: tuple[OrderRow, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order with its content opened."""

    row: OrderRow
    order: Order


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as recorded."""

    event_no: int
    source: str
    event: Event = field(repr=False)
    moved: bool
    #: event_id of the event that took it back.
    revoked_by: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A row of the outbox, without its content."""

    delivery_id: str
    order_id: str
    destination: str
    kind: str
    state: str
    leg: int
    told_status: str | None
    corrects: str | None
    attempts: int
    due_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    is_uncertain: bool
    outcome: str | None
    code: str | None
    dead_reason: str | None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try of a delivery."""

    delivery_id: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    code: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that waits for a person."""

    delivery_id: str
    order_id: str
    destination: str
    kind: str
    reason: str
    code: str
    attempts: int
    dead_at: datetime
    #: The far side's own words.
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane that does not move by itself."""

    order_id: str
    destination: str
    state: str
    reason: str
    since: datetime
    #: Deliveries that wait in it.
    waiting: int


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """How a destination does."""

    destination: str
    state: str
    reason: str
    breakages: int
    until_at: datetime | None
    since: datetime | None
    due: int
    leased: int
    dead: int
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """Something a person should know of an order."""

    kind: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """What a polled portal handed over and could not be taken."""

    refusal_id: str
    portal: str
    portal_ref: str
    reason: str
    field: str | None
    refused_at: datetime
    #: When the portal handed over what could be taken, after all.
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class StrayRow:
    """An event that no order fits yet."""

    source: str
    waybill_no: str | None
    event_id: str
    told_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerStats:
    """Figures for metrics."""

    orders: dict[tuple[str, str], int]
    #: (destination, state) → deliveries, of those that are not done.
    deliveries: dict[tuple[str, str], int]
    oldest_due_at: dict[str, datetime]


_DELIVERY_COLUMNS = [deliveries.c[name] for name in DeliveryRow.__dataclass_fields__]
_REFUSED_COLUMNS = [refusals.c[name] for name in RefusedRow.__dataclass_fields__]
_WAITING = is_in(State.HELD, State.QUEUED, State.DUE)


class Reader:
    """Read one ledger, on connections that cannot write."""

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Open one consistent view; raises LedgerUnavailableError when the file cannot be read now."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise LedgerUnavailableError(f"the ledger cannot be read now ({error.orig}); try again") from error

    def find_orders(
        self,
        *,
        portal: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> OrderPage:
        """List orders, newest first; `cursor` continues a page, `since` is the earliest acceptance."""
        query = select(orders).order_by(orders.c.order_id.desc()).limit(limit + 1)
        if portal is not None:
            query = query.where(orders.c.portal == portal)
        if status is not None:
            query = query.where(orders.c.status == status)
        if since is not None:
            query = query.where(orders.c.accepted_at >= since)
        if cursor is not None:
            query = query.where(orders.c.order_id < cursor)
        with self._reading() as connection:
            rows = tuple(_order_row(row) for row in connection.execute(query))
        return OrderPage(rows[:limit], rows[limit - 1].order_id if len(rows) > limit else None)

    def find_by_person(self, phone_or_id_no: str) -> tuple[OrderRow, ...]:
        """Find orders by a phone or ID number of either party, through its keyed hash; newest first."""
        token = self._sealer.digest(phone_or_id_no.encode(), domain="person")
        query = (
            select(orders)
            .join(lookups, lookups.c.order_id == orders.c.order_id)
            .where(lookups.c.token == token)
            .order_by(orders.c.order_id.desc())
        )
        with self._reading() as connection:
            return tuple(_order_row(row) for row in connection.execute(query))

    def resolve(self, reference: str) -> str:
        """Find an order by its number, by `portal/portal_ref` or by a waybill number; raises UnknownOrderError."""
        portal, _, portal_ref = reference.partition("/")
        query = select(orders.c.order_id).where(
            or_(
                orders.c.order_id == reference,
                (orders.c.portal == portal) & (orders.c.portal_ref == portal_ref),
                orders.c.waybill_no == reference,
                orders.c.return_waybill_no == reference,
            )
        )
        with self._reading() as connection:
            order_id: str | None = connection.execute(query.limit(1)).scalar()
        if order_id is None:
            raise UnknownOrderError("no order has this number; give an order id, portal/number or a waybill number")
        return order_id

    def read_order(self, order_id: str) -> OrderRecord:
        """Read an order with its content; raises UnknownOrderError."""
        with self._reading() as connection:
            row = connection.execute(select(orders).where(orders.c.order_id == order_id)).one_or_none()
        if row is None:
            raise UnknownOrderError("no order has this number", order_id=order_id)
        return OrderRecord(_order_row(row), open_order(self._sealer, order_id, row.sealed))

    def read_events(self, order_id: str) -> tuple[EventRow, ...]:
        """Read an order's events in the order they were recorded."""
        by = events.alias("by")
        query = (
            select(events, by.c.event_id.label("revoking_id"))
            .outerjoin(by, by.c.event_no == events.c.revoked_by)
            .where(events.c.order_id == order_id)
            .order_by(events.c.event_no)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            EventRow(
                event_no=row.event_no,
                source=row.source,
                event=open_event(self._sealer, row.source, row.event_id, row.sealed),
                moved=row.moved,
                revoked_by=row.revoking_id,
                recorded_at=row.recorded_at,
            )
            for row in rows
        )

    def read_deliveries(self, order_id: str) -> tuple[DeliveryRow, ...]:
        """Read what is and was owed for an order, lane by lane, in lane order."""
        query = (
            select(*_DELIVERY_COLUMNS)
            .where(deliveries.c.order_id == order_id)
            .order_by(deliveries.c.destination, deliveries.c.rank, deliveries.c.delivery_no)
        )
        with self._reading() as connection:
            return tuple(DeliveryRow(**row._mapping) for row in connection.execute(query))  # noqa: SLF001 - public API

    def read_attempts(self, delivery_id: str) -> tuple[AttemptRow, ...]:
        """Read what was tried of a delivery, oldest first."""
        columns = [attempts.c[name] for name in AttemptRow.__dataclass_fields__]
        query = select(*columns).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.attempt_no)
        with self._reading() as connection:
            return tuple(AttemptRow(*row) for row in connection.execute(query))

    def read_notices(self, order_id: str) -> tuple[NoticeRow, ...]:
        """Read what a person should know of an order."""
        query = select(notices.c.kind, notices.c.noted_at).where(notices.c.order_id == order_id)
        with self._reading() as connection:
            return tuple(NoticeRow(*row) for row in connection.execute(query.order_by(notices.c.notice_no)))

    def refused(self, *, portal: str | None = None, is_open: bool = True, limit: int = 50) -> tuple[RefusedRow, ...]:
        """List what polled portals handed over and could not be taken, newest first."""
        query = select(*_REFUSED_COLUMNS).order_by(refusals.c.refused_at.desc()).limit(limit)
        if portal is not None:
            query = query.where(refusals.c.portal == portal)
        if is_open:
            query = query.where(refusals.c.taken_at.is_(None))
        with self._reading() as connection:
            return tuple(RefusedRow(*row) for row in connection.execute(query))

    def read_refused(self, portal: str, portal_ref: str) -> tuple[RefusedRow, JsonObject] | None:
        """Read one refusal with what was handed over; None where there is none."""
        query = select(*_REFUSED_COLUMNS, refusals.c.sealed).where(
            refusals.c.portal == portal, refusals.c.portal_ref == portal_ref
        )
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return row and (RefusedRow(*row[:-1]), open_refused(self._sealer, row.refusal_id, row.sealed))

    def strays(self, *, limit: int = 50) -> tuple[StrayRow, ...]:
        """List events that no order fits yet, newest first."""
        columns = [strays.c[name] for name in StrayRow.__dataclass_fields__]
        with self._reading() as connection:
            rows = connection.execute(select(*columns).order_by(strays.c.stray_no.desc()).limit(limit))
            return tuple(StrayRow(*row) for row in rows)

    def dead_letters(
        self, *, destination: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[DeadLetter, ...]:
        """List what waits for a person, oldest first; `cursor` is the last delivery_id of the page before."""
        query = select(deliveries).where(is_state(State.DEAD)).order_by(deliveries.c.delivery_id).limit(limit)
        if destination is not None:
            query = query.where(deliveries.c.destination == destination)
        if cursor is not None:
            query = query.where(deliveries.c.delivery_id > cursor)
        with self._reading() as connection:
            return tuple(self._dead_letter(row) for row in connection.execute(query))

    def _dead_letter(self, row: Row[Any]) -> DeadLetter:
        text = self._sealer.open(row.sealed_text, row=f"texts|{row.delivery_id}") if row.sealed_text else b""
        return DeadLetter(
            delivery_id=row.delivery_id,
            order_id=row.order_id,
            destination=row.destination,
            kind=row.kind,
            reason=row.dead_reason,
            code=row.code,
            attempts=row.attempts,
            dead_at=row.ended_at,
            text=text.decode(),
        )

    def lanes(self, order_id: str | None = None) -> tuple[LaneRow, ...]:
        """List lanes that are parked or paused, oldest first."""
        waiting = (
            select(func.count())
            .where(deliveries.c.order_id == lanes.c.order_id, deliveries.c.destination == lanes.c.destination, _WAITING)
            .scalar_subquery()
        )
        query = select(lanes, waiting).order_by(lanes.c.since)
        if order_id is not None:
            query = query.where(lanes.c.order_id == order_id)
        with self._reading() as connection:
            return tuple(LaneRow(*row) for row in connection.execute(query))

    def destinations(self, names: tuple[str, ...]) -> tuple[DestinationRow, ...]:
        """Tell how the named destinations do."""
        with self._reading() as connection:
            return tuple(_destination(connection, name) for name in names)

    def stats(self) -> LedgerStats:
        """Count for metrics; the outbox's figures come from its partial indexes."""
        with self._reading() as connection:
            by_status = connection.execute(
                select(orders.c.portal, orders.c.status, func.count()).group_by(orders.c.portal, orders.c.status)
            ).all()
            depth = {}
            for state in (State.DUE, State.LEASED, State.DEAD):
                counted = select(deliveries.c.destination, func.count()).where(is_state(state))
                for name, count in connection.execute(counted.group_by(deliveries.c.destination)):
                    depth[name, state.value] = count
            oldest = connection.execute(
                select(deliveries.c.destination, func.min(deliveries.c.due_at))
                .where(is_state(State.DUE))
                .group_by(deliveries.c.destination)
            ).all()
        return LedgerStats(
            orders={(portal, status): count for portal, status, count in by_status},
            deliveries=depth,
            oldest_due_at=dict(oldest),
        )


def _destination(connection: Connection, name: str) -> DestinationRow:
    row = connection.execute(select(destinations).where(destinations.c.destination == name)).one_or_none()
    counts = {
        state: connection.execute(
            select(func.count()).select_from(deliveries).where(deliveries.c.destination == name, is_state(state))
        ).scalar_one()
        for state in (State.DUE, State.LEASED, State.DEAD)
    }
    oldest = connection.execute(
        select(func.min(deliveries.c.due_at)).where(deliveries.c.destination == name, is_state(State.DUE))
    ).scalar()
    return DestinationRow(
        destination=name,
        state=row.state if row else "open",
        reason=row.reason if row else "",
        breakages=row.breakages if row else 0,
        until_at=row.until_at if row else None,
        since=row.since if row else None,
        due=counts[State.DUE],
        leased=counts[State.LEASED],
        dead=counts[State.DEAD],
        oldest_due_at=oldest,
    )


def _order_row(row: Row[Any]) -> OrderRow:
    legs = {1: row.leg1_status, 2: row.leg2_status}
    numbers = {1: row.waybill_no, 2: row.return_waybill_no}
    return OrderRow(
        order_id=row.order_id,
        portal=row.portal,
        portal_ref=row.portal_ref,
        backend=row.backend,
        status=Status(row.status),
        legs={leg: Status(status) for leg, status in legs.items() if status},
        waybill_nos={leg: number for leg, number in numbers.items() if number},
        accepted_at=row.accepted_at,
        updated_at=row.updated_at,
    )
