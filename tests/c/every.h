/* Every function of the header that reaches a store, called once each, for tests that call them all
 * where that is hard: on a small stack, on a thread that ends, without memory. */
#ifndef EVERY_H
#define EVERY_H
#include "check.h"

/* Above 64 KiB a record is read in another way. */
enum { EVERY_LONG_BYTES = 200 << 10 };

struct every {
    hotcold_t *s;
    const char *path; /* of the store */
    int turn;         /* makes new keys and directories */
    hotcold_t *opened;
    hotcold_error_t error;
};

static const char *every_name(struct every *e, const char *what) {
    static char names[8][4300];
    static int next;
    char *name = names[next++ % 8];
    snprintf(name, sizeof names[0], "%s.%s.%d", e->path, what, e->turn);
    return name;
}

static const char *every_value(void) {
    static char value[EVERY_LONG_BYTES];
    for (size_t i = 0; value[1] == 0 && i < sizeof value; i++) {
        value[i] = (char)(i % 251 + i / 5000);
    }
    return value;
}

static int32_t every_take(int32_t status, hotcold_value_t *value) {
    hotcold_value_release(value);
    return status;
}

static int32_t every_open(struct every *e) {
    return hotcold_open(every_name(e, "own"), NULL, &e->opened, &e->error);
}

static int32_t every_close(struct every *e) {
    hotcold_t *opened = e->opened;
    e->opened = NULL;
    return hotcold_close(opened, &e->error);
}

static int32_t every_store(struct every *e) {
    return hotcold_store(e->s, "new", 3, "value", 5, &e->error);
}

static int32_t every_store_long(struct every *e) {
    return hotcold_store(e->s, "long", 4, every_value(), EVERY_LONG_BYTES, &e->error);
}

static int32_t every_store_with(struct every *e) {
    hotcold_store_options_t o = {.ttl = 3600000, .flags = HOTCOLD_STORE_SYNC};
    uint64_t version;
    return hotcold_store_with(e->s, "ttl", 3, "value", 5, &o, sizeof o, &version, &e->error);
}

static int32_t every_demote(struct every *e) {
    return hotcold_optimize_hot(e->s, 0, NULL, &e->error);
}

static int32_t every_retrieve(struct every *e) {
    hotcold_value_t value;
    return every_take(hotcold_retrieve(e->s, "cold", 4, &value, &e->error), &value);
}

static int32_t every_retrieve_long(struct every *e) {
    hotcold_value_t value;
    return every_take(hotcold_retrieve(e->s, "long", 4, &value, &e->error), &value);
}

static int32_t every_retrieve_with(struct every *e) {
    hotcold_value_t value;
    const uint32_t flags = HOTCOLD_RETRIEVE_NO_PROMOTE;
    return every_take(hotcold_retrieve_with(e->s, "ttl", 3, flags, &value, &e->error), &value);
}

static int32_t every_retrieve_into(struct every *e) {
    char buffer[64];
    size_t len;
    return hotcold_retrieve_into(e->s, "new", 3, buffer, sizeof buffer, &len, &e->error);
}

static int32_t every_contains(struct every *e) {
    return hotcold_contains(e->s, "cold", 4, &e->error);
}

static int32_t every_delete(struct every *e) { return hotcold_delete(e->s, "new", 3, &e->error); }

static int32_t every_load_value(void *user_data, const void *key, size_t key_len,
                                hotcold_loaded_t *out) {
    hotcold_value_t value;
    struct every *e = user_data;
    (void)key, (void)key_len;
    every_take(hotcold_retrieve(e->s, "cold", 4, &value, NULL), &value);
    return hotcold_loaded_set(out, "loaded", 6, 0, NULL);
}

static int32_t every_load(struct every *e) {
    char key[32];
    hotcold_value_t value;
    size_t len = (size_t)snprintf(key, sizeof key, "load%d", e->turn);
    return every_take(
        hotcold_retrieve_or_load(e->s, key, len, every_load_value, e, &value, &e->error), &value);
}

static int32_t every_write(struct every *e) {
    hotcold_batch_t *b = hotcold_batch_new();
    int32_t status = b ? HOTCOLD_OK : HOTCOLD_OUT_OF_MEMORY;
    for (int i = 0; status == HOTCOLD_OK && i < 20; i++) {
        char key[32];
        size_t len = (size_t)snprintf(key, sizeof key, "batch%d", i);
        status = hotcold_batch_store(b, key, len, every_value(), 300, NULL, 0, &e->error);
    }
    if (status == HOTCOLD_OK) {
        status = hotcold_batch_delete(b, "batch3", 6, &e->error);
    }
    if (status == HOTCOLD_OK) {
        status = hotcold_write(e->s, b, HOTCOLD_WRITE_SYNC, &e->error);
    }
    hotcold_batch_free(b);
    return status;
}

static int32_t every_retrieve_many(struct every *e) {
    const hotcold_slice_t keys[] = {{"cold", 4}, {"long", 4}, {"absent", 6}};
    hotcold_value_t values[3];
    int32_t statuses[3];
    int32_t status = hotcold_retrieve_many(e->s, keys, 3, values, statuses, &e->error);
    for (int i = 0; i < 3; i++) {
        hotcold_value_release(&values[i]);
    }
    return status;
}

static int32_t every_cursor(struct every *e) {
    hotcold_cursor_t *c;
    hotcold_slice_t key;
    int32_t status = hotcold_cursor_open(e->s, "", 0, &c, &e->error);
    while (status == HOTCOLD_OK && (status = hotcold_cursor_next(c, &key, &e->error)) == 0) {
        hotcold_value_t value;
        status = every_take(hotcold_cursor_value(c, &value, &e->error), &value);
    }
    hotcold_cursor_close(c);
    return status == HOTCOLD_END ? HOTCOLD_OK : status;
}

static int32_t every_warm_up(struct every *e) {
    const hotcold_slice_t keys[] = {{"cold", 4}, {"long", 4}};
    size_t loaded;
    return hotcold_warm_up(e->s, keys, 2, &loaded, &e->error);
}

static void every_event(void *user_data, const hotcold_event_t *event) {
    (void)user_data, (void)event;
}

static int32_t every_subscribe(struct every *e) {
    uint64_t subscription;
    int32_t status = hotcold_subscribe(e->s, HOTCOLD_EVENT_ALL, every_event, NULL, NULL,
                                       &subscription, &e->error);
    if (status == HOTCOLD_OK) {
        status = hotcold_store(e->s, "event", 5, "value", 5, &e->error);
        int32_t ended = hotcold_unsubscribe(e->s, subscription, status ? NULL : &e->error);
        status = status ? status : ended;
    }
    return status;
}

static int32_t every_queue(struct every *e) {
    hotcold_event_queue_t *q;
    const hotcold_event_t *event;
    int32_t status = hotcold_event_queue_open(e->s, HOTCOLD_EVENT_ALL, 10, &q, &e->error);
    if (status == HOTCOLD_OK) {
        status = hotcold_store(e->s, "queue", 5, "value", 5, &e->error);
    }
    if (status == HOTCOLD_OK) {
        status = hotcold_event_queue_next(q, 0, &event, &e->error);
        hotcold_event_queue_dropped(q);
    }
    hotcold_event_queue_close(q);
    return status == HOTCOLD_NOT_FOUND ? HOTCOLD_OK : status;
}

static int32_t every_stats(struct every *e) {
    hotcold_stats_t stats;
    return hotcold_stats(e->s, &stats, sizeof stats, &e->error);
}

static int32_t every_stats_text(struct every *e) {
    hotcold_value_t text;
    return every_take(hotcold_stats_text(e->s, HOTCOLD_STATS_JSON, &text, &e->error), &text);
}

static int32_t every_forget(struct every *e) {
    int32_t status = hotcold_forget(e->s, "cold", 4, &e->error);
    return status == HOTCOLD_NOT_FOUND ? HOTCOLD_OK : status;
}

static int32_t every_sync(struct every *e) { return hotcold_sync(e->s, &e->error); }

static int32_t every_verify(struct every *e) {
    uint64_t records, damaged;
    int32_t status = hotcold_verify(e->s, &records, &damaged, &e->error);
    return status ? status : damaged ? HOTCOLD_CORRUPT : HOTCOLD_OK;
}

static int32_t every_backup(struct every *e) {
    return hotcold_backup(e->s, every_name(e, "copy"), &e->error);
}

static int32_t every_compact(struct every *e) { return hotcold_compact(e->s, &e->error); }

static int32_t every_clear(struct every *e) { return hotcold_clear(e->s, &e->error); }

/* `cold` is stored at first; what later calls of the list need the earlier ones leave. */
static const struct every_call {
    const char *name;
    int32_t (*run)(struct every *);
} every_call[] = {
    {"store", every_store},
    {"store (long)", every_store_long},
    {"store_with", every_store_with},
    {"optimize_hot", every_demote},
    {"retrieve (cold)", every_retrieve},
    {"retrieve (hot)", every_retrieve},
    {"forget", every_forget},
    {"retrieve (long)", every_retrieve_long},
    {"retrieve_with", every_retrieve_with},
    {"retrieve_into", every_retrieve_into},
    {"contains", every_contains},
    {"retrieve_or_load", every_load},
    {"write", every_write},
    {"retrieve_many", every_retrieve_many},
    {"cursor", every_cursor},
    {"subscribe", every_subscribe},
    {"event_queue", every_queue},
    {"stats", every_stats},
    {"stats_text", every_stats_text},
    {"sync", every_sync},
    {"delete", every_delete},
    {"verify", every_verify},
    {"backup", every_backup},
    {"compact", every_compact},
    {"optimize_hot", every_demote},
    {"warm_up (compressed)", every_warm_up},
    {"optimize_hot", every_demote},
    {"retrieve (compressed)", every_retrieve},
    {"retrieve (long, compressed)", every_retrieve_long},
    {"open", every_open},
    {"close", every_close},
    {"clear", every_clear},
};
enum { EVERY_CALLS = sizeof every_call / sizeof *every_call };
#endif
