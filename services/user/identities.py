"""Emails, phones and usernames: what is valid, and the one form each is stored in."""

import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from services.kit.text_search import fold
from services.user.errors import EmailInvalid, PhoneInvalid, UsernameInvalid

MAX_USERNAME = 30  # characters (docs/contract/api.md)
FILLERS = "\u115f\u1160"  # invisible letters; NFKC turns the other fillers into these
MAX_EMAIL = 254  # RFC 5321
BIDI_CONTROLS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}


def parse_email(text: str) -> str:
    """Lower-cased and normalised. Only a mailed code shows whether the address receives mail. Raises EmailInvalid."""
    if len(text) > MAX_EMAIL:
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
    """NFC, trimmed. Raises UsernameInvalid unless 1 to 30 visible characters are left."""
    name = unicodedata.normalize("NFC", text).strip()
    unseen = any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Zl", "Zp") or c in BIDI_CONTROLS for c in name)
    if unseen or not 1 <= len(name) <= MAX_USERNAME or not username_key(name):
        raise UsernameInvalid
    return name


def username_key(name: str) -> str:
    """The form that has to be unique: without case, width, other compatibility forms and invisible characters."""
    return "".join(c for c in fold(name) if unicodedata.category(c) != "Cf" and c not in FILLERS).strip()
