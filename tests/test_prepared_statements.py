"""Statements that a running release has prepared stay good while the next release's migrations add columns."""

import importlib
import pkgutil
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.pq import ExecStatus

from deploy.database_services import DATABASE_SERVICES
from services.kit import schema
from services.kit.sql.statements import Statement
from tests.support.servers import Servers

TABLES = """SELECT relname FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"""


def statements_of(service: str) -> Iterator[tuple[str, bytes]]:
    """Those that are compiled at import, by where they are."""
    package = importlib.import_module(f"services.{service}")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".migrations" in found.name or found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, Statement):
                yield f"{found.name}.{name}", value.shape.sql


@pytest.mark.parametrize("service", DATABASE_SERVICES)
def test_a_column_that_is_added_changes_no_prepared_statement(servers: Servers, service: str) -> None:
    """PostgreSQL refuses such a statement ("cached plan must not change result type"); prepared again, it would give
    rows of another shape than the code knows."""
    url = servers.create_database(f"prepared_{service}")
    schema.upgrade(url, DATABASE_SERVICES[service].migrations)
    statements = dict(statements_of(service))
    with psycopg.connect(url, autocommit=True) as connection:
        server = connection.pgconn
        for name, sql in statements.items():
            prepared = server.prepare(name.encode(), sql)
            assert prepared.status == ExecStatus.COMMAND_OK, (name, prepared.error_message)
        for (table,) in connection.execute(TABLES).fetchall():
            connection.execute(f'ALTER TABLE "{table}" ADD COLUMN of_the_next_release int')
        described = {name: server.describe_prepared(name.encode()) for name in statements}
    assert {name: found.error_message for name, found in described.items() if found.error_message} == {}
