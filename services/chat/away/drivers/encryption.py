"""Encrypts a message for one device of Web Push: RFC 8291, with the content coding aes128gcm of RFC 8188."""

import base64
import os
import struct

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_BODY = 4_096  # bytes that every push service takes (RFC 8030, 7.2)
KEY_BYTES, AUTH_BYTES, SALT_BYTES = 65, 16, 16
# The header (salt, record size, length of the key, key), the delimiter and the tag.
MAX_PLAIN = MAX_BODY - (SALT_BYTES + 4 + 1 + KEY_BYTES) - 1 - 16
CURVE = ec.SECP256R1()


def encrypt(
    plain: bytes, p256dh: bytes, auth: bytes, key: ec.EllipticCurvePrivateKey | None = None, salt: bytes = b""
) -> bytes:
    """The body of a request, at most MAX_BODY bytes. `p256dh` and `auth` are the device's. Raises ValueError.

    A key and a salt are made for each message; the test vector of RFC 8291 gives its own.
    """
    if len(plain) > MAX_PLAIN:
        raise ValueError("too long")
    key, salt = key or ec.generate_private_key(CURVE), salt or os.urandom(SALT_BYTES)
    ours = public_bytes(key)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, p256dh))
    secret = _derive(auth, shared, b"WebPush: info\0" + p256dh + ours, 32)
    content_key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    header = salt + struct.pack("!IB", MAX_BODY, len(ours)) + ours
    return header + AESGCM(content_key).encrypt(nonce, plain + b"\x02", None)


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def is_public_key(point: bytes) -> bool:
    """Whether it is an uncompressed point of P-256."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point)
    except ValueError:
        return False
    return len(point) == KEY_BYTES


def to_base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Padded or not. Raises ValueError."""
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
