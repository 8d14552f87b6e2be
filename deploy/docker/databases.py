"""`python -m deploy.docker.databases` creates each service's role and database, as the administrator of PostgreSQL.

HITOK_<SERVICE>_POSTGRES_URL, which the service itself reads, gives the role, password and database; HITOK_POSTGRES_URL
is the administrator's URL. It may run again at any time, for example after a password change.
"""

import re
import sys
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from deploy.local.databases import ensure_database
from deploy.local.errors import CONFIGURATION_ERROR, LocalError
from deploy.local.settings_files import read_environ

ADMIN = "HITOK_POSTGRES_URL"
OWNERS = re.compile(r"HITOK_[A-Z]+_POSTGRES_URL")


def make_databases(environ: Mapping[str, str]) -> list[str]:
    """Returns their names. Raises LocalError."""
    owners = sorted(filter(OWNERS.fullmatch, environ))
    if not environ.get(ADMIN) or not owners:
        raise LocalError(f"{ADMIN} and a HITOK_<SERVICE>_POSTGRES_URL have to be set", code=CONFIGURATION_ERROR)
    named = {setting: read_owner(setting, environ[setting]) for setting in owners}
    for name, password in named.values():
        ensure_database(environ[ADMIN], name, password)
    return [name for name, _ in named.values()]


def read_owner(setting: str, url: str) -> tuple[str, str]:
    """The role, whose name is also the database's, and its password. Raises LocalError."""
    parts = urlsplit(url)
    role, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme not in ("postgresql", "postgres") or not role or parts.path != f"/{role}":
        raise LocalError(f"{setting} must be postgresql://NAME:PASSWORD@HOST/NAME", code=CONFIGURATION_ERROR)
    if not password:
        raise LocalError(f"{setting} has no password", code=CONFIGURATION_ERROR)
    return role, password


def main() -> int:
    try:
        for name in make_databases(read_environ()):
            print(f"{name} is ready")
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
