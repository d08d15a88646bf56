/* Makes the disk slow: each call below lasts SLOW_MS longer, in every process with this before the C
   library (LD_PRELOAD), as soon as the file named by SLOW_WHEN is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void slowly(void) {
  const char *when = getenv("SLOW_WHEN"), *ms = getenv("SLOW_MS");
  if (!when || !ms || access(when, F_OK) != 0) return;
  struct timespec left = {atoi(ms) / 1000, atoi(ms) % 1000 * 1000000L};
  while (nanosleep(&left, &left) != 0) continue;
}

#define SLOW(type, name, arguments, ...)                                           \
  type name arguments {                                                            \
    static type(*next) arguments;                                                  \
    if (!next) next = (type(*) arguments)dlsym(RTLD_NEXT, #name);                  \
    slowly();                                                                      \
    return next(__VA_ARGS__);                                                      \
  }

SLOW(ssize_t, pread, (int fd, void *to, size_t len, off_t at), fd, to, len, at)
SLOW(ssize_t, pread64, (int fd, void *to, size_t len, off_t at), fd, to, len, at)
SLOW(ssize_t, pwrite, (int fd, const void *from, size_t len, off_t at), fd, from, len, at)
SLOW(ssize_t, pwrite64, (int fd, const void *from, size_t len, off_t at), fd, from, len, at)
SLOW(ssize_t, pwritev, (int fd, const struct iovec *from, int n, off_t at), fd, from, n, at)
SLOW(ssize_t, pwritev64, (int fd, const struct iovec *from, int n, off_t at), fd, from, n, at)
SLOW(int, fsync, (int fd), fd)
SLOW(int, fdatasync, (int fd), fd)
