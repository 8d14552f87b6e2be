"""The operator's commands: `python -m services.user <command>`."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import typer
from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.config import ConfigError, refuse
from services.kit.db import Database
from services.kit.ids import MAX_ID
from services.kit.process.commands import CommandLine
from services.kit.roles import SUPER_ADMIN
from services.user import events, roles, sessions
from services.user.accounts import lock_account
from services.user.config import SERVICE, UserSettings
from services.user.errors import EmailInvalid, PhoneInvalid, UserNotFound
from services.user.identities import parse_email, parse_phone, username_key
from services.user.models import Account
from services.user.service import MIGRATIONS

commands = CommandLine(SERVICE, UserSettings, MIGRATIONS)
WHO = typer.Argument(help="user id, email, phone or username")


@commands.app.command()
def make_super_admin(who: str = WHO) -> None:
    """Give a user role 4 (super admin). The first super admin is made this way."""
    _run(who, lambda connection, account: roles.change_role(connection, account, SUPER_ADMIN, by_user_id=None))


@commands.app.command()
def disable(who: str = WHO) -> None:
    """Lock a user out and end their sessions."""
    _run(who, lambda connection, account: set_disabled(connection, account, True))


@commands.app.command()
def enable(who: str = WHO) -> None:
    """Let a disabled user in again."""
    _run(who, lambda connection, account: set_disabled(connection, account, False))


@commands.app.command()
def revoke_sessions(who: str = WHO) -> None:
    """End all sessions of a user, who may log in again."""
    _run(who, lambda connection, account: sessions.revoke(connection, account.id))


async def set_disabled(connection: AsyncConnection, account: Row[Any], disabled: bool) -> None:
    """Disables or enables a locked account; disabling ends its sessions."""
    moment = func.coalesce(Account.disabled_at, func.now()) if disabled else None
    await connection.execute(update(Account).where(Account.id == account.id).values(disabled_at=moment))
    if disabled:
        await sessions.revoke(connection, account.id)
    await events.account_disabled(connection, account.id, disabled)


def _run(who: str, change: Callable[[AsyncConnection, Row[Any]], Awaitable[None]]) -> None:
    async def work(database: Database, settings: UserSettings) -> None:
        async with database.transaction() as connection:
            account = await lock_account(connection, await find(connection, who, settings.phone_region))
            await change(connection, account)
        typer.echo(f"done: {account.username} ({account.id})")

    try:
        commands.run(work)
    except UserNotFound:
        refuse(ConfigError(f"no such user: {who}"))


async def find(connection: AsyncConnection, who: str, region: str) -> int:
    """The id of the user whom `who` names: by email, phone, id or username. Raises UserNotFound."""
    user_id = (await connection.execute(select(Account.id).where(_meant(who, region)))).scalar_one_or_none()
    if user_id is None:
        raise UserNotFound
    return user_id


def _meant(who: str, region: str) -> ColumnElement[bool]:
    """Only the first form that fits counts: a username may look like the email, phone or id of another user."""
    with suppress(EmailInvalid):
        return Account.email == parse_email(who)
    with suppress(PhoneInvalid):
        return Account.phone == parse_phone(who, region)
    if who.isdecimal() and int(who) <= MAX_ID:
        return Account.id == int(who)
    return Account.username_key == username_key(who)
