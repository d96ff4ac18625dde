"""The kit as a plugin: run from anywhere on what is installed; its report, its levels, and what it costs others."""

import json
import subprocess
import sys

import pytest

from govpost.tests.conformance.kit import Level
from govpost.tests.conformance.report import AdapterReport, State, Verdict

OWN_TEST = "def test_of_somebody():\n    assert True\n"


def _report(run_pytest, folder, *arguments):
    done = run_pytest(folder, *arguments, "--govpost-report=report.json")
    return done, json.loads((folder / "report.json").read_text("utf-8"))["adapters"]


def test_a_third_party_s_adapter_is_checked_without_a_test_file(run_pytest, tmp_path):
    """From an empty folder: every check that concerns it is run, the level is said, and the report holds it all."""
    done, adapters = _report(run_pytest, tmp_path, "--govpost-adapter=kiosk")
    assert done.returncode == 0, done.stdout
    assert adapters["kiosk"]["level"] == "gold"
    assert {verdict["state"] for verdict in adapters["kiosk"]["verdicts"]} == {"passed"}
    assert f"kiosk (Kiosk, 1 (invented)): gold; {len(adapters['kiosk']['verdicts'])} passed" in done.stdout.splitlines()


def test_only_the_kit_is_collected_unless_tests_are_named(run_pytest, tmp_path):
    """Whatever lies in the folder is left alone; what is named on the command line is run as well."""
    (tmp_path / "test_own.py").write_text(OWN_TEST)
    alone = run_pytest(tmp_path, "--govpost-adapter=courier", "--collect-only", "-q").stdout
    both = run_pytest(tmp_path, "--govpost-adapter=courier", "--collect-only", "-q", "test_own.py").stdout
    assert "govpost:courier::golden_rendered" in alone.splitlines()
    assert "test_of_somebody" not in alone
    assert {"govpost:courier::golden_rendered", "test_own.py::test_of_somebody"} <= set(both.splitlines())


def test_a_failed_check_says_what_was_found_and_what_is_wanted(run_pytest, tmp_path):
    """The run fails, and names finding, requirement and level."""
    done, adapters = _report(run_pytest, tmp_path, "--govpost-adapter=forgets_the_nonce", "-k", "replay")
    assert done.returncode == 1
    assert "a request has no nonce: its replay passes" in done.stdout
    assert "wanted: The same bytes again have the same nonce" in done.stdout
    assert "  failed replay_is_recognizable (silver): a request has no nonce: its replay passes" in done.stdout
    assert adapters["forgets_the_nonce"]["level"] is None


def test_without_a_mock_bronze_is_the_most(run_pytest, tmp_path):
    """What needs a far side is not run, and the report says why."""
    done, adapters = _report(run_pytest, tmp_path, "--govpost-adapter=lonely")
    assert done.returncode == 0, done.stdout
    assert adapters["lonely"]["level"] == "bronze"
    assert "  not run, from silver on: no mock stands for it" in done.stdout.splitlines()


def test_an_exemption_is_run_and_printed(run_pytest, tmp_path):
    """What the manifest exempts is expected to fail; the reason stands in the report."""
    done, adapters = _report(run_pytest, tmp_path, "--govpost-adapter=webhook")
    assert done.returncode == 0, done.stdout
    exempt = [verdict for verdict in adapters["webhook"]["verdicts"] if verdict["state"] == "exempt"]
    assert exempt
    for verdict in exempt:
        assert f"  exempt {verdict['check']} (silver): {verdict['details'][0]}" in done.stdout.splitlines()


def test_an_unknown_key_is_a_wrong_usage(run_pytest, tmp_path):
    """It names what there is."""
    done = run_pytest(tmp_path, "--govpost-adapter=kiosque")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--govpost-adapter: no kiosque; there are:" in done.stderr
    assert "kiosk" in done.stderr


def test_a_run_that_does_not_ask_loads_nothing():
    """Every pytest run in an environment with govpost imports the plugin: it must cost nothing."""
    program = (
        "import sys, pytest; before = set(sys.modules); import govpost.tests.conformance.plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('govpost')))\n"
        "print(sorted(name for name in sys.modules if name.startswith('govpost')))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    foreign, ours = done.stdout.splitlines()
    assert foreign == "[]"
    assert ours == str(["govpost", "govpost.tests", "govpost.tests.conformance", "govpost.tests.conformance.plugin"])


@pytest.mark.parametrize(
    ("states", "level"),
    [
        ({}, Level.GOLD),
        ({Level.BRONZE: State.FAILED}, None),
        ({Level.BRONZE: State.NOT_RUN}, None),
        ({Level.SILVER: State.FAILED}, Level.BRONZE),
        ({Level.SILVER: State.EXEMPT}, Level.GOLD),
        ({Level.GOLD: State.NOT_RUN}, Level.SILVER),
        ({Level.BRONZE: State.FAILED, Level.GOLD: State.PASSED}, None),
    ],
)
def test_a_level_needs_all_checks_of_its_own_and_of_those_below(states, level):
    """Exempt counts as met; failed and not run do not."""
    verdicts = tuple(Verdict("some_check", each, states.get(each, State.PASSED), ("",)) for each in Level)
    assert AdapterReport("key", "title", "1", ("receives",), verdicts).level is level
