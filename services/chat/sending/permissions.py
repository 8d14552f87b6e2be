"""Who may talk: the social service says, many questions in one call. Its yes is believed for seconds, or until an
event ends it; its no is never kept, and no answer is a no."""

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
from services.chat.config import ChatSettings
from services.chat.errors import Blocked, NotFriends, NotMember, SocialUnavailable
from services.chat.sending.batched_lookup import Answers
from services.kit.nats import Event

ENDS_YES = ("events.social.friend.*", "events.social.user.*", "events.social.group.*")
TIMEOUT = 2.0  # seconds

Pair = tuple[int, int]


def _is_yes(answer: Any) -> bool:
    return answer.member if isinstance(answer, MemberCheck) else answer.friend and not answer.blocked


class Permits:
    def __init__(self, settings: ChatSettings, channel: grpc.aio.Channel, nats: Nats) -> None:
        self._strangers, self._seconds, self._nats = settings.strangers, settings.permission_seconds, nats
        self._friends_stub, self._groups_stub = FriendsStub(channel), GroupsStub(channel)
        self.friends = Answers[Pair, FriendCheck](self._ask_friends, SocialUnavailable, self._keep_seconds, _is_yes)
        self.members = Answers[Pair, MemberCheck](self._ask_members, SocialUnavailable, self._keep_seconds, _is_yes)

    async def require_friends(self, user_id: int, peer_id: int) -> None:
        """That the one may write to the other. Raises NotFriends, Blocked, SocialUnavailable."""
        check = await self.friends.get((user_id, peer_id), self._deaf)
        if check.blocked:
            raise Blocked
        if user_id == peer_id or peer_id <= 0 or not (check.friend or self._strangers):
            raise NotFriends

    async def require_member(self, user_id: int, group_id: int, fresh: bool = False) -> int:
        """The user's role in the group. Raises NotMember, SocialUnavailable."""
        check = await self.members.get((group_id, user_id), fresh or self._deaf)
        if not check.member:
            raise NotMember
        return check.role

    async def friends_among(self, user_id: int, peer_ids: Sequence[int]) -> set[int]:
        """Those whom no block parts from him. Raises SocialUnavailable."""
        checks = await asyncio.gather(*(self.friends.get((user_id, peer), self._deaf) for peer in peer_ids))
        return {peer for peer, check in zip(peer_ids, checks, strict=True) if _is_yes(check)}

    @property
    def _deaf(self) -> bool:
        """Nothing would end a yes."""
        return not self._nats.is_connected

    def _keep_seconds(self) -> float:
        return 0.0 if self._deaf else self._seconds

    async def _ask_friends(self, pairs: Sequence[Pair]) -> Sequence[FriendCheck]:
        asked = BatchCheckFriendsRequest(pairs=[UserPair(user_id=a, peer_id=b) for a, b in pairs])
        return (await self._friends_stub.BatchCheckFriends(asked, timeout=TIMEOUT)).checks

    async def _ask_members(self, pairs: Sequence[Pair]) -> Sequence[MemberCheck]:
        asked = BatchCheckMembersRequest(pairs=[GroupUser(group_id=a, user_id=b) for a, b in pairs])
        return (await self._groups_stub.BatchCheckMembers(asked, timeout=TIMEOUT)).checks

    async def listen(self) -> None:
        """Drops what the social service's events end. Returns once NATS is there; the client keeps listening."""
        for subject in ENDS_YES:
            while not self._nats.is_connected:  # noqa: ASYNC110 (it has no event for it)
                await asyncio.sleep(0.1)
            await self._nats.subscribe(subject, cb=self._end)
        self.friends.drop()
        self.members.drop()

    async def _end(self, message: Msg) -> None:
        data = msgspec.json.decode(message.data, type=Event).data
        actor, user = int(data.get("actor_id", 0)), int(data.get("user_id", 0))
        if "group_id" not in data:
            self.friends.drop((actor, user), (user, actor))
        elif "member_ids" in data:
            self.members.drop(*((int(data["group_id"]), int(id)) for id in data["member_ids"]), (0, 0))
        else:
            self.members.drop((int(data["group_id"]), actor), (int(data["group_id"]), user))
