"""JSON that was written once for each card, and is put into answers as it is, without writing it again."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from services.kit.ttl_map import TtlMap

T = TypeVar("T")

SECONDS, MOST = 60.0, 20_000

_encode = msgspec.json.Encoder().encode


class Fragments(Generic[T]):
    """By id. A fragment holds as long as the cache gives out the same object that it was written from."""

    def __init__(self, view: Callable[[T], Any]) -> None:
        self._view = view
        self._written: TtlMap[int, tuple[T, msgspec.Raw]] = TtlMap(SECONDS, MOST)

    def of(self, id: int, source: T) -> msgspec.Raw:
        found = self._written.get(id)
        if found and found[0] is source:
            return found[1]
        raw = msgspec.Raw(_encode(self._view(source)))
        self._written.put(id, (source, raw))
        return raw
