"""Users: what everybody may see of one, and what only that user and admins may see."""

from collections.abc import Mapping

from gateway.cache.dataloader import DataLoader
from gateway.cache.hearing import Lasting
from gateway.cache.near_caches.near_cache import NearCache
from protos.user.v1.users_pb2 import (
    BatchGetProfilesRequest,
    BatchGetUsersByUsernameRequest,
    BatchGetUsersRequest,
    ProfileLookup,
    User,
)
from protos.user.v1.users_pb2_grpc import UsersStub

CARD_TTL, MAX_CARDS = 1.0, 20_000  # seconds, while no events are heard

ProfileKey = tuple[int, int]  # user and viewer


def user_cards(users: UsersStub, lasting: Lasting | None = None) -> NearCache[int, User]:
    """Loads by user id."""

    async def fetch(user_ids: list[int]) -> Mapping[int, User]:
        response = await users.BatchGetUsers(BatchGetUsersRequest(user_ids=user_ids))
        return {user.user_id: user for user in response.users}

    return NearCache(fetch, CARD_TTL, MAX_CARDS, lasting=lasting)


def users_by_name(users: UsersStub) -> DataLoader[str, User]:
    """Loads by username, anew each time: a name may change its owner."""

    async def fetch(names: list[str]) -> Mapping[str, User]:
        response = await users.BatchGetUsersByUsername(BatchGetUsersByUsernameRequest(usernames=names))
        if len(names) == 1:
            return dict(zip(names, response.users, strict=False))
        if not response.places:  # a service of the release before does not tell whose name is which
            return {name: user for each in names for name, user in (await fetch([each])).items()}
        return {name: response.users[place - 1] for name, place in zip(names, response.places, strict=True) if place}

    return DataLoader(fetch)


def user_profiles(users: UsersStub) -> DataLoader[ProfileKey, User]:
    """Loads anew each time: for admins."""

    async def fetch(keys: list[ProfileKey]) -> Mapping[ProfileKey, User]:
        lookups = [ProfileLookup(user_id=user_id, viewer_id=viewer_id) for user_id, viewer_id in keys]
        response = await users.BatchGetProfiles(BatchGetProfilesRequest(lookups=lookups))
        return {key: user for key, user in zip(keys, response.users, strict=True) if user.user_id}

    return DataLoader(fetch)


def own_profiles(profiles: DataLoader[ProfileKey, User], lasting: Lasting | None = None) -> NearCache[int, User]:
    """Each user as they see themselves. Loads anew each time while no events are heard."""

    async def fetch(user_ids: list[int]) -> Mapping[int, User]:
        found = [await lookup for lookup in [profiles.load((id, id)) for id in user_ids]]
        return {id: user for id, user in zip(user_ids, found, strict=True) if user is not None}

    return NearCache(fetch, 0.0, MAX_CARDS, lasting=lasting)
