"""Claim what is due: lease the heads of lanes to a worker, and render what was never rendered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row

from govpost.adapters.base import DeliveryKind, Document, Owed, OwedRefusal
from govpost.gateway.ledger import _outbox_sql as sql
from govpost.gateway.ledger._rows import Lane, open_event, open_order, park
from govpost.gateway.ledger.claims import Batch, Carriage, Claim, Claims, DeadReason
from govpost.gateway.ledger.destinations import allowance
from govpost.gateway.ledger.loading import MOST_AT_ONCE, Loading, call_of
from govpost.gateway.ledger.proofs import Proofs
from govpost.gateway.ledger.refusals import open_refused
from govpost.gateway.ledger.sealing import Sealer
from govpost.gateway.ledger.tables import State
from govpost.schemas import Event, Order, Outcome, OutcomeKind, Party, Status, Update
from govpost.schemas.errors import BreakageError, KeyFileError, MappingError

__all__ = ["Claiming", "Render"]

Render = Callable[[str, Owed | OwedRefusal], Document]


@dataclass(frozen=True, slots=True)
class Claiming:
    """One claim, inside its unit of the writer."""

    connection: Connection
    sealer: Sealer
    proofs: Proofs
    destination: str
    carriage: Carriage
    render: Render
    now: datetime

    def lease(self, worker_id: str, *, most: int) -> Claims:
        """Lease up to `most` batches of due deliveries to a worker."""
        allowed = allowance(self.connection, self.destination, most, now=self.now)
        if allowed.most == 0:
            return Claims(next_due_at=allowed.again_at)
        travels_alone = allowed.is_trial or not self.carriage.batches
        batches = tuple(self._singles(allowed.most)) if travels_alone else self._batches(allowed.most)
        claims = Claims(batches, None).claims
        if claims:
            sql.LEASE.on(self.connection, [self._lease(claim, worker_id) for claim in claims])
        return Claims(batches, sql.NEXT_DUE.on(self.connection, {"name": self.destination}).scalar())

    def _lease(self, claim: Claim, worker_id: str) -> dict[str, Any]:
        delivery_id, document = claim.delivery_id, claim.document
        return {
            "did": delivery_id,
            "worker": worker_id,
            "now": self.now,
            "call_name": document and document.call,
            "body": document and self.sealer.seal(document.body, row=f"deliveries|{delivery_id}"),
        }

    # Which ones.

    def _singles(self, most: int) -> Iterator[Batch]:
        for head in self._heads(most):
            claim = self._claim(head, _Subject(head))
            if claim is not None:
                yield (claim,)

    def _batches(self, most: int) -> tuple[Batch, ...]:
        """Fill batches with the heads of lanes and their direct followers of the same call."""
        loading = Loading(self.carriage, most)
        for head in self._heads(MOST_AT_ONCE):
            if loading.is_full:
                break
            subject = _Subject(head)
            claim = self._claim(head, subject)
            if claim is None or not loading.take(claim):
                continue
            for follower in self._followers(head, most=loading.room(claim)):
                next_claim = self._claim(follower, subject)
                if next_claim is None or not loading.join(next_claim, call_of(claim)):
                    break
        return loading.batches

    def _heads(self, most: int) -> Iterator[Row[Any]]:
        return sql.HEADS.stream(self.connection, {"name": self.destination, "now": self.now, "most": most})

    def _followers(self, head: Row[Any], *, most: int) -> Iterator[Row[Any]]:
        """Give what may go out right behind the head of a lane: up to the first that waits for something."""
        if most == 0:
            return
        facts = {"name": self.destination, "key": head.order_id, "rank_no": head.rank, "no": head.delivery_no}
        for row in sql.FOLLOWERS.stream(self.connection, {**facts, "most": most}):
            if row.state == State.HELD or (row.due_at is not None and row.due_at > self.now):
                return
            yield row

    # One of them.

    def _claim(self, row: Row[Any], subject: "_Subject") -> Claim | None:
        """Make the claim of a delivery; None for one whose content does not open, which is set aside."""
        try:
            owed = self._owed(row, subject)
            body = row.sealed_body and self.sealer.open(row.sealed_body, row=f"deliveries|{row.delivery_id}")
        except (KeyFileError, ValidationError):
            self._bury_unreadable(row)
            return None
        document, unsayable = None, None
        if body is not None:
            document = Document(row.call, body, row.delivery_id)
        else:
            try:
                document = self.render(self.destination, owed)
            except MappingError as error:
                unsayable = Outcome(OutcomeKind.REFUSED, code="unsayable", text=str(error))
            except BreakageError as error:
                unsayable = error.outcome
        return Claim(
            owed=owed,
            order_id=row.order_id,
            portal=subject.head.portal or self.destination,
            kind=DeliveryKind(row.kind),
            destination=self.destination,
            document=document,
            is_uncertain=row.is_uncertain,
            lease_no=row.lease_no + 1,
            attempts=row.attempts + 1,
            first_tried_at=row.first_tried_at or self.now,
            maybe_sent=row.maybe_sent,
            unsayable=unsayable,
        )

    def _bury_unreadable(self, row: Row[Any]) -> None:
        """Set one aside that does not open, so that it stops its own lane and nothing else."""
        reason = DeadReason.UNREADABLE
        sql.BURY.on(self.connection, {"did": row.delivery_id, "why_dead": reason, "end": self.now})
        park(self.connection, Lane(row.order_id, self.destination), reason=reason, now=self.now)

    def _owed(self, row: Row[Any], subject: "_Subject") -> Owed | OwedRefusal:
        if row.kind == DeliveryKind.REFUSE:
            return self._owed_refusal(row)
        order = self._order(subject)
        if row.kind == DeliveryKind.AMEND:
            order = order.model_copy(update={"recipient": self._amended_recipient(row)})
        return Owed(
            delivery_id=row.delivery_id,
            kind=DeliveryKind(row.kind),
            order=order,
            created_at=row.created_at,
            update=self._proven(self._update(row, subject)),
            settled=self._settled_before(subject) if row.is_uncertain else (),
            history=self._history(row) if self.carriage.needs_history else (),
        )

    def _order(self, subject: "_Subject") -> Order:
        if subject.order is None:
            subject.order = open_order(self.sealer, subject.head.order_id, subject.head.sealed_order)
        return subject.order

    def _proven(self, update: Update | None) -> Update | None:
        """Give an update its evidence, where the destination is one that takes it."""
        if update is None or not self.carriage.takes_proof:
            return update
        return replace(update, event=self.proofs.load(update.event))

    def _history(self, row: Row[Any]) -> tuple[Event, ...]:
        if row.event_no is None:
            return ()
        rows = sql.HISTORY.on(self.connection, {"key": row.order_id, "no": row.event_no})
        return tuple(open_event(self.sealer, each.source, each.event_id, each.sealed) for each in rows)

    def _owed_refusal(self, row: Row[Any]) -> OwedRefusal:
        refused = sql.REFUSED.on(self.connection, {"rid": row.order_id}).one()
        content = open_refused(self.sealer, row.order_id, refused.sealed)
        return OwedRefusal(row.delivery_id, refused.portal_ref, refused.reason, row.created_at, content)

    def _amended_recipient(self, row: Row[Any]) -> Party:
        sealed_in = f"commands|{row.order_id}|{row.command_id}"
        return Party.model_validate_json(self.sealer.open(row.sealed_command, row=sealed_in))

    def _update(self, row: Row[Any], subject: "_Subject") -> Update | None:
        if row.sealed_event is None:
            return None
        head = subject.head
        return Update(
            order_id=head.order_id,
            event=open_event(self.sealer, row.event_source, row.event_id, row.sealed_event),
            status=Status(row.told_status),
            leg=row.leg,
            waybill_no=head.waybill_no if row.leg == 1 else head.return_waybill_no,
            corrects=row.corrects,
        )

    def _settled_before(self, subject: "_Subject") -> tuple[Update, ...]:
        rows = sql.SETTLED_BEFORE.on(self.connection, {"key": subject.head.order_id, "name": self.destination})
        updates = (self._update(row, subject) for row in rows)
        return tuple(update for update in updates if update is not None)


@dataclass(slots=True)
class _Subject:
    """What the deliveries of a lane are about: its head's row, and the order once it is opened."""

    head: Row[Any]
    order: Order | None = None
