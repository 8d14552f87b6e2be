"""Drops what the near caches hold as soon as a service says that it changed.

These are plain subscriptions to the subjects that the services' relays publish on. A missed event costs no more than
the time to live of a cache.
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

from gateway.cache.mutes import Muted
from gateway.cache.near_cache import NearCache
from gateway.cache.videos import VideoCache
from protos.media.v1.objects_pb2 import Object
from protos.user.v1.accounts_pb2 import SessionVerdict
from protos.user.v1.users_pb2 import User
from services.kit import background
from services.kit.nats import Event

SUBJECTS = (
    "events.user.>",
    "events.media.video.*",
    "events.media.comment.*",
    "events.social.follow.*",
    "events.social.friend.*",
    "events.social.user.*",
)
RETRY_SECONDS = 0.5

log = structlog.get_logger("invalidation")


class Invalidation:
    def __init__(
        self,
        nats: Nats,
        verdicts: NearCache[int, SessionVerdict],
        cards: NearCache[int, User],
        videos: VideoCache,
        files: NearCache[str, Object],
        muted: NearCache[int, Muted],
    ) -> None:
        self._nats = nats
        self.subscribed = False
        self._verdicts, self._cards, self._videos, self._files = verdicts, cards, videos, files
        self._muted = muted

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with background.run(invalidation=self.subscribe):
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

    async def _take(self, message: Msg) -> None:
        """The client logs what this raises, and goes on with the next message."""
        event = msgspec.json.decode(message.data, type=Event)
        if message.subject.startswith("events.user."):
            self._drop_user(event)
        else:
            self._drop_videos(event)

    def _drop_user(self, event: Event) -> None:
        for session_id in event.data.get("session_ids", ()):
            self._verdicts.drop(int(session_id))
        self._cards.drop(int(event.data["user_id"]))

    def _drop_videos(self, event: Event) -> None:
        match event.subject.split(".")[2:]:
            case ["video", "liked"]:
                self._videos.drop_video(int(event.data["video_id"]))
            case [_, "mentions"]:
                pass  # the change that mentions them has an event of its own
            case ["video", "commented"] | ["comment", _]:
                self._videos.drop_comments(int(event.data["video_id"]))
            case ["video", _]:
                self._videos.drop_everywhere(int(event.data["video_id"]), int(event.data["owner_id"]))
            case ["user", "muted" | "unmuted" | "words_muted"]:
                self._muted.drop(int(event.data["actor_id"]))
            case ["follow", _]:
                self._videos.drop_followed(int(event.data["actor_id"]))
            case ["friend", _] | ["user", _]:
                self._videos.drop_viewers(int(event.data["actor_id"]), int(event.data["user_id"]))
        for hash in event.data.get("hashes", ()):
            self._files.drop(hash)  # its privacy follows the video's visibility


async def _unsubscribe(subscriptions: list[Subscription]) -> None:
    for subscription in subscriptions:
        with suppress(NatsError, OSError):
            await subscription.unsubscribe()
