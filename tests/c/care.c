/* Verify, and statistics as text. */
#include "check.h"

enum { KEYS = 500 };

static void has_text(const hotcold_value_t *text, const char *part) {
    char *copy = malloc(text->len + 1);
    CHECK(copy);
    memcpy(copy, text->data, text->len);
    copy[text->len] = 0;
    if (!strstr(copy, part)) {
        fprintf(stderr, "'%s' is not in:\n%s\n", part, copy);
        exit(1);
    }
    free(copy);
}

static void text(hotcold_t *s) {
    hotcold_value_t value;
    OK(hotcold_stats_text(s, HOTCOLD_STATS_JSON, &value, &error));
    CHECK(value.data[0] == '{');
    has_text(&value, "\"hot\"");
    has_text(&value, "\"cold\"");
    has_text(&value, "\"combined\"");
    has_text(&value, "\"operations\"");
    has_text(&value, "\"p999_ns\"");
    hotcold_value_release(&value);
    OK(hotcold_stats_text(s, HOTCOLD_STATS_PROMETHEUS, &value, &error));
    has_text(&value, "# TYPE hotcold_");
    has_text(&value, "hot_entries");
    hotcold_value_release(&value);
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_stats_text(s, 3, &value, &error));
    CHECK(is_empty(&value));
}

int main(void) {
    hotcold_t *s = NULL;
    char name[16];
    uint64_t records = 0, damaged = 9;
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "key%d", i);
        put(s, name, name);
    }
    OK(hotcold_verify(s, &records, &damaged, &error));
    CHECK(records >= KEYS && damaged == 0);
    text(s);
    OK(hotcold_close(s, &error));
    return 0;
}
