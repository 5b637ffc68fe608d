// Chains against the definition: every element computed by itself, in the order of the loops.
#include "../chain.hpp"

#include <algorithm>
#include <limits>

#include "check.hpp"

namespace pellucid::test {
namespace {

// An array of any element type, with what lies in front of its first element (where strides are negative).
struct Array {
    DType type = DType::f32;
    Dims strides;
    int64_t start = 0, size = 0;
    std::vector<char> bytes;

    char* at(int64_t element) { return bytes.data() + element * size_of(type); }
    double get(int64_t element) {
        const char* from = at(element);
        switch (type) {
            case DType::f32: return *reinterpret_cast<const float*>(from);
            case DType::bf16: return widen({*reinterpret_cast<const uint16_t*>(from)})[0];
            case DType::i64: return double(*reinterpret_cast<const int64_t*>(from));
            case DType::u8: return *from != 0;
        }
        return 0;
    }
    void set(int64_t element, double value) {
        char* to = at(element);
        switch (type) {
            case DType::f32: *reinterpret_cast<float*>(to) = float(value); return;
            case DType::bf16: *reinterpret_cast<uint16_t*>(to) = narrow({float(value)})[0]; return;
            case DType::i64: *reinterpret_cast<int64_t*>(to) = int64_t(value); return;
            case DType::u8: *to = value != 0; return;
        }
    }
};

Array make_array(DType type, const Dims& loops, Dims strides, int seed) {
    Array array;
    array.type = type;
    int64_t low = 0, high = 0;
    for (size_t d = 0; d < loops.size(); ++d) (strides[d] < 0 ? low : high) += strides[d] * std::max<int64_t>(0, loops[d] - 1);
    array.strides = std::move(strides);
    array.start = -low;
    array.size = high - low + 1;
    array.bytes.resize(array.size * size_of(type));
    const Floats numbers = whole_numbers(array.size, seed);
    for (int64_t i = 0; i < array.size; ++i) array.set(i, numbers[i]);
    return array;
}

// How an array walks along the loops: each rule is a name and the strides it gives.
Dims packed(const Dims& loops) {
    Dims strides(loops.size());
    int64_t step = 1;
    for (size_t d = loops.size(); d-- > 0; step *= std::max<int64_t>(1, loops[d])) strides[d] = step;
    return strides;
}
Dims turned(const Dims& loops) {
    Dims strides = packed(Dims(loops.rbegin(), loops.rend()));
    std::reverse(strides.begin(), strides.end());
    return strides;
}
Dims gaps(const Dims& loops) {
    Dims strides = packed(loops);
    for (auto& s : strides) s *= 2;
    return strides;
}
Dims wide_rows(const Dims& loops) {  // rows whole, with room between them
    Dims strides = packed(loops);
    for (size_t d = 0; d + 1 < loops.size(); ++d) strides[d] += 5 * strides[d] / std::max<int64_t>(1, loops.back());
    return strides;
}
Dims flipped(const Dims& loops) {
    Dims strides = packed(loops);
    for (auto& s : strides) s = -s;
    return strides;
}
Dims one(const Dims& loops) { return Dims(loops.size(), 0); }
Dims only(const Dims& loops, bool (*keep)(size_t axis, size_t rank)) {
    Dims kept;
    for (size_t d = 0; d < loops.size(); ++d) kept.push_back(keep(d, loops.size()) ? loops[d] : 1);
    Dims strides = packed(kept);
    for (size_t d = 0; d < loops.size(); ++d)
        if (!keep(d, loops.size())) strides[d] = 0;
    return strides;
}
Dims row(const Dims& loops) { return only(loops, [](size_t d, size_t rank) { return d + 1 == rank; }); }
Dims column(const Dims& loops) { return only(loops, [](size_t d, size_t rank) { return d + 1 != rank; }); }
Dims first(const Dims& loops) { return only(loops, [](size_t d, size_t) { return d == 0; }); }
Dims middle(const Dims& loops) { return only(loops, [](size_t d, size_t) { return d == 1; }); }
Dims ends(const Dims& loops) { return only(loops, [](size_t d, size_t) { return d != 1; }); }

using Walk = Dims (*)(const Dims&);

struct Read {
    DType type;
    Walk walk;  // null: the number 3
};
struct Written {
    DType type;
    Walk walk;
    int value;
    Write write = Write::store;
    bool direct = false;
    int over = -1;  // the operand whose memory it takes
};
struct Pattern {
    const char* name;
    std::vector<Read> reads;
    std::vector<Instruction> work;
    std::vector<Written> writes;
};

double compute(Operation operation, double a, double b, double c) {
    switch (operation) {
        case Operation::copy: case Operation::copy_i64: case Operation::to_int: case Operation::to_float: return a;
        case Operation::add: case Operation::add_i64: return a + b;
        case Operation::subtract: case Operation::subtract_i64: return a - b;
        case Operation::multiply: case Operation::multiply_i64: return a * b;
        case Operation::multiply_add: return a * b + c;
        case Operation::maximum: return std::max(a, b);
        case Operation::less: case Operation::less_i64: return a < b;
        default: throw std::logic_error("the test's interpreter lacks an operation");
    }
}

using Arrays = std::vector<Array>;

// The definition: reads, computes and writes element by element. `writes[o]` is the array of output o.
void interpret(const Pattern& pattern, const Dims& loops, Arrays& reads, Arrays& writes) {
    const double lowest = -std::numeric_limits<double>::infinity();
    for (size_t o = 0; o < writes.size(); ++o)
        if (pattern.writes[o].write != Write::store)
            for (int64_t i = 0; i < writes[o].size; ++i) writes[o].set(i, pattern.writes[o].write == Write::sum ? 0 : lowest);
    int64_t total = 1;
    for (const int64_t turns : loops) total *= turns;
    for (int64_t n = 0; n < total; ++n) {
        auto offset = [&](const Array& array) {
            int64_t rest = n, sum = array.start;
            for (size_t d = loops.size(); d-- > 0; rest /= loops[d]) sum += rest % loops[d] * array.strides[d];
            return sum;
        };
        std::vector<double> operands, registers(8);
        for (size_t i = 0; i < reads.size(); ++i) operands.push_back(pattern.reads[i].walk ? reads[i].get(offset(reads[i])) : 3);
        auto value = [&](int v) { return v < 0 ? operands[-1 - v] : registers[v]; };
        for (const auto& i : pattern.work) registers[i.to] = compute(i.operation, value(i.a), value(i.b), value(i.c));
        for (size_t o = 0; o < writes.size(); ++o) {
            const int64_t to = offset(writes[o]);
            const double before = writes[o].get(to), v = value(pattern.writes[o].value);
            writes[o].set(to, pattern.writes[o].write == Write::store ? v : pattern.writes[o].write == Write::sum ? before + v : std::max(before, v));
        }
    }
}

// The same by a Chain; outputs over an operand take that operand's array.
void execute(const Pattern& pattern, const Dims& loops, Arrays& reads, Arrays& writes, int threads) {
    std::vector<Operand> operands;
    std::vector<Output> outputs;
    const int base = 1 + int(reads.size());
    for (size_t i = 0; i < reads.size(); ++i) {
        const bool number = !pattern.reads[i].walk;
        operands.push_back({{1 + int(i), reads[i].start * size_of(reads[i].type)}, reads[i].type, reads[i].strides, number, 3});
    }
    for (size_t o = 0; o < writes.size(); ++o) {
        const auto& w = pattern.writes[o];
        const Place place{w.over < 0 ? base + int(o) : 1 + w.over, writes[o].start * size_of(w.type)};
        outputs.push_back({place, w.type, writes[o].strides, w.value, w.write, writes[o].size, w.direct});
    }
    std::vector<int64_t> sizes;
    for (const auto* arrays : {&reads, &writes})
        for (const auto& array : *arrays) sizes.push_back(int64_t(array.bytes.size()));
    Program program(0, sizes, threads);
    program.add(std::make_unique<Chain>("chain", loops, operands, pattern.work, outputs, 4));
    Context* context = program.acquire();
    for (size_t i = 0; i < reads.size(); ++i) context->bases[1 + i] = reads[i].bytes.data();
    for (size_t o = 0; o < writes.size(); ++o) context->bases[base + o] = writes[o].bytes.data();
    program.run(*context, 0, 1, nullptr);
    for (size_t o = 0; o < writes.size(); ++o)
        if (pattern.writes[o].over >= 0) writes[o] = reads[pattern.writes[o].over];
}

constexpr DType F = DType::f32, H = DType::bf16, I = DType::i64, B = DType::u8;
constexpr Operation ADD = Operation::add, MULTIPLY = Operation::multiply, COPY = Operation::copy;

const Pattern PATTERNS[] = {
    {"add", {{F, packed}, {F, packed}}, {{ADD, 0, -1, -2, -1}}, {{F, packed, 0}}},
    {"add, direct", {{F, packed}, {F, packed}}, {{ADD, 0, -1, -2, -1}}, {{F, packed, 0, Write::store, true}}},
    {"add, in place", {{F, packed}, {F, packed}}, {{ADD, 0, -1, -2, -1}}, {{F, packed, 0, Write::store, true, 0}}},
    {"multiply_add, in place over the last",
     {{F, packed}, {F, row}, {F, packed}},
     {{Operation::multiply_add, 0, -1, -2, -3}},
     {{F, packed, 0, Write::store, true, 2}}},
    {"bfloat16, in place", {{H, packed}, {F, row}}, {{ADD, 0, -1, -2, -1}}, {{H, packed, 0, Write::store, false, 0}}},
    {"bfloat16 times bool", {{H, packed}, {B, packed}}, {{MULTIPLY, 0, -1, -2, -1}}, {{H, packed, 0}, {F, packed, 0}}},
    {"bool result", {{F, packed}, {F, column}}, {{Operation::less, 0, -1, -2, -1}}, {{B, packed, 0}}},
    {"int64", {{I, packed}, {I, row}}, {{Operation::add_i64, 0, -1, -2, -1}, {Operation::less_i64, 1, 0, -2, 0}}, {{I, packed, 0}, {B, packed, 1}}},
    {"int64 and back",
     {{I, turned}, {F, packed}},
     {{Operation::to_float, 0, -1, -1, -1}, {Operation::to_int, 1, -2, -2, -2}},
     {{F, packed, 0}, {I, packed, 1}}},
    {"number",
     {{F, packed}, {F, nullptr}, {I, nullptr}},
     {{MULTIPLY, 0, -1, -2, -1}, {Operation::copy_i64, 1, -3, -3, -3}},
     {{F, packed, 0}, {I, packed, 1}}},
    {"fill", {{F, nullptr}}, {}, {{F, packed, -1}, {H, gaps, -1}, {B, wide_rows, -1}}},
    {"fill with one element", {{H, one}, {I, one}}, {}, {{F, turned, -1}, {I, packed, -2}}},
    {"rows", {{F, packed}, {F, row}, {H, row}, {B, row}}, {{ADD, 0, -1, -2, -1}, {ADD, 1, 0, -3, 0}, {ADD, 2, 1, -4, 1}}, {{F, packed, 2}}},
    {"rows and planes", {{F, row}, {H, row}, {F, middle}}, {{Operation::multiply_add, 0, -1, -2, -3}}, {{F, packed, 0}}},
    {"columns",
     {{F, packed}, {F, column}, {H, column}, {I, column}},
     {{ADD, 0, -1, -2, -1}, {ADD, 1, 0, -3, 0}, {Operation::to_float, 2, -4, -4, -4}, {ADD, 3, 1, 2, 1}},
     {{F, packed, 3}}},
    {"first and middle axis", {{F, first}, {F, middle}, {F, one}}, {{Operation::multiply_add, 0, -1, -2, -3}}, {{F, packed, 0, Write::store, true}}},
    {"copy between layouts", {{F, turned}}, {{COPY, 0, -1, -1, -1}}, {{F, packed, 0, Write::store, true}, {F, gaps, -1}, {H, turned, 0}}},
    {"rows with room", {{F, wide_rows}, {H, wide_rows}}, {{ADD, 0, -1, -2, -1}}, {{F, wide_rows, 0, Write::store, true}, {H, wide_rows, 0}}},
    {"gaps", {{F, gaps}, {H, gaps}, {B, gaps}}, {{ADD, 0, -1, -2, -1}, {ADD, 1, 0, -3, 0}}, {{F, gaps, 1, Write::store, true}, {B, gaps, 1}}},
    {"int64 with gaps", {{I, gaps}, {I, flipped}}, {{Operation::multiply_i64, 0, -1, -2, -1}}, {{I, gaps, 0}}},
    {"flipped", {{F, flipped}, {H, flipped}}, {{Operation::subtract, 0, -1, -2, -1}}, {{F, flipped, 0, Write::store, true}, {F, packed, 0}}},
    {"sum of all", {{F, packed}, {H, packed}}, {{MULTIPLY, 0, -1, -2, -1}}, {{F, one, 0, Write::sum}, {F, one, -2, Write::sum}}},
    {"sum along rows", {{F, packed}}, {}, {{F, column, -1, Write::sum}}},
    {"sum over rows", {{F, packed}, {F, packed}}, {{MULTIPLY, 0, -1, -2, -1}}, {{F, row, 0, Write::sum}, {F, row, -1, Write::sum}}},
    {"sum over the middle",
     {{F, packed}, {F, row}},
     {{ADD, 0, -1, -2, -1}},
     {{F, ends, 0, Write::sum}, {F, middle, 0, Write::sum}, {F, first, -2, Write::sum}}},
    {"sum of turned", {{F, turned}}, {}, {{F, turned, -1, Write::sum}, {F, row, -1, Write::sum}}},
    {"sum of int64",
     {{I, packed}, {I, row}},
     {{Operation::multiply_i64, 0, -1, -2, -1}},
     {{I, one, 0, Write::sum}, {I, middle, 0, Write::sum}, {I, row, -2, Write::sum}}},
    {"sum of one element", {{F, one}, {F, nullptr}}, {}, {{F, one, -1, Write::sum}, {F, row, -2, Write::sum}}},
    {"max",
     {{F, packed}, {H, packed}},
     {{ADD, 0, -1, -2, -1}},
     {{F, one, 0, Write::max}, {F, column, -2, Write::max}, {F, row, 0, Write::max}, {F, middle, 0, Write::max}}},
    {"store, sum and max",
     {{F, packed}, {F, row}},
     {{ADD, 0, -1, -2, -1}, {MULTIPLY, 1, 0, 0, 0}},
     {{F, packed, 0, Write::store, true, 0}, {F, row, 1, Write::sum}, {F, column, 0, Write::sum}, {F, one, 1, Write::max}}},
};

const Dims LOOPS[] = {
    {}, {0}, {1}, {7}, {1024}, {1025}, {33000}, {0, 5}, {5, 0}, {3, 5}, {64, 16}, {65, 16}, {1, 2100}, {3, 1025}, {70, 1, 19}, {300, 111},
    {2, 3, 17}, {2, 1024, 2}, {25, 13, 111}, {5, 7, 1100}, {2, 3, 4, 5, 16}, {3, 1, 1, 9, 4, 2}, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2},
};

std::string name_of(const Pattern& pattern, const Dims& loops, size_t output, int threads) {
    std::string text = std::string(pattern.name) + " (";
    for (const int64_t turns : loops) text += std::to_string(turns) + " ";
    return text + ") output " + std::to_string(output) + ", " + std::to_string(threads) + " threads";
}

TEST(chains) {
    for (const auto& pattern : PATTERNS)
        for (const auto& loops : LOOPS) {
            Arrays reads, writes;
            for (size_t i = 0; i < pattern.reads.size(); ++i) {
                const auto& [type, walk] = pattern.reads[i];
                reads.push_back(walk ? make_array(type, loops, walk(loops), int(i)) : Array{type, {}, 0, 0, {}});
            }
            for (const auto& w : pattern.writes) writes.push_back(w.over < 0 ? make_array(w.type, loops, w.walk(loops), 99) : reads[w.over]);
            Arrays expected = writes, read = reads;
            interpret(pattern, loops, read, expected);
            for (const int threads : {1, 2, 3}) {
                Arrays actual = writes, operands = reads;
                execute(pattern, loops, operands, actual, threads);
                for (size_t o = 0; o < actual.size(); ++o)
                    if (actual[o].bytes != expected[o].bytes) fail(name_of(pattern, loops, o, threads));
            }
        }
}

TEST(sums_are_the_same_bytes_for_the_same_threads) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    Floats x(300000), y(300);
    for (float& value : x) value = normal(random);
    auto sum = [&](int threads) {
        Floats total(300);
        run(std::make_unique<Chain>("sum", Dims{1000, 300}, std::vector<Operand>{{{1, 0}, F, {300, 1}}}, std::vector<Instruction>{},
                                    std::vector<Output>{{{2, 0}, F, {0, 1}, -1, Write::sum, 300, false}}, 1),
            threads, x, total);
        return total;
    };
    for (const int threads : {1, 2, 4}) {
        y = sum(threads);
        for (int again = 0; again < 5; ++again) CHECK(sum(threads) == y);
    }
}

TEST(max_of_nan_is_nan) {
    for (const int64_t count : {1, 15, 64, 700, 50000})
        for (const int64_t where : {int64_t(0), count / 2, count - 1})
            for (const bool rows : {false, true}) {
                Floats x(count * 16, 1.0f), y(16);
                x[where * 16] = std::nanf("");
                run(std::make_unique<Chain>("max", Dims{count, 16}, std::vector<Operand>{{{1, 0}, F, {16, 1}}}, std::vector<Instruction>{},
                                            std::vector<Output>{{{2, 0}, F, {0, rows}, -1, Write::max, rows ? 16 : 1, false}}, 1),
                    2, x, y);
                CHECK(std::isnan(y[0]));
                if (rows) CHECK(y[1] == 1.0f && y[15] == 1.0f);
            }
}

TEST(int64_sums_wrap_around) {
    const int64_t largest = std::numeric_limits<int64_t>::max();
    std::vector<int64_t> x(50000, 0), y(1);
    x.front() = largest;
    x.back() = 1;
    run(std::make_unique<Chain>("sum", Dims{50000}, std::vector<Operand>{{{1, 0}, I, {1}}}, std::vector<Instruction>{},
                                std::vector<Output>{{{2, 0}, I, {0}, -1, Write::sum, 1, false}}, 1),
        2, x, y);
    CHECK(y[0] == std::numeric_limits<int64_t>::min());
}

template <class F>
bool refuses(F make) {
    try {
        make();
    } catch (const std::invalid_argument&) {
        return true;
    }
    return false;
}

TEST(chains_refuse_what_they_cannot_hold) {
    const std::vector<Operand> many(65, {{0, 0}, F, {}, true, 0});
    Dims loops, strides;
    for (int d = 0; d < 20; ++d) {  // no two of these loops can become one
        loops.push_back(2);
        strides.push_back(int64_t(3) << (2 * (20 - d)));
    }
    CHECK(refuses([&] { Chain("chain", {4}, many, {}, {}, 1); }));
    CHECK(refuses([&] { Chain("chain", {4}, {}, {}, {}, 65); }));
    CHECK(refuses([&] { Chain("chain", {4, 4}, {{{1, 0}, F, {1}}}, {}, {}, 1); }));
    CHECK(refuses([&] { Chain("chain", {4, 4}, {}, {}, {{{1, 0}, F, {1}, 0, Write::store, 16, false}}, 1); }));
    CHECK(refuses([&] { Chain("chain", loops, {{{1, 0}, F, strides}}, {}, {}, 1); }));
}

}  // namespace
}  // namespace pellucid::test
