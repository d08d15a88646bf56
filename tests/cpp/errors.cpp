// Every call has a form that does not throw, and says the same as the one that does.
#include "check.hpp"

using hotcold::Status;

// Each call on a store that is not open gives `wanted`, and throws nothing.
static void refused(hotcold::Store &store, Status wanted) {
    hotcold_error_t error;
    hotcold::Value value;
    hotcold::Stored stored;
    hotcold::Keys keys;
    hotcold::EventQueue queue;
    hotcold::Subscription subscription;
    hotcold::Stats stats;
    hotcold::Store::Verified verified;
    const hotcold::Bytes key("key");
    std::size_t count = 0;
    Status status = HOTCOLD_OK;
    const auto load = [](std::string_view) { return std::string(); };
    const auto listen = [](const hotcold::Event &) {};
    static_assert(noexcept(store.try_store(key, key)) && noexcept(store.try_retrieve(key, value)));
    for (const Status got : {
             store.try_store(key, key, &error),
             store.try_store(key, key, hotcold::StoreOptions(), stored, &error),
             store.try_retrieve(key, value, &error),
             store.try_retrieve(key, value, &error, HOTCOLD_RETRIEVE_NO_PROMOTE),
             store.try_retrieve_into(key, nullptr, 0, count, &error),
             store.try_retrieve_or_load(key, load, value, &error),
             store.try_retrieve_many(&key, 1, &value, &status, &error),
             store.try_contains(key, &error),
             store.try_remove(key, &error),
             store.try_clear(&error),
             store.try_write(hotcold::Batch(), &error),
             store.try_keys(keys, key, &error),
             store.try_warm_up(&key, 1, count, &error),
             store.try_optimize_hot(0, count, &error),
             store.try_subscribe(HOTCOLD_EVENT_ALL, listen, subscription, &error),
             store.try_events(HOTCOLD_EVENT_ALL, 1, queue, &error),
             store.try_stats(stats, &error),
             store.try_stats_text(HOTCOLD_STATS_JSON, value, &error),
             store.try_backup("nowhere", &error),
             store.try_verify(verified, &error),
             store.try_sync(&error),
             store.try_compact(&error),
         }) {
        CHECK(got == wanted);
        CHECK(error.status == wanted && error.message[0] != 0);
        CHECK(!value && !stored && count == 0);
    }
    THROWS(wanted, store.store(key, key));
    THROWS(wanted, store.retrieve(key));
    THROWS(wanted, store.retrieve_into(key, nullptr, 0));
    THROWS(wanted, store.retrieve_or_load(key, load));
    THROWS(wanted, store.retrieve_many({key}));
    THROWS(wanted, store.keys());
    THROWS(wanted, store.events(HOTCOLD_EVENT_ALL, 1));
    THROWS(wanted, store.stats());
    THROWS(wanted, store.sync());
}

// Wrong in a store that is open.
static void explained() {
    auto store = hotcold::Store::in_memory();
    const std::string too_long(HOTCOLD_KEY_LEN_MAX + 1, 'k');
    THROWS(HOTCOLD_TOO_LARGE, store.store(too_long, "value"));
    THROWS(HOTCOLD_TOO_LARGE, store.retrieve(too_long));
    THROWS(HOTCOLD_TOO_LARGE, store.retrieve_many({hotcold::Bytes("key"), too_long}));
    THROWS(HOTCOLD_TOO_LARGE, hotcold::Batch().store(too_long, "value"));
    THROWS(HOTCOLD_INVALID_ARGUMENT, store.retrieve("key", 1U << 31));
    std::size_t len = 0;
    store.store("key", "value");
    CHECK(store.try_retrieve_into("key", nullptr, 0, len) == HOTCOLD_BUFFER_TOO_SMALL && len == 5);
    // A value that is given again is given back first, and is empty after a failure.
    hotcold::Value value = store.retrieve("key");
    CHECK(store.try_retrieve("absent", value) == HOTCOLD_NOT_FOUND && !value);
    hotcold::Keys keys = store.keys("k");
    CHECK(keys.try_next() == HOTCOLD_OK && keys.try_value(value) == HOTCOLD_OK);
    CHECK(value.text() == "value" && keys.try_next() == HOTCOLD_END);
    hotcold::EventQueue queue = store.events(HOTCOLD_EVENT_ALL, 1);
    std::optional<hotcold::Event> event;
    CHECK(queue.try_next(event) == HOTCOLD_END && !event);
}

// What the system says reaches the program: number and words, with the path.
static void system_errors_have_their_number() {
    Directory directory;
    std::string words;
    int number = 0;
    Status status = HOTCOLD_OK;
    try {
        hotcold::Store(directory / "no such", hotcold::Options().create(false));
    } catch (const hotcold::Error &error) {
        words = error.what();
        number = error.os_code();
        status = error.status();
    }
    CHECK(status == HOTCOLD_IO && number == 2);
    CHECK(words.find("no such") != std::string::npos);
    hotcold::Store store;
    CHECK(hotcold::Store::try_open("", hotcold::Options().create(false), store) < 0);
    CHECK(!store.is_open() && store.try_close() == HOTCOLD_OK);
}

int main() {
    hotcold::Store store;
    refused(store, HOTCOLD_INVALID_ARGUMENT);
    explained();
    system_errors_have_their_number();
}
