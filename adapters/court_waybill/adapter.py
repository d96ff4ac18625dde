"""The courts hand over batches of papers to be served, and are told what becomes of each (contract: court_waybill)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, TypeGuard

from lxml import etree
from pydantic import Field, SecretStr, field_validator

from govpost.adapters.base import AdapterSettings, Document, Inbound, Owed, Secret
from govpost.adapters.court_waybill import law
from govpost.adapters.court_waybill.batches import NAMESPACE, build_element, find_tasks, read_batch
from govpost.adapters.court_waybill.codes import PROBLEMS, RESULTS
from govpost.adapters.court_waybill.seals import Seals
from govpost.adapters.court_waybill.tellings import Message, build_query, last_qqid, read_kept, render
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols import sm
from govpost.adapters.protocols.http_status import retry_after, status_outcome
from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey
from govpost.adapters.protocols.strict_xml import XmlForm, dump_xml, parse_xml
from govpost.schemas import (
    Batched,
    Conversation,
    Denied,
    Event,
    Order,
    Outcome,
    OutcomeKind,
    Placed,
    Presence,
    Problem,
    Result,
    Source,
    WireReply,
    WireRequest,
)
from govpost.schemas.errors import MappingError, UnreadableError
from govpost.schemas.order import Text

__all__ = ["CourtWaybill", "CourtWaybillSettings"]

_CONTENT_TYPE = "application/xml; charset=GB18030"
_CALL = "/hc"
_LONGEST_TEXT = 100
_CODE = re.compile(r"[0-9A-Za-z]{1,12}")
_UNKNOWN_TASK = "2"

#: The door of the gateway keeps the same limit (manifest: max_body_bytes).
_BATCH_FORM = XmlForm(max_bytes=16 * 1024 * 1024)
_ANSWER_FORM = XmlForm(max_bytes=1024 * 1024)

_UNVERIFIED = Outcome(OutcomeKind.UNKNOWN, code="unverified answer")
#: What an answer may say of which nobody knows who signed it: it may send us away for now, it settles nothing.
_SETTLING = frozenset({OutcomeKind.TAKEN, OutcomeKind.REFUSED})


class CourtWaybillSettings(AdapterSettings):
    """What `[portals.court_waybill]` holds beside the gateway's own keys."""

    base_url: str
    #: The courts' public keys in hex, by X-Cert-Id.
    certs: Annotated[dict[str, str], Field(min_length=1)]
    #: The X-Cert-Id under which the courts know our key.
    sign_cert: Text
    #: Our private key, 32 bytes in hex.
    sign_key: Secret

    @field_validator("certs")
    @classmethod
    def _check_certs(cls, certs: dict[str, str]) -> dict[str, str]:
        for key in certs.values():
            VerifyingKey(key)
        return certs

    @field_validator("sign_key")
    @classmethod
    def _check_sign_key(cls, key: SecretStr) -> SecretStr:
        SigningKey(key.get_secret_value())
        return key


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an answer needs to know of the batch that it answers."""

    at: datetime
    #: Empty where it could not be read.
    batch_no: str = ""
    rwids: tuple[str, ...] = ()


class CourtWaybill:
    """The portal 法院专递面单电子化: receives, informed."""

    Settings: ClassVar[type[AdapterSettings]] = CourtWaybillSettings

    def __init__(self, settings: CourtWaybillSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self._url = settings.base_url.rstrip("/") + _CALL
        self._seals = Seals(
            sign_cert=settings.sign_cert, sign_key=settings.sign_key.get_secret_value(), certs=settings.certs
        )

    # --- Court → gateway ---

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Verify a batch, and only then look into it."""
        denied = self._seals.denied(request.headers, request.body, at=at)
        if denied:
            return Inbound(denied, context=_Asked(at))
        digest = sm.sm3(request.body)
        nonce = f"{request.headers['X-Cert-Id']} {request.headers['X-Timestamp']} {digest.hex()}"
        if request.method != "POST" or not request.path.endswith("/batches"):
            return Inbound(Denied(Problem.INVALID, "there is no such call"), nonce, digest, _Asked(at))
        try:
            root = parse_xml(request.body, form=_BATCH_FORM)
        except UnreadableError as error:
            return Inbound(Denied(Problem.INVALID, str(error)), nonce, digest, _Asked(at))
        asked = _Asked(at, root.get("pch", ""), tuple(task.get("rwid", "") for task in find_tasks(root)))
        try:
            return Inbound(read_batch(root), nonce, digest, asked)
        except MappingError as error:
            return Inbound(Denied(Problem.INVALID, error.reason, error.path or None), nonce, digest, asked)

    def answer(self, inbound: Inbound, result: Result) -> WireReply:
        """Say what came of a batch, task by task; HTTP 200 always."""
        asked: _Asked = inbound.context
        body = dump_xml(_answer(asked, result))
        return WireReply(200, {"Content-Type": _CONTENT_TYPE, **self._seals.sign(body, at=asked.at)}, body)

    # --- Gateway → court ---

    def render(self, owed: Owed) -> Document:
        """Make all that an update is told as: label, trace, receipt, or a withdrawal."""
        return Document(_CALL, render(owed), owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Tell one thing after the other; what comes after one that was not taken is not told."""
        outcomes: list[Outcome] = []
        for document in documents:
            outcome = yield from self._send(document, source)
            outcomes.append(outcome)
        return outcomes

    def _send(self, document: Document, source: Source) -> Conversation[Outcome]:
        kept = read_kept(document.body)
        outcome = Outcome(OutcomeKind.TAKEN)
        for message in kept.messages:
            outcome = yield from self._tell(message, kept.rwid, source)
            if outcome.kind is not OutcomeKind.TAKEN:
                return outcome
        return Outcome(OutcomeKind.TAKEN, code=outcome.code, notices=kept.notices)

    def _tell(self, message: Message, rwid: str, source: Source) -> Conversation[Outcome]:
        """Tell one thing; a receipt is withdrawn only where the court says that it has it."""
        if message.withdraws is not None:
            outcome, qqids = yield from self._ask(rwid, source)
            if outcome.kind is not OutcomeKind.TAKEN or message.withdraws not in qqids:
                return outcome
        reply = yield self._request(message.body, source)
        return self._read_answer(reply, source)[0]

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask which qqids have arrived: what is told last comes when all the rest has."""
        outcome, qqids = yield from self._ask(owed.order.portal_ref, source)
        if outcome.kind is not OutcomeKind.TAKEN:
            return Presence.HAS_NOT if outcome.code == _UNKNOWN_TASK else Presence.CANNOT_TELL
        return Presence.HAS if last_qqid(owed) in qqids else Presence.HAS_NOT

    def _ask(self, rwid: str, source: Source) -> Conversation[tuple[Outcome, frozenset[str]]]:
        reply = yield self._request(build_query(rwid, qqid=source.token()), source)
        outcome, root = self._read_answer(reply, source)
        qqids = root.findall(f"{{{NAMESPACE}}}Qqid") if root is not None else []
        return outcome, frozenset((qqid.text or "").strip() for qqid in qqids)

    def _request(self, body: bytes, source: Source) -> WireRequest:
        headers = {"Content-Type": _CONTENT_TYPE, **self._seals.sign(body, at=source.now())}
        return WireRequest("POST", self._url, headers, body)

    def _read_answer(self, reply: WireReply, source: Source) -> tuple[Outcome, etree._Element | None]:
        """Judge an answer by its dm where it has one we know, else by HTTP's status."""
        root = _root_of(reply)
        dm = "" if root is None else root.get("dm", "")
        if root is None or dm not in RESULTS:
            return _unworded(reply, dm, source.now()), None
        kind, parks_lane = RESULTS[dm]
        if kind in _SETTLING and self._seals.denied(reply.headers, reply.body, at=source.now()):
            return _UNVERIFIED, None
        wait_s = retry_after(reply.headers.get("Retry-After"), source.now()) if kind is OutcomeKind.BUSY else None
        return Outcome(kind, code=dm, text=root.get("xx", ""), wait_s=wait_s, parks_lane=parks_lane), root

    # --- For people ---

    def explain(self, order: Order, history: Sequence[Event]) -> list[str]:
        """Say whether and when the papers are served, and which articles say so."""
        return law.explain(order, history)


def _answer(asked: _Asked, result: Result) -> etree._Element:
    match result:
        case Denied():
            return _whole_answer(asked, result)
        case Batched(results=results):
            # A batch that is sent again is answered as before, as far as it was taken.
            later = next((each for each in results if _is_for_later(each)), None)
            return _whole_answer(asked, later) if later else _task_answers(asked, results)
        case _:
            raise TypeError(f"this portal asks nothing that is answered with {type(result).__name__}")


def _is_for_later(result: Placed | Denied) -> TypeGuard[Denied]:
    return isinstance(result, Denied) and result.problem is Problem.TRY_AGAIN


def _whole_answer(asked: _Asked, denied: Denied) -> etree._Element:
    return build_element("PiCiJieGuo", pch=asked.batch_no, dm=PROBLEMS[denied.problem], xx=_reason(denied))


def _task_answers(asked: _Asked, results: Sequence[Placed | Denied]) -> etree._Element:
    taken = sum(isinstance(result, Placed) for result in results)
    counts = {"zong": len(results), "jieshou": taken, "jujue": len(results) - taken}
    root = build_element(
        "PiCiJieGuo", pch=asked.batch_no, dm="0", **{name: str(count) for name, count in counts.items()}
    )
    for rwid, result in zip(asked.rwids, results, strict=True):
        if isinstance(result, Placed):
            root.append(build_element("JieGuo", rwid=rwid, dm="0", orderId=result.order_id))
        else:
            root.append(build_element("JieGuo", rwid=rwid, dm="1", yuanyin=_reason(result)))
    return root


def _reason(denied: Denied) -> str:
    reason = f"{denied.field}: {denied.reason}" if denied.field else denied.reason
    return reason[:_LONGEST_TEXT]


def _root_of(reply: WireReply) -> etree._Element | None:
    """Read an answer; None for 5xx and for what is no YingDa."""
    if reply.status >= 500:
        return None
    try:
        root = parse_xml(reply.body, form=_ANSWER_FORM)
    except UnreadableError:
        return None
    return root if root.tag == f"{{{NAMESPACE}}}YingDa" else None


def _unworded(reply: WireReply, dm: str, at: datetime) -> Outcome:
    """Judge an answer without a known dm; a good status alone promises nothing."""
    if reply.status // 100 != 2 and reply.status != 409:
        return status_outcome(reply, at)
    return Outcome(OutcomeKind.UNKNOWN, code=dm if _CODE.fullmatch(dm) else "unreadable answer")
