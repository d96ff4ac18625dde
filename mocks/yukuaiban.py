"""渝快办 as the gateway meets it: it sends orders, and takes waybills and traces (contract: yukuaiban, profile v1)."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from itertools import count
from random import Random
from secrets import token_hex
from types import MappingProxyType
from typing import Any, Self

import requests

from govpost.mocks._synthetic import citizen_id, party, uscc
from govpost.mocks._yukuaiban_seal import open_secret, seal, sign
from govpost.mocks.base import (
    Heard,
    JsonObject,
    Member,
    PortalMock,
    Sample,
    UnfitError,
    check_members,
    dump_json,
    json_reply,
    load_data,
    load_json_object,
    one_of,
    text,
    utc_now,
)
from govpost.mocks.faults import FaultPlan
from govpost.schemas import OutcomeKind, Reason, Status, WireReply, WireRequest

__all__ = [
    "DEMO_APP_ID",
    "DEMO_APP_KEY",
    "DEMO_APP_SECRET",
    "Answer",
    "PortalOrder",
    "Push",
    "YukuaibanMock",
    "new_order",
    "new_orders",
]

#: The synthetic keys of the contract's worked examples.
DEMO_APP_ID = "3f0c2a9e-5b1d-4e7a-9c44-0a1b2c3d4e5f"
DEMO_APP_SECRET = "demo-secret-yukuaiban-do-not-use"  # noqa: S105 - says itself that it is none
DEMO_APP_KEY = "AAECAwQFBgcICQoLDA0ODw=="

_CALLS_PATH = "/gwlp/logistic/"
_CLOCK_TOLERANCE = timedelta(seconds=300)
_NONCE_MEMORY = timedelta(seconds=600)
_JSON = "application/json; charset=utf-8"
_SIGN_HEADERS = ("X-App-Id", "X-Timestamp", "X-Nonce", "X-Sign")

_TIME_FORM = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_MILLISECONDS = re.compile(r"[0-9]{13}")
_HEX32 = r"[0-9a-f]{32}"
_WAYBILL = r"[A-Z]{2}\d{9}[A-Z]{2}|\d{13}"

_ACCEPTED, _NUMBERED, _UNDELIVERED, _CANCELLED = "10", "20", "70", "90"
_FINAL = frozenset({"60", "81", _CANCELLED, "99"})
_UNDER_WAY = ("40", "50", _UNDELIVERED, "60", "80", "81", "99")
_STATES = (_ACCEPTED, _NUMBERED, "30", "40", "50", "60", _UNDELIVERED, "80", "81", _CANCELLED, "99")
#: What may follow a state without a correction (contracts/README: How an order lives).
_FOLLOWERS: dict[str, tuple[str, ...]] = {
    _ACCEPTED: _STATES[2:],
    _NUMBERED: _STATES[2:],
    "30": _STATES[3:],
    "40": _UNDER_WAY,
    "50": _UNDER_WAY,
    _UNDELIVERED: _UNDER_WAY,
    "80": ("80", "81", "99"),
    **dict.fromkeys(_FINAL, ()),
}
_CORRECTION = "更正"
#: The serviceType of a round trip.
_BOTH_WAYS = "3"
_REASON_CODES = ("01", "02", "03", "04", "05", "06", "07", "99")

_REQUEST_ID = text("requestId", _HEX32, "is not 32 lower-case hex digits")
_ORDER_ID = text("order_id", r"[A-Z0-9-]{8,32}", "is not 8 to 32 of A-Z 0-9 -")
_LOGISTIC_CODE = text("logistic_code", _WAYBILL, "is not a mail number")
_QUERY_MEMBERS = (_REQUEST_ID, _ORDER_ID)
_WAYBILL_MEMBERS = (
    _REQUEST_ID,
    _ORDER_ID,
    _LOGISTIC_CODE,
    one_of("shipper_code", "EMS"),
    one_of("leg", 1, 2, is_required=False),
)
_TRACE_MEMBERS = (
    _REQUEST_ID,
    _ORDER_ID,
    # Missing or empty only in the states that come without a number; `_take_trace` says which.
    text("logistic_code", rf"({_WAYBILL})?", "is not a mail number", is_required=False),
    one_of("state", *_STATES),
    text("opTime", _TIME_FORM, "is not yyyy-MM-dd HH:mm:ss"),
    text("opDesc", r"(?s).{1,200}", "is not a text of 1 to 200 characters"),
    text("orgName", r"(?s).{0,100}", "is not a text of at most 100 characters"),
    one_of("reasonCode", *_REASON_CODES, is_required=False),
    text("signer", r"(?s).{1,50}", "is not a text of 1 to 50 characters", is_required=False),
)

_SUCCESS = ("00", "000000000000", "success")
_REFUSAL_CODES = frozenset(f"YKB{code}" for code in (400001, 401001, 401002, 401003, 404001, 409001, 409002, 500000))


@dataclass(frozen=True, slots=True)
class Push:
    """A push that the portal took."""

    #: `pushlogisticode` or `pushtrace`.
    call: str
    request_id: str
    order_no: str
    leg: int
    logistic_code: str
    #: Of a trace; "20" of a waybill.
    state: str
    #: The whole body, as it came.
    body: JsonObject = field(repr=False)


@dataclass(slots=True)
class PortalOrder:
    """What the portal knows of an order."""

    order_no: str
    #: Leg → waybill.
    waybills: dict[int, str] = field(default_factory=dict)
    #: Everything it took of this order, in arrival order.
    pushes: list[Push] = field(default_factory=list)
    #: Leg → the state it stands in.
    states: dict[int, str] = field(default_factory=dict)

    @property
    def traces(self) -> list[Push]:
        """The traces that were taken, in arrival order."""
        return [push for push in self.pushes if push.call == "pushtrace"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's answer to a request of ours, opened."""

    #: `000000000000` or a `YKB…` code; "" where the answer is plain HTTP (408, 413, 429, 431, 503).
    code: str
    body: JsonObject = field(repr=False)
    http_status: int = 200

    @property
    def is_success(self) -> bool:
        """Whether the gateway did it."""
        return self.code == _SUCCESS[1]


class YukuaibanMock(PortalMock):
    """The portal. It answers pushes, and builds, signs and sends the requests that a portal makes.

    In strict mode (the default) a push must name an order that `build_create` or `expect` announced, and a member
    that the contract does not know is refused.
    """

    key = "yukuaiban"
    statuses = MappingProxyType(
        {
            "10": Status.ACCEPTED,
            "20": Status.NUMBERED,
            "30": Status.COLLECTED,
            "40": Status.IN_TRANSIT,
            "50": Status.OUT_FOR_DELIVERY,
            "60": Status.DELIVERED,
            "70": Status.UNDELIVERED,
            "80": Status.RETURNING,
            "81": Status.RETURNED,
            "90": Status.CANCELLED,
            "99": Status.LOST,
        }
    )
    reasons = MappingProxyType(
        {
            "01": Reason.BAD_ADDRESS,
            "02": Reason.UNKNOWN_PERSON,
            "03": Reason.UNREACHABLE,
            "04": Reason.REFUSED,
            "05": Reason.MOVED,
            "06": Reason.DEFERRED,
            "07": Reason.WILL_COLLECT,
            "99": Reason.OTHER,
        }
    )
    results = MappingProxyType(
        {
            "200": OutcomeKind.TAKEN,
            "409": OutcomeKind.TAKEN,
            "429": OutcomeKind.BUSY,
            "401": OutcomeKind.AUTH,
            "404": OutcomeKind.REFUSED,
            "400": OutcomeKind.REFUSED,
            "500": OutcomeKind.UNKNOWN,
        }
    )

    def __init__(
        self,
        app_id: str = DEMO_APP_ID,
        app_secret: str = DEMO_APP_SECRET,
        app_key: str = DEMO_APP_KEY,
        *,
        prefix: str = "/portals/yukuaiban",
        channel: str = "CQZWFW",
        gateway_url: str = "",
        is_strict: bool = True,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        token: Callable[[], str] = lambda: token_hex(16),
        keep: int = 10_000,
    ) -> None:
        super().__init__(plan=plan, now=now, keep=keep)
        self.app_id = app_id
        self.prefix = prefix.rstrip("/")
        self.channel = channel
        self.gateway_url = gateway_url.rstrip("/")
        self.is_strict = is_strict
        self.orders: dict[str, PortalOrder] = {}
        #: Everything taken, in arrival order.
        self.pushes: list[Push] = []
        #: requestId → how often it came again and was answered 409.
        self.repeats: Counter[str] = Counter()
        self._app_secret = app_secret
        self._app_key = app_key
        self._token = token
        self._bodies: dict[str, bytes] = {}
        self._nonces: set[str] = set()
        self._nonce_times: deque[tuple[datetime, str]] = deque()
        self._calls: dict[str, Callable[[JsonObject, bytes], JsonObject]] = {
            "pushlogisticode": self._take_waybill,
            "pushtrace": self._take_trace,
            "querytrace": self._tell_traces,
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the portal that `[portals.yukuaiban]` of a gateway's settings talks to, or the demo one.

        Not strict: whoever runs it as a server of its own announces no orders to it.
        """
        section = document.get("portals", {}).get(cls.key, {})
        keys = {name: section[name] for name in ("app_id", "app_secret", "app_key") if name in section}
        ingress = {"host": "127.0.0.1", "port": 8080, **document.get("ingress", {})}
        gateway_url = f"http://{ingress['host']}:{ingress['port']}"
        return cls(**{"gateway_url": gateway_url, "is_strict": False, **keys, **options})

    def settings(self) -> JsonObject:
        """Give what `[portals.yukuaiban]` must hold."""
        return {
            "base_url": self.url,
            "app_id": self.app_id,
            "app_secret": self._app_secret,
            "app_key": self._app_key,
        }

    # --- what the portal takes ---------------------------------------------------------------------------------------

    def expect(self, order_no: str) -> None:
        """Announce an order, so that pushes for it are taken in strict mode."""
        with self._lock:
            self.orders.setdefault(order_no, PortalOrder(order_no))

    def reset(self) -> None:
        """Forget everything, nonces too."""
        with self._lock:
            super().reset()
            for memory in (self.orders, self.pushes, self.repeats, self._bodies, self._nonces, self._nonce_times):
                memory.clear()

    def state(self) -> JsonObject:
        """Count orders, pushes and repeats."""
        with self._lock:
            calls = Counter(push.call for push in self.pushes)
            return {
                "orders": len(self.orders),
                "waybills": calls["pushlogisticode"],
                "traces": calls["pushtrace"],
                "repeats": self.repeats.total(),
            }

    def report(self) -> JsonObject:
        """List each order's waybills by leg, its states in arrival order, and its requestIds."""
        with self._lock:
            return {
                order.order_no: {
                    "waybills": {str(leg): number for leg, number in order.waybills.items()},
                    "states": [trace.state for trace in order.traces],
                    "request_ids": [push.request_id for push in order.pushes],
                }
                for order in self.orders.values()
            }

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """`send_new {count, seed, start}`: send synthetic orders to the gateway, each answered with its code."""
        return {"send_new": self.send_new}

    def _respond(self, request: WireRequest) -> WireReply:
        _, found, call = request.path.rpartition(_CALLS_PATH)
        if not found or call not in self._calls:
            raise UnfitError(
                "path", f"ends in none of {', '.join(_CALLS_PATH + name for name in self._calls)}", code=""
            )
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="")
        self._check_signature(request)
        if not request.headers.get("Content-Type", "").lower().startswith("application/json"):
            raise UnfitError("header Content-Type", "is not application/json")
        return json_reply(200, self._calls[call](load_json_object(request.body), request.body))

    def _refuse(self, error: UnfitError) -> WireReply:
        reason = f"{error.where}: {error.reason}"
        if not error.code:
            return json_reply(404, {"reason": reason})
        return json_reply(200, {"result_code": error.code, "reason": reason})

    def say(self, code: str, request: WireRequest) -> WireReply:  # noqa: ARG002 - the answer echoes nothing
        """Answer a push with a result_code."""
        return json_reply(200, {"result_code": code, "reason": "说明"})

    def wrap(self, content: bytes) -> WireRequest:
        """Sign any body of a create."""
        return self.sign_request(f"{self.prefix}/orders/create", content)

    def _say_busy(self, seconds: int) -> WireReply:
        return json_reply(200, {"result_code": "429", "reason": "busy", "retry": seconds})

    def _check_signature(self, request: WireRequest) -> None:
        app_id, timestamp, nonce, claimed = (_header(request, name) for name in _SIGN_HEADERS)
        if app_id != self.app_id:
            raise UnfitError("header X-App-Id", "is not the app's", code="401")
        expected = sign(
            self._app_secret,
            app_id=app_id,
            timestamp=timestamp,
            nonce=nonce,
            method=request.method,
            path=request.path,
            body=request.body,
        )
        if not compare_digest(claimed.encode(), expected.encode()):
            raise UnfitError("header X-Sign", "is not the HMAC-SM3 of these headers, path and body", code="401")
        now = self.now()
        if not _MILLISECONDS.fullmatch(timestamp) or abs(_from_ms(timestamp) - now) > _CLOCK_TOLERANCE:
            raise UnfitError("header X-Timestamp", "is not Unix milliseconds within 300 s of now", code="401")
        self._remember_nonce(nonce, now)

    def _remember_nonce(self, nonce: str, now: datetime) -> None:
        while self._nonce_times and now - self._nonce_times[0][0] > _NONCE_MEMORY:
            self._nonces.discard(self._nonce_times.popleft()[1])
        if nonce in self._nonces:
            raise UnfitError("header X-Nonce", "was used before", code="401")
        self._nonces.add(nonce)
        self._nonce_times.append((now, nonce))

    def _take_waybill(self, document: JsonObject, body: bytes) -> JsonObject:
        self._check(document, _WAYBILL_MEMBERS)
        order = self._find(document)
        if self._is_repeat(document, body):
            return _HAS_IT
        leg, number = document.get("leg", 1), document["logistic_code"]
        if order.waybills.get(leg, number) != number:
            raise UnfitError("body.logistic_code", f"is another than leg {leg} has")
        order.waybills[leg] = number
        order.states.setdefault(leg, _NUMBERED)
        self._record(
            Push("pushlogisticode", document["requestId"], order.order_no, leg, number, _NUMBERED, document), body
        )
        return _TAKEN

    def _take_trace(self, document: JsonObject, body: bytes) -> JsonObject:
        self._check(document, _TRACE_MEMBERS)
        order = self._find(document)
        if self._is_repeat(document, body):
            return _HAS_IT
        state, number = document["state"], document.get("logistic_code", "")
        leg = _leg_of(order, number, state)
        self._check_move(order.states.get(leg, _ACCEPTED), document)
        order.states[leg] = state
        self._record(Push("pushtrace", document["requestId"], order.order_no, leg, number, state, document), body)
        return _TAKEN

    def _tell_traces(self, document: JsonObject, _: bytes) -> JsonObject:
        self._check(document, _QUERY_MEMBERS)
        order = self._find(document)
        return {
            **_TAKEN,
            "logistic_code": ",".join(number for _, number in sorted(order.waybills.items())),
            "traces": [{"state": trace.state, "opTime": trace.body["opTime"]} for trace in order.traces],
        }

    def _check(self, document: JsonObject, members: tuple[Member, ...]) -> None:
        check_members(document, members, where="body", is_open=not self.is_strict)

    def _find(self, document: JsonObject) -> PortalOrder:
        order_no = document["order_id"]
        if self.is_strict and order_no not in self.orders:
            raise UnfitError("body.order_id", "is an order that the portal does not know", code="404")
        return self.orders.setdefault(order_no, PortalOrder(order_no))

    def _is_repeat(self, document: JsonObject, body: bytes) -> bool:
        request_id = document["requestId"]
        if request_id not in self._bodies:
            return False
        if self._bodies[request_id] != body:
            raise UnfitError("body.requestId", "was used before with another body")
        self.repeats[request_id] += 1
        return True

    def _check_move(self, current: str, document: JsonObject) -> None:
        state = document["state"]
        is_correction = document["opDesc"].startswith(_CORRECTION)
        if not is_correction and state not in _FOLLOWERS[current]:
            raise UnfitError("body.state", f"{state} cannot follow {current}")
        if "reasonCode" in document and state != _UNDELIVERED:
            raise UnfitError("body.reasonCode", f"goes with state {_UNDELIVERED} only")

    def _record(self, push: Push, body: bytes) -> None:
        self._bodies[push.request_id] = body
        self.orders[push.order_no].pushes.append(push)
        self.pushes.append(push)

    def heard(self) -> list[Heard]:
        """List what was pushed and taken."""
        with self._lock:
            return [
                Heard(
                    push.order_no,
                    push.request_id,
                    push.state,
                    push.logistic_code,
                    push.leg,
                    push.body.get("reasonCode", ""),
                    push.body,
                )
                for push in self.pushes
            ]

    # --- what the portal sends ---------------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """Give the forty orders, each with its `secret` opened."""
        return [
            Sample(
                {**each["order"], "secret": each["secret_opens_to"]},
                {each["order"]["orderNo"]: 2 if each["order"]["serviceType"] == _BOTH_WAYS else 1},
            )
            for each in load_data("yukuaiban_orders.json")
        ]

    def hand_over(self, document: JsonObject) -> WireRequest:
        """Build the request that places an order, given as the contract's samples have it: `secret` opened."""
        return self.build_create(
            {name: value for name, value in document.items() if name != "secret"}, document.get("secret", {})
        )

    def is_taken(self, reply: WireReply) -> bool:
        """Tell whether the gateway took an order."""
        return self.parse_reply(reply).is_success

    def commands(self, document: JsonObject) -> Mapping[str, WireRequest]:
        """Build a cancel and a query."""
        order_no = document["orderNo"]
        return {"cancel": self.build_cancel(order_no, "办错了"), "query": self.build_query(order_no)}

    def build_create(self, order: Mapping[str, Any], secret_opens_to: Mapping[str, Any]) -> WireRequest:
        """Build the request that places an order, sealed and signed anew at each call; its url is path only."""
        order_no = order.get("orderNo")
        if isinstance(order_no, str):
            self.expect(order_no)
        trace_id = self._token()
        secret = seal(self._app_key, secret_opens_to, iv=bytes.fromhex(self._token()))
        return self._build("orders/create", {**order, "secret": secret}, trace_id)

    def build_cancel(self, order_no: str, reason: str | None = None) -> WireRequest:
        """Build the request that takes an order back."""
        body = {"orderNo": order_no} if reason is None else {"orderNo": order_no, "reason": reason}
        return self._build("orders/cancel", body, self._token())

    def build_query(self, order_no: str) -> WireRequest:
        """Build the request that asks how an order stands."""
        return self._build("orders/query", {"orderNo": order_no}, self._token())

    def sign_request(self, path: str, body: bytes) -> WireRequest:
        """Sign any body anew for a path as on the request line; for what the build_ methods would not say."""
        nonce = self._token()
        timestamp = str(_to_ms(self.now()))
        signature = sign(
            self._app_secret, app_id=self.app_id, timestamp=timestamp, nonce=nonce, method="POST", path=path, body=body
        )
        values = (self.app_id, timestamp, nonce, signature)
        return WireRequest("POST", path, {**dict(zip(_SIGN_HEADERS, values, strict=True)), "Content-Type": _JSON}, body)

    def parse_reply(self, reply: WireReply) -> Answer:
        """Open the gateway's answer; UnfitError where it does not fit the contract."""
        if reply.status != 200:
            return Answer("", {}, reply.status)
        if not reply.headers.get("Content-Type", "").lower().startswith("application/json"):
            raise UnfitError("header Content-Type", "is not application/json")
        envelope = load_json_object(reply.body)
        check_members(envelope, _ENVELOPE_MEMBERS, where="answer")
        outcome = tuple(envelope[name] for name in ("C-API-Status", "C-Response-Code", "C-Response-Desc"))
        is_refusal = outcome[0] == "99" and outcome[1] in _REFUSAL_CODES and outcome[2] == "fail"
        if outcome != _SUCCESS and not is_refusal:
            raise UnfitError("answer", "says neither success nor a refusal of the contract")
        return Answer(
            outcome[1], load_json_object(envelope["C-Response-Body"].encode(), where="answer.C-Response-Body")
        )

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
        return self.parse_reply(WireReply(reply.status_code, reply.headers, reply.content))

    def send_new(self, count: int = 1, seed: int = 0, start: int = 0) -> dict[str, str]:
        """Send synthetic orders to the gateway, as the plan arranges them; orderNo → code of the last answer."""
        codes = {}
        with requests.Session() as session:
            for order, secret_opens_to in self.plan.arrange(new_orders(count, seed=seed, start=start)):
                codes[order["orderNo"]] = self.send(self.build_create(order, secret_opens_to), session=session).code
        return codes

    def open_secret(self, request: WireRequest) -> JsonObject:
        """Open the `secret` of a create that this portal built."""
        return open_secret(self._app_key, load_json_object(request.body)["txnBodyCom"]["secret"])

    def _build(self, call: str, body: Mapping[str, Any], trace_id: str) -> WireRequest:
        common = {"txnIttChnlId": self.channel, "txnIttChnlCgyCode": "BC01C101", "tStsTraceId": trace_id}
        return self.sign_request(f"{self.prefix}/{call}", dump_json({"txnCommCom": common, "txnBodyCom": body}))


_TAKEN: JsonObject = {"result_code": "200", "reason": "success"}
_HAS_IT: JsonObject = {"result_code": "409", "reason": "has it already"}
_ENVELOPE_MEMBERS = (
    one_of("C-API-Status", "00", "99"),
    text("C-Response-Code", r"\w{9,12}", "is not a code"),
    one_of("C-Response-Desc", "success", "fail"),
    text("C-Response-Body", r"(?s).*", "is not a JSON string"),
)


def _header(request: WireRequest, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise UnfitError(f"header {name}", "is missing", code="401")
    return value


def _leg_of(order: PortalOrder, number: str, state: str) -> int:
    if not number and state in {_ACCEPTED, _CANCELLED}:
        return 1
    for leg, known in order.waybills.items():
        if known == number:
            return leg
    raise UnfitError("body.logistic_code", "is not a waybill of this order")


def _from_ms(timestamp: str) -> datetime:
    return datetime.fromtimestamp(int(timestamp) / 1000, UTC)


def _to_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


_DOCUMENTS = (
    ("YYZZ", "营业执照"),
    ("SFZ", "居民身份证"),
    ("HKB", "户籍资料"),
    ("XKZ", "食品经营许可证"),
    ("SPJG", "审批结果"),
    ("ZM", "无犯罪记录证明"),
    ("QT", "告知书"),
)


def new_order(n: int, seed: int = 0) -> tuple[JsonObject, JsonObject]:
    """Make the n-th synthetic order of a seed, and what its `secret` opens to: `build_create(*new_order(n))`."""
    dice = Random(f"{seed}/{n}")
    sender, _ = party(dice)
    receiver, division = party(dice)
    code = uscc(dice)
    doc_type, doc_name = dice.choice(_DOCUMENTS)
    service = dice.choice("123")
    order: JsonObject = {
        "orderNo": f"YKB{seed % 10**6:06d}-{n:010d}",
        "projid": f"{code}1000131002000{n:012d}",
        "taskCode": f"{code}3500131002000"[:31],
        "taskName": f"{doc_name}办理",
        "regionCode": "500113",
        "deptName": "巴南区市场监管局",
        "deptCode": code,
        "serviceType": service,
        "serviceMode": dice.choice(("SMJ", "YLS", "JJB")),
        "payMode": dice.choice(("GOV", "PER", "COD")),
        "documents": [{"docType": doc_type, "docName": doc_name, "copies": dice.randint(1, 3)}],
        "submitTime": f"2023-12-01 {dice.randint(8, 17):02d}:{dice.randint(0, 59):02d}:{dice.randint(0, 59):02d}",
        "remark": "",
    }
    if service != "1":
        order["pickupTime"] = {"start": "2023-12-02 09:00:00", "end": "2023-12-02 11:00:00"}
    if dice.random() < 0.8:
        receiver |= {"idType": "111", "idNo": citizen_id(dice, division=division)}
    return order, {"sender": sender, "receiver": receiver}


def new_orders(number: int | None = None, *, seed: int = 0, start: int = 0) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Make `number` synthetic orders from the start-th on; without end where `number` is None."""
    places = count(start) if number is None else range(start, start + number)
    return (new_order(n, seed) for n in places)
