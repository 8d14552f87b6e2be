"""What a socket waits with, in place of asyncio's Queue and Event, whose deques would take 4 KiB of each socket."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue for one reader. It holds a message or two: Uvicorn pauses reading while one waits."""

    __slots__ = ("_items", "_wanted")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._wanted: asyncio.Future[None] | None = None

    def put_nowait(self, item: T) -> None:
        self._items.append(item)
        if self._wanted and not self._wanted.done():
            self._wanted.set_result(None)

    async def get(self) -> T:
        while not self._items:
            self._wanted = asyncio.get_running_loop().create_future()
            try:
                await self._wanted
            finally:
                self._wanted = None
        return self._items.pop(0)

    def empty(self) -> bool:
        return not self._items


class Flag:
    """An event that is set at first."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = True
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        waiting, self._waiting = self._waiting or (), None
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        if not self._is_set:
            future = asyncio.get_running_loop().create_future()
            self._waiting = [*(self._waiting or ()), future]
            await future
