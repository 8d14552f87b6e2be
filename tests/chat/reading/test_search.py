"""Search, in Chinese and in languages with spaces, in the messages that the searcher may see."""

from typing import Any

import pytest

from tests.support.chat import Running, direct, edit, friends, group, group_conversation, recall, search, send
from tests.support.social import Running as Social
from tests.support.social import add, group_with, new_user, new_users, refusal

SAID: list[Any] = [
    "今天天气真好，我们去公园吧",
    "The quick brown fox",
    "混合 mixed 文本 with ÜBER",
    {"name": "会议记录.pdf", "url": "https://files.example/secret.pdf"},
    "ひらがなカタカナ",
    "𝕳ello １２３",
    "Café in İstanbul 🔥 for sale_now, C++ and C",
]
FOUND = [
    ("天气", [0]), ("公园", [0]), ("今天公园", []), ("天天", [0]), ("吧", [0]), ("今", [0]), ("夜", []),
    ("quick", [1]), ("QUI", [1]), ("fox brown", [1]), ("fox cat", []), ("ox", []),
    ("文本", [2]), ("über mixed", [2]), ("混合 with", [2]),
    ("会议", [3]), ("pdf", [3]), ("secret", []), ("https", []),
    ("cafe", [6]), ("CAFÉ istanbul", [6]), ("🔥", [6]), ("sale now", [6]), ("c++", [6]), ("c#", []),
    ("カタ", [4]), ("hello", [5]), ("123", [5]), ("", []), ("!?", []), ("' & | :*", []), ("a' & 'b", []),
]  # fmt: skip


@pytest.fixture(scope="module")
async def said(_chat: Running, social: Social) -> tuple[int, int]:
    a, b = await friends(social)
    for body in SAID:
        await send(_chat, a, direct(b), body)
    return a, b


@pytest.mark.parametrize(("words", "places"), FOUND)
async def test_what_is_found(chat: Running, said: tuple[int, int], words: str, places: list[int]) -> None:
    for user in said:
        assert [m.seq - 1 for m in await search(chat, user, words)] == places


async def test_only_in_ones_own(chat: Running, social: Social, said: tuple[int, int]) -> None:
    assert await search(chat, new_user(), "quick") == []
    a, b = said
    c = new_user()
    await add(social, a, c)
    ack = await send(chat, a, direct(c), "quick too")
    assert len(await search(chat, a, "quick")) == 2
    assert [m.seq for m in await search(chat, a, "quick", ack.conversation_id)] == [ack.seq]
    assert await refusal(search(chat, b, "quick", ack.conversation_id)) == "CONVERSATION_NOT_FOUND"


async def test_newest_first_by_pages(chat: Running, social: Social) -> None:
    users = new_users(2)
    group_id = await group_with(social, *users)
    await group_conversation(chat, group_id, *users)
    ids = [(await send(chat, users[n % 2], group(group_id), f"needle {n}")).message_id for n in range(7)]
    for limit in (1, 3, 100):
        assert [m.message_id for m in await search(chat, users[0], "needle", limit=limit)] == ids[::-1]


async def test_edits_and_recalls_are_followed(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = (await send(chat, a, direct(b), "苹果")).conversation_id
    await edit(chat, a, cv, 1, "香蕉")
    assert await search(chat, b, "苹果") == [] and len(await search(chat, b, "香蕉")) == 1
    await recall(chat, a, cv, 1)
    assert await search(chat, b, "香蕉") == []
