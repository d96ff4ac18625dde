"""The kit as a pytest plugin: ``pytest --govpost-adapter=<key>``, from any directory, without a test file.

Without that option nothing of the kit is loaded: every pytest run in an environment that has govpost loads this module.
"""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from govpost.tests.conformance.kit import Check
    from govpost.tests.conformance.report import AdapterReport
    from govpost.tests.conformance.subject import Subject

__all__ = ["AdapterChecks", "CheckItem", "pytest_addoption", "pytest_configure"]

_ALL = "all"
#: Of a report's properties: adapter, check, what was found.
_PROPERTY = "govpost_check"


def _late(name: str) -> Any:
    """Import a module of ours when it is first needed."""
    return import_module(f"govpost.{name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options."""
    group = parser.getgroup("govpost", "govpost: conformance of adapters")
    group.addoption(
        "--govpost-adapter",
        action="append",
        default=[],
        metavar="KEY",
        help="run the conformance kit on this adapter; may be repeated; 'all' for every installed one",
    )
    group.addoption("--govpost-report", metavar="FILE", help="write what came of the conformance kit as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Set the kit up where it is asked for."""
    if config.getoption("govpost_adapter"):
        config.pluginmanager.register(_Run(config), "govpost-conformance-run")


class _CheckFailed(Exception):  # noqa: N818 - nothing is wrong with the program
    """A check found something."""


class CheckItem(pytest.Item):
    """One check of one adapter."""

    def __init__(self, *, check: "Check", subject: "Subject", **options: Any) -> None:
        super().__init__(**options)
        self._check = check
        self._subject = subject
        self._found: list[str] = []
        self.user_properties.append((_PROPERTY, [subject.key, check.name, self._found]))
        report = _late("tests.conformance.report")
        reason = report.exemption(check, subject)
        if check.needs_mock and subject.mock_type is None:
            self.add_marker(pytest.mark.skip(reason=report.NO_MOCK))
        elif reason is not None:
            self.add_marker(pytest.mark.xfail(reason=reason, strict=True))

    def runtest(self) -> None:
        """Run the check."""
        self._found[:] = ["it raises: see the traceback"]
        self._found[:] = _late("tests.conformance.kit").findings(self._check, self._subject)
        if self._found:
            raise _CheckFailed("\n".join(self._found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what was found and what is wanted; with a traceback only where something was raised."""
        if not isinstance(excinfo.value, _CheckFailed):
            return super().repr_failure(excinfo, style)
        return f"{excinfo.value}\n\nwanted: {self._check.proves}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the check where pytest names a function; a skip without a line would break pytest."""
        return self.path, 0, f"{self._subject.key}: {self._check.name}"


class AdapterChecks(pytest.Collector):
    """The checks that concern one adapter."""

    def collect(self) -> Iterator[CheckItem]:
        """Load the adapter, and make an item of each check that concerns it."""
        subject = _late("tests.conformance.subject").load_subject(self.name)
        for check in _late("tests.conformance.report").applicable(subject):
            yield CheckItem.from_parent(self, name=check.name, check=check, subject=subject)


class _Run:
    """One run of the kit within a run of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        chosen, known = config.getoption("govpost_adapter"), _late("adapters.registry").adapter_keys()
        self._keys: list[str] = list(dict.fromkeys(known if _ALL in chosen else chosen))
        unknown = sorted(set(self._keys) - set(known))
        if unknown:
            raise pytest.UsageError(f"--govpost-adapter: no {', '.join(unknown)}; there are: {', '.join(known)}")
        #: Adapter → check → what it found.
        self._found: dict[str, dict[str, list[str]]] = {key: {} for key in self._keys}
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            # Nobody named tests of their own, so the kit's are all there is to collect.
            config.args[:] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the kit's checks, before anybody chooses among the items (-k, --lf)."""
        for key in self._keys:
            items += session.genitems(AdapterChecks.from_parent(session, name=key, nodeid=f"govpost:{key}"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a check found, once it was run."""
        about = dict(report.user_properties).get(_PROPERTY)
        if report.when == "call" and isinstance(about, list):
            key, name, found = about
            self._found[key][name] = found

    def pytest_sessionfinish(self) -> None:
        """Write the report, where one is wanted."""
        file = self._config.getoption("govpost_report")
        if file and not hasattr(self._config, "workerinput"):
            document = {"adapters": {report.key: report.document() for report in self._reports()}}
            Path(file).write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say for each adapter which level it reached, and what stands in the way."""
        if not self._config.getoption("collectonly"):
            terminalreporter.section("govpost conformance")
            for report in self._reports():
                for line in report.lines():
                    terminalreporter.write_line(line)

    def _reports(self) -> Iterator["AdapterReport"]:
        """Sum up what was run; an adapter of which nothing was has failed to load, and pytest says why."""
        for key, found in self._found.items():
            if found:
                subject = _late("tests.conformance.subject").load_subject(key)
                yield _late("tests.conformance.report").judge(subject, found)
