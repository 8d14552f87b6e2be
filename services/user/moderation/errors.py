"""Errors of reports and of moderators' acts. The gateway maps each reason to a code (gateway/http/failures.py)."""

from services.kit.errors import Conflict, Invalid, NotFound


class ReportInvalid(Invalid):
    """No such reason or kind of subject, a note of more than 500 characters, or a snapshot of more than 8 KiB."""


class SelfReport(Invalid):
    """Users cannot report what is their own."""


class VerbInvalid(Invalid):
    """No such decision."""

    field = "verb"


class NoteInvalid(Invalid):
    """More than 500 characters, or not text."""

    field = "note"


class DurationInvalid(Invalid):
    """A suspension is between a minute and a year."""

    field = "seconds"


class CaseNotFound(NotFound):
    pass


class ActNotFound(NotFound):
    pass


class CaseClaimed(Conflict):
    """Another moderator has claimed the case and may still decide it."""


class AppealInvalid(Invalid):
    """No text, or more than 1,000 characters."""

    field = "text"


class AppealNotFound(NotFound):
    """There is no such appeal, or nothing to appeal against."""


class AppealMade(Conflict):
    """One appeal for each act."""


class AppealDecided(Conflict):
    """The appeal was decided otherwise."""


class ActIrreversible(Conflict):
    """The act cannot be reversed: a removal is final, and a dismissed case is opened again by the next report."""


class CaseClosed(Conflict):
    """The case was decided before."""
