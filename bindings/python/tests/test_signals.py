"""Ctrl-C gets through, whatever the main thread waits for in the library."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

import hotcold

SLOW_DISK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slow_disk.c")

# How late a signal's handler may run. Promised are 0.2 seconds, where nothing else has the machine.
LATE_S = 1.0


def interrupted(call, after=0.2):
    """Has SIGINT come while `call` runs here; how late was it told?"""
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.monotonic() - sent[0]
    finally:
        timer.join()


@pytest.fixture(scope="module")
def slow_disk(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler here")
    library = tmp_path_factory.mktemp("slow") / "slow_disk.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", SLOW_DISK, "-o", library, "-ldl"],
                   check=True)
    return str(library)


PROGRAM = """
import hotcold, os, signal, sys, threading, time
directory, flag = sys.argv[1:3]
options = {{"hot_capacity": 0}}
keys = [b"%d" % i for i in range(1000)]

def opened(**more):
    store = hotcold.Store(directory, **{{**options, **more}})
    for key in keys:
        store[key] = key * 10
    return store

{prepare}
sent = []
def send():
    time.sleep(0.5)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
open(flag, "w").close()
threading.Thread(target=send, daemon=True).start()
try:
    {call}
except KeyboardInterrupt:
    print(time.monotonic() - sent[0], flush=True)
    os._exit(7)
os._exit(8)
"""

# What is made ready, and what is called when each access to the disk lasts seconds.
CALLS = {
    "compact": ("store = opened()", "store.compact()"),
    "verify": ("store = opened()", "store.verify()"),
    "backup": ("store = opened()", "store.backup(directory + '-copy')"),
    "sync": ("store = opened()", "store.sync()"),
    "close": ("store = opened()", "store.close()"),
    "with": ("store = opened()", "with store: pass"),
    "open": ("opened().close()", "hotcold.Store(directory)"),
    "clear": ("store = opened(durability='sync')", "store.clear()"),
    "warm_up": ("store = opened(hot_capacity='1MiB'); store.optimize_hot()",
                "store.warm_up(keys)"),
    "optimize_hot": ("store = opened(hot_capacity='1MiB', write_mode='back')",
                     "store.optimize_hot()"),
    "retrieve_many": ("store = opened()", "store.retrieve_many(keys)"),
    "write": ("store = opened(); batch = hotcold.Batch(); [batch.store(k, k) for k in keys]",
              "store.write(batch, sync=True)"),
    "len": ("store = opened()", "len(store)"),
    "walk": ("store = opened()", "list(store)"),
    "items": ("store = opened()", "list(store.items(b'9'))"),
    "no such prefix": ("store = opened()", "list(store.keys(b'absent'))"),
}


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_ends_the_wait_for_a_slow_disk(tmp_path, slow_disk, name):
    prepare, call = CALLS[name]
    program = PROGRAM.format(prepare=prepare, call=call)
    flag = tmp_path / "slow"
    environment = {**os.environ, "LD_PRELOAD": slow_disk, "SLOW_WHEN": str(flag),
                   "SLOW_MS": "4000"}
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "store", flag],
                          env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    assert float(done.stdout) < LATE_S


def test_ctrl_c_ends_the_wait_for_another_threads_load(store):
    gate, is_inside = threading.Event(), threading.Event()

    def load(key):
        is_inside.set()
        gate.wait(30)
        return b"v"

    got = []
    thread = threading.Thread(target=lambda: got.append(store.retrieve_or_load(b"k", load)))
    thread.start()
    is_inside.wait(30)
    assert interrupted(lambda: store.retrieve_or_load(b"k", load)) < LATE_S
    # Closing waits for the load; that too can be given up, and happens all the same.
    assert interrupted(store.close) < LATE_S
    assert store.closed
    gate.set()
    thread.join(30)
    assert got == [b"v"]
    deadline = time.monotonic() + 30
    while True:
        try:
            with hotcold.Store(store.path) as again:
                assert again[b"k"] == b"v"
            break
        except hotcold.LockedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_ctrl_c_ends_an_own_load(store):
    assert interrupted(lambda: store.retrieve_or_load(b"k", lambda key: time.sleep(30))) < LATE_S
    assert b"k" not in store


@pytest.mark.parametrize("timeout", [(), (None,), (30,)])
def test_ctrl_c_ends_the_wait_for_an_event(store, timeout):
    with store.event_queue() as queue:
        assert interrupted(lambda: queue.next(*timeout)) < LATE_S
        store[b"k"] = b"v"
        assert queue.next(*timeout).key == b"k"


def test_ctrl_c_ends_the_wait_for_a_callback(store):
    gate, is_inside = threading.Event(), threading.Event()

    def callback(event):
        is_inside.set()
        gate.wait(30)

    number = store.subscribe(callback)
    thread = threading.Thread(target=store.store, args=(b"k", b"v"))
    thread.start()
    is_inside.wait(30)
    assert interrupted(lambda: store.unsubscribe(number)) < LATE_S
    gate.set()
    thread.join(30)


@pytest.mark.parametrize("call", [
    lambda store: store.store(b"k", b"v"),
    lambda store: store.__setitem__(b"k", b"v"),
    lambda store: store.get(b"other"),
    lambda store: store.retrieve_or_load(b"k", lambda key: b"v"),
    lambda store: store.delete(b"other"),
    lambda store: store.clear(),
])
def test_ctrl_c_in_a_callback_comes_out_of_the_call(store, call):
    store[b"other"] = b"v"
    number = store.subscribe(lambda event: time.sleep(30))
    assert interrupted(lambda: call(store)) < LATE_S
    store.unsubscribe(number)
    store[b"k"] = b"v"
    assert store[b"k"] == b"v"


def test_handlers_run_during_a_wait_and_may_use_the_store(store):
    seen = []

    def handler(*_):
        store[b"%d" % len(seen)] = b"v"
        seen.append((len(store), store.verify()[1]))

    def signal_then(act):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        threading.Timer(0.3, act).start()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with store.event_queue(hotcold.EventKind.ITEM_DELETED) as queue:
            signal_then(lambda: store.delete(b"0"))
            assert queue.next(30).key == b"0"
        gate, is_inside = threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: store.retrieve_or_load(
            b"k", lambda key: is_inside.set() or gate.wait(30) and b"v"))
        thread.start()
        is_inside.wait(30)
        signal_then(gate.set)
        assert store.retrieve_or_load(b"k", lambda key: b"other") == b"v"
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [(1, 0), (1, 0)]


def test_what_was_given_up_goes_on_and_close_waits_for_it(tmp_path):
    """A callback holds up the compaction; the walk and the batch that were given up say so."""
    gate, is_inside = threading.Event(), threading.Event()

    def callback(event):
        is_inside.set()
        gate.wait(30)

    store = hotcold.Store(tmp_path)
    for i in range(100):
        store[b"%d" % i] = os.urandom(100)
        store[b"%d" % i] = os.urandom(100)
    store.subscribe(callback, hotcold.EventKind.COMPACTED)
    assert interrupted(store.compact) < LATE_S
    assert is_inside.is_set()
    with pytest.raises(KeyboardInterrupt):
        with store:
            assert store._busy
            raise KeyboardInterrupt  # does not wait at the end of the block
    assert store.closed
    with pytest.raises(hotcold.LockedError):
        hotcold.Store(tmp_path)
    gate.set()
    deadline = time.monotonic() + 30
    while True:
        try:
            with hotcold.Store(tmp_path) as again:
                assert len(again) == 100 and again.verify()[1] == 0
            break
        except hotcold.LockedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_callbacks_of_a_call_run_in_its_thread(store):
    threads = set()
    store[b"k"] = b"v"
    store.subscribe(lambda event: threads.add(threading.get_ident()))
    store.optimize_hot()
    store.warm_up([b"k"])
    with store.batch() as batch:
        for i in range(100):
            batch[b"%d" % i] = b"v"
    store.retrieve_many([b"%d" % i for i in range(100)])
    store.retrieve_or_load(b"x", lambda key: threads.add(threading.get_ident()) or b"v")
    store.clear()
    assert threads == {threading.get_ident()}


def test_a_call_in_an_executor_leaves_the_loop_free(store):
    asyncio = pytest.importorskip("asyncio")
    store.update({b"%d" % i: b"v" for i in range(1000)})

    async def main():
        ticks = 0
        running = asyncio.get_running_loop().run_in_executor(
            None, store.retrieve_or_load, b"k", lambda key: time.sleep(0.3) or b"v")
        while not running.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return ticks, bytes(await running), store.verify()[1]

    ticks, value, damaged = asyncio.run(main())
    assert ticks > 5 and value == b"v" and damaged == 0
