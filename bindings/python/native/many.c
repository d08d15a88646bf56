/* Batch: stores and deletes that are written together. Cursor: a walk over the keys. */
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
static PyObject *added(BatchObject *self, hotcold_status_t status, const hotcold_error_t *error) {
  self->busy = 0;
  if (status != HOTCOLD_OK) return raise_status(status, error);
  self->len++;
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
    Py_BEGIN_ALLOW_THREADS status = hotcold_batch_store(
        self->batch, key.data, key.len, value.data, value.len, &options, sizeof options, &error);
    Py_END_ALLOW_THREADS
  }
  bytes_done(&key);
  bytes_done(&value);
  return was_busy ? raise_busy() : added(self, status, &error);
}

static PyObject *batch_delete(BatchObject *self, PyObject *name) {
  bytes_arg key;
  if (self->busy) return raise_busy();
  if (bytes_take(name, &key) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  self->busy = 1;
  Py_BEGIN_ALLOW_THREADS status = hotcold_batch_delete(self->batch, key.data, key.len, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  return added(self, status, &error);
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

typedef struct CursorObject {
  PyObject_HEAD hotcold_cursor_t *cursor; /* NULL once closed */
  int busy;
} CursorObject;

PyObject *store_cursor(StoreObject *store, PyObject *args) {
  PyObject *given = NULL;
  bytes_arg prefix = {0};
  if (!PyArg_ParseTuple(args, "|O:cursor", &given)) return NULL;
  if (given && bytes_take(given, &prefix) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_cursor_t *cursor;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_cursor_open(store->store, prefix.data, prefix.len, &cursor, &error);
  Py_END_ALLOW_THREADS bytes_done(&prefix);
  if (status < 0) return raise_status(status, &error);
  CursorObject *self = PyObject_New(CursorObject, &CursorType);
  if (!self) {
    hotcold_cursor_close(cursor);
    return NULL;
  }
  self->cursor = cursor;
  self->busy = 0;
  return (PyObject *)self;
}

static void cursor_dealloc(CursorObject *self) {
  Py_BEGIN_ALLOW_THREADS hotcold_cursor_close(self->cursor);
  Py_END_ALLOW_THREADS Py_TYPE(self)->tp_free(self);
}

static PyObject *cursor_next(CursorObject *self) {
  if (self->busy) return raise_busy();
  if (!self->cursor) return NULL; /* a closed walk is at its end */
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_slice_t key;
  self->busy = 1;
  Py_BEGIN_ALLOW_THREADS status = hotcold_cursor_next(self->cursor, &key, &error);
  Py_END_ALLOW_THREADS self->busy = 0; /* with the GIL held until the key is copied */
  if (status < 0) return raise_status(status, &error);
  if (status != HOTCOLD_OK) return NULL;
  return PyBytes_FromStringAndSize(key.data, (Py_ssize_t)key.len);
}

static PyObject *cursor_value(CursorObject *self, PyObject *Py_UNUSED(ignored)) {
  if (self->busy) return raise_busy();
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_value_t value;
  self->busy = 1;
  Py_BEGIN_ALLOW_THREADS status = hotcold_cursor_value(self->cursor, &value, &error);
  Py_END_ALLOW_THREADS self->busy = 0;
  if (status == HOTCOLD_OK) return value_view(&value);
  if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

static PyObject *cursor_close(CursorObject *self, PyObject *Py_UNUSED(ignored)) {
  if (self->busy) return raise_busy();
  hotcold_cursor_t *cursor = self->cursor;
  self->cursor = NULL;
  Py_BEGIN_ALLOW_THREADS hotcold_cursor_close(cursor);
  Py_END_ALLOW_THREADS Py_RETURN_NONE;
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
