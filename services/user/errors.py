"""Errors of accounts. The gateway maps each reason to the codes of both API families."""

from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated, Unavailable


class EmailInvalid(Invalid):
    pass


class PhoneInvalid(Invalid):
    pass


class UsernameInvalid(Invalid):
    """The username has not 1 to 30 visible characters."""


class PasswordInvalid(Invalid):
    """The password has not 6 to 72 bytes; bcrypt would ignore more."""


class ProfileInvalid(Invalid):
    """A field is too long or malformed."""


class RoleInvalid(Invalid):
    """The role is not 0 to 4."""


class CodeInvalid(Invalid):
    """The code is wrong, used, expired, or was guessed too often. The caller is not told which."""


class EmailUnverified(Invalid):
    """A new email address has to be proved by a mailed code (BindEmail)."""


class TooManyCodes(TooMany):
    pass


class MailFailed(Unavailable):
    pass


class Overloaded(Unavailable):
    """More passwords wait for hashing than can be hashed in time."""


class CredentialsWrong(Unauthenticated):
    """There is no such account, or the password is wrong. The caller is not told which."""


class SessionEnded(Unauthenticated):
    pass


class AccountDisabled(Forbidden):
    pass


class NotPermitted(Forbidden):
    pass


class EmailTaken(Conflict):
    pass


class PhoneTaken(Conflict):
    pass


class UsernameTaken(Conflict):
    pass


class UserNotFound(NotFound):
    pass


class SessionNotFound(NotFound):
    pass
