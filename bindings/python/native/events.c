/* Events: as calls of a Python callable, and as a queue to pull from. */
#include <time.h>

#include "native.h"

static PyTypeObject *event_type;

static PyStructSequence_Field event_fields[] = {
    {"kind", "One bit of EventKind."},
    {"key", "The key, or None."},
    {"value", "The value, or None if it is not at hand."},
    {"tier", "'hot', 'cold', or None if it is about no tier or both."},
    {"version", "The version of the value; 0 if there is none."},
    {"expires_at", "Seconds since the epoch, or None for never."},
    {"status", "The failure of an ERROR event; otherwise 0."},
    {"message", "What happened, in words; None but for ERROR and COMPACTED."},
    {"storage_id", "The store's name."},
    {NULL, NULL}};

static PyStructSequence_Desc event_description = {
    "hotcold.Event", "Something that has happened in a store.", event_fields, 9};

int events_ready(PyObject *module) {
  event_type = PyStructSequence_NewType(&event_description);
  if (!event_type) return -1;
  Py_INCREF(event_type);
  return PyModule_AddObject(module, "Event", (PyObject *)event_type);
}

static PyObject *none(void) { Py_RETURN_NONE; }

static PyObject *text_or_none(const char *text) {
  if (!text) return none();
  return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyObject *bytes_or_none(const void *data, size_t len) {
  return data ? PyBytes_FromStringAndSize(data, (Py_ssize_t)len) : none();
}

/* Everything is copied: the event is valid during the call only. */
static PyObject *event_new(const hotcold_event_t *event) {
  PyObject *self = PyStructSequence_New(event_type);
  if (!self) return NULL;
  const char *tier = event->tier == HOTCOLD_TIER_HOT    ? "hot"
                     : event->tier == HOTCOLD_TIER_COLD ? "cold"
                                                        : NULL;
  PyObject *items[9] = {
      PyLong_FromUnsignedLong(event->kind),
      bytes_or_none(event->key, event->key_len),
      bytes_or_none(event->value, event->value_len),
      text_or_none(tier),
      PyLong_FromUnsignedLongLong(event->version),
      seconds_or_none(event->expires_at),
      PyLong_FromLong(event->status),
      text_or_none(event->message),
      text_or_none(event->storage_id),
  };
  int is_whole = 1;
  for (Py_ssize_t i = 0; i < 9; i++) {
    PyStructSequence_SET_ITEM(self, i, items[i]);
    if (!items[i]) is_whole = 0;
  }
  if (!is_whole) Py_CLEAR(self);
  return self;
}

/* ---- subscriptions ----------------------------------------------------------------------- */

static void on_event(void *callback, const hotcold_event_t *event) {
  PyGILState_STATE state = PyGILState_Ensure();
  PyObject *argument = event_new(event);
  PyObject *result = argument ? PyObject_CallOneArg(callback, argument) : NULL;
  Py_XDECREF(argument);
  if (!result) PyErr_WriteUnraisable(callback);
  Py_XDECREF(result);
  PyGILState_Release(state);
}

static void on_drop(void *callback) {
  PyGILState_STATE state = PyGILState_Ensure();
  Py_DECREF((PyObject *)callback);
  PyGILState_Release(state);
}

PyObject *store_subscribe(StoreObject *self, PyObject *args) {
  PyObject *callback;
  unsigned int mask = HOTCOLD_EVENT_ALL;
  if (!PyArg_ParseTuple(args, "O|I:subscribe", &callback, &mask)) return NULL;
  if (!PyCallable_Check(callback)) {
    PyErr_SetString(PyExc_TypeError, "callback must be callable");
    return NULL;
  }
  hotcold_error_t error;
  hotcold_status_t status;
  uint64_t number;
  Py_INCREF(callback); /* on_drop gives it back, also if subscribing fails */
  Py_BEGIN_ALLOW_THREADS status =
      hotcold_subscribe(self->store, mask, on_event, callback, on_drop, &number, &error);
  Py_END_ALLOW_THREADS if (status < 0) return raise_status(status, &error);
  return PyLong_FromUnsignedLongLong(number);
}

PyObject *store_unsubscribe(StoreObject *self, PyObject *given) {
  uint64_t number = PyLong_AsUnsignedLongLong(given);
  if (PyErr_Occurred()) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  Py_BEGIN_ALLOW_THREADS status = hotcold_unsubscribe(self->store, number, &error);
  Py_END_ALLOW_THREADS if (status < 0) return raise_status(status, &error);
  return PyBool_FromLong(status == HOTCOLD_OK);
}

/* ---- queue ------------------------------------------------------------------------------- */

typedef struct EventQueueObject {
  PyObject_HEAD hotcold_event_queue_t *queue; /* NULL once closed */
  int busy;
} EventQueueObject;

/* How long to wait at once: after that signals are looked at, so that Ctrl-C works. */
enum { WAIT_MS = 100 };

static uint64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

PyObject *store_event_queue(StoreObject *store, PyObject *args) {
  unsigned int mask = HOTCOLD_EVENT_ALL;
  Py_ssize_t capacity = 1024;
  if (!PyArg_ParseTuple(args, "|In:event_queue", &mask, &capacity)) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_event_queue_t *queue;
  Py_BEGIN_ALLOW_THREADS status = hotcold_event_queue_open(
      store->store, mask, capacity > 0 ? (size_t)capacity : 0, &queue, &error);
  Py_END_ALLOW_THREADS if (status < 0) return raise_status(status, &error);
  EventQueueObject *self = PyObject_New(EventQueueObject, &EventQueueType);
  if (!self) {
    hotcold_event_queue_close(queue);
    return NULL;
  }
  self->queue = queue;
  self->busy = 0;
  return (PyObject *)self;
}

static PyObject *queue_next(EventQueueObject *self, PyObject *args) {
  PyObject *timeout = Py_None;
  uint64_t left = 0;
  if (!PyArg_ParseTuple(args, "|O:next", &timeout)) return NULL;
  int is_zero = timeout == Py_None ? 1 : PyObject_Not(timeout);
  if (is_zero < 0 || (!is_zero && milliseconds(timeout, "timeout", &left) < 0)) return NULL;
  if (self->busy) return raise_busy();
  for (;;) {
    hotcold_error_t error;
    hotcold_status_t status;
    const hotcold_event_t *event;
    uint64_t wait = left < WAIT_MS ? left : WAIT_MS, begun = monotonic_ms();
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS status = hotcold_event_queue_next(self->queue, wait, &event, &error);
    Py_END_ALLOW_THREADS self->busy = 0; /* with the GIL held until the event is copied */
    if (status < 0) return raise_status(status, &error);
    if (status == HOTCOLD_OK) return event_new(event);
    left -= wait;
    /* An end that comes early is that of the store. */
    if (left == 0 || monotonic_ms() - begun < wait / 2) Py_RETURN_NONE;
    if (PyErr_CheckSignals() < 0) return NULL;
  }
}

static PyObject *queue_close(EventQueueObject *self, PyObject *Py_UNUSED(ignored)) {
  if (self->busy) return raise_busy();
  hotcold_event_queue_t *queue = self->queue;
  self->queue = NULL;
  Py_BEGIN_ALLOW_THREADS hotcold_event_queue_close(queue);
  Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static void queue_dealloc(EventQueueObject *self) {
  Py_BEGIN_ALLOW_THREADS hotcold_event_queue_close(self->queue);
  Py_END_ALLOW_THREADS Py_TYPE(self)->tp_free(self);
}

static PyObject *queue_enter(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  Py_INCREF(self);
  return self;
}

static PyObject *queue_exit(EventQueueObject *self, PyObject *Py_UNUSED(args)) {
  return queue_close(self, NULL);
}

static PyObject *queue_get_dropped(EventQueueObject *self, void *Py_UNUSED(closure)) {
  return PyLong_FromUnsignedLongLong(hotcold_event_queue_dropped(self->queue));
}

static PyMethodDef queue_methods[] = {
    METHOD(queue, next, METH_VARARGS, "timeout=None, /",
           "The oldest event, or None if none comes in so many seconds.\n\nWithout a timeout it "
           "does not wait."),
    METHOD(queue, close, METH_NOARGS, "/", "Ends the queue and forgets what it holds."),
    {"__enter__", queue_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)queue_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef queue_getset[] = {
    {"dropped", (getter)queue_get_dropped, NULL, "How many events found the queue full.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

PyTypeObject EventQueueType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "hotcold.EventQueue",
    .tp_doc = "Events to be pulled. What finds it full is counted; the store never waits.",
    .tp_basicsize = sizeof(EventQueueObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)queue_dealloc,
    .tp_methods = queue_methods,
    .tp_getset = queue_getset,
};
