"""Resumable uploads over HTTP: by a public tus client, and by hand where a client would not go wrong."""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient

from tests.support.gateway import gateway_settings, serving_gateway
from tests.support.media import Running, execute, png, video
from tests.support.people import Person
from tests.support.servers import Servers
from tests.support.user import Running as RunningUser

PATH = "/api/file/tus"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
async def base(servers: Servers, user: RunningUser, media: Running) -> AsyncIterator[str]:
    """The URL of a gateway behind a real port."""
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": media.target, "HITOK_VAR": media.settings.var}
    async with serving_gateway(gateway_settings(servers, **targets)) as (_, url):
        yield url


async def create(person: Person, size: int, **headers: str) -> str:
    """The new upload's path."""
    answer = await person.call("POST", PATH, headers=TUS | {"Upload-Length": str(size)} | headers)
    assert answer.status_code == 201, answer.text
    return httpx.URL(answer.headers["location"]).path


async def patch(person: Person, path: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    return await person.call(
        "PATCH", path, content=data, headers=TUS | BYTES | {"Upload-Offset": str(offset)} | headers
    )


async def head(person: Person, path: str) -> httpx.Response:
    return await person.call("HEAD", path, headers=TUS)


async def test_a_public_client_uploads(base: str, alice: Person, visitor: Person) -> None:
    data = png(400, 400) if len(png(400, 400)) > 1_000 else b""
    client = TusClient(f"{base}{PATH}", headers={"Authorization": f"Bearer {alice.token}"})

    def upload() -> tuple[str, int]:
        uploader = client.uploader(file_stream=io.BytesIO(data), chunk_size=700, metadata={"filename": "../x.html"})
        uploader.upload()
        return str(uploader.url), uploader.offset

    url, offset = await asyncio.to_thread(upload)
    assert offset == len(data)
    done = await head(alice, httpx.URL(url).path)
    assert done.headers["upload-offset"] == done.headers["upload-length"] == str(len(data))
    served = await visitor.call("GET", httpx.URL(done.headers["x-file-url"]).path)
    assert served.content == data
    state = await alice.get("/api/file/status", id=done.headers["x-file-url"])
    assert (state["status"], state["id"]) == ("ready", hashlib.sha256(data).hexdigest())


async def test_a_public_client_goes_on_after_it_was_broken_off(base: str, alice: Person) -> None:
    data = video(seconds=2)
    client = TusClient(f"{base}{PATH}", headers={"Authorization": f"Bearer {alice.token}"})
    part = len(data) // 3

    def begin() -> str:
        uploader = client.uploader(file_stream=io.BytesIO(data), chunk_size=part, upload_checksum=True)
        uploader.upload_chunk()  # type: ignore[no-untyped-call]
        return str(uploader.url)

    def go_on(url: str) -> int:
        uploader = client.uploader(file_stream=io.BytesIO(data), url=url, chunk_size=part, upload_checksum=True)
        assert uploader.offset == part
        uploader.upload()
        return int(uploader.offset)

    url = await asyncio.to_thread(begin)
    assert await asyncio.to_thread(go_on, url) == len(data)
    assert hashlib.sha256(data).hexdigest() in (await head(alice, httpx.URL(url).path)).headers["x-file-url"]


async def test_what_came_before_the_connection_broke_is_kept(base: str, alice: Person) -> None:
    data = png(200, 200)
    path = await create(alice, len(data))
    half = len(data) // 2
    host = httpx.URL(base)
    reader, writer = await asyncio.open_connection(host.host, host.port)
    lines = [
        f"PATCH {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {alice.token}",
        "Upload-Offset: 0",
        f"Content-Length: {len(data)}",
        *(f"{name}: {value}" for name, value in (TUS | BYTES).items()),
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data[:half])
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.close()
    await writer.wait_closed()
    for _ in range(50):
        if (offset := int((await head(alice, path)).headers["upload-offset"])) == half:
            break
        await asyncio.sleep(0.1)
    assert offset == half
    finished = await patch(alice, path, half, data[half:])
    assert (finished.status_code, finished.headers["upload-offset"]) == (204, str(len(data)))
    assert "x-file-url" in finished.headers
    assert reader is not None


async def test_creation_with_upload(alice: Person) -> None:
    data = png()
    answer = await alice.call("POST", PATH, content=data, headers=TUS | BYTES | {"Upload-Length": str(len(data))})
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(data)))
    assert answer.headers["x-file-url"].endswith(".png")


async def test_what_the_server_can_do(visitor: Person) -> None:
    answer = await visitor.call("OPTIONS", PATH)
    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    extensions = {"creation", "creation-with-upload", "expiration", "checksum", "termination"}
    assert set(answer.headers["tus-extension"].split(",")) == extensions
    assert "sha1" in answer.headers["tus-checksum-algorithm"]


async def test_head_tells_where_it_stands(alice: Person) -> None:
    path = await create(alice, 100, **{"Upload-Metadata": "filename d29ybGQ="})
    answer = await head(alice, path)
    told = {name: answer.headers.get(name) for name in ("upload-offset", "upload-length", "upload-metadata")}
    assert told == {"upload-offset": "0", "upload-length": "100", "upload-metadata": "filename d29ybGQ="}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["upload-expires"].endswith("GMT")


async def test_a_wrong_offset(alice: Person) -> None:
    path = await create(alice, 100)
    assert (await patch(alice, path, 0, b"x" * 10)).headers["upload-offset"] == "10"
    for offset in (0, 9, 11, 100):
        answer = await patch(alice, path, offset, b"y")
        assert (answer.status_code, answer.json()["code"], answer.headers["tus-resumable"]) == (409, 10051, "1.0.0")
    assert (await head(alice, path)).headers["upload-offset"] == "10"


async def test_of_many_at_one_offset_one_is_kept(alice: Person) -> None:
    path = await create(alice, 100)
    answers = await asyncio.gather(*(patch(alice, path, 0, bytes([65 + n]) * 10) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [204] + [409] * 7
    assert (await head(alice, path)).headers["upload-offset"] == "10"


async def test_checksums(alice: Person) -> None:
    data, path = b"0123456789", await create(alice, 30)
    for offset, algorithm in ((0, "sha1"), (10, "sha256")):
        digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
        wrong = base64.b64encode(hashlib.new(algorithm, b"x").digest()).decode()
        answer = await patch(alice, path, offset, data, **{"Upload-Checksum": f"{algorithm} {wrong}"})
        assert (answer.status_code, answer.json()["code"]) == (460, 10059)
        assert (await head(alice, path)).headers["upload-offset"] == str(offset)
        answer = await patch(alice, path, offset, data, **{"Upload-Checksum": f"{algorithm} {digest}"})
        assert answer.headers["upload-offset"] == str(offset + 10)
    answer = await patch(alice, path, 20, data, **{"Upload-Checksum": "crc9 AAAA"})
    assert (answer.status_code, answer.json()["code"]) == (400, 10058)


async def test_termination(alice: Person, media: Running) -> None:
    path = await create(alice, 100)
    await patch(alice, path, 0, b"x" * 10)
    assert (await alice.call("DELETE", path, headers=TUS)).status_code == 204
    assert (await head(alice, path)).status_code == 404
    assert (await patch(alice, path, 10, b"x")).status_code == 404
    upload_id = int(path.rpartition("/")[2])
    assert not await execute(media, "SELECT FROM part WHERE upload_id = :id", id=upload_id)


async def test_is_for_its_owner_only(alice: Person, bob: Person) -> None:
    path = await create(alice, 100)
    assert (await head(bob, path)).status_code == 404
    assert (await patch(bob, path, 0, b"x")).status_code == 404
    assert (await bob.call("DELETE", path, headers=TUS)).status_code == 404
    assert (await head(alice, path)).headers["upload-offset"] == "0"


async def test_expires(alice: Person, media: Running) -> None:
    path = await create(alice, 100)
    upload_id = int(path.rpartition("/")[2])
    await execute(media, "UPDATE partial_upload SET expires_at = now() WHERE id = :id", id=upload_id)
    assert (await head(alice, path)).status_code == 404
    assert (await patch(alice, path, 0, b"x")).status_code == 404


async def test_a_refused_file_is_gone_with_its_upload(alice: Person) -> None:
    page = b"<html><script>alert(1)</script></html>"
    path = await create(alice, len(page))
    answer = await patch(alice, path, 0, page)
    assert (answer.status_code, answer.json()["code"]) == (415, 60002)
    assert (await head(alice, path)).status_code == 404


async def test_more_than_was_announced(alice: Person) -> None:
    path = await create(alice, 10)
    answer = await patch(alice, path, 0, b"x" * 11)
    assert (answer.status_code, answer.json()["code"]) == (413, 60002)
    assert (await head(alice, path)).headers["upload-offset"] == "0"


async def test_nothing_is_added_to_what_is_finished(alice: Person) -> None:
    data = png()
    path = await create(alice, len(data))
    await patch(alice, path, 0, data)
    assert (await patch(alice, path, len(data), b"")).status_code == 403


async def test_what_was_not_finished_with_its_last_byte_is_later(alice: Person, media: Running) -> None:
    """As after a service that died in between."""
    data = png()
    path = await create(alice, len(data))
    await patch(alice, path, 0, data[:-1])
    upload_id = int(path.rpartition("/")[2])
    await media.service.storage.put("partial/last", data[-1:])
    await execute(media, "INSERT INTO part VALUES (:id, :start, 1, 'partial/last')", id=upload_id, start=len(data) - 1)
    await execute(media, "UPDATE partial_upload SET received = size WHERE id = :id", id=upload_id)
    assert hashlib.sha256(data).hexdigest() in (await head(alice, path)).headers["x-file-url"]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Upload-Length": "5"}, 412),
        ("POST", {"Upload-Length": "5", "Tus-Resumable": "0.2.2"}, 412),
        ("POST", TUS, 400),
        ("POST", TUS | {"Upload-Length": "-5"}, 400),
        ("POST", TUS | {"Upload-Length": "x"}, 400),
        ("POST", TUS | {"Upload-Length": "0"}, 400),
        ("POST", TUS | {"Upload-Defer-Length": "1"}, 400),
        ("POST", TUS | {"Upload-Length": "9" * 18}, 413),
        ("POST", TUS | {"Upload-Length": "5", "Upload-Metadata": "x" * 5_000}, 400),
    ],
)
async def test_bad_requests(alice: Person, method: str, headers: dict[str, str], status: int) -> None:
    answer = await alice.call(method, PATH, headers=headers)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (status, "1.0.0")


async def test_a_patch_of_another_type(alice: Person) -> None:
    path = await create(alice, 10)
    answer: Any = await patch(alice, path, 0, b"{}", **{"Content-Type": "application/json"})
    assert answer.status_code == 415


async def test_needs_a_token(visitor: Person) -> None:
    await visitor.refused("POST", PATH, 401, -20001, headers=TUS | {"Upload-Length": "5"})


async def test_post_instead_of_patch(alice: Person) -> None:
    path = await create(alice, 10)
    headers = TUS | BYTES | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert (await alice.call("POST", path, content=b"abc", headers=headers)).headers["upload-offset"] == "3"
