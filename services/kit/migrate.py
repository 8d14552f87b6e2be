"""Runs Alembic, and holds the migrations that all services share."""

from pathlib import Path

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from services.kit.events.outbox import CHANNEL, event_tables


def apply(connection: Connection, migrations: Path) -> None:
    """Applies all missing revisions, in the transaction of `connection`."""
    script = ScriptDirectory(str(migrations), version_locations=[str(migrations)])
    with EnvironmentContext(Config(), script, fn=lambda revision, _: script._upgrade_revs("head", revision)) as context:
        context.configure(connection=connection)
        context.run_migrations()


def create_event_tables() -> None:
    """For a service's first migration: the tables outbox, inbox and dead_letter, and the NOTIFY that wakes the relay.

    A later change of these tables is a further function here, called from a later migration of each service.
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
    """Adds the event's trace. Databases created by newer code have this column from their first migration."""
    op.execute("ALTER TABLE outbox ADD COLUMN IF NOT EXISTS trace text")
