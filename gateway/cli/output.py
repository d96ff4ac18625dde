"""What commands print: a table for people, aligned text for pipes, JSON for programs; personal data masked."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias

import typer
from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from govpost.schemas.identifiers import mask_address, mask_id_no, mask_name, mask_phone

__all__ = ["Columns", "as_text", "masked", "print_facts", "print_json", "print_table", "to_json"]

#: Title → the attribute that fills the column.
Columns: TypeAlias = Mapping[str, str]

_HIDDEN = "***"
#: In whatever describes a person.
_PERSON_MASKS: Mapping[str, Callable[[str], str]] = {
    "name": mask_name,
    "phone": mask_phone,
    "no": mask_id_no,
    "id_no": mask_id_no,
    "street": mask_address,
}
_PERSONS = frozenset({"sender", "recipient", "signer", "may_sign", "may_not_sign"})
#: Free text and pictures: nobody knows what is in them.
_UNREADABLE = frozenset({"remark", "note", "extras", "data", "text"})


def to_json(value: Any) -> Any:
    """Turn rows of the ledger and models into what JSON can say; times as UTC."""
    if isinstance(value, Mapping):
        return {str(to_json(key)): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    return _scalar_to_json(value)


def _scalar_to_json(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump(mode="json")
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Enum():
            return value.value
        case PurePath():
            return str(value)
        case _:
            return value


def masked(value: Any, *, is_person: bool = False) -> Any:
    """Hide what is personal in a JSON document of an order or an event."""
    if isinstance(value, list):
        return [masked(item, is_person=is_person) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _masked_member(name, item, is_person=is_person) for name, item in value.items()}


def _masked_member(name: str, item: Any, *, is_person: bool) -> Any:
    if name in _UNREADABLE and item:
        return _HIDDEN
    if is_person and name in _PERSON_MASKS and isinstance(item, str):
        return _PERSON_MASKS[name](item)
    return masked(item, is_person=is_person or name in _PERSONS)


def print_json(document: Any) -> None:
    """Write one JSON document."""
    typer.echo(json.dumps(to_json(document), ensure_ascii=False, indent=2))


def print_table(rows: Iterable[Any], columns: Columns, *, empty: str) -> None:
    """Write rows under their titles, or the sentence `empty` where there are none."""
    cells = [[as_text(getattr(row, attribute)) for attribute in columns.values()] for row in rows]
    if not cells:
        typer.echo(empty)
    elif sys.stdout.isatty():
        _print_rich(list(columns), cells)
    else:
        _print_lines([list(columns), *cells])


def print_facts(document: Mapping[str, Any]) -> None:
    """Write a document as `path  value` lines, empty members left out."""
    _print_lines([[path, as_text(value)] for path, value in _flat(document)])


def as_text(value: Any) -> str:
    """Say a value in one printable line; times in the local zone."""
    if value is None or (isinstance(value, tuple | Mapping) and not value):
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Mapping):
        return " ".join(f"{as_text(key)}:{as_text(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value.value) if isinstance(value, Enum) else str(value)
    # A far side's text could steer the terminal.
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _flat(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(document, Mapping):
        for name, item in document.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif isinstance(document, list):
        for number, item in enumerate(document, start=1):
            yield from _flat(item, f"{path}.{number}")
    elif document is not None:
        yield path, document


def _print_lines(lines: Sequence[Sequence[str]]) -> None:
    # A Chinese character is two columns wide.
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def _print_rich(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    Console().print(table)
