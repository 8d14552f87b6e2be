"""The chat service's tables. User and group ids come from other services; all other ids are snowflakes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.kit.events.outbox import event_tables

DIRECT, GROUP = range(2)  # kinds of conversations
# A message request, in the row of the user who was asked (ASKED, or DECLINED) and of the one who waits (WAITING).
NO_REQUEST, ASKED, DECLINED, WAITING = range(4)
QUOTING = "kind IN ('friend_request', 'group_request')"  # notifications that hold what their only actor wrote
LAST_EVENT_ID = 2**62  # no event has a higher id, so none changes the row again


class Model(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {
        str: Text,
        int: BigInteger,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
        list[int]: ARRAY(BigInteger),
        dict[str, Any]: JSONB,
    }


Sequence("id_node", metadata=Model.metadata)


class Conversation(Model):
    """A direct conversation (low_id and high_id are its users, low_id < high_id), or a group's.

    Lock this row before assigning a seq or a rev. `event_id` is the id of the social service's last event applied to
    the group; `complete` says that this service knows all of the group's members.
    """

    __tablename__ = "conversation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger)
    low_id: Mapped[int | None]
    high_id: Mapped[int | None]
    group_id: Mapped[int | None] = mapped_column(unique=True)
    title: Mapped[str] = mapped_column(server_default="")
    last_seq: Mapped[int] = mapped_column(server_default="0")
    rev: Mapped[int] = mapped_column(server_default="0")
    member_count: Mapped[int] = mapped_column(server_default="0")
    complete: Mapped[bool] = mapped_column(server_default=text("false"))
    event_id: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    active_at: Mapped[datetime] = mapped_column(server_default=func.now())
    dismissed_at: Mapped[datetime | None]
    pins_rev: Mapped[int] = mapped_column(server_default="0")  # of the last change of pinned messages

    __table_args__ = (UniqueConstraint("low_id", "high_id"),)


class ConversationMember(Model):
    """A member, or a former one (`left_at`). A member sees the messages after `joined_seq`.

    `event_id` is the id of the last event applied to the row. A former member's row stays, so that an older event or
    a late answer does not let the user in again.

    The last five columns are the member's marks, which nobody else sees (membership/marks.py). The conversation is
    hidden until it has a message after `hidden_seq`; null: not hidden.
    """

    __tablename__ = "conversation_member"

    conversation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rev: Mapped[int]
    joined_seq: Mapped[int] = mapped_column(server_default="0")
    joined_rev: Mapped[int] = mapped_column(server_default="0")
    left_seq: Mapped[int | None]
    left_at: Mapped[datetime | None]
    event_id: Mapped[int] = mapped_column(server_default="0")
    delivered_seq: Mapped[int] = mapped_column(server_default="0")
    read_seq: Mapped[int] = mapped_column(server_default="0")
    request: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    hidden_seq: Mapped[int | None]
    pinned: Mapped[bool] = mapped_column(server_default=text("false"))
    muted: Mapped[bool] = mapped_column(server_default=text("false"))
    muted_until: Mapped[datetime | None]  # null: without an end
    marks_rev: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("conversation_member_user", "user_id", "conversation_id", postgresql_where=text("left_at IS NULL")),
        Index("conversation_member_former", "user_id", "conversation_id", postgresql_where=text("left_at IS NOT NULL")),
        Index("conversation_member_marks", "user_id", "marks_rev", postgresql_where=text("marks_rev > 0")),
        Index("conversation_member_rev", "conversation_id", "rev"),
    )


class MarksRev(Model):
    """How often a user has changed marks; the lock for such a change. Erasing the account deletes it."""

    __tablename__ = "marks_rev"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rev: Mapped[int]


class Message(Model):
    """`body` is null once recalled; `size` counts the bytes of its JSON; `words` is the search index of the text."""

    __tablename__ = "message"

    conversation_id: Mapped[int]
    seq: Mapped[int]
    rev: Mapped[int]
    id: Mapped[int]
    sender_id: Mapped[int]
    client_msg_id: Mapped[UUID]
    content_type: Mapped[str]
    body: Mapped[Any] = mapped_column(JSONB, nullable=True)
    size: Mapped[int] = mapped_column(Integer)
    reply_to_seq: Mapped[int] = mapped_column(server_default="0")
    mentions: Mapped[list[int]] = mapped_column(server_default="{}")
    words: Mapped[Any] = mapped_column(TSVECTOR)
    words_version: Mapped[int] = mapped_column(SmallInteger, server_default="1")  # search_words.py
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    edited_at: Mapped[datetime | None]
    recalled_at: Mapped[datetime | None]

    __table_args__ = (
        PrimaryKeyConstraint("conversation_id", "seq"),
        UniqueConstraint("conversation_id", "sender_id", "client_msg_id", name="message_client_msg_id"),
        Index("message_rev", "conversation_id", "rev"),
        Index("message_words", "words", postgresql_using="gin"),
        Index("message_old_words", "conversation_id", postgresql_where=text("words_version < 1")),
        {"postgresql_partition_by": "HASH (conversation_id)"},
    )


class HiddenMessage(Model):
    """What a moderator hid, kept for the case that it is restored; and the id of the last event applied to the message
    (sending/moderation.py). `body` is null once it was restored or removed."""

    __tablename__ = "hidden_message"

    conversation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sender_id: Mapped[int] = mapped_column(index=True)
    event_id: Mapped[int]
    body: Mapped[Any] = mapped_column(JSONB, nullable=True)
    size: Mapped[int] = mapped_column(Integer)
    words: Mapped[Any] = mapped_column(TSVECTOR)
    mentions: Mapped[list[int]]


class Push(Model):
    """A frame that may not have been published yet, written in the transaction whose change it announces. The relay
    publishes it when it is due: at once, or after the time that the writing process has to publish it itself."""

    __tablename__ = "push"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    subject: Mapped[str]
    header: Mapped[str]
    payload: Mapped[str]
    due_at: Mapped[datetime]


class Notification(Model):
    """`event` is the key of the event that created it; later ones of the same `topic` join it while it is unread."""

    __tablename__ = "notification"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int]
    kind: Mapped[str]
    event: Mapped[str]
    topic: Mapped[str]
    actor_ids: Mapped[list[int]]  # the latest first
    actor_count: Mapped[int] = mapped_column(Integer)
    subject: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    read_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("user_id", "event"),
        Index("notification_list", "user_id", "id"),
        Index("notification_quoted", text("(actor_ids[1])"), postgresql_where=text(QUOTING)),
        Index("notification_unread", "user_id", "topic", "id", postgresql_where=text("read_at IS NULL")),
    )


class NotificationMute(Model):
    __tablename__ = "notification_mute"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)


class Block(Model):
    """A copy of the social service's blocks, kept by its events. Neither user gets a notification, a receipt, typing
    or presence of the other. Erasing either account deletes it."""

    __tablename__ = "block"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blocked_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int]
    blocked: Mapped[bool]
    positions: Mapped[Any] = mapped_column(JSONB, server_default="{}")  # apart.py

    __table_args__ = (Index("block_blocked", "blocked_id"),)


class ErasedAccount(Model):
    """A deleted account whose messages are not erased yet; done are its conversations up to `conversation_id`."""

    __tablename__ = "leaver"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    conversation_id: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UserLastSeen(Model):
    __tablename__ = "user_last_seen"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen_at: Mapped[datetime]


event_tables(Model.metadata)
