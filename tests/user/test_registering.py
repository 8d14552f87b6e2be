"""Registering, by email with a mailed code or by phone: login/register and hichat's register in api.md."""

from typing import Any

import pytest

from protos.user.v1 import accounts_pb2 as pb
from services.kit import tokens
from tests.support.user import (
    PASSWORD,
    Running,
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


async def email_request(user: Running, **changes: str) -> pb.RegisterByEmailRequest:
    """A good one, but for `changes`."""
    name = new_name()
    fields: dict[str, Any] = {"email": f"{name}@example.com", "password": PASSWORD, "username": name} | changes
    return pb.RegisterByEmailRequest(code=await send_code(user, fields["email"]), **fields)


async def test_an_account_made_by_email_can_log_in(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    issued = await email_login(user, name)
    assert issued.user_id == made.user_id and issued.rtoken and not made.rtoken
    assert caller_of(user, issued).role == 0


async def test_an_account_made_by_phone_can_log_in(user: Running) -> None:
    phone = new_phone()
    made = await phone_account(user, phone)
    issued = await phone_login(user, phone)
    assert issued.user_id == made.user_id and not issued.rtoken


async def test_a_new_account_shows_what_the_document_shows(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    shown = await profile(user, made.user_id)
    assert (shown.username, shown.nickname, shown.email) == (name, name, f"{name}@example.com")
    assert shown.bio == f"{name}很懒，什么都没留下"
    assert (shown.avatar, shown.role, shown.is_logout, shown.logout_at, shown.phone) == ("", 0, False, 0, "")
    assert shown.created_at == shown.updated_at and shown.login_at >= shown.created_at > 1_700_000_000_000


async def test_a_phone_account_shows_what_was_given(user: Running) -> None:
    phone, name = new_phone(), new_name()
    request = pb.RegisterByPhoneRequest(
        phone=phone, password=PASSWORD, nickname=name, sex=2, avatar="https://example.com/a.png"
    )
    made = await user.accounts.RegisterByPhone(request)
    shown = await profile(user, made.user_id)
    assert (shown.phone, shown.nickname, shown.username, shown.sex) == (phone, name, name, 2)
    assert (shown.avatar, shown.email) == ("https://example.com/a.png", "")


async def test_registering_begins_a_session_with_tokens_of_the_familys_lifetime(user: Running) -> None:
    by_email, by_phone = await email_account(user), await phone_account(user)
    for made, lifetime in ((by_email, 7_200), (by_phone, 8_640_000)):
        claims = tokens.verify(user.settings.jwt_secret, made.atoken, "atoken")
        assert claims.exp - claims.iat == lifetime and claims.exp == made.atoken_expires_at
        assert claims.userid == claims.hichat_userid == str(made.user_id)
        assert await is_live(user, made)


async def test_registering_is_announced(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    assert await events_of(user, made.user_id) == [
        ("account.registered", {"user_id": str(made.user_id), "username": name})
    ]


async def test_an_id_fits_a_signed_64_bit_field_and_grows(user: Running) -> None:
    first, second = await phone_account(user), await phone_account(user)
    assert 0 < first.user_id < second.user_id < 2**63


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"username": ""}, "USERNAME_INVALID"),
        ({"username": " \t"}, "USERNAME_INVALID"),
        ({"username": "a" * 31}, "USERNAME_INVALID"),
        ({"username": "a" * 1_000_000}, "USERNAME_INVALID"),
        ({"username": "a\0b"}, "USERNAME_INVALID"),
        ({"password": ""}, "PASSWORD_INVALID"),
        ({"password": "12345"}, "PASSWORD_INVALID"),
        ({"password": "1234567\0"}, "PASSWORD_INVALID"),
        ({"password": "a" * 73}, "PASSWORD_INVALID"),
        ({"password": "密" * 25}, "PASSWORD_INVALID"),  # 75 bytes
        ({"password": "a" * 1_000_000}, "PASSWORD_INVALID"),
        ({"avatar": "javascript:alert(1)"}, "PROFILE_INVALID"),
        ({"avatar": " javascript:alert(1)"}, "PROFILE_INVALID"),
        ({"avatar": "https://example.com/\0"}, "PROFILE_INVALID"),
        ({"avatar": "https://[::1"}, "PROFILE_INVALID"),
        ({"avatar": "https://example.com/" + "a" * 2_048}, "PROFILE_INVALID"),
    ],
)
async def test_bad_input_is_refused_and_the_code_stays_good(
    user: Running, changes: dict[str, str], reason: str
) -> None:
    request = await email_request(user)
    good = pb.RegisterByEmailRequest()
    good.CopyFrom(request)
    for field, value in changes.items():
        setattr(request, field, value)
    assert await refusal(user.accounts.RegisterByEmail(request)) == reason
    assert await refusal(user.accounts.RegisterByEmail(good)) == ""


async def test_a_bad_address_is_refused(user: Running) -> None:
    request = pb.RegisterByEmailRequest(email="nobody", code="000000", password=PASSWORD, username=new_name())
    assert await refusal(user.accounts.RegisterByEmail(request)) == "EMAIL_INVALID"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phone": ""}, "PHONE_INVALID"),
        ({"phone": "12345"}, "PHONE_INVALID"),
        ({"phone": "1" * 1_000_000}, "PHONE_INVALID"),
        ({"phone": "+1 555 0100"}, "PHONE_INVALID"),
        ({"phone": "phone\0"}, "PHONE_INVALID"),
        ({"nickname": "a" * 31}, "USERNAME_INVALID"),
        ({"nickname": "a\u202eb"}, "USERNAME_INVALID"),
        ({"password": "12345"}, "PASSWORD_INVALID"),
        ({"sex": 3}, "PROFILE_INVALID"),
        ({"sex": -1}, "PROFILE_INVALID"),
        ({"avatar": "data:text/html,x"}, "PROFILE_INVALID"),
    ],
)
async def test_bad_input_of_a_phone_account_is_refused(user: Running, changes: dict[str, Any], reason: str) -> None:
    fields: dict[str, Any] = {"phone": new_phone(), "password": PASSWORD} | changes
    request = pb.RegisterByPhoneRequest(**fields)
    assert await refusal(user.accounts.RegisterByPhone(request)) == reason


@pytest.mark.parametrize("password", ["123456", "a" * 72, "密" * 24, " spaces ", "päss\u200bwörd"])
async def test_a_password_of_6_to_72_bytes_works_to_the_letter(user: Running, password: str) -> None:
    phone = new_phone()
    await phone_account(user, phone, password=password)
    assert await refusal(phone_login(user, phone, password)) == ""
    assert await refusal(phone_login(user, phone, password + "x")) == "CREDENTIALS_WRONG"
    assert await refusal(phone_login(user, phone, password[:-1])) == "CREDENTIALS_WRONG"


async def test_a_taken_email_is_told_to_who_holds_its_code(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    request = await email_request(user, email=f"{name}@Example.COM".lower())
    assert await refusal(user.accounts.RegisterByEmail(request)) == "EMAIL_TAKEN"


async def test_a_taken_username_is_refused_before_the_code_is_used_up(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    request = await email_request(user, username=name.upper())
    assert await refusal(user.accounts.RegisterByEmail(request)) == "USERNAME_TAKEN"
    request.username = new_name()
    assert await refusal(user.accounts.RegisterByEmail(request)) == ""


async def test_a_taken_phone_is_refused_in_any_of_its_forms(user: Running) -> None:
    phone = new_phone()
    await phone_account(user, phone)
    for form in (phone, f"+86{phone}", f"0086 {phone}", f"+86 {phone[:3]}-{phone[3:7]}-{phone[7:]}", f" {phone} "):
        assert await refusal(phone_account(user, form)) == "PHONE_TAKEN"


async def test_a_foreign_phone_is_shown_with_its_prefix(user: Running) -> None:
    made = await phone_account(user, f"+44 7400 {new_phone()[-6:]}")
    assert (await profile(user, made.user_id)).phone.startswith("+447400")


async def test_a_nickname_defaults_to_the_phone_however_it_was_written(user: Running) -> None:
    phone = new_phone()
    spaced = f"+86 {'  '.join(phone)}"
    assert len(spaced) > 30
    shown = await profile(user, (await phone_account(user, spaced)).user_id)
    assert shown.nickname == shown.phone == phone


async def test_a_nickname_may_be_anothers_and_the_username_is_made_unique(user: Running) -> None:
    nickname = "用" * 30
    made = [await phone_account(user, nickname=nickname) for _ in range(3)]
    shown = [await profile(user, issued.user_id) for issued in made]
    assert [person.nickname for person in shown] == [nickname] * 3
    assert len({person.username for person in shown}) == 3
    assert all(len(person.username) <= 30 for person in shown)


# -- races -------------------------------------------------------------------------------------------------------------


async def test_registering_one_username_with_50_emails_at_once_gives_one_account(user: Running) -> None:
    name = new_name()
    requests = [await email_request(user, username=name) for _ in range(50)]
    assert await outcomes(*map(user.accounts.RegisterByEmail, requests)) == {"": 1, "USERNAME_TAKEN": 49}


async def test_registering_one_email_under_50_usernames_at_once_gives_one_account(user: Running) -> None:
    request = await email_request(user)
    requests = [
        pb.RegisterByEmailRequest(
            email=request.email, code=request.code, password=request.password, username=new_name()
        )
        for _ in range(50)
    ]
    assert await outcomes(*map(user.accounts.RegisterByEmail, requests)) == {"": 1, "CODE_INVALID": 49}


async def test_registering_one_phone_50_times_at_once_gives_one_account(user: Running) -> None:
    phone = new_phone()
    calls = (phone_account(user, phone, nickname=new_name() if by % 2 else "") for by in range(50))
    assert await outcomes(*calls) == {"": 1, "PHONE_TAKEN": 49}
    assert len(await execute(user, "SELECT id FROM account WHERE phone = :phone", phone=f"+86{phone}")) == 1


async def test_one_nickname_with_50_phones_at_once_gives_50_accounts_with_usernames_of_their_own(
    user: Running,
) -> None:
    nickname = new_name()
    assert await outcomes(*(phone_account(user, nickname=nickname) for _ in range(50))) == {"": 50}
    rows = await execute(user, "SELECT username FROM account WHERE nickname = :nickname", nickname=nickname)
    assert len({row.username for row in rows}) == 50


async def test_a_refused_registration_leaves_nothing_behind(user: Running) -> None:
    phone, taken = new_phone(), new_phone()
    await phone_account(user, taken)
    before = await execute(user, "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM outbox)")
    await outcomes(phone_account(user, taken), phone_account(user, phone, password="1"), phone_login(user, phone))
    assert await execute(user, "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM outbox)") == before
