"""Conan 2 recipe: `conan create .` builds with CMake and cargo, packages, and runs test_package."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class Hotcold(ConanFile):
    name = "hotcold"
    license = "MIT OR Apache-2.0"
    description = "An embedded key-value store in two tiers, memory and disk, behind one C ABI"
    topics = ("key-value", "storage", "cache", "embedded")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}
    exports_sources = (
        "CMakeLists.txt", "cmake/*", "hotcold.pc.in", "include/*", "packaging/*", "src/*",
        "Cargo.toml", "Cargo.lock", "build.rs", "cbindgen.toml", "LICENSE-*", "*.md",
        "remote/Cargo.toml", "remote/build.rs", "remote/src/*", "remote/include/*", "remote/*.in",
    )

    def set_version(self):
        """The version stands in Cargo.toml and nowhere else."""
        text = load(self, os.path.join(self.recipe_folder, "Cargo.toml"))
        self.version = re.search(r'^version = "(.*)"', text, re.MULTILINE).group(1)

    def configure(self):
        # Built by cargo: neither the C compiler's standard library nor its C++ makes a difference.
        self.settings.rm_safe("compiler.libcxx")
        self.settings.rm_safe("compiler.cppstd")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("hotcold supports Linux")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES"):
            toolchain.cache_variables[f"HOTCOLD_BUILD_{part}"] = False
        if "CARGO_TARGET_DIR" in os.environ:
            toolchain.cache_variables["HOTCOLD_CARGO_TARGET_DIR"] = os.environ["CARGO_TARGET_DIR"]
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        # Conan makes its own, for the library that the options name.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "share"))
        unwanted = r"\.a$" if self.options.shared else r"\.so"
        lib = os.path.join(self.package_folder, "lib")
        for name in os.listdir(lib):
            if re.search(unwanted, name):
                os.remove(os.path.join(lib, name))

    def package_info(self):
        kind = "shared" if self.options.shared else "static"
        self.cpp_info.libs = ["hotcold"]
        self.cpp_info.set_property("cmake_file_name", "hotcold")
        self.cpp_info.set_property("cmake_target_name", "hotcold::hotcold")
        self.cpp_info.set_property("cmake_target_aliases", [f"hotcold::{kind}"])
        self.cpp_info.set_property("pkg_config_name", "hotcold")
        if kind == "static":
            self.cpp_info.system_libs = ["util", "rt", "pthread", "m", "dl"]
