// The same in C++.
#include <hotcold.hpp>

int main() {
    auto store = hotcold::Store::in_memory();
    store.store("key", "value");
    return store.retrieve("key").str() == "value" ? 0 : 1;
}
