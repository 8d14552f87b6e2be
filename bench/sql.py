"""What does one SELECT by primary key cost a service, as its statements are run? Against a PostgreSQL of its own."""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, select, text

from bench.report import row, title
from bench.servers.database import scratch_database
from services.kit.db import Database
from services.kit.sql.statements import Statement
from services.user.models import Account
from services.user.service import MIGRATIONS

ROWS, ROUNDS, STATEMENTS = 1_000, 5, 500


class Named(NamedTuple):
    id: int
    username: str


BY_ID = Statement(select(Account.id, Account.username).where(Account.id == bindparam("id", type_=BigInteger)), Named)
FILL = text("""INSERT INTO account (id, username, username_key, nickname, username_skeleton, password_hash)
 SELECT n, 'u' || n, 'u' || n, 'u' || n, 'u' || n, 'x' FROM generate_series(1, :rows) n""")


async def measure() -> None:
    with scratch_database(MIGRATIONS) as url:
        await compare(Database(url))


async def compare(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(FILL, {"rows": ROWS})

    async def built() -> object:
        async with database.transaction() as connection:
            return (await connection.execute(select(Account.__table__).where(Account.id == 5))).one()

    async def in_transaction() -> object:
        async with database.transaction() as connection:
            return await connection.fetch_one(BY_ID, id=5)

    async def reading() -> object:
        async with database.reading() as connection:
            return await connection.fetch_one(BY_ID, id=5)

    title("one SELECT by primary key, CPU of the process, best of five rounds")
    for name, run in {"built, transaction()": built, "Statement, transaction()": in_transaction}.items():
        row(name, f"{await cost(run):.0f} µs")
    row("Statement, reading()", f"{await cost(reading):.0f} µs")
    database.pool.close()


async def cost(run: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of CPU."""
    spent = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(STATEMENTS):
            await run()
        spent.append((time.process_time() - started) / STATEMENTS * 1e6)
    return min(spent)
