/* Kills a store that writes back, at random moments, and checks that what a sync had returned for is there whole.
 *
 * The child stores keys in order and syncs now and then; how far it had synced is in memory that parent and child share. */
#include "torture.h"

static size_t length_of(uint64_t key) { return 16 + mix(key) % 600; }

/* Stores on and on, from the first key that was not synced. */
static void work(const char *path, _Atomic uint64_t *synced) {
  hotcold_error_t error;
  hotcold_t      *store = open_store(path, "hot_capacity=1MiB write_mode=back");
  dice_t          d     = dice(getpid() ^ atomic_load(synced));
  uint8_t         value[1024];
  for (uint64_t key = atomic_load(synced);; key++) {
    value_make(value, length_of(key), key, key + 1);
    expect(hotcold_store(store, &key, sizeof key, value, length_of(key), &error), HOTCOLD_OK, &error, "store");
    if (chance(&d, 100)) {
      expect(hotcold_sync(store, &error), HOTCOLD_OK, &error, "sync");
      atomic_store(synced, key + 1);
    }
  }
}

int main(int argc, char **argv) {
  torture_begin("back", argc, argv);
  _Atomic uint64_t *synced = shared_memory(sizeof *synced);
  dice_t            d      = dice(torture.seed);
  uint64_t          kills  = torture.is_long ? 200 : 30;
  char              path[300];
  snprintf(path, sizeof path, "%s/store", torture.dir);
  for (uint64_t kill_number = 0; kill_number < kills; kill_number++) {
    pid_t           child = fork(); /* before open: the store is the child's */
    hotcold_error_t error;
    must(child >= 0);
    if (child == 0) work(path, synced);
    sleep_us(2000 + below(&d, 30000));
    must(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    hotcold_t *store = open_store(path, "hot_capacity=0");
    for (uint64_t key = 0; key < atomic_load(synced); key++) {
      hotcold_value_t value;
      expect(hotcold_retrieve(store, &key, sizeof key, &value, &error), HOTCOLD_OK, &error, "retrieve of a synced key");
      if (!value_is(value.data, value.len, key, key + 1, length_of(key))) fail("key %" PRIu64 " has another value", key);
      hotcold_value_release(&value);
    }
    close_store(store);
  }
  printf("back: %" PRIu64 " kills, %" PRIu64 " stores synced\n", kills, (uint64_t)atomic_load(synced));
  return torture_end();
}
