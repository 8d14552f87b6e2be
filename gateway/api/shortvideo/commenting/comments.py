"""api/videos/*comment*: comments, replies and their likes."""

from typing import Any

import msgspec
from msgspec import Struct

from gateway.api.shortvideo.commenting.views import CommentView, comment_view
from gateway.api.shortvideo.feeds import VideoPaging
from gateway.api.shortvideo.texts.entities import mentioned_users
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.videos import VIDEO, Acting, check_actor
from gateway.cache.mutes import NOTHING, Muted
from gateway.cache.videos import NewestComments
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterMissing
from gateway.http.params import Id, OptionalId
from protos.media.v1 import comments_pb2 as pb
from services.entities.parsing import text_of
from services.kit.texts.text_search import texts_in

ORDERS = {  # any other order_by is NEWEST
    "latest": pb.NEWEST,
    "created_at": pb.NEWEST,
    "popular": pb.MOST_LIKED,
    "likes": pb.MOST_LIKED,
}


class CommentVideo(Acting, kw_only=True):
    video_id: Id
    content: Any


class CommentComment(Acting, kw_only=True):
    father_id: Id
    content: Any


class OfComment(Acting, kw_only=True):
    """The id, by either name of the field."""

    comment_id: Id | None = None
    id: Id | None = None

    @property
    def either_id(self) -> int:
        """Raises ParameterMissing."""
        found = self.comment_id or self.id
        if found is None:
            raise ParameterMissing(field="comment_id")
        return found


class GetComments(VideoPaging, kw_only=True):
    """`id` is a video or, without `is_video`, a comment with its thread; `before_id` is the last comment shown."""

    id: Id
    is_video: bool = False
    before_id: OptionalId = 0
    order_by: str = ""


class CountComments(Struct):
    id: Id
    is_video: bool = False


class CommentPage(Struct):
    """`length` is the number of comments on this page; `next_cursor` is empty on the last page."""

    comments: list[CommentView]
    length: str
    next_cursor: str


class CommentLikes(Struct):
    comment_likes: str


class OneComment(Struct):
    comment: CommentView


class Members(Struct):
    member: str


@endpoint("POST", "/api/videos/comment-video", family=SHORT_VIDEO, limit=VIDEO)
async def comment_video(call: Call, params: CommentVideo) -> None:
    """Comment on a video; the content may be any JSON."""
    check_actor(call, params)
    request = pb.CommentVideoRequest(video_id=params.video_id, **await said(call, params.content))
    await call.container.comments.CommentVideo(request)
    call.container.video_cache.drop_comments(params.video_id)


@endpoint("POST", "/api/videos/comment-comments", family=SHORT_VIDEO, limit=VIDEO)
async def comment_comments(call: Call, params: CommentComment) -> None:
    """Reply to a comment; a reply to a reply joins the same thread."""
    check_actor(call, params)
    request = pb.ReplyToCommentRequest(comment_id=params.father_id, **await said(call, params.content))
    reply = await call.container.comments.ReplyToComment(request)
    call.container.video_cache.drop_comments(reply.video_id)


async def said(call: Call, content: Any) -> dict[str, Any]:
    """The content as it is stored, and whom it mentions."""
    return {"content": msgspec.json.encode(content), "mentions": await mentioned_users(call, text_of(content))}


@endpoint("POST", "/api/videos/delete-comment", family=SHORT_VIDEO, limit=OURS)
async def delete_comment(call: Call, params: OfComment) -> None:
    """Delete one's own comment or one under one's own video, with its replies; an admin may delete any."""
    check_actor(call, params)
    gone = await call.container.comments.DeleteComment(pb.DeleteCommentRequest(comment_id=params.either_id))
    call.container.video_cache.drop_comments(gone.video_id)


@endpoint("POST", "/api/videos/like-comments", family=SHORT_VIDEO, limit=VIDEO)
async def like_comments(call: Call, params: OfComment) -> None:
    """Like a comment; a second like changes nothing."""
    check_actor(call, params)
    video_id = await call.container.likes.set_comment_like(call.caller, params.either_id, True)
    call.container.video_cache.drop_comments(video_id)


@endpoint("POST", "/api/videos/unlike-comments", family=SHORT_VIDEO, limit=VIDEO)
async def unlike_comments(call: Call, params: OfComment) -> None:
    """Take a like back; without a like nothing changes."""
    check_actor(call, params)
    video_id = await call.container.likes.set_comment_like(call.caller, params.either_id, False)
    call.container.video_cache.drop_comments(video_id)


@endpoint("GET", "/api/videos/get-comment-likes", family=SHORT_VIDEO, limit=VIDEO)
async def get_comment_likes(call: Call, params: OfComment) -> CommentLikes:
    """The number of likes of a comment."""
    comment = await call.container.comments.GetComment(pb.GetCommentRequest(comment_id=params.either_id))
    return CommentLikes(str(comment.like_count))


@endpoint("GET", "/api/videos/get-comments", family=SHORT_VIDEO, limit=VIDEO)
async def get_comments(call: Call, params: GetComments) -> CommentPage:
    """A video's top-level comments, or a comment and its replies, without what the caller muted; the newest first, or
    the most liked (popular)."""
    if params.is_beyond_pages:
        return CommentPage([], "0", "")
    muted = await call.container.muted_by(call.caller)
    newest = await _newest_comments(call, params)
    if newest and muted is NOTHING:
        if newest.views is None:
            newest.views = [comment_view(comment) for comment in newest.page.comments]
        return CommentPage(newest.views, str(len(newest.views)), newest.page.next_cursor)
    page, me = newest.page if newest else await _read_comments(call, params), call.caller.user_id
    shown = [comment for comment in page.comments if comment.user_id == me or not _is_hidden(muted, comment)]
    views = [comment_view(comment) for comment in shown]
    return CommentPage(views, str(len(views)), page.next_cursor)


async def _read_comments(call: Call, params: GetComments) -> pb.CommentPage:
    read = call.container.comments.ListComments if params.is_video else call.container.comments.ListThread
    request = pb.ListCommentsRequest(
        id=params.id,
        order=ORDERS.get(params.order_by, pb.NEWEST),
        cursor=params.cursor,
        before_id=params.before_id,
        limit=params.limit,
        offset=params.offset,
    )
    return await read(request)


@endpoint("GET", "/api/videos/get-comment-all", family=SHORT_VIDEO, limit=VIDEO)
async def get_comment_all(call: Call, params: OfComment) -> OneComment:
    """One comment."""
    comment = await call.container.comments.GetComment(pb.GetCommentRequest(comment_id=params.either_id))
    return OneComment(comment_view(comment))


@endpoint("GET", "/api/videos/get-comment-member", family=SHORT_VIDEO, limit=VIDEO)
async def get_comment_member(call: Call, params: CountComments) -> Members:
    """The number of a video's comments, replies included; or the number of a comment's replies."""
    if params.is_video:
        return Members(str((await call.container.video_cache.card(call.caller, params.id)).video.comment_count))
    comment = await call.container.comments.GetComment(pb.GetCommentRequest(comment_id=params.id))
    return Members(str(comment.reply_count))


def _is_hidden(muted: Muted, comment: pb.Comment) -> bool:
    texts = texts_in(msgspec.json.decode(comment.content)) if muted.finds else ()
    return muted.hides(comment.user_id, *texts)


async def _newest_comments(call: Call, params: GetComments) -> NewestComments | None:
    """The first page of a video's comments from the cache; None if other comments are asked for, or not cached."""
    is_first = params.page == 1 and not (params.cursor or params.before_id)
    if not (params.is_video and is_first) or ORDERS.get(params.order_by, pb.NEWEST) != pb.NEWEST:
        return None
    return await call.container.video_cache.newest_comments(call.caller, params.id, params.limit)


endpoints = [
    comment_video,
    comment_comments,
    delete_comment,
    like_comments,
    unlike_comments,
    get_comment_likes,
    get_comments,
    get_comment_all,
    get_comment_member,
]
