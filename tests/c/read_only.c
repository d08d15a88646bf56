/* read_only and create=false: what is not there is not made, and nothing is written. */
#include "check.h"

static hotcold_status_t try_open(const char *directory, const char *name, const char *value,
                                 hotcold_t **s) {
    hotcold_options_t *o = hotcold_options_new();
    OK(hotcold_options_set(o, name, value, &error));
    hotcold_status_t status = hotcold_open(directory, o, s, &error);
    hotcold_options_free(o);
    return status;
}

/* Names, sizes and times of all files: nothing may change in it. */
static uint64_t print;

static int add_to_print(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)walk;
    print = print * 31 + (uint64_t)info->st_size + (uint64_t)strlen(path);
    print = print * 31 + (type == FTW_F ? (uint64_t)info->st_mtim.tv_nsec : 0);
    return 0;
}

static uint64_t print_of(const char *directory) {
    print = 0;
    CHECK(nftw(directory, add_to_print, 16, FTW_PHYS) == 0);
    return print;
}

int main(void) {
    hotcold_t *s = NULL, *other = NULL;
    hotcold_value_t value;
    CHECK(try_open(fresh("none"), "create", "false", &s) < 0 && s == NULL);
    CHECK(access(fresh("none"), F_OK) != 0);
    CHECK(try_open(fresh("none"), "read_only", "true", &s) < 0 && s == NULL);
    CHECK(access(fresh("none"), F_OK) != 0);

    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    put(s, "k", "v");
    GIVES(HOTCOLD_LOCKED, try_open(fresh("s"), "read_only", "true", &other));
    OK(hotcold_close(s, &error));
    OK(try_open(fresh("s"), "create", "false", &s));
    HAS(s, "k", "v");
    OK(hotcold_close(s, &error));

    uint64_t before = print_of(fresh("s"));
    OK(try_open(fresh("s"), "read_only", "true", &s));
    OK(try_open(fresh("s"), "read_only", "true", &other)); /* any number of them */
    HAS(s, "k", "v");
    OK(hotcold_retrieve(other, "k", 1, &value, &error));
    hotcold_value_release(&value);
    GIVES(HOTCOLD_READ_ONLY, hotcold_store(s, "k", 1, "w", 1, &error));
    GIVES(HOTCOLD_READ_ONLY, hotcold_delete(s, "k", 1, &error));
    GIVES(HOTCOLD_READ_ONLY, hotcold_clear(s, &error));
    HAS(s, "k", "v");
    CHECK(stats_of(s).cold_read_only == 1 && stats_of(s).cold_entries == 1);
    hotcold_t *writer = NULL;
    GIVES(HOTCOLD_LOCKED, hotcold_open(fresh("s"), NULL, &writer, &error));
    OK(hotcold_close(s, &error));
    GIVES(HOTCOLD_LOCKED, hotcold_open(fresh("s"), NULL, &writer, &error)); /* the other still reads */
    OK(hotcold_close(other, &error));
    CHECK(print_of(fresh("s")) == before);
    OK(hotcold_open(fresh("s"), NULL, &writer, &error));
    put(writer, "k", "w");
    OK(hotcold_close(writer, &error));
    return 0;
}
