/* The longest keys and values, and one byte more. */
#include "check.h"

static void keys(hotcold_t *s) {
    static char key[65536];
    char small[4];
    size_t len;
    memset(key, 'k', sizeof key);
    OK(hotcold_store(s, key, 65535, "long", 4, &error));
    OK(hotcold_store(s, key, 65534, "less", 4, &error));
    OK(hotcold_retrieve_into(s, key, 65535, small, 4, &len, &error));
    CHECK(memcmp(small, "long", 4) == 0);
    OK(hotcold_retrieve_into(s, key, 65534, small, 4, &len, &error));
    CHECK(memcmp(small, "less", 4) == 0);
    hotcold_value_t value = garbage();
    hotcold_cursor_t *cursor = NULL;
    GIVES(HOTCOLD_TOO_LARGE, hotcold_store(s, key, 65536, "v", 1, &error));
    GIVES(HOTCOLD_TOO_LARGE, hotcold_retrieve(s, key, 65536, &value, &error));
    CHECK(is_empty(&value));
    GIVES(HOTCOLD_TOO_LARGE, hotcold_contains(s, key, 65536, &error));
    GIVES(HOTCOLD_TOO_LARGE, hotcold_delete(s, key, 65536, &error));
    /* Nothing is read at a length that cannot be. */
    CHECK(hotcold_store(s, key, SIZE_MAX, "v", 1, &error) < 0);
    CHECK(hotcold_store(s, "k", 1, "v", SIZE_MAX, &error) < 0);
    GIVES(HOTCOLD_TOO_LARGE, hotcold_store(s, "k", 1, "v", (size_t)1 << 32, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, "k", 1, &error));
    OK(hotcold_cursor_open(s, key, 65535, &cursor, &error));
    hotcold_slice_t slice;
    OK(hotcold_cursor_next(cursor, &slice, &error));
    CHECK(slice.len == 65535);
    hotcold_cursor_close(cursor);
}

static void values(hotcold_t *s) {
    static const size_t lens[] = {0, 1, 4095, 4096, 65535, 65536, 1 << 20, (64 << 20) + 1};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        size_t len = lens[i];
        if (len > (size_t)light(1 << 30, 1 << 20)) {
            continue;
        }
        unsigned char *bytes = malloc(len + 1);
        hotcold_value_t value;
        CHECK(bytes);
        for (size_t j = 0; j < len; j++) {
            bytes[j] = (unsigned char)(j * 131 >> 4);
        }
        OK(hotcold_store(s, &len, sizeof len, bytes, len, &error));
        for (int round = 0; round < 2; round++) {
            OK(hotcold_retrieve(s, &len, sizeof len, &value, &error));
            CHECK(value.len == len && memcmp(value.data, bytes, len) == 0);
            hotcold_value_release(&value);
            OK(hotcold_optimize_hot(s, 0, &(size_t){0}, &error)); /* then from disk */
        }
        free(bytes);
    }
    OK(hotcold_compact(s, &error));
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        hotcold_value_t value;
        if (lens[i] <= (size_t)light(1 << 30, 1 << 20)) {
            OK(hotcold_retrieve(s, &lens[i], sizeof lens[i], &value, &error));
            CHECK(value.len == lens[i]);
            hotcold_value_release(&value);
        }
    }
}

/* Under a bound on disk a record must fit into a segment, a 32nd of it. */
static void bounded(void) {
    static char large[1 << 20];
    char name[16];
    const char *path = fresh("bounded");
    hotcold_t *s = OPEN(path, "cold_capacity", "16MiB", "hot_capacity", "2MiB");
    for (int i = 0; i < 1800; i++) {
        snprintf(name, sizeof name, "key%d", i);
        OK(hotcold_store(s, name, strlen(name), large, 1000, &error));
    }
    hotcold_stats_t before = stats_of(s);
    CHECK(before.hot_bytes > (2 << 20) - 8192);
    GIVES(HOTCOLD_TOO_LARGE, hotcold_store(s, "large", 5, large, sizeof large, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, "large", 5, &error));
    hotcold_stats_t after = stats_of(s);
    CHECK(after.hot_evictions == before.hot_evictions); /* a store that cannot be makes no room */
    OK(hotcold_close(s, &error));
    /* What was acknowledged before is written all the same. */
    hotcold_value_t value;
    s = OPEN(path, "cold_capacity", "16MiB", "write_mode", "back");
    OK(hotcold_store(s, "large", 5, large, sizeof large, &error));
    OK(hotcold_sync(s, &error));
    OK(hotcold_close(s, &error));
    s = OPEN(path, "hot_capacity", "0");
    OK(hotcold_retrieve(s, "large", 5, &value, &error));
    CHECK(value.len == sizeof large);
    hotcold_value_release(&value);
    OK(hotcold_close(s, &error));
}

int main(void) {
    hotcold_t *s = NULL;
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    keys(s);
    values(s);
    OK(hotcold_close(s, &error));
    OK(hotcold_open(NULL, NULL, &s, &error));
    keys(s);
    OK(hotcold_close(s, &error));
    bounded();
    return 0;
}
