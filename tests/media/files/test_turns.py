"""Turns are shared among users, whoever came with how many."""

import asyncio

import pytest

from services.media.errors import ProbeOverloaded
from services.media.files import turns
from services.media.files.turns import InspectionTurns, Turns


class Crowd:
    """Takes turns, and writes down who has had one."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.served, self.gates = turns, list[int](), list[asyncio.Event]()
        self.tasks: list[asyncio.Task[None]] = []
        self.apart = set[int]()  # whose turn was that of users of refused files

    async def come(self, *user_ids: int) -> None:
        self.tasks += [asyncio.create_task(self._take(user_id)) for user_id in user_ids]
        await asyncio.sleep(0)

    async def _take(self, user_id: int) -> None:
        gate = asyncio.Event()
        turn = self.turns.take_either if isinstance(self.turns, InspectionTurns) else self.turns.take
        async with turn(user_id) as is_apart:
            self.apart |= {user_id} if is_apart else set()
            self.served.append(user_id)
            self.gates.append(gate)
            await gate.wait()

    async def finish_one(self) -> None:
        self.gates.pop(0).set()
        for _ in range(3):
            await asyncio.sleep(0)

    async def finish_all(self) -> None:
        while self.gates:
            await self.finish_one()


async def test_one_users_many_files_delay_anothers_by_one() -> None:
    crowd = Crowd(Turns(3, 20, 60))
    await crowd.come(1, 1, 1, 1, 1, 1)
    await crowd.come(2, 3)
    assert crowd.served == [1, 1, 2], "one turn is not for one who has the others"
    await crowd.finish_all()
    assert crowd.served == [1, 1, 2, 3, 1, 1, 1, 1]


async def test_users_whose_turns_are_long_leave_one_to_others_and_come_last() -> None:
    crowd = Crowd(Turns(3, 20, 60))
    await crowd.come(1, 2)
    for user_id in (1, 2, 3):
        crowd.turns.slow_down(user_id)
    await crowd.come(3, 3)
    assert crowd.served == [1, 2], "the third turn is not for slow users"
    await crowd.come(4, 5)
    assert crowd.served == [1, 2, 4]
    await crowd.finish_one()
    assert crowd.served == [1, 2, 4, 5], "who is not slow goes first"
    await crowd.finish_one()
    assert crowd.served == [1, 2, 4, 5, 3]
    await crowd.finish_one()
    assert crowd.served == [1, 2, 4, 5, 3, 3]
    await crowd.finish_all()
    assert not (crowd.turns._queues or crowd.turns._served or crowd.turns._held)
    assert crowd.turns._free == 3


async def test_a_user_is_slow_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLOW_SECONDS", 0)
    crowd = Crowd(Turns(2, 20, 60))
    crowd.turns.slow_down(1)
    crowd.turns.slow_down(2)
    await crowd.come(1, 2)
    assert crowd.served == [1, 2]
    await crowd.finish_all()


async def test_who_has_a_turn_waits_for_who_has_none() -> None:
    crowd = Crowd(Turns(2, 20, 60))
    await crowd.come(1, 2)
    await crowd.come(1, 1, 3)
    await crowd.finish_one()
    await crowd.finish_one()
    assert crowd.served == [1, 2, 3, 1]
    await crowd.finish_all()
    assert sorted(crowd.served) == [1, 1, 1, 2, 3]


async def test_only_so_many_files_of_a_user_wait() -> None:
    crowd = Crowd(Turns(1, 2, 60))
    await crowd.come(1, 1, 1)
    with pytest.raises(ProbeOverloaded):
        async with crowd.turns.take(1):
            pass
    await crowd.come(2)
    await crowd.finish_all()
    assert crowd.served == [1, 2, 1, 1]


@pytest.mark.parametrize("others", [(), (3,), (2, 3)])
async def test_a_turn_that_comes_as_its_user_leaves_is_the_next_ones(others: tuple[int, ...]) -> None:
    """Who leaves is out of the queue only when their task runs again, after the turn was passed on."""
    crowd = Crowd(Turns(1, 20, 60))
    await crowd.come(1)
    await crowd.come(2, *others)
    crowd.gates.pop(0).set()
    crowd.tasks[1].cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    await crowd.finish_all()
    assert crowd.served == [1, *others]
    async with asyncio.timeout(1), crowd.turns.take(2):
        pass
    assert not (crowd.turns._queues or crowd.turns._served)


async def test_who_waits_too_long_or_leaves_loses_no_turn() -> None:
    crowd = Crowd(Turns(1, 20, 0.01))
    await crowd.come(1)
    with pytest.raises(ProbeOverloaded):
        async with crowd.turns.take(2):
            pass
    crowd.turns._seconds = 60
    await crowd.come(3, 4)
    crowd.tasks[1].cancel()
    crowd.gates.pop(0).set()  # the turn comes to 3, or to 4, while 3 leaves
    crowd.tasks[1].cancel()
    await asyncio.wait(crowd.tasks[:2])
    await asyncio.sleep(0)
    await crowd.finish_all()
    assert crowd.served == [1, 4]
    async with crowd.turns.take(5):
        pass


async def test_a_turn_that_comes_as_its_user_leaves_is_passed_on() -> None:
    crowd = Crowd(Turns(1, 20, 60))
    await crowd.come(1, 2, 3)
    _, second, _ = crowd.tasks
    crowd.gates.pop(0).set()
    await asyncio.sleep(0)  # the turn has just been given to 2, whose task has not run
    second.cancel()
    await asyncio.wait([second])
    await asyncio.sleep(0)
    await crowd.finish_all()
    assert crowd.served == [1, 3]


async def test_users_of_refused_files_have_one_turn_together_beside_the_others() -> None:
    turns = InspectionTurns(3, 20, 60)
    turns.set_apart(1)
    turns.set_apart(2)
    crowd = Crowd(turns)
    await crowd.come(1, 1, 2, 2)
    assert crowd.served == [1], "their others wait, whatever is free"
    await crowd.come(3, 4, 5)
    assert crowd.served == [1, 3, 4, 5], "nobody else waits for them"
    await crowd.finish_one()
    assert crowd.served == [1, 3, 4, 5, 2], "among themselves they take turns"
    await crowd.finish_all()
    assert sorted(crowd.served) == [1, 1, 2, 2, 3, 4, 5]
    assert crowd.apart == {1, 2}


async def test_files_that_wait_while_another_of_their_user_is_refused_are_set_apart_too() -> None:
    turns = InspectionTurns(2, 20, 60)
    crowd = Crowd(turns)
    await crowd.come(1, 1, 1, 2)
    assert crowd.served == [1, 2]
    turns.set_apart(1)
    await crowd.finish_one()
    await crowd.come(3)
    assert crowd.served == [1, 2, 1, 3], "the second of 1 has the turn apart, and the free one is for 3"
    assert crowd.apart == {1}
    await crowd.finish_all()
    assert sorted(crowd.served) == [1, 1, 1, 2, 3]


async def test_a_refused_file_sets_its_user_apart_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "REFUSED_SECONDS", 0)
    crowd = Crowd(InspectionTurns(2, 20, 60))
    assert isinstance(crowd.turns, InspectionTurns)
    crowd.turns.set_apart(1)
    await crowd.come(1)
    assert (crowd.served, crowd.apart) == ([1], set())
    await crowd.finish_all()
