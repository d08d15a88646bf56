/* A store of one tier: only hot, only cold. */
#include "check.h"

static void only_hot(void) {
    hotcold_t *s = OPEN(NULL, "hot_capacity", "64KiB");
    static char large[1 << 17];
    size_t n = 9;
    hotcold_slice_t key = {"k", 1};
    char name[16];
    GIVES(HOTCOLD_TOO_LARGE, hotcold_store(s, "large", 5, large, sizeof large, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, "large", 5, &error));
    put(s, "k", "v");
    OK(hotcold_sync(s, &error));
    OK(hotcold_compact(s, &error));
    OK(hotcold_warm_up(s, &key, 1, &n, &error));
    CHECK(n == 1);
    OK(hotcold_optimize_hot(s, 0, &n, &error)); /* there is nowhere to go */
    CHECK(n == 1);
    HAS(s, "k", NULL);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "key%d", i);
        OK(hotcold_store(s, name, strlen(name), large, 1000, &error));
    }
    hotcold_stats_t stats = stats_of(s);
    CHECK(stats.hot_entries <= 64 && stats.hot_evictions >= 1000 - 64);
    CHECK(stats.cold_entries == 0 && stats.cold_bytes_disk == 0 && stats.cold_operations == 0);
    OK(hotcold_close(s, &error));
    OK(hotcold_open(NULL, NULL, &s, &error)); /* nothing is kept */
    HAS(s, "key999", NULL);
    OK(hotcold_close(s, &error));
}

static void only_cold(void) {
    hotcold_t *s = OPEN(fresh("cold"), "hot_capacity", "0");
    hotcold_value_t value;
    size_t n = 9;
    hotcold_slice_t key = {"k", 1};
    put(s, "k", "v");
    for (int i = 0; i < 3; i++) {
        OK(hotcold_retrieve(s, "k", 1, &value, &error));
        CHECK(value.tier == HOTCOLD_TIER_COLD);
        hotcold_value_release(&value);
    }
    OK(hotcold_warm_up(s, &key, 1, &n, &error));
    CHECK(n == 0);
    OK(hotcold_optimize_hot(s, 0, &n, &error));
    CHECK(n == 0);
    hotcold_stats_t stats = stats_of(s);
    CHECK(stats.hot_entries == 0 && stats.hot_capacity == 0 && stats.hot_promotions == 0);
    CHECK(stats.cold_hits == 3 && stats.hits == 3);
    OK(hotcold_close(s, &error));
}

/* A value larger than the hot tier lives in cold alone, and takes an older one out of hot. */
static void larger_than_hot(void) {
    hotcold_t *s = OPEN(fresh("larger"), "hot_capacity", "64KiB");
    size_t len = 1 << 20;
    char *large = malloc(len);
    CHECK(large);
    for (size_t i = 0; i < len; i++) {
        large[i] = (char)(i * 7 >> 3);
    }
    put(s, "k", "small");
    OK(hotcold_store(s, "k", 1, large, len, &error));
    for (int i = 0; i < 2; i++) {
        hotcold_value_t value;
        OK(hotcold_retrieve(s, "k", 1, &value, &error));
        CHECK(value.len == len && memcmp(value.data, large, len) == 0);
        CHECK(value.tier == HOTCOLD_TIER_COLD);
        hotcold_value_release(&value);
    }
    CHECK(stats_of(s).hot_entries == 0);
    free(large);
    OK(hotcold_close(s, &error));
}

int main(void) {
    only_hot();
    only_cold();
    larger_than_hot();
    return 0;
}
