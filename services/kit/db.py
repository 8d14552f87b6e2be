"""PostgreSQL: one pool per process, one transaction per write."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, cast

import structlog
from prometheus_client import Gauge
from sqlalchemy import ARRAY, ColumnElement, Connection, Engine, ExceptionContext, any_, bindparam, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.kit import telemetry
from services.kit.config import ServiceSettings
from services.kit.ids import NODE_BITS
from services.kit.overload.admission import HERE

POOL_TIMEOUT = 1.5  # seconds to wait for a connection before answering 503
CONNECT = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "tcp_user_timeout": 5_000,
    # Without these limits a statement would hold locks after its caller has given up.
    "options": "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000",
}
AFTER_COMMIT = "after_commit"  # key in a connection's `info` for the callbacks of its transaction
POOL_SIZE = Gauge("hitok_pool_size", "Connections to Postgres at most")
POOL_IN_USE = Gauge("hitok_pool_in_use", "Connections to Postgres that transactions hold")
POOL_WAITING = Gauge("hitok_pool_waiting", "Transactions that wait for a connection to Postgres")
log = structlog.get_logger("db")


class Database:
    """The database of a service, as one pool of connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commits when the block ends, rolls back when it raises. Make no network call inside."""
        callbacks: list[Callable[[], object]] = []
        asked = perf_counter()
        async with self.engine.begin() as connection:
            HERE.waited("pool", perf_counter() - asked)
            connection.info[AFTER_COMMIT] = callbacks
            try:
                yield connection
            finally:
                if not (connection.closed or connection.invalidated):  # the pooled connection keeps its `info`
                    connection.info.pop(AFTER_COMMIT, None)
        for callback in callbacks:
            _call(callback)


def after_commit(connection: AsyncConnection, callback: Callable[[], object]) -> None:
    """Calls `callback` once the `Database.transaction` of this connection is committed; never if it is rolled back.

    Callbacks run in the order of registration and must not block: they wake a task or fill a queue. Their exceptions
    are logged, since the transaction is done.
    """
    connection.info[AFTER_COMMIT].append(callback)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        log.exception("after-commit callback failed")


@asynccontextmanager
async def open_database(settings: ServiceSettings) -> AsyncIterator[Database]:
    """Opens the pool once the server answers. Logs while it waits."""
    engine = create_async_engine(
        driver_url(settings.postgres_url),
        pool_size=settings.postgres_pool,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        hide_parameters=True,  # error texts are logged
        connect_args=CONNECT,
    )
    if telemetry.is_tracing():
        trace_statements(engine.sync_engine)
    try:
        await _wait_for(engine)
        show_pool(engine)
        yield Database(engine)
    finally:
        await engine.dispose()


def show_pool(engine: AsyncEngine) -> None:
    """Exports the pool as metrics. They are read at each scrape, so requests pay nothing."""
    POOL_SIZE.set(engine.pool.size())  # type: ignore[attr-defined]
    POOL_IN_USE.set_function(engine.pool.checkedout)  # type: ignore[attr-defined]
    # SQLAlchemy has no public name for this; tests/kit/test_telemetry.py fails if it moves.
    POOL_WAITING.set_function(lambda: len(engine.pool._pool._queue._getters))  # type: ignore[attr-defined]


def trace_statements(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def begin(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        connection.info["span"] = telemetry.statement_span(statement)

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Connection, *_: Any) -> None:
        if span := connection.info.pop("span", None):
            span.end()

    @event.listens_for(engine, "handle_error")
    def fail(failure: ExceptionContext) -> None:
        if failure.connection and (span := failure.connection.info.pop("span", None)):
            telemetry.fail(span, failure.original_exception)
            span.end()


def driver_url(url: str) -> str:
    """The URL for SQLAlchemy, with the driver that hitok installs. It takes several hosts as parameters only."""
    login, at, rest = url.partition("://")[2].rpartition("@")
    hosts, slash, tail = rest.partition("/")
    if "," in hosts:
        path, _, query = tail.partition("?")
        hosts, tail = "", "&".join(filter(None, [f"{path}?host={hosts.replace(',', '&host=')}", query]))
    return f"postgresql+psycopg://{login}{at}{hosts}{slash}{tail}"


async def _wait_for(engine: AsyncEngine) -> None:
    delay = 0.1
    while True:
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            return
        except OperationalError as error:
            log.warning("waiting for postgres", error=str(error.orig).partition("\n")[0])
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


def one_of(column: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    """`column IN values` with one array parameter. The statement is the same for any number of values, so it is
    compiled and prepared once."""
    array = bindparam(None, list(values), type_=ARRAY(column.type), unique=True)
    return cast(ColumnElement[bool], column == any_(array))


async def next_node(connection: AsyncConnection) -> int:
    """A node number from the sequence `id_node` of the service's database.

    Every start takes a new number, so even a clock that was set back between two starts cannot repeat an id.
    """
    number: int = (await connection.execute(text("SELECT nextval('id_node')"))).scalar_one()
    return number % (1 << NODE_BITS)
