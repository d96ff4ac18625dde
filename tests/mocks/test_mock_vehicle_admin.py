"""The stand-in of 车管 便民通 offers, is told, and notices what a wrong gateway does. Real sockets, SOAP by hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest
import requests
from lxml import etree

from govpost.mocks._contract import Contract
from govpost.mocks.base import UnfitError
from govpost.mocks.server import MockServer
from govpost.mocks.vehicle_admin import DEMO_OFFICES, VehicleAdminMock, new_record, new_records, sample_records
from govpost.schemas import WireReply, WireRequest
from govpost.schemas.identifiers import check_citizen_id, check_mobile

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))["vehicle_admin"]
CONTRACT = Contract("vehicle_admin")
RECORD, OTHER_RECORD = EXAMPLES["reply_decoded_records"]
LSH, OTHER_LSH = RECORD["lsh"], OTHER_RECORD["lsh"]
OFFICE, OTHER_OFFICE, *_ = DEMO_OFFICES
REF = f"{OFFICE}-{LSH}"
WAYBILL_NO, OTHER_NO = "EA969294768CN", "EB000000005CN"
NOW = datetime(2023, 12, 1, 4, tzinfo=UTC)
TIMEOUT_S = 10.0

PROLOG = '<?xml version="1.0" encoding="GBK"?>'
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
REQUEST_NAMESPACE = "http://endpoint.axis.framework.tmri.com"
OLD, NEW = "/trffweb/services/TmriOutAccess", "/trffweb/services/TmriOutNewAccess"

#: What each operation of each service wants, in the contract's order.
ARGUMENTS = {
    (OLD, "queryObjectOut"): "xtlb jkxlh jkid UTF8XmlDoc",
    (OLD, "writeObjectOut"): "xtlb jkxlh jkid UTF8XmlDoc",
    (NEW, "queryObjectOut"): "xtlb jkxlh jkid yhbz dwmc dwjgdm yhxm zdbs UTF8XmlDoc",
    (NEW, "writeObjectOut"): "xtlb jkxlh jkid yhbz dwmc dwjgdm yhxm zdbs UTF8XmlDoc",
    (NEW, "queryObjectOutNew"): "xtlb jkxlh jkid cjsqbh dwjgdm dwmc yhbz yhxm zdbs UTF8XmlDoc",
    (NEW, "writeObjectOutNew"): "xtlb jkxlh jkid cjsqbh dwjgdm dwmc yhbz yhxm zdbs UTF8XmlDoc",
}
QUERIES = [(path, operation) for path, operation in ARGUMENTS if operation.startswith("query")]
WRITES = [(path, operation) for path, operation in ARGUMENTS if operation.startswith("write")]


@dataclass
class Answer:
    """An answer, opened as the contract says: decoded as a whole, then parsed."""

    head: dict[str, str]
    records: list[dict[str, str]]
    ids: list[str]

    @property
    def code(self) -> str:
        """The head's code."""
        return self.head["code"]


class Gateway:
    """Calls the portal as a gateway would, SOAP written by hand."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self._session = session

    def post(self, body: str | bytes, headers: dict[str, Any] | None = None, *, path: str = OLD) -> requests.Response:
        """Carry a body; a header that is None is left out."""
        known = {"SOAPAction": '""', "Content-Type": "text/xml; charset=utf-8"}
        sent = body.encode() if isinstance(body, str) else body
        return self._session.post(self.url + path, data=sent, headers={**known, **(headers or {})}, timeout=TIMEOUT_S)

    def call(self, jkid: str, document: str, **members: Any) -> str:
        """Call an interface; the string that comes back."""
        return returned(self.post(envelope(jkid, document, **members)))

    def query(self, since: str = "08:00:00", until: str = "09:00:00", **members: Any) -> Answer:
        """Ask for the mailings of a window of the examples' day."""
        return opened(self.call("02Y01", window(since, until), **members))

    def offered(self, *times: str) -> list[str]:
        """Ask for the mailings of a window; their lsh."""
        return [record["lsh"] for record in self.query(*times).records]

    def write(self, members: dict[str, str], **others: Any) -> str:
        """Write something back; the answer's code."""
        return opened(self.call("02Y02", document("MailRecord", members), **others)).code

    def one(self, lsh: str = LSH, **members: Any) -> Answer:
        """Ask for one record."""
        return opened(self.call("02Y03", document("QueryCondition", {"lsh": lsh}), **members))


def envelope(jkid: str, document: str, *, path: str = OLD, operation: str = "", **members: str) -> str:
    """Write a call with every argument of its operation."""
    name = operation or ("writeObjectOut" if jkid == "02Y02" else "queryObjectOut")
    known = {"xtlb": "02", "jkxlh": DEMO_OFFICES[OFFICE], "jkid": jkid, "UTF8XmlDoc": document, **members}
    arguments = [(argument, known.get(argument, "")) for argument in ARGUMENTS[path, name].split()]
    return wrapped(name, arguments)


def wrapped(operation: str, arguments: list[tuple[str, str]], namespace: str = REQUEST_NAMESPACE) -> str:
    """Write an envelope around an operation."""
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in arguments)
    body = f'<m:{operation} xmlns:m="{namespace}">{inside}</m:{operation}>'
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'


def document(root: str, members: dict[str, str]) -> str:
    """Write a document as the contract wants it."""
    inside = "".join(f"<{name}>{quote(value, safe='')}</{name}>" for name, value in members.items())
    return f"{PROLOG}<root><{root}>{inside}</{root}></root>"


def window(since: str = "08:00:00", until: str = "09:00:00", **members: str) -> str:
    """Write the condition of 02Y01."""
    known = {"glbm": OFFICE, "kssj": f"2023-12-01 {since}", "jssj": f"2023-12-01 {until}", "yjzt": "0"}
    return document("QueryCondition", {**known, **members})


def returned(response: requests.Response) -> str:
    """Read the string that an operation returned."""
    assert response.status_code == 200
    (returned,) = etree.fromstring(response.content)[0][0]
    return returned.text or ""


def fault(response: requests.Response) -> str:
    """Read the code of a fault of SOAP, without its prefix."""
    found = etree.fromstring(response.content).find(f"{{{SOAP}}}Body/{{{SOAP}}}Fault/faultcode")
    return "" if found is None else (found.text or "").partition(":")[2]


def opened(answer: str) -> Answer:
    """Decode an answer as a whole, then parse it."""
    decoded = unquote(answer, errors="strict")
    assert decoded.startswith(PROLOG)
    root = etree.fromstring(decoded.removeprefix(PROLOG))
    records = root.findall("body/REC")
    head = {element.tag: element.text or "" for element in root.findall("head/*")}
    fields = [{element.tag: element.text or "" for element in record} for record in records]
    return Answer(head, fields, [record.get("id", "") for record in records])


@pytest.fixture
def server() -> Iterator[MockServer[VehicleAdminMock]]:
    """Serve the portal."""
    with MockServer(VehicleAdminMock(now=lambda: NOW)) as server:
        yield server


@pytest.fixture
def portal(server: MockServer[VehicleAdminMock]) -> VehicleAdminMock:
    """Give the served portal."""
    return server.mock


@pytest.fixture
def gateway(server: MockServer[VehicleAdminMock], session: requests.Session) -> Gateway:
    """Give a gateway that knows the demo offices."""
    return Gateway(server.url, session)


@pytest.fixture
def taken(portal: VehicleAdminMock, gateway: Gateway) -> Gateway:
    """Give a gateway that has taken the two records of the examples."""
    portal.hand_over(RECORD)
    portal.hand_over(OTHER_RECORD)
    assert gateway.write(_yes()) == gateway.write(_yes(lsh=OTHER_LSH, qqid="y2")) == "1"
    return gateway


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _yes(**members: Any) -> dict[str, Any]:
    known = {"lsh": LSH, "qqid": "y1", "yjzt": "1", "czsj": "2023-12-01 09:00:00", "czms": "邮政已接单"}
    return _without_none({**known, **members})


def _no(**members: Any) -> dict[str, Any]:
    known = {"lsh": LSH, "qqid": "n1", "yjzt": "10", "czsj": "2023-12-01 09:00:00", "wtyy": "yjdz: 缺少邮寄地址"}
    return _without_none({**known, **members})


def _news(number: int, state: str, **members: Any) -> dict[str, Any]:
    known = {
        "lsh": LSH,
        "qqid": f"{number:032x}",
        "yjdh": WAYBILL_NO,
        "yjzt": state,
        "czsj": f"2023-12-02 00:00:{number:02d}",
        "czms": "【李家沱揽投部】邮件运输中",
    }
    return _without_none({**known, **members})


def _said(portal: VehicleAdminMock, code: str) -> str:
    """Let the portal answer a write; the string that comes back."""
    headers = {"SOAPAction": '""', "Content-Type": "text/xml; charset=utf-8"}
    told = envelope("02Y02", document("MailRecord", _yes()))
    answer = etree.fromstring(portal.say(code, WireRequest("POST", OLD, headers, told.encode())).body)
    return answer[0][0][0].text or ""


def _noticed(portal: VehicleAdminMock) -> list[tuple[str, str]]:
    return [(each.where, each.reason) for each in portal.rejected]


class TestWorkedExample:
    """The contract's example, byte for byte."""

    @pytest.mark.parametrize(("path", "operation"), QUERIES)
    def test_query(self, portal: VehicleAdminMock, gateway: Gateway, path: str, operation: str) -> None:
        """Every query of both services takes the example's document and returns the example's string."""
        portal.hand_over(RECORD)
        portal.hand_over(OTHER_RECORD)
        asked = envelope("02Y01", EXAMPLES["query_doc"], path=path, operation=operation)
        assert returned(gateway.post(asked, path=path)) == EXAMPLES["reply_string"]
        assert _noticed(portal) == []

    @pytest.mark.parametrize(("path", "operation"), WRITES)
    def test_write(self, portal: VehicleAdminMock, gateway: Gateway, path: str, operation: str) -> None:
        """Every operation that writes does."""
        portal.hand_over(RECORD)
        told = envelope("02Y02", document("MailRecord", _yes()), path=path, operation=operation)
        assert opened(returned(gateway.post(told, path=path))).code == "1"
        assert portal.records[OFFICE, LSH].is_taken

    def test_helpers(self) -> None:
        """The test's own strings are the contract's."""
        assert window() == EXAMPLES["query_doc"]
        assert opened(EXAMPLES["reply_string"]).records == [RECORD, OTHER_RECORD]


class TestEnvelope:
    """What Axis wants of a call, and how it answers."""

    @pytest.mark.parametrize("path", [OLD, NEW])
    @pytest.mark.parametrize("query", ["wsdl", "WSDL"])
    def test_wsdl(self, gateway: Gateway, session: requests.Session, path: str, query: str) -> None:
        """Each service describes itself under the address that was called: rpc/encoded, arguments in their order."""
        response = session.get(f"{gateway.url}{path}?{query}", timeout=TIMEOUT_S)
        root, endpoint = etree.fromstring(response.content), gateway.url + path
        assert response.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert root.get("targetNamespace") == endpoint
        assert [each.get("location") for each in root.iter(f"{{{WSDL_SOAP}}}address")] == [endpoint]
        bodies = [each.attrib for each in root.iter(f"{{{WSDL_SOAP}}}body")]
        assert {(each["use"], each["namespace"]) for each in bodies} == {
            ("encoded", REQUEST_NAMESPACE),
            ("encoded", endpoint),
        }
        parts = {
            str(message.get("name")): " ".join(str(part.get("name")) for part in message.iter(f"{{{WSDL}}}part"))
            for message in root.iter(f"{{{WSDL}}}message")
        }
        operations = {operation: wanted for (each, operation), wanted in ARGUMENTS.items() if each == path}
        wanted = {f"{operation}Request": arguments for operation, arguments in operations.items()}
        assert parts == wanted | {f"{operation}Response": f"{operation}Return" for operation in operations}

    def test_elsewhere(self, gateway: Gateway, session: requests.Session) -> None:
        """What is no service is a plain 404; a service takes nothing but POST."""
        assert gateway.post("<x/>", path="/trffweb/services/TmriOut").status_code == 404
        assert session.get(gateway.url + OLD, timeout=TIMEOUT_S).status_code == 405
        assert session.put(gateway.url + OLD, timeout=TIMEOUT_S).status_code == 405

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({"SOAPAction": None}, "header SOAPAction: is missing"),
            ({"SOAPAction": '"queryObjectOut"'}, "header SOAPAction: is not empty"),
            ({"Content-Type": "application/soap+xml"}, "header Content-Type: is not text/xml"),
            ({"Content-Type": None}, "header Content-Type: is not text/xml"),
        ],
    )
    def test_headers(self, portal: VehicleAdminMock, gateway: Gateway, headers: dict[str, Any], reason: str) -> None:
        """SOAPAction must be there, and empty; what comes must call itself XML."""
        response = gateway.post(envelope("02Y01", window()), headers)
        assert (response.status_code, fault(response)) == (500, "Client")
        assert [": ".join(each) for each in _noticed(portal)] == [reason]

    def test_bare_action(self, gateway: Gateway) -> None:
        """An empty SOAPAction may come without quotes."""
        assert returned(gateway.post(envelope("02Y01", window()), {"SOAPAction": ""}))

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            ("", "body"),
            ("<root>", "body"),
            (f'<!DOCTYPE x [<!ENTITY e "02">]>{envelope("02Y01", window()).replace("02Y", "&e;Y")}', "body"),
            (envelope("02Y01", window()).replace(SOAP, "http://www.w3.org/2003/05/soap-envelope"), "Envelope"),
            (f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>', "Body"),
            (f'<s:Envelope xmlns:s="{SOAP}"/>', "Body"),
            (envelope("02Y01", window()).replace(REQUEST_NAMESPACE, "http://tempuri.org/"), "operation"),
            (envelope("02Y01", window(), path=NEW, operation="queryObjectOutNew"), "operation"),
            (wrapped("deleteObjectOut", []), "operation"),
        ],
    )
    def test_no_call(self, portal: VehicleAdminMock, gateway: Gateway, body: str, where: str) -> None:
        """What is no call of this service is a fault."""
        response = gateway.post(body)
        assert (response.status_code, fault(response)) == (500, "Client")
        assert [each.where for each in portal.rejected] == [where]

    @pytest.mark.parametrize(
        ("path", "operation", "arguments"),
        [
            (OLD, "queryObjectOut", "jkxlh xtlb jkid UTF8XmlDoc"),
            (OLD, "queryObjectOut", "xtlb jkxlh jkid"),
            (OLD, "queryObjectOut", "xtlb jkxlh jkid utf8XmlDoc"),
            (OLD, "queryObjectOut", ARGUMENTS[NEW, "queryObjectOut"]),
            (NEW, "queryObjectOut", ARGUMENTS[OLD, "queryObjectOut"]),
            (NEW, "queryObjectOut", "xtlb jkxlh jkid yhbz dwjgdm dwmc yhxm zdbs UTF8XmlDoc"),
            (NEW, "writeObjectOut", ARGUMENTS[NEW, "queryObjectOutNew"]),
            (NEW, "queryObjectOutNew", ARGUMENTS[NEW, "queryObjectOut"]),
            (NEW, "writeObjectOutNew", "xtlb jkxlh jkid cjsqbh yhbz dwmc dwjgdm yhxm zdbs UTF8XmlDoc"),
        ],
    )
    def test_arguments(
        self, portal: VehicleAdminMock, gateway: Gateway, path: str, operation: str, arguments: str
    ) -> None:
        """Arguments by other names, too few, too many or in another operation's order are a fault."""
        response = gateway.post(wrapped(operation, [(name, "") for name in arguments.split()]), path=path)
        assert (response.status_code, fault(response)) == (500, "Client")
        assert [each.where for each in portal.rejected] == ["arguments"]

    def test_qualified_arguments(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """Arguments are in no namespace, and are texts."""
        body = envelope("02Y01", window())
        gateway.post(body.replace("<jkid>", "<m:jkid>").replace("</jkid>", "</m:jkid>"))
        gateway.post(body.replace("<jkid>02Y01", "<jkid><b>02Y01</b>"))
        assert [each.where for each in portal.rejected] == ["arguments", "arguments.jkid"]

    def test_typed_arguments(self, gateway: Gateway) -> None:
        """A call may say of each argument what it is."""
        body = envelope("02Y01", window()).replace("<xtlb>", f'<xtlb xmlns:i="{SCHEMA_INSTANCE}" i:type="x:string">')
        assert returned(gateway.post(body))

    @pytest.mark.parametrize(("in_requests", "has_types"), [(False, False), (True, False), (False, True), (True, True)])
    def test_envelope_of_answer(self, session: requests.Session, in_requests: bool, has_types: bool) -> None:
        """An answer is in the namespace of the address that was called, or of requests; it says types or not."""
        mock = VehicleAdminMock(answers_in_request_namespace=in_requests, has_types=has_types)
        with MockServer(mock) as server:
            response = Gateway(server.url, session).post(envelope("02Y01", window()))
        (answer,) = etree.fromstring(response.content).findall(f"{{{SOAP}}}Body/*")
        namespace = REQUEST_NAMESPACE if in_requests else server.url + OLD
        assert answer.tag == f"{{{namespace}}}queryObjectOutResponse"
        assert answer[0].tag == "queryObjectOutReturn"
        assert answer[0].attrib == ({f"{{{SCHEMA_INSTANCE}}}type": "xsd:string"} if has_types else {})

    def test_several_addresses(self, portal: VehicleAdminMock, gateway: Gateway, session: requests.Session) -> None:
        """Two servers may serve one portal: where the first is down, the second knows the same, under its address."""
        portal.hand_over(RECORD)
        with MockServer(portal) as first, MockServer(portal) as second:
            first.refuse()
            with pytest.raises(requests.ConnectionError):
                Gateway(first.url, session).offered()
            assert Gateway(second.url, session).offered() == [LSH]
            response = Gateway(second.url, session).post(envelope("02Y01", window()), path="/a" + OLD)
            assert f'xmlns:ns1="{second.url}/a{OLD}"' in response.text
        assert gateway.offered() == [LSH]


class TestRights:
    """Who may ask for what."""

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"jkxlh": "made up"}, "jkxlh"),
            ({"jkxlh": ""}, "jkxlh"),
            ({"jkid": "02Y04"}, "jkid"),
            ({"jkid": "02Y02"}, "operation"),
            ({"xtlb": ""}, "xtlb"),
            ({"jkxlh": DEMO_OFFICES[OTHER_OFFICE]}, "QueryCondition.glbm"),
        ],
    )
    def test_failures(self, portal: VehicleAdminMock, gateway: Gateway, members: dict[str, str], where: str) -> None:
        """Who is not known, or asks for what is not theirs, is told so as text that begins with $E."""
        portal.hand_over(RECORD)
        jkid, others = members.get("jkid", "02Y01"), {n: v for n, v in members.items() if n != "jkid"}
        answer = gateway.call(jkid, window(), operation="queryObjectOut", **others)
        assert unquote(answer).startswith(f"$E{where}: ")
        assert [(each.where, each.code) for each in portal.rejected] == [(where, "$E")]

    def test_query_with_a_write(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """What asks does not go through an operation that writes."""
        assert gateway.call("02Y01", window(), operation="writeObjectOut").startswith("$E")
        assert [each.where for each in portal.rejected] == ["operation"]

    def test_offices_are_apart(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """Two offices may have the same lsh; each sees and is told of its own."""
        portal.hand_over(RECORD)
        portal.hand_over({**RECORD, "glbm": OTHER_OFFICE, "ffr": "2"})
        theirs = {"jkxlh": DEMO_OFFICES[OTHER_OFFICE]}
        answer = opened(gateway.call("02Y01", window(glbm=OTHER_OFFICE), **theirs))
        assert [record["ffr"] for record in answer.records] == ["2"]
        assert gateway.write(_yes(), **theirs) == "1"
        assert gateway.one(**theirs).records[0]["yjzt"] == "1"
        assert [each.portal_ref for each in portal.heard()] == [f"{OTHER_OFFICE}-{LSH}"]
        assert gateway.offered() == [LSH]

    def test_one_number_for_two(self) -> None:
        """Offices could not be told apart by the same jkxlh."""
        with pytest.raises(ValueError, match="jkxlh of its own"):
            VehicleAdminMock({OFFICE: "a", OTHER_OFFICE: "a"})


class TestDocuments:
    """How what is asked and told must be written."""

    @pytest.mark.parametrize(
        ("old", "new", "where", "reason"),
        [
            (PROLOG, "", "UTF8XmlDoc", "has not the prolog that says GBK"),
            ("GBK", "UTF-8", "UTF8XmlDoc", "has not the prolog that says GBK"),
            ("</root>", "", "UTF8XmlDoc", "is not XML"),
            ("</root>", "<!--😀--></root>", "UTF8XmlDoc", "is not in GBK"),
            (PROLOG, f"{PROLOG}<!DOCTYPE root>", "UTF8XmlDoc", "has a DOCTYPE"),
            ("QueryCondition", "MailRecord", "UTF8XmlDoc", "is not a root with one QueryCondition"),
            ("root>", "Root>", "UTF8XmlDoc", "is not a root with one QueryCondition"),
            ("%20", " ", "QueryCondition.kssj", "is not URL-encoded"),
            ("08%3A00", "08:00", "QueryCondition.kssj", "is not URL-encoded"),
            ("2023", "二", "QueryCondition.kssj", "is not URL-encoded"),
            ("08%3A00", "08%3", "QueryCondition.kssj", "is not URL-encoded"),
            ("08%3A00", "%B0%CB", "QueryCondition.kssj", "is not UTF-8 once it is URL-decoded"),
            ("08%3A00", "08%253A00", "QueryCondition.kssj", "is URL-encoded twice"),
            ("</yjzt>", "</yjzt><yjzt>0</yjzt>", "QueryCondition.yjzt", "comes twice"),
            ("<yjzt>0<", "<yjzt><a/><", "QueryCondition.yjzt", "is no text"),
            ("<yjzt>0<", "<yjzt>1<", "QueryCondition.yjzt", "is not 0"),
            ("<yjzt>0<", "<yjzt><", "QueryCondition.yjzt", "is missing"),
            ("<yjzt>0</yjzt>", "", "QueryCondition.yjzt", "is missing"),
            ("</yjzt>", "</yjzt><size>9</size>", "QueryCondition.size", "is not in the contract"),
            ("2023-12-01%2009", "2023-12-32%2009", "QueryCondition.jssj", None),
            ("2023-12-01%2009", "2023-11-31%2009", "QueryCondition.jssj", "is no date of the calendar"),
            ("2023-12-01%2009", "20231201%2009", "QueryCondition.jssj", None),
            ("2023-12-01%2009", "2023-12-01%2007", "QueryCondition.jssj", "is not after kssj"),
            ("2023-12-01%2009", "2023-12-01%2008", "QueryCondition.jssj", "is not after kssj"),
            ("500113000400", "5001", "QueryCondition.glbm", None),
        ],
    )
    def test_unfit(
        self, portal: VehicleAdminMock, gateway: Gateway, old: str, new: str, where: str, reason: str | None
    ) -> None:
        """A document that breaks the contract is refused with code 0, and named."""
        answer = opened(gateway.call("02Y01", window().replace(old, new)))
        assert (answer.code, answer.head["rownum"], answer.records) == ("0", "0", [])
        assert answer.head["message"].startswith(f"{where}: ")
        assert [(each.where, each.code) for each in portal.rejected] == [(where, "0")]
        assert reason in {None, portal.rejected[0].reason}

    def test_space_as_plus(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A space may be written as Java's URLEncoder writes it."""
        assert opened(gateway.call("02Y01", window().replace("%20", "+"))).code == "1"
        assert _noticed(portal) == []


class TestMailings:
    """A window of an office's records that nobody has answered."""

    def test_samples(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The forty samples come as they are, with their number."""
        for record in sample_records():
            portal.hand_over(record)
        answer = gateway.query("00:00:00", "23:59:59")
        assert answer.head == {"code": "1", "message": "数据下载成功！", "rownum": "40"}
        assert answer.records == sample_records()
        assert answer.ids == [str(n) for n in range(40)]

    def test_nothing(self, gateway: Gateway) -> None:
        """Where nothing is there, rownum says 0."""
        answer = gateway.query()
        assert (answer.head["rownum"], answer.records) == ("0", [])

    def test_half_open(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A window holds its first second and not its last."""
        portal.hand_over(RECORD)
        portal.hand_over(OTHER_RECORD)
        assert gateway.offered("08:10:00", "08:11:00") == [LSH]
        assert gateway.offered("08:10:01", "08:11:01") == [OTHER_LSH]
        assert gateway.offered("08:09:59", "08:10:00") == []

    def test_hundred(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A hundred come at most; halves of the window bring the rest."""
        for n, record in enumerate(new_records(130)):
            portal.hand_over({**record, "gxsj": f"2023-12-01 08:{n // 60:02d}:{n % 60:02d}"})
        assert gateway.query("08:00:00", "09:00:00").head["rownum"] == "100"
        assert len(gateway.offered("08:00:00", "08:01:00")) == 60
        assert len(gateway.offered("08:01:00", "09:00:00")) == 70

    def test_repeats_until_answered(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """What nobody answered comes again; taken and refused are answers."""
        for lsh in ("1", "2", "3"):
            portal.hand_over({**RECORD, "lsh": lsh})
        assert gateway.offered() == gateway.offered() == ["1", "2", "3"]
        assert gateway.write(_yes(lsh="1")) == gateway.write(_no(lsh="2")) == "1"
        assert gateway.offered() == ["3"]

    def test_offered_again(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A record that is handed over again comes again, with its new content, until it is answered again."""
        portal.hand_over(RECORD)
        assert gateway.write(_yes()) == "1"
        portal.hand_over({**RECORD, "ffr": "2"})
        assert gateway.query().records == [{**RECORD, "ffr": "2"}]
        assert gateway.write(_yes(qqid="y3")) == "2"
        assert gateway.offered() == []
        assert [each.identity for each in portal.heard()] == ["y1"]

    def test_markup(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """What would be markup once the whole answer is decoded comes through; all but plain letters is encoded."""
        odd = {**RECORD, "yjdz": "<5>号 & 100%25/栋+1", "ext": "/"}
        portal.hand_over(odd)
        answer = gateway.call("02Y01", window())
        assert opened(answer).records == [odd]
        assert "<ext>%2F</ext>" in answer

    def test_first_id(self, session: requests.Session) -> None:
        """RECs may be counted from 1."""
        mock = VehicleAdminMock(first_id=1)
        mock.hand_over(RECORD)
        mock.hand_over(OTHER_RECORD)
        with MockServer(mock) as server:
            assert Gateway(server.url, session).query().ids == ["1", "2"]

    def test_time_that_is_none(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A record without a time that can be read is in every window: it must be refused."""
        portal.hand_over({**RECORD, "gxsj": "20231201081000"})
        assert gateway.offered("00:00:00", "00:00:01") == [LSH]
        assert gateway.write(_yes()) == "0"
        assert _noticed(portal) == [("MailRecord.yjzt", "takes a record that is broken")]

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"lsh": ""}, "record.lsh"),
            ({"glbm": "500000000000"}, "record.glbm"),
            ({"glbm": ""}, "record.glbm"),
            ({"ffr": 1}, "record"),
            ({"ffr": None}, "record"),
            ({"xm": "\x00"}, "record"),
            ({"a b": "x"}, "record"),
        ],
    )
    def test_cannot_be_offered(self, portal: VehicleAdminMock, members: dict[str, Any], where: str) -> None:
        """What the wire could not say, or nobody would find, cannot be offered."""
        with pytest.raises(UnfitError) as caught:
            portal.hand_over({**RECORD, **members})
        assert caught.value.where == where
        assert portal.records == {}

    def test_keeps_what_it_was_given(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """What the caller does to the document afterwards changes nothing."""
        record = dict(RECORD)
        portal.hand_over(record)
        record["ffr"] = "3"
        assert gateway.query().records == [RECORD]

    def test_asks_nothing(self, portal: VehicleAdminMock) -> None:
        """There is no answer that could be read."""
        with pytest.raises(UnfitError, match="polled"):
            portal.is_taken(WireReply(200))


class TestAnswers:
    """A record is taken or refused once, and that is not taken back."""

    def test_taken(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A record that is taken is heard; it need not be described."""
        portal.hand_over(RECORD)
        assert gateway.write(_yes(czms=None)) == "1"
        heard = [(each.portal_ref, each.identity, each.status, each.waybill_no, each.leg) for each in portal.heard()]
        assert heard == [(REF, "y1", "1", "", 1)]

    def test_taken_again(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """Taken again, under the same qqid or another, even later in life, is known already and counted."""
        assert taken.write(_news(1, "3")) == "1"
        assert [taken.write(_yes()), taken.write(_yes(qqid="y3"))] == ["2", "2"]
        assert (portal.repeats, portal.told_twice, len(portal.heard()), _noticed(portal)) == (2, 0, 3, [])
        assert portal.records[OFFICE, LSH].yjzt == "3"

    def test_refused(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A refusal is no news of an order; a second one is known already."""
        portal.hand_over(RECORD)
        assert [gateway.write(_no()), gateway.write(_no(qqid="n2"))] == ["1", "2"]
        assert (portal.heard(), portal.state()["refused"], portal.records[OFFICE, LSH].yjzt) == ([], 1, "10")

    @pytest.mark.parametrize(
        ("first", "then", "where", "reason"),
        [
            (_yes(), _no(), "yjzt", "refuses a record that was taken"),
            (_no(), _yes(), "yjzt", "takes a record that was refused"),
            (_no(), _news(1, "2"), "lsh", "is a record that was not taken"),
            (_no(), _no(qqid="n3", lsh="9"), "lsh", "is no record of this office"),
            (_yes(), _yes(czms="接单"), "qqid", "was used before with another document"),
        ],
    )
    def test_contradiction(
        self, portal: VehicleAdminMock, gateway: Gateway, first: Any, then: Any, where: str, reason: str
    ) -> None:
        """What contradicts an earlier answer is refused with code 0 and noticed."""
        portal.hand_over(RECORD)
        assert gateway.write(first) == "1"
        assert gateway.write(then) == "0"
        assert _noticed(portal) == [(f"MailRecord.{where}", reason)]
        assert portal.records[OFFICE, LSH].is_refused == (first["yjzt"] == "10")

    def test_refused_then_repaired(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A refused record that is offered again, whole, may be taken; one that was taken is not refused even then."""
        portal.hand_over({**RECORD, "yjdz": ""})
        assert [gateway.write(_yes()), gateway.write(_no())] == ["0", "1"]
        portal.hand_over(RECORD)
        assert gateway.write(_yes()) == "1"
        portal.hand_over({**RECORD, "yjdz": ""})
        assert [gateway.write(_no(qqid="n2")), gateway.write(_yes(qqid="y3"))] == ["0", "2"]

    def test_not_answered(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """News of a record come after it was taken; a cancel without a reason is no refusal."""
        portal.hand_over(RECORD)
        assert [gateway.write(_news(1, "2")), gateway.write(_no(wtyy=None))] == ["0", "0"]
        assert _noticed(portal) == [("MailRecord.lsh", "is a record that was not taken")] * 2
        assert gateway.offered() == [LSH]

    @pytest.mark.parametrize(
        "reason", ["电话13900000000有误", RECORD["xm"] + "不详", RECORD["yjdz"] + "不详", f"{RECORD['hphm']}不详"]
    )
    def test_personal_reason(self, portal: VehicleAdminMock, gateway: Gateway, reason: str) -> None:
        """A reason with a number or a value of the record in it is noticed, and not repeated."""
        portal.hand_over(RECORD)
        assert gateway.write(_no(wtyy=reason)) == "0"
        assert [each.where for each in portal.rejected] == ["MailRecord.wtyy"]
        assert RECORD["xm"] not in str(_noticed(portal))

    def test_short_name(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A name of one character is found in any sentence, and so is not looked for."""
        portal.hand_over({**RECORD, "xm": "邮"})
        assert gateway.write(_no()) == "1"

    def test_terse(self, session: requests.Session) -> None:
        """What is written may be answered with a code alone, else with a sentence; neither has a body."""
        mock = VehicleAdminMock(is_terse=True)
        mock.hand_over(RECORD)
        told = document("MailRecord", _yes())
        with MockServer(mock) as server:
            terse = [Gateway(server.url, session).call("02Y02", told) for _ in range(2)]
            mock.is_terse = False
            talkative = opened(Gateway(server.url, session).call("02Y02", told))
        assert terse == [f"{PROLOG}<root><head><code>{code}</code></head></root>" for code in "12"]
        assert talkative.head == {"code": "2", "message": "数据已存在！"}


class TestNews:
    """The portal keeps a course for each leg and takes only what fits it."""

    def test_life(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """A life is done in order and heard."""
        told = [_news(n, state) for n, state in enumerate(("2", "3", "4", "4", "5"), 1)]
        told += [_news(6, "7", wtyy="联系不上"), _news(7, "6")]
        assert [taken.write(each) for each in told] == ["1"] * 7
        assert portal.records[OFFICE, LSH].courses == {1: ["1", "2", "3", "4", "4", "5", "7", "6"]}
        heard = [(each.portal_ref, each.identity, each.status, each.waybill_no, each.leg) for each in portal.heard()]
        assert heard[2:] == [(REF, each["qqid"], each["yjzt"], WAYBILL_NO, 1) for each in told]
        assert (portal.told_twice, portal.repeats, _noticed(portal)) == (0, 0, [])

    @pytest.mark.parametrize(
        ("first", "then"),
        [("6", "5"), ("3", "3"), ("4", "3"), ("4", "10"), ("8", "6"), ("9", "8"), ("10", "3"), ("11", "6")],
    )
    def test_out_of_order(self, portal: VehicleAdminMock, taken: Gateway, first: str, then: str) -> None:
        """A state that cannot follow is refused, and both are named."""
        assert [taken.write(_news(1, first)), taken.write(_news(2, then))] == ["1", "0"]
        assert _noticed(portal) == [("MailRecord.yjzt", f"{then} cannot follow {first}")]
        assert portal.records[OFFICE, LSH].yjzt == first

    @pytest.mark.parametrize("state", ["1", "2", "4"])
    def test_correction(self, portal: VehicleAdminMock, taken: Gateway, state: str) -> None:
        """A correction goes back to where the leg was, and life goes on from there; it is no telling twice."""
        for told in (_news(1, "2"), _news(2, "4"), _news(3, "6")):
            assert taken.write(told) == "1"
        back = _news(4, state, czms="更正：邮件尚未妥投", czsj="2023-12-02 00:00:02")
        assert [taken.write(back), taken.write(_news(5, "6"))] == ["1", "1"]
        assert (portal.told_twice, _noticed(portal)) == (0, [])
        assert portal.records[OFFICE, LSH].courses[1][-2:] == [state, "6"]

    def test_correction_to_nowhere(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """A correction does not lead to where the leg never was."""
        assert [taken.write(_news(1, "2")), taken.write(_news(2, "5", czms="更正：邮件派送中"))] == ["1", "0"]
        assert _noticed(portal) == [("MailRecord.yjzt", "5 cannot follow 2")]

    def test_again(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """A repeated qqid was done before and moves nothing; with another document it is noticed."""
        assert [taken.write(_news(1, "3")), taken.write(_news(1, "3")), taken.write(_news(2, "4"))] == ["1", "2", "1"]
        assert (len(portal.records[OFFICE, LSH].writes), portal.repeats, _noticed(portal)) == (3, 1, [])
        assert taken.write(_news(1, "3", czms="邮件已揽收")) == "0"
        assert _noticed(portal) == [("MailRecord.qqid", "was used before with another document")]

    def test_told_twice(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """The same state at the same time under another qqid shows in the state; another time or leg does not."""
        time = {"czsj": "2023-12-02 12:00:00"}
        for told in (_news(1, "4", **time), _news(2, "4"), _news(3, "4", yjdh=OTHER_NO, cs="2", **time)):
            assert taken.write(told) == "1"
        assert portal.state()["told_twice"] == 0
        assert taken.write(_news(4, "4", **time)) == "1"
        assert portal.state()["told_twice"] == 1

    def test_two_legs(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """Each leg has its number and course; the record stands where leg 2 does once that has begun."""
        assert [taken.write(_news(1, "2", cs="1")), taken.write(_news(2, "6"))] == ["1", "1"]
        assert portal.records[OFFICE, LSH].yjzt == "6"
        assert taken.write(_news(3, "2", cs="2", yjdh=OTHER_NO)) == "1"
        assert portal.records[OFFICE, LSH].waybills == {1: WAYBILL_NO, 2: OTHER_NO}
        assert (portal.records[OFFICE, LSH].yjzt, portal.heard()[-1].leg) == ("2", 2)

    @pytest.mark.parametrize(
        ("told", "where", "reason"),
        [
            (_news(2, "4", yjdh=OTHER_NO), "yjdh", "is another than leg 1 has"),
            (_news(2, "2", cs="2"), "yjdh", "is the other leg's"),
            (_news(2, "4", czsj="2023-02-30 00:00:00"), "czsj", "is no date of the calendar"),
            (_news(2, "4", czms="投递员 13900000000"), "czms", "holds a number as long as a phone's"),
            (_news(2, "4", czms=RECORD["xm"] + "已签收"), "czms", "holds personal data of the record"),
        ],
    )
    def test_wrong(
        self, portal: VehicleAdminMock, taken: Gateway, told: dict[str, Any], where: str, reason: str
    ) -> None:
        """What no schema can say is noticed by the rules, and not done."""
        assert [taken.write(_news(1, "2")), taken.write(told)] == ["1", "0"]
        assert _noticed(portal) == [(f"MailRecord.{where}", reason)]
        assert len(portal.records[OFFICE, LSH].writes) == 2

    @pytest.mark.parametrize("number", [None, ""])
    def test_cancelled_without_number(self, taken: Gateway, number: str | None) -> None:
        """An order that was cancelled before it had a number has none to tell; empty is as good as missing."""
        assert taken.write(_news(1, "10", yjdh=number, wtyy="", cs="")) == "1"

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"lsh": None}, "lsh"),
            ({"qqid": None}, "qqid"),
            ({"qqid": ""}, "qqid"),
            ({"yjdh": None}, "yjdh"),
            ({"yjdh": "EA96929476"}, "yjdh"),
            ({"yjzt": "0"}, "yjzt"),
            ({"yjzt": "12"}, "yjzt"),
            ({"yjzt": "04"}, "yjzt"),
            ({"czsj": None}, "czsj"),
            ({"czsj": "20231202000000"}, "czsj"),
            ({"czms": None}, "czms"),
            ({"wtyy": "联系不上"}, "wtyy"),
            ({"cs": "3"}, "cs"),
            ({"glbm": OFFICE}, "glbm"),
        ],
    )
    def test_unfit(self, portal: VehicleAdminMock, taken: Gateway, members: dict[str, Any], where: str) -> None:
        """A write-back that breaks the contract is refused and named."""
        assert taken.write(_news(1, "4", **members)) == "0"
        assert [each.where for each in portal.rejected] == [f"MailRecord.{where}"]


class TestMailing:
    """One record, and what was written of it."""

    def test_known(self, taken: Gateway) -> None:
        """The record comes with its state and every qqid that was taken, repeated ones once."""
        for told in (_news(1, "2"), _news(1, "2"), _news(2, "1"), _yes(qqid="y3")):
            taken.write(told)
        answer = taken.one()
        qqids = f"y1、{1:032x}、{2:032x}、y3"
        assert (answer.head["rownum"], answer.records) == ("1", [{**RECORD, "yjzt": "2", "qqids": qqids}])

    def test_not_answered(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A record that nobody answered stands at 0; one that there is not is nothing, and no mistake."""
        portal.hand_over(RECORD)
        assert gateway.one().records == [{**RECORD, "yjzt": "0", "qqids": ""}]
        assert (gateway.one("9").head["rownum"], gateway.one("9").records, _noticed(portal)) == ("0", [], [])


class TestFaults:
    """What goes wrong in this service's own way."""

    @pytest.mark.parametrize(("rolled", "status"), [(500, 500), (200, 200), (503, 200)])
    def test_soap_fault(self, portal: VehicleAdminMock, gateway: Gateway, rolled: int, status: int) -> None:
        """A fault of SOAP comes under 500 or 200, and nothing was done."""
        portal.hand_over(RECORD)
        portal.plan.next("soap_fault", status=rolled)
        response = gateway.post(envelope("02Y02", document("MailRecord", _yes())))
        assert (response.status_code, fault(response)) == (status, "Server.userException")
        assert (portal.heard(), _noticed(portal)) == ([], [])

    def test_dollar_e(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """$E comes instead of a document, and nothing was done; that is nobody's fault."""
        portal.hand_over(RECORD)
        portal.plan.next("dollar_e")
        assert gateway.call("02Y02", document("MailRecord", _yes())).startswith("$E")
        assert (portal.heard(), _noticed(portal)) == ([], [])

    def test_unsure(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """$E comes although it was done: the same again is known already."""
        portal.hand_over(RECORD)
        portal.plan.next("unsure")
        assert gateway.call("02Y02", document("MailRecord", _yes())).startswith("$E")
        assert (len(portal.heard()), gateway.one().records[0]["qqids"], gateway.write(_yes())) == (1, "y1", "2")

    def test_html_page(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A page for people comes as if all were well, and nothing was done."""
        portal.hand_over(RECORD)
        portal.plan.next("html_page")
        response = gateway.post(envelope("02Y02", document("MailRecord", _yes())))
        assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert portal.heard() == []

    def test_wrong_namespace(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The answer is in a namespace of nobody's, and all the same as it should be."""
        portal.plan.next("wrong_namespace")
        response = gateway.post(envelope("02Y01", window()))
        assert etree.fromstring(response.content)[0][0].tag == "{http://relay.invalid/}queryObjectOutResponse"
        assert opened(returned(response)).code == "1"

    def test_wrong_encoding(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The bytes are GBK's, and say that they are UTF-8's."""
        portal.hand_over(RECORD)
        portal.plan.next("wrong_encoding")
        response = gateway.post(envelope("02Y01", window()))
        assert RECORD["xm"].encode("gbk") in response.content
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(response.content)

    def test_truncated(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The document ends in its middle, the envelope does not."""
        portal.hand_over(RECORD)
        portal.plan.next("truncated")
        cut, whole = gateway.call("02Y01", window()), gateway.call("02Y01", window())
        assert cut == whole[: len(whole) // 2]

    def test_headless(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The document has records and no head."""
        portal.hand_over(RECORD)
        portal.plan.next("headless")
        answer = gateway.query()
        assert (answer.head, answer.records) == ({}, [RECORD])

    def test_wrong_count(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The head counts one record more than there is; where nothing is counted nothing goes wrong."""
        portal.hand_over(RECORD)
        portal.plan.next("wrong_count")
        assert gateway.write(_no(lsh="9")) == "0"
        answer = gateway.query()
        assert (answer.head["rownum"], answer.records) == ("2", [RECORD])

    def test_broken_escape(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The last escape lacks a digit."""
        portal.hand_over(RECORD)
        portal.plan.next("broken_escape")
        broken, whole = gateway.call("02Y01", window()), gateway.call("02Y01", window())
        assert broken == whole.replace("%3A00</gxsj>", "%300</gxsj>")

    def test_double_escape(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """All values are encoded once more."""
        portal.hand_over(RECORD)
        portal.plan.next("double_escape")
        answer = gateway.query()
        assert answer.records == [{name: quote(value, safe="") for name, value in RECORD.items()}]
        assert gateway.query().records == [RECORD]

    def test_only_one_interface(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A fault can be kept for one interface; text instead of a document is not broken any further."""
        portal.hand_over(RECORD)
        portal.plan.next("truncated", when=lambda call: call.jkid == "02Y03")
        portal.plan.next("dollar_e", when=lambda call: call.jkid == "02Y03")
        assert gateway.query().code == "1"
        failed, cut = (gateway.call("02Y03", document("QueryCondition", {"lsh": LSH})) for _ in range(2))
        assert unquote(failed) == "$E系统错误，请与管理员联系"
        assert cut.startswith(PROLOG)
        assert not cut.endswith("</root>")

    def test_nameless(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A record comes without its lsh, and with it the next time."""
        portal.hand_over(RECORD)
        portal.plan.next("nameless")
        nameless, whole = gateway.query().records, gateway.query().records
        assert (nameless, whole) == ([{name: value for name, value in RECORD.items() if name != "lsh"}], [RECORD])

    def test_nameless_wants_a_record(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """Where nothing is offered nothing lacks its name."""
        portal.plan.next("nameless")
        gateway.query()
        assert portal.plan.drawn == {}

    def test_changed_item(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """A record is other than it was when it was offered last, and stays so."""
        portal.hand_over(RECORD)
        portal.plan.next("changed_item")
        assert [gateway.query().records[0]["ffr"] for _ in range(3)] == ["1", "2", "2"]

    def test_broken_item(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """One more record is in the window, broken, and stays as it is; it may only be refused."""
        portal.hand_over(RECORD)
        portal.plan.next("broken_item")
        portal.plan.next("changed_item", when=lambda ref: ref != REF)
        records = gateway.query().records
        assert gateway.query().records == records
        assert [record["lsh"] for record in records] == [LSH, "3000000000000"]
        assert records[1]["gxsj"] == "2023-12-01 08:00:00"
        assert [gateway.write(_yes(lsh="3000000000000")), gateway.write(_no(lsh="3000000000000"))] == ["0", "1"]
        assert gateway.offered() == [LSH]

    def test_broken_in_turns(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """Broken records are broken in several ways, most of them against the contract, and none may be taken."""
        portal.plan.set_rates({"broken_item": 1.0})
        for _ in range(6):
            gateway.query()
        portal.plan.clear()
        records = gateway.query().records
        unfit = []
        for record in records:
            try:
                CONTRACT.check("Record", record)
            except UnfitError as error:
                unfit.append(error.where)
        assert unfit == ["body.ywlx", "body.xm", "body.sjhm", "body.yjdz", "body.ffr"]
        with pytest.raises(ValueError, match="check character"):
            check_citizen_id(records[5]["sfzmhm"])
        assert [gateway.write(_yes(lsh=record["lsh"], qqid=record["lsh"])) for record in records] == ["0"] * 6


class TestBooks:
    """What the mock tells of itself."""

    def test_report(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """The report lists a record's state, numbers and write-backs, and nothing personal."""
        taken.write(_news(1, "2"))
        assert portal.report()[REF] == {
            "yjzt": "2",
            "waybills": {"1": WAYBILL_NO},
            "states": ["1", "2"],
            "request_ids": ["y1", f"{1:032x}"],
        }
        assert RECORD["xm"] not in repr(portal.records) + str(portal.report())

    def test_state(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """The state counts records by what was answered, and everything that was written."""
        portal.offer(2)
        portal.hand_over({**RECORD, "lsh": "7"})
        taken.write(_no(lsh="7"))
        taken.write(_news(1, "2"))
        taken.write(_news(1, "2"))
        assert portal.state() == {
            "orders": 5,
            "pending": 2,
            "taken": 2,
            "refused": 1,
            "writes": 4,
            "repeats": 1,
            "told_twice": 0,
        }

    def test_reset(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """After a reset nothing is known."""
        told = [_news(n, "4", czsj="2023-12-02 00:00:00") for n in (1, 2)]
        assert [taken.write(each) for each in told] == ["1", "1"]
        portal.reset()
        assert set(portal.state().values()) == {0}
        assert (portal.heard(), portal.report(), taken.offered()) == ([], {}, [])
        portal.hand_over(RECORD)
        assert [taken.write(each) for each in (_yes(), told[1])] == ["1", "1"]
        assert portal.told_twice == 0

    def test_settings(self, session: requests.Session) -> None:
        """Offices come from the gateway's settings, or are the demo's."""
        mock = VehicleAdminMock.from_settings(
            {"portals": {"vehicle_admin": {"offices": [{"glbm": OFFICE, "jkxlh": "j1"}]}}}
        )
        mock.hand_over(RECORD)
        with MockServer(mock) as server:
            assert Gateway(server.url, session).query(jkxlh="j1").records == [RECORD]
        assert VehicleAdminMock.from_settings({}).offer(3) == [
            f"{glbm}-{record['lsh']}" for glbm, record in zip(DEMO_OFFICES, new_records(3), strict=True)
        ]

    def test_settings_for_a_gateway(self, portal: VehicleAdminMock, server: MockServer[VehicleAdminMock]) -> None:
        """They name the old service where it is served, and every office."""
        section = portal.settings()
        assert section["endpoints"] == [f"{server.url}{OLD}"]
        assert {office["glbm"]: office["jkxlh"] for office in section["offices"]} == DEMO_OFFICES

    def test_samples(self, portal: VehicleAdminMock, gateway: Gateway) -> None:
        """The forty records, changed just now, so that the next window has them; each a letter there."""
        samples = portal.samples()
        for sample in samples:
            portal.hand_over(sample.document)
        own = [f"{record['glbm']}-{record['lsh']}" for record in sample_records()]
        assert [dict(sample.legs) for sample in samples] == [{ref: 1} for ref in own]
        assert gateway.offered("12:00:00", "12:00:01") == [record["lsh"] for record in sample_records()]

    @pytest.mark.parametrize("code", ["1", "2", "0"])
    def test_says_results(self, portal: VehicleAdminMock, code: str) -> None:
        """A write is answered with the code; nothing is done."""
        assert opened(_said(portal, code)).code == code
        assert (portal.received, portal.state()["writes"]) == (0, 0)

    def test_says_that_the_system_failed(self, portal: VehicleAdminMock) -> None:
        """$E comes without a document."""
        assert _said(portal, "$E").startswith("$E")

    def test_hears_all(self, portal: VehicleAdminMock, taken: Gateway) -> None:
        """What was heard holds all that was told."""
        taken.write(_news(1, "2"))
        assert [each.body for each in portal.heard()] == [_yes(), _yes(lsh=OTHER_LSH, qqid="y2"), _news(1, "2")]

    def test_offer(self) -> None:
        """Offered records are of now and the seconds before, so that a window can be split; offices come in turn."""
        portal = VehicleAdminMock(dict(DEMO_OFFICES))
        assert portal.offer(2, start=1) == VehicleAdminMock(dict(DEMO_OFFICES)).offer(3)[1:]
        with MockServer(VehicleAdminMock({OFFICE: "j1"}, now=lambda: NOW)) as server:
            server.mock.offer(120)
            times = [record.content["gxsj"] for record in server.mock.records.values()]
        assert sorted(times) == times
        assert (times[0], times[-1]) == ("2023-12-01 11:59:58", "2023-12-01 12:00:00")
        assert max(times.count(time) for time in times) == 50

    def test_fixtures(
        self, vehicle_admin_server: MockServer[VehicleAdminMock], vehicle_admin_mock: VehicleAdminMock
    ) -> None:
        """The plugin serves the portal, and its control door offers records."""
        url = f"{vehicle_admin_server.url}/__mock__"
        offered = requests.post(f"{url}/do/offer", json={"count": 2, "seed": 5}, timeout=TIMEOUT_S).json()
        first, second = new_records(2, seed=5)
        assert offered == [f"{OFFICE}-{first['lsh']}", f"{OTHER_OFFICE}-{second['lsh']}"]
        assert list(vehicle_admin_mock.report()) == offered
        assert requests.get(f"{url}/state", timeout=TIMEOUT_S).json()["pending"] == 2


class TestNewRecords:
    """Synthetic records for load."""

    def test_deterministic(self) -> None:
        """The n-th record of a seed is always the same, and no two are."""
        assert list(new_records(20, seed=5)) == [new_record(n, 5) for n in range(20)]
        assert list(new_records(5, seed=5, start=15)) == [new_record(n, 5) for n in range(15, 20)]
        assert len({record["lsh"] for record in islice(new_records(seed=5), 500)}) == 500
        assert new_record(0, 5) != new_record(0, 6)

    @pytest.mark.parametrize("records", [sample_records(), list(new_records(200))], ids=["samples", "synthetic"])
    def test_valid(self, records: list[dict[str, Any]]) -> None:
        """Records fit the contract, and numbers carry right check characters."""
        for record in records:
            CONTRACT.check("Record", record)
            check_mobile(record["sjhm"])
            check_citizen_id(record["sfzmhm"])

    def test_every_kind_occurs(self) -> None:
        """All matters and payers come up; driving licences alone have no plates."""
        records = list(new_records(300))
        assert {record["ywlx"] for record in records} == {"JSZ", "XSZ", "HP", "DJZS"}
        assert {record["ffr"] for record in records} == {"1", "2"}
        assert {record["ywlx"] for record in records if not record["hphm"]} == {"JSZ"}

    def test_landline(self) -> None:
        """Somebody without a mobile has another number; nobody has none."""
        CONTRACT.check("Record", {**RECORD, "sjhm": "", "lxdh": "023-67854321"})
        with pytest.raises(UnfitError):
            CONTRACT.check("Record", {**RECORD, "sjhm": "", "lxdh": ""})

    @pytest.mark.parametrize("name", ["sfzmmc", "sfzmhm"])
    def test_half_an_id(self, name: str) -> None:
        """The kind of an ID and its number come together or not at all."""
        CONTRACT.check("Record", {**RECORD, "sfzmmc": "", "sfzmhm": ""})
        with pytest.raises(UnfitError):
            CONTRACT.check("Record", {**RECORD, name: ""})
