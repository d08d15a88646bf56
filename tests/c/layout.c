/* The numbers that programs are compiled with: sizes and offsets of structs, values of constants.
 *
 * All checks are made by the compiler, as C99, C11, C17, C++11 and C++20; a size that is wrong is an
 * array of negative length. Lines may be added at the end of hotcold_stats_t and hotcold_event_t;
 * none may change. */
#include <hotcold.h>

#define CHECK(name, condition) typedef char check_##name[(condition) ? 1 : -1]
#define SIZE(type, bytes) CHECK(size_##type, sizeof(hotcold_##type##_t) == (bytes))
#define AT(type, field, offset)                                                                    \
    CHECK(at_##type##_##field, offsetof(hotcold_##type##_t, field) == (offset))
#define IS(name, number) CHECK(is_##name, HOTCOLD_##name == (number))

IS(OK, 0);
IS(NOT_FOUND, 1);
IS(CONFLICT, 2);
IS(END, 3);
IS(INVALID_ARGUMENT, -1);
IS(MISUSE, -2);
IS(IO, -3);
IS(CORRUPT, -4);
IS(NO_SPACE, -5);
IS(LOCKED, -6);
IS(TOO_LARGE, -7);
IS(BUFFER_TOO_SMALL, -8);
IS(READ_ONLY, -9);
IS(UNSUPPORTED, -10);
IS(OUT_OF_MEMORY, -11);
IS(INTERNAL, -12);
IS(CALLBACK_FAILED, -13);
IS(TIMEOUT, -14);
IS(UNAVAILABLE, -15);
IS(FENCED, -16);
IS(KEY_LEN_MAX, 65535);
IS(TIER_HOT, 1);
IS(TIER_COLD, 2);
IS(STORE_IF_VERSION, 1);
IS(STORE_COLD_ONLY, 2);
IS(STORE_SYNC, 4);
IS(RETRIEVE_NO_PROMOTE, 1);
IS(RETRIEVE_NO_RECENCY, 2);
IS(WRITE_SYNC, 1);
IS(EVENT_ITEM_STORED, 1);
IS(EVENT_ITEM_RETRIEVED, 2);
IS(EVENT_ITEM_DELETED, 4);
IS(EVENT_STORAGE_CLEARED, 8);
IS(EVENT_PROMOTED, 16);
IS(EVENT_DEMOTED, 32);
IS(EVENT_EVICTED, 64);
IS(EVENT_EXPIRED, 128);
IS(EVENT_COMPACTED, 256);
IS(EVENT_ERROR, 512);
IS(EVENT_ALL, 0x7FFFFFFF);
IS(STATS_JSON, 1);
IS(STATS_PROMETHEUS, 2);
IS(BACKEND_CAS, 1);
IS(BACKEND_TTL, 2);
IS(BACKEND_LIST_ORDERED, 4);
IS(BACKEND_WATCH, 8);
IS(BACKEND_CLEAR, 16);
IS(BACKEND_BATCH, 32);
IS(BACKEND_DURABLE, 64);
IS(BACKEND_LIST_REPEATS, 128);
IS(BACKEND_RETRIES, 1);
IS(LINK_ONE, 0);
IS(LINK_NONE, 65534);
IS(LINK_ALL, 65535);

CHECK(status_t, sizeof(hotcold_status_t) == sizeof(int32_t));
CHECK(status_t_is_signed, (hotcold_status_t)-1 < 0);
CHECK(event_all_is_an_int, sizeof(HOTCOLD_EVENT_ALL) == 4);

SIZE(error, 512);
AT(error, status, 0);
AT(error, os_code, 4);
AT(error, message, 8);

SIZE(value, 64);
AT(value, data, 0);
AT(value, len, 8);
AT(value, version, 16);
AT(value, expires_at, 24);
AT(value, tier, 32);
AT(value, flags, 36);
AT(value, owner, 40);
AT(value, reserved, 48);

SIZE(store_options, 24);
AT(store_options, ttl, 0);
AT(store_options, if_version, 8);
AT(store_options, flags, 16);
AT(store_options, reserved, 20);

SIZE(slice, 16);
AT(slice, data, 0);
AT(slice, len, 8);

SIZE(event, 80);
AT(event, kind, 0);
AT(event, tier, 4);
AT(event, status, 8);
AT(event, size, 12);
AT(event, key, 16);
AT(event, key_len, 24);
AT(event, value, 32);
AT(event, value_len, 40);
AT(event, version, 48);
AT(event, expires_at, 56);
AT(event, storage_id, 64);
AT(event, message, 72);

SIZE(stats, 608);
AT(stats, hot_operations, 0);
AT(stats, hot_errors, 8);
AT(stats, hot_hits, 16);
AT(stats, hot_misses, 24);
AT(stats, hot_hit_ratio, 32);
AT(stats, hot_mean_ns, 40);
AT(stats, hot_p99_ns, 48);
AT(stats, hot_entries, 56);
AT(stats, hot_bytes, 64);
AT(stats, hot_capacity, 72);
AT(stats, hot_evictions, 80);
AT(stats, hot_expirations, 88);
AT(stats, hot_promotions, 96);
AT(stats, hot_demotions, 104);
AT(stats, cold_operations, 112);
AT(stats, cold_errors, 120);
AT(stats, cold_hits, 128);
AT(stats, cold_misses, 136);
AT(stats, cold_hit_ratio, 144);
AT(stats, cold_mean_ns, 152);
AT(stats, cold_p99_ns, 160);
AT(stats, cold_entries, 168);
AT(stats, cold_bytes_live, 176);
AT(stats, cold_bytes_disk, 184);
AT(stats, cold_segments, 192);
AT(stats, cold_unfrozen_bytes, 200);
AT(stats, cold_bytes_read, 208);
AT(stats, cold_bytes_written, 216);
AT(stats, cold_compactions, 224);
AT(stats, cold_evictions, 232);
AT(stats, cold_expirations, 240);
AT(stats, cold_corrupt_records, 248);
AT(stats, cold_rebuilt_files, 256);
AT(stats, cold_recovered_bytes, 264);
AT(stats, cold_read_only, 272);
AT(stats, memory_hot, 280);
AT(stats, memory_keydir, 288);
AT(stats, memory_buffers, 296);
AT(stats, memory_held, 304);
AT(stats, memory_total, 312);
AT(stats, total_operations, 320);
AT(stats, total_errors, 328);
AT(stats, lenient_failures, 336);
AT(stats, events_dropped, 344);
AT(stats, hits, 352);
AT(stats, misses, 360);
AT(stats, hit_ratio, 368);
AT(stats, mean_ns, 376);
AT(stats, p50_ns, 384);
AT(stats, p99_ns, 392);
AT(stats, p999_ns, 400);
AT(stats, store_operations, 408);
AT(stats, store_errors, 416);
AT(stats, store_mean_ns, 424);
AT(stats, store_p99_ns, 432);
AT(stats, retrieve_operations, 440);
AT(stats, retrieve_errors, 448);
AT(stats, retrieve_mean_ns, 456);
AT(stats, retrieve_p99_ns, 464);
AT(stats, delete_operations, 472);
AT(stats, delete_errors, 480);
AT(stats, delete_mean_ns, 488);
AT(stats, delete_p99_ns, 496);
AT(stats, clear_operations, 504);
AT(stats, clear_errors, 512);
AT(stats, clear_mean_ns, 520);
AT(stats, clear_p99_ns, 528);
AT(stats, remote_requests, 536);
AT(stats, remote_errors, 544);
AT(stats, remote_timeouts, 552);
AT(stats, remote_retries, 560);
AT(stats, remote_bytes_in, 568);
AT(stats, remote_bytes_out, 576);
AT(stats, remote_invalidations, 584);
AT(stats, remote_revalidations, 592);
AT(stats, remote_unavailable_ms, 600);

SIZE(backend, 96);
AT(backend, capabilities, 0);
AT(backend, get, 8);
AT(backend, put, 16);
AT(backend, remove, 24);
AT(backend, list, 32);
AT(backend, clear, 40);
AT(backend, versions, 48);
AT(backend, write, 56);
AT(backend, watch, 64);
AT(backend, sync, 72);
AT(backend, part, 80);
AT(backend, compact, 88);

SIZE(change, 56);
AT(change, key, 0);
AT(change, key_len, 8);
AT(change, data, 16);
AT(change, len, 24);
AT(change, version, 32);
AT(change, expires_at, 40);
AT(change, if_version, 48);

SIZE(host, 80);
AT(host, record_set, 0);
AT(host, record_same, 8);
AT(host, page_add, 16);
AT(host, page_next, 24);
AT(host, watch_key, 32);
AT(host, watch_all, 40);
AT(host, watch_alive, 48);
AT(host, watch_parts, 56);
AT(host, backend_fail, 64);
AT(host, backend_count, 72);

int main(void) { return 0; }
