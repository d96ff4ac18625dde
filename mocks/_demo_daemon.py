"""The gateway of the demo: a folder with settings, and the daemon as a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families

from govpost.mocks.postal import DEMO_SECRET
from govpost.mocks.yukuaiban import DEMO_APP_ID, DEMO_APP_KEY, DEMO_APP_SECRET

__all__ = ["API_TOKEN", "Daemon", "DaemonError", "write_settings"]

API_TOKEN = "demo-token-of-nobody"  # noqa: S105 - says itself that it is none

#: Waits are short, so that what the faults cost is over in seconds; everything else is as shipped.
_SETTINGS = """\
[ingress]
port = 0

[api]
tokens = ["{token}"]

[relay]
connect_timeout_s = 1
request_timeout_s = 1
retry_base_s = 0.1
retry_cap_s = 1
pause_base_s = 0.2
pause_cap_s = 1
idle_poll_s = 0.2

[portals.yukuaiban]
base_url = "{portal_url}"
app_id = "{app_id}"
app_secret = "{app_secret}"
app_key = "{app_key}"
backend = "post"

[backends.post]
adapter = "webhook"
url = "{orders_url}"
secret = "{secret}"
"""
_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.02


class DaemonError(Exception):
    """The gateway did not do what the demo needs of it; the message says what."""


def write_settings(folder: Path, *, portal_url: str, orders_url: str) -> Path:
    """Write a settings file whose ledger lies in `folder`."""
    path = folder / "govpost.toml"
    path.write_text(
        _SETTINGS.format(
            token=API_TOKEN,
            portal_url=portal_url,
            orders_url=orders_url,
            app_id=DEMO_APP_ID,
            app_secret=DEMO_APP_SECRET,
            app_key=DEMO_APP_KEY,
            secret=DEMO_SECRET,
        ),
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


class Daemon:
    """`govpost serve` while the context lasts; asked over HTTP and the command line only."""

    def __init__(self, settings: Path) -> None:
        self.url = ""
        self._settings = settings
        self._log = settings.with_name("serve.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command("serve"), cwd=self._settings.parent, env=_environment(), stderr=log
            )
        try:
            port = self._wait_for(self._find_port)
            self.url = f"http://127.0.0.1:{port}"
            self._wait_for(self._is_ready)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it as an operator would."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def figures(self) -> Counter[str]:
        """Read the figures, each summed over its labels (`govpost_orders_accepted_total` …)."""
        sums: Counter[str] = Counter()
        reply = requests.get(f"{self.url}/metrics", timeout=10)
        for family in text_string_to_metric_families(reply.text):
            for sample in family.samples:
                sums[sample.name] += sample.value  # type: ignore[assignment]  # a Counter sums floats as well
        return sums

    def orders(self) -> list[dict[str, Any]]:
        """List the orders as the command line does."""
        done = subprocess.run(
            [*self._command("orders", "list"), "--limit", "100", "--json"],
            env=_environment(),
            capture_output=True,
            timeout=_START_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise DaemonError(f"govpost orders list ended with {done.returncode}")
        orders: list[dict[str, Any]] = json.loads(done.stdout)["orders"]
        return orders

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "govpost.gateway.cli", *words, "--config", str(self._settings)]

    def _find_port(self) -> int | None:
        lines = self._log.read_text(encoding="utf-8").splitlines(keepends=True)
        started = (json.loads(line) for line in lines if '"gateway.started"' in line and line.endswith("}\n"))
        return next((record["port"] for record in started), None)

    def _is_ready(self) -> bool:
        return requests.get(f"{self.url}/readyz", timeout=10).ok

    def _wait_for(self, look: Callable[[], Any]) -> Any:
        gives_up_at = time.monotonic() + _START_WITHIN_S
        while not (found := look()):
            if self._process is None or self._process.poll() is not None or time.monotonic() > gives_up_at:
                raise DaemonError("govpost serve did not come up: " + self._log.read_text(encoding="utf-8")[-2000:])
            time.sleep(_LOOK_EVERY_S)
        return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")}
