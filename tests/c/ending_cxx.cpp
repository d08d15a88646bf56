// The destructor of a global object may still use and close a store.
#include <hotcold.h>

#include <cstdio>
#include <cstdlib>

#include <string>

static void check(int32_t status, const hotcold_error_t &error) {
    if (status != HOTCOLD_OK) {
        std::fprintf(stderr, "%s: %s\n", hotcold_status_name(status), error.message);
        std::_Exit(1);
    }
}

struct Global {
    std::string path;
    hotcold_t *store = nullptr;
    ~Global() {
        hotcold_error_t error;
        hotcold_value_t value;
        check(hotcold_optimize_hot(store, 0, nullptr, &error), error);
        check(hotcold_retrieve(store, "key", 3, &value, &error), error);
        hotcold_value_release(&value);
        check(hotcold_store(store, "key", 3, "other", 5, &error), error);
        check(hotcold_compact(store, &error), error);
        check(hotcold_close(store, &error), error);
        std::system(("rm -r '" + path + "'").c_str());
    }
};
static Global global;

int main() {
    const char *below = std::getenv("TMPDIR");
    std::string path = std::string(below ? below : "/tmp") + "/hotcold-global-XXXXXX";
    if (!mkdtemp(&path[0])) {
        return 1;
    }
    global.path = path;
    hotcold_error_t error;
    check(hotcold_open(path.c_str(), nullptr, &global.store, &error), error);
    check(hotcold_store(global.store, "key", 3, "value", 5, &error), error);
    return 0;
}
