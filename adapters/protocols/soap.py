"""SOAP 1.1, rpc/encoded, as Apache Axis 1.4 speaks it: zeep writes requests and reads answers, and carries none.

A WSDL of ours is parsed at its first use and then shared by all threads. zeep is given nothing to load others with.
"""

import io
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any, Never

from lxml import etree
from zeep import Client, Settings, ns
from zeep.exceptions import Error

from govpost.adapters.protocols.guarded_xml import decode_xml, parse_xml
from govpost.schemas.errors import UnreadableError

__all__ = ["HEADERS", "SoapService", "load_service"]

#: Goes with every request. An empty SOAPAction is written as an empty quoted string.
HEADERS: Mapping[str, str] = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}

#: No answer is larger.
MAX_BYTES = 2 * 1024 * 1024

_ENVELOPE, _BODY, _FAULT = (f"{{{ns.SOAP_ENV_11}}}{name}" for name in ("Envelope", "Body", "Fault"))
_ENCODING_STYLE = f"{{{ns.SOAP_ENV_11}}}encodingStyle"
_SOAP_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_TYPE = f"{{{ns.XSI}}}type"

_FAULT_CODE = re.compile(r"(?:[\w.-]{1,40}:)?([A-Za-z0-9.]{1,40})")

_LOADING = Lock()


class _NoTransport:
    """Stands where zeep wants to load things: our WSDLs stand alone."""

    def load(self, url: str) -> Never:  # noqa: ARG002 - zeep's signature
        raise UnreadableError("a WSDL or an answer refers to another document")


class SoapService:
    """The one binding of a WSDL whose operations take strings and return one."""

    def __init__(self, wsdl: bytes) -> None:
        settings = Settings(forbid_dtd=True, forbid_external=True)
        client = Client(io.BytesIO(wsdl), transport=_NoTransport(), settings=settings)
        client.set_ns_prefix("xsd", ns.XSD)
        client.set_ns_prefix("xsi", ns.XSI)
        (self._binding,) = client.wsdl.bindings.values()

    def build(self, operation: str, arguments: Mapping[str, str]) -> bytes:
        """Write a request, the arguments in the order of the WSDL, whatever theirs is; all of them must be there."""
        envelope = self._binding.get(operation).create(**arguments).content
        ((call,),) = envelope
        # zeep writes rpc/literal; what makes it rpc/encoded are these attributes.
        call.set(_ENCODING_STYLE, _SOAP_ENCODING)
        for argument in call:
            argument.set(_TYPE, "xsd:string")
        document: bytes = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
        return document

    def read(self, operation: str, body: bytes, *, is_ours: Callable[[str], bool]) -> str:
        """Read what an operation returned; `is_ours` judges the namespace that the answer is in.

        Raises UnreadableError for a fault (its code as `portal_code`) and for everything that is no such answer.
        """
        envelope = parse_xml(decode_xml(body, max_bytes=MAX_BYTES))
        answer = _answer(envelope)
        name = etree.QName(answer)
        if name.localname != f"{operation}Response" or not is_ours(name.namespace or ""):
            raise UnreadableError("answer is another operation's, or in a foreign namespace")
        _plain(answer, returned=f"{operation}Return")
        return self._returned(operation, envelope)

    def _returned(self, operation: str, envelope: Any) -> str:
        try:
            value = self._binding.get(operation).process_reply(envelope)
        except Error:
            raise UnreadableError("answer does not fit the WSDL") from None  # zeep's message may quote it
        if not isinstance(value, str):
            raise UnreadableError("answer returns nothing")
        return value


def load_service(package: str, *path: str) -> SoapService:
    """Give the service of a packaged WSDL: parsed once, however many threads ask first."""
    with _LOADING:
        return _load(package, path)


@cache
def _load(package: str, path: tuple[str, ...]) -> SoapService:
    return SoapService(files(package).joinpath(*path).read_bytes())


def _answer(envelope: Any) -> Any:
    body = envelope.find(_BODY)
    if envelope.tag != _ENVELOPE or body is None or not len(body):
        raise UnreadableError("answer is not SOAP 1.1")
    if body[0].tag == _FAULT:
        found = _FAULT_CODE.fullmatch((body[0].findtext("faultcode") or "").strip())
        raise UnreadableError("answer is a SOAP fault", portal_code=found[1] if found else None)
    return body[0]


def _plain(answer: Any, *, returned: str) -> None:
    """Leave of an answer what zeep needs: types that it would look up elsewhere go."""
    if len(answer) != 1 or etree.QName(answer[0]).localname != returned or len(answer[0]):
        raise UnreadableError("answer does not return one text")
    answer[0].attrib.clear()
