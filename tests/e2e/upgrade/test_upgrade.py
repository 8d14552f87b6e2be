"""The release before and this one, two of each process: migrations, then any order of restart, there and back, fail no
request.

`make upgrade` runs it: HITOK_UPGRADE_FROM names the older revision, HITOK_UPGRADE_SEED the order of the restarts.
"""

import asyncio
import os
import random
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from deploy.local.services import SERVICES, Service, replicate
from services.kit.background import cancel
from tests.e2e.balancer import balancing
from tests.e2e.people import register
from tests.e2e.test_replicas import NEVER, Load, heard, restart, send
from tests.e2e.upgrade.releases import HERE, MixedRun, Release, git, unpack
from tests.support.device import Device
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code
from tests.support.video_people import URL

FIRST = "df2a03c"  # the first revision whose processes leave a service before it stops
RATE = float(os.environ.get("HITOK_UPGRADE_RATE", "50"))  # requests per second
SEED = int(os.environ.get("HITOK_UPGRADE_SEED", "0")) or random.SystemRandom().randrange(2**32)
CALM = 5.0  # seconds of load between the migrations and the first restart
HEAD = f"{'':3} {'restarted':12} {'runs':9} {'seconds':>7} {'requests':>8} {'failed':>6}"

pytestmark = pytest.mark.skipif("HITOK_UPGRADE_FROM" not in os.environ, reason="run make upgrade")


def revision_before() -> str:
    """HITOK_UPGRADE_FROM, else the last release, else FIRST."""
    if named := os.environ["HITOK_UPGRADE_FROM"]:
        return named
    try:
        return git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD").decode().strip()
    except subprocess.CalledProcessError:
        return FIRST


@pytest.fixture
def before() -> Iterator[Release]:
    revision = revision_before()
    try:
        git("cat-file", "-e", f"{revision}^{{commit}}")
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip(f"this checkout does not have the history with {revision}")
    print(f"\nHITOK_UPGRADE_FROM={revision} HITOK_UPGRADE_SEED={SEED}\n{HEAD}", flush=True)
    with temporary_folder() as folder:
        folder.chmod(0o755)  # PostgreSQL runs as another user
        yield unpack(revision, folder / "before")


async def test_upgrading_and_going_back_fails_no_request(before: Release) -> None:
    settings = {"HITOK_DRAIN_SECONDS": "3", "HITOK_QUEUE_SECONDS": NEVER}
    with temporary_folder() as folder:
        running = MixedRun(folder / "var", before, 2, **settings)
        try:
            running.start()
            await drill(running, before)
        finally:
            running.close()


async def drill(running: MixedRun, before: Release) -> None:
    async with balancing(running.gateways) as http:
        alice, ben = [await register(http, lambda address: mailed_code(running.var, address)) for _ in range(2)]
        await ben.post("/api/contact/add-friend", username=alice.name)
        await alice.post("/api/contact/add-friend", username=ben.name)
        user_id = (await alice.get("/api/user/get-my-info"))["id"]
        conversation = (await send(ben, user_id, str(uuid.uuid4())))["conversation_id"]
        await ben.post("/api/videos/create-video", video_path=URL, title="clip")
        device = Device(int(user_id), alice.token, running.gateways, random.Random(1))
        living, load = asyncio.create_task(device.live()), Load(http, alice, ben, RATE)
        loading = asyncio.create_task(load.run())
        await restart_all(running, load, before)
        load.stop()
        await loading
        log = await heard(device, conversation, load.sent)
        await cancel(living)
        device.stop()
    errors = [line for line in running.logs().splitlines() if '"level": "error"' in line or " error " in line]
    assert not load.failures, (SEED, load.failures[:20], errors[-20:])
    assert not device.failures, device.failures
    assert max(Counter(log).values()) == 1


async def restart_all(running: MixedRun, load: Load, before: Release) -> None:
    dice, processes = random.Random(SEED), replicate(SERVICES, 2)
    for service in SERVICES:
        if service.database:
            await asyncio.to_thread(running.migrate, service, HERE)
            await asyncio.to_thread(running.add_columns, service)
    await asyncio.sleep(CALM)
    print(f"{'':3} {'migrated':12} {'':17} {load.done:8} {len(load.failures):6}", flush=True)
    steps = [(service, HERE) for service in dice.sample(processes, len(processes))]
    steps += [(service, before) for service in dice.sample(processes, len(processes))]
    for number, (service, release) in enumerate(steps):
        began, done, failed = time.monotonic(), load.done, len(load.failures)
        await replace(running, service, None if release is before else release)
        assert running.folder_of(service.label) == release.folder.resolve()
        name, took = "this" if release is HERE else "before", time.monotonic() - began
        counts = f"{load.done - done:8} {len(load.failures) - failed:6}"
        print(f"{number + 1:3} {service.label:12} {name:9} {took:7.1f} {counts}", flush=True)
        print("".join(f"    {count} x {what}\n" for what, count in Counter(load.failures[failed:]).items()), end="")


async def replace(running: MixedRun, service: Service, release: Release | None) -> None:
    running.switch(service, release)
    await restart(running, service.label)
