"""What a court's batch costs: read, checked, its seal verified, its orders durable before the answer is signed."""

import gc
import tempfile
import time
from pathlib import Path

from lxml import etree

from benchmarks.bare_store import replay
from benchmarks.processes import closed_port, write_settings
from benchmarks.report import Figure, middle
from benchmarks.systems import section
from govpost.adapters.base import Receives
from govpost.adapters.registry import load_adapter
from govpost.gateway.gateway import Gateway
from govpost.gateway.worker import utc_now
from govpost.mocks.court_waybill import CourtWaybillMock, new_batch
from govpost.schemas import Batch, WireRequest

__all__ = ["court"]

_PORTAL = "court_waybill"
#: Nothing is ever sent there.
_NOWHERE = "http://127.0.0.1:9"


def court(*, is_quick: bool) -> list[Figure]:
    """Measure processor seconds of a batch in the gateway, beside reading its XML and writing its rows."""
    tasks, rounds = (20, 1) if is_quick else (500, 5)
    ours, codec, xml, bare, taken = [], [], [], [], 0
    for seed in range(rounds):
        portal = CourtWaybillMock()
        with tempfile.TemporaryDirectory() as name, closed_port() as nobody:
            settings = write_settings(Path(name), post_url=nobody, **{_PORTAL: nobody})
            with Gateway.from_toml(settings) as gateway:
                request = portal.build_batch(new_batch(tasks, seed=seed))
                # Else it is chance whether a full collection, of what others left, falls into what is measured.
                gc.collect()
                begun = time.process_time()
                reply = gateway.receive(_PORTAL, request)
                ours.append(time.process_time() - begun)
            taken += portal.parse_reply(reply, request=request).codes.count("0")
            codec.append(_read(request))
            xml.append(_parse(request))
            bare.append(xml[-1] + replay(Path(name), group=tasks, clock=time.process_time))
    return [
        Figure(
            "batch_cpu_s",
            middle(ours),
            f"processor seconds of a batch of {tasks} tasks",
            at_most=1.0,
            bare=middle(bare),
        ),
        Figure("task_cpu_us", middle(ours) / tasks * 1e6, "a task of it, µs", bare=middle(bare) / tasks * 1e6),
        Figure(
            "read_cpu_ms",
            middle(codec) * 1e3,
            "its seal verified, its XML read and checked, no ledger: ms",
            bare=middle(xml) * 1e3,
        ),
        Figure("tasks", float(tasks * rounds), "tasks sent in all"),
        Figure("not_taken", float(tasks * rounds - taken), "tasks that were not taken", at_most=0),
    ]


def _read(request: WireRequest) -> float:
    """Verify a batch, read and check it, and do nothing about it; returns processor seconds."""
    adapter = load_adapter(_PORTAL).build(section(_PORTAL, url=_NOWHERE), section=_PORTAL)
    if not isinstance(adapter, Receives):
        raise TypeError(f"{_PORTAL} hands nothing over")
    gc.collect()
    begun = time.process_time()
    inbound = adapter.read(request, utc_now())
    cpu_s = time.process_time() - begun
    if not isinstance(inbound.command, Batch):
        raise TypeError("a batch was read as something else")
    return cpu_s


def _parse(request: WireRequest) -> float:
    """Make a tree of a batch and nothing more; returns processor seconds."""
    begun = time.process_time()
    etree.fromstring(request.body)
    return time.process_time() - begun
