"""The interpreter ends at once and in peace, whatever threads are inside the library."""

import os
import subprocess
import sys
import threading
import time

import pytest

import hotcold

BEGIN = """
import hotcold, os, sys, threading, time
store = hotcold.Store(sys.argv[1], write_mode="back")
store[b"k"] = b"v"
is_inside = threading.Event()

def stay(*_):
    is_inside.set()
    time.sleep(float(sys.argv[2]))
    return b"v"

def daemon(target, *args):
    threading.Thread(target=target, args=args, daemon=True).start()
"""

# What daemon threads do when the main thread ends, and what they wait in.
THREADS = {
    "load": "for _ in range(3): daemon(store.retrieve_or_load, b'l', stay)",
    "callback": "store.subscribe(stay, 1); [daemon(store.store, b's', b'v') for _ in range(3)]",
    "background": """
store.subscribe(stay, hotcold.EventKind.EXPIRED)
store.store(b"short", b"v", ttl=0.01)
""",
    "queue": "daemon(store.event_queue().next); is_inside.set()",
    "store": """
def work():
    while True:
        store[b"s"] = b"v"
        is_inside.set()
daemon(work)
""",
    "walk": """
def work():
    while True:
        for key in store: is_inside.set()
daemon(work)
""",
    "compact": """
def work():
    while True:
        store.compact()
        is_inside.set()
daemon(work)
""",
    "executor": """
from concurrent.futures import ThreadPoolExecutor
ThreadPoolExecutor().submit(store.sync).result()
daemon(store.retrieve_or_load, b'l', stay)
""",
}


def run(program, *args, timeout=30):
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", program, *map(str, args)],
                          capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stderr, time.monotonic() - begun


@pytest.mark.parametrize("seconds", [0.7, 100])
@pytest.mark.parametrize("name", THREADS)
def test_daemon_threads_do_not_hold_up_the_end(tmp_path, name, seconds):
    program = BEGIN + THREADS[name] + "\nis_inside.wait(20)\nsys.exit(5)\n"
    code, errors, lasted = run(program, tmp_path, seconds)
    assert code == 5, errors
    assert lasted < 10
    # What was unwritten then is there too.
    with hotcold.Store(tmp_path) as store:
        assert store[b"k"] == b"v"


@pytest.mark.parametrize("name", ["load", "callback", "background"])
def test_a_thread_that_wants_to_go_on_during_the_end_does_no_harm(tmp_path, name):
    """The last destructors last longer than the load, which then finds no interpreter."""
    program = BEGIN + """
class Last:
    sleep = time.sleep
    def __del__(self): self.sleep(2.5)
import builtins
builtins.last = Last()
""" + THREADS[name] + "\nis_inside.wait(20)\nsys.exit(5)\n"
    code, errors, lasted = run(program, tmp_path, 2)
    assert (code, errors) == (5, "")
    assert lasted > 2.5
    with hotcold.Store(tmp_path) as store:
        assert store[b"k"] == b"v"


def test_other_threads_are_waited_for(tmp_path):
    program = BEGIN + """
threading.Thread(target=store.retrieve_or_load, args=(b"l", stay)).start()
sys.exit(5)
"""
    code, errors, _ = run(program, tmp_path, 1.5)
    assert (code, errors) == (5, "")
    with hotcold.Store(tmp_path) as store:
        assert store[b"l"] == b"v"


def test_a_store_that_a_thread_stays_in_does_not_keep_others_open(tmp_path):
    program = BEGIN + """
other = hotcold.Store(sys.argv[1] + "-other", write_mode="back")
other[b"o"] = b"v"
other.subscribe(print, hotcold.EventKind.ERROR)
daemon(store.retrieve_or_load, b"l", stay)
is_inside.wait(20)
"""
    assert run(program, tmp_path / "one", 100)[:2] == (0, "")
    assert hotcold.Store(tmp_path / "one-other")[b"o"] == b"v"


def test_a_call_that_was_given_up_does_not_hold_up_the_end(tmp_path):
    program = BEGIN + """
import signal
store.compact()
for i in range(100): store[b"%d" % i] = os.urandom(100)
for i in range(100): store[b"%d" % i] = os.urandom(100)
store.subscribe(stay, hotcold.EventKind.COMPACTED)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
with store:
    store.compact()
"""
    code, errors, lasted = run(program, tmp_path, 100)
    assert code in (1, 130, -2) and errors.strip().endswith("KeyboardInterrupt"), errors
    assert lasted < 10


def test_a_closing_that_was_given_up_is_waited_for(tmp_path):
    """Until it is done, or waits for a thread that does not let go."""
    program = BEGIN + """
import signal
def load():
    store.retrieve_or_load(b"l", stay)
daemon(load)
is_inside.wait(20)
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    store.close()
except KeyboardInterrupt:
    sys.exit(5)
"""
    for seconds in (0.7, 100):
        code, errors, lasted = run(program, tmp_path / str(seconds), seconds)
        assert (code, errors) == (5, "") and lasted < 10
    with hotcold.Store(tmp_path / "0.7") as store:
        assert store[b"l"] == b"v"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_its_own_waits_and_its_own_end(tmp_path):
    """Forked while another thread loads, and others wait for it."""
    program = BEGIN + """
import signal
for _ in range(2): daemon(store.retrieve_or_load, b"l", stay)
is_inside.wait(20)
child = os.fork()
if child == 0:
    own = hotcold.Store(sys.argv[1] + "-child", write_mode="back")
    own[b"c"] = b"v"
    assert own.retrieve_or_load(b"l", lambda key: b"mine") == b"mine"
    assert own.verify()[1] == 0 and len(own) == 2
    own.subscribe(lambda event: None)
    sys.exit(6)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
sys.exit(5)
"""
    code, errors, lasted = run(program, tmp_path / "parent", 100)
    assert code == 5, errors
    assert lasted < 10
    assert hotcold.Store(tmp_path / "parent-child")[b"c"] == b"v"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing(tmp_path, method):
    program = f"""
import hotcold, multiprocessing, sys, threading, time
def work(path):
    with hotcold.Store(path) as store:
        store[b"k"] = b"v"
        store.verify()
    sys.exit(7)
if __name__ == "__main__":
    store = hotcold.Store(sys.argv[1])
    inside = threading.Event()
    threading.Thread(target=store.retrieve_or_load, daemon=True,
                     args=(b"l", lambda key: inside.set() or time.sleep(100))).start()
    inside.wait(20)
    context = multiprocessing.get_context({method!r})
    process = context.Process(target=work, args=(sys.argv[1] + "-child",))
    process.start()
    process.join(20)
    sys.exit(process.exitcode)
"""
    path = tmp_path / "program.py"
    path.write_text(program)
    done = subprocess.run([sys.executable, "-W", "ignore", path, tmp_path / "store"],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")
    assert hotcold.Store(tmp_path / "store-child")[b"k"] == b"v"


def test_a_change_during_a_load_wins(store):
    """For whoever asks after it; those who asked before are given what was loaded."""
    for change in (lambda: store.store(b"k", b"new"), lambda: store.delete(b"k"), store.clear,
                   lambda: store.__setitem__(b"k", b"new")):
        store.delete(b"k")
        gate, is_inside, got = threading.Event(), threading.Event(), []

        def load(key):
            is_inside.set()
            gate.wait(30)
            return b"old"

        def ask():
            got.append(bytes(store.retrieve_or_load(b"k", load)))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        threads[0].start()
        is_inside.wait(30)
        for thread in threads[1:]:
            thread.start()
        time.sleep(0.1)
        change()
        assert store.retrieve_or_load(b"k", lambda key: b"new") == b"new"
        gate.set()
        for thread in threads:
            thread.join()
        assert got == [b"old"] * 3
        assert store[b"k"] == b"new"


def test_who_waits_for_a_load_is_told_of_its_failure(store):
    gate, is_inside, got = threading.Event(), threading.Event(), []

    def load(key):
        is_inside.set()
        gate.wait(30)
        raise ZeroDivisionError

    def ask():
        try:
            store.retrieve_or_load(b"k", load)
        except Exception as error:
            got.append(type(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
        is_inside.wait(30)
    time.sleep(0.1)
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(got, key=str) == sorted(
        [ZeroDivisionError] + [hotcold.CallbackFailedError] * 3, key=str)
