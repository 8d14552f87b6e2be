"""TLS between our own processes: each shows its certificate, and trusts only what HITOK_TLS_CA signed."""

import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from services.kit.config import ConfigError, Settings


class Files(NamedTuple):
    """Where the three PEM files are; all empty: no TLS."""

    ca: str
    cert: str
    key: str


def files_of(settings: Settings) -> Files:
    return Files(settings.tls_ca, settings.tls_cert, settings.tls_key)


def server_credentials(files: Files) -> grpc.ServerCredentials | None:
    """None without TLS. A caller has to show a certificate as well. Raises ConfigError."""
    if not _complete(files):
        return None
    ca, cert, key = (Path(file).read_bytes() for file in files)
    return grpc.ssl_server_credentials([(key, cert)], ca, require_client_auth=True)


def channel_credentials(files: Files) -> grpc.ChannelCredentials | None:
    """None without TLS. Raises ConfigError."""
    if not _complete(files):
        return None
    ca, cert, key = (Path(file).read_bytes() for file in files)
    return grpc.ssl_channel_credentials(ca, key, cert)


def _complete(files: Files) -> bool:
    """Half of the settings would mean a service that some reach and others do not; gRPC would take a broken file
    in silence and then never connect."""
    if not any(files):
        return False
    for name, file in zip(("HITOK_TLS_CA", "HITOK_TLS_CERT", "HITOK_TLS_KEY"), files, strict=True):
        if not file:
            raise ConfigError(f"{name} is not set: TLS between services needs all three HITOK_TLS_* or none")
        try:
            Path(file).read_bytes()
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
    return True
