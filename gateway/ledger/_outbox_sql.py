"""What `outbox` asks of the store."""

from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert

from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.tables import State, attempts, deliveries, events, is_in, is_state, orders, refusals
from govpost.schemas import OutcomeKind

__all__ = [
    "ATTEMPT",
    "BURY",
    "END",
    "END_ANYWAY",
    "FOLLOWERS",
    "HEADS",
    "HISTORY",
    "LEASE",
    "NEXT_DUE",
    "ORPHANS",
    "RECLAIM",
    "REFUSED",
    "SETTLED_BEFORE",
    "STATE",
]

_DELIVERY = [
    *(
        deliveries.c[name]
        for name in (
            *("delivery_no", "delivery_id", "order_id", "rank", "kind", "state", "leg", "created_at"),
            *("event_no", "told_status", "corrects", "command_id", "sealed_command", "call", "sealed_body"),
            *("due_at", "attempts", "first_tried_at", "maybe_sent", "is_uncertain", "lease_no"),
        )
    ),
    events.c.source.label("event_source"),
    events.c.event_id,
    events.c.sealed.label("sealed_event"),
]
_ORDER = [orders.c.sealed.label("sealed_order"), orders.c.portal, orders.c.waybill_no, orders.c.return_waybill_no]
_ITS_EVENT = events.c.event_no == deliveries.c.event_no
#: Heads of lanes that are due, each with its order where it has one.
HEADS = Prepared(
    select(*_DELIVERY, *_ORDER)
    .outerjoin(orders, orders.c.order_id == deliveries.c.order_id)
    .outerjoin(events, _ITS_EVENT)
    .where(
        deliveries.c.destination == bindparam("name"),
        is_state(State.DUE),
        deliveries.c.due_at <= bindparam("now"),
    )
    .order_by(deliveries.c.due_at, deliveries.c.delivery_no)
    .limit(bindparam("most"))
)
#: What stands behind a head in its lane.
FOLLOWERS = Prepared(
    select(*_DELIVERY)
    .outerjoin(events, _ITS_EVENT)
    .where(
        deliveries.c.destination == bindparam("name"),
        deliveries.c.order_id == bindparam("key"),
        is_in(State.HELD, State.QUEUED),
        tuple_(deliveries.c.rank, deliveries.c.delivery_no) > tuple_(bindparam("rank_no"), bindparam("no")),
    )
    .order_by(deliveries.c.rank, deliveries.c.delivery_no)
    .limit(bindparam("most"))
)
REFUSED = Prepared(
    select(refusals.c.portal_ref, refusals.c.reason, refusals.c.sealed).where(refusals.c.refusal_id == bindparam("rid"))
)
NEXT_DUE = Prepared(
    select(func.min(deliveries.c.due_at)).where(deliveries.c.destination == bindparam("name"), is_state(State.DUE))
)
LEASE = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("did"), is_in(State.DUE, State.QUEUED))
    .values(
        state=State.LEASED,
        worker_id=bindparam("worker"),
        lease_no=deliveries.c.lease_no + 1,
        leased_at=bindparam("now"),
        attempts=deliveries.c.attempts + 1,
        first_tried_at=func.coalesce(deliveries.c.first_tried_at, bindparam("now")),
        maybe_sent=True,
        call=bindparam("call_name"),
        sealed_body=bindparam("body"),
    )
)
SETTLED_BEFORE = Prepared(
    select(
        deliveries.c.told_status,
        deliveries.c.leg,
        deliveries.c.corrects,
        events.c.source.label("event_source"),
        events.c.event_id,
        events.c.sealed.label("sealed_event"),
    )
    .join(events, events.c.event_no == deliveries.c.event_no)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("name"),
        is_state(State.SETTLED),
        deliveries.c.outcome == OutcomeKind.TAKEN,
    )
    .order_by(deliveries.c.rank, deliveries.c.delivery_no)
)
HISTORY = Prepared(
    select(events.c.source, events.c.event_id, events.c.sealed)
    .where(
        events.c.order_id == bindparam("key"),
        events.c.event_no <= bindparam("no"),
        events.c.moved,
        events.c.revoked_by.is_(None),
        events.c.status.is_not(None),
    )
    .order_by(events.c.event_no)
)
STATE = Prepared(select(deliveries.c.state).where(deliveries.c.delivery_id == bindparam("did")))
_END = (
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("did"))
    .values(
        state=bindparam("to"),
        worker_id=None,
        is_uncertain=bindparam("uncertain"),
        maybe_sent=bindparam("maybe"),
        outcome=bindparam("kind_of_outcome"),
        code=bindparam("far_code"),
        sealed_text=bindparam("far_text"),
        dead_reason=bindparam("why_dead"),
        due_at=bindparam("again"),
        ended_at=bindparam("end"),
    )
)
#: Nothing, where the lease is another's by now.
END = Prepared(_END.where(is_state(State.LEASED), deliveries.c.lease_no == bindparam("lease")))
END_ANYWAY = Prepared(_END)
BURY = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("did"))
    .values(state=State.DEAD, code="", dead_reason=bindparam("why_dead"), ended_at=bindparam("end"))
)
ATTEMPT = Prepared(insert(attempts))
ORPHANS = select(
    deliveries.c.delivery_id,
    deliveries.c.order_id,
    deliveries.c.destination,
    deliveries.c.worker_id,
    deliveries.c.leased_at,
).where(is_state(State.LEASED))
RECLAIM = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("did"), is_state(State.LEASED))
    .values(
        state=State.QUEUED,
        worker_id=None,
        is_uncertain=True,
        outcome="unknown",
        code="worker_died",
        due_at=bindparam("ask"),
    )
)
