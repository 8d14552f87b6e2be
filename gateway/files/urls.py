"""The urls of files, and the hash in them."""

import re

from gateway.container import Call
from gateway.http.client_info import header_of

HASH = re.compile(r"(?:^|/)([0-9a-f]{64})(?:\.[a-z0-9]{1,5})?(?:\?.*)?$")


def hash_in(text: str) -> str | None:
    """The hash in a file's url, or the bare hash."""
    found = HASH.search(text.strip())
    return found[1] if found else None


def absolute(call: Call, path: str) -> str:
    """The url of one of our paths, by the address that the client uses or the setting `public_url`; "" for no path."""
    if not path:
        return ""
    if call.container.settings.public_url:
        return call.container.settings.public_url.rstrip("/") + path
    scope = call.client.scope
    return f"{scope['scheme']}://{header_of(scope, b'host') or ''}{path}"
