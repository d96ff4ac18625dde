"""What counts when the same order comes again (contracts/README: "The same order again")."""

from typing import Any

from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError

__all__ = ["VOLATILE", "drop_empty", "order_content"]

#: When a portal sent an order is no part of what it ordered.
VOLATILE = frozenset({"submitTime", "TJSJ", "submittedAt", "tjsj", "gxsj"})

#: Beyond this, canonical JSON (RFC 8785) has no one form for an integer.
_LARGEST_INTEGER = 2**53 - 1


def order_content(document: JsonObject) -> JsonObject:
    """Reduce an opened business document to what counts: no volatile member at its root, no empty member anywhere.

    Raises MappingError for a number that canonical JSON cannot hold.
    """
    content: JsonObject = drop_empty(document)
    return {name: value for name, value in content.items() if name not in VOLATILE}


def drop_empty(value: Any) -> Any:
    """Leave out members that are null or the empty string, at every depth; items of lists keep their places."""
    if isinstance(value, dict):
        return {name: drop_empty(item) for name, item in value.items() if item is not None and item != ""}
    if isinstance(value, list):
        return [drop_empty(item) for item in value]
    if isinstance(value, int | float) and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
        raise MappingError("", "holds a number that JSON cannot carry exactly")
    return value
