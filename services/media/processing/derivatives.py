"""Makes a job's files of a video. A child process writes them; each is then stored as an object and linked to the
video.

The profiles `cover` and `cover-at-<milliseconds>` are pictures, `playback` is an MP4 that browsers play. If the video
had to be encoded for `playback`, three more are made: `segments`, the same recording in fragments, `hls-first`, the
playlist of those fragments, and `hls`, the master playlist that names it.

The profile `animation` makes the `playback` of an animated picture.

A video that deserves several sizes then gets a job of the profile `ladder`. It makes `segments-<side>` and `hls-<side>`
for each size, `segments-sound` and `hls-sound` of what is heard, and replaces `hls` by the master playlist of all. If
that video had to be encoded, `playback` is the smallest size at first, so that it can be watched soon, and the largest
in the end.

If the recording is HDR, a job of the profile `hdr` then makes `segments-hdr` and `hls-hdr`, and adds them to the master
playlist.

A job of the profile `storyboard` makes a sheet of small pictures, `storyboard-sheet`, and its index, `storyboard`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select, update

from services.kit.errors import Invalid
from services.media.config import MIB
from services.media.errors import ProcessingInterrupted
from services.media.files import probe
from services.media.files.derivation import keep
from services.media.files.filetypes import TYPES
from services.media.files.ingest import ANIMATION
from services.media.files.probe import Facts
from services.media.models import Derivative, Object
from services.media.processing import progress, storyboards
from services.media.processing.playlists import master, playlist, with_hdr
from services.media.resources import Resources
from services.media.videos import chosen_covers
from services.media.videos.captions import captions
from services.objectstore.store import key_of

MEMORY_MEGABYTES = 2_048
COVER, PLAYBACK, LADDER, HDR, STORYBOARD = "cover", "playback", "ladder", "hdr", "storyboard"
STORYBOARD_FROM = 2_000  # milliseconds: there is nothing to scrub in shorter videos
KILLED = ("KILLED", "DIED")  # the machine may have been short of memory
FIRST_PLAYBACK, FIRST_MASTER, LADDER_MASTER = "playback-first", "hls-master-first", "hls-master-ladder"


async def make(service: Resources, job: Row[Any]) -> Sequence[str]:
    """Makes the derivatives of one job (a row of `job` joined with its object). Returns the profiles of the jobs to
    add.

    Raises FileBroken and the other refusals, ProcessingInterrupted, Unavailable, OSError.
    """
    with service.storage.scratch() as scratch:
        begun = await _begun_ladder(service, job.hash) if job.profile == LADDER else ""
        made = await _convert(service, job, scratch, {"begun": True} if begun else {})
        if job.profile == LADDER:
            await _keep_ladder(service, job.hash, scratch, made, begun)
        elif job.profile == HDR:
            await _keep_hdr(service, job.hash, scratch, made["hdr"])
        elif job.profile == STORYBOARD:
            await _keep_storyboard(service, job.hash, scratch, made)
        elif made["extension"]:
            await _keep_rendition(service, job, scratch, made)
        return _following(job, made)


def _following(job: Row[Any], made: dict[str, Any]) -> list[str]:
    has_storyboard = job.profile == PLAYBACK and job.duration >= STORYBOARD_FROM
    has_hdr = job.profile == LADDER and bool(made["hdr"])
    return [STORYBOARD] * has_storyboard + [LADDER] * bool(made.get("ladder")) + [HDR] * has_hdr


async def _keep_rendition(service: Resources, job: Row[Any], scratch: Path, made: dict[str, Any]) -> None:
    target, cuts = _target(scratch), _cuts(scratch)
    facts = await _facts_of(service, target, made["extension"])
    await keep(service, job.hash, "playback" if job.profile == ANIMATION else job.profile, target, facts)
    if facts.blurhash and job.profile == COVER:
        await _describe(service, job.hash, facts.blurhash)
    if segments := made.get("segments"):
        file = await keep(service, job.hash, "segments", cuts, facts)
        listed = await _keep_text(service, job.hash, "hls-first", scratch, playlist(file, segments), facts)
        text = master([(listed, made["rung"])])
        if made["reduced"]:  # the smallest size, shown until the others are made
            await keep(service, job.hash, FIRST_PLAYBACK, target, facts)
            await _keep_text(service, job.hash, FIRST_MASTER, scratch, text, facts)
        await _keep_text(service, job.hash, "hls", scratch, text, facts)
        await captions.follow_playlist(service, job.hash)


async def _facts_of(service: Resources, path: Path, extension: str) -> Facts:
    """The facts of a file that a child made. Raises ProcessingInterrupted for one that is not whole, Unavailable."""
    try:
        return await probe.probe(service.settings, path, TYPES[extension])
    except Invalid as error:
        raise ProcessingInterrupted(str(error)) from None


async def _begun_ladder(service: Resources, source: str) -> str:
    """The master playlist of the lowest rung, if that was made to be watched soon; else ""."""
    return await _text_of(service, source, FIRST_MASTER)


async def _text_of(service: Resources, source: str, profile: str) -> str:
    """A playlist that was made; "" if it was not."""
    made = select(Derivative.object_hash).where(Derivative.source_hash == source, Derivative.profile == profile)
    async with service.database.transaction() as connection:
        hash = (await connection.execute(made)).scalar_one_or_none()
    if hash is None:
        return ""
    return b"".join([chunk async for chunk in service.storage.read(key_of(f"{hash}.m3u8"))]).decode()


async def _keep_ladder(service: Resources, source: str, scratch: Path, made: dict[str, Any], begun: str) -> None:
    """Stores all sizes. Files that were shown before keep their addresses."""
    listed, rungs = [], made["rungs"]
    for rung in rungs:
        facts = await _facts_of(service, _made(scratch, rung["whole"]), "mp4")
        file = await keep(service, source, f"segments-{rung['side']}", _made(scratch, rung["cuts"]), facts)
        text = playlist(file, rung["segments"])
        listed.append((await _keep_text(service, source, f"hls-{rung['side']}", scratch, text, facts), rung))
    sound = made["sound"] and await _keep_sound(service, source, scratch, made["sound"], facts)
    await _keep_text(service, source, "hls", scratch, master(listed, begun, sound), facts)
    await captions.follow_playlist(service, source)
    if begun:
        await keep(service, source, "playback", _made(scratch, rungs[-1]["whole"]), facts)


async def _keep_sound(
    service: Resources, source: str, scratch: Path, sound: dict[str, Any], of: Facts
) -> tuple[str, dict[str, Any]]:
    facts = Facts(TYPES["m4a"], duration=of.duration, codec="aac")
    file = await keep(service, source, "segments-sound", _made(scratch, sound["cuts"]), facts)
    text = playlist(file, sound["segments"])
    return await _keep_text(service, source, "hls-sound", scratch, text, of), sound


async def _keep_hdr(service: Resources, source: str, scratch: Path, made: dict[str, Any]) -> None:
    """The master playlist of the ladder keeps its address."""
    facts = await _facts_of(service, _target(scratch), "mp4")
    file = await keep(service, source, "segments-hdr", _cuts(scratch), facts)
    name = await _keep_text(service, source, "hls-hdr", scratch, playlist(file, made["segments"]), facts)
    shown = await _text_of(service, source, "hls")
    await _keep_text(service, source, LADDER_MASTER, scratch, shown, facts)
    await _keep_text(service, source, "hls", scratch, with_hdr(shown, (name, made)), facts)
    await captions.follow_playlist(service, source)


async def _keep_storyboard(service: Resources, source: str, scratch: Path, made: dict[str, Any]) -> None:
    facts = await _facts_of(service, _target(scratch), "jpg")
    sheet = await keep(service, source, "storyboard-sheet", _target(scratch), facts)
    await _keep_text(service, source, STORYBOARD, scratch, storyboards.index(sheet, made), facts, "tiles")


async def _keep_text(
    service: Resources, source: str, profile: str, scratch: Path, text: str, of: Facts, extension: str = "m3u8"
) -> str:
    path = scratch.with_name(f"{scratch.name}.{extension}")
    path.write_text(text)
    return await keep(service, source, profile, path, Facts(TYPES[extension], duration=of.duration))


def _target(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}-whole")


def _cuts(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}-cuts")


def _made(scratch: Path, told: str) -> Path:
    """Returns the path of a file that the child reported. Refuses a path outside of the child's folder."""
    return scratch.with_name(Path(told).name)


async def _describe(service: Resources, hash: str, blurhash: str) -> None:
    """Gives a video the blurhash of its cover."""
    async with service.database.transaction() as connection:
        await connection.execute(update(Object).where(Object.hash == hash).values(blurhash=blurhash))


async def _convert(service: Resources, job: Row[Any], scratch: Path, options: dict[str, Any]) -> dict[str, Any]:
    settings, chosen = service.settings, chosen_covers.time_in(job.profile)
    async with service.storage.local(key_of(f"{job.hash}.{job.extension}")) as source:
        request = {
            "profile": job.profile if chosen is None else COVER,
            "source": str(source),
            "extension": job.extension,
            "target": str(_target(scratch)),
            "cuts": str(_cuts(scratch)),
            "options": options if chosen is None else {"at": chosen},
            # The first attempt may have ended with its service, which says nothing about the file.
            "frugal": job.attempts > 2,
            "cpu_seconds": settings.job_seconds * 2,
            "memory_megabytes": MEMORY_MEGABYTES,
            "file_megabytes": 2 * settings.max_video_bytes // MIB + 16,
        }
        async with progress.following(service, job, scratch.with_name("progress")):
            made = await probe.run_child("conversion", request, settings.job_seconds)
            if made.get("refused") in KILLED:
                made = await probe.run_child("conversion", request | {"frugal": True}, settings.job_seconds)
    if made.get("refused") in KILLED:
        raise ProcessingInterrupted(made["detail"])
    if "refused" in made:
        raise probe.REFUSALS[made["refused"]](made["detail"])
    return made
