"""What can be wrong with accounts. The gateway maps each reason to both families' codes."""

from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated, Unavailable


class EmailInvalid(Invalid):
    pass


class PhoneInvalid(Invalid):
    pass


class UsernameInvalid(Invalid):
    """Not 1 to 30 visible characters."""


class PasswordInvalid(Invalid):
    """Not 6 to 72 bytes; bcrypt would ignore what is beyond."""


class ProfileInvalid(Invalid):
    """A field too long."""


class RoleInvalid(Invalid):
    """Not 0 to 4."""


class BatchTooLarge(Invalid):
    pass


class CodeInvalid(Invalid):
    """Wrong, used, expired, or guessed too often: which of them is not told."""


class EmailUnverified(Invalid):
    """A new address needs a mailed code (BindEmail)."""


class TooManyCodes(TooMany):
    pass


class MailFailed(Unavailable):
    pass


class Overloaded(Unavailable):
    """More logins at once than can be hashed in time."""


class CredentialsWrong(Unauthenticated):
    """No such account or a wrong password: which of them is not told."""


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
