/* Holds the library to its account of memory: while it works hard with values of all sizes, hot never takes more than its
 * capacity, and the anonymous memory of this process stays within a tenth and 16 MiB of what stats report in all, and 4 MiB
 * for each thread that stores: glibc keeps an arena for each, and what a thread has freed of values up to 100 kB stays there.
 * Values that the caller holds count, also when hot has let go of them. */
#include "torture.h"

enum { KEYS = 60000, HELD = 2000, THREADS = 4, SLACK = (16 + 4 * THREADS) << 20 };

static struct { hotcold_t *store; uint64_t round, capacity; _Atomic int running; _Atomic uint64_t worst; } run;

static size_t length_of(uint64_t id) { return mix(id) % 50 == 0 ? mix(id) % 100000 : 16 + mix(id) % 2000; }

static uint64_t anonymous_bytes(void) {
  char     line[256];
  uint64_t kib = 0;
  FILE    *f   = fopen("/proc/self/status", "r");
  must(f != NULL);
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1) break;
  fclose(f);
  return kib * 1024;
}

static void check(uint64_t before) {
  hotcold_stats_t stats;
  hotcold_error_t error;
  uint64_t        used = anonymous_bytes();
  expect(hotcold_stats(run.store, &stats, sizeof stats, &error), HOTCOLD_OK, &error, "stats");
  used = used > before ? used - before : 0;
  if (stats.hot_bytes > run.capacity)
    fail("round %" PRIu64 ": hot takes %" PRIu64 " bytes of %" PRIu64, run.round, stats.hot_bytes, run.capacity);
  if (stats.memory_total != stats.memory_hot + stats.memory_keydir + stats.memory_buffers + stats.memory_held)
    fail("round %" PRIu64 ": the parts of memory do not add up", run.round);
  if (used > stats.memory_total + stats.memory_total / 10 + SLACK)
    fail("round %" PRIu64 ": the process takes %" PRIu64 " KiB, and accounts for %" PRIu64 " (hot %" PRIu64 ", keydir %" PRIu64
         ", buffers %" PRIu64 ", held %" PRIu64 ")",
         run.round, used >> 10, stats.memory_total >> 10, stats.memory_hot >> 10, stats.memory_keydir >> 10, stats.memory_buffers >> 10,
         stats.memory_held >> 10);
  if (used > stats.memory_total && used - stats.memory_total > run.worst) run.worst = used - stats.memory_total;
}

static void *worker(void *arg) {
  dice_t           d      = dice(run.round * 100 + (uint64_t)(uintptr_t)arg);
  uint8_t         *buffer = malloc(100000);
  hotcold_value_t *held   = calloc(HELD, sizeof *held);
  must(buffer != NULL && held != NULL);
  for (uint64_t i = 0; i < (torture.is_long ? 2000000u : 60000u); i++) {
    uint64_t        key = below(&d, KEYS), id = i * THREADS + (uint64_t)(uintptr_t)arg + 1, at = below(&d, HELD);
    hotcold_error_t error;
    if (chance(&d, 2)) {
      value_make(buffer, length_of(id), key, id);
      expect(hotcold_store(run.store, &key, sizeof key, buffer, length_of(id), &error), HOTCOLD_OK, &error, "store");
    } else {
      hotcold_value_release(&held[at]);
      expect2(hotcold_retrieve(run.store, &key, sizeof key, &held[at], &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "retrieve");
    }
  }
  for (size_t i = 0; i < HELD; i++) hotcold_value_release(&held[i]);
  free(held);
  free(buffer);
  atomic_fetch_sub(&run.running, 1);
  return NULL;
}

static void round_of(uint64_t number) {
  static const uint64_t CAPACITIES[] = {64 << 20, 0, 4 << 20};
  char                  settings[128];
  pthread_t             threads[THREADS];
  uint64_t              before = anonymous_bytes();
  run.round    = number;
  run.capacity = CAPACITIES[number % LENGTH(CAPACITIES)];
  run.running  = THREADS;
  snprintf(settings, sizeof settings, "hot_capacity=%" PRIu64 " compression=%s", run.capacity, number % 2 ? "deflate:6" : "none");
  run.store = open_store(path_of(torture.dir, "store"), settings);
  for (uintptr_t t = 0; t < THREADS; t++) must(pthread_create(&threads[t], NULL, worker, (void *)t) == 0);
  while (atomic_load(&run.running) > 0) {
    sleep_us(20000);
    check(before);
  }
  for (size_t t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
  check(before);
  close_store(run.store);
  remove_tree(path_of(torture.dir, "store"));
}

int main(int argc, char **argv) {
  torture_begin("memory", argc, argv);
  for (uint64_t r = 0; r < (torture.is_long ? 6u : 3u); r++) {
    pid_t child = fork(); /* a process a round, so that each begins with nothing */
    int   status;
    must(child >= 0);
    if (child == 0) {
      round_of(r);
      printf("memory: round %" PRIu64 ": at most %" PRIu64 " KiB beside the account\n", r, (uint64_t)run.worst >> 10);
      exit(0);
    }
    must(waitpid(child, &status, 0) == child);
    if (status != 0) fail("round %" PRIu64 " failed", r);
  }
  return torture_end();
}
