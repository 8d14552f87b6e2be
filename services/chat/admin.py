"""The operator's commands: `python -m services.chat <command>`."""

import secrets

import typer

from services.chat.away.drivers.encryption import public_bytes, to_base64url
from services.chat.away.drivers.vapid import KEY_BYTES, read_key
from services.chat.config import SERVICE, ChatSettings
from services.chat.service import MIGRATIONS
from services.kit.db import Database
from services.kit.process.commands import CommandLine, count_faults

commands = CommandLine(SERVICE, ChatSettings, MIGRATIONS)

FAULTS = {
    "conversations with a gap in their messages": """
        SELECT count(*) FROM conversation LEFT JOIN (SELECT conversation_id, count(*) AS messages, max(seq) AS last
        FROM message GROUP BY conversation_id) counted ON conversation_id = id
        WHERE last_seq <> coalesce(messages, 0) OR last_seq <> coalesce(last, 0)""",
    "conversations behind the revs of their rows": """
        SELECT count(*) FROM conversation JOIN (SELECT conversation_id, max(rev) AS last FROM
        (SELECT conversation_id, rev FROM message UNION ALL SELECT conversation_id, rev FROM conversation_member
        UNION ALL SELECT conversation_id, rev FROM reaction_summary
        UNION ALL SELECT id, pins_rev FROM conversation) AS row
        GROUP BY conversation_id) changed ON conversation_id = id WHERE rev < last""",
    "revs that two messages share": """
        SELECT count(*) FROM (SELECT FROM message GROUP BY conversation_id, rev HAVING count(*) > 1) AS same""",
    "reaction counts that differ from their rows": """
        SELECT count(*) FROM (SELECT conversation_id, seq, each->>0 AS emoji, CAST(each->>1 AS bigint) AS count
        FROM reaction_summary, jsonb_array_elements(counts) AS each) AS told
        FULL JOIN (SELECT conversation_id, seq, emoji, count(*) FROM reaction GROUP BY 1, 2, 3) AS counted
        USING (conversation_id, seq, emoji) WHERE told.count IS DISTINCT FROM counted.count""",
    "conversations with a wrong member count": """
        SELECT count(*) FROM conversation LEFT JOIN (SELECT conversation_id, count(*) AS members
        FROM conversation_member WHERE left_at IS NULL GROUP BY conversation_id) counted ON conversation_id = id
        WHERE member_count <> coalesce(members, 0)""",
    "members with an impossible position": """
        SELECT count(*) FROM conversation_member JOIN conversation ON conversation.id = conversation_id
        WHERE read_seq > last_seq OR delivered_seq > last_seq OR delivered_seq < read_seq""",
}


async def check(database: Database, _: ChatSettings) -> dict[str, int]:
    async with database.transaction() as connection:
        return await count_faults(connection, FAULTS)


def vapid_key() -> None:
    """Make a key for Web Push: set it as HITOK_PUSH_VAPID_KEY."""
    key = secrets.token_hex(KEY_BYTES)
    typer.echo(f"HITOK_PUSH_VAPID_KEY={key}")
    typer.echo(f"its public key, which browsers are given: {to_base64url(public_bytes(read_key(key)))}")


commands.add_check(check)
commands.app.command()(vapid_key)
