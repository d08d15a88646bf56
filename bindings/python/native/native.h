/*
 * What the files of the extension share: arguments that are bytes, failures, and the types.
 *
 * The extension is a thin layer: one Python call is one C call. What is convenience and not speed
 * (options, views, the mapping's rest) is written in Python above it.
 *
 * 1. The GIL is released around every call that can wait, and taken again by every callback.
 * 2. Batches, cursors and queues are for one thread at a time: `busy` says that one is inside, and
 *    is only looked at and changed with the GIL held.
 * 3. A hotcold_t is a token that may be used after close, so that no call here looks whether its
 *    store is open.
 * 4. The main thread, which alone handles signals, makes no call that may take long: a job does,
 *    and the main thread waits for it at a latch, where a signal's handler can end the wait.
 * 5. Python is called from the library through python_enter(), which refuses when the interpreter
 *    ends, and under python_guard_push(): no thread that the interpreter ends unwinds the library.
 */
#ifndef HOTCOLD_NATIVE_H
#define HOTCOLD_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>

#include "hotcold.h"

/* A row of a method table: PREFIX_NAME(), how it is called, its arguments as Python shows them in
   the signature, and what it does. */
#define METHOD(prefix, name, flags, arguments, text)           \
  {#name, (PyCFunction)(void (*)(void))prefix##_##name, flags, \
   #name "($self, " arguments ")\n--\n\n" text}
#define FAST (METH_FASTCALL | METH_KEYWORDS)
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

/* Makes a call without the GIL; `status` becomes what it answered, or RAISED if a callback raised in
   this thread what is not to be swallowed. */
#define CALL(status, call)                                  \
  do {                                                      \
    Py_BEGIN_ALLOW_THREADS status = (call);                 \
    Py_END_ALLOW_THREADS                                    \
    if (callback_raised) status = callback_outcome(status); \
  } while (0)

/* No status of the library: the exception is set already. */
enum { RAISED = -1000 };

/* Bytes that an argument gave. They stay valid without the GIL until bytes_done(). */
typedef struct bytes_arg {
  const void *data;
  size_t len;
  Py_buffer view; /* only if held */
  int held;
} bytes_arg;

/* Takes bytes, or anything with a buffer of them; str is refused. -1 with an exception. */
int bytes_take(PyObject *from, bytes_arg *to);

static inline void bytes_done(bytes_arg *arg) {
  if (arg->held) PyBuffer_Release(&arg->view);
}

/* Keys that an iterable gave, as a C array. */
typedef struct keys_arg {
  PyObject *sequence;
  bytes_arg *args;
  hotcold_slice_t *slices;
  size_t len;
} keys_arg;

int keys_take(PyObject *iterable, keys_arg *to);
void keys_done(keys_arg *keys);

/* Seconds, or None for 0, as milliseconds; more than 0 never becomes 0. -1 with an exception. */
int milliseconds(PyObject *seconds, const char *name, uint64_t *to);

/* Milliseconds since the epoch as seconds, 0 as None. */
PyObject *seconds_or_none(uint64_t ms);

/* How to store, from keyword arguments that start at args[count]; counts what it understands. */
int store_options(PyObject *const *args, PyObject *names, hotcold_store_options_t *to);

/* Refuses anything but `count` positional arguments. */
int expect(const char *function, Py_ssize_t given, Py_ssize_t count);

/* The instance of hotcold.Error for a status; NULL with another exception. */
PyObject *error_new(hotcold_status_t status, const hotcold_error_t *error);

/* Sets the exception for a status below 0, or for a conflict. Returns NULL. */
PyObject *raise_status(hotcold_status_t status, const hotcold_error_t *error);

/* MisuseError: another thread is using the object. Returns NULL. */
PyObject *raise_busy(void);

/* None, as a new reference. */
static inline PyObject *none(void) { Py_RETURN_NONE; }

/* A Value that takes the reference in *value; on failure it is released. */
PyObject *value_new(hotcold_value_t *value);

/* The same as a memoryview on a Value. */
PyObject *value_view(hotcold_value_t *value);

/* The same as bytes, of which the value is released. */
PyObject *value_bytes(hotcold_value_t *value);

typedef struct StoreObject {
  PyObject_HEAD hotcold_t *store; /* NULL until it was opened */
  int is_closed;
  int is_left;        /* open when the interpreter ends: nothing closes it any more */
  unsigned int wanted; /* the kinds of events that callables have ever subscribed to */
} StoreObject;

typedef struct BatchObject {
  PyObject_HEAD hotcold_batch_t *batch; /* NULL once a job has taken it for good */
  Py_ssize_t len;
  size_t bytes;
  int busy;
} BatchObject;

/* ---- latch.c: waiting that a signal can end ---------------------------------------------- */

/* Closed at first, then opened once. */
typedef struct latch {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int is_open;
} latch;

void latch_init(latch *self);
void latch_destroy(latch *self);

/* From any thread, with the GIL or without. */
void latch_open(latch *self);

/* Waits without the GIL until it is open: 0. After `ms` milliseconds, unless 0: 1. When the handler
   of a signal raises: -1 with its exception. */
int latch_wait(latch *self, uint64_t ms);

/* How long the main thread waits at once, before it looks after signals again. */
enum { SLICE_MS = 50 };

uint64_t monotonic_ms(void);

/* ---- python.c: from the library into Python ---------------------------------------------- */

/* A thread that runs Python code from within the library; on its stack. */
typedef struct visit {
  struct visit *next, *previous;
  hotcold_t *store;
  unsigned long thread;
  unsigned int forks;
  PyGILState_STATE state;
} visit;

/* Takes the GIL. 0 if the interpreter ends and Python is not to be called any more. */
int python_enter(visit *self, hotcold_t *store);
void python_leave(visit *self);

/* Around all between python_enter() and python_leave(), in one block. The interpreter ends a daemon
   thread that wants the GIL too late by unwinding its stack (up to 3.13), which the library's part
   of it would not survive: such a thread stays here instead, and ends with the process. */
#define python_guard_push() pthread_cleanup_push(python_stay, NULL)
#define python_guard_pop() pthread_cleanup_pop(0)
void python_stay(void *unused);

/* Is another thread inside Python code that was called for this store? */
int python_is_visited(const hotcold_t *store);

/* Tells of what a callback raised: through the call that ran it if the program is to end
   (KeyboardInterrupt and its like, in the main thread), else through sys.unraisablehook. */
void callback_failed(PyObject *callback);

/* What the call is to raise; NULL most of the time. */
extern PyObject *callback_raised;
hotcold_status_t callback_outcome(hotcold_status_t status);

/* Is this the main thread, and not inside a callback? Only there can a wait be given up. */
int is_interruptible(void);

/* May this thread begin what can last, or has the interpreter's end begun? */
int is_welcome(void);

/* How many callbacks this thread is inside of, and how many of them are loads; whether a job made
   it. */
extern __thread int visits_here, loads_here, is_worker;

/* The number of forks that made this process. */
extern unsigned int forks;

int python_ready(PyObject *module);

/* ---- job.c: calls that may take long ----------------------------------------------------- */

/* A call, with arguments and results that are all its own: whoever waits for it may give up, and it
   goes on to its end. */
typedef struct job {
  void (*run)(struct job *self);                              /* without the GIL */
  hotcold_status_t (*call)(hotcold_t *, hotcold_error_t *);   /* for job_call() */
  hotcold_t *store;
  unsigned int tells; /* kinds of events that belong to the call: their callbacks run in the caller */
  hotcold_status_t status;
  hotcold_error_t error;
  char *path;
  hotcold_options_t *options;
  hotcold_t *opened;
  hotcold_batch_t *batch;
  hotcold_cursor_t *cursor;
  hotcold_slice_t *keys; /* one block, with their bytes behind them */
  hotcold_value_t *values;
  int32_t *statuses;
  char *text;
  size_t len, text_len, text_size, count, limit;
  uint64_t number, other;
  uint32_t flags;
  /* What follows is for job.c. */
  int references, is_given_up;
  unsigned long thread; /* who waits for it, or 0; with the GIL held */
  latch done;
  struct job *next, *previous;
} job;

/* A job on a store, or NULL with an exception. */
job *job_new(void (*run)(job *), hotcold_t *store);

/* The run of a job whose call takes nothing but the store. */
void job_call(job *self);

/* Gives it a copy of the keys. -1 with an exception. */
int job_take_keys(job *self, const keys_arg *keys);

/* Runs it here: 0. Or starts it on another thread, if this one has to look after signals: 1. -1
   with an exception, which may also be what a callback raised. */
int job_begin(job *self, StoreObject *store);

/* Waits for what was started, as latch_wait() does. It goes on when the wait ends early. */
int job_wait(job *self, uint64_t ms);

/* Begins it and waits for it, or gives it up: -1 with an exception. */
int job_do(job *self, StoreObject *store);

/* Starts it on another thread. -1 if there is none. */
int job_start(job *self);

/* Nobody will look at its results; a walk sees this and ends early. */
void job_give_up(job *self);
int job_is_given_up(const job *self);

/* It is freed when it has also ended. NULL is fine. */
void job_release(job *self);

/* Does a call of this store run that this thread does not wait for? */
int job_runs(const hotcold_t *store);

int job_ready(PyObject *module);
void job_forked(void);

/* ---- loads.c: one load for all who ask --------------------------------------------------- */

PyObject *store_retrieve_or_load(StoreObject *self, PyObject *const *args, Py_ssize_t count);

/* A key was changed, or all if NULL: who asks from now on is not given what an earlier load makes. */
void loads_overtake(const hotcold_t *store, const bytes_arg *key);
extern struct asking *loads_asking; /* NULL if nobody is, as most of the time */

static inline void loads_changed(const hotcold_t *store, const bytes_arg *key) {
  if (loads_asking) loads_overtake(store, key);
}

void loads_forked(void);

/* ------------------------------------------------------------------------------------------ */

extern PyTypeObject ValueType, StoreType, BatchType, CursorType, EventQueueType;

/* The value of a key in *value: 1. Absent: 0. Failed: -1 with an exception. */
int store_find(StoreObject *self, const bytes_arg *key, uint32_t flags, hotcold_value_t *value);

PyObject *store_cursor(StoreObject *self, PyObject *args);
PyObject *store_event_queue(StoreObject *self, PyObject *args);
PyObject *store_subscribe(StoreObject *self, PyObject *args);
PyObject *store_unsubscribe(StoreObject *self, PyObject *number);

/* Makes the type of events and adds it to the module. */
int events_ready(PyObject *module);

#endif
