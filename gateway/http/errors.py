"""The gateway's own errors. failures.py has the codes and texts of all reasons."""

from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated


class ParameterInvalid(Invalid):
    """The type is right, the value is not accepted."""


class ParameterEmpty(Invalid):
    pass


class ParameterMistyped(Invalid):
    pass


class ParameterMissing(Invalid):
    pass


class SelfFollow(Invalid):
    """A user cannot follow themselves."""


class ContentTypeInvalid(Invalid):
    pass


class BodyTooLarge(Invalid):
    pass


class HeadersTooLarge(Invalid):
    pass


class ClientGone(Invalid):
    """The client disconnected before the request was complete. Nobody reads the answer; the log shows its status."""


class BodyIncomplete(Invalid):
    """The client disconnected in the middle of an upload."""


class BodySlow(BodyIncomplete):
    """The request's time ended before its body was complete, or the client sent nothing for too long."""


class ObjectNotFound(NotFound):
    """There is no such file, or this client may not see it."""


class RangeInvalid(Invalid):
    """The range begins beyond the end of the file."""

    field = "range"


class TusVersionInvalid(Invalid):
    """A resumable upload by a protocol version other than 1.0.0."""

    field = "tus-resumable"


class RouteNotFound(NotFound):
    pass


class UserNotFound(NotFound):
    pass


class VideoNotFound(NotFound):
    """There is no such video, or this viewer may not see it."""


class CommentNotFound(NotFound):
    pass


class MessageNotFound(NotFound):
    pass


class GroupNotFound(NotFound):
    pass


class MethodNotAllowed(Invalid):
    pass


class TokenMissing(Unauthenticated):
    field = "authorization"


class TokenMalformed(Unauthenticated):
    """The Authorization header does not hold a bearer token."""

    field = "authorization"


class TicketInvalid(Unauthenticated):
    """The ticket was used, has expired, or was not issued by us."""


class RefreshTokenExpired(Unauthenticated):
    pass


class NotPermitted(Forbidden):
    """A page of that origin may not send such a request."""


class Blocked(Forbidden):
    """The caller blocked the other user."""


class ActorForged(Forbidden):
    """The body names a user other than the caller as the actor."""

    field = "user_id"


class SecondFactorMissing(Forbidden):
    """The caller's role needs a second factor, and they may do nothing before they have turned one on."""


class TooManyRequests(TooMany):
    pass


class FollowLimitReached(Conflict):
    """The caller follows as many users as one may."""
