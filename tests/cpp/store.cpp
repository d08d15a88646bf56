// Storing, retrieving and their variants; owning and moving; each form of bytes.
#include "check.hpp"

#include <array>
#include <thread>

using namespace std::chrono_literals;

static void bytes_come_in_every_form() {
    auto store = hotcold::Store::in_memory();
    const std::string zero("a\0b", 3);
    const char text[] = "array";
    store.store(zero, "with zero");
    store.store(text, std::string_view("view"));
    store.store("vector", std::vector<std::byte>{std::byte{1}, std::byte{2}});
    store.store("std::array", std::array<unsigned char, 2>{3, 4});
    store.store("pointer", hotcold::Bytes(text, 2));
    store.store("", "");
    CHECK(store.retrieve(zero).str() == "with zero");
    CHECK(!store.contains("a"));
    CHECK(store.retrieve("array").str() == "view");
    CHECK(store.retrieve("vector").str() == "\1\2");
    CHECK(store.retrieve("std::array").str() == "\3\4");
    CHECK(store.retrieve("pointer").str() == "ar");
    const hotcold::Value empty = store.retrieve("");
    CHECK(empty && empty.empty());
    store.store("copy", store.retrieve("array"));
    CHECK(store.retrieve("copy").str() == "view");
#ifdef __cpp_lib_span
    const std::array<std::byte, 1> one{std::byte{7}};
    store.store(std::span(one), std::span<const std::byte>(one));
    const hotcold::Value value = store.retrieve(std::span(one));
    CHECK(value.bytes().size() == 1 && value.bytes()[0] == std::byte{7});
#else
    static_assert(__cplusplus < 202002L, "C++20 has std::span, which Value hands out");
#endif
}

static void values_own_what_they_show() {
    hotcold::Value kept;
    CHECK(!kept && kept.size() == 0 && kept.text().empty() && kept.tier() == 0);
    {
        auto store = hotcold::Store::in_memory();
        store.store("key", "value");
        hotcold::Value first = store.retrieve("key");
        CHECK(first.tier() == HOTCOLD_TIER_HOT && first.version() != 0 && first.expires_at() == 0);
        kept = std::move(first);
        CHECK(!first); // NOLINT(bugprone-use-after-move): moved from is empty
        store.store("key", "other");
        CHECK(!store.retrieve("absent"));
    }
    CHECK(kept.text() == "value");
    CHECK(std::string(kept.begin(), kept.end()) == "value");
    kept.reset();
    CHECK(!kept);
}

static void stores_are_moved_and_closed() {
    Directory directory;
    const std::filesystem::path path = directory / "store";
    hotcold::Store store(path);
    store.store("key", "value");
    THROWS(HOTCOLD_LOCKED, hotcold::Store(path));
    hotcold::Store moved = std::move(store);
    CHECK(!store.is_open() && moved.is_open()); // NOLINT(bugprone-use-after-move)
    THROWS(HOTCOLD_INVALID_ARGUMENT, store.contains("key"));
    moved.close();
    CHECK(!moved.is_open());
    moved = hotcold::Store(path.string());
    CHECK(moved.retrieve("key").str() == "value");
    moved = hotcold::Store::in_memory();
    CHECK(!moved.contains("key"));
    // What was assigned over is closed: the directory is free again.
    CHECK(hotcold::Store(path, hotcold::Options().read_only()).contains("key"));
}

static void options_reach_the_library() {
    Directory directory;
    hotcold::Options options;
    options.hot_capacity(1 << 20).hot_max_entries(100).hot_ttl(1h).compression("none")
        .eviction("lru").lenient(false).write_back(false).sync_every_store(false)
        .sync_interval(50ms).cold_capacity(64 << 20).create(true).storage_id("named")
        .set("hot_capacity", "2MiB").set("hot_max_entries", 0);
    hotcold::Store store((directory / "store").string(), options);
    CHECK(store.stats().hot_capacity == 2 << 20);
    THROWS(HOTCOLD_INVALID_ARGUMENT, options.set("no_such", 1));
    THROWS(HOTCOLD_INVALID_ARGUMENT, options.hot_ttl(-1ms));
    CHECK(options.try_set("hot_ttl", "soon") == HOTCOLD_INVALID_ARGUMENT);
}

static void stores_have_conditions_and_times() {
    auto store = hotcold::Store::in_memory();
    hotcold::StoreOptions absent;
    absent.if_version = 0;
    const hotcold::Stored first = store.store("key", "1", absent);
    CHECK(first && first.version == store.retrieve("key").version());
    const hotcold::Stored second = store.store("key", "2", absent);
    CHECK(!second && second.version == first.version);
    hotcold::StoreOptions same;
    same.if_version = first.version;
    CHECK(store.store("key", "3", same));
    CHECK(store.retrieve("key").str() == "3");

    hotcold::StoreOptions brief;
    brief.ttl = 1h;
    store.store("brief", "x", brief);
    CHECK(store.retrieve("brief").expires_at() != 0);
    brief.ttl = -1h;
    store.store("brief", "x", brief);
    std::this_thread::sleep_for(5ms);
    CHECK(!store.contains("brief"));
}

static void reads_come_in_every_form() {
    auto store = hotcold::Store::in_memory();
    store.store("a", "one");
    store.store("b", "two");
    char buffer[3] = {};
    CHECK(store.retrieve_into("a", buffer, 3) == 3U && std::string(buffer, 3) == "one");
    CHECK(store.retrieve_into("a", buffer, 2) == 3U);
    CHECK(!store.retrieve_into("absent", buffer, 3));
    const auto values = store.retrieve_many({"a", "absent", "b"});
    CHECK(values.size() == 3 && values[0].text() == "one" && !values[1]);
    CHECK(values[2].text() == "two");
    const std::vector<std::string> names{"b", "a"};
    CHECK(store.retrieve_many(names)[0].text() == "two");
    CHECK(store.retrieve_many(std::vector<std::string>()).empty());
    CHECK(store.retrieve("a", HOTCOLD_RETRIEVE_NO_RECENCY).str() == "one");
    CHECK(store.remove("a") && !store.remove("a"));
    store.clear();
    CHECK(!store.contains("b"));
}

static void batches_are_whole() {
    auto store = hotcold::Store::in_memory();
    store.store("old", "x");
    hotcold::Batch batch;
    hotcold::StoreOptions absent;
    absent.if_version = 0;
    batch.store("a", "1").remove("old").store("b", "2", absent);
    CHECK(store.write(batch));
    CHECK(store.contains("a") && store.contains("b") && !store.contains("old"));
    CHECK(!store.write(batch));
}

static void care_and_tiers() {
    Directory directory;
    hotcold::Store store((directory / "store").string());
    for (int i = 0; i < 100; ++i) {
        store.store("key" + std::to_string(i), std::string(100, 'x'));
    }
    store.sync();
    CHECK(store.optimize_hot(0) == 100);
    CHECK(store.retrieve("key7", HOTCOLD_RETRIEVE_NO_PROMOTE).tier() == HOTCOLD_TIER_COLD);
    CHECK(store.warm_up({"key1", "key2", "absent"}) == 2);
    CHECK(store.warm_up(std::vector<std::string>{"key3"}) == 1);
    store.compact();
    const auto verified = store.verify();
    CHECK(verified.records >= 100 && verified.damaged == 0);
    store.backup((directory / "copy").string());
    CHECK(hotcold::Store((directory / "copy").string()).contains("key99"));
    CHECK(store.stats().cold_entries == 100);
    CHECK(store.stats_text(HOTCOLD_STATS_JSON).str().find("\"hot\"") != std::string::npos);
}

int main() {
    bytes_come_in_every_form();
    values_own_what_they_show();
    stores_are_moved_and_closed();
    options_reach_the_library();
    stores_have_conditions_and_times();
    reads_come_in_every_form();
    batches_are_whole();
    care_and_tiers();
}
