"""What EMS knows of an item, and what can become of it: operation codes of the contract in their order (ems)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import takewhile

from govpost.mocks.base import JsonObject

__all__ = ["COURSES", "PICKUP_RESULT", "PICKUP_STATUS", "TRACE", "Item", "Mail", "Notice", "Step", "wire_time"]

#: What is pushed, by its `method`.
TRACE, PICKUP_STATUS, PICKUP_RESULT = "040002", "030002", "030003"
_COLLECTED, _CANCELLED = "203", "801"

#: An item's life begins this long before EMS tells of it, so that none of it lies in the future.
_HEAD_START = timedelta(minutes=5)
_STEP = timedelta(seconds=1)
#: Fixed: not every machine has the zone database.
_SHANGHAI = timezone(timedelta(hours=8))
_LEGS = {"1": 1, "2": 2}


def wire_time(at: datetime) -> str:
    """Write a time as the wire has it."""
    return at.astimezone(_SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class _Office:
    code: str
    name: str
    #: Number, name and phone of who works there; synthetic, to be noticed wherever it should not be.
    courier_no: str
    courier: str
    phone: str


_SENDING = _Office("40005701", "巴南区李家沱揽投部", "50010001", "邮递员甲", "13000000009")
_CENTRE = _Office("40001300", "重庆邮件处理中心", "50010002", "处理员丙", "13000000007")
_DELIVERING = _Office("40000100", "渝中区解放碑揽投部", "50010003", "邮递员乙", "13000000008")

#: opCode → opName, the office where it happens, what its opDesc says before the courier is named.
_OPERATIONS: dict[str, tuple[str, _Office, str]] = {
    _COLLECTED: ("收寄计费", _SENDING, "已收件"),
    "207": ("收寄撤销", _SENDING, "收寄已撤销"),
    "303": ("揽投部封发", _SENDING, "已封发"),
    "305": ("揽投部发运", _SENDING, "离开,下一站重庆邮件处理中心"),
    "336": ("邮件到达", _CENTRE, "到达"),
    "345": ("邮件分拣", _CENTRE, "已分拣"),
    "389": ("处理中心封车", _CENTRE, "离开,下一站渝中区"),
    "954": ("处理中心解车", _CENTRE, "到达"),
    "713": ("转投递部", _DELIVERING, "转投递部"),
    "702": ("投递邮件接收-下段", _DELIVERING, "安排投递"),
    "704": ("投递结果反馈-妥投", _DELIVERING, "已签收"),
    "705": ("投递结果反馈-未妥投", _DELIVERING, "未妥投"),
    "741": ("妥投改退回", _DELIVERING, "签收已撤销,退回"),
    "742": ("下段撤销", _DELIVERING, "投递安排已撤销"),
    "743": ("妥投撤销", _DELIVERING, "签收已撤销"),
    "744": ("未妥投撤销", _DELIVERING, "未妥投已撤销"),
    "747": ("到达自提点", _DELIVERING, "暂存自提点"),
    "748": ("自提点签收", _DELIVERING, "自提点已代收"),
    "749": ("自提点退出", _DELIVERING, "自提点退回,重新安排投递"),
    "750": ("自提点回收", _DELIVERING, "工作人员取回"),
    "751": ("自提点超期取回", _DELIVERING, "超期,工作人员取回"),
    "326": ("退回封发", _CENTRE, "退回封发"),
    "405": ("退回到达", _CENTRE, "退回到达"),
    "447": ("退回分拣", _CENTRE, "退回分拣"),
    "482": ("退回发运", _CENTRE, "退回发运"),
    "708": ("退件登记", _DELIVERING, "退回寄件人"),
    "711": ("退回妥投", _SENDING, "寄件人已签收退件"),
    "756": ("改寄", _DELIVERING, "改寄"),
    "802": ("邮件拦截改址", _CENTRE, "改址"),
    "803": ("邮件异常", _CENTRE, "异常"),
    "651": ("问题件登记", _CENTRE, "异常登记"),
    _CANCELLED: ("订单取消", _SENDING, "已取消"),
    "987": ("丢失", _CENTRE, "丢失"),
    "988": ("损毁", _CENTRE, "损毁"),
    # Not in the contract's table, as others will be.
    "516": ("安检", _CENTRE, "已安检"),
}
_UNHEARD_OF = ("其他", _CENTRE, "已处理")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens to an item, before it has a number and a time."""

    op_code: str
    #: How it was delivered, or why not.
    detail: str = ""
    leg: int = 1


def _way(codes: str, *, leg: int = 1) -> tuple[Step, ...]:
    """Read steps: opCodes, details behind an oblique stroke."""
    pairs = (code.partition("/") for code in codes.split())
    return tuple(Step(op_code, detail, leg) for op_code, _, detail in pairs)


#: opCode → the member that its detail stands in.
_DETAILS = {"704": "deliverCode", "705": "attemptDeliveryCode"}
_DELIVER_CODES = "10 20 30 50 60 70 150 161 162 163 169 181 99"
_ATTEMPT_CODES = "1 2 3 4 5 6 7 8 9 99"
_OUT = "203 305 389 954 702"
_WHOLE = f"{_OUT} 704/10"

#: What can become of an item. A revoke takes back the newest of its kind that was not revoked.
COURSES: dict[str, tuple[Step, ...]] = {
    "collected": _way("203"),
    "in_transit": _way("203 305"),
    "delivered": _way(_WHOLE),
    "undelivered": _way(f"{_OUT} 705/4"),
    "second_try": _way(f"{_OUT} 705/4 702 704/20"),
    "returned": _way(f"{_OUT} 705/7 708 326 711"),
    "returned_by_every_way": _way(f"{_OUT} 705/1 708 326 405 447 482 711"),
    "every_way": _way("203 303 305 336 345 389 954 713 756 802 803 651 747 702 704/10"),
    "revoked": _way(f"{_WHOLE} 743 705/6 702 704/10"),
    "revoked_and_returned": _way(f"{_WHOLE} 741 708 711"),
    "out_revoked": _way(f"{_OUT} 742 702 704/10"),
    "attempt_revoked": _way(f"{_OUT} 705/4 744 704/10"),
    "collection_revoked": _way(f"203 207 {_WHOLE}"),
    "waiting": _way(f"{_OUT} 747 704/150"),
    "pickup_point": _way(f"{_OUT} 748"),
    "taken_back": _way(f"{_OUT} 748 749 702 704/10"),
    "taken_back_again": _way(f"{_OUT} 748 750 748 751 702 704/10"),
    "unknown_code": _way("203 516 305"),
    "lost": _way("203 305 987"),
    "damaged": _way("203 305 988"),
    "cancelled": _way("801"),
    "round_trip": (*_way(_WHOLE), *_way(_WHOLE, leg=2)),
    **{f"delivered_{code}": _way(f"{_OUT} 704/{code}") for code in _DELIVER_CODES.split()},
    **{f"undelivered_{code}": _way(f"{_OUT} 705/{code}") for code in _ATTEMPT_CODES.split()},
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that EMS has to tell."""

    #: TRACE, PICKUP_STATUS or PICKUP_RESULT.
    method: str
    content: JsonObject = field(repr=False)

    @property
    def identity(self) -> str:
        """What it is known by, for a reader."""
        names = ("waybillNo", "orderNo", "opCode", "opTime")
        return " ".join([self.method, *(self.content[name] for name in names if name in self.content)])


@dataclass(slots=True)
class Item:
    """What EMS knows under one logisticsOrderNo."""

    order_no: str
    #: The order as it came.
    content: JsonObject = field(repr=False)
    #: The main one first.
    waybill_nos: tuple[str, ...]
    #: What 030001 asked for.
    pickup: JsonObject | None = None
    is_cancelled: bool = False
    #: Oldest first.
    traces: list[JsonObject] = field(default_factory=list, repr=False)

    @property
    def order_id(self) -> str:
        """The gateway's order, whose leg this may be."""
        return _split(self.order_no)[0]

    @property
    def leg(self) -> int:
        """1, or 2 for what comes back."""
        return _split(self.order_no)[1] or 1

    @property
    def counterpart(self) -> str | None:
        """The logisticsOrderNo of the other leg; None for what is no leg of a round trip."""
        order_id, leg = _split(self.order_no)
        return f"{order_id}-{3 - leg}" if leg else None

    @property
    def is_collected(self) -> bool:
        """Whether it is too late to cancel."""
        return bool(self.traces)


@dataclass(slots=True)
class Mail:
    """All items of one of the gateway's orders."""

    order_id: str
    items: list[Item] = field(default_factory=list)
    #: The steps played so far, oldest first.
    played: list[Step] = field(default_factory=list)
    latest_at: datetime | None = None

    @property
    def placements(self) -> int:
        """How often it is mailed: the items of the leg that has most."""
        return max(Counter(item.leg for item in self.items).values())

    def play(self, course: str, *, now: datetime) -> list[Notice]:
        """Let the next things happen; steps that the course and an earlier one begin with happen once.

        Raises KeyError for an unknown course, ValueError for an item that was cancelled and a leg that is not there.
        """
        steps = [(step, self._item(step.leg)) for step in self._rest(COURSES[course])]
        if any(item.is_cancelled for _, item in steps):
            raise ValueError("a cancelled item is not mailed")
        return [notice for step, item in steps for notice in self._happen(step, item, now)]

    def happen(self, op_code: str, detail: str = "", *, now: datetime) -> Notice:
        """Let any operation happen to leg 1's item, whatever came before; gives its trace, and nothing of a pickup."""
        *_, notice = self._happen(Step(op_code, detail), self._item(1), now)
        return notice

    def _rest(self, course: tuple[Step, ...]) -> tuple[Step, ...]:
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(course, self.played, strict=False))
        return course[sum(1 for _ in shared) :]

    def _item(self, leg: int) -> Item:
        found = [item for item in self.items if item.leg == leg]
        if not found:
            raise ValueError(f"there is no leg {leg}")
        return found[0]

    def _happen(self, step: Step, item: Item, now: datetime) -> Iterator[Notice]:
        if step.op_code == _COLLECTED and item.pickup is not None:
            yield Notice(PICKUP_STATUS, {**_pickup_words(item, self._tick(now)), "pickupStatus": "1"})
            yield Notice(PICKUP_RESULT, {**_pickup_words(item, self._tick(now)), "pickupResult": "1"})
        trace = _trace(step, item, self._tick(now))
        self.played.append(step)
        item.traces.append(trace)
        item.is_cancelled = step.op_code == _CANCELLED
        yield Notice(TRACE, trace)

    def _tick(self, now: datetime) -> datetime:
        self.latest_at = (self.latest_at or now - _HEAD_START) + _STEP
        return self.latest_at


def _split(order_no: str) -> tuple[str, int]:
    """Take the leg off a logisticsOrderNo; 0 where it names none."""
    order_id, _, leg = order_no.rpartition("-")
    return (order_id, _LEGS[leg]) if order_id and leg in _LEGS else (order_no, 0)


def _trace(step: Step, item: Item, at: datetime) -> JsonObject:
    name, office, said = _OPERATIONS.get(step.op_code, _UNHEARD_OF)
    return {
        "waybillNo": item.waybill_nos[0],
        "opTime": wire_time(at),
        "opCode": step.op_code,
        "opName": name,
        "opDesc": f"【{office.name}】{said},揽投员:{office.courier},电话:{office.phone}",
        "opOrgProvName": "重庆市",
        "opOrgCity": "重庆市",
        "opOrgCode": office.code,
        "opOrgName": office.name,
        "operatorNo": office.courier_no,
        "operatorName": office.courier,
        **{member: step.detail if step.op_code == op_code else "" for op_code, member in _DETAILS.items()},
        "orderNo": item.order_no,
    }


def _pickup_words(item: Item, at: datetime) -> JsonObject:
    return {
        "orderNo": item.order_no,
        "waybillNo": item.waybill_nos[0],
        "opTime": wire_time(at),
        "opDesc": f"上门揽收,揽投员:{_SENDING.courier},电话:{_SENDING.phone}",
        "operatorName": _SENDING.courier,
        "operatorPhone": _SENDING.phone,
    }
