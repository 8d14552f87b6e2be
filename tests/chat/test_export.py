"""What the chat hands out for a user's export: what they wrote, in all conversations that they ever were in."""

import json
from typing import Any

import pytest

from protos.export.v1.export_pb2 import ExportRowsRequest
from services.chat.export import LISTS
from services.exports.servicers import Export
from tests.support.chat import Running, direct, friends, group, group_conversation, send
from tests.support.social import Running as Social
from tests.support.social import acting, group_with, remove


async def exported(chat: Running, user_id: int, name: str, most: int) -> list[dict[str, Any]]:
    rows, cursor = [], ""
    served = Export(chat.service.database, [each._replace(most=min(most, each.most)) for each in LISTS])
    while True:
        with acting(user_id):
            page = await served.ExportRows(ExportRowsRequest(cursor=cursor), None)
        rows += [json.loads(row) for row in page.rows if page.list == name]
        cursor = page.next_cursor
        if not cursor:
            return rows


@pytest.mark.parametrize("most", [1, 3, 50])
async def test_all_they_wrote_comes_once_on_pages_of_any_size(chat: Running, social: Social, most: int) -> None:
    a, b, c = await friends(social, 3)
    group_id = await group_with(social, a, b)
    await group_conversation(chat, group_id, a, b)
    for number in range(3):
        for to in (direct(a), direct(c), group(group_id)):
            await send(chat, b, to, f"{number}")
        await send(chat, a, direct(b), "not theirs")
    await remove(social, a, group_id, b)
    await group_conversation(chat, group_id, a)
    rows = await exported(chat, b, "messages", most)
    assert len({row["id"] for row in rows}) == len(rows) == 9
    assert sorted(row["body"]["text"] for row in rows) == sorted("012" * 3)
    still_in = {row["conversation_id"]: row["peer_id"] for row in await exported(chat, b, "conversations", most)}
    assert sorted(still_in.values()) == [a, c] and still_in.keys() < {row["conversation_id"] for row in rows}
