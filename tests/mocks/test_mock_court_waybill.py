"""The stand-in of a court signs and speaks as the contract's worked example does, and says what it does not like."""

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
import requests
from typer.testing import CliRunner

from govpost.mocks._court_tasks import read_task, tasks_of
from govpost.mocks._court_xml import NAMESPACE, Element, build, check, encode, parse, parse_text, text_of
from govpost.mocks._pdf_text import read_texts
from govpost.mocks._sm2 import KeyPair, is_signed, new_key_pair, sign
from govpost.mocks.base import Heard, JsonObject, Mock, UnfitError
from govpost.mocks.commands import app
from govpost.mocks.court_waybill import (
    DEMO_COURT_CERT,
    DEMO_COURT_KEY,
    DEMO_GATEWAY_CERT,
    DEMO_GATEWAY_KEY,
    SPOILS,
    Answer,
    CourtWaybillMock,
    TaskAnswer,
    new_batch,
    new_task,
    new_tasks,
    sample_batches,
    signed_bytes,
)
from govpost.mocks.faults import FaultPlan
from govpost.mocks.server import MockServer
from govpost.schemas import WireReply, WireRequest
from govpost.schemas.errors import ConfigurationError
from govpost.schemas.identifiers import check_citizen_id, check_mobile

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_bytes())
EXAMPLE = EXAMPLES["court_waybill"]
EXAMPLE_BODY = base64.b64decode(EXAMPLE["body_base64"])
SAMPLES = Path(__file__).parents[2] / "schemas" / "wire" / "court_waybill" / "samples"
EXAMPLE_AT = datetime.fromtimestamp(int(EXAMPLE["timestamp"]) / 1000, UTC)
NUMBER, OTHER_NUMBER = "EA969294768CN", "EB000000005CN"
ORDER_ID, OTHER_ORDER_ID = "01HGK0000000000000000000AB", "01HGK0000000000000000000AC"
TIMEOUT_S = 10.0
GB18030_PROLOG = b'<?xml version="1.0" encoding="GB18030"?>\n'

#: One too deep inside of GuiJi.
NESTED = b"<a>" * 31 + b"</a>" * 31

#: A recipient who confirmed the address; one who did not; an organisation; one of whom no receipt is wanted.
CONFIRMED, UNCONFIRMED, COMPANY, UNWANTED = "T-1", "T-2", "T-3", "T-4"
RECIPIENT, DESIGNATED, OPPONENT = "买买提·吐尔逊", "李曦秀", "Müller Hans"
PHONE, ID_NO = "13883269998", "500104199106074519"
ADDRESS = "重庆市大渡口区凤凰路867号锦绣家园28栋15-1"


def task_text(
    rwid: str,
    *,
    lx: str = "ZRR",
    xm: str = RECIPIENT,
    querenshu: str = "true",
    xuyao: str = "true",
    clerk: str = "023-66222334",
) -> str:
    """Write a task."""
    return (
        f'<RenWu xmlns="{NAMESPACE}" rwid="{rwid}"><AnHao>（2023）渝0113民初3006号</AnHao><AnYou>民间借贷纠纷</AnYou>'
        f'<WenShu lb="CP" mc="传票" fs="1"/><ShouSongDaRen xm="{xm}" zjlx="111" zjhm="{ID_NO}" dh="{PHONE}" '
        f'dz="{ADDRESS}" xzqh="500104" yb="400000" lx="{lx}" querenshu="{querenshu}"/>'
        f'<DaiShouRen xm="{DESIGNATED}" gx="配偶" dh="17881743882"/><DuiFangDangShiRen xm="{OPPONENT}"/>'
        f'<JiJianRen mc="重庆市巴南区人民法院" lxr="赵梦杰" dh="{clerk}" dz="重庆市巴南区龙洲大道"/>'
        f'<HuiZhi xuyao="{xuyao}" qixian="10"/></RenWu>'
    )


TASKS = (
    task_text(CONFIRMED),
    task_text(UNCONFIRMED, querenshu="false"),
    task_text(COMPANY, lx="FR", xm="重庆某某商贸有限公司", clerk="12368"),
    task_text(UNWANTED, xuyao="false"),
)


def pdf(*strings: bytes, pack: Callable[[bytes], bytes] = bytes, more: bytes = b"") -> bytes:
    """Write as much of a PDF as a reader of its strings needs."""
    content = pack(b"BT " + b" ".join(b"%s Tj" % string for string in strings) + b" ET")
    return b"%PDF-1.4\n1 0 obj<<>>\nstream\n" + content + b"\nendstream\nendobj\n" + more + b"%%EOF\n"


LABEL = pdf(b"(EA969294768CN)", b"(138******98)")
PNG, JPEG = b"\x89PNG\r\n\x1a\n...", b"\xff\xd8\xff..."


def attributes(values: dict[str, str | None]) -> str:
    """Write attributes; None leaves one out."""
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value is not None)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = EXAMPLE_AT

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.at


def sign_headers(body: bytes, at: datetime, *, cert: str = DEMO_GATEWAY_CERT, key: KeyPair = DEMO_GATEWAY_KEY) -> Any:
    """Sign as the gateway does."""
    timestamp = str(int(at.timestamp() * 1000))
    signature = base64.b64encode(sign(signed_bytes(timestamp, body), key)).decode()
    return {"X-Cert-Id": cert, "X-Timestamp": timestamp, "X-Signature": signature, "Content-Type": "application/xml"}


class Gateway:
    """Tells a court over a socket, as the gateway does, and opens what it answers."""

    def __init__(self, server: MockServer[CourtWaybillMock], session: requests.Session, clock: Clock) -> None:
        self._server = server
        self._session = session
        self._clock = clock
        self._numbers = count(1)

    def post(
        self, body: bytes, headers: dict[str, str | None] | None = None, *, path: str = "/base/hc", method: str = "POST"
    ) -> requests.Response:
        """Carry a body, signed except for the headers given; None leaves one out. Time goes on by a millisecond."""
        self._clock.at += timedelta(milliseconds=1)
        wanted = sign_headers(body, self._clock.at) | (headers or {})
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return self._session.request(method, self._server.url + path, data=body, headers=wanted, timeout=TIMEOUT_S)

    def open(self, reply: requests.Response) -> Element:
        """Open an answer, which must be the court's, of now, in GB18030, and fit the contract."""
        cert, timestamp, signature = (reply.headers[name] for name in ("X-Cert-Id", "X-Timestamp", "X-Signature"))
        court = self._server.mock
        assert (reply.status_code, cert) == (200, court.sign_cert)
        assert timestamp == str(int(self._clock.at.timestamp() * 1000))
        assert is_signed(
            signed_bytes(timestamp, reply.content), base64.b64decode(signature), by=[court.sign_key.public]
        )
        assert reply.content.startswith(GB18030_PROLOG)
        answer = parse(reply.content, where="answer", code="")
        check(answer, code="")
        return answer

    def say(self, body: bytes, headers: dict[str, str | None] | None = None) -> str:
        """Carry a body; the code of the answer."""
        return str(self.open(self.post(body, headers)).get("dm"))

    def document(self, content: str, **members: str | None) -> bytes:
        """Write a `HuiChuan` under a qqid of its own."""
        root = {"qqid": f"q{next(self._numbers)}", "rwid": CONFIRMED, "yjhm": NUMBER, **members}
        return f'<HuiChuan xmlns="{NAMESPACE}"{attributes(root)}>{content}</HuiChuan>'.encode("gb18030")

    def tell(self, content: str, **members: str | None) -> str:
        """Tell something; the code of the answer."""
        return self.say(GB18030_PROLOG + self.document(content, **members))

    def label(self, label: bytes = LABEL, **members: str | None) -> str:
        """Tell a label."""
        return self.tell(f"<MianDan>{base64.b64encode(label).decode()}</MianDan>", **members)

    def trace(self, zt: str, *, root: dict[str, str] | None = None, **members: str | None) -> str:
        """Tell a trace."""
        trace = {"zt": zt, "sj": "2023-12-02T10:00:00+08:00", "ms": "邮件处理中", **members}
        return self.tell(f"<GuiJi{attributes(trace)}/>", **(root or {}))

    def receipt(
        self, jg: str, *images: tuple[str, bytes], root: dict[str, str] | None = None, **members: str | None
    ) -> str:
        """Tell a receipt; with YS all that it needs, unless told otherwise."""
        signed = {"sdrq": "2023-12-03", "qsr": RECIPIENT, "gx": "本人", "zjhm": ID_NO} if jg == "YS" else {}
        receipt = {"jg": jg, "sj": "2023-12-03T10:00:00+08:00", **signed, **members}
        pictures = "".join(
            f'<YingXiang lx="{lx}">{base64.b64encode(image).decode()}</YingXiang>' for lx, image in images
        )
        return self.tell(f"<HuiZhi{attributes(receipt)}>{pictures}</HuiZhi>", **(root or {}))

    def go(self, *statuses: str, rwid: str = CONFIRMED) -> None:
        """Tell a label and then traces, an hour apart, the last of them on the third."""
        assert self.label(rwid=rwid) == "0"
        last = datetime.fromisoformat("2023-12-03T10:00:00+08:00")
        for place, status in enumerate(statuses, start=1 - len(statuses)):
            at = (last + timedelta(hours=place)).isoformat()
            assert self.trace(status, sj=at, root={"rwid": rwid}) == "0"

    def probe(self, rwid: str = CONFIRMED) -> list[str]:
        """Ask what has arrived."""
        answer = self.open(self.post(GB18030_PROLOG + self.document("<ChaXun/>", rwid=rwid)))
        assert answer.get("dm") == "0"
        return [each.text for each in answer]


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands at the moment of the worked example."""
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[MockServer[CourtWaybillMock]]:
    """Serve a court that has handed four tasks over."""
    with MockServer(CourtWaybillMock(now=clock)) as server:
        for task in TASKS:
            server.mock.expect(task)
        yield server


@pytest.fixture
def court(server: MockServer[CourtWaybillMock]) -> CourtWaybillMock:
    """Give that court."""
    return server.mock


@pytest.fixture
def gateway(server: MockServer[CourtWaybillMock], session: requests.Session, clock: Clock) -> Gateway:
    """Give a gateway that tells the court."""
    return Gateway(server, session, clock)


def complaint(court: CourtWaybillMock) -> tuple[str, str]:
    """Give code and place of what was refused last."""
    return court.rejected[-1].code, court.rejected[-1].where


class TestExample:
    """What the contract's worked example holds; SM2 is verified."""

    def test_keys(self) -> None:
        """The demo keys are those of the examples."""
        court, gateway = (EXAMPLES["keys"]["sm2"][whose] for whose in ("court", "gateway_court"))
        assert KeyPair(court["public"], court["private"]) == DEMO_COURT_KEY
        assert KeyPair(gateway["public"], gateway["private"]) == DEMO_GATEWAY_KEY

    def test_signature(self) -> None:
        """The example's signature verifies with the court's key and with no other's, nor over other bytes."""
        signature = base64.b64decode(EXAMPLE["signature_base64_der"])
        message = signed_bytes(EXAMPLE["timestamp"], EXAMPLE_BODY)
        assert message == EXAMPLE["timestamp"].encode() + b"\n" + EXAMPLE_BODY
        assert is_signed(message, signature, by=[DEMO_GATEWAY_KEY.public, DEMO_COURT_KEY.public])
        assert not is_signed(message, signature, by=[DEMO_GATEWAY_KEY.public])
        assert not is_signed(message + b" ", signature, by=[DEMO_COURT_KEY.public])

    @pytest.mark.parametrize("signature", [b"", b"x", b"\x30\x06\x02\x01\x00\x02\x01\x00", bytes(70)])
    def test_no_signature(self, signature: bytes) -> None:
        """What is no signature verifies as none."""
        assert not is_signed(EXAMPLE_BODY, signature, by=[DEMO_COURT_KEY.public])

    def test_batch(self, clock: Clock) -> None:
        """The example's batch is sent byte for byte, and signed so that it verifies."""
        court = CourtWaybillMock(now=clock)
        text = EXAMPLE_BODY.decode("gb18030")
        request = court.hand_over({"xml": text})
        assert (request.method, request.url, request.body) == (
            "POST",
            "/portals/court_waybill/batches",
            EXAMPLE_BODY,
        )
        assert (request.headers["X-Cert-Id"], request.headers["X-Timestamp"]) == (DEMO_COURT_CERT, EXAMPLE["timestamp"])
        message = EXAMPLE["timestamp"].encode() + b"\n" + EXAMPLE_BODY
        signature = base64.b64decode(request.headers["X-Signature"])
        assert is_signed(message, signature, by=[EXAMPLES["keys"]["sm2"]["court"]["public"]])
        assert sorted(court.tasks) == [f"FY0113-20231201-001-000{n}" for n in (1, 2, 3)]


class TestProof:
    """What is not proven to come from the gateway is answered 8, and changes nothing."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-Cert-Id", None),
            ("X-Cert-Id", "gateway-none"),
            ("X-Timestamp", None),
            ("X-Timestamp", "now"),
            ("X-Signature", None),
            ("X-Signature", "!"),
            ("X-Signature", "AAAA"),
        ],
    )
    def test_unfit_header(self, court: CourtWaybillMock, gateway: Gateway, name: str, value: str | None) -> None:
        """A header that is missing or says nothing is named; a foreign timestamp is not what was signed."""
        body = GB18030_PROLOG + gateway.document("<ChaXun/>")
        assert gateway.say(body, {name: value}) == "8"
        blamed = "X-Signature" if value == "now" else name
        assert complaint(court) == ("8", f"header {blamed}")

    def test_other_key(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock) -> None:
        """The court's own key signs nothing for the gateway."""
        body = GB18030_PROLOG + gateway.document("<ChaXun/>")
        assert gateway.say(body, sign_headers(body, clock.at, key=DEMO_COURT_KEY)) == "8"
        assert complaint(court) == ("8", "header X-Signature")

    def test_other_bytes(self, gateway: Gateway, clock: Clock) -> None:
        """A signature is of every byte."""
        body = GB18030_PROLOG + gateway.document("<ChaXun/>")
        assert gateway.say(body + b"\n", sign_headers(body, clock.at)) == "8"

    @pytest.mark.parametrize(("seconds", "code"), [(300, "0"), (300.001, "8"), (-300, "0"), (-300.001, "8")])
    def test_timestamp(
        self, court: CourtWaybillMock, gateway: Gateway, clock: Clock, seconds: float, code: str
    ) -> None:
        """A timestamp may be 300 s off, either way."""
        body = GB18030_PROLOG + gateway.document("<ChaXun/>")
        headers = sign_headers(body, clock.at)
        # It goes on by one more when the request leaves.
        clock.at += timedelta(seconds=seconds) - timedelta(milliseconds=1)
        assert gateway.say(body, headers) == code
        assert [rejection.where for rejection in court.rejected] == ["header X-Timestamp"] * (code == "8")

    def test_seconds(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A timestamp in seconds is refused though it was signed."""
        body = GB18030_PROLOG + gateway.document("<ChaXun/>")
        timestamp = str(int(EXAMPLE_AT.timestamp()))
        signature = base64.b64encode(sign(signed_bytes(timestamp, body), DEMO_GATEWAY_KEY)).decode()
        assert gateway.say(body, {"X-Timestamp": timestamp, "X-Signature": signature}) == "8"
        assert complaint(court) == ("8", "header X-Timestamp")

    def test_trusted_key(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock) -> None:
        """A new key of the gateway's is good under its own name, as the old one still is."""
        key = new_key_pair()
        court.trust_key("gateway-2", f"04{key.public}")
        body = GB18030_PROLOG + gateway.document("<ChaXun/>")
        assert gateway.say(body, sign_headers(body, clock.at, cert="gateway-2", key=key)) == "0"
        assert gateway.say(body, sign_headers(body, clock.at, key=key)) == "8"
        assert gateway.say(body) == "0"

    @pytest.mark.parametrize(("method", "path", "status"), [("POST", "/base", 404), ("GET", "/base/hc", 405)])
    def test_no_door(self, gateway: Gateway, method: str, path: str, status: int) -> None:
        """Another path or method is plain HTTP."""
        assert gateway.post(b"", path=path, method=method).status_code == status


class TestXml:
    """What is no document of the contract is answered 3, by its place."""

    @pytest.mark.parametrize(
        ("spoil", "where"),
        [
            (lambda _: b"", "body"),
            (lambda text: text, "body"),
            (lambda text: b'<?xml version="1.0" encoding="UTF-8"?>' + text, "body"),
            (lambda text: b"\x84\x31\x95\x33" + GB18030_PROLOG + text, "body"),
            (lambda text: (GB18030_PROLOG + text)[:-3], "body"),
            (lambda text: GB18030_PROLOG + text.replace("邮".encode("gb18030"), "邮".encode()), "body"),
            (lambda text: GB18030_PROLOG + b"<!DOCTYPE HuiChuan>" + text, "body"),
            (lambda text: GB18030_PROLOG + b'<!DOCTYPE HuiChuan [<!ENTITY e "x">]>' + text, "body"),
            (lambda text: GB18030_PROLOG + text.replace(b"/>", b">" + NESTED + b"</GuiJi>"), "body"),
            (lambda text: GB18030_PROLOG + text.replace(b"HuiChuan", b"RenWu"), "body"),
            (lambda text: GB18030_PROLOG + text.replace(b"HuiChuan", b"PiCiJieGuo"), "body"),
            (lambda text: GB18030_PROLOG + text.replace(b"bill:1", b"bill:2"), "HuiChuan"),
        ],
    )
    def test_unreadable(
        self, court: CourtWaybillMock, gateway: Gateway, spoil: Callable[[bytes], bytes], where: str
    ) -> None:
        """Neither encoding, DTD, depth nor root may be other than the contract's."""
        text = gateway.document('<GuiJi zt="03" sj="2023-12-02T10:00:00+08:00" ms="邮件"/>')
        assert gateway.say(spoil(text)) == "3"
        assert complaint(court) == ("3", where)

    def test_deepest(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """At a depth of 32 it is the XSD that complains."""
        assert gateway.tell(f"<GuiJi>{'<a>' * 30}{'</a>' * 30}</GuiJi>") == "3"
        assert complaint(court) == ("3", "GuiJi/@zt")

    @pytest.mark.parametrize(
        ("content", "where"),
        [
            ("", "HuiChuan"),
            ("<Other/>", "Other"),
            ("<ChaXun/><ChaXun/>", "ChaXun"),
            ("<ChaXun>x</ChaXun>", "ChaXun"),
            ("<ChaXun/>x", "HuiChuan"),
            ('<GuiJi zt="12" sj="2023-12-02T10:00:00+08:00" ms="x"/>', "GuiJi/@zt"),
            ('<GuiJi zt="03" sj="2023-12-02 10:00:00" ms="x"/>', "GuiJi/@sj"),
            ('<GuiJi zt="03" sj="2023-12-02T10:00:00+08:00"/>', "GuiJi/@ms"),
            ('<GuiJi zt="03" sj="2023-12-02T10:00:00+08:00" ms="x" yydm="08"/>', "GuiJi/@yydm"),
            ('<GuiJi zt="03" sj="2023-12-02T10:00:00+08:00" ms="x" cs="0"/>', "GuiJi/@cs"),
            ('<GuiJi zt="03" sj="2023-12-02T10:00:00+08:00" ms="x" more="x"/>', "GuiJi/@more"),
            ('<HuiZhi jg="QS" sj="2023-12-02T10:00:00+08:00"/>', "HuiZhi/@jg"),
            ('<HuiZhi jg="YS" sj="2023-12-02T10:00:00+08:00" sdrq="20231202"/>', "HuiZhi/@sdrq"),
            ("<MianDan>!</MianDan>", "MianDan"),
        ],
    )
    def test_unfit(self, court: CourtWaybillMock, gateway: Gateway, content: str, where: str) -> None:
        """What the XSD does not allow is named."""
        assert gateway.tell(content) == "3"
        assert complaint(court) == ("3", where)

    @pytest.mark.parametrize("name", ["qqid", "rwid"])
    def test_missing(self, court: CourtWaybillMock, gateway: Gateway, name: str) -> None:
        """What everything carries must be there."""
        assert gateway.tell("<ChaXun/>", **{name: None}) == "3"
        assert complaint(court) == ("3", f"HuiChuan/@{name}")

    def test_no_value_is_said(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A complaint never repeats what it is about."""
        gateway.receipt("YS", qsr=f"{RECIPIENT}{'啊' * 100}", zjhm=ID_NO)
        answer = gateway.open(gateway.post(GB18030_PROLOG + gateway.document(f'<GuiJi zt="{ID_NO}"/>')))
        said = [*(f"{each.where} {each.reason}" for each in court.rejected), answer.get("xx")]
        assert len(court.rejected) == 2
        assert not [text for text in said if RECIPIENT in text or ID_NO in text]

    def test_midnight(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """An hour 24, which a schema may take for a time, is none."""
        gateway.go()
        assert gateway.trace("03", sj="2023-12-02T24:00:00+08:00") == "3"
        assert complaint(court) == ("3", "GuiJi/@sj")

    @pytest.mark.parametrize(
        ("content_type", "code"),
        [
            (None, "0"),
            ("application/xml", "0"),
            ('text/xml; charset="GB18030"', "0"),
            ("application/xml;charset=UTF-8", "3"),
            ("application/json", "3"),
        ],
    )
    def test_content_type(self, gateway: Gateway, content_type: str | None, code: str) -> None:
        """A Content-Type, where there is one, says XML and nothing against the prolog."""
        assert gateway.say(GB18030_PROLOG + gateway.document("<ChaXun/>"), {"Content-Type": content_type}) == code

    def test_unknown_task(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A task that the court never handed over is answered 2, whatever is told or asked."""
        assert [gateway.label(rwid="T-0"), gateway.trace("03", root={"rwid": "T-0"})] == ["2", "2"]
        assert gateway.tell("<ChaXun/>", rwid="T-0") == "2"
        assert complaint(court) == ("2", "HuiChuan/@rwid")

    def test_unknown_task_of_a_lenient_court(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A court that is not strict believes what it can of a task that it first hears of now."""
        court.is_strict = False
        gateway.go("05", "07", "08", "09", rwid="T-0")
        assert gateway.receipt("TH", yydm="03", sdrq="2023-12-03", root={"rwid": "T-0"}) == "0"
        assert court.report()["T-0"]["receipts"] == [{"jg": "TH", "sdrq": "2023-12-03"}]
        gateway.go("05", rwid="T-00")
        signers = [{"gx": "自提点"}, {"qsr": OPPONENT, "gx": "其他"}]
        assert [gateway.receipt("YS", root={"rwid": "T-00"}, **signer) for signer in signers] == ["3", "0"]


class TestAgain:
    """The same thing told again."""

    def test_same_qqid(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """The same body under its qqid is had already; signed anew it may come as often as it likes."""
        body = GB18030_PROLOG + gateway.document(f"<MianDan>{base64.b64encode(LABEL).decode()}</MianDan>", qqid="q")
        assert [gateway.say(body) for _ in range(3)] == ["0", "1", "1"]
        assert (court.repeats["q"], court.state()["waybills"], court.changed) == (2, 1, 0)

    def test_same_qqid_other_body(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """Another body under a qqid is refused and counted, be it another by a space only."""
        gateway.go()
        assert gateway.trace("03", root={"qqid": "q"}) == "0"
        assert gateway.trace("04", root={"qqid": "q"}) == "3"
        assert complaint(court) == ("3", "HuiChuan/@qqid")
        assert (court.changed, court.tasks[CONFIRMED].course) == (1, ["01", "02", "03"])

    def test_refused_qqid_is_free(self, gateway: Gateway) -> None:
        """A qqid under which something was refused may be used for what is right."""
        gateway.go()
        assert [gateway.trace(zt, root={"qqid": "q"}) for zt in ("02", "03")] == ["3", "0"]

    def test_same_timestamp(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock) -> None:
        """The same bytes under the same timestamp are answered as the first time, within its 300 s."""
        body = GB18030_PROLOG + gateway.document(f"<MianDan>{base64.b64encode(LABEL).decode()}</MianDan>")
        headers = sign_headers(body, clock.at)
        assert [gateway.say(body, headers) for _ in range(2)] == ["0", "0"]
        assert (court.replayed, court.repeats.total()) == (1, 0)
        clock.at += timedelta(seconds=301)
        assert gateway.say(body, headers) == "8"

    def test_refusal_of_the_same_timestamp(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock) -> None:
        """A refusal is answered again too, though the task is known by now."""
        body = GB18030_PROLOG + gateway.document("<ChaXun/>", rwid="T-0")
        headers = sign_headers(body, clock.at)
        assert gateway.say(body, headers) == "2"
        court.expect(task_text("T-0"))
        assert [gateway.say(body, headers), gateway.say(body)] == ["2", "0"]

    def test_memory_of_timestamps(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock) -> None:
        """What no timestamp can be valid for any more is forgotten."""
        gateway.probe()
        clock.at += timedelta(seconds=601)
        gateway.probe()
        assert len(court._answered) == 1

    def test_told_twice(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """The same news under another qqid is counted, taken or not; a correction and another time are other news."""
        gateway.go("04")
        assert court.told_twice == 0
        assert gateway.label() == "0"
        assert court.told_twice == 1
        assert [gateway.trace("04"), gateway.trace("04")] == ["0", "0"]
        assert court.told_twice == 2
        assert [gateway.trace("06"), gateway.trace("06")] == ["0", "3"]
        assert court.state()["told_twice"] == 3
        assert [gateway.trace("04", ms="更正：运输中") for _ in range(2)] == ["0", "0"]
        assert court.told_twice == 3

    def test_probe(self, gateway: Gateway) -> None:
        """A probe lists the qqids of its task that were taken, in order, and is none of them itself."""
        gateway.label(qqid="a")
        gateway.label(qqid="b", rwid=UNCONFIRMED)
        gateway.trace("02", root={"qqid": "c"})
        gateway.trace("03", root={"qqid": "d"})
        assert [gateway.probe(), gateway.probe(), gateway.probe(UNCONFIRMED)] == [["a", "d"], ["a", "d"], ["b"]]


class TestLabel:
    """`MianDan`: the number and the e-waybill."""

    def test_taken(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """Number and PDF are kept."""
        assert gateway.label() == "0"
        task = court.tasks[CONFIRMED]
        assert (task.waybill_no, task.label, task.course) == (NUMBER, LABEL, ["01", "02"])

    @pytest.mark.parametrize("label", [b"", b"PNG", LABEL[1:], LABEL[:-7]])
    def test_no_pdf(self, court: CourtWaybillMock, gateway: Gateway, label: bytes) -> None:
        """What does not begin and end as a PDF is none."""
        assert gateway.label(label) == "3"
        assert complaint(court) == ("3", "MianDan")
        assert not court.tasks[CONFIRMED].waybill_no

    def test_no_number(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A label comes with its number."""
        assert gateway.label(yjhm="") == "3"
        assert complaint(court) == ("3", "HuiChuan/@yjhm")

    def test_other_number(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """The first number stays."""
        assert [gateway.label(), gateway.label(yjhm=OTHER_NUMBER)] == ["0", "3"]
        assert complaint(court) == ("3", "HuiChuan/@yjhm")
        assert court.tasks[CONFIRMED].waybill_no == NUMBER

    @pytest.mark.parametrize(
        "shown",
        [
            RECIPIENT,
            DESIGNATED,
            OPPONENT,
            "赵梦杰",
            PHONE,
            ID_NO,
            ADDRESS,
            "28栋15-1",
            "138***69998",
            "138*****998",
            "-1388326****",
        ],
    )
    def test_unmasked(self, court: CourtWaybillMock, gateway: Gateway, shown: str) -> None:
        """A name, a number, the room, or over five digits of a phone must not be on it."""
        assert gateway.label(pdf(b"(%s)" % shown.encode("gb18030"), pack=zlib.compress)) == "3"
        assert complaint(court) == ("3", "MianDan")

    @pytest.mark.parametrize(
        "shown",
        [
            "买**·***",
            "138******98",
            "重庆市大渡口区****",
            "重庆市巴南区人民法院",
            "023-******34",
            "-----",
            "13912345678",
        ],
    )
    def test_masked(self, gateway: Gateway, shown: str) -> None:
        """What is masked, the court's own name, and what is nobody's in this task may be."""
        assert gateway.label(pdf(b"(%s)" % shown.encode("gb18030"))) == "0"

    def test_organization(self, gateway: Gateway) -> None:
        """An organisation's name is no personal data; a dashed line is no number, however short that is."""
        shown = "重庆某某商贸有限公司 -----".encode("gb18030")
        assert gateway.label(pdf(b"(%s)" % shown), rwid=COMPANY) == "0"


class TestPdfText:
    """What is readable in a PDF, in the ways in which writers put text there."""

    CMAP = b"stream\n/CIDInit\nbegincmap\n%s\nendcmap\nendstream\n"

    @pytest.mark.parametrize(
        "document",
        [
            pdf("(何秀建)".encode()),
            pdf("(何秀建)".encode("gb18030"), pack=zlib.compress),
            pdf(b"<%s>" % "何秀建".encode("utf-16-be").hex().encode()),
            pdf(b"<%s>" % "何秀".encode("utf-16-be").hex().encode(), b"(\\136\\372)"),
            pdf(
                b"(%s)" % "何秀建".encode("utf-16-be").replace(b"(", b"\\("),
                pack=lambda data: base64.a85encode(zlib.compress(data)) + b"~>",
            ),
            pdf(b"(\\001\\002)", b"(\3)", more=CMAP % b"beginbfchar\n<01> <4F55>\n<02> <79C0>\n<03> <5EFA>\nendbfchar"),
            pdf(
                b"<000300050001>",
                more=CMAP
                % (b"beginbfrange\n<0003> <0004> <4F55>\n<0005> <0006> <79C0>\nendbfrange 1 beginbfchar\n"
                   b"<0001> <5EFA>\nendbfchar"),
            ),
        ],
        ids=["utf-8", "gb18030", "utf-16", "octal", "ascii85", "cmap", "cmap of two bytes"],
    )  # fmt: skip
    def test_found(self, document: bytes) -> None:
        """A name is found however it is written."""
        assert any("何秀建" in text for text in read_texts(document))

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"%PDF-1.4 (x",
            pdf(b"(\\)"),
            pdf(b"(\\8\\777)"),
            pdf(b"<0>"),
            pdf(b"x", pack=lambda data: data + b"~>"),
            pdf(b"<01>", more=CMAP % b"beginbfchar\n<01> <D87EDC00D87EDC00>\nendbfchar"),
            pdf(b"<01>", more=CMAP % b"beginbfrange\n<01> <FFFFFFFF> <0020>\nendbfrange"),
        ],
    )
    def test_odd(self, document: bytes) -> None:
        """What is broken is read as far as it goes."""
        assert not any("何秀建" in text for text in read_texts(document))


class TestTraces:
    """`GuiJi`: from collected on."""

    @pytest.mark.parametrize(
        "course",
        [
            "03 04 04 05 06",
            "06",
            "03 04 05 07 05 07 05 06",
            "03 04 05 07 08 08 09",
            "03 04 11",
            "10",
            "03 10",
            "05 07 06",
        ],
    )
    def test_courses(self, court: CourtWaybillMock, gateway: Gateway, course: str) -> None:
        """An item goes on as an order lives, and may skip."""
        gateway.go(*course.split())
        assert court.report()[CONFIRMED]["states"] == course.split()

    @pytest.mark.parametrize(
        ("course", "status"),
        [
            ("", "01"),
            ("", "02"),
            ("03", "03"),
            ("04", "03"),
            ("04", "10"),
            ("06", "05"),
            ("06", "06"),
            ("08", "05"),
            ("08", "06"),
            ("09", "08"),
            ("10", "03"),
            ("11", "04"),
        ],
    )
    def test_impossible_courses(self, court: CourtWaybillMock, gateway: Gateway, course: str, status: str) -> None:
        """What cannot follow is refused."""
        gateway.go(*course.split())
        assert gateway.trace(status, sj="2023-12-03T11:00:00+08:00") == "3"
        assert complaint(court) == ("3", "GuiJi/@zt")

    @pytest.mark.parametrize(
        ("course", "status", "code"),
        [
            ("03 05 06", "05", "0"),
            ("03 05 06", "02", "0"),
            ("06", "01", "0"),
            ("03 05 06", "04", "3"),
            ("03 05", "06", "3"),
        ],
    )
    def test_corrections(self, gateway: Gateway, course: str, status: str, code: str) -> None:
        """A correction goes back to where the item was before, and nowhere else."""
        gateway.go(*course.split())
        assert gateway.trace(status, ms="更正：此前状态有误", sj="2023-12-03T11:00:00+08:00") == code

    def test_goes_on_from_correction(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """What was corrected is as if it had not been."""
        gateway.go("03", "05", "06")
        assert [gateway.trace("05", ms="更正：派送中"), gateway.trace("07"), gateway.trace("09")] == ["0", "0", "0"]
        assert court.tasks[CONFIRMED].course == ["01", "02", "03", "05", "06", "05", "07", "09"]

    def test_before_the_label(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A trace needs the number that a label told; only what is cancelled may have none."""
        assert [gateway.trace("03"), gateway.trace("10", root={"yjhm": ""})] == ["3", "0"]
        assert complaint(court) == ("3", "HuiChuan/@yjhm")

    @pytest.mark.parametrize("number", ["", OTHER_NUMBER])
    @pytest.mark.parametrize("status", ["03", "10"])
    def test_other_number(self, court: CourtWaybillMock, gateway: Gateway, number: str, status: str) -> None:
        """Once there is a number, everything carries it."""
        gateway.go()
        assert gateway.trace(status, root={"yjhm": number}) == "3"
        assert complaint(court) == ("3", "HuiChuan/@yjhm")

    @pytest.mark.parametrize(
        "sentence",
        ["请致电68212233", "联系138 8326 9998", f"收件人{RECIPIENT}", f"{DESIGNATED}代收", f"已送至{ADDRESS}"],
    )
    def test_personal_sentence(self, court: CourtWaybillMock, gateway: Gateway, sentence: str) -> None:
        """A sentence holds nobody's name, number or address."""
        gateway.go()
        assert gateway.trace("03", ms=sentence) == "3"
        assert complaint(court) == ("3", "GuiJi/@ms")

    def test_number_in_sentence(self, gateway: Gateway) -> None:
        """The item's own number may stand in a sentence."""
        gateway.go()
        assert gateway.trace("03", ms=f"邮件{NUMBER}已收寄，2023年12月2日") == "0"

    @pytest.mark.parametrize(("status", "code"), [("07", "0"), ("05", "3"), ("09", "3")])
    def test_reason(self, gateway: Gateway, status: str, code: str) -> None:
        """A reason goes with 07."""
        gateway.go("05")
        assert gateway.trace(status, yydm="03") == code

    def test_attempts(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """Attempts are not counted down, except by a correction."""
        gateway.go("05")
        assert [gateway.trace("07", cs=cs) for cs in ("1", "2", "2")] == ["0", "0", "0"]
        assert gateway.trace("07", cs="1") == "3"
        assert complaint(court) == ("3", "GuiJi/@cs")
        assert [gateway.trace("05"), gateway.trace("05", cs="1", ms="更正：派送中")] == ["0", "0"]
        assert [gateway.trace("07", cs=cs) for cs in ("1", "2")] == ["0", "0"]


class TestReceipts:
    """`HuiZhi`: what the court puts into the files of the case."""

    @pytest.mark.parametrize("course", ["05", "05 06", "03", "07"])
    def test_signed(self, court: CourtWaybillMock, gateway: Gateway, course: str) -> None:
        """A signature is dated the day on which it was given; the trace of it may come before or after."""
        gateway.go(*course.split())
        assert gateway.receipt("YS") == "0"
        assert court.report()[CONFIRMED]["receipts"] == [{"jg": "YS", "sdrq": "2023-12-03"}]
        assert gateway.trace("06") == ("3" if course.endswith("06") else "0")

    @pytest.mark.parametrize("course", ["08", "09", "10", "11"])
    def test_signed_but_elsewhere(self, court: CourtWaybillMock, gateway: Gateway, course: str) -> None:
        """An item that went back, was cancelled or lost was not signed for."""
        gateway.go(course)
        assert gateway.receipt("YS") == "3"
        assert complaint(court) == ("3", "HuiZhi/@jg")

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"qsr": None}, "qsr"),
            ({"qsr": None, "gx": "配偶"}, "qsr"),
            ({"zjhm": None}, "zjhm"),
            ({"zjhm": "5001**********4519"}, "zjhm"),
            ({"zjhm": "无"}, "zjhm"),
            ({"sdrq": ""}, "sdrq"),
            ({"sdrq": "2023-12-04"}, "sdrq"),
            ({"yydm": "99"}, "yydm"),
            ({"cxqqid": "q1"}, "cxqqid"),
            ({"qsr": OPPONENT, "gx": "同住成年家属"}, "qsr"),
            ({"qsr": "MÜLLER  hans", "gx": "同住成年家属"}, "qsr"),
            ({"qsr": "何秀建", "gx": "本人"}, "qsr"),
            ({"qsr": "何秀建", "gx": "物业"}, "gx"),
            ({"qsr": "何秀建", "gx": "自提点"}, "gx"),
            ({"qsr": RECIPIENT, "gx": "无人签收，放置门口"}, "gx"),
            ({"qsr": RECIPIENT, "gx": "智能快递柜"}, "gx"),
            ({"qsr": "何秀建", "gx": "女儿", "zjhm": "500104200512041234"}, "zjhm"),
            ({"qsr": "何秀建", "gx": "同事"}, "gx"),
            ({"qsr": "何秀建", "gx": "单位收发室"}, "gx"),
            ({"qsr": "何秀建", "gx": "代收人"}, "gx"),
            ({"qsr": "何秀建", "gx": "其他"}, "gx"),
            ({"qsr": "何秀建", "gx": None}, "gx"),
        ],
    )
    def test_invalid_signature(
        self, court: CourtWaybillMock, gateway: Gateway, members: dict[str, str | None], name: str
    ) -> None:
        """Without a signer who may sign for a person, name, number and date, a signature is no service."""
        gateway.go("05")
        assert gateway.receipt("YS", **members) == "3"
        assert complaint(court) == ("3", f"HuiZhi/@{name}")
        assert court.state()["receipts"] == 0

    @pytest.mark.parametrize(
        ("signer", "relation"),
        [
            (RECIPIENT, None),
            ("买买提•吐尔逊", "本人"),
            (DESIGNATED, "代收人"),
            (DESIGNATED, None),
            ("何秀建", "同住成年家属"),
            ("何秀建", "法定代理人"),
            ("何秀建", "诉讼代理人"),
        ],
    )
    def test_valid_signature(self, gateway: Gateway, signer: str, relation: str | None) -> None:
        """The recipient, who was designated, the family and agents may sign."""
        gateway.go("05")
        assert gateway.receipt("YS", qsr=signer, gx=relation) == "0"

    @pytest.mark.parametrize(
        ("signer", "number"),
        [("何秀建", "500104200512031234"), ("何秀建", "G12345678"), (RECIPIENT, "500104201512031234")],
    )
    def test_age(self, gateway: Gateway, signer: str, number: str) -> None:
        """Whoever is 18 that day is an adult; a passport does not say, and a recipient may be a child."""
        gateway.go("05")
        assert gateway.receipt("YS", qsr=signer, gx="家属", zjhm=number) == "0"

    @pytest.mark.parametrize(
        ("relation", "code"), [("单位收发室", "0"), ("办公室", "0"), ("法定代表人", "0"), ("配偶", "3"), ("同事", "3")]
    )
    def test_signature_for_an_organization(self, gateway: Gateway, relation: str, code: str) -> None:
        """For an organisation its mailroom may sign, and nobody's family."""
        gateway.go("05", rwid=COMPANY)
        assert gateway.receipt("YS", qsr="何秀建", gx=relation, root={"rwid": COMPANY}) == code

    def test_date_of_the_trace(self, gateway: Gateway) -> None:
        """Where the delivery was told, its day counts; a day begins at midnight in Chongqing."""
        gateway.go("05")
        assert gateway.trace("06", sj="2023-12-04T00:30:00+08:00") == "0"
        assert [gateway.receipt("YS", sdrq=day) for day in ("2023-12-03", "2023-12-04")] == ["3", "0"]

    @pytest.mark.parametrize(
        ("rwid", "jg", "reason", "day", "name"),
        [
            (CONFIRMED, "JS", "04", "2023-12-03", ""),
            (CONFIRMED, "JS", None, "2023-12-03", ""),
            (UNCONFIRMED, "JS", "04", "2023-12-03", ""),
            (CONFIRMED, "TH", "03", "2023-12-03", ""),
            (UNCONFIRMED, "TH", "03", "", ""),
            (UNCONFIRMED, "TH", "03", None, ""),
            (CONFIRMED, "JS", "04", "", "sdrq"),
            (CONFIRMED, "JS", "04", "2023-12-02", "sdrq"),
            (CONFIRMED, "TH", "03", "", "sdrq"),
            (UNCONFIRMED, "TH", "03", "2023-12-03", "sdrq"),
            (CONFIRMED, "JS", "03", "2023-12-03", "yydm"),
            (CONFIRMED, "TH", None, "2023-12-03", "yydm"),
            (CONFIRMED, "TH", "04", "2023-12-03", "jg"),
        ],
    )
    def test_returned(
        self,
        court: CourtWaybillMock,
        gateway: Gateway,
        rwid: str,
        jg: str,
        reason: str | None,
        day: str | None,
        name: str,
    ) -> None:
        """A refusal, and a return from a confirmed address, serves on the day of the return; another serves not."""
        gateway.go("05", "07", "08", "09", rwid=rwid)
        code = gateway.receipt(jg, yydm=reason, sdrq=day, sj="2023-12-05T10:00:00+08:00", root={"rwid": rwid})
        assert (code, court.rejected and complaint(court)[1]) == (
            ("3", f"HuiZhi/@{name}") if name else ("0", court.rejected)
        )

    @pytest.mark.parametrize("course", ["05 07", "05 07 08", "06"])
    @pytest.mark.parametrize("jg", ["JS", "TH"])
    def test_not_back_yet(self, court: CourtWaybillMock, gateway: Gateway, course: str, jg: str) -> None:
        """A receipt of what goes back waits until it is back."""
        gateway.go(*course.split())
        reason = {"JS": "04", "TH": "03"}[jg]
        assert gateway.receipt(jg, yydm=reason, sdrq="2023-12-03") == "3"
        assert complaint(court) == ("3", "HuiZhi/@jg")

    @pytest.mark.parametrize("name", ["qsr", "gx", "zjhm"])
    def test_signer_of_a_return(self, court: CourtWaybillMock, gateway: Gateway, name: str) -> None:
        """Nobody signs for what goes back."""
        gateway.go("07", "09")
        assert gateway.receipt("TH", yydm="03", sdrq="2023-12-03", **{name: ID_NO}) == "3"
        assert complaint(court) == ("3", f"HuiZhi/@{name}")

    def test_second(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """There is one receipt at a time."""
        gateway.go("05")
        assert [gateway.receipt("YS"), gateway.receipt("YS")] == ["0", "3"]
        assert complaint(court) == ("3", "HuiZhi/@jg")
        assert court.state()["receipts"] == 1

    def test_unwanted(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """Where no receipt is wanted none is taken."""
        gateway.go("05", rwid=UNWANTED)
        assert gateway.receipt("YS", root={"rwid": UNWANTED}) == "3"
        assert complaint(court) == ("3", "HuiZhi/@jg")

    def test_other_number(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A receipt is of the task's own number."""
        assert gateway.receipt("YS") == "3"
        gateway.go("05")
        assert gateway.receipt("YS", root={"yjhm": OTHER_NUMBER}) == "3"
        assert complaint(court) == ("3", "HuiChuan/@yjhm")

    def test_after_a_receipt(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """While a receipt stands, the item does nothing else."""
        gateway.go("05")
        assert [gateway.receipt("YS"), gateway.trace("07")] == ["0", "3"]
        assert complaint(court) == ("3", "GuiJi/@zt")

    @pytest.mark.parametrize(
        ("images", "code"),
        [
            ([("image/png", PNG), ("image/jpeg", JPEG)], "0"),
            ([("image/png", PNG + bytes((4 << 20) - len(PNG)))], "0"),
            ([("image/png", PNG + bytes((4 << 20) + 1 - len(PNG)))], "3"),
            ([("image/png", JPEG)], "3"),
            ([("image/gif", b"GIF89a")], "3"),
            ([("image/png", b"")], "3"),
        ],
    )
    def test_images(
        self, court: CourtWaybillMock, gateway: Gateway, images: list[tuple[str, bytes]], code: str
    ) -> None:
        """Images are PNG or JPEG as they say, of 4 MiB at most."""
        gateway.go("05")
        assert gateway.receipt("YS", *images) == code
        assert [rejection.where[:9] for rejection in court.rejected] == ["YingXiang"] * (code == "3")

    def test_withdrawn(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A withdrawal takes receipt and delivery back; then the item goes on, to another receipt."""
        gateway.go("05", "06")
        assert gateway.receipt("YS", root={"qqid": "r"}) == "0"
        assert gateway.receipt("CX", cxqqid="r") == "0"
        assert court.tasks[CONFIRMED].course[-1] == "05"
        assert [gateway.trace("07"), gateway.trace("09")] == ["0", "0"]
        assert gateway.receipt("TH", yydm="03", sdrq="2023-12-02") == "0"
        assert (court.state()["receipts"], court.state()["withdrawn"]) == (2, 1)

    def test_withdrawn_and_corrected(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A correction of the trace may come before the withdrawal or after it."""
        gateway.go("05", "06")
        gateway.receipt("YS", root={"qqid": "r"})
        assert [gateway.trace("05", ms="更正：派送中"), gateway.receipt("CX", cxqqid="r")] == ["0", "0"]
        assert court.tasks[CONFIRMED].course[-1] == "05"
        assert gateway.trace("05", ms="更正：派送中") == "0"

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"cxqqid": None}, "cxqqid"),
            ({"cxqqid": "nothing"}, "cxqqid"),
            ({"cxqqid": "t"}, "cxqqid"),
            ({"cxqqid": "other"}, "cxqqid"),
            ({"sdrq": "2023-12-03"}, "sdrq"),
            ({"qsr": RECIPIENT}, "qsr"),
            ({"zjhm": ID_NO}, "zjhm"),
            ({"yydm": "99"}, "yydm"),
        ],
    )
    def test_unfit_withdrawal(
        self, court: CourtWaybillMock, gateway: Gateway, members: dict[str, str | None], name: str
    ) -> None:
        """A withdrawal names a receipt of its task, and says nothing else."""
        gateway.go("05", rwid=UNCONFIRMED)
        gateway.receipt("YS", root={"rwid": UNCONFIRMED, "qqid": "other"})
        gateway.go()
        gateway.trace("05", root={"qqid": "t"})
        assert gateway.receipt("YS", root={"qqid": "r"}) == "0"
        assert gateway.receipt("CX", **{"cxqqid": "r", **members}) == "3"
        assert complaint(court) == ("3", f"HuiZhi/@{name}")

    def test_withdrawal_with_image(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """A withdrawal proves nothing."""
        gateway.go("05")
        gateway.receipt("YS", root={"qqid": "r"})
        assert gateway.receipt("CX", ("image/png", PNG), cxqqid="r") == "3"
        assert complaint(court) == ("3", "YingXiang")

    def test_withdrawn_twice(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """What was withdrawn cannot be withdrawn, though another receipt stands; nor can a withdrawal."""
        gateway.go("05")
        for qqid, members in (("r", {}), ("x", {"cxqqid": "r"}), ("s", {})):
            assert gateway.receipt("CX" if members else "YS", root={"qqid": qqid}, **members) == "0"
        assert [gateway.receipt("CX", cxqqid=qqid) for qqid in ("r", "x")] == ["3", "3"]
        assert complaint(court) == ("3", "HuiZhi/@cxqqid")


class TestFaults:
    """What a court does wrong when the plan wants it."""

    @pytest.fixture
    def body(self, gateway: Gateway) -> bytes:
        """Give a document to tell."""
        return GB18030_PROLOG + gateway.document(f"<MianDan>{base64.b64encode(LABEL).decode()}</MianDan>")

    def test_unsure(self, court: CourtWaybillMock, gateway: Gateway, body: bytes) -> None:
        """What was done is answered 9; told again, it has it already."""
        court.plan.next("unsure")
        assert [gateway.say(body), gateway.say(body)] == ["9", "1"]

    def test_busy(self, court: CourtWaybillMock, gateway: Gateway, body: bytes) -> None:
        """What is to come again is answered 9 and not done."""
        court.plan.next("busy")
        assert [gateway.say(body), gateway.say(body)] == ["9", "0"]

    @pytest.mark.parametrize(("kind", "codes"), [("error", ["8", "0"]), ("error_after", ["8", "1"])])
    def test_codes(self, court: CourtWaybillMock, gateway: Gateway, body: bytes, kind: str, codes: list[str]) -> None:
        """Any code can be said, done or not."""
        court.plan.next(kind, status=8)
        assert [gateway.say(body), gateway.say(body)] == codes

    def test_error(self, court: CourtWaybillMock, gateway: Gateway, body: bytes) -> None:
        """An HTTP status is an HTTP status."""
        court.plan.next("error", status=502)
        assert gateway.post(body).status_code == 502

    def test_bad_signature(self, court: CourtWaybillMock, gateway: Gateway, body: bytes) -> None:
        """An answer can be signed over other bytes."""
        court.plan.next("bad_signature")
        assert not self._is_signed(court, gateway.post(body))
        assert self._is_signed(court, gateway.post(body))

    def test_expired_key(self, court: CourtWaybillMock, gateway: Gateway, body: bytes) -> None:
        """An answer can be signed with a key that nobody trusts, under its name."""
        court.plan.next("expired_key")
        reply = gateway.post(body)
        assert (reply.headers["X-Cert-Id"], self._is_signed(court, reply)) == ("court-retired", False)

    def test_stale_answer(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock, body: bytes) -> None:
        """An answer can be of an hour ago, well signed."""
        court.plan.next("stale_answer")
        reply = gateway.post(body)
        age = clock.at - datetime.fromtimestamp(int(reply.headers["X-Timestamp"]) / 1000, UTC)
        assert (age, self._is_signed(court, reply)) == (timedelta(hours=1), True)

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("truncated", "is not XML"),
            ("wrong_encoding", "prolog"),
            ("entity", "has a DTD"),
        ],
    )
    def test_bad_content(self, court: CourtWaybillMock, gateway: Gateway, body: bytes, kind: str, reason: str) -> None:
        """An answer can be bad though it is signed; what it was the answer to is done."""
        court.plan.next(kind)
        reply = gateway.post(body)
        assert self._is_signed(court, reply)
        with pytest.raises(UnfitError, match=reason):
            parse(reply.content, where="answer", code="")
        assert gateway.say(body) == "1"

    def test_wrong_encoding_cannot_be_read(self, court: CourtWaybillMock, gateway: Gateway, body: bytes) -> None:
        """An answer of another encoding than it says is not that by chance."""
        court.plan.next("wrong_encoding")
        with pytest.raises(UnicodeDecodeError):
            gateway.post(body).content.decode()

    @staticmethod
    def _is_signed(court: CourtWaybillMock, reply: requests.Response) -> bool:
        message = signed_bytes(reply.headers["X-Timestamp"], reply.content)
        return is_signed(message, base64.b64decode(reply.headers["X-Signature"]), by=[court.sign_key.public])


class TestReports:
    """What the court says of itself."""

    def test_told(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """Everything taken is listed, with its identity and without personal data."""
        gateway.label(qqid="a")
        gateway.trace("05", root={"qqid": "b"})
        gateway.receipt("YS", root={"qqid": "c"})
        gateway.receipt("CX", cxqqid="c", root={"qqid": "d"})
        assert court.heard() == [
            Heard(CONFIRMED, qqid, status, NUMBER)
            for qqid, status in (("a", "02"), ("b", "05"), ("c", "YS"), ("d", "CX"))
        ]
        assert court.report()[CONFIRMED] == {
            "order_id": "",
            "waybill": NUMBER,
            "states": ["05"],
            "receipts": [{"jg": "YS", "sdrq": "2023-12-03"}, {"jg": "CX", "sdrq": ""}],
            "request_ids": ["a", "b", "c", "d"],
        }
        assert court.state() == {
            "orders": 4,
            "waybills": 1,
            "traces": 1,
            "receipts": 1,
            "withdrawn": 1,
            "repeats": 0,
            "replayed": 0,
            "changed": 0,
            "told_twice": 0,
        }
        shown = repr(list(court.tasks.values())) + repr(list(court.returns.values()))
        assert not [value for value in (RECIPIENT, DESIGNATED, OPPONENT, PHONE, ID_NO, ADDRESS) if value in shown]

    def test_reset(self, court: CourtWaybillMock, gateway: Gateway, clock: Clock) -> None:
        """A reset forgets what happened and keeps the keys."""
        body = GB18030_PROLOG + gateway.document(f"<MianDan>{base64.b64encode(LABEL).decode()}</MianDan>")
        headers = sign_headers(body, clock.at)
        assert [gateway.say(body, headers), gateway.say(body), gateway.label()] == ["0", "1", "0"]
        public = court.rotate_keys("court-2")
        court.reset()
        assert court.state() == dict.fromkeys(court.state(), 0)
        court.expect(TASKS[0])
        assert (gateway.say(body, headers), court.sign_key.public) == ("0", public)


class StubGateway(Mock):
    """A gateway that answers batches as it is told."""

    key = "stub"

    def __init__(self, clock: Clock) -> None:
        super().__init__(now=clock)
        self.reply: Callable[[WireRequest], WireReply] = lambda _: WireReply(500)

    @classmethod
    def from_settings(cls, document: Any, **options: Any) -> Any:
        """Not needed."""
        raise NotImplementedError

    def settings(self) -> JsonObject:
        """Say nothing."""
        return {}

    def state(self) -> JsonObject:
        """Say nothing."""
        return {}

    def report(self) -> JsonObject:
        """Say nothing."""
        return {}

    def say(self, text: str, *, off_s: float = 0.0, **how: Any) -> WireReply:
        """Sign an answer."""
        body = GB18030_PROLOG + text.replace(">", f' xmlns="{NAMESPACE}">', 1).replace(
            f'/ xmlns="{NAMESPACE}">', f' xmlns="{NAMESPACE}"/>', 1
        ).encode("gb18030")
        return WireReply(200, sign_headers(body, self.now() + timedelta(seconds=off_s), **how), body)

    def says(self, text: str, **how: Any) -> None:
        """Answer so from now on."""
        self.reply = lambda _: self.say(text, **how)

    def takes(self, codes: str = "") -> None:
        """Take the tasks of every batch, or refuse those whose place has a 1."""
        self.reply = lambda request: self.say(self._results(parse(request.body, where="", code=""), codes))

    def _results(self, batch: Element, codes: str) -> str:
        tasks = tasks_of(batch)
        told = codes or "0" * len(tasks)
        results = "".join(
            f'<JieGuo rwid="{task.get("rwid")}" dm="{code}" '
            + (f'orderId="{order_id(task.get("rwid"))}"/>' if code == "0" else 'yuanyin="AnHao: 不是案号"/>')
            for task, code in zip(tasks, told, strict=True)
        )
        counts = f'zong="{len(tasks)}" jieshou="{told.count("0")}" jujue="{told.count("1")}"'
        return f'<PiCiJieGuo pch="{batch.get("pch")}" dm="0" {counts}>{results}</PiCiJieGuo>'

    def _respond(self, request: WireRequest) -> WireReply:
        return self.reply(request)


def order_id(rwid: str) -> str:
    """Make the same order id for the same task."""
    return f"01HGK{zlib.crc32(rwid.encode()):021d}"


@pytest.fixture
def stub(court: CourtWaybillMock, clock: Clock) -> Iterator[StubGateway]:
    """Serve a gateway that the court sends to."""
    with MockServer(StubGateway(clock)) as server:
        court.gateway_url = server.url
        yield server.mock


BATCH = text_of(build("SongDaPiCi", {"pch": "P-1", "fydm": "渝0113", "tjsj": "2023-12-01T08:30:00+08:00"},
                      *map(parse_text, TASKS[:2])))  # fmt: skip
DONE = f'<JieGuo rwid="{CONFIRMED}" dm="0" orderId="{ORDER_ID}"/>'
DONE_TOO = f'<JieGuo rwid="{UNCONFIRMED}" dm="0" orderId="{OTHER_ORDER_ID}"/>'
NOT_DONE = f'<JieGuo rwid="{UNCONFIRMED}" dm="1" yuanyin="AnHao: 不是案号"/>'


def results(*members: str, pch: str = "P-1", zong: int = 2, jieshou: int = 2, jujue: int = 0) -> str:
    """Write an answer to the batch."""
    counts = f'zong="{zong}" jieshou="{jieshou}" jujue="{jujue}"'
    return f'<PiCiJieGuo pch="{pch}" dm="0" {counts}>{"".join(members)}</PiCiJieGuo>'


class TestSending:
    """What the court sends, and how it reads the answers."""

    def test_taken(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """An answer is opened, and the order ids are learnt."""
        stub.says(results(DONE, DONE_TOO))
        answer = court.send(court.build_batch(BATCH))
        assert answer == Answer(
            "0", (TaskAnswer(CONFIRMED, "0", ORDER_ID), TaskAnswer(UNCONFIRMED, "0", OTHER_ORDER_ID))
        )
        assert answer.is_success
        assert [court.report()[rwid]["order_id"] for rwid in (CONFIRMED, UNCONFIRMED)] == [ORDER_ID, OTHER_ORDER_ID]

    def test_partly_taken(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """A batch of which a task was refused is no success."""
        stub.says(results(DONE, NOT_DONE, jieshou=1, jujue=1))
        answer = court.send(court.build_batch(BATCH))
        assert (answer.code, answer.codes, answer.is_success) == ("0", ["0", "1"], False)
        assert answer.tasks[1].reason == "AnHao: 不是案号"

    @pytest.mark.parametrize("code", ["4", "5", "8", "9"])
    @pytest.mark.parametrize("number", ['pch="P-1"', 'pch=""'])
    def test_refused(self, court: CourtWaybillMock, stub: StubGateway, code: str, number: str) -> None:
        """What befalls a whole batch has a code; the number may not have been read."""
        stub.says(f'<PiCiJieGuo {number} dm="{code}" xx="不符"/>')
        answer = court.send(court.build_batch(BATCH))
        assert (answer, answer.is_success) == (Answer(code, (), "不符"), False)

    @pytest.mark.parametrize("status", [408, 413, 429, 431, 503])
    def test_plain_http(self, court: CourtWaybillMock, stub: StubGateway, status: int) -> None:
        """What comes without a document has a status and no code."""
        stub.reply = lambda _: WireReply(status)
        assert court.send(court.build_batch(BATCH)) == Answer("", http_status=status)

    @pytest.mark.parametrize(
        ("how", "where"),
        [
            ({"key": DEMO_COURT_KEY}, "answer header X-Signature"),
            ({"cert": "gateway-none"}, "answer header X-Cert-Id"),
            ({"off_s": 301}, "answer header X-Timestamp"),
            ({"off_s": -301}, "answer header X-Timestamp"),
        ],
    )
    def test_unproven(self, court: CourtWaybillMock, stub: StubGateway, how: dict[str, Any], where: str) -> None:
        """An answer must be the gateway's, of now."""
        stub.says(results(DONE, DONE_TOO), **how)
        with pytest.raises(UnfitError) as caught:
            court.send(court.build_batch(BATCH))
        assert caught.value.where == where
        assert not court.tasks[CONFIRMED].order_id

    @pytest.mark.parametrize(
        ("text", "where"),
        [
            (results(DONE, DONE_TOO, pch="P-2"), "answer PiCiJieGuo/@pch"),
            (results(DONE, DONE_TOO, pch=""), "answer PiCiJieGuo/@pch"),
            ('<PiCiJieGuo pch="P-2" dm="4" xx="不符"/>', "answer PiCiJieGuo/@pch"),
            (results(DONE, zong=1, jieshou=1), "answer JieGuo"),
            (results(DONE_TOO, DONE), "answer JieGuo"),
            (results(DONE, DONE_TOO, zong=3), "answer PiCiJieGuo/@zong"),
            (results(DONE, NOT_DONE), "answer PiCiJieGuo/@jieshou"),
            (results(DONE, DONE_TOO, jujue=1), "answer PiCiJieGuo/@jujue"),
            (results(DONE, DONE_TOO.replace(OTHER_ORDER_ID, ORDER_ID)), "answer JieGuo[2]/@orderId"),
            (results(DONE, f'<JieGuo rwid="{UNCONFIRMED}" dm="0"/>'), "answer JieGuo[2]"),
            (results(DONE, f'<JieGuo rwid="{UNCONFIRMED}" dm="1"/>', jieshou=1, jujue=1), "answer JieGuo[2]"),
            (results(DONE, NOT_DONE.replace("/>", f' orderId="{ORDER_ID}"/>'), jieshou=1, jujue=1), "answer JieGuo[2]"),
            (results(DONE, NOT_DONE.replace("案号", RECIPIENT), jieshou=1, jujue=1), "answer"),
            (f'<PiCiJieGuo pch="P-1" dm="4" xx="{PHONE}"/>', "answer"),
            (results(DONE, DONE_TOO).replace('dm="0"', 'dm="4"', 1), "answer JieGuo"),
            ('<PiCiJieGuo pch="P-1" dm="1"/>', "answer PiCiJieGuo/@dm"),
            (results(DONE, DONE_TOO.replace(OTHER_ORDER_ID, "1")), "answer JieGuo/@orderId"),
            ('<YingDa dm="0"/>', "answer"),
        ],
    )
    def test_unfit(self, court: CourtWaybillMock, stub: StubGateway, text: str, where: str) -> None:
        """An answer must be to this batch, count what it says, and name nobody."""
        stub.says(text)
        with pytest.raises(UnfitError) as caught:
            court.send(court.build_batch(BATCH))
        assert caught.value.where == where

    @pytest.mark.parametrize(
        ("change", "where"),
        [
            (lambda _: WireReply(404), "answer"),
            (lambda _: WireReply(500), "answer"),
            (lambda reply: replace(reply, headers={}), "answer header X-Cert-Id"),
            (
                lambda reply: replace(reply, headers={**reply.headers, "Content-Type": "application/json"}),
                "answer header Content-Type",
            ),
        ],
    )
    def test_no_answer(
        self, court: CourtWaybillMock, stub: StubGateway, change: Callable[[WireReply], WireReply], where: str
    ) -> None:
        """What is no answer of the contract does not pass for one."""
        stub.reply = lambda _: change(stub.say(results(DONE, DONE_TOO)))
        with pytest.raises(UnfitError) as caught:
            court.send(court.build_batch(BATCH))
        assert caught.value.where == where

    @pytest.mark.parametrize("body", [b"<PiCiJieGuo/>", b'<?xml version="1.0" encoding="UTF-8"?><PiCiJieGuo/>'])
    def test_answer_in_another_encoding(self, court: CourtWaybillMock, stub: StubGateway, body: bytes) -> None:
        """Answers are in GB18030 too, and say so."""
        stub.reply = lambda _: WireReply(200, sign_headers(body, stub.now()), body)
        with pytest.raises(UnfitError, match="prolog"):
            court.send(court.build_batch(BATCH))

    def test_another_order_id(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """A task keeps its order id, in whatever batch it comes again."""
        stub.takes()
        court.send(court.build_batch(BATCH))
        stub.says(results(DONE, DONE_TOO))
        with pytest.raises(UnfitError, match="another than the task had before"):
            court.send(court.build_batch(BATCH))

    def test_is_taken(self, court: CourtWaybillMock, clock: Clock) -> None:
        """A reply alone tells, if it is to a batch of this court."""
        court.hand_over({"xml": BATCH})
        stub = StubGateway(clock)
        assert court.is_taken(stub.say(results(DONE, DONE_TOO)))
        assert not court.is_taken(stub.say(results(DONE, NOT_DONE, jieshou=1, jujue=1)))
        assert not court.is_taken(WireReply(413))
        with pytest.raises(UnfitError, match="pch"):
            court.is_taken(stub.say(results(DONE, DONE_TOO, pch="P-2")))

    def test_answer_to_another_batch(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """An answer must be to the very request that it follows."""
        court.build_batch(BATCH.replace("P-1", "P-2"))
        stub.says(results(DONE, DONE_TOO, pch="P-2"))
        with pytest.raises(UnfitError, match="pch"):
            court.send(court.build_batch(BATCH))

    def test_answer_to_garbage(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """Nobody can say yes to what asks nothing; whoever says no may have read a number there."""
        for number in ("", "P-1"):
            stub.says(f'<PiCiJieGuo pch="{number}" dm="4" xx="不符"/>')
            assert court.send(court.sign_request(b"x")).code == "4"
        stub.says(results(DONE, DONE_TOO))
        with pytest.raises(UnfitError, match="pch"):
            court.send(court.sign_request(b"x"))

    def test_retry(self, court: CourtWaybillMock, clock: Clock) -> None:
        """A retry has the same bytes; timestamp and signature are new, and good."""
        request = court.build_batch(BATCH)
        clock.at += timedelta(seconds=1)
        again = court.retry(request)
        assert again.body == request.body == encode(BATCH)
        timestamp, signature = (again.headers[name] for name in ("X-Timestamp", "X-Signature"))
        assert int(timestamp) - int(request.headers["X-Timestamp"]) == 1000
        message = signed_bytes(timestamp, again.body)
        assert is_signed(message, base64.b64decode(signature), by=[DEMO_COURT_KEY.public])

    def test_other_time(self, court: CourtWaybillMock) -> None:
        """A request can be signed at any time."""
        request = court.sign_request(b"x", at=EXAMPLE_AT - timedelta(seconds=400))
        assert int(EXAMPLE["timestamp"]) - int(request.headers["X-Timestamp"]) == 400_000

    def test_rotated(self, court: CourtWaybillMock) -> None:
        """A new key signs under its own name; a given one too."""
        public = court.rotate_keys("court-2")
        request = court.build_batch(BATCH)
        message = signed_bytes(request.headers["X-Timestamp"], request.body)
        assert request.headers["X-Cert-Id"] == "court-2"
        assert is_signed(message, base64.b64decode(request.headers["X-Signature"]), by=[public])
        assert court.rotate_keys("court-1", DEMO_COURT_KEY.private) == DEMO_COURT_KEY.public

    @pytest.mark.parametrize("prolog", ["", GB18030_PROLOG.decode(), '<?xml version="1.0" encoding="UTF-8"?>'])
    def test_hand_over_batch(self, court: CourtWaybillMock, prolog: str) -> None:
        """The text of a batch is sent as it is, behind the contract's prolog."""
        assert court.hand_over({"xml": prolog + BATCH}).body == encode(BATCH)

    def test_hand_over_task(self, court: CourtWaybillMock) -> None:
        """A task is a batch of its own: the same again the same, changed another."""
        first, again, changed = (
            court.hand_over({"xml": text}).body for text in (TASKS[0], TASKS[0], TASKS[0].replace("传票", "通知"))
        )
        batch = parse(first, where="", code="")
        check(batch, code="")
        assert [task.get("rwid") for task in tasks_of(batch)] == [CONFIRMED]
        assert first == again
        assert batch.get("pch") != parse(changed, where="", code="").get("pch")

    def test_hand_over_garbage(self, court: CourtWaybillMock) -> None:
        """What is no XML is sent as it is; what is no text is not."""
        assert court.hand_over({"xml": "<RenWu>某"}).body == encode("<RenWu>某")
        with pytest.raises(UnfitError, match="xml"):
            court.hand_over({"xml": 7})

    @pytest.mark.parametrize("name", ["no_receipt", "organization", "person", "unknown_members"])
    def test_hand_over_sample(self, court: CourtWaybillMock, name: str) -> None:
        """A sample becomes the very task that stands beside it as XML, with all that its batch says of it."""
        document, written = (SAMPLES / f"{name}.wire.{kind}" for kind in ("json", "xml"))
        batch = parse(court.hand_over(json.loads(document.read_bytes())).body, where="", code="")
        check(batch, code="")
        expected = parse(written.read_bytes(), where="", code="")
        (made,), (meant,) = tasks_of(batch), tasks_of(expected)
        check(made, code="")
        of_all = {attribute: value for attribute, value in expected.attrib.items() if attribute != "pch"}
        assert [(each.tag, (each.text or "").strip(), each.attrib) for each in made.iterdescendants()] == [
            (each.tag, (each.text or "").strip(), each.attrib) for each in meant.iterdescendants()
        ]
        assert {**batch.attrib, **made.attrib} == {**of_all, **meant.attrib, "pch": batch.get("pch")}

    @pytest.mark.parametrize(
        "change",
        [{"AnYou": "\x00"}, {"AnYou": "\ud800"}, {"rwid": 7}, {"fydm": None}, {"WenShu": [7]}, {"HuiZhi": True}],
    )
    def test_hand_over_unsayable(self, court: CourtWaybillMock, change: JsonObject) -> None:
        """What is neither text nor object, and no character of XML, cannot be said."""
        sample = json.loads((SAMPLES / "person.wire.json").read_bytes())
        with pytest.raises(UnfitError):
            court.hand_over({**sample, **change})

    def test_moments(self, court: CourtWaybillMock) -> None:
        """However still the clock stands, no two requests have one timestamp: it is all that tells them apart."""
        stamps = [court.wrap(b"x").headers["X-Timestamp"] for _ in range(3)]
        assert len(set(stamps)) == 3
        assert stamps == sorted(stamps)
        assert int(stamps[-1]) - int(stamps[0]) == 2

    def test_changed_task(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """What a task asks follows a correction until the gateway has taken it."""
        refused, mended, late = (task_text("T-9", xm=name) for name in ("甲乙", "甲丙", "甲丁"))
        stub.takes("1")
        court.send(court.hand_over({"xml": refused}))
        stub.takes()
        court.send(court.hand_over({"xml": mended}))
        court.hand_over({"xml": late})
        known = court.tasks["T-9"].task
        assert known is not None
        assert known.recipient == "甲丙"

    def test_two_of_one_rwid(self, court: CourtWaybillMock) -> None:
        """Of two tasks with one rwid in a batch, the court means the first."""
        court.build_batch(BATCH.replace(UNCONFIRMED, CONFIRMED).replace(RECIPIENT, "甲乙", 1))
        known = court.tasks[CONFIRMED].task
        assert known is not None
        assert known.recipient == "甲乙"

    def test_send_new(self, court: CourtWaybillMock, stub: StubGateway, server: MockServer[CourtWaybillMock]) -> None:
        """New tasks are sent from the control door, in batches; what is sent twice is the same batch, signed anew."""
        stub.takes()
        court.plan.next("duplicate")
        reply = requests.post(
            f"{server.url}/__mock__/do/send_new",
            json={"count": 5, "seed": 7, "start": 3, "size": 2},
            timeout=TIMEOUT_S,
        )
        rwids = [parse_text(task).get("rwid") for task in new_tasks(5, seed=7, start=3)]
        assert reply.json() == dict.fromkeys(rwids, "0")
        bodies = [request.body for request in stub.requests]
        assert (len(bodies), bodies[0] == bodies[1], len(set(bodies))) == (4, True, 3)

    def test_send_new_to_a_gateway_that_does_not_take(self, court: CourtWaybillMock, stub: StubGateway) -> None:
        """A task has the code of its batch where that was not taken."""
        stub.says('<PiCiJieGuo pch="" dm="9" xx="稍后"/>')
        assert list(court.send_new(2).values()) == ["9", "9"]


def good_batch(name: str) -> str:
    """Make the batch that is spoilt."""
    return new_batch(3, seed=990_000 + list(SPOILS).index(name))


class TestSpoils:
    """Batches that a gateway must refuse."""

    @pytest.mark.parametrize("name", SPOILS)
    def test_signed(self, court: CourtWaybillMock, name: str) -> None:
        """Every one is signed as well as a good one, and is another."""
        request = court.build_spoilt(name)
        message = signed_bytes(request.headers["X-Timestamp"], request.body)
        assert is_signed(message, base64.b64decode(request.headers["X-Signature"]), by=[DEMO_COURT_KEY.public])
        assert request.body != encode(good_batch(name))

    @pytest.mark.parametrize("name", [name for name, spoil in SPOILS.items() if spoil.answer == "4"])
    def test_no_batch(self, court: CourtWaybillMock, name: str) -> None:
        """What is answered 4 is no XML of the contract, harmful, or no batch."""
        with pytest.raises(UnfitError):
            check(parse(court.build_spoilt(name).body, where="body", code=""), code="")

    @pytest.mark.parametrize("name", [name for name, spoil in SPOILS.items() if spoil.answer != "4"])
    def test_batch(self, court: CourtWaybillMock, name: str) -> None:
        """What is answered otherwise is a good batch, its other tasks what they were."""
        good, bad = parse_text(good_batch(name)), parse(court.build_spoilt(name).body, where="body", code="")
        check(bad, code="")
        assert bad.get("pch") == good.get("pch")
        assert list(map(text_of, tasks_of(bad)[1:3])) == list(map(text_of, tasks_of(good)[1:]))

    @pytest.mark.parametrize("name", ["no_document", "too_many_documents", "no_recipient", "unknown_document_type"])
    def test_task(self, court: CourtWaybillMock, name: str) -> None:
        """A task that is none does not fit its XSD."""
        with pytest.raises(UnfitError):
            check(tasks_of(parse(court.build_spoilt(name).body, where="body", code=""))[0], code="")

    @pytest.mark.parametrize(
        ("name", "held"),
        [
            ("impossible_case_number", "<AnHao>2023渝民初</AnHao>"),
            ("dtd", "<!DOCTYPE SongDaPiCi>"),
            ("external_entity", "&e;</AnYou>"),
            ("entity_bomb", "&e9;</AnYou>"),
            ("bom", "\ufeff<?xml"),
            ("reused_batch_no", "<AnYou>另案</AnYou>"),
        ],
    )
    def test_content(self, court: CourtWaybillMock, name: str, held: str) -> None:
        """Each holds what it is for."""
        assert held in court.build_spoilt(name).body.decode("gb18030")

    def test_duplicate(self, court: CourtWaybillMock) -> None:
        """The same rwid comes twice, with other content."""
        tasks = tasks_of(parse(court.build_spoilt("duplicate_rwid").body, where="body", code=""))
        assert [tasks[0].get("rwid"), len(tasks)] == [tasks[3].get("rwid"), 4]
        assert text_of(tasks[0]) != text_of(tasks[3])

    @pytest.mark.parametrize(("name", "number"), [("too_many_tasks", 501), ("no_task", 0)])
    def test_count(self, court: CourtWaybillMock, name: str, number: int) -> None:
        """A batch has 1 to 500 tasks; each of too many would do."""
        tasks = tasks_of(parse(court.build_spoilt(name).body, where="body", code=""))
        assert (len(tasks), len({task.get("rwid") for task in tasks})) == (number, number)
        for task in tasks[-2:]:
            check(task, code="")

    def test_depth(self, court: CourtWaybillMock) -> None:
        """One level less, and it would be a good batch."""
        deep = court.build_spoilt("too_deep").body
        shallower = deep.replace(b"<X>", b"", 1).replace(b"</X>", b"", 1)
        check(parse(shallower, where="body", code=""), code="")

    def test_apart(self, court: CourtWaybillMock) -> None:
        """No two share a batch number or a task, so that one gateway can be sent them all."""
        names = [name for name, spoil in SPOILS.items() if spoil.answer != "4"]
        batches = [parse(court.build_spoilt(name).body, where="body", code="") for name in names]
        assert len({batch.get("pch") for batch in batches}) == len(names)
        assert len({task.get("rwid") for batch in batches for task in tasks_of(batch)}) == 3 * len(names)

    def test_given_batch(self, court: CourtWaybillMock) -> None:
        """Any good batch can be spoilt."""
        assert court.build_spoilt("no_prolog", BATCH).body == BATCH.encode("gb18030")


class TestFromSettings:
    """The counterpart of a gateway, from its settings."""

    def test_keys(self) -> None:
        """The names of keys are shared; the gateway's public key follows from its private one."""
        gateway_key = new_key_pair()
        section = {
            "sign_cert": "gw-7",
            "sign_key": gateway_key.private,
            "certs": {"other": new_key_pair().public, "fy-3": "04" + DEMO_COURT_KEY.public},
        }
        court = CourtWaybillMock.from_settings({"portals": {"court_waybill": section}, "ingress": {"port": 1}})
        assert (court.sign_cert, court.sign_key, court.certs) == ("fy-3", DEMO_COURT_KEY, {"gw-7": gateway_key.public})
        assert (court.gateway_url, court.is_strict) == ("http://127.0.0.1:1", False)

    def test_demo(self) -> None:
        """Without settings it is the court of the worked examples."""
        court = CourtWaybillMock.from_settings({}, plan=FaultPlan(3))
        assert (court.sign_cert, court.certs) == (DEMO_COURT_CERT, {DEMO_GATEWAY_CERT: DEMO_GATEWAY_KEY.public})
        assert court.plan.seed == 3

    @pytest.mark.parametrize(
        ("section", "match"),
        [
            ({"certs": {"fy": DEMO_GATEWAY_KEY.public}}, "use the demo keys"),
            ({"certs": {"fy": "key"}}, "is no public key"),
            ({"sign_key": "ff" * 32}, "is no private key"),
        ],
    )
    def test_keys_that_cannot_be(self, section: JsonObject, match: str) -> None:
        """A gateway that does not trust the demo court, or has no keys, gets no counterpart."""
        with pytest.raises(ConfigurationError, match=rf"^\[portals\.court_waybill\].*{match}"):
            CourtWaybillMock.from_settings({"portals": {"court_waybill": section}})

    def test_command(self, tmp_path: Path) -> None:
        """The command refuses such settings too."""
        config = tmp_path / "govpost.toml"
        config.write_text(f'[portals.court_waybill.certs]\nfy = "{DEMO_GATEWAY_KEY.public}"\n')
        result = CliRunner().invoke(app, ["court_waybill", "--config", str(config)])
        assert isinstance(result.exception, ConfigurationError)


class TestSaying:
    """What the court says of itself: settings, codes and answers."""

    def test_settings(self, court: CourtWaybillMock) -> None:
        """A court built from its own settings has the same keys."""
        other = CourtWaybillMock.from_settings({"portals": {"court_waybill": court.settings()}})
        assert (other.sign_cert, other.certs) == (court.sign_cert, court.certs)
        assert court.settings()["base_url"] == court.url

    def test_settings_of_another_gateway(self) -> None:
        """Of a key that is not the demo one the court knows the public half only, and gives no settings."""
        with pytest.raises(ConfigurationError, match="sign_key"):
            CourtWaybillMock(certs={"g": new_key_pair().public}).settings()

    @pytest.mark.parametrize("code", CourtWaybillMock.results)
    def test_say(self, court: CourtWaybillMock, clock: Clock, code: str) -> None:
        """Every result is a signed YingDa with that code; nothing is done."""
        reply = court.say(code, WireRequest("POST", "/hc"))
        document = parse(reply.body, where="", code="")
        check(document, code="")
        assert document.get("dm") == code
        signed = signed_bytes(reply.headers["X-Timestamp"], reply.body)
        signature = base64.b64decode(reply.headers["X-Signature"])
        assert is_signed(signed, signature, by=[DEMO_COURT_KEY.public])
        assert court.state()["traces"] == 0
        assert abs(int(reply.headers["X-Timestamp"]) / 1000 - clock().timestamp()) < 1

    def test_codes(self) -> None:
        """Every code that the contract lists has a meaning, and no receipt is a status."""
        assert sorted(CourtWaybillMock.statuses) == [f"{number:02}" for number in range(1, 12)]
        assert sorted(CourtWaybillMock.reasons) == ["01", "02", "03", "04", "05", "06", "07", "99"]
        assert sorted(CourtWaybillMock.results) == ["0", "1", "2", "3", "8", "9"]

    def test_heard(self, court: CourtWaybillMock, gateway: Gateway) -> None:
        """What was heard has its reason and its body, of a receipt's pictures only what they are."""
        gateway.label()
        gateway.trace("07", yydm="03")
        heard = court.heard()[-1]
        assert (heard.status, heard.reason) == ("07", "03")
        assert (heard.body["kind"], heard.body["zt"], heard.body["contents"]) == ("GuiJi", "07", [])


class TestTasks:
    """Sample and synthetic tasks."""

    def test_good_samples(self, court: CourtWaybillMock) -> None:
        """The batches as they are handed over: whole, but for the tasks that must be refused."""
        assert [len(sample.legs) for sample in court.samples()] == [1, 25, 10]
        for sample in court.samples():
            batch = parse(court.hand_over(sample.document).body, where="", code="")
            assert [task.get("rwid") for task in tasks_of(batch)] == list(sample.legs)
            assert {task.find("{*}AnHao").text for task in tasks_of(batch)}.isdisjoint({"2023渝民初"})

    def test_samples(self) -> None:
        """The three samples are batches of 1, 25 and 12 good tasks, two of which have an impossible case number."""
        batches = [parse_text(text) for text in sample_batches()]
        assert [len(tasks_of(batch)) for batch in batches] == [1, 25, 12]
        for batch in batches:
            check(batch, code="")
        numbers = [task.find("{*}AnHao").text for batch in batches for task in tasks_of(batch)]
        assert numbers.count("2023渝民初") == 2

    def test_known(self) -> None:
        """What the rules need of a task is read."""
        task = read_task(parse_text(TASKS[0]))
        assert (task.rwid, task.recipient, task.is_organization) == (CONFIRMED, RECIPIENT, False)
        assert (task.address_is_confirmed, task.wants_receipt) == (True, True)
        assert (task.designated, task.opponents) == ((DESIGNATED,), (OPPONENT,))

    def test_empty(self) -> None:
        """Of a task that says nothing nothing is known."""
        task = read_task(parse_text("<RenWu/>"))
        assert (task.rwid, task.designated, task.personal, task.wants_receipt) == ("", (), frozenset(), False)

    def test_deterministic(self) -> None:
        """The n-th task of a seed is always the same, in whatever batch, and no two are."""
        assert list(new_tasks(20, seed=5)) == [new_task(n, 5) for n in range(20)]
        assert len({parse_text(task).get("rwid") for task in islice(new_tasks(seed=5), 300)}) == 300
        assert new_task(0, 5) != new_task(0, 6)
        batch = parse_text(new_batch(3, 5, 1))
        assert list(map(text_of, tasks_of(batch))) == [new_task(n, 5) for n in (1, 2, 3)]

    def test_valid(self) -> None:
        """Synthetic batches fit the contract, and their numbers carry right check characters."""
        batch = parse_text(new_batch(100, batch_no="P-1"))
        check(batch, code="")
        assert batch.get("pch") == "P-1"
        for task in tasks_of(batch):
            check(task, code="")
            recipient = task.find("{*}ShouSongDaRen")
            check_mobile(recipient.get("dh"))
            if recipient.get("zjhm"):
                check_citizen_id(recipient.get("zjhm"))

    def test_every_kind_occurs(self) -> None:
        """People and organisations, confirmed or not, with and without others, come up."""
        tasks = [read_task(parse_text(task)) for task in new_tasks(100)]
        for name in ("is_organization", "address_is_confirmed", "wants_receipt", "designated", "opponents"):
            assert {bool(getattr(task, name)) for task in tasks} == {True, False}


def test_fixture(court_waybill_mock: CourtWaybillMock) -> None:
    """The plugin serves the court."""
    reply = requests.post(f"{court_waybill_mock.url}/hc", timeout=TIMEOUT_S)
    assert parse(reply.content, where="answer", code="").get("dm") == "8"
