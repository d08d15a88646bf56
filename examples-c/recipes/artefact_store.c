/* A store of build artefacts: runs a command on files, and keeps what it writes. Next time, the same
 * command on a file with the same content is not run.
 *
 *     artefact_store DIRECTORY COMMAND FILE...
 *
 * The command reads the file from its standard input; what it writes is kept, and written to
 * FILE.out. A new version of the command needs a new directory. */
#define _POSIX_C_SOURCE 200809L
#include <hotcold.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { KEY_MAX = 512 };

typedef struct bytes {
    char *data;
    size_t len;
} bytes_t;

static hotcold_t *store;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "artefact_store: %s: %s\n", what, why);
    exit(1);
}

static bytes_t read_all(int from, const char *name) {
    bytes_t bytes = {NULL, 0};
    size_t capacity = 0;
    ssize_t got;
    do {
        if (bytes.len == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 65536;
            bytes.data = realloc(bytes.data, capacity);
            if (bytes.data == NULL) {
                fail(name, "no memory");
            }
        }
        got = read(from, bytes.data + bytes.len, capacity - bytes.len);
        bytes.len += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) {
        fail(name, strerror(errno));
    }
    close(from);
    return bytes;
}

static bytes_t read_file(const char *name) {
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        fail(name, strerror(errno));
    }
    return read_all(file, name);
}

static void write_file(const char *name, const void *data, size_t len) {
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        fail(name, strerror(errno));
    }
}

/* What the command writes when it reads the file. */
static bytes_t run(char *command, const char *name) {
    char *arguments[] = {command, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t child;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0 ||
        posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_addopen(&actions, 0, name, O_RDONLY, 0) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1) != 0 ||
        posix_spawn_file_actions_addclose(&actions, ends[1]) != 0) {
        fail(command, "cannot prepare to run it");
    }
    int error = posix_spawnp(&child, command, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error != 0) {
        fail(command, strerror(error));
    }
    bytes_t output = read_all(ends[0], command);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail(command, "it failed");
    }
    return output;
}

/* The key of an input or output: "in/sort/f3a9c0..." The digest is FNV-1a, which two inputs may have
 * in common; that is why the input is stored, too. */
static hotcold_slice_t make_key(char key[KEY_MAX], const char *kind, const char *command,
                                bytes_t input) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    hotcold_slice_t made = {key, 0};
    for (size_t i = 0; i < input.len; i++) {
        sum = (sum ^ (unsigned char)input.data[i]) * UINT64_C(0x100000001b3);
    }
    int len = snprintf(key, KEY_MAX, "%s/%s/%016" PRIx64, kind, command, sum);
    if (len < 0 || len >= KEY_MAX) {
        fail(command, "too long a name");
    }
    made.len = (size_t)len;
    return made;
}

/* Finds an artefact, whose input must be the same byte for byte. */
static int restore(const char *command, bytes_t input, hotcold_value_t *artefact) {
    char in[KEY_MAX], out[KEY_MAX];
    hotcold_slice_t keys[] = {make_key(in, "in", command, input),
                              make_key(out, "out", command, input)};
    hotcold_value_t values[2];
    int32_t statuses[2];
    hotcold_error_t error;
    if (hotcold_retrieve_many(store, keys, 2, values, statuses, &error) != HOTCOLD_OK) {
        fail("retrieve", error.message);
    }
    /* A record that is damaged is not found here: what it had is built and stored anew. */
    int found = statuses[0] == HOTCOLD_OK && statuses[1] == HOTCOLD_OK &&
                values[0].len == input.len && memcmp(values[0].data, input.data, input.len) == 0;
    *artefact = values[1];
    hotcold_value_release(&values[0]);
    if (!found) {
        hotcold_value_release(artefact);
    }
    return found;
}

/* Input and output are one batch: also after a crash neither is there with another's partner. */
static void keep(const char *command, bytes_t input, bytes_t output) {
    char in[KEY_MAX], out[KEY_MAX];
    hotcold_slice_t in_key = make_key(in, "in", command, input);
    hotcold_slice_t out_key = make_key(out, "out", command, input);
    hotcold_error_t error;
    hotcold_batch_t *batch = hotcold_batch_new();
    if (hotcold_batch_store(batch, in_key.data, in_key.len, input.data, input.len, NULL, 0,
                            &error) != HOTCOLD_OK ||
        hotcold_batch_store(batch, out_key.data, out_key.len, output.data, output.len, NULL, 0,
                            &error) != HOTCOLD_OK ||
        hotcold_write(store, batch, 0, &error) != HOTCOLD_OK) {
        fprintf(stderr, "artefact_store: not kept: %s\n", error.message); /* a loss, no failure */
    }
    hotcold_batch_free(batch);
}

int main(int argc, char **argv) {
    hotcold_options_t *options = hotcold_options_new();
    hotcold_error_t error;
    int built = 0, restored = 0;
    if (argc < 4) {
        fail("usage", "artefact_store DIRECTORY COMMAND FILE...");
    }
    /* On disk alone, and not without a bound: the oldest that nobody asks for go first. */
    if (hotcold_options_set(options, "hot_capacity", "0", &error) != HOTCOLD_OK ||
        hotcold_options_set(options, "cold_capacity", "1GiB", &error) != HOTCOLD_OK ||
        hotcold_open(argv[1], options, &store, &error) != HOTCOLD_OK) {
        fail("open", error.message);
    }
    hotcold_options_free(options);

    for (int i = 3; i < argc; i++) {
        char name[4096];
        hotcold_value_t artefact;
        bytes_t input = read_file(argv[i]);
        snprintf(name, sizeof name, "%s.out", argv[i]);
        if (restore(argv[2], input, &artefact)) {
            write_file(name, artefact.data, artefact.len);
            hotcold_value_release(&artefact);
            restored++;
        } else {
            bytes_t output = run(argv[2], argv[i]);
            write_file(name, output.data, output.len);
            keep(argv[2], input, output);
            free(output.data);
            built++;
        }
        free(input.data);
    }
    printf("%d built, %d restored\n", built, restored);
    if (hotcold_close(store, &error) != HOTCOLD_OK) {
        fail("close", error.message);
    }
    return 0;
}
