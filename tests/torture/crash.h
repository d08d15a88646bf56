/* What the programs share that kill a process in the middle of its work and ask what the directory still holds.
 *
 * A forked child opens the store and works on it with several threads. It writes down, in memory shared with the parent,
 * what it is about to do (`started`) and what has returned OK (`acked`). After the kill other children open a copy of the
 * directory without its CHECKPOINT, then the directory, and compare every key with what may be there:
 *
 * 1. Nothing acknowledged is lost, and nothing deleted, replaced or cleared comes back.
 * 2. What was in flight has happened or not, but whole: values describe themselves.
 * 3. A clear in flight has emptied all keys or none; a batch in flight has changed all its keys or none.
 * 4. Opening never fails, and the cursor shows exactly the keys that are there.
 * 5. With and without CHECKPOINT the same is found.
 *
 * Each key is changed by one thread only, so that what it should hold is exact. Clears run at any time; a store and
 * a clear that overlap may have happened in either order, and numbered clears tell which did overlap. */
#ifndef CRASH_H
#define CRASH_H
#include "torture.h"

enum { THREADS = 4, KEYS = 2000, BATCH_MAX = 8, VALUE_MAX = 300 * 1024, TTL_MS = 20 };

/* An operation on a key: its number (never reused in a run), the clears seen before and after it, what it did. */
typedef struct { uint64_t id; uint32_t before, after; bool is_delete; } op_t;

/* Packed, so that a kill finds either the old or the new: id 39 bits, is_delete 1, before 12, after 12. */
static uint64_t pack(op_t o) {
  return o.id << 25 | (uint64_t)o.is_delete << 24 | (uint64_t)(o.before & 4095) << 12 | (o.after & 4095);
}
static op_t unpack(uint64_t p) {
  return (op_t){p >> 25, (uint32_t)(p >> 12) & 4095, (uint32_t)p & 4095, (p >> 24) & 1};
}

typedef struct { _Atomic uint64_t started, acked; } slot_t; /* acked 0: absent */
typedef struct { _Atomic uint32_t count; uint32_t keys[BATCH_MAX]; uint32_t clears; } flight_t; /* a batch in flight */

static struct shared {
  slot_t           slots[KEYS];
  flight_t         batches[THREADS];
  _Atomic uint64_t next_id, acknowledged;
  _Atomic uint32_t clears_started, clears_done;
  _Atomic bool     opened, compacting;
  uint8_t          found[KEYS]; /* by the check without CHECKPOINT */
} *shared;

static hotcold_t                *store;
static uint64_t                  cycle;
static _Thread_local const char *role = "store"; /* whose thread this is: the store's own, a writer's, or the caller's of all else */

static size_t length_of(uint64_t id) {
  uint64_t r = mix(id ^ 0xC0FFEE);
  switch (r % 64) {
  case 0: return 0;
  case 1: return (r >> 8) % 16;
  case 2: return (r >> 8) % VALUE_MAX;
  case 3: case 4: case 5: return (r >> 8) % 16384;
  default: return 900 + (r >> 8) % 200;
  }
}

/* Every 16th store has a ttl that is over when the check comes: to the check it is a delete. */
static uint64_t ttl_of(uint64_t id) { return mix(id ^ 0xDEAD) % 16 == 0 ? TTL_MS : 0; }
static bool     leaves_nothing(op_t o) { return o.id == 0 || o.is_delete || ttl_of(o.id) != 0; }

static size_t key_name(char *out, uint32_t key) { return (size_t)sprintf(out, "key-%06u", key); }

/* ---- the child that is killed -------------------------------------------------------------- */

static op_t begin(uint32_t key, bool is_delete) {
  op_t o = {atomic_fetch_add(&shared->next_id, 1) + 1, atomic_load(&shared->clears_done), 0, is_delete};
  atomic_store(&shared->slots[key].started, pack(o));
  return o;
}

static void acknowledge(uint32_t key, op_t o) {
  o.after = atomic_load(&shared->clears_started);
  atomic_store(&shared->slots[key].acked, pack(o));
  atomic_fetch_add(&shared->acknowledged, 1);
}

static void change(dice_t *d, uint32_t key, uint8_t *buffer) {
  char            name[16];
  size_t          name_len = key_name(name, key);
  hotcold_error_t error;
  op_t            o = begin(key, chance(d, 5));
  if (o.is_delete) {
    expect2(hotcold_delete(store, name, name_len, &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "delete");
  } else {
    hotcold_store_options_t with = {.ttl = ttl_of(o.id)};
    value_make(buffer, length_of(o.id), key, o.id);
    expect(with.ttl == 0 ? hotcold_store(store, name, name_len, buffer, length_of(o.id), &error)
                         : hotcold_store_with(store, name, name_len, buffer, length_of(o.id), &with, sizeof with, NULL, &error),
           HOTCOLD_OK, &error, "store");
  }
  acknowledge(key, o);
}

static void change_many(dice_t *d, uint32_t thread, uint8_t *buffer) {
  hotcold_batch_t *batch = hotcold_batch_new();
  hotcold_error_t  error;
  flight_t        *flight = &shared->batches[thread];
  op_t             ops[BATCH_MAX];
  uint32_t         n = 2 + (uint32_t)below(d, BATCH_MAX - 1), first = (uint32_t)below(d, KEYS / THREADS);
  flight->clears = atomic_load(&shared->clears_done);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t key = flight->keys[i] = (first + i) % (KEYS / THREADS) * THREADS + thread;
    char     name[16];
    size_t   name_len = key_name(name, key);
    ops[i]            = begin(key, chance(d, 5));
    value_make(buffer, length_of(ops[i].id), key, ops[i].id);
    if (ops[i].is_delete) expect(hotcold_batch_delete(batch, name, name_len, &error), HOTCOLD_OK, &error, "batch_delete");
    else
      expect(hotcold_batch_store(batch, name, name_len, buffer, length_of(ops[i].id),
                                 &(hotcold_store_options_t){.ttl = ttl_of(ops[i].id)}, sizeof(hotcold_store_options_t), &error),
             HOTCOLD_OK, &error, "batch_store");
  }
  atomic_store(&flight->count, n);
  expect(hotcold_write(store, batch, 0, &error), HOTCOLD_OK, &error, "write");
  atomic_store(&flight->count, 0);
  for (uint32_t i = 0; i < n; i++) acknowledge(flight->keys[i], ops[i]);
  hotcold_batch_free(batch);
}

/* A key's own thread knows what it holds, but for a clear at the same time. */
static void look(uint32_t key) {
  char            name[16];
  hotcold_value_t v;
  hotcold_error_t error;
  op_t            o = unpack(atomic_load(&shared->slots[key].acked));
  uint32_t        cleared = atomic_load(&shared->clears_done), clears;
  hotcold_status_t s = expect2(hotcold_retrieve(store, name, key_name(name, key), &v, &error), HOTCOLD_OK,
                               HOTCOLD_NOT_FOUND, &error, "retrieve");
  clears = atomic_load(&shared->clears_started);
  if (s == HOTCOLD_OK && (o.id == 0 || o.is_delete || cleared > o.after || !value_is(v.data, v.len, key, o.id, length_of(o.id))))
    fail("cycle %" PRIu64 ": key %u: retrieve gave %zu bytes that are not those of its last store", cycle, key, v.len);
  if (s == HOTCOLD_NOT_FOUND && !leaves_nothing(o) && clears == o.before)
    fail("cycle %" PRIu64 ": key %u: stored and not found", cycle, key);
  hotcold_value_release(&v);
}

static void *worker(void *arg) {
  uint32_t thread = (uint32_t)(uintptr_t)arg;
  dice_t   d      = dice(cycle * 100 + thread);
  uint8_t *buffer = malloc(VALUE_MAX);
  must(buffer != NULL);
  role = "writer";
  for (;;) {
    uint32_t key = (uint32_t)below(&d, KEYS / THREADS) * THREADS + thread;
    if (chance(&d, 3)) look(key);
    else if (chance(&d, 12)) change_many(&d, thread, buffer);
    else change(&d, key, buffer);
  }
  return NULL;
}

/* Clears, compacts, syncs and empties hot, now and then. */
static void *disturber(void *arg) {
  dice_t          d = dice(cycle * 100 + 99);
  hotcold_error_t error;
  bool            may_clear = chance(&d, 2);
  (void)arg;
  for (;;) {
    sleep_us(below(&d, 20000));
    switch (below(&d, 6)) {
    case 0:
      if (!may_clear || atomic_load(&shared->clears_started) > 4000) break;
      atomic_fetch_add(&shared->clears_started, 1);
      expect(hotcold_clear(store, &error), HOTCOLD_OK, &error, "clear");
      atomic_fetch_add(&shared->clears_done, 1);
      break;
    case 1: case 2:
      atomic_store(&shared->compacting, true);
      expect(hotcold_compact(store, &error), HOTCOLD_OK, &error, "compact");
      atomic_store(&shared->compacting, false);
      break;
    case 3: expect(hotcold_sync(store, &error), HOTCOLD_OK, &error, "sync"); break;
    default: expect(hotcold_optimize_hot(store, 0, NULL, &error), HOTCOLD_OK, &error, "optimize_hot");
    }
  }
  return NULL;
}

/* Works on `store` until the end of the process. */
__attribute__((noreturn)) static void work(void) {
  pthread_t thread;
  role = "caller";
  atomic_store(&shared->opened, true);
  for (uintptr_t i = 0; i < THREADS; i++) must(pthread_create(&thread, NULL, worker, (void *)i) == 0);
  disturber(NULL);
  abort();
}

/* ---- the child that checks ----------------------------------------------------------------- */

typedef enum { GONE, KEPT, NEW } found_t; /* what a key holds: nothing, its last acknowledged value, the one in flight */

/* What `key` holds, or the end of the program if it may not hold that. */
static found_t examine(uint32_t key) {
  char             name[16];
  hotcold_value_t  v;
  hotcold_error_t  error;
  op_t             a = unpack(atomic_load(&shared->slots[key].acked)), s = unpack(atomic_load(&shared->slots[key].started));
  uint32_t         started = atomic_load(&shared->clears_started), done = atomic_load(&shared->clears_done);
  bool             a_present = !leaves_nothing(a), in_flight = s.id > a.id;
  bool             surely_cleared = done > a.after, maybe_cleared = started > a.before;
  bool             maybe_gone = !a_present || maybe_cleared || (in_flight && (leaves_nothing(s) || started > s.before));
  found_t          found;
  hotcold_status_t status = expect2(hotcold_retrieve(store, name, key_name(name, key), &v, &error), HOTCOLD_OK,
                                    HOTCOLD_NOT_FOUND, &error, "retrieve after the kill");
  if (status == HOTCOLD_NOT_FOUND) {
    if (!maybe_gone) fail("cycle %" PRIu64 ": key %u: store %" PRIu64 " was acknowledged and is lost", cycle, key, a.id);
    found = GONE;
  } else if (in_flight && !leaves_nothing(s) && value_is(v.data, v.len, key, s.id, length_of(s.id))) {
    found = NEW;
  } else if (a_present && !surely_cleared && value_is(v.data, v.len, key, a.id, length_of(a.id))) {
    found = KEPT;
  } else {
    fail("cycle %" PRIu64 ": key %u holds %zu bytes of store %" PRIu64 " (0: torn, or short); acknowledged %" PRIu64
         "%s%s, in flight %" PRIu64 "%s",
         cycle, key, v.len, value_id(v.data, v.len, key), a.id, leaves_nothing(a) ? " (delete)" : "",
         surely_cleared ? " (cleared)" : "", in_flight ? s.id : 0, leaves_nothing(s) ? " (delete)" : "");
  }
  hotcold_value_release(&v);
  return found;
}

/* Of a clear in flight, the keys at rest tell: all are gone, or none by it. */
static void check_clear(const found_t *found) {
  uint32_t started = atomic_load(&shared->clears_started), gone = 0, kept = 0;
  if (started == atomic_load(&shared->clears_done)) return;
  for (uint32_t key = 0; key < KEYS; key++) {
    op_t a = unpack(atomic_load(&shared->slots[key].acked)), s = unpack(atomic_load(&shared->slots[key].started));
    if (leaves_nothing(a) || s.id > a.id || a.after >= started || a.before + 1 != started) continue;
    if (found[key] == GONE) gone++;
    else kept++;
  }
  if (gone != 0 && kept != 0) fail("cycle %" PRIu64 ": half a clear: %u keys gone, %u kept", cycle, gone, kept);
}

/* Of a batch in flight, all keys show the new state or none, if no clear was near and old and new can be told apart. */
static void check_batches(const found_t *found) {
  for (uint32_t t = 0; t < THREADS; t++) {
    flight_t *f = &shared->batches[t];
    uint32_t  n = atomic_load(&f->count), done = 0, undone = 0;
    if (n == 0 || atomic_load(&shared->clears_started) != f->clears) continue;
    for (uint32_t i = 0; i < n; i++) {
      uint32_t key = f->keys[i];
      op_t     a = unpack(atomic_load(&shared->slots[key].acked)), s = unpack(atomic_load(&shared->slots[key].started));
      bool     was_there = !leaves_nothing(a) && a.before == f->clears && a.after == f->clears;
      if (leaves_nothing(s) ? !was_there : length_of(s.id) < 8) continue;
      if (found[key] == NEW || (leaves_nothing(s) && found[key] == GONE)) done++;
      else undone++;
    }
    if (done != 0 && undone != 0) fail("cycle %" PRIu64 ": half a batch: %u of %u done", cycle, done, n);
  }
}

static void check_cursor(const found_t *found) {
  hotcold_cursor_t *c;
  hotcold_slice_t   key;
  hotcold_error_t   error;
  bool              seen[KEYS] = {false};
  expect(hotcold_cursor_open(store, "", 0, &c, &error), HOTCOLD_OK, &error, "cursor_open");
  while (expect2(hotcold_cursor_next(c, &key, &error), HOTCOLD_OK, HOTCOLD_END, &error, "cursor_next") == HOTCOLD_OK) {
    char     name[16] = "";
    uint32_t number   = KEYS;
    if (key.len < sizeof name) memcpy(name, key.data, key.len);
    if (sscanf(name, "key-%u", &number) != 1 || number >= KEYS || found[number] == GONE || seen[number])
      fail("cycle %" PRIu64 ": the cursor shows %s, which is not there or was shown", cycle, name);
    seen[number] = true;
  }
  hotcold_cursor_close(c);
  for (uint32_t i = 0; i < KEYS; i++)
    if (found[i] != GONE && !seen[i]) fail("cycle %" PRIu64 ": the cursor leaves out key %u", cycle, i);
}

static void examine_all(found_t *found) {
  for (uint32_t key = 0; key < KEYS; key++) found[key] = examine(key);
  check_clear(found);
  check_batches(found);
  check_cursor(found);
}

/* Opens a copy without the checkpoint, compares, and notes what was found. */
static void check_without_checkpoint(const char *path, const char *settings) {
  static found_t found[KEYS];
  char           copy[300];
  snprintf(copy, sizeof copy, "%s/without", torture.dir);
  size_t         context = strlen(torture.context);
  snprintf(torture.context + context, sizeof torture.context - context, ", without CHECKPOINT");
  copy_directory(path, copy, "CHECKPOINT");
  store = open_store(copy, settings);
  examine_all(found);
  for (uint32_t key = 0; key < KEYS; key++) shared->found[key] = (uint8_t)found[key];
}

/* Opens, compares, and makes what was found the state that the next cycle starts from. */
static void check(const char *path, const char *settings) {
  static found_t found[KEYS];
  store = open_store(path, settings);
  examine_all(found);
  for (uint32_t key = 0; key < KEYS; key++) {
    slot_t *slot = &shared->slots[key];
    op_t    now  = unpack(found[key] == NEW ? slot->started : slot->acked);
    if (shared->found[key] != found[key])
      fail("cycle %" PRIu64 ": key %u: %u with CHECKPOINT, %u without (0: absent, 1: acknowledged, 2: in flight)", cycle, key,
           found[key], shared->found[key]);
    now.before = now.after = 0;
    slot->acked = slot->started = found[key] == GONE ? 0 : pack(now);
  }
  for (uint32_t t = 0; t < THREADS; t++) shared->batches[t].count = 0;
  shared->clears_started = shared->clears_done = 0;
  if (cycle % 3 != 0) close_store(store); /* else left behind once more, with nothing in flight */
}

/* ---- the parent ---------------------------------------------------------------------------- */

static pid_t fork_child(void) {
  shared->opened = shared->compacting = false;
  fflush(NULL);
  pid_t child = fork();
  must(child >= 0);
  return child;
}

/* Waits for a child that was killed, or ends the program. */
static void await_killed(pid_t child, const char *settings) {
  int status;
  must(waitpid(child, &status, 0) == child);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    fail("cycle %" PRIu64 " (%s): the working process ended by itself, status %d", cycle, settings, status);
}

/* Both checks, in processes of their own; ends the program if one fails. */
static void check_all(const char *path, const char *settings) {
  static void (*const CHECKS[])(const char *, const char *) = {check_without_checkpoint, check};
  sleep_us((TTL_MS + 5) * 1000);
  for (size_t i = 0; i < LENGTH(CHECKS); i++) {
    int   status;
    pid_t child = fork_child();
    if (child == 0) {
      CHECKS[i](path, settings);
      _exit(0);
    }
    must(waitpid(child, &status, 0) == child);
    if (status != 0) fail("cycle %" PRIu64 " (%s): the check failed, status %d; kept in %s", cycle, settings, status, path);
  }
}

#endif
