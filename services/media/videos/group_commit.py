"""Group commit: the writes of one moment share a transaction, and are answered after it has committed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from services.kit.batcher import Batcher
from services.media.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 0.001  # seconds that the first write waits for others
MAX_ITEMS = 1_000


def group_commit(write: Callable[[list[T]], Awaitable[Sequence[R]]]) -> Batcher[T, R]:
    """Writes in the order of arrival, one batch at a time: while one is being written, the next one gathers."""
    return Batcher(
        write, max_items=MAX_ITEMS, max_running=1, first_window=WINDOW, overloaded=Overloaded, name="group commit"
    )


async def write_together(batcher: Batcher[T, R], items: Iterable[T]) -> list[R]:
    """Returns the results in order. A caller that is cancelled does not stop its writes. Raises Overloaded."""
    return list(await asyncio.gather(*batcher.submit_all(list(items))))
