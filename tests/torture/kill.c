/* Kills a process with SIGKILL at random moments of its work, again and again, and asks what the directory still holds:
 * `crash.h` says what that must be. */
#include "crash.h"

static const char *const FORMS[] = {
    "hot_capacity=0 compression=none",
    "hot_capacity=256KiB compression=deflate:6",
    "hot_capacity=64MiB compression=none warm_start=true",
    "hot_capacity=1MiB compression=deflate:1 sync_interval=10ms",
    "hot_capacity=0 compression=deflate:6 sync_interval=0",
    "hot_capacity=64MiB compression=deflate:6 durability=sync",
};

/* Sleeps until the moment of the kill: soon after the fork, some time after open, or in the middle of a clear or a compact. */
static void await_moment(dice_t *d, pid_t child) {
  uint64_t  kind = below(d, 5), until = now_ns() + 400000000u;
  siginfo_t ended = {0};
  if (kind == 0) {
    sleep_us(below(d, 10000));
    return;
  }
  while (!atomic_load(&shared->opened) && ended.si_pid == 0) {
    if (now_ns() > until + 60000000000u) fail("cycle %" PRIu64 ": open takes more than a minute", cycle);
    must(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
    sleep_us(100);
  }
  if (kind <= 2) sleep_us(below(d, 300000));
  else
    while (now_ns() < until &&
           !(kind == 3 ? atomic_load(&shared->clears_started) > atomic_load(&shared->clears_done) : atomic_load(&shared->compacting)))
      sleep_us(20);
  sleep_us(kind > 2 ? below(d, 300) : 0);
}

int main(int argc, char **argv) {
  torture_begin("kill", argc, argv);
  char     path[300];
  uint64_t cycles = torture.is_long ? 200 : 30, in_open = 0;
  dice_t   d      = dice(0);
  shared          = shared_memory(sizeof *shared);
  snprintf(path, sizeof path, "%s/store", torture.dir);
  for (cycle = 1; cycle <= cycles; cycle++) {
    const char *settings = FORMS[below(&d, LENGTH(FORMS))];
    pid_t       child    = fork_child();
    if (child == 0) {
      store = open_store(path, settings);
      work();
    }
    await_moment(&d, child);
    in_open += !atomic_load(&shared->opened);
    kill(child, SIGKILL);
    await_killed(child, settings);
    check_all(path, settings);
  }
  printf("kill: %" PRIu64 " kills (%" PRIu64 " before open returned), %" PRIu64 " operations acknowledged\n", cycles, in_open,
         (uint64_t)shared->acknowledged);
  return torture_end();
}
