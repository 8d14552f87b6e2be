"""What holds while a server that the service needs is away, and after it or the service itself was killed."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import grpc.aio
import msgspec
from sqlalchemy import text

from services.chat.config import ChatSettings
from services.chat.service import MIGRATIONS
from services.kit import schema
from services.kit.errors import reason_of
from tests.support.chat import (
    Running,
    chat_settings,
    connected,
    direct,
    execute,
    friends,
    group,
    listed,
    new_key,
    new_ticket,
    redeem,
    running_chat_service,
    running_pair,
    send,
    until,
    watching,
    whole_history,
)
from tests.support.servers import Servers, frozen, private_nats, private_postgres, private_valkey
from tests.support.social import Running as Social
from tests.support.social import group_with, new_users, outcomes
from tests.support.user import environment


async def test_with_nats_away_sends_are_acknowledged_and_pushed_later(
    servers: Servers, social: Social, tmp_path: Path
) -> None:
    with private_nats(tmp_path) as nats:
        async with running_pair(servers, social, tmp_path, "no_nats", HITOK_NATS_URL=nats.url) as chat:
            a, b = await friends(social)
            cv = (await send(chat, a, direct(b))).conversation_id
            nats.kill()
            await until(lambda: is_disconnected(chat))
            started = time.monotonic()
            acks = [await send(chat, a, direct(b), str(n)) for n in range(5)]
            assert [ack.seq for ack in acks] == [2, 3, 4, 5, 6] and time.monotonic() - started < 2
            nats.start()
            await until(lambda: is_connected(chat))
            async with watching(chat) as frames:
                for ack in acks:
                    await frames.expect(f"push.conv.{cv}", "message", rev=ack.rev, seq=ack.seq)
            await until(lambda: none_left(chat))


async def is_connected(chat: Running) -> bool:
    return chat.service.nats.is_connected


async def is_disconnected(chat: Running) -> bool:
    return not chat.service.nats.is_connected


async def none_left(chat: Running) -> bool:
    return not await execute(chat, "SELECT FROM push")


async def test_a_frozen_nats_holds_nobody_up(servers: Servers, social: Social, tmp_path: Path) -> None:
    with private_nats(tmp_path) as nats:
        async with running_pair(servers, social, tmp_path, "frozen_nats", HITOK_NATS_URL=nats.url) as chat:
            a, b = await friends(social)
            await send(chat, a, direct(b))
            with frozen(nats):
                started = time.monotonic()
                assert [(await send(chat, a, direct(b), "x" * 40_000)).seq for _ in range(100)] == list(range(2, 102))
                assert time.monotonic() - started < 5
            await until(lambda: none_left(chat), 30)


async def test_what_was_committed_before_the_process_died_is_pushed_by_another(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = (await send(chat, a, direct(b))).conversation_id
    async with watching(chat) as frames:
        await execute(
            chat,
            "INSERT INTO push (subject, header, payload, due_at) VALUES (:subject, :header, :payload, now())",
            subject=f"push.conv.{cv}",
            header="rev: 2",
            payload='{"type":"message","data":{"rev":2}}',
        )
        await frames.expect(f"push.conv.{cv}", "message", rev=2)
        assert frames.seen[-1][1] == {"rev": "2"}


async def test_with_valkey_away_the_chat_goes_on_without_tickets(
    servers: Servers, social: Social, tmp_path: Path
) -> None:
    with private_valkey(tmp_path) as valkey:
        async with running_pair(servers, social, tmp_path, "no_valkey", HITOK_REDIS_URL=valkey.url) as chat:
            a, b = await friends(social)
            ticket = await new_ticket(chat, a)
            valkey.kill()
            assert await outcomes(new_ticket(chat, a), redeem(chat, ticket)) == {"CACHE_UNAVAILABLE": 2}
            assert (await send(chat, a, direct(b))).seq == 1
            from tests.chat.test_presence import online_among, presence, refresh, report_requests  # noqa: PLC0415

            await refresh(chat, (a, "c", False))
            assert await presence(chat, b, a) == {}, "unknown"
            assert not await report_requests(chat, (a, 0.0)), "lost, and to be reported again"
            assert await online_among(chat, a) == set()
            valkey.start()
            assert [holder.user_id for holder in await redeem(chat, await new_ticket(chat, a))] == [a]


async def test_with_postgres_away_nothing_is_acknowledged_and_all_is_well_after(
    servers: Servers, social: Social, tmp_path: Path
) -> None:
    with private_postgres(tmp_path) as postgres:
        settings = chat_settings(postgres.url, servers, tmp_path, social.target)
        async with running_chat_service(settings) as chat:
            a, b = await friends(social)
            keys = [new_key() for _ in range(60)]
            acked: dict[str, int] = {}

            async def keep_trying(key: str) -> None:
                while key not in acked:
                    try:
                        acked[key] = (await send(chat, a, direct(b), key, key=key)).seq
                    except grpc.aio.AioRpcError as error:
                        assert reason_of(error) in ("DATABASE_UNAVAILABLE", "UNAVAILABLE", "OVERLOADED")
                        await asyncio.sleep(0.05)

            async def restart() -> None:
                for _ in range(2):
                    await asyncio.sleep(0.2)
                    postgres.kill()
                    await asyncio.sleep(0.2)
                    await asyncio.to_thread(postgres.start)

            async def spread(start: int) -> None:
                for key in keys[start::3]:
                    await keep_trying(key)
                    await asyncio.sleep(0.02)

            await asyncio.gather(restart(), *(spread(n) for n in range(3)))
            messages = await whole_history(chat, b, (await listed(chat, b))[0].conversation_id)
            assert [m.seq for m in messages] == list(range(1, len(keys) + 1))
            assert {m.client_msg_id: m.seq for m in messages} == acked


async def test_a_full_queue_says_try_again(servers: Servers, social: Social, tmp_path: Path) -> None:
    more = {"HITOK_CHAT_MAX_WAITING": "5", "HITOK_CHAT_WRITERS": "1"}
    async with running_pair(servers, social, tmp_path, "narrow", **more) as chat:
        users = new_users(4)
        group_id = await group_with(social, *users, approval=False)
        cv = (await send(chat, users[0], group(group_id))).conversation_id
        async with chat.service.database.transaction() as held_up:
            await held_up.execute(text("SELECT FROM conversation WHERE id = :id FOR UPDATE"), {"id": cv})
            sending = asyncio.create_task(outcomes(*(send(chat, user, group(group_id)) for user in users * 20)))
            await asyncio.sleep(1)
        results = await sending
        assert set(results) == {"", "OVERLOADED"} and results["OVERLOADED"]
        assert [m.seq for m in await whole_history(chat, users[0], cv)] == list(range(1, results[""] + 2))


async def start_process(settings: ChatSettings) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "services.chat"], env=environment(settings), stderr=subprocess.DEVNULL
    )
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", settings.grpc_port)) == 0:
                return process
        await asyncio.sleep(0.05)
    raise AssertionError("the service did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_killed_between_sends_every_acknowledged_message_is_there_once(
    servers: Servers, social: Social, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    settings = chat_settings(servers.create_database("killed"), servers, tmp_path, social.target)
    settings = msgspec.structs.replace(settings, grpc_port=free_port(), metrics_port=free_port())
    schema.upgrade(settings.postgres_url, MIGRATIONS)
    users = await friends(social, 3)
    acked: dict[str, tuple[int, int]] = {}
    done = asyncio.Event()

    async def write(chat: Running, user: int) -> None:
        while not done.is_set():
            key = new_key()
            while key not in acked:
                peer = next(peer for peer in users if peer != user)
                try:
                    ack = await send(chat, user, direct(peer), key, key=key)
                    acked[key] = (ack.conversation_id, ack.seq)
                except grpc.aio.AioRpcError as error:
                    assert reason_of(error) in ("UNAVAILABLE", "INTERNAL"), error
                    await asyncio.sleep(0.02)

    async with connected(settings, f"127.0.0.1:{settings.grpc_port}") as chat:
        process = await start_process(settings)
        writers = [asyncio.create_task(write(chat, user)) for user in users for _ in range(2)]
        for _ in range(2):
            before = len(acked)
            await until(partial(more_than, acked, before))
            await asyncio.sleep(dice.random() / 2)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process = await start_process(settings)
        await asyncio.sleep(0.3)
        done.set()
        await asyncio.gather(*writers)
        assert len(acked) > 20
        found: dict[str, tuple[int, int]] = {}
        for user in users:
            for summary in await listed(chat, user):
                messages = await whole_history(chat, user, summary.conversation_id)
                assert [m.seq for m in messages] == list(range(1, len(messages) + 1)), seed
                found |= {json.loads(m.body)["text"]: (m.conversation_id, m.seq) for m in messages}
        assert found == acked, seed
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 0


async def more_than(acked: dict[str, tuple[int, int]], count: int) -> bool:
    return len(acked) > count
