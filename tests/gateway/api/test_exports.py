"""api/user/export*: the link and the archive behind it. tests/e2e/test_erasure.py downloads a whole one."""

import asyncio
import zipfile
from io import BytesIO
from urllib.parse import urlsplit

import pytest

from gateway.files import exports
from gateway.files.archive import Size, archive
from protos.export.v1.export_pb2 import ExportRowsRequest, ExportRowsResponse
from services.kit.errors import Unavailable
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, new_person
from tests.support.user import PASSWORD
from tests.support.user import Running as RunningUser

DOWNLOAD = "/api/user/export/download"


@pytest.fixture
async def alice(video_gateway: RunningGateway, user: RunningUser) -> Person:
    return await new_person(FrontEnd(video_gateway.http), user)


class Pages:
    """A service that hands out these pages."""

    def __init__(self, *pages: ExportRowsResponse) -> None:
        self._pages = pages

    async def ExportRows(self, request: ExportRowsRequest, timeout: float) -> ExportRowsResponse:
        return self._pages[int(request.cursor or 0)]


def page(name: str, *rows: str, following: str = "", lists: int = 1) -> ExportRowsResponse:
    return ExportRowsResponse(list=name, rows=rows, next_cursor=following, lists=lists)


async def test_the_link_is_shown_only_when_asked_for_with_the_password(alice: Person) -> None:
    visitor = FrontEnd(alice.http)
    await visitor.refused("POST", "/api/user/export", 401, -20001, json={"password": PASSWORD})
    await visitor.refused("GET", "/api/user/export-status", 401, -20001)
    await alice.refused("POST", "/api/user/export", 401, 10009, json={"password": "wrong password"})
    made = await alice.post("/api/user/export", password=PASSWORD)  # an account without email
    assert urlsplit(made["url"]).path == DOWNLOAD and made["mailed"] is False
    assert await alice.get("/api/user/export-status") == await alice.get("/api/user/export") == made | {"url": ""}
    await alice.refused("POST", "/api/user/export", 429, -20007, json={"password": PASSWORD})
    answer = await visitor.call("HEAD", made["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["cache-control"] == "no-store"
    for key in ("", "?key=1-2", "?key=" + "x" * 5_000):
        await visitor.refused("GET", DOWNLOAD + key, 404, 10071)


async def test_it_is_counted_before_its_link_is_good_and_while_it_is_downloaded(
    alice: Person, video_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    container, file = video_gateway.container, "0" * 64 + ".png"
    one = Pages(
        page("a", '{"n":1}', '{"n":"天"}', following="1", lists=2),
        page("a", '{"n":3}', following="2", lists=2),
        page("b", lists=2),
    )
    files = Pages(page("files", f'{{"file":"{file}","size":70}}', lists=1))
    monkeypatch.setattr(container, "export_rows", {"one": one, "media": files})
    container.export_wanted.clear()
    made = await alice.post("/api/user/export", password=PASSWORD)
    assert made["status"] == "preparing" and container.export_wanted.is_set()
    while await exports.prepare_next(container):
        pass
    rows = sum(map(len, ('{"n":1}', '{"n":"天"}', '{"n":3}', f'{{"file":"{file}","size":70}}'))) + 2  # bytes of 天
    ready = await alice.get("/api/user/export-status")
    assert (ready["status"], ready["done"], ready["total"]) == ("ready", 3, 3)
    assert (ready["rows"], ready["files"], ready["bytes"]) == (4, 1, rows + 70)
    await alice.http.get(made["url"])
    after = await alice.get("/api/user/export-status")
    assert after["downloaded_at"] and after["downloaded_bytes"] == rows, "the file is not in the store"


async def test_a_service_that_is_away_stops_no_preparation_for_good(
    video_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, container = list[int](), video_gateway.container

    async def fails(_: object) -> bool:
        tried.append(1)
        if len(tried) == 1:
            container.export_wanted.set()
            raise Unavailable("away")
        return False

    monkeypatch.setattr(exports, "prepare_next", fails)
    async with exports.preparing_exports(container), asyncio.timeout(10):
        while len(tried) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_gateway_makes_few_at_a_time(alice: Person, video_gateway: RunningGateway) -> None:
    made = await alice.post("/api/user/export", password=PASSWORD)
    async with video_gateway.container.archives, video_gateway.container.archives:
        answer = await alice.refused("GET", made["url"], 503, 60007)
    assert int(answer.headers["retry-after"]) == 30


async def test_a_list_on_many_pages_is_one_array(
    video_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = video_gateway.container
    one = Pages(
        page("a", '{"n":1}', following="1"),
        page("a", following="2"),
        page("a", '{"n":2}', '{"n":3}', following="3"),
        page("b", following="4"),
        page("c", '{"n":4}'),
    )
    monkeypatch.setattr(container, "export_rows", {"one": one, "two": Pages(page("d"))})
    made = zipfile.ZipFile(BytesIO(b"".join([chunk async for chunk in archive(container, Size())])))
    assert {name: "".join(made.read(name).decode().split()) for name in made.namelist()} == {
        "one/a.json": '[{"n":1},{"n":2},{"n":3}]',
        "one/b.json": "[]",
        "one/c.json": '[{"n":4}]',
        "two/d.json": "[]",
    }


async def test_a_file_that_is_gone_is_left_out_and_one_who_leaves_ends_it(
    video_gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = video_gateway.container
    files = page("files", '{"file":"' + "0" * 64 + '.png"}')
    monkeypatch.setattr(container, "export_rows", {"media": Pages(files)})
    made = zipfile.ZipFile(BytesIO(b"".join([chunk async for chunk in archive(container, Size())])))
    assert made.namelist() == ["media/files.json"]
    left = archive(container, Size())
    await anext(left)
    await left.aclose()
