#!/bin/sh
# install.sh BUILD_DIR CONSUMER_DIR SOURCE: an installed tree that was moved is found by CMake and by
# pkg-config, and what is linked with it runs.
set -eu
build=$1 consumer=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
cd "$work"

cmake -S "$consumer" -B consumer -DCMAKE_PREFIX_PATH="$work/moved" "-DSOURCE=$source" >/dev/null
cmake --build consumer >/dev/null
consumer/shared shared.store
consumer/static static.store

lib=$(dirname "$(find moved -name libhotcold.a)")
[ "$(readlink "$lib/libhotcold.so")" != "" ]
if command -v pkg-config >/dev/null; then
    PKG_CONFIG_PATH="$work/$lib/pkgconfig"
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046  # the flags are words
    cc "$source" -o found $(pkg-config --cflags --libs hotcold)
    LD_LIBRARY_PATH=$lib ./found found.store
fi

# Nothing in the tree names where it was made, and the declarations have no directives.
! grep -rIl "$work/first" moved
! grep -q '^ *#' "moved/include/hotcold.cdef.h"
grep -q 'hotcold_retrieve' "moved/include/hotcold.cdef.h"
grep -q 'HOTCOLD_NOT_FOUND' "moved/include/hotcold.cdef.h"
