"""Read and write XML as strictly as a signed document deserves: one declared encoding, and elements and text alone.

What the parser need not see it does not get: size, declaration, encoding, document types and processing instructions
are judged on the bytes and the text, so nothing is ever expanded, fetched or resolved. What it gets it reads piece by
piece, and the reading ends where the nesting is too deep.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from govpost.schemas.errors import UnreadableError

__all__ = ["XmlForm", "as_xml_text", "dump_xml", "parse_xml"]

_DECLARATION = re.compile(
    rb"""<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*["']1\.0["']"""
    rb"""[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z][A-Za-z0-9._-]*)["']"""
    rb"""(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*["'](?:yes|no)["'])?[ \t\r\n]*\?>"""
)
#: What begins a thing that no document of ours holds. In CDATA it would be text; nobody writes that.
_FORBIDDEN = {"<!DOCTYPE": "a document type", "<?": "a processing instruction"}

#: What XML 1.0 cannot hold, in any form.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class XmlForm:
    """How the documents of one wire are written, and how much of them there may be."""

    max_bytes: int
    #: As declared; also the name of Python's codec.
    encoding: str = "GB18030"
    max_depth: int = 32
    #: Beginnings of tags. What is read takes a hundred times the room of a short tag.
    max_tags: int = 100_000


def parse_xml(body: bytes, *, form: XmlForm) -> etree._Element:
    """Parse a document and give its root; comments are left out.

    Raises UnreadableError for whatever does not keep to the form, and says which, never a value.
    """
    if len(body) > form.max_bytes:
        raise UnreadableError(f"body is larger than {form.max_bytes} bytes")
    text = _decoded(body, form.encoding)
    for mark, what in _FORBIDDEN.items():
        if mark in text:
            raise UnreadableError(f"body holds {what}")
    if text.count("<") > 2 * form.max_tags:
        raise UnreadableError(f"body holds more than {form.max_tags} elements")
    try:
        return _parsed(text.encode(), form.max_depth)
    except etree.XMLSyntaxError as error:
        # `from None`: the original message quotes the document.
        where = f" (line {error.lineno}, column {error.offset})" if error.lineno else ""
        raise UnreadableError(f"body is not XML{where}") from None


def as_xml_text(text: str) -> str:
    """Put the replacement character for what XML cannot hold: controls, for one, which may stand in JSON."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def dump_xml(root: etree._Element, *, encoding: str = "GB18030") -> bytes:
    """Write a document with its declaration, on one line where no text has several."""
    content: str = etree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="{encoding}"?>{content}'.encode(encoding)


def _decoded(body: bytes, encoding: str) -> str:
    """Decode what follows the declaration, which must be the very first thing: a byte order mark is none."""
    declaration = _DECLARATION.match(body)
    if declaration is None:
        raise UnreadableError("body does not begin with an XML declaration that names its encoding")
    if declaration[1].decode().upper() != encoding.upper():
        raise UnreadableError(f"body is not declared to be {encoding}")
    try:
        # The line breaks of the declaration stay, so that lines are counted from the top. The blank keeps a byte order
        # mark from being taken for one.
        return "\n" * declaration[0].count(b"\n") + " " + body[declaration.end() :].decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"body is not {encoding} (byte {declaration.end() + error.start})") from None


def _parsed(data: bytes, max_depth: int) -> etree._Element:
    parser = etree.XMLPullParser(
        events=("start", "end"),
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
    )
    depth = 0
    for piece in _pieces(data):
        try:
            parser.feed(piece)
        finally:  # libxml2 has a limit of its own, and breaks off at it
            depth = _depth(parser, depth, max_depth)
    root: etree._Element = parser.close()
    return root


def _depth(parser: etree.XMLPullParser, depth: int, max_depth: int) -> int:
    for event, _ in parser.read_events():
        depth += 1 if event == "start" else -1
        if depth > max_depth:
            raise UnreadableError(f"body is nested deeper than {max_depth}") from None
    return depth


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
