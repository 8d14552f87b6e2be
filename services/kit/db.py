"""PostgreSQL: one pool per process, one transaction per write."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Any, cast

import psycopg
import structlog
from prometheus_client import Gauge
from psycopg import AsyncConnection as Driver
from sqlalchemy import ARRAY, ColumnElement, any_, bindparam, text
from sqlalchemy.exc import DBAPIError, OperationalError

from services.kit.config import ServiceSettings
from services.kit.ids import NODE_BITS
from services.kit.overload.admission import HERE
from services.kit.sql.connection import AsyncConnection, Watcher, translated
from services.kit.sql.pool import Pool

POOL_TIMEOUT = 1.5  # seconds to wait for a connection before answering 503
CONNECT: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "tcp_user_timeout": 5_000,
    # Without these limits a statement would hold locks after its caller has given up.
    "options": "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000",
}
POOL_SIZE = Gauge("hitok_pool_size", "Connections to Postgres at most")
POOL_IN_USE = Gauge("hitok_pool_in_use", "Connections to Postgres that transactions hold")
POOL_WAITING = Gauge("hitok_pool_waiting", "Transactions that wait for a connection to Postgres")
log = structlog.get_logger("db")


class Database:
    """The database of a service, as one pool of connections."""

    def __init__(self, url: str, size: int = 5) -> None:
        self.url = url
        self.pool = Pool(self._connect, size)
        self.looking = asyncio.Lock()  # looks for metrics take turns: a connection takes 3 MB of PostgreSQL's memory
        self.watchers: list[Watcher] = []  # called with the SQL and the values of each statement, for tests

    async def _connect(self) -> Driver:
        return await Driver.connect(self.url, autocommit=True, **CONNECT)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commits when the block ends, rolls back when it raises. Make no network call inside.

        BEGIN travels with the first statement; a block without one costs no trip.
        """
        callbacks: list[Callable[[], object]] = []
        async with self._hold(callbacks) as connection:
            try:
                yield connection
            except BaseException:
                with suppress(DBAPIError):
                    await connection.rollback()
                raise
            await connection.commit()
        for callback in callbacks:
            _call(callback)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """For reads, and for a write of one statement: each statement commits by itself, without further trips."""
        async with self._hold(None) as connection:
            yield connection

    @asynccontextmanager
    async def _hold(self, callbacks: list[Callable[[], object]] | None) -> AsyncIterator[AsyncConnection]:
        asked = perf_counter()
        try:
            link = await self.pool.take(POOL_TIMEOUT)
        except psycopg.Error as error:
            raise translated("connect", error) from error
        HERE.waited("pool", perf_counter() - asked)
        connection = AsyncConnection(link, self.watchers, callbacks)
        try:
            yield connection
        finally:
            if connection.lost:
                self.pool.forget_all()
            self.pool.give(link)


def after_commit(connection: AsyncConnection, callback: Callable[[], object]) -> None:
    """Calls `callback` once the `Database.transaction` of this connection is committed; never if it is rolled back.

    Callbacks run in the order of registration and must not block: they wake a task or fill a queue. Their exceptions
    are logged, since the transaction is done.
    """
    if connection.callbacks is None:
        raise LookupError("no transaction")
    connection.callbacks.append(callback)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        log.exception("after-commit callback failed")


@asynccontextmanager
async def open_database(settings: ServiceSettings) -> AsyncIterator[Database]:
    """Opens the pool once the server answers. Logs while it waits."""
    database = Database(settings.postgres_url, settings.postgres_pool)
    try:
        await _wait_for(database)
        show_pool(database.pool)
        yield database
    finally:
        database.pool.close()


def show_pool(pool: Pool) -> None:
    """Exports the pool as metrics. They are read at each scrape, so requests pay nothing."""
    POOL_SIZE.set(pool.size)
    POOL_IN_USE.set_function(lambda: pool.in_use)
    POOL_WAITING.set_function(lambda: pool.waiting)


def driver_url(url: str) -> str:
    """The URL for SQLAlchemy, with the driver that hitok installs. It takes several hosts as parameters only."""
    login, at, rest = url.partition("://")[2].rpartition("@")
    hosts, slash, tail = rest.partition("/")
    if "," in hosts:
        path, _, query = tail.partition("?")
        hosts, tail = "", "&".join(filter(None, [f"{path}?host={hosts.replace(',', '&host=')}", query]))
    return f"postgresql+psycopg://{login}{at}{hosts}{slash}{tail}"


async def _wait_for(database: Database) -> None:
    delay = 0.1
    while True:
        try:
            async with database.reading() as connection:
                await connection.execute(text("SELECT 1"))
            return
        except OperationalError as error:
            log.warning("waiting for postgres", error=str(error.orig).partition("\n")[0])
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


def one_of(column: Any, values: Sequence[Any] | str) -> ColumnElement[bool]:
    """`column IN values` with one array parameter, or with that of the name `values`. The statement is the same for any
    number of values, so it is compiled and prepared once."""
    kind: Any = ARRAY(column.type)
    array = bindparam(values, type_=kind) if isinstance(values, str) else bindparam(None, [*values], kind, unique=True)
    return cast(ColumnElement[bool], column == any_(array))


async def next_node(connection: AsyncConnection) -> int:
    """A node number from the sequence `id_node` of the service's database.

    Every start takes a new number, so even a clock that was set back between two starts cannot repeat an id.
    """
    return int((await connection.execute(text("SELECT nextval('id_node')"))).scalar_one()) % (1 << NODE_BITS)
