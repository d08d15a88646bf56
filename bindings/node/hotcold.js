/**
 * hotcold for Node.js, over koffi: an embedded key-value store in two tiers, memory and disk.
 *
 * Keys and values come in as strings (UTF-8) or typed arrays, and go out as Buffers. What fails
 * throws a HotcoldError; what is merely absent is null or false. Calls are synchronous, because a
 * hot hit takes less than a promise; waiting for an event is not. Events come from a queue,
 * because JavaScript may not be entered from the store's own thread.
 */
'use strict';

const koffi = require('koffi');
const lib = koffi.load('libhotcold.so.0.1');

for (const name of ['t', 'options_t', 'cursor_t', 'event_queue_t']) koffi.opaque(`hotcold_${name}`);
koffi.struct('hotcold_error_t', {
  status: 'int32_t', os_code: 'int32_t', message: koffi.array('char', 504),
});
koffi.struct('hotcold_value_t', {
  data: 'const void *', len: 'size_t', version: 'uint64_t', expires_at: 'uint64_t',
  tier: 'int32_t', flags: 'uint32_t', owner: 'void *', reserved: koffi.array('uint64_t', 2),
});
koffi.struct('hotcold_store_options_t', {
  ttl: 'uint64_t', if_version: 'uint64_t', flags: 'uint32_t', reserved: 'uint32_t',
});
koffi.struct('hotcold_slice_t', { data: 'const void *', len: 'size_t' });
const event_t = koffi.struct('hotcold_event_t', {
  kind: 'uint32_t', tier: 'int32_t', status: 'int32_t', size: 'uint32_t',
  key: 'const void *', key_len: 'size_t', value: 'const void *', value_len: 'size_t',
  version: 'uint64_t', expires_at: 'uint64_t', storage_id: 'const char *', message: 'const char *',
});

/** A function of the library; those that return a status take the error last. */
const fallible = (name, parameters) =>
  lib.func(`int32_t hotcold_${name}(${parameters}, _Out_ hotcold_error_t *error)`);

const C = {
  status_name: lib.func('const char *hotcold_status_name(int32_t status)'),
  options_new: lib.func('hotcold_options_t *hotcold_options_new()'),
  options_free: lib.func('void hotcold_options_free(hotcold_options_t *o)'),
  options_set: fallible('options_set', 'hotcold_options_t *o, const char *name, const char *value'),
  open: fallible('open', 'const char *path, hotcold_options_t *o, _Out_ hotcold_t **out'),
  close: fallible('close', 'hotcold_t *s'),
  sync: fallible('sync', 'hotcold_t *s'),
  compact: fallible('compact', 'hotcold_t *s'),
  clear: fallible('clear', 'hotcold_t *s'),
  value_release: lib.func('void hotcold_value_release(_Inout_ hotcold_value_t *v)'),
  store_with: fallible('store_with', `hotcold_t *s, const void *key, size_t key_len,
    const void *value, size_t value_len, hotcold_store_options_t *o, size_t o_size, void *version_out`),
  retrieve: fallible('retrieve',
    'hotcold_t *s, const void *key, size_t key_len, _Out_ hotcold_value_t *out'),
  retrieve_into: fallible('retrieve_into', `hotcold_t *s, const void *key, size_t key_len,
    void *buf, size_t capacity, _Out_ size_t *len_out`),
  contains: fallible('contains', 'hotcold_t *s, const void *key, size_t key_len'),
  delete: fallible('delete', 'hotcold_t *s, const void *key, size_t key_len'),
  cursor_open: fallible('cursor_open',
    'hotcold_t *s, const void *prefix, size_t prefix_len, _Out_ hotcold_cursor_t **out'),
  cursor_next: fallible('cursor_next', 'hotcold_cursor_t *c, _Out_ hotcold_slice_t *key_out'),
  cursor_close: lib.func('void hotcold_cursor_close(hotcold_cursor_t *c)'),
  event_queue_open: fallible('event_queue_open',
    'hotcold_t *s, uint32_t mask, size_t capacity, _Out_ hotcold_event_queue_t **out'),
  event_queue_next: fallible('event_queue_next',
    'hotcold_event_queue_t *q, uint64_t timeout_ms, _Out_ hotcold_event_t **out'),
  event_queue_dropped: lib.func('uint64_t hotcold_event_queue_dropped(hotcold_event_queue_t *q)'),
  event_queue_close: lib.func('void hotcold_event_queue_close(hotcold_event_queue_t *q)'),
  stats_text: fallible('stats_text', 'hotcold_t *s, int32_t format, _Out_ hotcold_value_t *out'),
};

const Status = Object.freeze({
  OK: 0, NOT_FOUND: 1, CONFLICT: 2, END: 3, INVALID_ARGUMENT: -1, MISUSE: -2, IO: -3, CORRUPT: -4,
  NO_SPACE: -5, LOCKED: -6, TOO_LARGE: -7, BUFFER_TOO_SMALL: -8, READ_ONLY: -9, UNSUPPORTED: -10,
  OUT_OF_MEMORY: -11, INTERNAL: -12, CALLBACK_FAILED: -13,
});

const Events = Object.freeze({
  ITEM_STORED: 1, ITEM_RETRIEVED: 2, ITEM_DELETED: 4, STORAGE_CLEARED: 8, PROMOTED: 16,
  DEMOTED: 32, EVICTED: 64, EXPIRED: 128, COMPACTED: 256, ERROR: 512, ALL: 0x7fffffff,
});

const STATS_JSON = 1;

/** A failure: `status` is a number of Status, `code` its name, `osCode` errno or 0. */
class HotcoldError extends Error {
  constructor(status, error) {
    super(error.message);
    this.name = 'HotcoldError';
    this.status = status;
    this.code = C.status_name(status);
    this.osCode = error.os_code;
  }
}

/** Returns the status unless it is a failure, which is thrown. */
function check(status, error) {
  if (status < 0) throw new HotcoldError(status, error);
  return status;
}

function call(name, ...parameters) {
  const error = {};
  return check(C[name](...parameters, error), error);
}

/** Calls a function whose last parameter but the error is an output that holds a pointer. */
function open(name, ...parameters) {
  const out = [null];
  call(name, ...parameters, out);
  return out[0];
}

/** The bytes of a string or of anything that has a buffer of them. */
function bytesOf(data) {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError('keys and values are strings or typed arrays');
}

/** A time to live as the library takes it: what is over already is over at once, not never. */
const wholeMs = (ttl) => (ttl < 0 ? 1 : Math.ceil(ttl));

// What was left open is given back when it is collected. Closing a store twice is no harm, because
// a handle is never given twice; the other two are forgotten when they are closed.
const stores = new FinalizationRegistry((handle) => C.close(handle, {}));
const queues = new FinalizationRegistry((queue) => C.event_queue_close(queue));
const cursors = new FinalizationRegistry((cursor) => C.cursor_close(cursor));

/** Bytes of the library's, copied. */
const copy = (data, len) =>
  len === 0 ? Buffer.alloc(0) : Buffer.from(koffi.decode(data, koffi.array('uint8_t', Number(len))));

/** Copies a value's bytes and gives it back. */
function take(value) {
  try {
    return copy(value.data, value.len);
  } finally {
    C.value_release(value);
  }
}

/** A bounded queue of events, made by Store.events(). */
class EventQueue {
  // Those with a call in progress, which must not be collected meanwhile.
  static #waiting = new Set();

  #store; // kept open
  #queue;
  // One call at a time: each begins when the one before has ended.
  #last = Promise.resolve();

  constructor(store, queue) {
    this.#store = store;
    this.#queue = queue;
    queues.register(this, queue, this);
  }

  #after(work) {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves to the oldest event, or to null if none comes within `timeoutMs`. */
  next(timeoutMs = 0) {
    return this.#after(() => new Promise((resolve, reject) => {
      const out = [null];
      const error = {};
      EventQueue.#waiting.add(this);
      C.event_queue_next.async(this.#queue, timeoutMs, out, error, (failure, status) => {
        EventQueue.#waiting.delete(this);
        try {
          if (failure) throw failure;
          resolve(check(status, error) === Status.OK ? eventOf(out[0]) : null);
        } catch (e) {
          reject(e);
        }
      });
    }));
  }

  /** How many events found the queue full. */
  get dropped() {
    return Number(C.event_queue_dropped(this.#queue));
  }

  /** Ends the queue; resolves once no call waits on it any more. */
  close() {
    return this.#after(() => {
      queues.unregister(this);
      C.event_queue_close(this.#queue);
      this.#queue = null;
    });
  }
}

function eventOf(pointer) {
  const event = koffi.decode(pointer, event_t);
  return {
    kind: event.kind,
    tier: event.tier,
    status: event.status,
    key: event.key === null ? null : copy(event.key, event.key_len),
    value: event.value === null ? null : copy(event.value, event.value_len),
    version: BigInt(event.version),
    storageId: event.storage_id,
    message: event.message,
  };
}

/** The keys of a cursor. What was not walked to its end is given back when it is collected. */
function walk(store, pointer) {
  const cursor = { store, pointer }; // the walk keeps the store open
  const keys = steps(cursor);
  cursors.register(keys, pointer, cursor);
  return keys;
}

function* steps(cursor) {
  try {
    const key = {};
    while (call('cursor_next', cursor.pointer, key) === Status.OK) yield copy(key.data, key.len);
  } finally {
    cursors.unregister(cursor);
    C.cursor_close(cursor.pointer);
  }
}

class Store {
  #handle;

  /**
   * Opens the store in the directory `path`, or one in memory alone if it is null. `options` has
   * the names that hotcold.h lists at hotcold_options_t.
   */
  constructor(path, options = {}) {
    const o = C.options_new();
    try {
      for (const [name, setting] of Object.entries(options)) {
        call('options_set', o, name, String(setting));
      }
      this.#handle = open('open', path, o);
      stores.register(this, this.#handle, this);
    } finally {
      C.options_free(o);
    }
  }

  /** Stores a value; `ttl`, if given, is the time in milliseconds until the key expires. */
  store(key, value, { ttl = 0 } = {}) {
    const [k, v] = [bytesOf(key), bytesOf(value)];
    const o = { ttl: wholeMs(ttl), if_version: 0, flags: 0, reserved: 0 };
    const size = koffi.sizeof('hotcold_store_options_t');
    call('store_with', this.#handle, k, k.length, v, v.length, o, size, null);
  }

  /** The value as a Buffer, or null. */
  retrieve(key) {
    const k = bytesOf(key);
    const value = {};
    return call('retrieve', this.#handle, k, k.length, value) === Status.OK ? take(value) : null;
  }

  /** Copies the value into `buffer`; returns its length, or null. */
  retrieveInto(key, buffer) {
    const k = bytesOf(key);
    const len = [0];
    const status = call('retrieve_into', this.#handle, k, k.length, buffer, buffer.byteLength, len);
    return status === Status.OK ? Number(len[0]) : null;
  }

  contains(key) {
    const k = bytesOf(key);
    return call('contains', this.#handle, k, k.length) === Status.OK;
  }

  /** Returns whether the key was there. */
  delete(key) {
    const k = bytesOf(key);
    return call('delete', this.#handle, k, k.length) === Status.OK;
  }

  /** Iterates over the keys that begin with `prefix`, in no useful order. */
  keys(prefix = '') {
    const p = bytesOf(prefix);
    return walk(this, open('cursor_open', this.#handle, p, p.length));
  }

  /** Has events of the kinds in `mask` queued from now on. */
  events(mask = Events.ALL, capacity = 1024) {
    return new EventQueue(this, open('event_queue_open', this.#handle, mask, capacity));
  }

  /** What the store tells of itself. */
  stats() {
    const value = {};
    call('stats_text', this.#handle, STATS_JSON, value);
    return JSON.parse(take(value).toString());
  }

  clear() {
    call('clear', this.#handle);
  }

  sync() {
    call('sync', this.#handle);
  }

  compact() {
    call('compact', this.#handle);
  }

  /** Closes the store; any later call throws HOTCOLD_MISUSE. */
  close() {
    call('close', this.#handle);
    stores.unregister(this);
  }
}

module.exports = { Store, EventQueue, HotcoldError, Status, Events };
