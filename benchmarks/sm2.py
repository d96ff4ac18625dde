"""What one portal's SM2 does to another's intake: each such order is verified, and each answer to it signed."""

import gc
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.intake import build_requests, is_success
from benchmarks.load import Load, Stream, pace, to_bytes
from benchmarks.processes import Daemon, closed_port, module, serving, write_settings
from benchmarks.report import Figure, middle, percentile
from govpost.mocks.chuanyu_tongban import ChuanyuTongbanMock, new_orders

__all__ = ["sm2"]

#: A moderate load, some eighth of what the daemon can take.
_INTAKE_PER_S = 200.0
_SM2_PER_S = 100.0
_ACCEPTED = 'govpost_orders_accepted_total{portal="chuanyu_tongban"}'


@dataclass(slots=True)
class _Phase:
    """The intake, alone or beside the SM2, and what each round of it gave."""

    has_sm2: bool
    #: Of the intake, seconds.
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    #: Processor seconds of the daemon in a second.
    cpu: list[float] = field(default_factory=list)
    #: Of the SM2's stream, all rounds.
    sm2: Load = field(default_factory=Load)
    unwanted: int = 0

    def measure(self, url: str, *, seconds: float, seed: int, daemon: Daemon | None = None) -> None:
        """Send for so many seconds."""
        streams = [_intake(url, seconds, seed), *([_sm2(url, seconds, seed)] if self.has_sm2 else [])]
        # What was built is not looked through again while the clock runs.
        gc.collect()
        gc.freeze()
        cpu_before = daemon.cpu_s() if daemon else 0.0
        intake, *beside = pace(url, *streams)
        self.cpu.append((daemon.cpu_s() - cpu_before) / intake.seconds if daemon else 0.0)
        self.p50.append(percentile(intake.latencies, 0.5))
        self.p99.append(percentile(intake.latencies, 0.99))
        self.sm2.latencies += [latency for load in beside for latency in load.latencies]
        self.unwanted += sum(len(load.unwanted) for load in (intake, *beside))


def sm2(*, is_quick: bool) -> list[Figure]:
    """Measure the intake's latencies alone and beside SM2, in turn, at one daemon; the same at a bare endpoint."""
    seconds, rounds = (1.0, 1) if is_quick else (8.0, 7)
    alone, beside, bare_alone, bare_beside = (_Phase(has_sm2=has_sm2) for has_sm2 in (False, True) * 2)
    with (
        tempfile.TemporaryDirectory() as name,
        closed_port() as nobody,
        module("benchmarks.bare_server") as bare_url,
        serving(write_settings(Path(name), post_url=nobody, yukuaiban=nobody, chuanyu_tongban=nobody)) as daemon,
    ):
        # What is done once only, such as starting threads, is done by then.
        warm_up = _Phase(has_sm2=True)
        warm_up.measure(daemon.url, seconds=1.0, seed=1_000)
        for seed in range(rounds):
            # Each is first in every other round: what the one leaves behind must not always fall to the other.
            for phase in (alone, beside) if seed % 2 else (beside, alone):
                phase.measure(daemon.url, seconds=seconds, seed=2 * seed + phase.has_sm2, daemon=daemon)
            for phase in (bare_alone, bare_beside):
                phase.measure(bare_url, seconds=seconds, seed=2 * seed + phase.has_sm2)
        taken = daemon.figure(_ACCEPTED)
    sent = len(warm_up.sm2.latencies) + len(beside.sm2.latencies)
    unwanted = sum(phase.unwanted for phase in (warm_up, alone, beside, bare_alone, bare_beside))
    return [
        *_latencies("alone", "", alone, bare_alone),
        *_latencies("beside", " beside SM2", beside, bare_beside),
        Figure(
            "p99_ratio",
            middle(beside.p99) / middle(alone.p99),
            "that p99 beside SM2 against alone",
            at_most=1.5,
            bare=middle(bare_beside.p99) / middle(bare_alone.p99),
        ),
        Figure("sm2_p99_ms", percentile(beside.sm2.latencies, 0.99) * 1e3, "of the SM2's orders 99 in 100 within, ms"),
        Figure("cpu_alone", middle(alone.cpu), "processors that the daemon keeps busy, alone"),
        Figure("cpu_beside", middle(beside.cpu), "the same beside SM2"),
        Figure("intake_per_s", _INTAKE_PER_S, "orders a second of the intake"),
        Figure("sm2_per_s", _SM2_PER_S, "orders a second with SM2"),
        Figure("unwanted", float(unwanted), "answers that were no success", at_most=0),
        Figure("lost", abs(sent - taken), "orders with SM2 sent but not taken", at_most=0),
    ]


def _latencies(name: str, words: str, ours: _Phase, bare: _Phase) -> Sequence[Figure]:
    return [
        Figure(
            f"{kind}_{name}_ms",
            middle(getattr(ours, kind)) * 1e3,
            f"of the intake {share} answered within{words}, ms",
            bare=middle(getattr(bare, kind)) * 1e3,
        )
        for kind, share in (("p50", "half are"), ("p99", "99 in 100 are"))
    ]


def _intake(url: str, seconds: float, seed: int) -> Stream:
    number = int(_INTAKE_PER_S * seconds)
    return Stream(build_requests(number, url=url, seed=seed), _INTAKE_PER_S, is_success, seed)


def _sm2(url: str, seconds: float, seed: int) -> Stream:
    portal = ChuanyuTongbanMock()
    host = urlsplit(url).netloc
    orders = new_orders(int(_SM2_PER_S * seconds), seed=seed)
    requests = [to_bytes(portal.build_place(order), host=host) for order in orders]
    return Stream(requests, _SM2_PER_S, _is_answered, seed + 1)


def _is_answered(answer: bytes) -> bool:
    """Tell no more than that: what the answer says is sealed, and the daemon's own count says how many were taken."""
    return answer.startswith(b"HTTP/1.1 200 ")
