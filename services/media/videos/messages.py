"""Rows of videos and comments to protobuf."""

from datetime import datetime
from typing import Any

from protos.media.v1 import comments_pb2, for_you_pb2, videos_pb2
from protos.media.v1.objects_pb2 import State
from services.media.files.filetypes import VIDEO
from services.media.models import HIDDEN, PUBLIC, READY
from services.media.signing import Signer
from services.media.videos.cards import OURS
from services.media.videos.feeds import VideoPage
from services.media.videos.likes import Change, Outcome
from services.media.videos.visibility import ViewerScope


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def video(row: Any, signer: Signer) -> videos_pb2.Video:
    """For a viewer who may see the video: the files of a video that is not public are signed."""

    def address(url: str | None) -> str:
        if not url or not url.startswith(OURS):
            return url or ""
        return signer.path(url.removeprefix(OURS), row.visibility != PUBLIC, row.duration, row.visibility == HIDDEN)

    made = (row.cover_file, row.playback_file, row.hls_file, row.storyboard_file)
    cover, playback, hls, storyboard = (OURS + file if file else "" for file in made)
    plays_itself = row.status == READY and row.kind == VIDEO
    visibility = row.visibility if row.publish_as is None else row.publish_as
    return videos_pb2.Video(
        video_id=row.id,
        owner_id=row.owner_id,
        title=row.title,
        description=row.description,
        video_url=address(row.video_url),
        cover_url=address(row.cover_url or cover),
        playback_url=address(playback or (row.video_url if plays_itself else "")),
        hls_url=address(hls),
        storyboard_url=address(storyboard),
        captions=[
            videos_pb2.Captions(language=language, label=label, url=address(OURS + file))
            for language, label, file in row.captions or ()
        ],
        type=row.type,
        visibility=videos_pb2.Visibility.ValueType(visibility),
        like_count=row.like_count,
        comment_count=row.comment_count,
        share_count=row.share_count,
        view_count=row.view_count,
        created_at=milliseconds(row.created_at),
        updated_at=milliseconds(row.updated_at),
        status=State.ValueType(row.status),
        reason=row.reason,
        width=row.width,
        height=row.height,
        duration=row.duration,
        blurhash=row.blurhash,
        hidden=row.visibility == HIDDEN,
        cover_width=row.cover_width,
        cover_height=row.cover_height,
        mentions=row.mentions,
        who_may_comment=videos_pb2.WhoMayComment.ValueType(row.who_may_comment),
        pinned=row.pinned_at is not None,
    )


def video_page(page: VideoPage, signer: Signer) -> videos_pb2.VideoPage:
    videos = [videos_pb2.Video(video_id=row) if isinstance(row, int) else video(row, signer) for row in page.videos]
    return videos_pb2.VideoPage(videos=videos, next_cursor=page.next_cursor, total=page.total)


def audience(scope: ViewerScope) -> videos_pb2.Audience:
    return videos_pb2.Audience(hidden_owner_ids=scope.hidden_owner_ids, personal=scope.personal)


def like_change(change: videos_pb2.LikeChange) -> Change:
    return Change(change.user_id, change.role, change.target_id, change.liked)


def like_outcome(outcome: Outcome) -> videos_pb2.LikeOutcome:
    return videos_pb2.LikeOutcome(found=bool(outcome.video_id), video_id=outcome.video_id)


def earlier_text(row: Any) -> comments_pb2.EarlierText:
    """`row`: of comment_edit."""
    return comments_pb2.EarlierText(content=row.content.encode(), replaced_at=milliseconds(row.replaced_at))


def comment(row: Any) -> comments_pb2.Comment:
    """`row`: of comment, with `pinned_comment_id` of its video."""
    return comments_pb2.Comment(
        comment_id=row.id,
        video_id=row.video_id,
        father_id=row.father_id,
        reply_to_id=row.reply_to_id,
        user_id=row.user_id,
        owner_id=row.owner_id,
        content=row.content.encode(),
        mentions=row.mentions,
        like_count=row.like_count,
        reply_count=row.reply_count,
        created_at=milliseconds(row.created_at),
        updated_at=milliseconds(row.updated_at),
        edited_at=milliseconds(row.edited_at) if row.edited_at else 0,
        pinned=row.pinned_comment_id == row.id,
    )


def not_interested(row: Any) -> for_you_pb2.NotInterested:
    about = {"video_id": row.video_id, "owner_id": row.owner_id, "tag": row.tag}
    return for_you_pb2.NotInterested(**about, created_at=milliseconds(row.created_at))
