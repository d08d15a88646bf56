/* The package is whole: the header is found, and the library opens a store. */
#include <hotcold.h>

int main(void) {
    hotcold_t *store = NULL;
    if (hotcold_open(NULL, NULL, &store, NULL) != HOTCOLD_OK ||
        hotcold_store(store, "key", 3, "value", 5, NULL) != HOTCOLD_OK ||
        hotcold_contains(store, "key", 3, NULL) != HOTCOLD_OK) {
        return 1;
    }
    return hotcold_close(store, NULL) == HOTCOLD_OK ? 0 : 1;
}
