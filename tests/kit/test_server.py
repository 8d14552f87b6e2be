"""The life of a service's process: `python -m services.user` as its operator runs it."""

import asyncio
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import msgspec
import psycopg
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from deploy.local.ports import find_free_port
from deploy.local.servers.postgres import Postgres
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub
from services.kit import background
from services.kit.process.server import LIVE, WHOLE, Health
from services.kit.rpc.channel import open_channel
from services.user.config import UserSettings
from services.user.servicers import PROTOS
from tests.kit.processes import running
from tests.support.servers import Servers
from tests.support.user import PASSWORD, new_phone, refusal

NOT_SERVING, SERVING = HealthCheckResponse.NOT_SERVING, HealthCheckResponse.SERVING


# -- what keeps it from starting ---------------------------------------------------------------------------------------


async def test_what_the_operator_has_to_set_right_is_named(own_settings: UserSettings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with (
        running(own_settings, JWT_SECRET=None) as missing,
        running(own_settings, JWT_SECRET="changeme" * 8) as guessable,
        running(own_settings, VAR=str(tmp_path / "file")) as folder,
    ):
        assert await missing.refuses() == "error: HITOK_JWT_SECRET is not set"
        assert (await guessable.refuses()).startswith("error: HITOK_JWT_SECRET can be guessed: make one with ")
        assert (await folder.refuses()).startswith("error: cannot write mails to ")


async def test_a_port_in_use_is_named(own_settings: UserSettings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        async with (
            running(msgspec.structs.replace(own_settings, grpc_port=port)) as one,
            running(msgspec.structs.replace(own_settings, metrics_port=port)) as other,
        ):
            assert (await one.refuses()).startswith(
                f"error: cannot listen on 127.0.0.1:{port}: [Errno 98] Address already"
            )
            assert await other.refuses() == f"error: port {port} for metrics: Address already in use"


async def test_a_schema_behind_or_ahead_is_told(own_settings: UserSettings, servers: Servers) -> None:
    empty, ahead = servers.create_database("empty"), servers.create_database("ahead")
    with psycopg.connect(ahead) as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT '9999' AS version_num")
    async with (
        running(msgspec.structs.replace(own_settings, postgres_url=empty)) as one,
        running(
            msgspec.structs.replace(
                own_settings, postgres_url=ahead, grpc_port=find_free_port(), metrics_port=find_free_port()
            )
        ) as other,
    ):
        assert (await one.refuses()).startswith("error: the schema is behind this code (empty, needs ")
        assert (await other.refuses()).startswith("error: the schema is ahead of this code (revision 9999)")


# -- how it starts and stops -------------------------------------------------------------------------------------------


async def test_it_waits_for_postgres_and_says_so(own_settings: UserSettings, mortal_postgres: Postgres) -> None:
    mortal_postgres.kill()
    settings = msgspec.structs.replace(own_settings, postgres_url=mortal_postgres.url, health_port=find_free_port())
    other_ports = {name: find_free_port() for name in ("grpc_port", "metrics_port", "health_port")}
    async with (
        running(settings) as process,
        running(msgspec.structs.replace(settings, **other_ports)) as given_up,
        open_channel(f"127.0.0.1:{settings.health_port}", settings, PROTOS) as kubelet,
    ):
        await process.prints("waiting for postgres")
        assert await process.health(kubelet) == NOT_SERVING
        assert await process.health(kubelet, LIVE) == SERVING, "starting it again would be of no use"
        await given_up.prints("waiting for postgres")
        given_up.send_signal(signal.SIGTERM)
        assert await given_up.exit_code() == 0, given_up.output
        mortal_postgres.start()
        await process.prints('"serving"')
        async with process.channel() as channel:
            assert await process.health(channel) == await process.health(kubelet) == SERVING
        assert own_settings.internal_secret not in process.output and "password" not in process.output


async def test_on_sigterm_it_turns_unready_serves_on_finishes_what_is_in_flight_and_leaves(
    own_settings: UserSettings,
) -> None:
    settings = msgspec.structs.replace(own_settings, drain_seconds=2.0, bcrypt_cost=14)  # about a second a hash
    async with running(settings) as process:
        await process.prints('"serving"')
        async with process.channel() as channel:
            assert await process.health(channel) == SERVING
            request = pb.RegisterByPhoneRequest(phone=new_phone(), password=PASSWORD)
            registering = AccountsStub(channel).RegisterByPhone(request, timeout=15)
            await asyncio.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            await process.prints('"stopping"')
            async with asyncio.timeout(1.9):
                while await process.health(channel) != NOT_SERVING:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            watch = HealthStub(channel).Watch(HealthCheckRequest(), timeout=5)
            watched = [(await watch.read()).status, (await watch.read()).status]
            assert watched == [SERVING, NOT_SERVING], "callers that know others have time to find those that began"
            login = pb.LoginByPhoneRequest(phone="none")
            assert await refusal(AccountsStub(channel).LoginByPhone(login)) == "PHONE_INVALID", "it still serves"
            assert (await registering).atoken
        assert await process.exit_code() == 0, process.output
        assert PASSWORD not in process.output and "Traceback" not in process.output


async def test_a_second_signal_ends_it_at_once(own_settings: UserSettings) -> None:
    async with running(msgspec.structs.replace(own_settings, drain_seconds=20)) as process:
        await process.prints('"serving"')
        process.send_signal(signal.SIGINT)
        await process.prints('"stopping"')
        process.send_signal(signal.SIGTERM)
        assert await process.exit_code() == 1


async def test_it_shows_metrics_and_by_setting_lists_its_rpcs(own_settings: UserSettings) -> None:
    settings = msgspec.structs.replace(own_settings, grpc_reflection=True)
    async with running(settings) as process:
        await process.prints('"serving"')
        async with process.channel() as channel:
            await refusal(AccountsStub(channel).LoginByPhone(pb.LoginByPhoneRequest(phone="none")))

            async def ask() -> AsyncIterator[ServerReflectionRequest]:
                yield ServerReflectionRequest(list_services="")

            async for answer in ServerReflectionStub(channel).ServerReflectionInfo(ask(), timeout=3):
                names = {service.name for service in answer.list_services_response.service}
        url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        metrics = (await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())).decode()
    assert names >= {"hitok.user.v1.Accounts", "hitok.user.v1.Sessions", "hitok.user.v1.Users"}
    line = 'hitok_rpc_served_seconds_count{method="/hitok.user.v1.Accounts/LoginByPhone",status="INVALID_ARGUMENT"} 1.0'
    assert line in metrics.splitlines()


async def test_a_background_task_that_cannot_work_leaves_the_process_ready() -> None:
    health = Health()
    await health.set_serving(True)
    try:
        for troubled, whole in ((False, SERVING), (True, NOT_SERVING), (False, SERVING)):
            background.set_trouble("test", troubled)
            assert await asked(health, "") == SERVING
            assert await asked(health, WHOLE) == whole
    finally:
        background.set_trouble("test", False)


async def asked(health: Health, service: str) -> Any:
    return (await health.Check(HealthCheckRequest(service=service), cast(Any, None))).status
