"""GET|HEAD /media/…: ranges, validators, headers, and who gets private bytes."""

import hashlib
import os
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.http.failures import FAILURES
from services.kit.errors import HitokError
from services.media import errors
from services.objectstore.signatures import sign_path
from tests.support.gateway import FrontEnd, RunningGateway, serving
from tests.support.media import Running, image, png, refer, status, upload
from tests.support.people import Person
from tests.support.processes import SECRETS

SECRET = SECRETS["HITOK_INTERNAL_SECRET"]
PUBLIC, FRIENDS, PRIVATE = range(3)


@pytest.fixture(scope="module")
async def port(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(gateway.app, gateway.container.settings) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


@pytest.fixture(params=["in pieces", "by sendfile"])
def visitor(request: pytest.FixtureRequest, gateway: RunningGateway, port: httpx.AsyncClient) -> FrontEnd:
    """By the way that a bucket's bytes go, and by that of a folder's, which takes a real connection."""
    return FrontEnd(gateway.http if request.param == "in pieces" else port)


@pytest.fixture(scope="module")
async def served(media: Running, alice: Person) -> tuple[str, bytes]:
    """The path and the bytes of an image of some pieces' size."""
    data = image("PNG", (800, 800))
    assert len(data) > 1_500_000
    return (await upload(media, alice.id, data)).path, data


async def test_a_whole_file(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    path, data = served
    answer = await visitor.call("GET", path)
    assert answer.status_code == 200
    assert answer.content == data
    headers = answer.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(len(data))
    assert headers["accept-ranges"] == "bytes"
    assert headers["timing-allow-origin"] == "*"
    assert headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert "content-disposition" not in headers


async def test_head_is_get_without_a_body(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    path, _ = served
    head, get = await visitor.call("HEAD", path), await visitor.call("GET", path)
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "x-request-id"} == {
        k: v for k, v in get.headers.items() if k != "x-request-id"
    }
    part = await visitor.call("HEAD", path, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"], part.content) == (206, "10", b"")


@pytest.mark.parametrize(
    ("range", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1-3", 1, 4),
        ("bytes=500000-1400000", 500_000, 1_400_001),
        ("bytes=100-", 100, None),
        ("bytes=-4", -4, None),
        ("bytes=-99999999", 0, None),
        ("bytes=0-99999999999", 0, None),
        ("Bytes = 0-1".replace(" ", ""), 0, 2),
    ],
)
async def test_a_range(visitor: FrontEnd, served: tuple[str, bytes], range: str, start: int, end: int | None) -> None:
    path, data = served
    answer = await visitor.call("GET", path, headers={"Range": range})
    expected = data[start:end]
    first = start % len(data)
    assert answer.status_code == 206
    assert answer.content == expected
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(data)}"
    assert answer.headers["content-length"] == str(len(expected))


@pytest.mark.parametrize("range", ["bytes=99999999-", "bytes=99999999-999999999", "bytes=-0"])
async def test_a_range_beyond_the_end(visitor: FrontEnd, served: tuple[str, bytes], range: str) -> None:
    path, data = served
    answer = await visitor.refused("GET", path, 416, 10056, headers={"Range": range})
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize(
    "range", ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "lines=0-1", "bytes", "bytes=1-2-3", ""]
)
async def test_a_range_not_understood_is_the_whole(visitor: FrontEnd, served: tuple[str, bytes], range: str) -> None:
    path, data = served
    answer = await visitor.call("GET", path, headers={"Range": range})
    assert (answer.status_code, len(answer.content)) == (200, len(data))


async def test_if_range(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    path, data = served
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    for if_range, code in ((tag, 206), (f"W/{tag}", 200), ('"other"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)):
        answer = await visitor.call("GET", path, headers={"Range": "bytes=0-9", "If-Range": if_range})
        assert answer.status_code == code, if_range


async def test_if_none_match(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    path, data = served
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await visitor.call("GET", path, headers={"If-None-Match": given, "Range": "bytes=0-1"})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), given
    assert (await visitor.call("GET", path, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_documents_are_attachments(visitor: FrontEnd, media: Running, alice: Person) -> None:
    stored = await upload(media, alice.id, f"hello {time.time_ns()}".encode())
    answer = await visitor.call("GET", stored.path)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment"


@pytest.mark.parametrize(
    "path",
    [
        "/media/" + "0" * 64 + ".png",
        "/media/x",
        "/media/%00.png",
        "/media/" + "A" * 64 + ".png",
    ],
)
async def test_what_is_not_there(visitor: FrontEnd, path: str) -> None:
    await visitor.refused("GET", path, 404, 10054)


async def test_a_path_upwards(visitor: FrontEnd) -> None:
    for path in ("/media/..%2f..%2fetc%2fpasswd", "/media/../../etc/passwd", "/media//etc/passwd"):
        assert (await visitor.call("GET", path)).status_code == 404


async def test_the_extension_belongs_to_the_name(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    await visitor.refused("GET", served[0].replace(".png", ".html"), 404, 10054)


async def test_other_methods(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    await visitor.refused("POST", served[0], 405, 10023)


class TestPrivate:
    async def private(self, media: Running, gateway: RunningGateway, owner: Person) -> str:
        """The hash of a file that only a private video shows."""
        stored = await upload(media, owner.id, png())
        await refer(media, stored.hash, owner.id, PRIVATE)
        gateway.container.files.drop(stored.hash)
        return stored.hash

    async def test_needs_a_signature(
        self, visitor: FrontEnd, gateway: RunningGateway, media: Running, alice: Person
    ) -> None:
        hash = await self.private(media, gateway, alice)
        await visitor.refused("GET", f"/media/{hash}.png", 404, 10054)
        signed = (await status(media, alice.id, hash)).path
        answer = await visitor.call("GET", signed)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, max-age=60"
        part = await visitor.call("GET", signed, headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, b"PNG")

    async def test_forged_and_expired_ones_are_worth_nothing(
        self, visitor: FrontEnd, gateway: RunningGateway, media: Running, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hash, other = [await self.private(media, gateway, alice) for _ in range(2)]
        good = sign_path(SECRET, f"{hash}.png", 60)
        assert (await visitor.call("GET", good)).status_code == 200
        moment, _, signature = good.partition("exp=")[2].partition("&sig=")
        forged = [
            f"/media/{hash}.png?exp={int(moment) + 60}&sig={signature}",
            f"/media/{hash}.png?exp={moment}&sig={'0' * 64}",
            f"/media/{hash}.png?exp=&sig=",
            f"/media/{hash}.png?exp=x&sig={signature}",
            f"/media/{hash}.png?exp={moment}&sig=é",
            f"/media/{other}.png?exp={moment}&sig={signature}",
            sign_path("another secret" * 4, f"{hash}.png", 60),
        ]
        for path in forged:
            await visitor.refused("GET", path, 404, 10054)
        monkeypatch.setattr(time, "time", lambda: int(moment) + 1.0)
        await visitor.refused("GET", good, 404, 10054)

    async def test_is_what_all_references_say(self, media: Running, alice: Person, bob: Person) -> None:
        """A user cannot show as their own a file that another user uploaded for something else."""

        async def is_private(*visibilities: int, also_by_bob: bool = False) -> bool:
            data = png()
            hash = (await upload(media, alice.id, data)).hash
            for visibility in visibilities:
                await refer(media, hash, alice.id, visibility)
            if also_by_bob:
                await upload(media, bob.id, data)
            return (await status(media, alice.id, hash)).private

        assert not await is_private()
        assert await is_private(PRIVATE)
        assert await is_private(FRIENDS)
        assert await is_private(FRIENDS, PRIVATE)
        assert not await is_private(PRIVATE, PUBLIC)
        assert not await is_private(PRIVATE, also_by_bob=True)

    async def test_another_cannot_hide_a_file(self, media: Running, alice: Person, bob: Person) -> None:
        hash = (await upload(media, alice.id, png())).hash  # an avatar, say
        await refer(media, hash, bob.id, PRIVATE)
        assert not (await status(media, alice.id, hash)).private


async def test_the_same_slot_gives_the_same_signed_path() -> None:
    assert sign_path(SECRET, "x.png", 3_600) == sign_path(SECRET, "x.png", 3_600)


def test_every_reason_has_its_text() -> None:
    ours = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HitokError)]
    ours = [kind for kind in ours if kind.__module__ == errors.__name__]
    assert {kind.reason for kind in ours} <= set(FAILURES)


async def test_random_ranges(visitor: FrontEnd, served: tuple[str, bytes]) -> None:
    path, data = served
    for _ in range(20):
        a, b = sorted(int.from_bytes(os.urandom(4)) % len(data) for _ in range(2))
        answer = await visitor.call("GET", path, headers={"Range": f"bytes={a}-{b}"})
        assert answer.content == data[a : b + 1]
