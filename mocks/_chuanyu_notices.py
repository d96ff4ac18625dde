"""What 川渝通办 is told of an order, and what of it can be true: the rules that its contract file cannot say."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from govpost.mocks.base import JsonObject, UnfitError, dump_json

__all__ = ["CONTENT", "INVALID", "Notice", "PortalOrder", "check_notice"]

#: Where a notice's members stand, and the portal's code for one that does not fit.
CONTENT = "encData.bizContent"
INVALID = "4001"

_ACCEPTED, _NUMBERED, _COLLECTED, _CANCELLED, _REVOKED = "ACCEPTED", "NUMBERED", "COLLECTED", "CANCELLED", "REVOKED"
_UNDER_WAY = ("TRANSIT", "DELIVERING", "FAILED", "DELIVERED", "RETURNING", "RETURNED", "LOST")
#: What may follow a status (contracts: How an order lives); nothing follows what is not here.
_FOLLOWERS: dict[str, tuple[str, ...]] = {
    _ACCEPTED: (_NUMBERED, _COLLECTED, *_UNDER_WAY, _CANCELLED),
    _NUMBERED: (_COLLECTED, *_UNDER_WAY, _CANCELLED),
    _COLLECTED: (*_UNDER_WAY, _CANCELLED),
    "TRANSIT": _UNDER_WAY,
    "DELIVERING": _UNDER_WAY,
    "FAILED": _UNDER_WAY,
    "RETURNING": ("RETURNING", "RETURNED", "LOST"),
}
#: A courier's phone has no place in what a portal is told.
_PHONE_LIKE = re.compile(r"\d{7}|1[3-9]\d[ -]\d{4}[ -]\d{4}")


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that the portal took."""

    #: The whole bizContent, as it came.
    content: JsonObject = field(repr=False)
    #: The envelope that it came in first; a retry comes in the same.
    req_id: str
    enc_data: str = field(repr=False)

    @property
    def notify_id(self) -> str:
        """What the wire knows it by."""
        return str(self.content["notifyId"])

    @property
    def biz_no(self) -> str:
        """The order."""
        return str(self.content["bizNo"])

    @property
    def leg(self) -> int:
        """The leg, 1 where it names none."""
        return int(self.content.get("leg", 1))

    @property
    def waybill_no(self) -> str:
        """The number; "" of an order that has none."""
        return str(self.content["waybillNo"])

    @property
    def status(self) -> str:
        """What the item has come to, or REVOKED."""
        return str(self.content["status"])

    @property
    def reason(self) -> str:
        """Why it could not be delivered; "" where it names none."""
        return str(self.content.get("reason", ""))

    @property
    def revokes(self) -> str:
        """The notifyId that it takes back; "" where it takes none."""
        return str(self.content.get("revokes", ""))


@dataclass(slots=True)
class PortalOrder:
    """What the portal knows of an order."""

    biz_no: str
    #: None where nobody said so: an order that the portal first hears of in a notice.
    is_round_trip: bool | None = None
    #: Everything it took of this order, in arrival order.
    notices: list[Notice] = field(default_factory=list)

    @property
    def waybills(self) -> dict[int, str]:
        """The number of each leg that has one."""
        return {notice.leg: notice.waybill_no for notice in self.notices if notice.waybill_no}

    @property
    def revoked(self) -> set[str]:
        """The notifyIds that were taken back."""
        return {notice.revokes for notice in self.notices if notice.revokes}

    @property
    def standing(self) -> list[Notice]:
        """What was told and not taken back, in arrival order."""
        revoked = self.revoked
        return [each for each in self.notices if not each.revokes and each.notify_id not in revoked]

    @property
    def told_twice(self) -> int:
        """How many standing notices repeat another under a notifyId of their own; over 0 is a fault of ours."""
        said = Counter(dump_json({**notice.content, "notifyId": ""}) for notice in self.standing)
        return said.total() - len(said)

    def status(self, leg: int = 1) -> str:
        """Tell where a leg stands."""
        return next((notice.status for notice in reversed(self.standing) if notice.leg == leg), _ACCEPTED)


def check_notice(order: PortalOrder, notice: Notice) -> None:
    """Hold a notice that fits the contract file to what the order has come to; UnfitError names the member."""
    if "leg" in notice.content and order.is_round_trip is False:
        raise _unfit("leg", "goes with round trips only")
    for name in ("desc", "office"):
        if _PHONE_LIKE.search(notice.content[name].replace(notice.waybill_no, "")):
            raise _unfit(name, "holds what looks like a phone number")
    try:
        datetime.fromisoformat(notice.content["at"])
    except ValueError:
        raise _unfit("at", "is no time") from None
    _check_waybill(order, notice)
    check = _check_revoke if notice.revokes else _check_move
    check(order, notice)


def _check_waybill(order: PortalOrder, notice: Notice) -> None:
    waybills = order.waybills
    if waybills.get(notice.leg, notice.waybill_no) != notice.waybill_no:
        raise _unfit("waybillNo", f"is another than leg {notice.leg} has")
    if notice.waybill_no and waybills.get(3 - notice.leg) == notice.waybill_no:
        raise _unfit("waybillNo", f"is that of leg {3 - notice.leg}")


def _check_revoke(order: PortalOrder, notice: Notice) -> None:
    if all((each.notify_id, each.leg) != (notice.revokes, notice.leg) for each in order.standing):
        raise _unfit("revokes", f"is nothing that was told of leg {notice.leg} and still stands")


def _check_move(order: PortalOrder, notice: Notice) -> None:
    current = order.status(notice.leg)
    if notice.status not in _FOLLOWERS.get(current, ()):
        raise _unfit("status", f"{notice.status} cannot follow {current}")


def _unfit(name: str, reason: str) -> UnfitError:
    return UnfitError(f"{CONTENT}.{name}", reason, code=INVALID)
