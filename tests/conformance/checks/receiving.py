"""Orders and requests that come in."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from govpost.adapters.base import Inbound
from govpost.adapters.protocols.content import VOLATILE
from govpost.schemas import (
    Amend,
    Amended,
    Batch,
    Batched,
    Cancel,
    Cancelled,
    Command,
    Denied,
    Event,
    Found,
    Noted,
    OrderContent,
    Place,
    Placed,
    Problem,
    Query,
    Record,
    Refuse,
    Result,
    Status,
    WireRequest,
)
from govpost.schemas.documents import JsonObject
from govpost.tests.conformance.bench import NOW, Bench
from govpost.tests.conformance.checks.scopes import CALLERS, HANDS_OVER, PORTAL_CALLERS
from govpost.tests.conformance.kit import Level, check
from govpost.tests.conformance.stories import WAYBILLS, Story, begin
from govpost.tests.conformance.subject import Finding, Sample, Subject
from govpost.tests.conformance.variations import (
    HOSTILE_BODIES,
    HOSTILE_TEXTS,
    Path,
    beyond,
    changed,
    each_leaf,
    forgeries,
    hostile_values,
    is_about,
    leaves,
    name_of,
    objects,
    wire_path,
    with_value,
    without,
)

__all__ = [
    "answers_are_understood",
    "contract_limits_hold",
    "fields_kept_or_named",
    "forgeries_are_denied",
    "hostile_input_is_denied",
    "other_commands_are_read",
    "replay_is_recognizable",
    "same_order_same_content",
    "stale_request_is_denied",
    "unknown_members_are_kept",
]

_HOUR_S = 3600.0
_MINUTE_S = 60.0
_UNHEARD_OF = "x_unheard_of"

#: What is made of a document; None where the portal cannot say such a thing.
_Taken = Command | Refuse | Denied | None


# --- What an order says ------------------------------------------------------------------------------------------


@check(Level.SILVER, HANDS_OVER)
def fields_kept_or_named(subject: Subject) -> Iterator[str]:
    """Each member of a document shows in the order when it changes, or is refused by its name; none is dropped."""
    for sample, path, value in each_leaf(subject.samples):
        before = _placed(Bench(subject).take(sample.document), sample)
        for how, document in _variants(sample, path, value):
            complaint = _dropped(Bench(subject).take(document), before.order, path)
            if complaint:
                yield f"{name_of(path)} {how}: {complaint}"


def _variants(sample: Sample, path: Path, value: Any) -> Iterator[tuple[str, Any]]:
    yield "changed", with_value(sample.document, path, changed(value))
    if isinstance(path[-1], str):
        yield "missing", without(sample.document, path)


def _dropped(command: _Taken, order: OrderContent, path: Path) -> str | None:
    if command is None:
        return None
    if isinstance(command, Place):
        return "the order is the same as before" if command.order == order else None
    if isinstance(command, Refuse):
        return None if is_about(path, f"{command.field} {command.reason}") else "refused, and not by its name"
    if isinstance(command, Denied) and command.problem is Problem.INVALID:
        return None if is_about(path, f"{command.field} {command.reason}") else "denied, and not by its name"
    return f"read as {getattr(command, 'problem', type(command).__name__)}"


@check(Level.GOLD, HANDS_OVER)
def contract_limits_hold(subject: Subject) -> Iterator[str]:
    """What the contract says is too long, too short, too large or too small is refused by its name.

    Unless it is one of the members that we have no word for: they are kept as they come.
    """
    if subject.contract is None:
        raise Finding("it has no wire/openapi.json")
    for sample, path, value in each_leaf(subject.samples):
        schema = subject.contract.schema_of(sample.name)
        rules = subject.contract.rules(schema, wire_path(path))
        for how, odd in beyond(rules, value):
            document = with_value(sample.document, path, odd)
            if subject.contract.unfit(schema, document):
                command = Bench(subject).take(document)
                complaint = _dropped(command, sample.order, path)
                if isinstance(command, Place) and odd not in dict(leaves(command.order.extras)).values():
                    complaint = "taken"
                if complaint:
                    yield f"{name_of(path)} {how}: {complaint}"


@check(Level.GOLD, HANDS_OVER)
def unknown_members_are_kept(subject: Subject) -> Iterator[str]:
    """A member that nobody has heard of is no error: it is kept among the order's extras, and counts as content."""
    for sample in subject.samples:
        for path in objects(sample.document):
            place = (*path, _UNHEARD_OF)
            command = Bench(subject).take(with_value(sample.document, place, "zz"))
            if command is None:
                continue
            if not isinstance(command, Place):
                yield f"{name_of(place)}: refused"
            elif "zz" not in dict(leaves(command.order.extras)).values():
                yield f"{name_of(place)}: not among the extras"
            elif "zz" not in dict(leaves(command.content)).values():
                yield f"{name_of(place)}: no content"


@check(Level.SILVER, HANDS_OVER)
def same_order_same_content(subject: Subject) -> Iterator[str]:
    """The same document again, later and sealed anew, is the same content; another one, but for its times, is not."""
    for sample in subject.samples:
        bench = Bench(subject)
        first = _placed(bench.take(sample.document), sample)
        bench.wait(_MINUTE_S)
        second = _placed(bench.take(sample.document), sample)
        if first.content != second.content or first.order != second.order:
            yield f"{sample.name}: the same document is other content a minute later"
    for sample, path, value in each_leaf(subject.samples):
        command = Bench(subject).take(with_value(sample.document, path, changed(value)))
        if isinstance(command, Place) and path[-1] not in VOLATILE:
            before = _placed(Bench(subject).take(sample.document), sample)
            if command.content == before.content:
                yield f"{name_of(path)} changed: the same content"


def _placed(command: _Taken, sample: Sample) -> Place:
    if not isinstance(command, Place):
        raise Finding(f"{sample.name}: it is not taken")
    return command


# --- Who says it -------------------------------------------------------------------------------------------------


@check(Level.SILVER, CALLERS, is_essential=True)
def forgeries_are_denied(subject: Subject) -> Iterator[str]:
    """A request that was changed anywhere is denied, or means what it meant before; a later one's stamps don't help."""
    bench, build = _calling(subject)
    request = build()
    honest = bench.read(request)
    if isinstance(honest.command, Denied):
        raise Finding(f"an honest request is denied: {honest.command.problem}")
    bench.wait(_HOUR_S)
    in_time, too_late = (honest.command, honest.nonce), _said(bench.read(request))
    problems = set()
    for what, forged in forgeries(request, build()):
        for late_s, before in ((-_HOUR_S, in_time), (0.0, too_late)):
            inbound = bench.read(forged, late_s=late_s)
            if not isinstance(inbound.command, Denied) and _said(inbound) != before:
                yield f"{what}: it passes"
            if isinstance(inbound.command, Denied):
                problems.add(inbound.command.problem)
                if inbound.command.problem is Problem.SIGNATURE and inbound.nonce is not None:
                    yield f"{what}: a caller that is not proven uses up a nonce"
    if subject.hands_over and Problem.SIGNATURE not in problems:
        yield "no forgery is denied for its signature"


def _said(inbound: Inbound) -> tuple[Command | Denied, str | None]:
    return inbound.command, inbound.nonce


def _calling(subject: Subject) -> "tuple[Bench, _Build]":
    """Set up a far side that calls us: a portal with its first sample, a backend with its first code."""
    bench = Bench(subject)
    if subject.hands_over:
        if not subject.samples:
            raise Finding("it has no samples")
        return bench, _Build(bench, subject.samples[0].document)
    story = begin(bench)
    story.tell(next(story.owe_all()))
    return bench, _Build(bench, story)


class _Build:
    """Builds the same request again and again, signed anew each time."""

    def __init__(self, bench: Bench, about: "Story | JsonObject") -> None:
        self._bench = bench
        self._about = about

    def __call__(self) -> WireRequest:
        if not isinstance(self._about, Story):
            return self._bench.hand_over(self._about)
        code = next((code for code, status in self._bench.mock.statuses.items() if status is not None), "")
        request = self._bench.backend.tell(self._about.order.order_id, code)
        if request is None:
            raise Finding("its mock tells nothing, though the manifest says that it calls us")
        return request


@check(Level.SILVER, CALLERS)
def stale_request_is_denied(subject: Subject) -> Iterator[str]:
    """A request that comes an hour late, or an hour early, is denied for its time; a minute either way does no harm."""
    bench, build = _calling(subject)
    request = build()
    for late_s in (-_MINUTE_S, _MINUTE_S):
        if isinstance(bench.read(request, late_s=late_s).command, Denied):
            yield f"{late_s:+.0f} s: denied"
    for late_s in (-_HOUR_S, _HOUR_S):
        command = bench.read(request, late_s=late_s).command
        if not isinstance(command, Denied) or command.problem is not Problem.TIMESTAMP:
            yield f"{late_s:+.0f} s: not denied for its time"


@check(Level.SILVER, CALLERS)
def replay_is_recognizable(subject: Subject) -> Iterator[str]:
    """The same bytes again have the same nonce, so that the ledger knows them; signed anew they have another."""
    bench, build = _calling(subject)
    request = build()
    first, again, anew = bench.read(request), bench.read(request), bench.read(build())
    if first.nonce is None:
        raise Finding("a request has no nonce: its replay passes")
    if (first.nonce, first.nonce_digest) != (again.nonce, again.nonce_digest):
        yield "the same bytes have another nonce"
    if anew.nonce == first.nonce:
        yield "a request signed anew has the same nonce: it is taken for a replay"


@check(Level.SILVER, CALLERS, is_essential=True)
def hostile_input_is_denied(subject: Subject) -> Iterator[str]:
    """Whatever comes in is denied or read, and raises nothing."""
    bench, build = _calling(subject)
    wrapped = (bench.mock.wrap(body) for body in HOSTILE_BODIES)
    for request in (*_hostile_requests(build()), *(request for request in wrapped if request is not None)):
        if not isinstance(_read_safely(bench, request), Inbound):
            yield f"{request.method} of {len(request.body)} bytes: it raises"
    if subject.hands_over:
        yield from _hostile_members(subject)
    else:
        yield from _hostile_codes(subject)


def _read_safely(bench: Bench, request: WireRequest) -> Any:
    """Read, and answer what was denied; None where either raises, whatever it is."""
    try:
        inbound = bench.read(request)
        if isinstance(inbound.command, Denied):
            bench.adapter.answer(inbound, inbound.command)
    except Exception:  # noqa: BLE001 - that none comes is what is asked
        return None
    return inbound


def _hostile_requests(honest: WireRequest) -> Iterator[WireRequest]:
    headers = dict(honest.headers)
    yield from (replace(honest, body=body) for body in HOSTILE_BODIES)
    yield from (replace(honest, body=body, headers={}) for body in HOSTILE_BODIES[:4])
    yield from (replace(honest, headers=dict.fromkeys(headers, text)) for text in ("", "\udcff" * 8, "x" * 9000, "-1"))
    yield from (replace(honest, method=method) for method in ("GET", "PUT", ""))
    yield from (replace(honest, url=url) for url in ("/", "", "//?#", f"{honest.url}/../../x", "/\udcff"))


def _hostile_members(subject: Subject) -> Iterator[str]:
    """Put what should not be there in the place of every member."""
    bench = Bench(subject)
    for number, (sample, path, _) in enumerate(each_leaf(subject.samples)):
        for value in hostile_values(number):
            document = with_value(sample.document, path, value)
            if not bench.can_hand_over(document):
                continue
            request = bench.hand_over(document)
            if not isinstance(_read_safely(bench, request), Inbound):
                yield f"{name_of(path)} with {type(value).__name__}: it raises"


def _hostile_codes(subject: Subject) -> Iterator[str]:
    """Let what no code stands for happen."""
    story = begin(Bench(subject))
    story.tell(next(story.owe_all()))
    for number, code in enumerate(HOSTILE_TEXTS):
        request = story.bench.backend.tell(story.order.order_id, code)
        if request is not None and not isinstance(_read_safely(story.bench, request), Inbound):
            yield f"hostile code {number}: it raises"


# --- What it hears back ------------------------------------------------------------------------------------------


@check(Level.SILVER, CALLERS)
def answers_are_understood(subject: Subject) -> Iterator[str]:
    """Yes is a yes in its words, to a repeat too; every way of saying no is a no."""
    bench, build = _calling(subject)
    is_taken = bench.portal.is_taken if subject.hands_over else bench.backend.is_taken
    inbound = bench.read(build())
    for result in _yes_to(inbound.command):
        if not is_taken(bench.adapter.answer(inbound, result)):
            yield f"{type(result).__name__} is not understood as yes"
    for problem in Problem:
        if is_taken(bench.adapter.answer(inbound, Denied(problem, "reason"))):
            yield f"{problem} is understood as yes"


def _yes_to(command: Command | Denied) -> tuple[Result, ...]:
    match command:
        case Place(order=order):
            number = "01HGGY4B5R0000000000000AB1"
            return (Placed(order.portal_ref, number), Placed(order.portal_ref, number, is_repeat=True))
        case Batch(commands=commands):
            answers = zip(*map(_yes_to, commands), strict=True)
            return tuple(Batched(tuple(each for each in answer if isinstance(each, Placed))) for answer in answers)
        case Record():
            return (Noted(), Noted(strays=1))
        case _:
            raise Finding(f"an honest request is read as {type(command).__name__}")


@check(Level.GOLD, PORTAL_CALLERS)
def other_commands_are_read(subject: Subject) -> Iterator[str]:
    """Whatever else the portal asks of an order is read as that command about that order, and answered in its words."""
    bench = Bench(subject)
    story = begin(bench)
    document = subject.samples[0].numbered(0).document
    for name, request in bench.portal.commands(document).items():
        inbound = bench.read(request)
        if not isinstance(inbound.command, _COMMANDS[name]) or inbound.command.portal_ref != story.order.portal_ref:
            yield f"{name}: read as {type(inbound.command).__name__}, or about another order"
            continue
        for result in _results(inbound.command, story):
            if not bench.portal.is_taken(bench.adapter.answer(inbound, result)):
                yield f"{name}: {type(result).__name__} is not understood as yes"


_COMMANDS: dict[str, type[Amend | Cancel | Query]] = {"amend": Amend, "cancel": Cancel, "query": Query}


def _results(command: Amend | Cancel | Query, story: Story) -> Iterator[Result]:
    order = story.order
    match command:
        case Amend():
            yield Amended(order.portal_ref, order.order_id)
        case Cancel():
            yield Cancelled(order.portal_ref, order.order_id)
        case Query():
            yield Found(order, Status.ACCEPTED, {}, ())
            events = tuple(_event(place, status) for place, status in enumerate(Status))
            yield from (Found(order, status, WAYBILLS, events) for status in Status if status is not Status.UNKNOWN)


def _event(place: int, status: Status) -> Event:
    return Event(event_id=f"e{place}", status=status, occurred_at=NOW - timedelta(minutes=place))
