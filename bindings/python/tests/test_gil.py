"""The GIL is released in every call of the library that can wait or take long."""

import pathlib
import re

NATIVE = pathlib.Path(__file__).resolve().parents[1] / "native"

# These neither wait nor take long: settings, names, counters, and ends of what is small. That of a
# value is in both places: with the GIL for small ones.
QUICK = {
    "options_new", "options_set", "options_set_u64", "options_free", "status_name",
    "version_string", "batch_new", "value_release", "event_queue_dropped",
    # After a failed allocation only.
    "cursor_close", "event_queue_close",
}


def test_every_call_that_can_wait_is_made_without_the_gil():
    with_gil, without = set(), set()
    for path in NATIVE.glob("*.c"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        parts = re.split(r"Py_(BEGIN|END)_ALLOW_THREADS", text)
        for before, part in zip(["END"] + parts[1::2], parts[::2]):
            calls = re.findall(r"\bhotcold_(\w+)\(", part)
            (without if before == "BEGIN" else with_gil).update(calls)
    assert {"open", "close", "store", "retrieve_with", "write", "loaded_set"} <= without
    assert with_gil - QUICK == set()
