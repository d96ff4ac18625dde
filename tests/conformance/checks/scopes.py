"""Whom a check may concern."""

from govpost.tests.conformance.kit import Scope
from govpost.tests.conformance.stories import round_trip

__all__ = [
    "BACKENDS",
    "BATCHED",
    "CALLERS",
    "CORRECTED",
    "EVERYBODY",
    "HANDS_OVER",
    "OUTBOUND",
    "POLLED",
    "PORTAL_CALLERS",
    "PROBED",
    "PROBED_PORTALS",
    "RECONCILED",
    "REPORTERS",
    "RESOLVED",
    "TOLD",
    "TRACED",
    "TWO_LEGS",
    "UNDELIVERED",
]

EVERYBODY = Scope("every adapter", lambda _: True)
HANDS_OVER = Scope("portals from which orders come", lambda subject: subject.hands_over)
CALLERS = Scope("systems that call us", lambda subject: subject.receives)
PORTAL_CALLERS = Scope("portals that call us", lambda subject: subject.receives and subject.hands_over)
REPORTERS = Scope("backends that call us", lambda subject: subject.receives and subject.carries)
POLLED = Scope("portals that we ask for orders", lambda subject: subject.is_polled)
OUTBOUND = Scope("systems that we tell things", lambda subject: subject.tells or subject.carries)
TOLD = Scope("portals that we tell what happened", lambda subject: subject.tells)
BACKENDS = Scope("backends", lambda subject: subject.carries)
PROBED = Scope("systems with a probe", lambda subject: subject.manifest.has_probe)
PROBED_PORTALS = Scope(
    "portals with a probe that are told what is under way",
    lambda subject: subject.manifest.has_probe and "in_transit" in subject.manifest.tells,
)
RESOLVED = Scope(
    "systems with a probe, or idempotent ones",
    lambda subject: subject.manifest.has_probe or subject.manifest.is_idempotent,
)
BATCHED = Scope("systems that take batches", lambda subject: bool(subject.manifest.batches))
CORRECTED = Scope("portals told of deliveries", lambda subject: "delivered" in subject.manifest.tells)
UNDELIVERED = Scope("portals told of failed deliveries", lambda subject: "undelivered" in subject.manifest.tells)
TWO_LEGS = Scope("portals with a round trip among their samples", lambda s: s.tells and round_trip(s) is not None)
RECONCILED = Scope("portals that say what they believe we hold", lambda subject: subject.does("reconcile"))
TRACED = Scope("backends that can be asked for traces", lambda subject: subject.does("trace"))
