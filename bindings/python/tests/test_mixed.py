"""MixedStorage: the object model, its events, callbacks, policies, figures and serializers."""

import gc
import marshal
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

import hotcold
from hotcold import MixedStorage, StorageError, StorageEventHandler, StoragePolicy


class Recorder(StorageEventHandler):
    def __init__(self):
        self.events = []

    def handle_event(self, event):
        self.events.append((event.storage_id, event.event_type, event.data))
        assert abs(event.timestamp - time.time()) < 10


def test_defaults_are_the_documented_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = MixedStorage()
    storage.store("k", {"a": 1})
    assert os.path.isdir("cold_storage")
    assert storage.storage_id == "mixed_storage" and storage.policy is StoragePolicy.STRICT
    assert storage.get_hot_stats()["max_size"] == 100
    storage.close()
    by_position = MixedStorage("id", 5, 1, "other", 9, StoragePolicy.LENIENT)
    by_position.store("k", 1)
    assert os.path.isdir("other") and by_position.retrieve("k") == 1


@pytest.mark.parametrize(
    "value",
    [0, 1.5, "text ä \ud800", "", [1, [2, None]], {"a": {"b": [True, False]}}, b"", b"\0raw\xff",
     "x" * 100_000],
)
def test_values_come_back(mixed, value):
    mixed.store("k", value)
    assert mixed.retrieve("k") == value
    mixed.optimize_hot_storage()
    assert mixed.retrieve("k") == value


def test_store_retrieve_delete_clear(mixed):
    assert mixed.retrieve("k") is None
    mixed.store("k", 1)
    mixed.store("k", 2)
    assert mixed.retrieve("k") == 2
    mixed.delete("k")
    mixed.delete("k")
    assert mixed.retrieve("k") is None
    for i in range(20):
        mixed.store(f"key{i}", i)
    assert sorted(mixed.get_keys()) == sorted(f"key{i}" for i in range(20))
    assert mixed.retrieve("key0") == 0, "what left memory is on disk"
    mixed.clear()
    assert mixed.get_keys() == []


def test_tiers(mixed):
    for i in range(20):
        mixed.store(f"key{i}", i)
    assert mixed.get_hot_stats()["size"] <= 5
    mixed.optimize_hot_storage()
    assert mixed.get_hot_stats()["size"] == 0 and len(mixed.get_keys()) == 20
    mixed.warm_up_hot_storage(["key3", "key4", "absent"])
    assert sorted(mixed.hot_storage.get_keys()) == ["key3", "key4"]
    assert mixed.hot_storage.retrieve("key3") == 3 and mixed.hot_storage.retrieve("key5") is None
    assert mixed.cold_storage.retrieve("key5") == 5 and mixed.hot_storage.get_size() == 2
    assert mixed.hot_storage.strategy.max_size == mixed.hot_storage.max_size == 5
    mixed.hot_storage.clear()
    mixed.cold_storage.store("cold", 1)
    assert mixed.hot_storage.get_size() == 0 and mixed.cold_storage.get_size() > 0
    assert len(mixed.cold_storage.get_keys()) == 21


def test_an_entry_leaves_memory_and_stays_on_disk(tmp_path):
    with MixedStorage(storage_directory=tmp_path, expiration_time=0.05) as storage:
        storage.store("k", "v")
        assert storage.hot_storage.retrieve("k") == "v"
        time.sleep(0.1)
        assert storage.hot_storage.retrieve("k") is None and storage.retrieve("k") == "v"


def test_survives_reopening(tmp_path):
    storage = MixedStorage(storage_directory=tmp_path)
    storage.store("k", [1, 2])
    del storage
    with MixedStorage(storage_directory=tmp_path, max_size=7) as again:
        assert again.retrieve("k") == [1, 2] and again.get_hot_stats()["max_size"] == 7


def test_two_on_one_directory_share_it(tmp_path):
    first = MixedStorage(storage_directory=tmp_path)
    first.store("k", 1)
    second = MixedStorage(storage_directory=str(tmp_path) + "/.")
    assert second.retrieve("k") == 1
    second.store("k", 2)
    first.close()
    first.close()
    assert second.retrieve("k") == 2
    second.close()
    with pytest.raises(StorageError):
        second.retrieve("k")
    with hotcold.Store(tmp_path) as store:
        assert store[b"k"] == b"2"


def test_a_directory_in_use_elsewhere_is_said(tmp_path):
    with hotcold.Store(tmp_path):
        with pytest.raises(StorageError) as failure:
            MixedStorage(storage_directory=tmp_path)
    assert isinstance(failure.value.__cause__, hotcold.LockedError)


def test_nothing_keeps_a_forgotten_storage_open(tmp_path):
    gc.disable()
    try:
        storage = MixedStorage(storage_directory=tmp_path)
        storage.hot_storage.get_stats()
        del storage
        hotcold.Store(tmp_path).close()
    finally:
        gc.enable()


def test_a_directory_that_was_removed_is_made_again(tmp_path):
    directory = tmp_path / "d"
    first = MixedStorage(storage_directory=directory)
    first.store("k", 1)
    shutil.rmtree(directory)
    second = MixedStorage(storage_directory=directory)
    assert second.retrieve("k") is None
    second.store("k", 2)
    second.close()
    with hotcold.Store(directory) as store:
        assert store[b"k"] == b"2"


def test_what_is_removed_with_its_directory_is_not_missed(tmp_path):
    program = f"""
import shutil
from hotcold import MixedStorage
for name in "ab":
    storage = MixedStorage(storage_directory={str(tmp_path)!r} + name)
    storage.store("k", "v")
    shutil.rmtree({str(tmp_path)!r} + name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_stats_have_their_keys(mixed):
    mixed.store("k", "v")
    mixed.retrieve("k")
    mixed.retrieve("absent")
    stats = mixed.get_stats()
    assert set(stats) == {"hot_storage", "cold_storage", "combined"}
    common = {"hit_ratio", "avg_response_time", "total_operations", "total_errors"}
    assert set(stats["combined"]) == common
    assert set(stats["hot_storage"]) == common | {"size", "max_size"}
    assert set(stats["cold_storage"]) == common | {"total_items", "total_size", "avg_item_size"}
    assert stats["combined"]["total_operations"] == 3 and stats["combined"]["total_errors"] == 0
    assert stats["combined"]["hit_ratio"] == 0.5
    assert 0 < stats["combined"]["avg_response_time"] < 1
    assert stats["cold_storage"]["total_items"] == stats["hot_storage"]["size"] == 1
    assert stats["cold_storage"]["avg_item_size"] == stats["cold_storage"]["total_size"] > 0
    assert mixed.get_metrics() == mixed.metrics and mixed.metrics.last_cleanup_time == 0.0
    assert (mixed.metrics.hits, mixed.metrics.misses) == (1, 1)


def test_events(mixed):
    recorder = Recorder()
    mixed.add_event_handler(recorder)
    mixed.store("k", 1)
    mixed.retrieve("k")
    mixed.retrieve("absent")
    mixed.delete("k")
    mixed.clear()
    assert recorder.events == [
        ("mixed_storage", "item_stored", {"key": "k"}),
        ("mixed_storage", "item_retrieved", {"key": "k"}),
        ("mixed_storage", "item_deleted", {"key": "k"}),
        ("mixed_storage", "storage_cleared", None),
    ]


def test_callbacks(mixed):
    calls = []
    for name in ("after_store", "after_retrieve", "after_delete", "after_clear"):
        mixed.register_callback(name, lambda *args, name=name: calls.append((name, *args)))
    mixed.store("k", 1)
    mixed.retrieve("k")
    mixed.delete("k")
    mixed.clear()
    assert calls == [("after_store", "k", 1), ("after_retrieve", "k", 1), ("after_delete", "k"),
                     ("after_clear",)]


def test_strict_raises(mixed):
    with pytest.raises(StorageError, match="Failed to store value"):
        mixed.store("k", {1, 2})
    with pytest.raises(StorageError):
        mixed.store(None, 1)
    with pytest.raises(StorageError) as failure:
        mixed.store("k" * 70_000, 1)
    assert isinstance(failure.value.__cause__, hotcold.TooLargeError)
    assert failure.value.status == -7

    def fail(*args):
        raise ZeroDivisionError

    mixed.register_callback("after_store", fail)
    with pytest.raises(StorageError):
        mixed.store("k", 1)
    assert mixed.retrieve("k") == 1, "the callback comes after the store"
    assert mixed.get_stats()["combined"]["total_errors"] >= 3


@pytest.mark.parametrize("policy", [StoragePolicy.LENIENT, StoragePolicy.LAZY])
def test_the_others_return_none(tmp_path, policy):
    with MixedStorage(storage_directory=tmp_path, policy=policy) as storage:
        assert storage.store("k", {1, 2}) is None and storage.retrieve("k") is None
        assert storage.store(None, 1) is None and storage.retrieve(None) is None
        assert storage.delete(None) is None and storage.warm_up_hot_storage([None]) is None
        assert storage.get_stats()["combined"]["total_errors"] == 5
        storage.register_callback("after_store", lambda key, value: 1 / 0)
        storage.store("k", 1)
        assert storage.retrieve("k") == 1
    assert storage.retrieve("k") is None and storage.get_keys() == []


def test_serializers(tmp_path):
    with MixedStorage(storage_directory=tmp_path / "b", serializer="bytes") as storage:
        storage.store("k", b"raw")
        assert storage.retrieve("k") == b"raw" and storage._store[b"k"] == b"raw"
        with pytest.raises(StorageError):
            storage.store("k", "text")
    with MixedStorage(storage_directory=tmp_path / "p", serializer="pickle") as storage:
        storage.store("k", {1, (2, 3)})
        assert storage.retrieve("k") == {1, (2, 3)}
    with MixedStorage(storage_directory=tmp_path / "m", serializer=marshal) as storage:
        storage.store("k", (1, 2))
        assert storage.retrieve("k") == (1, 2)
    with pytest.raises(ValueError, match="json, bytes, pickle"):
        MixedStorage(storage_directory=tmp_path / "x", serializer="yaml")
    with pytest.raises(TypeError):
        MixedStorage(storage_directory=tmp_path / "x", serializer=7)


def test_a_pickle_is_not_read_unless_asked_for(tmp_path):
    with MixedStorage(storage_directory=tmp_path, serializer="pickle") as storage:
        storage.store("k", {1})
    with MixedStorage(storage_directory=tmp_path) as storage:
        with pytest.raises(StorageError):
            storage.retrieve("k")


def test_threads(mixed):
    failures = []

    def work(name):
        try:
            for i in range(300):
                mixed.store(f"{name}{i}", i)
                assert mixed.retrieve(f"{name}{i}") == i
        except BaseException as error:  # noqa: B902
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(mixed.get_keys()) == 1200


def test_a_program_without_close_loses_nothing(tmp_path):
    program = f"""
from hotcold import MixedStorage
storage = MixedStorage(storage_directory={str(tmp_path)!r})
storage.register_callback("after_store", lambda key, value: storage)
storage.store("k", "v")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    with MixedStorage(storage_directory=tmp_path) as storage:
        assert storage.retrieve("k") == "v"
