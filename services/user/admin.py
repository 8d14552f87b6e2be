"""The operator's commands: `python -m services.user <command>`. The audit records who ran which, on whom and why."""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import typer
from sqlalchemy import ColumnElement, Row, func, select, update

from services.kit.config import ConfigError, refuse
from services.kit.db import Database, next_node
from services.kit.ids import MAX_ID, IdGenerator
from services.kit.process.commands import CommandLine
from services.kit.roles import SUPER_ADMIN
from services.kit.sql.connection import AsyncConnection
from services.user import erasure, events, roles, sessions
from services.user.accounts import change_account, lock_account
from services.user.audit import entries
from services.user.audit.entries import Act, Filter
from services.user.audit.operators import operator
from services.user.config import SERVICE, UserSettings
from services.user.errors import AuditInvalid, EmailInvalid, PhoneInvalid, UserNotFound
from services.user.exports import links
from services.user.identities.parsing import parse_email, parse_phone, username_key
from services.user.models import Account, Session
from services.user.moderation.commands import moderation
from services.user.proofs.passwords import Passwords
from services.user.second_factor import factors, reencryption
from services.user.service import MIGRATIONS, cipher_of

commands = CommandLine(SERVICE, UserSettings, MIGRATIONS)
audit = typer.Typer(help="What operators, admins and moderators did.")
commands.app.add_typer(audit, name="audit")
commands.app.add_typer(moderation, name="moderation")

WHO = typer.Argument(help="user id, email, phone or username")
REASON = typer.Option("", help="why; the audit keeps it")
YES = typer.Option(False, "--yes", help="do not ask")
LIMIT = typer.Option(50, min=1, max=entries.MAX_PAGE, help="how many at most")
SHOWN = ("id", "username", "nickname", "email", "phone", "phone_proven_at", "role", "bio", "avatar", "created_at")
SEEN = ("login_at", "heartbeat_at", "client_ip", "device", "disabled_at")
Change = Callable[[AsyncConnection, Row[Any]], Awaitable[None]]


@commands.app.command()
def make_super_admin(who: str = WHO, reason: str = REASON) -> None:
    """Give a user role 4 (super admin). The first super admin is made this way."""
    _run(
        "make_super_admin",
        who,
        reason,
        lambda connection, account: roles.change_role(connection, account, SUPER_ADMIN, None),
    )


@commands.app.command()
def disable(who: str = WHO, reason: str = REASON) -> None:
    """Lock a user out and end their sessions."""
    _run("disable", who, reason, lambda connection, account: set_disabled(connection, account, True))


@commands.app.command()
def enable(who: str = WHO, reason: str = REASON) -> None:
    """Let a disabled user in again."""
    _run("enable", who, reason, lambda connection, account: set_disabled(connection, account, False))


@commands.app.command()
def revoke_sessions(who: str = WHO, reason: str = REASON) -> None:
    """End all sessions of a user, who may log in again."""
    _run("revoke_sessions", who, reason, lambda connection, account: sessions.revoke(connection, account.id))


@commands.app.command()
def show(who: str = WHO, reason: str = REASON) -> None:
    """Print what the user service knows about a user, as JSON."""

    async def print_out(connection: AsyncConnection, account: Row[Any]) -> None:
        live = select(func.count()).select_from(Session).where(Session.user_id == account.id, *sessions.LIVE)
        known = {name: getattr(account, name) for name in (*SHOWN, *SEEN)}
        known |= {"live_sessions": (await connection.execute(live)).scalar_one()}
        typer.echo(msgspec.json.format(msgspec.json.encode(known)).decode())

    _run("show", who, reason, print_out, tell=False)


@commands.app.command()
def reset_password(who: str = WHO, reason: str = REASON) -> None:
    """Give a user a new password, which is printed once, and end their sessions."""
    password = secrets.token_urlsafe(12)

    async def reset(connection: AsyncConnection, account: Row[Any]) -> None:
        passwords = Passwords(commands.read_settings().bcrypt_cost, threads=1)
        await change_account(connection, account.id, password_hash=await passwords.hash(password))
        await sessions.revoke(connection, account.id)
        passwords.close()

    _run("reset_password", who, reason, reset)
    typer.echo(f"new password: {password}")


@commands.app.command()
def export(
    who: str = WHO,
    address: str = typer.Option(help="of your gateway, such as https://your.host"),
    reason: str = REASON,
) -> None:
    """Print a link, good for a day, to all that hitok holds of a user, to hand to that user."""

    async def make(connection: AsyncConnection, account: Row[Any]) -> None:
        link = await links.replace(connection, account.id, IdGenerator(await next_node(connection))())
        download = f"{address.rstrip('/')}{links.DOWNLOAD}"
        typer.echo(links.url_of(commands.read_settings().internal_secret, download, link.id))

    _run("export", who, reason, make, tell=False)


@commands.app.command()
def turn_off_second_factor(who: str = WHO, reason: str = REASON) -> None:
    """Let a user who lost their device and their recovery codes log in by password alone."""
    _run("turn_off_second_factor", who, reason, lambda connection, account: factors.forget(connection, account.id))


@commands.app.command()
def encrypt_second_factors() -> None:
    """Encrypt all secrets of authenticator apps with the newest secret now, as the service does within 10 minutes."""

    async def work(database: Database, settings: UserSettings) -> None:
        count = await reencryption.encrypt_all(database, cipher_of(settings))
        typer.echo(f"{count} encrypted anew; the old secret is needed no longer")

    commands.run(work)


@commands.app.command()
def erase(who: str = WHO, reason: str = REASON, yes: bool = YES) -> None:
    """Erase an account for good, as its user could (docs/erasure.md)."""
    if not yes:
        typer.confirm(f"Erase {who} and all that is theirs? This cannot be undone.", abort=True)
    _run("erase", who, reason, lambda connection, account: erasure.erase(connection, account.id))


@commands.app.command("list")
def list_users(
    begins: str = typer.Option("", help="only usernames that begin so"), limit: int = LIMIT, reason: str = REASON
) -> None:
    """Print users by username: id, username, role, and whether they are disabled."""

    async def work(database: Database, _: UserSettings) -> None:
        query = select(Account.__table__).where(Account.deleted_at.is_(None)).order_by(Account.username_key)
        query = query.where(Account.username_key.startswith(username_key(begins), autoescape=True)).limit(limit)
        async with database.transaction() as connection:
            for row in await connection.execute(query):
                state = "disabled" if row.disabled_at else ""
                typer.echo(f"{row.id}\t{row.username}\trole {row.role}\t{state}".rstrip())
            await entries.append(connection, Act("list", "user", 0, reason, {"begins": begins}), operator=operator())

    commands.run(work)


@audit.command("list")
def list_audit(
    target: int = typer.Option(0, help="only acts on this id"),
    actor: int = typer.Option(0, help="only acts of this admin or moderator, by user id"),
    act: str = typer.Option("", help="only this act, such as erase"),
    limit: int = LIMIT,
) -> None:
    """Print the audit, the newest first: when, who, what, on what, why."""

    async def work(database: Database, _: UserSettings) -> None:
        async with database.transaction() as connection:
            rows, _cursor = await entries.list_entries(connection, Filter(act, "", target, actor), "", limit)
        for row in rows:
            typer.echo(_audit_line(row))

    commands.run(work)


def _audit_line(row: Any) -> str:
    at: datetime = row.at
    by = f"user {row.actor_id}" if row.actor_id else f"operator {row.operator}" if row.operator else "a service"
    details = f" {msgspec.json.encode(row.details).decode()}" if row.details else ""
    reason = f": {row.reason}" if row.reason else ""
    return f"{at:%Y-%m-%d %H:%M:%S%z} {by} {row.act} {row.target_kind} {row.target_id}{reason}{details}"


async def set_disabled(connection: AsyncConnection, account: Row[Any], disabled: bool) -> None:
    """Disables or enables a locked account; disabling ends its sessions."""
    moment = func.coalesce(Account.disabled_at, func.now()) if disabled else None
    await connection.execute(update(Account).where(Account.id == account.id).values(disabled_at=moment))
    if disabled:
        await sessions.revoke(connection, account.id)
    await events.account_disabled(connection, account.id, disabled)


def _run(act: str, who: str, reason: str, change: Change, tell: bool = True) -> None:
    """Changes a locked account and records that, in one transaction."""

    async def work(database: Database, settings: UserSettings) -> None:
        async with database.transaction() as connection:
            account = await lock_account(connection, await find(connection, who, settings.phone_region))
            await change(connection, account)
            await entries.append(connection, Act(act, "user", account.id, reason), operator=operator())
        if tell:
            typer.echo(f"done: {account.username} ({account.id})")

    try:
        commands.run(work)
    except UserNotFound:
        refuse(ConfigError(f"no such user: {who}"))
    except AuditInvalid:
        refuse(ConfigError("the reason is too long"))


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
