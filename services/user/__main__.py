"""`python -m services.user`: serves; with a command, does that instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import typer

from services.kit import server
from services.kit.tasks import beside
from services.user import sessions
from services.user.admin import commands, settings_or_exit
from services.user.config import SERVICE
from services.user.service import open_service
from services.user.servicers import PROTOS, register


@commands.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve, when no command is given."""
    if context.invoked_subcommand:
        return
    settings = settings_or_exit()

    @asynccontextmanager
    async def compose(grpc_server: grpc.aio.Server) -> AsyncIterator[None]:
        async with open_service(settings) as service:
            register(service, grpc_server)
            async with beside(sessions.sweep(service.database)):
                yield

    server.run(SERVICE, settings, PROTOS, compose)


if __name__ == "__main__":
    commands()
