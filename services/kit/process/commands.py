"""The command line of a service: `python -m services.<name>` serves, `python -m services.<name> <command>` runs a
command of the operator."""

import asyncio
import multiprocessing
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import grpc.aio
import typer
from google.protobuf.descriptor import FileDescriptor
from sqlalchemy import text

from services.kit import schema
from services.kit.config import ConfigError, ServiceSettings, load, refuse
from services.kit.db import Database, open_database
from services.kit.process import server
from services.kit.sql.connection import AsyncConnection

S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T")
MIGRATE = typer.Option(False, "--migrate", help="bring the database to the newest schema first")


class CommandLine(Generic[S]):
    """The command line of one service. The command `migrate` always exists.

    Commands use the database directly, without a server. An error that the operator can fix ends them with exit code 2.
    """

    def __init__(self, service: str, settings: type[S], migrations: Path) -> None:
        self.app = typer.Typer(add_completion=False, help=f"The {service} service and its operator's commands.")
        self._service, self._settings, self._migrations = service, settings, migrations
        self.app.command("migrate")(self.migrate)

    def read_settings(self) -> S:
        try:
            return load(self._settings, self._service)
        except ConfigError as error:
            refuse(error)

    def migrate(self) -> None:
        """Bring the database to the newest schema."""
        try:
            schema.upgrade(self.read_settings().postgres_url, self._migrations)
        except ConfigError as error:
            refuse(error)

    def _migrate_apart(self) -> None:
        """Migrates in a child process, so that this process never loads Alembic."""
        child = multiprocessing.get_context("fork").Process(target=self.migrate)
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(abs(child.exitcode))

    def run(self, work: Callable[[Database, S], Awaitable[T]]) -> T:
        """Runs `work` on the database and returns its result. The schema must be that of this code."""
        settings = self.read_settings()

        async def run() -> T:
            async with open_database(settings) as database:
                await schema.require_current(database, self._migrations)
                return await work(database, settings)

        try:
            return asyncio.run(run())
        except ConfigError as error:
            refuse(error)

    def read(self, look: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `look` in a transaction and returns its result."""

        async def work(database: Database, _: S) -> T:
            async with database.transaction() as connection:
                return await look(connection)

        return self.run(work)

    def add_check(self, count: Callable[[Database, S], Awaitable[Mapping[str, int]]]) -> None:
        """Adds the command `check`. `count` returns the number of inconsistencies by name."""

        def check() -> None:
            """Count what must never be. Ends with 1 if there is any."""
            faults = self.run(count)
            for what, number in faults.items():
                typer.echo(f"{number} {what}")
            raise typer.Exit(1 if any(faults.values()) else 0)

        self.app.command()(check)

    def add_server(
        self,
        protos: Sequence[FileDescriptor],
        compose: Callable[[S, grpc.aio.Server], AbstractAsyncContextManager[None]],
    ) -> None:
        """Makes the program serve if no command is given. `compose` is that of `server.run`."""

        def serve(context: typer.Context, with_migration: bool = MIGRATE) -> None:
            """Serve, when no command is given."""
            if not context.invoked_subcommand:
                self._serve(with_migration)

        def run(with_migration: bool) -> None:
            settings = self.read_settings()
            if with_migration:
                self._migrate_apart()
            server.run(self._service, settings, protos, partial(compose, settings))

        self._serve = run
        self.app.callback(invoke_without_command=True)(serve)

    def main(self) -> None:
        """Does what the arguments say. Typer would load Pydantic to read those of a server, which keeps its memory."""
        self._serve(len(sys.argv) > 1) if sys.argv[1:] in ([], ["--migrate"]) else self.app()


async def count_faults(connection: AsyncConnection, queries: Mapping[str, str]) -> dict[str, int]:
    """The results of these counting queries, by name. They read whole tables, so no statement timeout applies."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    return {what: (await connection.execute(text(query))).scalar_one() for what, query in queries.items()}
