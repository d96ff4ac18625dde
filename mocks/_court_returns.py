"""What a court is told of a task, and what of it can be true: rules beyond the XSD (contract: court_waybill)."""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from govpost.mocks._court_tasks import Task
from govpost.mocks._court_xml import Element, name_of
from govpost.mocks._pdf_text import read_texts
from govpost.mocks.base import UnfitError

__all__ = ["INVALID", "PortalTask", "Return", "check_return", "holds_personal_data", "read_return"]

#: The court's code for what does not fit.
INVALID = "3"

_ACCEPTED, _NUMBERED, _DELIVERED, _UNDELIVERED, _RETURNED, _CANCELLED = "01", "02", "06", "07", "09", "10"
_UNDER_WAY = ("04", "05", _DELIVERED, _UNDELIVERED, "08", _RETURNED, "11")
#: What may follow a status without a correction (contracts/README: How an order lives); 02 is said by MianDan.
_FOLLOWERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((_ACCEPTED, _NUMBERED), ("03", *_UNDER_WAY, _CANCELLED)),
    "03": (*_UNDER_WAY, _CANCELLED),
    **dict.fromkeys(("04", "05", _UNDELIVERED), _UNDER_WAY),
    "08": ("08", _RETURNED, "11"),
}
_CORRECTION = "更正"
#: Told of an item that may have no number yet.
_WITHOUT_NUMBER = frozenset({_ACCEPTED, _CANCELLED})

_SIGNED, _REFUSED, _SENT_BACK, _WITHDRAWN = "YS", "JS", "TH", "CX"
#: What a receipt is of → the status that the item has then.
_STATUS_OF = {_SIGNED: _DELIVERED, _REFUSED: _RETURNED, _SENT_BACK: _RETURNED}
_REASON_REFUSED = "04"

#: Relations (`gx`) under which somebody may sign for a person or an organisation, by words that occur in them
#: (contract: 法释〔2004〕13号, 7 and 9). The recipient and who was designated need none.
_MAY_SIGN_FOR_ANY = ("代理人", "监护人", "律师")
_FAMILY = (*"夫妻父母兄弟姐妹祖孙", "家属", "家人", "亲属", "配偶", "子女", "儿子", "女儿")
_MAY_SIGN_FOR_ORGANIZATION = ("法定代表人", "负责人", "办公室", "收发", "值班室", "传达室")
_ADULT_AT = 18
#: Whoever is named so signed for nobody: a place, or nobody at all.
_NO_SIGNER = ("自提", "驿站", "代收点", "代投点", "柜", "信箱", "信报箱", "门口", "无人", "物业", "邻居")
_THEMSELVES = "本人"

_ID_NUMBER = re.compile(r"[0-9A-Za-z()（）-]{5,50}")
_BIRTH = re.compile(r"[0-9]{6}(?P<year>[0-9]{4})(?P<rest>[0-9]{4})[0-9]{3}[0-9Xx]")
_SHANGHAI = ZoneInfo("Asia/Shanghai")
#: As long as a landline number without its area code.
_LIKE_A_NUMBER = re.compile(r"[0-9]{7}|1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}")
#: GB/T 41833.
_PHONE_DIGITS_HIDDEN = 6
_MOST_IMAGE_BYTES = 4 << 20
_IMAGE_BEGINS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclass(frozen=True, slots=True)
class Return:
    """A document that the gateway sent, read."""

    qqid: str
    rwid: str
    waybill_no: str
    #: MianDan, GuiJi, HuiZhi or ChaXun.
    kind: str
    #: Of that element.
    attributes: dict[str, str] = field(repr=False)
    #: When it happened, aware; None for a label, or where that is not said.
    at: datetime | None
    #: The label, or the images of a receipt, by media type.
    contents: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def code(self) -> str:
        """The court's code of what is told: the status, or what the receipt is of."""
        return self.attributes.get("jg") or self.attributes.get("zt") or _NUMBERED

    @property
    def day(self) -> str:
        """The day of that, where the court is, as a date of service is written."""
        return self.at.astimezone(_SHANGHAI).date().isoformat() if self.at else ""

    @property
    def is_correction(self) -> bool:
        """Whether it takes an earlier status back."""
        return self.attributes.get("ms", "").startswith(_CORRECTION)

    def get(self, name: str) -> str:
        """Give an attribute; "" where it is missing or empty."""
        return self.attributes.get(name, "")

    def unfit(self, name: str, reason: str) -> UnfitError:
        """Say what is wrong with an attribute."""
        return UnfitError(f"{self.kind}/@{name}", reason, code=INVALID)


@dataclass(slots=True)
class PortalTask:
    """What the court knows of a task."""

    rwid: str
    #: As it was handed over; None for one that the court first hears of from the gateway.
    task: Task | None = None
    #: What the gateway calls it; "" until it has answered.
    order_id: str = ""
    waybill_no: str = ""
    label: bytes = field(default=b"", repr=False)
    #: Every status that it has had, oldest first.
    course: list[str] = field(default_factory=lambda: [_ACCEPTED])
    #: Everything that was taken, in arrival order.
    returns: list[Return] = field(default_factory=list)

    @property
    def traces(self) -> list[Return]:
        """The traces that were taken, in arrival order."""
        return [each for each in self.returns if each.kind == "GuiJi"]

    @property
    def receipts(self) -> list[Return]:
        """The receipts that were taken and what withdrew them, in arrival order."""
        return [each for each in self.returns if each.kind == "HuiZhi"]

    @property
    def standing(self) -> Return | None:
        """The receipt that was not withdrawn."""
        withdrawn = {each.get("cxqqid") for each in self.receipts}
        receipts = (each for each in self.receipts if each.code != _WITHDRAWN and each.qqid not in withdrawn)
        return next(receipts, None)

    def take(self, told: Return) -> None:
        """Believe what was checked."""
        self.returns.append(told)
        if told.kind == "MianDan":
            self.waybill_no, self.label = told.waybill_no, told.contents[0][1]
            self.course += [_NUMBERED] if self.course == [_ACCEPTED] else []
        elif told.kind == "GuiJi":
            self.course.append(told.code)
        elif told.code == _WITHDRAWN:
            self._go_back()

    def day_of(self, status: str) -> str:
        """Tell the day on which it last came to a status; "" where nothing was told of that."""
        return next((each.day for each in reversed(self.traces) if each.code == status), "")

    def _go_back(self) -> None:
        """Take the end back together with its receipt; a correction may have done so already."""
        before = [status for status in self.course if status not in {_DELIVERED, _RETURNED}]
        self.course.append(before[-1])


def read_return(document: Element) -> Return:
    """Read a `HuiChuan` that fits the XSD."""
    (told,) = document
    kind = name_of(told)
    contents = [("application/pdf", told.text)] if kind == "MianDan" else [(each.get("lx"), each.text) for each in told]
    attributes = {str(name): str(value) for name, value in told.attrib.items()}
    return Return(
        qqid=str(document.get("qqid")),
        rwid=str(document.get("rwid")),
        waybill_no=document.get("yjhm", ""),
        kind=kind,
        attributes=attributes,
        at=_read_time(f"{kind}/@sj", attributes["sj"]) if "sj" in attributes else None,
        contents=tuple((media_type, base64.b64decode(text or "")) for media_type, text in contents),
    )


def _read_time(where: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        # Midnight as 24:00:00 is one for the XSD.
        raise UnfitError(where, "is no time", code=INVALID) from None
    return at if at.tzinfo else at.replace(tzinfo=_SHANGHAI)


def check_return(known: PortalTask, told: Return) -> None:
    """Hold what is told to what the task asks and has come to; UnfitError names the attribute."""
    _CHECKS[told.kind](known, told)


def holds_personal_data(text: str, task: Task) -> bool:
    """Tell whether a sentence names somebody of a task, or shows a number of theirs or where they live."""
    return any(value in text for value in (*task.personal, task.address) if value)


def _check_rules(told: Return, rules: Iterable[tuple[object, str, str]]) -> None:
    """Raise UnfitError for the first rule that is broken: (whether it is, attribute, reason)."""
    for is_broken, name, reason in rules:
        if is_broken:
            raise told.unfit(name, reason)


# --- MianDan ---------------------------------------------------------------------------------------------------------


def _check_label(known: PortalTask, told: Return) -> None:
    if not told.waybill_no:
        raise UnfitError("HuiChuan/@yjhm", "is missing", code=INVALID)
    _check_number(known, told)
    ((_, label),) = told.contents
    if not label.startswith(b"%PDF-") or b"%%EOF" not in label[-1024:]:
        raise UnfitError("MianDan", "is no PDF", code=INVALID)
    if known.task is not None and any(_shows_too_much(text, known.task) for text in read_texts(label)):
        raise UnfitError("MianDan", "shows unmasked personal data", code=INVALID)


def _check_number(known: PortalTask, told: Return) -> None:
    if known.waybill_no and told.waybill_no != known.waybill_no:
        raise UnfitError("HuiChuan/@yjhm", "is another than the task has", code=INVALID)


def _shows_too_much(text: str, task: Task) -> bool:
    return any(value in text for value in task.personal) or any(_shows_phone(text, phone) for phone in task.phones)


def _shows_phone(text: str, phone: str) -> bool:
    """Tell whether more of a number is shown than may be, the rest under any mask."""
    for masked in re.findall(rf"(?=([0-9*＊xX•-]{{{len(phone)}}}))", text):
        digits = [(shown, meant) for shown, meant in zip(masked, phone, strict=True) if meant.isdigit()]
        visible = [(shown, meant) for shown, meant in digits if shown.isdigit()]
        is_same = bool(visible) and all(shown == meant for shown, meant in visible)
        if is_same and len(digits) - len(visible) < _PHONE_DIGITS_HIDDEN:
            return True
    return False


# --- GuiJi -----------------------------------------------------------------------------------------------------------


def _check_trace(known: PortalTask, told: Return) -> None:
    status, receipt = told.code, known.standing
    needs_number = status not in _WITHOUT_NUMBER or known.waybill_no
    if needs_number and (not known.waybill_no or told.waybill_no != known.waybill_no):
        raise UnfitError("HuiChuan/@yjhm", "is not the number that MianDan told of this task", code=INVALID)
    may_follow = known.course if told.is_correction else _FOLLOWERS.get(known.course[-1], ())
    ends_otherwise = receipt is not None and _STATUS_OF[receipt.code] != status and not told.is_correction
    sentence = told.get("ms").replace(told.waybill_no or "\0", "")
    rules = (
        (_LIKE_A_NUMBER.search(sentence), "ms", "holds a number as long as a phone's"),
        (known.task and holds_personal_data(sentence, known.task), "ms", "holds personal data of the task"),
        (told.get("yydm") and status != _UNDELIVERED, "yydm", f"goes with {_UNDELIVERED} only"),
        (_falls(told, known.traces), "cs", "is lower than before"),
        (ends_otherwise, "zt", "comes after a receipt that stands"),
        (status not in may_follow, "zt", f"{status} cannot follow {known.course[-1]}"),
    )
    _check_rules(told, rules)


def _falls(told: Return, before: list[Return]) -> bool:
    """Tell whether attempts are counted down from what was told last, which a correction may do."""
    last = next((_attempt(each) for each in reversed(before) if each.get("cs")), 0)
    return not told.is_correction and 0 < _attempt(told) < last


def _attempt(told: Return) -> int:
    return int(told.get("cs") or 0)


# --- HuiZhi ----------------------------------------------------------------------------------------------------------


def _check_receipt(known: PortalTask, told: Return) -> None:
    if not known.waybill_no or told.waybill_no != known.waybill_no:
        raise UnfitError("HuiChuan/@yjhm", "is not the number that MianDan told of this task", code=INVALID)
    if told.code == _WITHDRAWN:
        _check_withdrawal(known, told)
        return
    rules = (
        (known.task and not known.task.wants_receipt, "jg", "is a receipt that nobody wants"),
        (known.standing, "jg", "is a second receipt"),
        (told.get("cxqqid"), "cxqqid", f"goes with {_WITHDRAWN} only"),
    )
    _check_rules(told, rules)
    _RECEIPT_CHECKS[told.code](known, told)
    for media_type, image in told.contents:
        _check_image(media_type, image)


def _check_withdrawal(known: PortalTask, told: Return) -> None:
    standing = known.standing.qqid if known.standing else ""
    more = [name for name in ("sdrq", "qsr", "gx", "zjhm", "yydm") if told.get(name)]
    rules = (
        (not standing or told.get("cxqqid") != standing, "cxqqid", "is no receipt of this task that stands"),
        (more, next(iter(more), ""), "does not go with a withdrawal"),
    )
    _check_rules(told, rules)
    if told.contents:
        raise UnfitError("YingXiang", "does not go with a withdrawal", code=INVALID)


def _check_signed(known: PortalTask, told: Return) -> None:
    current = known.course[-1]
    can_be = current == _DELIVERED or _DELIVERED in _FOLLOWERS.get(current, ())
    signed_on = known.day_of(_DELIVERED) if current == _DELIVERED else told.day
    rules = (
        (not can_be, "jg", f"cannot be of an item in {current}"),
        (not told.get("qsr"), "qsr", "is missing"),
        (not told.get("zjhm"), "zjhm", "is missing"),
        (not _ID_NUMBER.fullmatch(told.get("zjhm")), "zjhm", "is no number that could be written down, or is masked"),
        (told.get("yydm"), "yydm", "does not go with a signature"),
        (told.get("sdrq") != signed_on, "sdrq", "is not the date of the signature"),
    )
    _check_rules(told, rules)
    _check_signer(known.task, told)


def _check_signer(task: Task | None, told: Return) -> None:
    signer, relation = _plain(told.get("qsr")), told.get("gx")
    recipient, designated, opponents = _names(task)
    is_other = task is not None and signer not in {recipient, *designated}
    rules = (
        (signer in opponents, "qsr", "is an opposing party of the case"),
        (any(word in relation for word in _NO_SIGNER), "gx", "is nobody who signs"),
        (recipient and _THEMSELVES in relation and signer != recipient, "qsr", "is not the recipient"),
        (task and is_other and not _may_sign(relation, task), "gx", "may not sign"),
        (is_other and _is_minor(told), "zjhm", "is that of a child"),
    )
    _check_rules(told, rules)


def _names(task: Task | None) -> tuple[str, list[str], list[str]]:
    if task is None:
        return "", [], []
    return _plain(task.recipient), [_plain(name) for name in task.designated], [_plain(name) for name in task.opponents]


def _may_sign(relation: str, task: Task) -> bool:
    words = _MAY_SIGN_FOR_ORGANIZATION if task.is_organization else _FAMILY
    return any(word in relation for word in (*_MAY_SIGN_FOR_ANY, *words))


def _is_minor(told: Return) -> bool:
    """Tell whether a citizen ID says that the signer was no adult on that day; other numbers do not say."""
    born = _BIRTH.fullmatch(told.get("zjhm"))
    return born is not None and told.day.replace("-", "") < f"{int(born['year']) + _ADULT_AT}{born['rest']}"


def _plain(name: str) -> str:
    """Bring a name to the form in which two writings of it are the same."""
    return "".join(char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum())


def _check_returned(known: PortalTask, told: Return) -> None:
    refused, reason = told.code == _REFUSED, told.get("yydm")
    signs = [name for name in ("qsr", "gx", "zjhm") if told.get(name)]
    rules = (
        (known.course[-1] != _RETURNED, "jg", "comes before the item is back"),
        (refused and reason not in {"", _REASON_REFUSED}, "yydm", "is not that of a refusal"),
        (not refused and not reason, "yydm", "is missing"),
        (not refused and reason == _REASON_REFUSED, "jg", f"is {_SENT_BACK} where the reason is a refusal"),
        (signs, next(iter(signs), ""), "names a signer where nobody signed"),
        (told.get("sdrq") not in _dates_of_service(known, refused=refused), "sdrq", "is not the date of service"),
    )
    _check_rules(told, rules)


def _dates_of_service(known: PortalTask, *, refused: bool) -> set[str]:
    """List what may stand for the date of service of an item that is back; two only where the task is not known."""
    day = known.day_of(_RETURNED)
    if refused or (known.task and known.task.address_is_confirmed):
        return {day}
    return {""} if known.task else {"", day}


def _check_image(media_type: str, image: bytes) -> None:
    if media_type not in _IMAGE_BEGINS:
        raise UnfitError("YingXiang/@lx", f"is none of {', '.join(_IMAGE_BEGINS)}", code=INVALID)
    if not image.startswith(_IMAGE_BEGINS[media_type]):
        raise UnfitError("YingXiang", f"is no {media_type}", code=INVALID)
    if len(image) > _MOST_IMAGE_BYTES:
        raise UnfitError("YingXiang", f"is over {_MOST_IMAGE_BYTES} bytes", code=INVALID)


_RECEIPT_CHECKS: dict[str, Callable[[PortalTask, Return], None]] = {
    _SIGNED: _check_signed,
    _REFUSED: _check_returned,
    _SENT_BACK: _check_returned,
}
_CHECKS: dict[str, Callable[[PortalTask, Return], None]] = {
    "MianDan": _check_label,
    "GuiJi": _check_trace,
    "HuiZhi": _check_receipt,
}
