"""The list of conversations and the pages of one."""

import pytest

from protos.chat.v1 import conversations_pb2 as pb
from services.chat.reading import conversations
from tests.support.chat import Running, conversation, direct, friends, group_conversation, history, listed, send
from tests.support.social import Running as Social
from tests.support.social import act, add, group_with, join, new_user, new_users, refusal


async def test_the_most_recently_active_come_first_page_by_page(chat: Running, social: Social) -> None:
    me, *peers = new_users(8)
    for peer in peers:
        await add(social, me, peer)
        await send(chat, peer, direct(me))
    await send(chat, me, direct(peers[2]))
    expected = [peers[2], *(peer for peer in reversed(peers) if peer != peers[2])]
    assert [c.peer_id for c in await listed(chat, me)] == expected
    for limit in (1, 3):
        assert [c.peer_id for c in await listed(chat, me, limit)] == expected
    assert {c.unread for c in await listed(chat, me)} == {1}
    assert [(c.kind, c.push_receipts) for c in await listed(chat, peers[0])] == [(pb.DIRECT, True)]


async def test_a_bad_cursor_is_refused(chat: Running) -> None:
    user = new_user()
    for cursor in ("x", "WzFd", "WzkyMjMzNzIwMzY4NTQ3NzU4MDcsMV0"):
        request = pb.ListConversationsRequest(cursor=cursor)
        assert await refusal(act(user, chat.conversations.ListConversations, request)) == "CURSOR_INVALID"


async def test_history_pages(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = [await send(chat, a, direct(b)) for _ in range(7)][-1].conversation_id
    assert [m.seq for m in await history(chat, b, cv, limit=3)] == [7, 6, 5]
    assert [m.seq for m in await history(chat, b, cv, before=4, limit=2)] == [3, 2]
    assert await history(chat, b, cv, before=1) == []
    answer = await act(b, chat.conversations.GetHistory, pb.GetHistoryRequest(conversation_id=cv))
    assert (len(answer.messages), answer.rev) == (1, 7)


async def test_revs_as_they_are_now(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    ack = await send(chat, a, direct(b))
    ids = [ack.conversation_id, 5]
    answer = await chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=ids))
    assert [(r.conversation_id, r.rev) for r in answer.revs] == [(ack.conversation_id, ack.rev)]
    many = pb.BatchGetRevsRequest(conversation_ids=range(1_001))
    assert await refusal(chat.conversations.BatchGetRevs(many)) == "BATCH_TOO_LARGE"


async def test_a_new_group_is_in_the_list(chat: Running, social: Social) -> None:
    a, b = new_users(2)
    group_id = await group_with(social, a, b)
    cv = await group_conversation(chat, group_id, a, b)
    assert [(c.conversation_id, c.group_id) for c in await listed(chat, b)] == [(cv, group_id)]


async def test_many_lists_in_one_call_are_those_of_each(chat: Running, social: Social) -> None:
    users = new_users(4)
    a, b, c, nobody = users
    await add(social, a, b)
    await send(chat, a, direct(b), "1")
    await send(chat, b, direct(a), "2")
    group_id = await group_with(social, a, b, approval=False)
    room = await group_conversation(chat, group_id, a, b)
    await send(chat, a, conversation(room), "before c came")
    await join(social, c, group_id)
    assert await group_conversation(chat, group_id, a, b, c) == room

    for limit in (1, 2, 100):
        pages = await batch_listed(chat, users, limit)
        for user in users:
            request = pb.ListConversationsRequest(limit=limit)
            assert pages[user] == await act(user, chat.conversations.ListConversations, request)
    pages = await batch_listed(chat, users)
    (seen,), (mine, *_) = pages[c].conversations, pages[b].conversations
    assert seen.conversation_id == mine.conversation_id == room
    assert not seen.HasField("last_message") and mine.HasField("last_message")
    assert (seen.unread, mine.unread, len(pages[b].conversations), len(pages[nobody].conversations)) == (0, 1, 2, 0)
    assert await batch_listed(chat, [a, a]) == await batch_listed(chat, [a])
    assert await batch_listed(chat, []) == {}


async def test_whose_list_has_no_room_beside_others_is_left_out(
    chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, peer = new_users(3), new_user()
    for user in users:
        await add(social, user, peer)
        await send(chat, peer, direct(user), "x" * 1_000)
    monkeypatch.setattr(conversations, "MAX_LIMIT", 1)  # rows held at a time
    assert list(await batch_listed(chat, users, 1)) == users
    monkeypatch.setattr(conversations, "MAX_ANSWER", 2 * 1_000 + 3 * conversations.ROW_BYTES)
    assert list(await batch_listed(chat, users, 1)) == users[:2]
    assert await refusal(batch_listed(chat, list(range(1, 102)))) == "BATCH_TOO_LARGE"


async def batch_listed(chat: Running, users: list[int], limit: int = 100) -> dict[int, pb.ListConversationsResponse]:
    request = pb.BatchListConversationsRequest(user_ids=users, limit=limit)
    pages = dict((await chat.conversations.BatchListConversations(request)).pages)
    return {user: pages[user] for user in users if user in pages}
