"""Read XML of systems that declare one encoding and write another, without giving a hostile document any room.

Whatever could expand, fetch or fill memory is refused on the text, before a parser sees it: documents that are too
large, document types and with them all entities, too many tags. The declared encoding decides nothing that the bytes
say better.
"""

import re

from lxml import etree

from govpost.schemas.errors import UnreadableError

__all__ = ["decode_xml", "parse_xml"]

#: What is read takes a hundred times the room of a short tag.
_MOST_TAGS = 50_000

_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["'](GBK|GB2312|GB18030)["']""", re.IGNORECASE)


def decode_xml(body: bytes, *, max_bytes: int) -> str:
    """Decode a document: as UTF-8 where it is that, whatever it declares, else as the Chinese encoding it declares.

    Chinese text in a GB encoding is no UTF-8 but by the rarest chance, while the converse mistake looks like text.
    Raises UnreadableError for what is too large or is neither.
    """
    if len(body) > max_bytes:
        raise UnreadableError(f"answer is larger than {max_bytes} bytes")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    if not _DECLARED.match(body):
        raise UnreadableError("answer is not UTF-8, and does not say what else")
    try:
        return body.decode("gb18030")
    except UnicodeDecodeError:
        raise UnreadableError("answer is neither UTF-8 nor what it declares") from None


def parse_xml(text: str) -> etree._Element:
    """Parse a document, whatever encoding its declaration names, and give its root; comments are left out.

    Raises UnreadableError for what is not XML, has a document type, or far too many tags; the message never quotes it.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableError("answer has a document type")
    if text.count("<") > _MOST_TAGS:
        raise UnreadableError("answer has far too many tags")
    try:
        root = etree.fromstring(text.strip().encode(), _parser())
    except (etree.XMLSyntaxError, UnicodeEncodeError):
        raise UnreadableError("answer is not XML") from None  # the original message quotes it
    return root


def _parser() -> etree.XMLParser:
    """Make a parser; one that is shared would make threads wait for one another."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
