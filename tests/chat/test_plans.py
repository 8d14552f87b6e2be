"""No hot query reads a whole table, and lists take few queries: on full tables."""

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from protos.chat.v1.reactions_pb2 import ListReactorsRequest
from services.chat.notifications.notifications import NewNotification
from services.chat.notifications.writing import notify
from services.kit.sql.statements import Bound
from tests.support.chat import (
    Running,
    chat_settings,
    conversation,
    deliver,
    deliver_all,
    direct,
    edit,
    faults,
    history,
    listed,
    notifications,
    react,
    read,
    recall,
    running_chat_service,
    search,
    send,
    sync,
)
from tests.support.plans import plan_of, watching
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.social import act, new_users
from tests.support.social import add as befriend

# `me` has 2,000 conversations of ten messages with peers, and one with 20,000 with `peer`, and 20,000 notifications.
FILL = """
INSERT INTO conversation (id, kind, low_id, high_id, last_seq, rev, member_count, complete)
  SELECT n, 0, n, {me}, 10, 10, 2, true FROM generate_series(1000, 2999) n;
INSERT INTO conversation (id, kind, low_id, high_id, last_seq, rev, member_count, complete)
  VALUES (1, 0, {me}, {peer}, 20000, 20000, 2, true);
INSERT INTO conversation_member (conversation_id, user_id, rev, delivered_seq, read_seq)
  SELECT c.id, u, 0, 5, 5 FROM conversation c, unnest(ARRAY[c.low_id, c.high_id]) u;
INSERT INTO conversation (id, kind, group_id, last_seq, rev, member_count, complete)
  SELECT n, 1, n, 0, 1, 5, true FROM generate_series(5000, 8999) n;
INSERT INTO conversation_member (conversation_id, user_id, rev)
  SELECT n, u, 1 FROM generate_series(5000, 8999) n, generate_series(1, 5) u;
INSERT INTO message (conversation_id, seq, rev, id, sender_id, client_msg_id, content_type, body, size, words)
  SELECT c.id, s, s, c.id * 100000 + s, c.low_id, gen_random_uuid(), 'text', '{{"text": "x"}}', 13,
   array_to_tsvector(ARRAY['word' || s % 500])
  FROM conversation c, generate_series(1, c.last_seq) s WHERE c.last_seq > 0;
INSERT INTO reaction (conversation_id, seq, user_id, emoji)
  SELECT conversation_id, seq, sender_id, 'x' FROM message WHERE seq % 2 = 0;
INSERT INTO reaction_summary (conversation_id, seq, rev, counts)
  SELECT conversation_id, seq, rev, '[["x", 1]]' FROM message WHERE seq % 2 = 0;
INSERT INTO notification (id, user_id, kind, event, topic, actor_ids, actor_count, subject, read_at)
  SELECT n, CASE WHEN n % 2 = 0 THEN {me} ELSE n END, 'like', 'event ' || n, 'like:' || n, '{{1}}', 1, '{{}}',
   CASE WHEN n % 4 = 0 THEN now() END FROM generate_series(1, 40000) n;
"""
TABLES = r"message(_\d)?|conversation_member|conversation|notification|reaction|reaction_summary"


@pytest.fixture(scope="module")
async def people(social: Social) -> list[int]:
    me, peer = new_users(2)
    await befriend(social, me, peer)
    await befriend(social, peer, me)
    return [me, peer]


@pytest.fixture(scope="module")
async def full(
    servers: Servers, social: Social, people: list[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    url, folder = servers.create_database("full"), tmp_path_factory.mktemp("full")
    async with running_chat_service(chat_settings(url, servers, folder, social.target)) as running:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.format(me=people[0], peer=people[1]))
            connection.execute("VACUUM ANALYZE")
        assert not await faults(running)
        yield running


@contextmanager
def recording(chat: Running) -> Iterator[list[Bound]]:
    """Each statement the service runs on those tables, with its parameters."""
    ours: list[Bound] = []
    with watching(chat.service.database) as seen:
        yield ours
    ours += [statement for statement in seen if re.search(TABLES, statement.shape.text)]


async def seq_scans(chat: Running, seen: list[Bound]) -> list[str]:
    found = []
    async with chat.service.database.reading() as connection:
        for statement in seen:
            text = await plan_of(connection, statement)
            if re.search(rf'Seq Scan on "?({TABLES})\b', text):
                found.append(f"{statement.shape.text}\n{text}")
    return found


async def test_what_is_read_reads_no_whole_table(full: Running, people: list[int]) -> None:
    me, peer = people
    with recording(full) as seen:
        await listed(full, me)
        await listed(full, peer, limit=10)
        await history(full, me, 1)
        await history(full, me, 1, before=10_000, limit=50)
        await sync(full, me, {1: 19_950, **dict.fromkeys(range(1000, 1199), 5)})
        await search(full, me, "word7")
        await search(full, me, "word7", 1)
        reactors = ListReactorsRequest(conversation_id=1, seq=5, limit=50)
        await act(me, full.reactions.ListReactors, reactors)
        await notifications(full, me)
        await notifications(full, me, before=20_000)
        await act(me, full.conversations.GetReceipts, pb.GetReceiptsRequest(conversation_id=1))
        await full.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=range(1000, 2000)))
        request = sockets_pb.BatchGetPresenceRequest(user_ids=[*range(1, 100)])
        await act(me, full.presence.BatchGetPresence, request)
    assert len(seen) >= 20
    assert await seq_scans(full, seen) == []


async def test_what_is_written_reads_no_whole_table(full: Running, people: list[int]) -> None:
    me, peer = people
    with recording(full) as seen:
        cv = (await send(full, me, direct(peer), mentions=[peer])).conversation_id
        key = str(uuid.uuid4())
        await send(full, me, conversation(cv), key=key)
        ack = await send(full, me, conversation(cv), key=key)
        await edit(full, me, cv, ack.seq)
        await react(full, me, cv, ack.seq)
        await react(full, me, cv, ack.seq, reacted=False)
        await recall(full, me, cv, ack.seq)
        await deliver(full, peer, cv, ack.seq)
        await deliver_all(full, (me, cv, ack.seq), (peer, cv, ack.seq))
        await read(full, peer, cv, ack.seq)
        request = sockets_pb.MarkNotificationsReadRequest(notification_ids=[2, 6])
        await act(me, full.notifications.MarkNotificationsRead, request)
        async with full.service.database.transaction() as connection:
            notice = NewNotification(me, "like", 5, {}, "like:30")
            await notify(connection, full.service.publisher, full.service.new_id, [("e", notice)])
    assert len(seen) >= 15
    assert await seq_scans(full, seen) == []
    assert not await faults(full)


@pytest.mark.parametrize("limit", [2, 500])
async def test_a_list_takes_three_queries_and_a_sync_four(full: Running, people: list[int], limit: int) -> None:
    with recording(full) as seen:
        await act(people[0], full.conversations.ListConversations, pb.ListConversationsRequest(limit=limit))
    assert len(seen) == 3
    with recording(full) as seen:
        request = pb.BatchListConversationsRequest(user_ids=[people[1], *range(1000, 1049)], limit=limit)
        assert len((await full.conversations.BatchListConversations(request)).pages) == 50
    assert len(seen) == 3
    assert await seq_scans(full, seen) == []
    with recording(full) as seen:
        await sync(full, people[0], dict.fromkeys(range(1000, 1000 + min(limit, 200)), 0))
    assert len(seen) == 4
