"""Pages of a list: keyset cursors, and the bounded offset behind the documents' `page`."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Self

from msgspec import Meta, Struct
from sqlalchemy import ARRAY, BigInteger, ColumnElement, SQLColumnExpression, func, literal, tuple_

from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.ids import MAX_ID, Id
from services.media.errors import BatchTooLarge

MAX_LIMIT = 50
MAX_OFFSET = 5_000
MAX_BATCH, MAX_PAIRS = 500, 5_000
MAX_SEEN = 200

Rank = Annotated[float, Meta(ge=-1e15, le=1e15)]  # what a count or a score may be, in a cursor that may be forged


class Slice(NamedTuple):
    """Which part of a list is asked for: what comes after `cursor`, else after `offset`."""

    cursor: str
    limit: int
    offset: int = 0

    @classmethod
    def of(cls, request: Any) -> Self:
        """Of a request with these fields, within the bounds."""
        limit = min(max(request.limit, 1), MAX_LIMIT)
        return cls(request.cursor, limit, 0 if request.cursor else min(max(request.offset, 0), MAX_OFFSET))

    @property
    def size(self) -> int:
        """Rows to read: one more than is shown tells whether there is a next page."""
        return self.offset + self.limit + 1

    def cut(self, rows: Sequence[Any]) -> tuple[Sequence[Any], bool]:
        """The page out of the rows read, and whether more follow."""
        return rows[self.offset : self.offset + self.limit], len(rows) >= self.size


class Seen(Struct, frozen=True):
    """A place in a list whose order changes while it is read: what was shown already is left out.

    Beyond MAX_SEEN rows it goes on below the `floor`, the rank and id of the last one shown.
    """

    ids: Sequence[int] = ()
    floor: tuple[float, int] | None = None

    @classmethod
    def decode(cls, cursor: str) -> "Seen":
        """Raises CursorInvalid."""
        position = decode_cursor(cursor, tuple[str, Rank | None, Id])
        if position is None:
            return cls()
        packed, rank, id = position
        try:
            ids = [number for (number,) in struct.iter_unpack(">Q", base64.b85decode(packed))]
        except (ValueError, struct.error):
            raise CursorInvalid from None
        if len(ids) > MAX_SEEN + MAX_LIMIT or max(ids, default=0) > MAX_ID:
            raise CursorInvalid
        return cls(ids, None if rank is None else (rank, id))

    def next(self, shown: Sequence[Any], rank: str) -> str:
        """The cursor behind the rows shown now, whose rank is the column of that name."""
        last = (float(getattr(shown[-1], rank)), shown[-1].id)
        ids, floor = [*self.ids, *(row.id for row in shown)], self.floor
        if len(ids) > MAX_SEEN:
            ids, floor = [], last
        packed = base64.b85encode(struct.pack(f">{len(ids)}Q", *ids)).decode()
        return encode_cursor(packed, *(floor or (None, 0)))

    def is_unseen(self, rank: SQLColumnExpression[Any], id: SQLColumnExpression[int]) -> list[ColumnElement[bool]]:
        """What a row of the next page has to meet."""
        conditions: list[ColumnElement[bool]] = []
        if self.ids:
            conditions.append(id != func.all(literal(list(self.ids), ARRAY(BigInteger))))
        if self.floor:
            conditions.append(before((rank, id), self.floor))
        return conditions


def before(keys: Sequence[Any], position: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after `position` in a list by falling `keys`; one range of their index."""
    return tuple_(*keys) < tuple_(*(literal(value, key.type) for key, value in zip(keys, position, strict=True)))


def decode_id(cursor: str) -> int:
    """The id that a page of falling ids comes after; MAX_ID for the first page. Raises CursorInvalid."""
    position = decode_cursor(cursor, tuple[Id])
    return position[0] if position else MAX_ID


def unnest(**columns: Sequence[int]) -> Any:
    """A table of what is asked for, with its `place`."""
    arrays = (literal(list(values), ARRAY(BigInteger)) for values in columns.values())
    return func.unnest(*arrays).table_valued(*columns, with_ordinality="place").render_derived()


def check_batch(items: Sequence[object], most: int = MAX_BATCH) -> None:
    """Raises BatchTooLarge."""
    if len(items) > most:
        raise BatchTooLarge
