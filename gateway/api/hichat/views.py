"""JSON of friends, groups and requests, as the chat document has it."""

from msgspec import UNSET, Struct, UnsetType, field

from protos.social.v1 import friends_pb2 as friends_pb
from protos.social.v1 import groups_pb2 as groups_pb
from protos.user.v1.users_pb2 import User

APPLIED, INVITED = 1, 2  # join sources


class Friend(Struct):
    """`id` belongs to the friendship; `remark` is the nickname if the caller set no remark."""

    id: int
    friend_uid: str
    nickname: str
    avatar: str
    remark: str


class FriendRequest(Struct):
    """`user_id` asked `req_uid`. `handle_result` is left out until the request is handled."""

    id: int
    user_id: str
    req_uid: str
    req_msg: str
    req_time: int  # Unix seconds
    handle_result: int | UnsetType = UNSET


class GroupView(Struct):
    id: str
    name: str
    icon: str
    create_uid: str
    group_type: int
    is_verify: bool
    notification_uid: str


class GroupBrief(Struct):
    id: str
    name: str
    icon: str
    create_uid: str


class Person(Struct):
    id: str
    nickname: str
    sex: int
    avatar: str
    introduction: str = field(name="Introduction")


class PersonInGroup(Person):
    is_current_user: int


class JoinRequest(Struct):
    """Until the request is handled, `handle_user_id` is "", `handle_result` 0 and `handle_time` that of the request."""

    id: int
    user: Person
    group: GroupBrief
    req_msg: str
    req_time: int  # Unix seconds, like handle_time
    join_source: int
    inviter_user_id: str
    handle_user_id: str
    handle_time: int
    handle_result: int


class Member(Struct):
    id: int
    group_id: str
    user: PersonInGroup
    role_level: int
    inviter_uid: str


def friend(friend: friends_pb.Friend, user: User) -> Friend:
    return Friend(friend.relation_id, str(friend.user_id), user.nickname, user.avatar, friend.remark or user.nickname)


def friend_request(request: friends_pb.FriendRequest) -> FriendRequest:
    return FriendRequest(
        id=request.request_id,
        user_id=str(request.from_user_id),
        req_uid=str(request.to_user_id),
        req_msg=request.message,
        req_time=request.requested_at,
        handle_result=request.result or UNSET,
    )


def group_view(group: groups_pb.Group) -> GroupView:
    return GroupView(
        id=str(group.group_id),
        name=group.name,
        icon=group.icon,
        create_uid=str(group.owner_id),
        group_type=1,
        is_verify=group.approval,
        notification_uid=str(group.announced_by),
    )


def join_request(request: groups_pb.JoinRequest, group: groups_pb.Group | None, user: User | None) -> JoinRequest:
    """The fields of a deleted user or group are empty, as in the document."""
    user, group = user or User(), group or groups_pb.Group()
    return JoinRequest(
        id=request.request_id,
        user=Person(str(request.user_id), user.nickname, user.sex, user.avatar, user.bio),
        group=GroupBrief(str(request.group_id), group.name, group.icon, str(group.owner_id)),
        req_msg=request.message,
        req_time=request.requested_at,
        join_source=INVITED if request.inviter_id else APPLIED,
        inviter_user_id=str(request.inviter_id),
        handle_user_id=str(request.handler_id or ""),
        handle_time=request.handled_at,
        handle_result=request.result,
    )


def member(member: groups_pb.Member, user: User | None, viewer_id: int) -> Member:
    user = user or User()
    mine = int(member.user_id == viewer_id)
    return Member(
        id=member.member_id,
        group_id=str(member.group_id),
        user=PersonInGroup(str(member.user_id), user.nickname, user.sex, user.avatar, user.bio, mine),
        role_level=member.role,
        inviter_uid=str(member.inviter_id),
    )
