"""The RPCs of protos/chat/v1/marks.proto."""

from datetime import UTC, datetime, timedelta

from protos.chat.v1 import marks_pb2 as pb
from protos.chat.v1.marks_pb2_grpc import MarksServicer
from services.chat import messages
from services.chat.errors import MuteInvalid
from services.chat.membership import marks
from services.chat.membership.marks import Marked
from services.chat.push.outbox import Publisher
from services.kit.context import require_caller
from services.kit.db import Database

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Marks(MarksServicer):
    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database, self._publisher = database, publisher

    async def HideConversation(self, request: pb.HideConversationRequest, context: object) -> pb.Mark:
        async with self._database.transaction() as connection:
            marked = await marks.hide(connection, require_caller(), request.conversation_id, request.hidden)
            await self._publisher.store_for_relay(connection, marked.pushes)
        return _mark(marked)

    async def MuteConversation(self, request: pb.MuteConversationRequest, context: object) -> pb.Mark:
        muted = (request.conversation_id, request.muted, _moment(request.until))
        async with self._database.transaction() as connection:
            marked = await marks.mute(connection, require_caller(), *muted)
            await self._publisher.store_for_relay(connection, marked.pushes)
        return _mark(marked)

    async def PinConversation(self, request: pb.PinConversationRequest, context: object) -> pb.Mark:
        async with self._database.transaction() as connection:
            marked = await marks.pin(connection, require_caller(), request.conversation_id, request.pinned)
            await self._publisher.store_for_relay(connection, marked.pushes)
        return _mark(marked)

    async def DeleteConversation(self, request: pb.DeleteConversationRequest, context: object) -> pb.Mark:
        async with self._database.transaction() as connection:
            marked = await marks.delete_for_self(connection, require_caller(), request.conversation_id)
            await self._publisher.store_for_relay(connection, marked.pushes)
        return _mark(marked)

    async def ListMarks(self, request: pb.ListMarksRequest, context: object) -> pb.ListMarksResponse:
        async with self._database.reading() as connection:
            rows, to_rev, rev = await marks.list_marks(connection, require_caller(), request.from_rev, request.limit)
        listed = [messages.mark(row, row) for row in rows]
        return pb.ListMarksResponse(marks=listed, to_rev=to_rev, marks_rev=rev)


def _mark(marked: Marked) -> pb.Mark:
    return messages.mark(marked.conversation, marked.member)


def _moment(milliseconds: int) -> datetime | None:
    """None for 0. Raises MuteInvalid for a time that is none."""
    try:
        return EPOCH + timedelta(milliseconds=milliseconds) if milliseconds else None
    except OverflowError:
        raise MuteInvalid from None
