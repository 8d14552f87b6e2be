"""The list of conversations and the pages of one."""

from protos.chat.v1 import conversations_pb2 as pb
from tests.support.chat import Running, direct, friends, history, listed, room_of, send
from tests.support.social import Running as Social
from tests.support.social import act, add, group_with, new_user, new_users, refusal


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
    cv = await room_of(chat, group_id, a, b)
    assert [(c.conversation_id, c.group_id) for c in await listed(chat, b)] == [(cv, group_id)]
