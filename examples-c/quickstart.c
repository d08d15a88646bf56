/* The shortest whole program: cc quickstart.c -lhotcold */
#include <hotcold.h>
#include <stdio.h>

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "quickstart.store";
    hotcold_t *store = NULL;
    hotcold_value_t value;
    hotcold_error_t error;

    if (hotcold_open(directory, NULL, &store, &error) != HOTCOLD_OK ||
        hotcold_store(store, "greeting", 8, "hello, world", 12, &error) != HOTCOLD_OK ||
        hotcold_retrieve(store, "greeting", 8, &value, &error) != HOTCOLD_OK) {
        fprintf(stderr, "quickstart: %s\n", error.message);
        return 1;
    }
    printf("%.*s\n", (int)value.len, (const char *)value.data);
    hotcold_value_release(&value);
    return hotcold_close(store, &error) == HOTCOLD_OK ? 0 : 1;
}
