"""hitok on the servers of docker-compose.yml, in containers by testcontainers, where a Docker engine answers."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.e2e.everything import everything
from tests.e2e.people import register_by_phone
from tests.support.servers import (
    is_docker_answering,
    run_nats_container,
    run_postgres_container,
    run_valkey_container,
)


@pytest.fixture
def containers() -> Iterator[dict[str, str]]:
    """The URLs of an admin's PostgreSQL, of Valkey and of NATS."""
    if not is_docker_answering():
        pytest.skip("no Docker engine answers here")
    with ExitStack() as stack:
        yield {
            "HITOK_POSTGRES_URL": stack.enter_context(run_postgres_container()),
            "HITOK_REDIS_URL": stack.enter_context(run_valkey_container()),
            "HITOK_NATS_URL": stack.enter_context(run_nats_container()),
        }


async def test_a_message_goes_through_them(containers: dict[str, str], tmp_path: Path) -> None:
    with everything(tmp_path / "var", 1, ha=False, **containers) as running:
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=20) as http:
            alice, ben = [(await register_by_phone(http))[0] for _ in range(2)]
            names = [(await person.get("/api/user/get-my-info")) for person in (alice, ben)]
            await alice.post("/api/contact/add-friend", username=names[1]["username"])
            await ben.post("/api/contact/add-friend", username=names[0]["username"])
            sent = await alice.post(
                "/api/chat/send",
                to={"user_id": names[1]["id"]},
                client_msg_id="7f8b0c62-54a3-4a0e-9d3b-0b1c2d3e4f50",
                content_type="text",
                body={"text": "through containers"},
            )
            page = await ben.get("/api/chat/messages", conversation_id=sent["conversation_id"])
    assert [message["body"] for message in page["messages"]] == [{"text": "through containers"}]
    with psycopg.connect(containers["HITOK_POSTGRES_URL"]) as admin:
        databases = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    assert {"hitok_user", "hitok_social", "hitok_media", "hitok_chat"} <= databases
