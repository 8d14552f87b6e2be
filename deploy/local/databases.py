"""Creates one role and one database for each service, on any PostgreSQL server.

As a program it reads {"admin_url": …, "passwords": {name: …}} from stdin and prints {name: URL}. The supervisor runs it
as a process, since importing psycopg would cost it 16 MB for as long as it runs.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from deploy.local.errors import LocalError


def ensure_database(admin_url: str, name: str, password: str) -> str:
    """Creates the role and the database `name`, or updates the role's password. Returns the role's URL.

    May run again at any time, also several times at once. The admin needs CREATEROLE and CREATEDB.
    """
    if urlsplit(admin_url).scheme not in ("postgresql", "postgres"):
        # Checked here: psycopg's error would show the whole URL with the password.
        raise LocalError("the URL of a PostgreSQL server begins with postgresql://")
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as admin:
            ensure_role(admin, name, password)
            create_database(admin, name)
    except psycopg.Error as error:
        raise LocalError(f"cannot prepare the database {name}: {str(error).strip().splitlines()[0]}") from error
    return make_url(admin_url, name, password)


def ensure_role(admin: psycopg.Connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    # Hashed here, so that no server log ever shows the password.
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    # One transaction under a lock: two processes that create or alter one role at once would fail.
    with admin.transaction():
        admin.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
        if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
            admin.execute(sql.SQL("CREATE ROLE {}").format(role))
        admin.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(verifier)))
        superuser = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if superuser == (False,):
            # Only a member of a role may make it the owner of a database.
            admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))


def create_database(admin: psycopg.Connection, name: str) -> None:
    if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    database = sql.Identifier(name)
    create = sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0")
    try:
        admin.execute(create.format(database, database))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another process created it first
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def make_url(admin_url: str, name: str, password: str) -> str:
    """The admin's URL with another user and database; its host and options (sslmode, …) stay."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{name}:{quote(password, safe='')}@{host}"
    return urlunsplit(parts._replace(scheme="postgresql", netloc=netloc, path=f"/{name}"))


def main() -> None:
    task = json.load(sys.stdin)
    try:
        with ThreadPoolExecutor() as threads:
            made = threads.map(
                partial(ensure_database, task["admin_url"]), *zip(*task["passwords"].items(), strict=True)
            )
            urls = dict(zip(task["passwords"], made, strict=True))
    except LocalError as error:
        sys.exit(str(error))
    json.dump(urls, sys.stdout)


if __name__ == "__main__":
    main()
