/* Batch: stores and deletes that are written together. Cursor: a walk over the keys. */
#include <stdlib.h>

#include "native.h"

/* ---- batch ------------------------------------------------------------------------------- */

static PyObject *batch_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                           PyObject *Py_UNUSED(kwargs)) {
  BatchObject *self = (BatchObject *)type->tp_alloc(type, 0);
  if (!self) return NULL;
  self->batch = hotcold_batch_new();
  if (self->batch) return (PyObject *)self;
  Py_DECREF(self);
  return PyErr_NoMemory();
}

static void batch_dealloc(BatchObject *self) {
  Py_BEGIN_ALLOW_THREADS hotcold_batch_free(self->batch);
  Py_END_ALLOW_THREADS Py_TYPE(self)->tp_free(self);
}

/* Counts what was added, or raises. */
static PyObject *added(BatchObject *self, hotcold_status_t status, const hotcold_error_t *error,
                       size_t bytes) {
  self->busy = 0;
  if (status != HOTCOLD_OK) return raise_status(status, error);
  self->len++;
  self->bytes += bytes;
  Py_RETURN_NONE;
}

static PyObject *batch_store(BatchObject *self, PyObject *const *args, Py_ssize_t count,
                             PyObject *names) {
  if (expect("store", count, 2) < 0) return NULL;
  hotcold_store_options_t options;
  if (store_options(args + count, names, &options) < 0) return NULL;
  bytes_arg key, value;
  if (bytes_take(args[0], &key) < 0) return NULL;
  if (bytes_take(args[1], &value) < 0) {
    bytes_done(&key);
    return NULL;
  }
  hotcold_error_t error;
  hotcold_status_t status = HOTCOLD_MISUSE;
  int was_busy = self->busy;
  if (!was_busy) {
    self->busy = 1;
    CALL(status, hotcold_batch_store(self->batch, key.data, key.len, value.data, value.len,
                                     &options, sizeof options, &error));
  }
  bytes_done(&key);
  bytes_done(&value);
  return was_busy ? raise_busy() : added(self, status, &error, key.len + value.len);
}

static PyObject *batch_delete(BatchObject *self, PyObject *name) {
  bytes_arg key;
  if (self->busy) return raise_busy();
  if (bytes_take(name, &key) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  self->busy = 1;
  CALL(status, hotcold_batch_delete(self->batch, key.data, key.len, &error));
  bytes_done(&key);
  return added(self, status, &error, key.len);
}

static Py_ssize_t batch_length(BatchObject *self) { return self->len; }

static PySequenceMethods batch_as_sequence = {.sq_length = (lenfunc)batch_length};

static PyMethodDef batch_methods[] = {
    METHOD(batch, store, FAST,
           "key, value, /, *, ttl=None, if_version=None, cold_only=False, sync=False",
           "Adds a store; nothing is written yet."),
    METHOD(batch, delete, METH_O, "key, /", "Adds a delete; the key need not be there."),
    {NULL, NULL, 0, NULL}};

PyTypeObject BatchType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hotcold._native.Batch",
    .tp_doc = "Stores and deletes that are collected first and then written together.",
    .tp_basicsize = sizeof(BatchObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = batch_new,
    .tp_dealloc = (destructor)batch_dealloc,
    .tp_methods = batch_methods,
    .tp_as_sequence = &batch_as_sequence,
};

/* ---- cursor ------------------------------------------------------------------------------ */

/* Keys are taken from the library some at a time: a step may take long, where a prefix fits few keys,
   so that it is a job, and a job costs too much for one key. */
enum { KEYS_MAX = 256, TEXT_MAX = 64 << 10 };

/* When taking some keys lasts longer than this, the next one is taken alone, so as to be given soon. */
enum { SLOW_MS = 2 };

typedef struct CursorObject {
  PyObject_HEAD hotcold_t *store;
  job *walk;          /* has the keys that come next; NULL once closed */
  size_t place, left; /* where the next of them stands, and how many there are */
  PyObject *key;      /* what it stands on, or NULL */
  int is_filling;     /* a wait was given up, and the walk still takes keys */
  unsigned int forks; /* those before it began to take keys */
  int busy;
} CursorObject;

/* Adds a key behind the others. */
static hotcold_status_t append(job *self, hotcold_slice_t key) {
  size_t needed = self->text_len + sizeof key.len + key.len;
  if (needed > self->text_size) {
    size_t size = needed + needed / 2;
    char *text = realloc(self->text, size);
    if (!text) return HOTCOLD_OUT_OF_MEMORY;
    self->text = text;
    self->text_size = size;
  }
  memcpy(self->text + self->text_len, &key.len, sizeof key.len);
  if (key.len) memcpy(self->text + self->text_len + sizeof key.len, key.data, key.len);
  self->text_len = needed;
  self->count++;
  return HOTCOLD_OK;
}

/* Takes up to `limit` keys. `status` is that of the last step. */
static void run_walk(job *self) {
  uint64_t begun = monotonic_ms();
  self->text_len = self->count = 0;
  self->error.message[0] = 0;
  self->status = HOTCOLD_OK;
  while (self->status == HOTCOLD_OK && self->count < self->limit && self->text_len < TEXT_MAX &&
         !job_is_given_up(self)) {
    hotcold_slice_t key;
    self->status = hotcold_cursor_next(self->cursor, &key, &self->error);
    if (self->status == HOTCOLD_OK) self->status = append(self, key);
  }
  int is_slow = monotonic_ms() - begun > SLOW_MS;
  self->limit = is_slow ? 1 : self->limit * 16 < KEYS_MAX ? self->limit * 16 : KEYS_MAX;
}

PyObject *store_cursor(StoreObject *store, PyObject *args) {
  PyObject *given = NULL;
  bytes_arg prefix = {0};
  if (!PyArg_ParseTuple(args, "|O:cursor", &given)) return NULL;
  if (given && bytes_take(given, &prefix) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status = HOTCOLD_OK;
  CursorObject *self = NULL;
  job *walk = job_new(run_walk, store->store);
  if (walk) {
    CALL(status,
         hotcold_cursor_open(store->store, prefix.data, prefix.len, &walk->cursor, &error));
    self = status < 0 ? NULL : PyObject_New(CursorObject, &CursorType);
    walk->limit = prefix.len ? 1 : 16;
  }
  bytes_done(&prefix);
  if (!self) {
    job_release(walk);
    return status < 0 ? raise_status(status, &error) : NULL;
  }
  self->store = store->store;
  self->walk = walk;
  self->place = self->left = 0;
  self->key = NULL;
  self->is_filling = self->busy = 0;
  return (PyObject *)self;
}

/* Ends the walk. One that still takes keys for a wait that was given up ends by itself. */
static void end_walk(CursorObject *self) {
  job *walk = self->walk;
  self->walk = NULL;
  Py_CLEAR(self->key);
  if (!walk) return;
  job_give_up(walk);
  Py_BEGIN_ALLOW_THREADS job_release(walk);
  Py_END_ALLOW_THREADS
}

static void cursor_dealloc(CursorObject *self) {
  end_walk(self);
  Py_TYPE(self)->tp_free(self);
}

/* Has the walk take more keys. -1 with an exception. */
static int fill(CursorObject *self) {
  job *walk = self->walk;
  int begun = 1;
  if (!self->is_filling) {
    walk->count = 0;
    self->forks = forks;
    begun = job_begin(walk, NULL);
  } else if (self->forks != forks) {
    raise_busy(); /* by a thread that this forked child does not have */
    return -1;
  }
  self->is_filling = begun > 0 && job_wait(walk, 0) != 0;
  if (self->is_filling) return -1;
  self->place = 0;
  self->left = walk->count;
  return begun < 0 ? -1 : 0;
}

/* The next key, or NULL; at the end without an exception. */
static PyObject *take(CursorObject *self) {
  job *walk = self->walk;
  /* What ended the last step is told after the keys before it. */
  if (self->left == 0) {
    hotcold_status_t status = walk->status;
    if (status != HOTCOLD_END) walk->status = HOTCOLD_OK;
    return status < 0 ? raise_status(status, &walk->error) : NULL;
  }
  size_t len;
  memcpy(&len, walk->text + self->place, sizeof len);
  PyObject *key =
      PyBytes_FromStringAndSize(walk->text + self->place + sizeof len, (Py_ssize_t)len);
  if (!key) return NULL;
  self->place += sizeof len + len;
  self->left--;
  return key;
}

static PyObject *cursor_next(CursorObject *self) {
  if (self->busy) return raise_busy();
  if (!self->walk) return NULL; /* a closed walk is at its end */
  Py_CLEAR(self->key);
  self->busy = 1;
  int is_empty = self->left == 0 && (self->is_filling || self->walk->status == HOTCOLD_OK);
  int failed = is_empty && fill(self) < 0;
  self->busy = 0;
  if (failed) return NULL;
  self->key = take(self);
  Py_XINCREF(self->key);
  return self->key;
}

static PyObject *cursor_value(CursorObject *self, PyObject *Py_UNUSED(ignored)) {
  if (self->busy) return raise_busy();
  hotcold_error_t error = {HOTCOLD_MISUSE, 0, "the cursor stands on no key; call next first"};
  if (!self->key) return raise_status(HOTCOLD_MISUSE, &error);
  /* The same look as hotcold_cursor_value() has, at a key that the library is beyond by now. */
  hotcold_status_t status;
  hotcold_value_t value;
  PyObject *key = self->key;
  Py_INCREF(key);
  CALL(status, hotcold_retrieve_with(self->store, PyBytes_AS_STRING(key),
                                     (size_t)PyBytes_GET_SIZE(key),
                                     HOTCOLD_RETRIEVE_NO_PROMOTE | HOTCOLD_RETRIEVE_NO_RECENCY,
                                     &value, &error));
  Py_DECREF(key);
  if (status == HOTCOLD_OK) return value_view(&value);
  if (status == RAISED) hotcold_value_release(&value);
  if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

static PyObject *cursor_close(CursorObject *self, PyObject *Py_UNUSED(ignored)) {
  if (self->busy) return raise_busy();
  end_walk(self);
  Py_RETURN_NONE;
}

static PyMethodDef cursor_methods[] = {
    METHOD(cursor, value, METH_NOARGS, "/",
           "The value of the key that came last, not promoted; None if it is gone."),
    METHOD(cursor, close, METH_NOARGS, "/", "Ends the walk."),
    {NULL, NULL, 0, NULL}};

PyTypeObject CursorType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hotcold.Cursor",
    .tp_doc = "A walk over the keys of a store: an iterator, for one thread at a time.",
    .tp_basicsize = sizeof(CursorObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)cursor_dealloc,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)cursor_next,
    .tp_methods = cursor_methods,
};
