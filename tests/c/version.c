/* Version and status names. */
#include "check.h"

int main(void) {
    uint32_t version = hotcold_version();
    char text[32];
    CHECK(version == (uint32_t)HOTCOLD_VERSION);
    snprintf(text, sizeof text, "%u.%u.%u", version >> 16, version >> 8 & 255, version & 255);
    CHECK(strcmp(hotcold_version_string(), text) == 0);

    static const struct { int32_t status; const char *name; } names[] = {
        {0, "HOTCOLD_OK"}, {1, "HOTCOLD_NOT_FOUND"}, {2, "HOTCOLD_CONFLICT"}, {3, "HOTCOLD_END"},
        {-1, "HOTCOLD_INVALID_ARGUMENT"}, {-2, "HOTCOLD_MISUSE"}, {-3, "HOTCOLD_IO"},
        {-4, "HOTCOLD_CORRUPT"}, {-5, "HOTCOLD_NO_SPACE"}, {-6, "HOTCOLD_LOCKED"},
        {-7, "HOTCOLD_TOO_LARGE"}, {-8, "HOTCOLD_BUFFER_TOO_SMALL"}, {-9, "HOTCOLD_READ_ONLY"},
        {-10, "HOTCOLD_UNSUPPORTED"}, {-11, "HOTCOLD_OUT_OF_MEMORY"}, {-12, "HOTCOLD_INTERNAL"},
        {-13, "HOTCOLD_CALLBACK_FAILED"},
        {-14, "HOTCOLD_TIMEOUT"}, {-15, "HOTCOLD_UNAVAILABLE"}, {-16, "HOTCOLD_FENCED"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(strcmp(hotcold_status_name(names[i].status), names[i].name) == 0);
    }
    CHECK(strcmp(hotcold_status_name(4), "HOTCOLD_UNKNOWN") == 0);
    CHECK(strcmp(hotcold_status_name(-17), "HOTCOLD_UNKNOWN") == 0);
    CHECK(strcmp(hotcold_status_name(INT32_MIN), "HOTCOLD_UNKNOWN") == 0);
    return 0;
}
