/*
 * hotcold: an embedded key-value store in two tiers, memory and disk.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * Generated from the library's source; change src/ffi/ instead, and build.
 *
 * What holds for every function:
 *
 * Status    What can fail returns a hotcold_status_t: 0 is fine, above 0 an ordinary outcome, below 0
 *           a failure. The words go into the hotcold_error_t that the caller passes last, on its
 *           stack, or NULL. It is written on every return: after 0 and above its status is
 *           HOTCOLD_OK, except that a store opened with policy=lenient tells there what it survived.
 * Outputs   Results come last before error and are required, unless "NULL, or" is said. They are
 *           written on every return: after a failure they are empty (NULL, 0), unless another thing
 *           is said.
 * NULL      NULL where something is required, an unknown flag or an unknown number of an enum is
 *           answered with HOTCOLD_INVALID_ARGUMENT. Bytes have a length and may hold anything; NULL is
 *           fine where the length is 0. Paths end with a NUL and go to the system byte for byte; names
 *           are UTF-8.
 * Owning    What _new or _open gives is taken by _free or _close; values by hotcold_value_release().
 *           NULL is fine there. Any order of releasing is safe, also after the store was closed.
 * Threads   A hotcold_t may be used from any thread at any time. Options, batches, cursors and event
 *           queues are for one thread at a time.
 *           They may be called while a thread or the process ends, and on small stacks: each needs less
 *           than 16 KiB, callbacks aside.
 * Memory    Where the process has none left, calls answer HOTCOLD_OUT_OF_MEMORY and have no effect.
 * Closing   Using a hotcold_t after hotcold_close(), or closing it twice, is answered with
 *           HOTCOLD_MISUSE, always. Releasing any other object twice is undefined.
 * Forking   In a forked child every call on an inherited store is answered with HOTCOLD_MISUSE.
 *           Releasing values is safe there.
 * Callbacks They get user_data first, must not throw or longjmp, and may call anything on the same
 *           store but hotcold_close().
 * Growing   Structs that may grow are passed with their size, and grow at the end only. Numbers of
 *           enums and flags are never reused.
 *
 * The library never prints, reads no environment, touches no signals and needs no set-up.
 *
 * The slots of each comment: in, out, owns (who frees, with what), cost, safe (from which threads),
 * durable (what survives), after (what is true then), all statuses with their meaning, and since
 * when the function exists.
 */

#ifndef HOTCOLD_H
#define HOTCOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The version of this header: major << 16 | minor << 8 | patch, and its parts.
 * Enumerators for what reads the header without its directives, macros for #if.
 */
enum hotcold_header_version {
  HOTCOLD_VERSION_MAJOR = 0,
  HOTCOLD_VERSION_MINOR = 1,
  HOTCOLD_VERSION_PATCH = 0,
  HOTCOLD_VERSION = 256,
};
#define HOTCOLD_VERSION_MAJOR 0
#define HOTCOLD_VERSION_MINOR 1
#define HOTCOLD_VERSION_PATCH 0
#define HOTCOLD_VERSION 256

/**
 * What a cold tier can do, as bits of hotcold_backend_t.capabilities.
 */
enum hotcold_backend_capability {
  /**
   * put and remove compare versions.
   */
  HOTCOLD_BACKEND_CAS = 1,
  /**
   * The engine itself forgets what has expired.
   */
  HOTCOLD_BACKEND_TTL = 2,
  /**
   * list gives keys in the order of their bytes.
   */
  HOTCOLD_BACKEND_LIST_ORDERED = 4,
  /**
   * watch tells of others' changes.
   */
  HOTCOLD_BACKEND_WATCH = 8,
  /**
   * clear empties all at once.
   */
  HOTCOLD_BACKEND_CLEAR = 16,
  /**
   * write changes several keys, all or nothing.
   */
  HOTCOLD_BACKEND_BATCH = 32,
  /**
   * What is acknowledged survives a loss of power.
   */
  HOTCOLD_BACKEND_DURABLE = 64,
  /**
   * list may give a key more than once; whoever asked drops the repeats.
   */
  HOTCOLD_BACKEND_LIST_REPEATS = 128,
};

/**
 * What a backend counts with hotcold_backend_count().
 */
enum hotcold_backend_counter {
  /**
   * A request that was sent again.
   */
  HOTCOLD_BACKEND_RETRIES = 1,
};

/**
 * Bits of the mask of events; unknown bits are ignored.
 */
enum hotcold_event_kind {
  /**
   * A key was stored.
   */
  HOTCOLD_EVENT_ITEM_STORED = 1,
  /**
   * A retrieve found a value.
   */
  HOTCOLD_EVENT_ITEM_RETRIEVED = 2,
  /**
   * A delete removed a key.
   */
  HOTCOLD_EVENT_ITEM_DELETED = 4,
  /**
   * The store was cleared.
   */
  HOTCOLD_EVENT_STORAGE_CLEARED = 8,
  /**
   * A key that was in cold entered hot.
   */
  HOTCOLD_EVENT_PROMOTED = 16,
  /**
   * A key left hot for cold on demand.
   */
  HOTCOLD_EVENT_DEMOTED = 32,
  /**
   * A key left its tier to make room.
   */
  HOTCOLD_EVENT_EVICTED = 64,
  /**
   * A key left because its time had passed.
   */
  HOTCOLD_EVENT_EXPIRED = 128,
  /**
   * Segments were compacted.
   */
  HOTCOLD_EVENT_COMPACTED = 256,
  /**
   * Something failed, perhaps in the background, or was survived under policy=lenient.
   */
  HOTCOLD_EVENT_ERROR = 512,
  /**
   * All of them, and what later versions add.
   */
  HOTCOLD_EVENT_ALL = 2147483647,
};

/**
 * Limits.
 */
enum hotcold_limit {
  /**
   * The longest key, in bytes.
   */
  HOTCOLD_KEY_LEN_MAX = 65535,
};

/**
 * Numbers of links.
 */
enum hotcold_link {
  /**
   * The link of an engine of one node.
   */
  HOTCOLD_LINK_ONE = 0,
  /**
   * No link: what hangs on it is asked for each time.
   */
  HOTCOLD_LINK_NONE = 65534,
  /**
   * Every link.
   */
  HOTCOLD_LINK_ALL = 65535,
};

/**
 * Flags of hotcold_retrieve_with.
 */
enum hotcold_retrieve_flag {
  /**
   * What is found in cold does not enter hot.
   */
  HOTCOLD_RETRIEVE_NO_PROMOTE = 1,
  /**
   * What is found in hot does not count as used: hot is left as it is.
   */
  HOTCOLD_RETRIEVE_NO_RECENCY = 2,
  /**
   * A shared cold tier is asked whatever hot has. It changes nothing over a directory.
   */
  HOTCOLD_RETRIEVE_FRESH = 4,
};

/**
 * Formats of hotcold_stats_text.
 */
enum hotcold_stats_format {
  /**
   * One JSON object, with the groups hot, cold, combined and operations.
   */
  HOTCOLD_STATS_JSON = 1,
  /**
   * The text format that Prometheus reads.
   */
  HOTCOLD_STATS_PROMETHEUS = 2,
};

/**
 * The numbers of `hotcold_status_t`. They are never changed and never reused.
 */
enum hotcold_status {
  /**
   * Done.
   */
  HOTCOLD_OK = 0,
  /**
   * The key is absent or has expired.
   */
  HOTCOLD_NOT_FOUND = 1,
  /**
   * A condition was not met; nothing was done.
   */
  HOTCOLD_CONFLICT = 2,
  /**
   * Nothing more comes.
   */
  HOTCOLD_END = 3,
  /**
   * An argument that can never work: mend the call.
   */
  HOTCOLD_INVALID_ARGUMENT = -1,
  /**
   * A call at the wrong time, or on a store that is closed: mend the program.
   */
  HOTCOLD_MISUSE = -2,
  /**
   * The operating system refused; retrying may help once the cause is gone.
   */
  HOTCOLD_IO = -3,
  /**
   * A record or file fails its checksum; other keys stay readable.
   */
  HOTCOLD_CORRUPT = -4,
  /**
   * The disk is full; storing works again once there is room.
   */
  HOTCOLD_NO_SPACE = -5,
  /**
   * Another handle has the directory open.
   */
  HOTCOLD_LOCKED = -6,
  /**
   * A key, value or batch is beyond the limits.
   */
  HOTCOLD_TOO_LARGE = -7,
  /**
   * The caller's buffer cannot hold the value.
   */
  HOTCOLD_BUFFER_TOO_SMALL = -8,
  /**
   * The store was opened read-only, or turned so after a failed sync.
   */
  HOTCOLD_READ_ONLY = -9,
  /**
   * Asks for what this version does not have.
   */
  HOTCOLD_UNSUPPORTED = -10,
  /**
   * There is not enough memory.
   */
  HOTCOLD_OUT_OF_MEMORY = -11,
  /**
   * A defect of this library; the store refuses further writes.
   */
  HOTCOLD_INTERNAL = -12,
  /**
   * The caller's own callback reported failure.
   */
  HOTCOLD_CALLBACK_FAILED = -13,
  /**
   * A shared cold tier did not answer in time: whether it was done is unknown.
   */
  HOTCOLD_TIMEOUT = -14,
  /**
   * A shared cold tier cannot be reached, or refused: certainly not done.
   */
  HOTCOLD_UNAVAILABLE = -15,
  /**
   * Another writer has taken over; for engines of one writer.
   */
  HOTCOLD_FENCED = -16,
};

/**
 * Flags of hotcold_store_options_t.
 */
enum hotcold_store_flag {
  /**
   * Store only if the key's version is if_version.
   */
  HOTCOLD_STORE_IF_VERSION = 1,
  /**
   * Do not enter hot.
   */
  HOTCOLD_STORE_COLD_ONLY = 2,
  /**
   * This store is durable when the call returns.
   */
  HOTCOLD_STORE_SYNC = 4,
};

/**
 * Where a value was found.
 */
enum hotcold_tier {
  /**
   * In memory.
   */
  HOTCOLD_TIER_HOT = 1,
  /**
   * On disk.
   */
  HOTCOLD_TIER_COLD = 2,
};

/**
 * Flags of hotcold_write.
 */
enum hotcold_write_flag {
  /**
   * The batch is durable when the call returns.
   */
  HOTCOLD_WRITE_SYNC = 1,
};

/**
 * Stores and deletes that are collected first and then written together. For one thread at a time;
 * belongs to no store.
 */
typedef struct hotcold_batch hotcold_batch_t;

/**
 * A walk over the keys of a store. For one thread at a time.
 */
typedef struct hotcold_cursor hotcold_cursor_t;

/**
 * A bounded queue of events. What finds it full is dropped and counted; the store never waits.
 * For one thread at a time.
 */
typedef struct hotcold_event_queue hotcold_event_queue_t;

/**
 * Where a load puts what it has loaded; valid while the load runs.
 */
typedef struct hotcold_loaded hotcold_loaded_t;

/**
 * Settings for hotcold_open. For one thread at a time.
 *
 * name             default          meaning
 * hot_capacity     64MiB            bytes of memory that hot may take: keys, values and their
 *                                   overhead; 0: no hot tier
 * hot_max_entries  0                entries in hot at most; 0: only bytes bound it
 * hot_ttl          0                how long an entry may stay in hot; 0: for ever
 * eviction         lru              what leaves hot first. lru: what was used longest ago, or
 *                                   nearly so in a large tier.
 *                                   tinylfu: what was used least often of late; it adapts to the
 *                                   workload, hits more often, and costs more instructions a call
 * compression      deflate:6        none, deflate:0..9; lz4, zstd:1..19 are UNSUPPORTED as yet
 * policy           strict           strict: every failure is reported. lenient: serves on
 * write_mode       through          through: cold first, then hot. back: to cold later
 * durability       process          what an acknowledged store survives. process: the death of
 *                                   the process. sync: power loss
 * sync_interval    1s               how often is synced under process; 0: never
 * cold_capacity    0                bytes on disk at most; 0: no bound; else 16MiB or more
 * warm_start       false            loads on open what was hot at last
 * create           true             false: the directory must hold a store
 * read_only        false            opens without writing anything
 * storage_id       directory name   the name in stats and events
 * coherence        1s               over a shared cold tier: how old a value may be that hot serves
 * remote_timeout   2s               how long a request to it may take, all that is sent again
 *                                   included
 * remote_retries   3                how often a request to it is sent again
 * remote_concurrency  64            requests to it that may be under way
 *
 * Names that begin with remote. are for the engine of a shared cold tier: a user, a password. They
 * are looked at when the store is opened, and no message repeats their values.
 *
 * Sizes are plain bytes or KiB, MiB, GiB; times are plain milliseconds or ms, s, m, h, d.
 */
typedef struct hotcold_options hotcold_options_t;

/**
 * Where a backend puts the keys of a page; valid while its list runs.
 */
typedef struct hotcold_page hotcold_page_t;

/**
 * Where a backend puts the record that it has found; valid while its get runs.
 */
typedef struct hotcold_record hotcold_record_t;

/**
 * An open store. The pointer is a number that stands for it, not an address: it is never given
 * twice in a process, and after hotcold_close() every call with it answers HOTCOLD_MISUSE.
 */
#ifdef __cplusplus
typedef struct hotcold_t hotcold_t;
#else
typedef struct hotcold hotcold_t;
#endif

/**
 * Whom a backend tells of changes; valid until the backend's drop has returned.
 */
typedef struct hotcold_watch hotcold_watch_t;

/**
 * What a call answers: one of `enum hotcold_status`. 0 is fine, above 0 an ordinary outcome,
 * below 0 a failure.
 */
typedef int32_t hotcold_status_t;

/**
 * A failure in words. It is the caller's, usually on its stack; there is nothing to free.
 *
 * Written on every return of every call it is given to.
 */
typedef struct hotcold_error {
  /**
   * The failure; HOTCOLD_OK when there was none. It equals what the call returned, except that
   * it also names what a lenient store has survived.
   */
  int32_t status;
  /**
   * errno, or the number that a load returned; 0 if there is none.
   */
  int32_t os_code;
  /**
   * What failed, on which file, why, and what to do: UTF-8, cut to fit, with a NUL at the end;
   * empty when there was no failure, unless a call says otherwise.
   */
  char message[504];
} hotcold_error_t;

/**
 * A reference to bytes that never change. Release it once with hotcold_value_release(); copies of
 * the struct share the one reference. This struct never grows.
 */
typedef struct hotcold_value {
  /**
   * The bytes; never NULL after HOTCOLD_OK, also if there are none. No alignment and no NUL at
   * the end is promised.
   */
  const uint8_t *data;
  /**
   * How many.
   */
  size_t len;
  /**
   * Changes with every store of the key, never repeats.
   */
  uint64_t version;
  /**
   * Milliseconds since the epoch; 0: never.
   */
  uint64_t expires_at;
  /**
   * Where it was found: HOTCOLD_TIER_HOT or HOTCOLD_TIER_COLD.
   */
  int32_t tier;
  /**
   * 0.
   */
  uint32_t flags;
  /**
   * The library's; do not touch.
   */
  void *owner;
  /**
   * 0.
   */
  uint64_t reserved[2];
} hotcold_value_t;

/**
 * What a store tells of itself, by tier, then combined, then by operation. Counts are since open;
 * a retrieve that finds nothing in hot but something in cold is a hot miss, a cold hit, and a
 * combined hit. Fields are only ever added at the end.
 */
typedef struct hotcold_stats_t {
  /**
   * Operations that reached hot.
   */
  uint64_t hot_operations;
  /**
   * Those of them that failed.
   */
  uint64_t hot_errors;
  /**
   * Retrieves that found something in hot.
   */
  uint64_t hot_hits;
  /**
   * Retrieves that found nothing in hot.
   */
  uint64_t hot_misses;
  /**
   * Hits among hits and misses; 0 when there are none.
   */
  double hot_hit_ratio;
  /**
   * Mean time of its operations, in nanoseconds.
   */
  double hot_mean_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t hot_p99_ns;
  /**
   * Entries now.
   */
  uint64_t hot_entries;
  /**
   * Bytes used now: keys, values and their overhead.
   */
  uint64_t hot_bytes;
  /**
   * Bytes that may be used.
   */
  uint64_t hot_capacity;
  /**
   * Entries that left to make room.
   */
  uint64_t hot_evictions;
  /**
   * Entries that left because their residency or expiry had passed.
   */
  uint64_t hot_expirations;
  /**
   * Entries that came from cold.
   */
  uint64_t hot_promotions;
  /**
   * Entries that left for cold on demand.
   */
  uint64_t hot_demotions;
  /**
   * Operations that reached cold.
   */
  uint64_t cold_operations;
  /**
   * Those of them that failed.
   */
  uint64_t cold_errors;
  /**
   * Retrieves that found something in cold.
   */
  uint64_t cold_hits;
  /**
   * Retrieves that found nothing in cold.
   */
  uint64_t cold_misses;
  /**
   * Hits among hits and misses; 0 when there are none.
   */
  double cold_hit_ratio;
  /**
   * Mean time of its operations, in nanoseconds.
   */
  double cold_mean_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t cold_p99_ns;
  /**
   * Keys now.
   */
  uint64_t cold_entries;
  /**
   * Bytes of records that can still be reached.
   */
  uint64_t cold_bytes_live;
  /**
   * Bytes of all files.
   */
  uint64_t cold_bytes_disk;
  /**
   * Segments now.
   */
  uint64_t cold_segments;
  /**
   * Bytes in segments that are not compressed yet.
   */
  uint64_t cold_unfrozen_bytes;
  /**
   * Bytes read from disk.
   */
  uint64_t cold_bytes_read;
  /**
   * Bytes written to disk.
   */
  uint64_t cold_bytes_written;
  /**
   * Segments that were compacted.
   */
  uint64_t cold_compactions;
  /**
   * Entries that left to keep cold_capacity.
   */
  uint64_t cold_evictions;
  /**
   * Entries that left because they had expired.
   */
  uint64_t cold_expirations;
  /**
   * Records that failed their checksum.
   */
  uint64_t cold_corrupt_records;
  /**
   * Derived files that were made anew from the records.
   */
  uint64_t cold_rebuilt_files;
  /**
   * Bytes of torn tails that were cut off.
   */
  uint64_t cold_recovered_bytes;
  /**
   * 1 if the store refuses writes, else 0.
   */
  uint64_t cold_read_only;
  /**
   * Memory of entries in hot with their overhead, in bytes.
   */
  uint64_t memory_hot;
  /**
   * Memory of the keydir, in bytes.
   */
  uint64_t memory_keydir;
  /**
   * Memory of buffers and queues, in bytes.
   */
  uint64_t memory_buffers;
  /**
   * Memory of values that callers hold, in bytes.
   */
  uint64_t memory_held;
  /**
   * All of them, in bytes.
   */
  uint64_t memory_total;
  /**
   * Stores, retrieves, deletes and clears together.
   */
  uint64_t total_operations;
  /**
   * Those of them that failed.
   */
  uint64_t total_errors;
  /**
   * Failures of cold that policy=lenient lived through.
   */
  uint64_t lenient_failures;
  /**
   * Events that a subscription could not be given.
   */
  uint64_t events_dropped;
  /**
   * Retrieves that found something, in whichever tier.
   */
  uint64_t hits;
  /**
   * Retrieves that found nothing in any tier.
   */
  uint64_t misses;
  /**
   * Hits among hits and misses; 0 when there are none.
   */
  double hit_ratio;
  /**
   * Mean time of all operations, in nanoseconds.
   */
  double mean_ns;
  /**
   * Time that half of them did not exceed, in nanoseconds.
   */
  uint64_t p50_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t p99_ns;
  /**
   * Time that 99.9 % of them did not exceed, in nanoseconds.
   */
  uint64_t p999_ns;
  /**
   * Stores.
   */
  uint64_t store_operations;
  /**
   * Those of them that failed.
   */
  uint64_t store_errors;
  /**
   * Their mean time, in nanoseconds.
   */
  double store_mean_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t store_p99_ns;
  /**
   * Retrieves.
   */
  uint64_t retrieve_operations;
  /**
   * Those of them that failed.
   */
  uint64_t retrieve_errors;
  /**
   * Their mean time, in nanoseconds.
   */
  double retrieve_mean_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t retrieve_p99_ns;
  /**
   * Deletes.
   */
  uint64_t delete_operations;
  /**
   * Those of them that failed.
   */
  uint64_t delete_errors;
  /**
   * Their mean time, in nanoseconds.
   */
  double delete_mean_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t delete_p99_ns;
  /**
   * Clears.
   */
  uint64_t clear_operations;
  /**
   * Those of them that failed.
   */
  uint64_t clear_errors;
  /**
   * Their mean time, in nanoseconds.
   */
  double clear_mean_ns;
  /**
   * Time that 99 % of them did not exceed, in nanoseconds.
   */
  uint64_t clear_p99_ns;
  /**
   * Requests to the engine of a shared cold tier; 0 for other stores, as all that follow.
   */
  uint64_t remote_requests;
  /**
   * Those of them that failed.
   */
  uint64_t remote_errors;
  /**
   * Those of them whose outcome is unknown.
   */
  uint64_t remote_timeouts;
  /**
   * Requests that were sent again.
   */
  uint64_t remote_retries;
  /**
   * Bytes of records that came from the engine.
   */
  uint64_t remote_bytes_in;
  /**
   * Bytes of records that were sent to it.
   */
  uint64_t remote_bytes_out;
  /**
   * Changes by others that it told of.
   */
  uint64_t remote_invalidations;
  /**
   * Times that hot had to ask before it served an entry.
   */
  uint64_t remote_revalidations;
  /**
   * Milliseconds from a first failure to the next success, summed up.
   */
  uint64_t remote_unavailable_ms;
} hotcold_stats_t;

/**
 * How to store. Set all of it to 0 and then what is wanted; later versions may add fields at the
 * end.
 */
typedef struct hotcold_store_options {
  /**
   * Milliseconds until expiry; 0: never, and so is more than can be counted. They pass also
   * while the system clock is set back, and while the store is closed.
   */
  uint64_t ttl;
  /**
   * With HOTCOLD_STORE_IF_VERSION: the version that the key must have; 0: it must be absent.
   */
  uint64_t if_version;
  /**
   * HOTCOLD_STORE_IF_VERSION, HOTCOLD_STORE_COLD_ONLY, HOTCOLD_STORE_SYNC.
   */
  uint32_t flags;
  /**
   * Must be 0.
   */
  uint32_t reserved;
} hotcold_store_options_t;

/**
 * Makes the value of a key that the store does not have, and hands it over with
 * hotcold_loaded_set(). It may call anything on the same store but hotcold_close(), and must not
 * throw or longjmp.
 *
 * Returns 0, also when there is no value; any other number is a failure of its own.
 */
typedef int32_t (*hotcold_load_fn)(void *user_data,
                                   const void *key,
                                   size_t key_len,
                                   hotcold_loaded_t *out);

/**
 * Bytes and their length: a key.
 */
typedef struct hotcold_slice {
  /**
   * The bytes; NULL is fine if there are none.
   */
  const void *data;
  /**
   * How many.
   */
  size_t len;
} hotcold_slice_t;

/**
 * Something that has happened. Later versions may add fields at the end: size tells.
 */
typedef struct hotcold_event {
  /**
   * One of the bits HOTCOLD_EVENT_....
   */
  uint32_t kind;
  /**
   * HOTCOLD_TIER_HOT, HOTCOLD_TIER_COLD, or 0 if it is about no tier or both.
   */
  int32_t tier;
  /**
   * The failure of an ERROR event; otherwise HOTCOLD_OK.
   */
  int32_t status;
  /**
   * sizeof(hotcold_event_t) as the library has it.
   */
  uint32_t size;
  /**
   * The key; NULL if it is about none.
   */
  const void *key;
  /**
   * Bytes of the key.
   */
  size_t key_len;
  /**
   * The value; NULL if it is not at hand.
   */
  const void *value;
  /**
   * Bytes of the value.
   */
  size_t value_len;
  /**
   * The version: events of one key may arrive out of order, this tells. 0 if there is none.
   */
  uint64_t version;
  /**
   * Milliseconds since the epoch; 0: never.
   */
  uint64_t expires_at;
  /**
   * The store's name, as the option storage_id gives it.
   */
  const char *storage_id;
  /**
   * What happened, in words; NULL but for ERROR and COMPACTED.
   */
  const char *message;
} hotcold_event_t;

/**
 * Called with each event, on the thread where it happened, after the operation has taken effect and
 * with no lock held; several threads may call at once. The event is valid during the call only. It
 * may call anything on the same store but hotcold_close(), and must not throw or longjmp.
 */
typedef void (*hotcold_event_fn)(void *user_data, const hotcold_event_t *event);

/**
 * Called once when user_data is not needed any more. The same rules as for hotcold_event_fn.
 */
typedef void (*hotcold_drop_fn)(void *user_data);

/**
 * Finds the record of a key: hands it over with hotcold_record_set(), or says with
 * hotcold_record_same() that the engine still has known_version (0: nothing is known).
 *
 * Returns HOTCOLD_OK after one of the two, HOTCOLD_NOT_FOUND, or a failure.
 */
typedef int32_t (*hotcold_backend_get_fn)(void *user_data,
                                          const void *key,
                                          size_t key_len,
                                          uint64_t known_version,
                                          uint64_t timeout_ms,
                                          hotcold_record_t *out);

/**
 * Stores a record. data is opaque; version and expires_at (milliseconds since the epoch; 0: never)
 * stand in it, too, and are given for engines that compare and expire by themselves. if_version
 * NULL: whatever is there; 0: only if the key is absent.
 *
 * Returns HOTCOLD_OK, HOTCOLD_CONFLICT, or a failure: HOTCOLD_TIMEOUT if it may have been done,
 * HOTCOLD_UNAVAILABLE if it certainly was not. Without if_version it must not be sent twice after
 * an unknown outcome: a late copy could overwrite a newer record.
 */
typedef int32_t (*hotcold_backend_put_fn)(void *user_data,
                                          const void *key,
                                          size_t key_len,
                                          const void *data,
                                          size_t len,
                                          uint64_t version,
                                          uint64_t expires_at,
                                          const uint64_t *if_version,
                                          uint64_t timeout_ms);

/**
 * Removes a key. if_version as in put.
 *
 * Returns HOTCOLD_OK, HOTCOLD_NOT_FOUND, HOTCOLD_CONFLICT, or a failure as put does.
 */
typedef int32_t (*hotcold_backend_remove_fn)(void *user_data,
                                             const void *key,
                                             size_t key_len,
                                             const uint64_t *if_version,
                                             uint64_t timeout_ms);

/**
 * Gives a page of the keys that begin with prefix, by hotcold_page_add(). after is empty for the
 * first page, else what hotcold_page_next() got on the page before, or without it that page's last
 * key. A key that is there all the time comes once in all pages, or more than once with
 * HOTCOLD_BACKEND_LIST_REPEATS.
 *
 * Returns HOTCOLD_OK, HOTCOLD_END if this page is the last, or a failure.
 */
typedef int32_t (*hotcold_backend_list_fn)(void *user_data,
                                           const void *prefix,
                                           size_t prefix_len,
                                           const void *after,
                                           size_t after_len,
                                           hotcold_page_t *out,
                                           uint64_t timeout_ms);

/**
 * Does something to all of the engine's part of the store: clear empties it, sync makes what was
 * acknowledged survive a loss of power, compact gives back room that nothing needs.
 *
 * Clear may leave it to the core to wait until every machine has learnt of it: the core answers
 * its caller when one coherence has passed since.
 *
 * Returns HOTCOLD_OK or a failure.
 */
typedef int32_t (*hotcold_backend_all_fn)(void *user_data, uint64_t timeout_ms);

/**
 * Gives count versions in a row, from *first_out on, that nobody gets again. None is below the
 * time, which is counted in microseconds since the epoch.
 *
 * Returns HOTCOLD_OK or a failure.
 */
typedef int32_t (*hotcold_backend_versions_fn)(void *user_data,
                                               uint64_t count,
                                               uint64_t *first_out,
                                               uint64_t timeout_ms);

/**
 * One change of a batch.
 */
typedef struct hotcold_change {
  /**
   * key_len bytes.
   */
  const void *key;
  /**
   * 0 to HOTCOLD_KEY_LEN_MAX.
   */
  size_t key_len;
  /**
   * len bytes: the record; NULL: the key is removed.
   */
  const void *data;
  /**
   * Of the record.
   */
  size_t len;
  /**
   * Of the record; no other record of any key has it.
   */
  uint64_t version;
  /**
   * Milliseconds since the epoch; 0: never.
   */
  uint64_t expires_at;
  /**
   * NULL: whatever is there; else the version that the key must have, 0: it must be absent.
   */
  const uint64_t *if_version;
} hotcold_change_t;

/**
 * Makes n changes, all or nothing.
 *
 * Returns HOTCOLD_OK, HOTCOLD_CONFLICT if a condition is not met, HOTCOLD_UNSUPPORTED if the engine
 * cannot change these keys at once, or a failure as put does.
 */
typedef int32_t (*hotcold_backend_write_fn)(void *user_data,
                                            const hotcold_change_t *changes,
                                            size_t n,
                                            uint64_t timeout_ms);

/**
 * Begins to tell of changes by hotcold_watch_key() and its like, on threads of its own; returns at
 * once, also while the engine cannot be reached. It is called at most once. sink is valid until
 * drop has returned.
 *
 * Returns HOTCOLD_OK or a failure.
 */
typedef int32_t (*hotcold_backend_watch_fn)(void *user_data, hotcold_watch_t *sink);

/**
 * Tells the part that a key belongs to, 0 to 16383, always the same for the same key. It asks
 * nobody and takes no lock.
 */
typedef uint32_t (*hotcold_backend_part_fn)(void *user_data, const void *key, size_t key_len);

/**
 * A cold tier: a table of functions, passed with its size; it grows at the end only. Set all of it
 * to 0 and then what there is.
 *
 * Functions get the user_data first. They may run on several threads at once, must not throw or
 * longjmp, end within about timeout_ms, and return a hotcold_status_t; in front of a failure
 * hotcold_backend_fail() says it in words. A function that is NULL is not there: calls that need it
 * answer HOTCOLD_UNSUPPORTED.
 */
typedef struct hotcold_backend {
  /**
   * Bits of enum hotcold_backend_capability.
   */
  uint64_t capabilities;
  /**
   * Required.
   */
  hotcold_backend_get_fn get;
  /**
   * Required.
   */
  hotcold_backend_put_fn put;
  /**
   * Required.
   */
  hotcold_backend_remove_fn remove;
  /**
   * Required.
   */
  hotcold_backend_list_fn list;
  /**
   * With HOTCOLD_BACKEND_CLEAR; without it all keys are listed and removed.
   */
  hotcold_backend_all_fn clear;
  /**
   * Required: without it two machines could give the same version.
   */
  hotcold_backend_versions_fn versions;
  /**
   * With HOTCOLD_BACKEND_BATCH.
   */
  hotcold_backend_write_fn write;
  /**
   * With HOTCOLD_BACKEND_WATCH.
   */
  hotcold_backend_watch_fn watch;
  /**
   * With HOTCOLD_BACKEND_DURABLE.
   */
  hotcold_backend_all_fn sync;
  /**
   * NULL: every key belongs to part 0.
   */
  hotcold_backend_part_fn part;
  /**
   * NULL: there is nothing to give back.
   */
  hotcold_backend_all_fn compact;
} hotcold_backend_t;

/**
 * As hotcold_record_set().
 */
typedef int32_t (*hotcold_record_set_fn)(hotcold_record_t *out,
                                         const void *data,
                                         size_t len,
                                         hotcold_error_t *error);

/**
 * As hotcold_record_same().
 */
typedef int32_t (*hotcold_record_same_fn)(hotcold_record_t *out,
                                          hotcold_error_t *error);

/**
 * As hotcold_page_add(), hotcold_page_next().
 */
typedef int32_t (*hotcold_page_fn)(hotcold_page_t *out,
                                   const void *bytes,
                                   size_t len,
                                   hotcold_error_t *error);

/**
 * As hotcold_watch_key().
 */
typedef void (*hotcold_watch_key_fn)(hotcold_watch_t *sink,
                                     const void *key,
                                     size_t key_len,
                                     uint64_t version);

/**
 * As hotcold_watch_all().
 */
typedef void (*hotcold_watch_all_fn)(hotcold_watch_t *sink, uint32_t link);

/**
 * As hotcold_watch_alive().
 */
typedef void (*hotcold_watch_alive_fn)(hotcold_watch_t *sink, uint32_t link, uint64_t age_ms);

/**
 * As hotcold_watch_parts().
 */
typedef void (*hotcold_watch_parts_fn)(hotcold_watch_t *sink,
                                       uint32_t first,
                                       uint32_t last,
                                       uint32_t link);

/**
 * As hotcold_backend_fail().
 */
typedef int32_t (*hotcold_backend_fail_fn)(int32_t status, const char *message);

/**
 * As hotcold_backend_count().
 */
typedef void (*hotcold_backend_count_fn)(uint32_t counter, uint64_t n);

/**
 * The calls above as a table, for a library that makes a backend and does not link this one. It is
 * passed with its size; it grows at the end only. None is NULL.
 */
typedef struct hotcold_host {
  /**
   * hotcold_record_set.
   */
  hotcold_record_set_fn record_set;
  /**
   * hotcold_record_same.
   */
  hotcold_record_same_fn record_same;
  /**
   * hotcold_page_add.
   */
  hotcold_page_fn page_add;
  /**
   * hotcold_page_next.
   */
  hotcold_page_fn page_next;
  /**
   * hotcold_watch_key.
   */
  hotcold_watch_key_fn watch_key;
  /**
   * hotcold_watch_all.
   */
  hotcold_watch_all_fn watch_all;
  /**
   * hotcold_watch_alive.
   */
  hotcold_watch_alive_fn watch_alive;
  /**
   * hotcold_watch_parts.
   */
  hotcold_watch_parts_fn watch_parts;
  /**
   * hotcold_backend_fail.
   */
  hotcold_backend_fail_fn backend_fail;
  /**
   * hotcold_backend_count.
   */
  hotcold_backend_count_fn backend_count;
} hotcold_host_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Tells a status by name: "HOTCOLD_NOT_FOUND"; "HOTCOLD_UNKNOWN" for a number that is none.
 *
 * in    status   any number
 * owns  the text is the library's, valid for ever
 * safe  from any thread, also in a signal handler
 *
 * since 0.1.0
 */
const char *hotcold_status_name(int32_t status);

/**
 * Tells the version of the library that is linked: major << 16 | minor << 8 | patch.
 *
 * HOTCOLD_VERSION is that of the header. Before 1.0 the two fit if major and minor are the same.
 *
 * safe  from any thread, also in a signal handler
 *
 * since 0.1.0
 */
uint32_t hotcold_version(void);

/**
 * Tells the version of the library that is linked as text: "0.1.0".
 *
 * owns  the text is the library's, valid for ever
 * safe  from any thread, also in a signal handler
 *
 * since 0.1.0
 */
const char *hotcold_version_string(void);

/**
 * Makes options with all defaults.
 *
 * owns  the result is the caller's, to be freed with hotcold_options_free(); NULL if there is no
 *       memory
 * safe  from any thread
 *
 * since 0.1.0
 */
hotcold_options_t *hotcold_options_new(void);

/**
 * Frees options; stores that were opened with them are not touched.
 *
 * in    o   options, or NULL
 * owns  takes o
 * safe  from any thread; one thread at a time for the same o
 *
 * since 0.1.0
 */
void hotcold_options_free(hotcold_options_t *o);

/**
 * Sets one option by name to a value given as text.
 *
 * in    o      options
 *       name   one of the names at hotcold_options_t, UTF-8
 *       value  as the table there says; borrowed for this call
 * out   error  NULL, or where a failure is described: what would be right
 * safe  from any thread; one thread at a time for the same o
 * after a failure the option is as it was
 *
 * HOTCOLD_OK                set
 * HOTCOLD_INVALID_ARGUMENT  a pointer is NULL, no such name, or the value does not parse
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_options_set(hotcold_options_t *o,
                                     const char *name,
                                     const char *value,
                                     hotcold_error_t *error);

/**
 * Sets one option by name to a number: bytes, milliseconds or a count.
 *
 * in    o      options
 *       name   one of the names at hotcold_options_t that take a number; for the others true is 1
 *       value  the number
 * out   error  NULL, or where a failure is described: what would be right
 * safe  from any thread; one thread at a time for the same o
 * after a failure the option is as it was
 *
 * HOTCOLD_OK                set
 * HOTCOLD_INVALID_ARGUMENT  a pointer is NULL, no such name, or not a value for it
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_options_set_u64(hotcold_options_t *o,
                                         const char *name,
                                         uint64_t value,
                                         hotcold_error_t *error);

/**
 * Gives the options of a shared cold tier as names and values, for those who make a backend of them:
 * coherence and remote_timeout in milliseconds, remote_retries, remote_concurrency, and all that were
 * set whose names begin with remote. The values of those may be secrets.
 *
 * in    o      options; NULL: the defaults
 * out   out    names and values in turn, each with a NUL at its end, and NULL behind the last; valid
 *              until the next call with o. NULL after a failure
 *       error  NULL, or where a failure is described
 * safe  from any thread; one thread at a time for the same o
 *
 * HOTCOLD_OK                given
 * HOTCOLD_INVALID_ARGUMENT  out is NULL
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_options_remote(const hotcold_options_t *o,
                                        const char *const **out,
                                        hotcold_error_t *error);

/**
 * Hands over the record that a get has found, in place of what it handed over before.
 *
 * in    out    as the get was given it
 *       data   len bytes, as put was given them; copied
 *       len    1 or more
 * out   error  NULL, or where a failure is described
 * safe  inside the get only, on its thread
 *
 * HOTCOLD_OK                handed over
 * HOTCOLD_INVALID_ARGUMENT  out is NULL, or data is NULL and len is not 0
 * HOTCOLD_TOO_LARGE         more bytes than any record has
 * HOTCOLD_OUT_OF_MEMORY     no memory for the copy
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_record_set(hotcold_record_t *out,
                                    const void *data,
                                    size_t len,
                                    hotcold_error_t *error);

/**
 * Says that the engine still has the version that the get was given as known_version.
 *
 * in    out    as the get was given it
 * out   error  NULL, or where a failure is described
 * safe  inside the get only, on its thread
 *
 * HOTCOLD_OK                said
 * HOTCOLD_INVALID_ARGUMENT  out is NULL
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_record_same(hotcold_record_t *out, hotcold_error_t *error);

/**
 * Adds a key to the page that a list gives.
 *
 * in    out      as the list was given it
 *       key      key_len bytes; copied
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   error    NULL, or where a failure is described
 * safe  inside the list only, on its thread
 *
 * HOTCOLD_OK                added
 * HOTCOLD_INVALID_ARGUMENT  out is NULL, or key is NULL and its length is not 0
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_OUT_OF_MEMORY     no memory for the copy
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_page_add(hotcold_page_t *out,
                                  const void *key,
                                  size_t key_len,
                                  hotcold_error_t *error);

/**
 * Says where the page behind this one begins, if that is not behind this page's last key: what the
 * next call of list gets as after.
 *
 * in    out           as the list was given it
 *       position      position_len bytes of the backend's own; copied
 *       position_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   error         NULL, or where a failure is described
 * safe  inside the list only, on its thread
 *
 * HOTCOLD_OK                said
 * HOTCOLD_INVALID_ARGUMENT  out is NULL, or position is NULL and its length is not 0
 * HOTCOLD_TOO_LARGE         the position is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_OUT_OF_MEMORY     no memory for the copy
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_page_next(hotcold_page_t *out,
                                   const void *position,
                                   size_t position_len,
                                   hotcold_error_t *error);

/**
 * Says in words why the call of a backend that is in progress on this thread fails; used as
 * `return hotcold_backend_fail(HOTCOLD_IO, words)`. The last words count.
 *
 * in    status   what the call is about to return; any number
 *       message  UTF-8 with a NUL at its end, without secrets; NULL: nothing is said. Copied, and
 *                cut to fit
 * safe  inside a function of a backend, on the thread that it was called on; elsewhere the words are
 *       lost
 *
 * Returns status.
 *
 * since 0.2.0
 */
int32_t hotcold_backend_fail(int32_t status,
                             const char *message);

/**
 * Counts for the stats what only the backend knows, in the call that is in progress on this thread.
 *
 * in    counter  one of enum hotcold_backend_counter; others are ignored
 *       n        how many
 * safe  as hotcold_backend_fail()
 *
 * since 0.2.0
 */
void hotcold_backend_count(uint32_t counter, uint64_t n);

/**
 * Tells that a key has changed at the engine, or has gone there.
 *
 * An own change may be told of, too: with its version, an entry that has it already stays.
 *
 * in    sink     as watch was given it; NULL is ignored
 *       key      key_len bytes; borrowed for this call
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 *       version  what the engine has at this moment or had after the change; 0: it is not known, or
 *                the key has gone
 * safe  from any thread, until the backend's drop has returned
 * after no retrieve is served the older record from hot
 *
 * since 0.2.0
 */
void hotcold_watch_key(hotcold_watch_t *sink,
                       const void *key,
                       size_t key_len,
                       uint64_t version);

/**
 * Tells that anything may have changed: the link was lost, or all was cleared.
 *
 * in    sink  as watch was given it; NULL is ignored
 *       link  what hangs on this link; HOTCOLD_LINK_ALL: everything
 * safe  from any thread, until the backend's drop has returned
 * after no retrieve is served from hot what entered it before; the link counts as silent
 *
 * since 0.2.0
 */
void hotcold_watch_all(hotcold_watch_t *sink, uint32_t link);

/**
 * Tells that a link works: everything that the engine changed more than age_ms ago has been told.
 *
 * Hot serves what hangs on a link for one coherence from then on, and asks the engine afterwards.
 *
 * in    sink    as watch was given it; NULL is ignored
 *       link    below HOTCOLD_LINK_NONE
 *       age_ms  how long ago the engine was asked for the answer that has come now, rounded up
 * safe  from any thread, until the backend's drop has returned
 *
 * since 0.2.0
 */
void hotcold_watch_alive(hotcold_watch_t *sink, uint32_t link, uint64_t age_ms);

/**
 * Tells which link will tell of the keys of some parts. At first all parts hang on link 0.
 *
 * in    sink   as watch was given it; NULL is ignored
 *       first  the first part
 *       last   the last part, at most 16383
 *       link   their link from now on; HOTCOLD_LINK_NONE: none
 * safe  from any thread, until the backend's drop has returned
 * after what was in hot of parts whose link is another one now is not served any more
 *
 * since 0.2.0
 */
void hotcold_watch_parts(hotcold_watch_t *sink,
                         uint32_t first,
                         uint32_t last,
                         uint32_t link);

/**
 * Opens the store in a directory, or makes one; or a store in memory alone; or one whose cold tier is
 * shared by many machines.
 *
 * A path that begins with redis://, redis+cluster://, rediss://, rediss+cluster:// or s3:// names an
 * engine. What it stands for is told in the documents of hotcold-remote, whose library is loaded when
 * the first such path comes. A directory of such a name is written with ./ in front.
 *
 * in    path   the directory; missing ones are made. NULL: hot only
 *       o      options, copied; NULL: all defaults
 * out   out    the store, or NULL
 *       error  NULL, or where a failure is described. After HOTCOLD_OK its message is not empty if
 *              other users may change the directory: see the option writable_by_others
 * owns  the store is the caller's, to be closed with hotcold_close()
 * cost  reads the checkpoint of the keydir; after a crash also what was written since
 * safe  from any thread
 * after a failure the directory is as it was, except that missing directories may have been made.
 *       Other files in the directory of a store are left alone
 *
 * HOTCOLD_OK                open
 * HOTCOLD_INVALID_ARGUMENT  out is NULL, the path is empty, or the options do not fit together
 *                           (neither tier); the directory holds other files and no store, or
 *                           nothing and create=false; or others may change it and
 *                           writable_by_others=refuse
 * HOTCOLD_LOCKED            another handle, here or in another process, has the directory open
 * HOTCOLD_IO                the kernel refused; error says what and where. Also with create=false
 *                           and no such directory, and where a link, a directory or the like has
 *                           the name of one of the store's files
 * HOTCOLD_NO_SPACE          the disk is full
 * HOTCOLD_CORRUPT           what cannot be rebuilt is damaged; error says which file
 * HOTCOLD_UNSUPPORTED       written by a newer version, which is left untouched; or an option
 *                           that this build does not have; or the path names an engine, and
 *                           hotcold-remote is not installed, or an option cannot be kept there
 * HOTCOLD_TIMEOUT           the engine did not answer in time
 * HOTCOLD_UNAVAILABLE       the engine cannot be reached, or refused
 * HOTCOLD_OUT_OF_MEMORY     no memory for the keydir, or a million stores are open
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_open(const char *path,
                              const hotcold_options_t *o,
                              hotcold_t **out,
                              hotcold_error_t *error);

/**
 * Closes a store: writes back what is only in hot, syncs, and waits for the calls that are in
 * progress on other threads.
 *
 * in    s      a store, or NULL
 * out   error  NULL, or where a failure is described
 * owns  takes s, whatever is returned, except on HOTCOLD_MISUSE. Values, cursors, batches and event
 *       queues may be released later, in any order
 * safe  from any thread; not from a callback or a load: that is HOTCOLD_MISUSE, and the store stays
 *       open
 * durable  on HOTCOLD_OK everything acknowledged is durable. To be able to retry a failed
 *       write-back, call hotcold_sync() first
 * after no thread of the store runs any more, and the directory may be opened again
 *
 * HOTCOLD_OK             closed; or s is NULL
 * HOTCOLD_MISUSE         not open, called from a callback or a load, or after a fork by the child
 * HOTCOLD_IO             closed, but the last writes or the sync failed
 * HOTCOLD_NO_SPACE       closed, but the disk is full and did not take what was unwritten
 * HOTCOLD_READ_ONLY      closed, but an earlier sync had failed
 * HOTCOLD_OUT_OF_MEMORY  closed, but there was no memory to write back
 * HOTCOLD_INTERNAL       closed, after a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_close(hotcold_t *s, hotcold_error_t *error);

/**
 * Makes everything acknowledged so far survive power loss.
 *
 * in    s      a store
 * out   error  NULL, or where a failure is described
 * cost  one fdatasync, shared with others who wait for one; under write_mode=back also what is
 *       unwritten
 * safe  from any thread, at the same time as any other call
 * durable  on HOTCOLD_OK all that was acknowledged before the call
 * after a failed sync the store is read-only
 *
 * HOTCOLD_OK                synced; also for a store in memory alone, which has nothing to sync
 * HOTCOLD_INVALID_ARGUMENT  s is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_NO_SPACE          the disk is full; what was unwritten stays in hot
 * HOTCOLD_READ_ONLY         an earlier sync had failed, or opened with read_only
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_sync(hotcold_t *s, hotcold_error_t *error);

/**
 * Compresses all records and gives back all dead space now, and waits for it.
 *
 * in    s      a store
 * out   error  NULL, or where a failure is described
 * cost  reads and writes up to the whole store
 * safe  from any thread, at the same time as any other call
 * durable  as hotcold_sync()
 * after a failure every key has the value it had; space may be left to reclaim
 *
 * HOTCOLD_OK                done
 * HOTCOLD_INVALID_ARGUMENT  s is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_CORRUPT           a record is damaged; its segment is kept as it is
 * HOTCOLD_NO_SPACE          the disk is full
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so
 * HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_compact(hotcold_t *s, hotcold_error_t *error);

/**
 * Gives a value back and empties the struct; an empty one is left as it is.
 *
 * in    v   a value, or NULL
 * owns  takes the reference that v holds
 * safe  from any thread, also after the store was closed; one thread at a time for the same value
 * after the bytes must not be used any more, through this struct or a copy
 *
 * since 0.1.0
 */
void hotcold_value_release(hotcold_value_t *v);

/**
 * Stores a value under a key, in cold first and then in hot, in place of what was there.
 *
 * in    s          a store
 *       key        key_len bytes, any bytes; borrowed for this call
 *       key_len    0 to HOTCOLD_KEY_LEN_MAX
 *       value      value_len bytes, any bytes; borrowed for this call
 *       value_len  0 to 4 GiB - 1
 * out   error      NULL, or where a failure is described; under policy=lenient also what was
 *                  survived
 * cost  at most one write to the kernel; may wait for background work that keeps a bound
 * safe  from any thread, at the same time as any other call
 * durable  under durability=process the death of the process, and power loss after sync_interval
 *       or hotcold_sync(); under durability=sync power loss
 * after HOTCOLD_OK every retrieve, from any thread, sees it; after a failure none does
 *
 * HOTCOLD_OK                stored
 * HOTCOLD_INVALID_ARGUMENT  s is NULL, or key or value is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key or the value is beyond the limits, or larger than a store in
 *                           memory alone
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_NO_SPACE          the disk is full; retrieving goes on
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_store(hotcold_t *s,
                               const void *key,
                               size_t key_len,
                               const void *value,
                               size_t value_len,
                               hotcold_error_t *error);

/**
 * Finds the value of a key, in hot or else in cold, and hands out a reference to it.
 *
 * What is found in cold is promoted: it enters hot.
 *
 * in    s        a store
 *       key      key_len bytes, any bytes; borrowed for this call
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   out      on HOTCOLD_OK the value; otherwise empty
 *       error    NULL, or where a failure is described; under policy=lenient also what was survived
 * owns  the value is the caller's, to be released with hotcold_value_release()
 * cost  no disk read if the key is hot, else at most one; bytes in hot are not copied
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                found
 * HOTCOLD_NOT_FOUND         absent or expired
 * HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or key is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
 * HOTCOLD_IO                the read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_retrieve(hotcold_t *s,
                                  const void *key,
                                  size_t key_len,
                                  hotcold_value_t *out,
                                  hotcold_error_t *error);

/**
 * Removes a key from both tiers.
 *
 * in    s        a store
 *       key      key_len bytes, any bytes; borrowed for this call
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   error    NULL, or where a failure is described
 * cost  at most one write to the kernel if the key is in cold
 * safe  from any thread, at the same time as any other call
 * durable  as hotcold_store()
 * after HOTCOLD_OK the key never comes back, unless it is stored again
 *
 * HOTCOLD_OK                removed
 * HOTCOLD_NOT_FOUND         it was in neither tier
 * HOTCOLD_INVALID_ARGUMENT  s is NULL, or key is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_NO_SPACE          the disk is full, and others have taken the room that is kept for this
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
 * HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_delete(hotcold_t *s,
                                const void *key,
                                size_t key_len,
                                hotcold_error_t *error);

/**
 * Removes every key from both tiers, at one instant.
 *
 * in    s      a store
 * out   error  NULL, or where a failure is described
 * cost  does not depend on how many keys there are
 * safe  from any thread, at the same time as any other call
 * durable  as hotcold_store()
 * after HOTCOLD_OK no key comes back, unless it is stored again
 *
 * HOTCOLD_OK                cleared; also if nothing was there
 * HOTCOLD_INVALID_ARGUMENT  s is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_NO_SPACE          the disk is full, and others have taken the room that is kept for this
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_clear(hotcold_t *s, hotcold_error_t *error);

/**
 * Tells what the store has counted and measured since it was opened.
 *
 * in    s         a store
 *       out_size  sizeof(hotcold_stats_t) as the caller has it
 * out   out       its first out_size bytes are filled; fields that this library does not know are 0.
 *                 After a failure all are 0
 *       error     NULL, or where a failure is described
 * cost  some microseconds; no operation waits for it
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                filled
 * HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or out_size is 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_stats(hotcold_t *s,
                               hotcold_stats_t *out,
                               size_t out_size,
                               hotcold_error_t *error);

/**
 * Stores a value with a time to live, on a condition, or durably.
 *
 * in    s            a store
 *       key          key_len bytes, any bytes; borrowed for this call
 *       key_len      0 to HOTCOLD_KEY_LEN_MAX
 *       value        value_len bytes, any bytes; borrowed for this call
 *       value_len    0 to 4 GiB - 1
 *       o            how to store; NULL: as hotcold_store()
 *       o_size       sizeof(hotcold_store_options_t) as the caller has it; not looked at for NULL
 * out   version_out  NULL, or on HOTCOLD_OK the new version; on HOTCOLD_CONFLICT the version that
 *                    the key has, 0 if it is absent; otherwise 0
 *       error        NULL, or where a failure is described; under policy=lenient also what was
 *                    survived
 * cost  as hotcold_store(); with HOTCOLD_STORE_SYNC also an fdatasync, shared with others
 * safe  from any thread, at the same time as any other call
 * durable  as hotcold_store(); with HOTCOLD_STORE_SYNC power loss
 * after HOTCOLD_OK every retrieve, from any thread, sees it; after anything else none does
 *
 * HOTCOLD_OK                stored
 * HOTCOLD_CONFLICT          the key's version is not if_version; nothing was done
 * HOTCOLD_INVALID_ARGUMENT  s is NULL; key or value is NULL and its length is not 0; an unknown
 *                           flag, a wrong o_size, or a reserved field that is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key or the value is beyond the limits, or larger than a store in
 *                           memory alone
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_CORRUPT           the version to compare with cannot be read
 * HOTCOLD_NO_SPACE          the disk is full; retrieving goes on
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_store_with(hotcold_t *s,
                                    const void *key,
                                    size_t key_len,
                                    const void *value,
                                    size_t value_len,
                                    const hotcold_store_options_t *o,
                                    size_t o_size,
                                    uint64_t *version_out,
                                    hotcold_error_t *error);

/**
 * Finds the value of a key as hotcold_retrieve() does, but leaves hot as it is if asked to.
 *
 * in    s        a store
 *       key      key_len bytes, any bytes; borrowed for this call
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 *       flags    HOTCOLD_RETRIEVE_NO_PROMOTE, HOTCOLD_RETRIEVE_NO_RECENCY, HOTCOLD_RETRIEVE_FRESH,
 *                or 0
 * out   out      on HOTCOLD_OK the value; otherwise empty
 *       error    NULL, or where a failure is described; under policy=lenient also what was survived
 * owns  the value is the caller's, to be released with hotcold_value_release()
 * cost  no disk read if the key is hot, else at most one; bytes in hot are not copied
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                found
 * HOTCOLD_NOT_FOUND         absent or expired
 * HOTCOLD_INVALID_ARGUMENT  s or out is NULL, key is NULL and its length is not 0, or an unknown flag
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
 * HOTCOLD_IO                the read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_retrieve_with(hotcold_t *s,
                                       const void *key,
                                       size_t key_len,
                                       uint32_t flags,
                                       hotcold_value_t *out,
                                       hotcold_error_t *error);

/**
 * Finds the value of a key as hotcold_retrieve() does, and copies it into the caller's buffer.
 *
 * in    s         a store
 *       key       key_len bytes, any bytes; borrowed for this call
 *       key_len   0 to HOTCOLD_KEY_LEN_MAX
 *       capacity  bytes that buf has
 * out   buf       on HOTCOLD_OK the value; otherwise untouched. NULL is fine if capacity is 0
 *       len_out   on HOTCOLD_OK the value's length; on HOTCOLD_BUFFER_TOO_SMALL the length that is
 *                 needed; otherwise 0
 *       error     NULL, or where a failure is described; under policy=lenient also what was survived
 * cost  no disk read if the key is hot, else at most one; one copy
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                found and copied
 * HOTCOLD_NOT_FOUND         absent or expired
 * HOTCOLD_BUFFER_TOO_SMALL  the value is longer than capacity
 * HOTCOLD_INVALID_ARGUMENT  s or len_out is NULL, or key or buf is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
 * HOTCOLD_IO                the read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_retrieve_into(hotcold_t *s,
                                       const void *key,
                                       size_t key_len,
                                       void *buf,
                                       size_t capacity,
                                       size_t *len_out,
                                       hotcold_error_t *error);

/**
 * Tells whether a key is there. Reads no value, promotes nothing, and does not count as use.
 *
 * in    s        a store
 *       key      key_len bytes, any bytes; borrowed for this call
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   error    NULL, or where a failure is described; under policy=lenient also what was survived
 * cost  no disk read if the key is hot, else at most one, of the key
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                it is there
 * HOTCOLD_NOT_FOUND         absent or expired
 * HOTCOLD_INVALID_ARGUMENT  s is NULL, or key is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
 * HOTCOLD_IO                the read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_contains(hotcold_t *s,
                                  const void *key,
                                  size_t key_len,
                                  hotcold_error_t *error);

/**
 * Hands over what a load has loaded, in place of what it handed over before.
 *
 * in    out    as the load was given it
 *       data   len bytes, any bytes; copied
 *       len    0 to 4 GiB - 1
 *       ttl    milliseconds until expiry; 0: never
 * out   error  NULL, or where a failure is described
 * safe  inside the load only, on its thread
 *
 * HOTCOLD_OK                handed over
 * HOTCOLD_INVALID_ARGUMENT  out is NULL, or data is NULL and len is not 0
 * HOTCOLD_TOO_LARGE         the value is beyond the limits
 * HOTCOLD_OUT_OF_MEMORY     no memory for the copy
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_loaded_set(hotcold_loaded_t *out,
                                    const void *data,
                                    size_t len,
                                    uint64_t ttl,
                                    hotcold_error_t *error);

/**
 * Finds the value of a key as hotcold_retrieve() does; on a miss has it loaded and stores it.
 *
 * However many threads ask for a key at once, one load runs, and all are given what it hands over.
 * Inside a load this never waits for another thread: it runs its own load. A store, delete or
 * clear during a load wins: the result then goes only to those who asked before it, and is not
 * stored.
 *
 * in    s          a store
 *       key        key_len bytes, any bytes; borrowed for this call
 *       key_len    0 to HOTCOLD_KEY_LEN_MAX
 *       load       called on this thread, if at all
 *       user_data  passed to load
 * out   out        on HOTCOLD_OK the value; otherwise empty
 *       error      NULL, or where a failure is described; under policy=lenient also what was
 *                  survived
 * owns  the value is the caller's, to be released with hotcold_value_release()
 * cost  as hotcold_retrieve(); on a miss the load, this thread's or another's, and a store
 * safe  from any thread, at the same time as any other call
 * durable  what was loaded as hotcold_store()
 *
 * HOTCOLD_OK                found or loaded
 * HOTCOLD_NOT_FOUND         load returned 0 without hotcold_loaded_set()
 * HOTCOLD_CALLBACK_FAILED   load returned another number, which is in error->os_code; nothing is
 *                           stored
 * HOTCOLD_INVALID_ARGUMENT  s, load or out is NULL, or key is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open; or inside a load of this same key on this thread
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX, or the loaded value larger
 *                           than a store in memory alone
 * HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
 * HOTCOLD_IO                the kernel refused; error says where
 * HOTCOLD_NO_SPACE          the disk is full; what was loaded is not stored
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so; what was loaded is not stored
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_retrieve_or_load(hotcold_t *s,
                                          const void *key,
                                          size_t key_len,
                                          hotcold_load_fn load,
                                          void *user_data,
                                          hotcold_value_t *out,
                                          hotcold_error_t *error);

/**
 * Makes an empty batch.
 *
 * owns  the result is the caller's, to be freed with hotcold_batch_free(); NULL if there is no
 *       memory
 * safe  from any thread
 *
 * since 0.1.0
 */
hotcold_batch_t *hotcold_batch_new(void);

/**
 * Frees a batch, whether it was written or not.
 *
 * in    b   a batch, or NULL
 * owns  takes b
 * safe  from any thread; one thread at a time for the same b
 *
 * since 0.1.0
 */
void hotcold_batch_free(hotcold_batch_t *b);

/**
 * Adds a store to a batch; nothing is written yet.
 *
 * in    b          a batch
 *       key        key_len bytes, any bytes; copied
 *       key_len    0 to HOTCOLD_KEY_LEN_MAX
 *       value      value_len bytes, any bytes; copied
 *       value_len  0 to 4 GiB - 1
 *       o          how to store; NULL: as hotcold_store()
 *       o_size     sizeof(hotcold_store_options_t) as the caller has it; not looked at for NULL
 * out   error      NULL, or where a failure is described
 * cost  a copy of key and value
 * safe  from any thread; one thread at a time for the same b
 * after a failure the batch is as it was
 *
 * HOTCOLD_OK                added
 * HOTCOLD_INVALID_ARGUMENT  b is NULL; key or value is NULL and its length is not 0; an unknown
 *                           flag, a wrong o_size, or a reserved field that is not 0
 * HOTCOLD_TOO_LARGE         the key or the value is beyond the limits, or the batch beyond 4 GiB
 * HOTCOLD_OUT_OF_MEMORY     no memory for the copy
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_batch_store(hotcold_batch_t *b,
                                     const void *key,
                                     size_t key_len,
                                     const void *value,
                                     size_t value_len,
                                     const hotcold_store_options_t *o,
                                     size_t o_size,
                                     hotcold_error_t *error);

/**
 * Adds a delete to a batch; nothing is written yet.
 *
 * in    b        a batch
 *       key      key_len bytes, any bytes; copied. It need not be there
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   error    NULL, or where a failure is described
 * cost  a copy of the key
 * safe  from any thread; one thread at a time for the same b
 * after a failure the batch is as it was
 *
 * HOTCOLD_OK                added
 * HOTCOLD_INVALID_ARGUMENT  b is NULL, or key is NULL and its length is not 0
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX, or the batch beyond 4 GiB
 * HOTCOLD_OUT_OF_MEMORY     no memory for the copy
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_batch_delete(hotcold_batch_t *b,
                                      const void *key,
                                      size_t key_len,
                                      hotcold_error_t *error);

/**
 * Writes a batch: all of it or nothing, for readers and across a crash.
 *
 * in    s      a store
 *       b      a batch; it stays as it is and may be written again
 *       flags  HOTCOLD_WRITE_SYNC, or 0
 * out   error  NULL, or where a failure is described
 * cost  at most one write to the kernel; with HOTCOLD_WRITE_SYNC a shared fdatasync, too
 * safe  from any thread, at the same time as any other call; one thread at a time for the same b
 * durable  as hotcold_store(); with HOTCOLD_WRITE_SYNC power loss
 * after anything but HOTCOLD_OK nothing of it was done
 *
 * HOTCOLD_OK                written
 * HOTCOLD_CONFLICT          a HOTCOLD_STORE_IF_VERSION in it was not met
 * HOTCOLD_INVALID_ARGUMENT  s or b is NULL, or an unknown flag
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         larger than a store in memory alone, or than cold_capacity allows
 * HOTCOLD_IO                the kernel refused
 * HOTCOLD_CORRUPT           a version to compare with cannot be read
 * HOTCOLD_NO_SPACE          the disk is full; retrieving goes on
 * HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
 * HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_write(hotcold_t *s,
                               const hotcold_batch_t *b,
                               uint32_t flags,
                               hotcold_error_t *error);

/**
 * Finds the values of many keys, each as hotcold_retrieve() does. They are not a snapshot.
 *
 * in    s             a store
 *       keys          n keys; borrowed for this call
 *       n             how many; 0 is fine
 * out   values_out    n values: empty unless the status of the same index is HOTCOLD_OK
 *       statuses_out  n statuses, each its key's own, with the meanings of hotcold_retrieve(); after
 *                     a failure of the call all are what it returned
 *       error         NULL, or where the first failure is described, also one of a single key
 * owns  each value is the caller's, to be released with hotcold_value_release()
 * cost  at most one disk read for each key that is not hot
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                the keys were asked for; statuses_out tells how it went
 * HOTCOLD_INVALID_ARGUMENT  s is NULL, or another pointer is NULL and n is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_retrieve_many(hotcold_t *s,
                                       const hotcold_slice_t *keys,
                                       size_t n,
                                       hotcold_value_t *values_out,
                                       int32_t *statuses_out,
                                       hotcold_error_t *error);

/**
 * Begins a walk over every live key of both tiers, or those with a prefix.
 *
 * A key that lives throughout the walk is seen exactly once, whatever other threads do, any other
 * at most once. The order is that of the keys' hashes, which is as good as none.
 *
 * in    s           a store
 *       prefix      prefix_len bytes, any bytes; copied
 *       prefix_len  0: all keys
 * out   out         the cursor, or NULL. It stands before the first key
 *       error       NULL, or where a failure is described
 * owns  the cursor is the caller's, to be closed with hotcold_cursor_close(), before or after the
 *       store
 * cost  none yet; the walk reads every key, whatever the prefix
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                begun
 * HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or prefix is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the prefix is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_OUT_OF_MEMORY     no memory for the cursor
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_cursor_open(hotcold_t *s,
                                     const void *prefix,
                                     size_t prefix_len,
                                     hotcold_cursor_t **out,
                                     hotcold_error_t *error);

/**
 * Goes to the next key.
 *
 * in    c        a cursor
 * out   key_out  on HOTCOLD_OK the key, valid until the next call on c; otherwise empty
 *       error    NULL, or where a failure is described
 * cost  mostly none; now and then reads the keys of a range of hashes
 * safe  from any thread; one thread at a time for the same c
 *
 * HOTCOLD_OK                there is a key
 * HOTCOLD_END               there was none left
 * HOTCOLD_INVALID_ARGUMENT  c or key_out is NULL
 * HOTCOLD_MISUSE            the store was closed
 * HOTCOLD_CORRUPT           a record fails its checksum, so that its key is not known; the next call
 *                           goes on behind it
 * HOTCOLD_IO                a read failed; the next call tries again
 * HOTCOLD_OUT_OF_MEMORY     no memory for the keys
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_cursor_next(hotcold_cursor_t *c,
                                     hotcold_slice_t *key_out,
                                     hotcold_error_t *error);

/**
 * Finds the value of the key that hotcold_cursor_next() gave last. It is not promoted.
 *
 * in    c      a cursor
 * out   out    on HOTCOLD_OK the value; otherwise empty
 *       error  NULL, or where a failure is described; under policy=lenient also what was survived
 * owns  the value is the caller's, to be released with hotcold_value_release()
 * cost  no disk read if the key is hot, else at most one
 * safe  from any thread; one thread at a time for the same c
 *
 * HOTCOLD_OK                found
 * HOTCOLD_NOT_FOUND         the key is gone by now
 * HOTCOLD_INVALID_ARGUMENT  c or out is NULL
 * HOTCOLD_MISUSE            the store was closed, or the cursor is at no key
 * HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
 * HOTCOLD_IO                the read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for the value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_cursor_value(hotcold_cursor_t *c,
                                      hotcold_value_t *out,
                                      hotcold_error_t *error);

/**
 * Ends a walk.
 *
 * in    c   a cursor, or NULL
 * owns  takes c
 * safe  from any thread, also after the store was closed; one thread at a time for the same c
 *
 * since 0.1.0
 */
void hotcold_cursor_close(hotcold_cursor_t *c);

/**
 * Loads keys from cold into hot; absent ones are skipped.
 *
 * in    s           a store
 *       keys        n keys; borrowed for this call
 *       n           how many; 0 is fine
 * out   loaded_out  NULL, or how many of them are hot afterwards; 0 after a failure
 *       error       NULL, or where a failure is described; under policy=lenient also what was
 *                   survived
 * cost  at most one disk read for each key that is not hot
 * safe  from any thread, at the same time as any other call
 * after a failure some of the keys may have been loaded
 *
 * HOTCOLD_OK                done
 * HOTCOLD_INVALID_ARGUMENT  s is NULL; keys is NULL and n is not 0; a key is NULL and its length not
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         a key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_CORRUPT           a record fails its checksum
 * HOTCOLD_IO                a read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for a value
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_warm_up(hotcold_t *s,
                                 const hotcold_slice_t *keys,
                                 size_t n,
                                 size_t *loaded_out,
                                 hotcold_error_t *error);

/**
 * Demotes the least valuable entries until hot holds at most so many bytes.
 *
 * Nothing is lost: demoted entries stay in cold. In a store in memory alone they are gone.
 *
 * in    s             a store
 *       target_bytes  0: everything is demoted, and hot is empty then
 * out   demoted_out   NULL, or how many entries were demoted; 0 after a failure
 *       error         NULL, or where a failure is described
 * cost  grows with the entries that leave; under write_mode=back the unwritten ones are written
 * safe  from any thread, at the same time as any other call
 * after a failure some entries may have been demoted
 *
 * HOTCOLD_OK                done
 * HOTCOLD_INVALID_ARGUMENT  s is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_IO                writing back failed
 * HOTCOLD_NO_SPACE          writing back failed because the disk is full
 * HOTCOLD_READ_ONLY         writing back is refused after a failed sync
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_optimize_hot(hotcold_t *s,
                                      uint64_t target_bytes,
                                      size_t *demoted_out,
                                      hotcold_error_t *error);

/**
 * Takes a key out of hot and deletes nothing, for those who learn by other ways that it was changed
 * at a shared cold tier.
 *
 * What is unwritten stays, and in a store in memory alone everything does.
 *
 * in    s        a store
 *       key      key_len bytes, any bytes; borrowed for this call
 *       key_len  0 to HOTCOLD_KEY_LEN_MAX
 * out   error    NULL, or where a failure is described
 * cost  no request and no disk read
 * safe  from any thread, at the same time as any other call
 * after the next retrieve asks cold
 *
 * HOTCOLD_OK                it was in hot
 * HOTCOLD_NOT_FOUND         it was not
 * HOTCOLD_INVALID_ARGUMENT  s is NULL, or key is NULL and its length is not 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_forget(hotcold_t *s,
                                const void *key,
                                size_t key_len,
                                hotcold_error_t *error);

/**
 * Has a function called with every event of certain kinds.
 *
 * A subscription is not entered again on a thread that is inside it already; such events are
 * counted in events_dropped.
 *
 * in    s                 a store
 *       mask              HOTCOLD_EVENT_... bits; unknown ones are ignored
 *       fn                the function
 *       user_data         passed to fn and drop
 *       drop              NULL, or called exactly once with user_data: after hotcold_unsubscribe(),
 *                         at hotcold_close(), or when this call fails
 * out   subscription_out  a number for hotcold_unsubscribe(), never 0; 0 after a failure
 *       error             NULL, or where a failure is described
 * cost  every event of these kinds then costs a call of fn; no subscription, no cost
 * safe  from any thread, also from callbacks, at the same time as any other call
 *
 * HOTCOLD_OK                subscribed
 * HOTCOLD_INVALID_ARGUMENT  s, fn or subscription_out is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_subscribe(hotcold_t *s,
                                   uint32_t mask,
                                   hotcold_event_fn fn,
                                   void *user_data,
                                   hotcold_drop_fn drop,
                                   uint64_t *subscription_out,
                                   hotcold_error_t *error);

/**
 * Ends a subscription.
 *
 * When it returns, fn runs on no thread any more, and drop has run. From within any callback of
 * this process it does not wait: fn is not started again, and drop runs when the last running call
 * has returned, on that thread.
 *
 * in    s             a store
 *       subscription  a number that hotcold_subscribe() gave
 * out   error         NULL, or where a failure is described
 * cost  waits for the calls of fn in progress
 * safe  from any thread, also from callbacks, at the same time as any other call
 *
 * HOTCOLD_OK                ended
 * HOTCOLD_NOT_FOUND         no such subscription, or no more
 * HOTCOLD_INVALID_ARGUMENT  s is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_unsubscribe(hotcold_t *s,
                                     uint64_t subscription,
                                     hotcold_error_t *error);

/**
 * Has events of certain kinds copied into a queue, from which they are then pulled.
 *
 * in    s         a store
 *       mask      HOTCOLD_EVENT_... bits; unknown ones are ignored
 *       capacity  events that may wait, 1 or more; they may also take at most 16 MiB
 * out   out       the queue, or NULL
 *       error     NULL, or where a failure is described
 * owns  the queue is the caller's, to be closed with hotcold_event_queue_close(), before or after
 *       the store
 * cost  every event of these kinds then costs a copy of its key and value
 * safe  from any thread, also from callbacks, at the same time as any other call
 *
 * HOTCOLD_OK                opened
 * HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or capacity is 0
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_OUT_OF_MEMORY     no memory for the queue
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_event_queue_open(hotcold_t *s,
                                          uint32_t mask,
                                          size_t capacity,
                                          hotcold_event_queue_t **out,
                                          hotcold_error_t *error);

/**
 * Takes the oldest event, or waits for one.
 *
 * in    q           a queue
 *       timeout_ms  how long to wait at most; 0: not at all
 * out   out         on HOTCOLD_OK the event, valid until the next call on q; otherwise NULL
 *       error       NULL, or where a failure is described
 * safe  from any thread; one thread at a time for the same q. The store may be closed meanwhile
 *
 * HOTCOLD_OK                there is an event
 * HOTCOLD_END               none came in time; or the store is closed, and nothing is queued
 * HOTCOLD_INVALID_ARGUMENT  q or out is NULL
 * HOTCOLD_MISUSE            opened before this process was forked
 * HOTCOLD_OUT_OF_MEMORY     no memory for the call
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_event_queue_next(hotcold_event_queue_t *q,
                                          uint64_t timeout_ms,
                                          const hotcold_event_t **out,
                                          hotcold_error_t *error);

/**
 * Tells how many events found the queue full; 0 for NULL.
 *
 * in    q   a queue, or NULL
 * safe  from any thread, at the same time as any other call on q but its close
 *
 * since 0.1.0
 */
uint64_t hotcold_event_queue_dropped(const hotcold_event_queue_t *q);

/**
 * Ends a queue and forgets what it holds.
 *
 * in    q   a queue, or NULL
 * owns  takes q, and the event that was given last
 * safe  from any thread, also after the store was closed; one thread at a time for the same q
 *
 * since 0.1.0
 */
void hotcold_event_queue_close(hotcold_event_queue_t *q);

/**
 * Makes a consistent copy of the store, that can be opened, while it is in use.
 *
 * in    s         a store with a directory
 *       dest_dir  a directory that does not exist yet or is empty
 * out   error     NULL, or where a failure is described
 * cost  reads and writes up to the whole store; other calls go on
 * safe  from any thread, at the same time as any other call
 * durable  on HOTCOLD_OK the copy survives power loss
 * after a failure what was made in dest_dir is removed again, and nothing else
 *
 * HOTCOLD_OK                copied
 * HOTCOLD_INVALID_ARGUMENT  s or dest_dir is NULL, dest_dir is not empty, or the store is in memory
 *                           alone
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_LOCKED            another handle has dest_dir open
 * HOTCOLD_IO                the kernel refused; error says where
 * HOTCOLD_NO_SPACE          the disk is full
 * HOTCOLD_CORRUPT           a file of the store is damaged
 * HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_backup(hotcold_t *s,
                                const char *dest_dir,
                                hotcold_error_t *error);

/**
 * Reads every record of cold and checks it, and looks for those that should be there.
 *
 * in    s            a store
 * out   records_out  NULL, or how many records were read; 0 after a failure
 *       damaged_out  NULL, or how many are damaged or missing, every key that answers
 *                    HOTCOLD_CORRUPT among them; 0 after a failure
 *       error        NULL, or where a failure is described; if anything is damaged, its status is
 *                    HOTCOLD_CORRUPT although the call returns HOTCOLD_OK, and it says what and where
 *
 * What is damaged is told as HOTCOLD_EVENT_ERROR too: once for each file, and once for each damaged
 * record whose key can still be read. What opening the store has found is told in the same way, a
 * moment after the first subscription to it, and is counted in cold_corrupt_records. Of a file that is
 * gone or too short the keys are counted that the last checkpoint knows; where nothing tells which
 * keys a file had, it counts as one until the store is cleared.
 *
 * cost  reads the whole store; other calls go on
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                read; damaged_out tells whether all is well
 * HOTCOLD_INVALID_ARGUMENT  s is NULL
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_IO                a read failed; error says where
 * HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_verify(hotcold_t *s,
                                uint64_t *records_out,
                                uint64_t *damaged_out,
                                hotcold_error_t *error);

/**
 * Tells what hotcold_stats() tells, as text with the same names.
 *
 * in    s       a store
 *       format  HOTCOLD_STATS_JSON or HOTCOLD_STATS_PROMETHEUS
 * out   out     on HOTCOLD_OK the text, UTF-8 without a NUL at the end; otherwise empty
 *       error   NULL, or where a failure is described
 * owns  the text is the caller's, to be released with hotcold_value_release()
 * cost  some microseconds; no operation waits for it
 * safe  from any thread, at the same time as any other call
 *
 * HOTCOLD_OK                made
 * HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or no such format
 * HOTCOLD_MISUSE            not open
 * HOTCOLD_OUT_OF_MEMORY     no memory for the text
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_stats_text(hotcold_t *s,
                                    int32_t format,
                                    hotcold_value_t *out,
                                    hotcold_error_t *error);

/**
 * Opens a store whose cold tier is a table of functions, shared by all who open one over the same
 * engine. The table is copied.
 *
 * in    b          the functions
 *       b_size     sizeof(hotcold_backend_t) as the caller has it
 *       user_data  passed to every function and to drop
 *       drop       NULL, or called exactly once with user_data: by hotcold_close(), after the last
 *                  function has returned, or when this call fails
 *       options    as for hotcold_open(); NULL: all defaults. cold_capacity, warm_start and
 *                  create=false are UNSUPPORTED here, durability=sync without
 *                  HOTCOLD_BACKEND_DURABLE. Names that begin with remote. are not looked at
 * out   out        the store; NULL after a failure
 *       error      NULL, or where a failure is described
 * owns  the store is the caller's, to be closed with hotcold_close()
 * cost  one thread; the engine is asked for nothing but to watch
 * safe  from any thread
 *
 * HOTCOLD_OK                opened
 * HOTCOLD_INVALID_ARGUMENT  b or out is NULL, a wrong b_size, a function that is required is NULL, or
 *                           options that contradict each other
 * HOTCOLD_UNSUPPORTED       an option that this engine or no shared cold tier can keep
 * HOTCOLD_OUT_OF_MEMORY     no memory, or a million stores are open
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * Other failures are those that watch has answered.
 *
 * since 0.2.0
 */
hotcold_status_t hotcold_open_backend(const hotcold_backend_t *b,
                                      size_t b_size,
                                      void *user_data,
                                      hotcold_drop_fn drop,
                                      const hotcold_options_t *options,
                                      hotcold_t **out,
                                      hotcold_error_t *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HOTCOLD_H */
