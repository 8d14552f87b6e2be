"""What can be wrong between users and in groups. The gateway maps each reason to both families' codes."""

from services.kit.errors import Conflict, Forbidden, Invalid, NotFound


class SelfFriend(Invalid):
    """Friends are two."""


class SelfBlock(Invalid):
    pass


class ResultInvalid(Invalid):
    """A request is accepted or refused, nothing else."""


class RoleInvalid(Invalid):
    """Neither member nor manager; who owns a group changes by transfer."""


class MessageInvalid(Invalid):
    """More than 500 characters, or not text."""


class RemarkInvalid(Invalid):
    """More than 50 characters, or not text."""


class GroupNameEmpty(Invalid):
    pass


class GroupInvalid(Invalid):
    """A field too long, or not what it should be."""


class BatchTooLarge(Invalid):
    pass


class NotPermitted(Forbidden):
    """The caller's role does not allow it."""


class NotMember(Forbidden):
    """The caller does not belong to the group."""


class Blocked(Forbidden):
    """The caller himself blocked the other. That the other blocked him is never told."""


class AlreadyFriends(Conflict):
    pass


class RequestHandled(Conflict):
    pass


class OwnerMustStay(Conflict):
    """The owner has to transfer or dismiss the group first."""


class FriendLimitReached(Conflict):
    """One of the two has as many friends as the service allows."""


class RequestLimitReached(Conflict):
    """The caller has too many friend requests pending."""


class GroupLimitReached(Conflict):
    """The user belongs to as many groups as the service allows."""


class MemberLimitReached(Conflict):
    """The group is full."""


class UserNotFound(NotFound):
    """Not a user's id. Whether an account has it is for the user service to say."""


class FriendNotFound(NotFound):
    pass


class RequestNotFound(NotFound):
    """None such, or not the caller's to handle."""


class GroupNotFound(NotFound):
    """None such, or dismissed."""


class MemberNotFound(NotFound):
    """The user named does not belong to the group."""
