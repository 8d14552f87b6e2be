"""The tables of moderation: cases, the reports of which they consist, and the acts of moderators."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.user.models import Model

IS_OPEN, IS_CLOSED = text("closed_at IS NULL"), text("closed_at IS NOT NULL")

IS_SANCTION = text("verb IN ('suspend', 'ban') AND reversed_at IS NULL")


class Case(Model):
    """The reports of one subject, which has at most one open case. `outcome` is the verb of the act that closed it."""

    __tablename__ = "moderation_case"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger)  # SubjectKind in protos/user/v1/moderation.proto
    subject_id: Mapped[int]
    owner_id: Mapped[int]
    conversation_id: Mapped[int] = mapped_column(server_default="0")
    seq: Mapped[int] = mapped_column(server_default="0")
    snapshot: Mapped[str]  # JSON; empty once the owner's account is erased
    report_count: Mapped[int] = mapped_column(Integer, server_default="0")
    claimed_by: Mapped[int | None]
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    closed_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        Index("moderation_case_subject", "kind", "subject_id", unique=True, postgresql_where=IS_OPEN),
        Index("moderation_case_subject_all", "kind", "subject_id"),
        Index("moderation_case_queue", "id", postgresql_where=IS_OPEN),
        Index("moderation_case_closed", "id", postgresql_where=IS_CLOSED),
        Index("moderation_case_owner", "owner_id", "id"),
        Index("moderation_case_age", "closed_at", postgresql_where=IS_CLOSED),
    )


class Report(Model):
    """`snapshot`: what this reporter saw, if it was not what the case has."""

    __tablename__ = "moderation_report"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[int] = mapped_column(ForeignKey("moderation_case.id"))
    reporter_id: Mapped[int]
    reason: Mapped[str]
    note: Mapped[str]
    snapshot: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        UniqueConstraint("case_id", "reporter_id", "reason"),
        Index("moderation_report_reporter", "reporter_id", "id"),
    )


class Appeal(Model):
    """The owner's objection to an act: one for each."""

    __tablename__ = "moderation_appeal"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    act_id: Mapped[int] = mapped_column(ForeignKey("moderation_act.id"), unique=True)
    user_id: Mapped[int]
    words: Mapped[str] = mapped_column("text")  # not `text`, which is a function here
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None]
    granted: Mapped[bool] = mapped_column(server_default=text("false"))
    answer: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        Index("moderation_appeal_open", "id", postgresql_where=text("decided_at IS NULL")),
        Index("moderation_appeal_decided", "id", postgresql_where=text("decided_at IS NOT NULL")),
        Index("moderation_appeal_user", "user_id"),
    )


class Act(Model):
    """An act of a moderator with its reason: the audit. `moderator_id` is null for an act on the command line."""

    __tablename__ = "moderation_act"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[int] = mapped_column(ForeignKey("moderation_case.id"))
    verb: Mapped[str]
    moderator_id: Mapped[int | None]
    owner_id: Mapped[int]
    note: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    until: Mapped[datetime | None]  # of a suspension
    reversed_at: Mapped[datetime | None]
    reversed_by: Mapped[int | None]  # null, too, if the command line did it
    reversal_note: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        Index("moderation_act_case", "case_id", "id"),
        Index("moderation_act_owner", "owner_id", "id"),
        Index("moderation_act_moderator", "moderator_id", "id"),
        Index("moderation_act_sanction", "owner_id", postgresql_where=IS_SANCTION),
    )
