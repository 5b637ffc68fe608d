// Programs: which steps run, contexts of their own, errors that name their step.
#include <omp.h>
#include <xmmintrin.h>

#include <algorithm>
#include <limits>
#include <set>

#include "../chain.hpp"
#include "../openmp.hpp"
#include "check.hpp"

namespace pellucid::test {
namespace {

// Adds its number to the first float of the arena.
class Count : public Step {
public:
    Count(std::string name, float number) : Step(std::move(name)), number_(number) {}
    std::vector<Access> accesses() const override { return {}; }
    void run(Context& context, State*) const override { *context.at<float>({0, 0}) += number_; }

private:
    float number_;
};

class Broken : public Step {
public:
    using Step::Step;
    std::vector<Access> accesses() const override { return {}; }
    void run(Context&, State*) const override { throw std::runtime_error("no such thing"); }
};

class AsksForThreads : public Step {
public:
    using Step::Step;
    std::vector<Access> accesses() const override { return {}; }
    void run(Context& context, State*) const override { *context.at<int>({0, 0}) = region_threads(); }
};

// Uses all the scratch memory it asks for.
class Scratch : public Step {
public:
    Scratch(int64_t bytes) : Step("scratch"), bytes_(bytes) {}
    int64_t scratch_bytes(int threads) const override { return threads * bytes_; }
    std::vector<Access> accesses() const override { return {}; }
    void run(Context& context, State*) const override { std::memset(context.scratch, 1, context.threads * bytes_); }

private:
    int64_t bytes_;
};

// Makes 0 of a NaN, unless NaNs are to be kept.
class Forgets : public Step {
public:
    using Step::Step;
    bool notes_nan() const override { return true; }
    std::vector<Access> accesses() const override { return {}; }
    void run(Context& context, State*) const override {
        float& value = *context.at<float>({0, 0});
        value = context.keeps_nan ? value : _mm_cvtss_f32(_mm_max_ss(_mm_set_ss(value), _mm_setzero_ps()));
    }
};

std::string error_of(Program& program, Context* context, int first, int last) {
    try {
        program.run(*context, first, last, nullptr);
    } catch (const StepError& error) {
        return error.what();
    } catch (const std::out_of_range&) {
        return "out of range";
    }
    return "";
}

TEST(programs_run_the_steps_asked_for) {
    Program program(64, {}, 1);
    for (int i = 0; i < 4; ++i) program.add(std::make_unique<Count>("count", float(1 << i)));
    Context* context = program.acquire();
    float& total = *context->at<float>({0, 0});
    total = 0;
    program.run(*context, 1, 3, nullptr);
    CHECK(total == 6);
    program.run(*context, 2, 2, nullptr);
    program.run(*context, 4, 4, nullptr);
    CHECK(total == 6);
    double seconds[4] = {};
    program.run(*context, 0, 4, seconds);
    CHECK(total == 21);
    for (const double time : seconds) CHECK(time >= 0);
}

TEST(programs_say_where_a_nan_was_lost_and_keep_it_when_told_to) {
    Program program(64, {4}, 1);
    program.add(std::make_unique<Chain>("copy", Dims{1}, std::vector<Operand>{{{1, 0}, DType::f32, {1}}}, std::vector<Instruction>{},
                                        std::vector<Output>{{{0, 0}, DType::f32, {1}, -1, Write::store, 1, false}}, 1));
    program.add(std::make_unique<Forgets>("forgets"));
    Context* context = program.acquire();
    float given = 0;
    context->bases[1] = reinterpret_cast<char*>(&given);
    for (const float value : {2.0f, std::numeric_limits<float>::quiet_NaN(), -3.0f}) {
        given = value;
        CHECK(program.run(*context, 0, 2, nullptr) == std::isnan(value));
        if (std::isnan(value)) CHECK(!program.run(*context, 0, 2, nullptr, true));
        CHECK(near(*context->at<float>({0, 0}), value < 0 ? 0.0f : value, 0, 0));
        CHECK(!context->keeps_nan);
    }
}

// Multiplies what the caller's array holds by itself.
class Squares : public Step {
public:
    using Step::Step;
    std::vector<Access> accesses() const override { return {}; }
    void run(Context& context, State*) const override {
        float& value = *context.at<float>({1, 0});
        value = _mm_cvtss_f32(_mm_mul_ss(_mm_set_ss(value), _mm_set_ss(value)));
    }
};

TEST(programs_say_where_a_number_became_infinite) {
    Program program(64, {4}, 2);
    program.add(std::make_unique<Squares>("squares"));
    Context* context = program.acquire();
    float value = 0;
    context->bases[1] = reinterpret_cast<char*>(&value);
    for (const float given : {3.0f, 1e30f, 1e-30f}) {
        value = given;
        CHECK(program.run_watched(*context, 0, 1) == (given == 1e30f));
    }
}

TEST(programs_refuse_steps_they_do_not_have) {
    Program program(64, {}, 1);
    program.add(std::make_unique<Count>("count", 1.0f));
    Context* context = program.acquire();
    CHECK(error_of(program, context, -1, 1) == "out of range");
    CHECK(error_of(program, context, 0, 2) == "out of range");
    CHECK(error_of(program, context, 1, 0) == "out of range");
    CHECK(error_of(program, context, 0, 1).empty());
}

// Touches so many bytes of elements of 4, at a place.
class Touches : public Step {
public:
    Touches(Place place, int64_t bytes) : Step("conv1"), place_(place), bytes_(bytes) {}
    std::vector<Access> accesses() const override { return {{"first", {0, 0}, 0, 4}, {"weight", place_, bytes_, 4}}; }
    void run(Context&, State*) const override {}

private:
    Place place_;
    int64_t bytes_;
};

TEST(programs_refuse_steps_that_touch_what_is_not_there) {
    const int64_t huge = std::numeric_limits<int64_t>::max();
    const struct {
        Place place;
        int64_t bytes;
        const char* message;
    } cases[] = {
        {{0, 0}, 64, ""},
        {{0, 60}, 4, ""},
        {{0, 64}, 0, ""},
        {{1, 0}, 12, ""},
        {{2, 8}, 0, ""},
        {{0, 64}, 4, "conv1: its weight takes 4 bytes from byte 64 of the arena on, which has 64"},
        {{0, -4}, 4, "conv1: its weight takes 4 bytes from byte -4 of the arena on, which has 64"},
        {{1, 4}, 12, "conv1: its weight takes 12 bytes from byte 4 of array 0 on, which has 12"},
        {{2, 0}, 12, "conv1: its weight takes 12 bytes from byte 0 of array 1 on, which has 8"},
        {{0, huge}, 4, "conv1: its weight takes 4 bytes from byte 9223372036854775807 of the arena on, which has 64"},
        {{0, 4}, huge, "conv1: its weight takes 9223372036854775807 bytes from byte 4 of the arena on, which has 64"},
        {{0, 2}, 4, "conv1: its weight starts at byte 2 of the arena, expected a multiple of 4"},
        {{1, 1}, 4, "conv1: its weight starts at byte 1 of array 0, expected a multiple of 4"},
        {{3, 0}, 4, "conv1: its weight lies in array 2, expected one of 2"},
        {{-1, 0}, 4, "conv1: its weight lies in array -2, expected one of 2"},
        {{3, 0}, 0, "conv1: its weight lies in array 2, expected one of 2"},
    };
    for (const auto& c : cases) {
        Program program(64, {12, 8}, 1);
        std::string message;
        try {
            program.add(std::make_unique<Touches>(c.place, c.bytes));
        } catch (const StepError& error) {
            message = error.what();
        }
        if (message != c.message) fail("expected \"" + std::string(c.message) + "\", got \"" + message + "\"");
        CHECK(program.size() == int(message.empty()));
    }
}

TEST(sizes_that_no_memory_has_are_refused) {
    const int64_t huge = int64_t(1) << 40;
    CHECK(access("image", {1, 8}, DType::i64, {3, 5}).bytes == 120);
    CHECK(access("image", {1, 8}, DType::bf16, {3, 0, 5}).bytes == 0);
    auto refused = [](std::initializer_list<int64_t> sizes) {
        try {
            access("image", {0, 0}, DType::f32, sizes);
        } catch (const std::invalid_argument&) {
            return true;
        }
        return false;
    };
    CHECK(refused({-1}) && refused({2, -3}) && refused({huge, huge}));
}

TEST(chains_are_looked_at_from_their_first_to_their_last_element) {
    struct Case {
        int64_t offset;
        Dims strides;
        Write write;
        int64_t size;
        bool fits;
    };
    const Case cases[] = {
        {0, {3, 1}, Write::store, 6, true},    {4, {3, 1}, Write::store, 6, false},  {20, {-3, -1}, Write::store, 6, true},
        {16, {-3, -1}, Write::store, 6, false}, {24, {-3, -1}, Write::store, 6, false}, {0, {0, 1}, Write::sum, 3, true},
        {12, {0, 1}, Write::sum, 3, true},     {16, {0, 1}, Write::sum, 3, false},    {0, {0, 1}, Write::sum, 2, false},
        {0, {0, 0}, Write::max, 6, true},      {0, {0, 0}, Write::max, 7, false},     {0, {0, int64_t(1) << 62}, Write::store, 6, false},
    };
    for (const auto& c : cases) {
        Program program(0, {24, 24}, 1);
        bool fits = true;
        try {
            program.add(std::make_unique<Chain>("chain", Dims{2, 3}, std::vector<Operand>{{{2, 0}, DType::f32, {3, 1}}}, std::vector<Instruction>{},
                                                std::vector<Output>{{{1, c.offset}, DType::f32, c.strides, -1, c.write, c.size, false}}, 1));
        } catch (const std::exception&) {
            fits = false;
        }
        CHECK(fits == c.fits);
    }
}

TEST(errors_name_their_step) {
    Program program(64, {}, 2);
    program.add(std::make_unique<Count>("count", 1.0f));
    program.add(std::make_unique<Broken>("conv1"));
    Context* context = program.acquire();
    const int before = region_threads();
    CHECK(error_of(program, context, 0, 2) == "conv1: no such thing");
    CHECK(region_threads() == before);
    CHECK(error_of(program, context, 0, 1).empty());
}

TEST(contexts_are_of_one_caller_and_come_back) {
    Program program(1 << 16, {4, 4, 4}, 1);
    program.add(std::make_unique<Count>("count", 1.0f));
    std::set<Context*> contexts;
    std::set<char*> arenas;
    for (int i = 0; i < 5; ++i) {
        Context* context = program.acquire();
        contexts.insert(context);
        arenas.insert(context->bases[0]);
        CHECK(context->bases.size() == 4);
    }
    CHECK(contexts.size() == 5 && arenas.size() == 5 && program.num_contexts() == 5);
    for (Context* context : contexts) program.release(context);
    for (int i = 0; i < 5; ++i) CHECK(contexts.count(program.acquire()) == 1);
    CHECK(program.num_contexts() == 5);
}

// Small memory, and memory on huge pages; the arena and the scratch of every thread, to the last byte.
TEST(memory_is_as_large_as_asked_for) {
    for (const int64_t arena : {0, 1, 63, 1000, 3 << 20})
        for (const int64_t scratch : {0, 1, 4095, 3 << 20})
            for (const int threads : {1, 3}) {
                Program program(arena, {}, threads);
                program.add(std::make_unique<Scratch>(scratch));
                program.add(std::make_unique<Scratch>(scratch / 2));
                Context* context = program.acquire();
                CHECK(reinterpret_cast<uintptr_t>(context->bases[0]) % 64 == 0 && reinterpret_cast<uintptr_t>(context->scratch) % 64 == 0);
                std::memset(context->bases[0], 2, arena);
                program.run(*context, 0, 2, nullptr);
                for (int64_t i = 0; i < arena; ++i)
                    if (context->bases[0][i] != 2) return fail("scratch memory lies over the arena");
            }
}

TEST(threads_are_those_of_the_program) {
    const int before = region_threads();
    for (const int threads : {1, 2, 3}) {
        Program program(64, {}, threads);
        program.add(std::make_unique<AsksForThreads>("threads"));
        Context* context = program.acquire();
        program.run(*context, 0, 1, nullptr);
        CHECK(*context->at<int>({0, 0}) == std::min(threads, omp_get_thread_limit()));
        CHECK(region_threads() == before);
    }
}

}  // namespace
}  // namespace pellucid::test
