/* An HTTP cache in front of a server. What the server has answered once is answered from the store
 * until the server's own max-age is over, and of all who miss a page at once only one asks for it.
 *
 * Server, cache and clients are threads of this program, and talk over 127.0.0.1. */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PAGES = 5, WORKERS = 4, CLIENTS = 4, REQUESTS = 25, PATH_MAX_LEN = 255, HTTP_MAX = 32768 };

typedef struct service {
    int listener;
    struct sockaddr_in address;
    void (*answer)(int client, const char *path);
    pthread_t workers[WORKERS];
} service_t;

static hotcold_t *store;
static service_t origin, cache;
static atomic_int origin_asked, failed;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "http_cache: %s: %s\n", what, why);
    exit(1);
}

/* ---- the cache ------------------------------------------------------------------------------ */

static size_t get(const service_t *from, const char *path, char response[HTTP_MAX + 1]);

/* Seconds that the server allows to keep a response; 0 if it says nothing. */
static uint64_t max_age(const char *response) {
    const char *end = strstr(response, "\r\n\r\n");
    const char *age = strstr(response, "max-age=");
    return age != NULL && end != NULL && age < end ? strtoul(age + 8, NULL, 10) : 0;
}

/* Runs for one of those who miss a page; the others wait for what it hands over. */
static int32_t ask_origin(void *user_data, const void *key, size_t key_len, hotcold_loaded_t *out) {
    char path[PATH_MAX_LEN + 1], response[HTTP_MAX + 1];
    (void)user_data;
    memcpy(path, key, key_len);
    path[key_len] = '\0';

    size_t len = get(&origin, path, response);
    if (len == 0) {
        return EIO; /* whoever asked is told HOTCOLD_CALLBACK_FAILED */
    }
    if (strncmp(response, "HTTP/1.0 200 ", 13) != 0) {
        return 0; /* nothing is stored, and whoever asked is told HOTCOLD_NOT_FOUND */
    }
    /* A ttl of 0 would be for ever: what may not be kept goes to those who wait, and expires. */
    uint64_t ttl = max_age(response) * 1000;
    return hotcold_loaded_set(out, response, len, ttl > 0 ? ttl : 1, NULL);
}

static void send_all(int to, const void *data, size_t len) {
    for (const char *at = data; len > 0;) {
        ssize_t sent = send(to, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the other end has gone */
        }
        at += sent;
        len -= (size_t)sent;
    }
}

static void answer_from_store(int client, const char *path) {
    static const char absent[] = "HTTP/1.0 404 Not Found\r\n\r\n";
    static const char broken[] = "HTTP/1.0 502 Bad Gateway\r\n\r\n";
    hotcold_value_t value;
    hotcold_error_t error;
    hotcold_status_t status =
        hotcold_retrieve_or_load(store, path, strlen(path), ask_origin, NULL, &value, &error);
    if (status == HOTCOLD_OK) {
        send_all(client, value.data, value.len); /* from hot, these bytes are not copied */
    } else if (status == HOTCOLD_NOT_FOUND) {
        send_all(client, absent, sizeof absent - 1);
    } else {
        fprintf(stderr, "http_cache: %s: %s\n", path, error.message);
        send_all(client, broken, sizeof broken - 1);
    }
    hotcold_value_release(&value);
}

/* ---- the server behind it: slow, and it counts ---------------------------------------------- */

static void answer_as_origin(int client, const char *path) {
    const struct timespec slow = {0, 20 * 1000 * 1000};
    char response[256];
    int page = -1, len;
    if (sscanf(path, "/page/%d", &page) == 1 && page >= 0 && page < PAGES) {
        atomic_fetch_add(&origin_asked, 1);
        nanosleep(&slow, NULL);
        len = snprintf(response, sizeof response,
                       "HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n\r\nThis is page %d.\n", page);
    } else {
        len = snprintf(response, sizeof response, "HTTP/1.0 404 Not Found\r\n\r\n");
    }
    send_all(client, response, (size_t)len);
}

/* ---- HTTP/1.0, as little of it as it takes -------------------------------------------------- */

/* Reads until `end` has come, or for NULL until the other end closes; 0 if it is too long. */
static size_t receive(int from, char *buffer, size_t capacity, const char *end) {
    size_t len = 0;
    while (len < capacity) {
        ssize_t got = recv(from, buffer + len, capacity - len, 0);
        if (got <= 0) {
            buffer[len] = '\0';
            return got == 0 && end == NULL ? len : 0;
        }
        len += (size_t)got;
        buffer[len] = '\0';
        if (end != NULL && strstr(buffer, end) != NULL) {
            return len;
        }
    }
    return 0;
}

static void limit_waiting(int connection) {
    const struct timeval limit = {10, 0};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static size_t get(const service_t *from, const char *path, char response[HTTP_MAX + 1]) {
    char request[PATH_MAX_LEN + 32];
    size_t len = 0;
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0) {
        return 0;
    }
    limit_waiting(connection);
    if (connect(connection, (const struct sockaddr *)&from->address, sizeof from->address) == 0) {
        int request_len = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
        send_all(connection, request, (size_t)request_len);
        len = receive(connection, response, HTTP_MAX, NULL);
    }
    close(connection);
    return len;
}

static void *work(void *argument) {
    const service_t *service = argument;
    char request[1024], path[PATH_MAX_LEN + 1];
    for (;;) {
        int client = accept(service->listener, NULL, NULL);
        if (client < 0 && (errno == EINTR || errno == ECONNABORTED)) {
            continue;
        }
        if (client < 0) {
            return NULL; /* shut down */
        }
        limit_waiting(client);
        if (receive(client, request, sizeof request - 1, "\r\n\r\n") > 0 &&
            sscanf(request, "GET %255s HTTP/1.", path) == 1) {
            service->answer(client, path);
        }
        close(client);
    }
}

static void start(service_t *service, void (*answer)(int, const char *)) {
    socklen_t len = sizeof service->address;
    service->answer = answer;
    service->address.sin_family = AF_INET;
    service->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    service->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (service->listener < 0 ||
        bind(service->listener, (struct sockaddr *)&service->address, len) != 0 ||
        getsockname(service->listener, (struct sockaddr *)&service->address, &len) != 0 ||
        listen(service->listener, 64) != 0) {
        fail("listen", strerror(errno));
    }
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&service->workers[i], NULL, work, service) != 0) {
            fail("start", "no thread");
        }
    }
}

static void stop(service_t *service) {
    shutdown(service->listener, SHUT_RDWR);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(service->workers[i], NULL);
    }
    close(service->listener);
}

/* ---- clients -------------------------------------------------------------------------------- */

static void *browse(void *unused) {
    char path[32], expected[32], response[HTTP_MAX + 1];
    (void)unused;
    for (int i = 0; i < REQUESTS; i++) {
        snprintf(path, sizeof path, "/page/%d", i % PAGES);
        snprintf(expected, sizeof expected, "This is page %d.\n", i % PAGES);
        if (get(&cache, path, response) == 0 || strstr(response, expected) == NULL) {
            atomic_fetch_add(&failed, 1);
        }
    }
    if (get(&cache, "/nowhere", response) == 0 || strstr(response, " 404 ") == NULL) {
        atomic_fetch_add(&failed, 1);
    }
    return NULL;
}

int main(int argc, char **argv) {
    hotcold_error_t error;
    pthread_t clients[CLIENTS];
    if (hotcold_open(argc > 1 ? argv[1] : "http_cache.store", NULL, &store, &error) != HOTCOLD_OK) {
        fail("open", error.message);
    }
    start(&origin, answer_as_origin);
    start(&cache, answer_from_store);

    for (int i = 0; i < CLIENTS; i++) {
        if (pthread_create(&clients[i], NULL, browse, NULL) != 0) {
            fail("start", "no thread");
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i], NULL);
    }

    stop(&cache);
    stop(&origin);
    if (hotcold_close(store, &error) != HOTCOLD_OK) {
        fail("close", error.message);
    }
    printf("%d requests for %d pages, %d reached the server, %d failed\n", CLIENTS * REQUESTS,
           PAGES, atomic_load(&origin_asked), atomic_load(&failed));
    return atomic_load(&failed) == 0 && atomic_load(&origin_asked) <= PAGES ? 0 : 1;
}
