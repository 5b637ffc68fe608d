// Every operation, compiled for every instruction set this processor has, against <cmath> in double.
#include <algorithm>
#include <limits>

#include "check.hpp"

namespace pellucid {

extern const Kernels kernels_v2, kernels_v3, kernels_v4, kernels_v4_bf16;

namespace test {
namespace {

constexpr double INFINITE = std::numeric_limits<double>::infinity();
constexpr double LARGEST = std::numeric_limits<float>::max(), SMALLEST = 1.4012984643e-45, NORMAL = 1.17549435e-38;

std::vector<const Kernels*> tables() {
    std::vector<const Kernels*> found{&kernels_v2};
    if (__builtin_cpu_supports("x86-64-v3")) found.push_back(&kernels_v3);
    if (__builtin_cpu_supports("x86-64-v4")) found.push_back(&kernels_v4);
    if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16")) found.push_back(&kernels_v4_bf16);
    return found;
}

// Both signs of: zero, denormals, where a formula changes, the ends of exp's range, huge numbers, infinity; and NaN.
Floats special_numbers() {
    Floats found{std::nanf("")};
    for (const double x : {0.0, SMALLEST, 1e-40, NORMAL, 3e-30, 1e-9, 0.2499999, 0.25, 0.4999999, 0.5, 0.7071067, 0.9999999, 1.0, 1.0000001,
                           1.5, 2.0, 2.5, 3.0, 4.0, 4.0000005, 7.25, 16.5, 17.5, 87.3, 88.7, 88.8, 89.1, 103.2, 103.98, 104.5, 1e4, 16777216.0, 3e9,
                           9.1e18, 1e19, 1.3e38, LARGEST, INFINITE}) {
        found.push_back(float(x));
        found.push_back(float(-x));
    }
    return found;
}

using Formula = double (*)(double a, double b, double c);

// Errors allowed, relative to the result and absolute; the latter also covers what is lost among denormals.
struct Row {
    Operation operation;
    int operands;
    Formula formula;
    double relative = 6e-8, absolute = SMALLEST;
};

#define UNARY(name, expression, ...) {Operation::name, 1, [](double a, double, double) -> double { return expression; }, ##__VA_ARGS__}
#define BINARY(name, expression, ...) {Operation::name, 2, [](double a, double b, double) -> double { return expression; }, ##__VA_ARGS__}
#define TERNARY(name, expression, ...) {Operation::name, 3, [](double a, double b, double c) -> double { return expression; }, ##__VA_ARGS__}

double maximum(double a, double b) { return std::isnan(a) ? a : (a > b ? a : b); }

const Row ROWS[] = {
    UNARY(copy, a, 0, 0),
    UNARY(negative, -a, 0, 0),
    UNARY(absolute, std::fabs(a), 0, 0),
    UNARY(sign, a > 0 ? 1 : (a < 0 ? -1 : a), 0, 0),
    UNARY(relu, a < 0 ? 0 : a, 0, 0),
    UNARY(to_bool, a != 0, 0, 0),
    UNARY(round, std::nearbyint(a), 0, 0),
    UNARY(floor, std::floor(a), 0, 0),
    UNARY(sqrt, std::sqrt(a)),
    UNARY(exp, std::exp(a), 2e-7, 2 * SMALLEST),
    UNARY(expm1, std::expm1(a), 4e-7),
    UNARY(log, std::log(a), 2e-7),
    UNARY(log1p, std::log1p(a), 2e-7),
    UNARY(erf, std::erf(a), 3e-7, 1e-44),
    UNARY(sigmoid, 1 / (1 + std::exp(-a)), 3e-7, 2 * SMALLEST),
    UNARY(tanh, std::tanh(a), 4e-7, 1e-44),
    UNARY(softplus, std::isinf(a) ? (a > 0 ? a : 0) : std::fmax(a, 0) + std::log1p(std::exp(-std::fabs(a))) + 0 * a, 3e-7, 2 * SMALLEST),
    BINARY(add, a + b),
    BINARY(subtract, a - b),
    BINARY(multiply, a * b),
    BINARY(divide, a / b),
    BINARY(power, std::pow(a, b), 3e-7),
    BINARY(maximum, maximum(a, b), 0, 0),
    BINARY(minimum, -maximum(-a, -b), 0, 0),
    BINARY(less, a < b, 0, 0),
    BINARY(less_equal, a <= b, 0, 0),
    BINARY(equal, a == b, 0, 0),
    BINARY(not_equal, a != b, 0, 0),
    BINARY(relu_mask, b > 0 ? a : 0 * a, 0, 0),
    TERNARY(where, a != 0 ? b : c, 0, 0),
    TERNARY(multiply_add, a * b + c, 1.2e-7),
    TERNARY(multiply_add_relu, maximum(a * b + c, 0), 1.2e-7),
};

// A product is rounded before something is added to it, or not, as the processor likes: what that may change.
double rounding(const Row& row, double a, double b) {
    return row.operation == Operation::multiply_add || row.operation == Operation::multiply_add_relu ? 6e-8 * std::fabs(a * b) : 0;
}
bool may_overflow(const Row& row, double a, double b) { return rounding(row, a, b) > 6e-8 * LARGEST && std::isfinite(a * b); }

std::string name_of(Operation operation) {
    static const char* names[] = {
#define X(name) #name,
        PELLUCID_OPERATIONS(X)
#undef X
    };
    return names[int(operation)];
}

TEST(operations) {
    const Floats special = special_numbers();
    const size_t most = special.size(), whole = most * most;
    for (const Kernels* kernels : tables())
        for (const auto& row : ROWS) {
            const size_t count = row.operands == 1 ? most : whole;
            Floats a, b, c, to(count);
            for (size_t i = 0; i < count; ++i) {
                a.push_back(special[i % most]);
                b.push_back(special[i / most % most]);
                c.push_back(special[(7 * i + i / most) % most]);
            }
            kernels->apply(row.operation, to.data(), {a.data()}, {b.data()}, {c.data()}, int64_t(count));
            for (size_t i = 0; i < count; ++i) {
                const double expected = double(float(row.formula(a[i], b[i], c[i])));
                const double absolute = row.absolute + rounding(row, a[i], b[i]);
                if (may_overflow(row, a[i], b[i]) || near(to[i], expected, row.relative, absolute)) continue;
                char text[160];
                std::snprintf(text, sizeof text, "%s: %s(%.9g, %.9g, %.9g) is %.9g, expected %.9g", kernels->isa, name_of(row.operation).c_str(),
                              a[i], b[i], c[i], to[i], expected);
                fail(text);
            }
        }
}

bool same(const Floats& a, const Floats& b) {
    for (size_t i = 0; i < a.size(); ++i)
        if (!near(a[i], b[i], 1e-6, SMALLEST)) return false;
    return true;
}

// An operand may be bfloat16, or one element for all; a result may lie over an operand.
TEST(forms_of_operands) {
    const Halves half = narrow(special_numbers());
    const Floats x = widen(half);
    const int64_t count = int64_t(x.size());
    for (const Kernels* kernels : tables())
        for (const auto& row : ROWS) {
            for (const float number : {0.5f, 2.0f, 3.0f, -1.0f}) {
                Floats expected(count), actual(count), in_place = x;
                const Floats numbers(count, number);
                auto apply = [&](Floats& to, Value a, Value b) { kernels->apply(row.operation, to.data(), a, b, {x.data()}, count); };
                const Value same_number{&number, Value::Form::one}, halves{half.data(), Value::Form::half};
                apply(expected, {x.data()}, {numbers.data()});
                for (int64_t i = 0; i < count; ++i)  // the power 0.5 of a number is its square root
                    if (row.operation == Operation::power && number == 0.5f && x[i] == -INFINITE) expected[i] = std::nanf("");
                apply(actual, {x.data()}, same_number);
                if (!same(actual, expected)) fail(name_of(row.operation) + " with a number");
                apply(actual, halves, same_number);
                if (!same(actual, expected)) fail(name_of(row.operation) + " of bfloat16 with a number");
                apply(in_place, {in_place.data()}, same_number);
                if (!same(in_place, expected)) fail(name_of(row.operation) + " in place");
                if (row.operands == 1) continue;
                apply(expected, {numbers.data()}, {x.data()});
                apply(actual, same_number, halves);
                if (!same(actual, expected)) fail(name_of(row.operation) + " of a number with bfloat16");
            }
        }
}

TEST(int64_operations) {
    using Whole = std::vector<int64_t>;
    const int64_t largest = std::numeric_limits<int64_t>::max(), lowest = -largest - 1;
    Whole a, b;
    for (const int64_t x : {int64_t(0), int64_t(1), int64_t(-1), int64_t(3000000000), int64_t(1) << 53, largest, lowest})
        for (const int64_t y : {int64_t(0), int64_t(1), int64_t(-7), int64_t(3000000000), largest, lowest}) {
            a.push_back(x);
            b.push_back(y);
        }
    const int64_t count = int64_t(a.size());
    for (const Kernels* kernels : tables()) {
        auto check = [&](Operation operation, auto formula) {
            Whole to(count);
            kernels->apply(operation, to.data(), {a.data()}, {b.data()}, {}, count);
            for (int64_t i = 0; i < count; ++i)
                if (uint64_t(to[i]) != formula(uint64_t(a[i]), uint64_t(b[i]))) fail(name_of(operation));
        };
        auto compare = [&](Operation operation, auto formula) {
            Floats to(count);
            kernels->apply(operation, to.data(), {a.data()}, {b.data()}, {}, count);
            for (int64_t i = 0; i < count; ++i)
                if (to[i] != float(formula(a[i], b[i]))) fail(name_of(operation));
        };
        check(Operation::copy_i64, [](uint64_t x, uint64_t) { return x; });
        check(Operation::add_i64, [](uint64_t x, uint64_t y) { return x + y; });
        check(Operation::subtract_i64, [](uint64_t x, uint64_t y) { return x - y; });
        check(Operation::multiply_i64, [](uint64_t x, uint64_t y) { return x * y; });
        compare(Operation::less_i64, [](int64_t x, int64_t y) { return x < y; });
        compare(Operation::less_equal_i64, [](int64_t x, int64_t y) { return x <= y; });
        compare(Operation::equal_i64, [](int64_t x, int64_t y) { return x == y; });
        compare(Operation::not_equal_i64, [](int64_t x, int64_t y) { return x != y; });
        compare(Operation::to_float, [](int64_t x, int64_t) { return x; });
        const Floats x = special_numbers();
        Whole to(x.size());
        kernels->apply(Operation::to_int, to.data(), {x.data()}, {}, {}, int64_t(x.size()));
        for (size_t i = 0; i < x.size(); ++i) CHECK(to[i] == (std::fabs(x[i]) < 9.2e18f ? int64_t(x[i]) : lowest));
    }
}

// To the nearest of the two bfloat16 around a float, to the even one in the middle; NaN stays NaN.
uint16_t nearest_half(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (std::isnan(value)) return uint16_t((bits >> 16) | 0x40);
    const uint32_t rest = bits & 0xffff, below = bits >> 16;
    return uint16_t(below + (rest > 0x8000 || (rest == 0x8000 && (below & 1))));
}

TEST(conversions) {
    Floats x = special_numbers();
    std::mt19937 random(3);
    for (int i = 0; i < 5000; ++i) {
        uint32_t bits = uint32_t(random());
        if (i % 3 == 0) bits = (bits & 0xffff0000u) | 0x8000u;  // in the middle of two
        float value;
        std::memcpy(&value, &bits, 4);
        x.push_back(value);
    }
    for (const Kernels* kernels : tables()) {
        Halves half(x.size());
        kernels->narrow(half.data(), x.data(), int64_t(x.size()));
        for (size_t i = 0; i < x.size(); ++i) {
            const bool denormal = x[i] != 0 && std::fabs(x[i]) < NORMAL;  // AVX-512's instruction takes these as zero
            if (half[i] != nearest_half(x[i]) && !(denormal && (half[i] & 0x7fff) == 0))
                fail(std::string(kernels->isa) + ": bfloat16 of " + std::to_string(x[i]));
        }
        Floats wide(half.size());
        kernels->widen(wide.data(), half.data(), int64_t(half.size()));
        for (size_t i = 0; i < half.size(); ++i) {
            uint32_t bits;
            std::memcpy(&bits, &wide[i], 4);
            CHECK(bits == uint32_t(half[i]) << 16);
        }
        const std::vector<uint8_t> bools{0, 1, 2, 255, 0};
        Floats number(5);
        std::vector<uint8_t> back(5);
        kernels->from_bool(number.data(), bools.data(), 5);
        kernels->to_bool(back.data(), number.data(), 5);
        CHECK((number == Floats{0, 1, 1, 1, 0}) && (back == std::vector<uint8_t>{0, 1, 1, 1, 0}));
    }
}

TEST(reductions_of_tiles) {
    for (const Kernels* kernels : tables())
        for (const int64_t rows : {0, 1, 2, 3, 4, 5, 9, 64, 127})
            for (const int64_t columns : {0, 1, 5, 16, 17, 64, 65, 200}) {
                const Floats x = whole_numbers(rows * columns, 5);
                const Floats start = whole_numbers(columns, 6);
                Floats sums = start, largest = start, expected_sums = start, expected_largest = start;
                double sum = 0, most = -INFINITE;
                for (int64_t i = 0; i < rows * columns; ++i) {
                    sum += x[i];
                    most = std::max(most, double(x[i]));
                    expected_sums[i % columns] += x[i];
                    expected_largest[i % columns] = std::max(expected_largest[i % columns], x[i]);
                }
                kernels->accumulate(sums.data(), x.data(), rows, columns);
                kernels->accumulate_max(largest.data(), x.data(), rows, columns);
                CHECK(sums == expected_sums);
                CHECK(largest == expected_largest);
                CHECK(kernels->sum(x.data(), rows * columns) == float(sum));
                CHECK(kernels->max(x.data(), rows * columns) == float(most));
            }
}

}  // namespace
}  // namespace test
}  // namespace pellucid
