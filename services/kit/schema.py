"""Compares a database's schema with the one that this code needs, and migrates it.

Alembic is loaded only if there is something to apply: it would cost a serving process 8 MB.
"""

import re
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Row, create_engine, text
from sqlalchemy.exc import OperationalError

from services.kit.config import ConfigError
from services.kit.db import Database, driver_url

LOCK = 7_243_118_265  # arbitrary, but the same in every version of hitok
VERSION_TABLE = text("SELECT to_regclass('alembic_version')")
VERSION = text("SELECT version_num, obj_description('alembic_version'::regclass) FROM alembic_version")
FILE = re.compile(r"(\d{4})_\w+\.py")  # a migration's file name starts with its revision
RELEASED = "released.txt"  # beside the migrations: the newest one of the previous release, whose code they keep working
RUNS = "runs code from "  # in the comment on the table alembic_version; then the content of RELEASED
log = structlog.get_logger("schema")


def upgrade(url: str, migrations: Path) -> None:
    """Migrates the database to the newest revision, in one transaction. Several processes may call it at once."""
    engine = create_engine(driver_url(url), connect_args={"connect_timeout": 5})
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # the role may have one (docs/scaling.md)
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            if _revision(connection, migrations) != _known(migrations)[-1]:
                from services.kit import migrate  # noqa: PLC0415

                migrate.apply(connection, migrations)
                _note_released(connection, migrations)
    except OperationalError as error:
        raise ConfigError(f"postgres: {str(error.orig).strip().splitlines()[0]}") from None
    finally:
        engine.dispose()


async def require_current(database: Database, migrations: Path) -> None:
    """Raises ConfigError unless the schema is the one that this code needs, or that of the next release."""
    head = _known(migrations)[-1]
    async with database.reading() as connection:
        table = (await connection.execute(VERSION_TABLE)).scalar_one()
        found = None if table is None else (await connection.execute(VERSION)).one_or_none()
        revision = _checked(found, migrations)
    if revision != head:
        raise ConfigError(f"the schema is behind this code ({revision or 'empty'}, needs {head}): run the migrate step")


def knows(migrations: Path, revision: str) -> bool:
    """Whether this code has that revision."""
    return revision in _known(migrations)


def _revision(connection: Connection, migrations: Path) -> str | None:
    table = connection.scalar(VERSION_TABLE)
    return _checked(None if table is None else connection.execute(VERSION).one_or_none(), migrations)


def _checked(found: Row[*tuple[Any, ...]] | None, migrations: Path) -> str | None:
    """The database's revision; None while it is empty, and this code's own if the schema is newer but made to run this
    code too. `found`: the revision and the table's comment. Raises ConfigError for one that this code does not know.
    """
    if found is None:
        return None
    revision: str = found[0]
    comment: str = found[1] or ""
    if not knows(migrations, revision):
        head = _known(migrations)[-1]
        if comment.startswith(RUNS) and comment.removeprefix(RUNS) <= head:
            log.warning("the schema is that of the next release, which keeps this one working", revision=revision)
            return head
        raise ConfigError(f"the schema is ahead of this code (revision {revision}): run the newer version")
    return revision


def _note_released(connection: Connection, migrations: Path) -> None:
    """Tells code of the previous release, which does not know the newest revision, that it may run on it."""
    if (file := migrations / RELEASED).exists():
        connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{RUNS}{file.read_text().strip()}'"))


def _known(migrations: Path) -> list[str]:
    """The revisions of this code, oldest first."""
    return sorted(named[1] for file in migrations.iterdir() if (named := FILE.fullmatch(file.name)))
