"""Parts of queries, and what a cursor may hold: it comes back from a client, who may have forged it."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, TypeVarTuple

from msgspec import Meta
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Select,
    bindparam,
    cast,
    extract,
    func,
    select,
    true,
    union_all,
)

from services.kit import pages
from services.kit.cursor import encode_cursor
from services.kit.roles import GROUP_MEMBER, GROUP_OWNER
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, Statement

R = TypeVar("R", bound=tuple[Any, ...])
Ts = TypeVarTuple("Ts")

Rank = Annotated[int, Meta(ge=-GROUP_OWNER, le=-GROUP_MEMBER)]
Name = Annotated[str, Meta(pattern=r"^[^\0]*$")]  # PostgreSQL compares no text with a NUL


ME, AFTER, MOST = (bindparam(name, type_=BigInteger) for name in ("me", "after", "most"))


def with_results(query: Any, result: Any, name: str) -> Select[Any]:
    """The rows of `query`, by ascending id, whose `result` is one of the list in the parameter `name`. For each result
    its own index range is read, and no more of it than a page."""
    wanted = pages.unnest(name)
    found = query.where(result == wanted.c[name]).order_by(query.selected_columns.id).limit(MOST).lateral()
    return select(found).select_from(wanted).join(found, true())


def merged(*queries: Select[Any]) -> Select[Any]:
    """The rows of all queries, by ascending id."""
    rows = union_all(*queries).subquery() if len(queries) > 1 else queries[0].subquery()
    return select(rows).order_by(rows.c.id)


def probe(column: Any, *key: ColumnElement[bool]) -> ScalarSelect[Any]:
    """`column` of the one row with that key, else NULL. PostgreSQL reads the index once per item asked for; it may
    turn an outer join or EXISTS into a hash of the whole table."""
    return select(column).where(*key).scalar_subquery()


def paged(query: Select[*Ts]) -> Select[*Ts]:
    """With the parameters that `page_of` binds."""
    return query.limit(MOST).offset(bindparam("skipped", type_=BigInteger))


def page_of(statement: Statement[Any], limit: int, cursor: str, offset: int = 0, **parameters: Any) -> Bound:
    """The statement of one page, which asks for a row more. A cursor takes the place of the offset."""
    skipped = 0 if cursor else min(max(offset, 0), pages.MAX_OFFSET)
    return statement.bind(most=pages.clamp(limit, pages.MAX_LIMIT) + 1, skipped=skipped, **parameters)


def cut(rows: Sequence[R], limit: int, *keys: str) -> tuple[Sequence[R], str]:
    """The page and the next one's cursor, of what a statement of `page_of` returned."""
    limit = pages.clamp(limit, pages.MAX_LIMIT)
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], encode_cursor(*(getattr(rows[limit - 1], key) for key in keys))


async def read_page(
    connection: AsyncConnection,
    statement: Statement[R],
    limit: int,
    cursor: str,
    offset: int = 0,
    key: str = "id",
    **parameters: Any,
) -> tuple[Sequence[R], str]:
    """The page and the next one's cursor, which holds `key` of the last row."""
    (rows,) = await connection.fetch_each(page_of(statement, limit, cursor, offset, **parameters))
    return cut(rows, limit, key)


def seconds_of(column: Any) -> ColumnElement[int]:
    """SQL of Unix seconds; 0 for never."""
    return cast(func.floor(func.coalesce(extract("epoch", column), 0)), BigInteger)


def milliseconds_of(column: Any) -> ColumnElement[int]:
    """SQL of Unix milliseconds, which cost less than a datetime."""
    return cast(func.floor(extract("epoch", column) * 1000), BigInteger)
