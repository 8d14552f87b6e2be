import ast
import importlib
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, NullPool, create_engine

from deploy.database_services import DATABASE_SERVICES
from services.kit.config import ConfigError
from services.kit.db import Database, driver_url
from services.kit.schema import knows, require_current, upgrade
from services.user.config import UserSettings
from services.user.service import MIGRATIONS
from tests.support.servers import Servers
from tests.support.user import environment, user_settings

ROOT = Path(__file__).parents[2]
# Alembic does not see the collation or the functions of an index, and would make it anew; partitions have no models.
UNSEEN = {
    "account_search",
    *(f"{table}_{kind}" for table in ("account", "group") for kind in ("form", "grams")),
    *(f"message_{number}" for number in range(8)),
}
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None


def upgrade():
    {body}
"""


def write_revision(folder: Path, number: int, body: str) -> None:
    revision, down = f"{number:04}", f"{number - 1:04}" if number > 1 else None
    (folder / f"{revision}_test.py").write_text(REVISION.format(revision=revision, down=down, body=body))


@pytest.fixture
def url(servers: Servers) -> str:
    """Of an empty database."""
    return servers.create_database(f"migrate_{secrets.token_hex(4)}")


def column(url: str, query: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return sorted(row[0] for row in connection.execute(query))


def tables(url: str) -> list[str]:
    return column(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


def tables_of(name: str) -> MetaData:
    """What the models of the service and of its rooms declare."""
    paths = [path.relative_to(ROOT) for path in (ROOT / "services" / name).rglob("models.py")]
    modules = [importlib.import_module(".".join(path.with_suffix("").parts)) for path in sorted(paths)]
    metadata: MetaData = modules[0].Model.metadata
    return metadata


@pytest.mark.parametrize("name", DATABASE_SERVICES)
def test_the_models_are_what_the_migrations_make(name: str, url: str) -> None:
    upgrade(url, DATABASE_SERVICES[name].migrations)
    engine = create_engine(driver_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        opts = {"compare_server_default": True, "include_object": lambda _, name, *__: name not in UNSEEN}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, tables_of(name)) == []


@pytest.mark.parametrize("name", DATABASE_SERVICES)
def test_a_migrations_file_is_named_after_its_revision(name: str) -> None:
    """What serves looks at the names only."""
    folder = DATABASE_SERVICES[name].migrations
    script = ScriptDirectory(str(folder), version_locations=[str(folder)])
    revisions = [entry.revision for entry in script.walk_revisions()]
    assert sorted(revisions) == sorted(path.name[:4] for path in folder.glob("[!_]*.py"))
    assert knows(folder, revisions[0]) and not knows(folder, "9999")


def test_upgrading_again_changes_nothing(url: str) -> None:
    upgrade(url, MIGRATIONS)
    before = tables(url)
    upgrade(url, MIGRATIONS)
    assert tables(url) == before and "account" in before


def test_many_who_upgrade_at_once_do_it_once(url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: upgrade(url, MIGRATIONS), range(8)))
    assert len(column(url, "SELECT version_num FROM alembic_version")) == 1


def test_revisions_are_applied_from_where_the_database_is(url: str, tmp_path: Path) -> None:
    write_revision(tmp_path, 1, 'op.create_table("one", sa.Column("id", sa.Integer))')
    upgrade(url, tmp_path)
    write_revision(tmp_path, 2, 'op.create_table("two", sa.Column("id", sa.Integer))')
    write_revision(tmp_path, 3, 'op.create_table("three", sa.Column("id", sa.Integer))')
    upgrade(url, tmp_path)
    assert tables(url) == ["alembic_version", "one", "three", "two"]


def test_a_migration_that_fails_leaves_nothing_half_done(url: str, tmp_path: Path) -> None:
    write_revision(tmp_path, 1, 'op.create_table("one", sa.Column("id", sa.Integer))')
    write_revision(tmp_path, 2, 'raise RuntimeError("broken")')
    with pytest.raises(RuntimeError, match="broken"):
        upgrade(url, tmp_path)
    assert tables(url) == []


async def test_only_the_schema_this_code_was_written_for_will_do(database: Database, tmp_path: Path) -> None:
    await require_current(database, MIGRATIONS)
    head = column(database.url, "TABLE alembic_version")[0]
    write_revision(tmp_path, 1, "pass")  # older than the previous release
    with pytest.raises(ConfigError, match="ahead of this code"):
        await require_current(database, tmp_path)
    for number in range(2, int(head) + 2):
        write_revision(tmp_path, number, "pass")
    with pytest.raises(ConfigError, match=r"behind this code .* run the migrate step"):
        await require_current(database, tmp_path)


async def test_code_of_the_previous_release_runs_on_the_next_ones_schema(url: str, tmp_path: Path) -> None:
    """And leaves it as it is, so that a release can be rolled back while others of it run."""
    previous, next_one = tmp_path / "previous", tmp_path / "next"
    for folder, last in ((previous, 2), (next_one, 3)):
        folder.mkdir()
        for number in range(1, last + 1):
            write_revision(folder, number, f'op.create_table("t{number}", sa.Column("id", sa.Integer))')
    (next_one / "released.txt").write_text("0002\n")
    upgrade(url, next_one)
    upgrade(url, previous)
    database = Database(url)
    await require_current(database, previous)
    assert column(url, "TABLE alembic_version") == ["0003"]
    (previous / "0002_test.py").unlink()
    with pytest.raises(ConfigError, match="ahead of this code"):
        await require_current(database, previous)
    database.pool.close()


@pytest.mark.parametrize("name", ["user", "social", "media", "chat"])
def test_migrations_since_the_last_release_only_add(name: str) -> None:
    """What the previous release's code reads or writes stays as it is: expand now, contract in the release after."""
    folder = Path("services", name, "migrations")
    released = (folder / "released.txt").read_text().strip()
    assert (folder / "released.txt").read_text() == f"{released}\n" and list(folder.glob(f"{released}_*.py"))
    for file in sorted(folder.glob("[0-9]*.py")):
        if file.name[:4] > released:
            assert list(contractions(ast.parse(file.read_text()))) == [], file


def contractions(tree: ast.AST) -> Iterator[str]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and contracts(ast.unparse(call.func), text := ast.unparse(call)):
            yield text


def contracts(name: str, text: str) -> bool:
    if name in ("op.drop_column", "op.drop_table", "op.rename_table", "op.drop_constraint"):
        return True
    if name == "op.alter_column":
        return re.search("new_column_name=|type_=|nullable=False", text) is not None
    if name == "op.add_column":
        return "nullable=False" in text and not re.search("server_default=|Computed|Identity", text)
    return name == "op.execute" and re.search(r"\b(DROP (TABLE|COLUMN)|RENAME|SET NOT NULL)\b", text) is not None


@pytest.mark.parametrize(
    "line",
    [
        'op.drop_column("a", "b")',
        'op.alter_column("a", "b", new_column_name="c")',
        'op.alter_column("a", "b", nullable=False)',
        'op.add_column("a", sa.Column("b", sa.Text, nullable=False))',
        'op.execute("ALTER TABLE a RENAME TO b")',
    ],
)
def test_a_contraction_is_seen(line: str) -> None:
    assert len(list(contractions(ast.parse(line)))) == 1


def test_older_code_does_not_touch_a_newer_schema(url: str, tmp_path: Path) -> None:
    upgrade(url, MIGRATIONS)
    write_revision(tmp_path, 1, "pass")
    with pytest.raises(ConfigError, match="ahead of this code"):
        upgrade(url, tmp_path)


def test_a_server_that_cannot_be_used_is_named_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^postgres: .+$") as refused:
        upgrade("postgresql://nobody@127.0.0.1:1/none", MIGRATIONS)
    assert "\n" not in str(refused.value)


def test_the_migrate_command_makes_an_empty_database_ready(url: str, servers: Servers, tmp_path: Path) -> None:
    settings: UserSettings = user_settings(url, servers, tmp_path)
    command = [sys.executable, "-m", "services.user", "migrate"]
    ended = subprocess.run(command, env=environment(settings), capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "account" in tables(url)


def test_serving_with_a_migration_that_is_refused_ends_with_its_line(
    url: str, servers: Servers, tmp_path: Path
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT '9999' AS version_num")
    settings: UserSettings = user_settings(url, servers, tmp_path)
    command = [sys.executable, "-m", "services.user", "--migrate"]
    ended = subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "ahead of this code (revision 9999)" in ended.stderr
