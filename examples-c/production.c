/* A store as a program in production has it: set up by name, watched, checked, backed up, and closed
 * in order.
 *
 *     production [DIRECTORY [BACKUP]]
 */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t stopping;
static hotcold_error_t error;

static void stop(int number) {
    (void)number;
    stopping = 1; /* the library's functions are not for signal handlers */
}

/* Ends the program with the store's own words if a call failed. */
static void check(hotcold_status_t status, const char *call) {
    if (status < 0) {
        fprintf(stderr, "production: %s: %s: %s\n", call, hotcold_status_name(status),
                error.message);
        exit(1);
    }
}

/* Before 1.0 header and library must have the same minor version; the linker sees to it, unless the
 * library is loaded by hand. */
static void check_version(void) {
    if (hotcold_version() >> 8 != HOTCOLD_VERSION >> 8) {
        fprintf(stderr, "production: made for another version than %s\n", hotcold_version_string());
        exit(1);
    }
}

/* Settings are names and texts: they may come from a file, and a wrong one says what is right. */
static hotcold_t *open_store(const char *directory) {
    static const char *const settings[][2] = {
        {"hot_capacity", "16MiB"}, /* memory of the hot tier */
        {"cold_capacity", "1GiB"}, /* bytes on disk; this store is a cache */
        {"warm_start", "true"},    /* begins with what was hot at the last close */
        {"sync_interval", "5s"},   /* what a power loss may cost */
        {"storage_id", "thumbnails"},
    };
    hotcold_options_t *options = hotcold_options_new();
    hotcold_t *store = NULL;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        check(hotcold_options_set(options, settings[i][0], settings[i][1], &error), "options_set");
    }
    check(hotcold_open(directory, options, &store, &error), "open");
    hotcold_options_free(options);
    return store;
}

/* What goes wrong where no call of yours can return it: in the background. */
static void log_event(void *user_data, const hotcold_event_t *event) {
    (void)user_data;
    fprintf(stderr, "%s: %s: %s\n", event->storage_id, hotcold_status_name(event->status),
            event->message);
}

/* The figures to look at; hotcold_stats_text() has all of them for Prometheus. */
static void report(hotcold_t *store) {
    hotcold_stats_t stats;
    check(hotcold_stats(store, &stats, sizeof stats, &error), "stats");
    printf("hits %.3f, of hot %.3f; p99 %" PRIu64 " ns; memory %" PRIu64 " bytes, disk %" PRIu64
           " bytes of which %" PRIu64 " live; errors %" PRIu64 ", corrupt %" PRIu64
           ", read-only %" PRIu64 "\n",
           stats.hit_ratio, stats.hot_hit_ratio, stats.p99_ns, stats.memory_total,
           stats.cold_bytes_disk, stats.cold_bytes_live, stats.total_errors,
           stats.cold_corrupt_records, stats.cold_read_only);
}

/* While the store is in use: every record is read, and a copy made that can be opened. */
static void care(hotcold_t *store, const char *backup) {
    uint64_t records = 0, damaged = 0;
    check(hotcold_verify(store, &records, &damaged, &error), "verify");
    printf("%" PRIu64 " records, %" PRIu64 " damaged\n", records, damaged);
    check(hotcold_backup(store, backup, &error), "backup"); /* a directory that is new or empty */
}

static void serve(hotcold_t *store, int requests) {
    const struct timespec pause = {0, 1000 * 1000};
    hotcold_value_t value;
    for (int i = 0; i < requests && !stopping; i++) {
        char key[32];
        size_t len = (size_t)snprintf(key, sizeof key, "thumbnail/%d", i % 100);
        hotcold_status_t status = hotcold_retrieve(store, key, len, &value, &error);
        if (status == HOTCOLD_NOT_FOUND) {
            status = hotcold_store(store, key, len, "pixels", 6, &error);
        }
        check(status, "serve");
        hotcold_value_release(&value);
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "production.store";
    uint64_t subscription = 0;
    struct sigaction on_stop = {0};
    on_stop.sa_handler = stop;
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGINT, &on_stop, NULL);

    check_version();
    hotcold_t *store = open_store(directory);
    check(hotcold_subscribe(store, HOTCOLD_EVENT_ERROR, log_event, NULL, NULL, &subscription,
                            &error), "subscribe");
    serve(store, 300);
    report(store);
    if (argc > 2) {
        care(store, argv[2]);
    }
    check(hotcold_sync(store, &error), "sync"); /* may be tried again; a close may not */
    check(hotcold_close(store, &error), "close");
    return 0;
}
