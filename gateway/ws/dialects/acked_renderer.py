"""The messages that dialect B2 sends."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.ws.dialects import hichat_content as content
from gateway.ws.dialects.connection import Position
from gateway.ws.dialects.events import Event, Notice, milliseconds_of
from gateway.ws.dialects.hichat_content import Numbering
from gateway.ws.protocol import text_frame

DATA = 0
RELATIONS = ("friend_", "group_")  # kinds of notifications that begin so are about friends and groups
OFFLINE = 500


class Data(Struct, omit_defaults=True):
    conversationId: str  # noqa: N815
    chatType: int  # noqa: N815
    sendId: str  # noqa: N815
    sendTime: int | UnsetType  # noqa: N815
    contentType: int | UnsetType  # noqa: N815
    msg: content.MsgView
    recalledBy: str | UnsetType = UNSET  # noqa: N815


class AckedRenderer:
    offline = OFFLINE

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering

    def message(self, event: Event, position: Position, user_id: int) -> bytes:
        is_own = event.message.sender_id == str(user_id)
        return self._frame(event, position, user_id, content.ECHO if is_own else content.MESSAGE)

    def recalled(self, event: Event, position: Position, user_id: int) -> bytes:
        return self._frame(event, position, user_id, content.RECALL)

    def notice(self, notice: Notice) -> bytes:
        """Of friends and groups, or of anything else."""
        actor = notice.actor.user_id
        frame = {
            "id": f"notice-{notice.notification_id}",
            "frameType": DATA,
            "method": "relation.changed" if notice.kind.startswith(RELATIONS) else "notify",
            "formId": actor,
            "data": {"kind": notice.kind, "userId": actor, "subject": notice.subject},
        }
        return text_frame(msgspec.json.encode(frame))

    def chat_type(self, position: Position) -> int:
        return self.numbering.single if position.peer_id else self.numbering.group

    def _frame(self, event: Event, position: Position, user_id: int, content_type: int) -> bytes:
        """All receivers share it up to `recvId`, which stands last."""
        message = event.message
        key = self.numbering.single, content_type
        if key not in event.rendered:
            data = Data(
                message.conversation_id,
                self.chat_type(position),
                message.sender_id,
                milliseconds_of(message) * 1_000_000,
                content_type,
                content.msg_of(message, self.numbering),
                message.sender_id if content_type == content.RECALL else UNSET,
            )
            frame = head_of(message.message_id, message.sender_id, self.numbering) | {"data": data}
            event.rendered[key] = msgspec.json.encode(frame)
        is_to_peer = position.peer_id and message.sender_id == str(user_id)
        receiver = position.peer_id if is_to_peer else user_id
        return addressed(event.rendered[key], receiver)


def addressed(frame: bytes, user_id: int) -> bytes:
    """The frame to one receiver: only `recvId` differs between them."""
    return text_frame(frame[:-2] + b',"recvId":"%d"}}' % user_id)


def head_of(id: str, sender: str, numbering: Numbering) -> dict[str, Any]:
    method = {"method": numbering.push} if numbering.push else {}
    return {"id": id, "frameType": DATA, **method, "formId": sender}
