/* Eight threads do random operations on a few keys, while others evict, promote, warm and compact; afterwards the record of
 * what each call returned is checked: for each key there must be an order of the calls, each taking effect at one instant
 * between call and return, in which every result is right.
 *
 * The checker (after Wing and Gong, and Lowe) walks the calls and returns of one key in the order of time and keeps every
 * configuration that is still possible: what the key holds, and which of the calls in progress have taken effect. A
 * return keeps those in which its call has. When none is left, no order explains the results. */
#include "torture.h"

enum { THREADS = 8, KEYS = 8, ROUND_OPS = 4000, CONFIGS_MAX = 1 << 16, CLEAR = -1 };

typedef enum { STORE, CAS, REMOVE, RETRIEVE, CONTAINS, WIPE } kind_t;

/* One call as its thread saw it. `id` is the value stored or seen (0: absent); `seen` what a CAS expected to replace. */
typedef struct { kind_t kind; int key; bool ok; uint64_t id, seen, from_ns, to_ns; } call_t;

static struct {
  hotcold_t      *store;
  call_t         *calls[THREADS];
  size_t          counts[THREADS];
  uint64_t        round;
  bool            clears;
  _Atomic int     running;
} run;

/* ---- the calls ----------------------------------------------------------------------------- */

static size_t length_of(uint64_t id) { return 16 + mix(id) % (mix(id ^ 1) % 8 == 0 ? 20000 : 1500); }

static void keep(uint32_t thread, call_t c) {
  c.to_ns = now_ns();
  run.calls[thread][run.counts[thread]++] = c;
}

static uint64_t read_key(int key, bool promote, bool into, uint64_t *version) {
  static _Thread_local uint8_t buffer[32768];
  char                         name[8];
  size_t                       name_len = (size_t)sprintf(name, "k%d", key), len;
  hotcold_error_t              error;
  hotcold_value_t              v = {0};
  hotcold_status_t             s;
  uint64_t                     id = 0;
  *version = 0;
  if (into) s = hotcold_retrieve_into(run.store, name, name_len, buffer, sizeof buffer, &len, &error);
  else s = hotcold_retrieve_with(run.store, name, name_len, promote ? 0 : HOTCOLD_RETRIEVE_NO_PROMOTE, &v, &error);
  expect2(s, HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "retrieve");
  if (s == HOTCOLD_OK) {
    id = into ? value_id(buffer, len, (uint64_t)key) : value_id(v.data, v.len, (uint64_t)key);
    if (id == 0) fail("round %" PRIu64 ": key %d: a torn value", run.round, key);
    *version = v.version;
  }
  hotcold_value_release(&v);
  return id;
}

static void write_key(uint32_t thread, dice_t *d, call_t c, uint64_t version) {
  uint8_t                 buffer[32768];
  char                    name[8];
  size_t                  name_len = (size_t)sprintf(name, "k%d", c.key);
  hotcold_error_t         error;
  hotcold_store_options_t o = {0};
  c.id = run.counts[thread] * THREADS + thread + 1;
  value_make(buffer, length_of(c.id), (uint64_t)c.key, c.id);
  o.flags   = (c.kind == CAS ? HOTCOLD_STORE_IF_VERSION : 0) | (chance(d, 8) ? HOTCOLD_STORE_COLD_ONLY : 0);
  o.if_version = version;
  c.from_ns = now_ns();
  if (c.kind == STORE && chance(d, 2)) {
    expect(hotcold_store(run.store, name, name_len, buffer, length_of(c.id), &error), HOTCOLD_OK, &error, "store");
    c.ok = true;
  } else {
    c.ok = expect2(hotcold_store_with(run.store, name, name_len, buffer, length_of(c.id), &o, sizeof o, NULL, &error), HOTCOLD_OK,
                   c.kind == CAS ? HOTCOLD_CONFLICT : HOTCOLD_OK, &error, "store_with") == HOTCOLD_OK;
  }
  keep(thread, c);
}

/* Two keys in one batch: each is a store of its own to the checker. */
static void write_batch(uint32_t thread, dice_t *d, int first) {
  static _Thread_local uint8_t buffer[32768];
  hotcold_batch_t *batch = hotcold_batch_new();
  hotcold_error_t  error;
  call_t           calls[2];
  for (int i = 0; i < 2; i++) {
    char name[8];
    calls[i] = (call_t){.kind = STORE, .key = (first + i) % KEYS, .ok = true, .id = (run.counts[thread] + (size_t)i) * THREADS + thread + 1};
    value_make(buffer, length_of(calls[i].id), (uint64_t)calls[i].key, calls[i].id);
    expect(hotcold_batch_store(batch, name, (size_t)sprintf(name, "k%d", calls[i].key), buffer, length_of(calls[i].id), NULL, 0, &error),
           HOTCOLD_OK, &error, "batch_store");
  }
  (void)d;
  calls[0].from_ns = calls[1].from_ns = now_ns();
  expect(hotcold_write(run.store, batch, 0, &error), HOTCOLD_OK, &error, "write");
  for (int i = 0; i < 2; i++) keep(thread, calls[i]);
  hotcold_batch_free(batch);
}

static void one_call(uint32_t thread, dice_t *d) {
  call_t          c = {.key = (int)below(d, KEYS)};
  char            name[8];
  size_t          name_len = (size_t)sprintf(name, "k%d", c.key);
  hotcold_error_t error;
  uint64_t        version, r = below(d, 100);
  if (r < 25) {
    c.kind = STORE;
    write_key(thread, d, c, 0);
  } else if (r < 30) {
    write_batch(thread, d, c.key);
  } else if (r < 40) { /* replaces what it has just seen, or nothing */
    c.kind    = RETRIEVE;
    c.from_ns = now_ns();
    c.id      = read_key(c.key, chance(d, 2), false, &version);
    keep(thread, c);
    c = (call_t){.kind = CAS, .key = c.key, .seen = c.id};
    write_key(thread, d, c, version);
  } else if (r < 50) {
    c.kind    = REMOVE;
    c.from_ns = now_ns();
    c.ok = expect2(hotcold_delete(run.store, name, name_len, &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "delete") == HOTCOLD_OK;
    keep(thread, c);
  } else if (r < 58) {
    c.kind    = CONTAINS;
    c.from_ns = now_ns();
    c.ok = expect2(hotcold_contains(run.store, name, name_len, &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "contains") == HOTCOLD_OK;
    keep(thread, c);
  } else if (r == 58 && run.clears) {
    c = (call_t){.kind = WIPE, .key = CLEAR, .from_ns = now_ns()};
    expect(hotcold_clear(run.store, &error), HOTCOLD_OK, &error, "clear");
    keep(thread, c);
  } else {
    bool promote = !chance(d, 4), into = chance(d, 4);
    c.kind    = RETRIEVE;
    c.from_ns = now_ns();
    c.id      = read_key(c.key, promote, into, &version);
    keep(thread, c);
  }
}

static void *worker(void *arg) {
  uint32_t thread = (uint32_t)(uintptr_t)arg;
  dice_t   d      = dice(run.round * 100 + thread);
  while (run.counts[thread] + 2 <= ROUND_OPS) one_call(thread, &d);
  atomic_fetch_sub(&run.running, 1);
  return NULL;
}

/* Moves entries between the tiers and segments while the others work. */
static void *disturber(void *arg) {
  dice_t          d = dice(run.round * 100 + 99);
  hotcold_error_t error;
  bool            mixed = *(bool *)arg;
  while (atomic_load(&run.running) > 0) {
    char            name[8];
    hotcold_slice_t key = {name, (size_t)sprintf(name, "k%d", (int)below(&d, KEYS))};
    uint64_t        r   = below(&d, 10);
    if (mixed && r < 4) expect(hotcold_optimize_hot(run.store, below(&d, 2) * 4096, NULL, &error), HOTCOLD_OK, &error, "optimize_hot");
    else if (mixed && r < 8) expect(hotcold_warm_up(run.store, &key, 1, NULL, &error), HOTCOLD_OK, &error, "warm_up");
    else if (r < 9) sleep_us(below(&d, 300));
    else expect(hotcold_compact(run.store, &error), HOTCOLD_OK, &error, "compact");
  }
  return NULL;
}

/* ---- the checker --------------------------------------------------------------------------- */

typedef struct { uint64_t at_ns; bool is_return; uint32_t thread; const call_t *call; } event_t;
typedef struct { uint64_t holds; uint32_t effected; } config_t; /* bit t: thread t's call in progress has taken effect */

static struct { config_t all[CONFIGS_MAX]; size_t count; } possible;

static int by_time(const void *a, const void *b) {
  const event_t *x = a, *y = b;
  if (x->at_ns != y->at_ns) return x->at_ns < y->at_ns ? -1 : 1;
  return (int)x->is_return - (int)y->is_return; /* calls before returns of the same nanosecond: they overlap */
}

/* Whether `call` may take effect on a key that holds `*holds`; then `*holds` is what it holds afterwards. */
static bool apply(const call_t *call, uint64_t *holds) {
  bool present = *holds != 0;
  switch (call->kind) {
  case STORE: *holds = call->id; return true;
  case WIPE: *holds = 0; return true;
  case RETRIEVE: return *holds == call->id;
  case CONTAINS: return present == call->ok;
  case REMOVE: *holds = 0; return present == call->ok;
  case CAS:
    if ((*holds == call->seen) != call->ok) return false;
    if (call->ok) *holds = call->id;
    return true;
  }
  return false;
}

static void add(config_t c) {
  for (size_t i = 0; i < possible.count; i++)
    if (possible.all[i].holds == c.holds && possible.all[i].effected == c.effected) return;
  must(possible.count < CONFIGS_MAX);
  possible.all[possible.count++] = c;
}

/* The call of `thread` returns: lets any calls in progress take effect, and keeps what has this one among them. */
static bool settle(const call_t *const *pending, uint32_t thread) {
  size_t kept = 0;
  for (size_t i = 0; i < possible.count; i++) { /* grows as it goes */
    for (uint32_t t = 0; t < THREADS; t++) {
      config_t c = possible.all[i];
      if (!pending[t] || (c.effected >> t & 1) || (c.effected >> thread & 1)) continue;
      c.effected |= 1u << t;
      if (apply(pending[t], &c.holds)) add(c);
    }
  }
  for (size_t i = 0; i < possible.count; i++) {
    config_t c = possible.all[i];
    if (!(c.effected >> thread & 1)) continue;
    c.effected &= ~(1u << thread);
    possible.all[kept++] = c;
  }
  possible.count = kept;
  return kept != 0;
}

static void describe(const event_t *events, size_t n, size_t at) {
  static const char *const NAMES[] = {"store", "compare-and-store", "delete", "retrieve", "contains", "clear"};
  for (size_t i = at > 40 ? at - 40 : 0; i < n && i <= at; i++) {
    const call_t *c = events[i].call;
    fprintf(stderr, "  %" PRIu64 " thread %u %s %s id %" PRIu64 " seen %" PRIu64 " %s\n", events[i].at_ns, events[i].thread,
            events[i].is_return ? "returns" : "calls", NAMES[c->kind], c->id, c->seen, c->ok ? "ok" : "-");
  }
}

static void check_key(int key, uint64_t holds) {
  static event_t events[2 * THREADS * ROUND_OPS];
  const call_t  *pending[THREADS] = {NULL};
  size_t         n = 0;
  for (uint32_t t = 0; t < THREADS; t++)
    for (size_t i = 0; i < run.counts[t]; i++) {
      const call_t *c = &run.calls[t][i];
      if (c->key != key && c->key != CLEAR) continue;
      events[n++] = (event_t){c->from_ns, false, t, c};
      events[n++] = (event_t){c->to_ns, true, t, c};
    }
  qsort(events, n, sizeof events[0], by_time);
  possible.count  = 1;
  possible.all[0] = (config_t){holds, 0};
  for (size_t i = 0; i < n; i++) {
    uint32_t t = events[i].thread;
    if (!events[i].is_return) {
      pending[t] = events[i].call;
      continue;
    }
    if (!settle(pending, t)) {
      describe(events, n, i);
      fail("round %" PRIu64 ": key %d: no order of the calls explains these results", run.round, key);
    }
    pending[t] = NULL;
  }
}

/* ---- rounds -------------------------------------------------------------------------------- */

static const struct { const char *settings; bool cold, mixed; } FORMS[] = {
    {"hot_capacity=16KiB compression=none", true, true},
    {"hot_capacity=64MiB compression=deflate:6", true, true},
    {"hot_capacity=64KiB compression=deflate:6 hot_ttl=1ms", true, true},
    {"hot_capacity=1MiB hot_max_entries=3 compression=none", true, true},
    {"hot_capacity=0 compression=deflate:6", true, false},
    {"hot_capacity=64MiB", false, false}, /* hot only, and large: nothing leaves by itself */
};

static void round_of(uint64_t number) {
  size_t    form = number % LENGTH(FORMS);
  pthread_t threads[THREADS + 1];
  bool      mixed = FORMS[form].mixed;
  run.round   = number;
  run.clears  = number % 2 == 0 || number % 5 == 0;
  run.store   = open_store(FORMS[form].cold ? path_of(torture.dir, "store") : NULL, FORMS[form].settings);
  run.running = THREADS;
  for (uintptr_t t = 0; t < THREADS; t++) {
    run.counts[t] = 0;
    must(pthread_create(&threads[t], NULL, worker, (void *)t) == 0);
  }
  must(pthread_create(&threads[THREADS], NULL, disturber, &mixed) == 0);
  for (size_t t = 0; t <= THREADS; t++) pthread_join(threads[t], NULL);
  close_store(run.store);
  remove_tree(path_of(torture.dir, "store"));
  for (int key = 0; key < KEYS; key++) check_key(key, 0);
}

int main(int argc, char **argv) {
  torture_begin("linear", argc, argv);
  uint64_t rounds = torture.is_long ? 240 : 18;
  for (int t = 0; t < THREADS; t++) must((run.calls[t] = malloc(ROUND_OPS * sizeof(call_t))) != NULL);
  for (uint64_t r = 0; r < rounds; r++) round_of(r);
  printf("linear: %" PRIu64 " rounds, %" PRIu64 " calls, all in an order that explains them\n", rounds,
         rounds * THREADS * ROUND_OPS);
  return torture_end();
}
