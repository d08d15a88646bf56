"""What a type checker must accept, and the types that it must find. Checked by mypy, also run."""

from __future__ import annotations

import tempfile
from typing import Optional

import hotcold


def use(directory: str) -> None:
    with hotcold.Store(directory, hot_capacity="1MiB", hot_ttl=60.0) as store:
        store[b"k"] = b"v"
        copy: bytes = store[b"k"]
        view: Optional[memoryview] = store.retrieve(b"k")
        entry: Optional[hotcold.Value] = store.entry(bytearray(b"k"), promote=False)
        assert view is not None and bytes(view) == copy
        assert entry is not None and entry.tier in ("hot", "cold")
        version: int = store.store(b"k", memoryview(b"w"), ttl=1.5, if_version=entry.version)
        kinds: list[int] = []
        store.subscribe(lambda event: kinds.append(event.kind), hotcold.EventKind.ITEM_STORED)
        loaded = store.retrieve_or_load(b"l", lambda key: (key, 5.0))
        assert loaded is not None and version > 0
        with store.batch() as batch:
            batch[b"a"] = b"1"
        pairs: dict[bytes, bytes] = dict(store.items())
        assert len(pairs) == 3
        with hotcold.open(remote={}, coherence=0.5) as other:
            assert len(other) == 0
        records, damaged = store.verify()
        assert records > damaged


with tempfile.TemporaryDirectory() as directory:
    use(directory)
