"""Encrypts what the database has to keep readable for us alone: a copy of the database without the settings shows none.

AES-256-GCM, with a key that HKDF derives from a secret. A value names its key, so that secrets can be replaced.
"""

import hashlib
import secrets
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kit.errors import Unavailable

VERSION = "v1"
NONCE = 12  # bytes
LONGEST = 8  # characters of a key's name


class Cipher:
    """The first of `texts`, which are secrets, encrypts; all of them decrypt. Empty ones do not count."""

    def __init__(self, purpose: str, *texts: str) -> None:
        keys = [_derive(purpose, text) for text in texts if text]
        self._keys = {_name_of(key): AESGCM(key) for key in keys}
        self._first = _name_of(keys[0])
        self.prefix = f"{VERSION}.{self._first}."  # of values of the first secret

    def encrypt(self, text: str, owner: int) -> str:
        """`owner` has to be the same when it is decrypted, so that no row serves in the place of another."""
        nonce = secrets.token_bytes(NONCE)
        sealed = self._keys[self._first].encrypt(nonce, text.encode(), _bound_to(owner))
        return self.prefix + b64encode(nonce + sealed).decode()

    def decrypt(self, value: str, owner: int) -> str:
        """A value of a release that did not encrypt is returned as it is. Raises Unavailable without its secret."""
        version, _, rest = value.partition(".")
        if version != VERSION:
            return value
        name, _, encoded = rest.partition(".")
        try:
            data = b64decode(encoded, validate=True)
            return self._keys[name].decrypt(data[:NONCE], data[NONCE:], _bound_to(owner)).decode()
        except (KeyError, ValueError, InvalidTag):
            raise Unavailable("encrypted with a secret that the settings do not have") from None


def _derive(purpose: str, text: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"hitok {purpose}".encode()).derive(text.encode())


def _name_of(key: bytes) -> str:
    return hashlib.sha256(b"name" + key).hexdigest()[:LONGEST]


def _bound_to(owner: int) -> bytes:
    return str(owner).encode()
