"""Runs statements by psycopg: each in one round trip, the begin of its transaction included."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple, overload

import psycopg
from psycopg import generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format
from sqlalchemy import Executable
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import TypedReturnsRows

from services.kit import telemetry
from services.kit.sql.pool import Link, Prepared
from services.kit.sql.statements import Bound, Shape, Statement, bind

R = TypeVar("R", bound=tuple[Any, ...])
Ts = TypeVarTuple("Ts")
Watcher = Callable[[Bound], None]

MAX_SQL = 2_000  # characters of a statement in the text of its error
MAX_PREPARED = 300  # statements of one connection


class Result(IteratorResult[*Ts]):
    """The rows of a statement, as SQLAlchemy hands them out."""

    rowcount: int
    returns_rows: bool


class AsyncConnection:
    """A connection in the hands of one task. Without a transaction each statement commits by itself."""

    def __init__(
        self, link: Link, watchers: Sequence[Watcher], callbacks: list[Callable[[], object]] | None = None
    ) -> None:
        """`callbacks` run after the commit of a transaction; None for a connection without one."""
        self._link, self._watchers, self.callbacks = link, watchers, callbacks
        self._begin = callbacks is not None  # whether BEGIN is still to be sent
        self.lost = False

    @overload
    async def execute(
        self, statement: TypedReturnsRows[*Ts], parameters: Mapping[str, Any] | None = None
    ) -> Result[*Ts]: ...

    @overload
    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Result[*tuple[Any, ...]]: ...

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[*tuple[Any, ...]]:
        """Runs a statement that was built at run time; with a list of parameters, once for each.

        Raises SQLAlchemy's errors.
        """
        if isinstance(parameters, Sequence):
            bound = [bind(statement, each) for each in parameters]
        else:
            bound = [bind(statement, parameters)]
        (*_, (shape, rows, result)) = await self._run(bound)
        if shape.keys is None or len(shape.keys._keys) != result.nfields:
            shape.keys = SimpleResultMetaData(_names(result))
        answer: Result[*tuple[Any, ...]] = Result(shape.keys, iter(rows))
        answer.returns_rows = result.status == ExecStatus.TUPLES_OK
        answer.rowcount = result.command_tuples or 0
        return answer

    async def fetch(self, statement: Statement[R], **parameters: Any) -> list[R]:
        """The rows of a statement that was compiled at import. Raises SQLAlchemy's errors."""
        ((_, rows, _),) = await self._run([statement.bind(**parameters)])
        return rows

    async def fetch_one(self, statement: Statement[R], **parameters: Any) -> R | None:
        rows = await self.fetch(statement, **parameters)
        return rows[0] if rows else None

    async def fetch_each(self, *bound: Bound) -> list[list[Any]]:
        """The rows of several statements, which travel in one round trip, so that none can use another's result."""
        return [rows for _, rows, _ in await self._run(bound)]

    async def commit(self) -> None:
        await self._end(b"COMMIT")

    async def rollback(self) -> None:
        await self._end(b"ROLLBACK")

    def invalidate(self) -> None:
        """Ends the session, and with it what it locked."""
        self._link.driver.pgconn.finish()

    async def _end(self, command: bytes) -> None:
        if self._link.idle:
            return
        try:
            self._link.driver.pgconn.send_query(command)
            for result in await self._link.driver.wait(generators.execute(self._link.driver.pgconn)):
                _check(result)
        except psycopg.Error as error:
            raise self._translated(command.decode(), error) from error

    async def _run(self, bound: Sequence[Bound]) -> list[tuple[Shape, list[Any], Any]]:
        for watch in self._watchers:
            for each in bound:
                watch(each)
        span = telemetry.statement_span(*(shape.text for shape, _ in bound))
        try:
            return await self._link.driver.wait(_exchange(self._link, bound, self._begin))
        except psycopg.Error as error:
            if span:
                telemetry.fail(span, error)
            raise self._translated(";\n".join(shape.text for shape, _ in bound), error) from error
        finally:
            self._begin = False
            if span:
                span.end()

    def _translated(self, sql: str, error: psycopg.Error) -> DBAPIError:
        self.lost = self._link.driver.pgconn.status != ConnStatus.OK
        if "cached plan must not change" in str(error):  # a migration came: new connections prepare statements anew
            self.lost, error = True, psycopg.OperationalError(str(error))
        return translated(sql, error)


def translated(sql: str, error: psycopg.Error) -> DBAPIError:
    """SQLAlchemy's error for the driver's, without the values: its text is logged."""
    found = DBAPIError.instance(sql[:MAX_SQL], None, error, psycopg.Error, hide_parameters=True)
    assert isinstance(found, DBAPIError)
    return found


def _exchange(link: Link, bound: Sequence[Bound], begin: bool) -> Generator[Any, Any, list[tuple[Shape, Any, Any]]]:
    """Sends the statements at once and reads what comes back. After the first error the server skips the others."""
    sends = [_Send(link, *each) for each in bound]
    pgconn = link.driver.pgconn
    if len(sends) == 1 and not begin and not sends[0].is_new:
        sends[0].send()
        results = yield from generators.execute(pgconn)
        return [sends[0].read(results[-1])]
    pgconn.enter_pipeline_mode()
    if begin:
        pgconn.send_query_params(b"BEGIN", None)
    for each in sends:
        each.prepare()
        each.send()
    pgconn.pipeline_sync()
    answers = iter((yield from _until_sync(pgconn)))
    pgconn.exit_pipeline_mode()
    if begin:
        _check(next(answers))
    return [each.read_after_preparing(answers) for each in sends]


def _until_sync(pgconn: Any) -> Generator[Any, Any, list[Any]]:
    yield from generators.send(pgconn)
    results: list[Any] = []
    while True:
        result = yield from generators.fetch(pgconn)
        if result is None:  # the end of one command
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)


def _check(result: Any) -> None:
    if result.status == ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result)


class _Send:
    """One statement on its way over one connection.

    Values travel as text, so that one prepared statement serves for numbers of any size.
    """

    def __init__(self, link: Link, shape: Shape, values: list[Any]) -> None:
        self._link, self._shape, self._values = link, shape, None
        self._types: tuple[int, ...] = ()
        if values:
            self._values = link.dumper.dump_sequence(values, [PyFormat.TEXT] * len(values))
            if shape.uncast and (types := link.dumper.types):
                self._types = tuple(types[place] if place in shape.uncast else 0 for place in range(len(values)))
        self._key = (shape.sql, shape.binary, self._types)
        self._prepared = link.prepared.get(self._key)
        self.is_new = self._prepared is None and shape.prepared and len(link.prepared) < MAX_PREPARED

    def prepare(self) -> None:
        if self.is_new:
            self._prepared = Prepared(self._link.new_name(), Transformer(self._link.driver))
            self._link.driver.pgconn.send_prepare(self._prepared.name, self._shape.sql, self._types)

    def send(self) -> None:
        pgconn, format = self._link.driver.pgconn, Format.BINARY if self._shape.binary else Format.TEXT
        if self._prepared:
            pgconn.send_query_prepared(self._prepared.name, self._values, result_format=format)
        else:
            types = self._types or None
            pgconn.send_query_params(self._shape.sql, self._values, param_types=types, result_format=format)

    def read_after_preparing(self, results: Iterator[Any]) -> tuple[Shape, Any, Any]:
        if self.is_new:
            _check(next(results))
            assert self._prepared
            self._link.prepared[self._key] = self._prepared
        return self.read(next(results))

    def read(self, result: Any) -> tuple[Shape, Any, Any]:
        _check(result)
        if not result.nfields:
            return self._shape, [()] * result.ntuples, result
        loader, is_known = Transformer(self._link.driver), False
        if self._prepared:
            loader, is_known = self._prepared.loader, self._prepared.is_loaded
            self._prepared.is_loaded = True
        loader.set_pgresult(result, set_loaders=not is_known)
        make_row = self._shape.make_row if self._shape.width in (0, result.nfields) else None
        make_row = make_row or self._shape.rows_named(_names(result))
        return self._shape, loader.load_rows(0, result.ntuples, make_row), result


def _names(result: Any) -> list[str]:
    return [result.fname(column).decode() for column in range(result.nfields)]
