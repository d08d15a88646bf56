/* Sets every field of every file of a store to extremes, with the checksums made right, and uses what comes of it.
 *
 * Fields: those of `fields.h`, which are all that `src/codec/` has. Values: 0, 1, powers of two and their neighbours up to
 * 2^64 - 1, what the field had and its neighbours, the file's length and its neighbours. Then whole files: sparse ones, ones
 * full of gaps, ids at the end of what there is, segments under each other's names, a checkpoint of a million equal hashes,
 * notes of segments that are there or cannot be, a reserve and a lock that are full. Then other things than files at the
 * names that the library uses: links that lead outside, FIFOs, directories; with room on the disk and without.
 *
 * For each variant, opened read-only and for writing, read, walked, verified, compacted, closed and opened again, must hold:
 *
 * 1. Nothing crashes, hangs (for 10 s), or answers INTERNAL, with 512 MiB of address space.
 * 2. No key ever shows bytes that were not stored under it; nor an older value, where no segment, stage or checkpoint lies.
 * 3. A store or delete that was acknowledged holds, after reopening too; its key may answer an error.
 * 4. Nothing outside of the store's directory is touched: `outside.h`.
 *
 * `--long` takes every variant, `--short` a sample. */
#include "outside.h"
#include "room.h"
#include <sys/resource.h>

enum { KEYS = 40, SHORT_VARIANTS = 400, IDS_MAX = 4000 };
enum { OPENED, REFUSED, VALUES }; /* what progress->counts has */
static const uint64_t ADDRESS_SPACE = (uint64_t)512 << 20;

static uint64_t   *newest; /* the id of each key's last store, 0 if it was deleted; shared with the child that builds */
static const char *settings;
static bool        closes;
static bool        is_strict, has_deleted, has_stored; /* of this variant: older values are wrong; what was acknowledged */

/* ---- the store before ---------------------------------------------------------------------- */

static size_t length_of(uint64_t id) { return id % 9 == 0 ? 3000 : 16 + mix(id) % 100; }

static void store(hotcold_t *s, size_t key, uint64_t id) {
  uint8_t         value[4096];
  char            name[16];
  hotcold_error_t error;
  value_make(value, length_of(id), key, id);
  hotcold_store_options_t how = {.ttl = id % 5 == 0 ? 3600000 : 0};
  expect(hotcold_store_with(s, name, name_of(name, key), value, length_of(id), &how, sizeof how, NULL, &error), HOTCOLD_OK, &error,
         "store_with");
  newest[key] = id;
}

static void build(void) {
  dice_t          d = dice(3);
  hotcold_error_t error;
  char            name[16];
  uint64_t        id = 0;
  hotcold_t      *s  = open_store(pristine, settings);
  for (int i = 0; i < 120; i++) store(s, below(&d, KEYS), ++id);
  expect(hotcold_compact(s, &error), HOTCOLD_OK, &error, "compact");
  for (int i = 0; i < 60; i++) store(s, below(&d, KEYS), ++id);
  close_store(s);
  s = open_store(pristine, settings);
  for (int i = 0; i < 5; i++) {
    size_t key = below(&d, KEYS);
    expect2(hotcold_delete(s, name, name_of(name, key), &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "delete");
    newest[key] = 0;
  }
  for (int i = 0; i < (closes ? 40 : 900); i++) store(s, below(&d, KEYS), ++id);
  must(id < IDS_MAX);
  if (closes) close_store(s);
}

/* ---- using it ------------------------------------------------------------------------------ */

static void no_defect(hotcold_status_t status, const hotcold_error_t *error, const char *what) {
  if (status == HOTCOLD_INTERNAL) violation("%s: %s", what, error->message);
}

static void look(hotcold_t *s, size_t key) {
  char             name[16];
  hotcold_value_t  v;
  hotcold_error_t  error;
  hotcold_status_t status = hotcold_retrieve(s, name, name_of(name, key), &v, &error);
  no_defect(status, &error, "retrieve");
  if (status == HOTCOLD_OK) {
    uint64_t id = value_id(v.data, v.len, key);
    if (id == 0 || id >= IDS_MAX || v.len != length_of(id)) violation("key-%zu shows bytes that were never stored under it", key);
    else if (is_strict && id != newest[key]) violation("key-%zu shows store %" PRIu64 " and not %" PRIu64, key, id, newest[key]);
    if (key == 1 && has_deleted) violation("key-1 is there again after its delete was acknowledged");
    atomic_fetch_add(&progress->counts[VALUES], 1);
  }
  hotcold_value_release(&v);
  no_defect(hotcold_contains(s, name, name_of(name, key), &error), &error, "contains");
}

static void walk(hotcold_t *s) {
  hotcold_cursor_t *c;
  hotcold_slice_t   shown;
  hotcold_error_t   error;
  hotcold_status_t  status;
  uint64_t          steps = 0;
  if (hotcold_cursor_open(s, NULL, 0, &c, &error) != HOTCOLD_OK) return;
  do status = hotcold_cursor_next(c, &shown, &error);
  while ((status == HOTCOLD_OK || status == HOTCOLD_CORRUPT) && ++steps < 3000000);
  no_defect(status, &error, "cursor_next");
  hotcold_cursor_close(c);
}

/* What this variant's earlier opens acknowledged. */
static void look_at_new(hotcold_t *s) {
  hotcold_value_t  v;
  hotcold_error_t  error;
  hotcold_status_t status = has_stored ? hotcold_retrieve(s, "new", 3, &v, &error) : HOTCOLD_NOT_FOUND;
  if (!has_stored) return;
  /* A record in front of it may lie about its length, and then cover it: that is an error, and no other answer. */
  if (status == HOTCOLD_NOT_FOUND) violation("an acknowledged store is not found");
  else if (status == HOTCOLD_OK && (v.len != 5 || memcmp(v.data, "value", 5) != 0)) violation("an acknowledged store shows other bytes");
  hotcold_value_release(&v);
}

static void change(hotcold_t *s) {
  hotcold_error_t  error;
  hotcold_status_t status = hotcold_store(s, "new", 3, "value", 5, &error);
  no_defect(status, &error, "store");
  has_stored |= status == HOTCOLD_OK;
  status = hotcold_delete(s, "key-1", 5, &error);
  no_defect(status, &error, "delete");
  has_deleted |= status == HOTCOLD_OK || status == HOTCOLD_NOT_FOUND;
  no_defect(hotcold_compact(s, &error), &error, "compact");
  for (size_t key = 0; key < KEYS; key++) look(s, key);
  look_at_new(s);
}

static void use(bool read_only) {
  hotcold_options_t *o = hotcold_options_new();
  hotcold_error_t    error;
  hotcold_t         *s = NULL;
  uint64_t           records, damaged;
  must(hotcold_options_set(o, "warm_start", read_only ? "false" : "true", NULL) == HOTCOLD_OK);
  must(hotcold_options_set(o, "hot_capacity", "1MiB", NULL) == HOTCOLD_OK);
  must(hotcold_options_set(o, "read_only", read_only ? "true" : "false", NULL) == HOTCOLD_OK);
  hotcold_status_t status = hotcold_open(victim, o, &s, &error);
  hotcold_options_free(o);
  no_defect(status, &error, "open");
  atomic_fetch_add(&progress->counts[status == HOTCOLD_OK ? OPENED : REFUSED], 1);
  if (status != HOTCOLD_OK) return;
  for (size_t key = 0; key < KEYS; key++) look(s, key);
  look_at_new(s);
  walk(s);
  no_defect(hotcold_verify(s, &records, &damaged, &error), &error, "verify");
  if (!read_only) change(s);
  no_defect(hotcold_close(s, &error), &error, "close");
}

static void use_all(bool strict) {
  is_strict   = strict;
  has_deleted = has_stored = false;
  use(true);
  use(false);
  use(false);
  outside_check();
}

/* ---- whole files --------------------------------------------------------------------------- */

static void sparse(uint64_t bytes) {
  for (size_t f = 0; f < file_count; f++)
    if (strcmp(files[f].name, "MANIFEST")) must(truncate(path_of(victim, files[f].name), (off_t)bytes) == 0);
}

/* A segment of so many records that every other one is damaged beyond repair. */
static void gaps(uint64_t count) {
  uint8_t *b = calloc(1, 64 + count * 40);
  must(b != NULL);
  memcpy(b, files[0].bytes, 64);
  for (size_t f = 0; f < file_count; f++)
    if (strstr(files[f].name, ".seg")) memcpy(b, files[f].bytes, 64);
  put(b + 16, 900, 8);
  put(b, crc(0, b + 4, 60), 4);
  for (uint64_t i = 0; i < count; i++) {
    uint8_t *r = b + 64 + 40 * i;
    r[4] = 1, r[6] = 8;
    put(r + 16, 5 + i, 8);
    put(r + 24, mix(i), 8);
    put(r, record_sum(r, 900, 64 + 40 * i) ^ (i % 2 ? 0x00FF00FF : 0), 4);
  }
  write_file("000900.seg", b, 64 + count * 40);
  free(b);
}

/* A checkpoint with so many entries of one hash. */
static void one_hash(uint64_t count) {
  size_t f = 0, len, block;
  while (f < file_count && strcmp(files[f].name, "CHECKPOINT")) f++;
  if (f == file_count) return;
  uint64_t rows = get(files[f].bytes + 64, 8);
  uint8_t *b    = malloc(block = (len = 80 + 72 * rows) + 16 * count + 8 * (count / 4095 + 1));
  must(b != NULL);
  memcpy(b, files[f].bytes, len);
  put(b + 72, count, 8);
  put(b, crc(0, b + 4, len - 4), 4);
  for (uint64_t done = 0, n; done < count; done += n, len += 8 + 16 * n) {
    n = count - done < 4095 ? count - done : 4095;
    put(b + len, n, 4);
    for (uint64_t i = 0; i < n; i++) put(b + len + 8 + 16 * i, mix(7), 8), put(b + len + 16 + 16 * i, (8 + done + i) << 8 | 9, 8);
    put(b + len + 4, crc(crc(0, b + len, 4), b + len + 8, 16 * n), 4);
  }
  write_file("CHECKPOINT", b, len);
  free(b);
}

/* Hot keys without end, all of them empty. */
static void warm(size_t bytes) {
  uint8_t *b = calloc(1, bytes);
  must(b != NULL);
  memcpy(b + 4, "hotcoldW\1", 9);
  put(b, crc(0, b + 4, bytes - 4), 4);
  write_file("WARM", b, bytes);
  free(b);
}

static void swap_names(void) {
  size_t first = FILES_MAX;
  for (size_t f = 0; f < file_count; f++) {
    if (!strstr(files[f].name, ".seg")) continue;
    if (first != FILES_MAX) {
      write_file(files[f].name, files[first].bytes, files[first].len);
      write_file(files[first].name, files[f].bytes, files[f].len);
    }
    first = f;
  }
}

/* Notes of the segments that are there, and of ids at the end of what there is and beyond. */
static void notes(bool there) {
  static const char *const IDS[] = {"000000.gone", "1.gone", "4294967295.gone", "4294967296.gone", "18446744073709551615.gone", "-00001.gone"};
  char                     name[80];
  for (size_t f = 0; there && f < file_count; f++)
    if (strstr(files[f].name, ".seg")) snprintf(name, sizeof name, "%.6s.gone", files[f].name), write_file(name, (const uint8_t *)"", 0);
  for (size_t i = 0; !there && i < LENGTH(IDS); i++) write_file(IDS[i], files[0].bytes, files[0].len);
}

/* A file that says it has so many bytes, and has none. */
static void hollow(const char *name, uint64_t bytes) {
  write_file(name, (const uint8_t *)"", 0);
  must(truncate(path_of(victim, name), (off_t)bytes) == 0);
}

enum { WHOLE = 28 };
static void whole(size_t n) {
  static const char *const IDS[] = {"18446744073709551615.seg", "18446744073709551614.seg", "4294967295.seg", "4294967296.seg", "000000.seg"};
  static const char *const EXTRA[] = {"RESERVE", "LOCK", "MANIFEST.new", "CHECKPOINT.new", "WARM.new"};
  switch (n) {
  case 0: case 1: case 2: case 3: case 4: write_file(IDS[n], files[0].bytes, n % 2 ? 64 : files[0].len); break;
  case 5: sparse((uint64_t)200 << 30); break;
  case 6: sparse((uint64_t)1 << 42); break;
  case 7: gaps(40000); break;
  case 8: gaps(100000); break;
  case 9: one_hash(1000000); break;
  case 10: warm(32 << 20); break;
  case 11: swap_names(); break;
  case 12: unlink(path_of(victim, "MANIFEST")); break;
  case 13: write_file("CHECKPOINT", (const uint8_t *)"", 0), write_file("000007.gone", (const uint8_t *)"x", 1); break;
  case 14: write_file("STAGE", files[0].bytes, files[0].len); break;
  case 15: notes(true); break;
  case 16: notes(false); break;
  case 17: hollow("000007.gone", (uint64_t)1 << 42); break;
  case 18: case 19: case 20: case 21: case 22: hollow(EXTRA[n - 18], (uint64_t)1 << 42); break;
  default: write_file(EXTRA[n - 23], files[0].bytes, files[0].len);
  }
}

/* True if the variant leaves all that has values or places of values as it was. */
static bool whole_is_strict(size_t n) { return n == 10 || n == 12 || n == 13 || n >= 17; }

/* ---- all variants -------------------------------------------------------------------------- */

/* Names and forms come with the disk scarce of room and not. */
enum { MISNAMED = LENGTH(NAMES) * NAME_FORMS * 2 };

static uint64_t field_variants(void) { return (uint64_t)field_count * EXTREMES; }

/* The number that field variant `n` sets, as wide as the field is. */
static uint64_t number_of(uint64_t n, uint64_t *had) {
  const field_t *x = &fields[n / EXTREMES];
  uint64_t       number;
  *had = get(files[x->file].bytes + x->at, x->width);
  must(extreme(n % EXTREMES, *had, files[x->file].len, &number));
  return number & (x->width == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * x->width) - 1);
}

static void describe_field(uint64_t n) {
  const field_t *x = &fields[n / EXTREMES];
  uint64_t       had, number = number_of(n, &had);
  snprintf(variant, sizeof variant, "%s, %.40s, %u bytes at %" PRIu64 ": %" PRIu64 " instead of %" PRIu64, settings, files[x->file].name,
           x->width, x->at, number, had);
}
static void describe_whole(uint64_t n) { snprintf(variant, sizeof variant, "%s, whole files %" PRIu64, settings, n); }
static void describe_name(uint64_t n) {
  snprintf(variant, sizeof variant, "%s, %s is %s%s", settings, NAMES[n / 2 / NAME_FORMS], NAME_FORM_NAMES[n / 2 % NAME_FORMS],
           n % 2 ? ", little room" : "");
}

static void limit_memory(void) {
  struct rlimit limit = {ADDRESS_SPACE, ADDRESS_SPACE};
  must(getenv("HOTCOLD_ANY_MEMORY") || setrlimit(RLIMIT_AS, &limit) == 0);
}

static void try_field(uint64_t n) {
  const field_t *x   = &fields[n / EXTREMES];
  size_t         len = files[x->file].len;
  uint64_t       had, number = number_of(n, &had);
  uint8_t       *before = files[x->file].bytes, *after = malloc(len + 64);
  limit_memory();
  describe_field(n);
  must(after != NULL);
  memcpy(after, before, len);
  put(after + x->at, number, x->width);
  mend(x, after, len);
  files[x->file].bytes = after;
  if (number != had) write_files();
  files[x->file].bytes = before;
  free(after);
  if (number != had) use_all(x->kind == MANIFEST || x->kind == WARM);
}

static void try_whole(uint64_t n) {
  limit_memory();
  describe_whole(n);
  write_files();
  whole((size_t)n);
  use_all(whole_is_strict((size_t)n));
}

static void try_name(uint64_t n) {
  const char *name = NAMES[n / 2 / NAME_FORMS];
  name_form_t how  = (name_form_t)(n / 2 % NAME_FORMS);
  /* A segment that has a second name outside is the store's own by both: what is appended shows there too. */
  if (how == HARD_LINK && strstr(name, ".seg")) return;
  limit_memory();
  describe_name(n);
  write_files();
  misname(name, how);
  atomic_store(&free_bytes, (uint64_t)(n % 2 ? 700 : 32768) << 20);
  use_all(!strstr(name, ".seg") && strcmp(name, "STAGE") != 0);
}

static void form(const char *with, bool closed) {
  uint64_t stride = 1;
  settings        = with;
  closes          = closed;
  build_in_child(build);
  load_files();
  find_fields();
  outside_begin();
  if (!torture.is_long && field_variants() > SHORT_VARIANTS) stride = (field_variants() / SHORT_VARIANTS) | 1;
  if (stride % 3 == 0) stride += 2;
  if (stride % 11 == 0) stride += 2;
  try_all(torture.seed % stride, stride, field_variants(), try_field, describe_field);
  try_all(0, 1, WHOLE, try_whole, describe_whole);
  try_all(0, 1, MISNAMED, try_name, describe_name);
  snprintf(variant, sizeof variant, "%s, all variants", settings);
  outside_check();
  printf("hostile: %s, %s: %zu files, %zu fields, every %" PRIu64 ". of %" PRIu64 " variants\n", with, closed ? "closed" : "killed",
         file_count, field_count, stride, field_variants());
  fflush(stdout);
}

int main(int argc, char **argv) {
  char around[300];
  torture_begin("hostile", argc, argv);
  variants_begin();
  must(snprintf(around, sizeof around, "%.250s/around", torture.dir) < (int)sizeof around && mkdir(around, 0755) == 0);
  must(snprintf(victim, sizeof victim, "%.280s/victim", around) < (int)sizeof victim);
  must(snprintf(beside, sizeof beside, "%.280s/beside", around) < (int)sizeof beside);
  newest = shared_memory(KEYS * sizeof *newest);
  form("compression=none warm_start=true", true);
  form("compression=deflate:6 warm_start=true", false);
  printf("hostile: %" PRIu64 " times opened, %" PRIu64 " times refused, %" PRIu64 " values seen, %" PRIu64 " violations, %" PRIu64
         " ms at most\n",
         (uint64_t)progress->counts[OPENED], (uint64_t)progress->counts[REFUSED], (uint64_t)progress->counts[VALUES],
         (uint64_t)progress->violations, (uint64_t)progress->slowest_ms);
  torture_end();
  return progress->violations != 0;
}
