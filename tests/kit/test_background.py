"""Background tasks: one that fails is seen, comes back, and ends the process if it never recovers."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.kit import background
from services.kit.background import GIVE_UP_SECONDS, MAX_PAUSE, STEADY_SECONDS, Keeper


class World:
    """A clock that only the task and the keeper's pauses move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self.gave_up = 0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def give_up(self) -> None:
        self.gave_up += 1

    def keeper(self, factory: background.Factory) -> Keeper:
        return Keeper("test", factory, self.give_up, lambda: self.now, self.sleep)


class Failing:
    """A task that fails after so many seconds of each run, and at the end of them returns."""

    def __init__(self, world: World, runs: list[float]) -> None:
        self.world, self.runs = world, iter(runs)

    async def __call__(self) -> None:
        for seconds in self.runs:
            self.world.now += seconds
            raise ValueError("a bug")


def restarts(task: str) -> float:
    return REGISTRY.get_sample_value("hitok_background_restarts_total", {"task": task}) or 0.0


async def test_a_task_that_fails_is_restarted_counted_and_logged_with_its_trace() -> None:
    world, before = World(), restarts("test")
    with capture_logs() as lines:
        await world.keeper(Failing(world, [0, 0])).keep()
    assert restarts("test") - before == 2
    assert [(line["event"], line["task"], str(line["exc_info"])) for line in lines] == [
        ("background task failed", "test", "a bug")
    ] * 2


async def test_pauses_double_up_to_a_bound_with_jitter() -> None:
    world = World()
    await world.keeper(Failing(world, [0] * 12)).keep()
    for number, pause in enumerate(world.pauses):
        longest = min(0.2 * 2**number, MAX_PAUSE)
        assert longest / 2 <= pause <= longest


async def test_a_run_that_was_steady_begins_the_pauses_anew() -> None:
    world = World()
    await world.keeper(Failing(world, [0, 0, 0, 0, STEADY_SECONDS + 1])).keep()
    assert world.pauses[3] > 0.7 and world.pauses[4] <= 0.2


async def test_the_process_is_not_ready_until_the_task_has_run_again_for_a_while() -> None:
    world, seen = World(), []

    async def task() -> None:
        seen.append(keeper.is_down())
        if len(seen) == 1:
            raise ValueError
        world.now += world.pauses[0]
        seen.append(keeper.is_down())

    keeper = world.keeper(task)
    await keeper.keep()
    assert seen == [False, True, False]


async def test_a_task_that_keeps_failing_ends_the_process_once() -> None:
    world = World()
    await world.keeper(Failing(world, [1.0] * 1000)).keep()
    assert world.gave_up == 1
    assert GIVE_UP_SECONDS <= world.now - 1000 < GIVE_UP_SECONDS + 2 * MAX_PAUSE


async def test_a_task_that_fails_now_and_then_does_not() -> None:
    world = World()
    await world.keeper(Failing(world, [STEADY_SECONDS + 1] * 100)).keep()
    assert world.gave_up == 0


async def test_a_task_that_returns_is_not_restarted() -> None:
    world = World()
    await world.keeper(Failing(world, [])).keep()
    assert world.pauses == []


async def test_a_cancellation_from_inside_is_a_failure_like_any_other() -> None:
    world, runs = World(), []

    async def task() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise asyncio.CancelledError

    await world.keeper(task).keep()
    assert len(runs) == 2


async def until_running(count: list[int], number: int) -> None:
    async with asyncio.timeout(10):
        while len(count) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.mark.usefixtures("quiet")
async def test_a_block_has_its_tasks_beside_it_and_the_process_knows_of_their_failures() -> None:
    runs: list[int] = []
    ended = asyncio.Event()

    async def task() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background.run(test=task):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not background.is_steady()
        await until_running(runs, 2)
        async with asyncio.timeout(10):
            while not background.is_steady():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert ended.is_set()
    assert len(runs) == 2


async def test_the_end_of_the_block_ends_a_task_that_waits_for_its_restart() -> None:
    async def task() -> None:
        raise ValueError

    with capture_logs():
        async with background.run(test=task):
            await asyncio.sleep(0.01)
            assert not background.is_steady()
    assert background.is_steady()


async def test_a_task_says_when_it_has_to_have_come_round_again() -> None:
    said = asyncio.Event()

    async def task() -> None:
        background.come_round(60)
        said.set()
        await asyncio.Event().wait()

    background.come_round()  # outside of a task it says nothing
    before = time.time()
    async with background.run(test_round=task):
        await said.wait()
    due = REGISTRY.get_sample_value("hitok_background_due_timestamp_seconds", {"task": "test_round"})
    assert due is not None and before + 60 <= due <= time.time() + 60
    assert REGISTRY.get_sample_value("hitok_background_due_timestamp_seconds", {"task": ""}) is None
