"""How long does a search in one's messages take, with 1,000,000 messages in 20,000 conversations?

The searcher is in 500 of them, with 100,000 messages. The n-th word is said 1/n as often as the first, as in languages.
"""

import time

import psycopg

from bench.clients.load import Result
from bench.report import row, title
from bench.servers.database import scratch_database
from services.chat.reading.search import Wanted, search_messages
from services.chat.service import MIGRATIONS
from services.kit.context import Caller
from services.kit.db import Database

ME, ROUNDS = 1, 50
FILL = """
INSERT INTO conversation (id, kind, low_id, high_id, last_seq, rev, member_count, complete)
  SELECT n, 0, CASE WHEN n <= 500 THEN 1 ELSE 100000 + n END, 200000 + n, s, s, 2, true
  FROM generate_series(1, 20000) n, LATERAL (SELECT CASE WHEN n <= 500 THEN 200 ELSE 46 END AS s) AS size;
INSERT INTO conversation_member (conversation_id, user_id, rev)
  SELECT c.id, u, 0 FROM conversation c, unnest(ARRAY[c.low_id, c.high_id]) u;
INSERT INTO message
  (conversation_id, seq, rev, id, sender_id, client_msg_id, content_type, body, size, words, created_at)
  SELECT c.id, s, s, (s * 20000 + c.id) * 1000, CASE WHEN s % 2 = 0 THEN c.low_id ELSE c.high_id END,
   gen_random_uuid(), 'text', '{"text": "some words that were said"}', 40, array_to_tsvector((SELECT array_agg(DISTINCT
    'w' || floor(exp(random() * ln(50000)))) FROM generate_series(1, 8) WHERE c.id * s > 0)),
   timestamptz '2026-01-01' + make_interval(secs => s * 20000 + c.id)
  FROM conversation c, generate_series(1, c.last_seq) s;
"""
# Beginnings of words, as people type them: w1 finds w10 and w100, too.
SEARCHES = {
    "a frequent word": Wanted("w1"),
    "1 of 15 messages": Wanted("w30"),
    "two words": Wanted("w2 w30"),
    "1 of 1,400 messages": Wanted("w1000"),
    "a rare word": Wanted("w45001"),
    "none": Wanted("unsaid"),
    "one conversation": Wanted("w30", conversation_id=7),
    "one sender": Wanted("", sender_id=200_007),
    "a time": Wanted("w30", since=1_767_300_000_000, until=1_767_400_000_000),
}


async def measure() -> None:
    with scratch_database(MIGRATIONS) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM ANALYZE")
        await search_all(Database(url))


async def search_all(database: Database) -> None:
    title("search in 100,000 of 1,000,000 messages, one at a time, first page")
    for name, wanted in SEARCHES.items():
        latencies, found = [], 0
        for _ in range(ROUNDS):
            started = time.perf_counter()
            async with database.transaction() as connection:
                found = len((await search_messages(connection, Caller(ME), wanted, "", 20))[0])
            latencies.append(time.perf_counter() - started)
        result = Result(ROUNDS, sum(latencies), sorted(latencies), 0)
        row(name, f"p99 {result.quantile(0.99):.0f} ms", f"p50 {result.quantile(0.5):.0f} ms, {found} found")
