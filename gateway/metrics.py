"""Figures for Prometheus, on a registry of our own.

What happens is counted as it happens, in memory, and begins at zero with each start; how much waits is read from the
ledger when somebody asks. Labels are names out of the settings and words of our own vocabulary, never anything a
caller sent.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from govpost.gateway.ledger.reads import LedgerStats
from govpost.schemas.errors import LedgerError

__all__ = ["CONTENT_TYPE", "Metrics"]

#: Of what `Metrics.render` returns.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ATTEMPT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
_COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_COMMIT_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Everything that one process counts; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._ledger: _LedgerFigures | None = None
        self._accepted = self._counter("orders_accepted", "Orders made durable.", "portal")
        self._repeated = self._counter("orders_repeated", "Orders that came again with the same content.", "portal")
        self._denied = self._counter("requests_denied", "Requests of portals that were not done.", "portal", "problem")
        self._attempts = self._counter("attempts", "Tries of deliveries.", "destination", "kind", "outcome")
        self._retried = self._counter("deliveries_retried", "Tries put off to later.", "destination", "portal")
        self._delivered = self._counter("deliveries_taken", "Deliveries the far side has.", "destination", "portal")
        self._dead = self._counter("deliveries_dead", "Deliveries left to a person.", "destination", "portal", "reason")
        self._attempt_s = self._histogram(
            "attempt_seconds", "How long a try took, whatever it carried.", "destination", buckets=_ATTEMPT_BUCKETS_S
        )
        self._request_s = self._histogram(
            "request_seconds", "From a request's head to the end of its answer.", "door", buckets=_REQUEST_BUCKETS_S
        )
        self._commit_s = self._histogram("commit_seconds", "How long a commit took.", buckets=_COMMIT_BUCKETS_S)
        self._commit_size = self._histogram("commit_units", "Units in one commit.", buckets=_COMMIT_SIZES)
        ProcessCollector(registry=self._registry)

    def accepted(self, portal: str) -> None:
        """Count an order that was made durable."""
        self._accepted.labels(portal).inc()

    def repeated(self, portal: str) -> None:
        """Count an order that came again with the same content."""
        self._repeated.labels(portal).inc()

    def denied(self, portal: str, problem: str) -> None:
        """Count a portal's request that was not done; `problem` is a word of `schemas.Problem`."""
        self._denied.labels(portal, problem).inc()

    def tried(self, destination: str, seconds: float) -> None:
        """Count one try to reach a destination, whatever it carried."""
        self._attempt_s.labels(destination).observe(seconds)

    def attempt(self, destination: str, kind: str, outcome: str, *, count: int) -> None:
        """Count tries of deliveries."""
        self._attempts.labels(destination, kind, outcome).inc(count)

    def retried(self, destination: str, portal: str, *, count: int) -> None:
        """Count tries that ended in waiting for the next one; `portal` is the orders'."""
        self._retried.labels(destination, portal).inc(count)

    def delivered(self, destination: str, portal: str, *, count: int) -> None:
        """Count deliveries that the far side has; `portal` is the orders'."""
        self._delivered.labels(destination, portal).inc(count)

    def dead(self, destination: str, portal: str, reason: str, *, count: int) -> None:
        """Count deliveries that are left to a person; `portal` is the orders'."""
        self._dead.labels(destination, portal, reason).inc(count)

    def commit(self, size: int, seconds: float) -> None:
        """Count one commit of the ledger and its units."""
        self._commit_size.observe(size)
        self._commit_s.observe(seconds)

    def request(self, door: str, seconds: float) -> None:
        """Count a request that was answered at one of our doors (`portals`, `api`)."""
        self._request_s.labels(door).observe(seconds)

    def watch(self, stats: Callable[[], LedgerStats], *, now_s: Callable[[], float] = time.time) -> None:
        """Ask `stats` how much waits, each time the figures are read, in place of whatever was asked before.

        A ledger that cannot be read takes only its own figures away: `govpost_ledger_readable` is 0 then.
        """
        if self._ledger is not None:
            self._registry.unregister(self._ledger)
        self._ledger = _LedgerFigures(stats, now_s)
        self._registry.register(self._ledger)

    def render(self) -> bytes:
        """Write all figures in Prometheus' text format; reads the ledger, so not on the event loop."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"govpost_{name}", meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"govpost_{name}", meaning, labels, buckets=buckets, registry=self._registry)


class _LedgerFigures(Collector):
    """Gauges that are read from the ledger when asked for."""

    def __init__(self, stats: Callable[[], LedgerStats], now_s: Callable[[], float]) -> None:
        self._stats = stats
        self._now_s = now_s

    def describe(self) -> list[Metric]:
        """Say nothing in advance, so that registering does not read the ledger."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the ledger once."""
        readable = GaugeMetricFamily("govpost_ledger_readable", "1 while the ledger can be read.")
        try:
            stats = self._stats()
        except (LedgerError, SQLAlchemyError):
            readable.add_metric([], 0)
            yield readable
            return
        readable.add_metric([], 1)
        yield readable
        yield _gauge("govpost_orders", "Orders in the ledger.", ("portal", "status"), stats.orders)
        yield _gauge("govpost_queue_depth", "Deliveries not done.", ("destination", "state"), stats.deliveries)
        ages = {(name,): max(0.0, self._now_s() - due_at.timestamp()) for name, due_at in stats.oldest_due_at.items()}
        yield _gauge("govpost_lane_age_seconds", "How long the oldest due lane has waited.", ("destination",), ages)


def _gauge(name: str, meaning: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
