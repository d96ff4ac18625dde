"""The conformance kit passes sound adapters, and fails each broken one by the check that is meant for it."""

import json
from typing import Any

import pytest
from broken import BROKEN
from layout import SOUND

from govpost.tests.conformance.checks import CHECKS


@pytest.fixture(scope="module")
def reports(run_pytest, tmp_path_factory) -> dict[str, Any]:
    """Run the kit once on all of them; one check starts an interpreter, so only its own culprit is asked."""
    folder = tmp_path_factory.mktemp("all")
    keys = [f"--govpost-adapter={key}" for key in (*SOUND, *BROKEN)]
    chosen = ("-k", "not imports_without_io or opens_a_socket_at_import")
    done = run_pytest(folder, *keys, *chosen, "--govpost-report=report.json", "--tb=no", "-q")
    assert (folder / "report.json").exists(), done.stdout + done.stderr
    document: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return document["adapters"]


def failed(report: dict[str, Any]) -> set[str]:
    """Name the checks that an adapter failed."""
    return {verdict["check"] for verdict in report["verdicts"] if verdict["state"] == "failed"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_fails_the_check_that_is_meant_for_it(reports, name):
    """It fails what it breaks, and nothing else."""
    assert failed(reports[name]) == BROKEN[name].fails


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_adapter_passes(reports, name):
    """Nothing is found where nothing is wrong."""
    assert failed(reports[name]) == set()


def test_every_check_is_failed_by_somebody():
    """A check that no broken adapter fails could be one that cannot fail."""
    never_failed = {check.name for check in CHECKS} - set().union(*(each.fails for each in BROKEN.values()))
    assert never_failed == set()
