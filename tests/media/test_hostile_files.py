"""Hostile files: no process dies of them, and none costs more than its bound before it is refused or queued.

HITOK_HOSTILE_FILES says how many are uploaded, HITOK_HOSTILE_SEED which; `make hostile` takes 200 and prints figures.
"""

import asyncio
import itertools
import os
import resource
import time
from collections import Counter
from pathlib import Path

import grpc.aio

from services.kit.errors import reason_of
from services.media.files.children import children
from tests.media.hostile import gif_of_frames, hostile
from tests.support.media import Running, image, upload
from tests.support.social import new_user

FILES = int(os.environ.get("HITOK_HOSTILE_FILES", "38"))
SEED = int(os.environ.get("HITOK_HOSTILE_SEED", "1"))
CPU_SECONDS = 2.0 if FILES >= 200 else 8.0  # of the service and its children; machines of CI are slower
AT_ONCE = 5  # hostile files of one user: what the gateway lets through in a burst, before it takes three per minute
REASONS = {
    "FILE_BROKEN",
    "FILE_TYPE_REFUSED",
    "FILE_TOO_LARGE",
    "FILE_TRUNCATED",
    "FILE_ENCRYPTED",
    "FILE_CODEC_UNSUPPORTED",
    "FILE_SOUND_UNSUPPORTED",
    "FILE_PICTURE_UNSUPPORTED",
}


def cpu_seconds() -> float:
    """Of this process and all that it started, also of the children of its fork servers, which only those wait for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    forked = [ticks_of(server.process.pid) for servers in children._servers for server in servers._started]
    return sum(each.ru_utime + each.ru_stime for each in used) + sum(forked) / children.TICKS


def ticks_of(process: int) -> int:
    """Of the processor, for the process and for its children that have ended (proc_pid_stat(5)); 0 if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


async def test_hostile_files(local: Running) -> None:
    outcomes, costs = Counter[str](), list[tuple[float, str]]()
    for name, data in hostile(SEED, FILES):
        before = cpu_seconds()
        try:
            await upload(local, new_user(), data)
            outcome = "taken"
        except grpc.aio.AioRpcError as error:
            outcome = reason_of(error)
            assert outcome in REASONS, (name, outcome, error.details())
        costs.append((cpu_seconds() - before, name))
        outcomes[outcome] += 1
    dearest = sorted(costs, reverse=True)[:5]
    print(f"\n{sum(outcomes.values())} files: {dict(outcomes)}")
    print("dearest, in seconds of CPU:", ", ".join(f"{name} {seconds:.2f}" for seconds, name in dearest))
    assert dearest[0][0] < CPU_SECONDS, dearest
    assert not list(local.service.storage.spool.iterdir()), "nothing of them is left"


async def attack(local: Running, user: int, gate: asyncio.Semaphore, data: bytes, outcomes: Counter[str]) -> None:
    """Uploads it, again and again for as long as too many files wait."""
    outcome = ""
    while outcome in ("", "PROBE_OVERLOADED"):
        try:
            async with gate:
                await upload(local, user, data, timeout=300)
            outcome = "taken"
        except grpc.aio.AioRpcError as error:
            outcome = reason_of(error)
            await asyncio.sleep(outcome == "PROBE_OVERLOADED")
        outcomes[outcome] += 1


async def seconds_of_uploads(local: Running, count: int) -> list[float]:
    """How long each of `count` pictures takes, one after the other, each of another user; sorted."""
    taken = []
    for _ in range(count):
        begun = time.monotonic()
        await upload(local, new_user(), image("PNG", (64, 64)))
        taken.append(time.monotonic() - begun)
    return sorted(taken)


def described(taken: list[float]) -> str:
    return f"p50 {taken[len(taken) // 2]:.2f} s, p99 {taken[int(len(taken) * 0.99)]:.2f} s of {len(taken)}"


async def test_others_upload_meanwhile(local: Running) -> None:
    """Prints how long that takes, alone and while hostile files of one user come, and of ten, one after the other.

    tests/media/files/test_turns.py holds that one file of each other user goes first at most, and that users of
    refused files have one turn together, behind all others.
    """
    many = FILES >= 200
    count = 200 if many else 3
    await seconds_of_uploads(local, 3)  # starts what the service starts when it is needed
    print("\nother users' pictures, alone:", described(await seconds_of_uploads(local, count)))
    for attackers in (1, 10) if many else (2,):
        users, outcomes = [(new_user(), asyncio.Semaphore(AT_ONCE)) for _ in range(attackers)], Counter[str]()
        files = (
            [data for _, data in hostile(SEED + attackers, FILES)]
            if many
            else [gif_of_frames(300 + n, 300, 60) for n in range(8)]
        )
        attacks = [
            asyncio.create_task(attack(local, *user, data, outcomes))
            for user, data in zip(itertools.cycle(users), files, strict=False)
        ]
        taken = await seconds_of_uploads(local, count)
        left = sum(not each.done() for each in attacks)
        for each in attacks:
            each.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)
        print(f"with {len(files)} hostile files of {attackers} users: {described(taken)}")
        print(f"{left} of them had no answer at the end; outcomes: {dict(outcomes)}")
