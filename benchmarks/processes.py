"""The processes of a benchmark: the daemon as it is shipped, the mocks, and a folder for what they write."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.systems import section

__all__ = [
    "Daemon",
    "closed_port",
    "mock",
    "mock_state",
    "module",
    "module_output",
    "serving",
    "start_daemon",
    "wait_for",
    "write_settings",
]

_CLI = "govpost.gateway.cli"
_ROOT = Path(__file__).parents[1]
_DEADLINE_S = 120.0
_SETTINGS = """\
[ingress]
port = 0
[api]
tokens = ["benchmark-token-of-nobody"]
"""
_MEMORY = re.compile(r"^(VmRSS|VmHWM):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running `govpost serve`."""

    process: subprocess.Popen[str]
    url: str

    def memory_mib(self) -> tuple[float, float]:
        """Tell resident memory now and at its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        sizes = {name: int(size) / 1024 for name, size in _MEMORY.findall(status)}
        return sizes["VmRSS"], sizes["VmHWM"]

    def cpu_s(self) -> float:
        """Tell how much processor time it has used, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def figure(self, name: str) -> float:
        """Read one figure off /metrics, named with its labels as it stands there."""
        lines = requests.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def kill(self) -> None:
        """End it without a warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def write_settings(folder: Path, *, post_url: str, **portals: str) -> Path:
    """Write a settings file whose ledger lies in `folder`, with these portals at these addresses."""
    path = folder / "govpost.toml"
    sections = [
        _toml("backends.post", {"adapter": "webhook", **section("webhook", url=post_url)}),
        *(_toml(f"portals.{key}", {"backend": "post", **section(key, url=url)}) for key, url in portals.items()),
    ]
    path.write_text(_SETTINGS + "".join(sections), encoding="utf-8")
    path.chmod(0o600)
    return path


def _toml(title: str, values: Mapping[str, Any]) -> str:
    """Write texts, numbers and lists of them: for these TOML is JSON."""
    return f"[{title}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def start_daemon(settings: Path) -> Daemon:
    """Start `govpost serve` and wait until it takes orders; its log goes to a file beside the settings."""
    log = settings.with_name(f"serve-{time.monotonic_ns()}.log")
    with log.open("w", encoding="utf-8") as stderr:
        process = _popen("serve", "--config", str(settings), folder=settings.parent, stderr=stderr)

    def find_port() -> int | None:
        if process.poll() is not None:
            raise RuntimeError(f"govpost serve ended: {log.read_text(encoding='utf-8')[-2000:]}")
        with log.open(encoding="utf-8") as lines:
            started = (json.loads(line) for line in lines if '"gateway.started"' in line and line.endswith("}\n"))
            return next((record["port"] for record in started), None)

    return Daemon(process, f"http://127.0.0.1:{wait_for(find_port, every_s=0.01)}")


@contextmanager
def serving(settings: Path) -> Iterator[Daemon]:
    """Run the daemon for a while; it is stopped as an operator would."""
    daemon = start_daemon(settings)
    try:
        yield daemon
    finally:
        _stop(daemon.process)


@contextmanager
def mock(key: str, folder: Path) -> Iterator[str]:
    """Run `govpost mock <key>` with the demo keys; gives its address."""
    process = _popen("mock", key, folder=folder, stderr=None)
    try:
        yield _first_line(process)
    finally:
        _stop(process)


@contextmanager
def module(name: str) -> Iterator[str]:
    """Run a server of this package that prints its address first."""
    process = subprocess.Popen([sys.executable, "-m", name], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield _first_line(process)
    finally:
        _stop(process)


def module_output(name: str, *arguments: object, folder: Path) -> str:
    """Run a program of this package to its end, its log in `folder`; gives what it printed."""
    command = [sys.executable, "-m", name, *map(str, arguments)]
    log = folder / f"{name}.log"
    with log.open("w", encoding="utf-8") as stderr:
        done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} ended: {log.read_text(encoding='utf-8')[-2000:]}")
    return done.stdout


def mock_state(url: str) -> dict[str, Any]:
    """Ask a mock what it has counted."""
    state: dict[str, Any] = requests.get(f"{url}/__mock__/state", timeout=60).json()
    return state


@contextmanager
def closed_port() -> Iterator[str]:
    """Give an address that refuses every connection: bound, but nobody listens."""
    with socket.socket() as guard:
        guard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{guard.getsockname()[1]}"


def wait_for(look: Callable[[], Any], *, every_s: float, deadline_s: float = _DEADLINE_S) -> Any:
    """Look until there is something; raises TimeoutError."""
    gives_up_at = time.monotonic() + deadline_s
    while not (found := look()):
        if time.monotonic() > gives_up_at:
            raise TimeoutError("it did not happen in time")
        time.sleep(every_s)
    return found


def _popen(*arguments: str, folder: Path, stderr: Any) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")}
    command = [sys.executable, "-m", _CLI, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline().strip() if process.stdout is not None else ""
    if not line:
        raise RuntimeError("a process ended before it said its address")
    return line


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
