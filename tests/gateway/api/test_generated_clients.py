"""The generated clients are what `make clients` makes, and talk to a running gateway."""

import asyncio
import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.__main__ import make
from tests.gateway.people import Person, by_email
from tests.support.gateway import gateway_settings, serving_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running

PYTHON = """
import sys
from hitok_client import AuthenticatedClient, Client
from hitok_client.api.short_video import get_api_user_get_my_info, post_api_login_login, post_api_user_set_profile
from hitok_client.models import Login, SetProfile

base, email, password = sys.argv[1:]
given = post_api_login_login.sync(client=Client(base), body=Login(email=email, password=password))
client = AuthenticatedClient(base, given.data.atoken)
me = get_api_user_get_my_info.sync(client=client)
post_api_user_set_profile.sync(client=client, body=SetProfile(id=me.data.id, bio="from Python"))
wrong = post_api_login_login.sync(client=Client(base), body=Login(email=email, password="wrong"))
print(me.data.username, get_api_user_get_my_info.sync(client=client).data.bio, wrong.code)
"""
NODE = """
import { hitok } from "./dist/index.js";

const [base, email, password] = process.argv.slice(2);
const login = (password) => hitok(base).POST("/api/login/login", { body: { email, password } });
const client = hitok(base, (await login(password)).data.data.atoken);
const me = async () => (await client.GET("/api/user/get-my-info")).data.data;
const { id, username } = await me();
await client.POST("/api/user/set-profile", { body: { id, bio: "from Node" } });
console.log(username, (await me()).bio, (await login("wrong")).error.code);
"""
CHAT = """
import { ChatClient, storageOutbox, type Message } from "./chat-client.mjs";

const chat = new ChatClient("https://chat.example", async () => "token", {
  message: (message: Message) => console.log(message.seq),
  conversation: (data) => data.conversation_id,
  error: (error) => error.data?.code,
}, { "7101": 41 }, { outbox: storageOutbox("outbox.42") });
const ack = await chat.send({ user_id: "42" }, { text: "hi" });
const page = await chat.ask("history", { conversation_id: ack.conversation_id });
console.log(page.messages.map((message) => message.body), chat.waiting);
// @ts-expect-error: two receivers
await chat.send({ user: "42" }, {});
// @ts-expect-error: no such request
await chat.ask("shout", {});
"""
UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|dns error|error sending request")
CHECK = ["npx", "tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]


@pytest.fixture(scope="module")
async def url(servers: Servers, user: Running) -> AsyncIterator[str]:
    async with serving_gateway(gateway_settings(servers, HITOK_USER_TARGET=user.target)) as (_, url):
        yield url


@pytest.fixture
async def ann(user: Running, url: str) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(base_url=url) as http:
        yield await by_email(http, user)


async def say(*command: str, folder: Path, **environment: str) -> str:
    """Its output; a process, so that the gateway in this one can answer."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0
    return output.decode().strip()


def make_if_reachable(build: Path, kind: str) -> None:
    try:
        make(build, [kind])
    except SystemExit as error:
        if UNREACHABLE.search(str(error)):
            pytest.skip("the package registry cannot be reached")
        raise


async def test_python_s(tmp_path: Path, url: str, ann: Person) -> None:
    await asyncio.to_thread(make_if_reachable, tmp_path, "python")
    answers = [sys.executable, "-c", PYTHON, url, ann.email, PASSWORD]
    said = await say(*answers, folder=tmp_path, PYTHONPATH=str(tmp_path / "python"))
    assert said == f"{ann.name} from Python 10009"
    (wheel,) = (tmp_path / "packages").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "hitok_client/py.typed" in archive.namelist()


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed: apt-get install nodejs npm")
async def test_typescript_s(tmp_path: Path, url: str, ann: Person) -> None:
    await asyncio.to_thread(make_if_reachable, tmp_path, "typescript")
    folder = tmp_path / "typescript"
    document = json.loads((tmp_path / "openapi.json").read_text())
    (folder / "calls.ts").write_text("\n".join(calls_of(document)))
    (tmp_path / "chat/use.mts").write_text(CHAT)
    await say(*CHECK, "calls.ts", "../chat/use.mts", folder=folder)
    names = await asyncio.to_thread(names_in, *sorted((tmp_path / "packages").glob("*.tgz")))
    assert {"chat-client.mjs", "chat-client.d.mts", "frames.d.mts", "README.md", "LICENSE"} <= names
    assert {"dist/index.js", "dist/index.d.ts", "dist/schema.d.ts"} <= names
    (folder / "smoke.mjs").write_text(NODE)
    said = await say("node", "smoke.mjs", url, ann.email, PASSWORD, folder=folder)
    assert said == f"{ann.name} from Node 10009"


def calls_of(document: dict[str, Any]) -> Iterator[str]:
    """TypeScript that calls every route with what it requires, and with nothing else."""
    yield 'import { hitok } from "./index.js";\nconst api = hitok("");'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            query = {each["name"]: each["example"] for each in operation.get("parameters", []) if each["required"]}
            given: dict[str, Any] = {"params": {"query": query}} if query else {}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                given["body"] = {name: content["example"][name] for name in schema.get("required", [])}
            yield f"await api.{method.upper()}({json.dumps(path)}, {json.dumps(given, ensure_ascii=False)});"


def names_in(*archives: Path) -> set[str]:
    names: set[str] = set()
    for archive in archives:
        with tarfile.open(archive) as tar:
            names |= {name.removeprefix("package/") for name in tar.getnames()}
    return names


async def test_the_collection_holds_every_route_with_what_it_takes(tmp_path: Path, url: str, ann: Person) -> None:
    make(tmp_path, ["postman"])
    document = json.loads((tmp_path / "openapi.json").read_text())
    collection = json.loads((tmp_path / "hitok.postman_collection.json").read_text())
    requests = {
        (item["request"]["method"], item["name"]): item["request"] for f in collection["item"] for item in f["item"]
    }
    assert requests.keys() == {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}

    login = requests["POST", "/api/login/login"]
    body = login["body"]["raw"].replace("ann@example.com", ann.email).replace("correct horse", PASSWORD)
    address = login["url"]["raw"].replace("{{base}}", url)
    async with httpx.AsyncClient() as http:
        answer = await http.request(
            login["method"], address, content=body, headers={"content-type": "application/json"}
        )
    assert answer.json()["code"] == 20000
