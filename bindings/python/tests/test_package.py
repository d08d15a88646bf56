"""What is installed says what it is, and brings its licences."""

import ctypes
import importlib.metadata
import pathlib
import sys

import pytest

import hotcold

package = importlib.metadata.distribution("hotcold")


def test_the_version_is_the_library_s():
    assert package.version == hotcold.__version__ == hotcold.library_version


def test_both_licences_are_there():
    assert package.metadata["License-Expression"] == "MIT OR Apache-2.0"
    texts = {path.name: path.read_text() for path in package.files if "LICENSE" in path.name}
    here = pathlib.Path(__file__).resolve().parents[1]
    assert texts == {
        name: (here / name).read_text() for name in ("LICENSE-MIT", "LICENSE-APACHE")
    }


@pytest.mark.parametrize(
    "field", ["Name", "Summary", "Author", "Keywords", "Requires-Python", "Description-Content-Type"]
)
def test_metadata_has(field):
    assert package.metadata[field]


def test_this_python_is_among_the_named_ones():
    named = f"Programming Language :: Python :: {sys.version_info[0]}.{sys.version_info[1]}"
    assert named in package.metadata.get_all("Classifier")


def test_the_types_are_there():
    names = {path.name for path in package.files}
    assert {"py.typed", "_native.pyi", "_store.pyi"} <= names


def test_the_extension_shows_none_of_the_library_s_functions():
    extension = ctypes.CDLL(hotcold._native.__file__)
    assert hasattr(extension, "PyInit__native")
    assert not hasattr(extension, "hotcold_open") and not hasattr(extension, "rust_eh_personality")
