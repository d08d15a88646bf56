/* The two tiers: a store larger than its memory, how to fill and empty the hot tier by hand, and
 * where the answers came from. */
#include <hotcold.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 1000, VALUE_BYTES = 4096 };

static hotcold_error_t error;

/* Ends the program with the store's own words if a call failed. */
static void check(hotcold_status_t status, const char *call) {
    if (status < 0) {
        fprintf(stderr, "tiers: %s: %s: %s\n", call, hotcold_status_name(status), error.message);
        exit(1);
    }
}

static size_t make_key(char key[32], int number) {
    return (size_t)snprintf(key, 32, "user/%06d", number);
}

static void print_tiers(hotcold_t *store, const char *moment) {
    hotcold_stats_t stats;
    check(hotcold_stats(store, &stats, sizeof stats, &error), "stats");
    printf("%-28s hot %5" PRIu64 " entries, %5" PRIu64 " KiB, %5" PRIu64 " hits;  "
           "cold %5" PRIu64 " entries, %5" PRIu64 " hits\n",
           moment, stats.hot_entries, stats.hot_bytes / 1024, stats.hot_hits, stats.cold_entries,
           stats.cold_hits);
}

static void read_all(hotcold_t *store) {
    char key[32];
    hotcold_value_t value;
    for (int i = 0; i < KEYS; i++) {
        check(hotcold_retrieve(store, key, make_key(key, i), &value, &error), "retrieve");
        hotcold_value_release(&value);
    }
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "tiers.store";
    hotcold_options_t *options = hotcold_options_new();
    hotcold_t *store = NULL;
    static char bytes[VALUE_BYTES];
    char names[100][32];
    hotcold_slice_t keys[100];
    size_t loaded = 0, demoted = 0;

    /* A quarter of the values fits into memory. */
    check(hotcold_options_set(options, "hot_capacity", "1MiB", &error), "options_set");
    check(hotcold_open(directory, options, &store, &error), "open");
    hotcold_options_free(options);

    for (int i = 0; i < KEYS; i++) {
        char key[32];
        memset(bytes, 'a' + i % 26, sizeof bytes);
        check(hotcold_store(store, key, make_key(key, i), bytes, sizeof bytes, &error), "store");
    }
    print_tiers(store, "after storing:");

    read_all(store); /* what is not hot is read from disk, and becomes hot */
    print_tiers(store, "after reading all:");

    check(hotcold_optimize_hot(store, 0, &demoted, &error), "optimize_hot");
    print_tiers(store, "after emptying hot:");

    for (size_t i = 0; i < 100; i++) {
        keys[i].len = make_key(names[i], (int)i);
        keys[i].data = names[i];
    }
    check(hotcold_warm_up(store, keys, 100, &loaded, &error), "warm_up");
    print_tiers(store, "after warming up 100 keys:");
    printf("%zu demoted, %zu loaded\n", demoted, loaded);

    check(hotcold_close(store, &error), "close");
    return loaded == 100 ? 0 : 1;
}
