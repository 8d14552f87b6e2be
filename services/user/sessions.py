"""Sessions: one per login, each revocable. A token is valid only while its session is."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import BigInteger, Interval, and_, bindparam, cast, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from services.kit import pages, tokens
from services.kit.context import Caller
from services.kit.db import Database, one_of
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.user import events, guesses
from services.user.accounts import ADMITTED, lock_account
from services.user.errors import SessionNotFound
from services.user.models import Account, Session
from services.user.proofs.second_factor import IS_ON
from services.user.service import Service

NO_ROLE = 5  # above all roles
MAX_LIVE = 50  # sessions per user; the oldest end when more begin
MAX_PAGE = 100  # sessions
MAX_DEVICE = 200  # characters of a User-Agent that are stored
TOUCH_AFTER = timedelta(seconds=60)
KEEP_EXPIRED = timedelta(days=30)
SWEEP_EVERY = 3_600.0  # seconds
ENDED_AT_ONCE = 500  # sessions in one transaction

LIVE = (Session.revoked_at.is_(None), Session.expires_at > func.now())
CHECK: Statement[Any] = Statement(
    select(
        Session.id.label("session_id"),
        Session.user_id,
        Account.id,
        Account.username,
        Account.role,
        and_(Account.role >= bindparam("second_factor_role", type_=BigInteger), ~IS_ON).label("lacks_second_factor"),
        (Session.last_seen_at < func.now() - cast(TOUCH_AFTER, Interval)).label("stale"),
    )
    .join(Account, Account.id == Session.user_id)
    .where(one_of(Session.id, "ids"), *LIVE, *ADMITTED)
)


class Client(NamedTuple):
    """The address and the device of a login."""

    ip: str
    port: int
    device: str


class IssuedTokens(NamedTuple):
    user_id: int
    atoken: str
    rtoken: str
    expires_at: int


async def start(
    connection: AsyncConnection, service: Service, account: Any, client: Client, lifetime: int
) -> tuple[int, datetime]:
    """Starts a session of the locked `account`, `lifetime` seconds long. Returns its id and when it ends."""
    session_id, device = service.new_id(), client.device.replace("\0", "")[:MAX_DEVICE]
    expires_at = datetime.now(UTC) + timedelta(seconds=lifetime)
    await connection.execute(
        insert(Session).values(id=session_id, user_id=account.id, device=device, ip=client.ip, expires_at=expires_at)
    )
    await connection.execute(
        update(Account)
        .where(Account.id == account.id)
        .values(
            login_at=func.now(),
            heartbeat_at=func.now(),
            is_logout=False,
            client_ip=client.ip,
            client_port=client.port,
            device=device,
        )
    )
    await guesses.remember_network(connection, service, account.id, client.ip)
    newest = select(Session.id).where(Session.user_id == account.id, *LIVE).order_by(Session.id.desc()).limit(MAX_LIVE)
    await revoke(connection, account.id, Session.id.not_in(newest))
    return session_id, expires_at


def issue(
    service: Service, account: Any, session_id: int, access: int, refresh: int = 0, refresh_id: str = ""
) -> IssuedTokens:
    """The tokens of a session; `access` and `refresh` are lifetimes in seconds, 0 for no refresh token.

    `refresh_id`: that of the refresh token, where a given one has to count.
    """
    common = {
        "user_id": account.id,
        "username": account.username,
        "role": account.role,
        "session_id": session_id,
    }
    secret = service.settings.jwt_secret
    atoken, expires_at = tokens.issue(secret, token_class="atoken", lifetime=access, **common)
    rtoken = ""
    if refresh:
        rtoken, _ = tokens.issue(secret, token_class="rtoken", lifetime=refresh, jti=refresh_id, **common)
    return IssuedTokens(account.id, atoken, rtoken, expires_at)


async def check(
    connection: AsyncConnection, session_ids: Sequence[int], second_factor_role: int = NO_ROLE
) -> Sequence[Any]:
    """The live ones of those sessions, with `session_id`, `user_id` (also as `id`), `username`, `role` and
    `lacks_second_factor`, for roles from `second_factor_role` on.

    Marks them as seen. Raises BatchTooLarge.
    """
    pages.check_batch(session_ids)
    rows = await connection.fetch(CHECK, ids=list(session_ids), second_factor_role=second_factor_role)
    stale = [row.session_id for row in rows if row.stale]
    if stale:
        await _touch(connection, stale)
    return rows


async def _touch(connection: AsyncConnection, session_ids: Sequence[int]) -> None:
    """Marks sessions and their users as seen.

    Skips rows that another call is marking: two batches in different order could deadlock.
    """
    query = (
        select(Session.id, Session.user_id)
        .join(Account, Account.id == Session.user_id)
        .where(Session.id.in_(session_ids))
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(query)).all()
    now = {"last_seen_at": func.now()}
    await connection.execute(update(Session).where(Session.id.in_([row.id for row in rows])).values(now))
    users = {row.user_id for row in rows}
    await connection.execute(update(Account).where(Account.id.in_(users)).values(heartbeat_at=func.now()))


async def revoke(connection: AsyncConnection, user_id: int, *which: Any) -> None:
    """Ends the live sessions of a locked account that match `which` (none: all), and emits the event."""
    query = (
        update(Session)
        .where(Session.user_id == user_id, Session.revoked_at.is_(None), *which)
        .values(revoked_at=func.now())
        .returning(Session.id)
    )
    ended = (await connection.execute(query)).scalars().all()
    await events.sessions_revoked(connection, user_id, ended)


async def logout(connection: AsyncConnection, caller: Caller) -> None:
    """Ends the caller's own session."""
    await lock_account(connection, caller.user_id)
    await revoke(connection, caller.user_id, Session.id == caller.session_id)
    others = select(Session.id).where(Session.user_id == caller.user_id, *LIVE).exists()
    await connection.execute(
        update(Account).where(Account.id == caller.user_id).values(logout_at=func.now(), is_logout=~others)
    )


async def revoke_one(connection: AsyncConnection, user_id: int, session_id: int) -> None:
    """Ends one of the user's sessions; no error if it has ended. Raises SessionNotFound if it is not the user's."""
    await lock_account(connection, user_id)
    theirs = select(Session.id).where(Session.id == session_id, Session.user_id == user_id)
    if (await connection.execute(theirs)).one_or_none() is None:
        raise SessionNotFound
    await revoke(connection, user_id, Session.id == session_id)


async def revoke_others(connection: AsyncConnection, caller: Caller) -> None:
    """Ends the caller's other sessions. Raises UserNotFound."""
    await lock_account(connection, caller.user_id)
    await revoke(connection, caller.user_id, Session.id != caller.session_id)


async def list_live(connection: AsyncConnection, user_id: int, cursor: str, limit: int) -> pages.Page:
    """The user's live sessions, newest first, and the next page's cursor."""
    theirs = (Session.user_id == user_id, Session.id < pages.id_before(cursor), *LIVE)
    query = select(Session.__table__).where(*theirs).order_by(Session.id.desc())
    return await pages.fetch(connection, query, "id", limit=limit, most=MAX_PAGE, cursor=cursor)


async def sweep(database: Database) -> None:
    """Runs in the background, for ever."""
    while True:
        try:
            await sweep_once(database)
        except SQLAlchemyError as error:
            structlog.get_logger("sessions").warning("sweep failed", error=repr(error)[:200])
        await asyncio.sleep(SWEEP_EVERY)


async def sweep_once(database: Database) -> None:
    """Ends the sessions that have expired, and deletes those that expired KEEP_EXPIRED ago and guesses that no longer
    count. The other services hear of an end as of a revocation."""
    while await end_expired(database) == ENDED_AT_ONCE:
        pass
    async with database.transaction() as connection:
        await connection.execute(delete(Session).where(Session.expires_at < func.now() - KEEP_EXPIRED))
        await guesses.sweep(connection)


async def end_expired(database: Database) -> int:
    """Ends those that expired first, and emits their events. Returns how many: at most ENDED_AT_ONCE."""
    expired = (
        select(Session.id)
        .where(Session.revoked_at.is_(None), Session.expires_at < func.now())
        .order_by(Session.expires_at)
        .limit(ENDED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    end = update(Session).where(Session.id.in_(expired)).values(revoked_at=Session.expires_at)
    async with database.transaction() as connection:
        ended: dict[int, list[int]] = {}
        for row in await connection.execute(end.returning(Session.user_id, Session.id)):
            ended.setdefault(row.user_id, []).append(row.id)
        for user_id, ids in ended.items():
            await events.sessions_revoked(connection, user_id, ids)
    return sum(map(len, ended.values()))
