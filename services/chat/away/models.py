"""The tables of pushes to users who are away. User and session ids come from the user service."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Integer, LargeBinary, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.chat.models import Model


class PushDevice(Model):
    """Where a session's device is pushed to. Registering anew, also for another session, makes a new row, so what
    waited for the old one never reaches the new one.

    `address` is a URL, or a token of FCM or APNs; `digest` its SHA-256, which finds it. The keys are those of RFC 8291.
    """

    __tablename__ = "push_device"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int]
    session_id: Mapped[int] = mapped_column(unique=True)
    kind: Mapped[str]
    address: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    p256dh: Mapped[bytes] = mapped_column(LargeBinary, server_default=text("''"))
    auth: Mapped[bytes] = mapped_column(LargeBinary, server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("push_device_user", "user_id"),)


class PushSetting(Model):
    """What a user wants to be pushed. Quiet hours are minutes of their local day; equal: none."""

    __tablename__ = "push_setting"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bool] = mapped_column(server_default=text("false"))  # show what was written
    quiet_from: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    quiet_until: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    muted_kinds: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")


class AwayConversation(Model):
    """Up to which message the members were looked at. `due_at`: when to look at newer ones; null: there are none."""

    __tablename__ = "away_conversation"

    conversation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen_seq: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime | None]

    __table_args__ = (Index("away_conversation_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),)


class AwayPush(Model):
    """A push to a device, about some messages of a conversation or about a notification.

    `sending`: a worker has it until `due_at`; if it is still here then, it may have been sent, so it is never sent
    again. Those that wait for a device and say the same `topic` are one. `done_at`: kept for a day, so that a
    notification which others join is pushed once.
    """

    __tablename__ = "away_push"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    device_id: Mapped[int]
    user_id: Mapped[int]
    topic: Mapped[str]
    conversation_id: Mapped[int | None]
    first_seq: Mapped[int] = mapped_column(server_default="0")
    last_seq: Mapped[int] = mapped_column(server_default="0")
    notification_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    sending: Mapped[bool] = mapped_column(server_default=text("false"))
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "away_push_waiting",
            "device_id",
            "topic",
            unique=True,
            postgresql_where=text("NOT sending AND done_at IS NULL"),
        ),
        Index("away_push_topic", "device_id", "topic"),
        Index("away_push_due", "due_at", postgresql_where=text("done_at IS NULL")),
        Index("away_push_user", "user_id"),
    )
