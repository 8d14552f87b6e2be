"""Sends codes to phones through a webhook, or writes them to files."""

import asyncio
import json
import secrets
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import structlog
from prometheus_client import Counter

from services.kit.config import ConfigError
from services.user.config import UserSettings
from services.user.errors import SmsFailed

TIMEOUT = 5.0  # seconds
TO_FILES = "file"

SMS = Counter("hitok_sms", "Codes given to the webhook for phones", ["outcome"])
SENT, NOT_SENT = SMS.labels("sent"), SMS.labels("failed")
log = structlog.get_logger("sms")


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is no 2xx answer: followed, it would turn the POST into a GET, whose answer says nothing."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_opener = build_opener(_NoRedirects)


class SmsSender:
    """`is_on` is False where `HITOK_SMS_URL` is empty: phones are then taken as they are given."""

    def __init__(self, settings: UserSettings) -> None:
        self._url, self._folder = settings.sms_url, Path(settings.var) / "sms"
        self.is_on = bool(self._url)
        if self._url not in ("", TO_FILES) and urlsplit(self._url).scheme not in ("http", "https"):
            raise ConfigError("HITOK_SMS_URL must be an http(s) address, or `file`")

    async def send_code(self, phone: str, code: str, minutes: int) -> None:
        """POSTs `{"phone": <E.164>, "code", "text"}`; any 2xx answer means sent. Raises SmsFailed."""
        text = f"hitok 验证码 {code}，{minutes} 分钟内有效。 Your code is {code}, good for {minutes} minutes."
        body = json.dumps({"phone": phone, "code": code, "text": text}, ensure_ascii=False).encode()
        send = self._write if self._url == TO_FILES else self._post
        try:
            await asyncio.wait_for(asyncio.to_thread(send, body), TIMEOUT + 1)
        except (OSError, TimeoutError) as error:
            NOT_SENT.inc()
            log.warning("sms failed", error=repr(error)[:200])
            raise SmsFailed from None
        SENT.inc()

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        request = Request(self._url, body, headers, method="POST")  # noqa: S310 - http or https, see __init__
        try:
            _opener.open(request, timeout=TIMEOUT).close()  # raises for what is no 2xx
        except HTTPError as error:
            error.close()  # it holds the socket
            raise

    def _write(self, body: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{time.time_ns()}-{secrets.token_hex(4)}.json"
        draft = path.with_suffix(".tmp")
        draft.write_bytes(body)
        draft.replace(path)
        log.info("sms written", path=str(path))
