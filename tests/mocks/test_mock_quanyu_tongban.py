"""The stand-in of 全渝通办 offers, is told, and notices what a wrong gateway does. Over real sockets, signed here."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import requests

from govpost.mocks._contract import Contract
from govpost.mocks.base import UnfitError
from govpost.mocks.quanyu_tongban import QuanyuTongbanMock, new_item, new_items, sample_items, sign_tif
from govpost.mocks.server import MockServer
from govpost.schemas import WireReply, WireRequest
from govpost.schemas.identifiers import check_citizen_id, check_mobile, check_uscc

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))
HEADERS = EXAMPLES["quanyu_tongban"]["headers"]
#: LXDM S: a single way.
ITEM = EXAMPLES["quanyu_tongban"]["pending_item"]
ROUND_TRIP = {
    **ITEM,
    "SBLSH": "50202312010000000008",
    "LXDM": "W",
    "YYSJQ": "20231201090000",
    "YYSJZ": "20231201110000",
}
SBLSH = ITEM["SBLSH"]
ORDER_ID = "01HGJ0000000000000000000AA"
OTHER_ORDER_ID = "01HGJ0000000000000000000AB"
WAYBILL_NO = "EA969294768CN"
OTHER_NO = "EB000000005CN"
EXAMPLES_AT = datetime.fromtimestamp(int(HEADERS["x-tif-timestamp"]), UTC)
TIMEOUT_S = 10.0


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = EXAMPLES_AT

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.at


class Gateway:
    """Calls the portal as a gateway would, never too fast, and expects it to find nothing wrong unless it is told."""

    def __init__(self, server: MockServer[QuanyuTongbanMock], session: requests.Session, clock: Clock) -> None:
        self._server = server
        self._session = session
        self._clock = clock
        self._numbers = count(1)
        self.pace = timedelta(milliseconds=100)

    def post(
        self, call: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> requests.Response:
        """Carry a body, signed anew except for the headers given; None leaves one out."""
        self._clock.at += self.pace
        timestamp, nonce = str(int(self._clock.at.timestamp())), f"{next(self._numbers):032x}"
        text = timestamp + EXAMPLES["keys"]["quanyu_tongban"]["token"] + nonce + timestamp
        signed = {
            "x-tif-paasid": EXAMPLES["keys"]["quanyu_tongban"]["paasid"],
            "x-tif-timestamp": timestamp,
            "x-tif-nonce": nonce,
            "x-tif-signature": hashlib.sha256(text.encode()).hexdigest().upper(),
            "Content-Type": "application/json",
        }
        wanted = {name: value for name, value in {**signed, **(headers or {})}.items() if value is not None}
        url = f"{self._server.url}/base/ebus/logistics/{call}"
        return self._session.request(method, url, data=body, headers=wanted, timeout=TIMEOUT_S)

    def call(self, call: str, document: Any) -> Any:
        """Make a call; the answer, whatever it says."""
        return self.post(call, json.dumps(document).encode()).json()

    def pending(self, cursor: str = "", size: int = 200) -> Any:
        """Fetch a page."""
        return self.call("pending", {"cursor": cursor, "size": size})["data"]

    def offered(self, cursor: str = "") -> list[str]:
        """Fetch a page; what it offers, by SBLSH."""
        return [item["SBLSH"] for item in self.pending(cursor)["items"]]

    def ack(self, *items: Any) -> list[int]:
        """Acknowledge items; the codes of the results."""
        return [result["code"] for result in self.call("ack", {"items": items})["data"]["results"]]

    def tell(self, *traces: Any) -> list[int]:
        """Tell traces; the codes of the results."""
        return [result["code"] for result in self.call("traces", {"items": traces})["data"]["results"]]


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands at the moment of the worked examples."""
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[MockServer[QuanyuTongbanMock]]:
    """Serve the portal."""
    with MockServer(QuanyuTongbanMock(now=clock)) as server:
        yield server


@pytest.fixture
def portal(server: MockServer[QuanyuTongbanMock]) -> QuanyuTongbanMock:
    """Give the served portal."""
    return server.mock


@pytest.fixture
def gateway(server: MockServer[QuanyuTongbanMock], session: requests.Session, clock: Clock) -> Gateway:
    """Give a gateway that knows the demo keys."""
    return Gateway(server, session, clock)


@pytest.fixture
def taken(portal: QuanyuTongbanMock, gateway: Gateway) -> Gateway:
    """Give a gateway that has taken a single way and a round trip."""
    portal.hand_over(ITEM)
    portal.hand_over(ROUND_TRIP)
    assert gateway.ack(_yes(), _yes(SBLSH=ROUND_TRIP["SBLSH"], WLDH=OTHER_ORDER_ID)) == [0, 0]
    return gateway


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _yes(**members: Any) -> dict[str, Any]:
    return _without_none({"SBLSH": SBLSH, "WLDH": ORDER_ID, "JSBZ": "1", **members})


def _no(**members: Any) -> dict[str, Any]:
    return _without_none({"SBLSH": SBLSH, "JSBZ": "0", "JJYY": "SJR: 缺少收件人", **members})


def _trace(number: int, status: str, **members: Any) -> dict[str, Any]:
    known = {
        "QQID": f"{number:032x}",
        "SBLSH": SBLSH,
        "YJHM": WAYBILL_NO,
        "ZT": status,
        "ZTSJ": f"20231202{number:06d}",
        "ZTMS": "【解放碑揽投部】邮件运输中",
    }
    return _without_none({**known, **members})


def _back(number: int, leg: int, status: str, **members: Any) -> dict[str, Any]:
    """Make a trace of the round trip."""
    number_of_leg = {1: WAYBILL_NO, 2: OTHER_NO}[leg]
    return _trace(number, status, **{"SBLSH": ROUND_TRIP["SBLSH"], "YJHM": number_of_leg, "LEG": leg, **members})


def _noticed(portal: QuanyuTongbanMock) -> list[tuple[str, str]]:
    return [(each.where, each.reason) for each in portal.rejected]


class TestDoor:
    """Who may call, how, and how often."""

    def test_worked_example(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """The headers of the worked example are taken as they are, and the signature comes out the same."""
        portal.hand_over(ITEM)
        answer = gateway.post("pending", b'{"cursor":"","size":200}', HEADERS).json()
        assert answer == {"errcode": 0, "errmsg": "ok", "data": {"items": [ITEM], "cursor": "c1", "more": False}}
        token, nonce = EXAMPLES["keys"]["quanyu_tongban"]["token"], HEADERS["x-tif-nonce"]
        assert sign_tif(token, timestamp=HEADERS["x-tif-timestamp"], nonce=nonce) == HEADERS["x-tif-signature"]

    @pytest.mark.parametrize("name", ["x-tif-paasid", "x-tif-timestamp", "x-tif-nonce", "x-tif-signature"])
    def test_missing_header(self, portal: QuanyuTongbanMock, gateway: Gateway, name: str) -> None:
        """Each of the four headers is missed by name."""
        assert gateway.post("pending", b"{}", {name: None}).json()["errcode"] == 40001
        assert _noticed(portal) == [(f"header {name}", "is missing")]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-tif-paasid", "another"),
            ("x-tif-timestamp", "1701389551"),
            ("x-tif-timestamp", "1701389550000"),
            ("x-tif-nonce", "ce" * 16),
            ("x-tif-signature", HEADERS["x-tif-signature"].lower()),
            ("x-tif-signature", "0" * 64),
        ],
    )
    def test_changed_header(self, gateway: Gateway, name: str, value: str) -> None:
        """A header that does not go with the others, milliseconds or lower-case hex prove nothing."""
        assert gateway.post("pending", b"{}", {**HEADERS, name: value}).json()["errcode"] == 40001

    def test_used_nonce(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """The same headers again are a replay; a bad signature uses no nonce up."""
        wrong = {**HEADERS, "x-tif-signature": "0" * 64}
        errcodes = [
            gateway.post("pending", b'{"cursor":"","size":1}', each).json()["errcode"]
            for each in (wrong, HEADERS, HEADERS)
        ]
        assert errcodes == [40001, 0, 40029]
        assert _noticed(portal)[-1] == ("header x-tif-nonce", "was used before")

    def test_too_fast(self, portal: QuanyuTongbanMock, gateway: Gateway, clock: Clock) -> None:
        """The 21st call within a second waits as long as the header says, and no longer."""
        gateway.pace = timedelta(0)
        errcodes = [gateway.call("pending", {"cursor": "", "size": 1})["errcode"] for _ in range(20)]
        clock.at += timedelta(milliseconds=999)
        busy = gateway.post("pending", b"{}")
        clock.at += timedelta(milliseconds=1)
        assert errcodes == [0] * 20
        assert (busy.json()["errcode"], busy.headers["x-tif-retry-after"]) == (45009, "1")
        assert gateway.call("pending", {"cursor": "", "size": 1})["errcode"] == 0
        assert portal.state()["too_fast"] == 1

    def test_busy_fault(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """The fault says busy in the portal's own words."""
        portal.plan.next("busy", seconds=3)
        busy = gateway.post("pending", b"{}")
        assert (busy.json()["errcode"], busy.headers["x-tif-retry-after"]) == (45009, "3")

    @pytest.mark.parametrize(
        ("call", "body", "where"),
        [
            ("pending", b"{", "body"),
            ("pending", b'{"cursor":""}', "body.size"),
            ("pending", b'{"cursor":"","size":201}', "body.size"),
            ("pending", b'{"cursor":"","size":1,"page":1}', "body.page"),
            ("ack", b'{"items":[]}', "body.items"),
            ("ack", json.dumps({"items": [_yes()] * 201}).encode(), "body.items"),
            ("traces", json.dumps({"items": [_trace(1, "02")] * 101}).encode(), "body.items"),
            ("reconcile", b'{"date":"2023-12-01"}', "body.date"),
            ("reconcile", b'{"date":"20231301"}', "body.date"),
        ],
    )
    def test_unreadable(self, portal: QuanyuTongbanMock, gateway: Gateway, call: str, body: bytes, where: str) -> None:
        """A body that breaks the contract is refused whole, and named."""
        answer = gateway.post(call, body).json()
        assert (answer["errcode"], answer["errmsg"].partition(":")[0]) == (47001, where)
        assert [each.where for each in portal.rejected] == [where]

    def test_not_json(self, gateway: Gateway) -> None:
        """What does not call itself JSON is not read."""
        assert gateway.post("pending", b"{}", {"Content-Type": "text/plain"}).json()["errcode"] == 47001

    def test_elsewhere(self, gateway: Gateway) -> None:
        """A call that there is not is a plain 404, another method a 405."""
        assert gateway.post("query", b"{}").status_code == 404
        assert gateway.post("pending", b"{}", method="PUT").status_code == 405


class TestPending:
    """Items come page by page, again and again, until they are acked."""

    def test_samples(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """The forty samples come in pages of the size asked for, each once, in order."""
        for item in sample_items():
            portal.hand_over(item)
        pages = [gateway.pending("", 15)]
        while pages[-1]["more"]:
            pages.append(gateway.pending(pages[-1]["cursor"], 15))
        assert [len(page["items"]) for page in pages] == [15, 15, 10]
        assert [item for page in pages for item in page["items"]] == sample_items()

    def test_nothing(self, gateway: Gateway) -> None:
        """Where nothing waits, the page is empty and the cursor stays."""
        assert gateway.pending("c7") == {"items": [], "cursor": "c7", "more": False}

    def test_repeats_until_acked(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """Behind the end it begins anew with what nobody acked; refused is acked."""
        first, second, third = portal.offer(3)
        cursor = gateway.pending()["cursor"]
        assert gateway.ack(_yes(SBLSH=first), _no(SBLSH=second)) == [0, 0]
        assert gateway.offered(cursor) == [third]
        assert gateway.offered() == [third]

    def test_new_ones_come_first(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A cursor gives what came after it before anything is repeated."""
        portal.offer(2)
        cursor = gateway.pending()["cursor"]
        new = portal.offer(1, start=2)
        assert gateway.offered(cursor) == new
        assert len(gateway.offered("made up")) == 3

    def test_offered_again_comes_last(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """What is handed over again stands behind every cursor that there is."""
        portal.hand_over(ITEM)
        other = portal.offer(1)[0]
        cursor = gateway.pending()["cursor"]
        portal.hand_over(ITEM)
        assert gateway.offered(cursor) == [SBLSH]
        assert gateway.offered() == [other, SBLSH]

    def test_offered_again(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """An item that is handed over again comes again, with its new content, and owes a new ack."""
        portal.hand_over(ITEM)
        assert gateway.ack(_yes()) == [0]
        portal.hand_over({**ITEM, "FFFS": "Z"})
        assert gateway.pending()["items"] == [{**ITEM, "FFFS": "Z"}]
        assert gateway.ack(_yes()) == [0]
        assert gateway.offered() == []
        assert [each.status for each in portal.heard()] == ["01"]

    def test_keeps_what_it_was_given(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """What the caller does to the document afterwards changes nothing."""
        document = {**ITEM, "CLQD": [{"CLMC": "许可证正本", "FS": 2}]}
        portal.hand_over(document)
        document["CLQD"][0]["FS"] = 3
        assert gateway.pending()["items"] == [ITEM]

    @pytest.mark.parametrize("sblsh", [None, 7, "", "5" * 101])
    def test_unnameable(self, portal: QuanyuTongbanMock, sblsh: Any) -> None:
        """What no ack could name is not offered."""
        with pytest.raises(UnfitError, match=r"item\.SBLSH"):
            portal.hand_over({**ITEM, "SBLSH": sblsh})
        assert portal.state()["pending"] == 0

    def test_without_sblsh(self, portal: QuanyuTongbanMock) -> None:
        """What has no number cannot be offered."""
        with pytest.raises(UnfitError, match="SBLSH"):
            portal.hand_over({"SXBM": "x"})

    def test_asks_nothing(self, portal: QuanyuTongbanMock) -> None:
        """There is no answer that could be read."""
        with pytest.raises(UnfitError, match="polled"):
            portal.is_taken(WireReply(200))


class TestAcks:
    """An ack is taken once, and not taken back."""

    def test_again(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """The same ack again was done before, and is counted."""
        portal.hand_over(ITEM)
        assert [gateway.ack(_yes()), gateway.ack(_yes())] == [[0], [1]]
        assert (portal.items[SBLSH].order_id, portal.repeats, _noticed(portal)) == (ORDER_ID, 1, [])

    def test_refused(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A refusal is kept with its reason, and nothing was heard of an order."""
        portal.hand_over(ITEM)
        assert gateway.call("ack", {"items": [_no(WLDH="")]})["data"] == {"results": [{"SBLSH": SBLSH, "code": 0}]}
        assert (portal.items[SBLSH].jsbz, portal.items[SBLSH].reason) == ("0", "SJR: 缺少收件人")
        assert (portal.heard(), portal.state()["refused"]) == ([], 1)

    @pytest.mark.parametrize(
        ("first", "then", "where", "reason"),
        [
            (_yes(), _no(), "JSBZ", "refuses an item that was taken"),
            (_no(), _yes(), "JSBZ", "takes an item that was refused"),
            (_yes(), _yes(WLDH=OTHER_ORDER_ID), "WLDH", "is another than the item has"),
            (_yes(), _yes(SBLSH=ROUND_TRIP["SBLSH"]), "WLDH", "is another item's"),
            (_yes(), _yes(SBLSH="50202312019999999999"), "SBLSH", "is no item of this portal"),
        ],
    )
    def test_contradiction(
        self, portal: QuanyuTongbanMock, gateway: Gateway, first: Any, then: Any, where: str, reason: str
    ) -> None:
        """What contradicts an earlier ack is not done and noticed; the others of its call are done."""
        portal.hand_over(ITEM)
        portal.hand_over(ROUND_TRIP)
        extra = portal.offer(1)[0]
        assert gateway.ack(first) == [0]
        assert gateway.ack(then, _no(SBLSH=extra)) == [2, 0]
        assert _noticed(portal) == [(f"body.items[0].{where}", reason)]
        assert portal.items[SBLSH].jsbz == first["JSBZ"]

    def test_refused_then_repaired(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A refused item that is offered again, whole, may be taken; one that was taken is not refused even then."""
        portal.hand_over({**ITEM, "LXDM": "X"})
        assert gateway.ack(_no()) == [0]
        portal.hand_over(ITEM)
        assert gateway.ack(_yes()) == [0]
        portal.hand_over({**ITEM, "LXDM": "X"})
        assert gateway.ack(_no()) == [2]
        assert gateway.ack(_yes()) == [0]

    def test_broken_is_not_taken(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """Whoever takes a broken item is noticed."""
        portal.hand_over({**ITEM, "CLQD": []})
        assert gateway.ack(_yes()) == [2]
        assert _noticed(portal) == [("body.items[0].JSBZ", "takes an item that is broken")]
        assert gateway.ack(_no()) == [0]

    @pytest.mark.parametrize(
        ("ack", "where"),
        [
            (_yes(WLDH=None), "WLDH"),
            (_yes(WLDH=""), "WLDH"),
            (_yes(WLDH="01HGJ"), "WLDH"),
            (_yes(JJYY="x"), "JJYY"),
            (_yes(JSBZ=1), "JSBZ"),
            (_yes(JSBZ="2"), "JSBZ"),
            (_yes(QQID="x"), "QQID"),
            (_no(JJYY=None), "JJYY"),
            (_no(JJYY=""), "JJYY"),
        ],
    )
    def test_unfit(self, portal: QuanyuTongbanMock, gateway: Gateway, ack: Any, where: str) -> None:
        """An ack that breaks the contract spoils its call, and nothing is done."""
        portal.hand_over(ITEM)
        answer = gateway.call("ack", {"items": [ack]})
        assert (answer["errcode"], answer["errmsg"].partition(":")[0]) == (47001, f"body.items[0].{where}")
        assert gateway.offered() == [SBLSH]

    @pytest.mark.parametrize("reason", ["电话13900000000有误", "座机 6785123x 7654321", ITEM["SJR"]["XM"] + "不详"])
    def test_personal_reason(self, portal: QuanyuTongbanMock, gateway: Gateway, reason: str) -> None:
        """A reason with a number or a name of the item in it is noticed."""
        portal.hand_over(ITEM)
        assert gateway.ack(_no(JJYY=reason)) == [2]
        assert [each.where for each in portal.rejected] == ["body.items[0].JJYY"]
        assert ITEM["SJR"]["XM"] not in str(_noticed(portal))

    def test_short_name(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A name of one character is found in any sentence, and so is not looked for."""
        portal.hand_over({**ITEM, "JJR": {**ITEM["JJR"], "XM": "件"}})
        assert gateway.ack(_no(JJYY="缺少收件人")) == [0]


class TestTraces:
    """The portal keeps a course for each leg and takes only what fits it."""

    def test_life_in_order(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """A life in one batch is done in order, answered by QQID, and heard."""
        told = [_trace(n, status) for n, status in enumerate(("02", "03", "04", "04", "05"), 1)]
        told += [_trace(6, "07", YYDM="03"), _trace(7, "06", QSR="本人")]
        answer = taken.call("traces", {"items": told})
        assert answer["data"]["results"] == [{"QQID": each["QQID"], "SBLSH": SBLSH, "code": 0} for each in told]
        assert portal.items[SBLSH].courses == {1: ["01", "02", "03", "04", "04", "05", "07", "06"]}
        heard = [(each.identity, each.status, each.waybill_no, each.leg) for each in portal.heard()]
        assert heard[0] == (SBLSH, "01", "", 1)
        assert heard[2:] == [(each["QQID"], each["ZT"], WAYBILL_NO, 1) for each in told]
        assert (portal.told_twice, _noticed(portal)) == (0, [])

    @pytest.mark.parametrize(
        ("first", "then"),
        [
            ("06", "05"),
            ("03", "03"),
            ("04", "03"),
            ("04", "10"),
            ("08", "06"),
            ("09", "08"),
            ("10", "03"),
            ("11", "06"),
        ],
    )
    def test_out_of_order(self, portal: QuanyuTongbanMock, taken: Gateway, first: str, then: str) -> None:
        """A status that cannot follow is not done, and both are named."""
        assert taken.tell(_trace(1, first), _trace(2, then)) == [0, 2]
        assert _noticed(portal) == [("body.items[1].ZT", f"{then} cannot follow {first}")]
        assert portal.items[SBLSH].status == first

    @pytest.mark.parametrize("status", ["01", "02", "04"])
    def test_correction(self, portal: QuanyuTongbanMock, taken: Gateway, status: str) -> None:
        """A correction goes back to where the leg was, and life goes on from there; it is no telling twice."""
        assert taken.tell(_trace(1, "02"), _trace(2, "04"), _trace(3, "06")) == [0, 0, 0]
        back = _trace(4, status, ZTMS="更正：邮件尚未妥投", ZTSJ="20231202000002")
        assert taken.tell(back, _trace(5, "06")) == [0, 0]
        assert (portal.told_twice, _noticed(portal)) == (0, [])

    def test_correction_to_nowhere(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """A correction does not lead to where the leg never was."""
        assert taken.tell(_trace(1, "02"), _trace(2, "05", ZTMS="更正：邮件派送中")) == [0, 2]
        assert _noticed(portal) == [("body.items[1].ZT", "05 cannot follow 02")]

    def test_after_a_failure(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """After one of an item's traces fails its later ones are answered 9 and not done; other items are."""
        told = (_trace(1, "06"), _trace(2, "05"), _back(3, 1, "02"), _trace(4, "06"), _back(5, 1, "03"))
        assert taken.tell(*told) == [0, 2, 0, 9, 0]
        assert [trace["QQID"] for trace in portal.items[SBLSH].traces] == [_trace(1, "06")["QQID"]]
        assert len(portal.rejected) == 1

    def test_again(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """A repeated QQID was done before and moves nothing; the same QQID with another body is noticed."""
        assert taken.tell(_trace(1, "03")) == [0]
        assert taken.tell(_trace(1, "03"), _trace(2, "04")) == [1, 0]
        assert (len(portal.items[SBLSH].traces), portal.repeats, _noticed(portal)) == (2, 1, [])
        assert taken.tell(_trace(1, "03", ZTMS="邮件已揽收")) == [2]
        assert _noticed(portal) == [("body.items[0].QQID", "was used before with another body")]

    def test_told_twice(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """The same status at the same time under another QQID shows in the state; another time or leg does not."""
        assert taken.tell(_trace(1, "04"), _trace(2, "04")) == [0, 0]
        assert taken.tell(_back(3, 1, "04"), _back(4, 2, "04", ZTSJ=_back(3, 1, "04")["ZTSJ"])) == [0, 0]
        assert portal.state()["told_twice"] == 0
        assert taken.tell(_trace(5, "04", ZTSJ=_trace(1, "04")["ZTSJ"])) == [0]
        assert portal.state()["told_twice"] == 1

    def test_two_legs(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """Each leg has its number and course; the item stands where leg 2 does once that has begun."""
        assert taken.tell(_back(1, 1, "02"), _back(2, 1, "06", LEG=None)) == [0, 0]
        assert portal.items[ROUND_TRIP["SBLSH"]].status == "06"
        assert taken.tell(_back(3, 2, "02")) == [0]
        assert portal.items[ROUND_TRIP["SBLSH"]].waybills == {1: WAYBILL_NO, 2: OTHER_NO}
        assert portal.items[ROUND_TRIP["SBLSH"]].status == "02"

    @pytest.mark.parametrize(
        ("trace", "where", "reason"),
        [
            (_trace(2, "04", YJHM=OTHER_NO), "YJHM", "is another than leg 1 has"),
            (_back(2, 2, "02", YJHM=WAYBILL_NO), "YJHM", "is the other leg's"),
            (_trace(2, "04", LEG=1), "LEG", "does not go with a single way"),
            (_trace(2, "04", SBLSH="50202312019999999999"), "SBLSH", "is no item of this portal"),
            (_trace(2, "04", ZTSJ="20230230000000"), "ZTSJ", "is no date of the calendar"),
            (_trace(2, "04", ZTMS="投递员 13900000000"), "ZTMS", "holds a number as long as a phone's"),
            (_trace(2, "04", ZTMS=ITEM["JJR"]["XM"] + "已交寄"), "ZTMS", "holds personal data of the item"),
        ],
    )
    def test_wrong(
        self, portal: QuanyuTongbanMock, taken: Gateway, trace: dict[str, Any], where: str, reason: str
    ) -> None:
        """What no schema can say is noticed by the rules, and not done."""
        assert taken.tell(_trace(1, "02"), _back(3, 1, "02")) == [0, 0]
        assert taken.tell(trace) == [2]
        assert _noticed(portal) == [(f"body.items[0].{where}", reason)]
        assert portal.state()["traces"] == 2

    @pytest.mark.parametrize("ack", [None, _no()])
    def test_not_taken(self, portal: QuanyuTongbanMock, gateway: Gateway, ack: Any) -> None:
        """A trace of an item that was not acked, or refused, is noticed."""
        portal.hand_over(ITEM)
        if ack:
            assert gateway.ack(ack) == [0]
        assert gateway.tell(_trace(1, "02")) == [2]
        assert _noticed(portal) == [("body.items[0].SBLSH", "is an item that was not taken")]

    @pytest.mark.parametrize("number", [None, ""])
    def test_cancelled_without_number(self, taken: Gateway, number: str | None) -> None:
        """An order that was cancelled before it had a number has none to tell."""
        assert taken.tell(_trace(1, "10", YJHM=number)) == [0]

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"QQID": None}, "QQID"),
            ({"YJHM": None}, "YJHM"),
            ({"YJHM": ""}, "YJHM"),
            ({"YJHM": "EA96929476"}, "YJHM"),
            ({"ZT": "12"}, "ZT"),
            ({"ZT": "01"}, "ZTMS"),
            ({"ZTSJ": "2023-12-02 00:00:00"}, "ZTSJ"),
            ({"ZTSJ": "20231202240000"}, "ZTSJ"),
            ({"ZTMS": ""}, "ZTMS"),
            ({"YYDM": "03"}, "YYDM"),
            ({"ZT": "07", "YYDM": "08"}, "YYDM"),
            ({"QSR": ""}, "QSR"),
            ({"LEG": "1"}, "LEG"),
            ({"LEG": True}, "LEG"),
            ({"JGMC": "x"}, "JGMC"),
        ],
    )
    def test_unfit(self, taken: Gateway, members: dict[str, Any], where: str) -> None:
        """A trace that breaks the contract spoils its call and is named."""
        answer = taken.call("traces", {"items": [_trace(1, "04", **members)]})
        assert (answer["errcode"], answer["errmsg"].partition(":")[0]) == (47001, f"body.items[0].{where}")


class TestReconcile:
    """The books of a day."""

    def test_day(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """What was submitted on the day and taken is listed with its status; what was refused or waits is not."""
        portal.offer(1)
        refused = portal.offer(1, start=1)[0]
        assert taken.ack(_no(SBLSH=refused)) == [0]
        assert taken.tell(_trace(1, "02"), _trace(2, "03")) == [0, 0]
        books = [{"SBLSH": SBLSH, "ZT": "03"}, {"SBLSH": ROUND_TRIP["SBLSH"], "ZT": "01"}]
        assert taken.call("reconcile", {"date": "20231201"})["data"] == {"items": books}
        assert taken.call("reconcile", {"date": "20231202"})["data"] == {"items": []}


class TestFaults:
    """What goes wrong in this portal's own way."""

    def test_partial_batch(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """One part of a batch is not done, nor what follows of its item; that is nobody's fault."""
        portal.plan.next("partial_batch", when=lambda part: part["ZT"] == "03")
        told = (_trace(1, "02"), _trace(2, "03"), _trace(3, "04"), _back(4, 1, "02"))
        assert taken.tell(*told) == [0, 9, 9, 0]
        assert taken.tell(*told[1:3]) == [0, 0]
        assert (portal.told_twice, portal.repeats, _noticed(portal)) == (0, 0, [])

    def test_partial_acks(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """An ack that was not done leaves its item waiting."""
        first, second = portal.offer(2)
        portal.plan.next("partial_batch")
        assert gateway.ack(_yes(SBLSH=first), _yes(SBLSH=second, WLDH=OTHER_ORDER_ID)) == [9, 0]
        assert gateway.offered() == [first]

    def test_lost_cursor(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A forgotten cursor reads from the beginning; at the beginning there is none to forget."""
        offered = portal.offer(3)
        portal.plan.next("lost_cursor")
        cursor = gateway.pending("", 1)["cursor"]
        assert gateway.offered(cursor) == offered
        assert gateway.offered(cursor) == offered[1:]

    def test_repeated_page(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A page comes again as it was, also what was acked meanwhile; the first one of all repeats nothing."""
        first, second = portal.offer(2)
        portal.plan.next("repeated_page")
        page = gateway.pending("", 1)
        gateway.ack(_yes(SBLSH=first))
        assert gateway.pending(page["cursor"], 1) == page
        assert gateway.ack(_yes(SBLSH=first)) == [1]
        assert gateway.offered(page["cursor"]) == [second]

    def test_stale_nonce(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """A fresh nonce is denied, its call not done, the retry never; that is nobody's fault."""
        portal.hand_over(ITEM)
        portal.plan.set_rates({"stale_nonce": 1.0})
        answers = [gateway.call("ack", {"items": [_yes()]}) for _ in range(2)]
        assert [answer["errcode"] for answer in answers] == [40029, 0]
        assert (answers[1]["data"]["results"][0]["code"], _noticed(portal)) == (0, [])

    def test_changed_item(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """An item is other than it was when it was offered last, and stays so."""
        portal.hand_over(ITEM)
        portal.plan.next("changed_item")
        assert [gateway.pending()["items"] for _ in range(3)] == [
            [ITEM],
            [{**ITEM, "FFFS": "Z"}],
            [{**ITEM, "FFFS": "Z"}],
        ]

    def test_broken_item(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """One more item is offered, broken, and stays as it is; the others are whole, and it may only be refused."""
        whole = portal.offer(2)
        portal.plan.next("broken_item")
        portal.plan.next("changed_item", when=lambda sblsh: sblsh not in whole)
        page = gateway.pending()
        assert gateway.pending() == page
        broken = page["items"][2]["SBLSH"]
        assert [item["SBLSH"] for item in page["items"]] == [*whole, broken]
        assert gateway.ack(_yes(SBLSH=broken)) == [2]
        assert gateway.ack(_no(SBLSH=broken), _yes(SBLSH=whole[0])) == [0, 0]

    def test_broken_in_turns(self, portal: QuanyuTongbanMock, gateway: Gateway) -> None:
        """Broken items have numbers of their own and are broken in several ways, most of them against the contract."""
        portal.plan.set_rates({"broken_item": 1.0})
        for _ in range(6):
            gateway.pending()
        portal.plan.clear()
        items = gateway.pending()["items"]
        assert len({item["SBLSH"] for item in items}) == 6
        contract, unfit = Contract("quanyu_tongban"), []
        for item in items:
            try:
                contract.check("Item", item)
            except UnfitError as error:
                unfit.append(error.where)
        assert unfit == ["body.LXDM", "body.CLQD", "body.TJSJ", "body.SJR.XM", "body.FFFS"]
        with pytest.raises(ValueError, match="check character"):
            check_citizen_id(items[5]["SJR"]["ZJHM"])
        assert gateway.ack(*(_yes(SBLSH=item["SBLSH"]) for item in items)) == [2] * 6


class TestBooks:
    """What the mock tells of itself."""

    def test_report(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """The report lists an item's ack, numbers and traces, and nothing personal."""
        taken.tell(_back(1, 2, "02"))
        assert portal.report()[ROUND_TRIP["SBLSH"]] == {
            "jsbz": "1",
            "order_id": OTHER_ORDER_ID,
            "waybills": {"2": OTHER_NO},
            "states": ["02"],
            "request_ids": [_back(1, 2, "02")["QQID"]],
        }
        assert ITEM["SJR"]["XM"] not in repr(portal.items) + str(portal.report())

    def test_reset(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """After a reset nothing is known, and an old cursor leads to nothing else than the beginning."""
        taken.tell(_trace(1, "02"))
        portal.reset()
        assert set(portal.state().values()) == {0}
        assert (portal.heard(), portal.report()) == ([], {})
        assert taken.offered("c2") == []

    def test_settings(self) -> None:
        """Keys come from the gateway's settings, or are the demo's."""
        mock = QuanyuTongbanMock.from_settings({"portals": {"quanyu_tongban": {"paasid": "p1", "token": "t1"}}})
        assert (mock.paasid, mock._token) == ("p1", "t1")
        assert QuanyuTongbanMock.from_settings({}).paasid == EXAMPLES["keys"]["quanyu_tongban"]["paasid"]
        assert QuanyuTongbanMock.from_settings({"portals": {"quanyu_tongban": mock.settings()}})._token == "t1"

    @pytest.mark.parametrize("code", ["0", "1", "2", "9"])
    @pytest.mark.parametrize(("call", "parts"), [("ack", [_yes(), _no()]), ("traces", [_trace(1, "02")])])
    def test_says_results(self, call: str, parts: list[dict[str, Any]], code: str) -> None:
        """Each item of a call is answered with the code, by its name; nothing is done."""
        mock = QuanyuTongbanMock()
        body = json.dumps({"items": parts}).encode()
        answer = json.loads(mock.say(code, WireRequest("POST", f"/ebus/logistics/{call}", {}, body)).body)
        names = [{name: part[name] for name in ("QQID", "SBLSH") if name in part} for part in parts]
        assert answer["data"]["results"] == [{**each, "code": int(code)} for each in names]
        assert mock.received == 0

    def test_says_errcodes(self) -> None:
        """The others answer a call as a whole."""
        request = WireRequest("POST", "/ebus/logistics/ack", {}, b"")
        codes = [code for code in QuanyuTongbanMock.results if len(code) > 1]
        said = [json.loads(QuanyuTongbanMock().say(code, request).body)["errcode"] for code in codes]
        assert said == [40001, 45009, 47001, 50000]

    def test_hears_why(self, portal: QuanyuTongbanMock, taken: Gateway) -> None:
        """What was heard holds the reason's code, and all that was told."""
        why = _trace(2, "07", YYDM="03")
        assert taken.tell(_trace(1, "02"), why) == [0, 0]
        assert [(each.reason, each.body) for each in portal.heard()[-2:]] == [("", _trace(1, "02")), ("03", why)]
        assert portal.heard()[0].body == _yes()

    def test_fixtures(
        self, quanyu_tongban_server: MockServer[QuanyuTongbanMock], quanyu_tongban_mock: QuanyuTongbanMock
    ) -> None:
        """The plugin serves the portal, and its control door offers items."""
        url = f"{quanyu_tongban_server.url}/__mock__"
        offered = requests.post(f"{url}/do/offer", json={"count": 2, "seed": 5}, timeout=TIMEOUT_S).json()
        assert offered == list(quanyu_tongban_mock.items) == [item["SBLSH"] for item in new_items(2, seed=5)]
        assert requests.get(f"{url}/state", timeout=TIMEOUT_S).json()["pending"] == 2


class TestNewItems:
    """Synthetic items for load."""

    def test_deterministic(self) -> None:
        """The n-th item of a seed is always the same, and no two are."""
        assert list(new_items(20, seed=5)) == [new_item(n, 5) for n in range(20)]
        assert len({item["SBLSH"] for item in islice(new_items(seed=5), 500)}) == 500
        assert new_item(0, 5) != new_item(0, 6)

    @pytest.mark.parametrize("items", [sample_items(), list(new_items(200))], ids=["samples", "synthetic"])
    def test_valid(self, items: list[dict[str, Any]]) -> None:
        """Items fit the contract, and numbers carry right check characters."""
        contract = Contract("quanyu_tongban")
        for item in items:
            contract.check("Item", item)
            check_uscc(item["SXBM"][:18])
            for person in (item["JJR"], item["SJR"]):
                check_mobile(person["LXDH"])
                if "ZJHM" in person:
                    check_citizen_id(person["ZJHM"])

    def test_every_kind_occurs(self) -> None:
        """All ways, payers and materials come up, people with and without an ID."""
        items = list(new_items(300))
        assert {item["LXDM"] for item in items} == set("QSW")
        assert {item["FFFS"] for item in items} == set("ZGD")
        assert len({item["CLQD"][0]["CLMC"] for item in items}) == 4
        assert {"ZJHM" in item["SJR"] for item in items} == {True, False}
