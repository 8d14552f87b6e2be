"""The table of how users are related to each other."""

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model


class Relationship(Model):
    """How a user is related to a peer, as the social service's events say; each pair has two rows.

    `friend`: the peer agreed to the friendship. `blocks`: the user blocks the peer; `blocked`: the peer blocks the
    user. `follows`: the user follows the peer. Each has the id of the last event applied to it, and ignores older
    events.
    """

    __tablename__ = "standing"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    peer_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    friend: Mapped[bool] = mapped_column(server_default=text("false"))
    blocks: Mapped[bool] = mapped_column(server_default=text("false"))
    blocked: Mapped[bool] = mapped_column(server_default=text("false"))
    follows: Mapped[bool] = mapped_column(server_default=text("false"))
    friend_event: Mapped[int] = mapped_column(server_default="0")
    blocks_event: Mapped[int] = mapped_column(server_default="0")
    blocked_event: Mapped[int] = mapped_column(server_default="0")
    follows_event: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("standing_friend", "user_id", "peer_id", postgresql_where=text("friend")),
        Index("standing_apart", "user_id", "peer_id", postgresql_where=text("blocks OR blocked")),
        Index("standing_peer", "peer_id"),
        Index("standing_follows", "user_id", "peer_id", postgresql_where=text("follows")),
    )
