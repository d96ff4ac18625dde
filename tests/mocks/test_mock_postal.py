"""The stand-in of the post's backend takes orders once, numbers them, and plays what happens to them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import responses

from govpost.mocks._synthetic import s10_number
from govpost.mocks.base import dump_json
from govpost.mocks.faults import FaultPlan
from govpost.mocks.postal import COURSES, PostalMock, sign_webhook
from govpost.schemas import Status, WireReply, WireRequest
from govpost.schemas.event import Event
from govpost.schemas.identifiers import check_citizen_id, check_waybill_no
from govpost.schemas.lifecycle import may_move

EXAMPLES_AT = datetime.fromtimestamp(1701389550, UTC)
SECRET = "demo-secret-webhook-do-not-use"
ORDER_ID = "01HGJ0000000000000000000AA"
GATEWAY = "http://gateway.test"


@pytest.fixture
def post() -> PostalMock:
    """Give a post whose clock stands at the moment of the worked examples."""
    return PostalMock(now=lambda: EXAMPLES_AT, gateway_url=GATEWAY, api_token="token-1")


def _order(order_id: str = ORDER_ID, **members: Any) -> dict[str, Any]:
    known = {
        "order_id": order_id,
        "portal": "yukuaiban",
        "portal_ref": "YKB20231201000123",
        "direction": "to_applicant",
        "sender": {"name": "周怡芳"},
        "recipient": {"name": "Müller Hans"},
        "items": [{"type": "id_card", "name": "居民身份证", "copies": 1}],
    }
    return {**known, **members}


def _event(event_id: str = "d1", verb: str = "placed", order: Any = None, **members: Any) -> dict[str, Any]:
    data = _order() if order is None else order
    known = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/govpost/yukuaiban",
        "type": f"cn.govpost.order.{verb}",
        "subject": data.get("order_id", ORDER_ID),
        "time": "2023-12-01T00:12:30Z",
        "data": data,
    }
    return {name: value for name, value in {**known, **members}.items() if value is not None}


def _request(document: Any, *, at: datetime = EXAMPLES_AT, body: bytes | None = None, **headers: Any) -> WireRequest:
    """Sign a single event or, for a list, a batch; `headers` with _ for - replace or add."""
    content = dump_json(document) if body is None else body
    is_batch = isinstance(document, list)
    message_id = "batch-1" if is_batch else document.get("id", "none")
    timestamp = str(int(at.timestamp()))
    known = {
        "Content-Type": "application/cloudevents-batch+json" if is_batch else "application/cloudevents+json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign_webhook(SECRET, message_id=message_id, timestamp=timestamp, body=content),
        **({} if is_batch else {"Idempotency-Key": message_id}),
    }
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    merged = {name: value for name, value in {**known, **changed}.items() if value}
    return WireRequest("POST", "/orders", merged, content)


def _tell(post: PostalMock, document: Any, **headers: Any) -> tuple[int, Any]:
    reply = post.handle(_request(document, **headers))
    return reply.status, json.loads(reply.body)


def _assert_refused(post: PostalMock, request: WireRequest, status: int, where: str) -> None:
    reply: WireReply = post.handle(request)
    assert (reply.status, json.loads(reply.body)["where"]) == (status, where)
    assert post.rejected[-1].where == where
    assert not post.placements


class TestSignature:
    """Standard Webhooks."""

    def test_example(self) -> None:
        """The signature of the contract's worked example."""
        signature = sign_webhook(
            SECRET, message_id="msg_1", timestamp="1701389550", body=b'{"specversion":"1.0","id":"msg_1"}'
        )
        assert signature == "v1,sbb9e1Glz6VgBxQwiX/6Z/IU5OotoOSBbR8K/0Emvek="

    def test_whsec(self) -> None:
        """A whsec_ secret is Base64 of the key."""
        prefixed = "whsec_" + base64.b64encode(SECRET.encode()).decode()
        plain, coded = (sign_webhook(each, message_id="m", timestamp="1", body=b"") for each in (SECRET, prefixed))
        assert plain == coded

    def test_rotation(self, post: PostalMock) -> None:
        """One right signature among several is enough."""
        right = _request(_event()).headers["webhook-signature"]
        assert _tell(post, _event(), webhook_signature=f"v1,AAAA {right} v2,x")[0] == 200

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_missing(self, post: PostalMock, name: str) -> None:
        """Each header is missed by name."""
        changed: dict[str, Any] = {name.replace("-", "_"): ""}
        _assert_refused(post, _request(_event(), **changed), 401, f"header {name}")

    def test_wrong(self, post: PostalMock) -> None:
        """A changed body no longer goes with the signature."""
        request = _request(_event())
        changed = WireRequest("POST", "/orders", request.headers, request.body + b" ")
        _assert_refused(post, changed, 401, "header webhook-signature")

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_stale(self, post: PostalMock, seconds: int) -> None:
        """A timestamp over 300 s off is refused, either way."""
        request = _request(_event(), at=EXAMPLES_AT + timedelta(seconds=seconds))
        _assert_refused(post, request, 401, "header webhook-timestamp")


class TestShape:
    """What is no CloudEvent with an order is refused by name."""

    @pytest.mark.parametrize(
        ("members", "where"),
        [
            ({"specversion": "0.3"}, "body.specversion"),
            ({"source": "govpost"}, "body.source"),
            ({"source": "/govpost/other"}, "body.source"),
            ({"type": "cn.govpost.order.lost"}, "body.type"),
            ({"subject": "another"}, "body.subject"),
            ({"time": "2023-12-01 00:12:30"}, "body.time"),
            ({"time": "2023-12-01T00:12:30"}, "body.time"),
            ({"data": []}, "body.data"),
        ],
    )
    def test_event(self, post: PostalMock, members: dict[str, Any], where: str) -> None:
        """Each attribute of the event is checked."""
        _assert_refused(post, _request({**_event(), **members}), 400, where)

    @pytest.mark.parametrize("name", ["order_id", "portal", "portal_ref", "sender", "recipient", "items"])
    def test_order(self, post: PostalMock, name: str) -> None:
        """Each member that an order must have is missed by name."""
        order = {each: value for each, value in _order().items() if each != name}
        _assert_refused(post, _request(_event(order=order)), 400, f"body.data.{name}")

    def test_identity(self, post: PostalMock) -> None:
        """webhook-id, Idempotency-Key and the event's id are one."""
        _assert_refused(post, _request(_event(), Idempotency_Key="d2"), 400, "header Idempotency-Key")
        _assert_refused(post, _request(_event(), Idempotency_Key=""), 400, "header Idempotency-Key")
        body = dump_json(_event("d2"))
        _assert_refused(post, _request(_event("d1"), body=body), 400, "header webhook-id")

    def test_content_type(self, post: PostalMock) -> None:
        """Plain JSON is no CloudEvent."""
        _assert_refused(post, _request(_event(), Content_Type="application/json"), 400, "header Content-Type")

    def test_path(self, post: PostalMock) -> None:
        """Another path is a 404."""
        _assert_refused(post, WireRequest("POST", "/order"), 404, "path")


class TestOrders:
    """Taking, amending, cancelling."""

    def test_numbers(self, post: PostalMock) -> None:
        """A placed order gets a valid S10 number of its own, a round trip two."""
        status, single = _tell(post, _event("d1"))
        _, both = _tell(post, _event("d2", order=_order("B", direction="round_trip")))
        assert status == 200
        assert set(single) == {"waybill_no"}
        assert set(both) == {"waybill_no", "return_waybill_no"}
        numbers = [*single.values(), *both.values()]
        assert len(set(numbers)) == 3
        assert [check_waybill_no(number)[:1] + number[-2:] for number in numbers] == ["ECN"] * 3

    def test_silent_about_numbers(self) -> None:
        """A post that tells numbers by event only gives none in its answer."""
        post = PostalMock(now=lambda: EXAMPLES_AT, tells_numbers=False)
        assert _tell(post, _event()) == (200, {})
        assert "waybill_no" in post.play(ORDER_ID)[0]

    @pytest.mark.parametrize("repeat_status", [200, 409])
    def test_repeat(self, repeat_status: int) -> None:
        """A repeated id is one placement, answered with the same number."""
        post = PostalMock(now=lambda: EXAMPLES_AT, repeat_status=repeat_status)
        _, first = _tell(post, _event())
        assert _tell(post, _event()) == (repeat_status, first)
        assert post.placements == {ORDER_ID: 1}
        assert post.repeats == {"d1": 1}

    def test_repeat_with_other_content(self, post: PostalMock) -> None:
        """The same id with other content is refused."""
        _tell(post, _event())
        status, answer = _tell(post, _event(time="2023-12-01T00:12:31Z"))
        assert (status, answer["where"]) == (422, "body.id")

    def test_placed_twice_shows(self, post: PostalMock) -> None:
        """An order placed under two ids is counted twice: it would be mailed twice."""
        _tell(post, _event("d1"))
        _tell(post, _event("d2"))
        assert post.placements == {ORDER_ID: 2}
        assert post.state()["placed_twice"] == 1

    def test_amend(self, post: PostalMock) -> None:
        """An amendment before collection replaces the order, afterwards it is too late."""
        _tell(post, _event("d1"))
        amended = _order(recipient={"name": "吴思"})
        assert _tell(post, _event("d2", "amended", amended))[0] == 200
        assert post.orders[ORDER_ID].data["recipient"] == {"name": "吴思"}
        post.play(ORDER_ID, "collected")
        assert _tell(post, _event("d3", "amended"))[0] == 422
        assert post.orders[ORDER_ID].data["recipient"] == {"name": "吴思"}

    def test_cancel(self, post: PostalMock) -> None:
        """What is not collected can be cancelled, twice too, and is not mailed any more."""
        _tell(post, _event("d1"))
        assert [_tell(post, _event(each, "cancelled"))[0] for each in ("d2", "d2", "d3")] == [200, 409, 200]
        assert post.orders[ORDER_ID].is_cancelled
        with pytest.raises(ValueError, match="cancelled"):
            post.play(ORDER_ID)

    def test_cancel_too_late(self, post: PostalMock) -> None:
        """What is collected cannot be cancelled; the repeat hears the same."""
        _tell(post, _event("d1"))
        post.play(ORDER_ID, "collected")
        assert [_tell(post, _event("d2", "cancelled"))[0] for _ in range(2)] == [422, 422]
        assert not post.orders[ORDER_ID].is_cancelled

    def test_cancel_of_unknown(self, post: PostalMock) -> None:
        """An order that was never placed cannot be cancelled."""
        _assert_refused(post, _request(_event("d2", "cancelled")), 422, "body.data.order_id")

    def test_batch(self, post: PostalMock) -> None:
        """A batch answers each event in order, each alone."""
        batch = [_event("d1"), _event("d2", "cancelled", _order("B")), _event("d1"), _event("d3", order=_order("C"))]
        status, answers = _tell(post, batch)
        assert status == 200
        assert [(each["id"], each["status"]) for each in answers] == [
            ("d1", 200),
            ("d2", 422),
            ("d1", 409),
            ("d3", 200),
        ]
        assert answers[0]["waybill_no"] == answers[2]["waybill_no"] != answers[3]["waybill_no"]

    def test_batch_has_no_idempotency_key(self, post: PostalMock) -> None:
        """A batch with an Idempotency-Key is refused."""
        _assert_refused(post, _request([_event()], Idempotency_Key="d1"), 400, "header Idempotency-Key")

    def test_batch_size(self, post: PostalMock) -> None:
        """A batch holds 1 to 100 events."""
        _assert_refused(post, _request([]), 400, "body")
        _assert_refused(post, _request([_event()] * 101), 400, "body")


class TestPlaying:
    """What happens to an item."""

    @pytest.mark.parametrize("course", COURSES)
    def test_courses_are_lives(self, post: PostalMock, course: str) -> None:
        """Each course is a life as the contract allows it, of valid events with times that rise and are past."""
        _tell(post, _event(order=_order(direction="round_trip")))
        standing = {1: [Status.NUMBERED], 2: [Status.NUMBERED]}
        played = [
            Event.model_validate({name: value for name, value in event.items() if name != "order_id"})
            for event in post.play(ORDER_ID, course)
        ]
        for event in played:
            history = standing[event.leg]
            if event.status is None:
                assert event.revokes is not None
                history.pop()
            else:
                assert may_move(history[-1], event.status)
                history.append(event.status)
        times = [event.occurred_at for event in played]
        assert times == sorted(set(times))
        assert times[-1] <= EXAMPLES_AT
        assert len({event.event_id for event in played}) == len(played)

    def test_goes_on(self, post: PostalMock) -> None:
        """A second course goes on where the first stopped."""
        _tell(post, _event())
        first = post.play(ORDER_ID, "undelivered")
        second = post.play(ORDER_ID, "returned")
        assert [event["status"] for event in second] == ["returning", "returned"]
        assert post.orders[ORDER_ID].events == first + second

    @pytest.mark.parametrize(
        ("recipient", "received_by", "relation"),
        [
            ({}, "family", "配偶"),
            ({"kind": "person"}, "family", "配偶"),
            ({"kind": "organization"}, "mailroom", "收发室"),
        ],
    )
    def test_signers(self, post: PostalMock, recipient: dict[str, str], received_by: str, relation: str) -> None:
        """The family signs for a person and the mailroom for an organization, with a number where it is proven."""
        _tell(post, _event(order=_order(recipient={"name": "某", **recipient})))
        event = Event.model_validate({k: v for k, v in post.play(ORDER_ID, "proven")[-1].items() if k != "order_id"})
        assert event.signer is not None
        assert (event.received_by, event.signer.relation) == (received_by, relation)
        check_citizen_id(event.signer.id_no or "")
        (proof,) = event.proof
        assert proof.data.startswith(b"\x89PNG\r\n\x1a\n")

    def test_revoke(self, post: PostalMock) -> None:
        """A revoke takes back the delivery before it, and has no status."""
        _tell(post, _event())
        events = post.play(ORDER_ID, "revoked")
        [revoke] = [event for event in events if "revokes" in event]
        [first, _] = [event["event_id"] for event in events if event.get("status") == "delivered"]
        assert revoke["revokes"] == first
        assert "status" not in revoke

    def test_round_trip(self, post: PostalMock) -> None:
        """The second leg has its own number."""
        _, numbers = _tell(post, _event(order=_order(direction="round_trip")))
        by_leg = {event.get("leg", 1): event["waybill_no"] for event in post.play(ORDER_ID, "round_trip")}
        assert by_leg == {1: numbers["waybill_no"], 2: numbers["return_waybill_no"]}

    def test_unknown(self, post: PostalMock) -> None:
        """Neither an unknown order nor an unknown course is played."""
        with pytest.raises(KeyError):
            post.play(ORDER_ID)
        _tell(post, _event())
        with pytest.raises(KeyError):
            post.play(ORDER_ID, "vanished")


class TestPosting:
    """Events on their way to the gateway."""

    def test_single(self, post: PostalMock) -> None:
        """One request an event, to the order's own address, with the token and without order_id inside."""
        _tell(post, _event())
        events = post.play(ORDER_ID, "in_transit")
        with responses.RequestsMock() as gateway:
            gateway.post(f"{GATEWAY}/api/v1/orders/{ORDER_ID}/events", status=201)
            assert post.post_events(events) == [(f"{ORDER_ID}-1", 201), (f"{ORDER_ID}-2", 201)]
            sent = [call.request for call in gateway.calls]
        assert {request.headers["Authorization"] for request in sent} == {"Bearer token-1"}
        assert [{"order_id": ORDER_ID, **json.loads(request.body or b"")} for request in sent] == events

    def test_list(self, post: PostalMock) -> None:
        """All events in one request, each with its order_id, and the statuses from the list that comes back."""
        _tell(post, _event())
        events = post.play(ORDER_ID, "in_transit")
        answer = [
            {"event_id": event["event_id"], "status": status} for event, status in zip(events, (201, 200), strict=True)
        ]
        with responses.RequestsMock() as gateway:
            sent = gateway.post(f"{GATEWAY}/api/v1/events", json=answer)
            assert post.post_events(events, as_list=True) == [(f"{ORDER_ID}-1", 201), (f"{ORDER_ID}-2", 200)]
            assert json.loads(sent.calls[0].request.body or b"") == events

    def test_refused_list(self, post: PostalMock) -> None:
        """A list refused whole has that status for each event."""
        _tell(post, _event())
        with responses.RequestsMock() as gateway:
            gateway.post(f"{GATEWAY}/api/v1/events", status=401)
            assert post.post_events(post.play(ORDER_ID, "collected"), as_list=True) == [(f"{ORDER_ID}-1", 401)]

    def test_push(self, post: PostalMock) -> None:
        """What was not taken is kept, and goes first the next time; what was taken, now or before, is not."""
        _tell(post, _event())
        first, second, third = post.play(ORDER_ID, "proven")[:3]
        statuses = dict(zip((first["event_id"], second["event_id"]), (200, 404), strict=True))
        with responses.RequestsMock() as gateway:
            answer = [{"event_id": event_id, "status": status} for event_id, status in statuses.items()]
            gateway.post(f"{GATEWAY}/api/v1/events", json=answer)
            post.push([first, second])
        assert post.untold == [second]
        with responses.RequestsMock() as gateway:
            answer = [{"event_id": event["event_id"], "status": 201} for event in (second, third)]
            sent = gateway.post(f"{GATEWAY}/api/v1/events", json=answer)
            post.push([third])
            assert json.loads(sent.calls[0].request.body or b"") == [second, third]
        assert post.untold == []

    def test_nothing_to_push(self, post: PostalMock) -> None:
        """Nothing is sent where there is nothing to tell; an unreachable gateway loses nothing."""
        with responses.RequestsMock():
            assert post.push() == []
        _tell(post, _event())
        with responses.RequestsMock(), pytest.raises(requests.ConnectionError):
            post.push(post.play(ORDER_ID, "collected"))
        assert [event["status"] for event in post.untold] == ["collected"]

    def test_duplicates_and_disorder(self) -> None:
        """The plan sends events twice and out of order."""
        post = PostalMock(now=lambda: EXAMPLES_AT, gateway_url=GATEWAY, plan=FaultPlan())
        _tell(post, _event())
        post.plan.next("out_of_order")
        post.plan.next("duplicate")
        with responses.RequestsMock() as gateway:
            gateway.post(f"{GATEWAY}/api/v1/orders/{ORDER_ID}/events", status=201)
            sent = [event_id[-1] for event_id, _ in post.post_events(post.play(ORDER_ID, "delivered"))]
        assert sent == ["2", "2", "1", "3", "4"]

    def test_unreachable_gateway(self, post: PostalMock) -> None:
        """A gateway that is not there is whatever requests makes of it; playing on is still possible."""
        _tell(post, _event())
        with responses.RequestsMock(), pytest.raises(requests.ConnectionError):
            post.post_events(post.play(ORDER_ID, "collected"))
        assert [event["status"] for event in post.play(ORDER_ID, "in_transit")] == ["in_transit"]


def test_serials_have_right_check_digits() -> None:
    """Every serial makes a valid number, those with the special check digits too."""
    numbers = [s10_number("EA", serial) for serial in range(10**8 - 100, 10**8 + 100)]
    assert [check_waybill_no(number) for number in numbers] == numbers
    assert len(set(numbers)) == 200


def test_report_has_no_personal_data(post: PostalMock) -> None:
    """Neither the report nor any repr holds a name."""
    _tell(post, _event())
    post.play(ORDER_ID)
    shown = f"{post.report()} {post.state()} {post.orders} {post.requests}"
    assert ORDER_ID in shown
    assert not [name for name in ("周怡芳", "Müller", "钱某某") if name in shown]


def test_settings() -> None:
    """The counterpart of a gateway has the secret, address and token of that gateway's settings."""
    document = {
        "ingress": {"port": 8123},
        "api": {"tokens": ["t1"]},
        "backends": {"ems": {"adapter": "ems"}, "post": {"adapter": "webhook", "secret": "other"}},
    }
    post = PostalMock.from_settings(document, now=lambda: EXAMPLES_AT)
    assert (post.gateway_url, post.api_token) == ("http://127.0.0.1:8123", "t1")
    assert _tell(post, _event())[0] == 401
