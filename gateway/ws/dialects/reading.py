"""Tells a client of dialect B2 who has read its user's messages."""

from functools import partial

import msgspec
from msgspec import UNSET

from gateway.ws.dialects import hichat_content as content
from gateway.ws.dialects.acked_renderer import AckedRenderer, Data, addressed, head_of
from gateway.ws.dialects.events import read_receipt
from gateway.ws.dialects.read_records import records_of_own
from gateway.ws.dialects.session import Session

MAX_TOLD = 200  # members whose reading is remembered


class ReadingReports:
    """`take` is called with our frames of receipts."""

    def __init__(self, session: Session, renderer: AckedRenderer) -> None:
        self._session, self._renderer = session, renderer
        self._told: dict[tuple[int, int], int] = {}  # by conversation and reader, the seq last told

    def take(self, frame: bytes) -> None:
        connection = self._session.connection
        conversation_id, reader, read_seq = read_receipt(frame)
        if reader == connection.caller.user_id or conversation_id not in connection.positions:
            return
        key = conversation_id, reader
        after = self._told.get(key, 0)
        if read_seq > after and not connection.tasks.is_full:
            self._told.pop(key, None)
            self._told[key] = read_seq
            work = partial(self._tell, conversation_id, reader, after, read_seq)
            connection.tasks.put("receipts", lambda: self._session.run("receipt", "", work, is_asked=False))
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]

    async def _tell(self, conversation_id: int, reader: int, after: int, upto: int) -> None:
        connection, chat = self._session.connection, self._session.tools.chat
        me = connection.caller.user_id
        records = await records_of_own(chat, conversation_id, me, after, upto)
        position = connection.positions.get(conversation_id)
        if position is None or not records:
            return
        msg = content.MsgView(readRecords=records)
        chat_type = self._renderer.chat_type(position)
        data = Data(str(conversation_id), chat_type, str(reader), UNSET, content.READ, msg)
        head = head_of(f"read-{conversation_id}-{reader}-{upto}", str(reader), self._renderer.numbering)
        connection.reply(addressed(msgspec.json.encode(head | {"data": data}), me))
