/* What `durability.sh` traces: calls after which something survives power loss, and after each a mark
 * in the trace. `durability.awk` says what the marks mean. */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { LONG = 100 << 10, THREADS = 4 };

static int marks = -1;
static atomic_int count;

static void mark(const char *kind, const char *name) {
    char text[64];
    int length = snprintf(text, sizeof text, "%s %s", kind, name);
    count++;
    CHECK(write(marks, text, (size_t)length) == length);
}

static void store(hotcold_t *s, const char *key, size_t length, const hotcold_store_options_t *o) {
    static char value[LONG];
    OK(hotcold_store_with(s, key, strlen(key), value, length, o, o ? sizeof *o : 0, NULL, &error));
}

static int32_t load(void *user_data, const void *key, size_t key_len, hotcold_loaded_t *out) {
    (void)user_data;
    return hotcold_loaded_set(out, key, key_len, 0, &error) == HOTCOLD_OK ? 0 : 1;
}

static void *store_some(void *s) {
    char key[32];
    hotcold_error_t own;
    mark("none", "thread");
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%d of %lu", i, (unsigned long)pthread_self());
        CHECK(hotcold_store(s, key, strlen(key), "value", 5, &own) == HOTCOLD_OK);
        mark("one", "store beside others");
    }
    return NULL;
}

/* Every call that changes something, where each is synced. */
static void each_is_synced(void) {
    hotcold_t *s = OPEN(fresh("sync"), "durability", "sync", "cold_capacity", "16MiB", "compression",
                        "none");
    hotcold_store_options_t options = {0, 0, 0, 0};
    hotcold_batch_t *batch = hotcold_batch_new();
    hotcold_value_t value;
    pthread_t threads[THREADS];
    put(s, "a", "1");
    mark("one", "first store");
    put(s, "a", "2");
    mark("one", "store");
    options.ttl = 3600000;
    store(s, "b", 10, &options);
    mark("one", "store with expiry");
    options = (hotcold_store_options_t){0, 0, HOTCOLD_STORE_IF_VERSION, 0};
    store(s, "c", 10, &options);
    mark("one", "compare and store");
    options.flags = HOTCOLD_STORE_COLD_ONLY;
    store(s, "d", 10, &options);
    mark("one", "store into cold");
    OK(hotcold_retrieve_or_load(s, "e", 1, load, NULL, &value, &error));
    hotcold_value_release(&value);
    mark("one", "load");
    OK(hotcold_batch_store(batch, "f", 1, "1", 1, NULL, 0, &error));
    OK(hotcold_batch_delete(batch, "b", 1, &error));
    OK(hotcold_write(s, batch, 0, &error));
    mark("one", "batch");
    OK(hotcold_delete(s, "a", 1, &error));
    mark("one", "delete");
    OK(hotcold_clear(s, &error));
    mark("one", "clear");
    for (int i = 0; i < 24; i++) { /* into five segments */
        char key[8];
        snprintf(key, sizeof key, "long%d", i % 12);
        store(s, key, LONG, NULL);
        mark("one", "long store");
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, store_some, s) == 0);
    }
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    mark("strict", "removals");
    OK(hotcold_compact(s, &error));
    mark("loose", "removals");
    mark("all", "compact");
    OK(hotcold_backup(s, fresh("copy"), &error));
    mark("all", "backup");
    put(s, "a", "3");
    OK(hotcold_close(s, &error));
    mark("all", "close");
    hotcold_batch_free(batch);
}

/* Nothing is synced unasked, so that each sync is one that was asked for. */
static void some_are_synced(const char *name, const char *mode) {
    hotcold_t *s = OPEN(fresh(name), "sync_interval", "0", "write_mode", mode);
    hotcold_store_options_t options = {0, 0, HOTCOLD_STORE_SYNC, 0};
    hotcold_batch_t *batch = hotcold_batch_new();
    OK(hotcold_batch_store(batch, "f", 1, "1", 1, NULL, 0, &error));
    put(s, "a", "1");
    store(s, "b", 10, &options);
    mark("one", "store with SYNC");
    put(s, "a", "2");
    OK(hotcold_write(s, batch, HOTCOLD_WRITE_SYNC, &error));
    mark("one", "batch with SYNC");
    put(s, "a", "3");
    OK(hotcold_sync(s, &error));
    mark("one", "sync");
    for (int i = 0; i < 600; i++) put(s, "a", "many, so that the last are staged");
    OK(hotcold_sync(s, &error));
    mark("all", "sync of what was staged");
    put(s, "a", "4");
    OK(hotcold_compact(s, &error));
    mark("all", "compact");
    put(s, "a", "5");
    OK(hotcold_close(s, &error));
    mark("all", "close");
    hotcold_batch_free(batch);
}

/* Under durability=process the background thread syncs; the mark has the interval in milliseconds. */
static void synced_in_the_background(void) {
    hotcold_t *s = OPEN(fresh("background"), "sync_interval", "2s");
    put(s, "a", "1");
    pause_ms(3000);
    mark("within", "2000");
    put(s, "a", "2");
    pause_ms(3000);
    mark("within", "2000");
    OK(hotcold_close(s, &error));
    mark("all", "close");
}

/* What a process that died has left may be relied on once it was opened again. */
static void opened_after_a_kill(void) {
    const char *path = fresh("killed");
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        hotcold_t *s = OPEN(path, "sync_interval", "0");
        for (int i = 0; i < 600; i++) put(s, "a", "1");
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    hotcold_t *s = OPEN(path, "sync_interval", "0");
    mark("all", "open");
    OK(hotcold_close(s, &error));
    mark("all", "close");
}

int main(void) {
    char all[16];
    marks = open("/dev/null", O_WRONLY);
    CHECK(marks >= 0);
    opened_after_a_kill();
    each_is_synced();
    some_are_synced("through", "through");
    some_are_synced("back", "back");
    synced_in_the_background();
    snprintf(all, sizeof all, "%d", count + 1);
    mark("end", all);
    return 0;
}
