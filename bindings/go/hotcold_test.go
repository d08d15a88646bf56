package hotcold

import (
	"bytes"
	"errors"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string, options Options) *Store {
	t.Helper()
	s, err := Open(path, options)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, s *Store, key string, want []byte) {
	t.Helper()
	got, err := s.Retrieve([]byte(key))
	must(t, err)
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("%s is %q, not %q", key, got, want)
	}
}

func fails(t *testing.T, want Status, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.Is(err, want) || !errors.As(err, &e) || e.Message == "" {
		t.Fatalf("gave %v, not %v", err, want)
	}
	return e
}

func fill(t *testing.T, s *Store) {
	t.Helper()
	// Bytes that lie beside a pointer are fine, too.
	mixed := struct {
		name *string
		key  [6]byte
	}{new(string), [6]byte{'u', 's', 'e', 'r', ':', '1'}}
	must(t, s.Store(mixed.key[:], []byte("Ada")))
	must(t, s.StoreFor([]byte("user:2"), []byte("Gr\x00\xff"), time.Hour))
	must(t, s.Store([]byte("other"), nil))
}

func TestStoredAndRetrieved(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{"hot_capacity": 1 << 20, "warm_start": false})
	fill(t, s)
	has(t, s, "user:1", []byte("Ada"))
	has(t, s, "user:2", []byte("Gr\x00\xff"))
	has(t, s, "other", []byte{})
	has(t, s, "absent", nil)
	buffer := make([]byte, 16)
	n, found, err := s.RetrieveInto([]byte("user:2"), buffer)
	if err != nil || !found || string(buffer[:n]) != "Gr\x00\xff" {
		t.Fatal(n, found, err)
	}
	if _, found, err = s.RetrieveInto([]byte("absent"), buffer); found || err != nil {
		t.Fatal(found, err)
	}
	n, _, err = s.RetrieveInto([]byte("user:2"), buffer[:2])
	if fails(t, BufferTooSmall, err); n != 4 {
		t.Fatal(n)
	}
	if deleted, err := s.Delete([]byte("other")); !deleted || err != nil {
		t.Fatal(deleted, err)
	}
	if there, err := s.Contains([]byte("other")); there || err != nil {
		t.Fatal(there, err)
	}
	must(t, s.Compact())
	must(t, s.Sync())
	keys, err := s.Keys(nil)
	must(t, err)
	if !keys.Next() {
		t.Fatal(keys.Err())
	}
	must(t, s.Close())
	_, err = s.Retrieve([]byte("user:1"))
	fails(t, Misuse, err)
	fails(t, Misuse, s.Close())
	if keys.Next() {
		t.Fatal("walks on")
	}
	fails(t, Misuse, keys.Err())
	keys.Close()
	keys.Close()

	s = open(t, path, nil)
	has(t, s, "user:2", []byte("Gr\x00\xff"))
	has(t, s, "other", nil)
	must(t, s.Clear())
	has(t, s, "user:1", nil)
	stats, err := s.Stats()
	must(t, err)
	if !bytes.Contains(stats, []byte(`"held":0,`)) { // every value was given back
		t.Fatalf("%s", stats)
	}
	must(t, s.Close())
}

func TestWhatIsOverDoesNotStay(t *testing.T) {
	s := open(t, "", nil)
	must(t, s.StoreFor([]byte("late"), []byte("x"), -time.Hour))
	must(t, s.StoreFor([]byte("short"), []byte("x"), time.Nanosecond))
	time.Sleep(20 * time.Millisecond)
	has(t, s, "late", nil)
	has(t, s, "short", nil)
	must(t, s.Close())
}

// A walk keeps its store open; what is left open is closed when it is collected.
func TestCollected(t *testing.T) {
	path := t.TempDir()
	func() {
		s := open(t, path, nil)
		fill(t, s)
		keys, err := s.Keys(nil)
		must(t, err)
		s = nil
		runtime.GC()
		if !keys.Next() {
			t.Fatal(keys.Err())
		}
	}()
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
		s, err := Open(path, nil)
		if err == nil {
			must(t, s.Close())
			return
		}
		if fails(t, Locked, err); time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestIterated(t *testing.T) {
	s := open(t, "", nil)
	fill(t, s)
	for prefix, want := range map[string]string{"user:": "user:1 user:2", "": "other user:1 user:2"} {
		keys, err := s.Keys([]byte(prefix))
		must(t, err)
		var got []string
		for keys.Next() {
			got = append(got, string(keys.Key()))
		}
		must(t, keys.Err())
		keys.Close()
		sort.Strings(got)
		if strings.Join(got, " ") != want {
			t.Fatal(prefix, got)
		}
	}
	must(t, s.Close())
}

func TestEventsArrive(t *testing.T) {
	s := open(t, t.TempDir(), Options{"storage_id": "go"})
	var lock sync.Mutex
	var events []Event
	compacted := make(chan Event, 100)
	cancel, err := s.Subscribe(ItemStored|Compacted, func(e Event) {
		if e.Kind == Compacted {
			compacted <- e
			return
		}
		lock.Lock()
		defer lock.Unlock()
		events = append(events, e)
	})
	must(t, err)
	fill(t, s)
	if len(events) != 3 {
		t.Fatal(events)
	}
	e := events[0]
	if e.Kind != ItemStored || string(e.Key) != "user:1" || string(e.Value) != "Ada" ||
		e.StorageID != "go" || e.Version == 0 || e.Message != "" {
		t.Fatal(e)
	}
	must(t, s.Compact()) // reports from the store's own thread
	select {
	case e := <-compacted:
		if e.Message == "" {
			t.Fatal(e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not told of the compaction")
	}
	must(t, cancel())
	fill(t, s)
	if len(events) != 3 {
		t.Fatal(events)
	}
	must(t, s.Close())
}

func TestErrorsSayWhat(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, nil)
	_, err := Open(path, nil)
	e := fails(t, Locked, err)
	if !strings.HasPrefix(e.Error(), "HOTCOLD_LOCKED: ") || !strings.Contains(e.Message, path) {
		t.Fatal(e)
	}
	_, err = Open(path, Options{"hot_capactiy": 1})
	if e = fails(t, InvalidArgument, err); !strings.Contains(e.Message, "hot_capactiy") {
		t.Fatal(e)
	}
	must(t, s.Close())
}
