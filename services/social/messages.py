"""Rows to protobuf."""

from datetime import datetime
from typing import Any

from protos.social.v1 import friends_pb2 as pb
from protos.social.v1.friends_pb2 import Friend, FriendCheck, FriendRequest, Relation, Standing
from protos.social.v1.groups_pb2 import Group, JoinRequest, Member, MemberCheck
from services.social.models import EVERYONE, NOBODY


def milliseconds(moment: datetime | None) -> int:
    """Unix milliseconds; 0 for never."""
    return int(moment.timestamp() * 1000) if moment else 0


def friend(row: Any) -> Friend:
    return Friend(
        relation_id=row.id,
        user_id=row.friend_id,
        remark=row.remark,
        since=row.since,
        shows_last_login=row.shows_last_login,
    )


def friend_request(row: Any) -> FriendRequest:
    return FriendRequest(
        request_id=row.id,
        from_user_id=row.from_id,
        to_user_id=row.to_id,
        message=row.message,
        requested_at=row.requested_at,
        result=row.result,
        handled_at=row.handled_at,
    )


def relation(row: Any) -> Relation:
    return Relation(user_id=row.user_id, friend=row.remark is not None, blocked=row.blocked, remark=row.remark)


def contact_settings(row: Any) -> pb.GetSettingsResponse:
    return pb.GetSettingsResponse(
        who_may_add=row.who_may_add,
        who_sees_presence=row.who_sees_presence,
        who_sees_last_login=row.who_sees_last_login,
        who_may_follow=row.who_may_follow,
        who_may_mention=row.who_may_mention,
    )


def friend_check(row: Any) -> FriendCheck:
    """A user shows to friends what they show to those to whom they agreed. Across a block they show nothing."""
    presence, last_login = row.who_sees_presence, row.who_sees_last_login
    as_friend = bool(row.peer_agreed) and not row.blocked
    return FriendCheck(
        friend=row.friend,
        blocked=row.blocked,
        user_agreed=row.agreed,
        peer_agreed=row.peer_agreed,
        blocks=row.blocks,
        sees_presence=as_friend and presence != NOBODY,
        presence_is_public=presence == EVERYONE and not row.blocked,
        sees_last_login=not row.blocked and (last_login == EVERYONE or (as_friend and last_login != NOBODY)),
        may_mention=not row.blocked
        and (row.who_may_mention == EVERYONE or (as_friend and row.who_may_mention != NOBODY)),
    )


def group(row: Any) -> Group:
    return _group(row, milliseconds(row.created_at), milliseconds(row.updated_at))


def listed_group(row: Any) -> Group:
    """With times in milliseconds."""
    return _group(row, row.created_at, row.updated_at)


def _group(row: Any, created_at: int, updated_at: int) -> Group:
    return Group(
        group_id=row.id,
        name=row.name,
        icon=row.icon,
        description=row.description,
        owner_id=row.owner_id,
        approval=row.approval,
        announcement=row.announcement,
        announced_by=row.announced_by or 0,
        member_count=row.member_count,
        created_at=created_at,
        updated_at=updated_at,
    )


def member(row: Any) -> Member:
    return Member(
        member_id=row.id,
        group_id=row.group_id,
        user_id=row.user_id,
        role=row.role,
        inviter_id=row.inviter_id or 0,
        joined_at=row.joined_at,
        shows_last_login=row.shows_last_login,
    )


def member_check(row: Any) -> MemberCheck:
    return MemberCheck(member=row.role is not None, role=row.role)


def join_request(row: Any) -> JoinRequest:
    return JoinRequest(
        request_id=row.id,
        group_id=row.group_id,
        user_id=row.user_id,
        message=row.message,
        requested_at=row.requested_at,
        inviter_id=row.inviter_id or 0,
        handler_id=row.handler_id or 0,
        handled_at=row.handled_at,
        result=row.result,
    )


def standing(row: Any) -> Standing:
    return Standing(
        user_id=row.user_id,
        peer_id=row.peer_id,
        friend=row.friend,
        blocks=row.blocks,
        follows=row.follows,
        peer_agreed=row.peer_agreed,
    )
