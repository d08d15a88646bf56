/* The mapped file of a store that stores fast: no other process can kill the program by cutting it,
 * and what was acknowledged is in the store whatever becomes of it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH */
#endif
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { KEYS = 5000, VALUE = 100, WAYS = 9 };

/* What writer and test share. */
static struct {
    volatile uint64_t acknowledged;
    volatile int is_idle;  /* the writer pauses */
    volatile int is_asked; /* it shall */
} *shared;

static char path[4300], stage[4400];

static void name_of(char *name, uint64_t key) {
    memset(name, 0, 24);
    snprintf(name, 24, "key%" PRIu64, key);
}

/* The value says how many were stored before. */
static void store_next(hotcold_t *s) {
    char name[24], value[VALUE] = {0};
    uint64_t count = shared->acknowledged;
    name_of(name, count % KEYS);
    snprintf(value, sizeof value, "%" PRIu64, count);
    OK(hotcold_store(s, name, strlen(name), value, sizeof value, &error));
    shared->acknowledged = count + 1;
    if (count % 64 == 0) pause_ms(1); /* still a load, but the disk does not fill up */
}

/* Stores until it is killed. */
static void write_on(void) {
    hotcold_t *s = OPEN(path, "hot_capacity", "1MiB");
    for (;;) {
        store_next(s);
        while (shared->is_asked) {
            shared->is_idle = 1;
            pause_ms(1);
        }
        shared->is_idle = 0;
    }
}

static pid_t start(void (*work)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        work();
        _exit(0);
    }
    return child;
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits until there is a stage, or a second passes without. */
static int has_stage(void) {
    for (int i = 0; i < light(3000, 30000); i++) {
        if (access(stage, F_OK) == 0) return 1;
        pause_ms(1);
    }
    return 0;
}

/* Waits until so many are acknowledged; no signal may end the writer meanwhile. */
static void await_stores(pid_t writer, uint64_t count) {
    int status;
    while (shared->acknowledged < count) {
        CHECK(waitpid(writer, &status, WNOHANG) == 0);
        pause_ms(1);
    }
}

/* Cuts, or reads, the file by one way; 0 if it was not there any more. */
static int attack(int way) {
    static const int flags[WAYS] = {[1] = O_WRONLY | O_TRUNC,
                                    [2] = O_RDWR | O_TRUNC,
                                    [3] = O_RDWR,
                                    [4] = O_WRONLY,
                                    [5] = O_RDONLY,
                                    [6] = O_PATH,
                                    [7] = O_RDWR | O_TRUNC | O_NONBLOCK,
                                    [8] = O_RDONLY | O_NONBLOCK};
    char link[64];
    int fd, done = 1;
    if (way == 0) return truncate(stage, 0) == 0;
    fd = open(stage, flags[way]);
    if (fd < 0) return errno == EWOULDBLOCK;
    if (way == 3 || way == 4) CHECK(ftruncate(fd, 0) == 0);
    if (way == 6) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        done = truncate(link, 0) == 0;
    }
    CHECK(close(fd) == 0);
    return done;
}

/* Opens the store: each key has the value that was acknowledged last, or the one that was on its way. */
static void check_all(void) {
    hotcold_t *s = OPEN(path, NULL);
    hotcold_value_t found;
    char name[24];
    uint64_t count = shared->acknowledged;
    for (uint64_t key = 0; key < KEYS && key < count; key++) {
        uint64_t last = key + (count - 1 - key) / KEYS * KEYS;
        name_of(name, key);
        OK(hotcold_retrieve(s, name, strlen(name), &found, &error));
        uint64_t has = strtoull((const char *)found.data, NULL, 10);
        CHECK(found.len == VALUE && (has == last || (has == count && has % KEYS == key)));
        hotcold_value_release(&found);
    }
    OK(hotcold_close(s, &error));
    CHECK(access(stage, F_OK) != 0);
}

static void end(pid_t writer) {
    int status;
    CHECK(waitpid(writer, &status, WNOHANG) == 0); /* no signal has ended it */
    CHECK(kill(writer, SIGKILL) == 0);
    CHECK(waitpid(writer, &status, 0) == writer);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void fresh_store(const char *name) {
    snprintf(path, sizeof path, "%s", fresh(name));
    snprintf(stage, sizeof stage, "%s/STAGE", path);
    memset(shared, 0, sizeof *shared);
}

/* While stores come, and while none comes. */
static void cut_in_every_way(int is_idle) {
    fresh_store(is_idle ? "idle" : "busy");
    pid_t writer = start(write_on);
    for (int round = 0; round < light(WAYS, 3); round++) {
        if (!has_stage()) {
            puts("no stage: this file system has no leases, or this kernel no MADV_POPULATE_WRITE");
            break;
        }
        if (is_idle) {
            shared->is_asked = 1;
            while (!shared->is_idle) pause_ms(1);
        }
        uint64_t before = shared->acknowledged, started = now_ms();
        attack(round % WAYS);
        /* Whoever reads the directory is not held up: the kernel would wait for 45 seconds. */
        CHECK(now_ms() - started < 10000);
        shared->is_asked = 0;
        await_stores(writer, before + 600);
    }
    end(writer);
    check_all();
}

/* A child of the writer goes on when the writer is killed; the file is not held by it. */
static void fork_and_write(void) {
    CHECK(setpgid(0, 0) == 0);
    hotcold_t *s = OPEN(path, NULL);
    while (access(stage, F_OK) != 0 && shared->acknowledged < 5000) store_next(s);
    if (fork() == 0) {
        int fd = open("/dev/null", O_RDONLY); /* where the parent has the file, perhaps */
        CHECK(fd >= 0);
        for (int i = 0; i < 60; i++) pause_ms(1000);
        _exit(0);
    }
    for (;;) store_next(s);
}

static void killed_with_a_child(void) {
    fresh_store("child");
    pid_t writer = start(fork_and_write);
    await_stores(writer, 6000);
    end(writer);
    uint64_t started = now_ms();
    check_all();
    CHECK(now_ms() - started < 15000);
    kill(-writer, SIGKILL);
}

/* Stopped for longer than the kernel lets others wait, which takes the lease away then. */
static void stopped_for_long(void) {
    FILE *file = fopen("/proc/sys/fs/lease-break-time", "r");
    int seconds = 45;
    if (file != NULL) {
        if (fscanf(file, "%d", &seconds) != 1) seconds = 45;
        fclose(file);
    }
    if (seconds > 5 && getenv("HOTCOLD_LONG") == NULL) return;
    fresh_store("stopped");
    pid_t writer = start(write_on);
    CHECK(has_stage());
    CHECK(kill(writer, SIGSTOP) == 0);
    CHECK(truncate(stage, 0) == 0);
    uint64_t before = shared->acknowledged;
    CHECK(kill(writer, SIGCONT) == 0);
    await_stores(writer, before + 5000);
    end(writer);
    check_all();
}

int main(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    cut_in_every_way(0);
    cut_in_every_way(1);
    killed_with_a_child();
    stopped_for_long();
    return 0;
}
