/* Writes the stores of tests/golden/vN: `write DIRECTORY` makes a folder for each state that a store can be left in, and beside
 * it a dump as text, a line for each key: key, value and expiry (ms since the epoch, 0: never), the first two in hex.
 * Built and run once for each version of the format; what it made is committed, and every later version must read it. */
#define _DEFAULT_SOURCE
#include <hotcold.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static hotcold_t *store;
static hotcold_error_t error;

static void must(hotcold_status_t status, const char *what) {
    if (status != HOTCOLD_OK) {
        fprintf(stderr, "%s: %s\n", what, error.message);
        exit(1);
    }
}

static void open_store(const char *path, const char *compression) {
    hotcold_options_t *o = hotcold_options_new();
    must(hotcold_options_set(o, "compression", compression, &error), "compression");
    must(hotcold_open(path, o, &store, &error), "open");
    hotcold_options_free(o);
}

static void put(const char *key, const void *value, size_t len) {
    must(hotcold_store(store, key, strlen(key), value, len, &error), "store");
}

/* A value of `len` bytes that compresses well, or not at all. */
static const char *text(unsigned tag, size_t len, int noise) {
    static char bytes[8192];
    unsigned x = tag * 2654435761u + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (char)(noise ? x >> 24 : "value "[(i + tag) % 6]);
    }
    return bytes;
}

/* Every kind of record: cleared, overwritten, deleted, expiring, empty, long, and a batch. */
static void fill(void) {
    put("cleared", "x", 1);
    must(hotcold_clear(store, &error), "clear");
    for (unsigned i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof key, "key-%u", i);
        put(key, text(i, 20 + 30 * i, (int)(i & 1)), 20 + 30 * i);
    }
    put("key-3", "overwritten", 11);
    put("", "the empty key", 13);
    put("empty value", "", 0);
    put("long", text(7, 6000, 0), 6000);
    must(hotcold_delete(store, "key-5", 5, &error), "delete");
    hotcold_store_options_t o = {.ttl = 3153600000000u}; /* a hundred years */
    must(hotcold_store_with(store, "expires", 7, "late", 4, &o, sizeof o, NULL, &error), "ttl");
    o.ttl = 1;
    must(hotcold_store_with(store, "expired", 7, "gone", 4, &o, sizeof o, NULL, &error), "ttl");
    hotcold_batch_t *b = hotcold_batch_new();
    must(hotcold_batch_store(b, "batch-a", 7, "1", 1, NULL, 0, &error), "batch");
    must(hotcold_batch_store(b, "batch-b", 7, "2", 1, NULL, 0, &error), "batch");
    must(hotcold_batch_delete(b, "key-7", 5, &error), "batch");
    must(hotcold_write(store, b, 0, &error), "write");
    hotcold_batch_free(b);
    usleep(20000);
}

static void hex(FILE *to, const void *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) fprintf(to, "%02x", ((const unsigned char *)bytes)[i]);
}

static void dump(const char *path) {
    char name[600];
    snprintf(name, sizeof name, "LC_ALL=C sort > %s.txt", path);
    FILE *to = popen(name, "w");
    hotcold_cursor_t *c;
    hotcold_slice_t key;
    must(hotcold_cursor_open(store, NULL, 0, &c, &error), "cursor");
    while (hotcold_cursor_next(c, &key, &error) == HOTCOLD_OK) {
        hotcold_value_t value;
        if (hotcold_cursor_value(c, &value, &error) != HOTCOLD_OK) continue;
        hex(to, key.data, key.len);
        fputc(' ', to);
        hex(to, value.data, value.len);
        fprintf(to, " %llu\n", (unsigned long long)value.expires_at);
        hotcold_value_release(&value);
    }
    hotcold_cursor_close(c);
    pclose(to);
}

int main(int argc, char **argv) {
    char path[512];
    (void)argc;
    snprintf(path, sizeof path, "%s/closed", argv[1]);
    open_store(path, "none");
    fill();
    dump(path);
    must(hotcold_close(store, &error), "close");

    snprintf(path, sizeof path, "%s/compacted", argv[1]);
    open_store(path, "deflate:6");
    fill();
    must(hotcold_compact(store, &error), "compact");
    put("after", "compaction", 10);
    must(hotcold_delete(store, "key-9", 5, &error), "delete");
    dump(path);
    must(hotcold_close(store, &error), "close");

    /* Killed while the newest records stand in the stage alone. */
    snprintf(path, sizeof path, "%s/killed", argv[1]);
    pid_t child = fork();
    if (child == 0) {
        open_store(path, "none");
        fill();
        for (unsigned i = 0; i < 700; i++) put("counter", &i, sizeof i);
        dump(path);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    return 0;
}
