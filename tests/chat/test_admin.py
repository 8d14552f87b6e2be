"""The operator's commands."""

import psycopg
import pytest
from typer.testing import CliRunner, Result

from services.chat.admin import commands
from services.chat.service import MIGRATIONS
from services.kit import schema
from tests.support.processes import SECRETS
from tests.support.servers import Servers

MESSAGE = """INSERT INTO message (conversation_id, seq, rev, id, sender_id, client_msg_id, content_type, size, words)
 VALUES (1, {seq}, {rev}, {seq}, 5, gen_random_uuid(), 'text', 0, '')"""
SOUND = [
    "INSERT INTO conversation (id, kind, low_id, high_id, last_seq, rev, member_count) VALUES (1, 0, 5, 6, 2, 2, 2)",
    "INSERT INTO conversation_member (conversation_id, user_id, rev) VALUES (1, 5, 0), (1, 6, 0)",
    MESSAGE.format(seq=1, rev=1),
    MESSAGE.format(seq=2, rev=2),
    "INSERT INTO reaction (conversation_id, seq, user_id, emoji) VALUES (1, 1, 6, 'x')",
    "INSERT INTO reaction_summary (conversation_id, seq, rev, counts) VALUES (1, 1, 2, '[[\"x\", 1]]')",
]


@pytest.fixture
def migrated(servers: Servers, request: pytest.FixtureRequest) -> str:
    url = servers.create_database(f"chat_admin_{abs(hash(request.node.name)) % 10**6}")
    schema.upgrade(url, MIGRATIONS)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SOUND:
            connection.execute(statement)
    return url


def run(url: str, servers: Servers, command: str) -> Result:
    environment = {
        "HITOK_CHAT_POSTGRES_URL": url,
        "HITOK_REDIS_URL": servers.redis_url,
        "HITOK_NATS_URL": servers.nats_url,
        **SECRETS,
    }
    return CliRunner(env=environment).invoke(commands.app, command)


BREAK = {
    "1 conversations with a gap in their messages": "DELETE FROM message WHERE seq = 1",
    "1 conversations behind the revs of their rows": "UPDATE conversation SET rev = 1",
    "1 revs that two messages share": "UPDATE message SET rev = 1",
    "1 reaction counts that differ from their rows": "DELETE FROM reaction",
    "1 conversations with a wrong member count": "UPDATE conversation SET member_count = 5",
    "1 members with an impossible position": "UPDATE conversation_member SET read_seq = 1 WHERE user_id = 5",
}


def test_sound_conversations_pass_the_check(migrated: str, servers: Servers) -> None:
    result = run(migrated, servers, "check")
    assert result.exit_code == 0 and [line[0] for line in result.stdout.splitlines()] == ["0"] * len(BREAK)


@pytest.mark.parametrize("fault", BREAK)
def test_broken_ones_do_not(migrated: str, servers: Servers, fault: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(BREAK[fault])
    result = run(migrated, servers, "check")
    assert result.exit_code == 1 and fault in result.stdout


def test_an_empty_database_has_to_be_migrated_first(servers: Servers) -> None:
    result = run(servers.create_database("chat_empty"), servers, "check")
    assert result.exit_code == 2 and "migrate" in result.output
