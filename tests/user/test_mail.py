"""Mail by SMTP, to a real server in this process."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from protos.user.v1 import accounts_pb2 as pb
from services.kit.config import ConfigError
from services.user.errors import MailFailed
from services.user.proofs import mail
from services.user.proofs.mail import Mailer
from tests.support.proxy import proxy_to
from tests.support.user import Running, new_name, refusal, running_user_service


class Mailbox:
    """Takes every mail, or answers with `refuse`."""

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.mails: list[tuple[list[str], str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return self.refuse
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@asynccontextmanager
async def smtp_server(mailbox: Mailbox, port: int = 0) -> AsyncIterator[str]:
    """Its URL; on any free port if `port` is 0."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", port)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def mailing(user: Running, url: str) -> AsyncIterator[Running]:
    """Acts as a second process of the service, which mails by SMTP."""
    async with running_user_service(msgspec.structs.replace(user.settings, smtp_url=url)) as running:
        yield running


async def code_is_kept(user: Running, address: str) -> bool:
    async with Redis.from_url(user.settings.redis_url) as redis:
        return bool(await redis.exists(user.service.codes._key(address)))


async def test_a_code_comes_by_smtp(user: Running) -> None:
    mailbox, address = Mailbox(), f"{new_name()}@example.com"
    async with smtp_server(mailbox) as url, mailing(user, url) as running:
        await running.accounts.SendCode(pb.SendCodeRequest(email=address))
    assert [recipients for recipients, _ in mailbox.mails] == [[address]]
    assert "验证码" not in mailbox.mails[0][1].partition("\n\n")[0], "headers are encoded"
    assert await code_is_kept(user, address)


@pytest.mark.parametrize("answer", ["550 no such mailbox", "451 try later", "552 full"])
async def test_a_refused_mail_is_told_and_its_code_forgotten(user: Running, answer: str) -> None:
    address = f"{new_name()}@example.com"
    async with smtp_server(Mailbox(refuse=answer)) as url, mailing(user, url) as running:
        failed = REGISTRY.get_sample_value("hitok_mails_total", {"outcome": "failed"}) or 0
        assert await refusal(running.accounts.SendCode(pb.SendCodeRequest(email=address))) == "MAIL_FAILED"
        assert REGISTRY.get_sample_value("hitok_mails_total", {"outcome": "failed"}) == failed + 1
    assert not await code_is_kept(user, address)


async def test_a_mail_server_that_is_away_is_told(user: Running) -> None:
    address = f"{new_name()}@example.com"
    async with smtp_server(Mailbox()) as url:
        pass
    async with mailing(user, url) as running:
        assert await refusal(running.accounts.SendCode(pb.SendCodeRequest(email=address))) == "MAIL_FAILED"
    assert not await code_is_kept(user, address)


async def test_mail_goes_out_again_as_soon_as_its_server_is_back(
    user: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was away, then it took connections and said nothing."""
    monkeypatch.setattr(mail, "TIMEOUT", 0.5)
    mailbox = Mailbox()
    async with smtp_server(mailbox) as url, proxy_to(int(url.rpartition(":")[2]), random.Random(1)) as proxy:
        async with mailing(user, f"smtp://127.0.0.1:{proxy.port}") as running:

            async def ask() -> str:
                request = pb.SendCodeRequest(email=f"{new_name()}@example.com")
                return await refusal(running.accounts.SendCode(request))

            proxy.away = True
            assert await ask() == "MAIL_FAILED"
            proxy.away, proxy.swallowing = False, True
            assert await ask() == "MAIL_FAILED"
            assert await refusal(running.accounts.LoginByPhone(pb.LoginByPhoneRequest(phone="none"))) == "PHONE_INVALID"
            proxy.swallowing = False
            assert await ask() == ""
    assert len(mailbox.mails) == 1


async def test_a_slow_mail_server_has_one_time_for_all_its_answers(
    user: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.8)

    async def answer_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = b"."
        while line and not line.upper().startswith(b"QUIT"):
            await asyncio.sleep(0.3)
            writer.write(
                b"354 go on\r\n" if line.startswith(b"DATA") else b"250 yes\r\n" if line != b"." else b"220 hi\r\n"
            )
            line = await (reader.readuntil(b"\r\n.\r\n") if line.startswith(b"DATA") else reader.readline())
        writer.close()

    async with await asyncio.start_server(answer_slowly, "127.0.0.1", 0) as server:
        url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        mailer = Mailer(msgspec.structs.replace(user.settings, smtp_url=url))
        with pytest.raises(MailFailed):
            await mailer.send_code("ann@example.com", "123456", 5)


async def test_a_code_that_failed_to_go_out_does_not_take_its_successor_along(user: Running) -> None:
    address = f"{new_name()}@example.com"
    lost = await user.service.codes.create(address)
    new = await user.service.codes.create(address)
    await user.service.codes.discard(address, lost)
    await user.service.codes.redeem(address, new)


@pytest.mark.parametrize("url", ["http://localhost", "smtp://", "localhost:25"])
def test_an_address_that_is_no_mail_server_is_a_config_error(user: Running, url: str) -> None:
    with pytest.raises(ConfigError, match="HITOK_SMTP_URL"):
        Mailer(msgspec.structs.replace(user.settings, smtp_url=url))


def test_a_folder_that_cannot_be_written_is_a_config_error(user: Running, tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    with pytest.raises(ConfigError, match="cannot write mails to"):
        Mailer(msgspec.structs.replace(user.settings, var=str(tmp_path / "var")))


@pytest.mark.parametrize("host", ["bücher.example", "xn--bcher-kva.example", "例え.jp"])
async def test_mail_reaches_international_domains_through_an_old_relay(user: Running, host: str) -> None:
    mailbox, name = Mailbox(), new_name()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, enable_SMTPUTF8=False, loop=loop), "127.0.0.1", 0)
    async with server, mailing(user, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as running:
        await running.accounts.SendCode(pb.SendCodeRequest(email=f"{name}@{host}"))
    (recipients, text), ascii_host = mailbox.mails[0], host.encode("idna").decode()
    assert recipients == [f"{name}@{ascii_host}"] and f"To: {name}@{ascii_host}" in text
