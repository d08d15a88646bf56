/* The module: arguments that are bytes, failures, and what `import hotcold._native` finds. */
#include "native.h"

/* hotcold._errors.make_error(status, os_code, message, version) */
static PyObject *make_error;

int bytes_take(PyObject *from, bytes_arg *to) {
  to->held = 0;
  if (PyBytes_Check(from)) {
    to->data = PyBytes_AS_STRING(from);
    to->len = (size_t)PyBytes_GET_SIZE(from);
    return 0;
  }
  if (PyObject_GetBuffer(from, &to->view, PyBUF_SIMPLE) < 0) return -1;
  to->held = 1;
  to->data = to->view.buf;
  to->len = (size_t)to->view.len;
  return 0;
}

int keys_take(PyObject *iterable, keys_arg *to) {
  memset(to, 0, sizeof *to);
  to->sequence = PySequence_Fast(iterable, "keys must be an iterable of bytes");
  if (!to->sequence) return -1;
  /* A tuple of its own: a list could be changed by others while the GIL is released. */
  PyObject *tuple = PySequence_Tuple(to->sequence);
  Py_SETREF(to->sequence, tuple);
  if (!tuple) return -1;
  size_t count = (size_t)PyTuple_GET_SIZE(tuple);
  to->args = PyMem_Calloc(count + 1, sizeof *to->args);
  to->slices = PyMem_Calloc(count + 1, sizeof *to->slices);
  if (!to->args || !to->slices) {
    PyErr_NoMemory();
    keys_done(to);
    return -1;
  }
  for (; to->len < count; to->len++) {
    bytes_arg *arg = &to->args[to->len];
    if (bytes_take(PyTuple_GET_ITEM(tuple, (Py_ssize_t)to->len), arg) < 0) {
      keys_done(to);
      return -1;
    }
    to->slices[to->len] = (hotcold_slice_t){arg->data, arg->len};
  }
  return 0;
}

void keys_done(keys_arg *keys) {
  for (size_t i = 0; i < keys->len; i++) bytes_done(&keys->args[i]);
  PyMem_Free(keys->args);
  PyMem_Free(keys->slices);
  Py_CLEAR(keys->sequence);
}

int milliseconds(PyObject *seconds, const char *name, uint64_t *to) {
  *to = 0;
  if (seconds == Py_None) return 0;
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) return -1;
  if (!(value > 0)) {
    PyErr_Format(PyExc_ValueError, "%s must be seconds above 0, or None", name);
    return -1;
  }
  double ms = value * 1000.0 + 0.5;
  *to = ms >= 18446744073709549568.0 ? UINT64_MAX : ms < 1.0 ? 1 : (uint64_t)ms;
  return 0;
}

PyObject *seconds_or_none(uint64_t ms) {
  if (ms == 0) Py_RETURN_NONE;
  return PyFloat_FromDouble((double)ms / 1000.0);
}

static int flag(PyObject *value, uint32_t bit, uint32_t *flags) {
  int is_true = PyObject_IsTrue(value);
  if (is_true > 0) *flags |= bit;
  return is_true < 0 ? -1 : 0;
}

int store_options(PyObject *const *args, PyObject *names, hotcold_store_options_t *to) {
  memset(to, 0, sizeof *to);
  Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[i];
    int done = 0;
    if (PyUnicode_CompareWithASCIIString(name, "ttl") == 0) {
      done = milliseconds(value, "ttl", &to->ttl);
    } else if (PyUnicode_CompareWithASCIIString(name, "if_version") == 0) {
      if (value == Py_None) continue;
      to->flags |= HOTCOLD_STORE_IF_VERSION;
      to->if_version = PyLong_AsUnsignedLongLong(value);
      done = PyErr_Occurred() ? -1 : 0;
    } else if (PyUnicode_CompareWithASCIIString(name, "cold_only") == 0) {
      done = flag(value, HOTCOLD_STORE_COLD_ONLY, &to->flags);
    } else if (PyUnicode_CompareWithASCIIString(name, "sync") == 0) {
      done = flag(value, HOTCOLD_STORE_SYNC, &to->flags);
    } else {
      PyErr_Format(PyExc_TypeError, "unexpected keyword argument %R", name);
      return -1;
    }
    if (done < 0) return -1;
  }
  return 0;
}

int expect(const char *function, Py_ssize_t given, Py_ssize_t count) {
  if (given == count) return 0;
  PyErr_Format(PyExc_TypeError, "%s() takes %zd positional arguments but %zd were given", function,
               count, given);
  return -1;
}

PyObject *error_new(hotcold_status_t status, const hotcold_error_t *error) {
  const char *message = error && error->message[0] ? error->message : hotcold_status_name(status);
  PyObject *text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
  if (!text) return NULL;
  return PyObject_CallFunction(make_error, "iiN", (int)status, error ? (int)error->os_code : 0,
                               text);
}

PyObject *raise_status(hotcold_status_t status, const hotcold_error_t *error) {
  if (status == RAISED) return NULL;
  PyObject *instance = error_new(status, error);
  if (instance) {
    PyErr_SetObject((PyObject *)Py_TYPE(instance), instance);
    Py_DECREF(instance);
  }
  return NULL;
}

PyObject *raise_busy(void) {
  hotcold_error_t error = {HOTCOLD_MISUSE, 0, "in use by another thread: one thread at a time"};
  return raise_status(HOTCOLD_MISUSE, &error);
}

static int add_type(PyObject *module, const char *name, PyTypeObject *type) {
  if (PyType_Ready(type) < 0) return -1;
  Py_INCREF(type);
  return PyModule_AddObject(module, name, (PyObject *)type);
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "hotcold._native",
                                        .m_doc = "The C side of hotcold.", .m_size = -1};

PyMODINIT_FUNC PyInit__native(void) {
  PyObject *errors = PyImport_ImportModule("hotcold._errors");
  if (!errors) return NULL;
  make_error = PyObject_GetAttrString(errors, "make_error");
  Py_DECREF(errors);
  if (!make_error) return NULL;
  PyObject *module = PyModule_Create(&definition);
  if (!module) return NULL;
  if (add_type(module, "Value", &ValueType) < 0 || add_type(module, "Store", &StoreType) < 0 ||
      add_type(module, "Batch", &BatchType) < 0 || add_type(module, "Cursor", &CursorType) < 0 ||
      add_type(module, "EventQueue", &EventQueueType) < 0 || events_ready(module) < 0 ||
      python_ready(module) < 0 || job_ready(module) < 0 ||
      PyModule_AddStringConstant(module, "library_version", hotcold_version_string()) < 0) {
    Py_DECREF(module);
    return NULL;
  }
  return module;
}
