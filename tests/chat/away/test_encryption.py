"""The encryption of Web Push against the test vector of RFC 8291, and the key by which push services know us."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.chat.away.drivers.encryption import (
    CURVE,
    MAX_BODY,
    MAX_PLAIN,
    encrypt,
    from_base64url,
    is_public_key,
    public_bytes,
    to_base64url,
)
from services.chat.away.drivers.vapid import read_key

# RFC 8291, appendix A.
PLAIN = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH, SALT = "BTBZMqHH6r4Tts7J_aSIgg", "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_vector_of_the_rfc() -> None:
    key = ec.derive_private_key(int.from_bytes(from_base64url(SENDER)), CURVE)
    sealed = encrypt(PLAIN, from_base64url(RECEIVER), from_base64url(AUTH), key, from_base64url(SALT))
    assert to_base64url(sealed) == SEALED


def test_a_body_is_never_longer_than_push_services_take() -> None:
    receiver = from_base64url(RECEIVER)
    assert len(encrypt(b"x" * MAX_PLAIN, receiver, b"0" * 16)) == MAX_BODY
    with pytest.raises(ValueError, match="too long"):
        encrypt(b"x" * (MAX_PLAIN + 1), receiver, b"0" * 16)


@pytest.mark.parametrize(
    "point",
    [b"", b"\x04" + b"\1" * 64, public_bytes(ec.generate_private_key(CURVE))[:-1]],
    ids=["empty", "off the curve", "cut short"],
)
def test_what_is_no_point_of_the_curve_is_no_key(point: bytes) -> None:
    assert not is_public_key(point)
    assert is_public_key(from_base64url(RECEIVER))


def test_a_key_is_32_bytes_in_either_spelling() -> None:
    value = bytes(range(1, 33))
    assert public_bytes(read_key(value.hex())) == public_bytes(read_key(to_base64url(value)))
    for wrong in ("", "ab", "0" * 64, "z" * 64, to_base64url(value[:-1])):
        with pytest.raises(ValueError):
            read_key(wrong)
