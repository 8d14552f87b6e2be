"""Drops what the near caches hold as soon as a service says it changed.

A plain subscription to the subjects the services' relays publish on: an event missed costs no more than
the cache's time to live.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from gateway.cache.dataloader import NearCache
from gateway.cache.videos import Videos
from protos.media.v1.objects_pb2 import Object
from protos.user.v1.accounts_pb2 import SessionVerdict
from protos.user.v1.users_pb2 import User
from services.kit.nats import Event


@asynccontextmanager
async def listening(
    nats: Nats,
    verdicts: NearCache[int, SessionVerdict],
    cards: NearCache[int, User],
    videos: Videos,
    files: NearCache[str, Object],
) -> AsyncIterator[None]:
    async def drop(message: Msg) -> None:
        event = msgspec.json.decode(message.data, type=Event)
        for session_id in event.data.get("session_ids", ()):
            verdicts.drop(int(session_id))
        cards.drop(int(event.data["user_id"]))

    async def drop_videos(message: Msg) -> None:
        event = msgspec.json.decode(message.data, type=Event)
        _drop_videos(videos, event)
        for hash in event.data.get("hashes", ()):
            files.drop(hash)  # it may be for others now

    async def subscribe() -> None:
        while not nats.is_connected:  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(0.1)
        with suppress(NatsError):
            await nats.subscribe("events.user.>", cb=drop)  # the client renews it when it reconnects
            for subject in ("media.video.*", "media.comment.*", "social.friend.*", "social.user.*"):
                await nats.subscribe(f"events.{subject}", cb=drop_videos)

    subscribing = asyncio.create_task(subscribe())
    try:
        yield
    finally:
        subscribing.cancel()


def _drop_videos(videos: Videos, event: Event) -> None:
    match event.subject.split(".")[2:]:
        case ["video", "liked"]:
            videos.drop_video(int(event.data["video_id"]))
        case ["video", "commented"] | ["comment", _]:
            videos.drop_comments(int(event.data["video_id"]))
        case ["video", _]:
            videos.drop_lists(int(event.data["video_id"]), int(event.data["owner_id"]))
        case ["friend", _] | ["user", _]:
            videos.drop_audience(int(event.data["actor_id"]), int(event.data["user_id"]))
