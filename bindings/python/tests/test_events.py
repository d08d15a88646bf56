"""Events: as calls and as a queue."""

import sys
import threading
import time

import pytest

import hotcold
from hotcold import EventKind


def test_callables_get_events(store):
    events = []
    number = store.subscribe(events.append)
    version = store.store(b"k", b"v", ttl=60)
    store.retrieve(b"k")
    store.delete(b"k")
    store.clear()
    kinds = [EventKind(event.kind) for event in events]
    assert kinds == [EventKind.ITEM_STORED, EventKind.ITEM_RETRIEVED, EventKind.ITEM_DELETED,
                     EventKind.STORAGE_CLEARED]
    stored = events[0]
    assert (stored.key, stored.value, stored.version) == (b"k", b"v", version)
    assert stored.storage_id == "store" and stored.message is None and stored.status == 0
    assert 50 < stored.expires_at - time.time() < 70
    assert events[1].tier == "hot" and events[3].key is None
    assert store.unsubscribe(number) and not store.unsubscribe(number)
    store[b"k"] = b"v"
    assert len(events) == 4


def test_a_mask_chooses(store):
    events = []
    store.subscribe(events.append, EventKind.ITEM_DELETED | EventKind.PROMOTED)
    store.store(b"k", b"v", cold_only=True)
    store.retrieve(b"k")
    store.delete(b"k")
    assert [event.kind for event in events] == [EventKind.PROMOTED, EventKind.ITEM_DELETED]


def test_a_callback_may_use_the_store_but_not_close_it(store):
    seen = []

    def callback(event):
        seen.append(store.get(b"k"))
        try:
            store.close()
        except hotcold.MisuseError:
            seen.append("open")

    store.subscribe(callback, EventKind.ITEM_STORED)
    store[b"k"] = b"v"
    assert seen == [b"v", "open"] and not store.closed


def test_what_a_callback_raises_stops_nothing(store, monkeypatch):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hook: raised.append(hook.exc_type))
    store.subscribe(lambda event: 1 / 0, EventKind.ITEM_STORED)
    store[b"k"] = b"v"
    assert raised == [ZeroDivisionError] and store[b"k"] == b"v"
    with pytest.raises(TypeError):
        store.subscribe(7)


def test_a_subscription_is_let_go(tmp_path):
    class Callback:
        gone = 0

        def __call__(self, event):
            pass

        def __del__(self):
            Callback.gone += 1

    store = hotcold.Store(tmp_path)
    store.unsubscribe(store.subscribe(Callback()))
    assert Callback.gone == 1
    store.subscribe(Callback())
    store.close()
    assert Callback.gone == 2
    with pytest.raises(hotcold.MisuseError):
        store.subscribe(Callback())
    assert Callback.gone == 3


def test_background_events_reach_python(tmp_path):
    gone = threading.Event()
    with hotcold.Store(tmp_path) as store:
        store.subscribe(lambda event: gone.set(), EventKind.EXPIRED)
        store.store(b"k", b"v", ttl=0.05)
        deadline = time.monotonic() + 20
        while not gone.is_set() and time.monotonic() < deadline:
            store.get(b"k")
            gone.wait(0.1)
        assert gone.is_set()


def test_events_from_many_threads(store):
    count, lock = [0], threading.Lock()

    def callback(event):
        with lock:
            count[0] += 1

    store.subscribe(callback, EventKind.ITEM_STORED)
    threads = [
        threading.Thread(target=lambda: [store.store(b"k", b"v") for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count[0] == 2000


def test_a_queue_is_pulled_and_counts_what_it_drops(store):
    with store.event_queue(EventKind.ITEM_STORED, 2) as queue:
        for i in range(3):
            store[b"%d" % i] = b"v"
        assert [queue.next().key, queue.next(1).key] == [b"0", b"1"]
        assert queue.next(0) is None and queue.next(0.001) is None and queue.dropped == 1
        begun = time.monotonic()
        assert queue.next(0.3) is None
        assert 0.25 < time.monotonic() - begun < 5
        threading.Timer(0.05, store.store, (b"late", b"v")).start()
        assert queue.next(10.0).key == b"late"
    with pytest.raises(hotcold.Error):
        queue.next(0)
    with pytest.raises(hotcold.InvalidArgumentError):
        store.event_queue(EventKind.ALL, 0)


def test_a_queue_ends_with_its_store(tmp_path):
    store = hotcold.Store(tmp_path)
    queue = store.event_queue()
    store[b"k"] = b"v"
    store.close()
    assert queue.next(60).key == b"k"
    begun = time.monotonic()
    assert queue.next(60) is None
    assert time.monotonic() - begun < 5


def test_a_queue_is_for_one_thread_at_a_time(store):
    queue = store.event_queue(EventKind.ITEM_DELETED)
    waiting = threading.Thread(target=queue.next, args=(0.5,))
    waiting.start()
    time.sleep(0.1)
    with pytest.raises(hotcold.MisuseError, match="thread"):
        queue.next(0)
    waiting.join()
