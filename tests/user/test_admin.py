"""The operator's commands, each a process of its own."""

import asyncio
import json
import sys
from typing import NamedTuple

from typer.testing import CliRunner

from protos.user.v1 import exports_pb2
from services.user.admin import commands
from tests.support.user import (
    Running,
    email_account,
    email_login,
    environment,
    events_of,
    execute,
    is_live,
    new_name,
    new_phone,
    phone_account,
    profile,
    refusal,
)


class Ended(NamedTuple):
    code: int
    output: str
    errors: str


async def command(user: Running, *words: str) -> Ended:
    """`python -m services.user <words>`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.user",
        *words,
        env=environment(user.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return Ended(process.returncode or 0, output.decode(), errors.decode())


async def invoke(user: Running, *words: str) -> Ended:
    """The same in a thread of this process, which costs a tenth."""
    environ = environment(user.settings) | {"LOGNAME": "tester"}
    done = await asyncio.to_thread(CliRunner().invoke, commands.app, words, env=environ)
    return Ended(done.exit_code, done.stdout, done.stderr)


async def test_the_first_super_admin_comes_from_the_command_line(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    ended = await command(user, "make-super-admin", f"{name}@example.com")
    assert ended == (0, f"done: {name} ({made.user_id})\n", "")
    assert (await profile(user, made.user_id)).role == 4
    query = "SELECT by_user_id, old_role, new_role FROM role_change WHERE user_id = :id"
    assert [tuple(row) for row in await execute(user, query, id=made.user_id)] == [(None, 0, 4)]
    assert (await events_of(user, made.user_id))[-1] == ("role.changed", {"user_id": str(made.user_id), "role": 4})


async def test_a_disabled_user_is_out_until_enabled(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    assert (await command(user, "disable", name)).code == 0
    assert not await is_live(user, made)
    assert await refusal(email_login(user, name)) == "ACCOUNT_DISABLED"
    assert (await command(user, "enable", str(made.user_id))).code == 0
    assert await refusal(email_login(user, name)) == ""
    assert not await is_live(user, made), "what was ended stays ended"
    subjects = [subject for subject, _ in await events_of(user, made.user_id)]
    assert subjects == ["account.registered", "session.revoked", "account.disabled", "account.enabled"]


async def test_revoking_ends_every_session_but_lets_the_user_in_again(user: Running) -> None:
    name = new_name()
    sessions = [await email_account(user, name), await email_login(user, name)]
    assert (await command(user, "revoke-sessions", name.upper())).code == 0
    assert not any([await is_live(user, session) for session in sessions])
    assert await refusal(email_login(user, name)) == ""


async def test_an_address_or_phone_as_username_is_not_taken_for_its_owner(user: Running) -> None:
    phone, address = new_phone(), f"{new_name()}@x.co"
    pretenders = [await phone_account(user, nickname=phone), await phone_account(user, nickname=address)]
    owner = await phone_account(user, phone)
    by_phone, by_email = await asyncio.gather(
        command(user, "make-super-admin", phone), command(user, "make-super-admin", address)
    )
    assert by_phone.code == 0 and str(owner.user_id) in by_phone.output
    assert (by_email.code, by_email.errors) == (2, f"error: no such user: {address}\n")
    assert [(await profile(user, made.user_id)).role for made in pretenders] == [0, 0]


async def test_an_operator_sees_resets_and_erases_and_the_audit_knows(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    who = str(made.user_id)
    shown, listed = await invoke(user, "show", name), await invoke(user, "list", "--begins", name)
    known = json.loads(shown.output)
    assert (known["email"], known["live_sessions"]) == (f"{name}@example.com", 1) and "password_hash" not in known
    assert listed.output == f"{who}\t{name}\trole 0\n"
    reset = await invoke(user, "reset-password", who, "--reason", "lost phone")
    password = reset.output.splitlines()[-1].removeprefix("new password: ")
    assert not await is_live(user, made)
    assert await refusal(email_login(user, name)) == "CREDENTIALS_WRONG"
    assert await refusal(email_login(user, name, password)) == ""
    made_link = await invoke(user, "export", who, "--address", "https://x.example/")
    address, key = made_link.output.strip().split("?key=")
    assert address == "https://x.example/api/user/export/download"
    opened = await user.exports.OpenExport(exports_pb2.OpenExportRequest(key=key))
    assert opened.user_id == made.user_id
    erased = await invoke(user, "erase", who, "--yes", "--reason", "asked by mail")
    assert erased == (0, f"done: {name} ({who})\n", "")
    assert await refusal(email_login(user, name, password)) == "CREDENTIALS_WRONG"
    assert (await events_of(user, made.user_id))[-1][0] == "account.deleted"
    audit = (await invoke(user, "audit", "list", "--target", who)).output
    acts = [line.split(" operator ")[1].split(" ", 1)[1] for line in audit.splitlines()]
    assert acts == [
        f"erase user {who}: asked by mail",
        f"export user {who}",
        f"reset_password user {who}: lost phone",
        f"show user {who}",
    ]
    assert password not in audit and name not in audit, "the audit names users by their ids"
    assert (await invoke(user, "erase", who, "--yes")).errors == f"error: no such user: {who}\n"


async def test_erasing_asks_first_and_a_failed_act_is_not_recorded(user: Running) -> None:
    made = await email_account(user)
    asked = await invoke(user, "erase", str(made.user_id))
    too_long = await invoke(user, "disable", str(made.user_id), "--reason", "x" * 5_000)
    assert asked.code != 0 and too_long == (2, "", "error: the reason is too long\n")
    assert await is_live(user, made)
    assert not await execute(user, "SELECT FROM audit WHERE target_id = :id", id=made.user_id)


async def test_what_cannot_be_done_is_told_in_one_line(user: Running) -> None:
    unknown, huge = await asyncio.gather(command(user, "disable", "nobody-at-all"), command(user, "enable", "9" * 30))
    assert unknown == (2, "", "error: no such user: nobody-at-all\n")
    assert huge == (2, "", f"error: no such user: {'9' * 30}\n")
