/* Walks the keys with cursors while other threads store, delete, evict, promote and compact.
 *
 * Half of the keys live throughout: every walk must show each of them exactly once. The others come and go: a walk may show
 * them or not, but at most once. No walk shows a key that was never stored, and a value shown is that of its key. */
#include "torture.h"

enum { KEYS = 20000, WRITERS = 4, WALKERS = 2 };

static struct { hotcold_t *store; uint64_t round; _Atomic bool done; } run;

static bool   lives(uint64_t key) { return key % 2 == 0; }
static size_t name_of(char *out, uint64_t key) { return (size_t)sprintf(out, "%s-%" PRIu64, key % 3 ? "some" : "other", key); }

static void store(uint64_t key, uint64_t id) {
  char            name[32];
  uint8_t         value[64];
  hotcold_error_t error;
  value_make(value, sizeof value, key, id);
  expect(hotcold_store(run.store, name, name_of(name, key), value, sizeof value, &error), HOTCOLD_OK, &error, "store");
}

/* Overwrites what lives, and lets the others come and go. */
static void *writer(void *arg) {
  dice_t   d  = dice(run.round * 100 + (uint64_t)(uintptr_t)arg);
  uint64_t id = (uint64_t)(uintptr_t)arg;
  while (!atomic_load(&run.done)) {
    uint64_t        key = below(&d, KEYS);
    char            name[32];
    hotcold_value_t v;
    hotcold_error_t error;
    id += WRITERS;
    if (chance(&d, 3)) {
      expect2(hotcold_retrieve(run.store, name, name_of(name, key), &v, &error), HOTCOLD_OK, lives(key) ? HOTCOLD_OK : HOTCOLD_NOT_FOUND,
              &error, "retrieve");
      hotcold_value_release(&v);
    } else if (lives(key) || chance(&d, 2)) {
      store(key, id);
    } else {
      expect2(hotcold_delete(run.store, name, name_of(name, key), &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "delete");
    }
  }
  return NULL;
}

static void *disturber(void *arg) {
  dice_t          d = dice(run.round * 100 + 99);
  hotcold_error_t error;
  (void)arg;
  while (!atomic_load(&run.done)) {
    sleep_us(below(&d, 5000));
    if (chance(&d, 3)) expect(hotcold_compact(run.store, &error), HOTCOLD_OK, &error, "compact");
    else expect(hotcold_optimize_hot(run.store, below(&d, 2) << 18, NULL, &error), HOTCOLD_OK, &error, "optimize_hot");
  }
  return NULL;
}

static void walk(const char *prefix, dice_t *d) {
  hotcold_cursor_t *c;
  hotcold_slice_t   shown;
  hotcold_value_t   v;
  hotcold_error_t   error;
  uint8_t          *seen = calloc(KEYS, 1);
  must(seen != NULL);
  expect(hotcold_cursor_open(run.store, prefix, strlen(prefix), &c, &error), HOTCOLD_OK, &error, "cursor_open");
  while (expect2(hotcold_cursor_next(c, &shown, &error), HOTCOLD_OK, HOTCOLD_END, &error, "cursor_next") == HOTCOLD_OK) {
    char     name[32] = "", again[32];
    uint64_t key      = KEYS;
    if (shown.len < sizeof name) memcpy(name, shown.data, shown.len);
    if (strchr(name, '-')) key = strtoull(strchr(name, '-') + 1, NULL, 10);
    if (key >= KEYS || name_of(again, key) != shown.len || strcmp(name, again) != 0 || strncmp(name, prefix, strlen(prefix)) != 0)
      fail("round %" PRIu64 ": the cursor shows %s, which was never stored or lacks the prefix", run.round, name);
    if (seen[key]++) fail("round %" PRIu64 ": the cursor shows %s twice", run.round, name);
    if (!chance(d, 8)) continue;
    if (expect2(hotcold_cursor_value(c, &v, &error), HOTCOLD_OK, lives(key) ? HOTCOLD_OK : HOTCOLD_NOT_FOUND, &error, "cursor_value") ==
            HOTCOLD_OK &&
        value_id(v.data, v.len, key) == 0)
      fail("round %" PRIu64 ": the cursor gives %s a value that is not its own", run.round, name);
    hotcold_value_release(&v);
  }
  hotcold_cursor_close(c);
  for (uint64_t key = 0; key < KEYS; key += 2) {
    char name[32];
    name_of(name, key);
    if (!seen[key] && strncmp(name, prefix, strlen(prefix)) == 0) fail("round %" PRIu64 ": the cursor leaves out %s", run.round, name);
  }
  free(seen);
}

static void *walker(void *arg) {
  static const char *const PREFIXES[] = {"", "", "some", "other-1"};
  dice_t                   d          = dice(run.round * 100 + 50 + (uint64_t)(uintptr_t)arg);
  for (int i = 0; i < 12; i++) walk(PREFIXES[below(&d, LENGTH(PREFIXES))], &d);
  return NULL;
}

static const struct { const char *settings; bool cold; } FORMS[] = {
    {"hot_capacity=256KiB compression=deflate:6", true},
    {"hot_capacity=0 compression=none", true},
    {"hot_capacity=64MiB compression=none", true},
    {"hot_capacity=64MiB", false},
};

static void round_of(uint64_t number) {
  size_t    form = number % LENGTH(FORMS), n = 0;
  pthread_t threads[WALKERS + WRITERS + 1];
  run.round = number;
  run.done  = false;
  run.store = open_store(FORMS[form].cold ? path_of(torture.dir, "store") : NULL, FORMS[form].settings);
  for (uint64_t key = 0; key < KEYS; key++) store(key, key + 1);
  for (uintptr_t i = 0; i < WALKERS; i++) must(pthread_create(&threads[n++], NULL, walker, (void *)i) == 0);
  for (uintptr_t i = 0; i < WRITERS; i++) must(pthread_create(&threads[n++], NULL, writer, (void *)(i + 1)) == 0);
  if (FORMS[form].cold) must(pthread_create(&threads[n++], NULL, disturber, NULL) == 0);
  for (size_t i = 0; i < n; i++) {
    if (i == WALKERS) run.done = true;
    pthread_join(threads[i], NULL);
  }
  close_store(run.store);
  remove_tree(path_of(torture.dir, "store"));
}

int main(int argc, char **argv) {
  torture_begin("walk", argc, argv);
  uint64_t rounds = torture.is_long ? 80 : 8;
  for (uint64_t r = 0; r < rounds; r++) round_of(r);
  printf("walk: %" PRIu64 " rounds, %" PRIu64 " walks of %d keys\n", rounds, rounds * WALKERS * 12, KEYS);
  return torture_end();
}
