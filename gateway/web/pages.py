"""The web app at `/` and the console at `/console`: the files of clients/web/ and the chat client, kept in memory."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from gateway.http.client_info import header_of
from gateway.http.errors import RouteNotFound

ROOT = Path(__file__).parents[2]
FOLDER, CHAT_CLIENT = ROOT / "clients/web", ROOT / "clients/chat/chat-client.mjs"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
# Browsers ask each time whether a file changed, and hear 304. A release is then never half old, half new, without the
# names of files being rewritten by a build.
CACHE = "no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: str
    etag: str
    plain: bytes
    zipped: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        data = path.read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
        return cls(MEDIA_TYPES[path.suffix], etag, data, gzip.compress(data, mtime=0))


def read_assets() -> dict[str, Asset]:
    """By the path under which each is served."""
    files = [path for path in sorted(FOLDER.rglob("*")) if path.suffix in MEDIA_TYPES]
    assets = {f"/web/{path.relative_to(FOLDER).as_posix()}": Asset.read(path) for path in files}
    pages = {"/": assets["/web/index.html"], "/console": assets["/web/console.html"]}
    return assets | pages | {"/web/chat-client.mjs": Asset.read(CHAT_CLIENT)}


def content_security_policy(public_url: str, media_redirect: str) -> str:
    """Scripts and styles only from files of ours. Covers and videos may also be elsewhere, as the API allows it."""
    origins = {
        f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, (public_url, media_redirect)) if parts.netloc
    }
    media = " ".join(["'self'", "blob:", "https:", *sorted(origins)])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src {media}; "
        f"media-src {media}; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types hitok-push"  # which names the service worker of pushes
    )


def handler(public_url: str, media_redirect: str) -> HTTPRouteHandler:
    """Raises OSError or KeyError if the files are not there."""
    assets, policy = read_assets(), content_security_policy(public_url, media_redirect)

    async def serve(request: Request[Any, Any, Any]) -> ASGIResponse:
        asset = assets.get(request.scope["path"])
        if asset is None:
            raise RouteNotFound
        headers = {"etag": asset.etag, "cache-control": CACHE, "vary": "accept-encoding"}
        # With a 304 as well: the browser replaces the headers that it kept by those of the 304.
        headers["content-security-policy"] = policy
        if header_of(request.scope, b"if-none-match") == asset.etag:
            return ASGIResponse(status_code=304, headers=headers)
        body = asset.plain
        if "gzip" in (header_of(request.scope, b"accept-encoding") or ""):
            body, headers = asset.zipped, headers | {"content-encoding": "gzip"}
        headers["content-type"] = asset.media_type
        if request.method == "HEAD":
            return ASGIResponse(headers=headers, content_length=len(body), is_head_response=True)
        return ASGIResponse(body=body, headers=headers)

    paths = ["/", "/console", "/web/{file:path}"]
    return HTTPRouteHandler(paths, http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)(serve)
