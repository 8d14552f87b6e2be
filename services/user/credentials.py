"""Logging in, and changing a password, an email or a phone.

A password is verified outside any transaction, since that takes a tenth of a second. The account is read in a first
transaction; the second one locks it and makes sure that its password is still the one that was verified.
"""

from typing import Any, NamedTuple

from prometheus_client import Counter
from sqlalchemy import Row

from services.kit.context import Caller
from services.user import email_changes, events, guesses, sessions
from services.user.accounts import (
    change_account,
    find_account,
    lock_account,
    lock_phone_holder,
    prove_phone,
    relock,
    require_admitted,
    take_phone_from_others,
    taken,
)
from services.user.errors import (
    AccountBanned,
    AccountDisabled,
    AccountSuspended,
    CredentialsWrong,
    SecondCodeWrong,
    SecondFactorRequired,
    TooManyGuesses,
    UserNotFound,
)
from services.user.identities.parsing import parse_email, parse_phone
from services.user.models import Account, Session
from services.user.proofs import codes
from services.user.proofs.passwords import check_password
from services.user.proofs.second_factor import require_code
from services.user.service import Service
from services.user.sessions import Client, IssuedTokens

LOGINS = Counter("hitok_logins", "Logins by password", ["outcome"])
OUTCOMES = {
    CredentialsWrong: "refused",
    SecondCodeWrong: "refused",
    SecondFactorRequired: "asked for the second factor",
    TooManyGuesses: "limited",
    AccountDisabled: "disabled",
    AccountBanned: "banned",
    AccountSuspended: "suspended",
}
for outcome in ("done", *OUTCOMES.values()):
    LOGINS.labels(outcome)


class Login(NamedTuple):
    password: str
    second_code: str
    client: Client


class Lifetimes(NamedTuple):
    """Of a session's tokens, in seconds; 0: no refresh token."""

    access: int
    refresh: int = 0


async def login_by_email(
    service: Service, email: str, password: str, client: Client, second_code: str = ""
) -> IssuedTokens:
    """Raises EmailInvalid, CredentialsWrong, TooManyGuesses, Overloaded, and what require_admitted raises."""
    address, settings = parse_email(email), service.settings
    lifetimes = Lifetimes(settings.atoken_seconds, settings.rtoken_seconds)
    return await _login(service, Account.email, address, Login(password, second_code, client), lifetimes)


async def login_by_phone(
    service: Service, phone: str, password: str, client: Client, second_code: str = ""
) -> IssuedTokens:
    """Raises PhoneInvalid, CredentialsWrong, TooManyGuesses, Overloaded, and what require_admitted raises."""
    number = parse_phone(phone, service.settings.phone_region)
    lifetimes = Lifetimes(service.settings.chat_token_seconds)
    return await _login(service, Account.phone, number, Login(password, second_code, client), lifetimes)


async def _login(service: Service, column: Any, identity: str, login: Login, lifetimes: Lifetimes) -> IssuedTokens:
    """The account whose `column` is `identity`, if the password is right.

    One bcrypt comparison whether or not the account exists, so that the time does not reveal it.
    """
    service.passwords.require_room()
    account = await find_account(service, column == identity)
    try:
        async with guesses.of_login(service, account.id if account else 0, identity, login.client.ip):
            password_hash = account and account.password_hash
            if not await service.passwords.verify(login.password, password_hash) or account is None:
                raise CredentialsWrong
            issued = await _start_session(service, account, login, lifetimes)
    except tuple(OUTCOMES) as error:
        LOGINS.labels(OUTCOMES[type(error)]).inc()
        raise
    LOGINS.labels("done").inc()
    return issued


async def verify_login(service: Service, email: str, phone: str, login: Login) -> Row[Any]:
    """The account with that email, or else phone, if password and code are right; also one that may not log in.

    Raises EmailInvalid, PhoneInvalid, CredentialsWrong, TooManyGuesses, Overloaded, SecondFactorRequired,
    SecondCodeWrong.
    """
    number = "" if email else parse_phone(phone, service.settings.phone_region)
    column, identity = (Account.email, parse_email(email)) if email else (Account.phone, number)
    service.passwords.require_room()
    account = await find_account(service, column == identity)
    async with guesses.of_login(service, account.id if account else 0, identity, login.client.ip):
        if not await service.passwords.verify(login.password, account and account.password_hash) or account is None:
            raise CredentialsWrong
        async with service.database.transaction() as connection:
            await relock(connection, account)
            await require_code(connection, service.cipher, account.id, login.second_code)
    return account


async def _start_session(service: Service, account: Row[Any], login: Login, lifetimes: Lifetimes) -> IssuedTokens:
    async with service.database.transaction() as connection:
        current = await relock(connection, account)
        require_admitted(current)
        await require_code(connection, service.cipher, current.id, login.second_code)
        session_id, _ = await sessions.start(connection, service, current, login.client, max(lifetimes))
    return sessions.issue(service, current, session_id, *lifetimes)


async def verify_own_password(service: Service, caller: Caller, password: str) -> Row[Any]:
    """The caller's account. Raises UserNotFound, CredentialsWrong, TooManyGuesses, Overloaded."""
    account = await find_account(service, Account.id == caller.user_id, Account.deleted_at.is_(None))
    if account is None:
        raise UserNotFound
    async with guesses.of_session(service, caller):
        if not await service.passwords.verify(password, account.password_hash):
            raise CredentialsWrong
    return account


async def change_password(service: Service, caller: Caller, old: str, new: str) -> None:
    """Ends the caller's other sessions. Raises CredentialsWrong, PasswordInvalid."""
    check_password(new)
    account = await verify_own_password(service, caller, old)
    new_hash = await service.passwords.hash(new)
    async with service.database.transaction() as connection:
        await relock(connection, account)
        await change_account(connection, caller.user_id, password_hash=new_hash)
        await sessions.revoke(connection, caller.user_id, Session.id != caller.session_id)


async def reset_password(service: Service, email: str, code: str, password: str, client: Client) -> None:
    """Ends all sessions; the account knows the client's network from then on.

    Raises EmailInvalid, PasswordInvalid, CodeInvalid, UserNotFound.

    UserNotFound is raised after the code was checked: only the holder of the address learns that it has no account.
    """
    address = parse_email(email)
    check_password(password)
    await service.codes.redeem(address, code, codes.RESETTING, client.ip)
    account = await find_account(service, Account.email == address)
    if account is None:
        raise UserNotFound
    new_hash = await service.passwords.hash(password)
    async with service.database.transaction() as connection:
        current = await lock_account(connection, account.id)
        if current.email != address:
            raise UserNotFound
        await change_account(connection, account.id, password_hash=new_hash)
        await guesses.remember_network(connection, service, account.id, client.ip)
        await sessions.revoke(connection, account.id)


async def bind_email(service: Service, caller: Caller, email: str, code: str, password: str, client: Client) -> None:
    """The address it replaces can undo that. Raises EmailInvalid, CredentialsWrong, CodeInvalid, EmailTaken."""
    address = parse_email(email)
    account = await verify_own_password(service, caller, password)
    await service.codes.redeem(address, code, codes.BINDING, client.ip)
    await _bind(service, caller, account, email=address)


async def bind_phone(service: Service, caller: Caller, phone: str, password: str, code: str, client: Client) -> None:
    """With a `code`, where SMS is configured, the phone moves from whoever has it.

    Raises PhoneInvalid, CredentialsWrong, CodeInvalid, PhoneTaken.
    """
    number = parse_phone(phone, service.settings.phone_region)
    account = await verify_own_password(service, caller, password)
    proven_at = await prove_phone(service, number, code, codes.BINDING, client.ip)
    await _bind(service, caller, account, phone=number, phone_proven_at=proven_at)


async def _bind(service: Service, caller: Caller, account: Row[Any], **identity: Any) -> None:
    """Ends the caller's other sessions, unless nothing changes."""
    proven_at = identity.get("phone_proven_at")
    with taken():
        async with service.database.transaction() as connection:
            if proven_at:
                await lock_phone_holder(connection, identity["phone"], account.id)
            current = await relock(connection, account)
            given = identity.keys() - {"phone_proven_at"}
            if not proven_at and all(getattr(current, name) == identity[name] for name in given):
                return
            if "email" in identity:
                await email_changes.record(connection, service, current)
            if proven_at:
                await take_phone_from_others(connection, identity["phone"], account.id)
            await change_account(connection, account.id, **identity)
            await sessions.revoke(connection, account.id, Session.id != caller.session_id)
            await events.profile_updated(connection, account.id)
