"""`python -m services.social` serves; `python -m services.social <command>` runs an operator's command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from services.social.admin import commands
from services.social.config import SocialSettings
from services.social.consumer import consuming
from services.social.service import open_service
from services.social.servicers import PROTOS, register


@asynccontextmanager
async def compose(settings: SocialSettings, grpc_server: grpc.aio.Server) -> AsyncIterator[None]:
    async with open_service(settings) as service:
        register(service, grpc_server)
        async with consuming(service):
            yield


commands.add_server(PROTOS, compose)

if __name__ == "__main__":
    commands.main()
