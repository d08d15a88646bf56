/* retrieve_with, retrieve_into, contains. */
#include "check.h"

static void into(hotcold_t *s) {
    char buffer[16];
    size_t len = 99;
    memset(buffer, 'x', sizeof buffer);
    put(s, "k", "eight888");
    GIVES(HOTCOLD_BUFFER_TOO_SMALL, hotcold_retrieve_into(s, "k", 1, buffer, 7, &len, &error));
    CHECK(len == 8 && buffer[0] == 'x');
    len = 99;
    GIVES(HOTCOLD_BUFFER_TOO_SMALL, hotcold_retrieve_into(s, "k", 1, NULL, 0, &len, &error));
    CHECK(len == 8);
    OK(hotcold_retrieve_into(s, "k", 1, buffer, 8, &len, &error));
    CHECK(len == 8 && memcmp(buffer, "eight888x", 9) == 0);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_retrieve_into(s, "none", 4, buffer, 16, &len, &error));
    CHECK(len == 0 && buffer[0] == 'e');
    OK(hotcold_store(s, "empty", 5, "", 0, &error));
    len = 99;
    OK(hotcold_retrieve_into(s, "empty", 5, NULL, 0, &len, &error));
    CHECK(len == 0);
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve_into(s, "k", 1, NULL, 8, &len, &error));
}

/* Neither contains nor NO_PROMOTE moves anything into hot. */
static void without_promotion(hotcold_t *s) {
    hotcold_value_t value;
    size_t demoted;
    put(s, "p", "v");
    OK(hotcold_optimize_hot(s, 0, &demoted, &error));
    CHECK(stats_of(s).hot_entries == 0);
    OK(hotcold_contains(s, "p", 1, &error));
    CHECK(stats_of(s).hot_entries == 0);
    for (int i = 0; i < 2; i++) {
        OK(hotcold_retrieve_with(s, "p", 1, HOTCOLD_RETRIEVE_NO_PROMOTE, &value, &error));
        CHECK(value.tier == HOTCOLD_TIER_COLD);
        hotcold_value_release(&value);
    }
    OK(hotcold_retrieve_with(s, "p", 1, 0, &value, &error));
    hotcold_value_release(&value);
    OK(hotcold_retrieve(s, "p", 1, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_HOT);
    hotcold_value_release(&value);
    CHECK(stats_of(s).hot_entries == 1);
}

/* NO_RECENCY and contains leave the order of eviction as it is: of two entries in a hot tier for
 * two, the older one goes, although it was looked at last. */
static void without_recency(uint32_t flags, int use_contains) {
    hotcold_t *s = OPEN(NULL, "hot_max_entries", "2", "eviction", "lru");
    hotcold_value_t value;
    put(s, "old", "1");
    put(s, "new", "2");
    if (use_contains) {
        OK(hotcold_contains(s, "old", 3, &error));
    } else {
        OK(hotcold_retrieve_with(s, "old", 3, flags, &value, &error));
        hotcold_value_release(&value);
    }
    put(s, "third", "3");
    int kept = hotcold_contains(s, "old", 3, &error) == HOTCOLD_OK;
    CHECK(kept == (flags == 0 && !use_contains));
    CHECK(stats_of(s).hot_entries == 2);
    OK(hotcold_close(s, &error));
}

int main(void) {
    hotcold_t *s = NULL;
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    into(s);
    without_promotion(s);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, "none", 4, &error));
    OK(hotcold_close(s, &error));
    without_recency(0, 0);
    without_recency(HOTCOLD_RETRIEVE_NO_RECENCY, 0);
    without_recency(0, 1);
    return 0;
}
