/* What the torture programs share: arguments, a seeded generator, values that describe themselves, scratch directories.
 *
 * Every program takes `[--short|--long] [--seed N] [--dir DIR]`, prints its seed, and exits with a status other than 0 at
 * the first violation of what `hotcold.h` promises. The same seed gives the same choices; how threads and kills
 * interleave is the machine's.
 *
 * Values: `value_make` fills a value from (key, id) alone, so that whoever holds a value and its key can tell which store
 * wrote it and whether it is whole (`value_id`). Ids are above 0; values of less than 16 bytes only tell by comparison. */
#ifndef TORTURE_H
#define TORTURE_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hotcold.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct {
  const char *name; /* of the program */
  bool        is_long;
  uint64_t    seed;
  char        dir[256];     /* scratch; removed by torture_end */
  char        context[300]; /* what was being done: a violation says it */
} torture;

/* ---- failing ------------------------------------------------------------------------------- */

__attribute__((noreturn, format(printf, 1, 2), unused)) static void fail(const char *format, ...) {
  char    text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "%s: VIOLATION (seed %" PRIu64 "%s): %s\n", torture.name, torture.seed, torture.context, text);
  _exit(1);
}

#define must(condition) ((condition) ? (void)0 : fail("%s:%d: %s: %s", __FILE__, __LINE__, #condition, strerror(errno)))

/* Ends the program unless `status` is one of the two that the caller can live with. */
__attribute__((unused)) static hotcold_status_t expect2(hotcold_status_t status, hotcold_status_t a, hotcold_status_t b,
                                                        const hotcold_error_t *error, const char *what) {
  if (status != a && status != b)
    fail("%s: %s: %s", what, hotcold_status_name(status), error ? error->message : "");
  return status;
}
#define expect(status, a, error, what) expect2(status, a, a, error, what)

/* ---- chance -------------------------------------------------------------------------------- */

typedef struct { uint64_t state; } dice_t;

static inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}
static inline uint64_t roll(dice_t *d) { return mix(d->state += 0x9E3779B97F4A7C15u); }
static inline uint64_t below(dice_t *d, uint64_t n) { return roll(d) % n; }
static inline bool     chance(dice_t *d, uint64_t one_in) { return below(d, one_in) == 0; }
static inline dice_t   dice(uint64_t stream) { return (dice_t){mix(torture.seed ^ mix(stream + 1))}; }

/* ---- values -------------------------------------------------------------------------------- */

/* Fills `out` with the value that store number `id` gives `key`: id, key and length, then half text, half noise. */
static inline void value_make(uint8_t *out, size_t len, uint64_t key, uint64_t id) {
  uint64_t head[2] = {id, (key << 32) | (uint32_t)len};
  dice_t   noise   = {mix(id) ^ mix(~key)};
  for (size_t at = 0; at < len; at += 8) {
    uint64_t word = at < 16 ? head[at / 8] : at % 64 < 32 ? roll(&noise) : 0x20646C6F63746F68u;
    memcpy(out + at, &word, len - at < 8 ? len - at : 8);
  }
}

/* The id of the store that wrote the value, or 0 if these are not the bytes that any store gave `key`. */
static inline uint64_t value_id(const uint8_t *data, size_t len, uint64_t key) {
  static _Thread_local uint8_t *whole;
  static _Thread_local size_t   room;
  uint64_t                      id;
  if (len < 16) return 0;
  if (room < len) must((whole = realloc(whole, room = len)) != NULL);
  memcpy(&id, data, 8);
  value_make(whole, len, key, id);
  return memcmp(whole, data, len) == 0 ? id : 0;
}

/* Whether these are exactly the `want` bytes that store `id` gave `key`; right for short values too. */
static inline bool value_is(const uint8_t *data, size_t len, uint64_t key, uint64_t id, size_t want) {
  uint8_t small[16];
  if (len != want) return false;
  if (len >= 16) return value_id(data, len, key) == id;
  value_make(small, len, key, id);
  return len == 0 || memcmp(small, data, len) == 0;
}

/* ---- time ---------------------------------------------------------------------------------- */

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static inline uint64_t wall_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}
static inline void sleep_us(uint64_t us) {
  struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  nanosleep(&t, NULL);
}

/* ---- files --------------------------------------------------------------------------------- */

/* Removes the directory and the plain files and directories in it. Absent is fine. */
static inline void remove_tree(const char *path) {
  DIR           *d = opendir(path);
  struct dirent *e;
  char           child[1024];
  if (!d) return;
  while ((e = readdir(d))) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    must(snprintf(child, sizeof child, "%s/%s", path, e->d_name) < (int)sizeof child);
    if (unlink(child) != 0) remove_tree(child);
  }
  closedir(d);
  rmdir(path);
}

/* `dir`/`name` in one of a few static buffers. */
__attribute__((unused)) static const char *path_of(const char *dir, const char *name) {
  static char buffers[4][512];
  static int  next;
  char       *out = buffers[next++ % 4];
  must(snprintf(out, sizeof buffers[0], "%s/%s", dir, name) < (int)sizeof buffers[0]);
  return out;
}

/* Makes `to` a copy of the directory `from` and its plain files, but for the one of that name (NULL: none). A directory
 * that is absent, as before the first open, counts as empty. */
__attribute__((unused)) static void copy_directory(const char *from, const char *to, const char *but) {
  static char    piece[1 << 16];
  DIR           *d = opendir(from);
  struct dirent *e;
  ssize_t        count;
  must(d != NULL || errno == ENOENT);
  remove_tree(to);
  must(mkdir(to, 0700) == 0);
  while (d && (e = readdir(d))) {
    if (e->d_type != DT_REG || (but && !strcmp(e->d_name, but))) continue;
    int in = open(path_of(from, e->d_name), O_RDONLY | O_CLOEXEC), out = open(path_of(to, e->d_name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(in >= 0 && out >= 0);
    while ((count = read(in, piece, sizeof piece)) > 0) must(write(out, piece, (size_t)count) == count);
    must(count == 0);
    close(in), close(out);
  }
  if (d) closedir(d);
}

/* Memory that forked children share, zeroed. */
__attribute__((unused)) static void *shared_memory(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(p != MAP_FAILED);
  return p;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Opens with options written `name=value name=value`; anything but OK ends the program. */
__attribute__((unused)) static hotcold_t *open_store(const char *path, const char *settings) {
  hotcold_options_t *o = hotcold_options_new();
  hotcold_error_t    error;
  hotcold_t         *store;
  char               text[512], *rest = text, *word;
  snprintf(text, sizeof text, "%s", settings);
  while ((word = strtok_r(rest, " ", &rest))) {
    char *value = strchr(word, '=');
    must(value != NULL);
    *value++ = 0;
    expect(hotcold_options_set(o, word, value, &error), HOTCOLD_OK, &error, "options_set");
  }
  expect(hotcold_open(path, o, &store, &error), HOTCOLD_OK, &error, "open");
  hotcold_options_free(o);
  return store;
}

__attribute__((unused)) static void close_store(hotcold_t *store) {
  hotcold_error_t error;
  expect(hotcold_close(store, &error), HOTCOLD_OK, &error, "close");
}

/* ---- begin and end ------------------------------------------------------------------------- */

__attribute__((unused)) static void torture_begin(const char *name, int argc, char **argv) {
  const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
  torture.name     = name;
  torture.seed     = mix((uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32)) % 1000000000u;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--long")) torture.is_long = true;
    else if (!strcmp(argv[i], "--short")) torture.is_long = false;
    else if (!strcmp(argv[i], "--seed") && i + 1 < argc) torture.seed = strtoull(argv[++i], NULL, 0);
    else if (!strcmp(argv[i], "--dir") && i + 1 < argc) base = argv[++i];
    else {
      fprintf(stderr, "usage: %s [--short|--long] [--seed N] [--dir DIR]\n", name);
      exit(2);
    }
  }
  must(snprintf(torture.dir, sizeof torture.dir, "%s/torture-%s-XXXXXX", base, name) < (int)sizeof torture.dir);
  must(mkdtemp(torture.dir) != NULL);
  printf("%s: seed %" PRIu64 "\n", name, torture.seed);
  fflush(stdout);
}

__attribute__((unused)) static int torture_end(void) {
  remove_tree(torture.dir);
  return 0;
}

#endif
