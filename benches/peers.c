/* hotcold beside RocksDB, LevelDB and LMDB: speed on one thread, on several, and with deflate.
 *
 * usage: peers speed|threads|deflate [keys] [rounds] [dir]
 *
 * Each engine's turn is a process of its own, on a fresh directory, with 16-byte keys and values of 1 KiB that compress to
 * half. Turns alternate (hotcold, rocksdb, ..., hotcold, ...); the table shows medians over the rounds, and how often as fast
 * hotcold is. One call in 16 is timed for the percentiles, so that the clock does not weigh on the rest. */
#define _GNU_SOURCE
#include "engines.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VALUE_LEN = 1024, POOL = 4096, ROUNDS_MAX = 9, PHASES_MAX = 16, THREADS_MAX = 8 };

typedef struct { double rate, p50_us, p99_us; } result_t; /* rate 0: not measured */

static struct { result_t of[PHASES_MAX][ENGINE_COUNT][ROUNDS_MAX]; } *results;

static char    *keys;
static uint8_t *pool;
static size_t   key_count = 150000, rounds = 3;
static char     dir[256] = "/tmp";

/* ---- helpers ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void prepare(void) {
  static const char TEXT[] = "the quick brown fox jumps over the lazy dog ";
  keys                     = malloc(key_count * KEY_LEN + 1);
  pool                     = malloc(POOL * VALUE_LEN);
  for (size_t i = 0; i < key_count; i++) sprintf(keys + i * KEY_LEN, "%016llx", (unsigned long long)mix(i + 1));
  for (size_t i = 0; i < POOL * VALUE_LEN; i += 8) {
    uint64_t noise = mix(i + 77);
    if (i % 64 < 32) memcpy(pool + i, &noise, 8);
    else memcpy(pool + i, TEXT + i % (sizeof TEXT - 9), 8);
  }
}

static const char    *key_at(size_t i) { return keys + i * KEY_LEN; }
static const uint8_t *value_at(size_t i) { return pool + mix(i) % POOL * VALUE_LEN; }

static void remove_dir(void) {
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (system(command) != 0) die("rm", dir);
  sync(); /* what the last engine left unwritten shall not burden the next */
}

/* Bytes that the files take on disk. */
static double disk_bytes(void) {
  DIR           *d     = opendir(dir);
  double         total = 0;
  struct dirent *e;
  sync();
  while (d && (e = readdir(d))) {
    char        path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) total += (double)st.st_blocks * 512;
  }
  if (d) closedir(d);
  return total;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static double median(double *values, size_t n) {
  qsort(values, n, sizeof *values, by_size);
  return values[n / 2];
}

/* ---- one phase ----------------------------------------------------------------------------- */

typedef enum { PUT, GET, TOUCH, DELETE } call_t;

static void one_call(const engine_t *e, void *db, call_t call, size_t i, uint8_t *buffer) {
  switch (call) {
  case PUT: e->put(db, key_at(i), value_at(i + (size_t)buffer[0]), VALUE_LEN); break;
  case GET:
    if (e->get(db, key_at(i), buffer, VALUE_LEN) != VALUE_LEN) die(e->name, "a value of another length");
    break;
  case TOUCH:
    if (hc_touch(db, key_at(i), buffer, VALUE_LEN) != VALUE_LEN) die(e->name, "a value of another length");
    break;
  case DELETE: e->del(db, key_at(i));
  }
}

/* The numbers below key_count in an order that `seed` chooses: each phase has its own, so that none reads as it was written. */
static uint32_t *shuffled(size_t seed) {
  uint32_t *order = malloc(key_count * sizeof *order);
  for (size_t i = 0; i < key_count; i++) {
    size_t j = mix(seed * key_count + i) % (i + 1);
    order[i] = order[j];
    order[j] = (uint32_t)i;
  }
  return order;
}

/* Calls once for each key, in an order that `seed` chooses, and times it. */
static result_t phase(const engine_t *e, void *db, call_t call, size_t seed) {
  uint8_t   buffer[VALUE_LEN] = {(uint8_t)seed};
  uint32_t *order             = shuffled(seed);
  double   *samples           = malloc((key_count / 16 + 1) * sizeof *samples);
  size_t    n                 = 0;
  double    from              = now();
  for (size_t i = 0; i < key_count; i++) {
    if (i % 16 != 0) {
      one_call(e, db, call, order[i], buffer);
    } else {
      double start = now();
      one_call(e, db, call, order[i], buffer);
      samples[n++] = (now() - start) * 1e6;
    }
  }
  double seconds = now() - from;
  qsort(samples, n, sizeof samples[0], by_size);
  result_t r = {(double)key_count / seconds, samples[n / 2], samples[n * 99 / 100]};
  free(samples);
  free(order);
  return r;
}

/* Runs `turn` in a process of its own, once an engine and round, in turns. */
static void in_turns(size_t engines, void (*turn)(size_t engine, size_t round)) {
  for (size_t round = 0; round < rounds; round++)
    for (size_t engine = 0; engine < engines; engine++) {
      int status;
      remove_dir();
      pid_t child = fork();
      if (child == 0) {
        turn(engine, round);
        _exit(0);
      }
      if (child < 0 || waitpid(child, &status, 0) != child || status != 0) die(ENGINES[engine].name, "its turn failed");
    }
  remove_dir();
}

/* ---- speed --------------------------------------------------------------------------------- */

enum { STORE, STORE_NO_SYNC, OVERWRITE, COLD_GET, HOT_GET, HOT_TOUCH, REMOVE, SPEED_PHASES };
static const char *const SPEED_NAMES[] = {"store", "store, sync_interval=0", "overwrite", "cold retrieve", "hot retrieve, copied out", "hot retrieve, by reference",
                                          "delete"};

/* The peers never sync by themselves, hotcold does once a second unless told otherwise: both are shown. */
static void speed_turn(size_t engine, size_t round) {
  const engine_t *e  = &ENGINES[engine];
  void           *db = engine == 0 ? hc_open_with(dir, NULL, "none", "0") : e->open(dir, FRESH, false);
  results->of[STORE_NO_SYNC][engine][round] = results->of[STORE][engine][round] = phase(e, db, PUT, 1);
  if (engine == 0) {
    e->close(db);
    remove_dir();
    db                                = e->open(dir, FRESH, false);
    results->of[STORE][engine][round] = phase(e, db, PUT, 1);
  }
  e->settle(db, false);
  results->of[OVERWRITE][engine][round] = phase(e, db, PUT, 2);
  e->settle(db, false);
  e->close(db);
  db                                   = e->open(dir, COLD, false);
  results->of[COLD_GET][engine][round] = phase(e, db, GET, 3);
  e->close(db);
  db = e->open(dir, HOT, false);
  phase(e, db, GET, 4); /* warms */
  results->of[HOT_GET][engine][round] = phase(e, db, GET, 5);
  if (engine == 0) results->of[HOT_TOUCH][engine][round] = phase(e, db, TOUCH, 5);
  else results->of[HOT_TOUCH][engine][round] = results->of[HOT_GET][engine][round];
  e->settle(db, false);
  results->of[REMOVE][engine][round] = phase(e, db, DELETE, 6);
  e->close(db);
}

/* ---- deflate ------------------------------------------------------------------------------- */

enum { SETTLED, DEFLATE_COLD, DISK, DEFLATE_PHASES };
static const char *const DEFLATE_NAMES[] = {"stores, until settled", "cold retrieve", "disk, MB"};

static void deflate_turn(size_t engine, size_t round) {
  const engine_t *e    = &ENGINES[engine];
  void           *db   = e->open(dir, FRESH, true);
  double          from = now();
  result_t        r    = phase(e, db, PUT, 1);
  e->settle(db, true);
  r.rate = (double)key_count / (now() - from);
  results->of[SETTLED][engine][round] = r;
  e->close(db);
  results->of[DISK][engine][round].rate = disk_bytes() / 1e6;
  db                                    = e->open(dir, COLD, true);
  results->of[DEFLATE_COLD][engine][round] = phase(e, db, GET, 3);
  e->close(db);
}

/* ---- threads ------------------------------------------------------------------------------- */

static const size_t      THREADS[]      = {1, 2, 4, 8};
static const char *const THREAD_NAMES[] = {"hot retrieve, 1 thread", "hot retrieve, 2 threads", "hot retrieve, 4 threads", "hot retrieve, 8 threads",
                                           "store, 1 thread", "store, 2 threads", "store, 4 threads", "store, 8 threads"};
enum { THREAD_KINDS = 4 };

static struct { const engine_t *engine; void *db; call_t call; size_t each; _Atomic int ready; _Atomic bool go; } job;

static void *thread_main(void *arg) {
  uint8_t buffer[VALUE_LEN] = {0};
  size_t  at                = (size_t)(uintptr_t)arg << 32;
  atomic_fetch_add(&job.ready, 1);
  while (!atomic_load(&job.go)) sched_yield();
  for (size_t i = 0; i < job.each; i++) one_call(job.engine, job.db, job.call, mix(at + i) % key_count, buffer);
  return NULL;
}

static result_t on_threads(const engine_t *e, void *db, call_t call, size_t n) {
  pthread_t threads[THREADS_MAX];
  job.engine = e;
  job.db     = db;
  job.call   = call;
  job.each   = key_count * 2 / n;
  atomic_store(&job.ready, 0);
  atomic_store(&job.go, false);
  for (size_t t = 0; t < n; t++)
    if (pthread_create(&threads[t], NULL, thread_main, (void *)(uintptr_t)t) != 0) die("pthread", "create");
  while (atomic_load(&job.ready) < (int)n) sched_yield();
  double from = now();
  atomic_store(&job.go, true);
  for (size_t t = 0; t < n; t++) pthread_join(threads[t], NULL);
  return (result_t){(double)(job.each * n) / (now() - from), 0, 0};
}

static void threads_turn(size_t engine, size_t round) {
  const engine_t *e  = &ENGINES[engine];
  void           *db = e->open(dir, HOT, false);
  phase(e, db, PUT, 1);
  e->settle(db, false);
  phase(e, db, GET, 4);
  for (size_t i = 0; i < THREAD_KINDS; i++) results->of[i][engine][round] = on_threads(e, db, engine == 0 ? TOUCH : GET, THREADS[i]);
  for (size_t i = 0; i < THREAD_KINDS; i++) {
    results->of[THREAD_KINDS + i][engine][round] = on_threads(e, db, PUT, THREADS[i]);
    e->settle(db, false);
  }
  e->close(db);
}

/* ---- the table ----------------------------------------------------------------------------- */

static double middle(size_t p, size_t engine, size_t field) {
  double values[ROUNDS_MAX];
  for (size_t r = 0; r < rounds; r++) {
    const result_t *x = &results->of[p][engine][r];
    values[r]         = field == 0 ? x->rate : field == 1 ? x->p50_us : x->p99_us;
  }
  return median(values, rounds);
}

static void table(const char *title, const char *const *names, size_t phases, size_t engines, bool percentiles) {
  printf("\n### %s\n\n%zu keys of %d bytes, values of %d bytes, median of %zu rounds%s\n\n| |", title, key_count, KEY_LEN, VALUE_LEN, rounds,
         percentiles ? "; calls/s, then p50 / p99 in us" : "");
  for (size_t e = 0; e < engines; e++) printf(" %s |", ENGINES[e].name);
  for (size_t e = 1; e < engines; e++) printf(" hotcold / %s |", ENGINES[e].name);
  printf("\n|---|");
  for (size_t e = 0; e < 2 * engines - 1; e++) printf("---:|");
  for (size_t p = 0; p < phases; p++) {
    printf("\n| %s |", names[p]);
    for (size_t e = 0; e < engines; e++) {
      double rate = middle(p, e, 0);
      if (rate >= 1e6) printf(" %.2fM", rate / 1e6);
      else if (rate >= 1e4) printf(" %.1fk", rate / 1e3);
      else printf(" %.0f", rate);
      if (percentiles && middle(p, e, 2) > 0) printf(" (%.2f / %.1f)", middle(p, e, 1), middle(p, e, 2));
      printf(" |");
    }
    for (size_t e = 1; e < engines; e++) printf(" **%.2f** |", middle(p, 0, 0) / middle(p, e, 0));
  }
  printf("\n");
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (argc > 2) key_count = strtoull(argv[2], NULL, 10);
  if (argc > 3) rounds = strtoull(argv[3], NULL, 10);
  if (argc > 4) snprintf(dir, sizeof dir, "%s", argv[4]);
  if (key_count == 0 || rounds == 0 || rounds > ROUNDS_MAX) die("peers", "keys and rounds are above 0, rounds at most 9");
  snprintf(dir + strlen(dir), sizeof dir - strlen(dir), "/peers-%d", (int)getpid());
  results = mmap(NULL, sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (results == MAP_FAILED) die("mmap", "no memory");
  prepare();
  if (!strcmp(mode, "speed")) {
    in_turns(ENGINE_COUNT, speed_turn);
    table("One thread, no compression, no sync", SPEED_NAMES, SPEED_PHASES, ENGINE_COUNT, true);
  } else if (!strcmp(mode, "threads")) {
    in_turns(2, threads_turn);
    table("Threads, no compression, no sync", THREAD_NAMES, 2 * THREAD_KINDS, 2, false);
  } else if (!strcmp(mode, "deflate")) {
    in_turns(2, deflate_turn);
    table("deflate:6 beside RocksDB with zlib", DEFLATE_NAMES, DEFLATE_PHASES, 2, true);
  } else {
    fprintf(stderr, "usage: peers speed|threads|deflate [keys] [rounds] [dir]\n");
    return 2;
  }
  return 0;
}
