/* Sets every field of every file of a store to extremes, with the checksums made right, and uses what comes of it.
 *
 * Fields: those of the headers of segments, of records (in segments and in the stage), of the manifest, of the checkpoint's
 * head, rows and entries, and of the list of hot keys. Values: 0, 1, powers of two and their neighbours up to 2^64 - 1, what
 * the field had and its neighbours, the file's length and its neighbours. Then whole files: sparse ones, ones full of gaps,
 * ids at the end of what there is, segments under each other's names, a checkpoint of a million equal hashes.
 *
 * For each variant, opened read-only and for writing, read, walked, verified, compacted, closed and opened again, must hold:
 *
 * 1. Nothing crashes, hangs (for 20 s, as other tests may run beside it), or answers INTERNAL, with 512 MiB of address space.
 * 2. No key ever shows bytes that were not stored under it.
 * 3. Nothing beside the store's directory is touched.
 *
 * A worker process goes through the variants; its parent sees it crash or hang, says which variant it was, and goes on.
 * `--long` takes every variant, `--short` a sample. */
#include "torture.h"
#include <sys/resource.h>

enum { KEYS = 40, FILES_MAX = 24, FIELDS_MAX = 1600, REPORTS_MAX = 20, LIMIT_MS = 20000, SHORT_VARIANTS = 400, IDS_MAX = 4000 };
enum { RING = 256 << 10, PAGE = 4096 };
static const uint64_t ADDRESS_SPACE = (uint64_t)512 << 20;

static struct { char name[64]; uint8_t *bytes; size_t len; } files[FILES_MAX];
static size_t file_count;

/* What a field's checksums are: those of its record, its file's head, its block. */
typedef enum { SEGMENT, RECORD, STAGED, BODY, MANIFEST, HEAD, ENTRY, STAGE, WARM } kind_t;
typedef struct { uint8_t file, width; kind_t kind; uint64_t at, record, place; } field_t;

static field_t fields[FIELDS_MAX];
static size_t  field_count;

static struct { _Atomic uint64_t at, violations, opened, refused, values; } *progress;
static char     pristine[300], victim[300], variant[200];
static uint64_t last_segment; /* id of the last log segment, whose end the stage has */

static void violation(const char *format, ...) {
  va_list args;
  if (atomic_fetch_add(&progress->violations, 1) >= REPORTS_MAX) return;
  va_start(args, format);
  fprintf(stderr, "hostile: VIOLATION (seed %" PRIu64 ", %s): ", torture.seed, variant);
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
}

/* ---- the format ---------------------------------------------------------------------------- */

static uint32_t crc(uint32_t sum, const void *data, size_t len) {
  static uint32_t table[256];
  const uint8_t  *bytes = data;
  if (!table[1])
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
      table[i] = c;
    }
  for (sum = ~sum; len--; bytes++) sum = sum >> 8 ^ table[(sum ^ *bytes) & 255];
  return ~sum;
}

static uint64_t get(const uint8_t *at, size_t width) {
  uint64_t n = 0;
  memcpy(&n, at, width);
  return n;
}
static void put(uint8_t *at, uint64_t n, size_t width) { memcpy(at, &n, width); }

static size_t body_bytes(const uint8_t *r) { return (size_t)get(r + 6, 2) + get(r + 8, 4) + (r[5] & 0x10 ? 8 : 0); }
static size_t record_bytes(const uint8_t *r) { return (32 + body_bytes(r) + 7) & ~(size_t)7; }

/* The checksum of a record's header at `offset` of segment `id`. */
static uint32_t record_sum(const uint8_t *r, uint64_t id, uint64_t offset) {
  uint64_t place[2] = {id, offset};
  return crc(crc(0, place, 16), r + 4, 28);
}

static void field(size_t file, kind_t kind, uint64_t at, size_t width, uint64_t record, uint64_t place) {
  must(field_count < FIELDS_MAX);
  fields[field_count++] = (field_t){(uint8_t)file, (uint8_t)width, kind, at, record, place};
}

static void record_fields(size_t f, kind_t kind, uint64_t at, uint64_t place) {
  static const uint8_t PLACES[][2] = {{4, 1}, {5, 1}, {6, 2}, {8, 4}, {12, 4}, {16, 8}, {24, 8}};
  const uint8_t       *r           = files[f].bytes + at;
  for (size_t i = 0; i < LENGTH(PLACES); i++) field(f, kind, at + PLACES[i][0], PLACES[i][1], at, place);
  if (kind != RECORD) return;
  if (r[5] & 0x10) field(f, BODY, at + 32, 8, at, place);
  if (r[5] & 15) field(f, BODY, at + 32 + (r[5] & 0x10 ? 8 : 0) + get(r + 6, 2), 4, at, place);
}

static void segment_fields(size_t f) {
  static const uint8_t PLACES[][2] = {{4, 8}, {12, 4}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {40, 8}, {48, 8}, {56, 8}};
  size_t               count = 0, last = 64;
  for (size_t i = 0; i < LENGTH(PLACES); i++) field(f, SEGMENT, PLACES[i][0], PLACES[i][1], 0, 0);
  for (size_t at = 64; at + 32 <= files[f].len; count++) {
    const uint8_t *r = files[f].bytes + at;
    if (get(r, 4) != record_sum(r, get(files[f].bytes + 16, 8), at)) break;
    /* A few of each kind of record: with and without expiry, compressed or not, deletions, and the last one. */
    if (count < 3 || count % 29 == 0 || (r[4] != 1 && count % 3 == 0)) record_fields(f, RECORD, at, at);
    last = at;
    at += record_bytes(r);
  }
  if (count > 3) record_fields(f, RECORD, last, last);
  if (get(files[f].bytes + 32, 4) == 1 && get(files[f].bytes + 16, 8) > last_segment) last_segment = get(files[f].bytes + 16, 8);
}

static void checkpoint_fields(size_t f) {
  uint64_t rows = get(files[f].bytes + 64, 8), block = 80 + 72 * rows;
  field(f, HEAD, 12, 4, 0, 0);
  for (size_t at = 16; at < 80; at += 8) field(f, HEAD, at, 8, 0, 0);
  for (size_t at = 80; at < 80 + 72 * rows; at += 8) field(f, HEAD, at, 8, 0, 0);
  for (int count = 0; block + 8 <= files[f].len && count < 6; count++) {
    field(f, ENTRY, block, 4, block, 0);
    field(f, ENTRY, block + 8, 8, block, 0);
    field(f, ENTRY, block + 16, 8, block, 0);
    block += 8 + 16 * get(files[f].bytes + block, 4);
  }
}

static void stage_fields(size_t f, uint64_t end) {
  field(f, STAGE, 4, 8, 0, 0);
  field(f, STAGE, 12, 4, 0, 0);
  for (int count = 0; count < 3; count++) {
    uint64_t at = PAGE + end % RING;
    if (at + 64 > files[f].len || get(files[f].bytes + at, 4) != record_sum(files[f].bytes + at, last_segment, end)) break;
    record_fields(f, STAGED, at, end);
    end += record_bytes(files[f].bytes + at);
  }
}

static void find_fields(void) {
  uint64_t end = 0;
  field_count = 0, last_segment = 0;
  for (size_t f = 0; f < file_count; f++) {
    uint64_t before = last_segment;
    if (strstr(files[f].name, ".seg") && files[f].len > 64) segment_fields(f);
    if (last_segment != before) end = files[f].len;
    if (!strcmp(files[f].name, "CHECKPOINT")) checkpoint_fields(f);
    if (!strcmp(files[f].name, "MANIFEST"))
      for (size_t at = 16; at < 48; at += 8) field(f, MANIFEST, at, 8, 0, 0);
    if (!strcmp(files[f].name, "WARM"))
      for (size_t at = 4; at < 18; at += at == 4 ? 8 : at == 12 ? 4 : 2) field(f, WARM, at, at < 12 ? 8 : at < 16 ? 4 : 2, 0, 0);
  }
  for (size_t f = 0; f < file_count; f++)
    if (!strcmp(files[f].name, "STAGE")) stage_fields(f, end);
}

/* Makes the checksums right that cover a field; `b` is its file. */
static void mend(const field_t *x, uint8_t *b, size_t len) {
  uint8_t *r = b + x->record;
  uint64_t id, rows;
  switch (x->kind) {
  case SEGMENT: put(b, crc(0, b + 4, 60), 4); break;
  case BODY:
    put(r + 12, crc(0, r + 32, body_bytes(r)), 4);
    /* fall through */
  case RECORD:
    sscanf(files[x->file].name, "%" SCNu64, &id);
    put(r, record_sum(r, id, x->place), 4);
    break;
  case STAGED: put(r, record_sum(r, last_segment, x->place), 4); break;
  case MANIFEST: put(b, crc(0, b + 4, 44), 4); break;
  case HEAD:
    rows = get(b + 64, 8);
    /* What cannot be covered is covered as far as the file goes. */
    put(b, crc(0, b + 4, rows > (len - 80) / 72 ? len - 4 : 76 + 72 * rows), 4);
    break;
  case ENTRY:
    rows = get(r, 4);
    put(r + 4, crc(crc(0, r, 4), r + 8, rows > (len - x->record - 8) / 16 ? len - x->record - 8 : 16 * rows), 4);
    break;
  case STAGE: put(b, crc(0, b + 4, 12), 4); break;
  case WARM: put(b, crc(0, b + 4, len - 4), 4); break;
  }
}

/* Extreme number `n` for a field that had `v` in a file of `len` bytes; false past the last. */
static bool extreme(size_t n, uint64_t v, uint64_t len, uint64_t *out) {
  const uint64_t one = 1;
  const uint64_t all[] = {0, 1, 7, 8, 31, 64, 0x7F, 0xFF, 0xFFFF, one << 31, (one << 32) - 1, one << 32, one << 34, (one << 35) - 8,
                          one << 35, one << 40, (one << 41) - 1, (one << 63) - 1, one << 63, UINT64_MAX - 7, UINT64_MAX - 1, UINT64_MAX,
                          v - 1, v + 1, v - 8, v + 8, v * 2, ~v, len, len - 1, len + 1, len - 8, len + 8};
  if (n >= LENGTH(all)) return false;
  *out = all[n];
  return true;
}
enum { EXTREMES = 33 };

/* ---- the store before ---------------------------------------------------------------------- */

static size_t length_of(uint64_t id) { return id % 9 == 0 ? 3000 : 16 + mix(id) % 100; }
static size_t name_of(char *out, size_t key) { return (size_t)sprintf(out, "key-%zu", key); }

static void store(hotcold_t *s, size_t key, uint64_t id) {
  uint8_t         value[4096];
  char            name[16];
  hotcold_error_t error;
  value_make(value, length_of(id), key, id);
  hotcold_store_options_t how = {.ttl = id % 5 == 0 ? 3600000 : 0};
  expect(hotcold_store_with(s, name, name_of(name, key), value, length_of(id), &how, sizeof how, NULL, &error), HOTCOLD_OK, &error,
         "store_with");
}

static void build(const char *settings, bool closes) {
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
  for (int i = 0; i < 5; i++)
    expect2(hotcold_delete(s, name, name_of(name, below(&d, KEYS)), &error), HOTCOLD_OK, HOTCOLD_NOT_FOUND, &error, "delete");
  for (int i = 0; i < (closes ? 40 : 900); i++) store(s, below(&d, KEYS), ++id);
  must(id < IDS_MAX);
  if (closes) close_store(s);
}

static void load_files(void) {
  DIR           *dir = opendir(pristine);
  struct dirent *e;
  must(dir != NULL);
  for (size_t i = 0; i < file_count; i++) free(files[i].bytes);
  file_count = 0;
  while ((e = readdir(dir))) {
    struct stat st;
    const char *path = path_of(pristine, e->d_name);
    must(stat(path, &st) == 0);
    if (!S_ISREG(st.st_mode) || !strcmp(e->d_name, "LOCK")) continue;
    must(file_count < FILES_MAX);
    snprintf(files[file_count].name, sizeof files[0].name, "%.60s", e->d_name);
    /* Room was taken ahead of what was written; the checkpoint is given some behind it for fields that ask for more. */
    files[file_count].len   = (size_t)st.st_size;
    files[file_count].bytes = malloc(files[file_count].len + 64);
    int fd                  = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, files[file_count].bytes, files[file_count].len) == (ssize_t)files[file_count].len);
    close(fd);
    file_count++;
  }
  closedir(dir);
}

static void write_file(const char *name, const uint8_t *bytes, size_t len) {
  int fd = open(path_of(victim, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
  close(fd);
}

static void write_files(void) {
  remove_tree(victim);
  must(mkdir(victim, 0700) == 0);
  for (size_t i = 0; i < file_count; i++) write_file(files[i].name, files[i].bytes, files[i].len);
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
    atomic_fetch_add(&progress->values, 1);
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
  atomic_fetch_add(status == HOTCOLD_OK ? &progress->opened : &progress->refused, 1);
  if (status != HOTCOLD_OK) return;
  for (size_t key = 0; key < KEYS; key++) look(s, key);
  walk(s);
  no_defect(hotcold_verify(s, &records, &damaged, &error), &error, "verify");
  if (!read_only) {
    no_defect(hotcold_store(s, "new", 3, "value", 5, &error), &error, "store");
    no_defect(hotcold_delete(s, "key-1", 5, &error), &error, "delete");
    no_defect(hotcold_compact(s, &error), &error, "compact");
    for (size_t key = 0; key < KEYS; key++) look(s, key);
  }
  no_defect(hotcold_close(s, &error), &error, "close");
}

static void use_all(void) {
  use(true);
  use(false);
  use(false);
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

enum { WHOLE = 15 };
static void whole(size_t n) {
  static const char *const IDS[] = {"18446744073709551615.seg", "18446744073709551614.seg", "4294967295.seg", "4294967296.seg", "000000.seg"};
  if (n < 5) write_file(IDS[n], files[0].bytes, n % 2 ? 64 : files[0].len);
  else if (n == 5) sparse((uint64_t)200 << 30);
  else if (n == 6) sparse((uint64_t)1 << 42);
  else if (n == 7) gaps(40000);
  else if (n == 8) gaps(100000);
  else if (n == 9) one_hash(1000000);
  else if (n == 10) warm(32 << 20);
  else if (n == 11) swap_names();
  else if (n == 12) unlink(path_of(victim, "MANIFEST"));
  else if (n == 13) write_file("CHECKPOINT", (const uint8_t *)"", 0), write_file("000007.gone", (const uint8_t *)"x", 1);
  else write_file("STAGE", files[0].bytes, files[0].len);
}

/* ---- all variants -------------------------------------------------------------------------- */

static bool try_variant(uint64_t n) {
  uint64_t count = (uint64_t)field_count * EXTREMES, number;
  if (n >= count + WHOLE) return false;
  if (n >= count) {
    snprintf(variant, sizeof variant, "whole files %" PRIu64, n - count);
    write_files();
    whole((size_t)(n - count));
    use_all();
    return true;
  }
  const field_t *x   = &fields[n / EXTREMES];
  size_t         len = files[x->file].len;
  uint64_t       had = get(files[x->file].bytes + x->at, x->width);
  must(extreme(n % EXTREMES, had, len, &number));
  number &= x->width == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * x->width) - 1;
  if (number == had) return true;
  snprintf(variant, sizeof variant, "%.40s, %u bytes at %" PRIu64 ": %" PRIu64 " instead of %" PRIu64, files[x->file].name, x->width,
           x->at, number, had);
  uint8_t *before = files[x->file].bytes, *after = malloc(len + 64);
  must(after != NULL);
  memcpy(after, before, len);
  put(after + x->at, number, x->width);
  mend(x, after, len);
  files[x->file].bytes = after;
  write_files();
  files[x->file].bytes = before;
  free(after);
  use_all();
  return true;
}

static void worker(uint64_t from, uint64_t stride) {
  struct rlimit limit = {ADDRESS_SPACE, ADDRESS_SPACE};
  must(getenv("HOTCOLD_ANY_MEMORY") || setrlimit(RLIMIT_AS, &limit) == 0);
  uint64_t whole_from = (uint64_t)field_count * EXTREMES;
  for (uint64_t n = from;; n = n < whole_from && n + stride >= whole_from ? whole_from : n < whole_from ? n + stride : n + 1) {
    const char *only = getenv("HOTCOLD_ONLY");
    atomic_store(&progress->at, n);
    if (only && n != whole_from + strtoull(only, NULL, 10) && n < whole_from + WHOLE) continue;
    if (!try_variant(n)) _exit(0);
  }
}

/* Waits for the worker; returns false when it crashed or hung at progress->at. */
static bool watch(pid_t child) {
  uint64_t at = 0, since = now_ns();
  int      status;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (atomic_load(&progress->at) != at) {
      at    = atomic_load(&progress->at);
      since = now_ns();
    } else if (now_ns() - since > (uint64_t)LIMIT_MS * 1000000u) {
      kill(child, SIGKILL);
    }
    sleep_us(2000);
  }
  if (status != 0) fprintf(stderr, "hostile: the worker ended with %d after %" PRIu64 " ms\n", status, (now_ns() - since) / 1000000);
  return status == 0;
}

static void form(const char *settings, bool closes) {
  uint64_t stride = 1, from, total;
  pid_t    child;
  int      status;
  remove_tree(pristine);
  must((child = fork()) >= 0);
  if (child == 0) {
    build(settings, closes);
    _exit(0);
  }
  must(waitpid(child, &status, 0) == child && status == 0);
  load_files();
  find_fields();
  total = (uint64_t)field_count * EXTREMES;
  if (!torture.is_long && total > SHORT_VARIANTS) stride = (total / SHORT_VARIANTS) | 1;
  if (stride % 3 == 0) stride += 2;
  if (stride % 11 == 0) stride += 2;
  from = torture.seed % stride;
  for (;;) {
    progress->at = from;
    must((child = fork()) >= 0);
    if (child == 0) worker(from, stride);
    if (watch(child)) break;
    from = progress->at;
    variant[0] = 0;
    if (from < total) {
      const field_t *x = &fields[from / EXTREMES];
      snprintf(variant, sizeof variant, "%.40s, %u bytes at %" PRIu64 ", extreme %" PRIu64, files[x->file].name, x->width, x->at, from % EXTREMES);
    } else snprintf(variant, sizeof variant, "whole files %" PRIu64, from - total);
    violation("the process crashed or hung");
    from = from < total && from + stride < total ? from + stride : from < total ? total : from + 1;
  }
  printf("hostile: %s, %s: %zu files, %zu fields, every %" PRIu64 ". of %" PRIu64 " variants\n", settings, closes ? "closed" : "killed",
         file_count, field_count, stride, total);
  fflush(stdout);
}

int main(int argc, char **argv) {
  torture_begin("hostile", argc, argv);
  snprintf(pristine, sizeof pristine, "%s/pristine", torture.dir);
  snprintf(victim, sizeof victim, "%s/victim", torture.dir);
  progress = shared_memory(sizeof *progress);
  form("compression=none warm_start=true", true);
  form("compression=deflate:6 warm_start=true", false);
  printf("hostile: %" PRIu64 " times opened, %" PRIu64 " times refused, %" PRIu64 " values seen, %" PRIu64 " violations\n",
         (uint64_t)progress->opened, (uint64_t)progress->refused, (uint64_t)progress->values, (uint64_t)progress->violations);
  /* Nothing is beside the two directories. */
  DIR           *dir = opendir(torture.dir);
  struct dirent *e;
  must(dir != NULL);
  while ((e = readdir(dir)))
    if (e->d_name[0] != '.' && strcmp(e->d_name, "pristine") && strcmp(e->d_name, "victim")) violation("%s was made beside the store", e->d_name);
  closedir(dir);
  torture_end();
  return progress->violations != 0;
}
