/* Sessions of a web application: each expires some time after its last visit, survives a restart of
 * the program, and counts right however many requests of one user come in at once. */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { ID_LEN = 32, SECOND = 1000, THREADS = 4, VISITS = 100 };

typedef struct session {
    char user[33];
    unsigned visits;
} session_t;

static hotcold_t *store;
static uint64_t lifetime = 30 * 60 * SECOND;

/* Ends the program with the store's own words if a call failed. */
static hotcold_status_t check(hotcold_status_t status, const hotcold_error_t *error) {
    if (status < 0) {
        fprintf(stderr, "session_store: %s\n", error->message);
        exit(1);
    }
    return status;
}

static void expect(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "session_store: not true: %s\n", what);
        exit(1);
    }
}

/* ---- what an application calls -------------------------------------------------------------- */

/* Stores a session if its version is still `version`; 0: if there is none. Text, so that another
 * program, or a later version of this one, can read it. */
static hotcold_status_t session_store(const char *id, const session_t *session, uint64_t version) {
    hotcold_store_options_t how = {0};
    hotcold_error_t error;
    char text[64];
    int len = snprintf(text, sizeof text, "%u %s", session->visits, session->user);
    how.flags = HOTCOLD_STORE_IF_VERSION;
    how.if_version = version;
    how.ttl = lifetime; /* anew with each visit */
    return check(hotcold_store_with(store, id, ID_LEN, text, (size_t)len, &how, sizeof how, NULL,
                                    &error),
                 &error);
}

/* Begins a session and gives it a name that nobody can guess. */
static void session_begin(const char *user, char id[ID_LEN + 1]) {
    session_t session = {{0}, 0};
    unsigned char random[ID_LEN / 2];
    snprintf(session.user, sizeof session.user, "%s", user);
    do {
        expect(getentropy(random, sizeof random) == 0, "the system has random numbers");
        for (int i = 0; i < ID_LEN / 2; i++) {
            snprintf(id + 2 * i, 3, "%02x", random[i]);
        }
    } while (session_store(id, &session, 0) == HOTCOLD_CONFLICT);
}

/* Counts a visit; 0 if the session is over. */
static int session_visit(const char *id, session_t *session) {
    hotcold_status_t status;
    do {
        hotcold_value_t value;
        hotcold_error_t error;
        char text[64];
        status = check(hotcold_retrieve(store, id, ID_LEN, &value, &error), &error);
        if (status == HOTCOLD_NOT_FOUND) {
            return 0;
        }
        uint64_t version = value.version;
        snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.data);
        hotcold_value_release(&value);
        expect(sscanf(text, "%u %32[^\n]", &session->visits, session->user) == 2, "it is a session");
        session->visits++;
        status = session_store(id, session, version);
    } while (status == HOTCOLD_CONFLICT); /* another request came first: look again */
    return 1;
}

static void session_end(const char *id) {
    hotcold_error_t error;
    check(hotcold_delete(store, id, ID_LEN, &error), &error);
}

/* ---- a day of that application -------------------------------------------------------------- */

static void open_store(const char *directory) {
    hotcold_error_t error;
    check(hotcold_open(directory, NULL, &store, &error), &error);
}

static void close_store(void) {
    hotcold_error_t error;
    check(hotcold_close(store, &error), &error);
}

static void *visit_often(void *id) {
    session_t session;
    for (int i = 0; i < VISITS; i++) {
        expect(session_visit(id, &session), "the session goes on");
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "session_store.store";
    const struct timespec a_while = {0, 200 * 1000 * 1000};
    pthread_t threads[THREADS];
    char ada[ID_LEN + 1], bob[ID_LEN + 1];
    session_t session;

    open_store(directory);
    session_begin("ada", ada);
    for (int i = 0; i < THREADS; i++) {
        expect(pthread_create(&threads[i], NULL, visit_often, ada) == 0, "there are threads");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }

    close_store(); /* a restart: who was logged in still is */
    open_store(directory);
    expect(session_visit(ada, &session), "the session has survived");
    expect(session.visits == THREADS * VISITS + 1, "no visit was lost");
    printf("%s has visited %u times\n", session.user, session.visits);

    session_end(ada);
    expect(!session_visit(ada, &session), "the session was ended");

    lifetime = 50; /* milliseconds */
    session_begin("bob", bob);
    nanosleep(&a_while, NULL);
    expect(!session_visit(bob, &session), "the session has expired");
    close_store();
    return 0;
}
