"""The benchmarks run, and what they print holds together. Never a word about speed: that depends on the machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from govpost.adapters.registry import adapter_keys

_ROOT = Path(__file__).parents[2]


def _run(name: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--quick"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert figures.pop("benchmark") == name
    assert set(figures.pop("missed")) <= figures.keys()
    return figures


def test_intake_is_measured_beside_its_ceilings() -> None:
    """Every order is taken, and the ratios are those of the figures."""
    figures = _run("intake")
    assert (figures["orders"], figures["unwanted"]) == (300, 0)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    for ceiling in ("bare_uvicorn", "bare_sqlite"):
        ratio = figures["orders_per_s"] / figures[f"{ceiling}_per_s"]
        assert figures[f"of_{ceiling}"] == pytest.approx(ratio, rel=1e-3)


def test_the_whole_way_is_measured_and_nothing_happens_twice() -> None:
    """Every order is placed once, and every waybill is told once."""
    figures = _run("end_to_end")
    assert (figures["orders"], figures["placed_amiss"], figures["told_amiss"]) == (100, 0, 0)
    assert figures["waybills"] > figures["orders"]
    ratio = figures["orders_per_s"] / figures["bare_aiohttp_per_s"]
    assert figures["of_bare_aiohttp"] == pytest.approx(ratio, rel=1e-3)


def test_backlog_costs_and_memory_are_measured() -> None:
    """There is a cost for each depth, and the flatness is theirs."""
    figures = _run("backlog")
    costs = [figures[f"cost_{depth}_us"] for depth in (100, 300, 1_000)]
    assert min(costs) > 0
    assert figures["flatness"] == pytest.approx(max(costs) / min(costs), rel=1e-3)
    assert 0 < figures["resident_mib"] <= figures["peak_mib"]


def test_restart_after_a_kill_is_measured() -> None:
    """It delivers again after kill -9, and the post mails nothing twice."""
    figures = _run("restart")
    assert 0 < figures["up_s"] <= figures["first_delivery_s"] <= figures["slowest_s"]
    assert figures["placed_twice"] == 0


def test_batches_are_measured_against_single_calls_and_a_bare_client() -> None:
    """The same updates are told both ways, each once, in batches with fewer requests; the gain is of the figures."""
    figures = _run("batches")
    assert (figures["updates"], figures["told_amiss"]) == (120, 0)
    assert figures["in_batches_calls"] < figures["one_by_one_calls"] == figures["updates"]
    gain = figures["in_batches_per_cpu_s"] / figures["one_by_one_per_cpu_s"]
    assert figures["gain"] == pytest.approx(gain, rel=1e-3)
    _assert_ratio(figures, "in_batches_per_cpu_s")


def test_every_adapter_has_its_codecs_measured() -> None:
    """No adapter is left out, whatever it is: of each there is what it reads or writes, and the mocks find it fit."""
    figures = _run("codecs")
    assert (figures["unmeasured"], figures["unfit"]) == (0, 0)
    jobs = [name for name in figures if name.endswith("_us")]
    assert {key for key in adapter_keys() if any(name.startswith(f"{key}_") for name in jobs)} == set(adapter_keys())
    for name in jobs:
        _assert_ratio(figures, name)


def test_intake_beside_sm2_is_measured_against_intake_alone() -> None:
    """Every order is taken, with SM2 and without, and the ratio is that of the two."""
    figures = _run("sm2")
    assert (figures["unwanted"], figures["lost"]) == (0, 0)
    assert figures["p99_ratio"] == pytest.approx(figures["p99_beside_ms"] / figures["p99_alone_ms"], rel=1e-3)
    _assert_ratio(figures, "p99_beside_ms")


def test_a_courts_batch_is_measured_beside_its_xml_and_its_rows() -> None:
    """Every task of the batch is taken, and the cost of one is that of the batch's."""
    figures = _run("court")
    assert (figures["tasks"], figures["not_taken"]) == (20, 0)
    assert figures["task_cpu_us"] == pytest.approx(figures["batch_cpu_s"] / 20 * 1e6, rel=1e-3)
    for name in ("batch_cpu_s", "read_cpu_ms"):
        _assert_ratio(figures, name)


def test_labels_are_measured_beside_bare_pages() -> None:
    """Labels are made, with their letters in them."""
    figures = _run("labels")
    assert figures["labels"] == 5
    assert figures["size_kib"] > 5
    _assert_ratio(figures, "per_cpu_s")


def test_write_backs_are_measured_beside_zeeps_transport() -> None:
    """Each record is told twice each way, and the portal hears each write-back once; the ratios are of the figures."""
    figures = _run("vehicle")
    assert (figures["writes"], figures["told_amiss"]) == (40, 0)
    _assert_ratio(figures, "per_cpu_s")
    ratio = figures["per_cpu_s"] / figures["zeep_client_per_cpu_s"]
    assert figures["of_zeep_client"] == pytest.approx(ratio, rel=1e-3)


def _assert_ratio(figures: dict[str, Any], name: str) -> None:
    bare = figures[f"{name}_bare"]
    assert min(bare, figures[name]) > 0
    assert figures[f"{name}_of_bare"] == pytest.approx(figures[name] / bare, rel=1e-3)
