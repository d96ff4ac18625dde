"""Record what happened to an item: move the order, owe the portal its update, all in one transaction.

The rules are contracts/README, "How an order lives"; `schemas.lifecycle` holds them as a table.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.adapters.base import DeliveryKind
from govpost.gateway.ledger._rows import (
    NUMBER_RANKS,
    USUAL_RANK,
    Lane,
    NoticeKind,
    PortalTerms,
    enqueue,
    note,
    promote,
    seal_event,
    unpark,
    withdraw_telling,
)
from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import State, deliveries, events, is_in, is_state, orders
from govpost.schemas import Cause, Event, Status
from govpost.schemas.lifecycle import FUTURE_TOLERANCE, may_move

__all__ = ["OURS", "Recorded", "Recorder"]

#: The source of events that we record ourselves (`numbered` from an answer, `cancelled`).
OURS = "govpost"

#: Past this a leg is under way, and a round trip's status is leg 2's.
_NOT_UNDER_WAY = frozenset({Status.ACCEPTED, Status.NUMBERED})


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one event, as an HTTP status: 201 new, 200 the same again, 404, 409 other content, 422."""

    status: int
    moved: bool = False
    detail: str | None = None
    #: The first waybill number stayed; a person is told.
    waybill_differs: bool = False


_ORDER = Prepared(
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
_INSERT = Prepared(insert(events).on_conflict_do_nothing().returning(events.c.event_no))
_SAME = Prepared(
    select(events.c.digest, events.c.moved).where(
        events.c.source == bindparam("src"), events.c.event_id == bindparam("eid")
    )
)
_NEWEST_MOVE = Prepared(
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
_LAST_MOVE = Prepared(_MOVES_OF_LEG)
_LAST_MOVE_BUT = Prepared(
    _MOVES_OF_LEG.where(~((events.c.source == bindparam("src")) & (events.c.event_id == bindparam("eid"))))
)
_TARGET = Prepared(
    select(events.c.event_no, events.c.moved, events.c.revoked_by, events.c.leg).where(
        events.c.source == bindparam("src"),
        events.c.event_id == bindparam("eid"),
        events.c.order_id == bindparam("key"),
    )
)
_WAITING_REVOKE = Prepared(
    select(events.c.event_no).where(
        events.c.source == bindparam("src"), events.c.revokes == bindparam("eid"), events.c.order_id == bindparam("key")
    )
)
_MOVED = Prepared(select(events.c.moved).where(events.c.event_no == bindparam("no")))
_MARK_MOVED = Prepared(update(events).where(events.c.event_no == bindparam("no")).values(moved=True))
_MARK_REVOKED = Prepared(update(events).where(events.c.event_no == bindparam("no")).values(revoked_by=bindparam("by")))
_TELLING = Prepared(
    select(deliveries.c.delivery_id).where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("portal_name"),
        deliveries.c.event_no == bindparam("no"),
        deliveries.c.corrects.is_(None),
        ~is_in(State.WITHDRAWN, State.DROPPED),
    )
)
_WAYBILL_COLUMNS = {1: orders.c.waybill_no, 2: orders.c.return_waybill_no}
_SET_WAYBILL = {
    leg: Prepared(
        update(orders)
        .where(orders.c.order_id == bindparam("key"), column.is_(None))
        .values({column: bindparam("number")})
    )
    for leg, column in _WAYBILL_COLUMNS.items()
}
_SET_STATUS = Prepared(
    update(orders)
    .where(orders.c.order_id == bindparam("key"))
    .values(
        status=bindparam("overall"),
        leg1_status=bindparam("first"),
        leg2_status=bindparam("second"),
        updated_at=bindparam("now"),
    )
)
_LEG_COLUMNS = {1: "leg1_status", 2: "leg2_status"}
_RELEASE_HELD = Prepared(
    update(deliveries)
    .where(deliveries.c.order_id == bindparam("key"), deliveries.c.leg == bindparam("leg_no"), is_state(State.HELD))
    .values(state=State.QUEUED)
)
_OPEN_COMMANDS = Prepared(
    select(deliveries.c.delivery_id, deliveries.c.kind)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("backend_name"),
        is_in(State.QUEUED, State.DUE, State.LEASED, State.DEAD),
    )
    .order_by(deliveries.c.rank, deliveries.c.delivery_no)
)
_SETTLE_BY_EVIDENCE = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("did"))
    .values(state=State.SETTLED, outcome="taken", code="evidence", is_uncertain=False, ended_at=bindparam("now"))
)


class Recorder:
    """Record events of the orders of one ledger; every method is part of a unit of the writer."""

    def __init__(self, sealer: Sealer, terms: dict[str, PortalTerms]) -> None:
        self._sealer = sealer
        self._terms = terms

    def record(
        self, connection: Connection, order_id: str, event: Event, *, source: str | None, now: datetime
    ) -> Recorded:
        """Record one event; `source` None stands for the order's own backend."""
        order = _ORDER.on(connection, {"key": order_id}).one_or_none()
        if order is None:
            return Recorded(404, detail="no order has this number")
        source = source or order.backend
        digest = self._sealer.digest(f"{order_id}\n{event.model_dump_json(exclude_none=True)}".encode(), domain="event")
        same = _SAME.on(connection, {"src": source, "eid": event.event_id}).one_or_none()
        if same is not None:
            return self._repeat(same, digest)
        differs = self._take_waybill(connection, order, event, now=now)
        if source == order.backend:
            self._take_as_evidence(connection, order, event, now=now)
        order = _ORDER.on(connection, {"key": order_id}).one()
        moved = self._apply(connection, order, event, source=source, digest=digest, now=now)
        return Recorded(201, moved=moved, waybill_differs=differs)

    def number(self, connection: Connection, order_id: str, leg: int, waybill_no: str, *, now: datetime) -> bool:
        """Record a leg's waybill number, and `numbered` with the first one; tells whether it differs from the first."""
        order = _ORDER.on(connection, {"key": order_id}).one()
        return self._number(connection, order, leg, waybill_no, now=now)

    def cancelled(self, connection: Connection, order_id: str, *, cause: Cause, now: datetime) -> None:
        """Record that an order was cancelled, once."""
        event = Event(event_id=f"{order_id}:cancelled", status=Status.CANCELLED, occurred_at=now, cause=cause)
        self.record(connection, order_id, event, source=OURS, now=now)

    @staticmethod
    def _repeat(same: Row[Any], digest: bytes) -> Recorded:
        if same.digest == digest:
            return Recorded(200, moved=same.moved)
        return Recorded(409, detail="this event_id was recorded with other content")

    def _apply(
        self, connection: Connection, order: Row[Any], event: Event, *, source: str, digest: bytes, now: datetime
    ) -> bool:
        """Store the event, move what it moves, and owe what is to be told. Returns whether it moved the order."""
        waiting_revoke = _WAITING_REVOKE.on(
            connection, {"src": source, "eid": event.event_id, "key": order.order_id}
        ).scalar()
        status = self._status_of(connection, order, event, source=source)
        moves = waiting_revoke is None and self._moves(connection, order, status, event, source=source, now=now)
        event_no = _INSERT.on(
            connection,
            {
                "source": source,
                "event_id": event.event_id,
                "order_id": order.order_id,
                "leg": event.leg,
                "status": event.status,
                "occurred_at": event.occurred_at,
                "recorded_at": now,
                "moved": moves,
                "revokes": event.revokes,
                "revoked_by": waiting_revoke,
                "digest": digest,
                "sealed": seal_event(self._sealer, event, source),
            },
        ).scalar_one()
        if event.revokes is not None:
            reverted = self._revoke(connection, order, event, event_no, source=source, now=now)
            if reverted and not moves:
                _MARK_MOVED.on(connection, {"no": event_no})
                moves = True
        if event.status is not None and moves and (event.revokes is None or may_move(status, event.status)):
            self._move(connection, order.order_id, event.leg, event.status, now=now)
            self._owe(connection, order, event, event_no, told=event.status, now=now)
        return moves

    def _status_of(self, connection: Connection, order: Row[Any], event: Event, *, source: str) -> Status:
        """Find the status that the event meets: for one that also revokes, what is left after that."""
        if event.revokes is None:
            return _leg_status(order, event.leg)
        rest = _LAST_MOVE_BUT.on(
            connection, {"key": order.order_id, "leg_no": event.leg, "src": source, "eid": event.revokes}
        ).scalar()
        return Status(rest) if rest else Status.ACCEPTED

    @staticmethod
    def _moves(
        connection: Connection, order: Row[Any], status: Status, event: Event, *, source: str, now: datetime
    ) -> bool:
        if event.status is None or event.status is Status.UNKNOWN or not may_move(status, event.status):
            return False
        if event.occurred_at > now + FUTURE_TOLERANCE:
            return False
        newest = _NEWEST_MOVE.on(connection, {"key": order.order_id, "src": source, "leg_no": event.leg}).scalar()
        return newest is None or event.occurred_at >= newest

    def _revoke(
        self, connection: Connection, order: Row[Any], event: Event, event_no: int, *, source: str, now: datetime
    ) -> bool:
        """Take the earlier event back. Returns whether that changed what the portal was or would be told."""
        target = _TARGET.on(connection, {"src": source, "eid": event.revokes, "key": order.order_id}).one_or_none()
        if target is None:
            return False
        if target.revoked_by is not None:
            # A second revoke is the same answer.
            return bool(_MOVED.on(connection, {"no": target.revoked_by}).scalar())
        _MARK_REVOKED.on(connection, {"no": target.event_no, "by": event_no})
        if not target.moved:
            return False
        last = _LAST_MOVE.on(connection, {"key": order.order_id, "leg_no": target.leg}).scalar()
        back_to = Status(last) if last else Status.ACCEPTED
        self._move(connection, order.order_id, target.leg, back_to, now=now)
        self._take_back(connection, order, target, event_no=event_no, back_to=back_to, now=now)
        return True

    def _take_back(
        self,
        connection: Connection,
        order: Row[Any],
        target: Row[Any],
        *,
        event_no: int,
        back_to: Status,
        now: datetime,
    ) -> None:
        """Withdraw the telling that was never attempted; correct the one that was."""
        lane = Lane(order.order_id, order.portal)
        if withdraw_telling(connection, lane, target.event_no, now=now):
            return
        told = _TELLING.on(
            connection, {"key": order.order_id, "portal_name": order.portal, "no": target.event_no}
        ).scalar()
        if told is not None:
            enqueue(
                connection,
                lane,
                DeliveryKind.UPDATE,
                now=now,
                leg=target.leg,
                event_no=event_no,
                told_status=back_to,
                corrects=told,
            )

    def _owe(
        self, connection: Connection, order: Row[Any], event: Event, event_no: int, *, told: Status, now: datetime
    ) -> None:
        terms = self._terms.get(order.portal)
        if terms is None or told not in terms.tells:
            return
        if told is Status.CANCELLED and event.cause is Cause.PORTAL and not terms.tells_own_cancel:
            return
        has_number = _waybill(order, event.leg) is not None or event.waybill_no is not None
        enqueue(
            connection,
            Lane(order.order_id, order.portal),
            DeliveryKind.UPDATE,
            now=now,
            leg=event.leg,
            rank=NUMBER_RANKS[event.leg] if told is Status.NUMBERED else USUAL_RANK,
            is_held=told in terms.needs_waybill and not has_number,
            event_no=event_no,
            told_status=told,
        )

    @staticmethod
    def _move(connection: Connection, order_id: str, leg: int, to: Status, *, now: datetime) -> None:
        """Set a leg's status, and the order's: leg 1's until leg 2 is under way."""
        order = _ORDER.on(connection, {"key": order_id}).one()
        legs = {1: _leg_status(order, 1), 2: _leg_status(order, 2), leg: to}
        _SET_STATUS.on(
            connection,
            {
                "key": order_id,
                "overall": legs[1] if legs[2] in _NOT_UNDER_WAY else legs[2],
                "first": legs[1],
                "second": legs[2] if leg == 2 or order.leg2_status else None,
                "now": now,
            },
        )

    def _take_waybill(self, connection: Connection, order: Row[Any], event: Event, *, now: datetime) -> bool:
        if event.waybill_no is None:
            return False
        return self._number(connection, order, event.leg, event.waybill_no, now=now)

    def _number(self, connection: Connection, order: Row[Any], leg: int, waybill_no: str, *, now: datetime) -> bool:
        known = _waybill(order, leg)
        if known is not None:
            if known != waybill_no:
                note(connection, order.order_id, NoticeKind.WAYBILL_DIFFERS, now=now)
            return known != waybill_no
        _SET_WAYBILL[leg].on(connection, {"key": order.order_id, "number": waybill_no})
        were_held = _RELEASE_HELD.on(connection, {"key": order.order_id, "leg_no": leg}).rowcount
        self._record_numbered(connection, order, leg, waybill_no, now=now)
        if were_held:
            promote(connection, Lane(order.order_id, order.portal), now=now)
        return False

    def _record_numbered(
        self, connection: Connection, order: Row[Any], leg: int, waybill_no: str, *, now: datetime
    ) -> None:
        """Record `numbered`. It is told even where the item is further already: the portal wants the number."""
        moves = may_move(_leg_status(order, leg), Status.NUMBERED)
        event = Event.model_validate(
            {
                "event_id": f"{order.order_id}:numbered:{leg}",
                "status": Status.NUMBERED,
                "occurred_at": now,
                "leg": leg,
                "waybill_no": waybill_no,
            }
        )
        event_no = _INSERT.on(
            connection,
            {
                "source": OURS,
                "event_id": event.event_id,
                "order_id": order.order_id,
                "leg": leg,
                "status": event.status,
                "occurred_at": now,
                "recorded_at": now,
                "moved": moves,
                "revokes": None,
                "revoked_by": None,
                "digest": b"",
                "sealed": seal_event(self._sealer, event, OURS),
            },
        ).scalar_one()
        if moves:
            self._move(connection, order.order_id, leg, Status.NUMBERED, now=now)
        self._owe(connection, order, event, event_no, told=Status.NUMBERED, now=now)

    def _take_as_evidence(self, connection: Connection, order: Row[Any], event: Event, *, now: datetime) -> None:
        """Settle what a backend's event proves: that it has the order; `cancelled`, that it took a cancel as well."""
        proven = {DeliveryKind.PLACE, DeliveryKind.CANCEL} if event.status is Status.CANCELLED else {DeliveryKind.PLACE}
        lane = Lane(order.order_id, order.backend)
        waiting = _OPEN_COMMANDS.on(connection, {"key": order.order_id, "backend_name": order.backend})
        found = [delivery for delivery in waiting if delivery.kind in proven]
        for delivery in found:
            _SETTLE_BY_EVIDENCE.on(connection, {"did": delivery.delivery_id, "now": now})
        if found:
            unpark(connection, lane, now=now)


def _leg_status(order: Row[Any], leg: int) -> Status:
    return Status(getattr(order, _LEG_COLUMNS[leg]) or Status.ACCEPTED)


def _waybill(order: Row[Any], leg: int) -> str | None:
    number: str | None = order.waybill_no if leg == 1 else order.return_waybill_no
    return number
