"""The gateway of the demo: a folder with settings, and the daemon as a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families

from govpost.mocks.base import CarrierMock, JsonObject, Mock, PortalMock

__all__ = ["API_TOKEN", "Daemon", "DaemonError", "toml_value", "write_settings"]

API_TOKEN = "demo-token-of-nobody"  # noqa: S105 - says itself that it is none

#: Waits are short, so that what the faults cost is over in seconds; everything else is as shipped.
_SETTINGS: dict[str, JsonObject] = {
    "ingress": {"port": 0},
    "api": {"tokens": [API_TOKEN]},
    "relay": {
        "connect_timeout_s": 1,
        "request_timeout_s": 1,
        "retry_base_s": 0.1,
        "retry_cap_s": 1,
        "pause_base_s": 0.2,
        "pause_cap_s": 1,
        "idle_poll_s": 0.2,
    },
}
_POLL_EVERY_S = 0.5
_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.02
_ENOUGH = 1000


class DaemonError(Exception):
    """The gateway did not do what the demo needs of it; the message says what."""


def write_settings(folder: Path, portals: Sequence[PortalMock], carriers: Sequence[CarrierMock]) -> Path:
    """Write a settings file whose ledger lies in `folder`: every portal sends to a backend, and some to the next."""
    sections = [(f"[{name}]", values) for name, values in _SETTINGS.items()]
    sections += [(f"[backends.{carrier.key}]", _backend(carrier, portals)) for carrier in carriers]
    # Those that cannot go everywhere take their turn last, so that the others' mail is spread all the same.
    for turn, portal in enumerate(sorted(portals, key=lambda portal: portal.wants_signers)):
        fit = [carrier for carrier in carriers if carrier.names_signers or not portal.wants_signers] or carriers
        first, second = (fit[(turn + more) % len(fit)].key for more in (0, 1))
        pace = {"poll_every_s": _POLL_EVERY_S} if portal.is_polled else {}
        sections += [
            (f"[portals.{portal.key}]", {**_section(portal), **pace, "backend": first}),
            ("[[routes]]", {"portal": portal.key, **portal.apart, "backend": second}),
        ]
    path = folder / "govpost.toml"
    path.write_text("\n".join(_lines(sections)), encoding="utf-8")
    path.chmod(0o600)
    return path


def _section(mock: Mock) -> JsonObject:
    return {"adapter": mock.stands_for or mock.key, **mock.settings()}


def _backend(carrier: CarrierMock, portals: Sequence[PortalMock]) -> JsonObject:
    section = _section(carrier)
    for portal in portals:
        for name, table in portal.carrier_settings.get(section["adapter"], {}).items():
            section[name] = {**section.get(name, {}), **table}
    return section


def _lines(sections: Sequence[tuple[str, JsonObject]]) -> Iterator[str]:
    for head, values in sections:
        yield from (head, *(f"{name} = {toml_value(value)}" for name, value in values.items()), "")


def toml_value(value: Any) -> str:
    """Write a value as TOML has it: all but tables as JSON does."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_value(name)} = {toml_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


class Daemon:
    """`govpost serve` while the context lasts; asked over HTTP and the command line only."""

    def __init__(self, settings: Path) -> None:
        self.url = ""
        self._settings = settings
        self._log = settings.with_name("serve.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._start(_environment())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, environment: Mapping[str, str]) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("serve"), cwd=self._settings.parent, env=environment, stderr=log
            )
        try:
            self.url = self.url or f"http://127.0.0.1:{self._wait_for(self._find_port)}"
            self._wait_for(self._is_ready)
        except BaseException:
            self.stop()
            raise

    def crash(self) -> None:
        """End it with SIGKILL, in the middle of whatever it does, and start it again on the same port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._start({**_environment(), "GOVPOST_INGRESS__PORT": self.url.rpartition(":")[2]})

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

    def figures(self) -> Counter[tuple[str, str]]:
        """Read what is counted: name (`govpost_orders_accepted_total` …) and system, summed over all other labels."""
        sums: Counter[tuple[str, str]] = Counter()
        reply = requests.get(f"{self.url}/metrics", timeout=10)
        for family in text_string_to_metric_families(reply.text):
            for sample in family.samples:
                system = sample.labels.get("destination") or sample.labels.get("portal", "")
                sums[sample.name, system] += round(sample.value)
        return sums

    def orders(self) -> list[JsonObject]:
        """List all orders over the API."""
        orders: list[JsonObject] = []
        cursor: str | None = ""
        while cursor is not None:
            reply = requests.get(
                f"{self.url}/api/v1/orders",
                params={"cursor": cursor},
                headers={"Authorization": f"Bearer {API_TOKEN}"},
                timeout=10,
            )
            page = reply.json()
            orders += page["orders"]
            cursor = page["cursor"]
        return orders

    def listed(self, command: str) -> list[JsonObject]:
        """List what a command of that kind does: `strays`, `refused list`."""
        done = subprocess.run(
            [*self._command(*command.split()), "--limit", str(_ENOUGH), "--json"],
            env=_environment(),
            capture_output=True,
            timeout=_START_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise DaemonError(f"govpost {command} ended with {done.returncode}")
        rows: list[JsonObject] = json.loads(done.stdout)[command.split(maxsplit=1)[0]]
        return rows

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "govpost.gateway.cli", *words, "--config", str(self._settings)]

    def _find_port(self) -> int | None:
        lines = self._log.read_text(encoding="utf-8").splitlines(keepends=True)
        started = (json.loads(line) for line in lines if '"gateway.started"' in line and line.endswith("}\n"))
        return next((record["port"] for record in started), None)

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).ok
        except requests.ConnectionError:
            return False

    def _wait_for(self, look: Callable[[], Any]) -> Any:
        gives_up_at = time.monotonic() + _START_WITHIN_S
        while not (found := look()):
            if self._process is None or self._process.poll() is not None or time.monotonic() > gives_up_at:
                raise DaemonError("govpost serve did not come up: " + self._log.read_text(encoding="utf-8")[-2000:])
            time.sleep(_LOOK_EVERY_S)
        return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GOVPOST_")}
