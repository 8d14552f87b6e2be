"""Limits wrong passwords per account, in PostgreSQL, so that a cache that is lost or away opens nothing.

Guesses from all networks that an account does not know share one allowance; each network from which the user has
logged in has one of its own. So strangers who use up the first allowance do not lock the owner out of a known network.
An identity without an account is limited in the same way, so that the limit does not reveal which accounts exist
(docs/adr/0031-guesses-per-account.md).
"""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kit.context import Caller, network_of
from services.kit.sql.connection import AsyncConnection
from services.user.errors import CredentialsWrong, TooManyGuesses
from services.user.models import KnownNetwork, PasswordGuess
from services.user.service import Service

MAX_NETWORKS = 20  # remembered per account, by last login
NOW = func.clock_timestamp()


class Allowance(NamedTuple):
    """`burst` wrong passwords at once, then one more in each `interval`."""

    burst: int
    interval: timedelta


STRANGERS = Allowance(60, timedelta(minutes=10))  # per account, for all unknown networks together
KNOWN = Allowance(60, timedelta(minutes=2))  # per account and known network
OWN = Allowance(20, timedelta(minutes=5))  # per session, for a user who repeats their password


@asynccontextmanager
async def of_login(service: Service, user_id: int, identity: str, ip: str) -> AsyncIterator[None]:
    """Counts the block as a guess if it raises CredentialsWrong. `user_id` is 0 if nobody has the `identity`.

    Raises TooManyGuesses. The guess is counted before it is evaluated, so parallel ones cannot exceed the limit.
    """
    network = _digest(service, user_id, network_of(ip))
    async with service.database.transaction() as connection:
        is_known = await _knows(connection, user_id, network)
    subject = _digest(service, "login", user_id or identity, network if is_known else "")
    async with _counted(service, subject, KNOWN if is_known else STRANGERS):
        yield


@asynccontextmanager
async def of_session(service: Service, caller: Caller) -> AsyncIterator[None]:
    """For a user who repeats their own password: a stolen token does not buy endless guesses."""
    async with _counted(service, _digest(service, "session", caller.session_id), OWN):
        yield


async def remember_network(connection: AsyncConnection, service: Service, user_id: int, ip: str) -> None:
    """Call it with the account locked. Keeps the last MAX_NETWORKS."""
    if not ip:
        return
    row = insert(KnownNetwork).values(user_id=user_id, network=_digest(service, user_id, network_of(ip)))
    key = (KnownNetwork.user_id, KnownNetwork.network)
    await connection.execute(row.on_conflict_do_update(index_elements=key, set_={"seen_at": NOW}))
    mine = KnownNetwork.user_id == user_id
    newest = select(KnownNetwork.network).where(mine).order_by(KnownNetwork.seen_at.desc()).limit(MAX_NETWORKS)
    await connection.execute(delete(KnownNetwork).where(mine, KnownNetwork.network.not_in(newest)))


async def knows_network(connection: AsyncConnection, service: Service, user_id: int, ip: str) -> bool:
    return await _knows(connection, user_id, _digest(service, user_id, network_of(ip)))


async def forget_networks(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(KnownNetwork).where(KnownNetwork.user_id == user_id))


async def sweep(connection: AsyncConnection) -> None:
    """Deletes allowances that are full again."""
    await connection.execute(delete(PasswordGuess).where(PasswordGuess.full_at < NOW))


async def _knows(connection: AsyncConnection, user_id: int, network: bytes) -> bool:
    query = select(KnownNetwork.user_id).where(KnownNetwork.user_id == user_id, KnownNetwork.network == network)
    return (await connection.execute(query)).one_or_none() is not None


@asynccontextmanager
async def _counted(service: Service, subject: bytes, allowance: Allowance) -> AsyncIterator[None]:
    scale = service.settings.rate_limit_scale
    if not scale:
        yield
        return
    interval, burst = allowance.interval / scale, max(allowance.burst * scale, 1)
    async with service.database.transaction() as connection:
        await _take(connection, subject, interval, burst)
    try:
        yield
    except CredentialsWrong:
        raise
    except Exception:  # such as Overloaded: no password was tried
        await _give_back(service, subject, interval)
        raise
    await _give_back(service, subject, interval)


async def _take(connection: AsyncConnection, subject: bytes, interval: timedelta, burst: float) -> None:
    full_at: Any = func.greatest(PasswordGuess.full_at, NOW) + interval
    row = insert(PasswordGuess).values(subject=subject, full_at=NOW + interval)
    upsert = row.on_conflict_do_update(
        index_elements=(PasswordGuess.subject,), set_={"full_at": full_at}, where=full_at <= NOW + burst * interval
    )
    if (await connection.execute(upsert.returning(PasswordGuess.subject))).one_or_none() is None:
        query = select(PasswordGuess.full_at, NOW.label("now")).where(PasswordGuess.subject == subject)
        used = (await connection.execute(query)).one_or_none()
        raise TooManyGuesses(retry_after=_wait(used.full_at, used.now, interval, burst) if used else 1.0)


def _wait(full_at: datetime, now: datetime, interval: timedelta, burst: float) -> float:
    return max((full_at - now - (burst - 1) * interval).total_seconds(), 1.0)


async def _give_back(service: Service, subject: bytes, interval: timedelta) -> None:
    async with service.database.transaction() as connection:
        values = {"full_at": PasswordGuess.full_at - interval}
        await connection.execute(update(PasswordGuess).where(PasswordGuess.subject == subject).values(values))


def _digest(service: Service, *parts: object) -> bytes:
    text = "\0".join(part.hex() if isinstance(part, bytes) else str(part) for part in parts)
    return hmac.digest(service.settings.internal_secret.encode(), text.encode(), hashlib.sha256)
