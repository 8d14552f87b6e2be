"""The console's routes: for admins alone, by the role in the database, and recorded."""

import pytest

from gateway.api.shortvideo import admin
from tests.gateway.people import Person, an_admin, by_email, forged
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.user import Running

ROUTES = [
    ("GET", "/api/admin/user-sessions", {"user_id": "1"}),
    ("POST", "/api/admin/revoke-session", {"user_id": "1", "session_id": "1"}),
    ("GET", "/api/admin/audit", {}),
    ("GET", "/api/admin/status", {}),
    ("GET", "/api/admin/jobs", {}),
]


def sent(method: str, params: dict[str, str]) -> dict[str, dict[str, str]]:
    return {"params" if method == "GET" else "json": params}


@pytest.fixture
async def boss(gateway: RunningGateway, user: Running) -> Person:
    return await an_admin(gateway.http, user)


def test_every_route_is_checked_here() -> None:
    assert len(admin.endpoints) == len(ROUTES)


@pytest.mark.parametrize(("method", "path", "params"), ROUTES)
async def test_they_are_for_admins(
    gateway: RunningGateway, user: Running, method: str, path: str, params: dict[str, str]
) -> None:
    ann = await by_email(gateway.http, user)
    for front in (ann, FrontEnd(gateway.http, forged(ann, role=4, session_id=int(ann.session_id)))):
        await front.refused(method, path, 403, -20008, **sent(method, params))
    await FrontEnd(gateway.http).refused(method, path, 401, -20001, **sent(method, params))


async def test_an_admin_ends_a_session_and_the_audit_says_so(
    gateway: RunningGateway, user: Running, boss: Person
) -> None:
    ann = await by_email(gateway.http, user)
    (session,) = (await boss.get("/api/admin/user-sessions", user_id=ann.id))["sessions"]
    assert session["session_id"] == ann.session_id and not session["current"]
    await boss.post("/api/admin/revoke-session", user_id=ann.id, session_id=session["session_id"])
    assert (await ann.call("GET", "/api/user/get-my-info")).status_code == 401
    assert (await boss.get("/api/admin/user-sessions", user_id=ann.id))["sessions"] == []
    entry = (await boss.get("/api/admin/audit", target_id=ann.id))["entries"][0]
    assert (entry["act"], entry["target_kind"], entry["actor_id"]) == ("revoke session", "user", boss.id)
    assert entry["details"] == f'{{"session_id":"{ann.session_id}"}}'


async def test_an_admin_does_nothing_to_another(gateway: RunningGateway, user: Running, boss: Person) -> None:
    other = await an_admin(gateway.http, user)
    for method, path, _ in ROUTES[:2]:
        params = {"user_id": other.id, "session_id": other.session_id}
        await boss.refused(method, path, 403, -20008, **sent(method, params))
    await boss.refused("GET", "/api/admin/user-sessions", 404, 10011, params={"user_id": "999"})


async def test_the_status_names_services_and_queues(gateway: RunningGateway, boss: Person) -> None:
    status = await boss.get("/api/admin/status")
    assert {each["name"] for each in status["services"]} == {"user", "social", "media", "chat"}
    assert {"name": "user", "ready": True} in status["services"]
    assert status["queues_known"] is True and isinstance(status["queues"], list)


async def test_the_jobs_of_processing(video_gateway: RunningGateway, user: Running) -> None:
    boss = await an_admin(video_gateway.http, user)
    queues = (await boss.get("/api/admin/jobs"))["queues"]
    assert all(set(each) == {"kind", "due", "held", "failed", "wait_seconds"} for each in queues)
