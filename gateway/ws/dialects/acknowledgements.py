"""The first acknowledgement of dialect B2: sent again until the client confirms it, for a bounded number of times."""

import asyncio
from functools import partial

from gateway.ws.dialects.session import Session

ACK = 3
REPEAT_SECONDS = 0.3
MAX_REPEATS = 10
MAX_UNCONFIRMED = 64  # acknowledgements that are repeated at a time


class Acknowledgements:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._timers: dict[str, asyncio.TimerHandle] = {}  # by id, of those that are not confirmed yet

    def __contains__(self, id: str) -> bool:
        return id in self._timers

    def send(self, id: str, repeats: int = MAX_REPEATS) -> None:
        connection = self._session.connection
        self.confirm(id)
        if connection.is_closing:
            return
        if repeats == MAX_REPEATS or not connection.has_queued:  # else the one before was not read yet
            self._session.say({"id": id, "ackSeq": 1, "frameType": ACK})
        if repeats and len(self._timers) < MAX_UNCONFIRMED:
            again = partial(self.send, id, repeats - 1)
            self._timers[id] = asyncio.get_running_loop().call_later(REPEAT_SECONDS, again)

    def confirm(self, id: str) -> None:
        if timer := self._timers.pop(id, None):
            timer.cancel()

    def end(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
