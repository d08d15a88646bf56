/* Each allocation fails in turn, once and from then on: no call ends the process or meets a defect,
 * and one that answers a failure has no effect, now or after the store was opened again.
 *
 * This program has a malloc of its own in front of the C library's, which the shared library uses too.
 * Each run is a process: it opens a copy of a store whose process died, calls everything, and compares
 * with a model. `exhausted BYTES NTH STICKY SCENARIO` is one run, for a debugger; `exhausted 1` lets
 * each of the small ones fail too. */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifdef __GLIBC__
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static int *model; /* the version of each key's value, 0 for none; outlives a process */
static atomic_long *seen; /* allocations that were large enough; outlives a process too */
static atomic_long left = -1; /* allocations that still work; -1: all */
static size_t least = 1;
static int sticky;

/* True if an allocation of so many bytes is to fail. */
static int fails(size_t bytes) {
    if (bytes < least || atomic_load(&left) < 0) {
        return 0;
    }
    atomic_fetch_add(seen, 1);
    long before = atomic_fetch_sub(&left, 1);
    if (before > 0) {
        return 0;
    }
    if (sticky) {
        atomic_store(&left, 0);
    }
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes) { return fails(bytes) ? NULL : __libc_malloc(bytes); }
void *calloc(size_t n, size_t bytes) { return fails(n * bytes) ? NULL : __libc_calloc(n, bytes); }
void *realloc(void *at, size_t bytes) { return fails(bytes) ? NULL : __libc_realloc(at, bytes); }
void *memalign(size_t align, size_t bytes) {
    return fails(bytes) ? NULL : __libc_memalign(align, bytes);
}
void *aligned_alloc(size_t align, size_t bytes) { return memalign(align, bytes); }
int posix_memalign(void **out, size_t align, size_t bytes) {
    void *memory = memalign(align, bytes);
    if (memory) {
        *out = memory;
    }
    return memory ? 0 : 12;
}

enum { NEVER = 4 }; /* the allocation that was to fail was never made */
enum { KEYS = 48, LONG_BYTES = 100 << 10, MIDDLE_BYTES = 9 << 10, SHORT_BYTES = 100 };
enum scenario { THROUGH, BACK, HOT, SCENARIOS };

static hotcold_t *store;
static int failures, verbose;

static size_t bytes_of(int key) {
    return key % 5 == 0 ? LONG_BYTES : key % 5 == 1 ? MIDDLE_BYTES : SHORT_BYTES;
}

static const char *value_of(int key, int version) {
    static char value[LONG_BYTES];
    for (size_t i = 0; i < bytes_of(key); i++) {
        value[i] = (char)(i % 97 + i / 1009 + (size_t)(key * 31 + version));
    }
    return value;
}

static size_t name_of(int key, char *name) { return (size_t)snprintf(name, 16, "key%d", key); }

static void bad(const char *what, int key, int32_t status) {
    fprintf(stderr, "  %s (key %d) gave %s: %s\n", what, key, hotcold_status_name(status),
            error.message);
    _exit(3);
}

/* True if the call did what it was to do; a failure is one of memory. */
static int did(const char *what, int key, int32_t status) {
    if (status < 0 && status != HOTCOLD_OUT_OF_MEMORY) {
        bad(what, key, status);
    }
    if (status < 0 && verbose) {
        fprintf(stderr, "%s (key %d): %s\n", what, key, error.message);
    }
    failures += status < 0;
    return status == HOTCOLD_OK;
}

/* The key has what the model says, or there was no memory to tell. */
static void look(const char *when, int key) {
    char name[16];
    hotcold_value_t value;
    int32_t status = hotcold_retrieve(store, name, name_of(key, name), &value, &error);
    if (did(when, key, status)) {
        const size_t bytes = bytes_of(key);
        if (!model[key] || value.len != bytes ||
            memcmp(value.data, value_of(key, model[key]), bytes) != 0) {
            snprintf(error.message, sizeof error.message, "not version %d", model[key]);
            bad(when, key, status);
        }
    } else if (status == HOTCOLD_NOT_FOUND && model[key]) {
        bad(when, key, status);
    }
    hotcold_value_release(&value);
}

static void put_key(int key, int version) {
    char name[16];
    size_t len = name_of(key, name);
    if (did("store", key,
            hotcold_store(store, name, len, value_of(key, version), bytes_of(key), &error))) {
        model[key] = version;
    }
    look("retrieve what was stored", key);
}

static void replace(int key, int version) {
    char name[16];
    size_t len = name_of(key, name);
    hotcold_value_t value;
    hotcold_store_options_t o = {.flags = HOTCOLD_STORE_IF_VERSION};
    if (did("retrieve_with", key,
            hotcold_retrieve_with(store, name, len, HOTCOLD_RETRIEVE_NO_PROMOTE, &value, &error))) {
        o.if_version = value.version;
        if (did("store_with", key,
                hotcold_store_with(store, name, len, value_of(key, version), bytes_of(key), &o,
                                   sizeof o, NULL, &error))) {
            model[key] = version;
        }
    }
    hotcold_value_release(&value);
    look("retrieve what was replaced", key);
}

static void delete_key(int key) {
    char name[16];
    int32_t status = hotcold_delete(store, name, name_of(key, name), &error);
    if (did("delete", key, status) || status == HOTCOLD_NOT_FOUND) {
        model[key] = 0;
    }
    look("retrieve what was deleted", key);
}

static void write_batch(int version) {
    static const int stored[] = {31, 1, 32, 33, 34, 36, 37};
    static const int deleted[] = {3, 8};
    hotcold_batch_t *b = hotcold_batch_new();
    char name[16];
    int all = b != NULL;
    for (size_t i = 0; all && i < sizeof stored / sizeof *stored; i++) {
        size_t len = name_of(stored[i], name);
        all = did("batch_store", stored[i],
                  hotcold_batch_store(b, name, len, value_of(stored[i], version),
                                      bytes_of(stored[i]), NULL, 0, &error));
    }
    for (size_t i = 0; all && i < sizeof deleted / sizeof *deleted; i++) {
        size_t len = name_of(deleted[i], name);
        all = did("batch_delete", deleted[i], hotcold_batch_delete(b, name, len, &error));
    }
    if (all && did("write", 0, hotcold_write(store, b, 0, &error))) {
        for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
            model[stored[i]] = version;
        }
        model[3] = model[8] = 0;
    }
    hotcold_batch_free(b);
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
        look("retrieve what was written", stored[i]);
    }
    look("retrieve what was written", 3);
}

static int32_t load(void *user_data, const void *key, size_t key_len, hotcold_loaded_t *out) {
    (void)key, (void)key_len;
    const int *what = user_data;
    int32_t status = hotcold_loaded_set(out, value_of(what[0], what[1]), bytes_of(what[0]), 0, NULL);
    return status == HOTCOLD_OK ? 0 : 77;
}

static void load_key(int key, int version) {
    char name[16];
    int what[] = {key, version};
    hotcold_value_t value;
    int32_t status =
        hotcold_retrieve_or_load(store, name, name_of(key, name), load, what, &value, &error);
    if (status == HOTCOLD_CALLBACK_FAILED) {
        failures++;
    } else if (did("retrieve_or_load", key, status)) {
        model[key] = version;
    }
    hotcold_value_release(&value);
    look("retrieve what was loaded", key);
}

static void walk(void) {
    hotcold_cursor_t *c;
    hotcold_slice_t key;
    int count = 0, lives = 0, tries = 0;
    if (!did("cursor_open", 0, hotcold_cursor_open(store, "key", 3, &c, &error))) {
        return;
    }
    for (;;) {
        int32_t status = hotcold_cursor_next(c, &key, &error);
        if (status == HOTCOLD_OK) {
            count++;
            hotcold_value_t value;
            did("cursor_value", 0, hotcold_cursor_value(c, &value, &error));
            hotcold_value_release(&value);
        } else if (did("cursor_next", 0, status) || status == HOTCOLD_END || tries++ > 3) {
            break;
        }
    }
    hotcold_cursor_close(c);
    for (int i = 0; i < KEYS; i++) {
        lives += model[i] != 0;
    }
    if (tries == 0 ? count != lives : count > lives) {
        snprintf(error.message, sizeof error.message, "%d keys, not %d", count, lives);
        bad("cursor", 0, HOTCOLD_OK);
    }
}

static void demote(void) {
    did("optimize_hot", 0, hotcold_optimize_hot(store, 0, NULL, &error));
}

static void call_all(const char *path, enum scenario scenario) {
    char copy[4300];
    hotcold_value_t text;
    uint64_t records, damaged = 0;
    hotcold_event_queue_t *queue;
    const hotcold_event_t *event;
    if (did("event_queue_open", 0,
            hotcold_event_queue_open(store, HOTCOLD_EVENT_ALL, 4, &queue, &error))) {
        put_key(30, 2);
        int32_t status = hotcold_event_queue_next(queue, 0, &event, &error);
        CHECK(status == HOTCOLD_OK || status == HOTCOLD_OUT_OF_MEMORY || status > 0);
    }
    hotcold_event_queue_close(queue);
    put_key(0, 2);
    replace(2, 2);
    write_batch(3);
    delete_key(4);
    load_key(41, 4);
    if (scenario != HOT) {
        demote();
    }
    look("retrieve (cold)", 5);
    look("retrieve (cold)", 6);
    look("retrieve (cold)", 7);
    walk();
    did("sync", 0, hotcold_sync(store, &error));
    did("stats_text", 0, hotcold_stats_text(store, HOTCOLD_STATS_PROMETHEUS, &text, &error));
    hotcold_value_release(&text);
    if (scenario != HOT) {
        snprintf(copy, sizeof copy, "%s.copy", path);
        did("backup", 0, hotcold_backup(store, copy, &error));
        did("verify", 0, hotcold_verify(store, &records, &damaged, &error));
        CHECK(damaged == 0);
    }
}

static void call_rest(enum scenario scenario) {
    if (scenario != HOT) {
        did("compact", 0, hotcold_compact(store, &error));
        demote();
    }
    look("retrieve (compressed)", 10);
    look("retrieve (compressed)", 11);
    put_key(12, 5);
    delete_key(13);
    put_key(40, 5);
    if (did("clear", 0, hotcold_clear(store, &error))) {
        memset(model, 0, KEYS * sizeof *model);
    }
    put_key(1, 6);
    write_batch(7);
}

/* All keys, with memory again. */
static void check_all(const char *when) {
    failures = 0;
    for (int key = 0; key < KEYS; key++) {
        look(when, key);
    }
    walk();
    if (failures) {
        bad(when, -1, HOTCOLD_OUT_OF_MEMORY);
    }
}

static void copy_files(const char *from, const char *to) {
    char source[4700], target[4700];
    static char bytes[1 << 16];
    DIR *all = opendir(from);
    CHECK(all && mkdir(to, 0700) == 0);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        int in = open(source, O_RDONLY);
        struct stat info;
        CHECK(in >= 0 && fstat(in, &info) == 0);
        if (S_ISREG(info.st_mode)) {
            int out = open(target, O_WRONLY | O_CREAT | O_EXCL, 0600);
            for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;) {
                CHECK(write(out, bytes, (size_t)n) == n);
            }
            close(out);
        }
        close(in);
    }
    closedir(all);
}

/* What a process that died has left. */
static void check_after_kill(const char *path, hotcold_options_t *o) {
    OK(hotcold_open(path, o, &store, &error));
    check_all("retrieve after a kill");
    OK(hotcold_close(store, &error));
}

static void set(hotcold_options_t *o, const char *name, const char *value) {
    CHECK(hotcold_options_set(o, name, value, &error) == HOTCOLD_OK);
}

static hotcold_options_t *options_of(enum scenario scenario) {
    hotcold_options_t *o = hotcold_options_new();
    set(o, "hot_capacity", "2MiB");
    set(o, "warm_start", scenario == HOT ? "false" : "true");
    if (scenario == BACK) {
        set(o, "write_mode", "back");
    }
    return o;
}

static void seed(void) {
    for (int key = 0; key < 30; key++) {
        put_key(key, 1);
    }
    delete_key(9);
}

/* A store whose process died, with a checkpoint, and more behind that. */
static void make_template(const char *path) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        hotcold_options_t *o = options_of(THROUGH);
        OK(hotcold_open(path, o, &store, &error));
        seed();
        OK(hotcold_close(store, &error));
        OK(hotcold_open(path, o, &store, &error));
        for (int i = 0; i < 600; i++) { /* close enough after each other to be staged */
            char name[16];
            OK(hotcold_store(store, name, name_of(14, name), value_of(14, 1), bytes_of(14), &error));
        }
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, NULL, 0) == child);
}

/* Runs what is between without a failure. */
static long with_memory(void) { return atomic_exchange(&left, -1); }
static void go_on(long was) { atomic_store(&left, was); }

/* Opens, calls, closes, and opens again to see what is left; 0 if more cannot be said. Or dies where
 * it would close. */
static int act(const char *where, hotcold_options_t *o, enum scenario scenario, int clears,
               int check_before, int kills) {
    for (int tries = 0; tries < 3 && !store; tries++) {
        did("open", 0, hotcold_open(where, o, &store, &error));
    }
    if (!store) {
        with_memory();
        OK(hotcold_open(where, o, &store, &error));
    }
    if (scenario == HOT) {
        memset(model, 0, KEYS * sizeof *model);
        seed();
    }
    if (clears) {
        call_rest(scenario);
    } else {
        call_all(where ? where : "", scenario);
    }
    if (check_before) {
        const long was = with_memory();
        check_all("retrieve with memory again");
        go_on(was);
    }
    if (kills) {
        kill(getpid(), SIGKILL);
    }
    int32_t closed = hotcold_close(store, &error);
    store = NULL;
    if (closed != HOTCOLD_OK && closed != HOTCOLD_OUT_OF_MEMORY) {
        bad("close", 0, closed);
    }
    /* What was only in hot may be lost where closing failed, as it says. */
    if (scenario == HOT || (closed != HOTCOLD_OK && scenario == BACK)) {
        return scenario == HOT;
    }
    const long was = with_memory();
    OK(hotcold_open(where, o, &store, &error));
    check_all("retrieve after opening again");
    OK(hotcold_close(store, &error));
    store = NULL;
    go_on(was);
    return 1;
}

/* One run; 0 if the allocation that was to fail was never made. */
static int run(const char *template, const char *path, long nth, enum scenario scenario) {
    hotcold_options_t *o = options_of(scenario);
    const char *where = scenario == HOT ? NULL : path;
    if (where) {
        copy_files(template, path);
        for (int key = 0; key < 30; key++) {
            model[key] = key != 9;
        }
    }
    go_on(nth - 1);
    const int kills = scenario == THROUGH ? (int)(nth % 4) : 0;
    if (act(where, o, scenario, 0, nth / 4 % 2, kills == 1)) {
        act(where, o, scenario, 1, nth / 8 % 2, kills == 3);
    }
    with_memory();
    hotcold_options_free(o);
    return atomic_load(seen) >= nth;
}

/* One run in a process of its own; what waitpid says of it, or of what looked at its remains. */
static int run_apart(const char *template, const char *path, long nth, enum scenario scenario) {
    int status = 0;
    for (int turn = 0; turn < 2; turn++) {
        fflush(stdout);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            if (turn) {
                check_after_kill(path, options_of(scenario));
                _exit(atomic_load(seen) >= nth ? 0 : NEVER);
            }
            _exit(run(template, path, nth, scenario) ? 0 : NEVER);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
            break;
        }
    }
    return status;
}

static void remove_all(const char *path) {
    char copy[4400];
    nftw(path, check_remove_path, 16, FTW_DEPTH | FTW_PHYS);
    snprintf(copy, sizeof copy, "%s.copy", path);
    nftw(copy, check_remove_path, 16, FTW_DEPTH | FTW_PHYS);
}

/* Every allocation of a scenario in turn; how many runs went wrong. */
static int try_all(const char *template, enum scenario scenario, long stride, int *runs) {
    char path[4300];
    int wrong = 0, status = 0;
    for (long nth = 1 + (sticky + scenario) % stride; wrong < 10; nth += stride) {
        snprintf(path, sizeof path, "%s.%d", template, ++*runs);
        memset(model, 0, KEYS * sizeof *model);
        atomic_store(seen, 0);
        status = run_apart(template, path, nth, scenario);
        remove_all(path);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NEVER) {
            break;
        }
        if (status) {
            fprintf(stderr, "exhausted %zu %ld %d %d: %s %d\n", least, nth, sticky, scenario,
                    WIFSIGNALED(status) ? "killed by" : "ended with",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            wrong++;
        }
    }
    return wrong;
}

int main(int argc, char **argv) {
    const char *template = strdup(fresh("template"));
    const int shared = PROT_READ | PROT_WRITE;
    void *memory = mmap(NULL, 4096, shared, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    seen = memory;
    model = (int *)memory + 16;
    make_template(template);
    if (argc > 4) {
        least = (size_t)atol(argv[1]), sticky = atoi(argv[3]), verbose = 1;
        return run(template, fresh("run"), atol(argv[2]), (enum scenario)atoi(argv[4])) ? 0 : NEVER;
    }
    /* Not each in every run of the tests, and of the many small ones fewer still; 1: each. */
    const long stride = argc > 1 ? atol(argv[1]) : 97;
    int runs = 0, wrong = 0;
    for (sticky = 0; sticky < 2; sticky++) {
        for (int scenario = 0; scenario < SCENARIOS; scenario++) {
            least = 4096;
            wrong += try_all(template, (enum scenario)scenario, argc > 1 ? 1 : 3, &runs);
            least = 1;
            wrong += try_all(template, (enum scenario)scenario, stride, &runs);
        }
    }
    printf("%d runs, %d of them wrong\n", runs, wrong);
    return wrong != 0;
}
#else
int main(void) { return 0; }
#endif
