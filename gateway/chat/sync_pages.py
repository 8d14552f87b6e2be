"""What changed in conversations, in pieces that neither gRPC nor a socket is too small for."""

from collections.abc import Iterable, Sequence

import grpc
import grpc.aio

from gateway.chat import views
from gateway.chat.client import Chat
from protos.chat.v1 import conversations_pb2 as pb
from services.kit.errors import REASON_KEY

PAGE_BYTES = 256 * 1024  # of message bodies in one answer


async def batch_sync(chat: Chat, points: dict[int, int]) -> list[views.SyncView]:
    """Of each conversation that the caller is a member of what changed since its rev; at most 200 of them."""
    request = pb.BatchSyncRequest(points=[pb.SyncPoint(conversation_id=id, from_rev=rev) for id, rev in points.items()])
    try:
        answer = await chat.conversations.BatchSync(request)
    except grpc.aio.AioRpcError as error:
        if not is_too_large(error):
            raise
        return await _sync_halves(chat, points)
    return [views.sync(row) for row in answer.syncs]


async def _sync_halves(chat: Chat, points: dict[int, int]) -> list[views.SyncView]:
    """What is too much for one answer."""
    if len(points) == 1:
        ((conversation_id, rev),) = points.items()
        now = await chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=[conversation_id]))
        return [views.limited_sync(conversation_id, rev, row.rev) for row in now.revs]
    items = list(points.items())
    middle = len(items) // 2
    return await batch_sync(chat, dict(items[:middle])) + await batch_sync(chat, dict(items[middle:]))


def parts(whole: views.SyncView) -> Iterable[views.SyncView]:
    """In pieces of about PAGE_BYTES, each of which goes on where the one before ended."""
    rest = whole
    while (count := fitting(rest.messages)) < len(rest.messages):
        to_rev = rest.messages[count - 1].rev
        yield views.SyncView(
            rest.conversation_id,
            rest.from_rev,
            to_rev,
            rest.messages[:count],
            [row for row in rest.members if row.rev <= to_rev],
            whole.limited,
            more=True,
        )
        rest = views.SyncView(
            rest.conversation_id,
            to_rev,
            whole.to_rev,
            rest.messages[count:],
            [row for row in rest.members if row.rev > to_rev],
            whole.limited,
        )
    yield rest


def fitting(messages: Sequence[views.MessageView]) -> int:
    """How many of the first of them have bodies of PAGE_BYTES together; at least one, if there is one."""
    size = 0
    for count, message in enumerate(messages):
        size += len(message.body)
        if size > PAGE_BYTES and count:
            return count
    return len(messages)


def is_too_large(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC itself refused the answer for its size."""
    trailer = error.trailing_metadata() or ()
    return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and all(key != REASON_KEY for key, _ in trailer)
