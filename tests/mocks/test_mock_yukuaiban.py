"""The stand-in of 渝快办 signs and seals as the contract's worked examples do, and says what it does not like."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from govpost.mocks._yukuaiban_seal import open_secret, seal, sign
from govpost.mocks.base import UnfitError, dump_json, json_reply
from govpost.mocks.yukuaiban import DEMO_APP_KEY, YukuaibanMock, new_order, new_orders
from govpost.schemas import WireReply, WireRequest
from govpost.schemas.identifiers import check_citizen_id, check_mobile, check_uscc

EXAMPLES_AT = datetime.fromtimestamp(1701389550, UTC)
ORDER_NO = "YKB20231201000123"
WAYBILL_NO = "EA969294768CN"
NONCE = "ab" * 16
IV = "202122232425262728292a2b2c2d2e2f"
PUSH_PATH = "/gwlp/logistic/pushlogisticode"

# Synthetic, from the worked examples.
ORDER = {
    "orderNo": ORDER_NO,
    "projid": "11500113415868344A1000131002000202312010123",
    "taskCode": "11500113415868344A3500131002000",
    "taskName": "居民身份证办理",
    "regionCode": "500113",
    "deptName": "巴南区市场监管局",
    "deptCode": "11500113415868344A",
    "serviceType": "1",
    "serviceMode": "JJB",
    "payMode": "COD",
    "documents": [{"docType": "SFZ", "docName": "居民身份证", "copies": 3}],
    "submitTime": "2023-12-01 08:30:15",
    "remark": "",
}
SECRET_OPENS_TO = {
    "sender": {
        "name": "周怡芳",
        "mobile": "18763170669",
        "province": "重庆市",
        "city": "重庆市",
        "county": "巴南区",
        "address": "龙海大道713号锦绣家园9栋15-2",
        "postcode": "401340",
    },
    "receiver": {
        "name": "Müller Hans",
        "mobile": "13636083778",
        "province": "重庆市",
        "city": "重庆市",
        "county": "渝中区",
        "address": "渝南大道354号22栋15-8",
        "postcode": "401337",
        "idType": "111",
        "idNo": "50010320140114857X",
    },
}
CREATE_SIGN = "6da6af6c8af34f542eb1caf9a86bbcbe645aff8504af21fb547963f67e45074b"
SECRET_HEAD = (
    "ICEiIyQlJicoKSorLC0uL6rNpXPYnRVhH47W9fEnAPfhSci/PSniEXsIeX3Jn+UNqsTeL3o7+MIbruwW341lrC/Irp2E7QsqAO92J1OHSSK3"
)
PUSH_SIGN = "9e8c3c9f1829a459e3430b375287864de00aaaad40169ce583bd7bfd118dc20b"
PUSH_BODY = (
    b'{"requestId":"00000000000000000000000000000001","order_id":"YKB20231201000123",'
    b'"logistic_code":"EA969294768CN","shipper_code":"EMS"}'
)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = EXAMPLES_AT

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands at the moment of the worked examples."""
    return Clock()


@pytest.fixture
def mock(clock: Clock) -> YukuaibanMock:
    """Give a portal that knows one order."""
    portal = YukuaibanMock(now=clock)
    portal.expect(ORDER_NO)
    return portal


class Gateway:
    """Pushes to a portal as a gateway would, a fresh requestId each time."""

    def __init__(self, portal: YukuaibanMock) -> None:
        self._portal = portal
        self._number = 0

    def __call__(self, call: str, **members: Any) -> dict[str, Any]:
        """Push, and return the portal's answer."""
        self._number += 1
        body = {"requestId": f"{self._number:032x}", "order_id": ORDER_NO, **members}
        document = {name: value for name, value in body.items() if value is not None}
        reply = self._portal.handle(self._portal.sign_request(f"/gwlp/logistic/{call}", dump_json(document)))
        return json.loads(reply.body)  # type: ignore[no-any-return]

    def waybill(self, **members: Any) -> dict[str, Any]:
        """Push the waybill."""
        return self("pushlogisticode", **{"logistic_code": WAYBILL_NO, "shipper_code": "EMS", **members})

    def trace(self, state: str, **members: Any) -> dict[str, Any]:
        """Push a trace."""
        known = {
            "logistic_code": WAYBILL_NO,
            "state": state,
            "opTime": "2023-12-01 10:00:00",
            "opDesc": "已到达",
            "orgName": "渝中揽投部",
        }
        return self("pushtrace", **{**known, **members})


@pytest.fixture
def push(mock: YukuaibanMock) -> Gateway:
    """Give a gateway that pushes to the portal."""
    return Gateway(mock)


class TestExamples:
    """Byte for byte what the contract's worked examples hold."""

    def test_create(self, clock: Clock) -> None:
        """The whole request, sealed and signed, with the examples' trace id, IV and nonce."""
        tokens = iter(["0" * 31 + "1", IV, NONCE])
        portal = YukuaibanMock(now=clock, token=lambda: next(tokens))
        request = portal.build_create(ORDER, SECRET_OPENS_TO)
        assert request.headers["X-Sign"] == CREATE_SIGN
        assert request.headers["X-Timestamp"] == "1701389550000"
        assert request.url == "/portals/yukuaiban/orders/create"
        assert json.loads(request.body)["txnBodyCom"]["secret"].startswith(SECRET_HEAD)

    def test_push(self) -> None:
        """The signature of a push."""
        signature = sign(
            "demo-secret-yukuaiban-do-not-use",
            app_id="3f0c2a9e-5b1d-4e7a-9c44-0a1b2c3d4e5f",
            timestamp="1701389550000",
            nonce=NONCE,
            method="POST",
            path=PUSH_PATH,
            body=PUSH_BODY,
        )
        assert signature == PUSH_SIGN

    def test_push_is_taken(self, mock: YukuaibanMock) -> None:
        """The examples' push, headers and all, is taken."""
        headers = {
            "X-App-Id": "3f0c2a9e-5b1d-4e7a-9c44-0a1b2c3d4e5f",
            "X-Timestamp": "1701389550000",
            "X-Nonce": NONCE,
            "X-Sign": PUSH_SIGN,
            "Content-Type": "application/json; charset=utf-8",
        }
        reply = mock.handle(WireRequest("POST", PUSH_PATH, headers, PUSH_BODY))
        assert json.loads(reply.body)["result_code"] == "200"
        assert mock.orders[ORDER_NO].waybills == {1: WAYBILL_NO}

    def test_secret_opens(self) -> None:
        """What was sealed opens to the same."""
        assert open_secret(DEMO_APP_KEY, seal(DEMO_APP_KEY, SECRET_OPENS_TO, iv=bytes.fromhex(IV))) == SECRET_OPENS_TO


class TestSignature:
    """A request that is not proven is answered 401 with the header at fault, and changes nothing."""

    @pytest.mark.parametrize("name", ["X-App-Id", "X-Timestamp", "X-Nonce", "X-Sign"])
    def test_missing_header(self, mock: YukuaibanMock, name: str) -> None:
        """Each of the four headers is missed by name."""
        request = mock.sign_request(PUSH_PATH, PUSH_BODY)
        headers = {each: value for each, value in request.headers.items() if each != name}
        _assert_refused(mock, WireRequest("POST", PUSH_PATH, headers, PUSH_BODY), "401", f"header {name}")

    @pytest.mark.parametrize("name", ["X-App-Id", "X-Timestamp", "X-Nonce", "X-Sign"])
    def test_changed_header(self, mock: YukuaibanMock, name: str) -> None:
        """A changed header no longer goes with the signature."""
        request = mock.sign_request(PUSH_PATH, PUSH_BODY)
        headers = {**request.headers, name: request.headers[name][:-1] + "x"}
        where = "header X-App-Id" if name == "X-App-Id" else "header X-Sign"
        _assert_refused(mock, WireRequest("POST", PUSH_PATH, headers, PUSH_BODY), "401", where)

    @pytest.mark.parametrize(("path", "body"), [("/base" + PUSH_PATH, PUSH_BODY), (PUSH_PATH, PUSH_BODY + b" ")])
    def test_changed_path_or_body(self, mock: YukuaibanMock, path: str, body: bytes) -> None:
        """The signature covers the path with its base, and every byte of the body."""
        headers = mock.sign_request(PUSH_PATH, PUSH_BODY).headers
        _assert_refused(mock, WireRequest("POST", path, headers, body), "401", "header X-Sign")

    def test_base_path_is_signed(self, mock: YukuaibanMock) -> None:
        """A portal behind a base path takes what was signed for that path."""
        reply = mock.handle(mock.sign_request("/base" + PUSH_PATH, PUSH_BODY))
        assert json.loads(reply.body)["result_code"] == "200"

    @pytest.mark.parametrize(("seconds", "code"), [(300, "200"), (301, "401"), (-300, "200"), (-301, "401")])
    def test_timestamp(self, mock: YukuaibanMock, clock: Clock, seconds: int, code: str) -> None:
        """A timestamp may be 300 s off, either way."""
        request = mock.sign_request(PUSH_PATH, PUSH_BODY)
        clock.at += timedelta(seconds=seconds)
        assert json.loads(mock.handle(request).body)["result_code"] == code

    def test_replay(self, mock: YukuaibanMock) -> None:
        """The same bytes again are a replay; the same body signed anew is a repeat."""
        request = mock.sign_request(PUSH_PATH, PUSH_BODY)
        mock.handle(request)
        _assert_refused(mock, request, "401", "header X-Nonce")
        assert json.loads(mock.handle(mock.sign_request(PUSH_PATH, PUSH_BODY)).body)["result_code"] == "409"

    def test_other_secret(self, mock: YukuaibanMock) -> None:
        """Another app's secret signs nothing here."""
        stranger = YukuaibanMock(app_secret="another", now=mock.now)
        _assert_refused(mock, stranger.sign_request(PUSH_PATH, PUSH_BODY), "401", "header X-Sign")


def _assert_refused(mock: YukuaibanMock, request: WireRequest, code: str, where: str) -> None:
    taken = len(mock.pushes)
    answer = json.loads(mock.handle(request).body)
    assert answer["result_code"] == code
    assert answer["reason"].startswith(f"{where}: ")
    assert (mock.rejected[-1].where, mock.rejected[-1].request) == (where, request)
    assert len(mock.pushes) == taken


class TestPushes:
    """The portal keeps a state per order and takes only what fits it."""

    def test_life_in_order(self, mock: YukuaibanMock, push: Gateway) -> None:
        """Waybill and traces in order are taken, and kept in arrival order."""
        push.waybill()
        for state in ("30", "40", "40", "50"):
            push.trace(state)
        push.trace("70", reasonCode="03")
        push.trace("60", signer="本人")
        assert [each.state for each in mock.orders[ORDER_NO].pushes] == ["20", "30", "40", "40", "50", "70", "60"]
        assert mock.pushes == mock.orders[ORDER_NO].pushes
        assert not mock.rejected

    @pytest.mark.parametrize(("first", "then"), [("60", "50"), ("30", "30"), ("40", "30"), ("80", "60"), ("81", "80")])
    def test_out_of_order(self, push: Gateway, first: str, then: str) -> None:
        """A state that cannot follow is refused with both states named."""
        push.waybill()
        push.trace(first)
        assert push.trace(then) == {"result_code": "400", "reason": f"body.state: {then} cannot follow {first}"}

    @pytest.mark.parametrize("state", ["10", "20"])
    def test_first_states_are_no_traces(self, push: Gateway, state: str) -> None:
        """10 and 20 are said by other means and refused as traces."""
        push.waybill()
        assert push.trace(state)["result_code"] == "400"

    @pytest.mark.parametrize("state", ["20", "50"])
    def test_correction(self, push: Gateway, state: str) -> None:
        """A trace that says 更正 may go back, and life goes on from there."""
        push.waybill()
        push.trace("60")
        assert push.trace(state, opDesc="更正:尚未妥投")["result_code"] == "200"
        assert push.trace("60")["result_code"] == "200"

    def test_repeat(self, mock: YukuaibanMock, push: Gateway) -> None:
        """A repeated requestId is answered 409 and counted, and recorded once."""
        push.waybill(requestId="f" * 32)
        assert push.waybill(requestId="f" * 32)["result_code"] == "409"
        assert (len(mock.pushes), mock.repeats) == (1, {"f" * 32: 1})

    def test_repeat_with_other_body(self, push: Gateway) -> None:
        """A requestId with another body is no repeat, and refused."""
        push.waybill()
        push.trace("30", requestId="f" * 32)
        answer = push.trace("40", requestId="f" * 32)
        assert answer == {"result_code": "400", "reason": "body.requestId: was used before with another body"}

    def test_second_telling_shows(self, mock: YukuaibanMock, push: Gateway) -> None:
        """The same waybill under two requestIds is taken twice and so seen by who asserts exactly once."""
        push.waybill()
        push.waybill()
        assert [each.call for each in mock.pushes] == ["pushlogisticode"] * 2

    def test_two_legs(self, mock: YukuaibanMock, push: Gateway) -> None:
        """Each leg has its waybill and its own state."""
        push.waybill(leg=1)
        push.waybill(leg=2, logistic_code="EB000000005CN")
        push.trace("60")
        assert push.trace("30", logistic_code="EB000000005CN")["result_code"] == "200"
        assert mock.orders[ORDER_NO].states == {1: "60", 2: "30"}

    def test_other_waybill(self, push: Gateway) -> None:
        """A leg keeps its first number."""
        push.waybill()
        assert "another than leg 1 has" in push.waybill(logistic_code="EB000000005CN")["reason"]

    def test_trace_without_waybill(self, push: Gateway) -> None:
        """A trace before its waybill is refused; cancelled needs none."""
        assert push.trace("30")["reason"] == "body.logistic_code: is not a waybill of this order"
        assert push.trace("90", logistic_code=None)["result_code"] == "200"

    def test_unknown_order(self, mock: YukuaibanMock, push: Gateway) -> None:
        """An order that the portal did not send is 404 when strict, and taken when not."""
        assert push.waybill(order_id="YKB00000000000000")["result_code"] == "404"
        mock.is_strict = False
        assert push.waybill(order_id="YKB00000000000000")["result_code"] == "200"

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"requestId": "F" * 32}, "body.requestId"),
            ({"order_id": "short"}, "body.order_id"),
            ({"logistic_code": "EA96929476"}, "body.logistic_code"),
            ({"shipper_code": "SF"}, "body.shipper_code"),
            ({"shipper_code": None}, "body.shipper_code"),
            ({"leg": "1"}, "body.leg"),
            ({"leg": True}, "body.leg"),
            ({"waybill": "x"}, "body.waybill"),
        ],
    )
    def test_unfit_waybill(self, push: Gateway, members: dict[str, Any], where: str) -> None:
        """Each unfit member of pushlogisticode is named."""
        answer = push.waybill(**members)
        assert (answer["result_code"], answer["reason"].partition(":")[0]) == ("400", where)

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"state": 30}, "body.state"),
            ({"opTime": "2023-12-01T10:00:00"}, "body.opTime"),
            ({"opDesc": ""}, "body.opDesc"),
            ({"orgName": None}, "body.orgName"),
            ({"reasonCode": "03"}, "body.reasonCode"),
            ({"reasonCode": 3}, "body.reasonCode"),
            ({"signer": ""}, "body.signer"),
        ],
    )
    def test_unfit_trace(self, push: Gateway, members: dict[str, Any], where: str) -> None:
        """Each unfit member of pushtrace is named."""
        push.waybill()
        answer = push.trace(**{"state": "30", **members})
        assert (answer["result_code"], answer["reason"].partition(":")[0]) == ("400", where)

    def test_query(self, push: Gateway) -> None:
        """A querytrace lists waybills and the traces taken."""
        push.waybill()
        push.waybill(leg=2, logistic_code="EB000000005CN")
        push.trace("30")
        answer = push("querytrace")
        assert answer["logistic_code"] == f"{WAYBILL_NO},EB000000005CN"
        assert answer["traces"] == [{"state": "30", "opTime": "2023-12-01 10:00:00"}]

    @pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
    def test_unreadable_body(self, mock: YukuaibanMock, body: bytes) -> None:
        """A body that is no JSON object is refused as the body."""
        _assert_refused(mock, mock.sign_request(PUSH_PATH, body), "400", "body")

    def test_unknown_path(self, mock: YukuaibanMock) -> None:
        """A path that the portal does not have is a plain 404 that names the ones it has."""
        reply = mock.handle(mock.sign_request("/gwlp/logistic/push", b"{}"))
        assert reply.status == 404
        assert "pushlogisticode" in json.loads(reply.body)["reason"]


class TestSending:
    """What the portal sends, and how it reads the answers."""

    def test_signed_anew(self, mock: YukuaibanMock) -> None:
        """The same order twice is two requests with other nonces and IVs, and the same content."""
        first, second = (mock.build_create(ORDER, SECRET_OPENS_TO) for _ in range(2))
        assert first.headers["X-Nonce"] != second.headers["X-Nonce"]
        assert first.body != second.body
        assert mock.open_secret(first) == mock.open_secret(second) == SECRET_OPENS_TO

    def test_cancel_and_query(self, clock: Clock) -> None:
        """Cancel and query go to their own paths under the prefix."""
        portal = YukuaibanMock(prefix="/base/portals/ykb/", now=clock)
        cancel, query = portal.build_cancel(ORDER_NO, "不需要了"), portal.build_query(ORDER_NO)
        assert (cancel.url, query.url) == ("/base/portals/ykb/orders/cancel", "/base/portals/ykb/orders/query")
        assert json.loads(cancel.body)["txnBodyCom"] == {"orderNo": ORDER_NO, "reason": "不需要了"}
        assert json.loads(query.body)["txnBodyCom"] == {"orderNo": ORDER_NO}

    def test_parse_success(self, mock: YukuaibanMock) -> None:
        """A success is opened."""
        answer = mock.parse_reply(_answer("00", "000000000000", "success", '{"orderNo":"x"}'))
        assert (answer.is_success, answer.body) == (True, {"orderNo": "x"})

    def test_parse_refusal(self, mock: YukuaibanMock) -> None:
        """A refusal is opened too."""
        answer = mock.parse_reply(_answer("99", "YKB409001", "fail", '{"reason":"other content"}'))
        assert (answer.is_success, answer.code) == (False, "YKB409001")

    def test_parse_plain_http(self, mock: YukuaibanMock) -> None:
        """What comes as plain HTTP has a status and no code."""
        answer = mock.parse_reply(WireReply(413))
        assert (answer.is_success, answer.code, answer.http_status) == (False, "", 413)

    @pytest.mark.parametrize(
        "values",
        [
            ("00", "000000000000", "fail", "{}"),
            ("99", "YKB999999", "fail", "{}"),
            ("00", "YKB400001", "success", "{}"),
            ("00", "000000000000", "success", "[]"),
            ("00", "000000000000", "success", {}),
        ],
    )
    def test_parse_nonsense(self, mock: YukuaibanMock, values: tuple[Any, ...]) -> None:
        """An answer that contradicts itself or the contract does not pass for one."""
        with pytest.raises(UnfitError, match="answer"):
            mock.parse_reply(_answer(*values))


def _answer(*values: Any) -> WireReply:
    names = ("C-API-Status", "C-Response-Code", "C-Response-Desc", "C-Response-Body")
    return json_reply(200, dict(zip(names, values, strict=True)))


class TestNewOrders:
    """Synthetic orders for load."""

    def test_deterministic(self) -> None:
        """The n-th order of a seed is always the same, and no two are."""
        assert list(new_orders(20, seed=5)) == [new_order(n, 5) for n in range(20)]
        assert len({order["orderNo"] for order, _ in islice(new_orders(seed=5), 500)}) == 500
        assert new_order(0, 5) != new_order(0, 6)

    def test_valid(self) -> None:
        """Numbers carry right check characters, and only orders with material to collect have a pickup window."""
        checks: dict[str, Callable[[str], str]] = {"idNo": check_citizen_id, "mobile": check_mobile}
        for order, opened in new_orders(200):
            check_uscc(order["deptCode"])
            assert len(order["taskCode"]) == 31
            assert 8 <= len(order["orderNo"]) <= 32
            assert ("pickupTime" in order) == (order["serviceType"] != "1")
            for person in opened.values():
                for name in checks.keys() & person.keys():
                    checks[name](person[name])

    def test_every_kind_occurs(self) -> None:
        """All services, modes, payers and document types come up."""
        orders = [order for order, _ in new_orders(300)]
        assert {order["serviceType"] for order in orders} == set("123")
        assert {order["serviceMode"] for order in orders} == {"SMJ", "YLS", "JJB"}
        assert {order["payMode"] for order in orders} == {"GOV", "PER", "COD"}
        assert len({order["documents"][0]["docType"] for order in orders}) == 7
