/* hotcold and its peers behind one table of functions, so that a benchmark asks all of them the same.
 *
 * All are used through their C interfaces, with their defaults where the question does not say otherwise, without a sync
 * a write, and every get copies the value out into the caller's buffer. A failure ends the program. */
#ifndef ENGINES_H
#define ENGINES_H

#include <hotcold.h>
#include <leveldb/c.h>
#include <lmdb.h>
#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_LEN = 16 };

/* How a store is opened. FRESH: for writing. COLD: what was written, as found on disk, default caches. HOT: with memory for all of it. */
typedef enum { FRESH, COLD, HOT } how_t;

typedef struct {
  const char *name;
  void *(*open)(const char *dir, how_t how, bool deflate);
  void (*put)(void *db, const char *key, const void *value, size_t len);
  size_t (*get)(void *db, const char *key, void *buffer, size_t capacity); /* length; ends the program if the key is absent */
  void (*del)(void *db, const char *key);
  void (*settle)(void *db, bool deflate); /* returns when no background work is left */
  void (*close)(void *db);
} engine_t;

static inline void die(const char *who, const char *what) {
  fprintf(stderr, "%s: %s\n", who, what ? what : "?");
  exit(1);
}

/* ---- hotcold ------------------------------------------------------------------------------- */

static inline void hc(hotcold_status_t status, const hotcold_error_t *error) {
  if (status != HOTCOLD_OK) die("hotcold", status < 0 ? error->message : hotcold_status_name(status));
}
static inline void *hc_open_with(const char *dir, const char *hot_capacity, const char *compression, const char *sync_interval) {
  hotcold_options_t *o = hotcold_options_new();
  hotcold_error_t    error;
  hotcold_t         *s;
  if (hot_capacity) hc(hotcold_options_set(o, "hot_capacity", hot_capacity, &error), &error);
  if (compression) hc(hotcold_options_set(o, "compression", compression, &error), &error);
  if (sync_interval) hc(hotcold_options_set(o, "sync_interval", sync_interval, &error), &error);
  hc(hotcold_open(dir, o, &s, &error), &error);
  hotcold_options_free(o);
  return s;
}
static inline void *hc_open(const char *dir, how_t how, bool deflate) {
  return hc_open_with(dir, how == COLD ? "0" : how == HOT ? "4GiB" : NULL, deflate ? "deflate:6" : "none", NULL);
}
static inline void hc_put(void *db, const char *key, const void *value, size_t len) {
  hotcold_error_t error;
  hc(hotcold_store(db, key, KEY_LEN, value, len, &error), &error);
}
static inline size_t hc_get(void *db, const char *key, void *buffer, size_t capacity) {
  hotcold_error_t error;
  size_t          len;
  hc(hotcold_retrieve_into(db, key, KEY_LEN, buffer, capacity, &len, &error), &error);
  return len;
}
/* Without the copy: takes a reference, reads a byte of each cache line, releases. */
static inline size_t hc_touch(void *db, const char *key, void *buffer, size_t capacity) {
  hotcold_error_t error;
  hotcold_value_t v;
  uint8_t         sum = 0;
  size_t          len;
  (void)capacity;
  hc(hotcold_retrieve(db, key, KEY_LEN, &v, &error), &error);
  for (size_t at = 0; at < v.len; at += 64) sum ^= v.data[at];
  *(volatile uint8_t *)buffer = sum;
  len                         = v.len;
  hotcold_value_release(&v);
  return len;
}
static inline void hc_del(void *db, const char *key) {
  hotcold_error_t error;
  hc(hotcold_delete(db, key, KEY_LEN, &error), &error);
}
static inline void hc_settle(void *db, bool deflate) {
  hotcold_error_t error;
  if (deflate) hc(hotcold_compact(db, &error), &error);
}
static inline void hc_close(void *db) {
  hotcold_error_t error;
  hc(hotcold_close(db, &error), &error);
}

/* ---- RocksDB ------------------------------------------------------------------------------- */

typedef struct { rocksdb_t *db; rocksdb_readoptions_t *read; rocksdb_writeoptions_t *write; } rocks_t;

static inline void ok(const char *who, char *error) {
  if (error) die(who, error);
}
static inline void *rocks_open(const char *dir, how_t how, bool deflate) {
  rocks_t           *r     = malloc(sizeof *r);
  rocksdb_options_t *o     = rocksdb_options_create();
  char              *error = NULL;
  rocksdb_options_set_create_if_missing(o, 1);
  rocksdb_options_set_compression(o, deflate ? rocksdb_zlib_compression : rocksdb_no_compression);
  if (how == HOT) {
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru((size_t)4 << 30));
    rocksdb_options_set_block_based_table_factory(o, table);
  }
  r->db    = rocksdb_open(o, dir, &error);
  r->read  = rocksdb_readoptions_create();
  r->write = rocksdb_writeoptions_create();
  ok("rocksdb", error);
  return r;
}
static inline void rocks_put(void *db, const char *key, const void *value, size_t len) {
  rocks_t *r     = db;
  char    *error = NULL;
  rocksdb_put(r->db, r->write, key, KEY_LEN, value, len, &error);
  ok("rocksdb", error);
}
static inline size_t rocks_get(void *db, const char *key, void *buffer, size_t capacity) {
  rocks_t                 *r     = db;
  char                    *error = NULL;
  size_t                   len;
  rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(r->db, r->read, key, KEY_LEN, &error);
  ok("rocksdb", error);
  if (!slice) die("rocksdb", "a key is absent");
  const char *data = rocksdb_pinnableslice_value(slice, &len);
  memcpy(buffer, data, len < capacity ? len : capacity);
  rocksdb_pinnableslice_destroy(slice);
  return len;
}
static inline void rocks_del(void *db, const char *key) {
  rocks_t *r     = db;
  char    *error = NULL;
  rocksdb_delete(r->db, r->write, key, KEY_LEN, &error);
  ok("rocksdb", error);
}
static inline void rocks_settle(void *db, bool deflate) {
  static const char *const BUSY[] = {"rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes", "rocksdb.compaction-pending",
                                     "rocksdb.num-running-compactions"};
  rocks_t                *r       = db;
  char                   *error   = NULL;
  rocksdb_flushoptions_t *flush   = rocksdb_flushoptions_create();
  uint64_t                busy    = 1;
  (void)deflate;
  rocksdb_flushoptions_set_wait(flush, 1);
  rocksdb_flush(r->db, flush, &error);
  ok("rocksdb", error);
  while (busy) {
    busy = 0;
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    for (size_t i = 0; i < sizeof BUSY / sizeof BUSY[0]; i++) {
      uint64_t n = 0;
      rocksdb_property_int(r->db, BUSY[i], &n);
      busy += n;
    }
  }
  rocksdb_flushoptions_destroy(flush);
}
static inline void rocks_close(void *db) {
  rocks_t *r = db;
  rocksdb_close(r->db);
  free(r);
}

/* ---- LevelDB ------------------------------------------------------------------------------- */

typedef struct { leveldb_t *db; leveldb_readoptions_t *read; leveldb_writeoptions_t *write; } level_t;

static inline void *level_open(const char *dir, how_t how, bool deflate) {
  level_t           *l     = malloc(sizeof *l);
  leveldb_options_t *o     = leveldb_options_create();
  char              *error = NULL;
  if (deflate) die("leveldb", "has no deflate");
  leveldb_options_set_create_if_missing(o, 1);
  leveldb_options_set_compression(o, leveldb_no_compression);
  if (how == HOT) leveldb_options_set_cache(o, leveldb_cache_create_lru((size_t)4 << 30));
  l->db    = leveldb_open(o, dir, &error);
  l->read  = leveldb_readoptions_create();
  l->write = leveldb_writeoptions_create();
  ok("leveldb", error);
  return l;
}
static inline void level_put(void *db, const char *key, const void *value, size_t len) {
  level_t *l     = db;
  char    *error = NULL;
  leveldb_put(l->db, l->write, key, KEY_LEN, value, len, &error);
  ok("leveldb", error);
}
static inline size_t level_get(void *db, const char *key, void *buffer, size_t capacity) {
  level_t *l     = db;
  char    *error = NULL, *data;
  size_t   len;
  data = leveldb_get(l->db, l->read, key, KEY_LEN, &len, &error);
  ok("leveldb", error);
  if (!data) die("leveldb", "a key is absent");
  memcpy(buffer, data, len < capacity ? len : capacity);
  leveldb_free(data);
  return len;
}
static inline void level_del(void *db, const char *key) {
  level_t *l     = db;
  char    *error = NULL;
  leveldb_delete(l->db, l->write, key, KEY_LEN, &error);
  ok("leveldb", error);
}
static inline void level_settle(void *db, bool deflate) {
  (void)deflate;
  leveldb_compact_range(((level_t *)db)->db, NULL, 0, NULL, 0);
}
static inline void level_close(void *db) {
  leveldb_close(((level_t *)db)->db);
  free(db);
}

/* ---- LMDB: a transaction a call, no sync ---------------------------------------------------- */

typedef struct { MDB_env *env; MDB_dbi dbi; MDB_txn *read; } lmdb_t;

static inline void mdb(int code) {
  if (code) die("lmdb", mdb_strerror(code));
}
static inline void *lmdb_open(const char *dir, how_t how, bool deflate) {
  lmdb_t  *l = calloc(1, sizeof *l);
  MDB_txn *txn;
  char     command[512];
  (void)how;
  if (deflate) die("lmdb", "has no deflate");
  snprintf(command, sizeof command, "mkdir -p '%s'", dir);
  if (system(command) != 0) die("lmdb", command);
  mdb(mdb_env_create(&l->env));
  mdb(mdb_env_set_mapsize(l->env, (size_t)16 << 30));
  mdb(mdb_env_open(l->env, dir, MDB_NOSYNC | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600));
  mdb(mdb_txn_begin(l->env, NULL, 0, &txn));
  mdb(mdb_dbi_open(txn, NULL, 0, &l->dbi));
  mdb(mdb_txn_commit(txn));
  return l;
}
static inline void lmdb_write(void *db, const char *key, const void *value, size_t len, bool del) {
  lmdb_t  *l = db;
  MDB_txn *txn;
  MDB_val  k = {KEY_LEN, (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)value};
  mdb(mdb_txn_begin(l->env, NULL, 0, &txn));
  mdb(del ? mdb_del(txn, l->dbi, &k, NULL) : mdb_put(txn, l->dbi, &k, &v, 0));
  mdb(mdb_txn_commit(txn));
}
static inline void   lmdb_put(void *db, const char *key, const void *value, size_t len) { lmdb_write(db, key, value, len, false); }
static inline void   lmdb_del(void *db, const char *key) { lmdb_write(db, key, NULL, 0, true); }
static inline size_t lmdb_get(void *db, const char *key, void *buffer, size_t capacity) {
  lmdb_t *l = db;
  MDB_val k = {KEY_LEN, (void *)(uintptr_t)key}, v;
  if (l->read) mdb(mdb_txn_renew(l->read));
  else mdb(mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->read));
  mdb(mdb_get(l->read, l->dbi, &k, &v));
  memcpy(buffer, v.mv_data, v.mv_size < capacity ? v.mv_size : capacity);
  mdb_txn_reset(l->read);
  return v.mv_size;
}
static inline void lmdb_settle(void *db, bool deflate) { (void)db, (void)deflate; }
static inline void lmdb_close(void *db) {
  lmdb_t *l = db;
  if (l->read) mdb_txn_abort(l->read);
  mdb_env_close(l->env);
  free(l);
}

static const engine_t ENGINES[] = {
    {"hotcold", hc_open, hc_put, hc_get, hc_del, hc_settle, hc_close},
    {"rocksdb", rocks_open, rocks_put, rocks_get, rocks_del, rocks_settle, rocks_close},
    {"leveldb", level_open, level_put, level_get, level_del, level_settle, level_close},
    {"lmdb", lmdb_open, lmdb_put, lmdb_get, lmdb_del, lmdb_settle, lmdb_close},
};
enum { ENGINE_COUNT = sizeof ENGINES / sizeof ENGINES[0] };

#endif
