"""What the chat service and other gateways push, over core NATS: one subscription, so that order is kept.

`push.conv.<id>` durable events (header `rev`; `seq` if it shows a message) and those of which the latest counts
(header `key`);
`push.user.<id>` for one user's devices (headers `joined`, `left`: his membership
changed; or a `key`);
`push.presence.<id>` for those who asked. The payload is the frame as the client gets it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import structlog
from msgspec import Struct
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind

from gateway.ws import metrics
from gateway.ws.frames import Place
from gateway.ws.hub import Hub
from gateway.ws.protocol import text_frame
from gateway.ws.replay_buffer import Event
from services.kit import telemetry

SUBJECTS = "push.>"
ACCOUNT_SUBJECTS = (
    "events.user.session.revoked",
    "events.user.account.disabled",
    "events.user.account.deleted",
)
PENDING_MESSAGES, PENDING_BYTES = 65_536, 64 * 1024 * 1024  # beyond, the client drops: a gap
WATCH_EVERY = 0.5  # seconds between looks at whether there was a gap


class _Conversation(Struct):
    rev: int
    last_seq: int = 0


class _Account(Struct):
    user_id: str
    session_ids: list[str] = []


class AccountEvent(Struct):
    data: _Account


class _Joined(Struct):
    data: _Conversation


decode_joined = msgspec.json.Decoder(_Joined).decode
log = structlog.get_logger("sockets")


class Feed:
    """`on_gap` is called when events may have been missed."""

    def __init__(self, nats: Nats, hub: Hub, on_gap: Callable[[], None]) -> None:
        self._nats, self._hub, self._on_gap = nats, hub, on_gap
        self.subscribed = False
        self._taken = self._reconnects = 0

    async def publish_latest(self, conversation_id: int, payload: bytes, key: str, except_id: str) -> None:
        """To the other members, wherever they are connected; while NATS is away, to nobody."""
        if self._nats.is_connected:
            with suppress(NatsError):
                headers = {"key": key, "except": except_id}
                await self._nats.publish(f"push.conv.{conversation_id}", payload, headers=headers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()

    async def _watch(self) -> None:
        """Subscribes, then looks for gaps: the client renews the subscription when it reconnects, but tells
        only in its counters that it did, and only to its own log that it dropped what we were too slow for."""
        subscription = await self._subscribe()
        self.subscribed = True
        self._reconnects, dropped = self._nats.stats["reconnects"], 0
        while True:
            await asyncio.sleep(WATCH_EVERY)
            self._notice_reconnect()
            now = subscription.delivered - subscription.pending_msgs - self._taken
            if now != dropped:
                log.warning("events were dropped", count=now - dropped)
                self._on_gap()
            dropped = now

    def _notice_reconnect(self) -> None:
        if self._nats.stats["reconnects"] != self._reconnects:
            self._reconnects = self._nats.stats["reconnects"]
            log.warning("events may be missed", reconnects=self._reconnects)
            self._on_gap()

    async def _subscribe(self) -> Subscription:
        while True:
            with suppress(NatsError):
                if self._nats.is_connected:
                    for subject in ACCOUNT_SUBJECTS:
                        await self._nats.subscribe(subject, cb=self._take_account)
                    return await self._nats.subscribe(
                        SUBJECTS,
                        cb=self._take,
                        pending_msgs_limit=PENDING_MESSAGES,
                        pending_bytes_limit=PENDING_BYTES,
                    )
            await asyncio.sleep(0.1)

    async def _take_account(self, message: Msg) -> None:
        """The end of sessions closes their sockets; missed, repairs.py finds out."""
        event = msgspec.json.decode(message.data, type=AccountEvent).data
        if event.session_ids:
            self._hub.revoke({int(id) for id in event.session_ids})
        else:
            self._hub.revoke_user(int(event.user_id))

    async def _take(self, message: Msg) -> None:
        self._taken += 1
        self._notice_reconnect()  # before anybody gets what he may no longer see
        try:
            with telemetry.following("deliver push", SpanKind.CONSUMER, message.headers):
                self._route(message)
        except (ValueError, KeyError):  # msgspec's errors are ValueErrors too
            log.warning("not a push", subject=message.subject)

    def _route(self, message: Msg) -> None:
        _, kind, number = message.subject.split(".")
        headers, frame, id = message.headers or {}, text_frame(message.data), int(number)
        metrics.EVENTS.labels(kind).inc()
        match kind:
            case "conv" if "rev" in headers:
                self._hub.event(Event(id, int(headers["rev"]), frame, int(headers.get("seq", 0))))
            case "conv":
                self._hub.latest(id, frame, headers["key"], headers.get("except", ""))
            case "user":
                self._take_own(id, message, frame, headers)
            case "presence":
                self._hub.presence(id, frame)

    def _take_own(self, user_id: int, message: Msg, frame: bytes, headers: dict[str, str]) -> None:
        if left := headers.get("left"):
            self._hub.move(user_id, int(left), None)
        self._hub.own(user_id, frame, headers.get("key", ""))
        if joined := headers.get("joined"):  # after the frame that tells what it is
            data = decode_joined(message.data).data
            self._hub.move(user_id, int(joined), Place(data.rev, data.last_seq))
