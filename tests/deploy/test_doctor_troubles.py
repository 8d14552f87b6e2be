"""Each trouble is named by the doctor with its cause and what to do. More of them are in test_doctor.py."""

import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from deploy.database_services import DATABASE_SERVICES
from deploy.deployment import Deployment
from deploy.doctor import processes
from deploy.doctor.checks import CheckContext, Concern, Fault
from deploy.doctor.journey import require_our_token
from deploy.doctor.machine import check_disk, clock_concern
from deploy.doctor.processes import check_gateway, check_service
from deploy.doctor.pushes import check_pushes
from deploy.doctor.servers import check_backup, check_nats, check_store
from deploy.frontend import FrontEnd, open_http
from gateway.config import GatewaySettings
from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import ExportServicer, add_ExportServicer_to_server
from services.kit import schema, tokens
from services.kit.config import ConfigError
from services.media.config import MediaSettings
from tests.deploy.test_doctor import BASE, NAMES, deploy, settled
from tests.support.gateway import serving as serving_http
from tests.support.processes import service_settings, serving
from tests.support.servers import Servers, private_nats

OLD = "INSERT INTO backup (id, began_at) VALUES (1, now() - interval '30 hours')"
FREE = {"tight": (1_000 << 20, 950 << 20, 50 << 20), "roomy": (1_000 << 20, 500 << 20, 500 << 20)}


class Export(ExportServicer):
    async def ExportRows(self, request: object, context: object) -> export_pb2.ExportRowsResponse:
        return export_pb2.ExportRowsResponse()


async def test_a_process_with_another_internal_secret(servers: Servers, tmp_path: Path) -> None:
    given = service_settings(MediaSettings, "media", "postgresql://a:b@127.0.0.1/a", servers, tmp_path)
    protos = [export_pb2.DESCRIPTOR]
    async with serving(given, protos, lambda server: add_ExportServicer_to_server(Export(), server)) as (at, _):
        assert await check_service("media")(await settled(deploy(HITOK_MEDIA_TARGET=at))) == f"ready at {at}"
        other = deploy(HITOK_MEDIA_TARGET=at, HITOK_INTERNAL_SECRET=secrets.token_hex(32))
        with pytest.raises(Fault, match=r"runs with another HITOK_INTERNAL_SECRET.*Give all processes the same"):
            await check_service("media")(await settled(other))


async def test_processes_with_another_jwt_secret() -> None:
    claims: Any = {"user_id": 1, "username": "a", "role": 1, "session_id": 1, "token_class": "atoken", "lifetime": 60}
    context = await settled(deploy())
    async with open_http("http://127.0.0.1:9") as http:
        require_our_token(context, FrontEnd(http, tokens.issue(BASE["HITOK_JWT_SECRET"], **claims)[0]))
        with pytest.raises(Fault, match=r"another HITOK_JWT_SECRET.*restart them"):
            require_our_token(context, FrontEnd(http, tokens.issue(secrets.token_hex(32), **claims)[0]))


async def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = await settled(deploy(HITOK_VAR=str(tmp_path)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FREE["roomy"])
    assert await check_disk(context) == f"room in {tmp_path}"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FREE["tight"])
    with pytest.raises(Concern, match=f"only 50 MB of the disk of {tmp_path} are free.*Make room"):
        await check_disk(context)
    elsewhere = await settled(deploy(HITOK_VAR=str(tmp_path / "elsewhere")))
    assert await check_disk(elsewhere) == f"{tmp_path}/elsewhere is not on this machine"


@pytest.mark.parametrize(("ahead", "said"), [(-3.0, ""), (3.0, ""), (61.0, "61 s ahead of"), (-61.0, "61 s behind")])
def test_a_clock_that_is_wrong(ahead: float, said: str) -> None:
    assert said in clock_concern("PostgreSQL", ahead)
    assert bool(clock_concern("PostgreSQL", ahead)) == bool(said)


async def test_a_gateway_whose_clock_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    settings = GatewaySettings(internal_secret="", nats_url="", redis_url="", jwt_secret="")
    async with serving_http(answer, settings) as url:
        assert await check_gateway(url)(CheckContext(deploy())) == f"ready at {url}"
        monkeypatch.setattr(processes, "time", SimpleNamespace(time=lambda: time.time() + 600))
        with pytest.raises(Concern, match=r"s behind this machine's\. Have NTP set both"):
            await check_gateway(url)(CheckContext(deploy()))


async def test_a_backup_that_is_old_or_was_never_made(servers: Servers) -> None:
    url = servers.create_database("doctor_media")
    schema.upgrade(url, DATABASE_SERVICES["media"].migrations)
    environ: Mapping[str, str] = BASE | {"HITOK_MEDIA_POSTGRES_URL": url}
    far, here = [await settled(Deployment(dict.fromkeys(NAMES, environ), local=local)) for local in (False, True)]
    with pytest.raises(Concern, match=r"none was ever made. Have `python -m deploy.backup create` run each night"):
        await check_backup(far)
    assert await check_backup(here) == "none yet; `make backup` makes one"
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(OLD)
        with pytest.raises(Concern, match="the last one is 30 h old"):
            await check_backup(far)
        database.execute("UPDATE backup SET began_at = now() - interval '2 hours'")
    assert await check_backup(far) == "the last one is 2 h old"


PUSHED = """INSERT INTO away_push (device_id, user_id, topic, due_at, attempts)
 VALUES (1, 1, %s, now() - make_interval(secs => %s), %s)"""
OUTCOMES = 'hitok_chat_away_pushes_total{kind="webpush",outcome="%s"} %s\n'


async def test_pushes(servers: Servers) -> None:
    """Without keys, with a wrong one, with one, with failures, with some that are late."""
    url, sent = servers.create_database("doctor_chat"), {"sent": 20, "failed": 2}
    schema.upgrade(url, DATABASE_SERVICES["chat"].migrations)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        lines = "# TYPE hitok_chat_away_pushes_total counter\n" + "".join(OUTCOMES % pair for pair in sent.items())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": lines.encode()})

    settings = GatewaySettings(internal_secret="", nats_url="", redis_url="", jwt_secret="")
    async with serving_http(answer, settings) as at:
        given = {"HITOK_CHAT_POSTGRES_URL": url, "HITOK_CHAT_METRICS_PORT": at.rpartition(":")[2]}
        assert "no HITOK_PUSH_ key is set" in await check_pushes(await settled(deploy(**given)))
        with pytest.raises(ConfigError, match="HITOK_PUSH_VAPID_KEY is no key"):
            await check_pushes(await settled(deploy(HITOK_PUSH_VAPID_KEY="x", **given)))
        context = await settled(deploy(HITOK_PUSH_VAPID_KEY="11" * 32, **given))
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(PUSHED, ["c1", -60, 1])
            said = "20 sent, 2 failed since the chat service started, 1 are being tried again"
            assert await check_pushes(context) == f"unifiedpush, webpush: keys are good; {said}"
            sent["failed"] = 12
            with pytest.raises(Concern, match=r"20 sent, 12 failed.*log says `push not sent`"):
                await check_pushes(context)
            database.execute(PUSHED, ["c2", 180, 0])
        with pytest.raises(Fault, match="1 pushes have been due for more than 2 minutes"):
            await check_pushes(context)


async def test_a_stream_that_is_missing(tmp_path: Path) -> None:
    with private_nats(tmp_path) as server:
        context = await settled(deploy(HITOK_NATS_URL=server.url))
        with pytest.raises(Fault, match="there is no stream EVENTS: the services make it when they start"):
            await check_nats(context)


async def test_a_store_that_cannot_be_written() -> None:
    context = await settled(deploy(HITOK_MEDIA_URL="file:///proc/nowhere"))
    with pytest.raises(Exception, match="HITOK_MEDIA_URL"):
        await check_store(context)
