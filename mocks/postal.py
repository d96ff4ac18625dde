"""The post's own order system: takes orders over the webhook wire, numbers them, plays what happens to them."""

import base64
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Self

import requests

from govpost.mocks._synthetic import s10_number
from govpost.mocks.base import (
    CarrierMock,
    JsonObject,
    Member,
    Story,
    UnfitError,
    check_members,
    dump_json,
    is_object,
    json_reply,
    load_json_object,
    text,
    utc_now,
)
from govpost.mocks.faults import FaultPlan
from govpost.schemas import OutcomeKind, Status, WireReply, WireRequest

__all__ = ["COURSES", "DEMO_SECRET", "Mail", "PostalMock", "Step", "sign_webhook"]

DEMO_SECRET = "demo-secret-webhook-do-not-use"  # noqa: S105 - says itself that it is none

_CLOCK_TOLERANCE = timedelta(seconds=300)
_SINGLE = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_MAX_BATCH = 100
#: What the gateway answers an event that it has now, or had before.
_TAKEN = frozenset({201, 200})
_TYPE = "cn.govpost.order."
_KEY_PREFIX = "whsec_"
#: An item's life begins this long before the post tells of it, so that none of it lies in the future.
_HEAD_START = timedelta(minutes=5)
_STEP = timedelta(seconds=1)

_NOT_EMPTY = r"(?s).+"
_RFC3339 = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
_UNIX_SECONDS = re.compile(r"[0-9]{1,11}")
_EVENT_MEMBERS = (
    text("specversion", r"1\.0", "is not 1.0"),
    text("id", _NOT_EMPTY, "is not a text"),
    text("source", r"/govpost/.+", "is not /govpost/<portal>"),
    text("type", rf"{re.escape(_TYPE)}(placed|amended|cancelled)", f"is none of {_TYPE}placed, amended, cancelled"),
    text("subject", _NOT_EMPTY, "is not a text"),
    text("time", _RFC3339, "is not a time with an offset (RFC 3339)"),
    text("datacontenttype", "application/json", "is not application/json", is_required=False),
    is_object("data"),
)
_ORDER_MEMBERS = (
    text("order_id", _NOT_EMPTY, "is not a text"),
    text("portal", _NOT_EMPTY, "is not a text"),
    text("portal_ref", _NOT_EMPTY, "is not a text"),
    is_object("sender"),
    is_object("recipient"),
    Member("items", "is not a list with items", lambda value: isinstance(value, list) and bool(value)),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One event of an item's life, before it has a number and a time."""

    status: str
    members: Mapping[str, Any] = field(default_factory=dict)
    leg: int = 1
    #: Takes back the event before it; has no status then.
    is_revoke: bool = False


def _office(name: str) -> dict[str, JsonObject]:
    return {"office": {"code": "40001300", "name": name, "city": "重庆市"}}


_COLLECTED = Step("collected", _office("巴南区李家沱揽投部"))
_IN_TRANSIT = Step("in_transit", _office("重庆邮件处理中心"))
_OUT = Step("out_for_delivery", {**_office("渝中区解放碑揽投部"), "note": "投递员 赵某某 13900000000"})
_DELIVERED = Step(
    "delivered",
    {**_office("渝中区解放碑揽投部"), "received_by": "family", "signer": {"name": "钱某某", "relation": "配偶"}},
)
#: A picture of a single pixel.
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_PROOF = {"kind": "signature", "media_type": "image/png", "data": _PNG}
#: An adult's number, synthetic.
_SIGNER_ID = {"id_type": "111", "id_no": "500108196905244643"}
_PROVEN = Step(
    "delivered",
    {**_DELIVERED.members, "signer": {**_DELIVERED.members["signer"], **_SIGNER_ID}, "proof": [_PROOF]},
)
#: Who signs for an organization, and as what.
_ITS_STAFF, _ITS_ROOM = "mailroom", "收发室"
_UNDELIVERED = Step("undelivered", {**_office("渝中区解放碑揽投部"), "reason": "unreachable"})
_REFUSED = Step("undelivered", {**_office("渝中区解放碑揽投部"), "reason": "refused"})
_BACK = (Step("returning", _office("重庆邮件处理中心")), Step("returned", _office("巴南区李家沱揽投部")))
_REVOKE = Step("", is_revoke=True)
_ON_THE_WAY = (_COLLECTED, _IN_TRANSIT, _OUT)
_WHOLE_WAY = (*_ON_THE_WAY, _DELIVERED)

#: What can become of an item; it ends in the status of the last step. "revoked": a delivery taken back, then redone.
COURSES: dict[str, tuple[Step, ...]] = {
    "collected": (_COLLECTED,),
    "in_transit": (_COLLECTED, _IN_TRANSIT),
    "delivered": _WHOLE_WAY,
    "proven": (*_ON_THE_WAY, _PROVEN),
    "undelivered": (*_ON_THE_WAY, _UNDELIVERED),
    "second_try": (*_ON_THE_WAY, _UNDELIVERED, _OUT, _DELIVERED),
    "returned": (*_ON_THE_WAY, _UNDELIVERED, *_BACK),
    "refused": (*_ON_THE_WAY, _REFUSED, *_BACK),
    "pickup_point": (*_ON_THE_WAY, Step("delivered", {**_office("渝中区解放碑揽投部"), "received_by": "pickup_point"})),
    "revoked": (*_WHOLE_WAY, _REVOKE, _UNDELIVERED, _OUT, _DELIVERED),
    "proof_revoked": (*_ON_THE_WAY, _PROVEN, _REVOKE, _UNDELIVERED, _OUT, _PROVEN),
    "lost": (_COLLECTED, _IN_TRANSIT, Step("lost")),
    "cancelled": (Step("cancelled"),),
    "round_trip": (*_WHOLE_WAY, *(Step(step.status, step.members, leg=2) for step in _WHOLE_WAY)),
}


@dataclass(slots=True)
class Mail:
    """What the post knows of an order."""

    order_id: str
    portal: str
    portal_ref: str
    #: The normalized order, as it came last.
    data: JsonObject = field(repr=False)
    #: Leg → number.
    waybill_nos: dict[int, str]
    is_cancelled: bool = False
    amendments: int = 0
    #: The steps played so far, with their events, oldest first.
    played: list[tuple[Step, JsonObject]] = field(default_factory=list, repr=False)

    @property
    def is_collected(self) -> bool:
        """Whether it is too late to amend or cancel."""
        return bool(self.played)

    @property
    def events(self) -> list[JsonObject]:
        """All events played so far, oldest first."""
        return [event for _, event in self.played]


@dataclass(frozen=True, slots=True)
class _Answered:
    """What an event was answered, and what it said, so that a repeat can be told from an impostor."""

    content: bytes
    status: int
    numbers: JsonObject


class PostalMock(CarrierMock):
    """The backend. It answers placements, amendments and cancellations, plays events and sends them to a gateway."""

    key = "postal"
    stands_for = "webhook"
    names_signers = True
    stories = MappingProxyType(
        {
            "delivered": Story(("delivered",), Status.DELIVERED),
            "undelivered, then delivered": Story(("second_try",), Status.DELIVERED),
            "returned": Story(("returned",), Status.RETURNED),
            "refused, then returned": Story(("refused",), Status.RETURNED),
            "delivered with a signature": Story(("proven",), Status.DELIVERED),
            "delivery revoked, then made": Story(("proven", "proof_revoked"), Status.DELIVERED),
            "cancelled by the post": Story(("cancelled",), Status.CANCELLED),
            "lost": Story(("lost",), Status.LOST),
            "there and back": Story(("round_trip",), Status.DELIVERED, legs=2),
        }
    )
    #: HTTP's statuses.
    results = MappingProxyType(
        {
            **dict.fromkeys(("200", "201", "202", "204", "409"), OutcomeKind.TAKEN),
            **dict.fromkeys(("401", "403"), OutcomeKind.AUTH),
            **dict.fromkeys(("301", "302", "307", "308", "404", "405", "410"), OutcomeKind.MISCONFIGURED),
            **dict.fromkeys(("400", "413", "422"), OutcomeKind.REFUSED),
            **dict.fromkeys(("408", "425", "429"), OutcomeKind.BUSY),
            **dict.fromkeys(("500", "502", "503", "504"), OutcomeKind.UNKNOWN),
        }
    )

    def __init__(
        self,
        secret: str = DEMO_SECRET,
        *,
        path: str = "/orders",
        repeat_status: int = 409,
        tells_numbers: bool = True,
        gateway_url: str = "",
        api_token: str = "",
        seed: int = 0,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        keep: int = 10_000,
    ) -> None:
        """Set the post up.

        `repeat_status` is what a repeated event is answered, 409 or 200. With `tells_numbers` false the waybill number
        is not in the answer, and only events tell it.
        """
        super().__init__(plan=plan, now=now, keep=keep)
        self.path = path
        self.repeat_status = repeat_status
        self.tells_numbers = tells_numbers
        self.gateway_url = gateway_url.rstrip("/")
        self.api_token = api_token
        self.untold: list[JsonObject] = []
        self.orders: dict[str, Mail] = {}
        #: order_id → how many distinct placements (CloudEvents ids) asked to mail it. Over 1: mailed twice.
        self.placements: Counter[str] = Counter()
        #: CloudEvents id → how often it came again.
        self.repeats: Counter[str] = Counter()
        self._secret = secret
        self._key = _key_of(secret)
        self._first_serial = Random(f"{seed}/serials").randrange(10**8)
        self._serials = 0
        self._answered: dict[str, _Answered] = {}
        self._verbs: dict[str, Callable[[JsonObject], tuple[int, JsonObject]]] = {
            "placed": self._place,
            "amended": self._amend,
            "cancelled": self._cancel,
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the backend that the first `webhook` section of a gateway's settings talks to, or the demo one."""
        backends = document.get("backends", {})
        found: Iterator[dict[str, Any]] = (
            section for name, section in backends.items() if section.get("adapter", name) == "webhook"
        )
        secret = next(found, {}).get("secret", DEMO_SECRET)
        ingress = {"host": "127.0.0.1", "port": 8080, **document.get("ingress", {})}
        known = {
            "gateway_url": f"http://{ingress['host']}:{ingress['port']}",
            "api_token": next(iter(document.get("api", {}).get("tokens", ())), ""),
        }
        return cls(secret, **{**known, **options})

    def settings(self) -> JsonObject:
        """Give what a `webhook` section must hold."""
        return {"url": self.orders_url, "secret": self._secret}

    @property
    def orders_url(self) -> str:
        """What a gateway's settings call `url`."""
        return f"{self.url}{self.path}"

    # --- what the post takes -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything; numbers go on, so that none is given twice."""
        with self._lock:
            super().reset()
            for memory in (self.orders, self.placements, self.repeats, self._answered):
                memory.clear()
            self.untold.clear()

    def state(self) -> JsonObject:
        """Count orders, placements, repeats and what was done twice."""
        with self._lock:
            return {
                "orders": len(self.orders),
                "placements": self.placements.total(),
                "placed_twice": sum(times > 1 for times in self.placements.values()),
                "cancelled": sum(mail.is_cancelled for mail in self.orders.values()),
                "repeats": self.repeats.total(),
            }

    def report(self) -> JsonObject:
        """List each order's portal_ref, placements, numbers, events and whether it was cancelled."""
        with self._lock:
            return {
                mail.order_id: {
                    "portal": mail.portal,
                    "portal_ref": mail.portal_ref,
                    "placements": self.placements[mail.order_id],
                    "waybill_nos": {str(leg): number for leg, number in mail.waybill_nos.items()},
                    "amendments": mail.amendments,
                    "is_cancelled": mail.is_cancelled,
                    "events": [event["event_id"] for event in mail.events],
                }
                for mail in self.orders.values()
            }

    def placed(self) -> Mapping[str, int]:
        """Count placements by order id."""
        with self._lock:
            return dict(self.placements)

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """`play {order_id, course}`: play on and send the events to the gateway."""
        return {"play": self._play_and_post}

    def say(self, code: str, request: WireRequest) -> WireReply:  # noqa: ARG002 - the answer echoes nothing
        """Answer with a status of HTTP."""
        return WireReply(int(code))

    def _respond(self, request: WireRequest) -> WireReply:
        if request.path != self.path:
            raise UnfitError("path", f"is not {self.path}", code="404")
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="405")
        message_id = self._check_signature(request)
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type == _SINGLE:
            return self._take_one(request, message_id)
        if content_type == _BATCH:
            return self._take_batch(request)
        raise UnfitError("header Content-Type", f"is neither {_SINGLE} nor {_BATCH}")

    def _check_signature(self, request: WireRequest) -> str:
        message_id, timestamp, signatures = (
            _header(request, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        )
        expected = _signature(self._key, message_id, timestamp, request.body)
        if not any(hmac.compare_digest(each.encode(), expected.encode()) for each in signatures.split(" ")):
            raise UnfitError("header webhook-signature", "is not the HMAC-SHA256 of id, timestamp and body", code="401")
        is_unix = _UNIX_SECONDS.fullmatch(timestamp)
        if not is_unix or abs(datetime.fromtimestamp(int(timestamp), UTC) - self.now()) > _CLOCK_TOLERANCE:
            raise UnfitError("header webhook-timestamp", "is not Unix seconds within 300 s of now", code="401")
        return message_id

    def _take_one(self, request: WireRequest, message_id: str) -> WireReply:
        event = load_json_object(request.body)
        if event.get("id") != message_id:
            raise UnfitError("header webhook-id", "is not the event's id")
        if request.headers.get("Idempotency-Key", "") != message_id:
            raise UnfitError("header Idempotency-Key", "is not the event's id")
        status, members = self._take(event, request.body, where="body")
        return json_reply(status, members)

    def _take_batch(self, request: WireRequest) -> WireReply:
        if "Idempotency-Key" in request.headers:
            raise UnfitError("header Idempotency-Key", "does not belong to a batch")
        try:
            events = json.loads(request.body)
        except ValueError:
            raise UnfitError("body", "is not JSON in UTF-8") from None
        if not isinstance(events, list) or not 1 <= len(events) <= _MAX_BATCH:
            raise UnfitError("body", f"is not a list of 1 to {_MAX_BATCH} events")
        return json_reply(200, [self._take_of_batch(event, place) for place, event in enumerate(events)])

    def _take_of_batch(self, event: Any, place: int) -> JsonObject:
        if not isinstance(event, dict):
            raise UnfitError(f"body[{place}]", "is not an event")
        try:
            status, members = self._take(event, dump_json(event), where=f"body[{place}]")
        except UnfitError as error:
            status, members = int(error.code), {"reason": str(error)}
        return {"id": event.get("id"), "status": status, **members}

    def _take(self, event: JsonObject, content: bytes, *, where: str) -> tuple[int, JsonObject]:
        # CloudEvents lets anybody add attributes; the order is open too.
        check_members(event, _EVENT_MEMBERS, where=where, is_open=True)
        check_members(event["data"], _ORDER_MEMBERS, where=f"{where}.data", is_open=True)
        if event["subject"] != event["data"]["order_id"]:
            raise UnfitError(f"{where}.subject", "is not the order's id")
        if event["source"] != f"/govpost/{event['data']['portal']}":
            raise UnfitError(f"{where}.source", "is not the order's portal")
        before = self._answered.get(event["id"])
        if before is not None:
            return self._answer_again(event["id"], before, content, where=where)
        status, members = self._verbs[event["type"].removeprefix(_TYPE)](event["data"])
        self._answered[event["id"]] = _Answered(content, status, members)
        return status, members

    def _answer_again(self, event_id: str, before: _Answered, content: bytes, *, where: str) -> tuple[int, JsonObject]:
        if before.content != content:
            raise UnfitError(f"{where}.id", "was used before with other content", code="422")
        self.repeats[event_id] += 1
        has_it = before.status == 200
        return (self.repeat_status if has_it else before.status), before.numbers

    def _place(self, order: JsonObject) -> tuple[int, JsonObject]:
        order_id = order["order_id"]
        self.placements[order_id] += 1
        if order_id not in self.orders:
            numbers = {1: self._next_number("EA")}
            if order.get("direction") == "round_trip":
                numbers[2] = self._next_number("EB")
            self.orders[order_id] = Mail(order_id, order["portal"], order["portal_ref"], order, numbers)
        return 200, self._numbers(self.orders[order_id])

    def _amend(self, order: JsonObject) -> tuple[int, JsonObject]:
        mail = self._find(order)
        if mail.is_collected or mail.is_cancelled:
            return 422, {"reason": "too late to amend"}
        mail.data = order
        mail.amendments += 1
        return 200, self._numbers(mail)

    def _cancel(self, order: JsonObject) -> tuple[int, JsonObject]:
        mail = self._find(order)
        if mail.is_collected and not mail.is_cancelled:
            return 422, {"reason": "too late to cancel"}
        mail.is_cancelled = True
        return 200, {}

    def _find(self, order: JsonObject) -> Mail:
        mail = self.orders.get(order["order_id"])
        if mail is None:
            raise UnfitError("body.data.order_id", "is an order that was never placed", code="422")
        return mail

    def _numbers(self, mail: Mail) -> JsonObject:
        if not self.tells_numbers:
            return {}
        names = {1: "waybill_no", 2: "return_waybill_no"}
        return {names[leg]: number for leg, number in mail.waybill_nos.items()}

    def _next_number(self, service: str) -> str:
        self._serials += 1
        return s10_number(service, self._first_serial + self._serials)

    # --- what the post tells -----------------------------------------------------------------------------------------

    def play(self, order_id: str, course: str = "delivered") -> list[JsonObject]:
        """Let the next things happen to an item, and return their events in the list form (with `order_id`).

        Goes on where an earlier play stopped: steps that both courses begin with happen once. Raises KeyError for an
        order that was never placed or an unknown course, ValueError for one that was cancelled.
        """
        with self._lock:
            mail = self.orders[order_id]
            if mail.is_cancelled:
                raise ValueError("a cancelled order is not mailed")
            return [self._happen(mail, step) for step in _rest(COURSES[course], [step for step, _ in mail.played])]

    def happened(self, order_id: str) -> list[tuple[int, Status | None]]:
        """List the steps played."""
        with self._lock:
            steps = [step for step, _ in self.orders[order_id].played] if order_id in self.orders else []
            return [(step.leg, None if step.is_revoke else Status(step.status)) for step in steps]

    def push(self, told: Iterable[JsonObject] = (), /) -> list[tuple[str, int]]:
        """Send events as one list, those first that were not taken before. Raises what requests raises."""
        self.untold = [*self.untold, *told]
        if not self.untold:
            return []
        answers = self.post_events(self.untold, as_list=True)
        taken = {event_id for event_id, status in answers if status in _TAKEN}
        self.untold = [event for event in self.untold if event["event_id"] not in taken]
        return answers

    def post_events(
        self,
        events: Iterable[JsonObject],
        *,
        as_list: bool = False,
        session: requests.Session | None = None,
        timeout_s: float = 30.0,
    ) -> list[tuple[str, int]]:
        """Send events to `gateway_url`, some twice or out of order where the plan says so; one (event_id, status) each.

        One request an event, or one for all with `as_list`. Raises what requests raises; sending again does no harm.
        """
        arranged = self.plan.arrange(events)
        own_session = session or requests.Session()
        try:
            if as_list:
                return self._post_list(arranged, own_session, timeout_s)
            return [self._post_one(event, own_session, timeout_s) for event in arranged]
        finally:
            if session is None:
                own_session.close()

    def _play_and_post(self, order_id: str, course: str = "delivered") -> list[tuple[str, int]]:
        return self.post_events(self.play(order_id, course))

    def _happen(self, mail: Mail, step: Step) -> JsonObject:
        events = mail.events
        event: JsonObject = {"order_id": mail.order_id, "event_id": f"{mail.order_id}-{len(events) + 1}"}
        if step.is_revoke:
            event["revokes"] = events[-1]["event_id"]
        else:
            event["status"] = step.status
        latest = datetime.fromisoformat(events[-1]["occurred_at"]) if events else self.now() - _HEAD_START
        event |= {"occurred_at": (latest + _STEP).isoformat(timespec="seconds"), **_members(step, mail.data)}
        if step.leg != 1:
            event["leg"] = step.leg
        if step.leg in mail.waybill_nos:
            event["waybill_no"] = mail.waybill_nos[step.leg]
        mail.played.append((step, event))
        mail.is_cancelled = step.status == "cancelled"
        return event

    def _post_one(self, event: JsonObject, session: requests.Session, timeout_s: float) -> tuple[str, int]:
        body = {name: value for name, value in event.items() if name != "order_id"}
        reply = self._post(f"/orders/{event['order_id']}/events", body, session, timeout_s)
        return event["event_id"], reply.status_code

    def _post_list(
        self, events: list[JsonObject], session: requests.Session, timeout_s: float
    ) -> list[tuple[str, int]]:
        reply = self._post("/events", events, session, timeout_s)
        if reply.status_code != requests.codes.ok:
            return [(event["event_id"], reply.status_code) for event in events]
        return [(item["event_id"], item["status"]) for item in reply.json()]

    def _post(self, path: str, document: Any, session: requests.Session, timeout_s: float) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.api_token}", "Content-Type": "application/json"}
        return session.post(
            f"{self.gateway_url}/api/v1{path}", data=dump_json(document), headers=headers, timeout=timeout_s
        )


def sign_webhook(secret: str, *, message_id: str, timestamp: str, body: bytes) -> str:
    """Compute webhook-signature (Standard Webhooks, `v1`)."""
    return _signature(_key_of(secret), message_id, timestamp, body)


def _key_of(secret: str) -> bytes:
    if secret.startswith(_KEY_PREFIX):
        return base64.b64decode(secret.removeprefix(_KEY_PREFIX))
    return secret.encode()


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _header(request: WireRequest, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise UnfitError(f"header {name}", "is missing", code="401")
    return value


def _members(step: Step, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say who signs: of an organization not the family."""
    is_organization = order.get("recipient", {}).get("kind") == "organization"
    if not is_organization or step.members.get("received_by") != "family":
        return step.members
    signer = {**step.members["signer"], "relation": _ITS_ROOM}
    return {**step.members, "received_by": _ITS_STAFF, "signer": signer}


def _rest(course: tuple[Step, ...], played: list[Step]) -> tuple[Step, ...]:
    shared = 0
    while shared < min(len(course), len(played)) and course[shared] == played[shared]:
        shared += 1
    return course[shared:]
