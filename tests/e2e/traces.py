"""A person who uses everything, and a search for what is left of them: in each table, in the store and in a backup."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from deploy.backup.programs import locate
from deploy.demo.clips import Clip, write_clip
from docs.erasure_table import EVENTS, ID_STAYS, TABLES
from tests.e2e.people import Person
from tests.support.media import png
from tests.support.user import mailed_code, new_name, new_phone

TABLES_OF = """SELECT relname FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"""
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass
class Traces:
    """`words` of a person's own that no table may keep, `hashes` of their files, and the urls of these."""

    id: str
    words: list[str] = field(default_factory=list)
    of_others: str = ""  # one of them, which another person wrote about this one
    hashes: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def word(self) -> str:
        """A new one that nobody else uses."""
        self.words.append(f"w{token_hex(8)}")
        return self.words[-1]

    def keep_file(self, file: Mapping[str, Any]) -> str:
        self.urls += [url for name in ("url", "cover", "playback", "hls") if (url := file.get(name))]
        self.hashes += [hash for url in self.urls for hash in HASH.findall(url)]
        return str(file["url"])


async def upload(person: Person, traces: Traces, data: bytes) -> str:
    file = await person.ok("POST", "/api/file/upload", files={"file": ("file", data)})
    while file["status"] == "processing":
        await asyncio.sleep(0.1)
        file = await person.get("/api/file/status", id=file["url"])
    return traces.keep_file(file)


async def use_everything(person: Person, friend: Person, var: Path, folder: Path) -> Traces:
    """As a front end does: a profile, files, videos, comments, contacts, groups and messages."""
    me, other = [(await one.get("/api/user/get-my-info"))["id"] for one in (person, friend)]
    traces = Traces(me, [person.name, person.email])
    await _fill_the_profile(person, traces, var)
    await person.post("/api/contact/add-friend", username=friend.name)
    await friend.post("/api/contact/add-friend", username=person.name)
    traces.of_others = traces.word()
    await friend.post("/api/contact/set-remark", target_id=me, remark=traces.of_others)
    await _publish(person, friend, traces, folder)
    await _join_groups(person, friend, traces)
    await _chat(person, other, traces)
    return traces


async def _fill_the_profile(person: Person, traces: Traces, var: Path) -> None:
    phone, email = new_phone(), f"{new_name()}@example.com"
    traces.words += [phone, email]
    await person.post("/api/user/bind-phone", phone=phone, password=person.password)
    await person.post("/api/login/send-code", email=email)
    await person.post("/api/user/bind-email", email=email, code=mailed_code(var, email), password=person.password)
    avatar = await upload(person, traces, png())
    await person.post("/api/user/set-profile", avatar=avatar, bio=traces.word())
    device = {"user-agent": traces.word()}
    await person.ok("POST", "/api/login/login", json={"email": email, "password": person.password}, headers=device)


async def _publish(person: Person, friend: Person, traces: Traces, folder: Path) -> None:
    clip = folder / "clip.mp4"
    await asyncio.to_thread(write_clip, Clip("tiles", 90, 160, 0.3, seed=7), clip)
    cover, film = await upload(person, traces, png(9, 16)), await upload(person, traces, clip.read_bytes())
    await person.post("/api/videos/create-video", video_path=film, title=traces.word(), description=traces.word(),
                      cover_path=cover)  # fmt: skip
    mine = (await person.get("/api/videos/user-videos"))["data"][0]["id"]
    await friend.post("/api/videos/create-video", video_path="https://example.com/v.mp4", title="theirs")
    theirs = (await friend.get("/api/videos/user-videos"))["data"][0]["id"]
    await friend.post("/api/videos/like-video", video_id=mine)
    await person.post("/api/videos/like-video", video_id=theirs)
    await person.post("/api/videos/comment-video", video_id=theirs, content=traces.word())
    comment = (await friend.get("/api/videos/get-comments", id=theirs, is_video="true"))["comments"][0]
    await person.post("/api/videos/like-comments", comment_id=comment["id"])


async def _join_groups(person: Person, friend: Person, traces: Traces) -> None:
    await person.post("/api/contact/create-community", name=traces.word(), desc=traces.word())
    await friend.post("/api/contact/create-community", name="theirs")
    theirs = (await friend.get("/api/contact/get-group-list"))["groups"][0]["id"]
    await friend.post("/api/contact/update-community", community_id=theirs, approval=True)
    application = {"group_id": theirs, "req_msg": traces.word(), "join_source": 1}
    await person.social("POST", "/v1/social/group/putIn", json=application)


async def _chat(person: Person, friend_id: str, traces: Traces) -> None:
    picture = await upload(person, traces, png(4, 4))
    for kind, body in (("text", {"text": traces.word()}), ("image", {"url": picture, "text": traces.word()})):
        message = {"client_msg_id": f"00000000-0000-4000-8000-{token_hex(6)}", "content_type": kind, "body": body}
        await person.post("/api/chat/send", to={"user_id": friend_id}, **message)


def left_in_tables(urls: Mapping[str, str], traces: Traces, but: str = "outbox") -> list[str]:
    """`service.table: trace`; the id only where docs/erasure_table.py does not say that it stays.

    `but` is left out: events are kept for their retention.
    """
    return [
        f"{service}.{table}: {trace}"
        for service, url in urls.items()
        for table, trace in _found_in(service, url, traces, but)
    ]


def _found_in(service: str, url: str, traces: Traces, but: str) -> Iterable[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        for (table,) in connection.execute(TABLES_OF).fetchall():
            if table == but:
                continue
            sought = [*traces.words, *traces.hashes]
            if not _keeps_ids(service, table):
                sought.append(traces.id)
            for trace in sought:
                query = f'SELECT t::text FROM "{table}" t WHERE t::text LIKE %s LIMIT 1'
                if connection.execute(query, [f"%{trace}%"]).fetchone():
                    yield table, trace


def _keeps_ids(service: str, table: str) -> bool:
    if table in EVENTS or (service, table) in (("user", "account"), ("user", "session")):
        return True
    return table in TABLES[service] and ID_STAYS in TABLES[service][table].erasure


def left_in_store(folder: Path, traces: Traces) -> list[str]:
    return [str(path) for path in folder.rglob("*") if any(hash in path.name for hash in traces.hashes)]


def left_in_backup(folder: Path, traces: Traces) -> list[str]:
    """In the rows of all dumps but those of events in their retention, and in the names of files."""
    found = left_in_store(folder, traces)
    for dump in folder.glob("*.dump"):
        command = [str(locate("pg_restore")), "--data-only", "--file=-", str(dump)]
        rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = re.sub(r"^COPY public\.outbox .*?^\\\.$", "", rows, flags=re.MULTILINE | re.DOTALL)
        found += [f"{dump.name}: {trace}" for trace in (*traces.words, *traces.hashes) if trace in rows]
    return found + [trace for trace in traces.hashes if trace in json.dumps((folder / "objects.jsonl").read_text())]
