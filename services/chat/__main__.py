"""`python -m services.chat` serves; with a command it runs that instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from services.chat.admin import commands
from services.chat.config import ChatSettings
from services.chat.consumer import consuming
from services.chat.service import open_service
from services.chat.servicers import PROTOS, register


@asynccontextmanager
async def compose(settings: ChatSettings, grpc_server: grpc.aio.Server) -> AsyncIterator[None]:
    async with open_service(settings) as service:
        register(service, grpc_server)
        async with consuming(service):
            yield


commands.add_server(PROTOS, compose)

if __name__ == "__main__":
    commands.main()
