/* The fields of all files of a store, as `src/codec/` has them: where they stand, how wide they are, and which checksums are
 * to be made right once one has another value. */
#ifndef FIELDS_H
#define FIELDS_H
#include "variants.h"

enum { FIELDS_MAX = 2400, RING = 256 << 10, PAGE = 4096 };

/* What a field's checksums are: those of its record, its file's head, its block. */
typedef enum { SEGMENT, RECORD, STAGED, BODY, STAGED_BODY, MANIFEST, HEAD, ENTRY, STAGE, WARM } kind_t;
typedef struct { uint8_t file, width; kind_t kind; uint64_t at, record, place; } field_t;

static field_t fields[FIELDS_MAX];
static size_t  field_count;

static uint64_t last_segment; /* id of the last log segment, whose end the stage has */

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
  kind_t body = kind == RECORD ? BODY : STAGED_BODY;
  if (r[5] & 0x10) field(f, body, at + 32, 8, at, place);
  if (r[5] & 15) field(f, body, at + 32 + (r[5] & 0x10 ? 8 : 0) + get(r + 6, 2), 4, at, place);
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
  field(f, HEAD, 4, 8, 0, 0);
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
  field(f, STAGE, 16, 8, 0, 0);
  for (int count = 0; count < 3; count++) {
    uint64_t at = PAGE + end % RING;
    if (at + 64 > files[f].len || get(files[f].bytes + at, 4) != record_sum(files[f].bytes + at, last_segment, end)) break;
    record_fields(f, STAGED, at, end);
    end += record_bytes(files[f].bytes + at);
  }
}

static void manifest_fields(size_t f) {
  field(f, MANIFEST, 4, 8, 0, 0);
  field(f, MANIFEST, 12, 4, 0, 0);
  for (size_t at = 16; at < 40; at += 8) field(f, MANIFEST, at, 8, 0, 0);
  field(f, MANIFEST, 40, 7, 0, 0); /* the lead */
  field(f, MANIFEST, 47, 1, 0, 0); /* whether notes are left */
}

static void warm_fields(size_t f) {
  field(f, WARM, 4, 8, 0, 0);
  field(f, WARM, 12, 4, 0, 0);
  for (size_t at = 16; at + 2 <= files[f].len; at += 2 + get(files[f].bytes + at, 2)) field(f, WARM, at, 2, 0, 0);
}

static void find_fields(void) {
  uint64_t end = 0;
  field_count = 0, last_segment = 0;
  for (size_t f = 0; f < file_count; f++) {
    uint64_t before = last_segment;
    if (strstr(files[f].name, ".seg") && files[f].len > 64) segment_fields(f);
    if (last_segment != before) end = files[f].len;
    if (!strcmp(files[f].name, "CHECKPOINT")) checkpoint_fields(f);
    if (!strcmp(files[f].name, "MANIFEST")) manifest_fields(f);
    if (!strcmp(files[f].name, "WARM")) warm_fields(f);
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
  case STAGED_BODY:
    put(r + 12, crc(0, r + 32, body_bytes(r)), 4);
    /* fall through */
  case RECORD:
  case STAGED:
    if (x->kind == STAGED || x->kind == STAGED_BODY) id = last_segment;
    else must(sscanf(files[x->file].name, "%" SCNu64, &id) == 1);
    put(r, record_sum(r, id, x->place), 4);
    break;
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

#endif
