"""Structured logs: one event per line on stderr, with the request's id and user from the context."""

import logging
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from services.kit import telemetry
from services.kit.config import Settings
from services.kit.context import current_caller, current_request_id

SECRET_KEYS = frozenset(
    {"password", "old_password", "new_password", "code", "token", "atoken", "rtoken", "ticket", "authorization"}
)
REPEAT_SECONDS = 30.0
LEVELS = {"exception": "error", "warn": "warning"}  # logger methods not named like their level
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure(settings: Settings, service: str) -> None:
    """Sends structlog's and the standard library's logs to stderr, in the format of the settings."""
    level = getattr(logging, settings.log_level.upper())
    processors: list[structlog.typing.Processor] = [add_context, _finish]
    if settings.otlp_endpoint:
        processors.insert(1, telemetry.add_trace_id)
    if settings.log_format == "json":
        processors.append(structlog.processors.format_exc_info)
        processors.append(lambda _, __, event: _encode({"service": service, **event}))
        lines = _Lines(sys.stderr.buffer, b"\n")
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # the rich one prints variables, secrets included
            )
        )
        lines = _Lines(sys.stderr, "\n")
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=max(level, logging.WARNING), force=True)


def add_context(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Adds the request and the user that the code works for."""
    if request_id := current_request_id.get():
        event.setdefault("request_id", request_id)
    if (user_id := current_caller.get().user_id) or request_id:
        event.setdefault("user_id", user_id)
    return event


def _finish(logger: Any, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Adds level and time, and redacts: three processors would cost a request as much as its routing."""
    event["level"] = LEVELS.get(level, level)
    second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    event["timestamp"] = f"{_format_second(second)}.{nanoseconds // 1_000:06}Z"
    return event if SECRET_KEYS.isdisjoint(event) else redact(logger, level, event)


@lru_cache(maxsize=4)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def redact(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replaces secrets. No code may log one; this catches mistakes."""
    for key in SECRET_KEYS & event.keys():
        event[key] = "[redacted]"
    return event


class _Lines:
    """Writes lines. One that cannot be written is lost: on a full disk, each request that logs would fail otherwise."""

    def __init__(self, stream: Any, end: Any) -> None:
        self._write, self._flush, self._end = stream.write, stream.flush, end

    def msg(self, line: Any) -> None:
        with suppress(OSError):
            self._write(line + self._end)
            self._flush()

    debug = info = warning = warn = error = critical = exception = msg


class ThrottledWarning:
    """A warning about something that is retried. Each error text is logged once per REPEAT_SECONDS."""

    def __init__(self, logger: Any, event: str, **fields: Any) -> None:
        self._logger, self._event, self._fields = logger, event, fields
        self._until: dict[str, float] = {}

    def __call__(self, error: Exception) -> None:
        now, text = time.monotonic(), repr(error)[:200]
        self._until = {said: until for said, until in self._until.items() if until > now}
        if text not in self._until:
            self._until[text] = now + REPEAT_SECONDS
            self._logger.warning(self._event, error=text, **self._fields)


class _Forward(logging.Handler):
    """Logs the records of libraries in our format."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)
