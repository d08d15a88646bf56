/* What every test here uses. A test is a main() that returns 0; the first check that fails ends it
 * with 1 and says where. Each has a directory of its own, which is removed at the end. */
#ifndef CHECK_H
#define CHECK_H
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include <hotcold.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static hotcold_error_t error; /* given to every call */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The call must give `want`, and leave in `error` what goes with it. */
#define GIVES(want, call) gives(__FILE__, __LINE__, #call, want, (call))
#define OK(call) GIVES(HOTCOLD_OK, call)

static inline void gives(const char *file, int line, const char *call, int32_t want, int32_t got) {
    if (got != want) {
        fprintf(stderr, "%s:%d: %s\n  gave %s, not %s: %s\n", file, line, call,
                hotcold_status_name(got), hotcold_status_name(want), error.message);
        exit(1);
    }
    if (got < 0 ? error.status != got || error.message[0] == 0 : error.status != HOTCOLD_OK) {
        fprintf(stderr, "%s:%d: %s\n  gave %s, but error has %s: %s\n", file, line, call,
                hotcold_status_name(got), hotcold_status_name(error.status), error.message);
        exit(1);
    }
}

static inline int check_remove_path(const char *path, const struct stat *info, int type,
                                    struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static char check_root[4096];
static pid_t check_owner;

static inline void check_remove_root(void) {
    if (getpid() == check_owner) { /* not in a forked child */
        nftw(check_root, check_remove_path, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* A path `name` in this run's own directory; nothing is there yet. */
static inline const char *fresh(const char *name) {
    static char paths[8][4200];
    static int next;
    if (check_root[0] == 0) {
        const char *below = getenv("TMPDIR");
        snprintf(check_root, sizeof check_root, "%s/hotcold-test-XXXXXX", below ? below : "/tmp");
        CHECK(mkdtemp(check_root) != NULL);
        check_owner = getpid();
        atexit(check_remove_root);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", check_root, name);
    return path;
}

/* Under valgrind, which is some thirty times slower, tests that repeat do it less often. */
static inline int light(int full, int reduced) { return getenv("HOTCOLD_LIGHT") ? reduced : full; }

static inline void pause_ms(long ms) {
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

/* Opens with options given as name, value, name, value, NULL. */
static inline hotcold_t *open_with(const char *path, const char *const *options) {
    hotcold_options_t *o = hotcold_options_new();
    hotcold_t *s = NULL;
    for (; options && options[0]; options += 2) {
        OK(hotcold_options_set(o, options[0], options[1], &error));
    }
    OK(hotcold_open(path, o, &s, &error));
    CHECK(s != NULL);
    hotcold_options_free(o);
    return s;
}
#define OPEN(path, ...) open_with(path, (const char *const[]){__VA_ARGS__, NULL, NULL})

static inline void put(hotcold_t *s, const char *key, const char *value) {
    OK(hotcold_store(s, key, strlen(key), value, strlen(value), &error));
}

/* Retrieve must give `want`; NULL: NOT_FOUND. */
#define HAS(s, key, want) has(__FILE__, __LINE__, s, key, want)
static inline void has(const char *file, int line, hotcold_t *s, const char *key,
                       const char *want) {
    hotcold_value_t value;
    gives(file, line, key, want ? HOTCOLD_OK : HOTCOLD_NOT_FOUND,
          hotcold_retrieve(s, key, strlen(key), &value, &error));
    if (want && (value.len != strlen(want) || memcmp(value.data, want, value.len) != 0)) {
        fprintf(stderr, "%s:%d: %s is '%.*s', not '%s'\n", file, line, key, (int)value.len,
                (const char *)value.data, want);
        exit(1);
    }
    hotcold_value_release(&value);
}

static inline hotcold_stats_t stats_of(hotcold_t *s) {
    hotcold_stats_t stats;
    OK(hotcold_stats(s, &stats, sizeof stats, &error));
    return stats;
}

/* An output before a call: to see that the call wrote it. */
static inline hotcold_value_t garbage(void) {
    hotcold_value_t value;
    memset(&value, 0x5A, sizeof value);
    return value;
}

static inline int is_empty(const hotcold_value_t *value) {
    static const hotcold_value_t empty; /* no padding: bytes can be compared */
    return memcmp(value, &empty, sizeof empty) == 0;
}
#endif
