"""`python -m services.media` serves; with a command, it runs that command instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from services.media.admin import commands
from services.media.config import MediaSettings
from services.media.consumer import consuming
from services.media.maintenance.box_report import report_box
from services.media.maintenance.sweeper import sweeping
from services.media.processing.jobs import processing
from services.media.service import open_service
from services.media.servicers import PROTOS, register


@asynccontextmanager
async def compose(settings: MediaSettings, grpc_server: grpc.aio.Server) -> AsyncIterator[None]:
    async with open_service(settings) as service:
        await report_box(service.storage)
        register(service, grpc_server)
        async with processing(service), sweeping(service), consuming(service):
            yield


commands.add_server(PROTOS, compose)

if __name__ == "__main__":
    commands.main()
