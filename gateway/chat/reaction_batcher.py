"""Reacting: changes that arrive while others are on their way travel in one call and one transaction."""

from collections.abc import Sequence

import grpc.aio

from gateway.chat.refusals import refusal_error
from protos.chat.v1 import reactions_pb2 as pb
from protos.chat.v1.reactions_pb2_grpc import ReactionsStub
from services.kit.batcher import Batcher
from services.kit.context import current_caller

MAX_BATCH = 300  # changes in a call
WINDOW = 0.002  # seconds that a change waits for others while a call is on its way; a lone one does not wait
TIMEOUT = 5.0  # seconds


class ReactionBatcher:
    def __init__(self, reactions: ReactionsStub) -> None:
        self._reactions = reactions
        self._batches: Batcher[pb.ReactionChange, pb.MessageReactions] = Batcher(
            self._set, WINDOW, MAX_BATCH, name="set reactions"
        )

    async def set(self, conversation_id: int, seq: int, emoji: str, reacted: bool) -> pb.MessageReactions:
        """On behalf of the current caller. Raises the chat service's errors, and Unavailable."""
        message = {"conversation_id": conversation_id, "seq": seq}
        change = pb.ReactionChange(user_id=current_caller.get().user_id, **message, emoji=emoji, reacted=reacted)
        return await self._batches.submit(change)

    async def _set(self, changes: list[pb.ReactionChange]) -> Sequence[pb.MessageReactions | grpc.aio.AioRpcError]:
        answer = await self._reactions.SetReactions(pb.SetReactionsRequest(changes=changes), timeout=TIMEOUT)
        return [_result(outcome) for outcome in answer.outcomes]


def _result(outcome: pb.ReactionOutcome) -> pb.MessageReactions | grpc.aio.AioRpcError:
    if outcome.HasField("reactions"):
        return outcome.reactions
    refusal = outcome.refusal
    return refusal_error(refusal.status, refusal.reason, refusal.field)
