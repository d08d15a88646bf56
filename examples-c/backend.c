/* A cold tier of one's own: a map behind a mutex, in about thirty lines of functions. Two stores over it
 * share what they keep, as two machines would that share a database. */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <hotcold_backend_check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORDS_MAX = 1000 };

typedef struct record {
    size_t key_len, len;
    uint64_t version;
    char *bytes; /* the key, and the record behind it; NULL: the place is free */
} record_t;

static struct {
    pthread_mutex_t lock;
    uint64_t next_version;
    record_t records[RECORDS_MAX];
} map = {PTHREAD_MUTEX_INITIALIZER, 0, {{0, 0, 0, NULL}}};

/* The place of a key; NULL if it has none. */
static record_t *find(const void *key, size_t len) {
    for (record_t *r = map.records; r < map.records + RECORDS_MAX; r++) {
        if (r->bytes && r->key_len == len && memcmp(r->bytes, key, len) == 0) {
            return r;
        }
    }
    return NULL;
}

/* [functions] */
static int32_t unlocked(int32_t status) { return pthread_mutex_unlock(&map.lock), status; }

static int32_t get(void *user_data, const void *key, size_t key_len, uint64_t known_version,
                   uint64_t timeout_ms, hotcold_record_t *out) {
    (void)user_data, (void)timeout_ms, pthread_mutex_lock(&map.lock);
    record_t *r = find(key, key_len);
    if (!r) return unlocked(HOTCOLD_NOT_FOUND);
    if (r->version == known_version) return unlocked(hotcold_record_same(out, NULL));
    return unlocked(hotcold_record_set(out, r->bytes + key_len, r->len, NULL));
}

static int32_t put(void *user_data, const void *key, size_t key_len, const void *data, size_t len,
                   uint64_t version, uint64_t expires_at, const uint64_t *if_version,
                   uint64_t timeout_ms) {
    (void)user_data, (void)expires_at, (void)timeout_ms, pthread_mutex_lock(&map.lock);
    record_t *r = find(key, key_len);
    if (if_version && *if_version != (r ? r->version : 0)) return unlocked(HOTCOLD_CONFLICT);
    for (record_t *free = map.records; !r && free < map.records + RECORDS_MAX; free++) {
        if (!free->bytes) r = free;
    }
    char *bytes = r ? realloc(r->bytes, key_len + len) : NULL;
    if (!bytes) return unlocked(hotcold_backend_fail(HOTCOLD_NO_SPACE, "the map is full"));
    if (key_len) memcpy(bytes, key, key_len);
    memcpy(bytes + key_len, data, len);
    *r = (record_t){key_len, len, version, bytes};
    return unlocked(HOTCOLD_OK);
}

static int32_t take_out(void *user_data, const void *key, size_t key_len,
                        const uint64_t *if_version, uint64_t timeout_ms) {
    (void)user_data, (void)timeout_ms, pthread_mutex_lock(&map.lock);
    record_t *r = find(key, key_len);
    if (if_version && *if_version != (r ? r->version : 0)) return unlocked(HOTCOLD_CONFLICT);
    if (!r) return unlocked(HOTCOLD_NOT_FOUND);
    free(r->bytes), r->bytes = NULL;
    return unlocked(HOTCOLD_OK);
}

/* All of them on one page. */
static int32_t list(void *user_data, const void *prefix, size_t prefix_len, const void *after,
                    size_t after_len, hotcold_page_t *out, uint64_t timeout_ms) {
    (void)user_data, (void)after, (void)after_len, (void)timeout_ms, pthread_mutex_lock(&map.lock);
    for (record_t *r = map.records; r < map.records + RECORDS_MAX; r++) {
        if (r->bytes && r->key_len >= prefix_len && memcmp(r->bytes, prefix, prefix_len) == 0) {
            hotcold_page_add(out, r->bytes, r->key_len, NULL);
        }
    }
    return unlocked(HOTCOLD_END);
}

/* Never below the time in microseconds, so that a map that has forgotten all gives none again. */
static int32_t versions(void *user_data, uint64_t count, uint64_t *first, uint64_t timeout_ms) {
    uint64_t now = (uint64_t)time(NULL) * 1000000;
    (void)user_data, (void)timeout_ms, pthread_mutex_lock(&map.lock);
    *first = map.next_version > now ? map.next_version : now;
    map.next_version = *first + count;
    return unlocked(HOTCOLD_OK);
}
/* [functions] */

static void check(int32_t status, const hotcold_error_t *error) {
    if (status < 0) {
        fprintf(stderr, "backend: %s: %s\n", hotcold_status_name(status), error->message);
        exit(1);
    }
}

static hotcold_backend_t table(void) {
    hotcold_backend_t backend = {0};
    backend.capabilities = HOTCOLD_BACKEND_CAS;
    backend.get = get, backend.put = put, backend.remove = take_out;
    backend.list = list, backend.versions = versions;
    return backend;
}

static hotcold_t *open_store(void) {
    hotcold_backend_t backend = table();
    hotcold_options_t *options = hotcold_options_new();
    hotcold_error_t error;
    hotcold_t *store;
    /* What the other store changes is seen within this time. */
    check(hotcold_options_set(options, "coherence", "100ms", &error), &error);
    check(hotcold_open_backend(&backend, sizeof backend, NULL, NULL, options, &store, &error),
          &error);
    hotcold_options_free(options);
    return store;
}

static void show(const char *who, hotcold_t *store, uint32_t flags) {
    hotcold_value_t value;
    hotcold_error_t error;
    check(hotcold_retrieve_with(store, "greeting", 8, flags, &value, &error), &error);
    printf("%s: %.*s (%s)\n", who, (int)value.len, (const char *)value.data,
           value.tier == HOTCOLD_TIER_HOT ? "from memory" : "from the map");
    hotcold_value_release(&value);
}

/* With --check it does not show anything, but checks the functions. */
int main(int argc, char **argv) {
    hotcold_backend_t backend = table();
    hotcold_error_t error;
    if (argc > 1 && strcmp(argv[1], "--check") == 0) {
        return hotcold_backend_check(&backend, sizeof backend, NULL, NULL, NULL, stdout) != 0;
    }
    hotcold_t *here = open_store(), *there = open_store();
    struct timespec coherence = {0, 120 * 1000000};

    check(hotcold_store(here, "greeting", 8, "hello", 5, &error), &error);
    show("here ", here, 0);
    show("there", there, 0);
    show("there", there, 0);
    check(hotcold_store(here, "greeting", 8, "good evening", 12, &error), &error);
    show("there, at once", there, HOTCOLD_RETRIEVE_FRESH);
    check(hotcold_store(here, "greeting", 8, "good night", 10, &error), &error);
    nanosleep(&coherence, NULL);
    show("there, soon", there, 0);

    check(hotcold_close(here, &error), &error);
    check(hotcold_close(there, &error), &error);
    for (record_t *r = map.records; r < map.records + RECORDS_MAX; r++) {
        free(r->bytes);
    }
    return 0;
}
