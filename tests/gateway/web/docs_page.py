"""The API page, used as a person does who has a token: each example is sent as the page shows it."""

import json
from pathlib import Path
from typing import Any

import httpx

from deploy.frontend import FrontEnd
from tests.e2e.people import Person, register, register_by_phone
from tests.gateway.web.console import promote
from tests.gateway.web.page import Page
from tests.support.chat import until
from tests.support.gateway import FrontEnd as Visitor
from tests.support.media import image, video
from tests.support.user import mailed_code

# Tried after all others, each group with the examples that the page shows then: they end what others need.
LATER = (
    {"chat/delete", "add-friend", "remove-member", "bind-phone", "leave-community", "claim-case", "delete-comment"},
    {"transfer-community", "delete-friend", "decline", "release-case", "delete-video"},
    {"dismiss-community", "block", "decide-case", "decide-appeal", "file/delete", "sessions", "revoke-other-sessions"},
    {"change-password"},
)
ENDS = ("logout", "delete-account")  # tried by somebody new each
# What no page can know beforehand, or what is not so in this world. All other examples succeed.
REFUSED = {
    "CODE_INVALID": {"login/register", "login/reset-password", "user/bind-email", "login/undo-email-change"},  # mailed
    "PHONE_INVALID": {"login/send-phone-code"},  # no SMS here
    "SECOND_FACTOR_OFF": {"user/turn-off-second-factor", "user/renew-recovery-codes"},
    "SECOND_CODE_WRONG": {"user/turn-on-second-factor"},
    "TOKEN_INVALID": {"login/refresh-token"},  # the page has no refresh token
    "NOT_FAILED": {"file/retry"},
    "REQUEST_NOT_FOUND": {"handle-follow-request"},  # whoever likes may follow her
    "ACT_NOT_FOUND": {"moderation/appeal"},  # nothing was decided about her
    "CREDENTIALS_WRONG": {"moderation/appeal-by-password"},  # nor is an account suspended
}


async def a_moderator(http: httpx.AsyncClient, var: Path) -> Person:
    """Who has a bit of everything: friends, requests, groups of their own and of others, videos, comments, messages,
    a collection, and as a super admin cases, decisions and an appeal."""
    person = await register(http, lambda address: mailed_code(var, address))
    ann, ben, cleo, dora = [
        FrontEnd(http, each.token) for each in (person, *[(await register_by_phone(http))[0] for _ in range(3)])
    ]
    my_id, ben_id, cleo_id = [(await each.get("/api/user/get-my-info"))["id"] for each in (ann, ben, cleo)]
    for one, other in ((ann, ben_id), (ben, my_id)):
        name = (await one.get("/api/user/get-user-info", id=other))["username"]
        await one.post("/api/contact/add-friend", username=name)
    await dora.post("/v1/social/friend/putIn", user_uid=my_id, req_msg="I am Dora")
    await ann.post("/api/login/login", email=person.email, password=person.password)  # a second session
    await make_groups(ann, ben, cleo, dora)
    urls = [await send_file(each, video(seconds=0.5), "film.mp4") for each in (ann, cleo)]
    for each, url in zip((ann, cleo), urls, strict=True):
        await each.post("/api/videos/create-video", video_path=url, title="A film")
    await send_file(ann, image("png"), "face.png")
    await ann.post("/api/saved/create-collection", name="Hikes")
    own = await published(ann, my_id)
    for commenter, of in ((ann, own), (cleo, own), (cleo, await published(ann, cleo_id))):
        await commenter.post("/api/videos/comment-video", video_id=of, content="Nice")
    message = {"client_msg_id": 32 * "a", "content_type": "text", "body": {"text": "Hello"}}
    await ben.post("/api/chat/send", to={"user_id": my_id}, **message)
    await promote(person.email, var)
    await make_cases(ann, ben, cleo, cleo_id)
    return person


async def make_cases(ann: FrontEnd, ben: FrontEnd, cleo: FrontEnd, cleo_id: str) -> None:
    """An open one, and two decided ones, of which Cleo objects to the first."""
    comment = (await ann.get("/api/videos/get-comments", id=await published(ann, cleo_id), is_video=True))["comments"][
        0
    ]
    for kind, id in (("user", cleo_id), ("comment", comment["id"]), ("video", await published(ann, cleo_id))):
        await ben.post("/api/report/create-report", kind=kind, id=id, reason="spam")
    cases = {each["subject"]["kind"]: each["case_id"] for each in (await ann.get("/api/moderation/cases"))["cases"]}
    for kind in ("comment", "video"):
        await ann.post("/api/moderation/decide-case", case_id=cases[kind], verb="hide", note="")
        if kind == "comment":
            act = (await cleo.get("/api/moderation/my-acts"))["acts"][0]
            await cleo.post("/api/moderation/appeal", act_id=act["act_id"], text="It was a joke")


async def published(viewer: FrontEnd, owner_id: str) -> str:
    """The id of the owner's video, once others see it."""

    async def found() -> Any:
        return (await viewer.get("/api/videos/user-videos", user_id=owner_id))["data"]

    return str((await until(found))[0]["id"])


async def make_groups(ann: FrontEnd, ben: FrontEnd, cleo: FrontEnd, dora: FrontEnd) -> None:
    """Ann's, with Ben and Cleo, to which Dora applies; and Ben's, in which Ann is."""
    await ann.post("/v1/social/group", name="Hikers")
    await ben.post("/api/contact/create-community", name="Readers")
    hikers, readers = [(await each.get("/api/contact/get-group-list"))["groups"][0]["id"] for each in (ann, ben)]
    await ann.post("/api/contact/join-community", community_id=readers)
    for each in (ben, cleo):
        await ann.post(
            "/v1/social/group/invite", group_id=hikers, user_uid=(await each.get("/api/user/get-my-info"))["id"]
        )
        await each.post("/v1/social/group/putIn", group_id=hikers, req_msg="", join_source=1)
    await dora.post("/v1/social/group/putIn", group_id=hikers, req_msg="May I?", join_source=1)


async def send_file(sender: FrontEnd, data: bytes, name: str) -> str:
    return str((await sender.ask("POST", "/api/file/upload", files={"file": (name, data)}))["url"])


async def read_page(page: Page, token: str) -> dict[str, Any]:
    """The paths of the description that the page shows once the token is entered."""
    await page.visit(page.base + "docs")
    await page.present(".swagger-ui .info")
    kept = json.dumps({"token": {"name": "token", "schema": {"type": "http", "scheme": "bearer"}, "value": token}})
    await page.tab.run(f"localStorage.setItem('authorized', {json.dumps(kept)})")
    await page.reload()
    await page.present(".swagger-ui .info")
    paths: dict[str, Any] = await page.tab.run("ui.getSystem().specSelectors.specJson().toJS().paths")
    return paths


async def read_again(page: Page, token: str) -> dict[str, Any]:
    """The same without the page around it, which takes seconds to draw."""
    paths: dict[str, Any] = await page.tab.run(f"""import("/docs/examples.js").then(async (examples) =>
        examples.fill(await (await fetch("/openapi.json")).json(), await examples.look({json.dumps(token)})).paths)""")
    return paths


async def try_each(page: Page, ann: Person) -> None:
    """All examples, in the order of the page, but those last that end what others need."""
    late = {path for group in (*LATER, ENDS) for path in group}
    everything = await read_page(page, ann.token)
    assert len(everything) > 100
    refused = await send_examples(everything, ann, lambda path: not path.endswith(tuple(late)))
    for group in LATER:
        paths = await read_again(page, ann.token)
        refused += await send_examples(paths, ann, lambda path, group=group: path.endswith(tuple(group)))
    for path in ENDS:
        leaver, _ = await register_by_phone(ann.http)
        refused += await send_examples(
            await read_again(page, leaver.token), leaver, lambda each, path=path: each.endswith(path)
        )
    unknown = [(path, reason) for path, reason in refused if not path.endswith(tuple(REFUSED.get(reason, {"-"})))]
    assert not unknown, unknown


async def send_examples(paths: dict[str, Any], ann: Visitor, takes: Any) -> list[tuple[str, str]]:
    """The paths and reasons of those that were refused; what only reads is read first."""
    operations = [(method, path, paths[path][method]) for path in paths if takes(path) for method in paths[path]]
    refused = []
    for method, path, operation in sorted(operations, key=lambda each: each[0] != "get"):
        query = {each["name"]: each["example"] for each in operation.get("parameters", [])}
        content = operation.get("requestBody", {}).get("content", {})
        if "multipart/form-data" in content:
            options: dict[str, Any] = {"files": {"file": ("a.png", image("png"))}}
        else:
            options = (
                {"params": query} if query else {"json": content["application/json"]["example"]} if content else {}
            )
        response = await ann.call(method.upper(), path, **options)
        if not response.is_success:
            refused.append((path, response.headers.get("x-error", str(response.status_code)).partition(" ")[0]))
    return refused
