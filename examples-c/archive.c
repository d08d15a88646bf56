/* Keeps a directory of real files in a store, and proves that it kept them.
 *
 *   archive [STORE_DIR [SOURCE_DIR]]           store, compare, reopen, compare, change, compare
 *   archive --crash [STORE_DIR [SOURCE_DIR]]   the same with a process that is killed as it stores
 *
 * Each file is stored under its path. In the second form a child process stores and tells its
 * parent over a pipe what was acknowledged; the parent kills it at a random moment, opens the store
 * and looks: what was acknowledged must be there, and whatever is there must be whole. */
#define _XOPEN_SOURCE 700 /* nftw, mkdtemp, kill */
#include <hotcold.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: archive [--crash] [--rounds N] [--seed N] [STORE_DIR [SOURCE_DIR]]\n"
    "  STORE_DIR   where the store is kept; without it, or with -, a fresh one, removed at the end\n"
    "  SOURCE_DIR  what is stored; without it cargo's registry of sources, else /usr/include\n"
    "  --crash     kill the storing process again and again, and compare after each time\n"
    "  --rounds N  how often, with --crash (10)\n"
    "  --seed N    repeats the random moments of an earlier run\n";

/* ---- what goes wrong ---------------------------------------------------------------------- */

static hotcold_error_t error;
static unsigned long differences;

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("archive: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void check(hotcold_status_t status, const char *call, const char *what) {
    if (status < 0) {
        die("%s %s: %s: %s", call, what, hotcold_status_name(status), error.message);
    }
}

static void differs(const char *path, const char *how) {
    if (++differences <= 20) { /* enough to see what it is */
        printf("DIFFERENT %s: %s\n", path, how);
    }
}

/* ---- the files ---------------------------------------------------------------------------- */

/* A file, and what the store should know of it. */
typedef struct {
    char *path;       /* below the source directory: the key */
    size_t size;
    uint32_t edition; /* which one was stored last; ABSENT: none */
} file_t;

/* Edition 1 is the file's bytes. A later one has its number behind them, so that an old value cannot
 * be taken for a new one. */
enum { ABSENT = 0, PLAIN = 1 };

static file_t *files;
static size_t file_count;
static uint64_t file_bytes;
static size_t source_len; /* of the source directory's name, with the slash */
static const char *source;

static int note_file(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)walk;
    if (type != FTW_F || !S_ISREG(info->st_mode) || access(path, R_OK) != 0) {
        return 0;
    }
    if ((file_count & (file_count + 1)) == 0) { /* full at 0, 1, 3, 7, ...: twice as much */
        files = realloc(files, (2 * file_count + 1) * sizeof *files);
        if (!files) {
            die("no memory for the list of files");
        }
    }
    file_t *file = &files[file_count++];
    memset(file, 0, sizeof *file);
    file->path = strdup(path + source_len);
    file->size = (size_t)info->st_size;
    file_bytes += file->size;
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const file_t *)a)->path, ((const file_t *)b)->path);
}

static void list_files(void) {
    source_len = strlen(source) + 1;
    if (nftw(source, note_file, 32, FTW_PHYS) != 0) {
        die("cannot read %s: %s", source, strerror(errno));
    }
    if (file_count == 0) {
        die("there are no files in %s", source);
    }
    qsort(files, file_count, sizeof *files, by_path);
    printf("%zu files, %.1f MB, from %s\n", file_count, (double)file_bytes / 1e6, source);
}

/* Makes the bytes of an edition, in a buffer that is used again. */
static const char *make_edition(const file_t *file, uint32_t number, size_t *len) {
    static char *buffer;
    static size_t capacity;
    char path[8192];
    if (capacity < file->size + sizeof number) {
        capacity = file->size + sizeof number;
        buffer = realloc(buffer, capacity);
        if (!buffer) {
            die("no memory for %zu bytes", capacity);
        }
    }
    snprintf(path, sizeof path, "%s/%s", source, file->path);
    FILE *in = fopen(path, "rb");
    if (!in || fread(buffer, 1, file->size, in) != file->size) {
        die("cannot read %s: %s", path, in ? "it has become shorter" : strerror(errno));
    }
    fclose(in);
    *len = file->size;
    if (number > PLAIN) {
        memcpy(buffer + file->size, &number, sizeof number);
        *len += sizeof number;
    }
    return buffer;
}

/* ---- time and progress -------------------------------------------------------------------- */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* How long each call of one kind took. */
typedef struct {
    uint64_t *ns;
    size_t count;
} times_t;

static times_t store_times, retrieve_times;

static void note_time(times_t *times, uint64_t ns) {
    if ((times->count & (times->count + 1)) == 0) {
        times->ns = realloc(times->ns, (2 * times->count + 1) * sizeof *times->ns);
        if (!times->ns) {
            die("no memory for the times");
        }
    }
    times->ns[times->count++] = ns;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, times_t *times) {
    if (times->count > 0) {
        qsort(times->ns, times->count, sizeof *times->ns, by_number);
        printf("  %-22s p50 %8.1f us   p99 %8.1f us   %zu calls\n", name,
               (double)times->ns[times->count / 2] / 1e3,
               (double)times->ns[times->count * 99 / 100] / 1e3, times->count);
    }
}

/* One phase of the work, and what is shown of it: a line that is written over on a terminal, else a
 * line every two seconds. */
static struct {
    const char *name;
    uint64_t started, shown, bytes;
    size_t files;
    int terminal;
} progress;

static void show_progress(const char *end) {
    double seconds = (double)(now_ns() - progress.started) / 1e9;
    printf("%s%-24s %7zu files %9.1f MB %8.1f MB/s%s", progress.terminal ? "\r" : "",
           progress.name, progress.files, (double)progress.bytes / 1e6,
           seconds > 0 ? (double)progress.bytes / 1e6 / seconds : 0, end);
    fflush(stdout);
}

static void begin(const char *name) {
    memset(&progress, 0, sizeof progress);
    progress.name = name;
    progress.started = progress.shown = now_ns();
    progress.terminal = isatty(STDOUT_FILENO);
}

static void advance(size_t bytes) {
    uint64_t now = now_ns();
    progress.files++;
    progress.bytes += bytes;
    if (now - progress.shown > (progress.terminal ? 100000000u : 2000000000u)) {
        progress.shown = now;
        show_progress(progress.terminal ? "" : "\n");
    }
}

/* ---- storing and comparing ---------------------------------------------------------------- */

static void store_file(hotcold_t *store, const file_t *file, uint32_t number) {
    size_t len;
    const char *bytes = make_edition(file, number, &len);
    uint64_t started = now_ns();
    check(hotcold_store(store, file->path, strlen(file->path), bytes, len, &error), "store",
          file->path);
    note_time(&store_times, now_ns() - started);
}

static void delete_file(hotcold_t *store, const file_t *file) {
    check(hotcold_delete(store, file->path, strlen(file->path), &error), "delete", file->path);
}

/* The edition that is in the store. Reports it if it is not whole, or not in `least` to `newest`. */
static uint32_t compare_file(hotcold_t *store, const file_t *file, uint32_t least,
                             uint32_t newest) {
    hotcold_value_t value;
    uint32_t found = PLAIN;
    size_t len;
    uint64_t started = now_ns();
    hotcold_status_t status =
        hotcold_retrieve(store, file->path, strlen(file->path), &value, &error);
    note_time(&retrieve_times, now_ns() - started);
    if (status != HOTCOLD_OK) {
        if (status != HOTCOLD_NOT_FOUND) {
            differs(file->path, error.message);
        } else if (least != ABSENT) {
            differs(file->path, "it was acknowledged, and is gone");
        }
        return ABSENT;
    }
    if (value.len == file->size + sizeof found) {
        memcpy(&found, value.data + file->size, sizeof found);
    }
    const char *bytes = make_edition(file, found, &len);
    if (value.len != len || memcmp(value.data, bytes, len) != 0) {
        differs(file->path, "its bytes are not those of the file");
    } else if (found < least || found > newest) {
        differs(file->path, newest == ABSENT ? "it was deleted, and is there"
                                             : "it is an edition that should not be there");
    }
    hotcold_value_release(&value);
    return found;
}

static void compare_all(hotcold_t *store, const char *name) {
    begin(name);
    for (size_t i = 0; i < file_count; i++) {
        const file_t *file = &files[i];
        hotcold_status_t there =
            hotcold_contains(store, file->path, strlen(file->path), &error);
        if (there != (file->edition == ABSENT ? HOTCOLD_NOT_FOUND : HOTCOLD_OK)) {
            differs(file->path, "contains is wrong about it");
        }
        compare_file(store, file, file->edition, file->edition);
        advance(file->edition == ABSENT ? 0 : file->size);
    }
    show_progress("\n");
}

/* ---- the directory of the store ----------------------------------------------------------- */

static uint64_t disk_bytes;

static int add_size(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)path, (void)walk;
    disk_bytes += type == FTW_F ? (uint64_t)info->st_size : 0;
    return 0;
}

static uint64_t size_on_disk(const char *directory) {
    disk_bytes = 0;
    nftw(directory, add_size, 32, FTW_PHYS);
    return disk_bytes;
}

static int remove_path(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

/* ---- in peace ----------------------------------------------------------------------------- */

static hotcold_t *open_store(const char *directory) {
    hotcold_t *store = NULL;
    check(hotcold_open(directory, NULL, &store, &error), "open", directory);
    return store;
}

static uint64_t hot_hits, cold_hits; /* of all times that the store was open */

static hotcold_stats_t stats_of(hotcold_t *store) {
    hotcold_stats_t stats;
    check(hotcold_stats(store, &stats, sizeof stats, &error), "stats", "");
    return stats;
}

static void close_store(hotcold_t *store, const char *directory) {
    hotcold_stats_t stats = stats_of(store);
    hot_hits += stats.hot_hits;
    cold_hits += stats.cold_hits;
    check(hotcold_close(store, &error), "close", directory);
}

static void print_table(uint64_t store_bytes, const char *directory) {
    uint64_t stored = 0, kept = 0;
    for (size_t i = 0; i < file_count; i++) {
        kept += files[i].edition != ABSENT;
        stored += files[i].edition != ABSENT ? files[i].size : 0;
    }
    uint64_t seen = size_on_disk(directory);
    printf("\n  %-22s %" PRIu64 " in %" PRIu64 " bytes\n", "files", kept, stored);
    printf("  %-22s %" PRIu64 " (the directory's files: %" PRIu64 ")\n", "bytes on disk",
           store_bytes, seen);
    printf("  %-22s %.2f\n", "compression ratio",
           seen > 0 ? (double)stored / (double)seen : 0);
    printf("  %-22s %" PRIu64 "\n", "hot hits", hot_hits);
    printf("  %-22s %" PRIu64 "\n", "cold hits", cold_hits);
    print_times("store", &store_times);
    print_times("retrieve", &retrieve_times);

    /* Files of a few bytes may come and go while we look. */
    uint64_t apart = seen > store_bytes ? seen - store_bytes : store_bytes - seen;
    if (apart > seen / 20 + (1 << 20)) {
        differs("bytes on disk", "the store's own figure is not that of the directory");
    }
}

static void run_in_peace(const char *directory) {
    hotcold_t *store = open_store(directory);
    begin("storing");
    for (size_t i = 0; i < file_count; i++) {
        store_file(store, &files[i], files[i].edition = PLAIN);
        advance(files[i].size);
    }
    show_progress("\n");
    compare_all(store, "comparing");

    close_store(store, directory);
    store = open_store(directory);
    compare_all(store, "comparing, reopened");

    begin("deleting, overwriting");
    for (size_t i = 0; i < file_count; i++) {
        file_t *file = &files[i];
        if (i % 10 == 3) {
            delete_file(store, file);
            file->edition = ABSENT;
            advance(0);
        } else if (i % 10 == 7) {
            store_file(store, file, file->edition = PLAIN + 1);
            advance(file->size);
        }
    }
    show_progress("\n");
    compare_all(store, "comparing, changed");

    close_store(store, directory);
    store = open_store(directory);
    check(hotcold_compact(store, &error), "compact", directory);
    compare_all(store, "comparing, compacted");
    uint64_t store_bytes = stats_of(store).cold_bytes_disk;
    close_store(store, directory);
    print_table(store_bytes, directory);
}

/* ---- with a child that is killed ---------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound) { /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 2685821657736338717u >> 16) % bound;
}

/* The child: stores file after file, for ever, and writes the number of each one that the store has
 * acknowledged. */
static void store_until_killed(const char *directory, size_t first, uint32_t edition, int out) {
    hotcold_t *store = open_store(directory);
    for (size_t i = first;; i = (i + 1) % file_count) {
        uint32_t number = (uint32_t)i;
        store_file(store, &files[i], edition);
        if (write(out, &number, sizeof number) != (ssize_t)sizeof number) {
            _exit(3); /* the parent is gone */
        }
    }
}

/* Notes what the child has reported since the last call, and gives how many stores that were: 0 at
 * the end of the pipe. */
static size_t take_acknowledged(int in, uint32_t edition, size_t *next) {
    uint32_t numbers[1024];
    ssize_t got = read(in, numbers, sizeof numbers); /* whole numbers: a pipe keeps small writes */
    size_t count = got > 0 ? (size_t)got / sizeof *numbers : 0;
    for (size_t i = 0; i < count; i++) {
        files[numbers[i]].edition = edition;
        *next = (numbers[i] + 1) % file_count;
    }
    return count;
}

/* Lets a child store, kills it, and gives the number of stores that it reported. */
static size_t kill_while_storing(const char *directory, uint32_t edition, size_t *next) {
    int ends[2], status = 0;
    size_t count = 0, more;
    if (pipe(ends) != 0) {
        die("pipe: %s", strerror(errno));
    }
    fflush(NULL);
    pid_t child = fork(); /* before the store is opened: it belongs to the process that opens it */
    if (child < 0) {
        die("fork: %s", strerror(errno));
    }
    if (child == 0) {
        close(ends[0]);
        store_until_killed(directory, *next, edition, ends[1]);
    }
    close(ends[1]);

    struct pollfd wait = {ends[0], POLLIN, 0};
    if (edition % 3 != 0) { /* a third of the children may be killed while they open the store */
        poll(&wait, 1, 60000);
    }
    uint64_t end = now_ns() + random_below(400000000); /* within 0.4 s */
    for (uint64_t now = now_ns(); now < end; now = now_ns()) {
        if (poll(&wait, 1, (int)((end - now) / 1000000)) > 0) {
            more = take_acknowledged(ends[0], edition, next);
            if (more == 0) {
                break; /* it ended by itself */
            }
            count += more;
        }
    }
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    while ((more = take_acknowledged(ends[0], edition, next)) > 0) { /* still in the pipe */
        count += more;
    }
    close(ends[0]);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        die("the storing process ended by itself (status %d)", status);
    }
    return count;
}

static void run_with_crashes(const char *directory, unsigned rounds) {
    size_t next = 0;
    hotcold_t *store = open_store(directory);
    for (size_t i = 0; i < file_count; i++) { /* what an earlier run may have left */
        delete_file(store, &files[i]);
    }
    check(hotcold_close(store, &error), "close", directory);

    for (unsigned round = 1; round <= rounds; round++) {
        uint32_t edition = PLAIN + round;
        size_t count = kill_while_storing(directory, edition, &next), there = 0, extra = 0;
        uint64_t started = now_ns();
        store = open_store(directory);
        double opened = (double)(now_ns() - started) / 1e6;
        for (size_t i = 0; i < file_count; i++) {
            file_t *file = &files[i];
            uint32_t found = compare_file(store, file, file->edition, edition);
            if (found == PLAIN) {
                differs(file->path, "its number is missing");
            }
            there += found != ABSENT;
            extra += found > file->edition;
            file->edition = found; /* what was once seen must stay */
        }
        check(hotcold_close(store, &error), "close", directory);
        if (extra > 1) { /* the child stores one at a time */
            differs(directory, "there are more files than were stored");
        }
        printf("round %2u: killed after %5zu stores, opened in %6.1f ms: %5zu of %zu files there%s, "
               "%lu differences\n",
               round, count, opened, there, file_count, extra ? " (one unacknowledged)" : "",
               differences);
        fflush(stdout);
    }
}

/* ---- what was asked for ------------------------------------------------------------------- */

/* Cargo's sources are there where this was built; the C library's headers nearly everywhere. */
static const char *default_source(void) {
    static char path[4096];
    struct stat info;
    const char *cargo = getenv("CARGO_HOME"), *home = getenv("HOME");
    if (cargo) {
        snprintf(path, sizeof path, "%s/registry/src", cargo);
    } else {
        snprintf(path, sizeof path, "%s/.cargo/registry/src", home ? home : "");
    }
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode) ? path : "/usr/include";
}

int main(int argc, char **argv) {
    int crash = 0, at = 1;
    unsigned rounds = 10;
    char fresh[4096] = "";
    random_state = ((uint64_t)time(NULL) << 20) ^ (uint64_t)getpid();

    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--crash") == 0) {
            crash = 1;
        } else if (strcmp(argv[at], "--rounds") == 0 && at + 1 < argc) {
            rounds = (unsigned)strtoul(argv[++at], NULL, 10);
        } else if (strcmp(argv[at], "--seed") == 0 && at + 1 < argc) {
            random_state = strtoull(argv[++at], NULL, 10);
        } else {
            fputs(usage, strcmp(argv[at], "--help") == 0 ? stdout : stderr);
            return strcmp(argv[at], "--help") == 0 ? 0 : 2;
        }
    }
    if (argc - at > 2) {
        fputs(usage, stderr);
        return 2;
    }
    random_state += random_state == 0; /* zero has no successor */
    const char *directory = at < argc && strcmp(argv[at], "-") != 0 ? argv[at] : fresh;
    source = at + 1 < argc ? argv[at + 1] : default_source();
    list_files();
    if (directory == fresh) {
        const char *below = getenv("TMPDIR");
        snprintf(fresh, sizeof fresh, "%s/archive-XXXXXX", below ? below : "/tmp");
        if (!mkdtemp(fresh)) {
            die("cannot make a directory for the store, %s: %s", fresh, strerror(errno));
        }
    }

    if (crash) {
        printf("seed %" PRIu64 "\n", random_state);
        run_with_crashes(directory, rounds);
    } else {
        run_in_peace(directory);
    }
    if (directory == fresh) {
        nftw(fresh, remove_path, 32, FTW_DEPTH | FTW_PHYS);
    }
    printf("%s: %lu differences\n", differences ? "FAILED" : "ok", differences);
    return differences ? 1 : 0;
}
