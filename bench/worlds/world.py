"""A stack with users, friends, groups and videos, for measurements: 300 users, 1,000 videos, and of each user 50
friends, followers, friend requests, groups, applications and likes.

Users, sessions and what is between users are written into the databases, since passwords alone would take a minute;
videos are published over HTTP, since their counts are many.
"""

import asyncio
import json
import secrets
import time
from pathlib import Path

import httpx
import psycopg

from bench.clients.people import Person
from services.kit.ids import EPOCH_MS
from services.kit.tokens import issue

USERS, FRIENDS, VIDEOS, GROUPS, MEMBERS = 300, 50, 1_000, 150, 100
LIKED = 50  # videos that all users like
SESSION_SECONDS = 86_400


def fill(folder: Path) -> list[Person]:
    """The users. Each is friends with the FRIENDS next to them in a circle, and a member of GROUPS * MEMBERS / USERS
    groups."""
    first = (int(time.time() * 1000) - EPOCH_MS << 22) - (USERS << 22)
    ids = [first + (number << 22) for number in range(USERS)]
    secret = json.loads((folder / "secrets.json").read_bytes())["jwt"]
    with connect(folder, "user") as users:
        for id in ids:
            users.execute(
                "INSERT INTO account (id, username, username_key, nickname, bio, password_hash, phone, role, login_at)"
                " VALUES (%(id)s, %(name)s, %(name)s, %(name)s, repeat('x', 60), '', %(phone)s, 1, now())",
                {"id": id, "name": _name(id), "phone": f"+86175{secrets.randbelow(10**8):08}"},
            )
            users.execute(
                "INSERT INTO session (id, user_id, device, ip, expires_at) VALUES (%s, %s, '', '', now() + '1 day')",
                [id, id],
            )
    pairs = [
        (ids[a], ids[(a + step) % USERS])
        for a in range(USERS)
        for step in range(-(FRIENDS // 2), FRIENDS // 2 + 1)
        if step
    ]
    with connect(folder, "social") as social:
        social.cursor().executemany(
            "INSERT INTO friendship (user_id, friend_id, source, agreed) VALUES (%s, %s, 1, true)", pairs
        )
        for number in range(GROUPS):
            members = [ids[(number * USERS // GROUPS + place) % USERS] for place in range(MEMBERS)]
            _make_group(social, members)
        social.execute("ANALYZE")
    with connect(folder, "media") as media:
        media.cursor().executemany("INSERT INTO standing (user_id, peer_id, friend) VALUES (%s, %s, true)", pairs)
        media.execute("ANALYZE")
    return [_person(secret, id) for id in ids]


def fill_lists(folder: Path) -> None:
    """Friends asked and follow each other, members applied, and all users like the LIKED oldest videos."""
    with connect(folder, "social") as social:
        social.execute(
            "INSERT INTO friend_request (from_id, to_id, message, requested_at, handled_at, result)"
            " SELECT user_id, friend_id, 'hi', now(), now(), 1 FROM friendship WHERE user_id < friend_id ORDER BY id"
        )
        social.execute(
            "INSERT INTO follow (user_id, followed_id, pending)"
            " SELECT user_id, friend_id, false FROM friendship ORDER BY id"
        )
        social.execute(
            "INSERT INTO follow_count (user_id, followers, following)"
            " SELECT user_id, count(*), count(*) FROM friendship GROUP BY user_id"
        )
        social.execute(
            "INSERT INTO join_request (group_id, user_id, message, requested_at, handled_at, result)"
            " SELECT group_id, user_id, 'hi', now(), now(), 1 FROM member ORDER BY id"
        )
        social.execute("ANALYZE")
    with connect(folder, "media") as media:
        media.execute("UPDATE standing SET follows = true WHERE friend")
        oldest = "SELECT id FROM video ORDER BY id LIMIT %s"
        liked = f"INSERT INTO video_like (video_id, user_id) SELECT id, %s FROM ({oldest}) AS oldest"
        (users,) = media.execute("SELECT array_agg(DISTINCT user_id) FROM standing").fetchone() or ((),)
        media.cursor().executemany(liked.encode(), [(user, LIKED) for user in users])
        counted = f"UPDATE video SET like_count = %s WHERE id IN ({oldest})"
        media.execute(counted.encode(), [len(users), LIKED])
        media.execute("ANALYZE")


def _make_group(social: psycopg.Connection, members: list[int]) -> None:
    row = social.execute(
        'INSERT INTO "group" (name, name_key, owner_id, approval, member_count)'
        " VALUES ('group', 'group', %s, true, %s) RETURNING id",
        [members[0], len(members)],
    ).fetchone()
    assert row
    social.cursor().executemany(
        "INSERT INTO member (group_id, user_id, role) VALUES (%s, %s, %s)",
        [(row[0], member, 0 if place else 2) for place, member in enumerate(members)],
    )


def _person(secret: str, id: int) -> Person:
    token, _ = issue(
        secret,
        user_id=id,
        username=_name(id),
        role=1,
        session_id=id,
        token_class="atoken",
        lifetime=SESSION_SECONDS,
    )
    return {"name": _name(id), "token": token, "id": str(id)}


def _name(id: int) -> str:
    return f"b{id:x}"


async def publish_all(http: httpx.AsyncClient, people: list[Person], videos: int = VIDEOS) -> list[str]:
    """Publishes videos of the users in turn; returns the ids of the newest ones, the newest first."""
    free = asyncio.Semaphore(16)

    async def publish(number: int) -> None:
        async with free:
            film = {"video_path": "https://example.com/v.mp4", "title": f"film {number}", "description": "x" * 60}
            headers = {"Authorization": f"Bearer {people[number % len(people)]['token']}"}
            for _ in range(100):  # 503: the machine has other work
                if (await http.post("/api/videos/create-video", json=film, headers=headers)).status_code != 503:
                    return
                await asyncio.sleep(0.2)

    await asyncio.gather(*map(publish, range(videos)))
    token = people[0]["token"]
    answer = await http.get("/api/videos?page_size=50", headers={"Authorization": f"Bearer {token}"})
    return [video["id"] for video in answer.raise_for_status().json()["data"]["data"]]


def connect(folder: Path, service: str) -> psycopg.Connection:
    """To the service's database."""
    settings = json.loads((folder / "settings" / f"{service}.json").read_bytes())
    return psycopg.connect(settings[f"HITOK_{service.upper()}_POSTGRES_URL"])
