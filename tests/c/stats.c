/* The counters, and the ways of asking for them. */
#include "check.h"

static void sizes(hotcold_t *s) {
    struct { hotcold_stats_t stats; uint64_t later[4]; } more;
    uint64_t first[3] = {7, 7, 7};
    hotcold_stats_t stats;
    memset(&more, 0x5A, sizeof more);
    OK(hotcold_stats(s, &more.stats, sizeof more, &error)); /* a program with a newer header */
    CHECK(more.later[0] == 0 && more.later[3] == 0);
    CHECK(more.stats.hot_capacity == 64 << 20);
    OK(hotcold_stats(s, (hotcold_stats_t *)first, 2 * sizeof *first, &error)); /* with an older */
    CHECK(first[0] == more.stats.hot_operations && first[2] == 7);
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_stats(s, &stats, 0, &error));
}

static void counts(hotcold_t *s) {
    size_t demoted;
    hotcold_stats_t a = stats_of(s), b;
    put(s, "k", "v");
    put(s, "l", "v");
    HAS(s, "k", "v");    /* hot */
    HAS(s, "none", NULL);
    OK(hotcold_optimize_hot(s, 0, &demoted, &error));
    HAS(s, "k", "v");    /* cold */
    OK(hotcold_delete(s, "l", 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_store(s, NULL, 1, "", 0, &error));
    b = stats_of(s);
    CHECK(b.hits - a.hits == 2 && b.misses - a.misses == 1);
    CHECK(b.hot_hits - a.hot_hits == 1 && b.hot_misses - a.hot_misses == 2);
    CHECK(b.cold_hits - a.cold_hits == 1 && b.cold_misses - a.cold_misses == 1);
    CHECK(b.store_operations - a.store_operations >= 2);
    CHECK(b.retrieve_operations - a.retrieve_operations == 3);
    CHECK(b.delete_operations - a.delete_operations == 1);
    CHECK(b.hot_demotions - a.hot_demotions == 2);
    CHECK(b.hot_promotions - a.hot_promotions == 1);
    CHECK(b.hot_entries == 1 && b.cold_entries == 1);
    CHECK(b.hit_ratio > 0.66 && b.hit_ratio < 0.67);
    CHECK(b.store_mean_ns > 0 && b.retrieve_mean_ns > 0 && b.mean_ns > 0);
    CHECK(b.p50_ns <= b.p99_ns && b.p99_ns <= b.p999_ns);
    CHECK(b.store_p99_ns > 0 && b.store_p99_ns < 10000000000u);
    OK(hotcold_clear(s, &error));
    CHECK(stats_of(s).clear_operations - b.clear_operations == 1);
    CHECK(stats_of(s).hot_entries == 0 && stats_of(s).cold_entries == 0);
}

/* Memory and disk grow and shrink with what is stored. */
static void sums(hotcold_t *s, const char *directory) {
    static char bytes[100000];
    char name[16], command[4400];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)((i * 2654435761u) >> 13);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "key%d", i);
        OK(hotcold_store(s, name, strlen(name), bytes, sizeof bytes, &error));
    }
    hotcold_stats_t b = stats_of(s);
    CHECK(b.hot_bytes >= 100 * sizeof bytes && b.hot_bytes <= b.hot_capacity);
    CHECK(b.memory_hot >= b.hot_bytes && b.memory_keydir > 0);
    CHECK(b.memory_total >= b.memory_hot + b.memory_keydir + b.memory_buffers);
    CHECK(b.cold_bytes_live >= 100 * sizeof bytes && b.cold_bytes_disk >= b.cold_bytes_live);
    CHECK(b.cold_bytes_written >= 100 * sizeof bytes && b.cold_segments >= 1);
    OK(hotcold_compact(s, &error));
    b = stats_of(s);
    CHECK(b.cold_unfrozen_bytes == 0 && b.cold_read_only == 0 && b.cold_corrupt_records == 0);
    CHECK(b.cold_bytes_disk < 200 * sizeof bytes);
    /* The figure is what the directory really has. */
    snprintf(command, sizeof command,
             "test $(find '%s' -type f -printf '%%s\\n' | awk '{s += $1} END {print s}') -le %" PRIu64,
             directory, b.cold_bytes_disk + 1000000);
    CHECK(system(command) == 0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "key%d", i);
        OK(hotcold_delete(s, name, strlen(name), &error));
    }
    OK(hotcold_compact(s, &error));
    CHECK(stats_of(s).cold_bytes_disk < sizeof bytes && stats_of(s).hot_bytes == 0);
    CHECK(stats_of(s).cold_compactions > 0);
}

int main(void) {
    hotcold_t *s = NULL;
    const char *directory = fresh("s");
    OK(hotcold_open(directory, NULL, &s, &error));
    sizes(s);
    counts(s);
    sums(s, directory);
    OK(hotcold_close(s, &error));
    return 0;
}
