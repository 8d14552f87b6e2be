"""GET /api/search: videos, users and groups in one call."""

import secrets

from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import new_people
from tests.support.user import Running as Users
from tests.support.video_people import publish


async def test_one_call_finds_all_kinds(video_gateway: RunningGateway, user: Users) -> None:
    me, you = await new_people(FrontEnd(video_gateway.http), user, 2)
    word = "q" + secrets.token_hex(5)
    await you.post("/api/user/set-profile", username=f"Zoë_{word}")
    await you.post("/api/contact/create-community", name=f"Café {word} 群")
    made = await publish(you, video_path="https://films.example/1.mp4", title=f"🔥 İstanbul C++ sale_now #{word}")
    for query, kinds in (
        (word, ("videos", "users", "groups", "tags")),
        (f"sale now {word}", ("videos",)),
        (f"C++ {word}", ("videos",)),
        (f"istnabul {word}", ("videos",)),
        (word[1:], ("users", "groups")),  # any part of a name
        (f"istanbul {word}", ("videos",)),
        (f"🔥 {word}", ("videos",)),
        (f"oë {word}", ("users",)),
        (f"cafe {word}", ("groups",)),
    ):
        found = await me.get("/api/search", query=query)
        assert tuple(kind for kind in found if found[kind]) == kinds, query
    found = await me.get("/api/search", query=word, limit=1)
    assert [len(found[kind]) for kind in ("videos", "users", "groups")] == [1, 1, 1]
    assert (found["videos"][0]["id"], found["users"][0]["id"]) == (made["id"], you.uid)
    assert found["groups"][0]["name"] == f"Café {word} 群" and found["users"][0]["email"] == ""
    await me.post("/api/contact/mute", target_id=you.uid)
    assert (await me.get("/api/search", query=word))["videos"] == []
    await me.post("/api/contact/unmute", target_id=you.uid)
    await you.post("/api/contact/block", target_id=me.uid)
    await me.refused("GET", "/api/search", 400, 10001, params={"query": "a", "limit": 21})
