"""The web app's files: what a browser gets, how large it is, and what the page may do."""

import gzip
import re
import subprocess
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.web.pages import FOLDER, content_security_policy, read_assets
from services.chat.away.settings import PUSHED_KINDS
from services.chat.notifications.notifications import KINDS
from tests.support.gateway import RunningGateway, client_of, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.user import Running

MAX_FIRST_LOAD = 150_000  # bytes over the wire


@pytest.fixture(scope="module")
async def browser(servers: Servers, user: Running) -> AsyncIterator[httpx.AsyncClient]:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_WEB_APP="true")
    async with running_gateway(settings) as running, client_of(running.app) as http:
        yield http


async def test_the_page_is_at_the_root(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text == (FOLDER / "index.html").read_text()
    head = await browser.head("/")
    assert (head.status_code, head.content) == (200, b"")


async def test_without_the_setting_there_is_no_page(gateway: RunningGateway) -> None:
    for path in ("/", "/web/app.mjs"):
        assert (await gateway.http.get(path)).status_code == 404


async def test_no_script_in_the_page_and_no_frame_around_it(browser: httpx.AsyncClient) -> None:
    headers = (await browser.get("/")).headers
    policy = dict(part.partition(" ")[::2] for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "hitok-push")
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", page) == []


def test_videos_may_come_from_where_the_gateway_sends_browsers() -> None:
    policy = content_security_policy("http://hitok.lan:8888/x", "https://cdn.example/files")
    assert "media-src 'self' blob: https: http://hitok.lan:8888 https://cdn.example;" in policy


async def test_a_file_that_has_not_changed_is_not_sent_again(browser: httpx.AsyncClient) -> None:
    first = await browser.get("/web/app.mjs")
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    again = await browser.get("/web/app.mjs", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "content-security-policy"):
        assert again.headers[name] == first.headers[name], "the browser keeps those of the last answer"


@pytest.mark.parametrize("path", ["/web/none.mjs", "/web/../config.py", "/web/%2e%2e/%2e%2e/README.md", "/web/lang"])
async def test_nothing_else_is_served(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_files_are_compressed_and_few_bytes_in_all(browser: httpx.AsyncClient) -> None:
    total = 0
    for path, asset in read_assets().items():
        async with browser.stream("GET", path, headers={"accept-encoding": "gzip"}) as response:
            raw = b"".join([chunk async for chunk in response.aiter_raw()])
            total += len(raw) + sum(len(name) + len(value) + 4 for name, value in response.headers.raw)
        assert response.headers["content-encoding"] == "gzip"
        assert gzip.decompress(raw) == asset.plain
    assert total < MAX_FIRST_LOAD, "all files together, more than any first load"


def sources() -> dict[str, str]:
    return {path.relative_to(FOLDER).as_posix(): path.read_text() for path in sorted(FOLDER.rglob("*.mjs"))}


def test_text_never_becomes_markup() -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    assert [name for name, text in sources().items() if re.search(markup, text)] == ["dom.mjs"]  # its comment says so
    assert len(re.findall(markup, sources()["dom.mjs"])) == 1


def test_imports_name_files_that_are_served() -> None:
    assets = read_assets()
    for name, text in sources().items():
        for found in re.findall(r'(?:from|import\() ?"([^"]+)"', text):
            url = httpx.URL(f"http://host/web/{name}").join(found)
            assert url.path in assets, (name, found)


def test_both_languages_have_the_same_texts_and_all_that_are_used() -> None:
    texts = sources()
    keys = {
        language: re.findall(r'^  "?([\w.\-]+)"?: ', texts[f"lang/{language}.mjs"], re.MULTILINE)
        for language in ("en", "zh")
    }
    assert keys["en"] == keys["zh"] and len(keys["en"]) == len(set(keys["en"]))
    call = r'\bt\((?:[^"()]* \? "([^"]+)" : )?"([^"]+)"'
    used = {key for text in texts.values() for pair in re.findall(call, text) for key in pair if key}
    assert used - set(keys["en"]) == set()
    whole = "".join(text for name, text in texts.items() if not name.startswith("lang/"))
    prefixes = ("error.", *re.findall(r"\bt\(`([\w.\-]+)\$\{", whole))
    assert [key for key in keys["en"] if key not in used and not key.startswith(prefixes)] == []


def test_each_kind_of_notification_has_a_text_and_a_switch() -> None:
    texts, switches = sources(), sources()["views/pushes.mjs"]
    switched = re.findall(r'"(\w+)"', re.search(r"const KINDS = \{.*?\n\};", switches, re.DOTALL)[0])  # type: ignore[index]
    assert sorted(switched) == sorted(PUSHED_KINDS)
    for kind in KINDS:
        assert f'"notice.{kind}' in texts["lang/en.mjs"], kind


def test_modules_are_valid() -> None:
    for name in sources():
        subprocess.run(["node", "--check", FOLDER / name], check=True, capture_output=True)


QR = """import { modules } from "%s/qr.mjs";
import { createHash } from "node:crypto";
for (const size of [17, 100, 150, 230, 231]) {
  const rows = modules("otpauth://totp/".padEnd(size, "aB9="));
  const text = rows && rows.map((row) => row.map(Number).join("")).join("/");
  console.log(text && createHash("sha256").update(text).digest("hex").slice(0, 16));
}"""


def test_qr_codes_are_those_that_a_reader_read() -> None:
    """ZXing read these, of the versions 1, 5, 7 and 9, when this was written. The last text is too long."""
    run = ["node", "--input-type=module", "--eval", QR % FOLDER]
    done = subprocess.run(run, check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == [
        "d0836be88be5acf4",
        "d4cc2e4d6ddd614b",
        "89f4a9cc26053c94",
        "b8b2800681a155cd",
        "null",
    ]
