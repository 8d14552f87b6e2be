"""Receives live frames from the chat and the media service and from other gateways over core NATS.

| subject | delivered to | headers |
|---|---|---|
| `push.conv.<id>` | the members of a conversation | `rev`, and `seq` if it shows a message: a durable event; or `key`: only the latest counts |
| `push.user.<id>` | the devices of one user | `joined`, `left`: a conversation, when their membership changed; or `key` |
| `push.presence.<id>` | the clients that subscribed to a user's presence | `recheck`: only those that may no longer |

The payload is the frame as the client gets it. One subscription receives all subjects, because the order between
them counts: a membership event has to arrive before the messages that follow it.
"""  # noqa: E501

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
from gateway.ws.frames import Membership
from gateway.ws.hub import Hub
from gateway.ws.protocol import text_frame
from gateway.ws.replay_buffer import Event
from services.kit import background, telemetry

SUBJECTS = "push.>"
ACCOUNT_SUBJECTS = (
    "events.user.session.revoked",
    "events.user.account.disabled",
    "events.user.account.deleted",
)
PENDING_MESSAGES, PENDING_BYTES = 65_536, 64 * 1024 * 1024  # beyond them the NATS client drops messages: a gap
GAP_CHECK_SECONDS = 0.5
CONNECT_CHECK_SECONDS = 0.1


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


class PushSubscriber:
    """`on_gap` is called when events may have been missed; `on_doubt` with a user whose presence some may no longer
    see, and the frame for those."""

    def __init__(
        self, nats: Nats, hub: Hub, on_gap: Callable[[], None], on_doubt: Callable[[int, bytes], None]
    ) -> None:
        self._nats, self._hub, self._on_gap, self._on_doubt = nats, hub, on_gap, on_doubt
        self.subscribed = False
        self._taken = self._reconnects = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with background.run(push_subscription=self._receive):
            yield

    async def _receive(self) -> None:
        """Subscribes, then looks for gaps until it is cancelled."""
        subscriptions: list[Subscription] = []
        self._taken = 0
        try:
            await self._subscribe(subscriptions)
            self._on_gap()  # sockets that were opened before have missed events
            self.subscribed = True
            await self._watch_gaps(subscriptions[0])
        finally:
            self.subscribed = False
            for subscription in subscriptions:
                with suppress(NatsError):
                    await subscription.unsubscribe()

    async def _watch_gaps(self, subscription: Subscription) -> None:
        """The NATS client renews a subscription when it reconnects, but shows that only in its counters; that it
        dropped messages it only logs.
        """
        self._reconnects, dropped = self._nats.stats["reconnects"], 0
        while True:
            await self._hub.occupied.wait()  # who connects later is not told of a gap before
            self._check_reconnect()
            now = subscription.delivered - subscription.pending_msgs - self._taken
            if now != dropped:
                log.warning("events were dropped", count=now - dropped)
                self._on_gap()
            dropped = now
            await asyncio.sleep(GAP_CHECK_SECONDS)

    def _check_reconnect(self) -> None:
        if self._nats.stats["reconnects"] != self._reconnects:
            self._reconnects = self._nats.stats["reconnects"]
            log.warning("events may be missed", reconnects=self._reconnects)
            self._on_gap()

    async def _subscribe(self, subscriptions: list[Subscription]) -> None:
        """Waits for NATS. Appends each subscription as soon as it is made, that of SUBJECTS first."""
        while not self._nats.is_connected:  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(CONNECT_CHECK_SECONDS)
        pushes = await self._nats.subscribe(
            SUBJECTS, cb=self._take, pending_msgs_limit=PENDING_MESSAGES, pending_bytes_limit=PENDING_BYTES
        )
        subscriptions.append(pushes)
        for subject in ACCOUNT_SUBJECTS:
            subscriptions += (await self._nats.subscribe(subject, cb=self._take_account),)

    async def _take_account(self, message: Msg) -> None:
        """Closes the sockets of ended sessions. The reconciler finds those whose event was missed."""
        event = msgspec.json.decode(message.data, type=AccountEvent).data
        if event.session_ids:
            self._hub.revoke_sessions({int(id) for id in event.session_ids})
        else:
            self._hub.revoke_user(int(event.user_id))

    async def _take(self, message: Msg) -> None:
        self._taken += 1
        self._check_reconnect()  # first, as the gap may hide that a user left the conversation of this message
        try:
            with telemetry.following("deliver push", SpanKind.CONSUMER, message.headers):
                self._route(message)
        except (ValueError, KeyError):  # msgspec's errors are ValueErrors too
            log.warning("malformed push", subject=message.subject)

    def _route(self, message: Msg) -> None:
        _, kind, number = message.subject.split(".")
        headers, frame, id = message.headers or {}, text_frame(message.data), int(number)
        hidden = {int(user_id) for user_id in headers.get("hidden_from", "").split(",") if user_id}
        metrics.EVENTS.labels(kind).inc()
        match kind:
            case "conv" if "rev" in headers:
                self._hub.to_conversation(Event(id, int(headers["rev"]), frame, int(headers.get("seq", 0))))
            case "conv":
                self._hub.latest_to_conversation(id, frame, headers["key"], headers.get("except", ""), hidden)
            case "user":
                self._route_to_user(id, message, frame, headers)
            case "presence" if "recheck" in headers:
                self._on_doubt(id, frame)
            case "presence":
                self._hub.to_watchers(id, frame, hidden)

    def _route_to_user(self, user_id: int, message: Msg, frame: bytes, headers: dict[str, str]) -> None:
        if left := headers.get("left"):
            self._hub.membership_changed(user_id, int(left), None)
        self._hub.to_user(user_id, frame, headers.get("key", ""))
        if joined := headers.get("joined"):  # after the frame, which introduces the conversation to the client
            data = decode_joined(message.data).data
            self._hub.membership_changed(user_id, int(joined), Membership(data.rev, data.last_seq))
