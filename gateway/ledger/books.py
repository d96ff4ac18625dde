"""Compare the ledger with others' books: which orders a day has, how they stand, and telling a portal once more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.adapters.base import DeliveryKind
from govpost.gateway.ledger._rows import Lane, enqueue
from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.events import Recorder
from govpost.gateway.ledger.tables import OPEN_STATES, State, deliveries, orders, reconciliations
from govpost.schemas import OutcomeKind, Status
from govpost.schemas.lifecycle import MOVES

__all__ = [
    "Entry",
    "begin_reconciliation",
    "end_reconciliation",
    "entries",
    "give_up_reconciliation",
    "of_day",
    "retell",
    "silent",
]

#: A comparison that was begun this long ago and never ended may be begun by somebody else.
_ABANDONED_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """How an order stands in our books."""

    order_id: str
    portal_ref: str
    status: Status
    waybill_nos: tuple[str, ...]
    #: Something is still owed to the portal: it cannot know everything yet.
    is_owed: bool
    #: Something that was owed to the portal is in a person's hands.
    is_dead: bool


_OPEN = tuple(OPEN_STATES)


def _count(*states: State) -> Any:
    return (
        select(func.count())
        .where(
            deliveries.c.order_id == orders.c.order_id,
            deliveries.c.destination == orders.c.portal,
            deliveries.c.state.in_(states),
        )
        .scalar_subquery()
    )


_ENTRIES = select(
    orders.c.order_id,
    orders.c.portal_ref,
    orders.c.status,
    orders.c.waybill_no,
    orders.c.return_waybill_no,
    _count(*_OPEN).label("owed"),
    _count(State.DEAD).label("dead"),
)


def of_day(connection: Connection, system: str, *, start: datetime, end: datetime) -> tuple[Entry, ...]:
    """List the orders of a portal, or those that a backend carries, that were accepted in a span of time."""
    query = _ENTRIES.where(
        (orders.c.portal == system) | (orders.c.backend == system),
        orders.c.accepted_at >= start,
        orders.c.accepted_at < end,
    )
    return _read(connection, query.order_by(orders.c.order_id))


def silent(connection: Connection, backend: str, *, since: datetime, most: int) -> tuple[Entry, ...]:
    """List the numbered orders of a backend that are under way and nothing was heard of since then.

    The last that fell silent come first: those that stay silent for ever must not hide them behind `most`.
    """
    query = _ENTRIES.where(
        orders.c.backend == backend,
        orders.c.waybill_no.is_not(None),
        orders.c.status.in_([status for status, moves in MOVES.items() if moves]),
        orders.c.updated_at < since,
    )
    return _read(connection, query.order_by(orders.c.updated_at.desc()).limit(most))


def entries(connection: Connection, portal: str, portal_refs: Sequence[str]) -> tuple[Entry, ...]:
    """Find orders of a portal by its own numbers."""
    return _read(connection, _ENTRIES.where(orders.c.portal == portal, orders.c.portal_ref.in_(portal_refs)))


def _read(connection: Connection, query: Any) -> tuple[Entry, ...]:
    return tuple(_entry(row) for row in connection.execute(query))


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        order_id=row.order_id,
        portal_ref=row.portal_ref,
        status=Status(row.status),
        waybill_nos=tuple(number for number in (row.waybill_no, row.return_waybill_no) if number),
        is_owed=row.owed > 0,
        is_dead=row.dead > 0,
    )


_NEWEST_TOLD = Prepared(
    select(deliveries.c.event_no, deliveries.c.told_status, deliveries.c.leg)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("name"),
        deliveries.c.kind == DeliveryKind.UPDATE,
        deliveries.c.state == State.SETTLED,
        deliveries.c.outcome == OutcomeKind.TAKEN,
        deliveries.c.corrects.is_(None),
        deliveries.c.told_status == bindparam("told"),
    )
    .order_by(deliveries.c.delivery_no.desc())
    .limit(1)
)


def retell(
    connection: Connection, recorder: Recorder, entry: Entry, portal: str, *, is_unknown: bool, now: datetime
) -> bool:
    """Owe a portal once more what it was told last, that the order was taken first where it does not know it.

    False where nothing can be told again.
    """
    if is_unknown:
        recorder.accepted(connection, entry.order_id, portal, now=now)
    told = _NEWEST_TOLD.on(connection, {"key": entry.order_id, "name": portal, "told": entry.status}).first()
    if told is not None and entry.status is not Status.ACCEPTED:
        lane = Lane(entry.order_id, portal)
        facts = {"leg": told.leg, "event_no": told.event_no, "told_status": told.told_status}
        enqueue(connection, lane, DeliveryKind.UPDATE, now=now, **facts)
    return is_unknown or told is not None


_BEGIN = insert(reconciliations)
_BEGIN_DAY = Prepared(
    _BEGIN.on_conflict_do_update(
        index_elements=["system", "day"],
        set_={"begun_at": _BEGIN.excluded.begun_at},
        where=reconciliations.c.ended_at.is_(None) & (reconciliations.c.begun_at < bindparam("abandoned")),
    ).returning(reconciliations.c.day)
)


def begin_reconciliation(connection: Connection, system: str, day: str, *, now: datetime) -> bool:
    """Take on the nightly comparison of a day; False when it was done, or somebody is at it."""
    facts = {"system": system, "day": day, "begun_at": now, "abandoned": now - _ABANDONED_AFTER}
    return _BEGIN_DAY.on(connection, facts).first() is not None


def end_reconciliation(
    connection: Connection, system: str, day: str, *, differences: int, healed: int, now: datetime
) -> None:
    """Note how a day's comparison ended."""
    connection.execute(
        update(reconciliations)
        .where(reconciliations.c.system == system, reconciliations.c.day == day)
        .values(ended_at=now, differences=differences, healed=healed)
    )


def give_up_reconciliation(connection: Connection, system: str, day: str) -> None:
    """Forget that a day's comparison was begun, unless it has ended."""
    connection.execute(
        delete(reconciliations).where(
            reconciliations.c.system == system, reconciliations.c.day == day, reconciliations.c.ended_at.is_(None)
        )
    )
