"""Run Core statements compiled once.

SQLAlchemy prepares every execution anew, which costs about five times what SQLite then does (measured, some 50 µs
against 10). The units of the ledger run a dozen statements an order, always the same ones, so they are compiled once
a dialect and handed to the driver. Types convert both ways as they would through SQLAlchemy.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert
from sqlalchemy.exc import MultipleResultsFound, NoResultFound
from sqlalchemy.sql import ClauseElement

__all__ = ["Prepared", "Rows"]

Parameters = Mapping[str, Any]


class Rows:
    """What a statement returned, as named tuples; each is made when it is asked for."""

    __slots__ = ("_make", "_rows", "rowcount")

    def __init__(self, rows: Sequence[Any], rowcount: int, make: Callable[[Any], Any]) -> None:
        self._rows = rows
        self._make = make
        #: Rows that an UPDATE or DELETE without RETURNING changed.
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return map(self._make, self._rows)

    def all(self) -> list[Any]:
        """Return every row."""
        return list(self)

    def first(self) -> Any:
        """Return the first row, or None."""
        return next(iter(self), None)

    def one_or_none(self) -> Any:
        """Return the only row, or None; raises MultipleResultsFound."""
        if len(self._rows) > 1:
            raise MultipleResultsFound("one row at most was expected")
        return self.first()

    def one(self) -> Any:
        """Return the only row; raises NoResultFound, MultipleResultsFound."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("a row was expected")
        return row

    def scalar(self) -> Any:
        """Return the first value of the first row, or None."""
        first = self.first()
        return None if first is None else first[0]

    def scalar_one(self) -> Any:
        """Return the only row's first value; raises NoResultFound."""
        return self.one()[0]


class Prepared:
    """A statement with named parameters, compiled when it is first run with a set of columns."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, frozenset[str]], _Compiled] = {}

    def on(self, connection: Connection, parameters: Parameters | Sequence[Parameters] = ()) -> Rows:
        """Run on a connection, inside its transaction; a list of parameters runs once for each."""
        many = [parameters] if isinstance(parameters, Mapping) else list(parameters) or [{}]
        compiled = self._for(connection.dialect, frozenset(many[0]))
        cursor = connection.connection.cursor()
        try:
            if len(many) == 1:
                cursor.execute(compiled.text, compiled.bind(many[0]))
            else:
                cursor.executemany(compiled.text, [compiled.bind(each) for each in many])
            rows = cursor.fetchall() if cursor.description else ()
            return Rows(rows, cursor.rowcount, compiled.read)
        finally:
            cursor.close()

    def stream(self, connection: Connection, parameters: Parameters) -> Iterator[Any]:
        """Run a SELECT, and read its rows no further than they are asked for."""
        compiled = self._for(connection.dialect, frozenset(parameters))
        cursor = connection.connection.cursor()
        try:
            for row in cursor.execute(compiled.text, compiled.bind(parameters)):
                yield compiled.read(row)
        finally:
            cursor.close()

    def each(self, connection: Connection, many: Sequence[Parameters]) -> list[int]:
        """Run an UPDATE or DELETE once for each set of parameters; returns how many rows each of them changed."""
        if not many:
            return []
        compiled = self._for(connection.dialect, frozenset(many[0]))
        cursor = connection.connection.cursor()
        try:
            return [cursor.execute(compiled.text, compiled.bind(each)).rowcount for each in many]
        finally:
            cursor.close()

    def _for(self, dialect: Dialect, names: frozenset[str]) -> "_Compiled":
        key = (dialect.name, names)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = _Compiled(self._statement, dialect, names)
        return compiled


class _Compiled:
    def __init__(self, statement: ClauseElement, dialect: Dialect, names: frozenset[str]) -> None:
        table: Any = statement.table if isinstance(statement, Insert) else None
        # Of an INSERT, what is no column is a parameter of its ON CONFLICT.
        columns_given = None if table is None else [name for name in sorted(names) if name in table.c]
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns_given)
        self.text: str = compiled.string
        # Column defaults are filled in by an execution context that we do without.
        defaults = {column.key: column.default.arg for column in getattr(compiled, "insert_prefetch", ())}
        constants = {**compiled.params, **defaults}
        self._names: Sequence[str] = compiled.positiontup or ()
        self._constants = {name: constants.get(name) for name in self._names}
        binding = (compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._names)
        self._to_bind = _processors(binding)
        columns = compiled._result_columns  # noqa: SLF001 - the only place where the result's types stand
        row_type: Any = namedtuple("Row", [column.name for column in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024
        self._make: Callable[[Iterable[Any]], Any] = row_type._make
        reading = (column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns)
        self._to_read = _processors(reading)

    def bind(self, parameters: Parameters) -> list[Any]:
        given = {**self._constants, **parameters}
        values = list(map(given.__getitem__, self._names))
        for place, processor in self._to_bind:
            values[place] = processor(values[place])
        return values

    def read(self, row: Iterable[Any]) -> Any:
        values = list(row)
        for place, processor in self._to_read:
            values[place] = processor(values[place])
        return self._make(values)


def _processors(each: Iterable[Callable[[Any], Any] | None]) -> list[tuple[int, Callable[[Any], Any]]]:
    """Keep those that do something, with the places of their values."""
    return [(place, processor) for place, processor in enumerate(each) if processor is not None]
