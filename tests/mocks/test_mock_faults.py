"""The fault plan decides the same again for the same seed, and scripted faults come first."""

import pytest

from govpost.mocks.faults import INCOMING, OUTGOING, OWN, FaultKind, FaultPlan
from govpost.schemas import WireRequest

REQUEST = WireRequest("POST", "/orders")


def _kinds(plan: FaultPlan, number: int = 200) -> list[FaultKind | None]:
    faults = [plan.draw(REQUEST) for _ in range(number)]
    return [None if fault is None else fault.kind for fault in faults]


def test_seed_decides_the_faults() -> None:
    """The same seed gives the same faults, another seed others, and all kinds with a rate occur."""
    rates = {"reset": 0.3, "busy": 0.3}
    first, again, other = (_kinds(FaultPlan(seed, rates)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert set(first) == {FaultKind.RESET, FaultKind.BUSY, None}


def test_directions_do_not_disturb_each_other() -> None:
    """What a mock sends in between does not change what happens to what it receives."""
    rates = {"reset": 0.3, "duplicate": 0.5}
    quiet, busy = FaultPlan(7, rates), FaultPlan(7, rates)
    busy.arrange(range(50))
    assert _kinds(quiet) == _kinds(busy)


def _own(plan: FaultPlan, kind: FaultKind, number: int = 200) -> list[bool]:
    return [plan.draw_own(kind) is not None for _ in range(number)]


def test_own_faults_are_seeded() -> None:
    """A system's own fault happens as often as its rate says, the same again for the same seed, and is counted."""
    rates = {"partial_batch": 0.3}
    first, again, other = (FaultPlan(seed, rates) for seed in (7, 7, 8))
    drawn = _own(first, FaultKind.PARTIAL_BATCH)
    assert drawn == _own(again, FaultKind.PARTIAL_BATCH)
    assert drawn != _own(other, FaultKind.PARTIAL_BATCH)
    assert 0 < sum(drawn) < 200
    assert first.drawn == {FaultKind.PARTIAL_BATCH: sum(drawn)}


def test_own_faults_are_independent() -> None:
    """Asking for one kind neither rolls another's dice nor those of what comes in; each may have any rate up to 1."""
    rates = {"partial_batch": 0.5, "lost_cursor": 1.0, "broken_item": 1.0, "reset": 0.5}
    alone, busy = FaultPlan(7, rates), FaultPlan(7, rates)
    assert _own(busy, FaultKind.LOST_CURSOR, 20) == [True] * 20
    assert _own(alone, FaultKind.PARTIAL_BATCH) == _own(busy, FaultKind.PARTIAL_BATCH)
    assert _kinds(alone) == _kinds(busy)
    assert alone.rates == rates


def test_own_fault_without_a_rate_never_happens() -> None:
    """A kind that has no rate and no script does not happen, whatever the others do."""
    plan = FaultPlan(rates={"lost_cursor": 1.0, "reset": 1.0})
    plan.next("hang")
    assert _own(plan, FaultKind.PARTIAL_BATCH) == [False] * 200


def test_scripted_own_fault() -> None:
    """A scripted fault of a system's own waits for its kind and its subject, and carries its seconds."""
    plan = FaultPlan()
    plan.next("early_push", when=lambda subject: subject == "b", seconds=0.5)
    assert plan.draw(REQUEST) is None
    assert plan.draw_own(FaultKind.EXPIRED_KEY, "b") is None
    assert plan.draw_own(FaultKind.EARLY_PUSH, "a") is None
    fault = plan.draw_own(FaultKind.EARLY_PUSH, "b")
    assert fault is not None
    assert (fault.kind, fault.seconds) == (FaultKind.EARLY_PUSH, 0.5)
    assert plan.draw_own(FaultKind.EARLY_PUSH, "b") is None


@pytest.mark.parametrize("kind", ["reset", "duplicate"])
def test_only_own_faults_are_drawn_as_such(kind: str) -> None:
    """What carriers act out, or `arrange` does, is nothing that a mock brings about itself."""
    with pytest.raises(KeyError):
        FaultPlan().draw_own(FaultKind(kind))


def test_scripted_faults_come_first() -> None:
    """A scripted fault is used as often as said, in the order of the script, before any rate."""
    plan = FaultPlan(rates={"busy": 1.0})
    plan.next("reset", times=2)
    plan.next("hang")
    assert _kinds(plan, 4) == [FaultKind.RESET, FaultKind.RESET, FaultKind.HANG, FaultKind.BUSY]


def test_scripted_fault_waits_for_its_request() -> None:
    """A scripted fault with a condition passes over requests that do not meet it."""
    plan = FaultPlan()
    plan.next("reset", when=lambda request: request.path == "/other")
    assert plan.draw(REQUEST) is None
    fault = plan.draw(WireRequest("POST", "/other"))
    assert fault is not None
    assert fault.kind is FaultKind.RESET


def test_scripted_fault_stays_in_its_direction() -> None:
    """A fault of what is sent never meets what is received, and the other way round."""
    plan = FaultPlan()
    plan.next("duplicate")
    plan.next("reset")
    assert _kinds(plan, 2) == [FaultKind.RESET, None]
    assert plan.arrange([1, 2]) == [1, 1, 2]


def test_sent_out_of_order() -> None:
    """What is out of order comes right after its follower; the last of all has none and stays."""
    plan = FaultPlan()
    plan.next("out_of_order", when=lambda item: item in {1, 4}, times=2)
    assert plan.arrange([1, 2, 3, 4]) == [2, 1, 3, 4]


def test_arranging_loses_nothing() -> None:
    """Whatever the rates, everything is sent at least once and at most twice."""
    arranged = FaultPlan(3, {"duplicate": 0.3, "out_of_order": 0.4}).arrange(range(100))
    assert set(arranged) == set(range(100))
    assert max(arranged.count(item) for item in arranged) == 2
    assert arranged != sorted(arranged)


@pytest.mark.parametrize("rates", [{"reset": 1.1}, {"reset": -0.1}, {"reset": 0.6, "hang": 0.6}, {"rest": 0.1}])
def test_impossible_rates_are_refused(rates: dict[str, float]) -> None:
    """Rates that are no probabilities, add up to over 1 or name an unknown kind are a ValueError."""
    with pytest.raises(ValueError, match=r"rate|FaultKind"):
        FaultPlan(rates=rates)


def test_clear_forgets_script_and_rates() -> None:
    """After clear nothing goes wrong any more."""
    plan = FaultPlan(rates={"reset": 1.0, "duplicate": 1.0, "lost_cursor": 1.0})
    plan.next("hang")
    plan.clear()
    assert _kinds(plan, 3) == [None] * 3
    assert _own(plan, FaultKind.LOST_CURSOR, 3) == [False] * 3
    assert plan.arrange([1]) == [1]


def test_every_kind_has_one_direction() -> None:
    """Each kind of fault is of what comes in, of what goes out, or a system's own."""
    assert sorted([*INCOMING, *OUTGOING, *OWN]) == sorted(FaultKind)
