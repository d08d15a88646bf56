/* A cold tier of functions: every call over a map, what it says of failures, who is told of changes, and
 * paths that name an engine. */
#include "check.h"

#include <pthread.h>

enum { ITEMS_MAX = 256 };

typedef struct {
    char *key, *data;
    size_t key_len, len;
    uint64_t version;
} item_t;

/* What is at the engine, and what the test does to it. */
static struct {
    pthread_mutex_t lock;
    item_t items[ITEMS_MAX];
    uint64_t next;
    int32_t fails;        /* what the next get or put answers; 0: nothing goes wrong */
    const char *words;    /* said in front of it */
    hotcold_watch_t *sink;
    int dropped, gets, puts;
} map = {.lock = PTHREAD_MUTEX_INITIALIZER};

static item_t *find(const void *key, size_t len) {
    for (item_t *item = map.items; item < map.items + ITEMS_MAX; item++) {
        if (item->key && item->key_len == len && memcmp(item->key, key, len) == 0) return item;
    }
    return NULL;
}

static int32_t leave(int32_t status) {
    pthread_mutex_unlock(&map.lock);
    return status;
}

/* Whether a call is to fail, and it has said why. */
static int32_t fails(void) {
    int32_t status = map.fails;
    map.fails = 0;
    if (status != 0) {
        hotcold_backend_count(HOTCOLD_BACKEND_RETRIES, 2);
        return hotcold_backend_fail(status, map.words);
    }
    return 0;
}

static int32_t get(void *user_data, const void *key, size_t key_len, uint64_t known_version,
                   uint64_t timeout_ms, hotcold_record_t *out) {
    CHECK(user_data == &map && timeout_ms > 0);
    pthread_mutex_lock(&map.lock);
    map.gets++;
    int32_t status = fails();
    if (status != 0) return leave(status);
    item_t *item = find(key, key_len);
    if (!item) return leave(HOTCOLD_NOT_FOUND);
    if (item->version == known_version) return leave(hotcold_record_same(out, NULL));
    return leave(hotcold_record_set(out, item->data, item->len, NULL));
}

static void drop_item(item_t *item) {
    free(item->key);
    free(item->data);
    memset(item, 0, sizeof *item);
}

static int32_t put_one(const void *key, size_t key_len, const void *data, size_t len,
                       uint64_t version) {
    item_t *item = find(key, key_len);
    for (item_t *free = map.items; !item && free < map.items + ITEMS_MAX; free++) {
        if (!free->key) item = free;
    }
    CHECK(item != NULL);
    drop_item(item);
    item->key = malloc(key_len + 1);
    item->data = malloc(len + 1);
    memcpy(item->key, key, item->key_len = key_len);
    memcpy(item->data, data, item->len = len);
    item->version = version;
    return HOTCOLD_OK;
}

static int is_met(const void *key, size_t key_len, const uint64_t *if_version) {
    item_t *item = find(key, key_len);
    return !if_version || *if_version == (item ? item->version : 0);
}

static int32_t put_record(void *user_data, const void *key, size_t key_len, const void *data,
                          size_t len, uint64_t version, uint64_t expires_at,
                          const uint64_t *if_version, uint64_t timeout_ms) {
    (void)expires_at;
    CHECK(user_data == &map && timeout_ms > 0);
    pthread_mutex_lock(&map.lock);
    map.puts++;
    int32_t status = fails();
    if (status != 0) return leave(status);
    if (!is_met(key, key_len, if_version)) return leave(HOTCOLD_CONFLICT);
    return leave(put_one(key, key_len, data, len, version));
}

static int32_t remove_record(void *user_data, const void *key, size_t key_len,
                             const uint64_t *if_version, uint64_t timeout_ms) {
    CHECK(user_data == &map && timeout_ms > 0);
    pthread_mutex_lock(&map.lock);
    if (!is_met(key, key_len, if_version)) return leave(HOTCOLD_CONFLICT);
    item_t *item = find(key, key_len);
    if (!item) return leave(HOTCOLD_NOT_FOUND);
    drop_item(item);
    return leave(HOTCOLD_OK);
}

/* Pages of seven, in the order of the array. */
static int32_t list(void *user_data, const void *prefix, size_t prefix_len, const void *after,
                    size_t after_len, hotcold_page_t *out, uint64_t timeout_ms) {
    size_t at = 0, count = 0;
    CHECK(user_data == &map && timeout_ms > 0);
    if (after_len == sizeof at) memcpy(&at, after, sizeof at);
    pthread_mutex_lock(&map.lock);
    for (; at < ITEMS_MAX && count < 7; at++) {
        item_t *item = &map.items[at];
        if (item->key && item->key_len >= prefix_len &&
            memcmp(item->key, prefix, prefix_len) == 0) {
            CHECK(hotcold_page_add(out, item->key, item->key_len, NULL) == HOTCOLD_OK);
            count++;
        }
    }
    CHECK(hotcold_page_next(out, &at, sizeof at, NULL) == HOTCOLD_OK);
    return leave(at < ITEMS_MAX ? HOTCOLD_OK : HOTCOLD_END);
}

static int32_t versions(void *user_data, uint64_t count, uint64_t *first, uint64_t timeout_ms) {
    CHECK(user_data == &map && timeout_ms > 0);
    pthread_mutex_lock(&map.lock);
    *first = map.next += 1000;
    map.next += count;
    return leave(HOTCOLD_OK);
}

static int32_t clear_all(void *user_data, uint64_t timeout_ms) {
    CHECK(user_data == &map && timeout_ms > 0);
    pthread_mutex_lock(&map.lock);
    for (item_t *item = map.items; item < map.items + ITEMS_MAX; item++) drop_item(item);
    return leave(HOTCOLD_OK);
}

static int32_t nothing(void *user_data, uint64_t timeout_ms) {
    CHECK(user_data == &map && timeout_ms > 0);
    return HOTCOLD_OK;
}

static int32_t write_all(void *user_data, const hotcold_change_t *changes, size_t n,
                         uint64_t timeout_ms) {
    CHECK(user_data == &map && timeout_ms > 0);
    pthread_mutex_lock(&map.lock);
    for (size_t i = 0; i < n; i++) {
        const hotcold_change_t *c = &changes[i];
        if (!is_met(c->key, c->key_len, c->if_version)) return leave(HOTCOLD_CONFLICT);
    }
    for (size_t i = 0; i < n; i++) {
        const hotcold_change_t *c = &changes[i];
        item_t *item = find(c->key, c->key_len);
        if (c->data) {
            put_one(c->key, c->key_len, c->data, c->len, c->version);
        } else if (item) {
            drop_item(item);
        }
    }
    return leave(HOTCOLD_OK);
}

static int32_t watch(void *user_data, hotcold_watch_t *sink) {
    CHECK(user_data == &map);
    map.sink = sink;
    return HOTCOLD_OK;
}

static uint32_t part(void *user_data, const void *key, size_t key_len) {
    CHECK(user_data == &map);
    return key_len ? ((const unsigned char *)key)[0] : 0;
}

/* The sink is valid until this has returned. */
static void dropped(void *user_data) {
    CHECK(user_data == &map);
    pthread_mutex_lock(&map.lock);
    hotcold_watch_all(map.sink, HOTCOLD_LINK_ALL);
    map.sink = NULL;
    map.dropped++;
    pthread_mutex_unlock(&map.lock);
}

static hotcold_backend_t table(void) {
    hotcold_backend_t b;
    memset(&b, 0, sizeof b);
    b.capabilities = HOTCOLD_BACKEND_CAS | HOTCOLD_BACKEND_WATCH | HOTCOLD_BACKEND_CLEAR |
                     HOTCOLD_BACKEND_BATCH | HOTCOLD_BACKEND_DURABLE;
    b.get = get, b.put = put_record, b.remove = remove_record, b.list = list, b.clear = clear_all;
    b.versions = versions, b.write = write_all, b.watch = watch, b.sync = nothing, b.part = part;
    b.compact = nothing;
    return b;
}

static hotcold_t *open_over(const hotcold_backend_t *b, const char *const *options) {
    hotcold_options_t *o = hotcold_options_new();
    hotcold_t *s = NULL;
    OK(hotcold_options_set(o, "coherence", "1s", &error));
    for (; options && options[0]; options += 2) {
        OK(hotcold_options_set(o, options[0], options[1], &error));
    }
    OK(hotcold_open_backend(b, sizeof *b, &map, dropped, o, &s, &error));
    hotcold_options_free(o);
    hotcold_watch_alive(map.sink, HOTCOLD_LINK_ONE, 0);
    return s;
}

static void close_over(hotcold_t *s) {
    int before = map.dropped;
    OK(hotcold_close(s, &error));
    CHECK(map.dropped == before + 1);
    clear_all(&map, 1);
}

static void opening(void) {
    struct { hotcold_backend_t b; void *later; } more = {table(), NULL};
    hotcold_backend_t b = table();
    hotcold_options_t *o = hotcold_options_new();
    hotcold_t *s = (hotcold_t *)1;
    int drops = 0;
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open_backend(NULL, sizeof b, &map, dropped, NULL, &s, &error));
    CHECK(s == NULL && map.dropped == ++drops);
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open_backend(&b, 0, &map, dropped, NULL, &s, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open_backend(&b, 7, &map, dropped, NULL, &s, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open_backend(&b, sizeof b, &map, dropped, NULL, NULL, &error));
    /* A program that knows less of the table, and one that knows more. */
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open_backend(&b, 16, &map, dropped, NULL, &s, &error));
    CHECK(map.dropped == (drops += 4));
    OK(hotcold_open_backend(&b, offsetof(hotcold_backend_t, sync), &map, dropped, NULL, &s, &error));
    OK(hotcold_close(s, &error));
    OK(hotcold_open_backend(&more.b, sizeof more, &map, dropped, NULL, &s, &error));
    OK(hotcold_close(s, &error));
    more.later = &more;
    GIVES(HOTCOLD_UNSUPPORTED,
          hotcold_open_backend(&more.b, sizeof more, &map, dropped, NULL, &s, &error));
    CHECK(map.dropped == (drops += 3));
    b.watch = NULL;
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open_backend(&b, sizeof b, &map, dropped, NULL, &s, &error));
    CHECK(strstr(error.message, "watch"));
    b = table();
    OK(hotcold_options_set(o, "cold_capacity", "16MiB", &error));
    GIVES(HOTCOLD_UNSUPPORTED, hotcold_open_backend(&b, sizeof b, &map, dropped, o, &s, &error));
    CHECK(map.dropped == (drops += 2));
    /* Nobody has to be told of the end. */
    OK(hotcold_open_backend(&b, sizeof b, &map, NULL, NULL, &s, &error));
    OK(hotcold_close(s, &error));
    hotcold_options_free(o);
}

static int32_t load(void *user_data, const void *key, size_t key_len, hotcold_loaded_t *out) {
    (void)user_data;
    return hotcold_loaded_set(out, key, key_len, 0, NULL);
}

static void calls(void) {
    hotcold_backend_t b = table();
    hotcold_t *s = open_over(&b, NULL);
    hotcold_store_options_t o = {0, 0, HOTCOLD_STORE_IF_VERSION, 0};
    hotcold_value_t value, values[2];
    hotcold_slice_t keys[2] = {{"a", 1}, {"none", 4}}, key;
    hotcold_cursor_t *cursor;
    hotcold_batch_t *batch = hotcold_batch_new();
    uint64_t version = 0, records = 0, damaged = 0, current = 0;
    int32_t statuses[2];
    size_t len = 0, count = 0;
    char buffer[8], name[16];

    put(s, "a", "1");
    HAS(s, "a", "1");
    HAS(s, "none", NULL);
    OK(hotcold_store_with(s, "b", 1, "2", 1, &o, sizeof o, &version, &error));
    GIVES(HOTCOLD_CONFLICT, hotcold_store_with(s, "b", 1, "3", 1, &o, sizeof o, &current, &error));
    CHECK(version > 0 && current == version);
    OK(hotcold_retrieve_with(s, "b", 1, HOTCOLD_RETRIEVE_FRESH, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_COLD && value.version == version);
    hotcold_value_release(&value);
    hotcold_watch_alive(map.sink, HOTCOLD_LINK_ONE, 0);
    OK(hotcold_retrieve_with(s, "b", 1, HOTCOLD_RETRIEVE_NO_RECENCY, &value, &error));
    CHECK(value.tier == HOTCOLD_TIER_HOT);
    hotcold_value_release(&value);
    OK(hotcold_retrieve_into(s, "a", 1, buffer, sizeof buffer, &len, &error));
    OK(hotcold_contains(s, "a", 1, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_contains(s, "none", 4, &error));
    OK(hotcold_forget(s, "a", 1, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_forget(s, "a", 1, &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_forget(s, NULL, 1, &error));
    OK(hotcold_warm_up(s, keys, 2, &count, &error));
    CHECK(count == 1);
    OK(hotcold_optimize_hot(s, 0, &count, &error));
    OK(hotcold_retrieve_many(s, keys, 2, values, statuses, &error));
    CHECK(statuses[0] == HOTCOLD_OK && statuses[1] == HOTCOLD_NOT_FOUND);
    hotcold_value_release(&values[0]);
    OK(hotcold_retrieve_or_load(s, "loaded", 6, load, NULL, &value, &error));
    hotcold_value_release(&value);
    HAS(s, "loaded", "loaded");
    OK(hotcold_delete(s, "loaded", 6, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_delete(s, "loaded", 6, &error));

    OK(hotcold_batch_store(batch, "a", 1, "new", 3, NULL, 0, &error));
    OK(hotcold_batch_store(batch, "c", 1, "new", 3, &o, sizeof o, &error));
    OK(hotcold_batch_delete(batch, "b", 1, &error));
    OK(hotcold_write(s, batch, HOTCOLD_WRITE_SYNC, &error));
    GIVES(HOTCOLD_CONFLICT, hotcold_write(s, batch, 0, &error));
    hotcold_batch_free(batch);
    HAS(s, "a", "new");
    HAS(s, "b", NULL);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "walk/%d", i);
        put(s, name, "value");
    }
    OK(hotcold_cursor_open(s, "walk/", 5, &cursor, &error));
    for (count = 0; hotcold_cursor_next(cursor, &key, &error) == HOTCOLD_OK; count++) {
        OK(hotcold_cursor_value(cursor, &value, &error));
        hotcold_value_release(&value);
    }
    hotcold_cursor_close(cursor);
    CHECK(count == 50);
    OK(hotcold_sync(s, &error));
    OK(hotcold_compact(s, &error));
    OK(hotcold_verify(s, &records, &damaged, &error));
    CHECK(records == 52 && damaged == 0);
    GIVES(HOTCOLD_UNSUPPORTED, hotcold_backup(s, fresh("copy"), &error));
    OK(hotcold_stats_text(s, HOTCOLD_STATS_JSON, &value, &error));
    CHECK(strstr((const char *)value.data, "\"remote\":{\"requests\":") && strstr((const char *)value.data, "\"backend\""));
    hotcold_value_release(&value);
    CHECK(stats_of(s).remote_requests > 60 && stats_of(s).remote_bytes_out > 0);
    CHECK(stats_of(s).remote_errors == 0 && stats_of(s).remote_retries == 0);
    OK(hotcold_clear(s, &error));
    HAS(s, "a", NULL);
    close_over(s);
}

static void failures(void) {
    static const int32_t known[] = {HOTCOLD_IO, HOTCOLD_NO_SPACE, HOTCOLD_TIMEOUT,
                                    HOTCOLD_UNAVAILABLE, HOTCOLD_TOO_LARGE, HOTCOLD_FENCED};
    hotcold_backend_t b = table();
    hotcold_t *s = open_over(&b, NULL);
    hotcold_value_t value;
    put(s, "key", "value");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int puts = map.puts;
        map.fails = known[i];
        map.words = "the table is gone";
        GIVES(known[i], hotcold_store(s, "key", 3, "new", 3, &error));
        CHECK(strstr(error.message, "the table is gone") && error.os_code == 0);
        CHECK(map.puts == puts + 1); /* sent once */
        map.fails = known[i];
        map.words = NULL;
        GIVES(known[i], hotcold_retrieve(s, "other", 5, &value, &error));
        CHECK(strstr(error.message, hotcold_status_name(known[i])));
    }
    map.fails = -99;
    GIVES(HOTCOLD_CALLBACK_FAILED, hotcold_store(s, "key", 3, "new", 3, &error));
    CHECK(error.os_code == -99);
    map.fails = HOTCOLD_END;
    GIVES(HOTCOLD_CALLBACK_FAILED, hotcold_store(s, "key", 3, "new", 3, &error));
    map.fails = HOTCOLD_INTERNAL;
    GIVES(HOTCOLD_CALLBACK_FAILED, hotcold_retrieve(s, "other", 5, &value, &error));
    HAS(s, "key", "value"); /* asked for again */
    put(s, "key", "written again");
    CHECK(stats_of(s).remote_errors == 15 && stats_of(s).remote_timeouts == 2);
    CHECK(stats_of(s).remote_retries == 30);
    put_one("foreign", 7, "no record", 9, 5);
    GIVES(HOTCOLD_CORRUPT, hotcold_retrieve(s, "foreign", 7, &value, &error));
    close_over(s);
}

/* What another machine does: the record of one key becomes that of another version. */
static void other_machine_deletes(const char *key) {
    pthread_mutex_lock(&map.lock);
    drop_item(find(key, strlen(key)));
    pthread_mutex_unlock(&map.lock);
}

static void *tells(void *stop) {
    for (int i = 0; !*(volatile int *)stop; i++) {
        pthread_mutex_lock(&map.lock);
        hotcold_watch_key(map.sink, "key", 3, (uint64_t)i);
        hotcold_watch_alive(map.sink, HOTCOLD_LINK_ONE, 0);
        if (i % 100 == 0) hotcold_watch_all(map.sink, HOTCOLD_LINK_ONE);
        pthread_mutex_unlock(&map.lock);
    }
    return NULL;
}

static void watching(void) {
    hotcold_backend_t b = table();
    hotcold_t *s = open_over(&b, NULL);
    pthread_t thread;
    int stop = 0, gets;
    put(s, "key", "value");
    gets = map.gets;
    hotcold_watch_alive(map.sink, HOTCOLD_LINK_ONE, 0);
    HAS(s, "key", "value");
    CHECK(map.gets == gets);
    other_machine_deletes("key");
    hotcold_watch_key(map.sink, "key", 3, 0);
    HAS(s, "key", NULL);
    put(s, "key", "value");
    pause_ms(1100); /* the link is silent, and the engine is asked */
    gets = map.gets;
    HAS(s, "key", "value");
    CHECK(map.gets == gets + 1 && stats_of(s).remote_revalidations > 0);
    hotcold_watch_parts(map.sink, 0, 16383, HOTCOLD_LINK_NONE);
    hotcold_watch_alive(map.sink, HOTCOLD_LINK_ONE, 0);
    HAS(s, "key", "value");
    HAS(s, "key", "value");
    CHECK(map.gets == gets + 3);
    hotcold_watch_parts(map.sink, 0, 16383, HOTCOLD_LINK_ONE);
    /* Told of all the time, and closed meanwhile. */
    CHECK(pthread_create(&thread, NULL, tells, &stop) == 0);
    for (int i = 0; i < light(2000, 100); i++) {
        put(s, "key", "value");
        HAS(s, "key", "value");
    }
    CHECK(stats_of(s).remote_invalidations > 0);
    OK(hotcold_close(s, &error));
    stop = 1;
    pthread_join(thread, NULL);
    clear_all(&map, 1);
}

static void lenient(void) {
    hotcold_backend_t b = table();
    hotcold_t *s = open_over(&b, (const char *const[]){"policy", "lenient", NULL});
    hotcold_value_t value;
    map.fails = HOTCOLD_UNAVAILABLE;
    map.words = "away";
    CHECK(hotcold_store(s, "key", 3, "kept", 4, &error) == HOTCOLD_OK);
    CHECK(error.status == HOTCOLD_UNAVAILABLE && strstr(error.message, "away"));
    HAS(s, "key", "kept");
    OK(hotcold_sync(s, &error));
    CHECK(find("key", 3) != NULL);
    map.fails = HOTCOLD_UNAVAILABLE;
    CHECK(hotcold_retrieve(s, "none", 4, &value, &error) == HOTCOLD_NOT_FOUND);
    CHECK(error.status == HOTCOLD_UNAVAILABLE);
    close_over(s);
}

static void without_capabilities(void) {
    hotcold_backend_t b = table();
    hotcold_store_options_t o = {0, 0, HOTCOLD_STORE_IF_VERSION, 0};
    hotcold_batch_t *batch = hotcold_batch_new();
    b.capabilities = 0;
    hotcold_t *s = open_over(&b, NULL);
    put(s, "a", "1");
    put(s, "b", "1");
    GIVES(HOTCOLD_UNSUPPORTED, hotcold_store_with(s, "a", 1, "2", 1, &o, sizeof o, NULL, &error));
    o.flags = HOTCOLD_STORE_SYNC;
    GIVES(HOTCOLD_UNSUPPORTED, hotcold_store_with(s, "a", 1, "2", 1, &o, sizeof o, NULL, &error));
    GIVES(HOTCOLD_UNSUPPORTED, hotcold_sync(s, &error));
    OK(hotcold_batch_store(batch, "a", 1, "new", 3, NULL, 0, &error));
    OK(hotcold_batch_store(batch, "b", 1, "new", 3, NULL, 0, &error));
    GIVES(HOTCOLD_UNSUPPORTED, hotcold_write(s, batch, 0, &error));
    hotcold_batch_free(batch);
    HAS(s, "a", "1");
    OK(hotcold_clear(s, &error)); /* listed and removed */
    CHECK(find("a", 1) == NULL && find("b", 1) == NULL);
    close_over(s);
}

/* The library that serves them is not beside this one. */
static void addresses(void) {
    static const char *const paths[] = {"redis://h/p", "redis+cluster://h:1,h:2/p", "rediss://h",
                                        "rediss+cluster://h", "s3://bucket/prefix"};
    hotcold_options_t *o = hotcold_options_new();
    const char *const *pairs;
    hotcold_t *s;
    OK(hotcold_options_set(o, "remote.password", "secret", &error));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open(fresh("local"), o, &s, &error));
    CHECK(strstr(error.message, "remote.password") && !strstr(error.message, "secret"));
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_open(NULL, o, &s, &error));
    for (size_t i = 0; i < sizeof paths / sizeof *paths && getenv("HOTCOLD_REMOTE") == NULL; i++) {
        GIVES(HOTCOLD_UNSUPPORTED, hotcold_open(paths[i], o, &s, &error));
        CHECK(strstr(error.message, "install hotcold-remote") && !strstr(error.message, "secret"));
    }
    OK(hotcold_options_set(o, "coherence", "250ms", &error));
    OK(hotcold_options_remote(o, &pairs, &error));
    CHECK(strcmp(pairs[0], "coherence") == 0 && strcmp(pairs[1], "250") == 0);
    CHECK(strcmp(pairs[8], "remote.password") == 0 && strcmp(pairs[9], "secret") == 0);
    CHECK(pairs[10] == NULL);
    OK(hotcold_options_remote(o, &pairs, &error)); /* the list before is gone */
    OK(hotcold_options_remote(NULL, &pairs, &error));
    CHECK(strcmp(pairs[1], "1000") == 0 && pairs[8] == NULL);
    GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_options_remote(o, NULL, &error));
    hotcold_options_free(o);
    /* No such scheme: a directory. */
    s = OPEN(fresh("redis:x"), "hot_capacity", "1MiB");
    GIVES(HOTCOLD_NOT_FOUND, hotcold_forget(s, "none", 4, &error));
    put(s, "key", "value");
    OK(hotcold_forget(s, "key", 3, &error));
    HAS(s, "key", "value");
    OK(hotcold_close(s, &error));
}

int main(void) {
    opening();
    calls();
    failures();
    watching();
    lenient();
    without_capabilities();
    addresses();
    return 0;
}
