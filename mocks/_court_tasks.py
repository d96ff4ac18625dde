"""What a court asks for: what its rules must know of a task, synthetic tasks, the samples (contract: court_waybill)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from itertools import count as count_from
from random import Random
from typing import Any

from govpost.mocks._court_xml import Element, build, name_of, parse_text, text_of
from govpost.mocks._synthetic import citizen_id, mobile, party
from govpost.mocks.base import JsonObject, UnfitError

__all__ = [
    "Task",
    "batch_of",
    "good_tasks",
    "new_batch",
    "new_task",
    "new_tasks",
    "read_task",
    "sample_batches",
    "tasks_of",
    "wrap",
]

_PROLOG = re.compile(r"\s*<\?xml[^>]*\?>\s*")
#: Building, unit and room: what a label hides of an address.
_ROOM = re.compile(r"\d+(?:栋|幢|座|单元).+$")

#: What the samples say where a case number should stand, and none is.
_NO_CASE_NUMBER = "2023渝民初"
#: What a task holds, in order; what else there is follows.
_ELEMENTS = ("AnHao", "AnYou", "WenShu", "ShouSongDaRen", "DaiShouRen", "DuiFangDangShiRen", "JiJianRen", "HuiZhi")
#: Elements that hold text and nothing else.
_TEXTS = frozenset({"AnHao", "AnYou"})
_FRAME = ("fydm", "tjsj")

_COURT = "渝0113"
_SUBMITTED_AT = "2023-12-01T08:30:00+08:00"
_TYPES = ("民初", "民终", "执", "刑初", "行初")
_MATTERS = ("买卖合同纠纷", "民间借贷纠纷", "离婚纠纷", "机动车交通事故责任纠纷")
_BRACKETS = (("（", "）"), ("(", ")"), ("〔", "〕"))
_PAPERS = {
    "CP": "传票",
    "QSZ": "起诉状副本",
    "YSTZ": "应诉通知书",
    "PJS": "民事判决书",
    "CDS": "民事裁定书",
    "TJS": "民事调解书",
    "TZS": "举证通知书",
    "QT": "送达地址确认书",
}
_RELATIONS = ("配偶", "父亲", "女儿", "同事")
_TRADES = ("商贸", "建筑工程", "物流", "餐饮管理")


@dataclass(frozen=True, slots=True)
class Task:
    """What a court's rules must know of a task. Whatever the task does not say is empty."""

    rwid: str
    recipient: str = field(repr=False)
    is_organization: bool
    #: Whether the recipient confirmed the address (`querenshu`).
    address_is_confirmed: bool
    wants_receipt: bool
    designated: tuple[str, ...] = field(repr=False)
    opponents: tuple[str, ...] = field(repr=False)
    phones: tuple[str, ...] = field(repr=False)
    #: The recipient's whole address: no sentence may hold it; a label may where there is no room in it to hide.
    address: str = field(repr=False)
    #: Values that neither a sentence nor a label may hold: names and numbers of people, the room.
    personal: frozenset[str] = field(repr=False)


def read_task(element: Element) -> Task:
    """Read a `RenWu`, well-formed or not."""
    recipient, sender, receipt = (_attributes(element, name) for name in ("ShouSongDaRen", "JiJianRen", "HuiZhi"))
    designated = [dict(each.attrib) for each in element.iterfind("{*}DaiShouRen")]
    opponents = [str(each.get("xm", "")) for each in element.iterfind("{*}DuiFangDangShiRen")]
    is_organization = recipient.get("lx") == "FR"
    phones = [person.get("dh", "") for person in (recipient, sender, *designated)]
    names = [sender.get("lxr", ""), *opponents, *(person.get("xm", "") for person in designated)]
    address = recipient.get("dz", "")
    room = _ROOM.search(address)
    personal = [*phones, *names, recipient.get("zjhm", ""), room[0] if room else ""]
    personal += [] if is_organization else [recipient.get("xm", "")]
    return Task(
        rwid=str(element.get("rwid", "")),
        recipient=recipient.get("xm", ""),
        is_organization=is_organization,
        address_is_confirmed=recipient.get("querenshu") in {"true", "1"},
        wants_receipt=receipt.get("xuyao") in {"true", "1"},
        designated=tuple(person.get("xm", "") for person in designated),
        opponents=tuple(opponents),
        phones=tuple(filter(None, phones)),
        address=address,
        # A single character occurs by chance.
        personal=frozenset(value for value in personal if len(value) > 1),
    )


def _attributes(element: Element, name: str) -> dict[str, str]:
    found = element.find(f"{{*}}{name}")
    return {} if found is None else {str(key): str(value) for key, value in found.attrib.items()}


def tasks_of(batch: Element) -> list[Element]:
    """List the tasks of a batch, in order."""
    return list(batch.iterfind("{*}RenWu"))


def wrap(text: str) -> str:
    """Make the text of a task or of a batch that of a batch, without a prolog.

    A task becomes a batch of its own, whose number follows from its text: the same again is the same batch, and the
    same rwid with other content is in another. What is not XML stays as it is.
    """
    bare = _PROLOG.sub("", text, count=1)
    try:
        root = parse_text(bare)
    except ValueError:
        return bare
    if name_of(root) != "RenWu":
        return bare
    return text_of(_build_batch([root], f"DAN-{sha256(bare.encode()).hexdigest()[:16]}"))


def batch_of(document: JsonObject) -> str:
    """Make the text of a batch of one task, given as the contract's samples have it; UnfitError for what is not said.

    A member that is a text is an attribute, another one an element, a list several of that name. `fydm` and `tjsj` are
    the batch's.
    """
    frame = {name: document[name] for name in _FRAME if name in document}
    if not all(isinstance(value, str) for value in frame.values()):
        raise UnfitError("SongDaPiCi", "has an attribute that is no text")
    members = {name: value for name, value in document.items() if name not in _FRAME}
    named = sorted(members.items(), key=lambda item: _ELEMENTS.index(item[0]) if item[0] in _ELEMENTS else 99)
    try:
        task = _element_of("RenWu", dict(named))
        number = sha256(text_of(task).encode()).hexdigest()[:16]
        return text_of(build("SongDaPiCi", {"pch": f"DAN-{number}", **frame}, task))
    except ValueError:
        raise UnfitError("RenWu", "holds what XML cannot say") from None


def _element_of(name: str, value: Any) -> Element:
    if isinstance(value, str):
        return build(name, text=value)
    if not isinstance(value, dict):
        raise UnfitError(name, "is neither a text nor an object")
    attributes = {key: each for key, each in value.items() if isinstance(each, str) and key not in _TEXTS}
    children = [(key, each) for key, each in value.items() if key not in attributes]
    parts = [(key, part) for key, each in children for part in (each if isinstance(each, list) else [each])]
    return build(name, attributes, *(_element_of(key, part) for key, part in parts))


def good_tasks(batch: str) -> tuple[str, list[str]]:
    """Leave out the tasks of a sample batch that must be refused; gives its text and the rwids of the others."""
    root = parse_text(batch)
    for task in tasks_of(root):
        if task.findtext("{*}AnHao") == _NO_CASE_NUMBER:
            root.remove(task)
    return text_of(root), [str(task.get("rwid")) for task in tasks_of(root)]


def sample_batches() -> list[str]:
    """Read the contract's three sample batches, without their prologs; a few of their tasks must be refused."""
    folder = files("govpost.mocks").joinpath("data")
    bodies = [folder.joinpath(f"court_waybill_batch_{number}.xml").read_bytes() for number in (1, 2, 3)]
    return [_PROLOG.sub("", body.decode("gb18030"), count=1) for body in bodies]


def new_task(n: int, seed: int = 0) -> str:
    """Make the n-th synthetic task of a seed: the text of a `RenWu`."""
    return text_of(_build_task(n, seed))


def new_tasks(number: int | None = None, *, seed: int = 0, start: int = 0) -> Iterator[str]:
    """Make `number` synthetic tasks from the start-th on; without end where `number` is None."""
    places = count_from(start) if number is None else range(start, start + number)
    return (new_task(n, seed) for n in places)


def new_batch(count: int = 1, seed: int = 0, start: int = 0, batch_no: str = "") -> str:
    """Make a batch of synthetic tasks, without a prolog; its number follows from the others unless it is given."""
    number = batch_no or f"FY0113-20231201-{seed % 10**6:06d}-{start}-{count}"
    return text_of(_build_batch([_build_task(n, seed) for n in range(start, start + count)], number))


def _build_batch(tasks: list[Element], number: str) -> Element:
    return build("SongDaPiCi", {"pch": number, "fydm": _COURT, "tjsj": _SUBMITTED_AT}, *tasks)


def _build_task(n: int, seed: int) -> Element:
    dice = Random(f"{seed}/{n}")
    papers = dice.sample(sorted(_PAPERS), dice.randint(1, 3))
    return build(
        "RenWu",
        {"rwid": f"FY0113-20231201-{seed % 10**6:06d}-{n:06d}"},
        build("AnHao", text=_case_number(dice, n)),
        build("AnYou", text=dice.choice(_MATTERS)),
        *(build("WenShu", {"lb": kind, "mc": _PAPERS[kind], "fs": str(dice.randint(1, 3))}) for kind in papers),
        build("ShouSongDaRen", _recipient(dice)),
        *(build("DaiShouRen", _designated(dice)) for _ in range(dice.randint(0, 2))),
        *(build("DuiFangDangShiRen", {"xm": party(dice)[0]["name"]}) for _ in range(dice.randint(0, 2))),
        build("JiJianRen", _sender(dice)),
        build("HuiZhi", {"xuyao": _truth(dice.random() < 0.9), "qixian": "10"}),
    )


def _case_number(dice: Random, n: int) -> str:
    opening, closing = dice.choice(_BRACKETS)
    # 知 marks a case of intellectual property.
    return f"{opening}2023{closing}{_COURT}{dice.choice(('', '', '知'))}{dice.choice(_TYPES)}{n + 1}号"


def _recipient(dice: Random) -> dict[str, str]:
    person, division = party(dice)
    known = {
        "dh": person["mobile"],
        "dz": f"重庆市{person['county']}{person['address']}",
        "xzqh": division,
        "yb": person["postcode"],
        "querenshu": _truth(dice.random() < 0.6),
    }
    if dice.random() < 0.2:
        return {"xm": f"重庆{person['name']}{dice.choice(_TRADES)}有限公司", "lx": "FR", **known}
    number = citizen_id(dice, division=division)
    return {"xm": person["name"], "zjlx": "111", "zjhm": number, "lx": "ZRR", **known}


def _designated(dice: Random) -> dict[str, str]:
    person, _ = party(dice)
    return {"xm": person["name"], "gx": dice.choice(_RELATIONS), "dh": person["mobile"]}


def _sender(dice: Random) -> dict[str, str]:
    clerk, _ = party(dice)
    return {"mc": "重庆市巴南区人民法院", "lxr": clerk["name"], "dh": mobile(dice), "dz": "重庆市巴南区龙洲大道"}


def _truth(value: bool) -> str:  # noqa: FBT001 - there is nothing else to it
    return str(value).lower()
