"""Makes friendships, friend requests without an answer, follows, and groups."""

from functools import partial

from deploy.demo.demo_run import DemoRun, DemoUser
from deploy.demo.story import FriendRequest, Group


async def make_friends(run: DemoRun) -> None:
    """Works on one person at a time: two at once could each miss the friendship that the other is about to make."""
    pairs, requests = run.story.friends.pairs, run.story.friends.requests
    makers = dict.fromkeys(one for one, _ in pairs)
    await run.for_each("friends", partial(_add_friends, run), makers, at_once=1)
    await run.for_each("requests", partial(_request, run), requests)


async def make_follows(run: DemoRun) -> None:
    """Some follow the owners of videos, so that the feed of those followed has something for everybody."""
    await run.for_each("follows", partial(_follow, run), list(run.users))


async def _follow(run: DemoRun, follower: str) -> None:
    user = run.users[follower]
    owners = {video.owner for video in run.story.videos} - {follower}
    known = {one["id"] for one in (await user.get("/api/contact/get-following", limit=100))["users"]}
    for owner in run.choices.likers(f"follows of {follower}", sorted(owners)):
        if run.users[owner].id not in known:
            await user.post("/api/contact/follow", target_id=run.users[owner].id)
            run.added["follows"] += 1


async def _add_friends(run: DemoRun, maker: str) -> None:
    user = run.users[maker]
    known = {friend["friend_uid"] for friend in (await user.get("/v1/social/friends"))["list"]}
    for friend in (run.users[other] for one, other in run.story.friends.pairs if one == maker):
        if friend.id not in known:
            await user.post("/api/contact/add-friend", username=friend.username)
            await friend.post("/api/contact/add-friend", username=user.username)
            run.added["friendships"] += 1


async def _request(run: DemoRun, request: FriendRequest) -> None:
    asking, asked = run.users[request.by], run.users[request.to]
    friends = (await asking.get("/v1/social/friends"))["list"]
    # `class` 1: the requests that this user sent, answered or not. A refused one is not repeated.
    requests = (await asking.ask("GET", "/v1/social/friend/putIns", params={"class": "1"}))["list"]
    if asked.id not in {friend["friend_uid"] for friend in friends} | {one["req_uid"] for one in requests}:
        await asking.post("/v1/social/friend/putIn", user_uid=asked.id, req_msg=request.text, req_time=0)
        run.added["friend requests"] += 1


async def make_groups(run: DemoRun) -> dict[str, str]:
    """Returns the ids by name."""
    ids: dict[str, str] = {}
    await run.for_each("groups", lambda group: _fill_group(run, group, ids), run.story.groups)
    return ids


async def _fill_group(run: DemoRun, group: Group, ids: dict[str, str]) -> None:
    owner = run.users[group.owner]
    id = await _find(owner, group) or await _found(run, owner, group)
    ids[group.name] = id
    users = (await owner.get("/api/contact/get-group-users", community_id=id, page_size=50))["users"]
    present = {user["id"] for user in users}
    for user in (run.users[key] for key in group.members):
        if user.id not in present:
            await _join(owner, user, id, group.approval)
            run.added["members of groups"] += 1
    for user in (run.users[key] for key in group.applicants):
        if user.id not in present and not await _has_applied(user, id):
            await user.post("/v1/social/group/putIn", group_id=id, req_msg="", join_source=1)
            run.added["requests to join"] += 1


async def _find(owner: DemoUser, group: Group) -> str:
    groups = (await owner.get("/api/contact/get-group-list", page_size=50))["groups"]
    return next((one["id"] for one in groups if one["name"] == group.name and one["owner_id"] == owner.id), "")


async def _found(run: DemoRun, owner: DemoUser, group: Group) -> str:
    if group.approval:
        await owner.post("/v1/social/group", name=group.name)
    else:
        await owner.post("/api/contact/create-community", name=group.name)
    id = await _find(owner, group)
    await owner.post("/api/contact/update-community", community_id=id, desc=group.description)
    run.added["groups"] += 1
    return id


async def _join(owner: DemoUser, user: DemoUser, id: str, approval: bool) -> None:
    if not approval:
        await user.post("/api/contact/join-community", community_id=id)
        return
    await owner.post("/v1/social/group/invite", group_id=id, user_uid=user.id)
    await user.post("/v1/social/group/putIn", group_id=id, join_source=2, inviter_uid=owner.id)


async def _has_applied(user: DemoUser, id: str) -> bool:
    requests = (await user.ask("GET", "/v1/social/group/putIns", params={"class": "1"}))["list"]
    return any(request["group"]["id"] == id for request in requests)
