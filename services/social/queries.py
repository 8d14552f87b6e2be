"""Parts of queries, and what a cursor may hold: it comes back from a client, who may have forged it."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, TypeVarTuple

from msgspec import Meta
from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, Select, bindparam, cast, extract, select, union_all

from services.kit import pages
from services.kit.cursor import encode_cursor
from services.kit.roles import GROUP_MEMBER, GROUP_OWNER
from services.kit.sql.statements import Bound, Statement

R = TypeVar("R", bound=tuple[Any, ...])
Ts = TypeVarTuple("Ts")

Rank = Annotated[int, Meta(ge=-GROUP_OWNER, le=-GROUP_MEMBER)]
Name = Annotated[str, Meta(pattern=r"^[^\0]*$")]  # PostgreSQL compares no text with a NUL


def merge(queries: Sequence[Select[Any]], limit: int) -> Select[Any]:
    """The rows of all queries, ordered by id. Each query reads its own index range, and no more of it than a page."""
    limit = pages.clamp(limit, pages.MAX_LIMIT)
    parts = [select(query.order_by(query.selected_columns.id).limit(limit + 1).subquery()) for query in queries]
    merged = union_all(*parts).subquery()
    return select(merged).order_by(merged.c.id)


def probe(column: Any, *key: ColumnElement[bool]) -> ScalarSelect[Any]:
    """`column` of the one row with that key, else NULL. PostgreSQL reads the index once per item asked for; it may
    turn an outer join or EXISTS into a hash of the whole table."""
    return select(column).where(*key).scalar_subquery()


def paged(query: Select[*Ts]) -> Select[*Ts]:
    """With the parameters that `page_of` binds."""
    return query.limit(bindparam("most", type_=BigInteger)).offset(bindparam("skipped", type_=BigInteger))


def page_of(statement: Statement[Any], limit: int, cursor: str, offset: int, **parameters: Any) -> Bound:
    """The statement of one page, which asks for a row more. A cursor takes the place of the offset."""
    skipped = 0 if cursor else min(max(offset, 0), pages.MAX_OFFSET)
    return statement.bind(most=pages.clamp(limit, pages.MAX_LIMIT) + 1, skipped=skipped, **parameters)


def cut(rows: Sequence[R], limit: int, *keys: str) -> tuple[Sequence[R], str]:
    """The page and the next one's cursor, of what a statement of `page_of` returned."""
    limit = pages.clamp(limit, pages.MAX_LIMIT)
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], encode_cursor(*(getattr(rows[limit - 1], key) for key in keys))


def milliseconds_of(column: Any) -> ColumnElement[int]:
    """SQL of Unix milliseconds, which cost less than a datetime."""
    return cast(extract("epoch", column) * 1000, BigInteger)
