"""The chat end to end: acknowledged sends, deliveries to many, what an idle socket costs, everybody reconnecting."""

import asyncio
import base64
import json
import os
import secrets
import time
import uuid
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from bench.load import Result
from bench.report import row, title
from bench.sockets import Client, open_client
from bench.stack import free_ports, running_stack

PAIRS = 32
SECONDS = 5.0
RECEIVERS, PEOPLE = 1_000, 50  # sockets in one group, and whose
IDLE = int(os.environ.get("BENCH_IDLE_SOCKETS", "2000"))
STORM_SECONDS = 10.0


async def measure() -> None:
    ports = free_ports(4)
    names = ("HITOK_MEDIA_GRPC_PORT", "HITOK_MEDIA_METRICS_PORT", "HITOK_CHAT_GRPC_PORT", "HITOK_CHAT_METRICS_PORT")
    settings = {name: str(port) for name, port in zip(names, ports, strict=True)}
    with running_stack(**settings, HITOK_BCRYPT_COST="4", HITOK_CHAT_SOCKETS="100000") as (base, folder):
        pid = gateway_pid(folder)
        async with httpx.AsyncClient(base_url=base, timeout=30) as http:
            people = [await register(http) for _ in range(max(2 * PAIRS, PEOPLE))]
            await idle(base, pid, people)
            await sends(http, base, pid, people)
            await deliveries(http, base, pid, people[:PEOPLE])


async def register(http: httpx.AsyncClient) -> dict[str, str]:
    phone, name = f"175{secrets.randbelow(10**8):08}", "b" + secrets.token_hex(6)
    account = {"nickname": name, "phone": phone, "password": "correct horse"}
    answer = (await http.post("/api/v1/user/register", json=account)).raise_for_status().json()
    token = answer["data"]["token"]
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return {"name": name, "token": token, "id": claims["userid"]}


async def post(http: httpx.AsyncClient, person: dict[str, str], path: str, **body: Any) -> Any:
    answer = await http.post(path, json=body, headers={"Authorization": f"Bearer {person['token']}"})
    return answer.raise_for_status().json()["data"]


async def sends(http: httpx.AsyncClient, base: str, pid: int, people: list[dict[str, str]]) -> None:
    title(f"acknowledged sends, {PAIRS} conversations")
    pairs = list(zip(people[:PAIRS], people[PAIRS : 2 * PAIRS], strict=True))
    for one, other in pairs:
        await post(http, one, "/api/contact/add-friend", username=other["name"])
    clients = [(await open_client(base, person["token"]))[0] for pair in pairs for person in pair]
    targets = [person["id"] for pair in pairs for person in pair]
    for in_flight in (1, 2 * PAIRS):
        senders = clients[:in_flight]
        before = process_cpu(pid)
        result = await send_all(senders, [targets[index ^ 1] for index in range(in_flight)])
        cost = (process_cpu(pid) - before) / result.requests * 1000
        note = f"p50 {result.quantile(0.5):.1f} ms  p99 {result.quantile(0.99):.1f} ms  {cost:.2f} ms of gateway each"
        row(f"{in_flight} at a time", f"{result.rate:.0f}/s", note)
    for client in clients:
        client.transport.close()


async def send_all(clients: list[Client], targets: list[str]) -> Result:
    latencies: list[float] = []
    began = time.perf_counter()

    async def run(client: Client, target: str) -> None:
        while (started := time.perf_counter()) < began + SECONDS:
            await client.ask("send", **message({"user_id": target}))
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*map(run, clients, targets))
    return Result(len(latencies), time.perf_counter() - began, sorted(latencies), 0)


def message(to: dict[str, str]) -> dict[str, Any]:
    body = {"text": "how do you do"}
    return {"to": to, "client_msg_id": str(uuid.uuid4()), "content_type": "text", "body": body}


async def deliveries(http: httpx.AsyncClient, base: str, pid: int, people: list[dict[str, str]]) -> None:
    title(f"one sender, {RECEIVERS} receivers ({PEOPLE} people's)")
    owner, *others = people
    await post(http, owner, "/api/contact/create-community", name="b" + secrets.token_hex(4))
    group = (await post(http, owner, "/api/contact/load-community"))["groups"][0]["id"]
    for person in others:
        await post(http, person, "/api/contact/join-community", community_id=group)
    sender, _ = await open_client(base, owner["token"])
    await sender.ask("send", **message({"group_id": group}))
    await asyncio.sleep(1)
    clients = [(await open_client(base, others[n % len(others)]["token"]))[0] for n in range(RECEIVERS)]
    latencies: list[float] = []
    sent_at = [0.0]
    arrived = asyncio.Event()
    left = count()

    def take(payload: bytes) -> None:
        if payload.startswith(b'{"type":"message"'):
            latencies.append(time.perf_counter() - sent_at[0])
            if next(left) % RECEIVERS == RECEIVERS - 1:
                arrived.set()

    for client in clients:
        client.on_event = take
    began, cpu = time.perf_counter(), process_cpu(pid)
    while time.perf_counter() < began + SECONDS:
        sent_at[0] = time.perf_counter()
        arrived.clear()
        await sender.ask("send", **message({"group_id": group}))
        await asyncio.wait_for(arrived.wait(), 30)
    seconds = time.perf_counter() - began
    gateway = process_cpu(pid) - cpu
    result = Result(len(latencies), seconds, sorted(latencies), 0)
    note = f"p50 {result.quantile(0.5):.1f} ms  p99 {result.quantile(0.99):.1f} ms, this client included"
    row("deliveries", f"{result.rate:.0f}/s", note)
    row("of the gateway's own time", f"{len(latencies) / gateway:.0f}/s", "per second of its CPU; aim: 20000")
    for client in [sender, *clients]:
        client.transport.close()


async def idle(base: str, pid: int, people: list[dict[str, str]]) -> None:
    title(f"{IDLE} sockets, {len(people)} people's")
    before = resident(pid)  # first of all: memory once taken is used again
    clients, times = await connect_all(base, people, IDLE, 0)
    await asyncio.sleep(1)
    row("an idle socket", f"{(resident(pid) - before) / IDLE:.1f} KiB", "aim: at most 40")
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(1)
    clients, times = await connect_all(base, people, IDLE, STORM_SECONDS)
    result = Result(len(times), STORM_SECONDS, sorted(times), 0)
    note = f"p50 {result.quantile(0.5):.0f} ms  p99 {result.quantile(0.99):.0f} ms to `ready`; aim: p99 under 2000"
    note += f"  {IDLE - len(times)} failed" if len(times) < IDLE else ""
    row(f"all back within {STORM_SECONDS:g} s", f"{IDLE / STORM_SECONDS:.0f}/s", note)
    for client in clients:
        client.transport.close()


async def connect_all(
    base: str, people: list[dict[str, str]], number: int, seconds: float
) -> tuple[list[Client], list[float]]:
    """Spread over so many seconds, or 50 at a time."""
    free = asyncio.Semaphore(50 if not seconds else number)

    async def run(index: int) -> tuple[Client, float]:
        await asyncio.sleep(seconds * index / number)
        async with free:
            return await open_client(base, people[index % len(people)]["token"])

    opened = await asyncio.gather(*map(run, range(number)), return_exceptions=True)
    good = [each for each in opened if not isinstance(each, BaseException)]
    return [client for client, _ in good], [took for _, took in good]


def gateway_pid(folder: Path) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"-m\0gateway\0" in command and str(folder).encode() in (process / "environ").read_bytes():
                return int(process.name)
        except OSError:
            continue
    raise SystemExit("no gateway found")


def resident(pid: int) -> float:
    """KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0])


def process_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
