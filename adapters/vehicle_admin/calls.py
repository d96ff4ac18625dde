"""Call the out-access service: one string in, one string out, at the first address that can be reached."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from govpost.adapters.protocols.http_status import status_outcome
from govpost.adapters.protocols.soap import HEADERS, SoapService, load_service
from govpost.adapters.protocols.tmri import Answer, parse_answer
from govpost.schemas import Conversation, Outcome, OutcomeKind, Source, WireReply, WireRequest
from govpost.schemas.errors import BreakageError, UnreadableError

__all__ = ["SERVICES", "OutAccess", "Service", "judged"]

#: What requests are in, and what some relays answer in.
REQUEST_NAMESPACE = "http://endpoint.axis.framework.tmri.com"

_PLAIN_CODE = re.compile(r"[$A-Za-z0-9_-]{1,12}")


@dataclass(frozen=True, slots=True)
class Service:
    """One of the ways to call: a WSDL, two of its operations, and what each call says of who calls."""

    wsdl: str
    query: str
    write: str
    #: Names of settings. Their order in a call is the WSDL's.
    said: tuple[str, ...]


_CALLER = ("yhbz", "dwmc", "dwjgdm", "yhxm", "zdbs")

#: By `service` of the settings.
SERVICES: Mapping[str, Service] = {
    "out": Service("TmriOutAccess.wsdl", "queryObjectOut", "writeObjectOut", ("xtlb",)),
    "out_new": Service("TmriOutNewAccess.wsdl", "queryObjectOut", "writeObjectOut", ("xtlb", *_CALLER)),
    "out_new_new": Service(
        "TmriOutNewAccess.wsdl", "queryObjectOutNew", "writeObjectOutNew", ("xtlb", "cjsqbh", *_CALLER)
    ),
}


@dataclass(frozen=True, slots=True)
class OutAccess:
    """The service with its addresses, and what every call to it says."""

    service: Service
    endpoints: tuple[str, ...]
    #: Values of the service's `said`.
    said: Mapping[str, str] = field(repr=False)

    def query(self, jkid: str, document: bytes, *, jkxlh: str, source: Source) -> Conversation[Answer | Outcome]:
        """Ask; an Outcome where no answer could be read."""
        return self._call(self.service.query, jkid, document, jkxlh=jkxlh, source=source)

    def write(self, jkid: str, document: bytes, *, jkxlh: str, source: Source) -> Conversation[Answer | Outcome]:
        """Tell; an Outcome where no answer could be read."""
        return self._call(self.service.write, jkid, document, jkxlh=jkxlh, source=source)

    def _call(
        self, operation: str, jkid: str, document: bytes, *, jkxlh: str, source: Source
    ) -> Conversation[Answer | Outcome]:
        """Try one address after the other, each only while nothing can have reached the one before."""
        soap = load_service("govpost.schemas", "wire", "vehicle_admin", self.service.wsdl)
        arguments = {**self.said, "jkxlh": jkxlh, "jkid": jkid, "UTF8XmlDoc": document.decode("ascii")}
        body = soap.build(operation, arguments)
        *before, last = self.endpoints
        for endpoint in before:
            try:
                reply = yield WireRequest("POST", endpoint, HEADERS, body)
            except BreakageError as error:
                if error.outcome.kind is not OutcomeKind.NOT_SENT:
                    raise
            else:
                return _read(soap, operation, reply, endpoint=endpoint, source=source)
        reply = yield WireRequest("POST", last, HEADERS, body)
        return _read(soap, operation, reply, endpoint=last, source=source)


def judged(answer: Answer, kinds: Mapping[str, OutcomeKind]) -> Outcome:
    """Build the outcome that an answer's code stands for; a code that is not in the contract is unknown."""
    code = answer.code if _PLAIN_CODE.fullmatch(answer.code) else "unreadable answer"
    return Outcome(kinds.get(answer.code, OutcomeKind.UNKNOWN), code=code, text=answer.message)


def _read(soap: SoapService, operation: str, reply: WireReply, *, endpoint: str, source: Source) -> Answer | Outcome:
    """Read an answer; one under a bad status, or a fault of SOAP, says nothing of what was done."""
    # 409 would count as taken elsewhere; this wire has a code for that.
    if reply.status // 100 != 2 and reply.status != 409:
        return status_outcome(reply, source.now())
    try:
        is_ours = partial(_is_ours, path=urlsplit(endpoint).path)
        return parse_answer(soap.read(operation, reply.body, is_ours=is_ours))
    except UnreadableError as error:
        code = f"fault {error.portal_code}" if error.portal_code else str(error)
        return Outcome(OutcomeKind.UNKNOWN, code=code)


def _is_ours(namespace: str, *, path: str) -> bool:
    """Tell the namespaces that answers come in: that of requests, or an address of this path.

    Behind a relay the service knows itself under another host than we do.
    """
    if namespace == REQUEST_NAMESPACE:
        return True
    try:
        parts = urlsplit(namespace)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.path == path
