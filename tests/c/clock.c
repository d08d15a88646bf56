/* A time to live is the time that passes, however the system's wall clock is set meanwhile, while
 * the store is open or closed. This program has a clock_gettime of its own, by which the library
 * sees the wall clock as the test sets it. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { HOUR = 3600, DAY = 86400 };
static const long long YEARS = 75LL * 365 * DAY; /* to 2100 and some */

/* Seconds that the wall clock is wrong by. */
static long long volatile shift;

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME) {
        time->tv_sec += shift;
    }
    return result;
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void put_for(hotcold_t *s, const char *key, uint64_t ttl) {
    hotcold_store_options_t o = {.ttl = ttl};
    OK(hotcold_store_with(s, key, strlen(key), "v", 1, &o, sizeof o, NULL, &error));
}

static uint64_t expiry_of(hotcold_t *s, const char *key) {
    hotcold_value_t value;
    OK(hotcold_retrieve(s, key, strlen(key), &value, &error));
    uint64_t expires_at = value.expires_at;
    hotcold_value_release(&value);
    return expires_at;
}

static uint64_t short_ttl(void) { return (uint64_t)light(400, 2500); }

/* The key is not there for longer than some seconds. */
static void wait_for_end(hotcold_t *s, const char *key) {
    for (int i = 0; hotcold_contains(s, key, strlen(key), &error) == HOTCOLD_OK; i++) {
        CHECK(i < light(300, 2000));
        pause_ms(10);
    }
    HAS(s, key, NULL);
}

static void ends_in_time(hotcold_t *s) {
    put_for(s, "short", short_ttl());
    HAS(s, "short", "v");
    wait_for_end(s, "short");
}

/* Set while the store is open: back, before 1970, forward for a moment. In both kinds of store. */
static void while_open(const char *path) {
    static const long long wrong[] = {-HOUR, -66LL * 365 * DAY, 40LL * DAY};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hotcold_t *s = OPEN(path, "hot_ttl", "30d");
        put_for(s, "before", short_ttl());
        put(s, "for ever", "v");
        shift = wrong[i];
        HAS(s, "before", wrong[i] < 0 ? "v" : NULL);
        ends_in_time(s);
        wait_for_end(s, "before");
        HAS(s, "for ever", "v");
        shift = 0;
        ends_in_time(s);
        OK(hotcold_close(s, &error));
    }
}

/* Residency is by the monotonic clock alone. */
static void residency(void) {
    hotcold_t *s = OPEN(NULL, "hot_ttl", light(1, 0) ? "400ms" : "2500ms");
    put(s, "k", "v");
    shift = YEARS;
    HAS(s, "k", "v");
    shift = -HOUR;
    wait_for_end(s, "k");
    shift = 0;
    OK(hotcold_close(s, &error));
}

/* 2100 for a moment: in the same process, after a close, and after ten days. */
static void ahead_for_a_moment(void) {
    const char *path = fresh("ahead");
    hotcold_t *s = open_with(path, NULL);
    put_for(s, "over in 2100", DAY * 1000);
    shift = YEARS;
    put(s, "written in 2100", "v");
    HAS(s, "over in 2100", NULL);
    put_for(s, "of 2100", short_ttl());
    shift = 0;
    ends_in_time(s);
    put_for(s, "nine days", 9 * (uint64_t)DAY * 1000);
    put_for(s, "eleven days", 11 * (uint64_t)DAY * 1000);
    OK(hotcold_close(s, &error));

    for (int days = 0; days <= 10; days += 5) {
        shift = days * DAY;
        s = open_with(path, NULL);
        HAS(s, "written in 2100", "v");
        HAS(s, "over in 2100", NULL);
        wait_for_end(s, "of 2100");
        HAS(s, "nine days", days < 9 ? "v" : NULL);
        HAS(s, "eleven days", "v");
        ends_in_time(s);
        OK(hotcold_close(s, &error));
    }
    shift = 12 * DAY;
    s = open_with(path, NULL);
    HAS(s, "eleven days", NULL);
    OK(hotcold_close(s, &error));
    shift = 0;
}

/* As before, but killed right after the store. */
static void killed_in_2100(void) {
    const char *path = fresh("killed");
    pid_t child = fork();
    if (child == 0) {
        hotcold_t *s = open_with(path, NULL);
        shift = YEARS;
        put_for(s, "of 2100", 400);
        kill(getpid(), SIGKILL);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    hotcold_t *s = open_with(path, NULL);
    wait_for_end(s, "of 2100");
    OK(hotcold_close(s, &error));
}

/* Closed under a clock that was back, opened under the right one: nothing has ended early. */
static void back_and_right_again(void) {
    const char *path = fresh("right again");
    static const long long wrong[] = {-HOUR, -66LL * 365 * DAY};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hotcold_t *s = open_with(path, NULL);
        put_for(s, "ten minutes", 600 * 1000);
        shift = wrong[i];
        ends_in_time(s);
        OK(hotcold_close(s, &error));
        s = open_with(path, NULL);
        HAS(s, "ten minutes", "v");
        ends_in_time(s);
        OK(hotcold_close(s, &error));
        shift = 0;
        s = open_with(path, NULL);
        HAS(s, "ten minutes", "v");
        ends_in_time(s);
        uint64_t expires_at = expiry_of(s, "ten minutes");
        CHECK(expires_at > now_ms() + 500 * 1000 && expires_at <= now_ms() + 600 * 1000);
        OK(hotcold_close(s, &error));
    }
}

/* What has expired stays so when the clock is set back while the store is closed. */
static void set_back_while_closed(void) {
    const char *path = fresh("closed");
    hotcold_t *s = open_with(path, NULL);
    put_for(s, "short", short_ttl());
    OK(hotcold_close(s, &error));
    s = open_with(path, NULL); /* writes nothing */
    wait_for_end(s, "short");
    OK(hotcold_close(s, &error));
    shift = -HOUR;
    s = open_with(path, NULL);
    HAS(s, "short", NULL);
    ends_in_time(s);
    OK(hotcold_close(s, &error));
    shift = 0;
}

/* The ordinary case: the time while closed counts, and expires_at is by the wall clock. */
static void ordinary(void) {
    const char *path = fresh("ordinary");
    hotcold_t *s = open_with(path, NULL);
    uint64_t before = now_ms();
    put_for(s, "minute", 60 * 1000);
    put_for(s, "two", 120 * 1000);
    uint64_t after = now_ms();
    OK(hotcold_close(s, &error));
    shift = 58;
    s = open_with(path, NULL);
    uint64_t expires_at = expiry_of(s, "minute");
    CHECK(expires_at >= before + 60 * 1000 && expires_at <= after + 60 * 1000);
    OK(hotcold_close(s, &error));
    shift = 60;
    s = open_with(path, NULL);
    HAS(s, "minute", NULL);
    HAS(s, "two", "v");
    OK(hotcold_close(s, &error));
    shift = 0;
}

/* The event, the value that a load gives and the value that is stored end at one time. */
static void see(void *expires_at, const hotcold_event_t *event) {
    *(uint64_t *)expires_at = event->expires_at;
}

static int32_t load(void *user_data, const void *key, size_t key_len, hotcold_loaded_t *out) {
    (void)user_data, (void)key, (void)key_len;
    return hotcold_loaded_set(out, "v", 1, 60 * 1000, NULL) == HOTCOLD_OK ? 0 : 1;
}

static void one_expiry(void) {
    hotcold_t *s = open_with(fresh("one"), NULL);
    uint64_t subscription, told = 0;
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ITEM_STORED, see, &told, NULL, &subscription, &error));
    for (int i = 0; i < light(20000, 100); i++) {
        hotcold_value_t value;
        char key[16];
        size_t len = (size_t)snprintf(key, sizeof key, "k%d", i);
        OK(hotcold_retrieve_or_load(s, key, len, load, NULL, &value, &error));
        CHECK(value.expires_at == told);
        hotcold_value_release(&value);
        CHECK(expiry_of(s, key) == told);
    }
    OK(hotcold_close(s, &error));
}

/* Threads that ask while the clock is set to and fro: none sees an ended value live again. */
static int volatile over;

static void *ask(void *store) {
    hotcold_t *s = store;
    int has_ended = 0;
    while (!over) {
        int is_there = hotcold_contains(s, "k", 1, NULL) == HOTCOLD_OK;
        CHECK(!(has_ended && is_there));
        has_ended = !is_there;
        if (light(0, 1)) {
            pause_ms(1); /* valgrind runs one thread at a time, and not fairly */
        }
    }
    CHECK(has_ended);
    return NULL;
}

static void to_and_fro(void) {
    hotcold_t *s = open_with(fresh("to and fro"), NULL);
    pthread_t threads[3];
    put_for(s, "k", HOUR * 1000);
    over = 0;
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask, s) == 0);
    }
    for (int i = 0; i < 100; i++) {
        shift = (i * 7919 % 2003 - 1001) * (long long)DAY;
        pause_ms(1);
    }
    shift = 0;
    pause_ms(50);
    over = 1;
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    OK(hotcold_close(s, &error));
}

int main(void) {
    while_open(NULL);
    while_open(fresh("open"));
    residency();
    ahead_for_a_moment();
    killed_in_2100();
    back_and_right_again();
    set_back_while_closed();
    ordinary();
    one_expiry();
    to_and_fro();
    return 0;
}
