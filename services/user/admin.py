"""The operator's commands: `python -m services.user <command>`. They go to the database, not to a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import typer
from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import migrate
from services.kit.config import ConfigError, load, refuse
from services.kit.db import open_database
from services.kit.errors import HitokError
from services.user import events, roles, sessions
from services.user.config import SERVICE, UserSettings
from services.user.errors import UserNotFound
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
    conditions = [Account.username_key == username_key(who)]
    if who.isdecimal():
        conditions.append(Account.id == int(who))
    for column, parse in ((Account.email, parse_email), (Account.phone, lambda text: parse_phone(text, region))):
        try:
            conditions.append(column == parse(who))
        except HitokError:
            continue  # not of that form
    for condition in reversed(conditions):
        user_id = (await connection.execute(select(Account.id).where(condition))).scalar_one_or_none()
        if user_id is not None:
            return user_id
    raise UserNotFound
