"""Who is to hear of which event, and how it is told."""

from collections.abc import Callable
from typing import Any

from services.chat.notifications.notifications import Notice
from services.kit.nats import Event

Data = dict[str, Any]


def notices_of(event: Event) -> list[Notice]:
    """None of an event that is of no interest, or does not say enough."""
    what = event.subject.removeprefix("events.")
    try:
        return _NOTICES[what](event.data) if what in _NOTICES else []
    except (KeyError, TypeError, ValueError):
        return []


def mention_of(message: Any, user_id: int) -> Notice:
    subject = {"conversation_id": str(message.conversation_id), "seq": message.seq, "message_id": str(message.id)}
    return Notice(user_id, "mention", message.sender_id, subject)


def _to_user(kind: str, *fields: str) -> Callable[[Data], list[Notice]]:
    """To the `user_id` whom the event names beside the actor."""
    return lambda data: [Notice(int(data["user_id"]), kind, int(data["actor_id"]), _pick(data, fields))]


def _to_owner(kind: str, *fields: str, topic: str = "") -> Callable[[Data], list[Notice]]:
    """To whom the thing belongs that it happened to; together with others of that `topic`, a field's name."""

    def notices(data: Data) -> list[Notice]:
        together = f"{kind}:{data[topic]}" if topic else ""
        return [Notice(int(data["owner_id"]), kind, int(data["actor_id"]), _pick(data, fields), together)]

    return notices


def _group_requested(data: Data) -> list[Notice]:
    """To those who may handle it."""
    subject = _pick(data, ("group_id", "group_name", "request_id", "message"))
    applicant = int(data["user_id"])
    return [Notice(int(id), "group_request", applicant, subject) for id in data["manager_ids"]]


def _group_joined(data: Data) -> list[Notice]:
    """To him, if another let him in; to who invited him, if another did not."""
    user, actor, inviter = (int(data[name]) for name in ("user_id", "actor_id", "inviter_id"))
    subject = _pick(data, ("group_id", "group_name", "user_id"))
    told = [Notice(user, "group_joined", actor, subject)]
    if inviter not in (0, actor):
        told.append(Notice(inviter, "group_joined", user, subject))
    return told


def _pick(data: Data, fields: tuple[str, ...]) -> Data:
    return {name: data[name] for name in fields if name in data}


GROUP = ("group_id", "group_name")
_NOTICES: dict[str, Callable[[Data], list[Notice]]] = {
    "social.friend.requested": _to_user("friend_request", "request_id", "message"),
    "social.friend.accepted": _to_user("friend_accepted", "request_id"),
    "social.friend.added": _to_user("friend_added"),
    "social.group.requested": _group_requested,
    "social.group.joined": _group_joined,
    "social.group.invited": _to_user("group_invited", *GROUP),
    "media.video.liked": _to_owner("like", "video_id", topic="video_id"),
    "media.video.commented": _to_owner("comment", "video_id", "comment_id"),
    "media.comment.replied": _to_owner("reply", "video_id", "comment_id", "father_id", "reply_to_id"),
    "media.comment.liked": _to_owner("comment_like", "video_id", "comment_id", topic="comment_id"),
}
SUBJECTS = [f"events.{what}" for what in _NOTICES]
