"""Errors between users and in groups. The gateway maps each reason to the codes of both API families."""

from services.kit import errors
from services.kit.errors import Conflict, Forbidden, Invalid, NotFound


class SelfFriend(Invalid):
    """A user cannot befriend themselves."""


class SelfBlock(Invalid):
    """A user cannot block themselves."""


class SelfMute(Invalid):
    """A user cannot mute themselves."""


class SelfFollow(Invalid):
    """A user cannot follow themselves."""


class WordInvalid(Invalid):
    """The word has nothing visible, or more than 50 characters."""

    field = "word"


class ResultInvalid(Invalid):
    """The result of a request is neither accepted nor refused."""

    field = "result"


class SettingInvalid(Invalid):
    """The request has a choice that does not exist (who may add the caller, or see something of theirs)."""


class RoleInvalid(Invalid):
    """The role is neither member nor manager. A group gets another owner by transfer only."""

    field = "role"


class MessageInvalid(Invalid):
    """More than 500 characters, or not text."""

    field = "message"


class RemarkInvalid(Invalid):
    """More than 50 characters, or not text."""

    field = "remark"


class GroupNameEmpty(Invalid):
    """The name has no visible character."""

    field = "name"


class GroupInvalid(Invalid):
    """A field is too long or malformed."""


class NotPermitted(Forbidden):
    """The caller's role does not allow it."""


class NotMember(Forbidden):
    """The caller does not belong to the group."""


class FollowsHidden(Forbidden):
    """Only followers see whom a user who accepts them one by one follows, and who follows them."""


class Blocked(Forbidden):
    """The caller blocked the other user. That the other user blocked the caller is never told."""


class AlreadyFriends(Conflict):
    pass


class RequestHandled(Conflict):
    """The request was accepted or refused before."""


class OwnerMustStay(Conflict):
    """The owner has to transfer or dismiss the group before leaving it."""


class FriendLimitReached(Conflict):
    """One of the two users has as many friends as the service allows."""


class RequestLimitReached(Conflict):
    """The caller has too many friend requests pending."""


class FollowLimitReached(Conflict):
    """The caller follows as many users as the service allows."""


class MuteLimitReached(Conflict):
    """The caller has muted as many users, or words, as the service allows."""


class GroupLimitReached(Conflict):
    """The user belongs to as many groups as the service allows."""


class MemberLimitReached(Conflict):
    """The group is full."""


class UserNotFound(NotFound):
    """The id is below 1. Whether an account has the id is the user service's to say."""


class FriendNotFound(NotFound):
    pass


class RequestNotFound(NotFound):
    """There is no such request, or it is not the caller's to handle."""


class GroupNotFound(NotFound):
    """There is no such group, or it was dismissed."""


class MemberNotFound(NotFound):
    """The user named does not belong to the group."""


class Overloaded(errors.Overloaded):
    """More changes of follows at once than can wait."""
