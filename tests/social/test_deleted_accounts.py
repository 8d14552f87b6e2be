"""What becomes of a user's friends and groups when the account is deleted; the event comes over real NATS."""

import asyncio
import secrets
from collections.abc import Awaitable

import msgspec

from protos.social.v1 import friends_pb2 as friends_pb
from protos.social.v1 import groups_pb2 as pb
from services.kit.nats import Event
from services.social.consumer import forget_user
from tests.support.social import (
    Running,
    add,
    applications,
    ask,
    block,
    create_group,
    events_of,
    execute,
    friends_of,
    group_of,
    group_with,
    groups_of,
    invite,
    join,
    new_user,
    new_users,
    outcomes,
    pair_of,
    requests_of,
    roles_in,
    set_who_may_add,
    verbs_of,
)

EVERYWHERE = {
    "friendship": ("user_id", "friend_id"),
    "friend_request": ("from_id", "to_id"),
    "refusal": ("user_id", "peer_id"),
    "contact_settings": ("user_id",),
    "block": ("user_id", "blocked_id"),
    "member": ("user_id",),
    "join_request": ("user_id",),
    "invitation": ("user_id", "inviter_id"),
}


async def announce_deleted(social: Running, user: int, key: str = "") -> str:
    """The event as the user service sends it, once or again; returns when it was handled."""
    key = key or f"user:test-{secrets.token_hex(8)}"
    event = Event(1, "events.user.account.deleted", f"user:{user}", "2026-01-01T00:00:00+00:00", {"user_id": str(user)})
    jetstream = social.service.nats.jetstream(timeout=5)
    await jetstream.publish(event.subject, msgspec.json.encode(event), headers={"Nats-Msg-Id": key})
    for _ in range(500):
        if await execute(social, "SELECT FROM inbox WHERE event = :key", key=key):
            return key
        await asyncio.sleep(0.02)
    raise AssertionError("the event was not handled")


async def traces(social: Running, user: int) -> dict[str, int]:
    """Rows that name the user, by table."""
    found = {}
    for table, columns in EVERYWHERE.items():
        names = " OR ".join(f"{column} = :user" for column in columns)
        (row,) = await execute(social, f"SELECT count(*) AS count FROM {table} WHERE {names}", user=user)
        if row.count:
            found[table] = row.count
    return found


async def test_nothing_is_left_of_the_user(social: Running) -> None:
    gone, friend, other, asked, asker, owner = new_users(6)
    await add(social, gone, friend)
    await add(social, other, gone)
    await ask(social, gone, asked)
    await ask(social, asker, gone)
    await block(social, gone, new_user())
    await block(social, owner, gone)
    await set_who_may_add(social, gone, friends_pb.ASK)
    await join(social, gone, await create_group(social, other))
    own = await create_group(social, gone)
    await invite(social, gone, own, asker)
    await invite(social, other, await create_group(social, other), gone)
    assert (await traces(social, gone)).keys() == EVERYWHERE.keys()
    await announce_deleted(social, gone)
    assert await traces(social, gone) == {}
    assert await friends_of(social, friend) == [] == await friends_of(social, other)
    assert await requests_of(social, asked) == [] == await requests_of(social, asker)
    removed = ("friend.removed", {"actor_id": str(gone), "user_id": str(friend)})
    assert (await events_of(social, pair_of(gone, friend)))[-1] == removed


async def test_the_user_leaves_all_groups_and_they_count_right(social: Running) -> None:
    gone, owner = new_users(2)
    groups = [await group_with(social, owner, gone, managers=[gone]) for _ in range(3)]
    await announce_deleted(social, gone)
    for group in groups:
        found = await group_of(social, group)
        assert found and found.member_count == 1
        assert (await verbs_of(social, f"group:{group}"))[-1] == "group.left"


async def test_owned_groups_go_to_the_oldest_manager(social: Running) -> None:
    gone, member, second, first = new_users(4)
    group = await group_with(social, gone, member, first, second, managers=[second, first])
    await announce_deleted(social, gone)
    assert await roles_in(social, member, group) == {first: pb.OWNER, second: pb.MANAGER, member: pb.MEMBER}
    found = await group_of(social, group)
    assert found and (found.owner_id, found.member_count) == (first, 3)
    assert (await verbs_of(social, f"group:{group}"))[-2:] == ["group.left", "group.transferred"]


async def test_else_to_the_oldest_member(social: Running) -> None:
    gone, first, second = new_users(3)
    group = await group_with(social, gone, first, second)
    await announce_deleted(social, gone)
    assert await roles_in(social, first, group) == {first: pb.OWNER, second: pb.MEMBER}


async def test_else_nobody_can_see_them_any_more(social: Running) -> None:
    gone, applicant = new_users(2)
    group = await group_with(social, gone)
    await join(social, applicant, group)
    await announce_deleted(social, gone)
    assert await group_of(social, group) is None
    assert [application.result for application in await applications(social, applicant)] == [2]


async def through(gate: asyncio.Semaphore, call: Awaitable[object]) -> object:
    async with gate:
        return await call


async def test_who_have_to_do_with_each_other_may_go_at_once_while_others_go_on(social: Running) -> None:
    leaving, staying = new_users(5), new_users(5)
    everyone = leaving + staying
    outside, groups = new_users(10), []
    for i, guest in enumerate(outside):
        first, second, *others = everyone[i:] + everyone[:i]
        groups.append(await group_with(social, first, second, *others, managers=[second]))
        for manager in (first, second):
            await invite(social, manager, groups[i], guest)
    calls: list[Awaitable[object]] = [add(social, a, b) for a in leaving for b in everyone if a < b]
    calls += [join(social, guest, group) for group, guest in zip(groups, outside, strict=True)]
    calls += [join(social, guest, group) for group, guest in zip(groups, outside[::-1], strict=True)]
    going = [forget(social, user) for user in leaving]
    gate = asyncio.Semaphore(10)  # as many as the service has connections: no call shall wait for one
    refusals, _ = await asyncio.gather(outcomes(*(through(gate, call) for call in calls)), asyncio.gather(*going))
    assert set(refusals) <= {"", "ALREADY_FRIENDS"}
    for group in groups:
        assert set(leaving).isdisjoint(await roles_in(social, staying[0], group))
    for user in leaving:  # rows added after the deletion go with the next delivery of the event
        await forget(social, user)
        assert await traces(social, user) == {}


async def forget(social: Running, user: int) -> None:
    async with social.service.database.transaction() as connection:
        await forget_user(connection, user)


async def test_the_event_may_come_again(social: Running) -> None:
    gone, friend = new_users(2)
    await add(social, gone, friend)
    group = await group_with(social, gone, friend)
    key = await announce_deleted(social, gone)
    before = await verbs_of(social, pair_of(gone, friend)), await verbs_of(social, f"group:{group}")
    await announce_deleted(social, gone, key)
    await announce_deleted(social, gone)  # and if the inbox had forgotten it
    assert (await verbs_of(social, pair_of(gone, friend)), await verbs_of(social, f"group:{group}")) == before
    assert await groups_of(social, friend) == [group]
    assert await execute(social, "SELECT FROM dead_letter") == []
