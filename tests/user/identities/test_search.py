"""Finding people by the beginning of their username, by phone and by email."""

import base64
from typing import Any

import pytest

from protos.user.v1 import users_pb2 as pb
from services.kit.context import Caller
from services.user.registration import LAZY_BIO
from tests.support.user import (
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    execute,
    new_name,
    new_phone,
    phone_account,
    profile,
    refusal,
)

SOMEONE = Caller(1, 1, 1)


async def search(running: Running, query: str, cursor: str = "", limit: int = 20) -> pb.SearchUsersResponse:
    with acting(SOMEONE):
        return await running.users.SearchUsers(pb.SearchUsersRequest(query=query, cursor=cursor, limit=limit))


async def found(running: Running, query: str) -> list[str]:
    return [user.username for user in (await search(running, query)).users]


async def allow(running: Running, caller: Caller, **settings: Any) -> None:
    with acting(caller):
        await running.users.UpdateProfile(pb.UpdateProfileRequest(user_id=caller.user_id, **settings))


async def test_a_prefix_finds_in_the_order_of_names(user: Running) -> None:
    stem = new_name()
    for ending in ("b", "A", "ab", "中"):
        await phone_account(user, nickname=f"{stem}{ending}")
    assert await found(user, stem) == [f"{stem}A", f"{stem}ab", f"{stem}b", f"{stem}中"]
    assert await found(user, stem.upper() + "a") == [f"{stem}A", f"{stem}ab"]
    assert await found(user, f"{stem}c") == []


async def test_pages_hold_everyone_once(user: Running) -> None:
    stem = new_name()
    for number in range(7):
        await phone_account(user, nickname=f"{stem}{number}")
    names, cursor = [], ""
    while True:
        page = await search(user, stem, cursor, limit=3)
        names += [found.username for found in page.users]
        if not (cursor := page.next_cursor):
            break
    assert names == [f"{stem}{number}" for number in range(7)]


async def test_signs_of_patterns_stand_for_themselves(user: Running) -> None:
    stem = new_name()
    await phone_account(user, nickname=f"{stem}%x")
    await phone_account(user, nickname=f"{stem}_x")
    assert await found(user, f"{stem}%") == [f"{stem}%x"]
    assert await found(user, f"{stem}_") == [f"{stem}_x"]
    assert await found(user, f"{stem}\\") == []


async def test_phone_and_email_find_only_who_allows_it(user: Running) -> None:
    phone, name = new_phone(), new_name()
    by_phone = caller_of(user, await phone_account(user, phone, nickname=new_name()))
    by_email = caller_of(user, await email_account(user, name))
    address = f"{name}@example.com"
    assert await found(user, phone) == await found(user, f"+86{phone}") == await found(user, address) == []
    await allow(user, by_phone, searchable_by_phone=True)
    await allow(user, by_email, searchable_by_email=True)
    for query in (phone, f"+86 {phone}"):
        (hit,) = (await search(user, query)).users
        assert hit.user_id == by_phone.user_id and hit.phone == "" and not hit.searchable_by_phone
    (hit,) = (await search(user, address.upper())).users
    assert hit.user_id == by_email.user_id and hit.email == ""
    assert await found(user, phone[:-1]) == [] == await found(user, address[:-1])
    await allow(user, by_phone, searchable_by_phone=False)
    assert await found(user, phone) == []


async def test_who_is_found_by_phone_and_by_name_is_there_once_and_first(user: Running) -> None:
    phone = new_phone()
    await phone_account(user, nickname=f"{phone}0")
    named_so = caller_of(user, await phone_account(user, phone, nickname=phone))
    await allow(user, named_so, searchable_by_phone=True)
    assert await found(user, phone) == [phone, f"{phone}0"]
    page = await search(user, phone, limit=1)
    assert [user.username for user in page.users] == [phone, f"{phone}0"] and page.next_cursor == ""


async def test_the_setting_is_for_its_owner_to_see(user: Running) -> None:
    caller = caller_of(user, await email_account(user))
    assert not (await profile(user, caller.user_id)).searchable_by_email
    await allow(user, caller, searchable_by_email=True)
    own, others = await profile(user, caller.user_id), await profile(user, caller.user_id, viewer_id=1)
    assert own.searchable_by_email and not own.searchable_by_phone and not others.searchable_by_email
    assert own.bio == LAZY_BIO.format(own.username)  # nothing else changed


@pytest.mark.parametrize("column", ["deleted_at", "disabled_at"])
async def test_the_gone_are_not_found(user: Running, column: str) -> None:
    name = new_name()
    caller = caller_of(user, await email_account(user, name))
    await execute(user, f"UPDATE account SET {column} = now() WHERE id = :id", id=caller.user_id)
    assert await found(user, name) == []


@pytest.mark.parametrize("query", ["", "   ", "\u200d", "\0", "a\0"])
async def test_what_folds_to_nothing_finds_nobody(user: Running, query: str) -> None:
    assert await found(user, query) == []


@pytest.mark.parametrize("cursor", ["?", "e30", "WzFd", base64.urlsafe_b64encode(b'["\\u0000"]').decode()])
async def test_a_made_up_cursor_is_refused(user: Running, cursor: str) -> None:
    assert await refusal(search(user, "a", cursor)) == "CURSOR_INVALID"


async def test_searching_is_for_users(user: Running) -> None:
    with anonymous():
        assert await refusal(user.users.SearchUsers(pb.SearchUsersRequest(query="a"))) == "CALLER_MISSING"


async def test_the_index_gives_prefix_and_order(user: Running) -> None:
    plan = await execute(
        user,
        "EXPLAIN SELECT * FROM account WHERE deleted_at IS NULL AND disabled_at IS NULL"
        """ AND username_key COLLATE "C" >= 'a' AND username_key COLLATE "C" < 'b'"""
        """ ORDER BY username_key COLLATE "C" LIMIT 21""",
    )
    text = "\n".join(row[0] for row in plan)
    assert "account_search" in text and "Sort" not in text, text
