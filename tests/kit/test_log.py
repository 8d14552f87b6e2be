import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from services.kit import log

PROLOGUE = """
import logging, sys
import structlog
from services.kit import context, log
from services.kit.config import Settings

def configure(**changes):
    log.configure(Settings(internal_secret="s" * 32, nats_url="nats://x", redis_url="redis://x", **changes), "user")
"""


def stderr_of(program: str) -> str:
    """A process of its own: logging is configured once for a whole process."""
    ended = subprocess.run([sys.executable, "-c", PROLOGUE + program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    return ended.stderr


def lines_of(program: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr_of(program).splitlines()]


def test_an_event_is_one_json_line_with_service_level_time_and_context() -> None:
    lines = lines_of("""
configure()
context.current_request_id.set("r1")
context.current_caller.set(context.Caller(42))
structlog.get_logger("x").info("served", text="two\\nlines", odd=object, 名="值")
context.current_request_id.set("")
structlog.get_logger("x").info("socket")
""")
    assert len(lines) == 2
    line = lines[0]
    assert (lines[1]["user_id"], "request_id" in lines[1]) == (42, False)
    assert (line["service"], line["level"], line["event"]) == ("user", "info", "served")
    assert (line["request_id"], line["user_id"], line["text"], line["名"]) == ("r1", 42, "two\nlines", "值")
    assert line["timestamp"].endswith("Z") and line["odd"] == "<class 'object'>"


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_full_disk_of_the_logs_fails_nobody(format: str) -> None:
    program = """
import io, os
full = open("/dev/full", "wb", buffering=0)
real, sys.stderr = sys.stderr, io.TextIOWrapper(full, write_through=True)
configure(log_format=%r)
structlog.get_logger().info("lost")
logging.getLogger("library").warning("lost too")
os.write(2, b"goes on")
sys.stderr = real
os._exit(0)
"""
    assert stderr_of(program % format) == "goes on"


def test_secrets_are_redacted() -> None:
    text = stderr_of("""
configure()
structlog.get_logger().warning("x", password="hunter2", code="hunter2", token="hunter2", atoken="hunter2",
    rtoken="hunter2", ticket="hunter2", authorization="Bearer hunter2", new_password="hunter2", other="seen")
""")
    assert "hunter2" not in text and "seen" in text and text.count("[redacted]") == 8


def test_an_exception_is_told_with_its_traceback_but_no_local_variables() -> None:
    program = """
configure(log_format=%r)
def login(password):
    raise ValueError("broken")
try:
    login("hunter" + "2")
except ValueError as error:
    structlog.get_logger().error("failed", exc_info=error)
"""
    for log_format in ("json", "console"):
        text = stderr_of(program % log_format)
        assert "ValueError: broken" in text and "in login" in text and "hunter2" not in text
    assert len(stderr_of(program % "json").splitlines()) == 1


def test_the_standard_librarys_records_come_in_the_same_form() -> None:
    lines = lines_of("""
configure()
logging.getLogger("redis").warning("lost %s", "connection")
logging.getLogger("redis").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("grpc").exception("odd")
""")
    assert [(line["event"], line["level"], line["service"]) for line in lines] == [
        ("lost connection", "warning", "user"),
        ("odd", "error", "user"),
    ]
    assert "ZeroDivisionError" in lines[1]["exception"]


def test_what_is_below_the_level_is_left_out() -> None:
    program = """
configure(log_level=%r)
logger = structlog.get_logger()
logger.debug("debug"), logger.info("info"), logger.warning("warning"), logger.error("error")
"""
    for position, level in enumerate(levels := ["debug", "info", "warning", "error"]):
        assert [line["event"] for line in lines_of(program % level)] == levels[position:]


def test_a_complaint_is_made_once_of_each_error_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(log, "time", SimpleNamespace(monotonic=lambda: now))
    with capture_logs() as logs:
        waits = log.ThrottledWarning(structlog.get_logger(), "waits", consumer="chat")
        for now in range(60):
            waits(OSError("away"))
            if now == 40:
                waits(OSError("refused"))
    assert [(line["event"], line["consumer"], line["error"]) for line in logs] == [
        ("waits", "chat", "OSError('away')"),
        ("waits", "chat", "OSError('away')"),
        ("waits", "chat", "OSError('refused')"),
    ]
