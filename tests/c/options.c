/* Every option by its name: what parses, what does not, and what cannot go together. */
#include "check.h"

static hotcold_options_t *o;

static void takes(const char *name, const char *value) {
    OK(hotcold_options_set(o, name, value, &error));
}

/* Refused, and the message names the option. */
static void refuses(const char *name, const char *value) {
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set(o, name, value, &error));
    CHECK(strstr(error.message, name) != NULL);
}

static void each_name(void) {
    static const char *const good[][2] = {
        {"hot_capacity", "0"}, {"hot_capacity", "1048576"}, {"hot_capacity", "64KiB"},
        {"hot_capacity", "3MiB"}, {"hot_capacity", "2GiB"}, {"hot_max_entries", "1000"},
        {"hot_ttl", "0"}, {"hot_ttl", "500ms"}, {"hot_ttl", "2s"}, {"hot_ttl", "3m"},
        {"hot_ttl", "4h"}, {"hot_ttl", "5d"}, {"eviction", "lru"}, {"eviction", "tinylfu"},
        {"compression", "none"}, {"compression", "deflate:0"}, {"compression", "deflate:9"},
        {"compression", "lz4"}, {"compression", "zstd:1"}, {"compression", "zstd:19"},
        {"policy", "strict"}, {"policy", "lenient"}, {"write_mode", "through"},
        {"write_mode", "back"}, {"durability", "process"}, {"durability", "sync"},
        {"sync_interval", "0"}, {"sync_interval", "1s"}, {"cold_capacity", "0"},
        {"cold_capacity", "16MiB"}, {"warm_start", "true"}, {"warm_start", "false"},
        {"create", "true"}, {"create", "false"}, {"read_only", "true"}, {"read_only", "false"},
        {"storage_id", "the name of it"}};
    static const char *const bad[][2] = {
        {"hot_capacity", ""}, {"hot_capacity", "-1"}, {"hot_capacity", "64MB"},
        {"hot_capacity", "1.5MiB"}, {"hot_capacity", "MiB"}, {"hot_capacity", "64Mib"},
        {"hot_capacity", "18446744073709551616"}, {"hot_capacity", "99999999999GiB"},
        {"hot_capacity", "0x10"}, {"hot_capacity", "1s"}, {"hot_max_entries", "many"},
        {"hot_ttl", "1w"}, {"hot_ttl", "1 MiB"}, {"hot_ttl", "99999999999999999999d"},
        {"eviction", "LRU"}, {"eviction", "fifo"}, {"compression", "deflat"},
        {"compression", "deflate:10"}, {"compression", "deflate:"}, {"compression", "zstd:0"},
        {"compression", "zstd:20"}, {"compression", "lz4:1"}, {"policy", "loose"},
        {"write_mode", "around"}, {"durability", "none"}, {"sync_interval", "soon"},
        {"cold_capacity", "1"}, {"cold_capacity", "16777215"}, {"warm_start", "yes"},
        {"create", "maybe"}, {"read_only", "TRUE"}, {"storage_id", ""}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        takes(good[i][0], good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuses(bad[i][0], bad[i][1]);
    }
    refuses("hot_capacit", "1");
    refuses("HOT_CAPACITY", "1");
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set(o, "", "1", &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set(o, NULL, "1", &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set(o, "policy", NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set(o, "storage_id", "\xFF\xFE", &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set(NULL, "policy", "strict", &error));
    /* The message says what would be right. */
    refuses("compression", "deflat");
    CHECK(strstr(error.message, "deflate:0..9") != NULL);
}

static void numbers(void) {
    OK(hotcold_options_set_u64(o, "hot_capacity", 1 << 20, &error));
    OK(hotcold_options_set_u64(o, "hot_max_entries", UINT64_MAX, &error));
    OK(hotcold_options_set_u64(o, "hot_ttl", UINT64_MAX, &error));
    OK(hotcold_options_set_u64(o, "sync_interval", 250, &error));
    OK(hotcold_options_set_u64(o, "cold_capacity", 1 << 24, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set_u64(o, "cold_capacity", 5, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set_u64(o, "compression", 6, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set_u64(o, "nothing", 6, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set_u64(o, NULL, 6, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_set_u64(NULL, "hot_ttl", 6, &error));
}

static void open_refuses(const char *path, const char *const *pairs) {
    hotcold_options_t *set = hotcold_options_new();
    hotcold_t *s = (hotcold_t *)&s; /* must be emptied */
    for (; *pairs; pairs += 2) {
        OK(hotcold_options_set(set, pairs[0], pairs[1], &error));
    }
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open(path, set, &s, &error));
    CHECK(s == NULL);
    hotcold_options_free(set);
}

static void combinations(void) {
    open_refuses(NULL, (const char *const[]){"hot_capacity", "0", NULL});
    open_refuses(fresh("a"),
                 (const char *const[]){"write_mode", "back", "durability", "sync", NULL});
    CHECK(access(fresh("a"), F_OK) != 0); /* and nothing was made */
}

/* Options are copied by open: changing or freeing them later does not matter. */
static void are_copied(void) {
    hotcold_options_t *set = hotcold_options_new();
    hotcold_t *s = NULL;
    OK(hotcold_options_set(set, "hot_capacity", "123456", &error));
    OK(hotcold_open(NULL, set, &s, &error));
    OK(hotcold_options_set(set, "hot_capacity", "1MiB", &error));
    hotcold_options_free(set);
    CHECK(stats_of(s).hot_capacity == 123456);
    OK(hotcold_close(s, &error));
}

int main(void) {
    o = hotcold_options_new();
    CHECK(o != NULL);
    each_name();
    numbers();
    hotcold_options_free(o);
    hotcold_options_free(NULL);
    combinations();
    are_copied();
    return 0;
}
