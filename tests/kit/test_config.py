import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from services.kit.config import CONFIG_EXIT_CODE, ConfigError, ServiceSettings, Settings, load
from services.user.config import UserSettings

SECRET = "a secret of the settings' tests!"
COMPLETE = {
    "HITOK_INTERNAL_SECRET": SECRET,
    "HITOK_JWT_SECRET": SECRET,
    "HITOK_NATS_URL": "nats://localhost",
    "HITOK_REDIS_URL": "redis://localhost",
    "HITOK_POSTGRES_URL": "postgresql://localhost/user",
}


class Listed(Settings, kw_only=True, frozen=True):
    ports: Annotated[tuple[int, ...], Meta(description="some")] = (1,)
    names: tuple[str, ...] = ()


def read(**changes: str | None) -> UserSettings:
    environ = {**COMPLETE, **{f"HITOK_{name}": value for name, value in changes.items()}}
    return load(UserSettings, "user", {name: value for name, value in environ.items() if value is not None})


def test_what_is_not_set_has_its_default() -> None:
    settings = read()
    assert (settings.grpc_port, settings.log_level, settings.grpc_reflection) == (18051, "info", False)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("GRPC_PORT", "1234", 1234),
        ("DRAIN_SECONDS", "0.5", 0.5),
        ("GRPC_REFLECTION", "true", True),
        ("GRPC_REFLECTION", "0", False),
        ("MAIL_FROM", "", ""),
        (
            "POSTGRES_URL",
            "postgres://u:p%40ss@h:5432/d?sslmode=require",
            "postgres://u:p%40ss@h:5432/d?sslmode=require",
        ),
    ],
)
def test_a_variable_is_read_as_its_fields_type(name: str, text: str, value: object) -> None:
    assert getattr(read(**{name: text}), name.lower()) == value


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET * 2}\n")
    assert read(JWT_SECRET=None, JWT_SECRET_FILE=str(file)).jwt_secret == SECRET * 2
    assert read(USER_JWT_SECRET_FILE=str(file)).jwt_secret == SECRET * 2, "the service's own goes first"
    with pytest.raises(ConfigError, match="HITOK_JWT_SECRET and HITOK_JWT_SECRET_FILE are both set"):
        read(JWT_SECRET_FILE=str(file))
    with pytest.raises(ConfigError, match="HITOK_JWT_SECRET_FILE: cannot read /nowhere: No such file"):
        read(JWT_SECRET=None, JWT_SECRET_FILE="/nowhere")
    file.write_text("short")
    with pytest.raises(ConfigError, match="HITOK_JWT_SECRET must have at least"):
        read(JWT_SECRET=None, JWT_SECRET_FILE=str(file))


def test_the_services_own_variable_goes_before_the_common_one() -> None:
    settings = read(GRPC_PORT="1", USER_GRPC_PORT="2", CHAT_GRPC_PORT="3")
    assert settings.grpc_port == 2


@pytest.mark.parametrize("name", ["INTERNAL_SECRET", "JWT_SECRET", "NATS_URL", "REDIS_URL", "POSTGRES_URL"])
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^HITOK_{name} is not set$"):
        read(**{name: None})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GRPC_PORT", "http"),
        ("GRPC_PORT", ""),
        ("GRPC_PORT", "65536"),
        ("USER_GRPC_PORT", "-1"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("POSTGRES_POOL", "0"),
        ("DRAIN_SECONDS", "21"),
        ("DRAIN_SECONDS", "nan"),
        ("GRPC_REFLECTION", "maybe"),
        ("BCRYPT_COST", "3"),
        ("PHONE_REGION", "china"),
        ("POSTGRES_URL", "localhost"),
        ("POSTGRES_URL", "mysql://localhost"),
        ("POSTGRES_URL", "postgresql://u:p#ss@h/d"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://h:port"),
        ("USER_NATS_URL", "http://localhost"),
        ("INTERNAL_SECRET", SECRET[:31]),
        ("INTERNAL_SECRET", "changeme" * 8),
        ("JWT_SECRET", ""),
        ("USER_JWT_SECRET", "short"),
    ],
)
def test_a_bad_variable_is_named_in_one_line_without_its_value(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(**{name: text})
    message = str(refused.value)
    assert message.startswith(f"HITOK_{name}") and "\n" not in message
    assert "p#ss" not in message and "short" not in message.split()


def test_a_secret_that_may_be_left_out_may_be_empty() -> None:
    assert read(SECOND_FACTOR_SECRET="").second_factor_secret == ""
    with pytest.raises(ConfigError, match="HITOK_SECOND_FACTOR_SECRET must have at least"):
        read(SECOND_FACTOR_SECRET="short")


def test_a_secrets_length_is_counted_in_bytes() -> None:
    secret = "天地玄黄宇宙洪荒日月盈"
    assert read(JWT_SECRET=secret).jwt_secret == secret


@pytest.mark.parametrize(("text", "ports"), [("8888,8889", (8888, 8889)), ("1", (1,)), ("", ()), ("1,,2,", (1, 2))])
def test_a_list_is_written_with_commas(text: str, ports: tuple[int, ...]) -> None:
    assert load(Listed, "x", {**COMPLETE, "HITOK_PORTS": text}).ports == ports


def test_a_bad_item_of_a_list_names_its_variable() -> None:
    with pytest.raises(ConfigError, match=r"^HITOK_X_PORTS"):
        load(Listed, "x", {**COMPLETE, "HITOK_X_PORTS": "1,http"})
    assert load(Listed, "x", {**COMPLETE, "HITOK_NAMES": "a,b"}).names == ("a", "b")


def test_settings_need_only_what_they_declare() -> None:
    with pytest.raises(ConfigError, match="HITOK_GRPC_PORT"):
        load(ServiceSettings, "x", COMPLETE)
    assert load(Settings, "x", COMPLETE).internal_secret == SECRET


def test_refusing_ends_the_process_with_one_line() -> None:
    program = "from services.kit.config import ConfigError, refuse; refuse(ConfigError('HITOK_X is not set'))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr, ended.stdout) == (CONFIG_EXIT_CODE, "error: HITOK_X is not set\n", "")
