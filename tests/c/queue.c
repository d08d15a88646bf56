/* Event queues: the events to pull, within a bound. */
#include "check.h"
#include <pthread.h>

static void in_order(void) {
    hotcold_t *s = OPEN(NULL, "storage_id", "queued");
    hotcold_event_queue_t *q = NULL;
    const hotcold_event_t *event = (const hotcold_event_t *)&q;
    OK(hotcold_event_queue_open(s, HOTCOLD_EVENT_ITEM_STORED | HOTCOLD_EVENT_ITEM_DELETED, 100, &q,
                                &error));
    GIVES(HOTCOLD_END, hotcold_event_queue_next(q, 0, &event, &error));
    CHECK(event == NULL);
    put(s, "a", "1");
    HAS(s, "a", "1");
    OK(hotcold_delete(s, "a", 1, &error));
    OK(hotcold_event_queue_next(q, 0, &event, &error));
    CHECK(event->kind == HOTCOLD_EVENT_ITEM_STORED && event->version != 0);
    CHECK(event->key_len == 1 && memcmp(event->key, "a", 1) == 0);
    CHECK(strcmp(event->storage_id, "queued") == 0);
    OK(hotcold_event_queue_next(q, 1000, &event, &error));
    CHECK(event->kind == HOTCOLD_EVENT_ITEM_DELETED);
    put(s, "b", "1");
    OK(hotcold_close(s, &error));
    OK(hotcold_event_queue_next(q, UINT64_MAX, &event, &error)); /* what was queued */
    CHECK(memcmp(event->key, "b", 1) == 0 && strcmp(event->storage_id, "queued") == 0);
    GIVES(HOTCOLD_END, hotcold_event_queue_next(q, UINT64_MAX, &event, &error)); /* and no wait */
    CHECK(hotcold_event_queue_dropped(q) == 0);
    hotcold_event_queue_close(q);
    hotcold_event_queue_close(NULL);
}

static void overflow_is_counted(void) {
    hotcold_t *s = NULL;
    hotcold_event_queue_t *q = NULL;
    const hotcold_event_t *event;
    int got = 0;
    OK(hotcold_open(NULL, NULL, &s, &error));
    OK(hotcold_event_queue_open(s, HOTCOLD_EVENT_ITEM_STORED, 10, &q, &error));
    for (int i = 0; i < 25; i++) {
        put(s, "k", "v");
    }
    while (hotcold_event_queue_next(q, 0, &event, &error) == HOTCOLD_OK) {
        got++;
    }
    CHECK(got == 10 && hotcold_event_queue_dropped(q) == 15);
    CHECK(stats_of(s).events_dropped == 15);
    hotcold_event_queue_close(q);
    put(s, "k", "v"); /* nobody listens any more */
    CHECK(stats_of(s).events_dropped == 15);
    GIVES(HOTCOLD_INVALID_ARGUMENT,
          hotcold_event_queue_open(s, HOTCOLD_EVENT_ALL, 0, &q, &error));
    CHECK(q == NULL);
    OK(hotcold_close(s, &error));
}

/* A thread that waits is woken by an event, and by close. */
static void *wait_for_two(void *queue) {
    const hotcold_event_t *event;
    CHECK(hotcold_event_queue_next(queue, 60000, &event, NULL) == HOTCOLD_OK);
    CHECK(hotcold_event_queue_next(queue, 60000, &event, NULL) == HOTCOLD_END);
    return NULL;
}

static void waiting(void) {
    hotcold_t *s = NULL;
    hotcold_event_queue_t *q = NULL;
    pthread_t waiter;
    OK(hotcold_open(NULL, NULL, &s, &error));
    OK(hotcold_event_queue_open(s, HOTCOLD_EVENT_ALL, 10, &q, &error));
    CHECK(pthread_create(&waiter, NULL, wait_for_two, q) == 0);
    pause_ms(20);
    put(s, "k", "v");
    pause_ms(20);
    OK(hotcold_close(s, &error));
    CHECK(pthread_join(waiter, NULL) == 0);
    hotcold_event_queue_close(q);
}

int main(void) {
    in_order();
    overflow_is_counted();
    waiting();
    return 0;
}
