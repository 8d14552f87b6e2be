"""A load balancer as in production: asks each gateway whether it is ready, and sends requests only to those."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx

ASK_EVERY = 0.2


class Balancer(httpx.AsyncBaseTransport):
    def __init__(self, urls: Sequence[str]) -> None:
        self._ready = dict.fromkeys(urls, False)
        self._turns = itertools.count()
        self._wires = {url: httpx.AsyncHTTPTransport() for url in urls}

    @property
    def ready(self) -> list[str]:
        return [url for url, is_ready in self._ready.items() if is_ready]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        ready = self.ready
        url = ready[next(self._turns) % len(ready)]
        request.url = request.url.copy_with(port=httpx.URL(url).port, host="127.0.0.1", scheme="http")
        return await self._wires[url].handle_async_request(request)

    async def watch(self) -> None:
        async with httpx.AsyncClient(timeout=2) as client:
            while True:
                for url in self._ready:
                    self._ready[url] = await _is_ready(client, url)
                await asyncio.sleep(ASK_EVERY)

    async def aclose(self) -> None:
        for wire in self._wires.values():
            await wire.aclose()


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/ready")).status_code == 200
    except httpx.HTTPError:
        return False


@asynccontextmanager
async def balancing(urls: Sequence[str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of all gateways, once they are ready."""
    balancer = Balancer(urls)
    watching = asyncio.create_task(balancer.watch())
    async with asyncio.timeout(10):
        while len(balancer.ready) < len(urls):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with httpx.AsyncClient(transport=balancer, base_url="http://balancer", timeout=10) as client:
        yield client
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
