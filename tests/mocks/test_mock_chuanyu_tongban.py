"""The stand-in of 川渝通办 seals and signs as the contract's worked example does, and says what it does not like."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from typer.testing import CliRunner

from govpost.mocks._contract import Contract
from govpost.mocks._sm2 import KeyPair, key_pair_of, new_key_pair, read_public_key
from govpost.mocks._sm_envelope import is_signed, open_sealed, seal, sign, signed_text
from govpost.mocks.base import Heard, JsonObject, Mock, UnfitError, dump_json, json_reply, load_json_object
from govpost.mocks.chuanyu_tongban import (
    DEMO_APP_CODE,
    DEMO_GATEWAY_KEY,
    DEMO_PORTAL_KEY,
    DEMO_SM4_KEY,
    Answer,
    ChuanyuTongbanMock,
    new_order,
    new_orders,
)
from govpost.mocks.commands import app
from govpost.mocks.faults import FaultKind, FaultPlan
from govpost.mocks.server import MockServer
from govpost.schemas import WireReply, WireRequest
from govpost.schemas.errors import ConfigurationError
from govpost.schemas.identifiers import check_citizen_id, check_mobile, check_uscc

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_bytes())
EXAMPLE = EXAMPLES["chuanyu_tongban"]
EXAMPLE_AT = datetime.fromtimestamp(int(EXAMPLE["envelope"]["timestamp"]) / 1000, UTC)
ORDER = EXAMPLE["opens_to"]["bizContent"]
BIZ_NO, ROUND_TRIP = ORDER["bizNo"], "CY2023120100000003"
WAYBILL_NO, OTHER_NO = "EA969294768CN", "EB000000005CN"
ORDER_ID = "01HGK0000000000000000000AB"
TIMEOUT_S = 10.0
CONTRACT = Contract("chuanyu_tongban")


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = EXAMPLE_AT

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.at


def envelope_of(opens_to: Any, at: datetime, req_id: str, *, key: KeyPair = DEMO_GATEWAY_KEY, **members: str) -> Any:
    """Seal and sign as the gateway does; `members` replace the envelope's before it is signed."""
    content = opens_to if isinstance(opens_to, bytes) else dump_json(opens_to)
    envelope = {
        "appCode": DEMO_APP_CODE,
        "version": "1.0.0",
        "encType": "SM4",
        "signType": "SM2",
        "timestamp": str(int(at.timestamp() * 1000)),
        "reqId": req_id,
        "encData": seal(DEMO_SM4_KEY, content),
        **members,
    }
    return {**envelope, "signData": sign(signed_text(envelope), key)}


class Gateway:
    """Tells a portal over a socket, as the gateway does, and opens what it answers."""

    def __init__(self, server: MockServer[ChuanyuTongbanMock], session: requests.Session, clock: Clock) -> None:
        self._server = server
        self._session = session
        self._clock = clock
        self._numbers = count(1)

    def envelope(self, method: str, content: JsonObject, **members: str) -> Any:
        """Make an envelope, under a reqId of its own."""
        req_id = members.pop("req_id", f"{next(self._numbers):032x}")
        return envelope_of({"method": method, "bizContent": content}, self._clock.at, req_id, **members)

    def post(self, path: str, envelope: Any, *, content_type: str = "application/json") -> requests.Response:
        """Carry a body."""
        body = envelope if isinstance(envelope, bytes) else dump_json(envelope)
        headers = {"Content-Type": content_type}
        return self._session.post(self._server.url + path, body, headers=headers, timeout=TIMEOUT_S)

    def tell(self, envelope: Any, path: str = "/logistics/notify") -> JsonObject:
        """Carry an envelope and open the answer, which must fit the contract, echo and be signed by the portal."""
        reply = self.post(path, envelope)
        answered = reply.json()
        CONTRACT.check("Envelope", answered)
        assert (reply.status_code, answered["reqId"]) == (200, envelope["reqId"])
        assert is_signed(signed_text(answered), answered["signData"], by=[self._server.mock.sign_key.public])
        return load_json_object(open_sealed(DEMO_SM4_KEY, answered["encData"]))

    def notice(self, status: str, **members: Any) -> JsonObject:
        """Make the content of a notice, with a notifyId of its own; None leaves a member out."""
        content = {
            "notifyId": f"N{next(self._numbers)}",
            "bizNo": BIZ_NO,
            "waybillNo": WAYBILL_NO,
            "status": status,
            "at": "2023-12-01T10:00:00+08:00",
            "desc": "邮件已到达",
            "office": "渝中揽投部",
            **members,
        }
        return {name: value for name, value in content.items() if value is not None}

    def notify(self, status: str, **members: Any) -> JsonObject:
        """Tell a notice."""
        return self.tell(self.envelope("logistics.notify", self.notice(status, **members)))

    def code(self, status: str, **members: Any) -> str:
        """Tell a notice, for the code of the answer."""
        return str(self.notify(status, **members)["code"])

    def query(self, biz_no: str = BIZ_NO) -> JsonObject:
        """Ask what has arrived."""
        return self.tell(self.envelope("logistics.query", {"bizNo": biz_no}), "/logistics/query")


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands at the moment of the worked example."""
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[MockServer[ChuanyuTongbanMock]]:
    """Serve a portal that knows two orders, the second a round trip."""
    with MockServer(ChuanyuTongbanMock(now=clock)) as server:
        server.mock.expect(BIZ_NO)
        server.mock.expect(ROUND_TRIP, is_round_trip=True)
        yield server


@pytest.fixture
def mock(server: MockServer[ChuanyuTongbanMock]) -> ChuanyuTongbanMock:
    """Give that portal."""
    return server.mock


@pytest.fixture
def gateway(server: MockServer[ChuanyuTongbanMock], session: requests.Session, clock: Clock) -> Gateway:
    """Give a gateway that tells the portal."""
    return Gateway(server, session, clock)


def refusal(mock: ChuanyuTongbanMock, answer: JsonObject) -> tuple[str, str]:
    """Give code and place of a refusal, which changed nothing and was noted."""
    assert answer["message"] == f"{mock.rejected[-1].where}: {mock.rejected[-1].reason}"
    assert answer["code"] == mock.rejected[-1].code
    return answer["code"], mock.rejected[-1].where


class TestExamples:
    """Byte for byte what the contract's worked examples hold; SM2 is verified."""

    def test_place(self, clock: Clock) -> None:
        """The whole request but the signature, which verifies over the example's text."""
        portal = ChuanyuTongbanMock(now=clock, token=lambda: EXAMPLE["envelope"]["reqId"])
        request = portal.build_place(ORDER)
        envelope = json.loads(request.body)
        signature = envelope.pop("signData")
        assert envelope == {name: value for name, value in EXAMPLE["envelope"].items() if name != "signData"}
        assert signed_text(envelope).decode() == EXAMPLE["signed_text"]
        assert is_signed(EXAMPLE["signed_text"].encode(), signature, by=[EXAMPLES["keys"]["sm2"]["portal"]["public"]])
        assert (request.method, request.url) == ("POST", "/portals/chuanyu_tongban/gateway")

    def test_signature(self) -> None:
        """The example's signature verifies with the portal's key and with no other's, nor over another text."""
        text, signature = EXAMPLE["signed_text"].encode(), EXAMPLE["envelope"]["signData"]
        assert is_signed(text, signature, by=[DEMO_GATEWAY_KEY.public, DEMO_PORTAL_KEY.public])
        assert not is_signed(text, signature, by=[DEMO_GATEWAY_KEY.public])
        assert not is_signed(text + b" ", signature, by=[DEMO_PORTAL_KEY.public])

    def test_opens(self) -> None:
        """The example's encData opens to its document."""
        assert json.loads(open_sealed(DEMO_SM4_KEY, EXAMPLE["envelope"]["encData"])) == EXAMPLE["opens_to"]

    def test_standard_signature(self) -> None:
        """The standard's own signature verifies."""
        vector = EXAMPLES["vectors"]["sm2_sign"]
        signature = base64.b64encode(bytes.fromhex(vector["r"] + vector["s"])).decode()
        assert is_signed(vector["message"].encode(), signature, by=[vector["public"]])

    def test_standard_block(self) -> None:
        """The standard's own block is the first that its plain text is sealed to."""
        vector = EXAMPLES["vectors"]["sm4_ecb_block"]
        assert seal(vector["key"], bytes.fromhex(vector["plain"]))[:32] == vector["cipher"].upper()

    @pytest.mark.parametrize("whose", ["portal", "gateway", "court", "gateway_court"])
    def test_public_half(self, whose: str) -> None:
        """A private key has the public half that the examples say."""
        pair = EXAMPLES["keys"]["sm2"][whose]
        assert key_pair_of(pair["private"]) == KeyPair(pair["public"], pair["private"])

    @pytest.mark.parametrize("private", ["00" * 32, "ff" * 32, "xy" * 32, ""])
    def test_no_private_key(self, private: str) -> None:
        """What is no private key is refused, and not shown."""
        with pytest.raises(ValueError, match=r"^(?!.*xyxy)"):
            key_pair_of(private)

    def test_public_key_forms(self) -> None:
        """A public key is read with and without 04 in front, and only if it is one."""
        assert read_public_key("04" + DEMO_PORTAL_KEY.public.upper()) == DEMO_PORTAL_KEY.public
        for text in (DEMO_PORTAL_KEY.public[:-1] + "5", DEMO_PORTAL_KEY.private, "key"):
            with pytest.raises(ValueError, match="is no public key"):
                read_public_key(text)

    def test_signature_of_another_length(self) -> None:
        """A signature is 64 bytes, though more could say the same numbers."""
        raw = base64.b64decode(EXAMPLE["envelope"]["signData"])
        longer = base64.b64encode(raw[:32] + b"\0" + raw[32:]).decode()
        assert not is_signed(EXAMPLE["signed_text"].encode(), longer, by=[DEMO_PORTAL_KEY.public])

    @pytest.mark.parametrize("signature", ["", "AAAA", "!" * 88, base64.b64encode(bytes(64)).decode()])
    def test_no_signature(self, signature: str) -> None:
        """What is no signature verifies as none."""
        assert not is_signed(b"", signature, by=[DEMO_PORTAL_KEY.public])

    def test_key_is_not_shown(self) -> None:
        """A key's repr keeps its private half."""
        assert DEMO_PORTAL_KEY.private not in repr(DEMO_PORTAL_KEY)


class TestEnvelope:
    """What is not proven, or does not open, is refused by code and place, and changes nothing."""

    def test_unknown_app(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """An unknown appCode is a plain, empty 401."""
        reply = gateway.post("/logistics/notify", gateway.envelope("logistics.notify", {}, appCode="CY50NONE"))
        assert (reply.status_code, reply.content) == (401, b"")
        assert mock.rejected[-1].where == "envelope.appCode"

    @pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"", b"{}"])
    def test_unreadable_body(self, gateway: Gateway, body: bytes) -> None:
        """A body that names no app is an unknown app's."""
        reply = gateway.post("/logistics/notify", body)
        assert (reply.status_code, reply.content) == (401, b"")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("version", "1.0"),
            ("encType", "AES"),
            ("signType", "RSA"),
            ("timestamp", "1701389550"),
            ("encData", "ab" * 16),
            ("encData", "AB" * 15),
            ("trace", "x"),
        ],
    )
    def test_unfit_member(self, mock: ChuanyuTongbanMock, gateway: Gateway, name: str, value: str) -> None:
        """An unfit or unknown member of the envelope is named, well signed or not."""
        answer = gateway.tell(gateway.envelope("logistics.notify", {}, **{name: value}))
        assert refusal(mock, answer) == ("4001", f"envelope.{name}")

    def test_unfit_req_id(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A reqId that cannot be echoed is answered under noughts."""
        reply = gateway.post("/logistics/notify", gateway.envelope("logistics.notify", {}, reqId="F" * 32))
        assert reply.json()["reqId"] == "0" * 32
        assert mock.rejected[-1].where == "envelope.reqId"

    def test_content_type(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A body that does not say that it is JSON is refused."""
        gateway.post("/logistics/notify", gateway.envelope("logistics.notify", {}), content_type="text/plain")
        assert mock.rejected[-1].where == "header Content-Type"

    @pytest.mark.parametrize("name", ["timestamp", "reqId", "encData", "signData"])
    def test_changed_member(self, mock: ChuanyuTongbanMock, gateway: Gateway, name: str) -> None:
        """A member that was changed no longer goes with the signature."""
        envelope = gateway.envelope("logistics.notify", gateway.notice("NUMBERED"))
        first = "1" if envelope[name][0] == "0" else "0"
        answer = gateway.tell({**envelope, name: first + envelope[name][1:]})
        assert refusal(mock, answer) == ("4011", "envelope.signData")
        assert not mock.notices

    def test_other_key(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """The portal's own key signs nothing for the gateway."""
        envelope = envelope_of({}, mock.now(), "a" * 32, key=DEMO_PORTAL_KEY)
        assert refusal(mock, gateway.tell(envelope)) == ("4011", "envelope.signData")

    @pytest.mark.parametrize(("seconds", "code"), [(300, "0"), (301, "4012"), (-300, "0"), (-301, "4012")])
    def test_timestamp(self, gateway: Gateway, clock: Clock, seconds: int, code: str) -> None:
        """A timestamp may be 300 s off, either way."""
        envelope = gateway.envelope("logistics.notify", gateway.notice("NUMBERED"))
        clock.at += timedelta(seconds=seconds)
        assert gateway.tell(envelope)["code"] == code

    @pytest.mark.parametrize(("seconds", "code"), [(600, "4013"), (601, "0")])
    def test_req_id_again(self, gateway: Gateway, clock: Clock, seconds: int, code: str) -> None:
        """A reqId with other content is refused for 600 s, whatever it was used for before."""
        gateway.tell(gateway.envelope("logistics.query", {"bizNo": BIZ_NO}, req_id="a" * 32), "/logistics/query")
        clock.at += timedelta(seconds=seconds)
        envelope = gateway.envelope("logistics.notify", gateway.notice("NUMBERED"), req_id="a" * 32)
        assert gateway.tell(envelope)["code"] == code

    def test_unproven_req_id_is_free(self, gateway: Gateway) -> None:
        """Whoever cannot sign uses no reqId up."""
        envelope = gateway.envelope("logistics.notify", gateway.notice("NUMBERED"), req_id="a" * 32)
        assert gateway.tell({**envelope, "encData": "0" * 32})["code"] == "4011"
        assert gateway.tell(envelope)["code"] == "0"

    @pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
    def test_unreadable_content(self, mock: ChuanyuTongbanMock, gateway: Gateway, content: bytes) -> None:
        """What opens to no JSON object is refused as the content."""
        answer = gateway.tell(envelope_of(content, mock.now(), "a" * 32))
        assert refusal(mock, answer) == ("4001", "encData")

    def test_content_that_does_not_open(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """What was sealed with another key does not open."""
        answer = gateway.tell(envelope_of({}, mock.now(), "a" * 32, encData="0" * 64))
        assert refusal(mock, answer) == ("4001", "encData")

    def test_wrong_door(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """The method must be the path's."""
        answer = gateway.tell(gateway.envelope("logistics.query", {"bizNo": BIZ_NO}))
        assert answer["code"] == "4001"
        assert mock.rejected[-1].where.startswith("encData.")

    def test_unknown_path(self, gateway: Gateway) -> None:
        """A path that the portal does not have is a plain 404 that names the ones it has."""
        reply = gateway.post("/logistics/tell", b"{}")
        assert (reply.status_code, "/logistics/notify" in reply.json()["reason"]) == (404, True)

    def test_base_path(self, gateway: Gateway) -> None:
        """A portal may stand below a path."""
        envelope = gateway.envelope("logistics.notify", gateway.notice("NUMBERED"))
        assert gateway.tell(envelope, "/base/logistics/notify")["code"] == "0"


class TestNotices:
    """The portal keeps a status per leg and takes only what fits it."""

    def test_life_in_order(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """Notices in order are taken, and kept in arrival order."""
        for status in ("NUMBERED", "COLLECTED", "TRANSIT", "TRANSIT", "DELIVERING"):
            assert gateway.notify(status) == {"code": "0", "message": "ok", "data": {}}
        gateway.notify("FAILED", reason="UNREACHABLE")
        gateway.notify("DELIVERED", receivedBy="FAMILY")
        order = mock.orders[BIZ_NO]
        assert [notice.status for notice in order.notices][-3:] == ["DELIVERING", "FAILED", "DELIVERED"]
        assert list(mock.notices.values()) == order.notices
        assert mock.heard()[0] == Heard(BIZ_NO, "N1", "NUMBERED", WAYBILL_NO, 1)
        assert not mock.rejected

    @pytest.mark.parametrize(
        ("first", "then"),
        [
            ("NUMBERED", "NUMBERED"),
            ("COLLECTED", "NUMBERED"),
            ("COLLECTED", "COLLECTED"),
            ("TRANSIT", "COLLECTED"),
            ("TRANSIT", "CANCELLED"),
            ("RETURNING", "DELIVERED"),
            ("DELIVERED", "DELIVERED"),
            ("RETURNED", "RETURNING"),
            ("CANCELLED", "NUMBERED"),
            ("LOST", "TRANSIT"),
        ],
    )
    def test_impossible_move(self, mock: ChuanyuTongbanMock, gateway: Gateway, first: str, then: str) -> None:
        """A status that cannot follow is refused with both statuses named."""
        gateway.notify(first)
        answer = gateway.notify(then)
        assert refusal(mock, answer) == ("4001", "encData.bizContent.status")
        assert answer["message"].endswith(f"{then} cannot follow {first}")

    @pytest.mark.parametrize("first", ["NUMBERED", "COLLECTED", None])
    @pytest.mark.parametrize("then", ["TRANSIT", "DELIVERED", "RETURNED", "CANCELLED", "LOST"])
    def test_skipping(self, gateway: Gateway, first: str | None, then: str) -> None:
        """Statuses may be skipped."""
        if first:
            gateway.notify(first)
        assert gateway.code(then) == "0"

    def test_retry(self, mock: ChuanyuTongbanMock, gateway: Gateway, clock: Clock) -> None:
        """A retry gets the same answer, signed anew, and nothing happens again."""
        content = gateway.notice("TRANSIT")
        for seconds in (0, 600):
            clock.at = EXAMPLE_AT + timedelta(seconds=seconds)
            answer = gateway.tell(gateway.envelope("logistics.notify", content, req_id="a" * 32))
            assert answer == {"code": "0", "message": "ok", "data": {}}
        assert (len(mock.notices), mock.repeats, mock.renumbered) == (1, {content["notifyId"]: 1}, 0)

    def test_late_retry(self, mock: ChuanyuTongbanMock, gateway: Gateway, clock: Clock) -> None:
        """After 600 s the reqId is forgotten and the notifyId is not."""
        content = gateway.notice("TRANSIT")
        gateway.tell(gateway.envelope("logistics.notify", content, req_id="a" * 32))
        clock.at += timedelta(seconds=601)
        for _ in range(2):
            answer = gateway.tell(gateway.envelope("logistics.notify", content, req_id="a" * 32))
            assert answer["code"] == "4093"
        assert (len(mock.notices), mock.renumbered) == (1, 0)

    def test_retry_under_another_req_id(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A known notifyId is had already under whatever reqId, which is counted: a retry keeps its own."""
        content = gateway.notice("TRANSIT")
        codes = [gateway.tell(gateway.envelope("logistics.notify", content))["code"] for _ in range(2)]
        assert codes == ["0", "4093"]
        assert (len(mock.notices), mock.state()["repeats"], mock.state()["renumbered"]) == (1, 1, 1)

    def test_notify_id_with_other_content(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A notifyId with other content is no repeat, and refused."""
        gateway.notify("TRANSIT", notifyId="N")
        answer = gateway.notify("DELIVERING", notifyId="N")
        assert refusal(mock, answer) == ("4001", "encData.bizContent.notifyId")
        assert mock.repeats.total() == 0

    def test_told_twice(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """The same thing under two notifyIds is taken and counted; another time is another thing."""
        gateway.notify("TRANSIT")
        gateway.notify("TRANSIT", at="2023-12-01T10:00:01+08:00")
        assert mock.state()["told_twice"] == 0
        gateway.notify("TRANSIT")
        assert (mock.state()["told_twice"], mock.report()[BIZ_NO]["told_twice"]) == (1, 1)

    def test_told_again_after_a_revoke(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """What was taken back may be told again."""
        gateway.notify("TRANSIT", notifyId="N")
        gateway.notify("REVOKED", revokes="N")
        gateway.notify("TRANSIT")
        assert mock.state()["told_twice"] == 0

    def test_unknown_order(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """An order that the portal did not send is 4041 when strict, and taken when not, legs and all."""
        assert refusal(mock, gateway.notify("TRANSIT", bizNo="CY0")) == ("4041", "encData.bizContent.bizNo")
        assert gateway.query("CY0")["code"] == "4041"
        mock.is_strict = False
        assert gateway.query("CY0")["data"] == {"notifyIds": []}
        assert [gateway.code("TRANSIT", bizNo="CY0", leg=2), mock.orders["CY0"].status(2)] == ["0", "TRANSIT"]

    def test_query(self, gateway: Gateway) -> None:
        """A query lists what was taken, revokes too, in arrival order and as it stands now."""
        asked = gateway.envelope("logistics.query", {"bizNo": BIZ_NO})
        assert gateway.tell(asked, "/logistics/query")["data"] == {"notifyIds": []}
        gateway.notify("TRANSIT", notifyId="B")
        gateway.notify("REVOKED", notifyId="A", revokes="B")
        assert gateway.tell(asked, "/logistics/query")["data"] == {"notifyIds": ["B", "A"]}

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"notifyId": ""}, "notifyId"),
            ({"notifyId": None}, "notifyId"),
            ({"bizNo": 1}, "bizNo"),
            ({"waybillNo": "EA96929476"}, "waybillNo"),
            ({"waybillNo": ""}, "waybillNo"),
            ({"waybillNo": None}, "waybillNo"),
            ({"status": "ACCEPTED"}, "status"),
            ({"status": None}, "status"),
            ({"at": "2023-12-01T02:00:00Z"}, "at"),
            ({"at": "2023-12-01 10:00:00"}, "at"),
            ({"at": "2023-02-30T10:00:00+08:00"}, "at"),
            ({"desc": ""}, "desc"),
            ({"desc": "x" * 201}, "desc"),
            ({"desc": None}, "desc"),
            ({"desc": "投递员13900000000"}, "desc"),
            ({"desc": "投递员139 0000 0000"}, "desc"),
            ({"desc": "电话023-63800000"}, "desc"),
            ({"office": None}, "office"),
            ({"office": "揽投部63800000"}, "office"),
            ({"status": "FAILED", "reason": "LAZY"}, "reason"),
            # Reason and revokes each go with one status only; the contract file says so of the status.
            ({"reason": "REFUSED"}, "status"),
            ({"revokes": "N"}, "status"),
            ({"receivedBy": ""}, "receivedBy"),
            ({"leg": 1}, "leg"),
            ({"phone": "x"}, "phone"),
        ],
    )
    def test_unfit_member(
        self, mock: ChuanyuTongbanMock, gateway: Gateway, members: Mapping[str, Any], name: str
    ) -> None:
        """Each unfit member is named, and its value is not."""
        answer = gateway.notify(**{"status": "TRANSIT", **members})
        assert refusal(mock, answer) == ("4001", f"encData.bizContent.{name}")
        assert "63800000" not in answer["message"]
        assert not mock.notices

    @pytest.mark.parametrize("desc", [f"邮件{WAYBILL_NO}已到达", "2023-12-01 10:00 到达", "渝中区3号楼"])
    def test_digits_that_are_no_phone(self, gateway: Gateway, desc: str) -> None:
        """The waybill's own number and a time are not taken for phones."""
        assert gateway.code("TRANSIT", desc=desc) == "0"

    def test_cancelled_without_a_number(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """An order may be cancelled, and that taken back, before it has a number."""
        assert gateway.code("CANCELLED", waybillNo="", notifyId="N") == "0"
        assert gateway.code("REVOKED", waybillNo="", revokes="N") == "0"
        assert (mock.orders[BIZ_NO].status(), mock.orders[BIZ_NO].waybills) == ("ACCEPTED", {})
        gateway.notify("NUMBERED")
        assert refusal(mock, gateway.notify("CANCELLED", waybillNo=""))[1] == "encData.bizContent.waybillNo"

    def test_reason_is_heard(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """What was told is heard whole, the reason apart; without one there is none."""
        failed = gateway.notice("FAILED", reason="MOVED")
        gateway.tell(gateway.envelope("logistics.notify", failed))
        gateway.notify("TRANSIT")
        assert [(heard.reason, heard.body == failed) for heard in mock.heard()] == [("MOVED", True), ("", False)]

    @pytest.mark.parametrize("code", ChuanyuTongbanMock.results)
    def test_say(self, mock: ChuanyuTongbanMock, gateway: Gateway, code: str) -> None:
        """Each of its codes is said to a notice, signed, in the contract's form, and nothing is done."""
        envelope = gateway.envelope("logistics.notify", gateway.notice("NUMBERED"))
        reply = mock.say(code, WireRequest("POST", "/logistics/notify", {}, dump_json(envelope)))
        answered = load_json_object(reply.body)
        assert is_signed(signed_text(answered), answered["signData"], by=[DEMO_PORTAL_KEY.public])
        opened = load_json_object(open_sealed(DEMO_SM4_KEY, answered["encData"]))
        CONTRACT.check("Taken" if code in {"0", "4093"} else "NotTaken", opened)
        assert (opened["code"], answered["reqId"], mock.notices) == (code, envelope["reqId"], {})

    def test_other_waybill(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A leg keeps its first number."""
        gateway.notify("NUMBERED")
        answer = gateway.notify("COLLECTED", waybillNo=OTHER_NO)
        assert refusal(mock, answer) == ("4001", "encData.bizContent.waybillNo")

    def test_two_legs(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """Each leg of a round trip has its own number and status."""
        trip = {"bizNo": ROUND_TRIP}
        assert gateway.code("DELIVERED", **trip) == "0"
        assert gateway.code("NUMBERED", **trip, leg=2) == "4001"
        assert gateway.code("NUMBERED", **trip, leg=2, waybillNo=OTHER_NO) == "0"
        assert gateway.code("COLLECTED", **trip, leg=2, waybillNo=OTHER_NO) == "0"
        told = mock.report()[ROUND_TRIP]
        assert told["waybills"] == {"1": WAYBILL_NO, "2": OTHER_NO}
        assert told["status"] == {"1": "DELIVERED", "2": "COLLECTED"}


class TestRevokes:
    """A notice can be taken back, once, and the order stands where it stood before it."""

    def test_back_to_the_status_before(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """After the revoke life goes on from the status before."""
        gateway.notify("DELIVERING")
        gateway.notify("DELIVERED", notifyId="N")
        assert gateway.code("TRANSIT") == "4001"
        assert gateway.code("REVOKED", revokes="N") == "0"
        assert mock.orders[BIZ_NO].status() == "DELIVERING"
        assert gateway.code("FAILED", reason="REFUSED") == "0"
        assert mock.state()["revoked"] == 1

    def test_of_an_earlier_one(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """Taking back what is not the newest leaves the order where it is."""
        gateway.notify("COLLECTED", notifyId="N")
        gateway.notify("TRANSIT")
        gateway.notify("REVOKED", revokes="N")
        assert mock.orders[BIZ_NO].status() == "TRANSIT"

    def test_two_in_a_row(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """Two notices can be taken back one after the other."""
        gateway.notify("TRANSIT", notifyId="A")
        gateway.notify("DELIVERED", notifyId="B")
        gateway.notify("REVOKED", revokes="B")
        gateway.notify("REVOKED", revokes="A")
        assert mock.orders[BIZ_NO].status() == "ACCEPTED"

    @pytest.mark.parametrize("members", [{"revokes": "X"}, {"revokes": None}, {"revokes": "R"}, {"revokes": "N"}])
    def test_of_nothing(self, mock: ChuanyuTongbanMock, gateway: Gateway, members: JsonObject) -> None:
        """A revoke of nothing, of what is not known, of a revoke, or a second time is refused."""
        gateway.notify("DELIVERED", notifyId="N")
        gateway.notify("REVOKED", notifyId="R", revokes="N")
        answer = gateway.notify("REVOKED", **members)
        assert refusal(mock, answer) == ("4001", "encData.bizContent.revokes")

    @pytest.mark.parametrize("members", [{"bizNo": BIZ_NO}, {"leg": 2, "waybillNo": OTHER_NO}])
    def test_of_another(self, mock: ChuanyuTongbanMock, gateway: Gateway, members: JsonObject) -> None:
        """A revoke is of a notice of the same order and leg."""
        gateway.notify("DELIVERED", bizNo=ROUND_TRIP, notifyId="N")
        answer = gateway.notify("REVOKED", **{"bizNo": ROUND_TRIP, "revokes": "N", **members})
        assert refusal(mock, answer) == ("4001", "encData.bizContent.revokes")


class TestKeys:
    """Two keys of either side may be live at once."""

    def test_gateway_rotates(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """The newest two keys of the gateway's are live; one before them is retired."""
        pairs = [DEMO_GATEWAY_KEY, new_key_pair(), new_key_pair()]
        for pair in pairs[1:]:
            mock.trust_key(pair.public)
        query = {"method": "logistics.query", "bizContent": {"bizNo": BIZ_NO}}
        codes = [
            gateway.tell(envelope_of(query, mock.now(), f"{place:032x}", key=pair), "/logistics/query")["code"]
            for place, pair in enumerate(pairs)
        ]
        assert codes == ["4011", "0", "0"]

    def test_portal_rotates(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """The portal signs requests and answers with its new key; `tell` holds the answer to it."""
        public = mock.rotate_keys()
        envelope = json.loads(mock.build_trace(BIZ_NO).body)
        assert public not in {DEMO_PORTAL_KEY.public, DEMO_GATEWAY_KEY.public}
        assert is_signed(signed_text(envelope), envelope["signData"], by=[public])
        assert gateway.code("TRANSIT") == "0"

    def test_portal_rotates_to(self, mock: ChuanyuTongbanMock) -> None:
        """A key that the gateway knows already can be given."""
        pair = new_key_pair()
        assert (mock.rotate_keys(pair.private), mock.sign_key) == (pair.public, pair)

    def test_over_the_control_door(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """Keys can be rotated from another process."""
        reply = gateway.post("/__mock__/do/rotate_keys", {})
        assert reply.json() == mock.sign_key.public != DEMO_PORTAL_KEY.public
        gateway.post("/__mock__/do/trust_key", {"public_key": DEMO_PORTAL_KEY.public})
        assert mock.verify_keys == (DEMO_PORTAL_KEY.public, DEMO_GATEWAY_KEY.public)
        assert gateway.post("/__mock__/do/trust_key", {"public_key": "x"}).status_code == 400


class TestFaults:
    """What goes wrong in the portal's own way."""

    def test_busy(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """Busy is said in the envelope, with the seconds, and nothing is done."""
        mock.plan.next("busy", seconds=1.5)
        assert gateway.notify("TRANSIT") == {"code": "4290", "message": "busy", "data": {"retryAfter": 2}}
        assert not mock.notices

    @pytest.mark.parametrize(("kind", "taken"), [("error", 0), ("error_after", 1)])
    def test_own_error(self, mock: ChuanyuTongbanMock, gateway: Gateway, kind: str, taken: int) -> None:
        """An error with a code of the portal's is said in the envelope, before or after the effect."""
        mock.plan.next(kind, status=5001)
        assert (gateway.code("TRANSIT"), len(mock.notices)) == ("5001", taken)

    def test_http_error(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """An error with an HTTP status is no answer of the portal's."""
        mock.plan.next("error", status=502)
        assert gateway.post("/logistics/notify", gateway.envelope("logistics.notify", {})).status_code == 502

    def test_retry_after_a_lost_answer(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """What was done and not answered is answered as done when it comes again."""
        mock.plan.next("reset")
        envelope = gateway.envelope("logistics.notify", gateway.notice("TRANSIT"))
        with pytest.raises(requests.ConnectionError):
            gateway.tell(envelope)
        assert (gateway.tell(envelope)["code"], len(mock.notices)) == ("0", 1)

    def test_expired_key(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """An answer can be signed with a key that is not live; what it says is done."""
        mock.plan.next(FaultKind.EXPIRED_KEY)
        envelope = gateway.envelope("logistics.notify", gateway.notice("TRANSIT"))
        answered = gateway.post("/logistics/notify", envelope).json()
        assert not is_signed(signed_text(answered), answered["signData"], by=[mock.sign_key.public])
        assert load_json_object(open_sealed(DEMO_SM4_KEY, answered["encData"]))["code"] == "0"
        assert gateway.tell(envelope)["code"] == "0"
        assert mock.plan.drawn == {FaultKind.EXPIRED_KEY: 1}

    def test_stale_nonce(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A fresh reqId can be taken for a used one, which uses it up no more than before; a retry's cannot."""
        envelope = gateway.envelope("logistics.notify", gateway.notice("TRANSIT"))
        gateway.tell(envelope)
        mock.plan.next(FaultKind.STALE_NONCE)
        assert gateway.tell(envelope)["code"] == "0"
        envelope = gateway.envelope("logistics.notify", gateway.notice("TRANSIT"))
        assert [gateway.tell(envelope)["code"] for _ in range(2)] == ["4013", "0"]
        # It was the mock that broke the contract.
        assert list(mock.rejected) == []


class StubGateway(Mock):
    """A gateway's door that answers what it is told to answer."""

    key = "stub"

    def __init__(self, clock: Clock) -> None:
        super().__init__(now=clock)
        self.reply: Callable[[JsonObject], WireReply] = lambda _: WireReply(503)

    @classmethod
    def from_settings(cls, document: Mapping[str, Any], **options: Any) -> Self:
        """Not needed."""
        raise NotImplementedError

    def settings(self) -> JsonObject:
        """Not needed."""
        raise NotImplementedError

    def state(self) -> JsonObject:
        """Tell nothing."""
        return {}

    def report(self) -> JsonObject:
        """Tell nothing."""
        return {}

    def says(self, code: str, data: Any = None, **changes: Any) -> None:
        """Answer the next requests in an envelope; `changes` are the envelope's, or `key` and `off_s`."""
        off = timedelta(seconds=changes.pop("off_s", 0))
        document = {"code": code, "message": "ok", **({} if data is None else {"data": data})}
        self.reply = lambda asked: json_reply(200, envelope_of(document, self.now() + off, asked["reqId"], **changes))

    def _respond(self, request: WireRequest) -> WireReply:
        return self.reply(load_json_object(request.body))


@pytest.fixture
def stub(mock: ChuanyuTongbanMock, clock: Clock) -> Iterator[StubGateway]:
    """Serve a gateway that the portal sends to."""
    with MockServer(StubGateway(clock)) as server:
        mock.gateway_url = server.url
        yield server.mock


DONE = {"bizNo": BIZ_NO, "orderId": ORDER_ID}
TRACED = {**DONE, "waybillNo": WAYBILL_NO, "status": "TRANSIT", "traces": []}


class TestSending:
    """What the portal sends, and how it reads the answers."""

    def test_calls(self, mock: ChuanyuTongbanMock) -> None:
        """Each call has its method and its content."""
        amend, cancel, trace = (
            mock.build_amend(BIZ_NO, ORDER["to"]),
            mock.build_cancel(BIZ_NO, "不办了"),
            mock.build_trace(BIZ_NO),
        )
        assert [mock.open_content(request) for request in (amend, cancel, trace)] == [
            {"method": "order.amend", "bizContent": {"bizNo": BIZ_NO, "to": ORDER["to"]}},
            {"method": "order.cancel", "bizContent": {"bizNo": BIZ_NO, "reason": "不办了"}},
            {"method": "order.trace", "bizContent": {"bizNo": BIZ_NO}},
        ]
        for request, schema in ((amend, "OrderAmendCall"), (cancel, "OrderCancelCall"), (trace, "OrderTraceCall")):
            CONTRACT.check("Envelope", json.loads(request.body))
            CONTRACT.check(schema, mock.open_content(request))

    def test_commands(self, mock: ChuanyuTongbanMock) -> None:
        """What else it may ask is asked of the order handed over, each under a reqId of its own."""
        commands = mock.commands(ORDER)
        opened = {name: mock.open_content(request) for name, request in commands.items()}
        assert {name: content["method"] for name, content in opened.items()} == {
            "amend": "order.amend",
            "cancel": "order.cancel",
            "query": "order.trace",
        }
        assert {content["bizContent"]["bizNo"] for content in opened.values()} == {BIZ_NO}
        assert opened["amend"]["bizContent"]["to"] == ORDER["to"]
        assert len({json.loads(request.body)["reqId"] for request in commands.values()}) == len(commands)

    def test_again(self, mock: ChuanyuTongbanMock) -> None:
        """The same order built again is the same content under another reqId."""
        first, second = (json.loads(mock.hand_over(ORDER).body) for _ in range(2))
        assert first["encData"] == second["encData"]
        assert first["reqId"] != second["reqId"]

    def test_retry(self, mock: ChuanyuTongbanMock, clock: Clock) -> None:
        """A retry keeps reqId and encData; timestamp and signature are new, and good."""
        request = mock.build_place(ORDER)
        clock.at += timedelta(seconds=1)
        first, second = json.loads(request.body), json.loads(mock.retry(request).body)
        assert {name for name, value in first.items() if second[name] != value} == {"timestamp", "signData"}
        assert is_signed(signed_text(second), second["signData"], by=[DEMO_PORTAL_KEY.public])

    @pytest.mark.parametrize("content", [b"\xff", b"", b"[1]", b"[" * 100_000])
    def test_garbage(self, mock: ChuanyuTongbanMock, content: bytes) -> None:
        """Anything can be sealed and signed, under any members."""
        envelope = json.loads(mock.sign_request(content, members={"reqId": "x", "more": "y"}).body)
        assert (open_sealed(DEMO_SM4_KEY, envelope["encData"]), envelope["reqId"]) == (content, "x")
        assert is_signed(signed_text(envelope), envelope["signData"], by=[DEMO_PORTAL_KEY.public])
        assert open_sealed(DEMO_SM4_KEY, json.loads(mock.wrap(content).body)["encData"]) == content

    def test_round_trips_are_known(self, mock: ChuanyuTongbanMock) -> None:
        """An order that was built is expected, with or without a second leg."""
        for direction in ("RESULT", "ROUND"):
            mock.build_place({**ORDER, "bizNo": direction, "direction": direction})
        assert [mock.orders[biz_no].is_round_trip for biz_no in ("RESULT", "ROUND")] == [False, True]

    def test_success(self, mock: ChuanyuTongbanMock, stub: StubGateway) -> None:
        """A success is opened."""
        stub.says("0", DONE)
        answer = mock.send(mock.build_place(ORDER))
        assert answer == Answer("0", "ok", DONE)
        assert answer.is_success

    def test_trace(self, mock: ChuanyuTongbanMock, stub: StubGateway) -> None:
        """A trace says how the order stands."""
        told = {"status": "TRANSIT", "at": "2023-12-01T10:00:00+08:00", "desc": "邮件运输中"}
        stub.says("0", {**TRACED, "traces": [told]})
        assert mock.send(mock.build_trace(BIZ_NO)).data["traces"] == [told]

    @pytest.mark.parametrize("code", ["4001", "4011", "4012", "4013", "4041", "4091", "4092", "5001"])
    def test_refusal(self, mock: ChuanyuTongbanMock, stub: StubGateway, code: str) -> None:
        """A refusal is opened too, with or without data, and whatever was asked."""
        stub.says(code)
        answers = [mock.send(request) for request in (mock.build_trace(BIZ_NO), mock.sign_request(b"x"))]
        assert [(answer.code, answer.is_success) for answer in answers] == [(code, False)] * 2

    @pytest.mark.parametrize("status", [401, 408, 413, 429, 431, 503])
    def test_plain_http(self, mock: ChuanyuTongbanMock, stub: StubGateway, status: int) -> None:
        """What comes without an envelope has a status and no code."""
        stub.reply = lambda _: WireReply(status)
        answer = mock.send(mock.build_place(ORDER))
        assert (answer.code, answer.http_status, answer.is_success) == ("", status, False)

    @pytest.mark.parametrize(
        ("reply", "where"),
        [
            (WireReply(500), "answer"),
            (WireReply(404), "answer"),
            (WireReply(401, {}, b"{}"), "answer"),
            (WireReply(200, {"Content-Type": "text/html"}, b"{}"), "header Content-Type"),
            (WireReply(200, {"Content-Type": "application/json"}, b"<"), "answer"),
            (json_reply(200, {}), "answer.appCode"),
        ],
    )
    def test_no_envelope(self, mock: ChuanyuTongbanMock, stub: StubGateway, reply: WireReply, where: str) -> None:
        """What is no answer of the contract does not pass for one."""
        stub.reply = lambda _: reply
        with pytest.raises(UnfitError, match=f"^{where}: ") as caught:
            mock.send(mock.build_place(ORDER))
        assert caught.value.where == where

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"key": DEMO_PORTAL_KEY}, "answer.signData"),
            ({"off_s": 301}, "answer.timestamp"),
            ({"off_s": -301}, "answer.timestamp"),
            ({"appCode": "CY50NONE"}, "answer.appCode"),
            ({"reqId": "a" * 32}, "answer.reqId"),
            ({"encData": "0" * 32}, "answer.encData"),
            ({"version": "2.0.0"}, "answer.version"),
        ],
    )
    def test_unfit_envelope(self, mock: ChuanyuTongbanMock, stub: StubGateway, changes: JsonObject, where: str) -> None:
        """An answer must be the gateway's, of now, to this request, and open."""
        stub.says("0", DONE, **changes)
        with pytest.raises(UnfitError) as caught:
            mock.send(mock.build_place(ORDER))
        assert caught.value.where == where

    @pytest.mark.parametrize(
        ("code", "data", "where"),
        [
            ("0", None, "data"),
            ("0", {}, "data.bizNo"),
            ("0", {**DONE, "orderId": "1"}, "data.orderId"),
            ("0", {**DONE, "bizNo": "CY0"}, "data.bizNo"),
            ("0", TRACED, "data.status"),
            ("9999", None, "code"),
        ],
    )
    def test_unfit_answer(self, mock: ChuanyuTongbanMock, stub: StubGateway, code: str, data: Any, where: str) -> None:
        """What an answer opens to must fit what was asked."""
        stub.says(code, data)
        with pytest.raises(UnfitError) as caught:
            mock.send(mock.build_place(ORDER))
        assert caught.value.where == f"answer.encData.{where}"

    def test_answer_to_garbage(self, mock: ChuanyuTongbanMock, stub: StubGateway) -> None:
        """Nobody can say yes to what asks nothing."""
        stub.says("0", DONE)
        with pytest.raises(UnfitError, match=r"answer\.encData"):
            mock.send(mock.sign_request(b"x"))

    def test_is_taken(self, mock: ChuanyuTongbanMock, clock: Clock) -> None:
        """A reply alone tells, if it is to a request of this portal."""
        asked = json.loads(mock.hand_over(ORDER).body)["reqId"]
        document = {"code": "0", "message": "ok", "data": DONE}
        assert mock.is_taken(json_reply(200, envelope_of(document, clock.at, asked)))
        assert not mock.is_taken(WireReply(413))
        with pytest.raises(UnfitError, match="reqId"):
            mock.is_taken(json_reply(200, envelope_of(document, clock.at, "a" * 32)))

    def test_answer_to_another_request(self, mock: ChuanyuTongbanMock, stub: StubGateway) -> None:
        """An answer must be to the very request that it follows."""
        stub.says("0", DONE, reqId=json.loads(mock.build_place(ORDER).body)["reqId"])
        with pytest.raises(UnfitError, match=r"answer\.reqId"):
            mock.send(mock.build_place(ORDER))

    def test_send_new(self, mock: ChuanyuTongbanMock, stub: StubGateway, gateway: Gateway) -> None:
        """New orders are sent from the control door; what is sent twice is a retry."""
        stub.says("4091")
        mock.plan.next("duplicate")
        codes = gateway.post("/__mock__/do/send_new", {"count": 2, "seed": 7, "start": 3}).json()
        assert codes == dict.fromkeys((new_order(3, 7)["bizNo"], new_order(4, 7)["bizNo"]), "4091")
        sent = [json.loads(request.body)["reqId"] for request in stub.requests]
        assert (len(sent), sent[0] == sent[1], len(set(sent))) == (3, True, 2)

    def test_reset(self, mock: ChuanyuTongbanMock, gateway: Gateway) -> None:
        """A reset forgets what happened, reqIds too, and keeps the keys."""
        content = gateway.notice("TRANSIT")
        envelope, again = (gateway.envelope("logistics.notify", content) for _ in range(2))
        assert [gateway.tell(each)["code"] for each in (envelope, again)] == ["0", "4093"]
        public = mock.rotate_keys()
        mock.reset()
        mock.expect(BIZ_NO)
        assert mock.state() == dict.fromkeys(mock.state(), 0) | {"orders": 1}
        assert (gateway.tell(envelope)["code"], mock.sign_key.public) == ("0", public)


class TestFromSettings:
    """The counterpart of a gateway, from its settings."""

    def test_keys(self) -> None:
        """App code and content key are shared; the gateway's public key follows from its private one."""
        gateway_key = new_key_pair()
        section = {
            "app_code": "CY51POST",
            "sm4_key": "ab" * 16,
            "sign_key": gateway_key.private,
            "verify_keys": [new_key_pair().public, "04" + DEMO_PORTAL_KEY.public],
        }
        portal = ChuanyuTongbanMock.from_settings({"portals": {"chuanyu_tongban": section}, "ingress": {"port": 1}})
        envelope = json.loads(portal.build_trace("CY0").body)
        assert (portal.app_code, portal.verify_keys, portal.sign_key) == (
            "CY51POST",
            (gateway_key.public,),
            DEMO_PORTAL_KEY,
        )
        assert json.loads(open_sealed("ab" * 16, envelope["encData"]))["method"] == "order.trace"
        assert (portal.gateway_url, portal.is_strict) == ("http://127.0.0.1:1", False)

    def test_demo(self) -> None:
        """Without settings it is the portal of the worked examples."""
        portal = ChuanyuTongbanMock.from_settings({}, plan=FaultPlan(3))
        assert (portal.app_code, portal.verify_keys) == (DEMO_APP_CODE, (DEMO_GATEWAY_KEY.public,))
        assert portal.plan.seed == 3

    @pytest.mark.parametrize(
        ("section", "match"),
        [
            ({"verify_keys": [DEMO_GATEWAY_KEY.public]}, "use the demo keys"),
            ({"verify_keys": ["key"]}, "is no public key"),
            ({"sign_key": "ff" * 32}, "is no private key"),
        ],
    )
    def test_keys_that_cannot_be(self, section: JsonObject, match: str) -> None:
        """A gateway that does not trust the demo portal, or has no keys, gets no counterpart."""
        with pytest.raises(ConfigurationError, match=rf"^\[portals\.chuanyu_tongban\].*{match}"):
            ChuanyuTongbanMock.from_settings({"portals": {"chuanyu_tongban": section}})

    def test_command(self, tmp_path: Path) -> None:
        """The command refuses such settings too."""
        config = tmp_path / "govpost.toml"
        config.write_text(f'[portals.chuanyu_tongban]\nverify_keys = ["{DEMO_GATEWAY_KEY.public}"]\n')
        result = CliRunner().invoke(app, ["chuanyu_tongban", "--config", str(config)])
        assert isinstance(result.exception, ConfigurationError)


class TestOrders:
    """Sample and synthetic orders."""

    def test_samples(self) -> None:
        """All forty samples fit the contract file, as do the calls that place them."""
        samples = json.loads(resources.files("govpost.mocks").joinpath("data/chuanyu_tongban_orders.json").read_bytes())
        portal = ChuanyuTongbanMock()
        assert len({sample["bizNo"] for sample in samples}) == 40
        for sample in samples:
            CONTRACT.check("OrderPlaceCall", portal.open_content(portal.hand_over(sample)))

    @pytest.mark.parametrize("regions", [("500113", "500230"), ("511502", "510104"), ("500113", "110101")])
    def test_one_province(self, regions: tuple[str, str]) -> None:
        """The contract file knows the rule of two provinces."""
        with pytest.raises(UnfitError):
            CONTRACT.check("OrderPlace", {**ORDER, "acceptRegion": regions[0], "handleRegion": regions[1]})

    def test_samples_schema(self) -> None:
        """The contract file names the schema of its samples."""
        contract = json.loads(
            resources.files("govpost.schemas").joinpath("wire/chuanyu_tongban/openapi.json").read_bytes()
        )
        CONTRACT.check(contract["x-govpost-samples"], ORDER)

    def test_deterministic(self) -> None:
        """The n-th order of a seed is always the same, and no two are."""
        assert list(new_orders(20, seed=5)) == [new_order(n, 5) for n in range(20)]
        assert len({order["bizNo"] for order in islice(new_orders(seed=5), 500)}) == 500
        assert new_order(0, 5) != new_order(0, 6)

    def test_valid(self) -> None:
        """Synthetic orders fit the contract, their numbers carry right check characters, their places agree."""
        for order in new_orders(100):
            CONTRACT.check("OrderPlace", order)
            check_uscc(order["matterCode"].split("-")[3])
            assert (order["from"]["region"], order["to"]["region"]) == (order["handleRegion"], order["acceptRegion"])
            for person in (order["from"], order["to"]):
                check_citizen_id(person["idNo"])
                check_mobile(person["phone"])
                assert person["address"].startswith("重庆市" if person["region"].startswith("50") else "四川省")

    def test_every_kind_occurs(self) -> None:
        """All directions, payers and both ways between the provinces come up."""
        orders = list(new_orders(100))
        assert {order["direction"] for order in orders} == {"RESULT", "MATERIAL", "ROUND"}
        assert {order["payer"] for order in orders} == {"GOV", "APPLICANT", "COD"}
        assert {order["acceptRegion"][:2] for order in orders} == {"50", "51"}


def test_fixture(chuanyu_tongban_mock: ChuanyuTongbanMock) -> None:
    """The plugin serves the portal."""
    assert requests.post(f"{chuanyu_tongban_mock.url}/logistics/query", timeout=TIMEOUT_S).status_code == 401
