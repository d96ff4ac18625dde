"""Mapping as data: a table of fields, read in both directions.

A wire path names members by dots and the items of a list by `[]` (`documents[].docType`), an order path the same
(`items[].type`). A path that ends in `[]` stands for the list itself; a codec may also take a whole list or object.
What a table cannot say (a rule between two members) is the adapter's.

Everywhere null, the empty and the blank text count as missing. Errors are MappingErrors: on the way in their paths
are the wire's, on the way out the order's.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import takewhile
from typing import Any, Generic, NamedTuple, NoReturn, Protocol, TypeVar

from pydantic import ValidationError

from govpost.schemas import OrderContent
from govpost.schemas.documents import JsonObject
from govpost.schemas.errors import MappingError, UnsupportedFeatureError

__all__ = [
    "BOOLEAN",
    "CodeTable",
    "Codec",
    "Field",
    "as_path",
    "build_order",
    "counted",
    "integer",
    "order_to_wire",
    "text",
    "wire_to_order",
]

Ours = TypeVar("Ours")

#: Members of an order that are ours alone: a system has words for them or not.
_OUR_OWN = frozenset({"order_id", "portal", "accepted_at", "extras"})

#: What may be quoted in an error: too short and plain to be anybody's name, phone or number.
_QUOTABLE = re.compile(r"[A-Za-z0-9_.-]{1,8}")


class Codec(Protocol):
    """How one value is written; both ways raise ValueError with a reason that never holds the value."""

    def decode(self, value: Any) -> Any:
        """Read the wire's value."""
        ...

    def encode(self, value: Any) -> Any:
        """Write ours."""
        ...


@dataclass(frozen=True, slots=True)
class _Checked:
    """Values that are the same on both sides."""

    decode: Callable[[Any], Any]

    def encode(self, value: Any) -> Any:
        return value


def text(most: int = 100, *, least: int = 1, pattern: str | None = None, rule: str = "") -> Codec:
    """Take a text of so many characters; `rule` says in words what the pattern wants."""
    fits = re.compile(pattern).fullmatch if pattern else None

    def decode(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be text")  # noqa: TRY004 - codecs raise ValueError
        if len(value) > most:
            raise ValueError(f"is longer than {most} characters")
        if len(value) < least:
            raise ValueError(f"is shorter than {least} characters")
        if fits and not fits(value):
            raise ValueError(rule or "has the wrong form")
        return value

    return _Checked(decode)


def integer(least: int, most: int) -> Codec:
    """Take a JSON integer within bounds; neither true nor 1.0 is one."""

    def decode(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be an integer")  # noqa: TRY004 - codecs raise ValueError
        if not least <= value <= most:
            raise ValueError(f"must be {least} to {most}")
        return value

    return _Checked(decode)


def counted(least: int, most: int) -> Codec:
    """Take a list of so many items; for a path that ends in `[]`."""

    def decode(value: Any) -> list[Any]:
        if not least <= len(value) <= most:
            raise ValueError(f"must have {least} to {most} items")
        return list(value)

    return _Checked(decode)


def _decode_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - codecs raise ValueError
    return value


#: JSON true and false; a wire that writes them as text has a CodeTable.
BOOLEAN: Codec = _Checked(_decode_boolean)


@dataclass(frozen=True, eq=False)
class CodeTable(Generic[Ours]):
    """Their codes and our words. Where several codes mean one word, the first is what we say."""

    ours: Mapping[str, Ours]

    @cached_property
    def theirs(self) -> Mapping[Ours, str]:
        """Our words and the codes we say for them."""
        return {word: code for code, word in reversed(tuple(self.ours.items()))}

    def get(self, code: Any) -> Ours | None:
        """Look a code up where an unknown one is no error (events, answers)."""
        return self.ours.get(code) if isinstance(code, str) else None

    def decode(self, value: Any) -> Ours:
        """Read a code; raises ValueError for an unknown one, and quotes it where it is short and plain."""
        if not isinstance(value, str):
            raise ValueError("must be a code in text")  # noqa: TRY004 - codecs raise ValueError
        try:
            return self.ours[value]
        except KeyError:
            raise ValueError(f"unknown code{_quoted(value)}") from None

    def encode(self, value: Ours) -> str:
        """Write a code; raises ValueError where this system has none."""
        try:
            return self.theirs[value]
        except KeyError:
            raise ValueError("has no code in this system") from None


def _quoted(value: str) -> str:
    return f" {value}" if _QUOTABLE.fullmatch(value) else ""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One value: where it stands on the wire, where in the order, and how it is written.

    Equal only to itself, so that finding a compiled table costs next to nothing.
    """

    wire_path: str
    order_path: str
    codec: Codec = field(default_factory=text)
    #: Whether the wire must have it. A required member requires the objects around it, but not the list it is in.
    required: bool = True


# --- The table as a tree of the wire ---------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where a value goes within its order or list item."""

    parents: tuple[str, ...]
    name: str


@dataclass(slots=True)
class _Leaf:
    field: Field
    wire_path: str
    place: _Place


@dataclass(slots=True)
class _Object:
    wire_path: str
    members: "dict[str, _Leaf | _Object | _List]" = field(default_factory=dict)
    required: tuple[str, ...] = ()


@dataclass(slots=True)
class _List:
    wire_path: str
    place: _Place
    item: _Object
    whole: Field | None = None


class _Row(NamedTuple):
    """A field with what is left of its paths at some depth of the tree."""

    wire: str
    order: str
    field: Field


@dataclass(frozen=True, slots=True)
class _Table:
    """A compiled tuple of fields."""

    root: _Object
    #: Order path, or the beginning of some, → wire path.
    wire_paths: Mapping[str, str]
    order_paths: frozenset[str]


@cache
def _compile(fields: tuple[Field, ...]) -> _Table:
    return _Table(
        root=_object("", [_Row(each.wire_path, each.order_path, each) for each in fields]),
        wire_paths=_wire_paths(fields),
        order_paths=frozenset(each.order_path.removesuffix("[]") for each in fields if each.order_path[-2:] != "[]"),
    )


def _object(wire_path: str, rows: list[_Row]) -> _Object:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.wire.partition(".")[0], []).append(row)
    members = {head.removesuffix("[]"): _member(wire_path, head, group) for head, group in groups.items()}
    required = (head.removesuffix("[]") for head, group in groups.items() if any(map(_requires, group)))
    return _Object(wire_path, members, tuple(required))


def _requires(row: _Row) -> bool:
    """Say whether a field wants what is around it: what is required of a list's items does not require the list."""
    return row.field.required and "[]." not in row.wire


def _member(above: str, head: str, rows: list[_Row]) -> _Leaf | _Object | _List:
    wire_path = f"{above}.{head}" if above else head
    if head.endswith("[]"):
        return _list(wire_path, rows)
    if rows[0].wire == head:
        return _Leaf(rows[0].field, wire_path, _place(rows[0].order))
    return _object(wire_path, [row._replace(wire=row.wire.partition(".")[2]) for row in rows])


def _list(wire_path: str, rows: list[_Row]) -> _List:
    whole = next((row.field for row in rows if row.wire.endswith("[]") and "." not in row.wire), None)
    inner = [
        _Row(row.wire.partition(".")[2], row.order.partition("[].")[2], row.field) for row in rows if "." in row.wire
    ]
    return _List(wire_path, _place(rows[0].order.partition("[]")[0]), _object(wire_path, inner), whole)


def _place(order_path: str) -> _Place:
    *parents, name = order_path.split(".")
    return _Place(tuple(parents), name)


def _wire_paths(fields: tuple[Field, ...]) -> dict[str, str]:
    """Name for each order path its wire path, and for what lies around several what lies around theirs."""
    around: dict[str, list[list[str]]] = {}
    for each in fields:
        parts = each.order_path.split(".")
        for end in range(1, len(parts)):
            around.setdefault(".".join(parts[:end]), []).append(each.wire_path.split("."))
    paths = {order: _around(wires) for order, wires in around.items()}
    paths |= {each.order_path: each.wire_path for each in fields}
    return {path.removesuffix("[]"): wire_path for path, wire_path in paths.items()} | paths


def _around(wires: list[list[str]]) -> str:
    """Name the innermost wire object that holds all of these members."""
    levels = zip(*(wire[:-1] for wire in wires), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def as_path(loc: tuple[int | str, ...]) -> str:
    """Write a pydantic location as a path: `("items", 0, "name")` is `items[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


# --- Wire to order ---------------------------------------------------------------------------------------------


def build_order(fields: tuple[Field, ...], document: JsonObject) -> OrderContent:
    """Translate a portal's document to a checked order.

    Raises MappingError with the wire's path and a reason that holds no value.
    """
    members = wire_to_order(fields, document)
    try:
        return OrderContent.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        reason = _REASONS.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
        raise MappingError(_wire_path(fields, first["loc"]), reason) from None


_REASONS = {"missing": "is missing"}


def wire_to_order(fields: tuple[Field, ...], document: JsonObject) -> JsonObject:
    """Translate a document to the members of an order, not checked as a whole yet.

    Members that the table does not name go to `extras`, under the paths they have on the wire. Raises MappingError.
    """
    order: JsonObject = {}
    extras = _read_object(_compile(fields).root, document, order, ())
    if extras:
        order["extras"] = extras
    return order


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def _read_object(node: _Object, document: JsonObject, order: JsonObject, indexes: tuple[int, ...]) -> JsonObject:
    """Read the members into `order` and give back those that the table does not name."""
    for name in node.required:
        if _is_missing(document.get(name)):
            _refuse(f"{node.wire_path}.{name}" if node.wire_path else name, "is missing", indexes)
    extras: JsonObject = {}
    for name, value in document.items():
        if _is_missing(value):
            continue
        member = node.members.get(name)
        if isinstance(member, _Leaf):
            _put(order, member.place, _decoded(member.field.codec, value, member.wire_path, indexes))
            continue
        unnamed = value if member is None else _read_container(member, value, order, indexes)
        if member is None or unnamed:
            extras[name] = unnamed
    return extras


def _read_container(node: _Object | _List, value: Any, order: JsonObject, indexes: tuple[int, ...]) -> Any:
    if isinstance(node, _List):
        return _read_list(node, value, order, indexes)
    if not isinstance(value, dict):
        _refuse(node.wire_path, "must be an object", indexes)
    return _read_object(node, value, order, indexes)


def _read_list(node: _List, value: Any, order: JsonObject, indexes: tuple[int, ...]) -> list[JsonObject]:
    """Read the items and give back what the table does not name: an object for each item, or nothing at all."""
    list_path = node.wire_path.removesuffix("[]")
    if not isinstance(value, list):
        _refuse(list_path, "must be a list", indexes)
    if node.whole:
        _decoded(node.whole.codec, value, list_path, indexes)
    rows: list[JsonObject] = [{} for _ in value]
    unnamed = [
        _read_item(node, item, row, (*indexes, index))
        for index, (item, row) in enumerate(zip(value, rows, strict=True))
    ]
    _put(order, node.place, rows)
    return unnamed if any(unnamed) else []


def _read_item(node: _List, item: Any, row: JsonObject, indexes: tuple[int, ...]) -> JsonObject:
    if not isinstance(item, dict):
        _refuse(node.wire_path, "must be an object", indexes)
    return _read_object(node.item, item, row, indexes)


def _put(order: JsonObject, place: _Place, value: Any) -> None:
    for parent in place.parents:
        order = order.setdefault(parent, {})
    order[place.name] = value


def _decoded(codec: Codec, value: Any, wire_path: str, indexes: tuple[int, ...]) -> Any:
    try:
        return codec.decode(value)
    except ValueError as error:
        _refuse(wire_path, str(error), indexes)


def _refuse(wire_path: str, reason: str, indexes: tuple[int, ...]) -> NoReturn:
    raise MappingError(_indexed(wire_path, indexes), reason) from None


def _indexed(path: str, indexes: tuple[int, ...]) -> str:
    for index in indexes:
        path = path.replace("[]", f"[{index}]", 1)
    return path.removesuffix("[]")


def _wire_path(fields: tuple[Field, ...], loc: tuple[int | str, ...]) -> str:
    """Find the wire's path for a pydantic location, or for the nearest thing around it that the table knows."""
    wire_paths = _compile(fields).wire_paths
    indexes = tuple(part for part in loc if isinstance(part, int))
    order_path = "".join("[]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    while order_path and order_path not in wire_paths:
        order_path = order_path.rpartition(".")[0]
    return _indexed(wire_paths.get(order_path, ""), indexes)


# --- Order to wire ---------------------------------------------------------------------------------------------


def order_to_wire(
    fields: tuple[Field, ...],
    order: OrderContent,
    *,
    unsaid: Collection[str] = (),
    keep_extras: bool = False,
) -> JsonObject:
    """Translate an order to a document, its members in the order of the table.

    Raises UnsupportedFeatureError with the order's path for a set field that the table does not name, unless it
    lies under one of `unsaid` (order paths that the contract has no need of), and MappingError where the wire
    requires what the order has not. With `keep_extras` what came from this very wire goes back in its place.
    """
    table = _compile(fields)
    known = {*table.order_paths, *unsaid}
    beneath = tuple(f"{path}{mark}" for path in known for mark in ".[")
    for path in _set_paths(order.model_dump(exclude_none=True, exclude_defaults=True)):
        if path not in known and not path.startswith(beneath):
            raise UnsupportedFeatureError(path, "this system has no words for it")
    document = _write_object(table.root, order.model_dump(exclude_none=True))
    return _merged(document, order.extras) if keep_extras else document


def _set_paths(members: JsonObject, above: str = "") -> Iterator[str]:
    """List the paths of all values that are set, lists' items as `[]`."""
    for name, value in members.items():
        path = f"{above}{name}"
        if path in _OUR_OWN:
            continue
        if isinstance(value, dict):
            yield from _set_paths(value, f"{path}.")
        elif isinstance(value, list | tuple):
            for item in value:
                yield from _set_paths(item, f"{path}[].") if isinstance(item, dict) else (path,)
        else:
            yield path


def _write_object(node: _Object, source: JsonObject) -> JsonObject:
    document: JsonObject = {}
    for name, member in node.members.items():
        value = _written(member, source)
        if value not in (None, {}, []):
            document[name] = value
    return document


def _written(member: _Leaf | _Object | _List, source: JsonObject) -> Any:
    if isinstance(member, _Object):
        return _write_object(member, source)
    value = _dig(source, member.place)
    if isinstance(member, _List):
        return [_write_object(member.item, item) for item in value or ()]
    if value is None:
        return _absent(member.field)
    try:
        return member.field.codec.encode(value)
    except ValueError as error:
        raise UnsupportedFeatureError(member.field.order_path, str(error)) from None


def _absent(missing: Field) -> None:
    if missing.required:
        raise MappingError(missing.order_path, "is missing, and this system requires it")


def _dig(source: JsonObject, place: _Place) -> Any:
    for parent in place.parents:
        source = source.get(parent, {})
    return source.get(place.name)


def _merged(document: Any, extras: Any) -> Any:
    if isinstance(document, dict) and isinstance(extras, dict):
        return document | {name: _merged(document.get(name, value), value) for name, value in extras.items()}
    if isinstance(document, list) and isinstance(extras, list) and len(document) == len(extras):
        return [_merged(item, unnamed) for item, unnamed in zip(document, extras, strict=True)]
    return document
