#!/bin/sh
# symbols.sh HEADER LIBRARY: the library exports exactly the functions of the header.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Functions are what is followed by a bracket when comments and directives are gone; types of
# functions, which are written (*name)(, are not among them.
"${CC:-cc}" -E -P "$1" | grep -o '\bhotcold_[a-z0-9_]* *(' | tr -d ' (' | sort -u >"$work/header"
nm -D --defined-only "$2" | awk '{print $3}' | sed 's/@.*//' | sort -u >"$work/library"

[ "$(wc -l <"$work/header")" -ge 40 ]
diff -u "$work/header" "$work/library"
