"""Groups themselves: made, changed, found, listed, dismissed."""

import time
from typing import Any

import pytest

from protos.social.v1 import friends_pb2
from protos.social.v1 import groups_pb2 as pb
from tests.support.social import (
    ADMIN_ROLE,
    Running,
    act,
    applications,
    create_group,
    dismiss,
    events_of,
    group_of,
    group_with,
    groups_of,
    join,
    new_user,
    new_users,
    outcomes,
    refusal,
    roles_in,
    verbs_of,
)


async def create(social: Running, owner: int, **fields: Any) -> pb.Group:
    group: pb.Group = await act(owner, social.groups.CreateGroup, pb.CreateGroupRequest(**{"name": "g", **fields}))
    return group


async def update(social: Running, user: int, group_id: int, **changes: Any) -> None:
    await act(user, social.groups.UpdateGroup, pb.UpdateGroupRequest(group_id=group_id, **changes))


async def search(social: Running, prefix: str, cursor: str = "", limit: int = 500) -> pb.ListGroupsResponse:
    return await social.groups.SearchGroups(pb.SearchGroupsRequest(prefix=prefix, cursor=cursor, limit=limit))


async def test_who_makes_a_group_owns_it(social: Running) -> None:
    owner = new_user()
    made = await create(social, owner, name=" rust开发交流群 ", icon="http://h/1.png", description="d", approval=True)
    assert (made.name, made.icon, made.description, made.approval) == ("rust开发交流群", "http://h/1.png", "d", True)
    assert (made.owner_id, made.member_count, made.announcement, made.announced_by) == (owner, 1, "", 0)
    assert 0 < made.group_id < 2**53 and abs(made.created_at / 1000 - time.time()) < 5
    assert await group_of(social, made.group_id) == made
    assert await roles_in(social, owner, made.group_id) == {owner: pb.OWNER}
    data = {"group_id": str(made.group_id), "group_name": "rust开发交流群", "actor_id": str(owner)}
    assert await events_of(social, f"group:{made.group_id}") == [("group.created", data)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": ""}, "GROUP_NAME_EMPTY"),
        ({"name": " \n\u200b "}, "GROUP_NAME_EMPTY"),
        ({"name": "x" * 51}, "GROUP_INVALID"),
        ({"name": "a\0"}, "GROUP_INVALID"),
        ({"name": "a\nb"}, "GROUP_INVALID"),
        ({"description": "x" * 501}, "GROUP_INVALID"),
        ({"icon": "javascript:alert(1)"}, "GROUP_INVALID"),
        ({"icon": "//evil.example/a.png"}, "GROUP_INVALID"),
        ({"icon": "\\\\evil.example/a.png"}, "GROUP_INVALID"),
        ({"icon": "http://h/" + "x" * 2048}, "GROUP_INVALID"),
        ({"icon": "http://[h"}, "GROUP_INVALID"),
    ],
)
async def test_what_a_group_cannot_be(social: Running, fields: dict[str, str], reason: str) -> None:
    owner = new_user()
    assert await refusal(create(social, owner, **fields)) == reason
    group = await create_group(social, owner)
    assert await refusal(update(social, owner, group, **fields)) == reason


async def test_only_given_fields_change(social: Running) -> None:
    owner, manager = new_users(2)
    group_id = await group_with(social, owner, manager, managers=[manager])
    before = await group_of(social, group_id)
    assert before
    await update(social, manager, group_id, name="新名", announcement="notice")
    after = await group_of(social, group_id)
    assert after and (after.name, after.announcement, after.announced_by) == ("新名", "notice", manager)
    assert (after.icon, after.approval, after.owner_id) == (before.icon, before.approval, before.owner_id)
    assert after.updated_at > before.updated_at
    await update(social, owner, group_id, announcement="", approval=False, description="")
    cleared = await group_of(social, group_id)
    assert cleared and (cleared.announcement, cleared.announced_by, cleared.approval) == ("", 0, False)
    assert (await search(social, "新名")).groups
    (_, first), (_, second) = (await events_of(social, f"group:{group_id}"))[-2:]
    assert first["changed"] == ["announcement", "name"] and first["announcement"] == "notice"
    assert first["group_name"] == "新名" and second["changed"] == ["announcement", "approval"]


async def test_a_change_to_what_is_so_already_is_none(social: Running) -> None:
    owner = new_user()
    group_id = await create_group(social, owner, name="same")
    await update(social, owner, group_id, name="same", approval=True)
    await update(social, owner, group_id)
    assert await verbs_of(social, f"group:{group_id}") == ["group.created"]
    assert await refusal(update(social, owner, group_id, announcement="x" * 2001)) == "GROUP_INVALID"
    await update(social, owner, group_id, announcement="字" * 2000)


async def test_groups_are_got_by_their_ids(social: Running) -> None:
    owner = new_user()
    first, second, third = [await create_group(social, owner) for _ in range(3)]
    await dismiss(social, owner, second)
    ids = [first, second, third, 0, -1, 2**63 - 1]
    answer = await social.groups.BatchGetGroups(pb.BatchGetGroupsRequest(group_ids=ids))
    assert {group.group_id for group in answer.groups} == {first, third}
    many = pb.BatchGetGroupsRequest(group_ids=range(501))
    assert await refusal(social.groups.BatchGetGroups(many)) == "BATCH_TOO_LARGE"


async def test_ones_groups_are_listed_in_the_order_of_joining(social: Running) -> None:
    me, other = new_users(2)
    theirs = await create_group(social, other, approval=False)
    mine = await create_group(social, me)
    await join(social, me, theirs)
    assert await groups_of(social, me) == [mine, theirs]


async def test_anothers_groups_are_for_admins(social: Running) -> None:
    me, other = new_users(2)
    group = await create_group(social, me)
    for user_id, who in ((me, other), (-1, me), (2**63 - 1, me)):
        request = pb.ListGroupsRequest(user_id=user_id, limit=10)
        assert await refusal(act(who, social.groups.ListGroups, request, role=2)) == "NOT_PERMITTED"
    request = pb.ListGroupsRequest(user_id=me, limit=10)
    for who, role in ((me, 0), (other, ADMIN_ROLE)):
        answer = await act(who, social.groups.ListGroups, request, role)
        assert [g.group_id for g in answer.groups] == [group]


async def test_groups_are_found_by_the_beginning_of_their_name(social: Running) -> None:
    owner = new_user()
    names = ["Zebra", "ZEBRA crossing", "zebra", "zebrafish", "a Zebra", "zeb%a"]
    ids = {name: await create_group(social, owner, name=name) for name in names}

    async def found(prefix: str) -> list[str]:
        return [group.name for group in (await search(social, prefix)).groups]

    assert await found("zebra") == ["Zebra", "zebra", "ZEBRA crossing", "zebrafish", "a Zebra"]
    assert await found("zébra cros") == ["ZEBRA crossing"] == await found("crossing") == await found("zebra crosing")
    assert await found("zebraf") == ["zebrafish"]
    assert await found("zeb%") == ["zeb%a"]
    for nothing in ("", "  ", "\0", "zebra_", "\u200b"):
        assert await found(nothing) == []
    await dismiss(social, owner, ids["zebrafish"])
    assert await found("zebraf") == []
    pages, cursor = [], ""
    for _ in range(4):
        page = await search(social, "ZEBRA", cursor, limit=1)
        pages += [group.group_id for group in page.groups]
        cursor = page.next_cursor
    assert pages == [ids["Zebra"], ids["zebra"], ids["ZEBRA crossing"], ids["a Zebra"]] and not cursor


async def test_a_dismissed_group_is_gone(social: Running) -> None:
    owner, member, applicant = new_users(3)
    group = await group_with(social, owner, member)
    await join(social, applicant, group)
    await dismiss(social, owner, group)
    assert await group_of(social, group) is None
    assert await groups_of(social, owner) == [] == await groups_of(social, member)
    assert [a.result for a in await applications(social, applicant)] == [2]
    for call in (dismiss(social, owner, group), join(social, member, group), roles_in(social, member, group)):
        assert await refusal(call) == "GROUP_NOT_FOUND"
    verb, data = (await events_of(social, f"group:{group}"))[-1]
    assert verb == "group.dismissed" and set(data["member_ids"]) == {str(owner), str(member)}


async def test_nobody_belongs_to_more_groups_than_allowed(small: Running) -> None:
    me, other = new_users(2)
    made = await outcomes(*(create_group(small, me) for _ in range(9)))
    assert made == {"": 3, "GROUP_LIMIT_REACHED": 6}
    open_group, closed = await create_group(small, other, approval=False), await create_group(small, other)
    assert await refusal(join(small, me, open_group)) == "GROUP_LIMIT_REACHED"
    await join(small, me, closed)  # an application
    (application,) = await applications(small, other, closed)
    request = pb.HandleJoinRequestRequest(
        group_id=closed, request_id=application.request_id, result=friends_pb2.ACCEPTED
    )
    assert await refusal(act(other, small.groups.HandleJoinRequest, request)) == "GROUP_LIMIT_REACHED"


async def test_no_group_has_more_members_than_allowed(small: Running) -> None:
    owner, *others = new_users(12)
    group = await create_group(small, owner, approval=False)
    assert await outcomes(*(join(small, other, group) for other in others)) == {"": 2, "MEMBER_LIMIT_REACHED": 9}
    found = await group_of(small, group)
    assert found and found.member_count == 3
