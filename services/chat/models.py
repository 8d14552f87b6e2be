"""The chat service's tables. User and group ids are other services'; all others are snowflakes."""

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

from services.kit.events import event_tables

DIRECT, GROUP = range(2)  # kinds of conversations
MEMBER, MANAGER, OWNER = range(3)  # the social service's roles in a group
PARTITIONS = 8
FOR_GOOD = 2**62  # an event id after which no other counts


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
    """Its row is the lock for all that gets a seq or a rev. The pair is set in direct ones, low_id first.

    `event_id` is the last of the social service's events that named the group; `complete` says that all of the
    group's members are known here.
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

    __table_args__ = (UniqueConstraint("low_id", "high_id"),)


class ConversationMember(Model):
    """One who left keeps his row, so that a late event or answer does not bring him back: `event_id` is that of
    the event that the row stands on. He sees what came after `joined_seq`."""

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

    __table_args__ = (
        Index("conversation_member_user", "user_id", "conversation_id", postgresql_where=text("left_at IS NULL")),
        Index("conversation_member_rev", "conversation_id", "rev"),
    )


class Message(Model):
    """`body` is null once recalled; `size` is that of the JSON in bytes; `words` is what the search finds."""

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
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    edited_at: Mapped[datetime | None]
    recalled_at: Mapped[datetime | None]

    __table_args__ = (
        PrimaryKeyConstraint("conversation_id", "seq"),
        UniqueConstraint("conversation_id", "sender_id", "client_msg_id", name="message_client_msg_id"),
        Index("message_rev", "conversation_id", "rev"),
        Index("message_words", "words", postgresql_using="gin"),
        {"postgresql_partition_by": "HASH (conversation_id)"},
    )


class Push(Model):
    """A frame not yet known to be published, written with what it tells of. Due at once, or after the time in
    which the process that wrote it publishes it itself."""

    __tablename__ = "push"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    subject: Mapped[str]
    header: Mapped[str]
    payload: Mapped[str]
    due_at: Mapped[datetime]


class Notification(Model):
    """`event` made it; later ones of the same `topic` may join it while it is unread."""

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
        Index("notification_unread", "user_id", "topic", "id", postgresql_where=text("read_at IS NULL")),
    )


class NotificationMute(Model):
    __tablename__ = "notification_mute"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)


class Block(Model):
    """The social service's, as its events tell: nobody is notified of what one does whom he blocked."""

    __tablename__ = "block"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blocked_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int]
    blocked: Mapped[bool]


class UserLastSeen(Model):
    __tablename__ = "user_last_seen"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen_at: Mapped[datetime]


event_tables(Model.metadata)
