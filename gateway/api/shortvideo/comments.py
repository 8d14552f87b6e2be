"""api/videos/*comment*: comments, replies and their likes."""

from typing import Any

import msgspec
from msgspec import Struct

from gateway.api.shortvideo.feeds import MAX_OFFSET, Part
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import CommentView, comment_view
from gateway.api.shortvideo.videos import VIDEO, Acting, check_actor
from gateway.cache.videos import HEAD
from gateway.http.endpoint import Call, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterInvalid, ParameterMissing
from gateway.http.params import Id, OptionalId
from protos.media.v1 import comments_pb2 as pb

ORDERS = {
    "": pb.NEWEST,
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
    """Either name of the field will do."""

    comment_id: Id | None = None
    id: Id | None = None

    @property
    def which(self) -> int:
        """Raises ParameterMissing."""
        found = self.comment_id or self.id
        if found is None:
            raise ParameterMissing
        return found


class GetComments(Part, kw_only=True):
    """`id` is a video's, or a comment's whose thread is asked for; `before_id` the last comment that was shown."""

    id: Id
    is_video: bool = False
    before_id: OptionalId = 0
    order_by: str = ""


class CountComments(Struct):
    id: Id
    is_video: bool = False


class CommentPage(Struct):
    """`length` counts the returned ones; `next_cursor` is empty on the last page."""

    comments: list[CommentView]
    length: str
    next_cursor: str


class OneComment(Struct):
    comment: CommentView


class Members(Struct):
    member: str


@endpoint("POST", "/api/videos/comment-video", family=SHORT_VIDEO, limit=VIDEO)
async def comment_video(call: Call, params: CommentVideo) -> None:
    """Comment on a video; any JSON is a comment."""
    check_actor(call, params)
    request = pb.CommentVideoRequest(video_id=params.video_id, content=msgspec.json.encode(params.content))
    await call.container.videos.comments.CommentVideo(request)
    call.container.videos.drop_comments(params.video_id)


@endpoint("POST", "/api/videos/comment-comments", family=SHORT_VIDEO, limit=VIDEO)
async def comment_comments(call: Call, params: CommentComment) -> None:
    """Answer a comment; an answer to an answer joins its thread."""
    check_actor(call, params)
    request = pb.ReplyToCommentRequest(comment_id=params.father_id, content=msgspec.json.encode(params.content))
    reply = await call.container.videos.comments.ReplyToComment(request)
    call.container.videos.drop_comments(reply.video_id)


@endpoint("POST", "/api/videos/delete-comment", family=SHORT_VIDEO, limit=OURS)
async def delete_comment(call: Call, params: OfComment) -> None:
    """Delete one's own comment, or one under one's own video; any, as an admin. Its answers go with it."""
    check_actor(call, params)
    gone = await call.container.videos.comments.DeleteComment(pb.DeleteCommentRequest(comment_id=params.which))
    call.container.videos.drop_comments(gone.video_id)


@endpoint("POST", "/api/videos/like-comments", family=SHORT_VIDEO, limit=VIDEO)
async def like_comments(call: Call, params: OfComment) -> None:
    """Like a comment; once is enough."""
    check_actor(call, params)
    await call.container.videos.like_comment(call.caller, params.which, True)


@endpoint("POST", "/api/videos/unlike-comments", family=SHORT_VIDEO, limit=VIDEO)
async def unlike_comments(call: Call, params: OfComment) -> None:
    """Take a like back; without one there is nothing to do."""
    check_actor(call, params)
    await call.container.videos.like_comment(call.caller, params.which, False)


@endpoint("GET", "/api/videos/get-comments", family=SHORT_VIDEO, limit=VIDEO)
async def get_comments(call: Call, params: GetComments) -> CommentPage:
    """A video's top-level comments, or a comment and its answers; the newest first, or the most liked (popular)."""
    order = ORDERS.get(params.order_by)
    if order is None:
        raise ParameterInvalid
    if params.offset >= MAX_OFFSET:
        return CommentPage([], "0", "")
    videos = call.container.videos
    is_head = order == pb.NEWEST and params.page == 1 and not (params.cursor or params.before_id)
    page = None
    if params.is_video and is_head and params.limit == HEAD:
        page = await videos.head(call.caller, params.id)
    if page is None:
        read = videos.comments.ListComments if params.is_video else videos.comments.ListThread
        request = pb.ListCommentsRequest(
            id=params.id,
            order=order,
            cursor=params.cursor,
            before_id=params.before_id,
            limit=params.limit,
            offset=params.offset,
        )
        page = await read(request)
    views = [comment_view(comment) for comment in page.comments]
    return CommentPage(views, str(len(views)), page.next_cursor)


@endpoint("GET", "/api/videos/get-comment-all", family=SHORT_VIDEO, limit=VIDEO)
async def get_comment_all(call: Call, params: OfComment) -> OneComment:
    """One comment."""
    comment = await call.container.videos.comments.GetComment(pb.GetCommentRequest(comment_id=params.which))
    return OneComment(comment_view(comment))


@endpoint("GET", "/api/videos/get-comment-member", family=SHORT_VIDEO, limit=VIDEO)
async def get_comment_member(call: Call, params: CountComments) -> Members:
    """How many comments a video has, answers too; or how many answers a comment has."""
    if params.is_video:
        return Members(str((await call.container.videos.get(call.caller, params.id)).video.comment_count))
    comment = await call.container.videos.comments.GetComment(pb.GetCommentRequest(comment_id=params.id))
    return Members(str(comment.reply_count))


endpoints = [
    comment_video,
    comment_comments,
    delete_comment,
    like_comments,
    unlike_comments,
    get_comments,
    get_comment_all,
    get_comment_member,
]
