"""Sends what waits. A push that a worker has begun is never begun again, so a device hears once of what is told, or, if
the worker dies, perhaps not at all.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

from services.chat.away import planning, queue
from services.chat.away.configuration import Drivers
from services.chat.away.drivers.driver import APNS, FCM, UNIFIED_PUSH, WEB_PUSH, Outcome, Result
from services.chat.away.payloads import notice_of
from services.chat.away.queue import Later
from services.chat.away.recorder import Recorder
from services.chat.away.settings import MESSAGE, quiet_until
from services.kit import background
from services.kit.db import Database
from services.kit.events.stream import LOST

POLL = 5.0  # seconds between looks for what another process noted
LEAST_WAIT = 0.05  # seconds
SELDOM = 60.0  # seconds between looks of the sender, whom `look` wakes
FORGET_EVERY = 60.0  # seconds
FIRST_RETRY, LAST_RETRY, MAX_ATTEMPTS = 5.0, 1_800.0, 10  # seconds, seconds, attempts

SENT = Counter("hitok_chat_away_pushes", "Pushes to users who are away", ["kind", "outcome"])
for kind in (APNS, FCM, UNIFIED_PUSH, WEB_PUSH):
    for outcome in (*Outcome, "unwanted", "expired"):
        SENT.labels(kind, outcome)  # counted from 0 on
WAITING = Gauge("hitok_chat_away_waiting", "Pushes that wait to be sent, up to 10,000")
Online = Callable[[Sequence[int]], Awaitable[set[int]]]  # those of the users who are online

log = structlog.get_logger("away")


class Worker:
    def __init__(
        self, database: Database, drivers: Drivers, recorder: Recorder, online: Online, delay: float, ttl: float
    ) -> None:
        """`delay`: seconds from a message to its push. `ttl`: seconds after which nothing is told any more."""
        self._database, self._drivers, self._recorder, self._online = database, drivers, recorder, online
        self._delay, self._ttl = delay, ttl
        self._planned = asyncio.Event()

    async def look(self) -> None:
        """Plans the pushes about new messages, whichever process noted these."""
        forget_at = 0.0
        while True:
            background.come_round()
            try:
                asked_at = monotonic()
                state = await queue.read_state(self._database)
                WAITING.set(state.waiting)
                self._recorder.counted(state.has_devices, asked_at)
                if _is_due(state.send_in):
                    self._planned.set()
                if _is_due(state.look_in) and await planning.look(self._database, self._delay / 2):
                    self._planned.set()
                    continue  # there may be more
                if asked_at > forget_at:
                    forget_at = asked_at + FORGET_EVERY
                    await self.forget_lost()
                wait = _wait(state.look_in)
            except LOST as error:
                log.warning("pushes are not planned", error=repr(error)[:200])
                wait = 1.0
            await self._recorder.wait_for_notes(wait)
            self._recorder.noted.clear()

    async def forget_lost(self) -> None:
        """Ends what workers that died left, and forgets what was told long ago."""
        if lost := await queue.forget_lost(self._database):
            SENT.labels("unknown", Outcome.LOST).inc(lost)

    async def send(self) -> None:
        while True:
            background.come_round()
            try:
                state = await queue.read_state(self._database)
                if _is_due(state.send_in) and await self.send_batch():
                    continue
                wait = _wait(state.send_in, SELDOM)
            except LOST as error:
                log.warning("pushes are not sent", error=repr(error)[:200])
                wait = 1.0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._planned.wait(), wait)
            self._planned.clear()

    async def send_batch(self) -> int:
        """Returns how many pushes were taken."""
        rows = await queue.claim(self._database)
        told = [row.user_id for row in rows if row.notification_id]
        online = await self._online(told) if told else set[int]()
        results = await asyncio.gather(*(self._send(row, row.user_id in online) for row in rows))
        done, later, gone = [], [], []
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, Later):
                later.append(result)
            else:
                done.append(row.id)
            if result is Outcome.GONE:
                gone.append(row.device_id)
        if rows:
            await queue.settle(self._database, done, later, gone)
        return len(rows)

    async def _send(self, row: Any, is_online: bool) -> Outcome | Later | None:
        """What became of it; None if there was nothing to tell."""
        if row.device_id is None or row.kind not in self._drivers.by_kind:
            return None
        if not _is_wanted(row, is_online):
            SENT.labels(row.kind, "unwanted").inc()
            return None
        if row.age > self._ttl:
            SENT.labels(row.kind, "expired").inc()
            return None
        now = datetime.now(UTC)
        if until := quiet_until(row, now):
            return Later(row.id, (until - now).total_seconds())
        try:
            result = await self._drivers.by_kind[row.kind].send(row, notice_of(row, self._ttl - row.age))
        except Exception:  # one push, whatever it is about, holds no other up
            log.exception("push failed", kind=row.kind)
            result = Result(Outcome.FAILED)
        SENT.labels(row.kind, result.outcome).inc()
        return self._after(row, result)

    def _after(self, row: Any, result: Result) -> Outcome | Later:
        if result.outcome is not Outcome.SENT:
            told = {"outcome": str(result.outcome), "detail": result.detail[:200], "attempt": row.attempts + 1}
            log.info("push not sent", kind=row.kind, device_id=row.device_id, **told)
        if result.outcome is Outcome.RETRY and row.attempts + 1 < MAX_ATTEMPTS:
            backoff = min(FIRST_RETRY * 2**row.attempts, LAST_RETRY) * random.uniform(0.75, 1.25)  # noqa: S311
            return Later(row.id, max(backoff, result.retry_after), tried=1)
        return result.outcome


def _is_wanted(row: Any, is_online: bool) -> bool:
    """Whether there is still something to tell: not read, received or recalled meanwhile, and not muted."""
    if row.conversation_id:
        return bool(row.count) and MESSAGE not in row.muted_kinds
    return row.wanted and not is_online and row.told not in row.muted_kinds


def _is_due(seconds: float | None) -> bool:
    return seconds is not None and seconds <= 0


def _wait(due_in: float | None, most: float = POLL) -> float:
    return most if due_in is None else min(max(due_in, LEAST_WAIT), most)
