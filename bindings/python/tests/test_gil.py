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


def without_gil(text):
    """The parts of a source that run without the GIL, and the rest."""
    parts = [("other", text)]
    for pattern in (
        r"Py_BEGIN_ALLOW_THREADS.*?Py_END_ALLOW_THREADS",
        r"\bCALL\(\w+,.*?\);\n",
        # What a job runs, and the end of a job: that of a call that was given up is the worker's.
        r"\n(?:static )?void (?:run_\w+|job_release)\(.*?\n}",
    ):
        parts = [
            piece
            for kind, part in parts
            for piece in (split(pattern, part) if kind == "other" else [(kind, part)])
        ]
    return ["".join(part for kind, part in parts if kind == wanted) for wanted in ("gil", "other")]


def split(pattern, text):
    end = 0
    for found in re.finditer(pattern, text, re.DOTALL):
        yield "other", text[end:found.start()]
        yield "gil", found[0]
        end = found.end()
    yield "other", text[end:]


def test_every_call_that_can_wait_is_made_without_the_gil():
    with_gil, without = set(), set()
    for path in NATIVE.glob("*.c"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        released, held = without_gil(text)
        without.update(re.findall(r"\bhotcold_(\w+)\(", released))
        with_gil.update(re.findall(r"\bhotcold_(\w+)\(", held))
    assert {"open", "store", "retrieve_with", "write", "loaded_set", "verify"} <= without
    assert with_gil - QUICK == set()
