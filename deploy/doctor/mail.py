"""Checks that mails can be sent: logs in to the mail server, or writes to the mail folder. Sends no mail."""

import asyncio
import secrets
import ssl
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from deploy.doctor.checks import CheckContext, Concern, Fault
from services.user.config import UserSettings
from services.user.proofs.mail import Mailer

SECONDS = 10


async def check_mail(context: CheckContext) -> str:
    settings = context.settings["user"]
    assert isinstance(settings, UserSettings)
    Mailer(settings)  # raises ConfigError
    if not settings.smtp_url:
        return await asyncio.to_thread(_try_folder, Path(settings.var, "mail"))
    url = urlsplit(settings.smtp_url)
    implicit_tls = url.scheme == "smtps"
    server = aiosmtplib.SMTP(
        hostname=url.hostname,
        port=url.port or (465 if implicit_tls else 25),
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=implicit_tls,
        tls_context=ssl.create_default_context(),
        timeout=SECONDS,
    )
    try:
        async with server:
            await server.noop()
    except (OSError, aiosmtplib.SMTPException) as error:
        raise Fault(
            f"{url.hostname}: {str(error).splitlines()[0]}. Nobody can register by email; see HITOK_SMTP_URL"
        ) from None
    if parseaddr(settings.mail_from)[1].endswith("@localhost"):
        raise Concern(f"{url.hostname} accepts mails, but their sender is {settings.mail_from}: set HITOK_MAIL_FROM")
    return f"{url.hostname} accepts mails"


def _try_folder(folder: Path) -> str:
    trial = folder / f"doctor-{secrets.token_hex(4)}"
    try:
        trial.write_bytes(b"x")
        trial.unlink()
    except OSError as error:
        raise Fault(f"cannot write to {folder}: {error.strerror}. Make it writable, or set HITOK_SMTP_URL") from None
    return f"no HITOK_SMTP_URL: mails are files in {folder}"
