/*
 * hotcold_backend_check: whether a table of functions keeps what hotcold_open_backend() needs of it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * For a test program of whoever writes a backend: include this file in one source, with
 * _POSIX_C_SOURCE 200809L or GNU extensions, link it with hotcold and threads, and call hotcold_backend_check() with a table over an engine that is empty and
 * nobody else's. It opens two stores over the table, as two machines would, and checks each promise
 * from outside. It leaves the engine empty.
 *
 *     int broken = hotcold_backend_check(&backend, sizeof backend, here, there, drop, stdout);
 *
 * here and there are the user_data of the two; drop, or NULL, is called with each when its store is
 * closed. Without a watch and a drop they may be the same.
 */
#ifndef HOTCOLD_BACKEND_CHECK_H
#define HOTCOLD_BACKEND_CHECK_H

#include "hotcold.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  HOTCOLD_CHECK_COHERENCE_MS = 200,
  HOTCOLD_CHECK_KEYS = 300,
  HOTCOLD_CHECK_THREADS = 4,
  HOTCOLD_CHECK_TURNS = 40,
  HOTCOLD_CHECK_BYTES = 100000
};

/* What a check works with. */
typedef struct hotcold_check_t {
  const hotcold_backend_t *backend;
  void *user_data;
  hotcold_t *here, *there; /* two machines */
  hotcold_error_t error;
  char why[700]; /* the first promise that is broken, in words; empty: none is */
} hotcold_check_t;

static inline int hotcold_check_fail(hotcold_check_t *c, const char *what, int line) {
  if (c->why[0] == 0) {
    snprintf(c->why, sizeof c->why, "line %d: %s%s%s", line, what, c->error.status ? ": " : "",
             c->error.status ? c->error.message : "");
  }
  return 0;
}

/* Goes on if the condition holds, and ends the check otherwise. */
#define HOTCOLD_CHECK(c, condition)                                            \
  do {                                                                         \
    if (!(condition)) {                                                        \
      hotcold_check_fail(c, #condition, __LINE__);                             \
      return;                                                                  \
    }                                                                          \
  } while (0)

static inline void hotcold_check_pause(long ms) {
  struct timespec wait;
  wait.tv_sec = ms / 1000;
  wait.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&wait, NULL);
}

static inline int hotcold_check_put(hotcold_check_t *c, hotcold_t *s, const char *key,
                                    const char *value) {
  return hotcold_store(s, key, strlen(key), value, strlen(value), &c->error) == HOTCOLD_OK;
}

static inline int32_t hotcold_check_put_if(hotcold_check_t *c, hotcold_t *s, const char *key,
                                           const char *value, uint64_t if_version,
                                           uint64_t *version) {
  hotcold_store_options_t o;
  memset(&o, 0, sizeof o);
  o.flags = HOTCOLD_STORE_IF_VERSION;
  o.if_version = if_version;
  return hotcold_store_with(s, key, strlen(key), value, strlen(value), &o, sizeof o, version,
                            &c->error);
}

/* Whether the key has that value; NULL: none. */
static inline int hotcold_check_has(hotcold_check_t *c, hotcold_t *s, const char *key,
                                    const char *value, uint32_t flags) {
  hotcold_value_t found;
  int32_t status = hotcold_retrieve_with(s, key, strlen(key), flags, &found, &c->error);
  int is_it = value ? status == HOTCOLD_OK && found.len == strlen(value) &&
                          memcmp(found.data, value, found.len) == 0
                    : status == HOTCOLD_NOT_FOUND;
  hotcold_value_release(&found);
  return is_it;
}

static inline void hotcold_check_find(hotcold_check_t *c) {
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "key", NULL, 0));
  HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, "key", "one"));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "key", "one", 0));
  HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, "key", "another"));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "key", "another", HOTCOLD_RETRIEVE_FRESH));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "key", "another", HOTCOLD_RETRIEVE_FRESH));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "ke", NULL, 0));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "key2", NULL, 0));
}

static inline void hotcold_check_bytes(hotcold_check_t *c) {
  static const size_t lengths[] = {0, 1, 255, 4096, HOTCOLD_CHECK_BYTES};
  unsigned char *bytes = (unsigned char *)malloc(HOTCOLD_CHECK_BYTES);
  HOTCOLD_CHECK(c, bytes != NULL);
  for (size_t i = 0; i < HOTCOLD_CHECK_BYTES; i++) {
    bytes[i] = (unsigned char)((i * 2654435761u) >> 13);
  }
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths && c->why[0] == 0; i++) {
    size_t key_len = lengths[i] > 1000 ? 1000 + i : lengths[i];
    hotcold_value_t found;
    if (hotcold_store(c->here, bytes, key_len, bytes, lengths[i], &c->error) != HOTCOLD_OK ||
        hotcold_retrieve(c->there, bytes, key_len, &found, &c->error) != HOTCOLD_OK) {
      hotcold_check_fail(c, "keys and values of any bytes are stored and found", __LINE__);
      break;
    }
    if (found.len != lengths[i] || memcmp(found.data, bytes, found.len) != 0) {
      hotcold_check_fail(c, "a value comes back as it was", __LINE__);
    }
    hotcold_value_release(&found);
  }
  free(bytes);
}

static inline void hotcold_check_delete(hotcold_check_t *c) {
  HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, "gone", "value"));
  HOTCOLD_CHECK(c, hotcold_delete(c->there, "gone", 4, &c->error) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, hotcold_delete(c->here, "gone", 4, &c->error) == HOTCOLD_NOT_FOUND);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "gone", NULL, 0));
}

static inline void hotcold_check_conditions(hotcold_check_t *c) {
  uint64_t first = 0, second = 0, current = 0;
  HOTCOLD_CHECK(c, hotcold_check_put_if(c, c->here, "if", "1", 7, &current) == HOTCOLD_CONFLICT);
  HOTCOLD_CHECK(c, current == 0);
  HOTCOLD_CHECK(c, hotcold_check_put_if(c, c->here, "if", "1", 0, &first) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, hotcold_check_put_if(c, c->there, "if", "2", 0, &current) == HOTCOLD_CONFLICT);
  HOTCOLD_CHECK(c, current == first);
  HOTCOLD_CHECK(c, hotcold_check_put_if(c, c->there, "if", "2", first, &second) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, second != first);
  HOTCOLD_CHECK(c, hotcold_check_put_if(c, c->here, "if", "3", first, &current) == HOTCOLD_CONFLICT);
  HOTCOLD_CHECK(c, current == second);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "if", "2", HOTCOLD_RETRIEVE_FRESH));
}

/* One thread that counts on a key, by turns here and there. */
static inline void *hotcold_check_count(void *check) {
  hotcold_check_t *c = (hotcold_check_t *)check;
  hotcold_error_t error;
  for (int done = 0, turn = 0; done < HOTCOLD_CHECK_TURNS; turn++) {
    hotcold_t *s = turn % 2 ? c->here : c->there;
    hotcold_store_options_t o;
    hotcold_value_t found;
    uint64_t count = 0;
    int32_t status = hotcold_retrieve(s, "count", 5, &found, &error);
    memset(&o, 0, sizeof o);
    o.flags = HOTCOLD_STORE_IF_VERSION;
    if (status == HOTCOLD_OK && found.len == sizeof count) {
      memcpy(&count, found.data, sizeof count);
      o.if_version = found.version;
    }
    hotcold_value_release(&found);
    count++;
    if (status >= 0) {
      status = hotcold_store_with(s, "count", 5, &count, sizeof count, &o, sizeof o, NULL, &error);
    }
    if (status < 0) return check;
    done += status == HOTCOLD_OK;
  }
  return NULL;
}

static inline void hotcold_check_threads(hotcold_check_t *c) {
  pthread_t threads[HOTCOLD_CHECK_THREADS];
  hotcold_value_t found;
  uint64_t count = 0;
  void *failed = NULL, *one;
  int started = 0;
  while (started < HOTCOLD_CHECK_THREADS &&
         pthread_create(&threads[started], NULL, hotcold_check_count, c) == 0) {
    started++;
  }
  for (int i = 0; i < started; i++) {
    pthread_join(threads[i], &one);
    failed = one ? one : failed;
  }
  HOTCOLD_CHECK(c, started == HOTCOLD_CHECK_THREADS && failed == NULL);
  HOTCOLD_CHECK(c, hotcold_retrieve_with(c->here, "count", 5, HOTCOLD_RETRIEVE_FRESH, &found,
                                         &c->error) == HOTCOLD_OK);
  if (found.len == sizeof count) memcpy(&count, found.data, sizeof count);
  hotcold_value_release(&found);
  HOTCOLD_CHECK(c, count == HOTCOLD_CHECK_THREADS * HOTCOLD_CHECK_TURNS);
}

static inline void hotcold_check_coherence(hotcold_check_t *c) {
  HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, "seen", "old"));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "seen", "old", 0));
  HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, "seen", "new"));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "seen", "new", 0));
  hotcold_check_pause(HOTCOLD_CHECK_COHERENCE_MS + 20);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "seen", "new", 0));
  HOTCOLD_CHECK(c, hotcold_delete(c->here, "seen", 4, &c->error) == HOTCOLD_OK);
  hotcold_check_pause(HOTCOLD_CHECK_COHERENCE_MS + 20);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "seen", NULL, 0));
}

static inline void hotcold_check_versions(hotcold_check_t *c) {
  uint64_t first[2] = {0, 0}, microseconds;
  microseconds = (uint64_t)time(NULL) * 1000000;
  for (int i = 0; i < 2; i++) {
    HOTCOLD_CHECK(c, c->backend->versions(c->user_data, 1000, &first[i], 2000) == HOTCOLD_OK);
    /* A clock may differ by a minute. */
    HOTCOLD_CHECK(c, first[i] + 60 * 1000000u >= microseconds);
  }
  HOTCOLD_CHECK(c, first[1] >= first[0] + 1000 || first[0] >= first[1] + 1000);
}

static inline void hotcold_check_walk(hotcold_check_t *c, const char *prefix, int expected) {
  unsigned char met[HOTCOLD_CHECK_KEYS];
  hotcold_cursor_t *cursor;
  hotcold_slice_t key;
  int count = 0;
  memset(met, 0, sizeof met);
  HOTCOLD_CHECK(c, hotcold_cursor_open(c->there, prefix, strlen(prefix), &cursor, &c->error) ==
                       HOTCOLD_OK);
  while (hotcold_cursor_next(cursor, &key, &c->error) == HOTCOLD_OK) {
    char text[16] = {0};
    int number;
    memcpy(text, key.data, key.len < 15 ? key.len : 15);
    number = atoi(text + 2);
    if (number < 0 || number >= HOTCOLD_CHECK_KEYS || met[number]++ ||
        strncmp(text, prefix, strlen(prefix)) != 0) {
      hotcold_check_fail(c, "a walk meets each key with the prefix once", __LINE__);
      break;
    }
    count++;
  }
  hotcold_cursor_close(cursor);
  HOTCOLD_CHECK(c, c->error.status == HOTCOLD_OK && count == expected);
}

static inline void hotcold_check_walks(hotcold_check_t *c) {
  HOTCOLD_CHECK(c, hotcold_clear(c->here, &c->error) == HOTCOLD_OK);
  for (int i = 0; i < HOTCOLD_CHECK_KEYS; i++) {
    char key[16];
    snprintf(key, sizeof key, "%c/%d", i % 3 ? 'a' : 'b', i);
    HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, key, "value"));
  }
  hotcold_check_walk(c, "", HOTCOLD_CHECK_KEYS);
  hotcold_check_walk(c, "b/", HOTCOLD_CHECK_KEYS / 3);
  hotcold_check_walk(c, "c", 0);
}

static inline void hotcold_check_batch(hotcold_check_t *c) {
  hotcold_batch_t *batch = hotcold_batch_new();
  hotcold_store_options_t o;
  int32_t first, second;
  HOTCOLD_CHECK(c, batch != NULL);
  memset(&o, 0, sizeof o);
  o.flags = HOTCOLD_STORE_IF_VERSION;
  hotcold_check_put(c, c->here, "batch/c", "old");
  hotcold_batch_store(batch, "batch/a", 7, "1", 1, &o, sizeof o, &c->error);
  hotcold_batch_store(batch, "batch/b", 7, "1", 1, NULL, 0, &c->error);
  hotcold_batch_delete(batch, "batch/c", 7, &c->error);
  first = hotcold_write(c->here, batch, 0, &c->error);
  second = hotcold_write(c->here, batch, 0, &c->error);
  hotcold_batch_free(batch);
  /* An engine of several nodes may have these keys at different ones. */
  if (first == HOTCOLD_UNSUPPORTED) return;
  HOTCOLD_CHECK(c, first == HOTCOLD_OK && second == HOTCOLD_CONFLICT);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "batch/b", "1", 0));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "batch/c", NULL, 0));
}

static inline void hotcold_check_expiry(hotcold_check_t *c) {
  hotcold_store_options_t o;
  memset(&o, 0, sizeof o);
  o.ttl = 100;
  HOTCOLD_CHECK(c, hotcold_store_with(c->here, "brief", 5, "1", 1, &o, sizeof o, NULL,
                                      &c->error) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "brief", "1", 0));
  hotcold_check_pause(150);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "brief", NULL, 0));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "brief", NULL, HOTCOLD_RETRIEVE_FRESH));
  HOTCOLD_CHECK(c, hotcold_delete(c->here, "brief", 5, &c->error) == HOTCOLD_NOT_FOUND);
}

static inline void hotcold_check_care(hotcold_check_t *c) {
  uint64_t records = 0, damaged = 0;
  int is_durable = (c->backend->capabilities & HOTCOLD_BACKEND_DURABLE) != 0;
  int32_t wanted = is_durable ? HOTCOLD_OK : HOTCOLD_UNSUPPORTED;
  HOTCOLD_CHECK(c, hotcold_verify(c->here, &records, &damaged, &c->error) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, records > 0 && damaged == 0);
  HOTCOLD_CHECK(c, hotcold_compact(c->here, &c->error) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, hotcold_sync(c->here, &c->error) == wanted);
}

static inline void hotcold_check_clear(hotcold_check_t *c) {
  HOTCOLD_CHECK(c, hotcold_check_put(c, c->here, "key", "value"));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "key", "value", 0));
  HOTCOLD_CHECK(c, hotcold_clear(c->here, &c->error) == HOTCOLD_OK);
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->here, "key", NULL, 0));
  HOTCOLD_CHECK(c, hotcold_check_has(c, c->there, "key", NULL, 0));
  hotcold_check_walk(c, "", 0);
}

/* Checks a table over an engine that is empty; writes a line for each promise to out (NULL: nowhere).
 * Gives the number of promises that are broken; -1 if no store could be opened. */
static inline int hotcold_backend_check(const hotcold_backend_t *b, size_t b_size, void *here,
                                        void *there, hotcold_drop_fn drop, FILE *out) {
  static const struct {
    const char *promise;
    void (*check)(hotcold_check_t *c);
    uint64_t needs;
  } checks[] = {
      {"what is stored is found, here and there", hotcold_check_find, 0},
      {"keys and values have any bytes and lengths", hotcold_check_bytes, 0},
      {"a delete says whether there was something", hotcold_check_delete, 0},
      {"conditions are compared with the version", hotcold_check_conditions, HOTCOLD_BACKEND_CAS},
      {"threads on two machines lose no update", hotcold_check_threads, HOTCOLD_BACKEND_CAS},
      {"a change is seen elsewhere within the coherence", hotcold_check_coherence, 0},
      {"versions never repeat", hotcold_check_versions, 0},
      {"a walk meets each key once", hotcold_check_walks, 0},
      {"a batch happens whole or not at all", hotcold_check_batch, HOTCOLD_BACKEND_BATCH},
      {"what has expired is gone", hotcold_check_expiry, 0},
      {"all records are whole; sync does what is promised", hotcold_check_care, 0},
      {"a clear leaves nothing, here and there", hotcold_check_clear, 0},
  };
  hotcold_options_t *options = hotcold_options_new();
  hotcold_check_t c;
  int broken = 0;
  memset(&c, 0, sizeof c);
  c.backend = b;
  c.user_data = here;
  hotcold_options_set_u64(options, "coherence", HOTCOLD_CHECK_COHERENCE_MS, &c.error);
  if (hotcold_open_backend(b, b_size, here, drop, options, &c.here, &c.error) < 0 ||
      hotcold_open_backend(b, b_size, there, drop, options, &c.there, &c.error) < 0) {
    if (out) fprintf(out, "no store could be opened: %s\n", c.error.message);
    hotcold_options_free(options);
    hotcold_close(c.here, NULL);
    return -1;
  }
  hotcold_options_free(options);
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
    c.why[0] = 0;
    if ((b->capabilities & checks[i].needs) != checks[i].needs) {
      if (out) fprintf(out, "not offered  %s\n", checks[i].promise);
      continue;
    }
    checks[i].check(&c);
    broken += c.why[0] != 0;
    if (out) {
      fprintf(out, "%-12s %s\n", c.why[0] ? "BROKEN" : "kept", checks[i].promise);
      if (c.why[0]) fprintf(out, "             %s\n", c.why);
    }
  }
  hotcold_clear(c.here, NULL);
  hotcold_close(c.here, NULL);
  hotcold_close(c.there, NULL);
  return broken;
}

#undef HOTCOLD_CHECK

#endif
