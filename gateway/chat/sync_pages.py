"""The changes of conversations, split into answers that gRPC and a socket can carry."""

from collections.abc import Iterable, Sequence

import grpc
import grpc.aio
from msgspec import UNSET

from gateway.chat import views
from gateway.chat.client import Chat
from protos.chat.v1 import conversations_pb2 as pb
from services.client_json import chat as client_json
from services.kit.errors import REASON_KEY

PAGE_BYTES = 256 * 1024  # of message bodies in one answer


async def batch_sync(chat: Chat, points: dict[int, int]) -> list[views.SyncView]:
    """The changes since the given rev in each conversation of which the caller is a member; at most 200 per
    conversation, else it is `limited`.
    """
    request = pb.BatchSyncRequest(points=[pb.SyncPoint(conversation_id=id, from_rev=rev) for id, rev in points.items()])
    try:
        answer = await chat.conversations.BatchSync(request)
    except grpc.aio.AioRpcError as error:
        if not is_too_large(error):
            raise
        return await _sync_halves(chat, points)
    return [views.sync(row) for row in answer.syncs]


async def _sync_halves(chat: Chat, points: dict[int, int]) -> list[views.SyncView]:
    """Asks for less at a time. A conversation that is too large by itself is `limited`."""
    if len(points) == 1:
        ((conversation_id, rev),) = points.items()
        now = await chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=[conversation_id]))
        return [views.limited_sync(conversation_id, rev, row.rev) for row in now.revs]
    items = list(points.items())
    middle = len(items) // 2
    return await batch_sync(chat, dict(items[:middle])) + await batch_sync(chat, dict(items[middle:]))


def parts(whole: views.SyncView) -> Iterable[views.SyncView]:
    """Splits a sync into parts of about PAGE_BYTES. Each continues where the one before ended."""
    rest = whole
    while (count := fitting(rest.messages)) < len(rest.messages):
        first, rest = _split(rest, count)
        yield first
    yield rest


def _split(whole: views.SyncView, count: int) -> tuple[views.SyncView, views.SyncView]:
    """The part with that many messages, and the rest."""
    to_rev = whole.messages[count - 1].rev
    pinned_later = whole.pins is UNSET or whole.pins.rev > to_rev
    first = views.SyncView(
        whole.conversation_id,
        whole.from_rev,
        to_rev,
        whole.messages[:count],
        [row for row in whole.members if row.rev <= to_rev],
        whole.limited,
        more=True,
        reactions=[row for row in whole.reactions if row.rev <= to_rev],
        pins=UNSET if pinned_later else whole.pins,
    )
    rest = views.SyncView(
        whole.conversation_id,
        to_rev,
        whole.to_rev,
        whole.messages[count:],
        [row for row in whole.members if row.rev > to_rev],
        whole.limited,
        reactions=[row for row in whole.reactions if row.rev > to_rev],
        pins=whole.pins if pinned_later else UNSET,
    )
    return first, rest


def fitting(messages: Sequence[client_json.MessageView]) -> int:
    """How many messages, from the first, have bodies of up to PAGE_BYTES together; at least one, if there is any."""
    size = 0
    for count, message in enumerate(messages):
        size += len(message.body)
        if size > PAGE_BYTES and count:
            return count
    return len(messages)


def is_too_large(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC refused the answer because of its size. Our own errors carry a reason."""
    trailer = error.trailing_metadata() or ()
    return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and all(key != REASON_KEY for key, _ in trailer)
