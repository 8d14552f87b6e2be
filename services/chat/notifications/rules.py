"""Notification rules: which users are told about which event, and what they are told."""

from collections.abc import Callable
from typing import Any

import msgspec

from services.chat.notifications.notifications import NewNotification
from services.kit.nats import Event
from services.kit.texts.text_search import texts_in

Data = dict[str, Any]
SUBJECT = ("kind", "subject_id", "conversation_id", "seq")  # of a moderation event
Rule = Callable[[Data], list[NewNotification]]


def notifications_for(event: Event) -> list[NewNotification]:
    """Returns the notifications of an event; none if it is of no interest or its data is incomplete."""
    what = event.subject.removeprefix("events.")
    try:
        return _RULES[what](event.data) if what in _RULES else []
    except (KeyError, TypeError, ValueError):
        return []


def mention(message: Any, user_id: int) -> NewNotification:
    subject = {"conversation_id": str(message.conversation_id), "seq": message.seq, "message_id": str(message.id)}
    text = " ".join(texts_in(msgspec.json.decode(message.body or "null")))
    return NewNotification(user_id, "mention", message.sender_id, subject, text=text)


def reaction(key: Any, message: Any, user_id: int, emoji: str) -> NewNotification:
    """For the sender of a message. All reactions to it share a notification; the emoji is the first one's."""
    subject = {"conversation_id": str(key.conversation_id), "seq": key.seq, "message_id": str(message.message_id)}
    subject["emoji"] = emoji
    return NewNotification(message.sender_id, "reaction", user_id, subject, f"reaction:{message.message_id}")


def _to_user(kind: str, *fields: str) -> Rule:
    """Notifies the event's `user_id`."""
    return lambda data: [
        NewNotification(
            int(data["user_id"]), kind, int(data["actor_id"]), _pick(data, fields), text=data.get("message", "")
        )
    ]


def _to_owner(kind: str, *fields: str, topic: str = "") -> Rule:
    """Notifies the event's `owner_id`. Events with the same value of the field `topic` share a notification."""

    def rule(data: Data) -> list[NewNotification]:
        shared = f"{kind}:{data[topic]}" if topic else ""
        to, by = int(data["owner_id"]), int(data["actor_id"])
        return [NewNotification(to, kind, by, _pick(data, fields), shared, data.get("text", ""))]

    return rule


def _mentioned(kind: str, *fields: str) -> Rule:
    """Notifies the event's `user_ids`, whom the actor mentions."""
    return lambda data: [
        NewNotification(int(id), kind, int(data["actor_id"]), _pick(data, fields), text=data.get("text", ""))
        for id in data["user_ids"]
    ]


def _followed(data: Data) -> list[NewNotification]:
    """Notifies the user who is followed, or the follower whom they let in."""
    follower, followed = int(data["actor_id"]), int(data["user_id"])
    if data.get("accepted"):
        return [NewNotification(follower, "follow_accepted", followed, {})]
    return [NewNotification(followed, "follow", follower, {}, "follow")]


def _group_requested(data: Data) -> list[NewNotification]:
    """Notifies the members who may handle the request."""
    subject = _pick(data, ("group_id", "group_name", "request_id", "message"))
    applicant = int(data["user_id"])
    text = data.get("message", "")
    return [NewNotification(int(id), "group_request", applicant, subject, text=text) for id in data["manager_ids"]]


def _group_joined(data: Data) -> list[NewNotification]:
    """Notifies the new member, if someone else admitted them, and the inviter, if someone else admitted the invitee."""
    user, actor, inviter = (int(data[name]) for name in ("user_id", "actor_id", "inviter_id"))
    subject = _pick(data, ("group_id", "group_name", "user_id"))
    told = [NewNotification(user, "group_joined", actor, subject)]
    if inviter not in (0, actor):
        told.append(NewNotification(inviter, "group_joined", user, subject))
    return told


def _moderated(kind: str) -> Rule:
    """Notifies the owner of the content that a moderator acted on, without naming the moderator."""
    fields = ("act_id", "act", "note", "until", "granted", "answer", *SUBJECT)
    return lambda data: [NewNotification(int(data["user_id"]), kind, int(data["user_id"]), _pick(data, fields))]


def _report_closed(data: Data) -> list[NewNotification]:
    """Notifies the reporters whether anything was done."""
    subject = _pick(data, ("outcome", *SUBJECT))
    return [NewNotification(int(id), "report_closed", int(id), subject) for id in data["reporter_ids"]]


def _pick(data: Data, fields: tuple[str, ...]) -> Data:
    return {name: data[name] for name in fields if name in data}


GROUP = ("group_id", "group_name")
_RULES: dict[str, Rule] = {
    "social.friend.requested": _to_user("friend_request", "request_id", "message"),
    "social.friend.accepted": _to_user("friend_accepted", "request_id"),
    "social.friend.added": _to_user("friend_added"),
    "social.follow.started": _followed,
    "social.follow.requested": _to_user("follow_request"),
    "social.group.requested": _group_requested,
    "social.group.joined": _group_joined,
    "social.group.invited": _to_user("group_invited", *GROUP),
    "media.video.liked": _to_owner("like", "video_id", topic="video_id"),
    "media.video.commented": _to_owner("comment", "video_id", "comment_id"),
    "media.comment.replied": _to_owner("reply", "video_id", "comment_id", "father_id", "reply_to_id"),
    "media.comment.liked": _to_owner("comment_like", "video_id", "comment_id", topic="comment_id"),
    "media.video.mentions": _mentioned("video_mention", "video_id"),
    "media.comment.mentions": _mentioned("comment_mention", "video_id", "comment_id"),
    "media.video.ready": _to_owner("video_ready", "video_id", "title"),
    "media.video.failed": _to_owner("video_failed", "video_id", "title", "reason"),
    "user.moderation.acted": _moderated("moderation"),
    "user.moderation.reversed": _moderated("moderation_reversed"),
    "user.moderation.appealed": _moderated("appeal_decided"),
    "user.moderation.closed": _report_closed,
}
SUBJECTS = [f"events.{what}" for what in _RULES]
