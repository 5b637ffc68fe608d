// Several callers run one program at the same time, each with a context of its own.
#include <atomic>
#include <thread>

#include "../chain.hpp"
#include "../pooling.hpp"
#include "../primitives.hpp"
#include "../weight_gradient.hpp"
#include "../winograd.hpp"
#include "check.hpp"

namespace pellucid::test {
namespace {

constexpr int64_t N = 2, C = 32, SIZE = 8, IMAGE = N * C * SIZE * SIZE, WEIGHT = C * C * 9, BYTES = 4;

// x, weight and bias are the caller's arrays 1 to 3; results are 4 (per channel) and 5 (the weight's gradient).
// In the arena lie an image, the pooled image, its winners, weights in another order, and scratch memory.
constexpr Place X{1, 0}, W{2, 0}, BIAS{3, 0}, SUMS{4, 0}, GRADIENT{5, 0};
constexpr Place Y{0, 0}, POOLED{0, IMAGE * BYTES}, WINNERS{0, 2 * IMAGE * BYTES}, ORDERED{0, 3 * IMAGE * BYTES},
    SCRATCH{0, 3 * IMAGE * BYTES + 2 * WEIGHT * BYTES};
constexpr int64_t ARENA = SCRATCH.offset + (1 << 20);
const std::vector<int64_t> ARRAYS{IMAGE * BYTES, WEIGHT * BYTES, C * BYTES, C * BYTES, WEIGHT * BYTES};

// One step of each kind, over each other's results.
void build(Program& program) {
    const Threads within(1);
    const Convolution convolution("convolution", Direction::forward, {N, C, C, 1, {SIZE, SIZE}, {SIZE, SIZE}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
                                  Layout::blocked, Layout::blocked, DType::f32, DType::f32, {true, false, true});
    CHECK(convolution.scratch_bytes() <= 1 << 20 && convolution.weight_bytes() <= 2 * WEIGHT * BYTES);
    if (convolution.weight_bytes()) program.add(convolution.reorder("order", W, ORDERED));
    program.add(convolution.step(X, convolution.weight_bytes() ? ORDERED : W, Y, BIAS, {0, 0}, SCRATCH));
    if (WeightGradient::available()) {
        const int64_t blocks = C / 16;
        const WinogradShape shape{N, blocks, blocks, SIZE, SIZE, SIZE, SIZE, {1, 1}};
        program.add(std::make_unique<WinogradWeight>("positions", DType::f32, 3, C, C, false, W, ORDERED));
        program.add(std::make_unique<WinogradConvolution>("winograd", DType::f32, 3, shape, WinogradConvolution::Places{Y, ORDERED, POOLED, BIAS, Y},
                                                          WinogradConvolution::Epilogue{true, true, false}));
        program.add(std::make_unique<Chain>("scale", Dims{IMAGE},
                                            std::vector<Operand>{{POOLED, DType::f32, {1}}, {{0, 0}, DType::f32, {}, true, 1.0 / 64}},
                                            std::vector<Instruction>{{Operation::multiply, 0, -1, -2, -1}, {Operation::tanh, 1, 0, 0, 0}},
                                            std::vector<Output>{{Y, DType::f32, {1}, 1, Write::store, IMAGE, true}}, 2));
        program.add(std::make_unique<WinogradWeightGradient>("winograd gradient", DType::f32, 3, shape, X, Y, GRADIENT));
        const WeightGradientShape direct{N, 1, blocks, blocks, SIZE, SIZE, SIZE, SIZE, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
        program.add(std::make_unique<WeightGradient>("gradient", direct, X, Y, GRADIENT));
    }
    const PoolShape pool{N * C / 16, SIZE, SIZE, 16, SIZE / 2, SIZE / 2, {2, 2}, {2, 2}, {0, 0}, true};
    program.add(std::make_unique<Pool>("pool", Pooling::max, pool, DType::f32, Y, POOLED, WINNERS, true));
    program.add(std::make_unique<Pool>("pool gradient", Pooling::max_gradient, pool, DType::f32, POOLED, Y, WINNERS, true));
    program.add(std::make_unique<Chain>("sums", Dims{N, C / 16, SIZE * SIZE, 16},
                                        std::vector<Operand>{{Y, DType::f32, {C * SIZE * SIZE, 16 * SIZE * SIZE, 16, 1}}}, std::vector<Instruction>{},
                                        std::vector<Output>{{SUMS, DType::f32, {0, 16, 0, 1}, -1, Write::sum, C, false}}, 1));
}

struct Results {
    Floats sums = Floats(C), gradient = Floats(WEIGHT);
    bool operator==(const Results& other) const { return sums == other.sums && gradient == other.gradient; }
};

Results call(Program& program, const Floats& x, const Floats& weight, const Floats& bias) {
    Results results;
    Context* context = program.acquire();
    const void* arrays[] = {x.data(), weight.data(), bias.data(), results.sums.data(), results.gradient.data()};
    for (int i = 0; i < 5; ++i) context->bases[1 + i] = static_cast<char*>(const_cast<void*>(arrays[i]));
    program.run(*context, 0, program.size(), nullptr);
    program.release(context);
    return results;
}

TEST(callers_do_not_disturb_each_other) {
    constexpr int CALLERS = 4, ROUNDS = 25;
    Program program(ARENA, ARRAYS, 1);
    build(program);
    const Floats weight = whole_numbers(WEIGHT, 1), bias = whole_numbers(C, 2);
    std::vector<Floats> x;
    std::vector<Results> alone;
    for (int caller = 0; caller < CALLERS; ++caller) {
        x.push_back(whole_numbers(IMAGE, 3 + caller));
        alone.push_back(call(program, x[caller], weight, bias));
    }
    CHECK(program.num_contexts() == 1 && !(alone[0] == alone[1]));
    std::atomic<int> wrong{0}, ready{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < CALLERS; ++caller)
        callers.emplace_back([&, caller] {
            for (++ready; ready < CALLERS;) std::this_thread::yield();
            for (int round = 0; round < ROUNDS; ++round) wrong += !(call(program, x[caller], weight, bias) == alone[caller]);
        });
    for (auto& caller : callers) caller.join();
    CHECK(wrong == 0);
    CHECK(program.num_contexts() <= CALLERS);
}

// The choice of kernels and oneDNN's engine are made by whoever comes first.
TEST(programs_are_built_at_the_same_time) {
    std::atomic<int> wrong{0};
    const Floats x = whole_numbers(IMAGE, 3), weight = whole_numbers(WEIGHT, 1), bias = whole_numbers(C, 2);
    std::vector<Results> found(4);
    std::vector<std::thread> callers;
    for (auto& results : found)
        callers.emplace_back([&] {
            Program program(ARENA, ARRAYS, 1);
            build(program);
            results = call(program, x, weight, bias);
        });
    for (auto& caller : callers) caller.join();
    for (const auto& results : found) CHECK(results == found[0]);
}

}  // namespace
}  // namespace pellucid::test
