/* Listening to a store: who stored, read and deleted what, and what the store did by itself.
 *
 * A callback runs on the thread whose call caused the event, after it has taken effect. What the
 * event points to is valid during the call only: copy what you keep. */
#include <hotcold.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static hotcold_error_t error;

/* Ends the program with the store's own words if a call failed. */
static void check(hotcold_status_t status, const char *call) {
    if (status < 0) {
        fprintf(stderr, "events: %s: %s: %s\n", call, hotcold_status_name(status), error.message);
        exit(1);
    }
}

static const char *kind_name(uint32_t kind) {
    switch (kind) {
    case HOTCOLD_EVENT_ITEM_STORED: return "stored";
    case HOTCOLD_EVENT_ITEM_RETRIEVED: return "retrieved";
    case HOTCOLD_EVENT_ITEM_DELETED: return "deleted";
    case HOTCOLD_EVENT_STORAGE_CLEARED: return "cleared";
    case HOTCOLD_EVENT_PROMOTED: return "promoted";
    case HOTCOLD_EVENT_DEMOTED: return "demoted";
    case HOTCOLD_EVENT_EVICTED: return "evicted";
    case HOTCOLD_EVENT_EXPIRED: return "expired";
    case HOTCOLD_EVENT_COMPACTED: return "compacted";
    case HOTCOLD_EVENT_ERROR: return "error";
    default: return "another kind"; /* a newer library may send kinds unknown here */
    }
}

static void print_event(void *user_data, const hotcold_event_t *event) {
    unsigned *count = user_data;
    ++*count;
    printf("%-10s %-8.*s version %" PRIu64 "%s%s\n", kind_name(event->kind), (int)event->key_len,
           event->key_len ? (const char *)event->key : "", event->version,
           event->message ? ": " : "", event->message ? event->message : "");
}

static void finished(void *user_data) {
    printf("the subscription is over after %u events\n", *(unsigned *)user_data);
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "events.store";
    unsigned count = 0;
    uint64_t subscription = 0;
    hotcold_t *store = NULL;
    hotcold_value_t value;
    size_t demoted = 0;

    check(hotcold_open(directory, NULL, &store, &error), "open");
    /* Bits choose the kinds: HOTCOLD_EVENT_ITEM_STORED | HOTCOLD_EVENT_ITEM_DELETED, for example. */
    check(hotcold_subscribe(store, HOTCOLD_EVENT_ALL, print_event, &count, finished, &subscription,
                            &error), "subscribe");

    check(hotcold_store(store, "apple", 5, "red", 3, &error), "store");
    check(hotcold_store(store, "pear", 4, "green", 5, &error), "store");
    check(hotcold_retrieve(store, "apple", 5, &value, &error), "retrieve");
    hotcold_value_release(&value);

    check(hotcold_optimize_hot(store, 0, &demoted, &error), "optimize_hot"); /* all leave memory */
    check(hotcold_retrieve(store, "pear", 4, &value, &error), "retrieve");    /* and one comes back */
    hotcold_value_release(&value);

    check(hotcold_delete(store, "apple", 5, &error), "delete");
    check(hotcold_clear(store, &error), "clear");

    check(hotcold_unsubscribe(store, subscription, &error), "unsubscribe");
    check(hotcold_close(store, &error), "close");
    return count > 0 ? 0 : 1;
}
