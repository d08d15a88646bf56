/* What the programs share that damage a store's files in every way: the files of a store as bytes, a directory that each
 * variant is written to, and a worker process that goes through the variants. Its parent sees it crash or hang, says which
 * variant it was, and goes on behind it. All violations are counted and the first ones described. */
#ifndef VARIANTS_H
#define VARIANTS_H
#include "torture.h"

enum { FILES_MAX = 32, REPORTS_MAX = 20, LIMIT_MS = 10000 };

static struct { char name[64]; uint8_t *bytes; size_t len; } files[FILES_MAX];
static size_t file_count;

/* at: the variant in work; counts: what the program counts. */
static struct { _Atomic uint64_t at, since_ns, violations, slowest_ms, slowest, counts[4]; } *progress;

static char pristine[300], victim[300]; /* the store before, and the directory of the variant in work */
static char variant[512];               /* what is said of it */

__attribute__((format(printf, 1, 2))) static void violation(const char *format, ...) {
  va_list args;
  if (atomic_fetch_add(&progress->violations, 1) >= REPORTS_MAX) return;
  va_start(args, format);
  fprintf(stderr, "%s: VIOLATION (seed %" PRIu64 ", %s): ", torture.name, torture.seed, variant);
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
}

static void variants_begin(void) {
  snprintf(pristine, sizeof pristine, "%s/pristine", torture.dir);
  snprintf(victim, sizeof victim, "%s/victim", torture.dir);
  progress = shared_memory(sizeof *progress);
}

static size_t name_of(char *out, size_t key) { return (size_t)sprintf(out, "key-%zu", key); }

/* Lets a child make the store: what it leaves open is as after a kill. */
static void build_in_child(void (*build)(void)) {
  int   status;
  pid_t child;
  remove_tree(pristine);
  must((child = fork()) >= 0);
  if (child == 0) {
    build();
    _exit(0);
  }
  must(waitpid(child, &status, 0) == child && status == 0);
}

/* Takes the store's files into memory, with 64 bytes of room behind each. */
static void load_files(void) {
  DIR           *dir = opendir(pristine);
  struct dirent *e;
  must(dir != NULL);
  for (size_t i = 0; i < file_count; i++) free(files[i].bytes);
  file_count = 0;
  while ((e = readdir(dir))) {
    struct stat st;
    const char *path = path_of(pristine, e->d_name);
    must(stat(path, &st) == 0);
    if (!S_ISREG(st.st_mode)) continue;
    must(file_count < FILES_MAX);
    snprintf(files[file_count].name, sizeof files[0].name, "%.60s", e->d_name);
    files[file_count].len   = (size_t)st.st_size;
    files[file_count].bytes = malloc(files[file_count].len + 64);
    int fd                  = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, files[file_count].bytes, files[file_count].len) == (ssize_t)files[file_count].len);
    close(fd);
    file_count++;
  }
  closedir(dir);
}

static void write_file(const char *name, const uint8_t *bytes, size_t len) {
  int fd = open(path_of(victim, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
  close(fd);
}

static void write_files(void) {
  remove_tree(victim);
  must(mkdir(victim, 0700) == 0);
  for (size_t i = 0; i < file_count; i++) write_file(files[i].name, files[i].bytes, files[i].len);
}

/* ---- all variants -------------------------------------------------------------------------- */

static void work_through(uint64_t from, uint64_t stride, uint64_t end, void (*try_variant)(uint64_t)) {
  for (uint64_t n = from; n < end; n += stride) {
    atomic_store(&progress->since_ns, now_ns());
    atomic_store(&progress->at, n);
    try_variant(n);
    uint64_t ms = (now_ns() - atomic_load(&progress->since_ns)) / 1000000;
    if (ms <= atomic_load(&progress->slowest_ms)) continue;
    atomic_store(&progress->slowest_ms, ms);
    atomic_store(&progress->slowest, n);
  }
  _exit(0);
}

/* Waits for the worker; false when it crashed or hung. */
static bool watch(pid_t child) {
  int status;
  while (waitpid(child, &status, WNOHANG) == 0) {
    uint64_t since = atomic_load(&progress->since_ns), now = now_ns();
    if (now > since && now - since > (uint64_t)LIMIT_MS * 1000000u) kill(child, SIGKILL);
    sleep_us(2000);
  }
  if (status != 0)
    fprintf(stderr, "%s: the worker ended with %d after %" PRIu64 " ms\n", torture.name, status,
            (now_ns() - atomic_load(&progress->since_ns)) / 1000000);
  return status == 0;
}

/* Tries variant number `from`, and each `stride`th one behind it that is below `end`. `describe` writes to `variant`. */
static void try_all(uint64_t from, uint64_t stride, uint64_t end, void (*try_variant)(uint64_t), void (*describe)(uint64_t)) {
  while (from < end) {
    atomic_store(&progress->since_ns, now_ns());
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) work_through(from, stride, end, try_variant);
    if (watch(child)) return;
    describe(progress->at);
    violation("the process crashed or hung");
    from = progress->at + stride;
  }
}

#endif
