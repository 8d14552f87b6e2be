"""A bounded pool of connections to PostgreSQL."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from psycopg import AsyncConnection as Driver
from psycopg.abc import Transformer as Loader
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import TimeoutError as PoolTimeout

IDLE_SECONDS = 30.0  # a connection that is not needed for so long is closed: it holds 3 to 10 MB of PostgreSQL's memory


@dataclass(slots=True)
class Prepared:
    name: bytes
    loader: Loader
    is_loaded: bool = False  # whether the loader knows the types of the columns


class Link:
    """A connection to the server, and the statements that it has prepared."""

    def __init__(self, driver: Driver, generation: int) -> None:
        self.driver, self.generation, self.idle_since = driver, generation, 0.0
        self.dumper = Transformer(driver)
        self.prepared: dict[tuple[bytes, bool, tuple[int, ...]], Prepared] = {}  # by SQL, format of rows, types
        self._names = itertools.count()

    def new_name(self) -> bytes:
        return b"s%d" % next(self._names)

    @property
    def idle(self) -> bool:
        return self.driver.pgconn.transaction_status == TransactionStatus.IDLE


class Pool:
    """Opens connections as they are needed, `size` at most. The one used last is used next."""

    def __init__(self, connect: Callable[[], Awaitable[Driver]], size: int) -> None:
        self._connect, self.size = connect, size
        self._idle: list[Link] = []
        self._open = self._generation = 0
        self._waiting: deque[asyncio.Future[Link | None]] = deque()

    @property
    def in_use(self) -> int:
        return self._open - len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, timeout: float) -> Link:
        """Raises PoolTimeout, or psycopg's errors if there is no server."""
        while self._idle:
            if self._is_fit(link := self._idle.pop()):
                return link
            self._drop(link)
        if self._open < self.size:
            return await self._grow()
        return await self._wait(timeout)

    async def _grow(self) -> Link:
        self._open += 1
        try:
            return Link(await self._connect(), self._generation)
        except BaseException:
            self._open -= 1
            self._pass_on(None)
            raise

    async def _wait(self, timeout: float) -> Link:
        turn: asyncio.Future[Link | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(timeout):
                link = await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # its turn came as it gave up
                self._return(turn.result())
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise PoolTimeout(f"no connection of {self.size} became free within {timeout} s") from None
            raise
        return link or await self.take(timeout)

    def give(self, link: Link) -> None:
        """Takes a connection back, and closes it unless it is out of its transaction."""
        if self._is_fit(link):
            self._return(link)
        else:
            self._drop(link)
            self._pass_on(None)

    def _return(self, link: Link | None) -> None:
        if not self._pass_on(link) and link:
            self._idle.append(link)
            link.idle_since = asyncio.get_running_loop().time()
            if link.idle_since - self._idle[0].idle_since > IDLE_SECONDS:
                self._drop(self._idle.pop(0))

    def _pass_on(self, link: Link | None) -> bool:
        """Gives the next in the queue a connection, or the right to open one."""
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_result(link)
                return True
        return False

    def _is_fit(self, link: Link) -> bool:
        return link.generation == self._generation and link.idle

    def _drop(self, link: Link) -> None:
        self._open -= 1
        link.driver.pgconn.finish()

    def forget_all(self) -> None:
        """The server has gone: what was connected before now is not used again."""
        self._generation += 1

    def close(self) -> None:
        self.forget_all()
        while self._idle:
            self._drop(self._idle.pop())
