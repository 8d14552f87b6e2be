"""Searching videos: what finds them, despite accents and slips, and in which order."""

import pytest

from protos.media.v1 import videos_pb2 as pb
from services.media.maintenance.search_words import renew_words
from tests.support.social import act, new_user, refusal
from tests.support.videos import Videos, all_pages, execute, like, publish

TITLES = [
    "Café in İstanbul",
    "Fire 🔥 at night",
    "big sale_now",
    "Zoë sings",
    "Learn C++",
    "Learn C",
    "Straße 東京タワー",
]


def ids_of(page: pb.VideoPage) -> list[int]:
    return [video.video_id for video in page.videos]


async def search(videos: Videos, viewer: int, query: str, limit: int = 50, cursor: str = "") -> pb.VideoPage:
    request = pb.SearchVideosRequest(query=query, limit=limit, cursor=cursor)
    page: pb.VideoPage = await act(viewer, videos.videos.SearchVideos, request)
    return page


@pytest.fixture(scope="module")
async def published(_videos: Videos) -> list[int]:
    owner = new_user()
    return [(await publish(_videos, owner, title=title)).video_id for title in TITLES]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("cafe", [0]),
        ("CAFÉ", [0]),
        ("istanbul", [0]),
        ("İSTANBUL", [0]),
        ("🔥", [1]),
        ("sale now", [2]),
        ("sale_now", [2]),
        ("zoe", [3]),
        ("Zoë sing", [3]),
        ("c++", [4]),
        ("learn c", [4, 5]),
        ("c#", []),
        ("strasse", [6]),
        ("東京", [6]),
        ("タワ", [6]),
        ("istambul", [0]),
        ("istanbull cafee", [0]),
        ("istnabul cafe", [0]),
        ("lxxrn", []),
        ("lean", [4, 5]),
    ],
)
async def test_what_finds_a_video(videos: Videos, published: list[int], query: str, places: list[int]) -> None:
    found = ids_of(await search(videos, new_user(), query))
    assert sorted(published.index(id) for id in found if id in published) == places


async def test_the_title_comes_before_the_description_then_what_is_liked_then_what_is_new(videos: Videos) -> None:
    owner, fan = new_user(), new_user()
    word = f"relevant{owner}"
    in_description = (await publish(videos, owner, title="other", description=f"{word} x")).video_id
    old, liked, new = [(await publish(videos, owner, title=f"{word} {n}")).video_id for n in range(3)]
    await like(videos, fan, liked)
    await like(videos, fan, in_description)
    assert ids_of(await search(videos, fan, word)) == [liked, new, old, in_description]

    async def read(cursor: str) -> pb.VideoPage:
        return await search(videos, fan, word, limit=1, cursor=cursor)

    assert [video.video_id for video in await all_pages(read)] == [liked, new, old, in_description]
    assert await refusal(search(videos, fan, word, cursor="x")) == "CURSOR_INVALID"


async def test_the_words_of_an_older_release_are_made_anew(videos: Videos) -> None:
    owner = new_user()
    video_id = (await publish(videos, owner, title=f"Crème{owner}")).video_id
    await execute(
        videos, "UPDATE video SET words = array_to_tsvector(:words), words_version = 0 WHERE id = :id",
        id=video_id, words=[f"crème{owner}"],
    )  # fmt: skip
    assert ids_of(await search(videos, owner, f"creme{owner}")) == []
    while await renew_words(videos.service.database):
        pass
    assert ids_of(await search(videos, owner, f"creme{owner}")) == [video_id]
