/* Job: a call that may take long, and a thread for it.
 *
 * In the main thread a job runs on a thread of its own, so that the main thread can look after
 * signals; elsewhere it runs where it is asked for. When a handler raises, the job is given up: the
 * call goes on to its end, with what belongs to the job, and the last one to let go frees it.
 *
 * All jobs that run are in a list, so that closing and the interpreter's end know of them.
 */
#include <signal.h>
#include <stdlib.h>

#include "native.h"

static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;
static job *running;

/* A thread that jobs run on, on its own stack. One that has nothing to do is kept, because making one
   takes longer than a short job. */
typedef struct worker {
  job *job; /* what it is to run next, or NULL */
  pthread_cond_t given;
} worker;

static worker *idle; /* with the lock held, as `job` */

job *job_new(void (*run)(job *), hotcold_t *store) {
  job *self = calloc(1, sizeof *self);
  if (!self) {
    PyErr_NoMemory();
    return NULL;
  }
  self->run = run;
  self->store = store;
  self->references = 1;
  latch_init(&self->done);
  return self;
}

void job_call(job *self) { self->status = self->call(self->store, &self->error); }

int job_take_keys(job *self, const keys_arg *keys) {
  size_t bytes = 0;
  for (size_t i = 0; i < keys->len; i++) bytes += keys->slices[i].len;
  self->keys = malloc(keys->len * sizeof *self->keys + bytes + 1);
  if (!self->keys) {
    PyErr_NoMemory();
    return -1;
  }
  char *to = (char *)(self->keys + keys->len);
  for (; self->len < keys->len; self->len++) {
    hotcold_slice_t key = keys->slices[self->len];
    if (key.len) memcpy(to, key.data, key.len);
    self->keys[self->len] = (hotcold_slice_t){to, key.len};
    to += key.len;
  }
  return 0;
}

void job_release(job *self) {
  if (!self || __atomic_sub_fetch(&self->references, 1, __ATOMIC_ACQ_REL) > 0) return;
  /* A store that nobody waited for. It has no callbacks. */
  if (self->opened) hotcold_close(self->opened, NULL);
  hotcold_options_free(self->options);
  hotcold_batch_free(self->batch);
  hotcold_cursor_close(self->cursor);
  for (size_t i = 0; self->values && i < self->len; i++) hotcold_value_release(&self->values[i]);
  free(self->path);
  free(self->keys);
  free(self->values);
  free(self->statuses);
  free(self->text);
  latch_destroy(&self->done);
  free(self);
}

/* These three with the lock held. */
static void list_add(job *self) {
  self->previous = NULL;
  self->next = running;
  if (running) running->previous = self;
  running = self;
}

static void list_remove(job *self) {
  if (self->next) self->next->previous = self->previous;
  if (self->previous) self->previous->next = self->next;
  if (running == self) running = self->next;
}

static int give_to_idle(job *self) {
  worker *worker = idle;
  if (!worker) return 0;
  idle = NULL;
  worker->job = self;
  pthread_cond_signal(&worker->given);
  return 1;
}

static void *work(void *given) {
  worker self = {given, PTHREAD_COND_INITIALIZER};
  is_worker = 1;
  while (self.job) {
    job *job = self.job;
    job->run(job);
    pthread_mutex_lock(&running_lock);
    list_remove(job);
    self.job = NULL;
    int is_kept = !idle;
    if (is_kept) idle = &self; /* before anybody is told, who may have another job at once */
    pthread_mutex_unlock(&running_lock);
    latch_open(&job->done);
    job_release(job);
    pthread_mutex_lock(&running_lock);
    while (is_kept && !self.job) pthread_cond_wait(&self.given, &running_lock);
    pthread_mutex_unlock(&running_lock);
  }
  return NULL;
}

/* Makes a thread for the job. Returns errno. */
static int make_worker(job *self) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* A signal that came to the new thread would not wake anybody. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&thread, &attributes, work, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return failed;
}

int job_start(job *self) {
  self->done.is_open = 0;
  self->references++;
  pthread_mutex_lock(&running_lock);
  list_add(self);
  int failed = give_to_idle(self) ? 0 : make_worker(self);
  if (failed) list_remove(self);
  pthread_mutex_unlock(&running_lock);
  if (failed) self->references--;
  return failed ? -1 : 0;
}

int job_wait(job *self, uint64_t ms) {
  self->thread = PyThread_get_thread_ident();
  int waited = latch_wait(&self->done, ms);
  if (waited != 0) self->thread = 0;
  return waited;
}

int job_begin(job *self, StoreObject *store) {
  if (!is_welcome()) {
    hotcold_error_t error = {HOTCOLD_MISUSE, 0, "the interpreter ends: nothing new is begun"};
    raise_status(HOTCOLD_MISUSE, &error);
    return -1;
  }
  int is_own = store && store->wanted & self->tells;
  if (!is_own && is_interruptible() && job_start(self) == 0) return 1;
  self->thread = PyThread_get_thread_ident();
  pthread_mutex_lock(&running_lock);
  list_add(self);
  pthread_mutex_unlock(&running_lock);
  Py_BEGIN_ALLOW_THREADS self->run(self);
  pthread_mutex_lock(&running_lock);
  list_remove(self);
  pthread_mutex_unlock(&running_lock);
  Py_END_ALLOW_THREADS
  return callback_raised && callback_outcome(HOTCOLD_OK) == RAISED ? -1 : 0;
}

int job_do(job *self, StoreObject *store) {
  int begun = job_begin(self, store);
  if (begun <= 0 || job_wait(self, 0) == 0) return begun < 0 ? -1 : 0;
  job_give_up(self);
  return -1;
}

void job_give_up(job *self) { __atomic_store_n(&self->is_given_up, 1, __ATOMIC_RELAXED); }

int job_is_given_up(const job *self) {
  return __atomic_load_n(&self->is_given_up, __ATOMIC_RELAXED);
}

/* With the lock held: does a job of the store run, but for `but` and what this thread waits for? */
static int runs_beside(const hotcold_t *store, const job *but) {
  unsigned long own = PyThread_get_thread_ident();
  for (job *at = running; at; at = at->next) {
    if (at != but && at->store == store && at->thread != own) return 1;
  }
  return 0;
}

int job_runs(const hotcold_t *store) {
  pthread_mutex_lock(&running_lock);
  int runs = runs_beside(store, NULL);
  pthread_mutex_unlock(&running_lock);
  return runs;
}

/* (closes that were given up and need but time, those that wait for another thread or call) */
static PyObject *job_closing(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
  int busy = 0, waiting = 0;
  pthread_mutex_lock(&running_lock);
  for (job *at = running; at; at = at->next) {
    if (at->call != hotcold_close || at->thread != 0) continue;
    int waits = python_is_visited(at->store) || runs_beside(at->store, at);
    waiting += waits;
    busy += !waits;
  }
  pthread_mutex_unlock(&running_lock);
  return Py_BuildValue("ii", busy, waiting);
}

static PyMethodDef functions[] = {
    {"closing", job_closing, METH_NOARGS,
     "How many stores are being closed by nobody's wait: those at work, those that wait."},
    {NULL, NULL, 0, NULL}};

int job_ready(PyObject *module) { return PyModule_AddFunctions(module, functions); }

void job_forked(void) {
  pthread_mutex_init(&running_lock, NULL);
  running = NULL;
  idle = NULL;
}
