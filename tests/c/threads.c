/* One handle, many threads; and close while they work. */
#include "check.h"
#include <pthread.h>

enum { THREADS = 8, KEYS = 64 };

static hotcold_t *store;

/* A value names its key in every eight bytes, so that a mixture of two is seen. */
static void *work(void *argument) {
    uint64_t random = 1 + (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < light(20000, 200); i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t key = random % KEYS, words[128];
        size_t count = 1 + (random >> 8) % 128;
        hotcold_value_t value;
        hotcold_status_t status = HOTCOLD_OK;
        switch ((random >> 32) % 8) {
        case 0: case 1: case 2:
            for (size_t j = 0; j < count; j++) {
                words[j] = key;
            }
            status = hotcold_store(store, &key, sizeof key, words, count * sizeof *words, NULL);
            break;
        case 3:
            status = hotcold_delete(store, &key, sizeof key, NULL);
            break;
        default:
            status = hotcold_retrieve(store, &key, sizeof key, &value, NULL);
            if (status == HOTCOLD_OK) {
                CHECK(value.len % sizeof key == 0 && value.len > 0);
                for (size_t j = 0; j < value.len; j += sizeof key) {
                    CHECK(memcmp(value.data + j, &key, sizeof key) == 0);
                }
                hotcold_value_release(&value);
            }
        }
        if (status == HOTCOLD_MISUSE) {
            return argument; /* closed */
        }
        CHECK(status == HOTCOLD_OK || status == HOTCOLD_NOT_FOUND);
    }
    return NULL;
}

static void start(pthread_t threads[THREADS]) {
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    }
}

static void join(pthread_t threads[THREADS]) {
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void all_at_once(void) {
    pthread_t threads[THREADS];
    size_t n;
    store = OPEN(fresh("all"), "hot_capacity", "16KiB");
    start(threads);
    for (int i = 0; i < light(20, 3); i++) {
        OK(hotcold_optimize_hot(store, 4096, &n, &error));
        OK(hotcold_compact(store, &error));
        OK(hotcold_sync(store, &error));
        stats_of(store);
    }
    join(threads);
    OK(hotcold_close(store, &error));
}

static void close_while_others_work(void) {
    for (int round = 0; round < light(20, 3); round++) {
        pthread_t threads[THREADS];
        store = OPEN(round % 2 ? fresh("close") : NULL, "hot_capacity", "16KiB");
        start(threads);
        pause_ms(2);
        OK(hotcold_close(store, &error));
        join(threads);
    }
}

/* Two threads close: one of them has closed it, the other is told so. */
static void *close_it(void *argument) {
    *(int32_t *)argument = hotcold_close(store, NULL);
    return NULL;
}

static void close_twice_at_once(void) {
    for (int round = 0; round < light(200, 20); round++) {
        pthread_t thread;
        int32_t other = 99, own;
        OK(hotcold_open(NULL, NULL, &store, &error));
        CHECK(pthread_create(&thread, NULL, close_it, &other) == 0);
        own = hotcold_close(store, NULL);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK((own == HOTCOLD_OK && other == HOTCOLD_MISUSE) ||
              (other == HOTCOLD_OK && own == HOTCOLD_MISUSE));
    }
}

int main(void) {
    all_at_once();
    close_while_others_work();
    close_twice_at_once();
    return 0;
}
