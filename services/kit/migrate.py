"""Schema by Alembic, applied by an explicit step under an advisory lock."""

from pathlib import Path

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.exc import OperationalError

from services.kit.config import ConfigError
from services.kit.db import Database, driver_url
from services.kit.events import CHANNEL, event_tables

LOCK = 7_243_118_265  # any number; the same in every version of hitok


def upgrade(url: str, migrations: Path) -> None:
    """Brings the database at `url` to the newest revision, in one transaction. Many may run it at once."""
    engine = create_engine(driver_url(url), connect_args={"connect_timeout": 5})
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            _check(connection, migrations, behind_is_fine=True)
            _upgrade(connection, migrations)
    except OperationalError as error:
        raise ConfigError(f"postgres: {str(error.orig).strip().splitlines()[0]}") from None
    finally:
        engine.dispose()


def _script(migrations: Path) -> ScriptDirectory:
    return ScriptDirectory(str(migrations), version_locations=[str(migrations)])


def knows(migrations: Path, revision: str) -> bool:
    """Whether this code has that revision."""
    return any(entry.revision == revision for entry in _script(migrations).walk_revisions())


def _upgrade(connection: Connection, migrations: Path) -> None:
    script = _script(migrations)
    with EnvironmentContext(Config(), script, fn=lambda revision, _: script._upgrade_revs("head", revision)) as context:
        context.configure(connection=connection)
        context.run_migrations()


async def require_current(database: Database, migrations: Path) -> None:
    """Raises ConfigError unless the schema is the one this code was written for."""
    async with database.engine.connect() as connection:
        await connection.run_sync(_check, migrations, behind_is_fine=False)


def _check(connection: Connection, migrations: Path, behind_is_fine: bool) -> None:
    script = _script(migrations)
    revision, head = MigrationContext.configure(connection).get_current_revision(), script.get_current_head()
    known = {entry.revision for entry in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigError(f"the schema is ahead of this code (revision {revision}): run the newer version")
    if revision != head and not behind_is_fine:
        raise ConfigError(f"the schema is behind this code ({revision or 'empty'}, needs {head}): run the migrate step")


def create_event_tables() -> None:
    """For a service's first migration: outbox, inbox and dead letters, and the NOTIFY that wakes the relay.

    A later change of theirs is a function of its own, called from a later migration of each service.
    """
    metadata = MetaData()
    event_tables(metadata)
    metadata.create_all(op.get_bind())
    op.execute(
        "CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox()"
    )


def add_event_trace() -> None:
    """The trace that an event belongs to; a database made by newer code has the column from its first migration."""
    op.execute("ALTER TABLE outbox ADD COLUMN IF NOT EXISTS trace text")
