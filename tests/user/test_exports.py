"""Links to what hitok holds of a user: services/user/exports/."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from protos.export.v1 import export_pb2
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import exports_pb2
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    execute,
    mailed_link,
    new_name,
    outcomes,
    phone_account,
    refusal,
)

ADDRESS = "https://hitok.example/api/user/export/download"


async def request(user: Running, issued: pb.Tokens, password: str = PASSWORD) -> exports_pb2.ExportLink:
    with acting(caller_of(user, issued)):
        return await user.exports.RequestExport(exports_pb2.RequestExportRequest(password=password, address=ADDRESS))


async def status(user: Running, issued: pb.Tokens) -> exports_pb2.ExportLink:
    with acting(caller_of(user, issued)):
        return await user.exports.GetExport(exports_pb2.GetExportRequest())


def key_in(link: str) -> str:
    assert link.startswith(ADDRESS)
    return parse_qs(urlsplit(link).query)["key"][0]


async def opened(user: Running, key: str) -> int:
    return (await user.exports.OpenExport(exports_pb2.OpenExportRequest(key=key))).user_id


async def an_hour_later(user: Running, issued: pb.Tokens) -> None:
    statement = "UPDATE export_link SET requested_at = requested_at - interval '61 minutes' WHERE user_id = :id"
    await execute(user, statement, id=issued.user_id)


async def mailed_key(user: Running, name: str) -> str:
    return key_in(mailed_link(Path(user.settings.var), f"{name}@example.com"))


async def test_a_link_is_mailed_and_good_for_a_day(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    assert not (await status(user, made)).requested_at
    link = await request(user, made)
    assert link.mailed and not link.link, "the answer does not have what the mail proves"
    assert link.expires_at - link.requested_at == 86_400_000
    assert (await status(user, made)).expires_at == link.expires_at
    key = await mailed_key(user, name)
    assert await opened(user, key) == made.user_id
    await execute(user, "UPDATE export_link SET expires_at = now() WHERE user_id = :id", id=made.user_id)
    assert await refusal(opened(user, key)) == "EXPORT_NOT_FOUND"
    assert not (await status(user, made)).requested_at


async def test_an_account_without_email_gets_it_in_the_answer(user: Running) -> None:
    made = await phone_account(user)
    link = await request(user, made)
    assert not link.mailed and await opened(user, key_in(link.link)) == made.user_id


async def test_one_an_hour_and_a_new_one_voids_the_old(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    assert await outcomes(*(request(user, made) for _ in range(4))) == {"": 1, "TOO_MANY_EXPORTS": 3}
    old = await mailed_key(user, name)
    await an_hour_later(user, made)
    await request(user, made)
    new = await mailed_key(user, name)
    assert new != old and await opened(user, new) == made.user_id
    assert await refusal(opened(user, old)) == "EXPORT_NOT_FOUND"


async def test_it_takes_the_password_and_a_caller(user: Running) -> None:
    made = await email_account(user)
    assert await refusal(request(user, made, "wrong password")) == "CREDENTIALS_WRONG"
    with anonymous():
        assert await refusal(user.exports.RequestExport(exports_pb2.RequestExportRequest())) == "CALLER_MISSING"
        assert await refusal(user.exports.GetExport(exports_pb2.GetExportRequest())) == "CALLER_MISSING"
    for forged in ("", "x", "1-" + "0" * 40, "-" * 50, "ÿ-ÿ"):
        assert await refusal(opened(user, forged)) == "EXPORT_NOT_FOUND"


async def test_it_ends_with_the_account(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await request(user, made)
    key = await mailed_key(user, name)
    with acting(caller_of(user, made)):
        await user.accounts.DeleteAccount(pb.DeleteAccountRequest(password=PASSWORD))
    assert await refusal(opened(user, key)) == "EXPORT_NOT_FOUND"


async def test_a_mail_that_fails_does_not_use_up_the_hour(user: Running) -> None:
    made = await email_account(user)
    folder = Path(user.settings.var) / "mail"
    aside = folder.rename(folder.with_name("aside"))
    try:
        assert await refusal(request(user, made)) == "MAIL_FAILED"
    finally:
        aside.rename(folder)
    assert (await request(user, made)).mailed


async def test_rows_are_the_callers_own(user: Running) -> None:
    made, _ = await email_account(user), await email_account(user)
    lists: dict[str, list[str]] = {}
    cursor = ""
    with acting(caller_of(user, made)):
        while True:
            page = await user.export_rows.ExportRows(export_pb2.ExportRowsRequest(cursor=cursor))
            lists.setdefault(page.list, []).extend(page.rows)
            cursor = page.next_cursor
            if not cursor:
                break
        wrong = user.export_rows.ExportRows(export_pb2.ExportRowsRequest(cursor="Wzk5LDAsMF0"))
        assert await refusal(wrong) == "CURSOR_INVALID"
    assert {name: len(rows) for name, rows in lists.items()} == {
        "account": 1,
        "sessions": 1,
        "role_changes": 0,
        "replaced_emails": 0,
    }
    assert f'"id": {made.user_id}' in lists["account"][0] and "password" not in lists["account"][0]
    with anonymous():
        assert await refusal(user.export_rows.ExportRows(export_pb2.ExportRowsRequest())) == "CALLER_MISSING"
