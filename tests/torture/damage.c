/* Damages every byte of every file of a small store, one at a time, cuts every file at every length, and opens the result.
 *
 * The store has a compacted segment, a checkpoint, overwrites, deletes and a clear behind it, and a tail of newer records;
 * it is left both by close and without it. For each variant (byte inverted, one bit inverted, file cut) must hold:
 *
 * 1. Opening succeeds, and nothing crashes or hangs: reading, walking, verifying, writing, reopening.
 * 2. No key ever shows bytes that were not stored under it.
 * 3. One damaged byte costs at most one key; that key gives CORRUPT or NOT_FOUND, the others their newest value.
 * 4. An older state is seen only where the store was not closed: of one key whose newest record the damage hit, or, where
 *    a file was cut, of all keys as of one earlier moment after the checkpoint.
 * 5. Damaged keys can be stored and deleted, and reopening finds that and everything else as it was.
 *
 * `--long` takes every byte, `--short` a sample. */
#include "variants.h"

enum { KEYS = 32, OPS_MAX = 400, SHORT_VARIANTS = 1500 };

typedef enum { INVERT, BIT, CUT, DAMAGES } damage_t;
static const char *const DAMAGE_NAMES[] = {"byte inverted", "bit inverted", "cut"};

/* What each key held after each operation: ids, 0 for nothing. `checkpoint`: how many came before the last clean close. */
static uint64_t states[OPS_MAX + 1][KEYS];
static size_t   op_count, checkpoint;

enum { KEYS_LOST, STATES_OLDER }; /* what progress->counts has */

static bool        is_closed; /* the store was closed before the damage */
static const char *settings;

/* ---- the store before the damage ----------------------------------------------------------- */

static size_t length_of(uint64_t id) { return mix(id) % 8 == 0 ? 1000 + mix(id) % 1000 : 16 + mix(id) % 120; }

/* Applies an operation to the store (if there is one) and writes down the state after it. id 0: delete. */
static void apply(hotcold_t *s, size_t key, uint64_t id) {
  uint8_t         value[2048];
  char            name[16];
  hotcold_error_t error;
  must(op_count < OPS_MAX);
  memcpy(states[op_count + 1], states[op_count], sizeof states[0]);
  states[++op_count][key] = id;
  if (!s) return;
  value_make(value, length_of(id), key, id);
  if (id == 0) expect2(hotcold_delete(s, name, name_of(name, key), &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "delete");
  else expect(hotcold_store(s, name, name_of(name, key), value, length_of(id), &error), HOTCOLD_OK, &error, "store");
}

static void apply_some(hotcold_t *s, dice_t *d, size_t n) {
  for (size_t i = 0; i < n; i++) apply(s, below(d, KEYS), chance(d, 4) ? 0 : op_count + 1);
}

/* The same choices with and without a store: a child builds, the parent only needs the states. */
static void build(bool really) {
  dice_t          d = dice(7);
  hotcold_t      *s = NULL;
  hotcold_error_t error;
  op_count          = 0;
  memset(states, 0, sizeof states);
  if (really) s = open_store(pristine, settings);
  apply_some(s, &d, 20);
  if (s) expect(hotcold_clear(s, &error), HOTCOLD_OK, &error, "clear");
  memset(states[op_count], 0, sizeof states[0]);
  for (size_t key = 0; key < KEYS; key += 1 + key % 2) apply(s, key, op_count + 1);
  apply_some(s, &d, 30);
  if (s) expect(hotcold_compact(s, &error), HOTCOLD_OK, &error, "compact");
  apply_some(s, &d, 12);
  if (s) close_store(s);
  checkpoint = op_count;
  if (really) s = open_store(pristine, settings);
  apply_some(s, &d, 24);
  if (s && is_closed) close_store(s);
}

static void build_really(void) { build(true); }

/* ---- one variant --------------------------------------------------------------------------- */

typedef struct { size_t file, at; damage_t damage; } variant_t;

static void write_damaged(variant_t v) {
  write_files();
  int     fd   = open(path_of(victim, files[v.file].name), O_WRONLY | O_CLOEXEC);
  uint8_t byte = files[v.file].bytes[v.at];
  byte ^= v.damage == INVERT ? 0xFF : (uint8_t)(1u << (mix(v.at ^ torture.seed) % 8));
  must(fd >= 0);
  must(v.damage == CUT ? ftruncate(fd, (off_t)v.at) == 0 : pwrite(fd, &byte, 1, (off_t)v.at) == 1);
  close(fd);
}

static hotcold_t *reopen(void) {
  hotcold_options_t *o = hotcold_options_new();
  hotcold_error_t    error;
  hotcold_t         *s = NULL;
  must(hotcold_options_set(o, "hot_capacity", "0", NULL) == HOTCOLD_OK);
  if (hotcold_open(victim, o, &s, &error) != HOTCOLD_OK)
    violation("open: %s: %s", hotcold_status_name(error.status), error.message);
  hotcold_options_free(o);
  return s;
}

enum { UNREADABLE = -1, ALIEN = -2 };

/* The id that `key` holds, 0 if none, UNREADABLE or ALIEN. */
static int64_t look(hotcold_t *s, size_t key) {
  char             name[16];
  hotcold_value_t  v;
  hotcold_error_t  error;
  hotcold_status_t status = hotcold_retrieve(s, name, name_of(name, key), &v, &error);
  int64_t          id     = UNREADABLE;
  if (status == HOTCOLD_OK) {
    id = (int64_t)value_id(v.data, v.len, key);
    if (id <= 0 || id > OPS_MAX * 2 || v.len != length_of((uint64_t)id)) id = ALIEN;
  } else if (status == HOTCOLD_NOT_FOUND) id = 0;
  else if (status != HOTCOLD_CORRUPT) violation("key-%zu: %s: %s", key, hotcold_status_name(status), error.message);
  hotcold_value_release(&v);
  return id;
}

/* Whether all that can be read of `held` is the state after operation `op`. */
static bool is_state(const int64_t *held, size_t op) {
  for (size_t key = 0; key < KEYS; key++)
    if (held[key] != UNREADABLE && held[key] != (int64_t)states[op][key]) return false;
  return true;
}

static void judge(const int64_t *held, damage_t damage) {
  const uint64_t *newest = states[op_count];
  size_t          lost = 0, older = 0, which = 0, op = checkpoint;
  for (size_t key = 0; key < KEYS; key++) {
    if (held[key] == (int64_t)newest[key]) continue;
    if (held[key] == ALIEN) {
      violation("key-%zu shows bytes that were never stored under it", key);
      return;
    }
    which = key;
    if (held[key] <= 0) lost++;
    else older++;
  }
  atomic_fetch_add(&progress->counts[KEYS_LOST], lost);
  atomic_fetch_add(&progress->counts[STATES_OLDER], older);
  if (damage != CUT && lost + older > 1) violation("one byte cost %zu keys, and %zu show an older state; key-%zu is one", lost, older, which);
  if (is_closed && older > 0) violation("key-%zu shows store %" PRId64 ", older than %" PRIu64, which, held[which], newest[which]);
  if (is_closed || damage != CUT || older == 0) return;
  while (op < op_count && !is_state(held, op)) op++;
  if (op == op_count) violation("%zu keys show older states, which are not those of one moment; key-%zu is one", older, which);
}

/* Walking ends, and shows known keys only, each once, and all that can be read. */
static void walk(hotcold_t *s, const int64_t *held) {
  hotcold_cursor_t *c;
  hotcold_slice_t   shown;
  hotcold_status_t  status;
  hotcold_error_t   error;
  bool              seen[KEYS] = {false};
  if (hotcold_cursor_open(s, NULL, 0, &c, &error) != HOTCOLD_OK) {
    violation("cursor_open: %s", error.message);
    return;
  }
  while ((status = hotcold_cursor_next(c, &shown, &error)) == HOTCOLD_OK || status == HOTCOLD_CORRUPT) {
    char   name[16] = "";
    size_t key      = KEYS;
    if (status == HOTCOLD_CORRUPT) continue;
    if (shown.len < sizeof name) memcpy(name, shown.data, shown.len);
    if (sscanf(name, "key-%zu", &key) != 1 || key >= KEYS || seen[key]) {
      violation("the cursor shows \"%s\", which is unknown or was shown", name);
      break;
    }
    seen[key] = true;
  }
  if (status < 0) violation("cursor_next: %s: %s", hotcold_status_name(status), error.message);
  for (size_t key = 0; status == HOTCOLD_END && key < KEYS; key++)
    if (held[key] > 0 && !seen[key]) violation("the cursor leaves out key-%zu", key);
  hotcold_cursor_close(c);
}

/* Stores under one damaged key (or else key 0), deletes another (or else key 1). */
static void repair(hotcold_t *s, int64_t *held) {
  size_t          damaged[2] = {0, 1}, n = 0;
  uint64_t        id         = OPS_MAX + 1;
  char            name[16];
  uint8_t         value[2048];
  hotcold_error_t error;
  for (size_t key = 0; key < KEYS && n < 2; key++)
    if (held[key] != (int64_t)states[op_count][key]) damaged[n++] = key;
  if (damaged[0] == damaged[1]) damaged[1] = 0;
  value_make(value, length_of(id), damaged[0], id);
  if (hotcold_store(s, name, name_of(name, damaged[0]), value, length_of(id), &error) != HOTCOLD_OK)
    violation("storing key-%zu: %s", damaged[0], error.message);
  if (hotcold_delete(s, name, name_of(name, damaged[1]), &error) < 0) violation("deleting key-%zu: %s", damaged[1], error.message);
  held[damaged[0]] = (int64_t)id;
  held[damaged[1]] = 0;
}

static void try_variant(variant_t v) {
  int64_t         held[KEYS];
  uint64_t        records, damaged;
  hotcold_error_t error;
  hotcold_t      *s;
  write_damaged(v);
  if (!(s = reopen())) return;
  for (size_t key = 0; key < KEYS; key++) held[key] = look(s, key);
  judge(held, v.damage);
  walk(s, held);
  if (hotcold_verify(s, &records, &damaged, &error) != HOTCOLD_OK) violation("verify: %s", error.message);
  repair(s, held);
  if (v.at % 4 == 0 && hotcold_compact(s, &error) != HOTCOLD_OK) violation("compact: %s", error.message);
  if (hotcold_close(s, &error) != HOTCOLD_OK) violation("close: %s", error.message);
  if (!(s = reopen())) return;
  for (size_t key = 0; key < KEYS; key++) {
    int64_t now = look(s, key);
    if (now != held[key] && !(held[key] == UNREADABLE && now == 0))
      violation("key-%zu held %" PRId64 ", and after reopening %" PRId64, key, held[key], now);
  }
  if (hotcold_close(s, &error) != HOTCOLD_OK) violation("close: %s", error.message);
}

/* ---- all variants -------------------------------------------------------------------------- */

/* Variant number `n` in the order file, place, damage; false past the last. */
static bool variant_at(uint64_t n, variant_t *v) {
  for (v->file = 0; v->file < file_count; v->file++) {
    uint64_t in_file = files[v->file].len * DAMAGES;
    if (n < in_file) {
      v->at     = n / DAMAGES;
      v->damage = (damage_t)(n % DAMAGES);
      snprintf(variant, sizeof variant, "%s, %s, %.128s, %s at %zu of %zu", settings, is_closed ? "closed" : "not closed",
               files[v->file].name, DAMAGE_NAMES[v->damage], v->at, files[v->file].len);
      return true;
    }
    n -= in_file;
  }
  return false;
}

static void try_number(uint64_t n) {
  variant_t v;
  must(variant_at(n, &v));
  try_variant(v);
}

static void describe(uint64_t n) {
  variant_t v;
  variant_at(n, &v);
}

static uint64_t form(const char *with, bool closed) {
  uint64_t total = 0, stride = 1;
  settings       = with;
  is_closed      = closed;
  build_in_child(build_really);
  build(false);
  load_files();
  for (size_t i = 0; i < file_count; i++) total += files[i].len * DAMAGES;
  if (!torture.is_long && total > SHORT_VARIANTS) stride = (total / SHORT_VARIANTS) / DAMAGES * DAMAGES + DAMAGES + 1;
  try_all(torture.seed % stride, stride, total, try_number, describe);
  printf("damage: %s, %s: %zu files, %" PRIu64 " bytes, %" PRIu64 " variants\n", with, closed ? "closed" : "not closed", file_count,
         total / DAMAGES, total / stride);
  fflush(stdout);
  return total / stride;
}

int main(int argc, char **argv) {
  uint64_t variants = 0;
  torture_begin("damage", argc, argv);
  variants_begin();
  variants += form("hot_capacity=0 compression=none", true);
  variants += form("hot_capacity=0 compression=none", false);
  variants += form("hot_capacity=0 compression=deflate:6", true);
  variants += form("hot_capacity=0 compression=deflate:6", false);
  printf("damage: %" PRIu64 " variants, %" PRIu64 " keys lost, %" PRIu64 " older states, %" PRIu64 " violations, %" PRIu64
         " ms at most\n",
         variants, (uint64_t)progress->counts[KEYS_LOST], (uint64_t)progress->counts[STATES_OLDER], (uint64_t)progress->violations,
         (uint64_t)progress->slowest_ms);
  torture_end();
  return progress->violations != 0;
}
