"""Who sees when a user is online and when they last logged in (docs/contract/api.md, "Consent, blocks, privacy")."""

from collections.abc import Awaitable
from typing import Any

import pytest

from protos.social.v1 import friends_pb2 as pb
from protos.social.v1 import groups_pb2
from tests.support.social import (
    Running,
    act,
    add,
    block,
    events_of,
    group_with,
    new_user,
    new_users,
    outcomes,
    refusal,
    set_privacy,
    set_who_may_add,
)


async def check(social: Running, viewer: int, user: int) -> tuple[bool, bool, bool]:
    """Whether the viewer sees the user's presence as a friend, whether it is public, and their last login."""
    request = pb.BatchCheckFriendsRequest(pairs=[pb.UserPair(user_id=viewer, peer_id=user)])
    (found,) = (await social.friends.BatchCheckFriends(request)).checks
    return found.sees_presence, found.presence_is_public, found.sees_last_login


async def settings_of(social: Running, user: int) -> pb.GetSettingsResponse:
    found: pb.GetSettingsResponse = await act(user, social.friends.GetSettings, pb.GetSettingsRequest())
    return found


@pytest.mark.parametrize(
    ("who", "friend", "added", "stranger"),
    [
        (None, (True, True, True), (False, True, False), (False, True, False)),
        (pb.ANYONE, (True, True, True), (False, True, True), (False, True, True)),
        (pb.FRIENDS, (True, False, True), (False, False, False), (False, False, False)),
        (pb.NO_ONE, (False, False, False), (False, False, False), (False, False, False)),
    ],
)
async def test_each_setting_shows_it_to_some(
    social: Running, who: Any, friend: tuple[bool, ...], added: tuple[bool, ...], stranger: tuple[bool, ...]
) -> None:
    me, mine, theirs, blocked, other = new_users(5)
    for user in (mine, theirs):
        await add(social, user, me)
    await add(social, me, mine)
    await block(social, me, blocked)
    if who is not None:
        await set_privacy(social, me, who_sees_presence=who, who_sees_last_login=who)
    found = [await check(social, viewer, me) for viewer in (mine, theirs, other, 0)]
    assert found == [friend, added, stranger, stranger]
    assert await check(social, blocked, me) == (False, False, False)


async def test_lists_of_who_is_shown_online(social: Running) -> None:
    me, *others = new_users(4)
    shown, hidden, near, unagreed = others[0], others[1], others[2], new_user()
    for other in others:
        await add(social, me, other)
        await add(social, other, me)
    await add(social, me, unagreed)
    group = await group_with(social, me, *others, unagreed)
    await set_privacy(social, hidden, who_sees_presence=pb.NO_ONE)
    for user in (near, unagreed):
        await set_privacy(social, user, who_sees_presence=pb.FRIENDS)
    ids = (await act(me, social.friends.ListFriendIds, pb.ListFriendIdsRequest(presence=True))).user_ids
    assert sorted(ids) == sorted([shown, near])
    request = groups_pb2.ListMemberIdsRequest(group_id=group, visible=True, presence=True)
    assert sorted((await act(me, social.groups.ListMemberIds, request)).user_ids) == sorted([me, shown, near])


async def test_settings_change_alone_are_announced_and_checked(social: Running) -> None:
    me = new_user()
    await set_privacy(social, me, who_sees_last_login=pb.NO_ONE)
    assert await events_of(social, f"user:{me}") == []
    await set_privacy(social, me, who_sees_presence=pb.FRIENDS)
    await set_who_may_add(social, me, pb.ASK)
    found = await settings_of(social, me)
    assert (found.who_may_add, found.who_sees_presence, found.who_sees_last_login) == (pb.ASK, pb.FRIENDS, pb.NO_ONE)
    ((subject, data),) = await events_of(social, f"user:{me}")
    assert (subject, data["user_id"]) == ("user.presence_setting_changed", str(me))
    wrong: Any = 3
    assert await refusal(set_privacy(social, me, who_sees_presence=wrong)) == "SETTING_INVALID"
    assert await refusal(set_privacy(social, 0, who_sees_presence=pb.FRIENDS)) == "CALLER_MISSING"


async def test_fifty_changes_at_once_each_count(social: Running) -> None:
    me = new_user()
    calls: list[Awaitable[None]] = []
    for n in range(25):
        calls.append(set_privacy(social, me, who_sees_presence=pb.WhoSees.ValueType(n % 3)))
        calls.append(set_privacy(social, me, who_sees_last_login=pb.NO_ONE))
    assert await outcomes(*calls) == {"": 50}
    assert (await settings_of(social, me)).who_sees_last_login == pb.NO_ONE
    assert len(await events_of(social, f"user:{me}")) == 25
