"""What a court's batch costs: read, checked, its seal verified, its orders durable before the answer is signed."""

import tempfile
import time
from pathlib import Path

from lxml import etree

from benchmarks.bare_store import replay
from benchmarks.processes import closed_port, write_settings
from benchmarks.report import Figure, middle
from govpost.gateway.gateway import Gateway
from govpost.mocks.court_waybill import CourtWaybillMock, new_batch
from govpost.schemas import WireRequest

__all__ = ["court"]

_PORTAL = "court_waybill"


def court(*, is_quick: bool) -> list[Figure]:
    """Measure processor seconds of a batch in the gateway, beside reading its XML and writing its rows."""
    tasks, rounds = (20, 1) if is_quick else (500, 5)
    ours, bare, taken = [], [], 0
    for seed in range(rounds):
        portal = CourtWaybillMock()
        with tempfile.TemporaryDirectory() as name, closed_port() as nobody:
            settings = write_settings(Path(name), post_url=nobody, **{_PORTAL: nobody})
            with Gateway.from_toml(settings) as gateway:
                request = portal.build_batch(new_batch(tasks, seed=seed))
                begun = time.process_time()
                reply = gateway.receive(_PORTAL, request)
                ours.append(time.process_time() - begun)
            taken += sum(not answer.code.strip("0") for answer in portal.parse_reply(reply, request=request).tasks)
            bare.append(_read(request) + replay(Path(name), group=tasks, clock=time.process_time))
    return [
        Figure(
            "batch_cpu_s",
            middle(ours),
            f"processor seconds of a batch of {tasks} tasks",
            at_most=1.0,
            bare=middle(bare),
        ),
        Figure("task_cpu_us", middle(ours) / tasks * 1e6, "a task of it, µs", bare=middle(bare) / tasks * 1e6),
        Figure("tasks", float(tasks * rounds), "tasks sent in all"),
        Figure("not_taken", float(tasks * rounds - taken), "tasks that were not taken", at_most=0),
    ]


def _read(request: WireRequest) -> float:
    """Make a tree of a batch and nothing more; returns processor seconds."""
    begun = time.process_time()
    etree.fromstring(request.body)
    return time.process_time() - begun
