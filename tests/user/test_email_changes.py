"""A replaced email: its holder hears of it and can undo it for 72 hours."""

import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from protos.user.v1 import accounts_pb2 as pb
from services.user import email_changes
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    caller_of,
    email_account,
    email_login,
    execute,
    is_live,
    new_name,
    outcomes,
    profile,
    refusal,
    send_code,
)


async def bind(user: Running, issued: pb.Tokens, address: str) -> None:
    code = await send_code(user, address)
    with acting(caller_of(user, issued)):
        await user.accounts.BindEmail(pb.BindEmailRequest(email=address, code=code, password=PASSWORD))


async def key_mailed_to(user: Running, address: str) -> str:
    await email_changes.tell_waiting(user.service)
    for path in sorted((Path(user.settings.var) / "mail").glob("*.eml"), reverse=True):
        mail = message_from_bytes(path.read_bytes(), policy=default)
        if mail["To"] == address and "changed" in mail["Subject"]:
            found = re.search(r"^[0-9a-f]+-[0-9a-f]{40}$", mail.get_content(), re.MULTILINE)
            assert found
            return found.group()
    raise AssertionError(f"{address} heard nothing")


async def undo(user: Running, key: str) -> str:
    return await refusal(user.accounts.UndoEmailChange(pb.UndoEmailChangeRequest(key=key)))


async def test_the_old_address_undoes_the_change_and_the_thief_is_out(user: Running) -> None:
    name = new_name()
    address, stolen = f"{name}@example.com", f"{new_name()}@example.com"
    thief = await email_account(user, name)
    await bind(user, thief, stolen)
    key = await key_mailed_to(user, address)
    assert await undo(user, key) == ""
    assert (await profile(user, thief.user_id)).email == address
    assert not await is_live(user, thief)
    assert await refusal(email_login(user, name)) == "CREDENTIALS_WRONG", "the thief knew the password"
    code = await send_code(user, address)
    await user.accounts.ResetPassword(pb.ResetPasswordRequest(email=address, code=code, password="new password"))
    assert await undo(user, key) == "", "a retry"
    assert (await email_login(user, name, "new password")).user_id == thief.user_id


async def test_undoing_takes_later_changes_along_whose_keys_are_void(user: Running) -> None:
    names = [new_name() for _ in range(3)]
    made = await email_account(user, names[0])
    for name in names[1:]:
        await bind(user, made, f"{name}@example.com")
    first, second = [await key_mailed_to(user, f"{name}@example.com") for name in names[:2]]
    assert await outcomes(
        *(user.accounts.UndoEmailChange(pb.UndoEmailChangeRequest(key=first)) for _ in range(50))
    ) == {"": 50}
    assert await undo(user, second) == "CODE_INVALID"
    assert (await profile(user, made.user_id)).email == f"{names[0]}@example.com"


async def test_after_72_hours_it_is_final_and_forgotten(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await bind(user, made, f"{new_name()}@example.com")
    key = await key_mailed_to(user, f"{name}@example.com")
    past = "UPDATE email_change SET changed_at = now() - interval '73 hours' WHERE user_id = :id"
    await execute(user, past, id=made.user_id)
    assert await undo(user, key) == "CODE_INVALID"
    await email_changes.tell_waiting(user.service)
    assert await execute(user, "SELECT FROM email_change WHERE user_id = :id", id=made.user_id) == []


async def test_each_address_is_told_once_and_of_changes_only(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await bind(user, made, f"{name}@example.com")
    assert await execute(user, "SELECT FROM email_change WHERE user_id = :id", id=made.user_id) == []
    await bind(user, made, f"{new_name()}@example.com")
    await key_mailed_to(user, f"{name}@example.com")
    waiting = "SELECT next_try_at FROM email_change WHERE user_id = :id"
    assert [row.next_try_at for row in await execute(user, waiting, id=made.user_id)] == [None]


async def test_an_invented_key_undoes_nothing(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await bind(user, made, f"{new_name()}@example.com")
    key = await key_mailed_to(user, f"{name}@example.com")
    for wrong in ("", "x", "-1-" + key, key[:-1], key.partition("-")[0], "f" * 99 + key, "１-２", "\0"):
        assert await undo(user, wrong) == "CODE_INVALID"


async def test_somebody_else_who_has_the_address_meanwhile_keeps_it(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await bind(user, made, f"{new_name()}@example.com")
    key = await key_mailed_to(user, f"{name}@example.com")
    await execute(user, "UPDATE account SET username_key = username_key || 'x' WHERE id = :id", id=made.user_id)
    await email_account(user, name)
    assert await undo(user, key) == "EMAIL_TAKEN"


async def test_a_change_ends_the_other_sessions_and_repeating_it_none(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    other = await email_login(user, name)
    await bind(user, made, f"{name}@example.com")
    assert await is_live(user, other)
    await bind(user, made, f"{new_name()}@example.com")
    assert await is_live(user, made) and not await is_live(user, other)
