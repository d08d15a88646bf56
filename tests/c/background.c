/* What happens without a call: expired entries leave, the disk stays bounded, hot keys come back. */
#include "check.h"

enum { VALUE_BYTES = 4096 };

static void store(hotcold_t *s, int key, uint64_t ttl) {
    static char value[VALUE_BYTES];
    hotcold_store_options_t o = {.ttl = ttl};
    char name[16];
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)((unsigned)key * 31u + i * i % 251u);
    }
    OK(hotcold_store_with(s, name, (size_t)snprintf(name, sizeof name, "%d", key), value,
                          sizeof value, &o, sizeof o, NULL, &error));
}

static int is_there(hotcold_t *s, int key) {
    char name[16];
    int32_t status =
        hotcold_contains(s, name, (size_t)snprintf(name, sizeof name, "%d", key), &error);
    CHECK(status == HOTCOLD_OK || status == HOTCOLD_NOT_FOUND);
    return status == HOTCOLD_OK;
}

/* What has expired leaves both tiers, and its space is free, though nobody asks for it. */
static void sweep(void) {
    const char *const settings[] = {"compression", "none", NULL};
    hotcold_t *s = open_with(fresh("sweep"), settings);
    for (int key = 0; key < 200; key++) {
        store(s, key, key < 150 ? 3000 : 0);
    }
    CHECK(stats_of(s).cold_entries == 200);
    for (int i = 0; i < 300 && stats_of(s).cold_entries > 50; i++) {
        pause_ms(100);
    }
    hotcold_stats_t stats = stats_of(s);
    CHECK(stats.cold_entries == 50 && stats.cold_expirations == 150);
    CHECK(stats.hot_entries == 50);
    CHECK(!is_there(s, 0) && is_there(s, 199));
    OK(hotcold_close(s, &error));
}

/* The disk stays within its bound, and what is read over and over stays, whichever tier serves it. */
static void bounded(const char *hot_capacity) {
    const char *const settings[] = {"compression",  "none",       "cold_capacity", "16MiB",
                                    "hot_capacity", hot_capacity, NULL};
    const int keys = light(20000, 6000), kept = 100;
    hotcold_t *s = open_with(fresh("bounded"), settings);
    uint64_t most = 0;
    for (int key = 0; key < keys; key++) {
        store(s, key, 0);
        if (key >= kept) {
            char name[16];
            hotcold_value_t value;
            size_t len = (size_t)snprintf(name, sizeof name, "%d", key % kept);
            OK(hotcold_retrieve(s, name, len, &value, &error));
            hotcold_value_release(&value);
        }
        if (key % 500 == 0) {
            uint64_t disk = stats_of(s).cold_bytes_disk;
            most = disk > most ? disk : most;
        }
    }
    CHECK(most > 8u << 20 && most <= (16u << 20) + (16u << 20) / 10);
    CHECK(stats_of(s).cold_evictions > 0);
    CHECK(!is_there(s, kept + 1));
    OK(hotcold_close(s, &error));
}

/* After all was deleted the disk and the memory of a key come back, though nobody asks for it. */
static void emptied(const char *compression, uint64_t least) {
    const char *const settings[] = {"compression",  compression, "cold_capacity", "64MiB",
                                    "hot_capacity", "0",         NULL};
    const int keys = light(60000, 20000);
    hotcold_t *s = open_with(fresh("emptied"), settings);
    static char value[1000];
    uint64_t keydir = stats_of(s).memory_keydir;
    /* Of each three the first is deleted while the others come, so that the tombstones are everywhere. */
    for (int key = 0; key < keys; key++) {
        OK(hotcold_store(s, &key, sizeof key, value, (size_t)key * 7919u % 300u, &error));
        if (key % 3 == 2) {
            int first = key - 2;
            OK(hotcold_delete(s, &first, sizeof first, &error));
        }
    }
    for (int key = 0; key < keys; key++) {
        int32_t status = hotcold_delete(s, &key, sizeof key, &error);
        CHECK(status == (key % 3 == 0 && key < keys - 2 ? HOTCOLD_NOT_FOUND : HOTCOLD_OK));
    }
    for (int i = 0; i < 200 && stats_of(s).cold_bytes_disk > least; i++) {
        pause_ms(50);
    }
    CHECK(stats_of(s).cold_bytes_disk <= least);
    CHECK(stats_of(s).memory_keydir <= keydir);
    OK(hotcold_close(s, &error));
}

/* The keys that were hot are hot again after a restart, without a call. */
static void warm(void) {
    const char *const settings[] = {"warm_start", "true", "hot_capacity", "1MiB", NULL};
    const char *path = fresh("warm");
    hotcold_t *s = open_with(path, settings);
    for (int key = 0; key < 400; key++) {
        store(s, key, 0);
    }
    uint64_t entries = stats_of(s).hot_entries;
    OK(hotcold_close(s, &error));
    s = open_with(path, settings);
    for (int i = 0; i < 100 && stats_of(s).hot_entries < entries / 2; i++) {
        pause_ms(50);
    }
    CHECK(stats_of(s).hot_entries >= entries / 2);
    char name[16];
    hotcold_value_t value;
    OK(hotcold_retrieve(s, name, (size_t)snprintf(name, sizeof name, "%d", 399), &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_HOT);
    hotcold_value_release(&value);
    OK(hotcold_close(s, &error));
}

int main(void) {
    sweep();
    bounded("64MiB");
    bounded("0");
    emptied("none", 100000);
    emptied("deflate:1", 100000);
    warm();
    return 0;
}
