"""Who may comment on a video: its owner always, others as the owner chose (protos/media/v1/videos.proto).

Those who comment see the video, which visibility.py decides. A follower follows the owner; a friend is one with whom
the owner agreed to be friends (docs/contract/api.md, "Consent").
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, SQLColumnExpression, and_, exists, literal, or_, select

from protos.media.v1.videos_pb2 import COMMENTS_EVERYONE, COMMENTS_FOLLOWERS, COMMENTS_FRIENDS
from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.pages import check_batch
from services.kit.sql.connection import AsyncConnection
from services.media.relationships.models import Relationship
from services.media.videos.models import Video
from services.media.videos.visibility import visible_to


def may_comment(user_id: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """Whether the user, who sees the Video, may comment on it."""
    between = (Relationship.user_id == user_id, Relationship.peer_id == Video.owner_id)
    return or_(
        Video.who_may_comment == COMMENTS_EVERYONE,
        Video.owner_id == user_id,
        and_(Video.who_may_comment == COMMENTS_FOLLOWERS, exists().where(*between, Relationship.follows)),
        and_(Video.who_may_comment == COMMENTS_FRIENDS, exists().where(*between, Relationship.friend)),
    )


async def get_may_comment(connection: AsyncConnection, caller: Caller, video_ids: Sequence[int]) -> list[int]:
    """Those of the videos on which the caller may comment. Raises BatchTooLarge."""
    check_batch(video_ids)
    me = literal(caller.user_id, BigInteger)
    query = select(Video.id).where(one_of(Video.id, video_ids), visible_to(caller), may_comment(me))
    return list((await connection.execute(query)).scalars())
