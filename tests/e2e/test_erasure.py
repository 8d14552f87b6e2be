"""The drill: a person who uses everything is erased, and nothing of theirs is found or served any more."""

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from deploy.backup.places import open_place
from services.kit.db import Database
from services.kit.events import pruning
from services.user import erasure
from tests.e2e import traces as t
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register
from tests.support.gateway import FrontEnd
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code, mailed_link


@pytest.fixture
def running() -> Iterator[Everything]:
    with temporary_folder() as folder, everything(folder / "var") as running:
        yield running


async def nothing(look: Callable[[], list[str]]) -> None:
    """Waits until the search finds nothing."""
    await no_more(partial(asyncio.to_thread, look))


async def no_more(look: Callable[[], Awaitable[list[str]]], seconds: float = 30) -> None:
    ends = asyncio.get_running_loop().time() + seconds
    while left := await look():
        assert asyncio.get_running_loop().time() < ends, left
        await asyncio.sleep(0.2)


async def export_link(person: Person, running: Everything) -> str:
    assert (await person.get("/api/user/export-status"))["status"] == "none"
    made = await person.post("/api/user/export", password=person.password)
    assert (made["status"], made["mailed"], made["url"]) == ("preparing", True, "")

    async def not_ready() -> list[str]:
        status = await person.get("/api/user/export")
        return [] if status["status"] == "ready" else [str(status)]

    await no_more(not_ready)
    status = await person.get("/api/user/export")
    assert status["done"] == status["total"] > 20 and status["files"] == 4 and status["rows"] > 10
    address = (await person.get("/api/user/get-my-info"))["email"]
    return mailed_link(running.var, address)


async def check_export(archive: bytes, traces: t.Traces) -> None:
    """Each file as it was uploaded, and in the lists all that the person wrote."""
    with zipfile.ZipFile(io.BytesIO(archive)) as made:
        assert made.testzip() is None
        files = [name for name in made.namelist() if name.startswith("files/")]
        lists = {name: json.loads(made.read(name)) for name in made.namelist() if name.endswith(".json")}
        for name in files:
            assert hashlib.sha256(made.read(name)).hexdigest() == name[6:70]
    assert {name.partition("/")[0] for name in lists} == {"user", "social", "media", "chat"}
    assert len(files) == len(lists["media/files.json"]) == 4
    assert lists["user/account.json"][0]["id"] == int(traces.id)
    written = json.dumps(lists)
    assert [word for word in traces.words if word not in written] == [traces.of_others]


async def an_hour_passes(url: str, user_id: int) -> None:
    """Then the erasure is announced again, for events that came late, such as the end of the person's friendships."""
    database = Database(url)
    async with database.transaction() as connection:
        earlier = text("UPDATE account SET deleted_at = now() - interval '61 minutes' WHERE id = :id")
        await connection.execute(earlier, {"id": user_id})
    assert await erasure.announce_again(database) == 1
    database.pool.close()


async def retention_passes(urls: Mapping[str, str]) -> None:
    """Then published events are deleted, as each service does it."""
    for url in urls.values():
        database = Database(url)
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE outbox SET published_at = now() - interval '8 days'"))
        await pruning.prune_table(database, pruning.OUTBOX, 7)
        database.pool.close()


async def test_an_erased_person_leaves_no_trace(running: Everything, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=running.urls[0], timeout=20) as http:
        person, friend = [await register(http, lambda it: mailed_code(running.var, it)) for _ in range(2)]
        traces = await t.use_everything(person, friend, running.var, tmp_path)
        served = [urlsplit(url) for url in dict.fromkeys(traces.urls)]
        paths = [f"{url.path}?{url.query}" for url in served]
        assert [(await http.get(path)).status_code for path in paths] == [200] * len(paths)
        with open_place({"HITOK_VAR": str(running.var)}, stopped=False) as place:
            urls = place.urls
        before = await asyncio.to_thread(t.left_in_tables, urls, traces)
        found = {line.partition(": ")[2] for line in before}
        assert {*traces.words, *traces.hashes} <= found, "the search finds all that is there"
        assert t.left_in_store(running.var / "media", traces)

        link = await export_link(person, running)
        await check_export((await http.get(link)).content, traces)

        await person.post("/api/user/delete-account", password=person.password)

        await nothing(lambda: [line for line in t.left_in_tables(urls, traces) if not line.endswith(traces.id)])
        await an_hour_passes(urls["user"], int(traces.id))
        await nothing(lambda: t.left_in_tables(urls, traces))
        await nothing(lambda: t.left_in_store(running.var / "media", traces))
        assert [(await http.get(path)).status_code for path in paths] == [404] * len(paths)
        await person.refused("GET", "/api/user/get-my-info", 401, -20002)
        assert (await http.get(link)).status_code == 404
        listed = (await friend.get("/api/chat/conversations"))["conversations"]
        (conversation,) = [one for one in listed if one["kind"] == "direct"]
        page = await friend.get("/api/chat/messages", conversation_id=conversation["conversation_id"], limit=50)
        assert [message["body"] for message in page["messages"]] == [None, None]
        await FrontEnd(http).refused("POST", "/api/login/login", 401, 10009, json=person.login)
        assert t.left_in_tables(urls, traces, but=""), "in events, of which the outboxes keep a copy"
        await retention_passes(urls)
        await nothing(lambda: t.left_in_tables(urls, traces, but=""))

    back_up = [sys.executable, "-m", "deploy.backup", "create", str(tmp_path / "backups")]
    environ = os.environ | {"HITOK_VAR": str(running.var)}
    done = await asyncio.to_thread(subprocess.run, back_up, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (backup,) = (tmp_path / "backups").iterdir()
    assert await asyncio.to_thread(t.left_in_backup, backup, traces) == []
