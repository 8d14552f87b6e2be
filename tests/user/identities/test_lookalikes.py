"""Usernames: no two that look the same, and none that looks like staff or a reserved name."""

import secrets
from pathlib import Path

import psycopg
import pytest

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from services.kit import schema
from services.user.errors import UsernameInvalid
from services.user.identities.lookalikes import skeleton
from services.user.identities.parsing import parse_username, username_key
from services.user.service import MIGRATIONS
from tests.support.migrations import upgrade_to
from tests.support.servers import Servers
from tests.support.user import (
    Running,
    acting,
    caller_of,
    email_account,
    execute,
    new_name,
    outcomes,
    phone_account,
    profile,
    refusal,
    send_code,
)

UNSEEN = (
    "\u034f\u115f\u17b4\u180b\u180f\u200b\u2060\u2065\u2800\u3164\ufe0f\ufeff\uffa0\ufff0\U000e0001\U000e0100\U0001d173"
)


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda c: f"{ord(c):04X}")
def test_what_nobody_sees_makes_no_other_name(unseen: str) -> None:
    assert username_key(f"al{unseen}ice") == username_key("alice")
    with pytest.raises(UsernameInvalid):
        parse_username(unseen * 3)


@pytest.mark.parametrize(
    "name", ["a\ufdd0", "a\ufffe", "a\U0001ffff", "a\U0010fffe", "\u0301", "\u0301 \u0302", "\u20e3"]
)
def test_noncharacters_and_marks_alone_are_no_name(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        parse_username(name)


def test_spaces_of_any_kind_and_number_are_one() -> None:
    assert username_key("a b") == username_key("a \u2009\u00a0b") != username_key("ab")


def test_a_joined_accent_is_composed_again() -> None:
    assert username_key("caf\u200be\u200d\u0301") == username_key("caf\u00e9")


@pytest.mark.parametrize(
    "fake",
    ["аdmin", "ADMІN", "adm1n", "admln", "аԁⅿіп".replace("п", "n"), "a\u034fdmin", "ａｄｍｉｎ", "adrnin", "ad min"],
)
def test_what_looks_alike_has_one_skeleton(fake: str) -> None:
    assert skeleton(fake) == skeleton("admin")


@pytest.mark.parametrize("other", ["admiral", "badmin", "adm", "管理员", "damin"])
def test_what_looks_otherwise_has_another(other: str) -> None:
    assert skeleton(other) != skeleton("admin")


async def staff(user: Running) -> tuple[pb.Tokens, str]:
    name = "opal " + new_name().replace("1", "2").replace("0", "2")
    made = await phone_account(user, nickname=name)
    await execute(user, "UPDATE account SET role = 3 WHERE id = :id", id=made.user_id)
    return made, name


async def taking(user: Running, name: str) -> str:
    address = f"{new_name()}@example.com"
    code = await send_code(user, address)
    request = pb.RegisterByEmailRequest(email=address, code=code, password="good password", username=name)
    return await refusal(user.accounts.RegisterByEmail(request))


async def test_nobody_takes_a_name_that_looks_like_staff(user: Running) -> None:
    _, name = await staff(user)
    fake = name.replace("a", "а").replace("o", "0")
    assert username_key(fake) != username_key(name)
    assert await taking(user, fake) == "USERNAME_TAKEN"
    assert await refusal(phone_account(user, nickname=fake)) == "USERNAME_TAKEN", "nor as a nickname"
    other = await email_account(user)
    with acting(caller_of(user, other)):
        renaming = users_pb.UpdateProfileRequest(user_id=other.user_id, username=fake)
        assert await outcomes(*(user.users.UpdateProfile(renaming) for _ in range(50))) == {"USERNAME_TAKEN": 50}


async def test_staff_may_write_their_own_name_otherwise(user: Running) -> None:
    made, name = await staff(user)
    with acting(caller_of(user, made)):
        await user.users.UpdateProfile(users_pb.UpdateProfileRequest(user_id=made.user_id, username=name.upper()))
    assert (await profile(user, made.user_id)).username == name.upper()


@pytest.mark.parametrize("name", ["admin", "Аdmin", "ROOT", "r00t", "H1tok", "supp\u034fort"])
async def test_reserved_names_are_taken(user: Running, name: str) -> None:
    assert await taking(user, name) == "USERNAME_TAKEN"


async def test_ordinary_users_may_have_names_that_look_alike_but_are_not(user: Running) -> None:
    name = "oleg " + new_name()
    assert await taking(user, name) == await taking(user, name.replace("o", "о")) == ""


def test_the_migration_renews_keys_and_knows_staff(servers: Servers, tmp_path: Path) -> None:
    url = servers.create_database(f"names_{secrets.token_hex(4)}")
    upgrade_to(url, MIGRATIONS, "0004", tmp_path)
    with psycopg.connect(url, autocommit=True) as connection:
        rows = [(1, "bob\u2800", 0), (2, "carl\u034f", 0), (3, "carl", 0), (4, "Ann", 3)]
        for id, name, role in rows:
            columns = "id, username, username_key, nickname, password_hash, role"
            insert = f"INSERT INTO account ({columns}) VALUES (%s, %s, %s, '', '', %s)"
            connection.execute(insert, (id, name, name.lower(), role))
    schema.upgrade(url, MIGRATIONS)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT username_key, username_skeleton FROM account ORDER BY id").fetchall()
    assert found == [("bob", None), ("carl\u034f", None), ("carl", None), ("ann", skeleton("Ann"))]
