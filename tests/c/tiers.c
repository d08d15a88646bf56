/* What moves between the tiers: warm_up, optimize_hot, eviction, promotion, residency. */
#include "check.h"

enum { KEYS = 200, BYTES = 1000 };

static char bytes[BYTES];

static size_t name_of(char name[16], int i) { return (size_t)snprintf(name, 16, "key%d", i); }

static hotcold_t *filled(const char *directory) {
    hotcold_t *s = NULL;
    char name[16];
    OK(hotcold_open(fresh(directory), NULL, &s, &error));
    for (int i = 0; i < KEYS; i++) {
        OK(hotcold_store(s, name, name_of(name, i), bytes, BYTES, &error));
    }
    return s;
}

static void optimize_then_warm_up(void) {
    hotcold_t *s = filled("optimize");
    size_t demoted = 99, loaded = 99;
    CHECK(stats_of(s).hot_entries == KEYS);
    OK(hotcold_optimize_hot(s, UINT64_MAX, &demoted, &error)); /* it holds less than that */
    CHECK(demoted == 0);
    OK(hotcold_optimize_hot(s, KEYS * BYTES / 2, &demoted, &error));
    CHECK(demoted > 0 && stats_of(s).hot_entries == KEYS - demoted);
    CHECK(stats_of(s).hot_bytes <= KEYS * BYTES / 2);
    OK(hotcold_optimize_hot(s, 0, &demoted, &error));
    CHECK(stats_of(s).hot_entries == 0 && stats_of(s).hot_bytes == 0);
    CHECK(stats_of(s).hot_demotions == KEYS);
    CHECK(stats_of(s).cold_entries == KEYS); /* nothing is lost */

    char names[20][16];
    hotcold_slice_t keys[20];
    for (int i = 0; i < 20; i++) {
        keys[i].len = name_of(names[i], i * 20); /* the second half of them is not there */
        keys[i].data = names[i];
    }
    OK(hotcold_warm_up(s, keys, 20, &loaded, &error));
    CHECK(loaded == 10 && stats_of(s).hot_entries == 10);
    OK(hotcold_warm_up(s, keys, 20, &loaded, &error)); /* those that are hot afterwards */
    CHECK(loaded == 10);
    OK(hotcold_warm_up(s, NULL, 0, &loaded, &error));
    CHECK(loaded == 0);
    hotcold_value_t value;
    OK(hotcold_retrieve(s, keys[3].data, keys[3].len, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_HOT);
    hotcold_value_release(&value);
    OK(hotcold_close(s, &error));
}

static void a_retrieve_promotes(void) {
    hotcold_t *s = filled("promote");
    hotcold_value_t value;
    size_t demoted;
    OK(hotcold_optimize_hot(s, 0, &demoted, &error));
    OK(hotcold_retrieve(s, "key7", 4, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_COLD);
    hotcold_value_release(&value);
    OK(hotcold_retrieve(s, "key7", 4, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_HOT && value.len == BYTES);
    hotcold_value_release(&value);
    CHECK(stats_of(s).hot_promotions == 1);
    OK(hotcold_close(s, &error));
}

/* Memory stays within its bound, and what has left it is found on disk. */
static void hot_is_bounded(void) {
    hotcold_t *s = OPEN(fresh("bounded"), "hot_capacity", "64KiB");
    char name[16];
    for (int i = 0; i < 1000; i++) {
        OK(hotcold_store(s, name, name_of(name, i), bytes, BYTES, &error));
        CHECK(stats_of(s).hot_bytes <= 64 << 10);
    }
    hotcold_stats_t stats = stats_of(s);
    CHECK(stats.hot_evictions >= 1000 - 64 && stats.hot_entries <= 64);
    CHECK(stats.hot_entries >= 30); /* and is used */
    for (int i = 0; i < 1000; i++) {
        OK(hotcold_contains(s, name, name_of(name, i), &error));
    }
    OK(hotcold_close(s, &error));
}

static void hot_may_have_few_entries(void) {
    hotcold_t *s = OPEN(fresh("few"), "hot_max_entries", "10");
    char name[16];
    for (int i = 0; i < 100; i++) {
        OK(hotcold_store(s, name, name_of(name, i), "v", 1, &error));
        CHECK(stats_of(s).hot_entries <= 10);
    }
    OK(hotcold_contains(s, "key0", 4, &error));
    OK(hotcold_close(s, &error));
}

/* After its residency an entry has left memory; the value itself stays. */
static void residency_ends(void) {
    hotcold_t *s = OPEN(fresh("residency"), "hot_ttl", "50ms"), *hot;
    hotcold_value_t value;
    put(s, "k", "v");
    pause_ms(120);
    OK(hotcold_retrieve(s, "k", 1, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_COLD && value.expires_at == 0);
    hotcold_value_release(&value);
    OK(hotcold_close(s, &error));

    hot = OPEN(NULL, "hot_ttl", "50ms"); /* where there is no disk it is gone */
    put(hot, "k", "v");
    HAS(hot, "k", "v");
    pause_ms(120);
    HAS(hot, "k", NULL);
    OK(hotcold_close(hot, &error));
}

int main(void) {
    optimize_then_warm_up();
    a_retrieve_promotes();
    hot_is_bounded();
    hot_may_have_few_entries();
    residency_ends();
    return 0;
}
