/* Store: opening and closing, the calls on one key, many keys, and the care of a store. */
#include <stdlib.h>

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

static void run_open(job *self) {
  self->status = hotcold_open(self->path, self->options, &self->opened, &self->error);
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
  job *job = job_new(run_open, NULL);
  if (!job || (encoded && !(job->path = strdup(PyBytes_AS_STRING(encoded))))) {
    if (job) PyErr_NoMemory();
    hotcold_options_free(options);
    options = NULL;
  }
  Py_XDECREF(encoded);
  int done = -1;
  if (!PyErr_Occurred()) {
    job->options = options;
    done = job_do(job, self);
  }
  if (done == 0 && job->status != HOTCOLD_OK) {
    raise_status(job->status, &job->error);
    done = -1;
  }
  if (done == 0) {
    self->store = job->opened;
    job->opened = NULL;
  }
  job_release(job);
  return done;
}

static PyObject *store_close(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  if (!self->store || self->is_closed) Py_RETURN_NONE;
  job *job = job_new(job_call, self->store);
  if (!job) return NULL;
  job->call = hotcold_close;
  self->is_closed = 1; /* before others can run, so that one thread closes */
  int done = job_do(job, self);
  hotcold_status_t status = done == 0 ? job->status : job_is_given_up(job) ? HOTCOLD_OK : RAISED;
  /* From a callback it stays open. */
  if (status == HOTCOLD_MISUSE || (done < 0 && !job_is_given_up(job))) self->is_closed = 0;
  if (done == 0 && status < 0) raise_status(status, &job->error);
  job_release(job);
  return PyErr_Occurred() ? NULL : none();
}

/* Has the store closed behind the program's back if a call of it still runs. */
static int close_behind(StoreObject *self) {
  if (!self->store || self->is_closed || !job_runs(self->store)) return 0;
  job *job = job_new(job_call, self->store);
  if (!job) return -1;
  job->call = hotcold_close;
  int started = job_start(job) == 0;
  if (started) self->is_closed = 1;
  job_release(job);
  return started;
}

static PyObject *store_close_behind(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  int done = close_behind(self);
  return done < 0 ? NULL : PyBool_FromLong(done);
}

/* The interpreter ends, and a daemon thread will not let go: what is unwritten is written, and the
   rest is left as it would be if the process died. */
static PyObject *store_leave(StoreObject *self, PyObject *args) {
  unsigned long long ms;
  if (!PyArg_ParseTuple(args, "K:leave", &ms)) return NULL;
  self->is_left = 1;
  if (!self->store || self->is_closed || ms == 0) Py_RETURN_NONE;
  job *job = job_new(job_call, self->store);
  if (!job) return NULL;
  job->call = hotcold_sync;
  int done = job_start(job) == 0 ? job_wait(job, ms) : 1;
  if (done == 0 && job->status < 0) raise_status(job->status, &job->error);
  job_release(job);
  return PyErr_Occurred() ? NULL : none();
}

static PyObject *store_get_busy(StoreObject *self, void *Py_UNUSED(closure)) {
  return PyBool_FromLong(self->store && !self->is_closed &&
                         (python_is_visited(self->store) || job_runs(self->store)));
}

static void store_dealloc(StoreObject *self) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  if (self->store && !self->is_closed && !self->is_left && close_behind(self) <= 0) {
    hotcold_error_t error;
    hotcold_status_t status;
    CALL(status, hotcold_close(self->store, &error));
    /* MISUSE is a forked child's, where the store is the parent's. And what was removed together
       with its directory is not missed. */
    int is_removed = status == HOTCOLD_IO && error.os_code == ENOENT;
    if (status < 0 && status != HOTCOLD_MISUSE && !is_removed) {
      raise_status(status, &error);
    }
  }
  if (PyErr_Occurred()) PyErr_WriteUnraisable(NULL);
  PyErr_Restore(type, value, trace);
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
  CALL(status, hotcold_store_with(self->store, key.data, key.len, value.data, value.len, names ? &options : NULL, sizeof options, &version, &error));
  if (status == HOTCOLD_OK) loads_changed(self->store, &key);
  bytes_done(&key);
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
  if (data) {
    CALL(status,
         hotcold_store(self->store, key.data, key.len, value.data, value.len, &error));
  } else {
    CALL(status, hotcold_delete(self->store, key.data, key.len, &error));
  }
  if (status >= 0) loads_changed(self->store, &key);
  bytes_done(&key);
  bytes_done(&value);
  if (status == HOTCOLD_NOT_FOUND) PyErr_SetObject(PyExc_KeyError, name);
  if (status < 0) raise_status(status, &error);
  return status == HOTCOLD_OK ? 0 : -1;
}

int store_find(StoreObject *self, const bytes_arg *key, uint32_t flags, hotcold_value_t *value) {
  hotcold_error_t error;
  hotcold_status_t status;
  CALL(status, hotcold_retrieve_with(self->store, key->data, key->len, flags, value, &error));
  if (status == RAISED) hotcold_value_release(value);
  if (status < 0) raise_status(status, &error);
  return status == HOTCOLD_OK ? 1 : status < 0 ? -1 : 0;
}

/* The same for a key as Python gives it. */
static int find(StoreObject *self, PyObject *name, uint32_t flags, hotcold_value_t *value) {
  bytes_arg key;
  if (bytes_take(name, &key) < 0) return -1;
  int found = store_find(self, &key, flags, value);
  bytes_done(&key);
  return found;
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
  CALL(status, hotcold_retrieve_into(self->store, key.data, key.len, buffer.buf, (size_t)buffer.len, &len, &error));
  bytes_done(&key);
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
  CALL(status, hotcold_contains(self->store, key.data, key.len, &error));
  bytes_done(&key);
  if (status < 0) raise_status(status, &error);
  return status == HOTCOLD_OK ? 1 : status < 0 ? -1 : 0;
}

static PyObject *store_delete(StoreObject *self, PyObject *name) {
  bytes_arg key;
  if (bytes_take(name, &key) < 0) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  CALL(status, hotcold_delete(self->store, key.data, key.len, &error));
  if (status >= 0) loads_changed(self->store, &key);
  bytes_done(&key);
  if (status < 0) return raise_status(status, &error);
  return PyBool_FromLong(status == HOTCOLD_OK);
}

/* ---- many keys --------------------------------------------------------------------------- */

/* From so many keys or bytes on a call may take long: it is a job then. */
enum { MANY = 64, MANY_BYTES = 1 << 20 };

/* Kinds of events that a call itself causes, and whose callbacks therefore run in its thread. */
enum { CALLERS_EVENTS = HOTCOLD_EVENT_ALL & ~(HOTCOLD_EVENT_COMPACTED | HOTCOLD_EVENT_ERROR) };

/* Does a job, and returns what it has counted. */
static PyObject *counted(job *job, StoreObject *store) {
  if (job_do(job, store) < 0) return NULL;
  return job->status < 0 ? raise_status(job->status, &job->error) : PyLong_FromSize_t(job->count);
}

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

static void run_retrieve_many(job *self) {
  self->status = hotcold_retrieve_many(self->store, self->keys, self->len, self->values,
                                       self->statuses, &self->error);
}

static PyObject *store_retrieve_many(StoreObject *self, PyObject *iterable) {
  keys_arg keys;
  if (keys_take(iterable, &keys) < 0) return NULL;
  if (keys.len < MANY) {
    hotcold_value_t values[MANY];
    int32_t statuses[MANY];
    hotcold_error_t error;
    memset(values, 0, keys.len * sizeof *values);
    hotcold_status_t status;
    CALL(status, hotcold_retrieve_many(self->store, keys.slices, keys.len, values, statuses,
                                       &error));
    PyObject *result = status == HOTCOLD_OK ? many_result(values, statuses, keys.len, &error)
                                            : raise_status(status, &error);
    if (status == RAISED) {
      for (size_t i = 0; i < keys.len; i++) hotcold_value_release(&values[i]);
    }
    keys_done(&keys);
    return result;
  }
  PyObject *result = NULL;
  job *job = job_new(run_retrieve_many, self->store);
  if (job && job_take_keys(job, &keys) == 0) {
    job->tells = CALLERS_EVENTS;
    job->values = calloc(keys.len, sizeof *job->values);
    job->statuses = calloc(keys.len, sizeof *job->statuses);
    if (!job->values || !job->statuses) {
      PyErr_NoMemory();
    } else if (job_do(job, self) == 0) {
      result = job->status == HOTCOLD_OK
                   ? many_result(job->values, job->statuses, job->len, &job->error)
                   : raise_status(job->status, &job->error);
    }
  }
  job_release(job);
  keys_done(&keys);
  return result;
}

static void run_warm_up(job *self) {
  self->status = hotcold_warm_up(self->store, self->keys, self->len, &self->count, &self->error);
}

static PyObject *store_warm_up(StoreObject *self, PyObject *iterable) {
  keys_arg keys;
  if (keys_take(iterable, &keys) < 0) return NULL;
  PyObject *result = NULL;
  job *job = job_new(run_warm_up, self->store);
  if (job && job_take_keys(job, &keys) == 0) {
    job->tells = CALLERS_EVENTS;
    result = counted(job, self);
  }
  job_release(job);
  keys_done(&keys);
  return result;
}

static void run_write(job *self) {
  self->status = hotcold_write(self->store, self->batch, self->flags, &self->error);
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
  uint32_t flags = is_sync ? HOTCOLD_WRITE_SYNC : 0;
  batch->busy = 1;
  if (batch->len < MANY && batch->bytes < MANY_BYTES) {
    hotcold_error_t error;
    hotcold_status_t status;
    CALL(status, hotcold_write(self->store, batch->batch, flags, &error));
    batch->busy = 0;
    loads_changed(self->store, NULL);
    if (status != HOTCOLD_OK) return raise_status(status, &error);
    Py_RETURN_NONE;
  }
  job *job = job_new(run_write, self->store);
  int done = -1;
  if (job) {
    job->tells = CALLERS_EVENTS;
    job->flags = flags;
    job->batch = batch->batch;
    batch->batch = NULL;
    done = job_do(job, self);
    loads_changed(self->store, NULL);
    if (done == 0 && job->status != HOTCOLD_OK) raise_status(job->status, &job->error);
  }
  /* A batch whose write was given up stays the job's, and busy. */
  if (!job || !job_is_given_up(job)) {
    if (job) batch->batch = job->batch;
    if (job) job->batch = NULL;
    batch->busy = 0;
  }
  job_release(job);
  return PyErr_Occurred() ? NULL : none();
}

static void run_length(job *self) {
  hotcold_slice_t key;
  self->status = hotcold_cursor_open(self->store, NULL, 0, &self->cursor, &self->error);
  while (self->status == HOTCOLD_OK && !job_is_given_up(self)) {
    self->status = hotcold_cursor_next(self->cursor, &key, &self->error);
    if (self->status == HOTCOLD_OK) self->count++;
  }
}

/* How many keys there are: a walk, because expired ones do not count. */
static Py_ssize_t store_length(StoreObject *self) {
  Py_ssize_t count = -1;
  job *job = job_new(run_length, self->store);
  if (job && job_do(job, self) == 0) {
    if (job->status >= 0) {
      count = (Py_ssize_t)job->count;
    } else {
      raise_status(job->status, &job->error);
    }
  }
  job_release(job);
  return count;
}

/* ---- the whole store --------------------------------------------------------------------- */

static PyObject *whole(StoreObject *self, unsigned int tells,
                       hotcold_status_t (*call)(hotcold_t *, hotcold_error_t *)) {
  job *job = job_new(job_call, self->store);
  if (!job) return NULL;
  job->call = call;
  job->tells = tells;
  int done = job_do(job, self);
  if (done == 0 && job->status < 0) raise_status(job->status, &job->error);
  job_release(job);
  return PyErr_Occurred() ? NULL : none();
}

static PyObject *store_clear(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  PyObject *result = whole(self, CALLERS_EVENTS, hotcold_clear);
  loads_changed(self->store, NULL);
  return result;
}

static PyObject *store_sync(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  return whole(self, 0, hotcold_sync);
}

static PyObject *store_compact(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  return whole(self, 0, hotcold_compact);
}

static void run_optimize_hot(job *self) {
  self->status = hotcold_optimize_hot(self->store, self->number, &self->count, &self->error);
}

static PyObject *store_optimize_hot(StoreObject *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"target_bytes", NULL};
  PyObject *given = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:optimize_hot", names, &given)) return NULL;
  uint64_t target = given ? PyLong_AsUnsignedLongLong(given) : 0;
  if (PyErr_Occurred()) return NULL;
  job *job = job_new(run_optimize_hot, self->store);
  if (!job) return NULL;
  job->number = target;
  job->tells = CALLERS_EVENTS;
  PyObject *result = counted(job, self);
  job_release(job);
  return result;
}

static void run_backup(job *self) {
  self->status = hotcold_backup(self->store, self->path, &self->error);
}

static PyObject *store_backup(StoreObject *self, PyObject *path) {
  PyObject *encoded;
  if (!PyUnicode_FSConverter(path, &encoded)) return NULL;
  job *job = job_new(run_backup, self->store);
  if (job && (job->path = strdup(PyBytes_AS_STRING(encoded)))) {
    if (job_do(job, self) == 0 && job->status < 0) raise_status(job->status, &job->error);
  } else {
    PyErr_NoMemory();
  }
  Py_DECREF(encoded);
  job_release(job);
  return PyErr_Occurred() ? NULL : none();
}

static void run_verify(job *self) {
  self->status = hotcold_verify(self->store, &self->number, &self->other, &self->error);
}

static PyObject *store_verify(StoreObject *self, PyObject *Py_UNUSED(ignored)) {
  PyObject *result = NULL;
  job *job = job_new(run_verify, self->store);
  if (job && job_do(job, self) == 0) {
    result = job->status < 0 ? raise_status(job->status, &job->error)
                             : Py_BuildValue("KK", (unsigned long long)job->number,
                                             (unsigned long long)job->other);
  }
  job_release(job);
  return result;
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
  CALL(status, hotcold_stats_text(self->store, format, &text, &error));
  if (status == RAISED) hotcold_value_release(&text);
  if (status < 0) return raise_status(status, &error);
  PyObject *result = PyUnicode_DecodeUTF8((const char *)text.data, (Py_ssize_t)text.len, "replace");
  hotcold_value_release(&text);
  return result;
}

static PyMethodDef store_methods[] = {
    METHOD(store, close, METH_NOARGS, "/",
           "Writes back, syncs and closes. Closing again does nothing."),
    {"_close_behind", (PyCFunction)store_close_behind, METH_NOARGS,
     "Closes without waiting, if a call that was given up still runs; tells whether."},
    {"_leave", (PyCFunction)store_leave, METH_VARARGS,
     "Syncs, for so many milliseconds at most; from then on the store is not closed."},
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
    {"_busy", (getter)store_get_busy, NULL, "Whether closing would wait for another thread.", NULL},
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
