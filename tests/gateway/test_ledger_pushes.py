"""What backends push in their own words: whose item it is, what it takes back, and what nobody knows yet."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from govpost.gateway.ledger import Carriage
from govpost.schemas import Direction, Event, Mode, Notice, OutcomeKind, Problem, Query, Status, Telling

Bench = Any

FIRST, SECOND, THIRD = "EA000000014CN", "EA000000028CN", "EA000000031CN"


def tell(
    bench: Bench,
    status: str | None,
    *,
    order_id: str | None = None,
    waybill_no: str | None = None,
    later_min: int = 1,
    **facts: Any,
) -> Any:
    """Have the backend tell of an item, a minute after whatever was before."""
    bench.pass_time(minutes=later_min)
    event = bench.event(status, waybill_no=waybill_no, **facts)
    return bench.ledger.tell(bench.POST, Telling(event, order_id, waybill_no)).result()


def moved(bench: Bench, order_id: str) -> list[tuple[str | None, bool, bool]]:
    """List an order's events: what they say, whether they moved it, whether they were taken back."""
    return [
        (row.event.status and row.event.status.value, row.moved, row.revoked_by is not None)
        for row in bench.ledger.read_events(order_id)
    ]


# Whose item it is.


def test_an_item_is_found_by_our_number(bench: Bench) -> None:
    """The first push brings the waybill number, and proves that the backend has the order."""
    order_id = bench.order()
    claim = bench.claim_one(bench.POST)
    recorded = tell(bench, "collected", order_id=order_id, waybill_no=FIRST)
    assert (recorded.status, recorded.moved) == (201, True)
    assert bench.ledger.read_order(order_id).row.waybill_nos == {1: FIRST}
    bench.settle(claim, OutcomeKind.UNKNOWN)
    assert bench.states(order_id, bench.POST) == [("place", "settled")]
    assert bench.tell_all() == ["numbered", "collected"]


def test_an_item_is_found_by_its_waybill_number(bench: Bench) -> None:
    """Each leg by its own."""
    order_id = bench.order(direction=Direction.ROUND_TRIP)
    bench.settle(bench.claim_one(bench.POST), waybill_no=FIRST, return_waybill_no=SECOND)
    tell(bench, "collected", waybill_no=FIRST)
    tell(bench, "collected", waybill_no=SECOND)
    assert bench.ledger.read_order(order_id).row.legs == {1: Status.COLLECTED, 2: Status.COLLECTED}


def test_another_backend_s_item_is_not_found(bench: Bench) -> None:
    """A number is known to the backend that gave it."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    event = bench.event("collected")
    for telling in (Telling(event, None, FIRST), Telling(event, order_id, None)):
        assert bench.ledger.tell("other", telling).result().status in {200, 202}
    assert bench.status(order_id) is Status.NUMBERED


# What nobody knows yet.


def test_what_no_order_fits_waits_for_its_number(bench: Bench) -> None:
    """It is kept, once, and recorded in the order in which it happened as soon as the number appears."""
    later = bench.event("in_transit", waybill_no=FIRST, occurred_at=bench.now.replace(minute=30))
    earlier = bench.event("collected", waybill_no=FIRST, occurred_at=bench.now.replace(minute=10))
    statuses = [
        bench.ledger.tell(bench.POST, Telling(event, None, FIRST)).result().status for event in (later, earlier, later)
    ]
    assert statuses == [202, 202, 200]
    assert [row.waybill_no for row in bench.ledger.strays()] == [FIRST, FIRST]
    bench.pass_time(hours=1)
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST), waybill_no=FIRST)
    assert bench.status(order_id) is Status.IN_TRANSIT
    assert bench.ledger.strays() == ()
    assert bench.tell_all() == ["numbered", "collected", "in_transit"]


def test_a_stray_is_sealed(bench: Bench) -> None:
    """What was told of a stranger's item is not in the clear."""
    tell(bench, "delivered", waybill_no=FIRST, signer={"name": "赵青山"})
    bench.ledger.close()
    stored = b"".join(path.read_bytes() for path in bench.folder.glob("govpost.db*"))
    assert FIRST.encode() in stored
    assert "赵青山".encode() not in stored


def test_a_stray_number_of_ours_waits_as_well(bench: Bench) -> None:
    """An order number that is not in this ledger is no reason to lose an event."""
    assert tell(bench, "collected", order_id="01HGGY4B5R0000000000000AB1", waybill_no=FIRST).status == 202
    bench.order()
    bench.settle(bench.claim_one(bench.POST), waybill_no=FIRST)
    assert bench.tell_all() == ["numbered", "collected"]


# Several pieces.


def test_further_pieces_are_kept_and_not_told(bench: Bench) -> None:
    """The portal knows the first piece's number; what happens to the others is in the ledger alone."""
    tell(bench, "collected", waybill_no=THIRD)
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST), waybill_no=FIRST, more_waybill_nos=((1, SECOND), (1, THIRD)))
    tell(bench, "collected", order_id=order_id, waybill_no=SECOND)
    tell(bench, "delivered", waybill_no=SECOND)
    assert bench.status(order_id) is Status.NUMBERED
    assert bench.ledger.read_notices(order_id) == ()
    assert len(bench.ledger.read_events(order_id)) == 4
    tell(bench, "collected", waybill_no=FIRST)
    assert bench.tell_all() == ["numbered", "collected"]


# What takes back what.


def test_a_revoke_takes_the_newest_of_its_kind(bench: Bench) -> None:
    """It names a code, and means the newest event with it that is not later and stands."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "undelivered", waybill_no=FIRST, raw_code="705")
    tell(bench, "undelivered", waybill_no=FIRST, raw_code="705")
    tell(bench, None, waybill_no=FIRST, revokes_code="705")
    assert moved(bench, order_id)[1:] == [
        ("undelivered", True, False),
        ("undelivered", True, True),
        (None, True, False),
    ]
    tell(bench, None, waybill_no=FIRST, revokes_code="705")
    assert bench.status(order_id) is Status.NUMBERED


def test_a_revoke_may_come_first(bench: Bench) -> None:
    """It waits for the event it takes back, which then moves nothing; a later delivery stands."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "out_for_delivery", waybill_no=FIRST)
    at = bench.now
    tell(bench, None, waybill_no=FIRST, revokes_code="704")
    late = bench.event("delivered", raw_code="704", occurred_at=at)
    assert not bench.ledger.tell(bench.POST, Telling(late, None, FIRST)).result().moved
    assert bench.status(order_id) is Status.OUT_FOR_DELIVERY
    assert tell(bench, "delivered", waybill_no=FIRST, raw_code="704").moved
    assert bench.status(order_id) is Status.DELIVERED


def test_a_revoke_does_not_reach_forward(bench: Bench) -> None:
    """What happened after it is not what it takes back."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "delivered", waybill_no=FIRST, raw_code="704", later_min=60)
    early = bench.event(None, revokes_code="704", occurred_at=bench.now.replace(minute=0, hour=1))
    assert not bench.ledger.tell(bench.POST, Telling(early, None, FIRST)).result().moved
    assert bench.status(order_id) is Status.DELIVERED


def test_a_revoke_with_a_status_does_both(bench: Bench) -> None:
    """The delivery is taken back and the item is on its way home; the portal hears both, in order."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "delivered", waybill_no=FIRST, raw_code="704")
    assert bench.tell_all() == ["delivered"]
    tell(bench, "returning", waybill_no=FIRST, raw_code="741", revokes_code="704")
    assert bench.status(order_id) is Status.RETURNING
    assert bench.tell_all() == ["numbered", "returning"]


def test_without_anything_to_take_back_the_status_counts(bench: Bench) -> None:
    """Taken back by staff from a pickup point, after no delivery was told: it is in transit."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    assert tell(bench, "in_transit", waybill_no=FIRST, raw_code="749", revokes_code="748").moved
    assert bench.status(order_id) is Status.IN_TRANSIT
    assert bench.tell_all() == ["in_transit"]


def test_a_code_of_another_leg_is_not_meant(bench: Bench) -> None:
    """Legs are items of their own."""
    bench.order(direction=Direction.ROUND_TRIP)
    bench.settle(bench.claim_one(bench.POST), waybill_no=FIRST, return_waybill_no=SECOND)
    tell(bench, "delivered", waybill_no=FIRST, raw_code="704")
    assert not tell(bench, None, waybill_no=SECOND, revokes_code="704").moved


def test_a_repeated_revoke_is_the_same_event(bench: Bench) -> None:
    """Told twice it takes back once."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "delivered", waybill_no=FIRST, raw_code="704")
    bench.pass_time(minutes=1)
    revoke = bench.event(None, revokes_code="704")
    statuses = [bench.ledger.tell(bench.POST, Telling(revoke, None, FIRST)).result().status for _ in range(2)]
    assert statuses == [201, 200]
    assert bench.status(order_id) is Status.NUMBERED


@pytest.mark.parametrize("status", [None, "returning"])
def test_a_revoke_of_the_future_takes_nothing_back(bench: Bench, status: str | None) -> None:
    """What is dated more than ten minutes ahead is kept and moves nothing, whatever it says; nor is it waited for."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "out_for_delivery", waybill_no=FIRST, raw_code="702")
    far_ahead = {"revokes_code": "704", "raw_code": "743", "occurred_at": bench.now + timedelta(days=300)}
    far_ahead["waybill_no"] = FIRST
    before = tell(bench, status, **far_ahead)
    delivered = tell(bench, "delivered", raw_code="704", waybill_no=FIRST)
    after = tell(bench, status, **far_ahead)
    assert [(told.status, told.moved) for told in (before, delivered, after)] == [
        (201, False),
        (201, True),
        (201, False),
    ]
    assert bench.status(order_id) is Status.DELIVERED
    assert bench.tell_all() == ["out_for_delivery", "delivered"]


def test_what_the_future_told_is_no_revoke_s_target(bench: Bench) -> None:
    """Once that time has come, a true revoke takes back the true event."""
    order_id = bench.numbered_order(waybill_no=FIRST)
    tell(bench, "out_for_delivery", waybill_no=FIRST, raw_code="702")
    tell(bench, "delivered", raw_code="704", waybill_no=FIRST)
    tell(bench, "delivered", raw_code="704", waybill_no=FIRST, occurred_at=bench.now + timedelta(hours=1))
    bench.pass_time(hours=2)
    tell(bench, None, raw_code="743", revokes_code="704", waybill_no=FIRST)
    assert bench.status(order_id) is Status.OUT_FOR_DELIVERY


# Placements that reach a backend in parts.


@pytest.mark.parametrize(("leg", "state"), [(1, "leased"), (2, "settled")])
def test_leg_1_proves_nothing_of_leg_2(bench: Bench, leg: int, state: str) -> None:
    """Where each leg is an order of its own, a placement stands proven only by the second one."""
    bench.reopen(carriage={bench.POST: Carriage(places_in_parts=True)})
    order_id = bench.order(direction=Direction.ROUND_TRIP)
    bench.claim_one(bench.POST)
    tell(bench, "collected", order_id=order_id, waybill_no=FIRST, leg=leg)
    assert bench.states(order_id, bench.POST) == [("place", state)]


@pytest.mark.parametrize(
    ("content", "status", "state"),
    [
        ({"direction": Direction.FROM_APPLICANT}, "unknown", "leased"),
        ({"direction": Direction.FROM_APPLICANT}, "numbered", "leased"),
        ({"direction": Direction.FROM_APPLICANT}, "collected", "settled"),
        ({"direction": Direction.FROM_APPLICANT}, "cancelled", "settled"),
        ({"direction": Direction.FROM_APPLICANT, "mode": Mode.COUNTER}, "unknown", "settled"),
        ({"direction": Direction.TO_APPLICANT}, "unknown", "settled"),
        ({"direction": Direction.TO_APPLICANT}, "numbered", "settled"),
    ],
)
def test_a_number_proves_no_courier(bench: Bench, content: dict[str, Any], status: str, state: str) -> None:
    """Where the item is fetched from people, only that it was collected proves that somebody was asked to."""
    bench.reopen(carriage={bench.POST: Carriage(places_in_parts=True)})
    order_id = bench.order(**content)
    bench.claim_one(bench.POST)
    tell(bench, status, order_id=order_id, waybill_no=FIRST)
    assert bench.states(order_id, bench.POST) == [("place", state)]


def test_what_the_post_cancelled_is_not_placed_any_further(bench: Bench) -> None:
    """A round trip whose leg 1 it cancelled has no way back either."""
    bench.reopen(carriage={bench.POST: Carriage(places_in_parts=True)})
    order_id = bench.order(direction=Direction.ROUND_TRIP)
    claim = bench.claim_one(bench.POST)
    tell(bench, "cancelled", order_id=order_id)
    assert bench.settle(claim, OutcomeKind.UNKNOWN) is False
    assert bench.status(order_id) is Status.CANCELLED
    assert bench.states(order_id, bench.POST) == [("place", "settled")]


def test_a_cancel_of_the_future_proves_the_order_and_no_cancel(bench: Bench) -> None:
    """Whoever told it has the order; that it was cancelled is not so yet."""
    order_id = bench.order()
    bench.claim_one(bench.POST)
    bench.cancel()
    tell(bench, "cancelled", order_id=order_id, occurred_at=bench.now + timedelta(days=30))
    assert bench.status(order_id) is Status.ACCEPTED
    assert bench.states(order_id, bench.POST) == [("place", "settled"), ("cancel", "due")]


def test_a_stray_that_does_not_open_holds_nothing_up(bench: Bench) -> None:
    """The order has its number and what else was told of it; the broken one stays for a person."""
    for status in ("collected", "in_transit"):
        tell(bench, status, waybill_no=FIRST)
    with closing(sqlite3.connect(bench.file)) as store, store:
        store.execute("UPDATE strays SET sealed = zeroblob(60) WHERE stray_no = 1")
    order_id = bench.order()
    assert bench.settle(bench.claim_one(bench.POST), waybill_no=FIRST)
    assert bench.status(order_id) is Status.IN_TRANSIT
    with closing(sqlite3.connect(bench.file)) as store:
        assert store.execute("SELECT stray_no FROM strays").fetchall() == [(1,)]


def test_a_number_of_a_way_back_that_there_is_not_is_for_a_person(bench: Bench) -> None:
    """It is not told, and takes no event with it."""
    tell(bench, "collected", waybill_no=SECOND)
    order_id = bench.order()
    bench.settle(
        bench.claim_one(bench.POST), waybill_no=FIRST, return_waybill_no=SECOND, more_waybill_nos=((2, THIRD),)
    )
    assert bench.ledger.read_order(order_id).row.waybill_nos == {1: FIRST}
    assert [notice.kind for notice in bench.ledger.read_notices(order_id)] == [Notice.WAYBILL_DIFFERS] * 2
    assert bench.tell_all() == ["numbered"]
    assert [stray.waybill_no for stray in bench.ledger.strays()] == [SECOND]


def test_an_order_that_goes_one_way_has_no_second_leg(bench: Bench) -> None:
    """What a backend tells of one is kept for a person; at the API it is refused."""
    order_id = bench.order()
    told = tell(bench, "collected", order_id=order_id, waybill_no=FIRST, leg=2)
    recorded = bench.record(order_id, "collected", leg=2)
    assert (told.status, recorded.status, recorded.detail) == (202, 422, "leg: the order goes one way only")
    assert bench.status(order_id) is Status.ACCEPTED
    assert [stray.waybill_no for stray in bench.ledger.strays()] == [FIRST]


# Requests that may be repeated.


@pytest.mark.parametrize(("digest", "is_answered"), [(b"same", True), (b"other", False), (None, False)])
def test_a_nonce_with_a_digest_may_come_again(bench: Bench, digest: bytes | None, *, is_answered: bool) -> None:
    """The same request again is a retry, other content under the same nonce a replay."""
    bench.order("R1")

    def ask(nonce_digest: bytes | None) -> Any:
        return bench.ledger.execute(bench.PORTAL, Query("R1"), nonce="n1", nonce_digest=nonce_digest).result()

    first, again = ask(b"same"), ask(digest)
    assert first.status is Status.ACCEPTED
    assert (again == first) is is_answered
    assert is_answered or again.problem is Problem.REPLAYED


def test_an_event_must_say_something() -> None:
    """A code that is taken back is enough."""
    event = Event.model_validate({"event_id": "e", "occurred_at": "2026-03-02T01:00:00Z", "revokes_code": "704"})
    assert event.status is None
