"""The outbox: what is due to whom, who is at it, and what becomes of it when something breaks."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from govpost.gateway.ledger import DeadReason, Next, Pending
from govpost.gateway.ledger.keyfile import KeyFile
from govpost.gateway.ledger.sealing import Sealer
from govpost.schemas import Cancelled, Outcome, OutcomeKind, Problem, Status
from govpost.schemas.errors import LedgerError, UnsupportedFeatureError

Bench = Any

FIRST = "EA000000014CN"


def renew(bench: Bench, worker_id: str, *, holds_lock: bool = False) -> tuple[bool, int]:
    """Renew a worker's row as the relay does."""
    result: tuple[bool, int] = bench.ledger.renew(
        worker_id, holds_lock=holds_lock, dead_after_s=10, probe_after_s=15
    ).result()
    return result


def due_in_s(bench: Bench, destination: str) -> float | None:
    """Tell in how many seconds the next delivery falls due."""
    claims = bench.ledger.claim(destination, worker_id="w1", most=100, render=bench.render).result()
    assert claims.claims == ()
    return claims.next_due_at and (claims.next_due_at - bench.now).total_seconds()


# Lanes.


def test_a_lane_goes_out_in_order_one_at_a_time(bench: Bench) -> None:
    """Only the head of a lane is ever leased; what follows waits until it is settled."""
    order_id = bench.numbered_order()
    for status in ("collected", "in_transit", "delivered"):
        bench.record(order_id, status)
    for expected in ("collected", "in_transit", "delivered"):
        claim = bench.claim_one(bench.PORTAL)
        assert claim.owed.update.status == expected
        assert bench.claim(bench.PORTAL, worker_id="w2") == ()
        bench.settle(claim)
    assert bench.claim(bench.PORTAL) == ()


def test_what_the_store_cannot_hold_is_its_unit_s_own_fault(bench: Bench) -> None:
    """A code that is no text does not count as a ledger that cannot be written, which would be tried for ever."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    with pytest.raises(sqlite3.Error):
        bench.settle(claim, OutcomeKind.BUSY, code=["no text"])
    assert bench.states(order_id, bench.POST) == [("place", "leased")]
    assert bench.settle(claim, waybill_no=FIRST)


def test_an_order_that_is_none_any_more_is_set_aside(bench: Bench) -> None:
    """One that opens and does not fit the vocabulary stops its own lane, not the claims."""
    broken, whole = bench.order("R1"), bench.order("R2")
    sealed = Sealer(KeyFile.load(bench.key_file)).seal(b"{}", row=f"orders|{broken}")
    with closing(sqlite3.connect(bench.file)) as store, store:
        store.execute("UPDATE orders SET sealed = ? WHERE order_id = ?", [sealed, broken])
    assert [claim.order_id for claim in bench.claim(bench.POST)] == [whole]
    assert [letter.reason for letter in bench.ledger.dead_letters()] == [DeadReason.UNREADABLE]


def test_a_retry_holds_its_lane(bench: Bench) -> None:
    """What follows a delivery that is tried again goes out after it, never before."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "delivered")
    bench.settle(bench.claim_one(bench.PORTAL), OutcomeKind.NOT_SENT, due_in_s=60)
    assert due_in_s(bench, bench.PORTAL) == 60
    bench.pass_time(seconds=60)
    assert bench.tell_all() == ["collected", "delivered"]


def test_lanes_do_not_wait_for_one_another(bench: Bench) -> None:
    """An order that is tried again later takes nothing from the others, nor one destination from another."""
    stuck, free = bench.order("R1"), bench.order("R2")
    claims = bench.claim(bench.POST)
    bench.settle(claims[0], OutcomeKind.BUSY, due_in_s=3600)
    bench.settle(claims[1], waybill_no=FIRST)
    assert bench.states(stuck, bench.POST) == [("place", "due")]
    assert bench.claim_one(bench.PORTAL).owed.order.order_id == free


def test_a_claim_takes_the_oldest_first_and_no_more_than_asked(bench: Bench) -> None:
    """Deliveries go out as they fell due."""
    orders = []
    for index in range(4):
        orders.append(bench.order(f"R{index}"))
        bench.pass_time(seconds=1)
    first = bench.claim(bench.POST, most=3)
    assert [claim.owed.order.order_id for claim in first] == orders[:3]
    assert bench.claim_one(bench.POST).owed.order.order_id == orders[3]


@pytest.mark.parametrize("kind", [OutcomeKind.BUSY, OutcomeKind.UNKNOWN])
def test_a_pause_does_not_shorten_a_wait(bench: Bench, kind: OutcomeKind) -> None:
    """What a destination asked to wait with still waits when its lane was paused and resumed meanwhile."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    bench.ledger.pause_lane(order_id, bench.POST, reason="asked to")
    bench.settle(claim, kind, due_in_s=3600)
    bench.pass_time(seconds=60)
    bench.ledger.resume_lane(order_id, bench.POST)
    assert due_in_s(bench, bench.POST) == 3600 - 60


def test_a_number_that_comes_ahead_does_not_shorten_a_wait(bench: Bench) -> None:
    """An update that a destination asked to wait with still waits after the leg's number went ahead of it."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    bench.record(order_id, "cancelled")
    bench.settle(bench.claim_one(bench.PORTAL), OutcomeKind.BUSY, due_in_s=3600)
    bench.record(order_id, "unknown", waybill_no=FIRST)
    bench.settle(bench.claim_one(bench.PORTAL))
    assert due_in_s(bench, bench.PORTAL) == 3600 - 60


def test_a_body_is_rendered_once_and_sent_byte_identical(bench: Bench) -> None:
    """Whatever changes meanwhile, what was rendered first is sent again, also after a restart."""
    bench.order()
    first = bench.claim_one(bench.POST)
    bench.amend()
    bench.settle(first, OutcomeKind.UNKNOWN)
    bench.reopen()
    again = bench.claim_one(bench.POST)
    assert again.document == first.document
    assert bench.rendered == [first.owed.delivery_id]
    assert (again.attempts, again.lease_no) == (2, 2)


def test_what_cannot_be_said_comes_as_refused(bench: Bench) -> None:
    """An order that the destination has no words for is leased without a document, the reason beside it."""
    bench.order()

    def refuse(_name: str, _owed: Any) -> Any:
        raise UnsupportedFeatureError("appointment", "this system has no word for it")

    (claim,) = bench.ledger.claim(bench.POST, worker_id="w1", most=1, render=refuse).result().claims
    assert claim.document is None
    assert (claim.unsayable.kind, claim.unsayable.code) == (OutcomeKind.REFUSED, "unsayable")


# Leases.


def test_a_lease_is_held_by_one(bench: Bench) -> None:
    """What a worker is at is not given to another."""
    bench.order()
    bench.claim_one(bench.POST)
    assert bench.claim(bench.POST, worker_id="w2") == ()


def test_a_released_lease_counts_as_untried(bench: Bench) -> None:
    """A clean stop gives back what was not sent: it can still be taken back by the portal."""
    order_id = bench.order()
    bench.ledger.release(bench.claim_one(bench.POST)).result()
    assert bench.lane(order_id, bench.POST)[0].attempts == 0
    assert bench.cancel() == Cancelled("R1", order_id)


def test_releasing_a_later_attempt_keeps_the_doubt(bench: Bench) -> None:
    """An earlier attempt may have arrived: a release does not forget that."""
    bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.UNKNOWN)
    bench.ledger.release(bench.claim_one(bench.POST)).result()
    assert isinstance(bench.cancel(), Pending)
    assert bench.claim_one(bench.POST).is_uncertain


def test_a_worker_that_is_silent_is_dead(bench: Bench) -> None:
    """Ten seconds after its last sign another takes over; its work is uncertain, and asked after one time-out later."""
    order_id = bench.order()
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.register("w2", holds_lock=False).result()
    bench.claim_one(bench.POST)
    bench.pass_time(seconds=10)
    assert renew(bench, "w2") == (True, 0)
    bench.pass_time(seconds=0.1)
    assert renew(bench, "w2") == (True, 1)
    row = bench.lane(order_id, bench.POST)[0]
    assert (row.state, row.is_uncertain, row.code) == ("due", True, "worker_died")
    assert due_in_s(bench, bench.POST) == 15
    assert [attempt.outcome for attempt in bench.ledger.read_attempts(row.delivery_id)] == ["unknown"]


def test_a_worker_that_renews_is_left_alone(bench: Bench) -> None:
    """Work under a live row stays with its worker however long it takes."""
    bench.order()
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.register("w2", holds_lock=False).result()
    bench.claim_one(bench.POST)
    for _ in range(10):
        bench.pass_time(seconds=3)
        assert renew(bench, "w1") == (True, 0)
        assert renew(bench, "w2") == (True, 0)


def test_whoever_holds_the_lock_knows_that_its_earlier_holder_is_gone(bench: Bench) -> None:
    """A restarted daemon that holds the file's lock takes over at once; a library's worker is not taken for dead."""
    bench.order("R1")
    bench.order("R2")
    bench.ledger.register("old", holds_lock=True).result()
    bench.ledger.register("library", holds_lock=False).result()
    bench.claim(bench.POST, most=1, worker_id="old")
    bench.claim(bench.POST, most=1, worker_id="library")
    bench.ledger.register("new", holds_lock=True).result()
    assert renew(bench, "new", holds_lock=True) == (True, 1)


def test_who_was_taken_for_dead_learns_it(bench: Bench) -> None:
    """A worker whose row is gone is told with its next renewal."""
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.register("w2", holds_lock=False).result()
    bench.pass_time(seconds=11)
    renew(bench, "w2")
    assert renew(bench, "w1") == (False, 0)


def test_a_worker_that_stops_cleanly_leaves_no_row(bench: Bench) -> None:
    """Nothing of a retired worker is there to be buried."""
    bench.ledger.register("w1", holds_lock=True).result()
    bench.ledger.retire("w1", probe_after_s=15).result()
    assert renew(bench, "w1") == (False, 0)


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (OutcomeKind.TAKEN, True),
        (OutcomeKind.NOT_SENT, False),
        (OutcomeKind.REFUSED, False),
        (OutcomeKind.UNKNOWN, False),
        (OutcomeKind.BUSY, False),
    ],
)
def test_from_a_former_owner_only_taken_counts(bench: Bench, kind: OutcomeKind, *, counts: bool) -> None:
    """A worker whose lease was taken over may still prove that the delivery arrived; nothing else it says counts."""
    order_id = bench.order()
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.register("w2", holds_lock=False).result()
    lost = bench.claim_one(bench.POST)
    bench.pass_time(seconds=11)
    renew(bench, "w2")
    bench.pass_time(seconds=15)
    held = bench.claim_one(bench.POST, worker_id="w2")
    assert held.lease_no == lost.lease_no + 1
    assert bench.settle(lost, kind) is counts
    assert bench.states(order_id, bench.POST) == [("place", "settled" if counts else "leased")]


def test_the_present_owner_s_outcome_after_a_former_one_s_taken_is_void(bench: Bench) -> None:
    """Once it is proven that a delivery arrived, no later outcome brings it back."""
    order_id = bench.order()
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.register("w2", holds_lock=False).result()
    lost = bench.claim_one(bench.POST)
    bench.pass_time(seconds=30)
    renew(bench, "w2")
    bench.pass_time(seconds=30)
    held = bench.claim_one(bench.POST, worker_id="w2")
    bench.settle(lost, waybill_no=FIRST)
    assert bench.settle(held, OutcomeKind.REFUSED, worker_id="w2") is False
    assert bench.states(order_id, bench.POST) == [("place", "settled")]
    assert bench.status(order_id) is Status.NUMBERED


# Dead letters.


def test_a_refused_delivery_parks_its_lane(bench: Bench) -> None:
    """What follows a dead letter waits for a person, under a typed reason."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit")
    bench.settle(bench.claim_one(bench.PORTAL), OutcomeKind.REFUSED, code="E7", text="陶雨芳 不存在")
    (lane,) = bench.ledger.lanes()
    assert (lane.order_id, lane.destination, lane.state, lane.reason, lane.waiting) == (
        order_id,
        bench.PORTAL,
        "parked",
        "refused",
        1,
    )
    (letter,) = bench.ledger.dead_letters(destination=bench.PORTAL)
    assert (letter.reason, letter.code, letter.text, letter.attempts) == ("refused", "E7", "陶雨芳 不存在", 1)
    assert "陶雨芳" not in repr(letter)
    assert bench.claim(bench.PORTAL) == ()


def test_a_code_may_let_the_lane_pass_on(bench: Bench) -> None:
    """Where the adapter's table says so, what follows a dead letter goes out."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit")
    bench.settle(bench.claim_one(bench.PORTAL), OutcomeKind.REFUSED, parks_lane=False)
    assert bench.ledger.lanes() == ()
    assert bench.tell_all() == ["in_transit"]
    assert len(bench.ledger.dead_letters()) == 1


def test_what_comes_later_waits_in_a_parked_lane(bench: Bench) -> None:
    """An event of an order whose lane is parked is recorded and owed, not sent."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.settle(bench.claim_one(bench.PORTAL), OutcomeKind.REFUSED)
    assert bench.record(order_id, "delivered").moved
    assert bench.claim(bench.PORTAL) == ()
    assert bench.states(order_id)[1:] == [("collected", "dead"), ("delivered", "queued")]


def test_a_replayed_dead_letter_goes_out_first(bench: Bench) -> None:
    """It is sent with its first body, from the start of its schedule; the lane follows."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit")
    dead = bench.claim_one(bench.PORTAL)
    bench.settle(dead, OutcomeKind.REFUSED)
    bench.pass_time(days=8)
    bench.ledger.replay(dead.owed.delivery_id)
    again = bench.claim_one(bench.PORTAL)
    assert again.document == dead.document
    assert (again.attempts, again.first_tried_at) == (1, bench.now)
    bench.settle(again)
    assert bench.tell_all() == ["in_transit"]
    assert bench.ledger.lanes() == ()


def test_a_replay_keeps_the_doubt(bench: Bench) -> None:
    """A delivery that may have arrived is asked after, also when a person replays it."""
    bench.order()
    claim = bench.claim_one(bench.POST)
    bench.settle(claim, OutcomeKind.UNKNOWN, then=Next.BURY, dead_reason=DeadReason.UNCERTAIN)
    bench.ledger.replay(claim.owed.delivery_id)
    assert bench.claim_one(bench.POST).is_uncertain


def test_a_dropped_dead_letter_lets_the_lane_go_on(bench: Bench) -> None:
    """What a person gave up is not sent; what follows is."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit")
    claim = bench.claim_one(bench.PORTAL)
    bench.settle(claim, OutcomeKind.REFUSED)
    bench.ledger.drop(claim.owed.delivery_id, reason="told them by phone")
    assert bench.tell_all() == ["in_transit"]
    assert bench.ledger.dead_letters() == ()
    assert bench.states(order_id)[1:] == [("collected", "dropped"), ("in_transit", "settled")]


def test_a_finally_refused_placement_leaves_the_order_accepted(bench: Bench) -> None:
    """The order is not cancelled by the backend's no: a person decides."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    bench.settle(claim, OutcomeKind.REFUSED)
    bench.ledger.drop(claim.owed.delivery_id, reason="placed by hand")
    assert bench.status(order_id) is Status.ACCEPTED
    assert bench.claim(bench.PORTAL) == ()


def test_dropping_a_placement_with_cancel_tells_the_portal(bench: Bench) -> None:
    """The order is cancelled by the post, and that is told, also to a portal that is not told its own cancels."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    bench.settle(claim, OutcomeKind.REFUSED)
    bench.ledger.drop(claim.owed.delivery_id, reason="no such address", cancel=True)
    assert bench.status(order_id) is Status.CANCELLED
    assert bench.tell_all() == ["cancelled"]
    assert bench.claim(bench.POST) == ()


def test_dropping_with_cancel_answers_the_portal_s_own_cancel(bench: Bench) -> None:
    """A cancel that waited behind the dead placement is answered yes and never sent."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    cancel, amend = bench.cancel(), bench.amend()
    bench.settle(claim, OutcomeKind.REFUSED)
    bench.ledger.drop(claim.owed.delivery_id, reason="no such address", cancel=True)
    assert bench.ledger.command_result(cancel) == Cancelled("R1", order_id)
    assert bench.ledger.command_result(amend).problem is Problem.TOO_LATE
    assert bench.claim(bench.POST) == ()


def test_only_a_placement_is_dropped_with_cancel(bench: Bench) -> None:
    """Giving up an update says nothing about the order."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    claim = bench.claim_one(bench.PORTAL)
    bench.settle(claim, OutcomeKind.REFUSED)
    with pytest.raises(LedgerError, match="without --cancel"):
        bench.ledger.drop(claim.owed.delivery_id, reason="x", cancel=True)
    assert bench.states(order_id)[-1] == ("collected", "dead")


@pytest.mark.parametrize("act", ["replay", "drop"])
def test_only_dead_letters_are_replayed_or_dropped(bench: Bench, act: str) -> None:
    """A delivery that is not dead, or not there, is left alone and the person told."""
    bench.order()
    delivery_id = bench.claim_one(bench.POST).owed.delivery_id
    options = {"reason": "x"} if act == "drop" else {}
    with pytest.raises(LedgerError, match="not dead but leased"):
        getattr(bench.ledger, act)(delivery_id, **options)
    with pytest.raises(LedgerError, match="no delivery has this number"):
        getattr(bench.ledger, act)("01HGGY4B5R0000000000000AB1", **options)


# Pauses.


def test_a_paused_lane_waits_for_a_person(bench: Bench) -> None:
    """Nothing of a paused lane goes out; resuming sends it in order."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.ledger.pause_lane(order_id, bench.PORTAL, reason="asked to")
    bench.record(order_id, "in_transit")
    assert bench.claim(bench.PORTAL) == ()
    assert [(lane.state, lane.reason, lane.waiting) for lane in bench.ledger.lanes()] == [("paused", "asked to", 2)]
    bench.ledger.resume_lane(order_id, bench.PORTAL)
    assert bench.tell_all() == ["collected", "in_transit"]


def test_a_lane_paused_under_way_stops_behind_what_is_under_way(bench: Bench) -> None:
    """The attempt that was out is settled; its successor waits."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit")
    claim = bench.claim_one(bench.PORTAL)
    bench.ledger.pause_lane(order_id, bench.PORTAL, reason="asked to")
    bench.settle(claim)
    assert bench.claim(bench.PORTAL) == ()
    bench.ledger.resume_lane(order_id, bench.PORTAL)
    assert bench.tell_all() == ["in_transit"]


def test_a_lane_that_was_not_stopped_is_not_resumed(bench: Bench) -> None:
    """The person is told that there was nothing to resume."""
    with pytest.raises(LedgerError, match="not stopped"):
        bench.ledger.resume_lane(bench.order(), bench.POST)


def test_a_paused_destination_waits_for_a_person(bench: Bench) -> None:
    """Nothing goes out to it, whatever it answered meanwhile, also after a restart; others go on."""
    bench.order("R1")
    claim = bench.claim_one(bench.POST)
    bench.order("R2")
    bench.ledger.pause_destination(bench.POST, reason="maintenance")
    bench.settle(claim, waybill_no=FIRST)
    bench.reopen()
    bench.pass_time(days=1)
    assert due_in_s(bench, bench.POST) is None
    assert len(bench.claim(bench.PORTAL)) == 1
    row = bench.ledger.destination(bench.POST)
    assert (row.state, row.reason, row.due) == ("paused", "maintenance", 1)
    bench.ledger.resume_destination(bench.POST)
    assert len(bench.claim(bench.POST)) == 1


# The breaker.


def breakages(bench: Bench, count: int, *, kind: OutcomeKind = OutcomeKind.UNKNOWN) -> None:
    """Let a destination break so many times in a row."""
    for _ in range(count):
        (claim,) = bench.claim(bench.POST, most=1)
        bench.settle(claim, kind, is_breakage=True)


def test_ten_breakages_in_a_row_pause_a_destination(bench: Bench) -> None:
    """Nine do not; the tenth stops everything to it for five seconds."""
    bench.order()
    breakages(bench, 9)
    assert bench.ledger.destination(bench.POST).state == "open"
    breakages(bench, 1)
    row = bench.ledger.destination(bench.POST)
    assert (row.state, row.breakages, row.until_at) == ("broken", 10, bench.now + timedelta(seconds=5))
    assert due_in_s(bench, bench.POST) == 5


def test_an_answer_between_breakages_starts_the_count_anew(bench: Bench) -> None:
    """Only breakages in a row count; a busy destination answers."""
    bench.order()
    breakages(bench, 9)
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.BUSY)
    breakages(bench, 9)
    assert bench.ledger.destination(bench.POST).state == "open"


def test_a_paused_destination_is_tried_with_one_delivery(bench: Bench) -> None:
    """When the pause is over one delivery goes out; the rest waits for its end."""
    for index in range(3):
        bench.order(f"R{index}")
    breakages(bench, 10)
    bench.pass_time(seconds=5)
    trial = bench.claim_one(bench.POST)
    assert bench.claim(bench.POST) == ()
    bench.settle(trial, waybill_no=FIRST)
    assert bench.ledger.destination(bench.POST).state == "open"
    assert len(bench.claim(bench.POST)) == 2


def test_each_failed_trial_doubles_the_pause_up_to_ten_minutes(bench: Bench) -> None:
    """5 s, 10 s, 20 s … 600 s."""
    bench.order()
    breakages(bench, 10)
    waits = []
    for _ in range(9):
        wait_s = due_in_s(bench, bench.POST)
        waits.append(wait_s)
        bench.pass_time(seconds=wait_s)
        breakages(bench, 1)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_what_was_under_way_when_it_broke_does_not_double_the_pause(bench: Bench) -> None:
    """Sixteen requests that break together are one breakage of the destination, not six doublings."""
    for index in range(16):
        bench.order(f"R{index}")
    for claim in bench.claim(bench.POST):
        bench.settle(claim, OutcomeKind.UNKNOWN, is_breakage=True)
    assert due_in_s(bench, bench.POST) == 5


@pytest.mark.parametrize("kind", [OutcomeKind.AUTH, OutcomeKind.MISCONFIGURED])
def test_a_lockout_pauses_at_once(bench: Bench, kind: OutcomeKind) -> None:
    """One answer that it does not know us is enough; it opens through one delivery at a time."""
    bench.order("R1")
    bench.order("R2")
    (claim,) = bench.claim(bench.POST, most=1)
    bench.settle(claim, kind, is_lockout=True)
    row = bench.ledger.destination(bench.POST)
    assert (row.state, row.reason) == ("broken", kind.value)
    bench.pass_time(seconds=5)
    assert len(bench.claim(bench.POST)) == 1


def test_a_worker_that_stops_leaves_no_lease_behind(bench: Bench) -> None:
    """What it did not settle is uncertain and due again after a time-out, though its row is gone at once."""
    bench.order("R1")
    bench.ledger.register("w1", holds_lock=False).result()
    bench.claim_one(bench.POST)
    bench.ledger.retire("w1", probe_after_s=15).result()
    assert bench.claim(bench.POST, worker_id="w2") == ()
    bench.pass_time(seconds=15)
    (claim,) = bench.claim(bench.POST, worker_id="w2")
    assert claim.is_uncertain


def test_a_pause_and_its_end_are_told_once(bench: Bench) -> None:
    """The tenth breakage tells until when it pauses, those before it nothing; a good trial tells that it is over."""
    bench.order("R1")
    told = []
    for _ in range(10):
        breakages(bench, 1)
        told.append(bench.settled.paused_until)
    assert told == [None] * 9 + [bench.now + timedelta(seconds=5)]
    bench.pass_time(seconds=5)
    bench.settle(bench.claim_one(bench.POST))
    assert (bench.settled.opened, bench.settled.paused_until) == (True, None)


def test_what_cannot_be_said_opens_nothing(bench: Bench) -> None:
    """A delivery that never leaves proves nothing of a broken destination."""
    bench.order("R1")
    breakages(bench, 10)
    bench.pass_time(seconds=5)
    (claim,) = bench.ledger.claim(bench.POST, worker_id="w1", most=1, render=bench.render).result().claims
    unsayable = replace(claim, document=None, unsayable=Outcome(OutcomeKind.REFUSED))
    bench.settle(unsayable, OutcomeKind.REFUSED, is_answer=False)
    assert bench.ledger.destination(bench.POST).state == "broken"


def test_a_dead_trial_does_not_keep_a_destination_closed(bench: Bench) -> None:
    """The lease of a worker that died with the trial is reclaimed, and another trial goes out."""
    bench.order("R1")
    bench.order("R2")
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.register("w2", holds_lock=False).result()
    breakages(bench, 10)
    bench.pass_time(seconds=5)
    bench.claim_one(bench.POST)
    bench.pass_time(seconds=11)
    assert renew(bench, "w2") == (True, 1)
    assert len(bench.claim(bench.POST, worker_id="w2")) == 1


def test_the_breaker_survives_a_restart(bench: Bench) -> None:
    """A destination that is broken is left alone by the next process too."""
    bench.order()
    breakages(bench, 10)
    bench.reopen()
    assert due_in_s(bench, bench.POST) == 5


def test_attempts_are_kept_without_personal_data(bench: Bench) -> None:
    """Each attempt is on record: when, how it ended, the code."""
    bench.order()
    claim = bench.claim_one(bench.POST)
    bench.settle(claim, OutcomeKind.BUSY, code="429", text="陶雨芳")
    bench.settle(bench.claim_one(bench.POST))
    tries = bench.ledger.read_attempts(claim.owed.delivery_id)
    assert [(each.outcome, each.code) for each in tries] == [("busy", "429"), ("taken", "")]


def test_an_idle_claim_tells_when_to_look_again(bench: Bench) -> None:
    """Nothing due says so, with the time of the next."""
    assert due_in_s(bench, bench.POST) is None
    bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.BUSY, due_in_s=90)
    assert due_in_s(bench, bench.POST) == 90
