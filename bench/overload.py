"""What becomes of five times the load that hitok can serve? Aims: goodput (answers within 1 s) at least 0.8 of the
peak; the rest refused within 100 ms; other routes' p99 at most 1 s; normal within 5 s after.

`python -m bench overload`; OVERLOAD_SECONDS (60), OVERLOAD_TIMES (5), OVERLOAD_KINDS (reads,mixed,sends,logins).
"""

import asyncio
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from bench.clients.load import build_request, quantile
from bench.clients.open_load import GOOD, OpenLoad, Outcome, cpu_seconds
from bench.clients.people import Person, post, register_all
from bench.likes import publish
from bench.report import row, title
from bench.servers.processes import allow_many_files, family_cpu, pid_of, resident
from bench.servers.stack import PASSWORD, running_stack

SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "60"))
TIMES = float(os.environ.get("OVERLOAD_TIMES", "5"))
KINDS = os.environ.get("OVERLOAD_KINDS", "reads,mixed,sends,logins").split(",")
PEOPLE = 40
STEPS = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0, 32.0)  # of the search for the peak
PROBES = 20.0  # requests/s to another route meanwhile
MODULES = ("gateway", "services.user", "services.social", "services.media", "services.chat")

Make = Callable[[int], bytes]


class Result(NamedTuple):
    kind: str
    good: int
    goodput: float  # share of the peak
    refused: float  # p99 of refusals, ms
    others: float  # p99 of other routes, ms
    normal_after: float  # seconds
    failed: int


async def measure() -> list[Result]:
    allow_many_files()
    cores = os.sched_getaffinity(0)
    try:
        return await measure_on(*split_cores())
    finally:
        os.sched_setaffinity(0, cores)


async def measure_on(own: set[int], theirs: set[int]) -> list[Result]:
    os.sched_setaffinity(0, theirs)  # the stack inherits it
    with running_stack() as (base, folder):
        os.sched_setaffinity(0, own)
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            people = await register_all(http, PEOPLE)
            for one, other in zip(people[::2], people[1::2], strict=True):
                await post(http, one, "/api/contact/add-friend", username=other["name"])
                await post(http, other, "/api/contact/add-friend", username=one["name"])
        for person in people[:20]:
            publish(base, person["token"])
        makers = {
            "reads": (reads(base, people), 100.0),
            "mixed": (mixed(base, people), 100.0),
            "sends": (sends(base, people), 100.0),
            "logins": (logins(base), 4.0),
        }
        probe = probe_of(base, people[0])
        return [await overload(base, folder, kind, *makers[kind], probe) for kind in KINDS]


def split_cores() -> tuple[set[int], set[int]]:
    """A core for the generator and the others for the servers, so that neither takes the other's time."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others or [first])


async def overload(base: str, folder: Path, kind: str, make: Make, unit: float, probe: Make) -> Result:
    title(f"{kind}: {TIMES:g} times the peak for {SECONDS:g} s")
    address = (str(urlsplit(base).hostname), int(urlsplit(base).port or 80))
    load, others = OpenLoad(address), OpenLoad(address)
    peak = await find_peak(load, make, unit, pid_of("deploy.local", folder))
    await asyncio.sleep(3)
    pids = {module: pid_of(module, folder) for module in MODULES}
    before, shed_before = {module: resident(pid) for module, pid in pids.items()}, shed_by(base, folder)
    most, own = dict(before), cpu_seconds()
    watching = asyncio.create_task(watch(pids, most))
    outcome, other = await asyncio.gather(load.run(make, TIMES * peak, SECONDS), others.run(probe, PROBES, SECONDS))
    own, ended = cpu_seconds() - own, asyncio.get_running_loop().time()
    shed = {name: total - shed_before[name] for name, total in shed_by(base, folder).items()}
    calm = await load.run(make, peak / 2, 10.0)
    watching.cancel()
    show(outcome, peak)
    row("refused by", "", ", ".join(f"{name} {total:.0f}" for name, total in shed.items() if total))
    note = f"{len(other.good)} good, {len(other.refused)} refused, failed {other.failed}; aim: p99 at most 1000"
    p99 = quantile([*other.good, *other.refused], 0.99)
    row("other routes", f"{p99:.0f} ms p99", note)
    last = max((moment - ended for moment in calm.ended_at), default=0.0)
    slow = sum(latency > GOOD for latency in calm.good)
    row("normal after", f"{last:.1f} s", f"{len(calm.ended_at)} of {calm.offered} refused, {slow} slow; aim: 5")
    row(
        "memory, MiB", "", ", ".join(f"{name} {before[name] / 1024:.0f} to {most[name] / 1024:.0f}" for name in MODULES)
    )
    row("the generator", f"{own / SECONDS:.2f} cores", f"sends {quantile(outcome.late, 0.99):.0f} ms late, p99")
    load.close()
    others.close()
    failed = sum([*outcome.failed.values(), *other.failed.values()])
    refused = quantile(outcome.refused, 0.99)
    return Result(kind, len(outcome.good), outcome.goodput / peak, refused, p99, last, failed)


def shed_by(base: str, folder: Path) -> dict[str, float]:
    """How many requests and calls each process has refused as overloaded."""
    urls = {"gateway": base}
    for name in ("user", "social", "media", "chat"):
        settings = json.loads((folder / "settings" / f"{name}.json").read_bytes())
        urls[name] = f"http://127.0.0.1:{settings[f'HITOK_{name.upper()}_METRICS_PORT']}"
    return {name: sum_of("hitok_shed_total", httpx.get(f"{url}/metrics").text) for name, url in urls.items()}


def sum_of(metric: str, exposition: str) -> float:
    lines = (line for line in exposition.splitlines() if line.startswith(metric))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def find_peak(load: OpenLoad, make: Make, unit: float, stack: int) -> float:
    """The most answers within a second, per second, at any rate."""
    peak = 0.0
    for rate in (unit * step for step in STEPS):
        used = family_cpu(stack)
        found = await load.run(make, rate, 4.0)
        used = (family_cpu(stack) - used) / max(len(found.good), 1)
        row(f"offered {rate:.0f}/s", f"{found.goodput:.0f}/s", f"{used * 1000:.2f} ms CPU of all servers each")
        peak = max(peak, found.goodput)
        if found.goodput < 0.8 * rate:
            break
        await asyncio.sleep(1)
    row("peak", f"{peak:.0f}/s")
    return peak


def show(outcome: Outcome, peak: float) -> None:
    total = max(outcome.offered, 1)
    row("goodput", f"{outcome.goodput:.0f}/s", f"{outcome.goodput / peak:.2f} of the peak; aim: at least 0.80")
    row(
        "good",
        f"{len(outcome.good) / total:.1%}",
        f"p50 {quantile(outcome.good, 0.5):.0f} ms  p99 {quantile(outcome.good, 0.99):.0f}",
    )
    note = f"p50 {quantile(outcome.refused, 0.5):.0f} ms  p99 {quantile(outcome.refused, 0.99):.0f}; aim: 100"
    row("refused", f"{len(outcome.refused) / total:.1%}", f"{note}; {outcome.retry_after} name a time")
    row("failed", f"{sum(outcome.failed.values()) / total:.1%}", str(outcome.failed))


async def watch(pids: dict[str, int], most: dict[str, float]) -> None:
    while True:
        for module, pid in pids.items():
            most[module] = max(most[module], resident(pid))
        await asyncio.sleep(1)


def headers_of(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person['token']}", "Content-Type": "application/json"}


def reads(base: str, people: list[Person]) -> Make:
    paths = (
        "/api/videos",
        "/api/user/get-my-info",
        "/api/chat/conversations",
        "/v1/social/friends",
        "/api/videos?page=2",
    )
    requests = [build_request(base + path, headers_of(person)) for person in people for path in paths]
    return lambda number: requests[number % len(requests)]


def sends(base: str, people: list[Person]) -> Make:
    marks = str(uuid.uuid4())[:24]
    parts: list[tuple[bytes, bytes]] = []
    for number, person in enumerate(people):
        to = {"user_id": people[number ^ 1]["id"]}
        body = {"to": to, "client_msg_id": "#" * 36, "content_type": "text", "body": {"text": "how do you do"}}
        request = build_request(f"{base}/api/chat/send", headers_of(person), "POST", json.dumps(body).encode())
        head, tail = request.split(b"#" * 36)
        parts.append((head, tail))
    taken = iter(range(2**62))

    def make(number: int) -> bytes:
        head, tail = parts[number % len(parts)]
        return b"%b%b%012x%b" % (head, marks.encode(), next(taken), tail)

    return make


def mixed(base: str, people: list[Person]) -> Make:
    """Three reads to a send."""
    read, send = reads(base, people), sends(base, people)
    return lambda number: send(number) if number % 4 == 3 else read(number)


def logins(base: str) -> Make:
    """Of an account that does not exist, which takes as long."""
    headers = {"Content-Type": "application/json"}
    body = {"email": "nobody@example.com", "password": PASSWORD}
    request = build_request(f"{base}/api/login/login", headers, "POST", json.dumps(body).encode())
    return lambda number: request


def probe_of(base: str, person: Person) -> Make:
    """A read, a write and health."""
    requests = [
        build_request(f"{base}/api/user/get-my-info", headers_of(person)),
        build_request(f"{base}/api/user/set-profile", headers_of(person), "POST", b'{"bio":"here"}'),
        build_request(f"{base}/health/ready", {}),
    ]
    return lambda number: requests[number % len(requests)]
