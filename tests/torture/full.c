/* Fills small file systems to the last byte, and makes room again: what deletes, clears and compacts must work on a full
 * disk, stores must work again without reopening, and close must answer OK where nothing is lost.
 *
 * It mounts a tmpfs of 24 MiB and an ext4 of 32 MiB in its scratch directory, which needs root; without, it says so and
 * ends well. */
#include "torture.h"
#include <sys/mount.h>

typedef enum { DELETE_ALL, CLEAR, COMPACT, REOPEN, DELETE_HALF, WAYS } way_t;
static const char *const ways[] = {"delete all", "clear", "compact", "reopen", "delete half"};
#define EMPTY_KEYS (torture.is_long ? UINT64_MAX : 40000) /* the rest of the disk gets longer values */

static char     store_path[400], mount_path[300];
static uint64_t first_key, next_key, id_of_fill; /* keys of the present fill, and how its values are made */

static void run(const char *format, ...) {
  char    command[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  if (system(command) != 0) fail("%s", command);
}

static void begin(const char *kind) {
  run("mkdir -p %s", mount_path);
  if (!strcmp(kind, "tmpfs")) run("mount -t tmpfs -o size=24m tmpfs %s", mount_path);
  else {
    run("dd if=/dev/zero of=%s/image bs=1M count=32 status=none && mkfs.ext4 -q %s/image", torture.dir, torture.dir);
    run("mount -o loop %s/image %s", torture.dir, mount_path);
  }
}

static void end(void) { run("umount %s", mount_path); }

/* Nothing that was being replaced is left in the directory. */
static void no_leftovers(void) {
  DIR           *d = opendir(store_path);
  struct dirent *e;
  must(d != NULL);
  while ((e = readdir(d)))
    if (strstr(e->d_name, ".new")) fail("%s was left behind", e->d_name);
  closedir(d);
}

static size_t length_of(uint64_t key, size_t size) { return size - size / 4 + mix(key) % (size / 2 + 1); }

static hotcold_status_t put(hotcold_t *store, uint64_t key, size_t size) {
  static uint8_t  value[200000];
  hotcold_error_t error;
  value_make(value, length_of(key, size), key, id_of_fill);
  return expect2(hotcold_store(store, &key, sizeof key, value, length_of(key, size), &error), HOTCOLD_OK,
                 HOTCOLD_NO_SPACE, &error, "store");
}

static void check_key(hotcold_t *store, uint64_t key, size_t size) {
  hotcold_error_t error;
  hotcold_value_t value;
  expect(hotcold_retrieve(store, &key, sizeof key, &value, &error), HOTCOLD_OK, &error, "retrieve");
  if (!value_is(value.data, value.len, key, id_of_fill, length_of(key, size))) fail("key %" PRIu64 " is not whole", key);
  hotcold_value_release(&value);
}

/* Deletes one in `step` keys of the fill; each has to be possible. */
static void delete_keys(hotcold_t *store, uint64_t step) {
  hotcold_error_t error;
  for (uint64_t i = 0; i < step; i++)
    for (uint64_t key = first_key + i; key < next_key; key += step) {
      if (step == 2 && i == 1) return;
      hotcold_status_t status = hotcold_delete(store, &key, sizeof key, &error);
      if (status != HOTCOLD_OK)
        fail("delete of key %" PRIu64 " of %" PRIu64 " to %" PRIu64 ": %s", key, first_key, next_key, error.message);
    }
}

/* Fills until nothing fits for three times. */
static void fill(hotcold_t *store, size_t size) {
  uint64_t refused = 0;
  id_of_fill++;
  for (first_key = next_key; refused < 3;) {
    if (put(store, next_key, size) == HOTCOLD_OK) next_key++, refused = 0;
    else refused++;
  }
}

typedef struct {
  hotcold_t *store;
  uint64_t   first;
} deleter_t;

static void *delete_every_second(void *arg) {
  deleter_t      *d = arg;
  hotcold_error_t error;
  for (uint64_t key = d->first; key < next_key; key += 2)
    expect(hotcold_delete(d->store, &key, sizeof key, &error), HOTCOLD_OK, &error, "delete");
  return NULL;
}

/* A tombstone is as long as the record of an empty value. Some are stored anew, so that each segment has dead ones among
 * those that live, and two threads delete all while the background thread compacts: whatever takes the room that a
 * compaction has lent ends this. */
static void empty_values(hotcold_t *store) {
  hotcold_error_t error;
  pthread_t       other;
  uint64_t        full = 0, longer = 0;
  dice_t          d    = dice(9);
  snprintf(torture.context + strlen(torture.context), 40, ", empty values");
  expect(hotcold_clear(store, &error), HOTCOLD_OK, &error, "clear");
  expect(hotcold_compact(store, &error), HOTCOLD_OK, &error, "compact");
  for (first_key = next_key; full < 3 && next_key - first_key < EMPTY_KEYS;) {
    uint64_t         key    = next_key > first_key && chance(&d, 5) ? first_key + below(&d, next_key - first_key) : next_key;
    hotcold_status_t status = hotcold_store(store, &key, sizeof key, "", 0, &error);
    expect2(status, HOTCOLD_OK, HOTCOLD_NO_SPACE, &error, "store");
    if (status == HOTCOLD_OK) next_key += key == next_key, full = 0;
    else full++;
  }
  for (uint64_t size = 20000; full < 3 || size > 200;) {
    uint64_t key = UINT64_MAX - longer;
    if (put(store, key, size) == HOTCOLD_OK) longer++, full = 0;
    else if (++full >= 3 && size > 200) size /= 10, full = 0;
    else if (full >= 3) break;
  }
  deleter_t deleters[] = {{store, first_key}, {store, first_key + 1}};
  must(pthread_create(&other, NULL, delete_every_second, &deleters[1]) == 0);
  delete_every_second(&deleters[0]);
  must(pthread_join(other, NULL) == 0);
  expect(put(store, next_key++, 1000), HOTCOLD_OK, NULL, "store");
  expect(hotcold_clear(store, &error), HOTCOLD_OK, &error, "clear");
}

static void cycle(hotcold_t **store, const char *settings, way_t way, size_t size) {
  hotcold_error_t error;
  snprintf(torture.context + strlen(torture.context), 40, ", %s", ways[way]);
  fill(*store, size);
  if (next_key - first_key < 20) fail("only %" PRIu64 " keys fitted", next_key - first_key);
  for (uint64_t key = first_key; key < next_key; key += 1 + (next_key - first_key) / 50) check_key(*store, key, size);
  switch (way) {
  case CLEAR: expect(hotcold_clear(*store, &error), HOTCOLD_OK, &error, "clear"); break;
  case COMPACT:
    expect(hotcold_compact(*store, &error), HOTCOLD_OK, &error, "compact");
    delete_keys(*store, 1);
    expect(hotcold_compact(*store, &error), HOTCOLD_OK, &error, "compact");
    break;
  case REOPEN:
    close_store(*store);
    no_leftovers();
    *store = open_store(store_path, settings);
    for (uint64_t key = first_key; key < next_key; key += 1 + (next_key - first_key) / 50) check_key(*store, key, size);
    delete_keys(*store, 7);
    break;
  case DELETE_HALF:
    delete_keys(*store, 2);
    for (uint64_t key = next_key; key < next_key + 5; key++) expect(put(*store, key, size), HOTCOLD_OK, NULL, "store");
    next_key += 5;
    for (uint64_t key = first_key + 1; key < next_key - 6; key += 200) check_key(*store, key - (key - first_key) % 2 + 1, size);
    expect(hotcold_compact(*store, &error), HOTCOLD_OK, &error, "compact");
    expect(hotcold_clear(*store, &error), HOTCOLD_OK, &error, "clear");
    break;
  default: delete_keys(*store, 1);
  }
  for (uint64_t i = 0; i < 20; i++, next_key++) {
    if (put(*store, next_key, size) != HOTCOLD_OK) fail("a store is refused after room was made");
    check_key(*store, next_key, size);
  }
}

int main(int argc, char **argv) {
  static const char *const kinds[]    = {"tmpfs", "ext4"};
  static const char *const settings[] = {"hot_capacity=1MiB", "hot_capacity=0 cold_capacity=64MiB compression=none",
                                         "hot_capacity=1MiB durability=sync", "hot_capacity=0 sync_interval=0 compression=none"};
  static const size_t      sizes[]    = {100, 1000, 10000, 100000};
  torture_begin("full", argc, argv);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (geteuid() != 0) {
    printf("full: SKIPPED, mounting small file systems needs root\n");
    return torture_end();
  }
  must(snprintf(mount_path, sizeof mount_path, "%s/disk", torture.dir) < (int)sizeof mount_path);
  must(snprintf(store_path, sizeof store_path, "%s/store", mount_path) < (int)sizeof store_path);
  dice_t   d      = dice(0);
  uint64_t cycles = 0;
  for (size_t kind = 0; kind < LENGTH(kinds); kind++)
    for (size_t setting = 0; setting < LENGTH(settings); setting++) {
      begin(kinds[kind]);
      hotcold_t *store = open_store(store_path, settings[setting]);
      for (uint64_t i = 0; i < (torture.is_long ? 20 : 4); i++, cycles++) {
        size_t size = sizes[torture.is_long ? below(&d, 4) : (i + setting) % 4];
        /* A hundred thousand syncs are for the long form. */
        if (!torture.is_long && size < 1000 && strstr(settings[setting], "=sync")) size = 1000;
        snprintf(torture.context, sizeof torture.context, ", %s, %s, values of %zu, cycle %" PRIu64, kinds[kind],
                 settings[setting], size, i);
        uint64_t started = now_ns();
        cycle(&store, settings[setting], (way_t)((i + setting) % WAYS), size);
        if (getenv("VERBOSE")) printf("%s: %" PRIu64 " ms, %" PRIu64 " keys\n", torture.context + 2, (now_ns() - started) / 1000000, next_key - first_key);
      }
      if (torture.is_long || setting == (kind ? 3 : 0)) empty_values(store);
      fill(store, 1000);
      close_store(store);
      no_leftovers();
      end();
    }
  printf("full: %" PRIu64 " cycles on full disks\n", cycles);
  return torture_end();
}
