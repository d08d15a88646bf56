/* Cursors: every key of both tiers once, prefixes, and walks during writes. */
#include "check.h"

enum { KEYS = 2000 };

/* Walks over `prefix` and counts in seen[] the keys that look like keyN. Gives how many there were. */
static size_t walk(hotcold_t *s, const char *prefix, int seen[KEYS]) {
    hotcold_cursor_t *cursor = NULL;
    hotcold_slice_t key;
    size_t count = 0;
    char name[32];
    memset(seen, 0, KEYS * sizeof *seen);
    OK(hotcold_cursor_open(s, prefix, strlen(prefix), &cursor, &error));
    hotcold_status_t status;
    while ((status = hotcold_cursor_next(cursor, &key, &error)) == HOTCOLD_OK) {
        CHECK(key.len < sizeof name && key.len >= strlen(prefix));
        CHECK(memcmp(key.data, prefix, strlen(prefix)) == 0);
        memcpy(name, key.data, key.len);
        name[key.len] = 0;
        if (strncmp(name, "key", 3) == 0) {
            seen[atoi(name + 3)]++;
        }
        count++;
    }
    GIVES(HOTCOLD_END, status);
    GIVES(HOTCOLD_END, hotcold_cursor_next(cursor, &key, &error)); /* and remains so */
    CHECK(key.len == 0);
    hotcold_cursor_close(cursor);
    return count;
}

static void put_number(hotcold_t *s, int i) {
    char name[32];
    snprintf(name, sizeof name, "key%d", i);
    put(s, name, name);
}

static void every_key_once(hotcold_t *s) {
    static int seen[KEYS];
    CHECK(walk(s, "", seen) == 0);
    for (int i = 0; i < KEYS; i++) {
        put_number(s, i);
    }
    CHECK(walk(s, "", seen) == KEYS);
    for (int i = 0; i < KEYS; i++) {
        CHECK(seen[i] == 1);
    }
    CHECK(walk(s, "key19", seen) == 111); /* 19, 190 to 199, 1900 to 1999 */
    CHECK(walk(s, "kez", seen) == 0);
    OK(hotcold_delete(s, "key19", 5, &error));
    CHECK(walk(s, "key19", seen) == 110);
    CHECK(stats_of(s).hot_promotions == 0); /* a walk promotes nothing */
    OK(hotcold_store(s, NULL, 0, "", 0, &error));
    CHECK(walk(s, "", seen) == KEYS);
    OK(hotcold_clear(s, &error));
    CHECK(walk(s, "", seen) == 0);
}

static void values_of_the_current_key(hotcold_t *s) {
    hotcold_cursor_t *cursor = NULL;
    hotcold_slice_t key;
    hotcold_value_t value = garbage();
    put(s, "only", "this");
    OK(hotcold_cursor_open(s, NULL, 0, &cursor, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_cursor_value(cursor, &value, &error)); /* no key yet */
    CHECK(is_empty(&value));
    OK(hotcold_cursor_next(cursor, &key, &error));
    OK(hotcold_cursor_value(cursor, &value, &error));
    CHECK(value.len == 4 && memcmp(value.data, "this", 4) == 0);
    hotcold_value_release(&value);
    OK(hotcold_delete(s, "only", 4, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_cursor_value(cursor, &value, &error));
    CHECK(key.len == 4 && memcmp(key.data, "only", 4) == 0); /* still valid */
    hotcold_cursor_close(cursor);
}

/* Writes during a walk: what lives throughout is seen exactly once, anything at most once. */
static void writes_during_the_walk(hotcold_t *s) {
    static int seen[KEYS];
    hotcold_cursor_t *cursor = NULL;
    hotcold_slice_t key;
    char name[32];
    size_t demoted;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < KEYS / 2; i++) {
        put_number(s, i);
    }
    OK(hotcold_cursor_open(s, "key", 3, &cursor, &error));
    for (int steps = 0; hotcold_cursor_next(cursor, &key, &error) == HOTCOLD_OK; steps++) {
        CHECK(key.len < sizeof name);
        memcpy(name, key.data, key.len);
        name[key.len] = 0;
        seen[atoi(name + 3)]++;
        put_number(s, KEYS / 2 + steps % (KEYS / 2)); /* new ones */
        put_number(s, steps % (KEYS / 2));            /* the same anew: in hot, if it was not */
        if (steps % 100 == 50) {
            OK(hotcold_optimize_hot(s, 0, &demoted, &error));
        } else if (steps == 333) {
            OK(hotcold_compact(s, &error));
        }
    }
    for (int i = 0; i < KEYS; i++) {
        CHECK(i < KEYS / 2 ? seen[i] == 1 : seen[i] <= 1);
    }
    hotcold_cursor_close(cursor);
    OK(hotcold_clear(s, &error));
}

static void after_close(void) {
    hotcold_t *s = NULL;
    hotcold_cursor_t *cursor = NULL;
    hotcold_slice_t key;
    hotcold_value_t value = garbage();
    OK(hotcold_open(NULL, NULL, &s, &error));
    put(s, "a", "1");
    put(s, "b", "2");
    OK(hotcold_cursor_open(s, "", 0, &cursor, &error));
    OK(hotcold_cursor_next(cursor, &key, &error));
    OK(hotcold_close(s, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_cursor_next(cursor, &key, &error));
    CHECK(key.len == 0);
    GIVES(HOTCOLD_MISUSE, hotcold_cursor_value(cursor, &value, &error));
    CHECK(is_empty(&value));
    hotcold_cursor_close(cursor);
}

int main(void) {
    static const char *const forms[][3] = {
        {NULL, NULL, NULL}, {"hot_capacity", "0", NULL}, {"hot_capacity", "64KiB", NULL}};
    hotcold_t *hot = NULL;
    OK(hotcold_open(NULL, NULL, &hot, &error));
    every_key_once(hot);
    values_of_the_current_key(hot);
    OK(hotcold_close(hot, &error));
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        hotcold_t *s = open_with(fresh(name), forms[i]);
        every_key_once(s);
        values_of_the_current_key(s);
        writes_during_the_walk(s);
        OK(hotcold_close(s, &error));
    }
    after_close();
    return 0;
}
