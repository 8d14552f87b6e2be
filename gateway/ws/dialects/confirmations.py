"""Stores how far clients of dialects have their messages: what sockets confirm at one moment travels in one call."""

from collections.abc import Mapping, Sequence

import grpc.aio
import structlog

from gateway.chat.client import Chat
from protos.chat.v1 import conversations_pb2 as pb
from services.kit.batcher import Batcher
from services.kit.errors import HitokError, Unavailable

TIMEOUT = 5.0  # seconds
WINDOW = 0.05  # seconds; nobody waits for it

log = structlog.get_logger("sockets")


class Confirmations:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._batches: Batcher[pb.Delivered, None] = Batcher(
            self._store, WINDOW, first_window=WINDOW, name="confirm messages"
        )

    def add(self, user_id: int, seqs: Mapping[int, int]) -> None:
        """`seqs`: by conversation. What cannot be stored is sent to the client again when it reconnects."""
        try:
            for conversation_id, seq in seqs.items():
                self._batches.submit(pb.Delivered(user_id=user_id, conversation_id=conversation_id, seq=seq))
        except Unavailable:
            log.info("what a client received is not stored", error="too many wait")

    async def _store(self, delivered: Sequence[pb.Delivered]) -> Sequence[None]:
        request = pb.BatchMarkDeliveredRequest(delivered=delivered)
        try:
            await self._chat.conversations.BatchMarkDelivered(request, timeout=TIMEOUT)
        except (grpc.aio.AioRpcError, HitokError, TimeoutError) as error:
            log.info("what clients received is not stored", error=repr(error)[:200])
        return [None] * len(delivered)
