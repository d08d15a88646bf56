/* store_with: expiry, conditions, flags, and the size of its options. */
#include "check.h"

static hotcold_status_t put_with(hotcold_t *s, const char *key, const char *value, uint64_t ttl,
                                 uint32_t flags, uint64_t if_version, uint64_t *version) {
    hotcold_store_options_t o = {ttl, if_version, flags, 0};
    return hotcold_store_with(s, key, strlen(key), value, strlen(value), &o, sizeof o, version,
                              &error);
}

static void expiry(const char *directory) {
    hotcold_t *s = NULL;
    hotcold_value_t value;
    uint64_t version, now = (uint64_t)time(NULL) * 1000;
    OK(hotcold_open(directory, NULL, &s, &error));
    OK(put_with(s, "short", "v", 200, 0, 0, &version));
    OK(put_with(s, "long", "v", 3600000, 0, 0, &version));
    OK(put_with(s, "ever", "v", UINT64_MAX, 0, 0, &version)); /* saturates at never */
    OK(put_with(s, "freed", "v", 200, 0, 0, &version));
    put(s, "freed", "w"); /* a store without ttl removes an earlier one */
    OK(hotcold_retrieve(s, "long", 4, &value, &error));
    CHECK(value.expires_at >= now + 3600000 && value.expires_at <= now + 3600000 + 60000);
    hotcold_value_release(&value);
    OK(hotcold_retrieve(s, "ever", 4, &value, &error));
    CHECK(value.expires_at == 0);
    hotcold_value_release(&value);
    if (directory) { /* and over reopening */
        OK(hotcold_close(s, &error));
        OK(hotcold_open(directory, NULL, &s, &error));
    }
    pause_ms(300);
    HAS(s, "short", NULL);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, "short", 5, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_delete(s, "short", 5, &error));
    HAS(s, "long", "v");
    HAS(s, "ever", "v");
    HAS(s, "freed", "w");
    hotcold_cursor_t *cursor = NULL;
    hotcold_slice_t key;
    int count = 0;
    OK(hotcold_cursor_open(s, NULL, 0, &cursor, &error));
    while (hotcold_cursor_next(cursor, &key, &error) == HOTCOLD_OK) {
        count++;
    }
    CHECK(count == 3);
    hotcold_cursor_close(cursor);
    OK(hotcold_close(s, &error));
}

static void conditions(const char *directory) {
    hotcold_t *s = NULL;
    uint64_t first = 0, second = 0, none = 7;
    const uint32_t condition = HOTCOLD_STORE_IF_VERSION;
    OK(hotcold_open(directory, NULL, &s, &error));
    OK(put_with(s, "k", "1", 0, condition, 0, &first)); /* absent */
    CHECK(first != 0);
    GIVES(HOTCOLD_CONFLICT, put_with(s, "k", "2", 0, condition, 0, &none));
    OK(put_with(s, "k", "2", 0, condition, first, &second));
    CHECK(second != first);
    GIVES(HOTCOLD_CONFLICT, put_with(s, "k", "3", 0, condition, first, &none));
    HAS(s, "k", "2");
    OK(hotcold_delete(s, "k", 1, &error));
    GIVES(HOTCOLD_CONFLICT, put_with(s, "k", "3", 0, condition, second, &none));
    OK(put_with(s, "k", "4", 0, condition, 0, &first));
    /* What has expired is absent. */
    OK(put_with(s, "gone", "1", 50, 0, 0, &first));
    pause_ms(100);
    GIVES(HOTCOLD_CONFLICT, put_with(s, "gone", "2", 0, condition, first, &none));
    OK(put_with(s, "gone", "2", 0, condition, 0, &second));
    HAS(s, "gone", "2");
    OK(hotcold_close(s, &error));
}

static void flags_and_size(hotcold_t *s) {
    uint64_t version;
    hotcold_value_t value;
    struct { hotcold_store_options_t o; uint64_t later; } newer = {{0, 0, 0, 0}, 0};
    OK(put_with(s, "cold", "v", 0, HOTCOLD_STORE_COLD_ONLY, 0, &version));
    CHECK(stats_of(s).hot_entries == 0);
    OK(hotcold_retrieve_with(s, "cold", 4, HOTCOLD_RETRIEVE_NO_PROMOTE, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_COLD && value.version == version);
    hotcold_value_release(&value);
    put(s, "cold", "now in both");
    OK(put_with(s, "cold", "w", 0, HOTCOLD_STORE_COLD_ONLY, 0, &version));
    HAS(s, "cold", "w"); /* the older one has left hot */
    OK(put_with(s, "sync", "v", 0, HOTCOLD_STORE_SYNC, 0, &version));
    HAS(s, "sync", "v");

    OK(hotcold_store_with(s, "k", 1, "v", 1, NULL, 0, &version, &error)); /* all defaults */
    OK(hotcold_store_with(s, "k", 1, "v", 1, &newer.o, sizeof newer, &version, &error));
    newer.later = 1; /* asks for what this library does not know */
    GIVES(HOTCOLD_INVALID_ARGUMENT,
          hotcold_store_with(s, "k", 1, "v", 1, &newer.o, sizeof newer, &version, &error));
    CHECK(version == 0);
    newer.o.reserved = 1;
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_store_with(s, "k", 1, "v", 1, &newer.o, sizeof newer.o,
                                                       &version, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, put_with(s, "k", "v", 0, 8, 0, &version));
}

int main(void) {
    hotcold_t *s = NULL;
    expiry(fresh("expiry"));
    expiry(NULL);
    conditions(fresh("conditions"));
    conditions(NULL);
    OK(hotcold_open(fresh("flags"), NULL, &s, &error));
    flags_and_size(s);
    OK(hotcold_close(s, &error));
    return 0;
}
