"""Store: the mapping of bytes to bytes. What needs speed is in `_native`; this adds comfort."""

from __future__ import annotations

import atexit
import enum
import errno
import json
import os
import time
import traceback
import weakref
from collections.abc import ItemsView, KeysView, MutableMapping, ValuesView

from . import _native
from ._errors import Error, MisuseError

# The types are in _store.pyi: a base class from C and a mapping of bytes are said better there.


class EventKind(enum.IntFlag):
    """Kinds of events: bits of a mask."""

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


# Options whose numbers are seconds here and milliseconds there.
_TIMES = ("hot_ttl", "sync_interval", "coherence", "remote_timeout")

# Closed when the interpreter ends: after that no thread of a store may call Python.
_open_stores = weakref.WeakSet()

# Daemon threads that are inside a load, a callback or a long call when the interpreter ends have so
# many seconds to leave. A store that one stays in is synced, for so many milliseconds at most, and
# left as it is: what was acknowledged survives the process.
_GRACE_S = 1.0
_SYNC_MS = 5000


@atexit.register
def _close_all():
    _native.end(1)
    try:
        until = time.monotonic() + _GRACE_S
        for store in list(_open_stores):
            _close_or_leave(store, until)
        # What Ctrl-C has put into the background: as long as it gets on by itself.
        while True:
            working, waiting = _native.closing()
            if not working and (not waiting or time.monotonic() > until):
                break
            time.sleep(0.01)
    finally:
        for store in list(_open_stores):
            store._leave(0)
        _native.end(2)


def _close_or_leave(store, until):
    try:
        while store._busy and time.monotonic() < until:
            time.sleep(0.01)
        if store._busy:
            store._leave(_SYNC_MS)
        else:
            store.close()
    except MisuseError:
        pass  # a forked child closes nothing of its parent's
    except Error as error:
        if error.os_code != errno.ENOENT:  # removed together with its directory
            traceback.print_exc()


os.register_at_fork(after_in_child=_native.forked)


def _option(name, value):
    if isinstance(value, bool):
        return name, "true" if value else "false"
    if isinstance(value, (int, float)) and name in _TIMES:
        return name, round(value * 1000) or int(value > 0)
    return name, value


class Store(_native.Store, MutableMapping):
    """An open store: a mapping of bytes to bytes, in memory and on disk.

    `store[key]` gives a copy as bytes, `retrieve(key)` a memoryview without a copy. May be used
    from any thread; the GIL is released in every call. Closed by `close()`, the end of a `with`
    block, when the last reference goes, or at the interpreter's end.

    Options are keyword arguments under their names in hotcold.h; None is the library's default.
    Sizes are bytes or texts like "64MiB"; times are seconds or texts like "5m". Without a path the
    store is in memory alone.

    A path such as "redis+cluster://HOST:PORT/NAME" or "s3://BUCKET/PREFIX" names an engine that other
    machines use, too; `remote` are its own options, for instance {"password": ...}. It needs
    `libhotcold-remote`, beside this package's extension or where the system looks.
    """

    def __init__(
        self,
        path=None,
        *,
        hot_capacity=None,
        hot_max_entries=None,
        hot_ttl=None,
        eviction=None,
        compression=None,
        policy=None,
        write_mode=None,
        durability=None,
        sync_interval=None,
        cold_capacity=None,
        warm_start=None,
        create=None,
        read_only=None,
        writable_by_others=None,
        storage_id=None,
        coherence=None,
        remote_timeout=None,
        remote_retries=None,
        remote_concurrency=None,
        remote=None,
    ):
        options = {
            "hot_capacity": hot_capacity,
            "hot_max_entries": hot_max_entries,
            "hot_ttl": hot_ttl,
            "eviction": eviction,
            "compression": compression,
            "policy": policy,
            "write_mode": write_mode,
            "durability": durability,
            "sync_interval": sync_interval,
            "cold_capacity": cold_capacity,
            "warm_start": warm_start,
            "create": create,
            "read_only": read_only,
            "writable_by_others": writable_by_others,
            "storage_id": storage_id,
            "coherence": coherence,
            "remote_timeout": remote_timeout,
            "remote_retries": remote_retries,
            "remote_concurrency": remote_concurrency,
        }
        options.update(("remote." + name, value) for name, value in (remote or {}).items())
        pairs = tuple(_option(name, value) for name, value in options.items() if value is not None)
        super().__init__(path, pairs)
        self.path = path
        _open_stores.add(self)

    def __enter__(self):
        return self

    def __exit__(self, kind=None, *_):
        # Ctrl-C is not to wait for the call that it has just come out of.
        is_interrupted = kind is not None and not issubclass(kind, Exception)
        if not (is_interrupted and self._close_behind()):
            self.close()

    def __repr__(self):
        state = "closed" if self.closed else "open"
        return f"<hotcold.Store {self.path or 'in memory'} {state}>"

    # Two stores are never equal but a store to itself, and counting the keys for its truth would
    # read all of them.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __bool__(self):
        return True

    def __iter__(self):
        return self.cursor()

    def keys(self, prefix=b""):
        """The keys, or those with a prefix, as a view; in no order."""
        return _Keys(self, prefix)

    def items(self, prefix=b""):
        """Keys and values, or those with a prefix, as a view; nothing is promoted."""
        return _Items(self, prefix)

    def values(self, prefix=b""):
        """The values, or those of keys with a prefix, as a view; nothing is promoted."""
        return _Values(self, prefix)

    def batch(self, *, sync=False):
        """A batch that is written at the end of its `with` block, unless that raises."""
        return Batch(self, sync=sync)

    def stats(self):
        """What the store counts and measures: a dict of hot, cold, memory, combined, operations."""
        return json.loads(self.stats_text("json"))


class Batch(_native.Batch):
    """Stores and deletes that are written together: all of them or nothing.

    Made by `Store.batch()` for a `with` block, or alone and written by `Store.write()`.
    """

    def __init__(self, store=None, *, sync=False):
        self._store = store
        self._sync = sync

    def __setitem__(self, key, value):
        self.store(key, value)

    def __delitem__(self, key):
        self.delete(key)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self._store is not None:
            self._store.write(self, sync=self._sync)


def open(path=None, **options):
    """Opens a store: `Store(path, **options)`."""
    return Store(path, **options)


class _View:
    """What the three views share: a store and a prefix."""

    def __init__(self, store, prefix):
        self._mapping = store
        self._prefix = prefix

    def __len__(self):
        if not self._prefix:
            return len(self._mapping)
        return sum(1 for _ in self._mapping.cursor(self._prefix))

    def __repr__(self):
        return f"<{type(self).__name__[1:].lower()} of {self._mapping!r}>"

    def _pairs(self):
        # The cursor's own look at a value: what was deleted meanwhile is left out.
        cursor = self._mapping.cursor(self._prefix)
        for key in cursor:
            value = cursor.value()
            if value is not None:
                yield key, bytes(value)


class _Keys(_View, KeysView):
    def __iter__(self):
        return self._mapping.cursor(self._prefix)

    def __contains__(self, key):
        return bytes(key).startswith(self._prefix) and key in self._mapping


class _Items(_View, ItemsView):
    def __iter__(self):
        return self._pairs()


class _Values(_View, ValuesView):
    def __iter__(self):
        return (value for _, value in self._pairs())
