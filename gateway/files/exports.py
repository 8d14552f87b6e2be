"""Prepares exports: counts what each will hold, and reports that to the user service, which then mails the link."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from time import monotonic

import grpc.aio
import msgspec
import structlog

from gateway.container import Container
from gateway.files.archive import FILES, Pages, Size
from protos.user.v1 import exports_pb2 as pb
from services.kit import background
from services.kit.context import Caller, current_caller
from services.kit.errors import HitokError

LOOK_EVERY = 30.0  # seconds, for what another gateway left undone
REPORT_EVERY = 1.0  # seconds
RPC_SECONDS = 30.0  # a mail is sent meanwhile

log = structlog.get_logger("exports")


class _Stored(msgspec.Struct):
    size: int


@asynccontextmanager
async def preparing_exports(container: Container) -> AsyncIterator[None]:
    """Prepares them while the block runs."""
    async with background.run(prepare_exports=lambda: prepare_exports(container)):
        yield


async def prepare_exports(container: Container) -> None:
    """Prepares one after the other; runs in the background for ever."""
    while True:
        try:
            while await prepare_next(container):
                pass
        except (grpc.aio.AioRpcError, HitokError) as error:
            log.warning("an export was not prepared", error=repr(error)[:200])
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await container.export_wanted.wait()
        container.export_wanted.clear()


async def prepare_next(container: Container) -> bool:
    """False if no export waits. Raises what the services raise."""
    claimed = await container.exports.ClaimExport(pb.ClaimExportRequest(), timeout=RPC_SECONDS)
    if not claimed.id:
        return False
    token = current_caller.set(Caller(claimed.user_id, claimed.role))
    try:
        size = Size()
        if await _count(container, claimed.id, size):
            told = pb.ExportSize(rows=size.rows, files=size.files, bytes=size.bytes)
            request = pb.FinishExportRequest(id=claimed.id, size=told)
            await container.exports.FinishExport(request, timeout=RPC_SECONDS)
    finally:
        current_caller.reset(token)
    return True


async def _count(container: Container, id: int, size: Size) -> bool:
    """False if the export is wanted no longer."""
    reported = 0.0
    async with aclosing(_steps(container, size)) as steps:
        async for done, total in steps:
            if monotonic() - reported < REPORT_EVERY:
                continue
            reported = monotonic()
            report = pb.ReportExportRequest(id=id, done=done, total=total)
            if not (await container.exports.ReportExport(report, timeout=RPC_SECONDS)).wanted:
                return False
    return True


async def _steps(container: Container, size: Size) -> AsyncGenerator[tuple[int, int], None]:
    """After each page, how many lists were counted, and how many there are."""
    services = {service: Pages(stub, size) for service, stub in container.export_rows.items()}
    for pages in services.values():
        await pages.next()
    done, total = 0, sum(pages.lists for pages in services.values())
    for service, pages in services.items():
        more = True
        while more:
            if f"{service}/{pages.list}.json" == FILES:
                files = [msgspec.json.decode(row, type=_Stored) for row in pages.rows]
                size.files += len(files)
                size.bytes += sum(file.size for file in files)
            yield done, total
            more = not pages.ended
            done += not await pages.next()
