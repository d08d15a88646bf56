# Reads what strace has seen (-f -y -ttt) and fails where something is acknowledged that a power loss
# could take: each mark says what must have been synced before it.
#
#   one     what this thread has written and named since its last mark, and that it has written
#   within  the same, and the sync began within so many milliseconds of the write
#   all     what any thread has written and named
#   none    nothing
#   strict  from here on a segment is removed only once everything is synced; loose: not
#   end     that there were so many marks
#
# And a file is synced before it is renamed. A sync covers what had returned when it began.

function fail(what) { print "line " NR ": " what; failed = 1 }

function is_ours(path) { return path ~ /\/([0-9]+\.seg|(MANIFEST|CHECKPOINT)(\.new)?)$/ }

function changed(path) {
    if (!(path in written) || written[path] <= synced[path]) dirty_since[path] = now
    written[path] = NR
    own[tid, path] = NR
}

function wrote(path, end) {
    if (!is_ours(path)) return
    if (end > length_of[path]) length_of[path] = end
    changed(path)
    writes[tid]++
}

# Room that was taken behind the end and is given back changes nothing.
function cut(path, end) {
    if (!is_ours(path) || end == length_of[path]) return
    length_of[path] = end
    changed(path)
}

# A name of the test's own directory counts, and not that directory's.
function named(path) {
    if (path !~ /\/hotcold-test-[^\/]*\//) return
    sub(/\/[^\/]*$/, "", path)
    changed(path)
}

function sync(path) {
    if ((path in written) && written[path] < began && began_at - dirty_since[path] > wait[path])
        wait[path] = began_at - dirty_since[path]
    if (began > synced[path]) synced[path] = began
}

function gone(path,   key, part) {
    delete written[path]; delete synced[path]; delete length_of[path]
    for (key in own) {
        split(key, part, SUBSEP)
        if (part[2] == path) delete own[key]
    }
}

function renamed(from, to) {
    if (!(from in written)) fail(from " was renamed, and nothing was written to it")
    if (written[from] > synced[from]) fail(from " was renamed before it was synced")
    gone(from)
    named(to)
    renames[to ~ /MANIFEST$/ ? "MANIFEST" : "CHECKPOINT"]++
}

function check_all(why,   path) {
    for (path in written)
        if (written[path] > synced[path]) fail(why ": " path " has something that is not synced")
}

function check_own(why, most,   key, part) {
    if (!writes[tid]) fail(why ": nothing was written")
    for (key in own) {
        split(key, part, SUBSEP)
        if (part[1] != tid) continue
        if (own[key] > synced[part[2]]) fail(why ": " part[2] " is not synced")
        if (most && wait[part[2]] * 1000 > most) fail(why ": the sync of " part[2] " was late")
    }
}

function forget(   key, part) {
    writes[tid] = 0
    for (key in own) {
        split(key, part, SUBSEP)
        if (part[1] == tid) { delete own[key]; wait[part[2]] = 0 }
    }
}

function marked(kind, name) {
    seen[kind]++
    marks++
    if (kind == "one") check_own(name, 0)
    else if (kind == "within") check_own("in the background", name + 0)
    else if (kind == "all") check_all(name)
    else if (kind == "end" && marks != name + 0) fail("marks are missing")
    else if (kind == "strict" || kind == "loose") is_strict = kind == "strict"
    if (kind != "strict" && kind != "loose") forget()
}

# The path of a descriptor, as -y shows it.
function path_of(argument) {
    return match(argument, /<[^>]*>/) ? substr(argument, RSTART + 1, RLENGTH - 2) : ""
}

# The path that a call names: relative to a descriptor, or not.
function path_at(directory, name) {
    gsub(/"/, "", name)
    return name ~ /^\// ? name : path_of(directory) "/" name
}

{
    tid = $1; now = $2
    call = $0
    sub(/^[0-9]+ +[0-9.]+ /, "", call)
    if (call ~ /<unfinished \.\.\.>$/) {
        sub(/ *<unfinished \.\.\.>$/, "", call)
        half[tid] = call; half_began[tid] = NR; half_began_at[tid] = now
        next
    }
    began = NR; began_at = now
    if (call ~ /^<\.\.\. /) {
        sub(/^<\.\.\. [a-z0-9_]+ resumed>/, "", call)
        call = half[tid] call
        began = half_began[tid]; began_at = half_began_at[tid]
    }
    if (!match(call, /\) += [0-9]+/)) next # a failure, or the end of a thread
    arguments = substr(call, 1, RSTART - 1)
    result = substr(call, RSTART)
    sub(/^\) += /, "", result)
    result += 0
    name = arguments
    sub(/\(.*/, "", name)
    sub(/^[a-z0-9_]+\(/, "", arguments)
    parts = split(arguments, a, /, /)

    if (name == "write" && a[1] ~ /<\/dev\/null/) {
        match(arguments, /"[^"]*"/)
        text = substr(arguments, RSTART + 1, RLENGTH - 2)
        kind = text
        sub(/ .*/, "", kind)
        sub(/^[a-z]+ /, "", text)
        marked(kind, text)
    }
    else if (name ~ /^pwrite/) wrote(path_of(a[1]), a[parts] + result)
    else if (name ~ /^(write|writev|sendfile)$/) wrote(path_of(a[1]), length_of[path_of(a[1])] + result)
    else if (name == "copy_file_range") wrote(path_of(a[3]), length_of[path_of(a[3])] + result)
    else if (name == "ftruncate") cut(path_of(a[1]), a[2] + 0)
    else if (name == "fdatasync" || name == "fsync") sync(path_of(a[1]))
    else if (name == "openat" && a[3] ~ /O_CREAT/ && is_ours(path_at(a[1], a[2])))
        named(path_at(a[1], a[2]))
    else if (name ~ /^renameat2?$/ && is_ours(path_at(a[3], a[4])))
        renamed(path_at(a[1], a[2]), path_at(a[3], a[4]))
    else if (name == "mkdir") named(path_at("", a[1]))
    else if (name == "mkdirat") named(path_at(a[1], a[2]))
    else if (name == "unlinkat" && is_ours(path_at(a[1], a[2]))) {
        path = path_at(a[1], a[2])
        gone(path)
        if (is_strict && path ~ /seg$/) { removals++; check_all("a segment is removed") }
    }
}

END {
    if (!seen["end"]) fail("the trace is not whole")
    if (!renames["MANIFEST"] || !renames["CHECKPOINT"]) fail("nothing was renamed")
    if (!removals) fail("no segment was removed")
    exit failed
}
