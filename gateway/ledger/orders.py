"""Take orders, and what portals ask of them afterwards. Every function is part of a unit of the writer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from govpost.adapters.base import DeliveryKind
from govpost.gateway.ledger._rows import (
    Lane,
    PortalTerms,
    enqueue,
    note,
    open_order,
    promote,
    seal_order,
    withdraw_all,
    withdraw_kind,
)
from govpost.gateway.ledger._sql import Prepared
from govpost.gateway.ledger.events import Recorder
from govpost.gateway.ledger.refusals import Refusals
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import (
    OPEN_STATES,
    State,
    batches,
    deliveries,
    events,
    is_in,
    lookups,
    nonces,
    notices,
    orders,
)
from govpost.schemas import (
    Amend,
    Amended,
    Batch,
    Cancel,
    Cancelled,
    Cause,
    Denied,
    Event,
    Found,
    Notice,
    Order,
    Placed,
    Problem,
    Query,
    Refuse,
    Status,
)
from govpost.schemas.event import Leg
from govpost.schemas.lifecycle import CANCELLABLE

__all__ = ["NONCE_LIFE", "NewOrder", "Orders", "Pending", "person_tokens"]

#: How long a nonce is remembered: twice the tolerance of the timestamp beside it.
NONCE_LIFE = timedelta(seconds=600)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order ready to be stored: sealed, hashed, with a number of its own in case it is new."""

    order: Order
    backend: str
    fingerprint: bytes
    sealed: bytes
    tokens: tuple[bytes, ...]
    delivery_id: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A command is owed to the backend; what becomes of it is `Orders.command_result`."""

    portal_ref: str
    order_id: str
    kind: DeliveryKind
    delivery_id: str


_WAITING = frozenset({State.QUEUED, State.DUE})

_NONCE = Prepared(insert(nonces).on_conflict_do_nothing().returning(nonces.c.nonce))
_NONCE_DIGEST = Prepared(
    select(nonces.c.digest).where(nonces.c.portal == bindparam("portal_name"), nonces.c.nonce == bindparam("token"))
)
_BATCH = Prepared(insert(batches).on_conflict_do_nothing().returning(batches.c.batch_no))
_BATCH_DIGEST = Prepared(
    select(batches.c.digest).where(
        batches.c.portal == bindparam("portal_name"), batches.c.batch_no == bindparam("number")
    )
)
_FORGET_NONCES = Prepared(delete(nonces).where(nonces.c.seen_at < bindparam("before")))
_INSERT_ORDER = Prepared(
    insert(orders).on_conflict_do_nothing(index_elements=["portal", "portal_ref"]).returning(orders.c.order_id)
)
_INSERT_LOOKUPS = Prepared(insert(lookups).on_conflict_do_nothing())
_INSERT_PLACEMENT = Prepared(insert(deliveries))
_BY_REF = Prepared(
    select(
        orders.c.order_id,
        orders.c.fingerprint,
        orders.c.status,
        orders.c.backend,
        orders.c.waybill_no,
        orders.c.return_waybill_no,
        orders.c.sealed,
    ).where(orders.c.portal == bindparam("portal_name"), orders.c.portal_ref == bindparam("ref"))
)
_COMMAND = Prepared(
    select(deliveries.c.delivery_id, deliveries.c.state, deliveries.c.outcome)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.kind == bindparam("command_kind"),
        deliveries.c.command_id == bindparam("command"),
    )
    .limit(1)
)
_DELIVERY = Prepared(
    select(deliveries.c.state, deliveries.c.outcome).where(deliveries.c.delivery_id == bindparam("did"))
)
_TRACES = Prepared(
    select(events.c.source, events.c.event_id, events.c.sealed)
    .where(
        events.c.order_id == bindparam("key"),
        events.c.moved,
        events.c.revoked_by.is_(None),
        events.c.status.is_not(None),
    )
    .order_by(events.c.event_no)
)
#: A body that surely reached nobody need not be sent as it was.
_UNRENDER = Prepared(
    update(deliveries)
    .where(
        deliveries.c.order_id == bindparam("key"),
        deliveries.c.destination == bindparam("backend_name"),
        deliveries.c.kind == DeliveryKind.PLACE,
        deliveries.c.maybe_sent.is_(False),
    )
    .values(call=None, sealed_body=None)
)
#: An order whose acknowledgement reached nobody becomes what its portal hands over now.
_REPLACE_ORDER = Prepared(
    update(orders)
    .where(orders.c.order_id == bindparam("key"))
    .values(
        fingerprint=bindparam("print"),
        backend=bindparam("carrier"),
        sealed=bindparam("blob"),
        updated_at=bindparam("now"),
    )
)
_REPLACE_PLACEMENT = Prepared(
    update(deliveries)
    .where(deliveries.c.order_id == bindparam("key"), deliveries.c.kind == DeliveryKind.PLACE)
    .values(destination=bindparam("carrier"), call=None, sealed_body=None)
)
_IS_NOTED = Prepared(
    select(notices.c.notice_no)
    .where(notices.c.order_id == bindparam("key"), notices.c.kind == bindparam("notice"))
    .limit(1)
)
_REPLACE_CONTENT = Prepared(
    update(orders)
    .where(orders.c.order_id == bindparam("key"))
    .values(sealed=bindparam("blob"), updated_at=bindparam("now"))
)


class Orders:
    """Take and change the orders of one ledger."""

    def __init__(self, sealer: Sealer, recorder: Recorder, terms: dict[str, PortalTerms]) -> None:
        self._sealer = sealer
        self._recorder = recorder
        self._refusals = Refusals(sealer)
        self._terms = terms

    @staticmethod
    def remember_nonce(connection: Connection, portal: str, nonce: str, *, digest: bytes | None, now: datetime) -> bool:
        """Store a nonce together with the effect of its request; False when it was used before.

        With a digest of what it goes with, the same again is no second use.
        """
        row = {"portal": portal, "nonce": nonce, "seen_at": now, "digest": digest}
        if _NONCE.on(connection, row).first() is not None:
            return True
        known = _NONCE_DIGEST.on(connection, {"portal_name": portal, "token": nonce}).scalar()
        return digest is not None and known == digest

    @staticmethod
    def begin_batch(connection: Connection, portal: str, batch: Batch, *, now: datetime) -> Denied | None:
        """Note a batch; denied where its number was used before for other content."""
        row = {"portal": portal, "batch_no": batch.batch_no, "digest": batch.digest, "begun_at": now}
        if _BATCH.on(connection, row).first() is not None:
            return None
        known = _BATCH_DIGEST.on(connection, {"portal_name": portal, "number": batch.batch_no}).scalar()
        if known == batch.digest:
            return None
        return Denied(Problem.CONFLICT, "this batch number was used before with other content")

    @staticmethod
    def forget_nonces(connection: Connection, *, now: datetime) -> None:
        """Drop nonces whose timestamps would be refused anyway."""
        _FORGET_NONCES.on(connection, {"before": now - NONCE_LIFE})

    def place(self, connection: Connection, new: NewOrder) -> Placed | Denied:
        """Store an order and owe it to its backend; the same again gets the same answer, other content a conflict."""
        order = new.order
        inserted = _INSERT_ORDER.on(
            connection,
            {
                "order_id": order.order_id,
                "portal": order.portal,
                "portal_ref": order.portal_ref,
                "backend": new.backend,
                "fingerprint": new.fingerprint,
                "status": Status.ACCEPTED,
                "leg1_status": Status.ACCEPTED,
                "accepted_at": order.accepted_at,
                "updated_at": order.accepted_at,
                "sealed": new.sealed,
            },
        ).first()
        if inserted is None:
            return self._again(connection, new)
        self._recorder.accepted(connection, order.order_id, order.portal, now=order.accepted_at)
        _INSERT_LOOKUPS.on(connection, [{"token": token, "order_id": order.order_id} for token in new.tokens])
        _INSERT_PLACEMENT.on(
            connection,
            {
                "delivery_id": new.delivery_id,
                "order_id": order.order_id,
                "destination": new.backend,
                "rank": 0,
                "kind": DeliveryKind.PLACE,
                "state": State.DUE,
                "leg": 1,
                "created_at": order.accepted_at,
                "due_at": order.accepted_at,
            },
        )
        return Placed(order.portal_ref, order.order_id)

    def _again(self, connection: Connection, new: NewOrder) -> Placed | Denied:
        known = _BY_REF.on(connection, {"portal_name": new.order.portal, "ref": new.order.portal_ref}).one()
        if known.fingerprint != new.fingerprint:
            return Denied(Problem.CONFLICT, "this order number was taken before with other content")
        self._recorder.accepted(connection, known.order_id, new.order.portal, now=new.order.accepted_at)
        return Placed(new.order.portal_ref, known.order_id, is_repeat=True)

    # What a polled portal hands over.

    def take(self, connection: Connection, new: NewOrder) -> Placed | Denied:
        """Store an order that a portal handed over; as `place`, but other content replaces what it never heard of."""
        portal, now = new.order.portal, new.order.accepted_at
        refused_as = self._refusals.find(connection, portal, new.order.portal_ref)
        placed = self.place(connection, self._renumbered(new, refused_as) if refused_as else new)
        if isinstance(placed, Placed):
            if refused_as and not placed.is_repeat:
                self._refusals.mend(connection, portal, refused_as, now=now)
            return placed
        known = self._find(connection, portal, new.order.portal_ref)
        if known is None:
            return placed
        if self._is_untold(connection, known, portal):
            self._replace(connection, known, new)
            return Placed(new.order.portal_ref, known.order_id)
        self._note_change(connection, known.order_id, now=now)
        return placed

    def refuse(self, connection: Connection, portal: str, command: Refuse, *, now: datetime) -> Denied:
        """Give back what cannot be taken; never an order that was taken before: then the first one stays."""
        known = self._find(connection, portal, command.portal_ref)
        if known is None:
            self._refusals.refuse(connection, portal, command, now=now)
        else:
            self._note_change(connection, known.order_id, now=now)
        return Denied(Problem.INVALID, command.reason, command.field)

    def _renumbered(self, new: NewOrder, order_id: str) -> NewOrder:
        order = new.order.model_copy(update={"order_id": order_id})
        return replace(new, order=order, sealed=seal_order(self._sealer, order))

    def _is_untold(self, connection: Connection, known: Row[Any], portal: str) -> bool:
        """Say whether neither the portal nor the backend can have heard of an order as it is."""
        return self._is_untried(connection, Lane(known.order_id, known.backend)) and not (
            self._recorder.is_accepted_told(connection, known.order_id, portal)
        )

    def _replace(self, connection: Connection, known: Row[Any], new: NewOrder) -> None:
        order_id, now = known.order_id, new.order.accepted_at
        first = open_order(self._sealer, order_id, known.sealed)
        order = new.order.model_copy(update={"order_id": order_id, "accepted_at": first.accepted_at})
        _REPLACE_ORDER.on(
            connection,
            {
                "key": order_id,
                "print": new.fingerprint,
                "carrier": new.backend,
                "blob": seal_order(self._sealer, order),
                "now": now,
            },
        )
        _REPLACE_PLACEMENT.on(connection, {"key": order_id, "carrier": new.backend})
        _INSERT_LOOKUPS.on(connection, [{"token": token, "order_id": order_id} for token in new.tokens])

    @staticmethod
    def _note_change(connection: Connection, order_id: str, *, now: datetime) -> None:
        """Have a person see that a portal says otherwise now; once, however often it is read."""
        if _IS_NOTED.on(connection, {"key": order_id, "notice": Notice.CONTENT_CHANGED}).first() is None:
            note(connection, order_id, Notice.CONTENT_CHANGED, now=now)

    def cancel(
        self, connection: Connection, portal: str, command: Cancel, *, now: datetime
    ) -> Cancelled | Amended | Denied | Pending:
        """Cancel an order: here while nothing was tried, else by asking the backend."""
        known = self._find(connection, portal, command.portal_ref)
        if known is None:
            return _unknown_order()
        if known.status == Status.CANCELLED:
            return Cancelled(command.portal_ref, known.order_id)
        earlier = self._earlier(connection, known.order_id, DeliveryKind.CANCEL, command)
        if earlier is not None:
            return earlier
        if known.status not in CANCELLABLE:
            return _too_late()
        lane = Lane(known.order_id, known.backend)
        if withdraw_kind(connection, lane, DeliveryKind.PLACE, now=now):
            # Of an order that the backend never had, it is told nothing else either.
            withdraw_all(connection, lane, now=now)
            self._recorder.cancelled(connection, known.order_id, cause=Cause.PORTAL, now=now)
            return Cancelled(command.portal_ref, known.order_id)
        return self._owe_command(connection, lane, DeliveryKind.CANCEL, command, command.reason or "", now=now)

    def amend(
        self, connection: Connection, portal: str, command: Amend, *, backend_amends: frozenset[str], now: datetime
    ) -> Cancelled | Amended | Denied | Pending:
        """Change the recipient: here while nothing was tried, else by asking a backend that can."""
        known = self._find(connection, portal, command.portal_ref)
        if known is None:
            return _unknown_order()
        earlier = self._earlier(connection, known.order_id, DeliveryKind.AMEND, command)
        if earlier is not None:
            return earlier
        lane = Lane(known.order_id, known.backend)
        is_untried = self._is_untried(connection, lane)
        if known.status not in CANCELLABLE or not (is_untried or known.backend in backend_amends):
            return _too_late()
        if not is_untried:
            recipient = command.recipient.model_dump_json(exclude_none=True)
            return self._owe_command(connection, lane, DeliveryKind.AMEND, command, recipient, now=now)
        self.apply_amend(connection, known.order_id, command, now=now)
        _UNRENDER.on(connection, {"key": known.order_id, "backend_name": known.backend})
        self._owe_command(connection, lane, DeliveryKind.AMEND, command, "", now=now, is_done=True)
        return Amended(command.portal_ref, known.order_id)

    def apply_amend(self, connection: Connection, order_id: str, command: Amend, *, now: datetime) -> None:
        """Let the amended recipient be the order's; the fingerprint stays that of the first content."""
        sealed = connection.execute(select(orders.c.sealed).where(orders.c.order_id == order_id)).scalar_one()
        order = open_order(self._sealer, order_id, sealed).model_copy(update={"recipient": command.recipient})
        _REPLACE_CONTENT.on(connection, {"key": order_id, "blob": seal_order(self._sealer, order), "now": now})
        _INSERT_LOOKUPS.on(
            connection,
            [{"token": token, "order_id": order_id} for token in person_tokens(self._sealer, order)],
        )

    def query(self, connection: Connection, portal: str, command: Query) -> Found | Denied:
        """Tell how an order stands."""
        known = self._find(connection, portal, command.portal_ref)
        return _unknown_order() if known is None else self.found(connection, known)

    def found(self, connection: Connection, known: Row[Any]) -> Found:
        """Put together what a query answers."""
        numbers: dict[Leg, str | None] = {1: known.waybill_no, 2: known.return_waybill_no}
        traces = _TRACES.on(connection, {"key": known.order_id}).all()
        return Found(
            order=open_order(self._sealer, known.order_id, known.sealed),
            status=Status(known.status),
            waybill_nos={leg: number for leg, number in numbers.items() if number is not None},
            traces=tuple(
                Event.model_validate_json(self._sealer.open(row.sealed, row=f"events|{row.source}|{row.event_id}"))
                for row in traces
            ),
        )

    @staticmethod
    def command_result(connection: Connection, pending: Pending) -> Cancelled | Amended | Denied | Pending:
        """Tell what became of a command that was owed to the backend."""
        row = _DELIVERY.on(connection, {"did": pending.delivery_id}).one()
        return _result(pending, row.state, row.outcome)

    @staticmethod
    def _find(connection: Connection, portal: str, portal_ref: str) -> Row[Any] | None:
        known: Row[Any] | None = _BY_REF.on(connection, {"portal_name": portal, "ref": portal_ref}).one_or_none()
        return known

    @staticmethod
    def _earlier(
        connection: Connection, order_id: str, kind: DeliveryKind, command: Cancel | Amend
    ) -> Cancelled | Amended | Denied | Pending | None:
        row = _COMMAND.on(
            connection, {"key": order_id, "command_kind": kind, "command": command.command_id}
        ).one_or_none()
        if row is None:
            return None
        return _result(Pending(command.portal_ref, order_id, kind, row.delivery_id), row.state, row.outcome)

    @staticmethod
    def _is_untried(connection: Connection, lane: Lane) -> bool:
        """Tell whether all that is owed to the backend is a placement that nothing was tried of."""
        owed = connection.execute(
            select(deliveries.c.kind, deliveries.c.state, deliveries.c.maybe_sent).where(
                deliveries.c.order_id == lane.order_id,
                deliveries.c.destination == lane.destination,
                is_in(*OPEN_STATES),
            )
        ).all()
        return [(row.kind, row.state in _WAITING, row.maybe_sent) for row in owed] == [
            (DeliveryKind.PLACE, True, False)
        ]

    def _owe_command(
        self,
        connection: Connection,
        lane: Lane,
        kind: DeliveryKind,
        command: Cancel | Amend,
        content: str,
        *,
        now: datetime,
        is_done: bool = False,
    ) -> Pending:
        delivery_id = enqueue(
            connection,
            lane,
            kind,
            now=now,
            command_id=command.command_id,
            sealed_command=self._sealer.seal(content.encode(), row=f"commands|{lane.order_id}|{command.command_id}"),
        )
        if is_done:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.delivery_id == delivery_id)
                .values(state=State.SETTLED, outcome="taken", code="untried", ended_at=now)
            )
            promote(connection, lane, now=now)
        return Pending(command.portal_ref, lane.order_id, kind, delivery_id)


def person_tokens(sealer: Sealer, order: Order) -> tuple[bytes, ...]:
    """Hash what an order can be looked up by: phones and ID numbers of both parties."""
    values = {
        value
        for party in (order.sender, order.recipient)
        for value in (party.phone, party.id_document.no if party.id_document else None)
        if value is not None
    }
    return tuple(sealer.digest(value.encode(), domain="person") for value in sorted(values))


def _result(pending: Pending, state: str, outcome: str | None) -> Cancelled | Amended | Denied | Pending:
    if state == State.SETTLED and outcome == "taken":
        done = Cancelled if pending.kind is DeliveryKind.CANCEL else Amended
        return done(pending.portal_ref, pending.order_id)
    if state == State.WITHDRAWN and pending.kind is DeliveryKind.CANCEL:
        # Cancels are withdrawn only together with their order.
        return Cancelled(pending.portal_ref, pending.order_id)
    if state in {State.SETTLED, State.DROPPED, State.WITHDRAWN}:
        return _too_late()
    return pending


def _unknown_order() -> Denied:
    return Denied(Problem.UNKNOWN_ORDER, "no order has this number")


def _too_late() -> Denied:
    return Denied(Problem.TOO_LATE, "the post has the order in hand already")
