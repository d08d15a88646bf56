/* A store and fork(): what was opened before belongs to the parent. A child opens its own, once
 * nobody has the directory open for writing. */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 2 };

static hotcold_error_t error;

/* Ends the process with the store's own words if a call failed. */
static void check(hotcold_status_t status, const char *call) {
    if (status < 0) {
        fprintf(stderr, "forking: %s: %s: %s\n", call, hotcold_status_name(status), error.message);
        exit(1);
    }
}

/* Of readers there may be any number, in any number of processes. */
static void read_in_child(const char *directory) {
    hotcold_options_t *options = hotcold_options_new();
    hotcold_t *store = NULL;
    hotcold_value_t value;
    check(hotcold_options_set(options, "read_only", "true", &error), "options_set");
    check(hotcold_open(directory, options, &store, &error), "open");
    hotcold_options_free(options);
    check(hotcold_retrieve(store, "greeting", 8, &value, &error), "retrieve");
    printf("a child reads: %.*s\n", (int)value.len, (const char *)value.data);
    hotcold_value_release(&value);
    check(hotcold_close(store, &error), "close");
}

/* Forks, runs `child` in the child, and tells whether all went well there. */
static int in_child(void (*child)(const char *), const char *directory) {
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        child(directory);
        exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static hotcold_t *inherited;

static void use_inherited(const char *directory) {
    (void)directory;
    hotcold_status_t status = hotcold_store(inherited, "greeting", 8, "hello", 5, &error);
    printf("a child stores with the parent's handle: %s\n", hotcold_status_name(status));
    exit(status == HOTCOLD_MISUSE ? 0 : 1);
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "forking.store";
    int good = 1;
    check(hotcold_open(directory, NULL, &inherited, &error), "open");
    check(hotcold_store(inherited, "greeting", 8, "hello, world", 12, &error), "store");
    good &= in_child(use_inherited, directory);

    check(hotcold_close(inherited, &error), "close");
    for (int i = 0; i < CHILDREN; i++) {
        good &= in_child(read_in_child, directory);
    }
    return good ? 0 : 1;
}
