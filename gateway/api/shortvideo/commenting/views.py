"""JSON of comments: the fields of the short-video document's samples and of its schemas, side by side."""

import msgspec
from msgspec import Raw, Struct, field

from gateway.api.shortvideo.texts.entities import TextEntity, text_entities
from protos.media.v1.comments_pb2 import Comment
from services.entities.parsing import text_of

SIGNS = (*(sign.encode() for sign in "#＃@＠"), b"\\u")  # of what may be a tag or a mention, in JSON


class CommentView(Struct):
    """`CreatedTime` and `UpdatedTime` in Unix milliseconds, `created_at` and `updated_at` in seconds.

    `owner_id` is the owner of the video or the author of the comment that this one answers; `reply_to_id` is that
    comment, "0" for a comment on the video itself. `entities` says where the text, which is the content if that is a
    string, else its `text`, has tags and mentions.
    `edited_at`, in seconds, is "0" for a comment that its author never changed. The `pinned` one is before all others.
    """

    id: str
    created_time: str = field(name="CreatedTime")
    updated_time: str = field(name="UpdatedTime")
    content: Raw
    video_id: str
    father_id: str
    reply_to_id: str
    user_id: str
    owner_id: str
    likes: str
    like_count: str
    comments: str
    created_at: str
    updated_at: str
    edited_at: str
    pinned: bool
    entities: list[TextEntity]


def comment_view(comment: Comment) -> CommentView:
    likes = str(comment.like_count)
    return CommentView(
        id=str(comment.comment_id),
        created_time=str(comment.created_at),
        updated_time=str(comment.updated_at),
        content=Raw(comment.content),
        video_id=str(comment.video_id),
        father_id=str(comment.father_id),
        reply_to_id=str(comment.reply_to_id),
        user_id=str(comment.user_id),
        owner_id=str(comment.owner_id),
        likes=likes,
        like_count=likes,
        comments=str(comment.reply_count),
        created_at=str(comment.created_at // 1000),
        updated_at=str(comment.updated_at // 1000),
        edited_at=str(comment.edited_at // 1000),
        pinned=comment.pinned,
        entities=_comment_entities(comment),
    )


def _comment_entities(comment: Comment) -> list[TextEntity]:
    if not any(sign in comment.content for sign in SIGNS):
        return []
    return text_entities(text_of(msgspec.json.decode(comment.content)), comment.mentions)
