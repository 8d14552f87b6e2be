"""Turns at something of which little happens at a time, shared fairly among users.

A user whose turn lasts long is slow for a while. Slow users wait until nobody else does, and one turn is not for them:
so those whose turns are short wait for short ones only.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kit.ttl_map import TtlMap
from services.media.errors import ProbeOverloaded

SLOW_SECONDS, MAX_SLOW = 60.0, 10_000  # how long a user is slow, and how many are
REFUSED_SECONDS, MAX_REFUSED = 60.0, 10_000  # how long a refused file sets its user apart, and how many users


class Turns:
    """At most `at_once` at a time. Of two or more, one user has all but one at most, and so have all slow users.

    Users who wait take turns in a circle, so that many files of one user delay another user's by one file at most; a
    user may have `waiting` files wait, for `seconds`.
    """

    def __init__(self, at_once: int, waiting: int, seconds: float) -> None:
        self._free, self._most_waiting, self._seconds = at_once, waiting, seconds
        self._most = max(at_once - 1, 1)  # turns of one user, and of all slow ones
        self._slow: TtlMap[int, bool] = TtlMap(SLOW_SECONDS, MAX_SLOW)
        self._queues: dict[int, deque[asyncio.Future[None]]] = {}  # by user, next one first
        self._held: Counter[int] = Counter()
        self._served: dict[int, int] = {}  # by user who holds or waits, the number of their last turn
        self._number = 0

    @asynccontextmanager
    async def take(self, user_id: int) -> AsyncIterator[None]:
        """Waits for a turn, and has it while the block runs. Raises ProbeOverloaded."""
        if self._has_one_for(user_id):
            self._give(user_id)
        else:
            await self._wait(user_id)
        try:
            yield
        finally:
            self._end(user_id)

    def slow_down(self, user_id: int) -> None:
        """The user's turn lasts long."""
        self._slow.put(user_id, True)

    def _is_slow(self, user_id: int) -> bool:
        return self._slow.get(user_id, False)

    def _has_one_for(self, user_id: int) -> bool:
        if not self._free or self._held[user_id] >= self._most:
            return False
        slow = sum(held for each, held in self._held.items() if self._is_slow(each)) if self._is_slow(user_id) else 0
        return slow < self._most

    async def _wait(self, user_id: int) -> None:
        queue = self._queues.setdefault(user_id, deque())
        if len(queue) >= self._most_waiting:
            raise ProbeOverloaded(retry_after=self._seconds)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            self._give_up(user_id, turn)
            if isinstance(error, TimeoutError):
                raise ProbeOverloaded(retry_after=self._seconds) from None
            raise

    def _give_up(self, user_id: int, turn: asyncio.Future[None]) -> None:
        if not turn.cancelled():  # the turn came at the same moment
            self._end(user_id)
            return
        queue = self._queues.get(user_id, deque())
        if turn in queue:  # else `_next` passed it over
            queue.remove(turn)
            if not queue:
                del self._queues[user_id]
        if user_id not in self._queues and not self._held[user_id]:
            self._served.pop(user_id, None)

    def _end(self, user_id: int) -> None:
        """Passes the turn on to a user who is not slow, of those to the one who has the fewest, of those to the one
        served least recently."""
        self._free += 1
        self._held[user_id] -= 1
        if not self._held[user_id]:
            del self._held[user_id]
            if user_id not in self._queues:
                self._served.pop(user_id, None)
        while users := [each for each in self._queues if self._has_one_for(each)]:
            next_id = min(users, key=lambda each: (self._is_slow(each), self._held[each], self._served.get(each, 0)))
            turn = self._next(next_id)
            if not turn.done():  # one who leaves has cancelled it, and their task has not run since
                self._give(next_id)
                turn.set_result(None)

    def _next(self, user_id: int) -> asyncio.Future[None]:
        queue = self._queues[user_id]
        turn = queue.popleft()
        if not queue:
            del self._queues[user_id]
        return turn

    def _give(self, user_id: int) -> None:
        self._free -= 1
        self._held[user_id] += 1
        self._number += 1
        self._served[user_id] = self._number


class InspectionTurns(Turns):
    """Turns of users of whom no file was refused lately. The others have one turn together, beside these."""

    def __init__(self, at_once: int, waiting: int, seconds: float) -> None:
        super().__init__(at_once, waiting, seconds)
        self._apart = Turns(1, waiting, seconds)
        self._refused: TtlMap[int, bool] = TtlMap(REFUSED_SECONDS, MAX_REFUSED)

    def set_apart(self, user_id: int) -> None:
        """A file of the user was refused."""
        self._refused.put(user_id, True)

    @asynccontextmanager
    async def take_either(self, user_id: int) -> AsyncIterator[bool]:
        """As `take`. Yields whether it is the turn of those set apart, also if they were while they waited."""
        if not self._refused.get(user_id, False):
            async with self.take(user_id):
                if not self._refused.get(user_id, False):
                    yield False
                    return
        async with self._apart.take(user_id):
            yield True
