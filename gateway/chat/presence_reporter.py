"""Reports to the chat service, which keeps presence, who uses this gateway: open WebSockets and HTTP requests.

A change is reported at once, together with those of the same moment. What lasts is reported again every 30 s: a
WebSocket counts for 90 s and a request for 60 s after it was reported (docs/contract/api.md).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import grpc.aio
import structlog

from gateway.chat.client import Chat
from protos.chat.v1 import sockets_pb2 as pb
from services.kit import background
from services.kit.batcher import Batcher
from services.kit.errors import Unavailable

GATHER_SECONDS = 0.1  # while a report is under way; a lone change is reported at once
MAX_BATCH = 1_000  # changes in one report
MAX_WAITING = 20_000  # changes; the refresh repairs what does not fit
MAX_REQUESTERS = 50_000  # users whose last request is remembered
REFRESH_SECONDS = 30.0
TICK_SECONDS = 1.0  # between looks for what is due
RETRY_SECONDS = 1.0  # after a report failed
REPORT_TIMEOUT = 2.0
FLUSH_TIMEOUT = 0.5  # seconds

log = structlog.get_logger("presence")


class Reported(NamedTuple):
    """`due`: when to report it again, on the clock. `seen_at`: a request since the last report, in Unix ms; 0: none."""

    user_id: int
    due: float
    seen_at: int = 0


class PresenceReporter:
    def __init__(self, chat: Chat, clock: Callable[[], float] = time.monotonic) -> None:
        self._chat, self._clock = chat, clock
        self._sockets: OrderedDict[str, Reported] = OrderedDict()  # by connection id, the first due first
        self._requests: OrderedDict[int, Reported] = OrderedDict()  # by user id, the first due first
        self._batcher: Batcher[pb.Connection, None] = Batcher(
            self._report,
            GATHER_SECONDS,
            MAX_BATCH,
            max_waiting=MAX_WAITING,
            max_running=1,  # so that reports arrive in the order of the changes
            name="report presence",
        )
        self._last: asyncio.Future[None] | None = None  # the result of the last report
        self._begun = asyncio.Event()  # set while anything is to be refreshed
        self.version = 0  # grows with each change that was reported

    def opened(self, connection_id: str, user_id: int) -> None:
        self._sockets[connection_id] = Reported(user_id, self._clock() + REFRESH_SECONDS)
        self._begun.set()
        self._submit(pb.Connection(user_id=user_id, connection_id=connection_id))

    def closed(self, connection_id: str, user_id: int) -> None:
        self._sockets.pop(connection_id, None)
        self._submit(pb.Connection(user_id=user_id, connection_id=connection_id, closed=True))

    def touch(self, user_id: int) -> None:
        """The user made a request. Costs the request no call and no wait."""
        seen_at = time.time_ns() // 1_000_000
        known = self._requests.get(user_id)
        if known:
            self._requests[user_id] = known._replace(seen_at=seen_at)
        else:
            self._report_request(user_id, seen_at)

    async def flush(self) -> None:
        """Waits until the changes so far are reported, so that a later read includes them; at most half a second."""
        if self._last and not self._last.done():
            await asyncio.wait((self._last,), timeout=FLUSH_TIMEOUT)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Refreshes while the block runs; then reports that all WebSockets are closed."""
        async with background.run(presence_refresh=self._refresh_for_ever):
            yield
        closed = [
            pb.Connection(user_id=each.user_id, connection_id=id, closed=True) for id, each in self._sockets.items()
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(REPORT_TIMEOUT):  # in total: a hanging chat service must not delay the stop
                for start in range(0, len(closed), MAX_BATCH):
                    await self._report(closed[start : start + MAX_BATCH])

    async def _refresh_for_ever(self) -> None:
        while True:
            background.come_round()
            if self._sockets or self._requests:
                await asyncio.sleep(background.until(TICK_SECONDS))
                self.refresh()
            else:
                self._begun.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._begun.wait(), REFRESH_SECONDS)

    def refresh(self) -> None:
        """Reports again what is due: every open WebSocket, and the users with a request since their last report."""
        now = self._clock()
        while self._sockets and (first := next(iter(self._sockets.items())))[1].due <= now:
            id, socket = first
            self._sockets[id] = socket._replace(due=now + REFRESH_SECONDS)
            self._sockets.move_to_end(id)
            self._submit(pb.Connection(user_id=socket.user_id, connection_id=id))
        while self._requests and next(iter(self._requests.values())).due <= now:
            user_id, request = self._requests.popitem(last=False)
            if request.seen_at:
                self._report_request(user_id, request.seen_at)

    def _report_request(self, user_id: int, seen_at: int) -> None:
        self._requests[user_id] = Reported(user_id, self._clock() + REFRESH_SECONDS)
        if len(self._requests) > MAX_REQUESTERS:
            self._requests.popitem(last=False)
        self._begun.set()
        self._submit(pb.Connection(user_id=user_id, requested_at=seen_at))

    def _submit(self, row: pb.Connection) -> None:
        with suppress(Unavailable):
            self._last = self._batcher.submit(row)

    async def _report(self, rows: Sequence[pb.Connection]) -> list[None]:
        request = pb.RefreshConnectionsRequest(connections=rows)
        try:
            lost = (await self._chat.presence.RefreshConnections(request, timeout=REPORT_TIMEOUT)).lost
        except grpc.aio.AioRpcError as error:
            log.info("presence report failed", status=error.code().name)
            lost = True
        if lost:
            self._report_again(rows)
        self.version += 1
        return [None] * len(rows)

    def _report_again(self, rows: Iterable[pb.Connection]) -> None:
        """Soon, unless there was a later change. A closed WebSocket that stays unreported expires after 90 s."""
        due = self._clock() + RETRY_SECONDS
        for row in rows:
            if row.requested_at and (request := self._requests.get(row.user_id)):
                self._requests[row.user_id] = Reported(row.user_id, due, request.seen_at or row.requested_at)
                self._requests.move_to_end(row.user_id, last=False)
            elif row.connection_id in self._sockets:
                self._sockets[row.connection_id] = Reported(row.user_id, due)
                self._sockets.move_to_end(row.connection_id, last=False)
