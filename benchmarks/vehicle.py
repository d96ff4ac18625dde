"""What a write-back to the vehicle administration costs: one string in SOAP, over the daemon's transport."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
from lxml import etree
from ulid import ULID
from uvloop import new_event_loop
from zeep import Client
from zeep.transports import Transport

from benchmarks.far_side import converse, order_of, samples
from benchmarks.processes import mock, mock_state
from benchmarks.report import Figure, middle
from benchmarks.systems import section
from govpost.adapters.base import DeliveryKind, Outbound, Owed
from govpost.adapters.registry import load_adapter
from govpost.gateway.relay import Destination
from govpost.gateway.transport import AsyncTransport, Timeouts
from govpost.gateway.worker import system_source, utc_now
from govpost.mocks._synthetic import s10_number
from govpost.schemas import Event, Headers, Order, Outcome, OutcomeKind, Status, Update, WireReply, WireRequest
from govpost.schemas.identifiers import check_waybill_no

__all__ = ["vehicle"]

_PORTAL = "vehicle_admin"
_TIMEOUTS = Timeouts(connect_s=10, request_s=60)
_AT_ONCE = 8
_CALL = "writeObjectOut"
#: What each record is told, one after the other.
_STORY = (Status.ACCEPTED, Status.NUMBERED)


def vehicle(*, is_quick: bool) -> list[Figure]:
    """Measure write-backs a processor second of the caller, beside zeep's transport, and zeep alone."""
    number, rounds = (20, 1) if is_quick else (500, 5)
    seconds: dict[_Way, list[float]] = {_tell: [], _tell_plainly: [], _call_zeep: []}
    amiss = 0
    with tempfile.TemporaryDirectory() as folder, mock(_PORTAL, Path(folder)) as url:
        adapter = load_adapter(_PORTAL).build(section(_PORTAL, url=url), section=_PORTAL)
        if not isinstance(adapter, Outbound):
            raise TypeError(f"{_PORTAL} is told nothing")
        for _ in range(rounds):
            for way, spent in seconds.items():
                owed = _owe(url, number)
                spent.append(way(adapter, owed))
                amiss += _count_amiss(url, len(owed))
    writes = number * len(_STORY)
    ours, plainly, zeep = (writes / middle(spent) for spent in seconds.values())
    return [
        Figure(
            "per_cpu_s",
            ours,
            "write-backs a processor second of the caller",
            at_least=400,
            bare=plainly,
        ),
        Figure("zeep_client_per_cpu_s", zeep, "the same calls by a zeep.Client of the portal's WSDL"),
        Figure("of_zeep_client", ours / zeep, "ours, as a share of that"),
        Figure("writes", float(writes * rounds), "write-backs in all, each way"),
        Figure("told_amiss", float(amiss), "write-backs told not once, or not taken", at_most=0),
    ]


def _owe(url: str, number: int) -> list[Owed]:
    """Have the portal offer records anew; gives what it is owed of them, in the order in which it must be told."""
    requests.post(f"{url}/__mock__/reset", timeout=60).raise_for_status()
    offered = requests.post(f"{url}/__mock__/do/offer", json={"count": number}, timeout=60)
    offered.raise_for_status()
    like = order_of(_PORTAL, next(samples(_PORTAL, "order")))
    orders = [like.model_copy(update={"portal_ref": ref}) for ref in offered.json()]
    return [_update(order, status, serial) for status in _STORY for serial, order in enumerate(orders)]


def _update(order: Order, status: Status, serial: int) -> Owed:
    at = utc_now()
    number = None if status is Status.ACCEPTED else check_waybill_no(s10_number("EA", serial))
    event = Event(event_id=status, status=status, occurred_at=at, waybill_no=number)
    update = Update(order.order_id, event, status, 1, number)
    return Owed(str(ULID()), DeliveryKind.UPDATE, order, at, update, history=(event,))


def _tell(adapter: Outbound, owed: Sequence[Owed]) -> float:
    """Render and tell as the daemon does; returns processor seconds."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        begun = time.process_time()
        runner.run(_tell_at_once(adapter, owed))
        return time.process_time() - begun


async def _tell_at_once(adapter: Outbound, owed: Sequence[Owed]) -> None:
    source = system_source(utc_now)
    is_cpu_heavy = Destination(_PORTAL, adapter).is_cpu_heavy("send")
    transport = AsyncTransport(_TIMEOUTS, connections=_AT_ONCE)

    async def tell(each: Owed) -> Sequence[Outcome]:
        return await transport.drive(adapter.send([adapter.render(each)], source), is_cpu_heavy=is_cpu_heavy)

    try:
        for begin in range(0, len(owed), _AT_ONCE):
            for outcomes in await asyncio.gather(*map(tell, owed[begin : begin + _AT_ONCE])):
                _check(outcomes)
    finally:
        await transport.close()


def _tell_plainly(adapter: Outbound, owed: Sequence[Owed]) -> float:
    """Render and tell the same, each request carried by zeep's own transport; returns processor seconds."""
    source = system_source(utc_now)
    with requests.Session() as session:
        transport = Transport(session=session)

        def carry(request: WireRequest) -> WireReply:
            answer = transport.post(request.url, request.body, dict(request.headers))
            return WireReply(answer.status_code, Headers(answer.headers.items()), answer.content)

        begun = time.process_time()
        for each in owed:
            _check(converse(adapter.send([adapter.render(each)], source), carry))
        return time.process_time() - begun


def _call_zeep(adapter: Outbound, owed: Sequence[Owed]) -> float:
    """Have a zeep client make the same calls, their arguments written beforehand; returns processor seconds."""
    source = system_source(utc_now)
    ready = [next(adapter.send([adapter.render(each)], source)) for each in owed]
    calls = [_arguments(request) for request in ready]
    with requests.Session() as session:
        client = Client(f"{ready[0].url}?wsdl", transport=Transport(session=session))
        call = client.service[_CALL]
        begun = time.process_time()
        answers = [call(**arguments) for arguments in calls]
        cpu_s = time.process_time() - begun
    if not all("<code>1</code>" in answer for answer in answers):
        raise RuntimeError("a call was not taken")
    return cpu_s


def _arguments(request: WireRequest) -> dict[str, str]:
    """Take the arguments out of a request of ours."""
    ((call,),) = etree.fromstring(request.body)
    if etree.QName(call).localname != _CALL:
        raise RuntimeError(f"not a call of {_CALL}")
    return {argument.tag: argument.text or "" for argument in call}


#: Ours and what it is measured beside.
_Way = Callable[[Outbound, Sequence[Owed]], float]


def _check(outcomes: Sequence[Outcome]) -> None:
    if [outcome.kind for outcome in outcomes] != [OutcomeKind.TAKEN]:
        raise RuntimeError(f"a write-back was answered {outcomes}")


def _count_amiss(url: str, told: int) -> int:
    state = mock_state(url)
    wrong: int = sum(state[fault] for fault in ("rejected", "repeats", "told_twice"))
    return wrong + abs(int(state["writes"]) - told)
