"""The operator's commands: `python -m services.social <command>`. They go to the database, not to a server."""

import asyncio

import typer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import migrate
from services.kit.config import ConfigError, load, refuse
from services.kit.db import open_database
from services.social.config import SERVICE, SocialSettings
from services.social.service import MIGRATIONS

commands = typer.Typer(add_completion=False, help="The social service and its operator's commands.")

FAULTS = {
    "friendships without their other half": """
        SELECT count(*) FROM friendship one WHERE NOT EXISTS
        (SELECT FROM friendship other WHERE other.user_id = one.friend_id AND other.friend_id = one.user_id)""",
    "groups that count their members wrongly": """
        SELECT count(*) FROM "group" LEFT JOIN
        (SELECT group_id, count(*) AS members FROM member GROUP BY group_id) counted ON group_id = id
        WHERE member_count <> coalesce(members, 0)""",
    "groups without the one owner they name": """
        SELECT count(*) FROM "group" LEFT JOIN
        (SELECT group_id, array_agg(user_id) AS owners FROM member WHERE role = 2 GROUP BY group_id) owned
        ON group_id = id WHERE dismissed_at IS NULL AND owners IS DISTINCT FROM ARRAY[owner_id]""",
}


@commands.command("migrate")
def migrate_command() -> None:
    """Bring the database to the newest schema."""
    settings = settings_or_exit()
    try:
        migrate.upgrade(settings.postgres_url, MIGRATIONS)
    except ConfigError as error:
        refuse(error)


@commands.command()
def check() -> None:
    """Count what must never be: half a friendship, a wrong count of members. Ends with 1 if there is any."""
    settings = settings_or_exit()

    async def run() -> dict[str, int]:
        async with open_database(settings) as database:
            await migrate.require_current(database, MIGRATIONS)
            async with database.transaction() as connection:
                return await count_faults(connection)

    try:
        faults = asyncio.run(run())
    except ConfigError as error:
        refuse(error)
    for what, count in faults.items():
        typer.echo(f"{count} {what}")
    raise typer.Exit(1 if any(faults.values()) else 0)


async def count_faults(connection: AsyncConnection) -> dict[str, int]:
    """Reads whole tables, for as long as it takes."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    return {what: (await connection.execute(text(query))).scalar_one() for what, query in FAULTS.items()}


def settings_or_exit() -> SocialSettings:
    try:
        return load(SocialSettings, SERVICE)
    except ConfigError as error:
        refuse(error)
