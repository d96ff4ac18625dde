"""/api/v1 over real sockets: who may, events in, orders out, and every error a problem."""
# ruff: noqa: F811 - a parameter named like an imported fixture is that fixture

import json
from base64 import b64encode
from typing import Any

import pytest
import requests
from ingress_fixtures import EXAMPLE, PERSONAL, TOKEN, Served, Start, open_gateway, start  # noqa: F401 - fixtures are used by name

NOBODYS = "01HGGY4B5R0000000000000AB1"
PROBLEM_TYPE = "application/problem+json"
COLLECTED = {"event_id": "e1", "status": "collected", "occurred_at": "2023-12-01T08:12:00+08:00"}


def events_path(order_id: str) -> str:
    """Tell where events of an order go."""
    return f"/api/v1/orders/{order_id}/events"


def problem_of(reply: requests.Response) -> dict[str, Any]:
    """Read problem details, and check that they are."""
    problem: dict[str, Any] = reply.json()
    assert reply.headers["content-type"] == PROBLEM_TYPE
    assert (problem["type"], problem["status"]) == ("about:blank", reply.status_code)
    return problem


# Who may.


@pytest.mark.parametrize("token", [None, "", "another-token", TOKEN + "x", TOKEN[:-1], "密码"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/orders"), ("POST", "/api/v1/events")])
def test_strangers_are_sent_away(start: Start, token: str | None, method: str, path: str) -> None:
    """Without one of the tokens there is a 401 that says how to show one, before anything else is looked at."""
    headers = {"Authorization": f"Bearer {token}".encode()} if token is not None else {}
    served = start()
    reply = served.http.request(method, served.url(path), headers=headers, data=b"rubbish", timeout=10)
    assert reply.headers["www-authenticate"] == "Bearer"
    assert problem_of(reply)["status"] == 401


def test_each_of_several_tokens_opens(start: Start) -> None:
    """While tokens are changed, both fit; the scheme's case does not matter."""
    served = start(tokens=("token-one", "token-two"))
    shown = ("Bearer token-one", "bearer token-two")
    replies = [
        served.http.get(served.url("/api/v1/orders"), headers={"Authorization": one}, timeout=10) for one in shown
    ]
    assert [reply.status_code for reply in replies] == [200, 200]


def test_without_a_token_in_the_settings_nobody_is_let_in(start: Start) -> None:
    """It is a 503 and not a 401, so that events are kept and come again once the settings are complete."""
    reply = start(tokens=()).call("POST", "/api/v1/events", json=[])
    assert problem_of(reply)["detail"] == "no token is configured ([api] tokens), so nobody can be let in"
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


# One event.


def test_an_event_moves_the_order(start: Start) -> None:
    """A new event is a 201 that says whether it moved the order, and it did."""
    served = start()
    order_id = served.place()
    reply = served.call("POST", events_path(order_id), json=COLLECTED)
    assert (reply.status_code, reply.json()) == (201, {"event_id": "e1", "moved": True})
    assert served.gateway.ledger.read_order(order_id).row.status == "collected"


def test_the_same_event_again_is_the_same_answer(start: Start) -> None:
    """A repeat is a 200; the same event_id with other content is a 409."""
    served = start()
    path = events_path(served.place())
    told = (COLLECTED, COLLECTED, {**COLLECTED, "status": "delivered"})
    replies = [served.call("POST", path, json=event) for event in told]
    assert [reply.status_code for reply in replies] == [201, 200, 409]
    assert replies[1].json() == {"event_id": "e1", "moved": True}
    assert problem_of(replies[2])["title"] == "Conflict"


@pytest.mark.parametrize("order_id", [NOBODYS, "1", "%00", "..%2F.."])
def test_an_event_of_an_unknown_order_is_404(start: Start, order_id: str) -> None:
    """Whatever stands for the order."""
    reply = start().call("POST", events_path(order_id), json=COLLECTED)
    assert problem_of(reply)["status"] == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_id": None}, "event_id"),
        ({"event_id": "e" * 129}, "event_id"),
        ({"status": None}, "status"),
        ({"occurred_at": None}, "occurred_at"),
        ({"occurred_at": "2023-12-01T08:12:00"}, "occurred_at"),
        ({"leg": 3}, "leg"),
        ({"waybill_no": "EA969294769CN"}, "waybill_no"),
        ({"office": {"code": "1"}}, "office.name"),
        ({"signer": {"name": "周" * 51}}, "signer.name"),
        ({"proof": [{"kind": "photo", "media_type": "image/png", "data": "*"}]}, "proof[0].data"),
        ({"cause": "portal"}, "cause"),
    ],
)
def test_a_member_that_does_not_fit_is_named(start: Start, changes: dict[str, Any], field: str) -> None:
    """A 422 names the member, and no value."""
    served = start()
    reply = served.call("POST", events_path(NOBODYS), json={**COLLECTED, **changes})
    problem = problem_of(reply)
    assert (reply.status_code, [error["field"] for error in problem["errors"]]) == (422, [field])
    assert "周" not in reply.text


def test_an_event_in_the_far_future_is_refused(start: Start) -> None:
    """Ten minutes ahead are taken for a clock that is off, more for a mistake."""
    served = start()
    path = events_path(served.place())
    times = ("2023-12-01T08:22:30+08:00", "2023-12-01T08:22:31+08:00")
    replies = [served.call("POST", path, json={**COLLECTED, "event_id": time, "occurred_at": time}) for time in times]
    assert [reply.status_code for reply in replies] == [201, 422]
    assert problem_of(replies[1])["detail"].startswith("occurred_at")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff{}",
        b"[]",
        b'{"event_id": "1", "event_id": "2"}',
        b'{"leg": NaN}',
        b'{"note": "\\ud800"}',
        b'{"note": "\\u0000"}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_document_is_400(start: Start, body: bytes) -> None:
    """What two readers might read differently is not read."""
    assert problem_of(start().call("POST", events_path(NOBODYS), data=body))["status"] == 400


def test_a_picture_comes_along(start: Start) -> None:
    """Proof of megabytes is taken, and only that it is there is shown."""
    served = start()
    order_id = served.place()
    picture = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(2 * 1024 * 1024 - 8)).decode()
    proof = [{"kind": "photo", "media_type": "image/png", "data": picture}]
    reply = served.call("POST", events_path(order_id), json={**COLLECTED, "status": "delivered", "proof": proof})
    shown = served.call("GET", f"/api/v1/orders/{order_id}").json()["events"][-1]["proof"]
    assert reply.status_code == 201
    assert shown == [{"kind": "photo", "media_type": "image/png", "size_bytes": 2 * 1024 * 1024}]


def test_an_unwritable_ledger_is_503(start: Start) -> None:
    """Nothing was recorded, and the backend is told to come back."""
    served = start()
    order_id = served.place()
    with served.full_disk():
        reply = served.call("POST", events_path(order_id), json=COLLECTED)
    assert (problem_of(reply)["status"], reply.headers["retry-after"]) == (503, "1")


# A list of events.


def test_events_of_a_list_are_answered_each_alone_and_in_order(start: Start) -> None:
    """One that does not fit, or has no order, takes nothing from the others."""
    served = start()
    order_id = served.place()
    ours = {**COLLECTED, "order_id": order_id}
    told = [
        ours,
        {**ours, "event_id": "e2", "order_id": NOBODYS},
        {**ours, "event_id": "e3", "leg": 9},
        "rubbish",
        {"event_id": 5},
        ours,
        {**ours, "status": "delivered"},
        {**ours, "event_id": "e4", "occurred_at": "2999-01-01T00:00:00Z"},
        {**ours, "event_id": "e5", "status": "in_transit"},
    ]
    reply = served.call("POST", "/api/v1/events", json=told)
    answers = reply.json()
    assert reply.status_code == 200
    assert [(answer["event_id"], answer["status"]) for answer in answers] == [
        ("e1", 201),
        ("e2", 404),
        ("e3", 422),
        (None, 422),
        (None, 422),
        ("e1", 200),
        ("e1", 409),
        ("e4", 422),
        ("e5", 201),
    ]
    assert [index for index, answer in enumerate(answers) if "detail" not in answer] == [0, 5, 8]
    assert served.gateway.ledger.read_order(order_id).row.status == "in_transit"


def test_an_empty_list_is_answered_by_one(start: Start) -> None:
    """Nothing told, nothing answered."""
    assert start().call("POST", "/api/v1/events", json=[]).json() == []


def test_what_is_no_list_is_422(start: Start) -> None:
    """A single event goes to its order."""
    reply = start().call("POST", "/api/v1/events", json=COLLECTED)
    assert problem_of(reply)["detail"] == "the body must be a list of events"


# Orders.


def test_an_order_is_shown_masked(start: Start) -> None:
    """Names, phones, addresses and ID numbers of an order and its events are masked; the rest is there."""
    served = start()
    order_id = served.place()
    signer = {"name": EXAMPLE["secret_opens_to"]["receiver"]["name"], "id_no": "500103199001011234"}
    told = {**COLLECTED, "status": "delivered", "signer": signer, "note": "courier 13800138000", "received_by": "self"}
    served.call("POST", events_path(order_id), json=told)
    reply = served.call("GET", f"/api/v1/orders/{order_id}")
    order = reply.json()
    assert (order["portal"], order["portal_ref"], order["status"]) == ("yukuaiban", "YKB20231201000123", "delivered")
    assert order["sender"]["name"] == "周**"
    assert order["sender"]["address"] == "重庆市巴南区****"
    assert order["sender"]["phone"] == "187******69"
    assert order["events"][-1]["signer"]["id_no"] == "500**************4"
    assert [value for value in (*PERSONAL, *signer.values(), "13800138000") if value in reply.text] == []


def test_orders_are_listed_and_narrowed(start: Start) -> None:
    """Portal, status and time narrow the list; a blank parameter is none."""
    served = start()
    order_id = served.place()
    queries = {
        "": 1,
        "?portal=yukuaiban&status=accepted&since=2023-12-01T08:00:00%2B08:00": 1,
        "?portal=&status=&since=&cursor=": 1,
        "?since=2023-12-01T08:00:00+08:00": 1,
        "?portal=court": 0,
        "?status=delivered": 0,
        "?since=2023-12-02T00:00:00Z": 0,
        f"?cursor={order_id}": 0,
    }
    found = {query: len(served.call("GET", f"/api/v1/orders{query}").json()["orders"]) for query in queries}
    assert found == queries


def test_a_listed_order_holds_nothing_personal(start: Start) -> None:
    """The list shows what is in the clear in the ledger."""
    served = start()
    order_id = served.place()
    reply = served.call("GET", "/api/v1/orders")
    assert reply.json() == {
        "orders": [
            {
                "order_id": order_id,
                "portal": "yukuaiban",
                "portal_ref": "YKB20231201000123",
                "backend": "post",
                "status": "accepted",
                "legs": [{"leg": 1, "status": "accepted", "waybill_no": None}],
                "accepted_at": "2023-12-01T00:12:30Z",
                "updated_at": "2023-12-01T00:12:30Z",
            }
        ],
        "cursor": None,
    }


@pytest.mark.parametrize(
    ("query", "field"), [("status=lying", "status"), ("since=yesterday", "since"), ("cursor=1", "cursor")]
)
def test_a_parameter_that_does_not_fit_is_named(start: Start, query: str, field: str) -> None:
    """A 422 names the parameter."""
    problem = problem_of(start().call("GET", f"/api/v1/orders?{query}"))
    assert (problem["status"], problem["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/api/v1/orders/{NOBODYS}", 404),
        ("GET", "/api/v1/elsewhere", 404),
        ("GET", "/api/v1/orders/", 404),
        ("DELETE", "/api/v1/orders", 405),
        ("GET", "/api/v1/events", 405),
    ],
)
def test_every_other_error_is_a_problem_too(start: Start, method: str, path: str, status: int) -> None:
    """What is not there, and what cannot be done with it."""
    assert problem_of(start().call(method, path))["status"] == status


# The page.


def test_the_description_holds_every_call_and_model(start: Start) -> None:
    """openapi.json says what goes in, with all members, and what comes out, problems included."""
    schema = start().call("GET", "/api/v1/openapi.json", token=None).json()
    models = schema["components"]["schemas"]
    calls = {(path, method) for path, methods in schema["paths"].items() for method in methods}
    assert calls == {
        ("/api/v1/orders/{order_id}/events", "post"),
        ("/api/v1/events", "post"),
        ("/api/v1/orders", "get"),
        ("/api/v1/orders/{order_id}", "get"),
    }
    assert set(models["ListedEvent"]["properties"]) - set(models["Event"]["properties"]) == {"order_id"}
    assert models["Event"]["required"] == ["event_id", "occurred_at"]
    refs = {text.partition('"')[0] for text in json.dumps(schema).split('"#/components/schemas/')[1:]}
    assert refs <= set(models)


def test_the_page_needs_nothing_from_elsewhere(start: Start) -> None:
    """The page for people names every call and loads nothing."""
    page = start().call("GET", "/api/v1/docs", token=None)
    assert page.headers["content-type"].startswith("text/html")
    assert [text for text in ("http://", "https://", "<script", "src=", "<link") if text in page.text] == []
    assert "POST /api/v1/orders/{order_id}/events" in page.text
