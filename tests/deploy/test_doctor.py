"""What the doctor finds. That it finds nothing wrong with a healthy hitok is in tests/e2e/test_readme.py."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.database_services import DATABASE_SERVICES
from deploy.deployment import Deployment, find_deployment, find_url
from deploy.doctor.__main__ import list_checks
from deploy.doctor.checks import Check, CheckContext, Concern, Fault, Finding, State, run_checks
from deploy.doctor.mail import check_mail
from deploy.doctor.processes import check_gateway, check_service
from deploy.doctor.servers import check_nats, check_postgres, check_store, check_valkey, describe_version
from deploy.doctor.settings import check_settings
from deploy.local.errors import LocalError
from deploy.local.ports import find_free_port
from deploy.local.services import SERVICES
from gateway.config import GatewaySettings
from gateway.http.forwarding import TELL
from services.kit import schema
from tests.support.buckets import CREDENTIALS, running_bucket
from tests.support.gateway import serving
from tests.support.processes import SECRETS
from tests.support.servers import Servers
from tests.user.test_mail import Mailbox, smtp_server

NAMES = [service.name for service in SERVICES]
NOWHERE = f"127.0.0.1:{find_free_port()}"
BASE = {
    **SECRETS,
    "HITOK_REDIS_URL": f"redis://{NOWHERE}/0",
    "HITOK_NATS_URL": f"nats://{NOWHERE}",
    **{f"HITOK_{name.upper()}_POSTGRES_URL": f"postgresql://a:secret@{NOWHERE}/{name}" for name in DATABASE_SERVICES},
}


def deploy(**settings: str) -> Deployment:
    return Deployment(dict.fromkeys(NAMES, BASE | settings), local=False)


async def settled(deployment: Deployment) -> CheckContext:
    context = CheckContext(deployment)
    await check_settings(context)
    return context


async def fault_of(check: Callable[[CheckContext], Awaitable[str]], **settings: str) -> str:
    """That it finds one; in words of one line, without a password."""
    context = await settled(deploy(**settings))
    with pytest.raises(Fault) as caught:
        await check(context)
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    return text


async def findings_of(*checks: Check) -> list[Finding]:
    return [finding async for finding in run_checks(CheckContext(deploy()), checks)]


async def good(_: CheckContext) -> str:
    return "fine"


async def faulty(_: CheckContext) -> str:
    raise Fault("broken")


async def concerned(_: CheckContext) -> str:
    raise Concern("odd")


async def hanging(_: CheckContext) -> str:
    await asyncio.sleep(60)
    return "late"


async def test_what_needs_something_broken_is_skipped() -> None:
    found = await findings_of(
        Check("a", faulty, 1), Check("b", good, 1, ["a"]), Check("c", good, 1, ["b"]), Check("d", good, 1)
    )
    assert [(finding.name, finding.state) for finding in found] == [
        ("a", State.FAULT),
        ("b", State.SKIPPED),
        ("c", State.SKIPPED),
        ("d", State.GOOD),
    ]


async def test_a_concern_stops_nothing_and_a_check_that_hangs_ends_at_its_deadline() -> None:
    found = await findings_of(Check("a", concerned, 1), Check("b", hanging, 0.05, ["a"]))
    assert [finding.state for finding in found] == [State.CONCERN, State.FAULT]
    assert found[1].text == "no answer in 0 s"


async def test_a_check_that_breaks_hides_no_other() -> None:
    async def breaking(_: CheckContext) -> str:
        raise ValueError("postgresql://user:secret@host")

    found = await findings_of(Check("a", breaking, 1), Check("b", good, 1))
    assert [finding.state for finding in found] == [State.FAULT, State.GOOD]
    assert "ValueError" in found[0].text and "secret" not in found[0].text


def test_every_check_has_a_deadline_and_needs_what_is_checked_before() -> None:
    seen: set[str] = set()
    for check in list_checks("http://x"):
        assert 0 < check.seconds <= 90
        assert set(check.needs) <= seen
        assert check.name not in seen
        seen.add(check.name)


async def test_settings_that_are_missing_are_all_named() -> None:
    environ = {name: value for name, value in BASE.items() if name != "HITOK_JWT_SECRET"}
    with pytest.raises(Fault) as caught:
        await settled(Deployment(dict.fromkeys(NAMES, environ), local=False))
    assert str(caught.value) == "; ".join(
        f"{name}: HITOK_JWT_SECRET is not set" for name in ("user", "chat", "gateway")
    )


async def test_settings_that_do_not_fit_together_are_named() -> None:
    with pytest.raises(Fault, match=r"^HITOK_JWT_SECRET has to be the same for user, chat, gateway$"):
        await settled(deploy(HITOK_CHAT_JWT_SECRET="another secret of the test suite"))
    with pytest.raises(Fault, match=r"^HITOK_USER_POSTGRES_URL is another service's, too.*; HITOK_CHAT_POSTGRES_URL"):
        await settled(deploy(HITOK_CHAT_POSTGRES_URL=BASE["HITOK_USER_POSTGRES_URL"]))


async def test_servers_that_are_away_are_named_with_their_settings() -> None:
    assert "Is it up, and HITOK_MEDIA_POSTGRES_URL right?" in await fault_of(check_postgres("media"))
    assert "Is it up, and HITOK_REDIS_URL right?" in await fault_of(check_valkey)
    assert "Is it up, and HITOK_NATS_URL right?" in await fault_of(check_nats)


async def test_a_proxy_that_is_not_trusted_is_a_concern() -> None:
    public = deploy(HITOK_PUBLIC_URL="https://api.example.com")
    context = CheckContext(public)
    with pytest.raises(Concern, match="HITOK_TRUSTED_PROXIES is empty"):
        await check_settings(context)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.encode(), value.encode()) for name, value in TELL.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    async with serving(answer, GatewaySettings(internal_secret="", nats_url="", redis_url="", jwt_secret="")) as url:
        with pytest.raises(Concern, match="does not name the proxy in front"):
            await check_gateway(url)(context)


async def test_processes_that_are_away_are_named() -> None:
    assert "HITOK_CHAT_TARGET" in await fault_of(check_service("chat"), HITOK_CHAT_TARGET=NOWHERE)
    assert "Is it running?" in await fault_of(check_gateway(f"http://{NOWHERE}"))


async def test_schemas_and_events_are_looked_at(servers: Servers) -> None:
    url = servers.create_database("doctor")
    check, given = check_postgres("user"), {"HITOK_USER_POSTGRES_URL": url}
    assert (await fault_of(check, **given)).startswith("the schema is behind this code (empty, needs ")

    schema.upgrade(url, DATABASE_SERVICES["user"].migrations)
    assert (await check(await settled(deploy(**given)))).endswith("schema current")

    with psycopg.connect(url, autocommit=True) as database:
        database.execute(
            "INSERT INTO dead_letter (consumer, event, subject, data, error) VALUES ('c', 'e', 's', '', '')"
        )
        with pytest.raises(Concern, match=r"^1 events failed for good"):
            await check(await settled(deploy(**given)))
        stuck = (
            "INSERT INTO outbox (subject, aggregate, data, occurred_at) VALUES ('s', 'a', '{}', now() - interval '1 h')"
        )
        database.execute(stuck)
        assert (await fault_of(check, **given)).startswith("events have waited for 36")
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.execute("COMMENT ON TABLE alembic_version IS NULL")  # no next release that keeps this one working
    assert (await fault_of(check, **given)).startswith("the schema is ahead of this code (revision 9999)")


async def test_valkey_and_nats_are_used(servers: Servers) -> None:
    given = {"HITOK_REDIS_URL": servers.redis_url, "HITOK_NATS_URL": servers.nats_url}
    assert re.fullmatch(r"Valkey \d+\.\d+\.\d+", await check_valkey(await settled(deploy(**given))))
    # Whether other tests of this session have made it already is not ours to know.
    try:
        assert "JetStream with" in await check_nats(await settled(deploy(**given)))
    except Fault as fault:
        assert str(fault).startswith("there is no stream EVENTS")


def test_the_version_of_valkey_is_not_that_of_the_redis_it_is_compatible_with() -> None:
    assert describe_version({"redis_version": "7.2.4", "valkey_version": "9.1.1"}) == "Valkey 9.1.1"
    assert describe_version({"redis_version": "8.2.1"}) == "Redis 8.2.1"


async def test_a_misspelt_setting_is_a_concern() -> None:
    with pytest.raises(Concern) as caught:
        await settled(deploy(HITOK_TRUSTED_PROXY="10.0.0.0/8"))
    assert str(caught.value) == "no process reads HITOK_TRUSTED_PROXY. Is HITOK_TRUSTED_PROXIES meant?"


async def test_a_store_is_left_as_it_was(tmp_path: Path) -> None:
    given = {"HITOK_MEDIA_URL": (tmp_path / "store").as_uri()}
    await check_store(await settled(deploy(**given)))
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


async def test_a_wrong_bucket_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running_bucket(tmp_path) as url:
        await check_store(await settled(deploy(HITOK_MEDIA_URL=url)))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        assert (await fault_of(check_store, HITOK_MEDIA_URL=url)).startswith("s3://bucket/some/prefix: ")


async def test_mail_that_cannot_leave_is_told(tmp_path: Path) -> None:
    assert "Nobody can register by email" in await fault_of(check_mail, HITOK_SMTP_URL=f"smtp://x:secret@{NOWHERE}")
    async with smtp_server(Mailbox()) as url:
        assert "accepts" in await check_mail(await settled(deploy(HITOK_SMTP_URL=url, HITOK_MAIL_FROM="a@example.com")))
        context = await settled(deploy(HITOK_SMTP_URL=url))
        with pytest.raises(Concern, match="set HITOK_MAIL_FROM"):
            await check_mail(context)
    context = await settled(deploy(HITOK_VAR=str(tmp_path)))
    assert "mails are files" in await check_mail(context)
    assert list((tmp_path / "mail").iterdir()) == []
    (tmp_path / "mail").rmdir()
    (tmp_path / "mail").touch()
    (found,) = [finding async for finding in run_checks(context, [Check("mail", check_mail, 5)])]
    assert (found.state, str(tmp_path / "mail") in found.text) == (State.FAULT, True)


def test_the_deployment_is_found(tmp_path: Path) -> None:
    given = find_deployment({"HITOK_INTERNAL_SECRET": "x", "HITOK_HTTP_PORTS": "99,98"})
    assert (given.local, find_url(given)) == (False, "http://127.0.0.1:99")
    var = {"HITOK_VAR": str(tmp_path)}
    with pytest.raises(LocalError, match="Start `make run` once, or set HITOK_"):
        find_deployment(var)
    (tmp_path / "settings").mkdir()
    for name in NAMES:
        (tmp_path / "settings" / f"{name}.json").write_text(json.dumps({"HITOK_VAR": name}))
    found = find_deployment(var)
    assert found.local
    assert found.environs["chat"] == {"HITOK_VAR": "chat"}


def test_it_says_what_is_wrong_and_ends_with_1(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HITOK_")}
    given = environ | BASE | {"HITOK_VAR": str(tmp_path), "HITOK_HTTP_PORTS": NOWHERE.partition(":")[2]}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.doctor"], env=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{sum(line.startswith('FAULT') for line in lines)} of 19 checks found a fault"
    assert [line.split()[0] for line in lines if "a video" in line or "a message" in line] == ["skipped", "skipped"]
    assert "secret" not in done.stdout + done.stderr
