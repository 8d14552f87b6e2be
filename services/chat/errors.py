"""What can be wrong in a chat. The gateway maps each reason to a frame's code and to the family's codes."""

from services.kit.errors import Forbidden, Invalid, NotFound, Unavailable


class MessageInvalid(Invalid):
    """No UUID, no such content type, no JSON, too many mentions, or a reply to what is not there."""


class MessageTooLarge(MessageInvalid):
    """The body has more than 48 KiB."""


class BatchTooLarge(Invalid):
    pass


class KindInvalid(Invalid):
    """No such kind of notification."""


class NotFriends(Forbidden):
    pass


class Blocked(Forbidden):
    """One of the two blocked the other."""


class NotMember(Forbidden):
    """The caller does not belong to the group."""


class EditForbidden(Forbidden):
    """Not the caller's message, too old, or recalled."""


class ConversationNotFound(NotFound):
    """None such, or none of the caller's."""


class MessageNotFound(NotFound):
    pass


class ObjectNotFound(NotFound):
    """No file of ours, or another's private one."""


class Overloaded(Unavailable):
    """More is being sent than can be written."""


class MediaUnavailable(Unavailable):
    """The media service cannot say what is to be attached."""


class SocialUnavailable(Unavailable):
    """The social service cannot say whether it is allowed."""
