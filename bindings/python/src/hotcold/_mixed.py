"""MixedStorage: Python values under text keys, over a Store.

1. Values live in the store alone, so that all that the library promises (durability, atomicity,
   bounds) holds for them. A value that is retrieved is always a new object.
2. A directory has one writing handle in a process, and objects on the same directory share it: a
   second one sees at once what the first stores.
3. Without handlers and callbacks an operation costs one call of the library and of the serializer.
"""

from __future__ import annotations

import abc
import enum
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Optional, Type, Union

from ._errors import Error
from ._serializers import Serializer, serializer_from
from ._store import Store


class StoragePolicy(enum.Enum):
    """What a failure does."""

    #: It is raised as StorageError.
    STRICT = "strict"
    #: It is counted, and the operation returns None; the store serves on from memory.
    LENIENT = "lenient"
    #: As LENIENT. Writing later than asked would lose what a crash comes before.
    LAZY = "lazy"


class StorageError(Error):
    """An operation of MixedStorage failed; `__cause__` is the failure itself."""


class StorageEvent:
    """Something that has happened: `event_type` and `data`, in the storage `storage_id`."""

    def __init__(self, storage_id: str, event_type: str, data: Any = None) -> None:
        self.storage_id = storage_id
        self.event_type = event_type
        self.data = data
        self.timestamp = time.time()


class StorageEventHandler(abc.ABC):
    """Gets every event of the storages that it was added to."""

    @abc.abstractmethod
    def handle_event(self, event: StorageEvent) -> None:
        """Called after the operation, on its thread."""


@dataclass
class StorageMetrics:
    """What a storage has counted. Times are in seconds, sizes in bytes."""

    hits: int = 0
    misses: int = 0
    total_operations: int = 0
    total_errors: int = 0
    avg_response_time: float = 0.0
    storage_size: int = 0
    #: 0 at all times, because nothing is cleaned up at one time. Programs of the original class
    #: may read it.
    last_cleanup_time: float = 0.0


class _SharedStore(Store):
    """The store of a directory, with those who use it."""

    users: "weakref.WeakSet[MixedStorage]"
    identity: "tuple[int, int]"


def _identity(path: str) -> "tuple[int, int]":
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


_shared: "weakref.WeakValueDictionary[str, _SharedStore]" = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def _forget_shared() -> None:
    # A forked child cannot use the parent's stores; it opens its own, or is told that they are
    # locked.
    global _shared_lock
    _shared_lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget_shared)


class MixedStorage:
    """Values of any type under text keys, in memory and on disk.

    Args:
        storage_id: the name in events.
        max_size: entries in memory at most; 0: none.
        expiration_time: seconds that an entry may stay in memory; it stays on disk. None: for
            ever.
        storage_directory: the directory on disk. Storages of one process on the same directory
            share it, and the sizes of the one that opened it hold.
        compression_level: of deflate, 0 to 9.
        policy: what a failure does.
        serializer: "json", "bytes", "pickle", or an object with dumps and loads. See
            JsonSerializer for what JSON keeps, and PickleSerializer for why it is not the default.
        options: more options of Store, by name.
    """

    def __init__(
        self,
        storage_id: str = "mixed_storage",
        max_size: int = 100,
        expiration_time: Optional[float] = 300,
        storage_directory: Union[str, "os.PathLike[str]"] = "cold_storage",
        compression_level: int = 6,
        policy: StoragePolicy = StoragePolicy.STRICT,
        serializer: Union[str, Serializer] = "json",
        **options: Any,
    ) -> None:
        self.storage_id = storage_id
        self.max_size = max_size
        self.policy = StoragePolicy(policy)
        self.event_handlers: List[StorageEventHandler] = []
        self._callbacks: Dict[str, List[Callable[..., Any]]] = {}
        self._own_errors = 0
        chosen = serializer_from(serializer)
        self._dumps, self._loads = chosen.dumps, chosen.loads
        if max_size > 0:
            options["hot_max_entries"] = max_size
        else:
            options["hot_capacity"] = 0
        if expiration_time is not None:
            options["hot_ttl"] = max(float(expiration_time), 0.001)
        options["compression"] = f"deflate:{6 if compression_level == -1 else compression_level}"
        options["policy"] = "strict" if self.policy is StoragePolicy.STRICT else "lenient"
        options["storage_id"] = storage_id
        try:
            self._store = self._open(os.path.realpath(storage_directory), options)
        except Error as error:
            raise self._error("open storage", error) from error
        self._get = self._store.get
        self.hot_storage = HotView(self)
        self.cold_storage = ColdView(self)

    def _open(self, path: str, options: Dict[str, Any]) -> _SharedStore:
        with _shared_lock:
            store = _shared.get(path)
            # A directory that was removed and made again is another one.
            if store is None or store.closed or store.identity != _identity(path):
                store = _SharedStore(path, **options)
                store.users = weakref.WeakSet()
                store.identity = _identity(path)
                _shared[path] = store
            store.users.add(self)
            return store

    # ---- the operations ----------------------------------------------------------------------

    def store(self, key: str, value: Any) -> None:
        """Stores a value, on disk and in memory."""
        try:
            self._store[key.encode()] = self._dumps(value)
            if self.event_handlers or self._callbacks:
                self.emit_event("item_stored", {"key": key})
                self._trigger_callbacks("after_store", key, value)
        except Exception as error:
            self._failed("store value", error)

    def retrieve(self, key: str) -> Optional[Any]:
        """The value of a key, or None."""
        try:
            data = self._get(key.encode())
            if data is None:
                return None
            value = self._loads(data)
            if value is not None and (self.event_handlers or self._callbacks):
                self.emit_event("item_retrieved", {"key": key})
                self._trigger_callbacks("after_retrieve", key, value)
            return value
        except Exception as error:
            self._failed("retrieve value", error)
            return None

    def delete(self, key: str) -> None:
        """Removes a key; it need not be there."""
        try:
            self._store.delete(key.encode())
            self.emit_event("item_deleted", {"key": key})
            self._trigger_callbacks("after_delete", key)
        except Exception as error:
            self._failed("delete value", error)

    def clear(self) -> None:
        """Removes every key."""
        try:
            self._store.clear()
            self.emit_event("storage_cleared")
            self._trigger_callbacks("after_clear")
        except Exception as error:
            self._failed("clear storage", error)

    def get_keys(self) -> List[str]:
        """Every key, in no order."""
        try:
            return [key.decode() for key in self._store]
        except Exception as error:
            self._failed("read keys", error)
            return []

    def optimize_hot_storage(self) -> None:
        """Empties memory; everything stays on disk."""
        try:
            self._store.optimize_hot(0)
        except Exception as error:
            self._failed("optimize hot storage", error)

    def warm_up_hot_storage(self, keys: Iterable[str]) -> None:
        """Loads keys into memory; absent ones are skipped."""
        try:
            self._store.warm_up([key.encode() for key in keys])
        except Exception as error:
            self._failed("warm up hot storage", error)

    def close(self) -> None:
        """Ends the use of the directory; the last storage on it closes it. Closing again does
        nothing. What was forgotten is closed when the storage goes, and at the program's end."""
        self._end_use(None)

    def _end_use(self, raised: Optional[Type[BaseException]]) -> None:
        with _shared_lock:
            self._store.users.discard(self)
            is_last = not self._store.users
        if is_last:
            try:
                self._store.__exit__(raised)
            except Error as error:
                self._failed("close storage", error)

    def __enter__(self) -> "MixedStorage":
        return self

    def __exit__(self, raised: Optional[Type[BaseException]], *_: object) -> None:
        self._end_use(raised)

    # ---- events ------------------------------------------------------------------------------

    def add_event_handler(self, handler: StorageEventHandler) -> None:
        """Has a handler told of every event: item_stored, item_retrieved, item_deleted and
        storage_cleared. `data` is {"key": key}, or None for storage_cleared."""
        self.event_handlers.append(handler)

    def emit_event(self, event_type: str, data: Any = None) -> None:
        """Tells the handlers of an event."""
        if self.event_handlers:
            event = StorageEvent(self.storage_id, event_type, data)
            self._call_all([handler.handle_event for handler in self.event_handlers], event)

    def register_callback(self, event_type: str, callback: Callable[..., Any]) -> None:
        """Has a callback called: after_store(key, value), after_retrieve(key, value),
        after_delete(key) or after_clear()."""
        self._callbacks.setdefault(event_type, []).append(callback)

    def _trigger_callbacks(self, event_type: str, *args: Any) -> None:
        self._call_all(self._callbacks.get(event_type, ()), *args)

    def _call_all(self, functions: Iterable[Callable[..., Any]], *args: Any) -> None:
        for function in functions:
            try:
                function(*args)
            except Exception:
                if self.policy is StoragePolicy.STRICT:
                    raise

    # ---- failures and figures ----------------------------------------------------------------

    def _error(self, what: str, error: Exception) -> StorageError:
        wrapped = StorageError(f"Failed to {what}: {error}")
        wrapped.status = getattr(error, "status", 0)
        wrapped.os_code = getattr(error, "os_code", 0)
        return wrapped

    def _failed(self, what: str, error: Exception) -> None:
        if not isinstance(error, Error):
            self._own_errors += 1  # the library counts its own
        if self.policy is StoragePolicy.STRICT:
            raise self._error(what, error) from error

    def get_metrics(self) -> StorageMetrics:
        """What was counted, in both tiers together."""
        stats = self._store.stats()
        both, cold = stats["combined"], stats["cold"]
        return StorageMetrics(
            hits=both["hits"],
            misses=both["misses"],
            total_operations=both["total_operations"],
            total_errors=both["total_errors"] + self._own_errors,
            avg_response_time=both["mean_ns"] / 1e9,
            storage_size=cold["bytes_live"],
        )

    @property
    def metrics(self) -> StorageMetrics:
        """The same as get_metrics()."""
        return self.get_metrics()

    def get_hot_stats(self) -> Dict[str, Any]:
        """Figures of memory."""
        tier = self._store.stats()["hot"]
        return {"size": tier["entries"], "max_size": self.max_size, **_figures(tier)}

    def get_cold_stats(self) -> Dict[str, Any]:
        """Figures of the disk: sizes are bytes of compressed records."""
        tier = self._store.stats()["cold"]
        items, size = tier["entries"], tier["bytes_live"]
        return {
            "total_items": items,
            "total_size": size,
            "avg_item_size": size / items if items else 0,
            **_figures(tier),
        }

    def get_stats(self) -> Dict[str, Any]:
        """Figures of memory, disk, and both. Times are in seconds."""
        metrics = self.get_metrics()
        asked = metrics.hits + metrics.misses
        return {
            "hot_storage": self.get_hot_stats(),
            "cold_storage": self.get_cold_stats(),
            "combined": {
                "total_operations": metrics.total_operations,
                "total_errors": metrics.total_errors,
                "avg_response_time": metrics.avg_response_time,
                "hit_ratio": metrics.hits / asked if asked else 0,
            },
        }


def _figures(tier: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "hit_ratio": tier["hit_ratio"],
        "avg_response_time": tier["mean_ns"] / 1e9,
        "total_operations": tier["operations"],
        "total_errors": tier["errors"],
    }


class _TierView:
    """One tier of a storage, to look at. Reading through it moves nothing."""

    _tier = ""

    def __init__(self, storage: MixedStorage) -> None:
        # Weak, because a circle would keep the directory open until the collector runs.
        self._storage = weakref.proxy(storage)

    def _holds(self, entry: Any) -> bool:
        return entry is not None

    def retrieve(self, key: str) -> Optional[Any]:
        """The value of a key if it is in this tier, or None."""
        entry = self._storage._store.entry(key.encode(), promote=False, recency=False)
        return self._storage._loads(bytes(entry)) if self._holds(entry) else None

    def get_keys(self) -> List[str]:
        """The keys in this tier: a walk of the store."""
        store = self._storage._store
        return [
            key.decode()
            for key in store
            if self._holds(store.entry(key, promote=False, recency=False))
        ]


class HotView(_TierView):
    """What is in memory."""

    @property
    def strategy(self) -> "HotView":
        """Itself: programs of the original class read `hot_storage.strategy.max_size`."""
        return self

    @property
    def max_size(self) -> int:
        """How many entries there may be."""
        return int(self._storage.max_size)

    def _holds(self, entry: Any) -> bool:
        return entry is not None and entry.tier == "hot"

    def clear(self) -> None:
        """Empties memory; everything stays on disk."""
        self._storage.optimize_hot_storage()

    def get_size(self) -> int:
        """How many entries there are."""
        return int(self.get_stats()["size"])

    def get_stats(self) -> Dict[str, Any]:
        """The same as MixedStorage.get_hot_stats()."""
        stats: Dict[str, Any] = self._storage.get_hot_stats()
        return stats


class ColdView(_TierView):
    """What is on disk: with writes going through, every key."""

    def store(self, key: str, value: Any) -> None:
        """Stores a value on disk only."""
        self._storage._store.store(key.encode(), self._storage._dumps(value), cold_only=True)

    def get_size(self) -> int:
        """Bytes of the records."""
        return int(self.get_stats()["total_size"])

    def get_stats(self) -> Dict[str, Any]:
        """The same as MixedStorage.get_cold_stats()."""
        stats: Dict[str, Any] = self._storage.get_cold_stats()
        return stats
