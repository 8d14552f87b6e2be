"""Settings: typed structs read from HITOK_* environment variables, and from nowhere else."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

PREFIX = "HITOK_"
FILE = "_FILE"
MIN_SECRET_BYTES = 32
MIN_SECRET_CHARACTERS = 10  # distinct: 64 random hexadecimal digits always have more, "changeme" has fewer
CONFIG_EXIT_CODE = 2  # tells a supervisor that restarting does not help

Port = Annotated[int, Meta(ge=0, le=65535)]
S = TypeVar("S", bound="Settings")


class ConfigError(Exception):
    """The operator has to change a setting. The text is one line that names it."""


class Settings(Struct, kw_only=True, frozen=True):
    """The settings of every process. A field is read from the variable HITOK_ and its name in capitals."""

    internal_secret: Annotated[str, Meta(description="shared by services and gateway; a call without it is refused")]
    nats_url: Annotated[
        str, Meta(pattern="^(nats|tls)://", description="where events travel; a cluster's servers separated by commas")
    ]
    redis_url: Annotated[
        str,
        Meta(
            pattern=r"^((rediss?(\+sentinel)?|unix)://|rediss?\+cluster://[^/?]+/?0?$)",
            description="Valkey or Redis: rate limits, codes, tickets, presence; or its Sentinels, or a cluster",
        ),
    ]
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$", description="least level logged")] = "info"
    log_format: Annotated[str, Meta(pattern="^(json|console)$", description="JSON lines, or for eyes")] = "json"
    metrics_host: Annotated[str, Meta(description="where /metrics listens")] = "127.0.0.1"
    otlp_endpoint: Annotated[str, Meta(description="OTLP/gRPC collector for traces; empty: none")] = ""
    otlp_ratio: Annotated[float, Meta(ge=0, le=1, description="share of the requests that are traced")] = 1.0
    tls_ca: Annotated[str, Meta(description="PEM file: TLS between services, when set")] = ""
    tls_cert: Annotated[str, Meta(description="PEM file: this process's certificate")] = ""
    tls_key: Annotated[str, Meta(description="PEM file: this process's key")] = ""
    revision: Annotated[str, Meta(description="commit of the code; images and make run set it")] = ""
    drain_seconds: Annotated[float, Meta(ge=0, le=20, description="how long to serve on after SIGTERM, unready")] = 5.0
    queue_seconds: Annotated[
        float, Meta(ge=0, description="time that requests may wait in a process before it refuses more; 0: never")
    ] = 0.025
    var: Annotated[str, Meta(description="folder for local data")] = "var"


class ServiceSettings(Settings, kw_only=True, frozen=True):
    """The additional settings of a gRPC service with a database."""

    grpc_port: Port
    metrics_port: Port
    postgres_url: Annotated[str, Meta(pattern="^postgres(ql)?://", description="this service's own database")]
    grpc_host: Annotated[str, Meta(description="where gRPC listens")] = "127.0.0.1"
    grpc_reflection: Annotated[bool, Meta(description="let tools list the RPCs")] = False
    health_port: Annotated[Port, Meta(description="gRPC health without TLS, for Kubernetes' probes; 0: none")] = 0
    postgres_direct_url: Annotated[str, Meta(description="the same past PgBouncer, for LISTEN and session locks")] = ""
    postgres_pool: Annotated[int, Meta(ge=1, le=200, description="connections to Postgres at most")] = 10
    filtered_words: Annotated[
        tuple[str, ...],
        Meta(description="words that are refused in names, bios, titles, descriptions, comments and messages"),
    ] = ()
    outbox_days: Annotated[int, Meta(ge=1, description="how long published events are kept")] = 7


def variable_names(service: str, field: str) -> tuple[str, str]:
    """The two variables that a field is read from, the service's own first."""
    return f"{PREFIX}{service.upper()}_{field.upper()}", f"{PREFIX}{field.upper()}"


def load(kind: type[S], service: str, environ: Mapping[str, str] = os.environ) -> S:
    """Reads `kind` from the environment: HITOK_<SERVICE>_<FIELD>, else HITOK_<FIELD>, else its default.

    Each variable may instead be given as <variable>_FILE, the path of a file with the value, as containers are given
    secrets. Raises ConfigError naming the first bad or missing variable.
    """
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        for name in variable_names(service, field.name):
            text = read_variable(name, environ)
            if text is not None:
                is_unset = text == field.default == ""
                values[field.name] = text if is_unset else _convert(name, text, field.type)
                break
        else:
            if field.required:
                raise ConfigError(f"{variable_names(service, field.name)[1]} is not set")
    return msgspec.convert(values, kind)


def read_variable(name: str, environ: Mapping[str, str]) -> str | None:
    """The value of a variable, or of the file that <variable>_FILE names, without the line's end."""
    if (path := environ.get(name + FILE)) is None:
        return environ.get(name)
    if name in environ:
        raise ConfigError(f"{name} and {name}{FILE} are both set")
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}{FILE}: cannot read {path}: {getattr(error, 'strerror', 'not text')}") from None


def _convert(name: str, text: str, kind: object) -> object:
    if name.endswith("_SECRET") and len(text.encode()) < MIN_SECRET_BYTES:
        raise ConfigError(f"{name} must have at least {MIN_SECRET_BYTES} bytes")
    if name.endswith("_SECRET") and len(set(text)) < MIN_SECRET_CHARACTERS:
        raise ConfigError(f"{name} can be guessed: make one with `openssl rand -hex 32`")
    try:
        if name.endswith("_URL"):
            for part in text.split(","):  # the servers of a cluster
                # Raises if the port is not a number, as when a password was not escaped.
                _ = urlsplit(part if "://" in part else f"//{part}").port
        info = msgspec.inspect.type_info(kind)
        if isinstance(getattr(info, "type", info), msgspec.inspect.VarTupleType):  # Meta wraps the type
            return msgspec.convert([part for part in text.split(",") if part], kind, strict=False)
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {error}") from None
    except ValueError:
        raise ConfigError(f"{name} is not a URL (escape special characters of a password as %XX)") from None


def refuse(error: ConfigError) -> NoReturn:
    """Prints the error as the last line and ends the process with CONFIG_EXIT_CODE."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(CONFIG_EXIT_CODE)
