"""The errors of the chat service. The gateway maps each reason to a frame's code and to each API family's code."""

from services.kit import errors
from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class MessageInvalid(Invalid):
    """The id is not a UUID, the content type is unknown, the body is not JSON, there are too many mentions, or the
    message replies to one that does not exist."""


class MessageTooLarge(MessageInvalid):
    """The body has more than 48 KiB."""


class KindInvalid(Invalid):
    """There is no such kind of notification."""


class PushKindOff(Invalid):
    """This server cannot push to devices of that kind."""

    field = "kind"


class PushAddressInvalid(Invalid):
    """It is no token, or no URL that this server may call."""

    field = "address"


class PushKeysInvalid(Invalid):
    """The keys are not those of a subscription to Web Push."""

    field = "keys"


class TimeZoneInvalid(Invalid):
    """There is no such time zone, or no such time of day."""

    field = "time_zone"


class MuteInvalid(Invalid):
    """The time until which a conversation should be muted is past, or no time."""

    field = "until"


class EmojiInvalid(Invalid):
    """It is not one emoji."""

    field = "emoji"


class ReactionLimitReached(Conflict):
    """The message has as many different reactions as it may."""


class RequestUnanswered(Conflict):
    """The caller has not answered the conversation's message request yet."""


class PinForbidden(Forbidden):
    """The group's owner and managers pin its messages."""


class PinnedLimitReached(Conflict):
    """The conversation has as many messages pinned as it may."""


class PinLimitReached(Conflict):
    """The caller has as many conversations pinned as they may."""


class SearchTooBroad(Invalid):
    """The search took too long: a conversation, a sender or a time makes it narrower."""

    field = "text"


class SearchInvalid(Invalid):
    """There is no such content type."""

    field = "content_types"


class NotFriends(Forbidden):
    pass


class Blocked(Forbidden):
    """The caller has blocked the other user. One whom the other blocked gets NotFriends."""


class AnswerAwaited(Forbidden):
    """The peer has not agreed to hear from the caller, who has sent as many messages as a request may have."""


class NotMember(Forbidden):
    """The caller is not a member of the group."""


class EditForbidden(Forbidden):
    """The message is not the caller's, is too old, or was recalled."""


class ConversationNotFound(NotFound):
    """The conversation does not exist, or the caller is not a member of it: both answer alike."""


class MessageNotFound(NotFound):
    pass


class ObjectNotFound(NotFound):
    """The url names no file of ours, or another user's private file."""


class Overloaded(errors.Overloaded):
    """More messages arrive than can be written."""


class VideoNotFound(NotFound):
    """The video that a message would share does not exist, or the sender may not see it."""


class MediaUnavailable(Unavailable):
    """The media service cannot describe the file to be attached."""


class SocialUnavailable(Unavailable):
    """The social service cannot say whether the caller is allowed to do this."""
