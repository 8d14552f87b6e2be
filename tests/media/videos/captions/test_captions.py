"""Captions over HTTP: several per video, its owner's to change, as private as it is, in its HLS playlist."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.media.files import deletions
from services.media.models import READY
from services.media.processing.jobs import processing
from tests.media.processing import hls_rules
from tests.media.processing.test_ladder import finish
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.media import Running, execute, keys_of, media_settings, running_media_service, settled, upload, video
from tests.support.people import Person, new_person
from tests.support.servers import Servers
from tests.support.user import Running as Users
from tests.support.video_people import publish

SRT = "1\n00:00:00,100 --> 00:00:00,900\n{}\n"
API = "/api/videos"


@pytest.fixture(scope="module")
async def own(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service whose jobs the tests run themselves."""
    settings = media_settings(servers.create_database("captions"), servers, tmp_path_factory.mktemp("captions"))
    async with running_media_service(settings, background=False) as running:
        yield running


@pytest.fixture(scope="module")
async def door(servers: Servers, user: Users, own: Running) -> AsyncIterator[RunningGateway]:
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": own.target, "HITOK_VAR": own.settings.var}
    async with running_gateway(gateway_settings(servers, **targets)) as running:
        yield running


@pytest.fixture(scope="module")
async def ann(door: RunningGateway, user: Users) -> Person:
    return await new_person(FrontEnd(door.http), user)


@pytest.fixture(scope="module")
async def ben(door: RunningGateway, user: Users) -> Person:
    return await new_person(FrontEnd(door.http), user)


async def shown(own: Running, owner: Person, data: bytes, **more: Any) -> dict[str, Any]:
    """A published video that is ready."""
    stored = await upload(own, owner.id, data)
    async with processing(own.service):
        assert (await settled(own, owner.id, stored.hash)).state == READY
    return await publish(owner, video_path=f"/media/{stored.file}", **more)


async def say(owner: Person, video_id: str, language: str, text: str, **more: Any) -> list[dict[str, Any]]:
    answer = await owner.post(
        f"{API}/set-captions", video_id=video_id, language=language, text=SRT.format(text), **more
    )
    found: list[dict[str, Any]] = answer["captions"]
    return found


async def get(viewer: FrontEnd, video_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await viewer.get(f"{API}/get-video", video_id=video_id))["video"]
    return found


async def read(viewer: FrontEnd, url: str) -> httpx.Response:
    answer = await viewer.call("GET", url)
    assert answer.status_code == 200
    return answer


async def test_from_upload_to_playlist(own: Running, door: RunningGateway, ann: Person, ben: Person) -> None:
    made = await shown(own, ann, video("matroska", "mpeg4", seconds=1.5))
    assert made["captions"] == []
    before = await keys_of(own)
    await say(ann, made["id"], "EN", "hello", label="English")
    assert [of["language"] for of in await say(ann, made["id"], "zh-hans", "你好")] == ["en", "zh-Hans"]
    seen = await get(ben, made["id"])
    assert [(of["language"], of["label"]) for of in seen["captions"]] == [("en", "English"), ("zh-Hans", "zh-Hans")]
    answer = await read(ben, seen["captions"][1]["url"])
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.text == "WEBVTT\n\n00:00:00.100 --> 00:00:00.900\n你好\n"
    text = (await read(ben, seen["hls_url"])).text
    named = re.findall(r'LANGUAGE="(\S+?)",.*URI="(\S+?)"', text)
    assert [language for language, _ in named] == ["en", "zh-Hans"]
    assert 'SUBTITLES="captions"' in text

    async def read_named(name: str) -> bytes:
        return (await read(ben, f"/media/{name}")).content

    (only,) = await hls_rules.check(text, read_named)
    assert only.said["RESOLUTION"] == "160x120"
    rendition = (await read(ben, f"/media/{named[0][1]}")).text
    (start, file) = re.findall(r"#EXT-X-BYTERANGE:\d+@(\d+)\n(\S+)", rendition)[0]
    assert start == "0"
    assert "hello" in (await read(ben, f"/media/{file}")).text
    await say(ann, made["id"], "en", "goodbye")
    assert "goodbye" in (await read(ben, (await get(ben, made["id"]))["captions"][0]["url"])).text
    for language in ("en", "zh-Hans"):
        await ann.post(f"{API}/delete-captions", video_id=made["id"], language=language)
    last = await get(ben, made["id"])
    assert (last["captions"], last["hls_url"]) == ([], made["hls_url"])
    await deletions.drain(own.service.database, own.service.storage)
    assert await keys_of(own) == before, "nothing is left of them"


async def test_they_are_the_owner_s_to_change(own: Running, ann: Person, ben: Person) -> None:
    made = await shown(own, ann, video(movflags="+faststart"))
    body = {"video_id": made["id"], "language": "en", "text": SRT.format("x")}
    await ben.refused("POST", f"{API}/set-captions", 403, -20008, json=body)
    await ann.refused("POST", f"{API}/set-captions", 404, 10017, json=body | {"video_id": "1"})
    await ann.refused("POST", f"{API}/set-captions", 400, 10001, json=body | {"language": "english!"})
    await ann.refused("POST", f"{API}/set-captions", 400, 10001, json=body | {"text": "no captions"})
    await ann.refused("POST", f"{API}/set-captions", 400, 10001, json=body | {"label": 'a"b'})
    large = "WEBVTT\n\n" + "00:01.000 --> 00:02.000\nx\n\n" * 10_001
    await ann.refused("POST", f"{API}/set-captions", 413, 60002, json=body | {"text": large})
    await ann.post(f"{API}/set-captions", **body)
    await ben.refused("POST", f"{API}/delete-captions", 403, -20008, json={"video_id": made["id"], "language": "en"})
    assert (await get(ben, made["id"]))["hls_url"] == made["hls_url"] == ""


async def test_they_are_as_private_as_the_video(own: Running, ann: Person, ben: Person) -> None:
    made = await shown(own, ann, video("matroska", "mpeg4", seconds=0.5), visibility="private")
    of = (await say(ann, made["id"], "en", f"{made['url'].rpartition('/')[2][:64]}.mp4"))[0]
    await ben.refused("GET", urlsplit(of["url"]).path, 404, 10054)
    assert "sig=" not in (await read(ann, of["url"])).text, "what users write is not signed"
    playlist = (await read(ann, (await get(ann, made["id"]))["hls_url"])).text
    (rendition,) = re.findall(r'URI="(\S+?)"', playlist)
    (file,) = set(re.findall(r"^[0-9a-f]{64}\.vtt\S*$", (await read(ann, f"/media/{rendition}")).text, re.MULTILINE))
    assert "WEBVTT" in (await read(ben, f"/media/{file}")).text, "the playlist's signature opens what it names"
    await ann.post(f"{API}/update-video", video_id=made["id"], visibility="public")
    await asyncio.sleep(0)
    assert (await get(ben, made["id"]))["captions"][0]["url"] == of["url"].partition("?")[0]
    await ann.post(f"{API}/delete-video", video_id=made["id"])
    assert not await execute(own, "SELECT FROM caption WHERE video_id = :id", id=int(made["id"]))
    assert not await execute(own, "SELECT FROM object WHERE hash = :hash", hash=of["url"].rpartition("/")[2][:64])


async def test_a_playlist_that_comes_later_has_them(own: Running, ann: Person, ben: Person) -> None:
    """They are set while the video is processed, and the ladder replaces the playlist of the lowest rung."""
    data = video("matroska", "mpeg4", seconds=0.5, size=(480, 480))
    stored = await upload(own, ann.id, data)
    made = await publish(ann, video_path=f"/media/{stored.file}")
    await asyncio.gather(*(say(ann, made["id"], language, "x") for language in ("en", "de", "fr")))
    async with processing(own.service):
        assert (await settled(own, ann.id, stored.hash)).state == READY
        await finish(own, stored.hash)
    playlist = (await read(ben, (await get(ben, made["id"]))["hls_url"])).text
    assert playlist.count("TYPE=SUBTITLES") == 3
    assert playlist.count("RESOLUTION=") == 2
