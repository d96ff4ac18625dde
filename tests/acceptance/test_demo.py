"""The demo, as somebody runs it who has just installed govpost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from govpost.mocks.base import CarrierMock, PortalMock
from govpost.mocks.registry import find_mocks, load_mock

MOCKS = [load_mock(key) for key in find_mocks()]
PORTALS = {mock.key: mock() for mock in MOCKS if issubclass(mock, PortalMock)}
CARRIERS = {mock.key: mock for mock in MOCKS if issubclass(mock, CarrierMock)}
#: Portal → how many sample orders it has.
ORDERS = {key: sum(len(sample.legs) for sample in portal.samples()) for key, portal in PORTALS.items()}

EVERYWHERE = {"busy", "error", "error_after", "latency", "reset"}
OWN = {
    "chuanyu_tongban": {"expired_key", "stale_nonce"},
    "court_waybill": {
        *("bad_signature", "entity", "expired_key", "stale_answer", "truncated", "unsure", "wrong_encoding"),
    },
    "ems": {"duplicate", "early_push", "nameless", "repeated_serial", "unsure"},
    "postal": {"duplicate"},
    "quanyu_tongban": {"broken_item", "lost_cursor", "partial_batch", "repeated_page", "stale_nonce"},
    "vehicle_admin": {
        *("broken_escape", "broken_item", "dollar_e", "double_escape", "headless", "html_page", "nameless"),
        *("soap_fault", "truncated", "unsure", "wrong_count", "wrong_encoding", "wrong_namespace"),
    },
}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run `govpost demo --json` once, in an empty folder."""
    return run_demo(tmp_path_factory.mktemp("demo"))


def run_demo(folder: Path, *words: str) -> dict[str, Any]:
    """Run the demo, and read its summary."""
    done = subprocess.run(
        [sys.executable, "-m", "govpost.gateway.cli", "demo", "--json", *words],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")},
        capture_output=True,
        encoding="utf-8",
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    # It runs in a folder of its own and leaves nothing here.
    assert list(folder.iterdir()) == []
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_order_ends_where_it_should(summary: dict[str, Any]) -> None:
    """All sample orders of every portal are taken and end; nothing is left over, and no side complains."""
    assert {key: row["orders"] for key, row in summary["portals"].items()} == ORDERS
    assert {key: row["ended"] for key, row in summary["portals"].items()} == ORDERS
    assert {name: summary[name] for name in ("dead", "strays", "problems")} == {"dead": 0, "strays": 0, "problems": []}


def test_kills_change_nothing(tmp_path: Path) -> None:
    """The gateway killed three times on the way: the same ends, each thing placed and told once, no side complains."""
    summary = run_demo(tmp_path, "--kills", "3", "--seed", "5")
    assert {key: row["ended"] for key, row in summary["portals"].items()} == ORDERS
    assert summary["problems"] == []


def test_backends_share_the_mail(summary: dict[str, Any]) -> None:
    """Every order was placed at one of them, and each story was played to its end."""
    assert sum(row["orders"] for row in summary["backends"].values()) == sum(ORDERS.values())
    assert {key: list(titles) for key, titles in summary["stories"].items()} == {
        key: list(carrier.stories) for key, carrier in CARRIERS.items()
    }
    for key, titles in summary["stories"].items():
        # Round trips of all portals go to one of them.
        one_way = [times for title, times in titles.items() if CARRIERS[key].stories[title].legs == 1]
        assert min(one_way) > 0
        assert sum(titles.values()) == summary["backends"][key]["orders"]
    assert sum(titles["there and back"] for titles in summary["stories"].values()) > 0


@pytest.mark.parametrize("key", [key for key, portal in PORTALS.items() if not portal.is_polled])
def test_what_is_sent_twice_counts_once(summary: dict[str, Any], key: str) -> None:
    """All orders of a portal that pushes came twice."""
    assert summary["portals"][key]["repeated"] == ORDERS[key]


@pytest.mark.parametrize("key", [key for key, portal in PORTALS.items() if portal.is_polled])
def test_broken_orders_are_given_back(summary: dict[str, Any], key: str) -> None:
    """What a portal offers and is broken is refused, beside all that is not."""
    row = summary["portals"][key]
    assert 1 <= row["refused"] <= row["faults"]["broken_item"] + row["faults"].get("nameless", 0)


def test_faults_are_on(summary: dict[str, Any]) -> None:
    """Every system fails in the ways that all can, and in its own; deliveries went out again because of them."""
    rows = summary["portals"] | summary["backends"]
    for key, row in rows.items():
        assert row["faults"].keys() >= EVERYWHERE | OWN.get(key, set())
        assert row["retries"] > 0


def test_totals(summary: dict[str, Any]) -> None:
    """The totals are the sums of the rows."""
    for kind in ("portals", "backends"):
        rows = summary[kind].values()
        for name in ("orders", "ended", "told", "repeated", "refused", "retries"):
            assert summary["totals"][kind][name] == sum(row[name] for row in rows)
