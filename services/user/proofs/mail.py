"""Sends mail by SMTP, or writes it to files on a machine without a mail server."""

import asyncio
import secrets
import ssl
import time
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib
import idna
import structlog
from prometheus_client import Counter

from services.kit.config import ConfigError
from services.user.config import UserSettings
from services.user.errors import MailFailed

TIMEOUT = 5.0  # seconds for the whole exchange, until the server has taken the mail
QUIT_SECONDS = 1.0  # to part from it

MAILS = Counter("hitok_mails", "Mails given to the mail server", ["outcome"])
SENT, NOT_SENT = MAILS.labels("sent"), MAILS.labels("failed")
log = structlog.get_logger("mail")


class Mailer:
    def __init__(self, settings: UserSettings) -> None:
        self._from, self._folder = settings.mail_from, Path(settings.var) / "mail"
        self._url = urlsplit(settings.smtp_url)
        if self._url.scheme not in ("", "smtp", "smtps") or (self._url.scheme and not self._url.hostname):
            raise ConfigError("HITOK_SMTP_URL must look like smtp://user:password@host:587")
        if not self._url.scheme:
            _make_folder(self._folder)

    async def send_code(self, email: str, code: str, minutes: int) -> None:
        """Raises MailFailed."""
        await self._deliver(
            email,
            f"hitok 验证码 / your code: {code}",
            f"您的验证码是 {code}，{minutes} 分钟内有效。如非本人操作，请忽略此邮件。\n\n"
            f"Your code is {code}. It is good for {minutes} minutes.\nIf you did not ask for it, ignore this mail.\n",
        )

    async def tell_email_changed(self, email: str, key: str, hours: int) -> None:
        """To the address that was replaced. Raises MailFailed."""
        await self._deliver(
            email,
            "hitok 邮箱已更换 / your email was changed",
            f"您账号的邮箱已更换为其他地址。如非本人操作，请在 {hours} 小时内用以下密钥撤销更换：\n{key}\n"
            "（POST /api/login/undo-email-change）撤销后所有登录失效，请重置密码。\n\n"
            f"The email of your account was replaced by another. If that was not you, undo it within {hours} hours "
            f"with this key:\n{key}\n(POST /api/login/undo-email-change). "
            "Undoing it ends all sessions and voids the password; set a new one with a mailed code.\n",
        )

    async def send_export_link(self, email: str, link: str, hours: int) -> None:
        """Raises MailFailed."""
        await self._deliver(
            email,
            "hitok 数据导出 / your data",
            f"您的数据已可下载，链接 {hours} 小时内有效：\n{link}\n如非本人操作，请更改密码。\n\n"
            f"Your data can be downloaded. The link is good for {hours} hours:\n{link}\n"
            "Do not pass it on. If you did not ask for it, change your password.\n",
        )

    async def _deliver(self, email: str, subject: str, text: str) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Date"] = self._from, ascii_email(email), formatdate()
        message["Message-ID"] = make_msgid(domain="hitok.invalid")
        message["Subject"] = subject
        message.set_content(text, cte="quoted-printable")  # so that the files can be read as they are
        try:
            await (self._send(message) if self._url.scheme else asyncio.to_thread(self._write, message))
        except (OSError, aiosmtplib.SMTPException, TimeoutError) as error:
            NOT_SENT.inc()
            log.warning("mail failed", error=repr(error))
            raise MailFailed from None
        SENT.inc()

    async def _send(self, message: EmailMessage) -> None:
        implicit_tls = self._url.scheme == "smtps"
        client = aiosmtplib.SMTP(
            hostname=self._url.hostname,
            port=self._url.port or (465 if implicit_tls else 25),
            username=unquote(self._url.username) if self._url.username else None,
            password=unquote(self._url.password) if self._url.password else None,
            use_tls=implicit_tls,
            tls_context=ssl.create_default_context(),
            timeout=TIMEOUT,  # of each step
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                await client.connect()
                await client.send_message(message)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=QUIT_SECONDS)
        finally:
            client.close()

    def _write(self, message: EmailMessage) -> None:
        path = self._folder / f"{time.time_ns()}-{secrets.token_hex(4)}.eml"
        draft = path.with_suffix(".tmp")
        draft.write_bytes(bytes(message))
        draft.replace(path)  # so that a reader of the folder never sees half a mail
        log.info("mail written", path=str(path))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"cannot write mails to {folder}: {error.strerror}; set HITOK_SMTP_URL or HITOK_VAR"
        ) from None


def ascii_email(address: str) -> str:
    """A parsed address with its domain in the form that relays without SMTPUTF8 take."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{idna.encode(domain, uts46=True).decode()}"
