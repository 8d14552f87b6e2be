"""Records which messages and notifications were published, and stores notes of what may have to be pushed.

A frame is recorded after the commit by the process that stored it, and by the relay if that process died
(push/outbox.py), so a message is noted even then. What is noted twice is pushed once.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import text

from services.chat.away.settings import PUSHED_KINDS
from services.chat.parameters import json_rows
from services.chat.push.frames import Push
from services.kit.db import Database
from services.kit.events.stream import LOST
from services.kit.sql.connection import AsyncConnection

WINDOW = 0.25  # seconds; less than after which published frames are deleted (push/outbox.py, CONFIRM)
MAX_NOTED = 20_000
MESSAGE, NOTIFICATION = '{"type":"message",', '{"type":"notification",'

# A conversation of which nothing is stored begins at the noted message: what is older was there before any device.
NOTE_MESSAGES = text("""INSERT INTO away_conversation AS known (conversation_id, seen_seq, due_at)
 SELECT id, first - 1, now() + make_interval(secs => :wait)
 FROM jsonb_to_recordset(CAST(:noted AS jsonb)) AS noted (id bigint, first bigint) ORDER BY id
 ON CONFLICT (conversation_id) DO UPDATE SET due_at = excluded.due_at WHERE known.due_at IS NULL""")
NOTE_NOTIFICATIONS = text("""INSERT INTO away_push (device_id, user_id, topic, notification_id, due_at)
 SELECT device.id, device.user_id, 'n' || noted.id, noted.id, now() + make_interval(secs => :wait)
 FROM jsonb_to_recordset(CAST(:noted AS jsonb)) AS noted (id bigint, user_id bigint)
 JOIN push_device AS device USING (user_id)
 WHERE NOT EXISTS (SELECT FROM away_push AS told WHERE told.device_id = device.id AND told.topic = 'n' || noted.id)
 ON CONFLICT DO NOTHING""")

log = structlog.get_logger("away")


class _Notification(Struct):
    notification_id: str
    kind: str


class _Frame(Struct):
    data: _Notification


_decode = msgspec.json.Decoder(_Frame).decode


class Recorder:
    def __init__(self, database: Database, delay: float) -> None:
        """`delay`: seconds from a message to its push."""
        self._database, self._delay = database, delay
        self._messages: dict[int, int] = {}  # the first seq by conversation
        self._notifications: dict[int, int] = {}  # users by notification
        self._recorded, self._noting = asyncio.Event(), asyncio.Lock()
        self.noted = asyncio.Event()
        self._has_devices, self._registered_at = False, 0.0

    def registered(self) -> None:
        """A device was registered here."""
        self._has_devices, self._registered_at = True, monotonic()

    def counted(self, has_devices: bool, asked_at: float) -> None:
        """Whether anybody has a device, by a look that began then: if not, nothing is noted."""
        self._has_devices = has_devices or self._registered_at > asked_at

    def record(self, pushes: Sequence[Push]) -> None:
        if not self._has_devices:
            return
        for push in pushes:
            if len(self._messages) + len(self._notifications) > MAX_NOTED:
                return
            if push.payload.startswith(MESSAGE):
                self._record_message(push)
            elif push.payload.startswith(NOTIFICATION):
                told = _decode(push.payload).data
                if told.kind in PUSHED_KINDS:
                    self._notifications[int(told.notification_id)] = int(push.subject.rpartition(".")[2])
        if self._messages or self._notifications:
            self._recorded.set()

    def _record_message(self, push: Push) -> None:
        id = int(push.subject.rpartition(".")[2])
        seq = int(dict(line.split(": ", 1) for line in push.header.splitlines())["seq"])
        self._messages[id] = min(self._messages.get(id, seq), seq)

    async def run(self) -> None:
        while True:
            await self._recorded.wait()
            await asyncio.sleep(WINDOW)
            self._recorded.clear()
            await self.note()

    async def note(self) -> None:
        """Stores all that was recorded before the call."""
        async with self._noting:
            await self._note()

    async def _note(self) -> None:
        messages, self._messages = self._messages, {}
        notifications, self._notifications = self._notifications, {}
        rows = [{"id": id, "first": first} for id, first in messages.items()]
        told = [{"id": id, "user_id": user_id} for id, user_id in notifications.items()]
        try:
            async with self._database.transaction() as connection:
                await self._store(connection, NOTE_MESSAGES, rows, self._delay / 2)
                await self._store(connection, NOTE_NOTIFICATIONS, told, self._delay)
        except LOST as error:
            log.warning("not noted for pushes", error=repr(error)[:200])
            self._messages, self._notifications = self._messages | messages, self._notifications | notifications
            self._recorded.set()
            await asyncio.sleep(1)
            return
        self.noted.set()

    async def _store(self, connection: AsyncConnection, statement: Any, rows: Sequence[Any], wait: float) -> None:
        if rows:
            await connection.execute(statement, {"noted": json_rows(rows), "wait": wait})

    async def wait_for_notes(self, seconds: float) -> None:
        """Returns when something was noted here, or after that time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.noted.wait(), seconds)
