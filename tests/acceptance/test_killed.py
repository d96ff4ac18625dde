"""The daemon killed with SIGKILL again and again under load: nothing acknowledged is lost, nothing is done twice.

Portal and post are the mocks, served from threads of this process, with faults on. Orders are sent and events told by
threads that try again until they are acknowledged, as a portal and a backend would.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from queue import Queue
from random import Random
from threading import Event, Thread

import pytest
import requests
from lives import PAUSE_S, Daemon, daemon_with, traces_in_logs, wait_until

from govpost.mocks.faults import FaultPlan
from govpost.mocks.postal import DEMO_SECRET, Mail, PostalMock
from govpost.mocks.server import MockServer
from govpost.mocks.yukuaiban import DEMO_APP_ID, DEMO_APP_KEY, DEMO_APP_SECRET, Push, YukuaibanMock, new_orders

KILLS = int(os.environ.get("GOVPOST_SOAK_KILLS", "20"))
SEED = int(os.environ.get("GOVPOST_SOAK_SEED", "20231201"))
TOKEN = "token-of-the-backend-1"
ORDERS_A_LIFE = 10
LONGEST_LIFE_S = 0.8
#: After the last kill; generous, since the machine may be busy with other things.
SETTLE_WITHIN_S = 120.0
SENDERS = POSTMEN = 3

FAULTS = {
    "latency": 0.05,
    "error_after": 0.03,
    "reset": 0.03,
    "error": 0.02,
    "busy": 0.02,
    "garbage": 0.02,
    "wrong_type": 0.01,
    "hang_after": 0.01,
    "hang": 0.005,
    "refuse": 0.005,
}
FAULT_SECONDS = {"latency": 0.05, "refuse": 0.1, "busy": 1.0}

#: Course of the post → what the portal may hear of it, leg → states. A revoked delivery that was never attempted is
#: withdrawn; an attempted one is corrected behind it.
ALL_THE_WAY = "30 40 50 60"
HEARD: dict[str, tuple[dict[int, str], ...]] = {
    "delivered": ({1: ALL_THE_WAY},),
    "second_try": ({1: "30 40 50 70 50 60"},),
    "returned": ({1: "30 40 50 70 80 81"},),
    "revoked": ({1: f"{ALL_THE_WAY} 50 70 50 60"}, {1: "30 40 50 70 50 60"}),
    "lost": ({1: "30 40 99"},),
    "cancelled": ({1: "90"},),
    "round_trip": ({1: ALL_THE_WAY, 2: ALL_THE_WAY},),
}

SETTINGS = """
[ingress]
port = {port}
[api]
tokens = ["{token}"]
[relay]
connect_timeout_s = 1
request_timeout_s = 1
retry_base_s = 0.05
retry_cap_s = 0.5
pause_base_s = 0.1
pause_cap_s = 0.5
worker_renew_s = 0.3
worker_dead_s = 1
idle_poll_s = 0.1
[portals.yukuaiban]
base_url = "{portal_url}"
app_id = "{app_id}"
app_secret = "{app_secret}"
app_key = "{app_key}"
backend = "post"
[backends.post]
adapter = "webhook"
url = "{orders_url}"
secret = "{secret}"
"""


@dataclass
class Load:
    """A portal and a post that do their part until the gateway has acknowledged it."""

    portal: YukuaibanMock
    postal: PostalMock
    #: orderNo → the order_id in the answers, one an answer.
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    #: orderNo → course.
    courses: dict[str, str] = field(default_factory=dict)
    #: Orders all of whose events are acknowledged.
    told: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    over: Event = field(default_factory=Event)
    to_send: "Queue[tuple[dict[str, object], dict[str, object]] | None]" = field(default_factory=Queue)
    to_tell: "Queue[str | None]" = field(default_factory=Queue)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send and tell, in threads, while the context lasts."""
        threads = [Thread(target=self.send_all) for _ in range(SENDERS)]
        threads += [Thread(target=self.tell_all) for _ in range(POSTMEN)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for queue, readers in ((self.to_send, SENDERS), (self.to_tell, POSTMEN)):
                for _ in range(readers):
                    queue.put(None)
            for thread in threads:
                thread.join()

    def send_all(self) -> None:
        """Send each order until it is acknowledged, twice."""
        with requests.Session() as session:
            while (item := self.to_send.get()) is not None:
                order, secret_opens_to = item
                order_no = str(order["orderNo"])
                for _ in range(2):
                    self.insist(lambda o=order, s=secret_opens_to: self.send(o, s, session))  # type: ignore[misc]
                self.to_tell.put(order_no)

    def send(self, order: dict[str, object], secret_opens_to: dict[str, object], session: requests.Session) -> bool:
        """Send an order, signed anew; True once it is acknowledged."""
        order_no = str(order["orderNo"])
        answer = self.portal.send(self.portal.build_create(order, secret_opens_to), session=session, timeout_s=5)
        if answer.is_success:
            self.acknowledged.setdefault(order_no, []).append(answer.body["logisticsNo"])
        elif answer.http_status == 200 and answer.code != "YKB500000":
            self.failures.append(f"{order_no} was answered {answer.code}")
            return True
        return answer.is_success

    def tell_all(self) -> None:
        """Let each order's item take its course, and tell each event until it is acknowledged."""
        with requests.Session() as session:
            while (order_no := self.to_tell.get()) is not None:
                mail = self.find_mail(order_no)
                if mail is None:
                    # Not placed yet: the others first.
                    self.to_tell.put(order_no)
                    self.over.wait(PAUSE_S)
                    if self.over.is_set():
                        return
                    continue
                for event in self.postal.play(mail.order_id, self.courses[order_no]):
                    self.insist(lambda e=event: self.tell(e, session))  # type: ignore[misc]
                self.told.add(order_no)

    def tell(self, event: dict[str, object], session: requests.Session) -> bool:
        """Tell an event, some twice; True once it is acknowledged."""
        statuses = {status for _, status in self.postal.post_events([event], session=session, timeout_s=5)}
        if not statuses <= {200, 201, 503}:
            self.failures.append(f"{event['event_id']} was answered {statuses}")
            return True
        return 503 not in statuses

    def insist(self, step: Callable[[], bool]) -> None:
        """Try until it is done."""
        while not self.over.is_set():
            try:
                if step():
                    return
            except requests.RequestException:
                # The daemon is dead, or died while it was asked.
                pass
            self.over.wait(PAUSE_S)

    def find_mail(self, order_no: str) -> Mail | None:
        """Find the post's side of an order."""
        acknowledged = self.acknowledged.get(order_no)
        return self.postal.orders.get(acknowledged[0]) if acknowledged else None

    def owed(self) -> list[str]:
        """List the orders of which something is not done."""
        return [order_no for order_no in self.courses if order_no not in self.told or not self.has_heard(order_no)]

    def has_heard(self, order_no: str) -> bool:
        """Tell whether the portal has heard everything of an order, once and in order."""
        mail = self.find_mail(order_no)
        pushes = list(self.portal.orders[order_no].pushes)
        waybills = sorted((push.leg, push.logistic_code) for push in pushes if push.call == "pushlogisticode")
        return (
            mail is not None
            and waybills == sorted(mail.waybill_nos.items())
            and heard(pushes) in HEARD[self.courses[order_no]]
        )


def heard(pushes: list[Push]) -> dict[int, str]:
    """Sum up traces: leg → states."""
    traces = [push for push in pushes if push.call == "pushtrace"]
    return {
        leg: " ".join(trace.state for trace in traces if trace.leg == leg) for leg in {trace.leg for trace in traces}
    }


@pytest.fixture
def load() -> Iterator[Load]:
    """Serve a portal and a post with faults on."""
    portal = YukuaibanMock(plan=FaultPlan(SEED, FAULTS, seconds=FAULT_SECONDS))
    plan = FaultPlan(SEED + 1, {**FAULTS, "duplicate": 0.1}, seconds=FAULT_SECONDS)
    postal = PostalMock(plan=plan, api_token=TOKEN, seed=SEED)
    with MockServer(portal), MockServer(postal):
        yield Load(portal, postal)


@pytest.fixture
def daemon(load: Load, tmp_path: Path) -> Iterator[Daemon]:
    """Give a daemon between the two, not started yet."""
    facts = {"portal_url": load.portal.url, "orders_url": load.postal.orders_url, "secret": DEMO_SECRET}
    keys = {"app_id": DEMO_APP_ID, "app_secret": DEMO_APP_SECRET, "app_key": DEMO_APP_KEY}
    with daemon_with(tmp_path, SETTINGS.format(port="{port}", token=TOKEN, **facts, **keys)) as daemon:
        load.portal.gateway_url = load.postal.gateway_url = daemon.url
        yield daemon


@pytest.mark.soak
def test_kills_lose_nothing_and_repeat_nothing(load: Load, daemon: Daemon) -> None:
    """Every acknowledged order is placed once; every event that moved it is told once and in order."""
    dice = Random(SEED)
    orders, courses = new_orders(seed=SEED), cycle(course for course in HEARD if course != "round_trip")
    with load.running():
        for _ in range(KILLS):
            daemon.start()
            for order, secret_opens_to in islice(orders, ORDERS_A_LIFE):
                order_no = order["orderNo"]
                load.courses[order_no] = "round_trip" if order["serviceType"] == "3" else next(courses)
                load.portal.expect(order_no)
                load.to_send.put((order, secret_opens_to))
            daemon.kill_after(dice.uniform(0, LONGEST_LIFE_S))
        daemon.start()
        wait_until(lambda: not load.owed(), SETTLE_WITHIN_S + KILLS)
        wait_until(lambda: not daemon.depth().keys() - {"dead"}, SETTLE_WITHIN_S)

    assert load.failures == []
    assert {order_no: len(set(ids)) for order_no, ids in load.acknowledged.items()} == dict.fromkeys(load.courses, 1)
    assert Counter(mail.portal_ref for mail in load.postal.orders.values()) == Counter(list(load.courses))
    assert load.postal.placements == Counter(ids[0] for ids in load.acknowledged.values())
    assert {order_no: heard(load.portal.orders[order_no].pushes) for order_no in load.owed()} == {}
    assert [(rejection.where, rejection.reason) for rejection in load.portal.rejected] == []
    assert [(rejection.where, rejection.reason) for rejection in load.postal.rejected] == []
    assert daemon.depth() == {}
    assert daemon.stop() == 0
    assert traces_in_logs(daemon.settings.parent) == []
