"""Stores over an engine. Those that need one run if HOTCOLD_TEST_ENGINE names it (remote/test-python)."""

import builtins
import os
import time

import pytest

import hotcold

ENGINE = os.environ.get("HOTCOLD_TEST_ENGINE")


def test_open_is_a_store(tmp_path):
    with hotcold.open(tmp_path, hot_capacity="1MiB") as store:
        store[b"k"] = b"v"
        assert type(store) is hotcold.Store and store[b"k"] == b"v"


def test_an_engines_options_are_for_engines_alone_and_no_value_is_repeated(tmp_path):
    with pytest.raises(hotcold.InvalidArgumentError, match="remote.password") as failure:
        hotcold.open(tmp_path / "store", remote={"password": "s3cr3t"})
    assert "s3cr3t" not in str(failure.value)
    with pytest.raises(hotcold.Error):
        hotcold.open("redis://127.0.0.1:1/x", remote_timeout=0.3)
    assert not os.path.exists("redis:")


def test_failures_of_an_engine_are_of_kinds_that_python_has():
    assert issubclass(hotcold.TimeoutError, (hotcold.Error, builtins.TimeoutError))
    assert issubclass(hotcold.UnavailableError, (hotcold.Error, ConnectionError))


@pytest.mark.skipif(not ENGINE, reason="HOTCOLD_TEST_ENGINE names no engine")
def test_two_stores_over_an_engine_see_each_others_changes():
    path = f"{ENGINE}-{time.time_ns()}"
    options = dict(coherence=0.2, remote_timeout="5s", remote_retries=2, remote_concurrency=8)
    with hotcold.open(path, **options) as one, hotcold.open(path, **options) as other:
        version = one.store(b"k", b"v")
        assert other[b"k"] == b"v" and other.entry(b"k").version == version
        with pytest.raises(hotcold.ConflictError):
            other.store(b"k", b"w", if_version=version + 1)
        del one[b"k"]
        time.sleep(0.3)
        assert b"k" not in other and len(other) == 0
        with pytest.raises(hotcold.UnsupportedError):
            one.sync()


@pytest.mark.skipif(not ENGINE, reason="HOTCOLD_TEST_ENGINE names no engine")
def test_an_engine_that_is_not_there_is_unavailable_in_time():
    started = time.monotonic()
    with pytest.raises(hotcold.UnavailableError):
        hotcold.open("redis://127.0.0.1:1/x", remote_timeout=0.3)
    assert time.monotonic() - started < 1
