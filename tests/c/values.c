/* Values: what they say, how long they live, how they are released. */
#include "check.h"

static void they_outlive_everything(void) {
    hotcold_t *s = NULL;
    hotcold_value_t hot, cold;
    OK(hotcold_open(fresh("outlive"), NULL, &s, &error));
    put(s, "k", "first");
    OK(hotcold_retrieve(s, "k", 1, &hot, &error));
    OK(hotcold_optimize_hot(s, 0, &(size_t){0}, &error));
    OK(hotcold_retrieve(s, "k", 1, &cold, &error));
    CHECK(hot.tier == HOTCOLD_TIER_HOT && cold.tier == HOTCOLD_TIER_COLD);
    CHECK(hot.version == cold.version && hot.version != 0);
    put(s, "k", "second");
    OK(hotcold_delete(s, "k", 1, &error));
    OK(hotcold_clear(s, &error));
    OK(hotcold_close(s, &error));
    CHECK(hot.len == 5 && memcmp(hot.data, "first", 5) == 0);
    CHECK(cold.len == 5 && memcmp(cold.data, "first", 5) == 0);
    hotcold_value_release(&hot);
    CHECK(is_empty(&hot));
    hotcold_value_release(&hot); /* an empty one: nothing happens */
    hotcold_value_release(&cold);
}

static void their_fields(void) {
    hotcold_t *s = NULL;
    hotcold_value_t value = garbage();
    OK(hotcold_open(fresh("fields"), NULL, &s, &error));
    OK(hotcold_store(s, "empty", 5, NULL, 0, &error));
    OK(hotcold_retrieve(s, "empty", 5, &value, &error));
    CHECK(value.data != NULL && value.len == 0);
    CHECK(value.flags == 0 && value.reserved[0] == 0 && value.reserved[1] == 0);
    CHECK(value.expires_at == 0);
    hotcold_value_release(&value);
    value = garbage();
    GIVES(HOTCOLD_NOT_FOUND, hotcold_retrieve(s, "none", 4, &value, &error));
    CHECK(is_empty(&value));
    OK(hotcold_close(s, &error));
}

/* Every store gives another version, also after closing and opening. */
static void versions_do_not_repeat(void) {
    uint64_t seen[30];
    int count = 0;
    for (int open = 0; open < 3; open++) {
        hotcold_t *s = NULL;
        OK(hotcold_open(fresh("versions"), NULL, &s, &error));
        for (int i = 0; i < 10; i++) {
            hotcold_value_t value;
            put(s, "k", "same");
            OK(hotcold_retrieve(s, "k", 1, &value, &error));
            for (int j = 0; j < count; j++) {
                CHECK(seen[j] != value.version);
            }
            seen[count++] = value.version;
            hotcold_value_release(&value);
        }
        OK(hotcold_close(s, &error));
    }
}

static void held_values_are_counted(void) {
    hotcold_t *s = OPEN(fresh("held"), "hot_capacity", "0");
    static char bytes[1 << 20];
    hotcold_value_t value;
    OK(hotcold_store(s, "k", 1, bytes, sizeof bytes, &error));
    uint64_t before = stats_of(s).memory_held;
    OK(hotcold_retrieve(s, "k", 1, &value, &error));
    CHECK(stats_of(s).memory_held >= before + sizeof bytes);
    hotcold_value_release(&value);
    CHECK(stats_of(s).memory_held <= before + 4096);
    OK(hotcold_close(s, &error));
}

int main(void) {
    they_outlive_everything();
    their_fields();
    versions_do_not_repeat();
    held_values_are_counted();
    return 0;
}
