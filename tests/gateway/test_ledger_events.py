"""Events in the ledger: what moves an order, what its portal is told, and what is taken back."""

from datetime import timedelta
from typing import Any

import pytest

from govpost.gateway.ledger import Next
from govpost.schemas import Cancelled, Direction, OutcomeKind, Status
from govpost.schemas.lifecycle import MOVES

Bench = Any

S = Status
#: How a test brings an order to a status: what is recorded, one after the other.
ROADS: dict[Status, tuple[Status, ...]] = {
    status: () if status is S.ACCEPTED else (status,) for status in S if status is not S.UNKNOWN
}
STATUSES = tuple(ROADS)
UNDER_WAY = "in_transit out_for_delivery delivered undelivered returning returned lost"


def untold(bench: Bench, order_id: str) -> list[str]:
    """Tell what is owed to the portal and not yet said, in lane order."""
    return [status for status, state in bench.states(order_id) if state in {"held", "queued", "due"}]


# Moves.


@pytest.mark.parametrize("to", STATUSES)
@pytest.mark.parametrize("current", STATUSES)
def test_only_what_the_table_allows_moves_an_order(bench: Bench, current: Status, to: Status) -> None:
    """An event moves the order where the contract says so, and only then is it told; all are kept."""
    order_id = bench.order()
    for status in ROADS[current]:
        bench.record(order_id, status)
    before = untold(bench, order_id)
    recorded = bench.record(order_id, to)
    moves = to in MOVES[current]
    assert (recorded.status, recorded.moved) == (201, moves)
    assert bench.status(order_id) is (to if moves else current)
    assert untold(bench, order_id) == [*before, *([to] if moves else [])]
    assert bench.ledger.read_events(order_id)[-1].event.status is to


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        ("accepted", f"numbered collected {UNDER_WAY} cancelled"),
        ("numbered", f"collected {UNDER_WAY} cancelled"),
        ("collected", f"{UNDER_WAY} cancelled"),
        ("in_transit", UNDER_WAY),
        ("out_for_delivery", UNDER_WAY),
        ("undelivered", UNDER_WAY),
        ("returning", "returning returned lost"),
        ("delivered", ""),
        ("returned", ""),
        ("cancelled", ""),
        ("lost", ""),
    ],
)
def test_the_table_of_moves_is_the_contract_s(current: str, expected: str) -> None:
    """The moves are those of the contract, written out (contracts: How an order lives)."""
    assert MOVES[Status(current)] == {Status(name) for name in expected.split()}


def test_a_late_event_is_kept_and_not_told(bench: Bench) -> None:
    """An event from before the newest moving one of its source moves nothing."""
    order_id = bench.numbered_order()
    bench.record(order_id, "out_for_delivery")
    recorded = bench.record(order_id, "in_transit", occurred_at=bench.now - timedelta(minutes=5))
    assert (recorded.status, recorded.moved) == (201, False)
    assert bench.status(order_id) is S.OUT_FOR_DELIVERY
    assert untold(bench, order_id) == ["out_for_delivery"]


def test_late_is_counted_by_source(bench: Bench) -> None:
    """The clock of one source says nothing about the events of another."""
    order_id = bench.numbered_order()
    bench.record(order_id, "in_transit")
    recorded = bench.record(order_id, "delivered", source="counter", occurred_at=bench.now - timedelta(hours=1))
    assert recorded.moved
    assert bench.status(order_id) is S.DELIVERED


def test_an_event_that_did_not_move_makes_nothing_late(bench: Bench) -> None:
    """Only moving events count for lateness."""
    order_id = bench.numbered_order()
    bench.record(order_id, "unknown", occurred_at=bench.now + timedelta(minutes=5))
    assert bench.record(order_id, "collected").moved


def test_the_same_event_again_is_the_same_answer(bench: Bench) -> None:
    """A repeated event is answered as the first was, and told once."""
    order_id = bench.numbered_order()
    event = bench.event("collected")
    answers = [bench.ledger.record(order_id, event).result() for _ in range(2)]
    assert [(answer.status, answer.moved) for answer in answers] == [(201, True), (200, True)]
    assert untold(bench, order_id) == ["collected"]


@pytest.mark.parametrize("facts", [{"status": "in_transit"}, {"reason": "moved"}, {"leg": 2}])
def test_a_contradictory_event_is_refused(bench: Bench, facts: dict[str, Any]) -> None:
    """The same number with other content is 409 and changes nothing."""
    order_id = bench.numbered_order()
    event = bench.event("collected")
    bench.ledger.record(order_id, event).result()
    recorded = bench.ledger.record(order_id, type(event).model_validate({**event.model_dump(), **facts})).result()
    assert recorded.status == 409
    assert bench.status(order_id) is S.COLLECTED
    assert untold(bench, order_id) == ["collected"]


def test_an_event_s_number_belongs_to_one_order(bench: Bench) -> None:
    """The same number for another order is a contradiction."""
    first, second = bench.order("R1"), bench.order("R2")
    event = bench.event("collected")
    assert bench.ledger.record(first, event).result().status == 201
    assert bench.ledger.record(second, event).result().status == 409


def test_sources_number_their_events_alone(bench: Bench) -> None:
    """Two sources may use the same number."""
    order_id = bench.numbered_order()
    assert bench.record(order_id, "collected", event_id="1").moved
    assert bench.record(order_id, "in_transit", event_id="1", source="counter").moved


def test_an_event_of_an_unknown_order_is_404(bench: Bench) -> None:
    """Nothing is kept of an order that is not ours."""
    assert bench.record("01HGGY4B5R0000000000000AB1", "collected").status == 404


@pytest.mark.parametrize(("minutes", "moves"), [(9, True), (11, False)])
def test_an_event_in_the_future_moves_nothing(bench: Bench, minutes: int, *, moves: bool) -> None:
    """Over ten minutes ahead an event is kept and marked; less is a clock's error."""
    order_id = bench.numbered_order()
    event = bench.event("collected", occurred_at=bench.now + timedelta(minutes=minutes))
    assert bench.ledger.record(order_id, event).result().moved is moves
    assert untold(bench, order_id) == (["collected"] if moves else [])


def test_an_unknown_event_is_kept_and_moves_nothing(bench: Bench) -> None:
    """An event that could not be read keeps its raw code and is not told."""
    order_id = bench.numbered_order()
    assert not bench.record(order_id, "unknown", raw_code="K7").moved
    assert bench.ledger.read_events(order_id)[-1].event.raw_code == "K7"
    assert untold(bench, order_id) == []


# Revokes.


def test_revoking_what_was_never_told_withdraws_it(bench: Bench) -> None:
    """An update that was never attempted is withdrawn; the portal hears of neither."""
    order_id = bench.numbered_order()
    bench.record(order_id, "in_transit")
    bench.record(order_id, "delivered", event_id="wrong")
    assert bench.record(order_id, None, revokes="wrong").moved
    assert bench.status(order_id) is S.IN_TRANSIT
    assert bench.tell_all() == ["in_transit"]


def test_revoking_what_was_told_owes_a_correction(bench: Bench) -> None:
    """A correction goes behind the update that it takes back, and names it."""
    order_id = bench.numbered_order()
    bench.record(order_id, "in_transit")
    bench.record(order_id, "delivered", event_id="wrong")
    assert bench.tell_all() == ["in_transit", "delivered"]
    told = bench.lane(order_id)[-1].delivery_id
    bench.record(order_id, None, revokes="wrong")
    correction = bench.claim_one(bench.PORTAL).owed.update
    assert (correction.status, correction.corrects) == (S.IN_TRANSIT, told)
    assert bench.status(order_id) is S.IN_TRANSIT


@pytest.mark.parametrize("kind", [OutcomeKind.UNKNOWN, OutcomeKind.BUSY])
def test_revoking_what_may_have_been_told_owes_a_correction_behind_it(bench: Bench, kind: OutcomeKind) -> None:
    """An update that was attempted is still told first; the correction follows."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered", event_id="wrong")
    bench.settle(bench.claim_one(bench.PORTAL), kind)
    bench.record(order_id, None, revokes="wrong")
    assert bench.tell_all() == ["delivered", "numbered"]


def test_revoking_what_is_on_its_way_owes_a_correction_behind_it(bench: Bench) -> None:
    """While a worker is at an update it counts as attempted."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered", event_id="wrong")
    claim = bench.claim_one(bench.PORTAL)
    bench.record(order_id, None, revokes="wrong")
    assert bench.claim(bench.PORTAL) == ()
    bench.settle(claim)
    assert bench.tell_all() == ["numbered"]


def test_after_a_revoke_the_order_moves_on(bench: Bench) -> None:
    """What was final before the revoke is open again; a real delivery is told."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered", event_id="wrong")
    bench.tell_all()
    bench.record(order_id, None, revokes="wrong")
    assert bench.record(order_id, "delivered").moved
    assert bench.tell_all() == ["numbered", "delivered"]


def test_a_revoke_before_its_event_waits_for_it(bench: Bench) -> None:
    """The event that was taken back before it came moves nothing and is not told."""
    order_id = bench.numbered_order()
    assert bench.record(order_id, None, event_id="back", revokes="wrong").status == 201
    recorded = bench.record(order_id, "delivered", event_id="wrong")
    assert (recorded.status, recorded.moved) == (201, False)
    assert bench.status(order_id) is S.NUMBERED
    assert untold(bench, order_id) == []
    assert bench.ledger.read_events(order_id)[-1].revoked_by == "back"


def test_a_second_revoke_is_the_same_answer(bench: Bench) -> None:
    """Another revoke of the same event answers as the first and owes nothing more."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered", event_id="wrong")
    bench.tell_all()
    first = bench.record(order_id, None, revokes="wrong")
    second = bench.record(order_id, None, revokes="wrong")
    assert (first.status, first.moved) == (second.status, second.moved) == (201, True)
    assert bench.tell_all() == ["numbered"]


def test_the_order_goes_back_to_its_last_event_that_holds(bench: Bench) -> None:
    """A revoke of an earlier event leaves the newest one standing; two revokes go back two."""
    order_id = bench.numbered_order()
    bench.record(order_id, "in_transit", event_id="one")
    bench.record(order_id, "undelivered", event_id="two")
    bench.record(order_id, None, revokes="two")
    assert bench.status(order_id) is S.IN_TRANSIT
    bench.record(order_id, None, revokes="one")
    assert bench.status(order_id) is S.NUMBERED


def test_a_revoke_that_says_a_status_tells_both(bench: Bench) -> None:
    """An event may take an earlier one back and say what is true instead."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered", event_id="wrong")
    bench.tell_all()
    assert bench.record(order_id, "undelivered", revokes="wrong").moved
    assert bench.status(order_id) is S.UNDELIVERED
    assert bench.tell_all()[-1] == "undelivered"


def test_a_revoke_of_what_did_not_move_tells_nothing(bench: Bench) -> None:
    """Taking back an event that moved nothing changes nothing."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered")
    bench.record(order_id, "in_transit", event_id="backward")
    assert not bench.record(order_id, None, revokes="backward").moved
    assert bench.status(order_id) is S.DELIVERED


def test_one_source_cannot_revoke_for_another(bench: Bench) -> None:
    """A revoke names an event of its own source."""
    order_id = bench.numbered_order()
    bench.record(order_id, "delivered", event_id="1")
    bench.record(order_id, None, revokes="1", source="counter")
    assert bench.status(order_id) is S.DELIVERED


# Waybills.


def test_the_first_waybill_records_numbered(bench: Bench) -> None:
    """A number in the backend's answer moves the order and is told."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST), waybill_no="EA000000014CN")
    assert bench.status(order_id) is S.NUMBERED
    update = bench.claim_one(bench.PORTAL).owed.update
    assert (update.status, update.waybill_no) == (S.NUMBERED, "EA000000014CN")


def test_a_number_in_an_event_goes_ahead_of_its_own_update(bench: Bench) -> None:
    """The number is told before what the event itself says."""
    order_id = bench.order()
    bench.record(order_id, "collected", waybill_no="EA000000014CN")
    assert bench.status(order_id) is S.COLLECTED
    assert bench.tell_all() == ["numbered", "collected"]


def test_updates_wait_for_the_number(bench: Bench) -> None:
    """What cannot be said without a number is held until it comes, and goes behind it, with it."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit")
    assert bench.claim(bench.PORTAL) == ()
    bench.record(order_id, "out_for_delivery", waybill_no="EA000000014CN")
    assert bench.tell_all() == ["numbered", "collected", "in_transit", "out_for_delivery"]


def test_a_cancel_is_told_without_a_number(bench: Bench) -> None:
    """A post that cancels before it numbered the item is reported."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    bench.record(order_id, "cancelled")
    assert bench.tell_all() == ["cancelled"]


def test_a_different_number_is_noticed_and_not_taken(bench: Bench) -> None:
    """The first number stays; a person is told; the event itself counts."""
    order_id = bench.numbered_order()
    recorded = bench.record(order_id, "collected", waybill_no="EA000000028CN")
    assert (recorded.status, recorded.moved, recorded.waybill_differs) == (201, True, True)
    assert bench.ledger.read_order(order_id).row.waybill_nos == {1: "EA000000014CN"}
    assert [notice.kind for notice in bench.ledger.read_notices(order_id)] == ["waybill_differs"]
    assert bench.claim_one(bench.PORTAL).owed.update.waybill_no == "EA000000014CN"


def test_the_same_number_again_is_no_news(bench: Bench) -> None:
    """A number that is known is not told again."""
    order_id = bench.numbered_order()
    assert not bench.record(order_id, "collected", waybill_no="EA000000014CN").waybill_differs
    assert bench.tell_all() == ["collected"]
    assert bench.ledger.read_notices(order_id) == ()


# Legs.


def test_legs_have_statuses_of_their_own(bench: Bench) -> None:
    """The order's status is leg 1's until leg 2's first event."""
    order_id = bench.numbered_order(direction=Direction.ROUND_TRIP)
    bench.record(order_id, "delivered")
    assert bench.status(order_id) is S.DELIVERED
    assert bench.record(order_id, "collected", leg=2, waybill_no="EA000000031CN").moved
    row = bench.ledger.read_order(order_id).row
    assert (row.status, row.legs) == (S.COLLECTED, {1: S.DELIVERED, 2: S.COLLECTED})
    assert row.waybill_nos == {1: "EA000000014CN", 2: "EA000000031CN"}
    assert bench.tell_all() == ["numbered", "delivered", "collected"]


def test_each_leg_is_told_with_its_own_number(bench: Bench) -> None:
    """An update carries its leg and that leg's number."""
    order_id = bench.order(direction=Direction.ROUND_TRIP)
    bench.settle(bench.claim_one(bench.POST), waybill_no="EA000000014CN", return_waybill_no="EA000000031CN")
    bench.record(order_id, "delivered")
    bench.record(order_id, "collected", leg=2)
    said = []
    while claims := bench.claim(bench.PORTAL):
        for claim in claims:
            update = claim.owed.update
            said.append((update.leg, update.status.value, update.waybill_no))
            bench.settle(claim)
    assert said == [
        (1, "numbered", "EA000000014CN"),
        (2, "numbered", "EA000000031CN"),
        (1, "delivered", "EA000000014CN"),
        (2, "collected", "EA000000031CN"),
    ]


def test_a_number_for_the_way_back_is_no_event_of_it(bench: Bench) -> None:
    """Numbering leg 2 in advance leaves the order at leg 1's status."""
    order_id = bench.order(direction=Direction.ROUND_TRIP)
    bench.settle(bench.claim_one(bench.POST), waybill_no="EA000000014CN", return_waybill_no="EA000000031CN")
    bench.record(order_id, "in_transit")
    assert bench.status(order_id) is S.IN_TRANSIT


def test_late_is_counted_by_leg(bench: Bench) -> None:
    """What happened on leg 1 does not make leg 2's events late."""
    order_id = bench.numbered_order(direction=Direction.ROUND_TRIP)
    bench.record(order_id, "delivered")
    assert bench.record(order_id, "collected", leg=2, occurred_at=bench.now - timedelta(minutes=30)).moved


def test_a_revoke_takes_back_the_leg_that_its_event_was_of(bench: Bench) -> None:
    """Revoking leg 2's event leaves leg 1 alone."""
    order_id = bench.numbered_order(direction=Direction.ROUND_TRIP)
    bench.record(order_id, "delivered")
    bench.record(order_id, "delivered", leg=2, event_id="wrong")
    bench.record(order_id, None, leg=2, revokes="wrong")
    row = bench.ledger.read_order(order_id).row
    assert (row.status, row.legs[1]) == (S.DELIVERED, S.DELIVERED)
    assert row.legs[2] is S.ACCEPTED


# Evidence.


def test_an_event_settles_a_placement_whose_answer_was_lost(bench: Bench) -> None:
    """The backend's event proves that it has the order: nothing is sent again."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.UNKNOWN)
    bench.record(order_id, "collected")
    assert bench.states(order_id, bench.POST) == [("place", "settled")]
    assert bench.claim(bench.POST) == ()


def test_an_event_settles_a_dead_placement_and_opens_its_lane(bench: Bench) -> None:
    """Also a placement that was given up; what waits behind it goes on."""
    order_id = bench.order()
    placement = bench.claim_one(bench.POST)
    bench.cancel()
    bench.settle(placement, OutcomeKind.UNKNOWN, then=Next.BURY)
    assert [lane.state for lane in bench.ledger.lanes(order_id)] == ["parked"]
    bench.record(order_id, "numbered", waybill_no="EA000000014CN")
    assert bench.ledger.lanes(order_id) == ()
    assert bench.states(order_id, bench.POST) == [("place", "settled"), ("cancel", "due")]
    assert bench.ledger.dead_letters() == ()


def test_an_event_of_another_source_is_no_evidence(bench: Bench) -> None:
    """Only the order's own backend can know that it has the order."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.UNKNOWN)
    bench.record(order_id, "collected", source="counter")
    assert bench.states(order_id, bench.POST) == [("place", "due")]


def test_a_cancelled_event_settles_the_portal_s_cancel(bench: Bench) -> None:
    """The backend that says `cancelled` took the cancel as well: the portal's repeat is answered yes."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    pending = bench.cancel()
    bench.record(order_id, "cancelled")
    assert bench.ledger.command_result(pending) == Cancelled("R1", order_id)
    assert bench.claim(bench.POST) == ()


def test_a_late_answer_after_the_evidence_changes_nothing(bench: Bench) -> None:
    """The answer that comes after the event settles nothing again; its number still counts."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    bench.record(order_id, "collected")
    bench.settle(claim, waybill_no="EA000000014CN")
    assert bench.ledger.read_order(order_id).row.waybill_nos == {1: "EA000000014CN"}
    assert bench.tell_all() == ["numbered", "collected"]
    assert bench.states(order_id, bench.POST) == [("place", "settled")]
