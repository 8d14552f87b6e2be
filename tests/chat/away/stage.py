"""A chat service that pushes to a push service of the tests. Time does not pass by itself: `settle` makes due
what waits, so a test decides what happens before a push is planned, and before it is sent."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from protos.chat.v1 import devices_pb2 as pb
from protos.chat.v1.devices_pb2_grpc import DevicesStub
from services.chat.account_erasure import AccountEraser
from services.chat.away import planning
from services.chat.away.worker import Worker
from services.chat.consumer import EventHandler
from services.kit.context import Caller, current_caller
from services.kit.nats import Event
from services.kit.rpc.channel import open_channel
from tests.support.chat import Running, execute
from tests.support.push_services import Browser, PushService

DELAY = 3_600.0
_numbers = itertools.count(1)


class Stage(NamedTuple):
    chat: Running
    devices: DevicesStub
    service: PushService

    @property
    def worker(self) -> Worker:
        return self.chat.service.away.worker

    async def subscribe(self, user_id: int, session_id: int = 0, kind: str = "webpush") -> Browser:
        """A new browser of the user, in a session of its own."""
        browser = Browser(self.service, f"{next(_numbers)}")
        await self.register(user_id, session_id or user_id, kind=kind, **browser.subscription)
        return browser

    async def register(self, user_id: int, session_id: int, **fields: str) -> pb.Device:
        device: pb.Device = await self.call("RegisterDevice", user_id, session_id, pb.RegisterDeviceRequest(**fields))
        return device

    async def call(self, name: str, user_id: int, session_id: int, request: Any) -> Any:
        async def call() -> Any:
            current_caller.set(Caller(user_id, 1, session_id))
            return await getattr(self.devices, name)(request)

        return await asyncio.create_task(call())

    async def list_devices(self, user_id: int) -> list[pb.Device]:
        return list((await self.call("ListDevices", user_id, 1, pb.ListDevicesRequest())).devices)

    async def wish(self, user_id: int, **fields: Any) -> pb.PushSettings:
        settings: pb.PushSettings = await self.call("SetPushSettings", user_id, 1, pb.PushSettings(**fields))
        return settings

    async def plan(self) -> None:
        """Looks at all conversations with new messages."""
        away = self.chat.service.away
        await away.recorder.note()
        await execute(self.chat, "UPDATE away_conversation SET due_at = now() WHERE due_at IS NOT NULL")
        due = "SELECT FROM away_conversation WHERE due_at <= now() FOR UPDATE"  # waits for the service's own look
        while await planning.look(self.chat.service.database, DELAY) or await execute(self.chat, due):
            pass

    async def send(self) -> None:
        """Sends all that waits."""
        await execute(self.chat, "UPDATE away_push SET due_at = now() WHERE NOT sending AND done_at IS NULL")
        while await self.worker.send_batch():
            pass
        for _ in range(50):  # the service's own worker may have taken some; one that was killed never ends
            if not await execute(self.chat, "SELECT FROM away_push WHERE sending AND done_at IS NULL"):
                break
            await asyncio.sleep(0.02)

    async def settle_once(self) -> None:
        """As `settle`, without what the sending puts off."""
        await self.plan()
        await execute(self.chat, "UPDATE away_push SET due_at = now() WHERE NOT sending AND done_at IS NULL")
        await self.worker.send_batch()

    async def settle(self) -> None:
        await self.plan()
        await self.send()

    async def waiting(self, user_id: int) -> list[Any]:
        query = "SELECT * FROM away_push WHERE user_id = :user_id AND done_at IS NULL ORDER BY id"
        return await execute(self.chat, query, user_id=user_id)

    async def hear(self, subject: str, **data: Any) -> None:
        """As when another service announces it."""
        service = self.chat.service
        handler = EventHandler(service, AccountEraser(service.database, service.publisher))
        event = Event(service.new_id(), f"events.{subject}", "some", "2026-01-01T00:00:00+00:00", data)
        async with service.database.transaction() as connection:
            if event.subject == "events.user.account.deleted":
                await handler.apply_membership(connection, [event])
            else:
                await handler.add_notifications(connection, [event])


def told(browser: Browser) -> Sequence[tuple[str, int]]:
    """The bodies that the browser was pushed, each with the number of messages."""
    return [(each["body"], each["data"].get("count", 0)) for each in browser.received()]


@asynccontextmanager
async def on_stage(chat: Running, service: PushService) -> AsyncIterator[Stage]:
    async with open_channel(chat.target, chat.settings, (pb.DESCRIPTOR,)) as channel:
        yield Stage(chat, DevicesStub(channel), service)
