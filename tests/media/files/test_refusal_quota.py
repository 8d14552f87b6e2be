"""Refused files count, so that nobody has the service look at hostile files all day."""

import os
from collections.abc import AsyncIterator

import pytest

from services.media.files import refusals
from tests.support.media import Running, image, media_settings, running_media_service, upload
from tests.support.servers import Servers
from tests.support.social import new_user, refusal


@pytest.fixture(scope="module")
async def strict(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    limits = {"HITOK_DAILY_REFUSALS": "3", "HITOK_DAILY_BYTES": "50000"}
    folder = tmp_path_factory.mktemp("strict")
    settings = media_settings(servers.create_database("media_strict"), servers, folder, **limits)
    async with running_media_service(settings, background=False) as running:
        yield running


async def test_after_some_refused_files_none_is_taken(strict: Running) -> None:
    user, other = new_user(), new_user()
    for _ in range(3):
        assert await refusal(upload(strict, user, b"\x89PNG\r\n\x1a\n" + os.urandom(99))) == "FILE_BROKEN"
    assert await refusal(upload(strict, user, image("PNG"))) == "QUOTA_EXCEEDED"
    assert not await refusal(upload(strict, other, image("PNG")))
    key = f"refused:{user}"
    assert 0 < await strict.service.redis.ttl(key) <= refusals.DAY
    await strict.service.redis.delete(key)  # as a day does
    assert not await refusal(upload(strict, user, image("PNG")))


async def test_their_bytes_are_bytes_of_the_day(strict: Running) -> None:
    user = new_user()
    assert await refusal(upload(strict, user, b"\x89PNG\r\n\x1a\n" + os.urandom(49_500))) == "FILE_BROKEN"
    assert not await refusal(upload(strict, user, b"a few words"))
    assert await refusal(upload(strict, user, b"\x89PNG\r\n\x1a\n" + os.urandom(600))) == "FILE_BROKEN"
    assert await refusal(upload(strict, user, b"a few words more")) == "QUOTA_EXCEEDED"


async def test_without_valkey_uploads_go_on(strict: Running) -> None:
    assert await refusals.refused_today(strict.service.redis, new_user()) == refusals.Refused()
