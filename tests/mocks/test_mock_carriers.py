"""Mocks behind `responses`, as pytest fixtures, and as `govpost mock`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from govpost.mocks.behind_responses import Registrar
from govpost.mocks.commands import app
from govpost.mocks.faults import FaultKind
from govpost.mocks.postal import PostalMock
from govpost.mocks.registry import find_mocks, load_mock
from govpost.mocks.server import MockServer
from govpost.mocks.yukuaiban import YukuaibanMock

ORDER_NO = "YKB20231201000123"
PATH = "/gwlp/logistic/pushlogisticode"
PORTAL = "https://portal.test/base"
TIMEOUT_S = 10.0


def _push(mock: YukuaibanMock, *, timeout_s: float | tuple[float, float] | None = TIMEOUT_S) -> dict[str, Any]:
    body = f'{{"requestId":"{"1" * 32}","order_id":"{ORDER_NO}","logistic_code":"EA969294768CN","shipper_code":"EMS"}}'
    path = "/base" + PATH if mock.url == PORTAL else PATH
    request = mock.sign_request(path, body.encode())
    reply = requests.post(
        f"{mock.url}{PATH}",
        data=request.body,
        headers=dict(request.headers),
        timeout=timeout_s,
    )
    return reply.json()  # type: ignore[no-any-return]


@pytest.fixture
def portal(govpost_responses: Registrar) -> YukuaibanMock:
    """Put a portal that knows one order behind responses."""
    mock = YukuaibanMock()
    mock.expect(ORDER_NO)
    govpost_responses(mock, f"{PORTAL}/")
    return mock


class TestBehindResponses:
    """No socket, the same behaviour."""

    def test_answers(self, portal: YukuaibanMock) -> None:
        """A push to the address reaches the mock, base path signed."""
        assert _push(portal)["result_code"] == "200"
        assert _push(portal)["result_code"] == "409"

    def test_by_key(self, govpost_responses: Registrar) -> None:
        """A key makes a new mock."""
        mock = govpost_responses("postal", "https://post.test")
        assert isinstance(mock, PostalMock)
        assert requests.post(mock.orders_url, timeout=TIMEOUT_S).json()["where"] == "header webhook-id"

    def test_other_hosts_are_not_answered(self, portal: YukuaibanMock) -> None:
        """An address that only begins like the mock's is not the mock's."""
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{PORTAL}2{PATH}", timeout=TIMEOUT_S)
        assert portal.received == 0

    @pytest.mark.parametrize(
        ("kind", "error", "match", "pushes"),
        [
            (FaultKind.HANG, requests.ReadTimeout, "timed out", 0),
            (FaultKind.HANG_AFTER, requests.ReadTimeout, "timed out", 1),
            (FaultKind.RESET, requests.ConnectionError, "reset by peer", 1),
            (FaultKind.REFUSE, requests.ConnectionError, "NewConnectionError", 0),
        ],
    )
    def test_breakages(
        self, portal: YukuaibanMock, kind: FaultKind, error: type[Exception], match: str, pushes: int
    ) -> None:
        """A breakage is the exception that requests raises for it, with the same effect as on a socket."""
        portal.plan.next(kind)
        with pytest.raises(error, match=match):
            _push(portal)
        assert len(portal.pushes) == pushes

    def test_refusal_is_told_from_reset(self, portal: YukuaibanMock) -> None:
        """The exception of a refusal holds urllib3's reason, as a real one does."""
        portal.plan.next("refuse")
        with pytest.raises(requests.ConnectionError) as caught:
            _push(portal)
        assert type(caught.value.args[0].reason).__name__ == "NewConnectionError"

    @pytest.mark.parametrize(("timeout_s", "is_late"), [(1.0, True), ((30.0, 1.0), True), (3.0, False), (None, False)])
    def test_latency(
        self, portal: YukuaibanMock, timeout_s: float | tuple[float, float] | None, *, is_late: bool
    ) -> None:
        """Latency beyond the request's own time-out is a ReadTimeout, and takes no time either way."""
        portal.plan.next("latency", seconds=2.0)
        if is_late:
            with pytest.raises(requests.ReadTimeout):
                _push(portal, timeout_s=timeout_s)
        else:
            assert _push(portal, timeout_s=timeout_s)["result_code"] == "200"
        assert len(portal.pushes) == 1

    def test_error_status(self, portal: YukuaibanMock) -> None:
        """A 5xx comes through with its status."""
        portal.plan.next("error", status=502)
        assert requests.post(f"{PORTAL}{PATH}", timeout=TIMEOUT_S).status_code == 502


class TestFixtures:
    """The pytest plugin."""

    def test_yukuaiban(self, yukuaiban_mock: YukuaibanMock) -> None:
        """The fixture's portal is served."""
        yukuaiban_mock.expect(ORDER_NO)
        assert _push(yukuaiban_mock)["result_code"] == "200"

    def test_postal(self, postal_mock: PostalMock, postal_server: MockServer[PostalMock]) -> None:
        """The fixture's post is served by the fixture's server."""
        assert postal_mock.orders_url == f"{postal_server.url}/orders"
        assert requests.post(postal_mock.orders_url, timeout=TIMEOUT_S).status_code == 401

    def test_plugin_is_light(self) -> None:
        """Loading the plugin imports none of the heavy libraries."""
        code = (
            "import sys, govpost.mocks.pytest_plugin;"
            "print(sorted({'aiohttp', 'cryptography', 'requests', 'responses', 'typer'} & sys.modules.keys()))"
        )
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == "[]"


@pytest.fixture
def mock_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `mock yukuaiban` as a process, with a fault and a settings file."""
    config = tmp_path / "govpost.toml"
    config.write_text('[portals.yukuaiban]\napp_id = "app-1"\napp_secret_file = "secret"\n')
    (tmp_path / "secret").write_text("secret-1\n")
    command = ["yukuaiban", "--config", str(config), "--fault", "error=1:0.5", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from govpost.mocks.commands import app; app()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        if process.poll() is None:
            process.kill()


class TestCommand:
    """`govpost mock <key>`."""

    @pytest.mark.parametrize("content", [None, b"\xff"])
    def test_secret_that_cannot_be_read(self, tmp_path: Path, content: bytes | None) -> None:
        """It is the caller's to put right: which section and key, and no word of a fault of ours."""
        config = tmp_path / "govpost.toml"
        config.write_text('[portals.yukuaiban]\napp_secret_file = "secret"\n')
        if content is not None:
            (tmp_path / "secret").write_bytes(content)
        command = [sys.executable, "-c", "from govpost.gateway.cli import main; main()", "mock", "yukuaiban"]
        done = subprocess.run(
            [*command, "--config", str(config)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2
        assert "[portals.yukuaiban] app_secret_file" in " ".join(done.stderr.split())
        assert "fault of govpost" not in done.stderr

    def test_runs_until_sigterm(self, mock_process: subprocess.Popen[str]) -> None:
        """The first line holds the URL; keys and faults are as told; SIGTERM ends it with 0."""
        assert mock_process.stdout is not None
        told = json.loads(mock_process.stdout.readline())
        assert told["key"] == "yukuaiban"
        signer = YukuaibanMock("app-1", "secret-1")
        request = signer.sign_request(
            PATH,
            f'{{"requestId":"{"1" * 32}","order_id":"{ORDER_NO}","logistic_code":"EA969294768CN",'
            '"shipper_code":"EMS"}'.encode(),
        )
        statuses = []
        for _ in range(2):
            reply = requests.post(told["url"] + PATH, request.body, headers=dict(request.headers), timeout=TIMEOUT_S)
            statuses.append(reply.status_code)
            requests.delete(f"{told['url']}/__mock__/faults", timeout=TIMEOUT_S)
        assert statuses[0] >= 500
        assert (statuses[1], reply.json()["result_code"]) == (200, "200")
        os.kill(mock_process.pid, signal.SIGTERM)
        assert mock_process.communicate(timeout=TIMEOUT_S) == ("", "")
        assert mock_process.returncode == 0

    @pytest.mark.parametrize("fault", ["rest=0.5", "reset=often", "reset", "reset=2", "reset=0.1:long"])
    def test_bad_fault(self, fault: str) -> None:
        """A fault that cannot be read is a usage error."""
        result = CliRunner().invoke(app, ["postal", "--fault", fault])
        assert result.exit_code == 2
        assert "--fault" in result.output

    def test_missing_settings(self, tmp_path: Path) -> None:
        """A settings file that was named and is not there is a usage error."""
        result = CliRunner().invoke(app, ["postal", "--config", str(tmp_path / "none.toml")])
        assert result.exit_code == 2

    def test_taken_port(self, postal_server: MockServer[PostalMock]) -> None:
        """A port that is taken ends the command with 1 and says which."""
        result = CliRunner().invoke(app, ["postal", "--port", str(postal_server.port)])
        assert result.exit_code == 1
        assert str(postal_server.port) in result.output

    def test_unknown_key(self) -> None:
        """An unknown key is a usage error."""
        assert CliRunner().invoke(app, ["nobody"]).exit_code == 2


def test_registry() -> None:
    """Our mocks are found by their keys."""
    assert {"postal", "yukuaiban"} <= find_mocks().keys()
    assert load_mock("yukuaiban") is YukuaibanMock
    with pytest.raises(KeyError):
        load_mock("nobody")
