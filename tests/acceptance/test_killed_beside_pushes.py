"""The daemon killed with SIGKILL while it polls one portal, answers another, and a backend pushes to it.

What is polled and told in batches, what is signed both ways, and what is placed as two linked orders is held to the
same as everything else: nothing is lost, nothing is mailed twice, no portal hears what did not happen.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest
import requests
from lives import PAUSE_S, Daemon, daemon_with, traces_in_logs, wait_until

from govpost.mocks.base import Heard
from govpost.mocks.chuanyu_tongban import (
    DEMO_APP_CODE,
    DEMO_GATEWAY_KEY,
    DEMO_PORTAL_KEY,
    DEMO_SM4_KEY,
    ChuanyuTongbanMock,
    new_orders,
)
from govpost.mocks.ems import DEMO_AUTHORIZATION, DEMO_SENDER_NO, DEMO_SIGN_KEY, EmsMock
from govpost.mocks.faults import FaultPlan
from govpost.mocks.quanyu_tongban import DEMO_PAASID, DEMO_TOKEN, QuanyuTongbanMock, new_items
from govpost.mocks.server import MockServer

KILLS = int(os.environ.get("GOVPOST_SOAK_KILLS", "8"))
SEED = int(os.environ.get("GOVPOST_SOAK_SEED", "20231201"))
ORDERS_A_LIFE = 4
LONGEST_LIFE_S = 1.5
SETTLE_WITHIN_S = 120.0

FAULTS = {"latency": 0.03, "error_after": 0.03, "reset": 0.03, "error": 0.02, "busy": 0.01, "hang_after": 0.01}
SECONDS = {"latency": 0.05, "busy": 1.0}
OWN = {
    "quanyu_tongban": {"partial_batch": 0.1, "lost_cursor": 0.05, "repeated_page": 0.05, "stale_nonce": 0.05},
    "chuanyu_tongban": {},
    "ems": {"early_push": 0.1, "unsure": 0.03, "duplicate": 0.1, "repeated_serial": 0.05},
}

#: Course of EMS → what either portal hears last.
ENDS = {
    "delivered": ("06", "DELIVERED"),
    "second_try": ("06", "DELIVERED"),
    "returned": ("09", "RETURNED"),
    "revoked": ("06", "DELIVERED"),
    "revoked_and_returned": ("09", "RETURNED"),
    "lost": ("11", "LOST"),
    "round_trip": ("06", "DELIVERED"),
}

SETTINGS = """
[ingress]
port = {port}
[api]
tokens = ["token-of-nobody-at-all"]
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
[portals.quanyu_tongban]
base_url = "%(quanyu)s"
paasid = "%(paasid)s"
token = "%(token)s"
poll_every_s = 0.2
backend = "ems"
[portals.chuanyu_tongban]
base_url = "%(chuanyu)s"
app_code = "%(app_code)s"
sm4_key = "%(sm4_key)s"
verify_keys = ["%(portal_public)s"]
sign_key = "%(gateway_private)s"
backend = "ems"
[backends.ems]
url = "%(ems)s"
sender_no = "%(sender_no)s"
authorization = "%(authorization)s"
sign_key = "%(sign_key)s"
"""


@dataclass
class Town:
    """Two portals and the post, who do their part until the gateway has acknowledged it."""

    quanyu: QuanyuTongbanMock
    chuanyu: ChuanyuTongbanMock
    ems: EmsMock
    #: Everything that was handed over, by the portals' own numbers.
    refs: set[str] = field(default_factory=set)
    #: Our order id → the portal's number, as the portals were told.
    acknowledged: dict[str, str] = field(default_factory=dict)
    #: Our order id → course.
    courses: dict[str, str] = field(default_factory=dict)
    unsent: list[dict[str, object]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send and push, in threads, while the context lasts."""
        threads = [Thread(target=self.insist, args=(step,)) for step in (self.send, self.push)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def insist(self, step: Callable[[], None]) -> None:
        """Do a step again and again; a dead daemon is no reason to stop."""
        while not self.over.is_set():
            with suppress(requests.RequestException):
                step()
            self.over.wait(PAUSE_S)

    def hand_over(self, items: Iterable[dict[str, object]], orders: Iterable[dict[str, object]]) -> None:
        """Offer items to be polled, and have orders sent."""
        for item in items:
            self.quanyu.hand_over(item)
            self.refs.add(str(item["SBLSH"]))
        for order in orders:
            self.refs.add(str(order["bizNo"]))
            self.unsent.append(order)

    def send(self) -> None:
        """Send the oldest order that is not acknowledged yet."""
        if not self.unsent:
            return
        ref = str(self.unsent[0]["bizNo"])
        answer = self.chuanyu.send(self.chuanyu.build_place(self.unsent[0]), timeout_s=5)
        if answer.code == "0":
            self.acknowledged[str(answer.data["orderId"])] = ref
            self.unsent.pop(0)
        elif answer.http_status == 200 and answer.code != "5001":
            self.failures.append(f"{ref} was answered {answer.code}")
            self.unsent.pop(0)

    def push(self) -> None:
        """Let what was placed take its course, and push it until it is acknowledged."""
        notices = []
        for order_id, mail in tuple(self.ems.orders.items()):
            is_round_trip = mail.items[0].counterpart is not None
            if order_id in self.courses or (is_round_trip and len(mail.items) == 1):
                continue
            self.courses[order_id] = "round_trip" if is_round_trip else next(_COURSES)
            notices += self.ems.play(order_id, self.courses[order_id])
        self.ems.push(self.ems.plan.arrange(notices))

    def unfinished(self) -> dict[str, list[str]]:
        """Name the orders that have not ended as their course has it, with what was heard of them."""
        acknowledged = self.acknowledged | {
            item.order_id: ref for ref, item in tuple(self.quanyu.items.items()) if item.is_taken
        }
        ends = {acknowledged.get(order_id, order_id): ENDS[course] for order_id, course in self.courses.items()}
        heard: dict[str, list[Heard]] = {}
        for each in self.quanyu.heard() + self.chuanyu.heard():
            heard.setdefault(each.portal_ref, []).append(each)
        return {
            ref: [each.status for each in heard.get(ref, [])]
            for ref in self.refs
            if not (ref in ends and ref in heard and heard[ref][-1].status in ends[ref])
        }


_COURSES = cycle(course for course in ENDS if course != "round_trip")


@pytest.fixture
def town() -> Iterator[Town]:
    """Serve two portals and the post, with faults on."""
    plans = {
        key: FaultPlan(SEED + number, {**FAULTS, **own}, seconds=SECONDS)
        for number, (key, own) in enumerate(OWN.items())
    }
    quanyu = QuanyuTongbanMock(plan=plans["quanyu_tongban"])
    chuanyu = ChuanyuTongbanMock(plan=plans["chuanyu_tongban"])
    ems = EmsMock(plan=plans["ems"], seed=SEED)
    with MockServer(quanyu), MockServer(chuanyu), MockServer(ems):
        yield Town(quanyu, chuanyu, ems)


@pytest.fixture
def daemon(town: Town, tmp_path: Path) -> Iterator[Daemon]:
    """Give a daemon between them, not started yet."""
    settings = SETTINGS % {
        "quanyu": town.quanyu.url,
        "paasid": DEMO_PAASID,
        "token": DEMO_TOKEN,
        "chuanyu": town.chuanyu.url,
        "app_code": DEMO_APP_CODE,
        "sm4_key": DEMO_SM4_KEY,
        "portal_public": DEMO_PORTAL_KEY.public,
        "gateway_private": DEMO_GATEWAY_KEY.private,
        "ems": town.ems.open_url,
        "sender_no": DEMO_SENDER_NO,
        "authorization": DEMO_AUTHORIZATION,
        "sign_key": DEMO_SIGN_KEY,
    }
    with daemon_with(tmp_path, settings) as daemon:
        town.chuanyu.gateway_url = town.ems.gateway_url = daemon.url
        yield daemon


@pytest.mark.soak
def test_kills_lose_nothing_that_is_polled_signed_or_pushed(town: Town, daemon: Daemon) -> None:
    """Every order is mailed once, ends where its course has it, and is told once and in order."""
    dice = Random(SEED)
    items, orders = new_items(seed=SEED), new_orders(seed=SEED)
    with town.running():
        for _ in range(KILLS):
            daemon.start()
            town.hand_over(islice(items, ORDERS_A_LIFE), islice(orders, ORDERS_A_LIFE))
            daemon.kill_after(dice.uniform(0, LONGEST_LIFE_S))
        daemon.start()
        wait_until(lambda: not town.unfinished(), SETTLE_WITHIN_S + KILLS)
        wait_until(lambda: not daemon.depth().keys() - {"dead"}, SETTLE_WITHIN_S)

    assert town.failures == []
    assert town.unfinished() == {}
    assert set(town.ems.placed().values()) == {1}
    assert len(town.ems.placed()) == len(town.refs)
    assert [mock.state()["told_twice"] for mock in (town.quanyu, town.chuanyu)] == [0, 0]
    assert town.quanyu.state()["too_fast"] == 0
    assert town.ems.clashes.total() == 0
    for mock in (town.quanyu, town.chuanyu, town.ems):
        assert [(mock.key, rejection.where, rejection.reason) for rejection in mock.rejected] == []
    assert daemon.depth() == {}
    assert daemon.stop() == 0
    assert traces_in_logs(daemon.settings.parent) == []
