"""Adapters that are wrong in one way each, and the checks of the kit that must find it.

Each is an example of ours, or a real adapter, with one thing spoilt. `fails` lists exactly the checks that it fails.
"""

import json
import re
import tempfile
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from courier.adapter import Courier, answer_of, dump, read_event
from kiosk.adapter import Kiosk, read_order
from pydantic import SecretStr

from govpost.adapters.base import AdapterSettings, DeliveryKind, Document, Inbound, Owed, Page
from govpost.adapters.webhook.adapter import Webhook
from govpost.adapters.yukuaiban.adapter import Yukuaiban
from govpost.schemas import (
    Cancel,
    Conversation,
    Denied,
    Outcome,
    OutcomeKind,
    Place,
    Presence,
    Query,
    Reason,
    Record,
    Refuse,
    Result,
    Source,
    Status,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import BreakageError, UnsupportedFeatureError

__all__ = ["BROKEN", "Broken"]


@dataclass(frozen=True)
class Broken:
    """One broken adapter."""

    name: str
    #: The sound one that it is made of.
    base: str
    #: Its class here; None where only a file of it is spoilt.
    factory: type | None
    #: The checks that it fails, all of them.
    fails: frozenset[str]
    #: File of its package → (what stands there, what stands there instead).
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Stands at the top of its adapter.py.
    prelude: str = ""


BROKEN: dict[str, Broken] = {}

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def fails(*checks: str) -> Callable[[type], type]:
    """Enter a class among the broken adapters, under its own name in lower case."""

    def enter(factory: type) -> type:
        name = _WORD.sub("_", factory.__name__).lower()
        BROKEN[name] = Broken(name, factory.__mro__[1].__name__.lower(), factory, frozenset(checks))
        return factory

    return enter


def spoilt(name: str, base: str, *checks: str, prelude: str = "", **edits: tuple[str, str]) -> None:
    """Enter an adapter of which a file is broken; `manifest_toml` stands for manifest.toml."""
    files = {file.replace("_", "."): edit for file, edit in edits.items()}
    BROKEN[name] = Broken(name, base, None, frozenset(checks), files, prelude)


# --- What it says of itself --------------------------------------------------------------------------------------

spoilt("forgets_a_secret", "kiosk", "manifest", manifest_toml=('secrets = ["key"]', "secrets = []"))
spoilt(
    "amends_as_a_portal",
    "kiosk",
    "manifest",
    manifest_toml=("is_idempotent = true", "is_idempotent = true\namends = true"),
)
spoilt(
    "is_exempt_from_everything",
    "courier",
    "exemptions_have_a_reason",
    manifest_toml=("is_idempotent = true", 'is_idempotent = true\n[exemptions]\nforgeries_are_denied = "we trust all"'),
)
spoilt(
    "is_exempt_without_need",
    "courier",
    "busy_waits_as_asked",
    manifest_toml=("is_idempotent = true", 'is_idempotent = true\n[exemptions]\nbusy_waits_as_asked = "never busy"'),
)
spoilt(
    "opens_a_socket_at_import",
    "kiosk",
    "imports_without_io",
    prelude="import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n",
)
spoilt(
    "has_an_unfit_sample",
    "kiosk",
    "samples_fit_the_contract",
    openapi_json=('"required": [\n          "no",', '"required": [\n          "colour",\n          "no",'),
)
spoilt(
    "knows_no_such_code",
    "kiosk",
    "codes_are_the_contracts",
    openapi_json=('"DOOR",', '"DOOR",\n              "SHELF",'),
)
spoilt(
    "forgets_the_way_back",
    "kiosk",
    "golden_out",
    fields_py=("import *", "import *\nfrom kiosk.fields import FIELDS\nFIELDS = FIELDS[:-1]"),
)


class _Loose(AdapterSettings):
    base_url: str
    key: str

    model_config = {"extra": "ignore"}  # noqa: RUF012 - as pydantic has it


@fails("manifest", "secrets_stay_hidden", "settings_are_checked")
class ShowsItsSecret(Courier):
    """Its key is a plain text, unknown settings are ignored."""

    Settings = _Loose

    def __init__(self, settings: Any, manifest: Any) -> None:
        super().__init__(settings.model_copy(update={"key": SecretStr(settings.key)}), manifest)


# --- What comes in -----------------------------------------------------------------------------------------------


def _altered(page: Any, change: Callable[[Place], Place | Refuse]) -> Any:
    """Change every order of a page."""
    if not isinstance(page, Page):
        return page
    return replace(page, commands=tuple(change(each) if isinstance(each, Place) else each for each in page.commands))


@fails("golden_in", "fields_kept_or_named")
class DropsAField(Yukuaiban):
    """The remark is dropped in silence."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Read all but the remark."""
        inbound = super().read(request, at)
        if not isinstance(inbound.command, Place):
            return inbound
        return replace(inbound, command=_without(inbound.command, remark=None))


def _without(command: Place, **changes: Any) -> Place:
    return replace(command, order=command.order.model_copy(update=changes))


@fails("golden_in", "unknown_members_are_kept", "fields_kept_or_named")
class DropsWhatItDoesNotKnow(Kiosk):
    """Unknown members are dropped."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Read all but the extras."""
        page = yield from super().poll(cursor, source)
        return _altered(page, lambda place: _without(place, extras={}))


@fails("same_order_same_content", "unknown_members_are_kept")
class TakesAnotherOrderForTheSame(Kiosk):
    """The content is the number alone."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Keep the number only."""
        page = yield from super().poll(cursor, source)
        return _altered(page, lambda place: replace(place, content={"no": place.content["no"]}))


@fails("fields_kept_or_named", "contract_limits_hold")
class RefusesWithoutAName(Kiosk):
    """What is wrong is not said."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Refuse, and keep the reason back."""
        page = yield from super().poll(cursor, source)
        if not isinstance(page, Page):
            return page
        return replace(page, commands=tuple(_nameless(each) for each in page.commands))


def _nameless(command: Place | Refuse) -> Place | Refuse:
    return replace(command, field=None, reason="is wrong") if isinstance(command, Refuse) else command


@fails("forgeries_are_denied")
class TrustsEverybody(Yukuaiban):
    """The signature is not looked at."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Sign the request before it is verified."""
        stamp, nonce = request.headers.get("X-Timestamp", "0"), request.headers.get("X-Nonce", "0" * 32)
        path = request.url.partition("?")[0]
        signed = self._sign(stamp, nonce, request.method, path, request.body)
        headers = {**request.headers, "X-App-Id": self._app_id, "X-Sign": signed}
        return super().read(replace(request, headers=headers), at)


@fails("stale_request_is_denied")
class AcceptsWhatIsStale(Courier):
    """An old signature is as good as a new one."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Turn the clock back to when the request was signed."""
        second = request.headers.get("X-Stamp", "").partition(".")[0]
        return super().read(request, datetime.fromtimestamp(int(second), at.tzinfo) if second.isdecimal() else at)


@fails("replay_is_recognizable")
class ForgetsTheNonce(Courier):
    """A replay passes."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Keep no nonce."""
        return replace(super().read(request, at), nonce=None)


@fails("hostile_input_is_denied")
class RaisesOnHostileInput(Courier):
    """What is no event is an exception."""

    def command(self, body: bytes) -> Record | Denied:
        """Take it for granted."""
        return Record((read_event(json.loads(body)),))


@fails("answers_are_understood")
class SaysYesToEverything(Yukuaiban):
    """A refusal is answered as a success."""

    def answer(self, inbound: Inbound, result: Result) -> WireReply:
        """Say yes."""
        reply = super().answer(inbound, result)
        return replace(
            reply, body=re.sub(rb'"99"(.*)"YKB\d*"(.*)"fail"', rb'"00"\1"000000000000"\2"success"', reply.body)
        )


@fails("other_commands_are_read")
class CancelsWhatIsOnlyAskedFor(Yukuaiban):
    """A query is read as a cancel."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Take every query for a cancel."""
        inbound = super().read(request, at)
        is_query = isinstance(inbound.command, Query)
        return replace(inbound, command=Cancel(inbound.command.portal_ref)) if is_query else inbound


# --- Polling -----------------------------------------------------------------------------------------------------


@fails(
    "broken_order_is_refused",
    "contract_limits_hold",
    "fields_kept_or_named",
    "hostile_order_spoils_no_page",
    "personal_data_stays_hidden",
    "same_order_same_content",
)
class LosesThePage(Kiosk):
    """One broken order spoils its page."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Give nothing where anything is broken."""
        page = yield from super().poll(cursor, source)
        is_broken = isinstance(page, Page) and any(isinstance(each, Refuse) for each in page.commands)
        return replace(page, commands=()) if is_broken else page


@fails("hostile_order_spoils_no_page")
class RaisesOnAnOddOrder(Kiosk):
    """An order whose remark is no text is an exception."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Take it for granted that a remark is a text."""
        page = yield from super().poll(cursor, source)
        for each in page.commands if isinstance(page, Page) else ():
            if isinstance(each, Refuse):
                len(each.content.get("remark", ""))
        return page


@fails("polling_again_is_harmless", "same_order_same_content")
class ReadsAPageOnce(Kiosk):
    """What was offered before is passed over, though it was never taken."""

    def __init__(self, settings: Any, manifest: Any) -> None:
        super().__init__(settings, manifest)
        self._seen: set[str] = set()

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Leave out what was read before."""
        page = yield from super().poll(cursor, source)
        if not isinstance(page, Page):
            return page
        fresh = [each for each in page.commands if repr(each) not in self._seen]
        self._seen |= set(map(repr, fresh))
        return replace(page, commands=tuple(fresh))


@fails("odd_pages_bring_nothing")
class TakesNonsenseForAnEmptyPage(Kiosk):
    """An answer that cannot be read is taken for: no orders."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Go on as if nothing had been."""
        page = yield from super().poll(cursor, source)
        return page if isinstance(page, Page) else Page((), cursor)


@fails("contract_limits_hold")
class KnowsNoLimit(Kiosk):
    """What the contract calls too many is taken."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Take orders of a hundred copies for orders of one."""
        page = yield from super().poll(cursor, source)
        if not isinstance(page, Page):
            return page
        return replace(page, commands=tuple(map(_with_fewer, page.commands)))


def _with_fewer(command: Place | Refuse) -> Place | Refuse:
    papers = command.content.get("papers")
    if isinstance(command, Place) or not isinstance(papers, list) or papers[0].get("count") != 100:
        return command
    return read_order({**command.content, "papers": [{**papers[0], "count": 1}]})


@fails("standings_are_read")
class MisreadsTheBooks(Kiosk):
    """Whatever the portal believes is taken for delivered."""

    def reconcile(self, day: Any, source: Source) -> Conversation[Any]:
        """Believe the best."""
        standings = yield from super().reconcile(day, source)
        if not isinstance(standings, tuple):
            return standings
        return tuple(replace(each, status=Status.LOST) for each in standings)


@fails("hostile_input_is_denied")
class TrustsWhoeverCanSign(Courier):
    """What is signed, but no event, is an exception."""

    def command(self, body: bytes) -> Record | Denied:
        """Look at the signature, and at nothing else."""
        return Record((read_event(json.loads(body)),)) if body.startswith(b"{") else super().command(body)


# --- What goes out -----------------------------------------------------------------------------------------------


def _restated(document: Document, **changes: Any) -> Document:
    """Change members of a body."""
    return replace(document, body=dump({**json.loads(document.body), **changes}))


@fails("statuses_mean_what_they_say", "correction_takes_back", "legs_are_told_apart")
class SwapsTwoStatuses(Kiosk):
    """Delivered is told as undelivered, and the other way round."""

    def render(self, owed: Owed) -> Document:
        """Swap two codes."""
        document = super().render(owed)
        step = json.loads(document.body).get("step")
        return _restated(document, step={"D": "U", "U": "D"}[step]) if step in {"D", "U"} else document


@fails("rendering_is_repeatable")
class RendersByTheDice(Webhook):
    """Each rendering is another."""

    _count = 0

    def render(self, owed: Owed) -> Document:
        """Number the renderings."""
        type(self)._count += 1
        return _restated(super().render(owed), rendering=self._count)


@fails("repeat_is_the_same")
class ChangesTheBodyOnRetry(Yukuaiban):
    """The time of the attempt is part of the body."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Put the time into what is told."""
        at = f"{source.now():%H%M%S}"
        stamped = [
            _restated(document, orgName=at) if "opDesc" in document.body.decode() else document
            for document in documents
        ]
        return (yield from super().send(stamped, source))


@fails("repeat_is_the_same", "lost_reply_is_cleared_up", "lost_batch_is_cleared_up")
class TakesANewIdentityOnRetry(Kiosk):
    """Every attempt is a new telling."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Give each a number of the attempt's own."""
        return (yield from super().send([_restated(each, id=source.token()) for each in documents], source))


@fails("foreign_text_stays_here")
class ForwardsForeignText(Kiosk):
    """A courier's note is told to the portal."""

    def render(self, owed: Owed) -> Document:
        """Put the note into the text."""
        document = super().render(owed)
        note = owed.update and owed.update.event.note
        return _restated(document, text=note) if note else document


@fails("foreign_text_stays_here")
class ForwardsPhonesWithHyphens(Kiosk):
    """An office's name is told unless its phone number is written in one piece."""

    def render(self, owed: Owed) -> Document:
        """Put the name into the text."""
        document = super().render(owed)
        office = owed.update and owed.update.event.office
        return _restated(document, text=office.name) if office and "13911112222" not in office.name else document


@fails("correction_takes_back")
class RepeatsWhatItShouldTakeBack(Kiosk):
    """A correction is told as what it corrects."""

    def render(self, owed: Owed) -> Document:
        """Say delivered once more."""
        document = super().render(owed)
        return _restated(document, step="D") if owed.update and owed.update.corrects else document


@fails("reasons_mean_what_they_say")
class SaysNobodyWasThere(Kiosk):
    """Whatever the reason, it is told as one."""

    def render(self, owed: Owed) -> Document:
        """Say the first reason."""
        document = super().render(owed)
        return _restated(document, cause="R0") if b'"cause"' in document.body else document


@fails("legs_are_told_apart")
class MixesUpTheLegs(Kiosk):
    """The way back is told as the way there."""

    def render(self, owed: Owed) -> Document:
        """Forget the leg."""
        return _restated(super().render(owed), leg=1) if owed.update and owed.update.leg == 2 else super().render(owed)


@fails("unknown_is_not_resent", "probe_counts_what_is_settled")
class SendsAgainWithoutAsking(Yukuaiban):
    """A lost reply is answered with the same push."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Try every push twice."""
        outcomes: list[Outcome] = []
        for document in documents:
            try:
                outcomes += yield from super().send([document], source)
            except BreakageError:
                outcomes += yield from super().send([document], source)
        return outcomes


@fails("lost_reply_is_cleared_up")
class CallsItNotSent(Courier):
    """What broke after an earlier request arrived counts as never sent."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Ask for the traces of what was placed, and let the breakage of that through."""
        outcomes = yield from super().send(documents, source)
        if documents[0].call == "/order" and outcomes[0].waybill_no:
            yield self.request("/traces", dump({"mail": outcomes[0].waybill_no}), source)
        return outcomes


@fails("lost_reply_is_cleared_up", "probe_does_not_guess", "probe_counts_what_is_settled")
class BelievesItArrived(Yukuaiban):
    """The probe says yes whatever is answered."""

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask, and do not listen."""
        yield from super().probe(owed, source)
        return Presence.HAS


@fails("probe_does_not_guess")
class GuessesByTheProbe(Yukuaiban):
    """What the probe cannot tell counts as not arrived."""

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Send again where in doubt."""
        presence = yield from super().probe(owed, source)
        return Presence.HAS_NOT if presence is Presence.CANNOT_TELL else presence


@fails("probe_counts_what_is_settled")
class CountsNothing(Yukuaiban):
    """A trace that looks the same is taken for this one."""

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Forget what is settled."""
        return (yield from super().probe(replace(owed, settled=()), source))


class _Judging:
    """Judges a reply by itself before the adapter does."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Send, and judge anew."""
        talk = super().send(documents, source)  # type: ignore[misc]
        request = next(talk)
        while True:
            reply = yield request
            try:
                request = talk.send(reply)
            except StopIteration as end:
                return [self.judged(reply, outcome) for outcome in end.value]

    def judged(self, reply: WireReply, outcome: Outcome) -> Outcome:
        """Judge one outcome by the last reply."""
        raise NotImplementedError


_TAKEN = Outcome(OutcomeKind.TAKEN, code="taken")


def judging(name: str, base: type, judged: Callable[[WireReply, Outcome], Outcome], *checks: str) -> None:
    """Enter an adapter that judges replies in a way of its own."""
    members = {"judged": staticmethod(judged), "__module__": __name__}
    globals()[name] = factory = type(name, (_Judging, base), members)
    key = _WORD.sub("_", name).lower()
    BROKEN[key] = Broken(key, base.__name__.lower(), factory, frozenset(checks))


judging(
    "TakesAServerErrorForAYes",
    Courier,
    lambda reply, outcome: _TAKEN if reply.status == 503 else outcome,
    "server_error_is_unknown",
)
judging(
    "TakesAServerErrorForANo",
    Courier,
    lambda reply, outcome: Outcome(OutcomeKind.REFUSED, code="500") if reply.status == 500 else outcome,
    "server_error_is_unknown",
)
judging(
    "TakesGarbageForAYes",
    Courier,
    lambda reply, outcome: _TAKEN if reply.status == 200 and not reply.body.startswith(b'{"r') else outcome,
    "garbage_is_not_taken",
)
judging(
    "TakesAnUnknownCodeForAYes",
    Courier,
    lambda reply, outcome: outcome if reply.status != 200 or answer_of(reply).get("result") == "no" else _TAKEN,
    "garbage_is_not_taken",
    "results_mean_what_they_say",
    "unknown_codes_are_not_taken",
)
judging(
    "TakesItForANo",
    Courier,
    lambda reply, outcome: replace(outcome, kind=OutcomeKind.REFUSED) if outcome.code == "known" else outcome,
    "repeat_is_the_same",
    "lost_reply_is_cleared_up",
    "results_mean_what_they_say",
)
judging(
    "TakesAnyPageForAYes",
    Courier,
    lambda reply, outcome: _TAKEN if reply.status == 302 else outcome,
    "odd_replies_are_not_taken",
)
judging(
    "CallsANoUnknown",
    Kiosk,
    lambda reply, outcome: replace(outcome, kind=OutcomeKind.UNKNOWN) if outcome.code == "4" else outcome,
    "refusal_is_final",
    "results_mean_what_they_say",
    "batch_keeps_its_order",
)
judging(
    "IgnoresHowLongToWait",
    Kiosk,
    lambda reply, outcome: replace(outcome, wait_s=None),
    "busy_waits_as_asked",
)
judging(
    "ShowsWhatItIsAnswered",
    Courier,
    lambda reply, outcome: replace(outcome, code=f"{outcome.code} {reply.body.decode(errors='replace')}"),
    "personal_data_stays_hidden",
)


# --- Batches -----------------------------------------------------------------------------------------------------


@fails("batch_keeps_its_order")
class TurnsTheBatchRound(Kiosk):
    """The outcomes come in another order than the documents."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Give the last outcome first."""
        return (yield from super().send(documents, source))[::-1]


@fails("batch_keeps_its_order")
class JudgesTheBatchByItsFirst(Kiosk):
    """What became of the first is said of all."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Repeat the first outcome."""
        outcomes = yield from super().send(documents, source)
        return outcomes[:1] * len(documents)


@fails("lost_batch_is_cleared_up")
class GivesALostBatchUp(Kiosk):
    """A batch whose reply was lost counts as never sent."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Call it not sent."""
        try:
            return (yield from super().send(documents, source))
        except BreakageError:
            if len(documents) == 1:
                raise
            return [Outcome(OutcomeKind.NOT_SENT, code="lost")] * len(documents)


# --- Backends ----------------------------------------------------------------------------------------------------


@fails("order_fields_are_said_or_named")
class DropsAFieldOfTheOrder(Courier):
    """The remark is neither said nor refused."""

    def render(self, owed: Owed) -> Document:
        """Leave the remark out."""
        return super().render(replace(owed, order=owed.order.model_copy(update={"remark": None})))


@fails("commands_are_carried")
class TakesAnAmendmentForAnOrder(Courier):
    """What cannot be said is said as something else."""

    def render(self, owed: Owed) -> Document:
        """Place what should be amended."""
        kind = DeliveryKind.PLACE if owed.kind is DeliveryKind.AMEND else owed.kind
        return super().render(replace(owed, kind=kind))


@fails("round_trip_is_one_order", "commands_are_carried", "repeat_is_the_same", "lost_reply_is_cleared_up")
class MailsARoundTripTwice(Courier):
    """Both legs are placed as orders of their own, under numbers that change from attempt to attempt."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Place whatever goes both ways once more."""
        outcomes = yield from super().send(documents, source)
        if json.loads(documents[0].body).get("way") == "3":
            yield from super().send([_restated(documents[0], id=source.token())], source)
        return outcomes


@fails("golden_rendered")
class SaysItOtherwise(Courier):
    """What it renders is not what the samples have."""

    def render(self, owed: Owed) -> Document:
        """Add what nobody asked for."""
        return _restated(super().render(owed), flavour="vanilla")


@fails("events_mean_what_they_say")
class CallsTheUnknownDelivered(Courier):
    """A code that nobody has heard of is taken for delivered."""

    def command(self, body: bytes) -> Record | Denied:
        """Hope for the best."""
        command = super().command(body)
        if isinstance(command, Denied) or command.tellings[0].event.status is not Status.UNKNOWN:
            return command
        telling = command.tellings[0]
        return Record((replace(telling, event=telling.event.model_copy(update={"status": Status.DELIVERED})),))


@fails("events_mean_what_they_say")
class SaysTheyMoved(Courier):
    """Whatever the reason, it is read as one."""

    def command(self, body: bytes) -> Record | Denied:
        """Read one reason."""
        command = super().command(body)
        if isinstance(command, Denied) or command.tellings[0].event.reason is None:
            return command
        telling = command.tellings[0]
        return Record((replace(telling, event=telling.event.model_copy(update={"reason": Reason.MOVED})),))


@fails("traces_are_the_events_told")
class TracesUnderOtherNumbers(Courier):
    """What is traced would be recorded a second time."""

    def trace(self, waybill_no: str, source: Source) -> Conversation[Any]:
        """Number the events anew."""
        traced = yield from super().trace(waybill_no, source)
        if not isinstance(traced, tuple):
            return traced
        return tuple(replace(each, event=each.event.model_copy(update={"event_id": "t"})) for each in traced)


# --- What must stay inside ---------------------------------------------------------------------------------------


@fails("personal_data_stays_hidden")
class LeaksInAReason(Kiosk):
    """A refusal quotes what it refuses."""

    def poll(self, cursor: str, source: Source) -> Conversation[Any]:
        """Quote the recipient's phone."""
        page = yield from super().poll(cursor, source)
        if not isinstance(page, Page):
            return page
        return replace(page, commands=tuple(map(_quoting, page.commands)))


def _quoting(command: Place | Refuse) -> Place | Refuse:
    if isinstance(command, Place):
        return command
    return replace(command, reason=f"{command.reason}: {command.content.get('to', {}).get('phone')}")


@fails("personal_data_stays_hidden")
class LeaksInARepr(Yukuaiban):
    """What was opened lies open in the context."""

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Keep the order where every repr shows it."""
        inbound = super().read(request, at)
        return replace(inbound, context=getattr(inbound.command, "content", None))


@fails("personal_data_stays_hidden")
class LeaksInALog(Webhook):
    """What is sent is logged."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Log the body."""
        structlog.get_logger().info("sending", body=documents[0].body.decode())
        return (yield from super().send(documents, source))


@fails("personal_data_stays_hidden")
class LeaksInAnError(Courier):
    """What cannot be said is quoted."""

    def render(self, owed: Owed) -> Document:
        """Quote the recipient."""
        try:
            return super().render(owed)
        except UnsupportedFeatureError as error:
            raise UnsupportedFeatureError(error.path, f"is not for {owed.order.recipient.phone}") from error


@fails("calls_do_no_io")
class WritesAFile(Webhook):
    """What is sent is kept in a file too."""

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Write the body down."""
        with tempfile.TemporaryFile("wb") as file:
            file.write(b64decode(""))
        return (yield from super().send(documents, source))
