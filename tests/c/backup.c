/* Backup: a copy that opens, made while the store is in use. */
#include "check.h"
#include <pthread.h>

enum { KEYS = 500 };

static volatile int stop;

static void *keep_storing(void *s) {
    char name[16];
    for (uint64_t i = 0; !stop; i++) {
        snprintf(name, sizeof name, "new%" PRIu64, i);
        CHECK(hotcold_store(s, name, strlen(name), name, strlen(name), NULL) == HOTCOLD_OK);
    }
    return NULL;
}

/* A copy that was made while others stored opens, and holds what was there before. */
static void backup(hotcold_t *s) {
    hotcold_t *copy = NULL;
    pthread_t writer;
    char name[16];
    uint64_t records = 0, damaged = 9;
    CHECK(pthread_create(&writer, NULL, keep_storing, s) == 0);
    OK(hotcold_backup(s, fresh("copy"), &error));
    CHECK(hotcold_backup(s, fresh("copy"), &error) < 0); /* never over something */
    stop = 1;
    CHECK(pthread_join(writer, NULL) == 0);
    OK(hotcold_open(fresh("copy"), NULL, &copy, &error));
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "key%d", i);
        HAS(copy, name, name);
    }
    /* A prefix: if the n-th is there, all before it are. */
    int last = 1;
    for (int i = 0; i < 100000 && last; i++) {
        snprintf(name, sizeof name, "new%d", i);
        last = hotcold_contains(copy, name, strlen(name), &error) == HOTCOLD_OK;
        if (!last) {
            snprintf(name, sizeof name, "new%d", i + 1);
            GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(copy, name, strlen(name), &error));
        }
    }
    OK(hotcold_verify(copy, &records, &damaged, &error));
    CHECK(records >= KEYS && damaged == 0);
    OK(hotcold_delete(copy, "key0", 4, &error));
    HAS(s, "key0", "key0"); /* and is another store */
    OK(hotcold_close(copy, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_backup(s, NULL, &error));
}

int main(void) {
    hotcold_t *s = NULL;
    char name[16];
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "key%d", i);
        put(s, name, name);
    }
    backup(s);
    OK(hotcold_close(s, &error));
    return 0;
}
