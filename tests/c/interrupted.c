/* Signals interrupt calls to the system, as FUSE, NFS and Lustre let them: each kind of call is made
 * again, also where it had been done all the same, and not without end. The functions below stand in
 * for those of the C library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { BEFORE = 1, AFTER = 2, FOR_EVER = 3, KEYS = 40, VALUE = 70000 };

static const char *const calls[] = {"openat",   "renameat",  "unlinkat", "mkdir",    "fsync",
                                    "fdatasync", "ftruncate", "fallocate", "fstat",    "fstatat",
                                    "fstatfs",  "readdir",   "flock",    "pread",    "pwrite",
                                    "pwritev"};
enum { CALLS = sizeof calls / sizeof calls[0], READDIR = 11 };

static const char *target; /* the call that is interrupted */
static volatile int mode;
static volatile unsigned made;

/* True if this call of `name` is to be interrupted in that way: two of three are. */
static int is_hit(const char *name, int when) {
    if (!target || strcmp(name, target) != 0) return 0;
    if (mode == FOR_EVER) return when == BEFORE;
    return mode == when && made++ % 3 != 2;
}

static int interrupted(void) {
    errno = EINTR;
    return -1;
}

#define STAND_IN(name, real)                                                                       \
    do {                                                                                           \
        if (is_hit(name, BEFORE)) return interrupted();                                            \
        long got = (real);                                                                         \
        if (got >= 0 && is_hit(name, AFTER)) return interrupted();                                 \
        return got;                                                                                \
    } while (0)

int openat(int directory, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int access = va_arg(rest, int);
    va_end(rest);
    if (is_hit("openat", BEFORE)) return interrupted();
    int fd = (int)syscall(SYS_openat, directory, name, flags, access);
    if (fd >= 0 && is_hit("openat", AFTER)) {
        close(fd);
        return interrupted();
    }
    return fd;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    STAND_IN("renameat", syscall(SYS_renameat2, from_dir, from, to_dir, to, 0));
}

int unlinkat(int directory, const char *name, int flags) {
    STAND_IN("unlinkat", syscall(SYS_unlinkat, directory, name, flags));
}

int mkdir(const char *path, mode_t access) {
    STAND_IN("mkdir", syscall(SYS_mkdirat, AT_FDCWD, path, access));
}

int fsync(int fd) { STAND_IN("fsync", syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { STAND_IN("fdatasync", syscall(SYS_fdatasync, fd)); }
int ftruncate(int fd, off_t len) { STAND_IN("ftruncate", syscall(SYS_ftruncate, fd, len)); }
int ftruncate64(int fd, off_t len) { STAND_IN("ftruncate", syscall(SYS_ftruncate, fd, len)); }
int flock(int fd, int operation) { STAND_IN("flock", syscall(SYS_flock, fd, operation)); }

int fallocate(int fd, int how, off_t at, off_t len) {
    STAND_IN("fallocate", syscall(SYS_fallocate, fd, how, at, len));
}

struct statfs;

int fstat(int fd, struct stat *to) {
    STAND_IN("fstat", syscall(SYS_newfstatat, fd, "", to, AT_EMPTY_PATH));
}

int fstatat(int directory, const char *name, struct stat *to, int flags) {
    STAND_IN("fstatat", syscall(SYS_newfstatat, directory, name, to, flags));
}

int fstatfs(int fd, struct statfs *to) { STAND_IN("fstatfs", syscall(SYS_fstatfs, fd, to)); }

struct dirent *readdir(DIR *stream) {
    static struct dirent *(*real)(DIR *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "readdir");
    if (is_hit("readdir", BEFORE)) {
        interrupted();
        return NULL;
    }
    return real(stream);
}

ssize_t pread(int fd, void *to, size_t len, off_t at) {
    STAND_IN("pread", syscall(SYS_pread64, fd, to, len, at));
}

ssize_t pread64(int fd, void *to, size_t len, off_t at) {
    STAND_IN("pread", syscall(SYS_pread64, fd, to, len, at));
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
    STAND_IN("pwrite", syscall(SYS_pwrite64, fd, from, len, at));
}

ssize_t pwrite64(int fd, const void *from, size_t len, off_t at) {
    STAND_IN("pwrite", syscall(SYS_pwrite64, fd, from, len, at));
}

ssize_t pwritev(int fd, const struct iovec *from, int count, off_t at) {
    STAND_IN("pwritev", syscall(SYS_pwritev, fd, from, count, at, 0));
}

static char value[VALUE];

static void store_all(hotcold_t *s, int round) {
    memset(value, 'a' + round, sizeof value);
    for (int key = 0; key < KEYS; key++) {
        OK(hotcold_store(s, &key, sizeof key, value, sizeof value, &error));
    }
}

static void check_all(hotcold_t *s, int round) {
    for (int key = 0; key < KEYS; key++) {
        hotcold_value_t found;
        OK(hotcold_retrieve(s, &key, sizeof key, &found, &error));
        CHECK(found.len == VALUE && ((const char *)found.data)[VALUE - 1] == 'a' + round);
        hotcold_value_release(&found);
    }
}

/* Everything that touches the directory, three times. */
static void everything_works(const char *path) {
    for (int round = 0; round < 3; round++) {
        char copy[4400];
        hotcold_t *s = OPEN(path, "cold_capacity", "64MiB", "warm_start", "true");
        if (round > 0) check_all(s, round - 1);
        store_all(s, round);
        OK(hotcold_sync(s, &error));
        OK(hotcold_optimize_hot(s, 0, NULL, &error));
        check_all(s, round);
        OK(hotcold_compact(s, &error));
        snprintf(copy, sizeof copy, "%s.copy%d", path, round);
        OK(hotcold_backup(s, copy, &error));
        OK(hotcold_close(s, &error));
        s = OPEN(copy, "read_only", "true");
        check_all(s, round);
        OK(hotcold_close(s, &error));
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Opening, storing and closing end, whatever they answer; what was acknowledged is there. */
static void everything_ends(const char *path) {
    hotcold_t *s = NULL;
    double start = seconds();
    int is_open = hotcold_open(path, NULL, &s, &error) == HOTCOLD_OK;
    CHECK(is_open || (error.status == HOTCOLD_IO && strlen(error.message) > 0));
    if (is_open) hotcold_close(s, &error);
    CHECK(seconds() - start < 30);

    mode = 0;
    s = OPEN(path, "durability", "sync");
    put(s, "before", "x");
    mode = FOR_EVER;
    start = seconds();
    int is_stored = hotcold_store(s, "k", 1, value, sizeof value, &error) == HOTCOLD_OK;
    hotcold_close(s, &error);
    CHECK(seconds() - start < 30);

    mode = 0;
    s = OPEN(path, NULL, NULL);
    HAS(s, "before", "x");
    CHECK(!is_stored || hotcold_contains(s, "k", 1, &error) == HOTCOLD_OK);
    OK(hotcold_close(s, &error));
}

static void of_each_kind(int how) {
    pid_t children[CALLS];
    char path[4300];
    for (int i = 0; i < CALLS; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s-%d", calls[i], how);
        snprintf(path, sizeof path, "%s", fresh(name));
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) {
            target = calls[i];
            mode = how;
            how == FOR_EVER ? everything_ends(path) : everything_works(path);
            /* Its turn has come, or the test tests nothing. */
            CHECK(how == FOR_EVER || made > 0 || (how == AFTER && i == READDIR));
            _exit(0);
        }
    }
    for (int i = 0; i < CALLS; i++) {
        int status = -1;
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        if (status != 0) fprintf(stderr, "%s, way %d\n", calls[i], how);
        CHECK(status == 0);
    }
}

int main(void) {
    of_each_kind(BEFORE);
    of_each_kind(AFTER);
    of_each_kind(FOR_EVER);
    return 0;
}
