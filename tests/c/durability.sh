#!/bin/sh
# Whether what is acknowledged is on the disk by then: the test's program under strace. 77 says that
# strace cannot trace here.
set -u
program=$1
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! strace -f -qq -o "$work/trace" true 2>"$work/why"; then
    echo "cannot trace here: $(cat "$work/why")"
    exit 77
fi
calls='openat,/^mkdir(at)?$,/^rename(at2?)?$,unlinkat,fsync,fdatasync,ftruncate,/write,sendfile'
TMPDIR=$work strace -f -qq -y -ttt -s 64 -e "trace=$calls,copy_file_range" -e signal=none \
    -o "$work/trace" "$program" || exit 1
awk -f "$here/durability.awk" "$work/trace" || exit 1

# The check itself: without the syncs of files, or of directories, or of what is renamed, it fails.
without() {
    grep -v "$1" "$work/trace" >"$work/less"
    if awk -f "$here/durability.awk" "$work/less" >/dev/null; then
        echo "the check does not see that there is no $1"
        exit 1
    fi
}
without 'fdatasync'
without 'fsync('
without 'fdatasync([0-9]*<[^>]*\.new>'
without 'fdatasync([0-9]*<[^>]*000001\.seg>'
