"""Registering, and the codes that are mailed to prove an address (docs/contract/api.md, "login").

Hashing a password takes a tenth of a second and codes are in Valkey, so no transaction is open meanwhile: a first one
looks whether the name is free, and the unique indexes decide in the second.
"""

from typing import Any

from sqlalchemy import ColumnElement, insert

from services.user import events, guesses, sessions
from services.user.accounts import find_account, lock_phone_holder, prove_phone, take_phone_from_others, taken
from services.user.errors import PhoneInvalid, PhoneTaken, UsernameTaken
from services.user.identities.lookalikes import require_no_impostor, skeleton
from services.user.identities.parsing import (
    MAX_USERNAME,
    format_phone,
    parse_email,
    parse_phone,
    parse_username,
    username_key,
)
from services.user.models import Account
from services.user.profiles import check_avatar, check_sex
from services.user.proofs import codes
from services.user.proofs.passwords import check_password
from services.user.service import Service
from services.user.sessions import Client, IssuedTokens

LAZY_BIO = "{}很懒，什么都没留下"  # the bio of a new account in the short-video document


async def send_code(service: Service, email: str, purpose: str, client: Client) -> None:
    """Mails a code, whether or not the address has an account. Raises EmailInvalid, TooManyCodes, MailFailed."""
    address = parse_email(email)
    known = await _knows_network(service, Account.email == address, client.ip)
    code = await service.codes.create(address, purpose, client.ip, known)
    try:
        await service.mailer.send_code(address, code, codes.LIFETIME // 60)
    except Exception:
        await service.codes.discard(address, code, purpose, client.ip)
        raise


async def send_phone_code(service: Service, phone: str, purpose: str, client: Client) -> None:
    """The same by SMS. Raises PhoneInvalid, also where no SMS is configured, TooManyCodes, SmsFailed."""
    number = parse_phone(phone, service.settings.phone_region)
    if not service.sms.is_on:
        raise PhoneInvalid("no SMS is configured")
    known = await _knows_network(service, Account.phone == number, client.ip)
    code = await service.codes.create(number, purpose, client.ip, known)
    try:
        await service.sms.send_code(number, code, codes.LIFETIME // 60)
    except Exception:
        await service.codes.discard(number, code, purpose, client.ip)
        raise


async def _knows_network(service: Service, which: ColumnElement[bool], ip: str) -> bool:
    account = await find_account(service, which)
    async with service.database.transaction() as connection:
        return await guesses.knows_network(connection, service, account.id if account else 0, ip)


async def register_by_email(
    service: Service, *, email: str, code: str, password: str, username: str, avatar: str, client: Client
) -> IssuedTokens:
    """Raises EmailInvalid, UsernameInvalid, PasswordInvalid, ProfileInvalid, UsernameTaken, CodeInvalid, EmailTaken."""
    address, name = parse_email(email), parse_username(username)
    check_password(password)
    check_avatar(avatar)
    await _require_no_impostor(service, name)
    await _require_free_username(service, name)  # before the code, which can be used only once
    await service.codes.redeem(address, code, codes.REGISTERING, client.ip)
    fields = {"email": address, "avatar": avatar, "bio": LAZY_BIO.format(name)}
    return await _register(service, name, name, password, client, service.settings.atoken_seconds, **fields)


async def register_by_phone(
    service: Service, *, phone: str, password: str, nickname: str, sex: int, avatar: str, code: str, client: Client
) -> IssuedTokens:
    """The nickname defaults to the phone number and need not be unique; the unique username is made from it.

    With a `code`, where SMS is configured, an account that has the phone without proof loses it.

    Raises CodeInvalid, PhoneInvalid, UsernameInvalid, PasswordInvalid, ProfileInvalid, PhoneTaken, and
    UsernameTaken for a nickname that looks like the name of staff.
    """
    number = parse_phone(phone, service.settings.phone_region)
    nickname = parse_username(nickname or format_phone(number, service.settings.phone_region))
    check_password(password)
    check_avatar(avatar)
    check_sex(sex)
    await _require_no_impostor(service, nickname)
    proves = service.sms.is_on and bool(code)
    await _require_free_phone(service, number, proves)  # before the work of hashing
    proven_at = await prove_phone(service, number, code, codes.REGISTERING, client.ip)
    fields = {"phone": number, "phone_proven_at": proven_at, "avatar": avatar, "sex": sex}
    lifetime = service.settings.chat_token_seconds
    try:
        await _require_free_username(service, nickname)
        return await _register(service, nickname, nickname, password, client, lifetime, **fields)
    except UsernameTaken:
        unique = f"{nickname[: MAX_USERNAME - 14]}_{_base36(service.new_id())}"
        return await _register(service, unique, nickname, password, client, lifetime, **fields)


async def _register(
    service: Service, username: str, nickname: str, password: str, client: Client, lifetime: int, **fields: Any
) -> IssuedTokens:
    password_hash = await service.passwords.hash(password)
    values = {
        "id": service.new_id(),
        "username": username,
        "username_key": username_key(username),
        "username_skeleton": skeleton(username),
        "nickname": nickname,
        "password_hash": password_hash,
        **fields,
    }
    with taken():
        async with service.database.transaction() as connection:
            if fields.get("phone_proven_at"):
                await lock_phone_holder(connection, fields["phone"])
                unproven = Account.phone_proven_at.is_(None)
                await take_phone_from_others(connection, fields["phone"], values["id"], unproven)
            account = (await connection.execute(insert(Account).values(values).returning(Account.__table__))).one()
            session_id, _ = await sessions.start(connection, service, account, client, lifetime)
            await events.account_registered(connection, account.id, username)
    return sessions.issue(service, account, session_id, lifetime)


async def _require_no_impostor(service: Service, name: str) -> None:
    async with service.database.transaction() as connection:
        await require_no_impostor(connection, name, service.settings.reserved_names)


async def _require_free_username(service: Service, name: str) -> None:
    if await find_account(service, Account.username_key == username_key(name)):
        raise UsernameTaken


async def _require_free_phone(service: Service, phone: str, proves: bool) -> None:
    holder = await find_account(service, Account.phone == phone)
    if holder and (holder.phone_proven_at or not proves):
        raise PhoneTaken


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
