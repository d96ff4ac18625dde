"""What 车管 便民通 is told of a record, and what of it can be true: the rules that its contract file cannot say."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from govpost.mocks.base import JsonObject, UnfitError

__all__ = ["PortalRecord", "check_time", "leg_of", "says_what_happened", "take_write"]

_OPEN, _ACCEPTED, _CANCELLED = "0", "1", "10"
_UNDER_WAY = ("4", "5", "6", "7", "8", "9", "11")
#: What may follow a state without a correction (contracts: How an order lives); nothing follows what is not here.
_FOLLOWERS: dict[str, tuple[str, ...]] = {
    _ACCEPTED: ("2", "3", *_UNDER_WAY, _CANCELLED),
    "2": ("3", *_UNDER_WAY, _CANCELLED),
    "3": (*_UNDER_WAY, _CANCELLED),
    **dict.fromkeys(("4", "5", "7"), _UNDER_WAY),
    "8": ("8", "9", "11"),
}
_CORRECTION = "更正"
#: As long as a landline number without its area code; a mobile number has eleven digits, an ID number eighteen.
_LIKE_A_NUMBER = re.compile(r"[0-9]{7}")
_PERSONAL = ("xm", "sjhm", "lxdh", "sfzmhm", "yjdz", "hphm", "dabh")


@dataclass(slots=True)
class PortalRecord:
    """What the portal knows of a mailing."""

    #: The office.
    glbm: str
    lsh: str
    #: As it is offered now.
    content: JsonObject = field(default_factory=dict, repr=False)
    #: Not as the contract wants it, so that it must be refused.
    is_broken: bool = False
    #: Whether it is offered: nobody has answered it yet.
    is_open: bool = True
    #: How many answers held it.
    times_offered: int = 0
    is_taken: bool = False
    is_refused: bool = False
    #: Leg → waybill.
    waybills: dict[int, str] = field(default_factory=dict)
    #: Leg → every state that it has had, oldest first.
    courses: dict[int, list[str]] = field(default_factory=lambda: {1: [_ACCEPTED]})
    #: Everything that was written back and fits, in arrival order.
    writes: list[JsonObject] = field(default_factory=list, repr=False)

    @property
    def ref(self) -> str:
        """What the gateway calls it; an lsh alone is its office's."""
        return f"{self.glbm}-{self.lsh}"

    @property
    def yjzt(self) -> str:
        """The state as the portal believes it: leg 1's until leg 2's first news."""
        if self.is_refused:
            return _CANCELLED
        return self.courses[max(self.courses)][-1] if self.is_taken else _OPEN


def take_write(record: PortalRecord, write: JsonObject) -> bool:
    """Do what a write-back says; False where the portal knew it already. UnfitError for what cannot be true."""
    check_time("MailRecord.czsj", write["czsj"])
    _check_impersonal(record, write)
    is_new = _verb(write)(record, write)
    record.writes.append(write)
    return is_new


def says_what_happened(write: JsonObject) -> bool:
    """Tell news of an item from what takes an order, gives it back, or corrects an earlier one."""
    return _verb(write) is _move and not _is_correction(write)


def leg_of(write: JsonObject) -> int:
    """Tell the leg, 1 where none is named."""
    return int(write.get("cs", "1"))


def check_time(where: str, value: str) -> None:
    """Raise UnfitError for a time of a day that there is not."""
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise UnfitError(where, "is no date of the calendar") from None


def _is_correction(write: JsonObject) -> bool:
    return bool(write.get("czms", "").startswith(_CORRECTION))


def _verb(write: JsonObject) -> Callable[[PortalRecord, JsonObject], bool]:
    """Tell what a write-back is: that an order is taken, that it is given back, or what became of it."""
    if write["yjzt"] == _ACCEPTED and not _is_correction(write):
        return _accept
    return _refuse if write["yjzt"] == _CANCELLED and "wtyy" in write else _move


def _accept(record: PortalRecord, _: JsonObject) -> bool:
    rules = (
        (record.is_refused, "yjzt", "takes a record that was refused"),
        (record.is_broken and not record.is_taken, "yjzt", "takes a record that is broken"),
    )
    _check_rules(rules)
    is_new, record.is_taken, record.is_open = not record.is_taken, True, False
    return is_new


def _refuse(record: PortalRecord, _: JsonObject) -> bool:
    _check_rules([(record.is_taken, "yjzt", "refuses a record that was taken")])
    is_new, record.is_refused, record.is_open = not record.is_refused, True, False
    return is_new


def _move(record: PortalRecord, write: JsonObject) -> bool:
    leg, number, state = leg_of(write), write.get("yjdh", ""), write["yjzt"]
    course = record.courses.get(leg, [_ACCEPTED])
    followers = course if _is_correction(write) else _FOLLOWERS.get(course[-1], ())
    others = [known for each, known in record.waybills.items() if each != leg]
    rules = (
        (not record.is_taken, "lsh", "is a record that was not taken"),
        (number and record.waybills.get(leg, number) != number, "yjdh", f"is another than leg {leg} has"),
        (number in others, "yjdh", "is the other leg's"),
        (state not in followers, "yjzt", f"{state} cannot follow {course[-1]}"),
    )
    _check_rules(rules)
    if number:
        record.waybills[leg] = number
    record.courses.setdefault(leg, course).append(state)
    return True


def _check_impersonal(record: PortalRecord, write: JsonObject) -> None:
    values = [record.content[name] for name in _PERSONAL if len(record.content.get(name, "")) > 1]
    for name in ("czms", "wtyy"):
        sentence = write.get(name, "")
        rules = (
            (_LIKE_A_NUMBER.search(sentence), name, "holds a number as long as a phone's"),
            (any(value in sentence for value in values), name, "holds personal data of the record"),
        )
        _check_rules(rules)


def _check_rules(rules: Iterable[tuple[object, str, str]]) -> None:
    """Raise UnfitError for the first rule that is broken: (whether it is, member, reason)."""
    for is_broken, member, reason in rules:
        if is_broken:
            raise UnfitError(f"MailRecord.{member}", reason)
