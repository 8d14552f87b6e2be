"""Nothing is lost, doubled or late for others: hello amid events, slow readers, gaps, membership, two gateways."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.chat import sync_pages
from gateway.ws import connection, reconciler, replay_buffer
from tests.gateway.chat_stage import Stage, gateway_of, running_stage, until
from tests.support.servers import Servers, private_nats, temporary_folder
from tests.support.sockets import raw_socket
from tests.support.user import Running


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user) as stage:
        yield stage


def revs(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["data"]["rev"] for frame in frames if frame["type"] == "message"]


async def test_events_amid_a_hello_come_after_it_and_once(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(anna.id), int(ben.id))
    for number in range(3):
        await stage.say(id, ben, f"before{number}")
    for method in ("BatchListConversations", "BatchSync"):
        async with raw_socket(stage.url) as socket:
            last = len(stage.chat.conversations[id].messages)
            with stage.chat.holding(method):
                await socket.say("hello", "1", version=1, token=anna.token, cursors={str(id): 1})
                await until(lambda method=method: method in stage.chat.waiting)
                position = stage.gateway.sockets.hub.replay_buffer.position
                for number in range(3):
                    await stage.say(id, ben, f"{method}{number}")
                await until(lambda position=position: stage.gateway.sockets.hub.replay_buffer.position == position + 3)
            first = await socket.receive()
            assert (first["type"], first["id"]) == ("ready", "1")
            (summary,) = first["data"]["conversations"]
            await stage.say(id, ben, f"{method} after")
            frames = await stage.pushed(socket, anna)
            assert summary["rev"] >= last
            (sync,) = [frame["data"] for frame in frames if frame["type"] == "sync"]
            got = [message["rev"] for message in sync["messages"]] + revs(frames)
            assert got == list(range(2, last + 5))


async def test_a_resumed_client_gets_what_it_missed_and_hears_of_what_it_left(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    kept, quiet, left = (stage.chat.create(int(anna.id), int(ben.id)) for _ in range(3))
    for id in (kept, quiet, left):
        await stage.say(id, ben, f"one of {id}")
    await stage.say(kept, ben, "two")
    stage.chat.conversations[left].members.discard(int(anna.id))
    cursors = {str(id): 1 for id in (kept, quiet, left)} | {"12345": 7}
    async with stage.socket(anna, cursors) as socket:
        assert {row["conversation_id"] for row in socket.ready["conversations"]} == {str(kept), str(quiet)}
        assert set(socket.ready["removed"]) == {str(left), "12345"}
        sync = await socket.event("sync", conversation_id=str(kept))
        assert [message["seq"] for message in sync["messages"]] == [2]
        assert await socket.drain(0.1) == []


async def test_a_long_absence_is_told_as_such_and_a_long_sync_comes_in_parts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_pages, "PAGE_BYTES", 1_000)
    anna, ben = await stage.people(2)
    id, far = stage.chat.create(int(anna.id), int(ben.id)), stage.chat.create(int(anna.id), int(ben.id))
    for number in range(10):
        await stage.say(id, ben, "x" * 300, id=str(number))
    for number in range(201):
        await stage.say(far, ben, "x", id=str(number))
    async with stage.socket(anna, {str(id): 0, str(far): 0}) as socket:
        assert (await socket.event("sync", conversation_id=str(far)))["limited"]
        parts = [await socket.event("sync", conversation_id=str(id)) for _ in range(4)]
        assert [part["from_rev"] for part in parts] == [0, *(part["to_rev"] for part in parts[:-1])]
        assert [message["rev"] for part in parts for message in part["messages"]] == list(range(1, 11))
        assert [part["more"] for part in parts] == [True, True, True, False]
        page = await socket.ask("history", conversation_id=str(id), limit=50)
        assert (len(page["messages"]), page["more"]) == (3, True)
        part = await socket.ask("sync", conversation_id=str(id), from_rev=5)
        assert (part["from_rev"], part["to_rev"], part["more"]) == (5, 8, True)


async def test_events_beyond_what_is_kept_amid_a_hello_are_told_as_a_gap(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_buffer, "MAX_EVENTS", 2)
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(anna.id), int(ben.id))
    async with raw_socket(stage.url) as socket:
        with stage.chat.holding("BatchListConversations"):
            await socket.say("hello", "1", version=1, token=anna.token)
            await until(lambda: "BatchListConversations" in stage.chat.waiting)
            position = stage.gateway.sockets.hub.replay_buffer.position
            for number in range(5):
                await stage.say(id, ben, str(number))
            await until(lambda: stage.gateway.sockets.hub.replay_buffer.position == position + 5)
        assert await socket.event("resync", conversation_ids=None)


async def test_who_joined_hears_all_from_then_on_and_who_left_nothing_more(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(ben.id))
    await stage.say(id, ben, "before")
    async with stage.socket(anna) as socket:
        await stage.chat.join(id, int(anna.id))
        await stage.say(id, ben, "hello")
        assert await socket.event("conversation", conversation_id=str(id))
        assert (await socket.event("message"))["body"] == {"text": "hello"}
        await stage.chat.remove(id, int(anna.id))
        await stage.say(id, ben, "among us")
        await stage.chat.push(f"push.conv.{id}", "receipt", {}, key="receipt:x")
        assert [frame["type"] for frame in await stage.pushed(socket, anna)] == ["conversation"]
        assert str(id) not in str(stage.gateway.sockets.hub.conversations)


@pytest.mark.parametrize("way", ["live", "amid the hello", "by the list"])
async def test_what_was_said_before_one_joined_stays_unseen_when_it_is_changed(stage: Stage, way: str) -> None:
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(ben.id))
    await stage.say(id, ben, "secret")
    if way == "by the list":
        await stage.chat.join(id, int(anna.id))
    async with stage.socket(ben) as other, raw_socket(stage.url) as socket:
        with stage.chat.holding("BatchListConversations"):
            await socket.say("hello", "1", version=1, token=anna.token)
            await until(lambda: "BatchListConversations" in stage.chat.waiting)
            if way == "amid the hello":
                await stage.chat.join(id, int(anna.id))
                await stage.chat.edit(id, 1, b'{"text":"secret 2"}')
                await stage.say(id, ben, "hello")
        await socket.answer("1", "ready")
        if way == "live":
            await stage.chat.join(id, int(anna.id))
        known = stage.chat.conversations[id].rev
        await stage.chat.edit(id, 1, b'{"text":"secret 3"}')
        await stage.say(id, ben, "welcome")
        await other.event("message.updated", body={"text": "secret 3"})
        frames = [frame["data"] for frame in await stage.pushed(socket, anna)]
        assert "secret" not in str(frames)
        revs = [data["rev"] for data in frames if data.get("rev", 0) > known]
        assert revs == [known + 1, known + 2], "each rev all the same"


async def test_a_leave_amid_a_hello_counts_more_than_the_list(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    id, later = stage.chat.create(int(anna.id), int(ben.id)), stage.chat.create(int(ben.id))
    async with raw_socket(stage.url) as socket:
        with stage.chat.holding("BatchSync"):
            await socket.say("hello", "1", version=1, token=anna.token, cursors={"5": 1})
            await until(lambda: "BatchSync" in stage.chat.waiting)  # the list is read already
            position = stage.gateway.sockets.hub.replay_buffer.position
            await stage.chat.remove(id, int(anna.id))
            await stage.chat.join(later, int(anna.id))
            await stage.say(later, ben, "welcome")
            await until(lambda: stage.gateway.sockets.hub.replay_buffer.position == position + 1)
        await socket.event("message")
        await stage.say(id, ben, "among us")
        await stage.say(later, ben, "again")
        frames = await stage.pushed(socket, anna)
        messages = [frame["data"]["conversation_id"] for frame in frames if frame["type"] == "message"]
        assert messages == [str(later)]


async def test_a_repeated_event_comes_once_and_a_late_one_comes(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(anna.id), int(ben.id))
    async with stage.socket(anna) as socket:
        for rev in (1, 1, 3, 2, 3, 2, 4):
            await stage.chat.push(f"push.conv.{id}", "message", {"rev": rev}, rev=str(rev))
        assert revs(await stage.pushed(socket, anna)) == [1, 3, 2, 4]


async def test_a_stuck_reader_delays_nobody_and_is_told_what_it_missed(stage: Stage) -> None:
    stuck, ben, *others = await stage.people(6)
    id = stage.chat.create(int(stuck.id), int(ben.id), *(int(other.id) for other in others))
    async with raw_socket(stage.url, max_queue=1) as slow, stage.socket(others[0]) as quick:
        await slow.say("hello", "1", version=1, token=stuck.token)
        assert (await slow.receive())["type"] == "ready"
        (there,) = stage.gateway.sockets.hub.users[int(stuck.id)]
        slow.ws.transport.pause_reading()
        text = "x" * 40_000
        for count in range(1, 401):
            await stage.say(id, ben, text, id=str(count))
            assert (await quick.event("message"))["rev"] == count
            assert there.queued_bytes <= 1024 * 1024
            assert there.protocol.buffered_bytes <= 256 * 1024
        slow.ws.transport.resume_reading()
        resync = await slow.wait(lambda frame: frame["type"] == "resync")
        assert resync["data"] == {"conversation_ids": [str(id)], "reason": "slow"}
        got = revs(slow.seen)
        assert got == list(range(1, len(got) + 1))
        known = got[-1]
        while known < count:
            part = await slow.ask("sync", conversation_id=str(id), from_rev=known)
            if part["limited"]:
                known = part["to_rev"]
                break
            assert [message["rev"] for message in part["messages"]] == list(range(known + 1, part["to_rev"] + 1))
            known = part["to_rev"]
        assert known == count
        slow.seen.clear()
        await stage.say(id, ben, "live again")
        assert (await slow.event("message"))["rev"] == count + 1


async def test_who_takes_nothing_for_long_is_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)
    stuck, ben = await stage.people(2)
    id = stage.chat.create(int(stuck.id), int(ben.id))
    async with raw_socket(stage.url, max_queue=1) as slow:
        await slow.say("hello", "1", version=1, token=stuck.token)
        assert (await slow.receive())["type"] == "ready"
        (there,) = stage.gateway.sockets.hub.users[int(stuck.id)]
        slow.ws.transport.pause_reading()
        for number in range(400):
            await stage.say(id, ben, "x" * 40_000, id=str(number))
            if there.is_closing:
                break
            await asyncio.sleep(0.005)
        await until(lambda: int(stuck.id) not in stage.gateway.sockets.hub.users)
        slow.ws.transport.resume_reading()
        assert await slow.closed() in (4008, 1006)


async def test_two_gateways_are_one_chat(servers: Servers, stage: Stage) -> None:
    async with gateway_of(stage.chat, servers, stage.user) as other:
        anna, ben = await stage.people(2)
        async with stage.socket(anna) as a, other.socket(ben) as b, other.socket(anna) as tablet:
            ack = await a.send("hi", user_id=ben.id)
            for socket in (a, b, tablet):
                assert (await socket.event("message"))["rev"] == ack["rev"]
            await b.say("read", conversation_id=ack["conversation_id"], seq=1)
            assert (await a.event("receipt"))["read_seq"] == 1
        async with other.socket(anna, {ack["conversation_id"]: 0}) as moved:
            assert [m["rev"] for m in (await moved.event("sync"))["messages"]] == [1]


async def test_events_that_got_lost_are_found_out(
    servers: Servers, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(reconciler, "GRACE_SECONDS", 0.1)
    async with gateway_of(stage.chat, servers, stage.user) as checking:
        anna, ben = await stage.people(2)
        id = stage.chat.create(int(anna.id), int(ben.id))
        async with checking.socket(anna) as socket:
            stage.chat.mute = True
            await stage.say(id, ben, "lost")
            stage.chat.mute = False
            assert await socket.event("resync", conversation_ids=[str(id)], reason="behind")
            assert len((await socket.ask("sync", conversation_id=str(id), from_rev=0))["messages"]) == 1
            assert await socket.drain(0.5) == []


async def test_after_a_dead_nats_everybody_looks_anew(servers: Servers, user: Running) -> None:
    with temporary_folder() as folder, private_nats(folder) as nats:
        async with running_stage(servers, user, nats_url=nats.url) as stage:
            anna, ben = await stage.people(2)
            id = stage.chat.create(int(anna.id), int(ben.id))
            async with stage.socket(anna) as socket:
                await stage.say(id, ben, "1")
                known = (await socket.event("message"))["rev"]
                await asyncio.to_thread(nats.kill)
                await until(lambda: not stage.chat.nats.is_connected)
                ack = await socket.send("sent all the same", conversation_id=id)
                assert ack["rev"] == 2
                joined = stage.chat.create(int(anna.id), int(ben.id))
                await asyncio.to_thread(nats.start)
                assert await socket.event("resync", conversation_ids=None, reason="gap")
                part = await socket.ask("sync", conversation_id=str(id), from_rev=known)
                assert [message["rev"] for message in part["messages"]] == [2]
                await until(lambda: stage.chat.nats.is_connected)
                await stage.say(joined, ben, "here too")
                assert await socket.event("message", conversation_id=str(joined))


async def test_who_was_removed_while_nats_was_away_gets_nothing_after_it(servers: Servers, user: Running) -> None:
    with temporary_folder() as folder, private_nats(folder) as nats:
        async with running_stage(servers, user, nats_url=nats.url) as stage:
            anna, ben = await stage.people(2)
            id = stage.chat.create(int(anna.id), int(ben.id))
            async with stage.socket(anna) as removed, stage.socket(ben) as other:
                await asyncio.to_thread(nats.kill)
                await until(lambda: not stage.chat.nats.is_connected)
                stage.chat.conversations[id].members.discard(int(anna.id))
                with stage.chat.holding("ListConversations"):
                    await asyncio.to_thread(nats.start)
                    await until(
                        lambda: stage.chat.nats.is_connected and stage.gateway.sockets.subscriber._nats.is_connected
                    )
                    position = stage.gateway.sockets.hub.replay_buffer.position
                    rev = await stage.say(id, ben, "among us")
                    await until(lambda: stage.gateway.sockets.hub.replay_buffer.position > position)
                assert await removed.event("resync", conversation_ids=None)
                assert await other.event("resync", conversation_ids=None)
                assert "among us" not in str(await removed.drain())
                part = await other.ask("sync", conversation_id=str(id), from_rev=0)
                assert [message["rev"] for message in part["messages"]] == [rev]


async def test_a_notification_amid_a_hello_comes_after_it(stage: Stage) -> None:
    anna = await stage.person()
    async with raw_socket(stage.url) as socket:
        with stage.chat.holding("BatchListConversations"):
            await socket.say("hello", "1", version=1, token=anna.token)
            await until(lambda: "BatchListConversations" in stage.chat.waiting)
            await stage.chat.push(f"push.user.{anna.id}", "notification", {"notification_id": "1"})
            await stage.chat.nats.flush()
            await asyncio.sleep(0.1)
        assert [(await socket.receive())["type"] for _ in range(2)] == ["ready", "notification"]
