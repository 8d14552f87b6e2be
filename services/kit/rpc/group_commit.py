"""Group commit: what the RPCs of one moment write shares a transaction, and is answered after it has committed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog

from services.kit.batcher import Batcher
from services.kit.errors import Unavailable
from services.kit.rpc.interceptors import as_hitok_error

T = TypeVar("T")
R = TypeVar("R")
WINDOW = 0.001  # seconds that the first write waits for others
MAX_ITEMS = 1_000

log = structlog.get_logger("group_commit")


def group_commit(
    write: Callable[[list[T]], Awaitable[Sequence[R | BaseException]]],
    overloaded: type[Unavailable],
    max_items: int = MAX_ITEMS,
) -> Batcher[T, R]:
    """Writes in the order of arrival, one batch at a time: while one is being written, the next one gathers.

    If a batch fails, each of its writes is tried alone, so that a bad one fails alone.
    """

    async def run(items: list[T]) -> Sequence[R | BaseException]:
        try:
            return await write(items)
        except Exception as error:
            if len(items) == 1 or isinstance(as_hitok_error(error), Unavailable):
                raise
            log.exception("a batch failed")
        return [await _alone(item) for item in items]

    async def _alone(item: T) -> R | BaseException:
        try:
            return (await write([item]))[0]
        except Exception as error:
            return error

    return Batcher(
        run, max_items=max_items, max_running=1, first_window=WINDOW, overloaded=overloaded, name="group commit"
    )


async def write_together(batcher: Batcher[T, R], items: Iterable[T]) -> list[R]:
    """Returns the results in order. A caller that is cancelled does not stop its writes. Raises Overloaded."""
    return list(await asyncio.gather(*batcher.submit_all(list(items))))
