"""川渝通办 as the gateway meets it: it places orders, and takes notices (contract: chuanyu_tongban, profile v1)."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import ceil
from secrets import token_hex
from types import MappingProxyType
from typing import Any, Self

import requests

from govpost.mocks._chuanyu_notices import CONTENT, INVALID, Notice, PortalOrder, check_notice
from govpost.mocks._chuanyu_orders import new_order, new_orders
from govpost.mocks._contract import Contract
from govpost.mocks._sm2 import KeyPair, key_pair_of, new_key_pair, read_public_key
from govpost.mocks._sm_envelope import is_signed, open_sealed, seal, sign, signed_text
from govpost.mocks.base import (
    Exchange,
    Heard,
    JsonObject,
    PortalMock,
    Sample,
    UnfitError,
    dump_json,
    json_reply,
    load_data,
    load_json_object,
    utc_now,
)
from govpost.mocks.faults import Fault, FaultKind, FaultPlan
from govpost.schemas import OutcomeKind, Reason, Status, WireReply, WireRequest
from govpost.schemas.errors import ConfigurationError

__all__ = [
    "DEMO_APP_CODE",
    "DEMO_GATEWAY_KEY",
    "DEMO_PORTAL_KEY",
    "DEMO_SM4_KEY",
    "Answer",
    "ChuanyuTongbanMock",
    "Notice",
    "PortalOrder",
    "new_order",
    "new_orders",
]

#: The synthetic keys of the contract's worked examples.
DEMO_APP_CODE = "CY50POST"
DEMO_SM4_KEY = "101112131415161718191a1b1c1d1e1f"
DEMO_PORTAL_KEY = KeyPair(
    "4b5a282bd1ab19ff39ac9944e198d38561ba7a22a32035a74ac3d48f9a1249da"
    "59b46cec4d40de2a3cd8c94fe12ed6ee89ee3b6552bea6c669d7e29a398bf154",
    "c6de22baace6dd0950b6a30592940986d2c6642845a8f1b1ea54f16b721edc5b",
)
DEMO_GATEWAY_KEY = KeyPair(
    "d388f6c37adee6e027201def29e13cafc4b9fe935575c6af56bb7e6b3961029c"
    "ef64f2d3b3fb29920ba77ab8d0a8a2e794e028043252f9664e4717e1ec66e477",
    "8ef2cdee315a8225bf05974b05f4a7ecbbf2407e779d7ef72a3bb45ab4f1528d",
)

_CLOCK_TOLERANCE = timedelta(seconds=300)
_REQUEST_MEMORY = timedelta(seconds=600)
_LIVE_KEYS = 2
_SECTION = "[portals.chuanyu_tongban]"
#: A fault's status from here on is no HTTP status but a code of the portal's.
_OWN_CODES = 1000
_JSON = "application/json; charset=utf-8"
_REQ_ID = re.compile(r"[0-9a-f]{32}")
#: The code for a reqId that came with another encData.
_REQ_ID_USED = "4013"
#: Stands where a request has no reqId that an answer could echo.
_NO_REQ_ID = "0" * 32
#: Answers that come without an envelope.
_PLAIN_STATUSES = frozenset({401, 408, 413, 429, 431, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's answer to a request of ours, opened."""

    #: `0` or the code of a refusal; "" where the answer is plain HTTP (401, 408, 413, 429, 431, 503).
    code: str
    message: str = ""
    data: JsonObject = field(default_factory=dict, repr=False)
    http_status: int = 200

    @property
    def is_success(self) -> bool:
        """Whether the gateway did it."""
        return self.code == "0"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request of ours asked, so that its answer can be told from another's."""

    method: str = ""
    biz_no: str = ""


@dataclass(slots=True)
class _Seen:
    """A request of the last 600 s."""

    at: datetime
    enc_data: str
    #: What a retry is answered; None until something was taken.
    answer: JsonObject | None = None


class ChuanyuTongbanMock(PortalMock):
    """The portal. It answers notices and queries, and builds, seals, signs and sends the requests that a portal makes.

    In strict mode (the default) a notice must be of an order that `build_place` or `expect` announced. The scripted
    faults `error` and `error_after` with a status of four digits say it in the portal's own words, as a signed code.
    """

    key = "chuanyu_tongban"
    statuses = MappingProxyType(
        {
            "NUMBERED": Status.NUMBERED,
            "COLLECTED": Status.COLLECTED,
            "TRANSIT": Status.IN_TRANSIT,
            "DELIVERING": Status.OUT_FOR_DELIVERY,
            "DELIVERED": Status.DELIVERED,
            "FAILED": Status.UNDELIVERED,
            "RETURNING": Status.RETURNING,
            "RETURNED": Status.RETURNED,
            "CANCELLED": Status.CANCELLED,
            "LOST": Status.LOST,
            "REVOKED": None,
        }
    )
    reasons = MappingProxyType(
        {
            "BAD_ADDRESS": Reason.BAD_ADDRESS,
            "UNKNOWN_PERSON": Reason.UNKNOWN_PERSON,
            "UNREACHABLE": Reason.UNREACHABLE,
            "REFUSED": Reason.REFUSED,
            "MOVED": Reason.MOVED,
            "DEFERRED": Reason.DEFERRED,
            "WILL_COLLECT": Reason.WILL_COLLECT,
            "OTHER": Reason.OTHER,
        }
    )
    results = MappingProxyType(
        {
            **dict.fromkeys(("0", "4093"), OutcomeKind.TAKEN),
            **dict.fromkeys(("4041", "4001"), OutcomeKind.REFUSED),
            "4011": OutcomeKind.AUTH,
            "4290": OutcomeKind.BUSY,
            **dict.fromkeys(("5000", "5001", "5999"), OutcomeKind.UNKNOWN),
        }
    )

    def __init__(
        self,
        app_code: str = DEMO_APP_CODE,
        sm4_key: str = DEMO_SM4_KEY,
        sign_key: KeyPair = DEMO_PORTAL_KEY,
        verify_keys: Sequence[str] = (DEMO_GATEWAY_KEY.public,),
        *,
        prefix: str = "/portals/chuanyu_tongban",
        gateway_url: str = "",
        is_strict: bool = True,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        token: Callable[[], str] = lambda: token_hex(16),
        keep: int = 10_000,
    ) -> None:
        super().__init__(plan=plan, now=now, keep=keep)
        self.app_code = app_code
        #: What this portal signs with.
        self.sign_key = sign_key
        #: The public keys of the gateway's that are live, the newest first, at most two.
        self.verify_keys = tuple(map(read_public_key, verify_keys))[:_LIVE_KEYS]
        self.prefix = prefix.rstrip("/")
        self.gateway_url = gateway_url.rstrip("/")
        self.is_strict = is_strict
        self.orders: dict[str, PortalOrder] = {}
        #: Everything taken, by notifyId, in arrival order.
        self.notices: dict[str, Notice] = {}
        #: notifyId → how often it came again.
        self.repeats: Counter[str] = Counter()
        #: How many of these came under another reqId than the first time, which a retry must not.
        self.renumbered = 0
        self._sm4_key = sm4_key
        self._token = token
        self._contract = Contract(self.key)
        #: reqId → what our request under it asked.
        self._asked: dict[str, _Asked] = {}
        #: reqId → what came under it, the oldest first.
        self._seen: dict[str, _Seen] = {}
        self._calls: dict[str, Callable[[JsonObject, _Seen], tuple[str, JsonObject]]] = {
            "/logistics/notify": self._take_notice,
            "/logistics/query": self._tell_known,
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the portal that `[portals.chuanyu_tongban]` of a gateway's settings talks to, or the demo one.

        Not strict: whoever runs it as a server of its own announces no orders to it. Settings hold the public half of
        the portal's key only, so the portal can be nobody but the one of the worked examples; ConfigurationError where
        the gateway does not trust that one.
        """
        section = document.get("portals", {}).get(cls.key, {})
        known = {name: section[name] for name in ("app_code", "sm4_key") if name in section}
        ingress = {"host": "127.0.0.1", "port": 8080, **document.get("ingress", {})}
        gateway_url = f"http://{ingress['host']}:{ingress['port']}"
        return cls(**{"gateway_url": gateway_url, "is_strict": False, **known, **_shared_keys(section), **options})

    def settings(self) -> JsonObject:
        """Give what `[portals.chuanyu_tongban]` must hold; of the gateway's own key, the one of the worked examples."""
        return {
            "base_url": self.url,
            "app_code": self.app_code,
            "sm4_key": self._sm4_key,
            "verify_keys": [self.sign_key.public],
            "sign_key": DEMO_GATEWAY_KEY.private,
        }

    # --- keys ---------------------------------------------------------------------------------------------------------

    def rotate_keys(self, private_key: str | None = None) -> str:
        """Sign with another key from now on, a new one unless it is given; returns its public half."""
        self.sign_key = new_key_pair() if private_key is None else key_pair_of(private_key)
        return self.sign_key.public

    def trust_key(self, public_key: str) -> None:
        """Take a new key of the gateway's for live, with the newest so far; one before that is retired."""
        self.verify_keys = (read_public_key(public_key), *self.verify_keys)[:_LIVE_KEYS]

    # --- what the portal takes ----------------------------------------------------------------------------------------

    def expect(self, biz_no: str, *, is_round_trip: bool = False) -> None:
        """Announce an order, so that notices of it are taken in strict mode."""
        with self._lock:
            self.orders.setdefault(biz_no, PortalOrder(biz_no, is_round_trip))

    def reset(self) -> None:
        """Forget everything but the keys."""
        with self._lock:
            super().reset()
            self.renumbered = 0
            for memory in (self.orders, self.notices, self.repeats, self._asked, self._seen):
                memory.clear()

    def state(self) -> JsonObject:
        """Count orders, notices, repeats and what was told twice."""
        with self._lock:
            return {
                "orders": len(self.orders),
                "notices": len(self.notices),
                "revoked": sum(len(order.revoked) for order in self.orders.values()),
                "told_twice": sum(order.told_twice for order in self.orders.values()),
                "repeats": self.repeats.total(),
                "renumbered": self.renumbered,
            }

    def report(self) -> JsonObject:
        """List each order's waybills and status by leg, and its statuses and notifyIds in arrival order."""
        with self._lock:
            return {
                order.biz_no: {
                    "waybills": {str(leg): number for leg, number in order.waybills.items()},
                    "status": {str(leg): order.status(leg) for leg in sorted({1, *order.waybills})},
                    "statuses": [notice.status for notice in order.notices],
                    "notify_ids": [notice.notify_id for notice in order.notices],
                    "revoked": sorted(order.revoked),
                    "told_twice": order.told_twice,
                }
                for order in self.orders.values()
            }

    def heard(self) -> list[Heard]:
        """List what was told and taken."""
        with self._lock:
            return [
                Heard(each.biz_no, each.notify_id, each.status, each.waybill_no, each.leg, each.reason, each.content)
                for each in self.notices.values()
            ]

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """`send_new {count, seed, start}` → code by bizNo; `rotate_keys {private_key?}`; `trust_key {public_key}`."""
        return {"send_new": self.send_new, "rotate_keys": self.rotate_keys, "trust_key": self.trust_key}

    def exchange(self, request: WireRequest) -> Exchange:
        """Answer a request, or let it go wrong; what the portal itself says of that is sealed and signed."""
        exchange = super().exchange(request)
        said = None if exchange.fault is None else _words_of(exchange.fault)
        if said is None:
            return exchange
        with self._lock:
            return Exchange(self._answer(request, "NotTaken", said), exchange.fault)

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Answer a notice with a code, sealed and signed."""
        schema = "Taken" if self.results[code] is OutcomeKind.TAKEN else "NotTaken"
        data = {"retryAfter": 1} if self.results[code] is OutcomeKind.BUSY else {}
        with self._lock:
            return self._answer(request, schema, _said(code, "说明", data))

    def _respond(self, request: WireRequest) -> WireReply:
        respond = next((call for path, call in self._calls.items() if request.path.endswith(path)), None)
        if respond is None:
            raise UnfitError("path", f"ends in none of {', '.join(self._calls)}", code="404")
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="404")
        envelope = self._read_envelope(request)
        if self._denies_req_id(envelope):
            return self._answer(request, "NotTaken", _said(_REQ_ID_USED, "envelope.reqId: is taken for a used one"))
        seen = self._remember(envelope)
        schema, answer = respond(envelope, seen)
        return self._answer(request, schema, answer)

    def _refuse(self, error: UnfitError) -> WireReply:
        if error.code == "401":
            return WireReply(401)
        if error.code == "404":
            return json_reply(404, {"where": error.where, "reason": error.reason})
        # Called under the lock, of the request that was noted last.
        return self._answer(self.requests[-1], "NotTaken", _said(error.code, f"{error.where}: {error.reason}"))

    def _answer(self, request: WireRequest, schema: str, document: JsonObject) -> WireReply:
        """Seal and sign an answer to a request, with a key that is not live where the plan wants it."""
        self._contract.check(schema, document, where="answer")
        is_retired = self.plan.draw_own(FaultKind.EXPIRED_KEY, request) is not None
        envelope = self._seal(dump_json(document), _req_id_of(request))
        envelope["signData"] = sign(signed_text(envelope), self._retired_key if is_retired else self.sign_key)
        self._contract.check("Envelope", envelope, where="answer")
        return json_reply(200, envelope)

    @cached_property
    def _retired_key(self) -> KeyPair:
        return new_key_pair()

    def _read_envelope(self, request: WireRequest) -> JsonObject:
        """Check all that is checked before the reqId; where nothing can be read, no appCode is known."""
        envelope = _load(request.body, where="body", code="401")
        if envelope.get("appCode") != self.app_code:
            raise UnfitError("envelope.appCode", "is not known", code="401")
        if not _is_json(request.headers):
            raise UnfitError("header Content-Type", "is not application/json", code=INVALID)
        self._check_envelope(envelope)
        return envelope

    def _check_envelope(self, envelope: JsonObject, *, where: str = "envelope") -> None:
        self._contract.check("Envelope", envelope, where=where, code=INVALID)
        if not is_signed(signed_text(envelope), envelope["signData"], by=self.verify_keys):
            raise UnfitError(f"{where}.signData", "is not the signature of a live key", code="4011")
        if abs(_from_ms(envelope["timestamp"]) - self.now()) > _CLOCK_TOLERANCE:
            raise UnfitError(f"{where}.timestamp", "is not within 300 s of now", code="4012")

    def _denies_req_id(self, envelope: JsonObject) -> bool:
        """Tell whether a fresh reqId is denied as one that was used."""
        is_fresh = envelope["reqId"] not in self._seen
        return is_fresh and self.plan.draw_own(FaultKind.STALE_NONCE, envelope) is not None

    def _remember(self, envelope: JsonObject) -> _Seen:
        req_id, enc_data, now = envelope["reqId"], envelope["encData"], self.now()
        while self._seen and now - next(iter(self._seen.values())).at > _REQUEST_MEMORY:
            del self._seen[next(iter(self._seen))]
        if self._seen.setdefault(req_id, _Seen(now, enc_data)).enc_data != enc_data:
            raise UnfitError("envelope.reqId", "was seen with another encData", code=_REQ_ID_USED)
        return self._seen[req_id]

    def _open(self, schema: str, envelope: JsonObject) -> JsonObject:
        """Open a request to its bizContent."""
        opened = self._open_object(envelope["encData"], where="encData", code=INVALID)
        self._contract.check(schema, opened, where="encData", code=INVALID)
        content: JsonObject = opened["bizContent"]
        return content

    def _take_notice(self, envelope: JsonObject, seen: _Seen) -> tuple[str, JsonObject]:
        content = self._open("NotifyCall", envelope)
        known = self.notices.get(content["notifyId"])
        if known is not None:
            seen.answer = self._answer_again(known, envelope, seen)
        else:
            self._record(content, envelope)
            seen.answer = _said("0", "ok")
        return "Taken", seen.answer

    def _answer_again(self, known: Notice, envelope: JsonObject, seen: _Seen) -> JsonObject:
        if known.enc_data != envelope["encData"]:
            raise UnfitError(f"{CONTENT}.notifyId", "was used before with other content", code=INVALID)
        self.repeats[known.notify_id] += 1
        self.renumbered += known.req_id != envelope["reqId"]
        return seen.answer or _said("4093", "has it already")

    def _record(self, content: JsonObject, envelope: JsonObject) -> None:
        order = self._find(content["bizNo"])
        notice = Notice(content, envelope["reqId"], envelope["encData"])
        check_notice(order, notice)
        order.notices.append(notice)
        self.notices[notice.notify_id] = notice
        self.orders[order.biz_no] = order

    def _tell_known(self, envelope: JsonObject, _: _Seen) -> tuple[str, JsonObject]:
        order = self._find(self._open("QueryCall", envelope)["bizNo"])
        return "Known", _said("0", "ok", {"notifyIds": [notice.notify_id for notice in order.notices]})

    def _find(self, biz_no: str) -> PortalOrder:
        if self.is_strict and biz_no not in self.orders:
            raise UnfitError(f"{CONTENT}.bizNo", "is an order that the portal does not know", code="4041")
        return self.orders.get(biz_no, PortalOrder(biz_no))

    # --- what the portal sends ----------------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """Give the forty orders."""
        orders = load_data("chuanyu_tongban_orders.json")
        return [Sample(order, {order["bizNo"]: 2 if _is_round_trip(order) else 1}) for order in orders]

    def hand_over(self, document: JsonObject) -> WireRequest:
        """Build the request that places an order, given as the contract's samples have it."""
        return self.build_place(document)

    def is_taken(self, reply: WireReply) -> bool:
        """Tell whether the gateway took an order."""
        return self.parse_reply(reply).is_success

    def commands(self, document: JsonObject) -> dict[str, WireRequest]:
        """Build the requests that give an order its recipient again, take it back, and ask how it stands."""
        biz_no = document["bizNo"]
        return {
            "amend": self.build_amend(biz_no, document["to"]),
            "cancel": self.build_cancel(biz_no),
            "query": self.build_trace(biz_no),
        }

    def wrap(self, content: bytes) -> WireRequest:
        """Seal and sign any bytes for the gateway's door."""
        return self.sign_request(content)

    def build_place(self, order: JsonObject) -> WireRequest:
        """Build the request that places an order, under a reqId of its own at each call; its url is path only."""
        biz_no = order.get("bizNo")
        if isinstance(biz_no, str):
            self.expect(biz_no, is_round_trip=_is_round_trip(order))
        return self._build("order.place", order)

    def build_amend(self, biz_no: str, to: JsonObject) -> WireRequest:
        """Build the request that gives an order another recipient."""
        return self._build("order.amend", {"bizNo": biz_no, "to": to})

    def build_cancel(self, biz_no: str, reason: str = "申请人不再需要寄递") -> WireRequest:
        """Build the request that takes an order back."""
        return self._build("order.cancel", {"bizNo": biz_no, "reason": reason})

    def build_trace(self, biz_no: str) -> WireRequest:
        """Build the request that asks how an order stands."""
        return self._build("order.trace", {"bizNo": biz_no})

    def retry(self, request: WireRequest) -> WireRequest:
        """Build a request again: the same reqId and encData, timestamp and signature anew."""
        return self._post({**load_json_object(request.body), "timestamp": _to_ms(self.now())})

    def sign_request(self, content: bytes, *, members: Mapping[str, str] | None = None) -> WireRequest:
        """Seal and sign any bytes for the gateway's door; for what the build_ methods would not say.

        `members` stand for the envelope's own and are signed with it; what is to break the signature is changed in the
        body afterwards.
        """
        envelope = self._seal(content, self._token()) | dict(members or {})
        self._asked[envelope["reqId"]] = _read_question(content)
        return self._post(envelope)

    def open_content(self, request: WireRequest) -> JsonObject:
        """Open what a request of either side says: `{"method", "bizContent"}`."""
        return self._open_object(load_json_object(request.body)["encData"], where="encData")

    def parse_reply(self, reply: WireReply, *, request: WireRequest | None = None) -> Answer:
        """Open the gateway's answer, to that request or to any of ours; UnfitError where it breaks the contract."""
        if reply.status in _PLAIN_STATUSES:
            return _read_plain(reply)
        if reply.status != 200:
            raise UnfitError("answer", f"is HTTP {reply.status}, which the contract does not know")
        if not _is_json(reply.headers):
            raise UnfitError("header Content-Type", "is not application/json")
        envelope = load_json_object(reply.body, where="answer")
        self._check_envelope(envelope, where="answer")
        if envelope["appCode"] != self.app_code:
            raise UnfitError("answer.appCode", "is not the request's")
        asked = self._asked.get(envelope["reqId"])
        if asked is None or (request is not None and envelope["reqId"] != _req_id_of(request)):
            raise UnfitError("answer.reqId", "is not the request's")
        return self._read_answer(self._open_object(envelope["encData"], where="answer.encData"), asked)

    def _read_answer(self, document: JsonObject, asked: _Asked) -> Answer:
        is_success = document.get("code") == "0"
        schema = _SUCCESSES.get(asked.method, "Refused") if is_success else "Refused"
        self._contract.check(schema, document, where="answer.encData")
        if is_success and document["data"]["bizNo"] != asked.biz_no:
            raise UnfitError("answer.encData.data.bizNo", "is not the request's")
        return Answer(document["code"], document["message"], document.get("data") or {})

    def send(self, request: WireRequest, *, session: requests.Session | None = None, timeout_s: float = 30.0) -> Answer:
        """Carry a built request to `gateway_url` and open the answer. Raises what requests raises."""
        call = session.request if session is not None else requests.request
        reply = call(
            request.method,
            self.gateway_url + request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=timeout_s,
        )
        return self.parse_reply(WireReply(reply.status_code, reply.headers, reply.content), request=request)

    def send_new(self, count: int = 1, seed: int = 0, start: int = 0) -> dict[str, str]:
        """Send synthetic orders to the gateway, as the plan arranges them; bizNo → code of the last answer.

        What the plan wants sent twice is retried: under its reqId, signed anew.
        """
        placements = [(order["bizNo"], self.build_place(order)) for order in new_orders(count, seed=seed, start=start)]
        codes = {}
        with requests.Session() as session:
            for biz_no, request in self.plan.arrange(placements):
                codes[biz_no] = self.send(self.retry(request), session=session).code
        return codes

    def _build(self, method: str, content: JsonObject) -> WireRequest:
        return self.sign_request(dump_json({"method": method, "bizContent": content}))

    def _seal(self, content: bytes, req_id: str) -> dict[str, str]:
        """Build an envelope that is not signed yet."""
        return {
            "appCode": self.app_code,
            "version": "1.0.0",
            "encType": "SM4",
            "signType": "SM2",
            "timestamp": _to_ms(self.now()),
            "reqId": req_id,
            "encData": seal(self._sm4_key, content),
        }

    def _post(self, envelope: JsonObject) -> WireRequest:
        signed = {**envelope, "signData": sign(signed_text(envelope), self.sign_key)}
        return WireRequest("POST", f"{self.prefix}/gateway", {"Content-Type": _JSON}, dump_json(signed))

    def _open_object(self, enc_data: str, *, where: str, code: str = "400") -> JsonObject:
        try:
            plain = open_sealed(self._sm4_key, enc_data)
        except ValueError:
            raise UnfitError(where, "does not open", code=code) from None
        return _load(plain, where=where, code=code)


#: What is asked → the schema of the answer that says yes.
_SUCCESSES = {"order.place": "Done", "order.amend": "Done", "order.cancel": "Done", "order.trace": "Traced"}


def _shared_keys(section: Mapping[str, Any]) -> JsonObject:
    """Find what settings of a gateway say of the keys of both sides."""
    try:
        trusted = [read_public_key(key) for key in section.get("verify_keys", (DEMO_PORTAL_KEY.public,))]
        signs = key_pair_of(section.get("sign_key", DEMO_GATEWAY_KEY.private)).public
    except ValueError as error:
        raise ConfigurationError(f"{_SECTION} sign_key, verify_keys: one of them {error}") from None
    if DEMO_PORTAL_KEY.public not in trusted:
        raise ConfigurationError(
            f"{_SECTION} verify_keys: the stand-in cannot sign as that portal; use the demo keys of the worked examples"
        )
    return {"verify_keys": (signs,)}


def _is_round_trip(order: JsonObject) -> bool:
    return bool(order.get("direction") == "ROUND")


def _said(code: str, message: str, data: JsonObject | None = None) -> JsonObject:
    return {"code": code, "message": message, "data": data or {}}


def _words_of(fault: Fault) -> JsonObject | None:
    """Say a fault in the portal's own words; None for what is not its to say."""
    if fault.kind is FaultKind.BUSY:
        return _said("4290", "busy", {"retryAfter": ceil(fault.seconds)})
    if fault.kind in {FaultKind.ERROR, FaultKind.ERROR_AFTER} and fault.status >= _OWN_CODES:
        return _said(str(fault.status), "something went wrong")
    return None


def _read_question(content: bytes) -> _Asked:
    """Find what a request asks; nothing where its content is nothing that a portal would say."""
    try:
        opened = json.loads(content)
        return _Asked(str(opened["method"]), str(opened["bizContent"]["bizNo"]))
    except (KeyError, RecursionError, TypeError, ValueError):
        return _Asked()


def _read_plain(reply: WireReply) -> Answer:
    if reply.status == 401 and reply.body:
        raise UnfitError("answer", "is not empty")
    return Answer("", http_status=reply.status)


def _load(body: bytes, *, where: str, code: str) -> JsonObject:
    """Read a JSON object, with the portal's own code where it is none."""
    try:
        return load_json_object(body, where=where)
    except UnfitError as error:
        raise UnfitError(error.where, error.reason, code=code) from None


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Type", "").lower().startswith("application/json")


def _req_id_of(request: WireRequest) -> str:
    """Find what an answer has to echo."""
    try:
        req_id = load_json_object(request.body).get("reqId")
    except UnfitError:
        return _NO_REQ_ID
    return req_id if isinstance(req_id, str) and _REQ_ID.fullmatch(req_id) else _NO_REQ_ID


def _from_ms(timestamp: str) -> datetime:
    return datetime.fromtimestamp(int(timestamp) / 1000, UTC)


def _to_ms(at: datetime) -> str:
    return str(round(at.timestamp() * 1000))
