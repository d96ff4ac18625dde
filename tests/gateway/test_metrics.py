"""The figures: what is counted, what is read from the ledger, and that neither holds up the other."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from govpost.gateway.ledger.reads import LedgerStats
from govpost.gateway.metrics import Metrics
from govpost.schemas.errors import LedgerUnavailableError

DUE_AT = datetime(2023, 12, 1, tzinfo=UTC)
STATS = LedgerStats(
    orders={("yukuaiban", "accepted"): 3},
    deliveries={("post", "due"): 2, ("post", "dead"): 1},
    oldest_due_at={"post": DUE_AT},
)


def figures(metrics: Metrics) -> dict[str, float]:
    """Read what is rendered: name with labels → value."""
    lines = metrics.render().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (lambda metrics: metrics.accepted("ykb"), 'govpost_orders_accepted_total{portal="ykb"}'),
        (lambda metrics: metrics.repeated("ykb"), 'govpost_orders_repeated_total{portal="ykb"}'),
        (
            lambda metrics: metrics.denied("ykb", "conflict"),
            'govpost_requests_denied_total{portal="ykb",problem="conflict"}',
        ),
        (
            lambda metrics: metrics.attempt("post", "place", "taken", count=1),
            'govpost_attempts_total{destination="post",kind="place",outcome="taken"}',
        ),
        (
            lambda metrics: metrics.tried("post", 0.1),
            'govpost_attempt_seconds_count{destination="post"}',
        ),
        (
            lambda metrics: metrics.retried("post", "ykb", count=1),
            'govpost_deliveries_retried_total{destination="post",portal="ykb"}',
        ),
        (
            lambda metrics: metrics.delivered("post", "ykb", count=1),
            'govpost_deliveries_taken_total{destination="post",portal="ykb"}',
        ),
        (
            lambda metrics: metrics.dead("post", "ykb", "refused", count=1),
            'govpost_deliveries_dead_total{destination="post",portal="ykb",reason="refused"}',
        ),
        (lambda metrics: metrics.commit(7, 0.002), "govpost_commit_units_count"),
        (lambda metrics: metrics.commit(7, 0.002), "govpost_commit_seconds_count"),
        (lambda metrics: metrics.request("api", 0.002), 'govpost_request_seconds_count{door="api"}'),
    ],
)
def test_each_happening_is_counted_under_its_name(count: Callable[[Metrics], None], name: str) -> None:
    """Two happenings count two."""
    metrics = Metrics()
    count(metrics)
    count(metrics)
    assert figures(metrics)[name] == 2


def test_two_processes_worth_of_figures_do_not_mix() -> None:
    """Each object counts on a registry of its own."""
    first, second = Metrics(), Metrics()
    first.accepted("ykb")
    assert 'govpost_orders_accepted_total{portal="ykb"}' not in figures(second)


def test_what_waits_is_read_from_the_ledger_when_asked() -> None:
    """Depth and age come from the ledger's figures."""
    metrics = Metrics()
    metrics.watch(lambda: STATS, now_s=lambda: DUE_AT.timestamp() + 90)
    read = figures(metrics)
    assert read['govpost_orders{portal="yukuaiban",status="accepted"}'] == 3
    assert read['govpost_queue_depth{destination="post",state="due"}'] == 2
    assert read['govpost_queue_depth{destination="post",state="dead"}'] == 1
    assert read['govpost_lane_age_seconds{destination="post"}'] == 90
    assert read["govpost_ledger_readable"] == 1


def test_what_is_not_due_yet_has_no_age() -> None:
    """A retry in the future has waited for nothing."""
    metrics = Metrics()
    metrics.watch(lambda: STATS, now_s=lambda: DUE_AT.timestamp() - 90)
    assert figures(metrics)['govpost_lane_age_seconds{destination="post"}'] == 0


def test_watching_another_ledger_replaces_the_first() -> None:
    """Figures of two ledgers are not added up under one name."""
    metrics = Metrics()
    for _ in range(2):
        metrics.watch(lambda: STATS)
    assert metrics.render().count(b'govpost_orders{portal="yukuaiban"') == 1


def test_a_ledger_that_cannot_be_read_leaves_the_counters() -> None:
    """When the ledger is down the figures say so, and the rest is still there."""

    def unavailable() -> LedgerStats:
        raise LedgerUnavailableError("locked")

    metrics = Metrics()
    metrics.accepted("ykb")
    metrics.watch(unavailable)
    read = figures(metrics)
    assert read["govpost_ledger_readable"] == 0
    assert read['govpost_orders_accepted_total{portal="ykb"}'] == 1
