"""`python -m services.user` serves; `python -m services.user <command>` runs an operator's command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from services.kit import background
from services.user import email_changes, erasure, retention, sessions
from services.user.admin import commands
from services.user.config import UserSettings
from services.user.second_factor import reencryption
from services.user.service import open_service
from services.user.servicers import PROTOS, register


@asynccontextmanager
async def compose(settings: UserSettings, grpc_server: grpc.aio.Server) -> AsyncIterator[None]:
    async with open_service(settings) as service:
        register(service, grpc_server)
        async with background.run(
            sweep_sessions=lambda: sessions.sweep(service.database),
            tell_old_addresses=lambda: email_changes.tell_old_addresses(service),
            keep_encrypted=lambda: reencryption.keep_encrypted(service.database, service.cipher),
            sweep_old=lambda: retention.sweep_old(service.database, settings),
            repeat_erasures=lambda: erasure.repeat_erasures(service.database),
        ):
            yield


commands.add_server(PROTOS, compose)

if __name__ == "__main__":
    commands.main()
