// Walking over keys with range-for, algorithms and by hand.
#include "check.hpp"

#include <algorithm>
#include <iterator>
#include <set>

static std::set<std::string> collected(hotcold::Keys keys) {
    std::set<std::string> found;
    for (std::string_view key : keys) {
        CHECK(found.insert(std::string(key)).second);
    }
    return found;
}

int main() {
    auto store = hotcold::Store::in_memory();
    CHECK(collected(store.keys()).empty());
    for (const char *key : {"a/1", "a/2", "b/1", ""}) {
        store.store(key, std::string("value of ") + key);
    }
    CHECK((collected(store.keys()) == std::set<std::string>{"", "a/1", "a/2", "b/1"}));
    CHECK((collected(store.keys("a/")) == std::set<std::string>{"a/1", "a/2"}));

    // The value where the walk stands.
    auto keys = store.keys("a/");
    for (std::string_view key : keys) {
        CHECK(keys.value().str() == "value of " + std::string(key));
    }

    // As an input iterator; breaking off and going on loses no key.
    auto walk = store.keys();
    const std::string first(*walk.begin());
    std::set<std::string> rest;
    std::transform(walk.begin(), walk.end(), std::inserter(rest, rest.end()),
                   [](std::string_view key) { return std::string(key); });
    CHECK(rest.count(first) == 1 && rest.size() == 4);
    CHECK(!walk.next());

    // A key that is gone by now.
    auto removed = store.keys("b/");
    CHECK(removed.next() && removed.key() == "b/1");
    store.remove("b/1");
    CHECK(!removed.value());

    // A walk outlives its store, and says that it is over.
    auto orphan = store.keys();
    store.close();
    THROWS(HOTCOLD_MISUSE, orphan.next());
    hotcold::Keys none;
    CHECK(none.try_next() == HOTCOLD_INVALID_ARGUMENT);
#if __cplusplus >= 202002L
    static_assert(std::input_iterator<hotcold::Keys::Iterator>);
#endif
}
