"""One role and one database for each service, on any PostgreSQL server.

As a program it does this for {"admin_url": …, "passwords": {name: …}} from its input, and prints {name: URL}:
psycopg would cost the supervisor 16 MB for as long as it runs.
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
    """Make the role and the database `name`, or bring the role's password up to date; return the role's URL.

    May be run again at any time, also by several at once. The admin needs CREATEROLE and CREATEDB.
    """
    if urlsplit(admin_url).scheme not in ("postgresql", "postgres"):
        # Asked here, because psycopg would show the whole URL, password and all.
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
    # Hashed here, so that no log of the server ever shows the password.
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    # One transaction under a lock: two who create or alter one role at once would fail.
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
        return  # another was quicker
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
