"""What erasing an account does is decided for every column that the migrations make."""

import secrets

import psycopg
import pytest

from deploy.database_services import DATABASE_SERVICES
from docs.erasure_table import TABLES
from services.kit import schema
from tests.support.servers import Servers

COLUMNS = """
SELECT c.table_name, c.column_name FROM information_schema.columns c
JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = 'public'::regnamespace
WHERE c.table_schema = 'public' AND NOT t.relispartition AND t.relkind IN ('r', 'p') AND t.relname <> 'alembic_version'
"""


@pytest.mark.parametrize("name", DATABASE_SERVICES)
def test_erasure_decides_each_column_of_each_table_once(name: str, servers: Servers) -> None:
    url = servers.create_database(f"erasure_{secrets.token_hex(4)}")
    schema.upgrade(url, DATABASE_SERVICES[name].migrations)
    with psycopg.connect(url) as connection:
        real = sorted(map(tuple, connection.execute(COLUMNS).fetchall()))
    decided = sorted(
        (table, column) for table, entry in TABLES[name].items() for column in f"{entry.personal} {entry.other}".split()
    )
    assert decided == real, "say in docs/erasure_table.py what erasing an account does to it"
