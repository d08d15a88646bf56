// What Hotcold.cs promises; the argument is a directory where there is no store yet.
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading;
using Hotcold;

static class HotcoldTest
{
    static void Check(bool holds)
    {
        if (!holds)
            throw new Exception("does not hold");
    }

    static HotcoldException Fails(Status status, Action call)
    {
        try
        {
            call();
        }
        catch (HotcoldException e)
        {
            Check(e.Status == status);
            return e;
        }
        throw new Exception("did not fail with " + status);
    }

    static byte[] B(string text) => Encoding.UTF8.GetBytes(text);
    static string S(byte[] bytes) => bytes == null ? null : Encoding.UTF8.GetString(bytes);

    static void StoredAndRetrieved(Store store)
    {
        store.Put(B("user:1"), B("Ada"));
        store.Put(B("user:2"), B("Gr\0äce"), TimeSpan.FromHours(1));
        store.Put(B("other"), B(""));
        Check(S(store.Retrieve(B("user:1"))) == "Ada" && S(store.Retrieve(B("user:2"))) == "Gr\0äce");
        Check(store.Retrieve(B("other")).Length == 0 && store.Retrieve(B("absent")) == null);
        var buffer = new byte[16];
        int len = store.RetrieveInto(B("user:2"), buffer).Value;
        Check(S(buffer.Take(len).ToArray()) == "Gr\0äce");
        Check(store.RetrieveInto(B("absent"), buffer) == null);
        Fails(Status.BufferTooSmall, () => store.RetrieveInto(B("user:2"), new byte[2]));
        Check(store.Contains(B("user:1")) && !store.Contains(B("absent")));
        store.Put(B("late"), B("x"), TimeSpan.FromSeconds(-5)); // is over, and not for ever
        store.Put(B("short"), B("x"), TimeSpan.FromTicks(1));
        Thread.Sleep(20);
        Check(!store.Contains(B("late")) && !store.Contains(B("short")));
    }

    /// A walk keeps its store open; what is left open is closed when it is collected.
    static void Collected(string path)
    {
        var left = new Thread(() =>
        {
            var keys = new Store(path).Keys().GetEnumerator();
            GC.Collect();
            Check(keys.MoveNext());
        });
        left.Start();
        left.Join();
        Check(SpinWait.SpinUntil(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            try
            {
                new Store(path).Dispose();
                return true;
            }
            catch (HotcoldException e)
            {
                Check(e.Status == Status.Locked);
                return false;
            }
        }, 10000));
    }

    static void Iterated(Store store)
    {
        Check(store.Keys(B("user:")).Select(S).OrderBy(k => k).SequenceEqual(new[] { "user:1", "user:2" }));
        Check(store.Keys().Count() == 3);
    }

    static void EventsArrive(Store store)
    {
        var events = new ConcurrentQueue<Event>();
        using (store.Subscribe(EventKinds.ItemStored | EventKinds.Compacted, events.Enqueue))
        {
            GC.Collect(); // the callback stays
            store.Put(B("told"), B("yes"));
            var stored = events.Single();
            Check(stored.Kind == EventKinds.ItemStored && S(stored.Key) == "told");
            Check(S(stored.Value) == "yes" && stored.StorageId == "csharp" && stored.Version != 0);
            store.Compact(); // reports from the store's own thread
            Check(SpinWait.SpinUntil(
                () => events.Any(e => e.Kind == EventKinds.Compacted && e.Message != null), 10000));
        }
        int before = events.Count;
        Check(store.Delete(B("told")) && !store.Delete(B("told")));
        store.Put(B("other"), B(""));
        Check(events.Count == before);
    }

    static void ErrorsSayWhat(string path)
    {
        var e = Fails(Status.Locked, () => new Store(path));
        Check(e.Message.StartsWith("HOTCOLD_LOCKED: ") && e.Message.Contains(path));
        var wrong = new Dictionary<string, string> { { "hot_capactiy", "1" } };
        e = Fails(Status.InvalidArgument, () => new Store(path, wrong));
        Check(e.Message.Contains("hot_capactiy"));
    }

    static void Main(string[] args)
    {
        string path = args[0];
        var options = new Dictionary<string, string>
        {
            { "storage_id", "csharp" }, { "hot_capacity", "1MiB" },
        };
        var store = new Store(path, options);
        StoredAndRetrieved(store);
        Iterated(store);
        EventsArrive(store);
        ErrorsSayWhat(path);
        Check(store.Stats().Contains("\"hot\""));
        store.Sync();
        var keys = store.Keys().GetEnumerator();
        Check(keys.MoveNext());
        store.Dispose();
        store.Dispose();
        Fails(Status.Misuse, () => store.Retrieve(B("user:1")));
        Fails(Status.Misuse, () => keys.MoveNext());
        Collected(path);
        using (var again = new Store(path))
        {
            Check(S(again.Retrieve(B("user:2"))) == "Gr\0äce");
            again.Clear();
            Check(again.Retrieve(B("user:1")) == null);
            Check(again.Stats().Contains("\"held\":0,")); // every value was given back
        }
        EndsByWhatAListenerThrows();
    }

    /// The last test: the store is not disturbed, and the program ends.
    static void EndsByWhatAListenerThrows()
    {
        AppDomain.CurrentDomain.UnhandledException += (sender, e) =>
        {
            Console.WriteLine(((Exception)e.ExceptionObject).Message);
            Environment.Exit(0);
        };
        var store = new Store(null);
        store.Subscribe(EventKinds.ItemStored, e => { throw new Exception("ok"); });
        store.Put(B("a"), B("b"));
        Check(S(store.Retrieve(B("a"))) == "b");
        store.Dispose();
        Thread.Sleep(10000);
        Environment.Exit(1);
    }
}
