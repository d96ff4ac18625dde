"""What `events` asks of the store."""

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.tables import State, deliveries, events, is_in, is_state, orders, pieces
from govpost.schemas import Status

__all__ = [
    "ACCEPTED_TELLINGS",
    "BY_WAYBILL",
    "CONTENT",
    "INSERT",
    "LAST_MOVE",
    "LAST_MOVE_BUT",
    "MARK_MOVED",
    "MARK_REVOKED",
    "MOVED",
    "NAME_REVOKED",
    "NEWEST_MOVE",
    "NEWEST_WITH_CODE",
    "OPEN_COMMANDS",
    "ORDER",
    "PIECE",
    "PIECE_OF",
    "RELEASE_HELD",
    "REVOKE_OF_CODE",
    "SAME",
    "SETTLE_BY_EVIDENCE",
    "SET_STATUS",
    "SET_WAYBILL",
    "TARGET",
    "TELLING",
    "WAITING_REVOKE",
]

ORDER = Prepared(
    select(
        orders.c.order_id,
        orders.c.portal,
        orders.c.backend,
        orders.c.status,
        orders.c.leg1_status,
        orders.c.leg2_status,
        orders.c.waybill_no,
        orders.c.return_waybill_no,
    ).where(orders.c.order_id == bindparam("key"))
)
CONTENT = Prepared(select(orders.c.sealed).where(orders.c.order_id == bindparam("key")))
INSERT = Prepared(insert(events).on_conflict_do_nothing().returning(events.c.event_no))
SAME = Prepared(
    select(events.c.digest, events.c.moved).where(
        events.c.source == bindparam("src"), events.c.event_id == bindparam("eid")
    )
)
NEWEST_MOVE = Prepared(
    select(func.max(events.c.occurred_at)).where(
        events.c.order_id == bindparam("key"),
        events.c.source == bindparam("src"),
        events.c.leg == bindparam("leg_no"),
        events.c.moved,
        events.c.revoked_by.is_(None),
        events.c.status.is_not(None),
    )
)
_MOVES_OF_LEG = (
    select(events.c.status)
    .where(
        events.c.order_id == bindparam("key"),
        events.c.leg == bindparam("leg_no"),
        events.c.moved,
        events.c.revoked_by.is_(None),
        events.c.status.is_not(None),
    )
    .order_by(events.c.event_no.desc())
    .limit(1)
)
LAST_MOVE = Prepared(_MOVES_OF_LEG)
LAST_MOVE_BUT = Prepared(
    _MOVES_OF_LEG.where(~((events.c.source == bindparam("src")) & (events.c.event_id == bindparam("eid"))))
)
TARGET = Prepared(
    select(events.c.event_no, events.c.moved, events.c.revoked_by, events.c.leg).where(
        events.c.source == bindparam("src"),
        events.c.event_id == bindparam("eid"),
        events.c.order_id == bindparam("key"),
    )
)
WAITING_REVOKE = Prepared(
    select(events.c.event_no).where(
        events.c.source == bindparam("src"), events.c.revokes == bindparam("eid"), events.c.order_id == bindparam("key")
    )
)
NEWEST_WITH_CODE = Prepared(
    select(events.c.event_id)
    .where(
        events.c.order_id == bindparam("key"),
        events.c.source == bindparam("src"),
        events.c.leg == bindparam("leg_no"),
        events.c.raw_code == bindparam("code"),
        events.c.revoked_by.is_(None),
        events.c.occurred_at <= bindparam("at", type_=events.c.occurred_at.type),
    )
    .order_by(events.c.occurred_at.desc(), events.c.event_no.desc())
    .limit(1)
)
REVOKE_OF_CODE = Prepared(
    select(events.c.event_no)
    .where(
        events.c.order_id == bindparam("key"),
        events.c.source == bindparam("src"),
        events.c.leg == bindparam("leg_no"),
        events.c.revokes_code == bindparam("code"),
        events.c.revokes.is_(None),
        events.c.occurred_at >= bindparam("at", type_=events.c.occurred_at.type),
    )
    .order_by(events.c.occurred_at, events.c.event_no)
    .limit(1)
)
NAME_REVOKED = Prepared(update(events).where(events.c.event_no == bindparam("no")).values(revokes=bindparam("eid")))
MOVED = Prepared(select(events.c.moved).where(events.c.event_no == bindparam("no")))
MARK_MOVED = Prepared(update(events).where(events.c.event_no == bindparam("no")).values(moved=True))
MARK_REVOKED = Prepared(update(events).where(events.c.event_no == bindparam("no")).values(revoked_by=bindparam("by")))
TELLING = Prepared(
    select(deliveries.c.delivery_id).where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("portal_name"),
        deliveries.c.event_no == bindparam("no"),
        deliveries.c.corrects.is_(None),
        ~is_in(State.WITHDRAWN, State.DROPPED),
    )
)
_WAYBILL_COLUMNS = {1: orders.c.waybill_no, 2: orders.c.return_waybill_no}
SET_WAYBILL = {
    leg: Prepared(
        update(orders)
        .where(orders.c.order_id == bindparam("key"), column.is_(None))
        .values({column: bindparam("number")})
    )
    for leg, column in _WAYBILL_COLUMNS.items()
}
SET_STATUS = Prepared(
    update(orders)
    .where(orders.c.order_id == bindparam("key"))
    .values(
        status=bindparam("overall"),
        leg1_status=bindparam("first"),
        leg2_status=bindparam("second"),
        updated_at=bindparam("now"),
    )
)
RELEASE_HELD = Prepared(
    update(deliveries)
    .where(deliveries.c.order_id == bindparam("key"), deliveries.c.leg == bindparam("leg_no"), is_state(State.HELD))
    .values(state=State.QUEUED)
)
OPEN_COMMANDS = Prepared(
    select(deliveries.c.delivery_id, deliveries.c.kind)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("backend_name"),
        is_in(State.QUEUED, State.DUE, State.LEASED, State.DEAD),
    )
    .order_by(deliveries.c.rank, deliveries.c.delivery_no)
)
ACCEPTED_TELLINGS = Prepared(
    select(deliveries.c.event_no, deliveries.c.state, deliveries.c.maybe_sent)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("portal_name"),
        deliveries.c.told_status == Status.ACCEPTED,
        deliveries.c.corrects.is_(None),
    )
    .order_by(deliveries.c.delivery_no.desc())
)
PIECE = Prepared(insert(pieces).on_conflict_do_nothing())
PIECE_OF = Prepared(
    select(pieces.c.order_id, pieces.c.leg)
    .join(orders, orders.c.order_id == pieces.c.order_id)
    .where(pieces.c.waybill_no == bindparam("number"), orders.c.backend == bindparam("src"))
)
BY_WAYBILL = Prepared(
    select(orders.c.order_id, orders.c.waybill_no)
    .where(
        or_(
            # Spelled out so that the partial indexes serve.
            orders.c.waybill_no.is_not(None) & (orders.c.waybill_no == bindparam("number")),
            orders.c.return_waybill_no.is_not(None) & (orders.c.return_waybill_no == bindparam("number")),
        ),
        orders.c.backend == bindparam("src"),
    )
    .order_by(orders.c.order_id.desc())
    .limit(1)
)
SETTLE_BY_EVIDENCE = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("did"))
    .values(state=State.SETTLED, outcome="taken", code="evidence", is_uncertain=False, ended_at=bindparam("now"))
)
