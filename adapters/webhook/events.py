"""Read what a backend says happened (contract: webhook, backend → gateway)."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from govpost.adapters.fields import as_path
from govpost.adapters.protocols.content import drop_empty
from govpost.adapters.protocols.shanghai import RFC3339
from govpost.schemas import Event, Status
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError
from govpost.schemas.identifiers import OrderId, check_order_id

__all__ = ["parse_event", "parse_listed_event"]

#: Members of Event that only we may set.
_OURS = ("cause", "raw_code", "revokes_code", "kept_proof")

_KNOWN_STATUSES = frozenset(Status)

#: The one rule at the root is that an event must say something; a raw code is an unknown status.
_PATHS = {"": "status", "raw_code": "status"}

_REASONS = {"missing": "is missing", "extra_forbidden": "is not a member of an event"}


def parse_event(document: JsonObject) -> Event:
    """Check one event; null and empty members count as missing.

    A status that is not in the vocabulary becomes `unknown` with the code kept. Raises MappingError with the path
    of the member at fault and a reason that holds no value.
    """
    members = drop_empty(document)
    for name in _OURS:
        if name in members:
            raise MappingError(name, _REASONS["extra_forbidden"])
    try:
        return Event.model_validate({**members, **dict(_read_members(members))})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        reason = _REASONS.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
        path = as_path(first["loc"])
        raise MappingError(_PATHS.get(path, path), reason) from None


def parse_listed_event(document: Any) -> tuple[OrderId, Event]:
    """Check one item of a list, which says its order too; raises MappingError as `parse_event` does."""
    if not isinstance(document, dict):
        raise MappingError("", "must be an object")
    order_id = document.get("order_id")
    if not isinstance(order_id, str):
        raise MappingError("order_id", "is missing" if order_id is None else "must be text")
    try:
        checked = check_order_id(order_id)
    except ValueError as error:
        raise MappingError("order_id", str(error)) from None
    return checked, parse_event({name: value for name, value in document.items() if name != "order_id"})


def _read_members(members: JsonObject) -> Iterator[tuple[str, Any]]:
    """Read what the model would take too lightly: times that are numbers, Base64 with strangers in it."""
    if "occurred_at" in members:
        yield "occurred_at", _occurred_at(members["occurred_at"])
    status = members.get("status")
    if isinstance(status, str) and status not in _KNOWN_STATUSES:
        yield from (("status", Status.UNKNOWN), ("raw_code", status))
    _check_proof(members.get("proof"))


def _occurred_at(value: Any) -> Any:
    try:
        return RFC3339.decode(value)
    except ValueError as error:
        raise MappingError("occurred_at", str(error)) from None


def _check_proof(proof: Any) -> None:
    if not isinstance(proof, list):
        return
    for index, item in enumerate(proof):
        data = item.get("data") if isinstance(item, dict) else None
        if isinstance(data, str) and not _is_base64(data):
            raise MappingError(f"proof[{index}].data", "is not Base64")


def _is_base64(value: str) -> bool:
    try:
        b64decode(value, validate=True)
    except ValueError:
        return False
    return True
