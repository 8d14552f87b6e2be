"""What the gateway holds while it runs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from gateway.auth import Authenticator
from gateway.config import SERVICE, GatewaySettings
from gateway.invalidation import listening
from gateway.limits import Limiter
from gateway.loaders import Loader, NearCache
from protos.user.v1 import accounts_pb2, users_pb2
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.users_pb2 import BatchGetProfilesRequest, BatchGetUsersRequest, ProfileLookup, User
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.channel import open_channel
from services.kit.events import open_nats
from services.kit.redis import open_redis

CARD_TTL, MAX_CARDS = 1.0, 20_000


@dataclass(slots=True)
class Gateway:
    settings: GatewaySettings
    user_channel: grpc.aio.Channel
    accounts: AccountsStub
    sessions: SessionsStub
    users: UsersStub
    limiter: Limiter
    authenticator: Authenticator
    cards: NearCache[int, User]  # public ones, by user id
    profiles: Loader[tuple[int, int], User]  # by (user, viewer)
    draining: bool = False
    met: bool = False  # whether the services have answered once

    async def profile(self, user_id: int, viewer_id: int, viewer_role: int) -> User | None:
        """The user as the viewer may see him. Others' cards are shared and may be a second old."""
        if user_id == viewer_id or viewer_role >= 3:
            return await self.profiles.load((user_id, viewer_id))
        return await self.cards.load(user_id)


@asynccontextmanager
async def open_gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """Starts without any of the servers it talks to; they may come and go."""
    protos = (accounts_pb2.DESCRIPTOR, users_pb2.DESCRIPTOR)
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(open_channel(settings.user_target, settings, protos))
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        nats = await stack.enter_async_context(open_nats(settings.nats_url, SERVICE))
        users, sessions = UsersStub(channel), SessionsStub(channel)
        authenticator = Authenticator(settings.jwt_secret, sessions)
        cards = NearCache(lambda ids: _fetch_cards(users, ids), CARD_TTL, MAX_CARDS)
        await stack.enter_async_context(listening(nats, authenticator.verdicts, cards))
        yield Gateway(
            settings=settings,
            user_channel=channel,
            accounts=AccountsStub(channel),
            sessions=sessions,
            users=users,
            limiter=Limiter(redis, settings.rate_limit_scale),
            authenticator=authenticator,
            cards=cards,
            profiles=Loader(lambda pairs: _fetch_profiles(users, pairs)),
        )


async def _fetch_cards(users: UsersStub, user_ids: list[int]) -> Mapping[int, User]:
    response = await users.BatchGetUsers(BatchGetUsersRequest(user_ids=user_ids))
    return {user.user_id: user for user in response.users}


async def _fetch_profiles(users: UsersStub, pairs: list[tuple[int, int]]) -> Mapping[tuple[int, int], User]:
    lookups = [ProfileLookup(user_id=user, viewer_id=viewer) for user, viewer in pairs]
    response = await users.BatchGetProfiles(BatchGetProfilesRequest(lookups=lookups))
    return {pair: user for pair, user in zip(pairs, response.users, strict=True) if user.user_id}
