"""The cursor of a ranked list: the videos that are left of it, and those shown. So its pages neither repeat nor lose a
video while scores change, no server keeps anything for a reader, and any one can serve the next page."""

import base64
import struct
from collections.abc import Sequence
from typing import NamedTuple

from services.kit.cursor import CursorInvalid, encode_cursor
from services.kit.ids import MAX_ID
from services.media.videos.pages import MAX_LIMIT

LENGTH = 60  # videos of one list; then the next is made
MAX_SHOWN = 150  # the last shown that the next list leaves out; those watched are left out anyhow


class Left(NamedTuple):
    id: int
    why: int


class RankedList(NamedTuple):
    """`is_last`: there was nothing to make another list of."""

    left: Sequence[Left] = ()
    shown: Sequence[int] = ()
    is_last: bool = False

    @classmethod
    def unpack(cls, packed: str) -> "RankedList":
        """Raises CursorInvalid."""
        try:
            data = base64.b85decode(packed)
            is_last, count = struct.unpack_from(">?B", data)
            ids = [id for (id,) in struct.iter_unpack(">Q", data[2 + count :])]
        except (ValueError, struct.error):
            raise CursorInvalid from None
        if count > min(LENGTH, len(ids)) or len(ids) > LENGTH + MAX_SHOWN + MAX_LIMIT or max(ids, default=0) > MAX_ID:
            raise CursorInvalid
        left = [Left(id, why) for id, why in zip(ids[:count], data[2 : 2 + count], strict=True)]
        return cls(left, ids[count:], is_last)

    def pack(self) -> str:
        ids = [*(each.id for each in self.left), *self.shown[-MAX_SHOWN:]]
        whys = bytes(each.why for each in self.left)
        data = struct.pack(">?B", self.is_last, len(self.left)) + whys + struct.pack(f">{len(ids)}Q", *ids)
        return encode_cursor(base64.b85encode(data).decode())
