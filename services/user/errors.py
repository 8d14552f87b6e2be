"""Errors of accounts. The gateway maps each reason to the codes of both API families."""

from services.kit import errors
from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated, Unavailable


class EmailInvalid(Invalid):
    field = "email"


class PhoneInvalid(Invalid):
    field = "phone"


class UsernameInvalid(Invalid):
    """The username has not 1 to 30 visible characters."""

    field = "username"


class PasswordInvalid(Invalid):
    """The password has not 6 to 72 bytes; bcrypt would ignore more."""

    field = "password"


class ProfileInvalid(Invalid):
    """A field is too long or malformed."""


class RoleInvalid(Invalid):
    """The role is not 0 to 4."""

    field = "role"


class CodeInvalid(Invalid):
    """The code is wrong, used, expired, or was guessed too often. The caller is not told which."""

    field = "code"


class AuditInvalid(Invalid):
    """An act without a name or a target, or too long; or details that are no JSON object."""


class EmailUnverified(Invalid):
    """A new email address has to be proved by a mailed code (BindEmail)."""

    field = "email"


class TooManyCodes(TooMany):
    pass


class TooManyExports(TooMany):
    """The last link to an export was mailed less than an hour ago."""


class TooManyGuesses(TooMany):
    """Too many wrong passwords were tried on this account, from networks it does not know or from this one."""


class MailFailed(Unavailable):
    pass


class SmsFailed(Unavailable):
    pass


class Overloaded(errors.Overloaded):
    """More passwords wait for hashing than can be hashed in time."""


class CredentialsWrong(Unauthenticated):
    """There is no such account, or the password is wrong. The caller is not told which."""


class SecondFactorRequired(Unauthenticated):
    """The password is right; the login needs a code of the account's second factor too."""

    field = "second_code"


class SecondCodeWrong(CredentialsWrong):
    """The code of the second factor is wrong or was used. It counts as a wrong password."""

    field = "second_code"


class SessionEnded(Unauthenticated):
    pass


class AccountDisabled(Forbidden):
    pass


class AccountBanned(Forbidden):
    """By a moderator, for good."""


class AccountSuspended(Forbidden):
    """By a moderator; `retry_after` says when it ends."""


class NotPermitted(Forbidden):
    pass


class EmailTaken(Conflict):
    field = "email"


class PhoneTaken(Conflict):
    field = "phone"


class SecondFactorOn(Conflict):
    pass


class SecondFactorOff(Conflict):
    """There is none, or none was begun."""


class UsernameTaken(Conflict):
    field = "username"


class UserNotFound(NotFound):
    pass


class SessionNotFound(NotFound):
    pass


class ExportNotFound(NotFound):
    """The link to an export is not ours, has expired, or was replaced by a newer one."""
