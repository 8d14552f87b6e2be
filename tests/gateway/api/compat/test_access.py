"""The tables of who may do what hold unchanged with the answers of the originals."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.http.failures import failure_of
from tests.gateway.api.test_social_access import test_each_kind_of_caller as test_each_kind_of_caller_of_another
from tests.gateway.api.test_videos import test_each_kind_of_caller
from tests.support.gateway import FrontEnd, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.video_people import VideoWorld, new_video_world
from tests.support.videos import Videos

__all__ = ["test_each_kind_of_caller", "test_each_kind_of_caller_of_another"]


class Undressing(httpx.AsyncClient):
    """Puts the documented status and code back, by the reason in `x-error`; every other difference is a failure."""

    async def request(self, *args: Any, **options: Any) -> httpx.Response:
        response = await super().request(*args, **options)
        if "x-error" in response.headers and response.status_code == 200:
            response.status_code = failure_of(response.headers["x-error"].split(" ")[0]).http
        elif response.content.startswith(b'{"code":200,"message"'):
            response._content = response.content.replace(b'{"code":200,', b'{"code":20000,', 1)
        return response


@pytest.fixture(scope="module")
async def visitor(servers: Servers, user: Users, social: Social, media: Videos) -> AsyncIterator[FrontEnd]:
    targets = {"USER": user.target, "SOCIAL": social.target, "MEDIA": media.target}
    named = {f"HITOK_{name}_TARGET": target for name, target in targets.items()}
    named["HITOK_CHAT_TARGET"] = "127.0.0.1:1"  # nobody is online
    compat = {"HITOK_COMPAT": "shortvideo-original,hichat-original", "HITOK_VAR": media.settings.var}
    async with running_gateway(gateway_settings(servers, **named, **compat)) as running:
        transport = running.http._transport
        async with Undressing(transport=transport, base_url="http://gateway") as http:
            yield FrontEnd(http)


@pytest.fixture(scope="module")
async def world(visitor: FrontEnd, user: Users, social: Social, media: Videos) -> VideoWorld:
    return await new_video_world(visitor, user, social, media)
