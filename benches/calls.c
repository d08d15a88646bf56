/* What single calls of hotcold cost, for tools that watch from outside, and how long opening takes.
 *
 * usage: calls syscalls DIR            100,000 stores and as many hot retrieves of 1 KiB between marks, for strace
 *        calls store|none|full|hot|cold|promote|refused DIR N [EVICTION]
 *                                      prepares, then N calls: callgrind's counts at two N tell what one costs.
 *                                      none, full: stores without a hot tier, and into one that is full; promote, refused:
 *                                      retrieves whose values may enter a hot tier that is full, and whose may not
 *        calls open DIR                a store of 1,000,000 keys of 100 bytes: opened after a close, and after kill -9
 *
 * A mark is a write to file descriptor -1: it fails, and strace shows its text. */
#define _GNU_SOURCE
#include <hotcold.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PREPARED = 2000, SYSCALL_OPS = 100000, OPEN_KEYS = 1000000 };

static hotcold_error_t error;
static const char     *eviction; /* NULL: the library's choice */

static void must(hotcold_status_t status) {
  if (status == HOTCOLD_OK) return;
  fprintf(stderr, "calls: %s: %s\n", hotcold_status_name(status), error.message);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static hotcold_t *open_with(const char *dir, const char *hot_capacity) {
  hotcold_options_t *o = hotcold_options_new();
  hotcold_t         *s;
  must(hotcold_options_set(o, "hot_capacity", hot_capacity, &error));
  must(hotcold_options_set(o, "compression", "none", &error));
  if (eviction) must(hotcold_options_set(o, "eviction", eviction, &error));
  must(hotcold_open(dir, o, &s, &error));
  hotcold_options_free(o);
  return s;
}

static void key_of(char *key, uint64_t i) {
  i *= 0x9E3779B97F4A7C15u;
  memcpy(key, &i, 8);
  memcpy(key + 8, &i, 8);
}

static void store(hotcold_t *s, uint64_t i, size_t len) {
  static uint8_t value[1024];
  char           key[16];
  key_of(key, i);
  memcpy(value, key, 8);
  must(hotcold_store(s, key, sizeof key, value, len, &error));
}

static void retrieve_with(hotcold_t *s, uint64_t i, uint32_t flags) {
  char            key[16];
  hotcold_value_t v;
  key_of(key, i);
  must(flags ? hotcold_retrieve_with(s, key, sizeof key, flags, &v, &error) : hotcold_retrieve(s, key, sizeof key, &v, &error));
  if (memcmp(v.data, key, 8) != 0) exit(3);
  hotcold_value_release(&v);
}

static void retrieve(hotcold_t *s, uint64_t i) { retrieve_with(s, i, 0); }

static void mark(const char *text) {
  if (write(-1, text, strlen(text)) >= 0) exit(4);
}

static void syscalls(const char *dir) {
  hotcold_t *s = open_with(dir, "1GiB");
  for (uint64_t i = 0; i < PREPARED; i++) store(s, i, 1024); /* the first ones make files */
  mark("stores begin");
  for (uint64_t i = 0; i < SYSCALL_OPS; i++) store(s, i, 1024);
  mark("stores end");
  for (uint64_t i = 0; i < PREPARED; i++) retrieve(s, i);
  mark("retrieves begin");
  for (uint64_t i = 0; i < SYSCALL_OPS; i++) retrieve(s, i);
  mark("retrieves end");
  must(hotcold_close(s, &error));
}

static void calls(const char *what, const char *dir, uint64_t n) {
  bool       stores = !strcmp(what, "store") || !strcmp(what, "full") || !strcmp(what, "none");
  bool       small  = !strcmp(what, "full") || !strcmp(what, "promote") || !strcmp(what, "refused");
  bool       no_hot = !strcmp(what, "cold") || !strcmp(what, "none");
  uint32_t   flags  = !strcmp(what, "refused") ? HOTCOLD_RETRIEVE_NO_PROMOTE : 0;
  hotcold_t *s      = open_with(dir, no_hot ? "0" : small ? "1MiB" : "256MiB");
  for (uint64_t i = 0; i < PREPARED; i++) store(s, i, 1024);
  for (uint64_t i = 0; i < PREPARED; i++) retrieve(s, i);
  for (uint64_t i = 0; i < n; i++) {
    if (stores) store(s, i % PREPARED, 1024);
    else retrieve_with(s, i % PREPARED, flags);
  }
  must(hotcold_close(s, &error));
}

/* Fills a store in a child, which then closes it or is killed, and times opening in another. */
static void open_after(const char *dir, bool killed) {
  struct { volatile bool filled; volatile double seconds, closing; } *shared =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char  command[512];
  pid_t child;
  int   status;
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (shared == MAP_FAILED || system(command) != 0) exit(5);
  if ((child = fork()) == 0) {
    hotcold_t *s = open_with(dir, "64MiB");
    for (uint64_t i = 0; i < OPEN_KEYS; i++) store(s, i, 100);
    double from = now();
    if (!killed) must(hotcold_close(s, &error));
    shared->closing = now() - from;
    shared->filled  = true;
    if (killed) pause();
    _exit(0);
  }
  while (!shared->filled) {
    if (waitpid(child, &status, WNOHANG) == child && status != 0) exit(6);
    usleep(1000);
  }
  if (killed) kill(child, SIGKILL);
  waitpid(child, &status, 0);
  if ((child = fork()) == 0) {
    double     from = now();
    hotcold_t *s    = open_with(dir, "64MiB");
    shared->seconds = now() - from;
    for (uint64_t i = 0; i < OPEN_KEYS; i += 9973) retrieve(s, i);
    must(hotcold_close(s, &error));
    _exit(0);
  }
  if (waitpid(child, &status, 0) != child || status != 0) exit(7);
  printf("| after %s | %.3f s | %.1f s | %.3f s |\n", killed ? "kill -9" : "a clean close", shared->seconds, killed ? 3.0 : 0.3,
         shared->closing);
  fflush(stdout);
  if (system(command) != 0) exit(5);
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "syscalls")) syscalls(argv[2]);
  else if (argc == 4 || argc == 5) {
    eviction = argv[4];
    calls(argv[1], argv[2], strtoull(argv[3], NULL, 10));
  } else if (argc == 3 && !strcmp(argv[1], "open")) {
    printf("\n### Opening %d keys of 100-byte values\n\n| | open | goal | close before |\n|---|---:|---:|---:|\n", OPEN_KEYS);
    for (int i = 0; i < 6; i++) open_after(argv[2], i % 2 == 1);
  } else {
    fprintf(stderr, "usage: calls syscalls DIR | store|none|full|hot|cold|promote|refused DIR N [EVICTION] | open DIR\n");
    return 2;
  }
  return 0;
}
