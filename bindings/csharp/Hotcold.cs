// hotcold for C# (.NET or Mono), over P/Invoke: an embedded key-value store in two tiers, memory
// and disk. May be used from any thread; enumerators of keys are for one thread at a time.
//
// What fails throws a HotcoldException; what is merely absent is null or false. Events are given to
// a callback on the thread where they happen, the store's own included.
using System;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Hotcold
{
    public enum Status
    {
        Ok = 0, NotFound = 1, Conflict = 2, End = 3, InvalidArgument = -1, Misuse = -2, Io = -3,
        Corrupt = -4, NoSpace = -5, Locked = -6, TooLarge = -7, BufferTooSmall = -8, ReadOnly = -9,
        Unsupported = -10, OutOfMemory = -11, Internal = -12, CallbackFailed = -13,
    }

    [Flags]
    public enum EventKinds : uint
    {
        ItemStored = 1, ItemRetrieved = 2, ItemDeleted = 4, StorageCleared = 8, Promoted = 16,
        Demoted = 32, Evicted = 64, Expired = 128, Compacted = 256, Error = 512, All = 0x7FFFFFFF,
    }

    /// <summary>A failure: its status, errno or 0, and words.</summary>
    public sealed class HotcoldException : Exception
    {
        public Status Status { get; }
        public int OsCode { get; }

        internal HotcoldException(int status, C.Error error)
            : base(C.Text(C.hotcold_status_name(status)) + ": " + error.Words())
        {
            Status = (Status)status;
            OsCode = error.os_code;
        }
    }

    /// <summary>What happened; Key, Value and Message are null where there is none.</summary>
    public sealed class Event
    {
        public EventKinds Kind { get; internal set; }
        public int Tier { get; internal set; }
        public Status Status { get; internal set; }
        public byte[] Key { get; internal set; }
        public byte[] Value { get; internal set; }
        public ulong Version { get; internal set; }
        public string StorageId { get; internal set; }
        public string Message { get; internal set; }
    }

    public sealed class Store : IDisposable
    {
        const int StatsJson = 1;

        readonly StoreHandle handle;

        /// <summary>Opens the store in a directory, or one in memory alone if path is null. The
        /// options have the names that hotcold.h lists at hotcold_options_t.</summary>
        public Store(string path, IDictionary<string, string> options = null)
        {
            IntPtr o = C.hotcold_options_new();
            try
            {
                C.Error e;
                foreach (var option in options ?? new Dictionary<string, string>())
                    Check(C.hotcold_options_set(o, C.Utf8(option.Key), C.Utf8(option.Value), out e), e);
                Check(C.hotcold_open(C.Utf8(path), o, out handle, out e), e);
            }
            finally
            {
                C.hotcold_options_free(o);
            }
        }

        /// <summary>Stores a value; ttl, if given, is the time until the key expires.</summary>
        public void Put(byte[] key, byte[] value, TimeSpan ttl = default(TimeSpan))
        {
            // What is over already is over at once, not never.
            double ms = ttl < TimeSpan.Zero ? 1 : Math.Ceiling(ttl.TotalMilliseconds);
            var o = new C.StoreOptions { ttl = (ulong)ms };
            C.Error e;
            Check(C.hotcold_store_with(handle, key, Len(key), value, Len(value), ref o,
                (UIntPtr)(uint)Marshal.SizeOf(o), IntPtr.Zero, out e), e);
        }

        /// <summary>Returns a copy of the value, or null.</summary>
        public byte[] Retrieve(byte[] key)
        {
            C.Value value;
            C.Error e;
            return Check(C.hotcold_retrieve(handle, key, Len(key), out value, out e), e) ? Take(value) : null;
        }

        /// <summary>Copies the value to the front of the buffer; returns its length, or null.</summary>
        public int? RetrieveInto(byte[] key, byte[] buffer)
        {
            UIntPtr len;
            C.Error e;
            bool found = Check(C.hotcold_retrieve_into(
                handle, key, Len(key), buffer, Len(buffer), out len, out e), e);
            return found ? (int?)checked((int)len) : null;
        }

        public bool Contains(byte[] key)
        {
            C.Error e;
            return Check(C.hotcold_contains(handle, key, Len(key), out e), e);
        }

        /// <summary>Returns whether the key was there.</summary>
        public bool Delete(byte[] key)
        {
            C.Error e;
            return Check(C.hotcold_delete(handle, key, Len(key), out e), e);
        }

        /// <summary>The keys that begin with a prefix, in no useful order.</summary>
        public IEnumerable<byte[]> Keys(byte[] prefix = null)
        {
            prefix = prefix ?? new byte[0];
            CursorHandle cursor;
            C.Error e;
            Check(C.hotcold_cursor_open(handle, prefix, Len(prefix), out cursor, out e), e);
            using (cursor)
            {
                C.Slice key;
                while (Check(C.hotcold_cursor_next(cursor, out key, out e), e))
                    yield return Bytes(key.data, key.len);
            }
        }

        /// <summary>Has a listener called with each event of some kinds until the result is
        /// disposed of, perhaps by several threads at once. It may use this store, but not close
        /// it. What it throws is thrown on in a thread of the pool, where nobody catches it: it ends
        /// the program, as AppDomain.UnhandledException tells.</summary>
        public IDisposable Subscribe(EventKinds kinds, Action<Event> listener)
        {
            return new Subscription(handle, kinds, listener);
        }

        /// <summary>What the store tells of itself, as JSON.</summary>
        public string Stats()
        {
            C.Value value;
            C.Error e;
            Check(C.hotcold_stats_text(handle, StatsJson, out value, out e), e);
            return Encoding.UTF8.GetString(Take(value));
        }

        public void Clear()
        {
            C.Error e;
            Check(C.hotcold_clear(handle, out e), e);
        }

        public void Sync()
        {
            C.Error e;
            Check(C.hotcold_sync(handle, out e), e);
        }

        public void Compact()
        {
            C.Error e;
            Check(C.hotcold_compact(handle, out e), e);
        }

        /// <summary>Closes the store; any later call fails with Misuse, but disposing again does
        /// nothing.</summary>
        public void Dispose()
        {
            // The handle itself stays, so that later calls are told of their misuse by the library.
            C.Error e;
            int status = C.hotcold_close(handle, out e);
            if (status != (int)Status.Misuse)
                Check(status, e);
        }

        sealed class Subscription : IDisposable
        {
            // Callbacks that C may still call: held until the library says that it has dropped them.
            static readonly HashSet<Subscription> held = new HashSet<Subscription>();

            readonly StoreHandle store;
            readonly ulong number;
            readonly C.EventFn fn;
            readonly C.DropFn drop;

            internal Subscription(StoreHandle store, EventKinds kinds, Action<Event> listener)
            {
                this.store = store;
                fn = (userData, e) => Tell(listener, e);
                drop = userData => { lock (held) held.Remove(this); };
                lock (held) held.Add(this);
                C.Error error;
                Check(C.hotcold_subscribe(
                    store, (uint)kinds, fn, IntPtr.Zero, drop, out number, out error), error);
            }

            static void Tell(Action<Event> listener, IntPtr e)
            {
                try
                {
                    listener(ToEvent(Marshal.PtrToStructure<C.Event>(e)));
                }
                catch (Exception exception)
                {
                    // Through C it would skip what the library has to do on its way back.
                    var thrown = ExceptionDispatchInfo.Capture(exception);
                    ThreadPool.QueueUserWorkItem(_ => thrown.Throw());
                }
            }

            public void Dispose()
            {
                C.Error e;
                int status = C.hotcold_unsubscribe(store, number, out e);
                if (status != (int)Status.Misuse)
                    Check(status, e);
            }
        }

        static Event ToEvent(C.Event e)
        {
            return new Event
            {
                Kind = (EventKinds)e.kind,
                Tier = e.tier,
                Status = (Status)e.status,
                Key = e.key == IntPtr.Zero ? null : Bytes(e.key, e.key_len),
                Value = e.value == IntPtr.Zero ? null : Bytes(e.value, e.value_len),
                Version = e.version,
                StorageId = C.Text(e.storage_id),
                Message = C.Text(e.message),
            };
        }

        /// <summary>Whether a call gave OK; throws what it gave below 0.</summary>
        static bool Check(int status, C.Error error)
        {
            if (status < 0)
                throw new HotcoldException(status, error);
            return status == (int)Status.Ok;
        }

        static UIntPtr Len(byte[] bytes) => (UIntPtr)(uint)bytes.Length;

        static byte[] Bytes(IntPtr data, UIntPtr len)
        {
            var bytes = new byte[checked((int)len)];
            if (bytes.Length > 0)
                Marshal.Copy(data, bytes, 0, bytes.Length);
            return bytes;
        }

        /// <summary>Copies a value's bytes and gives it back.</summary>
        static byte[] Take(C.Value value)
        {
            try
            {
                return Bytes(value.data, value.len);
            }
            finally
            {
                C.hotcold_value_release(ref value);
            }
        }
    }

    /// <summary>Closes what was left open when it is collected, and is not collected during a call.
    /// Closed already is fine: a handle is never given twice.</summary>
    sealed class StoreHandle : SafeHandle
    {
        StoreHandle() : base(IntPtr.Zero, true) { }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            C.hotcold_close(handle, IntPtr.Zero);
            return true;
        }
    }

    sealed class CursorHandle : SafeHandle
    {
        CursorHandle() : base(IntPtr.Zero, true) { }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            C.hotcold_cursor_close(handle);
            return true;
        }
    }

    /// <summary>The C interface; structs are laid out as in hotcold.h.</summary>
    static class C
    {
        const string Lib = "libhotcold.so.0.1";

        internal struct Error
        {
            internal int status, os_code;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 504)]
            internal byte[] message;

            internal string Words() =>
                Encoding.UTF8.GetString(message, 0, Array.IndexOf(message, (byte)0));
        }

        internal struct Value
        {
            internal IntPtr data;
            internal UIntPtr len;
            internal ulong version, expires_at;
            internal int tier;
            internal uint flags;
            internal IntPtr owner;
            internal ulong reserved0, reserved1;
        }

        internal struct StoreOptions
        {
            internal ulong ttl, if_version;
            internal uint flags, reserved;
        }

        internal struct Slice
        {
            internal IntPtr data;
            internal UIntPtr len;
        }

        internal struct Event
        {
            internal uint kind;
            internal int tier, status;
            internal uint size;
            internal IntPtr key;
            internal UIntPtr key_len;
            internal IntPtr value;
            internal UIntPtr value_len;
            internal ulong version, expires_at;
            internal IntPtr storage_id, message;
        }

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void EventFn(IntPtr userData, IntPtr e);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void DropFn(IntPtr userData);

        /// <summary>UTF-8 with a NUL at the end, whatever the platform's own encoding.</summary>
        internal static byte[] Utf8(string text) =>
            text == null ? null : Encoding.UTF8.GetBytes(text + "\0");

        internal static string Text(IntPtr text)
        {
            if (text == IntPtr.Zero)
                return null;
            int len = 0;
            while (Marshal.ReadByte(text, len) != 0)
                len++;
            var bytes = new byte[len];
            Marshal.Copy(text, bytes, 0, len);
            return Encoding.UTF8.GetString(bytes);
        }

        [DllImport(Lib)] internal static extern IntPtr hotcold_status_name(int status);
        [DllImport(Lib)] internal static extern IntPtr hotcold_options_new();
        [DllImport(Lib)] internal static extern void hotcold_options_free(IntPtr o);
        [DllImport(Lib)] internal static extern int hotcold_options_set(
            IntPtr o, byte[] name, byte[] value, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_open(
            byte[] path, IntPtr o, out StoreHandle store, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_close(StoreHandle s, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_close(IntPtr s, IntPtr noError);
        [DllImport(Lib)] internal static extern int hotcold_sync(StoreHandle s, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_compact(StoreHandle s, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_clear(StoreHandle s, out Error error);
        [DllImport(Lib)] internal static extern void hotcold_value_release(ref Value v);
        [DllImport(Lib)] internal static extern int hotcold_store_with(
            StoreHandle s, byte[] key, UIntPtr keyLen, byte[] value, UIntPtr valueLen,
            ref StoreOptions o, UIntPtr oSize, IntPtr version, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_retrieve(
            StoreHandle s, byte[] key, UIntPtr keyLen, out Value value, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_retrieve_into(
            StoreHandle s, byte[] key, UIntPtr keyLen, [Out] byte[] buffer, UIntPtr capacity,
            out UIntPtr len, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_contains(
            StoreHandle s, byte[] key, UIntPtr keyLen, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_delete(
            StoreHandle s, byte[] key, UIntPtr keyLen, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_cursor_open(
            StoreHandle s, byte[] prefix, UIntPtr prefixLen, out CursorHandle cursor, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_cursor_next(
            CursorHandle c, out Slice key, out Error error);
        [DllImport(Lib)] internal static extern void hotcold_cursor_close(IntPtr c);
        [DllImport(Lib)] internal static extern int hotcold_subscribe(
            StoreHandle s, uint mask, EventFn fn, IntPtr userData, DropFn drop, out ulong subscription,
            out Error error);
        [DllImport(Lib)] internal static extern int hotcold_unsubscribe(
            StoreHandle s, ulong subscription, out Error error);
        [DllImport(Lib)] internal static extern int hotcold_stats_text(
            StoreHandle s, int format, out Value text, out Error error);
    }
}
