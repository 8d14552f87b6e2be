"""Pages of a list: keyset cursors, and the bounded offset behind the documents' `page`."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    SQLColumnExpression,
    func,
    literal,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.ids import Id
from services.social.errors import BatchTooLarge
from services.social.models import MEMBER, OWNER

MAX_LIMIT = 500
MAX_OFFSET = 10_000  # no list with an offset is longer
MAX_BATCH = 500

# What PostgreSQL can compare: a cursor may be forged.
Rank = Annotated[int, Meta(ge=-OWNER, le=-MEMBER)]
Name = Annotated[str, Meta(pattern=r"^[^\0]*$")]
Page = tuple[Sequence[Row[Any]], str]


async def fetch(
    connection: AsyncConnection, query: Select[Any], *keys: str, limit: int, cursor: str = "", offset: int = 0
) -> Page:
    """One page of an ordered query, and the cursor of the next; `keys` are the columns it is ordered by.

    What comes after `cursor` is for the query to say (`after`).
    """
    limit = min(max(limit, 1), MAX_LIMIT)
    offset = 0 if cursor else min(max(offset, 0), MAX_OFFSET)
    rows = (await connection.execute(query.limit(limit + 1).offset(offset or None))).all()
    page = rows[:limit]
    return page, encode_cursor(*(getattr(page[-1], key) for key in keys)) if len(rows) > limit else ""


def after(cursor: str) -> int:
    """The id that the page comes after, in a list by id; 0 for the first page. Raises CursorInvalid."""
    position = decode_cursor(cursor, tuple[Id])
    return position[0] if position else 0


def merge(queries: Sequence[Select[Any]], limit: int) -> Select[Any]:
    """What the queries find, by id. Each reads its own index range and no more of it than a page."""
    limit = min(max(limit, 1), MAX_LIMIT)
    parts = [select(query.order_by(query.selected_columns.id).limit(limit + 1).subquery()) for query in queries]
    merged = union_all(*parts).subquery()
    return select(merged).order_by(merged.c.id)


def beyond(keys: Sequence[SQLColumnExpression[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after `position` in a list ordered by `keys`; one range of their index."""
    return tuple_(*keys) > tuple_(*map(literal, position))


def unnest(**columns: Sequence[int]) -> Any:
    """A table of ids asked for, with their `place`."""
    arrays = (literal(list(ids), ARRAY(BigInteger)) for ids in columns.values())
    return func.unnest(*arrays).table_valued(*columns, with_ordinality="place").render_derived()


def probe(column: Any, *key: ColumnElement[bool]) -> ScalarSelect[Any]:
    """`column` of the one row with that key, else None. Always one look into its index for each thing asked:
    an outer join or EXISTS may become a hash of the whole table."""
    return select(column).where(*key).scalar_subquery()


def check_batch(items: Sequence[object]) -> None:
    """Raises BatchTooLarge."""
    if len(items) > MAX_BATCH:
        raise BatchTooLarge
