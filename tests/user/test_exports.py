"""Links to what hitok holds of a user: services/user/exports/."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from protos.export.v1 import export_pb2
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import exports_pb2
from services.user import retention
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


async def claim(user: Running) -> exports_pb2.ClaimedExport:
    """The export that waits longest, as a gateway claims it."""
    with anonymous():
        return await user.exports.ClaimExport(exports_pb2.ClaimExportRequest())


async def finish(user: Running, id: int) -> None:
    size = exports_pb2.ExportSize(rows=70, files=3, bytes=9_000)
    with anonymous():
        await user.exports.FinishExport(exports_pb2.FinishExportRequest(id=id, size=size))


async def prepared_now(user: Running, issued: pb.Tokens) -> exports_pb2.ExportLink:
    """Prepares what waits."""
    while (claimed := await claim(user)).id:
        await finish(user, claimed.id)
    return await status(user, issued)


async def claimed_export(user: Running, issued: pb.Tokens) -> exports_pb2.ClaimedExport:
    await prepared_now(user, issued)  # those that other tests left
    await request(user, issued)
    return await claim(user)


def mails_to(user: Running, name: str) -> list[Path]:
    return [path for path in Path(user.settings.var, "mail").glob("*.eml") if f"{name}@example.com" in path.read_text()]


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
    assert not link.ready and len(mails_to(user, name)) == 1, "only the code: nothing was counted yet"
    link = await prepared_now(user, made)
    assert link.ready and 0 <= link.expires_at - link.requested_at - 86_400_000 < 60_000
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
    await prepared_now(user, made)
    old = await mailed_key(user, name)
    await an_hour_later(user, made)
    await request(user, made)
    await prepared_now(user, made)
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
    await prepared_now(user, made)
    key = await mailed_key(user, name)
    with acting(caller_of(user, made)):
        await user.accounts.DeleteAccount(pb.DeleteAccountRequest(password=PASSWORD))
    assert await refusal(opened(user, key)) == "EXPORT_NOT_FOUND"


async def test_how_far_it_is_what_it_holds_and_how_much_was_sent(user: Running) -> None:
    made = await email_account(user)
    claimed = await claimed_export(user, made)
    assert (claimed.user_id, claimed.role) == (made.user_id, 0)
    with anonymous():
        report = exports_pb2.ReportExportRequest(id=claimed.id, done=5, total=27)
        assert (await user.exports.ReportExport(report)).wanted
    link = await status(user, made)
    assert (link.ready, link.done, link.total) == (False, 5, 27)
    await finish(user, claimed.id)
    link = await status(user, made)
    assert (link.ready, link.done, link.total) == (True, 27, 27)
    assert (link.size.rows, link.size.files, link.size.bytes) == (70, 3, 9_000)
    with anonymous():
        for sent, complete in ((4_000, False), (9_000, True)):
            part = exports_pb2.ReportDownloadRequest(id=claimed.id, bytes=sent, complete=complete)
            await user.exports.ReportDownload(part)
            link = await status(user, made)
            assert (link.downloaded_bytes, bool(link.downloaded_at)) == (sent, complete)
        assert not (await user.exports.ReportExport(report)).wanted, "it is prepared"


async def test_one_gateway_prepares_it_and_another_once_that_one_is_gone(user: Running) -> None:
    made = await email_account(user)
    await prepared_now(user, made)
    await request(user, made)
    claims = [claimed.id for claimed in await asyncio.gather(*(claim(user) for _ in range(5))) if claimed.id]
    assert len(claims) == 1
    await execute(user, "UPDATE export_link SET claimed_until = now() WHERE id = :id", id=claims[0])
    assert (await claim(user)).id == claims[0]
    await finish(user, claims[0])
    await finish(user, claims[0])
    assert not (await claim(user)).id


async def test_a_mail_that_fails_is_sent_later(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    claimed = await claimed_export(user, made)
    folder = Path(user.settings.var) / "mail"
    aside = folder.rename(folder.with_name("aside"))
    try:
        assert await refusal(finish(user, claimed.id)) == "MAIL_FAILED"
    finally:
        aside.rename(folder)
    assert not (await status(user, made)).ready and not (await claim(user)).id
    await execute(user, "UPDATE export_link SET claimed_until = now() WHERE id = :id", id=claimed.id)
    assert (await prepared_now(user, made)).ready and len(mails_to(user, name)) == 2, "and the code of the registration"


async def test_none_is_prepared_for_who_left_or_asked_anew(user: Running) -> None:
    made = await email_account(user)
    first = await claimed_export(user, made)
    await an_hour_later(user, made)
    await request(user, made)
    with anonymous():
        report = exports_pb2.ReportExportRequest(id=first.id, done=1, total=2)
        assert not (await user.exports.ReportExport(report)).wanted
    with acting(caller_of(user, made)):
        await user.accounts.DeleteAccount(pb.DeleteAccountRequest(password=PASSWORD))
    assert not (await claim(user)).id


async def test_links_are_deleted_when_they_have_expired(user: Running) -> None:
    made, other = await email_account(user), await email_account(user)
    for issued in (made, other):
        await request(user, issued)
    await prepared_now(user, made)
    await execute(user, "UPDATE export_link SET expires_at = now() WHERE user_id = :id", id=made.user_id)
    await retention.sweep(user.service.database, user.settings)
    left = await execute(
        user, "SELECT user_id FROM export_link WHERE user_id IN (:a, :b)", a=made.user_id, b=other.user_id
    )
    assert [row.user_id for row in left] == [other.user_id]


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
