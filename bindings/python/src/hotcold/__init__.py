"""hotcold: an embedded key-value store in two tiers, memory and disk.

    with hotcold.Store("data", hot_capacity="256MiB") as store:
        store[b"key"] = b"value"
        view = store.retrieve(b"key")   # a memoryview, not copied

`MixedStorage` stores Python values under text keys.
"""

from ._errors import (
    BufferTooSmallError,
    CallbackFailedError,
    ConflictError,
    CorruptError,
    Error,
    FencedError,
    InternalError,
    InvalidArgumentError,
    IoError,
    LockedError,
    MisuseError,
    NoSpaceError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from ._mixed import (
    MixedStorage,
    StorageError,
    StorageEvent,
    StorageEventHandler,
    StorageMetrics,
    StoragePolicy,
)
from ._native import Cursor, Event, EventQueue, Value, library_version
from ._store import Batch, EventKind, Store, open

__version__ = library_version

__all__ = [
    "Batch",
    "BufferTooSmallError",
    "CallbackFailedError",
    "ConflictError",
    "CorruptError",
    "Cursor",
    "Error",
    "Event",
    "EventKind",
    "EventQueue",
    "FencedError",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "LockedError",
    "MisuseError",
    "MixedStorage",
    "NoSpaceError",
    "OutOfMemoryError",
    "ReadOnlyError",
    "StorageError",
    "StorageEvent",
    "StorageEventHandler",
    "StorageMetrics",
    "StoragePolicy",
    "Store",
    "TimeoutError",
    "TooLargeError",
    "UnavailableError",
    "UnsupportedError",
    "Value",
    "library_version",
    "open",
]
