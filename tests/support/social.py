"""The social service in this process, behind a real port, and what tests need to talk to it."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
from sqlalchemy import text

from protos.social.v1 import friends_pb2 as pb
from protos.social.v1 import groups_pb2 as groups_pb
from protos.social.v1.follows_pb2_grpc import FollowsStub
from protos.social.v1.friends_pb2_grpc import FriendsStub
from protos.social.v1.groups_pb2_grpc import GroupsStub
from protos.social.v1.mutes_pb2_grpc import MutesStub
from services.kit import schema
from services.kit.context import Caller, current_caller
from services.kit.errors import reason_of
from services.kit.nats import Event
from services.kit.process.commands import count_faults
from services.social import consumer
from services.social.admin import FAULTS
from services.social.config import SERVICE, SocialSettings
from services.social.consumer import consuming
from services.social.service import MIGRATIONS, Service, open_service
from services.social.servicers import PROTOS, register
from tests.support.processes import service_settings, serving
from tests.support.servers import Servers

USER_ROLE, ADMIN_ROLE = 1, 3
_user_ids = itertools.count(7_000_000_000_000_000)  # large, as the user service's are


@dataclass(frozen=True, slots=True)
class Running:
    settings: SocialSettings
    service: Service
    target: str
    friends: FriendsStub
    groups: GroupsStub
    mutes: MutesStub
    follows: FollowsStub


def social_settings(postgres_url: str, servers: Servers, folder: Path, **more: str) -> SocialSettings:
    return service_settings(SocialSettings, SERVICE, postgres_url, servers, folder, **more)


@asynccontextmanager
async def running_social_service(settings: SocialSettings) -> AsyncIterator[Running]:
    schema.upgrade(settings.postgres_url, MIGRATIONS)
    async with open_service(settings) as service, consuming(service):
        async with serving(settings, PROTOS, partial(register, service)) as (target, channel):
            yield Running(
                settings,
                service,
                target,
                FriendsStub(channel),
                GroupsStub(channel),
                MutesStub(channel),
                FollowsStub(channel),
            )


def new_user() -> int:
    """The id of a user without friends and groups."""
    return next(_user_ids)


def new_users(count: int) -> list[int]:
    return [new_user() for _ in range(count)]


@contextmanager
def acting(user_id: int, role: int = USER_ROLE) -> Iterator[None]:
    """The calls in the block are made for that user; for nobody if it is 0."""
    token = current_caller.set(Caller(user_id, role if user_id else 0))
    try:
        yield
    finally:
        current_caller.reset(token)


async def act(user_id: int, call: Any, request: Any, role: int = USER_ROLE) -> Any:
    """One call on behalf of that user, in a task of its own, so that users who act at once do not mix."""
    with acting(user_id, role):
        return await call(request)


async def ask(social: Running, user_id: int, peer_id: int, message: str = "") -> None:
    await act(user_id, social.friends.RequestFriend, pb.RequestFriendRequest(user_id=peer_id, message=message))


async def handle(social: Running, user_id: int, request_id: int, result: int) -> None:
    request = pb.HandleFriendRequestRequest(request_id=request_id, result=pb.Result.ValueType(result))
    await act(user_id, social.friends.HandleFriendRequest, request)


async def add(social: Running, user_id: int, peer_id: int) -> None:
    await act(user_id, social.friends.AddFriend, pb.AddFriendRequest(user_id=peer_id))


async def agree(social: Running, user_id: int, peer_id: int) -> None:
    """As when the chat service says that the user answered the peer."""
    data = {"actor_id": str(user_id), "user_id": str(peer_id)}
    async with social.service.database.transaction() as connection:
        await consumer.handle(connection, Event(1, consumer.ANSWERED, "pair", "", data))


async def set_who_may_add(social: Running, user_id: int, who: pb.WhoMayAdd.ValueType) -> None:
    await act(user_id, social.friends.SetSettings, pb.SetSettingsRequest(who_may_add=who))


async def set_privacy(social: Running, user_id: int, **who: Any) -> None:
    """`who_sees_presence`, `who_sees_last_login`, `who_may_follow`."""
    await act(user_id, social.friends.SetPrivacy, pb.SetPrivacyRequest(**who))


async def unfriend(social: Running, user_id: int, peer_id: int) -> None:
    await act(user_id, social.friends.DeleteFriend, pb.DeleteFriendRequest(user_id=peer_id))


async def block(social: Running, user_id: int, peer_id: int) -> None:
    await act(user_id, social.friends.Block, pb.BlockRequest(user_id=peer_id))


async def unblock(social: Running, user_id: int, peer_id: int) -> None:
    await act(user_id, social.friends.Unblock, pb.UnblockRequest(user_id=peer_id))


async def friends_of(social: Running, user_id: int) -> list[int]:
    answer = await act(user_id, social.friends.ListFriendIds, pb.ListFriendIdsRequest())
    return list(answer.user_ids)


async def requests_of(social: Running, user_id: int, direction: int = 0, *results: int) -> list[pb.FriendRequest]:
    request = pb.ListFriendRequestsRequest(direction=pb.Direction.ValueType(direction), limit=500)
    request.results.extend(pb.Result.ValueType(result) for result in results)
    return list((await act(user_id, social.friends.ListFriendRequests, request)).requests)


async def request_between(social: Running, asker: int, asked: int) -> int:
    """The id of the request between the two users."""
    return next(r.request_id for r in await requests_of(social, asked, pb.TO_ME) if r.from_user_id == asker)


async def create_group(social: Running, owner: int, approval: bool = True, name: str = "群") -> int:
    request = groups_pb.CreateGroupRequest(name=name, approval=approval)
    return int((await act(owner, social.groups.CreateGroup, request)).group_id)


async def join(social: Running, user_id: int, group_id: int, inviter_id: int = 0, message: str = "") -> bool:
    request = groups_pb.JoinGroupRequest(group_id=group_id, inviter_id=inviter_id, message=message)
    return bool((await act(user_id, social.groups.JoinGroup, request)).joined)


async def invite(social: Running, user_id: int, group_id: int, invited: int) -> None:
    await act(user_id, social.groups.Invite, groups_pb.InviteRequest(group_id=group_id, user_id=invited))


async def decide(social: Running, user_id: int, group_id: int, request_id: int, result: int) -> None:
    request = groups_pb.HandleJoinRequestRequest(
        group_id=group_id, request_id=request_id, result=pb.Result.ValueType(result)
    )
    await act(user_id, social.groups.HandleJoinRequest, request)


async def applications(social: Running, user_id: int, group_id: int = 0, *results: int) -> list[groups_pb.JoinRequest]:
    """The group's as that manager sees them; the user's own without a group."""
    request = groups_pb.ListJoinRequestsRequest(group_id=group_id, limit=500)
    request.results.extend(pb.Result.ValueType(result) for result in results)
    return list((await act(user_id, social.groups.ListJoinRequests, request)).requests)


async def leave(social: Running, user_id: int, group_id: int) -> None:
    await act(user_id, social.groups.LeaveGroup, groups_pb.LeaveGroupRequest(group_id=group_id))


async def remove(social: Running, user_id: int, group_id: int, member: int) -> None:
    await act(user_id, social.groups.RemoveMember, groups_pb.RemoveMemberRequest(group_id=group_id, user_id=member))


async def set_role(social: Running, user_id: int, group_id: int, member: int, role: int) -> None:
    request = groups_pb.SetMemberRoleRequest(
        group_id=group_id, user_id=member, role=groups_pb.MemberRole.ValueType(role)
    )
    await act(user_id, social.groups.SetMemberRole, request)


async def transfer(social: Running, user_id: int, group_id: int, heir: int) -> None:
    await act(user_id, social.groups.TransferGroup, groups_pb.TransferGroupRequest(group_id=group_id, user_id=heir))


async def dismiss(social: Running, user_id: int, group_id: int) -> None:
    await act(user_id, social.groups.DismissGroup, groups_pb.DismissGroupRequest(group_id=group_id))


async def group_with(social: Running, *members: int, approval: bool = True, managers: Sequence[int] = ()) -> int:
    """A group of the first, who owns it; the others join, and `managers` among them become managers."""
    owner, *rest = members
    group_id = await create_group(social, owner, approval=False)
    for member in rest:
        await join(social, member, group_id)
    for manager in managers:
        await set_role(social, owner, group_id, manager, groups_pb.MANAGER)
    if approval:
        update = groups_pb.UpdateGroupRequest(group_id=group_id, approval=True)
        await act(owner, social.groups.UpdateGroup, update)
    return group_id


async def group_of(social: Running, group_id: int) -> groups_pb.Group | None:
    answer = await social.groups.BatchGetGroups(groups_pb.BatchGetGroupsRequest(group_ids=[group_id]))
    return answer.groups[0] if answer.groups else None


async def roles_in(social: Running, viewer: int, group_id: int) -> dict[int, int]:
    """Each member's role, in the order in which they are listed."""
    request = groups_pb.ListMembersRequest(group_id=group_id, limit=500)
    answer = await act(viewer, social.groups.ListMembers, request)
    return {member.user_id: member.role for member in answer.members}


async def groups_of(social: Running, user_id: int) -> list[int]:
    answer = await act(user_id, social.groups.ListGroups, groups_pb.ListGroupsRequest(limit=500))
    return [group.group_id for group in answer.groups]


async def execute(social: Running, statement: str, **values: Any) -> list[Any]:
    """Of the service's own database; the rows, if there are any."""
    async with social.service.database.transaction() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def events_of(social: Running, aggregate: str) -> list[tuple[str, dict[str, Any]]]:
    """Subject and data of the events, oldest first."""
    query = "SELECT subject, data FROM outbox WHERE aggregate = :aggregate ORDER BY id"
    rows = await execute(social, query, aggregate=aggregate)
    return [(row.subject.removeprefix("events.social."), row.data) for row in rows]


async def verbs_of(social: Running, aggregate: str) -> list[str]:
    return [subject for subject, _ in await events_of(social, aggregate)]


def pair_of(a: int, b: int) -> str:
    return f"pair:{min(a, b)}:{max(a, b)}"


async def faults(social: Running) -> dict[str, int]:
    """The inconsistencies that the `check` command finds."""
    async with social.service.database.transaction() as connection:
        return {what: count for what, count in (await count_faults(connection, FAULTS)).items() if count}


async def refusal(call: Awaitable[object]) -> str:
    """The reason of the refusal; "" if the call succeeded."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return ""


async def outcomes(*calls: Awaitable[object]) -> Counter[str]:
    """How often each reason occurred among concurrent calls; "" counts the successful ones."""
    return Counter(await asyncio.gather(*map(refusal, calls)))
