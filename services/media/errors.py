"""Errors of files and videos. The gateway maps each reason to a code of its API families (gateway/http/failures.py)."""

from services.kit import errors
from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable


class FileEmpty(Invalid):
    pass


class FileTooLarge(Invalid):
    """More bytes, pixels or seconds than the settings allow for its kind."""


class FileTypeRefused(Invalid):
    """Not a type that can be uploaded, or a file of two types at once."""


class FileSoundUnsupported(Invalid):
    """Sound alone, of a kind that is not taken, such as AIFF or AMR."""


class FilePictureUnsupported(Invalid):
    """A picture of a kind that is not taken, such as SVG or what cameras call raw."""


class FileBroken(Invalid):
    """Not what it begins as, or nothing in it can be decoded."""


class FileTruncated(Invalid):
    """Ends before what it says is in it."""


class FileEncrypted(Invalid):
    """Only those who hold a key can play it."""


class FileCodecUnsupported(Invalid):
    """We have no decoder for it."""


class ChunkInvalid(Invalid):
    """Not a header followed by chunks of at most 256 KiB."""


class HashInvalid(Invalid):
    """Not 64 hexadecimal digits."""

    field = "id"


class UploadTooLarge(Invalid):
    """A resumable upload of more bytes than any kind of file may have."""


class ChecksumAlgorithmInvalid(Invalid):
    """Not one of the algorithms that OPTIONS lists."""

    field = "upload-checksum"


class ChecksumMismatch(Invalid):
    """The chunk did not arrive as it was sent; none of it was stored."""


class UploadOverrun(Invalid):
    """More bytes than were announced."""


class QuotaExceeded(TooMany):
    """More bytes than one user may upload in a day."""


class StorageExceeded(Forbidden):
    """More bytes than one user may keep here."""


class OffsetMismatch(Conflict):
    """Not the current offset of the upload."""

    field = "upload-offset"


class UploadFinished(Forbidden):
    """Nothing can be added to it."""


class NotFailed(Conflict):
    """Only failed processing can be retried."""


class ObjectNotFound(NotFound):
    pass


class FileInUse(Conflict):
    """A video of the caller shows it."""


class ObjectKindInvalid(Invalid):
    """A file of another kind than is needed."""


class VariantInvalid(Invalid):
    """Not one of the sizes and formats that pictures are made in."""

    field = "w"


class PictureOverloaded(Unavailable):
    """More pictures to be made at once than can wait."""


class UploadNotFound(NotFound):
    """No such upload, or expired, or another user's."""


class NotPermitted(Forbidden):
    pass


class StoreUnavailable(Unavailable):
    """The object store is unreachable, or the disk of the spool is full."""


class ProcessingInterrupted(Unavailable):
    """A child process was killed twice, or what it wrote cannot be read. A later attempt may succeed."""


class ProbeOverloaded(Unavailable):
    """More files at once than can be inspected in time."""


class VideoInvalid(Invalid):
    """A title, description, type or url that is not accepted."""


class CaptionsInvalid(Invalid):
    """Neither WebVTT nor SRT, or a label that is not accepted."""

    field = "text"


class CaptionsTooLarge(Invalid):
    """More than 512 KiB, 10,000 cues, or 2,000 characters in one."""

    field = "text"


class LanguageInvalid(Invalid):
    """Not a language tag (BCP 47)."""

    field = "language"


class TooManyCaptions(Conflict):
    """A video has captions in at most 20 languages."""


class FileUnplayable(Invalid):
    """The file is not a video, or its processing failed."""

    field = "video_url"


class CommentInvalid(Invalid):
    """Not JSON, or more than 8 KiB."""

    field = "content"


class CommentsClosed(Forbidden):
    """The video's owner does not let the caller comment."""


class CommentEditForbidden(Forbidden):
    """A comment can be edited for 24 hours."""


class EditLimitReached(Conflict):
    """A comment has been edited as often as it may be."""


class PinnedVideosFull(Conflict):
    """An owner has as many pinned videos as they may have."""


class ReplyUnpinnable(Invalid):
    """Only a comment on the video itself can be pinned."""

    field = "comment_id"


class VideoNotFound(NotFound):
    """No such video, or the caller may not see it."""


class CommentNotFound(NotFound):
    """No such comment, or the caller may not see its video."""


class SaveLimitReached(Conflict):
    """A user has as many saved videos as they may have."""


class CollectionNotFound(NotFound):
    """No such collection, or another user's."""


class CollectionInvalid(Invalid):
    """A name of no characters, of too many, or with some that cannot be seen."""

    field = "name"


class CollectionTaken(Conflict):
    """The user has another collection of this name."""

    field = "name"


class CollectionLimitReached(Conflict):
    """A user has as many collections as they may have."""


class Overloaded(errors.Overloaded):
    """More writes at once than can wait."""
