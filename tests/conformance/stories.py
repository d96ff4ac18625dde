"""Orders on their way: what is owed to a portal or a backend, one thing after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from govpost.adapters.base import DeliveryKind, Document, Owed
from govpost.schemas import (
    Direction,
    Event,
    Leg,
    Office,
    Order,
    OrderContent,
    Outcome,
    OutcomeKind,
    Party,
    Reason,
    ReceivedBy,
    Signer,
    Status,
    Update,
    WireReply,
)
from govpost.tests.conformance.bench import NOW, Bench, Door, Talk
from govpost.tests.conformance.subject import Finding, Sample, Subject

__all__ = [
    "FOREIGN_PHONE",
    "FOREIGN_TEXT",
    "JOURNEYS",
    "WAYBILLS",
    "Moment",
    "Story",
    "at_each_call",
    "begin",
    "round_trip",
    "stranger",
]

#: Mail numbers with their check digits (UPU S10), by leg.
WAYBILLS: dict[Leg, str] = {1: "EA969294768CN", 2: "EB969294768CN"}

#: What a courier may write, and no portal may be told.
FOREIGN_PHONE = "13911112222"
FOREIGN_TEXT = f"投递员赵某某{FOREIGN_PHONE}"

_TO_THE_DOOR = (Status.COLLECTED, Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY)
_NUMBERED = (Status.ACCEPTED, Status.NUMBERED)

#: Ways an item can go; together they come through every status.
JOURNEYS: tuple[tuple[Status, ...], ...] = (
    (*_NUMBERED, *_TO_THE_DOOR, Status.UNDELIVERED, Status.OUT_FOR_DELIVERY, Status.DELIVERED),
    (*_NUMBERED, *_TO_THE_DOOR, Status.UNDELIVERED, Status.RETURNING, Status.RETURNED),
    (*_NUMBERED, Status.COLLECTED, Status.IN_TRANSIT, Status.LOST),
    (Status.ACCEPTED, Status.CANCELLED),
)

#: Number of an order that is never handed over, nor placed.
_STRANGER = 90

#: What can be told before there is a number.
_WITHOUT_NUMBER = frozenset({Status.ACCEPTED, Status.CANCELLED})

_OFFICE = Office(code="40001300", name="巴南区李家沱揽投部", city="重庆市")
_MEMBERS: dict[Status, dict[str, Any]] = {
    Status.UNDELIVERED: {"reason": Reason.UNREACHABLE},
    Status.DELIVERED: {"received_by": ReceivedBy.FAMILY, "signer": Signer(name="钱多多", relation="配偶")},
}


@dataclass(slots=True)
class Story:
    """One order, and what has been told of it so far."""

    bench: Bench
    order: Order
    #: What the far side has taken, oldest first.
    told: list[Owed] = field(default_factory=list)
    _owed: int = 0

    @property
    def settled(self) -> tuple[Update, ...]:
        """The updates that the far side has taken."""
        return tuple(owed.update for owed in self.told if owed.update is not None)

    def update(self, status: Status, *, leg: Leg = 1, corrects: Owed | None = None, **members: Any) -> Owed:
        """Owe the portal an update; it takes `corrects` back where there is one."""
        event = self._event(status, leg, corrects, members)
        can_lack_number = _WITHOUT_NUMBER - self.bench.subject.manifest.needs_waybill
        number = None if status in can_lack_number else WAYBILLS[leg]
        taken_back = None if corrects is None else corrects.delivery_id
        return self._owe(DeliveryKind.UPDATE, Update(self.order.order_id, event, status, leg, number, taken_back))

    def command(self, kind: DeliveryKind) -> Owed:
        """Owe the backend a command; an amendment is for somebody else."""
        owed = self._owe(kind, None)
        if kind is not DeliveryKind.AMEND:
            return owed
        return replace(owed, order=self.order.model_copy(update={"recipient": _other(self.order.recipient)}))

    def owe_all(self, journey: Sequence[Status] = JOURNEYS[0]) -> Iterator[Owed]:
        """Owe one thing after the other: a backend its commands, a portal what it is told of a journey."""
        manifest = self.bench.subject.manifest
        if self.bench.subject.carries:
            amend = (DeliveryKind.AMEND,) if manifest.amends else ()
            yield from map(self.command, (DeliveryKind.PLACE, *amend, DeliveryKind.CANCEL))
        else:
            yield from (self.update(status) for status in journey if status in manifest.tells)

    def tell(self, owed: Owed) -> Talk[Sequence[Outcome]]:
        """Tell it, and expect it to be taken."""
        talk = self.bench.tell(owed)
        outcome = talk.outcome
        if outcome.kind is not OutcomeKind.TAKEN:
            what = f"{owed.kind}{'' if owed.update is None else f' {owed.update.status}'}"
            raise Finding(f"{what} ended as {outcome.kind} {outcome.code!r}{self.bench.complaint()}")
        self.told.append(owed)
        return talk

    def effects(self) -> int:
        """Count what the far side has done for this order: placements, or things that it was told."""
        if self.bench.subject.carries:
            return self.bench.backend.placed().get(self.order.order_id, 0)
        return sum(heard.portal_ref == self.order.portal_ref for heard in self.bench.portal.heard())

    def _owe(self, kind: DeliveryKind, update: Update | None) -> Owed:
        self._owed += 1
        delivery_id = f"{self.order.order_id[:-4]}{self._owed:04d}"
        return Owed(delivery_id, kind, self.order, NOW, update, self.settled, self._history(update))

    def _history(self, update: Update | None) -> tuple[Event, ...]:
        """Give what moved the order before and was not taken back, and the update's event: where that is asked for."""
        if update is None or not self.bench.subject.manifest.needs_history:
            return ()
        events = [*(settled.event for settled in self.settled), update.event]
        revoked = {event.revokes for event in events}
        return tuple(event for event in events if event.event_id not in revoked and event.revokes is None)

    def _event(self, status: Status, leg: Leg, corrects: Owed | None, members: dict[str, Any]) -> Event:
        facts: dict[str, Any] = {"event_id": f"event-{self._owed + 1}", "leg": leg, "office": _OFFICE}
        facts["occurred_at"] = NOW - timedelta(hours=5) + timedelta(minutes=self._owed)
        if corrects is not None and corrects.update is not None:
            facts["revokes"] = corrects.update.event.event_id
        else:
            facts |= {"status": status, **_MEMBERS.get(status, {})}
        return Event(**{**facts, **members})


def begin(bench: Bench, number: int = 0, *, sample: Sample | None = None) -> Story:
    """Begin the story of an order that the gateway has taken."""
    chosen = (sample or _first(bench)).numbered(number)
    if bench.subject.hands_over:
        bench.portal.hand_over(chosen.document)
        if bench.subject.is_polled:
            bench.page()
    return Story(bench, _order(chosen.order, bench.subject, number))


def stranger(bench: Bench) -> Story:
    """Begin the story of an order that the far side knows nothing of."""
    return Story(bench, _order(_first(bench).numbered(_STRANGER).order, bench.subject, _STRANGER))


def _first(bench: Bench) -> Sample:
    if not bench.subject.samples:
        raise Finding("it has no samples")
    return bench.subject.samples[0]


def round_trip(subject: Subject) -> Sample | None:
    """Find a sample that goes there and back."""
    return next((each for each in subject.samples if each.order.direction is Direction.ROUND_TRIP), None)


@dataclass(frozen=True, slots=True)
class Moment:
    """A story just before something is told over a call of the wire."""

    story: Story
    owed: Owed
    #: Rendered once, as the ledger keeps it.
    document: Document
    #: The far side's yes, had it been told.
    good: WireReply
    #: How many requests that took.
    steps: int
    #: What it is about; None for the first sample.
    sample: Sample | None = None

    @property
    def bench(self) -> Bench:
        """Where it happens."""
        return self.story.bench

    def send(self, *, door: Door | None = None) -> Talk[Sequence[Outcome]]:
        """Send it."""
        return self.bench.send(self.document, door=door)

    @property
    def what(self) -> str:
        """What is owed, for a finding."""
        return self.owed.kind if self.owed.update is None else f"{self.owed.kind} {self.owed.update.status}"

    @property
    def is_counted(self) -> bool:
        """Whether `effects` counts it: a placement or an update, and not what changes or takes back one."""
        return self.owed.kind in {DeliveryKind.PLACE, DeliveryKind.UPDATE}

    def each_loss(self, kind: str) -> Iterator["Moment"]:
        """Let one request of the telling go wrong, each in its turn, and each time on a bench of its own."""
        for step in range(1, self.steps + 1):
            moment = replace(self, story=_relived(self.bench.subject, len(self.story.told), self.sample)[0])
            requests = count(1)
            moment.bench.mock.plan.next(kind, when=partial(_is_number, requests, step))
            yield moment


def _is_number(requests: "count[int]", number: int, _: object) -> bool:
    return next(requests) == number


def at_each_call(subject: Subject, sample: Sample | None = None) -> Iterator[Moment]:
    """Come to each call of the wire once, on a bench of its own, with what is next to be told over it."""
    scout = begin(Bench(subject), sample=sample)
    calls: list[str] = []
    for owed in scout.owe_all():
        call = scout.bench.adapter.render(owed).call
        talk = scout.tell(owed)
        if call not in calls:
            calls.append(call)
            story, same = _relived(subject, len(scout.told) - 1, sample)
            document = story.bench.adapter.render(same)
            yield Moment(story, same, document, talk.replies[-1], len(talk.requests), sample)


def _relived(subject: Subject, tellings: int, sample: Sample | None) -> tuple[Story, Owed]:
    """Begin anew, tell as many things, and give what is owed next."""
    story = begin(Bench(subject), sample=sample)
    for owed in story.owe_all():
        if len(story.told) == tellings:
            return story, owed
        story.tell(owed)
    raise Finding("what is owed differs from one time to the next")


def _order(content: OrderContent, subject: Subject, number: int) -> Order:
    facts = {name: getattr(content, name) for name in OrderContent.model_fields}
    portal = content.portal if isinstance(content, Order) else subject.key
    return Order(**facts, order_id=f"01HGGY4B5R{number:012d}0000", portal=portal, accepted_at=NOW)


def _other(party: Party) -> Party:
    return party.model_copy(update={"name": "邓小满", "phone": "13622223333"})
