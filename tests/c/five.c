/* store, retrieve, delete, clear, and their answers over closing and opening. */
#include "check.h"

static void each(hotcold_t *s) {
    HAS(s, "a", NULL);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_delete(s, "a", 1, &error));
    put(s, "a", "1");
    put(s, "b", "2");
    HAS(s, "a", "1");
    put(s, "a", "longer than before");
    HAS(s, "a", "longer than before");
    put(s, "a", "");
    HAS(s, "a", "");
    OK(hotcold_delete(s, "a", 1, &error));
    HAS(s, "a", NULL);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_delete(s, "a", 1, &error));
    HAS(s, "b", "2");
    OK(hotcold_clear(s, &error));
    HAS(s, "b", NULL);
    OK(hotcold_clear(s, &error)); /* an empty one too */
    put(s, "b", "3");
    HAS(s, "b", "3");
}

static void any_bytes_are_a_key(hotcold_t *s) {
    static const char zeros[3] = {0, 0, 0};
    for (size_t len = 0; len <= 3; len++) {
        OK(hotcold_store(s, zeros, len, &len, sizeof len, &error));
    }
    for (size_t len = 0; len <= 3; len++) {
        hotcold_value_t value;
        OK(hotcold_retrieve(s, zeros, len, &value, &error));
        CHECK(value.len == sizeof len && memcmp(value.data, &len, sizeof len) == 0);
        hotcold_value_release(&value);
    }
    OK(hotcold_delete(s, NULL, 0, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, zeros, 0, &error));
    OK(hotcold_contains(s, zeros, 1, &error));
}

static void reopening_keeps_all(void) {
    hotcold_t *s = NULL;
    char key[16], value[16];
    for (int round = 0; round < 4; round++) {
        OK(hotcold_open(fresh("reopen"), NULL, &s, &error));
        for (int i = 0; round > 0 && i < 1000; i++) {
            snprintf(key, sizeof key, "key%d", i);
            snprintf(value, sizeof value, "%d in %d", i, round - 1);
            HAS(s, key, i % 5 == 1 ? NULL : value);
        }
        for (int i = 0; i < 1000; i++) {
            snprintf(key, sizeof key, "key%d", i);
            snprintf(value, sizeof value, "%d in %d", i, round);
            put(s, key, value);
            if (i % 5 == 1) {
                OK(hotcold_delete(s, key, strlen(key), &error));
            }
        }
        if (round == 1) {
            OK(hotcold_sync(s, &error));
        } else if (round == 2) {
            OK(hotcold_compact(s, &error));
        }
        OK(hotcold_close(s, &error));
    }
    OK(hotcold_open(fresh("reopen"), NULL, &s, &error));
    OK(hotcold_clear(s, &error));
    OK(hotcold_close(s, &error));
    OK(hotcold_open(fresh("reopen"), NULL, &s, &error));
    HAS(s, "key0", NULL);
    CHECK(stats_of(s).cold_entries == 0);
    OK(hotcold_close(s, &error));
}

/* The files are their owner's alone. */
static void the_directory_is_private(void) {
    hotcold_t *s = NULL;
    char command[4400];
    OK(hotcold_open(fresh("private"), NULL, &s, &error));
    put(s, "k", "v");
    OK(hotcold_close(s, &error));
    snprintf(command, sizeof command, "test -z \"$(find '%s' -type f -perm /077)\"",
             fresh("private"));
    CHECK(system(command) == 0);
}

int main(void) {
    hotcold_t *mixed = NULL, *hot = NULL, *cold = OPEN(fresh("cold"), "hot_capacity", "0");
    OK(hotcold_open(fresh("mixed"), NULL, &mixed, &error));
    OK(hotcold_open(NULL, NULL, &hot, &error));
    hotcold_t *const all[] = {mixed, hot, cold};
    for (int i = 0; i < 3; i++) {
        each(all[i]);
        any_bytes_are_a_key(all[i]);
        OK(hotcold_close(all[i], &error));
    }
    reopening_keeps_all();
    the_directory_is_private();
    return 0;
}
