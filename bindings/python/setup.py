"""Builds the extension, with the library inside it.

The library is built by cargo from the repository that this folder is in (a source distribution
brings what is needed of it in `library/`), or taken from HOTCOLD_LIBRARY, the path of a
libhotcold.a. It is linked into the extension, which shows none of
its symbols: the wheel needs nothing else, and does not meet another copy of the library in the
same process.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
ROOT = HERE / "library" if (HERE / "library").exists() else HERE.parents[1]

# What cargo needs of the repository. Targets that the manifest names are found by their folders.
CRATE = ["Cargo.toml", "Cargo.lock", "build.rs", "cbindgen.toml", "README.md", "LICENSE-MIT",
         "LICENSE-APACHE", "src", "include",
         # A member of the workspace: cargo wants to see it, and does not build it.
         "remote/Cargo.toml", "remote/build.rs", "remote/src"]


def version() -> str:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+)"', manifest, re.MULTILINE)[1]


def library() -> Path:
    given = os.environ.get("HOTCOLD_LIBRARY")
    if given:
        return Path(given)
    subprocess.run(["cargo", "build", "--release", "--locked", "--lib"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return ROOT / target / "release" / "libhotcold.a"


class BuildWithLibrary(build_ext):
    def build_extension(self, ext):
        archive = library()
        ext.extra_objects = [str(archive)]
        ext.depends += [str(archive)]
        super().build_extension(ext)


class SdistWithLibrary(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        for name in CRATE:
            origin, copy = ROOT / name, Path(base_dir) / "library" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, copy, dirs_exist_ok=True)
            elif origin.exists():
                shutil.copyfile(origin, copy)


NATIVE = Path("native")
NAMES = ["module", "latch", "python", "job", "value", "store", "loads", "many", "events"]

setup(
    version=version(),
    cmdclass={"build_ext": BuildWithLibrary, "sdist": SdistWithLibrary},
    ext_modules=[
        Extension(
            "hotcold._native",
            sources=[str(NATIVE / f"{name}.c") for name in NAMES],
            depends=[str(NATIVE / "native.h"), str(NATIVE / "exports.map"),
                     str(ROOT / "include/hotcold.h")],
            include_dirs=[str(ROOT / "include")],
            extra_compile_args=["-std=gnu11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra",
                                "-Wno-missing-field-initializers", "-Wno-cast-function-type"],
            extra_link_args=[f"-Wl,--version-script={NATIVE / 'exports.map'}", "-Wl,--gc-sections",
                             "-Wl,-s"],
            libraries=["pthread", "dl", "m"],
        )
    ],
)
