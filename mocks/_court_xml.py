"""The documents of a court and a gateway: read, written, held to their XSD (contract: court_waybill, profile v1)."""

import re
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from lxml import etree

from govpost.mocks.base import UnfitError

__all__ = ["NAMESPACE", "PROLOG", "Element", "build", "check", "encode", "name_of", "parse", "parse_text", "text_of"]

NAMESPACE = "urn:govpost:court-waybill:1"
PROLOG = '<?xml version="1.0" encoding="GB18030"?>\n'

#: An element of lxml, which has no types.
Element: TypeAlias = Any

_MAX_DEPTH = 32
_DECLARATION = re.compile(rb"""<\?xml version=(["'])1\.0\1 encoding=(["'])GB18030\2\s*\?>""", re.IGNORECASE)
#: Root → the XSD that it is held to. A batch is held to the first, each of its tasks to the second.
_SCHEMAS = {
    "SongDaPiCi": "batch",
    "RenWu": "task",
    "HuiChuan": "huichuan",
    "PiCiJieGuo": "answers",
    "YingDa": "answers",
}
#: What libxml2 says first of a broken rule; what it says then may quote the value.
_PLACE = re.compile(r"Element '(?:\{[^}]*\})?([^']+)'(?:, attribute '([^']+)')?: (.*)", re.DOTALL)
_MISSING = re.compile(r"The attribute '([^']+)' is required but missing")
_FACET = re.compile(r"\[facet '(\w+)'\]")
#: Name of libxml2's rule → what it says of the place.
_REASONS = {
    "SCHEMAV_CVC_ELT_1": "is no document of the contract",
    "SCHEMAV_ELEMENT_CONTENT": "is not expected here, or lacks an element",
    "SCHEMAV_CVC_COMPLEX_TYPE_2_1": "is not empty",
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": "holds text between its elements",
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1": "is not in the contract",
    "SCHEMAV_CVC_COMPLEX_TYPE_4": "is missing",
}


def build(name: str, attributes: dict[str, str] | None = None, *children: Element, text: str | None = None) -> Element:
    """Build an element of the contract's namespace."""
    element = etree.Element(f"{{{NAMESPACE}}}{name}", attributes, nsmap={None: NAMESPACE})
    element.text = text
    element.extend(children)
    return element


def text_of(element: Element) -> str:
    """Write an element without a prolog."""
    return str(etree.tostring(element, encoding="unicode", with_tail=False))


def encode(text: str) -> bytes:
    """Make the text of a document a body: the prolog in front, GB18030."""
    return (PROLOG + text).encode("gb18030")


def name_of(element: Element) -> str:
    """Give an element's name without its namespace."""
    return str(etree.QName(element).localname)


def parse_text(text: str) -> Element:
    """Read a document of a court's own; ValueError where it is none."""
    try:
        return etree.fromstring(encode(text), _parser())
    except etree.XMLSyntaxError:
        raise ValueError("is not XML") from None


def parse(body: bytes, *, where: str, code: str) -> Element:
    """Read a document of the other side; UnfitError where it is not declared, not well-formed or not harmless."""
    if _DECLARATION.match(body) is None:
        raise UnfitError(where, "does not begin with a prolog that declares GB18030", code=code)
    # `<` is no byte of a longer character, so this is exact.
    if b"<!DOCTYPE" in body:
        raise UnfitError(where, "has a DTD", code=code)
    try:
        root = etree.fromstring(body, _parser())
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise UnfitError(where, f"is not XML in GB18030 (line {line}, column {column})", code=code) from None
    if _depth(root) > _MAX_DEPTH:
        raise UnfitError(where, f"is deeper than {_MAX_DEPTH}", code=code)
    return root


def check(element: Element, *, where: str = "", code: str) -> None:
    """Hold an element to its XSD; UnfitError names the place and the rule, never a value."""
    name = name_of(element)
    if name not in _SCHEMAS:
        raise UnfitError(f"{where}{name}", "is no document of the contract", code=code)
    try:
        _schema(_SCHEMAS[name]).assertValid(element)
    except etree.DocumentInvalid as error:
        first = error.error_log[0]
        place, rule = _read_complaint(first.type_name, first.message)
        raise UnfitError(where + place, rule, code=code) from None


def _read_complaint(rule: str, message: str) -> tuple[str, str]:
    place = _PLACE.match(message)
    if place is None:
        return "document", f"breaks the rule {rule}"
    element, attribute, rest = place.groups()
    missing, facet = _MISSING.match(rest), _FACET.match(rest)
    attribute = missing[1] if missing else attribute
    known = f"does not fit its {facet[1]}" if facet else _REASONS.get(rule, "does not fit its type")
    return f"{element}/@{attribute}" if attribute else element, known


def _parser() -> Any:
    return etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )


def _depth(root: Element) -> int:
    depth = deepest = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


@cache
def _schema(name: str) -> Any:
    path = files("govpost.schemas").joinpath("wire", "court_waybill", f"{name}.xsd")
    return etree.XMLSchema(etree.fromstring(path.read_bytes()))
