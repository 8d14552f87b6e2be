"""Encrypts secrets of authenticator apps that are not encrypted, or with a secret that was replaced."""

import asyncio

import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from services.kit.db import Database
from services.kit.errors import Unavailable
from services.user.models import SecondFactor
from services.user.proofs.encryption import Cipher

LOOK_EVERY = 600.0  # seconds; also the wait at the start, while processes of the release before may still serve
BATCH = 200

log = structlog.get_logger("second_factor")


async def keep_encrypted(database: Database, cipher: Cipher) -> None:
    """Runs in the background for ever."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            if count := await encrypt_all(database, cipher):
                log.info("secrets of authenticator apps were encrypted anew", count=count)
        except (SQLAlchemyError, Unavailable) as error:
            log.warning("encrypting the secrets of authenticator apps failed", error=repr(error)[:200])


async def encrypt_all(database: Database, cipher: Cipher) -> int:
    """Encrypts each with the newest secret; returns how many it changed. Raises Unavailable for one it cannot read."""
    changed = 0
    after: int | None = -1
    while after is not None:
        async with database.transaction() as connection:
            old = select(SecondFactor.user_id, SecondFactor.secret).where(
                SecondFactor.user_id > after, SecondFactor.secret.not_like(f"{cipher.prefix}%")
            )
            some = old.order_by(SecondFactor.user_id).limit(BATCH).with_for_update()
            rows = (await connection.execute(some)).all()
            anew = [
                {"id": id, "anew": cipher.encrypt(cipher.decrypt(secret, owner=id), owner=id)} for id, secret in rows
            ]
            if anew:
                change = update(SecondFactor).where(SecondFactor.user_id == bindparam("id"))
                await connection.execute(change.values(secret=bindparam("anew")), anew)
        changed += len(rows)
        after = rows[-1].user_id if len(rows) == BATCH else None
    return changed
