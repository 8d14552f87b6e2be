"""Which pages of other origins may call the API: over HTTP by CORS, and at a WebSocket handshake."""

import re
from collections.abc import Collection

from litestar.config.cors import CORSConfig

from gateway.config import GatewaySettings

ANY, LOOPBACK = "*", "loopback"  # values that the settings may hold besides origins
LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"  # such as a front end's development server

REQUEST_HEADERS = ["authorization", "content-type", "range", "x-request-id"]
# Headers of our answers that scripts may read.
RESPONSE_HEADERS = ["x-error", "x-request-id", "retry-after", "content-range", "location", "x-file-url"]
# The headers that a tus client in a browser sends, and those it reads.
TUS_REQUEST = ["tus-resumable", "upload-checksum", "upload-length", "upload-metadata", "upload-offset"]
TUS_RESPONSE = ["tus-resumable", "tus-version", "tus-extension", "tus-max-size", "upload-expires", "upload-offset"]


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """`allowed` holds origins, and may hold ANY or LOOPBACK."""
    if ANY in allowed or origin in allowed:
        return True
    return LOOPBACK in allowed and re.fullmatch(LOOPBACK_ORIGIN, origin) is not None


def cors_config(settings: GatewaySettings) -> CORSConfig | None:
    """Allows credentials, that is cookies, only for origins that the settings name: else any page could use them."""
    origins = settings.cors_origins
    if not origins:
        return None
    return CORSConfig(
        allow_origins=[origin for origin in origins if origin != LOOPBACK],
        allow_origin_regex=LOOPBACK_ORIGIN if LOOPBACK in origins else None,
        allow_credentials=ANY not in origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[*REQUEST_HEADERS, *TUS_REQUEST, *settings.cors_headers],
        expose_headers=[*RESPONSE_HEADERS, *TUS_RESPONSE],
        max_age=600,
    )
