"""Documents, requests and replies with something changed: what a careless or hostile sender may send."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from govpost.schemas import WireRequest
from govpost.tests.conformance.subject import Sample

__all__ = [
    "GARBAGE",
    "HOSTILE_BODIES",
    "HOSTILE_TEXTS",
    "Path",
    "beyond",
    "changed",
    "each_leaf",
    "forgeries",
    "hostile_values",
    "is_about",
    "leaves",
    "name_of",
    "objects",
    "relabelled",
    "retold",
    "wire_path",
    "with_value",
    "without",
]

_WORD = re.compile(r"\w+")
#: The value of an attribute. One with a prefix is of another vocabulary than the contract's: SOAP's, XML Schema's.
_ATTRIBUTE = re.compile(rb"""(\s(?!xmlns|version|encoding|standalone)[\w.-]+=["'])[^"'<>]*(["'])""")
#: A text of XML between its tags, which may be escaped: some wires put a document into a string of another.
_TEXT = re.compile(rb"(>|&gt;)[^<>&]+(<|&lt;)")

#: Where a value stands in a JSON document: members' names and items' places.
Path = tuple[str | int, ...]

#: Answers that are no answer.
GARBAGE: tuple[bytes, ...] = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"200"',
    b"0",
    b"[[[[",
    b'{"code":',
    b"\xff\xfe\x00\x80 \x01",
    b"\x00\xff garbage",
    b"<html><body>Bad Gateway</body></html>",
    b'{"code":NaN,"errcode":1e999,"result_code":{}}',
    b"[" * 5000,
    '{"结果":"好"}'.encode("gb18030"),
)

#: Request bodies that are no request.
HOSTILE_BODIES: tuple[bytes, ...] = (
    *GARBAGE,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b'{"a":1,"a":2}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\u0000"}',
    b'{"a":' + b"9" * 5000 + b"}",
    b"a=%ff&a=%zz&=&&",
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    b" " * 100_000,
)

_HOSTILE_ATOMS = (None, 0, -1, 1.5, True, 2**53, -(2**63), 1e300)
_HOSTILE_CONTAINERS: tuple[Any, ...] = ([], {}, [None], {"a": {"b": []}}, [[[[[]]]]])

#: What may stand where a text should, or a code.
HOSTILE_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "x" * 10_000,
    "\x00",
    "\u202e\u0000\ufeff",
    "9999-99-99 99:99:99",
    "0001-01-01T00:00:00+23:59",
    "𠮷" * 60,
    "'; DROP TABLE orders; --",
    "../../etc/passwd",
    "１３８００００００００",
)


def hostile_values(number: int) -> tuple[Any, ...]:
    """Give one of each kind for the place of that number: they take turns."""
    return tuple(kind[number % len(kind)] for kind in (_HOSTILE_ATOMS, _HOSTILE_CONTAINERS, HOSTILE_TEXTS))


def leaves(document: Any, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """List every value of a document that holds no others, with its place."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from leaves(value, (*above, name))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from leaves(value, (*above, place))
    else:
        yield above, document


def each_leaf(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Path, Any]]:
    """Come to every member of all samples once, where it says something."""
    seen: set[str] = set()
    for sample in samples:
        for path, value in leaves(sample.document):
            place = name_of(tuple("*" if isinstance(step, int) else step for step in path))
            if path and place not in seen and value not in (None, ""):
                seen.add(place)
                yield sample, path, value


def objects(document: Any, above: Path = ()) -> Iterator[Path]:
    """List every object of a document by its place, the root first."""
    if isinstance(document, Mapping):
        yield above
        for name, value in document.items():
            yield from objects(value, (*above, name))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from objects(value, (*above, place))


def with_value(document: Any, path: Path, value: Any) -> Any:
    """Copy a document with another value in one place."""
    if not path:
        return value
    copy = deepcopy(document)
    _around(copy, path)[path[-1]] = value
    return copy


def without(document: Any, path: Path) -> Any:
    """Copy a document without one of its members."""
    copy = deepcopy(document)
    del _around(copy, path)[path[-1]]
    return copy


def _around(document: Any, path: Path) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document


def name_of(path: Path) -> str:
    """Write a path as the contracts do: `documents[0].docName`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def wire_path(path: Path) -> str:
    """Write a path as tables and errors have it: `documents[].docName`."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def beyond(rules: Mapping[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
    """Give values that break a rule of size (JSON Schema), made of one that keeps it."""
    if isinstance(value, str) and value:
        longest, shortest = rules.get("maxLength"), rules.get("minLength", 0)
        if longest is not None:
            yield "too long", value + value[-1] * (longest + 1 - len(value))
        if shortest > 1:
            yield "too short", value[: shortest - 1]
    if isinstance(value, int):
        yield from ((f"beyond its {rule}", rules[rule] + step) for rule, step in _BOUNDS.items() if rule in rules)


_BOUNDS = {"maximum": 1, "minimum": -1}


def is_about(path: Path, said: str) -> bool:
    """Tell whether a text names a place: its member, or an object around it."""
    return not set(path).isdisjoint(_WORD.findall(said))


def changed(value: Any) -> Any:
    """Give another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}某"
        case _:
            return "某"


def retold(body: bytes, word: Any) -> bytes | None:
    """Replace every value of a JSON or XML document by one; None where the body is none that holds any."""
    try:
        document = json.loads(body)
    except ValueError:
        text, texts = _TEXT.subn(lambda around: around[1] + str(word).encode() + around[2], body)
        return text if texts else None
    places = [path for path, _ in leaves(document) if path]
    for path in places:
        document = with_value(document, path, word)
    return json.dumps(document, ensure_ascii=False).encode() if places else None


def relabelled(body: bytes, word: Any) -> bytes | None:
    """Replace the value of every attribute of an XML document by one; None where there is none."""
    text, values = _ATTRIBUTE.subn(lambda each: each[1] + str(word).encode("ascii") + each[2], body)
    return text if values else None


def forgeries(request: WireRequest, later: WireRequest, *, flips: int = 16) -> Iterator[tuple[str, WireRequest]]:
    """Change a request in one place at a time: bytes of its body, its headers, headers of a later one put in."""
    body = request.body
    for number in range(flips if body else 0):
        place = number * (len(body) - 1) // (flips - 1)
        flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        yield f"body, byte {place}", replace(request, body=flipped)
    yield "body cut", replace(request, body=body[: len(body) // 2])
    headers = dict(request.headers)
    for name, value in headers.items():
        rest = {each: text for each, text in headers.items() if each != name}
        yield f"header {name} missing", replace(request, headers=rest)
        yield f"header {name} changed", replace(request, headers={**rest, name: _altered(value)})
        yield (
            f"header {name} of a later request",
            replace(request, headers={**rest, name: later.headers.get(name, value)}),
        )


def _altered(value: str) -> str:
    return value[:-1] + ("0" if value[-1:] != "0" else "1")
