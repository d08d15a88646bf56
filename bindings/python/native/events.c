/* Events: as calls of a Python callable, and as a queue to pull from. */
#include <stdlib.h>

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

/* Who is called, and for which store. */
typedef struct subscription {
  PyObject *callback;
  hotcold_t *store;
} subscription;

static void on_event(void *user_data, const hotcold_event_t *event) {
  subscription *self = user_data;
  visit visit;
  python_guard_push();
  if (python_enter(&visit, self->store)) {
    PyObject *argument = event_new(event);
    PyObject *result = argument ? PyObject_CallOneArg(self->callback, argument) : NULL;
    Py_XDECREF(argument);
    if (!result) callback_failed(self->callback);
    Py_XDECREF(result);
    python_leave(&visit);
  }
  python_guard_pop();
}

static void on_drop(void *user_data) {
  subscription *self = user_data;
  visit visit;
  python_guard_push();
  if (python_enter(&visit, self->store)) {
    Py_DECREF(self->callback);
    python_leave(&visit);
  }
  python_guard_pop();
  free(self);
}

PyObject *store_subscribe(StoreObject *self, PyObject *args) {
  PyObject *callback;
  unsigned int mask = HOTCOLD_EVENT_ALL;
  if (!PyArg_ParseTuple(args, "O|I:subscribe", &callback, &mask)) return NULL;
  if (!PyCallable_Check(callback)) {
    PyErr_SetString(PyExc_TypeError, "callback must be callable");
    return NULL;
  }
  subscription *given = malloc(sizeof *given);
  if (!given) return PyErr_NoMemory();
  *given = (subscription){callback, self->store};
  Py_INCREF(callback); /* on_drop gives it back, also if subscribing fails */
  self->wanted |= mask;
  hotcold_error_t error;
  hotcold_status_t status;
  uint64_t number;
  CALL(status,
       hotcold_subscribe(self->store, mask, on_event, given, on_drop, &number, &error));
  if (status < 0) return raise_status(status, &error);
  return PyLong_FromUnsignedLongLong(number);
}

static void run_unsubscribe(job *self) {
  self->status = hotcold_unsubscribe(self->store, self->number, &self->error);
}

/* It waits for the callback, where that runs. */
PyObject *store_unsubscribe(StoreObject *self, PyObject *given) {
  uint64_t number = PyLong_AsUnsignedLongLong(given);
  if (PyErr_Occurred()) return NULL;
  job *job = job_new(run_unsubscribe, self->store);
  if (!job) return NULL;
  job->number = number;
  /* Nobody is inside: then it does not wait, and the callback goes here. */
  if (!python_is_visited(self->store)) job->tells = self->wanted;
  int done = job_do(job, self);
  if (done == 0 && job->status < 0) raise_status(job->status, &job->error);
  int was_there = job->status == HOTCOLD_OK;
  job_release(job);
  return PyErr_Occurred() ? NULL : PyBool_FromLong(was_there);
}

/* ---- queue ------------------------------------------------------------------------------- */

typedef struct EventQueueObject {
  PyObject_HEAD hotcold_event_queue_t *queue; /* NULL once closed */
  int busy;
} EventQueueObject;

PyObject *store_event_queue(StoreObject *store, PyObject *args) {
  unsigned int mask = HOTCOLD_EVENT_ALL;
  Py_ssize_t capacity = 1024;
  if (!PyArg_ParseTuple(args, "|In:event_queue", &mask, &capacity)) return NULL;
  hotcold_error_t error;
  hotcold_status_t status;
  hotcold_event_queue_t *queue;
  CALL(status, hotcold_event_queue_open( store->store, mask, capacity > 0 ? (size_t)capacity : 0, &queue, &error));
  if (status < 0) return raise_status(status, &error);
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
  uint64_t left = UINT64_MAX;
  if (!PyArg_ParseTuple(args, "|O:next", &timeout)) return NULL;
  if (timeout != Py_None) {
    int is_zero = PyObject_Not(timeout);
    if (is_zero < 0 || (!is_zero && milliseconds(timeout, "timeout", &left) < 0)) return NULL;
    if (is_zero) left = 0;
  }
  if (self->busy) return raise_busy();
  for (;;) {
    hotcold_error_t error;
    hotcold_status_t status;
    const hotcold_event_t *event;
    uint64_t wait = left < SLICE_MS ? left : SLICE_MS, begun = monotonic_ms();
    self->busy = 1;
    CALL(status, hotcold_event_queue_next(self->queue, wait, &event, &error));
    self->busy = 0; /* with the GIL held until the event is copied */
    if (status < 0) return raise_status(status, &error);
    if (status == HOTCOLD_OK) return event_new(event);
    if (left != UINT64_MAX) left -= wait;
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
           "The oldest event, or None if none comes in so many seconds, or the store is "
           "closed.\n\nWithout a timeout it waits as long as the store is open; 0 does not wait."),
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
