"""EMS takes our orders and cancels them, and pushes what happens to them (contract: ems)."""

import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from govpost.adapters.base import AdapterSettings, DeliveryKind, Document, Inbound, Owed, Secret
from govpost.adapters.ems.codes import (
    CANCEL,
    LABEL,
    PICKUP,
    PICKUP_PUSHES,
    PLACE,
    PUSH_DONE,
    PUSH_REFUSED,
    TRACE_PUSH,
    TRACES,
)
from govpost.adapters.ems.orders import ON_ROUND, build_cancel, build_place, leg_numbers, placed
from govpost.adapters.ems.pushes import items_of, pickup_to_telling, read_items, trace_to_telling
from govpost.adapters.ems.wire import Answer, SignKey, build_form, parse_form, read_answer
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols.shanghai import DASHED
from govpost.schemas import (
    Conversation,
    Denied,
    Notice,
    Outcome,
    OutcomeKind,
    Presence,
    Problem,
    Record,
    Result,
    Source,
    Telling,
    WireReply,
    WireRequest,
)
from govpost.schemas.documents import JsonObject, dump_json, parse_json_object
from govpost.schemas.errors import BreakageError, UnreadableError, UnsupportedFeatureError
from govpost.schemas.identifiers import WaybillNo
from govpost.schemas.order import Text

__all__ = ["Ems", "EmsSettings"]

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_PDF = b"%PDF-"


class EmsSettings(AdapterSettings):
    """What `[backends.<key>]` holds for EMS."""

    addresses: ClassVar[tuple[str, ...]] = ("url",)

    url: str
    #: 协议客户号.
    sender_no: Text
    authorization: Secret
    #: Base64 of the 16 bytes that seal every payload.
    sign_key: Secret
    #: bizProductNo: 1 特快专递, 9 国内即日, 11 国内标快. Which it is, the contract with EMS says, and no order.
    product: Literal["1", "9", "11"] = "1"
    #: Portal's section → projectId, for portals whose mail is a project of its own with EMS (`GAWSCG`: 公安网上车管).
    projects: dict[str, Text] = Field(default_factory=dict)

    @field_validator("sign_key")
    @classmethod
    def _check_sign_key(cls, value: SecretStr) -> SecretStr:
        SignKey.read(value.get_secret_value())
        return value


@dataclass(frozen=True, slots=True)
class _Push:
    """What the answer to a push must know of it."""

    serial_no: str = ""
    sender_no: str = ""
    #: What could not be read, where the rest could.
    unread: tuple[str, ...] = ()


class Ems:
    """The backend EMS: carries, and receives its pushes."""

    Settings: ClassVar[type[AdapterSettings]] = EmsSettings

    def __init__(self, settings: EmsSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self._url = settings.url
        self._sender_no = settings.sender_no
        self._authorization = settings.authorization
        self._sign_key = SignKey.read(settings.sign_key.get_secret_value())
        self._product = settings.product
        self._projects: Mapping[str, str] = settings.projects

    # --- Gateway → EMS ---

    def render(self, owed: Owed) -> Document:
        """Make the business documents of a placement or a cancel, by apiCode, in the order in which they are sent."""
        match owed.kind:
            case DeliveryKind.PLACE:
                project = self._projects.get(owed.order.portal)
                call, document = PLACE, build_place(owed, product=self._product, project=project)
            case DeliveryKind.CANCEL:
                call, document = CANCEL, build_cancel(leg_numbers(owed.order))
            case _:
                raise UnsupportedFeatureError("kind", "this backend takes orders and cancels, and nothing else")
        return Document(call, dump_json(document), owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Place or cancel one after the other: a request for each leg, and for the pickup."""
        outcomes = []
        for document in documents:
            carry = self._place if document.call == PLACE else self._cancel
            outcomes.append((yield from carry(parse_json_object(document.body), source)))
        return outcomes

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:  # noqa: ARG002 - the role's signature
        """Ask nothing: this wire has no such question (the manifest says so), and needs none."""
        yield from ()
        return Presence.CANNOT_TELL

    def _place(self, document: JsonObject, source: Source) -> Conversation[Outcome]:
        """Place the legs in their order, then ask for the pickup; whatever stays open is asked again from the start."""
        answers: dict[str, Answer] = {}
        for order in document[PLACE]:
            answer = yield from self._ask(PLACE, [order], source, is_first=not answers)
            if not answer.is_taken:
                return (yield from self._not_placed(answer.outcome, list(answers), source))
            answers[order["logisticsOrderNo"]] = answer
        outcome = placed(answers)
        if PICKUP not in document:
            return outcome
        return (yield from self._collect(document[PICKUP], outcome, source))

    def _not_placed(self, outcome: Outcome, before: list[str], source: Source) -> Conversation[Outcome]:
        """Take back the leg before one that was refused; a refusal says so where that leg stands all the same."""
        if outcome.kind is not OutcomeKind.REFUSED or not before:
            return outcome
        taken_back = yield from self._cancel(build_cancel(before), source, is_first=False)
        match taken_back.kind:
            case OutcomeKind.TAKEN:
                return replace(outcome, code=f"{outcome.code}, leg 2")
            case OutcomeKind.REFUSED:
                return replace(outcome, code=f"{outcome.code}, leg 2, and leg 1 stands")
            case _:
                return taken_back

    def _collect(self, pickup: JsonObject, outcome: Outcome, source: Source) -> Conversation[Outcome]:
        """Ask for a courier. Where EMS sends none, the order is taken all the same, and a person is told."""
        if pickup["pushMethod"] == ON_ROUND:
            if outcome.waybill_no is None:
                return _uncollected(outcome, "no waybill for the pickup")
            pickup = {**pickup, "waybillNo": outcome.waybill_no}
        answer = yield from self._ask(PICKUP, pickup, source, is_first=False)
        if answer.outcome.kind is OutcomeKind.REFUSED:
            return replace(_uncollected(outcome, f"pickup {answer.outcome.code}"), text=answer.outcome.text)
        return outcome if answer.is_taken else answer.outcome

    def _cancel(self, document: JsonObject, source: Source, *, is_first: bool = True) -> Conversation[Outcome]:
        """Cancel the legs in their order.

        Leg 1 decides: refused, nothing was changed; taken, nothing will be mailed, and a leg 2 that EMS keeps is the
        way back of what never left.
        """
        outcomes: list[Outcome] = []
        for order in document[CANCEL]:
            answer = yield from self._ask(CANCEL, order, source, is_first=is_first and not outcomes)
            outcomes.append(answer.outcome)
            if not answer.is_taken:
                break
        first, last = outcomes[0], outcomes[-1]
        if last is first or last.kind is not OutcomeKind.REFUSED:
            return last
        return replace(first, code=f"{first.code}, leg 2 {last.code}", text=last.text)

    def _ask(self, api_code: str, document: Any, source: Source, *, is_first: bool = True) -> Conversation[Answer]:
        """Send one request and judge its answer.

        What is not the first must not end as `not sent`: something has reached EMS by then.
        """
        try:
            reply = yield self._request(api_code, document, source.now())
        except BreakageError as error:
            if is_first or error.outcome.kind is not OutcomeKind.NOT_SENT:
                raise
            raise BreakageError(replace(error.outcome, kind=OutcomeKind.UNKNOWN)) from error
        return read_answer(reply, source.now(), api_code=api_code)

    def _request(self, api_code: str, document: Any, now: datetime) -> WireRequest:
        form = {
            "apiCode": api_code,
            "senderNo": self._sender_no,
            "authorization": self._authorization.get_secret_value(),
            "msgType": "0",
            "timeStamp": DASHED.encode(now),
            "version": "V1.0.0",
            "logitcsInterface": self._sign_key.seal(dump_json(document)),
        }
        return WireRequest("POST", self._url, {"Content-Type": _FORM}, build_form(form))

    # --- What else EMS can be asked ---

    def trace(self, waybill_no: WaybillNo, source: Source) -> Conversation[tuple[Telling, ...] | Outcome]:
        """Fetch all traces of an item (040001), as they would have been pushed; what cannot be read is left out."""
        answer = yield from self._ask(TRACES, {"waybillNo": waybill_no}, source)
        if not answer.is_taken:
            return answer.outcome
        if not isinstance(answer.body, dict | list):
            return Outcome(OutcomeKind.UNKNOWN, code="unreadable answer")
        tellings, _ = read_items(items_of(answer.body), partial(trace_to_telling, waybill_no=waybill_no))
        return tellings

    def label(
        self, waybill_no: WaybillNo, source: Source, *, kind: Literal["129", "149", "179"] = "129"
    ) -> Conversation[bytes | Outcome]:
        """Fetch an item's label (010004) as a PDF; an Outcome where EMS gives none.

        `kind` is EMS's template: 76 × 129 mm, 76 × 149 mm, 100 × 179 mm.
        """
        answer = yield from self._ask(LABEL, {"waybillNo": waybill_no, "type": kind}, source)
        if not answer.is_taken:
            return answer.outcome
        return _pdf(answer.body) or Outcome(OutcomeKind.UNKNOWN, code="the label is no PDF")

    # --- EMS → gateway ---

    def read(self, request: WireRequest, at: datetime) -> Inbound:  # noqa: ARG002 - nothing on this wire is stale
        """Open a push and decode it; what is wrong with it as a whole comes back as a Denied."""
        if request.method != "POST" or not request.path.endswith("/push"):
            return Inbound(Denied(Problem.INVALID, "there is no such call"), context=_Push())
        try:
            form = parse_form(request.body)
        except UnreadableError as error:
            return Inbound(Denied(Problem.INVALID, str(error)), context=_Push())
        push = _Push(form.get("serialNo", ""), form.get("senderNo", ""))
        denied = self._denied(form)
        return Inbound(denied, context=push) if denied else self._read_payload(form, push)

    def _denied(self, form: Mapping[str, str]) -> Denied | None:
        sender_no = form.get("senderNo", "")
        if not hmac.compare_digest(sender_no.encode(), self._sender_no.encode()):
            return Denied(Problem.SIGNATURE, "is not ours", "senderNo")
        if form.get("method") not in {TRACE_PUSH, *PICKUP_PUSHES}:
            return Denied(Problem.INVALID, "there is no such push", "method")
        return None

    def _read_payload(self, form: Mapping[str, str], push: _Push) -> Inbound:
        try:
            # A caller that forgot to percent-encode its plus signs: no space is Base64.
            payload = self._sign_key.open(form.get("logitcsInterface", "").replace(" ", "+"))
        except ValueError as error:
            return Inbound(Denied(Problem.SIGNATURE, str(error), "logitcsInterface"), context=push)
        read = trace_to_telling
        if form["method"] in PICKUP_PUSHES:
            read = partial(pickup_to_telling, method=form["method"], told_at=form.get("timeStamp", ""))
        tellings, unread = read_items(items_of(payload), read)
        if unread and not tellings:
            return Inbound(Denied(Problem.INVALID, unread[0], "logitcsInterface"), context=push)
        return Inbound(Record(tellings), context=replace(push, unread=unread))

    def answer(self, inbound: Inbound, result: Result) -> WireReply:
        """Say the result; every answer is HTTP 200. What could not be read beside what could is said in words."""
        push: _Push = inbound.context
        code, message = PUSH_DONE, "成功"
        if isinstance(result, Denied):
            code = PUSH_REFUSED
            message = f"{result.field}: {result.reason}" if result.field else result.reason
        elif push.unread:
            message = f"{len(push.unread)} could not be read, first {push.unread[0]}"
        body = {"serialNo": push.serial_no, "code": code, "codeMessage": message, "senderNo": push.sender_no}
        return WireReply(200, {"Content-Type": _JSON}, dump_json(body))


def _uncollected(outcome: Outcome, why: str) -> Outcome:
    notices = (*outcome.notices, Notice.PICKUP_REFUSED)
    return replace(outcome, code=f"{outcome.code}, {why}", notices=notices)


def _pdf(body: Any) -> bytes | None:
    """Open a label: Base64, perhaps broken into lines; None where it is no PDF."""
    if not isinstance(body, str):
        return None
    try:
        document = b64decode("".join(body.split()), validate=True)
    except ValueError:
        return None
    return document if document.startswith(_PDF) else None
