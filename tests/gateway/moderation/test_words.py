"""With refused words, each way to publish a text refuses them with the same code, and names the field."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.moderation.town import Town, running_town
from tests.support import social as graph
from tests.support.servers import Servers
from tests.support.video_people import comment, publish

REFUSED = 400, 10091


@pytest.fixture(scope="module")
async def strict_town(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    folder = tmp_path_factory.mktemp("strict")
    async with running_town(servers, folder, HITOK_FILTERED_WORDS="badword,坏词") as running:
        yield running


async def test_every_way_to_publish_a_text(strict_town: Town) -> None:
    a, b = await strict_town.friends()
    video = await publish(a)
    comment_id = await comment(a, video["id"])
    group = str(await graph.create_group(strict_town.social, a.id, name="good"))
    text = "what a BADWORD"
    send = {"to": {"user_id": b.uid}, "client_msg_id": str(uuid.uuid4()), "content_type": "text"}
    bodies: list[tuple[str, dict[str, Any], str]] = [
        ("/api/videos/create-video", {"video_path": "https://example.com/v.mp4", "title": text}, "title"),
        ("/api/videos/update-video", {"video_id": video["id"], "description": "坏词"}, "description"),
        ("/api/videos/comment-video", {"video_id": video["id"], "content": text}, "content"),
        ("/api/videos/edit-comment", {"comment_id": comment_id, "content": text}, "content"),
        ("/api/videos/comment-comments", {"father_id": comment_id, "content": {"x": [text]}}, "content"),
        ("/api/user/set-profile", {"bio": text}, "bio"),
        ("/api/user/set-profile", {"username": "badword"}, "username"),
        ("/api/contact/create-community", {"name": text}, "name"),
        ("/api/contact/update-community", {"community_id": group, "announcement": text}, "announcement"),
        ("/api/chat/send", send | {"body": {"text": text}}, "body"),
    ]
    for path, body, field in bodies:
        answer = await a.refused("POST", path, *REFUSED, json=body)
        assert answer.headers["x-error"].split() == ["WORDS_REFUSED", field], path
    assert (await a.post("/api/chat/send", **send, body={"text": "good"}))["seq"] == 1
    register = {"phone": "17512340000", "password": "correct horse", "nickname": "a badword"}
    await strict_town.visitor.refused("POST", "/api/v1/user/register", 400, 100050, json=register)
