"""Store: a mapping of bytes to bytes, and each call of the C interface."""

import collections.abc
import gc
import inspect
import os
import random
import subprocess
import sys
import threading
import time

import pytest

import hotcold


def test_is_a_mapping(store):
    assert isinstance(store, collections.abc.MutableMapping)
    store[b"a"] = b"1"
    store.update({b"b": b"2", b"c": b""})
    assert store[b"a"] == b"1" and type(store[b"a"]) is bytes
    assert sorted(store) == sorted(store.keys()) == [b"a", b"b", b"c"]
    assert dict(store.items()) == {b"a": b"1", b"b": b"2", b"c": b""}
    assert sorted(store.values()) == [b"", b"1", b"2"]
    assert len(store) == len(store.keys()) == 3 and store
    assert b"a" in store and b"x" not in store and b"a" in store.keys()
    assert store.get(b"x") is None and store.get(b"x", 7) == 7 and store.get(b"b", 7) == b"2"
    assert store.pop(b"b") == b"2" and store.setdefault(b"b", b"9") == b"9"
    del store[b"a"]
    with pytest.raises(KeyError):
        store[b"a"]
    with pytest.raises(KeyError):
        del store[b"a"]
    store.clear()
    assert len(store) == 0 and list(store) == [] and bool(store)


def test_does_what_a_dict_does(store):
    model, chance = {}, random.Random(7)
    for _ in range(3000):
        key = b"%d" % chance.randrange(200)
        if chance.random() < 0.3:
            assert store.delete(key) == (model.pop(key, None) is not None)
        else:
            store[key] = model[key] = chance.randbytes(chance.randrange(300))
        assert store.get(key) == model.get(key)
    assert dict(store.items()) == model


def test_any_buffer_is_bytes_and_text_is_not(store):
    store[bytearray(b"k")] = memoryview(b"--value--")[2:7]
    assert store[memoryview(b"k")] == b"value"
    store[b""] = bytearray(1 << 20)
    assert len(store.retrieve(b"")) == 1 << 20
    for bad in ("k", None, 3):
        for call in (store.retrieve, store.delete, store.get, lambda k: store.store(k, b"")):
            with pytest.raises(TypeError):
                call(bad)
        with pytest.raises(TypeError):
            store[b"k"] = bad


def test_retrieve_is_a_view_without_a_copy(store):
    value = os.urandom(4096)
    version = store.store(b"k", value)
    view, again = store.retrieve(b"k"), store.retrieve(b"k")
    assert isinstance(view, memoryview) and view.readonly and view == value
    entry = view.obj
    assert isinstance(entry, hotcold.Value)
    assert (entry.version, entry.tier, entry.expires_at) == (version, "hot", None)
    assert bytes(entry) == value and len(entry) == 4096 and entry.view == value
    held = store.stats()["memory"]["held"]
    del view, again, entry
    assert store.stats()["memory"]["held"] <= held
    assert store.retrieve(b"absent") is None and store.entry(b"absent") is None


def test_a_view_outlives_its_key_and_its_store(tmp_path):
    store = hotcold.Store(tmp_path)
    store[b"k"] = b"first" * 1000
    view = store.retrieve(b"k")
    store[b"k"] = b"other" * 1000
    store.close()
    del store
    gc.collect()
    assert view == b"first" * 1000


def test_survives_reopening(tmp_path):
    with hotcold.Store(tmp_path) as store:
        store[b"k"] = b"v"
        with pytest.raises(hotcold.LockedError) as failure:
            hotcold.Store(tmp_path)
        assert str(tmp_path) in str(failure.value)
    assert store.closed
    store.close()
    with hotcold.Store(os.fsencode(tmp_path), read_only=True) as store:
        assert store[b"k"] == b"v"
        with pytest.raises(hotcold.ReadOnlyError):
            store[b"k"] = b"w"


def test_the_last_reference_closes(tmp_path):
    store = hotcold.Store(tmp_path)
    store[b"k"] = b"v"
    del store
    assert hotcold.Store(tmp_path)[b"k"] == b"v"


def test_a_closed_store_answers_misuse(store):
    store.close()
    for call in (store.sync, store.clear, store.stats, lambda: len(store), lambda: store[b"k"],
                 lambda: b"k" in store, lambda: list(store)):
        with pytest.raises(hotcold.MisuseError) as failure:
            call()
    assert failure.value.status == -2


def test_in_memory_alone():
    with hotcold.Store(hot_capacity="1MiB", hot_max_entries=2) as store:
        for i in range(5):
            store[b"%d" % i] = b"v"
        assert len(store) == 2
        with pytest.raises(hotcold.TooLargeError):
            store[b"large"] = bytes(2 << 20)


def test_options_are_checked():
    with pytest.raises(hotcold.InvalidArgumentError) as failure:
        hotcold.Store(hot_capacity="many")
    assert isinstance(failure.value, ValueError) and "hot_capacity" in str(failure.value)
    with pytest.raises(TypeError):
        hotcold.Store(hot_capacityy=1)
    with pytest.raises(hotcold.IoError) as missing:
        hotcold.Store("/nonexistent/for/sure", create=False)
    assert missing.value.os_code == 2


def test_what_is_no_directory_is_told(tmp_path):
    """In the library's words, and as what Python calls such a failure."""
    for bad in ("", b""):
        with pytest.raises(hotcold.Error) as failure:
            hotcold.Store(bad)
        assert str(failure.value) and failure.value.status < 0
        assert isinstance(failure.value, (ValueError, hotcold.IoError))
    with pytest.raises(ValueError):
        hotcold.Store("a\0b")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    with pytest.raises(hotcold.Error, match="dangling"):
        hotcold.Store(tmp_path / "dangling")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(hotcold.Error, match="file"):
        hotcold.Store(tmp_path / "file")


def test_times_are_seconds(tmp_path):
    with hotcold.Store(tmp_path, hot_ttl=0.05, sync_interval="2s") as store:
        store.store(b"short", b"v", ttl=0.05)
        store.store(b"long", b"v", ttl=60)
        assert 58 < store.entry(b"long").expires_at - time.time() < 61
        assert store.entry(b"long").tier == "hot"
        time.sleep(0.1)
        assert b"short" not in store and list(store) == [b"long"]
        assert store.entry(b"long", promote=False).tier == "cold"
        for bad in (0, -1, float("nan")):
            with pytest.raises(ValueError):
                store.store(b"k", b"v", ttl=bad)


def test_versions_guard_a_store(store):
    first = store.store(b"k", b"1", if_version=0)
    second = store.store(b"k", b"2", if_version=first)
    assert second > first
    with pytest.raises(hotcold.ConflictError) as failure:
        store.store(b"k", b"3", if_version=first)
    assert failure.value.version == second and store[b"k"] == b"2"
    assert store.store(b"k", b"4", if_version=None, sync=True) > second
    with pytest.raises(TypeError):
        store.store(b"k", b"v", unknown=1)
    with pytest.raises(TypeError):
        store.store(b"k")


def test_cold_only_and_promotion(store):
    store.store(b"k", b"v", cold_only=True)
    assert store.entry(b"k", promote=False).tier == "cold"
    assert store.entry(b"k").tier == "cold"
    assert store.entry(b"k", recency=False).tier == "hot"
    assert store.optimize_hot() == 1
    assert store.entry(b"k", promote=False).tier == "cold"
    assert store.warm_up([b"k", b"absent"]) == 1
    assert store.entry(b"k").tier == "hot"


def test_retrieve_into_a_buffer(store):
    store[b"k"] = b"value"
    buffer = bytearray(8)
    assert store.retrieve_into(b"k", buffer) == 5 and buffer == b"value\0\0\0"
    assert store.retrieve_into(b"absent", buffer) is None
    with pytest.raises(hotcold.BufferTooSmallError):
        store.retrieve_into(b"k", bytearray(4))
    with pytest.raises((TypeError, BufferError)):
        store.retrieve_into(b"k", b"read-only")


def test_retrieve_many(store):
    store.update({b"a": b"1", b"b": b"2"})
    assert store.retrieve_many([b"a", b"x", bytearray(b"b")]) == [b"1", None, b"2"]
    assert store.retrieve_many(iter([])) == []
    with pytest.raises(TypeError):
        store.retrieve_many([b"a", "b"])
    with pytest.raises(hotcold.TooLargeError):
        store.retrieve_many([b"a", bytes(70_000)])


def test_a_load_runs_once_for_all(store):
    calls = []

    def load(key):
        calls.append(key)
        time.sleep(0.1)
        return b"loaded", 60

    results = []
    threads = [
        threading.Thread(target=lambda: results.append(bytes(store.retrieve_or_load(b"k", load))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [b"k"] and results == [b"loaded"] * 8
    assert store[b"k"] == b"loaded" and store.entry(b"k").expires_at


def test_what_a_load_raises_is_raised(store):
    def fail(key):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        store.retrieve_or_load(b"k", fail)
    with pytest.raises(TypeError):
        store.retrieve_or_load(b"k", lambda key: "text")
    assert store.retrieve_or_load(b"k", lambda key: None) is None
    assert b"k" not in store
    inner = lambda key: bytes(store.retrieve_or_load(b"inner", lambda k: b"i"))  # noqa: E731
    assert store.retrieve_or_load(b"outer", inner) == b"i"


def test_a_batch_is_all_or_nothing(store):
    with store.batch(sync=True) as batch:
        batch[b"a"] = b"1"
        batch.store(b"b", b"2", ttl=60)
        batch.delete(b"absent")
        assert len(batch) == 3 and len(store) == 0
    assert store[b"a"] == b"1" and store.entry(b"b").expires_at
    with pytest.raises(ZeroDivisionError):
        with store.batch() as batch:
            del batch[b"a"]
            1 / 0
    assert b"a" in store
    alone = hotcold.Batch()
    alone.store(b"c", b"3")
    alone.store(b"a", b"9", if_version=0)
    with pytest.raises(hotcold.ConflictError):
        store.write(alone)
    assert b"c" not in store and store[b"a"] == b"1"


def test_walks_by_prefix(store):
    store.update({b"user:%d" % i: b"%d" % i for i in range(50)})
    store[b"other"] = b"-"
    assert len(list(store.cursor(b"user:"))) == len(store.keys(b"user:")) == 50
    assert len(dict(store.items(b"user:"))) == 50 and set(store.values(b"oth")) == {b"-"}
    assert b"other" not in store.keys(b"user:")
    store.optimize_hot()
    cursor = store.cursor(b"user:")
    with pytest.raises(hotcold.MisuseError):
        cursor.value()
    key = next(cursor)
    assert cursor.value() == store[key]
    del store[key]
    assert cursor.value() is None
    cursor.close()
    assert list(cursor) == []


def test_a_cursor_outlives_its_store(tmp_path):
    store = hotcold.Store(tmp_path)
    store[b"k"] = b"v"
    cursor = store.cursor()
    store.close()
    with pytest.raises(hotcold.MisuseError):
        next(cursor)


def test_stats_name_what_the_header_names(store):
    store[b"k"] = b"v"
    store[b"k"]
    stats = store.stats()
    assert stats["hot"]["entries"] == stats["cold"]["entries"] == 1
    assert stats["combined"]["hits"] == 1 and stats["operations"]["store"]["operations"] == 1
    assert "hotcold_" in store.stats_text("prometheus")
    with pytest.raises(hotcold.InvalidArgumentError):
        store.stats_text("xml")


def test_care(store, tmp_path):
    store.update({b"%d" % i: os.urandom(100) for i in range(100)})
    store.sync()
    store.compact()
    assert store.verify() == (100, 0)
    store.backup(tmp_path / "copy")
    with hotcold.Store(tmp_path / "copy") as copy:
        assert dict(copy.items()) == dict(store.items())


def test_others_run_while_a_call_waits(store):
    """The GIL is released: a load that waits for another thread's progress gets it."""
    gate, seen = threading.Event(), []

    def waits(key):
        return b"yes" if gate.wait(10) else None

    thread = threading.Thread(target=lambda: seen.append(store.retrieve_or_load(b"k", waits)))
    thread.start()
    joiner = threading.Thread(target=lambda: seen.append(
        store.retrieve_or_load(b"k", lambda key: b"never")))
    time.sleep(0.05)
    joiner.start()  # waits inside the library for the other's load
    time.sleep(0.05)
    store[b"meanwhile"] = b"v"
    gate.set()
    thread.join(10)
    joiner.join(10)
    assert [bytes(view) for view in seen] == [b"yes", b"yes"]


def test_many_threads(store):
    def work(seed):
        chance = random.Random(seed)
        for i in range(2000):
            key = b"%d" % chance.randrange(100)
            store[key] = key * 50
            found = store.retrieve(key)
            assert found is None or found == key * 50
            if i % 10 == 0:
                store.delete(key)
            if i % 500 == 0:
                list(store.items())

    failures = []

    def guarded(seed):
        try:
            work(seed)
        except BaseException as error:  # noqa: B902
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_memory_stays_level(store):
    store[b"k"] = b"v" * 1000

    def turn():
        for _ in range(3000):
            store[b"k"] = b"v" * 1000
            store.retrieve(b"k").obj.version
            store.get(b"absent")
            store.retrieve_many([b"k", b"x"])
            try:
                store.store(b"k", b"w", if_version=1)
            except hotcold.ConflictError:
                pass
            next(store.cursor())

    def resident():
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    turn()
    before = resident()
    for _ in range(4):
        turn()
    assert resident() - before < 12 << 20


def test_no_reference_is_left_behind(store):
    """Every call, in success and in failure: what they allocate is gone afterwards."""
    def attempt(call, *args, **kwargs):
        try:
            return call(*args, **kwargs)
        except (hotcold.Error, TypeError, KeyError, ValueError, ZeroDivisionError):
            return None

    def turn():
        key, value = bytearray(b"k"), memoryview(b"v" * 100)
        for good in (key, "text", bytes(70_000)):
            attempt(store.store, good, value, ttl=5)
            attempt(store.store, good, "text")
            attempt(store.store, good, value, if_version=1)
            attempt(store.store, good, value, unknown=1)
            attempt(store.__setitem__, good, value)
            attempt(store.__getitem__, good)
            attempt(store.get, good, good)
            attempt(store.retrieve, good, promote=False)
            attempt(store.entry, good, recency=False)
            attempt(store.retrieve_into, good, bytearray(50))
            attempt(store.retrieve_into, good, bytearray(200))
            attempt(store.retrieve_many, [b"k", good, b"absent"])
            attempt(store.retrieve_or_load, good, lambda key: (b"l", 5))
            attempt(store.__delitem__, good)
            attempt(store.retrieve_or_load, good, lambda key: 1 / 0)
            attempt(store.retrieve_or_load, good, lambda key: (b"l", "text"))
            attempt(store.warm_up, [b"k", good])
            attempt(store.__contains__, good)
            batch = hotcold.Batch()
            attempt(batch.store, good, value, if_version=1)
            attempt(batch.store, good, "text")
            attempt(batch.delete, good)
            attempt(store.write, batch)
            attempt(store.cursor, good)
            attempt(store.delete, good)
        store[b"k"] = b"v"
        cursor = store.cursor(b"")
        next(cursor)
        cursor.value().obj.view
        with store.event_queue() as queue:
            number = store.subscribe(lambda event: event.key)
            store[b"k"] = b"v"
            queue.next()
            store.unsubscribe(number)
        attempt(store.subscribe, 7)
        attempt(hotcold.Store, hot_capacity="many")
        store.stats()

    for _ in range(20):
        turn()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(100):
        turn()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_told(store):
    store[b"k"] = b"v" * 100
    view = store.retrieve(b"k")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store[b"k"]
        except hotcold.MisuseError:
            code = 0 if view == b"v" * 100 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert store[b"k"] == b"v" * 100


def test_the_end_of_the_program_closes(tmp_path):
    """A store that nobody closed, with a subscription that holds it, and events in flight."""
    program = f"""
import hotcold
store = hotcold.Store({str(tmp_path)!r}, write_mode="back")
store.subscribe(lambda event: store)
store[b"k"] = b"v"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert hotcold.Store(tmp_path)[b"k"] == b"v"


def test_every_method_says_what_it_does():
    for kind in (hotcold.Store, hotcold.Batch, hotcold.Cursor, hotcold.EventQueue):
        for name, method in inspect.getmembers(kind, callable):
            if not name.startswith("_"):
                assert inspect.getdoc(method) and inspect.signature(method), name
