/* Store: opening and closing, the calls on one key, many keys, and the care of a store. */
#include "native.h"

/* ---- lifecycle --------------------------------------------------------------------------- */

/* Fills options from a sequence of (name, text or number). */
static hotcold_options_t *options_from(PyObject *pairs) {
  hotcold_options_t *options = hotcold_options_new();
  if (!options) {
    PyErr_NoMemory();
    return NULL;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(pairs); i++) {
    const char *name;
    PyObject *value;
    hotcold_error_t error = {0};
    hotcold_status_t status;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(pairs, i), "sO", &name, &value)) goto failed;
    if (PyUnicode_Check(value)) {
      const char *text = PyUnicode_AsUTF8(value);
      if (!text) goto failed;
      status = hotcold_options_set(options, name, text, &error);
    } else {
      uint64_t number = PyLong_AsUnsignedLongLong(value);
      if (PyErr_Occurred()) goto failed;
      status = hotcold_options_set_u64(options, name, number, &error);
    }
    if (status != HOTCOLD_OK) {
      raise_status(status, &error);
      goto failed;
    }
  }
  return options;
failed:
  hotcold_options_free(options);
  return NULL;
}

static int store_init(StoreObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"path", "options", NULL};
  PyObject *path = Py_None, *pairs = NULL, *encoded = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO!", names, &path, &PyTuple_Type, &pairs)) {
    return -1;
  }
  if (self->store) {
    PyErr_SetString(PyExc_RuntimeError, "a store is opened once");
    return -1;
  }
  if (path != Py_None && !PyUnicode_FSConverter(path, &encoded)) return -1;
  hotcold_options_t *options = pairs ? options_from(pairs) : NULL;
  if (pairs && !options) {
    Py_XDECREF(encoded);
    return -1;
  }
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_t *store = NULL;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_open(encoded ? PyBytes_AS_STRING(encoded) : NULL, options, &store, &error);
  hotcold_options_free(options);
  Py_END_ALLOW_THREADS Py_XDECREF(encoded);
  if (status != HOTCOLD_OK) {
    raise_status(status, &error);
    return -1;
  }
  self->store = store;
  return 0;
}

static PyObject *store_close(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  if (!self->store || self->is_closed) Py_RETURN_NONE;
  hotcold_error_t error;
  hotcold_status_t status;
  self->is_closed = 1; /* before others can run, so that one thread closes */
  Py_BEGIN_ALLOW_THREADS status = hotcold_close(self->store, &error);
  Py_END_ALLOW_THREADS if (status == HOTCOLD_MISUSE) self->is_closed =
      0; /* from a callback: it stays open */
  if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

static void store_dealloc(StoreObject *self) {
  if (self->store && !self->is_closed) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    hotcold_error_t error;
    hotcold_status_t status;
    Py_BEGIN_ALLOW_THREADS status = hotcold_close(self->store, &error);
    Py_END_ALLOW_THREADS
        /* MISUSE is a forked child's, where the store is the parent's. And what was removed
           together with its directory is not missed. */
        int is_removed = status == HOTCOLD_IO && error.os_code == ENOENT;
    if (status < 0 && status != HOTCOLD_MISUSE && !is_removed) {
      raise_status(status, &error);
      PyErr_WriteUnraisable(NULL);
    }
    PyErr_Restore(type, value, trace);
  }
  Py_TYPE(self)->tp_free(self);
}

static PyObject *store_get_closed(StoreObject *self, void *Py_UNUSED(closure)) {
  return PyBool_FromLong(!self->store || self->is_closed);
}

/* ---- one key ----------------------------------------------------------------------------- */

static PyObject *store_store(StoreObject *self, PyObject *const *args, Py_ssize_t count,
                             PyObject *names) {
  if (expect("store", count, 2) < 0) return NULL;
  hotcold_store_options_t options;
  if (names && store_options(args + count, names, &options) < 0) return NULL;
  bytes_arg key, value;
  if (bytes_take(args[0], &key) < 0) return NULL;
  if (bytes_take(args[1], &value) < 0) {
    bytes_done(&key);
    return NULL;
  }
  hotcold_error_t error;
  hotcold_status_t status;
  uint64_t version;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_store_with(self->store, key.data, key.len, value.data, value.len,
                         names ? &options : NULL, sizeof options, &version, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  bytes_done(&value);
  if (status == HOTCOLD_OK) return PyLong_FromUnsignedLongLong(version);
  if (status != HOTCOLD_CONFLICT) return raise_status(status, &error);
  PyObject *conflict = error_new(status, NULL);
  PyObject *found = conflict ? PyLong_FromUnsignedLongLong(version) : NULL;
  if (found && PyObject_SetAttrString(conflict, "version", found) == 0) {
    PyErr_SetObject((PyObject *)Py_TYPE(conflict), conflict);
  }
  Py_XDECREF(found);
  Py_XDECREF(conflict);
  return NULL;
}

/* s[key] = value, and del s[key] where value is NULL. */
static int store_assign(StoreObject *self, PyObject *name, PyObject *data) {
  bytes_arg key, value = {0};
  if (bytes_take(name, &key) < 0) return -1;
  if (data && bytes_take(data, &value) < 0) {
    bytes_done(&key);
    return -1;
  }
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS if (data) {
    status = hotcold_store(self->store, key.data, key.len, value.data, value.len, &error);
  }
  else {
    status = hotcold_delete(self->store, key.data, key.len, &error);
  }
  Py_END_ALLOW_THREADS bytes_done(&key);
  bytes_done(&value);
  if (status == HOTCOLD_NOT_FOUND) PyErr_SetObject(PyExc_KeyError, name);
  if (status < 0) raise_status(status, &error);
  return status == HOTCOLD_OK ? 0 : -1;
}

/* The value of a key in *value: 1. Absent: 0. Failed: -1 with an exception. */
static int find(StoreObject *self, PyObject *name, uint32_t flags, hotcold_value_t *value) {
  bytes_arg key;
  if (bytes_take(name, &key) < 0) return -1;
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_retrieve_with(self->store, key.data, key.len, flags, value, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  if (status < 0) raise_status(status, &error);
  return status == HOTCOLD_OK ? 1 : status < 0 ? -1 : 0;
}

static PyObject *store_subscript(StoreObject *self, PyObject *name) {
  hotcold_value_t value;
  int found = find(self, name, 0, &value);
  if (found > 0) return value_bytes(&value);
  if (found == 0) PyErr_SetObject(PyExc_KeyError, name);
  return NULL;
}

static PyObject *store_get(StoreObject *self, PyObject *const *args, Py_ssize_t count) {
  if (count != 2 && expect("get", count, 1) < 0) return NULL;
  hotcold_value_t value;
  int found = find(self, args[0], 0, &value);
  if (found > 0) return value_bytes(&value);
  if (found < 0) return NULL;
  PyObject *instead = count == 2 ? args[1] : Py_None;
  Py_INCREF(instead);
  return instead;
}

static int retrieve_flags(PyObject *const *args, PyObject *names, uint32_t *flags) {
  *flags = 0;
  Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *name = PyTuple_GET_ITEM(names, i);
    uint32_t bit = 0;
    if (PyUnicode_CompareWithASCIIString(name, "promote") == 0) bit = HOTCOLD_RETRIEVE_NO_PROMOTE;
    if (PyUnicode_CompareWithASCIIString(name, "recency") == 0) bit = HOTCOLD_RETRIEVE_NO_RECENCY;
    int is_true = bit ? PyObject_IsTrue(args[i]) : -1;
    if (!bit) PyErr_Format(PyExc_TypeError, "unexpected keyword argument %R", name);
    if (is_true < 0) return -1;
    if (!is_true) *flags |= bit;
  }
  return 0;
}

static PyObject *retrieve_as(StoreObject *self, PyObject *const *args, Py_ssize_t count,
                             PyObject *names, PyObject *(*make)(hotcold_value_t *)) {
  uint32_t flags;
  if (expect("retrieve", count, 1) < 0) return NULL;
  if (retrieve_flags(args + count, names, &flags) < 0) return NULL;
  hotcold_value_t value;
  int found = find(self, args[0], flags, &value);
  if (found > 0) return make(&value);
  if (found < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *store_retrieve(StoreObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names) {
  return retrieve_as(self, args, count, names, value_view);
}

static PyObject *store_entry(StoreObject *self, PyObject *const *args, Py_ssize_t count,
                             PyObject *names) {
  return retrieve_as(self, args, count, names, value_new);
}

static PyObject *store_retrieve_into(StoreObject *self, PyObject *args) {
  PyObject *name;
  Py_buffer buffer;
  bytes_arg key;
  if (!PyArg_ParseTuple(args, "Ow*:retrieve_into", &name, &buffer)) return NULL;
  if (bytes_take(name, &key) < 0) {
    PyBuffer_Release(&buffer);
    return NULL;
  }
  hotcold_error_t error;
  hotcold_status_t status;
  size_t len;
  Py_BEGIN_ALLOW_THREADS status = hotcold_retrieve_into(self->store, key.data, key.len, buffer.buf,
                                                        (size_t)buffer.len, &len, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  PyBuffer_Release(&buffer);
  if (status == HOTCOLD_OK) return PyLong_FromSize_t(len);
  if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

static int store_contains(StoreObject *self, PyObject *name) {
  bytes_arg key;
  if (bytes_take(name, &key) < 0) return -1;
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS status = hotcold_contains(self->store, key.data, key.len, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  if (status < 0) raise_status(status, &error);
  return status == HOTCOLD_OK ? 1 : status < 0 ? -1 : 0;
}

static PyObject *store_delete(StoreObject *self, PyObject *name) {
  bytes_arg key;
  if (bytes_take(name, &key) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS status = hotcold_delete(self->store, key.data, key.len, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  if (status < 0) return raise_status(status, &error);
  return PyBool_FromLong(status == HOTCOLD_OK);
}

/* A load in progress: what to call, and what it raised. */
typedef struct load {
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
  Py_BEGIN_ALLOW_THREADS status = hotcold_loaded_set(out, bytes.data, bytes.len, ms, &error);
  Py_END_ALLOW_THREADS bytes_done(&bytes);
  if (status == HOTCOLD_OK) return 0;
  raise_status(status, &error);
  return -1;
}

static int32_t run_load(void *user_data, const void *key, size_t len, hotcold_loaded_t *out) {
  load *self = user_data;
  PyGILState_STATE state = PyGILState_Ensure();
  PyObject *result = PyObject_CallFunction(self->function, "y#", key, (Py_ssize_t)len);
  int done = result ? hand_over(result, out) : -1;
  Py_XDECREF(result);
  if (done < 0) PyErr_Fetch(&self->type, &self->value, &self->trace);
  PyGILState_Release(state);
  return done < 0;
}

static PyObject *store_retrieve_or_load(StoreObject *self, PyObject *const *args,
                                        Py_ssize_t count) {
  bytes_arg key;
  if (expect("retrieve_or_load", count, 2) < 0 || bytes_take(args[0], &key) < 0) return NULL;
  load call = {args[1], NULL, NULL, NULL};
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_value_t value;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_retrieve_or_load(self->store, key.data, key.len, run_load, &call, &value, &error);
  Py_END_ALLOW_THREADS bytes_done(&key);
  if (call.type) { /* this thread's own load raised: its exception says more */
    hotcold_value_release(&value);
    PyErr_Restore(call.type, call.value, call.trace);
    return NULL;
  }
  if (status == HOTCOLD_OK) return value_view(&value);
  if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

/* ---- many keys --------------------------------------------------------------------------- */

static PyObject *many_result(hotcold_value_t *values, const int32_t *statuses, size_t len,
                             const hotcold_error_t *first) {
  PyObject *list = PyList_New((Py_ssize_t)len);
  for (size_t i = 0; list && i < len; i++) {
    PyObject *item = Py_None;
    if (statuses[i] == HOTCOLD_OK) {
      item = value_view(&values[i]);
      memset(&values[i], 0, sizeof values[i]);
    } else if (statuses[i] < 0) {
      item = raise_status(statuses[i], first->status == statuses[i] ? first : NULL);
    } else {
      Py_INCREF(item);
    }
    if (item) {
      PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    } else {
      Py_CLEAR(list);
    }
  }
  for (size_t i = 0; i < len; i++) hotcold_value_release(&values[i]);
  return list;
}

static PyObject *store_retrieve_many(StoreObject *self, PyObject *iterable) {
  keys_arg keys;
  if (keys_take(iterable, &keys) < 0) return NULL;
  hotcold_value_t *values = PyMem_Calloc(keys.len + 1, sizeof *values);
  int32_t *statuses = PyMem_Calloc(keys.len + 1, sizeof *statuses);
  PyObject *result = NULL;
  if (values && statuses) {
    hotcold_error_t error;
    hotcold_status_t status;
    Py_BEGIN_ALLOW_THREADS status =
        hotcold_retrieve_many(self->store, keys.slices, keys.len, values, statuses, &error);
    Py_END_ALLOW_THREADS result = status == HOTCOLD_OK
                                      ? many_result(values, statuses, keys.len, &error)
                                      : raise_status(status, &error);
  } else {
    PyErr_NoMemory();
  }
  PyMem_Free(values);
  PyMem_Free(statuses);
  keys_done(&keys);
  return result;
}

static PyObject *store_warm_up(StoreObject *self, PyObject *iterable) {
  keys_arg keys;
  if (keys_take(iterable, &keys) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  size_t loaded;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_warm_up(self->store, keys.slices, keys.len, &loaded, &error);
  Py_END_ALLOW_THREADS keys_done(&keys);
  return status < 0 ? raise_status(status, &error) : PyLong_FromSize_t(loaded);
}

static PyObject *store_write(StoreObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"batch", "sync", NULL};
  BatchObject *batch;
  int is_sync = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|$p:write", names, &BatchType, &batch,
                                   &is_sync)) {
    return NULL;
  }
  if (batch->busy) return raise_busy();
  hotcold_error_t error;
  hotcold_status_t status;
  batch->busy = 1;
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_write(self->store, batch->batch, is_sync ? HOTCOLD_WRITE_SYNC : 0, &error);
  Py_END_ALLOW_THREADS batch->busy = 0;
  if (status != HOTCOLD_OK) return raise_status(status, &error);
  Py_RETURN_NONE;
}

/* How many keys there are: a walk, because expired ones do not count. */
static Py_ssize_t store_length(StoreObject *self) {
  hotcold_error_t error;
  hotcold_status_t status;
  Py_ssize_t count = 0;
  Py_BEGIN_ALLOW_THREADS hotcold_cursor_t *cursor;
  hotcold_slice_t key;
  status = hotcold_cursor_open(self->store, NULL, 0, &cursor, &error);
  while (status == HOTCOLD_OK) {
    status = hotcold_cursor_next(cursor, &key, &error);
    if (status == HOTCOLD_OK) count++;
  }
  hotcold_cursor_close(cursor);
  Py_END_ALLOW_THREADS if (status >= 0) return count;
  raise_status(status, &error);
  return -1;
}

/* ---- the whole store --------------------------------------------------------------------- */

static PyObject *whole(StoreObject *self,
                       hotcold_status_t (*call)(hotcold_t *, hotcold_error_t *)) {
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS status = call(self->store, &error);
  Py_END_ALLOW_THREADS if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

static PyObject *store_clear(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  return whole(self, hotcold_clear);
}

static PyObject *store_sync(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  return whole(self, hotcold_sync);
}

static PyObject *store_compact(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  return whole(self, hotcold_compact);
}

static PyObject *store_optimize_hot(StoreObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"target_bytes", NULL};
  PyObject *given = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:optimize_hot", names, &given)) return NULL;
  uint64_t target = given ? PyLong_AsUnsignedLongLong(given) : 0;
  if (PyErr_Occurred()) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  size_t demoted;
  Py_BEGIN_ALLOW_THREADS status = hotcold_optimize_hot(self->store, target, &demoted, &error);
  Py_END_ALLOW_THREADS return status < 0 ? raise_status(status, &error)
                                         : PyLong_FromSize_t(demoted);
}

static PyObject *store_backup(StoreObject *self, PyObject *path) {
  PyObject *encoded;
  if (!PyUnicode_FSConverter(path, &encoded)) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS status = hotcold_backup(self->store, PyBytes_AS_STRING(encoded), &error);
  Py_END_ALLOW_THREADS Py_DECREF(encoded);
  if (status < 0) return raise_status(status, &error);
  Py_RETURN_NONE;
}

static PyObject *store_verify(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  hotcold_error_t error;
  hotcold_status_t status;
  uint64_t records, damaged;
  Py_BEGIN_ALLOW_THREADS status = hotcold_verify(self->store, &records, &damaged, &error);
  Py_END_ALLOW_THREADS if (status < 0) return raise_status(status, &error);
  return Py_BuildValue("KK", (unsigned long long)records, (unsigned long long)damaged);
}

static PyObject *store_stats_text(StoreObject *self, PyObject *args) {
  const char *name = "json";
  if (!PyArg_ParseTuple(args, "|s:stats_text", &name)) return NULL;
  int32_t format = 0; /* no such format: the library says so */
  if (strcmp(name, "json") == 0) format = HOTCOLD_STATS_JSON;
  if (strcmp(name, "prometheus") == 0) format = HOTCOLD_STATS_PROMETHEUS;
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_value_t text;
  Py_BEGIN_ALLOW_THREADS status = hotcold_stats_text(self->store, format, &text, &error);
  Py_END_ALLOW_THREADS if (status < 0) return raise_status(status, &error);
  PyObject *result = PyUnicode_DecodeUTF8((const char *)text.data, (Py_ssize_t)text.len, "replace");
  hotcold_value_release(&text);
  return result;
}

static PyMethodDef store_methods[] = {
    METHOD(store, close, METH_NOARGS, "/",
           "Writes back, syncs and closes. Closing again does nothing."),
    METHOD(store, store, FAST,
           "key, value, /, *, ttl=None, if_version=None, cold_only=False, sync=False",
           "Stores a value and returns its version; ttl is in seconds.\n\nWith if_version the key "
           "must have that version, 0 for absent; otherwise\nConflictError, whose version is the "
           "one that it has."),
    METHOD(store, retrieve, FAST, "key, /, *, promote=True, recency=True",
           "The value as a memoryview that is not copied, or None."),
    METHOD(store, entry, FAST, "key, /, *, promote=True, recency=True",
           "The Value of a key, with version, expires_at and tier, or None."),
    METHOD(store, get, METH_FASTCALL, "key, default=None, /", "A copy of the value, or default."),
    METHOD(store, retrieve_into, METH_VARARGS, "key, buffer, /",
           "Copies the value into a buffer and returns its length, or None.\n\nBufferTooSmallError "
           "if it does not fit."),
    METHOD(store, retrieve_or_load, METH_FASTCALL, "key, load, /",
           "The value as a memoryview; on a miss load(key) makes it.\n\nWhat it returns is stored "
           "and given to all who ask: bytes, (bytes, ttl in\nseconds), or None for no value. What "
           "it raises is raised."),
    METHOD(store, retrieve_many, METH_O, "keys, /",
           "A list of memoryviews, None where a key is absent."),
    METHOD(store, delete, METH_O, "key, /", "Removes a key; tells whether it was there."),
    METHOD(store, clear, METH_NOARGS, "/", "Removes every key."),
    METHOD(store, write, KEYWORDS, "batch, *, sync=False", "Writes a batch: all of it or nothing."),
    METHOD(store, warm_up, METH_O, "keys, /",
           "Loads keys into hot; returns how many are hot then."),
    METHOD(store, optimize_hot, KEYWORDS, "target_bytes=0",
           "Demotes until hot holds so much; returns how many left."),
    METHOD(store, subscribe, METH_VARARGS, "callback, mask=0x7fffffff, /",
           "Has callback(event) called on the thread where the event happens.\n\nReturns a number "
           "for unsubscribe(). mask is bits of EventKind. What the\ncallback raises goes to "
           "sys.unraisablehook."),
    METHOD(store, unsubscribe, METH_O, "number, /",
           "Ends a subscription; tells whether there was one."),
    METHOD(store, event_queue, METH_VARARGS, "mask=0x7fffffff, capacity=1024, /",
           "The same events, to be pulled."),
    METHOD(store, cursor, METH_VARARGS, "prefix=b'', /", "A walk over the keys: an iterator."),
    METHOD(store, sync, METH_NOARGS, "/", "Makes everything acknowledged survive power loss."),
    METHOD(store, compact, METH_NOARGS, "/",
           "Compresses all and gives back all dead space, and waits."),
    METHOD(store, backup, METH_O, "path, /", "Makes a consistent copy, while in use."),
    METHOD(store, verify, METH_NOARGS, "/", "Checks every record: (records, damaged)."),
    METHOD(store, stats_text, METH_VARARGS, "format='json', /",
           "The stats as text: 'json' or 'prometheus'."),
    {NULL, NULL, 0, NULL}};

static PyGetSetDef store_getset[] = {
    {"closed", (getter)store_get_closed, NULL, "Whether the store was closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMappingMethods store_as_mapping = {
    .mp_length = (lenfunc)store_length,
    .mp_subscript = (binaryfunc)store_subscript,
    .mp_ass_subscript = (objobjargproc)store_assign,
};

static PySequenceMethods store_as_sequence = {.sq_contains = (objobjproc)store_contains};

PyTypeObject StoreType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hotcold._native.Store",
    .tp_doc = "The C calls on a store.",
    .tp_basicsize = sizeof(StoreObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)store_init,
    .tp_dealloc = (destructor)store_dealloc,
    .tp_methods = store_methods,
    .tp_getset = store_getset,
    .tp_as_mapping = &store_as_mapping,
    .tp_as_sequence = &store_as_sequence,
};
