/* Latch: waiting that a signal can end.
 *
 * Python runs the handlers of signals in its main thread, between two of its instructions. So a wait
 * there is cut into slices, and between two of them the handlers run; what one raises ends the wait.
 */
#include <errno.h>
#include <time.h>

#include "native.h"

void latch_init(latch *self) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&self->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&self->lock, NULL);
  self->is_open = 0;
}

void latch_destroy(latch *self) {
  pthread_cond_destroy(&self->changed);
  pthread_mutex_destroy(&self->lock);
}

void latch_open(latch *self) {
  pthread_mutex_lock(&self->lock);
  self->is_open = 1;
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

uint64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Is it open within so many milliseconds; without end if UINT64_MAX? */
static int opens(latch *self, uint64_t ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)(ms / 1000 % 1000000000);
  until.tv_nsec += (long)(ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&self->lock);
  int waited = 0;
  while (!self->is_open && waited != ETIMEDOUT) {
    waited = ms == UINT64_MAX ? pthread_cond_wait(&self->changed, &self->lock)
                              : pthread_cond_timedwait(&self->changed, &self->lock, &until);
  }
  int is_open = self->is_open;
  pthread_mutex_unlock(&self->lock);
  return is_open;
}

int latch_wait(latch *self, uint64_t ms) {
  uint64_t slice = is_interruptible() ? SLICE_MS : UINT64_MAX, until = ms ? monotonic_ms() + ms : 0;
  for (;;) {
    int is_open;
    Py_BEGIN_ALLOW_THREADS is_open = opens(self, slice);
    Py_END_ALLOW_THREADS
    if (is_open) return 0;
    if (PyErr_CheckSignals() < 0) return -1;
    if (until && monotonic_ms() >= until) return 1;
  }
}
