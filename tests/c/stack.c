/* Every call needs less than 16 KiB of stack: threads of 32 KiB exist. Opening after a crash needs most
 * (13 KiB), then opening (11 KiB), then decompressing with a state that has to be made (9 KiB). So the
 * counters and the hot shards are made where they stay, and not moved there. */
#define _DEFAULT_SOURCE
#include "every.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { STACK_BYTES = 512 << 10, BOUND = 16 << 10, PAINT = 0xA5 };

struct run {
    const struct every_call *call;
    struct every *every;
    unsigned char *stack;
    int32_t status;
    size_t used;
};

static void *on_thread(void *argument) {
    struct run *run = argument;
    volatile unsigned char here = 0;
    /* Below the frame of this function nothing has been used but by what it calls. */
    size_t from = (size_t)((unsigned char *)&here - run->stack);
    memset(run->stack, PAINT, from - 512);
    run->status = run->call->run(run->every);
    size_t lowest = 0;
    while (lowest < from && run->stack[lowest] == PAINT) {
        lowest++;
    }
    run->used = from - lowest;
    return NULL;
}

/* Runs a call on a thread of its own, whose stack ends with a page that cannot be touched. */
static size_t measure(const struct every_call *call, struct every *every) {
    static size_t worst;
    const size_t page = 4096;
    unsigned char *all = mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED && mprotect(all, page, PROT_NONE) == 0);
    struct run run = {.call = call, .every = every, .stack = all + page};
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstack(&attributes, run.stack, STACK_BYTES) == 0);
    CHECK(pthread_create(&thread, &attributes, on_thread, &run) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    munmap(all, STACK_BYTES + page);
    printf("%-28s %6zu bytes\n", call->name, run.used);
    error = every->error;
    gives(__FILE__, __LINE__, call->name, HOTCOLD_OK, run.status);
    return worst = run.used > worst ? run.used : worst;
}

static int32_t open_again(struct every *e) {
    return hotcold_open(e->path, NULL, &e->s, &e->error);
}

static int32_t close_it(struct every *e) { return hotcold_close(e->s, &e->error); }

static int32_t fail_to_open(struct every *e) {
    hotcold_t *s;
    return hotcold_open(e->path, NULL, &s, &e->error) == HOTCOLD_LOCKED
               ? (e->error.status = HOTCOLD_OK)
               : HOTCOLD_INTERNAL;
}

/* A process that dies leaves a log to walk, a stage to rescue, keys written more than once. */
static void crash(const char *path) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        hotcold_t *s = OPEN(path, NULL);
        for (int i = 0; i < 40000; i++) {
            char key[32];
            size_t len = (size_t)snprintf(key, sizeof key, "key%d", i % 15000);
            OK(hotcold_store(s, key, len, every_value() + i % 1000, 400, &error));
            if (i % 7 == 0) {
                hotcold_delete(s, key, len, NULL);
            }
        }
        put(s, "cold", "value");
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, NULL, 0) == child);
}

int main(void) {
    struct every e = {.path = fresh("a/b/c/d/e/f/g/h")};
    size_t worst = 0;
    crash(e.path);
    worst = measure(&(struct every_call){"open after a crash", open_again}, &e);
    worst = measure(&(struct every_call){"open what is open", fail_to_open}, &e);
    for (e.turn = 0; e.turn < 2; e.turn++) {
        for (int i = 0; i < EVERY_CALLS - 1; i++) {
            worst = measure(&every_call[i], &e);
        }
    }
    worst = measure(&(struct every_call){"close", close_it}, &e);
    worst = measure(&(struct every_call){"open", open_again}, &e);
    worst = measure(&every_call[EVERY_CALLS - 1], &e);
    worst = measure(&(struct every_call){"close", close_it}, &e);
    CHECK(worst < BOUND);
    return 0;
}
