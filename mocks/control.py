"""The control door of a served mock: what a test does to a mock in another process, as JSON under `/__mock__/`.

=======  ===========================  =====================================================================
method   path                         does
=======  ===========================  =====================================================================
GET      ``/__mock__/state``          counts: ``{"key", "received", "rejected", "faults_drawn", "rates", …}``
GET      ``/__mock__/orders``         what the mock knows of each order
GET      ``/__mock__/rejected``       the newest requests that did not fit: ``[{"path", "where", "reason"}]``
POST     ``/__mock__/faults``         ``{"rates"?: {kind: p}, "seconds"?: {kind: s}, "next"?: [{"kind", "times"?, …}]}``
DELETE   ``/__mock__/faults``         nothing goes wrong any more
POST     ``/__mock__/reset``          forget everything
POST     ``/__mock__/do/<action>``    one of the mock's own actions, keyword arguments as a JSON object
=======  ===========================  =====================================================================
"""

import json
from collections.abc import Callable
from typing import Any

from govpost.mocks.base import JsonObject, Mock, UnfitError, json_reply, load_json_object
from govpost.schemas import WireReply, WireRequest

__all__ = ["PREFIX", "control"]

PREFIX = "/__mock__/"
_ACTION = f"{PREFIX}do/"
_SCRIPT_MEMBERS = {"times", "seconds", "status"}


def control(mock: Mock, request: WireRequest) -> WireReply:
    """Do what a request to the control door asks; 400 or 404 with the reason where it cannot be done."""
    try:
        if request.method == "POST" and request.path.startswith(_ACTION):
            return json_reply(200, _act(mock, request))
        return json_reply(200, _DOORS.get((request.method, request.path), _no_door)(mock, request))
    except UnfitError as error:
        return json_reply(int(error.code), {"where": error.where, "reason": error.reason})


def _no_door(_: Mock, __: WireRequest) -> JsonObject:
    known = ", ".join(f"{method} {path}" for method, path in _DOORS)
    raise UnfitError("path", f"is none of {known}, POST {_ACTION}<action>", code="404")


def _state(mock: Mock, _: WireRequest) -> JsonObject:
    return {
        "key": mock.key,
        "received": mock.received,
        "rejected": len(mock.rejected),
        "faults_drawn": dict(mock.plan.drawn),
        "rates": mock.plan.rates,
        **mock.state(),
    }


def _orders(mock: Mock, _: WireRequest) -> JsonObject:
    return mock.report()


def _rejected(mock: Mock, _: WireRequest) -> list[JsonObject]:
    return [{"path": each.request.path, "where": each.where, "reason": each.reason} for each in list(mock.rejected)]


def _set_faults(mock: Mock, request: WireRequest) -> JsonObject:
    wanted = load_json_object(request.body)
    try:
        if "rates" in wanted or "seconds" in wanted:
            mock.plan.set_rates(wanted.get("rates", mock.plan.rates), seconds=wanted.get("seconds"))
        for scripted in wanted.get("next", ()):
            mock.plan.next(scripted["kind"], **{name: scripted[name] for name in scripted.keys() & _SCRIPT_MEMBERS})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnfitError("body", f"is not a set of faults ({type(error).__name__}: {error})") from None
    return {"rates": mock.plan.rates}


def _clear_faults(mock: Mock, _: WireRequest) -> JsonObject:
    mock.plan.clear()
    return {"rates": {}}


def _reset(mock: Mock, _: WireRequest) -> JsonObject:
    mock.reset()
    return {}


def _act(mock: Mock, request: WireRequest) -> Any:
    name = request.path.removeprefix(_ACTION)
    action = mock.actions().get(name)
    if action is None:
        known = ", ".join(mock.actions()) or "it has none"
        raise UnfitError("path", f"names no action of this mock ({known})", code="404")
    arguments = load_json_object(request.body or b"{}")
    try:
        outcome = action(**arguments)
        json.dumps(outcome)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise UnfitError("action", f"cannot be done ({type(error).__name__})") from error
    return outcome


_DOORS: dict[tuple[str, str], Callable[[Mock, WireRequest], Any]] = {
    ("GET", f"{PREFIX}state"): _state,
    ("GET", f"{PREFIX}orders"): _orders,
    ("GET", f"{PREFIX}rejected"): _rejected,
    ("POST", f"{PREFIX}faults"): _set_faults,
    ("DELETE", f"{PREFIX}faults"): _clear_faults,
    ("POST", f"{PREFIX}reset"): _reset,
}
