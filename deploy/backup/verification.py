"""Proves that a backup can be restored, by restoring it: into a PostgreSQL of its own, which is thrown away after.

Nothing of the running hitok is touched.
"""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.backup.backups import check_revisions
from deploy.backup.manifest import Manifest, read_manifest, read_objects, verify
from deploy.backup.sessions import restore_databases
from deploy.backup.snapshots import list_keys
from deploy.database_services import DATABASE_SERVICES
from deploy.local.databases import ensure_database
from deploy.local.errors import LocalError
from deploy.local.servers.postgres import start_postgres
from services.kit import schema


def try_restore(folder: Path, admin_url: str = "") -> Manifest:
    """Checks every part, restores all databases, migrates them to this code, and looks for the files that rows name.

    `admin_url`: an administrator of a scratch server; empty: a server is started for it. Raises LocalError.
    """
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_revisions(manifest)
    with scratch_databases(admin_url) as urls:
        restore_databases(folder, manifest, urls, replace=False)
        _require_files(folder, manifest, urls["media"])
        for name, owner in DATABASE_SERVICES.items():
            schema.upgrade(urls[name], owner.migrations)
    return manifest


@contextmanager
def scratch_databases(admin_url: str) -> Iterator[Mapping[str, str]]:
    """URLs of empty databases by service; they are dropped when the block ends."""
    if admin_url:
        suffix = secrets.token_hex(4)
        names = {name: f"hitok_verify_{name}_{suffix}" for name in DATABASE_SERVICES}
        try:
            yield {name: ensure_database(admin_url, owned, secrets.token_hex(16)) for name, owned in names.items()}
        finally:
            _drop(admin_url, [*names.values()])
        return
    with tempfile.TemporaryDirectory(prefix="hitok-verify-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL does not run as root, and has to reach its folder in here
        try:
            server = start_postgres(Path(folder, "postgres"), secrets.token_hex(16), durable=False)
        except LocalError as error:  # as in an image, which has PostgreSQL's clients only
            raise LocalError(
                f"no PostgreSQL can be started to verify in; name one with --into URL ({error})"
            ) from error
        try:
            yield {
                name: ensure_database(server.url, f"hitok_{name}", secrets.token_hex(16)) for name in DATABASE_SERVICES
            }
        finally:
            server.stop()


def _drop(admin_url: str, names: list[str]) -> None:
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as admin:
        for name in names:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def _require_files(folder: Path, manifest: Manifest, media_url: str) -> None:
    """Raises LocalError if a row names a file that is neither in the backup nor known to have been missing."""
    there = {one.key for one in read_objects(folder, manifest)} | set(manifest.missing)
    with psycopg.connect(media_url, connect_timeout=10) as connection:
        absent = [key for key, _ in list_keys(connection) if key not in there]
    if absent:
        raise LocalError(f"{len(absent)} files that rows name are not in the backup, such as {absent[0]}")
