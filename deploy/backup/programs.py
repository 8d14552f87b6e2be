"""PostgreSQL's client programs, and how they are told where to connect."""

import os
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from deploy.local.errors import LocalError
from deploy.local.servers.cluster import find_program

# URL options by environment variable: on the command line every user of the machine could read the password.
VARIABLES = {
    option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar is not None
}
NEEDLESS = frozenset(  # options without a variable that matter to connections of a service alone
    {"fallback_application_name", "tcp_user_timeout", "keepalives"}
    | {f"keepalives_{what}" for what in ("idle", "interval", "count")}
)


def locate(name: str) -> Path:
    """Raises LocalError if the program is missing."""
    try:
        return find_program(name)
    except LocalError as error:
        raise LocalError(f"{error}, or install PostgreSQL's client programs") from None


def environment_for(url: str) -> dict[str, str]:
    """The environment that makes a program connect to `url`. Raises LocalError for a URL option that no variable can
    hold."""
    given = {name: value for name, value in conninfo_to_dict(url).items() if name not in NEEDLESS}
    unknown = next((name for name in given if name not in VARIABLES), None)
    if unknown:
        raise LocalError(f"a database's URL has the option {unknown}, which backups do not know")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"PGCONNECT_TIMEOUT": "10"} | {VARIABLES[name]: str(value) for name, value in given.items()}
