"""Signed paths of private files: made by the media service, checked by the gateway.

A file that a moderator hid needs a signature of another kind, so that those given out before end with the hiding.
"""

import hashlib
import hmac
import time
from urllib.parse import urlencode

MEDIA_PREFIX = "/media/"


def sign_path(internal_secret: str, file: str, seconds: int, hidden: bool = False) -> str:
    """`/media/<file>?exp=…&sig=…`, valid for between one and two times `seconds`.

    The expiry is rounded up, so a client that asks again gets the same address, which it may have cached.
    """
    expires = str((int(time.time()) // seconds + 2) * seconds)
    return MEDIA_PREFIX + sign_file(internal_secret, file, expires, hidden)


def sign_file(internal_secret: str, file: str, expires: str, hidden: bool = False) -> str:
    """`<file>?exp=…&sig=…`, valid until `expires`."""
    return f"{file}?{urlencode({'exp': expires, 'sig': _signature(internal_secret, file, expires, hidden)})}"


def is_signed(internal_secret: str, file: str, expires: str, signature: str, hidden: bool = False) -> bool:
    """Whether the signature is ours and has not expired."""
    right = hmac.compare_digest(signature.encode(), _signature(internal_secret, file, expires, hidden).encode())
    return right and int(expires) >= time.time()  # a number, since we signed it


def _signature(internal_secret: str, file: str, expires: str, hidden: bool) -> str:
    purpose = b"hitok hidden media urls" if hidden else b"hitok media urls"
    key = hmac.digest(internal_secret.encode(), purpose, hashlib.sha256)
    return hmac.digest(key, f"{file}\0{expires}".encode(), hashlib.sha256).hex()
