"""What can go wrong, named. Each door's `status.py` maps these to its own dialect.

`retryable` says whether the same request can succeed later without anybody changing it.
Messages are for people: one plain sentence, no patient data, no code alone.
"""

from __future__ import annotations


class PacsError(Exception):
    """The root of every failure a door has to put into words."""

    retryable = False

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InvalidRequest(PacsError):
    """The request breaks a rule of the protocol; `offending` names keys or parameters."""

    def __init__(self, message: str, *, detail: str = "", offending: tuple[str, ...] = ()) -> None:
        super().__init__(message, detail=detail)
        self.offending = offending


class InvalidValue(InvalidRequest):
    """An attribute has a value it may not have here."""


class MissingAttribute(InvalidRequest):
    """An attribute has to be there and is not."""


class MissingValue(InvalidRequest):
    """An attribute has to have a value and has none."""


class AlreadyExists(PacsError):
    """Something is kept under that UID or number already."""


class WrongState(PacsError):
    """What is asked for is not possible in the state the object is in."""


class NotFound(PacsError):
    """Nothing here by that name, or nothing the principal may know of."""


class NotPermitted(PacsError):
    """The principal is known and may not do this."""


class NotAuthenticated(PacsError):
    """The principal is not known."""


class SignInPaused(PacsError):
    """Too many attempts to sign in have failed; none is listened to for so many `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many failed attempts. Sign-in for this name is paused for a while.")
        self.seconds = seconds


class OutOfResources(PacsError):
    """No space, no worker, no memory within bounds; a later try may succeed."""

    retryable = True


class Unavailable(PacsError):
    """Database, broker or blob store does not answer; a later try may succeed."""

    retryable = True


class NotAcceptable(PacsError):
    """No representation that the client accepts can be made."""


class UnreadableInstance(PacsError):
    """The bytes are not a DICOM instance that can be indexed; they are kept in quarantine."""


class UnidentifiedInstance(UnreadableInstance):
    """A UID that says what the instance is, or where it belongs, is missing or ambiguous."""


class UnsupportedPixels(PacsError):
    """The frame's encoding or photometric interpretation cannot be decoded."""


class IdentityConflict(PacsError):
    """The instance contradicts what is stored (other bytes, other study, other patient)."""
