"""Compares a database's schema with the one that this code needs, and migrates it.

Alembic is loaded only if there is something to apply: it would cost a serving process 8 MB.
"""

import re
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from services.kit.config import ConfigError
from services.kit.db import Database, driver_url

LOCK = 7_243_118_265  # arbitrary, but the same in every version of hitok
VERSION_TABLE = text("SELECT to_regclass('alembic_version')")
VERSION = text("SELECT version_num FROM alembic_version")
FILE = re.compile(r"(\d{4})_\w+\.py")  # a migration's file name starts with its revision


def upgrade(url: str, migrations: Path) -> None:
    """Migrates the database to the newest revision, in one transaction. Several processes may call it at once."""
    engine = create_engine(driver_url(url), connect_args={"connect_timeout": 5})
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            if _revision(connection, migrations) != _known(migrations)[-1]:
                from services.kit import migrate  # noqa: PLC0415

                migrate.apply(connection, migrations)
    except OperationalError as error:
        raise ConfigError(f"postgres: {str(error.orig).strip().splitlines()[0]}") from None
    finally:
        engine.dispose()


async def require_current(database: Database, migrations: Path) -> None:
    """Raises ConfigError unless the schema is the one that this code needs."""
    head = _known(migrations)[-1]
    async with database.reading() as connection:
        table = (await connection.execute(VERSION_TABLE)).scalar_one()
        found = None if table is None else (await connection.execute(VERSION)).scalar_one_or_none()
        revision = _checked(found, migrations)
    if revision != head:
        raise ConfigError(f"the schema is behind this code ({revision or 'empty'}, needs {head}): run the migrate step")


def knows(migrations: Path, revision: str) -> bool:
    """Whether this code has that revision."""
    return revision in _known(migrations)


def _revision(connection: Connection, migrations: Path) -> str | None:
    table = connection.scalar(VERSION_TABLE)
    return _checked(None if table is None else connection.scalar(VERSION), migrations)


def _checked(revision: str | None, migrations: Path) -> str | None:
    """The database's revision; None while it is empty. Raises ConfigError if this code does not know it."""
    if revision is not None and not knows(migrations, revision):
        raise ConfigError(f"the schema is ahead of this code (revision {revision}): run the newer version")
    return revision


def _known(migrations: Path) -> list[str]:
    """The revisions of this code, oldest first."""
    return sorted(named[1] for file in migrations.iterdir() if (named := FILE.fullmatch(file.name)))
