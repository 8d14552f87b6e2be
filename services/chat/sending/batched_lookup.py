"""Questions to other services: many in one call, and a few answers believed for a while."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import structlog

from services.kit import telemetry
from services.kit.errors import HitokError

MAX_ASKED = 500  # in one call
MAX_KEPT = 50_000

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")

log = structlog.get_logger("answers")


class Answers(Generic[K, A]):
    """Those asked for at one moment travel in one call; some are kept."""

    def __init__(
        self,
        ask: Callable[[Sequence[K]], Awaitable[Sequence[A]]],
        unavailable: type[HitokError],
        seconds: Callable[[], float] = lambda: 0.0,
        may_be_kept: Callable[[A], bool] = lambda answer: False,
    ) -> None:
        """`ask` answers each, in order, or all fail as `unavailable`. `seconds`: for how long an answer that comes now
        may be kept."""
        self._ask, self._unavailable = ask, unavailable
        self._seconds, self._may_be_kept = seconds, may_be_kept
        self._kept: OrderedDict[K, tuple[A, float]] = OrderedDict()
        self._asked: dict[K, asyncio.Future[A]] = {}
        self._traces: list[str] = []
        self._drops = 0
        self._loop = asyncio.get_running_loop()

    async def get(self, key: K, fresh: bool = False) -> A:
        """Raises `unavailable`."""
        if not fresh and (kept := self._kept.get(key)) and kept[1] > self._loop.time():
            return kept[0]
        if trace := telemetry.here():
            self._traces.append(trace)
        if key not in self._asked:
            self._asked[key] = self._loop.create_future()
            if len(self._asked) == 1:
                # An empty context: the call is for many, and has no one's deadline or name.
                self._loop.create_task(self._fetch(), context=contextvars.Context())
        return await asyncio.shield(self._asked[key])

    async def _fetch(self) -> None:
        await asyncio.sleep(0)  # those who ask in this turn of the loop come along
        (asked, self._asked), (traces, self._traces) = (self._asked, {}), (self._traces, [])
        keys = list(asked)
        for start in range(0, len(keys), MAX_ASKED):
            some, drops = keys[start : start + MAX_ASKED], self._drops
            try:
                with telemetry.gathering("ask", traces):
                    answers = await self._ask(some)
            except Exception as error:  # whatever it is, nobody may wait for ever
                log.warning("not answered", error=repr(error)[:200])
                _fail([asked[key] for key in some], self._unavailable())
                continue
            for key, answer in zip(some, answers, strict=True):
                if not asked[key].done():
                    asked[key].set_result(answer)
                if drops == self._drops and self._may_be_kept(answer):  # else it may be older than what ended it
                    self._keep(key, answer)

    def _keep(self, key: K, answer: A) -> None:
        self._kept[key] = (answer, self._loop.time() + self._seconds())
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def drop(self, *keys: K) -> None:
        """Forgets these; everything if none is named."""
        self._drops += 1
        for key in keys:
            self._kept.pop(key, None)
        if not keys:
            self._kept.clear()


def _fail(futures: Sequence[asyncio.Future[Any]], error: HitokError) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # all who asked may be gone
