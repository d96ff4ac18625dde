"""Claim what is due, settle what was tried. Every function is part of a unit of the writer.

A claim leases the heads of lanes to a worker and renders what was never rendered. Settling is conditional on the
lease number; from a former owner only `taken` still counts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from govpost.adapters.base import DeliveryKind, Document, Owed, OwedRefusal
from govpost.gateway.ledger import _outbox_sql as sql
from govpost.gateway.ledger._rows import Lane, demote, note, open_event, open_order, park, promote, unpark, withdraw_all
from govpost.gateway.ledger.claims import Batch, Carriage, Claim, Claims, DeadReason, Next, Settled, Settlement
from govpost.gateway.ledger.destinations import allowance, answered, broke
from govpost.gateway.ledger.events import Recorder
from govpost.gateway.ledger.loading import ALONE, MOST_AT_ONCE, Loading, call_of
from govpost.gateway.ledger.orders import Orders
from govpost.gateway.ledger.proofs import Proofs
from govpost.gateway.ledger.refusals import open_refused
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import State, deliveries, is_state
from govpost.schemas import Amend, Cause, Event, Outcome, OutcomeKind, Party, Status, Update
from govpost.schemas.errors import BreakageError, KeyFileError, LedgerError, MappingError

__all__ = ["Outbox", "Render"]


Render = Callable[[str, Owed | OwedRefusal], Document]


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
        allowed = allowance(connection, destination, most, now=now)
        if allowed.most == 0:
            return Claims(next_due_at=allowed.again_at)
        carriage = self._carriage.get(destination, ALONE)
        if allowed.is_trial or not carriage.batches:
            heads = sql.HEADS.on(connection, {"name": destination, "now": now, "most": allowed.most}).all()
            tried = (self._claim_one(connection, head, render, now=now) for head in heads)
            batches: tuple[Batch, ...] = tuple((claim,) for claim in tried if claim is not None)
        else:
            batches = self._batches(connection, destination, carriage, most=allowed.most, render=render, now=now)
        claims = Claims(batches, None).claims
        if claims:
            sql.LEASE.on(connection, [self._lease(claim, worker_id, now=now) for claim in claims])
        return Claims(batches, sql.NEXT_DUE.on(connection, {"name": destination}).scalar())

    def _batches(
        self,
        connection: Connection,
        destination: str,
        carriage: Carriage,
        *,
        most: int,
        render: Render,
        now: datetime,
    ) -> tuple[Batch, ...]:
        """Fill batches with the heads of lanes and their direct followers of the same call."""
        loading = Loading(carriage, most)
        for head in sql.HEADS.on(connection, {"name": destination, "now": now, "most": MOST_AT_ONCE}).all():
            if loading.is_full:
                break
            claim = self._claim_one(connection, head, render, now=now)
            if claim is None or not loading.take(claim):
                continue
            for follower in self._followers(connection, head, most=loading.room(claim), now=now):
                next_claim = self._claim_one(connection, follower, render, now=now)
                if next_claim is None or not loading.join(next_claim, call_of(claim)):
                    break
        return loading.batches

    @staticmethod
    def _followers(connection: Connection, head: Row[Any], *, most: int, now: datetime) -> Iterator[Row[Any]]:
        """Give what may go out right behind the head of a lane: up to the first that waits for something."""
        if most == 0:
            return
        facts = {"name": head.destination, "key": head.order_id, "rank_no": head.rank, "no": head.delivery_no}
        for row in sql.FOLLOWERS.on(connection, {**facts, "most": most}).all():
            if row.state == State.HELD or (row.due_at is not None and row.due_at > now):
                return
            yield row

    def _claim_one(self, connection: Connection, head: Row[Any], render: Render, *, now: datetime) -> Claim | None:
        try:
            owed = self._owed(connection, head)
            body = head.sealed_body and self._sealer.open(head.sealed_body, row=f"deliveries|{head.delivery_id}")
        except KeyFileError:
            self._bury_unreadable(connection, head, now=now)
            return None
        document, unsayable = None, None
        if body is not None:
            document = Document(head.call, body, head.delivery_id)
        else:
            try:
                document = render(head.destination, owed)
            except MappingError as error:
                unsayable = Outcome(OutcomeKind.REFUSED, code="unsayable", text=str(error))
            except BreakageError as error:
                unsayable = error.outcome
        return Claim(
            owed=owed,
            order_id=head.order_id,
            portal=head.portal or head.destination,
            kind=DeliveryKind(head.kind),
            destination=head.destination,
            document=document,
            is_uncertain=head.is_uncertain,
            lease_no=head.lease_no + 1,
            attempts=head.attempts + 1,
            first_tried_at=head.first_tried_at or now,
            maybe_sent=head.maybe_sent,
            unsayable=unsayable,
        )

    @staticmethod
    def _bury_unreadable(connection: Connection, head: Row[Any], *, now: datetime) -> None:
        """Set one aside that does not open, so that it stops its own lane and nothing else."""
        sql.BURY.on(connection, {"did": head.delivery_id, "why_dead": DeadReason.UNREADABLE, "end": now})
        park(connection, Lane(head.order_id, head.destination), reason=DeadReason.UNREADABLE, now=now)

    def _lease(self, claim: Claim, worker_id: str, *, now: datetime) -> dict[str, Any]:
        delivery_id, document = claim.delivery_id, claim.document
        return {
            "did": delivery_id,
            "worker": worker_id,
            "now": now,
            "call_name": document and document.call,
            "body": document and self._sealer.seal(document.body, row=f"deliveries|{delivery_id}"),
        }

    def _owed(self, connection: Connection, head: Row[Any]) -> Owed | OwedRefusal:
        if head.kind == DeliveryKind.REFUSE:
            return self._owed_refusal(connection, head)
        order = open_order(self._sealer, head.order_id, head.sealed_order)
        if head.kind == DeliveryKind.AMEND:
            order = order.model_copy(update={"recipient": self._amended_recipient(head)})
        return Owed(
            delivery_id=head.delivery_id,
            kind=DeliveryKind(head.kind),
            order=order,
            created_at=head.created_at,
            update=self._proven(head, self._update(head, head.order_id, (head.waybill_no, head.return_waybill_no))),
            settled=self._settled_before(connection, head) if head.is_uncertain else (),
            history=self._history(connection, head),
        )

    def _proven(self, head: Row[Any], update: Update | None) -> Update | None:
        """Give an update its evidence, where the destination is the one that takes it."""
        if update is None or not self._carriage.get(head.destination, ALONE).takes_proof:
            return update
        return replace(update, event=self._proofs.load(update.event))

    def _history(self, connection: Connection, head: Row[Any]) -> tuple[Event, ...]:
        if head.event_no is None or not self._carriage.get(head.destination, ALONE).needs_history:
            return ()
        rows = sql.HISTORY.on(connection, {"key": head.order_id, "no": head.event_no})
        return tuple(open_event(self._sealer, row.source, row.event_id, row.sealed) for row in rows)

    def _owed_refusal(self, connection: Connection, head: Row[Any]) -> OwedRefusal:
        refused = sql.REFUSED.on(connection, {"rid": head.order_id}).one()
        content = open_refused(self._sealer, head.order_id, refused.sealed)
        return OwedRefusal(head.delivery_id, refused.portal_ref, refused.reason, head.created_at, content)

    def _amended_recipient(self, head: Row[Any]) -> Party:
        row = f"commands|{head.order_id}|{head.command_id}"
        return Party.model_validate_json(self._sealer.open(head.sealed_command, row=row))

    def _update(self, row: Row[Any], order_id: str, numbers: tuple[str | None, str | None]) -> Update | None:
        if row.sealed_event is None:
            return None
        return Update(
            order_id=order_id,
            event=open_event(self._sealer, row.event_source, row.event_id, row.sealed_event),
            status=Status(row.told_status),
            leg=row.leg,
            waybill_no=numbers[row.leg - 1],
            corrects=row.corrects,
        )

    def _settled_before(self, connection: Connection, head: Row[Any]) -> tuple[Update, ...]:
        numbers = (head.waybill_no, head.return_waybill_no)
        rows = sql.SETTLED_BEFORE.on(connection, {"key": head.order_id, "name": head.destination}).all()
        updates = (self._update(row, head.order_id, numbers) for row in rows)
        return tuple(update for update in updates if update is not None)

    def settle(
        self,
        connection: Connection,
        settlement: Settlement,
        *,
        worker_id: str,
        pause_base_s: float,
        pause_cap_s: float,
        breakages_to_pause: int,
        now: datetime,
    ) -> Settled:
        """End an attempt."""
        claim = settlement.claim
        delivery_id = claim.delivery_id
        self._note_attempt(connection, settlement, worker_id, now=now)
        paused_until, opened = None, False
        if settlement.is_breakage or settlement.is_lockout:
            paused_until = broke(
                connection,
                claim.destination,
                reason=settlement.outcome.kind,
                to_pause=1 if settlement.is_lockout else breakages_to_pause,
                base_s=pause_base_s,
                cap_s=pause_cap_s,
                now=now,
            )
        elif settlement.is_answer:
            opened = answered(connection, claim.destination)
        holder = sql.HOLDER.on(connection, {"did": delivery_id}).one()
        is_ours = holder.state == State.LEASED and holder.lease_no == claim.lease_no
        is_taken = settlement.outcome.kind is OutcomeKind.TAKEN
        if is_taken:
            self._take_effect(connection, claim, settlement.outcome, now=now)
        if not is_ours and not (is_taken and holder.state in {State.QUEUED, State.DUE, State.LEASED, State.DEAD}):
            return Settled(counts=False, paused_until=paused_until, opened=opened)
        self._end(connection, settlement, was_dead=holder.state == State.DEAD, now=now)
        return Settled(counts=True, paused_until=paused_until, opened=opened)

    def _note_attempt(self, connection: Connection, settlement: Settlement, worker_id: str, *, now: datetime) -> None:
        sql.ATTEMPT.on(
            connection,
            {
                "delivery_id": settlement.claim.delivery_id,
                "worker_id": worker_id,
                "started_at": settlement.started_at,
                "ended_at": now,
                "outcome": settlement.outcome.kind,
                "code": settlement.outcome.code,
            },
        )

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

    def _end(self, connection: Connection, settlement: Settlement, *, was_dead: bool, now: datetime) -> None:
        claim, outcome = settlement.claim, settlement.outcome
        delivery_id, lane = claim.delivery_id, claim.lane
        to = {Next.SETTLE: State.SETTLED, Next.RETRY: State.QUEUED, Next.BURY: State.DEAD}[settlement.next]
        sql.END.on(
            connection,
            {
                "did": delivery_id,
                "to": to,
                "uncertain": settlement.is_uncertain,
                # What surely never left counts as untried: the delivery may still be withdrawn.
                "maybe": claim.maybe_sent or outcome.kind is not OutcomeKind.NOT_SENT,
                "kind_of_outcome": outcome.kind,
                "far_code": outcome.code,
                "far_text": self._sealer.seal(outcome.text.encode(), row=f"texts|{delivery_id}")
                if outcome.text
                else None,
                "why_dead": settlement.dead_reason,
                "again": settlement.due_at,
                "end": None if settlement.next is Next.RETRY else now,
            },
        )
        if settlement.next is Next.BURY and outcome.parks_lane:
            park(connection, lane, reason=settlement.dead_reason or DeadReason.REFUSED, now=now)
        elif was_dead:
            unpark(connection, lane, now=now)
        else:
            promote(connection, lane, now=now)

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
