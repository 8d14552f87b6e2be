"""The operator's commands: `python -m services.media <command>`. They go to the database and the store."""

import asyncio

import typer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import migrate
from services.kit.config import ConfigError, load, refuse
from services.kit.db import open_database
from services.media import drift, sweeper
from services.media.config import SERVICE, MediaSettings
from services.media.service import MIGRATIONS
from services.media.storage import open_storage

commands = typer.Typer(add_completion=False, help="The media service and its operator's commands.")

FAULTS = {
    "objects ready that lack what was to be made of them": """
        SELECT count(*) FROM object JOIN job ON object_hash = hash WHERE state = 2 AND due_at IS NOT NULL""",
    "objects processing with nothing left to do": """
        SELECT count(*) FROM object WHERE state = 1
        AND NOT EXISTS (SELECT FROM job WHERE object_hash = hash AND due_at IS NOT NULL)""",
    "resumable uploads whose parts do not add up": """
        SELECT count(*) FROM partial_upload LEFT JOIN
        (SELECT upload_id, sum(size) AS kept FROM part GROUP BY upload_id) parts ON upload_id = id
        WHERE object_hash IS NULL AND received <> coalesce(kept, 0)""",
    **drift.FAULTS,
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
    """Count what must never be: rows without their files, wrong states. Ends with 1 if there is any."""
    settings = settings_or_exit()

    async def run() -> dict[str, int]:
        async with open_database(settings) as database:
            await migrate.require_current(database, MIGRATIONS)
            missing = await sweeper.count_missing(database, open_storage(settings))
            async with database.transaction() as connection:
                return await count_faults(connection) | {"objects whose file is not in the store": missing}

    try:
        faults = asyncio.run(run())
    except ConfigError as error:
        refuse(error)
    for what, count in faults.items():
        typer.echo(f"{count} {what}")
    raise typer.Exit(1 if any(faults.values()) else 0)


@commands.command()
def repair() -> None:
    """Set wrong counters right, from the rows; nobody can write meanwhile."""
    settings = settings_or_exit()

    async def run() -> dict[str, int]:
        async with open_database(settings) as database:
            await migrate.require_current(database, MIGRATIONS)
            async with database.transaction() as connection:
                return await drift.repair(connection)

    try:
        repaired = asyncio.run(run())
    except ConfigError as error:
        refuse(error)
    for counter, count in repaired.items():
        typer.echo(f"{count} {counter}")


async def count_faults(connection: AsyncConnection) -> dict[str, int]:
    """Reads whole tables, for as long as it takes."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    return {what: (await connection.execute(text(query))).scalar_one() for what, query in FAULTS.items()}


def settings_or_exit() -> MediaSettings:
    try:
        return load(MediaSettings, SERVICE)
    except ConfigError as error:
        refuse(error)
