"""TLS between processes, with freshly made certificates; and how a kubelet and an image check health."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio
import msgspec
import pytest
import trustme
from prometheus_client import REGISTRY

from deploy.local.ports import find_free_port
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub
from services.kit import telemetry
from services.kit.config import ConfigError
from services.kit.rpc import tls
from services.kit.rpc.channel import open_channel
from services.user.config import UserSettings
from services.user.servicers import PROTOS
from tests.kit.processes import Process, running
from tests.support.user import environment


def certify(folder: Path, authority: trustme.CA) -> tls.Files:
    """The three files of a process, as an operator makes them."""
    files = tls.Files(*(str(folder / f"{name}.pem") for name in tls.Files._fields))
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(files.ca)
    certificate.cert_chain_pems[0].write_to_path(files.cert)
    certificate.private_key_pem.write_to_path(files.key)
    return files


@pytest.fixture
def files(tmp_path: Path) -> tls.Files:
    return certify(tmp_path, trustme.CA())


@pytest.fixture
def strange(tmp_path: Path) -> tls.Files:
    """Valid certificates, signed by another authority."""
    (folder := tmp_path / "strange").mkdir()
    return certify(folder, trustme.CA())


def over_tls(settings: UserSettings, files: tls.Files) -> UserSettings:
    return msgspec.structs.replace(settings, tls_ca=files.ca, tls_cert=files.cert, tls_key=files.key)


async def answer_to(channel: grpc.aio.Channel) -> grpc.StatusCode:
    """OK for any answer of the service itself."""
    async with channel:
        try:
            await AccountsStub(channel).LoginByPhone(pb.LoginByPhoneRequest(phone="none"), timeout=2)
        except grpc.aio.AioRpcError as error:
            return grpc.StatusCode.OK if error.code() is grpc.StatusCode.INVALID_ARGUMENT else error.code()
    return grpc.StatusCode.OK


def channel_of(settings: UserSettings) -> grpc.aio.Channel:
    return open_channel(f"127.0.0.1:{settings.grpc_port}", settings, PROTOS)


def nameless_channel(settings: UserSettings) -> grpc.aio.Channel:
    """Trusts our authority, but shows no certificate."""
    credentials = grpc.ssl_channel_credentials(Path(settings.tls_ca).read_bytes())
    return grpc.aio.secure_channel(f"127.0.0.1:{settings.grpc_port}", credentials)


async def asks_itself(process: Process, settings: UserSettings) -> int:
    """The exit code of the image's health check."""
    command = [sys.executable, "-m", "services.probe", "grpc", "user"]
    asked = await asyncio.to_thread(subprocess.run, command, env=environment(settings), stderr=subprocess.PIPE)
    assert b"Traceback" not in asked.stderr, process.output
    return asked.returncode


async def test_only_who_has_a_certificate_of_our_authority_is_served(
    own_settings: UserSettings, files: tls.Files, strange: tls.Files
) -> None:
    ours = msgspec.structs.replace(over_tls(own_settings, files), health_port=find_free_port())
    theirs = over_tls(own_settings, strange)
    nameless = nameless_channel(ours)
    mixed = over_tls(own_settings, tls.Files(files.ca, strange.cert, strange.key))
    async with running(ours) as process:
        await process.prints('"serving"')
        assert await answer_to(channel_of(ours)) is grpc.StatusCode.OK
        refused = await asyncio.gather(*map(answer_to, (*map(channel_of, (theirs, mixed, own_settings)), nameless)))
        assert set(refused) == {grpc.StatusCode.UNAVAILABLE}
        asked = await asyncio.gather(*(asks_itself(process, settings) for settings in (ours, theirs, own_settings)))
        assert asked == [0, 1, 1]
        # A kubelet has no certificate: it is told of our health, and served nothing else.
        plain = f"127.0.0.1:{ours.health_port}"
        async with open_channel(plain, own_settings, PROTOS) as channel:
            assert await process.health(channel) == 1
        assert await answer_to(open_channel(plain, own_settings, PROTOS)) is grpc.StatusCode.UNIMPLEMENTED


def test_a_process_says_when_its_certificate_ends(settings: UserSettings, tmp_path: Path) -> None:
    ends = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    authority = trustme.CA()
    files = certify(tmp_path, authority)
    authority.issue_cert("127.0.0.1", not_after=ends).cert_chain_pems[0].write_to_path(files.cert)
    telemetry.start(over_tls(settings, files), "certified", None)
    assert REGISTRY.get_sample_value("hitok_certificate_expires_timestamp_seconds") == ends.timestamp()
    Path(files.cert).write_text("no certificate")
    telemetry.start(over_tls(settings, files), "certified", None)  # `tls` says what is wrong with it


async def test_without_tls_an_image_asks_itself_in_plain(own_settings: UserSettings) -> None:
    async with running(own_settings) as process:
        assert await asks_itself(process, own_settings) == 1
        await process.prints('"serving"')
        assert await asks_itself(process, own_settings) == 0


def test_what_cannot_work_is_named(files: tls.Files, strange: tls.Files, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    empty, gone = str(tmp_path / "empty"), str(tmp_path / "gone")
    refusals = {
        tls.Files(files.ca, "", ""): "HITOK_TLS_CERT is not set: ",
        tls.Files("", files.cert, files.key): "HITOK_TLS_CA is not set: ",
        files._replace(key=gone): f"HITOK_TLS_KEY: {gone}: No such file",
        files._replace(ca=empty): f"HITOK_TLS_CA: {empty}: ",
        files._replace(cert=empty): "HITOK_TLS_CERT and HITOK_TLS_KEY: ",
        files._replace(key=strange.key): "HITOK_TLS_CERT and HITOK_TLS_KEY: KEY_VALUES_MISMATCH",
    }
    for bad, reason in refusals.items():
        for credentials in (tls.server_credentials, tls.channel_credentials):
            with pytest.raises(ConfigError) as refused:
                credentials(bad)
            assert str(refused.value).startswith(reason) and "\n" not in str(refused.value)
    assert tls.server_credentials(tls.Files("", "", "")) is None


async def test_a_broken_certificate_keeps_it_from_starting(own_settings: UserSettings, files: tls.Files) -> None:
    async with running(over_tls(own_settings, files._replace(cert=files.ca))) as process:
        assert (await process.refuses()).startswith("error: HITOK_TLS_CERT and HITOK_TLS_KEY: ")
