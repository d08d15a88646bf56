/* Several processes, two threads each, change and read four keys of a store that they share through an engine; afterwards
 * the record of what each call returned is checked. Each history has a store of its own.
 *
 * usage: histories PATH SETTINGS HISTORIES DAMAGE [--seed N] [--short|--long]
 *
 * PATH gets a number at its end. DAMAGE is a command that is run in the middle of each history and returns when the engine
 * is to be whole again; `-` for none.
 *
 * What is checked:
 * 1. No lost update: two keys are counters, raised by compare-and-store alone. Each number is stored by one call, and the
 *    last number has been made by calls that succeeded, or whose outcome was told to be unknown.
 * 2. No version twice: a version stands for one value of one key.
 * 3. No read is staler than `coherence`: what it gives was not replaced by a call that had returned that long before.
 *    Own changes are seen at once, and with HOTCOLD_RETRIEVE_FRESH so are those of others.
 * 4. Without DAMAGE: every call succeeds; a counter is never seen to fall by one who reads later than that.
 * 5. With it: a failure is TIMEOUT or UNAVAILABLE, and each key can be changed again when DAMAGE has returned. */
#include "torture.h"

enum { PROCESSES = 3, THREADS = 2, CALLERS = PROCESSES * THREADS, KEYS = 4, COUNTERS = 2, CALLS_MAX = 6000 };

typedef enum { ADD, SET, CREATE, REMOVE, READ, FRESH } kind_t;
static const char *const KINDS[] = {"add", "set", "create", "remove", "read", "fresh read"};

/* One call as its thread saw it. `id` is the value stored or seen (0: absent), `version` its version. */
typedef struct {
  kind_t   kind;
  int      key, caller, status, tier;
  uint64_t id, version, from_ns, to_ns;
} call_t;

/* What the processes share: each caller writes its own. */
typedef struct {
  size_t  counts[CALLERS];
  call_t  calls[CALLERS][CALLS_MAX];
  _Atomic int ready, stop, is_mended, failed;
  _Atomic uint64_t changed_again[CALLERS]; /* a bit for each key that was changed after the damage */
} shared_t;

static struct {
  const char *path, *settings, *damage;
  uint64_t    histories, history, coherence_ns;
  shared_t   *shared;
  hotcold_t  *store;
  char        place[512];
} run;

static bool is_damaged(void) { return strcmp(run.damage, "-") != 0; }
static bool is_done(const call_t *c) { return c->status == HOTCOLD_OK || (c->kind == REMOVE && c->status == HOTCOLD_NOT_FOUND); }
static bool is_unknown(const call_t *c) { return c->status == HOTCOLD_TIMEOUT; }
static bool is_write(const call_t *c) { return c->kind < READ; }

/* ---- the calls ----------------------------------------------------------------------------- */

static void keep(call_t c, const hotcold_error_t *error) {
  c.to_ns = now_ns();
  bool is_failure = c.status < 0;
  if (is_failure && (!is_damaged() || (c.status != HOTCOLD_TIMEOUT && c.status != HOTCOLD_UNAVAILABLE)))
    fail("history %" PRIu64 ": %s of key %d: %s: %s", run.history, KINDS[c.kind], c.key, hotcold_status_name(c.status), error->message);
  if (run.shared->counts[c.caller] < CALLS_MAX) run.shared->calls[c.caller][run.shared->counts[c.caller]++] = c;
  if (is_write(&c) && c.status >= 0 && atomic_load(&run.shared->is_mended))
    atomic_fetch_or(&run.shared->changed_again[c.caller], UINT64_C(1) << c.key);
}

static size_t name_of(int key, char name[8]) { return (size_t)sprintf(name, "k%d", key); }
static size_t length_of(uint64_t id) { return 16 + mix(id) % 200; }

static call_t look(int caller, int key, uint32_t flags) {
  char            name[8];
  size_t          len = name_of(key, name);
  hotcold_error_t error;
  hotcold_value_t v = {0};
  call_t          c = {.kind = flags & HOTCOLD_RETRIEVE_FRESH ? FRESH : READ, .key = key, .caller = caller, .from_ns = now_ns()};
  c.status = hotcold_retrieve_with(run.store, name, len, flags, &v, &error);
  if (c.status == HOTCOLD_OK) {
    c.id = value_id(v.data, v.len, (uint64_t)key), c.version = v.version, c.tier = v.tier;
    if (c.id == 0) fail("history %" PRIu64 ": key %d: a torn value", run.history, key);
  }
  keep(c, &error);
  hotcold_value_release(&v);
  return c;
}

static void put(call_t c, const uint64_t *if_version) {
  uint8_t                 buffer[256];
  char                    name[8];
  size_t                  len = name_of(c.key, name);
  hotcold_error_t         error;
  hotcold_store_options_t o = {.flags = if_version ? HOTCOLD_STORE_IF_VERSION : 0, .if_version = if_version ? *if_version : 0};
  value_make(buffer, length_of(c.id), (uint64_t)c.key, c.id);
  c.from_ns = now_ns();
  c.status  = hotcold_store_with(run.store, name, len, buffer, length_of(c.id), &o, sizeof o, &c.version, &error);
  keep(c, &error);
}

static void erase(int caller, int key) {
  char            name[8];
  size_t          len = name_of(key, name);
  hotcold_error_t error;
  call_t          c = {.kind = REMOVE, .key = key, .caller = caller, .from_ns = now_ns()};
  c.status = hotcold_delete(run.store, name, len, &error);
  keep(c, &error);
}

static void one_call(int caller, dice_t *d) {
  int      key   = (int)below(d, KEYS);
  uint64_t own   = run.shared->counts[caller] * CALLERS + (uint64_t)caller + 1, absent = 0, r = below(d, 100);
  if (r < 55) look(caller, key, 0);
  else if (r < 65) look(caller, key, HOTCOLD_RETRIEVE_FRESH);
  else if (key < COUNTERS) { /* one more than was seen, hot or not */
    call_t seen = look(caller, key, chance(d, 4) ? HOTCOLD_RETRIEVE_FRESH : 0);
    if (seen.status >= 0) put((call_t){.kind = ADD, .key = key, .caller = caller, .id = seen.id + 1}, &seen.version);
  } else if (r < 85) put((call_t){.kind = SET, .key = key, .caller = caller, .id = own}, NULL);
  else if (r < 92) put((call_t){.kind = CREATE, .key = key, .caller = caller, .id = own}, &absent);
  else erase(caller, key);
  if (chance(d, 3)) sleep_us(below(d, is_damaged() ? 20000 : 3000));
}

static void *caller_run(void *arg) {
  int    caller = (int)(uintptr_t)arg;
  dice_t d      = dice(run.history * 100 + (uint64_t)caller);
  while (!atomic_load(&run.shared->stop)) one_call(caller, &d);
  return NULL;
}

static void process_run(int process) {
  pthread_t threads[THREADS];
  snprintf(torture.context, sizeof torture.context, ", process %d", process);
  run.store = open_store(run.place, run.settings);
  atomic_fetch_add(&run.shared->ready, 1);
  while (atomic_load(&run.shared->ready) < PROCESSES && !atomic_load(&run.shared->stop)) sleep_us(1000);
  for (int t = 0; t < THREADS; t++)
    must(pthread_create(&threads[t], NULL, caller_run, (void *)(uintptr_t)(process * THREADS + t)) == 0);
  for (int t = 0; t < THREADS; t++) must(pthread_join(threads[t], NULL) == 0);
  close_store(run.store);
  _exit(0);
}

/* ---- the checks ---------------------------------------------------------------------------- */

static call_t *all;
static size_t  all_count;

static int by_return(const void *a, const void *b) {
  const call_t *x = a, *y = b;
  return x->to_ns < y->to_ns ? -1 : x->to_ns > y->to_ns;
}

static int by_version(const void *a, const void *b) {
  const call_t *x = a, *y = b;
  if (x->version != y->version) return x->version < y->version ? -1 : 1;
  return x->key != y->key ? x->key - y->key : x->id < y->id ? -1 : x->id > y->id;
}

__attribute__((noreturn)) static void wrong(const char *what, const call_t *c, const call_t *other) {
  uint64_t start = all_count ? all[0].to_ns : 0;
  char     more[200] = "";
  if (other)
    snprintf(more, sizeof more, "; caller %d had a %s of %" PRIu64 " (version %" PRIu64 ") from %.3f to %.3f ms", other->caller,
             KINDS[other->kind], other->id, other->version, (double)(int64_t)(other->from_ns - start) / 1e6,
             (double)(int64_t)(other->to_ns - start) / 1e6);
  fail("history %" PRIu64 ": key %d: %s: caller %d had a %s of %" PRIu64 " (version %" PRIu64 ", tier %d) from %.3f to %.3f ms%s", run.history,
       c->key, what, c->caller, KINDS[c->kind], c->id, c->version, c->tier, (double)(int64_t)(c->from_ns - start) / 1e6,
       (double)(int64_t)(c->to_ns - start) / 1e6, more);
}

static void check_versions(void) {
  call_t *sorted = malloc(all_count * sizeof *sorted);
  size_t  count  = 0;
  must(sorted != NULL);
  for (size_t i = 0; i < all_count; i++)
    if (all[i].status == HOTCOLD_OK && all[i].version) sorted[count++] = all[i];
  qsort(sorted, count, sizeof *sorted, by_version);
  for (size_t i = 1; i < count; i++)
    if (sorted[i].version == sorted[i - 1].version && (sorted[i].key != sorted[i - 1].key || sorted[i].id != sorted[i - 1].id))
      wrong("a version twice", &sorted[i], &sorted[i - 1]);
  free(sorted);
}

/* `last` is what the counter has in the end. */
static void check_counter(int key, uint64_t last) {
  const call_t **made  = calloc(last + 2, sizeof *made);
  uint8_t       *maybe = calloc(last + 2, 1);
  must(made != NULL && maybe != NULL);
  for (size_t i = 0; i < all_count; i++) {
    const call_t *c = &all[i];
    if (c->key != key || c->kind != ADD) continue;
    if (is_done(c)) {
      if (c->id > last) wrong("an acknowledged number is lost", c, NULL);
      if (made[c->id]) wrong("a lost update: a number was stored twice", c, made[c->id]);
      made[c->id] = c;
    } else if (is_unknown(c) && c->id <= last) maybe[c->id] = 1;
  }
  for (uint64_t n = 1; n <= last; n++)
    if (!made[n] && !maybe[n]) fail("history %" PRIu64 ": key %d: nobody has stored %" PRIu64, run.history, key, n);
  free(made), free(maybe);
}

/* The interval in which what `read` gave was written: that of the write with this id; of deletions, the latest. */
static call_t origin_of(const call_t *read) {
  call_t origin = {.key = read->key, .kind = REMOVE};
  bool   is_found = read->id == 0;
  for (size_t i = 0; i < all_count; i++) {
    const call_t *w = &all[i];
    if (!is_write(w) || w->key != read->key || w->from_ns >= read->to_ns || !(is_done(w) || is_unknown(w))) continue;
    if (w->kind == REMOVE ? read->id != 0 : w->id != read->id) continue;
    if (read->id != 0 && is_done(w)) return *w;
    /* An unknown one may take effect at any time; of deletions any may be what was seen. */
    uint64_t end = is_unknown(w) ? UINT64_MAX : w->to_ns;
    is_found     = true;
    if (end > origin.to_ns) origin = *w, origin.to_ns = end;
  }
  if (!is_found) wrong("nobody has stored what was read", read, NULL);
  return origin;
}

/* How stale reads from hot were: a lower bound, from the return of what replaced the value. */
static uint64_t *stale;
static size_t    stale_count;

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* No write began after `origin` had returned, and returned itself before `since` (of its own process: before `own`). */
static void check_replaced(const call_t *read, const call_t *origin, uint64_t since, uint64_t own) {
  uint64_t replaced = 0;
  for (size_t i = 0; i < all_count && all[i].to_ns < read->from_ns; i++) {
    const call_t *w = &all[i];
    if (w->key != read->key || !is_write(w) || !is_done(w) || w->from_ns <= origin->to_ns) continue;
    if (w->to_ns < since) wrong("a stale read", read, w);
    if (w->caller / THREADS == read->caller / THREADS && w->to_ns < own) wrong("an own change is not seen", read, w);
    if (replaced == 0) replaced = w->to_ns;
  }
  if (read->tier == HOTCOLD_TIER_HOT) stale[stale_count++] = replaced ? read->from_ns - replaced : 0;
}

static void check_falling(const call_t *read, uint64_t since) {
  for (size_t i = 0; i < all_count && all[i].to_ns < since; i++)
    if (all[i].key == read->key && all[i].status == HOTCOLD_OK && all[i].id > read->id) wrong("a counter falls", read, &all[i]);
}

static void check_reads(void) {
  for (size_t i = 0; i < all_count; i++) {
    const call_t *c = &all[i];
    if (is_write(c) || c->status < 0) continue;
    call_t   origin = origin_of(c);
    uint64_t since  = c->from_ns - (c->kind == FRESH ? 0 : run.coherence_ns);
    check_replaced(c, &origin, since, c->from_ns);
    if (c->key < COUNTERS && !is_damaged()) check_falling(c, since);
  }
}

/* What a user of the store would have felt. */
static void tell(size_t hot) {
  uint64_t first = UINT64_MAX, last = 0;
  size_t   fresh = 0;
  for (size_t i = 0; i < all_count; i++)
    if (all[i].status < 0) {
      if (all[i].from_ns < first) first = all[i].from_ns;
      if (all[i].to_ns > last) last = all[i].to_ns;
    }
  qsort(stale, stale_count, sizeof *stale, by_size);
  while (fresh < stale_count && stale[fresh] == 0) fresh++;
  printf("    of %zu reads from hot %zu were replaced already: ", hot, stale_count - fresh);
  if (fresh < stale_count)
    printf("by %.1f ms at the median, %.1f ms at worst; ", (double)stale[(fresh + stale_count) / 2] / 1e6, (double)stale[stale_count - 1] / 1e6);
  if (last) printf("%.1f s from the first failure to the last\n", (double)(last - first) / 1e9);
  else printf("no failure\n");
}

/* ---- one history --------------------------------------------------------------------------- */

static void wait_for(pid_t *children) {
  for (int p = 0; p < PROCESSES; p++) {
    int status;
    must(waitpid(children[p], &status, 0) == children[p]);
    if (status != 0) atomic_store(&run.shared->failed, 1);
  }
  if (atomic_load(&run.shared->failed)) exit(1);
}

static bool has_failed(void) {
  siginfo_t info = {0};
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

static void pause_ms(uint64_t ms) {
  for (uint64_t end = now_ns() + ms * 1000000; now_ns() < end && !has_failed();) sleep_us(10000);
}

/* Whether each key was changed since the damage was mended. */
static bool goes_on(void) {
  uint64_t changed = 0;
  for (int c = 0; c < CALLERS; c++) changed |= atomic_load(&run.shared->changed_again[c]);
  return changed == (UINT64_C(1) << KEYS) - 1;
}

static void damage(void) {
  pause_ms(1000);
  int status = system(run.damage);
  if (status != 0) fprintf(stderr, "%s: %s: %d\n", torture.name, run.damage, status), atomic_store(&run.shared->failed, 1);
  atomic_store(&run.shared->is_mended, 1);
  /* A server may answer for a while before it can be written. */
  for (int turn = 0; turn < 100 && !goes_on(); turn++) pause_ms(100);
  pause_ms(1000);
}

static void gather(void) {
  for (int c = 0; c < CALLERS; c++) {
    memcpy(all + all_count, run.shared->calls[c], run.shared->counts[c] * sizeof *all);
    all_count += run.shared->counts[c];
  }
  qsort(all, all_count, sizeof *all, by_return);
}

static void judge(void) {
  size_t   hot = 0, reads = 0, unknown = 0, refused = 0;
  if (is_damaged() && !goes_on()) fail("history %" PRIu64 ": keys are not changed again within 10 s", run.history);
  check_versions();
  run.store = open_store(run.place, run.settings);
  for (int key = 0; key < COUNTERS; key++) {
    call_t last = look(0, key, HOTCOLD_RETRIEVE_FRESH);
    if (last.status < 0) fail("history %" PRIu64 ": the last read of key %d: %s", run.history, key, hotcold_status_name(last.status));
    check_counter(key, last.id);
  }
  close_store(run.store);
  check_reads();
  for (size_t i = 0; i < all_count; i++) {
    reads += all[i].kind == READ && all[i].status == HOTCOLD_OK, hot += all[i].kind == READ && all[i].tier == HOTCOLD_TIER_HOT;
    unknown += is_unknown(&all[i]), refused += all[i].status == HOTCOLD_UNAVAILABLE;
  }
  /* Without hits in hot nothing of this were a test of coherence. */
  if (hot == 0) fail("history %" PRIu64 ": hot has served nothing", run.history);
  printf("histories: %" PRIu64 ": %zu calls, %zu of %zu reads from hot, %zu timeouts, %zu unavailable\n", run.history, all_count, hot, reads,
         unknown, refused);
  tell(hot);
  fflush(stdout);
}

static void one_history(void) {
  pid_t children[PROCESSES];
  memset(run.shared, 0, sizeof *run.shared);
  all_count = stale_count = 0;
  must(snprintf(run.place, sizeof run.place, "%s-%" PRIu64 "-%" PRIu64, run.path, torture.seed, run.history) < (int)sizeof run.place);
  for (int p = 0; p < PROCESSES; p++) {
    must((children[p] = fork()) >= 0);
    if (children[p] == 0) process_run(p);
  }
  while (atomic_load(&run.shared->ready) < PROCESSES && !has_failed()) sleep_us(1000);
  if (is_damaged()) damage();
  else pause_ms(1000);
  atomic_store(&run.shared->stop, 1);
  wait_for(children);
  gather();
  judge();
}

int main(int argc, char **argv) {
  char *ms;
  if (argc < 5) {
    fprintf(stderr, "usage: histories PATH SETTINGS HISTORIES DAMAGE [--seed N]\n");
    return 2;
  }
  run.path = argv[1], run.settings = argv[2], run.histories = strtoull(argv[3], NULL, 10), run.damage = argv[4];
  must((ms = strstr(run.settings, "coherence=")) != NULL);
  run.coherence_ns = strtoull(ms + strlen("coherence="), NULL, 10) * 1000000;
  torture_begin("histories", argc - 4, argv + 4);
  run.shared = shared_memory(sizeof *run.shared);
  must((all = malloc(sizeof run.shared->calls)) != NULL);
  must((stale = malloc(CALLERS * CALLS_MAX * sizeof *stale)) != NULL);
  for (run.history = 1; run.history <= run.histories; run.history++) one_history();
  free(all), free(stale);
  return torture_end();
}
