"""Bytes per row on disk, with its indexes: what docs/scaling.md multiplies. Rows as users make them, in a server of its
own."""

import secrets
import tempfile
from pathlib import Path

import psycopg

from deploy.database_services import DATABASE_SERVICES
from deploy.local.databases import ensure_database
from deploy.local.servers.postgres import start_postgres
from services.kit import schema

ROWS = 50_000
WORDS = "'the quick brown fox jumps over ' || md5(n::text)"
HASH = "encode(sha256(n::text::bytea), 'hex')"
SOMEBODY = "(random() * 1e6)::bigint"
EVENT = '{"video_id": "1234567890123456789", "owner_id": "1234567890123456789", "actor_id": "1234567890123456789"}'
MADE: dict[str, dict[str, str]] = {
    "user": {
        "account": "(id, username, username_key, username_skeleton, nickname, email, phone, password_hash) SELECT"
        " n, 'somebody' || n, 'somebody' || n, 'somebody' || n, 'Some Body', 'somebody' || n || '@example.com',"
        " '+86' || n, repeat('x', 60)",
        "session": f"(id, user_id, device, ip, expires_at) SELECT n, {SOMEBODY}, 'Chrome on Linux', '203.0.113.7',"
        " now()",
    },
    "social": {
        "friendship": f"(user_id, friend_id, source) SELECT {SOMEBODY}, n, 1",
        "member": "(group_id, user_id, role) SELECT 1, n, 0",
        "follow": f"(user_id, followed_id, pending) SELECT {SOMEBODY}, n, false",
    },
    "media": {
        "object": f"(hash, extension, kind, media_type, size, state) SELECT {HASH}, 'mp4', 'video', 'video/mp4', 9, 2",
        "video": "(id, owner_id, title, video_url, cover_url, object_hash, visibility, random_key, words) SELECT"
        f" n << 22, {SOMEBODY}, {WORDS}, '/media/' || {HASH} || '.mp4', '/media/' || {HASH} || '.jpg', {HASH}, 0,"
        f" (random() * 1e15)::bigint, to_tsvector('simple', {WORDS})",
        "video_like": f"(video_id, user_id) SELECT {SOMEBODY} << 22, n",
        "video_tag": f"(video_id, name, owner_id, visibility, day) SELECT n << 22, 'tag' || n % 500, {SOMEBODY}, 0,"
        " '2026-01-01'",
        "saved_video": f"(user_id, video_id) SELECT {SOMEBODY}, n << 22",
        "watched_video": f"(user_id, video_id, share) SELECT {SOMEBODY}, n << 22, 50",
        "comment": f"(id, video_id, father_id, user_id, owner_id, content) SELECT n, n % 900, n, {SOMEBODY}, 1,"
        f" {WORDS}",
        "outbox": f"(subject, aggregate, data, published_at) SELECT 'events.media.video.liked', n::text, '{EVENT}',"
        " now()",
        "inbox": "(consumer, event) SELECT 'media-people', 'social:' || n || ':2026-01-01T00:00:00.123456+00:00'",
    },
    "chat": {
        "message": "(conversation_id, seq, rev, id, sender_id, client_msg_id, content_type, body, size, words) SELECT"
        f" n % 500, n / 500 + 1, n / 500 + 1, n << 22, {SOMEBODY}, gen_random_uuid(), 'text',"
        f" jsonb_build_object('text', {WORDS}), 80, to_tsvector('simple', {WORDS})",
        "reaction": f"(conversation_id, seq, user_id, emoji) SELECT n % 500, n / 500, {SOMEBODY}, '👍'",
        "reaction_summary": "(conversation_id, seq, rev, counts) SELECT n % 500, n / 500, n, '[[\"👍\", 1]]'",
        "pinned_message": f"(conversation_id, seq, pinned_by) SELECT n % 500, n / 500, {SOMEBODY}",
        "conversation": "(id, kind, low_id, high_id) SELECT n, 1, n, n + 1000000",
        "conversation_member": f"(conversation_id, user_id, rev) SELECT n, {SOMEBODY}, 1",
        "notification": f"(id, user_id, kind, event, topic, actor_ids, actor_count, subject) SELECT n, {SOMEBODY},"
        f" 'like', 'media:' || n, 'video:' || n, ARRAY[n::bigint], 1, '{EVENT}'",
    },
}
SIZE = """SELECT sum(pg_total_relation_size(relid)) FROM
 (SELECT relid FROM pg_partition_tree('{0}') UNION SELECT '{0}'::regclass) AS parts(relid)"""


async def measure() -> None:
    print("\nbytes per row, with indexes")
    with tempfile.TemporaryDirectory(prefix="hitok-sizes-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # noqa: ASYNC240 - PostgreSQL does not run as root
        server = start_postgres(Path(folder, "postgres"), secrets.token_hex(16), durable=False)
        try:
            for name, tables in MADE.items():
                measure_service(server.url, name, tables)
        finally:
            server.stop()


def measure_service(admin_url: str, name: str, tables: dict[str, str]) -> None:
    url = ensure_database(admin_url, f"hitok_{name}", secrets.token_hex(16))
    schema.upgrade(url, DATABASE_SERVICES[name].migrations)
    with psycopg.connect(admin_url, dbname=f"hitok_{name}", autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # what rows refer to need not be there
        for table, rows in tables.items():
            connection.execute(
                f"INSERT INTO {table} {rows} FROM generate_series(1::bigint, {ROWS}) AS made(n)".encode()
            )
            connection.execute(f"VACUUM (ANALYZE) {table}".encode())
            (size,) = connection.execute(SIZE.format(table).encode()).fetchone() or (0,)
            print(f"{name:8}{table:22}{float(size) / ROWS:6.0f}")
