"""Dialect B2: the frames of hichat's later form, with ids and an acknowledgement in three steps.

A message is stored before the first acknowledgement; the client's own one only ends the repeats.
"""

import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.chat import commands
from gateway.http.errors import MessageNotFound, ParameterInvalid
from gateway.ws.dialects import hichat_content as content
from gateway.ws.dialects.acked_renderer import AckedRenderer
from gateway.ws.dialects.acknowledgements import Acknowledgements
from gateway.ws.dialects.connection import DialectConnection
from gateway.ws.dialects.hichat_content import Msg
from gateway.ws.dialects.reading import ReadingReports
from gateway.ws.dialects.session import Session, Tools, Work, decode
from gateway.ws.dialects.timeline import Reads, find_message
from services.kit.ids import MAX_ID
from services.kit.overload.admission import Rank

DATA, PING, ERROR, NO_ACK = 0, 1, 2, 4
RANKS = {"user.online": Rank.READ, "chat.ping": None}


class Frame(Struct):
    frameType: int  # noqa: N815
    id: Annotated[str, Meta(max_length=128)] | int = ""
    ackSeq: int = 0  # noqa: N815
    method: str = ""
    userId: Any = None  # noqa: N815
    data: Raw = Raw(b"{}")


class Reference(Struct):
    """A conversation: by our id, else by the user or group. An id that is not ours is ignored."""

    chatType: int = 0  # noqa: N815
    recvId: str | int = ""  # noqa: N815
    conversationId: str | int = ""  # noqa: N815


class Chat(Reference, kw_only=True):
    msg: Msg


class Mark(Reference, kw_only=True):
    msgIds: Annotated[list[str | int], Meta(max_length=1_000)] = []  # noqa: N815


class Recall(Reference, kw_only=True):
    msgId: str | int  # noqa: N815


class AckedSession(Session):
    def __init__(self, connection: DialectConnection, tools: Tools, renderer: AckedRenderer) -> None:
        super().__init__(connection, tools)
        self._numbering = renderer.numbering
        self._working: set[str] = set()  # ids that are not acknowledged yet
        self._acknowledgements = Acknowledgements(self)
        connection.on_receipt = ReadingReports(self, renderer).take

    async def serve(self, text: str) -> None:
        frame = _decode_frame(text)
        id = str(frame.id)
        match frame.frameType:
            case 1:  # PING
                self.say({"id": "", "frameType": PING})
            case 3:  # ACK
                self._acknowledgements.confirm(id)
            case 0 | 4:  # DATA, NO_ACK
                await self._serve_data(frame, id, needs_ack=frame.frameType == DATA and bool(id))
            case 2:  # ERROR
                pass
            case _:
                self.refuse(id, ParameterInvalid("no such frameType"))

    def error(self, id: str, text: str) -> Any:
        return ({"id": id} if id else {}) | {"frameType": ERROR, "data": text}

    def end(self) -> None:
        self._acknowledgements.end()

    async def _serve_data(self, frame: Frame, id: str, needs_ack: bool) -> None:
        if needs_ack and id in self._working:
            return
        if needs_ack and id in self._acknowledgements:
            self._acknowledgements.send(id)
            return
        method = self._numbering.methods.get(frame.method, frame.method)
        work = {
            "chat.user": self._chat,
            "chat.markChat": self._mark,
            "chat.recall": self._recall,
            "chat.ping": self._nothing,
            "user.online": self._online,
        }.get(method)
        if work is None or (method == "chat.user" and frame.method not in self._numbering.methods):
            self.refuse(id, ParameterInvalid(f"no method is called {frame.method[:40]!r} here"))
            return

        async def run() -> None:
            await work(frame, id)
            if needs_ack:
                self._acknowledgements.send(id)

        if needs_ack and not self.connection.tasks.is_full:
            self._working.add(id)
        await self.submit("send" if method == "chat.user" else method, id, run, RANKS.get(method, Rank.WRITE))

    async def _run_admitted(self, kind: str, id: str, work: Work, rank: Rank | None) -> None:
        try:
            await super()._run_admitted(kind, id, work, rank)
        finally:
            self._working.discard(id)  # after a refusal, the client may send the same again

    async def _nothing(self, frame: Frame, id: str) -> None:
        """That a frame came shows that the client lives."""

    async def _online(self, frame: Frame, id: str) -> None:
        user_ids = [str(user_id) for user_id in await self.tools.online_friends()]
        me = str(self.connection.caller.user_id)
        self.say({"id": id, "frameType": NO_ACK, "method": frame.method, "formId": me, "data": user_ids})

    async def _chat(self, frame: Frame, id: str) -> None:
        chat = decode(frame.data, Chat)
        content_type, body = content.content_of(chat.msg, self._numbering)
        key = client_msg_id_of(id) if id else str(uuid.uuid4())
        mentions = chat.msg.atUsers or None
        await self.send(commands.Send(self._target(chat, frame), key, content_type, body, mentions=mentions))

    async def _mark(self, frame: Frame, id: str) -> None:
        mark = decode(frame.data, Mark)
        conversation_id = self._conversation(mark)
        if mark.msgIds:
            newest = max(map(number_of, mark.msgIds))
            message = await find_message(Reads(self.tools.chat), conversation_id, newest)
            if message is None:
                raise MessageNotFound
            seq = message.seq
        else:
            seq = self.connection.positions[conversation_id].seq
        await commands.read(self.tools.chat, commands.OfMessage(conversation_id, seq))

    async def _recall(self, frame: Frame, id: str) -> None:
        recall = decode(frame.data, Recall)
        conversation_id = self._conversation(recall)
        message = await find_message(Reads(self.tools.chat), conversation_id, number_of(recall.msgId))
        if message is None:
            raise MessageNotFound
        await commands.recall(self.tools.chat, commands.OfMessage(conversation_id, message.seq))

    def _target(self, to: Reference, frame: Frame) -> commands.To:
        if known := self._known(to):
            return commands.To(conversation_id=known)
        recipient = number_of(to.recvId or frame.userId or "")
        if to.chatType not in (self._numbering.single, self._numbering.group):
            raise ParameterInvalid("chatType")
        is_single = to.chatType == self._numbering.single
        return commands.To(user_id=recipient) if is_single else commands.To(group_id=recipient)

    def _known(self, to: Reference) -> int:
        """0: the id is none of this user's."""
        try:
            given = number_of(to.conversationId)
        except ParameterInvalid:
            return 0
        return given if given in self.connection.positions else 0

    def _conversation(self, to: Reference) -> int:
        """Of those that this client has heard of. Raises ParameterInvalid."""
        if known := self._known(to):
            return known
        is_single = to.chatType == self._numbering.single
        for conversation_id, position in self.connection.positions.items():
            if str(to.recvId) == str(position.peer_id if is_single else position.group_id):
                return conversation_id
        raise ParameterInvalid("conversationId")


def client_msg_id_of(id: str) -> str:
    """The same for each repeat of a frame."""
    try:
        return str(uuid.UUID(id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, id))


def number_of(id: Any) -> int:
    """Raises ParameterInvalid."""
    text = str(id)
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) <= MAX_ID):
        raise ParameterInvalid(f"{text[:40]!r} is no id")
    return int(text)


_decode_frame = msgspec.json.Decoder(Frame).decode
