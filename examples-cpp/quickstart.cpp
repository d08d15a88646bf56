// The library from C++: c++ -std=c++17 quickstart.cpp -lhotcold
#include <hotcold.hpp>

#include <iostream>

int main(int argc, char **argv) {
    using namespace std::chrono_literals;
    try {
        hotcold::Store store(argc > 1 ? argv[1] : "quickstart-cpp.store",
                             hotcold::Options().hot_capacity(16 << 20).compression("deflate:6"));

        // Called by the thread that stores, until `listening` ends.
        auto listening = store.subscribe(HOTCOLD_EVENT_ITEM_STORED, [](const hotcold::Event &event) {
            std::cout << "stored " << event.key() << '\n';
        });

        store.store("user/1", "Ada");
        hotcold::StoreOptions brief;
        brief.ttl = 1h;
        store.store("session/1", "logged in", brief);

        // A value is a reference into the store, and true if something was found.
        if (const hotcold::Value name = store.retrieve("user/1")) {
            std::cout << "user/1 is " << name.text() << '\n';
        }

        // All or nothing.
        store.write(hotcold::Batch().store("user/2", "Grace").remove("session/1"));

        for (std::string_view key : store.keys("user/")) {
            std::cout << "there is " << key << '\n';
        }

        // Many threads may ask at once: the value is made by one, and stored.
        const auto page = store.retrieve_or_load("page/1", [](std::string_view key) {
            return "made for " + std::string(key);
        });
        std::cout << page.text() << '\n';

        store.close(); // a destructor could not tell that the last writes failed
    } catch (const hotcold::Error &error) {
        std::cerr << hotcold_status_name(error.status()) << ": " << error.what() << '\n';
        return 1;
    }
}
