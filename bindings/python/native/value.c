/* Value: a reference to bytes of the library, which Python reads in place. */
#include "native.h"

/* Copying this much takes a while, and so does freeing it, which may give memory back to the system:
   other threads go on meanwhile. */
enum { LARGE_BYTES = 1 << 20 };

typedef struct ValueObject {
  PyObject_HEAD hotcold_value_t value;
} ValueObject;

static void value_dealloc(ValueObject *self) {
  if (self->value.len >= LARGE_BYTES) {
    Py_BEGIN_ALLOW_THREADS hotcold_value_release(&self->value);
    Py_END_ALLOW_THREADS
  } else {
    hotcold_value_release(&self->value);
  }
  Py_TYPE(self)->tp_free(self);
}

PyObject *value_new(hotcold_value_t *value) {
  ValueObject *self = PyObject_New(ValueObject, &ValueType);
  if (!self) {
    hotcold_value_release(value);
    return NULL;
  }
  self->value = *value;
  return (PyObject *)self;
}

PyObject *value_view(hotcold_value_t *value) {
  PyObject *owner = value_new(value);
  if (!owner) return NULL;
  PyObject *view = PyMemoryView_FromObject(owner);
  Py_DECREF(owner); /* the view holds it */
  return view;
}

PyObject *value_bytes(hotcold_value_t *value) {
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)value->len);
  if (!bytes) {
    hotcold_value_release(value);
    return NULL;
  }
  char *to = PyBytes_AS_STRING(bytes); /* nobody else has it yet */
  if (value->len >= LARGE_BYTES) {
    Py_BEGIN_ALLOW_THREADS memcpy(to, value->data, value->len);
    hotcold_value_release(value);
    Py_END_ALLOW_THREADS
  } else {
    memcpy(to, value->data, value->len);
    hotcold_value_release(value);
  }
  return bytes;
}

static int value_buffer(ValueObject *self, Py_buffer *view, int flags) {
  /* Read-only: the bytes are shared with the hot tier. */
  return PyBuffer_FillInfo(view, (PyObject *)self, (void *)(uintptr_t)self->value.data,
                           (Py_ssize_t)self->value.len, 1, flags);
}

static PyBufferProcs value_as_buffer = {.bf_getbuffer = (getbufferproc)value_buffer};

static Py_ssize_t value_length(ValueObject *self) { return (Py_ssize_t)self->value.len; }

static PySequenceMethods value_as_sequence = {.sq_length = (lenfunc)value_length};

static PyObject *value_dunder_bytes(ValueObject *self, PyObject *Py_UNUSED(ignored)) {
  return PyBytes_FromStringAndSize((const char *)self->value.data, (Py_ssize_t)self->value.len);
}

static PyMethodDef value_methods[] = {
    {"__bytes__", (PyCFunction)value_dunder_bytes, METH_NOARGS, "A copy of the bytes."},
    {NULL, NULL, 0, NULL}};

static PyObject *value_get_view(ValueObject *self, void *Py_UNUSED(closure)) {
  return PyMemoryView_FromObject((PyObject *)self);
}

static PyObject *value_get_version(ValueObject *self, void *Py_UNUSED(closure)) {
  return PyLong_FromUnsignedLongLong(self->value.version);
}

static PyObject *value_get_expires_at(ValueObject *self, void *Py_UNUSED(closure)) {
  return seconds_or_none(self->value.expires_at);
}

static PyObject *value_get_tier(ValueObject *self, void *Py_UNUSED(closure)) {
  return PyUnicode_FromString(self->value.tier == HOTCOLD_TIER_HOT ? "hot" : "cold");
}

static PyGetSetDef value_getset[] = {
    {"view", (getter)value_get_view, NULL, "The bytes as a memoryview, not copied.", NULL},
    {"version", (getter)value_get_version, NULL,
     "Changes with every store of the key, never repeats.", NULL},
    {"expires_at", (getter)value_get_expires_at, NULL,
     "Seconds since the epoch, or None for never.", NULL},
    {"tier", (getter)value_get_tier, NULL, "Where it was found, 'hot' or 'cold'.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyObject *value_repr(ValueObject *self) {
  return PyUnicode_FromFormat("<hotcold.Value of %zd bytes, version %llu>",
                              (Py_ssize_t)self->value.len, (unsigned long long)self->value.version);
}

PyTypeObject ValueType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hotcold.Value",
    .tp_doc =
        "A value with its version, expiry and tier. The bytes are read in place, through\n"
        "the buffer protocol, and stay valid as long as this lives, also when the key is\n"
        "stored again or the store is closed.",
    .tp_basicsize = sizeof(ValueObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)value_dealloc,
    .tp_repr = (reprfunc)value_repr,
    .tp_as_buffer = &value_as_buffer,
    .tp_as_sequence = &value_as_sequence,
    .tp_methods = value_methods,
    .tp_getset = value_getset,
};
