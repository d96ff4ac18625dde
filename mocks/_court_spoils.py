"""Batches that a gateway must refuse, and what it must say to them (contract: court_waybill).

Each is made of a good batch of at least one task, and is signed as well as that one: only its content is bad.
"""

from collections.abc import Callable
from dataclasses import dataclass

from govpost.mocks._court_tasks import tasks_of
from govpost.mocks._court_xml import PROLOG, Element, build, encode, parse_text, text_of

__all__ = ["SPOILS", "Spoil"]

_INVALID, _CONFLICT, _TASK_REFUSED = "4", "5", "1"
_MOST_TASKS = 500
_ROOT = "SongDaPiCi"
#: A task stands two deep.
_JUST_TOO_DEEP = 31
_MUCH_TOO_DEEP = 100_000
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_NO_HANZI = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Spoil:
    """A way to spoil a batch."""

    #: What the contract wants the whole batch answered, or (1) one of its tasks.
    answer: str
    #: The text of a good batch, without a prolog → the body of a bad one.
    apply: Callable[[str], bytes]


def _in_task(change: Callable[[Element], object]) -> Callable[[str], bytes]:
    """Spoil a batch by changing its first task."""

    def apply(text: str) -> bytes:
        batch = parse_text(text)
        change(tasks_of(batch)[0])
        return encode(text_of(batch))

    return apply


def _with_dtd(declaration: str, reference: str = "") -> Callable[[str], bytes]:
    """Put a DTD in front, and a reference into the first task."""

    def apply(text: str) -> bytes:
        return encode(declaration + text.replace("</AnYou>", f"{reference}</AnYou>", 1))

    return apply


def _nested(depth: int) -> Callable[[str], bytes]:
    """Let the first task end with elements in one another."""

    def apply(text: str) -> bytes:
        return encode(text.replace("</RenWu>", "<X>" * depth + "</X>" * depth + "</RenWu>", 1))

    return apply


def _bomb() -> str:
    """Declare an entity that is three billion characters long when it is resolved."""
    levels = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10)]
    return f'<!DOCTYPE {_ROOT} [<!ENTITY e0 "lol">{"".join(levels)}]>'


def _too_many(text: str) -> bytes:
    batch = parse_text(text)
    first = text_of(tasks_of(batch)[0])
    for n in range(len(tasks_of(batch)), _MOST_TASKS + 1):
        more = parse_text(first)
        more.set("rwid", f"{more.get('rwid')}-{n}")
        batch.append(more)
    return encode(text_of(batch))


def _without_tasks(text: str) -> bytes:
    batch = parse_text(text)
    for task in tasks_of(batch):
        batch.remove(task)
    return encode(text_of(batch))


def _twice(text: str) -> bytes:
    """Let the batch end with its first rwid again, of another case."""
    batch = parse_text(text)
    again = parse_text(text_of(tasks_of(batch)[0]))
    again.find("{*}AnYou").text = "另案"
    batch.append(again)
    return encode(text_of(batch))


def _without(name: str) -> Callable[[Element], None]:
    def change(task: Element) -> None:
        for element in list(task.iterfind(f"{{*}}{name}")):
            task.remove(element)

    return change


def _set(name: str, attribute: str, value: str) -> Callable[[Element], None]:
    return lambda task: task.find(f"{{*}}{name}").set(attribute, value)


def _say(name: str, text: str) -> Callable[[Element], None]:
    def change(task: Element) -> None:
        task.find(f"{{*}}{name}").text = text

    return change


def _add_papers(task: Element) -> None:
    first = task.find("{*}WenShu")
    for _ in range(20):
        first.addnext(build("WenShu", dict(first.attrib)))


SPOILS: dict[str, Spoil] = {
    # What is no XML of the contract.
    "empty": Spoil(_INVALID, lambda _: b""),
    "truncated": Spoil(_INVALID, lambda text: encode(text)[:-20]),
    "no_prolog": Spoil(_INVALID, lambda text: text.encode("gb18030")),
    "utf_8": Spoil(_INVALID, lambda text: (PROLOG.replace("GB18030", "UTF-8") + text).encode()),
    "declares_utf_8": Spoil(_INVALID, lambda text: encode(text).replace(b"GB18030", b"UTF-8", 1)),
    "declares_gb18030": Spoil(_INVALID, lambda text: (PROLOG + text).encode()),
    "bom": Spoil(_INVALID, lambda text: (_BOM + PROLOG + text).encode("gb18030")),
    "utf_8_bom": Spoil(_INVALID, lambda text: _BOM.encode() + encode(text)),
    "invalid_gb18030": Spoil(_INVALID, lambda text: encode(text).replace(b"</AnYou>", _NO_HANZI + b"</AnYou>", 1)),
    # What is harmful.
    "dtd": Spoil(_INVALID, _with_dtd(f"<!DOCTYPE {_ROOT}>")),
    "external_dtd": Spoil(_INVALID, _with_dtd(f'<!DOCTYPE {_ROOT} SYSTEM "http://127.0.0.1:9/batch.dtd">')),
    "external_entity": Spoil(
        _INVALID, _with_dtd(f'<!DOCTYPE {_ROOT} [<!ENTITY e SYSTEM "file:///etc/hostname">]>', "&e;")
    ),
    "entity_bomb": Spoil(_INVALID, _with_dtd(_bomb(), "&e9;")),
    "too_deep": Spoil(_INVALID, _nested(_JUST_TOO_DEEP)),
    "far_too_deep": Spoil(_INVALID, _nested(_MUCH_TOO_DEEP)),
    # What is no batch.
    "other_root": Spoil(_INVALID, lambda text: encode(text.replace(_ROOT, "PiCi"))),
    "other_namespace": Spoil(_INVALID, lambda text: encode(text.replace("court-waybill:1", "court-waybill:2", 1))),
    "too_many_tasks": Spoil(_INVALID, _too_many),
    "no_task": Spoil(_INVALID, _without_tasks),
    "no_batch_no": Spoil(_INVALID, lambda text: encode(text.replace(" pch=", " x=", 1))),
    #: Bad only behind the good batch that it is made of.
    "reused_batch_no": Spoil(_CONFLICT, _in_task(_say("AnYou", "另案"))),
    # What is no task; it does not sink its batch.
    "duplicate_rwid": Spoil(_TASK_REFUSED, _twice),
    "no_document": Spoil(_TASK_REFUSED, _in_task(_without("WenShu"))),
    "too_many_documents": Spoil(_TASK_REFUSED, _in_task(_add_papers)),
    "no_recipient": Spoil(_TASK_REFUSED, _in_task(_without("ShouSongDaRen"))),
    "impossible_case_number": Spoil(_TASK_REFUSED, _in_task(_say("AnHao", "2023渝民初"))),
    "unknown_document_type": Spoil(_TASK_REFUSED, _in_task(_set("WenShu", "lb", "XX"))),
    "unknown_recipient_type": Spoil(_TASK_REFUSED, _in_task(_set("ShouSongDaRen", "lx", "XX"))),
    "bad_phone": Spoil(_TASK_REFUSED, _in_task(_set("ShouSongDaRen", "dh", "1"))),
}
