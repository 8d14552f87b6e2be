"""What a driver is given to send, and what became of it."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from time import time
from typing import Any, NamedTuple, Protocol

import msgspec

from services.outbound.addresses import AddressRefused
from services.outbound.client import Answer, AnswerLost, Unreached

WEB_PUSH, UNIFIED_PUSH, FCM, APNS = "webpush", "unifiedpush", "fcm", "apns"
MAX_RETRY_AFTER = 3_600.0  # seconds
RETRIED = (429, 500, 502, 503, 504)


class Outcome(StrEnum):
    SENT = "sent"
    GONE = "gone"  # the device is no more
    RETRY = "retry"  # surely not sent, and may be sent later
    FAILED = "failed"  # not sent, and never will be
    LOST = "lost"  # it may have been sent


class Result(NamedTuple):
    outcome: Outcome
    retry_after: float = 0.0  # seconds, at least
    detail: str = ""


class Notice(NamedTuple):
    """What a device shows. `data` says the same in fields, for the app; `collapse` replaces an older one like it."""

    collapse: str  # at most 32 characters of base64url
    title: str
    body: str
    badge: int
    data: Mapping[str, Any]
    urgent: bool
    ttl: int  # seconds


class Driver(Protocol):
    async def send(self, device: Any, notice: Notice) -> Result:
        """`device`: with the columns `address`, `p256dh` and `auth`. Never raises."""
        ...


def result_of(answer: Answer, gone: bool = False) -> Result:
    """`gone`: whether the answer says that the device is no more."""
    detail = f"{answer.status} {answer.body[:200].decode(errors='replace')}"
    if 200 <= answer.status < 300:
        return Result(Outcome.SENT)
    if gone:
        return Result(Outcome.GONE, detail=detail)
    if answer.status in RETRIED:
        return Result(Outcome.RETRY, retry_after(answer.headers.get("retry-after", "")), detail)
    return Result(Outcome.FAILED, detail=detail)


def result_of_error(error: Exception) -> Result:
    """Of the errors that a call of OutboundClient raises."""
    if isinstance(error, Unreached):
        return Result(Outcome.RETRY, detail=str(error))
    if isinstance(error, AnswerLost):
        return Result(Outcome.LOST, detail=str(error))
    if isinstance(error, AddressRefused):
        return Result(Outcome.FAILED, detail=f"address refused: {error}")
    raise error


def retry_after(value: str) -> float:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110, 10.2.3); 0 for anything else."""
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def encode(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(value)
