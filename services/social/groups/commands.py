"""The operator's commands on groups: `python -m services.social group <command>`.

They only read. Hiding and removing is a moderator's act, which the owner hears of and may appeal: `python -m
services.user moderation act group ID hide` (docs/moderation.md).
"""

from typing import Any

import msgspec
import typer
from sqlalchemy import Row, select

from services.kit.config import ConfigError, refuse
from services.kit.process.commands import CommandLine
from services.kit.sql.connection import AsyncConnection
from services.social.config import SERVICE, SocialSettings
from services.social.models import Group, Member
from services.social.service import MIGRATIONS

ROLES = ("member", "admin", "owner")

group = typer.Typer(help="What is known of groups. `python -m services.user moderation act group …` hides or removes.")


@group.command()
def show(group_id: int = typer.Argument(metavar="ID")) -> None:
    """Print what the social service knows about a group and its staff, as JSON; a dismissed one is empty."""

    async def look(connection: AsyncConnection) -> dict[str, Any]:
        row = (await connection.execute(select(Group.__table__).where(Group.id == group_id))).one_or_none()
        if row is None:
            refuse(ConfigError(f"no such group: {group_id}"))
        staff = select(Member.user_id, Member.role).where(Member.group_id == group_id, Member.role > 0)
        found = (await connection.execute(staff.order_by(Member.id))).all()
        return dict(row._mapping) | {"staff": {str(member.user_id): ROLES[member.role] for member in found}}

    known = CommandLine(SERVICE, SocialSettings, MIGRATIONS).read(look)
    typer.echo(msgspec.json.format(msgspec.json.encode(known)).decode())


@group.command("list")
def list_groups(
    begins: str = typer.Option("", help="only names that begin so"),
    owner: int = typer.Option(0, help="only of this user, by id"),
    hidden: bool = typer.Option(False, "--hidden", help="only those that moderators hid"),
    limit: int = typer.Option(50, min=1, max=1_000, help="how many at most"),
) -> None:
    """Print groups, the newest first: id, owner, members, whether it is hidden, name."""

    query = select(Group.__table__).where(Group.dismissed_at.is_(None)).order_by(Group.id.desc()).limit(limit)
    query = query.where(Group.name.startswith(begins, autoescape=True)) if begins else query
    query = query.where(Group.owner_id == owner) if owner else query
    query = query.where(Group.hidden_at.is_not(None)) if hidden else query
    for row in CommandLine(SERVICE, SocialSettings, MIGRATIONS).read(lambda connection: connection.execute(query)):
        typer.echo(_line(row))


def _line(row: Row[Any]) -> str:
    return f"{row.id}\tof {row.owner_id}\t{row.member_count} members\t{'hidden' if row.hidden_at else ''}\t{row.name}"
