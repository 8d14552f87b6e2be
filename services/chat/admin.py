"""The operator's commands: `python -m services.chat <command>`. They go to the database, not to a server."""

import asyncio

import typer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.config import SERVICE, ChatSettings
from services.chat.service import MIGRATIONS
from services.kit import migrate
from services.kit.config import ConfigError, load, refuse
from services.kit.db import open_database

commands = typer.Typer(add_completion=False, help="The chat service and its operator's commands.")

FAULTS = {
    "conversations with a gap in their messages": """
        SELECT count(*) FROM conversation LEFT JOIN (SELECT conversation_id, count(*) AS messages, max(seq) AS last
        FROM message GROUP BY conversation_id) counted ON conversation_id = id
        WHERE last_seq <> coalesce(messages, 0) OR last_seq <> coalesce(last, 0)""",
    "conversations behind the revs of their rows": """
        SELECT count(*) FROM conversation JOIN (SELECT conversation_id, max(rev) AS last FROM
        (SELECT conversation_id, rev FROM message UNION ALL SELECT conversation_id, rev FROM conversation_member) AS row
        GROUP BY conversation_id) changed ON conversation_id = id WHERE rev < last""",
    "revs that two messages have": """
        SELECT count(*) FROM (SELECT FROM message GROUP BY conversation_id, rev HAVING count(*) > 1) AS same""",
    "conversations that count their members wrongly": """
        SELECT count(*) FROM conversation LEFT JOIN (SELECT conversation_id, count(*) AS members
        FROM conversation_member WHERE left_at IS NULL GROUP BY conversation_id) counted ON conversation_id = id
        WHERE member_count <> coalesce(members, 0)""",
    "members who have read what was not sent": """
        SELECT count(*) FROM conversation_member JOIN conversation ON conversation.id = conversation_id
        WHERE read_seq > last_seq OR delivered_seq > last_seq OR delivered_seq < read_seq""",
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
    """Count what must never be: a gap, a rev given twice, a wrong count of members. Ends with 1 if there is any."""
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


def settings_or_exit() -> ChatSettings:
    try:
        return load(ChatSettings, SERVICE)
    except ConfigError as error:
        refuse(error)
