"""Sends of many callers in one call: each fails, waits and is written by itself, in the order of arrival."""

import asyncio
import json

import grpc
import grpc.aio
import pytest

from protos.chat.v1 import conversations_pb2 as pb
from services.chat.sending import batch_send
from services.kit.context import current_request_id, require_caller
from services.kit.errors import reason_of
from tests.support.chat import Running, direct, friends, group, group_conversation, new_key, say, whole_history
from tests.support.social import Running as Social
from tests.support.social import group_with, new_users


def errand(user_id: int, send: pb.SendRequest) -> pb.Errand:
    return pb.Errand(send=send, user_id=user_id, role=1, session_id=1, request_id=f"r{user_id}")


async def outcomes(chat: Running, asked: list[pb.Errand]) -> list[pb.SendResponse | str]:
    """The answer or the refusal of each."""
    found: dict[int, pb.SendResponse | str] = {}
    async for answer in chat.conversations.BatchSend(pb.BatchSendRequest(errands=asked), timeout=10):
        for result in answer.results:
            assert result.place not in found
            found[result.place] = result.sent if result.HasField("sent") else result.refusal.reason
    return [found[place] for place in range(len(asked))]


async def test_fifty_of_fifty_are_written_in_their_own_names(chat: Running, social: Social) -> None:
    users = new_users(50)
    group_id = await group_with(social, *users, approval=False)
    room = await group_conversation(chat, group_id, *users)
    sent = await outcomes(chat, [errand(user, say(group(group_id), str(user))) for user in users])
    seqs = {answer.seq: user for user, answer in zip(users, sent, strict=True) if not isinstance(answer, str)}
    messages = await whole_history(chat, users[0], room)
    assert len(seqs) == 50
    assert [(m.sender_id, json.loads(m.body)["text"]) for m in messages] == [
        (seqs[seq], str(seqs[seq])) for seq in range(1, 51)
    ]


async def test_bad_ones_among_good_fail_alone(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    stranger, no_one = new_users(1)[0], 0
    good = [errand(a, say(direct(b), str(n))) for n in range(3)]
    bad = [
        errand(a, say(direct(b), key="no-uuid")),
        errand(stranger, say(direct(b))),
        errand(no_one, say(direct(b))),
        errand(a, pb.SendRequest(client_msg_id=new_key())),
        pb.Errand(),
    ]
    found = await outcomes(chat, [good[0], *bad[:2], good[1], *bad[2:], good[2]])
    sent = [answer.seq for answer in found if not isinstance(answer, str)]
    refused = [answer for answer in found if isinstance(answer, str)]
    assert sent == [1, 2, 3]
    assert refused == ["MESSAGE_INVALID", "NOT_FRIENDS", "CALLER_MISSING", "MESSAGE_INVALID", "MESSAGE_INVALID"]


async def test_one_senders_keep_their_order_and_a_retry_its_place(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    asked = [errand(a, say(direct(b), str(n))) for n in range(batch_send.MAX_ERRANDS)]
    for duplicate in (False, True):
        sent = await outcomes(chat, asked)
        assert [(each.seq, each.duplicate) for each in sent if not isinstance(each, str)] == [
            (seq, duplicate) for seq in range(1, len(asked) + 1)
        ]


async def test_a_call_holds_no_more_than_it_may(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await outcomes(chat, [errand(a, say(direct(b)))] * (batch_send.MAX_ERRANDS + 1))
    assert reason_of(refused.value) == "BATCH_TOO_LARGE"


async def test_nobody_waits_for_a_slow_one_which_ends_with_its_call() -> None:
    ended: list[tuple[int, str]] = []

    async def send(request: pb.SendRequest) -> pb.SendResponse:
        if request.reply_to_seq:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append((require_caller().user_id, current_request_id.get()))
        return pb.SendResponse(client_msg_id=request.client_msg_id)

    slow = pb.SendRequest(reply_to_seq=1)
    run = batch_send.run(
        [errand(1, say(direct(2), key="a")), errand(7, slow), errand(3, say(direct(2), key="b"))], send
    )
    first = await anext(run)
    assert [(result.place, result.sent.client_msg_id) for result in first] == [(0, "a"), (2, "b")]
    waiting: asyncio.Future[list[pb.SendResult]] = asyncio.ensure_future(anext(run))
    await asyncio.sleep(0.01)
    assert not waiting.done() and not ended
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0.01)
    assert ended == [(7, "r7")]


async def test_what_breaks_is_told_without_its_words() -> None:
    async def send(request: pb.SendRequest) -> pb.SendResponse:
        raise RuntimeError("secret")

    run = batch_send.run([errand(1, say(direct(2)))], send)
    (result,) = await anext(run)
    assert result.refusal.status == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(result)
