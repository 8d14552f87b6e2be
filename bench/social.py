"""Is the first page of a long list slower? Aim: under 3 times that of a list of 10."""

import json
from pathlib import Path

import psycopg

from bench.clients.load import Result, build_request, load
from bench.report import row, title
from bench.servers.stack import register, running_stack

FEW, FRIENDS, MEMBERS = 10, 5_000, 10_000
SECONDS = 4.0
ROUNDS = 3


async def measure() -> None:
    with running_stack() as (base, folder):
        few, many = register(base, folder)[1], register(base, folder)[1]
        fill(folder)
        title(f"first page of a list, {FEW} against {FRIENDS} friends, {FEW} against {MEMBERS} members")
        await compare(f"{base}/api/contact/get-friend-list", few, many, {"POST": b"{}"})
        await compare(f"{base}/v1/social/friends", few, many, {"GET": b""})
        await compare(f"{base}/v1/social/group/users", few, many, {"GET": b'{"group_id": %d}'}, groups=(1, 2))


async def compare(
    url: str, few: str, many: str, calls: dict[str, bytes], groups: tuple[int, int] | None = None
) -> None:
    ((method, body),) = calls.items()
    shares = []
    for _ in range(ROUNDS):
        results = []
        for number, token in enumerate((few, many)):
            filled = body % groups[number] if groups else body
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            results.append(await load(url, [build_request(url, headers, method, filled)], 1, SECONDS / 2))
        show(url, results)
        shares.append(results[1].quantile(0.5) / results[0].quantile(0.5))
    row("p50, times", f"{sorted(shares)[ROUNDS // 2]:.1f}", "aim: under 3")


def show(url: str, results: list[Result]) -> None:
    few, many = (f"p50 {result.quantile(0.5):.1f} ms" for result in results)
    failures = sum(result.failures for result in results)
    row(
        url.partition("/api")[2] or url[-24:],
        "",
        f"few {few}, many {many}" + (f", {failures} failed" if failures else ""),
    )


def fill(folder: Path) -> None:
    """Inserts the friends and members of the two users, the only ones so far, directly into the databases."""
    with connect(folder, "user") as users:
        few, many = (row[0] for row in users.execute("SELECT id FROM account ORDER BY id"))
        users.execute(
            "INSERT INTO account (id, username, username_key, nickname, bio, password_hash)"
            " SELECT n, 'friend ' || n, 'friend ' || n, 'friend ' || n, repeat('x', 60), ''"
            " FROM generate_series(1, %s) n",
            [MEMBERS],
        )
    with connect(folder, "social") as social:
        for user, friends, members in ((few, FEW, FEW), (many, FRIENDS, MEMBERS)):
            social.execute(
                "INSERT INTO friendship (user_id, friend_id, source)"
                " SELECT %(u)s, n, 1 FROM generate_series(1, %(f)s) n"
                " UNION ALL SELECT n, %(u)s, 1 FROM generate_series(1, %(f)s) n",
                {"u": user, "f": friends},
            )
            (group,) = social.execute(
                'INSERT INTO "group" (name, name_key, owner_id, approval, member_count)'
                " VALUES ('g', 'g', %s, true, %s) RETURNING id",
                [user, members + 1],
            ).fetchone() or (0,)
            social.execute("INSERT INTO member (group_id, user_id, role) VALUES (%s, %s, 2)", [group, user])
            social.execute(
                "INSERT INTO member (group_id, user_id, role) SELECT %s, n, 0 FROM generate_series(1, %s) n",
                [group, members],
            )
        social.execute("ANALYZE")


def connect(folder: Path, service: str) -> psycopg.Connection:
    settings = json.loads((folder / "settings" / f"{service}.json").read_bytes())
    return psycopg.connect(settings[f"HITOK_{service.upper()}_POSTGRES_URL"])
