"""Drops what the caches hold as soon as a service, or another gateway, says that it changed.

These are plain subscriptions to the subjects that the services' relays publish on, and to what gateways tell each other
(tells.py). While a service is not heard, the caches keep what it owns for a second or so (hearing.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from gateway.cache.caches import Caches
from gateway.cache.tells import SUBJECT as TOLD
from gateway.cache.tells import Changes
from services.kit import background
from services.kit.nats import Event

BEATS, ASK = "beat.", "beat.ask.all"
SUBJECTS = (
    BEATS + "*",
    TOLD,
    "events.user.>",
    "events.media.video.*",
    "events.media.comment.*",
    "events.social.follow.*",
    "events.social.friend.*",
    "events.social.user.*",
)
RETRY_SECONDS = 0.5
LOOK_SECONDS = 1.0

log = structlog.get_logger("invalidation")


class Invalidation:
    def __init__(self, nats: Nats, caches: Caches) -> None:
        self._nats, self._caches = nats, caches
        self._hearing, self._tells = caches.hearing, caches.tells
        self.subscribed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with background.run(invalidation=self.subscribe, watch_hearing=self.watch, tell_gateways=self._tells.run):
            yield

    async def subscribe(self) -> None:
        """Tries until it has subscribed to all SUBJECTS. The client renews the subscriptions when it reconnects."""
        while not await self._try_to_subscribe():  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(RETRY_SECONDS)

    async def _try_to_subscribe(self) -> bool:
        if not self._nats.is_connected:
            return False
        made: list[Subscription] = []
        try:
            for subject in SUBJECTS:
                made.append(await self._nats.subscribe(subject, cb=self._take))  # noqa: PERF401 (kept if one fails)
        except BaseException as error:
            await _unsubscribe(made)  # else the next try would make them twice
            if not isinstance(error, NatsError | OSError | TimeoutError):
                raise
            log.warning("could not subscribe", error=repr(error)[:200])
            return False
        self.subscribed = True
        return True

    async def watch(self) -> None:
        """Asks the services for beats while the caches are used; notices that one is silent, or that the connection was
        another one for a while."""
        reconnects = self._nats.stats["reconnects"]
        while True:
            if self._nats.stats["reconnects"] != reconnects:
                reconnects = self._nats.stats["reconnects"]
                self._hearing.forget()
            self._hearing.look()
            if self._hearing.is_wanted():
                await self._ask()
            elif not self._hearing.hears_any():
                self._hearing.stirred.clear()
                await self._hearing.stirred.wait()
                continue
            await asyncio.sleep(background.until(LOOK_SECONDS))

    async def _ask(self) -> None:
        if self.subscribed and self._nats.is_connected:
            with suppress(NatsError, OSError):
                await self._nats.publish(ASK)

    async def _take(self, message: Msg) -> None:
        """The client logs what this raises, and goes on with the next message."""
        subject = message.subject
        if subject.startswith(BEATS):
            if self.subscribed:  # to all of them
                self._hearing.beat(subject.removeprefix(BEATS))
        elif subject == TOLD:
            self._drop_told(self._tells.read(message.data))
        elif subject.startswith("events.user."):
            self._drop_user(msgspec.json.decode(message.data, type=Event))
        elif subject.startswith("events.social."):
            self._drop_related(msgspec.json.decode(message.data, type=Event))
        else:
            self._drop_videos(msgspec.json.decode(message.data, type=Event))

    def _drop_told(self, changes: Changes) -> None:
        for video_id in changes.videos:
            self._caches.video_cache.drop_video(video_id)
        for user_id in changes.likers:
            self._caches.likes.changed(user_id)
        for user_id in changes.users:
            self._caches.drop_account(user_id)
            self._caches.sights.drop_user(user_id)

    def _drop_user(self, event: Event) -> None:
        for session_id in event.data.get("session_ids", ()):
            self._caches.verdicts.drop(int(session_id))
        self._caches.drop_account(int(event.data["user_id"]))

    def _drop_related(self, event: Event) -> None:
        actor_id, user_id = int(event.data["actor_id"]), int(event.data["user_id"])
        match event.subject.split(".")[2:]:
            case ["user", "muted" | "unmuted" | "words_muted"]:
                self._caches.muted.drop(actor_id)
            case ["user", "presence_setting_changed"]:
                self._caches.sights.drop_user(user_id)
            case ["follow", _]:
                self._caches.follows.drop(actor_id, user_id)
                self._caches.video_cache.drop_followed(actor_id)
            case _:
                self._caches.sights.drop(actor_id, user_id)
                self._caches.follows.drop(actor_id, user_id)
                self._caches.video_cache.drop_viewers(actor_id, user_id)

    def _drop_videos(self, event: Event) -> None:
        match event.subject.split(".")[2:]:
            case ["video", "liked"]:
                self._caches.video_cache.drop_video(int(event.data["video_id"]))
                self._caches.numbers.owners.drop(int(event.data["owner_id"]))
            case [_, "mentions"]:
                pass  # the change that mentions them has an event of its own
            case ["video", "commented"] | ["comment", _]:
                self._caches.video_cache.drop_comments(int(event.data["video_id"]))
            case ["video", _]:
                self._caches.video_cache.drop_everywhere(int(event.data["video_id"]), int(event.data["owner_id"]))
                self._caches.numbers.owners.drop(int(event.data["owner_id"]))
        for hash in event.data.get("hashes", ()):
            self._caches.files.drop(hash)  # its privacy follows the video's visibility


async def _unsubscribe(subscriptions: list[Subscription]) -> None:
    for subscription in subscriptions:
        with suppress(NatsError, OSError):
            await subscription.unsubscribe()
