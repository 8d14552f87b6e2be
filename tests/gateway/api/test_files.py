"""api/file/*: the form, its url, and refusals in the document's words."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.gateway import (
    FrontEnd,
    RunningGateway,
    gateway_settings,
    refusal_of,
    running_gateway,
    serving_gateway,
)
from tests.support.media import (
    Running,
    execute,
    media_settings,
    png,
    refer,
    running_media_service,
    stored_files,
)
from tests.support.people import Person, new_person
from tests.support.servers import Servers
from tests.support.user import Running as RunningUser

UPLOAD = "/api/file/upload"


@pytest.fixture(scope="module")
async def files(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    settings = media_settings(servers.create_database("gateway_files"), servers, tmp_path_factory.mktemp("files"))
    async with running_media_service(settings, background=False) as running:
        yield running


def targets(user: RunningUser, files: Running) -> dict[str, str]:
    return {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": files.target, "HITOK_VAR": files.settings.var}


@pytest.fixture(scope="module")
async def gateway(servers: Servers, user: RunningUser, files: Running) -> AsyncIterator[RunningGateway]:
    async with running_gateway(gateway_settings(servers, **targets(user, files))) as running:
        yield running


@pytest.fixture
async def alice(gateway: RunningGateway, user: RunningUser) -> Person:
    return await new_person(FrontEnd(gateway.http), user)


def form(*parts: bytes, boundary: bytes = b"xyz") -> dict[str, Any]:
    """A multipart body, written by hand."""
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    return {"content": body, "headers": {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}}


def field(name: str, data: bytes, filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    return f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data


async def test_upload_and_serve(alice: Person) -> None:
    data = png()
    answer = await alice.ok("POST", UPLOAD, files={"file": ("../../etc/x.html", data, "text/html")})
    assert answer["url"] == f"http://gateway/media/{hashlib.sha256(data).hexdigest()}.png"
    assert (answer["status"], answer["type"], answer["size"]) == ("ready", "image/png", len(data))
    again = await alice.ok("POST", UPLOAD, files={"file": ("again.png", data, "image/png")})
    assert again["url"] == answer["url"]
    assert (await alice.http.get(answer["url"])).content == data


async def test_the_public_url(servers: Servers, user: RunningUser, files: Running) -> None:
    settings = gateway_settings(servers, **targets(user, files), HITOK_PUBLIC_URL="https://cdn.example/x/")
    async with running_gateway(settings) as running:
        person = await new_person(FrontEnd(running.http), user)
        answer = await person.ok("POST", UPLOAD, files={"file": ("a", png(), "image/png")})
    assert answer["url"].startswith("https://cdn.example/x/media/")


async def test_other_fields_do_not_matter(alice: Person) -> None:
    options = form(field("note", b"x" * 100), field("file", png(), "a.png"), field("after", b"y"))
    assert (await alice.ok("POST", UPLOAD, **options))["url"].endswith(".png")


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"files": {"other": ("a.png", png(), "image/png")}}, 400, 10004),
        ({"files": {"file": ("a.png", b"", "image/png")}}, 400, 60002),
        ({"files": {"file": ("a.png", b"<html><script>", "image/png")}}, 415, 60002),
        ({"files": [("file", ("a", png(), "")), ("file", ("b", png(), ""))]}, 400, 10001),
        ({"json": {"file": "x"}}, 415, 10028),
        ({"content": png(), "headers": {"content-type": "image/png"}}, 415, 10028),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400, 10001),
        ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, 10001),
        (
            {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=" + "x" * 500}},
            400,
            10001,
        ),
        (form(*[field(f"f{n}", b"") for n in range(10_000)], field("file", png())), 400, 10001),
        (form(field("file", png()), *[field(f"f{n}", b"") for n in range(10_000)]), 400, 10001),
        (form(field("note", b"x" * 100_000), field("file", png())), 400, 10001),
        (form(b"X-Long: " + b"x" * 9_000 + b"\r\n" + field("file", png())), 400, 10001),
        (form(b"".join(b"X-%d: x\r\n" % n for n in range(100)) + field("file", png())), 400, 10001),
        (form(b"no header at all"), 400, 10001),
        ({**form(field("file", png())), "content": form(field("file", png()))["content"][:-20]}, 400, 10001),
    ],
)
async def test_refusals(alice: Person, files: Running, options: dict[str, Any], status: int, code: int) -> None:
    before = stored_files(files.settings)
    await alice.refused("POST", UPLOAD, status, code, **options)
    assert stored_files(files.settings) == before
    assert not await execute(files, "SELECT FROM upload WHERE user_id = :id", id=alice.id)


async def test_needs_a_token(gateway: RunningGateway) -> None:
    await FrontEnd(gateway.http).refused("POST", UPLOAD, 401, -20001, files={"file": ("a", png(), "")})


async def test_status(alice: Person, user: RunningUser) -> None:
    url = (await alice.ok("POST", UPLOAD, files={"file": ("a.png", png(), "image/png")}))["url"]
    for id in (url, url.rpartition("/")[2], url.rpartition("/")[2].partition(".")[0], url + "?exp=1&sig=2"):
        assert (await alice.get("/api/file/status", id=id))["url"] == url
    other = await new_person(alice.with_token(""), user)
    await other.refused("GET", "/api/file/status", 404, 10054, params={"id": url})
    await alice.refused("GET", "/api/file/status", 400, 10001, params={"id": "x"})
    await alice.refused("GET", "/api/file/status", 400, 10004)
    await alice.refused("POST", "/api/file/retry", 409, 10053, json={"id": url})


async def test_ones_own_are_listed_and_deleted(alice: Person, user: RunningUser) -> None:
    other = await new_person(alice.with_token(""), user)
    data = png()
    url = (await alice.ok("POST", UPLOAD, files={"file": ("a.png", data, "image/png")}))["url"]
    page = await alice.get("/api/file/mine", limit=1)
    (entry,) = page["files"]
    assert (entry["url"], entry["size"], entry["status"]) == (url, len(data), "ready")
    assert entry["uploaded_at"].endswith("Z") and entry["in_use"] is False and page["next_cursor"] == ""
    assert (await other.get("/api/file/mine"))["files"] == []
    await other.refused("POST", "/api/file/delete", 404, 10054, json={"id": url})
    await FrontEnd(alice.http).refused("POST", "/api/file/delete", 401, -20001, json={"id": url})
    await FrontEnd(alice.http).refused("GET", "/api/file/mine", 401, -20001)
    assert await alice.post("/api/file/delete", id=url) == {}
    assert (await alice.http.get(url)).status_code == 404, "at once, also where it was served a moment ago"
    await alice.refused("POST", "/api/file/delete", 404, 10054, json={"id": url})
    assert (await alice.get("/api/file/mine"))["files"] == []


async def test_what_a_video_shows_is_not_deleted(alice: Person, files: Running) -> None:
    url = (await alice.ok("POST", UPLOAD, files={"file": ("a.png", png(), "image/png")}))["url"]
    await refer(files, url.rpartition("/")[2][:64], alice.id, visibility=0)
    await alice.refused("POST", "/api/file/delete", 409, 10070, json={"id": url})


async def test_the_limit_of_the_document(servers: Servers, user: RunningUser, files: Running) -> None:
    """3 a minute, 5 at once."""
    settings = gateway_settings(servers, **targets(user, files), HITOK_RATE_LIMIT_SCALE="1")
    async with running_gateway(settings) as running:
        person = await new_person(FrontEnd(running.http), user)
        for _ in range(5):
            await person.ok("POST", UPLOAD, files={"file": ("a", png(), "")})
        answer = await person.refused("POST", UPLOAD, 429, -20007, files={"file": ("a", png(), "")})
        assert 1 <= int(answer.headers["retry-after"]) <= 20


async def test_bytes_are_limited_by_network(servers: Servers, user: RunningUser, files: Running, alice: Person) -> None:
    path = urlsplit((await alice.ok("POST", UPLOAD, files={"file": ("a", png(), "image/png")}))["url"]).path
    limited = gateway_settings(servers, **targets(user, files), HITOK_RATE_LIMIT_SCALE="0.005")  # 10 at once
    async with running_gateway(limited, ip=f"2001:db8:{secrets.token_hex(2)}::1") as running:
        asked = (running.http.get(path, headers={"Range": "bytes=0-3"}) for _ in range(40))
        answers = await asyncio.gather(*asked)
    served = [answer for answer in answers if answer.status_code == 206]
    refused = [answer for answer in answers if answer not in served]
    assert 10 <= len(served) <= 20  # one a second comes back
    assert {refusal_of(path, answer) for answer in refused} == {(429, -20007)}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


async def test_a_large_body_is_not_held(servers: Servers, user: RunningUser, files: Running) -> None:
    """Over a real port. The service refuses the body long before its end."""
    async with serving_gateway(gateway_settings(servers, **targets(user, files))) as (_, url):
        async with httpx.AsyncClient(base_url=url) as http:
            person = await new_person(FrontEnd(http), user)
            start = b"--x\r\n" + field("file", b"\x89PNG\r\n\x1a\n", "a")
            block = os.urandom(65_536)

            async def body() -> AsyncIterator[bytes]:
                yield start
                for _ in range(2_000):
                    yield block

            headers = {"content-type": "multipart/form-data; boundary=x"}
            await person.refused("POST", UPLOAD, 413, 60002, content=body(), headers=headers)


async def test_a_client_that_goes_away_leaves_nothing(servers: Servers, user: RunningUser, files: Running) -> None:
    before = stored_files(files.settings)
    async with serving_gateway(gateway_settings(servers, **targets(user, files))) as (_, url):
        async with httpx.AsyncClient(base_url=url) as http:
            person = await new_person(FrontEnd(http), user)

            async def body() -> AsyncIterator[bytes]:
                yield b"--x\r\n" + field("file", png(300, 300)[:-50], "a")
                raise ConnectionError("gone")

            headers = {"content-type": "multipart/form-data; boundary=x"}
            with pytest.raises(ConnectionError):
                await person.call("POST", UPLOAD, content=body(), headers=headers)
    for _ in range(50):
        if stored_files(files.settings) == before:
            return
