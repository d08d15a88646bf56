/* What a limit or a file system refuses: the length of files (RLIMIT_FSIZE, without the signal that would end the program),
 * a quota, and file systems without fallocate. The functions below stand in for those of the C library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { VALUE = 4000, KEYS_MAX = 4000 };

static int64_t quota = INT64_MAX; /* bytes that may still be taken; INT64_MAX: as many as there are */
static int without_fallocate;

static pthread_mutex_t charging = PTHREAD_MUTEX_INITIALIZER;

/* What each file has of it: up to where it was written, or room was taken, but for the holes in between. */
typedef struct { ino_t file; int64_t end, bytes; } room_t;
static room_t rooms[1000];

static room_t *room_of(ino_t file) {
    for (unsigned i = 0; i < 1000; i++) {
        if (rooms[i].file == file) return &rooms[i];
        if (rooms[i].file == 0) return rooms[i].file = file, &rooms[i];
    }
    CHECK(!"a file more");
    return NULL;
}

/* Before a call that gives a file room up to `end`: true if there is so much. With `is_cut` it ends there. */
static int is_charged(int fd, int64_t end, int is_cut) {
    struct stat found;
    if (quota == INT64_MAX) return 1;
    CHECK(fstat(fd, &found) == 0);
    pthread_mutex_lock(&charging);
    room_t *room = room_of(found.st_ino);
    int64_t more = is_cut || end > room->end ? end - room->end : 0;
    int is_allowed = more <= 0 || more <= quota;
    if (more < -room->bytes) more = -room->bytes;
    if (is_allowed && (is_cut || end > room->end)) room->end = end, room->bytes += more, quota -= more;
    pthread_mutex_unlock(&charging);
    if (!is_allowed) errno = EDQUOT;
    return is_allowed;
}

/* A hole gives back what the file had there. */
static int punch(int fd, int how, off_t at, off_t len) {
    struct stat before, after;
    CHECK(fstat(fd, &before) == 0);
    int got = (int)syscall(SYS_fallocate, fd, how, at, len);
    CHECK(fstat(fd, &after) == 0);
    if (got != 0 || quota == INT64_MAX) return got;
    pthread_mutex_lock(&charging);
    room_t *room = room_of(before.st_ino);
    int64_t freed = (before.st_blocks - after.st_blocks) * 512;
    if (freed > room->bytes) freed = room->bytes;
    room->bytes -= freed, quota += freed;
    pthread_mutex_unlock(&charging);
    return got;
}

int fallocate(int fd, int how, off_t at, off_t len) {
    if (without_fallocate) return errno = EOPNOTSUPP, -1;
    int is_hole = how & 2;
    if (is_hole) return punch(fd, how, at, len);
    return is_charged(fd, at + len, 0) ? (int)syscall(SYS_fallocate, fd, how, at, len) : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    return is_charged(fd, at + (int64_t)len, 0) ? syscall(SYS_pwrite64, fd, bytes, len, at) : -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return pwrite(fd, bytes, len, at); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    int64_t end = at;
    for (int i = 0; i < count; i++) end += (int64_t)parts[i].iov_len;
    return is_charged(fd, end, 0) ? syscall(SYS_pwritev, fd, parts, count, at, 0) : -1;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return pwritev(fd, parts, count, at); }

int ftruncate(int fd, off_t len) { return is_charged(fd, len, 1) ? (int)syscall(SYS_ftruncate, fd, len) : -1; }
int ftruncate64(int fd, off_t len) { return ftruncate(fd, len); }

int unlinkat(int directory, const char *name, int flags) {
    struct stat found;
    int is_known = fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
    int got = (int)syscall(SYS_unlinkat, directory, name, flags);
    if (got != 0 || !is_known || quota == INT64_MAX) return got;
    pthread_mutex_lock(&charging);
    room_t *room = room_of(found.st_ino);
    quota += room->bytes;
    room->bytes = room->end = 0;
    pthread_mutex_unlock(&charging);
    return got;
}

static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    pause_ms(50); /* the library asks once in a tick */
}

static const void *value_of(unsigned key) {
    static unsigned value[VALUE / sizeof(unsigned)];
    for (unsigned i = 0; i < VALUE / sizeof(unsigned); i++) value[i] = (key + 1) * 2654435761u * (i + 1);
    return value;
}

static hotcold_status_t store_one(hotcold_t *store, unsigned key) {
    return hotcold_store(store, &key, sizeof key, value_of(key), VALUE, &error);
}

static void has_all(hotcold_t *store, unsigned from, unsigned to) {
    for (unsigned key = from; key < to; key++) {
        hotcold_value_t value;
        OK(hotcold_retrieve(store, &key, sizeof key, &value, &error));
        CHECK(value.len == VALUE && memcmp(value.data, value_of(key), VALUE) == 0);
        hotcold_value_release(&value);
    }
}

static hotcold_t *open_cold(const char *path) {
    hotcold_options_t *options = hotcold_options_new();
    hotcold_t *store;
    OK(hotcold_options_set(options, "hot_capacity", "0", &error));
    OK(hotcold_options_set(options, "sync_interval", "0", &error));
    OK(hotcold_options_set(options, "compression", "none", &error));
    OK(hotcold_open(path, options, &store, &error));
    hotcold_options_free(options);
    return store;
}

/* A value that is longer than a file may be is refused, and the program goes on. */
static void long_value(hotcold_t *store, size_t bytes) {
    char *value = calloc(1, bytes);
    GIVES(HOTCOLD_NO_SPACE, hotcold_store(store, "long", 4, value, bytes, &error));
    CHECK(strstr(error.message, "ulimit -f") != NULL);
    free(value);
}

static void files_of_limited_length(void) {
    const char *path = fresh("limited");
    unsigned key;
    limit_files(1 << 20);
    hotcold_t *store = open_cold(path);
    long_value(store, 2 << 20);
    for (key = 0; key < 1000; key++) OK(store_one(store, key));
    has_all(store, 0, 1000);
    OK(hotcold_compact(store, &error));
    OK(hotcold_close(store, &error));
    store = open_cold(path);
    has_all(store, 0, 1000);
    OK(hotcold_clear(store, &error));
    OK(hotcold_close(store, &error));
    limit_files(RLIM_INFINITY);
}

/* The limit comes when the store has longer files. */
static void a_limit_while_it_is_open(void) {
    const char *path = fresh("lowered");
    unsigned key;
    hotcold_t *store = open_cold(path);
    for (key = 0; key < 1000; key++) OK(store_one(store, key));
    OK(hotcold_sync(store, &error)); /* what waits to be written would go behind the end of a long file */
    limit_files(256 << 10);
    for (; key < 1200; key++) OK(store_one(store, key));
    long_value(store, 1 << 20);
    for (unsigned i = 0; i < 1000; i += 2) OK(hotcold_delete(store, &i, sizeof i, &error));
    OK(hotcold_compact(store, &error));
    has_all(store, 1000, 1200);
    OK(hotcold_close(store, &error));
    limit_files(RLIM_INFINITY);
    store = open_cold(path);
    has_all(store, 1000, 1200);
    OK(hotcold_close(store, &error));
}

/* A quota, of which the file system's room says nothing. Room is taken in steps, and any part of one may be left. */
static void used_up_quota(int64_t bytes, unsigned cycles) {
    char name[40];
    snprintf(name, sizeof name, "quota-%d", (int)bytes);
    const char *path = fresh(name);
    unsigned key;
    hotcold_t *store = open_cold(path);
    memset(rooms, 0, sizeof rooms);
    quota = bytes;
    for (unsigned cycle = 0; cycle < cycles; cycle++) {
        hotcold_status_t status = HOTCOLD_OK;
        for (key = 0; key < KEYS_MAX && (status = store_one(store, key)) == HOTCOLD_OK;) key++;
        GIVES(HOTCOLD_NO_SPACE, status);
        CHECK(key > 1000);
        has_all(store, 0, key);
        for (unsigned i = 0; i < key; i++) OK(hotcold_delete(store, &i, sizeof i, &error));
        OK(hotcold_compact(store, &error));
    }
    OK(store_one(store, key));
    OK(hotcold_close(store, &error));
    quota = INT64_MAX;
}

static void used_up_quotas(void) {
    for (int i = 0; i < light(22, 3); i++) used_up_quota((8 << 20) + i * (96 << 10), i == 0 ? 3 : 1);
}

static void no_fallocate(void) {
    const char *path = fresh("without");
    unsigned key;
    without_fallocate = 1;
    hotcold_t *store = open_cold(path);
    for (key = 0; key < 1000; key++) OK(store_one(store, key));
    has_all(store, 0, 1000);
    OK(hotcold_compact(store, &error));
    OK(hotcold_close(store, &error));
    store = open_cold(path);
    has_all(store, 0, 1000);
    OK(hotcold_close(store, &error));
    without_fallocate = 0;
}

int main(int count, char **arguments) {
    /* One of them alone, for whoever wants to see it fail. */
    void (*const all[])(void) = {files_of_limited_length, a_limit_while_it_is_open, used_up_quotas, no_fallocate};
    for (unsigned i = 0; i < 4; i++) {
        if (count < 2 || atoi(arguments[1]) == (int)i) all[i]();
    }
    return 0;
}
