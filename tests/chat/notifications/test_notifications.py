"""Notifications: from which events, grouped, muted, and never about what a blocked user did."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from protos.chat.v1 import sockets_pb2 as pb
from protos.social.v1 import follows_pb2, friends_pb2, mutes_pb2
from services.kit.nats import Event
from tests.support.chat import (
    Running,
    direct,
    execute,
    friends,
    group,
    group_conversation,
    notifications,
    send,
    until,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import (
    act,
    add,
    applications,
    ask,
    block,
    create_group,
    decide,
    group_with,
    handle,
    invite,
    join,
    new_user,
    new_users,
    refusal,
    request_between,
    set_privacy,
    unblock,
)


async def announce(chat: Running, subject: str, key: str = "", **data: Any) -> None:
    """Publishes the event as the media service does, and returns when it has been handled."""
    key = key or f"media:{secrets.token_hex(8)}"
    ids = {name: str(value) for name, value in data.items()}
    event = Event(secrets.randbelow(2**40), f"events.media.{subject}", "video:1", "2026-01-01T00:00:00+00:00", ids)
    jetstream = chat.service.nats.jetstream(timeout=5)
    await jetstream.publish(event.subject, msgspec.json.encode(event), headers={"Nats-Msg-Id": key})
    query = "SELECT FROM inbox WHERE event = :key AND consumer = 'chat-notifications'"

    async def handled() -> bool:
        return bool(await execute(chat, query, key=key))

    await until(handled)


async def like(chat: Running, actor: int, owner: int, video: int, key: str = "") -> None:
    await announce(chat, "video.liked", key, video_id=video, owner_id=owner, actor_id=actor)


async def one(chat: Running, user: int, kind: str) -> pb.Notification:
    async def there() -> list[pb.Notification]:
        return [each for each in await notifications(chat, user) if each.kind == kind]

    found: list[pb.Notification] = await until(there)
    assert len(found) == 1
    return found[0]


async def test_friends_asked_accepted_and_added(chat: Running, social: Social) -> None:
    a, b, c = new_users(3)
    async with watching(chat) as frames:
        await ask(social, a, b, "hello")
        asked = await one(chat, b, "friend_request")
        assert list(asked.actor_ids) == [a] and json.loads(asked.subject)["message"] == "hello" and asked.unread
        data = await frames.expect(f"push.user.{b}", "notification", kind="friend_request")
        assert data["actor"] == {"user_id": str(a), "user_ids": [str(a)], "count": 1}
        assert data["notification_id"] == str(asked.notification_id) and data["unread"] is True
    await handle(social, b, await request_between(social, a, b), 1)
    assert list((await one(chat, a, "friend_accepted")).actor_ids) == [b]
    await add(social, a, c)
    assert list((await one(chat, c, "friend_added")).actor_ids) == [a]
    assert await notifications(chat, a) == [await one(chat, a, "friend_accepted")]


async def test_followed_asked_and_let_in(chat: Running, social: Social) -> None:
    idol, shy, *fans = new_users(4)
    await set_privacy(social, shy, who_may_follow=friends_pb2.FOLLOW_IF_ACCEPTED)
    for fan in fans:
        for followed in (idol, shy):
            change = follows_pb2.FollowChange(user_id=fan, followed_id=followed, follows=True)
            await act(fan, social.follows.SetFollows, follows_pb2.SetFollowsRequest(changes=[change]))
    asked = await until(lambda: _all_of(chat, shy, 2))
    assert [each.kind for each in asked] == ["follow_request"] * 2
    both = await one(chat, idol, "follow")
    assert set(both.actor_ids) <= set(fans)
    answer = follows_pb2.HandleFollowRequestRequest(user_id=fans[0], accept=True)
    await act(shy, social.follows.HandleFollowRequest, answer)
    assert list((await one(chat, fans[0], "follow_accepted")).actor_ids) == [shy]


async def _all_of(chat: Running, user: int, count: int) -> list[pb.Notification]:
    found = list(await notifications(chat, user))
    return found if len(found) == count else []


async def test_groups_asked_joined_and_invited(chat: Running, social: Social) -> None:
    owner, manager, applicant, invited = new_users(4)
    group_id = await group_with(social, owner, manager, managers=[manager])
    await join(social, applicant, group_id, message="let me in")
    for user in (owner, manager):
        asked = await one(chat, user, "group_request")
        assert json.loads(asked.subject) | {"group_id": str(group_id), "message": "let me in"} == json.loads(
            asked.subject
        )
    (application,) = await applications(social, owner, group_id, 0)
    await decide(social, owner, group_id, application.request_id, 1)
    assert list((await one(chat, applicant, "group_joined")).actor_ids) == [owner]
    await invite(social, manager, group_id, invited)
    assert list((await one(chat, invited, "group_invited")).actor_ids) == [manager]
    await join(social, invited, group_id, inviter_id=manager)
    assert list((await one(chat, manager, "group_joined")).actor_ids) == [invited]


MEDIA: list[tuple[str, str, dict[str, int]]] = [
    ("video.liked", "like", {"video_id": 5}),
    ("video.commented", "comment", {"video_id": 5, "comment_id": 6}),
    ("comment.replied", "reply", {"video_id": 5, "comment_id": 7, "father_id": 6, "reply_to_id": 6}),
    ("comment.liked", "comment_like", {"video_id": 5, "comment_id": 6}),
]


@pytest.mark.parametrize(("subject", "kind", "about"), MEDIA)
async def test_what_others_do_with_what_is_mine(chat: Running, subject: str, kind: str, about: dict[str, int]) -> None:
    owner, actor = new_users(2)
    await announce(chat, subject, "", owner_id=owner, actor_id=actor, **about)
    await announce(chat, subject, "", owner_id=owner, actor_id=owner, **about)  # one's own deed is no news
    notification = await one(chat, owner, kind)
    assert json.loads(notification.subject) == {name: str(id) for name, id in about.items()}
    assert (list(notification.actor_ids), notification.actor_count) == ([actor], 1)


async def test_an_owner_is_told_how_the_processing_of_a_video_ended(chat: Running) -> None:
    owner = new_user()
    await announce(chat, "video.ready", owner_id=owner, actor_id=owner, video_id=5)
    assert json.loads((await one(chat, owner, "video_ready")).subject) == {"video_id": "5"}
    await announce(chat, "video.failed", owner_id=owner, actor_id=owner, video_id=6)
    assert json.loads((await one(chat, owner, "video_failed")).subject) == {"video_id": "6"}


async def test_an_event_that_says_too_little_is_passed_over(chat: Running) -> None:
    await announce(chat, "video.liked", video_id=1)
    assert await execute(chat, "SELECT FROM dead_letter") == []


async def test_likes_of_one_video_are_told_together(chat: Running) -> None:
    owner, *fans = new_users(6)
    async with watching(chat) as frames:
        for fan in fans:
            await like(chat, fan, owner, 1)
        await like(chat, fans[0], owner, 1)  # again
        await like(chat, fans[0], owner, 2)
        other, first = await notifications(chat, owner)
        assert (list(first.actor_ids), first.actor_count) == ([fans[0], fans[4], fans[3]], 5)
        assert (list(other.actor_ids), other.actor_count) == ([fans[0]], 1)
        data = await frames.expect(f"push.user.{owner}", "notification", notification_id=str(other.notification_id))
        counts = [data["actor"]["count"] for data in frames.of(f"push.user.{owner}")][:5]
        assert counts == [1, 2, 3, 4, 5] and data["actor"]["count"] == 1


@pytest.mark.parametrize("old", ["UPDATE notification SET created_at = now() - interval '25 hours'", ""])
async def test_but_not_with_what_is_read_or_old(chat: Running, old: str) -> None:
    owner, *fans = new_users(3)
    await like(chat, fans[0], owner, 1)
    (first,) = await notifications(chat, owner)
    if old:
        await execute(chat, old + " WHERE user_id = :owner", owner=owner)
    else:
        await mark(chat, owner, notification_ids=[first.notification_id])
    await like(chat, fans[1], owner, 1)
    assert [list(n.actor_ids) for n in await notifications(chat, owner)] == [[fans[1]], [fans[0]]]


async def test_the_same_event_again_is_nothing(chat: Running) -> None:
    owner, fan = new_users(2)
    await like(chat, fan, owner, 1, key="media:same")
    await like(chat, fan, owner, 1, key="media:same")
    await announce(chat, "video.commented", "media:again", video_id=1, owner_id=owner, actor_id=fan)
    await execute(chat, "DELETE FROM inbox WHERE event = 'media:again'")
    assert len(await notifications(chat, owner)) == 2


async def mark(chat: Running, user: int, **which: Any) -> None:
    await act(user, chat.notifications.MarkNotificationsRead, pb.MarkNotificationsReadRequest(**which))


async def mute(chat: Running, user: int, kind: str, muted: bool) -> None:
    await act(user, chat.notifications.SetMuted, pb.SetMutedRequest(kind=kind, muted=muted))


async def test_a_muted_kind_is_not_told(chat: Running) -> None:
    owner, fan = new_users(2)
    for _ in range(2):
        await mute(chat, owner, "like", True)
    await like(chat, fan, owner, 1)
    assert await notifications(chat, owner) == []
    await mute(chat, owner, "like", False)
    await like(chat, fan, owner, 1)
    assert len(await notifications(chat, owner)) == 1
    assert await refusal(mute(chat, owner, "nonsense", True)) == "KIND_INVALID"


async def test_nothing_comes_from_one_whom_the_receiver_blocked(chat: Running, social: Social) -> None:
    owner, fan = new_users(2)

    async def knows(blocked: bool) -> Callable[[], Any]:
        query = "SELECT FROM block WHERE user_id = :user AND blocked_id = :fan AND blocked = :blocked"

        async def known() -> list[Any]:
            return await execute(chat, query, user=owner, fan=fan, blocked=blocked)

        return known

    await block(social, owner, fan)
    await until(await knows(True))
    await like(chat, fan, owner, 1)
    assert await notifications(chat, owner) == []
    await unblock(social, owner, fan)
    await until(await knows(False))
    await like(chat, fan, owner, 1)
    assert len(await notifications(chat, owner)) == 1


async def test_nothing_comes_from_one_whom_the_receiver_muted_nor_with_a_muted_word(
    chat: Running, social: Social
) -> None:
    me, muted, other = await friends(social, 3)
    group_id = await group_with(social, other, me, muted)
    await group_conversation(chat, group_id, me, muted, other)
    await announce(chat, "comment.replied", actor_id=muted, owner_id=me, video_id=1, comment_id=1)
    assert [each.actor_ids[0] for each in await notifications(chat, me) if each.kind == "reply"] == [muted]
    await act(me, social.mutes.MuteUser, mutes_pb2.MuteUserRequest(user_id=muted))
    await act(me, social.mutes.MuteWord, mutes_pb2.MuteWordRequest(word="Spoiler"))

    async def heard() -> bool:
        words = await execute(chat, "SELECT FROM muted_words WHERE user_id = :me", me=me)
        return bool(words and await execute(chat, "SELECT FROM mute WHERE user_id = :me AND muted", me=me))

    await until(heard)
    assert [each for each in await notifications(chat, me) if each.kind == "reply"] == [], "hidden since"
    about: dict[str, Any] = {"owner_id": me, "video_id": 1, "comment_id": 2}
    await announce(chat, "video.liked", actor_id=muted, **about)
    await announce(chat, "video.commented", actor_id=other, text="a SPOILER!", **about)
    await send(chat, muted, group(group_id), "hi", mentions=[me])
    await send(chat, other, group(group_id), "spoiler ahead", mentions=[me])
    await announce(chat, "video.commented", actor_id=other, text="spoilers are no spoilered word", **about)
    kinds = [each.kind for each in await notifications(chat, me) if each.kind not in ("friend_added", "group_joined")]
    assert kinds == ["comment"]
    await act(me, social.mutes.UnmuteUser, mutes_pb2.UnmuteUserRequest(user_id=muted))

    async def shown_again() -> bool:
        return "reply" in [each.kind for each in await notifications(chat, me)]

    await until(shown_again)


async def test_members_who_are_mentioned_hear_of_it(chat: Running, social: Social) -> None:
    a, b, c = await friends(social, 3)
    group_id = await group_with(social, a, b, approval=False)
    await group_conversation(chat, group_id, a, b)
    async with watching(chat) as frames:
        ack = await send(chat, a, group(group_id), "@b", mentions=[a, b, c, b])
        await frames.expect(f"push.user.{b}", "notification", kind="mention")
    mention = await one(chat, b, "mention")
    subject = {"conversation_id": str(ack.conversation_id), "seq": ack.seq, "message_id": str(ack.message_id)}
    assert json.loads(mention.subject) == subject and list(mention.actor_ids) == [a]
    for user in (a, c):
        assert "mention" not in {n.kind for n in await notifications(chat, user)}
    await send(chat, a, direct(b), "@b", mentions=[b])
    assert len([n for n in await notifications(chat, b) if n.kind == "mention"]) == 2


async def test_pages_and_what_is_unread(chat: Running) -> None:
    owner, fan = new_users(2)
    for video in range(5):
        await like(chat, fan, owner, video)
    first = await notifications(chat, owner, limit=2)
    rest = await notifications(chat, owner, before=first[-1].notification_id)
    ids = [n.notification_id for n in first + rest]
    assert len(ids) == 5 and ids == sorted(ids, reverse=True)

    async def unread() -> int:
        request = pb.ListNotificationsRequest(limit=1)
        return int((await act(owner, chat.notifications.ListNotifications, request)).unread)

    assert await unread() == 5
    await mark(chat, new_user(), all=True)
    await mark(chat, fan, notification_ids=ids)
    assert await unread() == 5, "another's stay as they are"
    await mark(chat, owner, notification_ids=ids[:2])
    assert await unread() == 3
    await mark(chat, owner, all=True)
    assert await unread() == 0 and not any(n.unread for n in await notifications(chat, owner))


async def test_one_group_created_alone_tells_nobody(chat: Running, social: Social) -> None:
    owner = new_user()
    await group_conversation(chat, await create_group(social, owner), owner)
    assert await notifications(chat, owner) == []
