"""Pictures in other sizes and formats: what a client gets for `?w=`, who gets it, and that nothing of it is left."""

import asyncio
import hashlib
import io
from functools import reduce
from typing import Any

import httpx
import pytest
from PIL import Image

from gateway.files.variants import WIDTHS as ASKED
from protos.media.v1 import objects_pb2 as pb
from services.media.errors import FileBroken
from services.media.files import deletions, references
from services.media.pictures import variants
from services.media.processing.jobs import processing
from services.media.processing.sandbox.pictures import blurhash
from services.objectstore.signatures import sign_path
from services.objectstore.store import key_of
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.media import (
    Running,
    execute,
    find,
    image,
    keys_of,
    png,
    refer,
    running_media_service,
    settled,
    upload,
    video,
)
from tests.support.people import Person
from tests.support.processes import SECRETS
from tests.support.social import new_user, refusal

PUBLIC, FRIENDS, PRIVATE = range(3)
BROWSER = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


def opened(answer: httpx.Response) -> Image.Image:
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    return picture


def varies(answer: httpx.Response) -> bool:
    """Whether a cache must keep the answers to other Accept headers apart."""
    return "accept" in answer.headers.get("vary", "").split(", ")


async def get(visitor: FrontEnd, path: str, accept: str = BROWSER, **headers: str) -> httpx.Response:
    answer = await visitor.call("GET", path, headers={"accept": accept} | headers)
    assert answer.status_code in (200, 206, 304), answer.text
    return answer


async def make(media: Running, hash: str, width: int = 64, format: str = "webp") -> pb.Variant:
    request = pb.MakeVariantRequest(hash=hash, width=width, format=format)
    variant: pb.Variant = await media.objects.MakeVariant(request, timeout=30)
    return variant


async def forget(media: Running, hash: str) -> None:
    """Deletes a picture as the deletion of its private video does."""
    async with media.service.database.transaction() as connection:
        owner = (await execute(media, "SELECT user_id FROM upload WHERE object_hash = :hash", hash=hash))[0].user_id
        await references.release_objects(connection, owner, [hash], private=True)
    await deletions.drain(media.service.database, media.service.storage)


def test_the_gateway_and_the_service_have_the_same_sizes() -> None:
    assert ASKED == variants.WIDTHS


async def test_each_client_gets_the_best_format_it_names(visitor: FrontEnd, media: Running, alice: Person) -> None:
    path = (await upload(media, alice.id, image("JPEG", (300, 200)))).path
    for accept, type in (
        (BROWSER, "image/avif"),
        ("image/webp,image/*", "image/webp"),
        ("image/avif;q=0, image/webp;q=0.9", "image/webp"),
        ("*/*", "image/jpeg"),
        ("image/png", "image/jpeg"),
    ):
        answer = await get(visitor, f"{path}?w=128", accept)
        assert answer.headers["content-type"] == type
        assert opened(answer).size == (128, 85)
        assert varies(answer)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    plain = await get(visitor, path)
    assert (plain.headers["content-type"], varies(plain)) == ("image/jpeg", False)


async def test_head_conditions_and_ranges_are_of_the_variant(visitor: FrontEnd, media: Running, alice: Person) -> None:
    path = (await upload(media, alice.id, image("JPEG", (300, 200)))).path + "?w=64"
    found = [await get(visitor, path, accept) for accept in ("image/avif", "image/webp", "*/*")]
    assert len({answer.headers["etag"] for answer in found}) == 3
    for accept, whole in zip(("image/avif", "image/webp", "*/*"), found, strict=True):
        head = await visitor.call("HEAD", path, headers={"accept": accept})
        for name in ("etag", "content-length", "content-type", "vary", "accept-ranges", "timing-allow-origin"):
            assert head.headers[name] == whole.headers[name]
        fresh = await get(visitor, path, accept, **{"if-none-match": whole.headers["etag"]})
        assert (fresh.status_code, varies(fresh)) == (304, True)
        other = next(answer.headers["etag"] for answer in found if answer is not whole)
        assert (await get(visitor, path, accept, **{"if-none-match": other})).status_code == 200
        part = await get(visitor, path, accept, range="bytes=2-9", **{"if-range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, whole.content[2:10])


async def test_a_picture_is_not_enlarged(visitor: FrontEnd, media: Running, alice: Person) -> None:
    stored = await upload(media, alice.id, image("JPEG", (100, 50)))
    found = [await get(visitor, f"{stored.path}?w={width}") for width in (128, 256, 512, 1080)]
    assert {opened(answer).size for answer in found} == {(100, 50)}
    assert len({answer.content for answer in found}) == 1
    own = await get(visitor, f"{stored.path}?w=1080", "*/*")
    assert own.headers["etag"] == f'"{stored.hash}"'  # it is that already
    (known,) = await find(media, stored.hash)
    assert [(of.width, of.format) for of in known.variants] == [(128, "avif")]


@pytest.mark.parametrize("width", ["300", "0", "", "-1", "64x", "99999999999", "6４"])
async def test_other_widths_are_refused(visitor: FrontEnd, media: Running, alice: Person, width: str) -> None:
    path = (await upload(media, alice.id, png())).path
    answer = await visitor.refused("GET", f"{path}?w={width}", 400, 10001)
    assert answer.headers["x-error"] == "PARAMETER_INVALID w"


async def test_other_files_have_no_sizes(visitor: FrontEnd, media: Running, alice: Person) -> None:
    stored = await upload(media, alice.id, b"words of " + png().hex().encode())
    answer = await get(visitor, f"{stored.path}?w=300")
    assert (answer.headers["etag"], varies(answer)) == (f'"{stored.hash}"', False)
    assert await refusal(make(media, stored.hash)) == "OBJECT_KIND_INVALID"


async def test_the_service_makes_only_what_is_on_its_lists(media: Running, alice: Person) -> None:
    hash = (await upload(media, alice.id, png())).hash
    for width, format in ((65, "webp"), (64, "gif"), (64, "")):
        assert await refusal(make(media, hash, width, format)) == "VARIANT_INVALID"
    assert await refusal(make(media, "0" * 64)) == "OBJECT_NOT_FOUND"
    assert await refusal(make(media, "x")) == "HASH_INVALID"


async def test_private_ones_need_the_signature_of_the_picture(
    visitor: FrontEnd, gateway: RunningGateway, media: Running, alice: Person
) -> None:
    stored = await upload(media, alice.id, image("JPEG", (200, 100)))
    await refer(media, stored.hash, alice.id, PRIVATE)
    gateway.container.files.drop(stored.hash)
    await visitor.refused("GET", f"/media/{stored.file}?w=64", 404, 10054)
    assert not (await find(media, stored.hash))[0].variants  # nobody asked who may
    signed = sign_path(SECRETS["HITOK_INTERNAL_SECRET"], stored.file, 60)
    answer = await get(visitor, f"{signed}&w=64")
    assert opened(answer).size == (64, 32)
    assert (answer.headers["cache-control"], varies(answer)) == ("private, max-age=60", True)
    (variant,) = (await find(media, stored.hash))[0].variants
    await visitor.refused("GET", f"/media/{variant.file}", 404, 10054)


async def test_a_size_of_a_private_cover_is_private(visitor: FrontEnd, media: Running, alice: Person) -> None:
    hash = (await upload(media, alice.id, video(size=(320, 240)))).hash
    cover = (await settled(media, alice.id, hash)).cover_path.rpartition("/")[2]
    variant = await make(media, cover.partition(".")[0])
    assert (await visitor.call("GET", f"/media/{variant.file}")).status_code == 200
    await refer(media, hash, alice.id, FRIENDS)
    found = await find(media, cover.partition(".")[0], variant.file.partition(".")[0])
    assert [object.private for object in found] == [True, True]


async def test_a_size_of_a_video_is_one_of_its_cover(
    visitor: FrontEnd, gateway: RunningGateway, media: Running, alice: Person
) -> None:
    stored = await upload(media, alice.id, video(size=(640, 480), seconds=0.5))
    object = await settled(media, alice.id, stored.hash)
    gateway.container.files.drop(stored.hash)
    answer = await get(visitor, f"{object.path}?w=128")
    assert (answer.headers["content-type"], opened(answer).size) == ("image/avif", (128, 96))
    await refer(media, stored.hash, alice.id, PRIVATE)
    gateway.container.files.drop(stored.hash)
    await visitor.refused("GET", f"{object.path}?w=128", 404, 10054)
    signed = sign_path(SECRETS["HITOK_INTERNAL_SECRET"], stored.file, 60)
    assert (await get(visitor, f"{signed}&w=128")).headers["cache-control"] == "private, max-age=60"
    await execute(media, "DELETE FROM derivative WHERE source_hash = :hash AND profile = 'cover'", hash=stored.hash)
    gateway.container.files.drop(stored.hash)
    await visitor.refused("GET", f"{signed}&w=128", 404, 10054)


async def test_many_who_ask_at_once_get_one(
    visitor: FrontEnd, media: Running, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, and in two."""
    made = 0
    convert = variants._convert

    async def counted(*arguments: Any) -> dict[str, Any]:
        nonlocal made
        made += 1
        return await convert(*arguments)

    monkeypatch.setattr(variants, "_convert", counted)
    stored = await upload(media, alice.id, image("JPEG", (200, 100)))
    async with running_media_service(media.settings, background=False) as replica:
        asked = [make(of, stored.hash) for of in (media, replica) * 6]
        assert len({variant.file for variant in await asyncio.gather(*asked)}) == 1
    assert made == 1


async def test_what_cannot_be_made_is_shown_as_it_is_and_not_tried_again(
    visitor: FrontEnd, media: Running, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def fail(*_: Any) -> dict[str, Any]:
        nonlocal tried
        tried += 1
        raise FileBroken

    monkeypatch.setattr(variants, "_convert", fail)
    stored = await upload(media, alice.id, image("JPEG", (200, 100)))
    for _ in range(3):
        answer = await get(visitor, f"{stored.path}?w=64")
        assert (answer.headers["etag"], varies(answer)) == (f'"{stored.hash}"', True)
        assert answer.headers["cache-control"] == "public, max-age=10"
    assert tried == 1


async def test_too_many_at_once_are_turned_away(
    visitor: FrontEnd, media: Running, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "MAX_WAITING", 0)
    stored = await upload(media, alice.id, image("JPEG", (200, 100)))
    assert await refusal(make(media, stored.hash)) == "PICTURE_OVERLOADED"
    assert (await get(visitor, f"{stored.path}?w=64")).headers["etag"] == f'"{stored.hash}"'


async def test_an_old_picture_gets_its_blurhash(local: Running) -> None:
    stored = await upload(local, new_user(), image("JPEG", (200, 100)))
    await execute(local, "UPDATE object SET blurhash = '' WHERE hash = :hash", hash=stored.hash)
    await make(local, stored.hash)
    found = (await find(local, stored.hash))[0].blurhash
    assert (len(found), found[0]) == (28, "L"), "4 waves by 3"
    assert mean_colour(found) == pytest.approx(mean_colour(stored.blurhash), abs=4), "of 255: made of a smaller picture"


def mean_colour(hash: str) -> list[int]:
    """The red, green and blue of a BlurHash's mean, 0 to 255."""
    number = reduce(lambda number, digit: number * 83 + blurhash.DIGITS.index(digit), hash[2:6], 0)
    return list(number.to_bytes(3, "big"))


async def test_they_go_with_the_picture(local: Running) -> None:
    stored = await upload(local, new_user(), image("JPEG", (200, 100)))
    files = [(await make(local, stored.hash, format=format)).file for format in variants.FORMATS]
    keys = {key_of(file) for file in (stored.file, *files)}
    assert len(keys & await keys_of(local)) == 4
    await forget(local, stored.hash)
    assert not keys & await keys_of(local)
    assert not await find(local, *(file.partition(".")[0] for file in files))


async def test_those_of_a_cover_go_with_the_video(local: Running) -> None:
    user = new_user()
    hash = (await upload(local, user, video())).hash
    async with processing(local.service):
        cover = (await settled(local, user, hash)).cover_path.rpartition("/")[2]
    variant = await make(local, cover.partition(".")[0])
    await forget(local, hash)
    assert not {key_of(cover), key_of(variant.file)} & await keys_of(local)


async def test_one_whose_picture_goes_meanwhile_leaves_no_row(local: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = await upload(local, new_user(), image("JPEG", (200, 100)))
    convert = variants._convert

    async def late(*arguments: Any) -> dict[str, Any]:
        made = await convert(*arguments)
        await forget(local, stored.hash)
        return made

    monkeypatch.setattr(variants, "_convert", late)
    assert await refusal(make(local, stored.hash)) == "OBJECT_NOT_FOUND"
    assert not await execute(local, "SELECT FROM derivative WHERE source_hash = :hash", hash=stored.hash)
