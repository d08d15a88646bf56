/* Other people's files: what is not a store's is neither opened nor changed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static const char *const names[] = {"MANIFEST", "CHECKPOINT",   "STAGE",          "WARM",
                                    "LOCK",     "MANIFEST.new", "CHECKPOINT.new", "WARM.new",
                                    "000001.seg", "000002.seg", "000009.seg"};
enum { NAMES = sizeof names / sizeof names[0] };

static const char *in(const char *path, const char *name) {
    static char paths[8][8500];
    static int next;
    char *joined = paths[next++ % 8];
    snprintf(joined, sizeof paths[0], "%s/%s", path, name);
    return joined;
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int has_text(const char *path, const char *text) {
    char found[256] = {0};
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t len = fread(found, 1, sizeof found - 1, file);
    return fclose(file) == 0 && len == strlen(text) && strcmp(found, text) == 0;
}

static int open_as(const char *path, const char *name, const char *set) {
    hotcold_options_t *o = hotcold_options_new();
    hotcold_t *s = NULL;
    if (name) OK(hotcold_options_set(o, name, set, &error));
    int status = hotcold_open(path, o, &s, &error);
    hotcold_options_free(o);
    hotcold_error_t opened = error;
    if (s) OK(hotcold_close(s, &error));
    error = opened;
    return status;
}

static void a_directory_of_others_is_refused_and_left_as_it_is(void) {
    for (int i = 0; i < NAMES; i++) {
        char path[4300];
        struct stat before, after;
        snprintf(path, sizeof path, "%s", fresh(names[i]));
        CHECK(mkdir(path, 0755) == 0);
        write_file(in(path, names[i]), "not a store's");
        struct timespec old[2] = {{1000, 0}, {1000, 0}};
        CHECK(utimensat(AT_FDCWD, path, old, 0) == 0 && stat(path, &before) == 0);
        GIVES(HOTCOLD_INVALID_ARGUMENT, open_as(path, NULL, NULL));
        CHECK(strstr(error.message, names[i]) != NULL);
        GIVES(HOTCOLD_INVALID_ARGUMENT, open_as(path, "create", "false"));
        GIVES(HOTCOLD_INVALID_ARGUMENT, open_as(path, "read_only", "true"));
        hotcold_t *s = OPEN(NULL, NULL, NULL), *with = OPEN(fresh("with"), NULL, NULL);
        GIVES(HOTCOLD_INVALID_ARGUMENT, hotcold_backup(with, path, &error));
        OK(hotcold_close(with, &error));
        OK(hotcold_close(s, &error));
        CHECK(stat(path, &after) == 0 && has_text(in(path, names[i]), "not a store's"));
        CHECK(after.st_mtime == before.st_mtime && after.st_nlink == before.st_nlink);
        CHECK(unlink(in(path, names[i])) == 0 && rmdir(path) == 0);
    }
}

/* A store with one of its names taken by something that is no file: every call ends, the victim is
 * as it was, and what has the name stays. */
static void what_is_no_file_is_not_followed_waited_for_or_replaced(void) {
    for (int i = 0; i < NAMES * 3; i++) {
        const char *name = names[i / 3];
        char path[4300], label[32] = {0};
        struct stat before, after;
        snprintf(label, sizeof label, "odd%d", i);
        snprintf(path, sizeof path, "%s", fresh(label));
        hotcold_t *s = OPEN(path, "warm_start", "true");
        put(s, "k", "v");
        OK(hotcold_close(s, &error));
        write_file(fresh("victim"), "victim");
        rename(in(path, name), fresh("away")); /* if it was there */
        CHECK((i % 3 == 0   ? mkfifo(in(path, name), 0600)
               : i % 3 == 1 ? symlink(fresh("victim"), in(path, name))
                            : mkdir(in(path, name), 0700)) == 0);
        CHECK(lstat(in(path, name), &before) == 0);
        alarm(20);
        hotcold_options_t *o = hotcold_options_new();
        OK(hotcold_options_set(o, "warm_start", "true", &error));
        int status = hotcold_open(path, o, &s, &error);
        if (status != HOTCOLD_OK) {
            CHECK(status == HOTCOLD_IO || status == HOTCOLD_INVALID_ARGUMENT);
            CHECK(strstr(error.message, name) != NULL && s == NULL);
        } else {
            for (int key = 0; key < light(600, 20); key++) {
                hotcold_store(s, &key, sizeof key, label, sizeof label, NULL);
            }
            hotcold_sync(s, NULL);
            hotcold_compact(s, NULL);
            hotcold_close(s, NULL);
        }
        hotcold_options_free(o);
        alarm(0);
        CHECK(has_text(fresh("victim"), "victim"));
        CHECK(lstat(in(path, name), &after) == 0 && after.st_ino == before.st_ino);
        CHECK((after.st_mode & S_IFMT) == (before.st_mode & S_IFMT));
        unlink(fresh("away"));
    }
}

static void others_files_in_a_store_stay(void) {
    const char *const theirs[] = {"notes", "1.seg", "000001.seg~", "MANIFEST.bak", "\xff\xfe"};
    char path[4300];
    snprintf(path, sizeof path, "%s", fresh("mixed"));
    hotcold_t *s = OPEN(path, NULL, NULL);
    OK(hotcold_close(s, &error));
    for (int i = 0; i < 5; i++) write_file(in(path, theirs[i]), "theirs");
    CHECK(mkdir(in(path, "folder"), 0700) == 0);
    for (int round = 0; round < 3; round++) {
        s = OPEN(path, NULL, NULL);
        put(s, "k", "v");
        OK(hotcold_clear(s, &error));
        OK(hotcold_compact(s, &error));
        OK(hotcold_close(s, &error));
    }
    for (int i = 0; i < 5; i++) CHECK(has_text(in(path, theirs[i]), "theirs"));
    CHECK(rmdir(in(path, "folder")) == 0);
}

/* A copy by `cp -al` shares its files with the store: neither may write where the other one does. */
static void a_segment_with_another_name_is_not_appended_to(void) {
    char path[4300], copy[4300], command[8700];
    const char *const paths[] = {path, copy};
    snprintf(path, sizeof path, "%s", fresh("linked"));
    snprintf(copy, sizeof copy, "%s", fresh("copy"));
    hotcold_t *s = OPEN(path, NULL, NULL);
    put(s, "both", "v");
    OK(hotcold_close(s, &error));
    snprintf(command, sizeof command, "cp -al '%s' '%s'", path, copy);
    CHECK(system(command) == 0);
    for (int i = 0; i < 2; i++) {
        s = OPEN(paths[i], NULL, NULL);
        put(s, i ? "copy" : "linked", "own");
        OK(hotcold_close(s, &error));
    }
    for (int i = 0; i < 2; i++) {
        s = OPEN(paths[i], "hot_capacity", "0", NULL);
        HAS(s, "both", "v");
        HAS(s, i ? "copy" : "linked", "own");
        HAS(s, i ? "linked" : "copy", NULL);
        OK(hotcold_compact(s, &error));
        HAS(s, "both", "v");
        OK(hotcold_close(s, &error));
    }
}

static void a_backup_that_fails_takes_back_what_it_made(void) {
    char path[4300];
    static char value[100000];
    snprintf(path, sizeof path, "%s", fresh("dest"));
    hotcold_t *s = OPEN(fresh("source"), "compression", "none", NULL);
    OK(hotcold_store(s, "k", 1, value, sizeof value, &error));
    struct rlimit whole, limit = {50000, 50000};
    CHECK(getrlimit(RLIMIT_FSIZE, &whole) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    limit.rlim_max = whole.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(hotcold_backup(s, path, &error) < 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &whole) == 0);
    CHECK(rmdir(path) == 0); /* it is empty */
    OK(hotcold_backup(s, path, &error));
    OK(hotcold_close(s, &error));
}

static void a_first_opening_that_was_broken_off_is_made_up_for(void) {
    const size_t lengths[] = {0, 5, 11, 24, 47, 48};
    char path[4300];
    for (int i = 0; i < 6; i++) {
        size_t len = lengths[i];
        char label[32], manifest[48] = {0};
        snprintf(label, sizeof label, "broken%d", (int)len);
        snprintf(path, sizeof path, "%s", fresh(label));
        hotcold_t *s = OPEN(path, NULL, NULL);
        OK(hotcold_close(s, &error));
        int fd = open(in(path, "MANIFEST"), O_RDONLY);
        CHECK(fd >= 0 && read(fd, manifest, 48) == 48 && close(fd) == 0);
        for (int zeros = 0; zeros < 2; zeros++) {
            char command[8600];
            snprintf(command, sizeof command, "rm -f '%s'/*", path);
            CHECK(system(command) == 0);
            fd = open(in(path, "MANIFEST.new"), O_CREAT | O_WRONLY, 0600);
            if (zeros) memset(manifest, 0, sizeof manifest);
            CHECK(fd >= 0 && write(fd, manifest, len) == (ssize_t)len && close(fd) == 0);
            if (zeros) write_file(in(path, "LOCK"), "");
            s = OPEN(path, NULL, NULL);
            put(s, "k", "v");
            OK(hotcold_close(s, &error));
        }
    }
}

static void a_path_to_nowhere_says_what_to_do(void) {
    GIVES(HOTCOLD_INVALID_ARGUMENT, open_as("", NULL, NULL));
    CHECK(strstr(error.message, "the path is empty") != NULL);
    CHECK(symlink("nowhere", fresh("dangling")) == 0);
    GIVES(HOTCOLD_IO, open_as(fresh("dangling"), NULL, NULL));
    CHECK(strstr(error.message, "symbolic link to nowhere") != NULL);
    CHECK(access(fresh("nowhere"), F_OK) != 0);
}

static void a_directory_that_others_may_change_is_told_or_refused(void) {
    char path[4300];
    snprintf(path, sizeof path, "%s", fresh("exposed"));
    OK(open_as(path, NULL, NULL));
    CHECK(error.message[0] == 0);
    CHECK(chmod(path, 0777) == 0);
    for (int round = 0; round < 2; round++) {
        const char *only = round ? "true" : "false";
        OK(open_as(path, "read_only", only));
        CHECK(error.os_code == 0 && strstr(error.message, "may be written by others, mode 777"));
    }
    OK(open_as(path, "writable_by_others", "tell"));
    CHECK(strstr(error.message, "writable_by_others=allow") != NULL);
    OK(open_as(path, "writable_by_others", "allow"));
    CHECK(error.message[0] == 0);
    GIVES(HOTCOLD_INVALID_ARGUMENT, open_as(path, "writable_by_others", "refuse"));
    CHECK(chmod(path, 0755) == 0);
    OK(open_as(path, "writable_by_others", "refuse"));
    CHECK(error.message[0] == 0);
    if (getuid() == 0) {
        CHECK(chown(path, 4711, (gid_t)-1) == 0);
        GIVES(HOTCOLD_INVALID_ARGUMENT, open_as(path, "writable_by_others", "refuse"));
        CHECK(strstr(error.message, "another user, number 4711") != NULL);
    }
    hotcold_t *s = NULL;
    CHECK(hotcold_open(path, NULL, &s, NULL) == HOTCOLD_OK);
    OK(hotcold_close(s, &error));
}

int main(void) {
    a_directory_of_others_is_refused_and_left_as_it_is();
    what_is_no_file_is_not_followed_waited_for_or_replaced();
    others_files_in_a_store_stay();
    a_segment_with_another_name_is_not_appended_to();
    a_backup_that_fails_takes_back_what_it_made();
    a_first_opening_that_was_broken_off_is_made_up_for();
    a_path_to_nowhere_says_what_to_do();
    a_directory_that_others_may_change_is_told_or_refused();
    return 0;
}
