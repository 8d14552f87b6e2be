"""The API page: Swagger UI with our texts in two languages, the codes of errors, and the descriptions it reads."""

import asyncio
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from gateway.docs.texts import EN, ZH
from gateway.http.errors import RouteNotFound
from gateway.http.failures import FAILURES
from gateway.http.openapi import document

ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
SWAGGER_UI = Path(__file__).parent / "swagger-ui"
ASYNCAPI = Path(__file__).parents[2] / "docs/asyncapi.yaml"
CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>hitok API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><p style="margin:.6rem 1.2rem;text-align:right;font-family:sans-serif"><a href="{other}" hreflang="{other_lang}">{name}</a></p>
<div id="swagger-ui" data-openapi="{openapi}"></div>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js" type="module"></script></body></html>
"""  # noqa: E501
PAGES = {
    "en": PAGE.format(lang="en", openapi="/openapi.json", other="/docs/zh", other_lang="zh-CN", name="中文"),
    "zh": PAGE.format(lang="zh-CN", openapi="/openapi.zh.json", other="/docs", other_lang="en", name="English"),
}
SCRIPTS = ("start.js", "examples.js")
ERRORS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>hitok: error codes 错误码</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif }} body {{ max-width: 60rem; margin: 1rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }} th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8886 }}
</style></head><body><h1>Error codes 错误码</h1><p><a href="/docs">API</a> · <a href="/docs/zh">接口文档</a></p>
<p>The reason is in the header <code>x-error</code>, with the parameter at fault. 原因和出错的参数在响应头 <code>x-error</code> 中。</p>
<table><thead><tr><th scope="col">Reason 原因</th><th scope="col">HTTP</th><th scope="col">Short-video 短视频</th>
<th scope="col">Chat app 聊天</th><th scope="col">Text 说明</th></tr></thead><tbody>
{rows}</tbody></table></body></html>
"""  # noqa: E501


def errors_page() -> str:
    """Those that a chat client cannot get have no code of its family."""
    return ERRORS.format(
        rows="".join(
            f"<tr><td><code>{reason}</code></td><td>{failure.http}</td><td>{failure.video_code}</td>"
            f"<td>{failure.chat_code or ''}</td><td>{escape(failure.message)}</td></tr>\n"
            for reason, failure in FAILURES.items()
        )
    )


def handlers(endpoints: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Of these endpoints. Raises OSError if a file is not there."""
    endpoints, asyncapi = list(endpoints), ASYNCAPI.read_bytes()
    pages = {"zh": PAGES["zh"], "errors": errors_page()}
    scripts = {name: (Path(__file__).parent / name).read_bytes() for name in SCRIPTS}

    @cache
    def write(language: str) -> bytes:
        """When it is first asked for: both take 3 MB."""
        return document(endpoints, ZH if language == "zh" else EN)

    @get("/openapi.json")
    async def openapi_document() -> ASGIResponse:
        return ASGIResponse(body=await asyncio.to_thread(write, "en"), media_type="application/json")

    @get("/openapi.zh.json")
    async def chinese_document() -> ASGIResponse:
        return ASGIResponse(body=await asyncio.to_thread(write, "zh"), media_type="application/json")

    @get("/asyncapi.yaml")
    async def asyncapi_document() -> ASGIResponse:
        return ASGIResponse(body=asyncapi, media_type="application/yaml")

    @get("/docs")
    async def page() -> ASGIResponse:
        return _html(PAGES["en"])

    @get("/docs/{name:str}")
    async def part(name: FromPath[str]) -> ASGIResponse:
        if name in pages:
            return _html(pages[name])
        if name in scripts:
            return ASGIResponse(body=scripts[name], media_type="text/javascript")
        if name not in ASSETS:
            raise RouteNotFound
        headers = {"cache-control": "public, max-age=86400"}
        body = await asyncio.to_thread((SWAGGER_UI / name).read_bytes)
        return ASGIResponse(body=body, media_type=ASSETS[name], headers=headers)

    return [openapi_document, chinese_document, asyncapi_document, page, part]


def _html(text: str) -> ASGIResponse:
    return ASGIResponse(body=text, media_type="text/html", headers={"content-security-policy": CSP})
