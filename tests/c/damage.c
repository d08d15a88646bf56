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

/* What opening found is told to the first who subscribes; verify tells it again, and by keys. */
static void verify_tells_what_is_damaged(void) {
    const char *directory = fresh("told");
    hotcold_event_queue_t *q = NULL;
    const hotcold_event_t *event;
    uint64_t records = 0, bad = 0;
    fill(directory);
    hotcold_t *s = OPEN(directory, "compression", "none");
    OK(hotcold_event_queue_open(s, HOTCOLD_EVENT_ERROR, 100, &q, &error));
    CHECK(hotcold_verify(s, &records, &bad, &error) == HOTCOLD_OK);
    CHECK(records >= 3 && bad == 1 && error.status == HOTCOLD_CORRUPT && strstr(error.message, ".seg"));
    OK(hotcold_event_queue_next(q, 0, &event, &error));
    CHECK(event->key_len == 6 && memcmp(event->key, "second", 6) == 0);
    OK(hotcold_event_queue_next(q, 0, &event, &error));
    CHECK(event->key_len == 0 && strstr(event->message, ".seg"));
    put(s, "second", "mended");
    OK(hotcold_compact(s, &error));
    OK(hotcold_verify(s, &records, &bad, &error));
    CHECK(bad == 0);
    hotcold_event_queue_close(q);
    OK(hotcold_close(s, &error));
}

static int remove_segment(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)walk;
    if (type == FTW_F && strstr(path, ".seg")) {
        CHECK(remove(path) == 0);
        damaged++;
    }
    return 0;
}

static void a_segment_that_is_gone_is_missed(void) {
    const char *directory = fresh("gone");
    hotcold_event_queue_t *q = NULL;
    const hotcold_event_t *event;
    hotcold_value_t value;
    uint64_t records = 9, bad = 0;
    fill(directory);
    damaged = 0;
    CHECK(nftw(directory, remove_segment, 16, FTW_PHYS) == 0);
    CHECK(damaged > 0);
    hotcold_t *s = OPEN(directory, "compression", "none");
    CHECK(stats_of(s).cold_corrupt_records == 3);
    OK(hotcold_event_queue_open(s, HOTCOLD_EVENT_ERROR, 100, &q, &error));
    OK(hotcold_event_queue_next(q, 10000, &event, &error)); /* of what was found at opening */
    CHECK(event->status == HOTCOLD_CORRUPT && strstr(event->message, "3 keys"));
    for (int round = 0; round < 3; round++) {
        CHECK(hotcold_verify(s, &records, &bad, &error) == HOTCOLD_OK);
        CHECK(bad == 3 && error.status == HOTCOLD_CORRUPT);
        GIVES(HOTCOLD_CORRUPT, hotcold_retrieve(s, "first", 5, &value, &error));
        GIVES(HOTCOLD_CORRUPT, hotcold_contains(s, "third", 5, &error));
        OK(hotcold_compact(s, &error));
        if (round == 1) {
            hotcold_event_queue_close(q);
            OK(hotcold_close(s, &error));
            s = OPEN(directory, "compression", "none");
        }
    }
    put(s, "first", "mended");
    OK(hotcold_delete(s, "second", 6, &error));
    CHECK(hotcold_verify(s, &records, &bad, &error) == HOTCOLD_OK);
    CHECK(bad == 1);
    OK(hotcold_clear(s, &error));
    OK(hotcold_compact(s, &error));
    OK(hotcold_verify(s, &records, &bad, &error));
    CHECK(bad == 0);
    OK(hotcold_close(s, &error));
}

int main(void) {
    verify_tells_what_is_damaged();
    a_segment_that_is_gone_is_missed();
    strict_names_it();
    deleting_works();
    lenient_reads_it_as_absent();
    return 0;
}
