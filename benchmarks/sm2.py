"""What one portal's SM2 does to another's intake: each such order is verified, and each answer to it signed."""

import gc
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.intake import build_requests, is_success
from benchmarks.load import Stream, pace, to_bytes
from benchmarks.processes import Daemon, closed_port, module, serving, write_settings
from benchmarks.report import Figure, middle, percentile
from govpost.mocks.chuanyu_tongban import ChuanyuTongbanMock, new_orders

__all__ = ["sm2"]

#: A moderate load, some eighth of what the daemon can take.
_INTAKE_PER_S = 200.0
_BESIDE_PER_S = 100.0
_ACCEPTED = 'govpost_orders_accepted_total{portal="chuanyu_tongban"}'

#: Builds what is sent for so many seconds, by address and seed.
_Build = Callable[[str, float, int], Stream]


@dataclass(slots=True)
class _Phase:
    """The intake, alone or beside something, and what each round of it gave."""

    number: int
    beside: _Build | None = None
    #: Of the intake, seconds.
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    #: Processor seconds of the daemon in a second.
    cpu: list[float] = field(default_factory=list)
    #: Of what is beside it, all rounds.
    others: list[float] = field(default_factory=list)
    unwanted: int = 0

    def measure(self, url: str, *, seconds: float, turn: int, daemon: Daemon | None = None) -> None:
        """Send for so many seconds."""
        seed = turn * 10 + self.number
        streams = [_intake(url, seconds, seed), *([self.beside(url, seconds, seed)] if self.beside else [])]
        # What was built is not looked through again while the clock runs.
        gc.collect()
        gc.freeze()
        cpu_before = daemon.cpu_s() if daemon else 0.0
        intake, *beside = pace(url, *streams)
        self.cpu.append((daemon.cpu_s() - cpu_before) / intake.seconds if daemon else 0.0)
        self.p50.append(percentile(intake.latencies, 0.5))
        self.p99.append(percentile(intake.latencies, 0.99))
        self.others += [latency for load in beside for latency in load.latencies]
        self.unwanted += sum(len(load.unwanted) for load in (intake, *beside))

    def against(self, other: "_Phase") -> float:
        """Compare the p99 of the same turns: a machine that is now fast, now slow, is so to both."""
        return middle([mine / theirs for mine, theirs in zip(self.p99, other.p99, strict=True)])


def sm2(*, is_quick: bool) -> list[Figure]:
    """Measure how the intake answers alone, beside more of its own, and beside SM2, in turn at the same daemon."""
    seconds, turns = (1.0, 1) if is_quick else (6.0, 9)
    alone, more, beside = _Phase(0), _Phase(1, _more), _Phase(2, _sm2)
    bare_alone, bare_beside = _Phase(3), _Phase(4, _sm2)
    warm_up = _Phase(5, _sm2)
    with (
        tempfile.TemporaryDirectory() as name,
        closed_port() as nobody,
        module("benchmarks.bare_server") as bare_url,
        serving(write_settings(Path(name), post_url=nobody, yukuaiban=nobody, chuanyu_tongban=nobody)) as daemon,
    ):
        # What is done once only, such as starting threads, is done by then.
        warm_up.measure(daemon.url, seconds=1.0, turn=0)
        ours, bare = deque((alone, more, beside)), (bare_alone, bare_beside)
        for turn in range(turns):
            for phase in ours:
                phase.measure(daemon.url, seconds=seconds, turn=turn, daemon=daemon)
            for phase in bare:
                phase.measure(bare_url, seconds=seconds, turn=turn)
            # What one leaves behind must not always fall to the same other.
            ours.rotate()
        taken = daemon.figure(_ACCEPTED)
    lost = len(warm_up.others) + len(beside.others) - taken
    unwanted = sum(phase.unwanted for phase in (warm_up, *ours, *bare))
    return [
        *_answers("alone", "", alone, bare_alone),
        *_answers("more", " beside more of its own", more, None),
        *_answers("beside", " beside SM2", beside, bare_beside),
        Figure("p99_more_ratio", more.against(alone), "that p99 beside more of its own against alone"),
        Figure(
            "p99_ratio",
            beside.against(alone),
            "that p99 beside SM2 against alone",
            at_most=1.5,
            bare=bare_beside.against(bare_alone),
        ),
        Figure("sm2_p99_ms", percentile(beside.others, 0.99) * 1e3, "of the orders with SM2 99 in 100 within, ms"),
        Figure("cpu_alone", middle(alone.cpu), "processors that the daemon keeps busy alone"),
        Figure("cpu_more", middle(more.cpu), "the same beside more of its own"),
        Figure("cpu_beside", middle(beside.cpu), "the same beside SM2"),
        Figure("intake_per_s", _INTAKE_PER_S, "orders a second of the intake"),
        Figure("beside_per_s", _BESIDE_PER_S, "orders a second of what is beside it"),
        Figure("unwanted", float(unwanted), "answers that were no success", at_most=0),
        Figure("lost", abs(lost), "orders with SM2 sent but not taken", at_most=0),
    ]


def _answers(name: str, words: str, ours: _Phase, bare: _Phase | None) -> Iterator[Figure]:
    for kind, share in (("p50", "half are"), ("p99", "99 in 100 are")):
        yield Figure(
            f"{kind}_{name}_ms",
            middle(getattr(ours, kind)) * 1e3,
            f"of the intake {share} answered within{words}, ms",
            bare=middle(getattr(bare, kind)) * 1e3 if bare else None,
        )


def _intake(url: str, seconds: float, seed: int) -> Stream:
    requests = build_requests(int(_INTAKE_PER_S * seconds), url=url, seed=seed)
    return Stream(requests, _INTAKE_PER_S, is_success, seed)


def _more(url: str, seconds: float, seed: int) -> Stream:
    """Build as many orders as there are with SM2, without it."""
    requests = build_requests(int(_BESIDE_PER_S * seconds), url=url, seed=_ANOTHER + seed)
    return Stream(requests, _BESIDE_PER_S, is_success, _ANOTHER + seed)


def _sm2(url: str, seconds: float, seed: int) -> Stream:
    portal, host = ChuanyuTongbanMock(), urlsplit(url).netloc
    orders = new_orders(int(_BESIDE_PER_S * seconds), seed=seed)
    requests = [to_bytes(portal.build_place(order), host=host) for order in orders]
    return Stream(requests, _BESIDE_PER_S, _is_answered, _ANOTHER + seed)


#: Seeds of what is beside the intake begin there.
_ANOTHER = 10_000


def _is_answered(answer: bytes) -> bool:
    """Tell no more than that: what the answer says is sealed, and the daemon's own count says how many were taken."""
    return answer.startswith(b"HTTP/1.1 200 ")
