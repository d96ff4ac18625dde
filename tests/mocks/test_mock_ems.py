"""The stand-in of the EMS open platform takes orders once, numbers them, plays what happens and pushes it."""

import base64
import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import requests
import responses
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from govpost.mocks._ems_seal import open_sealed, seal
from govpost.mocks.base import UnfitError, dump_json
from govpost.mocks.behind_responses import register
from govpost.mocks.ems import COURSES, EmsMock, Notice
from govpost.mocks.server import MockServer
from govpost.schemas import Status, WireReply, WireRequest
from govpost.schemas.identifiers import check_waybill_no, domestic_number_is_plausible

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_bytes())
EXAMPLE = EXAMPLES["ems"]
KEYS = EXAMPLES["keys"]["ems"]
AT = datetime(2023, 12, 1, 0, 30, tzinfo=UTC)
AT_TEXT = "2023-12-01 08:30:00"
ORDER_ID = "01HGW0000000000000000000AB"
TIMEOUT_S = 10.0


class Receiver:
    """The gateway's door for pushes: notes each, opened, and answers as it is told, else 00000."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        #: Code, HTTP status, or the whole answer, for the next pushes.
        self.answers: deque[str | int | bytes] = deque()
        #: An address that is asked while a push is answered.
        self.asks = ""
        self.asked: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = receiver.take(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Note a push; HTTP status and body of the answer."""
        form = dict(parse_qsl(body.decode(), strict_parsing=True))
        self.forms.append({"path": path, **form})
        if self.asks:
            self.asked.append(requests.get(self.asks, timeout=TIMEOUT_S).status_code)
        answer = self.answers.popleft() if self.answers else "00000"
        match answer:
            case int():
                return answer, b""
            case str():
                told = {"serialNo": form["serialNo"], "code": answer, "codeMessage": "", "senderNo": form["senderNo"]}
                return 200, dump_json(told)
        return 200, answer

    @property
    def contents(self) -> list[Any]:
        """What the pushes sealed."""
        return [json.loads(_plain(form).removesuffix(KEYS["sign_key"])) for form in self.forms]


SM4 = Cipher(algorithms.SM4(base64.b64decode(KEYS["sign_key"])), modes.ECB())  # noqa: S305 - the wire's own choice


def _plain(form: dict[str, str]) -> str:
    unpadder = PKCS7(128).unpadder()
    sealed = base64.b64decode(form["logitcsInterface"].removeprefix("|$4|"), validate=True)
    return (unpadder.update(SM4.decryptor().update(sealed)) + unpadder.finalize()).decode()


def _sealed(plain: str) -> str:
    padder = PKCS7(128).padder()
    padded = padder.update(plain.encode()) + padder.finalize()
    return "|$4|" + base64.b64encode(SM4.encryptor().update(padded)).decode()


@pytest.fixture
def gateway() -> Iterator[Receiver]:
    """Give a gateway's door on a free loopback port."""
    receiver = Receiver()
    thread = Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def ems(ems_server: MockServer[EmsMock], gateway: Receiver) -> EmsMock:
    """Give a platform, served, whose clock stands at the moment of the worked examples."""
    ems_server.mock.now = lambda: AT
    ems_server.mock.gateway_url = gateway.url
    return ems_server.mock


def _order(order_no: str = ORDER_ID, **members: Any) -> dict[str, Any]:
    """Give the worked example's order under another number; members that are None are left out."""
    changed = {**EXAMPLE["order"][0], "logisticsOrderNo": order_no, **members}
    return {name: value for name, value in changed.items() if value is not None}


def _legs(order_id: str = ORDER_ID) -> list[dict[str, Any]]:
    return [_order(f"{order_id}-{leg}", returnRelationNo=f"{order_id}-{3 - leg}") for leg in (1, 2)]


def _form(api_code: str, content: Any, **fields: str) -> dict[str, str]:
    return {
        "apiCode": api_code,
        "senderNo": KEYS["sender_no"],
        "authorization": KEYS["authorization"],
        "msgType": "0",
        "timeStamp": AT_TEXT,
        "version": "V1.0.0",
        "logitcsInterface": seal(KEYS["sign_key"], content),
        **fields,
    }


def _send(ems: EmsMock, form: Any, **headers: str) -> dict[str, Any]:
    reply = requests.post(ems.open_url, form, headers=headers, timeout=TIMEOUT_S)
    assert reply.status_code == 200
    answer: dict[str, Any] = reply.json()
    assert answer["success"] == (answer["retCode"] == "00000")
    return answer


def _call(ems: EmsMock, api_code: str, content: Any) -> dict[str, Any]:
    return _send(ems, _form(api_code, content))


def _place(ems: EmsMock, *orders: dict[str, Any]) -> Any:
    """Place orders, and give what retBody holds."""
    answer = _call(ems, "020003", list(orders))
    assert answer["retCode"] == "00000", answer["retMsg"]
    return json.loads(answer["retBody"])


def _number(ems: EmsMock, order_no: str = ORDER_ID) -> str:
    number: str = _place(ems, _order(order_no))["waybillNo"]
    return number


def _assert_refused(ems: EmsMock, answer: dict[str, Any], where: str) -> None:
    assert (answer["retCode"], answer["retBody"]) == ("B00001", None)
    assert ems.rejected[-1].where == where


class TestCiphertext:
    """SM4-ECB with the signKey inside."""

    @pytest.mark.parametrize("example", [EXAMPLE, EXAMPLE["published_sample"]], ids=["order", "published"])
    def test_examples(self, example: dict[str, Any]) -> None:
        """The worked example and the published sample, byte for byte, and back."""
        document = json.loads(example["json"])
        assert seal(KEYS["sign_key"], document) == example["logitcsInterface"]
        assert open_sealed(KEYS["sign_key"], example["logitcsInterface"], where="", code="") == document

    @pytest.mark.parametrize(
        ("sealed", "reason"),
        [
            (seal(KEYS["sign_key"], [_order()], is_signed=False), "does not end in the signKey's text"),
            (seal("AAECAwQFBgcICQoLDA0ODw==", [_order()]), "does not open with the signKey"),
            (EXAMPLE["logitcsInterface"][:-4], "does not open with the signKey"),
            (_sealed("[{]" + KEYS["sign_key"]), "does not open to JSON"),
            ("|$4|AAA", "is not Base64"),
            (EXAMPLE["logitcsInterface"].replace("+", " "), "has a + that is not percent-encoded"),
        ],
        ids=["unsigned", "other key", "cut", "no JSON", "no Base64", "plus"],
    )
    def test_broken(self, ems: EmsMock, sealed: str, reason: str) -> None:
        """What does not open as it should is refused, with the reason."""
        answer = _send(ems, _form("020003", [], logitcsInterface=sealed))
        _assert_refused(ems, answer, "form.logitcsInterface")
        assert reason in answer["retMsg"]


class TestForm:
    """The fields around it."""

    @pytest.mark.parametrize("name", _form("020003", []))
    def test_missing(self, ems: EmsMock, name: str) -> None:
        """Each field is missed by name."""
        form = _form("020003", [_order()])
        del form[name]
        _assert_refused(ems, _send(ems, form), f"form.{name}")
        assert not ems.items

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("apiCode", "020004"),
            ("senderNo", "1100000000001"),
            ("authorization", "Demo-authorization"),
            ("msgType", "1"),
            ("timeStamp", "2023-12-01T08:30:00"),
            ("timeStamp", "2023-02-30 08:30:00"),
            ("version", "V1.0.1"),
            ("logitcsInterface", EXAMPLE["logitcsInterface"].removeprefix("|$4|")),
            ("userId", "1"),
        ],
    )
    def test_unfit(self, ems: EmsMock, name: str, value: str) -> None:
        """Each field is held to the contract, and an unknown one is noticed."""
        _assert_refused(ems, _send(ems, _form("020003", [_order()], **{name: value})), f"form.{name}")
        assert not ems.items

    def test_twice(self, ems: EmsMock) -> None:
        """A field that is there twice is refused."""
        form = [*_form("020003", [_order()]).items(), ("msgType", "0")]
        _assert_refused(ems, _send(ems, form), "form")

    def test_content_type(self, ems: EmsMock) -> None:
        """JSON, or a form that is called something else, is refused."""
        body = urlencode(_form("020003", [_order()]))
        answer = _send(ems, body, **{"Content-Type": "application/json"})
        _assert_refused(ems, answer, "header Content-Type")

    def test_unreadable(self, ems: EmsMock) -> None:
        """Bytes that are no form are refused."""
        answer = _send(ems, b"\xff\xfe", **{"Content-Type": "application/x-www-form-urlencoded"})
        _assert_refused(ems, answer, "form")

    def test_path_and_method(self, ems: EmsMock) -> None:
        """Another path or method is plain HTTP."""
        assert requests.post(f"{ems.url}/elsewhere", timeout=TIMEOUT_S).status_code == 404
        assert requests.get(ems.open_url, timeout=TIMEOUT_S).status_code == 405


class TestPlacing:
    """020003."""

    def test_one(self, ems: EmsMock) -> None:
        """The worked example's order gets a valid number, in an object that retBody holds as text."""
        answer = _send(ems, _form("020003", None, logitcsInterface=EXAMPLE["logitcsInterface"]))
        placed = json.loads(answer["retBody"])
        assert placed["logisticsOrderNo"] == ORDER_ID
        assert check_waybill_no(placed["waybillNo"])[-2:] == "CN"
        assert (answer["retCode"], answer["retDate"]) == ("00000", AT_TEXT)

    def test_several(self, ems: EmsMock) -> None:
        """Several orders are answered as a list in their order, each with a number of its own."""
        placed = _place(ems, _order("A"), _order("B"), _order("C"))
        assert [each["logisticsOrderNo"] for each in placed] == ["A", "B", "C"]
        assert len({each["waybillNo"] for each in placed}) == 3

    def test_domestic(self, ems: EmsMock) -> None:
        """国内标快 has 13 digits, plausible ones."""
        assert domestic_number_is_plausible(_place(ems, _order(bizProductNo="11"))["waybillNo"])

    def test_several_numbers(self, ems: EmsMock) -> None:
        """An order may get several numbers, separated by commas; the first is the one that things happen to."""
        ems.numbers_each = 3
        numbers = _number(ems).split(",")
        assert len({check_waybill_no(number) for number in numbers}) == 3
        assert {notice.content["waybillNo"] for notice in ems.play(ORDER_ID)} == {numbers[0]}

    def test_silent_about_numbers(self, ems: EmsMock, gateway: Receiver) -> None:
        """A platform that tells numbers by push only has none in its answer; the push names the order."""
        ems.tells_numbers = False
        assert "waybillNo" not in _place(ems, _order())
        ems.push(ems.play(ORDER_ID, "collected"))
        [trace] = gateway.contents
        assert (trace["waybillNo"], trace["orderNo"]) == (ems.items[ORDER_ID].waybill_nos[0], ORDER_ID)

    def test_repeat(self, ems: EmsMock) -> None:
        """The same again is answered with the first number, and mailed once."""
        first = _number(ems)
        assert _number(ems) == first
        assert ems.placed() == {ORDER_ID: 1}
        assert ems.repeats == {ORDER_ID: 1}
        assert not ems.rejected

    def test_refused_repeat(self, ems: EmsMock) -> None:
        """A platform that refuses repeats says 重复; what was new beside it is taken all the same."""
        ems.refuses_repeats = True
        _number(ems)
        answer = _call(ems, "020003", [_order(), _order("B")])
        assert (answer["retCode"], answer["retBody"]) == ("B00001", None)
        assert "重复" in answer["retMsg"]
        assert ems.placed() == {ORDER_ID: 1, "B": 1}
        assert not ems.rejected

    @pytest.mark.parametrize("change", [{"createdTime": "2023-12-01 08:30:01"}, {"ecommerceUserId": "u2"}])
    def test_other_content(self, ems: EmsMock, change: dict[str, str]) -> None:
        """Anything else under the same number is refused and counted against the gateway."""
        _number(ems)
        _assert_refused(ems, _call(ems, "020003", [_order(**change)]), "content[0].logisticsOrderNo")
        assert ems.clashes == {ORDER_ID: 1}
        assert ems.placed() == {ORDER_ID: 1}

    def test_all_or_none(self, ems: EmsMock) -> None:
        """One unfit order spoils its array."""
        _assert_refused(ems, _call(ems, "020003", [_order("A"), _order("B", weight=0)]), "content[1].weight")
        assert not ems.items

    def test_twice_in_one(self, ems: EmsMock) -> None:
        """A number that is there twice in one array is refused."""
        _assert_refused(ems, _call(ems, "020003", [_order(), _order()]), "content")

    @pytest.mark.parametrize("content", [[], _order(), "x"])
    def test_no_array(self, ems: EmsMock, content: Any) -> None:
        """What is no array with orders is refused."""
        _assert_refused(ems, _call(ems, "020003", content), "content")

    def test_round_trip(self, ems: EmsMock) -> None:
        """Two linked legs are two items of one order."""
        placed = _place(ems, *_legs())
        assert [each["logisticsOrderNo"] for each in placed] == [f"{ORDER_ID}-1", f"{ORDER_ID}-2"]
        assert ems.placed() == {ORDER_ID: 1}

    @pytest.mark.parametrize(
        ("order_no", "other"),
        [(f"{ORDER_ID}-1", None), (f"{ORDER_ID}-1", f"{ORDER_ID}-1"), (f"{ORDER_ID}-2", "X-1"), (ORDER_ID, "X-1")],
    )
    def test_unlinked(self, ems: EmsMock, order_no: str, other: str | None) -> None:
        """A leg names the other one, and only a leg does."""
        answer = _call(ems, "020003", [_order(order_no, returnRelationNo=other)])
        _assert_refused(ems, answer, "content[0].returnRelationNo")

    def test_placed_twice_shows(self, ems: EmsMock) -> None:
        """A leg under two numbers would be mailed twice, whatever the other leg does."""
        _place(ems, *_legs(), _order(ORDER_ID))
        assert ems.placed() == {ORDER_ID: 2}
        assert ems.state()["placed_twice"] == 1

    @pytest.mark.parametrize("name", EXAMPLE["order"][0])
    def test_missing(self, ems: EmsMock, name: str) -> None:
        """Each required member is missed by name."""
        order = _order()
        del order[name]
        _assert_refused(ems, _call(ems, "020003", [order]), f"content[0].{name}")

    @pytest.mark.parametrize("party", ["sender", "receiver"])
    @pytest.mark.parametrize("name", ["name", "mobile", "prov", "city", "county", "address"])
    def test_missing_of_party(self, ems: EmsMock, party: str, name: str) -> None:
        """Each member of a sender and a recipient is missed by name."""
        order = json.loads(json.dumps(_order()))
        del order[party][name]
        _assert_refused(ems, _call(ems, "020003", [order]), f"content[0].{party}.{name}")

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("ecommerceUserId", "u" * 50),
            ("logisticsOrderNo", "A" * 51),
            ("createdTime", "2023-11-31 08:30:00"),
            ("contentsAttribute", "2"),
            ("bizProductNo", "10"),
            ("paymentMode", "8"),
            ("receiptFlag", "3"),
            ("valuableFlag", True),
            ("note", "长" * 101),
            ("unheardOf", "1"),
            ("sender.name", "长" * 51),
            ("receiver.mobile", "12000000000"),
            ("receiver.phone", "call me"),
            ("receiver.postCode", "40132"),
            ("receiver.address", "长" * 201),
            ("receiver.unheardOf", "1"),
        ],
    )
    def test_unfit(self, ems: EmsMock, member: str, value: Any) -> None:
        """Each member is held to the contract."""
        order = json.loads(json.dumps(_order()))
        *party, name = member.split(".")
        (order[party[0]] if party else order)[name] = value
        _assert_refused(ems, _call(ems, "020003", [order]), f"content[0].{member}")

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"receiverIdNo": "1"}, "content[0]"),
            ({"receiverAgentIdType": "1"}, "content[0]"),
            ({"projectId": "GAWSCG"}, "content[0].note"),
        ],
    )
    def test_what_goes_together(self, ems: EmsMock, members: dict[str, str], where: str) -> None:
        """A document's kind and number come together; mail of 公安交管 has a note."""
        _assert_refused(ems, _call(ems, "020003", [_order(**members)]), where)

    def test_all_that_there_is(self, ems: EmsMock) -> None:
        """An order with everything that it may have is taken, a landline instead of a mobile too."""
        sender = {**_order()["sender"], "mobile": "023-62800000", "phone": "023-62800001", "postCode": "401320"}
        members = {
            "sender": sender,
            "paymentMode": "1",
            "receiptFlag": "2",
            "receiverAgentIdType": "1",
            "receiverIdNo": "500113199001010011",
            "valuableFlag": "1",
            "weight": "50",
            "projectId": "GAWSCG",
            "note": "驾驶证",
            "cargos": [{"cargoName": "驾驶证", "cargoQuantity": 1}],
        }
        assert _place(ems, _order(**members))["waybillNo"]
        assert not ems.rejected


class TestCancelling:
    """020006."""

    def test_in_time(self, ems: EmsMock) -> None:
        """What is not collected is cancelled, again too, and not mailed any more."""
        content = {"logisticsOrderNo": ORDER_ID, "waybillNo": _number(ems), "cancelReason": "用户取消"}
        assert [_call(ems, "020006", content)["retCode"] for _ in range(2)] == ["00000", "00000"]
        with pytest.raises(ValueError, match="cancelled"):
            ems.play(ORDER_ID)

    def test_too_late(self, ems: EmsMock) -> None:
        """What is collected is not cancelled; that is no fault of the gateway's."""
        _number(ems)
        ems.play(ORDER_ID, "collected")
        assert _call(ems, "020006", {"logisticsOrderNo": ORDER_ID})["retCode"] == "B00001"
        assert not ems.items[ORDER_ID].is_cancelled
        assert not ems.rejected

    def test_one_leg(self, ems: EmsMock) -> None:
        """A leg is cancelled alone."""
        _place(ems, *_legs())
        _call(ems, "020006", {"logisticsOrderNo": f"{ORDER_ID}-2"})
        assert [item.is_cancelled for item in ems.orders[ORDER_ID].items] == [False, True]

    @pytest.mark.parametrize("api_code", ["020006", "030001"])
    def test_unknown(self, ems: EmsMock, api_code: str) -> None:
        """Nothing can be asked for an order that was never placed, or under another's number."""
        number = _number(ems, "B")
        _number(ems)
        asked = {"pushMethod": "2", "waybillNo": number} if api_code == "030001" else {"waybillNo": number}
        _assert_refused(ems, _call(ems, api_code, {"logisticsOrderNo": "C", **asked}), "content.logisticsOrderNo")
        _assert_refused(ems, _call(ems, api_code, {"logisticsOrderNo": ORDER_ID, **asked}), "content.waybillNo")


class TestPickup:
    """030001."""

    WINDOW = {"pickupPreBeginTime": "2023-12-02 09:00:00", "pickupPreEndTime": "2023-12-02 11:00:00"}  # noqa: RUF012

    def test_at_once(self, ems: EmsMock) -> None:
        """A courier is asked for within a window; again, now with the number, is the same."""
        number = _number(ems)
        asked = {"logisticsOrderNo": ORDER_ID, "pushMethod": "1", **self.WINDOW}
        assert _call(ems, "030001", asked)["retCode"] == "00000"
        assert _call(ems, "030001", {**asked, "waybillNo": number})["retCode"] == "00000"
        assert ems.report()[ORDER_ID]["items"][ORDER_ID]["is_pickup_wanted"] is True

    def test_with_the_round(self, ems: EmsMock) -> None:
        """The next round needs the number, and no window."""
        asked = {"logisticsOrderNo": ORDER_ID, "pushMethod": "2", "waybillNo": _number(ems)}
        assert _call(ems, "030001", asked)["retCode"] == "00000"

    @pytest.mark.parametrize(
        ("asked", "where"),
        [
            ({"pushMethod": "2"}, "content.waybillNo"),
            ({"pushMethod": "3", **WINDOW}, "content.pushMethod"),
            ({"pushMethod": "1"}, "content.pickupPreBeginTime"),
            ({"pushMethod": "1", **WINDOW, "pickupPreEndTime": "2023-12-02 09:00:00"}, "content.pickupPreEndTime"),
            ({"pushMethod": "1", **WINDOW, "pickupPreBeginTime": "2023-02-30 09:00:00"}, "content.pickupPreBeginTime"),
            ({"pushMethod": "1", **WINDOW, "pickupPreEndTime": "2023-12-32 11:00:00"}, "content.pickupPreEndTime"),
            ({"pushMethod": "1", **WINDOW, "pickupPreEndTime": "2024-02-30 11:00:00"}, "content.pickupPreEndTime"),
        ],
    )
    def test_unfit(self, ems: EmsMock, asked: dict[str, str], where: str) -> None:
        """A method that is none, a number that is missing and a window that is none are refused."""
        _number(ems)
        _assert_refused(ems, _call(ems, "030001", {"logisticsOrderNo": ORDER_ID, **asked}), where)

    def test_another(self, ems: EmsMock) -> None:
        """Another window for the same order is refused."""
        _number(ems)
        asked = {"logisticsOrderNo": ORDER_ID, "pushMethod": "1", **self.WINDOW}
        _call(ems, "030001", asked)
        changed = {**asked, "pickupPreEndTime": "2023-12-02 12:00:00"}
        _assert_refused(ems, _call(ems, "030001", changed), "content")

    def test_cancelled(self, ems: EmsMock) -> None:
        """Nobody comes for what was cancelled."""
        _number(ems)
        _call(ems, "020006", {"logisticsOrderNo": ORDER_ID})
        asked = {"logisticsOrderNo": ORDER_ID, "pushMethod": "1", **self.WINDOW}
        assert _call(ems, "030001", asked)["retCode"] == "B00001"

    def test_told(self, ems: EmsMock, gateway: Receiver) -> None:
        """That a courier comes, and came, is pushed ahead of the first trace."""
        _number(ems)
        _call(ems, "030001", {"logisticsOrderNo": ORDER_ID, "pushMethod": "1", **self.WINDOW})
        ems.push(ems.play(ORDER_ID, "in_transit"))
        assert [form["method"] for form in gateway.forms] == ["030002", "030003", "040002"]
        status, result, _ = gateway.contents
        assert (status["pickupStatus"], result["pickupResult"], status["orderNo"]) == ("1", "1", ORDER_ID)


class TestAsking:
    """010004 and 040001."""

    @pytest.mark.parametrize(("template", "size"), [("129", "215 366"), ("149", "215 422"), ("179", "283 507")])
    def test_label(self, ems: EmsMock, template: str, size: str) -> None:
        """A label is a PDF in the template's size with the number on it, whose table says where its objects are."""
        number = _number(ems)
        answer = _call(ems, "010004", {"waybillNo": number, "type": template})
        pdf = base64.b64decode(answer["retBody"], validate=True)
        assert pdf.startswith(b"%PDF-1.4\n")
        assert pdf.endswith(b"%%EOF\n")
        assert f"/MediaBox[0 0 {size}]".encode() in pdf
        assert f"({number})".encode() in pdf
        start = int(pdf.split(b"startxref\n")[1].split()[0])
        assert pdf[start:].startswith(b"xref\n0 6\n")
        offsets = [int(each) for each in re.findall(rb"(\d{10}) 00000 n ", pdf)]
        assert [pdf[offset:].split(b"\n")[0] for offset in offsets] == [b"%d 0 obj" % n for n in range(1, 6)]

    def test_traces(self, ems: EmsMock) -> None:
        """All that has happened is told as it was pushed, oldest first; nothing for what nothing happened to."""
        number = _number(ems)
        before = json.loads(_call(ems, "040001", {"waybillNo": number})["retBody"])
        notices = ems.play(ORDER_ID)
        after = json.loads(_call(ems, "040001", {"waybillNo": number})["retBody"])
        assert before == {"responseItems": []}
        assert after == {"responseItems": [notice.content for notice in notices]}

    @pytest.mark.parametrize(("api_code", "more"), [("010004", {"type": "129"}), ("040001", {})])
    def test_unknown(self, ems: EmsMock, api_code: str, more: dict[str, str]) -> None:
        """A number that was never given out is refused."""
        _assert_refused(ems, _call(ems, api_code, {"waybillNo": "EA969294768CN", **more}), "content.waybillNo")

    def test_unknown_template(self, ems: EmsMock) -> None:
        """A template that is none is refused."""
        _assert_refused(ems, _call(ems, "010004", {"waybillNo": _number(ems), "type": "130"}), "content.type")


#: opCode → what it is (contract: ems, Traces).
CODES = {
    **dict.fromkeys(("203",), "collected"),
    **dict.fromkeys(("303", "305", "336", "345", "389", "954", "713", "747", "756", "802", "803", "651"), "in_transit"),
    **dict.fromkeys(("749", "750", "751"), "in_transit"),
    **dict.fromkeys(("702",), "out_for_delivery"),
    **dict.fromkeys(("704", "748"), "delivered"),
    **dict.fromkeys(("705",), "undelivered"),
    **dict.fromkeys(("326", "405", "447", "482", "708"), "returning"),
    **dict.fromkeys(("711",), "returned"),
    **dict.fromkeys(("801",), "cancelled"),
    **dict.fromkeys(("987", "988"), "lost"),
    **dict.fromkeys(("207", "741", "742", "743", "744"), "revoke"),
}
REVOKED = {"207": "203", "742": "702", "743": "704", "741": "704", "744": "705"}


class TestPlaying:
    """What happens to items."""

    @pytest.mark.parametrize("course", COURSES)
    def test_courses(self, ems: EmsMock, course: str) -> None:
        """Each course is of the contract's codes, its times rise and are past, and a revoke has something to revoke."""
        _place(ems, *_legs())
        traces = [notice.content for notice in ems.play(ORDER_ID, course)]
        standing: list[str] = []
        for trace in traces:
            assert trace["opCode"] in CODES or course == "unknown_code"
            if trace["opCode"] in REVOKED:
                standing.remove(REVOKED[trace["opCode"]])
            standing.append(trace["opCode"])
            assert bool(trace["deliverCode"]) == (trace["opCode"] == "704")
            assert bool(trace["attemptDeliveryCode"]) == (trace["opCode"] == "705")
        times = [trace["opTime"] for trace in traces]
        assert times == sorted(set(times))
        assert times[-1] <= AT_TEXT

    def test_every_code_is_played(self) -> None:
        """Between them the courses have every code of the contract, and one that it does not have."""
        played = {step.op_code for course in COURSES.values() for step in course}
        assert played >= CODES.keys()
        assert len(played - CODES.keys()) == 1

    def test_legs(self, ems: EmsMock) -> None:
        """A round trip's traces carry the number and the order of their leg."""
        numbers = {each["logisticsOrderNo"]: each["waybillNo"] for each in _place(ems, *_legs())}
        told = {(each.content["orderNo"], each.content["waybillNo"]) for each in ems.play(ORDER_ID, "round_trip")}
        assert told == set(numbers.items())

    def test_goes_on(self, ems: EmsMock) -> None:
        """A second course goes on where the first stopped."""
        _number(ems)
        ems.play(ORDER_ID, "undelivered")
        assert [notice.content["opCode"] for notice in ems.play(ORDER_ID, "second_try")] == ["702", "704"]
        played = ["203", "305", "389", "954", "702", "705", "702", "704"]
        assert ems.report()[ORDER_ID]["items"][ORDER_ID]["op_codes"] == played

    @pytest.mark.parametrize("title", EmsMock.stories)
    def test_stories(self, ems: EmsMock, title: str) -> None:
        """The last thing that happens in a story is the status that it ends with, on its last leg."""
        _place(ems, *_legs())
        story = ems.stories[title]
        for course in story.courses:
            ems.play(ORDER_ID, course)
        assert ems.happened(ORDER_ID)[-1] == (story.legs, story.ends)

    def test_happened(self, ems: EmsMock) -> None:
        """What happened is said in our words: None for a revoke, nothing for a code that is not in the contract."""
        _place(ems, *_legs())
        ems.play(ORDER_ID, "collection_revoked")
        assert ems.happened(ORDER_ID)[:3] == [(1, Status.COLLECTED), (1, None), (1, Status.COLLECTED)]
        before = len(ems.happened(ORDER_ID))
        ems.play(ORDER_ID, "unknown_code")
        assert len(ems.happened(ORDER_ID)) == before + 1

    def test_cancelled_by_ems(self, ems: EmsMock) -> None:
        """After 801 nothing more happens."""
        _number(ems)
        ems.play(ORDER_ID, "cancelled")
        with pytest.raises(ValueError, match="cancelled"):
            ems.play(ORDER_ID, "returned")

    def test_what_cannot_be(self, ems: EmsMock) -> None:
        """Neither an unknown order, nor an unknown course, nor a leg that is not there is played."""
        with pytest.raises(KeyError):
            ems.play(ORDER_ID)
        _number(ems)
        with pytest.raises(KeyError):
            ems.play(ORDER_ID, "vanished")
        with pytest.raises(ValueError, match="no leg 2"):
            ems.play(ORDER_ID, "round_trip")
        assert not ems.items[ORDER_ID].traces

    def test_couriers_are_named(self, ems: EmsMock) -> None:
        """Every trace holds a courier's name and phone, so that leaks are noticed."""
        _number(ems)
        for notice in ems.play(ORDER_ID, "every_way"):
            trace = notice.content
            assert trace["operatorName"] in trace["opDesc"]
            assert re.search(r"1300000000\d", trace["opDesc"])


class TestPushing:
    """Traces on their way to the gateway."""

    def test_form(self, ems: EmsMock, gateway: Receiver) -> None:
        """A push is a form to the section's door; what it seals is what happened."""
        _number(ems)
        notices = ems.play(ORDER_ID)
        assert {code for _, code in ems.push(notices)} == {"00000"}
        [form] = gateway.forms
        del form["logitcsInterface"], form["serialNo"]
        assert form == {
            "path": "/backends/ems/push",
            "method": "040002",
            "senderNo": KEYS["sender_no"],
            "msgType": "0",
            "timeStamp": AT_TEXT,
            "version": "V1.0.0",
        }

    def test_content(self, ems: EmsMock, gateway: Receiver) -> None:
        """One trace is an object, several are a list, at most so many in a push; the signKey is inside by turns."""
        _number(ems)
        notices = ems.play(ORDER_ID, "undelivered")
        traces = [notice.content for notice in notices]
        ems.push(notices, most=4)
        ems.push(notices[:1])
        assert gateway.contents == [traces[:4], traces[4:], traces[0]]
        assert [_plain(form).endswith(KEYS["sign_key"]) for form in gateway.forms] == [True, False, True]
        assert len({form["serialNo"] for form in gateway.forms}) == 3

    def test_limit(self, ems: EmsMock, gateway: Receiver) -> None:
        """No push has more than 1,000 traces."""
        _number(ems)
        ems.push(ems.play(ORDER_ID, "collected") * 1_001)
        assert [len(content) if isinstance(content, list) else 1 for content in gateway.contents] == [1_000, 1]

    def test_again_at_once(self, ems: EmsMock, gateway: Receiver) -> None:
        """A push that was not taken is repeated under the same serialNo until it is."""
        _number(ems)
        gateway.answers.extend(["B00001", 503])
        assert [code for _, code in ems.push(ems.play(ORDER_ID, "collected"))] == ["00000"]
        assert len(gateway.forms) == 3
        assert len({form["serialNo"] for form in gateway.forms}) == 1
        assert (ems.pushed, ems.untold) == ({"B00001": 1, "": 1, "00000": 1}, [])

    def test_again_later(self, ems: EmsMock, gateway: Receiver) -> None:
        """What was not taken in the end goes ahead of the next push."""
        _number(ems)
        gateway.answers.extend(["B00001"] * 3)
        first = ems.play(ORDER_ID, "collected")
        assert [code for _, code in ems.push(first)] == ["B00001"]
        assert ems.state()["untold"] == 1
        gateway.forms.clear()
        second = ems.play(ORDER_ID, "in_transit")
        assert [code for _, code in ems.push(second)] == ["00000", "00000"]
        assert gateway.contents == [[first[0].content, second[0].content]]

    def test_nobody_there(self, ems: EmsMock, gateway: Receiver) -> None:
        """A gateway that is not there costs nothing but time: all is kept."""
        _number(ems)
        ems.gateway_url = "http://127.0.0.1:9"
        assert [code for _, code in ems.push(ems.play(ORDER_ID, "collected"))] == [""]
        ems.gateway_url = gateway.url
        assert [code for _, code in ems.push()] == ["00000"]
        assert not ems.rejected

    @pytest.mark.parametrize(
        ("answer", "where"),
        [
            (b"ok", "answer"),
            (b'{"serialNo":"1","code":"0","codeMessage":"","senderNo":"1100000000000"}', "answer.code"),
            (b'{"serialNo":"1","code":"00000","senderNo":"1100000000000"}', "answer.codeMessage"),
            (b'{"serialNo":"1","code":"00000","codeMessage":"","senderNo":"1100000000000"}', "answer.serialNo"),
        ],
    )
    def test_unfit_answer(self, ems: EmsMock, gateway: Receiver, answer: bytes, where: str) -> None:
        """An answer that does not fit the contract is noted, and the push repeated."""
        _number(ems)
        gateway.answers.append(answer)
        ems.push(ems.play(ORDER_ID, "collected"))
        assert [(each.request.path, each.where) for each in ems.rejected] == [("/backends/ems/push", where)]
        assert len(gateway.forms) == 2

    def test_duplicates_and_disorder(self, ems: EmsMock, gateway: Receiver) -> None:
        """The plan tells things twice and out of order."""
        _number(ems)
        ems.plan.next("out_of_order")
        ems.plan.next("duplicate")
        ems.push(ems.play(ORDER_ID))
        [traces] = gateway.contents
        assert [trace["opCode"] for trace in traces] == ["305", "305", "203", "389", "954", "702", "704"]

    def test_repeated_serial(self, ems: EmsMock, gateway: Receiver) -> None:
        """A fault: another push comes under the number of the one before; the first has none before it."""
        _number(ems)
        ems.plan.next("repeated_serial")
        for course in ("collected", "in_transit", "delivered"):
            ems.push(ems.play(ORDER_ID, course))
        first, second, third = (form["serialNo"] for form in gateway.forms)
        assert first == second != third

    def test_nameless(self, ems: EmsMock, gateway: Receiver) -> None:
        """A fault: traces do not say which order they belong to; never where only pushes tell the number."""
        asked = {"logisticsOrderNo": ORDER_ID, "pushMethod": "2", "waybillNo": _number(ems)}
        _call(ems, "030001", asked)
        ems.plan.next("nameless", times=2)
        ems.push(ems.play(ORDER_ID, "collected"))
        ems.tells_numbers = False
        ems.push(ems.play(ORDER_ID, "in_transit"))
        told = [(form["method"], "orderNo" in each) for form, each in zip(gateway.forms, gateway.contents, strict=True)]
        assert told == [("030002", True), ("030003", True), ("040002", False), ("040002", True)]


class TestTelling:
    """A push that somebody else carries."""

    @pytest.mark.parametrize(
        ("code", "detail", "members"),
        [
            ("203", "", {}),
            ("704", "150", {"deliverCode": "150"}),
            ("705", "3", {"attemptDeliveryCode": "3"}),
            ("ZZZ", "", {}),
            ("\x00", "", {}),
        ],
    )
    def test_any_code(self, ems: EmsMock, code: str, detail: str, members: dict[str, str]) -> None:
        """Any operation happens to a placed item, by name of its code and detail, after its end too."""
        number = _number(ems)
        ems.play(ORDER_ID, "cancelled")
        request = ems.tell(ORDER_ID, code, detail)
        form = dict(parse_qsl(request.body.decode()))
        trace = json.loads(_plain(form).removesuffix(KEYS["sign_key"]))
        assert (request.url, form["method"]) == ("/backends/ems/push", "040002")
        assert (trace["opCode"], trace["waybillNo"], trace["orderNo"]) == (code, number, ORDER_ID)
        assert {name: trace[name] for name in ("deliverCode", "attemptDeliveryCode") if trace[name]} == members
        assert ems.items[ORDER_ID].traces[-1] == trace

    def test_pickup_is_not_told(self, ems: EmsMock) -> None:
        """Where a pickup was asked for, the trace is told, and how the pickup went is not."""
        _call(ems, "030001", {"logisticsOrderNo": ORDER_ID, "pushMethod": "2", "waybillNo": _number(ems)})
        form = dict(parse_qsl(ems.tell(ORDER_ID, "203").body.decode()))
        assert form["method"] == "040002"

    def test_not_placed(self, ems: EmsMock) -> None:
        """Nothing happens to what was never placed."""
        with pytest.raises(KeyError):
            ems.tell(ORDER_ID, "203")

    @pytest.mark.parametrize("content", [b"", b"[1]", "张".encode()])
    def test_wrap(self, ems: EmsMock, content: bytes) -> None:
        """Any bytes are sealed, without the signKey's text."""
        assert _plain(dict(parse_qsl(ems.wrap(content).body.decode()))).encode() == content

    @pytest.mark.parametrize(
        ("status", "members", "is_taken"),
        [(200, {}, True), (200, {"code": "B00001"}, False), (503, {}, False)],
    )
    def test_is_taken(self, ems: EmsMock, status: int, members: dict[str, str], *, is_taken: bool) -> None:
        """Yes is 00000 to the newest push."""
        form = dict(parse_qsl(ems.wrap(b"[]").body.decode()))
        answer = {"serialNo": form["serialNo"], "code": "00000", "codeMessage": "", "senderNo": KEYS["sender_no"]}
        assert ems.is_taken(WireReply(status, {}, dump_json({**answer, **members}))) is is_taken

    @pytest.mark.parametrize(("name", "value"), [("serialNo", "1"), ("senderNo", "1"), ("code", "S00001")])
    def test_unfit_answer(self, ems: EmsMock, name: str, value: str) -> None:
        """An answer to another push, or in a code that it does not know, does not fit."""
        form = dict(parse_qsl(ems.wrap(b"[]").body.decode()))
        answer = {"serialNo": form["serialNo"], "code": "00000", "codeMessage": "", "senderNo": KEYS["sender_no"]}
        with pytest.raises(UnfitError) as caught:
            ems.is_taken(WireReply(200, {}, dump_json({**answer, name: value})))
        assert caught.value.where == f"answer.{name}"

    @pytest.mark.parametrize("code", EmsMock.results)
    def test_say(self, ems: EmsMock, code: str) -> None:
        """Each of its codes is said in an answer, and nothing is done."""
        answer = json.loads(ems.say(code, WireRequest("POST", ems.path, {}, b"")).body)
        assert (answer["retCode"], answer["success"], ems.items) == (code, code == "00000", {})


class TestOwnFaults:
    """What goes wrong within a placement."""

    @pytest.mark.parametrize("orders", [[_order()], _legs()], ids=["one", "round trip"])
    def test_early_push(self, ems: EmsMock, gateway: Receiver, orders: list[dict[str, Any]]) -> None:
        """The first trace is pushed before the answer leaves, while the platform answers others."""
        gateway.asks = f"{ems.url}/__mock__/state"
        ems.plan.next("early_push", when=lambda order_id: order_id == ORDER_ID)
        placed = _place(ems, *orders)
        first = placed[0] if len(orders) > 1 else placed
        [trace] = gateway.contents
        assert (trace["opCode"], trace["waybillNo"], trace["orderNo"]) == (
            "203",
            first["waybillNo"],
            first["logisticsOrderNo"],
        )
        assert gateway.asked == [200]
        assert [notice.content["opCode"] for notice in ems.play(ORDER_ID, "in_transit")] == ["305"]

    def test_early_push_and_lost_answer(self, ems: EmsMock, gateway: Receiver) -> None:
        """The push arrives where the answer does not; the repeat is not told early again."""
        ems.plan.next("early_push", times=2)
        ems.plan.next("reset")
        with pytest.raises(requests.ConnectionError):
            _place(ems, _order())
        assert _number(ems) == gateway.contents[0]["waybillNo"]
        assert len(gateway.forms) == 1

    def test_early_push_without_gateway(self, ems: EmsMock) -> None:
        """Without a gateway nothing can be told early."""
        ems.gateway_url = ""
        ems.plan.next("early_push")
        assert _number(ems)
        assert not ems.items[ORDER_ID].traces

    def test_early_push_behind_responses(self) -> None:
        """Behind the responses library it happens within the caller's own request."""
        ems = EmsMock(gateway_url="http://gateway.test", now=lambda: AT)
        ems.plan.next("early_push")
        with responses.RequestsMock(assert_all_requests_are_fired=False) as patch:
            register(patch, ems, "https://ems.test")
            door = patch.post("http://gateway.test/backends/ems/push", status=503)
            assert _number(ems)
            assert door.call_count == ems.tries
        assert len(ems.untold) == 1

    def test_unsure(self, ems: EmsMock) -> None:
        """S00001 leaves it open whether it was done; the repeat finds that it was."""
        ems.plan.next("unsure", when=lambda api_code: api_code == "020003")
        answer = _call(ems, "020003", [_order()])
        assert (answer["retCode"], answer["retBody"]) == ("S00001", None)
        assert _number(ems)
        assert (ems.placed(), ems.repeats) == ({ORDER_ID: 1}, {ORDER_ID: 1})


class TestRunning:
    """The platform beside a gateway."""

    def test_control(self, ems: EmsMock, gateway: Receiver) -> None:
        """`play` plays on and pushes, `push` pushes what is left."""
        _number(ems)
        gateway.answers.extend(["B00001"] * 3)
        door = f"{ems.url}/__mock__/do"
        told = requests.post(f"{door}/play", json={"order_id": ORDER_ID, "course": "collected"}, timeout=TIMEOUT_S)
        assert [code for _, code in told.json()] == ["B00001"]
        assert [code for _, code in requests.post(f"{door}/push", timeout=TIMEOUT_S).json()] == ["00000"]
        state = requests.get(f"{ems.url}/__mock__/state", timeout=TIMEOUT_S).json()
        assert (state["pushes"], state["pushes_taken"], state["untold"]) == (4, 1, 0)

    def test_settings(self) -> None:
        """The counterpart of a gateway has the keys, the path and the section of its first ems section."""
        document = {
            "ingress": {"port": 8123},
            "backends": {
                "post": {"adapter": "webhook", "url": "http://127.0.0.1:1/x", "sign_key": "other"},
                "mail": {
                    "adapter": "ems",
                    "url": "http://127.0.0.1:9005/f/open",
                    "sender_no": "1",
                    "authorization": "2",
                    "sign_key": "AAECAwQFBgcICQoLDA0ODw==",
                },
                "ems": {},
            },
        }
        ems = EmsMock.from_settings(document)
        assert (ems.section, ems.path, ems.gateway_url, ems.sender_no) == (
            "mail",
            "/f/open",
            "http://127.0.0.1:8123",
            "1",
        )
        assert (ems._authorization, ems._sign_key) == ("2", "AAECAwQFBgcICQoLDA0ODw==")

    def test_demo_settings(self) -> None:
        """Without settings it has the keys of the worked examples."""
        ems = EmsMock.from_settings({})
        assert (ems.sender_no, ems._authorization, ems._sign_key) == tuple(KEYS.values())
        assert ems.section == "ems"

    def test_reset(self, ems: EmsMock) -> None:
        """After a reset nothing is known, and no number is given twice."""
        first = _number(ems)
        ems.untold = ems.play(ORDER_ID)
        ems.reset()
        assert {*ems.state().values()} == {0}
        assert _number(ems) != first

    def test_no_personal_data(self, ems: EmsMock) -> None:
        """Neither report nor any repr holds a name, a phone or an address."""
        _number(ems)
        notices: list[Notice] = ems.play(ORDER_ID)
        _call(ems, "020003", [_order(receiver={**_order()["receiver"], "mobile": "张三"})])
        shown = f"{ems.report()} {ems.state()} {ems.orders} {ems.items} {notices} {ems.rejected} {ems.requests}"
        assert ORDER_ID in shown
        assert not [each for each in ("张三", "13000000002", "解放西路", "邮递员") if each in shown]
