/*
 * hotcold-remote: Redis servers and clusters, and S3 buckets, as the cold tier of hotcold.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program that links hotcold's shared library does not need this header: hotcold_open() takes
 * redis://, redis+cluster://, rediss://, rediss+cluster:// and s3:// paths, and loads the library
 * libhotcold-remote by itself. This is for programs that link both, and for those who want the table.
 *
 * The library does not link hotcold: what it needs of it, it is given as hotcold_host_t. It never
 * prints, reads no environment, and keeps secrets out of all messages.
 */
#ifndef HOTCOLD_REMOTE_H
#define HOTCOLD_REMOTE_H

#include <hotcold.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a table of functions for the engine that a path names, for hotcold_open_backend(). It
 * connects, so that what is wrong is said now.
 *
 * in    url            redis://HOST:PORT/NAME, redis+cluster://HOST:PORT,HOST:PORT/NAME, the same
 *                      with rediss (TLS), or s3://BUCKET/PREFIX; no secrets in it
 *       options        names and values in turn, NULL behind the last; NULL: none. They are
 *                      coherence and remote_timeout in milliseconds, remote_retries,
 *                      remote_concurrency, and all that begin with remote.
 *       host           hotcold's side; its functions work until drop has returned
 *       host_size      sizeof(hotcold_host_t) as the caller has it
 *       out_size       sizeof(hotcold_backend_t) as the caller has it
 * out   out            on HOTCOLD_OK the table; otherwise empty
 *       user_data_out  on HOTCOLD_OK what its functions are to be given; otherwise NULL
 *       drop_out       on HOTCOLD_OK what is to be called with it once, when no call is in progress;
 *                      it ends all threads; otherwise NULL
 *       error          NULL, or where a failure is described
 * cost  a few requests; the first opening of a bucket races some for up to 20 seconds
 * safe  from any thread
 *
 * HOTCOLD_OK                connected
 * HOTCOLD_INVALID_ARGUMENT  the path, an option, or what is NULL
 * HOTCOLD_UNAVAILABLE       nobody can be reached, credentials are refused, a certificate is not
 *                           trusted
 * HOTCOLD_TIMEOUT           no answer came
 * HOTCOLD_UNSUPPORTED       the server lets several win who compare and store at once, or is no
 *                           cluster
 * HOTCOLD_CORRUPT           what lies at the engine is not hotcold's
 * HOTCOLD_IO                the engine says what was not expected
 * HOTCOLD_INTERNAL          a defect of this library
 *
 * since 0.1.0
 */
hotcold_status_t hotcold_remote_backend(const char *url,
                                        const char *const *options,
                                        const hotcold_host_t *host,
                                        size_t host_size,
                                        hotcold_backend_t *out,
                                        size_t out_size,
                                        void **user_data_out,
                                        hotcold_drop_fn *drop_out,
                                        hotcold_error_t *error);

/* Of hotcold.h, where their comments stand; here for versions of it that do not have them yet. */
hotcold_status_t hotcold_open_backend(const hotcold_backend_t *b,
                                      size_t b_size,
                                      void *user_data,
                                      hotcold_drop_fn drop,
                                      const hotcold_options_t *o,
                                      hotcold_t **out,
                                      hotcold_error_t *error);
hotcold_status_t hotcold_options_remote(const hotcold_options_t *o,
                                        const char *const **out,
                                        hotcold_error_t *error);

/**
 * Fills the table that hotcold_remote_backend() is given, with the functions that are linked.
 */
static inline void hotcold_remote_host(hotcold_host_t *host)
{
    host->record_set = hotcold_record_set;
    host->record_same = hotcold_record_same;
    host->page_add = hotcold_page_add;
    host->page_next = hotcold_page_next;
    host->watch_key = hotcold_watch_key;
    host->watch_all = hotcold_watch_all;
    host->watch_alive = hotcold_watch_alive;
    host->watch_parts = hotcold_watch_parts;
    host->backend_fail = hotcold_backend_fail;
    host->backend_count = hotcold_backend_count;
}

/**
 * Opens a store whose cold tier a path names, in a program that links both libraries; as
 * hotcold_open() with such a path, without loading anything.
 */
static inline hotcold_status_t hotcold_remote_open(const char *url,
                                                   const hotcold_options_t *o,
                                                   hotcold_t **out,
                                                   hotcold_error_t *error)
{
    hotcold_host_t host;
    hotcold_backend_t backend;
    hotcold_drop_fn drop = 0;
    void *user_data = 0;
    const char *const *options = 0;
    hotcold_status_t status;

    if (out) {
        *out = 0;
    }
    hotcold_remote_host(&host);
    status = hotcold_options_remote(o, &options, error);
    if (status != HOTCOLD_OK) {
        return status;
    }
    status = hotcold_remote_backend(url, options, &host, sizeof host, &backend, sizeof backend,
                                    &user_data, &drop, error);
    if (status != HOTCOLD_OK) {
        return status;
    }
    /* From here on user_data is the store's, also if it cannot be opened. */
    return hotcold_open_backend(&backend, sizeof backend, user_data, drop, o, out, error);
}

#ifdef __cplusplus
}
#endif

#endif /* HOTCOLD_REMOTE_H */
