"""A request for each route of the contract, on a world of users, videos, groups and conversations.

`python -m bench routes` measures them; tests/e2e/test_budgets.py counts what each sets off. A route that is missing
here fails that test, unless UNMEASURED says why.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.clients.people import Person


@dataclass
class World:
    """Ids as the API writes them. `friends`: of each user, those next to them in the circle of `people`."""

    people: list[Person]
    friends: int
    videos: list[str]
    comments: list[str] = field(default_factory=list)  # under the first video
    groups: list[str] = field(default_factory=list)  # of which all are members
    open_groups: list[str] = field(default_factory=list)  # of which only their owner is
    conversations: list[str] = field(default_factory=list)  # by person: one with their next friend
    messages: list[str] = field(default_factory=list)  # one in each of these

    def id(self, turn: int) -> str:
        return self.people[turn % len(self.people)]["id"]

    def friend(self, turn: int) -> str:
        return self.id(turn + 1)

    def stranger(self, turn: int) -> Person:
        """Another one in each round of the circle, as far as it goes."""
        return self.people[(turn + self.friends // 2 + 1 + turn // len(self.people)) % len(self.people)]

    def group(self, turn: int) -> str:
        """One that the user of that turn is a member of (`_make_group` in world.py): others are refused its members."""
        return self.groups[turn % len(self.people) * len(self.groups) // len(self.people)]

    def video(self, turn: int) -> str:
        """Another one for each user and round."""
        return self.videos[(turn + turn // len(self.people)) % len(self.videos)]


Body = dict[str, Any]
Make = Callable[[World, int], Body]


def nothing(world: World, turn: int) -> Body:
    return {}


def _page(world: World, turn: int) -> Body:
    return {"page_size": 50}


def _limit(world: World, turn: int) -> Body:
    return {"limit": 50}


def _video(world: World, turn: int) -> Body:
    return {"video_id": world.video(turn)}


def _comment(world: World, turn: int) -> Body:
    return {"comment_id": world.comments[turn % len(world.comments)]}


def _stranger(world: World, turn: int) -> Body:
    return {"target_id": world.stranger(turn)["id"]}


def _conversation(world: World, turn: int) -> Body:
    return {"conversation_id": world.conversations[turn % len(world.conversations)]}


READS: dict[str, Make] = {
    "GET /api/user/get-user-info": lambda world, turn: {"id": world.friend(turn)},
    "GET /api/user/get-my-info": nothing,
    "GET /api/user/get-profile": lambda world, turn: {"id": world.stranger(turn)["id"]},
    "GET /api/user/sessions": nothing,
    "POST /api/contact/get-friend-list": _page,
    "GET /api/contact/get-user-list-online": _limit,
    "GET /api/contact/get-block-list": _limit,
    "GET /api/contact/search-users": lambda world, turn: {"query": world.people[turn % len(world.people)]["name"][:6]},
    "GET /api/contact/get-settings": nothing,
    "GET /api/contact/get-followers": _limit,
    "GET /api/contact/get-following": _limit,
    "GET /api/contact/get-mute-list": _limit,
    "GET /api/contact/get-group-list": _page,
    "POST /api/contact/load-community": _page,
    "GET /api/contact/get-group-users": lambda world, turn: {"community_id": world.group(turn), "page_size": 50},
    "GET /api/contact/search-communities": lambda world, turn: {"query": "group"},
    "GET /api/videos": _page,
    "GET /api/videos/user-videos": lambda world, turn: {"user_id": world.friend(turn)},
    "GET /api/videos/liked-videos": _page,
    "GET /api/videos/search-videos": lambda world, turn: {"query": "film"},
    "GET /api/videos/following-videos": nothing,
    "GET /api/search": lambda world, turn: {"query": "film"},
    "GET /api/videos/get-video": _video,
    "GET /api/videos/get-video-likes": _video,
    "GET /api/videos/get-comments": lambda world, turn: {"id": world.videos[0], "is_video": True},
    "GET /api/videos/get-comment-all": _comment,
    "GET /api/videos/get-comment-likes": _comment,
    "GET /api/videos/get-comment-member": lambda world, turn: {"id": world.videos[0], "is_video": True},
    "GET /api/chat/ws-ticket": nothing,
    "GET /api/chat/conversations": nothing,
    "GET /api/chat/messages": _conversation,
    "GET /api/chat/notifications": nothing,
    "GET /api/file/mine": nothing,
    "GET /api/v1/user/detail": nothing,
    "GET /v1/socialfriend/putIns": _limit,
    "GET /v1/social/friends": _limit,
    "GET /v1/social/friends/online": nothing,
    "GET /v1/socail/groups": _limit,
    "GET /v/social/group/users": lambda world, turn: {"group_id": world.group(turn), "limit": 50},
    "GET /v1/social/group/users/online": lambda world, turn: {"group_id": world.group(turn)},
    "GET /v1/social/group/putIns": lambda world, turn: {"class": 1, "limit": 50},
    "GET /v1/im/chatlog": lambda world, turn: {"conversationId": world.conversations[turn % len(world.conversations)]},
    "GET /v1/im/conversation": nothing,
    "GET /api/user/second-factor": nothing,
    "GET /api/user/export-status": nothing,
    "GET /api/contact/get-follow-requests": nothing,
    "GET /api/contact/get-muted-words": nothing,
    "GET /api/videos/following-unseen": nothing,
    "GET /api/videos/for-you": nothing,
    "GET /api/videos/for-you-why": _video,
    "GET /api/videos/for-you-settings": nothing,
    "GET /api/videos/kept-out": nothing,
    "GET /api/tags/videos": lambda world, turn: {"tag": "film"},
    "GET /api/tags/trending": nothing,
    "GET /api/tags/suggest": lambda world, turn: {"query": "fi"},
    "GET /api/saved/videos": nothing,
    "GET /api/saved/state": lambda world, turn: {"video_ids": world.video(turn)},
    "GET /api/saved/collections": nothing,
    "GET /api/chat/marks": nothing,
    "GET /api/chat/reactors": lambda world, turn: _conversation(world, turn) | {"seq": 1},
    "GET /api/chat/pinned-messages": _conversation,
    "GET /api/chat/search": lambda world, turn: {"text": "how"},
    "GET /api/push/devices": nothing,
    "GET /api/push/settings": nothing,
    "GET /api/report/my-reports": nothing,
    "GET /api/moderation/my-acts": nothing,
}

# In this order: some need what those before them did.
WRITES: dict[str, Make] = {
    "POST /api/user/set-profile": lambda world, turn: {"bio": f"bio {turn}"},
    "POST /api/videos/create-video": lambda world, turn: {"video_path": "https://example.com/v.mp4", "title": "film"},
    "POST /api/videos/like-video": _video,
    "POST /api/videos/unlike-video": _video,
    "POST /api/videos/share-video": _video,
    "POST /api/videos/view-video": lambda world, turn: _video(world, turn) | {"watched_seconds": 3},
    "POST /api/videos/comment-video": lambda world, turn: _video(world, turn) | {"content": {"text": "how nice"}},
    "POST /api/videos/comment-comments": lambda world, turn: {
        "father_id": world.comments[turn % len(world.comments)],
        "content": {"text": "so it is"},
    },
    "POST /api/videos/like-comments": _comment,
    "POST /api/videos/unlike-comments": _comment,
    "POST /api/contact/follow": _stranger,
    "POST /api/contact/unfollow": _stranger,
    "POST /api/contact/mute": _stranger,
    "POST /api/contact/unmute": _stranger,
    "POST /friend/putIn": lambda world, turn: {"user_uid": world.stranger(turn)["id"], "req_msg": "hi"},
    "POST /api/contact/add-friend": lambda world, turn: {"username": world.stranger(turn)["name"]},
    "POST /api/contact/set-remark": lambda world, turn: {"target_id": world.friend(turn), "remark": f"r{turn}"},
    "POST /api/contact/delete-friend": _stranger,
    "POST /api/contact/block": _stranger,
    "POST /api/contact/unblock": _stranger,
    "POST /api/contact/create-community": lambda world, turn: {"name": f"group {turn}"},
    "POST /v1/social/group": lambda world, turn: {"name": f"group {turn}"},
    "POST /api/contact/join-community": lambda world, turn: {
        "community_id": world.open_groups[turn % len(world.open_groups)]
    },
    "POST /api/chat/send": lambda world, turn: {
        "to": {"user_id": world.friend(turn)},
        "client_msg_id": str(uuid.uuid4()),
        "content_type": "text",
        "body": {"text": "how do you do"},
    },
    "POST /api/chat/read": lambda world, turn: _conversation(world, turn) | {"seq": 1},
    "POST /api/chat/notifications/read": lambda world, turn: {"all": True},
    "POST /api/chat/react": lambda world, turn: _conversation(world, turn) | {"seq": 1, "emoji": "👍"},
    "POST /api/chat/pin-message": lambda world, turn: _conversation(world, turn) | {"seq": 1},
    "POST /api/chat/mute": _conversation,
    "POST /api/chat/pin": _conversation,
    "POST /api/chat/hide": _conversation,
    "POST /v1/im/setup/conversation": lambda world, turn: {"recvId": world.friend(turn), "chatType": 2},
    "POST /api/contact/set-settings": lambda world, turn: {"who_may_add": "everyone"},
    "POST /api/contact/mute-word": lambda world, turn: {"word": f"word{turn}"},
    "POST /api/contact/unmute-word": lambda world, turn: {"word": f"word{turn}"},
    "POST /api/saved/save-video": _video,
    "POST /api/saved/unsave-video": _video,
    "POST /api/saved/create-collection": lambda world, turn: {"name": f"collection {turn}"},
    "POST /api/videos/not-interested": _video,
    "POST /api/videos/mark-following-seen": _video,
    "POST /api/videos/set-for-you-settings": lambda world, turn: {"chronological": False},
    "POST /api/push/set-settings": lambda world, turn: {"content": turn % 2 == 0},
    "POST /api/report/create-report": lambda world, turn: {"kind": "video", "id": world.video(turn), "reason": "spam"},
}

UNMEASURED = {
    "/api/login/": "bcrypt is what they cost; bench/accounts.py measures logins",
    "/api/v1/user/register": "likewise",
    "/api/v2/user/login": "likewise",
    "/api/user/": "once or twice in an account's life",
    "/api/contact/": "the like of one that is measured",
    "/api/videos/": "the like of one that is measured",
    "/api/chat/": "the like of one that is measured",
    "/v1/social/": "the like of one that is measured",
    "/v1/im/": "the like of one that is measured",
    "/api/file/": "bench/files.py and bench/media.py measure uploads",
    "/api/report/": "rare",
    "/api/moderation/": "for moderators",
    "/api/admin/": "for operators",
    "/api/saved/": "the like of one that is measured",
    "/api/push/": "once or twice in a device's life",
}


def of(route: str) -> Make:
    return READS.get(route) or WRITES[route]
