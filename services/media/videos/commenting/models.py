"""What comments said before they were edited."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model


class CommentEdit(Model):
    """The content of a comment before an edit, so that a report can show what was read. It goes with the comment."""

    __tablename__ = "comment_edit"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    comment_id: Mapped[int] = mapped_column(ForeignKey("comment.id"))
    content: Mapped[str]
    replaced_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("comment_edit_comment", "comment_id", "id"),)
