"""Deleting an account: user/delete-account."""

import asyncio
from typing import Any

import grpc.aio

from docs.erasure_table import TABLES
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from services.user import erasure
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    email_login,
    events_of,
    execute,
    is_live,
    new_name,
    new_phone,
    outcomes,
    phone_account,
    phone_login,
    profile,
    refusal,
    send_code,
)


def deleting(user: Running, issued: pb.Tokens, password: str = PASSWORD) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, issued)):
        return user.accounts.DeleteAccount(pb.DeleteAccountRequest(password=password))


async def test_a_deleted_account_frees_its_email_phone_and_username(user: Running) -> None:
    name, phone = new_name(), new_phone()
    old = await email_account(user, name)
    with acting(caller_of(user, old)):
        await user.accounts.BindPhone(pb.BindPhoneRequest(phone=phone, password=PASSWORD))
    await deleting(user, old)
    assert await refusal(email_login(user, name)) == "CREDENTIALS_WRONG"
    assert await refusal(phone_login(user, phone)) == "CREDENTIALS_WRONG"
    by_email, by_phone = await email_account(user, name), await phone_account(user, phone)
    assert (await profile(user, by_email.user_id)).username == name
    assert (await profile(user, by_phone.user_id)).phone == phone
    assert len({old.user_id, by_email.user_id, by_phone.user_id}) == 3


async def test_its_tokens_die(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    other = await email_login(user, name)
    await deleting(user, made)
    assert not await is_live(user, made) and not await is_live(user, other)
    assert await refusal(user.accounts.RefreshToken(pb.RefreshTokenRequest(rtoken=other.rtoken))) == "SESSION_ENDED"


async def test_it_is_not_found_any_more(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await deleting(user, made)
    by_id = await user.users.BatchGetUsers(users_pb.BatchGetUsersRequest(user_ids=[made.user_id]))
    by_name = await user.users.BatchGetUsersByUsername(
        users_pb.BatchGetUsersByUsernameRequest(usernames=[name, f"deleted-{made.user_id}", f"DELETED-{made.user_id}"])
    )
    assert not by_id.users and not by_name.users
    assert (await profile(user, made.user_id)).user_id == 0


async def test_it_is_announced_once(user: Running) -> None:
    made = await email_account(user)
    session_id = str(caller_of(user, made).session_id)
    await deleting(user, made)
    assert (await events_of(user, made.user_id))[1:] == [
        ("session.revoked", {"user_id": str(made.user_id), "session_ids": [session_id]}),
        ("account.deleted", {"user_id": str(made.user_id)}),
    ]


async def test_nothing_personal_stays_in_its_rows(user: Running) -> None:
    name, phone = new_name(), new_phone()
    made = await email_account(user, name)
    with acting(caller_of(user, made)):
        await user.accounts.BindPhone(pb.BindPhoneRequest(phone=phone, password=PASSWORD))
    await email_login(user, name, ip="203.0.113.7", device="Firefox")
    await deleting(user, made)
    rows = await execute(user, "SELECT * FROM account WHERE id = :id", id=made.user_id)
    rows += await execute(user, "SELECT * FROM session WHERE user_id = :id", id=made.user_id)
    kept = repr([tuple(row) for row in rows])
    assert not any(trace in kept for trace in (name, phone, "很懒", "203.0.113.7", "Firefox", "$2b$"))


async def test_no_table_but_the_events_names_them_any_more(user: Running) -> None:
    """The events go after their retention (docs/erasure.md)."""
    name, phone, bound = new_name(), new_phone(), new_name()
    made = await email_account(user, name)
    code = await send_code(user, f"{bound}@example.com")
    with acting(caller_of(user, made)):
        await user.accounts.BindPhone(pb.BindPhoneRequest(phone=phone, password=PASSWORD))
        request = pb.BindEmailRequest(email=f"{bound}@example.com", code=code, password=PASSWORD)
        await user.accounts.BindEmail(request)
    await deleting(user, made)
    for table in TABLES["user"].keys() - {"outbox"}:
        rows = str(await execute(user, f'SELECT t::text FROM "{table}" t'))
        assert not any(trace in rows for trace in (name, phone, bound)), table


async def test_it_is_announced_again_after_an_hour_and_then_no_more(user: Running) -> None:
    """For what was under way: an upload, an event of another service that came late."""
    made = await email_account(user)
    await deleting(user, made)
    await erasure.announce_again(user.service.database)
    assert [subject for subject, _ in await events_of(user, made.user_id)].count("account.deleted") == 1
    statement = "UPDATE account SET deleted_at = now() - interval '61 minutes' WHERE id = :id"
    await execute(user, statement, id=made.user_id)
    await asyncio.gather(*(erasure.announce_again(user.service.database) for _ in range(3)))
    assert [subject for subject, _ in await events_of(user, made.user_id)].count("account.deleted") == 2


async def test_it_needs_the_password(user: Running) -> None:
    made = await email_account(user)
    assert await refusal(deleting(user, made, "wrong password")) == "CREDENTIALS_WRONG"
    assert await is_live(user, made)
    with anonymous():
        assert await refusal(user.accounts.DeleteAccount(pb.DeleteAccountRequest())) == "CALLER_MISSING"


async def test_a_second_time_finds_no_account(user: Running) -> None:
    made = await email_account(user)
    results = await outcomes(*(deleting(user, made) for _ in range(10)))
    assert results.pop("") == 1 and set(results) <= {"CREDENTIALS_WRONG", "USER_NOT_FOUND"}
    assert await refusal(deleting(user, made)) == "USER_NOT_FOUND"


async def test_nobody_can_keep_another_from_deleting_by_taking_a_username(user: Running) -> None:
    victim = await email_account(user)
    for squatted in (f"deleted-{victim.user_id}", f"DELETED-{victim.user_id}"):
        await outcomes(phone_account(user, nickname=squatted))
    assert await refusal(deleting(user, victim)) == ""


async def test_a_deleted_account_does_nothing_more_with_a_token_still_at_hand(user: Running) -> None:
    made, other = await email_account(user), await email_account(user)
    await execute(user, "UPDATE account SET role = 4 WHERE id = :id", id=made.user_id)
    await deleting(user, made)
    with acting(caller_of(user, made)):
        for call, reason in (
            (user.accounts.ChangePassword(pb.ChangePasswordRequest(new_password=PASSWORD)), "USER_NOT_FOUND"),
            (user.accounts.BindPhone(pb.BindPhoneRequest(phone=new_phone(), password="")), "USER_NOT_FOUND"),
            (user.accounts.Logout(pb.LogoutRequest()), "USER_NOT_FOUND"),
            (user.users.UpdateProfile(users_pb.UpdateProfileRequest(user_id=made.user_id, bio="x")), "USER_NOT_FOUND"),
            (user.users.UpdateProfile(users_pb.UpdateProfileRequest(user_id=other.user_id, bio="x")), "NOT_PERMITTED"),
            (user.users.SetRole(users_pb.SetRoleRequest(user_id=other.user_id, role=1)), "NOT_PERMITTED"),
        ):
            assert await refusal(call) == reason
