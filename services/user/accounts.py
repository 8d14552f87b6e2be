"""Accounts: registering, logging in, and the credentials that allow it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Counter
from psycopg.errors import UniqueViolation
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.user import codes, events, sessions
from services.user.errors import (
    AccountDisabled,
    CredentialsWrong,
    EmailTaken,
    PhoneTaken,
    UsernameTaken,
    UserNotFound,
)
from services.user.identities import (
    MAX_USERNAME,
    format_phone,
    parse_email,
    parse_phone,
    parse_username,
    username_key,
)
from services.user.models import Account, Session
from services.user.passwords import check_password
from services.user.profiles import check_avatar, check_sex
from services.user.service import Service
from services.user.sessions import Client, IssuedTokens, lock_account

TAKEN = {
    "account_email_key": EmailTaken,
    "account_phone_key": PhoneTaken,
    "account_username_key_key": UsernameTaken,
}
LOGINS = Counter("hitok_logins", "Logins by password", ["outcome"])
for outcome in ("done", "refused", "disabled"):
    LOGINS.labels(outcome)
LAZY_BIO = "{}很懒，什么都没留下"  # what the short-video document shows for a new account


async def send_code(service: Service, email: str) -> None:
    """Raises EmailInvalid, TooManyCodes, MailFailed. Whether the address has an account makes no difference."""
    address = parse_email(email)
    code = await service.codes.create(address)
    try:
        await service.mailer.send_code(address, code, codes.LIFETIME // 60)
    except Exception:
        await service.codes.discard(address, code)
        raise


async def register_by_email(
    service: Service, *, email: str, code: str, password: str, username: str, avatar: str, client: Client
) -> IssuedTokens:
    """Raises EmailInvalid, UsernameInvalid, PasswordInvalid, ProfileInvalid, UsernameTaken, CodeInvalid, EmailTaken."""
    address, name = parse_email(email), parse_username(username)
    check_password(password)
    check_avatar(avatar)
    await _require_free_username(service, name)  # before the code is used up
    await service.codes.redeem(address, code)
    fields = {"email": address, "avatar": avatar, "bio": LAZY_BIO.format(name)}
    return await _register(service, name, name, password, client, service.settings.atoken_seconds, **fields)


async def register_by_phone(
    service: Service, *, phone: str, password: str, nickname: str, sex: int, avatar: str, client: Client
) -> IssuedTokens:
    """The nickname defaults to the phone and need not be unique; the username is made from it and is.

    Raises PhoneInvalid, UsernameInvalid, PasswordInvalid, ProfileInvalid, PhoneTaken.
    """
    number = parse_phone(phone, service.settings.phone_region)
    nickname = parse_username(nickname or format_phone(number, service.settings.phone_region))
    check_password(password)
    check_avatar(avatar)
    check_sex(sex)
    await _require_free_phone(service, number)  # before the work of hashing
    fields = {"phone": number, "avatar": avatar, "sex": sex}
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
        "nickname": nickname,
        "password_hash": password_hash,
        **fields,
    }
    with taken():
        async with service.database.transaction() as connection:
            account = (await connection.execute(insert(Account).values(values).returning(Account.__table__))).one()
            session_id, _ = await sessions.start(connection, service, account, client, lifetime)
            await events.account_registered(connection, account.id, username)
    return sessions.issue(service, account, session_id, lifetime)


@contextmanager
def taken() -> Iterator[None]:
    """Tells which unique field was taken: EmailTaken, PhoneTaken or UsernameTaken."""
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name in TAKEN:
            raise TAKEN[error.orig.diag.constraint_name] from None
        raise


async def _require_free_username(service: Service, name: str) -> None:
    if await _find(service, Account.username_key == username_key(name)):
        raise UsernameTaken


async def _require_free_phone(service: Service, phone: str) -> None:
    if await _find(service, Account.phone == phone):
        raise PhoneTaken


async def _find(service: Service, *which: Any) -> Row[Any] | None:
    async with service.database.transaction() as connection:
        return (await connection.execute(select(Account.__table__).where(*which))).one_or_none()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


async def login_by_email(service: Service, email: str, password: str, client: Client) -> IssuedTokens:
    """Raises EmailInvalid, CredentialsWrong, AccountDisabled."""
    account = await _find(service, Account.email == parse_email(email))
    settings = service.settings
    return await _login(service, account, password, client, settings.atoken_seconds, settings.rtoken_seconds)


async def login_by_phone(service: Service, phone: str, password: str, client: Client) -> IssuedTokens:
    """Raises PhoneInvalid, CredentialsWrong, AccountDisabled."""
    account = await _find(service, Account.phone == parse_phone(phone, service.settings.phone_region))
    return await _login(service, account, password, client, service.settings.chat_token_seconds)


async def _login(
    service: Service, account: Row[Any] | None, password: str, client: Client, access: int, refresh: int = 0
) -> IssuedTokens:
    """One bcrypt comparison whether or not there is an account, so that the time does not tell."""
    if not await service.passwords.verify(password, account and account.password_hash) or account is None:
        LOGINS.labels("refused").inc()
        raise CredentialsWrong
    async with service.database.transaction() as connection:
        current = await _relock(connection, account)
        if current.disabled_at:
            LOGINS.labels("disabled").inc()
            raise AccountDisabled
        session_id, _ = await sessions.start(connection, service, current, client, max(access, refresh))
    LOGINS.labels("done").inc()
    return sessions.issue(service, current, session_id, access, refresh)


async def _relock(connection: AsyncConnection, verified: Row[Any]) -> Row[Any]:
    """The account locked, after its password was verified outside: CredentialsWrong if it changed meanwhile."""
    try:
        current = await lock_account(connection, verified.id)
    except UserNotFound:
        raise CredentialsWrong from None
    if current.password_hash != verified.password_hash:
        raise CredentialsWrong
    return current


async def _verify_own_password(service: Service, caller: Caller, password: str) -> Row[Any]:
    account = await _find(service, Account.id == caller.user_id, Account.deleted_at.is_(None))
    if account is None:
        raise UserNotFound
    if not await service.passwords.verify(password, account.password_hash):
        raise CredentialsWrong
    return account


async def change_password(service: Service, caller: Caller, old: str, new: str) -> None:
    """Ends the caller's other sessions. Raises CredentialsWrong, PasswordInvalid."""
    check_password(new)
    account = await _verify_own_password(service, caller, old)
    new_hash = await service.passwords.hash(new)
    async with service.database.transaction() as connection:
        await _relock(connection, account)
        await _set(connection, caller.user_id, password_hash=new_hash)
        await sessions.revoke(connection, caller.user_id, Session.id != caller.session_id)


async def reset_password(service: Service, email: str, code: str, password: str) -> None:
    """Ends all sessions. Raises EmailInvalid, PasswordInvalid, CodeInvalid, UserNotFound.

    That there is no such account is told only to who holds the address.
    """
    address = parse_email(email)
    check_password(password)
    await service.codes.redeem(address, code)
    account = await _find(service, Account.email == address)
    if account is None:
        raise UserNotFound
    new_hash = await service.passwords.hash(password)
    async with service.database.transaction() as connection:
        current = await lock_account(connection, account.id)
        if current.email != address:
            raise UserNotFound
        await _set(connection, account.id, password_hash=new_hash)
        await sessions.revoke(connection, account.id)


async def bind_email(service: Service, caller: Caller, email: str, code: str, password: str) -> None:
    """Raises EmailInvalid, CredentialsWrong, CodeInvalid, EmailTaken."""
    address = parse_email(email)
    account = await _verify_own_password(service, caller, password)
    await service.codes.redeem(address, code)
    await _bind(service, account, email=address)


async def bind_phone(service: Service, caller: Caller, phone: str, password: str) -> None:
    """Raises PhoneInvalid, CredentialsWrong, PhoneTaken."""
    number = parse_phone(phone, service.settings.phone_region)
    account = await _verify_own_password(service, caller, password)
    await _bind(service, account, phone=number)


async def _bind(service: Service, account: Row[Any], **identity: str) -> None:
    with taken():
        async with service.database.transaction() as connection:
            await _relock(connection, account)
            await _set(connection, account.id, **identity)
            await events.profile_updated(connection, account.id)


async def delete_account(service: Service, caller: Caller, password: str) -> None:
    """Empties the account and ends its sessions; the others hear of it by event. Raises CredentialsWrong."""
    account = await _verify_own_password(service, caller, password)
    gone = f"DELETED-{caller.user_id}"  # as a key in capitals, no name can have taken it
    async with service.database.transaction() as connection:
        await _relock(connection, account)
        await sessions.revoke(connection, caller.user_id)
        await connection.execute(update(Session).where(Session.user_id == caller.user_id).values(device="", ip=""))
        await _set(
            connection,
            caller.user_id,
            username=gone,
            username_key=gone,
            nickname="",
            avatar="",
            bio="",
            sex=0,
            email=None,
            phone=None,
            password_hash="",
            client_ip="",
            client_port=0,
            device="",
            deleted_at=func.now(),
        )
        await events.account_deleted(connection, caller.user_id)


async def _set(connection: AsyncConnection, user_id: int, **values: Any) -> None:
    await connection.execute(update(Account).where(Account.id == user_id).values(updated_at=func.now(), **values))
