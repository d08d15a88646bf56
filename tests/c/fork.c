/* Forking: an inherited store is not the child's, and the child does it no harm. */
#include "check.h"
#include <sys/wait.h>

static void in_the_child(hotcold_t *s, hotcold_value_t *held) {
    hotcold_value_t value = garbage();
    hotcold_t *other = NULL;
    GIVES(HOTCOLD_MISUSE, hotcold_store(s, "k", 1, "child", 5, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_retrieve(s, "k", 1, &value, &error));
    CHECK(is_empty(&value));
    GIVES(HOTCOLD_MISUSE, hotcold_sync(s, &error));
    GIVES(HOTCOLD_MISUSE, hotcold_close(s, &error));
    CHECK(held->len == 6 && memcmp(held->data, "parent", 6) == 0);
    hotcold_value_release(held);
    /* Its parent still has the directory; another is free. */
    GIVES(HOTCOLD_LOCKED, hotcold_open(fresh("s"), NULL, &other, &error));
    /* Several at once: what the parent's threads waited on at the fork must not be met again. */
    hotcold_t *own[8];
    for (int i = 0; i < 8; i++) {
        char name[] = {'o', 'w', 'n', (char)('0' + i), 0};
        OK(hotcold_open(fresh(name), NULL, &own[i], &error));
        put(own[i], "k", "child's own");
        HAS(own[i], "k", "child's own");
    }
    for (int i = 0; i < 8; i++) {
        OK(hotcold_close(own[i], &error));
    }
    exit(0);
}

int main(void) {
    hotcold_t *s = NULL;
    hotcold_value_t held;
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    put(s, "k", "parent");
    OK(hotcold_retrieve(s, "k", 1, &held, &error));
    for (int i = 0; i < 3; i++) {
        int status = -1;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            in_the_child(s, &held);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        HAS(s, "k", "parent");
        put(s, "after", "the child");
    }
    /* The lock has survived the children. */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        hotcold_t *other = NULL;
        exit(hotcold_open(fresh("s"), NULL, &other, &error) == HOTCOLD_LOCKED ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    hotcold_value_release(&held);
    OK(hotcold_close(s, &error));
    OK(hotcold_open(fresh("s"), NULL, &s, &error));
    HAS(s, "after", "the child");
    OK(hotcold_close(s, &error));
    return 0;
}
