"""api/videos/*: publish, change, watch and like a video."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.api.shortvideo.feeds import FEED
from gateway.api.shortvideo.texts.entities import mentioned_users
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import WHO_MAY_COMMENT as VIEWED
from gateway.api.shortvideo.video_views import VideoView, video_views
from gateway.container import Call
from gateway.files.urls import hash_in
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ActorForged, ParameterInvalid, ParameterMissing
from gateway.http.limits.rate_limits import per_minute
from gateway.http.params import Id, OptionalId, Text
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2 import BatchGetMayCommentRequest

VIDEO = per_minute(20, 40)

VISIBILITIES = {"public": pb.PUBLIC, "friends": pb.FRIENDS, "private": pb.PRIVATE}

WHO_MAY_COMMENT = {name: number for number, name in VIEWED.items()}

WhoMayComment = Literal["everyone", "followers", "friends", "nobody"]
VisibilityName = Literal["public", "friends", "private"]


class Acting(Struct, kw_only=True):
    """`user_id`, if given, is the caller's own. The document's `owner_id` is not read: the token names the caller."""

    user_id: OptionalId = 0


Seconds = Annotated[float, Meta(ge=0, le=1_000_000)]


class CreateVideo(Acting, kw_only=True):
    """`visibility` overrides `is_private`. `cover_at`, in seconds, makes the picture at that time the cover."""

    video_path: Text
    title: Text
    cover_path: str = ""
    cover_at: Seconds | None = None
    description: str = ""
    type: str = "video"
    is_private: bool = False
    visibility: VisibilityName | None = None
    who_may_comment: WhoMayComment = "everyone"


class UpdateVideo(Acting, kw_only=True):
    """Only given fields change; null counts as not given."""

    video_id: Id
    title: str | None = None
    description: str | None = None
    cover_path: str | None = None
    cover_at: Seconds | None = None
    is_private: bool | None = None
    visibility: VisibilityName | None = None
    who_may_comment: WhoMayComment | None = None


class OfVideo(Acting, kw_only=True):
    video_id: Id


class ViewVideo(OfVideo, kw_only=True):
    watched_seconds: Seconds


class GetVideo(Struct):
    """The id, by either name of the field."""

    video_id: Id | None = None
    id: Id | None = None


class OneVideo(Struct):
    """`may_comment`: whether the caller may comment on it."""

    video: VideoView
    may_comment: bool


class Likes(Struct):
    video_likes: str


class Viewed(Struct):
    counted: bool


def check_actor(call: Call, params: Acting) -> None:
    """Raises ActorForged."""
    if params.user_id not in (0, call.caller.user_id):
        raise ActorForged


@endpoint("GET", "/api/videos/get-video", family=SHORT_VIDEO, limit=FEED)
async def get_video(call: Call, params: GetVideo) -> OneVideo:
    """One video."""
    video_id = params.video_id or params.id
    if video_id is None:
        raise ParameterMissing(field="video_id")
    card = await call.container.video_cache.card(call.caller, video_id)
    return OneVideo((await video_views(call, [card]))[0], await _may_comment(call, card.video))


async def _may_comment(call: Call, video: pb.Video) -> bool:
    if video.who_may_comment == pb.COMMENTS_EVERYONE or video.owner_id == call.caller.user_id:
        return True
    if video.who_may_comment == pb.COMMENTS_NOBODY:
        return False
    asked = BatchGetMayCommentRequest(video_ids=[video.video_id])
    return video.video_id in (await call.container.comments.BatchGetMayComment(asked)).video_ids


@endpoint("POST", "/api/videos/create-video", family=SHORT_VIDEO, limit=VIDEO)
async def create_video(call: Call, params: CreateVideo) -> None:
    """Publish a video: an uploaded file's url, or any http(s) url."""
    check_actor(call, params)
    name = params.visibility or ("private" if params.is_private else "public")
    request = pb.CreateVideoRequest(
        video_url=await _own_path(call, params.video_path, "video_path"),
        cover_url=await _own_path(call, params.cover_path, "cover_path"),
        title=params.title,
        description=params.description,
        type=params.type,
        visibility=VISIBILITIES[name],
        cover_at=_milliseconds(params.cover_at),
        mentions=await mentioned_users(call, params.title, params.description),
        who_may_comment=WHO_MAY_COMMENT[params.who_may_comment],
    )
    drop_cached(call, await call.container.videos.CreateVideo(request))


@endpoint("POST", "/api/videos/update-video", family=SHORT_VIDEO, limit=OURS)
async def update_video(call: Call, params: UpdateVideo) -> None:
    """Change the given fields of one's own video. `is_private` false does not publish a video for friends."""
    check_actor(call, params)
    request = pb.UpdateVideoRequest(
        video_id=params.video_id,
        title=params.title,
        description=params.description,
        cover_url=None if params.cover_path is None else await _own_path(call, params.cover_path, "cover_path"),
        visibility=VISIBILITIES[params.visibility] if params.visibility else None,
        private=params.is_private,
        cover_at=_milliseconds(params.cover_at),
        mentions=await mentioned_users(call, params.title or "", params.description or ""),
        who_may_comment=WHO_MAY_COMMENT[params.who_may_comment] if params.who_may_comment else None,
    )
    drop_cached(call, await call.container.videos.UpdateVideo(request))


@endpoint("POST", "/api/videos/delete-video", family=SHORT_VIDEO, limit=OURS)
async def delete_video(call: Call, params: OfVideo) -> None:
    """Delete one's own video; an admin may delete any."""
    check_actor(call, params)
    gone = await call.container.videos.DeleteVideo(pb.DeleteVideoRequest(video_id=params.video_id))
    call.container.video_cache.drop_everywhere(params.video_id, gone.owner_id)


@endpoint("POST", "/api/videos/like-video", family=SHORT_VIDEO, limit=VIDEO)
async def like_video(call: Call, params: OfVideo) -> None:
    """Like a video; a second like changes nothing."""
    check_actor(call, params)
    await call.container.likes.set_video_like(call.caller, params.video_id, True)
    call.container.drop_counts(params.video_id, call.caller.user_id)


@endpoint("POST", "/api/videos/unlike-video", family=SHORT_VIDEO, limit=VIDEO)
async def unlike_video(call: Call, params: OfVideo) -> None:
    """Take a like back; without a like nothing changes."""
    check_actor(call, params)
    await call.container.likes.set_video_like(call.caller, params.video_id, False)
    call.container.drop_counts(params.video_id, call.caller.user_id)


@endpoint("GET", "/api/videos/get-video-likes", family=SHORT_VIDEO, limit=VIDEO)
async def get_video_likes(call: Call, params: OfVideo) -> Likes:
    """The number of likes of a video."""
    card = await call.container.video_cache.card(call.caller, params.video_id)
    return Likes(str(card.video.like_count))


@endpoint("POST", "/api/videos/share-video", family=SHORT_VIDEO, limit=OURS)
async def share_video(call: Call, params: OfVideo) -> None:
    """Count that the caller shared a video, once per user."""
    check_actor(call, params)
    await call.container.videos.ShareVideo(pb.ShareVideoRequest(video_id=params.video_id))
    call.container.drop_counts(params.video_id)


@endpoint("POST", "/api/videos/view-video", family=SHORT_VIDEO, limit=FEED)
async def view_video(call: Call, params: ViewVideo) -> Viewed:
    """Count a view of 2 seconds or of half the video, once per hour. What is less tells the feed that it was skipped; a
    later call may tell how much was watched in all."""
    check_actor(call, params)
    request = pb.ViewVideoRequest(video_id=params.video_id, watched_seconds=params.watched_seconds)
    viewed = await call.container.videos.ViewVideo(request)
    call.container.video_cache.drop_seen(call.caller.user_id)
    if viewed.counted:
        call.container.drop_counts(params.video_id)
    return Viewed(viewed.counted)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000)


async def _own_path(call: Call, url: str, field: str) -> str:
    """The path of one of our files, by whichever of our addresses the url names it; any other url as it is.

    Raises ParameterInvalid for a path of ours without a file.
    """
    hash = hash_in(url)
    file = await call.container.files.load(hash) if hash else None
    if file is None and url.startswith("/"):
        raise ParameterInvalid(field=field)
    return f"/media/{file.file}" if file else url


def drop_cached(call: Call, video: pb.Video) -> None:
    """Drops what is cached of a video that was just written, and of its files, whose privacy may have changed."""
    call.container.video_cache.drop_everywhere(video.video_id, video.owner_id)
    made = (video.playback_url, video.hls_url, video.storyboard_url, *(of.url for of in video.captions))
    for url in (video.video_url, video.cover_url, *made):
        call.container.files.drop(hash_in(url) or "")


endpoints = [
    get_video,
    create_video,
    update_video,
    delete_video,
    like_video,
    unlike_video,
    get_video_likes,
    share_video,
    view_video,
]
