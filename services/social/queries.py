"""Parts of queries, and what a cursor may hold: it comes back from a client, who may have forged it."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import ColumnElement, ScalarSelect, Select, select, union_all

from services.kit import pages
from services.kit.roles import GROUP_MEMBER, GROUP_OWNER

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
