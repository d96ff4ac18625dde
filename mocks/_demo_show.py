"""The demo itself: orders go out, stories happen, and at the end everything is counted and compared."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from govpost.mocks._demo_checks import (
    find_leftovers,
    find_misled,
    find_rejections,
    find_unended,
    find_unlike_ledger,
    find_wrong_mail,
)
from govpost.mocks._demo_daemon import Daemon, DaemonError
from govpost.mocks._demo_stories import Course, Tale, hear
from govpost.mocks.base import CarrierMock, Mock, PortalMock, Sample
from govpost.schemas import Status, WireReply, WireRequest

__all__ = ["Row", "Rows", "Show", "Summary"]

_GIVE_UP_AFTER_S = 90.0
_LOOK_EVERY_S = 0.2
_FIND_EVERY_S = 0.5
_ANSWER_WITHIN_S = 30.0


@dataclass(slots=True)
class Row:
    """How one system fared, or all of a kind; the gateway's own figures are filled in at the end."""

    #: That the gateway took from a portal; that were placed at a backend.
    orders: int = 0
    #: Of these, those whose story ended as it should.
    ended: int = 0
    #: What a portal heard; what happened at a backend.
    told: int = 0
    #: Orders that came again, and made no second one.
    repeated: int = 0
    #: Broken orders that were given back.
    refused: int = 0
    #: Deliveries to it that were tried again.
    retries: int = 0
    #: Kind of fault → how often.
    faults: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Row") -> "Row":
        return Row(
            self.orders + other.orders,
            self.ended + other.ended,
            self.told + other.told,
            self.repeated + other.repeated,
            self.refused + other.refused,
            self.retries + other.retries,
            dict(Counter(self.faults) + Counter(other.faults)),
        )


Rows = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Summary:
    """How it went."""

    portals: Rows
    backends: Rows
    #: "portals" and "backends" → their sum.
    totals: Rows
    #: Backend → title of a story → orders that came to its end.
    stories: dict[str, dict[str, int]]
    dead: int
    strays: int
    seconds: float
    #: What is not as it should be; empty when all is well.
    problems: list[str]


class Show:
    """All sample orders, and the systems that they pass between."""

    def __init__(
        self, daemon: Daemon, portals: list[PortalMock], carriers: list[CarrierMock], *, begun: float, kills: int
    ) -> None:
        self._daemon = daemon
        self._kills = kills
        self._portals = {portal.key: portal for portal in portals}
        self._carriers = {carrier.key: carrier for carrier in carriers}
        self._begun = begun
        #: Portal and portal_ref → how many legs the order has, for all orders that there should be.
        self._legs = {
            (portal.key, ref): legs
            for portal in portals
            for sample in portal.samples()
            for ref, legs in sample.legs.items()
        }
        #: The same for those that the gateway has.
        self._tales: dict[tuple[str, str], Tale] = {}
        #: As of the last look: what was heard of them, and those whose story has ended.
        self._heard: Mapping[tuple[str, str], Course] = {}
        self._ended: list[Tale] = []
        self._find_at = 0.0
        self._problems: list[str] = []
        self._crashes = 0

    @property
    def seconds(self) -> float:
        """How long it has been going."""
        return time.monotonic() - self._begun

    def run(self, look: Callable[[], None]) -> None:
        """Hand all orders over, and tell what happens to them, until all is over and settled, or time is up.

        Where an answer was lost, the gateway knows only after asking.
        """
        with ThreadPoolExecutor(len(self._portals)) as pool:
            sending = [pool.submit(self._hand_over, portal) for portal in self._portals.values()]
            while not self._is_over(sending) and self.seconds < _GIVE_UP_AFTER_S:
                self._go_on()
                self._crash()
                look()
                time.sleep(_LOOK_EVERY_S)
        self._listen()
        self._problems += [f"a hand-over failed: {error}" for sent in sending if (error := sent.exception())]

    def portals(self) -> Rows:
        """Say how each portal fares."""
        ended = Counter(tale.portal.key for tale in self._ended)
        taken = Counter(portal for portal, _ in self._tales)
        return {
            key: Row(taken[key], ended[key], len(portal.heard()), faults=_faults_of(portal))
            for key, portal in self._portals.items()
        }

    def backends(self) -> Rows:
        """Say how each backend fares."""
        ended = Counter(tale.carrier.key for tale in self._ended)
        rows = {}
        for key, carrier in self._carriers.items():
            placed = carrier.placed()
            told = sum(len(carrier.happened(order_id)) for order_id in placed)
            rows[key] = Row(len(placed), ended[key], told, faults=_faults_of(carrier))
        return rows

    def summary(self) -> Summary:
        """Count, and compare what each side knows with what it should."""
        figures, orders = self._daemon.figures(), self._daemon.orders()
        with ThreadPoolExecutor() as pool:
            strays, refused = pool.map(self._daemon.listed, ("strays", "refused list"))
        portals, backends = self.portals(), self.backends()
        given_back = Counter(row["portal"] for row in refused)
        for key, row in (portals | backends).items():
            row.repeated = figures["govpost_orders_repeated_total", key]
            row.retries = figures["govpost_deliveries_retried_total", key]
            row.refused = given_back[key]
        dead = sum(figures["govpost_deliveries_dead_total", key] for key in portals | backends)
        titles = Counter((tale.carrier.key, tale.title) for tale in self._ended)
        return Summary(
            portals=portals,
            backends=backends,
            totals={"portals": sum(portals.values(), Row()), "backends": sum(backends.values(), Row())},
            stories={key: {each: titles[key, each] for each in self._carriers[key].stories} for key in backends},
            dead=dead,
            strays=len(strays),
            seconds=round(self.seconds, 1),
            problems=[
                *self._problems,
                *find_leftovers(unsettled=self._count_owed(), dead=dead, strays=len(strays)),
                *find_unended(self._tales.values(), self._ended),
                *find_unlike_ledger(self._due(), orders),
                *find_misled(self._portals.values(), orders),
                *find_wrong_mail(self._carriers.values(), orders),
                *find_rejections((*self._portals.values(), *self._carriers.values())),
            ],
        )

    def _is_over(self, sending: list[Future[None]]) -> bool:
        has_ended = all(sent.done() for sent in sending) and len(self._ended) == len(self._legs)
        return has_ended and not self._count_owed()

    def _due(self) -> dict[tuple[str, str], str]:
        """Say where each order should stand: an order that has no story yet, at its beginning."""
        return {key: self._tales[key].story.ends if key in self._tales else Status.ACCEPTED for key in self._legs}

    def _listen(self) -> None:
        self._heard = hear(self._portals.values())
        self._ended = [tale for tale in self._tales.values() if tale.has_ended(self._heard_of(tale))]

    def _heard_of(self, tale: Tale) -> Course:
        return self._heard.get((tale.portal.key, tale.portal_ref), {})

    def _crash(self) -> None:
        """Kill the gateway as often as it was asked for, the times spread over the orders' ends."""
        crashed = self._crashes
        if crashed < self._kills and len(self._ended) * (self._kills + 1) >= len(self._legs) * crashed:
            self._crashes += 1
            self._daemon.crash()

    def _hand_over(self, portal: PortalMock) -> None:
        """Send everything twice, or offer it twice."""
        with requests.Session() as session:
            for sample in portal.samples():
                for _ in range(2):
                    if not self._is_taken(portal, sample, session):
                        raise DaemonError(f"{portal.key} was answered no to {', '.join(sample.legs)}")

    def _is_taken(self, portal: PortalMock, sample: Sample, session: requests.Session) -> bool:
        """Hand something over; again, signed anew, where the gateway died before it answered."""
        while True:
            request = portal.hand_over(sample.document)
            try:
                return request is None or portal.is_taken(self._send(request, session))
            except requests.RequestException:
                if self._crashes == 0 or self.seconds > _GIVE_UP_AFTER_S:
                    raise
                time.sleep(_LOOK_EVERY_S)

    def _send(self, request: WireRequest, session: requests.Session) -> WireReply:
        reply = session.request(
            request.method,
            self._daemon.url + request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=_ANSWER_WITHIN_S,
        )
        return WireReply(reply.status_code, reply.headers, reply.content)

    def _go_on(self) -> None:
        """Let the next things happen, and tell the gateway."""
        if len(self._tales) < len(self._legs) and self.seconds >= self._find_at:
            self._find_tales()
        self._listen()
        for carrier in self._carriers.values():
            tales = [tale for tale in self._tales.values() if tale.carrier is carrier]
            carrier.push([news for tale in tales for news in tale.go_on(self._heard_of(tale))])

    def _find_tales(self) -> None:
        """Give each order that the gateway has taken meanwhile a story: those of its backend take turns."""
        orders = {(order["portal"], order["portal_ref"]): order for order in self._daemon.orders()}
        for turn, (key, legs) in enumerate(self._legs.items()):
            if key in orders and key not in self._tales:
                carrier = self._carriers[orders[key]["backend"]]
                titles = [title for title, story in carrier.stories.items() if story.legs == legs]
                portal, order_id = self._portals[key[0]], orders[key]["order_id"]
                self._tales[key] = Tale(portal, key[1], carrier, order_id, titles[turn % len(titles)])
        self._find_at = self.seconds + _FIND_EVERY_S

    def _count_owed(self) -> int:
        """Count what the gateway owes, and what it was not told yet."""
        figures = self._daemon.figures()
        owed = sum(figures["govpost_queue_depth", key] for key in (*self._portals, *self._carriers))
        return owed + sum(len(carrier.untold) for carrier in self._carriers.values())


def _faults_of(mock: Mock) -> dict[str, int]:
    return {kind.value: times for kind, times in sorted(mock.plan.drawn.items())}
