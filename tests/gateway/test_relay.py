"""The relay's rules: what becomes of a delivery after each kind of outcome, and what is asked before a resend."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from govpost.adapters.base import DeliveryKind, Document, Owed
from govpost.adapters.manifest import Manifest
from govpost.gateway.ledger import Claim, DeadReason, Next, Settlement
from govpost.gateway.relay import Destination, Tried, apart, attempt, judge, judge_batch
from govpost.gateway.settings import RelaySettings
from govpost.schemas import Conversation, Outcome, OutcomeKind, Presence, Source, WireReply, WireRequest
from govpost.schemas.errors import BreakageError, UnreadableError

Bench = Any

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SETTINGS = RelaySettings()
SOURCE = Source(now=lambda: NOW, token=lambda: "0" * 32)

PROBED = Manifest(key="far", title="Far", wire_version="1", roles=frozenset(), has_probe=True)
IDEMPOTENT = PROBED.model_copy(update={"has_probe": False, "is_idempotent": True})
NEITHER = PROBED.model_copy(update={"has_probe": False})


@pytest.fixture
def claim(bench: Bench) -> Claim:
    """Give a placement that was claimed for the first time just now."""
    bench.order()
    return replace(bench.claim_one(bench.POST), first_tried_at=NOW)


def judged(
    claim: Claim,
    outcome: Outcome,
    *,
    manifest: Manifest = PROBED,
    age: timedelta = timedelta(),
    took: timedelta = timedelta(),
    **changes: Any,
) -> Settlement:
    """Judge an outcome of a claim that was first tried so long ago."""
    return judge(
        replace(claim, first_tried_at=NOW - age, **changes),
        Tried(outcome, is_uncertain=outcome.kind is OutcomeKind.UNKNOWN),
        manifest=manifest,
        settings=SETTINGS,
        started_at=NOW - took,
        now=NOW,
    )


def wait_s(settlement: Settlement) -> float:
    """Tell how long a retry waits."""
    assert settlement.due_at is not None
    return (settlement.due_at - NOW).total_seconds()


# What becomes of it.


@pytest.mark.parametrize(
    ("kind", "then", "is_uncertain", "is_breakage", "is_lockout"),
    [
        (OutcomeKind.TAKEN, Next.SETTLE, False, False, False),
        (OutcomeKind.REFUSED, Next.BURY, False, False, False),
        (OutcomeKind.NOT_SENT, Next.RETRY, False, True, False),
        (OutcomeKind.UNKNOWN, Next.RETRY, True, True, False),
        (OutcomeKind.BUSY, Next.RETRY, False, False, False),
        (OutcomeKind.AUTH, Next.RETRY, False, False, True),
        (OutcomeKind.MISCONFIGURED, Next.RETRY, False, False, True),
    ],
)
def test_each_outcome_has_its_rule(
    claim: Claim, kind: OutcomeKind, then: Next, *, is_uncertain: bool, is_breakage: bool, is_lockout: bool
) -> None:
    """The table of outcomes, as the design has it."""
    settlement = judged(claim, Outcome(kind))
    facts = (settlement.next, settlement.is_uncertain, settlement.is_breakage, settlement.is_lockout)
    assert facts == (then, is_uncertain, is_breakage, is_lockout)
    assert (settlement.due_at is None) is (then is not Next.RETRY)


def test_every_outcome_is_judged(claim: Claim) -> None:
    """No kind of outcome is without a rule."""
    assert {judged(claim, Outcome(kind)).outcome.kind for kind in OutcomeKind} == set(OutcomeKind)


@pytest.mark.parametrize("kind", [DeliveryKind.CANCEL, DeliveryKind.AMEND])
def test_a_command_s_no_is_an_answer(claim: Claim, kind: DeliveryKind) -> None:
    """A refused cancel or amendment is settled: the portal is answered, no person asked."""
    command = replace(claim, kind=kind)
    assert judged(command, Outcome(OutcomeKind.REFUSED)).next is Next.SETTLE


@pytest.mark.parametrize("kind", [DeliveryKind.PLACE, DeliveryKind.UPDATE])
def test_any_other_no_is_for_a_person(claim: Claim, kind: DeliveryKind) -> None:
    """A refused placement or update is a dead letter."""
    refused = judged(replace(claim, kind=kind), Outcome(OutcomeKind.REFUSED))
    assert (refused.next, refused.dead_reason) == (Next.BURY, DeadReason.REFUSED)


def test_doubt_that_nothing_can_clear_goes_to_a_person(claim: Claim) -> None:
    """Without a probe and without idempotency a delivery that may have arrived is not sent again."""
    settlement = judged(claim, Outcome(OutcomeKind.UNKNOWN), manifest=NEITHER)
    assert (settlement.next, settlement.dead_reason) == (Next.BURY, DeadReason.UNCERTAIN)
    assert settlement.is_uncertain


@pytest.mark.parametrize("took_s", [0, 5, 20])
def test_a_probe_waits_for_one_time_out(claim: Claim, took_s: int) -> None:
    """It is asked no sooner than one request time-out after the request left."""
    settlement = judged(claim, Outcome(OutcomeKind.UNKNOWN), took=timedelta(seconds=took_s))
    assert wait_s(settlement) >= max(0, 15 - took_s)


@pytest.mark.parametrize("attempts", [1, 2, 5, 10, 40, 2000])
def test_waits_are_drawn_under_a_doubling_ceiling(claim: Claim, attempts: int) -> None:
    """Full jitter: between nothing and 1 s doubled for each attempt, a day at most."""
    waits = [wait_s(judged(claim, Outcome(OutcomeKind.NOT_SENT), attempts=attempts)) for _ in range(200)]
    ceiling_s = min(24 * 3600, 2 ** min(attempts, 30))
    assert min(waits) >= 0
    assert max(waits) <= ceiling_s
    assert len(set(waits)) > 100


@pytest.mark.parametrize(("asked_s", "then"), [(1, Next.RETRY), (86_400, Next.RETRY), (86_401, Next.BURY)])
def test_a_wait_that_was_asked_for_is_kept_up_to_a_day(claim: Claim, asked_s: int, then: Next) -> None:
    """No sooner than it asked; longer than a day is for a person."""
    settlement = judged(claim, Outcome(OutcomeKind.BUSY, wait_s=asked_s))
    assert settlement.next is then
    if then is Next.RETRY:
        assert wait_s(settlement) >= asked_s
    else:
        assert settlement.dead_reason is DeadReason.WAIT_TOO_LONG


@pytest.mark.parametrize(
    "kind",
    [OutcomeKind.NOT_SENT, OutcomeKind.UNKNOWN, OutcomeKind.BUSY, OutcomeKind.AUTH, OutcomeKind.MISCONFIGURED],
)
def test_after_seven_days_a_delivery_is_exhausted(claim: Claim, kind: OutcomeKind) -> None:
    """Whatever it ended with last, after a week a person is asked."""
    week = timedelta(days=7)
    assert judged(claim, Outcome(kind), age=week - timedelta(seconds=1)).next is Next.RETRY
    settlement = judged(claim, Outcome(kind), age=week)
    assert (settlement.next, settlement.dead_reason) == (Next.BURY, DeadReason.EXHAUSTED)


def judged_together(claim: Claim, *kinds: OutcomeKind) -> list[Settlement]:
    """Judge what one request carried."""
    tried = [Tried(Outcome(kind), is_uncertain=kind is OutcomeKind.UNKNOWN) for kind in kinds]
    batch = (claim,) * len(kinds)
    return judge_batch(batch, tried, manifest=IDEMPOTENT, settings=SETTINGS, started_at=NOW, now=NOW)


def test_what_failed_together_is_tried_again_together(claim: Claim) -> None:
    """One wait is drawn for all that ended as the first one did; what ended otherwise has its own."""
    first, taken, other, same = judged_together(
        claim, OutcomeKind.UNKNOWN, OutcomeKind.TAKEN, OutcomeKind.BUSY, OutcomeKind.UNKNOWN
    )
    assert (taken.next, taken.due_at) == (Next.SETTLE, None)
    assert same.due_at == first.due_at != other.due_at


def test_taken_apart_only_the_first_speaks_of_the_destination(claim: Claim) -> None:
    """A broken request is one breakage, also where its deliveries must be settled one by one."""
    alone = apart(judged_together(claim, *[OutcomeKind.UNKNOWN] * 3))
    assert [[(each.is_breakage, each.next) for each in settlements] for settlements in alone] == [
        [(True, Next.RETRY)],
        [(False, Next.RETRY)],
        [(False, Next.RETRY)],
    ]
    assert not any(each.is_answer for (each,) in alone[1:])


def test_one_alone_that_cannot_be_stored_goes_to_a_person(claim: Claim) -> None:
    """As in doubt, whatever its outcome was, so that it is asked after before it is sent again."""
    (taken,) = judged_together(claim, OutcomeKind.TAKEN)
    (((buried,)),) = apart([taken])
    assert (buried.next, buried.dead_reason, buried.is_uncertain) == (Next.BURY, DeadReason.NOT_STORED, True)
    assert buried.outcome.kind is OutcomeKind.UNKNOWN


# What is done before.


TAKEN = Outcome(OutcomeKind.TAKEN)


@dataclass
class FarSide:
    """An adapter that answers as a test says, and remembers what was asked of it."""

    presence: Presence | Exception = Presence.HAS_NOT
    outcome: Outcome | Exception = TAKEN
    manifest: Manifest = PROBED
    asked: list[str] = field(default_factory=list)

    def render(self, owed: Owed) -> Document:
        """Render nothing."""
        return Document("call", b"", owed.delivery_id)

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask once, and answer as told."""
        self.asked.append("probe")
        yield WireRequest("GET", f"http://far/{owed.delivery_id}/{source.token()}")
        if isinstance(self.presence, Exception):
            raise self.presence
        return self.presence

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Send once, and answer as told."""
        self.asked.append("send")
        yield WireRequest("POST", f"http://far/{source.token()}", {}, documents[0].body)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return [self.outcome]


def tried(far: FarSide, claim: Claim, *, manifest: Manifest = PROBED) -> Tried:
    """Run an attempt; every request is answered."""
    far.manifest = manifest
    conversation = attempt(Destination("post", far), (claim,), SOURCE)
    try:
        next(conversation)
        while True:
            conversation.send(WireReply(200))
    except StopIteration as end:
        (result,) = end.value
        assert isinstance(result, Tried)
        return result


def test_a_first_attempt_asks_nothing(claim: Claim) -> None:
    """What was never tried is just sent."""
    far = FarSide()
    assert tried(far, claim) == Tried(Outcome(OutcomeKind.TAKEN), is_uncertain=False)
    assert far.asked == ["send"]


@pytest.mark.parametrize(
    ("presence", "asked", "kind", "is_uncertain"),
    [
        (Presence.HAS, ["probe"], OutcomeKind.TAKEN, False),
        (Presence.HAS_NOT, ["probe", "send"], OutcomeKind.TAKEN, False),
        (Presence.CANNOT_TELL, ["probe"], OutcomeKind.UNKNOWN, True),
        (UnreadableError("x"), ["probe"], OutcomeKind.UNKNOWN, True),
        (BreakageError(Outcome(OutcomeKind.NOT_SENT)), ["probe"], OutcomeKind.NOT_SENT, True),
        (BreakageError(Outcome(OutcomeKind.UNKNOWN)), ["probe"], OutcomeKind.UNKNOWN, True),
    ],
)
def test_a_doubt_is_asked_about_before_a_resend(
    claim: Claim, presence: Presence | Exception, asked: list[str], kind: OutcomeKind, *, is_uncertain: bool
) -> None:
    """Has → taken; has not → sent again; cannot tell, or a question that broke → asked again later, never sent."""
    far = FarSide(presence=presence)
    result = tried(far, replace(claim, is_uncertain=True))
    assert (far.asked, result.outcome.kind, result.is_uncertain) == (asked, kind, is_uncertain)


def test_without_a_probe_an_idempotent_side_is_told_again(claim: Claim) -> None:
    """It does a thing once, however often it is told."""
    far = FarSide()
    assert tried(far, replace(claim, is_uncertain=True), manifest=IDEMPOTENT).outcome.kind is OutcomeKind.TAKEN
    assert far.asked == ["send"]


def test_without_either_nothing_is_sent(claim: Claim) -> None:
    """A doubt that nothing can clear sends nothing."""
    far = FarSide()
    result = tried(far, replace(claim, is_uncertain=True), manifest=NEITHER)
    assert (result.outcome.kind, far.asked) == (OutcomeKind.UNKNOWN, [])


@pytest.mark.parametrize(
    ("outcome", "kind", "is_uncertain"),
    [
        (BreakageError(Outcome(OutcomeKind.NOT_SENT)), OutcomeKind.NOT_SENT, False),
        (BreakageError(Outcome(OutcomeKind.UNKNOWN)), OutcomeKind.UNKNOWN, True),
        (UnreadableError("x"), OutcomeKind.UNKNOWN, True),
        (Outcome(OutcomeKind.BUSY), OutcomeKind.BUSY, False),
    ],
)
def test_what_breaks_becomes_an_outcome(
    claim: Claim, outcome: Outcome | Exception, kind: OutcomeKind, *, is_uncertain: bool
) -> None:
    """Breakages and unreadable answers are outcomes; the attempt itself never raises for them."""
    result = tried(FarSide(outcome=outcome), claim)
    assert (result.outcome.kind, result.is_uncertain) == (kind, is_uncertain)


def test_what_cannot_be_said_is_refused_unsent(claim: Claim) -> None:
    """A delivery without a document ends as the refusal that came with it."""
    far = FarSide()
    refusal = Outcome(OutcomeKind.REFUSED, code="unsayable")
    assert tried(far, replace(claim, document=None, unsayable=refusal)) == Tried(refusal, is_uncertain=False)
    assert far.asked == []


def test_only_an_attempt_that_asked_somebody_is_an_answer(claim: Claim) -> None:
    """What never left (unsayable, lease lost, nobody to ask) says nothing of the destination; a real no does."""
    unsayable = replace(claim, unsayable=Outcome(OutcomeKind.REFUSED, code="unsayable"))
    cases = [
        (unsayable, Outcome(OutcomeKind.REFUSED, code="unsayable")),
        (claim, Outcome(OutcomeKind.NOT_SENT, code="lease_lost")),
        (claim, Outcome(OutcomeKind.UNKNOWN, code="no_probe")),
        (claim, Outcome(OutcomeKind.REFUSED, code="400")),
    ]
    ends = [judged(each, outcome, manifest=NEITHER) for each, outcome in cases]
    assert [(each.is_answer, each.is_breakage) for each in ends] == [
        (False, False),
        (False, False),
        (False, False),
        (True, False),
    ]
