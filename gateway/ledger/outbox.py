"""Claim what is due, settle what was tried, take over from the dead. Every function is part of a unit of the writer.

What one request carried is settled together. Settling is conditional on the lease number; from a former owner only
`taken` still counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from govpost.adapters.base import DeliveryKind, OwedRefusal
from govpost.gateway.ledger import _outbox_sql as sql
from govpost.gateway.ledger._rows import Lane, demote, note, park, promote, promote_all, unpark, withdraw_all
from govpost.gateway.ledger.claiming import Claiming, Render
from govpost.gateway.ledger.claims import Carriage, Claim, Claims, DeadReason, Next, Settled, Settlement
from govpost.gateway.ledger.destinations import answered, broke
from govpost.gateway.ledger.events import Recorder
from govpost.gateway.ledger.loading import ALONE
from govpost.gateway.ledger.orders import Orders
from govpost.gateway.ledger.proofs import Proofs
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import State, deliveries, is_state
from govpost.schemas import Amend, Cause, Outcome, OutcomeKind
from govpost.schemas.errors import LedgerError

__all__ = ["Outbox"]

_STATES = {Next.SETTLE: State.SETTLED, Next.RETRY: State.QUEUED, Next.BURY: State.DEAD}
#: Where a delivery of which somebody else has not heard yet that it was taken may stand.
_UNSETTLED = frozenset({State.QUEUED, State.DUE, State.LEASED, State.DEAD})


class Outbox:
    """Lease and settle the deliveries of one ledger."""

    def __init__(
        self,
        sealer: Sealer,
        recorder: Recorder,
        orders_of: Orders,
        *,
        carriage: Mapping[str, Carriage],
        proofs: Proofs,
    ) -> None:
        self._sealer = sealer
        self._proofs = proofs
        self._recorder = recorder
        self._orders = orders_of
        self._carriage = carriage

    def claim(
        self, connection: Connection, destination: str, *, worker_id: str, most: int, render: Render, now: datetime
    ) -> Claims:
        """Lease up to `most` batches of due deliveries to a worker; renders what was never rendered."""
        carriage = self._carriage.get(destination, ALONE)
        claiming = Claiming(connection, self._sealer, self._proofs, destination, carriage, render, now)
        return claiming.lease(worker_id, most=most)

    def settle(
        self,
        connection: Connection,
        settlements: Sequence[Settlement],
        *,
        worker_id: str,
        pause_base_s: float,
        pause_cap_s: float,
        breakages_to_pause: int,
        now: datetime,
    ) -> Settled:
        """End the attempts that one request carried; the first one speaks of the destination for all of them."""
        sql.ATTEMPT.on(connection, [_attempt(each, worker_id, now=now) for each in settlements])
        first = settlements[0]
        paused_until, opened = None, False
        if first.is_breakage or first.is_lockout:
            paused_until = broke(
                connection,
                first.claim.destination,
                reason=first.outcome.kind,
                to_pause=1 if first.is_lockout else breakages_to_pause,
                base_s=pause_base_s,
                cap_s=pause_cap_s,
                now=now,
            )
        elif first.is_answer:
            opened = answered(connection, first.claim.destination)
        counted = self._end(connection, settlements, now=now)
        for each in settlements:
            if each.outcome.kind is OutcomeKind.TAKEN:
                self._take_effect(connection, each.claim, each.outcome, now=now)
        return Settled(counted, paused_until=paused_until, opened=opened)

    def _end(self, connection: Connection, settlements: Sequence[Settlement], *, now: datetime) -> int:
        """Store what becomes of deliveries and let their lanes move on; returns how many of them counted."""
        are_ours = sql.END.each(connection, [self._ending(each, now=now) for each in settlements])
        ended = [each for each, is_ours in zip(settlements, are_ours, strict=True) if is_ours]
        for each in ended:
            if each.next is Next.BURY and each.outcome.parks_lane:
                park(connection, each.claim.lane, reason=each.dead_reason or DeadReason.REFUSED, now=now)
        # A lane's head is known only once all of it that travelled together has ended.
        promote_all(connection, {each.claim.lane: None for each in ended}, now=now)
        lost = [each for each, is_ours in zip(settlements, are_ours, strict=True) if not is_ours]
        return len(ended) + sum(self._end_late(connection, each, now=now) for each in lost)

    def _end_late(self, connection: Connection, settlement: Settlement, *, now: datetime) -> bool:
        """End what is no longer ours, where it may still count: it was taken, and nobody has settled it."""
        state = sql.STATE.on(connection, {"did": settlement.claim.delivery_id}).scalar_one()
        if settlement.outcome.kind is not OutcomeKind.TAKEN or state not in _UNSETTLED:
            return False
        sql.END_ANYWAY.on(connection, self._ending(settlement, now=now))
        lane = settlement.claim.lane
        (unpark if state == State.DEAD else promote)(connection, lane, now=now)
        return True

    def _ending(self, settlement: Settlement, *, now: datetime) -> dict[str, Any]:
        claim, outcome = settlement.claim, settlement.outcome
        sealed_text = outcome.text and self._sealer.seal(outcome.text.encode(), row=f"texts|{claim.delivery_id}")
        return {
            "did": claim.delivery_id,
            "lease": claim.lease_no,
            "to": _STATES[settlement.next],
            "uncertain": settlement.is_uncertain,
            # What surely never left counts as untried: the delivery may still be withdrawn.
            "maybe": claim.maybe_sent or outcome.kind is not OutcomeKind.NOT_SENT,
            "kind_of_outcome": outcome.kind,
            "far_code": outcome.code,
            "far_text": sealed_text or None,
            "why_dead": settlement.dead_reason,
            "again": settlement.due_at,
            "end": None if settlement.next is Next.RETRY else now,
        }

    def _take_effect(self, connection: Connection, claim: Claim, outcome: Outcome, *, now: datetime) -> None:
        """Let what a backend took show in the order."""
        if isinstance(claim.owed, OwedRefusal):
            return
        if claim.kind is DeliveryKind.PLACE:
            self._number(connection, claim.order_id, outcome, now=now)
        elif claim.kind is DeliveryKind.CANCEL:
            self._recorder.cancelled(connection, claim.order_id, cause=Cause.PORTAL, now=now)
        elif claim.kind is DeliveryKind.AMEND:
            order = claim.owed.order
            self._orders.apply_amend(connection, claim.order_id, Amend(order.portal_ref, order.recipient, ""), now=now)
        for notice in outcome.notices:
            note(connection, claim.order_id, notice, now=now)

    def _number(self, connection: Connection, order_id: str, outcome: Outcome, *, now: datetime) -> None:
        numbers = {1: outcome.waybill_no, 2: outcome.return_waybill_no}
        for leg, number in numbers.items():
            if number is not None:
                self._recorder.number(connection, order_id, leg, number, now=now)
        if outcome.more_waybill_nos:
            self._recorder.pieces(connection, order_id, outcome.more_waybill_nos, now=now)

    @staticmethod
    def release(connection: Connection, claim: Claim, *, now: datetime) -> None:
        """Give a lease back of which nothing was sent (a clean stop)."""
        connection.execute(
            update(deliveries)
            .where(
                deliveries.c.delivery_id == claim.delivery_id,
                is_state(State.LEASED),
                deliveries.c.lease_no == claim.lease_no,
            )
            .values(
                state=State.QUEUED,
                worker_id=None,
                attempts=deliveries.c.attempts - 1,
                maybe_sent=claim.maybe_sent,
            )
        )
        promote(connection, claim.lane, now=now)

    @staticmethod
    def reclaim(connection: Connection, dead: frozenset[str], *, probe_after_s: float, now: datetime) -> int:
        """Take work from dead workers: it may have been sent, so it is uncertain, and asked after a time-out."""
        orphans = connection.execute(sql.ORPHANS.where(deliveries.c.worker_id.in_(dead))).all()
        ask_at = now + timedelta(seconds=probe_after_s)
        for orphan in orphans:
            sql.RECLAIM.on(connection, {"did": orphan.delivery_id, "ask": ask_at})
            promote(connection, Lane(orphan.order_id, orphan.destination), now=ask_at)
            sql.ATTEMPT.on(
                connection,
                {
                    "delivery_id": orphan.delivery_id,
                    "worker_id": orphan.worker_id,
                    "started_at": orphan.leased_at,
                    "ended_at": now,
                    "outcome": OutcomeKind.UNKNOWN,
                    "code": "worker_died",
                },
            )
        return len(orphans)

    @staticmethod
    def replay(connection: Connection, delivery_id: str, *, now: datetime) -> None:
        """Send a dead letter again, from the start of its schedule; a doubt about it stays."""
        row = _dead(connection, delivery_id)
        connection.execute(
            update(deliveries)
            .where(deliveries.c.delivery_id == delivery_id)
            .values(state=State.QUEUED, attempts=0, first_tried_at=None, dead_reason=None, ended_at=None)
        )
        lane = Lane(row.order_id, row.destination)
        # What passed it by meanwhile goes behind it again.
        demote(connection, lane)
        unpark(connection, lane, now=now)

    def drop(self, connection: Connection, delivery_id: str, *, reason: str, cancel: bool, now: datetime) -> None:
        """Give a dead letter up for good; with `cancel`, of a placement, the order is cancelled and the portal told."""
        row = _dead(connection, delivery_id)
        if cancel and row.kind != DeliveryKind.PLACE:
            raise LedgerError("only a dropped placement can cancel its order; drop this one without --cancel")
        connection.execute(
            update(deliveries)
            .where(deliveries.c.delivery_id == delivery_id)
            .values(
                state=State.DROPPED,
                ended_at=now,
                sealed_text=self._sealer.seal(reason.encode(), row=f"texts|{delivery_id}"),
            )
        )
        lane = Lane(row.order_id, row.destination)
        if cancel:
            self._recorder.cancelled(connection, row.order_id, cause=Cause.POST, now=now)
            self._settle_cancels(connection, lane, now=now)
            withdraw_all(connection, lane, now=now)
        unpark(connection, lane, now=now)

    @staticmethod
    def _settle_cancels(connection: Connection, lane: Lane, *, now: datetime) -> None:
        """Answer a portal's own cancel that waited behind the placement: it holds."""
        connection.execute(
            update(deliveries)
            .where(
                deliveries.c.order_id == lane.order_id,
                deliveries.c.destination == lane.destination,
                deliveries.c.kind == DeliveryKind.CANCEL,
                deliveries.c.state.in_([State.QUEUED, State.DUE]),
            )
            .values(state=State.SETTLED, outcome="taken", code="dropped_placement", ended_at=now)
        )


def _attempt(settlement: Settlement, worker_id: str, *, now: datetime) -> dict[str, Any]:
    return {
        "delivery_id": settlement.claim.delivery_id,
        "worker_id": worker_id,
        "started_at": settlement.started_at,
        "ended_at": now,
        "outcome": settlement.outcome.kind,
        "code": settlement.outcome.code,
    }


def _dead(connection: Connection, delivery_id: str) -> Row[str, str, str, str]:
    row = connection.execute(
        select(deliveries.c.order_id, deliveries.c.destination, deliveries.c.kind, deliveries.c.state).where(
            deliveries.c.delivery_id == delivery_id
        )
    ).one_or_none()
    if row is None:
        raise LedgerError("no delivery has this number; see: govpost dead list")
    if row.state != State.DEAD:
        raise LedgerError(f"this delivery is not dead but {row.state}; see: govpost explain {row.order_id}")
    return row
