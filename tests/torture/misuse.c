/* Calls the library as it should not be called: NULL everywhere, handles that never were, wrong lengths, after close, twice
 * closed, closed under the hands of eight threads. Each call must answer with the status that the header promises, and
 * nothing may crash. (Releasing an object that is not a store twice is undefined, and is not tried.) */
#include "torture.h"

static uint64_t        checks;
static hotcold_error_t error;

static void gives(hotcold_status_t got, hotcold_status_t want, const char *call, int line) {
  checks++;
  if (got != want) fail("line %d: %s gives %s, should be %s", line, call, hotcold_status_name(got), hotcold_status_name(want));
}
#define GIVES(want, call) gives(call, HOTCOLD_##want, #call, __LINE__)

static hotcold_value_t   value;
static hotcold_stats_t   stats;
static hotcold_cursor_t *cursor;
static size_t            length;
static uint64_t          number, other;
static uint8_t           buffer[64];

static void nothing(void *user_data, const hotcold_event_t *event) { (void)user_data, (void)event; }
static int32_t load_nothing(void *u, const void *k, size_t n, hotcold_loaded_t *o) { return (void)u, (void)k, (void)n, (void)o, 0; }

/* Every call that takes a store, on one that is not: all must give `want`. */
static void all_calls(hotcold_t *s, hotcold_status_t want) {
  hotcold_batch_t       *batch = hotcold_batch_new();
  hotcold_slice_t        key   = {"k", 1};
  hotcold_event_queue_t *queue = NULL;
  int32_t                status;
  struct { hotcold_status_t got; const char *call; } results[] = {
      {hotcold_sync(s, &error), "sync"},
      {hotcold_compact(s, &error), "compact"},
      {hotcold_store(s, "k", 1, "v", 1, &error), "store"},
      {hotcold_store_with(s, "k", 1, "v", 1, NULL, 0, &number, &error), "store_with"},
      {hotcold_retrieve(s, "k", 1, &value, &error), "retrieve"},
      {hotcold_retrieve_with(s, "k", 1, 0, &value, &error), "retrieve_with"},
      {hotcold_retrieve_into(s, "k", 1, buffer, sizeof buffer, &length, &error), "retrieve_into"},
      {hotcold_retrieve_or_load(s, "k", 1, load_nothing, NULL, &value, &error), "retrieve_or_load"},
      {hotcold_contains(s, "k", 1, &error), "contains"},
      {hotcold_delete(s, "k", 1, &error), "delete"},
      {hotcold_clear(s, &error), "clear"},
      {hotcold_stats(s, &stats, sizeof stats, &error), "stats"},
      {hotcold_write(s, batch, 0, &error), "write"},
      {hotcold_retrieve_many(s, &key, 1, &value, &status, &error), "retrieve_many"},
      {hotcold_cursor_open(s, NULL, 0, &cursor, &error), "cursor_open"},
      {hotcold_warm_up(s, &key, 1, &length, &error), "warm_up"},
      {hotcold_optimize_hot(s, 0, &length, &error), "optimize_hot"},
      {hotcold_subscribe(s, 1, nothing, NULL, NULL, &number, &error), "subscribe"},
      {hotcold_unsubscribe(s, 1, &error), "unsubscribe"},
      {hotcold_event_queue_open(s, 1, 16, &queue, &error), "event_queue_open"},
      {hotcold_backup(s, path_of(torture.dir, "copy"), &error), "backup"},
      {hotcold_verify(s, &number, &other, &error), "verify"},
      {hotcold_stats_text(s, HOTCOLD_STATS_JSON, &value, &error), "stats_text"},
  };
  for (size_t i = 0; i < LENGTH(results); i++) gives(results[i].got, want, results[i].call, __LINE__);
  if (error.status != want || error.message[0] == 0) fail("%s came without words in error", hotcold_status_name(want));
  if (value.data || cursor || queue || number || length) fail("an output is not empty after %s", hotcold_status_name(want));
  hotcold_batch_free(batch);
}

static void garbage(void) {
  dice_t d = dice(1);
  all_calls(NULL, HOTCOLD_INVALID_ARGUMENT);
  GIVES(OK, hotcold_close(NULL, &error));
  for (uint64_t i = 0; i < 2000; i++) {
    hotcold_t *s = (hotcold_t *)(uintptr_t)(i < 64 ? (uint64_t)1 << i : i < 128 ? i : i % 2 ? roll(&d) : roll(&d) >> below(&d, 64));
    if (s == NULL) continue;
    GIVES(MISUSE, hotcold_store(s, "k", 1, "v", 1, &error));
    GIVES(MISUSE, hotcold_close(s, &error));
    if (i % 64 == 0) all_calls(s, HOTCOLD_MISUSE);
  }
}

static void options(void) {
  hotcold_options_t *o = hotcold_options_new();
  hotcold_t         *s;
  hotcold_options_free(NULL);
  GIVES(INVALID_ARGUMENT, hotcold_options_set(NULL, "hot_capacity", "1", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, NULL, "1", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "hot_capacity", NULL, &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "", "", NULL));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "no_such_option", "1", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "hot_capacity", "-1", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "hot_capacity", "99999999999999999999999", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "hot_capacity", "1 parsec", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "hot_ttl", "\xFF\xFE", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "compression", "deflate:10", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set(o, "create", "perhaps", &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set_u64(NULL, "hot_capacity", 1, &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set_u64(o, NULL, 1, &error));
  GIVES(INVALID_ARGUMENT, hotcold_options_set_u64(o, "compression", 6, &error));
  GIVES(OK, hotcold_options_set(o, "hot_capacity", "0", &error));
  GIVES(INVALID_ARGUMENT, hotcold_open(NULL, o, &s, &error)); /* neither tier */
  GIVES(INVALID_ARGUMENT, hotcold_open(path_of(torture.dir, "store"), o, NULL, &error));
  GIVES(OK, hotcold_options_set(o, "create", "false", &error));
  must(hotcold_open(path_of(torture.dir, "absent"), o, &s, &error) < 0 && s == NULL);
  GIVES(IO, hotcold_open("/proc/version/store", NULL, &s, &error));
  hotcold_options_free(o);
}

static void arguments(hotcold_t *s) {
  hotcold_store_options_t o     = {0};
  hotcold_batch_t        *batch = hotcold_batch_new();
  static uint8_t          key[HOTCOLD_KEY_LEN_MAX + 1];
  hotcold_slice_t         null_key = {NULL, 5};
  int32_t                 status;
  GIVES(OK, hotcold_store(s, NULL, 0, NULL, 0, NULL));
  GIVES(OK, hotcold_store(s, key, HOTCOLD_KEY_LEN_MAX, "v", 1, &error));
  GIVES(TOO_LARGE, hotcold_store(s, key, HOTCOLD_KEY_LEN_MAX + 1, "v", 1, &error));
  GIVES(TOO_LARGE, hotcold_retrieve(s, key, HOTCOLD_KEY_LEN_MAX + 1, &value, &error));
  GIVES(TOO_LARGE, hotcold_store(s, "k", 1, "v", (size_t)1 << 32, &error)); /* refused before a byte is read */
  must(hotcold_store(s, "k", 1, "v", SIZE_MAX, &error) < 0);
  must(hotcold_store(s, "k", SIZE_MAX, "v", 1, &error) < 0);
  GIVES(INVALID_ARGUMENT, hotcold_store(s, NULL, 1, "v", 1, &error));
  GIVES(INVALID_ARGUMENT, hotcold_store(s, "k", 1, NULL, 1, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve(s, NULL, 1, &value, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve(s, "k", 1, NULL, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve(s, "k", 1, NULL, NULL));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve_with(s, "k", 1, 0x80000000u, &value, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve_into(s, "k", 1, NULL, 1, &length, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve_into(s, "k", 1, buffer, 1, NULL, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve_or_load(s, "k", 1, NULL, NULL, &value, &error));
  GIVES(INVALID_ARGUMENT, hotcold_delete(s, NULL, 1, &error));
  GIVES(INVALID_ARGUMENT, hotcold_contains(s, NULL, 1, &error));
  GIVES(INVALID_ARGUMENT, hotcold_stats(s, NULL, sizeof stats, &error));
  o.flags = 0x80000000u;
  GIVES(INVALID_ARGUMENT, hotcold_store_with(s, "k", 1, "v", 1, &o, sizeof o, NULL, &error));
  o = (hotcold_store_options_t){.reserved = 1};
  GIVES(INVALID_ARGUMENT, hotcold_store_with(s, "k", 1, "v", 1, &o, sizeof o, NULL, &error));
  o = (hotcold_store_options_t){0};
  GIVES(INVALID_ARGUMENT, hotcold_store_with(s, "k", 1, "v", 1, &o, 3, NULL, &error));
  GIVES(OK, hotcold_store_with(s, "k", 1, "v", 1, &o, sizeof o, NULL, NULL));
  GIVES(INVALID_ARGUMENT, hotcold_batch_store(NULL, "k", 1, "v", 1, NULL, 0, &error));
  GIVES(INVALID_ARGUMENT, hotcold_batch_store(batch, NULL, 1, "v", 1, NULL, 0, &error));
  GIVES(INVALID_ARGUMENT, hotcold_batch_delete(batch, NULL, 1, &error));
  GIVES(TOO_LARGE, hotcold_batch_store(batch, key, HOTCOLD_KEY_LEN_MAX + 1, "v", 1, NULL, 0, &error));
  GIVES(INVALID_ARGUMENT, hotcold_write(s, NULL, 0, &error));
  GIVES(INVALID_ARGUMENT, hotcold_write(s, batch, 0x80000000u, &error));
  GIVES(OK, hotcold_write(s, batch, 0, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve_many(s, NULL, 1, &value, &status, &error));
  GIVES(INVALID_ARGUMENT, hotcold_retrieve_many(s, &null_key, 1, &value, NULL, &error));
  GIVES(OK, hotcold_retrieve_many(s, &null_key, 1, &value, &status, &error));
  gives(status, HOTCOLD_INVALID_ARGUMENT, "a key of retrieve_many", __LINE__);
  GIVES(INVALID_ARGUMENT, hotcold_warm_up(s, NULL, 1, &length, &error));
  GIVES(INVALID_ARGUMENT, hotcold_cursor_open(s, NULL, 1, &cursor, &error));
  GIVES(INVALID_ARGUMENT, hotcold_cursor_open(s, "", 0, NULL, &error));
  GIVES(INVALID_ARGUMENT, hotcold_cursor_next(NULL, &null_key, &error));
  GIVES(INVALID_ARGUMENT, hotcold_cursor_value(NULL, &value, &error));
  GIVES(INVALID_ARGUMENT, hotcold_subscribe(s, 1, NULL, NULL, NULL, &number, &error));
  GIVES(INVALID_ARGUMENT, hotcold_stats_text(s, 77, &value, &error));
  GIVES(INVALID_ARGUMENT, hotcold_backup(s, NULL, &error));
  GIVES(NOT_FOUND, hotcold_unsubscribe(s, 987654321, &error));
  GIVES(NOT_FOUND, hotcold_delete(s, "absent", 6, &error));
  if (error.status != HOTCOLD_OK) fail("error->status after NOT_FOUND is %d", error.status);
  if (strcmp(hotcold_status_name(12345), "HOTCOLD_UNKNOWN") != 0) fail("status_name(12345)");
  hotcold_batch_free(batch);
  hotcold_batch_free(NULL);
  hotcold_cursor_close(NULL);
  hotcold_event_queue_close(NULL);
  hotcold_value_release(NULL);
}

static void after_close(void) {
  hotcold_t             *s = open_store(path_of(torture.dir, "store"), "hot_capacity=1MiB"), *second;
  hotcold_slice_t        key;
  hotcold_cursor_t      *c;
  hotcold_event_queue_t *q;
  const hotcold_event_t *event;
  hotcold_value_t        kept, from_cold;
  arguments(s);
  GIVES(LOCKED, hotcold_open(path_of(torture.dir, "store"), NULL, &second, &error));
  GIVES(OK, hotcold_store(s, "kept", 4, "bytes", 5, &error));
  GIVES(OK, hotcold_retrieve(s, "kept", 4, &kept, &error));
  GIVES(OK, hotcold_optimize_hot(s, 0, NULL, &error));
  GIVES(OK, hotcold_retrieve(s, "kept", 4, &from_cold, &error));
  GIVES(OK, hotcold_cursor_open(s, NULL, 0, &c, &error));
  GIVES(OK, hotcold_cursor_next(c, &key, &error));
  GIVES(OK, hotcold_event_queue_open(s, HOTCOLD_EVENT_ALL, 16, &q, &error));
  close_store(s);
  all_calls(s, HOTCOLD_MISUSE);
  GIVES(MISUSE, hotcold_close(s, &error));
  GIVES(MISUSE, hotcold_cursor_next(c, &key, &error));
  GIVES(MISUSE, hotcold_cursor_value(c, &value, &error));
  while (hotcold_event_queue_next(q, 0, &event, &error) == HOTCOLD_OK) checks++;
  GIVES(END, hotcold_event_queue_next(q, 1000, &event, &error));
  if (memcmp(kept.data, "bytes", 5) != 0 || memcmp(from_cold.data, "bytes", 5) != 0) fail("a value changed after close");
  hotcold_value_release(&kept);
  hotcold_value_release(&kept);
  hotcold_value_release(&from_cold);
  hotcold_cursor_close(c);
  hotcold_event_queue_close(q);
}

static void *hammer(void *arg) {
  hotcold_t       *s = arg;
  hotcold_value_t  v = {0};
  hotcold_status_t status;
  dice_t           d = {(uint64_t)(uintptr_t)&v};
  do {
    char             key[8];
    size_t           n = (size_t)sprintf(key, "%u", (unsigned)below(&d, 500));
    hotcold_error_t  e;
    status = chance(&d, 3) ? hotcold_store(s, key, n, key, n, &e) : hotcold_retrieve(s, key, n, &v, &e);
    if (status == HOTCOLD_OK && v.data && (v.len != n || memcmp(v.data, key, n) != 0)) fail("another key's value");
    hotcold_value_release(&v);
    if (status < 0 && status != HOTCOLD_MISUSE) fail("while closing: %s: %s", hotcold_status_name(status), e.message);
  } while (status != HOTCOLD_MISUSE);
  return NULL;
}

/* Eight threads work until the handle is gone; the directory is then at once free to be opened again. */
static void closing_under_load(void) {
  dice_t d = dice(2);
  for (int round = 0; round < (torture.is_long ? 400 : 40); round++) {
    pthread_t   threads[8];
    const char *forms[] = {"hot_capacity=16KiB", "hot_capacity=0", "hot_capacity=8MiB"};
    hotcold_t  *s = open_store(path_of(torture.dir, "busy"), forms[round % 3]);
    for (size_t i = 0; i < LENGTH(threads); i++) must(pthread_create(&threads[i], NULL, hammer, s) == 0);
    sleep_us(below(&d, 5000));
    close_store(s);
    GIVES(MISUSE, hotcold_close(s, &error));
    close_store(open_store(path_of(torture.dir, "busy"), forms[(round + 1) % 3]));
    for (size_t i = 0; i < LENGTH(threads); i++) pthread_join(threads[i], NULL);
  }
}

/* In a forked child every call on the parent's store is MISUSE, and the child's end does the parent's store no harm. */
static void after_fork(void) {
  hotcold_t *s = open_store(path_of(torture.dir, "forked"), "hot_capacity=1MiB");
  int        status;
  GIVES(OK, hotcold_store(s, "k", 1, "v", 1, &error));
  pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    all_calls(s, HOTCOLD_MISUSE);
    GIVES(MISUSE, hotcold_close(s, &error));
    exit(0); /* with exit handlers */
  }
  must(waitpid(child, &status, 0) == child && status == 0);
  GIVES(OK, hotcold_store(s, "k", 1, "w", 1, &error));
  GIVES(OK, hotcold_retrieve(s, "k", 1, &value, &error));
  hotcold_value_release(&value);
  close_store(s);
}

int main(int argc, char **argv) {
  torture_begin("misuse", argc, argv);
  garbage();
  options();
  after_close();
  closing_under_load();
  after_fork();
  printf("misuse: %" PRIu64 " wrong calls answered\n", checks);
  return torture_end();
}
