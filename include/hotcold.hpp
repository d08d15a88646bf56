// hotcold for C++17 and later: RAII over hotcold.h, in one header.
//
// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Everything is an inline call of the C function of the same name; what a call means, costs and
// promises stands there. What holds for every class:
//
// Failing    A call that fails throws Error. Each has a form `try_...` that does not: it returns
//            the status, fills what it is given by reference, and puts the words into the
//            hotcold_error_t that may be passed last. That an ordinary outcome (nothing found, a
//            condition not met) is no failure holds for both.
// Bytes in   Keys and values are Bytes: a view of a std::string, string_view, vector, array or
//            span of bytes, or of a text that ends with a NUL. They are borrowed for the call.
// Owning     All classes are movable and not copyable, and release what they hold. Any order is
//            safe, also after the store was closed.
// Threads    A Store may be used from any thread at any time; moving, closing and destroying it is
//            for one thread. All other objects are for one thread at a time.
// Callbacks  No exception leaves a callback towards the library: one thrown by a load comes out of
//            retrieve_or_load, one thrown by a listener is counted by its Subscription.
#ifndef HOTCOLD_HPP
#define HOTCOLD_HPP

#include <hotcold.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__has_include) && __cplusplus >= 202002L
#if __has_include(<span>)
#include <span>
#endif
#endif

namespace hotcold {

/// HOTCOLD_OK (0), an ordinary outcome (above 0), or a failure (below 0).
using Status = hotcold_status_t;

/// What stats() tells: the struct of the C interface.
using Stats = hotcold_stats_t;

using Milliseconds = std::chrono::milliseconds;

/// A failure: what() says what failed, on which file, why, and what to do.
class Error : public std::runtime_error {
public:
    explicit Error(const hotcold_error_t &error)
        : std::runtime_error(error.message), status_(error.status), os_code_(error.os_code) {}

    /// One of enum hotcold_status, below 0.
    Status status() const noexcept { return status_; }
    /// errno, or the number that a load returned; 0 if there is none.
    int os_code() const noexcept { return os_code_; }

private:
    Status status_;
    int os_code_;
};

namespace detail {

/// Makes a call that takes an error, and throws if it failed.
template <class Call> Status checked(Call call) {
    hotcold_error_t error; // written by every call
    const Status status = call(&error);
    if (status < 0) {
        throw Error(error);
    }
    return status;
}

/// Frees an object of the C interface.
template <auto free> struct Free {
    template <class T> void operator()(T *object) const noexcept { free(object); }
};

template <class T>
using Element = std::remove_pointer_t<decltype(std::data(std::declval<const T &>()))>;

template <class T> constexpr bool is_byte() {
    if constexpr (std::is_void_v<T>) {
        return false;
    } else {
        return sizeof(T) == 1 && std::is_trivially_copyable_v<T>;
    }
}

/// Whether T is a container of bytes that lie side by side. Arrays are not: the NUL at the end of
/// a text would count.
template <class T, class = void> struct IsBytes : std::false_type {};
template <class T>
struct IsBytes<T, std::void_t<Element<T>, decltype(std::size(std::declval<const T &>()))>>
    : std::bool_constant<!std::is_array_v<T> && is_byte<Element<T>>()> {};

} // namespace detail

/// A view of bytes that somebody else owns.
class Bytes {
public:
    constexpr Bytes() noexcept : raw_{nullptr, 0} {}
    constexpr Bytes(const void *data, std::size_t size) noexcept : raw_{data, size} {}
    /// A text, without its NUL.
    Bytes(const char *text) noexcept : Bytes(std::string_view(text)) {}
    Bytes(std::nullptr_t) = delete;
    template <class T, class = std::enable_if_t<detail::IsBytes<T>::value>>
    constexpr Bytes(const T &container) noexcept
        : raw_{std::data(container), std::size(container)} {}

    const void *data() const noexcept { return raw_.data; }
    std::size_t size() const noexcept { return raw_.len; }

private:
    hotcold_slice_t raw_;
};

static_assert(sizeof(Bytes) == sizeof(hotcold_slice_t) && std::is_standard_layout_v<Bytes>,
              "arrays of Bytes are passed as arrays of hotcold_slice_t");

/// A reference to bytes in the store that never change; empty (false) if nothing was found.
///
/// The views that it hands out are valid as long as it is. An empty value that was found is true.
class Value {
public:
    Value() noexcept : raw_() {}
    Value(Value &&other) noexcept : raw_(std::exchange(other.raw_, hotcold_value_t())) {}
    Value &operator=(Value &&other) noexcept {
        if (this != &other) {
            reset();
            raw_ = std::exchange(other.raw_, hotcold_value_t());
        }
        return *this;
    }
    ~Value() { reset(); }

    /// Whether something was found.
    explicit operator bool() const noexcept { return raw_.data != nullptr; }
    std::size_t size() const noexcept { return raw_.len; }
    bool empty() const noexcept { return raw_.len == 0; }
    const std::uint8_t *data() const & noexcept { return raw_.data; }
    const std::uint8_t *begin() const & noexcept { return raw_.data; }
    const std::uint8_t *end() const & noexcept { return raw_.data + raw_.len; }
    /// The bytes as text, not copied. Not of a temporary, whose bytes would be gone: str() copies.
    std::string_view text() const & noexcept {
        return std::string_view(reinterpret_cast<const char *>(raw_.data), raw_.len);
    }
    /// A copy of the bytes.
    std::string str() const { return std::string(text()); }
#ifdef __cpp_lib_span
    /// The bytes, not copied.
    std::span<const std::byte> bytes() const & noexcept {
        return std::as_bytes(std::span(raw_.data, raw_.len));
    }
    std::span<const std::byte> bytes() const && = delete;
#endif
    const std::uint8_t *data() const && = delete;
    std::string_view text() const && = delete;

    /// Changes with every store of the key, never repeats.
    std::uint64_t version() const noexcept { return raw_.version; }
    /// Milliseconds since the epoch; 0: never.
    std::uint64_t expires_at() const noexcept { return raw_.expires_at; }
    /// HOTCOLD_TIER_HOT or HOTCOLD_TIER_COLD; 0 if nothing was found.
    std::int32_t tier() const noexcept { return raw_.tier; }

    /// Gives the bytes back.
    void reset() noexcept {
        if (raw_.data != nullptr) {
            hotcold_value_release(&raw_);
        }
    }
    /// Empties it, and returns where a C call may put a value that it then owns.
    hotcold_value_t *out() noexcept {
        reset();
        return &raw_;
    }

private:
    hotcold_value_t raw_;
};

static_assert(sizeof(Value) == sizeof(hotcold_value_t) && std::is_standard_layout_v<Value>,
              "arrays of Value are passed as arrays of hotcold_value_t");

/// Settings for opening a store, by name as hotcold_options_t tells, or by the methods here.
class Options {
public:
    Options() : raw_(hotcold_options_new()) {
        if (!raw_) {
            throw std::bad_alloc();
        }
    }

    Status try_set(const char *name, const char *value, hotcold_error_t *error = nullptr) noexcept {
        return hotcold_options_set(raw_.get(), name, value, error);
    }
    Status try_set(const char *name, std::uint64_t value,
                   hotcold_error_t *error = nullptr) noexcept {
        return hotcold_options_set_u64(raw_.get(), name, value, error);
    }
    Options &set(const char *name, const std::string &value) {
        detail::checked([&](auto *error) { return try_set(name, value.c_str(), error); });
        return *this;
    }
    Options &set(const char *name, std::uint64_t value) {
        detail::checked([&](auto *error) { return try_set(name, value, error); });
        return *this;
    }
    /// A time that is below 0 is refused.
    Options &set(const char *name, Milliseconds value) {
        return set(name, std::to_string(value.count()));
    }

    Options &hot_capacity(std::uint64_t bytes) { return set("hot_capacity", bytes); }
    Options &hot_max_entries(std::uint64_t count) { return set("hot_max_entries", count); }
    Options &hot_ttl(Milliseconds time) { return set("hot_ttl", time); }
    Options &eviction(const std::string &name) { return set("eviction", name); }
    Options &compression(const std::string &name) { return set("compression", name); }
    Options &lenient(bool on = true) { return set("policy", on ? "lenient" : "strict"); }
    Options &write_back(bool on = true) { return set("write_mode", on ? "back" : "through"); }
    Options &sync_every_store(bool on = true) { return set("durability", on ? "sync" : "process"); }
    Options &sync_interval(Milliseconds time) { return set("sync_interval", time); }
    Options &cold_capacity(std::uint64_t bytes) { return set("cold_capacity", bytes); }
    Options &warm_start(bool on = true) { return set("warm_start", std::uint64_t(on)); }
    Options &create(bool on) { return set("create", std::uint64_t(on)); }
    Options &read_only(bool on = true) { return set("read_only", std::uint64_t(on)); }
    Options &writable_by_others(const std::string &what) { return set("writable_by_others", what); }
    Options &storage_id(const std::string &name) { return set("storage_id", name); }
    Options &coherence(Milliseconds age) { return set("coherence", age); }
    Options &remote_timeout(Milliseconds time) { return set("remote_timeout", time); }
    Options &remote_retries(std::uint64_t count) { return set("remote_retries", count); }
    Options &remote_concurrency(std::uint64_t count) { return set("remote_concurrency", count); }

    const hotcold_options_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<hotcold_options_t, detail::Free<hotcold_options_free>> raw_;
};

/// Stands for no condition; no key has it.
inline constexpr std::uint64_t any_version = UINT64_MAX;

/// How to store one key.
struct StoreOptions {
    /// Until expiry; 0: never. A time below 0 is over at once.
    Milliseconds ttl{0};
    /// Store only if the key has this version; 0: only if it is absent.
    std::uint64_t if_version = any_version;
    /// Do not enter hot.
    bool cold_only = false;
    /// Durable when the call returns.
    bool sync = false;

    hotcold_store_options_t raw() const noexcept {
        hotcold_store_options_t raw = {};
        // The shortest time there is, because 0 would be for ever.
        raw.ttl = ttl.count() < 0 ? 1 : static_cast<std::uint64_t>(ttl.count());
        raw.if_version = if_version == any_version ? 0 : if_version;
        raw.flags = bit(if_version != any_version, HOTCOLD_STORE_IF_VERSION) |
                    bit(cold_only, HOTCOLD_STORE_COLD_ONLY) | bit(sync, HOTCOLD_STORE_SYNC);
        return raw;
    }

private:
    static std::uint32_t bit(bool on, hotcold_store_flag flag) noexcept {
        return on ? static_cast<std::uint32_t>(flag) : 0U;
    }
};

/// What became of a store with options: true if it was done.
struct Stored {
    /// Whether the condition was met.
    bool done = false;
    /// The new version; if the condition was not met the version that the key has, 0 if absent.
    std::uint64_t version = 0;
    explicit operator bool() const noexcept { return done; }
};

/// Stores and removals that are collected first and then written together.
class Batch {
public:
    Batch() : raw_(hotcold_batch_new()) {
        if (!raw_) {
            throw std::bad_alloc();
        }
    }

    Status try_store(Bytes key, Bytes value, hotcold_error_t *error = nullptr) noexcept {
        return hotcold_batch_store(raw_.get(), key.data(), key.size(), value.data(), value.size(),
                                   nullptr, 0, error);
    }
    Status try_store(Bytes key, Bytes value, const StoreOptions &options,
                     hotcold_error_t *error = nullptr) noexcept {
        const hotcold_store_options_t raw = options.raw();
        return hotcold_batch_store(raw_.get(), key.data(), key.size(), value.data(), value.size(),
                                   &raw, sizeof raw, error);
    }
    Status try_remove(Bytes key, hotcold_error_t *error = nullptr) noexcept {
        return hotcold_batch_delete(raw_.get(), key.data(), key.size(), error);
    }
    Batch &store(Bytes key, Bytes value) {
        detail::checked([&](auto *error) { return try_store(key, value, error); });
        return *this;
    }
    Batch &store(Bytes key, Bytes value, const StoreOptions &options) {
        detail::checked([&](auto *error) { return try_store(key, value, options, error); });
        return *this;
    }
    /// The key need not be there.
    Batch &remove(Bytes key) {
        detail::checked([&](auto *error) { return try_remove(key, error); });
        return *this;
    }

    const hotcold_batch_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<hotcold_batch_t, detail::Free<hotcold_batch_free>> raw_;
};

/// A walk over keys, for a range-for. It goes one way, once: begin() goes on where it stands.
///
///     auto keys = store.keys("user/");
///     for (std::string_view key : keys) { use(key, keys.value()); }
///
/// A key is valid until the next step.
class Keys {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using pointer = const std::string_view *;
        using reference = std::string_view;

        Iterator() noexcept = default;
        explicit Iterator(Keys *keys) noexcept : keys_(keys) {}
        std::string_view operator*() const noexcept { return keys_->key_; }
        Iterator &operator++() {
            if (!keys_->next()) {
                keys_ = nullptr;
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator &a, const Iterator &b) noexcept {
            return a.keys_ == b.keys_;
        }
        friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return !(a == b); }

    private:
        Keys *keys_ = nullptr;
    };

    Keys() noexcept = default;
    explicit Keys(hotcold_cursor_t *raw) noexcept : raw_(raw) {}

    Iterator begin() {
        if (!has_key_ && !next()) {
            return end();
        }
        return Iterator(this);
    }
    Iterator end() const noexcept { return Iterator(); }

    /// Goes to the next key; HOTCOLD_END if there is none.
    Status try_next(hotcold_error_t *error = nullptr) noexcept {
        hotcold_slice_t key = {nullptr, 0};
        const Status status = hotcold_cursor_next(raw_.get(), &key, error);
        has_key_ = status == HOTCOLD_OK;
        key_ = std::string_view(static_cast<const char *>(key.data), key.len);
        return status;
    }
    /// Goes to the next key; false if there is none.
    bool next() {
        return detail::checked([&](auto *error) { return try_next(error); }) == HOTCOLD_OK;
    }
    /// The key where it stands.
    std::string_view key() const noexcept { return key_; }

    Status try_value(Value &value, hotcold_error_t *error = nullptr) noexcept {
        return hotcold_cursor_value(raw_.get(), value.out(), error);
    }
    /// The value of the key where it stands, not promoted; empty if it is gone by now.
    Value value() {
        Value value;
        detail::checked([&](auto *error) { return try_value(value, error); });
        return value;
    }

private:
    std::unique_ptr<hotcold_cursor_t, detail::Free<hotcold_cursor_close>> raw_;
    std::string_view key_;
    bool has_key_ = false;
};

/// Something that has happened. What it points to is valid during the call of a listener, or until
/// the next call on its queue.
class Event {
public:
    explicit Event(const hotcold_event_t *raw) noexcept : raw_(raw) {}

    /// One of the bits HOTCOLD_EVENT_....
    std::uint32_t kind() const noexcept { return raw_->kind; }
    /// HOTCOLD_TIER_HOT, HOTCOLD_TIER_COLD, or 0 if it is about no tier or both.
    std::int32_t tier() const noexcept { return raw_->tier; }
    /// The failure of an ERROR event; otherwise HOTCOLD_OK.
    Status status() const noexcept { return raw_->status; }
    std::string_view key() const noexcept { return text(raw_->key, raw_->key_len); }
    /// The value, empty if it is not at hand.
    std::string_view value() const noexcept { return text(raw_->value, raw_->value_len); }
    bool has_value() const noexcept { return raw_->value != nullptr; }
    std::uint64_t version() const noexcept { return raw_->version; }
    /// Milliseconds since the epoch; 0: never.
    std::uint64_t expires_at() const noexcept { return raw_->expires_at; }
    std::string_view storage_id() const noexcept { return raw_->storage_id; }
    /// What happened, in words; empty but for ERROR and COMPACTED.
    std::string_view message() const noexcept {
        return raw_->message != nullptr ? raw_->message : std::string_view();
    }
    const hotcold_event_t *get() const noexcept { return raw_; }

private:
    static std::string_view text(const void *data, std::size_t size) noexcept {
        return std::string_view(static_cast<const char *>(data), size);
    }
    const hotcold_event_t *raw_;
};

/// Events to pull, in a bounded queue.
class EventQueue {
public:
    EventQueue() noexcept = default;
    explicit EventQueue(hotcold_event_queue_t *raw) noexcept : raw_(raw) {}

    Status try_next(std::optional<Event> &event, Milliseconds timeout = Milliseconds(0),
                    hotcold_error_t *error = nullptr) noexcept {
        const hotcold_event_t *out = nullptr;
        const auto wait = timeout.count() < 0 ? 0U : static_cast<std::uint64_t>(timeout.count());
        const Status status = hotcold_event_queue_next(raw_.get(), wait, &out, error);
        event.reset();
        if (status == HOTCOLD_OK) {
            event.emplace(out);
        }
        return status;
    }
    /// The oldest event; nothing if none came in time or the store is closed.
    std::optional<Event> next(Milliseconds timeout = Milliseconds(0)) {
        std::optional<Event> event;
        detail::checked([&](auto *error) { return try_next(event, timeout, error); });
        return event;
    }
    /// How many events found the queue full.
    std::uint64_t dropped() const noexcept { return hotcold_event_queue_dropped(raw_.get()); }

private:
    std::unique_ptr<hotcold_event_queue_t, detail::Free<hotcold_event_queue_close>> raw_;
};

/// A listener that is being called; its end ends the listening.
///
/// It may outlive the store, at whose close the listener is let go.
class Subscription {
public:
    Subscription() noexcept = default;
    Subscription(Subscription &&other) noexcept { swap(other); }
    Subscription &operator=(Subscription &&other) noexcept {
        if (this != &other) {
            try_cancel();
            swap(other);
        }
        return *this;
    }
    ~Subscription() { try_cancel(); }

    /// Ends it: when it returns, the listener runs on no thread any more, except from a callback.
    Status try_cancel(hotcold_error_t *error = nullptr) noexcept {
        const std::uint64_t id = std::exchange(id_, 0);
        return hotcold_unsubscribe(std::exchange(store_, nullptr), id, error);
    }
    /// Leaves the listener listening until the store is closed.
    void detach() noexcept { id_ = 0, store_ = nullptr; }
    /// How many calls of the listener ended with an exception.
    std::uint64_t exceptions() const noexcept { return thrown_ ? thrown_->load() : 0; }

private:
    friend class Store;
    void swap(Subscription &other) noexcept {
        std::swap(store_, other.store_);
        std::swap(id_, other.id_);
        std::swap(thrown_, other.thrown_);
    }
    hotcold_t *store_ = nullptr;
    std::uint64_t id_ = 0;
    std::shared_ptr<std::atomic<std::uint64_t>> thrown_;
};

/// Where a load puts what it has loaded; valid while the load runs.
class Loaded {
public:
    explicit Loaded(hotcold_loaded_t *raw) noexcept : raw_(raw) {}
    Status try_set(Bytes value, Milliseconds ttl = Milliseconds(0),
                   hotcold_error_t *error = nullptr) noexcept {
        StoreOptions options;
        options.ttl = ttl;
        return hotcold_loaded_set(raw_, value.data(), value.size(), options.raw().ttl, error);
    }
    /// Hands over a copy of `value`, which expires after `ttl`; 0: never.
    void set(Bytes value, Milliseconds ttl = Milliseconds(0)) {
        detail::checked([&](auto *error) { return try_set(value, ttl, error); });
    }

private:
    hotcold_loaded_t *raw_;
};

namespace detail {

/// A function that listens, with the trampolines that C calls.
template <class F> struct Listener {
    F fn;
    std::shared_ptr<std::atomic<std::uint64_t>> thrown;

    static void call(void *self, const hotcold_event_t *event) noexcept {
        auto *listener = static_cast<Listener *>(self);
        try {
            listener->fn(Event(event));
        } catch (...) {
            listener->thrown->fetch_add(1);
        }
    }
    static void drop(void *self) noexcept { delete static_cast<Listener *>(self); }
};

/// A load on the stack of who asks for it, and what it threw.
template <class F> struct Load {
    F &fn;
    std::exception_ptr thrown;

    static std::int32_t call(void *self, const void *key, std::size_t len,
                             hotcold_loaded_t *out) noexcept {
        auto *load = static_cast<Load *>(self);
        try {
            load->run(std::string_view(static_cast<const char *>(key), len), Loaded(out));
            return 0;
        } catch (...) {
            load->thrown = std::current_exception();
            return -1;
        }
    }
    void run(std::string_view key, Loaded out) {
        if constexpr (std::is_invocable_v<F &, std::string_view, Loaded &>) {
            fn(key, out);
        } else if constexpr (std::is_convertible_v<decltype(fn(key)), Bytes>) {
            const auto value = fn(key);
            out.set(value);
        } else if (const auto value = fn(key)) {
            out.set(*value);
        }
    }
};

} // namespace detail

/// An open store; its end closes it.
///
/// One that was closed, moved from or made without a path answers HOTCOLD_INVALID_ARGUMENT. A
/// destructor cannot tell of a failure: call close(), or sync(), where the last writes matter. It
/// must not be closed or destroyed in a callback.
class Store {
public:
    Store() noexcept = default;
    /// Opens the store in a directory, or makes one. A std::filesystem::path is fine.
    explicit Store(const std::string &path, const Options &options = Options()) {
        detail::checked([&](auto *error) { return try_open(path.c_str(), options, *this, error); });
    }
    Store(Store &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Store &operator=(Store &&other) noexcept {
        if (this != &other) {
            try_close();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    ~Store() { try_close(); }

    /// Opens a store in memory alone.
    static Store in_memory(const Options &options = Options()) {
        Store store;
        detail::checked([&](auto *error) { return try_open(nullptr, options, store, error); });
        return store;
    }
    /// Opens the store at `path`, or for nullptr in memory alone, after closing what `store` was.
    static Status try_open(const char *path, const Options &options, Store &store,
                           hotcold_error_t *error = nullptr) noexcept {
        store.try_close();
        return hotcold_open(path, options.get(), &store.raw_, error);
    }

    bool is_open() const noexcept { return raw_ != nullptr; }
    /// The handle, for C calls; still this object's.
    hotcold_t *get() const noexcept { return raw_; }

    Status try_close(hotcold_error_t *error = nullptr) noexcept {
        return hotcold_close(std::exchange(raw_, nullptr), error);
    }
    /// Closes; throws if the last writes failed, and is closed then, too.
    void close() {
        detail::checked([&](auto *error) { return try_close(error); });
    }
    Status try_sync(hotcold_error_t *error = nullptr) noexcept { return hotcold_sync(raw_, error); }
    void sync() {
        detail::checked([&](auto *error) { return try_sync(error); });
    }
    Status try_compact(hotcold_error_t *error = nullptr) noexcept {
        return hotcold_compact(raw_, error);
    }
    void compact() {
        detail::checked([&](auto *error) { return try_compact(error); });
    }

    Status try_store(Bytes key, Bytes value, hotcold_error_t *error = nullptr) noexcept {
        return hotcold_store(raw_, key.data(), key.size(), value.data(), value.size(), error);
    }
    void store(Bytes key, Bytes value) {
        detail::checked([&](auto *error) { return try_store(key, value, error); });
    }
    Status try_store(Bytes key, Bytes value, const StoreOptions &options, Stored &stored,
                     hotcold_error_t *error = nullptr) noexcept {
        const hotcold_store_options_t raw = options.raw();
        const Status status =
            hotcold_store_with(raw_, key.data(), key.size(), value.data(), value.size(), &raw,
                               sizeof raw, &stored.version, error);
        stored.done = status == HOTCOLD_OK;
        return status;
    }
    Stored store(Bytes key, Bytes value, const StoreOptions &options) {
        Stored stored;
        detail::checked([&](auto *error) { return try_store(key, value, options, stored, error); });
        return stored;
    }

    /// `flags`: HOTCOLD_RETRIEVE_NO_PROMOTE, HOTCOLD_RETRIEVE_NO_RECENCY, HOTCOLD_RETRIEVE_FRESH.
    Status try_retrieve(Bytes key, Value &value, hotcold_error_t *error = nullptr,
                        std::uint32_t flags = 0) const noexcept {
        return flags == 0
                   ? hotcold_retrieve(raw_, key.data(), key.size(), value.out(), error)
                   : hotcold_retrieve_with(raw_, key.data(), key.size(), flags, value.out(), error);
    }
    /// The value of a key; empty (false) if it is absent.
    Value retrieve(Bytes key, std::uint32_t flags = 0) const {
        Value value;
        detail::checked([&](auto *error) { return try_retrieve(key, value, error, flags); });
        return value;
    }
    /// HOTCOLD_BUFFER_TOO_SMALL is a failure here, and `len` is then what is needed.
    Status try_retrieve_into(Bytes key, void *buffer, std::size_t capacity, std::size_t &len,
                             hotcold_error_t *error = nullptr) const noexcept {
        return hotcold_retrieve_into(raw_, key.data(), key.size(), buffer, capacity, &len, error);
    }
    /// Copies a value and tells its length, or nothing if it is absent. A length beyond `capacity`
    /// says that the buffer is untouched, and how long it should be.
    std::optional<std::size_t> retrieve_into(Bytes key, void *buffer, std::size_t capacity) const {
        std::size_t len = 0;
        const Status status = detail::checked([&](auto *error) -> Status {
            const Status got = try_retrieve_into(key, buffer, capacity, len, error);
            return got == HOTCOLD_BUFFER_TOO_SMALL ? HOTCOLD_OK : got;
        });
        return status == HOTCOLD_OK ? std::optional(len) : std::nullopt;
    }
    Status try_contains(Bytes key, hotcold_error_t *error = nullptr) const noexcept {
        return hotcold_contains(raw_, key.data(), key.size(), error);
    }
    bool contains(Bytes key) const {
        return detail::checked([&](auto *error) { return try_contains(key, error); }) == HOTCOLD_OK;
    }

    /// As retrieve_or_load(); what the load throws is lost, and gives HOTCOLD_CALLBACK_FAILED.
    template <class F>
    Status try_retrieve_or_load(Bytes key, F &&load, Value &value,
                                hotcold_error_t *error = nullptr) noexcept {
        detail::Load<std::remove_reference_t<F>> call{load, nullptr};
        return retrieve_or_load(key, call, value, error);
    }
    /// The value of a key; on a miss `load` makes it, and it is stored.
    ///
    /// `load` is called as load(std::string_view key, Loaded &out), or as load(std::string_view
    /// key) and then returns bytes or an optional of bytes. Without a value nothing is stored, and
    /// the result is empty. What `load` throws on this thread is thrown on; who waits for it on
    /// another gets an Error with HOTCOLD_CALLBACK_FAILED.
    template <class F> Value retrieve_or_load(Bytes key, F &&load) {
        Value value;
        hotcold_error_t error;
        detail::Load<std::remove_reference_t<F>> call{load, nullptr};
        const Status status = retrieve_or_load(key, call, value, &error);
        if (status == HOTCOLD_CALLBACK_FAILED && call.thrown) {
            std::rethrow_exception(call.thrown);
        }
        if (status < 0) {
            throw Error(error);
        }
        return value;
    }

    /// HOTCOLD_NOT_FOUND if it was in neither tier.
    Status try_remove(Bytes key, hotcold_error_t *error = nullptr) noexcept {
        return hotcold_delete(raw_, key.data(), key.size(), error);
    }
    /// Removes a key from both tiers; false if it was in neither.
    bool remove(Bytes key) {
        return detail::checked([&](auto *error) { return try_remove(key, error); }) == HOTCOLD_OK;
    }
    Status try_clear(hotcold_error_t *error = nullptr) noexcept {
        return hotcold_clear(raw_, error);
    }
    void clear() {
        detail::checked([&](auto *error) { return try_clear(error); });
    }

    Status try_write(const Batch &batch, hotcold_error_t *error = nullptr,
                     std::uint32_t flags = 0) noexcept {
        return hotcold_write(raw_, batch.get(), flags, error);
    }
    /// Writes all of a batch, or nothing: false if a condition was not met. `flags`:
    /// HOTCOLD_WRITE_SYNC.
    bool write(const Batch &batch, std::uint32_t flags = 0) {
        return detail::checked([&](auto *error) { return try_write(batch, error, flags); }) ==
               HOTCOLD_OK;
    }
    /// Each of `statuses` is that of its key.
    Status try_retrieve_many(const Bytes *keys, std::size_t count, Value *values, Status *statuses,
                             hotcold_error_t *error = nullptr) const noexcept {
        for (std::size_t index = 0; index < count; ++index) {
            values[index].reset();
        }
        return hotcold_retrieve_many(raw_, slices(keys), count,
                                     reinterpret_cast<hotcold_value_t *>(values), statuses, error);
    }
    /// The values of a range of keys, in its order; empty for those that are absent. Throws if one
    /// of them could not be read: try_retrieve_many() tells them apart.
    template <class Range> std::vector<Value> retrieve_many(const Range &keys) const {
        const std::vector<Bytes> list(std::begin(keys), std::end(keys));
        std::vector<Value> values(list.size());
        std::vector<Status> statuses(list.size());
        hotcold_error_t error;
        const Status status = try_retrieve_many(list.data(), list.size(), values.data(),
                                                statuses.data(), &error);
        for (std::size_t index = 0; status == HOTCOLD_OK && index < statuses.size(); ++index) {
            if (statuses[index] < 0) {
                throw Error(error); // that of the first failure
            }
        }
        if (status < 0) {
            throw Error(error);
        }
        return values;
    }
    std::vector<Value> retrieve_many(std::initializer_list<Bytes> keys) const {
        return retrieve_many<std::initializer_list<Bytes>>(keys);
    }

    Status try_keys(Keys &keys, Bytes prefix = Bytes(),
                    hotcold_error_t *error = nullptr) const noexcept {
        hotcold_cursor_t *cursor = nullptr;
        const Status status =
            hotcold_cursor_open(raw_, prefix.data(), prefix.size(), &cursor, error);
        keys = Keys(cursor);
        return status;
    }
    /// The live keys that begin with `prefix`, in no order that means something.
    Keys keys(Bytes prefix = Bytes()) const {
        Keys keys;
        detail::checked([&](auto *error) { return try_keys(keys, prefix, error); });
        return keys;
    }
    Status try_warm_up(const Bytes *keys, std::size_t count, std::size_t &loaded,
                       hotcold_error_t *error = nullptr) noexcept {
        return hotcold_warm_up(raw_, slices(keys), count, &loaded, error);
    }
    /// Loads a range of keys into hot; returns how many are there afterwards.
    template <class Range> std::size_t warm_up(const Range &keys) {
        const std::vector<Bytes> list(std::begin(keys), std::end(keys));
        std::size_t loaded = 0;
        detail::checked([&](auto *error) {
            return try_warm_up(list.data(), list.size(), loaded, error);
        });
        return loaded;
    }
    std::size_t warm_up(std::initializer_list<Bytes> keys) {
        return warm_up<std::initializer_list<Bytes>>(keys);
    }
    Status try_optimize_hot(std::uint64_t target_bytes, std::size_t &demoted,
                            hotcold_error_t *error = nullptr) noexcept {
        return hotcold_optimize_hot(raw_, target_bytes, &demoted, error);
    }
    /// Demotes until hot holds at most so many bytes; returns how many entries left.
    std::size_t optimize_hot(std::uint64_t target_bytes) {
        std::size_t demoted = 0;
        detail::checked(
            [&](auto *error) { return try_optimize_hot(target_bytes, demoted, error); });
        return demoted;
    }

    /// As subscribe(). Throws nothing but std::bad_alloc, and what moving `fn` throws.
    template <class F>
    Status try_subscribe(std::uint32_t mask, F &&fn, Subscription &subscription,
                         hotcold_error_t *error = nullptr) {
        using Listener = detail::Listener<std::decay_t<F>>;
        auto thrown = std::make_shared<std::atomic<std::uint64_t>>(0);
        auto *listener = new Listener{std::forward<F>(fn), thrown};
        Subscription made;
        // From here on the library owns the listener, also if it refuses.
        const Status status = hotcold_subscribe(raw_, mask, &Listener::call, listener,
                                                &Listener::drop, &made.id_, error);
        if (status == HOTCOLD_OK) {
            made.store_ = raw_;
            made.thrown_ = std::move(thrown);
        }
        subscription = std::move(made);
        return status;
    }
    /// Has fn(const Event &) called with every event of the kinds in `mask`, by the threads on
    /// which they happen, several at once, until the Subscription ends.
    template <class F> [[nodiscard]] Subscription subscribe(std::uint32_t mask, F &&fn) {
        Subscription subscription;
        detail::checked([&](auto *error) {
            return try_subscribe(mask, std::forward<F>(fn), subscription, error);
        });
        return subscription;
    }
    Status try_events(std::uint32_t mask, std::size_t capacity, EventQueue &queue,
                      hotcold_error_t *error = nullptr) noexcept {
        hotcold_event_queue_t *raw = nullptr;
        const Status status = hotcold_event_queue_open(raw_, mask, capacity, &raw, error);
        queue = EventQueue(raw);
        return status;
    }
    /// A queue of the events of the kinds in `mask`, of which `capacity` may wait.
    EventQueue events(std::uint32_t mask, std::size_t capacity) {
        EventQueue queue;
        detail::checked([&](auto *error) { return try_events(mask, capacity, queue, error); });
        return queue;
    }

    Status try_stats(Stats &stats, hotcold_error_t *error = nullptr) const noexcept {
        return hotcold_stats(raw_, &stats, sizeof stats, error);
    }
    Stats stats() const {
        Stats stats;
        detail::checked([&](auto *error) { return try_stats(stats, error); });
        return stats;
    }
    Status try_stats_text(std::int32_t format, Value &text,
                          hotcold_error_t *error = nullptr) const noexcept {
        return hotcold_stats_text(raw_, format, text.out(), error);
    }
    /// `format`: HOTCOLD_STATS_JSON or HOTCOLD_STATS_PROMETHEUS.
    Value stats_text(std::int32_t format) const {
        Value text;
        detail::checked([&](auto *error) { return try_stats_text(format, text, error); });
        return text;
    }
    Status try_backup(const char *directory, hotcold_error_t *error = nullptr) const noexcept {
        return hotcold_backup(raw_, directory, error);
    }
    /// Makes a consistent copy in a directory that does not exist yet or is empty.
    void backup(const std::string &directory) const {
        detail::checked([&](auto *error) { return try_backup(directory.c_str(), error); });
    }
    /// What verify() has read.
    struct Verified {
        std::uint64_t records = 0;
        std::uint64_t damaged = 0;
    };
    Status try_verify(Verified &verified, hotcold_error_t *error = nullptr) const noexcept {
        return hotcold_verify(raw_, &verified.records, &verified.damaged, error);
    }
    /// Reads every record of cold and checks it.
    Verified verify() const {
        Verified verified;
        detail::checked([&](auto *error) { return try_verify(verified, error); });
        return verified;
    }

private:
    static const hotcold_slice_t *slices(const Bytes *keys) noexcept {
        return reinterpret_cast<const hotcold_slice_t *>(keys);
    }
    template <class F>
    Status retrieve_or_load(Bytes key, detail::Load<F> &call, Value &value,
                            hotcold_error_t *error) noexcept {
        return hotcold_retrieve_or_load(raw_, key.data(), key.size(), &detail::Load<F>::call, &call,
                                        value.out(), error);
    }

    hotcold_t *raw_ = nullptr;
};

} // namespace hotcold

#endif // HOTCOLD_HPP
