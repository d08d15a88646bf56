// What every test here uses. A test is a main() that returns 0; the first check that fails ends it
// with 1 and says where.
#ifndef CHECK_HPP
#define CHECK_HPP
#include <hotcold.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            std::exit(1);                                                                          \
        }                                                                                          \
    } while (0)

// The expression must throw hotcold::Error with this status, and say why.
#define THROWS(wanted, expression)                                                                 \
    do {                                                                                           \
        hotcold::Status threw = HOTCOLD_OK;                                                        \
        try {                                                                                      \
            (void)(expression);                                                                    \
        } catch (const hotcold::Error &thrown) {                                                   \
            threw = thrown.status();                                                               \
            CHECK(thrown.what()[0] != 0);                                                          \
        }                                                                                          \
        CHECK(threw == wanted);                                                                    \
    } while (0)

// A directory of this test's own, that is removed at the end.
class Directory {
public:
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "hotcold-XXXXXX").string();
        CHECK(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    std::filesystem::path operator/(const char *name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};
#endif
