"""Drills: a real S3 server goes away in the middle of each stage, and the video ends ready, with nothing left over.

In the suite the way to it is cut for as long as an attempt takes; `make chaos` also kills it, for a minute each time,
or for 15 s if it has few rounds.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.media.processing import derivatives
from services.media.resources import Resources
from tests.media.processing.test_faults import IN_FULL, check_whole, impatient, of_kind
from tests.support.buckets import CREDENTIALS, Bucket, running_server
from tests.support.media import Running, media_settings, running_media_service, upload
from tests.support.proxy import Proxy, proxy_to
from tests.support.servers import Servers
from tests.support.social import new_user
from tests.support.user import refusal

QUICK = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0")) < 20
AWAY_SECONDS = 15 if QUICK else 60
HEADERS = 2_000  # bytes of a request and its answer, about
# How much passes before the link is cut: some of the file that is read, or it and some of what is made of it.
CUTS = {"while it is read": 0.5, "while it is written": 1.0} if IN_FULL else {"while it is written": 1.0}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with running_server(tmp_path_factory.mktemp("bucket")) as bucket:
            yield bucket


@pytest.fixture(scope="module")
async def link(bucket: Bucket) -> AsyncIterator[Proxy]:
    async with proxy_to(bucket.port, random.Random(1)) as link:
        yield link


@pytest.fixture(scope="module")
async def remote(
    servers: Servers, bucket: Bucket, link: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    more = {"HITOK_MEDIA_URL": bucket.url(link.port), "HITOK_SWEEP_GRACE_SECONDS": "1", "HITOK_LEASE_SECONDS": "2"}
    settings = media_settings(servers.create_database("store_away"), servers, tmp_path_factory.mktemp("away"), **more)
    async with running_media_service(settings, background=False) as running:
        yield running


@pytest.mark.parametrize("cut", CUTS)
async def test_the_link_is_cut_in_each_stage(
    remote: Running, link: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cut: str
) -> None:
    data, stages, made = of_kind("all stages" if IN_FULL else "sizes", tmp_path)
    met, make, user = dict[str, bool](), derivatives.make, new_user()

    async def meets_it_first(service: Resources, job: Any) -> Sequence[str]:
        if job.profile in met:
            return await make(service, job)
        link.cut_after(int(len(data) * CUTS[cut]) + HEADERS)
        try:
            return await make(service, job)
        finally:
            met[job.profile] = link.away
            link.restore()

    link.cut_after(len(data) // 2)
    assert await refusal(upload(remote, user, data)) == "STORE_UNAVAILABLE"
    assert link.away
    link.restore()
    hash = (await upload(remote, user, data)).hash
    monkeypatch.setattr(derivatives, "make", meets_it_first)
    async with impatient(remote):
        await check_whole(remote, user, hash, made)
    assert met == dict.fromkeys(stages, True)


@pytest.mark.skipif(not IN_FULL, reason="takes minutes: make chaos")
async def test_the_server_is_away_for_long_in_each_stage(
    remote: Running, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed when the stage has read its file. Jobs wait as they would, so that it is found away more than once."""
    data, stages, made = of_kind("all stages", tmp_path)
    met, user = list[str](), new_user()
    back = list[asyncio.Task[None]]()

    async def come_back() -> None:
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(bucket.start)

    def go_away() -> None:
        bucket.kill()
        back.append(asyncio.create_task(come_back()))

    async def reads(service: Resources, *more: Any) -> dict[str, Any]:
        job = more[0]
        found: dict[str, Any] = await convert(service, *more)
        if job.profile not in met:
            met.append(job.profile)
            go_away()
        return found

    convert = derivatives._convert
    monkeypatch.setattr(derivatives, "_convert", reads)
    go_away()
    assert await refusal(upload(remote, user, data)) == "STORE_UNAVAILABLE"
    await back[0]
    hash = (await upload(remote, user, data)).hash
    async with impatient(remote):
        await check_whole(remote, user, hash, made)
    await asyncio.gather(*back)
    assert set(met) == set(stages)
