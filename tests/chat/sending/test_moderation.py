"""What moderators hide of a message is gone from history, syncs, search and sockets, and comes back as it was."""

import itertools
import json

from protos.chat.v1 import conversations_pb2 as pb
from services.chat.account_erasure import AccountEraser
from services.chat.consumer import EventHandler
from services.kit.nats import Event
from tests.support.chat import Running, direct, edit, execute, friends, history, recall, search, send, sync, watching
from tests.support.social import Running as Social
from tests.support.social import refusal

_events = itertools.count(5_000)


async def decide(chat: Running, verb: str, ack: pb.SendResponse, event_id: int = 0) -> None:
    """As the user service announces it."""
    data = {"kind": "message", "subject_id": str(ack.message_id), "user_id": "1"}
    data |= {"conversation_id": str(ack.conversation_id), "seq": str(ack.seq)}
    event = Event(event_id or next(_events), f"events.user.moderation.{verb}", "", "", data)
    handler = EventHandler(chat.service, AccountEraser(chat.service.database, chat.service.publisher))
    async with chat.service.database.transaction() as connection:
        await handler.moderate(connection, event)


async def text_of(chat: Running, user: int, ack: pb.SendResponse) -> str | None:
    shown = next(message for message in await history(chat, user, ack.conversation_id) if message.seq == ack.seq)
    body = json.loads(shown.body)
    assert bool(shown.recalled_at) is (body is None)
    return body and str(body["text"])


async def test_a_hidden_message_is_as_recalled_and_a_restored_one_as_edited(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    async with watching(chat) as frames:
        ack = await send(chat, a, direct(b), "vile zzyzx", mentions=[b])
        cv = ack.conversation_id
        await decide(chat, "hidden", ack)
        data = await frames.expect(f"push.conv.{cv}", "message.recalled", seq=ack.seq)
        assert data["body"] is None and data["rev"] == ack.rev + 1
        for user in (a, b):
            assert await text_of(chat, user, ack) is None
            assert (await search(chat, user, "zzyzx")) == []
            (changed,) = (await sync(chat, user, {cv: ack.rev}))[cv].messages
            assert changed.body == b"null"
        assert await refusal(edit(chat, a, cv, ack.seq)) == "EDIT_FORBIDDEN"
        await decide(chat, "restored", ack)
        data = await frames.expect(f"push.conv.{cv}", "message.updated", seq=ack.seq)
        assert data["body"] == {"text": "vile zzyzx"} and data["mentions"] == [str(b)] and data["rev"] == ack.rev + 2
        assert await text_of(chat, b, ack) == "vile zzyzx" and len(await search(chat, b, "zzyzx")) == 1
    kept = await execute(chat, "SELECT body, words::text, mentions FROM hidden_message WHERE sender_id = :a", a=a)
    assert [tuple(row) for row in kept] == [(None, "", [])]


async def test_repeats_older_events_and_removals(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    ack = await send(chat, a, direct(b), "first")
    await decide(chat, "restored", ack, 20)
    await decide(chat, "hidden", ack, 19)
    assert await text_of(chat, b, ack) == "first"
    await decide(chat, "hidden", ack, 21)
    await decide(chat, "hidden", ack, 22)
    await decide(chat, "hidden", ack, 22)
    assert await text_of(chat, b, ack) is None
    await decide(chat, "restored", ack, 23)
    assert await text_of(chat, b, ack) == "first"
    await edit(chat, a, ack.conversation_id, ack.seq, "second")
    await decide(chat, "hidden", ack, 24)
    await decide(chat, "restored", ack, 25)
    assert await text_of(chat, b, ack) == "second"
    await decide(chat, "hidden", ack, 26)
    await decide(chat, "removed", ack, 27)
    await decide(chat, "restored", ack, 28)
    assert await text_of(chat, b, ack) is None
    assert [row.body for row in await execute(chat, "SELECT body FROM hidden_message WHERE sender_id = :a", a=a)] == [
        None
    ]


async def test_what_its_sender_recalled_does_not_come_back(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    ack = await send(chat, a, direct(b), "oops")
    await recall(chat, a, ack.conversation_id, ack.seq)
    await decide(chat, "hidden", ack)
    await decide(chat, "restored", ack)
    assert await text_of(chat, b, ack) is None
    other = await send(chat, a, direct(b), "gone")
    await decide(chat, "removed", other)
    await decide(chat, "restored", other)
    assert await text_of(chat, b, other) is None


async def test_an_erased_account_leaves_nothing_that_was_hidden(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    ack = await send(chat, a, direct(b), "mine")
    await decide(chat, "hidden", ack)
    eraser = AccountEraser(chat.service.database, chat.service.publisher)
    async with chat.service.database.transaction() as connection:
        await eraser.remove(connection, a)
    while await eraser.erase_batch():
        pass
    await decide(chat, "restored", ack)
    assert await text_of(chat, b, ack) is None
    assert await execute(chat, "SELECT FROM hidden_message WHERE sender_id = :a AND body IS NOT NULL", a=a) == []
