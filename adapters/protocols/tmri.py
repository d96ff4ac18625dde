"""The documents inside TMRI's calls: a prolog that says GBK, every text URL-encoded as UTF-8 (contract: vehicle_admin).

What goes out is ASCII, so that its prolog is true in any case. What comes in is a string that has to be URL-decoded and
then parsed. Done in this order one value with a stray percent sign would spoil the answer; so the document is parsed
first, and each value decoded and then unescaped, which says the same. A string that is encoded with its markup is
decoded as a whole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote_plus

from govpost.adapters.protocols.guarded_xml import parse_xml
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError, UnreadableError

__all__ = ["FAILURE", "MAX_RECORDS", "Answer", "Record", "build_document", "parse_answer"]

#: What an answer begins with that is no document: a failure of the system, the network, or of rights. Also the code
#: that such an answer is given here.
FAILURE = "$E"

#: Records of an answer that is still believed; ten times what the contract allows.
MAX_RECORDS = 1000

_PROLOG = '<?xml version="1.0" encoding="GBK"?>'
_FAILED = re.compile(r"(?:\$|%24)E")
_ENCODED_MARKUP = re.compile(r"%3C", re.IGNORECASE)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: A text that is nothing but URL-encoding, with Chinese in it. No text of people looks so.
_ENCODED_TWICE = re.compile(r"(?=.*%[89A-F])(?:[A-Za-z0-9_.~*+-]|%[0-9A-F]{2})+", re.IGNORECASE)
_PLAIN_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_REFERENCE = re.compile(r"&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


@dataclass(frozen=True, slots=True)
class Record:
    """One REC: its elements by name. What cannot be decoded stands as it came."""

    fields: JsonObject = field(repr=False)
    #: What is wrong with the first element that is no text.
    fault: MappingError | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered with."""

    #: `$E` where it was no document.
    code: str
    message: str = field(default="", repr=False)
    #: How many records there are to it; None where it does not say.
    rownum: int | None = None
    records: tuple[Record, ...] = field(default=(), repr=False)


def build_document(name: str, values: Mapping[str, str]) -> bytes:
    """Write `<root><name>…</name></root>` with the values in their order."""
    members = "".join(f"<{key}>{quote(value, safe='')}</{key}>" for key, value in values.items())
    return f"{_PROLOG}<root><{name}>{members}</{name}></root>".encode("ascii")


def parse_answer(text: str) -> Answer:
    """Read the string that a call returned.

    Raises UnreadableError for what is neither a failure nor a document with a head, for one that is URL-encoded twice,
    and for far too many records. What is wrong with a single record is said with it.
    """
    text = text.strip()
    if _FAILED.match(text):
        return Answer(FAILURE, _lenient(text))
    is_encoded = _ENCODED_MARKUP.match(text) is None
    root = parse_xml(text if is_encoded else unquote_plus(text, errors="replace"))
    head, records = root.find("head"), root.findall("body/REC")
    if root.tag != "root" or head is None or not head.findtext("code", "").strip():
        raise UnreadableError("answer has no head with a code")
    if len(records) > MAX_RECORDS:
        raise UnreadableError("answer has far too many records")
    return Answer(
        code=_lenient(head.findtext("code", "")),
        message=_lenient(head.findtext("message", "")),
        rownum=_count(_lenient(head.findtext("rownum", ""))),
        records=tuple(_record(record, is_encoded=is_encoded) for record in records),
    )


def _lenient(text: str) -> str:
    """Decode what nobody acts upon by its very letters."""
    return unquote_plus(text, errors="replace").strip()


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _record(element: Any, *, is_encoded: bool) -> Record:
    fields: JsonObject = {}
    fault = None
    for member in element:
        if member.tag in fields:
            fault = fault or _fault(member, "comes twice")
            continue
        try:
            fields[member.tag] = _text(member, is_encoded=is_encoded)
        except ValueError as error:
            fields[member.tag] = "".join(member.itertext())
            fault = fault or _fault(member, str(error))
    return Record(fields, fault)


def _fault(member: Any, reason: str) -> MappingError:
    """Name an element by its tag, unless that is none that anybody would choose."""
    return MappingError(member.tag if _PLAIN_TAG.fullmatch(member.tag) else "an element", reason)


def _text(member: Any, *, is_encoded: bool) -> str:
    """Decode one value; raises ValueError, which never holds the value, where it is none."""
    if len(member):
        raise ValueError("must be text")
    text = member.text or ""
    if is_encoded:
        text = _REFERENCE.sub(_referred, _decoded(text))
    if _ENCODED_TWICE.fullmatch(text):
        raise UnreadableError("answer is URL-encoded twice")
    if _CONTROLS.search(text):
        raise ValueError("holds a control character")
    return text.strip()


def _decoded(text: str) -> str:
    if _STRAY_PERCENT.search(text):
        raise ValueError("is not URL-encoded")
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("is not URL-encoded UTF-8") from None


def _referred(match: re.Match[str]) -> str:
    """Resolve a character reference: what GBK lacks is written so by what believes the prolog."""
    decimal, hexadecimal, name = match.groups()
    if name:
        return _ENTITIES[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError("names a character that does not exist")
    return chr(code)
