// Package hotcold is an embedded key-value store in two tiers, memory and disk, over cgo.
//
// It needs libhotcold and its header installed, and finds them by pkg-config. A Store may be used
// from any goroutine. What fails gives an *Error; what is merely absent gives nil or false.
package hotcold

/*
#cgo pkg-config: hotcold
#include <hotcold.h>
#include <stdlib.h>

extern void hotcoldGoEvent(uintptr_t listener, hotcold_event_t *event);
extern void hotcoldGoDrop(uintptr_t listener);

// The listener is a number (runtime/cgo.Handle), which must not look like a pointer in Go.
static inline void go_event(void *listener, const hotcold_event_t *event) {
    hotcoldGoEvent((uintptr_t)listener, (hotcold_event_t *)event);
}

static inline void go_drop(void *listener) { hotcoldGoDrop((uintptr_t)listener); }

static inline hotcold_status_t go_subscribe(hotcold_t *s, uint32_t mask, uintptr_t listener,
                                            uint64_t *out, hotcold_error_t *error) {
    return hotcold_subscribe(s, mask, go_event, (void *)listener, go_drop, out, error);
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Status is the number of a failure. It is an error, so that errors.Is(err, hotcold.Locked) works.
type Status int32

// The failures.
const (
	InvalidArgument Status = C.HOTCOLD_INVALID_ARGUMENT
	Misuse          Status = C.HOTCOLD_MISUSE
	IO              Status = C.HOTCOLD_IO
	Corrupt         Status = C.HOTCOLD_CORRUPT
	NoSpace         Status = C.HOTCOLD_NO_SPACE
	Locked          Status = C.HOTCOLD_LOCKED
	TooLarge        Status = C.HOTCOLD_TOO_LARGE
	BufferTooSmall  Status = C.HOTCOLD_BUFFER_TOO_SMALL
	ReadOnly        Status = C.HOTCOLD_READ_ONLY
	Unsupported     Status = C.HOTCOLD_UNSUPPORTED
	OutOfMemory     Status = C.HOTCOLD_OUT_OF_MEMORY
	Internal        Status = C.HOTCOLD_INTERNAL
	CallbackFailed  Status = C.HOTCOLD_CALLBACK_FAILED
)

// Error gives the status's name: HOTCOLD_LOCKED.
func (s Status) Error() string { return C.GoString(C.hotcold_status_name(C.int32_t(s))) }

// Error is a failure: its status, errno or 0, and words.
type Error struct {
	Status  Status
	OSCode  int
	Message string
}

func (e *Error) Error() string { return e.Status.Error() + ": " + e.Message }

// Unwrap gives the status.
func (e *Error) Unwrap() error { return e.Status }

// check tells whether a call gave OK, and makes an error of what it gave below 0.
func check(status C.hotcold_status_t, e *C.hotcold_error_t) (bool, error) {
	if status < 0 {
		return false, &Error{Status(status), int(e.os_code), C.GoString(&e.message[0])}
	}
	return status == C.HOTCOLD_OK, nil
}

// some returns the bytes, or one byte for none. A call then says &b[0] itself, which cgo checks
// alone: behind a function it would look at all that the bytes lie in, and refuse pointers there.
func some(b []byte) []byte {
	if len(b) == 0 {
		return []byte{0}
	}
	return b
}

// copied copies bytes of the library's. C.GoBytes would end at 2 GiB.
func copied(data unsafe.Pointer, n C.size_t) []byte {
	b := make([]byte, int(n))
	copy(b, unsafe.Slice((*byte)(data), int(n)))
	return b
}

// take copies a value's bytes and gives it back.
func take(value *C.hotcold_value_t) []byte {
	defer C.hotcold_value_release(value)
	return copied(unsafe.Pointer(value.data), value.len)
}

// Options are settings by the names that hotcold.h lists at hotcold_options_t.
type Options map[string]any

// Store is an open store. One that was left open is closed when it is collected.
type Store struct {
	// Not an address but a number, which cgo keeps from the garbage collector as it does all
	// pointers to types that the header does not describe.
	handle *C.hotcold_t
}

// Open opens the store in a directory, or one in memory alone if path is empty.
func Open(path string, options Options) (*Store, error) {
	o := C.hotcold_options_new()
	defer C.hotcold_options_free(o)
	for name, setting := range options {
		if err := set(o, name, fmt.Sprint(setting)); err != nil {
			return nil, err
		}
	}
	var cpath *C.char
	if path != "" {
		cpath = C.CString(path)
		defer C.free(unsafe.Pointer(cpath))
	}
	s := new(Store)
	var e C.hotcold_error_t
	if _, err := check(C.hotcold_open(cpath, o, &s.handle, &e), &e); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(s, (*Store).Close)
	return s, nil
}

func set(o *C.hotcold_options_t, name, setting string) error {
	cname, csetting := C.CString(name), C.CString(setting)
	defer C.free(unsafe.Pointer(cname))
	defer C.free(unsafe.Pointer(csetting))
	var e C.hotcold_error_t
	_, err := check(C.hotcold_options_set(o, cname, csetting, &e), &e)
	return err
}

// Store stores a value that does not expire.
func (s *Store) Store(key, value []byte) error { return s.StoreFor(key, value, 0) }

// StoreFor stores a value that expires after ttl; 0: never.
func (s *Store) StoreFor(key, value []byte, ttl time.Duration) error {
	defer runtime.KeepAlive(s)
	k, v := some(key), some(value)
	o := C.hotcold_store_options_t{ttl: milliseconds(ttl)}
	var e C.hotcold_error_t
	_, err := check(C.hotcold_store_with(s.handle, unsafe.Pointer(&k[0]), C.size_t(len(key)),
		unsafe.Pointer(&v[0]), C.size_t(len(value)), &o, C.size_t(unsafe.Sizeof(o)), nil, &e), &e)
	return err
}

// milliseconds never makes 0, which is for ever, of what is over already or soon.
func milliseconds(ttl time.Duration) C.uint64_t {
	ms := ttl.Milliseconds()
	if ttl < 0 {
		return 1
	}
	if ttl%time.Millisecond != 0 {
		ms++
	}
	return C.uint64_t(ms)
}

// Retrieve returns a copy of the value, or nil.
func (s *Store) Retrieve(key []byte) ([]byte, error) {
	defer runtime.KeepAlive(s)
	k := some(key)
	var value C.hotcold_value_t
	var e C.hotcold_error_t
	found, err := check(C.hotcold_retrieve(
		s.handle, unsafe.Pointer(&k[0]), C.size_t(len(key)), &value, &e), &e)
	if !found {
		return nil, err
	}
	return take(&value), nil
}

// RetrieveInto copies the value to the front of buffer, and returns its length and whether it was
// there. With a buffer that is too small the length is what is needed.
func (s *Store) RetrieveInto(key, buffer []byte) (int, bool, error) {
	defer runtime.KeepAlive(s)
	k, b := some(key), some(buffer)
	var n C.size_t
	var e C.hotcold_error_t
	found, err := check(C.hotcold_retrieve_into(s.handle, unsafe.Pointer(&k[0]),
		C.size_t(len(key)), unsafe.Pointer(&b[0]), C.size_t(len(buffer)), &n, &e), &e)
	return int(n), found, err
}

// Contains tells whether the key is there.
func (s *Store) Contains(key []byte) (bool, error) {
	defer runtime.KeepAlive(s)
	k := some(key)
	var e C.hotcold_error_t
	return check(C.hotcold_contains(s.handle, unsafe.Pointer(&k[0]), C.size_t(len(key)), &e), &e)
}

// Delete removes the key, and tells whether it was there.
func (s *Store) Delete(key []byte) (bool, error) {
	defer runtime.KeepAlive(s)
	k := some(key)
	var e C.hotcold_error_t
	return check(C.hotcold_delete(s.handle, unsafe.Pointer(&k[0]), C.size_t(len(key)), &e), &e)
}

// Clear removes every key.
func (s *Store) Clear() error {
	defer runtime.KeepAlive(s)
	var e C.hotcold_error_t
	_, err := check(C.hotcold_clear(s.handle, &e), &e)
	return err
}

// Sync makes everything so far survive power loss.
func (s *Store) Sync() error {
	defer runtime.KeepAlive(s)
	var e C.hotcold_error_t
	_, err := check(C.hotcold_sync(s.handle, &e), &e)
	return err
}

// Compact compresses all records and gives back all dead space.
func (s *Store) Compact() error {
	defer runtime.KeepAlive(s)
	var e C.hotcold_error_t
	_, err := check(C.hotcold_compact(s.handle, &e), &e)
	return err
}

// Stats returns what the store tells of itself, as JSON.
func (s *Store) Stats() ([]byte, error) {
	defer runtime.KeepAlive(s)
	var value C.hotcold_value_t
	var e C.hotcold_error_t
	if _, err := check(C.hotcold_stats_text(s.handle, C.HOTCOLD_STATS_JSON, &value, &e), &e); err != nil {
		return nil, err
	}
	return take(&value), nil
}

// Close closes the store; any later call gives Misuse.
func (s *Store) Close() error {
	defer runtime.KeepAlive(s)
	var e C.hotcold_error_t
	_, err := check(C.hotcold_close(s.handle, &e), &e)
	return err
}

// Keys is a walk over keys, for one goroutine at a time: for keys.Next() { keys.Key() }, then Err
// and Close.
type Keys struct {
	store  *Store // kept open
	cursor *C.hotcold_cursor_t
	key    []byte
	err    error
}

// Keys walks over the keys that begin with prefix, in no useful order.
func (s *Store) Keys(prefix []byte) (*Keys, error) {
	p := some(prefix)
	k := &Keys{store: s}
	var e C.hotcold_error_t
	if _, err := check(C.hotcold_cursor_open(
		s.handle, unsafe.Pointer(&p[0]), C.size_t(len(prefix)), &k.cursor, &e), &e); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(k, (*Keys).Close)
	return k, nil
}

// Next goes to the next key, and tells whether there is one.
func (k *Keys) Next() bool {
	defer runtime.KeepAlive(k)
	var slice C.hotcold_slice_t
	var e C.hotcold_error_t
	var found bool
	if found, k.err = check(C.hotcold_cursor_next(k.cursor, &slice, &e), &e); found {
		k.key = copied(slice.data, slice.len)
	}
	return found
}

// Key returns the current key.
func (k *Keys) Key() []byte { return k.key }

// Err returns what ended the walk, or nil.
func (k *Keys) Err() error { return k.err }

// Close ends the walk; closing again does nothing.
func (k *Keys) Close() {
	defer runtime.KeepAlive(k)
	C.hotcold_cursor_close(k.cursor)
	k.cursor = nil
}

// Kinds are bits: kinds of events.
type Kinds uint32

// The kinds.
const (
	ItemStored     Kinds = C.HOTCOLD_EVENT_ITEM_STORED
	ItemRetrieved  Kinds = C.HOTCOLD_EVENT_ITEM_RETRIEVED
	ItemDeleted    Kinds = C.HOTCOLD_EVENT_ITEM_DELETED
	StorageCleared Kinds = C.HOTCOLD_EVENT_STORAGE_CLEARED
	Promoted       Kinds = C.HOTCOLD_EVENT_PROMOTED
	Demoted        Kinds = C.HOTCOLD_EVENT_DEMOTED
	Evicted        Kinds = C.HOTCOLD_EVENT_EVICTED
	Expired        Kinds = C.HOTCOLD_EVENT_EXPIRED
	Compacted      Kinds = C.HOTCOLD_EVENT_COMPACTED
	Failed         Kinds = C.HOTCOLD_EVENT_ERROR
	All            Kinds = C.HOTCOLD_EVENT_ALL
)

// Event is what happened; Key and Value are nil and Message is empty where there is none.
type Event struct {
	Kind       Kinds
	Tier       int
	Status     Status
	Key, Value []byte
	Version    uint64
	StorageID  string
	Message    string
}

// Subscribe has listener called with each event of some kinds until cancel is called, which waits
// for calls in progress. It runs on the thread where the event happens, perhaps several at once;
// it may use the store, but not close it, and must not panic.
func (s *Store) Subscribe(kinds Kinds, listener func(Event)) (cancel func() error, err error) {
	defer runtime.KeepAlive(s)
	var number C.uint64_t
	var e C.hotcold_error_t
	// The library drops the listener exactly once, also when subscribing fails.
	h := cgo.NewHandle(listener)
	if _, err := check(C.go_subscribe(
		s.handle, C.uint32_t(kinds), C.uintptr_t(h), &number, &e), &e); err != nil {
		return nil, err
	}
	return func() error {
		defer runtime.KeepAlive(s)
		var e C.hotcold_error_t
		_, err := check(C.hotcold_unsubscribe(s.handle, number, &e), &e)
		return err
	}, nil
}

//export hotcoldGoEvent
func hotcoldGoEvent(listener C.uintptr_t, event *C.hotcold_event_t) {
	told := Event{
		Kind: Kinds(event.kind), Tier: int(event.tier), Status: Status(event.status),
		Version: uint64(event.version), StorageID: C.GoString(event.storage_id),
		Message: C.GoString(event.message),
	}
	if event.key != nil {
		told.Key = copied(event.key, event.key_len)
	}
	if event.value != nil {
		told.Value = copied(event.value, event.value_len)
	}
	cgo.Handle(listener).Value().(func(Event))(told)
}

//export hotcoldGoDrop
func hotcoldGoDrop(listener C.uintptr_t) { cgo.Handle(listener).Delete() }
