"""Types of Store, Batch and EventKind. What each does is told where it is made."""

import enum
import os
from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, ValuesView
from typing import Any, Dict, Optional, Union

from typing_extensions import Buffer, Self

from . import _native

_Path = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
_Amount = Union[int, str]
_Time = Union[float, str]

class EventKind(enum.IntFlag):
    ITEM_STORED = 1
    ITEM_RETRIEVED = 2
    ITEM_DELETED = 4
    STORAGE_CLEARED = 8
    PROMOTED = 16
    DEMOTED = 32
    EVICTED = 64
    EXPIRED = 128
    COMPACTED = 256
    ERROR = 512
    ALL = 0x7FFFFFFF

class Store(_native.Store, MutableMapping[bytes, bytes]):
    path: Optional[_Path]
    def __init__(
        self,
        path: Optional[_Path] = None,
        *,
        hot_capacity: Optional[_Amount] = None,
        hot_max_entries: Optional[int] = None,
        hot_ttl: Optional[_Time] = None,
        eviction: Optional[str] = None,
        compression: Optional[str] = None,
        policy: Optional[str] = None,
        write_mode: Optional[str] = None,
        durability: Optional[str] = None,
        sync_interval: Optional[_Time] = None,
        cold_capacity: Optional[_Amount] = None,
        warm_start: Optional[bool] = None,
        create: Optional[bool] = None,
        read_only: Optional[bool] = None,
        writable_by_others: Optional[str] = None,
        storage_id: Optional[str] = None,
        coherence: Optional[_Time] = None,
        remote_timeout: Optional[_Time] = None,
        remote_retries: Optional[int] = None,
        remote_concurrency: Optional[int] = None,
        remote: Optional[Mapping[str, Union[str, int]]] = None,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Optional[type[BaseException]] = None, *_: object) -> None: ...
    def __bool__(self) -> bool: ...
    def __iter__(self) -> _native.Cursor: ...
    def keys(self, prefix: Buffer = b"") -> KeysView[bytes]: ...
    def items(self, prefix: Buffer = b"") -> ItemsView[bytes, bytes]: ...
    def values(self, prefix: Buffer = b"") -> ValuesView[bytes]: ...
    def batch(self, *, sync: bool = False) -> Batch: ...
    def stats(self) -> Dict[str, Any]: ...

class Batch(_native.Batch):
    def __init__(self, store: Optional[Store] = None, *, sync: bool = False) -> None: ...
    def __setitem__(self, key: Buffer, value: Buffer) -> None: ...
    def __delitem__(self, key: Buffer) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None: ...

def open(path: Optional[_Path] = None, **options: Any) -> Store: ...
