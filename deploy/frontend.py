"""An HTTP client that uses hitok as a front end does: it sends a token, and takes answers out of their envelopes."""

import asyncio
from typing import Any, Self

import httpx

PATIENCE = 120.0  # seconds to wait for one request, in total
LONGEST = 60.0  # seconds for one answer: an upload may take long


class Refused(Exception):
    """The gateway answered with an error: its HTTP status, the code and text of its envelope, and its reason."""

    def __init__(self, method: str, path: str, response: httpx.Response) -> None:
        body = _json(response)
        self.status, self.code = response.status_code, int(body.get("code", 0))
        text = body.get("message") or body.get("msg") or response.reason_phrase
        why = ", ".join(filter(None, (str(self.code), response.headers.get("x-error"))))
        super().__init__(f"{method} {path} was answered {self.status}: {text} ({why})")


class Unreachable(Exception):
    """No gateway answers at the address."""


class FrontEnd:
    """A visitor, or a user who is logged in. Waits as long as an answer with a status of `waits_for` asks for."""

    waits_for = frozenset({429})

    def __init__(self, http: httpx.AsyncClient, token: str = "") -> None:
        self.http, self.token = http, token

    def with_token(self, token: str) -> Self:
        return type(self)(self.http, token)

    async def get(self, path: str, **params: Any) -> Any:
        return await self.ask("GET", path, params={name: str(value) for name, value in params.items()})

    async def post(self, path: str, **body: Any) -> Any:
        return await self.ask("POST", path, json=body)

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """The `data` of the answer, or all of it if the API family has no envelope. Raises Refused, Unreachable."""
        waited = 0.0
        while True:
            response = await self.call(method, path, **options)
            wait = float(response.headers.get("retry-after", 1))
            if response.status_code not in self.waits_for or waited + wait > PATIENCE:
                break
            waited += wait
            await asyncio.sleep(wait)
        if not response.is_success:
            raise Refused(method, path, response)
        body = _json(response)
        return body["data"] if "code" in body else body

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer, whatever its status. Raises Unreachable."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            return await self.http.request(method, path, headers=headers | options.pop("headers", {}), **options)
        except httpx.TransportError as error:
            raise Unreachable(f"{self.http.base_url} does not answer ({type(error).__name__})") from None


def open_http(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=LONGEST, trust_env=False)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
