"""Secrets of authenticator apps are of no use to who has a copy of the database."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protos.user.v1 import accounts_pb2 as pb
from services.kit.errors import Unavailable
from services.user.proofs.encryption import Cipher
from services.user.second_factor import reencryption
from services.user.service import cipher_of
from tests.support.servers import Servers
from tests.support.user import Running, execute, refusal, running_user_service, user_settings
from tests.user.test_admin import invoke
from tests.user.test_second_factor import code_of, login, turned_on

OLD, NEW, OTHER = ("0123456789abcdef" * 4, "fedcba9876543210" * 4, "00112233445566778899aabbccddeeff" * 2)


async def stored(user: Running, issued: pb.Tokens) -> str:
    (row,) = await execute(user, "SELECT secret FROM second_factor WHERE user_id = :id", id=issued.user_id)
    return str(row.secret)


async def store(user: Running, issued: pb.Tokens, secret: str) -> None:
    values: dict[str, Any] = {"id": issued.user_id, "secret": secret}
    await execute(user, "UPDATE second_factor SET secret = :secret WHERE user_id = :id", **values)


def test_what_was_encrypted_is_read_with_its_secret_and_for_its_owner_alone() -> None:
    before, after = Cipher("test", OLD), Cipher("test", NEW, OLD)
    value = before.encrypt("JBSWY3DP", owner=7)
    assert "JBSWY3DP" not in value and value != before.encrypt("JBSWY3DP", owner=7)
    assert before.decrypt(value, owner=7) == after.decrypt(value, owner=7) == "JBSWY3DP"
    assert value.startswith(before.prefix) and not value.startswith(after.prefix)
    assert before.decrypt("JBSWY3DP", owner=7) == "JBSWY3DP", "of a release that did not encrypt"
    for cipher, given, owner in (
        (Cipher("test", OTHER), value, 7),
        (Cipher("another purpose", OLD), value, 7),
        (before, value, 8),
        (before, value[:-4] + "AAA=", 7),
        (before, before.prefix, 7),
        (before, before.prefix + "ÿ", 7),
        (before, "v1.", 7),
    ):
        with pytest.raises(Unavailable):
            cipher.decrypt(given, owner=owner)


async def test_the_database_has_no_secret_and_takes_none_of_another_row(user: Running) -> None:
    name, made, secret, recovery = await turned_on(user)
    _, another, _, _ = await turned_on(user)
    assert secret not in (kept := await stored(user, made)) and kept.startswith(user.service.cipher.prefix)
    await store(user, made, await stored(user, another))
    assert await refusal(login(user, name, code_of(secret, 1))) == "UNAVAILABLE"
    assert await refusal(login(user, name, recovery[0])) == "", "which needs no secret"


async def test_those_of_earlier_releases_count_and_are_encrypted_in_time(user: Running) -> None:
    name, made, secret, _ = await turned_on(user)
    await store(user, made, secret)
    assert await refusal(login(user, name, code_of(secret))) == ""
    service = user.service
    assert await reencryption.encrypt_all(service.database, service.cipher) == 1
    assert (await stored(user, made)).startswith(service.cipher.prefix)
    assert await reencryption.encrypt_all(service.database, service.cipher) == 0
    assert await refusal(login(user, name, code_of(secret, 1))) == ""


async def test_a_secret_is_replaced_without_a_login_lost(servers: Servers, tmp_path: Path) -> None:
    settings = user_settings(servers.create_database("second_secrets"), servers, tmp_path)
    async with running_user_service(settings) as user:
        accounts = [await turned_on(user) for _ in range(3)]
        changed = user_settings(settings.postgres_url, servers, tmp_path, HITOK_SECOND_FACTOR_SECRET=NEW)
        moved = replace(user, settings=changed)
        ended = await invoke(moved, "encrypt-second-factors")
        assert (ended.code, ended.output) == (0, "3 encrypted anew; the old secret is needed no longer\n")
        assert all([(await stored(user, made)).startswith(cipher_of(changed).prefix) for _, made, _, _ in accounts])
        assert await refusal(login(user, accounts[0][0], code_of(accounts[0][2]))) == "UNAVAILABLE"
    third = {"HITOK_SECOND_FACTOR_SECRET": OTHER, "HITOK_OLD_SECOND_FACTOR_SECRET": NEW}
    async with running_user_service(user_settings(settings.postgres_url, servers, tmp_path, **third)) as user:
        assert await refusal(login(user, accounts[0][0], code_of(accounts[0][2]))) == ""
        assert await reencryption.encrypt_all(user.service.database, user.service.cipher) == 3
        assert await refusal(login(user, accounts[1][0], code_of(accounts[1][2]))) == ""
