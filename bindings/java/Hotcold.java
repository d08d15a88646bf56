import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/**
 * hotcold for Java (11 or newer), over JNA: an embedded key-value store in two tiers, memory and
 * disk. May be used from any thread; cursors are for one thread at a time.
 *
 * <p>What fails throws a {@link Failure}; what is merely absent is null or false. Events are given
 * to a callback on the thread where they happen, the store's own included, which JNA makes known
 * to the virtual machine.
 */
public final class Hotcold implements AutoCloseable {
    public static final int LOCKED = -6, INVALID_ARGUMENT = -1, MISUSE = -2, BUFFER_TOO_SMALL = -8;

    /** Kinds of events, to be combined with |. */
    public static final int ITEM_STORED = 1, ITEM_RETRIEVED = 2, ITEM_DELETED = 4,
            STORAGE_CLEARED = 8, PROMOTED = 16, DEMOTED = 32, EVICTED = 64, EXPIRED = 128,
            COMPACTED = 256, ERROR = 512, ALL = 0x7FFFFFFF;

    private static final int OK = 0;
    private static final int STATS_JSON = 1;
    private static final C LIB = Native.load("libhotcold.so.0.1", C.class,
            Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));

    // Closes what was left open when it is collected.
    private static final Cleaner CLEANER = Cleaner.create();

    private final Pointer handle;

    /**
     * Opens the store in a directory, or one in memory alone.
     *
     * @param path the directory, or null
     * @param options by the names that hotcold.h lists at hotcold_options_t
     */
    public Hotcold(String path, Map<String, ?> options) {
        Pointer o = LIB.hotcold_options_new();
        try {
            for (Map.Entry<String, ?> option : options.entrySet()) {
                String setting = String.valueOf(option.getValue());
                call(e -> LIB.hotcold_options_set(o, option.getKey(), setting, e));
            }
            Pointer opened = open((out, e) -> LIB.hotcold_open(path, o, out, e));
            // Closed already is fine: a handle is never given twice.
            CLEANER.register(this, () -> LIB.hotcold_close(opened, null));
            handle = opened;
        } finally {
            LIB.hotcold_options_free(o);
        }
    }

    public void store(byte[] key, byte[] value) {
        store(key, value, 0);
    }

    /** Stores a value; {@code ttlMs}, if not 0, is the time until the key expires. */
    public void store(byte[] key, byte[] value, long ttlMs) {
        CStoreOptions o = new CStoreOptions();
        o.ttl = ttlMs < 0 ? 1 : ttlMs; // what is over already is over at once, not never
        on(e -> LIB.hotcold_store_with(
                handle, key, key.length, value, value.length, o, o.size(), null, e));
    }

    /** Returns a copy of the value, or null. */
    public byte[] retrieve(byte[] key) {
        CValue value = new CValue();
        boolean found = on(e -> LIB.hotcold_retrieve(handle, key, key.length, value, e));
        return found ? take(value) : null;
    }

    /** Copies the value to the front of the buffer; returns its length, or -1. */
    public int retrieveInto(byte[] key, byte[] buffer) {
        LongByReference len = new LongByReference();
        boolean found = on(e -> LIB.hotcold_retrieve_into(
                handle, key, key.length, buffer, buffer.length, len, e));
        return found ? Math.toIntExact(len.getValue()) : -1;
    }

    public boolean contains(byte[] key) {
        return on(e -> LIB.hotcold_contains(handle, key, key.length, e));
    }

    /** Returns whether the key was there. */
    public boolean delete(byte[] key) {
        return on(e -> LIB.hotcold_delete(handle, key, key.length, e));
    }

    public void clear() {
        on(e -> LIB.hotcold_clear(handle, e));
    }

    public void sync() {
        on(e -> LIB.hotcold_sync(handle, e));
    }

    public void compact() {
        on(e -> LIB.hotcold_compact(handle, e));
    }

    /** Returns what the store tells of itself, as JSON. */
    public String stats() {
        CValue value = new CValue();
        on(e -> LIB.hotcold_stats_text(handle, STATS_JSON, value, e));
        return new String(take(value), StandardCharsets.UTF_8);
    }

    /** Walks over the keys that begin with a prefix, in no useful order. Close it. */
    public Keys keys(byte[] prefix) {
        return new Keys(this, open((out, e) ->
                LIB.hotcold_cursor_open(handle, prefix, prefix.length, out, e)));
    }

    /**
     * Has a listener called with each event of the kinds in {@code mask}, perhaps by several
     * threads at once. It may use this store, but not close it. What it throws goes to JNA's
     * handler of uncaught exceptions.
     */
    public Subscription subscribe(int mask, Consumer<Event> listener) {
        return new Subscription(mask, listener);
    }

    /** Closes the store; any later call fails with MISUSE, but closing again does nothing. */
    @Override
    public void close() {
        CError error = new CError();
        int status = LIB.hotcold_close(handle, error);
        if (status < 0 && status != MISUSE) {
            throw new Failure(status, error);
        }
    }

    /** A failure: a number, its name, errno or 0, and words. */
    public static final class Failure extends RuntimeException {
        private static final long serialVersionUID = 1;

        public final int status;
        public final String name;
        public final int osCode;

        Failure(int status, CError error) {
            super(LIB.hotcold_status_name(status) + ": "
                    + Native.toString(error.message, StandardCharsets.UTF_8));
            this.status = status;
            this.name = LIB.hotcold_status_name(status);
            this.osCode = error.os_code;
        }
    }

    /** What happened; key, value and message are null where there is none. */
    public static final class Event {
        public final int kind, tier, status;
        public final byte[] key, value;
        public final long version;
        public final String storageId, message;

        Event(CEvent event) {
            kind = event.kind;
            tier = event.tier;
            status = event.status;
            key = event.key == null ? null : bytes(event.key, event.key_len);
            value = event.value == null ? null : bytes(event.value, event.value_len);
            version = event.version;
            storageId = event.storage_id.getString(0, "UTF-8");
            message = event.message == null ? null : event.message.getString(0, "UTF-8");
        }
    }

    /** Ends when closed: no call of the listener is in progress then. */
    public final class Subscription implements AutoCloseable {
        // Callbacks that C may still call: held until the library says that it has dropped them.
        private static final Set<Subscription> HELD = ConcurrentHashMap.newKeySet();

        private final EventFn fn;
        private final DropFn drop = userData -> HELD.remove(this);
        private final long number;

        Subscription(int mask, Consumer<Event> listener) {
            fn = (userData, event) -> listener.accept(new Event(new CEvent(event)));
            HELD.add(this);
            LongByReference out = new LongByReference();
            on(e -> LIB.hotcold_subscribe(handle, mask, fn, null, drop, out, e));
            number = out.getValue();
        }

        @Override
        public void close() {
            CError error = new CError();
            int status = LIB.hotcold_unsubscribe(handle, number, error);
            if (status < 0 && status != MISUSE) {
                throw new Failure(status, error);
            }
        }
    }

    /** A walk over keys. For one thread at a time. */
    public static final class Keys implements Iterator<byte[]>, AutoCloseable {
        private final CSlice slice = new CSlice();
        private final Hotcold store; // kept open
        private final Cleaner.Cleanable cleanable;
        private Pointer cursor;
        private byte[] next;

        Keys(Hotcold store, Pointer cursor) {
            this.store = store;
            this.cursor = cursor;
            cleanable = CLEANER.register(this, () -> LIB.hotcold_cursor_close(cursor));
        }

        @Override
        public boolean hasNext() {
            try {
                if (next == null && cursor != null
                        && store.on(e -> LIB.hotcold_cursor_next(cursor, slice, e))) {
                    next = bytes(slice.data, slice.len);
                }
                return next != null;
            } finally {
                Reference.reachabilityFence(this);
            }
        }

        @Override
        public byte[] next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            byte[] key = next;
            next = null;
            return key;
        }

        @Override
        public void close() {
            cursor = null;
            cleanable.clean();
        }
    }

    private interface Call {
        int with(CError error);
    }

    private interface Opening {
        int with(PointerByReference out, CError error);
    }

    /** Returns whether a call gave OK; throws what it gave below 0. */
    private static boolean call(Call call) {
        CError error = new CError();
        int status = call.with(error);
        if (status < 0) {
            throw new Failure(status, error);
        }
        return status == OK;
    }

    /** As call(), for this store, which is not collected before the call ends. */
    private boolean on(Call call) {
        try {
            return call(call);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private static Pointer open(Opening opening) {
        PointerByReference out = new PointerByReference();
        call(e -> opening.with(out, e));
        return out.getValue();
    }

    private static byte[] bytes(Pointer data, long len) {
        return len == 0 ? new byte[0] : data.getByteArray(0, Math.toIntExact(len));
    }

    /** Copies a value's bytes and gives it back. */
    private static byte[] take(CValue value) {
        try {
            return bytes(value.data, value.len);
        } finally {
            LIB.hotcold_value_release(value);
        }
    }

    // The C interface; structs are laid out as in hotcold.h.

    @FieldOrder({"status", "os_code", "message"})
    public static final class CError extends Structure {
        public int status, os_code;
        public byte[] message = new byte[504];
    }

    @FieldOrder({"data", "len", "version", "expires_at", "tier", "flags", "owner", "reserved"})
    public static final class CValue extends Structure {
        public Pointer data;
        public long len, version, expires_at;
        public int tier, flags;
        public Pointer owner;
        public long[] reserved = new long[2];
    }

    @FieldOrder({"ttl", "if_version", "flags", "reserved"})
    public static final class CStoreOptions extends Structure {
        public long ttl, if_version;
        public int flags, reserved;
    }

    @FieldOrder({"data", "len"})
    public static final class CSlice extends Structure {
        public Pointer data;
        public long len;
    }

    @FieldOrder({"kind", "tier", "status", "size", "key", "key_len", "value", "value_len",
        "version", "expires_at", "storage_id", "message"})
    public static final class CEvent extends Structure {
        public int kind, tier, status, size;
        public Pointer key;
        public long key_len;
        public Pointer value;
        public long value_len, version, expires_at;
        public Pointer storage_id, message;

        public CEvent(Pointer event) {
            super(event);
            read();
        }
    }

    public interface EventFn extends Callback {
        void invoke(Pointer userData, Pointer event);
    }

    public interface DropFn extends Callback {
        void invoke(Pointer userData);
    }

    private interface C extends Library {
        String hotcold_status_name(int status);

        Pointer hotcold_options_new();

        void hotcold_options_free(Pointer o);

        int hotcold_options_set(Pointer o, String name, String value, CError error);

        int hotcold_open(String path, Pointer o, PointerByReference out, CError error);

        int hotcold_close(Pointer s, CError error);

        int hotcold_sync(Pointer s, CError error);

        int hotcold_compact(Pointer s, CError error);

        int hotcold_clear(Pointer s, CError error);

        void hotcold_value_release(CValue v);

        int hotcold_store_with(Pointer s, byte[] key, long keyLen, byte[] value, long valueLen,
                CStoreOptions o, long oSize, LongByReference versionOut, CError error);

        int hotcold_retrieve(Pointer s, byte[] key, long keyLen, CValue out, CError error);

        int hotcold_retrieve_into(Pointer s, byte[] key, long keyLen, byte[] buf, long capacity,
                LongByReference lenOut, CError error);

        int hotcold_contains(Pointer s, byte[] key, long keyLen, CError error);

        int hotcold_delete(Pointer s, byte[] key, long keyLen, CError error);

        int hotcold_cursor_open(Pointer s, byte[] prefix, long prefixLen, PointerByReference out,
                CError error);

        int hotcold_cursor_next(Pointer c, CSlice keyOut, CError error);

        void hotcold_cursor_close(Pointer c);

        int hotcold_subscribe(Pointer s, int mask, EventFn fn, Pointer userData, DropFn drop,
                LongByReference out, CError error);

        int hotcold_unsubscribe(Pointer s, long subscription, CError error);

        int hotcold_stats_text(Pointer s, int format, CValue out, CError error);
    }
}
