/* Small disks, with segments of every size: several threads fill them with values of 100 bytes to 4 MiB and with batches,
 * and then each delete, clear and compact has to work, and stores again, without reopening; also when the store was opened
 * full, after a close or a kill, and where somebody else's file has taken the rest.
 *
 * It mounts file systems in its scratch directory, which needs root; without, it says so and ends well. `SMALL=word` leaves
 * out the set-ups in whose line the word is not. */
#include "torture.h"
#include <sys/mount.h>

enum { THREADS = 3, KEYS_MAX = 30000, BOUNDED_MIB = 24 /* what each thread writes where old keys make way */ };
typedef enum { DELETE, CLEAR, COMPACT, HALF, REOPEN, KILL, TAKEN, WAYS } way_t;
static const char *const ways[]  = {"delete", "clear", "compact", "half", "reopen", "kill", "taken"};
static const size_t      sizes[] = {100, 1024, 64 << 10, 1 << 20, 4 << 20};

static char       store_path[400], mount_path[300];
static hotcold_t *store;
static size_t     size_max; /* what a segment of the store takes */
static bool       with_compact, is_bounded;

typedef struct {
  uint64_t index, count, cycle;
  size_t   size[KEYS_MAX]; /* of each key, 0 once it is deleted */
} worker_t;
static worker_t *workers;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...) {
  char    command[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  if (system(command) != 0) fail("%s", command);
}

static void begin(const char *kind, unsigned mib) {
  run("mkdir -p %s", mount_path);
  if (!strcmp(kind, "tmpfs")) run("mount -t tmpfs -o size=%um tmpfs %s", mib, mount_path);
  else {
    run("dd if=/dev/zero of=%s/image bs=1M count=%u status=none && mkfs.%s -q %s/image", torture.dir, mib, kind, torture.dir);
    run("mount -o loop %s/image %s", torture.dir, mount_path);
  }
}

static uint64_t key_of(const worker_t *w, uint64_t n) { return n * THREADS + w->index + 1; }
static uint64_t id_of(const worker_t *w) { return w->cycle + 1; }

static uint8_t buffers[THREADS][4 << 20];

static hotcold_status_t put(worker_t *w, size_t size, hotcold_error_t *error) {
  uint64_t key   = key_of(w, w->count);
  uint8_t *value = buffers[w->index];
  value_make(value, size, key, id_of(w));
  hotcold_status_t status = hotcold_store(store, &key, sizeof key, value, size, error);
  if (status == HOTCOLD_OK) w->size[w->count++] = size;
  else if (status != HOTCOLD_NO_SPACE) fail("store of %zu: %s", size, error->message);
  return status;
}

/* Several at once, so that a segment may become longer than others are. */
static hotcold_status_t put_many(worker_t *w, size_t size, uint64_t many) {
  hotcold_error_t  error;
  hotcold_batch_t *batch = hotcold_batch_new();
  uint8_t         *value = buffers[w->index];
  for (uint64_t n = w->count; n < w->count + many; n++) {
    uint64_t key = key_of(w, n);
    value_make(value, size, key, id_of(w));
    expect(hotcold_batch_store(batch, &key, sizeof key, value, size, NULL, 0, &error), HOTCOLD_OK, &error, "batch_store");
  }
  hotcold_status_t status = expect2(hotcold_write(store, batch, 0, &error), HOTCOLD_OK, HOTCOLD_NO_SPACE, &error, "write");
  hotcold_batch_free(batch);
  for (uint64_t n = 0; status == HOTCOLD_OK && n < many; n++) w->size[w->count++] = size;
  return status;
}

static void *fill(void *arg) {
  worker_t       *w = arg;
  hotcold_error_t error;
  dice_t          d     = dice(w->index * 1000 + w->cycle);
  unsigned        refused = 0, largest = LENGTH(sizes);
  uint64_t        written = 0;
  w->count = 0;
  while (largest > 0 && sizes[largest - 1] > size_max) largest--;
  while (largest > 0 && w->count + 100 < KEYS_MAX && !(is_bounded && written >> 20 >= BOUNDED_MIB)) {
    size_t           size   = sizes[below(&d, largest)];
    hotcold_status_t status = chance(&d, 40) && size * 4 < size_max ? put_many(w, size, 4) : put(w, size, &error);
    if (status == HOTCOLD_OK) refused = 0, written += size;
    else if (++refused == 3) refused = 0, largest--;
  }
  return NULL;
}

static void delete_key(worker_t *w, uint64_t n) {
  hotcold_error_t error;
  uint64_t        key    = key_of(w, n);
  hotcold_status_t status = hotcold_delete(store, &key, sizeof key, &error);
  if (status == HOTCOLD_NOT_FOUND && is_bounded) status = HOTCOLD_OK; /* evicted */
  if (status != HOTCOLD_OK) fail("delete %" PRIu64 " of %" PRIu64 ", of %zu bytes: %s", n, w->count, w->size[n], error.message);
  w->size[n] = 0;
}

static void *delete_all(void *arg) {
  worker_t *w = arg;
  uint64_t  step = 1 + w->cycle % 7;
  for (uint64_t i = 0; i < step; i++)
    for (uint64_t n = i; n < w->count; n += step)
      if (w->size[n]) delete_key(w, n);
  return NULL;
}

static void *delete_half(void *arg) {
  worker_t *w = arg;
  for (uint64_t n = w->cycle % 2; n < w->count; n += 2) delete_key(w, n);
  return NULL;
}

static void all(void *(*work)(void *), uint64_t threads) {
  pthread_t others[THREADS];
  for (uint64_t i = 0; i < threads; i++) must(pthread_create(&others[i], NULL, work, &workers[i]) == 0);
  for (uint64_t i = 0; i < threads; i++) must(pthread_join(others[i], NULL) == 0);
}

static void check(void) {
  hotcold_error_t error;
  hotcold_value_t value;
  for (worker_t *w = workers; w < workers + THREADS; w++)
    for (uint64_t n = 0; n < w->count; n++) {
      uint64_t         key    = key_of(w, n);
      hotcold_status_t status = hotcold_retrieve(store, &key, sizeof key, &value, &error);
      expect2(status, w->size[n] ? HOTCOLD_OK : HOTCOLD_NOT_FOUND, HOTCOLD_NOT_FOUND, &error, "retrieve");
      if (status == HOTCOLD_NOT_FOUND && w->size[n] && !is_bounded) fail("key %" PRIu64 " is lost", key);
      if (status != HOTCOLD_OK) continue;
      if (!value_is(value.data, value.len, key, id_of(w), w->size[n])) fail("key %" PRIu64 " is not whole", key);
      hotcold_value_release(&value);
    }
}

static void no_leftovers(void) {
  DIR           *d = opendir(store_path);
  struct dirent *e;
  must(d != NULL);
  while ((e = readdir(d)))
    if (strstr(e->d_name, ".new")) fail("%s was left behind", e->d_name);
  closedir(d);
}

static void compact(void) {
  hotcold_error_t error;
  expect(hotcold_compact(store, &error), HOTCOLD_OK, &error, "compact");
}

static void clear(void) {
  hotcold_error_t error;
  expect(hotcold_clear(store, &error), HOTCOLD_OK, &error, "clear");
  for (worker_t *w = workers; w < workers + THREADS; w++) memset(w->size, 0, sizeof w->size);
}

/* Fills and is killed. */
static void fill_in_child(const char *settings, uint64_t threads) {
  int   status;
  pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    store = open_store(store_path, settings);
    all(fill, threads);
    check();
    kill(getpid(), SIGKILL);
  }
  must(waitpid(child, &status, 0) == child);
  if (!WIFSIGNALED(status)) fail("the child has failed");
}

static void take_the_rest(void) {
  static uint8_t zeros[4096];
  int            fd = open(path_of(mount_path, "taken"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  must(fd >= 0);
  while (write(fd, zeros, sizeof zeros) > 0) {}
  close(fd);
}

static void cycle(const char *settings, way_t way, uint64_t threads) {
  hotcold_error_t error;
  for (worker_t *w = workers; w < workers + THREADS; w++) w->count = 0;
  if (way == KILL) {
    close_store(store);
    fill_in_child(settings, threads);
    store = open_store(store_path, settings);
  } else {
    all(fill, threads);
  }
  uint64_t keys = 0;
  for (uint64_t i = 0; i < threads; i++) keys += workers[i].count;
  if (keys < 10) fail("only %" PRIu64 " keys fitted", keys);
  check();
  if (way == REOPEN || way == TAKEN) {
    if (way == TAKEN) take_the_rest();
    close_store(store);
    no_leftovers();
    if (way == TAKEN) take_the_rest();
    store = open_store(store_path, settings);
    check();
  }
  if (with_compact && way != CLEAR) compact();
  switch (way) {
  case CLEAR: clear(); break;
  case COMPACT:
    compact();
    check();
    all(delete_half, threads);
    compact();
    check();
    all(delete_all, threads);
    compact();
    break;
  case HALF:
    all(delete_half, threads);
    check();
    compact();
    check();
    clear();
    break;
  default: all(delete_all, threads);
  }
  check();
  if (way == TAKEN) unlink(path_of(mount_path, "taken"));
  for (unsigned i = 0; i < LENGTH(sizes); i++)
    for (unsigned k = 0; sizes[i] <= size_max && k < (i < 3 ? 10 : 2); k++)
      if (put(&workers[0], sizes[i], &error) != HOTCOLD_OK) fail("a store of %zu is refused after room was made: %s", sizes[i], error.message);
  check();
  all(delete_all, 1);
}

int main(int argc, char **argv) {
  static const char *const kinds[]      = {"tmpfs", "ext4"};
  static const unsigned    lengths[]    = {24, 32};
  static const char *const capacities[] = {"", " cold_capacity=16MiB", " cold_capacity=20MiB", " cold_capacity=24MiB", " cold_capacity=64MiB", " cold_capacity=1GiB"};
  static const char *const settings[]   = {"hot_capacity=0 compression=none", "hot_capacity=1MiB",
                                           "hot_capacity=1MiB durability=sync", "hot_capacity=0 durability=sync compression=none",
                                           "hot_capacity=1MiB sync_interval=0 compression=none"};
  torture_begin("small", argc, argv);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (geteuid() != 0) {
    printf("small: SKIPPED, mounting small file systems needs root\n");
    return torture_end();
  }
  must(snprintf(mount_path, sizeof mount_path, "%s/disk", torture.dir) < (int)sizeof mount_path);
  must(snprintf(store_path, sizeof store_path, "%s/store", mount_path) < (int)sizeof store_path);
  workers = shared_memory(THREADS * sizeof *workers);
  for (uint64_t i = 0; i < THREADS; i++) workers[i].index = i;
  uint64_t cycles = 0, setups = 0;
  for (size_t kind = 0; kind < LENGTH(kinds); kind++)
    for (size_t length = 0; length < LENGTH(lengths); length++)
      for (size_t capacity = 0; capacity < LENGTH(capacities); capacity++)
        for (size_t setting = 0; setting < LENGTH(settings); setting++) {
          char line[240], all_settings[200];
          snprintf(all_settings, sizeof all_settings, "%s%s", settings[setting], capacities[capacity]);
          snprintf(line, sizeof line, "%s %u MiB, %s", kinds[kind], lengths[length], all_settings);
          if (getenv("SMALL") && !strstr(line, getenv("SMALL"))) continue;
          if (!torture.is_long && (kind + length + capacity + setting) % 9 != torture.seed % 9) continue;
          begin(kinds[kind], lengths[length]);
          unsigned mib = capacity == 0 ? 0 : (unsigned)atoi(strchr(capacities[capacity], '=') + 1);
          size_max     = capacity == 0 || capacity == 5 ? SIZE_MAX : ((size_t)mib << 20) / 32 - 1000;
          is_bounded   = capacity != 0;
          store        = open_store(store_path, all_settings);
          setups++;
          for (uint64_t i = 0; i < (torture.is_long ? 20 : WAYS); i++, cycles++) {
            way_t    way     = (way_t)((i + setting) % WAYS);
            uint64_t threads = 1 + i % THREADS, started = now_ns();
            with_compact = i % 4 == 3;
            for (worker_t *w = workers; w < workers + THREADS; w++) w->cycle = i;
            snprintf(torture.context, sizeof torture.context, ", %s, cycle %" PRIu64 ", %s, %" PRIu64 " threads", line, i, ways[way], threads);
            cycle(all_settings, way, threads);
            if (getenv("VERBOSE")) printf("%s: %" PRIu64 " ms, %" PRIu64 " keys\n", torture.context + 2, (now_ns() - started) / 1000000, workers[0].count);
          }
          close_store(store);
          no_leftovers();
          run("umount %s", mount_path);
        }
  printf("small: %" PRIu64 " cycles on %" PRIu64 " small disks\n", cycles, setups);
  return torture_end();
}
