"""Builds the extension, with the library inside it.

The library is built by cargo from the repository that this folder is in, or taken from
HOTCOLD_LIBRARY, the path of a libhotcold.a. It is linked into the extension, which shows none of
its symbols: the wheel needs nothing else, and does not meet another copy of the library in the
same process.
"""

import os
import re
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parents[2]


def version() -> str:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+)"', manifest, re.MULTILINE)[1]


def library() -> Path:
    given = os.environ.get("HOTCOLD_LIBRARY")
    if given:
        return Path(given)
    subprocess.run(["cargo", "build", "--release", "--lib"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return ROOT / target / "release" / "libhotcold.a"


class BuildWithLibrary(build_ext):
    def build_extension(self, ext):
        archive = library()
        ext.extra_objects = [str(archive)]
        ext.depends += [str(archive)]
        super().build_extension(ext)


NATIVE = Path("native")
NAMES = ["module", "value", "store", "many", "events"]

setup(
    version=version(),
    cmdclass={"build_ext": BuildWithLibrary},
    ext_modules=[
        Extension(
            "hotcold._native",
            sources=[str(NATIVE / f"{name}.c") for name in NAMES],
            depends=[str(NATIVE / "native.h"), str(ROOT / "include/hotcold.h")],
            include_dirs=[str(ROOT / "include")],
            extra_compile_args=["-std=gnu11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra",
                                "-Wno-missing-field-initializers", "-Wno-cast-function-type"],
            extra_link_args=["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,-s"],
            libraries=["pthread", "dl", "m"],
        )
    ],
)
