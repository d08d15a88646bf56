"""The recipes run as programs, and do what their pages say."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).resolve().parents[1] / "recipes"


@pytest.fixture
def cache(tmp_path):
    spec = importlib.util.spec_from_file_location("memo_cache", RECIPES / "memo_cache.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.MemoCache(tmp_path / "memo") as opened:
        yield opened


def test_memo_cache_computes_once_in_all_runs(tmp_path):
    program = [sys.executable, str(RECIPES / "memo_cache.py"), str(tmp_path / "memo")]
    for computed in (1, 0):
        done = subprocess.run(program, capture_output=True, text=True, timeout=60)
        said = (done.returncode, done.stdout, done.stderr)
        assert said == (0, f"8 calls, {computed} computed\n", "")


def test_memo_cache_tells_arguments_and_versions_apart_and_forgets(cache):
    calls = []

    def make(version):
        @cache.memoize(version=version)
        def half(number, *, up=False):
            calls.append((version, number, up))
            return -(-number // 2) if up else number // 2

        return half

    first, second = make(1), make(2)
    assert [first(7), first(7), first(7, up=True), first(9), second(7)] == [3, 3, 4, 4, 3]
    assert calls == [(1, 7, False), (1, 7, True), (1, 9, False), (2, 7, False)]
    first.forget()
    assert [first(7), second(7)] == [3, 3]
    assert calls[4:] == [(1, 7, False)]


def test_memo_cache_does_not_keep_what_raises(cache):
    outcomes = [ZeroDivisionError, None]

    @cache.memoize()
    def fail_once():
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        return "fine"

    with pytest.raises(ZeroDivisionError):
        fail_once()
    assert [fail_once(), fail_once(), outcomes] == ["fine", "fine", []]
