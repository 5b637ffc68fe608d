// Tests register themselves by name; a check that fails says what was wrong, and the test goes on.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "program.hpp"

namespace pellucid::test {

struct Test {
    Test(const char* name, void (*run)());
};

#define TEST(name)                      \
    static void name();                 \
    static const Test test_##name(#name, name); \
    static void name()

#define CHECK(condition) \
    if (!(condition)) fail(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " #condition)

void fail(const std::string& message);

// Whether both are NaN, the same infinity, or at most `relative` (of the expected size) and `absolute` apart.
bool near(double actual, double expected, double relative, double absolute);

template <class A, class B>
void check_near(const std::string& label, const A& actual, const B& expected, double relative, double absolute) {
    if (actual.size() != expected.size()) return fail(label + ": " + std::to_string(actual.size()) + " elements");
    for (size_t i = 0; i < actual.size(); ++i)
        if (!near(double(actual[i]), double(expected[i]), relative, absolute))
            return fail(label + "[" + std::to_string(i) + "]: expected " + std::to_string(double(expected[i])) + ", got " +
                        std::to_string(double(actual[i])));
}

using Floats = std::vector<float>;
using Halves = std::vector<uint16_t>;

// Whole numbers from -4 to 4: sums and products of them are exact in every element type and order.
Floats whole_numbers(int64_t count, int seed);
Halves narrow(const Floats&);
Floats widen(const Halves&);

// Runs one step over the caller's arrays; array i is base 1 + i. They lie apart, so that a sanitizer sees it when a step
// leaves its own.
template <class... Arrays>
void run(std::unique_ptr<Step> step, int threads, Arrays&... arrays) {
    Program program(0, {int64_t(arrays.size() * sizeof(*arrays.data()))...}, threads);
    program.add(std::move(step));
    Context* context = program.acquire();
    int number = 0;
    ((context->bases[++number] = reinterpret_cast<char*>(arrays.data())), ...);
    program.run(*context, 0, 1, nullptr);
    program.release(context);
}

}  // namespace pellucid::test
