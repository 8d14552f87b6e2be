"""Friendships, requests that wait for an answer, and groups."""

from functools import partial

from deploy.demo.stage import Player, Stage
from deploy.demo.story import FriendRequest, Group


async def befriend(stage: Stage) -> None:
    """One person after the other: whose list was read before another befriended him would be befriended twice."""
    pairs, requests = stage.story.friends.pairs, stage.story.friends.requests
    makers = dict.fromkeys(one for one, _ in pairs)
    await stage.perform("friends", partial(_add_friends, stage), makers, at_once=1)
    await stage.perform("requests", partial(_request, stage), requests)


async def _add_friends(stage: Stage, maker: str) -> None:
    player = stage.players[maker]
    known = {friend["friend_uid"] for friend in (await player.get("/v1/social/friends"))["list"]}
    for friend in (stage.players[other] for one, other in stage.story.friends.pairs if one == maker):
        if friend.id not in known:
            await player.post("/api/contact/add-friend", username=friend.username)
            stage.added["friendships"] += 1


async def _request(stage: Stage, request: FriendRequest) -> None:
    asking, asked = stage.players[request.by], stage.players[request.to]
    friends = (await asking.get("/v1/social/friends"))["list"]
    # With `class` 1 his own, whatever became of them: a refused one is not asked again.
    requests = (await asking.ask("GET", "/v1/social/friend/putIns", params={"class": "1"}))["list"]
    if asked.id not in {friend["friend_uid"] for friend in friends} | {one["req_uid"] for one in requests}:
        await asking.post("/v1/social/friend/putIn", user_uid=asked.id, req_msg=request.text, req_time=0)
        stage.added["friend requests"] += 1


async def gather_groups(stage: Stage) -> dict[str, str]:
    """The ids by name."""
    ids: dict[str, str] = {}
    await stage.perform("groups", lambda group: _gather(stage, group, ids), stage.story.groups)
    return ids


async def _gather(stage: Stage, group: Group, ids: dict[str, str]) -> None:
    owner = stage.players[group.owner]
    id = await _find(owner, group) or await _found(stage, owner, group)
    ids[group.name] = id
    users = (await owner.get("/api/contact/get-group-users", community_id=id, page_size=50))["users"]
    present = {user["id"] for user in users}
    for player in (stage.players[key] for key in group.members):
        if player.id not in present:
            await _join(owner, player, id, group.approval)
            stage.added["members of groups"] += 1
    for player in (stage.players[key] for key in group.applicants):
        if player.id not in present and not await _has_applied(player, id):
            await player.post("/v1/social/group/putIn", group_id=id, req_msg="", join_source=1)
            stage.added["requests to join"] += 1


async def _find(owner: Player, group: Group) -> str:
    groups = (await owner.get("/api/contact/get-group-list", page_size=50))["groups"]
    return next((one["id"] for one in groups if one["name"] == group.name and one["owner_id"] == owner.id), "")


async def _found(stage: Stage, owner: Player, group: Group) -> str:
    if group.approval:
        await owner.post("/v1/social/group", name=group.name)
    else:
        await owner.post("/api/contact/create-community", name=group.name)
    id = await _find(owner, group)
    await owner.post("/api/contact/update-community", community_id=id, desc=group.description)
    stage.added["groups"] += 1
    return id


async def _join(owner: Player, player: Player, id: str, approval: bool) -> None:
    if not approval:
        await player.post("/api/contact/join-community", community_id=id)
        return
    await owner.post("/v1/social/group/invite", group_id=id, user_uid=player.id)
    await player.post("/v1/social/group/putIn", group_id=id, join_source=2, inviter_uid=owner.id)


async def _has_applied(player: Player, id: str) -> bool:
    requests = (await player.ask("GET", "/v1/social/group/putIns", params={"class": "1"}))["list"]
    return any(request["group"]["id"] == id for request in requests)
