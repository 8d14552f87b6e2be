"""Batching: what is submitted at one moment travels together, bounded, and one item's failure is its own."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from services.kit.batcher import Batcher
from services.kit.errors import Unavailable

name: ContextVar[str] = ContextVar("name", default="")


class Target:
    """Doubles numbers. It holds each batch while `open` is not set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.names: list[str] = []

    async def run(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        self.names.append(name.get())
        await self.open.wait()
        return [item * 2 for item in items]

    async def until_called(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.batches) < times:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_fifty_at_once_travel_together_and_each_gets_its_own_result() -> None:
    target = Target()
    batcher = Batcher(target.run)

    async def submit(item: int) -> int:
        return await batcher.submit(item)

    assert await asyncio.gather(*map(submit, range(50))) == [item * 2 for item in range(50)]
    assert target.batches == [list(range(50))]


async def test_a_lone_item_waits_for_nobody() -> None:
    target = Target()
    batcher = Batcher(target.run, window=60)
    async with asyncio.timeout(10):
        assert [await batcher.submit(item) for item in (1, 2)] == [2, 4]


async def test_while_a_batch_runs_later_items_gather_for_the_window() -> None:
    target = Target()
    batcher = Batcher(target.run, window=0.05)
    target.open.clear()
    first = batcher.submit(1)
    await target.until_called(1)
    second = batcher.submit(2)
    await asyncio.sleep(0.01)
    third = batcher.submit(3)
    await target.until_called(2)
    target.open.set()
    assert list(await asyncio.gather(first, second, third)) == [2, 4, 6]
    assert target.batches == [[1], [2, 3]]


async def test_the_first_of_a_batch_may_wait_for_others() -> None:
    target = Target()
    batcher = Batcher(target.run, first_window=0.05)
    first = batcher.submit(1)
    await asyncio.sleep(0.01)
    assert list(await asyncio.gather(first, batcher.submit(2))) == [2, 4]
    assert target.batches == [[1, 2]]


async def test_no_more_batches_run_at_once_than_allowed_and_the_rest_gathers() -> None:
    target = Target()
    batcher = Batcher(target.run, max_running=2)
    target.open.clear()
    futures = []
    for item in range(5):
        futures.append(batcher.submit(item))
        for _ in range(5):
            await asyncio.sleep(0)
    assert target.batches == [[0], [1]]
    target.open.set()
    assert await asyncio.gather(*futures) == [0, 2, 4, 6, 8]
    assert target.batches == [[0], [1], [2, 3, 4]]


async def test_a_batch_has_no_more_items_than_allowed() -> None:
    target = Target()
    batcher = Batcher(target.run, max_items=3)
    await asyncio.gather(*map(batcher.submit, range(7)))
    assert target.batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_batch_has_no_more_bytes_than_allowed_unless_it_is_one_item() -> None:
    target = Target()
    batcher = Batcher(target.run, max_bytes=10, size_of=lambda item: item)
    await asyncio.gather(*map(batcher.submit, (4, 6, 1, 40, 2, 3)))
    assert target.batches == [[4, 6], [1], [40], [2, 3]]


async def test_when_too_many_wait_the_next_is_refused_and_the_waiting_are_served() -> None:
    class Full(Unavailable):
        pass

    target = Target()
    batcher = Batcher(target.run, max_waiting=2, overloaded=Full)
    futures = batcher.submit_all([1, 2])
    with pytest.raises(Full):
        batcher.submit(3)
    assert await asyncio.gather(*futures) == [2, 4]
    assert await batcher.submit(3) == 6


async def test_several_submitted_together_are_taken_or_refused_together() -> None:
    target = Target()
    batcher = Batcher(target.run, max_waiting=3)
    first = batcher.submit(1)
    with pytest.raises(Unavailable):
        batcher.submit_all([2, 3, 4])
    await first
    assert target.batches == [[1]]


async def test_the_failure_of_one_item_is_its_own() -> None:
    async def run(items: list[int]) -> list[int | Exception]:
        return [ValueError("odd") if item % 2 else item for item in items]

    batcher: Batcher[int, int] = Batcher(run)
    results = await asyncio.gather(*map(batcher.submit, range(4)), return_exceptions=True)
    assert [results[0], results[2]] == [0, 2]
    assert [repr(results[1]), repr(results[3])] == ["ValueError('odd')"] * 2


async def test_an_error_of_the_whole_batch_reaches_all_in_it_and_nobody_after() -> None:
    target = Target()

    async def run(items: list[int]) -> Sequence[int | Exception]:
        if 13 in items:
            raise Unavailable("away")
        return await target.run(items)

    batcher = Batcher(run)
    results = await asyncio.gather(*map(batcher.submit, (12, 13)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert await batcher.submit(14) == 28


async def test_a_wrong_number_of_results_fails_all_instead_of_keeping_them_waiting() -> None:
    async def run(items: list[int]) -> list[int]:
        return items[1:]

    batcher: Batcher[int, int] = Batcher(run)
    results = await asyncio.gather(*map(batcher.submit, range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError] * 3


async def test_a_caller_that_is_cancelled_stops_neither_its_item_nor_the_others() -> None:
    target = Target()
    batcher = Batcher(target.run)
    gone, here = batcher.submit(1), batcher.submit(2)
    gone.cancel()
    assert await here == 4
    assert target.batches == [[1, 2]]


async def test_a_caller_that_leaves_during_the_batch_disturbs_nobody() -> None:
    target = Target()
    batcher = Batcher(target.run, dedupe=True)
    target.open.clear()
    gone, here = batcher.submit(1), batcher.submit(1)
    await target.until_called(1)
    gone.cancel()
    target.open.set()
    assert await here == 2


async def test_equal_items_that_wait_share_one_result_if_asked_to() -> None:
    target = Target()
    batcher = Batcher(target.run, dedupe=True)
    assert await asyncio.gather(*map(batcher.submit, (1, 2, 1, 1))) == [2, 4, 2, 2]
    assert target.batches == [[1, 2]]


async def test_equal_items_stay_apart_otherwise() -> None:
    target = Target()
    batcher = Batcher(target.run)
    await asyncio.gather(*map(batcher.submit, (1, 1)))
    assert target.batches == [[1, 1]]


async def test_an_item_never_joins_an_equal_one_that_is_under_way() -> None:
    target = Target()
    batcher = Batcher(target.run, dedupe=True)
    target.open.clear()
    first = batcher.submit(1)
    await target.until_called(1)
    second = batcher.submit(1)
    await target.until_called(2)
    target.open.set()
    assert list(await asyncio.gather(first, second)) == [2, 2]


async def test_a_batch_runs_in_nobodys_context() -> None:
    target = Target()
    batcher = Batcher(target.run)
    name.set("somebody")
    await batcher.submit(1)
    assert target.names == [""]


async def test_a_failure_that_nobody_waits_for_is_no_error_of_the_loop() -> None:
    """The tests turn asyncio's "exception was never retrieved" into a failure."""

    async def run(items: list[int]) -> list[int]:
        raise ValueError

    batcher: Batcher[int, int] = Batcher(run)
    batcher.submit(1)
    await asyncio.sleep(0.01)
