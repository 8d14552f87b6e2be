"""`python -m bench.steady URL`: a steady, small load on a running gateway, for watching its dashboards.

It needs only Python. It registers a user of the chat family by phone, which needs no confirmation.
"""

import asyncio
import json
import os
import secrets
import sys
from urllib.request import Request, urlopen

from bench.clients.load import build_request, load

RATE = float(os.environ.get("RATE", "50"))  # requests/s
SECONDS = float(os.environ.get("SECONDS", "60"))
CONNECTIONS = 16
PATHS = ("/api/v1/user/detail", "/v1/social/friends", "/v1/social/groups")


def register(base: str) -> str:
    """The new user's token."""
    body = {"phone": f"175{secrets.randbelow(10**8):08}", "password": secrets.token_hex(8), "nickname": "steady"}
    request = Request(f"{base}/api/v1/user/register", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["data"]["token"])


async def main(base: str) -> int:
    """1 if a request was not answered with 200."""
    headers = {"Authorization": f"Bearer {register(base)}"}
    requests = [build_request(base + path, headers) for path in PATHS]
    result = await load(base, requests, CONNECTIONS, SECONDS, RATE)
    print(f"{result.requests} requests, {result.rate:.0f}/s, {result.failures} failed")
    print(f"p50 {result.quantile(0.5):.1f} ms, p99 {result.quantile(0.99):.1f} ms")
    return int(result.failures > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
