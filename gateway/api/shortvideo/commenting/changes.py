"""api/videos/edit-comment and pin-comment: what authors change of their comments, and owners of videos of theirs."""

from typing import Any

from gateway.api.shortvideo.commenting.comments import OfComment, OneComment, said
from gateway.api.shortvideo.commenting.views import comment_view
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.videos import VIDEO, check_actor
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from protos.media.v1 import comments_pb2 as pb


class EditComment(OfComment, kw_only=True):
    content: Any


class PinComment(OfComment, kw_only=True):
    """`pinned` false takes it off."""

    pinned: bool = True


@endpoint("POST", "/api/videos/edit-comment", family=SHORT_VIDEO, limit=VIDEO)
async def edit_comment(call: Call, params: EditComment) -> OneComment:
    """Change what one's own comment says, up to 24 hours after writing it; readers see that it was edited."""
    check_actor(call, params)
    request = pb.EditCommentRequest(comment_id=params.either_id, **await said(call, params.content))
    comment = await call.container.comments.EditComment(request)
    call.container.video_cache.drop_comments(comment.video_id)
    return OneComment(comment_view(comment))


@endpoint("POST", "/api/videos/pin-comment", family=SHORT_VIDEO, limit=OURS)
async def pin_comment(call: Call, params: PinComment) -> None:
    """Put a comment under one's own video before all others, instead of the one there, or take it off."""
    check_actor(call, params)
    request = pb.PinCommentRequest(comment_id=params.either_id, pinned=params.pinned)
    pinned = await call.container.comments.PinComment(request)
    call.container.video_cache.drop_comments(pinned.video_id)


endpoints = [edit_comment, pin_comment]
