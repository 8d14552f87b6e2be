"""The RPCs of protos/chat/v1/reactions.proto."""

from collections.abc import Sequence
from typing import Any

from protos.chat.v1 import reactions_pb2 as pb
from protos.chat.v1.reactions_pb2_grpc import ReactionsServicer
from services.chat.messages import MessageKey, milliseconds
from services.chat.push.outbox import Publisher
from services.chat.reactions import permission, reading
from services.chat.reactions.emoji import parse_emoji
from services.chat.reactions.permission import RequireWriter
from services.chat.reactions.writing import Change, Reacted, write
from services.kit.context import require_caller
from services.kit.db import Database
from services.kit.errors import HitokError
from services.kit.ids import IdGenerator
from services.kit.pages import check_batch

MAX_CHANGES = 300  # per transaction


class Reactions(ReactionsServicer):
    def __init__(
        self, database: Database, publisher: Publisher, new_id: IdGenerator, require_writer: RequireWriter
    ) -> None:
        self._database, self._publisher, self._new_id = database, publisher, new_id
        self._require_writer = require_writer

    async def SetReactions(self, request: pb.SetReactionsRequest, context: object) -> pb.SetReactionsResponse:
        check_batch(request.changes, MAX_CHANGES)
        parsed = [_parse(change) for change in request.changes]
        known = [change for change in parsed if isinstance(change, Change)]
        refusals = await permission.check(self._require_writer, known)
        allowed = [change for change, refusal in zip(known, refusals, strict=True) if refusal is None]
        written = iter(await self._write(allowed) if allowed else ())
        checked = (refusal or next(written) for refusal in refusals)
        outcomes = (next(checked) if isinstance(change, Change) else change for change in parsed)
        return pb.SetReactionsResponse(outcomes=map(_outcome, outcomes))

    async def ListReactors(self, request: pb.ListReactorsRequest, context: object) -> pb.ListReactorsResponse:
        asked = MessageKey(request.conversation_id, request.seq), request.emoji, request.cursor, request.limit
        async with self._database.reading() as connection:
            rows, cursor = await reading.list_reactors(connection, require_caller(), *asked)
        return pb.ListReactorsResponse(reactors=_reactors(rows), next_cursor=cursor)

    async def _write(self, changes: Sequence[Change]) -> list[Reacted | HitokError]:
        async with self._database.transaction() as connection:
            return await write(connection, self._publisher, self._new_id, changes)


def _parse(change: pb.ReactionChange) -> Change | HitokError:
    try:
        emoji = parse_emoji(change.emoji)
    except HitokError as error:
        return error
    return Change(change.user_id, MessageKey(change.conversation_id, change.seq), emoji, change.reacted)


def _outcome(outcome: Reacted | HitokError) -> pb.ReactionOutcome:
    if isinstance(outcome, Reacted):
        tally, mine = outcome.tally, outcome.tally.held[outcome.user_id]
        counted = (pb.Reaction(emoji=each, count=count, mine=each in mine) for each, count in tally.counts.items())
        told = pb.MessageReactions(**tally.key._asdict(), rev=tally.rev, reactions=counted)
        return pb.ReactionOutcome(reactions=told)
    refusal = pb.ReactionRefusal(status=outcome.status.value[0], reason=outcome.reason, field=outcome.field)
    return pb.ReactionOutcome(refusal=refusal)


def _reactors(rows: Sequence[Any]) -> list[pb.Reactor]:
    return [pb.Reactor(user_id=row.user_id, emoji=row.emoji, created_at=milliseconds(row.created_at)) for row in rows]
