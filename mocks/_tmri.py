"""SOAP as Apache Axis 1.4 speaks it, and the documents that TMRI puts inside (contract: vehicle_admin)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from govpost.mocks.base import UnfitError
from govpost.schemas import WireRequest

__all__ = [
    "REQUEST_NAMESPACE",
    "SERVICES",
    "Call",
    "is_sayable",
    "parse_call",
    "parse_document",
    "write_answer",
    "write_envelope",
    "write_fault",
    "write_text",
    "write_wsdl",
]

REQUEST_NAMESPACE = "http://endpoint.axis.framework.tmri.com"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"

_OLD = ("xtlb", "jkxlh", "jkid", "UTF8XmlDoc")
_WITH_USER = ("xtlb", "jkxlh", "jkid", "yhbz", "dwmc", "dwjgdm", "yhxm", "zdbs", "UTF8XmlDoc")
#: The arguments in the middle stand in another order than in `_WITH_USER`.
_NEW = ("xtlb", "jkxlh", "jkid", "cjsqbh", "dwjgdm", "dwmc", "yhbz", "yhxm", "zdbs", "UTF8XmlDoc")
#: Service → operation → its arguments, in their order.
SERVICES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "TmriOutAccess": {"queryObjectOut": _OLD, "writeObjectOut": _OLD},
    "TmriOutNewAccess": {
        "queryObjectOut": _WITH_USER,
        "writeObjectOut": _WITH_USER,
        "queryObjectOutNew": _NEW,
        "writeObjectOutNew": _NEW,
    },
}

_PROLOG = '<?xml version="1.0" encoding="GBK"?>'
_SAYS_GBK = re.compile(r"""<\?xml\s+version=(["'])1\.0\1\s+encoding=(["'])GBK\2\s*\?>""", re.IGNORECASE)
#: As Java's URLDecoder takes it: + is a space.
_URL_ENCODED = re.compile(r"(?:[A-Za-z0-9_.~*+-]|%[0-9A-Fa-f]{2})*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
#: What XML 1.0 cannot hold.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was read: its arguments are those of its operation."""

    operation: str
    arguments: Mapping[str, str] = field(repr=False)

    @property
    def jkid(self) -> str:
        """Which interface is called."""
        return self.arguments["jkid"]

    @property
    def is_write(self) -> bool:
        """Whether the operation is one that writes."""
        return self.operation.startswith("write")


def parse_call(request: WireRequest, *, service: str) -> Call:
    """Read a call; UnfitError for one that Axis would not understand, or that is not in the order of the contract."""
    _check_headers(request)
    envelope = _parse(request.body, where="body")
    if envelope.tag != f"{{{_SOAP}}}Envelope":
        raise UnfitError("Envelope", "is not SOAP 1.1's")
    body = envelope.find(f"{{{_SOAP}}}Body")
    if body is None or len(body) != 1:
        raise UnfitError("Body", "does not hold one operation")
    name = etree.QName(body[0])
    if name.namespace != REQUEST_NAMESPACE:
        raise UnfitError("operation", f"is not in the namespace {REQUEST_NAMESPACE}")
    if name.localname not in SERVICES[service]:
        raise UnfitError("operation", f"is none of {', '.join(SERVICES[service])}")
    return Call(name.localname, _read_arguments(body[0], SERVICES[service][name.localname]))


def parse_document(text: str, *, wanted: str) -> dict[str, str]:
    """Read the elements of a request's document, which are in `wanted`; those that are empty are left out."""
    if not _SAYS_GBK.match(text):
        raise UnfitError("UTF8XmlDoc", "has not the prolog that says GBK")
    try:
        root = _parse(text.encode("gbk"), where="UTF8XmlDoc")
    except UnicodeEncodeError:
        raise UnfitError("UTF8XmlDoc", "is not in GBK") from None
    if root.tag != "root" or [child.tag for child in root] != [wanted]:
        raise UnfitError("UTF8XmlDoc", f"is not a root with one {wanted}")
    members: dict[str, str] = {}
    for element in root[0]:
        if element.tag in members:
            raise UnfitError(f"{wanted}.{element.tag}", "comes twice")
        members[element.tag] = _decode(_text_of(element, where=wanted), where=f"{wanted}.{element.tag}")
    return {name: value for name, value in members.items() if value}


def write_answer(head: Mapping[str, str], *, records: Sequence[Mapping[str, str]] | None, first_id: int) -> str:
    """Write the document of an answer; None for records where it has no body."""
    return f"{_PROLOG}<root><head>{_write_members(head)}</head>{_write_body(records, first_id)}</root>"


def write_text(text: str) -> str:
    """Write a text so that it can be parsed once the whole answer is decoded."""
    return quote(escape(text), safe="")


def is_sayable(value: object, *, name: str) -> bool:
    """Tell whether a member can be an element: a name of XML with a text that XML can hold."""
    return isinstance(value, str) and not _NO_XML.search(value) and bool(_NAME.fullmatch(name))


def write_envelope(answer: str, *, operation: str, namespace: str, has_types: bool) -> str:
    """Write what an operation returns."""
    kind = ' xsi:type="xsd:string"' if has_types else ""
    returned = f"<{operation}Return{kind}>{escape(answer)}</{operation}Return>"
    style = f'soapenv:encodingStyle="{_ENCODING}" xmlns:ns1={quoteattr(namespace)}'
    return _write_soap(f"<ns1:{operation}Response {style}>{returned}</ns1:{operation}Response>")


def write_fault(reason: str, *, code: str) -> str:
    """Write a fault, its code one of SOAP's (`Client`, `Server.userException`)."""
    members = f"<faultcode>soapenv:{code}</faultcode><faultstring>{escape(reason)}</faultstring><detail/>"
    return _write_soap(f"<soapenv:Fault>{members}</soapenv:Fault>")


def write_wsdl(service: str, *, endpoint: str) -> bytes:
    """Write a service's WSDL as it describes itself at an address, which is its namespace, too."""
    path = files("govpost.schemas").joinpath("wire", "vehicle_admin", f"{service}.wsdl")
    text = path.read_bytes()
    address = etree.fromstring(text).find(f".//{{{_WSDL_SOAP}}}address").get("location")
    return text.replace(escape(address).encode(), escape(endpoint).encode())


def _check_headers(request: WireRequest) -> None:
    action = request.headers.get("SOAPAction")
    if action is None:
        raise UnfitError("header SOAPAction", "is missing")
    if action not in {"", '""'}:
        raise UnfitError("header SOAPAction", "is not empty")
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "text/xml":
        raise UnfitError("header Content-Type", "is not text/xml")


def _parse(document: bytes, *, where: str) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        raise UnfitError(where, "is not XML") from None
    if root.getroottree().docinfo.doctype:
        raise UnfitError(where, "has a DOCTYPE")
    return root


def _read_arguments(operation: Any, wanted: tuple[str, ...]) -> dict[str, str]:
    if tuple(element.tag for element in operation) != wanted:
        raise UnfitError("arguments", f"are not {', '.join(wanted)}, in this order and in no namespace")
    return {element.tag: _text_of(element, where="arguments") for element in operation}


def _text_of(element: Any, *, where: str) -> str:
    if len(element):
        raise UnfitError(f"{where}.{element.tag}", "is no text")
    return element.text or ""


def _decode(value: str, *, where: str) -> str:
    if not _URL_ENCODED.fullmatch(value):
        raise UnfitError(where, "is not URL-encoded")
    try:
        text = unquote_to_bytes(value.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise UnfitError(where, "is not UTF-8 once it is URL-decoded") from None
    if _ESCAPE.search(text):
        raise UnfitError(where, "is URL-encoded twice")
    return text


def _write_members(members: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{write_text(value)}</{name}>" for name, value in members.items())


def _write_body(records: Sequence[Mapping[str, str]] | None, first_id: int) -> str:
    if records is None:
        return ""
    written = (f'<REC id="{n}">{_write_members(record)}</REC>' for n, record in enumerate(records, first_id))
    return f"<body>{''.join(written)}</body>"


def _write_soap(body: str) -> str:
    names = (
        f'xmlns:soapenv="{_SOAP}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    )
    envelope = f"<soapenv:Envelope {names}><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{envelope}'
