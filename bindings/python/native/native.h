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
 */
#ifndef HOTCOLD_NATIVE_H
#define HOTCOLD_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hotcold.h"

/* A row of a method table: PREFIX_NAME(), how it is called, its arguments as Python shows them in
   the signature, and what it does. */
#define METHOD(prefix, name, flags, arguments, text)           \
  {#name, (PyCFunction)(void (*)(void))prefix##_##name, flags, \
   #name "($self, " arguments ")\n--\n\n" text}
#define FAST (METH_FASTCALL | METH_KEYWORDS)
#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)

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

/* A Value that takes the reference in *value; on failure it is released. */
PyObject *value_new(hotcold_value_t *value);

/* The same as a memoryview on a Value. */
PyObject *value_view(hotcold_value_t *value);

/* The same as bytes, of which the value is released. */
PyObject *value_bytes(hotcold_value_t *value);

typedef struct StoreObject {
  PyObject_HEAD hotcold_t *store; /* NULL until it was opened */
  int is_closed;
} StoreObject;

typedef struct BatchObject {
  PyObject_HEAD hotcold_batch_t *batch;
  Py_ssize_t len;
  int busy;
} BatchObject;

extern PyTypeObject ValueType, StoreType, BatchType, CursorType, EventQueueType;

PyObject *store_cursor(StoreObject *self, PyObject *args);
PyObject *store_event_queue(StoreObject *self, PyObject *args);
PyObject *store_subscribe(StoreObject *self, PyObject *args);
PyObject *store_unsubscribe(StoreObject *self, PyObject *number);

/* Makes the type of events and adds it to the module. */
int events_ready(PyObject *module);

#endif
