"""Search, in Chinese and in languages with spaces, in the messages that the searcher may see."""

from typing import Any

import pytest
from sqlalchemy import text

from services.chat.reading import search as search_rules
from services.kit.sql.statements import Statement
from tests.support.chat import (
    Running,
    answer,
    delete,
    direct,
    edit,
    friends,
    group,
    group_conversation,
    recall,
    search,
    send,
)
from tests.support.social import Running as Social
from tests.support.social import add, group_with, join, leave, new_user, new_users, refusal

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


@pytest.fixture(params=[search_rules.MAX_RARE, -1], ids=["by words", "by conversations"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words count as rare, or not."""
    monkeypatch.setattr(search_rules, "MAX_RARE", request.param)


@pytest.mark.parametrize(("words", "places"), FOUND)
async def test_what_is_found(
    chat: Running, said: tuple[int, int], words: str, places: list[int], either_way: None
) -> None:
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


async def test_newest_first_by_pages(chat: Running, social: Social, either_way: None) -> None:
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


async def test_filters(chat: Running, social: Social, either_way: None) -> None:
    a, b, c = await friends(social, 3)
    id = (await send(chat, a, direct(b), "plan one")).conversation_id
    await send(chat, b, direct(a), "plan two")
    await send(chat, b, direct(a), {"text": "plan emoji"}, kind="emoji")
    other = await send(chat, c, direct(a), "plan three")
    times = {each.seq: each.created_at for each in await search(chat, a, "plan", id)}

    async def seqs(words: str, **filters: Any) -> list[int]:
        return [each.seq for each in await search(chat, a, words, **filters)]

    assert await seqs("plan", conversation_id=id) == [3, 2, 1]
    assert await seqs("plan", sender_id=b) == [3, 2]
    assert await seqs("", sender_id=b) == [3, 2]
    assert await seqs("plan", sender_id=b, content_types=["text", "file"]) == [2]
    assert await seqs("", content_types=["emoji"]) == [3]
    since = [seq for seq in (3, 2, 1) if times[seq] >= times[2]]
    assert await seqs("plan", since=times[2], conversation_id=id) == since
    assert await seqs("plan", until=times[2], conversation_id=id) == [seq for seq in (3, 2, 1) if seq not in since]
    assert await seqs("plan", sender_id=c) == [other.seq]
    assert await seqs("") == await seqs("!?", sender_id=b) == []
    assert await refusal(search(chat, a, "plan", content_types=["poem"])) == "SEARCH_INVALID"


async def test_only_what_one_may_read_now(chat: Running, social: Social, either_way: None) -> None:
    a, b, late = await friends(social, 3)
    group_id = await group_with(social, a, b, approval=False)
    id = await group_conversation(chat, group_id, a, b)
    await send(chat, a, group(group_id), "secret before")
    await join(social, late, group_id)
    await group_conversation(chat, group_id, a, b, late)
    await send(chat, a, group(group_id), "secret after")
    assert [each.seq for each in await search(chat, late, "secret")] == [2]
    await delete(chat, b, id)  # for oneself
    await send(chat, a, group(group_id), "secret again")
    assert [each.seq for each in await search(chat, b, "secret")] == [3]
    await leave(social, late, group_id)
    await group_conversation(chat, group_id, a, b)
    assert await search(chat, late, "secret") == []
    assert await refusal(search(chat, late, "secret", id)) == "CONVERSATION_NOT_FOUND"
    d, e = new_users(2)
    await add(social, d, e)
    asked = await send(chat, d, direct(e), "secret request")
    assert len(await search(chat, e, "secret")) == 1
    await answer(chat, e, asked.conversation_id, accept=False)
    assert await search(chat, e, "secret") == []  # as the list leaves it out


async def test_a_search_that_takes_too_long_ends(
    chat: Running, said: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_rules, "BOUND", text("SELECT set_config('statement_timeout', '1ms', true)"))
    monkeypatch.setattr(
        search_rules, "RARE", Statement[Any]("SELECT pg_sleep(5), CAST(:words AS text), CAST(:most AS int)")
    )
    assert await refusal(search(chat, said[0], "quick")) == "SEARCH_TOO_BROAD"
    monkeypatch.undo()
    assert await search(chat, said[0], "quick")
