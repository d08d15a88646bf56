/* Open, close, and everything that a program can do wrong with a handle. */
#include "check.h"

static void missing_directories_are_made(void) {
    hotcold_t *s = NULL;
    OK(hotcold_open(fresh("a/b/c"), NULL, &s, &error));
    put(s, "k", "v");
    OK(hotcold_close(s, &error));
    OK(hotcold_open(fresh("a/b/c"), NULL, &s, &error));
    HAS(s, "k", "v");
    OK(hotcold_close(s, &error));
}

static void one_handle_for_a_directory(void) {
    hotcold_t *s = NULL, *other = (hotcold_t *)&s;
    char again[4300];
    OK(hotcold_open(fresh("one"), NULL, &s, &error));
    GIVES(HOTCOLD_LOCKED, hotcold_open(fresh("one"), NULL, &other, &error));
    CHECK(other == NULL);
    /* The directory counts, not its name. */
    snprintf(again, sizeof again, "%s/../one", fresh("one"));
    GIVES(HOTCOLD_LOCKED, hotcold_open(again, NULL, &other, &error));
    CHECK(symlink(fresh("one"), fresh("link")) == 0);
    GIVES(HOTCOLD_LOCKED, hotcold_open(fresh("link"), NULL, &other, &error));
    put(s, "k", "v"); /* the first is not harmed */
    OK(hotcold_close(s, &error));
    OK(hotcold_open(fresh("link"), NULL, &other, &error));
    HAS(other, "k", "v");
    OK(hotcold_close(other, &error));
}

static void every_call_after_close_is_misuse(void) {
    hotcold_t *s = NULL, *next = NULL;
    hotcold_value_t value = garbage();
    hotcold_stats_t stats;
    hotcold_cursor_t *cursor = (hotcold_cursor_t *)&s;
    hotcold_slice_t keys[1] = {{"k", 1}};
    size_t n = 7;
    uint64_t id = 7;
    char buffer[4];
    OK(hotcold_open(fresh("gone"), NULL, &s, &error));
    put(s, "k", "v");
    OK(hotcold_close(s, &error));
    for (int round = 0; round < 2; round++) { /* the second time another store has been opened */
        GIVES(HOTCOLD_MISUSE, hotcold_close(s, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_store(s, "k", 1, "v", 1, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_retrieve(s, "k", 1, &value, &error));
        CHECK(is_empty(&value));
        GIVES(HOTCOLD_MISUSE, hotcold_retrieve_with(s, "k", 1, 0, &value, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_retrieve_into(s, "k", 1, buffer, 4, &n, &error));
        CHECK(n == 0);
        GIVES(HOTCOLD_MISUSE, hotcold_contains(s, "k", 1, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_delete(s, "k", 1, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_clear(s, &error));
        memset(&stats, 0x5A, sizeof stats);
        GIVES(HOTCOLD_MISUSE, hotcold_stats(s, &stats, sizeof stats, &error));
        CHECK(stats.hot_entries == 0 && stats.clear_p99_ns == 0);
        GIVES(HOTCOLD_MISUSE, hotcold_sync(s, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_compact(s, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_cursor_open(s, NULL, 0, &cursor, &error));
        CHECK(cursor == NULL);
        GIVES(HOTCOLD_MISUSE, hotcold_warm_up(s, keys, 1, &n, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_optimize_hot(s, 0, &n, &error));
        GIVES(HOTCOLD_MISUSE, hotcold_unsubscribe(s, id, &error));
        if (round == 0) {
            OK(hotcold_open(fresh("gone"), NULL, &next, &error));
            CHECK(next != s); /* a token is never given twice */
        }
    }
    HAS(next, "k", "v");
    OK(hotcold_close(next, &error));
}

static void null_is_answered(void) {
    hotcold_t *s = NULL;
    hotcold_value_t value = garbage();
    hotcold_slice_t key;
    size_t n;
    OK(hotcold_open(NULL, NULL, &s, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open(NULL, NULL, NULL, &error));
    OK(hotcold_close(NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_store(NULL, "k", 1, "v", 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_store(s, NULL, 1, "v", 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_store(s, "k", 1, NULL, 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve(NULL, "k", 1, &value, &error));
    CHECK(is_empty(&value));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve(s, "k", 1, NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve(s, NULL, 1, &value, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve_into(s, "k", 1, &n, sizeof n, NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve_with(s, "k", 1, 1u << 31, &value, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_contains(s, NULL, 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_delete(s, NULL, 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_clear(NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_stats(s, NULL, sizeof(hotcold_stats_t), &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_cursor_open(s, NULL, 0, NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_cursor_next(NULL, &key, &error));
    CHECK(key.len == 0);
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_warm_up(s, NULL, 1, &n, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_sync(NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_compact(NULL, &error));
    hotcold_value_release(NULL);
    hotcold_cursor_close(NULL);

    /* error may be NULL everywhere, also when something fails. */
    CHECK(hotcold_store(s, "k", 1, "v", 1, NULL) == HOTCOLD_OK);
    CHECK(hotcold_store(s, NULL, 1, "v", 1, NULL) == HOTCOLD_INVALID_ARGUMENT);
    CHECK(hotcold_retrieve(s, "x", 1, &value, NULL) == HOTCOLD_NOT_FOUND);
    CHECK(hotcold_close(s, NULL) == HOTCOLD_OK);
    CHECK(hotcold_close(s, NULL) == HOTCOLD_MISUSE);
}

/* Whatever bits a handle has, it is not followed. */
static void any_bits_are_misuse(void) {
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 1000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        GIVES(HOTCOLD_MISUSE, hotcold_sync((hotcold_t *)(uintptr_t)(x | 1), &error));
    }
    GIVES(HOTCOLD_MISUSE, hotcold_sync((hotcold_t *)(uintptr_t)1, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_close((hotcold_t *)UINTPTR_MAX, &error));
}

static void a_failed_open_says_where(void) {
    hotcold_t *s = NULL;
    FILE *file = fopen(fresh("file"), "w");
    CHECK(file && fclose(file) == 0);
    CHECK(hotcold_open(fresh("file"), NULL, &s, &error) < 0 && s == NULL);
    CHECK(strstr(error.message, "file") != NULL);
    CHECK(error.os_code != 0);
}

static void many_stores_at_once(void) {
    hotcold_t *stores[50];
    char name[16];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "many%d", i);
        OK(hotcold_open(i % 2 ? fresh(name) : NULL, NULL, &stores[i], &error));
        put(stores[i], "name", name);
    }
    for (int i = 49; i >= 0; i--) {
        snprintf(name, sizeof name, "many%d", i);
        HAS(stores[i], "name", name);
        OK(hotcold_close(stores[i], &error));
    }
}

int main(void) {
    missing_directories_are_made();
    one_handle_for_a_directory();
    every_call_after_close_is_misuse();
    null_is_answered();
    any_bits_are_misuse();
    a_failed_open_says_where();
    many_stores_at_once();
    return 0;
}
