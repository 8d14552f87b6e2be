"""Emails, phones and usernames: what is valid, and the one form each is stored in."""

import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from services.user.errors import EmailInvalid, PhoneInvalid, UsernameInvalid
from services.user.identities.lookalikes import has_visible, is_noncharacter, seen_key

MAX_USERNAME = 30  # characters (docs/contract/api.md)
MAX_EMAIL = 254  # RFC 5321
BIDI_CONTROLS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}


def parse_email(text: str) -> str:
    """Lower-cased and normalised. Only a mailed code shows whether the address receives mail. Raises EmailInvalid."""
    if len(text) > MAX_EMAIL or "=?" in text:  # mail programs decode what looks like an encoded word
        raise EmailInvalid
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise EmailInvalid(str(error)) from None


def parse_phone(text: str, region: str) -> str:
    """E.164. `region` reads numbers written without a country prefix. Raises PhoneInvalid."""
    if any(c.isalpha() for c in text):
        raise PhoneInvalid("letters")  # the library would read them as keys of a phone
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise PhoneInvalid(str(error)) from None
    if not phonenumbers.is_valid_number(number):
        raise PhoneInvalid("not a valid number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def format_phone(phone: str, region: str) -> str:
    """The number as it is written in `region`: without the country prefix if it is the region's own."""
    prefix = f"+{phonenumbers.country_code_for_region(region)}"
    return phone.removeprefix(prefix)


def parse_username(text: str) -> str:
    """NFC, trimmed. Raises UsernameInvalid unless 1 to 30 characters are left, of which one is seen."""
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_USERNAME or any(map(_is_refused, name)):
        raise UsernameInvalid
    if not has_visible(name) or not has_visible(username_key(name)):
        raise UsernameInvalid
    return name


def _is_refused(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cs", "Co", "Zl", "Zp") or c in BIDI_CONTROLS or is_noncharacter(c)


def username_key(name: str) -> str:
    """The form that has to be unique: without case, width, other compatibility forms and what nobody sees."""
    return seen_key(name)
