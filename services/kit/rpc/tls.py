"""TLS between the processes of hitok: each shows its certificate, and trusts only what HITOK_TLS_CA signed."""

import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from services.kit.config import ConfigError, Settings


class Files(NamedTuple):
    """The paths of the three PEM files; all empty: no TLS."""

    ca: str
    cert: str
    key: str


def files_of(settings: Settings) -> Files:
    return Files(settings.tls_ca, settings.tls_cert, settings.tls_key)


def server_credentials(files: Files) -> grpc.ServerCredentials | None:
    """None without TLS. Callers have to show a certificate too. Raises ConfigError."""
    if not (contents := _read(files)):
        return None
    ca, cert, key = contents
    return grpc.ssl_server_credentials([(key, cert)], ca, require_client_auth=True)


def channel_credentials(files: Files) -> grpc.ChannelCredentials | None:
    """None without TLS. Raises ConfigError."""
    if not (contents := _read(files)):
        return None
    ca, cert, key = contents
    return grpc.ssl_channel_credentials(ca, key, cert)


def _read(files: Files) -> list[bytes] | None:
    """The contents of valid files; None if none is set. Raises ConfigError.

    With half of the settings only some callers could reach a service; gRPC accepts a broken file and never connects.
    """
    if not any(files):
        return None
    contents = []
    for name, file in zip(("HITOK_TLS_CA", "HITOK_TLS_CERT", "HITOK_TLS_KEY"), files, strict=True):
        if not file:
            raise ConfigError(f"{name} is not set: TLS between services needs all three HITOK_TLS_* or none")
        try:
            contents.append(Path(file).read_bytes())
        except OSError as error:
            raise ConfigError(f"{name}: {file}: {error.strerror}") from None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(files.ca)
    except ssl.SSLError as error:
        raise ConfigError(f"HITOK_TLS_CA: {files.ca}: {error.reason or 'no certificate in it'}") from None
    try:
        context.load_cert_chain(files.cert, files.key)
    except ssl.SSLError as error:
        raise ConfigError(
            f"HITOK_TLS_CERT and HITOK_TLS_KEY: {error.reason or 'not a certificate and its key'}"
        ) from None
    return contents
