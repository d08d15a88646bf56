# What people type. The building itself is cargo's and CMake's.

.PHONY: help demo demo-remote test test-packages test-bindings test-python docs install soak bench fmt clean

help:
	@echo 'make demo      builds the release library and runs it on real files'
	@echo 'make demo-remote  three processes on a Redis cluster and on an S3 server, which are killed'
	@echo 'make test      everything that must pass, in a few minutes'
	@echo 'make test-bindings  eight languages over FFI'
	@echo 'make test-python    the Python package, on each Python that is here'
	@echo 'make docs      the site in build/docs/site: guide, recipes, references'
	@echo 'make install   installs library, header, CMake and pkg-config files (PREFIX=/usr/local)'
	@echo 'make test-packages  packages and every way to link: made, installed, used'
	@echo 'make soak      the long tests: crashes, faults, many threads'
	@echo 'make bench     the measurements'
	@echo 'make clean     removes what was built'

PREFIX ?= /usr/local
export CARGO_TARGET_DIR ?= $(CURDIR)/target

demo:
	@scripts/setup build
	@scripts/demo

demo-remote:
	@scripts/setup build
	@remote/setup
	@remote/demo

test:
	@scripts/setup test
	@scripts/test

test-bindings:
	@scripts/setup build
	@bindings/test

test-python:
	@scripts/setup build
	@bindings/python/test

docs:
	@scripts/setup docs
	@scripts/docs

install:
	@scripts/setup build
	cmake -S . -B build/install -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(PREFIX) \
		-DHOTCOLD_BUILD_TESTS=OFF -DHOTCOLD_BUILD_EXAMPLES=OFF \
		-DHOTCOLD_CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)
	cmake --build build/install
	cmake --install build/install

test-packages:
	@scripts/setup packages
	@packaging/test

soak:
	@scripts/setup test
	sh tests/torture/run --long

bench:
	@scripts/setup bench
	sh benches/run

fmt:
	cargo fmt -- src/hot/*.rs

clean:
	cargo clean
	rm -rf build
