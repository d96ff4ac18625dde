"""Orders in the ledger: taken once, cancelled and amended as far as the backend has not got them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from govpost.gateway.ledger import Next, Pending
from govpost.schemas import (
    Address,
    Amended,
    Cancelled,
    Denied,
    Found,
    Item,
    OutcomeKind,
    Party,
    Placed,
    Problem,
    Query,
    Status,
)

Bench = Any


def problem(answer: Any) -> Problem:
    """Tell why a command was denied."""
    assert isinstance(answer, Denied)
    return answer.problem


# The same order again.


def test_the_same_order_again_gets_the_same_answer(bench: Bench) -> None:
    """A repeated order names the first number, says that it is a repeat, and owes nothing more."""
    first = bench.place()
    bench.pass_time(days=30)
    assert bench.place() == Placed("R1", first.order_id, is_repeat=True)
    assert bench.states(first.order_id, bench.POST) == [("place", "due")]


def test_other_content_is_a_conflict_and_changes_nothing(bench: Bench) -> None:
    """The same number with other content is denied, and the first content stays."""
    order_id = bench.order()
    assert problem(bench.place(items=(Item(name="公章"),))) is Problem.CONFLICT
    assert bench.ledger.read_order(order_id).order.items[0].name == "营业执照"
    assert bench.place().is_repeat


def test_the_same_number_of_another_portal_is_another_order(bench: Bench) -> None:
    """Order numbers are unique within a portal only."""
    first, other = bench.place(), bench.place(portal="court")
    assert other.order_id != first.order_id
    assert not other.is_repeat


def test_the_same_order_at_the_same_moment_is_one(bench: Bench) -> None:
    """Sixteen threads and two openings of the file that place one order get one number; one of them is the first."""
    second = bench.open()
    ledgers = [bench.ledger, second] * 8
    with ThreadPoolExecutor(len(ledgers)) as threads:
        answers = list(threads.map(lambda ledger: bench.place(ledger=ledger), ledgers))
    assert len({answer.order_id for answer in answers}) == 1
    assert [answer.is_repeat for answer in answers].count(False) == 1
    assert len(bench.ledger.find_orders().rows) == 1
    assert len(bench.claim(bench.POST)) == 1


def test_many_orders_at_the_same_moment_are_all_kept(bench: Bench) -> None:
    """Orders of many threads that share commits are each stored, under numbers of their own."""
    with ThreadPoolExecutor(16) as threads:
        numbers = set(threads.map(lambda index: bench.order(f"R{index}"), range(100)))
    assert len(numbers) == 100
    assert len(bench.ledger.find_orders(limit=200).rows) == 100


# Nonces.


def test_a_nonce_is_taken_once(bench: Bench) -> None:
    """A nonce that was used before is answered `replayed`, whatever it comes with, and stores nothing."""
    bench.order(nonce="n1")
    assert problem(bench.place("R2", nonce="n1")) is Problem.REPLAYED
    assert [row.portal_ref for row in bench.ledger.find_orders().rows] == ["R1"]


def test_a_nonce_is_remembered_over_a_restart(bench: Bench) -> None:
    """A replay after a restart is a replay all the same."""
    bench.order(nonce="n1")
    bench.reopen()
    assert problem(bench.place("R2", nonce="n1")) is Problem.REPLAYED


def test_a_denied_command_uses_its_nonce_up(bench: Bench) -> None:
    """A proven request that was denied cannot be replayed either."""
    denied = Denied(Problem.INVALID, "orderNo: is missing")
    assert bench.ledger.execute(bench.PORTAL, denied, nonce="n1").result() == denied
    assert problem(bench.place(nonce="n1")) is Problem.REPLAYED


@pytest.mark.parametrize(("age_s", "is_known"), [(599, True), (601, False)])
def test_old_nonces_are_forgotten(bench: Bench, age_s: int, *, is_known: bool) -> None:
    """Nonces go when the timestamp beside them would be refused anyway, twice its tolerance later."""
    bench.order(nonce="n1")
    bench.pass_time(seconds=age_s)
    bench.ledger.register("w1", holds_lock=False).result()
    bench.ledger.renew("w1", holds_lock=False, dead_after_s=10, probe_after_s=15).result()
    assert isinstance(bench.place("R2", nonce="n1"), Denied) is is_known


# Cancelling.


def test_cancelling_an_untried_order_is_settled_here(bench: Bench) -> None:
    """An order whose placement was never tried is cancelled at once; the backend never hears of it."""
    order_id = bench.order()
    assert bench.cancel() == Cancelled("R1", order_id)
    assert bench.status(order_id) is Status.CANCELLED
    assert bench.states(order_id, bench.POST) == [("place", "withdrawn")]
    assert bench.claim(bench.POST) == ()


def test_a_portal_is_not_told_its_own_cancel(bench: Bench) -> None:
    """A portal that does not want its own cancel told gets the answer only."""
    order_id = bench.order()
    bench.cancel()
    assert bench.states(order_id) == []


def test_cancelling_again_answers_yes(bench: Bench) -> None:
    """Cancelling what is cancelled answers yes, also under another command id."""
    order_id = bench.order()
    bench.cancel()
    assert bench.cancel(command_id="another") == Cancelled("R1", order_id)


def test_cancelling_an_unknown_order_is_denied(bench: Bench) -> None:
    """There is nothing to cancel under a number that was never placed."""
    assert problem(bench.cancel("never")) is Problem.UNKNOWN_ORDER


def test_cancelling_a_tried_order_waits_for_the_backend(bench: Bench) -> None:
    """A placement that was tried is not taken back here: the cancel is owed behind it, and the order stands."""
    order_id = bench.order()
    placement = bench.claim_one(bench.POST)
    answer = bench.cancel()
    assert isinstance(answer, Pending)
    assert bench.claim(bench.POST) == ()
    bench.settle(placement)
    assert bench.status(order_id) is Status.ACCEPTED
    assert bench.states(order_id, bench.POST) == [("place", "settled"), ("cancel", "due")]


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [(OutcomeKind.TAKEN, None, Status.CANCELLED), (OutcomeKind.REFUSED, Problem.TOO_LATE, Status.ACCEPTED)],
)
def test_the_backend_decides_a_late_cancel(
    bench: Bench, kind: OutcomeKind, expected: Problem | None, status: Status
) -> None:
    """Taken by the backend → cancelled; refused → too late; the repeat gets the same command's result."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    pending = bench.cancel()
    bench.settle(bench.claim_one(bench.POST), kind, then=Next.SETTLE)
    for answer in (bench.ledger.command_result(pending), bench.cancel()):
        assert (answer == Cancelled("R1", order_id)) if expected is None else (problem(answer) is expected)
    assert bench.status(order_id) is status


def test_a_cancel_still_open_is_not_owed_twice(bench: Bench) -> None:
    """Asking again while the backend has not answered waits for the same delivery."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    assert bench.cancel() == bench.cancel()
    assert [row.kind for row in bench.lane(order_id, bench.POST)] == ["place", "cancel"]


def test_a_placement_that_surely_never_left_can_be_taken_back(bench: Bench) -> None:
    """A first attempt that reached nobody counts as none: the cancel is settled here."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.NOT_SENT, due_in_s=60)
    assert bench.cancel() == Cancelled("R1", order_id)


def test_what_waits_behind_a_placement_goes_with_it(bench: Bench) -> None:
    """An amendment of an order that the backend never had is not sent; the portal learns that it came too late."""
    order_id = bench.order()
    placement = bench.claim_one(bench.POST)
    pending = bench.amend()
    bench.settle(placement, OutcomeKind.NOT_SENT)
    assert bench.cancel() == Cancelled("R1", order_id)
    assert bench.claim(bench.POST) == ()
    assert problem(bench.ledger.command_result(pending)) is Problem.TOO_LATE


def test_a_placement_in_doubt_cannot_be_taken_back(bench: Bench) -> None:
    """After an unknown outcome a later attempt that never left does not make the placement untried."""
    bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.UNKNOWN)
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.NOT_SENT)
    assert isinstance(bench.cancel(), Pending)


@pytest.mark.parametrize("status", [Status.COLLECTED, Status.IN_TRANSIT, Status.DELIVERED])
def test_a_collected_order_is_too_late_to_cancel(bench: Bench, status: Status) -> None:
    """The post has the item: the order cannot be cancelled any more."""
    order_id = bench.numbered_order()
    bench.record(order_id, status)
    assert problem(bench.cancel()) is Problem.TOO_LATE


# Amending.


def test_amending_an_untried_order_is_settled_here(bench: Bench) -> None:
    """The backend is given the amended recipient with the placement, and no amendment beside it."""
    order_id = bench.order()
    assert bench.amend() == Amended("R1", order_id)
    claim = bench.claim_one(bench.POST)
    assert claim.owed.order.recipient == bench.NEIGHBOUR
    bench.settle(claim)
    assert bench.claim(bench.POST) == ()


def test_amending_what_never_left_changes_what_is_sent(bench: Bench) -> None:
    """A body that was rendered, and surely reached nobody, is made anew for the amended recipient."""
    bench.order()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.NOT_SENT)
    assert isinstance(bench.amend(), Amended)
    assert bench.NEIGHBOUR.name.encode() in bench.claim_one(bench.POST).document.body


def test_amendments_keep_their_order(bench: Bench) -> None:
    """An amendment behind an older one that still waits goes out behind it, so that the newest holds in the end."""
    order_id = bench.order()
    newer = Party(name="孙晓", phone="13800005678", address=Address(street="江北城2号"))
    placement = bench.claim_one(bench.POST)
    bench.amend(command_id="A1")
    bench.settle(placement, OutcomeKind.NOT_SENT)
    assert isinstance(bench.amend(command_id="A2", recipient=newer), Pending)
    assert bench.tell_all(bench.POST) == ["place", "amend", "amend"]
    assert bench.ledger.read_order(order_id).order.recipient == newer


def test_an_amendment_is_not_applied_twice(bench: Bench) -> None:
    """The repeat of an amendment is answered; a newer one stays in force."""
    order_id = bench.order()
    newer = Party(name="孙晓", phone="13800005678", address=Address(street="江北城2号"))
    bench.amend(command_id="A1")
    bench.amend(command_id="A2", recipient=newer)
    assert bench.amend(command_id="A1") == Amended("R1", order_id)
    assert bench.ledger.read_order(order_id).order.recipient == newer


def test_the_fingerprint_stays_that_of_the_first_content(bench: Bench) -> None:
    """After an amendment the order as first placed is still the same order again, not a conflict."""
    order_id = bench.order()
    bench.amend()
    assert bench.place() == Placed("R1", order_id, is_repeat=True)
    assert bench.ledger.read_order(order_id).order.recipient == bench.NEIGHBOUR


def test_amending_a_tried_order_asks_the_backend(bench: Bench) -> None:
    """The amendment is owed behind the placement and holds when the backend took it."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    pending = bench.amend()
    assert isinstance(pending, Pending)
    assert bench.ledger.read_order(order_id).order.recipient == bench.RECIPIENT
    claim = bench.claim_one(bench.POST)
    assert (claim.owed.kind, claim.owed.order.recipient) == ("amend", bench.NEIGHBOUR)
    bench.settle(claim)
    assert bench.ledger.command_result(pending) == Amended("R1", order_id)
    assert bench.ledger.read_order(order_id).order.recipient == bench.NEIGHBOUR


def test_a_refused_amendment_is_too_late(bench: Bench) -> None:
    """The recipient stays when the backend refused to change it."""
    order_id = bench.order()
    bench.settle(bench.claim_one(bench.POST))
    pending = bench.amend()
    bench.settle(bench.claim_one(bench.POST), OutcomeKind.REFUSED, then=Next.SETTLE)
    assert problem(bench.ledger.command_result(pending)) is Problem.TOO_LATE
    assert bench.ledger.read_order(order_id).order.recipient == bench.RECIPIENT


def test_a_backend_that_cannot_amend_is_not_asked(bench: Bench) -> None:
    """With such a backend an order can be amended only while the placement is untried."""
    bench.reopen(backend_amends=frozenset())
    bench.order()
    assert isinstance(bench.amend(command_id="A1"), Amended)
    bench.settle(bench.claim_one(bench.POST))
    assert problem(bench.amend(command_id="A2")) is Problem.TOO_LATE


def test_amending_an_unknown_or_a_cancelled_order_is_denied(bench: Bench) -> None:
    """There is nothing to amend."""
    assert problem(bench.amend("never")) is Problem.UNKNOWN_ORDER
    bench.order()
    bench.cancel()
    assert problem(bench.amend()) is Problem.TOO_LATE


# Finding.


@pytest.mark.parametrize("number", ["17134182391", "18333267866", "500108196905244643"])
def test_an_order_is_found_by_its_people(bench: Bench, number: str) -> None:
    """The phones and ID numbers of both parties find the order."""
    order_id = bench.order()
    assert [row.order_id for row in bench.ledger.find_by_person(number)] == [order_id]


def test_an_amended_order_is_found_by_the_new_recipient(bench: Bench) -> None:
    """An amendment can be looked up as well."""
    order_id = bench.order()
    bench.amend()
    assert [row.order_id for row in bench.ledger.find_by_person(bench.NEIGHBOUR.phone)] == [order_id]
    assert bench.ledger.find_by_person("13900009999") == ()


def test_a_query_tells_what_moved_the_order(bench: Bench) -> None:
    """A query answers content, status, numbers, and the traces that hold, oldest first."""
    order_id = bench.numbered_order()
    bench.record(order_id, "collected")
    bench.record(order_id, "in_transit", event_id="wrong")
    bench.record(order_id, None, revokes="wrong")
    found = bench.ledger.execute(bench.PORTAL, Query("R1")).result()
    assert isinstance(found, Found)
    assert (found.status, found.waybill_nos) == (Status.COLLECTED, {1: "EA000000014CN"})
    assert [trace.status for trace in found.traces] == ["numbered", "collected"]
    assert problem(bench.ledger.execute(bench.PORTAL, Query("never")).result()) is Problem.UNKNOWN_ORDER
