"""Read a batch: its frame as a whole, each task by itself, so that a bad one does not sink the others."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any

from lxml import etree

from govpost.adapters.court_waybill.fields import CASE_NO, COURT, FIELDS, FIXED, FRAME, ORGANIZATION
from govpost.adapters.fields import build_order, wire_to_order
from govpost.adapters.protocols import sm
from govpost.adapters.protocols.content import order_content
from govpost.adapters.protocols.strict_xml import as_xml_text
from govpost.schemas import Batch, Denied, Place, Problem
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError
from govpost.schemas.identifiers import check_case_no

__all__ = ["NAMESPACE", "build_element", "find_tasks", "read_batch"]

NAMESPACE = "urn:govpost:court-waybill:1"

_NS = f"{{{NAMESPACE}}}"
_ROOT = f"{_NS}SongDaPiCi"
_TASK = f"{_NS}RenWu"
_MOST_TASKS = 500

#: What a task may hold several of, and is a list also where it holds one.
_REPEATED = frozenset({"WenShu", "DaiShouRen", "DuiFangDangShiRen"})


def build_element(name: str, /, **attributes: str) -> etree._Element:
    """Make an element of the wire's namespace."""
    texts = {attribute: as_xml_text(value) for attribute, value in attributes.items()}
    return etree.Element(f"{_NS}{name}", texts, nsmap={None: NAMESPACE})


def read_batch(root: etree._Element) -> Batch:
    """Read a batch from its root; raises MappingError for a frame that does not fit."""
    if root.tag != _ROOT:
        raise MappingError("", "the root is no SongDaPiCi")
    frame = dict(root.attrib)
    batch_no = wire_to_order(FRAME, frame)["batch_no"]
    tasks = find_tasks(root)
    if not 1 <= len(tasks) <= _MOST_TASKS:
        raise MappingError("RenWu", f"there must be 1 to {_MOST_TASKS}")
    if not _schema("batch").validate(root):
        raise MappingError("SongDaPiCi", "does not fit batch.xsd")
    documents = [{**_beside(frame), **_document(task), "fydm": frame["fydm"]} for task in tasks]
    contents = [order_content(document) for document in documents]
    commands = tuple(
        _read_task(task, {**document, "tjsj": frame["tjsj"]}, content)
        for task, document, content in zip(tasks, documents, contents, strict=True)
    )
    return Batch(batch_no, _digest(contents), commands)


def find_tasks(root: etree._Element) -> list[etree._Element]:
    """List the tasks of a batch."""
    return list(root.iterchildren(_TASK))


def _beside(frame: Mapping[str, str]) -> JsonObject:
    """Give what a batch says and we have no word for: every task says it."""
    extras: JsonObject = wire_to_order(FRAME, dict(frame)).get("extras", {})
    return extras


def _read_task(task: etree._Element, document: JsonObject, content: JsonObject) -> Place | Denied:
    try:
        order = build_order(FIELDS, {**document, **FIXED, **_derived(document)})
    except MappingError as error:
        return Denied(Problem.INVALID, error.reason, error.path or None)
    if not _schema("task").validate(task):
        return Denied(Problem.INVALID, "does not fit task.xsd", "RenWu")
    return Place(order, content)


def _derived(document: JsonObject) -> JsonObject:
    """Say twice what the order says twice; what does not fit is found where it stands on the wire."""
    case_no, sender, recipient = (document.get(name) for name in ("AnHao", "JiJianRen", "ShouSongDaRen"))
    derived: JsonObject = {}
    if isinstance(case_no, str):
        with suppress(ValueError):
            derived[CASE_NO] = check_case_no(case_no)
    if isinstance(sender, dict):
        derived[COURT] = sender.get("mc")
    if isinstance(recipient, dict) and recipient.get("lx") == "FR":
        derived[ORGANIZATION] = recipient.get("xm")
    return derived


def _document(element: etree._Element) -> JsonObject:
    """Turn an element into a JSON document: attributes and children as members, text beside them as `#text`."""
    document: JsonObject = dict(element.attrib)
    for child in element:
        is_text = not child.attrib and not len(child)
        _add(document, _local_name(child), _text(child) if is_text else _document(child))
    if _text(element):
        _add(document, "#text", _text(element))
    return document


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _local_name(element: etree._Element) -> str:
    return str(element.tag).removeprefix(_NS)


def _add(document: JsonObject, name: str, value: Any) -> None:
    """Add a member; what comes again makes a list of it, and nothing is lost."""
    if name not in document:
        document[name] = [value] if name in _REPEATED else value
    elif isinstance(document[name], list):
        document[name].append(value)
    else:
        document[name] = [document[name], value]


def _digest(contents: Sequence[JsonObject]) -> bytes:
    """Digest what the batch says, whenever it was sent."""
    return sm.sm3(json.dumps(contents, ensure_ascii=False, sort_keys=True).encode())


@cache
def _schema(name: str) -> etree.XMLSchema:
    """Compile a schema of the wire's contract; once, at the first need."""
    source = files("govpost.schemas").joinpath("wire", "court_waybill", f"{name}.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(source))
