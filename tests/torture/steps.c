/* Kills a process right after each kind of call by which a store makes, renames, removes, cuts, writes or syncs a file, and
 * asks what the directory still holds: `crash.h` says what that must be.
 *
 * The functions below stand in for those of the C library. They count the calls of each kind: in which phase (opening,
 * closing, or at work), on whose thread (the store's own, a writer's, or that of the caller of `compact` and `clear`),
 * which call, and on what file. So a checkpoint that is renamed, a log segment that is begun, an output that is synced,
 * a note and a segment that are removed, are kinds of their own. A first run of each form tells how many of each kind
 * there are. Then for each kind the process is killed after one of them, by the thread that made it:
 *
 * - at once, or
 * - when this thread has slept and the other threads have gone on meanwhile: what they store in the middle of a
 *   background step must be there too.
 *
 * The other calls of the background sleep now and then, so that its steps meet more of what the writers do. After every
 * second kill a process that recovers the directory is killed after one of its steps, whichever it is. */
#include "crash.h"
#include "room.h"
#include <sys/syscall.h>
#include <sys/uio.h>

enum { KINDS_MAX = 400, KIND_LEN = 64, RUN_MS = 400, LATE_MS = 1000, SHORT_KILLS = 12, ROUNDS = 10, KINDS_MIN = 25 };
static const uint32_t ANY = UINT32_MAX;

/* seen: how many the last run without a kind has made; kills: how many processes ended after one. */
typedef struct { char name[KIND_LEN]; _Atomic uint32_t seen, kills; } kind_t;

static struct kinds {
  kind_t           kind[KINDS_MAX];
  _Atomic uint32_t count, planned_kills;
} *kinds;

/* After which step the child is to end, of its kind or of all; `nth` 0: it only counts. */
static struct { bool is_armed; uint32_t kind, nth, sleep_us; } plan;

static const char      *phase = "open";
static _Atomic uint32_t made[KINDS_MAX], made_in_all; /* by this process */

/* ---- counting ------------------------------------------------------------------------------ */

/* The number of a kind, which is new perhaps. The lock is the child's own: one that is killed leaves nothing locked. */
static uint32_t number_of(const char *name) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  uint32_t               i = 0, count;
  must(pthread_mutex_lock(&lock) == 0);
  for (count = atomic_load(&kinds->count); i < count && strcmp(kinds->kind[i].name, name) != 0; i++) {}
  must(i < KINDS_MAX);
  if (i == count) {
    snprintf(kinds->kind[i].name, KIND_LEN, "%s", name);
    atomic_store(&kinds->count, count + 1);
  }
  pthread_mutex_unlock(&lock);
  return i;
}

/* A call on the file of that path was made. */
static void step(const char *call, const char *path) {
  if (!plan.is_armed) return;
  char        name[KIND_LEN];
  const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  while (*file >= '0' && *file <= '9') file++;
  snprintf(name, sizeof name, "%s: %s %s %.20s", phase, role, call, *file == '#' ? "(nameless)" : file);
  uint32_t kind = number_of(name), nth = atomic_fetch_add(&made[kind], 1) + 1;
  uint32_t nth_in_all = atomic_fetch_add(&made_in_all, 1) + 1;
  if (plan.kind == ANY ? nth_in_all == plan.nth : kind == plan.kind && nth == plan.nth) {
    if (plan.sleep_us) sleep_us(plan.sleep_us);
    atomic_fetch_add(&kinds->kind[kind].kills, 1);
    if (plan.kind != ANY) atomic_fetch_add(&kinds->planned_kills, 1);
    kill(getpid(), SIGKILL);
    pause();
  }
  if (plan.nth == 0) atomic_fetch_add(&kinds->kind[kind].seen, 1);
  if (strcmp(role, "writer") != 0 && mix(cycle * 1000003 + kind * 1009 + nth) % 8 == 0) sleep_us(mix(nth) % 2000);
}

static void step_on(const char *call, int fd) {
  char    link[40], path[512];
  ssize_t len;
  if (!plan.is_armed) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  len = readlink(link, path, sizeof path - 1);
  if (len < 0) return;
  path[len] = 0;
  step(call, path);
}

/* ---- standing in --------------------------------------------------------------------------- */

#define STAND_IN(real, told)                                                                                             \
  do {                                                                                                                   \
    long got = (real);                                                                                                   \
    if (got >= 0) told;                                                                                                  \
    return got;                                                                                                          \
  } while (0)

int openat(int directory, const char *name, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  int access = va_arg(rest, int);
  va_end(rest);
  int fd = (int)syscall(SYS_openat, directory, name, flags, access);
  if (fd >= 0 && flags & O_CREAT) step("creates", name);
  return fd;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  STAND_IN(syscall(SYS_linkat, from_dir, from, to_dir, to, flags), step("links", to));
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  STAND_IN(syscall(SYS_renameat2, from_dir, from, to_dir, to, 0), step("renames", to));
}
int unlinkat(int directory, const char *name, int flags) {
  STAND_IN(syscall(SYS_unlinkat, directory, name, flags), step("removes", name));
}
int fsync(int fd) { STAND_IN(syscall(SYS_fsync, fd), step_on("syncs", fd)); }
int fdatasync(int fd) { STAND_IN(syscall(SYS_fdatasync, fd), step_on("syncs", fd)); }
int ftruncate(int fd, off_t len) { STAND_IN(syscall(SYS_ftruncate, fd, len), step_on("cuts", fd)); }
int ftruncate64(int fd, off_t len) { STAND_IN(syscall(SYS_ftruncate, fd, len), step_on("cuts", fd)); }
int fallocate(int fd, int how, off_t at, off_t len) {
  STAND_IN(syscall(SYS_fallocate, fd, how, at, len), step_on("takes room for", fd));
}
ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
  STAND_IN(syscall(SYS_pwrite64, fd, from, len, at), step_on("writes", fd));
}
ssize_t pwrite64(int fd, const void *from, size_t len, off_t at) {
  STAND_IN(syscall(SYS_pwrite64, fd, from, len, at), step_on("writes", fd));
}
ssize_t pwritev(int fd, const struct iovec *from, int count, off_t at) {
  STAND_IN(syscall(SYS_pwritev, fd, from, count, at, 0), step_on("writes", fd));
}

/* ---- runs ---------------------------------------------------------------------------------- */

/* Segments of 2 MiB, of which the writers fill one every few milliseconds. What lives is a fraction of the capacity. */
static const char *const FORMS[] = {
    "cold_capacity=64MiB hot_capacity=1MiB compression=deflate:1 durability=sync warm_start=true",
    "cold_capacity=64MiB hot_capacity=64MiB compression=none sync_interval=10ms",
    "cold_capacity=64MiB hot_capacity=0 compression=deflate:1 sync_interval=0",
};

/* Room is short for a while and then is not, so that the reserve for a full disk comes and goes. */
static void *change_room(void *arg) {
  (void)arg;
  for (uint64_t n = 0;; n++, sleep_us(40000)) atomic_store(&free_bytes, (uint64_t)(n % 2 ? 3000 : 700) << 20);
  return NULL;
}

static void run(const char *path, const char *settings) {
  pthread_t thread;
  role          = "caller";
  plan.is_armed = true;
  must(cycle % 2 == 0 || pthread_create(&thread, NULL, change_room, NULL) == 0);
  store = open_store(path, settings);
  phase = "close";
  close_store(store);
  phase = "open";
  store = open_store(path, settings);
  phase = "work";
  work();
}

/* Opens what the killed process has left, and no more. */
__attribute__((noreturn)) static void recover(const char *path, const char *settings) {
  role          = "caller";
  phase         = "recovery";
  plan.is_armed = true;
  open_store(path, settings);
  kill(getpid(), SIGKILL);
  abort();
}

/* Another process that opens the stage's file: the store gives it away. */
static void want_stage(const char *path) {
  int fd = open(path_of(path, "STAGE"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) close(fd);
}

/* Runs the child until it has ended itself, or for so long; then perhaps a child that recovers; then both checks. */
static void kill_once(const char *path, const char *settings, uint64_t ms) {
  siginfo_t ended = {0};
  uint64_t  until = now_ns() + ms * 1000000u;
  pid_t     child;
  cycle++;
  if ((child = fork_child()) == 0) run(path, settings);
  for (uint64_t looks = 1; now_ns() < until && ended.si_pid == 0; looks++) {
    sleep_us(200);
    if (cycle % 3 == 0 && looks % 400 == 0) want_stage(path);
    must(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
  }
  kill(child, SIGKILL);
  await_killed(child, settings);
  snprintf(torture.context, sizeof torture.context, ", killed after %u. \"%s\" and %u us", plan.nth,
           plan.nth ? kinds->kind[plan.kind].name : "", plan.sleep_us);
  if (cycle % 4 < 2) {
    plan.kind     = ANY;
    plan.nth      = 1 + (uint32_t)(mix(cycle ^ torture.seed) % 12);
    plan.sleep_us = 0;
    if ((child = fork_child()) == 0) recover(path, settings);
    await_killed(child, settings);
  }
  check_all(path, settings);
  torture.context[0] = 0;
}

/* A run that counts, then a kill after one step of each kind that was seen, in an order of chance; `most` at most. */
static uint64_t form(const char *path, const char *settings, dice_t *d, uint64_t most) {
  uint32_t seen[KINDS_MAX], left = 0;
  uint64_t done = 0; /* kills that were planned */
  for (uint32_t i = 0; i < KINDS_MAX; i++) kinds->kind[i].seen = 0;
  memset(&plan, 0, sizeof plan);
  kill_once(path, settings, RUN_MS);
  for (uint32_t i = 0; i < atomic_load(&kinds->count); i++)
    if (kinds->kind[i].seen) seen[left++] = i;
  for (; left > 0 && done < most; done++) {
    uint32_t pick = (uint32_t)below(d, left), kind = seen[pick];
    seen[pick]    = seen[--left];
    plan.kind     = kind;
    plan.nth      = 1 + (uint32_t)below(d, (kinds->kind[kind].seen + 1) / 2);
    plan.sleep_us = chance(d, 2) ? 0 : (uint32_t)below(d, 8000);
    kill_once(path, settings, LATE_MS);
  }
  return done;
}

/* What a store does behind its callers' backs: all of it has happened, or the test tests nothing. */
static void expect_steps(void) {
  static const char *const STEPS[] = {"renames CHECKPOINT", "renames MANIFEST", "renames WARM",  "creates .seg", "syncs .seg",
                                      "syncs store",        "removes .seg",     "creates .gone", "removes .gone", "links STAGE",
                                      "removes STAGE",      "recovery: caller",   "creates RESERVE",  "cuts .seg",     "writes CHECKPOINT.new"};
  for (size_t i = 0; i < LENGTH(STEPS); i++) {
    uint32_t k = 0; /* a kind that has it */
    while (k < atomic_load(&kinds->count) && !strstr(kinds->kind[k].name, STEPS[i])) k++;
    if (k == atomic_load(&kinds->count)) fail("the store never \"%s\"", STEPS[i]);
  }
}

int main(int argc, char **argv) {
  torture_begin("steps", argc, argv);
  char     path[300];
  uint64_t planned = 0, killed = 0;
  dice_t   d       = dice(0);
  shared           = shared_memory(sizeof *shared);
  kinds            = shared_memory(sizeof *kinds);
  snprintf(path, sizeof path, "%s/store", torture.dir);
  for (int round = 0; round < (torture.is_long ? ROUNDS : 1); round++)
    for (size_t f = 0; f < LENGTH(FORMS); f++) planned += form(path, FORMS[f], &d, torture.is_long ? KINDS_MAX : SHORT_KILLS);
  for (uint32_t k = 0; k < atomic_load(&kinds->count); k++) {
    killed += kinds->kind[k].kills;
    if (torture.is_long || getenv("HOTCOLD_KINDS")) printf("%4u kills after \"%s\"\n", kinds->kind[k].kills, kinds->kind[k].name);
  }
  printf("steps: %u kinds of steps, %" PRIu64 " kills right after one (%u of the %" PRIu64 " planned), %" PRIu64 " operations acknowledged\n",
         atomic_load(&kinds->count), killed, kinds->planned_kills, planned, (uint64_t)shared->acknowledged);
  fflush(stdout);
  if (torture.is_long) expect_steps();
  must(atomic_load(&kinds->count) >= KINDS_MIN && kinds->planned_kills * 2 > planned);
  return torture_end();
}
