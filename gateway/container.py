"""The parts of the running gateway: channels, stubs, caches, limits and sockets, put together by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from typing import TypeAlias

import grpc.aio
from nats.aio.client import Client as Nats
from obstore.store import ObjectStore

from gateway.cache.caches import Caches, make_caches
from gateway.cache.invalidation import Invalidation
from gateway.cache.near_caches.near_cache import NearCache
from gateway.cache.tags import trending_tags
from gateway.chat.client import CHAT_PROTOS, Chat, chat_at
from gateway.chat.online_users import OnlineUsers
from gateway.chat.presence_reporter import PresenceReporter
from gateway.chat.tickets import Tickets
from gateway.config import SERVICE, GatewaySettings
from gateway.http import endpoint
from gateway.http.auth import Authenticator
from gateway.http.limits.rate_limits import RateLimiter
from gateway.ws.endpoint import Sockets
from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import ExportStub
from protos.media.v1 import comments_pb2, objects_pb2, saves_pb2, tags_pb2, videos_pb2
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.objects_pb2_grpc import ObjectsStub, UploadsStub
from protos.media.v1.saves_pb2_grpc import SavesStub
from protos.media.v1.tags_pb2 import Tag
from protos.media.v1.tags_pb2_grpc import TagsStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from protos.social.v1 import follows_pb2, friends_pb2, groups_pb2, mutes_pb2
from protos.social.v1.follows_pb2_grpc import FollowsStub
from protos.social.v1.friends_pb2_grpc import FriendsStub
from protos.social.v1.groups_pb2_grpc import GroupsStub
from protos.social.v1.mutes_pb2_grpc import MutesStub
from protos.user.v1 import accounts_pb2, audit_pb2, exports_pb2, moderation_pb2, second_factor_pb2, users_pb2
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.audit_pb2_grpc import AuditStub
from protos.user.v1.exports_pb2_grpc import ExportsStub
from protos.user.v1.moderation_pb2_grpc import ModerationStub
from protos.user.v1.second_factor_pb2_grpc import SecondFactorsStub
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.nats import open_nats
from services.kit.redis import open_redis
from services.kit.rpc.channel import open_channel
from services.kit.ttl_map import TtlMap
from services.objectstore.store import open_store

MAX_ARCHIVES = 2  # exports that one gateway makes at the same time
ONLINE_TTL, MAX_ONLINE = 1.0, 500  # seconds, lists
SEED_TTL, MAX_SEEDS = 3_600.0, 50_000  # seconds, sessions
USER_PROTOS = (
    accounts_pb2.DESCRIPTOR,
    users_pb2.DESCRIPTOR,
    moderation_pb2.DESCRIPTOR,
    audit_pb2.DESCRIPTOR,
    exports_pb2.DESCRIPTOR,
    second_factor_pb2.DESCRIPTOR,
    export_pb2.DESCRIPTOR,
)
SOCIAL_PROTOS = tuple(each.DESCRIPTOR for each in (export_pb2, follows_pb2, friends_pb2, groups_pb2, mutes_pb2))
MEDIA_PROTOS = tuple(
    each.DESCRIPTOR for each in (export_pb2, objects_pb2, videos_pb2, comments_pb2, saves_pb2, tags_pb2)
)


@dataclass(slots=True, kw_only=True)
class Container(Caches):
    settings: GatewaySettings
    channels: Mapping[str, grpc.aio.Channel]  # by service
    # Services
    accounts: AccountsStub
    sessions: SessionsStub
    users: UsersStub
    moderation: ModerationStub
    audit: AuditStub
    friends: FriendsStub
    groups: GroupsStub
    mutes: MutesStub
    follow_lists: FollowsStub
    objects: ObjectsStub
    uploads: UploadsStub
    videos: VideosStub
    comments: CommentsStub
    saves: SavesStub
    tags: TagsStub
    chat: Chat
    second_factors: SecondFactorsStub
    exports: ExportsStub
    export_rows: Mapping[str, ExportStub]  # by service
    archives: asyncio.Semaphore  # those being made at the same time
    export_wanted: asyncio.Event  # one was asked for here
    tickets: Tickets
    store: ObjectStore
    nats: Nats
    trending: NearCache[int, Sequence[Tag]]  # by how many
    invalidation: Invalidation
    online: TtlMap[tuple[int, int], dict[str, bool]]  # by viewer and group; group 0: the viewer's friends
    seeds: TtlMap[int, int]  # where a random list began, by session
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
        user_channel = await stack.enter_async_context(open_channel(settings.user_target, settings, USER_PROTOS))
        social_channel = await stack.enter_async_context(open_channel(settings.social_target, settings, SOCIAL_PROTOS))
        media_channel = await stack.enter_async_context(open_channel(settings.media_target, settings, MEDIA_PROTOS))
        chat_channel = await stack.enter_async_context(open_channel(settings.chat_target, settings, CHAT_PROTOS))
        channels = {"user": user_channel, "social": social_channel, "media": media_channel, "chat": chat_channel}
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        nats = await stack.enter_async_context(open_nats(settings.nats_url, SERVICE))
        users, sessions = UsersStub(user_channel), SessionsStub(user_channel)
        objects, videos, comments = ObjectsStub(media_channel), VideosStub(media_channel), CommentsStub(media_channel)
        friends, follow_lists = FriendsStub(social_channel), FollowsStub(social_channel)
        mutes = MutesStub(social_channel)
        caches = make_caches(nats, sessions, users, friends, follow_lists, mutes, objects, videos, comments)
        tags = TagsStub(media_channel)
        authenticator = Authenticator(settings.jwt_secret, caches.verdicts)
        invalidation = Invalidation(nats, caches)
        await stack.enter_async_context(invalidation.running())
        limiter, chat = RateLimiter(redis, settings.rate_limit_scale), chat_at(chat_channel)
        tickets, presence = Tickets(chat), PresenceReporter(chat)
        await stack.enter_async_context(presence.running())
        online_users = OnlineUsers(chat, presence, caches.sights)

        async def online_friends() -> list[int]:
            friend_ids = (await friends.ListFriendIds(friends_pb2.ListFriendIdsRequest(presence=True))).user_ids
            return sorted(await online_users.among(friend_ids))

        sockets = Sockets(settings, chat, tickets, nats, authenticator, limiter, presence, online_friends)
        await stack.enter_async_context(sockets.running())
        yield Container(
            settings=settings,
            channels=channels,
            accounts=AccountsStub(user_channel),
            sessions=sessions,
            users=users,
            moderation=ModerationStub(user_channel),
            audit=AuditStub(user_channel),
            friends=friends,
            groups=GroupsStub(social_channel),
            mutes=mutes,
            follow_lists=follow_lists,
            objects=objects,
            uploads=UploadsStub(media_channel),
            videos=videos,
            comments=comments,
            saves=SavesStub(media_channel),
            tags=tags,
            chat=chat,
            second_factors=SecondFactorsStub(user_channel),
            exports=ExportsStub(user_channel),
            export_rows={name: ExportStub(channel) for name, channel in channels.items()},
            archives=asyncio.Semaphore(MAX_ARCHIVES),
            export_wanted=asyncio.Event(),
            tickets=tickets,
            store=open_store(settings.media_url, settings.var),
            nats=nats,
            trending=trending_tags(tags),
            **{field.name: getattr(caches, field.name) for field in fields(caches)},
            invalidation=invalidation,
            online=TtlMap(ONLINE_TTL, MAX_ONLINE),
            seeds=TtlMap(SEED_TTL, MAX_SEEDS),
            limiter=limiter,
            authenticator=authenticator,
            presence=presence,
            online_users=online_users,
            sockets=sockets,
        )
