"""`python -m services.media`: serves; with a command, does that instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import typer

from services.kit import server
from services.media.admin import commands, settings_or_exit
from services.media.config import SERVICE
from services.media.leaving import following
from services.media.processing import processing
from services.media.service import open_service
from services.media.servicers import PROTOS, register
from services.media.sweeper import sweeping


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
            async with processing(service), sweeping(service), following(service):
                yield

    server.run(SERVICE, settings, PROTOS, compose)


if __name__ == "__main__":
    commands()
