"""The events this service emits: `events.social.<noun>.<verb>`. Ids travel as strings.

Events between two users have the aggregate `pair:<lower id>:<higher id>`, events of a group `group:<id>`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from services.kit import telemetry
from services.kit.events.outbox import emit
from services.kit.sql.connection import AsyncConnection

# The end of a statement that writes events with a trace each.
INSERT_TOLD = """INSERT INTO outbox (subject, aggregate, data, trace)
 SELECT subject, aggregate, data, nullif(trace, '') FROM jsonb_to_recordset(CAST(:told AS jsonb))
  AS row (subject text, aggregate text, data jsonb, trace text)"""
EMIT = text("""INSERT INTO outbox (subject, aggregate, data, trace)
 SELECT subject, aggregate, data, CAST(:trace AS text)
 FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS event (subject text, aggregate text, data jsonb)""")


async def friend_accepted(connection: AsyncConnection, request: Any) -> None:
    """Also when the user who was asked sends a request in turn."""
    await _request(connection, "accepted", request, request.to_id, actor_agreed=True, user_agreed=True)


async def friend_refused(connection: AsyncConnection, request: Any) -> None:
    await _request(connection, "refused", request, request.to_id)


async def friend_agreed(connection: AsyncConnection, actor_id: int, user_id: int) -> None:
    """The actor, whom the user had added, agrees to the friendship."""
    await _pair(connection, "friend.agreed", actor_id, user_id, agreed=True)


async def friend_removed(connection: AsyncConnection, actor_id: int, user_id: int) -> None:
    await _pair(connection, "friend.removed", actor_id, user_id)


async def friends_removed(connection: AsyncConnection, actor_id: int, user_ids: Sequence[int]) -> None:
    """All friendships of a deleted account, in few statements."""
    rows = [
        {
            "subject": "events.social.friend.removed",
            "aggregate": _pair_of(actor_id, user_id),
            "data": {"actor_id": str(actor_id), "user_id": str(user_id)},
        }
        for user_id in user_ids
    ]
    await _emit_all(connection, rows)


async def _emit_all(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """One statement, the same for any number of events."""
    if rows:
        values = {"rows": msgspec.json.encode(rows).decode(), "trace": telemetry.here() or None}
        await connection.execute(EMIT, values)


async def follows_changed(
    connection: AsyncConnection, verb: str, pairs: Sequence[tuple[int, int]], **more: bool
) -> None:
    """`verb`: started, ended, requested, or withdrawn, also by a refusal. The actor is the one who follows, or asks to.
    `accepted`: the user, who was asked, let them."""
    rows = [of_pair(f"follow.{verb}", actor_id, user_id, **more) for actor_id, user_id in pairs]
    await _emit_all(connection, rows)


async def user_blocked(connection: AsyncConnection, actor_id: int, user_id: int) -> None:
    """For caches and delivery; the blocked user must not learn of it."""
    await _pair(connection, "user.blocked", actor_id, user_id)


async def user_unblocked(connection: AsyncConnection, actor_id: int, user_id: int) -> None:
    await _pair(connection, "user.unblocked", actor_id, user_id)


async def user_presence_changed(connection: AsyncConnection, user_id: int) -> None:
    """The user set who sees their presence. For the services that show it."""
    ids = {"actor_id": str(user_id), "user_id": str(user_id)}
    await emit(connection, "social.user.presence_setting_changed", f"user:{user_id}", **ids)


async def user_muted(connection: AsyncConnection, actor_id: int, user_id: int, muted: bool) -> None:
    """For those who show the actor what they see; the muted user must not learn of it."""
    await _pair(connection, "user.muted" if muted else "user.unmuted", actor_id, user_id)


async def words_muted(connection: AsyncConnection, user_id: int, words: Sequence[str]) -> None:
    """All words that the user has muted now."""
    ids = {"actor_id": str(user_id), "user_id": str(user_id)}
    await emit(connection, "social.user.words_muted", f"user:{user_id}", **ids, words=list(words))


async def _request(connection: AsyncConnection, verb: str, request: Any, actor_id: int, **data: Any) -> None:
    users = {"from_user_id": str(request.from_id), "to_user_id": str(request.to_id)}
    peer_id = request.from_id + request.to_id - actor_id
    fields = {"request_id": str(request.id), "message": request.message, **users}
    await _pair(connection, f"friend.{verb}", actor_id, peer_id, **fields, **data)


def _pair_of(a: int, b: int) -> str:
    return f"pair:{min(a, b)}:{max(a, b)}"


async def _pair(connection: AsyncConnection, what: str, actor_id: int, user_id: int, **data: Any) -> None:
    await _emit_all(connection, [of_pair(what, actor_id, user_id, **data)])


def of_pair(what: str, actor_id: int, user_id: int, **data: Any) -> dict[str, Any]:
    """The row of an event between two users, for who writes it into the outbox with other rows."""
    ids = {"actor_id": str(actor_id), "user_id": str(user_id)}
    return {"subject": f"events.social.{what}", "aggregate": _pair_of(actor_id, user_id), "data": ids | data}


async def group_created(connection: AsyncConnection, group: Any) -> None:
    """The owner is the first member."""
    await _group(connection, "created", group, group.owner_id)


async def group_joined(
    connection: AsyncConnection, group: Any, actor_id: int, user_id: int, inviter_id: int | None
) -> None:
    """`actor_id` let the user in: the user themselves, or the manager who handled the application."""
    await _emit_all(connection, [of_join(group, actor_id, user_id, inviter_id)])


def of_join(group: Any, actor_id: int, user_id: int, inviter_id: int | None) -> dict[str, Any]:
    """The row of `group_joined`, for who writes it into the outbox with other rows."""
    about = {"group_id": str(group.id), "group_name": group.name, "actor_id": str(actor_id)}
    data = about | {"user_id": str(user_id), "inviter_id": str(inviter_id or 0)}
    return {"subject": "events.social.group.joined", "aggregate": f"group:{group.id}", "data": data}


async def group_left(connection: AsyncConnection, group: Any, user_id: int) -> None:
    await _group(connection, "left", group, user_id, user_id=str(user_id))


async def group_removed(connection: AsyncConnection, group: Any, actor_id: int, user_id: int) -> None:
    await _group(connection, "removed", group, actor_id, user_id=str(user_id))


async def group_role_changed(connection: AsyncConnection, group: Any, actor_id: int, user_id: int, role: int) -> None:
    await _group(connection, "role_changed", group, actor_id, user_id=str(user_id), role=role)


async def group_transferred(connection: AsyncConnection, group: Any, actor_id: int, user_id: int) -> None:
    """`user_id` is the new owner, `actor_id` the previous one."""
    await _group(connection, "transferred", group, actor_id, user_id=str(user_id))


async def group_updated(connection: AsyncConnection, group: Any, actor_id: int, changed: Iterable[str]) -> None:
    """`group` is the row after the change. The event has the announcement's text if that was changed."""
    announced = {"announcement": group.announcement} if "announcement" in changed else {}
    await _group(connection, "updated", group, actor_id, changed=sorted(changed), **announced)


async def group_dismissed(connection: AsyncConnection, group: Any, actor_id: int, member_ids: Sequence[int]) -> None:
    """Names the former members, since the member list is gone."""
    await _group(connection, "dismissed", group, actor_id, member_ids=[str(id) for id in member_ids])


async def group_moderated(connection: AsyncConnection, group: Any, member_ids: Sequence[int], hidden: bool) -> None:
    """A moderator took it from everybody's sight, or brought it back. For caches of what its members may do."""
    ids = [str(id) for id in member_ids]
    await _group(connection, "hidden" if hidden else "restored", group, 0, member_ids=ids)


async def group_requested(connection: AsyncConnection, group: Any, request: Any, manager_ids: Sequence[int]) -> None:
    """`manager_ids` are the users who may handle the application, the owner included."""
    data = {"user_id": str(request.user_id), "request_id": str(request.id), "message": request.message}
    await _group(connection, "requested", group, request.user_id, **data, manager_ids=[str(id) for id in manager_ids])


async def group_handled(connection: AsyncConnection, group: Any, actor_id: int, request: Any, result: int) -> None:
    data = {"user_id": str(request.user_id), "request_id": str(request.id), "result": result}
    await _group(connection, "handled", group, actor_id, **data)


async def group_invited(connection: AsyncConnection, group: Any, actor_id: int, user_id: int) -> None:
    await _group(connection, "invited", group, actor_id, user_id=str(user_id))


async def _group(connection: AsyncConnection, verb: str, group: Any, actor_id: int, **data: Any) -> None:
    about = {"group_id": str(group.id), "group_name": group.name, "actor_id": str(actor_id)}
    await emit(connection, f"social.group.{verb}", f"group:{group.id}", **about, **data)
