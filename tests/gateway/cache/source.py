"""Where the caches under test fetch from."""

import asyncio
from collections.abc import Mapping, Sequence


class Source:
    """`values` may change; a fetch reads them when it begins, and returns when `open` is set."""

    def __init__(self, **values: str) -> None:
        self.values: dict[str, str] = values
        self.fetches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def fetch(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.fetches.append(list(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.open.wait()
        if self.error:
            raise self.error
        return found

    async def until_fetched(self, times: int) -> None:
        async with asyncio.timeout(30):
            while len(self.fetches) < times:  # noqa: ASYNC110
                await asyncio.sleep(0)
