"""Keys that are mailed to a user: the id of a row, signed for one purpose."""

import hashlib
import hmac

from services.kit.ids import MAX_ID
from services.user.errors import CodeInvalid


def make_key(internal_secret: str, purpose: str, id: int) -> str:
    digest = hmac.new(internal_secret.encode(), f"{purpose}\0{id}".encode(), hashlib.sha256).hexdigest()
    return f"{id:x}-{digest[:40]}"


def read_key(internal_secret: str, purpose: str, key: str) -> int:
    """The id in the key. Raises CodeInvalid."""
    try:
        id = int(key.strip().partition("-")[0], 16)
    except ValueError:
        raise CodeInvalid from None
    genuine = 0 <= id <= MAX_ID and hmac.compare_digest(
        make_key(internal_secret, purpose, id).encode(), key.strip().encode()
    )
    if not genuine:
        raise CodeInvalid
    return id
