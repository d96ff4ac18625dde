"""Portals that have to be asked: for orders, and for what they believe."""

from collections.abc import Iterator
from typing import Any

from govpost.adapters.base import OwedRefusal, Page, Standing
from govpost.adapters.protocols.shanghai import SHANGHAI
from govpost.schemas import Outcome, OutcomeKind, Place, Refuse, Status, WireReply
from govpost.tests.conformance.bench import NOW, Bench, always, converse
from govpost.tests.conformance.checks.scopes import POLLED, RECONCILED
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.stories import begin
from govpost.tests.conformance.subject import Finding, Subject
from govpost.tests.conformance.variations import (
    GARBAGE,
    Path,
    each_leaf,
    hostile_values,
    leaves,
    name_of,
    with_value,
    without,
)

__all__ = [
    "broken_order_is_refused",
    "hostile_order_spoils_no_page",
    "odd_pages_bring_nothing",
    "polling_again_is_harmless",
    "standings_are_read",
]

_MOST_PAGES = 20
_UNREADABLE = WireReply(200, {}, b"?")


@check(Level.SILVER, POLLED, is_essential=True)
def polling_again_is_harmless(subject: Subject) -> Iterator[str]:
    """Orders are offered until they are taken, the same each time, whatever cursor is asked from; then no more."""
    bench = Bench(subject)
    samples = [subject.samples[0].numbered(number) for number in range(3)]
    for sample in samples:
        bench.portal.hand_over(sample.document)
    first, again = _poll_all(bench), _poll_all(bench)
    if [command.portal_ref for command in map(_named, first)] != [sample.order.portal_ref for sample in samples]:
        yield f"3 orders are offered, and {len(first)} or others are read"
    if first != again:
        yield "the second poll from the beginning reads something else"
    if Status.ACCEPTED in subject.manifest.tells:
        story = begin(bench, 0)
        story.tell(story.update(Status.ACCEPTED))
        if story.order.portal_ref in {command.portal_ref for command in map(_named, _poll_all(bench))}:
            yield "an order that was taken is offered again"


def _poll_all(bench: Bench) -> list[Place | Refuse]:
    """Poll from the beginning until there is nothing more."""
    commands: list[Place | Refuse] = []
    cursor = ""
    for _ in range(_MOST_PAGES):
        page = bench.page(cursor)
        commands += page.commands
        cursor = page.cursor
        if not page.has_more:
            return commands
    raise Finding(f"there is more after {_MOST_PAGES} pages")


def _named(command: Place | Refuse) -> Any:
    return command.order if isinstance(command, Place) else command


@check(Level.SILVER, POLLED)
def broken_order_is_refused(subject: Subject) -> Iterator[str]:
    """A broken order is refused by name and given back; those before and after it on its page are read."""
    path = _needed(subject)
    bench = Bench(subject)
    sound, broken, last = (subject.samples[0].numbered(number) for number in range(3))
    for document in (sound.document, without(broken.document, path), last.document):
        bench.portal.hand_over(document)
    commands = _poll_all(bench)
    if [type(command) for command in commands] != [Place, Refuse, Place]:
        raise Finding(f"read as {', '.join(type(command).__name__ for command in commands)}")
    refused = commands[1]
    if not isinstance(refused, Refuse) or refused.portal_ref != broken.order.portal_ref:
        raise Finding("another order is refused")
    owed = OwedRefusal("01HGGY4B5R0000000000000CD1", refused.portal_ref, refused.reason, NOW, refused.content)
    document = bench.adapter.refuse(owed)
    if document != bench.adapter.refuse(owed):
        yield "the refusal is rendered otherwise the second time"
    outcome = bench.send(document).outcome
    if outcome.kind is not OutcomeKind.TAKEN:
        yield f"the refusal ended as {outcome.kind}{bench.complaint()}"


def _needed(subject: Subject) -> Path:
    """Find a member that an order cannot do without."""
    sample = subject.samples[0]
    for path, value in leaves(sample.document):
        named_after = value == sample.order.portal_ref
        if isinstance(path[-1], str) and not named_after:
            command = Bench(subject).take(without(sample.document, path))
            if isinstance(command, Refuse):
                return path
    raise Finding("no member is needed: every broken order is taken")


@check(Level.SILVER, POLLED, is_essential=True)
def hostile_order_spoils_no_page(subject: Subject) -> Iterator[str]:
    """Whatever an order holds, nothing is raised, and the orders before and after it on its page are read."""
    sound, last = (subject.samples[0].numbered(number) for number in (0, 2))
    for number, (sample, path, _) in enumerate(each_leaf(subject.samples)):
        for value in hostile_values(number):
            document = with_value(sample.numbered(1).document, path, value)
            if Bench(subject).can_hand_over(document):
                read = _read_around(Bench(subject), sound.document, document, last.document)
                if read is None or len(read) != 3 or not isinstance(read[0], Place) or not isinstance(read[2], Place):
                    yield f"{name_of(path)} with {type(value).__name__}: its page is not read"


def _read_around(bench: Bench, *documents: Any) -> list[Place | Refuse] | None:
    """Poll what is offered; None where that raises, whatever it is."""
    for document in documents:
        bench.portal.hand_over(document)
    try:
        return _poll_all(bench)
    except Exception:  # noqa: BLE001 - that none comes is what is asked
        return None


@check(Level.SILVER, POLLED, is_essential=True)
def odd_pages_bring_nothing(subject: Subject) -> Iterator[str]:
    """An answer that cannot be read brings no page, and is not called taken."""
    bench = Bench(subject)
    bench.portal.hand_over(subject.samples[0].document)
    good = bench.poll().replies[-1]
    replies = [WireReply(200, good.headers, body) for body in (*GARBAGE, good.body[: len(good.body) // 2])]
    replies += [WireReply(status, good.headers, good.body) for status in (500, 502, 503)]
    replies += [WireReply(status, {"Content-Type": "text/html"}, b"<h1>?</h1>") for status in (302, 401, 404, 429)]
    for reply in replies:
        result = bench.poll(door=always(reply)).result
        if isinstance(result, Page) or (isinstance(result, Outcome) and result.kind is OutcomeKind.TAKEN):
            yield f"HTTP {reply.status} with {len(reply.body)} odd bytes is called {type(result).__name__}"


@check(Level.GOLD, RECONCILED)
def standings_are_read(subject: Subject) -> Iterator[str]:
    """What the portal believes we hold is read by its own codes; an answer that cannot be read is no belief."""
    story = begin(Bench(subject))
    for owed in story.owe_all():
        story.tell(owed)
    bench = story.bench
    day = NOW.astimezone(SHANGHAI).date()
    standings = converse(bench.adapter.reconcile(day, bench.source), bench.door).result
    if not isinstance(standings, tuple) or story.order.portal_ref not in {each.portal_ref for each in standings}:
        raise Finding(f"the order that it was told of is not among them{bench.complaint()}")
    yield from (f"{each.raw}: read as {each.status}" for each in standings if _is_misread(bench, each))
    odd = converse(bench.adapter.reconcile(day, bench.source), always(_UNREADABLE))
    if isinstance(odd.result, tuple):
        yield "an answer that cannot be read is called a standing"


def _is_misread(bench: Bench, standing: Standing) -> bool:
    return standing.status is not bench.mock.statuses.get(standing.raw, Status.UNKNOWN)
