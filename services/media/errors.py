"""What can be wrong with files and videos. The gateway maps each reason to the family's code."""

from services.kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable


class FileEmpty(Invalid):
    pass


class FileTooLarge(Invalid):
    """More bytes, pixels or seconds than the settings allow for its kind."""


class FileTypeRefused(Invalid):
    """Not one of the kinds we take, or of two kinds at once."""


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


class BatchTooLarge(Invalid):
    pass


class UploadTooLarge(Invalid):
    """A resumable upload of more bytes than any kind of file may have."""


class ChecksumAlgorithmInvalid(Invalid):
    """None of those that OPTIONS names."""


class ChecksumMismatch(Invalid):
    """The chunk did not arrive as it was sent; nothing of it was kept."""


class UploadOverrun(Invalid):
    """More bytes than were announced."""


class QuotaExceeded(TooMany):
    """As many bytes as one user may upload in a day."""


class OffsetMismatch(Conflict):
    """Not where the upload stands."""


class UploadFinished(Forbidden):
    """Nothing can be added to it."""


class NotFailed(Conflict):
    """Only what failed can be tried again."""


class ObjectNotFound(NotFound):
    pass


class UploadNotFound(NotFound):
    """None such, expired, or another's."""


class NotPermitted(Forbidden):
    pass


class StoreUnavailable(Unavailable):
    """The object store, or the disk for files under way."""


class ProbeOverloaded(Unavailable):
    """More files at once than can be looked at in time."""


class VideoInvalid(Invalid):
    """A title, description, type or address that we do not take."""


class CommentInvalid(Invalid):
    """No JSON, or more than 8 KiB of it."""


class VideoNotFound(NotFound):
    """None such, or not for the caller to see."""


class CommentNotFound(NotFound):
    """None such, or under a video that is not for the caller to see."""


class Overloaded(Unavailable):
    """More writes at once than can be gathered."""
