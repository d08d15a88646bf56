/* retrieve_or_load: a load runs once for all who ask, and what happens when it cannot. */
#include "check.h"
#include <pthread.h>

typedef struct {
    hotcold_t *store;
    int calls, gives;
    const char *value;
    uint64_t ttl;
} loader_t;

static int32_t load(void *user_data, const void *key, size_t key_len, hotcold_loaded_t *out) {
    loader_t *l = user_data;
    CHECK(key_len == 1 && memcmp(key, "k", 1) == 0);
    l->calls++;
    if (l->value) {
        CHECK(hotcold_loaded_set(out, l->value, strlen(l->value), l->ttl, NULL) == HOTCOLD_OK);
    }
    return l->gives;
}

static void outcomes(const char *directory) {
    hotcold_t *s = NULL;
    hotcold_value_t value = garbage();
    loader_t l = {NULL, 0, 0, NULL, 0};
    OK(hotcold_open(directory, NULL, &s, &error));
    GIVES(HOTCOLD_NOT_FOUND, hotcold_retrieve_or_load(s, "k", 1, load, &l, &value, &error));
    CHECK(l.calls == 1 && is_empty(&value));
    l.gives = 42;
    l.value = "not stored";
    GIVES(HOTCOLD_CALLBACK_FAILED, hotcold_retrieve_or_load(s, "k", 1, load, &l, &value, &error));
    CHECK(error.os_code == 42 && is_empty(&value));
    HAS(s, "k", NULL);
    l.gives = 0;
    l.value = "loaded";
    OK(hotcold_retrieve_or_load(s, "k", 1, load, &l, &value, &error));
    CHECK(value.len == 6 && memcmp(value.data, "loaded", 6) == 0 && value.version != 0);
    hotcold_value_release(&value);
    CHECK(l.calls == 3);
    OK(hotcold_retrieve_or_load(s, "k", 1, load, &l, &value, &error)); /* it is there now */
    CHECK(l.calls == 3);
    hotcold_value_release(&value);
    HAS(s, "k", "loaded");
    OK(hotcold_delete(s, "k", 1, &error));
    l.ttl = 100;
    OK(hotcold_retrieve_or_load(s, "k", 1, load, &l, &value, &error));
    CHECK(value.expires_at != 0);
    hotcold_value_release(&value);
    pause_ms(150);
    HAS(s, "k", NULL);
    GIVES(HOTCOLD_INVALID_ARGUMENT,
          hotcold_retrieve_or_load(s, "k", 1, NULL, NULL, &value, &error));
    OK(hotcold_close(s, &error));
}

/* Inside: everything but close, and not the same key again. */
static int32_t load_inside(void *user_data, const void *key, size_t key_len,
                           hotcold_loaded_t *out) {
    loader_t *l = user_data;
    hotcold_value_t value;
    CHECK(hotcold_close(l->store, NULL) == HOTCOLD_MISUSE);
    CHECK(hotcold_retrieve_or_load(l->store, key, key_len, load_inside, l, &value, NULL) ==
          HOTCOLD_MISUSE);
    CHECK(hotcold_store(l->store, "beside", 6, "v", 1, NULL) == HOTCOLD_OK);
    l->calls++;
    return hotcold_loaded_set(out, "v", 1, 0, NULL);
}

/* A store during a load wins: the loaded value goes to the one who asked, and is not stored. */
static int32_t load_overtaken(void *user_data, const void *key, size_t key_len,
                              hotcold_loaded_t *out) {
    loader_t *l = user_data;
    CHECK(hotcold_store(l->store, key, key_len, "stored", 6, NULL) == HOTCOLD_OK);
    return hotcold_loaded_set(out, "loaded", 6, 0, NULL);
}

static void inside(void) {
    loader_t l = {NULL, 0, 0, NULL, 0};
    hotcold_value_t value;
    OK(hotcold_open(fresh("inside"), NULL, &l.store, &error));
    OK(hotcold_retrieve_or_load(l.store, "k", 1, load_inside, &l, &value, &error));
    hotcold_value_release(&value);
    CHECK(l.calls == 1);
    HAS(l.store, "beside", "v");
    OK(hotcold_delete(l.store, "k", 1, &error));
    OK(hotcold_retrieve_or_load(l.store, "k", 1, load_overtaken, &l, &value, &error));
    CHECK(value.len == 6 && memcmp(value.data, "loaded", 6) == 0);
    hotcold_value_release(&value);
    HAS(l.store, "k", "stored");
    OK(hotcold_close(l.store, &error));
}

/* Many threads ask at once: one load. */
static loader_t shared;

static int32_t load_slowly(void *user_data, const void *key, size_t key_len,
                           hotcold_loaded_t *out) {
    pause_ms(100);
    return load(user_data, key, key_len, out);
}

static void *ask(void *unused) {
    hotcold_value_t value;
    (void)unused;
    CHECK(hotcold_retrieve_or_load(shared.store, "k", 1, load_slowly, &shared, &value, NULL) ==
          HOTCOLD_OK);
    CHECK(value.len == 6 && memcmp(value.data, "shared", 6) == 0);
    hotcold_value_release(&value);
    return NULL;
}

static void once_for_all(void) {
    pthread_t threads[16];
    shared.value = "shared";
    OK(hotcold_open(NULL, NULL, &shared.store, &error));
    for (int i = 0; i < 16; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask, NULL) == 0);
    }
    for (int i = 0; i < 16; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(shared.calls == 1);
    OK(hotcold_close(shared.store, &error));
}

int main(void) {
    outcomes(fresh("outcomes"));
    outcomes(NULL);
    inside();
    once_for_all();
    return 0;
}
