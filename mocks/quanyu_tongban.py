"""全渝通办 as the gateway meets it: it is asked for items, and told of them (contract: quanyu_tongban, profile v1)."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from itertools import count, cycle, islice
from math import ceil
from random import Random
from types import MappingProxyType
from typing import Any, Self

from govpost.mocks._contract import Contract
from govpost.mocks._synthetic import citizen_id, party, uscc
from govpost.mocks.base import (
    Heard,
    JsonObject,
    PortalMock,
    Rejection,
    Sample,
    UnfitError,
    dump_json,
    json_reply,
    load_data,
    load_json_object,
    utc_now,
)
from govpost.mocks.faults import FaultKind, FaultPlan
from govpost.schemas import OutcomeKind, Reason, Status, WireReply, WireRequest

__all__ = [
    "DEMO_PAASID",
    "DEMO_TOKEN",
    "PortalItem",
    "QuanyuTongbanMock",
    "new_item",
    "new_items",
    "sample_items",
    "sign_tif",
]

#: The synthetic keys of the contract's worked examples.
DEMO_PAASID = "cq_post_demo"
DEMO_TOKEN = "demo-token-quanyu-do-not-use"  # noqa: S105 - says itself that it is none

_CALLS_PATH = "/ebus/logistics/"
_SECOND = timedelta(seconds=1)
_CURSOR = re.compile(r"c([0-9]{1,12})")

_TIF_HEADERS = ("paasid", "timestamp", "nonce", "signature")
_BAD_SIGNATURE, _NONCE_USED = "40001", "40029"
_TOO_FAST, _UNREADABLE = 45009, 47001
_PLAIN_HTTP = frozenset({"404", "405"})
#: What these mean as an item's result: done, was done before, not known so, try again.
_DONE, _WAS_DONE, _UNKNOWN, _AGAIN = 0, 1, 2, 9
_FAILURES = frozenset({_UNKNOWN, _AGAIN})

_ACCEPTED, _CANCELLED = "01", "10"
_UNDER_WAY = ("04", "05", "06", "07", "08", "09", "11")
#: What may follow a status without a correction (contracts/README: How an order lives).
_FOLLOWERS: dict[str, tuple[str, ...]] = {
    _ACCEPTED: ("02", "03", *_UNDER_WAY, _CANCELLED),
    "02": ("03", *_UNDER_WAY, _CANCELLED),
    "03": (*_UNDER_WAY, _CANCELLED),
    **dict.fromkeys(("04", "05", "07"), _UNDER_WAY),
    "08": ("08", "09", "11"),
    **dict.fromkeys(("06", "09", _CANCELLED, "11"), ()),
}
_CORRECTION = "更正"
_ROUND_TRIP = "W"
#: As long as a landline number without its area code; a mobile number has eleven digits, an ID number eighteen.
_LIKE_A_NUMBER = re.compile(r"[0-9]{7}")
_PERSONAL = ("XM", "LXDH", "ZJHM", "XXDZ")
#: What an item is changed to between two polls: somebody else pays.
_NEXT_PAYER = {"Z": "G", "G": "D", "D": "Z"}


@dataclass(slots=True)
class PortalItem:
    """What the portal knows of an item."""

    sblsh: str
    #: As it is offered now.
    content: JsonObject = field(default_factory=dict, repr=False)
    #: In the list that `pending` reads; cursors name it.
    place: int = 0
    #: Not as the contract wants it, so that it must be refused.
    is_broken: bool = False
    #: How many pages held it.
    times_offered: int = 0
    #: "1" taken, "0" refused, "" before its first ack.
    jsbz: str = ""
    #: What the gateway calls it (`WLDH`).
    order_id: str = ""
    #: Why it was refused (`JJYY`).
    reason: str = field(default="", repr=False)
    #: Leg → waybill.
    waybills: dict[int, str] = field(default_factory=dict)
    #: Leg → every status that it has had, oldest first.
    courses: dict[int, list[str]] = field(default_factory=lambda: {1: [_ACCEPTED]})
    #: Every trace that was taken, in arrival order.
    traces: list[JsonObject] = field(default_factory=list, repr=False)

    @property
    def is_taken(self) -> bool:
        """Whether the gateway said that it takes it."""
        return self.jsbz == "1"

    @property
    def status(self) -> str:
        """The status as the portal believes it: leg 1's until leg 2's first trace."""
        return self.courses[max(self.courses)][-1]


class QuanyuTongbanMock(PortalMock):
    """The portal. It offers items page by page until they are acked, and takes traces.

    An item or a call that breaks the contract is kept in `rejected`: where only one item of a batch does, that one is
    answered 2 and the others are done. Faults of its own: partial_batch, lost_cursor, repeated_page, stale_nonce,
    changed_item, broken_item (one item more, which must be refused).
    """

    key = "quanyu_tongban"
    statuses = MappingProxyType(
        {
            "01": Status.ACCEPTED,
            "02": Status.NUMBERED,
            "03": Status.COLLECTED,
            "04": Status.IN_TRANSIT,
            "05": Status.OUT_FOR_DELIVERY,
            "06": Status.DELIVERED,
            "07": Status.UNDELIVERED,
            "08": Status.RETURNING,
            "09": Status.RETURNED,
            "10": Status.CANCELLED,
            "11": Status.LOST,
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
    #: Codes of an item, and errcodes. 40029 is none of them: it ends as the call ends that is made instead.
    results = MappingProxyType(
        {
            "0": OutcomeKind.TAKEN,
            "1": OutcomeKind.TAKEN,
            "2": OutcomeKind.REFUSED,
            "9": OutcomeKind.BUSY,
            "40001": OutcomeKind.AUTH,
            "45009": OutcomeKind.BUSY,
            "47001": OutcomeKind.REFUSED,
            "50000": OutcomeKind.UNKNOWN,
        }
    )
    is_polled = True

    def __init__(
        self,
        paasid: str = DEMO_PAASID,
        token: str = DEMO_TOKEN,
        *,
        calls_a_second: int = 20,
        plan: FaultPlan | None = None,
        now: Callable[[], datetime] = utc_now,
        keep: int = 10_000,
    ) -> None:
        super().__init__(plan=plan, now=now, keep=keep)
        self.paasid = paasid
        self.calls_a_second = calls_a_second
        #: SBLSH → item, all that were ever offered.
        self.items: dict[str, PortalItem] = {}
        #: Acks and traces that were done before and came again.
        self.repeats = 0
        #: Traces that say what an earlier one said, under another QQID.
        self.told_twice = 0
        #: Calls beyond `calls_a_second`.
        self.too_fast = 0
        self._token = token
        self._contract = Contract(self.key)
        self._places = count(1)
        self._broken = _broken_items()
        #: What waits for an ack, by place.
        self._pending: dict[str, PortalItem] = {}
        self._heard: list[Heard] = []
        self._last_page: JsonObject = {}
        self._order_ids: dict[str, str] = {}
        self._bodies: dict[str, bytes] = {}
        #: What a trace says → the QQID under which it was said first.
        self._said: dict[tuple[str, ...], str] = {}
        self._nonces: set[str] = set()
        self._has_denied_nonce = False
        self._call_times: deque[datetime] = deque()
        self._calls: dict[str, tuple[str, Callable[[JsonObject, WireRequest], JsonObject]]] = {
            "pending": ("Pending", self._tell_pending),
            "ack": ("Ack", self._take_acks),
            "traces": ("Traces", self._take_traces),
            "reconcile": ("Reconcile", self._tell_standings),
        }

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Build the portal that `[portals.quanyu_tongban]` of a gateway's settings talks to, or the demo one."""
        section = document.get("portals", {}).get(cls.key, {})
        keys = {name: section[name] for name in ("paasid", "token") if name in section}
        return cls(**{**keys, **options})

    def settings(self) -> JsonObject:
        """Give what `[portals.quanyu_tongban]` must hold."""
        return {"base_url": self.url, "paasid": self.paasid, "token": self._token}

    # --- what the portal offers --------------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """Give the forty items."""
        return [Sample(item, {item["SBLSH"]: 2 if item["LXDM"] == _ROUND_TRIP else 1}) for item in sample_items()]

    def hand_over(self, document: JsonObject) -> None:
        """Offer an item, well-formed or not, until it is acked.

        One that was offered before is offered again, with this content. Raises UnfitError where it has no SBLSH that
        an ack could name.
        """
        self._offer(document)

    def is_taken(self, reply: WireReply) -> bool:
        """Raise UnfitError: this portal asks nothing of a gateway, and so is answered nothing."""
        raise UnfitError("answer", f"to nothing, with HTTP {reply.status}: the portal is polled")

    def offer(self, count: int = 1, seed: int = 0, start: int = 0) -> list[str]:
        """Offer synthetic items; their SBLSH."""
        return [self._offer(item).sblsh for item in new_items(count, seed=seed, start=start)]

    def actions(self) -> Mapping[str, Callable[..., Any]]:
        """`offer {count, seed, start}`: offer synthetic items."""
        return {"offer": self.offer}

    def _offer(self, document: JsonObject) -> PortalItem:
        self._contract.check("BrokenItem", document, where="item")
        sblsh = document["SBLSH"]
        with self._lock:
            item = self.items.setdefault(sblsh, PortalItem(sblsh))
            item.content = deepcopy(document)
            item.place = next(self._places)
            item.is_broken = self._breaks_contract(document)
            self._pending.pop(sblsh, None)
            self._pending[sblsh] = item
            return item

    def _breaks_contract(self, item: JsonObject) -> bool:
        try:
            self._contract.check("Item", item)
        except UnfitError:
            return True
        return False

    def _tell_pending(self, document: JsonObject, _: WireRequest) -> JsonObject:
        if self._last_page and self.plan.draw_own(FaultKind.REPEATED_PAGE):
            return self._last_page
        if self.plan.draw_own(FaultKind.BROKEN_ITEM):
            self._offer(next(self._broken)).is_broken = True
        start = self._place_of(document["cursor"])
        # At the end of the list it begins anew: what nobody acked is offered again.
        waiting = [item for item in self._pending.values() if item.place > start] or list(self._pending.values())
        shown = waiting[: document["size"]]
        self._last_page = {
            "items": [self._show(item) for item in shown],
            "cursor": f"c{shown[-1].place}" if shown else document["cursor"],
            "more": len(waiting) > len(shown),
        }
        return self._last_page

    def _place_of(self, cursor: str) -> int:
        known = _CURSOR.fullmatch(cursor)
        if known is None or self.plan.draw_own(FaultKind.LOST_CURSOR, cursor):
            return 0
        return int(known[1])

    def _show(self, item: PortalItem) -> JsonObject:
        if item.times_offered and not item.is_broken and self.plan.draw_own(FaultKind.CHANGED_ITEM, item.sblsh):
            item.content = {**item.content, "FFFS": _NEXT_PAYER.get(item.content.get("FFFS", ""), "Z")}
        item.times_offered += 1
        return item.content

    # --- what the portal is told -------------------------------------------------------------------------------------

    def heard(self) -> list[Heard]:
        """List acks that took an item, and traces; an ack's identity is its SBLSH."""
        with self._lock:
            return list(self._heard)

    def reset(self) -> None:
        """Forget everything, nonces too; places go on, so that an old cursor is no new one."""
        with self._lock:
            super().reset()
            self.repeats = self.told_twice = self.too_fast = 0
            self._has_denied_nonce = False
            memories = (
                self.items,
                self._pending,
                self._heard,
                self._last_page,
                self._order_ids,
                self._bodies,
                self._said,
                self._nonces,
                self._call_times,
            )
            for memory in memories:
                memory.clear()

    def state(self) -> JsonObject:
        """Count items, what was told of them, and what was told again."""
        with self._lock:
            acks = Counter(item.jsbz for item in self.items.values())
            return {
                "orders": len(self.items),
                "pending": len(self._pending),
                "taken": acks["1"],
                "refused": acks["0"],
                "traces": sum(len(item.traces) for item in self.items.values()),
                "repeats": self.repeats,
                "told_twice": self.told_twice,
                "too_fast": self.too_fast,
            }

    def report(self) -> JsonObject:
        """List each item's ack, order id, waybills by leg, statuses in arrival order, and QQIDs."""
        with self._lock:
            return {
                item.sblsh: {
                    "jsbz": item.jsbz,
                    "order_id": item.order_id,
                    "waybills": {str(leg): number for leg, number in item.waybills.items()},
                    "states": [trace["ZT"] for trace in item.traces],
                    "request_ids": [trace["QQID"] for trace in item.traces],
                }
                for item in self.items.values()
            }

    def _respond(self, request: WireRequest) -> WireReply:
        schema, answer = self._find_call(request)
        self._check_signature(request)
        if self._denies_nonce(request):
            return self._say({"errcode": int(_NONCE_USED), "errmsg": "the nonce was used before"}, "Refusal")
        wait_s = self._throttle()
        if wait_s:
            return self._say_busy(wait_s)
        if not request.headers.get("Content-Type", "").lower().startswith("application/json"):
            raise UnfitError("header Content-Type", "is not application/json")
        document = load_json_object(request.body)
        self._contract.check(schema, document)
        return self._say({"errcode": 0, "errmsg": "ok", "data": answer(document, request)}, f"{schema}Answer")

    def _find_call(self, request: WireRequest) -> tuple[str, Callable[[JsonObject, WireRequest], JsonObject]]:
        _, found, name = request.path.rpartition(_CALLS_PATH)
        if not found or name not in self._calls:
            known = ", ".join(_CALLS_PATH + name for name in self._calls)
            raise UnfitError("path", f"ends in none of {known}", code="404")
        if request.method != "POST":
            raise UnfitError("method", "is not POST", code="405")
        return self._calls[name]

    def _say(self, document: JsonObject, schema: str, headers: Mapping[str, str] | None = None) -> WireReply:
        self._contract.check_own(schema, document)
        return json_reply(200, document, headers)

    def _refuse(self, error: UnfitError) -> WireReply:
        if error.code in _PLAIN_HTTP:
            return super()._refuse(error)
        # What base and contract find unfit has HTTP's code for it.
        errcode = _UNREADABLE if error.code == "400" else int(error.code)
        return self._say({"errcode": errcode, "errmsg": f"{error.where}: {error.reason}"}, "Refusal")

    def _say_busy(self, seconds: int) -> WireReply:
        document = {"errcode": _TOO_FAST, "errmsg": "too many calls"}
        return self._say(document, "Refusal", {"x-tif-retry-after": str(seconds)})

    def say(self, code: str, request: WireRequest) -> WireReply:
        """Answer each ack or trace with a code, or the whole call with an errcode."""
        if len(code) > 1:
            return self._say({"errcode": int(code), "errmsg": "说明"}, "Refusal")
        schema, _ = self._find_call(request)
        results = [_result(part, int(code)) for part in load_json_object(request.body)["items"]]
        return self._say({"errcode": 0, "errmsg": "ok", "data": {"results": results}}, f"{schema}Answer")

    def _check_signature(self, request: WireRequest) -> None:
        self._contract.check_headers(request.headers, code=_BAD_SIGNATURE)
        paasid, timestamp, nonce, claimed = (request.headers[f"x-tif-{name}"] for name in _TIF_HEADERS)
        if paasid != self.paasid:
            raise UnfitError("header x-tif-paasid", "is not the caller's", code=_BAD_SIGNATURE)
        expected = sign_tif(self._token, timestamp=timestamp, nonce=nonce)
        if not compare_digest(claimed.encode(), expected.encode()):
            raise UnfitError("header x-tif-signature", "is not that of timestamp and nonce", code=_BAD_SIGNATURE)
        if nonce in self._nonces:
            raise UnfitError("header x-tif-nonce", "was used before", code=_NONCE_USED)
        self._nonces.add(nonce)

    def _denies_nonce(self, request: WireRequest) -> bool:
        """Tell whether a fresh nonce is denied; never twice running, so that the retry gets through."""
        is_second = self._has_denied_nonce
        self._has_denied_nonce = not is_second and self.plan.draw_own(FaultKind.STALE_NONCE, request) is not None
        return self._has_denied_nonce

    def _throttle(self) -> int:
        """Count a call; where it is one too many within a second, say how many seconds to wait."""
        now = self.now()
        while self._call_times and now - self._call_times[0] >= _SECOND:
            self._call_times.popleft()
        if len(self._call_times) < self.calls_a_second:
            self._call_times.append(now)
            return 0
        self.too_fast += 1
        return ceil((self._call_times[0] + _SECOND - now).total_seconds())

    def forget(self, sblsh: str) -> None:
        """Forget all that was told of an item, as a portal does that is restored from a backup; it is pending again."""
        with self._lock:
            item = self.items[sblsh]
            item.jsbz, item.courses = "", {1: [_ACCEPTED]}
            item.waybills.clear()
            item.traces.clear()
            self._pending[sblsh] = item

    def _take_acks(self, document: JsonObject, request: WireRequest) -> JsonObject:
        return {"results": self._take_batch(document["items"], request, self._take_ack)}

    def _take_traces(self, document: JsonObject, request: WireRequest) -> JsonObject:
        return {"results": self._take_batch(document["items"], request, self._take_trace)}

    def _tell_standings(self, document: JsonObject, _: WireRequest) -> JsonObject:
        day = document["date"]
        _check_time("body.date", day, "%Y%m%d")
        held = [item for item in self.items.values() if item.is_taken and str(item.content.get("TJSJ"))[:8] == day]
        return {"items": [{"SBLSH": item.sblsh, "ZT": item.status} for item in held]}

    def _take_batch(
        self, parts: list[JsonObject], request: WireRequest, take: Callable[[JsonObject, str], int]
    ) -> list[JsonObject]:
        results: list[JsonObject] = []
        failed: set[str] = set()
        for place, part in enumerate(parts):
            # After one of an item's parts fails, its later ones are not done.
            code = _AGAIN if part["SBLSH"] in failed else self._take_part(part, f"body.items[{place}]", request, take)
            if code in _FAILURES:
                failed.add(part["SBLSH"])
            results.append(_result(part, code))
        return results

    def _take_part(
        self, part: JsonObject, where: str, request: WireRequest, take: Callable[[JsonObject, str], int]
    ) -> int:
        if self.plan.draw_own(FaultKind.PARTIAL_BATCH, part):
            return _AGAIN
        try:
            return take(part, where)
        except UnfitError as error:
            self.rejected.append(Rejection(request, error.where, error.reason, str(_UNKNOWN)))
            return _UNKNOWN

    def _find(self, sblsh: str, where: str) -> PortalItem:
        if sblsh not in self.items:
            raise UnfitError(f"{where}.SBLSH", "is no item of this portal")
        return self.items[sblsh]

    def _take_ack(self, ack: JsonObject, where: str) -> int:
        item = self._find(ack["SBLSH"], where)
        self._check_ack(item, ack, where)
        if self._pending.pop(item.sblsh, None) is None:
            self.repeats += 1
            return _WAS_DONE
        if ack["JSBZ"] == "1" and not item.is_taken:
            item.order_id = ack["WLDH"]
            self._order_ids[item.order_id] = item.sblsh
            self._heard.append(Heard(item.sblsh, item.sblsh, _ACCEPTED, body=ack))
        item.jsbz, item.reason = ack["JSBZ"], ack.get("JJYY", "")
        return _DONE

    def _check_ack(self, item: PortalItem, ack: JsonObject, where: str) -> None:
        takes, order_id = ack["JSBZ"] == "1", ack.get("WLDH", "")
        is_open = item.sblsh in self._pending
        rules = (
            (takes and item.is_broken and not item.is_taken, "JSBZ", "takes an item that is broken"),
            (takes and item.jsbz == "0" and not is_open, "JSBZ", "takes an item that was refused"),
            (not takes and item.is_taken, "JSBZ", "refuses an item that was taken"),
            (takes and item.is_taken and order_id != item.order_id, "WLDH", "is another than the item has"),
            (takes and self._order_ids.get(order_id, item.sblsh) != item.sblsh, "WLDH", "is another item's"),
        )
        _check_rules(rules, where)
        _check_impersonal(f"{where}.JJYY", ack.get("JJYY", ""), item)

    def _take_trace(self, trace: JsonObject, where: str) -> int:
        item = self._find(trace["SBLSH"], where)
        if not item.is_taken:
            raise UnfitError(f"{where}.SBLSH", "is an item that was not taken")
        if self._is_repeat(trace, where):
            return _WAS_DONE
        leg = trace.get("LEG", 1)
        self._count_told_twice(trace, leg)
        self._check_trace(item, trace, leg, where)
        self._bodies[trace["QQID"]] = dump_json(trace)
        number = trace.get("YJHM", "")
        if number:
            item.waybills[leg] = number
        item.courses.setdefault(leg, [_ACCEPTED]).append(trace["ZT"])
        item.traces.append(trace)
        why = trace.get("YYDM", "")
        self._heard.append(Heard(item.sblsh, trace["QQID"], trace["ZT"], number, leg, why, trace))
        return _DONE

    def _is_repeat(self, trace: JsonObject, where: str) -> bool:
        before = self._bodies.get(trace["QQID"])
        if before is None:
            return False
        if before != dump_json(trace):
            raise UnfitError(f"{where}.QQID", "was used before with another body")
        self.repeats += 1
        return True

    def _count_told_twice(self, trace: JsonObject, leg: int) -> None:
        if _is_correction(trace):
            return
        said = (trace["SBLSH"], str(leg), trace["ZT"], trace["ZTSJ"])
        self.told_twice += self._said.setdefault(said, trace["QQID"]) != trace["QQID"]

    def _check_trace(self, item: PortalItem, trace: JsonObject, leg: int, where: str) -> None:
        number, course = trace.get("YJHM", ""), item.courses.get(leg, [_ACCEPTED])
        others = [known for each, known in item.waybills.items() if each != leg]
        rules = (
            ("LEG" in trace and item.content.get("LXDM") != _ROUND_TRIP, "LEG", "does not go with a single way"),
            (number and item.waybills.get(leg, number) != number, "YJHM", f"is another than leg {leg} has"),
            (number in others, "YJHM", "is the other leg's"),
            (not _may_follow(course, trace), "ZT", f"{trace['ZT']} cannot follow {course[-1]}"),
        )
        _check_rules(rules, where)
        _check_time(f"{where}.ZTSJ", trace["ZTSJ"], "%Y%m%d%H%M%S")
        _check_impersonal(f"{where}.ZTMS", trace["ZTMS"], item)


def sign_tif(token: str, *, timestamp: str, nonce: str) -> str:
    """Compute x-tif-signature."""
    return sha256(f"{timestamp}{token}{nonce}{timestamp}".encode()).hexdigest().upper()


def _result(part: JsonObject, code: int) -> JsonObject:
    return {name: part[name] for name in ("QQID", "SBLSH") if name in part} | {"code": code}


def _check_rules(rules: Iterable[tuple[object, str, str]], where: str) -> None:
    """Raise UnfitError for the first rule that is broken: (whether it is, member, reason)."""
    for is_broken, member, reason in rules:
        if is_broken:
            raise UnfitError(f"{where}.{member}", reason)


def _check_time(where: str, value: str, form: str) -> None:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007 - only whether there is such a time
    except ValueError:
        raise UnfitError(where, "is no date of the calendar") from None


def _check_impersonal(where: str, sentence: str, item: PortalItem) -> None:
    if _LIKE_A_NUMBER.search(sentence):
        raise UnfitError(where, "holds a number as long as a phone's")
    people = [item.content[role] for role in ("JJR", "SJR") if isinstance(item.content.get(role), dict)]
    values = [person[name] for person in people for name in _PERSONAL if isinstance(person.get(name), str)]
    if any(len(value) > 1 and value in sentence for value in values):
        raise UnfitError(where, "holds personal data of the item")


def _is_correction(trace: JsonObject) -> bool:
    return bool(trace["ZTMS"].startswith(_CORRECTION))


def _may_follow(course: list[str], trace: JsonObject) -> bool:
    """Tell whether a trace may come now: a correction goes back to where the leg was before."""
    return trace["ZT"] in (course if _is_correction(trace) else _FOLLOWERS[course[-1]])


_DOCUMENTS = ("不动产权证书", "准迁证", "社会保障卡", "许可证正本")
_MATTERS = ("不动产登记", "户籍迁移", "社会保障卡补领", "药品经营许可")
#: This portal's words for what `party` makes.
_PARTY_WORDS = {
    "name": "XM",
    "mobile": "LXDH",
    "province": "SZS",
    "city": "SZD",
    "county": "SZX",
    "address": "XXDZ",
    "postcode": "YB",
}


def sample_items() -> list[JsonObject]:
    """Read the contract's forty sample items."""
    items: list[JsonObject] = load_data("quanyu_tongban_items.json")
    return items


def new_item(n: int, seed: int = 0) -> JsonObject:
    """Make the n-th synthetic item of a seed."""
    dice = Random(f"{seed}/{n}")
    sender, division = _person(dice)
    recipient, _ = _person(dice)
    direction = dice.choice("QSW")
    item: JsonObject = {
        "SBLSH": f"50{seed % 10**6:06d}{n:012d}",
        "SXBM": f"{uscc(dice)}3500131002000",
        "SXMC": dice.choice(_MATTERS),
        "XZQHDM": division,
        "BLDW": f"{sender['SZX']}政务服务中心",
        "LXDM": direction,
        "FFFS": dice.choice("ZGD"),
        "CLQD": [{"CLMC": dice.choice(_DOCUMENTS), "FS": dice.randint(1, 3)}],
        "JJR": sender,
        "SJR": recipient,
        "TJSJ": f"20231201{dice.randint(8, 17):02d}{dice.randint(0, 59):02d}{dice.randint(0, 59):02d}",
    }
    if direction != "S":
        item |= {"YYSJQ": "20231202090000", "YYSJZ": "20231202110000"}
    return item


def new_items(number: int | None = None, *, seed: int = 0, start: int = 0) -> Iterator[JsonObject]:
    """Make `number` synthetic items from the start-th on; without end where `number` is None."""
    return (new_item(n, seed) for n in islice(count(start), number))


def _person(dice: Random) -> tuple[JsonObject, str]:
    known, division = party(dice)
    person = {_PARTY_WORDS[name]: value for name, value in known.items()}
    if dice.random() < 0.8:
        person |= {"ZJLX": "111", "ZJHM": citizen_id(dice, division=division)}
    return person, division


def _broken_items() -> Iterator[JsonObject]:
    """Make items without end that must be refused, each in another way."""
    return ({**new_item(n), "SBLSH": f"51{n:018d}", **broken} for n, broken in enumerate(cycle(_BREAKAGES)))


_BREAKAGES: tuple[JsonObject, ...] = (
    {"LXDM": "X"},
    {"CLQD": []},
    {"TJSJ": "2023-12-01 08:00:00"},
    {"SJR": {}},
    {"FFFS": ""},
    # The check character is wrong.
    {"SJR": {**_person(Random(0))[0], "ZJLX": "111", "ZJHM": "500103199001010000"}},
)
