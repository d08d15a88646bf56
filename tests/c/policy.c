/* What happens when the disk fails: strict and lenient. The failure is a real one: a limit on the
 * size of files, past which the system refuses to write. */
#include "check.h"
#include <signal.h>
#include <sys/resource.h>

static void let_writes_fail(int fail) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = fail ? 0 : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void strict_says_so(void) {
    hotcold_t *s = OPEN(fresh("strict"), "policy", "strict");
    put(s, "k", "before");
    let_writes_fail(1);
    hotcold_status_t status = hotcold_store(s, "k", 1, "after", 5, &error);
    CHECK(status == HOTCOLD_IO || status == HOTCOLD_NO_SPACE);
    CHECK(error.status == status && error.os_code != 0 && error.message[0] != 0);
    HAS(s, "k", "before"); /* a failed store is seen by nobody */
    CHECK(hotcold_delete(s, "k", 1, &error) < 0);
    HAS(s, "k", "before");
    CHECK(stats_of(s).store_errors == 1 && stats_of(s).lenient_failures == 0);
    let_writes_fail(0);
    put(s, "k", "again"); /* and works once the cause is gone */
    HAS(s, "k", "again");
    OK(hotcold_close(s, &error));
    OK(hotcold_open(fresh("strict"), NULL, &s, &error));
    HAS(s, "k", "again");
    OK(hotcold_close(s, &error));
}

static int errors_seen;

static void count_errors(void *user_data, const hotcold_event_t *event) {
    (void)user_data;
    CHECK(event->kind == HOTCOLD_EVENT_ERROR && event->status < 0 && event->message != NULL);
    errors_seen++;
}

static void lenient_serves_on(void) {
    hotcold_t *s = OPEN(fresh("lenient"), "policy", "lenient");
    uint64_t id;
    OK(hotcold_subscribe(s, HOTCOLD_EVENT_ERROR, count_errors, NULL, NULL, &id, &error));
    put(s, "k", "before");
    let_writes_fail(1);
    CHECK(hotcold_store(s, "k", 1, "after", 5, &error) == HOTCOLD_OK);
    CHECK(error.status < 0 && error.message[0] != 0); /* named, although it is OK */
    HAS(s, "k", "after");
    CHECK(stats_of(s).lenient_failures >= 1 && errors_seen >= 1);
    CHECK(hotcold_delete(s, "k", 1, &error) < 0); /* fails under both policies */
    HAS(s, "k", "after");
    size_t demoted;
    hotcold_optimize_hot(s, 0, &demoted, &error); /* unwritten: cannot leave */
    HAS(s, "k", "after");
    let_writes_fail(0);
    OK(hotcold_sync(s, &error)); /* writes what is unwritten */
    OK(hotcold_close(s, &error));
    OK(hotcold_open(fresh("lenient"), NULL, &s, &error));
    HAS(s, "k", "after");
    OK(hotcold_close(s, &error));
}

int main(void) {
    signal(SIGXFSZ, SIG_IGN);
    strict_says_so();
    lenient_serves_on();
    return 0;
}
