"""What a socket's protocol waits with."""

import asyncio
from contextlib import suppress

from gateway.ws.inbox import Flag, Inbox


async def test_an_inbox_hands_out_what_it_was_given_in_order() -> None:
    inbox = Inbox[str]()
    waiting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait("first")
    inbox.put_nowait("second")
    assert (await waiting, await inbox.get(), inbox.empty()) == ("first", "second", True)


async def test_a_reader_that_is_cancelled_takes_nothing_along() -> None:
    inbox = Inbox[str]()
    for arrives_first in (False, True):
        waiting = asyncio.create_task(inbox.get())
        await asyncio.sleep(0)
        if arrives_first:
            inbox.put_nowait("kept")
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    assert await inbox.get() == "kept"


async def test_all_tasks_that_wait_for_a_flag_go_on_once_it_is_set() -> None:
    flag = Flag()
    await flag.wait()
    flag.clear()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert not (flag.is_set() or any(task.done() for task in waiting[1:]))
    flag.set()
    await asyncio.gather(*waiting[1:])
    assert flag.is_set()
