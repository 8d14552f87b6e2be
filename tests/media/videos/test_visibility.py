"""Who may see a video: every RPC for each kind of viewer and each visibility (the routes: tests/gateway)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from protos.media.v1 import comments_pb2 as comments_pb
from protos.media.v1 import videos_pb2 as pb
from tests.support import videos as v
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, befriend, block, get, publish, social_event

SEES: dict[int, set[str]] = {
    pb.PUBLIC: {"owner", "friend", "stranger", "anonymous", "admin"},
    pb.FRIENDS: {"owner", "friend", "admin"},
    pb.PRIVATE: {"owner", "admin"},
}
KINDS = ("owner", "friend", "stranger", "blocked", "blocker", "anonymous", "admin")


@dataclass(frozen=True)
class Scene:
    videos: Videos
    people: dict[str, int]
    video: int
    comment: int

    async def ask(self, kind: str, call: Any, request: Any) -> Any:
        return await act(self.people[kind], call, request, 3 if kind == "admin" else 1)


async def new_scene(videos: Videos, visibility: int) -> Scene:
    people = dict(zip(KINDS, new_users(len(KINDS)), strict=True)) | {"anonymous": 0}
    await befriend(videos, people["owner"], people["friend"])
    await block(videos, people["owner"], people["blocked"])
    await block(videos, people["blocker"], people["owner"])
    video = (await publish(videos, people["owner"], visibility, title="学姐")).video_id
    top = (await v.comment(videos, people["owner"], video)).comment_id
    return Scene(videos, people, video, top)


async def in_list(scene: Scene, kind: str, call: Any, request: Any) -> bool:
    return scene.video in [video.video_id for video in (await scene.ask(kind, call, request)).videos]


async def is_served(scene: Scene, kind: str, call: Any, request: Any) -> bool:
    reason = await refusal(scene.ask(kind, call, request))
    assert reason in ("", "VIDEO_NOT_FOUND", "COMMENT_NOT_FOUND", "CALLER_MISSING"), reason
    return not reason


async def is_found(scene: Scene, kind: str, call: Any, request: Any) -> bool:
    return bool((await call(request)).outcomes[0].found)


def change(scene: Scene, kind: str, target: int) -> pb.LikeChange:
    return pb.LikeChange(user_id=scene.people[kind], role=3 if kind == "admin" else 1, target_id=target, liked=True)


Way = Callable[[Scene, str], Awaitable[bool]]
READS: dict[str, Way] = {
    "BatchGetVideos": lambda s, k: in_list(
        s, k, s.videos.videos.BatchGetVideos, pb.BatchGetVideosRequest(video_ids=[s.video])
    ),
    "ListVideos": lambda s, k: in_list(s, k, s.videos.videos.ListVideos, pb.ListVideosRequest(limit=50)),
    "ListUserVideos": lambda s, k: in_list(
        s, k, s.videos.videos.ListUserVideos, pb.ListUserVideosRequest(user_id=s.people["owner"], limit=50)
    ),
    "SearchVideos": lambda s, k: in_list(
        s, k, s.videos.videos.SearchVideos, pb.SearchVideosRequest(query="学姐", limit=50)
    ),
    "GetComment": lambda s, k: is_served(
        s, k, s.videos.comments.GetComment, comments_pb.GetCommentRequest(comment_id=s.comment)
    ),
    "ListComments": lambda s, k: is_served(
        s, k, s.videos.comments.ListComments, comments_pb.ListCommentsRequest(id=s.video, limit=10)
    ),
    "ListThread": lambda s, k: is_served(
        s, k, s.videos.comments.ListThread, comments_pb.ListCommentsRequest(id=s.comment, limit=10)
    ),
}
WRITES: dict[str, Way] = {
    "SetVideoLikes": lambda s, k: is_found(
        s, k, s.videos.videos.SetVideoLikes, pb.SetVideoLikesRequest(changes=[change(s, k, s.video)])
    ),
    "SetCommentLikes": lambda s, k: is_found(
        s, k, s.videos.comments.SetCommentLikes, comments_pb.SetCommentLikesRequest(changes=[change(s, k, s.comment)])
    ),
    "ShareVideo": lambda s, k: is_served(s, k, s.videos.videos.ShareVideo, pb.ShareVideoRequest(video_id=s.video)),
    "ViewVideo": lambda s, k: is_served(
        s, k, s.videos.videos.ViewVideo, pb.ViewVideoRequest(video_id=s.video, watched_seconds=9)
    ),
    "CommentVideo": lambda s, k: is_served(
        s, k, s.videos.comments.CommentVideo, comments_pb.CommentVideoRequest(video_id=s.video, content=b"1")
    ),
    "ReplyToComment": lambda s, k: is_served(
        s, k, s.videos.comments.ReplyToComment, comments_pb.ReplyToCommentRequest(comment_id=s.comment, content=b"1")
    ),
}


@pytest.mark.parametrize("visibility", SEES)
@pytest.mark.parametrize("way", [*READS, *WRITES])
async def test_each_way_to_a_video(videos: Videos, way: str, visibility: int) -> None:
    scene = await new_scene(videos, visibility)
    allowed = SEES[visibility] - ({"anonymous"} if way in WRITES else set())
    if way.startswith("Set"):  # whose likes they are is for the gateway to say, which knows no anonymous one
        allowed |= SEES[visibility] & {"anonymous"}
    served = {kind for kind in KINDS if await (READS | WRITES)[way](scene, kind)}
    assert served == allowed


async def test_a_liked_video_is_hidden_again(videos: Videos) -> None:
    owner, fan = new_users(2)
    video = (await publish(videos, owner)).video_id
    await v.like(videos, fan, video)
    request = pb.ListLikedVideosRequest(limit=50)
    assert len((await act(fan, videos.videos.ListLikedVideos, request)).videos) == 1
    await block(videos, owner, fan)
    assert not (await act(fan, videos.videos.ListLikedVideos, request)).videos
    await social_event(videos, "user.unblocked", owner, fan)
    assert len((await act(fan, videos.videos.ListLikedVideos, request)).videos) == 1


async def test_late_events_change_nothing(videos: Videos) -> None:
    """One that failed is delivered again, behind those that followed it."""
    owner, peer = new_users(2)
    video = (await publish(videos, owner, pb.FRIENDS)).video_id
    await social_event(videos, "friend.added", owner, peer, 10)
    await social_event(videos, "friend.removed", peer, owner, 12)
    await social_event(videos, "friend.accepted", owner, peer, 11)
    assert await get(videos, peer, video) is None
    await social_event(videos, "friend.accepted", peer, owner, 13)
    assert await get(videos, peer, video)
    await social_event(videos, "user.blocked", peer, owner, 15)
    await social_event(videos, "user.unblocked", peer, owner, 14)
    assert await get(videos, peer, video) is None


async def test_what_is_for_friends_is_open_to_those_whom_the_owner_agreed_to(videos: Videos) -> None:
    owner, peer = new_users(2)
    video, theirs = [(await publish(videos, user, pb.FRIENDS)).video_id for user in (owner, peer)]
    await social_event(videos, "friend.added", peer, owner, 20, actor_agreed=True, user_agreed=False)
    assert await get(videos, peer, video) is None and await get(videos, owner, theirs)
    await social_event(videos, "friend.agreed", owner, peer, 22, agreed=True)
    await social_event(videos, "friend.agreed", owner, peer, 21, agreed=False)  # late
    assert await get(videos, peer, video) and await get(videos, owner, theirs)
    await social_event(videos, "friend.removed", peer, owner, 23)
    await social_event(videos, "friend.added", owner, peer, 24)  # of an older version, which does not say who agreed
    assert await get(videos, peer, video) and await get(videos, owner, theirs) is None


async def test_a_block_of_one_side_is_not_lifted_by_the_other(videos: Videos) -> None:
    owner, peer = new_users(2)
    video = (await publish(videos, owner)).video_id
    await block(videos, owner, peer)
    await block(videos, peer, owner)
    await social_event(videos, "user.unblocked", peer, owner)
    assert await get(videos, peer, video) is None
    await social_event(videos, "user.unblocked", owner, peer)
    assert await get(videos, peer, video)


async def test_what_a_cache_has_to_know(videos: Videos) -> None:
    plain, blocker, owner, friend = new_users(4)
    other = new_user()
    await block(videos, blocker, other)
    await befriend(videos, owner, friend)
    await publish(videos, owner, pb.FRIENDS)
    request = pb.BatchGetAudiencesRequest(user_ids=[plain, blocker, other, owner, friend])
    found = (await videos.videos.BatchGetAudiences(request)).audiences
    assert [list(audience.hidden_owner_ids) for audience in found] == [[], [other], [blocker], [], []]
    assert [audience.personal for audience in found] == [False, False, False, True, True]
