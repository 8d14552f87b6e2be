"""The user service's tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, MetaData, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.kit.events.outbox import event_tables


class Model(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {str: Text, int: BigInteger, datetime: DateTime(timezone=True)}


class Account(Model):
    """One user, of either API family. A deleted account keeps its row, emptied, for the ids that name it."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str]
    username_key: Mapped[str] = mapped_column(unique=True)  # folded: names that look the same collide
    username_skeleton: Mapped[str | None]  # identities/lookalikes.py; null in rows of releases before
    nickname: Mapped[str]
    avatar: Mapped[str] = mapped_column(server_default="")
    bio: Mapped[str] = mapped_column(server_default="")
    sex: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    email: Mapped[str | None] = mapped_column(unique=True)
    phone: Mapped[str | None] = mapped_column(unique=True)  # E.164
    phone_proven_at: Mapped[datetime | None]
    password_hash: Mapped[str]
    role: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    role_set_by_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    login_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    logout_at: Mapped[datetime | None]
    is_logout: Mapped[bool] = mapped_column(server_default=text("false"))
    client_ip: Mapped[str] = mapped_column(server_default="")
    client_port: Mapped[int] = mapped_column(server_default="0")
    device: Mapped[str] = mapped_column(server_default="")
    disabled_at: Mapped[datetime | None]
    suspended_until: Mapped[datetime | None]  # by a moderator, like the next (moderation/sanctions.py)
    banned_at: Mapped[datetime | None]
    profile_hidden_at: Mapped[datetime | None]  # moderation/hidden_profiles.py
    deleted_at: Mapped[datetime | None]
    erased_again_at: Mapped[datetime | None]
    searchable_by_phone: Mapped[bool] = mapped_column(server_default=text("false"))
    searchable_by_email: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        Index(
            "account_search",
            text('username_key COLLATE "C"'),
            postgresql_where=text("deleted_at IS NULL AND disabled_at IS NULL"),
        ),
        Index(
            "account_to_erase_again",
            "deleted_at",
            postgresql_where=text("deleted_at IS NOT NULL AND erased_again_at IS NULL"),
        ),
        Index("account_staff", "username_skeleton", postgresql_where=text("role >= 3")),
    )


class Session(Model):
    """One login on one device. Its tokens are valid while the row is neither revoked nor expired."""

    __tablename__ = "session"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    device: Mapped[str]
    ip: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    refresh_id: Mapped[str | None]  # of the only refresh token that counts; null: no client asked for rotation
    previous_refresh_id: Mapped[str | None]
    refreshed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("session_live", "user_id", "id", postgresql_where=text("revoked_at IS NULL")),
        Index("session_expiry", "expires_at"),
        Index("session_not_ended", "expires_at", postgresql_where=text("revoked_at IS NULL")),
    )


class RoleChange(Model):
    """A change of a role. `by_user_id` is null if the operator's command line made it."""

    __tablename__ = "role_change"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    by_user_id: Mapped[int | None]
    old_role: Mapped[int] = mapped_column(SmallInteger)
    new_role: Mapped[int] = mapped_column(SmallInteger)
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class KnownNetwork(Model):
    """A network from which the user has logged in, as a keyed hash of user and network (guesses.py)."""

    __tablename__ = "known_network"

    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    network: Mapped[bytes] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PasswordGuess(Model):
    """How far a subject's allowance of wrong passwords is used up (GCRA): it is whole again at `full_at`."""

    __tablename__ = "password_guess"

    subject: Mapped[bytes] = mapped_column(primary_key=True)  # a keyed hash
    full_at: Mapped[datetime] = mapped_column(index=True)


class EmailChange(Model):
    """An email that was replaced; until 72 hours after, its holder can undo that (email_changes.py)."""

    __tablename__ = "email_change"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    old_email: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    next_try_at: Mapped[datetime | None] = mapped_column(server_default=func.now())  # of the mail; null: sent

    __table_args__ = (Index("email_change_waiting", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),)


class SecondFactor(Model):
    """The secret of a user's authenticator app, encrypted (proofs/encryption.py).

    It counts once it was turned on. Codes up to `last_step` are used.
    """

    __tablename__ = "second_factor"

    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True, autoincrement=False)
    secret: Mapped[str]
    turned_on_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(server_default="0")


class RecoveryCode(Model):
    """A code that replaces one of the authenticator app, once; as a hash."""

    __tablename__ = "recovery_code"

    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True, autoincrement=False)
    digest: Mapped[bytes] = mapped_column(primary_key=True)


class ExportLink(Model):
    """The user's newest export: a link to what hitok holds of them (exports/links.py), and what that is."""

    __tablename__ = "export_link"

    user_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(server_default="")  # of the download
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]  # by the gateway that prepares it
    done: Mapped[int] = mapped_column(server_default="0")  # lists that were counted, of `total`
    total: Mapped[int] = mapped_column(server_default="0")
    ready_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    rows: Mapped[int] = mapped_column(server_default="0")
    files: Mapped[int] = mapped_column(server_default="0")
    bytes: Mapped[int] = mapped_column(server_default="0")
    opened_at: Mapped[datetime | None]
    downloaded_bytes: Mapped[int] = mapped_column(server_default="0")  # of the last download
    downloaded_at: Mapped[datetime | None]

    __table_args__ = (
        Index("export_link_waiting", "requested_at", postgresql_where=text("ready_at IS NULL")),
        Index("export_link_expiry", "expires_at"),
    )


class AuditEntry(Model):
    """An act of an operator, an admin or a moderator (audit/entries.py). Rows never change, but go when old."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor_id: Mapped[int | None]  # null: an operator on the command line, or a service
    operator: Mapped[str]
    act: Mapped[str]
    target_kind: Mapped[str]
    target_id: Mapped[int]
    reason: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    key: Mapped[str | None] = mapped_column(unique=True)

    __table_args__ = (
        Index("audit_target", "target_id", "id"),
        Index("audit_actor", "actor_id", "id"),
        Index("audit_age", "at"),
    )


event_tables(Model.metadata)
