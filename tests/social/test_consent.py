"""Who agreed to a friendship, who has to ask, and who may add whom (docs/contract/api.md, "Consent")."""

from importlib import import_module

import pytest

from protos.social.v1 import friends_pb2 as pb
from tests.support.social import (
    Running,
    act,
    add,
    agree,
    ask,
    block,
    events_of,
    execute,
    friends_of,
    handle,
    new_users,
    outcomes,
    pair_of,
    refusal,
    request_between,
    requests_of,
    set_who_may_add,
    unblock,
    unfriend,
    verbs_of,
)


async def agreed(social: Running, user: int, peer: int) -> tuple[bool, bool]:
    """Whether the user, and whether the peer, agreed to their friendship."""
    request = pb.BatchCheckFriendsRequest(pairs=[pb.UserPair(user_id=user, peer_id=peer)])
    (check,) = (await social.friends.BatchCheckFriends(request)).checks
    return check.user_agreed, check.peer_agreed


async def is_waiting(social: Running, asker: int, asked: int) -> bool:
    """Whether the one asked sees a pending request of the asker, and they are no friends."""
    pending = await requests_of(social, asked, pb.TO_ME, pb.PENDING)
    return asker in [request.from_user_id for request in pending] and asker not in await friends_of(social, asked)


async def test_adding_is_the_adders_agreement_alone(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    assert await agreed(social, a, b) == (True, False)
    assert await agreed(social, b, a) == (False, True)
    for user, shown in ((a, []), (b, [a])):
        request = pb.ListFriendIdsRequest(agreed=True)
        assert list((await act(user, social.friends.ListFriendIds, request)).user_ids) == shown


async def test_adding_back_is_agreeing_and_works_once(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await add(social, b, a)
    assert await agreed(social, a, b) == (True, True)
    assert await refusal(add(social, b, a)) == "ALREADY_FRIENDS" == await refusal(add(social, a, b))
    event = ("friend.agreed", {"actor_id": str(b), "user_id": str(a), "agreed": True})
    assert (await events_of(social, pair_of(a, b)))[1:] == [event]


async def test_asking_back_is_agreeing_too(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await ask(social, b, a)
    assert await agreed(social, a, b) == (True, True)
    assert await requests_of(social, a) == []


async def test_who_asked_and_who_accepts_agree(social: Running) -> None:
    a, b, c = new_users(3)
    await ask(social, a, b)
    await handle(social, b, await request_between(social, a, b), pb.ACCEPTED)
    await ask(social, a, c)
    await add(social, c, a)
    assert await agreed(social, a, b) == (True, True) == await agreed(social, a, c)


async def test_agreeing_may_be_repeated_and_needs_a_friendship(social: Running) -> None:
    a, b, stranger = new_users(3)
    await add(social, a, b)
    for _ in range(2):
        await agree(social, b, a)
        await agree(social, stranger, a)
    assert await agreed(social, b, a) == (True, True)
    assert await verbs_of(social, pair_of(a, b)) == ["friend.added", "friend.agreed"]
    assert await verbs_of(social, pair_of(stranger, a)) == []


@pytest.mark.parametrize("again", [add, ask])
async def test_who_was_removed_has_to_ask(social: Running, again: object) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await add(social, b, a)
    await unfriend(social, a, b)
    for _ in range(2):
        await (add if again is add else ask)(social, b, a)
    assert await is_waiting(social, b, a)


async def test_who_removed_adds_at_once_and_that_clears_it(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await unfriend(social, b, a)
    await add(social, b, a)
    assert await friends_of(social, a) == [b]
    await unfriend(social, a, b)
    await add(social, a, b)
    await unfriend(social, a, b)
    await add(social, a, b)
    assert await agreed(social, a, b) == (True, False)
    assert await execute(social, "SELECT FROM refusal WHERE user_id IN (:a, :b)", a=a, b=b) == []


async def test_who_was_refused_has_to_ask(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked)
    await handle(social, asked, await request_between(social, asker, asked), pb.REFUSED)
    await add(social, asker, asked)
    assert await is_waiting(social, asker, asked)
    await add(social, asked, asker)
    assert await agreed(social, asked, asker) == (True, True)


async def test_who_was_blocked_has_to_ask_afterwards(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await block(social, a, b)
    await unblock(social, a, b)
    await add(social, b, a)
    assert await is_waiting(social, b, a)


async def test_a_user_who_wants_to_be_asked_is_asked(social: Running) -> None:
    shy, adder = new_users(2)
    await set_who_may_add(social, shy, pb.ASK)
    await add(social, adder, shy)
    assert await is_waiting(social, adder, shy)
    await handle(social, shy, await request_between(social, adder, shy), pb.ACCEPTED)
    assert await agreed(social, shy, adder) == (True, True)


async def test_a_user_whom_nobody_may_add_hears_of_nobody(social: Running) -> None:
    hermit, adder, asker = new_users(3)
    await set_who_may_add(social, hermit, pb.NOBODY)
    await add(social, adder, hermit)
    await ask(social, asker, hermit)
    assert await requests_of(social, hermit) == [] == await friends_of(social, hermit)
    assert [r.result for r in await requests_of(social, asker)] == [pb.PENDING]  # it looks like waiting
    assert await verbs_of(social, pair_of(hermit, asker)) == []
    await set_who_may_add(social, hermit, pb.EVERYONE)
    await ask(social, asker, hermit)
    assert await is_waiting(social, asker, hermit)
    await add(social, hermit, adder)  # they may add others, whatever they set
    assert await friends_of(social, hermit) == [adder]


async def test_who_asked_is_added_at_once_whatever_they_set(social: Running) -> None:
    shy, other = new_users(2)
    await set_who_may_add(social, shy, pb.NOBODY)
    await ask(social, shy, other)
    await add(social, other, shy)
    assert await agreed(social, shy, other) == (True, True)


async def test_settings_are_the_callers_and_checked(social: Running) -> None:
    me, other = new_users(2)
    await set_who_may_add(social, me, pb.ASK)
    found = [(await act(user, social.friends.GetSettings, pb.GetSettingsRequest())).who_may_add for user in (me, other)]
    assert found == [pb.ASK, pb.EVERYONE]
    assert await refusal(set_who_may_add(social, me, 7)) == "SETTING_INVALID"  # type: ignore[arg-type]


async def test_fifty_adds_and_adds_back_agree_once_each(social: Running) -> None:
    a, b = new_users(2)
    pairs = [(a, b), (b, a)] * 25
    assert await outcomes(*(add(social, *pair) for pair in pairs)) == {"": 2, "ALREADY_FRIENDS": 48}
    assert await agreed(social, a, b) == (True, True)
    assert await verbs_of(social, pair_of(a, b)) == ["friend.added", "friend.agreed"]


async def test_add_back_remove_refuse_and_agree_at_once_leave_one_truth(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    calls = [
        call
        for _ in range(10)
        for call in (
            add(social, b, a),
            agree(social, b, a),
            unfriend(social, b, a),
            ask(social, a, b),
            set_who_may_add(social, b, pb.ASK),
        )
    ]
    assert set(await outcomes(*calls)) <= {"", "ALREADY_FRIENDS"}
    verbs = [verb for verb in await verbs_of(social, pair_of(a, b)) if verb != "friend.requested"]
    are_friends = await friends_of(social, a) == [b]
    assert are_friends is (verbs[-1] != "friend.removed")
    refusals = await execute(social, "SELECT FROM refusal WHERE user_id = :b AND peer_id = :a", a=a, b=b)
    assert bool(refusals) is not are_friends
    if are_friends:  # nobody but a began it again, or b did: whoever acted last agreed
        assert any(await agreed(social, a, b))


async def test_the_migration_takes_the_adder_for_the_one_who_agreed(social: Running) -> None:
    migration = import_module("services.social.migrations.0003_consent")
    adder, added, asker, asked = new_users(4)
    await add(social, adder, added)
    await add(social, added, adder)
    await ask(social, asker, asked)
    await add(social, asked, asker)
    await execute(social, "UPDATE friendship SET source = 0 WHERE user_id IN (:a, :b)", a=asker, b=asked)
    everyone = {"a": adder, "b": added, "c": asker, "d": asked}
    ours = " AND one.user_id IN (:a, :b, :c, :d)"
    await execute(social, "UPDATE friendship AS one SET agreed = false WHERE true" + ours, **everyone)
    where = "WHERE (source = 0 OR EXISTS"
    await execute(social, migration.AGREE.replace("WHERE source = 0 OR EXISTS", where) + ")" + ours, **everyone)
    assert await agreed(social, adder, added) == (True, False)
    assert await agreed(social, asker, asked) == (True, True)
    announce = migration.ANNOUNCE.replace("NOT agreed", "NOT agreed AND user_id IN (:a, :b, :c, :d)")
    await execute(social, announce.replace("::text", "\\:\\:text"), **everyone)
    event = ("friend.agreed", {"actor_id": str(added), "user_id": str(adder), "agreed": False})
    assert (await events_of(social, pair_of(adder, added)))[-1] == event
    assert (await verbs_of(social, pair_of(asker, asked)))[-1] == "friend.added"
