"""Checks codes of the second factor of a login: time-based ones (RFC 6238), and recovery codes.

A code counts once: the time step of the last one is kept, and only later steps count.
"""

import hashlib
import hmac
import secrets
import time

import pyotp
from sqlalchemy import delete, exists, select, update

from services.kit.sql.connection import AsyncConnection
from services.user.errors import SecondCodeWrong, SecondFactorRequired
from services.user.models import Account, RecoveryCode, SecondFactor
from services.user.proofs.encryption import Cipher

PERIOD = 30  # seconds of a step
DRIFT = 1  # steps by which a clock may be wrong
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # without characters that look alike
LENGTH = 12  # characters of a recovery code: 58 bits
IS_ON = exists().where(SecondFactor.user_id == Account.id, SecondFactor.turned_on_at.is_not(None))


async def require_code(connection: AsyncConnection, cipher: Cipher, user_id: int, code: str) -> None:
    """Call it with the account locked. Does nothing for a user without a second factor.

    Raises SecondFactorRequired without a code, SecondCodeWrong, and what Cipher.decrypt raises.
    """
    query = select(SecondFactor.__table__).where(SecondFactor.user_id == user_id)
    factor = (await connection.execute(query.where(SecondFactor.turned_on_at.is_not(None)))).one_or_none()
    if factor is None:
        return
    typed = code.strip().replace(" ", "").replace("-", "").upper()
    if not typed:
        raise SecondFactorRequired
    if len(typed) == LENGTH:
        await _use_recovery_code(connection, user_id, typed)
    else:
        secret = cipher.decrypt(factor.secret, owner=user_id)
        await use_step(connection, user_id, step_of(secret, typed, factor.last_step))


def step_of(secret: str, code: str, last_step: int) -> int:
    """The time step whose code this is. Raises SecondCodeWrong, also for a step that was used."""
    now, totp = int(time.time()) // PERIOD, pyotp.TOTP(secret)
    for step in range(max(now - DRIFT, last_step + 1), now + DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            return step
    raise SecondCodeWrong


async def use_step(connection: AsyncConnection, user_id: int, step: int) -> None:
    used = update(SecondFactor).where(SecondFactor.user_id == user_id)
    await connection.execute(used.values(last_step=step))


async def _use_recovery_code(connection: AsyncConnection, user_id: int, code: str) -> None:
    row = (RecoveryCode.user_id == user_id, RecoveryCode.digest == digest_of(user_id, code))
    used = await connection.execute(delete(RecoveryCode).where(*row).returning(RecoveryCode.user_id))
    if used.one_or_none() is None:
        raise SecondCodeWrong


def new_recovery_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def digest_of(user_id: int, code: str) -> bytes:
    """A plain hash suffices, as nobody can try 58 bits."""
    return hashlib.sha256(f"{user_id}\0{code}".encode()).digest()
