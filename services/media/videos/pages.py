"""Requests for a page of videos or comments, and cursors of lists whose order changes."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Self

from msgspec import Meta, Struct
from sqlalchemy import ARRAY, BigInteger, ColumnElement, SQLColumnExpression, func, literal

from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.ids import MAX_ID, Id
from services.kit.pages import before, clamp

MAX_LIMIT = 50  # rows
MAX_OFFSET = 5_000
MAX_SHOWN = 200  # ids in a cursor

Rank = Annotated[float, Meta(ge=-1e15, le=1e15)]  # the range of a count or score; a cursor may be forged


class PageRequest(NamedTuple):
    """A page to read: at most `limit` rows after `cursor` or, without one, after `offset` rows."""

    cursor: str
    limit: int
    offset: int = 0

    @classmethod
    def of(cls, request: Any) -> Self:
        """Reads these fields of a request and clamps them."""
        return cls(
            request.cursor,
            clamp(request.limit, MAX_LIMIT),
            0 if request.cursor else min(max(request.offset, 0), MAX_OFFSET),
        )

    @property
    def size(self) -> int:
        """The number of rows to read: one more than the page, which tells whether another page follows."""
        return self.offset + self.limit + 1

    def cut(self, rows: Sequence[Any]) -> tuple[Sequence[Any], bool]:
        """Returns the rows of the page, and whether more follow."""
        return rows[self.offset : self.offset + self.limit], len(rows) >= self.size


def start_below(cursor: str, most: int) -> tuple[int, list[int]]:
    """For pages of descending ids before which up to `most` rows came, in any order: the id to start below, MAX_ID for
    the first page, and the ids of those. Raises CursorInvalid."""
    position = decode_cursor(cursor, tuple[Id, ...])
    if position is None:
        return MAX_ID, []
    if not 1 <= len(position) <= 1 + most:
        raise CursorInvalid
    return position[0], list(position[1:])


class ShownRows(Struct, frozen=True):
    """A cursor of a list whose order changes while it is read: later pages leave out the rows shown already.

    After MAX_SHOWN rows the list goes on below the `floor`, the rank and id of the last row shown.
    """

    ids: Sequence[int] = ()
    floor: tuple[float, int] | None = None

    @classmethod
    def decode(cls, cursor: str) -> "ShownRows":
        """Raises CursorInvalid."""
        position = decode_cursor(cursor, tuple[str, Rank | None, Id])
        if position is None:
            return cls()
        packed, rank, id = position
        try:
            ids = [number for (number,) in struct.iter_unpack(">Q", base64.b85decode(packed))]
        except (ValueError, struct.error):
            raise CursorInvalid from None
        if len(ids) > MAX_SHOWN + MAX_LIMIT or max(ids, default=0) > MAX_ID:
            raise CursorInvalid
        return cls(ids, None if rank is None else (rank, id))

    def next(self, shown: Sequence[Any], rank: str) -> str:
        """Returns the cursor after the rows shown now. `rank`: the name of the column that orders the list."""
        last = (float(getattr(shown[-1], rank)), shown[-1].id)
        ids, floor = [*self.ids, *(row.id for row in shown)], self.floor
        if len(ids) > MAX_SHOWN:
            ids, floor = [], last
        packed = base64.b85encode(struct.pack(f">{len(ids)}Q", *ids)).decode()
        return encode_cursor(packed, *(floor or (None, 0)))

    def is_new(self, rank: SQLColumnExpression[Any], id: SQLColumnExpression[int]) -> list[ColumnElement[bool]]:
        """Returns the conditions for rows of the next page."""
        conditions: list[ColumnElement[bool]] = []
        if self.ids:
            conditions.append(id != func.all(literal(list(self.ids), ARRAY(BigInteger))))
        if self.floor:
            conditions.append(before((rank, id), self.floor))
        return conditions
