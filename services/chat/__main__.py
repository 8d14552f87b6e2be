"""`python -m services.chat`: serves; with a command, does that instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import typer

from services.chat.admin import commands, settings_or_exit
from services.chat.config import SERVICE
from services.chat.consumer import consuming
from services.chat.service import open_service
from services.chat.servicers import PROTOS, register
from services.kit import server


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
