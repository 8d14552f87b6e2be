"""The operator's commands."""

import json

import psycopg
import pytest
from typer.testing import CliRunner, Result

from services.social.admin import commands
from tests.support.processes import SECRETS
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def migrated(servers: Servers) -> str:
    url = servers.create_database("social_admin")
    for _ in range(2):  # a second time there is nothing to do
        assert run(url, servers, "migrate").exit_code == 0
    return url


def run(url: str, servers: Servers, *command: str) -> Result:
    environment = {
        "HITOK_SOCIAL_POSTGRES_URL": url,
        "HITOK_REDIS_URL": servers.redis_url,
        "HITOK_NATS_URL": servers.nats_url,
        **SECRETS,
    }
    return CliRunner(env=environment).invoke(commands.app, command)


BREAK = {
    "1 users whose followers are counted wrongly": "INSERT INTO follow_count (user_id, followers) VALUES (1, 1)",
    "1 users whose follows are counted wrongly": "INSERT INTO follow_count (user_id, following) VALUES (2, 1)",
    "1 friendships without their other half": "INSERT INTO friendship (user_id, friend_id, source) VALUES (1, 2, 0)",
    "1 groups that count their members wrongly": 'UPDATE "group" SET member_count = 5',
    "1 groups without the one owner they name": "UPDATE member SET role = 0",
}


def test_a_whole_graph_passes_the_check(migrated: str, servers: Servers) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO \"group\" (name, name_key, owner_id, approval, member_count) VALUES ('g', 'g', 7, false, 1)"
        )
        connection.execute('INSERT INTO member (group_id, user_id, role) SELECT id, 7, 2 FROM "group"')
    result = run(migrated, servers, "check")
    assert result.exit_code == 0 and [line[0] for line in result.stdout.splitlines()] == ["0"] * len(BREAK)


@pytest.mark.parametrize("fault", BREAK)
def test_a_broken_one_does_not(migrated: str, servers: Servers, fault: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(BREAK[fault])
    result = run(migrated, servers, "check")
    assert result.exit_code == 1 and fault in result.stdout


def test_an_empty_database_has_to_be_migrated_first(servers: Servers) -> None:
    result = run(servers.create_database("social_empty"), servers, "check")
    assert result.exit_code == 2 and "migrate" in result.output


def test_groups_are_listed_and_shown(servers: Servers) -> None:
    url = servers.create_database("social_groups")
    assert run(url, servers, "migrate").exit_code == 0
    with psycopg.connect(url, autocommit=True) as connection:
        for number, name in enumerate(("chess", "chemistry", "tea%"), start=1):
            row = (
                name,
                name,
                number,
                'INSERT INTO "group" (name, name_key, owner_id, approval) VALUES (%s, %s, %s, false)',
            )
            connection.execute(row[3], row[:3])
        connection.execute("INSERT INTO member (group_id, user_id, role) VALUES (1, 1, 2), (1, 8, 1), (1, 9, 0)")
        connection.execute('UPDATE "group" SET hidden_at = now() WHERE id = 2')
    listed = run(url, servers, "group", "list", "--begins", "che").stdout.splitlines()
    assert listed == ["2\tof 2\t0 members\thidden\tchemistry", "1\tof 1\t0 members\t\tchess"]
    assert len(run(url, servers, "group", "list", "--hidden").stdout.splitlines()) == 1
    assert run(url, servers, "group", "list", "--owner", "3").stdout == "3\tof 3\t0 members\t\ttea%\n"
    shown = json.loads(run(url, servers, "group", "show", "1").stdout)
    assert (shown["name"], shown["staff"]) == ("chess", {"1": "owner", "8": "admin"})
    missing = run(url, servers, "group", "show", "7")
    assert (missing.exit_code, missing.stderr) == (2, "error: no such group: 7\n")
