"""The demo, as somebody runs it who has just installed govpost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run `govpost demo --json` once, in an empty folder."""
    folder: Path = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "govpost.gateway.cli", "demo", "--json"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    # It runs in a folder of its own and leaves nothing here.
    assert list(folder.iterdir()) == []
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_order_ends_where_it_should(summary: dict[str, Any]) -> None:
    """Forty orders are accepted and end; nothing is dead, and no side complains."""
    found = {name: summary[name] for name in ("orders", "ended", "dead", "problems")}
    assert found == {"orders": 40, "ended": 40, "dead": 0, "problems": []}


def test_what_is_sent_twice_counts_once(summary: dict[str, Any]) -> None:
    """All forty orders came twice, and so did some events."""
    assert summary["duplicates_suppressed"] == 40
    assert summary["events_repeated"] == summary["faults"]["duplicate"]


def test_each_thing_owed_is_delivered_once(summary: dict[str, Any]) -> None:
    """What arrived is forty placements, a waybill for each leg (13 round trips), and an update for each event."""
    assert summary["deliveries"] == 40 + 53 + summary["events"]


def test_faults_are_on(summary: dict[str, Any]) -> None:
    """Every kind of fault that the demo names happened, and some deliveries went out again because of them."""
    assert summary["faults"].keys() == {"busy", "duplicate", "error", "error_after", "latency", "reset"}
    assert summary["retries"] > 0
