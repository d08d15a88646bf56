/* retrieve_many: each key has its own status. */
#include "check.h"

int main(void) {
    hotcold_t *s = NULL;
    hotcold_slice_t keys[4] = {{"hot", 3}, {"none", 4}, {"cold", 4}, {NULL, 1}};
    hotcold_value_t values[4];
    int32_t statuses[4];
    size_t demoted;
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    put(s, "cold", "c");
    OK(hotcold_optimize_hot(s, 0, &demoted, &error));
    put(s, "hot", "h");

    for (int i = 0; i < 4; i++) {
        values[i] = garbage();
    }
    OK(hotcold_retrieve_many(s, keys, 3, values, statuses, &error));
    CHECK(statuses[0] == HOTCOLD_OK && values[0].tier == HOTCOLD_TIER_HOT);
    CHECK(statuses[1] == HOTCOLD_NOT_FOUND && is_empty(&values[1]));
    CHECK(statuses[2] == HOTCOLD_OK && values[2].tier == HOTCOLD_TIER_COLD);
    CHECK(values[2].len == 1 && values[2].data[0] == 'c');
    for (int i = 0; i < 3; i++) {
        hotcold_value_release(&values[i]);
    }
    /* One that cannot be asked for: the others are answered, and error has the failure. */
    CHECK(hotcold_retrieve_many(s, keys, 4, values, statuses, &error) == HOTCOLD_OK);
    CHECK(statuses[3] == HOTCOLD_INVALID_ARGUMENT && is_empty(&values[3]));
    CHECK(error.status == HOTCOLD_INVALID_ARGUMENT);
    for (int i = 0; i < 4; i++) {
        hotcold_value_release(&values[i]);
    }
    OK(hotcold_retrieve_many(s, NULL, 0, NULL, NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve_many(s, keys, 3, values, NULL, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve_many(s, keys, 3, NULL, statuses, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_retrieve_many(s, NULL, 3, values, statuses, &error));
    OK(hotcold_close(s, &error));
    values[0] = garbage();
    GIVES(HOTCOLD_MISUSE, hotcold_retrieve_many(s, keys, 3, values, statuses, &error));
    CHECK(is_empty(&values[0]) && is_empty(&values[2]) && statuses[0] == HOTCOLD_MISUSE);
    return 0;
}
