"""What a polled portal hands over: stored with its cursor by the newest poll, owed its word, replaced or given back."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from govpost.adapters.base import DeliveryKind, OwedRefusal
from govpost.gateway.ledger import Poll, PortalTerms
from govpost.schemas import Denied, Notice, OutcomeKind, Place, Placed, Problem, Refuse, Status

Bench = Any

TERMS = PortalTerms(
    frozenset(Status) - {Status.UNKNOWN},
    frozenset(Status) - {Status.ACCEPTED, Status.CANCELLED, Status.UNKNOWN},
    tells_own_cancel=True,
    is_polled=True,
)
EVERY_S = 5.0


@pytest.fixture
def polled(bench: Bench) -> Bench:
    """Let the portal be one that is polled."""
    bench.reopen(terms={bench.PORTAL: TERMS})
    return bench


def begin(bench: Bench, *, lease_s: float = 30.0, ledger: Any = None) -> Poll | None:
    """Begin a poll."""
    poll: Poll | None = (ledger or bench.ledger).begin_poll(bench.PORTAL, lease_s=lease_s).result()
    return poll


def place(bench: Bench, ref: str = "R1", **changes: Any) -> tuple[Place, str]:
    """Say an order as a page brings it, with its backend."""
    content = bench.content(ref, **changes)
    return Place(content, content.model_dump(mode="json", exclude_none=True)), bench.POST


def refuse(ref: str = "R1", reason: str = "SJR.LXDH: is missing", **content: Any) -> Refuse:
    """Say an order that cannot be taken."""
    return Refuse(ref, reason, {"SBLSH": ref, **content}, "SJR.LXDH")


def take(bench: Bench, *page: Any, cursor: str = "c1") -> Any:
    """Poll once: begin, and store what was brought."""
    bench.pass_time(seconds=EVERY_S)
    poll = begin(bench)
    assert poll is not None
    return bench.ledger.take_page(poll, page, cursor=cursor, again_s=EVERY_S).result()


def told(bench: Bench) -> list[tuple[str, str]]:
    """Tell the portal what is due; returns what it was told, of which of its orders."""
    said = []
    for claim in bench.claim(bench.PORTAL):
        is_refusal = isinstance(claim.owed, OwedRefusal)
        said.append(("refused", claim.owed.portal_ref) if is_refusal else _said(claim))
        bench.settle(claim)
    return said


def _said(claim: Any) -> tuple[str, str]:
    return claim.owed.update.status.value, claim.owed.order.portal_ref


# Whose turn it is.


def test_one_poll_at_a_time(polled: Bench) -> None:
    """While one is under way nobody begins another, however many daemons there are."""
    first = begin(polled, lease_s=30)
    assert first == Poll(polled.PORTAL, "", 1)
    assert begin(polled, ledger=polled.open(terms={polled.PORTAL: TERMS})) is None
    polled.pass_time(seconds=30)
    assert begin(polled) == Poll(polled.PORTAL, "", 2)


def test_only_the_newest_poll_may_store(polled: Bench) -> None:
    """One that was taken for dead brings its page too late: nothing of it is stored, its cursor neither."""
    slow = begin(polled, lease_s=30)
    polled.pass_time(seconds=30)
    fast = begin(polled)
    assert polled.ledger.take_page(slow, [place(polled)], cursor="slow", again_s=0).result() is None
    assert polled.ledger.find_orders().rows == ()
    (placed,) = polled.ledger.take_page(fast, [place(polled)], cursor="fast", again_s=0).result()
    assert isinstance(placed, Placed)
    assert begin(polled) == Poll(polled.PORTAL, "fast", 3)


def test_the_cursor_and_its_pace_are_kept(polled: Bench) -> None:
    """The next poll begins after the pause, where the last one ended, restarts included."""
    take(polled, cursor="c7")
    assert begin(polled) is None
    polled.reopen(terms={polled.PORTAL: TERMS})
    polled.pass_time(seconds=EVERY_S)
    poll = begin(polled)
    assert poll is not None
    assert poll.cursor == "c7"


def test_a_page_is_stored_whole_or_not_at_all(polled: Bench) -> None:
    """A page that fails leaves the cursor where it was."""
    poll = begin(polled)
    spoilt = (Place(polled.content("R2"), {"n": object()}), polled.POST)
    with pytest.raises(TypeError):
        polled.ledger.take_page(poll, [place(polled), spoilt], cursor="after", again_s=0).result()
    assert polled.ledger.find_orders().rows == ()


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (OutcomeKind.AUTH, "broken"),
        (OutcomeKind.MISCONFIGURED, "broken"),
        (OutcomeKind.UNKNOWN, "open"),
        (OutcomeKind.BUSY, "open"),
    ],
)
def test_a_poll_that_fails_speaks_of_the_portal(polled: Bench, kind: OutcomeKind, state: str) -> None:
    """Who does not know us is not asked again at once; a single breakage pauses nothing."""
    poll = begin(polled)
    polled.ledger.fail_poll(poll, kind, again_s=0, pause_base_s=5, pause_cap_s=600, breakages_to_pause=10).result()
    assert polled.ledger.destination(polled.PORTAL).state == state
    assert (begin(polled) is None) is (state == "broken")
    polled.pass_time(seconds=30)
    assert begin(polled) is not None


def test_a_paused_portal_is_not_polled(polled: Bench) -> None:
    """A person's pause holds for asking as well as for telling."""
    polled.ledger.pause_destination(polled.PORTAL, reason="maintenance")
    assert begin(polled) is None
    polled.ledger.resume_destination(polled.PORTAL)
    assert begin(polled) is not None


def test_a_poll_that_is_broken_off_leaves_no_lease(polled: Bench) -> None:
    """A daemon that stops lets the next one poll at once."""
    polled.ledger.give_up_poll(begin(polled)).result()
    assert begin(polled) == Poll(polled.PORTAL, "", 2)


# The word that an order was taken.


def test_taken_is_told_first(polled: Bench) -> None:
    """The acknowledgement goes ahead of the number and of everything else."""
    take(polled, place(polled))
    polled.settle(polled.claim_one(polled.POST), waybill_no="EA000000014CN")
    assert polled.tell_all() == ["accepted", "numbered"]


def test_an_order_seen_again_owes_one_more_word(polled: Bench) -> None:
    """A new acknowledgement after the first was settled, and none while one is pending."""
    take(polled, place(polled))
    (again,) = take(polled, place(polled))
    assert again.is_repeat
    assert told(polled) == [("accepted", "R1")]
    take(polled, place(polled))
    take(polled, place(polled))
    assert told(polled) == [("accepted", "R1")]
    assert told(polled) == []


def test_an_acknowledgement_in_a_person_s_hands_is_not_repeated(polled: Bench) -> None:
    """What was refused for good is not told again and again."""
    take(polled, place(polled))
    polled.settle(polled.claim_one(polled.PORTAL), OutcomeKind.REFUSED)
    take(polled, place(polled))
    assert told(polled) == []


def test_the_cursor_may_be_lost(polled: Bench) -> None:
    """Reading everything again places nothing twice."""
    take(polled, place(polled, "R1"), place(polled, "R2"))
    results = take(polled, place(polled, "R1"), place(polled, "R2"), place(polled, "R3"), cursor="")
    assert [result.is_repeat for result in results] == [True, True, False]
    assert len(polled.claim(polled.POST)) == 3


# An order that changed between two polls.


def test_what_nobody_heard_of_is_replaced(polled: Bench) -> None:
    """Before the acknowledgement was attempted the new content is the order: one placement, with it."""
    (first,) = take(polled, place(polled))
    (second,) = take(polled, place(polled, recipient=polled.NEIGHBOUR))
    assert (second.order_id, second.is_repeat) == (first.order_id, False)
    claim = polled.claim_one(polled.POST)
    assert claim.owed.order.recipient == polled.NEIGHBOUR
    assert len(polled.ledger.find_by_person(polled.NEIGHBOUR.phone)) == 1
    (third,) = take(polled, place(polled, recipient=polled.NEIGHBOUR))
    assert third.is_repeat


@pytest.mark.parametrize("heard", ["PORTAL", "POST"])
def test_what_somebody_heard_of_stays(polled: Bench, heard: str) -> None:
    """Once portal or backend may know the order, the first content stays and a person is told, once."""
    (first,) = take(polled, place(polled))
    polled.settle(polled.claim_one(getattr(polled, heard)), OutcomeKind.UNKNOWN)
    for _ in range(2):
        (second,) = take(polled, place(polled, recipient=polled.NEIGHBOUR))
        assert isinstance(second, Denied)
        assert second.problem is Problem.CONFLICT
    assert polled.ledger.read_order(first.order_id).order.recipient == polled.RECIPIENT
    assert [notice.kind for notice in polled.ledger.read_notices(first.order_id)] == [Notice.CONTENT_CHANGED]


# What cannot be taken.


def test_a_broken_order_is_given_back_and_kept(polled: Bench) -> None:
    """The others of its page are taken; the portal hears why, a person finds what was handed over."""
    results = take(polled, place(polled, "R1"), refuse("R2"), place(polled, "R3"))
    assert [type(result) for result in results] == [Placed, Denied, Placed]
    assert sorted(told(polled)) == [("accepted", "R1"), ("accepted", "R3"), ("refused", "R2")]
    row, content = polled.ledger.read_refused(polled.PORTAL, "R2")
    assert (row.reason, row.field, row.taken_at) == ("SJR.LXDH: is missing", "SJR.LXDH", None)
    assert content == {"SBLSH": "R2"}
    assert [each.portal_ref for each in polled.ledger.refused()] == ["R2"]


def test_a_refusal_seen_again_is_said_again(polled: Bench) -> None:
    """After it was settled, and not while it is pending."""
    take(polled, refuse())
    take(polled, refuse())
    (refusal,) = polled.claim(polled.PORTAL)
    assert len(polled.lane(refusal.order_id)) == 1
    take(polled, refuse())
    polled.settle(refusal)
    assert told(polled) == []
    take(polled, refuse())
    assert told(polled) == [("refused", "R1")]
    assert len(polled.lane(refusal.order_id)) == 2


def test_a_refusal_that_was_not_said_yet_has_its_newest_reason(polled: Bench) -> None:
    """Nothing is said of what was mended halfway."""
    take(polled, refuse(reason="SXBM: is missing"))
    take(polled, refuse(reason="SXMC: is missing"))
    (claim,) = polled.claim(polled.PORTAL)
    assert claim.owed.reason == "SXMC: is missing"


def test_a_mended_order_is_taken_behind_its_refusal(polled: Bench) -> None:
    """The refusal under way comes first in the same lane: the portal is never told no after yes."""
    take(polled, refuse())
    refusal = polled.claim_one(polled.PORTAL)
    (placed,) = take(polled, place(polled))
    assert polled.claim(polled.PORTAL) == ()
    polled.settle(refusal, OutcomeKind.UNKNOWN)
    assert placed.order_id == refusal.order_id
    assert told(polled) == [("refused", "R1")]
    assert told(polled) == [("accepted", "R1")]
    assert polled.ledger.refused() == ()


def test_a_refusal_that_nobody_heard_is_withdrawn_by_the_mended_order(polled: Bench) -> None:
    """Then the portal hears yes alone."""
    take(polled, refuse())
    take(polled, place(polled))
    assert told(polled) == [("accepted", "R1")]


def test_what_was_taken_is_never_given_back(polled: Bench) -> None:
    """An order that is handed over broken later stays as it was, and a person is told."""
    (first,) = take(polled, place(polled))
    take(polled, refuse())
    assert told(polled) == [("accepted", "R1")]
    assert [notice.kind for notice in polled.ledger.read_notices(first.order_id)] == [Notice.CONTENT_CHANGED]


def test_a_refusal_can_die_and_be_replayed(polled: Bench) -> None:
    """It is a delivery like any other."""
    take(polled, refuse())
    polled.settle(polled.claim_one(polled.PORTAL), OutcomeKind.REFUSED)
    (letter,) = polled.ledger.dead_letters()
    assert letter.kind == DeliveryKind.REFUSE
    polled.ledger.replay(letter.delivery_id)
    polled.pass_time(seconds=1)
    assert told(polled) == [("refused", "R1")]


def test_a_refusal_survives_its_worker(polled: Bench) -> None:
    """What a dead worker had under way is said again."""
    take(polled, refuse())
    polled.ledger.register("w1", holds_lock=False).result()
    polled.claim_one(polled.PORTAL)
    polled.pass_time(minutes=1)
    polled.ledger.register("w2", holds_lock=False).result()
    polled.ledger.renew("w2", holds_lock=False, dead_after_s=10, probe_after_s=1).result()
    polled.pass_time(seconds=1)
    claim = polled.claim_one(polled.PORTAL, worker_id="w2")
    assert claim.is_uncertain


# Rates.


def test_turns_are_shared_and_spaced(bench: Bench) -> None:
    """Two workers together send no more than the rate, and idle time is not saved up."""
    other = bench.open()
    turns = [ledger.take_turn("far", rate_per_s=20).result() for ledger in (bench.ledger, other) * 10]
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert turns[0] == bench.now
    assert min(gaps) >= timedelta(seconds=1 / 20)
    bench.pass_time(hours=1)
    first, second = (bench.ledger.take_turn("far", rate_per_s=20).result() for _ in range(2))
    assert first == bench.now
    assert second > first
