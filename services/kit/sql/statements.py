"""Statements as PostgreSQL takes them: compiled by SQLAlchemy, once for each shape, and numbered parameters."""

import re
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from sqlalchemy import Executable, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.util import LRUCache

R = TypeVar("R", bound=tuple[Any, ...])

MAX_SHAPES = 1_000  # of statements that are built at run time
MAX_PARAMETERS = 100  # of a statement that is worth preparing
_PLACEHOLDER = re.compile(r"%%|%\((\w+)\)s(::)?")
_dialect: Any = PGDialect_psycopg(dbapi=psycopg)  # type: ignore[no-untyped-call]
_shapes: LRUCache[Any, Any] = LRUCache(MAX_SHAPES)


class Shape:
    """SQL with `$1` for its parameters, and how their values are found and rows are made."""

    def __init__(self, sql: str, processors: Mapping[str, Callable[[Any], Any]], *, prepared: bool = True) -> None:
        self.names: dict[str, int] = {}  # of the parameters, with their numbers
        self._uncast: set[str] = set()
        self.text = _PLACEHOLDER.sub(self._number, sql)
        self.sql = self.text.encode()
        self.processors = [(name, run) for name, run in processors.items() if name in self.names]
        # The server finds the type of a parameter that the statement casts; of others it is the driver's.
        self.uncast = {place for place, name in enumerate(self.names) if name in self._uncast}
        self.prepared = prepared and len(self.names) <= MAX_PARAMETERS
        self.binary = False  # whether rows come in PostgreSQL's binary format
        self.make_row: Callable[[Any], Any] | None = None
        self.width = 0  # columns for which `make_row` was made: a migration adds one to each `SELECT *`
        self.keys: SimpleResultMetaData | None = None  # of rows of `AsyncConnection.execute`

    def rows_named(self, columns: list[str]) -> Callable[[Any], Any]:
        self.make_row = partial(tuple.__new__, namedtuple("Row", columns, rename=True))
        self.width = len(columns)
        return self.make_row

    def _number(self, found: re.Match[str]) -> str:
        name, cast = found.groups()
        if name is None:
            return "%"
        number = self.names.setdefault(name, len(self.names) + 1)
        if not cast:
            self._uncast.add(name)
        return f"${number}{cast or ''}"

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        if not self.processors:
            return [parameters[name] for name in self.names]
        processed = dict(parameters)
        for name, run in self.processors:
            processed[name] = run(processed[name])
        return [processed[name] for name in self.names]


class Bound(NamedTuple):
    """A statement with the values of its parameters."""

    shape: Shape
    values: list[Any]


class Statement(Generic[R]):
    """A statement compiled once, at import, whose rows are of the named tuple `row`.

    The columns have to be the fields of `row`, in order: one that was renamed fails the import. Parameters are the
    statement's `bindparam`s; a text has `:name` instead. Rows without a type are named tuples by what the server says.
    """

    def __init__(self, statement: Executable | str, row: type[R] | None = None) -> None:
        query: Any = text(statement) if isinstance(statement, str) else statement
        compiled = query.compile(dialect=_dialect)
        self._fixed = {name: bound.value for bound, name in compiled.bind_names.items() if not bound.required}
        self.shape = Shape(str(compiled), compiled._bind_processors)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError(f"IN over a list changes with the list; use one_of: {compiled}")
        if row is not None:
            columns = tuple(column.keyname for column in compiled._result_columns)
            fields = row._fields  # type: ignore[attr-defined]
            if columns and columns != fields:
                raise TypeError(f"{row.__name__} has the fields {fields}, its statement the columns {columns}")
            self.shape.make_row = partial(tuple.__new__, row)
            self.shape.binary = bool(columns)

    def bind(self, **parameters: Any) -> Bound:
        """Raises KeyError for a parameter that is missing."""
        return Bound(self.shape, self.shape.values({**self._fixed, **parameters} if self._fixed else parameters))


def bind(statement: Executable, parameters: Mapping[str, Any] | None = None) -> Bound:
    """Compiles a statement that was built at run time, unless one of its shape was compiled before."""
    keys = sorted(parameters) if parameters else []
    compiled: Any
    compiled, extracted, collected, _ = statement._compile_w_cache(_dialect, compiled_cache=_shapes, column_keys=keys)
    values = compiled.construct_params(parameters, extracted, _collected_params=collected)
    for column in (*(compiled.insert_prefetch or ()), *(compiled.update_prefetch or ())):  # a default in Python
        values[compiled._within_exec_param_key_getter(column)] = column.default.arg(None)
    if compiled.post_compile_params or compiled.literal_execute_params:
        expanded = compiled._process_parameters_for_postcompile(values)
        shape = Shape(expanded.statement, {**compiled._bind_processors, **expanded.processors}, prepared=False)
        shape.make_row = tuple
        return Bound(shape, shape.values(expanded.parameters))
    shape = compiled.__dict__.get("shape")
    if shape is None:
        shape = compiled.__dict__["shape"] = Shape(str(compiled), compiled._bind_processors)
        shape.make_row = tuple
    return Bound(shape, shape.values(values))
