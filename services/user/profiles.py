"""Profiles: what users show of themselves, and to whom."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select, update

from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.pages import check_batch
from services.kit.roles import SUPER_ADMIN, is_admin
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.user import events
from services.user.accounts import ADMITTED, lock_account
from services.user.errors import EmailUnverified, NotPermitted, ProfileInvalid, UserNotFound
from services.user.identities.lookalikes import require_no_impostor, skeleton
from services.user.identities.parsing import parse_email, parse_username, username_key
from services.user.models import Account

MAX_AVATAR, MAX_BIO = 2_048, 500  # characters
IS_THERE = Account.deleted_at.is_(None)
BY_ID: Statement[Any] = Statement(select(Account.__table__).where(one_of(Account.id, "ids"), IS_THERE))
BY_NAME: Statement[Any] = Statement(select(Account.__table__).where(one_of(Account.username_key, "keys"), IS_THERE))
PLAIN_FIELDS = ("avatar", "bio", "searchable_by_phone", "searchable_by_email")


async def batch_get(connection: AsyncConnection, user_ids: Sequence[int]) -> Sequence[Any]:
    """The accounts with those ids, in any order. Raises BatchTooLarge."""
    check_batch(user_ids)
    return await connection.fetch(BY_ID, ids=list(user_ids))


async def batch_get_by_username(connection: AsyncConnection, names: Sequence[str]) -> tuple[Sequence[Any], list[int]]:
    """The accounts with those usernames, in any order, and for each name its account's place, from 1; 0: none.

    Raises BatchTooLarge.
    """
    check_batch(names)
    keys = [username_key(name) for name in names]
    rows = await connection.fetch(BY_NAME, keys=[key for key in keys if "\0" not in key])
    places = {row.username_key: place for place, row in enumerate(rows, 1)}
    return rows, [places.get(key, 0) for key in keys]


async def batch_view(connection: AsyncConnection, lookups: Sequence[tuple[int, int]]) -> list[tuple[Any, bool]]:
    """For each (user, viewer): the account, and whether the viewer may see its private fields. Raises BatchTooLarge."""
    check_batch(lookups)
    ids = {id for lookup in lookups for id in lookup}
    accounts = {row.id: row for row in await connection.fetch(BY_ID, ids=list(ids))}
    return [
        (accounts.get(user), user == viewer or (viewer in accounts and is_admin(accounts[viewer].role)))
        for user, viewer in lookups
    ]


async def update_profile(
    connection: AsyncConnection, caller: Caller, user_id: int, changes: dict[str, Any], reserved: tuple[str, ...] = ()
) -> None:
    """Changes the given fields of `username, avatar, bio, email, searchable_by_phone, searchable_by_email`.

    Nobody may take a name that looks `reserved`.

    Raises NotPermitted, UserNotFound, UsernameInvalid, ProfileInvalid, EmailInvalid, EmailUnverified, and, from
    the unique index, UsernameTaken (by accounts.taken).
    """
    if caller.user_id != user_id:
        await require_admin(connection, caller)
    account = await lock_account(connection, user_id)
    if changes.get("email") and parse_email(changes["email"]) != account.email:
        raise EmailUnverified
    values = {key: value for key, value in _parse(changes).items() if value != getattr(account, key)}
    if "username_key" in values:
        await require_no_impostor(connection, values["username"], reserved, user_id)
    if values:
        await connection.execute(update(Account).where(Account.id == user_id).values(updated_at=func.now(), **values))
        await events.profile_updated(connection, user_id)


def _parse(changes: dict[str, Any]) -> dict[str, Any]:
    values = {key: changes[key] for key in PLAIN_FIELDS if key in changes}
    check_avatar(values.get("avatar", ""))
    if len(values.get("bio", "")) > MAX_BIO or "\0" in values.get("bio", ""):
        raise ProfileInvalid(field="bio")
    if "username" in changes:
        name = parse_username(changes["username"])
        values |= {"username": name, "username_key": username_key(name), "nickname": name}
        values["username_skeleton"] = skeleton(name)
    return values


async def require_admin(connection: AsyncConnection, caller: Caller) -> int:
    """The caller's role in the database, which may differ from the token's.

    Raises NotPermitted below admin, and for one who is shut out.
    """
    query = select(Account.role).where(Account.id == caller.user_id, *ADMITTED)
    role = (await connection.execute(query)).scalar_one_or_none()
    if role is None or not is_admin(role):
        raise NotPermitted
    return role


async def require_self_or_admin(connection: AsyncConnection, caller: Caller, user_id: int) -> int:
    """Whom the caller asks about: themselves (0, or their id), or for admins another user. Raises NotPermitted.

    Only a super admin asks about another admin.
    """
    if user_id in (0, caller.user_id):
        return caller.user_id
    role = await require_admin(connection, caller)
    query = select(Account.role).where(Account.id == user_id, Account.deleted_at.is_(None))
    theirs = (await connection.execute(query)).scalar_one_or_none()
    if theirs is None:
        raise UserNotFound
    if is_admin(theirs) and role < SUPER_ADMIN:
        raise NotPermitted
    return user_id


def check_avatar(url: str) -> None:
    """Raises ProfileInvalid for an address that a front end should not load as an image."""
    try:
        scheme = urlsplit(url.strip()).scheme
    except ValueError:
        raise ProfileInvalid(field="avatar") from None
    if len(url) > MAX_AVATAR or scheme not in ("", "http", "https") or not url.isprintable():
        raise ProfileInvalid(field="avatar")
    if url.strip().replace("\\", "/").startswith("//"):  # browsers take it for another host
        raise ProfileInvalid(field="avatar")


def check_sex(sex: int) -> None:
    """0 unknown, 1 male, 2 female, as in the chat app's document. Raises ProfileInvalid."""
    if sex not in (0, 1, 2):
        raise ProfileInvalid(field="sex")
