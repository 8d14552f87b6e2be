"""`python -m services.social`: serves; with a command, does that instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import typer

from services.kit import server
from services.social.admin import commands, settings_or_exit
from services.social.config import SERVICE
from services.social.consumer import consuming
from services.social.service import open_service
from services.social.servicers import PROTOS, register


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
            async with consuming(service):
                yield

    server.run(SERVICE, settings, PROTOS, compose)


if __name__ == "__main__":
    commands()
