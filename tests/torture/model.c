/* Random sequences of calls on one thread, beside a plain array that says what a store should hold.
 *
 * Each sequence has options of its own and a seed of its own, which a violation names: `model --seed N` with that number
 * runs it first. Checked after each call: status, bytes, versions (never repeated), expiry, the tier where that is
 * certain, and, by cursor, that the keys are exactly the live ones. */
#include "torture.h"

enum { KEYS = 24, STEPS = 120, BATCH_MAX = 6 };

typedef enum { DEAD, LIVE, EXPIRING } life_t; /* EXPIRING: has a short ttl; alive before `from_ms`, dead from `until_ms` on */

static struct {
  hotcold_t *store;
  const char *path; /* NULL: hot only */
  char        settings[256];
  bool        is_back; /* write_mode=back: cold may not have all, and what it has not got stays in hot */
  uint64_t    seed, step, next_id, hot_capacity, hot_ttl_ms;
  dice_t      d;
  struct { life_t life; uint64_t id, version, from_ms, until_ms; bool ttl; } keys[KEYS];
  uint64_t    versions[STEPS * (BATCH_MAX + 1) + KEYS];
  size_t      version_count;
} m;

static size_t length_of(uint64_t id) {
  uint64_t r = mix(id ^ m.seed);
  switch (r % 16) {
  case 0: return 0;
  case 1: return (r >> 8) % 16;
  case 2: return (r >> 8) % 70000;
  default: return 16 + (r >> 8) % 400;
  }
}

/* Key 0 is empty, key 1 a long one with zero bytes, the others share prefixes. */
static hotcold_slice_t name_of(uint64_t key) {
  static char names[4][300];
  static int  next;
  char       *out = names[next++ % 4];
  if (key == 0) return (hotcold_slice_t){NULL, 0};
  if (key == 1) return (hotcold_slice_t){memset(out, 0, 300), 300};
  return (hotcold_slice_t){out, (size_t)sprintf(out, "%s/%u", key % 3 == 0 ? "a" : key % 3 == 1 ? "ab" : "b", (unsigned)key)};
}

/* What is expected of the key at times [before, after]: sure of LIVE or DEAD, or else EXPIRING. */
static life_t life_of(uint64_t key, uint64_t before_ms, uint64_t after_ms) {
  if (m.keys[key].life != EXPIRING) return m.keys[key].life;
  if (after_ms < m.keys[key].from_ms) return LIVE;
  return before_ms >= m.keys[key].until_ms ? DEAD : EXPIRING;
}

/* A call found the key there or not. A key at the edge of its expiry may be either, but once gone stays gone. */
static void agree(uint64_t key, bool there, uint64_t before_ms, const char *what) {
  life_t life = life_of(key, before_ms, wall_ms());
  if ((life == LIVE && !there) || (life == DEAD && there))
    fail("%s: key %" PRIu64 " is %s and should not be (it is %s; expires %" PRId64 " to %" PRId64 " ms from now)", what, key,
          there ? "there" : "gone", m.keys[key].life == EXPIRING ? "expiring" : "not expiring", (int64_t)(m.keys[key].from_ms - wall_ms()),
          (int64_t)(m.keys[key].until_ms - wall_ms()));
  if (!there) m.keys[key].life = DEAD;
}

static void new_version(uint64_t version) {
  for (size_t i = 0; i < m.version_count; i++)
    if (m.versions[i] == version) fail("version %" PRIu64 " was given before", version);
  m.versions[m.version_count++] = version;
}

static void has_stored(uint64_t key, uint64_t id, uint64_t version, uint64_t ttl_ms, uint64_t before_ms) {
  m.keys[key].id       = id;
  m.keys[key].version  = version; /* 0: not known yet */
  m.keys[key].ttl      = ttl_ms != 0;
  m.keys[key].life     = ttl_ms == 0 ? LIVE : EXPIRING;
  m.keys[key].from_ms  = before_ms + ttl_ms;
  m.keys[key].until_ms = wall_ms() + ttl_ms + 2;
}

static void check_value(uint64_t key, const hotcold_value_t *v, const char *what) {
  if (v->data == NULL || !value_is(v->data, v->len, key, m.keys[key].id, length_of(m.keys[key].id)))
    fail("%s: key %" PRIu64 " holds %zu bytes, should be %zu of store %" PRIu64 ", is of store %" PRIu64, what, key, v->len,
          length_of(m.keys[key].id), m.keys[key].id, v->data ? value_id(v->data, v->len, key) : 0);
  if (m.keys[key].version == 0) new_version(m.keys[key].version = v->version);
  if (v->version != m.keys[key].version) fail("%s: key %" PRIu64 " changed its version without a store", what, key);
  if ((v->expires_at != 0) != m.keys[key].ttl) fail("%s: key %" PRIu64 " has expires_at %" PRIu64, what, key, v->expires_at);
}

/* ---- the steps ----------------------------------------------------------------------------- */

static uint64_t some_ttl(void) { return chance(&m.d, 4) ? 1 + below(&m.d, 8) : chance(&m.d, 6) ? 3600000 : 0; }

static void step_store(uint64_t key) {
  static uint8_t          buffer[70000];
  hotcold_slice_t         name = name_of(key);
  hotcold_store_options_t o    = {0};
  hotcold_error_t         error;
  hotcold_status_t        s;
  uint64_t                id = ++m.next_id, version = 0, before = wall_ms(), held;
  bool                    conditional, met;
  value_make(buffer, length_of(id), key, id);
  if (chance(&m.d, 2)) {
    expect(hotcold_store(m.store, name.data, name.len, buffer, length_of(id), &error), HOTCOLD_OK, &error, "store");
    has_stored(key, id, 0, 0, before);
    return;
  }
  o.ttl       = some_ttl();
  o.flags     = (m.path && chance(&m.d, 5) ? HOTCOLD_STORE_COLD_ONLY : 0) | (m.path && chance(&m.d, 9) ? HOTCOLD_STORE_SYNC : 0);
  conditional = chance(&m.d, 3) && m.keys[key].life != EXPIRING && (m.keys[key].life == DEAD || m.keys[key].version != 0);
  held        = m.keys[key].life == DEAD ? 0 : m.keys[key].version;
  met         = !conditional || chance(&m.d, 2);
  if (conditional) {
    o.flags |= HOTCOLD_STORE_IF_VERSION;
    o.if_version = met ? held : held == 0 ? 12345 : chance(&m.d, 2) ? 0 : held + 1;
  }
  s = hotcold_store_with(m.store, name.data, name.len, buffer, length_of(id), &o, sizeof o, &version, &error);
  expect(s, met ? HOTCOLD_OK : HOTCOLD_CONFLICT, &error, "store_with");
  if (!met) return;
  new_version(version);
  has_stored(key, id, version, o.ttl, before);
}

static void step_batch(void) {
  static uint8_t   buffer[70000];
  hotcold_batch_t *batch = hotcold_batch_new();
  hotcold_error_t  error;
  uint64_t         before = wall_ms(), n = 1 + below(&m.d, BATCH_MAX), first = below(&m.d, KEYS), ids[BATCH_MAX], ttls[BATCH_MAX];
  for (uint64_t i = 0; i < n; i++) {
    uint64_t                key  = (first + i) % KEYS;
    hotcold_slice_t         name = name_of(key);
    hotcold_store_options_t o    = {.ttl = ttls[i] = some_ttl()};
    ids[i]                       = chance(&m.d, 4) ? 0 : ++m.next_id;
    value_make(buffer, length_of(ids[i]), key, ids[i]);
    expect(ids[i] == 0 ? hotcold_batch_delete(batch, name.data, name.len, &error)
                       : hotcold_batch_store(batch, name.data, name.len, buffer, length_of(ids[i]), &o, sizeof o, &error),
           HOTCOLD_OK, &error, "batch");
  }
  expect(hotcold_write(m.store, batch, 0, &error), HOTCOLD_OK, &error, "write");
  hotcold_batch_free(batch);
  for (uint64_t i = 0; i < n; i++) {
    uint64_t key = (first + i) % KEYS;
    if (ids[i] == 0) m.keys[key].life = DEAD;
    else has_stored(key, ids[i], 0, ttls[i], before);
  }
}

static void step_retrieve(uint64_t key) {
  hotcold_slice_t name = name_of(key);
  hotcold_error_t error;
  hotcold_value_t v, again;
  uint64_t        before = wall_ms();
  uint32_t        flags  = (uint32_t)below(&m.d, 4);
  bool there = expect2(hotcold_retrieve_with(m.store, name.data, name.len, flags, &v, &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND,
                       &error, "retrieve") == HOTCOLD_OK;
  agree(key, there, before, "retrieve");
  if (!there) {
    if (v.data != NULL || v.len != 0) fail("retrieve: NOT_FOUND with a value");
    return;
  }
  check_value(key, &v, "retrieve");
  if (m.path == NULL && v.tier != HOTCOLD_TIER_HOT) fail("retrieve: from cold, and there is none");
  if (m.hot_capacity == 0 && v.tier != HOTCOLD_TIER_COLD) fail("retrieve: from hot, and there is none");
  if (m.path && m.hot_ttl_ms && !m.is_back && chance(&m.d, 10) && m.keys[key].life == LIVE) { /* residency over: still in cold */
    sleep_us((m.hot_ttl_ms + 2) * 1000);
    expect(hotcold_retrieve(m.store, name.data, name.len, &again, &error), HOTCOLD_OK, &error, "retrieve after residency");
    check_value(key, &again, "retrieve after residency");
    if (again.tier != HOTCOLD_TIER_COLD) fail("retrieve: from hot after its residency");
    hotcold_value_release(&again);
  }
  hotcold_value_release(&v);
}

static void step_into(uint64_t key) {
  static uint8_t   buffer[70000];
  hotcold_slice_t  name = name_of(key);
  hotcold_error_t  error;
  uint64_t         before = wall_ms();
  size_t           len = 0, need = length_of(m.keys[key].id), room = chance(&m.d, 3) ? below(&m.d, sizeof buffer) : sizeof buffer;
  hotcold_status_t s = hotcold_retrieve_into(m.store, name.data, name.len, buffer, room, &len, &error);
  agree(key, s != HOTCOLD_NOT_FOUND, before, "retrieve_into");
  if (s == HOTCOLD_NOT_FOUND) return;
  expect(s, room < need ? HOTCOLD_BUFFER_TOO_SMALL : HOTCOLD_OK, &error, "retrieve_into");
  if (len != need) fail("retrieve_into: length %zu, should be %zu", len, need);
  if (s == HOTCOLD_OK && !value_is(buffer, len, key, m.keys[key].id, need)) fail("retrieve_into: other bytes");
}

static void step_contains_or_delete(uint64_t key, bool remove) {
  hotcold_slice_t  name = name_of(key);
  hotcold_error_t  error;
  uint64_t         before = wall_ms();
  hotcold_status_t s = remove ? hotcold_delete(m.store, name.data, name.len, &error)
                              : hotcold_contains(m.store, name.data, name.len, &error);
  expect2(s, HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, remove ? "delete" : "contains");
  agree(key, s == HOTCOLD_OK, before, remove ? "delete" : "contains");
  if (remove) m.keys[key].life = DEAD;
}

static void step_many(void) {
  hotcold_slice_t names[KEYS];
  hotcold_value_t values[KEYS];
  int32_t         statuses[KEYS];
  char            room[KEYS][300];
  hotcold_error_t error;
  uint64_t        before = wall_ms();
  for (uint64_t key = 0; key < KEYS; key++) {
    names[key] = name_of(key);
    if (names[key].len) names[key].data = memcpy(room[key], names[key].data, names[key].len);
  }
  expect(hotcold_retrieve_many(m.store, names, KEYS, values, statuses, &error), HOTCOLD_OK, &error, "retrieve_many");
  for (uint64_t key = 0; key < KEYS; key++) {
    expect2(statuses[key], HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "retrieve_many of a key");
    agree(key, statuses[key] == HOTCOLD_OK, before, "retrieve_many");
    if (statuses[key] == HOTCOLD_OK) check_value(key, &values[key], "retrieve_many");
    hotcold_value_release(&values[key]);
  }
}

static void walk(const char *prefix) {
  hotcold_cursor_t *c;
  hotcold_slice_t   shown;
  hotcold_error_t   error;
  hotcold_value_t   v;
  bool              seen[KEYS] = {false};
  uint64_t          before = wall_ms();
  expect(hotcold_cursor_open(m.store, prefix, strlen(prefix), &c, &error), HOTCOLD_OK, &error, "cursor_open");
  while (expect2(hotcold_cursor_next(c, &shown, &error), HOTCOLD_OK, HOTCOLD_END, &error, "cursor_next") == HOTCOLD_OK) {
    uint64_t key = 0;
    while (key < KEYS && (name_of(key).len != shown.len || (shown.len && memcmp(name_of(key).data, shown.data, shown.len)))) key++;
    if (key == KEYS || seen[key] || shown.len < strlen(prefix) || memcmp(shown.data, prefix, strlen(prefix)) != 0)
      fail("cursor: key %" PRIu64 " is unknown, shown twice or without the prefix", key);
    seen[key] = true;
    if (expect2(hotcold_cursor_value(c, &v, &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "cursor_value") == HOTCOLD_OK)
      check_value(key, &v, "cursor_value");
    else if (m.keys[key].life == LIVE) fail("cursor_value: NOT_FOUND for a live key");
    hotcold_value_release(&v);
    if (life_of(key, before, before) == DEAD) fail("cursor: shows key %" PRIu64 ", which is gone", key);
  }
  for (uint64_t key = 0; key < KEYS; key++) {
    hotcold_slice_t name = name_of(key);
    bool fits = name.len >= strlen(prefix) && (*prefix == 0 || memcmp(name.data, prefix, strlen(prefix)) == 0);
    if (fits && !seen[key] && life_of(key, before, wall_ms()) == LIVE) fail("cursor: leaves out key %" PRIu64 " (%s)", key, m.keys[key].life == EXPIRING ? "expiring" : "not expiring");
  }
  hotcold_cursor_close(c);
}

static void step_tiers(uint64_t key) {
  hotcold_error_t error;
  hotcold_stats_t stats;
  hotcold_value_t v;
  hotcold_slice_t name = name_of(key);
  size_t          count;
  uint64_t        before = wall_ms();
  if (m.path == NULL) return; /* leaving hot would lose entries */
  if (chance(&m.d, 2)) {
    expect(hotcold_warm_up(m.store, &name, 1, &count, &error), HOTCOLD_OK, &error, "warm_up");
    if (count > 1 || (count == 1 && life_of(key, before, before) == DEAD)) fail("warm_up: loaded %zu", count);
    return;
  }
  expect(hotcold_optimize_hot(m.store, 0, &count, &error), HOTCOLD_OK, &error, "optimize_hot");
  expect(hotcold_stats(m.store, &stats, sizeof stats, &error), HOTCOLD_OK, &error, "stats");
  if (stats.hot_entries != 0) fail("optimize_hot(0): %" PRIu64 " entries are still hot", stats.hot_entries);
  if (hotcold_retrieve(m.store, name.data, name.len, &v, &error) == HOTCOLD_OK && v.tier != HOTCOLD_TIER_COLD)
    fail("optimize_hot(0): key %" PRIu64 " is still hot", key);
  hotcold_value_release(&v);
}

static void step_clear(void) {
  hotcold_error_t error;
  expect(hotcold_clear(m.store, &error), HOTCOLD_OK, &error, "clear");
  for (uint64_t key = 0; key < KEYS; key++) m.keys[key].life = DEAD;
}

static void step_stats(void) {
  hotcold_error_t error;
  hotcold_stats_t stats;
  uint64_t        live = 0;
  expect(hotcold_stats(m.store, &stats, sizeof stats, &error), HOTCOLD_OK, &error, "stats");
  for (uint64_t key = 0; key < KEYS; key++) {
    if (m.keys[key].life == EXPIRING) return;
    live += m.keys[key].life == LIVE;
  }
  if (stats.hot_bytes > m.hot_capacity) fail("stats: hot takes %" PRIu64 " of %" PRIu64 " bytes", stats.hot_bytes, m.hot_capacity);
  if (m.path && !m.is_back && stats.cold_entries < live) fail("stats: %" PRIu64 " cold entries of %" PRIu64, stats.cold_entries, live);
  if (stats.cold_corrupt_records != 0) fail("stats: %" PRIu64 " corrupt records", stats.cold_corrupt_records);
}

static void step_care(void) {
  const char     *copy = path_of(torture.dir, "backup");
  hotcold_t      *live = m.store;
  hotcold_error_t error;
  uint64_t        records, damaged;
  if (m.path == NULL) return;
  expect(hotcold_verify(m.store, &records, &damaged, &error), HOTCOLD_OK, &error, "verify");
  if (damaged != 0) fail("verify: %" PRIu64 " damaged records of %" PRIu64, damaged, records);
  expect(hotcold_backup(m.store, copy, &error), HOTCOLD_OK, &error, "backup");
  m.store = open_store(copy, "hot_capacity=1MiB");
  walk("");
  close_store(m.store);
  m.store = live;
  remove_tree(copy);
}

static void step_reopen(void) {
  close_store(m.store);
  m.store = open_store(m.path, m.settings);
  if (m.path == NULL)
    for (uint64_t key = 0; key < KEYS; key++) m.keys[key].life = DEAD;
}

static void step(void) {
  static const char *const PREFIXES[] = {"", "a", "a/", "ab/", "b/1", "none"};
  uint64_t                 key = below(&m.d, KEYS), r = below(&m.d, 200);
  hotcold_error_t          error;
  if (r < 60) step_store(key);
  else if (r < 95) step_retrieve(key);
  else if (r < 107) step_into(key);
  else if (r < 117) step_contains_or_delete(key, false);
  else if (r < 142) step_contains_or_delete(key, true);
  else if (r < 150) step_batch();
  else if (r < 153) step_many();
  else if (r < 160) walk(PREFIXES[below(&m.d, LENGTH(PREFIXES))]);
  else if (r < 178) step_tiers(key);
  else if (r < 181) step_clear();
  else if (r < 185) step_stats();
  else if (r < 187) sleep_us(below(&m.d, 6000));
  else if (r < 188) step_care();
  else if (r < 192) expect(hotcold_compact(m.store, &error), HOTCOLD_OK, &error, "compact");
  else if (r < 194) expect(hotcold_sync(m.store, &error), HOTCOLD_OK, &error, "sync");
  else if (m.path) step_reopen();
}

static void sequence(uint64_t seed) {
  static const uint64_t    HOT[]         = {0, 4096, 65536, 64 << 20, 64 << 20};
  static const char *const COMPRESSION[] = {"none", "deflate:6", "deflate:1", "deflate:0"};
  static char              path[300];
  snprintf(path, sizeof path, "%s/store", torture.dir);
  memset(&m, 0, sizeof m);
  m.seed = torture.seed = seed;
  m.d            = (dice_t){mix(seed)};
  m.path         = chance(&m.d, 5) ? NULL : path;
  m.hot_capacity = m.path ? HOT[below(&m.d, LENGTH(HOT))] : 64 << 20;
  m.hot_ttl_ms   = m.path && chance(&m.d, 3) ? 1 + below(&m.d, 10) : 0;
  m.is_back      = m.path && m.hot_capacity && chance(&m.d, 3);
  snprintf(m.settings, sizeof m.settings, "hot_capacity=%" PRIu64 " hot_ttl=%" PRIu64 "ms compression=%s durability=%s write_mode=%s",
           m.hot_capacity, m.hot_ttl_ms, COMPRESSION[below(&m.d, LENGTH(COMPRESSION))], !m.is_back && chance(&m.d, 8) ? "sync" : "process",
           m.is_back ? "back" : "through");
  m.store = open_store(m.path, m.settings);
  for (m.step = 0; m.step < STEPS; m.step++) {
    snprintf(torture.context, sizeof torture.context, ", step %" PRIu64 ", %.200s", m.step, m.settings);
    m.d = (dice_t){mix(seed ^ mix(m.step + 1))}; /* a step's choices are its own, so that leaving out others does not change them */
    step();
  }
  walk("");
  if (m.path) {
    step_reopen();
    walk("");
  }
  close_store(m.store);
  if (m.path) remove_tree(m.path);
}

int main(int argc, char **argv) {
  torture_begin("model", argc, argv);
  uint64_t sequences = torture.is_long ? 20000 : 300;
  for (uint64_t i = 0, first = torture.seed; i < sequences; i++) sequence(first + i);
  printf("model: %" PRIu64 " sequences of %d steps\n", sequences, STEPS);
  return torture_end();
}
