"""The chat client of clients/, run by Node against a gateway: what front-end authors use has to work."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from gateway.ws.dispatcher import REQUESTS
from gateway.ws.frames import Hello
from tests.gateway.chat_stage import Stage, running_stage, until
from tests.support import asyncapi
from tests.support.asyncapi import DOCUMENT
from tests.support.servers import Servers
from tests.support.user import Running

ROOT = Path(__file__).parents[3]
DOCS, CLIENT = ROOT / "docs", ROOT / "clients/chat/chat-client.mjs"
PROGRAM = """
import {{ ChatClient }} from "{module}";
const out = (event) => console.log(JSON.stringify(event));
const chat = new ChatClient("{url}", () => "{token}", {{
  ready: () => out({{ ready: true }}),
  message: (m) => out({{ message: m.body.text, seq: m.seq }}),
  closed: (code) => {{ out({{ closed: code }}); process.exit(0); }},
}});
chat.start();
for await (const line of (await import("node:readline")).createInterface({{ input: process.stdin }})) {{
  chat.send({{ user_id: "{peer}" }}, {{ text: line }}).then((ack) => out({{ acked: line, seq: ack.seq }}));
}}
"""

# A queue that outlives its client: of one that never had a connection, then of one that has.
OFFLINE = """
import {{ ChatClient }} from "{module}";
const kept = new Map();
const outbox = {{
  load: () => kept.values(),
  save: (message) => kept.set(message.client_msg_id, message),
  remove: (id) => kept.delete(id),
}};
const refused = await new Promise((heard) => {{
  const chat = new ChatClient("http://127.0.0.1:9", () => "", {{ error: heard }}, {{}}, {{ outbox }});
  chat.send({{ user_id: "{peer}" }}, {{ text: "later" }});
  chat.send({{ user_id: "{peer}" }}, {{ text: "at last" }});
  chat.start();
  chat.stop();
}});
const waited = kept.size;
const chat = new ChatClient("{url}", () => "{token}", {{
  sent: (ack, {{ body }}) => {{
    console.log(JSON.stringify([body.text, ack.seq, waited, kept.size, refused instanceof Error]));
    if (!chat.waiting.length) chat.stop();
  }},
}}, {{}}, {{ outbox }});
chat.start();
"""
# With sockets that only end: what each close code makes of the client.
CLOSING = """
import {{ ChatClient }} from "{module}";
delete globalThis.WebSocket;
const told = [];
try {{ new ChatClient("", () => ""); }} catch (error) {{ told.push(error.message.slice(0, 26)); }}
for (const code of [4499, 4500, 4999, 5000]) {{
  class WebSocket {{ constructor() {{ setTimeout(() => this.onclose({{ code }})); }} close() {{}} }}
  class Client extends ChatClient {{ async ticket() {{ return "x"; }} }}
  await new Promise((ended) => {{
    const end = (what) => (closed) => {{ told.push(what, closed); chat.stop(); ended(); }};
    const on = {{ closed: end("closed"), lost: end("lost") }};
    const chat = new Client("http://127.0.0.1", () => "", on, {{}}, {{ WebSocket }});
    chat.start();
  }});
}}
console.log(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user) as stage:
        yield stage


class Node:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self.process, self._stdin, self._stdout = process, process.stdin, process.stdout

    def say(self, line: str) -> None:
        self._stdin.write(f"{line}\n".encode())

    async def hear(self, **event: object) -> None:
        """Waits for that event, which has to be among the next ones."""
        async with asyncio.timeout(60):
            while json.loads(await self._stdout.readline()) != event:
                pass


async def run_client(program: str, **values: str) -> Node:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: apt-get install nodejs")
    flags = [] if has_websocket(node) else ["--experimental-websocket"]
    program, pipe = program.format(module=CLIENT.as_uri(), **values), subprocess.PIPE
    command = [node, *flags, "--no-warnings", "--input-type=module", "-e", program]
    return Node(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))


def has_websocket(node: str) -> bool:
    answer = subprocess.run([node, "-p", "typeof WebSocket"], capture_output=True, text=True, check=True)
    return answer.stdout.strip() == "function"


async def test_the_client_reconnects_and_misses_nothing(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    node = await run_client(PROGRAM, url=stage.url, token=anna.token, peer=ben.id)
    try:
        await node.hear(ready=True)
        node.say("one")
        await node.hear(acked="one", seq=1)
        (id,) = (id for id, row in stage.chat.conversations.items() if int(anna.id) in row.members)
        await stage.say(id, ben, "two")
        await node.hear(message="two", seq=2)
        (there,) = stage.gateway.sockets.hub.users[int(anna.id)]
        there.protocol.transport.abort()
        await until(lambda: int(anna.id) not in stage.gateway.sockets.hub.users)
        await stage.say(id, ben, "three")
        node.say("four")
        await node.hear(message="three", seq=3)
        await node.hear(acked="four", seq=4)
        stage.chat.mute = True
        await stage.say(id, ben, "five")  # a gap that only the next event tells of
        stage.chat.mute = False
        await stage.say(id, ben, "six")
        await node.hear(message="five", seq=5)
        await node.hear(message="six", seq=6)
        await anna.post("/api/login/logout")
        await node.hear(closed=4503)
        assert await node.process.wait() == 0
    finally:
        if node.process.returncode is None:
            node.process.kill()
        await node.process.wait()


async def test_what_was_queued_without_a_connection_is_sent_by_the_next_client(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    node = await run_client(OFFLINE, url=stage.url, token=anna.token, peer=ben.id)
    output, _ = await asyncio.wait_for(node.process.communicate(), 60)
    assert [json.loads(line) for line in output.splitlines()] == [["later", 1, 2, 1, True], ["at last", 2, 2, 0, True]]


async def test_it_needs_a_websocket_and_ends_with_the_codes_that_say_so() -> None:
    node = await run_client(CLOSING)
    output, _ = await asyncio.wait_for(node.process.communicate(), 60)
    ends = ["lost", None, "closed", 4500, "closed", 4999, "lost", None]
    assert json.loads(output) == ["ChatClient needs WebSocket", *ends]


def test_the_examples_of_the_protocol_are_what_the_gateway_speaks() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "chat-protocol.md").read_text(), re.DOTALL)
    frames = [json.loads(line) for block in blocks for line in block.splitlines()]
    acks = {frame["id"]: frame["data"] for frame in frames if frame["type"] == "ack"}
    for frame in frames:
        if "id" in frame and (request := REQUESTS.get(frame["type"])):
            check_fields(frame["data"], request.params)
            if (answer := get_type_hints(request.serve)["return"]) is not type(None):
                check_fields(acks[frame["id"]], answer)
        elif frame["type"] == "hello":
            check_fields(frame["data"], Hello)
        elif frame["type"] != "typing" or "id" not in frame:
            asyncapi.check(frame)
    documented = {name.removesuffix(".event") for name in DOCUMENT["channels"]["chat"]["messages"]}
    assert {frame["type"] for frame in frames} == documented


def check_fields(data: dict[str, object], type: Any) -> None:
    """Of the type, with no field that it does not have."""
    value = msgspec.convert(data, type, strict=False)
    assert data.keys() <= {field.encode_name for field in msgspec.structs.fields(value)}


def test_every_request_is_documented() -> None:
    text = (DOCS / "chat-protocol.md").read_text()
    for type in REQUESTS:
        assert f"`{type}`" in text, type
        assert type in DOCUMENT["components"]["messages"], type
    for code in re.findall(r"= (\d{4})$", (DOCS.parent / "gateway/ws/frames.py").read_text(), re.MULTILINE):
        assert code in text
