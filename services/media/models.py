"""The media service's tables."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, MetaData, SmallInteger, Text, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.kit.events.outbox import event_tables

PROCESSING, READY, FAILED = 1, 2, 3  # as in objects.proto
PUBLIC, FRIENDS, PRIVATE = range(3)
HIDDEN = 3  # a visibility, too: a moderator took the video from everybody's sight


class Model(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {str: Text, int: BigInteger, datetime: DateTime(timezone=True)}


class Object(Model):
    """A file in the store, at <first two digits of the hash>/<hash>.<extension>; stored before the row is written."""

    __tablename__ = "object"

    hash: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 in hex
    extension: Mapped[str]
    kind: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    width: Mapped[int] = mapped_column(server_default="0")
    height: Mapped[int] = mapped_column(server_default="0")
    duration: Mapped[int] = mapped_column(server_default="0")  # milliseconds
    codec: Mapped[str] = mapped_column(server_default="")
    state: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[str] = mapped_column(server_default="")
    blurhash: Mapped[str] = mapped_column(server_default="")  # of an image, or a video's cover
    held_at: Mapped[datetime | None]  # when a message, a profile or a group first showed it: it is not swept then
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Upload(Model):
    """A user who uploaded an object. The bytes count against their quota even if the object existed already."""

    __tablename__ = "upload"

    object_hash: Mapped[str] = mapped_column(ForeignKey("object.hash"), primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    renewed_at: Mapped[datetime] = mapped_column(server_default=func.now())  # when they last uploaded it

    __table_args__ = (Index("upload_user", "user_id", "created_at"), Index("upload_age", "renewed_at"))


class ObjectReference(Model):
    """A video that shows the object as its file or its cover, with the video's visibility.

    objects.py says which objects are private.
    """

    __tablename__ = "object_reference"

    object_hash: Mapped[str] = mapped_column(ForeignKey("object.hash"), primary_key=True)
    video_id: Mapped[int] = mapped_column(primary_key=True)
    visibility: Mapped[int] = mapped_column(SmallInteger)
    owner_id: Mapped[int]

    __table_args__ = (Index("object_reference_video", "video_id"),)


class Derivative(Model):
    """A file that processing made of an object (processing/derivatives.py), as private as its source."""

    __tablename__ = "derivative"

    source_hash: Mapped[str] = mapped_column(ForeignKey("object.hash"), primary_key=True)
    profile: Mapped[str] = mapped_column(primary_key=True)
    object_hash: Mapped[str] = mapped_column(ForeignKey("object.hash"), index=True)


class Job(Model):
    """Processing to be done. While a worker works on a job, it keeps moving `due_at` into the future."""

    __tablename__ = "job"

    object_hash: Mapped[str] = mapped_column(ForeignKey("object.hash"), primary_key=True)
    profile: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime | None] = mapped_column(server_default=func.now())  # null: done or failed
    attempts: Mapped[int] = mapped_column(server_default="0")
    reason: Mapped[str] = mapped_column(server_default="")  # why it failed
    started_at: Mapped[datetime | None]  # when it was last begun
    progress: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # per cent; it only grows

    __table_args__ = (
        Index("job_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("job_started", "started_at"),
    )


class PartialUpload(Model):
    """A resumable upload; the store has its first `received` bytes, in parts."""

    __tablename__ = "partial_upload"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int]
    size: Mapped[int]
    received: Mapped[int] = mapped_column(server_default="0")
    metadata_: Mapped[str] = mapped_column("metadata", server_default="")
    object_hash: Mapped[str | None] = mapped_column(ForeignKey("object.hash"))
    expires_at: Mapped[datetime]

    __table_args__ = (Index("partial_upload_user", "user_id"), Index("partial_upload_expiry", "expires_at"))


class Part(Model):
    """A piece of a resumable upload, with a key of its own in the store."""

    __tablename__ = "part"

    upload_id: Mapped[int] = mapped_column(ForeignKey("partial_upload.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    key: Mapped[str]


class Deletion(Model):
    """A key to be deleted from the store, written by the transaction that deletes the rows."""

    __tablename__ = "deletion"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Backup(Model):
    """A whole backup (deploy/backup), by the moment whose data it holds. It is written when the backup is done."""

    __tablename__ = "backup"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    began_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]  # when it was last restored into a scratch server

    __table_args__ = (Index("backup_age", "began_at"),)


event_tables(Model.metadata)
