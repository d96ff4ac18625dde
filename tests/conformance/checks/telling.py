"""What goes out: to portals what happened, to backends orders. Told once, told right, and never taken for granted."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

from govpost.adapters.base import DeliveryKind, Owed
from govpost.mocks.base import Heard
from govpost.schemas import OutcomeKind, Presence, Reason, Status, WireReply
from govpost.tests.conformance.bench import Bench, always
from govpost.tests.conformance.checks.scopes import (
    CORRECTED,
    OUTBOUND,
    PROBED,
    PROBED_PORTALS,
    RESOLVED,
    TOLD,
    TWO_LEGS,
    UNDELIVERED,
)
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.stories import (
    FOREIGN_PHONE,
    FOREIGN_TEXT,
    JOURNEYS,
    WAYBILLS,
    Moment,
    Story,
    at_each_call,
    begin,
    round_trip,
    stranger,
)
from govpost.tests.conformance.subject import Finding, Subject
from govpost.tests.conformance.variations import GARBAGE, relabelled, retold

__all__ = [
    "busy_waits_as_asked",
    "correction_takes_back",
    "foreign_text_stays_here",
    "garbage_is_not_taken",
    "legs_are_told_apart",
    "lost_reply_is_cleared_up",
    "odd_replies_are_not_taken",
    "probe_counts_what_is_settled",
    "probe_does_not_guess",
    "reasons_mean_what_they_say",
    "refusal_is_final",
    "rendering_is_repeatable",
    "repeat_is_the_same",
    "results_mean_what_they_say",
    "server_error_is_unknown",
    "statuses_mean_what_they_say",
    "unknown_codes_are_not_taken",
    "unknown_is_not_resent",
]

#: As far as the door, before it opens or does not.
_TO_THE_DOOR = JOURNEYS[0][:5]

_WAIT_S = 120.0
_RETRY_AFTER_S = 600.0

_MAYBE = frozenset({OutcomeKind.UNKNOWN, OutcomeKind.BUSY})
_NOT_TAKEN = frozenset(OutcomeKind) - {OutcomeKind.TAKEN}

_SERVER_ERRORS = (500, 502, 503, 504)
_ODD_STATUSES = (301, 302, 400, 401, 403, 404, 405, 410, 418, 429)
_HTML = {"Content-Type": "text/html"}
_PAGE = b"<h1>something else</h1>"
_ODD_WORDS: tuple[Any, ...] = ("unheard-of", None, -7, {})


# --- What is told ------------------------------------------------------------------------------------------------


@check(Level.SILVER, TOLD)
def statuses_mean_what_they_say(subject: Subject) -> Iterator[str]:
    """Every status of the manifest is told once, of that order and waybill, in the contract's code for it.

    The mock's `statuses` say what the codes mean.
    """
    told = set()
    for journey in JOURNEYS:
        story = begin(Bench(subject))
        for owed in story.owe_all(journey):
            heard = _hear(story, owed)
            told.add(owed.update and owed.update.status)
            yield from _misheard(story, owed, heard)
    yield from (f"{status}: never told" for status in subject.manifest.tells - told)


def _hear(story: Story, owed: Owed) -> Heard:
    """Tell something, and give what the portal heard of it."""
    portal = story.bench.portal
    before = len(portal.heard())
    story.tell(owed)
    heard = portal.heard()[before:]
    if len(heard) != 1:
        raise Finding(f"{owed.update and owed.update.status}: the portal heard {len(heard)} things")
    return heard[0]


def _misheard(story: Story, owed: Owed, heard: Heard) -> Iterator[str]:
    update = owed.update
    if update is None:
        return
    meaning = story.bench.portal.statuses.get(heard.status, Status.UNKNOWN)
    if meaning is not update.status:
        yield f"{update.status}: told as {heard.status}, which means {meaning}"
    if heard.portal_ref != story.order.portal_ref:
        yield f"{update.status}: told of another order"
    if update.status in story.bench.subject.manifest.needs_waybill and heard.waybill_no != update.waybill_no:
        yield f"{update.status}: told of another waybill"


@check(Level.GOLD, UNDELIVERED)
def reasons_mean_what_they_say(subject: Subject) -> Iterator[str]:
    """Every reason why an item could not be delivered is told in the contract's code for it, and with nothing else.

    The mock's `reasons` say what the codes mean; nothing is asked of a portal that has none.
    """
    meanings = Bench(subject).portal.reasons
    for reason in Reason if meanings else ():
        story = begin(Bench(subject))
        for owed in story.owe_all(_TO_THE_DOOR):
            story.tell(owed)
        heard = _hear(story, story.update(Status.UNDELIVERED, reason=reason))
        if meanings.get(heard.reason) is not reason:
            yield f"{reason}: told as {heard.reason or 'nothing'}, which means {meanings.get(heard.reason)}"
        if _hear(story, story.update(Status.OUT_FOR_DELIVERY, reason=reason)).reason:
            yield f"{reason}: told with out_for_delivery too"


@check(Level.SILVER, OUTBOUND)
def rendering_is_repeatable(subject: Subject) -> Iterator[str]:
    """What is owed is rendered to the same bytes again, by another instance and later too."""
    other = Bench(subject).adapter
    for moment in at_each_call(subject):
        adapter, owed, first = moment.bench.adapter, moment.owed, moment.document
        moment.bench.wait(_RETRY_AFTER_S)
        if not first == adapter.render(owed) == other.render(owed) == adapter.render(replace(owed, settled=())):
            yield f"{first.call}: rendered otherwise the second time"


@check(Level.SILVER, OUTBOUND, is_essential=True)
def repeat_is_the_same(subject: Subject) -> Iterator[str]:
    """Sent again later, a delivery has the identity and the body that it had: the far side does it once."""
    for moment in at_each_call(subject):
        first = moment.send().outcome
        effects = moment.story.effects()
        moment.bench.wait(_RETRY_AFTER_S)
        second = moment.send().outcome
        if not first.kind == second.kind == OutcomeKind.TAKEN:
            yield f"{moment.what}: it ended as {first.kind}, its repeat as {second.kind}{moment.bench.complaint()}"
        if moment.story.effects() != effects:
            yield f"{moment.what}: the far side did it again"


@check(Level.SILVER, TOLD, is_essential=True)
def foreign_text_stays_here(subject: Subject) -> Iterator[str]:
    """What a courier wrote, and an office whose name holds a phone number, is never told."""
    for journey in JOURNEYS:
        story = begin(Bench(subject))
        for owed, phone in zip(story.owe_all(journey), cycle(_WRITTEN_PHONES), strict=False):
            foreign = _with_foreign_text(owed, phone)
            heard = _hear(story, foreign)
            said = f"{heard.body!r}{story.bench.adapter.render(foreign).body.decode(errors='replace')}"
            if phone in said or FOREIGN_TEXT in said:
                yield f"{owed.update and owed.update.status}: a courier's words are told"


#: A courier's phone as people write it.
_WRITTEN_PHONES = (
    FOREIGN_PHONE,
    f"{FOREIGN_PHONE[:3]}-{FOREIGN_PHONE[3:7]}-{FOREIGN_PHONE[7:]}",
    f"{FOREIGN_PHONE[:3]} {FOREIGN_PHONE[3:7]} {FOREIGN_PHONE[7:]}",
)


def _with_foreign_text(owed: Owed, phone: str) -> Owed:
    if owed.update is None or owed.update.event.office is None:
        raise Finding("there is no update to tell")
    office = owed.update.event.office.model_copy(update={"name": f"揽投部{phone}"})
    event = owed.update.event.model_copy(update={"note": FOREIGN_TEXT, "office": office})
    return replace(owed, update=replace(owed.update, event=event))


@check(Level.GOLD, CORRECTED)
def correction_takes_back(subject: Subject) -> Iterator[str]:
    """A delivery that is taken back is told as no delivery any more, and what comes after it is taken again."""
    story = begin(Bench(subject))
    for owed in story.owe_all():
        story.tell(owed)
    delivered = story.told[-1]
    correction = story.update(Status.OUT_FOR_DELIVERY, corrects=delivered)
    heard = _hear(story, correction)
    meaning = story.bench.portal.statuses.get(heard.status)
    if meaning not in {Status.OUT_FOR_DELIVERY, None}:
        yield f"told as {heard.status}, which means {meaning}"
    signer = delivered.update and delivered.update.event.signer
    if signer and signer.name in repr(heard.body):
        yield "who signed is still told"
    for status in (Status.UNDELIVERED, Status.OUT_FOR_DELIVERY, Status.DELIVERED):
        if status in subject.manifest.tells:
            yield from _misheard(story, again := story.update(status), _hear(story, again))


@check(Level.GOLD, TWO_LEGS)
def legs_are_told_apart(subject: Subject) -> Iterator[str]:
    """On a round trip each leg is told under its own waybill number."""
    story = begin(Bench(subject), sample=round_trip(subject))
    if Status.ACCEPTED in subject.manifest.tells:
        story.tell(story.update(Status.ACCEPTED))
    course = [each for each in JOURNEYS[0] if each in subject.manifest.tells and each is not Status.ACCEPTED]
    for leg in WAYBILLS:
        for status in course:
            owed = story.update(status, leg=leg)
            heard = _hear(story, owed)
            yield from (f"leg {leg}: {each}" for each in _misheard(story, owed, heard))
            if heard.leg != leg:
                yield f"leg {leg}: {status} is told of leg {heard.leg}"


# --- Whether it arrived ------------------------------------------------------------------------------------------


@check(Level.SILVER, OUTBOUND, is_essential=True)
def unknown_is_not_resent(subject: Subject) -> Iterator[str]:
    """After a lost reply the adapter does nothing more and calls it unknown: whether to tell again is the relay's."""
    for at in at_each_call(subject):
        for kind in ("hang_after", "hang", "reset"):
            for moment in at.each_loss(kind):
                talk = moment.send()
                # What only prepared the telling (a token) can be lost without a doubt.
                is_last = len(talk.requests) == moment.steps
                allowed = {OutcomeKind.UNKNOWN} if is_last else {OutcomeKind.UNKNOWN, OutcomeKind.NOT_SENT}
                if talk.went_on:
                    yield f"{moment.what} ({kind}): it goes on by itself"
                if talk.outcome.kind not in allowed:
                    yield f"{moment.what} ({kind}): called {talk.outcome.kind}"


@check(Level.SILVER, RESOLVED, is_essential=True)
def lost_reply_is_cleared_up(subject: Subject) -> Iterator[str]:
    """Whatever is lost, and where: asked or told again, as the manifest allows, it is done exactly once."""
    for sample in subject.samples:
        for at in at_each_call(subject, sample):
            for kind in ("hang_after", "hang", "refuse"):
                for moment in at.each_loss(kind):
                    yield from (f"{moment.what} ({kind}): {each}" for each in _clear_up(moment, kind))


def _clear_up(moment: Moment, kind: str) -> Iterator[str]:
    """Lose a request, do what the relay does after that, and count."""
    before = moment.story.effects()
    outcome = moment.send().outcome
    moment.bench.wait(_RETRY_AFTER_S)
    is_done = moment.story.effects() > before if moment.is_counted else kind == "hang_after"
    has_probe = moment.bench.subject.manifest.has_probe
    if outcome.kind is OutcomeKind.NOT_SENT and is_done:
        yield "called not sent, and it has arrived"
    if outcome.kind is not OutcomeKind.NOT_SENT and has_probe:
        presence, expected = moment.bench.probe(moment.owed).presence, _PRESENCE[is_done]
        if presence is not expected:
            yield f"the probe says {presence}, and it is {expected}{moment.bench.complaint()}"
    if not (is_done and has_probe):
        again = moment.send().outcome
        if again.kind is not OutcomeKind.TAKEN:
            yield f"told again, it ended as {again.kind}{moment.bench.complaint()}"
    if moment.story.effects() != before + moment.is_counted:
        yield f"done {moment.story.effects() - before} times"


#: Far enough to be told the same thing twice.
_UNDER_WAY = JOURNEYS[0][:4]
_PRESENCE = {True: Presence.HAS, False: Presence.HAS_NOT}


@check(Level.GOLD, PROBED_PORTALS)
def probe_counts_what_is_settled(subject: Subject) -> Iterator[str]:
    """Where the same thing was told before in the same second, a probe finds the second telling only if it arrived."""
    for kind, expected in (("hang", Presence.HAS_NOT), ("hang_after", Presence.HAS)):
        story = begin(Bench(subject))
        for owed in story.owe_all(_UNDER_WAY):
            story.tell(owed)
        (*_, before) = story.settled
        twin = story.update(Status.IN_TRANSIT, occurred_at=before.event.occurred_at)
        story.bench.mock.plan.next(kind)
        story.bench.tell(twin)
        presence = story.bench.probe(twin).presence
        if presence is not expected:
            yield f"{kind}: the probe says {presence}, and it is {expected}"


@check(Level.SILVER, OUTBOUND)
def busy_waits_as_asked(subject: Subject) -> Iterator[str]:
    """Asked to wait, it says so, and for how long."""
    for moment in at_each_call(subject):
        moment.bench.mock.plan.next("busy", seconds=_WAIT_S)
        outcome = moment.send().outcome
        if outcome.kind is not OutcomeKind.BUSY:
            yield f"{moment.what}: called {outcome.kind}"
        elif outcome.wait_s != _WAIT_S:
            yield f"{moment.what}: asked for {_WAIT_S:.0f} s, understood {outcome.wait_s}"


@check(Level.SILVER, OUTBOUND, is_essential=True)
def server_error_is_unknown(subject: Subject) -> Iterator[str]:
    """A 5xx may have been done or not, whatever its body says."""
    for moment in at_each_call(subject):
        bodies = (moment.good.body, b"<h1>something went wrong</h1>", b"")
        replies = [WireReply(status, moment.good.headers, body) for status in _SERVER_ERRORS for body in bodies]
        yield from _called(moment, replies, _MAYBE)


@check(Level.SILVER, OUTBOUND)
def garbage_is_not_taken(subject: Subject) -> Iterator[str]:
    """An answer that cannot be read, though HTTP calls it good, is neither a yes nor a final no."""
    for moment in at_each_call(subject):
        cut = moment.good.body[: len(moment.good.body) // 2]
        yield from _called(moment, [WireReply(200, moment.good.headers, body) for body in (*GARBAGE, cut)], _MAYBE)


@check(Level.SILVER, OUTBOUND, is_essential=True)
def odd_replies_are_not_taken(subject: Subject) -> Iterator[str]:
    """A page of HTML under any status but 2xx and 409 is never a yes."""
    for moment in at_each_call(subject):
        yield from _called(moment, [WireReply(status, _HTML, _PAGE) for status in _ODD_STATUSES], _NOT_TAKEN)


@check(Level.SILVER, OUTBOUND)
def unknown_codes_are_not_taken(subject: Subject) -> Iterator[str]:
    """A good answer in which every value is replaced by one that the contract doesn't know is never a yes."""
    for moment in at_each_call(subject):
        retellings = (retell(moment.good.body, word) for retell in (retold, relabelled) for word in _ODD_WORDS)
        bodies = [body for body in retellings if body is not None]
        yield from _called(moment, [WireReply(200, moment.good.headers, body) for body in bodies], _NOT_TAKEN)


def _called(moment: Moment, replies: list[WireReply], allowed: frozenset[OutcomeKind]) -> Iterator[str]:
    """Answer a delivery with each reply, and name the outcomes that must not be."""
    for reply in replies:
        kind = moment.send(door=always(reply)).outcome.kind
        if kind not in allowed:
            yield f"{moment.what}: HTTP {reply.status} with {len(reply.body)} odd bytes is called {kind}"


@check(Level.GOLD, OUTBOUND)
def results_mean_what_they_say(subject: Subject) -> Iterator[str]:
    """Every result code of the contract becomes the outcome that it stands for.

    The mock's `results` say which, and its `say` makes the answers.
    """
    if not Bench(subject).mock.results:
        raise Finding("its mock does not say what its result codes mean")
    for moment in at_each_call(subject):
        mock = moment.bench.mock
        for code, expected in mock.results.items():
            kind = moment.send(door=partial(mock.say, code)).outcome.kind
            if kind is not expected:
                yield f"{moment.what}: {code} is called {kind}, and it is {expected}"


@check(Level.SILVER, OUTBOUND)
def refusal_is_final(subject: Subject) -> Iterator[str]:
    """What the far side knows nothing of it refuses, and that is called refused, with its code."""
    story = stranger(Bench(subject))
    owed = story.command(DeliveryKind.CANCEL) if subject.carries else next(story.owe_all())
    outcome = story.bench.tell(owed).outcome
    if outcome.kind is not OutcomeKind.REFUSED:
        yield f"{owed.kind} of an unknown order: called {outcome.kind}"
    elif not outcome.code:
        yield f"{owed.kind} of an unknown order: without the code"


@check(Level.SILVER, PROBED, is_essential=True)
def probe_does_not_guess(subject: Subject) -> Iterator[str]:
    """A probe that is answered oddly, or not at all, cannot tell: it neither settles a delivery nor sends it again."""
    for moment in at_each_call(subject):
        moment.story.tell(moment.owed)
        good = moment.bench.probe(moment.owed).replies[-1]
        replies = [WireReply(status, _HTML, _PAGE) for status in (*_ODD_STATUSES, *_SERVER_ERRORS)]
        replies += [WireReply(200, good.headers, body) for body in GARBAGE]
        replies += [WireReply(status, good.headers, good.body) for status in _SERVER_ERRORS]
        for reply in replies:
            presence = moment.bench.probe(moment.owed, door=always(reply)).presence
            if presence is not Presence.CANNOT_TELL:
                yield f"{moment.what}: HTTP {reply.status} with {len(reply.body)} odd bytes is called {presence}"
        unknown = next(stranger(moment.bench).owe_all())
        if moment.bench.probe(unknown).presence is Presence.HAS:
            yield f"{moment.what}: an order that the far side does not know is found there"
        moment.bench.mock.plan.next("hang")
        if moment.bench.probe(moment.owed).presence is not Presence.CANNOT_TELL:
            yield f"{moment.what}: no answer at all tells it something"
