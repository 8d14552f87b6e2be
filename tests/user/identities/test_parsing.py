"""The stored form of emails, phones and usernames, and what is invalid."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.user.errors import EmailInvalid, PhoneInvalid, UsernameInvalid
from services.user.identities.parsing import (
    BIDI_CONTROLS,
    MAX_USERNAME,
    format_phone,
    parse_email,
    parse_phone,
    parse_username,
    username_key,
)

ANY_TEXT = st.text(st.characters(), max_size=40)


@given(ANY_TEXT)
def test_a_username_is_stable_visible_and_short_or_refused(text: str) -> None:
    try:
        name = parse_username(text)
    except UsernameInvalid:
        return
    assert parse_username(name) == name == unicodedata.normalize("NFC", name).strip()
    assert 1 <= len(name) <= MAX_USERNAME
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in name) and not BIDI_CONTROLS & set(name)
    assert username_key(text) == username_key(name)
    name.encode()  # so the database takes it


@given(ANY_TEXT)
def test_a_key_is_the_key_of_itself_and_of_the_name_in_any_case(text: str) -> None:
    key = username_key(text)
    assert username_key(key) == key
    assert username_key(text.casefold()) == key


@given(ANY_TEXT)
def test_an_address_is_stable_or_refused(text: str) -> None:
    for candidate in (text, f"{text}@example.com"):
        try:
            address = parse_email(candidate)
        except EmailInvalid:
            continue
        assert parse_email(address) == address == address.lower()
        assert not any(c.isspace() or not c.isprintable() for c in address)


@given(st.emails())
def test_an_address_is_one_in_whatever_case_its_ascii_letters_are(text: str) -> None:
    try:
        address = parse_email(text)
    except EmailInvalid:
        return
    assert parse_email(text.upper()) == parse_email(text.lower()) == address


@given(st.text(st.sampled_from("0123456789+- ()extX#.,;/*abc\0一"), max_size=30))
def test_a_phone_is_stable_or_refused(text: str) -> None:
    try:
        phone = parse_phone(text, "CN")
    except PhoneInvalid:
        return
    assert phone.startswith("+") and phone[1:].isascii() and phone[1:].isdecimal()
    assert parse_phone(phone, "CN") == parse_phone(format_phone(phone, "CN"), "CN") == phone


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "aLICE"),
        ("ａｌｉｃｅ", "alice"),  # full width
        ("café", "cafe\u0301"),  # composed and not
        ("straße", "STRASSE"),
        ("ﬁsh", "fish"),  # ligature
        ("al\u200bice", "alice"),  # zero width space
        ("al\u00adice", "alice"),  # soft hyphen
        ("Ⅳ", "iv"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        (" alice ", "alice"),
        ("\ufeffalice", "alice"),
    ],
)
def test_names_that_look_alike_have_one_key(one: str, other: str) -> None:
    assert username_key(parse_username(one)) == username_key(parse_username(other))


@pytest.mark.parametrize("name", ["a", "a" * 30, "用" * 30, "😀" * 30, "e\u0301" * 30, " padded ", "O'Neil", "a.b-c_d"])
def test_a_name_of_1_to_30_characters_is_good(name: str) -> None:
    assert 1 <= len(parse_username(name)) <= 30


@pytest.mark.parametrize("control", ["\0", "\n", "\t", "\x7f", "\x85", "\u2028", "\ue000", *sorted(BIDI_CONTROLS)])
def test_a_name_with_a_control_character_is_refused(control: str) -> None:
    with pytest.raises(UsernameInvalid):
        parse_username(f"a{control}b")


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\u00ad\u200d", "\u3000", "a" * 31, "用" * 31])
def test_a_name_of_no_or_too_many_characters_is_refused(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        parse_username(name)


def test_an_emoji_joined_of_several_is_a_good_name() -> None:
    assert parse_username("👩\u200d👩\u200d👧") == "👩\u200d👩\u200d👧"


def test_letters_make_no_phone() -> None:
    """The library would read them as keys of a phone, so a username could be another user's number."""
    with pytest.raises(PhoneInvalid):
        parse_phone("ue159610b4e9f", "CN")
