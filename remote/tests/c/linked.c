/* linked URL: both libraries in one program, shared or static; a store and what is said of a failure. */
#include <hotcold_remote.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    hotcold_host_t host;
    hotcold_backend_t backend;
    hotcold_drop_fn drop;
    void *user_data;
    hotcold_error_t error;
    const char *options[] = {"remote_timeout", "500", NULL};
    uint64_t version = 0, absent = 0;
    int32_t status;

    hotcold_remote_host(&host);
    status = hotcold_remote_backend("redis://127.0.0.1:1/x", options, &host, sizeof host, &backend,
                                    sizeof backend, &user_data, &drop, &error);
    printf("%s: %s\n", hotcold_status_name(status), error.message);
    if (status != HOTCOLD_UNAVAILABLE || user_data != NULL || drop != NULL || argc < 2) {
        return 1;
    }
    status = hotcold_remote_backend(argv[1], NULL, &host, sizeof host, &backend, sizeof backend,
                                    &user_data, &drop, &error);
    if (status != HOTCOLD_OK) {
        puts(error.message);
        return 1;
    }
    status = backend.versions(user_data, 1, &version, 1000);
    if (status == HOTCOLD_OK) {
        status = backend.put(user_data, "key", 3, "data", 4, version, 0, &absent, 1000);
    }
    if (status == HOTCOLD_OK) {
        status = backend.put(user_data, "key", 3, "data", 4, version + 1, 0, &absent, 1000);
    }
    printf("%s\n", hotcold_status_name(status));
    drop(user_data);
    return status == HOTCOLD_CONFLICT ? 0 : 1;
}
