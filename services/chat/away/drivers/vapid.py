"""The key with which this server identifies itself to push services: RFC 8292 (VAPID)."""

from time import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from services.chat.away.drivers.encryption import CURVE, from_base64url, public_bytes, to_base64url
from services.kit.ttl_map import TtlMap

TOKEN_SECONDS = 12 * 3_600  # a push service takes at most 24 hours
REUSE_SECONDS, MAX_TOKENS = 3_600.0, 1_000
KEY_BYTES = 32


class Vapid:
    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str) -> None:
        """`contact`: a `mailto:` or `https:` URL where operators of push services reach this one's."""
        self._key, self._contact = key, contact
        self.public_key = to_base64url(public_bytes(key))
        self._tokens: TtlMap[str, str] = TtlMap(REUSE_SECONDS, MAX_TOKENS)  # by origin

    def authorization(self, origin: str) -> str:
        """The header for a push service. One token for each origin serves many requests."""
        token = self._tokens.get(origin)
        if token is None:
            claims = {"aud": origin, "exp": int(time()) + TOKEN_SECONDS, "sub": self._contact}
            token = jwt.encode(claims, self._key, "ES256")
            self._tokens.put(origin, token)
        return f"vapid t={token}, k={self.public_key}"


def read_key(text: str) -> ec.EllipticCurvePrivateKey:
    """From 32 bytes, as 64 hexadecimal digits or as base64url. Raises ValueError."""
    value = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else from_base64url(text)
    if len(value) != KEY_BYTES:
        raise ValueError("not 32 bytes")
    return ec.derive_private_key(int.from_bytes(value), CURVE)
