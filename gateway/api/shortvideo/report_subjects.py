"""The subject of a report, as the reporter sees it. A reporter who cannot see it gets the error of a wrong id."""

from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.container import Call
from gateway.http.errors import GroupNotFound, MessageNotFound, ParameterMissing, UserNotFound
from gateway.http.params import Id
from protos.chat.v1.conversations_pb2 import GetHistoryRequest
from protos.media.v1.comments_pb2 import GetCommentRequest
from protos.social.v1.groups_pb2 import BatchGetGroupsRequest
from protos.user.v1 import moderation_pb2 as pb
from services.client_json.chat import encode

MAX_TEXT = 1_000  # characters of each text in a snapshot
MAX_BODY = 2_000  # characters of the JSON of a comment, of what it said before, or of a message
LONG = ("content", "earlier", "body")

KindName = Literal["user", "video", "comment", "message", "group"]
KINDS: dict[KindName, pb.SubjectKind.ValueType] = {
    "user": pb.SUBJECT_USER,
    "video": pb.SUBJECT_VIDEO,
    "comment": pb.SUBJECT_COMMENT,
    "message": pb.SUBJECT_MESSAGE,
    "group": pb.SUBJECT_GROUP,
}
NAMES = {number: name for name, number in KINDS.items()}


class ReportedThing(Struct, kw_only=True):
    """A message is named by `conversation_id` and `seq`, everything else by `id`."""

    kind: KindName
    id: Id | None = None
    conversation_id: Id | None = None
    seq: Id | None = None


async def find_subject(call: Call, thing: ReportedThing) -> pb.Subject:
    """Raises UserNotFound, VideoNotFound, GroupNotFound, MessageNotFound, ParameterMissing, and what the services
    answer for a comment or a conversation that the caller may not see."""
    if thing.kind == "message":
        return await _message(call, _require(thing.conversation_id, "conversation_id"), _require(thing.seq, "seq"))
    return await FINDERS[thing.kind](call, _require(thing.id, "id"))


def _require(value: int | None, field: str) -> int:
    if value is None:
        raise ParameterMissing(field=field)
    return value


async def _user(call: Call, user_id: int) -> pb.Subject:
    user = await call.container.cards.load(user_id)
    if user is None:
        raise UserNotFound
    shown = {"username": user.username, "nickname": user.nickname, "bio": user.bio, "avatar": _path(user.avatar)}
    return _subject("user", user_id, user_id, shown)


async def _video(call: Call, video_id: int) -> pb.Subject:
    video = (await call.container.video_cache.card(call.caller, video_id)).video
    shown = {"title": video.title, "description": video.description}
    shown |= {"video_url": _path(video.video_url), "cover_url": _path(video.cover_url)}
    return _subject("video", video_id, video.owner_id, shown)


async def _comment(call: Call, comment_id: int) -> pb.Subject:
    """With what it said before edits, the last first: the reporter may have read that."""
    comment = await call.container.comments.GetComment(GetCommentRequest(comment_id=comment_id, earlier=True))
    shown = {"video_id": str(comment.video_id), "content": comment.content.decode()[:MAX_BODY]}
    if comment.earlier:
        shown["earlier"] = " | ".join(each.content.decode() for each in reversed(comment.earlier))
    return _subject("comment", comment_id, comment.user_id, shown)


async def _group(call: Call, group_id: int) -> pb.Subject:
    found = (await call.container.groups.BatchGetGroups(BatchGetGroupsRequest(group_ids=[group_id]))).groups
    if not found:
        raise GroupNotFound
    group = found[0]
    shown = {"name": group.name, "description": group.description, "announcement": group.announcement}
    return _subject("group", group_id, group.owner_id, shown | {"icon": _path(group.icon)})


async def _message(call: Call, conversation_id: int, seq: int) -> pb.Subject:
    request = GetHistoryRequest(conversation_id=conversation_id, before_seq=seq + 1, limit=1)
    page = (await call.container.chat.conversations.GetHistory(request)).messages
    if not page or page[0].seq != seq or page[0].recalled_at:
        raise MessageNotFound
    message = page[0]
    shown = {"content_type": message.content_type, "body": message.body.decode()[:MAX_BODY]}
    subject = _subject("message", message.message_id, message.sender_id, shown)
    subject.conversation_id, subject.seq = conversation_id, seq
    return subject


FINDERS = {"user": _user, "video": _video, "comment": _comment, "group": _group}


def _subject(kind: KindName, subject_id: int, owner_id: int, shown: dict[str, Any]) -> pb.Subject:
    snapshot = {name: text[: MAX_BODY if name in LONG else MAX_TEXT] for name, text in shown.items()}
    while len(encoded := encode(snapshot)) > 8_000:  # characters of several bytes
        snapshot = {name: text[: len(text) // 2] for name, text in snapshot.items()}
    return pb.Subject(kind=KINDS[kind], subject_id=subject_id, owner_id=owner_id, snapshot=encoded)


def _path(url: str) -> str:
    """Without the query, which may sign a private file."""
    return urlsplit(url)._replace(query="", fragment="").geturl() if "?" in url else url
