"""The daemon in as many lives as it takes: each a process of its own that a test ends as it likes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import requests
from prometheus_client.parser import text_string_to_metric_families

START_WITHIN_S = 60.0
PAUSE_S = 0.02

#: Imports the command line once and forks a life of the daemon for each line, the path of its log. Importing anew takes
#: seconds each time, in which nothing could be killed. Prints the life's process id, and later how it ended.
CRADLE = """
import os, sys
from govpost.gateway.cli import main, serve

for log in sys.stdin:
    process_id = os.fork()
    if not process_id:
        os.dup2(os.open(log.strip(), os.O_WRONLY | os.O_CREAT, 0o600), 2)
        main(["serve", "--config", sys.argv[1]])
    print(process_id, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), flush=True)
"""


@dataclass
class Daemon:
    """`govpost serve`, in as many lives as it takes, always on the same port."""

    settings: Path
    url: str
    cradle: "subprocess.Popen[str]"
    lives: int = 0
    #: Of the life that is on; 0 for none.
    process_id: int = 0

    def start(self) -> None:
        """Begin a life, and wait until it takes orders."""
        self.lives += 1
        log = self.settings.with_name(f"serve-{self.lives}.log")
        self.process_id = int(self.ask(f"{log}\n"))
        wait_until(lambda: log.exists() and '"gateway.started"' in log.read_text(encoding="utf-8"), START_WITHIN_S)

    def kill_after(self, seconds: float) -> None:
        """Let it live so long, then end it without a warning; a life that ended by itself fails the test."""
        Event().wait(seconds)
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def stop(self) -> int:
        """Stop it as an operator would; returns the exit code."""
        return self.end(signal.SIGTERM)

    def end(self, signum: signal.Signals) -> int:
        """Send the life a signal, and tell how it ended."""
        process_id, self.process_id = self.process_id, 0
        os.kill(process_id, signum)
        return int(self.ask(""))

    def ask(self, line: str) -> str:
        """Write to the cradle and read its answer."""
        assert self.cradle.stdin is not None
        assert self.cradle.stdout is not None
        self.cradle.stdin.write(line)
        self.cradle.stdin.flush()
        return self.cradle.stdout.readline()

    def bury(self) -> None:
        """Leave nothing behind."""
        if self.process_id:
            self.end(signal.SIGKILL)

    def depth(self) -> dict[str, float]:
        """Read how many deliveries are not done, by state."""
        families = text_string_to_metric_families(requests.get(f"{self.url}/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        depth: Counter[str] = Counter()
        for sample in samples:
            if sample.name == "govpost_queue_depth":
                depth[sample.labels["state"]] += int(sample.value)
        return {state: count for state, count in depth.items() if count}


@contextmanager
def daemon_with(folder: Path, settings: str) -> Iterator[Daemon]:
    """Give a daemon, not started yet; `{port}` in its settings becomes a port that stays ours while it is dead."""
    with ExitStack() as stack:
        guard = stack.enter_context(socket.socket())
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        guard.bind(("127.0.0.1", 0))
        port = guard.getsockname()[1]
        path = folder / "govpost.toml"
        path.write_text(settings.replace("{port}", str(port)), encoding="utf-8")
        path.chmod(0o600)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")}
        command = [sys.executable, "-c", CRADLE, str(path)]
        cradle = stack.enter_context(
            subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        daemon = Daemon(path, f"http://127.0.0.1:{port}", cradle)
        stack.callback(daemon.bury)
        yield daemon


def wait_until(is_so: Callable[[], bool], within_s: float) -> None:
    """Look until it is so, or time is up; what is not so then is for the caller to find."""
    ends_at, pause = time.monotonic() + within_s, Event()
    while not is_so() and time.monotonic() < ends_at:
        pause.wait(PAUSE_S)


def traces_in_logs(folder: Path) -> list[str]:
    """List the logged events that came with a stack trace, or that are none of ours."""
    found = []
    for log in folder.glob("serve-*.log"):
        # A kill may cut the last line.
        for line in log.read_text(encoding="utf-8").splitlines()[:-1]:
            try:
                record = json.loads(line)
            except ValueError:
                found.append(line)
                continue
            if "exception" in record:
                found.append(record["event"])
    return found
