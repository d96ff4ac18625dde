"""SOAP as Axis speaks it: arguments in the WSDL's order, answers in any dress, nothing hostile parsed or fetched."""

import socket
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from threading import Barrier
from xml.sax.saxutils import escape

import pytest
from lxml import etree
from zeep.exceptions import ExternalReferenceForbidden, ValidationError

from govpost.adapters.protocols.guarded_xml import decode_xml, parse_xml
from govpost.adapters.protocols.soap import HEADERS, MAX_BYTES, SoapService, load_service
from govpost.schemas.errors import UnreadableError

WIRE = ("govpost.schemas", "wire", "vehicle_admin")
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
REQUEST = "http://endpoint.axis.framework.tmri.com"
HERE = "http://10.1.2.3:9080/trffweb/services/TmriOutNewAccess"

OLD = ["xtlb", "jkxlh", "jkid", "UTF8XmlDoc"]
NEW = ["xtlb", "jkxlh", "jkid", "yhbz", "dwmc", "dwjgdm", "yhxm", "zdbs", "UTF8XmlDoc"]
NEW_NEW = ["xtlb", "jkxlh", "jkid", "cjsqbh", "dwjgdm", "dwmc", "yhbz", "yhxm", "zdbs", "UTF8XmlDoc"]
OPERATIONS = [
    ("TmriOutAccess", "queryObjectOut", OLD),
    ("TmriOutAccess", "writeObjectOut", OLD),
    ("TmriOutNewAccess", "queryObjectOut", NEW),
    ("TmriOutNewAccess", "writeObjectOut", NEW),
    ("TmriOutNewAccess", "queryObjectOutNew", NEW_NEW),
    ("TmriOutNewAccess", "writeObjectOutNew", NEW_NEW),
]


@pytest.fixture
def service():
    """Give the new service."""
    return load_service(*WIRE, "TmriOutNewAccess.wsdl")


def _envelope(inner, *, namespace=HERE, operation="queryObjectOut", attributes="", soap=SOAP, prolog="UTF-8"):
    returned = f"<{operation}Return {attributes}>{inner}</{operation}Return>"
    return (
        f'<?xml version="1.0" encoding="{prolog}"?><e:Envelope xmlns:e="{soap}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><e:Body>'
        f'<n:{operation}Response xmlns:n="{namespace}">{returned}</n:{operation}Response></e:Body></e:Envelope>'
    )


def _read(service, body, operation="queryObjectOut"):
    body = body if isinstance(body, bytes) else body.encode()
    return service.read(operation, body, is_ours={HERE, REQUEST}.__contains__)


# --- Writing ---


@pytest.mark.parametrize(("wsdl", "operation", "names"), OPERATIONS)
def test_arguments_go_in_the_order_of_the_wsdl(wsdl, operation, names):
    """Whatever order they are given in; the middle ones change places where the operation is called New."""
    body = load_service(*WIRE, f"{wsdl}.wsdl").build(operation, {name: f"<{name}·值>" for name in sorted(names)})
    ((call,),) = etree.fromstring(body)
    assert call.tag == f"{{{REQUEST}}}{operation}"
    assert [(argument.tag, argument.text) for argument in call] == [(name, f"<{name}·值>") for name in names]


def test_a_request_is_rpc_encoded(service):
    """UTF-8, encodingStyle, each argument a string in no namespace, and an empty SOAPAction beside it."""
    body = service.build("queryObjectOut", dict.fromkeys(NEW, "x"))
    ((call,),) = etree.fromstring(body)
    assert body.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    assert call.attrib == {f"{{{SOAP}}}encodingStyle": "http://schemas.xmlsoap.org/soap/encoding/"}
    assert {tuple(argument.items()) for argument in call} == {
        (("{http://www.w3.org/2001/XMLSchema-instance}type", "xsd:string"),)
    }
    assert call.nsmap["xsd"] == "http://www.w3.org/2001/XMLSchema"
    assert dict(HEADERS) == {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}


@pytest.mark.parametrize("names", [NEW[:-1], [*NEW, "cjsqbh"]])
def test_arguments_must_be_those_of_the_operation(service, names):
    """One too few or too many is an error of ours."""
    with pytest.raises((TypeError, ValidationError)):
        service.build("queryObjectOut", dict.fromkeys(names, "x"))


# --- Reading ---

ATTRIBUTES = [
    "",
    'xsi:type="xsd:string"',
    'xsi:type="soapenc:string" xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"',
    'xsi:type="xsd:int"',
    'xsi:type="nobody:knows"',
    'e:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"',
]


@pytest.mark.parametrize("namespace", [HERE, REQUEST])
@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_an_answer_is_read_in_any_dress(service, namespace, attributes):
    """In either namespace, with and without a type, whatever it is; nothing is looked up elsewhere."""
    text = "<root>钱·𠮷</root>"
    assert _read(service, _envelope(escape(text), namespace=namespace, attributes=attributes)) == text


@pytest.mark.parametrize("inner", ["<![CDATA[<a>1</a>]]>", "&lt;a>1&lt;/a>", "<!-- x -->&lt;a>1&lt;/a>"])
def test_a_text_may_be_written_in_several_ways(service, inner):
    """CDATA, references, comments."""
    assert _read(service, _envelope(inner)) == "<a>1</a>"


def test_a_return_may_stand_in_a_namespace(service):
    """Some relays put everything into one."""
    body = _envelope("x").replace("queryObjectOutReturn", "n:queryObjectOutReturn")
    assert _read(service, body) == "x"


@pytest.mark.parametrize(("wsdl", "operation"), [(wsdl, operation) for wsdl, operation, _ in OPERATIONS])
def test_every_operation_has_its_answer(wsdl, operation):
    """And does not take another's for it."""
    service = load_service(*WIRE, f"{wsdl}.wsdl")
    assert _read(service, _envelope("x", operation=operation), operation) == "x"
    with pytest.raises(UnreadableError):
        _read(service, _envelope("x", operation=f"{operation}2"), operation)


BOMB = "<!DOCTYPE x [" + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)) + "]>"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html><body>Bad Gateway</body></html>",
        b"<!DOCTYPE html><html></html>",
        b"\xff\xfe<\x00a\x00/\x00>\x00",
        _envelope("x")[:-20],
        _envelope("x", namespace="http://relay.invalid/"),
        _envelope("x", namespace="urn:x"),
        _envelope("x", soap="http://www.w3.org/2003/05/soap-envelope"),
        _envelope("", attributes='xsi:nil="true"'),
        _envelope("<b>x</b>"),
        _envelope("x</queryObjectOutReturn><queryObjectOutReturn>y"),
        f'<e:Envelope xmlns:e="{SOAP}"><e:Body/></e:Envelope>',
        f'<e:Envelope xmlns:e="{SOAP}"/>',
        BOMB + _envelope("&a9;").partition("?>")[2],
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">' + _envelope("x").partition("?>")[2],
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + _envelope("&a;").partition("?>")[2],
        "<a>" * 10_000 + "</a>" * 10_000,
        "<a/>" * 60_000,
        f"<a>{'x' * MAX_BYTES}</a>",
    ],
    ids=range(20),
)
def test_what_is_no_answer_is_not_read(service, body, monkeypatch):
    """Empty, HTML, truncated, foreign, SOAP 1.2, hostile: the message quotes nothing, and no socket is opened."""
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(UnreadableError) as raised:
        _read(service, body)
    assert len(str(raised.value)) < 80
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("soapenv:Server.userException", "Server.userException"),
        ("Client", "Client"),
        ("", None),
        ("张三 13800000000", None),
    ],
)
def test_a_fault_is_no_answer(service, code, kept):
    """Its code is kept where it is one; its words are not."""
    fault = f"<e:Fault><faultcode>{code}</faultcode><faultstring>张三</faultstring></e:Fault>"
    with pytest.raises(UnreadableError, match="fault") as raised:
        _read(service, f'<e:Envelope xmlns:e="{SOAP}"><e:Body>{fault}</e:Body></e:Envelope>')
    assert raised.value.portal_code == kept
    assert "张三" not in str(raised.value)


# --- Encodings ---


@pytest.mark.parametrize(
    ("said", "encoding"),
    [
        ("UTF-8", "utf-8"),
        ("GBK", "utf-8"),
        ("ISO-8859-1", "utf-8"),
        ("GBK", "gbk"),
        ("gb2312", "gbk"),
        ("GB18030", "gb18030"),
    ],
)
def test_the_bytes_decide(service, said, encoding):
    """UTF-8 is UTF-8 whatever is declared; what is not is what it declares, if that is Chinese."""
    assert _read(service, _envelope("钱琪桐", prolog=said).encode(encoding)) == "钱琪桐"


def test_a_byte_order_mark_is_no_text():
    """It is left out."""
    assert decode_xml("\ufeff<a/>".encode(), max_bytes=100) == "<a/>"


@pytest.mark.parametrize(("said", "encoding"), [("UTF-8", "gb18030"), ("ISO-8859-1", "gbk"), ("UTF-8", "utf-16")])
def test_a_wrong_declaration_is_never_guessed_at(service, said, encoding):
    """Chinese in another encoding than is declared is not read: half of it would look like names."""
    with pytest.raises(UnreadableError):
        _read(service, _envelope("钱琪桐", prolog=said).encode(encoding))


def test_broken_chinese_is_not_read():
    """Neither UTF-8 nor what it declares."""
    with pytest.raises(UnreadableError, match="neither"):
        decode_xml(b'<?xml version="1.0" encoding="GBK"?><a>\xff</a>', max_bytes=100)


def test_size_is_judged_first():
    """A byte more than allowed, whatever it holds."""
    assert decode_xml(b"x" * 10, max_bytes=10) == "x" * 10
    with pytest.raises(UnreadableError, match="larger"):
        decode_xml(b"\xff" * 11, max_bytes=10)


def test_tags_are_counted_before_they_are_parsed():
    """What is read takes a hundred times the room of a short tag."""
    assert len(parse_xml(f"<a>{'<b/>' * 49_000}</a>")) == 49_000
    with pytest.raises(UnreadableError, match="tags"):
        parse_xml("<a>" + "<b/>" * 50_000 + "</a>")


# --- The WSDL ---


def test_a_wsdl_is_parsed_once_for_all_threads():
    """Eight that ask at once get the same service, and it serves them all."""
    barrier = Barrier(8)

    def ask(number):
        barrier.wait()
        service = load_service(*WIRE, "TmriOutAccess.wsdl")
        built = [service.build("queryObjectOut", dict.fromkeys(OLD, str(number))) for _ in range(20)]
        read = {_read(service, _envelope(str(number))) for _ in range(20)}
        return service, set(built), read

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(8)))
    assert len({id(service) for service, _, _ in results}) == 1
    assert [read for _, _, read in results] == [{str(number)} for number in range(8)]
    for number, (_, built, _) in enumerate(results):
        (body,) = built
        assert body.count(f">{number}<".encode()) == 4


def test_a_wsdl_that_wants_another_document_is_refused(tmp_path):
    """There is nothing to load it with, from the network or from the disk."""
    (tmp_path / "other.wsdl").write_bytes(files(WIRE[0]).joinpath(*WIRE[1:], "TmriOutAccess.wsdl").read_bytes())
    for location, error in (
        ("http://127.0.0.1:9/other.wsdl", ExternalReferenceForbidden),
        ((tmp_path / "other.wsdl").as_uri(), UnreadableError),
    ):
        imported = f'<wsdl:import namespace="urn:x" location="{location}"/>'
        wsdl = f'<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/">{imported}</wsdl:definitions>'
        with pytest.raises(error):
            SoapService(wsdl.encode())
