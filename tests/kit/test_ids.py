import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.db import Database, next_node
from services.kit.ids import EPOCH_MS, MAX_ID, IdGenerator

NOW = EPOCH_MS + 60_000_000_000


def test_many_ids_of_one_millisecond_are_unique_and_grow() -> None:
    new_id = IdGenerator(1, lambda: NOW)
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))


@given(st.lists(st.integers(0, 2**41 - 1 - 10), min_size=1))
def test_ids_grow_whatever_the_clock_does(clock: list[int]) -> None:
    times = iter(clock)
    new_id = IdGenerator(1023, lambda: EPOCH_MS + next(times))
    ids = [new_id() for _ in clock]
    assert ids == sorted(set(ids)) and ids[0] > 0 and ids[-1] <= MAX_ID


def test_a_clock_before_the_epoch_still_gives_positive_ids_that_grow() -> None:
    new_id = IdGenerator(1, lambda: 0)
    ids = [new_id() for _ in range(5_000)]
    assert ids == sorted(set(ids)) and ids[0] > 0


def test_ids_of_two_nodes_never_meet() -> None:
    one, other = IdGenerator(1, lambda: NOW), IdGenerator(2, lambda: NOW)
    assert not {one() for _ in range(10_000)} & {other() for _ in range(10_000)}


def test_ids_fit_63_bits_until_2094_and_are_beyond_what_a_javascript_number_holds() -> None:
    last = IdGenerator(1023, lambda: EPOCH_MS + 2**41 - 1)
    assert last() <= MAX_ID
    assert IdGenerator(0)() > 2**53


@pytest.mark.parametrize("node", [-1, 1024])
def test_a_node_out_of_range_is_refused(node: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        IdGenerator(node)


async def test_every_start_takes_a_node_of_its_own(database: Database) -> None:
    async def take() -> int:
        async with database.transaction() as connection:
            return await next_node(connection)

    nodes = await asyncio.gather(*(take() for _ in range(20)))
    assert len(set(nodes)) == 20 and all(0 <= node < 1024 for node in nodes)
