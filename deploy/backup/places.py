"""Finds the data of an installation: on the servers that the settings name, or in the data folder of `make run`."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obstore.store import ObjectStore

from deploy.backup.stream import count_events, empty_stream
from deploy.database_services import DATABASE_SERVICES
from deploy.deployment import MARK, find_deployment
from deploy.local.backends import ADMIN_URL, NATS_URL, make_databases
from deploy.local.data_dir import load_secrets, locate_folder, open_folder
from deploy.local.environment import name_secrets
from deploy.local.errors import LocalError
from deploy.local.servers.postgres import Postgres
from deploy.local.services import SERVICES
from deploy.local.settings_files import read_environ
from services.kit.config import ConfigError, load
from services.media.config import MediaSettings
from services.objectstore.store import open_store


@dataclass(frozen=True)
class Place:
    """`urls` are those of the databases, by service. `nats_url` is the NATS server with the event stream; without a
    server, `stream` is the stream's folder."""

    urls: Mapping[str, str]
    store: ObjectStore
    nats_url: str
    stream: Path

    def holds_events(self) -> bool:
        return count_events(self.nats_url) > 0 if self.nats_url else self.stream.exists()

    def forget_events(self) -> None:
        if self.nats_url:
            empty_stream(self.nats_url)
        else:
            shutil.rmtree(self.stream, ignore_errors=True)


@contextmanager
def open_place(environ: Mapping[str, str], *, stopped: bool) -> Iterator[Place]:
    """`stopped`: refuse if processes of hitok run. Raises LocalError."""
    environ = read_environ(environ)
    try:
        if environ.get(MARK):
            yield _place_of(dict.fromkeys(DATABASE_SERVICES, environ))
        elif not stopped and is_running(environ):
            yield _place_of(find_deployment(environ).environs)
        else:
            with _own_servers(environ) as place:
                yield place
    except ConfigError as error:
        raise LocalError(str(error)) from None


def _place_of(environs: Mapping[str, Mapping[str, str]]) -> Place:
    settings = {name: load(owner.settings, name, environs[name]) for name, owner in DATABASE_SERVICES.items()}
    media = settings["media"]
    assert isinstance(media, MediaSettings)
    urls = {name: one.postgres_url for name, one in settings.items()}
    return Place(urls, open_store(media.media_url, media.var), media.nats_url, Path())


def is_running(environ: Mapping[str, str]) -> bool:
    """Whether a `make run` is using the data folder."""
    try:
        lock = os.open(locate_folder(environ) / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def _own_servers(environ: Mapping[str, str]) -> Iterator[Place]:
    """Starts PostgreSQL on a data folder that is not in use, while the block runs."""
    var = locate_folder(environ)
    with open_folder(var):
        secrets = load_secrets(var, name_secrets(SERVICES))
        own = {service.name: service.postgres_setting for service in SERVICES if service.database}
        urls = {name: environ[setting] for name, setting in own.items() if setting in environ}
        given = environ.get(ADMIN_URL)
        server = None
        if not given and len(urls) < len(own):
            server = Postgres(var / "postgres", secrets["postgres"], log=var / "log" / "postgres.log")
        try:
            if server:
                server.start()
            passwords = {f"hitok_{name}": secrets[f"database_{name}"] for name in own if name not in urls}
            made = make_databases(server.url if server else given or "", passwords, server)
            urls |= {name.removeprefix("hitok_"): url for name, url in made.items()}
            store = open_store(environ.get("HITOK_MEDIA_URL", ""), str(var))
            yield Place(urls, store, environ.get(NATS_URL, ""), var / "nats" / "jetstream")
        finally:
            if server:
                server.stop()
