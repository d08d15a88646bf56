/* A damaged record: its key alone suffers, and can be stored or deleted again. */
#include "check.h"

/* Finds `text` in the store's files and changes a bit of it. Gives how often it was found. */
static const char *damaged_text;
static int damaged;

static int damage_file(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)walk;
    if (type != FTW_F || info->st_size == 0) {
        return 0;
    }
    size_t size = (size_t)info->st_size, len = strlen(damaged_text);
    char *bytes = malloc(size);
    FILE *file = fopen(path, "r+b");
    CHECK(bytes && file && fread(bytes, 1, size, file) == size);
    for (size_t i = 0; i + len <= size; i++) {
        if (memcmp(bytes + i, damaged_text, len) == 0) {
            CHECK(fseek(file, (long)(i + len / 2), SEEK_SET) == 0);
            CHECK(fputc(bytes[i + len / 2] ^ 1, file) != EOF);
            damaged++;
        }
    }
    CHECK(fclose(file) == 0);
    free(bytes);
    return 0;
}

static void damage(const char *directory, const char *text) {
    damaged_text = text;
    damaged = 0;
    CHECK(nftw(directory, damage_file, 16, FTW_PHYS) == 0);
    CHECK(damaged > 0);
}

static void fill(const char *directory) {
    hotcold_t *s = OPEN(directory, "compression", "none");
    put(s, "first", "the value of the first");
    put(s, "second", "the value of the second");
    put(s, "third", "the value of the third");
    OK(hotcold_close(s, &error));
    damage(directory, "the value of the second");
}

static void strict_names_it(void) {
    const char *directory = fresh("strict");
    hotcold_value_t value = garbage();
    fill(directory);
    hotcold_t *s = OPEN(directory, "compression", "none");
    HAS(s, "first", "the value of the first");
    HAS(s, "third", "the value of the third");
    GIVES(HOTCOLD_CORRUPT, hotcold_retrieve(s, "second", 6, &value, &error));
    CHECK(is_empty(&value));
    CHECK(stats_of(s).cold_corrupt_records >= 1);
    put(s, "second", "mended");
    HAS(s, "second", "mended");
    OK(hotcold_delete(s, "second", 6, &error));
    HAS(s, "second", NULL);
    OK(hotcold_close(s, &error));
}

static void deleting_works(void) {
    const char *directory = fresh("deleting");
    fill(directory);
    hotcold_t *s = OPEN(directory, "compression", "none");
    OK(hotcold_delete(s, "second", 6, &error));
    HAS(s, "second", NULL);
    OK(hotcold_close(s, &error));
    s = OPEN(directory, "compression", "none");
    HAS(s, "second", NULL);
    HAS(s, "third", "the value of the third");
    OK(hotcold_close(s, &error));
}

static void lenient_reads_it_as_absent(void) {
    const char *directory = fresh("lenient");
    hotcold_value_t value = garbage();
    fill(directory);
    hotcold_t *s = OPEN(directory, "policy", "lenient");
    CHECK(hotcold_retrieve(s, "second", 6, &value, &error) == HOTCOLD_NOT_FOUND);
    CHECK(is_empty(&value) && error.status == HOTCOLD_CORRUPT && error.message[0] != 0);
    CHECK(stats_of(s).lenient_failures == 1);
    HAS(s, "third", "the value of the third");
    OK(hotcold_close(s, &error));
}

int main(void) {
    strict_names_it();
    deleting_works();
    lenient_reads_it_as_absent();
    return 0;
}
