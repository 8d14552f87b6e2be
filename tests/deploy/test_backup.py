"""Backups: their content, their refusals, and a drill: everything is destroyed, restored and compared."""

import asyncio
import dataclasses
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any, cast
from uuid import uuid4

import msgspec
import nats
import obstore
import psycopg
import pytest
from nats.js.api import StreamConfig
from obstore.store import LocalStore

from deploy.backup import sessions, verification
from deploy.backup.backups import back_up, check_revisions, put_back
from deploy.backup.manifest import FILE, Manifest, Object, measure, read_manifest, verify
from deploy.backup.places import Place, is_running, open_place
from deploy.backup.programs import environment_for
from deploy.backup.sessions import check_target
from deploy.backup.snapshots import CONSUMERS_FIRST, keeping_files, note_verified
from deploy.backup.stream import count_events, empty_stream
from deploy.backup.verification import try_restore
from deploy.database_services import DATABASE_SERVICES
from deploy.demo.clips import Clip, write_clip
from deploy.frontend import FrontEnd, open_http
from deploy.local.data_dir import open_folder
from deploy.local.errors import LocalError
from deploy.revision import read_revision
from services.chat import consumer as chat_consumer
from services.chat.notifications import rules
from services.kit import VERSION, schema
from services.kit.db import open_database
from services.kit.events.stream import STREAM
from services.media import consumer as media_consumer
from services.media.files import deletions
from services.media.storage import Storage
from services.objectstore.store import key_of, open_store
from services.social import consumer as social_consumer
from tests.e2e.everything import Everything, everything
from tests.support.buckets import CREDENTIALS, running_bucket
from tests.support.media import media_settings
from tests.support.servers import Servers, private_nats, temporary_folder

HASH = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of b"foo"
KEY = key_of(f"{HASH}.txt")


def make_place(servers: Servers, folder: Path, *, migrated: bool) -> Place:
    """A place with one object, in the store and, if the media service is migrated, in its database."""
    urls = {name: servers.create_database(f"backup_{name}") for name in DATABASE_SERVICES}
    store = LocalStore(folder / "store", mkdir=True)
    if migrated:
        for name, owner in DATABASE_SERVICES.items():
            schema.upgrade(urls[name], owner.migrations)
        obstore.put(store, KEY, b"foo")
        columns = "hash, extension, kind, media_type, size, state"
        execute(
            urls["media"], f"INSERT INTO object ({columns}) VALUES ('{HASH}', 'txt', 'document', 'text/plain', 3, 2)"
        )
        execute(
            urls["user"], "INSERT INTO outbox (subject, aggregate, data, published_at) VALUES ('s', 'a', '1', now())"
        )
    return Place(urls, store, "", folder / "stream")


def test_programs_connect_to_the_urls_that_the_services_take() -> None:
    """Also to several hosts of which one is the primary (docs/scaling.md)."""
    options = "target_session_attrs=read-write&sslmode=verify-full&tcp_user_timeout=5000"
    found = environment_for(f"postgresql://a:p%40@one:5432,two:5433/b?{options}")
    assert {name: found[name] for name in found if name.startswith("PG")} == {
        "PGCONNECT_TIMEOUT": "10",
        "PGDATABASE": "b",
        "PGHOST": "one,two",
        "PGPASSWORD": "p@",
        "PGPORT": "5432,5433",
        "PGSSLMODE": "verify-full",
        "PGTARGETSESSIONATTRS": "read-write",
        "PGUSER": "a",
    }
    with pytest.raises(LocalError, match="the option sslpassword"):
        environment_for("postgresql://a@b/c?sslpassword=x")


def execute(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(cast(Any, statement))
        return cursor.fetchall() if cursor.description else []


def tables_of(url: str) -> int:
    return int(execute(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")[0][0])


@pytest.fixture(scope="module")
def source(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(servers, tmp_path_factory.mktemp("source"), migrated=True)


@pytest.fixture(scope="module")
def target(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """An empty place, for tests that leave it empty."""
    return make_place(servers, tmp_path_factory.mktemp("target"), migrated=False)


@pytest.fixture
def backup(source: Place, tmp_path: Path) -> Path:
    back_up(source, tmp_path / "backup")
    return tmp_path / "backup"


def restore(folder: Path, place: Place, replace: bool = False) -> None:
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_revisions(manifest)
    put_back(place, folder, manifest, replace)


def change(folder: Path, manifest: Manifest) -> None:
    (folder / FILE).write_bytes(msgspec.json.encode(manifest))


def test_who_consumes_events_is_seen_before_who_sends_them() -> None:
    """The order of the snapshots. Else a consumer could know an event that its sender does not, as may happen with the
    one event that goes the other way (ADR 10)."""
    heard = {
        "chat": [
            *chat_consumer.MEMBERSHIP,
            *chat_consumer.AGREED,
            chat_consumer.DELETED,
            *rules.SUBJECTS,
            *chat_consumer.BLOCKS,
        ],
        "media": media_consumer.SUBJECTS,
        "social": social_consumer.SUBJECTS,
        "user": [],
    }
    against = {
        (name, subject)
        for place, name in enumerate(CONSUMERS_FIRST)
        for subject in heard[name]
        if subject.split(".")[1] not in CONSUMERS_FIRST[place + 1 :]
    }
    assert against == {("social", social_consumer.ANSWERED)}


def test_a_backup_says_what_it_holds(source: Place, backup: Path) -> None:
    manifest = read_manifest(backup)
    assert set(manifest.databases) == set(DATABASE_SERVICES)
    assert manifest.databases["media"].rows["object"] == 1
    assert (manifest.hitok, manifest.revision) == (VERSION, read_revision(os.environ))
    assert (manifest.object_count, manifest.object_bytes, manifest.missing) == (1, 3, [])
    assert (backup / "objects" / KEY).read_bytes() == b"foo"
    assert backup.stat().st_mode & 0o077 == 0
    verify(backup, manifest)


def test_it_is_written_down_when_it_is_whole(source: Place, backup: Path) -> None:
    """The alert BackupOld reads it, as a metric of the media service."""
    with psycopg.connect(source.urls["media"]) as connection:
        noted = connection.execute("SELECT max(began_at) FROM backup").fetchall()
    created = msgspec.json.decode((backup / "manifest.json").read_bytes(), type=Manifest).created_at
    assert 0 <= (created - noted[0][0]).total_seconds() < 60


def test_a_backup_is_verified_by_restoring_it(servers: Servers, source: Place, backup: Path) -> None:
    counted = "SELECT count(*) FROM pg_database UNION ALL SELECT count(*) FROM pg_roles"
    before = execute(servers.postgres_url, counted)
    manifest = try_restore(backup, servers.postgres_url)
    assert manifest == read_manifest(backup)
    assert execute(servers.postgres_url, counted) == before, "the scratch databases are gone"
    note_verified(source.urls["media"], manifest.created_at)
    rows = execute(source.urls["media"], "SELECT verified_at IS NOT NULL FROM backup ORDER BY began_at")
    assert rows[-1] == (True,)


def test_where_no_postgresql_can_be_started_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image of the tools has PostgreSQL's clients only."""

    def start_postgres(*_: object, **__: object) -> None:
        raise LocalError("no initdb")

    monkeypatch.setattr(verification, "start_postgres", start_postgres)
    with (
        pytest.raises(LocalError, match=r"--into URL \(no initdb\)"),
        verification.scratch_databases(""),
    ):
        pass


def test_a_backup_that_lacks_a_file_or_does_not_restore_is_told(servers: Servers, source: Place, backup: Path) -> None:
    manifest = read_manifest(backup)
    (backup / manifest.objects.path).write_bytes(b"")
    change(backup, msgspec.structs.replace(manifest, objects=measure(backup, backup / manifest.objects.path)))
    with pytest.raises(LocalError, match=f"such as {KEY}"):
        try_restore(backup, servers.postgres_url)
    user = manifest.databases["user"]
    fewer = msgspec.structs.replace(user, rows=user.rows | {"outbox": 99})
    change(backup, msgspec.structs.replace(manifest, databases=manifest.databases | {"user": fewer}))
    (backup / manifest.objects.path).write_bytes(msgspec.json.encode(Object(KEY, 3, HASH)) + b"\n")
    with pytest.raises(LocalError, match="other rows"):
        try_restore(backup, servers.postgres_url)


def test_a_second_backup_links_what_the_first_has(source: Place, backup: Path) -> None:
    back_up(source, backup.with_name("second"))
    one, other = (folder / "objects" / KEY for folder in (backup, backup.with_name("second")))
    assert one.samefile(other)


def test_a_damaged_file_of_the_first_is_copied_anew(source: Place, backup: Path) -> None:
    (backup / "objects" / KEY).write_bytes(b"bar")
    back_up(source, backup.with_name("second"))
    assert (backup.with_name("second") / "objects" / KEY).read_bytes() == b"foo"


def test_a_file_that_the_store_lost_is_told_and_the_rest_backed_up(source: Place, tmp_path: Path) -> None:
    obstore.delete(source.store, KEY)
    try:
        assert back_up(source, tmp_path / "backup").missing == [KEY]
    finally:
        obstore.put(source.store, KEY, b"foo")


def test_a_file_with_other_bytes_than_its_name_says_is_refused(source: Place, tmp_path: Path) -> None:
    obstore.put(source.store, KEY, b"bar")
    try:
        with pytest.raises(LocalError, match="is broken"):
            back_up(source, tmp_path / "backup")
    finally:
        obstore.put(source.store, KEY, b"foo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["user.dump", "objects.jsonl", f"objects/{KEY}"])
@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    backup: Path, target: Place, part: str, fault: str
) -> None:
    path = backup / part
    data = path.read_bytes()
    path.unlink()
    if fault == "changed":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(LocalError, match="Nothing was changed"):
        restore(backup, target)
    assert [tables_of(url) for url in target.urls.values()] == [0, 0, 0, 0]


def test_a_backup_of_a_newer_hitok_is_refused(backup: Path, target: Place) -> None:
    manifest = read_manifest(backup)
    newer = msgspec.structs.replace(manifest.databases["chat"], revision="9999")
    change(backup, msgspec.structs.replace(manifest, databases=manifest.databases | {"chat": newer}))
    with pytest.raises(LocalError, match=r"chat is ahead of this code \(revision 9999\)"):
        restore(backup, target)


def test_a_run_is_noticed_by_its_lock(tmp_path: Path) -> None:
    environ = {"HITOK_VAR": str(tmp_path)}
    assert not is_running(environ)
    with open_folder(tmp_path):
        assert is_running(environ)
        with pytest.raises(LocalError, match="is in use by another hitok"), open_place(environ, stopped=True):
            pass
    assert not is_running(environ)


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="is no backup"):
        read_manifest(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(LocalError, match="is broken"):
        read_manifest(tmp_path)


def test_a_session_that_ends_is_waited_for(backup: Path, source: Place) -> None:
    leaving = psycopg.connect(source.urls["social"])
    Timer(0.5, leaving.close).start()
    with pytest.raises(LocalError, match=r"is not empty"):
        check_target("social", source.urls["social"], replace=False)
    assert leaving.closed


def test_databases_that_are_not_empty_or_in_use_are_refused(
    backup: Path, source: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LEAVING_SECONDS", 0.0)
    with pytest.raises(LocalError, match=r"the database of chat is not empty\. To replace"):
        restore(backup, source)
    with closing(psycopg.connect(source.urls["social"])):
        with pytest.raises(LocalError, match="the database of social is in use: stop the services first"):
            restore(backup, source, replace=True)


def test_a_bucket_that_is_not_there_yet_is_filled(
    backup: Path, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new SeaweedFS creates the bucket with the first file; until then listing it fails."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "server").mkdir()
    with running_bucket(tmp_path / "server") as url:
        store = open_store(url, "")
        restore(backup, dataclasses.replace(make_place(servers, tmp_path, migrated=False), store=store))
        assert bytes(obstore.get(store, KEY).bytes()) == b"foo"
        another = dataclasses.replace(make_place(servers, tmp_path, migrated=False), store=store)
        with pytest.raises(LocalError, match="the object store is not empty"):
            restore(backup, another)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        with pytest.raises(LocalError, match=r"^cannot write to the store: .*Nothing was changed$"):
            restore(backup, dataclasses.replace(another, store=open_store(url, "")), replace=True)
        assert tables_of(another.urls["user"]) == 0


def test_all_databases_come_back_or_none(backup: Path, source: Place) -> None:
    """The last restore fails; what the others hold since the backup is still there."""
    manifest = read_manifest(backup)
    last = list(manifest.databases)[-1]
    rows = manifest.databases[last].rows
    wrong = msgspec.structs.replace(manifest.databases[last], rows=rows | {"outbox": rows["outbox"] + 1})
    change(backup, msgspec.structs.replace(manifest, databases=manifest.databases | {last: wrong}))
    since = "INSERT INTO notification_mute (user_id, kind) VALUES (1, 'since')"
    execute(source.urls["chat"], since)
    source.stream.mkdir()

    with pytest.raises(LocalError, match=f"{last} came back with other rows than it had"):
        restore(backup, source, replace=True)

    assert execute(source.urls["chat"], "SELECT kind FROM notification_mute") == [("since",)]
    assert source.stream.exists()
    change(backup, manifest)
    restore(backup, source, replace=True)
    assert execute(source.urls["chat"], "SELECT kind FROM notification_mute") == []
    assert execute(source.urls["user"], "SELECT count(*) FROM outbox WHERE published_at IS NULL") == [(1,)]
    assert not source.stream.exists()


async def test_no_file_is_deleted_while_a_backup_is_made(servers: Servers, source: Place, tmp_path: Path) -> None:
    settings = media_settings(source.urls["media"], servers, tmp_path)
    storage = Storage(LocalStore(tmp_path, mkdir=True), tmp_path)
    await obstore.put_async(storage.store, "doomed", b"x")
    execute(source.urls["media"], "INSERT INTO deletion (key) VALUES ('doomed')")
    async with open_database(settings) as database:
        with keeping_files(source.urls["media"]):
            assert await deletions.drain(database, storage) == 0
        assert await storage.exists("doomed")
        assert await deletions.drain(database, storage) == 1
    assert not await storage.exists("doomed")


async def test_an_emptied_stream_forgets_what_it_has_seen(tmp_path: Path) -> None:
    """Its settings stay; the same event may be published again at once."""
    with private_nats(tmp_path) as server:
        assert await asyncio.to_thread(count_events, server.url) == 0
        client = await nats.connect(server.url)
        jetstream = client.jetstream()
        settings = StreamConfig(name=STREAM, subjects=["events.>"], max_age=1_000, description="the operator's")
        await jetstream.add_stream(settings)
        seen = {"Nats-Msg-Id": "user:1"}
        await jetstream.publish("events.user.x", b"1", headers=seen)
        await jetstream.pull_subscribe("", durable="chat", stream=STREAM)
        assert await asyncio.to_thread(count_events, server.url) == 1

        await asyncio.to_thread(empty_stream, server.url)

        found = await jetstream.stream_info(STREAM)
        assert (found.state.messages, found.state.consumer_count) == (0, 0)
        assert (found.config.max_age, found.config.description) == (1_000, "the operator's")
        assert not (await jetstream.publish("events.user.x", b"1", headers=seen)).duplicate
        await client.close()
    with pytest.raises(LocalError, match="See HITOK_NATS_URL"):
        await asyncio.to_thread(count_events, server.url)


def test_a_full_disk_is_told_and_leaves_no_half_a_backup(source: Place, tmp_path: Path) -> None:
    """A limit on file sizes below the size of a dump acts like a full disk."""
    urls = {f"HITOK_{name.upper()}_POSTGRES_URL": url for name, url in source.urls.items()}
    secrets = {f"HITOK_{name}_SECRET": "a-secret-of-the-backups-own-tests" for name in ("INTERNAL", "JWT")}
    given = {"HITOK_REDIS_URL": "redis://nowhere", "HITOK_NATS_URL": "nats://nowhere", "HITOK_VAR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-B", "-m", "deploy.backup", "create", str(tmp_path / "backups")],
        env={"PATH": os.environ["PATH"], **urls, **secrets, **given},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot dump the database of chat"), done.stderr
    assert "File too large" in done.stderr
    assert list((tmp_path / "backups").iterdir()) == []


class Person(FrontEnd):
    id: str
    phone: str


async def enter(visitor: FrontEnd, phone: str, step: str) -> Person:
    answer = await visitor.post(f"/api/v1/user/{step}", phone=phone, password="correct horse")
    person = Person(visitor.http, answer["token"])
    person.phone, person.id = phone, (await person.get("/api/user/get-my-info"))["id"]
    return person


async def publish(owner: Person, folder: Path, title: str) -> Any:
    """As its owner sees it."""
    path = folder / "clip.mp4"
    await asyncio.to_thread(write_clip, Clip("tiles", 90, 160, 0.3, seed=len(title)), path)
    with path.open("rb") as film:
        file = await owner.ask("POST", "/api/file/upload", files={"file": ("clip.mp4", film)})
    while file["status"] == "processing":
        await asyncio.sleep(0.1)
        file = await owner.get("/api/file/status", id=file["url"])
    await owner.post("/api/videos/create-video", video_path=file["url"], title=title)
    return (await owner.get("/api/videos/user-videos"))["data"][0]


async def send(sender: Person, to: Person, text: str) -> Any:
    message = {"client_msg_id": str(uuid4()), "content_type": "text", "body": {"text": text}}
    return await sender.post("/api/chat/send", to={"user_id": to.id}, **message)


@asynccontextmanager
async def writing(one: Person, other: Person, video_id: str) -> AsyncIterator[list[str]]:
    """`other` writes comments and messages while the block runs. Yields those acknowledged."""
    said: list[str] = []

    async def write() -> None:
        for number in count():
            text = f"while it is backed up {number}"
            await other.post("/api/videos/comment-video", video_id=video_id, content=text)
            await send(other, one, text)
            said.append(text)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(write())
    yield said
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()


async def until(done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not in ten seconds")


def run(running: Everything, *command: str) -> str:
    """A command beside a `make run`; what it prints."""
    environ = os.environ | {"HITOK_VAR": str(running.var)}
    done = subprocess.run([sys.executable, "-m", *command], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def comments_of(person: Person, video_id: str) -> list[str]:
    texts, cursor = [], ""
    while True:
        where = {"id": video_id, "is_video": "true", "page_size": 50, "cursor": cursor}
        page = await person.get("/api/videos/get-comments", **where)
        texts += [comment["content"] for comment in page["comments"]]
        cursor = page["next_cursor"]
        if not cursor:
            return texts


async def notices_of(person: Person) -> list[Any]:
    """About comments, all of them."""
    found: list[Any] = []
    while True:
        before = {"before": found[-1]["notification_id"]} if found else {}
        page = (await person.get("/api/chat/notifications", limit=100, **before))["notifications"]
        found += page
        if not page:
            return [one for one in found if one["kind"] == "comment"]


async def messages_of(person: Person, conversation_id: str) -> list[Any]:
    found: list[Any] = []
    while True:
        before = {"before_seq": found[-1]["seq"]} if found else {}
        page = await person.get("/api/chat/messages", conversation_id=conversation_id, limit=50, **before)
        found += page["messages"]
        if not page["more"]:
            return found


@pytest.fixture
def running() -> Iterator[Everything]:
    with temporary_folder() as folder, everything(folder / "var") as running:
        yield running


async def test_the_drill(running: Everything, tmp_path: Path) -> None:
    """Backed up under writes, everything destroyed, restored into nothing, and compared as users see it."""
    async with open_http(running.urls[0]) as http:
        one, other = [await enter(FrontEnd(http), f"+861751234000{n}", "register") for n in (1, 2)]
        await one.post("/api/contact/add-friend", username=(await other.get("/api/user/get-my-info"))["username"])
        await one.post("/api/contact/create-community", name="drill")
        video = await publish(one, tmp_path, "a film")
        film = (await one.call("GET", video["url"])).content
        conversation = (await send(other, one, "before"))["conversation_id"]
        async with writing(one, other, video["id"]) as said:
            await until(lambda: len(said) >= 5)
            before = list(said)
            await asyncio.to_thread(run, running, "deploy.backup", "create", str(tmp_path / "backups"))
            after = list(said)
    running.kill()
    shutil.rmtree(running.var)

    (folder,) = (tmp_path / "backups").iterdir()
    await asyncio.to_thread(run, running, "deploy.backup", "verify", str(folder))
    await asyncio.to_thread(run, running, "deploy.backup", "restore", str(folder))
    running.start()

    async with open_http(running.urls[0]) as http:
        one, other = [await enter(FrontEnd(http), person.phone, "login") for person in (one, other)]
        assert (await one.call("GET", video["url"])).content == film
        assert [friend["friend_uid"] for friend in (await one.get("/v1/social/friends"))["list"]] == [other.id]
        assert [group["name"] for group in (await one.get("/api/contact/get-group-list"))["groups"]] == ["drill"]

        messages = await messages_of(one, conversation)
        assert [message["seq"] for message in messages] == list(range(len(messages), 0, -1))
        texts = [message["body"]["text"] for message in reversed(messages)]
        assert texts[: len(before) + 1] == ["before", *before]
        assert len(before) < len(after)
        assert len(messages) - 1 <= len(after) + 1

        # Comments are the media service's, notices of them the chat service's: each has one, though the two were
        # seen at different moments.
        comments = await comments_of(one, video["id"])
        assert set(before) <= set(comments)
        for _ in range(100):
            told = await notices_of(one)
            if len(told) >= len(comments):
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        told = await notices_of(one)
        assert len({notice["subject"]["comment_id"] for notice in told}) == len(told) == len(comments)

        assert (await send(other, one, "after"))["seq"] == len(messages) + 1
        await other.post("/api/videos/comment-video", video_id=video["id"], content="after")
        for _ in range(100):
            if len(await notices_of(one)) == len(comments) + 1:
                break
            await asyncio.sleep(0.1)
        assert len(await notices_of(one)) == len(comments) + 1

    checks = (asyncio.to_thread(run, running, "deploy.local", name, "check") for name in ("social", "media", "chat"))
    for faults in await asyncio.gather(*checks):
        assert {line.split()[0] for line in faults.splitlines()} == {"0"}
