/* Subscriptions: masks, what an event says, calling back, and the end of a subscription. */
#include "check.h"
#include <pthread.h>

typedef struct {
    int calls, drops;
    uint32_t kinds; /* all that came */
    char last_key[16];
    uint64_t last_version;
    hotcold_t *store;
    uint64_t subscription;
} listener_t;

static void note(void *user_data, const hotcold_event_t *event) {
    listener_t *l = user_data;
    CHECK(event->size >= sizeof *event);
    CHECK(event->kind != 0 && (event->kind & (event->kind - 1)) == 0); /* one bit */
    CHECK(strcmp(event->storage_id, "my events") == 0);
    CHECK((event->message != NULL) ==
          (event->kind == HOTCOLD_EVENT_ERROR || event->kind == HOTCOLD_EVENT_COMPACTED));
    l->calls++;
    l->kinds |= event->kind;
    l->last_version = event->version;
    snprintf(l->last_key, sizeof l->last_key, "%.*s", (int)event->key_len,
             event->key_len ? (const char *)event->key : "");
}

static void drop(void *user_data) { ((listener_t *)user_data)->drops++; }

static hotcold_t *open_named(const char *name) {
    return OPEN(name ? fresh(name) : NULL, "storage_id", "my events");
}

static void each_kind(void) {
    hotcold_t *s = open_named("kinds");
    listener_t l = {0};
    hotcold_value_t value;
    size_t demoted;
    uint64_t id = 0;
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ALL, note, &l, drop, &id, &error));
    put(s, "k", "v");
    CHECK(l.kinds & HOTCOLD_EVENT_ITEM_STORED && strcmp(l.last_key, "k") == 0);
    OK(hotcold_retrieve(s, "k", 1, &value, &error));
    CHECK(l.kinds & HOTCOLD_EVENT_ITEM_RETRIEVED && l.last_version == value.version);
    hotcold_value_release(&value);
    OK(hotcold_optimize_hot(s, 0, &demoted, &error));
    CHECK(l.kinds & HOTCOLD_EVENT_DEMOTED);
    HAS(s, "k", "v");
    CHECK(l.kinds & HOTCOLD_EVENT_PROMOTED);
    int calls = l.calls; /* no event for what was not found */
    HAS(s, "none", NULL);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_delete(s, "none", 4, &error));
    CHECK(l.calls == calls);
    OK(hotcold_delete(s, "k", 1, &error));
    CHECK(l.kinds & HOTCOLD_EVENT_ITEM_DELETED && strcmp(l.last_key, "k") == 0);
    OK(hotcold_clear(s, &error));
    CHECK(l.kinds & HOTCOLD_EVENT_STORAGE_CLEARED);
    OK(hotcold_unsubscribe(s, id, &error));
    CHECK(l.drops == 1);
    calls = l.calls;
    put(s, "k", "v");
    CHECK(l.calls == calls);
    GIVES(HOTCOLD_NOT_FOUND, hotcold_unsubscribe(s, id, &error));
    OK(hotcold_close(s, &error));
    CHECK(l.drops == 1);
}

static void masks(void) {
    hotcold_t *s = open_named(NULL);
    listener_t stored = {0}, deleted = {0}, nothing = {0}, unknown = {0};
    uint64_t ids[4];
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ITEM_STORED, note, &stored, NULL, &ids[0], &error));
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ITEM_DELETED, note, &deleted, drop, &ids[1], &error));
    OK(hotcold_subscribe(s, 0, note, &nothing, drop, &ids[2], &error));
    OK(hotcold_subscribe(s, 1u << 31 | HOTCOLD_EVENT_ITEM_STORED, note, &unknown, drop, &ids[3],
                         &error));
    CHECK(ids[0] != ids[1] && ids[1] != ids[2]);
    put(s, "k", "v");
    HAS(s, "k", "v");
    OK(hotcold_delete(s, "k", 1, &error));
    CHECK(stored.calls == 1 && stored.kinds == HOTCOLD_EVENT_ITEM_STORED);
    CHECK(deleted.calls == 1 && deleted.kinds == HOTCOLD_EVENT_ITEM_DELETED);
    CHECK(nothing.calls == 0 && unknown.calls == 1);
    OK(hotcold_close(s, &error)); /* ends them all */
    CHECK(deleted.drops == 1 && nothing.drops == 1 && unknown.drops == 1);
}

static void a_failed_subscribe_drops_too(void) {
    hotcold_t *s = open_named(NULL);
    listener_t l = {0};
    uint64_t id = 7;
    GIVES(HOTCOLD_INVALID_ARGUMENT,
          hotcold_subscribe(s, HOTCOLD_EVENT_ALL, NULL, &l, drop, &id, &error));
    CHECK(l.drops == 1 && id == 0);
    OK(hotcold_close(s, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_subscribe(s, HOTCOLD_EVENT_ALL, note, &l, drop, &id, &error));
    CHECK(l.drops == 2);
    GIVES(HOTCOLD_INVALID_ARGUMENT,
          hotcold_subscribe(NULL, HOTCOLD_EVENT_ALL, note, &l, drop, &id, &error));
    CHECK(l.drops == 3);
}

/* A callback may call everything but close; its own events do not enter it again, and are counted. */
static void call_back(void *user_data, const hotcold_event_t *event) {
    listener_t *l = user_data;
    hotcold_value_t value;
    note(user_data, event);
    /* The event came after its operation had taken effect. */
    CHECK(hotcold_retrieve(l->store, event->key, event->key_len, &value, NULL) == HOTCOLD_OK);
    CHECK(value.version == event->version);
    hotcold_value_release(&value);
    CHECK(hotcold_store(l->store, "from inside", 11, "v", 1, NULL) == HOTCOLD_OK);
    CHECK(hotcold_close(l->store, NULL) == HOTCOLD_MISUSE);
    CHECK(hotcold_compact(l->store, NULL) == HOTCOLD_OK);
}

static void callbacks_call_back(void) {
    hotcold_t *s = open_named("back");
    listener_t l = {0};
    uint64_t id;
    l.store = s;
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ITEM_STORED, call_back, &l, drop, &id, &error));
    put(s, "k", "v");
    CHECK(l.calls == 1);
    CHECK(stats_of(s).events_dropped == 1);
    HAS(s, "from inside", "v");
    OK(hotcold_close(s, &error)); /* the store has stayed open */
    CHECK(l.drops == 1);
}

static void end_itself(void *user_data, const hotcold_event_t *event) {
    listener_t *l = user_data;
    note(user_data, event);
    CHECK(hotcold_unsubscribe(l->store, l->subscription, NULL) == HOTCOLD_OK);
    CHECK(hotcold_unsubscribe(l->store, l->subscription, NULL) == HOTCOLD_NOT_FOUND);
    CHECK(l->drops == 0); /* still running */
}

static void unsubscribing_inside(void) {
    hotcold_t *s = open_named(NULL);
    listener_t l = {0};
    l.store = s;
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ITEM_STORED, end_itself, &l, drop, &l.subscription,
                         &error));
    put(s, "k", "v");
    CHECK(l.calls == 1 && l.drops == 1);
    put(s, "k", "v");
    CHECK(l.calls == 1);
    OK(hotcold_close(s, &error));
    CHECK(l.drops == 1);
}

/* After unsubscribe has returned the callback runs on no thread: what it uses may go. */
typedef struct {
    int alive;
} victim_t;

static void touch(void *user_data, const hotcold_event_t *event) {
    (void)event;
    CHECK(((volatile victim_t *)user_data)->alive == 1);
}

static volatile int stop;

static void *store_on(void *argument) {
    while (!stop) {
        CHECK(hotcold_store(argument, "k", 1, "v", 1, NULL) == HOTCOLD_OK);
    }
    return NULL;
}

static void unsubscribe_waits(void) {
    hotcold_t *s = open_named(NULL);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, store_on, s) == 0);
    }
    for (int i = 0; i < light(2000, 20); i++) {
        victim_t *victim = malloc(sizeof *victim);
        uint64_t id;
        victim->alive = 1;
        OK(hotcold_subscribe(s, HOTCOLD_EVENT_ITEM_STORED, touch, victim, NULL, &id, &error));
        OK(hotcold_unsubscribe(s, id, &error));
        victim->alive = 0;
        free(victim);
    }
    stop = 1;
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    OK(hotcold_close(s, &error));
}

int main(void) {
    each_kind();
    masks();
    a_failed_subscribe_drops_too();
    callbacks_call_back();
    unsubscribing_inside();
    unsubscribe_waits();
    return 0;
}
