/* retrieve_or_load: one load for all who ask for a key, and waiting for it that a signal can end.
 *
 * The library lets one thread load and the others wait, but its wait cannot be given up. All who ask
 * through one handle ask here, so the wait is here, and the library never has to.
 *
 * Whoever asks is in a list meanwhile. Who finds another thread there that asks for the same key
 * looks whether the key has a value; if not it waits, and is given what the other one gets. A change
 * of the key marks those who ask already: they are not joined any more, and whoever asks then has a
 * load of its own, as the library does it. Inside a load nobody waits for another thread's, because
 * two loads could wait for each other.
 *
 * The list and the marks are looked at and changed with the GIL held.
 */
#include <stdlib.h>

#include "native.h"

/* What the one who asks gets, for those who wait for it. */
typedef struct answer {
  int references;
  latch known;
  hotcold_status_t status;
  hotcold_error_t error;
  PyObject *value; /* a Value, or NULL */
} answer;

/* One who asks; on its stack. */
typedef struct asking {
  struct asking *next, *previous;
  const hotcold_t *store;
  const bytes_arg *key;
  unsigned long thread;
  unsigned int forks;
  int is_overtaken;
  answer *answer; /* made by the first who waits */
} asking;

struct asking *loads_asking;

/* ---- the list ---------------------------------------------------------------------------- */

static void list_add(asking *self, const hotcold_t *store, const bytes_arg *key) {
  *self = (asking){.next = loads_asking,
                   .store = store,
                   .key = key,
                   .thread = PyThread_get_thread_ident(),
                   .forks = forks};
  if (loads_asking) loads_asking->previous = self;
  loads_asking = self;
}

static void list_remove(asking *self) {
  if (self->forks != forks) return;
  if (self->next) self->next->previous = self->previous;
  if (self->previous) self->previous->next = self->next;
  if (loads_asking == self) loads_asking = self->next;
}

void loads_forked(void) { loads_asking = NULL; }

static int is_same(const bytes_arg *one, const bytes_arg *other) {
  return one->len == other->len && (one->len == 0 || memcmp(one->data, other->data, one->len) == 0);
}

/* Another thread that asks for the key, and may be joined. */
static asking *find_other(const hotcold_t *store, const bytes_arg *key) {
  unsigned long own = PyThread_get_thread_ident();
  for (asking *at = loads_asking; at; at = at->next) {
    if (at->store == store && at->thread != own && !at->is_overtaken && is_same(at->key, key)) {
      return at;
    }
  }
  return NULL;
}

void loads_overtake(const hotcold_t *store, const bytes_arg *key) {
  for (asking *at = loads_asking; at; at = at->next) {
    if (at->store == store && (!key || is_same(at->key, key))) at->is_overtaken = 1;
  }
}

/* ---- waiting for another's answer -------------------------------------------------------- */

static void answer_release(answer *self) {
  if (--self->references > 0) return;
  Py_XDECREF(self->value);
  latch_destroy(&self->known);
  free(self);
}

/* Waits for what another thread gets, and returns the same. */
static PyObject *join(asking *other) {
  answer *self = other->answer;
  if (!self) {
    self = calloc(1, sizeof *self);
    if (!self) return PyErr_NoMemory();
    self->references = 1;
    latch_init(&self->known);
    other->answer = self;
  }
  self->references++;
  PyObject *result = NULL;
  if (latch_wait(&self->known, 0) == 0) {
    if (self->value) {
      result = PyMemoryView_FromObject(self->value);
    } else if (self->status < 0) {
      raise_status(self->status, &self->error);
    } else {
      result = none();
    }
  }
  answer_release(self);
  return result;
}

/* Gives those who wait what this thread has got. */
static void tell(asking *self, hotcold_status_t status, const hotcold_error_t *error,
                 PyObject *value) {
  answer *answer = self->answer;
  if (!answer) return;
  if (status < 0) answer->error = *error;
  answer->status = status == HOTCOLD_OK && !value ? HOTCOLD_OUT_OF_MEMORY : status;
  Py_XINCREF(value);
  answer->value = value;
  latch_open(&answer->known);
  answer_release(answer);
}

/* ---- asking ------------------------------------------------------------------------------ */

/* A load in progress: what to call, and what it raised. */
typedef struct load {
  hotcold_t *store;
  asking *asking;
  PyObject *function;
  PyObject *type, *value, *trace;
} load;

/* Hands over what the function returned: bytes, (bytes, seconds), or None for no value. */
static int hand_over(PyObject *result, hotcold_loaded_t *out) {
  PyObject *data = result, *ttl = Py_None;
  if (result == Py_None) return 0;
  if (PyTuple_Check(result) && !PyArg_ParseTuple(result, "OO", &data, &ttl)) return -1;
  uint64_t ms;
  bytes_arg bytes;
  if (milliseconds(ttl, "ttl", &ms) < 0 || bytes_take(data, &bytes) < 0) return -1;
  hotcold_error_t error;
  hotcold_status_t status;
  CALL(status, hotcold_loaded_set(out, bytes.data, bytes.len, ms, &error));
  bytes_done(&bytes);
  if (status == HOTCOLD_OK) return 0;
  raise_status(status, &error);
  return -1;
}

static int32_t run_load(void *user_data, const void *key, size_t len, hotcold_loaded_t *out) {
  load *self = user_data;
  visit visit;
  int done = -1;
  python_guard_push();
  if (python_enter(&visit, self->store)) {
    loads_here++;
    self->asking->is_overtaken = 0; /* what changed before this load begins is no matter to it */
    PyObject *result = PyObject_CallFunction(self->function, "y#", key, (Py_ssize_t)len);
    done = result ? hand_over(result, out) : -1;
    Py_XDECREF(result);
    if (done < 0) PyErr_Fetch(&self->type, &self->value, &self->trace);
    loads_here--;
    python_leave(&visit);
  }
  python_guard_pop();
  return done < 0;
}

/* Asks the library. */
static PyObject *ask(StoreObject *self, const bytes_arg *key, PyObject *function) {
  asking own;
  load call = {self->store, &own, function, NULL, NULL, NULL};
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_value_t value;
  list_add(&own, self->store, key);
  Py_BEGIN_ALLOW_THREADS status = hotcold_retrieve_or_load(self->store, key->data, key->len,
                                                           run_load, &call, &value, &error);
  Py_END_ALLOW_THREADS
  list_remove(&own);
  PyObject *found = status == HOTCOLD_OK ? value_new(&value) : NULL, *result = NULL;
  tell(&own, status, &error, found);
  if (call.type) {
    PyErr_Restore(call.type, call.value, call.trace); /* this thread's own load says more */
  } else if (callback_raised && callback_outcome(status) == RAISED) {
    /* and so does a callback */
  } else if (found) {
    result = PyMemoryView_FromObject(found);
  } else if (status < 0) {
    raise_status(status, &error);
  } else if (status != HOTCOLD_OK) {
    result = none();
  }
  Py_XDECREF(found);
  return result;
}

PyObject *store_retrieve_or_load(StoreObject *self, PyObject *const *args, Py_ssize_t count) {
  bytes_arg key;
  if (expect("retrieve_or_load", count, 2) < 0 || bytes_take(args[0], &key) < 0) return NULL;
  PyObject *result = NULL;
  if (loads_asking && !loads_here && find_other(self->store, &key)) {
    hotcold_value_t value;
    int found = store_find(self, &key, 0, &value);
    asking *other = found == 0 ? find_other(self->store, &key) : NULL;
    if (found > 0) result = value_view(&value);
    if (found == 0) result = other ? join(other) : ask(self, &key, args[1]);
  } else {
    result = ask(self, &key, args[1]);
  }
  bytes_done(&key);
  return result;
}
