"""Our own sentences about what happened, in Chinese, for the people who read them in a portal.

Built from status, office and reason alone. Foreign free text never comes in: it holds couriers' names and phones.
"""

import re
from collections.abc import Mapping
from unicodedata import normalize

from govpost.schemas import Event, Reason, Status, Update

__all__ = ["REASONS", "SENTENCES", "describe_event", "describe_update", "office_name"]

SENTENCES: Mapping[Status, str] = {
    Status.ACCEPTED: "邮政已接单",
    Status.NUMBERED: "邮件已取号，等待揽收",
    Status.COLLECTED: "邮件已揽收",
    Status.IN_TRANSIT: "邮件运输中",
    Status.OUT_FOR_DELIVERY: "邮件派送中",
    Status.DELIVERED: "邮件已妥投",
    Status.UNDELIVERED: "邮件未妥投",
    Status.RETURNING: "邮件退回中",
    Status.RETURNED: "邮件已退回寄件人",
    Status.CANCELLED: "邮政已取消寄递",
    Status.LOST: "邮件丢失",
    Status.UNKNOWN: "邮件状态待确认",
}

REASONS: Mapping[Reason, str] = {
    Reason.BAD_ADDRESS: "地址有误",
    Reason.UNKNOWN_PERSON: "查无此人",
    Reason.UNREACHABLE: "联系不上收件人",
    Reason.REFUSED: "收件人拒收",
    Reason.MOVED: "收件人已迁移",
    Reason.DEFERRED: "收件人要求延迟投递",
    Reason.WILL_COLLECT: "收件人将自取",
    Reason.OTHER: "其他原因",
}

#: Begins a sentence that takes an earlier one back.
_CORRECTION = "更正："

#: Digits as many as any phone has, whatever stands between them, have no place in an office's name.
_PHONE_LIKE = re.compile(r"[0-9](?:[\W_]*[0-9]){4}")


def describe_event(event: Event) -> str:
    """Say what happened, as in 【巴南龙洲湾营业部】邮件未妥投，原因：联系不上收件人."""
    return _sentence(event, event.status or Status.UNKNOWN)


def describe_update(update: Update) -> str:
    """Say what a portal is to be told; a correction says so at its beginning and gives no reason of another status."""
    sentence = _sentence(update.event, update.status)
    return sentence if update.corrects is None else _CORRECTION + sentence


def office_name(event: Event) -> str | None:
    """Name the office of an event; None where there is none, or where the name holds what looks like a phone."""
    # NFKC: full-width digits are digits.
    if event.office is None or _PHONE_LIKE.search(normalize("NFKC", event.office.name)):
        return None
    return event.office.name


def _sentence(event: Event, status: Status) -> str:
    office = office_name(event)
    place = f"【{office}】" if office else ""
    reason = f"，原因：{REASONS[event.reason]}" if event.reason and event.status == status else ""
    return f"{place}{SENTENCES[status]}{reason}"
