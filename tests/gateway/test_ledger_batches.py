"""Deliveries that travel together: heads and their followers of one call, each with an outcome of its own."""

from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import ValidationError

from govpost.adapters.base import Document
from govpost.adapters.manifest import Manifest
from govpost.gateway.ledger import Carriage, Next
from govpost.schemas import OutcomeKind, Status

Bench = Any


@pytest.fixture
def batched(bench: Bench) -> Bench:
    """Let the portal take four updates in a call."""
    return reopened(bench, 4)


def reopened(bench: Bench, size: int, *, has_probe: bool = False) -> Bench:
    """Let the portal take so many updates in a call."""
    bench.reopen(carriage={bench.PORTAL: Carriage({"update": size}, has_probe=has_probe)})
    return bench


def orders(bench: Bench, count: int) -> list[str]:
    """Place orders that the portal knows the number of."""
    return [bench.numbered_order(f"R{n}", f"EA{n:08d}{check_digit(n)}CN") for n in range(1, count + 1)]


def check_digit(serial: int) -> int:
    """Compute the check digit of a mail number (UPU S10)."""
    total = sum(weight * int(digit) for weight, digit in zip((8, 6, 4, 2, 3, 5, 9, 7), f"{serial:08d}", strict=True))
    return {10: 0, 11: 5}.get(11 - total % 11, 11 - total % 11)


def batches(bench: Bench, *, most: int = 100) -> list[list[tuple[str, str]]]:
    """Claim, and tell what each request carries."""
    claims = bench.ledger.claim(bench.PORTAL, worker_id="w1", most=most, render=bench.render).result()
    bench.claimed = claims
    return [[(claim.owed.order.portal_ref, claim.owed.update.status.value) for claim in b] for b in claims.batches]


def live(bench: Bench, order_id: str, *statuses: str) -> None:
    """Let things happen to an item."""
    for status in statuses:
        bench.record(order_id, status)


def test_heads_of_several_lanes_share_a_request(batched: Bench) -> None:
    """As many as the call takes, the rest in the next one."""
    for order_id in orders(batched, 5):
        live(batched, order_id, "collected")
    assert [len(batch) for batch in batches(batched)] == [4, 1]


def test_followers_stand_behind_their_head_in_order(batched: Bench) -> None:
    """Several updates of one order travel together, in the order in which they happened."""
    first, second = orders(batched, 2)
    live(batched, first, "collected", "in_transit", "out_for_delivery")
    live(batched, second, "collected")
    assert batches(batched) == [
        [("R1", "collected"), ("R1", "in_transit"), ("R1", "out_for_delivery"), ("R2", "collected")]
    ]


def test_a_lane_is_never_in_two_requests_at_once(batched: Bench) -> None:
    """What does not fit beside its head waits until that request is settled."""
    (order_id,) = orders(batched, 1)
    live(batched, order_id, "collected", "in_transit", "out_for_delivery", "undelivered", "out_for_delivery")
    assert [len(batch) for batch in batches(batched)] == [4]
    assert batches(batched) == []


def test_another_call_ends_what_follows(batched: Bench) -> None:
    """A follower of another call waits for its own request."""
    (order_id,) = orders(batched, 1)
    live(batched, order_id, "collected", "in_transit", "out_for_delivery")

    def render(_name: str, owed: Any) -> Document:
        return Document("other" if owed.update.status is Status.IN_TRANSIT else "update", b"{}", owed.delivery_id)

    claims = batched.ledger.claim(batched.PORTAL, worker_id="w1", most=9, render=render).result()
    assert [[claim.owed.update.status for claim in batch] for batch in claims.batches] == [[Status.COLLECTED]]


def test_each_has_its_own_outcome(batched: Bench) -> None:
    """What failed goes again, alone and in order; what was taken does not."""
    first, second = orders(batched, 2)
    live(batched, first, "collected", "in_transit")
    live(batched, second, "collected")
    batches(batched)
    collected, in_transit, other = batched.claimed.claims
    counted = batched.settle_together(
        batched.ended(collected, OutcomeKind.BUSY, due_in_s=5),
        batched.ended(in_transit, OutcomeKind.BUSY, due_in_s=3),
        batched.ended(other),
    )
    assert counted == 3
    assert batches(batched) == []
    batched.pass_time(seconds=5)
    assert batches(batched) == [[("R1", "collected"), ("R1", "in_transit")]]


def test_a_follower_s_wait_stands(batched: Bench) -> None:
    """One whose own time has not come does not travel with its head."""
    (order_id,) = orders(batched, 1)
    live(batched, order_id, "collected", "in_transit")
    batches(batched)
    head, follower = batched.claimed.claims
    batched.settle_together(
        batched.ended(head, OutcomeKind.BUSY, due_in_s=1), batched.ended(follower, OutcomeKind.BUSY, due_in_s=60)
    )
    batched.pass_time(seconds=1)
    assert batches(batched) == [[("R1", "collected")]]


def test_a_refused_head_holds_its_followers(batched: Bench) -> None:
    """A lane that parks in the middle of a batch stays parked, whatever its followers ended as."""
    (order_id,) = orders(batched, 1)
    live(batched, order_id, "collected", "in_transit")
    batches(batched)
    head, follower = batched.claimed.claims
    batched.settle_together(batched.ended(head, OutcomeKind.REFUSED), batched.ended(follower, OutcomeKind.BUSY))
    assert batches(batched) == []
    (letter,) = batched.ledger.dead_letters()
    batched.ledger.replay(letter.delivery_id)
    assert batches(batched) == [[("R1", "collected"), ("R1", "in_transit")]]


def test_a_follower_may_be_taken_before_its_head(batched: Bench) -> None:
    """What the other side has, it has; the head goes again by itself."""
    (order_id,) = orders(batched, 1)
    live(batched, order_id, "collected", "in_transit")
    batches(batched)
    head, follower = batched.claimed.claims
    batched.settle(follower)
    assert batches(batched) == []
    batched.settle(head, OutcomeKind.UNKNOWN)
    assert batches(batched) == [[("R1", "collected")]]


def test_of_a_destination_a_request_speaks_once(batched: Bench) -> None:
    """Four deliveries that one broken request carried are one breakage, not four."""
    for order_id in orders(batched, 4):
        live(batched, order_id, "collected")
    for _ in range(9):
        batches(batched)
        broken = [batched.ended(claim, OutcomeKind.UNKNOWN, is_breakage=True) for claim in batched.claimed.claims]
        batched.settle_together(*broken)
        assert batched.settled.paused_until is None
    assert [len(batch) for batch in batches(batched)] == [4]
    batched.settle_together(*(batched.ended(c, OutcomeKind.UNKNOWN, is_breakage=True) for c in batched.claimed.claims))
    assert batched.settled.paused_until is not None


@pytest.mark.parametrize(
    ("kind", "counted", "left"), [(OutcomeKind.BUSY, 2, ["R2"]), (OutcomeKind.TAKEN, 3, [])], ids=["busy", "taken"]
)
def test_of_a_lost_lease_only_that_it_was_taken_counts(
    batched: Bench, kind: OutcomeKind, counted: int, left: list[str]
) -> None:
    """One lease of a request that was lost meanwhile takes nothing from the others."""
    for order_id in orders(batched, 3):
        live(batched, order_id, "collected")
    batches(batched)
    first, lost, last = batched.claimed.claims
    batched.ledger.release(lost).result()
    assert batched.settle_together(*(batched.ended(each, kind, due_in_s=60) for each in (first, lost, last))) == counted
    assert [ref for batch in batches(batched) for ref, _status in batch] == left


def test_what_was_buried_meanwhile_opens_its_lane_when_it_was_taken_after_all(batched: Bench) -> None:
    """A former owner's answer counts, whatever travelled with it."""
    first, second = orders(batched, 2)
    for order_id in (first, second):
        live(batched, order_id, "collected")
    batches(batched)
    by_first_owner = [batched.ended(claim) for claim in batched.claimed.claims]
    batched.ledger.retire("w1", probe_after_s=0).result()
    batched.settle(batched.claim(batched.PORTAL, worker_id="w2")[0], OutcomeKind.REFUSED, worker_id="w2")
    live(batched, first, "in_transit")
    assert batches(batched) == []
    assert batched.settle_together(*by_first_owner) == 2
    assert batched.states(first) == [("numbered", "settled"), ("collected", "settled"), ("in_transit", "due")]
    assert batched.states(second) == [("numbered", "settled"), ("collected", "settled")]


def test_behind_a_call_that_others_follow_nobody_is_asked(batched: Bench) -> None:
    """Where one lane goes on with another call, the other lanes of this claim are not rendered any further."""
    for order_id in orders(batched, 4):
        live(batched, order_id, "collected", "in_transit")
    rendered = []

    def render(_name: str, owed: Any) -> Document:
        rendered.append(owed.update.status)
        return Document("other" if owed.update.status is Status.IN_TRANSIT else "update", b"{}", owed.delivery_id)

    claims = batched.ledger.claim(batched.PORTAL, worker_id="w1", most=9, render=render).result()
    assert [len(batch) for batch in claims.batches] == [4]
    assert sorted(rendered) == [*[Status.COLLECTED] * 4, Status.IN_TRANSIT]


def test_what_is_asked_after_travels_alone(bench: Bench) -> None:
    """With a probe an uncertain delivery is no part of a batch; without one it is told again together."""
    order_id = orders(bench, 1)[0]
    for has_probe, sizes in ((True, [1]), (False, [2])):
        reopened(bench, 4, has_probe=has_probe)
        live(bench, order_id, *(("collected", "in_transit") if has_probe else ()))
        for claim in bench.claim(bench.PORTAL):
            bench.settle(claim, OutcomeKind.UNKNOWN)
        assert [len(batch) for batch in batches(bench)] == sizes
        for claim in bench.claimed.claims:
            bench.settle(claim, OutcomeKind.UNKNOWN)


def test_a_trial_carries_one(batched: Bench) -> None:
    """A destination that may be well again is tried with a single delivery."""
    for order_id in orders(batched, 3):
        live(batched, order_id, "collected")
    batches(batched)
    for claim in batched.claimed.claims:
        batched.settle(claim, OutcomeKind.AUTH, then=Next.RETRY, is_lockout=True)
    batched.pass_time(seconds=5)
    assert [len(batch) for batch in batches(batched)] == [1]


def test_the_batches_of_a_dead_worker_are_taken_over(batched: Bench) -> None:
    """Head and followers become uncertain, and keep their order."""
    (order_id,) = orders(batched, 1)
    batched.ledger.register("w1", holds_lock=False).result()
    live(batched, order_id, "collected", "in_transit")
    batches(batched)
    batched.pass_time(minutes=1)
    batched.ledger.register("w2", holds_lock=False).result()
    assert batched.ledger.renew("w2", holds_lock=False, dead_after_s=10, probe_after_s=1).result() == (True, 2)
    batched.pass_time(seconds=1)
    assert batches(batched) == [[("R1", "collected"), ("R1", "in_transit")]]
    assert all(claim.is_uncertain for claim in batched.claimed.claims)


def test_no_more_batches_than_there_is_room_for(batched: Bench) -> None:
    """`most` counts requests, not deliveries."""
    for order_id in orders(batched, 9):
        live(batched, order_id, "collected")
    assert [len(batch) for batch in batches(batched, most=2)] == [4, 4]


@pytest.mark.parametrize(
    ("facts", "is_taken"), [({}, False), ({"has_probe": True}, True), ({"is_idempotent": True}, True)]
)
def test_batches_need_a_way_out_of_doubt(facts: dict[str, bool], *, is_taken: bool) -> None:
    """A system that can neither be asked nor be told twice is told one thing at a time."""
    manifest = {"key": "far", "title": "Far", "wire_version": "1", "roles": ["informed"], "batches": {"update": 4}}
    with nullcontext() if is_taken else pytest.raises(ValidationError, match="has_probe or is_idempotent"):
        Manifest.model_validate({**manifest, **facts})
