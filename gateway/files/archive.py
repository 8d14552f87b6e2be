"""A user's export as a ZIP archive, made while it is sent: no copy of it is kept, and memory stays bounded.

gateway/files/exports.py counts beforehand what it will hold.
"""

import asyncio
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import IO

import msgspec
import obstore
from obstore.exceptions import BaseError

from gateway.container import Container
from protos.export.v1.export_pb2 import ExportRowsRequest
from protos.export.v1.export_pb2_grpc import ExportStub
from services.kit.errors import Unavailable
from services.objectstore.store import key_of

RPC_SECONDS = 10.0
CHUNK = 524_288  # bytes of a file
FILES = "media/files.json"  # the list that names the files


class _Sink:
    """The output of the archive. It cannot be read back, so the archive writes sizes after the contents."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data = b"".join(self._written)
        self._written.clear()
        return data


class Size:
    """What an export holds, or what of it was read so far; `bytes` are those before they are compressed."""

    def __init__(self) -> None:
        self.rows = self.files = self.bytes = 0


class Pages:
    """The rows of a service, one list after the other."""

    def __init__(self, stub: ExportStub, size: Size) -> None:
        self._stub, self._size, self._cursor = stub, size, ""
        self.list, self.rows, self.ended, self.lists = "", list[str](), False, 0

    async def next(self) -> bool:
        """Reads the next page. False if it begins a new list, or there is none."""
        if self.ended:
            return False
        answer = await self._stub.ExportRows(ExportRowsRequest(cursor=self._cursor), timeout=RPC_SECONDS)
        same, self.list, self.rows = answer.list == self.list, answer.list, list(answer.rows)
        self._cursor, self.ended, self.lists = answer.next_cursor, not answer.next_cursor, answer.lists
        self._size.rows += len(self.rows)
        self._size.bytes += sum(len(row.encode()) for row in self.rows)
        return same


async def archive(container: Container, size: Size) -> AsyncGenerator[bytes, None]:
    """Writes each service's data of the caller, as `<service>/<list>.json`, and their uploads, as `files/<file>`.

    `size` grows with what was read. Raises what the services raise, and Unavailable.
    """
    sink, files = _Sink(), list[str]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:  # type: ignore[call-overload]
        for service, stub in container.export_rows.items():
            async with aclosing(_lists(made, service, Pages(stub, size), files)) as steps:
                async for _ in steps:
                    yield sink.take()
        for file in files:
            async with aclosing(_file(container, made, file, size)) as steps:
                async for _ in steps:
                    yield sink.take()
    yield sink.take()


async def _lists(made: zipfile.ZipFile, service: str, pages: Pages, files: list[str]) -> AsyncGenerator[None, None]:
    """Adds each list; adds to `files` those that a list names."""
    await pages.next()
    more = True
    while more:
        name = f"{service}/{pages.list}.json"
        with made.open(name, "w", force_zip64=True) as entry:
            before, same = "[\n", True
            while same:
                if pages.rows:
                    await _write(entry, before + ",\n".join(pages.rows))
                    before = ",\n"
                files += [msgspec.json.decode(row)["file"] for row in pages.rows if name == FILES]
                yield
                was_last = pages.ended
                same = await pages.next()
            await _write(entry, "\n]\n" if before != "[\n" else "[]\n")
        more = not was_last


async def _write(entry: IO[bytes], text: str) -> None:
    await asyncio.to_thread(entry.write, text.encode())  # compressing takes time


async def _file(container: Container, made: zipfile.ZipFile, file: str, size: Size) -> AsyncGenerator[None, None]:
    """Leaves out a file that was deleted meanwhile. Raises Unavailable."""
    try:
        found = await obstore.get_async(container.store, key_of(file))
        chunks: AsyncIterator[object] = found.stream(min_chunk_size=CHUNK)
        with made.open(zipfile.ZipInfo(f"files/{file}"), "w", force_zip64=True) as entry:
            async for chunk in chunks:
                data = memoryview(chunk)  # type: ignore[arg-type]
                await asyncio.to_thread(entry.write, data)
                size.bytes += len(data)
                yield
        size.files += 1
    except FileNotFoundError:
        return
    except BaseError as error:
        raise Unavailable(type(error).__name__) from None
