"""The RPCs of protos/chat/v1/pins.proto."""

from collections.abc import Awaitable, Callable
from typing import Any

from protos.chat.v1 import pins_pb2 as pb
from protos.chat.v1.pins_pb2_grpc import PinsServicer
from services.chat import messages
from services.chat.messages import MessageKey
from services.chat.pins import pins
from services.chat.push.outbox import Publisher
from services.kit.context import Caller, require_caller
from services.kit.db import Database

RequirePinner = Callable[[Caller, int], Awaitable[Any]]


class Pins(PinsServicer):
    def __init__(self, database: Database, publisher: Publisher, require_pinner: RequirePinner) -> None:
        """`require_pinner` raises unless the caller may pin in the conversation."""
        self._database, self._publisher, self._require_pinner = database, publisher, require_pinner

    async def PinMessage(self, request: pb.PinMessageRequest, context: object) -> pb.PinMessageResponse:
        caller, key = require_caller(), MessageKey(request.conversation_id, request.seq)
        await self._require_pinner(caller, key.conversation_id)
        async with self._database.transaction() as connection:
            rev = await pins.pin(connection, self._publisher, caller, key, request.pinned)
        return pb.PinMessageResponse(rev=rev)

    async def ListPinnedMessages(
        self, request: pb.ListPinnedMessagesRequest, context: object
    ) -> pb.ListPinnedMessagesResponse:
        async with self._database.reading() as connection:
            rev, rows, found = await pins.list_pinned(connection, require_caller(), request.conversation_id)
        told = messages.pinned_messages(rev, rows)
        return pb.ListPinnedMessagesResponse(pins=told, messages=map(messages.message, found))
