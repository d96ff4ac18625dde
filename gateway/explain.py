"""Explain an order in words: where it is, what is owed to whom, why it waits, what happens next and when."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from govpost.adapters.base import Adapter, Explains
from govpost.gateway.ledger import Ledger
from govpost.gateway.ledger.reads import DeliveryRow, DestinationRow, EventRow, LaneRow
from govpost.gateway.ledger.tables import OPEN_STATES, State
from govpost.gateway.settings import RelaySettings
from govpost.schemas import Notice, Order, Status
from govpost.schemas._model import Model
from govpost.schemas.lifecycle import MOVES, SETTLE_PERIOD

__all__ = ["ExplainedDelivery", "ExplainedEvent", "Explanation", "explain"]


class ExplainedEvent(Model):
    """An event, without what it says of people."""

    event_id: str
    source: str
    status: Status | None
    leg: int
    occurred_at: datetime
    recorded_at: datetime
    moved: bool
    revoked_by: str | None
    #: The evidence that came with it: kind, type, size.
    proof: tuple[str, ...]


class ExplainedDelivery(Model):
    """Something owed, and what is known of it."""

    delivery_id: str
    destination: str
    what: str
    state: str
    attempts: int
    last_outcome: str | None
    why: str
    next_at: datetime | None


class Explanation(Model):
    """Everything a person needs to know of an order; no personal data."""

    order_id: str
    portal: str
    portal_ref: str
    backend: str
    status: Status
    legs: dict[int, Status]
    waybill_nos: dict[int, str]
    accepted_at: datetime
    open_for_revoke_until: datetime | None
    events: tuple[ExplainedEvent, ...]
    owed: tuple[ExplainedDelivery, ...]
    done: tuple[ExplainedDelivery, ...]
    notices: tuple[str, ...]
    #: What the portal's own rules make of it, in the portal's language.
    rules: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Say it in plain words, one fact a line."""
        attention = (f"attention: {notice}" for notice in self.notices)
        return [*self._head(), *self._history(), *self.rules, *self._waiting(), *attention]

    def _head(self) -> Iterator[str]:
        yield f"order {self.order_id}  ({self.portal} {self.portal_ref})"
        yield f"status {self.status}, accepted {_time(self.accepted_at)}, carried by {self.backend}"
        for leg, number in sorted(self.waybill_nos.items()):
            yield f"waybill {number}" + (f" (leg {leg})" if len(self.legs) > 1 else "")
        if self.open_for_revoke_until is not None:
            yield f"finished; a revoke is expected, if at all, until {_time(self.open_for_revoke_until)}"

    def _history(self) -> Iterator[str]:
        for event in self.events:
            facts = [] if event.moved else ["did not move the order, not told"]
            facts += [f"taken back by {event.revoked_by}"] if event.revoked_by else []
            facts += [f"proof: {', '.join(event.proof)}"] if event.proof else []
            note = f"  ({'; '.join(facts)})" if facts else ""
            yield f"  {_time(event.occurred_at)}  {event.status or 'revoke'}  from {event.source}{note}"

    def _waiting(self) -> Iterator[str]:
        if not self.owed:
            yield "nothing is owed to anybody"
        for delivery in self.owed:
            yield f"owed to {delivery.destination}: {delivery.what} — {delivery.why}"


def explain(
    ledger: Ledger, order_id: str, *, adapters: Mapping[str, Adapter], settings: RelaySettings, now: datetime
) -> Explanation:
    """Gather what the ledger knows of an order, and what its portal's adapter makes of that; raises UnknownOrderError.

    `adapters` are those of the portals, by name; that of an order whose portal is gone has nothing to say.
    """
    record = ledger.read_order(order_id)
    row, events = record.row, ledger.read_events(order_id)
    deliveries = ledger.read_deliveries(order_id)
    destinations = {name: ledger.destination(name) for name in {delivery.destination for delivery in deliveries}}
    lanes = {lane.destination: lane for lane in ledger.lanes(order_id)}
    explained = [
        (
            delivery,
            _explain_delivery(delivery, destinations[delivery.destination], lanes.get(delivery.destination), settings),
        )
        for delivery in deliveries
    ]
    is_finished = not MOVES[row.status]
    until = row.updated_at + SETTLE_PERIOD
    return Explanation(
        order_id=row.order_id,
        portal=row.portal,
        portal_ref=row.portal_ref,
        backend=row.backend,
        status=row.status,
        legs=row.legs,
        waybill_nos=row.waybill_nos,
        accepted_at=row.accepted_at,
        open_for_revoke_until=until if is_finished and until > now else None,
        events=tuple(
            ExplainedEvent(
                event_id=each.event.event_id,
                source=each.source,
                status=each.event.status,
                leg=each.event.leg,
                occurred_at=each.event.occurred_at,
                recorded_at=each.recorded_at,
                moved=each.moved,
                revoked_by=each.revoked_by,
                proof=tuple(
                    f"{proof.kind.value} ({proof.media_type}, {proof.size} bytes)" for proof in each.event.kept_proof
                ),
            )
            for each in events
        ),
        owed=tuple(each for delivery, each in explained if _is_owed(delivery)),
        done=tuple(each for delivery, each in explained if not _is_owed(delivery)),
        notices=tuple(_NOTICES.get(notice.kind, notice.kind) for notice in ledger.read_notices(order_id)),
        rules=tuple(_rules(adapters.get(row.portal), record.order, events)),
    )


def _rules(adapter: object, order: Order, events: Iterable[EventRow]) -> list[str]:
    """Ask an adapter that has something to say."""
    if not isinstance(adapter, Explains):
        return []
    moved = [row.event for row in events if row.moved and row.revoked_by is None and row.event.status is not None]
    return adapter.explain(order, moved)


_NOTICES: Mapping[str, str] = {
    Notice.WAYBILL_DIFFERS: "a second, different waybill number came; the first stays. Ask the backend which is right",
    Notice.SEVERAL_PIECES: "it travels in several pieces; only what happens to the first is told to the portal",
    Notice.PICKUP_REFUSED: "the backend has it, but sends nobody to collect it; arrange the collection by hand",
    Notice.CONTENT_CHANGED: "the portal handed it over again with other content, too late; the first one stays. Ask it",
    Notice.SERVICE_INVALID: "delivered in a way that is no service, and so told to the portal; if the backend takes "
    "the delivery back and delivers again, the portal hears of it",
    Notice.SERVICE_UNPROVEN: "delivered, but who signed, or by which document, was not told, so no receipt went out; "
    "ask the backend to take the delivery back and to tell it again with name and ID number",
    Notice.RECEIPT_IN_DOUBT: "a receipt of service went out that a person should look at: see what the rules say of "
    "it, and what was taken back since",
}

_OPEN = frozenset(state.value for state in (*OPEN_STATES, State.DEAD))


def _is_owed(delivery: DeliveryRow) -> bool:
    return delivery.state in _OPEN


def _explain_delivery(
    delivery: DeliveryRow, destination: DestinationRow, lane: LaneRow | None, settings: RelaySettings
) -> ExplainedDelivery:
    return ExplainedDelivery(
        delivery_id=delivery.delivery_id,
        destination=delivery.destination,
        what=_what(delivery),
        state=delivery.state,
        attempts=delivery.attempts,
        last_outcome=" ".join(part for part in (delivery.outcome, delivery.code) if part) or None,
        why=_why(delivery, destination, lane, settings),
        next_at=_next_at(delivery, destination),
    )


def _what(delivery: DeliveryRow) -> str:
    if delivery.kind != "update":
        return delivery.kind
    correction = "correction: back to " if delivery.corrects else ""
    return f"{correction}{delivery.told_status}" + (f" (leg {delivery.leg})" if delivery.leg != 1 else "")


def _next_at(delivery: DeliveryRow, destination: DestinationRow) -> datetime | None:
    if delivery.state != State.DUE or destination.state == "paused":
        return None
    return max(filter(None, (delivery.due_at, destination.until_at)), default=None)


def _why(delivery: DeliveryRow, destination: DestinationRow, lane: LaneRow | None, settings: RelaySettings) -> str:
    match State(delivery.state):
        case State.DEAD:
            return (
                f"given up ({delivery.dead_reason}, {delivery.code or 'no code'}) after {delivery.attempts} attempts; "
                f"govpost dead replay {delivery.delivery_id}, or dead drop"
            )
        case State.LEASED:
            return f"being sent now, attempt {delivery.attempts}"
        case State.HELD:
            return "waits for the waybill number"
        case State.QUEUED if lane is not None:
            return f"its lane is {lane.state} ({lane.reason}); see: govpost lanes list"
        case State.QUEUED:
            return "waits for the one before it"
        case State.DUE:
            return _why_due(delivery, destination, settings)
        case state:
            return f"{state}, {delivery.outcome or 'never tried'}"


def _why_due(delivery: DeliveryRow, destination: DestinationRow, settings: RelaySettings) -> str:
    if destination.state == "paused":
        name = destination.destination
        return f"{name} is paused ({destination.reason}); govpost destinations resume {name}"
    if destination.state == "broken":
        until = _time(destination.until_at)
        return f"{destination.destination} does not answer ({destination.reason}); tried again at {until}"
    if delivery.attempts == 0:
        return "goes out now"
    first = "asked after, or sent again," if delivery.is_uncertain else "tried again"
    gives_up = timedelta(seconds=settings.give_up_after_s).days
    return (
        f"attempt {delivery.attempts} ended {delivery.outcome} ({delivery.code or 'no code'}); "
        f"{first} at {_time(delivery.due_at)}, given up after {gives_up} days"
    )


def _time(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ") if at is not None else "a time unknown"
