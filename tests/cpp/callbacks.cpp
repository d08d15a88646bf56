// Listeners, queues and loads: what they capture is let go once, and no exception of theirs leaves
// C++.
#include "check.hpp"

#include <thread>

using namespace std::chrono_literals;

static void listeners_hear_until_they_end() {
    auto store = hotcold::Store::in_memory();
    auto captured = std::make_shared<std::vector<std::string>>();
    {
        auto subscription = store.subscribe(
            HOTCOLD_EVENT_ITEM_STORED | HOTCOLD_EVENT_ITEM_DELETED,
            [captured](const hotcold::Event &event) {
                captured->push_back(std::to_string(event.kind()) + " " + std::string(event.key()));
                CHECK(event.storage_id().data() != nullptr && event.message().empty());
            });
        CHECK(captured.use_count() == 2);
        store.store("a", "1");
        hotcold::Subscription moved = std::move(subscription);
        store.remove("a");
        CHECK(moved.exceptions() == 0);
    }
    CHECK(captured.use_count() == 1);
    store.store("b", "2");
    CHECK((*captured == std::vector<std::string>{"1 a", "4 a"}));
}

static void listeners_live_as_long_as_the_store() {
    auto count = std::make_shared<int>(0);
    hotcold::Subscription late;
    {
        auto store = hotcold::Store::in_memory();
        store.subscribe(HOTCOLD_EVENT_ALL, [count](const auto &) { ++*count; }).detach();
        late = store.subscribe(HOTCOLD_EVENT_ALL, [count](const auto &) { ++*count; });
        store.store("a", "1");
        CHECK(*count >= 2);
        CHECK(count.use_count() == 3);
    }
    CHECK(count.use_count() == 1);
    CHECK(late.try_cancel() < 0); // the store is gone
    hotcold::Store closed;
    THROWS(HOTCOLD_INVALID_ARGUMENT, closed.subscribe(HOTCOLD_EVENT_ALL, [count](const auto &) {}));
    CHECK(count.use_count() == 1);
}

static void listeners_may_throw_and_call() {
    auto store = hotcold::Store::in_memory();
    auto subscription = store.subscribe(HOTCOLD_EVENT_ITEM_STORED, [&](const hotcold::Event &e) {
        CHECK(store.retrieve(e.key()).str() == (e.key() == "a" ? "1" : "2"));
        throw std::runtime_error("from a listener");
    });
    store.store("a", "1");
    store.store("b", "2");
    CHECK(subscription.exceptions() == 2);
    CHECK(store.contains("b"));
}

static void queues_hold_events() {
    auto store = hotcold::Store::in_memory();
    auto queue = store.events(HOTCOLD_EVENT_ITEM_STORED, 2);
    CHECK(!queue.next());
    for (const char *key : {"a", "b", "c"}) {
        store.store(key, "value");
    }
    CHECK(queue.dropped() == 1);
    const auto event = queue.next(1s);
    CHECK(event && event->key() == "a" && event->version() != 0);
    store.close();
    CHECK(queue.next()->key() == "b");
    CHECK(!queue.next(1h));
}

static void loads_make_what_is_missing() {
    auto store = hotcold::Store::in_memory();
    int calls = 0;
    const auto load = [&](std::string_view key) { return ++calls, std::string(key) + "!"; };
    CHECK(store.retrieve_or_load("a", load).str() == "a!");
    CHECK(store.retrieve_or_load("a", load).str() == "a!" && calls == 1);

    const auto none = [](std::string_view) -> std::optional<std::string> { return std::nullopt; };
    CHECK(!store.retrieve_or_load("b", none) && !store.contains("b"));
    const auto some = [](std::string_view) { return std::optional<std::string>(""); };
    CHECK(store.retrieve_or_load("b", some));
    // A value of the store itself is bytes, too, and an empty one is none.
    const auto from = [&](std::string_view) { return store.retrieve("a"); };
    CHECK(store.retrieve_or_load("copy", from).str() == "a!");

    const auto timed = [](std::string_view, hotcold::Loaded &out) { out.set("x", 1h); };
    CHECK(store.retrieve_or_load("c", timed).expires_at() != 0);
    const auto nothing = [](std::string_view, hotcold::Loaded &) {};
    CHECK(!store.retrieve_or_load("d", nothing));
}

struct Mine {
    int number;
};

static void loads_may_throw() {
    auto store = hotcold::Store::in_memory();
    const auto fail = [](std::string_view) -> std::string { throw Mine{42}; };
    int got = 0;
    try {
        store.retrieve_or_load("a", fail);
    } catch (const Mine &mine) {
        got = mine.number;
    }
    CHECK(got == 42 && !store.contains("a"));
    hotcold::Value value;
    CHECK(store.try_retrieve_or_load("a", fail, value) == HOTCOLD_CALLBACK_FAILED && !value);
    // The store's own words pass through as well: a key may not load itself.
    const auto again = [&](std::string_view key) {
        return store.retrieve_or_load(key, fail).str();
    };
    THROWS(HOTCOLD_MISUSE, store.retrieve_or_load("a", again));

    // Who waits for a load of another thread is told that it failed.
    std::atomic<bool> inside{false};
    std::thread other([&] {
        try {
            store.retrieve_or_load("slow", [&](std::string_view) -> std::string {
                inside = true;
                std::this_thread::sleep_for(50ms);
                throw Mine{1};
            });
        } catch (const Mine &) {
        }
    });
    while (!inside) {
        std::this_thread::yield();
    }
    THROWS(HOTCOLD_CALLBACK_FAILED, store.retrieve_or_load("slow", [](std::string_view) {
        return std::string("not run: the other's load is shared");
    }));
    other.join();
}

int main() {
    listeners_hear_until_they_end();
    listeners_live_as_long_as_the_store();
    listeners_may_throw_and_call();
    queues_hold_events();
    loads_make_what_is_missing();
    loads_may_throw();
}
