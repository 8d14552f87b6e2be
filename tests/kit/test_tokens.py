import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit import tokens
from services.kit.tokens import TokenClass, TokenExpired, TokenInvalid, WrongTokenClass, issue, verify

SECRET = "the secret of the tokens' tests!"


def issued(token_class: TokenClass = "atoken", lifetime: int = 60, secret: str = SECRET) -> str:
    return issue(secret, user_id=42, username="王", role=1, session_id=7, token_class=token_class, lifetime=lifetime)[0]


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones, but for `changes`; None leaves one out."""
    now = int(time.time())
    good = {"exp": now + 60, "iat": now, "userid": "42", "hichat2.com": "42", "username": "王", "role": 1}
    good |= {"class": "atoken", "sid": "7", "jti": "x"}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(payload: object, header: object = None, secret: str = SECRET, digest: str = "sha256") -> str:
    """By hand, as a forger would."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header or {"alg": "HS256", "typ": "JWT"}, payload)
    ]
    signature = hmac.new(secret.encode(), b".".join(parts), getattr(hashlib, digest)).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_is_verified_as_issued() -> None:
    token, expires_at = issue(
        SECRET, user_id=42, username="王", role=3, session_id=7, token_class="rtoken", lifetime=60
    )
    got = verify(SECRET, token, "rtoken")
    assert (got.userid, got.hichat_userid, got.username, got.role, got.sid) == ("42", "42", "王", 3, "7")
    assert got.exp == expires_at and got.exp - got.iat == 60


def test_the_claims_have_the_names_of_the_documents() -> None:
    payload = json.loads(base64.urlsafe_b64decode(issued().split(".")[1] + "=="))
    assert set(payload) == {"exp", "iat", "userid", "username", "role", "hichat2.com", "class", "sid", "jti"}


def test_no_two_tokens_are_alike() -> None:
    assert issued() != issued()


def test_the_hand_made_token_of_these_tests_is_good_so_that_what_follows_proves_something() -> None:
    assert verify(SECRET, sign(claims()), "atoken").userid == "42"


@pytest.mark.parametrize(("given_class", "wanted"), [("atoken", "rtoken"), ("rtoken", "atoken")])
def test_one_class_is_never_taken_for_the_other(given_class: TokenClass, wanted: TokenClass) -> None:
    with pytest.raises(WrongTokenClass):
        verify(SECRET, issued(given_class), wanted)


def test_an_expired_token_is_told_apart() -> None:
    for lifetime in (0, -1, -100_000):
        with pytest.raises(TokenExpired):
            verify(SECRET, issued(lifetime=lifetime), "atoken")


def test_an_expired_token_with_a_wrong_signature_is_invalid() -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, issued(lifetime=-1, secret="x" * 32), "atoken")


def test_a_host_whose_clock_is_behind_the_issuers_takes_the_token() -> None:
    assert verify(SECRET, sign(claims(iat=int(time.time()) + 5)), "atoken")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None", "typ": "JWT"},
        {"alg": "RS256"},  # signed with our secret as if it were a public key
        {"alg": "HS384"},
        {"alg": "hs256"},
        {"alg": ""},
        {"alg": None},
        {"alg": ["HS256"]},
        {"typ": "JWT"},
        {"alg": "HS256", "crit": ["exp"]},
        ["HS256"],
    ],
)
def test_no_algorithm_but_ours_is_taken(header: object) -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, sign(claims(), header), "atoken")


def test_another_of_its_family_is_not_taken_even_when_rightly_signed() -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, sign(claims(), {"alg": "HS512"}, digest="sha512"), "atoken")


def test_a_token_without_signature_is_invalid() -> None:
    head = sign(claims(), {"alg": "none"}).rpartition(".")[0]
    for token in (f"{head}.", head, sign(claims()).rpartition(".")[0] + "."):
        with pytest.raises(TokenInvalid):
            verify(SECRET, token, "atoken")


def test_another_key_is_not_taken() -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, sign(claims(), secret="another secret, just as long....."), "atoken")


@pytest.mark.parametrize("name", ["exp", "iat", "userid", "hichat2.com", "username", "role", "class", "sid", "jti"])
def test_every_claim_is_required(name: str) -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, sign(claims(**{name: None})), "atoken")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": "soon"},
        {"userid": 42},
        {"userid": "me"},
        {"sid": ""},
        {"role": "admin"},
        {"class": "token"},
        {"username": 1},
    ],
)
def test_every_claim_has_its_type(changes: dict[str, object]) -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, sign(claims(**changes)), "atoken")


def test_a_payload_that_is_no_object_is_invalid() -> None:
    payloads: tuple[Any, ...] = ([], "text", 1)
    for payload in payloads:
        with pytest.raises(TokenInvalid):
            verify(SECRET, sign(payload), "atoken")


@given(st.text(max_size=200) | st.text("abc._-=\0 é\ud800", max_size=60))
def test_garbage_is_invalid(text: str) -> None:
    with pytest.raises(TokenInvalid):
        verify(SECRET, text, "atoken")


@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_a_token_changed_in_one_character_is_not_taken(position: int, character: str) -> None:
    token = issued()
    position %= len(token) - 1  # the last one has bits that mean nothing
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        with pytest.raises((TokenInvalid, TokenExpired)):
            tokens.verify(SECRET, changed, "atoken")
