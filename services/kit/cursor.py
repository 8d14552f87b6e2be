"""Keyset cursors: opaque positions in a list."""

import base64
from typing import TypeVar

import msgspec

from services.kit.errors import Invalid

T = TypeVar("T")


class CursorInvalid(Invalid):
    field = "cursor"


def encode_cursor(*position: int | str | float) -> str:
    """The cursor after a row, from that row's sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[T]) -> T | None:
    """The position in `cursor` as `kind` (a tuple type); None for the first page. Raises CursorInvalid."""
    if not cursor:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (ValueError, msgspec.MsgspecError):
        raise CursorInvalid from None
