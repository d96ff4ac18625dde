"""The EMS open platform: takes orders, numbers them, plays what happens to them and pushes it (contract: ems)."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from random import Random
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from govpost.mocks._contract import Contract
from govpost.mocks._ems_label import build_label
from govpost.mocks._ems_life import COURSES, PICKUP_RESULT, PICKUP_STATUS, TRACE, Item, Mail, Notice, wire_time
from govpost.mocks._ems_seal import open_sealed, seal, seal_bytes
from govpost.mocks._synthetic import s10_number
from govpost.mocks.base import (
    CarrierMock,
    Exchange,
    JsonObject,
    Rejection,
    Story,
    UnfitError,
    dump_json,
    json_reply,
    load_json_object,
    utc_now,
)
from govpost.mocks.faults import FaultKind, FaultPlan
from govpost.schemas import OutcomeKind, Reason, ReceivedBy, Status, WireReply, WireRequest

__all__ = ["COURSES", "DEMO_AUTHORIZATION", "DEMO_SENDER_NO", "DEMO_SIGN_KEY", "EmsMock", "Notice"]

#: The keys of the contract's worked examples; the signKey is the published one.
DEMO_SENDER_NO = "1100000000000"
DEMO_AUTHORIZATION = "demo-authorization"
DEMO_SIGN_KEY = "TvaBgrhE46sft3nZlfe7xw=="

_DONE, _UNKNOWN, _REFUSED = "00000", "S00001", "B00001"
#: deliverCode and attemptDeliveryCode, by what they mean; 999 stands for "the rest".
_TAKEN_BY: dict[ReceivedBy, tuple[str, ...]] = {
    ReceivedBy.SELF: ("10",),
    ReceivedBy.OTHER: ("20", "999"),
    ReceivedBy.PICKUP_POINT: ("30", "50", "150", "181"),
    ReceivedBy.MAILROOM: ("60",),
    ReceivedBy.PROPERTY: ("70",),
    ReceivedBy.OFFICE: ("162",),
    ReceivedBy.UNATTENDED: ("161", "163", "164", "165", "166", "167", "168", "169"),
}
_NOT_DELIVERED_FOR: dict[Reason, tuple[str, ...]] = {
    Reason.BAD_ADDRESS: ("1", "2"),
    Reason.UNKNOWN_PERSON: ("3",),
    Reason.UNREACHABLE: ("4",),
    Reason.MOVED: ("5",),
    Reason.DEFERRED: ("6",),
    Reason.REFUSED: ("7",),
    Reason.WILL_COLLECT: ("8", "9"),
    Reason.OTHER: ("999",),
}
_FORM_TYPE = "application/x-www-form-urlencoded"
_SEALED = "logitcsInterface"
_VERSION = "V1.0.0"
_MAX_BATCH = 1_000
#: 国内标快, whose items have 13 digits; the others have numbers as UPU S10 has them.
_DOMESTIC = "11"
#: What a push's content is held to, by its method.
_PUSHED = {TRACE: "PushedTraces", PICKUP_STATUS: "PushedPickupStatuses", PICKUP_RESULT: "PushedPickupResults"}


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer before it has a number and a time."""

    ret_code: str
    ret_msg: str
    ret_body: str | None = None


class EmsMock(CarrierMock):
    """The platform. It answers calls, plays what happens to items and pushes it to a gateway.

    A push that was not answered 00000 is tried again at once, then kept in `untold` and sent ahead of the next.
    """

    key = "ems"
    statuses = MappingProxyType(
        {
            "203": Status.COLLECTED,
            **dict.fromkeys(("303", "305", "336", "345", "389", "954", "713"), Status.IN_TRANSIT),
            "702": Status.OUT_FOR_DELIVERY,
            **dict.fromkeys(("704", "748"), Status.DELIVERED),
            **dict.fromkeys(("749", "750", "751", "747", "756", "802", "803", "651"), Status.IN_TRANSIT),
            "705": Status.UNDELIVERED,
            **dict.fromkeys(("326", "405", "447", "482", "708", "741"), Status.RETURNING),
            "711": Status.RETURNED,
            "801": Status.CANCELLED,
            **dict.fromkeys(("987", "988"), Status.LOST),
            **dict.fromkeys(("207", "742", "743", "744")),
        }
    )
    results = MappingProxyType({_DONE: OutcomeKind.TAKEN, _UNKNOWN: OutcomeKind.UNKNOWN, _REFUSED: OutcomeKind.REFUSED})
    details = MappingProxyType(
        {
            **{("704", code): {"received_by": by} for by, codes in _TAKEN_BY.items() for code in codes},
            **{("705", code): {"reason": reason} for reason, codes in _NOT_DELIVERED_FOR.items() for code in codes},
            ("748", ""): {"received_by": ReceivedBy.PICKUP_POINT},
        }
    )
    stories = MappingProxyType(
        {
            "delivered": Story(("delivered",), Status.DELIVERED),
            "undelivered, then delivered": Story(("second_try",), Status.DELIVERED),
            "returned": Story(("returned",), Status.RETURNED),
            "collection revoked, then made": Story(("collected", "collection_revoked"), Status.DELIVERED),
            "delivery revoked, then made": Story(("delivered", "revoked"), Status.DELIVERED),
            "cancelled by the post": Story(("cancelled",), Status.CANCELLED),
            "lost": Story(("lost",), Status.LOST),
            "there and back": Story(("round_trip",), Status.DELIVERED, legs=2),
        }
    )

    def __init__(
        self,
        sender_no: str = DEMO_SENDER_NO,
        authorization: str = DEMO_AUTHORIZATION,
        sign_key: str = DEMO_SIGN_KEY,
        *,
        path: str = "/amp/api/open",
        section: str = "ems",
        gateway_url: str = "",
        tells_numbers: bool = True,
        numbers_each: int = 1,
        refuses_repeats: bool = False,
        tries: int = 3,
        timeout_s: float = 5.0,
        seed: int = 0,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        keep: int = 10_000,
    ) -> None:
        """Set the platform up.

        With `tells_numbers` false an order's numbers are not in the answer, and only pushes tell them;
        `numbers_each` is how many an order gets. With `refuses_repeats` a repeated order is answered B00001 and 重复.
        `section` is the gateway's section, which pushes go to; each is tried `tries` times.
        """
        super().__init__(plan=plan, now=now, keep=keep)
        self.sender_no = sender_no
        self.path = path
        self.section = section
        self.gateway_url = gateway_url.rstrip("/")
        self.tells_numbers = tells_numbers
        self.numbers_each = numbers_each
        self.refuses_repeats = refuses_repeats
        self.tries = tries
        self.timeout_s = timeout_s
        #: By the gateway's order id; a round trip's two items together.
        self.orders: dict[str, Mail] = {}
        #: By logisticsOrderNo.
        self.items: dict[str, Item] = {}
        #: logisticsOrderNo → how often it came again.
        self.repeats: Counter[str] = Counter()
        #: logisticsOrderNo → how often it came again with other content: faults of the gateway.
        self.clashes: Counter[str] = Counter()
        #: What the gateway has not taken yet.
        self.untold: list[Notice] = []
        #: Code of the gateway's answer ("" for none) → pushes.
        self.pushed: Counter[str] = Counter()
        self._authorization = authorization
        self._sign_key = sign_key
        self._contract = Contract(self.key)
        self._by_waybill: dict[str, Item] = {}
        self._is_early = False
        self._first_serial = Random(f"{seed}/ems").randrange(10**8)
        self._serials = 0
        self._serial_dice = Random(f"{seed}/serialNo")
        self._last_serial = ""
        self._is_signed = False
        #: apiCode → the schema that what was sealed must fit, and what is done with it.
        self._calls: dict[str, tuple[str, Callable[[Any], _Said]]] = {
            "020003": ("Orders", self._place),
            "020006": ("Cancel", self._cancel),
            "030001": ("Pickup", self._collect),
            "010004": ("LabelQuery", self._give_label),
            "040001": ("TraceQuery", self._give_traces),
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the platform that the first `ems` section of a gateway's settings talks to, or the demo one."""
        sections: Mapping[str, Mapping[str, Any]] = document.get("backends", {})
        found = (name for name, values in sections.items() if values.get("adapter", name) == cls.key)
        name = next(found, "")
        values = sections.get(name, {})
        known = {key: values[key] for key in ("sender_no", "authorization", "sign_key") if key in values}
        if name:
            known["section"] = name
        if "url" in values:
            known["path"] = urlsplit(values["url"]).path
        ingress = {"host": "127.0.0.1", "port": 8080, **document.get("ingress", {})}
        return cls(**{"gateway_url": f"http://{ingress['host']}:{ingress['port']}", **known, **options})

    def settings(self) -> JsonObject:
        """Give what an `ems` section must hold."""
        return {
            "url": self.open_url,
            "sender_no": self.sender_no,
            "authorization": self._authorization,
            "sign_key": self._sign_key,
        }

    @property
    def open_url(self) -> str:
        """What a gateway's settings call `url`."""
        return f"{self.url}{self.path}"

    # --- what it takes -----------------------------------------------------------------------------------------------

    def exchange(self, request: WireRequest) -> Exchange:
        """Answer a request, or let it go wrong as the plan wants it; a push ahead of the answer is its `first`."""
        with self._lock:
            exchange = super().exchange(request)
            is_early, self._is_early = self._is_early, False
        return replace(exchange, first=self.push) if is_early else exchange

    def reset(self) -> None:
        """Forget everything; numbers go on, so that none is given twice."""
        with self._lock:
            super().reset()
            for memory in (self.orders, self.items, self.repeats, self.clashes, self.pushed, self._by_waybill):
                memory.clear()
            self.untold.clear()

    def state(self) -> JsonObject:
        """Count orders, placements, repeats, pushes, and what was done twice or said differently."""
        with self._lock:
            return {
                "orders": len(self.orders),
                "placements": len(self.items),
                "placed_twice": sum(mail.placements > 1 for mail in self.orders.values()),
                "cancelled": sum(item.is_cancelled for item in self.items.values()),
                "repeats": self.repeats.total(),
                "clashes": self.clashes.total(),
                "pushes": self.pushed.total(),
                "pushes_taken": self.pushed[_DONE],
                "untold": len(self.untold),
            }

    def report(self) -> JsonObject:
        """List each order's placements and, of each item, its numbers, its traces' codes and what was asked for it."""
        with self._lock:
            return {
                mail.order_id: {
                    "placements": mail.placements,
                    "items": {
                        item.order_no: {
                            "waybill_nos": list(item.waybill_nos),
                            "op_codes": [trace["opCode"] for trace in item.traces],
                            "is_pickup_wanted": item.pickup is not None,
                            "is_cancelled": item.is_cancelled,
                        }
                        for item in mail.items
                    },
                }
                for mail in self.orders.values()
            }

    def placed(self) -> Mapping[str, int]:
        """Count by order id how often a leg of it would be mailed, the leg that would be most often."""
        with self._lock:
            return {mail.order_id: mail.placements for mail in self.orders.values()}

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """`play {order_id, course}`: play on and push it; `push`: push again what was not taken."""
        return {"play": self._play_and_push, "push": self.push}

    def say(self, code: str, request: WireRequest) -> WireReply:  # noqa: ARG002 - the answer echoes nothing
        """Answer a call with a retCode."""
        with self._lock:
            return self._answer(_Said(code, "说明"))

    def _respond(self, request: WireRequest) -> WireReply:
        if not request.path.endswith(self.path):
            raise UnfitError("path", f"does not end in {self.path}", code="404")
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="405")
        form = self._read_form(request)
        schema, act = self._calls[form["apiCode"]]
        content = open_sealed(self._sign_key, form[_SEALED], where=f"form.{_SEALED}", code=_REFUSED)
        self._contract.check(schema, content, where="content", code=_REFUSED)
        said = act(content)
        if self.plan.draw_own(FaultKind.UNSURE, form["apiCode"]):
            said = _Said(_UNKNOWN, "系统异常")
        return self._answer(said)

    def _refuse(self, error: UnfitError) -> WireReply:
        if error.code != _REFUSED:
            return json_reply(int(error.code), {"where": error.where, "reason": error.reason})
        return self._answer(_Said(_REFUSED, f"{error.where}: {error.reason}"[:200]))

    def _answer(self, said: _Said) -> WireReply:
        answer = {
            "serialNo": self._new_serial(),
            "retCode": said.ret_code,
            "retMsg": said.ret_msg,
            "retBody": said.ret_body,
            "retDate": wire_time(self.now()),
            "success": said.ret_code == _DONE,
        }
        self._contract.check_own("Answer", answer)
        return json_reply(200, answer)

    def _read_form(self, request: WireRequest) -> dict[str, str]:
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
            raise UnfitError("header Content-Type", f"is not {_FORM_TYPE}", code=_REFUSED)
        try:
            pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        except ValueError:
            raise UnfitError("form", "is not a form, percent-encoded", code=_REFUSED) from None
        form = dict(pairs)
        if len(form) != len(pairs):
            raise UnfitError("form", "has a field twice", code=_REFUSED)
        if " " in form.get(_SEALED, ""):
            raise UnfitError(f"form.{_SEALED}", "has a + that is not percent-encoded", code=_REFUSED)
        self._contract.check("Form", form, where="form", code=_REFUSED)
        for name, value in {"senderNo": self.sender_no, "authorization": self._authorization}.items():
            if form[name] != value:
                raise UnfitError(f"form.{name}", "is not the customer's", code=_REFUSED)
        _check_time(form["timeStamp"], where="form.timeStamp")
        return form

    def _place(self, orders: list[JsonObject]) -> _Said:
        wanted = [Item(order["logisticsOrderNo"], order, ()) for order in orders]
        for place, item in enumerate(wanted):
            self._check_order(item, where=f"content[{place}]")
        if len({item.order_no for item in wanted}) != len(wanted):
            raise UnfitError("content", "has a logisticsOrderNo twice", code=_REFUSED)
        repeated = [item.order_no for item in wanted if item.order_no in self.items]
        self.repeats.update(repeated)
        fresh = [self._take(item) for item in wanted if item.order_no not in self.items]
        self._tell_early(fresh)
        if repeated and self.refuses_repeats:
            return _Said(_REFUSED, "物流订单号重复")
        placed = [self._placed_words(self.items[item.order_no]) for item in wanted]
        return self._done("Placed", placed if len(placed) > 1 else placed[0])

    def _check_order(self, item: Item, *, where: str) -> None:
        """Hold an order to what the schema cannot say."""
        _check_time(item.content["createdTime"], where=f"{where}.createdTime")
        if item.content.get("returnRelationNo") != item.counterpart:
            raise UnfitError(f"{where}.returnRelationNo", "does not name the other leg", code=_REFUSED)
        before = self.items.get(item.order_no)
        if before is not None and dump_json(before.content) != dump_json(item.content):
            self.clashes[item.order_no] += 1
            raise UnfitError(f"{where}.logisticsOrderNo", "was used before with other content", code=_REFUSED)

    def _take(self, item: Item) -> Item:
        is_domestic = item.content["bizProductNo"] == _DOMESTIC
        item.waybill_nos = tuple(self._next_number(is_domestic=is_domestic) for _ in range(self.numbers_each))
        self.items[item.order_no] = item
        self._by_waybill.update(dict.fromkeys(item.waybill_nos, item))
        self.orders.setdefault(item.order_id, Mail(item.order_id)).items.append(item)
        return item

    def _placed_words(self, item: Item) -> JsonObject:
        numbers = {"waybillNo": ",".join(item.waybill_nos)} if self.tells_numbers else {}
        return {"logisticsOrderNo": item.order_no, **numbers, "routeCode": "400013-A1"}

    def _tell_early(self, items: list[Item]) -> None:
        for order_id in dict.fromkeys(item.order_id for item in items):
            if self.gateway_url and self.plan.draw_own(FaultKind.EARLY_PUSH, order_id):
                self.untold += self.play(order_id, "collected")
                self._is_early = True

    def _cancel(self, content: JsonObject) -> _Said:
        item = self._find_order(content)
        if item.is_collected and not item.is_cancelled:
            return _Said(_REFUSED, "邮件已收寄,不能取消")
        item.is_cancelled = True
        return self._done("Cancelled", {"logisticsOrderNo": item.order_no})

    def _collect(self, content: JsonObject) -> _Said:
        item = self._find_order(content)
        if item.is_cancelled:
            return _Said(_REFUSED, "订单已取消")
        _check_window(content)
        # The first may have come before its number was known.
        asked = {name: value for name, value in content.items() if name != "waybillNo"}
        if item.pickup not in (None, asked):
            raise UnfitError("content", "asks for another pickup than before", code=_REFUSED)
        item.pickup = asked
        return self._done("PickedUp", {"logisticsOrderNo": item.order_no})

    def _give_label(self, content: JsonObject) -> _Said:
        self._find_number(content)
        label = base64.b64encode(build_label(content["waybillNo"], content["type"])).decode()
        self._contract.check_own("Label", label)
        return _Said(_DONE, "成功", label)

    def _give_traces(self, content: JsonObject) -> _Said:
        return self._done("Traces", {"responseItems": self._find_number(content).traces})

    def _find_order(self, content: JsonObject) -> Item:
        item = self.items.get(content["logisticsOrderNo"])
        if item is None:
            raise UnfitError("content.logisticsOrderNo", "is an order that was never placed", code=_REFUSED)
        if content.get("waybillNo", item.waybill_nos[0]) not in item.waybill_nos:
            raise UnfitError("content.waybillNo", "is not the order's", code=_REFUSED)
        return item

    def _find_number(self, content: JsonObject) -> Item:
        item = self._by_waybill.get(content["waybillNo"])
        if item is None:
            raise UnfitError("content.waybillNo", "was never given out", code=_REFUSED)
        return item

    def _next_number(self, *, is_domestic: bool) -> str:
        self._serials += 1
        number = s10_number("EM", self._first_serial + self._serials)
        return f"11{number[2:11]}00" if is_domestic else number

    def _new_serial(self) -> str:
        return f"{self._serial_dice.getrandbits(128):032X}"

    def _done(self, schema: str, document: Any) -> _Said:
        self._contract.check_own(schema, document)
        return _Said(_DONE, "成功", dump_json(document).decode())

    # --- what it tells -----------------------------------------------------------------------------------------------

    def play(self, order_id: str, course: str = "delivered") -> list[Notice]:
        """Let the next things happen to an order's items, and return what there is to tell.

        Goes on where an earlier play stopped: steps that both courses begin with happen once. Raises KeyError for an
        order that was never placed or an unknown course, ValueError for a cancelled item or a leg that is not there.
        """
        with self._lock:
            return self.orders[order_id].play(course, now=self.now())

    def happened(self, order_id: str) -> list[tuple[int, Status | None]]:
        """List the operations on an order's items, but for those that the contract does not know."""
        with self._lock:
            played = self.orders[order_id].played if order_id in self.orders else []
            return [(step.leg, self.statuses[step.op_code]) for step in played if step.op_code in self.statuses]

    def tell(self, order_id: str, code: str, detail: str = "") -> WireRequest:
        """Let an operation happen to leg 1's item, and build the push of its trace; KeyError for no order."""
        with self._lock:
            notice = self.orders[order_id].happen(code, detail, now=self.now())
            return self._request(self._build_form(TRACE, self._seal_push(notice.content)))

    def wrap(self, content: bytes) -> WireRequest:
        """Seal any bytes as traces that are pushed."""
        with self._lock:
            return self._request(self._build_form(TRACE, seal_bytes(self._sign_key, content)))

    def is_taken(self, reply: WireReply) -> bool:
        """Tell whether the gateway took the newest push; UnfitError for an answer that does not fit."""
        return self._read_answer(reply, self._last_serial) == _DONE

    def push(self, notices: Iterable[Notice] = (), *, most: int = _MAX_BATCH) -> list[tuple[str, str]]:
        """Push to the gateway, some twice or out of order where the plan says so; one (identity, code) each.

        What was not taken before goes first. At most `most` of one method go in one push. The code is "" where there
        was no answer, or none that could be read.
        """
        with self._lock:
            due, self.untold = [*self.untold, *self.plan.arrange(notices)], []
        told = []
        with requests.Session() as session:
            for batch in _batches(due, most):
                code = self._push_batch(session, batch)
                told += [(notice.identity, code) for notice in batch]
        return told

    def _play_and_push(self, order_id: str, course: str = "delivered") -> list[tuple[str, str]]:
        return self.push(self.play(order_id, course))

    def _push_batch(self, session: requests.Session, batch: Sequence[Notice]) -> str:
        with self._lock:
            form = self._build_push(batch)
        for _ in range(self.tries):
            code = self._push_form(session, form)
            with self._lock:
                self.pushed[code] += 1
            if code == _DONE:
                return code
        with self._lock:
            self.untold += batch
        return code

    def _build_push(self, batch: Sequence[Notice]) -> dict[str, str]:
        method, contents = batch[0].method, self._contents(batch)
        content = contents if len(contents) > 1 else contents[0]
        self._contract.check_own(_PUSHED[method], content)
        form = self._build_form(method, self._seal_push(content), batch=batch)
        self._contract.check_own("PushForm", form)
        return form

    def _seal_push(self, content: Any) -> str:
        self._is_signed = not self._is_signed
        return seal(self._sign_key, content, is_signed=self._is_signed)

    def _build_form(self, method: str, sealed: str, *, batch: Sequence[Notice] = ()) -> dict[str, str]:
        if not (self._last_serial and self.plan.draw_own(FaultKind.REPEATED_SERIAL, batch)):
            self._last_serial = self._new_serial()
        return {
            "method": method,
            "senderNo": self.sender_no,
            "msgType": "0",
            "timeStamp": wire_time(self.now()),
            "version": _VERSION,
            "serialNo": self._last_serial,
            _SEALED: sealed,
        }

    def _request(self, form: Mapping[str, str]) -> WireRequest:
        path = f"/backends/{self.section}/push"
        return WireRequest("POST", path, {"Content-Type": _FORM_TYPE}, urlencode(form).encode())

    def _contents(self, batch: Sequence[Notice]) -> list[JsonObject]:
        contents = [notice.content for notice in batch]
        # Only what the gateway knows by its number can be told without its order.
        can_be_nameless = self.tells_numbers and batch[0].method == TRACE
        if not (can_be_nameless and self.plan.draw_own(FaultKind.NAMELESS, batch)):
            return contents
        return [{name: value for name, value in each.items() if name != "orderNo"} for each in contents]

    def _push_form(self, session: requests.Session, form: Mapping[str, str]) -> str:
        """Push once; the code of the answer, "" for none."""
        request = self._request(form)
        try:
            reply = session.post(
                self.gateway_url + request.url, request.body, headers=dict(request.headers), timeout=self.timeout_s
            )
        except requests.RequestException:
            return ""
        try:
            return self._read_answer(WireReply(reply.status_code, reply.headers, reply.content), form["serialNo"])
        except UnfitError as error:
            with self._lock:
                self.rejected.append(Rejection(request, error.where, error.reason, error.code))
            return ""

    def _read_answer(self, reply: WireReply, serial_no: str) -> str:
        """Read the code of the gateway's answer to a push; "" where it is plain HTTP."""
        # 408, 413, 429, 431 and 503 come without an envelope.
        if reply.status != requests.codes.ok:
            return ""
        answer = load_json_object(reply.body, where="answer")
        self._contract.check("PushAnswer", answer, where="answer")
        for name, said in {"serialNo": serial_no, "senderNo": self.sender_no}.items():
            if answer[name] != said:
                raise UnfitError(f"answer.{name}", "is not the push's")
        code: str = answer["code"]
        return code


def _check_time(value: str, *, where: str) -> None:
    """Refuse what has the form of a time and is none, such as the 31st of June."""
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - only looked at
    except ValueError:
        raise UnfitError(where, "is no time", code=_REFUSED) from None


def _check_window(content: JsonObject) -> None:
    names = [name for name in ("pickupPreBeginTime", "pickupPreEndTime") if name in content]
    for name in names:
        _check_time(content[name], where=f"content.{name}")
    if names and content[names[0]] >= content[names[1]]:
        raise UnfitError(f"content.{names[1]}", "is not after pickupPreBeginTime", code=_REFUSED)


def _batches(notices: Iterable[Notice], most: int) -> Iterator[Sequence[Notice]]:
    """Cut what is to be told into pushes, in its order: one method each, at most `most`."""
    for _, group in groupby(notices, key=attrgetter("method")):
        same = list(group)
        yield from (same[at : at + most] for at in range(0, len(same), most))
