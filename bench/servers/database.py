"""An empty database of a service, on a PostgreSQL of its own."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.servers.postgres import start_postgres
from services.kit import schema


@contextmanager
def scratch_database(migrations: Path) -> Iterator[str]:
    """Yields its url."""
    with TemporaryDirectory(prefix="hitok-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL does not run as root
        server = start_postgres(Path(folder, "postgres"), secrets.token_hex(16), durable=False)
        try:
            schema.upgrade(server.url, migrations)
            yield server.url
        finally:
            server.stop()
