"""What the gateway holds while it runs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from obstore.store import ObjectStore

from gateway.cache.dataloader import DataLoader, NearCache, Recent
from gateway.cache.invalidation import listening
from gateway.cache.metrics import show_caches
from gateway.cache.presence import Presence
from gateway.cache.videos import VIDEO_PROTOS, Videos
from gateway.chat.client import CHAT_PROTOS, Chat, chat_at
from gateway.chat.tickets import Tickets
from gateway.config import SERVICE, GatewaySettings
from gateway.http.auth import Authenticator
from gateway.http.errors import UserNotFound
from gateway.http.rate_limits import Limiter
from gateway.ws.endpoint import Sockets
from protos.media.v1 import objects_pb2
from protos.media.v1.objects_pb2 import BatchGetObjectsRequest, Object
from protos.media.v1.objects_pb2_grpc import ObjectsStub, UploadsStub
from protos.social.v1 import friends_pb2, groups_pb2
from protos.social.v1.friends_pb2_grpc import FriendsStub
from protos.social.v1.groups_pb2_grpc import GroupsStub
from protos.user.v1 import accounts_pb2, users_pb2
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.users_pb2 import BatchGetProfilesRequest, BatchGetUsersRequest, ProfileLookup, User
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.channel import open_channel
from services.kit.nats import open_nats
from services.kit.redis import open_redis
from services.objectstore.store import open_store

CARD_TTL, MAX_CARDS = 1.0, 20_000
FILE_TTL, MAX_FILES = 1.0, 20_000
ONLINE_TTL, MAX_ONLINE = 1.0, 500
USER_PROTOS = (accounts_pb2.DESCRIPTOR, users_pb2.DESCRIPTOR)
SOCIAL_PROTOS = (friends_pb2.DESCRIPTOR, groups_pb2.DESCRIPTOR)
MEDIA_PROTOS = (objects_pb2.DESCRIPTOR, *VIDEO_PROTOS)


@dataclass(slots=True)
class Container:
    settings: GatewaySettings
    user_channel: grpc.aio.Channel
    social_channel: grpc.aio.Channel
    media_channel: grpc.aio.Channel
    chat_channel: grpc.aio.Channel
    accounts: AccountsStub
    sessions: SessionsStub
    users: UsersStub
    friends: FriendsStub
    groups: GroupsStub
    objects: ObjectsStub
    uploads: UploadsStub
    videos: Videos
    chat: Chat
    tickets: Tickets
    sockets: Sockets
    store: ObjectStore
    limiter: Limiter
    authenticator: Authenticator
    presence: Presence
    cards: NearCache[int, User]  # public ones, by user id
    files: NearCache[str, Object]  # by hash
    profiles: DataLoader[tuple[int, int], User]  # by (user, viewer)
    online: Recent[tuple[int, int], dict[str, bool]]  # by (viewer, group; 0: his friends)
    draining: bool = False
    met: bool = False  # whether the services have answered once

    async def profile(self, user_id: int, viewer_id: int, viewer_role: int) -> User | None:
        """The user as the viewer may see him. Others' cards are shared and may be a second old."""
        if user_id == viewer_id or viewer_role >= 3:
            return await self.profiles.load((user_id, viewer_id))
        return await self.cards.load(user_id)

    async def require_user(self, user_id: int) -> None:
        """Raises UserNotFound, before another service writes the id down."""
        if await self.cards.load(user_id) is None:
            raise UserNotFound


@asynccontextmanager
async def open_container(settings: GatewaySettings) -> AsyncIterator[Container]:
    """Starts without any of the servers it talks to; they may come and go."""
    async with AsyncExitStack() as stack:
        user_channel = await stack.enter_async_context(open_channel(settings.user_target, settings, USER_PROTOS))
        social_channel = await stack.enter_async_context(open_channel(settings.social_target, settings, SOCIAL_PROTOS))
        media_channel = await stack.enter_async_context(open_channel(settings.media_target, settings, MEDIA_PROTOS))
        chat_channel = await stack.enter_async_context(open_channel(settings.chat_target, settings, CHAT_PROTOS))
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        nats = await stack.enter_async_context(open_nats(settings.nats_url, SERVICE))
        users, sessions = UsersStub(user_channel), SessionsStub(user_channel)
        objects = ObjectsStub(media_channel)
        authenticator = Authenticator(settings.jwt_secret, sessions)
        cards = NearCache(lambda ids: _fetch_cards(users, ids), CARD_TTL, MAX_CARDS)
        files = NearCache(lambda hashes: _fetch_files(objects, hashes), FILE_TTL, MAX_FILES)
        videos = Videos(media_channel)
        show_caches(sessions=authenticator.verdicts, users=cards, files=files, **videos.caches)
        presence = Presence(redis)
        await stack.enter_async_context(presence.flushing())
        await stack.enter_async_context(listening(nats, authenticator.verdicts, cards, videos, files))
        limiter, chat = Limiter(redis, settings.rate_limit_scale), chat_at(chat_channel)
        tickets = Tickets(chat)
        sockets = Sockets(settings, chat, tickets, nats, authenticator, limiter, presence)
        await stack.enter_async_context(sockets.running())
        yield Container(
            settings=settings,
            user_channel=user_channel,
            social_channel=social_channel,
            media_channel=media_channel,
            chat_channel=chat_channel,
            accounts=AccountsStub(user_channel),
            sessions=sessions,
            users=users,
            friends=FriendsStub(social_channel),
            groups=GroupsStub(social_channel),
            objects=objects,
            uploads=UploadsStub(media_channel),
            videos=videos,
            chat=chat,
            tickets=tickets,
            sockets=sockets,
            store=open_store(settings.media_url, settings.var),
            limiter=limiter,
            authenticator=authenticator,
            presence=presence,
            cards=cards,
            files=files,
            profiles=DataLoader(lambda pairs: _fetch_profiles(users, pairs)),
            online=Recent(ONLINE_TTL, MAX_ONLINE),
        )


async def _fetch_cards(users: UsersStub, user_ids: list[int]) -> Mapping[int, User]:
    response = await users.BatchGetUsers(BatchGetUsersRequest(user_ids=user_ids))
    return {user.user_id: user for user in response.users}


async def _fetch_files(objects: ObjectsStub, hashes: list[str]) -> Mapping[str, Object]:
    response = await objects.BatchGetObjects(BatchGetObjectsRequest(hashes=hashes))
    return {object.hash: object for object in response.objects}


async def _fetch_profiles(users: UsersStub, pairs: list[tuple[int, int]]) -> Mapping[tuple[int, int], User]:
    lookups = [ProfileLookup(user_id=user, viewer_id=viewer) for user, viewer in pairs]
    response = await users.BatchGetProfiles(BatchGetProfilesRequest(lookups=lookups))
    return {pair: user for pair, user in zip(pairs, response.users, strict=True) if user.user_id}
