"""Turning the second factor of one's logins on and off. Wrong codes count as wrong passwords do (guesses.py)."""

from typing import NamedTuple

import pyotp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.user import guesses, sessions
from services.user.accounts import lock_account, relock
from services.user.config import UserSettings
from services.user.credentials import verify_own_password
from services.user.errors import NotPermitted, SecondFactorOff, SecondFactorOn
from services.user.models import Account, RecoveryCode, SecondFactor, Session
from services.user.proofs.second_factor import (
    IS_ON,
    LENGTH,
    digest_of,
    new_recovery_code,
    require_code,
    step_of,
    use_step,
)
from services.user.service import Service

CODES = 10  # recovery codes
ISSUER = "hitok"  # as authenticator apps show it


class State(NamedTuple):
    on: bool
    required: bool
    recovery_codes: int


class Begun(NamedTuple):
    secret: str
    uri: str


async def get_state(connection: AsyncConnection, settings: UserSettings, caller: Caller) -> State:
    codes = select(func.count()).where(RecoveryCode.user_id == Account.id).scalar_subquery()
    query = select(IS_ON.label("is_on"), Account.role, codes.label("codes")).where(Account.id == caller.user_id)
    row = (await connection.execute(query)).one()
    return State(row.is_on, row.role >= settings.second_factor_role, row.codes)


async def begin(service: Service, caller: Caller, password: str) -> Begun:
    """Makes a new secret, which counts once it is turned on. Raises CredentialsWrong, SecondFactorOn."""
    account = await verify_own_password(service, caller, password)
    secret = pyotp.random_base32()
    async with service.database.transaction() as connection:
        await relock(connection, account)
        await _require(connection, caller, on=False)
        kept = {"secret": service.cipher.encrypt(secret, owner=caller.user_id)}
        row = upsert(SecondFactor).values(user_id=caller.user_id, **kept)
        await connection.execute(row.on_conflict_do_update(index_elements=(SecondFactor.user_id,), set_=kept))
    return Begun(secret, pyotp.TOTP(secret).provisioning_uri(name=account.username, issuer_name=ISSUER))


async def turn_on(service: Service, caller: Caller, code: str) -> list[str]:
    """The recovery codes. Ends the caller's other sessions. Raises SecondFactorOn, SecondFactorOff, SecondCodeWrong."""
    async with guesses.of_session(service, caller), service.database.transaction() as connection:
        await lock_account(connection, caller.user_id)
        await _require(connection, caller, on=False)
        begun = (
            await connection.execute(select(SecondFactor.secret).where(SecondFactor.user_id == caller.user_id))
        ).scalar_one_or_none()
        if begun is None:
            raise SecondFactorOff
        secret = service.cipher.decrypt(begun, owner=caller.user_id)
        await use_step(connection, caller.user_id, step_of(secret, code.strip().replace(" ", ""), 0))
        on = update(SecondFactor).where(SecondFactor.user_id == caller.user_id).values(turned_on_at=func.now())
        await connection.execute(on)
        await sessions.revoke(connection, caller.user_id, Session.id != caller.session_id)
        return await _renew_codes(connection, caller.user_id)


async def turn_off(service: Service, caller: Caller, password: str, code: str) -> None:
    """Raises CredentialsWrong, SecondFactorOff, SecondCodeWrong, and NotPermitted if the caller's role requires it."""
    account = await verify_own_password(service, caller, password)
    if account.role >= service.settings.second_factor_role:
        raise NotPermitted
    async with guesses.of_session(service, caller), service.database.transaction() as connection:
        await relock(connection, account)
        await _require(connection, caller, on=True)
        await require_code(connection, service.cipher, caller.user_id, code)
        await forget(connection, caller.user_id)


async def renew_codes(service: Service, caller: Caller, password: str, code: str) -> list[str]:
    """Raises CredentialsWrong, SecondFactorOff, SecondCodeWrong."""
    account = await verify_own_password(service, caller, password)
    async with guesses.of_session(service, caller), service.database.transaction() as connection:
        await relock(connection, account)
        await _require(connection, caller, on=True)
        await require_code(connection, service.cipher, caller.user_id, code)
        return await _renew_codes(connection, caller.user_id)


async def forget(connection: AsyncConnection, user_id: int) -> None:
    for model in (RecoveryCode, SecondFactor):
        await connection.execute(delete(model).where(model.user_id == user_id))


async def _require(connection: AsyncConnection, caller: Caller, on: bool) -> None:
    query = select(SecondFactor.turned_on_at).where(SecondFactor.user_id == caller.user_id)
    is_on = (await connection.execute(query)).scalar_one_or_none() is not None
    if is_on != on:
        raise SecondFactorOn if is_on else SecondFactorOff


async def _renew_codes(connection: AsyncConnection, user_id: int) -> list[str]:
    await connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [new_recovery_code() for _ in range(CODES)]
    rows = [{"user_id": user_id, "digest": digest_of(user_id, code)} for code in codes]
    await connection.execute(insert(RecoveryCode).values(rows))
    third = LENGTH // 3
    return ["-".join(code[at : at + third] for at in range(0, LENGTH, third)) for code in codes]
