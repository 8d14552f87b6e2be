"""Pages of a list by keyset cursors, and the bounds of batches."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, SQLColumnExpression, bindparam, func, literal, tuple_

from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.errors import BatchTooLarge
from services.kit.ids import MAX_ID, Id
from services.kit.sql.connection import AsyncConnection

MAX_LIMIT = 500  # rows per page, unless a list allows fewer
MAX_BATCH = 500  # items of one batch RPC
MAX_OFFSET = 10_000  # rows

Page = tuple[Sequence[Any], str]


async def fetch(
    connection: AsyncConnection,
    query: Select[Any],
    *keys: str,
    limit: int,
    most: int = MAX_LIMIT,
    cursor: str = "",
    offset: int = 0,
) -> Page:
    """Returns one page of an ordered query, and the cursor of the next page, or "" on the last page.

    `keys` are the columns of the order. The query itself has to exclude the rows before `cursor`. `limit` is clamped to
    1…`most`, `offset` to 0…MAX_OFFSET; with a cursor the offset is 0.
    """
    limit = clamp(limit, most)
    offset = 0 if cursor else min(max(offset, 0), MAX_OFFSET)
    rows = (await connection.execute(query.limit(limit + 1).offset(offset or None))).all()
    page = rows[:limit]
    return page, encode_cursor(*(getattr(page[-1], key) for key in keys)) if len(rows) > limit else ""


def clamp(limit: int, most: int) -> int:
    """`limit`, but at least 1 and at most `most`."""
    return min(max(limit, 1), most)


def id_after(cursor: str) -> int:
    """For pages of ascending ids: the id to start after; 0 for the first page. Raises CursorInvalid."""
    position = decode_cursor(cursor, tuple[Id])
    return position[0] if position else 0


def id_before(cursor: str) -> int:
    """For pages of descending ids: the id to start below; MAX_ID for the first page. Raises CursorInvalid."""
    position = decode_cursor(cursor, tuple[Id])
    return position[0] if position else MAX_ID


def after(keys: Sequence[SQLColumnExpression[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that a row follows `position` in a list by ascending `keys`, as one range of their index."""
    return tuple_(*keys) > tuple_(*_literals(keys, position))


def before(keys: Sequence[SQLColumnExpression[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that a row follows `position` in a list by descending `keys`, as one range of their index."""
    return tuple_(*keys) < tuple_(*_literals(keys, position))


def _literals(keys: Sequence[Any], position: Sequence[Any]) -> list[ColumnElement[Any]]:
    return [literal(value, key.type) for key, value in zip(keys, position, strict=True)]


def unnest(*columns: str) -> Any:
    """A table of the lists of numbers in the parameters `columns`, and `place`, the row number from 1."""
    arrays = (bindparam(name, type_=ARRAY(BigInteger)) for name in columns)
    return func.unnest(*arrays).table_valued(*columns, with_ordinality="place").render_derived()


def check_batch(items: Sequence[object], most: int = MAX_BATCH) -> None:
    """Raises BatchTooLarge."""
    if len(items) > most:
        raise BatchTooLarge(f"{len(items)} items, at most {most}")
