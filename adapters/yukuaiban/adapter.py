"""渝快办 calls us with orders, and is told of waybills and traces (contract: yukuaiban)."""

import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from govpost.adapters.base import AdapterSettings, Document, Inbound, Owed, Secret
from govpost.adapters.fields import build_order, wire_to_order
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols import shanghai, sm
from govpost.adapters.protocols.content import order_content
from govpost.adapters.protocols.http_status import ask_seconds, status_outcome
from govpost.adapters.sentences import describe_event, describe_update, office_name
from govpost.adapters.yukuaiban.codes import REASONS, REFUSALS, RESULTS, STATES
from govpost.adapters.yukuaiban.fields import CANCEL, FIELDS, QUERY
from govpost.schemas import (
    Amended,
    Cancel,
    Cancelled,
    Command,
    Conversation,
    Denied,
    Direction,
    Event,
    Found,
    OrderContent,
    Outcome,
    OutcomeKind,
    Place,
    Placed,
    Presence,
    Problem,
    Query,
    Reason,
    Result,
    Source,
    Status,
    Update,
    WireReply,
    WireRequest,
)
from govpost.schemas.documents import JsonObject, dump_json, parse_json_object
from govpost.schemas.errors import MappingError, UnreadableError, UnsupportedFeatureError
from govpost.schemas.order import Text

__all__ = ["TIMESTAMP_TOLERANCE_MS", "Yukuaiban", "YukuaibanSettings"]

#: How far X-Timestamp may be from now, either way.
TIMESTAMP_TOLERANCE_MS = 300_000

_CONTENT_TYPE = "application/json; charset=utf-8"
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_NONCE = re.compile(r"[0-9A-Fa-f]{32}")
_RESULT_CODE = re.compile(r"[0-9A-Za-z]{1,12}")

_PUSH_WAYBILL = "/gwlp/logistic/pushlogisticode"
_PUSH_TRACE = "/gwlp/logistic/pushtrace"
_QUERY_TRACE = "/gwlp/logistic/querytrace"

#: Stands for the office where an event names none.
_ORGANIZATION = "中国邮政"


class YukuaibanSettings(AdapterSettings):
    """What `[portals.yukuaiban]` holds beside the gateway's own keys."""

    base_url: str
    app_id: Text
    app_secret: Secret
    #: Base64 of the 16 bytes that open `secret`.
    app_key: Secret

    @field_validator("app_key")
    @classmethod
    def _check_app_key(cls, value: SecretStr) -> SecretStr:
        _read_app_key(value)
        return value


def _read_app_key(value: SecretStr) -> bytes:
    try:
        key = b64decode(value.get_secret_value(), validate=True)
    except ValueError:
        key = b""
    if len(key) != sm.BLOCK_SIZE:
        raise ValueError("must be the Base64 of 16 bytes")
    return key


class Yukuaiban:
    """The portal 渝快办: receives, informed."""

    Settings: ClassVar[type[AdapterSettings]] = YukuaibanSettings

    def __init__(self, settings: YukuaibanSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self._base_url = settings.base_url.rstrip("/")
        self._app_id = settings.app_id
        self._app_secret = settings.app_secret.get_secret_value().encode()
        self._app_key = _read_app_key(settings.app_key)
        #: The end of a request's path → what it asks.
        self._calls: dict[str, Callable[[JsonObject], Command]] = {
            "orders/create": self._place,
            "orders/cancel": self._cancel,
            "orders/query": self._query,
        }

    # --- Portal → gateway ---

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Verify a request in the contract's order and decode it; what is wrong comes back as a Denied."""
        denied = self._denied_headers(request, at)
        if denied:
            return Inbound(denied)
        return Inbound(self._command(request), nonce=request.headers["X-Nonce"])

    def _denied_headers(self, request: WireRequest, at: datetime) -> Denied | None:
        """Check all that is checked before the nonce."""
        headers = request.headers
        app_id, sign = headers.get("X-App-Id", ""), headers.get("X-Sign", "")
        timestamp, nonce = headers.get("X-Timestamp", ""), headers.get("X-Nonce", "")
        if not (app_id and sign and timestamp and nonce):
            return Denied(Problem.SIGNATURE, "X-App-Id, X-Timestamp, X-Nonce and X-Sign are needed")
        if not (_is_same(app_id, self._app_id) and _NONCE.fullmatch(nonce)):
            return Denied(Problem.SIGNATURE, "X-App-Id is not known, or X-Nonce is not 32 hex digits")
        path = request.url.partition("?")[0]
        if not _is_same(sign, self._sign(timestamp, nonce, request.method, path, request.body)):
            return Denied(Problem.SIGNATURE, "X-Sign does not fit")
        if not _TIMESTAMP.fullmatch(timestamp) or not _is_near(int(timestamp), at):
            return Denied(Problem.TIMESTAMP, "X-Timestamp is not Unix milliseconds within 300 s of now")
        return None

    def _command(self, request: WireRequest) -> Command | Denied:
        call = "/".join(request.url.partition("?")[0].rsplit("/", 2)[-2:])
        if request.method != "POST" or call not in self._calls:
            return Denied(Problem.INVALID, "there is no such call")
        try:
            return self._calls[call](_opened_envelope(request.body))
        except MappingError as error:
            return Denied(Problem.INVALID, error.reason, error.path or None)
        except UnreadableError as error:
            return Denied(Problem.INVALID, str(error))

    def _place(self, body: JsonObject) -> Place:
        opened = {**body, "secret": self._open_secret(body.get("secret"))}
        order = build_order(FIELDS, opened)
        _check_pickup(order)
        return Place(order, order_content(opened))

    def _cancel(self, body: JsonObject) -> Cancel:
        members = wire_to_order(CANCEL, body)
        return Cancel(members["portal_ref"], reason=members.get("reason"))

    def _query(self, body: JsonObject) -> Query:
        return Query(wire_to_order(QUERY, body)["portal_ref"])

    def _open_secret(self, secret: Any) -> JsonObject:
        """Open the personal data; why it does not open is not told apart."""
        if secret is None or secret == "":
            raise MappingError("secret", "is missing")
        if not isinstance(secret, str):
            raise MappingError("secret", "must be text")
        try:
            sealed = b64decode(secret, validate=True)
            iv, ciphertext = sealed[: sm.BLOCK_SIZE], sealed[sm.BLOCK_SIZE :]
            return parse_json_object(sm.sm4_cbc_decrypt(self._app_key, ciphertext, iv=iv))
        except (ValueError, UnreadableError):
            raise MappingError("secret", "does not open to a JSON object") from None

    def answer(self, inbound: Inbound, result: Result) -> WireReply:  # noqa: ARG002 - the role's signature
        """Say the result in the envelope; every answer is HTTP 200."""
        if isinstance(result, Denied):
            body = {"field": result.field} if result.field else {}
            return _reply("99", REFUSALS[result.problem], "fail", {**body, "reason": result.reason})
        return _reply("00", "000000000000", "success", _answer_body(result))

    # --- Gateway → portal ---

    def render(self, owed: Owed) -> Document:
        """Make the body of pushlogisticode for a first number and of pushtrace for all else."""
        update = owed.update
        if update is None:
            raise UnsupportedFeatureError("kind", "this portal is told updates only")
        if update.status not in STATES.theirs:
            raise UnsupportedFeatureError("status", "this portal has no state for it")
        head = {"requestId": owed.identity, "order_id": owed.order.portal_ref, "logistic_code": update.waybill_no or ""}
        if _is_waybill(update):
            leg = {"leg": update.leg} if owed.order.direction is Direction.ROUND_TRIP else {}
            return Document(_PUSH_WAYBILL, dump_json({**head, "shipper_code": "EMS", **leg}), owed.delivery_id)
        return Document(_PUSH_TRACE, dump_json({**head, **_trace(update)}), owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Push one document after the other, each signed anew."""
        outcomes = []
        for document in documents:
            reply = yield self._request(document.call, document.body, source)
            outcomes.append(_outcome(reply, source.now()))
        return outcomes

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask querytrace whether a push has arrived (contract: "It has it when …")."""
        body = dump_json({"requestId": source.token(), "order_id": owed.order.portal_ref})
        reply = yield self._request(_QUERY_TRACE, body, source)
        answer = _answer_of(reply)
        code = str(answer.get("result_code", ""))
        if code == "404":  # it does not know the order, so it has nothing of it
            return Presence.HAS_NOT
        if code != "200" or owed.update is None:
            return Presence.CANNOT_TELL
        return _presence(answer, owed.update, owed.settled)

    def _request(self, call: str, body: bytes, source: Source) -> WireRequest:
        url = f"{self._base_url}{call}"
        timestamp, nonce = str(_unix_ms(source.now())), source.token()
        headers = {
            "X-App-Id": self._app_id,
            "X-Timestamp": timestamp,
            "X-Nonce": nonce,
            "X-Sign": self._sign(timestamp, nonce, "POST", urlsplit(url).path, body),
            "Content-Type": _CONTENT_TYPE,
        }
        return WireRequest("POST", url, headers, body)

    def _sign(self, timestamp: str, nonce: str, method: str, path: str, body: bytes) -> str:
        lines = (self._app_id, timestamp, nonce, method, path, sm.sm3(body).hex())
        return sm.hmac_sm3(self._app_secret, "\n".join(lines).encode("utf-8", "surrogatepass")).hex()


def _is_same(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _is_near(timestamp: int, at: datetime) -> bool:
    return abs(timestamp - _unix_ms(at)) <= TIMESTAMP_TOLERANCE_MS


def _unix_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _opened_envelope(body: bytes) -> JsonObject:
    """Take txnBodyCom out of the envelope; what txnCommCom holds does not count."""
    envelope = parse_json_object(body)
    for name in ("txnCommCom", "txnBodyCom"):
        if not isinstance(envelope.get(name), dict):
            raise MappingError(name, "must be an object")
    inner: JsonObject = envelope["txnBodyCom"]
    return inner


def _check_pickup(order: OrderContent) -> None:
    """Hold that a pickup window comes with what is picked up from people, and with nothing else."""
    is_wanted = order.direction is not Direction.TO_APPLICANT
    if is_wanted and order.appointment is None:
        raise MappingError("pickupTime", "is missing: serviceType 2 and 3 need it")
    if order.appointment is not None and not is_wanted:
        raise MappingError("pickupTime", "does not go with serviceType 1")


def _answer_body(result: Result) -> JsonObject:
    match result:
        case Found():
            return _found(result)
        case Cancelled(portal_ref=order_no):
            return {"orderNo": order_no, "cancelled": True}
        case Placed(portal_ref=order_no, order_id=order_id) | Amended(portal_ref=order_no, order_id=order_id):
            return {"orderNo": order_no, "logisticsNo": order_id, "accepted": True}
        case _:
            raise TypeError(f"this portal asks nothing that is answered with {type(result).__name__}")


def _found(found: Found) -> JsonObject:
    return {
        "orderNo": found.order.portal_ref,
        "logisticsNo": found.order.order_id,
        "waybillNo": ",".join(number for _, number in sorted(found.waybill_nos.items())),
        "shipperCode": "EMS",
        "state": STATES.encode(found.status),
        "traces": [_found_trace(event) for event in found.traces if event.status in STATES.theirs],
    }


def _found_trace(event: Event) -> JsonObject:
    return {
        "state": STATES.theirs.get(event.status or Status.UNKNOWN),
        "opTime": shanghai.DASHED.encode(event.occurred_at),
        "opDesc": describe_event(event),
    }


def _is_waybill(update: Update) -> bool:
    return update.status is Status.NUMBERED and update.corrects is None


def _trace(update: Update) -> JsonObject:
    """Say an update as a trace: a correction has the state the order went back to, and nobody signed for it."""
    trace: JsonObject = {
        **_mark(update),
        "opDesc": describe_update(update),
        "orgName": office_name(update.event) or _ORGANIZATION,
    }
    if update.status is Status.UNDELIVERED:
        trace["reasonCode"] = REASONS.encode(update.event.reason or Reason.OTHER)
    if update.event.signer and update.corrects is None:
        trace["signer"] = update.event.signer.name
    return trace


def _mark(update: Update) -> dict[str, str]:
    """Give what a trace is known by when querytrace lists it."""
    return {"state": STATES.encode(update.status), "opTime": shanghai.DASHED.encode(update.event.occurred_at)}


def _presence(answer: JsonObject, update: Update, settled: Sequence[Update]) -> Presence:
    waybills, traces = answer.get("logistic_code") or "", answer.get("traces") or []
    if not isinstance(waybills, str) or not isinstance(traces, list):
        return Presence.CANNOT_TELL
    if _is_waybill(update):
        has = update.waybill_no in [waybill.strip() for waybill in waybills.split(",")]
    else:
        mark = _mark(update)
        ours = sum(_mark(earlier) == mark for earlier in settled if not _is_waybill(earlier))
        has = sum(isinstance(trace, dict) and mark.items() <= trace.items() for trace in traces) > ours
    return Presence.HAS if has else Presence.HAS_NOT


def _outcome(reply: WireReply, at: datetime) -> Outcome:
    """Judge an answer by its result_code where it has one we know, else by HTTP's status."""
    answer = _answer_of(reply)
    code = str(answer.get("result_code", ""))
    if code not in RESULTS:
        return _unworded(reply, code, at)
    kind, parks_lane = RESULTS[code]
    wait_s = ask_seconds(answer.get("retry")) if kind is OutcomeKind.BUSY else None
    return Outcome(kind, code=code, text=_reason_text(answer), wait_s=wait_s, parks_lane=parks_lane)


def _unworded(reply: WireReply, code: str, at: datetime) -> Outcome:
    """Judge an answer without a known result_code; a good status alone promises nothing."""
    if reply.status // 100 != 2 and reply.status != 409:
        return status_outcome(reply, at)
    return Outcome(OutcomeKind.UNKNOWN, code=code if _RESULT_CODE.fullmatch(code) else "unreadable answer")


def _reason_text(answer: JsonObject) -> str:
    reason = answer.get("reason")
    return reason if isinstance(reason, str) else ""


def _answer_of(reply: WireReply) -> JsonObject:
    """Read an answer, whether it stands alone or in a C-Response-Body; empty for 5xx and for what cannot be read."""
    if reply.status >= 500:
        return {}
    try:
        answer = parse_json_object(reply.body)
        inner = answer.get("C-Response-Body")
        return parse_json_object(inner.encode()) if isinstance(inner, str) else answer
    except UnreadableError:
        return {}


def _reply(status: str, code: str, description: str, body: JsonObject) -> WireReply:
    envelope = {
        "C-API-Status": status,
        "C-Response-Code": code,
        "C-Response-Desc": description,
        "C-Response-Body": dump_json(body).decode(),
    }
    return WireReply(200, {"Content-Type": _CONTENT_TYPE}, dump_json(envelope))
