// Runs every test and ends with how many failed.
#include <cstdio>
#include <exception>

#include "check.hpp"

namespace pellucid::test {
namespace {

struct Case {
    const char* name;
    void (*run)();
};

std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

int failures = 0;

}  // namespace

Test::Test(const char* name, void (*run)()) { cases().push_back({name, run}); }

void fail(const std::string& message) {
    ++failures;
    std::printf("  %s\n", message.c_str());
}

bool near(double actual, double expected, double relative, double absolute) {
    if (std::isnan(expected) || std::isnan(actual)) return std::isnan(expected) && std::isnan(actual);
    if (std::isinf(expected) || std::isinf(actual)) return actual == expected;
    return std::fabs(actual - expected) <= absolute + relative * std::fabs(expected);
}

Floats whole_numbers(int64_t count, int seed) {
    std::mt19937 random(seed);
    Floats numbers(count);
    for (float& number : numbers) number = float(int(random() % 9) - 4);
    return numbers;
}

Halves narrow(const Floats& from) {
    Halves to(from.size());
    kernels().narrow(to.data(), from.data(), int64_t(from.size()));
    return to;
}

Floats widen(const Halves& from) {
    Floats to(from.size());
    kernels().widen(to.data(), from.data(), int64_t(from.size()));
    return to;
}

}  // namespace pellucid::test

int main() {
    using namespace pellucid::test;
    int failed = 0;
    for (const auto& test : cases()) {
        const int before = failures;
        std::printf("%s\n", test.name);
        std::fflush(stdout);
        try {
            test.run();
        } catch (const std::exception& error) {
            fail(std::string("threw ") + error.what());
        }
        failed += failures != before;
    }
    std::printf("%zu tests, %d failed\n", cases().size(), failed);
    return failed || cases().empty();
}
