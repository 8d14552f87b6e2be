"""The operator's commands: `python -m services.user <command>`. They go to the database, not to a server."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import typer
from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import migrate
from services.kit.config import ConfigError, load, refuse
from services.kit.db import open_database
from services.kit.ids import MAX_ID
from services.user import events, roles, sessions
from services.user.config import SERVICE, UserSettings
from services.user.errors import EmailInvalid, PhoneInvalid, UserNotFound
from services.user.identities import parse_email, parse_phone, username_key
from services.user.models import SUPER_ADMIN, Account
from services.user.service import MIGRATIONS
from services.user.sessions import lock_account

commands = typer.Typer(add_completion=False, help="The user service and its operator's commands.")
WHO = typer.Argument(help="user id, email, phone or username")


@commands.command("migrate")
def migrate_command() -> None:
    """Bring the database to the newest schema."""
    settings = settings_or_exit()
    try:
        migrate.upgrade(settings.postgres_url, MIGRATIONS)
    except ConfigError as error:
        refuse(error)


@commands.command()
def make_super_admin(who: str = WHO) -> None:
    """Give a user role 4. This is how the first one comes to be."""
    _run(who, lambda connection, account: roles.change_role(connection, account, SUPER_ADMIN, by_user_id=None))


@commands.command()
def disable(who: str = WHO) -> None:
    """Lock a user out and end his sessions."""
    _run(who, lambda connection, account: set_disabled(connection, account, True))


@commands.command()
def enable(who: str = WHO) -> None:
    """Let a disabled user in again."""
    _run(who, lambda connection, account: set_disabled(connection, account, False))


@commands.command()
def revoke_sessions(who: str = WHO) -> None:
    """End all sessions of a user; he may log in again."""
    _run(who, lambda connection, account: sessions.revoke(connection, account.id))


async def set_disabled(connection: AsyncConnection, account: Row[Any], disabled: bool) -> None:
    """Of a locked account; disabling ends its sessions."""
    moment = func.coalesce(Account.disabled_at, func.now()) if disabled else None
    await connection.execute(update(Account).where(Account.id == account.id).values(disabled_at=moment))
    if disabled:
        await sessions.revoke(connection, account.id)
    await events.account_disabled(connection, account.id, disabled)


def settings_or_exit() -> UserSettings:
    try:
        return load(UserSettings, SERVICE)
    except ConfigError as error:
        refuse(error)


def _run(who: str, change: Callable[[AsyncConnection, Row[Any]], Awaitable[None]]) -> None:
    settings = settings_or_exit()

    async def run() -> None:
        async with open_database(settings) as database:
            await migrate.require_current(database, MIGRATIONS)
            async with database.transaction() as connection:
                account = await lock_account(connection, await find(connection, who, settings.phone_region))
                await change(connection, account)
        typer.echo(f"done: {account.username} ({account.id})")

    try:
        asyncio.run(run())
    except ConfigError as error:
        refuse(error)
    except UserNotFound:
        refuse(ConfigError(f"no such user: {who}"))


async def find(connection: AsyncConnection, who: str, region: str) -> int:
    """The id of the user meant. Raises UserNotFound."""
    user_id = (await connection.execute(select(Account.id).where(_meant(who, region)))).scalar_one_or_none()
    if user_id is None:
        raise UserNotFound
    return user_id


def _meant(who: str, region: str) -> ColumnElement[bool]:
    """By the first form that fits, and by no other: a username may look like another's email, phone or id."""
    with suppress(EmailInvalid):
        return Account.email == parse_email(who)
    with suppress(PhoneInvalid):
        return Account.phone == parse_phone(who, region)
    if who.isdecimal() and int(who) <= MAX_ID:
        return Account.id == int(who)
    return Account.username_key == username_key(who)
