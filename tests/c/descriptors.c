/* Descriptors: stores with more files than the process may have open. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

/* With cold_capacity=16MiB a segment is 512 KiB, so these keys take 28 of them. */
enum { LIMIT = 24, KEYS = 1400, VALUE = 10000, STORES = 3, READERS = 4 };

#define SMALL_SEGMENTS "cold_capacity", "16MiB", "compression", "none", "hot_capacity", "0"

static char value[VALUE];

static void limit_to(rlim_t files) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = files;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* How many descriptors the process has, of those that the limit is about. */
static int open_files(void) {
    int count = 0;
    for (int fd = 0; fd < LIMIT; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void name_of(char *name, int key) {
    memset(name, 0, 16);
    snprintf(name, 16, "key%d", key);
}

static void fill(hotcold_t *s, int from, int step, char mark) {
    char name[16];
    for (int key = from; key < KEYS; key += step) {
        name_of(name, key);
        memset(value, mark, sizeof value);
        memcpy(value, name, sizeof name);
        OK(hotcold_store(s, name, strlen(name), value, sizeof value, &error));
    }
}

/* Every key has its value, with this mark at the end if one is given. */
static void check_all(hotcold_t *s, char mark) {
    hotcold_value_t found;
    char name[16];
    for (int step = 0; step < KEYS; step++) {
        int key = step * 611 % KEYS; /* each once, and from one file to another */
        name_of(name, key);
        OK(hotcold_retrieve(s, name, strlen(name), &found, &error));
        CHECK(found.len == VALUE && memcmp(found.data, name, strlen(name)) == 0);
        CHECK(mark == 0 || ((const char *)found.data)[VALUE - 1] == mark);
        hotcold_value_release(&found);
    }
}

static void walk(hotcold_t *s) {
    hotcold_cursor_t *cursor = NULL;
    hotcold_slice_t key;
    int count = 0;
    OK(hotcold_cursor_open(s, NULL, 0, &cursor, &error));
    while (hotcold_cursor_next(cursor, &key, &error) == HOTCOLD_OK) count++;
    CHECK(error.status == HOTCOLD_OK && count == KEYS);
    hotcold_cursor_close(cursor);
}

/* All that a store does, with more segments than it may have files open. */
static void use(void) {
    int before = open_files();
    hotcold_t *s = OPEN(fresh("s"), SMALL_SEGMENTS, "sync_interval", "0");
    hotcold_t *copy;
    uint64_t records = 0, damaged = 9;
    fill(s, 0, 1, 'a');
    CHECK(stats_of(s).cold_segments >= LIMIT);
    check_all(s, 'a');
    walk(s);
    OK(hotcold_verify(s, &records, &damaged, &error));
    CHECK(records >= KEYS && damaged == 0);
    OK(hotcold_close(s, &error));
    s = OPEN(fresh("s"), SMALL_SEGMENTS); /* reads the header of each file */
    check_all(s, 'a');
    OK(hotcold_backup(s, fresh("copy"), &error));
    OK(hotcold_close(s, &error));
    s = OPEN(fresh("s"), "read_only", "true", "hot_capacity", "0");
    copy = OPEN(fresh("copy"), "read_only", "true", "hot_capacity", "0");
    check_all(s, 'a');
    check_all(copy, 'a');
    CHECK(stats_of(s).cold_bytes_disk == stats_of(copy).cold_bytes_disk);
    /* Each has its directory and its lock; the files share a quarter of the limit. */
    CHECK(open_files() <= before + 2 * 2 + LIMIT / 4);
    OK(hotcold_close(s, &error));
    OK(hotcold_close(copy, &error));
}

static volatile int stop;

static void *keep_reading(void *s) {
    while (!stop) check_all(s, 0);
    return NULL;
}

/* Files are removed, closed and opened again under those who read them. */
static void rewrite_and_read(void) {
    hotcold_t *s = OPEN(fresh("r"), "cold_capacity", "32MiB", "hot_capacity", "0");
    pthread_t readers[READERS];
    fill(s, 0, 1, 'a');
    for (int i = 0; i < READERS; i++) CHECK(pthread_create(&readers[i], NULL, keep_reading, s) == 0);
    for (int round = 0; round < light(4, 1); round++) {
        fill(s, round % 3, 3, (char)('b' + round));
        OK(hotcold_compact(s, &error));
    }
    stop = 1;
    for (int i = 0; i < READERS; i++) CHECK(pthread_join(readers[i], NULL) == 0);
    OK(hotcold_close(s, &error));
}

/* Several stores share the descriptors; and where others have taken all that are left, a store goes
 * on with those that it has. */
static void share(void) {
    hotcold_t *stores[STORES];
    int taken[LIMIT], count = 0;
    char name[8];
    for (int i = 0; i < STORES; i++) {
        snprintf(name, sizeof name, "m%d", i);
        stores[i] = OPEN(fresh(name), SMALL_SEGMENTS);
        fill(stores[i], 0, 1, (char)('a' + i));
        OK(hotcold_sync(stores[i], &error));
    }
    for (int i = 0; i < STORES; i++) check_all(stores[i], (char)('a' + i));
    CHECK(open_files() < LIMIT);
    while (count < LIMIT && (taken[count] = open("/dev/null", O_RDONLY)) >= 0) count++;
    CHECK(count > 0 && open_files() == LIMIT);
    for (int i = 0; i < STORES; i++) check_all(stores[i], (char)('a' + i));
    /* Another one needs some that they have. Not under valgrind, which makes a file and then refuses
     * its descriptor. */
    if (light(1, 0)) {
        hotcold_t *another = OPEN(fresh("another"), NULL);
        put(another, "key", "value");
        HAS(another, "key", "value");
        OK(hotcold_close(another, &error));
    }
    while (count > 0) CHECK(close(taken[--count]) == 0);
    for (int i = 0; i < STORES; i++) OK(hotcold_close(stores[i], &error));
}

int main(void) {
    limit_to(LIMIT);
    use();
    rewrite_and_read();
    share();
    return 0;
}
