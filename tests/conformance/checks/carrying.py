"""What only backends do: take orders, number them, and tell what happens to the mail."""

from collections.abc import Iterator
from typing import Any

from govpost.adapters.base import DeliveryKind, Owed
from govpost.schemas import Order, Record, Status, Telling, WireReply
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import UnsupportedFeatureError
from govpost.tests.conformance.bench import NOW, Bench, always, converse
from govpost.tests.conformance.checks.scopes import BACKENDS, REPORTERS, TRACED
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.specimens import full_order, others
from govpost.tests.conformance.stories import Story, begin, round_trip
from govpost.tests.conformance.subject import Finding, Subject

__all__ = [
    "commands_are_carried",
    "events_mean_what_they_say",
    "order_fields_are_said_or_named",
    "round_trip_is_one_order",
    "traces_are_the_events_told",
]

_DELIVERY_ID = "01HGGY4B5R0000000000000CD1"
#: More than there are fields.
_MOST_REFUSALS = 60


@check(Level.SILVER, BACKENDS)
def commands_are_carried(subject: Subject) -> Iterator[str]:
    """Placement, amendment (where the manifest has it) and cancellation are taken; the order would be mailed once."""
    story = begin(Bench(subject))
    for owed in story.owe_all():
        story.tell(owed)
        if story.effects() != 1:
            yield f"after {owed.kind} it would be mailed {story.effects()} times"
    unsayable = [DeliveryKind.UPDATE] + [DeliveryKind.AMEND] * (not subject.manifest.amends)
    for kind in unsayable:
        try:
            story.bench.adapter.render(Owed(_DELIVERY_ID, kind, story.order, NOW))
        except UnsupportedFeatureError:
            continue
        yield f"{kind} is rendered, though the backend takes none"


@check(Level.SILVER, BACKENDS)
def order_fields_are_said_or_named(subject: Subject) -> Iterator[str]:
    """Each field of an order is said, refused by its name, or listed in UNSAID; none is dropped."""
    adapter = Bench(subject).adapter
    order = _sayable(adapter)
    body = _body(adapter, order)
    for path, other in others(order):
        if _is_unsaid(subject, path):
            continue
        try:
            if _body(adapter, other) == body:
                yield f"{path}: said by nothing"
        except UnsupportedFeatureError as error:
            if error.path.removesuffix("[]") != path.removesuffix("[]"):
                yield f"{path}: refused as {error.path}"


def _is_unsaid(subject: Subject, path: str) -> bool:
    return any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in subject.unsaid)


def _body(adapter: Any, order: Order) -> bytes:
    body: bytes = adapter.render(Owed(_DELIVERY_ID, DeliveryKind.PLACE, order, NOW)).body
    return body


def _sayable(adapter: Any) -> Order:
    """Reduce an order that says everything to what the adapter does not refuse by name."""
    document = full_order().model_dump(mode="json", exclude_none=True)
    for _ in range(_MOST_REFUSALS):
        order = Order.model_validate(document)
        try:
            _body(adapter, order)
        except UnsupportedFeatureError as error:
            _forget(document, error.path)
        else:
            return order
    raise Finding("it refuses a field by a name that no field has")


def _forget(document: JsonObject, path: str) -> None:
    """Take a field out, out of every item of a list too."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if not rest or name not in document:
        document.pop(name, None)
        return
    inner = document[name] if head.endswith("[]") else [document[name]]
    for each in inner:
        _forget(each, rest)


@check(Level.GOLD, BACKENDS)
def round_trip_is_one_order(subject: Subject) -> Iterator[str]:
    """A round trip would be mailed once a leg; a number of the way back comes as that."""
    sample = round_trip(subject)
    if sample is None:
        raise Finding("no sample goes there and back")
    story = begin(Bench(subject), sample=sample)
    outcome = story.tell(story.command(DeliveryKind.PLACE)).outcome
    if story.effects() != 1:
        yield f"it would be mailed {story.effects()} times"
    if outcome.return_waybill_no is not None and outcome.return_waybill_no == outcome.waybill_no:
        yield "both legs have the same number"


# --- What it tells -----------------------------------------------------------------------------------------------


@check(Level.SILVER, REPORTERS)
def events_mean_what_they_say(subject: Subject) -> Iterator[str]:
    """Every code of the contract is read as what it means there, and any other as unknown, the code kept."""
    story = _mailed(subject)
    statuses = story.bench.mock.statuses
    if not statuses:
        raise Finding("its mock does not say what its codes mean")
    unheard_of = next(code for code in ("000", "ZZZ", "unheard-of") if code not in statuses)
    for code, status in {**statuses, unheard_of: Status.UNKNOWN}.items():
        event = _told(story, code).event
        if event.status is not status and not (status is None and (event.revokes or event.revokes_code)):
            yield f"{code}: read as {event.status}, and it is {status or 'what takes an event back'}"
        if event.raw_code != code:
            yield f"{code}: the code is not kept"
    for (code, detail), members in story.bench.backend.details.items():
        event = _told(story, code, detail).event
        for name, value in members.items():
            if getattr(event, name) != value:
                yield f"{code}, {detail}: {name} is read as {getattr(event, name)}, and it is {value}"


def _mailed(subject: Subject) -> Story:
    story = begin(Bench(subject))
    story.tell(story.command(DeliveryKind.PLACE))
    return story


def _told(story: Story, code: str, detail: str = "") -> Telling:
    """Let something happen, and give the one thing that the backend tells of it."""
    request = story.bench.backend.tell(story.order.order_id, code, detail)
    if request is None:
        raise Finding("its mock tells nothing, though the manifest says that it calls us")
    command = story.bench.read(request).command
    if not isinstance(command, Record) or len(command.tellings) != 1:
        raise Finding(f"{code}: read as {type(command).__name__}, and not as one event")
    telling = command.tellings[0]
    if telling.order_id not in {None, story.order.order_id} or not (telling.order_id or telling.waybill_no):
        raise Finding(f"{code}: told of no order, or of another")
    return telling


@check(Level.GOLD, TRACED)
def traces_are_the_events_told(subject: Subject) -> Iterator[str]:
    """Asked for an item's traces, it gives the events that were told, under the same numbers; nothing when it can't."""
    story = _mailed(subject)
    codes = [code for code, status in story.bench.mock.statuses.items() if status is not None][:3]
    pushed = [_told(story, code) for code in codes]
    waybill_no = next((telling.waybill_no for telling in pushed if telling.waybill_no), None)
    if waybill_no is None:
        raise Finding("no event names a waybill")
    talk = converse(story.bench.adapter.trace(waybill_no, story.bench.source), story.bench.door)
    traced = talk.result if isinstance(talk.result, tuple) else ()
    if {_mark(telling) for telling in traced} != {_mark(telling) for telling in pushed}:
        yield f"{len(pushed)} events were told, and {len(traced)} or others are traced{story.bench.complaint()}"
    odd = converse(story.bench.adapter.trace(waybill_no, story.bench.source), always(WireReply(200, {}, b"?")))
    if isinstance(odd.result, tuple):
        yield "an answer that cannot be read is called a trace"


def _mark(telling: Telling) -> tuple[str, Status | None]:
    return telling.event.event_id, telling.event.status
