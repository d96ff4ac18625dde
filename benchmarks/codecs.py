"""What each wire costs: reading an order, answering it, telling of it, placing it; for all adapters installed.

Nothing here knows a system. The documents are the samples beside each wire's contract; the mocks make requests of
them, and say whether ours fit.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from ulid import ULID

from benchmarks.far_side import FarSide, converse, listen_to, order_of, samples
from benchmarks.report import Figure, middle
from govpost.adapters.base import DeliveryKind, Outbound, Owed, Page, Polled, Receives
from govpost.adapters.registry import adapter_keys
from govpost.mocks._synthetic import s10_number
from govpost.mocks.base import CarrierMock, PortalMock
from govpost.mocks.registry import find_counterpart
from govpost.schemas import (
    Batch,
    Batched,
    Command,
    Denied,
    Event,
    Noted,
    Order,
    OutcomeKind,
    Place,
    Placed,
    Record,
    Result,
    Status,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas.identifiers import check_waybill_no

__all__ = ["codecs"]

#: What portals are told of an order, those that are told of it; the last is what is measured.
_STORY = (Status.ACCEPTED, Status.NUMBERED, Status.COLLECTED)
#: What a backend has to tell.
_COURSE = "delivered"


@dataclass(frozen=True, slots=True)
class _Task:
    """Something that an adapter does, and the same content as JSON."""

    run: Callable[[], object] = field(repr=False)
    same: str = field(repr=False)
    #: How many orders, updates or events it is at once.
    share: int = 1


#: What is done, in a word for the JSON line and in words for people; and with what.
_Job = tuple[str, str, Sequence[_Task]]


def codecs(*, is_quick: bool) -> list[Figure]:
    """Take the median of each job of each adapter, beside reading and writing the same content as JSON."""
    repeats = 5 if is_quick else 500
    known = [key for key in adapter_keys() if find_counterpart(key)]
    systems = [_System(key) for key in known]
    return [
        *(_measure(system.key, job, repeats) for system in systems for job in system.jobs()),
        Figure("unmeasured", float(len(adapter_keys()) - len(known)), "adapters without a mock to talk to", at_most=0),
        Figure("unfit", float(sum(system.unfit for system in systems)), "documents that did not fit", at_most=0),
    ]


def _measure(key: str, job: _Job, repeats: int) -> Figure:
    name, words, tasks = job
    ours, bare = [], []
    for _ in range(repeats):
        for task in tasks:
            begun = time.perf_counter()
            task.run()
            done = time.perf_counter()
            _dump(json.loads(task.same))
            bare.append((time.perf_counter() - done) / task.share)
            ours.append((done - begun) / task.share)
    return Figure(f"{key}_{name}_us", middle(ours) * 1e6, f"{key}: {words}, µs", bare=middle(bare) * 1e6)


class _System(FarSide):
    """An adapter, its mock, and what is to be done between them."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        #: Documents that the mock or the adapter would not have.
        self.unfit = 0

    def jobs(self) -> Iterator[_Job]:
        """Give what the adapter does in its roles."""
        match self.mock:
            case PortalMock() as portal:
                yield from self._portal_jobs(portal)
            case CarrierMock() as backend:
                yield from self._backend_jobs(backend)

    def _portal_jobs(self, portal: PortalMock) -> Iterator[_Job]:
        handed = [portal.hand_over(document) for document in samples(self.key, "wire")]
        places: list[Place] = []
        if isinstance(self.adapter, Receives):
            reading, answering, commands = self._at_the_door([each for each in handed if each], portal.is_taken)
            yield "read_order", "read an order", reading
            yield "answer_order", "answer it", answering
            places += [place for command in commands for place in _places(command)]
        if isinstance(self.adapter, Polled):
            polling, polled = self._polling(self.adapter)
            yield "read_order", "read an order of a page", [polling]
            places += polled
        if isinstance(self.adapter, Outbound):
            tellings = [self._telling(self.adapter, place, serial) for serial, place in enumerate(places)]
            yield "write_update", "write an update", tellings

    def _backend_jobs(self, backend: CarrierMock) -> Iterator[_Job]:
        orders = [Order.model_validate(document) for document in samples(self.key, "order")]
        if isinstance(self.adapter, Outbound):
            owed = [Owed(str(ULID()), DeliveryKind.PLACE, order, self.now()) for order in orders]
            yield "write_order", "write an order", [self._writing(self.adapter, each) for each in owed]
        if isinstance(self.adapter, Receives):
            heard = listen_to(backend, orders[0].order_id, course=_COURSE)
            reading, answering, _ = self._at_the_door(heard, bool)
            yield "read_event", "read an event", reading
            yield "answer_event", "answer it", answering

    def _at_the_door(
        self, requests: Sequence[WireRequest], is_taken: Callable[[WireReply], bool]
    ) -> tuple[list[_Task], list[_Task], list[Command]]:
        """Read requests and answer them: what was asked is done."""
        reading, answering, commands = [], [], []
        at, adapter = self.now(), self.adapter
        for request in requests:
            inbound = adapter.read(request, at)
            if isinstance(inbound.command, Denied):
                self.unfit += 1
                continue
            said, result = _content(inbound.command), _result(inbound.command)
            self.unfit += not is_taken(adapter.answer(inbound, result))
            reading.append(_Task(partial(adapter.read, request, at), _dump(said), len(said)))
            answering.append(_Task(partial(adapter.answer, inbound, result), _dump(asdict(result)), len(said)))
            commands.append(inbound.command)
        return reading, answering, commands

    def _polling(self, adapter: Polled) -> tuple[_Task, list[Place]]:
        """Ask once; then the same answers are read again and again."""
        replies: list[WireReply] = []

        def answer(request: WireRequest) -> WireReply:
            replies.append(self.answer(request))
            return replies[-1]

        def ask_again() -> object:
            left = iter(replies)
            return converse(adapter.poll("", self.source), lambda _: next(left))

        page = converse(adapter.poll("", self.source), answer)
        places = [each for each in page.commands if isinstance(each, Place)] if isinstance(page, Page) else []
        self.unfit += not places
        return _Task(ask_again, _dump([place.content for place in places]), max(1, len(places))), places

    def _telling(self, adapter: Outbound, place: Place, serial: int) -> _Task:
        """Tell all that comes first, and give the last."""
        order = order_of(self.key, dict(place.order))
        tells = [status for status in _STORY if status in adapter.manifest.tells]
        *_, last = [self._writing(adapter, self._update(order, status, serial)) for status in tells]
        return last

    def _update(self, order: Order, status: Status, serial: int) -> Owed:
        number = check_waybill_no(s10_number("EA", serial))
        event = Event(event_id=status, status=status, occurred_at=self.now(), waybill_no=number)
        update = Update(order.order_id, event, status, 1, None if status is Status.ACCEPTED else number)
        return Owed(str(ULID()), DeliveryKind.UPDATE, order, self.now(), update, history=(event,))

    def _writing(self, adapter: Outbound, owed: Owed) -> _Task:
        """Tell it once, to see that it fits; then its first request is written again and again."""
        document = adapter.render(owed)
        (outcome,) = converse(adapter.send([document], self.source), self.answer)
        self.unfit += outcome.kind is not OutcomeKind.TAKEN
        return _Task(lambda: next(adapter.send([adapter.render(owed)], self.source)), _as_json(document.body))


def _places(command: Command) -> list[Place]:
    commands = command.commands if isinstance(command, Batch) else (command,)
    return [each for each in commands if isinstance(each, Place)]


def _content(command: Command) -> list[Any]:
    """Give what was said: orders as the portal has them, events as we do."""
    if isinstance(command, Record):
        return [telling.event.model_dump(mode="json", exclude_none=True) for telling in command.tellings]
    return [place.content for place in _places(command)]


def _result(command: Command) -> Result:
    placed = [Placed(place.order.portal_ref, str(ULID())) for place in _places(command)]
    match command:
        case Record():
            return Noted()
        case Batch():
            return Batched(tuple(placed))
        case _:
            return placed[0]


def _as_json(body: bytes) -> str:
    """Take a body as it is where it is JSON, else as a text."""
    try:
        return _dump(json.loads(body))
    except ValueError:
        return _dump(body.decode("utf-8", "replace"))


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
