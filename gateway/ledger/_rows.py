"""What the units of the ledger share: sealing of rows, lanes, and how a delivery gets into one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, exists, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.adapters.base import DeliveryKind
from govpost.gateway.ledger._chance import new_id
from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import OPEN_STATES, State, deliveries, is_in, is_state, lanes, notices
from govpost.schemas import Event, Order, Status

__all__ = [
    "FIRST_RANK",
    "NUMBER_RANKS",
    "USUAL_RANK",
    "Lane",
    "PortalTerms",
    "demote",
    "enqueue",
    "note",
    "open_event",
    "open_order",
    "park",
    "promote",
    "promote_all",
    "seal_event",
    "seal_order",
    "unpark",
    "withdraw_all",
    "withdraw_kind",
    "withdraw_telling",
]

#: Ranks of a lane: that an order was taken, then the waybill numbers of both legs, go ahead of all else that waits.
FIRST_RANK = 0
NUMBER_RANKS = {1: 1, 2: 2}
USUAL_RANK = 9


@dataclass(frozen=True, slots=True)
class PortalTerms:
    """What of an order's life a portal is told (its adapter's manifest)."""

    tells: frozenset[Status]
    needs_waybill: frozenset[Status]
    tells_own_cancel: bool
    #: It is polled: what it hands over again with other content is no contradiction but news.
    is_polled: bool = False


class Lane(NamedTuple):
    """The deliveries of one order to one destination."""

    order_id: str
    destination: str


def seal_order(sealer: Sealer, order: Order) -> bytes:
    """Seal an order as one blob."""
    return sealer.seal(order.model_dump_json(exclude_none=True).encode(), row=f"orders|{order.order_id}")


def open_order(sealer: Sealer, order_id: str, sealed: bytes) -> Order:
    """Open what `seal_order` made."""
    return Order.model_validate_json(sealer.open(sealed, row=f"orders|{order_id}"))


def seal_event(sealer: Sealer, event: Event, source: str) -> bytes:
    """Seal an event as one blob."""
    return sealer.seal(event.model_dump_json(exclude_none=True).encode(), row=f"events|{source}|{event.event_id}")


def open_event(sealer: Sealer, source: str, event_id: str, sealed: bytes) -> Event:
    """Open what `seal_event` made."""
    return Event.model_validate_json(sealer.open(sealed, row=f"events|{source}|{event_id}"))


_INSERT = Prepared(insert(deliveries).returning(deliveries.c.delivery_id))

_OTHER = deliveries.alias("other")
_HEAD = (
    select(_OTHER.c.delivery_id)
    .where(
        _OTHER.c.order_id == bindparam("lane_order"),
        _OTHER.c.destination == bindparam("lane_destination"),
        _OTHER.c.state.in_([literal_column(f"'{state.value}'") for state in OPEN_STATES]),
    )
    # One that is on its way stays the head, whatever comes ahead of it meanwhile.
    .order_by((_OTHER.c.state == literal_column("'leased'")).desc(), _OTHER.c.rank, _OTHER.c.delivery_no)
    .limit(1)
    .scalar_subquery()
)
_IN_LANE = (
    deliveries.c.order_id == bindparam("lane_order"),
    deliveries.c.destination == bindparam("lane_destination"),
)
_NOW = bindparam("now", type_=deliveries.c.due_at.type)
_PROMOTE = Prepared(
    update(deliveries)
    .where(
        deliveries.c.delivery_id == _HEAD,
        is_state(State.QUEUED),
        ~exists().where(
            lanes.c.order_id == bindparam("lane_order"), lanes.c.destination == bindparam("lane_destination")
        ),
    )
    # A wait that stands outlasts whatever took the delivery off the due list meanwhile.
    .values(state=State.DUE, due_at=case((deliveries.c.due_at > _NOW, deliveries.c.due_at), else_=_NOW))
)
_DEMOTE = Prepared(update(deliveries).where(*_IN_LANE, is_state(State.DUE)).values(state=State.QUEUED))
_UNPARK = Prepared(
    delete(lanes).where(
        lanes.c.order_id == bindparam("lane_order"),
        lanes.c.destination == bindparam("lane_destination"),
        lanes.c.state == "parked",
    )
)
_PARK = Prepared(insert(lanes).on_conflict_do_nothing())


def _lane_parameters(lane: Lane) -> dict[str, Any]:
    return {"lane_order": lane.order_id, "lane_destination": lane.destination}


def promote(connection: Connection, lane: Lane, *, now: datetime) -> None:
    """Make the head of a lane due, unless it is so already, is held, or the lane is parked or paused."""
    promote_all(connection, [lane], now=now)


def promote_all(connection: Connection, lanes: Iterable[Lane], *, now: datetime) -> None:
    """Make the heads of several lanes due, as `promote` does."""
    _PROMOTE.each(connection, [{**_lane_parameters(lane), "now": now} for lane in lanes])


def demote(connection: Connection, lane: Lane) -> None:
    """Take the head of a lane off the due list."""
    _DEMOTE.on(connection, _lane_parameters(lane))


def park(connection: Connection, lane: Lane, *, reason: str, now: datetime) -> None:
    """Stop a lane until a person acts on the delivery that stopped it."""
    _PARK.on(
        connection,
        {"order_id": lane.order_id, "destination": lane.destination, "state": "parked", "reason": reason, "since": now},
    )
    demote(connection, lane)


def unpark(connection: Connection, lane: Lane, *, now: datetime) -> None:
    """Let a parked lane move again."""
    _UNPARK.on(connection, _lane_parameters(lane))
    promote(connection, lane, now=now)


def enqueue(
    connection: Connection,
    lane: Lane,
    kind: DeliveryKind,
    *,
    now: datetime,
    leg: int = 1,
    rank: int = USUAL_RANK,
    is_held: bool = False,
    **columns: Any,
) -> str:
    """Put a delivery into its lane, and make it due when it is the head. Returns its id."""
    delivery_id = columns.pop("delivery_id", None) or new_id(now)
    _INSERT.on(
        connection,
        {
            "delivery_id": delivery_id,
            "order_id": lane.order_id,
            "destination": lane.destination,
            "rank": rank,
            "kind": kind,
            "state": State.HELD if is_held else State.QUEUED,
            "leg": leg,
            "created_at": now,
            **columns,
        },
    )
    if rank != USUAL_RANK:
        demote(connection, lane)
    promote(connection, lane, now=now)
    return delivery_id


_NOTE = Prepared(insert(notices))


def note(connection: Connection, order_id: str, kind: str, *, now: datetime) -> None:
    """Keep a notice for a person."""
    _NOTE.on(connection, {"order_id": order_id, "kind": kind, "noted_at": now})


_WITHDRAWABLE = (
    update(deliveries)
    .where(*_IN_LANE, deliveries.c.maybe_sent.is_(False), is_in(State.HELD, State.QUEUED, State.DUE))
    .values(state=State.WITHDRAWN, ended_at=bindparam("now"))
    .returning(deliveries.c.delivery_id)
)
_WITHDRAW_ALL = Prepared(_WITHDRAWABLE)
_WITHDRAW_KIND = Prepared(_WITHDRAWABLE.where(deliveries.c.kind == bindparam("of_kind")))
_WITHDRAW_TELLING = Prepared(_WITHDRAWABLE.where(deliveries.c.event_no == bindparam("no")))


def withdraw_all(connection: Connection, lane: Lane, *, now: datetime) -> None:
    """Take back everything in a lane that nothing has been tried of."""
    _WITHDRAW_ALL.on(connection, {**_lane_parameters(lane), "now": now})


def withdraw_kind(connection: Connection, lane: Lane, kind: DeliveryKind, *, now: datetime) -> bool:
    """Take deliveries of one kind back that were never tried; tells whether there was one."""
    return _withdraw(connection, _WITHDRAW_KIND, lane, now=now, of_kind=kind)


def withdraw_telling(connection: Connection, lane: Lane, event_no: int, *, now: datetime) -> bool:
    """Take the telling of an event back that was never tried; tells whether there was one."""
    return _withdraw(connection, _WITHDRAW_TELLING, lane, now=now, no=event_no)


def _withdraw(connection: Connection, statement: Prepared, lane: Lane, *, now: datetime, **which: Any) -> bool:
    taken_back = statement.on(connection, {**_lane_parameters(lane), "now": now, **which}).all()
    if taken_back:
        promote(connection, lane, now=now)
    return bool(taken_back)
