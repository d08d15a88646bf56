/* A cold tier in a SQLite table: what several processes on one machine share, with hot tiers of their own.
 * A program that has a database anyway needs no other files.
 *
 *     sqlite FILE            stores and finds
 *     sqlite --check FILE    checks the functions over a new file */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <hotcold_backend_check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE_KEYS = 100 };

/* One connection; its user_data. */
typedef struct database {
    pthread_mutex_t lock;
    sqlite3 *db;
} database_t;

/* What SQLite says as hotcold says it. Busy and locked: nothing was done. */
static int32_t status_of(sqlite3 *db, int code) {
    switch (code & 0xFF) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW: return HOTCOLD_OK;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return hotcold_backend_fail(HOTCOLD_UNAVAILABLE, sqlite3_errmsg(db));
        case SQLITE_FULL: return hotcold_backend_fail(HOTCOLD_NO_SPACE, sqlite3_errmsg(db));
        case SQLITE_TOOBIG: return hotcold_backend_fail(HOTCOLD_TOO_LARGE, sqlite3_errmsg(db));
        case SQLITE_READONLY: return hotcold_backend_fail(HOTCOLD_READ_ONLY, sqlite3_errmsg(db));
        default: return hotcold_backend_fail(HOTCOLD_IO, sqlite3_errmsg(db));
    }
}

/* Prepares a statement for this connection alone; whoever finishes lets go of it. */
static sqlite3_stmt *begin(database_t *d, const char *sql, uint64_t timeout_ms) {
    sqlite3_stmt *statement = NULL;
    pthread_mutex_lock(&d->lock);
    sqlite3_busy_timeout(d->db, timeout_ms > 60000 ? 60000 : (int)timeout_ms);
    sqlite3_prepare_v2(d->db, sql, -1, &statement, NULL);
    return statement;
}

static int32_t finish(database_t *d, sqlite3_stmt *statement, int code, int32_t status) {
    if (status == HOTCOLD_OK) status = status_of(d->db, statement ? code : sqlite3_errcode(d->db));
    sqlite3_finalize(statement);
    pthread_mutex_unlock(&d->lock);
    return status;
}

/* An empty blob is not NULL. */
static void bind(sqlite3_stmt *statement, int at, const void *bytes, size_t len) {
    sqlite3_bind_blob64(statement, at, len ? bytes : "", len, SQLITE_STATIC);
}

static int32_t get(void *user_data, const void *key, size_t key_len, uint64_t known_version,
                   uint64_t timeout_ms, hotcold_record_t *out) {
    database_t *d = user_data;
    sqlite3_stmt *s = begin(d, "SELECT version, data FROM records WHERE key = ?", timeout_ms);
    bind(s, 1, key, key_len);
    int code = sqlite3_step(s);
    int32_t status = HOTCOLD_OK;
    if (code == SQLITE_DONE) {
        status = HOTCOLD_NOT_FOUND;
    } else if (code == SQLITE_ROW) {
        int is_known = (uint64_t)sqlite3_column_int64(s, 0) == known_version;
        status = is_known ? hotcold_record_same(out, NULL)
                          : hotcold_record_set(out, sqlite3_column_blob(s, 1),
                                               (size_t)sqlite3_column_bytes(s, 1), NULL);
    }
    return finish(d, s, code, status);
}

static int32_t put(void *user_data, const void *key, size_t key_len, const void *data, size_t len,
                   uint64_t version, uint64_t expires_at, const uint64_t *if_version,
                   uint64_t timeout_ms) {
    static const char *const always = "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4)";
    static const char *const absent = "INSERT OR IGNORE INTO records VALUES (?1, ?2, ?3, ?4)";
    static const char *const same = "UPDATE records SET data = ?2, version = ?3, expires_at = ?4 "
                                    "WHERE key = ?1 AND version = ?5";
    database_t *d = user_data;
    const char *sql = !if_version ? always : *if_version == 0 ? absent : same;
    sqlite3_stmt *s = begin(d, sql, timeout_ms);
    bind(s, 1, key, key_len);
    bind(s, 2, data, len);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)version);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)expires_at);
    if (sql == same) sqlite3_bind_int64(s, 5, (sqlite3_int64)*if_version);
    int code = sqlite3_step(s);
    int is_conflict = code == SQLITE_DONE && if_version && sqlite3_changes(d->db) == 0;
    return finish(d, s, code, is_conflict ? HOTCOLD_CONFLICT : HOTCOLD_OK);
}

static int32_t take_out(void *user_data, const void *key, size_t key_len,
                        const uint64_t *if_version, uint64_t timeout_ms) {
    database_t *d = user_data;
    sqlite3_stmt *s = begin(d, if_version ? "DELETE FROM records WHERE key = ? AND version = ?"
                                          : "DELETE FROM records WHERE key = ?", timeout_ms);
    bind(s, 1, key, key_len);
    if (if_version) sqlite3_bind_int64(s, 2, (sqlite3_int64)*if_version);
    int code = sqlite3_step(s);
    int is_none = code == SQLITE_DONE && sqlite3_changes(d->db) == 0;
    return finish(d, s, code, !is_none ? HOTCOLD_OK
                              : if_version ? HOTCOLD_CONFLICT : HOTCOLD_NOT_FOUND);
}

/* In the order of the bytes; blobs are compared so. */
static int32_t list(void *user_data, const void *prefix, size_t prefix_len, const void *after,
                    size_t after_len, hotcold_page_t *out, uint64_t timeout_ms) {
    database_t *d = user_data;
    sqlite3_stmt *s = begin(d, "SELECT key FROM records WHERE key >= ?1 AND (?2 = x'' OR key > ?2)"
                               " ORDER BY key LIMIT ?3", timeout_ms);
    bind(s, 1, prefix, prefix_len);
    bind(s, 2, after, after_len);
    sqlite3_bind_int(s, 3, PAGE_KEYS);
    int32_t status = HOTCOLD_OK;
    int code = SQLITE_DONE, count = 0, is_over = 0;
    while (status == HOTCOLD_OK && !is_over && (code = sqlite3_step(s)) == SQLITE_ROW) {
        const void *key = sqlite3_column_blob(s, 0);
        size_t len = (size_t)sqlite3_column_bytes(s, 0);
        is_over = len < prefix_len || memcmp(key ? key : "", prefix, prefix_len) != 0;
        if (!is_over) status = hotcold_page_add(out, key, len, NULL);
        count++;
    }
    is_over |= count < PAGE_KEYS;
    status = finish(d, s, code, status);
    return status == HOTCOLD_OK && is_over ? HOTCOLD_END : status;
}

static int32_t clear(void *user_data, uint64_t timeout_ms) {
    database_t *d = user_data;
    sqlite3_stmt *s = begin(d, "DELETE FROM records", timeout_ms);
    return finish(d, s, sqlite3_step(s), HOTCOLD_OK);
}

/* One row that is only ever raised, and never below the time. */
static int32_t versions(void *user_data, uint64_t count, uint64_t *first_out, uint64_t timeout_ms) {
    database_t *d = user_data;
    sqlite3_stmt *s = begin(d, "UPDATE versions SET next = max(next, ?1) + ?2 RETURNING next - ?2",
                            timeout_ms);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)time(NULL) * 1000000);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)count);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) *first_out = (uint64_t)sqlite3_column_int64(s, 0);
    while (code == SQLITE_ROW) code = sqlite3_step(s);
    return finish(d, s, code, HOTCOLD_OK);
}

static void close_database(void *user_data) {
    database_t *d = user_data;
    sqlite3_close(d->db);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static database_t *open_database(const char *file) {
    database_t *d = calloc(1, sizeof *d);
    if (!d || sqlite3_open(file, &d->db) != SQLITE_OK) exit(1);
    pthread_mutex_init(&d->lock, NULL);
    sqlite3_busy_timeout(d->db, 5000);
    int code = sqlite3_exec(d->db,
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                            "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, data BLOB, "
                            "version INTEGER, expires_at INTEGER) WITHOUT ROWID;"
                            "CREATE TABLE IF NOT EXISTS versions (one INTEGER PRIMARY KEY, next "
                            "INTEGER); INSERT OR IGNORE INTO versions VALUES (1, 1)",
                            NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        fprintf(stderr, "sqlite: %s: %s\n", file, sqlite3_errmsg(d->db));
        exit(1);
    }
    return d;
}

int main(int argc, char **argv) {
    hotcold_backend_t backend = {0};
    hotcold_error_t error;
    hotcold_value_t value;
    hotcold_t *store;
    const char *file = argc > 1 ? argv[argc - 1] : "sqlite.db";

    backend.capabilities = HOTCOLD_BACKEND_CAS | HOTCOLD_BACKEND_LIST_ORDERED |
                           HOTCOLD_BACKEND_CLEAR | HOTCOLD_BACKEND_DURABLE;
    backend.get = get, backend.put = put, backend.remove = take_out, backend.list = list;
    backend.clear = clear, backend.versions = versions;
    if (argc > 2 && strcmp(argv[1], "--check") == 0) {
        database_t *here = open_database(file), *there = open_database(file);
        return hotcold_backend_check(&backend, sizeof backend, here, there, close_database, stdout) != 0;
    }
    if (hotcold_open_backend(&backend, sizeof backend, open_database(file), close_database, NULL,
                             &store, &error) < 0 ||
        hotcold_store(store, "greeting", 8, "hello", 5, &error) < 0 ||
        hotcold_retrieve(store, "greeting", 8, &value, &error) < 0) {
        fprintf(stderr, "sqlite: %s\n", error.message);
        return 1;
    }
    printf("%.*s, version %llu\n", (int)value.len, (const char *)value.data,
           (unsigned long long)value.version);
    hotcold_value_release(&value);
    return hotcold_close(store, &error) < 0;
}
