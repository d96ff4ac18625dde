"""Record what happened to an item: move the order, owe the portal its update, all in one transaction.

The rules are contracts/README, "How an order lives"; `schemas.lifecycle` holds them as a table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from govpost.adapters.base import DeliveryKind
from govpost.gateway.ledger import _events_sql as sql
from govpost.gateway.ledger._rows import (
    FIRST_RANK,
    NUMBER_RANKS,
    USUAL_RANK,
    Lane,
    PortalTerms,
    enqueue,
    note,
    open_order,
    promote,
    seal_event,
    unpark,
    withdraw_telling,
)
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.strays import Strays
from govpost.gateway.ledger.tables import OPEN_STATES, State
from govpost.schemas import Cause, Direction, Event, Mode, Notice, Order, Status, Telling
from govpost.schemas.lifecycle import FUTURE_TOLERANCE, may_move

__all__ = ["OURS", "Recorded", "Recorder"]

#: The source of events that we record ourselves (`numbered` from an answer, `cancelled`).
OURS = "govpost"

#: A telling in one of these is on its way, or in a person's hands.
_PENDING = frozenset({*OPEN_STATES, State.DEAD})

#: Past this a leg is under way, and a round trip's status is leg 2's.
_NOT_UNDER_WAY = frozenset({Status.ACCEPTED, Status.NUMBERED})
#: What a backend may tell of an item that nobody was sent for.
_PROVES_NO_COLLECTION = frozenset({*_NOT_UNDER_WAY, Status.UNKNOWN, None})


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one event, as an HTTP status.

    201 new, 200 the same again, 202 kept until an order fits it, 404, 409 other content, 422.
    """

    status: int
    moved: bool = False
    detail: str | None = None
    #: The first waybill number stayed; a person is told.
    waybill_differs: bool = False


class _Item(NamedTuple):
    order_id: str
    leg: int
    is_piece: bool = False


_LEG_COLUMNS = {1: "leg1_status", 2: "leg2_status"}


class Recorder:
    """Record events of the orders of one ledger; every method is part of a unit of the writer."""

    def __init__(
        self, sealer: Sealer, terms: dict[str, PortalTerms], *, places_in_parts: frozenset[str] = frozenset()
    ) -> None:
        self._sealer = sealer
        self._terms = terms
        #: Backends that a placement reaches in several requests.
        self._places_in_parts = places_in_parts
        self._strays = Strays(sealer)

    def tell(self, connection: Connection, source: str, telling: Telling, *, now: datetime) -> Recorded:
        """Record what a backend tells of an item, which it names in its own way; keep what no order fits."""
        item = self._find_item(connection, source, telling)
        if item is None:
            is_new = self._strays.keep(connection, source, telling, now=now)
            return Recorded(202 if is_new else 200)
        event = telling.event.model_copy(update={"leg": item.leg})
        return self.record(connection, item.order_id, event, source=source, now=now, is_of_piece=item.is_piece)

    def _find_item(self, connection: Connection, source: str, telling: Telling) -> "_Item | None":
        by_number = {"number": telling.waybill_no, "src": source}
        piece = sql.PIECE_OF.on(connection, by_number).first()
        if piece is not None:
            return _Item(piece.order_id, piece.leg, is_piece=True)
        if telling.order_id is not None:
            order = sql.ORDER.on(connection, {"key": telling.order_id}).one_or_none()
            if order is not None and order.backend == source and self._has_leg(connection, order, telling.event.leg):
                return _Item(order.order_id, telling.event.leg)
        if telling.waybill_no is None:
            return None
        order = sql.BY_WAYBILL.on(connection, by_number).first()
        return order and _Item(order.order_id, 1 if order.waybill_no == telling.waybill_no else 2)

    def _adopt(
        self, connection: Connection, order: Row[Any], leg: int, waybill_no: str, *, now: datetime, is_of_piece: bool
    ) -> None:
        """Record what was told of an item before anybody knew whose it is."""
        for event in self._strays.take(connection, order.backend, waybill_no):
            found = event.model_copy(update={"leg": leg})
            self.record(connection, order.order_id, found, source=order.backend, now=now, is_of_piece=is_of_piece)

    def record(
        self,
        connection: Connection,
        order_id: str,
        event: Event,
        *,
        source: str | None,
        now: datetime,
        is_of_piece: bool = False,
    ) -> Recorded:
        """Record one event; `source` None stands for the order's own backend.

        An event of a further piece is kept and moves nothing: the portal knows the first piece's number only.
        """
        order = sql.ORDER.on(connection, {"key": order_id}).one_or_none()
        if order is None:
            return Recorded(404, detail="no order has this number")
        source = source or order.backend
        digest = self._sealer.digest(f"{order_id}\n{event.model_dump_json(exclude_none=True)}".encode(), domain="event")
        same = sql.SAME.on(connection, {"src": source, "eid": event.event_id}).one_or_none()
        if same is not None:
            return self._repeat(same, digest)
        if not self._has_leg(connection, order, event.leg):
            return Recorded(422, detail="leg: the order goes one way only")
        if is_of_piece:
            self._insert(connection, order_id, event, source=source, digest=digest, now=now)
            return Recorded(201)
        differs = self._take_waybill(connection, order, event, now=now)
        is_ahead = event.occurred_at > now + FUTURE_TOLERANCE
        if source == order.backend:
            self._take_as_evidence(connection, order, event.leg, None if is_ahead else event.status, now=now)
        if is_ahead:
            # Without its codes and what it takes back: nothing that truly happens may be matched with it.
            self._insert(connection, order_id, event, source=source, digest=digest, now=now)
            return Recorded(201, waybill_differs=differs)
        order = sql.ORDER.on(connection, {"key": order_id}).one()
        moved = self._apply(connection, order, event, source=source, digest=digest, now=now)
        return Recorded(201, moved=moved, waybill_differs=differs)

    def accepted(self, connection: Connection, order_id: str, portal: str, *, now: datetime) -> None:
        """Owe a portal that is told so the word that its order was taken.

        Again where it seems to have missed it, but not while one is on its way or in a person's hands.
        """
        terms = self._terms.get(portal)
        if terms is None or Status.ACCEPTED not in terms.tells:
            return
        told = sql.ACCEPTED_TELLINGS.on(connection, {"key": order_id, "portal_name": portal}).all()
        if any(telling.state in _PENDING for telling in told):
            return
        event_no = told[0].event_no if told else self._record_accepted(connection, order_id, now=now)
        enqueue(
            connection,
            Lane(order_id, portal),
            DeliveryKind.UPDATE,
            now=now,
            rank=FIRST_RANK,
            event_no=event_no,
            told_status=Status.ACCEPTED,
        )

    @staticmethod
    def is_accepted_told(connection: Connection, order_id: str, portal: str) -> bool:
        """Say whether the portal may have heard that its order was taken."""
        told = sql.ACCEPTED_TELLINGS.on(connection, {"key": order_id, "portal_name": portal})
        return any(telling.maybe_sent for telling in told)

    def _record_accepted(self, connection: Connection, order_id: str, *, now: datetime) -> int:
        event = Event(event_id=f"{order_id}:accepted", status=Status.ACCEPTED, occurred_at=now)
        return self._insert(connection, order_id, event, source=OURS, digest=b"", now=now, moved=True)

    def pieces(
        self, connection: Connection, order_id: str, numbers: Iterable[tuple[int, str]], *, now: datetime
    ) -> None:
        """Record further waybill numbers of an order's legs."""
        order = sql.ORDER.on(connection, {"key": order_id}).one()
        for leg, number in numbers:
            if not self._has_leg(connection, order, leg):
                note(connection, order_id, Notice.WAYBILL_DIFFERS, now=now)
                continue
            sql.PIECE.on(connection, {"waybill_no": number, "order_id": order_id, "leg": leg})
            self._adopt(connection, order, leg, number, now=now, is_of_piece=True)

    def number(self, connection: Connection, order_id: str, leg: int, waybill_no: str, *, now: datetime) -> bool:
        """Record a leg's waybill number, and `numbered` with the first one; tells whether it differs from the first."""
        order = sql.ORDER.on(connection, {"key": order_id}).one()
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
        waiting_revoke = self._waiting_revoke(connection, order, event, source=source)
        revokes = event.revokes or self._newest_with_code(connection, order, event, source=source)
        status = self._status_of(connection, order, event, revokes, source=source)
        moves = waiting_revoke is None and self._moves(connection, order, status, event, source=source)
        event_no = self._insert(
            connection,
            order.order_id,
            event,
            source=source,
            digest=digest,
            now=now,
            # Of one that also takes back, only after that: the order goes back to what was before both.
            moved=moves and revokes is None,
            revokes=revokes,
            raw_code=event.raw_code,
            revokes_code=event.revokes_code,
            revoked_by=waiting_revoke,
        )
        if revokes is not None:
            reverted = self._revoke(connection, order, revokes, event_no, source=source, now=now)
            if reverted or moves:
                sql.MARK_MOVED.on(connection, {"no": event_no})
                moves = True
        if event.status is not None and moves and (revokes is None or may_move(status, event.status)):
            self._move(connection, order.order_id, event.leg, event.status, now=now)
            self._owe(connection, order, event, event_no, told=event.status, now=now)
        return moves

    def _insert(
        self,
        connection: Connection,
        order_id: str,
        event: Event,
        *,
        source: str,
        digest: bytes,
        now: datetime,
        moved: bool = False,
        revokes: str | None = None,
        raw_code: str | None = None,
        revokes_code: str | None = None,
        revoked_by: int | None = None,
    ) -> int:
        event_no: int = sql.INSERT.on(
            connection,
            {
                "source": source,
                "event_id": event.event_id,
                "order_id": order_id,
                "leg": event.leg,
                "status": event.status,
                "occurred_at": event.occurred_at,
                "recorded_at": now,
                "moved": moved,
                "revokes": revokes,
                "raw_code": raw_code,
                "revokes_code": revokes_code,
                "revoked_by": revoked_by,
                "digest": digest,
                "sealed": seal_event(self._sealer, event, source),
            },
        ).scalar_one()
        return event_no

    @staticmethod
    def _waiting_revoke(connection: Connection, order: Row[Any], event: Event, *, source: str) -> int | None:
        """Find the revoke that came before the event it takes back, and have it name that event."""
        named: int | None = sql.WAITING_REVOKE.on(
            connection, {"src": source, "eid": event.event_id, "key": order.order_id}
        ).scalar()
        if named is not None or event.raw_code is None:
            return named
        meant: int | None = sql.REVOKE_OF_CODE.on(connection, _by_code(order, event, event.raw_code, source)).scalar()
        if meant is not None:
            sql.NAME_REVOKED.on(connection, {"no": meant, "eid": event.event_id})
        return meant

    @staticmethod
    def _newest_with_code(connection: Connection, order: Row[Any], event: Event, *, source: str) -> str | None:
        """Find the event that a revoke means which names a code only; None: it is not seen yet."""
        if event.revokes_code is None:
            return None
        found: str | None = sql.NEWEST_WITH_CODE.on(
            connection, _by_code(order, event, event.revokes_code, source)
        ).scalar()
        return found

    def _status_of(
        self, connection: Connection, order: Row[Any], event: Event, revokes: str | None, *, source: str
    ) -> Status:
        """Find the status that the event meets: for one that also revokes, what is left after that."""
        if revokes is None:
            return _leg_status(order, event.leg)
        rest = sql.LAST_MOVE_BUT.on(
            connection, {"key": order.order_id, "leg_no": event.leg, "src": source, "eid": revokes}
        ).scalar()
        return Status(rest) if rest else Status.ACCEPTED

    @staticmethod
    def _moves(connection: Connection, order: Row[Any], status: Status, event: Event, *, source: str) -> bool:
        if event.status is None or event.status is Status.UNKNOWN or not may_move(status, event.status):
            return False
        newest = sql.NEWEST_MOVE.on(connection, {"key": order.order_id, "src": source, "leg_no": event.leg}).scalar()
        return newest is None or event.occurred_at >= newest

    def _revoke(
        self, connection: Connection, order: Row[Any], revokes: str, event_no: int, *, source: str, now: datetime
    ) -> bool:
        """Take the earlier event back. Returns whether that changed what the portal was or would be told."""
        target = sql.TARGET.on(connection, {"src": source, "eid": revokes, "key": order.order_id}).one_or_none()
        if target is None:
            return False
        if target.revoked_by is not None:
            # A second revoke is the same answer.
            return bool(sql.MOVED.on(connection, {"no": target.revoked_by}).scalar())
        sql.MARK_REVOKED.on(connection, {"no": target.event_no, "by": event_no})
        if not target.moved:
            return False
        last = sql.LAST_MOVE.on(connection, {"key": order.order_id, "leg_no": target.leg}).scalar()
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
        told = sql.TELLING.on(
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
        order = sql.ORDER.on(connection, {"key": order_id}).one()
        legs = {1: _leg_status(order, 1), 2: _leg_status(order, 2), leg: to}
        sql.SET_STATUS.on(
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
        if known is not None or not self._has_leg(connection, order, leg):
            if known != waybill_no:
                note(connection, order.order_id, Notice.WAYBILL_DIFFERS, now=now)
            return known != waybill_no
        sql.SET_WAYBILL[leg].on(connection, {"key": order.order_id, "number": waybill_no})
        were_held = sql.RELEASE_HELD.on(connection, {"key": order.order_id, "leg_no": leg}).rowcount
        self._record_numbered(connection, order, leg, waybill_no, now=now)
        if were_held:
            promote(connection, Lane(order.order_id, order.portal), now=now)
        self._adopt(connection, order, leg, waybill_no, now=now, is_of_piece=False)
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
        event_no = self._insert(connection, order.order_id, event, source=OURS, digest=b"", now=now, moved=moves)
        if moves:
            self._move(connection, order.order_id, leg, Status.NUMBERED, now=now)
        self._owe(connection, order, event, event_no, told=Status.NUMBERED, now=now)

    def _is_half_known(self, connection: Connection, order: Row[Any], leg: int, status: Status | None) -> bool:
        """Say whether an event leaves open that the backend has all of a placement that reaches it in parts.

        Leg 1 comes before leg 2, and that the item is with the post is what proves that a courier was asked for. What
        the post has cancelled is not placed any further.
        """
        if order.backend not in self._places_in_parts or status is Status.CANCELLED:
            return False
        content = self._content(connection, order.order_id)
        if content.direction is Direction.ROUND_TRIP and leg == 1:
            return True
        is_fetched = content.direction is not Direction.TO_APPLICANT and content.mode is not Mode.COUNTER
        return is_fetched and status in _PROVES_NO_COLLECTION

    def _has_leg(self, connection: Connection, order: Row[Any], leg: int) -> bool:
        return leg == 1 or self._content(connection, order.order_id).direction is Direction.ROUND_TRIP

    def _content(self, connection: Connection, order_id: str) -> Order:
        return open_order(self._sealer, order_id, sql.CONTENT.on(connection, {"key": order_id}).scalar_one())

    def _take_as_evidence(
        self, connection: Connection, order: Row[Any], leg: int, status: Status | None, *, now: datetime
    ) -> None:
        """Settle what a backend's event proves: that it has the order; `cancelled`, that it took a cancel as well."""
        proven = {DeliveryKind.PLACE, DeliveryKind.CANCEL} if status is Status.CANCELLED else {DeliveryKind.PLACE}
        lane = Lane(order.order_id, order.backend)
        waiting = sql.OPEN_COMMANDS.on(connection, {"key": order.order_id, "backend_name": order.backend})
        found = [delivery for delivery in waiting if delivery.kind in proven]
        if found and self._is_half_known(connection, order, leg, status):
            return
        for delivery in found:
            sql.SETTLE_BY_EVIDENCE.on(connection, {"did": delivery.delivery_id, "now": now})
        if found:
            unpark(connection, lane, now=now)


def _by_code(order: Row[Any], event: Event, code: str, source: str) -> dict[str, Any]:
    return {"key": order.order_id, "src": source, "leg_no": event.leg, "code": code, "at": event.occurred_at}


def _leg_status(order: Row[Any], leg: int) -> Status:
    return Status(getattr(order, _LEG_COLUMNS[leg]) or Status.ACCEPTED)


def _waybill(order: Row[Any], leg: int) -> str | None:
    number: str | None = order.waybill_no if leg == 1 else order.return_waybill_no
    return number
