"""The daemon's relay and nothing else, for one portal: works off what a ledger owes it, and says what that cost.

`python -m benchmarks.relay_alone SETTINGS PORTAL NUMBER in_batches|one_by_one` prints, once so many deliveries have
been taken, the processor seconds of the process since it began to claim. There is no limit of requests a second.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from uvloop import new_event_loop

from govpost.adapters.base import Outbound
from govpost.adapters.registry import load_adapter
from govpost.gateway.gateway import SystemRuntime
from govpost.gateway.ledger import Carriage, Ledger, PortalTerms
from govpost.gateway.log import configure_logging
from govpost.gateway.metrics import Metrics
from govpost.gateway.relay import Destination
from govpost.gateway.settings import PortalSection, Settings, load_settings
from govpost.gateway.worker import AsyncWorker, utc_now

__all__ = ["IN_BATCHES", "ONE_BY_ONE", "Portal", "build_portal", "open_ledger"]

IN_BATCHES, ONE_BY_ONE = "in_batches", "one_by_one"
_GIVES_UP_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Portal:
    """A portal as something that is told, with what the ledger must know of it."""

    to: Destination
    terms: PortalTerms
    carriage: Carriage


def build_portal(section: PortalSection, how: str) -> Portal:
    """Build a portal's adapter as the gateway does, with the batches of its manifest or with none."""
    found = load_adapter(section.adapter_key)
    batches = found.manifest.batches if how == IN_BATCHES else {}
    manifest = found.manifest.model_copy(update={"batches": batches})
    adapter = replace(found, manifest=manifest).build(section.options, section=f"portals.{section.name}")
    if not isinstance(adapter, Outbound):
        raise TypeError(f"{section.name} is told nothing")
    to = Destination(section.name, adapter)
    runtime = SystemRuntime(section.name, adapter, to, None)
    return Portal(to, runtime.terms, runtime.carriage)


def open_ledger(
    settings: Settings, portal: Portal, *, on_commit: Callable[[int, float], None] = lambda _size, _seconds: None
) -> Ledger:
    """Open the ledger of a gateway for the deliveries to one portal."""
    return Ledger(
        settings.ledger.url,
        settings.ledger.key_file,
        clock=utc_now,
        terms={portal.to.name: portal.terms},
        carriage={portal.to.name: portal.carriage},
        on_commit=on_commit,
    )


class _CountDown(Metrics):
    """The daemon's figures; says when so many deliveries were taken."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.are_taken = asyncio.Event()
        self._left = number

    def delivered(self, destination: str, portal: str, *, count: int) -> None:
        """Count them off."""
        super().delivered(destination, portal, count=count)
        self._left -= count
        if self._left == 0:
            self.are_taken.set()


def main() -> None:
    """Relay, and print the processor seconds."""
    path, name, number, how = sys.argv[1:]
    configure_logging(json=True)
    settings = load_settings(Path(path))
    portal = build_portal(settings.portals[name], how)
    meter = _CountDown(int(number))
    ledger = open_ledger(settings, portal, on_commit=meter.commit)
    worker = AsyncWorker(ledger, [portal.to], settings=settings.relay, clock=utc_now, meter=meter)
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        begun = time.process_time()
        runner.run(asyncio.wait_for(worker.run(meter.are_taken), _GIVES_UP_AFTER_S))
        ledger.close()
        print(time.process_time() - begun, flush=True)


if __name__ == "__main__":
    main()
