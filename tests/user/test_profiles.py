"""Profiles: user/get-user-info, get-profile and set-profile in api.md."""

from typing import Any

import grpc.aio
import pytest

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from tests.support.user import (
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    email_login,
    events_of,
    execute,
    new_name,
    new_phone,
    outcomes,
    phone_account,
    profile,
    refusal,
)

PRIVATE = ("email", "phone", "client_ip", "client_port", "device")


def updating(user: Running, actor: pb.Tokens, user_id: int = 0, **changes: Any) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, actor)):
        return user.users.UpdateProfile(users_pb.UpdateProfileRequest(user_id=user_id or actor.user_id, **changes))


async def admin(user: Running, role: int = 3) -> pb.Tokens:
    made = await email_account(user)
    await execute(user, "UPDATE account SET role = :role WHERE id = :id", role=role, id=made.user_id)
    return made


async def whole_account(user: Running) -> pb.Tokens:
    """With every private field filled."""
    name = new_name()
    made = await email_account(user, name)
    await execute(user, "UPDATE account SET phone = :phone WHERE id = :id", phone=f"+86{new_phone()}", id=made.user_id)
    return await email_login(user, name, ip="203.0.113.7", port=4711, device="Firefox")


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_users_are_got_by_ids_in_one_call_without_those_that_do_not_exist(user: Running) -> None:
    made = [await phone_account(user) for _ in range(3)]
    ids = [issued.user_id for issued in made]
    request = users_pb.BatchGetUsersRequest(user_ids=[*ids, ids[0], 0, -1, 1, 2**63 - 1])
    got = (await user.users.BatchGetUsers(request)).users
    assert sorted(person.user_id for person in got) == sorted(ids)


async def test_users_are_got_by_their_names_in_any_case(user: Running) -> None:
    names = [new_name() for _ in range(3)]
    ids = [(await phone_account(user, nickname=name)).user_id for name in names]
    asked = [names[0].upper(), f" {names[1]} ", names[2], names[2], "", "nobody at all", "a\0b", "x" * 100_000]
    request = users_pb.BatchGetUsersByUsernameRequest(usernames=asked)
    got = await user.users.BatchGetUsersByUsername(request)
    assert sorted(person.user_id for person in got.users) == sorted(ids)
    assert [place and got.users[place - 1].user_id for place in got.places] == [*ids, ids[2], 0, 0, 0, 0]


async def test_a_public_card_has_no_private_field(user: Running) -> None:
    made = await whole_account(user)
    card = (await user.users.BatchGetUsers(users_pb.BatchGetUsersRequest(user_ids=[made.user_id]))).users[0]
    assert card.username and not any(getattr(card, field) for field in PRIVATE)
    request = users_pb.BatchGetUsersByUsernameRequest(usernames=[card.username])
    assert (await user.users.BatchGetUsersByUsername(request)).users[0] == card


async def test_private_fields_are_for_oneself_and_for_admins(user: Running) -> None:
    made = await whole_account(user)
    viewers = {
        made.user_id: True,
        (await admin(user, 3)).user_id: True,
        (await admin(user, 4)).user_id: True,
        (await admin(user, 2)).user_id: False,
        (await email_account(user)).user_id: False,
        0: False,
        1: False,
        -1: False,
    }
    for viewer, may_see in viewers.items():
        shown = await profile(user, made.user_id, viewer)
        assert [bool(getattr(shown, field)) for field in PRIVATE] == [may_see] * len(PRIVATE), viewer


async def test_profiles_come_in_the_order_asked_for_each_for_its_own_viewer(user: Running) -> None:
    one, other = await whole_account(user), await whole_account(user)
    pairs = [(one.user_id, other.user_id), (1, one.user_id), (one.user_id, one.user_id), (other.user_id, 0)]
    lookups = [users_pb.ProfileLookup(user_id=user_id, viewer_id=viewer) for user_id, viewer in pairs]
    got = (await user.users.BatchGetProfiles(users_pb.BatchGetProfilesRequest(lookups=lookups))).users
    assert [person.user_id for person in got] == [one.user_id, 0, one.user_id, other.user_id]
    assert [bool(person.email) for person in got] == [False, False, True, False]


async def test_a_batch_takes_500_and_no_more(user: Running) -> None:
    ids = list(range(1, 502))
    lookups = [users_pb.ProfileLookup(user_id=id, viewer_id=id + 1_000) for id in ids]
    names = [str(id) for id in ids]
    for size, reason in ((500, ""), (501, "BATCH_TOO_LARGE")):
        assert await outcomes(
            user.users.BatchGetUsers(users_pb.BatchGetUsersRequest(user_ids=ids[:size])),
            user.users.BatchGetProfiles(users_pb.BatchGetProfilesRequest(lookups=lookups[:size])),
            user.users.BatchGetUsersByUsername(users_pb.BatchGetUsersByUsernameRequest(usernames=names[:size])),
        ) == {reason: 3}


async def test_an_empty_batch_is_answered_with_nothing(user: Running) -> None:
    assert not (await user.users.BatchGetUsers(users_pb.BatchGetUsersRequest())).users
    assert not (await user.users.BatchGetProfiles(users_pb.BatchGetProfilesRequest())).users
    assert not (await user.users.BatchGetUsersByUsername(users_pb.BatchGetUsersByUsernameRequest())).users


# -- changing ----------------------------------------------------------------------------------------------------------


async def test_only_the_given_fields_change(user: Running) -> None:
    made = await email_account(user)
    before = await profile(user, made.user_id)
    await updating(user, made, bio="Hello 👋\n你好")
    after = await profile(user, made.user_id)
    assert after.bio == "Hello 👋\n你好" and after.updated_at > before.updated_at
    after.bio, after.updated_at = before.bio, before.updated_at
    assert after == before


async def test_a_given_field_may_be_emptied(user: Running) -> None:
    made = await email_account(user)
    await updating(user, made, avatar="https://example.com/a.png")
    await updating(user, made, avatar="", bio="")
    shown = await profile(user, made.user_id)
    assert (shown.avatar, shown.bio) == ("", "")


async def test_a_new_username_is_also_the_nickname_and_frees_the_old(user: Running) -> None:
    old, new = new_name(), new_name()
    made = await email_account(user, old)
    await updating(user, made, username=f" {new} ")
    shown = await profile(user, made.user_id)
    assert (shown.username, shown.nickname) == (new, new)
    assert (await profile(user, (await phone_account(user, nickname=old)).user_id)).username == old


async def test_a_username_may_change_its_case_but_not_into_anothers(user: Running) -> None:
    name = new_name()
    made, other = await email_account(user, name), await email_account(user)
    assert await refusal(updating(user, made, username=name.upper())) == ""
    for look_alike in (name, name.title(), f"{name}\u200b", "".join(chr(ord(c) + 0xFEE0) for c in name)):
        assert await refusal(updating(user, other, username=look_alike)) == "USERNAME_TAKEN"


async def test_a_refused_change_changes_nothing(user: Running) -> None:
    made = await email_account(user)
    before = await profile(user, made.user_id)
    assert await refusal(updating(user, made, bio="x" * 501, username=new_name())) == "PROFILE_INVALID"
    assert await profile(user, made.user_id) == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"username": ""}, "USERNAME_INVALID"),
        ({"username": "a" * 31}, "USERNAME_INVALID"),
        ({"username": "a\u2066b"}, "USERNAME_INVALID"),
        ({"bio": "x" * 501}, "PROFILE_INVALID"),
        ({"bio": "x" * 1_000_000}, "PROFILE_INVALID"),
        ({"bio": "a\0b"}, "PROFILE_INVALID"),
        ({"avatar": "x" * 2_049}, "PROFILE_INVALID"),
        ({"avatar": "JavaScript:alert(1)"}, "PROFILE_INVALID"),
        ({"avatar": "\tjavascript:alert(1)"}, "PROFILE_INVALID"),
        ({"avatar": "//evil.example/a.png"}, "PROFILE_INVALID"),
        ({"avatar": "\\\\evil.example/a.png"}, "PROFILE_INVALID"),
        ({"avatar": " /\\evil.example/a.png"}, "PROFILE_INVALID"),
        ({"email": "nobody"}, "EMAIL_INVALID"),
        ({"email": "a@b.co"}, "EMAIL_UNVERIFIED"),
    ],
)
async def test_bad_input_is_refused(user: Running, changes: dict[str, Any], reason: str) -> None:
    assert await refusal(updating(user, await email_account(user), **changes)) == reason


async def test_a_bio_of_500_characters_and_an_avatar_of_2048_are_good(user: Running) -> None:
    made = await email_account(user)
    avatar = "https://example.com/".ljust(2_048, "a")
    await updating(user, made, bio="用" * 500, avatar=avatar)
    shown = await profile(user, made.user_id)
    assert (shown.bio, shown.avatar) == ("用" * 500, avatar)


async def test_the_address_already_bound_may_be_sent_along(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    assert await refusal(updating(user, made, email=f"{name.upper()}@example.com", bio="x")) == ""
    assert await refusal(updating(user, made, email="", bio="y")) == ""
    assert (await profile(user, made.user_id)).email == f"{name}@example.com"


async def test_anothers_profile_is_changed_by_admins_only(user: Running) -> None:
    made, member, boss = await email_account(user), await admin(user, 2), await admin(user, 3)
    assert await refusal(updating(user, member, made.user_id, bio="x")) == "NOT_PERMITTED"
    assert await refusal(updating(user, member, 1, bio="x")) == "NOT_PERMITTED"
    assert await refusal(updating(user, boss, made.user_id, bio="by an admin")) == ""
    assert await refusal(updating(user, boss, 1, bio="x")) == "USER_NOT_FOUND"
    assert (await profile(user, made.user_id)).bio == "by an admin"
    with anonymous():
        request = users_pb.UpdateProfileRequest(user_id=made.user_id, bio="x")
        assert await refusal(user.users.UpdateProfile(request)) == "CALLER_MISSING"


async def test_a_change_is_announced_and_a_retry_is_not(user: Running) -> None:
    made = await email_account(user)
    for _ in range(3):
        await updating(user, made, bio="x", avatar="a.png")
    await updating(user, made)
    announced = [subject for subject, _ in await events_of(user, made.user_id)]
    assert announced == ["account.registered", "profile.updated"]


async def test_of_50_who_take_one_username_at_once_one_gets_it(user: Running) -> None:
    accounts, name = [await phone_account(user) for _ in range(50)], new_name()
    calls = (updating(user, made, username=name) for made in accounts)
    assert await outcomes(*calls) == {"": 1, "USERNAME_TAKEN": 49}
