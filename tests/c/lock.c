/* The lock of a directory: what loses it (nothing), and who is kept out (everybody else). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* Reads every file of the directory, as a copy, a checksum or `tar` does; removes them if told to. */
static void read_all(const char *path, int and_remove) {
    char name[8400], bytes[4096];
    struct dirent *entry;
    DIR *stream = opendir(path);
    CHECK(stream != NULL);
    while ((entry = readdir(stream)) != NULL) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int fd = open(name, O_RDONLY);
        CHECK(fd >= 0);
        while (read(fd, bytes, sizeof bytes) > 0) continue;
        CHECK(close(fd) == 0);
        if (and_remove && entry->d_name[0] != '.') CHECK(unlink(name) == 0);
    }
    CHECK(closedir(stream) == 0);
}

static int opens(const char *path, const char *read_only) {
    hotcold_options_t *o = hotcold_options_new();
    hotcold_t *s = NULL;
    OK(hotcold_options_set(o, "read_only", read_only, &error));
    int status = hotcold_open(path, o, &s, &error);
    hotcold_options_free(o);
    CHECK(hotcold_close(s, NULL) == HOTCOLD_OK);
    return status;
}

/* The same in another process, as that user. */
static int opens_elsewhere(const char *path, const char *read_only, uid_t user) {
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (user != 0 && setuid(user) != 0) _exit(77);
        _exit(-opens(path, read_only));
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void reading_and_removing_files_does_not_lose_it(void) {
    hotcold_t *s = OPEN(fresh("read"), NULL, NULL);
    put(s, "k", "v");
    read_all(fresh("read"), 0);
    CHECK(opens_elsewhere(fresh("read"), "false", 0) == HOTCOLD_LOCKED);
    CHECK(opens_elsewhere(fresh("read"), "true", 0) == HOTCOLD_LOCKED);
    char file[4300];
    snprintf(file, sizeof file, "%s/LOCK", fresh("read")); /* of 0.1.0, or a stranger's */
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
    read_all(fresh("read"), 1);
    CHECK(opens_elsewhere(fresh("read"), "false", 0) == HOTCOLD_LOCKED);
    GIVES(HOTCOLD_LOCKED, opens(fresh("read"), "false"));
    CHECK(hotcold_close(s, NULL) <= 0);
}

static void the_message_names_the_process(void) {
    char holder[64];
    hotcold_t *s = OPEN(fresh("named"), NULL, NULL);
    GIVES(HOTCOLD_LOCKED, opens(fresh("named"), "false"));
    CHECK(strstr(error.message, "this process has it open") != NULL);
    snprintf(holder, sizeof holder, "process %d has it open", (int)getpid());
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(opens(fresh("named"), "false") != HOTCOLD_LOCKED || !strstr(error.message, holder));
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    OK(hotcold_close(s, &error));
}

/* A wheel has a library of its own beside that of the system. */
static void two_copies_of_the_library_see_each_other(void) {
    Dl_info info;
    char copy[4300], command[9000];
    CHECK(dladdr((void *)(size_t)&hotcold_open, &info) != 0);
    if (!strstr(info.dli_fname, ".so")) return; /* linked statically */
    snprintf(copy, sizeof copy, "%s.so", fresh("copy"));
    snprintf(command, sizeof command, "cp '%s' '%s'", info.dli_fname, copy);
    CHECK(system(command) == 0);
    void *library = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    int32_t (*open_copy)(const char *, const hotcold_options_t *, hotcold_t **, hotcold_error_t *);
    int32_t (*close_copy)(hotcold_t *, hotcold_error_t *);
    *(void **)&open_copy = dlsym(library, "hotcold_open");
    *(void **)&close_copy = dlsym(library, "hotcold_close");
    CHECK(open_copy && close_copy && open_copy != hotcold_open);

    hotcold_t *s = NULL, *other = NULL;
    OK(hotcold_open(fresh("two"), NULL, &s, &error));
    GIVES(HOTCOLD_LOCKED, open_copy(fresh("two"), NULL, &other, &error));
    OK(hotcold_close(s, &error));
    OK(open_copy(fresh("two"), NULL, &other, &error));
    GIVES(HOTCOLD_LOCKED, hotcold_open(fresh("two"), NULL, &s, &error));
    /* A child of either has the lock of neither. */
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    OK(close_copy(other, &error));
    OK(hotcold_open(fresh("two"), NULL, &s, &error));
    OK(hotcold_close(s, &error));
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

/* Reads need no right to write, and are kept out all the same. */
static void a_reader_without_rights_is_kept_out(void) {
    char path[4300], command[9000];
    snprintf(path, sizeof path, "%s", fresh("rights"));
    hotcold_t *s = OPEN(path, NULL, NULL);
    put(s, "k", "v");
    snprintf(command, sizeof command, "chmod a+rX '%s/..' && chmod -R a+rX '%s'", path, path);
    CHECK(system(command) == 0);
    uid_t user = getuid() == 0 ? 65534 : 0;
    CHECK(opens_elsewhere(path, "true", user) == HOTCOLD_LOCKED);
    OK(hotcold_close(s, &error));
    CHECK(system(command) == 0);
    CHECK(opens_elsewhere(path, "true", user) == HOTCOLD_OK);
    if (user != 0) CHECK(opens_elsewhere(path, "false", user) == HOTCOLD_IO);
}

/* The process that has the store open forks and is killed; its child lives on. */
static void it_dies_with_its_process_and_not_with_a_child(void) {
    int ready[2], status = -1;
    char path[4300];
    pid_t grandchild = 0;
    snprintf(path, sizeof path, "%s", fresh("killed"));
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        hotcold_t *s = OPEN(path, NULL, NULL);
        put(s, "k", "v");
        pid_t own = fork();
        if (own == 0) {
            own = getpid();
            CHECK(write(ready[1], &own, sizeof own) == sizeof own);
        }
        for (;;) pause();
    }
    CHECK(read(ready[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    CHECK(opens(path, "false") == HOTCOLD_LOCKED);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    CHECK(kill(grandchild, 0) == 0);
    hotcold_t *s = OPEN(path, NULL, NULL);
    HAS(s, "k", "v");
    OK(hotcold_close(s, &error));
    CHECK(kill(grandchild, SIGKILL) == 0);
}

int main(void) {
    reading_and_removing_files_does_not_lose_it();
    the_message_names_the_process();
    two_copies_of_the_library_see_each_other();
    a_reader_without_rights_is_kept_out();
    it_dies_with_its_process_and_not_with_a_child();
    return 0;
}
