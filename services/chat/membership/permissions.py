"""Who may write to whom. The social service decides; lookups made at the same moment travel in one call.

A yes, of friends the yes of both, is cached for seconds, or until an event ends it. A no is never cached, so nobody
has to tell of what becomes allowed. No answer counts as a no.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc.aio
import msgspec
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from protos.social.v1.friends_pb2 import BatchCheckFriendsRequest, FriendCheck, UserPair
from protos.social.v1.friends_pb2_grpc import FriendsStub
from protos.social.v1.groups_pb2 import BatchCheckMembersRequest, GroupUser, MemberCheck
from protos.social.v1.groups_pb2_grpc import GroupsStub
from services.chat.batched_lookup import BatchedLookup
from services.chat.config import ChatSettings
from services.chat.errors import Blocked, NotFriends, NotMember, SocialUnavailable
from services.kit.nats import Event

SUBJECTS = ("events.social.friend.*", "events.social.user.*", "events.social.group.*")
TIMEOUT = 2.0  # seconds

Pair = tuple[int, int]


def _is_yes(answer: Any) -> bool:
    if isinstance(answer, MemberCheck):
        return answer.member
    return answer.friend and answer.peer_agreed and not answer.blocked


class Permissions:
    def __init__(self, settings: ChatSettings, channel: grpc.aio.Channel, nats: Nats) -> None:
        self._strangers, self._seconds, self._nats = settings.strangers, settings.permission_seconds, nats
        self._friends_stub, self._groups_stub = FriendsStub(channel), GroupsStub(channel)
        self._friends = BatchedLookup[Pair, FriendCheck](
            self._ask_friends, SocialUnavailable, self._cache_seconds, _is_yes
        )
        self._members = BatchedLookup[Pair, MemberCheck](
            self._ask_members, SocialUnavailable, self._cache_seconds, _is_yes
        )
        self._is_listening = False

    async def require_friends(self, user_id: int, peer_id: int) -> FriendCheck:
        """Checks that the user may write to the peer, and returns who of them agreed to that.

        A user whom the peer blocked hears what a stranger hears. Raises NotFriends, Blocked, SocialUnavailable.
        """
        check = await self._friends.get((user_id, peer_id), self._is_deaf)
        if check.blocks:
            raise Blocked
        if user_id == peer_id or peer_id <= 0 or check.blocked or not (check.friend or self._strangers):
            raise NotFriends
        return check

    async def require_member(self, user_id: int, group_id: int, fresh: bool = False) -> int:
        """The user's role in the group; `fresh`: not from the cache. Raises NotMember, SocialUnavailable."""
        check = await self._members.get((group_id, user_id), fresh or self._is_deaf)
        if not check.member:
            raise NotMember
        return check.role

    async def check_friends(self, user_id: int, peer_ids: Sequence[int], fresh: bool = False) -> dict[int, FriendCheck]:
        """Returns the relation of the user with each peer; `fresh`: not from the cache. Raises SocialUnavailable."""
        fresh = fresh or self._is_deaf
        checks = await asyncio.gather(*(self._friends.get((user_id, peer), fresh) for peer in peer_ids))
        return dict(zip(peer_ids, checks, strict=True))

    def drop_friends(self, user_id: int, peer_id: int) -> None:
        """Forgets whether the two are friends."""
        self._friends.drop((user_id, peer_id), (peer_id, user_id))

    def drop_member(self, group_id: int, user_id: int) -> None:
        self._members.drop((group_id, user_id))

    def drop_all_members(self) -> None:
        self._members.drop()

    @property
    def _is_deaf(self) -> bool:
        """Whether no event would end a cached yes: NATS is away."""
        return not (self._is_listening and self._nats.is_connected)

    def _cache_seconds(self) -> float:
        return 0.0 if self._is_deaf else self._seconds

    async def _ask_friends(self, pairs: Sequence[Pair]) -> Sequence[FriendCheck]:
        asked = BatchCheckFriendsRequest(pairs=[UserPair(user_id=a, peer_id=b) for a, b in pairs])
        return (await self._friends_stub.BatchCheckFriends(asked, timeout=TIMEOUT)).checks

    async def _ask_members(self, pairs: Sequence[Pair]) -> Sequence[MemberCheck]:
        asked = BatchCheckMembersRequest(pairs=[GroupUser(group_id=a, user_id=b) for a, b in pairs])
        return (await self._groups_stub.BatchCheckMembers(asked, timeout=TIMEOUT)).checks

    async def listen(self) -> None:
        """Drops cached answers that the social service's events end. Returns once it has subscribed, which the NATS
        client repeats by itself after it lost its connection."""
        for subject in SUBJECTS:
            while not self._nats.is_connected:  # noqa: ASYNC110 (the client has no event for it)
                await asyncio.sleep(0.1)
            await self._nats.subscribe(subject, cb=self._take_event)
        self._is_listening = True
        self._friends.drop()
        self._members.drop()

    async def _take_event(self, message: Msg) -> None:
        data = msgspec.json.decode(message.data, type=Event).data
        actor, user = int(data.get("actor_id", 0)), int(data.get("user_id", 0))
        if "group_id" not in data:
            self.drop_friends(actor, user)
        elif "member_ids" in data:
            self._members.drop(*((int(data["group_id"]), int(id)) for id in data["member_ids"]), (0, 0))
        else:
            self._members.drop((int(data["group_id"]), actor), (int(data["group_id"]), user))
