/* From the library into Python: loads and callbacks, and what becomes of them at the interpreter's
 * end.
 *
 * When the interpreter ends, daemon threads may be inside a load or a callback, with the library
 * below them on their stacks, and the store's own thread runs. In this order:
 *
 * 1. The hook at exit calls end(1). From then on no thread but the main one, and those that work for
 *    it, enters Python: who is inside is known, and nobody is added. Stores that nobody is inside of
 *    are closed, others synced and left as they are.
 * 2. It calls end(2). Now the main thread alone may enter.
 * 3. The interpreter ends. A thread that was inside and wants the GIL again never gets it: it stays.
 *
 * `entrance` is held for reading from the look at the stage until the GIL is had, so that when end()
 * returns, whoever saw the stage before is inside already, and is seen there.
 */
#include <signal.h>
#include <unistd.h>

#include "native.h"

enum { RUNS = 0, ENDS = 1, ENDED = 2 };

static int stage = RUNS;
static pthread_rwlock_t entrance = PTHREAD_RWLOCK_INITIALIZER;

/* The only one that handles signals. */
static unsigned long main_thread;

/* With the GIL held. */
static visit *visits;

unsigned int forks;
__thread int visits_here, loads_here, is_worker;

static int is_main(void) { return PyThread_get_thread_ident() == main_thread; }

int is_interruptible(void) { return is_main() && visits_here == 0; }

int is_welcome(void) {
  int now = __atomic_load_n(&stage, __ATOMIC_SEQ_CST);
  return now == RUNS || is_main() || (now == ENDS && is_worker);
}

int python_enter(visit *self, hotcold_t *store) {
  pthread_rwlock_rdlock(&entrance);
  int may_enter = is_welcome();
  if (may_enter) self->state = PyGILState_Ensure();
  pthread_rwlock_unlock(&entrance);
  if (!may_enter) return 0;
  self->store = store;
  self->thread = PyThread_get_thread_ident();
  self->forks = forks;
  self->previous = NULL;
  self->next = visits;
  if (visits) visits->previous = self;
  visits = self;
  visits_here++;
  return 1;
}

void python_leave(visit *self) {
  visits_here--;
  if (self->forks == forks) {
    if (self->next) self->next->previous = self->previous;
    if (self->previous) self->previous->next = self->next;
    if (visits == self) visits = self->next;
  }
  PyGILState_Release(self->state);
}

void python_stay(void *Py_UNUSED(unused)) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  for (;;) pause();
}

int python_is_visited(const hotcold_t *store) {
  unsigned long own = PyThread_get_thread_ident();
  for (visit *at = visits; at; at = at->next) {
    if (at->store == store && at->thread != own) return 1;
  }
  return 0;
}

/* ---- what callbacks raise ---------------------------------------------------------------- */

PyObject *callback_raised;
static PyObject *raised_value, *raised_trace;

void callback_failed(PyObject *callback) {
  if (!is_main() || callback_raised || PyErr_ExceptionMatches(PyExc_Exception)) {
    PyErr_WriteUnraisable(callback);
  } else {
    PyErr_Fetch(&callback_raised, &raised_value, &raised_trace);
  }
}

hotcold_status_t callback_outcome(hotcold_status_t status) {
  if (!is_main()) return status;
  PyErr_Restore(callback_raised, raised_value, raised_trace);
  callback_raised = raised_value = raised_trace = NULL;
  return RAISED;
}

/* ---- the end, and forks ------------------------------------------------------------------ */

static PyObject *python_end(PyObject *Py_UNUSED(module), PyObject *number) {
  long next = PyLong_AsLong(number);
  if (next == -1 && PyErr_Occurred()) return NULL;
  main_thread = PyThread_get_thread_ident();
  __atomic_store_n(&stage, (int)next, __ATOMIC_SEQ_CST);
  Py_BEGIN_ALLOW_THREADS pthread_rwlock_wrlock(&entrance);
  pthread_rwlock_unlock(&entrance);
  Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

/* The child's one thread is its main thread, and what the others had is gone. */
static PyObject *python_forked(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
  forks++;
  main_thread = PyThread_get_thread_ident();
  is_worker = 0;
  visits = NULL;
  pthread_rwlock_init(&entrance, NULL);
  job_forked();
  loads_forked();
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"end", python_end, METH_O, "Tells how far the interpreter's end has come: 1, then 2."},
    {"forked", python_forked, METH_NOARGS, "Tells that this is a forked child."},
    {NULL, NULL, 0, NULL}};

int python_ready(PyObject *module) {
  PyObject *threading = PyImport_ImportModule("threading");
  PyObject *thread = threading ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
  PyObject *ident = thread ? PyObject_GetAttrString(thread, "ident") : NULL;
  if (ident) main_thread = PyLong_AsUnsignedLong(ident);
  Py_XDECREF(ident);
  Py_XDECREF(thread);
  Py_XDECREF(threading);
  return PyErr_Occurred() ? -1 : PyModule_AddFunctions(module, functions);
}
