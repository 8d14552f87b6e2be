"""The parts of the running gateway: stubs, caches, limits and sockets, put together by hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from nats.aio.client import Client as Nats
from obstore.store import ObjectStore

from gateway.cache.caches import Caches, make_caches
from gateway.cache.invalidation import Invalidation
from gateway.cache.near_caches.near_cache import NearCache
from gateway.cache.seeds import Seeds
from gateway.cache.tags import trending_tags
from gateway.chat.cards import Cards
from gateway.chat.online_users import OnlineUsers
from gateway.chat.presence_reporter import PresenceReporter
from gateway.chat.tickets import Tickets
from gateway.config import SERVICE, GatewaySettings
from gateway.http import endpoint
from gateway.http.auth import Authenticator
from gateway.http.limits.rate_limits import RateLimiter
from gateway.stubs import Stubs, open_stubs
from gateway.ws.endpoint import Sockets
from protos.media.v1.tags_pb2 import Tag
from protos.social.v1 import friends_pb2
from services.kit.nats import open_nats
from services.kit.ttl_map import TtlMap
from services.objectstore.store import open_store
from services.valkey.client import open_redis

MAX_ARCHIVES = 2  # exports that one gateway makes at the same time
ONLINE_TTL, MAX_ONLINE = 1.0, 500  # seconds, lists


@dataclass(slots=True, kw_only=True)
class Container(Caches, Stubs):
    settings: GatewaySettings
    archives: asyncio.Semaphore  # those being made at the same time
    export_wanted: asyncio.Event  # one was asked for here
    tickets: Tickets
    store: ObjectStore
    nats: Nats
    trending: NearCache[int, Sequence[Tag]]  # by how many
    invalidation: Invalidation
    online: TtlMap[tuple[int, int], dict[str, bool]]  # by viewer and group; group 0: the viewer's friends
    seeds: Seeds
    # Requests and sockets
    limiter: RateLimiter
    authenticator: Authenticator
    presence: PresenceReporter
    online_users: OnlineUsers
    sockets: Sockets
    draining: bool = False
    met: bool = False  # whether all services have answered once


Call: TypeAlias = endpoint.Call[Container]


@asynccontextmanager
async def open_container(settings: GatewaySettings) -> AsyncIterator[Container]:
    """Starts even while the servers that it talks to are away."""
    async with AsyncExitStack() as stack:
        stubs = await stack.enter_async_context(open_stubs(settings))
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        nats = await stack.enter_async_context(open_nats(settings.nats_url, SERVICE))
        caches = make_caches(
            nats,
            stubs.sessions,
            stubs.users,
            stubs.friends,
            stubs.follow_lists,
            stubs.mutes,
            stubs.objects,
            stubs.videos,
            stubs.comments,
            stubs.for_you,
        )
        authenticator = Authenticator(settings.jwt_secret, caches.verdicts)
        invalidation = Invalidation(nats, caches)
        await stack.enter_async_context(invalidation.running())
        limiter = RateLimiter(redis, settings.rate_limit_scale)
        stubs.chat = chat = replace(stubs.chat, cards=Cards(caches.find_videos, caches.drop_counts))
        tickets, presence = Tickets(chat), PresenceReporter(chat)
        await stack.enter_async_context(presence.running())
        online_users = OnlineUsers(chat, presence, caches.sights)

        async def online_friends() -> list[int]:
            friend_ids = (await stubs.friends.ListFriendIds(friends_pb2.ListFriendIdsRequest(presence=True))).user_ids
            return sorted(await online_users.among(friend_ids))

        sockets = Sockets(settings, chat, tickets, nats, authenticator, limiter, presence, online_friends)
        await stack.enter_async_context(sockets.running())
        yield Container(
            settings=settings,
            **_parts(stubs),
            **_parts(caches),
            archives=asyncio.Semaphore(MAX_ARCHIVES),
            export_wanted=asyncio.Event(),
            tickets=tickets,
            store=open_store(settings.media_url, settings.var),
            nats=nats,
            trending=trending_tags(stubs.tags),
            invalidation=invalidation,
            online=TtlMap(ONLINE_TTL, MAX_ONLINE),
            seeds=Seeds(redis),
            limiter=limiter,
            authenticator=authenticator,
            presence=presence,
            online_users=online_users,
            sockets=sockets,
        )


def _parts(of: Stubs | Caches) -> dict[str, Any]:
    return {field.name: getattr(of, field.name) for field in fields(of)}
