"""Files in messages are what the media service says, whatever the sender claims."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protos.chat.v1 import conversations_pb2 as pb
from protos.media.v1.objects_pb2 import Object
from services.chat.sending.content import MAX_BODY, parse_body
from tests.support.chat import (
    Running,
    chat_settings,
    direct,
    faults,
    friends,
    new_key,
    running_chat_service,
    running_pair,
    say,
    send,
    watching,
    whole_history,
)
from tests.support.media import Running as Media
from tests.support.media import media_settings, png, refer, running_media_service, upload, video
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.social import act, refusal


@pytest.fixture(scope="module")
async def media(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Media]:
    settings = media_settings(servers.create_database("attached"), servers, tmp_path_factory.mktemp("attached"))
    async with running_media_service(settings, background=False) as running:
        yield running


@pytest.fixture(scope="module")
async def chat(
    servers: Servers, social: Social, media: Media, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("chat")
    async with running_pair(servers, social, folder, "attaching", HITOK_MEDIA_TARGET=media.target) as running:
        yield running
        assert not await faults(running)


def url_of(object: Object) -> str:
    return f"https://chat.example:8888{object.path}"


async def bodies(chat: Running, user: int, cv: int) -> list[Any]:
    return [json.loads(message.body) for message in await whole_history(chat, user, cv)]


async def test_a_file_is_described_as_it_is(chat: Running, social: Social, media: Media) -> None:
    a, b = await friends(social)
    data = png(3, 2)
    object = await upload(media, a, data)
    lie = {"url": url_of(object), "size": 1, "media_type": "text/html", "duration": 9, "caption": "my cat"}
    lie |= {"thumbnail": {"url": "https://elsewhere.example/cat.png"}, "blurhash": "x"}
    truth = {"url": f"/media/{object.hash}.png", "size": len(data), "media_type": "image/png", "width": 3, "height": 2}
    truth |= {"thumbnail": {"url": f"/media/{object.hash}.png?w=512", "width": 3, "height": 2}}
    truth |= {"caption": "my cat", "blurhash": object.blurhash}
    assert object.blurhash
    async with watching(chat) as frames:
        ack = await send(chat, a, direct(b), lie, kind="image")
        pushed = await frames.expect(f"push.conv.{ack.conversation_id}", "message")
        assert pushed["body"] == truth
        assert await bodies(chat, b, ack.conversation_id) == [truth]
        edited = json.dumps({"url": object.path, "size": 7, "caption": "my dog"}).encode()
        request = pb.EditRequest(conversation_id=ack.conversation_id, seq=1, body=edited)
        await act(a, chat.conversations.Edit, request)
        assert await bodies(chat, b, ack.conversation_id) == [truth | {"caption": "my dog"}]
        bad = pb.EditRequest(conversation_id=ack.conversation_id, seq=1, body=b'{"url":"/media/x.png"}')
        assert await refusal(act(a, chat.conversations.Edit, bad)) == "OBJECT_NOT_FOUND"


async def test_what_moves_has_an_address_that_plays(chat: Running, social: Social, media: Media) -> None:
    a, b = await friends(social)
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=70)
    for data, kind in ((buffer.getvalue(), "image"), (video(seconds=0.3), "video")):
        object = await upload(media, a, data)
        ack = await send(chat, a, direct(b), {"url": url_of(object), "playback": "https://x/"}, kind=kind)
        body = next(body for body in await bodies(chat, b, ack.conversation_id) if body["url"] == object.path)
        assert (body["playback"], body["duration"]) == (f"{object.path}?as=mp4", object.duration)
        assert body["thumbnail"]["url"] == f"{object.path}?w=512"


async def test_what_may_not_be_attached(chat: Running, social: Social, media: Media) -> None:
    a, b = await friends(social)
    mine, theirs = await upload(media, a, png()), await upload(media, b, png())
    await refer(media, theirs.hash, b, visibility=1)
    unknown = f"/media/{'0' * 64}.png"
    tries: list[tuple[str, Any, str]] = [
        ("image", {"url": unknown}, "OBJECT_NOT_FOUND"),
        ("image", {"url": "https://elsewhere.example/cat.png"}, "OBJECT_NOT_FOUND"),
        ("image", {"url": theirs.path}, "OBJECT_NOT_FOUND"),
        ("image", {"text": "no url"}, "MESSAGE_INVALID"),
        ("image", [mine.path], "MESSAGE_INVALID"),
        ("video", {"url": mine.path}, "MESSAGE_INVALID"),
        ("audio", {"url": mine.path}, "MESSAGE_INVALID"),
        ("file", {"url": mine.path, "note": "x" * (MAX_BODY - 120)}, "MESSAGE_TOO_LARGE"),
        ("file", {"url": mine.path}, ""),
        ("text", {"url": unknown}, ""),
    ]
    results = await asyncio.gather(*(refusal(send(chat, a, direct(b), body, kind=kind)) for kind, body, _ in tries))
    assert results == [reason for *_, reason in tries]
    assert await refusal(send(chat, b, direct(a), {"url": theirs.path}, kind="image")) == "", "their own"


async def test_many_at_once_are_one_question(
    chat: Running, social: Social, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await friends(social)
    objects = [await upload(media, a, png()) for _ in range(10)]
    await send(chat, a, direct(b))
    asked: list[int] = []
    ask = chat.service.attachments._objects._ask

    async def counted(hashes: Any) -> Any:
        asked.append(len(hashes))
        return await ask(hashes)

    monkeypatch.setattr(chat.service.attachments._objects, "_ask", counted)
    fill = chat.service.attachments.fill
    contents = [say(direct(b), {"url": object.path}, kind="image").body for object in objects]
    filled = await asyncio.gather(*(fill("image", parse_body(body)) for body in contents))
    assert [json.loads(body.text)["url"] for body in filled] == [object.path for object in objects]
    assert asked == [10]


async def test_without_the_media_service_only_files_wait(
    servers: Servers, social: Social, media: Media, tmp_path: Path
) -> None:
    a, b = await friends(social)
    object = await upload(media, a, png())
    key = new_key()
    body = {"url": object.path}
    database = servers.create_database("no_media")
    there = chat_settings(database, servers, tmp_path, social.target, HITOK_MEDIA_TARGET=media.target)
    async with running_chat_service(there) as chat:
        ack = await send(chat, a, direct(b), body, key=key, kind="image")
    away = chat_settings(database, servers, tmp_path, social.target, HITOK_MEDIA_TARGET="127.0.0.1:1")
    async with running_chat_service(away) as chat:
        assert await refusal(send(chat, a, direct(b), body, kind="image")) == "MEDIA_UNAVAILABLE"
        again = await send(chat, a, direct(b), body, key=key, kind="image")
        assert (again.duplicate, again.seq) == (True, ack.seq), "a retry of what is stored is acknowledged all the same"
        assert (await send(chat, a, direct(b))).seq == 2
