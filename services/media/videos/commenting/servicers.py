"""The RPCs of protos/media/v1/comments.proto."""

from collections.abc import Sequence
from typing import Any

from protos.media.v1 import comments_pb2 as comments_pb
from protos.media.v1.comments_pb2_grpc import CommentsServicer
from services.kit.batcher import Batcher
from services.kit.context import current_caller, require_caller
from services.kit.pages import check_batch
from services.kit.rpc.group_commit import group_commit, write_together
from services.kit.texts.word_filter import WordFilter
from services.media.errors import Overloaded
from services.media.resources import Resources
from services.media.videos import likes, messages
from services.media.videos.commenting import comments, edits, pins, rights
from services.media.videos.commenting.writing import NewComment, new_comment, write_comments
from services.media.videos.likes import Change, Outcome
from services.media.videos.pages import PageRequest


class Comments(CommentsServicer):
    def __init__(self, service: Resources) -> None:
        self._database, self._new_id = service.database, service.new_id
        self._words = WordFilter(service.settings.filtered_words)
        self._comments: Batcher[NewComment, Any] = group_commit(self._write_comments, Overloaded)
        self._likes: Batcher[Change, Outcome] = group_commit(self._write_likes, Overloaded)

    async def CommentVideo(self, request: comments_pb.CommentVideoRequest, context: object) -> comments_pb.Comment:
        self._words.check_json("content", request.content)
        asked = (require_caller(), self._new_id(), request.content, request.mentions)
        row = await self._comments.submit(new_comment(*asked, video_id=request.video_id))
        return messages.comment(row)

    async def ReplyToComment(self, request: comments_pb.ReplyToCommentRequest, context: object) -> comments_pb.Comment:
        self._words.check_json("content", request.content)
        asked = (require_caller(), self._new_id(), request.content, request.mentions)
        row = await self._comments.submit(new_comment(*asked, reply_to_id=request.comment_id))
        return messages.comment(row)

    async def EditComment(self, request: comments_pb.EditCommentRequest, context: object) -> comments_pb.Comment:
        self._words.check_json("content", request.content)
        asked = (request.comment_id, request.content, request.mentions)
        async with self._database.transaction() as connection:
            row = await edits.edit_comment(connection, require_caller(), *asked)
        return messages.comment(row)

    async def PinComment(
        self, request: comments_pb.PinCommentRequest, context: object
    ) -> comments_pb.PinCommentResponse:
        asked = (request.comment_id, request.pinned)
        async with self._database.transaction() as connection:
            video_id = await pins.pin_comment(connection, require_caller(), *asked)
        return comments_pb.PinCommentResponse(video_id=video_id)

    async def BatchGetMayComment(
        self, request: comments_pb.BatchGetMayCommentRequest, context: object
    ) -> comments_pb.BatchGetMayCommentResponse:
        async with self._database.reading() as connection:
            ids = await rights.get_may_comment(connection, require_caller(), request.video_ids)
        return comments_pb.BatchGetMayCommentResponse(video_ids=ids)

    async def DeleteComment(
        self, request: comments_pb.DeleteCommentRequest, context: object
    ) -> comments_pb.DeleteCommentResponse:
        async with self._database.transaction() as connection:
            video_id = await comments.delete_comment(connection, require_caller(), request.comment_id)
        return comments_pb.DeleteCommentResponse(video_id=video_id)

    async def GetComment(self, request: comments_pb.GetCommentRequest, context: object) -> comments_pb.Comment:
        async with self._database.reading() as connection:
            row = await comments.get_comment(connection, current_caller.get(), request.comment_id)
            earlier = await edits.get_earlier(connection, row.id) if request.earlier else []
        answer = messages.comment(row)
        answer.earlier.extend(map(messages.earlier_text, earlier))
        return answer

    async def ListComments(self, request: comments_pb.ListCommentsRequest, context: object) -> comments_pb.CommentPage:
        wanted = (request.id, request.order, request.before_id, PageRequest.of(request))
        async with self._database.reading() as connection:
            rows, cursor = await comments.list_comments(connection, current_caller.get(), *wanted)
        return comments_pb.CommentPage(comments=map(messages.comment, rows), next_cursor=cursor)

    async def ListThread(self, request: comments_pb.ListCommentsRequest, context: object) -> comments_pb.CommentPage:
        wanted = (request.id, request.order, request.before_id, PageRequest.of(request))
        async with self._database.reading() as connection:
            rows, cursor = await comments.list_thread(connection, current_caller.get(), *wanted)
        return comments_pb.CommentPage(comments=map(messages.comment, rows), next_cursor=cursor)

    async def SetCommentLikes(
        self, request: comments_pb.SetCommentLikesRequest, context: object
    ) -> comments_pb.SetCommentLikesResponse:
        check_batch(request.changes)
        outcomes = await write_together(self._likes, map(messages.like_change, request.changes))
        return comments_pb.SetCommentLikesResponse(outcomes=map(messages.like_outcome, outcomes))

    async def _write_comments(self, written: list[NewComment]) -> Sequence[Any]:
        async with self._database.transaction() as connection:
            return await write_comments(connection, written)

    async def _write_likes(self, changes: list[Change]) -> Sequence[Outcome]:
        async with self._database.transaction() as connection:
            return await likes.change_likes(connection, likes.COMMENT, changes)
