"""The statements that a service runs, and how PostgreSQL would run them."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from services.kit.db import Database
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound


@contextmanager
def watching(database: Database) -> Iterator[list[Bound]]:
    """Collects each statement of the block, with its values."""
    seen: list[Bound] = []
    database.watchers.append(seen.append)
    try:
        yield seen
    finally:
        database.watchers.remove(seen.append)


async def plan_of(connection: AsyncConnection, statement: Bound) -> str:
    explained = copy.copy(statement.shape)
    explained.text = f"EXPLAIN {explained.text}"
    explained.sql, explained.prepared, explained.binary, explained.make_row = (
        explained.text.encode(),
        False,
        False,
        tuple,
    )
    (rows,) = await connection.fetch_each(Bound(explained, statement.values))
    return "\n".join(row[0] for row in rows)
