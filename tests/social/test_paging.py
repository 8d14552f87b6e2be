"""Lists by page: whole and in order while others write, and with the documents' page numbers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.social.v1 import friends_pb2 as f
from protos.social.v1 import groups_pb2 as g
from services.kit.cursor import encode_cursor
from tests.support.social import (
    Running,
    act,
    add,
    ask,
    block,
    create_group,
    group_with,
    join,
    leave,
    new_user,
    new_users,
    refusal,
    unblock,
    unfriend,
)

Page = Callable[[str], Awaitable[tuple[list[int], str]]]


def friends_page(social: Running, user: int, limit: int) -> Page:
    async def page(cursor: str) -> tuple[list[int], str]:
        answer = await act(user, social.friends.ListFriends, f.ListFriendsRequest(cursor=cursor, limit=limit))
        return [friend.user_id for friend in answer.friends], answer.next_cursor

    return page


def members_page(social: Running, user: int, group: int, limit: int) -> Page:
    async def page(cursor: str) -> tuple[list[int], str]:
        request = g.ListMembersRequest(group_id=group, cursor=cursor, limit=limit)
        answer = await act(user, social.groups.ListMembers, request)
        return [member.user_id for member in answer.members], answer.next_cursor

    return page


def requests_page(social: Running, user: int, limit: int) -> Page:
    async def page(cursor: str) -> tuple[list[int], str]:
        request = f.ListFriendRequestsRequest(cursor=cursor, limit=limit)
        answer = await act(user, social.friends.ListFriendRequests, request)
        return [r.from_user_id + r.to_user_id - user for r in answer.requests], answer.next_cursor

    return page


def applications_page(social: Running, user: int, group: int, limit: int) -> Page:
    async def page(cursor: str) -> tuple[list[int], str]:
        request = g.ListJoinRequestsRequest(group_id=group, cursor=cursor, limit=limit)
        answer = await act(user, social.groups.ListJoinRequests, request)
        return [application.user_id for application in answer.requests], answer.next_cursor

    return page


async def read_all(page: Page, between: Callable[[], Awaitable[object]] | None = None) -> list[int]:
    found, cursor = await page("")
    while cursor:
        if between:
            await between()
        more, cursor = await page(cursor)
        assert more
        found += more
    return found


async def ask_either_way(social: Running, me: int, other: int) -> None:
    asking, asked = random.sample((me, other), 2)
    await ask(social, asking, asked)


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 500])
async def test_pages_together_are_the_list(social: Running, limit: int) -> None:
    me, *others = new_users(9)
    group = await group_with(social, me, *others[:4], managers=others[1:2])
    for i, other in enumerate(others):
        await (add(social, me, other) if i % 2 else ask_either_way(social, me, other))
        await join(social, other, group)
    assert await read_all(friends_page(social, me, limit)) == others[1::2]
    assert await read_all(requests_page(social, me, limit)) == others[::2]
    assert await read_all(members_page(social, me, group, limit)) == [me, others[1], others[0], others[2], others[3]]
    assert await read_all(applications_page(social, me, group, limit)) == others[4:]


async def test_pages_are_stable_while_others_write(social: Running) -> None:
    """Whatever comes and goes meanwhile: who was there all along is listed once, and in the same order."""
    me, *stay = new_users(13)
    passing = new_users(12)
    order = random.Random(7)
    group = await create_group(social, me, approval=False)
    for stays, passes in zip(stay, passing, strict=True):
        for user in (stays, passes):
            await asyncio.gather(add(social, me, user), join(social, user, group))

    async def disturb() -> None:
        late, gone = new_user(), order.choice(passing)
        await asyncio.gather(
            add(social, me, late),
            join(social, late, group),
            unfriend(social, me, gone),
            refusal(leave(social, gone, group)),
        )

    for limit in (3, 5, 8):
        for page in (friends_page(social, me, limit), members_page(social, me, group, limit)):
            found = await read_all(page, disturb)
            assert len(found) == len(set(found))
            assert [user for user in found if user in set(stay)] == stay


@pytest.mark.parametrize("size", [2, 5])
async def test_a_page_number_works_on_top(social: Running, size: int) -> None:
    me, *others = new_users(6)
    group = await group_with(social, me, *others)
    mine = [group, *[await create_group(social, me) for _ in range(3)]]
    for other in others:
        await add(social, me, other)

    async def pages(call: Any, make: Callable[[int], Any]) -> list[Any]:
        return [await act(me, call, make(offset)) for offset in range(0, 8, size)]

    friends = await pages(social.friends.ListFriends, lambda at: f.ListFriendsRequest(limit=size, offset=at))
    assert [friend.user_id for page in friends for friend in page.friends] == others
    members = await pages(
        social.groups.ListMembers, lambda at: g.ListMembersRequest(group_id=group, limit=size, offset=at)
    )
    assert [member.user_id for page in members for member in page.members] == [me, *others]
    groups = await pages(social.groups.ListGroups, lambda at: g.ListGroupsRequest(limit=size, offset=at))
    assert [found.group_id for page in groups for found in page.groups] == mine
    for offset in (10_000, 2**31 - 1, -5):
        answer = await act(me, social.friends.ListFriends, f.ListFriendsRequest(limit=9, offset=offset))
        assert len(answer.friends) == (0 if offset > 0 else 5)


async def test_limits_are_clamped(social: Running) -> None:
    me, *others = new_users(4)
    for other in others:
        await add(social, me, other)
    for limit, length in ((0, 1), (-3, 1), (2**31 - 1, 3)):
        answer = await act(me, social.friends.ListFriends, f.ListFriendsRequest(limit=limit))
        assert len(answer.friends) == length


async def test_blocks_stay_in_order_while_others_come_and_go(social: Running) -> None:
    me, *others = new_users(7)
    for other in others:
        await block(social, me, other)

    async def page(cursor: str) -> tuple[list[int], str]:
        answer = await act(me, social.friends.ListBlocks, f.ListBlocksRequest(cursor=cursor, limit=2))
        return list(answer.user_ids), answer.next_cursor

    async def disturb() -> None:
        await block(social, me, new_user())
        await unblock(social, me, others[-1])

    assert await read_all(page, disturb) == others[::-1]


BAD_CURSORS = [
    "x",
    "é",
    "=",
    "W10",
    encode_cursor("a"),
    encode_cursor(2**63),
    encode_cursor(10**30),
    encode_cursor(-1),
    encode_cursor(1.5),
    encode_cursor(1, 2, 3),
    encode_cursor("a\0", 1),
    encode_cursor(-3, 1),
]


def lists(social: Running, user: int, group: int, cursor: str) -> list[Awaitable[Any]]:
    return [
        act(user, social.friends.ListFriends, f.ListFriendsRequest(cursor=cursor)),
        act(user, social.friends.ListFriendRequests, f.ListFriendRequestsRequest(cursor=cursor)),
        act(user, social.friends.ListBlocks, f.ListBlocksRequest(cursor=cursor)),
        act(user, social.groups.ListGroups, g.ListGroupsRequest(cursor=cursor)),
        act(user, social.groups.ListMembers, g.ListMembersRequest(group_id=group, cursor=cursor)),
        act(user, social.groups.ListJoinRequests, g.ListJoinRequestsRequest(group_id=group, cursor=cursor)),
        act(user, social.groups.SearchGroups, g.SearchGroupsRequest(prefix="a", cursor=cursor)),
    ]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_a_forged_cursor_is_refused(social: Running, cursor: str) -> None:
    user = new_user()
    group = await create_group(social, user)
    assert {await refusal(call) for call in lists(social, user, group, cursor)} == {"CURSOR_INVALID"}


async def test_no_cursor_or_name_is_an_internal_error(social: Running) -> None:
    user = new_user()
    group = await create_group(social, user)
    loop = asyncio.get_running_loop()

    @settings(max_examples=25, deadline=None, database=None)
    @given(text=st.text(max_size=60), numbers=st.lists(st.integers() | st.text(max_size=5), max_size=3))
    def check(text: str, numbers: list[Any]) -> None:
        async def reasons() -> set[str]:
            calls = lists(social, user, group, encode_cursor(*numbers)) + lists(social, user, group, text)
            name = g.CreateGroupRequest(name=text, icon=text, description=text)
            calls += [act(user, social.groups.CreateGroup, name), ask(social, user, new_user(), text)]
            calls += [social.groups.SearchGroups(g.SearchGroupsRequest(prefix=text))]
            return {await refusal(call) for call in calls}

        found = asyncio.run_coroutine_threadsafe(reasons(), loop).result()
        assert found <= {"", "CURSOR_INVALID", "GROUP_INVALID", "GROUP_NAME_EMPTY", "MESSAGE_INVALID"}

    await asyncio.to_thread(check)
