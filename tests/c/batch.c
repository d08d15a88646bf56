/* Batches: all or nothing. */
#include "check.h"
#include <pthread.h>

static void add(hotcold_batch_t *b, const char *key, const char *value,
                const hotcold_store_options_t *o) {
    OK(hotcold_batch_store(b, key, strlen(key), value, strlen(value), o, o ? sizeof *o : 0,
                           &error));
}

static void all(const char *directory) {
    hotcold_t *s = NULL;
    hotcold_batch_t *b = hotcold_batch_new();
    hotcold_store_options_t only_if_absent = {0, 0, HOTCOLD_STORE_IF_VERSION, 0};
    OK(hotcold_open(directory, NULL, &s, &error));
    OK(hotcold_write(s, b, 0, &error)); /* an empty one */
    put(s, "old", "1");
    add(b, "a", "1", NULL);
    add(b, "b", "2", NULL);
    add(b, "a", "the later one of a key counts", NULL);
    OK(hotcold_batch_delete(b, "old", 3, &error));
    OK(hotcold_batch_delete(b, "was never there", 15, &error));
    HAS(s, "a", NULL); /* not yet */
    OK(hotcold_write(s, b, HOTCOLD_WRITE_SYNC, &error));
    HAS(s, "a", "the later one of a key counts");
    HAS(s, "b", "2");
    HAS(s, "old", NULL);
    hotcold_batch_free(b);

    b = hotcold_batch_new(); /* nothing of it, if a condition is not met */
    add(b, "new", "1", NULL);
    OK(hotcold_batch_delete(b, "a", 1, &error));
    add(b, "b", "3", &only_if_absent);
    GIVES(HOTCOLD_CONFLICT, hotcold_write(s, b, 0, &error));
    HAS(s, "new", NULL);
    HAS(s, "a", "the later one of a key counts");
    HAS(s, "b", "2");
    OK(hotcold_delete(s, "b", 1, &error));
    OK(hotcold_write(s, b, 0, &error)); /* a batch may be written again */
    HAS(s, "new", "1");
    HAS(s, "b", "3");
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_write(s, b, 2, &error));
    OK(hotcold_close(s, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_write(s, b, 0, &error));
    hotcold_batch_free(b);
    if (directory) {
        OK(hotcold_open(directory, NULL, &s, &error));
        HAS(s, "new", "1");
        HAS(s, "a", NULL);
        HAS(s, "b", "3");
        OK(hotcold_close(s, &error));
    }
}

static void refused(void) {
    static char key[65536];
    hotcold_t *s = NULL;
    hotcold_batch_t *b = hotcold_batch_new();
    OK(hotcold_open(NULL, NULL, &s, &error));
    GIVES(HOTCOLD_TOO_LARGE,
          hotcold_batch_store(b, key, sizeof key, "v", 1, NULL, 0, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_batch_store(b, NULL, 1, "v", 1, NULL, 0, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_batch_store(NULL, "k", 1, "v", 1, NULL, 0, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_batch_delete(NULL, "k", 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_write(s, NULL, 0, &error));
    OK(hotcold_write(s, b, 0, &error)); /* what was refused is not in it */
    CHECK(stats_of(s).hot_entries == 0);
    hotcold_batch_free(b);
    hotcold_batch_free(NULL);
    OK(hotcold_close(s, &error));
}

/* Two keys written together are the same for a reader: the second one read is never older. */
static volatile int stop;

static void *write_pairs(void *s) {
    for (uint64_t i = 1; !stop; i++) {
        hotcold_batch_t *b = hotcold_batch_new();
        CHECK(hotcold_batch_store(b, "x", 1, &i, sizeof i, NULL, 0, NULL) == HOTCOLD_OK);
        CHECK(hotcold_batch_store(b, "y", 1, &i, sizeof i, NULL, 0, NULL) == HOTCOLD_OK);
        CHECK(hotcold_write(s, b, 0, NULL) == HOTCOLD_OK);
        hotcold_batch_free(b);
    }
    return NULL;
}

static void one_instant(const char *directory) {
    hotcold_t *s = NULL;
    pthread_t writer;
    uint64_t x = 0, y = 0;
    size_t len;
    stop = 0;
    OK(hotcold_open(directory, NULL, &s, &error));
    CHECK(pthread_create(&writer, NULL, write_pairs, s) == 0);
    for (int i = 0; i < light(20000, 200);) {
        const char *first = i % 2 ? "x" : "y", *second = i % 2 ? "y" : "x";
        hotcold_status_t status = hotcold_retrieve_into(s, first, 1, &x, sizeof x, &len, &error);
        if (status == HOTCOLD_OK) {
            OK(hotcold_retrieve_into(s, second, 1, &y, sizeof y, &len, &error));
            CHECK(y >= x);
            i++;
        }
    }
    stop = 1;
    CHECK(pthread_join(writer, NULL) == 0);
    OK(hotcold_close(s, &error));
}

int main(void) {
    all(fresh("all"));
    all(NULL);
    refused();
    one_instant(fresh("instant"));
    one_instant(NULL);
    return 0;
}
