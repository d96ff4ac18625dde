"""The ledger's tables. In the clear are ids, status, times and codes; everything about people is sealed.

`deliveries` is the outbox. A *lane* is the deliveries of one order to one destination, in the order of
(`rank`, `delivery_no`); only a lane's head is ever `due`, so that a claim is an index look-up at any backlog.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
)

__all__ = [
    "OPEN_STATES",
    "State",
    "attempts",
    "batches",
    "cursors",
    "deliveries",
    "destinations",
    "events",
    "is_in",
    "is_state",
    "lanes",
    "lookups",
    "meta",
    "metadata",
    "nonces",
    "notices",
    "orders",
    "pieces",
    "rates",
    "reconciliations",
    "refusals",
    "strays",
    "workers",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time, kept as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn an aware datetime into microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn microseconds into an aware datetime."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class State(StrEnum):
    """Where a delivery stands."""

    #: Waits for the leg's first waybill number.
    HELD = "held"
    #: Waits behind another of its lane.
    QUEUED = "queued"
    #: The head of its lane: goes out at `due_at`.
    DUE = "due"
    #: A worker is at it.
    LEASED = "leased"
    #: Done: the destination has it, or has said its final no to a command.
    SETTLED = "settled"
    #: Given up; a person must act.
    DEAD = "dead"
    #: Taken back before it was ever tried.
    WITHDRAWN = "withdrawn"
    #: Given up for good by a person.
    DROPPED = "dropped"


OPEN_STATES = (State.HELD, State.QUEUED, State.DUE, State.LEASED)

_Number = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False))

orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("portal", Text, nullable=False),
    Column("portal_ref", Text, nullable=False),
    Column("backend", Text, nullable=False),
    #: HMAC-SM3 of the content as first placed; never changed, not by an amend either.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("leg1_status", Text, nullable=False),
    Column("leg2_status", Text),
    Column("waybill_no", Text),
    Column("return_waybill_no", Text),
    Column("accepted_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("portal", "portal_ref"),
    Index("orders_by_waybill", "waybill_no", sqlite_where=literal_column("waybill_no IS NOT NULL")),
    Index(
        "orders_by_return_waybill", "return_waybill_no", sqlite_where=literal_column("return_waybill_no IS NOT NULL")
    ),
)

#: Keyed hashes of phones and ID numbers.
lookups = Table(
    "lookups",
    metadata,
    Column("token", LargeBinary, primary_key=True),
    Column("order_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("event_no", _Number, primary_key=True, autoincrement=True),
    #: The backend's section, or `govpost` for what we record ourselves.
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("status", Text),
    Column("occurred_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("moved", Boolean, nullable=False),
    #: event_id of the event that this one takes back; for a source that names none, of the one it was found to mean.
    Column("revokes", Text),
    #: The source's own code, and the code of what this one takes back where the source names no event.
    Column("raw_code", Text),
    Column("revokes_code", Text),
    #: event_no of the event that took this one back.
    Column("revoked_by", _Number),
    #: HMAC-SM3 of the event with its order; tells a repeat from a contradiction.
    Column("digest", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("source", "event_id"),
    Index("events_by_order", "order_id", "event_no"),
    Index("events_by_revoked", "source", "revokes", sqlite_where=literal_column("revokes IS NOT NULL")),
)

#: Events that a backend told of items that no order is known for; they wait for its waybill number.
strays = Table(
    "strays",
    metadata,
    Column("stray_no", _Number, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("waybill_no", Text),
    Column("told_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("source", "event_id"),
    Index("strays_by_waybill", "source", "waybill_no"),
)

#: Waybill numbers of a leg beyond its first: one order in several pieces.
pieces = Table(
    "pieces",
    metadata,
    Column("waybill_no", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("leg", Integer, nullable=False),
)

#: What a polled portal handed over and could not be taken. The id is that of the order, should it become one.
refusals = Table(
    "refusals",
    metadata,
    Column("refusal_id", Text, primary_key=True),
    Column("portal", Text, nullable=False),
    Column("portal_ref", Text, nullable=False),
    #: HMAC-SM3 of the content and the reason, as first handed over or last changed.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("field", Text),
    Column("refused_at", Instant, nullable=False),
    #: When the portal handed over what could be taken, after all.
    Column("taken_at", Instant),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("portal", "portal_ref"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_no", _Number, primary_key=True, autoincrement=True),
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("order_id", Text, nullable=False),
    Column("destination", Text, nullable=False),
    #: 0 for what is first in a lane, 1 and 2 for the waybill numbers of the legs, ahead of the rest; 9 for that.
    Column("rank", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    #: Of an update: the event, what is told of it, and the delivery it takes back.
    Column("event_no", _Number),
    Column("told_status", Text),
    Column("corrects", Text),
    #: Of an amend or a cancel: the portal's identity of the command, and its sealed content.
    Column("command_id", Text),
    Column("sealed_command", LargeBinary),
    #: The body as first rendered, and the call it is for.
    Column("call", Text),
    Column("sealed_body", LargeBinary),
    Column("due_at", Instant),
    Column("attempts", Integer, nullable=False, default=0),
    Column("first_tried_at", Instant),
    #: Something may have reached the destination.
    Column("maybe_sent", Boolean, nullable=False, default=False),
    #: The newest attempt ended unknown: ask before telling again.
    Column("is_uncertain", Boolean, nullable=False, default=False),
    Column("worker_id", Text),
    #: Rises with each claim; only the holder of the newest may settle.
    Column("lease_no", Integer, nullable=False, default=0),
    Column("leased_at", Instant),
    Column("outcome", Text),
    Column("code", Text),
    Column("sealed_text", LargeBinary),
    Column("dead_reason", Text),
    Column("ended_at", Instant),
    Index("deliveries_by_lane", "order_id", "destination", "rank", "delivery_no"),
    Index("deliveries_due", "destination", "due_at", "delivery_no", sqlite_where=literal_column("state = 'due'")),
    Index("deliveries_leased", "destination", "worker_id", sqlite_where=literal_column("state = 'leased'")),
    Index("deliveries_dead", "destination", "delivery_no", sqlite_where=literal_column("state = 'dead'")),
    Index(
        "deliveries_by_command",
        "order_id",
        "kind",
        "command_id",
        unique=True,
        sqlite_where=literal_column("command_id IS NOT NULL"),
    ),
)

#: Lanes that do not move by themselves; a lane without a row is open.
lanes = Table(
    "lanes",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    sqlite_with_rowid=False,
)

workers = Table(
    "workers",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("renewed_at", Instant, nullable=False),
    #: It held the instance lock of the file: whoever holds that lock now knows that it is dead.
    Column("holds_lock", Boolean, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_no", _Number, primary_key=True, autoincrement=True),
    Column("delivery_id", Text, nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text, nullable=False),
    Index("attempts_by_delivery", "delivery_id", "attempt_no"),
)

nonces = Table(
    "nonces",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    #: Of what it went with, on a wire where the same request again is a retry.
    Column("digest", LargeBinary),
    Index("nonces_by_age", "seen_at"),
    sqlite_with_rowid=False,
)

#: Batches of orders, by the portal's own numbers.
batches = Table(
    "batches",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("batch_no", Text, primary_key=True),
    #: Of what it held; the same number with another is a conflict.
    Column("digest", LargeBinary, nullable=False),
    Column("begun_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

cursors = Table(
    "cursors",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
    #: Rises with each poll; only the newest may store what it brought.
    Column("poll_no", Integer, nullable=False, server_default="0"),
    Column("next_poll_at", Instant, nullable=False, server_default="0"),
)

#: When the next request may leave for a destination that takes only so many a second.
rates = Table(
    "rates",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("next_at", Instant, nullable=False),
)

#: Which days were compared with whose books.
reconciliations = Table(
    "reconciliations",
    metadata,
    Column("system", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("begun_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("differences", Integer),
    Column("healed", Integer),
    sqlite_with_rowid=False,
)

#: Destinations that are not, or were lately not, in good health; one without a row is open.
destinations = Table(
    "destinations",
    metadata,
    Column("destination", Text, primary_key=True),
    #: open · paused (by a person) · broken (by its answers; half-opens at `until_at`)
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    #: Breakages in a row.
    Column("breakages", Integer, nullable=False),
    Column("pause_s", Float, nullable=False),
    Column("until_at", Instant),
    Column("since", Instant, nullable=False),
)

#: What a person should know of an order and no delivery says.
notices = Table(
    "notices",
    metadata,
    Column("notice_no", _Number, primary_key=True, autoincrement=True),
    Column("order_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("noted_at", Instant, nullable=False),
    Index("notices_by_order", "order_id"),
)


def is_state(state: State) -> Any:
    """Compare `deliveries.state` with a constant that the planner can see: a partial index needs it in the SQL text."""
    return deliveries.c.state == literal_column(f"'{state.value}'")


def is_in(*states: State) -> Any:
    """Compare `deliveries.state` with several constants, in the SQL text as `is_state`."""
    return deliveries.c.state.in_([literal_column(f"'{state.value}'") for state in states])
