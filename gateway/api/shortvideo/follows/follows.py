"""api/contact/*follow*: who follows whom. Following is one-way and apart from friendship."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from gateway.api.shortvideo.contacts import ListPage, Target
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.views import FollowUser, followed
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import OptionalId
from protos.social.v1 import follows_pb2 as pb

WRITE = per_second(4, 20)


class ListFollows(ListPage):
    """`user_id`: whose list; without it the caller's."""

    user_id: OptionalId = 0


class AnswerFollower(Target):
    accept: bool


class FollowAnswer(Struct):
    """`requested`: the user has to accept the caller first."""

    state: Literal["following", "requested"]


class FollowPage(Struct):
    """`next_cursor` is empty on the last page."""

    users: list[FollowUser]
    next_cursor: str


@endpoint("POST", "/api/contact/follow", family=SHORT_VIDEO, limit=WRITE)
async def follow(call: Call, params: Target) -> FollowAnswer:
    """Follow a user, or ask to, if they accept followers one by one; repeating it changes nothing."""
    await call.container.require_user(params.target_id)
    requested = await call.container.follows.set(call.caller, params.target_id, follows=True)
    return FollowAnswer("requested" if requested else "following")


@endpoint("POST", "/api/contact/unfollow", family=SHORT_VIDEO, limit=WRITE)
async def unfollow(call: Call, params: Target) -> None:
    """Follow a user no more, or take back the request to."""
    await call.container.follows.set(call.caller, params.target_id, follows=False)


@endpoint("POST", "/api/contact/remove-follower", family=SHORT_VIDEO, limit=WRITE)
async def remove_follower(call: Call, params: Target) -> None:
    """Make a user follow the caller no more; they are not told."""
    await call.container.follow_lists.RemoveFollower(pb.RemoveFollowerRequest(user_id=params.target_id))
    call.container.follows.drop(call.caller.user_id, params.target_id)


@endpoint("POST", "/api/contact/handle-follow-request", family=SHORT_VIDEO, limit=WRITE)
async def handle_follow_request(call: Call, params: AnswerFollower) -> None:
    """Let a user who asked follow the caller, or not."""
    request = pb.HandleFollowRequestRequest(user_id=params.target_id, accept=params.accept)
    await call.container.follow_lists.HandleFollowRequest(request)
    call.container.follows.drop(call.caller.user_id, params.target_id)


@endpoint("GET", "/api/contact/get-followers", family=SHORT_VIDEO, limit=OURS)
async def get_followers(call: Call, params: ListFollows) -> FollowPage:
    """The followers of a user, the last first; of one who accepts them one by one only for those."""
    return await _list(call, params, pb.FOLLOWERS)


@endpoint("GET", "/api/contact/get-following", family=SHORT_VIDEO, limit=OURS)
async def get_following(call: Call, params: ListFollows) -> FollowPage:
    """The users whom a user follows, the last first; of one who accepts followers one by one only for those."""
    return await _list(call, params, pb.FOLLOWING)


@endpoint("GET", "/api/contact/get-follow-requests", family=SHORT_VIDEO, limit=OURS)
async def get_follow_requests(call: Call, params: ListPage) -> FollowPage:
    """The users who ask to follow the caller, the last first."""
    return await _list(call, ListFollows(cursor=params.cursor, limit=params.limit), pb.FOLLOW_REQUESTS)


async def _list(call: Call, params: ListFollows, which: pb.FollowList.ValueType) -> FollowPage:
    request = pb.ListFollowsRequest(list=which, user_id=params.user_id, cursor=params.cursor, limit=params.limit)
    page = await call.container.follow_lists.ListFollows(request)
    return FollowPage(await _users(call, page.user_ids), page.next_cursor)


async def _users(call: Call, user_ids: Iterable[int]) -> list[FollowUser]:
    """In the order of the ids, without deleted accounts."""
    ids = list(user_ids)
    cards = await call.container.cards.load_many(ids)
    ids = [id for id in ids if id in cards]
    shown = await call.container.logins_shown_to(call.caller, ids)
    viewer = call.caller.user_id
    states = await call.container.follows.states.load_many((viewer, id) for id in ids)
    return [followed(cards[id], id in shown, states[viewer, id]) for id in ids]


endpoints = [
    follow,
    unfollow,
    remove_follower,
    handle_follow_request,
    get_followers,
    get_following,
    get_follow_requests,
]
