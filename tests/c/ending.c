/* Every call works where a thread's own memory is gone: in destructors of a thread's keys, whatever
 * their order, at exit, and afterwards the store still serves everybody. */
#include "every.h"
#include <pthread.h>

static hotcold_t *store;
static pthread_key_t before, after;
static int calls;

/* Runs all calls, on a store that has `cold` in cold. */
static void call_all(const char *where) {
    char name[64];
    snprintf(name, sizeof name, "%s", where);
    hotcold_error_t mine;
    struct every e = {.s = store, .path = fresh(name), .turn = calls};
    CHECK(hotcold_store(store, "cold", 4, "value", 5, &mine) == HOTCOLD_OK);
    CHECK(hotcold_optimize_hot(store, 0, NULL, &mine) == HOTCOLD_OK);
    for (int i = 0; i < EVERY_CALLS; i++, calls++) {
        int32_t status = every_call[i].run(&e);
        if (status != HOTCOLD_OK) {
            fprintf(stderr, "%s: %s gave %s: %s\n", where, every_call[i].name,
                    hotcold_status_name(status), e.error.message);
            _exit(1);
        }
    }
}

/* Destructors run in rounds, in the order of keys; those of this library's own memory are one of
 * them. So each is met before and after it, and in each round. */
static void at_end(void *round) {
    call_all("thread");
    if ((uintptr_t)round < 3) {
        pthread_setspecific(before, (void *)((uintptr_t)round + 1));
        pthread_setspecific(after, (void *)((uintptr_t)round + 1));
    }
}

static void *use_and_end(void *unused) {
    (void)unused;
    call_all("use");
    pthread_setspecific(before, (void *)1);
    pthread_setspecific(after, (void *)1);
    return NULL;
}

static void *only_end(void *unused) {
    (void)unused;
    pthread_setspecific(before, (void *)1);
    pthread_setspecific(after, (void *)1);
    return NULL;
}

static void run(void *(*what)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, what, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    put(store, "still", "writable");
    HAS(store, "still", "writable");
}

static void at_exit(void) {
    call_all("exit");
    OK(hotcold_close(store, &error));
}

int main(void) {
    const char *path = fresh("ending"); /* its directory is removed after `at_exit` */
    CHECK(atexit(at_exit) == 0);
    CHECK(pthread_key_create(&before, at_end) == 0);
    store = OPEN(path, "storage_id", "ending");
    call_all("main");
    CHECK(pthread_key_create(&after, at_end) == 0);
    run(only_end);
    run(use_and_end);
    return 0;
}
