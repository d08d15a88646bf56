"""Failures: one class for each status of the library below 0, and for a conflict."""

from __future__ import annotations

import builtins
from typing import Dict, Optional, Type

_TimeoutError = builtins.TimeoutError


class Error(Exception):
    """A call failed. `str()` says what failed, on which file, why, and what to do."""

    #: The number of the status in hotcold.h.
    status: int = 0
    #: errno, or 0 if the system had no part in it.
    os_code: int = 0


class ConflictError(Error):
    """A condition was not met, and nothing was done. `version` is the one that the key has."""

    version: Optional[int] = None


class InvalidArgumentError(Error, ValueError):
    """An argument that can never work."""


class MisuseError(Error):
    """A call at the wrong time: on a store that is closed, or after a fork by the child."""


class IoError(Error):
    """The system refused; `os_code` is its errno."""


class CorruptError(Error):
    """A record or file fails its checksum; other keys stay readable."""


class NoSpaceError(Error):
    """The disk is full; storing works again once there is room."""


class LockedError(Error):
    """Another handle has the directory open."""


class TooLargeError(Error, ValueError):
    """A key, value or batch is beyond the limits."""


class BufferTooSmallError(Error, ValueError):
    """The caller's buffer cannot hold the value."""


class ReadOnlyError(Error):
    """The store was opened read-only, or turned so after a failed sync."""


class UnsupportedError(Error):
    """Asks for what this version does not have."""


class OutOfMemoryError(Error, MemoryError):
    """There is not enough memory."""


class InternalError(Error):
    """A defect of the library; the store refuses further writes."""


class CallbackFailedError(Error):
    """The load that another thread ran for this key raised."""


class TimeoutError(Error, _TimeoutError):
    """A shared cold tier did not answer in time: whether the change was made is unknown."""


class UnavailableError(Error, ConnectionError):
    """A shared cold tier cannot be reached, or refused: certainly not done."""


class FencedError(Error):
    """Another writer has taken over."""


_BY_STATUS: Dict[int, Type[Error]] = {
    2: ConflictError,
    -1: InvalidArgumentError,
    -2: MisuseError,
    -3: IoError,
    -4: CorruptError,
    -5: NoSpaceError,
    -6: LockedError,
    -7: TooLargeError,
    -8: BufferTooSmallError,
    -9: ReadOnlyError,
    -10: UnsupportedError,
    -11: OutOfMemoryError,
    -12: InternalError,
    -13: CallbackFailedError,
    -14: TimeoutError,
    -15: UnavailableError,
    -16: FencedError,
}


def make_error(status: int, os_code: int, message: str) -> Error:
    """The instance for a status; called by the extension."""
    error = _BY_STATUS.get(status, Error)(message)
    error.status = status
    error.os_code = os_code
    return error
