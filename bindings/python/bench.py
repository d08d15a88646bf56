"""Store beside diskcache, and MixedStorage beside a plain class of the same design.

    pip install '.[bench]' && python bench.py [--keys 10000] [--rounds 3] [--check]

Values are 1 KiB. Each figure is the median of the rounds, in which the candidates take turns, in
operations a second. With --check a ratio below what is promised ends the program with 1.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections import OrderedDict
from typing import Callable, Dict, List

import hotcold

try:
    import diskcache
except ImportError:
    diskcache = None

# What is measured, beside what, and how many times as fast it must be.
PROMISED = [
    ("Store set", "diskcache set", 30),
    ("Store get", "diskcache get", 5),
    ("MixedStorage store", "plain store", 15),
    ("MixedStorage cold, sealed", "plain cold", 3),
    ("MixedStorage cold, compressed", "plain cold", 1),
]


class Plain:
    """A dict with the last `max_size` entries, and one zlib file a key."""

    def __init__(self, directory: str, max_size: int = 100) -> None:
        self.directory, self.max_size = directory, max_size
        self.hot: "OrderedDict[str, bytes]" = OrderedDict()
        os.makedirs(directory)

    def _path(self, key: str) -> str:
        return os.path.join(self.directory, key + ".bin")

    def _keep(self, key: str, value: bytes) -> None:
        self.hot.pop(key, None)
        self.hot[key] = value
        if len(self.hot) > self.max_size:
            self.hot.popitem(last=False)

    def store(self, key: str, value: bytes) -> None:
        with open(self._path(key), "wb") as file:
            file.write(zlib.compress(value, 6))
        self._keep(key, value)

    def retrieve(self, key: str) -> bytes:
        value = self.hot.get(key)
        if value is None:
            with open(self._path(key), "rb") as file:
                value = zlib.decompress(file.read())
        self._keep(key, value)
        return value


def values(count: int) -> List[bytes]:
    """1 KiB each, that compress to about half: words and numbers, as records are."""
    chance = random.Random(1)
    words = [bytes(chance.choices(range(97, 123), k=chance.randint(3, 9))) for _ in range(500)]
    return [(b" ".join(chance.choices(words, k=200)))[:1024] for _ in range(count)]


def rate(count: int, work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def store_round(folder: str, keys: List[bytes], data: List[bytes], figures: Dict) -> None:
    def fill(target) -> None:
        for key, value in zip(keys, data):
            target[key] = value

    def read(target) -> None:
        for key in keys:
            target[key]

    with hotcold.Store(os.path.join(folder, "store")) as store:
        figures["Store set"].append(rate(len(keys), lambda: fill(store)))
        figures["Store get"].append(rate(len(keys), lambda: read(store)))
    if diskcache:
        with diskcache.Cache(os.path.join(folder, "diskcache")) as cache:
            figures["diskcache set"].append(rate(len(keys), lambda: fill(cache)))
            figures["diskcache get"].append(rate(len(keys), lambda: read(cache)))


def mixed_round(folder: str, keys: List[str], data: List[bytes], figures: Dict) -> None:
    def fill(target) -> None:
        for key, value in zip(keys, data):
            target.store(key, value)

    def read(target) -> None:
        for key, value in zip(keys, data):
            if target.retrieve(key) != value:
                raise SystemExit("a value came back wrong")

    directory = os.path.join(folder, "mixed")
    with hotcold.MixedStorage(storage_directory=directory, serializer="bytes") as mixed:
        figures["MixedStorage store"].append(rate(len(keys), lambda: fill(mixed)))
        mixed.optimize_hot_storage()
        figures["MixedStorage cold, sealed"].append(rate(len(keys), lambda: read(mixed)))
    with hotcold.Store(directory) as store:
        store.compact()
    with hotcold.MixedStorage(storage_directory=directory, serializer="bytes") as mixed:
        figures["MixedStorage cold, compressed"].append(rate(len(keys), lambda: read(mixed)))
    plain = Plain(os.path.join(folder, "plain"))
    figures["plain store"].append(rate(len(keys), lambda: fill(plain)))
    plain.hot.clear()
    figures["plain cold"].append(rate(len(keys), lambda: read(plain)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    names = [f"key{i:08d}" for i in range(chosen.keys)]
    data = values(chosen.keys)
    figures: Dict[str, List[float]] = {name: [] for row in PROMISED for name in row[:2]}
    for _ in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            store_round(folder, [name.encode() for name in names], data, figures)
            mixed_round(folder, names, data, figures)
    missed = 0
    for ours, theirs, times in PROMISED:
        if not figures[theirs]:
            continue
        fast, slow = statistics.median(figures[ours]), statistics.median(figures[theirs])
        missed += fast < times * slow
        print(f"{ours:30} {fast:12,.0f}/s  {theirs:14} {slow:10,.0f}/s  "
              f"{fast / slow:6.1f} times, promised {times}")
    return 1 if chosen.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
