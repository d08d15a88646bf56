import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;

/** What Hotcold.java promises; the argument is a directory where there is no store yet. */
final class HotcoldTest {
    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError("does not hold");
        }
    }

    private static Hotcold.Failure fails(int status, Runnable call) {
        try {
            call.run();
        } catch (Hotcold.Failure failure) {
            check(failure.status == status);
            return failure;
        }
        throw new AssertionError("did not fail with " + status);
    }

    private static byte[] b(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String s(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    private static List<String> keys(Hotcold store, String prefix) {
        TreeSet<String> found = new TreeSet<>();
        try (Hotcold.Keys keys = store.keys(b(prefix))) {
            keys.forEachRemaining(key -> check(found.add(s(key))));
        }
        return new ArrayList<>(found);
    }

    private static void storedAndRetrieved(Hotcold store) {
        store.store(b("user:1"), b("Ada"));
        store.store(b("user:2"), b("Gr\0\u00e4ce"), 3_600_000);
        store.store(b("other"), b(""));
        check(s(store.retrieve(b("user:1"))).equals("Ada"));
        check(s(store.retrieve(b("user:2"))).equals("Gr\0\u00e4ce"));
        check(store.retrieve(b("other")).length == 0 && store.retrieve(b("absent")) == null);
        byte[] buffer = new byte[16];
        int len = store.retrieveInto(b("user:2"), buffer);
        check(s(Arrays.copyOf(buffer, len)).equals("Gr\0\u00e4ce"));
        check(store.retrieveInto(b("absent"), buffer) == -1);
        fails(Hotcold.BUFFER_TOO_SMALL, () -> store.retrieveInto(b("user:2"), new byte[2]));
        check(store.contains(b("user:1")) && !store.contains(b("absent")));
        store.store(b("late"), b("x"), -5); // is over, and not for ever
        pause(20);
        check(!store.contains(b("late")));
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** A walk keeps its store open; what is left open is closed when it is collected. */
    private static void collected(String path) {
        Hotcold.Keys keys = new Hotcold(path, Map.of()).keys(b(""));
        System.gc();
        pause(20);
        check(keys.hasNext());
        keys = null;
        long deadline = System.nanoTime() + 10_000_000_000L;
        while (true) {
            System.gc();
            pause(20);
            try {
                new Hotcold(path, Map.of()).close();
                return;
            } catch (Hotcold.Failure failure) {
                check(failure.status == Hotcold.LOCKED && System.nanoTime() < deadline);
            }
        }
    }

    private static void eventsArrive(Hotcold store) {
        List<Hotcold.Event> events = new CopyOnWriteArrayList<>();
        int kinds = Hotcold.ITEM_STORED | Hotcold.COMPACTED;
        try (Hotcold.Subscription subscription = store.subscribe(kinds, events::add)) {
            check(subscription != null);
            System.gc(); // the callback stays
            store.store(b("told"), b("yes"));
            check(events.size() == 1);
            Hotcold.Event event = events.get(0);
            check(event.kind == Hotcold.ITEM_STORED && s(event.key).equals("told"));
            check(s(event.value).equals("yes") && event.storageId.equals("java"));
            check(event.version != 0 && event.message == null);
            store.compact(); // reports from the store's own thread
            awaitCompacted(events);
        }
        int before = events.size();
        check(store.delete(b("told")) && !store.delete(b("told")));
        store.store(b("other"), b(""));
        check(events.size() == before);
    }

    private static void awaitCompacted(List<Hotcold.Event> events) {
        long deadline = System.nanoTime() + 10_000_000_000L;
        while (events.stream().noneMatch(e -> e.kind == Hotcold.COMPACTED && e.message != null)) {
            check(System.nanoTime() < deadline);
            Thread.yield();
        }
    }

    private static void errorsSayWhat(String path) {
        Hotcold.Failure failure = fails(Hotcold.LOCKED, () -> new Hotcold(path, Map.of()).close());
        check(failure.name.equals("HOTCOLD_LOCKED") && failure.getMessage().contains(path));
        failure = fails(Hotcold.INVALID_ARGUMENT,
                () -> new Hotcold(path, Map.of("hot_capactiy", 1)).close());
        check(failure.getMessage().contains("hot_capactiy"));
    }

    public static void main(String[] args) {
        String path = args[0];
        Hotcold store = new Hotcold(path,
                Map.of("storage_id", "java", "hot_capacity", 1 << 20, "warm_start", false));
        storedAndRetrieved(store);
        check(keys(store, "user:").equals(List.of("user:1", "user:2")));
        check(keys(store, "").size() == 3);
        eventsArrive(store);
        errorsSayWhat(path);
        check(store.stats().contains("\"hot\""));
        store.sync();
        Hotcold.Keys keys = store.keys(b(""));
        check(keys.hasNext() && keys.next() != null);
        store.close();
        store.close();
        fails(Hotcold.MISUSE, () -> store.retrieve(b("user:1")));
        fails(Hotcold.MISUSE, keys::hasNext);
        keys.close();
        keys.close();
        check(!keys.hasNext());
        collected(path);
        try (Hotcold again = new Hotcold(path, Map.of())) {
            check(s(again.retrieve(b("user:2"))).equals("Gr\0\u00e4ce"));
            again.clear();
            check(again.retrieve(b("user:1")) == null);
            check(again.stats().contains("\"held\":0,")); // every value was given back
        }
        System.out.println("ok");
    }
}
