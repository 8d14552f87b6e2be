"""Saved videos: a user's own, in collections that they name, gone with the account."""

import asyncio
from typing import Any

import pytest

from protos.media.v1 import saves_pb2 as pb
from protos.media.v1 import videos_pb2
from protos.media.v1.saves_pb2_grpc import SavesStub
from services.kit.rpc.channel import open_channel
from services.media.servicers import PROTOS
from services.media.videos import account_erasure
from services.media.videos.saved import collections, saves
from tests.support.social import act, new_users, refusal
from tests.support.videos import Videos, all_pages, change, delete, execute, publish


async def ask(videos: Videos, user: int, rpc: str, **fields: Any) -> Any:
    async with open_channel(videos.target, videos.settings, PROTOS) as channel:
        return await act(user, getattr(SavesStub(channel), rpc), getattr(pb, f"{rpc}Request")(**fields))


async def saved(videos: Videos, user: int, collection_id: int = 0, limit: int = 50) -> list[int]:
    async def read(cursor: str) -> videos_pb2.VideoPage:
        page = {"collection_id": collection_id, "cursor": cursor, "limit": limit}
        found: videos_pb2.VideoPage = await ask(videos, user, "ListSavedVideos", **page)
        return found

    return [video.video_id for video in await all_pages(read)]


async def new_collection(videos: Videos, user: int, name: str) -> int:
    return int((await ask(videos, user, "CreateCollection", name=name)).collection_id)


async def test_the_last_saved_comes_first_and_each_once(videos: Videos) -> None:
    owner, fan = new_users(2)
    ids = [(await publish(videos, owner)).video_id for _ in range(4)]
    for video_id in [*ids, ids[0]]:
        await ask(videos, fan, "SaveVideo", video_id=video_id)
    for limit in (1, 3, 50):
        assert await saved(videos, fan, limit=limit) == ids[::-1]
    assert sorted((await ask(videos, fan, "BatchGetSaved", video_ids=[*ids, 1])).video_ids) == ids
    for _ in range(2):
        await ask(videos, fan, "UnsaveVideo", video_id=ids[3])
    assert await saved(videos, fan) == ids[2::-1]
    assert await saved(videos, owner) == []


async def test_only_what_one_may_see_is_saved_and_shown(videos: Videos) -> None:
    owner, fan = new_users(2)
    hidden = (await publish(videos, owner, videos_pb2.PRIVATE)).video_id
    shown, gone = [(await publish(videos, owner)).video_id for _ in range(2)]
    assert await refusal(ask(videos, fan, "SaveVideo", video_id=hidden)) == "VIDEO_NOT_FOUND"
    for video_id in (shown, gone):
        await ask(videos, fan, "SaveVideo", video_id=video_id)
    await delete(videos, owner, gone)
    assert await saved(videos, fan) == [shown]
    await change(videos, owner, shown, visibility=videos_pb2.PRIVATE)
    assert await saved(videos, fan) == []
    await change(videos, owner, shown, visibility=videos_pb2.PUBLIC)
    assert await saved(videos, fan) == [shown]


async def test_collections(videos: Videos) -> None:
    owner, fan, other = new_users(3)
    ids = [(await publish(videos, owner)).video_id for _ in range(3)]
    food, trips = [await new_collection(videos, fan, name) for name in ("food", "trips")]
    assert await new_collection(videos, fan, " food ") == food
    for video_id, collection_id in zip(ids, (food, trips, food), strict=True):
        await ask(videos, fan, "SaveVideo", video_id=video_id, collection_id=collection_id)
    assert await saved(videos, fan, food) == [ids[2], ids[0]] and await saved(videos, fan) == ids[::-1]
    await ask(videos, fan, "SaveVideo", video_id=ids[0], collection_id=trips)  # moves it, at its place
    found = await ask(videos, fan, "ListCollections")
    assert [(each.name, each.video_count) for each in found.collections] == [("food", 1), ("trips", 2)]
    assert found.saved_count == 3
    renamed = await ask(videos, fan, "RenameCollection", collection_id=food, name="eat")
    assert (renamed.name, renamed.video_count) == ("eat", 1)
    assert await refusal(ask(videos, fan, "RenameCollection", collection_id=food, name="trips")) == "COLLECTION_TAKEN"
    for rpc, fields in (
        ("SaveVideo", {"video_id": ids[0], "collection_id": food}),
        ("ListSavedVideos", {"collection_id": food}),
        ("RenameCollection", {"collection_id": food, "name": "x"}),
    ):
        assert await refusal(ask(videos, other, rpc, **fields)) == "COLLECTION_NOT_FOUND"
    await ask(videos, other, "DeleteCollection", collection_id=food)
    assert await saved(videos, fan, food) == [ids[2]]
    for _ in range(2):
        await ask(videos, fan, "DeleteCollection", collection_id=food)
    assert await saved(videos, fan) == ids[::-1]
    for name in ("", " ", "x" * (collections.MAX_NAME + 1), "a\nb"):
        assert await refusal(ask(videos, fan, "CreateCollection", name=name)) == "COLLECTION_INVALID"


async def test_limits(videos: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, fan = new_users(2)
    monkeypatch.setattr(saves, "MAX_SAVED", 1)
    monkeypatch.setattr(collections, "MAX_COLLECTIONS", 1)
    first, second = [(await publish(videos, owner)).video_id for _ in range(2)]
    for _ in range(2):
        await ask(videos, fan, "SaveVideo", video_id=first)
        await new_collection(videos, fan, "one")
    assert await refusal(ask(videos, fan, "SaveVideo", video_id=second)) == "SAVE_LIMIT_REACHED"
    assert await refusal(ask(videos, fan, "CreateCollection", name="two")) == "COLLECTION_LIMIT_REACHED"


async def test_fifty_saves_at_the_same_moment(videos: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, fan = new_users(2)
    monkeypatch.setattr(saves, "MAX_SAVED", 3)
    ids = [(await publish(videos, owner)).video_id for _ in range(5)]
    collection = await new_collection(videos, fan, "c")
    each = [ask(videos, fan, "SaveVideo", video_id=ids[n % 5], collection_id=collection * (n % 2)) for n in range(40)]
    ends = [ask(videos, fan, "DeleteCollection", collection_id=collection) for _ in range(10)]
    answers = await asyncio.gather(*each, *ends, return_exceptions=True)
    assert len(await saved(videos, fan)) == 3 == (await ask(videos, fan, "ListCollections")).saved_count
    refused = {await refusal(_raise(error)) for error in answers if isinstance(error, BaseException)}
    assert refused <= {"SAVE_LIMIT_REACHED", "COLLECTION_NOT_FOUND"}
    rows = await execute(videos, "SELECT FROM saved_video WHERE collection_id = :id", id=collection)
    assert rows == []


async def _raise(error: BaseException) -> None:
    raise error


async def test_an_erased_account_leaves_nothing_saved(videos: Videos) -> None:
    owner, leaver = new_users(2)
    video_id = (await publish(videos, owner)).video_id
    collection = await new_collection(videos, leaver, "mine")
    await ask(videos, leaver, "SaveVideo", video_id=video_id, collection_id=collection)
    async with videos.service.database.transaction() as connection:
        await account_erasure.schedule(connection, leaver)
    while await account_erasure.erase_batch(videos.service):
        pass
    for table in ("saved_video", "collection"):
        assert not await execute(videos, f"SELECT FROM {table} WHERE user_id = :id", id=leaver)
