"""The social service's tables. User ids are the user service's; all other ids come from sequences, below 2^53."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, MetaData, SmallInteger, Text, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.kit.events.outbox import event_tables

PENDING, ACCEPTED, REFUSED = range(3)  # results of friend requests and of join requests
REQUESTED, ADDED = range(2)  # how a friendship began
EVERYONE, ASK, NOBODY = range(3)  # who may add a user; the first two: who may follow them
FRIENDS = 1  # in place of ASK: those to whom the user agreed see something

IS_PENDING, IS_LIVE = text("result = 0"), text("dismissed_at IS NULL")


class Model(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {str: Text, int: BigInteger, datetime: DateTime(timezone=True)}


class Friendship(Model):
    """One direction of a friendship, which is a pair of rows: both are written and deleted together.

    `agreed`: `user_id` wants the friendship, so what they show to friends is open to `friend_id`.
    """

    __tablename__ = "friendship"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    friend_id: Mapped[int]
    remark: Mapped[str] = mapped_column(server_default="")
    source: Mapped[int] = mapped_column(SmallInteger)
    agreed: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("friendship_pair", "user_id", "friend_id", unique=True),
        Index("friendship_list", "user_id", "id"),
    )


class FriendRequest(Model):
    """A hidden request went to a user who had blocked its sender: only the sender sees it, as pending."""

    __tablename__ = "friend_request"

    id: Mapped[int] = mapped_column(primary_key=True)
    from_id: Mapped[int]
    to_id: Mapped[int]
    message: Mapped[str]
    requested_at: Mapped[datetime]
    result: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    handled_at: Mapped[datetime | None]
    hidden: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        Index("friend_request_pending", "from_id", "to_id", unique=True, postgresql_where=IS_PENDING),
        Index("friend_request_from", "from_id", "result", "id"),
        Index("friend_request_to", "to_id", "result", "id"),
    )


class Refusal(Model):
    """`user_id` removed, refused or blocked `peer_id`, whose next add therefore asks. Ends when `user_id` takes up
    the friendship themselves. Erasing either account deletes it."""

    __tablename__ = "refusal"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    peer_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("refusal_peer", "peer_id"),)


class ContactSettings(Model):
    """A user's settings. A user without a row has the defaults. Erasing the account deletes the row."""

    __tablename__ = "contact_settings"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    who_may_add: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    who_sees_presence: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    who_sees_last_login: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    who_may_follow: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    who_may_mention: Mapped[int] = mapped_column(SmallInteger, server_default="0")


class Block(Model):
    __tablename__ = "block"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    blocked_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("block_pair", "user_id", "blocked_id", unique=True),
        Index("block_list", "user_id", "id"),
        Index("block_blocked", "blocked_id"),
    )


class Mute(Model):
    """`user_id` does not want to see `muted_id`, who does not learn of it. Erasing either account deletes it."""

    __tablename__ = "mute"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    muted_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("mute_pair", "user_id", "muted_id", unique=True),
        Index("mute_list", "user_id", "id"),
        Index("mute_muted", "muted_id"),
    )


class MutedWord(Model):
    """A word or phrase, folded, that `user_id` does not want to see. Erasing the account deletes it."""

    __tablename__ = "muted_word"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    word: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Group(Model):
    """Its row is the lock for every change of its members. A dismissed group keeps its row, emptied."""

    __tablename__ = "group"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    # Folded for the search. In byte order, a prefix is a range of the index.
    name_key: Mapped[str] = mapped_column(Text(collation="C"))
    icon: Mapped[str] = mapped_column(server_default="")
    description: Mapped[str] = mapped_column(server_default="")
    owner_id: Mapped[int]
    approval: Mapped[bool]
    announcement: Mapped[str] = mapped_column(server_default="")
    announced_by: Mapped[int | None]
    member_count: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    dismissed_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]  # by a moderator (groups/moderation.py)
    moderation_event: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (Index("group_search", "name_key", "id", postgresql_where=IS_LIVE),)


class Member(Model):
    __tablename__ = "member"

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("group.id"))
    user_id: Mapped[int]
    role: Mapped[int] = mapped_column(SmallInteger)
    inviter_id: Mapped[int | None]
    joined_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("member_pair", "group_id", "user_id", unique=True),
        Index("member_order", "group_id", text("(- role)"), "id"),  # the owner, managers, members
        Index("member_groups", "user_id", "id"),
    )


class JoinRequest(Model):
    """An application. A hidden one came from a user whom the group's owner had blocked: only its sender sees it."""

    __tablename__ = "join_request"

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("group.id"))
    user_id: Mapped[int]
    message: Mapped[str]
    requested_at: Mapped[datetime]
    inviter_id: Mapped[int | None]  # as the applicant claims; not checked
    handler_id: Mapped[int | None]
    handled_at: Mapped[datetime | None]
    result: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    hidden: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        Index("join_request_pending", "group_id", "user_id", unique=True, postgresql_where=IS_PENDING),
        Index("join_request_group", "group_id", "result", "id"),
        Index("join_request_user", "user_id", "result", "id"),
    )


class Invitation(Model):
    """Valid while its inviter is owner or manager of the group; used up when the user joins, by whatever way."""

    __tablename__ = "invitation"

    group_id: Mapped[int] = mapped_column(ForeignKey("group.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    inviter_id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("invitation_user", "user_id"), Index("invitation_inviter", "inviter_id"))


event_tables(Model.metadata)
