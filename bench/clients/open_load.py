"""An open load: requests are sent when they are due, whether or not those before them were answered."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.clients.load import Connection

PATIENCE = 10.0  # seconds after which a client gives up, and its connection is closed
UNANSWERED, DISCONNECTED = 0, -1  # instead of a status
GOOD = 1.0  # seconds: a later answer helps nobody


@dataclass(slots=True)
class Outcome:
    """Latencies in seconds, from the moment at which each request was due."""

    seconds: float = 0.0
    offered: int = 0
    good: list[float] = field(default_factory=list)  # answered with 2xx or 401
    refused: list[float] = field(default_factory=list)  # answered with 429 or 503
    retry_after: int = 0  # of the refused, those that name a time
    failed: dict[int, int] = field(default_factory=dict)  # other answers by status, and the two below
    ended_at: list[float] = field(default_factory=list)  # when the answers that are not good came
    late: list[float] = field(default_factory=list)  # what the generator itself was late with each turn of sending

    def add(self, status: int, latency: float, named: bool, moment: float) -> None:
        if 200 <= status < 300 or status == 401:
            self.good.append(latency)
            return
        self.ended_at.append(moment)
        if status in (429, 503):
            self.refused.append(latency)
            self.retry_after += named
        else:
            self.failed[status] = self.failed.get(status, 0) + 1

    @property
    def goodput(self) -> float:
        """Answers within GOOD per second."""
        return sum(latency <= GOOD for latency in self.good) / self.seconds if self.seconds else 0.0


class OpenLoad:
    """Requests to one address, on as many connections as are in use at the same time."""

    def __init__(self, address: tuple[str, int], connections: int = 4_000) -> None:
        """While all `connections` are in use, requests fail as -1."""
        self._address, self._connections = address, connections
        self._idle: list[Connection] = []
        self._in_use = 0

    async def run(self, make: Callable[[int], bytes], rate: float, seconds: float) -> Outcome:
        """Sends what `make` returns for 0, 1, … at `rate` per second, and waits for the answers."""
        loop, outcome, tasks = asyncio.get_running_loop(), Outcome(seconds), set[asyncio.Task[None]]()
        began = loop.time()
        while (now := loop.time()) < began + seconds:
            if (late := now - began - outcome.offered / rate) > 0:
                outcome.late.append(late)
            while (due := began + outcome.offered / rate) <= now:
                task = asyncio.create_task(self._ask(due, make(outcome.offered), outcome))
                outcome.offered += 1
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(max(due - loop.time(), 0.0005))
        if tasks:
            await asyncio.wait(tasks)
        return outcome

    async def _ask(self, due: float, request: bytes, outcome: Outcome) -> None:
        now, connection = asyncio.get_running_loop().time, None
        status, named = DISCONNECTED, False
        self._in_use += 1
        try:
            if self._in_use <= self._connections:
                async with asyncio.timeout_at(due + PATIENCE):
                    connection = await self._connection()
                    status, named = await connection.ask(request)
                    self._idle.append(connection)
        except TimeoutError:
            status = UNANSWERED
            if connection:
                connection.transport.abort()
        except OSError:
            pass
        finally:
            self._in_use -= 1
        outcome.add(status, now() - due, named, now())

    async def _connection(self) -> Connection:
        while self._idle:
            if not (connection := self._idle.pop()).closed:
                return connection
        return (await asyncio.get_running_loop().create_connection(Connection, *self._address))[1]

    def close(self) -> None:
        for connection in self._idle:
            connection.transport.close()


def cpu_seconds() -> float:
    """Of this process: what the generator itself takes from the servers."""
    return time.process_time()
