// The header from C++: a store in an owner, values that release themselves, a lambda as a callback.
#include <hotcold.h>

#include <cstdio>
#include <memory>
#include <string>

struct Close {
    void operator()(hotcold_t *s) const { hotcold_close(s, nullptr); }
};

struct Value : hotcold_value_t {
    Value() : hotcold_value_t() {}
    ~Value() { hotcold_value_release(this); }
    Value(const Value &) = delete;
    Value &operator=(const Value &) = delete;
    std::string text() const { return std::string(reinterpret_cast<const char *>(data), len); }
};

int main() {
    hotcold_t *opened = nullptr;
    hotcold_error_t error;
    if (hotcold_open(nullptr, nullptr, &opened, &error) != HOTCOLD_OK) {
        std::fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    std::unique_ptr<hotcold_t, Close> s(opened);
    const std::string key("key\0with zero", 13), text("text");
    int events = 0;
    uint64_t id = 0;
    hotcold_event_fn count = [](void *n, const hotcold_event_t *) { ++*static_cast<int *>(n); };
    if (hotcold_subscribe(s.get(), HOTCOLD_EVENT_ITEM_STORED, count, &events, nullptr, &id, &error) ||
        hotcold_store(s.get(), key.data(), key.size(), text.data(), text.size(), &error)) {
        return 1;
    }
    Value value;
    if (hotcold_retrieve(s.get(), key.data(), key.size(), &value, &error) != HOTCOLD_OK) {
        return 1;
    }
    return value.text() == text && events == 1 ? 0 : 1;
}
