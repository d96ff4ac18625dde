"""川渝通办 places, amends, cancels and traces orders, and is notified of what happens (contract: chuanyu_tongban)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from govpost.adapters.base import AdapterSettings, Document, Inbound, Owed, Secret
from govpost.adapters.chuanyu_tongban.codes import RESULTS, TAKEN, UNKNOWN_ORDER
from govpost.adapters.chuanyu_tongban.notices import build_answer, build_notice, wire_id
from govpost.adapters.chuanyu_tongban.orders import read_call
from govpost.adapters.manifest import Manifest
from govpost.adapters.protocols import sm
from govpost.adapters.protocols.http_status import ask_seconds, status_outcome
from govpost.adapters.protocols.sm2 import SigningKey, VerifyingKey
from govpost.adapters.protocols.sm_envelope import Envelope, Envelopes, read_cipher_key, read_envelope
from govpost.schemas import (
    Command,
    Conversation,
    Denied,
    Outcome,
    OutcomeKind,
    Presence,
    Problem,
    Result,
    Source,
    WireReply,
    WireRequest,
)
from govpost.schemas.documents import JsonObject, dump_json
from govpost.schemas.errors import BreakageError, MappingError, UnreadableError, UnsupportedFeatureError
from govpost.schemas.order import Text

__all__ = ["TIMESTAMP_TOLERANCE_MS", "ChuanyuTongban", "ChuanyuTongbanSettings"]

#: How far an envelope's timestamp may be from now, either way.
TIMESTAMP_TOLERANCE_MS = 300_000

_CONTENT_TYPE = "application/json; charset=utf-8"
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_REQ_ID = re.compile(r"[0-9A-Fa-f]{32}")
_CODE = re.compile(r"[0-9A-Za-z]{1,12}")

_NOTIFY = "/logistics/notify"
_QUERY = "/logistics/query"

#: What is not signed may send us away for now; it settles nothing.
_UNVERIFIED = Outcome(OutcomeKind.UNKNOWN, code="unverified answer")
_SETTLING = frozenset({OutcomeKind.TAKEN, OutcomeKind.REFUSED})
#: A probe that is sent away like this is no sooner repeated than a notice would be.
_SENT_AWAY = frozenset({OutcomeKind.BUSY, OutcomeKind.AUTH, OutcomeKind.MISCONFIGURED})


class ChuanyuTongbanSettings(AdapterSettings):
    """What `[portals.chuanyu_tongban]` holds beside the gateway's own keys."""

    base_url: str
    app_code: Text
    #: The 16 bytes that open encData, in hex.
    sm4_key: Secret
    #: The portal's public keys in hex, as many as are live.
    verify_keys: Annotated[tuple[str, ...], Field(min_length=1)]
    #: Our private key, 32 bytes in hex.
    sign_key: Secret

    @field_validator("sm4_key")
    @classmethod
    def _check_sm4_key(cls, key: SecretStr) -> SecretStr:
        read_cipher_key(key.get_secret_value())
        return key

    @field_validator("sign_key")
    @classmethod
    def _check_sign_key(cls, key: SecretStr) -> SecretStr:
        SigningKey(key.get_secret_value())
        return key

    @field_validator("verify_keys", mode="before")
    @classmethod
    def _split_lines(cls, keys: Any) -> Any:
        """Take the text of a `verify_keys_file`: one key a line."""
        return keys.split() if isinstance(keys, str) else keys

    @field_validator("verify_keys")
    @classmethod
    def _check_verify_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            VerifyingKey(key)
        return keys


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an answer needs to know of the envelope that it answers."""

    #: Empty where there was none that could be echoed.
    req_id: str
    at: datetime


class ChuanyuTongban:
    """The portal 川渝通办: receives, informed."""

    Settings: ClassVar[type[AdapterSettings]] = ChuanyuTongbanSettings

    def __init__(self, settings: ChuanyuTongbanSettings, manifest: Manifest) -> None:
        self.manifest = manifest
        self._base_url = settings.base_url.rstrip("/")
        self._app_code = settings.app_code
        self._envelopes = Envelopes(
            settings.app_code,
            cipher_key=read_cipher_key(settings.sm4_key.get_secret_value()),
            sign_key=SigningKey(settings.sign_key.get_secret_value()),
            verify_keys=[VerifyingKey(key) for key in settings.verify_keys],
        )

    # --- Portal → gateway ---

    def read(self, request: WireRequest, at: datetime) -> Inbound:
        """Verify an envelope in the contract's order and decode it; an unknown caller is given no context."""
        try:
            envelope = read_envelope(request.body)
        except UnreadableError as error:
            return Inbound(Denied(Problem.INVALID, str(error)), context=_Asked("", at))
        if envelope.app_code != self._app_code:
            return Inbound(Denied(Problem.SIGNATURE, "appCode is not known"))
        asked = _Asked(envelope.req_id if _REQ_ID.fullmatch(envelope.req_id) else "", at)
        denied = self._denied_envelope(envelope, at)
        if denied:
            return Inbound(denied, context=asked)
        digest = sm.sm3(envelope.enc_data.encode())
        return Inbound(self._command(request, envelope), nonce=envelope.req_id, nonce_digest=digest, context=asked)

    def _denied_envelope(self, envelope: Envelope, at: datetime) -> Denied | None:
        """Check all that is checked before the nonce."""
        if not self._envelopes.is_authentic(envelope):
            return Denied(Problem.SIGNATURE, "signData does not fit")
        if not _TIMESTAMP.fullmatch(envelope.timestamp) or not _is_near(int(envelope.timestamp), at):
            return Denied(Problem.TIMESTAMP, "timestamp is not Unix milliseconds within 300 s of now")
        if not _REQ_ID.fullmatch(envelope.req_id):
            return Denied(Problem.INVALID, "must be 32 hex digits", "reqId")
        return None

    def _command(self, request: WireRequest, envelope: Envelope) -> Command | Denied:
        if request.method != "POST" or not request.url.partition("?")[0].endswith("/gateway"):
            return Denied(Problem.INVALID, "there is no such call")
        try:
            return read_call(self._envelopes.open(envelope), req_id=envelope.req_id)
        except MappingError as error:
            return Denied(Problem.INVALID, error.reason, error.path or None)

    def answer(self, inbound: Inbound, result: Result) -> WireReply:
        """Say the result in an envelope, HTTP 200; whoever is unknown gets an empty 401."""
        asked: _Asked | None = inbound.context
        if asked is None:
            return WireReply(401)
        body = self._envelopes.seal(dump_json(build_answer(result)), req_id=asked.req_id, at=asked.at)
        return WireReply(200, {"Content-Type": _CONTENT_TYPE}, body)

    # --- Gateway → portal ---

    def render(self, owed: Owed) -> Document:
        """Make the content of a notice; a correction takes the earlier notice back by its id."""
        update = owed.update
        if update is None:
            raise UnsupportedFeatureError("kind", "this portal is told updates only")
        if update.corrects is None and update.status not in self.manifest.tells:
            raise UnsupportedFeatureError("status", "this portal is not told of it")
        content = {"method": "logistics.notify", "bizContent": build_notice(owed, update)}
        return Document(_NOTIFY, dump_json(content), owed.delivery_id)

    def send(self, documents: Sequence[Document], source: Source) -> Conversation[Sequence[Outcome]]:
        """Notify of one document after the other; reqId and encData are the same each time."""
        outcomes = []
        for document in documents:
            req_id = wire_id(document.delivery_id)
            outcome, _ = yield from self._ask(document.call, document.body, req_id=req_id, source=source)
            outcomes.append(outcome)
        return outcomes

    def probe(self, owed: Owed, source: Source) -> Conversation[Presence]:
        """Ask logistics.query whether a notice has arrived; raises BreakageError where we are sent away."""
        content = {"method": "logistics.query", "bizContent": {"bizNo": owed.order.portal_ref}}
        outcome, data = yield from self._ask(_QUERY, dump_json(content), req_id=source.token(), source=source)
        if outcome.kind in _SENT_AWAY:
            raise BreakageError(outcome)
        if outcome.code == UNKNOWN_ORDER:  # it does not know the order, so it has nothing of it
            return Presence.HAS_NOT
        notify_ids = data.get("notifyIds")
        if outcome.code != TAKEN or not isinstance(notify_ids, list):
            return Presence.CANNOT_TELL
        return Presence.HAS if owed.identity in notify_ids else Presence.HAS_NOT

    def _ask(
        self, call: str, content: bytes, *, req_id: str, source: Source
    ) -> Conversation[tuple[Outcome, JsonObject]]:
        """Make a call; its outcome, and the data of an answer that is the portal's own."""
        body = self._envelopes.seal(content, req_id=req_id, at=source.now())
        reply = yield WireRequest("POST", f"{self._base_url}{call}", {"Content-Type": _CONTENT_TYPE}, body)
        answer = self._open_answer(reply, req_id)
        if answer is None:
            outcome = status_outcome(reply, source.now())
            return (_UNVERIFIED if outcome.kind in _SETTLING else outcome), {}
        data = answer.get("data")
        data = data if isinstance(data, dict) else {}
        return _outcome(answer, data), data

    def _open_answer(self, reply: WireReply, req_id: str) -> JsonObject | None:
        """Open an answer; None where it is not signed by the portal, or answers something else."""
        if reply.status != 200:
            return None
        try:
            envelope = read_envelope(reply.body)
            is_theirs = envelope.req_id == req_id and self._envelopes.is_authentic(envelope)
            return self._envelopes.open(envelope) if is_theirs else None
        except (UnreadableError, MappingError):
            return None


def _is_near(timestamp: int, at: datetime) -> bool:
    return abs(timestamp - round(at.timestamp() * 1000)) <= TIMESTAMP_TOLERANCE_MS


def _outcome(answer: JsonObject, data: JsonObject) -> Outcome:
    """Judge a verified answer by its code; one that we do not know may mean anything."""
    code = str(answer.get("code", ""))
    if code not in RESULTS:
        return Outcome(OutcomeKind.UNKNOWN, code=code if _CODE.fullmatch(code) else "unreadable answer")
    kind, parks_lane = RESULTS[code]
    message = answer.get("message")
    return Outcome(
        kind,
        code=code,
        text=message if isinstance(message, str) else "",
        wait_s=ask_seconds(data.get("retryAfter")) if kind is OutcomeKind.BUSY else None,
        parks_lane=parks_lane,
    )
